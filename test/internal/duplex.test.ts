import { assert, describe, it } from "@effect/vitest"
import {
  closedBy,
  type Consumer,
  Duplex,
  EndOfInput,
  type Fault,
  type Port,
  type Settings
} from "../../src/internal/duplex.ts"

/** A medium that does what the test says, and notes what it was told. */
const open = (settings?: Partial<Settings>) => {
  const told: Array<string> = []
  const written: Array<Uint8Array> = []
  const medium = { port: undefined as unknown as Port, told, written, takesAtOnce: true }
  const note = (what: string) => () => void told.push(what)
  const duplex = new Duplex(
    (port) => {
      medium.port = port
      return {
        lingers: true,
        write: (chunks) => {
          written.push(...chunks)
          return medium.takesAtOnce
        },
        end: note("end"),
        reset: note("reset"),
        release: note("release"),
        resume: note("resume"),
        suspend: note("suspend"),
        part: note("part")
      }
    },
    {
      highWaterMark: 10,
      lowWaterMark: 5,
      readMark: 10,
      copyMax: 4,
      lingerBytesMax: 10,
      onPeerEnd: "keep",
      ...settings
    }
  )
  /** What the wire has been told since the last look. */
  const news = () => told.splice(0)
  return { duplex, medium, news, port: medium.port }
}

const bytes = (length: number, of = 1) => new Uint8Array(length).fill(of)

/** A waiter, and how it went: nothing yet, success, or a fault. */
const waiter = () => {
  const came: Array<string> = []
  const resume = (fault: Fault | undefined, delivery?: string) =>
    void came.push([fault?._tag ?? "success", delivery].filter((part) => part !== undefined).join(" "))
  return { came, resume }
}

const writeOf = (length: number) => {
  const { came, resume } = waiter()
  return { came, write: { chunks: [bytes(length)], bytes: length, position: 0, resume } }
}

const consumerOf = (batch: (batches: number) => boolean) => {
  const seen: Array<number | string> = []
  const consumer: Consumer = {
    batch: (chunks) => batch(seen.push(chunks.reduce((sum, chunk) => sum + chunk.length, 0))),
    borrow: () => true,
    borrowMax: 0,
    keeps: false,
    end: (end) => void seen.push(end === EndOfInput ? "end" : end._tag)
  }
  return { consumer, seen }
}

