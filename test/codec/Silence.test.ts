import { assert, describe, it } from "@effect/vitest"
import { crc16modbus } from "crc"
import * as Codec from "../../src/Codec.ts"
import * as Checked from "../../src/codec/Checked.ts"
import * as Silence from "../../src/codec/Silence.ts"
import { ChecksumMismatch, DecodeError, EncodeError, Malformed, Skipped, TooLong } from "../../src/FrameError.ts"
import { InvalidOption } from "../../src/TransportError.ts"
import { bytewise, encoded, hex, join, noise, reads, refuses } from "../support/codecCases.ts"

/** Reads bytes that arrive at these times, as a caller with a clock does, to the end of the last gap. */
const hear = <In, DE>(
  codec: Codec.Codec<In, never, DE, unknown>,
  arrivals: ReadonlyArray<readonly [atMs: number, bytes: Uint8Array]>,
  max = Infinity
): { readonly frames: ReadonlyArray<readonly [atMs: number, frame: In]>; readonly error: DE | undefined } => {
  const decoder = codec.decoder()
  const frames: Array<readonly [number, In]> = []
  let error: DE | undefined
  const collect = (nowMs: number, f: (out: Array<In>) => void) => {
    const out: Array<In> = []
    f(out)
    for (const frame of out) frames.push([nowMs, frame])
  }
  let dueMs: number | undefined
  const askUntil = (untilMs: number) => {
    while (dueMs !== undefined && dueMs <= untilMs) {
      const nowMs = dueMs
      collect(nowMs, (out) => void (dueMs = decoder.due!(nowMs, out)))
    }
  }
  for (const [nowMs, bytes] of arrivals) {
    askUntil(nowMs)
    collect(nowMs, (out) => {
      dueMs = decoder.due!(nowMs, out)
      error = decoder.decode(bytes, out, max)
      dueMs = decoder.due!(nowMs, out)
    })
    if (error !== undefined) return { frames, error }
  }
  askUntil(Infinity)
  collect(Infinity, (out) => void (error = decoder.decode(undefined, out, max)))
  return { frames, error }
}

const silence = Silence.codec({ gapMs: 2, frameBytesMax: 8 })

