/**
 * Who is next: the strategies of interleaving, and the record of what was decided.
 *
 * All that a strategy decides is a list of numbers. Played back, the list decides the same again.
 */
import type { Lane } from "./lanes.ts"
import type { Prng } from "./prng.ts"

export interface Strategy {
  /** A lane that was picked runs all tasks that it has before another is picked, as Effect's own scheduler does. */
  readonly isBatched: boolean
  /** The index of one of several lanes. */
  pick(lanes: ReadonlyArray<Lane>): number
  /**
   * The next operation before which its fiber gives way: the first one that is not before `operation`. Operations are
   * counted from 0, over all before which a fiber could. -1 where there will be none.
   */
  preemptionFrom(operation: number): number
  /** Whether a fiber that is woken inside a task of the running lane gives way at once, to go on in its own. */
  defers?(woken: Lane, running: Lane): boolean
  /** A fiber gave way, and goes on in this lane. */
  onPreemption?(lane: Lane): void
}

/** Effect's `MixedScheduler`: first come, first served. */
export const production: Strategy = { isBatched: true, pick: () => 0, preemptionFrom: () => -1 }

/** The odds that nothing happens in the first operation, in the first two, and so on, where each has this probability. */
export const oddsOfNone = (probability: number): Float64Array => {
  const odds = new Float64Array(256)
  let none = 1
  for (let i = 0; i < odds.length; i++) odds[i] = none *= 1 - probability
  return odds
}

/** Any lane, and at each operation with a probability another. */
export const random = (prng: Prng, odds: Float64Array): Strategy => ({
  isBatched: false,
  pick: (lanes) => prng.below(lanes.length),
  preemptionFrom: oftenBy(prng, odds)
})

/** How many operations pass before the first at which something happens: one draw instead of one for each. */
const gapOf = (prng: Prng, odds: Float64Array): number => {
  const { length } = odds
  // Never.
  if (odds[length - 1] === 1) return Infinity
  let passed = 0
  while (true) {
    const drawn = prng.fraction()
    if (drawn < odds[length - 1]!) {
      passed += length
      continue
    }
    let from = 0
    let to = length - 1
    while (from < to) {
      const middle = (from + to) >> 1
      if (drawn < odds[middle]!) from = middle + 1
      else to = middle
    }
    return passed + from
  }
}

/** A lane that was picked so often falls behind all others: one that turns round until another has run would do so for ever. */
const turnsMax = 64

/**
 * Lanes have random ranks, and the highest runs. Whoever is woken inside a lane of a higher rank than its own gives way at
 * once, and the running one gives way where `changes` says. It goes on with another rank: any, or one below all others.
 */
export const ranked = (
  prng: Prng,
  changes: (operation: number) => number,
  to: "any" | "last"
): Strategy => {
  let lowest = 0
  const rankOf = (lane: Lane): number => lane.rank ??= 1 + prng.next()
  const fall = (lane: Lane) => {
    lane.rank = --lowest
    lane.turns = 0
  }
  return {
    isBatched: false,
    pick: (lanes) => {
      let best = 0
      for (let i = 1; i < lanes.length; i++) if (rankOf(lanes[i]!) > rankOf(lanes[best]!)) best = i
      const lane = lanes[best]!
      if (++lane.turns >= turnsMax) fall(lane)
      return best
    },
    preemptionFrom: changes,
    defers: (woken, running) => rankOf(woken) < rankOf(running),
    onPreemption: to === "last" ? fall : (lane) => {
      lane.rank = 1 + prng.next()
    }
  }
}

/** Changes with a probability at each operation. */
export const oftenBy = (prng: Prng, odds: Float64Array): (operation: number) => number => (operation) =>
  operation + gapOf(prng, odds)

/**
 * Some changes among the first 16 operations, as many among the next 16, the next 32, and so on: how many operations a run
 * has is not known beforehand, and like this its later half has as many, whatever its length.
 */
export const perDoubling = (prng: Prng, count: number): (operation: number) => number => {
  let from = 0
  let length = 16
  let places: Array<number> = []
  let next = 0
  return (operation) => {
    if (count === 0) return -1
    while (true) {
      while (next < places.length && places[next]! < operation) next++
      if (next < places.length) return places[next]!
      places = Array.from({ length: count }, () => from + prng.below(length)).sort((a, b) => a - b)
      next = 0
      from += length
      length = from
    }
  }
}

/** What was decided in a run. */
export interface Decisions {
  /** The index of each lane that was picked among several; zeros at the end are left out. */
  readonly picks: ReadonlyArray<number>
  /** The operations, counted from 0 over all that could have, at which a fiber gave way; in order. */
  readonly preemptions: ReadonlyArray<number>
  readonly isBatched: boolean
}

export const replay = ({ isBatched, picks, preemptions }: Decisions): Strategy => {
  let picked = 0
  let next = 0
  return {
    isBatched,
    pick: (lanes) => (picks[picked++] ?? 0) % lanes.length,
    preemptionFrom: (operation) => {
      while (next < preemptions.length && preemptions[next]! < operation) next++
      return preemptions[next] ?? -1
    }
  }
}

/** Asks a strategy, and writes down what it decides. */
export class Recorder {
  readonly isBatched: boolean
  readonly #strategy: Strategy
  readonly #onDecision: (index: number, of: number) => void
  readonly #picks: Array<number> = []
  #picked = 0
  readonly #preemptions: Array<number> = []
  #operation = 0
  /** The next operation at which a fiber gives way. */
  #next: number

  constructor(strategy: Strategy, onDecision: (index: number, of: number) => void) {
    this.#strategy = strategy
    this.isBatched = strategy.isBatched
    this.#onDecision = onDecision
    this.#next = strategy.preemptionFrom(0)
  }

  pick(lanes: ReadonlyArray<Lane>): number {
    const index = this.#strategy.pick(lanes)
    const at = this.#picked++
    if (index !== 0) {
      // First ones are written down only where another follows.
      while (this.#picks.length < at) this.#picks.push(0)
      this.#picks.push(index)
    }
    this.#onDecision(index, lanes.length)
    return index
  }

  /** Counts an operation; true where its fiber gives way before it. Then `preempted` is to be called. */
  isDue(): boolean {
    return this.#operation++ === this.#next
  }

  /** Whether `defers` is worth to be asked. */
  get canDefer(): boolean {
    return this.#strategy.defers !== undefined
  }

  /** Asked after `isDue`, for a fiber that is woken. */
  defers(woken: Lane, running: Lane | undefined): boolean {
    return running !== undefined && running !== woken && this.#strategy.defers!(woken, running)
  }

  preempted(lane: Lane): void {
    const operation = this.#operation - 1
    this.#preemptions.push(operation)
    this.#onDecision(operation, 0)
    this.#strategy.onPreemption?.(lane)
    this.#next = this.#strategy.preemptionFrom(this.#operation)
  }

  get decisions(): Decisions {
    return { picks: this.#picks, preemptions: this.#preemptions, isBatched: this.isBatched }
  }
}
