import { assert, describe, it } from "vitest"
import { TokenBucket } from "../../src/internal/tokenBucket.ts"

describe("TokenBucket", () => {
  it("gives a burst, and then by the rate", () => {
    const bucket = new TokenBucket(100, 10)
    for (let i = 0; i < 10; i++) {
      assert.strictEqual(bucket.waitMillis(1, 0), 0)
      bucket.spend(1)
    }
    assert.strictEqual(bucket.waitMillis(1, 0), 10)
    assert.strictEqual(bucket.waitMillis(5, 0), 50)
    assert.strictEqual(bucket.waitMillis(5, 30), 20)
    assert.strictEqual(bucket.waitMillis(5, 50), 0)
  })

  it("gives more than a burst on credit, when it is full", () => {
    const bucket = new TokenBucket(100, 10)
    assert.strictEqual(bucket.waitMillis(100, 0), 0)
    bucket.spend(100)
    assert.strictEqual(bucket.waitMillis(1, 0), 910)
  })

  it("saves no more than a burst, and loses nothing to a clock that is set back", () => {
    const bucket = new TokenBucket(100, 10)
    bucket.spend(10)
    assert.strictEqual(bucket.waitMillis(10, 0), 100)
    assert.strictEqual(bucket.waitMillis(10, -1000), 100)
    assert.strictEqual(bucket.waitMillis(10, 1_000_000), 0)
    bucket.spend(10)
    assert.strictEqual(bucket.waitMillis(1, 1_000_000), 10)
  })
})
