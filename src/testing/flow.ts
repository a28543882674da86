/**
 * What a law of producers and consumers is, what it is held against, and the tools that such laws are written with.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Consumer from "../Consumer.ts"
import type { Producer } from "../Producer.ts"
import { TransportError } from "../TransportError.ts"
import { type Bench, broken, check, makeBench } from "./bench.ts"
import { LawBroken } from "./law.ts"

/**
 * A consumer of bytes with all that is needed to judge it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Judged {
  readonly consumer: Consumer.Consumer<Uint8Array, unknown>
  /** The next of what was written, at the far end; one write at a time where `marks` is claimed. Waits for it. */
  readonly take: Pull.Pull<Uint8Array, unknown>
  /** Ends it, with what was accepted. Waits for its producer. */
  readonly close: Effect.Effect<void, unknown>
  readonly halfClose?: Effect.Effect<void, unknown> | undefined
  /** Ends it now. */
  readonly abort: Effect.Effect<void>
  /** Breaks it from the far end. */
  readonly lose?: Effect.Effect<void> | undefined
  /** New marks for a live one. */
  readonly setMarks?: ((marks: Consumer.Marks) => Effect.Effect<void, unknown>) | undefined
}

/**
 * The options that laws make a consumer with; a subject without `marks` may leave the marks to its medium.
 *
 * @category models
 * @since 0.1.0
 */
export interface JudgedOptions {
  readonly highWaterMark?: number | undefined
  readonly lowWaterMark?: number | undefined
  /** Milliseconds. */
  readonly closeTimeout?: number | undefined
}

/**
 * The consumer that is judged.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subject {
  /** Makes one that lives in the scope. */
  readonly make: (options: JudgedOptions) => Effect.Effect<Judged, unknown, Scope.Scope>
  /** Makes one in front of a consumer, for what stands between; `take` is not asked for. */
  readonly inFront?:
    | ((
      below: Consumer.Consumer<Uint8Array, TransportError>,
      options: JudgedOptions
    ) => Effect.Effect<Consumer.Consumer<Uint8Array, unknown>, unknown, Scope.Scope>)
    | undefined
  readonly capabilities: {
    /** It heeds the marks that it is made with, by the byte. */
    readonly marks: boolean
    /** It runs by Effect's `Clock` alone, so that the laws run under `TestClock`. Default true. */
    readonly virtualTime?: boolean | undefined
  }
}

/**
 * What a law needs of its subject.
 *
 * @category models
 * @since 0.1.0
 */
export type Need = "marks" | "inFront"

/** Whether the subject has what a law needs. */
export const has = (subject: Subject, need: Need): boolean =>
  need === "marks" ? subject.capabilities.marks : subject.inFront !== undefined

/** A law with its test. */
export interface Law {
  /** As in the catalogue of laws. */
  readonly number: number
  readonly title: string
  readonly needs?: ReadonlyArray<Need> | undefined
  readonly test: (bench: FlowBench) => Effect.Effect<void, LawBroken, Scope.Scope>
}

/** A consumer that is broken on purpose, so that one law has something to catch. */
export interface Specimen {
  /** The law that catches it. */
  readonly law: number
  /** What it does wrong. */
  readonly fault: string
  /** The other laws that it cannot help breaking, each with the reason. */
  readonly alsoBreaks?: Readonly<Record<number, string>> | undefined
  readonly subject: Subject
}

// ---------------------------------------------------------------------------------------------------------------------
// Tools
// ---------------------------------------------------------------------------------------------------------------------

/** What a producer was told, in the order of it. */
export type Call = "halfRegister" | "pause" | "resume" | "stop"

/** A producer that writes nothing by itself and keeps a record of its calls. */
export interface Recorder {
  readonly calls: ReadonlyArray<Call>
  readonly producer: Producer<Uint8Array>
  /** How often it was told that. */
  readonly times: (call: Call) => number
  /** It was told to pause, and not to go on since. */
  readonly isPaused: () => boolean
}

export interface FlowBench extends
  Pick<
    Bench,
    "settle" | "moment" | "elapse" | "start" | "startBlocked" | "ended" | "within" | "opens" | "stillWaits"
  >
{
  readonly subject: Subject
  readonly make: (options?: JudgedOptions) => Effect.Effect<Judged, LawBroken, Scope.Scope>
  /** Does `on` when it is told so, after it was recorded. */
  readonly recorder: (on?: { readonly [C in Call]?: Effect.Effect<void> }) => Recorder
  readonly register: (
    judged: Judged,
    recorder: Recorder
  ) => Effect.Effect<void, LawBroken, Scope.Scope>
  /** Writes in the background until the producer is told to pause. Answers with how many bytes were written, or wait. */
  readonly overfill: (judged: Judged, recorder: Recorder) => Effect.Effect<number, LawBroken, Scope.Scope>
  /** Takes at the far end until that many bytes have come. */
  readonly drain: (judged: Judged, bytes: number) => Effect.Effect<void, LawBroken>
}