describe("Duplex: what the wire is told of reading", () => {
  it("stops at the read mark, and goes on once half of it is free", () => {
    const { duplex, news, port } = open()
    assert.deepStrictEqual(news(), ["resume"])
    port.data(bytes(4))
    duplex.poll()
    port.data(bytes(6))
    assert.deepStrictEqual(news(), ["suspend"])
    // What was given last still counts, so four are free.
    duplex.poll()
    assert.deepStrictEqual(news(), [])
    port.data(bytes(4))
    duplex.poll()
    assert.deepStrictEqual(news(), ["resume"])
    port.data(bytes(5))
    duplex.poll()
    port.data(bytes(5))
    assert.deepStrictEqual(news(), ["suspend"])
    duplex.poll()
    assert.deepStrictEqual(news(), ["resume"])
  })

  it("goes on when the reader is done, without another one", () => {
    const { duplex, news, port } = open()
    port.data(bytes(10))
    duplex.poll()
    assert.deepStrictEqual(news(), ["resume", "suspend"])
    duplex.endReading()
    assert.deepStrictEqual(news(), ["resume"])
  })

  it("with a mark of zero goes on for a waiter alone, and no longer than it waits", () => {
    const { duplex, news } = open({ readMark: 0 })
    const wake = () => {}
    assert.deepStrictEqual(news(), [])
    duplex.awaitInput(wake)
    assert.deepStrictEqual(news(), ["resume"])
    duplex.cancelInput(wake)
    assert.deepStrictEqual(news(), ["suspend"])
  })

  it("with a mark of zero goes on for a consumer alone, while it has no batch", () => {
    const { duplex, news, port } = open({ readMark: 0 })
    const { consumer } = consumerOf(() => false)
    duplex.consume(consumer)
    assert.deepStrictEqual(news(), ["resume"])
    port.data(bytes(1))
    assert.deepStrictEqual(news(), ["suspend"])
    duplex.consumed(consumer)
    assert.deepStrictEqual(news(), ["resume"])
    duplex.endConsume(consumer)
    assert.deepStrictEqual(news(), ["suspend"])
  })

  it("counts what is put back once, and asks for no more than that leaves room for", () => {
    const { duplex, news, port } = open()
    const given = [bytes(4), bytes(4)]
    for (const chunk of given) {
      port.data(chunk)
      duplex.poll()
    }
    assert.strictEqual(port.room(), 6)
    duplex.unread(given)
    assert.strictEqual(port.room(), 2)
    assert.deepStrictEqual(news(), ["resume"])
    port.data(bytes(1))
    duplex.poll()
    duplex.unread([...given, bytes(2)])
    assert.deepStrictEqual(news(), ["suspend"])
  })

  it("stays stopped while reading is held, whoever waits", () => {
    const { duplex, news, port } = open()
    const woken = waiter()
    duplex.holdReading()
    assert.deepStrictEqual(news(), ["resume", "suspend"])
    duplex.awaitInput(() => woken.resume(undefined))
    // What was on its way all the same.
    port.data(bytes(1))
    assert.deepStrictEqual(news(), [])
    assert.deepStrictEqual(woken.came, [])
    duplex.unholdReading()
    assert.deepStrictEqual(woken.came, ["success"])
    assert.deepStrictEqual(news(), ["resume"])
  })

  it("asks for input to throw away once it closes, also when reading was held or full", () => {
    for (const why of ["held", "full"]) {
      const { duplex, news, port } = open()
      if (why === "held") duplex.holdReading()
      else port.data(bytes(10))
      assert.deepStrictEqual(news(), ["resume", "suspend"])
      duplex.close("close", undefined)
      assert.deepStrictEqual(news(), ["end", "resume"])
    }
  })

  it("is told nothing more after the peer's end, a reset or a release", () => {
    const { duplex, news, port } = open()
    port.end()
    duplex.awaitInput(() => {})
    duplex.poll()
    assert.deepStrictEqual(news(), ["resume"])

    for (const end of ["abort", "broken", "let go"] as const) {
      const { duplex, news, port } = open()
      if (end === "abort") duplex.abort(closedBy("abort"))
      else if (end === "broken") port.broken(new Error("reset"))
      else {
        duplex.close("close", undefined)
        port.finished()
        duplex.letGo()
      }
      assert.include(["reset", "release"], news().at(-1))
      port.data(bytes(1))
      port.end()
      duplex.holdReading()
      duplex.unholdReading()
      duplex.poll()
      duplex.awaitInput(() => {})
      duplex.endReading()
      duplex.unholdWriting()
      assert.strictEqual(port.room(), 0)
      assert.deepStrictEqual(news(), [])
    }
  })
})

