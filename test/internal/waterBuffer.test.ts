import { assert, describe, it } from "vitest"
import { BadSize, type Settings, WaterBuffer, type Writer } from "../../src/internal/waterBuffer.ts"

const make = <A = string>(settings: Partial<Settings<A>> = {}) => {
  const pressure: Array<boolean> = []
  const scheduled: Array<() => void> = []
  let ends = 0
  const buffer = new WaterBuffer<A>({
    marks: { highWaterMark: 4, lowWaterMark: 2 },
    policy: "suspend",
    keyOf: undefined,
    measure: undefined,
    schedule: (run) => scheduled.push(run),
    onPressure: (isFull) => pressure.push(isFull),
    onEnd: () => ends++,
    ...settings
  })
  const turn = () => scheduled.splice(0).forEach((run) => run())
  return { buffer, pressure, turn, ends: () => ends }
}

const writer = <A>(
  items: ReadonlyArray<A>,
  log: Array<string>,
  name: string,
  sizes = items.map(() => 1)
): Writer<A> => ({
  items,
  sizes,
  resume: (fault) => log.push(`${name} ${fault?.by ?? "taken"}`)
})

const fill = (buffer: WaterBuffer<string>, items: string) => {
  for (const item of items) assert.strictEqual(buffer.offer(item), "taken")
}

describe("WaterBuffer: marks", () => {
  it("is full above the high mark and not at it, and flows at the low mark and not above it", () => {
    const { buffer, pressure } = make()
    fill(buffer, "abcd")
    assert.deepStrictEqual(pressure, [])
    fill(buffer, "e")
    assert.deepStrictEqual(pressure, [true])
    buffer.take()
    buffer.take()
    assert.deepStrictEqual([buffer.size, pressure.length], [3, 1])
    buffer.take()
    assert.deepStrictEqual(pressure, [true, false])
  })

  it("tells nothing when what was let in fills it again at once", () => {
    const { buffer, pressure } = make()
    const log: Array<string> = []
    fill(buffer, "abcde")
    buffer.await(writer(["f", "g", "h"], log, "one"))
    for (let i = 0; i < 3; i++) buffer.take()
    assert.deepStrictEqual([buffer.size, log, pressure], [5, ["one taken"], [true]])
  })

  it("tells each turn once to one who drains and fills it from inside", () => {
    const pressure: Array<boolean> = []
    const { buffer } = make<number>({
      onPressure: (isFull) => {
        pressure.push(isFull)
        if (pressure.length > 8) return
        if (isFull) buffer.takeAll()
        else for (let i = 0; i < 5; i++) buffer.offer(i)
      }
    })
    for (let i = 0; i < 5; i++) buffer.offer(i)
    assert.deepStrictEqual(pressure, [true, false, true, false, true, false, true, false, true])
  })

  it("alternates strictly under random writes and reads of any policy", () => {
    let seed = 7
    const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below
    for (const policy of ["suspend", "fail", "dropNewest", "dropOldest", "latest"] as const) {
      const { buffer, pressure } = make<number>({
        policy,
        measure: (size) => size,
        keyOf: policy === "latest" ? (size) => size % 3 : undefined
      })
      for (let step = 0; step < 1000; step++) {
        const size = 1 + random(6)
        if (random(2) === 0) {
          const held = buffer.size
          const answer = buffer.offer(size)
          assert.include<unknown>(["taken", policy === "suspend" ? "wait" : "full"], answer)
          assert.isAtMost(buffer.size, Math.max(4 + size, held), policy)
        } else if (buffer.length > 0) {
          if (random(4) === 0) buffer.takeAll()
          else buffer.take()
        }
        assert.strictEqual(buffer.isFull, pressure.at(-1) ?? false)
        if (buffer.size > 4) assert.isTrue(buffer.isFull)
        if (buffer.size <= 2) assert.isFalse(buffer.isFull)
      }
      assert.isAbove(pressure.length, 50)
      pressure.forEach((isFull, i) => assert.strictEqual(isFull, i % 2 === 0))
    }
  })

  it("with a high mark of 0 is full with any item, and takes one at a time", () => {
    const { buffer, pressure } = make({ marks: { highWaterMark: 0, lowWaterMark: 0 } })
    assert.strictEqual(buffer.offer("a"), "taken")
    assert.strictEqual(buffer.offer("b"), "wait")
    buffer.take()
    assert.deepStrictEqual(pressure, [true, false])
  })

  it("judges new marks at once", () => {
    const { buffer, pressure } = make()
    const log: Array<string> = []
    fill(buffer, "abc")
    buffer.setMarks({ highWaterMark: 2, lowWaterMark: 1 })
    assert.deepStrictEqual(pressure, [true])
    buffer.await(writer(["d"], log, "one"))
    buffer.setMarks({ highWaterMark: 8, lowWaterMark: 3 })
    assert.deepStrictEqual([pressure, log, buffer.size], [[true, false], ["one taken"], 4])
  })

  it("decides by the first item what it counts, where it is not told", () => {
    const items = make<unknown>({ marks: undefined }).buffer
    items.offer("x")
    assert.deepStrictEqual([items.highWaterMark, items.lowWaterMark, items.size], [16, 4, 1])
    const bytes = make<unknown>({ marks: undefined }).buffer
    bytes.offer(new Uint8Array(10))
    assert.deepStrictEqual([bytes.highWaterMark, bytes.lowWaterMark, bytes.size], [65_536, 16_384, 10])
  })

  it("counts an item of size 0 as 1, and keeps no empty bytes", () => {
    const measured = make<string>({ measure: () => 0 }).buffer
    measured.offer("a")
    assert.strictEqual(measured.size, 1)
    const bytes = make<Uint8Array>().buffer
    assert.strictEqual(bytes.offer(new Uint8Array(0)), "taken")
    assert.strictEqual(bytes.offerAll([new Uint8Array(0), new Uint8Array(2)]), "taken")
    assert.strictEqual(bytes.length, 1)
  })

  it("refuses a size that is none, before it takes anything", () => {
    for (const size of [NaN, -1, 0.5, Infinity, "1", undefined]) {
      const { buffer } = make<string>({ measure: (item) => item === "bad" ? size as number : 1 })
      assert.deepStrictEqual(buffer.offer("bad"), new BadSize(size))
      assert.deepStrictEqual(buffer.offerAll(["good", "bad"]), new BadSize(size))
      assert.strictEqual(buffer.length, 0)
    }
  })
})

