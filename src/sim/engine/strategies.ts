/**
 * Who is next: the strategies of interleaving, and the record of what was decided.
 *
 * All that a strategy decides is a list of numbers. Played back, the list decides the same again; where it is shorter than
 * the run, the first lane goes and nobody gives way.
 */
import type { Lane } from "./lanes.ts"
import type { Prng } from "./prng.ts"

export interface Strategy {
  /** A lane that was picked runs all tasks that it has before another is picked, as Effect's own scheduler does. */
  readonly isBatched: boolean
  /** The index of one of several lanes. */
  pick(lanes: ReadonlyArray<Lane>): number
  /** Whether the running fiber gives way before its next operation. */
  preempts(): boolean
}

/** Effect's `MixedScheduler`: first come, first served. */
export const production: Strategy = { isBatched: true, pick: () => 0, preempts: () => false }

/** Any lane, and at each operation with this probability another. */
export const random = (prng: Prng, probability: number): Strategy => ({
  isBatched: false,
  pick: (lanes) => prng.below(lanes.length),
  preempts: probability === 0 ? () => false : () => prng.chance(probability)
})

/**
 * Probabilistic concurrency testing (Burckhardt et al., 2010): lanes have random ranks, and the highest runs; at `depth`
 * operations of some `operations`, chosen beforehand, the running one falls behind all others.
 */
export const pct = (prng: Prng, depth: number, operations: number): Strategy => {
  const changes = new Set(Array.from({ length: depth }, () => prng.below(operations)))
  let operation = 0
  let lowest = 0
  let latest: Lane | undefined
  return {
    isBatched: false,
    pick: (lanes) => {
      let best = 0
      for (let i = 0; i < lanes.length; i++) {
        lanes[i]!.rank ??= 1 + prng.next()
        if (lanes[i]!.rank! > lanes[best]!.rank!) best = i
      }
      latest = lanes[best]
      return best
    },
    preempts: () => {
      if (!changes.has(operation++)) return false
      if (latest !== undefined) latest.rank = --lowest
      return true
    }
  }
}

/** What was decided in a run. */
export interface Decisions {
  /** The index of each lane that was picked among several. */
  readonly picks: ReadonlyArray<number>
  /** The operations, counted from 0 over all that could have, at which a fiber gave way. */
  readonly preemptions: ReadonlyArray<number>
  readonly isBatched: boolean
}

export const replay = ({ isBatched, picks, preemptions }: Decisions): Strategy => {
  let picked = 0
  let operation = 0
  let next = 0
  return {
    isBatched,
    pick: (lanes) => (picks[picked++] ?? 0) % lanes.length,
    preempts: () => {
      if (operation++ !== preemptions[next]) return false
      next++
      return true
    }
  }
}

/** Writes down what another strategy decides. */
export class Recorder implements Strategy {
  readonly isBatched: boolean
  readonly picks: Array<number> = []
  readonly preemptions: Array<number> = []
  readonly #strategy: Strategy
  readonly #onPick: (index: number, of: number) => void
  #operation = 0

  constructor(strategy: Strategy, onPick: (index: number, of: number) => void) {
    this.#strategy = strategy
    this.isBatched = strategy.isBatched
    this.#onPick = onPick
  }

  pick(lanes: ReadonlyArray<Lane>): number {
    const index = this.#strategy.pick(lanes)
    this.picks.push(index)
    this.#onPick(index, lanes.length)
    return index
  }

  preempts(): boolean {
    const operation = this.#operation++
    if (!this.#strategy.preempts()) return false
    this.preemptions.push(operation)
    this.#onPick(operation, 0)
    return true
  }
}