describe("Duplex: reading", () => {
  it("finds nothing in empty chunks, and puts back nothing after its own end", () => {
    const { duplex, port } = open()
    duplex.unread([bytes(0)])
    port.data(bytes(0))
    assert.isUndefined(duplex.poll())
    port.data(bytes(3))
    duplex.poll()
    duplex.abort(closedBy("abort"))
    duplex.unread([bytes(3)])
    assert.strictEqual(duplex.inputBytes, 0)
  })

  it("wakes who waits for what somebody else puts back", () => {
    const { duplex, port } = open()
    port.data(bytes(3))
    duplex.poll()
    const { came, resume } = waiter()
    duplex.awaitInput(() => resume(undefined))
    duplex.unread([bytes(3)])
    assert.deepStrictEqual(came, ["success"])
  })

  it("takes a waiter or a consumer away by its name alone", () => {
    const { duplex, port } = open()
    const [first, second] = [waiter(), waiter()]
    const wake = () => first.resume(undefined)
    duplex.awaitInput(wake)
    port.data(bytes(1))
    duplex.poll()
    duplex.awaitInput(() => second.resume(undefined))
    duplex.cancelInput(wake)
    port.data(bytes(1))
    assert.deepStrictEqual([first.came, second.came], [["success"], ["success"]])
    duplex.poll()

    const [gone, here] = [consumerOf(() => true), consumerOf(() => true)]
    duplex.consume(gone.consumer)
    duplex.endConsume(gone.consumer)
    duplex.consume(here.consumer)
    duplex.endConsume(gone.consumer)
    port.data(bytes(1))
    assert.deepStrictEqual([gone.seen, here.seen], [[], [1]])
  })

  it("gives a consumer that comes within the batch of another no batch beside its own", () => {
    const { duplex, port } = open()
    const second = consumerOf(() => false)
    const first = consumerOf(() => {
      duplex.endConsume(first.consumer)
      duplex.consume(second.consumer)
      duplex.unread([bytes(2)])
      return true
    })
    duplex.consume(first.consumer)
    port.data(bytes(1))
    port.data(bytes(3))
    assert.deepStrictEqual([first.seen, second.seen], [[1], [2]])
  })

  it("tells the end to nobody in the middle of it", () => {
    const { duplex, medium, port } = open()
    const seen: Array<string> = []
    duplex.consume({
      batch: () => true,
      borrow: () => true,
      borrowMax: 0,
      keeps: false,
      end: () => void seen.push(...medium.told)
    })
    port.broken(new Error("reset"))
    assert.deepStrictEqual(seen, ["resume", "release"])
  })

  it("answers with the end again after a close, where the reader had seen it", () => {
    const { duplex, port } = open()
    port.end()
    assert.strictEqual(duplex.poll(), EndOfInput)
    duplex.close("close", undefined)
    assert.strictEqual(duplex.poll(), EndOfInput)

    const unseen = open()
    unseen.port.end()
    unseen.duplex.close("close", undefined)
    assert.deepStrictEqual(unseen.duplex.poll(), closedBy("close"))
  })

  it("lets go once both have ended and a consumer has taken the rest", () => {
    for (const when of ["on coming", "after a batch", "after a hold"]) {
      const { duplex, news, port } = open()
      const isSlow = when === "after a batch"
      const { consumer, seen } = consumerOf(() => !isSlow)
      if (isSlow) duplex.consume(consumer)
      if (when === "after a hold") duplex.holdReading()
      port.data(bytes(1))
      if (isSlow) port.data(bytes(1))
      port.end()
      duplex.halfClose(() => {})
      port.finished()
      assert.notInclude(news(), "release")
      if (isSlow) {
        duplex.consumed(consumer)
        duplex.consumed(consumer)
      } else {
        duplex.consume(consumer)
        if (when === "after a hold") duplex.unholdReading()
      }
      assert.deepStrictEqual(news(), ["release"])
      assert.strictEqual(seen.at(-1), "end")
    }
  })
})

