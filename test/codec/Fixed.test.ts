import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as Codec from "../../src/Codec.ts"
import * as Fixed from "../../src/codec/Fixed.ts"
import * as Connection from "../../src/Connection.ts"
import { CutShort, EncodeError, NotUtf8, Skipped, WrongLength } from "../../src/FrameError.ts"
import * as Protocol from "../../src/Protocol.ts"
import * as TestTransport from "../../src/TestTransport.ts"
import { InvalidOption } from "../../src/TransportError.ts"
import { bytesOf, frames, reads, readsAndGoesOn, utf8 } from "../support/codecCases.ts"

describe("Fixed.codec decoding", () => {
  it("cuts the input into frames of one length", () => {
    const after = { input: utf8("xyz"), frames: [utf8("xyz")] }
    readsAndGoesOn(() => Fixed.codec({ frameBytes: 3 }), utf8(""), [], after)
    readsAndGoesOn(() => Fixed.codec({ frameBytes: 3 }), utf8("abcdef"), ["abc", "def"].map(utf8), after)
    reads(() => Fixed.codec({ frameBytes: 1 }), utf8("abc"), frames("a", "b", "c"))
  })

  it("refuses a tail that is too short", () => {
    reads(() => Fixed.codec({ frameBytes: 3 }), utf8("abcde"), {
      ...frames("abc"),
      error: [3, new CutShort({ bytes: 2 })]
    })
  })

  it("gives the tail as the last frame where that is allowed", () => {
    reads(() => Fixed.codec({ frameBytes: 3, tail: "frame" }), utf8("abcde"), frames("abc", "de"))
    reads(() => Fixed.codec({ frameBytes: 3, tail: "frame" }), utf8("abc"), frames("abc"))
  })

  it("says what was skipped, and is in step again behind it", () => {
    const input = bytesOf("ab", [0xff, 0x41], "cd", "e")
    const skipped = (bytes: number) => new Skipped({ offset: 2, bytes, reason: new NotUtf8() })
    const tail = new Skipped({ offset: 6, bytes: 1, reason: new CutShort({ bytes: 1 }) })
    const texts = (onBroken: "skip" | "resync") => () => Codec.text(Fixed.codec({ frameBytes: 2, onBroken }))
    reads(texts("skip"), input, { frames: ["ab", skipped(2), "cd", tail] })
    reads(texts("resync"), input, { frames: ["ab", skipped(1), "Ac", "de"] })
  })
})

describe("Fixed.codec encoding", () => {
  it("writes a copy of a small frame, and a large one as it is", () => {
    for (const [frameBytes, isCopy] of [[4, true], [4096, true], [4097, false]] as const) {
      const frame = new Uint8Array(frameBytes).fill(7)
      const [chunk, ...others] = Result.getOrThrow(Codec.encodeAll(Fixed.codec({ frameBytes }), [frame]))
      assert.deepStrictEqual(chunk, frame)
      assert.lengthOf(others, 0)
      assert.strictEqual(chunk === frame, !isCopy)
    }
  })

  it("refuses another length, and writes nothing of it", () => {
    for (const bytes of [0, 3, 5]) {
      const out: Array<Uint8Array> = []
      const error = Fixed.codec({ frameBytes: 4, tail: "frame" }).encode(new Uint8Array(bytes), out)
      assert.deepStrictEqual(error, new EncodeError({ reason: new WrongLength({ expected: 4, actual: bytes }) }))
      assert.lengthOf(out, 0)
    }
  })
})

describe("Fixed.codec options", () => {
  it("are checked at once", () => {
    for (const frameBytes of [0, -1, 1.5, Number.NaN, Infinity, undefined as unknown as number]) {
      assert.throws(() => Fixed.codec({ frameBytes }), InvalidOption, "frameBytes must be a positive integer")
      assert.throws(() => Fixed.protocol({ frameBytes }), InvalidOption)
    }
    assert.throws(() => Fixed.codec({ frameBytes: 1, tail: "drop" as "error" }), InvalidOption)
    assert.throws(() => Fixed.codec({ frameBytes: 1, onBroken: "drop" as "skip" }), InvalidOption)
  })
})

describe("Fixed.protocol", () => {
  it.effect("carries frames over a transport", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const here = yield* Protocol.attach(Fixed.protocol({ frameBytes: 2 }), a)
      const there = yield* Protocol.attach(Fixed.protocol({ frameBytes: 3 }), b)
      yield* here.writeAll(["ab", "cd", "ef"].map(utf8))
      assert.deepStrictEqual(yield* Connection.take(there), utf8("abc"))
      assert.deepStrictEqual(yield* Connection.take(there), utf8("def"))
    }))
})
