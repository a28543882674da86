import { assert, describe, it } from "@effect/vitest"
import { crc16modbus, crc32 } from "crc"
import { Arbitrary, Result, Schema } from "effect"
import * as Codec from "../../src/Codec.ts"
import * as Checked from "../../src/codec/Checked.ts"
import * as Cobs from "../../src/codec/Cobs.ts"
import * as Delimited from "../../src/codec/Delimited.ts"
import * as Silence from "../../src/codec/Silence.ts"
import * as Slip from "../../src/codec/Slip.ts"
import {
  ChecksumMismatch,
  ContainsDelimiter,
  CutShort,
  DecodeError,
  type DecodeReason,
  EncodeError,
  Malformed,
  Skipped,
  TooLong
} from "../../src/FrameError.ts"
import { InvalidOption } from "../../src/TransportError.ts"
import { encoded, hex, join, noise, type Outcome, reads, readsAndGoesOn, refuses, utf8 } from "../support/codecCases.ts"

/** One byte that says how many follow. */
const prefixed = <const O extends Codec.BrokenOption>(options: O, max = 20) =>
  Codec.fromFraming<Uint8Array, Uint8Array, O>({
    bytesMax: max + 1,
    finder: () => ({
      find: (bytes, from, _searched, found) => {
        const length = bytes[from]!
        const next = from + 1 + length
        if (length > max) found.broken(new TooLong({ max }), next)
        else if (next > bytes.length) found.more(1, next - from)
        else found.frame(from + 1, next, next)
      }
    }),
    take: Codec.copyOf,
    encode: (frame, out) => void out.push(join(Uint8Array.of(frame.length), frame))
  }, options)

/** Frames of six bytes. */
const fixed = <const O extends Codec.BrokenOption>(options: O) =>
  Codec.fromFraming<Uint8Array, Uint8Array, O>({
    bytesMax: 6,
    finder: () => ({
      find: (bytes, from, _searched, found) => {
        if (bytes.length - from < 6) found.more(0, 6)
        else found.frame(from, from + 6, from + 6)
      }
    }),
    take: Codec.copyOf,
    encode: (frame, out) => void out.push(frame)
  }, options)

/** Frames that are not just copied. */
const same = {
  decode: (bytes: Uint8Array) => Result.succeed(bytes.slice()),
  encode: (bytes: Uint8Array) => Result.succeed(bytes)
}

const at = (offset: number, reason: DecodeReason) => new DecodeError({ offset, reason })

const fatal = prefixed({})
const resync = Checked.codec(prefixed({ onBroken: "resync" }), Checked.crc16Modbus)

const crcOf = (frame: Uint8Array) => crc16modbus(Buffer.from(frame))

/** The frame with its length and its checksum. */
const good = (frame: Uint8Array) => encoded(resync, frame)

const mismatch = (bytes: Uint8Array) =>
  new ChecksumMismatch({
    computed: crcOf(bytes.subarray(0, -2)),
    received: bytes.at(-2)! | bytes.at(-1)! << 8
  })

