/**
 * What every native port can do beside its bytes.
 */
import * as Effect from "effect/Effect"
import type { Device } from "../../SerialBinding.ts"
import * as TransportError from "../../TransportError.ts"
import { baudRateMax, type NativePort, standingReasonOf } from "./native.ts"

/** Of one port, whose errors name it. */
export interface Identity {
  /** The string form of the endpoint. */
  readonly name: string
  readonly path: string
}

/** A call of the bindings. Nothing takes it back, so an interruption waits for it. */
export const call = <A>(
  { name, path }: Identity,
  feature: string,
  run: () => Promise<A>
): Effect.Effect<A, TransportError.TransportError> =>
  Effect.uninterruptible(Effect.tryPromise({
    try: run,
    catch: (cause) => TransportError.make("control", name, standingReasonOf(cause, path, feature), { cause })
  }))

export const linesOf = (native: NativePort, identity: Identity): Pick<Device, "lines" | "setLines"> => {
  const get = call(identity, "a modem line", () => native.get())
  return {
    lines: Effect.map(get, ({ cts, dcd, dsr }) => ({ cts, dsr, dcd })),
    // The bindings also set the latency mode of the driver each time: it is to stay as it is.
    setLines: ({ break: brk, dtr, rts }) =>
      Effect.flatMap(
        get,
        ({ lowLatency = false }) =>
          call(identity, brk ? "a break" : "a modem line", () => native.set({ dtr, rts, brk, lowLatency }))
      )
  }
}

export const setBaudRateOf = (native: NativePort, identity: Identity): Device["setBaudRate"] => (baudRate) =>
  baudRate > baudRateMax
    ? Effect.fail(
      TransportError.make(
        "control",
        identity.name,
        new TransportError.Unsupported({ feature: `a rate of ${baudRate} baud` })
      )
    )
    : call(identity, `a rate of ${baudRate} baud`, () => native.update({ baudRate }))

// ---------------------------------------------------------------------------------------------------------------------
// Draining
// ---------------------------------------------------------------------------------------------------------------------

type Done = (cause?: unknown) => void

/**
 * How many ports may drain at a time: half of the threads that Node has for files, names and all else. A device that is
 * told to stop keeps its thread until it is flushed or goes on.
 */
const drainsMax = Math.max(1, Math.floor((Number(process.env.UV_THREADPOOL_SIZE) || 4) / 2))
let draining = 0
const line: Array<() => void> = []

const begin = (run: () => void): void => {
  if (draining === drainsMax) return void line.push(run)
  draining++
  run()
}

const end = (): void => {
  const next = line.shift()
  if (next === undefined) draining--
  else next()
}

/**
 * The drains of one port, of which one is under way at a time: whoever comes meanwhile waits for the next one, all of them
 * together, since what they wrote may have come too late for the first.
 */
export class Drains {
  readonly #native: NativePort
  #isUnderWay = false
  readonly #waiting = new Set<Done>()
  /** Those whom the drain is for that is under way. */
  readonly #served = new Set<Done>()

  constructor(native: NativePort) {
    this.#native = native
  }

  /** `done` is called once, unless it is withdrawn by what this answers with. */
  ask(done: Done): () => void {
    // One of its own, since somebody may ask twice.
    const entry: Done = (cause) => done(cause)
    this.#waiting.add(entry)
    this.#go()
    return () => {
      this.#waiting.delete(entry)
      this.#served.delete(entry)
    }
  }

  #go(): void {
    if (this.#isUnderWay || this.#waiting.size === 0) return
    this.#isUnderWay = true
    begin(() => {
      for (const done of this.#waiting) this.#served.add(done)
      this.#waiting.clear()
      const settle = (cause?: unknown) => {
        end()
        this.#isUnderWay = false
        const served = [...this.#served]
        this.#served.clear()
        for (const done of served) done(cause)
        this.#go()
      }
      // All of them were withdrawn while others drained.
      if (this.#served.size === 0) settle()
      else this.#native.drain().then(() => settle(), (cause) => settle(cause ?? new Error("the drain failed")))
    })
  }
}

export const drainOf = (drains: Drains, { name, path }: Identity): Device["drain"] =>
  Effect.callback((resume) => {
    const withdraw = drains.ask((cause) =>
      resume(
        cause === undefined
          ? Effect.void
          : Effect.fail(TransportError.make("control", name, standingReasonOf(cause, path, "draining"), { cause }))
      )
    )
    return Effect.sync(withdraw)
  })
