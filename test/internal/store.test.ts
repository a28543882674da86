import { assert, describe, it } from "vitest"
import { Fifo, Latest } from "../../src/internal/store.ts"

describe("Fifo", () => {
  it("keeps order and size over thousands of items, taken one by one or all at once", () => {
    const store = new Fifo<number>()
    let next = 0
    let expected = 0
    for (let round = 0; round < 100; round++) {
      for (let i = 0; i < 100; i++) store.push(next++, 2)
      for (let i = 0; i < 70; i++) assert.strictEqual(store.shift(), expected++)
      assert.strictEqual(store.size, store.length * 2)
    }
    assert.deepStrictEqual(store.takeAll(), Array.from({ length: 3000 }, (_, i) => expected + i))
    assert.deepStrictEqual([store.length, store.size], [0, 0])
  })

  it("gives away what it gives: later items do not appear in it", () => {
    const store = new Fifo<number>()
    store.push(1, 1)
    const given = store.takeAll()
    store.push(2, 1)
    assert.deepStrictEqual([given, store.takeAll()], [[1], [2]])
  })
})

describe("Latest", () => {
  it("holds nothing of what has gone, however often a key comes", () => {
    const store = new Latest<string>((item) => item[0])
    store.push("x", 1)
    for (let i = 0; i < 1000; i++) {
      store.push(`k${i}`, 1)
      if (store.length > 3) store.evict()
    }
    assert.deepStrictEqual(store.takeAll(), ["x", "k998", "k999"])
    assert.deepStrictEqual([store.length, store.size], [0, 0])
  })

  it("has nothing to spare when it is empty", () => {
    assert.throws(() => new Latest<string>((item) => item).evict())
  })
})
