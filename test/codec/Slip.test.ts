import { assert, describe, it } from "@effect/vitest"
import { SlipDecoder, SlipEncoder } from "@serialport/parser-slip-encoder"
import { Arbitrary, Schema } from "effect"
import * as Codec from "../../src/Codec.ts"
import * as Slip from "../../src/codec/Slip.ts"
import { CutShort, DecodeError, EncodeError, Malformed, Skipped, TooLong } from "../../src/FrameError.ts"
import { InvalidOption } from "../../src/TransportError.ts"
import {
  bytewise,
  encoded,
  hex,
  join,
  noise,
  reads,
  readsAndGoesOn,
  refuses,
  stuffedModel,
  touched,
  utf8
} from "../support/codecCases.ts"

const more = { input: hex("aa c0 c0 bb c0"), frames: [hex("aa"), hex("bb")] }

const expected = "0xdc or 0xdd behind an escape"

const malformed = new Malformed({ expected })

const at = (offset: number, reason: DecodeError["reason"]) => new DecodeError({ offset, reason })

const frames = [
  hex("c0"),
  hex("db"),
  hex("dc dd"),
  hex("db dc db dd c0 c0"),
  utf8("without any of them"),
  ...[1, 2, 255, 256, 1006, 5000].flatMap((length) => [noise(length), new Uint8Array(length).fill(0xdb)])
]

/** What a stream of Node makes of these chunks: its chunks. */
const through = (stream: SlipEncoder | SlipDecoder, chunks: ReadonlyArray<Uint8Array>): ReadonlyArray<Uint8Array> => {
  const out: Array<Uint8Array> = []
  for (const chunk of chunks) {
    stream.write(chunk)
    for (let read = stream.read(); read !== null; read = stream.read()) out.push(read)
  }
  return out
}

const isSame = (a: ReadonlyArray<Uint8Array>, b: ReadonlyArray<Uint8Array>) =>
  a.length === b.length && a.every((bytes, i) => Buffer.compare(bytes, b[i]!) === 0)