describe("Checked.codec", () => {
  it("writes the checksum behind the frame, and takes it off", () => {
    const codec = Checked.codec(fatal, Checked.crc16Modbus)
    assert.deepStrictEqual(encoded(codec, hex("01 03 00 00 00 0a")), hex("08 01 03 00 00 00 0a c5 cd"))
    readsAndGoesOn(codec, hex("08 01 03 00 00 00 0a c5 cd 07 01 04 02 ff ff b8 80"), [
      hex("01 03 00 00 00 0a"),
      hex("01 04 02 ff ff")
    ], { input: hex("02 ff ff"), frames: [hex("")] })
  })

  it("goes over every codec of byte frames", () => {
    const inners = [
      fatal,
      Cobs.codec(),
      Slip.codec(),
      Delimited.codec({ delimiter: "----" }),
      Codec.transform(fatal, same)
    ]
    const sum = Checked.checksum({ bytes: 3, of: (frame) => frame.length * 70_000 })
    for (const inner of inners) {
      for (
        const checksum of [Checked.crc16Modbus, Checked.crc32(), Checked.crc32({ endian: "big" }), Checked.lrc, sum]
      ) {
        const codec = Checked.codec(inner, checksum)
        const frames = [hex("00"), hex("c0 db 00 ff"), hex(""), noise(16)]
        const bytes = join(...frames.map((frame) => encoded(codec, frame)))
        assert.deepStrictEqual(Codec.decodeAll(codec, [bytes]), { frames, error: undefined })
        assert.deepStrictEqual(Codec.decodeAll(codec, [bytes.subarray(0, 7), bytes.subarray(7)]).frames, frames)
      }
    }
    const codec = Checked.codec(fixed({}), Checked.crc32())
    reads(codec, join(encoded(codec, hex("01 02")), encoded(codec, hex("03 04"))), {
      frames: [hex("01 02"), hex("03 04")]
    })
    const rtu = Checked.codec(Silence.codec({ gapMs: 2 }), Checked.crc16Modbus)
    assert.strictEqual(rtu.framing.gapMs, 2)
    reads(rtu, hex("01 03 00 00 00 0a c5 cd"), { frames: [hex("01 03 00 00 00 0a")] })
  })

  it("fails at a wrong checksum, after the frames before it", () => {
    const wrong = hex("01 03 00 00 00 0b c5 cd")
    const frames = [hex("aa bb")]
    for (const inner of [fatal, Cobs.codec(), Slip.codec()] as const) {
      const codec = Checked.codec(inner, Checked.crc16Modbus)
      const first = encoded(codec, hex("aa bb"))
      const input = join(first, encoded(inner, wrong), encoded(codec, hex("cc")))
      const offset = first.length + (inner.framing === fatal.framing || input[first.length] !== 0xc0 ? 0 : 1)
      reads(codec, input, { frames, error: at(offset, mismatch(wrong)) })
    }
  })

  it("refuses a frame that has no room for a checksum", () => {
    const codec = Checked.codec(fatal, Checked.crc32())
    const error = at(0, new Malformed({ expected: "a checksum of 4 bytes" }))
    reads(codec, hex("03 00 00 00"), { frames: [], error })
    reads(codec, hex("00"), { frames: [], error })
    reads(codec, hex("04 00 00 00 00"), { frames: [hex("")] })
    const stuffed = Checked.codec(Cobs.codec(), Checked.crc32())
    reads(stuffed, hex("01 00"), { frames: [], error })
  })

  it("leaves the errors of the codec below as they are", () => {
    const codec = Checked.codec(prefixed({}, 8), Checked.crc16Modbus)
    reads(codec, hex("02 ff ff 09"), { frames: [hex("")], error: at(3, new TooLong({ max: 8 })) })
    reads(codec, hex("08 00"), { frames: [], error: at(0, new CutShort({ bytes: 2 })) })
    const cobs = Checked.codec(Cobs.codec({ onBroken: "skip" }), Checked.crc16Modbus)
    reads(cobs, hex("09 01 00"), {
      frames: [
        new Skipped({ offset: 0, bytes: 3, reason: new Malformed({ expected: "a code that points into the frame" }) })
      ]
    })
    refuses(
      Checked.codec(Cobs.codec({ frameBytesMax: 4 }), Checked.crc16Modbus),
      hex("01 02 03"),
      new EncodeError({ reason: new TooLong({ max: 4 }) })
    )
  })

  it("is refused where the checksum contains the delimiter", () => {
    const codec = Checked.codec(
      Delimited.codec({ delimiter: "\n" }),
      Checked.checksum({ bytes: 1, of: (frame) => frame[0]! })
    )
    refuses(codec, utf8("\n"), new EncodeError({ reason: new ContainsDelimiter() }))
    assert.deepStrictEqual(encoded(codec, utf8("a")), utf8("aa\n"))
  })

  it("gives frames whose memory is their own", () => {
    for (const inner of [fatal, Cobs.codec()]) {
      const codec = Checked.codec(inner, Checked.crc16Modbus)
      const frames = [noise(10), noise(12, 2), noise(8, 3)]
      const bytes = join(...frames.map((frame) => encoded(codec, frame)))
      const given = Codec.decodeAll(codec, [bytes]).frames
      for (const frame of given) frame.fill(0xee)
      assert.deepStrictEqual(given.map((frame) => frame.length), [10, 12, 8])
      assert.deepStrictEqual(Codec.decodeAll(codec, [bytes]).frames, frames)
    }
  })
})

