import { assert, describe, it } from "@effect/vitest"
import { laws } from "../../src/testing/laws/index.ts"
import { unproven } from "../../src/testing/matrix.ts"
import { specimens } from "../../src/testing/specimens/index.ts"
import { matrixPart } from "../support/matrix.ts"

describe("the laws of transports", () => {
  it("have a specimen each", () => {
    assert.deepStrictEqual(unproven(laws, specimens), [])
  })

  it("are those of the catalogue that are not about TLS, producers or codecs", () => {
    const left = (number: number) => (number >= 45 && number <= 50) || (number >= 86 && number <= 94) || number >= 99
    const expected = Array.from({ length: 100 }, (_, i) => i + 1).filter((number) => !left(number))
    assert.deepStrictEqual(laws.map((law) => law.number), expected)
  })
})

matrixPart(1)
