/**
 * The laws that every transport obeys, as tests for any transport and any test runner.
 *
 * Give a `Subject`, at the least a maker of connected pairs, and run the effects that come back: each is complete in
 * itself and fails with `LawBroken` when its law does not hold. `effect-transport/vitest` makes tests of them.
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
 * One law held against one subject.
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
 * **Details**
 *
 * A case whose `missing` is not empty needs something that the subject does not have, and is there so that a runner can
 * list it. A subject with `virtualTime` runs under a `TestClock` of its own.
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