describe("Checked.codec with skip", () => {
  const codec = Checked.codec(prefixed({ onBroken: "skip" }), Checked.crc16Modbus)

  it("goes on where the wrong frame ends", () => {
    const wrong = join(hex("08"), hex("02 ff ff 02 ff ff c5 cd"))
    const skipped = new Skipped({ offset: 3, bytes: 9, reason: mismatch(wrong.subarray(1)) })
    const input = join(hex("02 ff ff"), wrong, good(hex("01")))
    readsAndGoesOn(codec, input, [hex(""), skipped, hex("01")], { input: good(hex("02")), frames: [hex("02")] })
  })
})

describe("Checked.codec with resync", () => {
  const a = hex("0a 00 05 10")
  const b = hex("0b 01")

  it("passes over noise before, between and behind frames", () => {
    // Each begins with a length that is too great, or ends inside what follows.
    for (const noise of [hex("ff"), hex("fe ff 80"), hex("05 80 80 80 80 80"), hex("02 00 00")]) {
      const reason = noise[0]! > 20 ? new TooLong({ max: 20 }) : mismatch(noise.subarray(1))
      const skipped = (offset: number) => new Skipped({ offset, bytes: noise.length, reason })
      reads(resync, join(noise, good(b)), { frames: [skipped(0), b] })
      reads(resync, join(good(a), noise, good(b), good(a)), { frames: [a, skipped(good(a).length), b, a] })
      reads(resync, join(good(a), noise), { frames: [a, skipped(good(a).length)] })
    }
  })

  it("finds the first whole good frame behind the start of the bad one, even inside it", () => {
    const inner = good(b)
    const outer = join(Uint8Array.of(inner.length + 3), hex("00"), inner, hex("00 00"))
    const skipped = new Skipped({ offset: 0, bytes: 2, reason: mismatch(outer.subarray(1)) })
    // What is behind the good frame is read as frames again.
    reads(resync, outer, {
      frames: [
        skipped,
        b,
        new Skipped({
          offset: 2 + inner.length,
          bytes: 2,
          reason: new Malformed({ expected: "a checksum of 2 bytes" })
        })
      ]
    })
  })

  it("finds the frames behind one whose length was changed", () => {
    for (const length of [0, 1, 3, 5, 9, 12, 20, 21, 255]) {
      const bad = good(a).with(0, length)
      const { error, frames } = Codec.decodeAll(resync, [join(bad, good(b), good(hex("0c")))])
      assert.isUndefined(error)
      assert.deepStrictEqual(frames.slice(-2), [b, hex("0c")])
      assert.deepStrictEqual(frames.slice(0, -2).map((item) => item instanceof Skipped), [true])
    }
  })

  it("finds its place among frames of one length", () => {
    const codec = Checked.codec(fixed({ onBroken: "resync" }), Checked.crc32())
    const [one, two] = [encoded(codec, hex("01 02")), encoded(codec, hex("03 04"))]
    for (const lost of [1, 2, 3, 4, 5]) {
      const input = join(one.subarray(lost), one, two)
      const [skipped, ...frames] = Codec.decodeAll(codec, [input]).frames as [Skipped, ...Array<Uint8Array>]
      assert.deepStrictEqual([skipped.offset, skipped.bytes, skipped.reason._tag], [0, 6 - lost, "ChecksumMismatch"])
      assert.deepStrictEqual(frames, [hex("01 02"), hex("03 04")])
      reads(codec, input, { frames: [skipped, ...frames] })
    }
  })

  it("goes on behind the next mark where there is one", () => {
    const codec = Checked.codec(Cobs.codec({ onBroken: "resync" }), Checked.crc16Modbus)
    const [first, second] = [encoded(codec, hex("01 00 02")), encoded(codec, hex("03"))]
    const bad = first.with(1, 9)
    const skipped = new Skipped({
      offset: 0,
      bytes: bad.length,
      reason: new ChecksumMismatch({ computed: crcOf(hex("09 00 02")), received: crcOf(hex("01 00 02")) })
    })
    readsAndGoesOn(codec, join(bad, second), [skipped, hex("03")], { input: first, frames: [hex("01 00 02")] })
  })

  type Parsed =
    | { readonly frame: Uint8Array; readonly next: number }
    | { readonly reason: DecodeReason; readonly next?: number }

  /** The rule itself, without regard to speed or to how the bytes arrive. */
  const model = (
    input: Uint8Array,
    onBroken: "skip" | "resync",
    parse: (input: Uint8Array, offset: number) => Parsed
  ): Outcome<Uint8Array | Skipped> => {
    const frames: Array<Uint8Array | Skipped> = []
    for (let offset = 0; offset < input.length;) {
      const parsed = parse(input, offset)
      let next = parsed.next ?? Infinity
      if ("frame" in parsed) frames.push(parsed.frame)
      else {
        if (onBroken === "resync" || parsed.next === undefined) {
          next = offset + 1
          while (next < input.length && !("frame" in parse(input, next))) next++
        }
        next = Math.min(next, input.length)
        frames.push(new Skipped({ offset, bytes: next - offset, reason: parsed.reason }))
      }
      offset = next
    }
    return { frames }
  }

  const checked = (content: Uint8Array, next: number): Parsed => {
    if (content.length < 2) return { reason: new Malformed({ expected: "a checksum of 2 bytes" }), next }
    const wrong = mismatch(content)
    return wrong.computed === wrong.received ? { frame: content.subarray(0, -2), next } : { reason: wrong, next }
  }

  const framings = {
    prefixed: {
      make: prefixed,
      parse: (input: Uint8Array, offset: number): Parsed => {
        const next = offset + 1 + input[offset]!
        if (input[offset]! > 20) return { reason: new TooLong({ max: 20 }), next }
        if (next > input.length) return { reason: new CutShort({ bytes: input.length - offset }) }
        return checked(input.subarray(offset + 1, next), next)
      }
    },
    fixed: {
      make: fixed,
      parse: (input: Uint8Array, offset: number): Parsed =>
        offset + 6 > input.length
          ? { reason: new CutShort({ bytes: input.length - offset }) }
          : checked(input.subarray(offset, offset + 6), offset + 6)
    }
  }

  const six = (frame: string) => join(hex(frame), Uint8Array.of(crcOf(hex(frame)) & 255, crcOf(hex(frame)) >> 8))
  const pieces = [
    ...["00", "02", "03", "08", "ff", "80 80", "02 02 02"].map(hex),
    good(hex("")),
    good(hex("01")),
    good(hex("02 03 04 05")),
    good(hex("02 03 04 05")).with(2, 9),
    good(hex("02 03 04 05")).subarray(1),
    six("01 02 03 04"),
    six("02 02 02 02"),
    six("01 02 03 04").with(1, 0),
    six("05 06 07 08").subarray(2)
  ]
  const piece = Arbitrary.schema(Schema.Literals(pieces.map((_, i) => i)))
  const input = Arbitrary.map(Arbitrary.array(piece, { maxLength: 8 }), (list) => join(...list.map((i) => pieces[i]!)))
  const framing = Arbitrary.schema(Schema.Literals(["prefixed", "fixed"]))
  const onBroken = Arbitrary.schema(Schema.Literals(["skip", "resync"]))

  it.prop(
    "reads of any bytes what the rule says, however they are cut",
    { input, framing, onBroken },
    ({ framing, input, onBroken }) => {
      const { make, parse } = framings[framing]
      const codec = Checked.codec(make({ onBroken }), Checked.crc16Modbus)
      reads(codec, input, model(input, onBroken, parse))
      // The same, where frames are not just copied.
      const other = Checked.codec(Codec.transform(make({ onBroken }), same), Checked.crc16Modbus)
      assert.deepStrictEqual(Codec.decodeAll(other, [input]).frames, Codec.decodeAll(codec, [input]).frames)
    },
    { arbitrary: { runs: 40 } }
  )
})

