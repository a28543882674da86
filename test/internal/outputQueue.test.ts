import { assert, describe, it } from "@effect/vitest"
import { OutputQueue } from "../../src/internal/outputQueue.ts"

const slabBytes = 49_152
const sparesMax = 4

const bytes = (length: number, of: number) => new Uint8Array(length).fill(of)

/** A queue that comes while no slab is spare: others have them. */
const newQueue = () => {
  for (let i = 0; i < sparesMax; i++) new OutputQueue().copy(bytes(1, 0))
  return new OutputQueue()
}

/** What comes out, each run of equal bytes as its value and length. */
const takenFrom = (queue: OutputQueue) => {
  const runs: Array<readonly [of: number, length: number]> = []
  for (const byte of queue.takeAll().flatMap((segment) => Array.from(segment))) {
    const last = runs.at(-1)
    if (last?.[0] === byte) runs[runs.length - 1] = [byte, last[1] + 1]
    else runs.push([byte, 1])
  }
  return runs
}

describe("OutputQueue", () => {
  it("gives out once what it was given, in order, small chunks together and large ones as they are", () => {
    const queue = newQueue()
    const large = bytes(2, 3)
    const small = bytes(2, 1)
    queue.copy(small)
    small.fill(9)
    queue.copy(bytes(3, 2))
    queue.refer(large)
    queue.refer(bytes(0, 0))
    queue.copy(bytes(4, 4))
    const segments = queue.takeAll()
    assert.deepStrictEqual(segments, [new Uint8Array([1, 1, 2, 2, 2]), large, bytes(4, 4)])
    assert.strictEqual(segments[1], large)
    assert.deepStrictEqual(queue.takeAll(), [])
  })

  it("goes on in another slab where one is full", () => {
    const queue = newQueue()
    queue.copy(bytes(slabBytes - 1, 1))
    queue.copy(bytes(slabBytes + 2, 2))
    queue.copy(bytes(1, 3))
    assert.deepStrictEqual(takenFrom(queue), [[1, slabBytes - 1], [2, slabBytes + 2], [3, 1]])
  })

  it("fills its slab anew once all of it has left", () => {
    const queue = newQueue()
    queue.copy(bytes(3, 1))
    const [first] = queue.takeAll()
    queue.reuseSlabs()
    queue.copy(bytes(3, 2))
    const [second] = queue.takeAll()
    assert.strictEqual(second!.buffer, first!.buffer)
    assert.strictEqual(second!.byteOffset, first!.byteOffset)
  })

  it("gives its slab to another queue, and has it no more", () => {
    const [one, other] = [newQueue(), newQueue()]
    one.copy(bytes(3, 1))
    one.takeAll()
    one.reuseSlabs()
    other.copy(bytes(3, 2))
    one.copy(bytes(3, 3))
    assert.deepStrictEqual(takenFrom(other), [[2, 3]])
    assert.deepStrictEqual(takenFrom(one), [[3, 3]])
  })

  it("overwrites nothing that has not left", () => {
    for (const isSealed of [true, false]) {
      const queue = newQueue()
      queue.copy(bytes(3, 1))
      queue.takeAll()
      queue.copy(bytes(3, 2))
      if (isSealed) queue.refer(bytes(3, 3))
      queue.reuseSlabs()
      queue.copy(bytes(3, 4))
      assert.deepStrictEqual(takenFrom(queue), isSealed ? [[2, 3], [3, 3], [4, 3]] : [[2, 3], [4, 3]])
    }
  })

  it("fills full slabs anew, too, once their last byte has left, and not before", () => {
    const queue = newQueue()
    queue.copy(bytes(2 * slabBytes - 1, 1))
    const slabs = queue.takeAll().map(({ buffer }) => buffer)
    // The last byte of the second one, and most of a third.
    queue.copy(bytes(slabBytes, 2))
    queue.reuseSlabs()
    const other = new OutputQueue()
    other.copy(bytes(2 * slabBytes, 3))
    const reused = other.takeAll().map(({ buffer }) => slabs.indexOf(buffer))
    assert.deepStrictEqual(reused, [0, -1])
    assert.deepStrictEqual(takenFrom(queue), [[2, slabBytes]])
  })

  it("gives away no slab that may still be read from when it is cleared", () => {
    const queue = newQueue()
    queue.copy(bytes(slabBytes + 1, 1))
    const segments = queue.takeAll()
    queue.clear()
    queue.reuseSlabs()
    new OutputQueue().copy(bytes(2 * slabBytes, 2))
    assert.isTrue(segments.every((segment) => segment.every((byte) => byte === 1)))
  })

  it("keeps few slabs to fill anew", () => {
    const queue = newQueue()
    queue.copy(bytes((sparesMax + 1) * slabBytes, 1))
    const slabs = queue.takeAll().map(({ buffer }) => buffer)
    queue.reuseSlabs()
    queue.copy(bytes((sparesMax + 1) * slabBytes, 2))
    const again = queue.takeAll().map(({ buffer }) => buffer)
    assert.strictEqual(again.filter((buffer) => slabs.includes(buffer)).length, sparesMax)
  })

  it("is empty once it is cleared", () => {
    const queue = newQueue()
    queue.copy(bytes(3, 1))
    queue.refer(bytes(3, 2))
    queue.copy(bytes(3, 3))
    queue.clear()
    assert.deepStrictEqual(queue.takeAll(), [])
    queue.copy(bytes(3, 4))
    assert.deepStrictEqual(takenFrom(queue), [[4, 3]])
  })
})
