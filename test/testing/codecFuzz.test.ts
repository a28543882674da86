import { assert, describe, it } from "@effect/vitest"
import { fuzzSeed, makeFuzz } from "../../src/testing/codecFuzz.ts"
import { brokenDecoder } from "../../src/testing/codecSound.ts"
import { codecSubjects } from "../support/codecSubjects.ts"

const bytesOfAll = 1_000_000

/** `npm run fuzz` reads as many bytes as one likes. */
describe("a million random bytes", () => {
  const names = Object.keys(codecSubjects)
  for (const name of names) {
    it(`are read well: ${name}`, () => {
      const fuzz = makeFuzz(codecSubjects[name]!)
      for (let index = 0, bytes = 0; bytes < bytesOfAll / names.length; index++) {
        bytes += fuzz.run(fuzzSeed(1, name, index))
      }
    })
  }

  it("show what is rare", () => {
    const rare = makeFuzz(brokenDecoder((decoder) => ({
      // Wrong for one piece in many.
      decode: (bytes, out, max) => {
        const isRare = bytes !== undefined && bytes.length > 90 && bytes[0] === 98 && bytes[1] === 255
        return decoder.decode(isRare ? bytes.subarray(1) : bytes, out, max)
      }
    })))
    assert.throws(() => {
      for (let index = 0; index < 2000; index++) rare.run(fuzzSeed(1, "rare", index))
    })
  })

  it("are the same for the same seed", () => {
    const [name] = names
    const fuzz = makeFuzz(codecSubjects[name!]!)
    const some = Array.from({ length: 50 }, (_, index) => fuzz.run(fuzzSeed(7, name!, index)))
    assert.deepStrictEqual(some, Array.from({ length: 50 }, (_, index) => fuzz.run(fuzzSeed(7, name!, index))))
    assert.isAbove(new Set(some).size, 25)
  })
})
