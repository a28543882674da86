/**
 * The laws of producers and consumers, as tests for any consumer and any test runner.
 *
 * Give a `Subject`, at the least a maker of consumers of bytes, and run the effects that come back: each is complete in
 * itself and fails with `LawBroken` when its law does not hold. A consumer is judged by what it tells its producer, and
 * by what comes out at its far end. `effect-transport/vitest` makes tests of them.
 */
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import * as TestClock from "effect/testing/TestClock"
import { has, type Law, makeFlowBench, type Need, type Subject } from "./flow.ts"
import { LawBroken } from "./law.ts"
import { flowLaws } from "./laws/flow.ts"

export type { Judged, JudgedOptions, Need, Subject } from "./flow.ts"
export {
  /**
   * A law was broken; `detail` says what was seen.
   *
   * @category errors
   * @since 0.1.0
   */
  LawBroken
} from "./law.ts"

/**
 * One law held against one subject. `test` makes all that it needs and leaves nothing behind, so it can be run again.
 *
 * @category models
 * @since 0.1.0
 */
export interface Case {
  readonly number: number
  readonly name: string
  /** What the subject lacks; then `test` is not to be run. */
  readonly missing: ReadonlyArray<Need>
  readonly test: Effect.Effect<void, LawBroken>
}

/**
 * All laws, held against the subject.
 *
 * **Details**
 *
 * A case whose `missing` is not empty needs what the subject does not have; do not run it, and list it. Subjects run
 * under a `TestClock` of their own unless they say `virtualTime: false`.
 *
 * **Example** (Judging a consumer)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Consumer } from "effect-transport"
 * import { ProducerLaws } from "effect-transport/testing"
 *
 * const laws = ProducerLaws.make({
 *   // In place of it: what makes a consumer of yours.
 *   make: (options) => Effect.map(Consumer.make<Uint8Array>(options), (consumer) => ({ ...consumer, consumer })),
 *   capabilities: { marks: true }
 * })
 *
 * const judge = Effect.forEach(laws, (law) =>
 *   law.missing.length > 0
 *     ? Effect.succeed(`${law.number} left out: ${law.missing}`)
 *     : Effect.match(law.test, {
 *       onSuccess: () => `${law.number} holds`,
 *       onFailure: ({ detail }) => `${law.number} BROKEN: ${detail}`
 *     }))
 *
 * const said = await Effect.runPromise(judge)
 * said.slice(0, 4) // => ["34 holds", "35 holds", "38 left out: inFront", "45 holds"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (subject: Subject): ReadonlyArray<Case> =>
  flowLaws.map((law): Case => ({
    number: law.number,
    name: `law ${law.number}: ${law.title}`,
    missing: (law.needs ?? []).filter((need) => !has(subject, need)),
    test: run(law, subject)
  }))

const run = (law: Law, subject: Subject): Effect.Effect<void, LawBroken> => {
  const test = Effect.scoped(Effect.suspend(() => law.test(makeFlowBench(subject)))).pipe(
    // Laws break consumers on purpose, and they say so.
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.catchDefect((defect) => Effect.fail(new LawBroken({ detail: `died: ${defect}` })))
  )
  // @effect-diagnostics-next-line strictEffectProvide:off
  return subject.capabilities.virtualTime === false ? test : Effect.provide(test, TestClock.layer())
}