describe("Silence.codec", () => {
  it("ends a frame after a gap", () => {
    assert.deepStrictEqual(hear(silence, [[0, hex("01 02")], [10, hex("03")]]).frames, [
      [2, hex("01 02")],
      [12, hex("03")]
    ])
  })

  it("goes on with the frame up to the end of the gap", () => {
    const arrivals = [[0, hex("01")], [1, hex("02")], [2.5, hex("03")], [4.4, hex("04")]] as const
    assert.deepStrictEqual(hear(silence, arrivals).frames, [[6.4, hex("01 02 03 04")]])
  })

  it("begins a new frame with bytes that come at the end of the gap or later", () => {
    assert.deepStrictEqual(hear(silence, [[0, hex("01")], [2, hex("02")]]).frames, [[2, hex("01")], [4, hex("02")]])
    const late = silence.decoder()
    const frames: Array<Uint8Array> = []
    late.decode(hex("01"), frames, 9)
    assert.strictEqual(late.due!(100, frames), 102)
    assert.isUndefined(late.due!(500, frames))
    late.decode(hex("02"), frames, 9)
    assert.strictEqual(late.due!(500, frames), 502)
    assert.deepStrictEqual(frames, [hex("01")])
  })

  it("takes fractions of a millisecond", () => {
    const codec = Silence.codec({ gapMs: 1.75 })
    const arrivals = [[0.25, hex("01")], [1.99, hex("02")], [3.74, hex("03")]] as const
    assert.deepStrictEqual(hear(codec, arrivals).frames, [[3.74, hex("01 02")], [5.49, hex("03")]])
  })

  it("wants to be asked only while a frame is begun", () => {
    const decoder = silence.decoder()
    const frames: Array<Uint8Array> = []
    assert.isUndefined(decoder.due!(0, frames))
    decoder.decode(hex("01"), frames, 9)
    assert.strictEqual(decoder.due!(5, frames), 7)
    assert.strictEqual(decoder.due!(6, frames), 7)
    assert.isUndefined(decoder.due!(7, frames))
    assert.isUndefined(decoder.due!(100, frames))
    assert.deepStrictEqual(frames, [hex("01")])
  })

  it("does not care how the bytes of one time are cut", () => {
    for (const max of [1, 2, Infinity]) {
      const bytes = hex("01 02 03 04 05")
      const arrivals = [...bytewise(bytes).map((byte) => [1, byte] as const), [9, hex("06")] as const]
      assert.deepStrictEqual(hear(silence, arrivals, max).frames, [[3, bytes], [11, hex("06")]])
    }
  })

  it("ends a frame at the end of the input too", () => {
    reads(silence, hex("01 02 03"), { frames: [hex("01 02 03")] })
    reads(silence, hex("01 02 03 04 05 06 07 08"), { frames: [hex("01 02 03 04 05 06 07 08")] })
    reads(silence, hex(""), { frames: [] })
  })

  it("fails at the limit, without a gap", () => {
    const error = new DecodeError({ offset: 0, reason: new TooLong({ max: 8 }) })
    reads(silence, hex("01 02 03 04 05 06 07 08 09"), { frames: [], error })
    const second = hear(silence, [[0, hex("01")], [9, new Uint8Array(9)]])
    assert.deepStrictEqual(second.error, new DecodeError({ offset: 1, reason: new TooLong({ max: 8 }) }))
  })

  it("passes over what is too long up to the next gap, and keeps nothing of it", () => {
    for (const onBroken of ["skip", "resync"] as const) {
      const codec = Silence.codec({ gapMs: 2, frameBytesMax: 8, onBroken })
      const skipped = new Skipped({ offset: 1, bytes: 2001, reason: new TooLong({ max: 8 }) })
      const arrivals = [
        [0, hex("01")],
        [9, new Uint8Array(1000)],
        [10, new Uint8Array(1000)],
        [11, hex("02")],
        [20, hex("03")]
      ] as const
      assert.deepStrictEqual(hear(codec, arrivals).frames, [[2, hex("01")], [13, skipped], [22, hex("03")]])
      reads(codec, new Uint8Array(20), {
        frames: [new Skipped({ offset: 0, bytes: 20, reason: new TooLong({ max: 8 }) })]
      })
      const decoder = codec.decoder()
      for (let i = 0; i < 10; i++) decoder.decode(new Uint8Array(1000), [], 1)
      assert.isAtMost(decoder.rest().buffer.byteLength, 64)
    }
  })

  it("writes the frame and nothing else", () => {
    const codec = Silence.codec({ gapMs: 2 })
    const out: Array<Uint8Array> = []
    const [small, large] = [noise(100), noise(5000)]
    codec.encode(small, out)
    codec.encode(large, out)
    assert.deepStrictEqual(out[0], small)
    assert.notStrictEqual(out[0], small)
    assert.strictEqual(out[1], large)
    refuses(silence, hex(""), new EncodeError({ reason: new Malformed({ expected: "at least one byte" }) }))
    refuses(silence, new Uint8Array(9), new EncodeError({ reason: new TooLong({ max: 8 }) }))
  })

  it("has a limit of 64 KiB by default", () => {
    const codec = Silence.codec({ gapMs: 2 })
    assert.lengthOf(Codec.decodeAll(codec, [new Uint8Array(65_536)]).frames[0]!, 65_536)
    assert.isDefined(Codec.decodeAll(codec, [new Uint8Array(65_537)]).error)
  })

  it("throws InvalidOption for an option that is wrong", () => {
    for (const gapMs of [0, -1, NaN, Infinity, "2" as never, undefined as never]) {
      assert.throws(() => Silence.codec({ gapMs }), InvalidOption)
    }
    assert.throws(() => Silence.codec({ gapMs: 1, frameBytesMax: 0 }), InvalidOption)
    assert.throws(() => Silence.protocol({ gapMs: 1, onBroken: "ignore" as never }), InvalidOption)
  })

  it("reads Modbus RTU with a checksum over it", () => {
    const gapMs = Silence.modbusGapMs(115_200)
    const codec = Checked.codec(Silence.codec({ gapMs, frameBytesMax: 256, onBroken: "skip" }), Checked.crc16Modbus)
    const request = hex("01 03 00 00 00 0a c5 cd")
    const answer = hex("01 04 02 ff ff b8 80")
    const noisy = join(hex("00"), request)
    const reason = new ChecksumMismatch({ computed: crc16modbus(Buffer.from(noisy.subarray(0, -2))), received: 0xcdc5 })
    const arrivals = [
      [0, request.subarray(0, 3)],
      [1, request.subarray(3)],
      [5, noisy],
      [10, hex("01")],
      [20, answer]
    ] as const
    assert.deepStrictEqual(hear(codec, arrivals).frames, [
      [2.75, request.subarray(0, 6)],
      [6.75, new Skipped({ offset: 8, bytes: 9, reason })],
      [11.75, new Skipped({ offset: 17, bytes: 1, reason: new Malformed({ expected: "a checksum of 2 bytes" }) })],
      [21.75, answer.subarray(0, 5)]
    ])
    assert.deepStrictEqual(encoded(codec, hex("11 03 00 6b 00 03")), hex("11 03 00 6b 00 03 76 87"))
  })

  it("tells an error that a gap brought with the next bytes", () => {
    const codec = Checked.codec(silence, Checked.crc16Modbus)
    const decoder = codec.decoder()
    decoder.decode(hex("01 02 03"), [], 9)
    decoder.due!(0, [])
    assert.isUndefined(decoder.due!(2, []))
    const error = decoder.decode(undefined, [], 9)
    assert.strictEqual(error!.reason._tag, "ChecksumMismatch")
    assert.strictEqual(decoder.end([]), error)
  })
})

describe("Silence.modbusGapMs", () => {
  it("is 3.5 characters of 11 bits up to 19200 baud, and 1.75 ms above", () => {
    assert.strictEqual(Silence.modbusGapMs(9600), 38_500 / 9600)
    assert.strictEqual(Silence.modbusGapMs(19_200), 38_500 / 19_200)
    assert.strictEqual(Silence.modbusGapMs(19_201), 1.75)
    assert.strictEqual(Silence.modbusGapMs(115_200), 1.75)
    assert.throws(() => Silence.modbusGapMs(0), InvalidOption)
    assert.throws(() => Silence.modbusGapMs(NaN), InvalidOption)
  })
})
