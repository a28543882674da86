import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Result, Schema } from "effect"
import * as lp from "it-length-prefixed"
import * as Codec from "../../src/Codec.ts"
import * as LengthPrefixed from "../../src/codec/LengthPrefixed.ts"
import * as Connection from "../../src/Connection.ts"
import { CutShort, EncodeError, Malformed, Skipped, TooLong } from "../../src/FrameError.ts"
import * as Protocol from "../../src/Protocol.ts"
import * as TestTransport from "../../src/TestTransport.ts"
import { InvalidOption } from "../../src/TransportError.ts"
import { bytesOf, frames, reads, readsAndGoesOn, utf8 } from "../support/codecCases.ts"

const of = <const O extends LengthPrefixed.Options>(options: Codec.Only<O, LengthPrefixed.Options>) => () =>
  LengthPrefixed.codec(options)

const encode = (options: LengthPrefixed.Options, frame: Uint8Array) =>
  Result.map(Codec.encodeAll(LengthPrefixed.codec(options), [frame]), (chunks) => bytesOf(...chunks))

const refused = (reason: EncodeError["reason"]) => Result.fail(new EncodeError({ reason }))

/** The same bytes in both directions. */
const goesBothWays = (options: LengthPrefixed.Options, bytes: Uint8Array, frame: Uint8Array) => {
  readsAndGoesOn(of(options), bytes, [frame], { input: bytes, frames: [frame] })
  assert.deepStrictEqual(encode(options, frame), Result.succeed(bytes))
}

describe("LengthPrefixed.codec", () => {
  it("has lengths of each width in both orders", () => {
    const lengths = [
      [1, "big", [5]],
      [1, "little", [5]],
      [2, "big", [0, 5]],
      [2, "little", [5, 0]],
      [3, "big", [0, 0, 5]],
      [3, "little", [5, 0, 0]],
      [4, "big", [0, 0, 0, 5]],
      [4, "little", [5, 0, 0, 0]],
      [8, "big", [0, 0, 0, 0, 0, 0, 0, 5]],
      [8, "little", [5, 0, 0, 0, 0, 0, 0, 0]],
      ["varint", "big", [5]]
    ] as const
    for (const [width, endianness, header] of lengths) {
      goesBothWays({ width, endianness }, bytesOf(header, "hello"), utf8("hello"))
    }
  })

  it("has empty frames", () => {
    goesBothWays({ width: 1 }, Uint8Array.of(0), utf8(""))
    goesBothWays({ width: "varint" }, Uint8Array.of(0), utf8(""))
    goesBothWays({ width: 2, header: "keep" }, Uint8Array.of(0, 0), Uint8Array.of(0, 0))
  })

  it("is told what Netty's LengthFieldBasedFrameDecoder is told, as its documentation shows it", () => {
    const text = "HELLO, WORLD"
    const kept = (options: LengthPrefixed.Options, ...header: ReadonlyArray<number>) =>
      goesBothWays({ ...options, header: "keep" }, bytesOf(header, text), bytesOf(header, text))
    kept({ width: 2 }, 0x00, 0x0c)
    goesBothWays({ width: 2 }, bytesOf([0x00, 0x0c], text), utf8(text))
    kept({ width: 2, adjustment: -2 }, 0x00, 0x0e)
    kept({ width: 3, offset: 2 }, 0xca, 0xfe, 0x00, 0x00, 0x0c)
    kept({ width: 3, adjustment: 2 }, 0x00, 0x00, 0x0c, 0xca, 0xfe)
    kept({ width: 2, offset: 1, adjustment: 1 }, 0xca, 0x00, 0x0c, 0xfe)
    kept({ width: 2, offset: 1, adjustment: -3 }, 0xca, 0x00, 0x10, 0xfe)
  })

  it("has varints as the documentation of protobuf and of multiformats shows them", () => {
    const varints = [
      [1, [0x01]],
      [127, [0x7f]],
      [128, [0x80, 0x01]],
      [150, [0x96, 0x01]],
      [255, [0xff, 0x01]],
      [300, [0xac, 0x02]],
      [16_384, [0x80, 0x80, 0x01]]
    ] as const
    for (const [length, header] of varints) {
      const frame = new Uint8Array(length).fill(7)
      assert.deepStrictEqual(encode({ width: "varint" }, frame), Result.succeed(bytesOf(header, frame)))
      const decoded = Codec.decodeAll(LengthPrefixed.codec({ width: "varint" }), [
        bytesOf(header, frame, header, frame)
      ])
      assert.deepStrictEqual(decoded, { frames: [frame, frame], error: undefined })
    }
  })

  it("writes and reads what it-length-prefixed reads and writes", () => {
    const sent = [0, 1, 5, 127, 128, 300, 5000, 16_384, 65_536].map((bytes) => new Uint8Array(bytes).fill(bytes))
    const codec = LengthPrefixed.codec({ width: "varint" })
    const theirs = Array.from(lp.encode(sent), (list) => list.slice())
    assert.deepStrictEqual(Codec.decodeAll(codec, theirs), { frames: sent, error: undefined })
    const ours = Result.getOrThrow(Codec.encodeAll(codec, sent))
    assert.deepStrictEqual(bytesOf(...ours), bytesOf(...theirs))
    assert.deepStrictEqual(Array.from(lp.decode(ours), (list) => list.slice()), sent)
  })
})