/** What overfills: larger than what is left of any mark, and enough of it to overcome what a medium takes by itself. */
const pieceBytes = 4096
const piecesMax = 4096

export const makeFlowBench = (subject: Subject): FlowBench => {
  const bench = makeBench({
    pair: () => Effect.die(new Error("laws of producers make no pairs")),
    capabilities: { halfClose: false, reset: false, virtualTime: subject.capabilities.virtualTime !== false }
  })

  const overfill: FlowBench["overfill"] = (judged, recorder) =>
    Effect.gen(function*() {
      let bytes = 0
      for (let piece = 0; piece < piecesMax && !recorder.isPaused(); piece++) {
        bytes += pieceBytes
        const writing = yield* bench.start(judged.consumer.write(new Uint8Array(pieceBytes)))
        yield* bench.moment
        if (writing.pollUnsafe() === undefined) yield* bench.settle
        yield* checkSound("a write that fills the consumer", writing)
      }
      yield* check(recorder.isPaused(), () => `the producer was not paused after ${bytes} bytes that nobody read`)
      return bytes
    })

  const drain: FlowBench["drain"] = (judged, bytes) =>
    Effect.gen(function*() {
      for (let got = 0; got < bytes;) {
        got += (yield* told("reading", bench.within(`reading byte ${got} of ${bytes}`, judged.take))).length
      }
    })

  return {
    ...bench,
    subject,
    make: (options = {}) => told("making a consumer", bench.opens("making a consumer", subject.make(options))),
    recorder: (on = {}) => {
      const calls: Array<Call> = []
      const record = (call: Call) => Effect.andThen(Effect.sync(() => calls.push(call)), on[call] ?? Effect.void)
      return {
        calls,
        times: (call) => calls.filter((one) => one === call).length,
        isPaused: () => calls.findLast((call) => call === "pause" || call === "resume") === "pause",
        producer: {
          halfRegister: () => record("halfRegister"),
          pause: record("pause"),
          resume: record("resume"),
          stop: record("stop")
        }
      }
    },
    register: (judged, { producer }) =>
      told("registering", bench.opens("registering", judged.consumer.register(producer))),
    overfill,
    drain
  }
}

/** What fails where it should not breaks the law. */
export const told = <A, R>(
  what: string,
  effect: Effect.Effect<A, unknown, R>
): Effect.Effect<A, LawBroken, R> =>
  Effect.mapError(
    effect,
    (error) => error instanceof LawBroken ? error : new LawBroken({ detail: `${what}: ${error}` })
  )

/** Breaks the law if this has failed. */
export const checkSound = (what: string, fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<void, LawBroken> => {
  const exit = fiber.pollUnsafe()
  return exit !== undefined && Exit.isFailure(exit) ? broken(`${what} failed: ${exit}`) : Effect.void
}

/** Fails with one of these reasons. */
export const fails = (
  what: string,
  effect: Effect.Effect<unknown, unknown>,
  ...reasons: ReadonlyArray<TransportError["reason"]["_tag"]>
): Effect.Effect<TransportError, LawBroken> =>
  Effect.matchEffect(effect, {
    onSuccess: () => broken(`${what} succeeded in place of ${reasons.join(" or ")}`),
    onFailure: (error) =>
      error instanceof TransportError && reasons.includes(error.reason._tag)
        ? Effect.succeed(error)
        : error instanceof LawBroken
        ? Effect.fail(error)
        : broken(`${what} failed with ${error} in place of ${reasons.join(" or ")}`)
  })

export const checkCalls = (
  what: string,
  { calls }: Recorder,
  ...expected: ReadonlyArray<Call>
): Effect.Effect<void, LawBroken> =>
  check(
    calls.join() === expected.join(),
    () => `${what}: the producer was told "${calls.join(" ")}" in place of "${expected.join(" ")}"`
  )

/** halfRegister, then pause and resume in turn, then at most one stop. */
export const checkGrammar = (what: string, { calls }: Recorder): Effect.Effect<void, LawBroken> =>
  check(
    /^(halfRegister( pause resume)*( pause)?( stop)?)?$/.test(calls.join(" ")),
    () => `${what}: the producer was told "${calls.join(" ")}"`
  )
