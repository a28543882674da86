/**
 * The laws that every codec obeys, as tests for any codec and any test runner.
 *
 * Give a `Subject`, which says how the codec is made and what its frames are, and run the tests that come back: plain
 * functions that throw `LawBroken` when their law does not hold. The laws see a codec through its public interface alone,
 * so it may be a framing or made in any other way. They do the same in every run: chance has a seed, and no clock is asked.
 * `effect-transport/vitest` makes tests of them.
 */
import type { OnBroken } from "../Codec.ts"
import { makeCodecBench } from "./codecBench.ts"
import { type AnySubject, type CodecLaw, has, isFor, modesOf, type Need, type Subject } from "./codecLaw.ts"
import { codecLaws } from "./codecLaws/index.ts"
import { LawBroken } from "./law.ts"

export type { BrokenInput, Limit, Need, Outcome, PassedOver, Settings, Subject } from "./codecLaw.ts"
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
 * One law held against one subject, in each of its modes. `test` throws `LawBroken`; it leaves nothing behind, so it can be
 * run again.
 *
 * @category models
 * @since 0.1.0
 */
export interface Case {
  readonly number: number
  readonly name: string
  /** Where the test counts lower than what the law says: what, and why. */
  readonly lowered: string | undefined
  /** What the subject lacks; then `test` is not to be run. */
  readonly missing: ReadonlyArray<Need>
  readonly test: () => void
}

/**
 * All laws, held against the subject.
 *
 * **When to use**
 *
 * Use to prove a codec of your own, in a test runner other than vitest or in a program.
 *
 * **Details**
 *
 * What the subject has decides which laws apply. `codec` makes the codec by the settings that it is given: in which mode it
 * takes broken frames, and how long frames may be. Each law is held against the codec in each of the subject's `modes`.
 * `frames` makes frames that can all be written; `nasty` and `refused` bring the laws about what cannot, `limit` those about
 * long frames, and `broken` says what is made of input that is not sound. A case whose `missing` is not empty needs what
 * the subject does not have; do not run it, and list it.
 *
 * Of the codec in its modes, the laws read some sound input and some noise, whole and in all pieces; all of them take some
 * tenths of a second.
 *
 * **Example** (Judging a codec)
 *
 * ```ts import.meta.vitest
 * import { Arbitrary, Schema } from "effect"
 * import { Lines } from "effect-transport"
 * import { CodecLaws } from "effect-transport/testing"
 *
 * const laws = CodecLaws.make({
 *   // In place of it: a codec of yours.
 *   codec: ({ bytesMax }) => Lines.codec({ lineBytesMax: bytesMax, tail: "error" }),
 *   frames: Arbitrary.schema(Schema.Literals(["", "one", "two", "\u20ac"])),
 *   refused: ["a\nb"],
 *   limit: { bytes: 20, frame: (bytes) => "x".repeat(bytes) }
 * })
 *
 * const judge = (law: CodecLaws.Case): string => {
 *   if (law.missing.length > 0) return `${law.number} left out: ${law.missing}`
 *   try {
 *     law.test()
 *     return `${law.number} holds`
 *   } catch (error) {
 *     return `${law.number} BROKEN: ${(error as CodecLaws.LawBroken).detail}`
 *   }
 * }
 *
 * laws.filter(({ number }) => number >= 16 && number <= 19).map(judge) // => ["16 holds", "17 holds", "18 holds", "19 holds"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <In, Out>(subject: Subject<In, Out>): ReadonlyArray<Case> => {
  // The laws hand the subject only frames that it made itself.
  const any = subject as unknown as AnySubject
  return codecLaws.map((law): Case => ({
    number: law.number,
    name: `law C${law.number}: ${law.title}`,
    lowered: law.lowered,
    missing: (law.needs ?? []).filter((need) => !has(any, need)),
    test: () => {
      const modes = modesOf(any).filter((mode) => isFor(law.needs ?? [], mode))
      for (const mode of modes) run(law, any, mode, modes.length > 1)
    }
  }))
}

const run = (law: CodecLaw, subject: AnySubject, mode: OnBroken, isOneOfSeveral: boolean): void => {
  const where = isOneOfSeveral ? `onBroken ${mode}: ` : ""
  try {
    law.test(makeCodecBench(subject, mode))
  } catch (cause) {
    if (cause instanceof LawBroken) throw new LawBroken({ ...cause, detail: `${where}${cause.detail}` })
    throw new LawBroken({ detail: `${where}it throws ${cause}`, cause })
  }
}