describe("LengthPrefixed.codec decoding", () => {
  it("reads a varint of more bytes than it needs, up to ten", () => {
    const padded = (bytes: number) => [0x85, ...Array.from({ length: bytes - 2 }, () => 0x80), 0]
    for (const bytes of [2, 5, 10]) {
      reads(of({ width: "varint", frameBytesMax: 5 }), bytesOf(padded(bytes), "hello"), frames("hello"))
    }
    const input = bytesOf([1], "a", padded(11), "hello")
    reads(of({ width: "varint" }), input, {
      ...frames("a"),
      error: [2, new Malformed({ expected: "a varint of at most 10 bytes" })]
    })
  })

  it("refuses an input that ends inside of a frame", () => {
    const ends: ReadonlyArray<readonly [LengthPrefixed.Options, ReadonlyArray<number>]> = [
      [{ width: 4 }, [0]],
      [{ width: 4 }, [0, 0, 0, 2, 1]],
      [{ width: "varint" }, [0x80]],
      [{ width: 2, offset: 2, header: "keep" }, [1, 2]]
    ]
    for (const [options, end] of ends) {
      const { error, frames } = Codec.decodeAll(LengthPrefixed.codec(options), [Uint8Array.from(end)])
      assert.deepStrictEqual([frames, error?.offset, error?.reason], [[], 0, new CutShort({ bytes: end.length })])
      reads(of(options), Uint8Array.from(end), { frames: [], error: [0, new CutShort({ bytes: end.length })] })
    }
  })

  it("takes a frame of exactly the limit, and fails at the header of a longer one", () => {
    const input = bytesOf([0, 3], "abc", [0, 4])
    const error = [5, new TooLong({ max: 3 })] as const
    reads(of({ width: 2, frameBytesMax: 3 }), input, { ...frames("abc"), error })
    const long = bytesOf([0x82, 0x01], new Uint8Array(130))
    reads(of({ width: "varint", frameBytesMax: 130 }), long, { frames: [new Uint8Array(130)] })
    const longer = [0, new TooLong({ max: 130 })] as const
    reads(of({ width: "varint", frameBytesMax: 130 }), bytesOf([0x83, 0x01]), { frames: [], error: longer })
  })

  it("counts the header to the limit where it is kept", () => {
    const input = bytesOf([9, 3], "abc", [9, 4])
    const error = [5, new TooLong({ max: 5 })] as const
    reads(of({ width: 1, offset: 1, header: "keep", frameBytesMax: 5 }), input, {
      frames: [bytesOf([9, 3], "abc")],
      error
    })
  })

  it("refuses a length that is negative when it is adjusted", () => {
    reads(of({ width: 2, adjustment: -2 }), bytesOf([0, 2, 0, 1]), {
      ...frames(""),
      error: [2, new Malformed({ expected: "a length of at least 2" })]
    })
  })

  it("refuses a length from 2^53 on", () => {
    const error = [0, new Malformed({ expected: "a length below 2^53" })] as const
    const ofEight = [0, 0x20, 0, 0, 0, 0, 0, 0]
    reads(of({ width: 8 }), Uint8Array.from(ofEight), { frames: [], error })
    reads(of({ width: 8, endianness: "little" }), Uint8Array.from(ofEight.toReversed()), { frames: [], error })
    reads(of({ width: 8 }), new Uint8Array(8).fill(255), { frames: [], error })
    const varint = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]
    reads(of({ width: "varint" }), Uint8Array.from(varint), { frames: [], error })
    reads(of({ width: "varint" }), Uint8Array.from([...Array.from({ length: 9 }, () => 255), 1]), { frames: [], error })
    const tooLong = [0, new TooLong({ max: 65_536 })] as const
    reads(of({ width: 8 }), Uint8Array.of(0, 0x1f, 255, 255, 255, 255, 255, 255), { frames: [], error: tooLong })
    reads(of({ width: "varint" }), Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 15), { frames: [], error: tooLong })
  })

  it("passes over a frame that is too long, and keeps none of it", () => {
    const input = bytesOf([1], "a", [9], "123456789", [1], "b")
    const skipped = new Skipped({ offset: 2, bytes: 10, reason: new TooLong({ max: 3 }) })
    reads(of({ width: 1, frameBytesMax: 3, onBroken: "skip" }), input, { frames: [utf8("a"), skipped, utf8("b")] })
    const decoder = LengthPrefixed.codec({ width: 4, onBroken: "skip" }).decoder()
    decoder.decode(bytesOf([0, 0xff, 0xff, 0xff], new Uint8Array(60_000)), [], 9)
    assert.lengthOf(decoder.rest(), 0)
  })

  it("tries for a frame at each byte where the length cannot be right", () => {
    const input = bytesOf([2], "x", [0, 0], [4], "abc", [1])
    const reason = new Malformed({ expected: "a length of at least 1" })
    const skipped = new Skipped({ offset: 2, bytes: 2, reason })
    for (const onBroken of ["skip", "resync"] as const) {
      reads(of({ width: 1, adjustment: -1, onBroken }), input, { frames: [utf8("x"), skipped, utf8("abc"), utf8("")] })
    }
  })

  it("looks for a frame inside of one that is too long with resync", () => {
    const skipped = new Skipped({ offset: 0, bytes: 1, reason: new TooLong({ max: 3 }) })
    reads(of({ width: 1, frameBytesMax: 3, onBroken: "resync" }), bytesOf([9, 2], "ab", [1], "c"), {
      frames: [skipped, utf8("ab"), utf8("c")]
    })
  })

  it("copies small frames together, and no more than 8 KiB of them", () => {
    const codec = LengthPrefixed.codec({ width: "varint" })
    const sent = [...Array.from({ length: 1000 }, (_, i) => new Uint8Array(i % 200).fill(i)), new Uint8Array(60_000)]
    const input = bytesOf(...Result.getOrThrow(Codec.encodeAll(codec, sent)))
    const { error, frames } = Codec.decodeAll(codec, [input])
    input.fill(0)
    assert.deepStrictEqual([frames, error], [sent, undefined])
    assert.isAtMost(Math.max(...frames.slice(0, 1000).map((frame) => frame.buffer.byteLength)), 8192)
    assert.strictEqual(frames[1000]!.buffer.byteLength, 60_000)
  })

  it("keeps no more than the limit of a frame that does not end", () => {
    const decoder = LengthPrefixed.codec({ width: 2, frameBytesMax: 1000 }).decoder()
    decoder.decode(bytesOf([0x03, 0xe8], new Uint8Array(999)), [], 9)
    assert.isAtMost(decoder.rest().buffer.byteLength, 1010)
  })

  const width = Arbitrary.schema(Schema.Literals([1, 2, 3, 4, 8, "varint"]))
  const endianness = Arbitrary.schema(Schema.Literals(["big", "little"]))
  const adjustment = Arbitrary.schema(Schema.Literals([-3, 0, 2]))
  const lengths = Arbitrary.array(Arbitrary.schema(Schema.Literals([2, 3, 40, 127, 128, 129, 240])), { maxLength: 8 })
  const cuts = Arbitrary.array(Arbitrary.schema(Schema.Literals([1, 2, 3, 50, 120, 131, 300])), { maxLength: 6 })

  it.prop(
    "gives back what was written, however it is cut",
    { width, endianness, adjustment, lengths, cuts },
    ({ adjustment, cuts, endianness, lengths, width }) => {
      const codec = LengthPrefixed.codec({ width, endianness, adjustment })
      const sent = lengths.map((length, i) => new Uint8Array(length).fill(i))
      const bytes = bytesOf(...Result.getOrThrow(Codec.encodeAll(codec, sent)))
      let from = 0
      const chunks = [...cuts, bytes.length].map((cut) => bytes.subarray(from, from += cut))
      assert.deepStrictEqual(Codec.decodeAll(codec, chunks), { frames: sent, error: undefined })
    },
    { arbitrary: { runs: 200 } }
  )
})