describe("Duplex: writing", () => {
  it("lets no write pass one that waits, and goes on with those behind one that is withdrawn", () => {
    const { duplex } = open()
    duplex.holdWriting()
    duplex.writeNow(bytes(3))
    const [large, small] = [writeOf(11), writeOf(2)]
    duplex.write(large.write)
    duplex.write(small.write)
    assert.isFalse(duplex.writeNow(bytes(1)))
    assert.deepStrictEqual([large.came, small.came], [[], []])
    assert.strictEqual(duplex.cancelWrite(large.write), "NotSent")
    assert.deepStrictEqual([large.came, small.came], [[], ["success Unknown"]])
    assert.strictEqual(duplex.outputBytes, 5)
  })

  it("copies small chunks and hands on large ones as they are", () => {
    const { duplex, medium } = open()
    for (const length of [4, 5]) {
      const { came, write } = writeOf(length)
      duplex.write(write)
      duplex.flush(writeOf(0).write)
      assert.deepStrictEqual(came, ["success Unknown"])
      assert.deepStrictEqual(medium.written[0], write.chunks[0])
      assert.strictEqual(medium.written.pop() === write.chunks[0], length === 5)
    }
  })

  it("fills the memory of a write that had to wait anew, once it has left, and never where the connection broke", () => {
    const { duplex, medium, port } = open()
    medium.takesAtOnce = false
    const send = (of: number) => {
      duplex.writeNow(bytes(3, of))
      duplex.flushNow()
      return medium.written.at(-1)!
    }
    const first = send(1)
    const { duplex: other, medium: others } = open()
    other.writeNow(bytes(3, 2))
    other.flushNow()
    assert.notStrictEqual(others.written[0]!.buffer, first.buffer)
    assert.deepStrictEqual(first, bytes(3, 1))
    port.drained()
    const second = send(3)
    assert.include([first.buffer, others.written[0]!.buffer], second.buffer)
    duplex.abort(closedBy("abort"))
    port.drained()
    for (let i = 0; i < 8; i++) {
      const { duplex: later, medium } = open()
      medium.takesAtOnce = false
      later.writeNow(bytes(3, 4))
      later.flushNow()
    }
    assert.deepStrictEqual(second, bytes(3, 3))
  })

  it("completes a flush when the medium has taken what was written before, and no later", () => {
    const { duplex, medium, port } = open()
    medium.takesAtOnce = false
    duplex.writeNow(bytes(3))
    const [flush, withdrawn, later] = [writeOf(0), writeOf(0), writeOf(0)]
    duplex.flush(flush.write)
    assert.strictEqual(medium.written.length, 1)
    duplex.flush(withdrawn.write)
    duplex.cancelWrite(withdrawn.write)
    duplex.writeNow(bytes(2))
    duplex.flush(later.write)
    assert.deepStrictEqual([flush.came, later.came], [[], []])
    port.drained()
    assert.deepStrictEqual([flush.came, later.came], [["success Unknown"], []])
    port.drained()
    assert.deepStrictEqual([later.came, withdrawn.came], [["success Unknown"], []])
  })

  it("answers a flush that comes after the end, of bytes that went down with it and of those that did not", () => {
    for (const takesAtOnce of [true, false]) {
      const { duplex, medium } = open()
      medium.takesAtOnce = takesAtOnce
      duplex.writeNow(bytes(3))
      duplex.flushNow()
      duplex.abort(closedBy("abort"))
      const flush = writeOf(0)
      duplex.flush(flush.write)
      assert.deepStrictEqual(flush.came, [takesAtOnce ? "success Unknown" : "Closed Unknown"])
    }
  })

  it("that goes down with the connection says what was sent, and how much was lost", () => {
    for (const end of ["abort", "broken"] as const) {
      const { duplex, medium, port } = open()
      medium.takesAtOnce = false
      const [begun, waiting] = [writeOf(9), writeOf(2)]
      duplex.write(begun.write)
      duplex.writeNow(bytes(1))
      const flush = writeOf(0)
      duplex.flush(flush.write)
      duplex.write({ ...waiting.write, bytes: 11 })
      if (end === "abort") duplex.abort(closedBy("abort"))
      else port.broken(new Error("reset"))
      const fault = end === "abort" ? "Closed" : "Broken"
      assert.deepStrictEqual(begun.came, [`${fault} Unknown`])
      assert.deepStrictEqual(waiting.came, [`${fault} NotSent`])
      assert.deepStrictEqual(flush.came, [`${fault} Unknown`])
      assert.strictEqual(duplex.lostBytes, 10)
      assert.strictEqual(duplex.outputBytes, 0)
    }
  })

  it("is refused with what ended it first", () => {
    for (const first of ["halfClose", "close"] as const) {
      const { duplex, news, port } = open({ onPeerEnd: "close" })
      if (first === "halfClose") duplex.halfClose(() => {})
      port.end()
      duplex.halfClose(() => {})
      assert.deepStrictEqual(duplex.writeFault, closedBy(first))
      assert.deepStrictEqual(news(), ["resume", "end"])
    }
  })
})

describe("Duplex: writing in the read callback", () => {
  it("leaves at its end, with whoever waited for that", () => {
    const { duplex, medium, port } = open()
    const waiting = writeOf(4)
    const { consumer } = consumerOf(() => {
      for (let i = 0; i < 2; i++) duplex.writeNow(bytes(4))
      duplex.write(waiting.write)
      assert.deepStrictEqual([medium.written, waiting.came], [[], ["success Unknown"]])
      return true
    })
    duplex.consume(consumer)
    port.data(bytes(1))
    assert.strictEqual(medium.written.reduce((sum, chunk) => sum + chunk.length, 0), 12)
  })

  it("leaves before its end where there is no more room", () => {
    const { duplex, medium, port } = open()
    const waiting = writeOf(4)
    const { consumer } = consumerOf(() => {
      for (let i = 0; i < 3; i++) duplex.writeNow(bytes(4))
      duplex.write(waiting.write)
      assert.strictEqual(medium.written.reduce((sum, chunk) => sum + chunk.length, 0), 12)
      return true
    })
    duplex.consume(consumer)
    port.data(bytes(1))
    assert.strictEqual(medium.written.reduce((sum, chunk) => sum + chunk.length, 0), 16)
    assert.deepStrictEqual(waiting.came, ["success Unknown"])
  })

  it("leaves at its end also when made by whoever was woken there", () => {
    const { duplex, medium, port } = open()
    duplex.awaitInput(() => void duplex.writeNow(bytes(1)))
    port.data(bytes(1))
    assert.strictEqual(medium.written.length, 1)
  })

  it("does not keep a later write from leaving at the end of its turn", async () => {
    const { duplex, medium, port } = open()
    const { consumer } = consumerOf(() => duplex.writeNow(bytes(1)))
    duplex.consume(consumer)
    port.data(bytes(1))
    assert.strictEqual(medium.written.length, 1)
    duplex.writeNow(bytes(1))
    duplex.writeNow(bytes(1))
    assert.strictEqual(medium.written.length, 1)
    await Promise.resolve()
    assert.strictEqual(medium.written.length, 2)
  })
})

