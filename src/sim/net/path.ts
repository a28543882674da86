/**
 * One way between two hosts: how long what is sent takes, how much goes a second, and whether anything goes at all.
 */
import type { Engine } from "../engine/engine.ts"
import type { Lane, Owner } from "../engine/lanes.ts"
import type { Prng } from "../engine/prng.ts"
import type { Latency, LinkSettings } from "./settings.ts"

/** What keeps its order on the way. */
export interface Carried {
  readonly lane: Lane
  /** When the latest of it arrives: nothing overtakes. */
  arrivesNs: number
  /** What holds it up beyond the path. */
  readonly shape?: Shape | undefined
  /** Something of it is lost for good. Without this the path keeps it until it is free again. */
  readonly onLost?: (() => void) | undefined
}

/** What holds up one direction of a connection, beyond its path. */
export class Shape {
  /** For what comes next alone. */
  onceNs = 0
  jitter: (() => number) | undefined = undefined
  bytesPerSecond = Infinity
  #freeNs = 0

  departsNs(fromNs: number, bytes: number): number {
    if (this.bytesPerSecond === Infinity || bytes === 0) return fromNs
    return this.#freeNs = Math.max(fromNs, this.#freeNs) + Math.ceil(bytes * 1e9 / this.bytesPerSecond)
  }

  takeExtraNs(): number {
    const ns = this.onceNs + (this.jitter?.() ?? 0)
    this.onceNs = 0
    return ns
  }
}

/** TCP tries again after 200 ms, and then after twice as long each time, up to 120 s (RFC 6298; as Linux does it). */
const retryFirstNs = 200e6
const retryMaxNs = 120e9

/** Something that could not go when it was sent. */
interface Held {
  readonly bytes: number
  readonly run: () => void
  readonly extraNs: number
  /** When it was sent and lost; nothing where it only waits behind others. */
  readonly sinceNs: number | undefined
}

/** What waits of one thing that keeps its order. */
interface Waiting {
  readonly held: Array<Held>
  /** The time of the next try is known. */
  isTrying: boolean
}

/** The first time from now on at which TCP tries. */
const nextTryNs = (sinceNs: number, nowNs: number): number => {
  let tryNs = sinceNs
  for (let wait = retryFirstNs; tryNs < nowNs; wait = Math.min(2 * wait, retryMaxNs)) tryNs += wait
  return tryNs
}

export class Path {
  readonly name: string
  settings: LinkSettings
  readonly #engine: Engine
  readonly #owner: Owner
  readonly #prng: Prng
  /** When the line is free again, where it has a rate. */
  #freeNs = 0
  #blocks = 0
  #losses = 0
  #slowNs = 0
  /** What could not go when it was sent, and what came behind it. */
  readonly #waiting = new Map<Carried, Waiting>()

  constructor(engine: Engine, owner: Owner, name: string, settings: LinkSettings) {
    this.#engine = engine
    this.#owner = owner
    this.name = name
    this.settings = settings
    this.#prng = engine.stream(`link:${name}`)
  }

  get isBlocked(): boolean {
    return this.#blocks > 0
  }

  /** Until as many calls of `unlose`, what is sent is lost for good, and a connection breaks by it. */
  lose(): void {
    this.#losses++
    this.block()
  }

  unlose(): void {
    this.#losses--
    this.unblock()
  }

  /** Each piece takes so much longer; less again with a negative number. */
  slow(byNs: number): void {
    this.#slowNs += byNs
  }

  /** Nothing arrives that is sent from now on. TCP sends it again: when the way is free, it arrives late. */
  block(): void {
    this.#blocks++
  }

  unblock(): void {
    if (--this.#blocks > 0) return
    for (const [carried, waiting] of this.#waiting) if (!waiting.isTrying) this.#try(carried, waiting)
  }

  carry(bytes: number, carried: Carried, run: () => void): void {
    const { nowNs } = this.#engine
    const extraNs = carried.shape?.takeExtraNs() ?? 0
    if (this.#losses > 0 && carried.onLost !== undefined) {
      this.#engine.post(carried.lane, carried.onLost)
      return
    }
    const isBlocked = this.#blocks > 0
    const waiting = this.#waiting.get(carried)
    const held: Held = { bytes, run, extraNs, sinceNs: isBlocked ? nowNs : undefined }
    if (waiting !== undefined) waiting.held.push(held)
    else if (isBlocked) this.#waiting.set(carried, { held: [held], isTrying: false })
    else this.#carryFrom(nowNs, bytes, carried, extraNs, run)
  }

  /** All goes whose time to be tried again is now; the line is free for others until then. */
  #try(carried: Carried, waiting: Waiting): void {
    const { nowNs } = this.#engine
    const { held } = waiting
    while (held.length > 0) {
      const { bytes, extraNs, run, sinceNs } = held[0]!
      const tryNs = sinceNs === undefined ? nowNs : nextTryNs(sinceNs, nowNs)
      if (tryNs > nowNs) {
        waiting.isTrying = true
        this.#engine.at(tryNs, this.#owner, () => {
          waiting.isTrying = false
          if (this.#blocks === 0) this.#try(carried, waiting)
        }, carried.lane)
        return
      }
      held.shift()
      this.#carryFrom(nowNs, bytes, carried, extraNs, run)
    }
    this.#waiting.delete(carried)
  }

  #carryFrom(fromNs: number, bytes: number, carried: Carried, extraNs: number, run: () => void): void {
    const { bytesPerSecond, jitterNanos, latency } = this.settings
    let departsNs = fromNs
    if (bytesPerSecond !== undefined && bytes > 0) {
      departsNs = this.#freeNs = Math.max(fromNs, this.#freeNs) + Math.ceil(bytes * 1e9 / bytesPerSecond)
    }
    departsNs = carried.shape?.departsNs(departsNs, bytes) ?? departsNs
    const jitterNs = jitterNanos === 0 ? 0 : Math.floor(this.#prng.fraction() * jitterNanos)
    const arrivesNs = departsNs + drawn(latency, this.#prng) + jitterNs + this.#slowNs + extraNs
    carried.arrivesNs = Math.max(arrivesNs, carried.arrivesNs)
    this.#engine.at(carried.arrivesNs, this.#owner, run, carried.lane)
  }
}

const drawn = (latency: Latency, prng: Prng): number => {
  switch (latency._tag) {
    case "fixed":
      return latency.nanos
    case "uniform":
      return latency.minNanos + Math.floor(prng.fraction() * (latency.maxNanos - latency.minNanos))
    case "exponential":
      return latency.minNanos + Math.floor(-logarithm(1 - prng.fraction()) * (latency.meanNanos - latency.minNanos))
    case "longTail":
      return prng.chance(latency.tailProbability)
        ? latency.maxNanos + Math.floor(prng.fraction() * (latency.tailNanos - latency.maxNanos))
        : latency.minNanos + Math.floor(prng.fraction() * (latency.maxNanos - latency.minNanos))
  }
}

/** Of a number in (0, 1], by additions and multiplications alone: `Math.log` may differ between engines in its last bit. */
const logarithm = (value: number): number => {
  let halvings = 0
  while (value < 0.75) {
    value *= 2
    halvings++
  }
  // ln(x) = 2 artanh((x - 1) / (x + 1))
  const ratio = (value - 1) / (value + 1)
  const square = ratio * ratio
  let sum = 0
  for (let term = 21; term >= 1; term -= 2) sum = sum * square + 1 / term
  return 2 * ratio * sum - halvings * Math.LN2
}