describe("Checked.crc16Modbus", () => {
  it("is what Modbus RTU devices send, the lower byte first", () => {
    const codec = Checked.codec(Silence.codec({ gapMs: 2 }), Checked.crc16Modbus)
    for (
      const frame of [
        "01 03 00 00 00 0a c5 cd",
        "01 04 02 ff ff b8 80",
        "11 03 00 6b 00 03 76 87",
        "11 03 06 ae 41 56 52 43 40 49 ad",
        "11 05 00 ac ff 00 4e 8b",
        "11 0f 00 13 00 0a 02 cd 01 bf 0b"
      ]
    ) {
      const bytes = hex(frame)
      assert.deepStrictEqual(encoded(codec, bytes.subarray(0, -2)), bytes)
      assert.deepStrictEqual(Codec.decodeAll(codec, [bytes]).frames, [bytes.subarray(0, -2)])
    }
  })
})

describe("Checked.crc32", () => {
  it("has the lowest byte first, or the highest where that is the option", () => {
    const frame = utf8("123456789")
    const [little, big] = [Checked.crc32(), Checked.crc32({ endian: "big" })]
    assert.deepStrictEqual(encoded(Checked.codec(fatal, little), frame).subarray(-4), hex("26 39 f4 cb"))
    assert.deepStrictEqual(encoded(Checked.codec(fatal, big), frame).subarray(-4), hex("cb f4 39 26"))
    for (const length of [0, 1, 15]) {
      const bytes = encoded(Checked.codec(fatal, big), noise(length))
      assert.strictEqual(Buffer.from(bytes).readUInt32BE(1 + length), crc32(Buffer.from(noise(length))))
    }
    assert.throws(() => Checked.crc32({ endian: "middle" as never }), InvalidOption)
  })

  it("is what PNG has behind a chunk", () => {
    const codec = Checked.codec(fatal, Checked.crc32({ endian: "big" }))
    assert.deepStrictEqual(encoded(codec, utf8("IEND")), join(hex("08"), utf8("IEND"), hex("ae 42 60 82")))
  })
})