describe("Duplex: waking", () => {
  it("wakes one after the other, and nobody inside another's waking", () => {
    const { duplex, medium, port } = open()
    medium.takesAtOnce = false
    duplex.writeNow(bytes(1))
    const seen: Array<string> = []
    for (const name of ["first", "second"]) {
      const resume = () => {
        seen.push(`${name} is woken`)
        duplex.unholdReading()
        seen.push(`${name} is done`)
      }
      duplex.holdReading()
      duplex.flush({ chunks: [], bytes: 0, position: 0, resume })
    }
    port.drained()
    assert.deepStrictEqual(seen, ["first is woken", "first is done", "second is woken", "second is done"])
  })
})

describe("Duplex: ending", () => {
  it("sends nothing more once it is broken, neither output nor the end behind it", () => {
    const { duplex, medium, news, port } = open()
    duplex.holdWriting()
    duplex.writeNow(bytes(3))
    const { came, resume } = waiter()
    duplex.halfClose(resume)
    news()
    port.broken(new Error("reset"))
    duplex.unholdWriting()
    assert.deepStrictEqual(came, ["Broken"])
    assert.deepStrictEqual(news(), ["release"])
    assert.deepStrictEqual(medium.written, [])
  })

  it("lingers after a close until the peer ends, and not at all where it has", () => {
    const { duplex, news, port } = open()
    const [first, second, released] = [waiter(), waiter(), waiter()]
    duplex.close("close", undefined)
    duplex.awaitFlushed(first.resume)
    assert.deepStrictEqual(first.came, [])
    port.finished()
    assert.deepStrictEqual(first.came, ["success"])
    duplex.awaitFlushed(second.resume)
    duplex.awaitReleased(released.resume)
    assert.deepStrictEqual(second.came, ["success"])
    assert.deepStrictEqual(news(), ["resume", "end"])
    port.data(bytes(9))
    assert.deepStrictEqual(news(), [])
    port.end()
    assert.deepStrictEqual(news(), ["release"])
    assert.deepStrictEqual(released.came, [])
    port.released()
    assert.deepStrictEqual(released.came, ["success"])

    const ended = open()
    ended.port.end()
    ended.duplex.close("close", undefined)
    ended.port.finished()
    assert.deepStrictEqual(ended.news(), ["resume", "end", "release"])
  })

  it("lingers for so many bytes, and counts none that came before", () => {
    const { duplex, news, port } = open()
    port.data(bytes(9))
    duplex.close("close", undefined)
    port.data(bytes(9))
    port.finished()
    port.data(bytes(9))
    assert.notInclude(news(), "release")
    port.data(bytes(1))
    assert.deepStrictEqual(news(), ["release"])
  })

  it("takes a reset while it lingers for an end, and one before for a loss", () => {
    for (const isFinished of [true, false]) {
      const { duplex, port } = open()
      const [flushed, released] = [waiter(), waiter()]
      duplex.close("close", undefined)
      if (isFinished) port.finished()
      port.broken(new Error("reset"))
      port.released()
      duplex.awaitFlushed(flushed.resume)
      duplex.awaitReleased(released.resume)
      const expected = isFinished ? ["success"] : ["Broken"]
      assert.deepStrictEqual([flushed.came, released.came], [expected, expected])
    }
  })

  it("closes what broke before without a failure, unless it had accepted what was lost", () => {
    for (const isLost of [true, false]) {
      const { duplex, medium, port } = open()
      medium.takesAtOnce = false
      if (isLost) duplex.writeNow(bytes(1))
      port.broken(new Error("reset"))
      duplex.close("close", undefined)
      const { came, resume } = waiter()
      duplex.awaitFlushed(resume)
      assert.deepStrictEqual(came, [isLost ? "Broken" : "success"])
    }
  })

  it("answers with the abort that overtook a close, and with the close that ran out of time", () => {
    for (const fault of [closedBy("abort"), { _tag: "FlushTimedOut" } as const]) {
      const { duplex } = open()
      duplex.close("close", undefined)
      duplex.abort(fault)
      const expected = fault._tag === "Closed" ? fault : closedBy("close")
      assert.deepStrictEqual(duplex.poll(), expected)
      assert.deepStrictEqual(duplex.writeFault, expected)
      assert.strictEqual(duplex.fault, fault)
    }
  })

  it("that both made in peace is not undone by a close or an abort", () => {
    const { duplex, port } = open()
    port.data(bytes(1))
    port.end()
    duplex.halfClose(() => {})
    port.finished()
    // The medium may be gone before the rest is read.
    port.released()
    const { came, resume } = waiter()
    duplex.awaitReleased(resume)
    assert.deepStrictEqual(came, [])
    assert.deepStrictEqual(duplex.poll(), [bytes(1)])
    assert.deepStrictEqual(came, ["success"])
    duplex.close("close", undefined)
    duplex.abort(closedBy("abort"))
    port.data(bytes(1))
    assert.strictEqual(duplex.poll(), EndOfInput)
  })

  it("that both made in peace lets go by itself, whichever end is the last", () => {
    for (const last of ["theirs", "ours"]) {
      const { duplex, news, port } = open()
      if (last === "ours") port.end()
      duplex.halfClose(() => {})
      port.finished()
      if (last === "theirs") port.end()
      assert.deepStrictEqual(news(), ["resume", "end", "release"])
    }
  })

  it("that only the medium made is a break", () => {
    for (const finished of [true, false]) {
      const { duplex, port } = open()
      const { came, resume } = waiter()
      duplex.awaitReleased(resume)
      if (finished) {
        duplex.halfClose(() => {})
        port.finished()
      } else port.end()
      port.released()
      assert.deepStrictEqual(came, ["Broken"])
    }
  })

  it("wakes none of those who no longer wait for it", () => {
    const { duplex, port } = open()
    const [here, gone] = [waiter(), waiter()]
    for (const { resume } of [gone, here]) {
      duplex.halfClose(resume)
      duplex.awaitReleased(resume)
    }
    duplex.cancelHalfClose(gone.resume)
    duplex.cancelReleased(gone.resume)
    duplex.close("close", undefined)
    for (const { resume } of [gone, here]) duplex.awaitFlushed(resume)
    duplex.cancelFlushed(gone.resume)
    port.finished()
    port.end()
    port.released()
    assert.deepStrictEqual([here.came, gone.came], [["success", "success", "success"], []])
  })
})

