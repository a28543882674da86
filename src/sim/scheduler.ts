/**
 * Effect's scheduler on the engine of a world: one for each life of a host, so that a host's fibers can stand still or be
 * dropped as one.
 */
import * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"
import type { Engine } from "./engine/engine.ts"
import { Lane, type Owner } from "./engine/lanes.ts"

/** The fibers of a world, numbered in the order in which they first ran: Effect's own numbers go on from run to run. */
export class Fibers {
  readonly #numbers = new Map<Fiber.Fiber<unknown, unknown>, number>()
  readonly #hosts = new Map<number, string>()
  #count = 0

  /** Of one that may be new. */
  number(fiber: Fiber.Fiber<unknown, unknown>, host: string): number {
    let number = this.#numbers.get(fiber)
    if (number === undefined) {
      const added = number = ++this.#count
      this.#numbers.set(fiber, added)
      this.#hosts.set(added, host)
      fiber.addObserver(() => {
        this.#numbers.delete(fiber)
        this.#hosts.delete(added)
      })
    }
    return number
  }

  /** Of the one that runs; 0 where none does, or one of outside. */
  get current(): number {
    const fiber = Fiber.getCurrent()
    return fiber === undefined ? 0 : this.#numbers.get(fiber) ?? 0
  }

  /** Those that have not ended. */
  get live(): ReadonlyArray<
    { readonly number: number; readonly host: string; readonly fiber: Fiber.Fiber<unknown, unknown> }
  > {
    return Array.from(this.#numbers, ([fiber, number]) => ({ fiber, number, host: this.#hosts.get(number)! }))
  }
}

export class LifeScheduler implements Scheduler.Scheduler {
  readonly executionMode = "async"
  readonly #engine: Engine
  readonly #fibers: Fibers
  readonly #owner: Owner
  readonly #host: string
  readonly #onForeign: (host: string, fiber: number) => void
  /** Those that gave way because this said so, until they have done the operation that was put off. */
  readonly #putOff = new WeakSet<Fiber.Fiber<unknown, unknown>>()

  constructor(options: {
    readonly engine: Engine
    readonly fibers: Fibers
    readonly owner: Owner
    readonly host: string
    /** A fiber was resumed by what is not of this world. */
    readonly onForeign: (host: string, fiber: number) => void
  }) {
    this.#engine = options.engine
    this.#fibers = options.fibers
    this.#owner = options.owner
    this.#host = options.host
    this.#onForeign = options.onForeign
  }

  /**
   * Asked before each operation. They are counted anew whenever a fiber is resumed: the first one takes what it is resumed
   * with. After a fiber gave way here, this is nothing, and the second is the one that was put off; to put that off again
   * would be to stand still.
   */
  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    const operation = fiber.currentOpCount
    if (operation === 1) {
      const number = this.#fibers.number(fiber, this.#host)
      if (!this.#engine.isDriving) {
        this.#onForeign(this.#host, number)
        return true
      }
      if (this.#owner.state !== "running") return this.#giveWay(fiber)
      return !this.#putOff.has(fiber) && this.#preempts(fiber, true)
    }
    if (this.#owner.state !== "running") return this.#giveWay(fiber)
    if (operation === 2 && this.#putOff.delete(fiber)) return false
    return this.#preempts(fiber, false) || (operation >= fiber.cache.maxOpsBeforeYield && this.#giveWay(fiber))
  }

  makeDispatcher(): Dispatcher {
    return new Dispatcher(this.#engine, new Lane(this.#owner))
  }

  #preempts(fiber: Fiber.Fiber<unknown, unknown>, isWoken: boolean): boolean {
    const { running, strategy } = this.#engine
    if (!strategy.isDue() && !(isWoken && strategy.canDefer && strategy.defers(laneOf(fiber), running))) return false
    strategy.preempted(laneOf(fiber))
    return this.#giveWay(fiber)
  }

  #giveWay(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    this.#putOff.add(fiber)
    return true
  }
}

/** A fiber's own queue. */
class Dispatcher implements Scheduler.SchedulerDispatcher {
  readonly lane: Lane
  readonly #engine: Engine

  constructor(engine: Engine, lane: Lane) {
    this.#engine = engine
    this.lane = lane
  }

  scheduleTask(task: () => void, priority: number): void {
    this.#engine.post(this.lane, task, priority)
  }

  /** For those who cannot wait; a world always can. */
  flush(): void {}
}

const laneOf = (fiber: Fiber.Fiber<unknown, unknown>): Lane => (fiber.currentDispatcher as Dispatcher).lane