describe("WaterBuffer: policies", () => {
  it("suspend: nobody overtakes those who wait, and a write larger than the mark begins on an empty buffer", () => {
    const { buffer } = make()
    const log: Array<string> = []
    fill(buffer, "a")
    assert.strictEqual(buffer.offerAll([..."bcdefg"]), "wait")
    buffer.await(writer([..."bcdefg"], log, "large"))
    assert.strictEqual(buffer.offer("h"), "wait")
    buffer.await(writer(["h"], log, "small"))
    assert.deepStrictEqual(log, [])
    assert.strictEqual(buffer.take(), "a")
    assert.deepStrictEqual([log, buffer.size], [["large taken"], 6])
    assert.strictEqual(buffer.takeAll().join(""), "bcdefg")
    assert.deepStrictEqual([log, buffer.takeAll()], [["large taken", "small taken"], ["h"]])
  })

  it("suspend: a write that is withdrawn leaves nothing, and the one behind it goes on", () => {
    const { buffer } = make()
    const log: Array<string> = []
    fill(buffer, "a")
    const large = writer([..."bcdefg"], log, "large")
    buffer.await(large)
    buffer.await(writer(["h"], log, "small"))
    assert.isTrue(buffer.withdraw(large))
    assert.isFalse(buffer.withdraw(large))
    assert.deepStrictEqual([log, buffer.takeAll().join("")], [["small taken"], "ah"])
  })

  it("fail: refuses what has no room, and takes nothing of it", () => {
    const { buffer } = make({ policy: "fail" })
    fill(buffer, "abcde")
    assert.strictEqual(buffer.offer("f"), "full")
    assert.strictEqual(buffer.offerAll(["f", "g"]), "full")
    buffer.take()
    // At the high mark there is room, though a producer is still paused.
    assert.strictEqual(buffer.offer("f"), "taken")
    assert.strictEqual(buffer.takeAll().join(""), "bcdef")
  })

  it("dropNewest: drops what has no room, and counts it", () => {
    const { buffer } = make({ policy: "dropNewest" })
    fill(buffer, "abcdefg")
    assert.strictEqual(buffer.offerAll(["h", "i"]), "taken")
    assert.deepStrictEqual([buffer.dropped, buffer.takeAll().join("")], [4, "abcde"])
  })

  it("dropOldest: the oldest make room, and are counted", () => {
    const { buffer } = make({ policy: "dropOldest" })
    fill(buffer, "abcdefg")
    assert.deepStrictEqual([buffer.dropped, buffer.size], [2, 5])
    assert.strictEqual(buffer.offerAll([..."123456"]), "taken")
    assert.deepStrictEqual([buffer.dropped, buffer.takeAll().join("")], [7, "123456"])
  })

  it("latest: what is superseded goes first, the item's own predecessor included, then the oldest", () => {
    const { buffer } = make({ policy: "latest", keyOf: (item) => item[0] })
    for (const item of ["a1", "b1", "a2", "c1", "d1"]) buffer.offer(item)
    assert.deepStrictEqual([buffer.size, buffer.dropped], [5, 0])
    // a1 is superseded by a2.
    buffer.offer("e1")
    // c1 by what comes.
    buffer.offer("c2")
    assert.strictEqual(buffer.take(), "b1")
    buffer.offer("f1")
    // Nothing is superseded: a2 is the oldest.
    buffer.offer("g1")
    assert.deepStrictEqual([buffer.dropped, buffer.takeAll()], [3, ["d1", "e1", "c2", "f1", "g1"]])
  })

  it("latest: loses nothing below the bound, and forgets what was taken", () => {
    const { buffer } = make({ policy: "latest", keyOf: (item) => item[0] })
    for (const item of ["a1", "a2"]) buffer.offer(item)
    assert.deepStrictEqual([buffer.take(), buffer.take(), buffer.dropped], ["a1", "a2", 0])
    for (const item of ["a3", "b1", "c1", "d1", "e1", "f1"]) buffer.offer(item)
    assert.deepStrictEqual([buffer.dropped, buffer.takeAll().join(" ")], [1, "b1 c1 d1 e1 f1"])
  })
})

