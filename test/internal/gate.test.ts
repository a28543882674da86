import { assert, describe, it } from "vitest"
import { Gate } from "../../src/internal/gate.ts"

describe("Gate", () => {
  it("wakes who waits when it opens, once, unless that one went away", () => {
    const gate = new Gate()
    let wakes = 0
    gate.close()
    gate.await(() => wakes++)
    gate.open()
    gate.open()
    assert.strictEqual(wakes, 1)
    gate.close()
    gate.await(() => wakes++)
    gate.cancel()
    gate.open()
    assert.deepStrictEqual([wakes, gate.isOpen], [1, true])
  })
})
