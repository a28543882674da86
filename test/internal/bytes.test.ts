import { assert, describe, it } from "vitest"
import { concat } from "../../src/internal/bytes.ts"

const bytes = (length: number, of: number) => new Uint8Array(length).fill(of)

describe("concat", () => {
  it("joins pieces in their order, and copies no single one", () => {
    assert.deepStrictEqual(Array.from(concat([bytes(2, 1), bytes(0, 2), bytes(1, 3)])), [1, 1, 3])
    const only = bytes(1, 1)
    assert.strictEqual(concat([only]), only)
    assert.strictEqual(concat([]).length, 0)
  })
})