describe("WaterBuffer: readers", () => {
  it("wakes the reader once, later in the turn, with all that has come", () => {
    const { buffer, turn } = make()
    let wakes = 0
    buffer.awaitItems(() => wakes++)
    fill(buffer, "abc")
    assert.strictEqual(wakes, 0)
    turn()
    assert.deepStrictEqual([wakes, buffer.isAwaited, buffer.takeAll().length], [1, false, 3])
  })

  it("does not wake one that went away, and wakes the next", () => {
    const { buffer, turn } = make()
    const log: Array<string> = []
    const gone = () => log.push("gone")
    buffer.awaitItems(gone)
    fill(buffer, "a")
    buffer.cancelItems(gone)
    buffer.awaitItems(() => log.push("next"))
    turn()
    assert.deepStrictEqual(log, ["next"])
  })
})

describe("WaterBuffer: the table of its life", () => {
  it("open -> ending -> ended: refuses writers, gives what it holds, and ends when it is drained", () => {
    const { buffer, ends, turn } = make()
    const log: Array<string> = []
    fill(buffer, "abcde")
    buffer.await(writer(["f"], log, "late"))
    buffer.end({ by: "close", cause: undefined })
    assert.deepStrictEqual([log, buffer.life, ends()], [["late close"], "ending", 0])
    assert.strictEqual(buffer.offer("g"), "shut")
    buffer.await(writer(["h"], log, "later"))
    assert.deepStrictEqual(log, ["late close", "later close"])
    buffer.takeAll()
    assert.deepStrictEqual([buffer.life, buffer.isReadable, buffer.isAborted, ends()], ["ended", true, false, 1])
    turn()
  })

  it("open -> ended, when there is nothing to drain; a reader hears of it", () => {
    const { buffer, ends, turn } = make()
    let wakes = 0
    buffer.awaitItems(() => wakes++)
    buffer.end({ by: "close", cause: undefined })
    turn()
    assert.deepStrictEqual([buffer.life, ends(), wakes], ["ended", 1, 1])
  })

  it("any -> ended by an abort: drops what it holds, tells no pressure, and does so once", () => {
    const { buffer, ends, pressure } = make()
    const log: Array<string> = []
    fill(buffer, "abcde")
    buffer.await(writer(["f"], log, "late"))
    buffer.abort({ by: "abort", cause: "why" })
    buffer.abort({ by: "scope", cause: undefined })
    buffer.end({ by: "close", cause: undefined })
    assert.deepStrictEqual([log, buffer.length, ends(), pressure], [["late abort"], 0, 1, [true]])
    assert.deepStrictEqual([buffer.fault, buffer.isAborted], [{ by: "abort", cause: "why" }, true])
  })

  it("nobody is woken in the middle of a transition: who writes when he is woken finds things in order", () => {
    const { buffer } = make()
    const log: Array<string> = []
    fill(buffer, "abcde")
    const again = (name: string): Writer<string> => ({
      items: [name],
      sizes: [1],
      resume: () => {
        log.push(name)
        if (name === "1") buffer.await(again("3"))
      }
    })
    buffer.await(again("1"))
    buffer.await(again("2"))
    buffer.takeAll()
    assert.deepStrictEqual([log, buffer.takeAll()], [["1", "2", "3"], ["1", "2", "3"]])
  })
})
