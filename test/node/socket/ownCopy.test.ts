import { assert, describe, it } from "vitest"
import { ownCopy } from "../../../src/node/socket/ownCopy.ts"

const bytes = (length: number, of: number) => new Uint8Array(length).fill(of)

describe("ownCopy", () => {
  it("shares no byte with what it is a copy of, nor with another copy", () => {
    const copies: Array<Uint8Array> = []
    for (let i = 0; i < 5000; i++) {
      const source = bytes(i % 50 === 0 ? 3000 : i % 40, i % 256)
      copies.push(ownCopy(source))
      source.fill(255)
    }
    for (const [i, copy] of copies.entries()) {
      assert.strictEqual(copy.length, i % 50 === 0 ? 3000 : i % 40)
      assert.isTrue(copy.every((byte) => byte === i % 256))
    }
  })

  it("pins little memory", () => {
    const copies = Array.from({ length: 1000 }, () => ownCopy(bytes(64, 1)))
    const slabs = new Set(copies.map((copy) => copy.buffer))
    assert.isBelow(slabs.size, 20)
    for (const slab of slabs) assert.isAtMost(slab.byteLength, 8192)
  })

  it("can be viewed as numbers", () => {
    ownCopy(bytes(3, 1))
    assert.strictEqual(ownCopy(bytes(8, 1)).byteOffset % 8, 0)
  })

  it("cannot be given away together with the copies of others", () => {
    const [one, other] = [ownCopy(bytes(8, 1)), ownCopy(bytes(8, 2))]
    assert.throws(() => structuredClone(one.buffer, { transfer: [one.buffer] }))
    assert.strictEqual(other.length, 8)
    assert.deepStrictEqual(Array.from(ownCopy(bytes(3, 3))), [3, 3, 3])
  })
})
