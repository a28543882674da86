import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { laws } from "../../src/testing/laws/index.ts"
import { examine, isGood, judge, unproven } from "../../src/testing/matrix.ts"
import { specimens } from "../../src/testing/specimens/index.ts"

describe("the laws of transports", () => {
  it("have a specimen each", () => {
    assert.deepStrictEqual(unproven(laws, specimens), [])
  })

  it("are those of the catalogue that are not about TLS, producers or codecs", () => {
    const left = (number: number) => (number >= 45 && number <= 50) || (number >= 86 && number <= 94) || number >= 99
    const expected = Array.from({ length: 100 }, (_, i) => i + 1).filter((number) => !left(number))
    assert.deepStrictEqual(laws.map((law) => law.number), expected)
  })

  for (const specimen of specimens) {
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
