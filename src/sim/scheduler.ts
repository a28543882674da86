/**
 * Effect's scheduler on the engine of a world: one for each life of a host, so that a host's fibers can stand still or be
 * dropped as one.
 */
import * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"
import type { Engine } from "./engine/engine.ts"
import { Lane, type Owner } from "./engine/lanes.ts"
import type { Clock } from "./sources.ts"

/** The fibers of a world, numbered in the order in which they first ran: Effect's own numbers go on from run to run. */
export class Fibers {
  readonly #numbers = new Map<Fiber.Fiber<unknown, unknown>, number>()
  readonly #schedulers = new Map<number, LifeScheduler>()
  #count = 0

  /** Of one that may be new. */
  number(fiber: Fiber.Fiber<unknown, unknown>, scheduler: LifeScheduler): number {
    let number = this.#numbers.get(fiber)
    if (number === undefined) {
      const added = number = ++this.#count
      this.#numbers.set(fiber, added)
      this.#schedulers.set(added, scheduler)
      fiber.addObserver(() => {
        this.#numbers.delete(fiber)
        this.#schedulers.delete(added)
      })
    }
    return number
  }

  /** Of the one that runs; 0 where none does, or one of outside. */
  get current(): number {
    const fiber = Fiber.getCurrent()
    return fiber === undefined ? 0 : this.#numbers.get(fiber) ?? 0
  }

  /** Those that have not ended, and whose host has not. */
  get live(): ReadonlyArray<LiveFiber> {
    return Array.from(this.#numbers, ([fiber, number]) => {
      const { host, owner } = this.#schedulers.get(number)!
      return { fiber, number, host, state: owner.state }
    }).filter(({ state }) => state !== "gone")
  }

  /** The scheduler of the one that runs; nothing where none of this world does. */
  get scheduler(): LifeScheduler | undefined {
    return this.#schedulers.get(this.current)
  }
}

/** A fiber that may go on. */
export interface LiveFiber {
  readonly number: number
  readonly host: string
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly state: Owner["state"]
}

export class LifeScheduler implements Scheduler.Scheduler {
  readonly executionMode = "async"
  readonly #engine: Engine
  readonly #fibers: Fibers
  readonly owner: Owner
  readonly host: string
  /** That of its host. */
  readonly clock: Clock
  readonly #onForeign: (host: string, fiber: number) => void
  /** Those that gave way because this said so: their next operation is the one that was put off, and it is its turn. */
  readonly #putOff = new WeakSet<Fiber.Fiber<unknown, unknown>>()

  constructor(options: {
    readonly engine: Engine
    readonly fibers: Fibers
    readonly owner: Owner
    readonly host: string
    readonly clock: Clock
    /** A fiber was resumed by what is not of this world. */
    readonly onForeign: (host: string, fiber: number) => void
  }) {
    this.#engine = options.engine
    this.#fibers = options.fibers
    this.owner = options.owner
    this.host = options.host
    this.clock = options.clock
    this.#onForeign = options.onForeign
  }

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    const operation = fiber.currentOpCount
    if (operation === 1) {
      const number = this.#fibers.number(fiber, this)
      if (!this.#engine.isDriving) {
        // Nobody drives it again once it has ended: whoever is woken then has nothing more to do.
        this.#onForeign(this.host, number)
        return true
      }
      if (this.owner.state !== "running") return true
      return !this.#putOff.delete(fiber) && this.#preempt(fiber)
    }
    if (this.owner.state !== "running") return true
    // The second is the one that was put off; without it there would be no progress.
    if (operation === 2) return false
    return this.#preempt(fiber) || (operation >= fiber.cache.maxOpsBeforeYield && this.#giveWay(fiber))
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    const lane = new Lane(this.owner)
    return {
      scheduleTask: (task, priority) => this.#engine.post(lane, task, priority),
      // For those who cannot wait; a world always can.
      flush: () => {}
    }
  }

  #preempt(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    return this.#engine.strategy.preempts() && this.#giveWay(fiber)
  }

  #giveWay(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    this.#putOff.add(fiber)
    return true
  }
}
