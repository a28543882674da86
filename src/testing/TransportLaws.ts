/**
 * The laws that every transport obeys, as tests for any transport and any test runner.
 *
 * Give a `Subject`, at the least a maker of connected pairs, and run the effects that come back: each is complete in
 * itself and fails with `LawBroken` when its law does not hold. The laws see a transport through its public interface
 * alone, so it may be made with `Wire.toTransport` or in any other way. No law fails because a machine is slow.
 * `effect-transport/vitest` makes tests of them.
 */
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import * as TestClock from "effect/testing/TestClock"
import { makeBench } from "./bench.ts"
import { has, LawBroken } from "./law.ts"
import type { Law, Need, Subject } from "./law.ts"
import { laws } from "./laws/index.ts"

export {
  /**
   * A law was broken; `detail` says what was seen.
   *
   * @category errors
   * @since 0.1.0
   */
  LawBroken
} from "./law.ts"
export type { Capabilities, Clogged, Exhaustion, FailingOpen, ListenerSubject, Need, Pair, Subject } from "./law.ts"

/**
 * One law held against one subject. `test` makes all that it needs and leaves nothing behind, so it can be run again.
 *
 * @category models
 * @since 0.1.0
 */
export interface Case {
  readonly number: number
  readonly name: string
  /** Where the test counts lower than the catalogue of laws: what, and why. */
  readonly lowered: string | undefined
  /** What the subject lacks; then `test` is not to be run. */
  readonly missing: ReadonlyArray<Need>
  readonly test: Effect.Effect<void, LawBroken>
}

/**
 * All laws, held against the subject.
 *
 * **When to use**
 *
 * Use to prove a transport of your own, in a test runner other than vitest or in a program.
 *
 * **Details**
 *
 * What the subject has decides which laws apply. `pair` gives both ends of a new connection, made with the options that it
 * is given, and lets go of them at the end of its scope. `capabilities` says what the medium can show: claim what it
 * can, and the laws hold you to it. `listener`, `failingOpens` and `resources` each bring the laws that need them; where
 * `resources` counts what a connection holds (`process.getActiveResourcesInfo()`, say), leaks are found. A case whose
 * `missing` is not empty needs what the subject does not have; do not run it, and list it.
 *
 * A subject with `virtualTime` runs under a `TestClock` of its own, all laws in some seconds. A real one takes about half
 * a minute, most of it waiting. What does not come to an end is given up after ten seconds and breaks its law.
 *
 * **Gotchas**
 *
 * Run the cases one after another where the subject has `resources`: some laws compare what is held before and after. The
 * law about garbage (84) needs `globalThis.gc`: run node with `--expose-gc`.
 *
 * **Example** (Judging a transport)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { TestTransport } from "effect-transport"
 * import { TransportLaws } from "effect-transport/testing"
 *
 * const laws = TransportLaws.make({
 *   // In place of it: what connects two ends of yours.
 *   pair: (options) => TestTransport.pair(options),
 *   capabilities: { halfClose: true, reset: true, virtualTime: true }
 * })
 *
 * const judge = Effect.forEach(laws.filter((law) => law.number >= 10 && law.number <= 13), (law) =>
 *   law.missing.length > 0
 *     ? Effect.succeed(`${law.number} left out: ${law.missing}`)
 *     : Effect.match(law.test, {
 *       onSuccess: () => `${law.number} holds`,
 *       onFailure: ({ detail }) => `${law.number} BROKEN: ${detail}`
 *     }))
 *
 * await Effect.runPromise(judge) // => ["10 holds", "11 holds", "12 holds", "13 holds"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (subject: Subject): ReadonlyArray<Case> =>
  laws.map((law): Case => ({
    number: law.number,
    name: `law ${law.number}: ${law.title}`,
    lowered: law.lowered,
    missing: (law.needs ?? []).filter((need) => !has(subject, need)),
    test: run(law, subject)
  }))

const run = (law: Law, subject: Subject): Effect.Effect<void, LawBroken> => {
  const test = Effect.scoped(Effect.suspend(() => law.test(makeBench(subject)))).pipe(
    Effect.catchTag(
      "TransportError",
      (error) => Effect.fail(new LawBroken({ detail: `unexpected: ${error.message}` }))
    ),
    // Laws lose bytes on purpose, and transports say so.
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.catchDefect((defect) => Effect.fail(new LawBroken({ detail: `died: ${defect}` })))
  )
  // @effect-diagnostics-next-line strictEffectProvide:off
  return subject.capabilities.virtualTime === true ? Effect.provide(test, TestClock.layer()) : test
}