describe("Duplex: of which our direction is refused", () => {
  it("fails whoever writes or ends, and is read to the end of its input, which is its own", () => {
    const { duplex, medium, news, port } = open()
    medium.takesAtOnce = false
    const [begun, waiting, flush] = [writeOf(9), writeOf(11), writeOf(0)]
    const [half, released] = [waiter(), waiter()]
    duplex.write(begun.write)
    duplex.write(waiting.write)
    duplex.flush(flush.write)
    duplex.halfClose(half.resume)
    duplex.awaitReleased(released.resume)
    port.refused("gone")
    assert.deepStrictEqual([begun.came, waiting.came], [["Broken Unknown"], ["Broken NotSent"]])
    assert.deepStrictEqual([flush.came, half.came, released.came], [["Broken Unknown"], ["Broken"], []])
    assert.deepStrictEqual([duplex.lostBytes, duplex.outputBytes], [9, 0])

    const [later, late] = [writeOf(2), writeOf(0)]
    assert.isFalse(duplex.writeNow(bytes(1)))
    assert.isUndefined(duplex.writeThrough([bytes(5)], 5))
    duplex.write(later.write)
    duplex.flush(late.write)
    assert.deepStrictEqual([later.came, late.came], [["Broken NotSent"], ["Broken Unknown"]])
    assert.deepStrictEqual(duplex.writeFault, { _tag: "Broken", cause: "gone" })
    port.refused("again")
    port.drained()

    port.data(bytes(10))
    assert.deepStrictEqual(duplex.poll(), [bytes(10)])
    duplex.endReading()
    port.data(bytes(2))
    assert.deepStrictEqual(news(), ["resume", "suspend", "resume"])
    assert.strictEqual(medium.written.length, 1)
    port.end()
    assert.deepStrictEqual(news(), ["release"])
    assert.deepStrictEqual(duplex.poll(), [bytes(2)])
    assert.strictEqual(duplex.poll(), EndOfInput)
    port.released()
    assert.deepStrictEqual(released.came, ["Broken"])
    assert.deepStrictEqual(duplex.fault, { _tag: "Broken", cause: "gone" })
    assert.strictEqual(duplex.lostBytes, 9)
  })

  it("within the write that finds out has not taken it", () => {
    for (const isLarge of [true, false]) {
      const { duplex, medium, port } = open()
      Object.defineProperty(medium, "takesAtOnce", {
        get: () => {
          port.refused("gone")
          return false
        }
      })
      if (isLarge) assert.isFalse(duplex.writeThrough([bytes(5)], 5))
      else {
        duplex.writeNow(bytes(3))
        duplex.flushNow()
      }
      assert.deepStrictEqual([duplex.life, duplex.outputFault?._tag], ["open", "Broken"])
      assert.deepStrictEqual([duplex.lostBytes, duplex.outputBytes], [isLarge ? 5 : 3, 0])
    }
  })

  it("is closed at once, with a failure where that lost what was accepted", () => {
    for (const isLost of [true, false]) {
      const { duplex, medium, news, port } = open()
      medium.takesAtOnce = false
      if (isLost) duplex.writeNow(bytes(1))
      port.refused("gone")
      duplex.close("close", undefined)
      const flushed = waiter()
      duplex.awaitFlushed(flushed.resume)
      assert.deepStrictEqual(flushed.came, [isLost ? "Broken" : "success"])
      assert.deepStrictEqual(news(), ["resume", "release"])
      assert.deepStrictEqual(duplex.poll(), closedBy("close"))
    }
  })

  it("is aborted as any other, and breaks by what breaks its input", () => {
    for (const end of ["abort", "broken"] as const) {
      const { duplex, news, port } = open()
      port.refused("gone")
      if (end === "abort") duplex.abort(closedBy("abort"))
      else port.broken("reset")
      const fault = end === "abort" ? closedBy("abort") : { _tag: "Broken", cause: "reset" }
      assert.deepStrictEqual(duplex.poll() as unknown, fault)
      assert.deepStrictEqual(duplex.writeFault as unknown, fault)
      assert.deepStrictEqual(news(), ["resume", end === "abort" ? "reset" : "release"])
    }
  })

  it("is broken where nothing is left to read or nobody reads, and nothing to it where all was sent", () => {
    const ended = open()
    ended.port.end()
    ended.port.refused("gone")
    assert.deepStrictEqual([ended.duplex.life, ended.duplex.fault?._tag], ["ended", "Broken"])

    const closing = open()
    closing.duplex.close("close", undefined)
    closing.port.refused("gone")
    assert.deepStrictEqual([closing.duplex.life, closing.duplex.fault?._tag], ["ended", "Broken"])

    const finished = open()
    finished.duplex.halfClose(() => {})
    finished.port.finished()
    finished.port.refused("gone")
    finished.port.end()
    assert.deepStrictEqual([finished.duplex.life, finished.duplex.fault], ["ended", undefined])
  })

  it("as its answer to the peer's end closes it by that end", () => {
    const { duplex, news, port } = open({ onPeerEnd: "close" })
    port.refused("gone")
    port.end()
    assert.deepStrictEqual(news(), ["resume", "release"])
    assert.strictEqual(duplex.poll(), EndOfInput)
  })
})

