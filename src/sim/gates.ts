/**
 * Where something of outside is let into a world, by name: it runs with the real sources, and the world stands still
 * until it has answered.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { waitsOn } from "../internal/waiting.ts"
import type { Engine } from "./engine/engine.ts"

/** What came of what was let in. */
export type Outcome =
  | { readonly _tag: "Value"; readonly value: unknown }
  | { readonly _tag: "Error"; readonly error: unknown }

/** The same, and whether it was a promise. */
export interface Answer {
  readonly isLate: boolean
  readonly outcome: Outcome
}

/** A promise that the world waits for. */
export interface Awaited {
  /** Nothing where the answer is known from an earlier run. */
  readonly promise: PromiseLike<unknown> | undefined
  readonly answer: (outcome: Outcome) => void
}

export class Gates {
  /** What was answered, in the order of the starts. */
  readonly answers: Array<Answer> = []
  readonly #engine: Engine
  readonly #canWait: boolean
  readonly #known: ReadonlyArray<Answer> | undefined
  readonly #outside: <A>(run: () => A) => A
  readonly #onEscape: (source: string, host: string) => void
  #count = 0
  #awaited: Array<Awaited> = []

  constructor(options: {
    readonly engine: Engine
    /** Promises may be waited for. */
    readonly canWait: boolean
    /** The answers of an earlier run, which are given again: nothing is let in. */
    readonly known: ReadonlyArray<Answer> | undefined
    readonly outside: <A>(run: () => A) => A
    readonly onEscape: (source: string, host: string) => void
  }) {
    this.#engine = options.engine
    this.#canWait = options.canWait
    this.#known = options.known
    this.#outside = options.outside
    this.#onEscape = options.onEscape
  }

  /** Lets it in. `resume` is called once, or never where the run ends of it. */
  pass(name: string, host: string, run: () => unknown, resume: (outcome: Outcome) => void): void {
    const { recording } = this.#engine
    const index = this.#count++
    recording.add("gate", host, { note: name })
    const { cause } = recording
    const found = this.#known === undefined ? this.#outside(() => answerOf(run)) : this.#known[index]
    if (found === undefined) return this.#onEscape(`gate "${name}"`, host)
    if (!isPromise(found)) {
      this.answers[index] = found
      if (!found.isLate) return resume(found.outcome)
    }
    const promise = isPromise(found) ? found.promise : undefined
    if (!this.#canWait && promise !== undefined) {
      // Nobody will hear how it ends.
      this.#outside(() => promise.then(nothing, nothing))
      return this.#onEscape(`gate "${name}", a promise,`, host)
    }
    this.#engine.isHeld = true
    this.#awaited.push({
      promise,
      answer: (outcome) => {
        this.answers[index] = { isLate: true, outcome }
        this.#engine.microtask(() => {
          recording.cause = cause
          recording.add("gate", host, { note: `${name} answers` })
          resume(outcome)
        })
      }
    })
  }

  /** What the world waits for, in the order of the starts. It goes on when all of it has been answered. */
  takeAwaited(): ReadonlyArray<Awaited> {
    this.#engine.isHeld = false
    const awaited = this.#awaited
    this.#awaited = []
    return awaited
  }

  /** Gives the answers of an earlier run; false where one is not known. */
  answerKnown(): boolean {
    const awaited = this.takeAwaited()
    const from = this.#count - awaited.length
    return awaited.every(({ answer }, i) => {
      const known = this.#known?.[from + i]
      if (known !== undefined) answer(known.outcome)
      return known !== undefined
    })
  }
}

type Found = Answer | { readonly promise: PromiseLike<unknown> }

const isPromise = (found: Found): found is { readonly promise: PromiseLike<unknown> } => "promise" in found

const answerOf = (run: () => unknown): Found => {
  try {
    const value = run()
    return isThenable(value) ? { promise: value } : { isLate: false, outcome: { _tag: "Value", value } }
  } catch (error) {
    return { isLate: false, outcome: { _tag: "Error", error } }
  }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && "then" in value && typeof value.then === "function"

const nothing = () => {}

/** The way out of the world that a fiber is in. */
export const CurrentGate = Context.Reference<
  ((name: string, run: () => unknown, resume: (outcome: Outcome) => void) => void) | undefined
>("effect-transport/sim/CurrentGate", { defaultValue: () => undefined })

export const passing = <A, E>(
  name: string,
  run: () => unknown,
  onError: (error: unknown) => Effect.Effect<never, E>
): Effect.Effect<A, E> =>
  Effect.withFiber((fiber) => {
    const pass = fiber.getRef(CurrentGate)
    if (pass === undefined) return Effect.die(new Error(`the gate "${name}" is outside of a world`))
    const waiting = Effect.callback<A, E>((resume) =>
      pass(name, run, (outcome) =>
        resume(outcome._tag === "Value" ? Effect.succeed(outcome.value as A) : onError(outcome.error)))
    )
    return waitsOn(waiting, `the gate "${name}"`)
  })