describe("Checked.lrc", () => {
  it("makes the sum of all bytes zero", () => {
    assert.deepStrictEqual(encoded(Checked.codec(fatal, Checked.lrc), hex("01 03 00 00 00 01")).at(-1), 0xfb)
    assert.deepStrictEqual(encoded(Checked.codec(fatal, Checked.lrc), hex("")), hex("01 00"))
    const error = at(0, new ChecksumMismatch({ computed: 0xfb, received: 0xfa }))
    reads(Checked.codec(fatal, Checked.lrc), hex("07 01 03 00 00 00 01 fa"), { frames: [], error })
  })

  it("is that of Modbus ASCII, over frames in digits", () => {
    const lines = Delimited.codec({ delimiter: "\r\n" })
    const ascii = Codec.transform(Codec.text(lines), {
      decode: (line) =>
        /^:([0-9A-F]{2})+$/.test(line)
          ? Result.succeed(hex(line.slice(1)))
          : Result.fail(new Malformed({ expected: "a colon and hex digits" })),
      encode: (bytes: Uint8Array) => Result.succeed(`:${Buffer.from(bytes).toString("hex").toUpperCase()}`)
    })
    const codec = Checked.codec(ascii, Checked.lrc)
    const input = utf8(":1103006B00037E\r\n")
    assert.deepStrictEqual(encoded(codec, hex("11 03 00 6b 00 03")), input)
    readsAndGoesOn(codec, input, [hex("11 03 00 6b 00 03")], {
      input: utf8(":010300000001FB\r\n"),
      frames: [hex("01 03 00 00 00 01")]
    })
    const error = at(0, new ChecksumMismatch({ computed: 0x7e, received: 0x7f }))
    reads(codec, utf8(":1103006B00037F\r\n"), { frames: [], error })
  })
})

