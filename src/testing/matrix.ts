/**
 * Laws against specimens: does each law catch the transport, the codec or the consumer that was broken for it, and only what it must?
 */
import * as Effect from "effect/Effect"
import type { CodecSpecimen } from "./codecLaw.ts"
import * as CodecLaws from "./CodecLaws.ts"
import type { Specimen as FlowSpecimen } from "./flow.ts"
import type { LawBroken, Specimen } from "./law.ts"
import * as ProducerLaws from "./ProducerLaws.ts"
import * as TransportLaws from "./TransportLaws.ts"

/** What a law said of a specimen. */
export interface Verdict {
  readonly law: number
  /** Why the law was broken; undefined when it holds, null when the specimen lacks what the law needs. */
  readonly broken: string | undefined | null
}

/** How a verdict compares with what the specimen says of itself. */
export type Judgement = "caught" | "holds" | "excused" | "left out" | "missed" | "unexpected" | "stale excuse"

/** Holds all laws against the specimen. */
export const examine = (specimen: Specimen): Effect.Effect<ReadonlyArray<Verdict>> =>
  hold(TransportLaws.make(specimen.subject))

/** Holds the laws of producers against the specimen. */
export const examineFlow = (specimen: FlowSpecimen): Effect.Effect<ReadonlyArray<Verdict>> =>
  hold(ProducerLaws.make(specimen.subject))

interface Case {
  readonly number: number
  readonly missing: ReadonlyArray<unknown>
  readonly test: Effect.Effect<void, LawBroken>
}

const hold = (cases: ReadonlyArray<Case>): Effect.Effect<ReadonlyArray<Verdict>> =>
  Effect.forEach(cases, (law): Effect.Effect<Verdict> =>
    law.missing.length > 0
      ? Effect.succeed({ law: law.number, broken: null })
      : Effect.match(law.test, {
        onSuccess: () => ({ law: law.number, broken: undefined }),
        onFailure: (error) => ({ law: law.number, broken: error.detail })
      }))

/** Holds all laws of codecs against the specimen. */
export const examineCodec = (specimen: CodecSpecimen): ReadonlyArray<Verdict> =>
  CodecLaws.make<unknown, unknown>(specimen.subject).map(({ missing, number, test }) => ({
    law: number,
    broken: missing.length > 0 ? null : whyBroken(test)
  }))

const whyBroken = (test: () => void): string | undefined => {
  try {
    test()
    return undefined
  } catch (error) {
    if (error instanceof CodecLaws.LawBroken) return error.detail
    throw error
  }
}

export const judge = (specimen: Pick<Specimen, "law" | "alsoBreaks">, verdict: Verdict): Judgement => {
  const isExcused = specimen.alsoBreaks?.[verdict.law] !== undefined
  if (verdict.law === specimen.law) return typeof verdict.broken === "string" ? "caught" : "missed"
  if (verdict.broken === null) return isExcused ? "stale excuse" : "left out"
  if (verdict.broken === undefined) return isExcused ? "stale excuse" : "holds"
  return isExcused ? "excused" : "unexpected"
}

export const isGood = (judgement: Judgement): boolean =>
  judgement === "caught" || judgement === "holds" || judgement === "excused" || judgement === "left out"

/** Laws that no specimen shows to notice anything. */
export const unproven = (
  laws: ReadonlyArray<{ readonly number: number }>,
  specimens: ReadonlyArray<{ readonly law: number }>
): ReadonlyArray<number> =>
  laws.map((law) => law.number).filter((number) => !specimens.some((specimen) => specimen.law === number))
