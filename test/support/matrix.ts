/**
 * The matrix of laws and specimens as tests, in parts that vitest can run side by side.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { examine, isGood, judge } from "../../src/testing/matrix.ts"
import { specimens } from "../../src/testing/specimens/index.ts"

const parts = 4

/** Every so manyth specimen, held against all laws. */
export const matrixPart = (part: 1 | 2 | 3 | 4) =>
  describe(`the laws of transports, part ${part} of ${parts}`, () => {
    for (const specimen of specimens.filter((_, i) => i % parts === part - 1)) {
      it.live(`law ${specimen.law} catches: ${specimen.fault}`, () =>
        Effect.gen(function*() {
          const verdicts = yield* examine(specimen)
          const wrong = verdicts
            .map((verdict) => ({ verdict, judgement: judge(specimen, verdict) }))
            .filter(({ judgement }) => !isGood(judgement))
            .map(({ judgement, verdict }) => `law ${verdict.law} ${judgement}: ${verdict.broken}`)
          assert.deepStrictEqual(wrong, [])
        }), 120_000)
    }
  })
