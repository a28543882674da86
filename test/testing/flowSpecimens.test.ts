import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { flowLaws } from "../../src/testing/laws/flow.ts"
import { examineFlow, isGood, judge, unproven } from "../../src/testing/matrix.ts"
import { flowSpecimens } from "../../src/testing/specimens/flow.ts"

describe("the laws of producers", () => {
  it("have a specimen each", () => {
    assert.deepStrictEqual(unproven(flowLaws, flowSpecimens), [])
  })

  it("are those of the catalogue about marks that are told, and about producers", () => {
    assert.deepStrictEqual(flowLaws.map((law) => law.number), [34, 35, 38, 45, 46, 47, 48, 49, 50])
  })

  for (const specimen of flowSpecimens) {
    it.live(`law ${specimen.law} catches: ${specimen.fault}`, () =>
      Effect.gen(function*() {
        const verdicts = yield* examineFlow(specimen)
        const wrong = verdicts
          .map((verdict) => ({ verdict, judgement: judge(specimen, verdict) }))
          .filter(({ judgement }) => !isGood(judgement))
          .map(({ judgement, verdict }) => `law ${verdict.law} ${judgement}: ${verdict.broken}`)
        assert.deepStrictEqual(wrong, [])
      }), 60_000)
  }
})
