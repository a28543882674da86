/**
 * Effect's scheduler on the engine of a world: one for each life of a host, so that a host's fibers can stand still or be
 * dropped as one.
 */
import * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"
import type { Engine } from "./engine/engine.ts"
import { Lane, type Owner } from "./engine/lanes.ts"

/** A fiber of a world that has not ended. */
interface Known {
  readonly number: number
  readonly host: string
  readonly owner: Owner
  /** It gave way because its world said so: its next operation is the one that was put off, and it is its turn. */
  isPutOff: boolean
}

/** The fibers of a world, numbered in the order in which they first ran: Effect's own numbers go on from run to run. */
export class Fibers {
  readonly #live = new Map<Fiber.Fiber<unknown, unknown>, Known>()
  #count = 0

  /** One that may be new. */
  of(fiber: Fiber.Fiber<unknown, unknown>, host: string, owner: Owner): Known {
    let known = this.#live.get(fiber)
    if (known === undefined) {
      this.#live.set(fiber, known = { number: ++this.#count, host, owner, isPutOff: false })
      fiber.addObserver(() => this.#live.delete(fiber))
    }
    return known
  }

  /** The number of the one that runs; 0 where none does, or one of outside. */
  get current(): number {
    const fiber = Fiber.getCurrent()
    return fiber === undefined ? 0 : this.#live.get(fiber)?.number ?? 0
  }

  /** Those that have not ended, and whose host's life has not. */
  get live(): ReadonlyArray<
    { readonly number: number; readonly host: string; readonly fiber: Fiber.Fiber<unknown, unknown> }
  > {
    return Array.from(this.#live).flatMap(([fiber, { host, number, owner }]) =>
      owner.state === "gone" ? [] : [{ fiber, number, host }]
    )
  }
}

export class LifeScheduler implements Scheduler.Scheduler {
  readonly executionMode = "async"
  readonly #engine: Engine
  readonly #fibers: Fibers
  readonly #owner: Owner
  readonly #host: string
  readonly #onForeign: (host: string, fiber: number) => void

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

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    const operation = fiber.currentOpCount
    if (operation === 1) {
      const known = this.#fibers.of(fiber, this.#host, this.#owner)
      if (!this.#engine.isDriving) {
        this.#onForeign(this.#host, known.number)
        return true
      }
      if (this.#owner.state !== "running") return true
      const isItsTurn = known.isPutOff
      known.isPutOff = false
      return !isItsTurn && this.#preempt(fiber)
    }
    if (this.#owner.state !== "running") return true
    // The second is the one that was put off; without it there would be no progress.
    if (operation === 2) return false
    return this.#preempt(fiber) || (operation >= fiber.cache.maxOpsBeforeYield && this.#giveWay(fiber))
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    const lane = new Lane(this.#owner)
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
    this.#fibers.of(fiber, this.#host, this.#owner).isPutOff = true
    return true
  }
}
