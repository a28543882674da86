import { assert, describe, it } from "@effect/vitest"
import cobs from "cobs"
import { Arbitrary, Schema } from "effect"
import * as Codec from "../../src/Codec.ts"
import * as Cobs from "../../src/codec/Cobs.ts"
import { CutShort, DecodeError, EncodeError, Malformed, Skipped, TooLong } from "../../src/FrameError.ts"
import { InvalidOption } from "../../src/TransportError.ts"
import {
  bytewise,
  cutAt,
  encoded,
  hex,
  join,
  noise,
  reads,
  readsAndGoesOn,
  refuses,
  stuffedModel,
  touched
} from "../support/codecCases.ts"

const range = (from: number, to: number) => Uint8Array.from({ length: to - from + 1 }, (_, i) => from + i)

/** What the paper and Wikipedia's article show. */
const published: ReadonlyArray<readonly [frame: Uint8Array, bytes: Uint8Array]> = [
  [hex("45 00 00 2c 4c 79 00 00 40 06 4f 37"), hex("02 45 01 04 2c 4c 79 01 05 40 06 4f 37 00")],
  [hex(""), hex("01 00")],
  [hex("00"), hex("01 01 00")],
  [hex("00 00"), hex("01 01 01 00")],
  [hex("00 11 00"), hex("01 02 11 01 00")],
  [hex("11 22 00 33"), hex("03 11 22 02 33 00")],
  [hex("11 22 33 44"), hex("05 11 22 33 44 00")],
  [hex("11 00 00 00"), hex("02 11 01 01 01 00")],
  [range(1, 254), join(hex("ff"), range(1, 254), hex("00"))],
  [join(hex("00"), range(1, 254)), join(hex("01 ff"), range(1, 254), hex("00"))],
  [range(1, 255), join(hex("ff"), range(1, 254), hex("02 ff 00"))],
  [join(range(2, 255), hex("00")), join(hex("ff"), range(2, 255), hex("01 01 00"))],
  [join(range(3, 255), hex("00 01")), join(hex("fe"), range(3, 255), hex("02 01 00"))]
]

const more = { input: hex("02 aa 00 01 00"), frames: [hex("aa"), hex("")] }

const malformed = new Malformed({ expected: "a code that points into the frame" })

const at = (offset: number, reason: DecodeError["reason"]) => new DecodeError({ offset, reason })

/** Frames of every kind at the lengths at which codes are full. */
const lengths = [0, 1, 2, 31, 32, 33, 252, 253, 254, 255, 256, 257, 507, 508, 509, 510, 511, 761, 762, 763, 1000]
const kinds: Record<string, (length: number) => Uint8Array> = {
  "without zeros": (length) => Uint8Array.from({ length }, (_, i) => i % 255 + 1),
  "of zeros": (length) => new Uint8Array(length),
  "with a zero at its end": (length) => Uint8Array.from({ length }, (_, i) => i === length - 1 ? 0 : 7),
  "with a zero at its beginning": (length) => Uint8Array.from({ length }, (_, i) => i === 0 ? 0 : 7),
  "with a zero behind a full code": (length) => Uint8Array.from({ length }, (_, i) => i === 254 ? 0 : 7),
  "of noise": (length) => noise(length, length),
  "of sparse zeros": (length) => noise(length, length).map((byte, i) => i % 300 < 290 ? byte | 1 : 0)
}