describe("LengthPrefixed.codec encoding", () => {
  it("writes a small frame in one chunk, and a large one by reference", () => {
    for (const [bytes, chunks] of [[0, 1], [4096, 1], [4097, 2]] as const) {
      const frame = new Uint8Array(bytes).fill(7)
      const out = Result.getOrThrow(Codec.encodeAll(LengthPrefixed.codec({ width: 4 }), [frame]))
      assert.lengthOf(out, chunks)
      assert.deepStrictEqual(bytesOf(...out), bytesOf([0, 0, bytes >> 8, bytes & 255], frame))
      assert.strictEqual(out[1] === frame, chunks === 2)
    }
  })

  it("never gives the same memory twice", () => {
    const sent = Array.from({ length: 500 }, (_, i) => new Uint8Array(i % 300).fill(i))
    const codec = LengthPrefixed.codec({ width: "varint" })
    const chunks = Result.getOrThrow(Codec.encodeAll(codec, sent))
    assert.lengthOf(chunks, sent.length)
    assert.deepStrictEqual(Codec.decodeAll(codec, chunks).frames, sent)
  })

  it("refuses a frame longer than the limit, or than the width can say", () => {
    assert.deepStrictEqual(encode({ width: 4, frameBytesMax: 3 }, utf8("abcd")), refused(new TooLong({ max: 3 })))
    assert.deepStrictEqual(encode({ width: 1 }, new Uint8Array(256)), refused(new TooLong({ max: 255 })))
    const adjusted = { width: 1, adjustment: 2 } as const
    assert.deepStrictEqual(encode(adjusted, new Uint8Array(258)), refused(new TooLong({ max: 257 })))
    assert.isTrue(Result.isSuccess(encode(adjusted, new Uint8Array(257))))
    const kept = { width: 1, offset: 1, header: "keep" } as const
    assert.deepStrictEqual(encode(kept, new Uint8Array(258)), refused(new TooLong({ max: 257 })))
    assert.deepStrictEqual(encode({ width: 4 }, new Uint8Array(65_537)), refused(new TooLong({ max: 65_536 })))
  })

  it("refuses a frame shorter than what is not counted", () => {
    const reason = new Malformed({ expected: "a frame of at least 2 bytes" })
    assert.deepStrictEqual(encode({ width: 1, adjustment: 2 }, utf8("a")), refused(reason))
  })

  it("refuses a kept header with another length", () => {
    const reason = new Malformed({ expected: "a header with the length of the frame" })
    for (const frame of [[], [9], [9, 3], [9, 3, 1, 2], [9, 3, 1, 2, 3, 4]]) {
      const options = { width: 1, offset: 1, header: "keep" } as const
      assert.deepStrictEqual(encode(options, Uint8Array.from(frame)), refused(reason))
    }
    assert.deepStrictEqual(encode({ width: "varint", header: "keep" }, Uint8Array.of(0x80)), refused(reason))
    assert.deepStrictEqual(encode({ width: 1, adjustment: -1, header: "keep" }, Uint8Array.of(0)), refused(reason))
  })
})

