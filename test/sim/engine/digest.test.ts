/**
 * The hash of bytes, against the vectors that are published for MurmurHash3 (x86, 32 bits, seed 0).
 */
import { assert, describe, it } from "vitest"
import { Digest, hashBytes } from "../../../src/sim/engine/digest.ts"

const text = (value: string) => new TextEncoder().encode(value)

describe("hashBytes", () => {
  it.each([
    [[], 0],
    [[0x00], 0x514e28b7],
    [[0x00, 0x00], 0x30f4c306],
    [[0x00, 0x00, 0x00], 0x85f0b427],
    [[0x00, 0x00, 0x00, 0x00], 0x2362f9de],
    [[0xff, 0xff, 0xff, 0xff], 0x76293b50],
    [[0x21, 0x43, 0x65, 0x87], 0xf55b516b],
    [[0x21, 0x43, 0x65], 0x7e4a8634],
    [[0x21, 0x43], 0xa0f7b07a],
    [[0x21], 0x72661cf4],
    [Array.from(text("a")), 0x3c2569b2],
    [Array.from(text("abc")), 0xb3dd93fa],
    [Array.from(text("hello, world")), 0x149bbb7f],
    [Array.from(text("The quick brown fox jumps over the lazy dog")), 0x2e4ff723],
    [Array.from({ length: 256 }, (_, i) => i), 0xe40a0e56]
  ])("of %j", (bytes, expected) => {
    assert.strictEqual(hashBytes(Uint8Array.from(bytes)), expected)
  })
})

describe("Digest", () => {
  const of = (...parts: ReadonlyArray<number | string>) => {
    const digest = new Digest()
    for (const part of parts) {
      if (typeof part === "string") digest.text(part)
      else digest.number(part)
    }
    return digest.hex
  }

  it("tells apart what is in another order, place or half", () => {
    const all = [
      of(),
      of(0),
      of(0, 0),
      of(1),
      of(2 ** 32),
      of(2 ** 32 + 1),
      of(1, 2),
      of(2, 1),
      of("ab"),
      of("a", "b"),
      of("ba")
    ]
    assert.strictEqual(new Set(all).size, all.length)
  })

  it("changes in both halves with each bit of a number, by the next one", () => {
    const base = of(0, 0)
    for (let bit = 0; bit < 53; bit++) {
      const other = of(2 ** bit, 0)
      assert.notStrictEqual(other.slice(0, 8), base.slice(0, 8))
      assert.notStrictEqual(other.slice(8), base.slice(8))
    }
  })
})