describe("Checked.nmea", () => {
  const lines = Delimited.codec({ delimiter: "\r\n", frameBytesMax: 80 })
  const codec = Codec.text(Checked.codec(lines, Checked.nmea))

  const sentences = [
    "$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47",
    "$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A",
    "$GPGLL,5057.970,N,00146.110,E,142451,A*27",
    "$GPVTG,089.0,T,,,15.2,N,,*7F",
    "!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C",
    "!AIVDM,1,1,,A,14eG;o@034o8sd<L9i:a;WF>062D,0*7D"
  ]

  it("is what devices send", () => {
    for (const sentence of sentences) {
      const frame = sentence.slice(0, -3)
      assert.deepStrictEqual(encoded(codec, frame), utf8(`${sentence}\r\n`))
      assert.deepStrictEqual(Codec.decodeAll(codec, [utf8(`${sentence}\r\n`)]), { frames: [frame], error: undefined })
    }
    readsAndGoesOn(codec, utf8(`${sentences[3]}\r\n`), [sentences[3]!.slice(0, -3)], {
      input: utf8("$A*41\r\n"),
      frames: ["$A"]
    })
  })

  it("reads digits of either case, and writes capitals", () => {
    reads(codec, utf8("$GPVTG,089.0,T,,,15.2,N,,*7f\r\n"), { frames: ["$GPVTG,089.0,T,,,15.2,N,,"] })
    assert.deepStrictEqual(encoded(codec, "$"), utf8("$*00\r\n"))
    assert.deepStrictEqual(encoded(codec, "!JKm"), utf8("!JKm*6C\r\n"))
  })

  it("refuses what is no sentence, in both directions", () => {
    const digits = new Malformed({ expected: "* and two hex digits" })
    const begin = new Malformed({ expected: "$ or !" })
    const star = new Malformed({ expected: "* in front of the checksum only" })
    for (const line of ["$A41", "$A*4", "$A*4G", "$A*:1", "$A,41", "$A 41"]) {
      reads(codec, utf8(`${line}\r\n`), { frames: [], error: at(0, digits) })
    }
    reads(codec, utf8("A*41\r\n"), { frames: [], error: at(0, begin) })
    reads(codec, utf8("*00\r\n"), { frames: [], error: at(0, begin) })
    reads(codec, utf8("$A*B*00\r\n"), { frames: [], error: at(0, star) })
    reads(codec, utf8("$A\r\n"), { frames: [], error: at(0, new Malformed({ expected: "a checksum of 3 bytes" })) })
    refuses(codec, "A", new EncodeError({ reason: begin }))
    refuses(codec, "", new EncodeError({ reason: begin }))
    refuses(codec, "$A*B", new EncodeError({ reason: star }))
    refuses(codec, "$A\r\nB", new EncodeError({ reason: new ContainsDelimiter() }))
  })

  it("goes on with the next line where it is told to", () => {
    const options = { delimiter: ["\r\n", "\n"], onBroken: "resync" } as const
    const codec = Checked.codec(Delimited.codec(options), Checked.nmea)
    const input = utf8("7.038,N*47\r\n$A*41\r\n$GP$B*42\n$C*43\r\n")
    const wrong = new ChecksumMismatch({ computed: 0x47 ^ 0x50 ^ 0x24 ^ 0x42, received: 0x42 })
    reads(codec, input, {
      frames: [
        new Skipped({ offset: 0, bytes: 12, reason: new Malformed({ expected: "$ or !" }) }),
        utf8("$A"),
        new Skipped({ offset: 19, bytes: 9, reason: wrong }),
        utf8("$C")
      ]
    })
  })
})