describe("Slip.codec", () => {
  it("writes what RFC 1055 says, END around each frame", () => {
    assert.deepStrictEqual(encoded(Slip.codec(), hex("01 c0 02")), hex("c0 01 db dc 02 c0"))
    assert.deepStrictEqual(encoded(Slip.codec(), hex("01 db 02")), hex("c0 01 db dd 02 c0"))
    assert.deepStrictEqual(encoded(Slip.codec(), hex("db dc dd c0")), hex("c0 db dd dc dd db dc c0"))
    assert.deepStrictEqual(encoded(Slip.codec({ ends: "around" }), hex("01")), hex("c0 01 c0"))
  })

  it("writes one END behind each frame where that is the option", () => {
    const codec = Slip.codec({ ends: "behind" })
    assert.deepStrictEqual(encoded(codec, hex("01 c0 02")), hex("01 db dc 02 c0"))
    assert.deepStrictEqual(encoded(codec, hex("01 02")), hex("01 02 c0"))
  })

  it("reads both", () => {
    for (const ends of ["around", "behind"] as const) {
      const codec = Slip.codec({ ends })
      readsAndGoesOn(codec, hex("c0 01 db dc 02 c0"), [hex("01 c0 02")], more)
      readsAndGoesOn(codec, hex("01 db dd 02 c0"), [hex("01 db 02")], more)
      readsAndGoesOn(codec, hex("db dd dc dd db dc c0 01 02 c0"), [hex("db dc dd c0"), hex("01 02")], more)
    }
  })

  it("writes byte for byte what serialport writes", () => {
    const codec = Slip.codec({ ends: "behind" })
    const theirs = through(new SlipEncoder({ readableObjectMode: true }), frames)
    assert.isTrue(isSame(theirs, frames.map((frame) => encoded(codec, frame))))
    const around = through(new SlipEncoder({ readableObjectMode: true, bluetoothQuirk: true }), frames)
    assert.isTrue(isSame(around, frames.map((frame) => encoded(Slip.codec(), frame))))
  })

  it("reads what serialport writes, and is read by it", () => {
    const theirs = join(...through(new SlipEncoder({ readableObjectMode: true }), frames))
    assert.isTrue(isSame(Codec.decodeAll(Slip.codec(), [theirs]).frames, frames))
    assert.isTrue(isSame(Codec.decodeAll(Slip.codec(), bytewise(theirs)).frames, frames))
    for (const ends of ["around", "behind"] as const) {
      const ours = frames.map((frame) => encoded(Slip.codec({ ends }), frame))
      const read = through(new SlipDecoder({ readableObjectMode: true }), ours)
      // It takes two ENDs for an empty frame.
      assert.isTrue(isSame(read.filter((frame) => frame.length > 0), frames))
    }
  })

  it("reads frames whose memory is their own", () => {
    const bytes = join(...frames.map((frame) => encoded(Slip.codec(), frame)))
    for (const frame of Codec.decodeAll(Slip.codec(), [bytes]).frames) frame.fill(0xee)
    assert.isTrue(isSame(Codec.decodeAll(Slip.codec(), [bytes]).frames, frames))
  })

  it("takes ENDs with nothing between them for no frames", () => {
    readsAndGoesOn(Slip.codec(), hex("c0"), [], more)
    readsAndGoesOn(Slip.codec(), hex("c0 c0 01 c0 c0 c0 02 c0 c0"), [hex("01"), hex("02")], more)
    const flood = new Uint8Array(10_000).fill(0xc0)
    const decoder = Slip.codec({ frameBytesMax: 4 }).decoder()
    for (let i = 0; i < 3; i++) assert.isUndefined(decoder.decode(flood, [], 1))
    assert.lengthOf(decoder.rest(), 0)
  })

  it("does not write an empty frame, which would not be read", () => {
    refuses(Slip.codec(), hex(""), new EncodeError({ reason: new Malformed({ expected: "at least one byte" }) }))
  })

  it("refuses a wrong escape", () => {
    reads(Slip.codec(), hex("01 c0 c0 db 01 c0 02 c0"), { frames: [hex("01")], error: at(3, malformed) })
    reads(Slip.codec(), hex("01 db db dc c0"), { frames: [], error: at(0, malformed) })
    reads(Slip.codec(), hex("01 db c0 dc c0"), { frames: [], error: at(0, malformed) })
  })

  it("goes on behind the next END, where it is told to", () => {
    const skipped = new Skipped({ offset: 2, bytes: 4, reason: malformed })
    for (const onBroken of ["skip", "resync"] as const) {
      const codec = Slip.codec({ onBroken })
      readsAndGoesOn(codec, hex("c0 c0 01 db 01 c0 c0 02 c0"), [skipped, hex("02")], more)
    }
  })

  it("counts the bytes of the frame, and not those of the encoding", () => {
    const codec = Slip.codec({ frameBytesMax: 3 })
    const error = at(0, new TooLong({ max: 3 }))
    readsAndGoesOn(codec, hex("01 02 03 c0 db dc db dd db dc c0"), [hex("01 02 03"), hex("c0 db c0")], more)
    reads(codec, hex("01 02 03 04 c0"), { frames: [], error })
    reads(codec, hex("db dc db dd db dc 04 c0"), { frames: [], error })
    const four = new EncodeError({ reason: new TooLong({ max: 3 }) })
    refuses(codec, hex("01 02 03 04"), four)
  })

  it("fails at the limit and not at the END", () => {
    const decoder = Slip.codec({ frameBytesMax: 3 }).decoder()
    assert.isUndefined(decoder.decode(hex("01 02 03 04 05 06"), [], 1))
    assert.deepStrictEqual(decoder.decode(hex("07"), [], 1), at(0, new TooLong({ max: 3 })))
  })

  it("passes over a frame that is too long, and keeps nothing of it", () => {
    const codec = Slip.codec({ frameBytesMax: 3, onBroken: "skip" })
    const skipped = new Skipped({ offset: 2, bytes: 9, reason: new TooLong({ max: 3 }) })
    readsAndGoesOn(codec, hex("01 c0 01 01 01 01 01 01 01 01 c0"), [hex("01"), skipped], more)
    const decoder = codec.decoder()
    for (let i = 0; i < 10; i++) decoder.decode(new Uint8Array(1000), [], 1)
    assert.isAtMost(decoder.rest().buffer.byteLength, 64)
  })

  it("has a limit of 64 KiB by default", () => {
    const frame = new Uint8Array(65_536).fill(0xc0)
    const [read] = Codec.decodeAll(Slip.codec(), [encoded(Slip.codec(), frame)]).frames
    assert.isTrue(Buffer.from(read!).equals(frame))
    refuses(Slip.codec(), new Uint8Array(65_537), new EncodeError({ reason: new TooLong({ max: 65_536 }) }))
  })

  it("takes what is behind the last END for a frame cut short", () => {
    reads(Slip.codec(), hex("01 c0 02 03"), { frames: [hex("01")], error: at(2, new CutShort({ bytes: 2 })) })
    const skipped = new Skipped({ offset: 0, bytes: 2, reason: new CutShort({ bytes: 2 }) })
    reads(Slip.codec({ onBroken: "skip" }), hex("02 db"), { frames: [skipped] })
  })

  it("throws InvalidOption for an option that is wrong", () => {
    assert.throws(() => Slip.codec({ frameBytesMax: 0 }), InvalidOption)
    assert.throws(() => Slip.codec({ ends: "before" as never }), InvalidOption)
    assert.throws(() => Slip.protocol({ onBroken: "ignore" as never }), InvalidOption)
  })

  it("touches each byte a bounded number of times, whatever it is and however it is cut", () => {
    const escapes = encoded(Slip.codec(), new Uint8Array(500).fill(0xdb))
    const dense = Uint8Array.from({ length: 1000 }, (_, i) => i % 2 * 0xc0)
    const broken = dense.map((byte) => byte === 0 ? 0xdb : byte)
    for (const input of [escapes, dense, broken, new Uint8Array(1000).fill(0xc0), noise(1000)]) {
      for (const [chunks, max] of [[[input], Infinity], [[input], 1], [[input], 16], [bytewise(input), 1]] as const) {
        const read = () => {
          const decoder = Slip.codec({ onBroken: "skip" }).decoder()
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
  })

  const some = Arbitrary.schema(Schema.Literals([0xc0, 0xc0, 0xdb, 0xdb, 0xdc, 0xdd, 1]))
  const bytes = Arbitrary.map(Arbitrary.array(some, { maxLength: 40 }), (bytes) => Uint8Array.from(bytes))
  const onBroken = Arbitrary.schema(Schema.Literals(["fatal", "skip", "resync"]))
  const max = Arbitrary.schema(Schema.Literals([1, 2, 3, 5, 100]))

  it.prop(
    "reads of any bytes what the rule says, however they are cut",
    { bytes, max, onBroken },
    ({ bytes, max, onBroken }) => {
      const outcome = stuffedModel(bytes, {
        mark: 0xc0,
        max,
        stuffedMax: 2 * max,
        expected,
        onBroken,
        unstuff: (bytes) => {
          const frame: Array<number> = []
          for (let i = 0; i < bytes.length; i++) {
            if (bytes[i] !== 0xdb) frame.push(bytes[i]!)
            else if (bytes[++i] === 0xdc) frame.push(0xc0)
            else if (bytes[i] === 0xdd) frame.push(0xdb)
            else return undefined
          }
          return frame
        }
      })
      reads(Slip.codec({ frameBytesMax: max, onBroken }), bytes, outcome)
    },
    { arbitrary: { runs: 30 } }
  )
})