describe("Duplex: input that is lent", () => {
  const borrower = (borrow: (chunk: Uint8Array) => boolean, borrowMax = Infinity) => {
    const batches: Array<number> = []
    const consumer: Consumer = {
      batch: (chunks) => batches.push(chunks.length) > 0,
      borrow,
      borrowMax,
      keeps: false,
      end: () => {}
    }
    return { batches, consumer }
  }

  it("is used up within the call by whoever borrows, and by nobody else", () => {
    const { duplex, port } = open()
    const chunk = bytes(3)
    assert.isFalse(port.lend(chunk, false))
    assert.strictEqual(duplex.inputBytes, 0)
    const seen: Array<Uint8Array> = []
    duplex.consume(borrower((chunk) => seen.push(chunk) > 0, 3).consumer)
    assert.isTrue(port.lend(chunk, false))
    assert.strictEqual(seen[0], chunk)
    assert.isFalse(port.lend(bytes(4), false))
  })

  it("waits its turn behind what is there already, behind a pause, and while its borrower is busy", () => {
    const { duplex, port } = open()
    const { batches, consumer } = borrower(() => false)
    duplex.consume(consumer)
    assert.isTrue(port.lend(bytes(1), false))
    assert.isFalse(port.lend(bytes(1), false))
    port.data(bytes(1))
    assert.deepStrictEqual(batches, [])
    duplex.consumed(consumer)
    assert.deepStrictEqual(batches, [1])
    duplex.holdReading()
    assert.isFalse(port.lend(bytes(1), false))
    port.data(bytes(1))
    duplex.unholdReading()
    assert.deepStrictEqual(batches, [1, 1])
  })

  it("comes again as a batch where some of it was put back", () => {
    const { duplex, port } = open()
    const { batches, consumer } = borrower((chunk) => {
      duplex.unread([chunk.slice(1)])
      return true
    })
    duplex.consume(consumer)
    assert.isTrue(port.lend(bytes(3), false))
    assert.deepStrictEqual(batches, [1])
  })

  it("is answered in the same turn, with one write", () => {
    const { duplex, medium, port } = open()
    duplex.consume(borrower((chunk) => duplex.writeNow(chunk) && duplex.writeNow(chunk)).consumer)
    assert.isTrue(port.lend(bytes(2), false))
    assert.deepStrictEqual(medium.written.map((chunk) => chunk.length), [4])
  })

  it("is thrown away where nobody will read it", () => {
    const { duplex, news, port } = open()
    duplex.close("close", undefined)
    port.finished()
    assert.isTrue(port.lend(bytes(9), false))
    assert.notInclude(news(), "release")
    assert.isTrue(port.lend(bytes(1), false))
    assert.include(news(), "release")
    assert.isTrue(port.lend(bytes(1), false))
  })

  it("that ends the connection is told so, lent or not", () => {
    for (const isLent of [true, false]) {
      const { duplex, port } = open()
      const seen: Array<string> = []
      const end = () => {
        duplex.abort(closedBy("abort"))
        return true
      }
      duplex.consume({
        batch: end,
        borrow: end,
        borrowMax: isLent ? Infinity : 0,
        keeps: false,
        end: (end) => void seen.push(end === EndOfInput ? "end" : end._tag)
      })
      if (isLent) port.lend(bytes(1), false)
      else port.data(bytes(1))
      assert.deepStrictEqual(seen, ["Closed"])
    }
  })

  it("and is kept is no matter any more of a wire that was reset", () => {
    const { duplex, news, port } = open()
    const consumer = { ...borrower(() => false).consumer, keeps: true }
    duplex.consume(consumer)
    port.lend(bytes(1), true)
    duplex.abort(closedBy("abort"))
    duplex.endConsume(consumer, false)
    assert.strictEqual(news().at(-1), "reset")
  })

  it("and is kept does not keep a connection that closes from seeing the peer's end", () => {
    const { duplex, news, port } = open()
    const { consumer } = borrower(() => false)
    duplex.consume({ ...consumer, keeps: true })
    port.lend(bytes(1), true)
    assert.include(news(), "suspend")
    duplex.close("close", undefined)
    assert.deepStrictEqual(news(), ["part", "end", "resume"])
  })
})

describe("Duplex: a write whose own flush breaks the connection", () => {
  it("fails, and holds nothing", () => {
    const { duplex, medium, port } = open()
    medium.takesAtOnce = false
    duplex.writeNow(bytes(4))
    const { came, write } = writeOf(11)
    const breaking = medium as unknown as { takesAtOnce: unknown }
    Object.defineProperty(breaking, "takesAtOnce", {
      get: () => {
        port.broken(new Error("reset"))
        return false
      }
    })
    duplex.write(write)
    assert.deepStrictEqual(came, ["Broken NotSent"])
    assert.strictEqual(duplex.outputBytes, 0)
  })
})

describe("Duplex: a flush of what broke since the caller asked", () => {
  it("fails, and does not wait", () => {
    const { duplex, medium, port } = open()
    medium.takesAtOnce = false
    const [written, flush] = [writeOf(8), writeOf(0)]
    duplex.write(written.write)
    port.broken("gone")
    duplex.flush(flush.write)
    assert.deepStrictEqual([written.came, flush.came], [["Broken Unknown"], ["Broken Unknown"]])
  })
})