describe("Cobs.codec", () => {
  for (const [frame, bytes] of published) {
    const shown = Buffer.from(bytes.subarray(0, 8)).toString("hex")
    it(`writes and reads what is published: ${shown}`, () => {
      assert.deepStrictEqual(encoded(Cobs.codec(), frame), bytes)
      assert.deepStrictEqual(Codec.decodeAll(Cobs.codec(), [bytes]), { frames: [frame], error: undefined })
      if (bytes.length < 20) readsAndGoesOn(Cobs.codec(), bytes, [frame], more)
    })
  }

  for (const [kind, make] of Object.entries(kinds)) {
    it(`agrees with npm cobs on frames ${kind}`, () => {
      for (const length of lengths) {
        const frame = make(length)
        const bytes = encoded(Cobs.codec(), frame)
        assert.strictEqual(bytes.indexOf(0), bytes.length - 1)
        assert.isTrue(Buffer.from(frame).equals(cobs.decode(bytes.subarray(0, -1))), `decode ${length}`)
        // With zeros around, and where a full code ends the frame with an empty group behind it.
        const theirs = cobs.encode(frame, true)
        const ours = join(hex("00"), bytes)
        const group = theirs.length - ours.length
        assert.isTrue(Buffer.from(theirs.subarray(0, ours.length - 1)).equals(ours.subarray(0, -1)), `encode ${length}`)
        assert.isTrue(group === 0 || group === 1 && theirs.at(-2) === 1 && bytes.at(-256) === 255, `group ${length}`)
        for (const chunks of [[theirs], cutAt(theirs, length >> 1), ...length < 300 ? [bytewise(theirs)] : []]) {
          const { error, frames } = Codec.decodeAll(Cobs.codec({ frameBytesMax: Math.max(1, length) }), chunks)
          assert.isUndefined(error)
          assert.lengthOf(frames, 1)
          assert.isTrue(Buffer.from(frame).equals(frames[0]!), `read ${length}`)
        }
      }
    })
  }

  it("reads frames behind each other, whose memory is their own", () => {
    const frames = lengths.map((length) => kinds["of sparse zeros"]!(length))
    const bytes = join(...frames.map((frame) => encoded(Cobs.codec(), frame)))
    const given = Codec.decodeAll(Cobs.codec(), [bytes]).frames
    for (const frame of given) frame.fill(0xee)
    assert.deepStrictEqual(given.map((frame) => frame.length), lengths)
    const again = Codec.decodeAll(Cobs.codec(), [bytes]).frames
    assert.isTrue(Buffer.concat(again).equals(Buffer.concat(frames)))
  })

  it("copies many frames together, and not so many that one which is kept pins much", () => {
    const bytes = join(...Array.from({ length: 1000 }, () => encoded(Cobs.codec(), noise(100))))
    const buffers = new Set(Codec.decodeAll(Cobs.codec(), [bytes]).frames.map((frame) => frame.buffer))
    assert.isBelow(buffers.size, 20)
    for (const buffer of buffers) assert.isBelow(buffer.byteLength, 8192 + 110)
  })

  it("takes zeros with nothing between them for padding", () => {
    readsAndGoesOn(Cobs.codec(), hex("00"), [], more)
    readsAndGoesOn(Cobs.codec(), hex("00 00 02 11 00 00 00 01 00 00"), [hex("11"), hex("")], more)
    const flood = new Uint8Array(10_000)
    const decoder = Cobs.codec({ frameBytesMax: 4 }).decoder()
    for (let i = 0; i < 3; i++) assert.isUndefined(decoder.decode(flood, [], 1))
    assert.lengthOf(decoder.rest(), 0)
  })

  it("writes an empty frame, and reads it as one", () => {
    assert.deepStrictEqual(encoded(Cobs.codec(), hex("")), hex("01 00"))
    readsAndGoesOn(Cobs.codec(), hex("01 00 01 00"), [hex(""), hex("")], more)
  })

  it("refuses a code that points beyond its frame", () => {
    reads(Cobs.codec(), hex("02 11 00 03 11 00 02 22 00"), { frames: [hex("11")], error: at(3, malformed) })
    reads(Cobs.codec(), hex("00 00 02 11 02 00"), { frames: [], error: at(2, malformed) })
    reads(Cobs.codec(), hex("ff 00"), { frames: [], error: at(0, malformed) })
  })

  it("goes on behind the next zero, where it is told to", () => {
    const input = hex("02 11 00 03 11 00 00 02 22 00")
    const skipped = new Skipped({ offset: 3, bytes: 3, reason: malformed })
    for (const onBroken of ["skip", "resync"] as const) {
      const codec = Cobs.codec({ onBroken })
      readsAndGoesOn(codec, input, [hex("11"), skipped, hex("22")], more)
    }
  })

  it("counts the bytes of the frame, and not those of the encoding", () => {
    const error = at(0, new TooLong({ max: 4 }))
    const codec = Cobs.codec({ frameBytesMax: 4 })
    readsAndGoesOn(codec, hex("05 11 22 33 44 00 01 01 01 01 01 00"), [hex("11 22 33 44"), new Uint8Array(4)], more)
    reads(codec, hex("06 11 22 33 44 55 00"), { frames: [], error })
    reads(codec, hex("01 01 01 01 01 01 00"), { frames: [], error })
    for (const frameBytesMax of [253, 254, 255, 508, 509]) {
      const codec = Cobs.codec({ frameBytesMax })
      for (const make of [kinds["of zeros"]!, kinds["without zeros"]!]) {
        const whole = cobs.encode(make(frameBytesMax), true)
        assert.isUndefined(Codec.decodeAll(codec, bytewise(whole)).error)
        const long = encoded(Cobs.codec(), make(frameBytesMax + 1))
        const error = at(0, new TooLong({ max: frameBytesMax }))
        assert.deepStrictEqual(Codec.decodeAll(codec, [long]), { frames: [], error })
        assert.deepStrictEqual(Codec.decodeAll(codec, bytewise(long)), { frames: [], error })
      }
    }
  })

  it("fails at the limit and not at the zero", () => {
    const decoder = Cobs.codec({ frameBytesMax: 4 }).decoder()
    assert.isUndefined(decoder.decode(hex("05 11 22 33 44"), [], 1))
    assert.deepStrictEqual(decoder.decode(hex("55"), [], 1), at(0, new TooLong({ max: 4 })))
  })

  it("passes over a frame that is too long, and keeps nothing of it", () => {
    const codec = Cobs.codec({ frameBytesMax: 4, onBroken: "skip" })
    const skipped = new Skipped({ offset: 2, bytes: 9, reason: new TooLong({ max: 4 }) })
    readsAndGoesOn(codec, hex("01 00 aa aa aa aa aa aa aa aa 00"), [hex(""), skipped], more)
    const decoder = codec.decoder()
    for (let i = 0; i < 10; i++) decoder.decode(noise(1000).fill(9), [], 1)
    assert.isAtMost(decoder.rest().buffer.byteLength, 64)
  })

  it("has a limit of 64 KiB by default", () => {
    const frame = noise(65_536)
    const bytes = encoded(Cobs.codec(), frame)
    assert.isTrue(Buffer.from(Codec.decodeAll(Cobs.codec(), [bytes]).frames[0]!).equals(frame))
    refuses(Cobs.codec(), new Uint8Array(65_537), new EncodeError({ reason: new TooLong({ max: 65_536 }) }))
  })

  it("takes what is behind the last zero for a frame cut short", () => {
    reads(Cobs.codec(), hex("02 11 00 02"), { frames: [hex("11")], error: at(3, new CutShort({ bytes: 1 })) })
    const skipped = new Skipped({ offset: 0, bytes: 2, reason: new CutShort({ bytes: 2 }) })
    reads(Cobs.codec({ onBroken: "skip" }), hex("02 22"), { frames: [skipped] })
  })

  it("throws InvalidOption for an option that is wrong", () => {
    assert.throws(() => Cobs.codec({ frameBytesMax: 0 }), InvalidOption)
    assert.throws(() => Cobs.codec({ onBroken: "ignore" as never }), InvalidOption)
    assert.throws(() => Cobs.protocol({ frameBytesMax: 1.5 }), InvalidOption)
  })

  it("touches each byte a bounded number of times, whatever it is and however it is cut", () => {
    const zeros = encoded(Cobs.codec(), new Uint8Array(1000))
    const fullThenZeros = encoded(Cobs.codec(), join(new Uint8Array(254).fill(1), new Uint8Array(1000)))
    const dense = Uint8Array.from({ length: 1000 }, (_, i) => i % 2)
    const broken = dense.map((byte) => 5 * byte)
    for (const input of [zeros, fullThenZeros, dense, broken, new Uint8Array(1000), noise(1000)]) {
      for (const [chunks, max] of [[[input], Infinity], [[input], 1], [[input], 16], [bytewise(input), 1]] as const) {
        const read = () => {
          const decoder = Cobs.codec({ onBroken: "skip" }).decoder()
          const frames: Array<Uint8Array | Skipped> = []
          for (const chunk of chunks) {
            for (let bytes: Uint8Array | undefined = chunk;; bytes = undefined) {
              const before = frames.length
              decoder.decode(bytes, frames, max)
              if (frames.length - before < max) break
            }
          }
        }
        assert.isBelow(touched(read), 12 * input.length)
      }
    }
    for (const frame of [new Uint8Array(8000), noise(8000), new Uint8Array(8000).fill(1)]) {
      assert.isBelow(touched(() => encoded(Cobs.codec(), frame)), 4 * 8000)
    }
  })

  const some = Arbitrary.schema(Schema.Literals([0, 0, 1, 2, 3, 4, 5, 254, 255]))
  const bytes = Arbitrary.map(Arbitrary.array(some, { maxLength: 40 }), (bytes) => Uint8Array.from(bytes))
  const onBroken = Arbitrary.schema(Schema.Literals(["fatal", "skip", "resync"]))
  const max = Arbitrary.schema(Schema.Literals([1, 2, 3, 5, 100]))

  it.prop(
    "reads of any bytes what the rule says, however they are cut",
    { bytes, max, onBroken },
    ({ bytes, max, onBroken }) => {
      const expected = stuffedModel(bytes, {
        mark: 0,
        max,
        stuffedMax: max + 1,
        expected: "a code that points into the frame",
        onBroken,
        unstuff: (bytes) => {
          const frame: Array<number> = []
          for (let at = 0; at < bytes.length;) {
            const code = bytes[at]!
            if (at + code > bytes.length) return undefined
            frame.push(...bytes.slice(at + 1, at + code))
            at += code
            if (code < 255 && at < bytes.length) frame.push(0)
          }
          return frame
        }
      })
      reads(Cobs.codec({ frameBytesMax: max, onBroken }), bytes, expected)
    },
    { arbitrary: { runs: 30 } }
  )
})