describe("LengthPrefixed.codec options", () => {
  it("are checked at once", () => {
    const wrong = (options: unknown, message: string) => {
      assert.throws(() => LengthPrefixed.codec(options as LengthPrefixed.Options), InvalidOption, message)
      assert.throws(() => LengthPrefixed.protocol(options as LengthPrefixed.Options), InvalidOption)
    }
    wrong({}, "width must be")
    wrong({ width: 5 }, `width must be "varint" or 1 or 2 or 3 or 4 or 8, and is 5`)
    wrong({ width: 2, endianness: "middle" }, "endianness must be")
    wrong({ width: 2, header: "drop" }, "header must be")
    wrong({ width: 2, offset: -1, header: "keep" }, "offset must be a non-negative integer")
    wrong({ width: 2, offset: 1 }, `offset must be 0, unless header is "keep"`)
    wrong({ width: 1, adjustment: -256 }, "adjustment must be an integer from -255 on")
    wrong({ width: 1, adjustment: 0.5 }, "adjustment must be")
    wrong({ width: 1, frameBytesMax: 0 }, "frameBytesMax must be a positive integer")
    wrong({ width: 4, offset: 1, header: "keep", frameBytesMax: 4 }, "frameBytesMax must be an integer from 5 on")
  })
})

describe("LengthPrefixed.protocol", () => {
  it.effect("carries frames over a transport", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const here = yield* Protocol.attach(LengthPrefixed.protocol({ width: "varint" }), a)
      const there = yield* Protocol.attach(LengthPrefixed.protocol({ width: "varint" }), b)
      yield* here.writeAll(["one", "", "three"].map(utf8))
      for (const text of ["one", "", "three"]) assert.deepStrictEqual(yield* Connection.take(there), utf8(text))
    }))
})
