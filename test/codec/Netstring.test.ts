import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as Codec from "../../src/Codec.ts"
import * as Netstring from "../../src/codec/Netstring.ts"
import * as Connection from "../../src/Connection.ts"
import { CutShort, EncodeError, Malformed, Skipped, TooLong } from "../../src/FrameError.ts"
import * as Protocol from "../../src/Protocol.ts"
import * as TestTransport from "../../src/TestTransport.ts"
import { InvalidOption } from "../../src/TransportError.ts"
import { bytesOf, frames, reads, readsAndGoesOn, utf8 } from "../support/codecCases.ts"

const of = (options?: Netstring.Options) => () => Netstring.codec(options)

const encode = (frame: Uint8Array, options?: Netstring.Options) =>
  Result.map(Codec.encodeAll(Netstring.codec(options), [frame]), (chunks) => bytesOf(...chunks))

describe("Netstring.codec decoding", () => {
  it("reads the two examples of the definition", () => {
    const hello = [0x31, 0x32, 0x3a, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x77, 0x6f, 0x72, 0x6c, 0x64, 0x21, 0x2c]
    const after = { input: utf8("0:,"), frames: [utf8("")] }
    readsAndGoesOn(of(), Uint8Array.from(hello), [utf8("hello world!")], after)
    readsAndGoesOn(of(), utf8("0:,"), [utf8("")], after)
  })

  it("reads one inside of another, and signs that are content", () => {
    reads(of(), utf8("15:5:hello,5:,:1,0,"), frames("5:hello,5:,:1,0"))
    reads(Netstring.codec, bytesOf("4:", [0, 255, 0x2c, 0x3a], ",2:ab,"), {
      frames: [[0, 255, 44, 58], [97, 98]].map((bytes) => Uint8Array.from(bytes))
    })
  })

  it("says what is expected where something else stands", () => {
    const cases: ReadonlyArray<readonly [string, string]> = [
      ["hello", "a length in decimal digits"],
      [":,", "a length in decimal digits"],
      [" 1:a,", "a length in decimal digits"],
      ["-1:a,", "a length in decimal digits"],
      ["+1:a,", "a length in decimal digits"],
      ["\n1:a,", "a length in decimal digits"],
      ["1 :a,", "a colon behind the length"],
      ["1a:", "a colon behind the length"],
      ["1.0:a,", "a colon behind the length"],
      ["0x1:a,", "a colon behind the length"],
      ["01:a,", "a colon behind the length 0"],
      ["00:,", "a colon behind the length 0"],
      ["3:abcd,", "a comma behind 3 bytes"],
      ["1:a\n", "a comma behind 1 bytes"],
      ["0:x", "a comma behind 0 bytes"]
    ]
    for (const [input, expected] of cases) {
      reads(of(), utf8(input), { frames: [], error: [0, new Malformed({ expected })] })
      reads(of(), utf8(`2:ok,${input}`), { ...frames("ok"), error: [5, new Malformed({ expected })] })
    }
  })

  it("refuses an input that ends inside of a netstring", () => {
    for (const cut of ["5", "5:", "5:hell", "5:hello", "0", "0:"]) {
      reads(of(), utf8(`1:a,${cut}`), { ...frames("a"), error: [4, new CutShort({ bytes: cut.length })] })
    }
  })

  it("takes a frame of exactly the limit, and fails at the length of a longer one", () => {
    const error = [6, new TooLong({ max: 3 })] as const
    reads(of({ frameBytesMax: 3 }), utf8("3:abc,4:"), { ...frames("abc"), error })
    reads(of({ frameBytesMax: 3 }), utf8("3:abc,999999999999999:"), { ...frames("abc"), error })
  })

  it("does not wait for the end of a length that no number has", () => {
    reads(of(), utf8("9".repeat(16)), { frames: [], error: [0, new TooLong({ max: 65_536 })] })
    reads(of(), utf8("1".repeat(40)), { frames: [], error: [0, new TooLong({ max: 65_536 })] })
  })

  it("passes over a frame that is too long", () => {
    const skipped = new Skipped({ offset: 4, bytes: 10, reason: new TooLong({ max: 3 }) })
    const expected = { frames: [utf8("a"), skipped, utf8("b")] }
    reads(() => Netstring.codec({ frameBytesMax: 3, onBroken: "skip" }), utf8("1:a,7:2:no,xx,1:b,"), expected)
  })

  it("goes on at the next whole netstring where the length was wrong", () => {
    const reason = new Malformed({ expected: "a comma behind 3 bytes" })
    for (const onBroken of ["skip", "resync"] as const) {
      const skipped = new Skipped({ offset: 0, bytes: 7, reason })
      reads(() => Netstring.codec({ onBroken }), utf8("3:abcd,1:b,"), { frames: [skipped, utf8("b")] })
    }
    const noise = new Skipped({
      offset: 0,
      bytes: 6,
      reason: new Malformed({ expected: "a length in decimal digits" })
    })
    reads(() => Netstring.codec({ onBroken: "resync" }), utf8("noise 2:ok,"), { frames: [noise, utf8("ok")] })
  })
})

describe("Netstring.codec encoding", () => {
  it("writes the length without leading zeros", () => {
    assert.deepStrictEqual(encode(utf8("")), Result.succeed(utf8("0:,")))
    assert.deepStrictEqual(encode(utf8("hello world!")), Result.succeed(utf8("12:hello world!,")))
  })

  it("writes a small frame in one chunk, and a large one by reference", () => {
    for (const [bytes, chunks] of [[4096, 1], [4097, 3]] as const) {
      const frame = new Uint8Array(bytes).fill(7)
      const out = Result.getOrThrow(Codec.encodeAll(Netstring.codec(), [frame]))
      assert.lengthOf(out, chunks)
      assert.strictEqual(out[1] === frame, chunks === 3)
      assert.deepStrictEqual(Codec.decodeAll(Netstring.codec(), out), { frames: [frame], error: undefined })
    }
  })

  it("refuses a frame longer than the limit", () => {
    const reason = new TooLong({ max: 3 })
    assert.deepStrictEqual(encode(utf8("abcd"), { frameBytesMax: 3 }), Result.fail(new EncodeError({ reason })))
    assert.isTrue(Result.isSuccess(encode(utf8("abc"), { frameBytesMax: 3 })))
    assert.isTrue(Result.isFailure(encode(new Uint8Array(65_537))))
  })
})

describe("Netstring.codec options", () => {
  it("are checked at once", () => {
    for (const frameBytesMax of [0, -1, 1.5, Infinity]) {
      assert.throws(() => Netstring.codec({ frameBytesMax }), InvalidOption, "frameBytesMax must be a positive integer")
      assert.throws(() => Netstring.protocol({ frameBytesMax }), InvalidOption)
    }
  })
})

describe("Netstring.protocol", () => {
  it.effect("carries frames over a transport", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const here = yield* Protocol.attach(Netstring.protocol(), a)
      const there = yield* Protocol.attach(Netstring.protocol(), b)
      yield* here.writeAll(["one", "", "three"].map(utf8))
      for (const text of ["one", "", "three"]) assert.deepStrictEqual(yield* Connection.take(there), utf8(text))
    }))
})
