/**
 * Effect's scheduler on the engine of a world: one for each life of a host, so that a host's fibers can stand still or be
 * dropped as one.
 */
import * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"
import type { Engine } from "./engine/engine.ts"
import { Lane, type Owner } from "./engine/lanes.ts"
import type { Clock } from "./sources.ts"

/** A fiber of a world that has not ended. */
interface Known {
  readonly number: number
  readonly scheduler: LifeScheduler
  /** It has done nothing yet. */
  isNew: boolean
  /** It gave way because its world said so: its next operation is the one that was put off, and it is its turn. */
  isPutOff: boolean
}

/** The fibers of a world, numbered in the order in which they first ran: Effect's own numbers go on from run to run. */
export class Fibers {
  readonly #live = new Map<Fiber.Fiber<unknown, unknown>, Known>()
  #count = 0

  /** One that may be new. */
  of(fiber: Fiber.Fiber<unknown, unknown>, scheduler: LifeScheduler): Known {
    let known = this.#live.get(fiber)
    if (known === undefined) {
      this.#live.set(fiber, known = { number: ++this.#count, scheduler, isNew: true, isPutOff: false })
      fiber.addObserver(() => this.#live.delete(fiber))
    }
    return known
  }

  /** The number of the one that runs; 0 where none does, or one of outside. */
  get current(): number {
    const fiber = Fiber.getCurrent()
    return fiber === undefined ? 0 : this.#live.get(fiber)?.number ?? 0
  }

  /** Those that have not ended, and whose host has not. */
  get live(): ReadonlyArray<LiveFiber> {
    return Array.from(this.#live, ([fiber, { number, scheduler: { host, owner } }]) => ({
      fiber,
      number,
      host,
      state: owner.state
    })).filter(({ state }) => state !== "gone")
  }

  /** The scheduler of the one that runs; nothing where none of this world does. */
  get scheduler(): LifeScheduler | undefined {
    const fiber = Fiber.getCurrent()
    return fiber === undefined ? undefined : this.#live.get(fiber)?.scheduler
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

  /**
   * Asked before each operation. They are counted anew whenever a fiber is resumed: the first one takes what it is resumed
   * with. After a fiber gave way here, this is nothing, and the second is the one that was put off; to put that off again
   * would be to stand still.
   */
  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    if (this.owner.state === "gone") return true
    const operation = fiber.currentOpCount
    if (operation === 1) {
      const known = this.#fibers.of(fiber, this)
      if (!this.#engine.isDriving) {
        // Nobody drives it again once it has ended: whoever is woken then has nothing more to do.
        this.#onForeign(this.host, known.number)
        return true
      }
      if (known.isNew) {
        known.isNew = false
        // It may be interrupted before it has begun. Were that put off, its beginning would come first and undo it.
        return false
      }
      if (this.owner.state !== "running") return this.#giveWay(fiber)
      return !known.isPutOff && this.#preempts(fiber, true)
    }
    if (this.owner.state !== "running") return this.#giveWay(fiber)
    if (operation === 2 && this.#takesItsTurn(fiber)) return false
    return this.#preempts(fiber, false) || (operation >= fiber.cache.maxOpsBeforeYield && this.#giveWay(fiber))
  }

  makeDispatcher(): Dispatcher {
    return new Dispatcher(this.#engine, new Lane(this.owner))
  }

  #preempts(fiber: Fiber.Fiber<unknown, unknown>, isWoken: boolean): boolean {
    const { running, strategy } = this.#engine
    if (!strategy.isDue() && !(isWoken && strategy.canDefer && strategy.defers(laneOf(fiber), running))) return false
    strategy.preempted(laneOf(fiber))
    return this.#giveWay(fiber)
  }

  #takesItsTurn(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    const known = this.#fibers.of(fiber, this)
    const isItsTurn = known.isPutOff
    known.isPutOff = false
    return isItsTurn
  }

  #giveWay(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    this.#fibers.of(fiber, this).isPutOff = true
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
