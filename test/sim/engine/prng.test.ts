/**
 * The numbers that a seed decides, against what a program in Python made of the published sfc32, FNV-1a and MurmurHash3.
 */
import { assert, describe, it } from "vitest"
import { Prng } from "../../../src/sim/engine/prng.ts"

const take = (prng: Prng, count: number) => Array.from({ length: count }, () => prng.next())

describe("Prng", () => {
  it.each([
    [[0, 0, 0], [0x514676c3, 0x8a809df, 0x30349d2b, 0xfb52c520, 0x38802be1, 0x948279e6]],
    [[1, 2, 3], [0x736a3b41, 0xb2e53014, 0x3d56e4c7, 0xeda6a65f, 0x5843866, 0x42e2d5db]],
    [[0xdeadbeef, 0xffffffff, 0x80000000], [0xd29c5a65, 0x17f4d53b, 0x2f3a8576, 0xb3e2c34b, 0xc0d256d1, 0x85cb833f]]
  ])("is sfc32 with twelve rounds thrown away, from %j", ([a, b, c], expected) => {
    assert.deepStrictEqual(take(new Prng(a!, b!, c!), 6), expected)
  })

  it("is so a million numbers later", () => {
    assert.strictEqual(take(new Prng(1, 2, 3), 1_000_000).at(-1), 0x9c3c8857)
  })

  it.each([
    [0, "schedule", [3734825099, 167865167, 1876972605, 4134450382]],
    [42, "link:a>b", [74728279, 1249051798, 487046019, 2028415840]],
    [Number.MAX_SAFE_INTEGER, "fault:3", [476636050, 899374654, 3999573704, 110810360]]
  ])("has a stream for each seed and name: %i, %s", (seed, name, expected) => {
    assert.deepStrictEqual(take(Prng.of(seed, name), 4), expected)
  })

  it("has fractions of 53 bits, and integers below a bound", () => {
    const fractions = Prng.of(42, "x")
    assert.deepStrictEqual(
      [fractions.fraction(), fractions.fraction(), fractions.fraction()],
      [0.4810094559749145, 0.701420161262402, 0.42917162356977834]
    )
    const below = Prng.of(42, "x")
    assert.deepStrictEqual(Array.from({ length: 8 }, () => below.below(10)), [4, 3, 7, 4, 4, 2, 8, 7])
  })
})
