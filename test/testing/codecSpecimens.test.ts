import { assert, describe, it } from "@effect/vitest"
import * as CodecLaws from "../../src/testing/CodecLaws.ts"
import { codecLaws } from "../../src/testing/codecLaws/index.ts"
import { soundSubjects } from "../../src/testing/codecSound.ts"
import { codecSpecimens } from "../../src/testing/codecSpecimens/index.ts"
import { examineCodec, isGood, judge, unproven } from "../../src/testing/matrix.ts"

describe("the laws of codecs", () => {
  it("are numbered in order", () => {
    assert.deepStrictEqual(codecLaws.map((law) => law.number), codecLaws.map((_, i) => i + 1))
  })

  it("have a specimen each", () => {
    assert.deepStrictEqual(unproven(codecLaws, codecSpecimens), [])
  })

  for (const [name, subject] of Object.entries(soundSubjects)) {
    it(`hold for the ${name} codec that specimens are made of`, () => {
      for (const law of CodecLaws.make<unknown, unknown>(subject)) if (law.missing.length === 0) law.test()
    })
  }

  for (const specimen of codecSpecimens) {
    it(`catch with ${specimen.law}, and with no law that is not excused: ${specimen.fault}`, () => {
      const wrong = examineCodec(specimen)
        .map((verdict) => ({ verdict, judgement: judge(specimen, verdict) }))
        .filter(({ judgement }) => !isGood(judgement))
        .map(({ judgement, verdict }) => `law ${verdict.law} ${judgement}: ${verdict.broken}`)
      assert.deepStrictEqual(wrong, [])
    })
  }
})

describe("CodecLaws.make", () => {
  const [sound] = Object.values(soundSubjects)

  it("says what a subject lacks, and which laws need it", () => {
    const { codec, frames } = sound!
    const cases = CodecLaws.make<unknown, unknown>({ codec, frames })
    const missing = cases.filter(({ missing }) => missing.length > 0)
    assert.deepStrictEqual(missing.map(({ missing, number }) => `${number} ${missing}`), [
      "14 refusals",
      "15 refusals",
      "17 limit",
      "18 limit",
      "19 limit",
      "22 broken",
      "24 skipping,broken",
      "33 time"
    ])
  })

  it("breaks a law where the codec throws, and keeps what was thrown", () => {
    const thrown = new RangeError("no")
    const { codec, frames } = sound!
    const throwing = CodecLaws.make<unknown, unknown>({
      frames,
      codec: (settings) => ({
        ...codec(settings),
        encode: () => {
          throw thrown
        }
      })
    })
    assert.throws(() => throwing[0]!.test(), CodecLaws.LawBroken, "it throws RangeError: no")
    try {
      throwing[0]!.test()
    } catch (error) {
      assert.strictEqual((error as CodecLaws.LawBroken).cause, thrown)
    }
  })

  it("names the mode in which a law is broken", () => {
    const { codec } = sound!
    const cases = CodecLaws.make<unknown, unknown>({
      ...sound!,
      codec: (settings) => codec(settings.onBroken === "skip" ? { ...settings, bytesMax: 7 } : settings)
    })
    assert.throws(() => cases[16]!.test(), CodecLaws.LawBroken, /^onBroken skip: /)
  })
})