describe("Checked.checksum", () => {
  const of = () => 0x1_23_45_67_89

  it("writes the lowest bytes of a number, in either order", () => {
    for (
      const [bytes, little, big] of [
        [1, "89", "89"],
        [2, "89 67", "67 89"],
        [3, "89 67 45", "45 67 89"],
        [4, "89 67 45 23", "23 45 67 89"]
      ] as const
    ) {
      for (const [endian, expected] of [[undefined, little], ["little", little], ["big", big]] as const) {
        const codec = Checked.codec(fatal, Checked.checksum({ bytes, endian, of }))
        const written = join(Uint8Array.of(1 + bytes, 0xaa), hex(expected))
        assert.deepStrictEqual(encoded(codec, hex("aa")), written)
        reads(codec, written, { frames: [hex("aa")] })
      }
    }
  })

  it("takes a negative number for its lowest bytes", () => {
    for (const bytes of [1, 2, 3, 4] as const) {
      const codec = Checked.codec(fatal, Checked.checksum({ bytes, of: () => -1 }))
      reads(codec, encoded(codec, hex("aa")), { frames: [hex("aa")] })
      const error = at(0, new ChecksumMismatch({ computed: 2 ** (8 * bytes) - 1, received: 0 }))
      reads(codec, join(Uint8Array.of(bytes), new Uint8Array(bytes)), { frames: [], error })
    }
  })

  it("throws InvalidOption for an option that is wrong", () => {
    for (const bytes of [0, 5, 1.5, "2", undefined]) {
      assert.throws(() => Checked.checksum({ bytes: bytes as never, of }), InvalidOption)
    }
    assert.throws(() => Checked.checksum({ bytes: 1, endian: "middle" as never, of }), InvalidOption)
  })
})

describe("Checked.codec on a finder that remembers", () => {
  it("goes on at the mark of a decoder that is passing over", () => {
    /** Frames of "(" to ")"; what is broken is passed over to as many "]" as there were "[". */
    class Nested implements Codec.Finder {
      depth: number
      constructor(depth = 0) {
        this.depth = depth
      }
      find(bytes: Uint8Array, from: number, _searched: number, found: Codec.Found): void {
        this.depth = 0
        if (bytes.length - from < 2) return found.more(0)
        if (bytes[from] !== 40) return found.broken(new Malformed({ expected: "(" }))
        const end = bytes.indexOf(41, from)
        if (end < 0) found.more(0)
        else found.frame(from + 1, end, end + 1)
      }
      skip(bytes: Uint8Array, from: number, found: Codec.Found): void {
        for (let at = from; at < bytes.length; at++) {
          if (bytes[at] === 91) this.depth++
          if (bytes[at] === 93 && --this.depth === 0) return found.frame(from, from, at + 1)
        }
        found.more(bytes.length - from)
      }
      fork(): Nested {
        return new Nested(this.depth)
      }
    }
    const below = Codec.fromFraming<Uint8Array, Uint8Array, { readonly onBroken: "resync" }>({
      bytesMax: 20,
      finder: () => new Nested(),
      take: Codec.copyOf,
      encode: () => undefined
    }, { onBroken: "resync" })
    const codec = Checked.codec(below, Checked.checksum({ bytes: 1, of: () => 48 }))
    const frames: Array<Uint8Array | Skipped> = []
    const first = codec.decoder()
    first.decode(utf8("[[ab"), frames, Infinity)
    const second = codec.decoder(first.mark!())
    second.decode(utf8("]](c0)"), frames, Infinity)
    assert.deepStrictEqual(frames.map((frame) => frame instanceof Uint8Array ? frame : frame.bytes), [6, utf8("c")])
  })
})
