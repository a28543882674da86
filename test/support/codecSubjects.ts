/**
 * Every codec of this project as a subject for the laws, and for `npm run fuzz`.
 *
 * A new codec takes a line or two: `ofBytes` and `ofText` make subjects of codecs whose frames are bytes or text, of what
 * makes the codec by its `onBroken` and `frameBytesMax`. What is special about it comes behind: frames that it cannot
 * write, what it makes of broken input, how much a frame takes besides its content.
 */
import { Arbitrary, Schema } from "effect"
import {
  Checked,
  Cobs,
  Codec,
  ContentLength,
  Delimited,
  Fixed,
  FrameError,
  Json,
  LengthPrefixed,
  Lines,
  Netstring,
  Silence,
  Slip
} from "effect-transport"
import type { CodecLaws } from "effect-transport/testing"

type AnyCodec<A> = Codec.Codec<A | FrameError.Skipped, A, unknown, unknown>

type Subject<A> = CodecLaws.Subject<A>

interface CodecOptions {
  readonly onBroken: Codec.OnBroken
  readonly frameBytesMax: number | undefined
}

const modes = ["fatal", "skip", "resync"] as const

/** As many bytes as all limits here allow for. */
const limitBytes = 20

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

const bytes = Arbitrary.schema(Schema.Uint8Array)

const ofBytes = (codec: (options: CodecOptions) => AnyCodec<Uint8Array>, more: Partial<Subject<Uint8Array>> = {}) => ({
  codec: ({ bytesMax, onBroken }: CodecLaws.Settings) => codec({ onBroken, frameBytesMax: bytesMax }),
  modes,
  frames: bytes,
  limit: { bytes: limitBytes, frame: (bytes: number) => new Uint8Array(bytes).fill(0x78) },
  ...more
})

const ofText = (codec: (options: CodecOptions) => AnyCodec<string>, more: Partial<Subject<string>> = {}) => ({
  codec: ({ bytesMax, onBroken }: CodecLaws.Settings) => codec({ onBroken, frameBytesMax: bytesMax }),
  modes,
  frames: text(),
  nasty: text("\ud800", "\udc00", "\udc00\ud800"),
  refused: ["\ud800", "a\udc00"],
  limit: { bytes: limitBytes, frame: (bytes: number) => "x".repeat(bytes) },
  ...more
})

/** Of these pieces of text in any order, and of some that make no trouble. */
function text(...pieces: ReadonlyArray<string>): Arbitrary.Arbitrary<string> {
  const piece = Arbitrary.schema(Schema.Literals(["a", "b", " ", "é", "€", "😀", "\uFEFF", ...pieces]))
  return Arbitrary.map(Arbitrary.array(piece, { maxLength: 5 }), (all) => all.join(""))
}

// ---------------------------------------------------------------------------------------------------------------------
// Delimited
// ---------------------------------------------------------------------------------------------------------------------

/** Bytes among which those of delimiters are frequent. */
const someOf = (letters: string, maxLength: number) =>
  Arbitrary.map(
    Arbitrary.array(Arbitrary.schema(Schema.Literals([...utf8(letters), 0, 255])), { maxLength }),
    (some) => Uint8Array.from(some)
  )

const delimited = (
  options: Omit<Delimited.Options, "onBroken" | "frameBytesMax">,
  letters: string,
  more: Partial<Subject<Uint8Array>> = {}
) => {
  const delimiters = [options.delimiter].flat().map((one) =>
    typeof one === "string" ? one : String.fromCharCode(...one)
  )
  const has = (frame: Uint8Array) => delimiters.some((one) => String.fromCharCode(...frame, ...utf8("!")).includes(one))
  return ofBytes((given) => Delimited.codec({ ...options, ...given }), {
    frames: Arbitrary.filter(someOf("xyz", 12), (frame) => !has(frame)),
    nasty: someOf(letters, 8),
    refused: delimiters.map(utf8),
    tail: options.tail ?? "error",
    ...more
  })
}

const frame = (text: string) => ({ frame: utf8(text) })

const skipped = (offset: number, bytes: number, reason: FrameError.DecodeReason["_tag"]) => ({
  skipped: { offset, bytes, reason }
})

/** The same whether it is skipped or resynchronized: delimiters say where the next frame begins. */
const passedOver = <A>(...items: CodecLaws.Outcome<A>["items"]) => ({ skip: { items }, resync: { items } })

const long = "123456789012345678901"

// ---------------------------------------------------------------------------------------------------------------------
// Lines
// ---------------------------------------------------------------------------------------------------------------------

const lines = (options: Omit<Lines.Options, "lineBytesMax" | "onBroken">, more: Partial<Subject<string>>) =>
  ofText(
    ({ frameBytesMax, onBroken }) => Lines.codec({ ...options, lineBytesMax: frameBytesMax, onBroken }),
    { tail: options.tail === "error" ? "error" : "frame", ...more }
  )

// ---------------------------------------------------------------------------------------------------------------------
// Framings of one's own
// ---------------------------------------------------------------------------------------------------------------------

const start = 0xaa

const sumOf = (content: Uint8Array): number => content.reduce((sum, byte) => (sum + byte) & 0xff, 0)

/** A start byte, two bytes that say how many bytes follow, those, and their sum: nothing marks the end of a frame. */
const summed = ({ frameBytesMax: max = 255, onBroken }: CodecOptions) =>
  Codec.fromFraming<Uint8Array, Uint8Array, { readonly onBroken: Codec.OnBroken }>({
    bytesMax: max + 4,
    finder: () => ({
      find: (bytes, from, _searched, found) => {
        if (bytes[from] !== start) return found.broken(new FrameError.Malformed({ expected: "a start byte" }))
        if (bytes.length < from + 3) return found.more(1, 3)
        const length = bytes[from + 1]! * 256 + bytes[from + 2]!
        const next = from + length + 4
        if (length > max) found.broken(new FrameError.TooLong({ max }), next)
        else if (next > bytes.length) found.more(3, length + 4)
        else {
          const computed = sumOf(bytes.subarray(from + 3, next - 1))
          const received = bytes[next - 1]!
          if (computed === received) found.frame(from + 3, next - 1, next)
          else found.broken(new FrameError.ChecksumMismatch({ computed, received }), next)
        }
      }
    }),
    take: Codec.copyOf,
    encode: (content, out) => {
      if (content.length > max) return new FrameError.EncodeError({ reason: new FrameError.TooLong({ max }) })
      out.push(Uint8Array.of(start, content.length >> 8, content.length, ...content, sumOf(content)))
      return undefined
    }
  }, { onBroken })

// ---------------------------------------------------------------------------------------------------------------------

const shortBytes = Arbitrary.filter(bytes, (frame) => frame.length <= limitBytes)

/** Behind a byte of some kind and its length. */
const headed = (content: Uint8Array): Uint8Array => Uint8Array.of(7, content.length >> 8, content.length, ...content)

const fixedBytes = (length: number) =>
  Arbitrary.map(bytes, (some) => Uint8Array.from({ length }, (_, i) => some[i] ?? i))

const jsonValues: Arbitrary.Arbitrary<unknown> = Arbitrary.schema(
  Schema.Literals(["", "a", "\n", "é\"", "{[", 0, -1.5, 1e21, true, false, "12345678901234567"])
).pipe(
  Arbitrary.flatMap((one) =>
    Arbitrary.schema(Schema.Literals([0, 1, 2, 3])).pipe(
      Arbitrary.map((shape): unknown => shape === 0 ? one : shape === 1 ? [] : shape === 2 ? null : { a: [] })
    )
  )
)

const Reading = Schema.Struct({ celsius: Schema.Number, note: Schema.optionalKey(Schema.String) })

export const codecSubjects: Readonly<Record<string, CodecLaws.Subject<any, any>>> = {
  "lines, LF and CRLF": lines({}, {
    nasty: text("\n", "\r", "\r\n", "\ud800"),
    refused: ["\n", "a\n", "a\nb", "a\r", "\ud800"],
    broken: [
      {
        name: "a line that is too long",
        input: utf8(`ok\n${long}\r\nb\n`),
        fatal: { items: [{ frame: "ok" }], error: { offset: 3, reason: "TooLong" } },
        ...passedOver<string>({ frame: "ok" }, skipped(3, 23, "TooLong"), { frame: "b" })
      },
      {
        name: "a line that is not UTF-8",
        input: Uint8Array.of(97, 10, 0xc3, 0x28, 10, 98, 10),
        fatal: { items: [{ frame: "a" }], error: { offset: 2, reason: "NotUtf8" } },
        ...passedOver<string>({ frame: "a" }, skipped(2, 3, "NotUtf8"), { frame: "b" })
      }
    ]
  }),
  "lines, LF": lines({ newline: "lf" }, {
    nasty: text("\n", "\r", "\r\n", "\ud800"),
    refused: ["\n", "a\nb", "\ud800"]
  }),
  "lines, CRLF": lines({ newline: "crlf" }, {
    nasty: text("\n", "\r", "\r\n", "\ud800"),
    refused: ["\r\n", "a\r\nb", "\ud800"]
  }),
  "lines, a tail is an error": lines({ tail: "error" }, {
    broken: [{
      name: "a line without newline",
      input: utf8("a\nbc"),
      fatal: { items: [{ frame: "a" }], error: { offset: 2, reason: "CutShort" } },
      ...passedOver<string>({ frame: "a" }, skipped(2, 2, "CutShort"))
    }]
  }),
  "delimited by one byte": delimited({ delimiter: "\n" }, "ab\n", {
    broken: [
      {
        name: "a frame that is too long",
        input: utf8(`ok\n${long}\nb\n`),
        fatal: { items: [frame("ok")], error: { offset: 3, reason: "TooLong" } },
        ...passedOver(frame("ok"), skipped(3, 22, "TooLong"), frame("b"))
      },
      {
        name: "a frame that never ends",
        input: utf8(long + long),
        isOpen: true,
        fatal: { items: [], error: { offset: 0, reason: "TooLong" } },
        skip: { items: [] },
        resync: { items: [] }
      },
      {
        name: "a frame that is cut short",
        input: utf8("a\nbc"),
        fatal: { items: [frame("a")], error: { offset: 2, reason: "CutShort" } },
        ...passedOver(frame("a"), skipped(2, 2, "CutShort"))
      }
    ]
  }),
  "delimited by one byte, with a tail": delimited({ delimiter: Uint8Array.of(0), tail: "frame" }, "ab\0", {
    broken: [{
      name: "a tail that is too long",
      input: utf8(`a\0${long}`),
      fatal: { items: [frame("a")], error: { offset: 2, reason: "TooLong" } },
      ...passedOver(frame("a"), skipped(2, 21, "TooLong"))
    }]
  }),
  "delimited by two bytes": delimited({ delimiter: "\r\n" }, "a\r\n"),
  "delimited by bytes that overlap": delimited({ delimiter: "abab" }, "ab"),
  "delimited by a long mark": delimited({ delimiter: "--boundary", tail: "frame" }, "-bounary"),
  "delimited by either of two": delimited({ delimiter: ["\r\n", "\n"] }, "a\r\n", {
    refused: [utf8("\n"), utf8("a\nb")]
  }),
  "delimited by one that begins another": delimited({ delimiter: ["aab", "aa", "b"], tail: "frame" }, "aab"),
  "a framing with start bytes and sums": ofBytes(summed, {
    frames: Arbitrary.filter(bytes, (frame) => frame.length <= limitBytes),
    broken: [{
      name: "a sum that is wrong",
      input: Uint8Array.of(start, 0, 1, 5, 5, start, 0, 1, 5, 6, start, 0, 0, 0),
      fatal: { items: [{ frame: Uint8Array.of(5) }], error: { offset: 5, reason: "ChecksumMismatch" } },
      ...passedOver({ frame: Uint8Array.of(5) }, skipped(5, 5, "ChecksumMismatch"), { frame: new Uint8Array() })
    }, {
      name: "a length that is wrong, so that it takes a good frame",
      input: Uint8Array.of(start, 0, 6, 5, start, 0, 1, 7, 7, 9, start, 0, 1, 8, 8),
      fatal: { items: [], error: { offset: 0, reason: "ChecksumMismatch" } },
      skip: { items: [skipped(0, 10, "ChecksumMismatch"), { frame: Uint8Array.of(8) }] },
      resync: {
        items: [
          skipped(0, 4, "ChecksumMismatch"),
          { frame: Uint8Array.of(7) },
          skipped(9, 1, "Malformed"),
          { frame: Uint8Array.of(8) }
        ]
      }
    }]
  }),
  fixed: ofBytes(({ onBroken }) => Fixed.codec({ frameBytes: 4, onBroken }), {
    frames: fixedBytes(4),
    refused: [new Uint8Array(), new Uint8Array(3), new Uint8Array(5)],
    limit: undefined,
    broken: [{
      name: "a frame that is cut short",
      input: utf8("abcdef"),
      fatal: { items: [frame("abcd")], error: { offset: 4, reason: "CutShort" } },
      ...passedOver(frame("abcd"), skipped(4, 2, "CutShort"))
    }]
  }),
  "fixed, with a tail": ofBytes(({ onBroken }) => Fixed.codec({ frameBytes: 4, tail: "frame", onBroken }), {
    frames: fixedBytes(4),
    limit: undefined,
    tail: "frame"
  }),
  "length-prefixed, two bytes": ofBytes((options) => LengthPrefixed.codec({ width: 2, ...options }), {
    frames: shortBytes,
    broken: [{
      name: "a frame that is too long",
      input: Uint8Array.of(0, 1, 65, 0, 22, ...utf8(`${long}x`), 0, 1, 66),
      fatal: { items: [frame("A")], error: { offset: 3, reason: "TooLong" } },
      skip: { items: [frame("A"), skipped(3, 24, "TooLong"), frame("B")] }
    }]
  }),
  "length-prefixed, a varint": ofBytes((options) => LengthPrefixed.codec({ width: "varint", ...options }), {
    frames: shortBytes
  }),
  "length-prefixed, little-endian, counting itself": ofBytes(
    (options) => LengthPrefixed.codec({ width: 4, endianness: "little", adjustment: -4, ...options }),
    { frames: shortBytes }
  ),
  "length-prefixed, header kept": ofBytes(
    ({ frameBytesMax, onBroken }) =>
      LengthPrefixed.codec({ width: 2, offset: 1, header: "keep", frameBytesMax, onBroken }),
    {
      frames: Arbitrary.map(shortBytes, (content) => headed(content.slice(0, limitBytes - 3))),
      nasty: bytes,
      refused: [Uint8Array.of(1, 2), Uint8Array.of(1, 0, 5, 0)],
      limit: { bytes: limitBytes, frame: (bytes) => headed(new Uint8Array(bytes - 3).fill(0x78)) }
    }
  ),
  netstring: ofBytes((options) => Netstring.codec(options), {
    frames: shortBytes,
    broken: [{
      name: "a comma that is missing",
      input: utf8("1:a,2:bc;1:d,"),
      fatal: { items: [frame("a")], error: { offset: 4, reason: "Malformed" } }
    }]
  }),
  "content behind headers": ofBytes((options) => ContentLength.codec({ headerBytesMax: 40, ...options }), {
    frames: shortBytes,
    limit: { bytes: limitBytes, frame: (bytes) => new Uint8Array(bytes).fill(0x78), overhead: 60 },
    broken: [{
      name: "stray output before the headers",
      input: utf8("oops\nContent-Length: 2\r\n\r\nab"),
      fatal: { items: [], error: { offset: 0, reason: "Malformed" } },
      ...passedOver(skipped(0, 5, "Malformed"), frame("ab"))
    }]
  }),
  cobs: ofBytes((options) => Cobs.codec(options), {
    frames: shortBytes,
    isIdle: (bytes) => bytes.every((byte) => byte === 0),
    broken: [{
      name: "a code that points beyond its frame",
      input: Uint8Array.of(9, 1, 0, 2, 65, 0),
      fatal: { items: [], error: { offset: 0, reason: "Malformed" } },
      ...passedOver(skipped(0, 3, "Malformed"), frame("A"))
    }]
  }),
  slip: ofBytes((options) => Slip.codec(options), {
    frames: Arbitrary.filter(shortBytes, (frame) => frame.length > 0),
    refused: [new Uint8Array()],
    limit: { bytes: limitBytes, frame: (bytes) => new Uint8Array(bytes).fill(0x78), overhead: 2 * limitBytes },
    isIdle: (bytes) => bytes.every((byte) => byte === 0xc0),
    broken: [{
      name: "an escape that is none",
      input: Uint8Array.of(0xc0, 0xdb, 1, 0xc0, 65, 0xc0),
      fatal: { items: [], error: { offset: 1, reason: "Malformed" } }
    }]
  }),
  silence: ofBytes((options) => Silence.codec({ gapMs: 5, ...options }), {
    frames: Arbitrary.filter(shortBytes, (frame) => frame.length > 0),
    refused: [new Uint8Array()],
    tail: "frame"
  }),
  "checked, length-prefixed": ofBytes(
    ({ frameBytesMax, onBroken }) =>
      Checked.codec(
        LengthPrefixed.codec({
          width: 2,
          frameBytesMax: frameBytesMax === undefined ? undefined : frameBytesMax + 4,
          onBroken
        }),
        Checked.crc32()
      ),
    {
      frames: shortBytes,
      broken: [{
        name: "noise before a frame",
        input: Uint8Array.of(0, 4, 1, 2, 3, 4, 0, 13, ...utf8("123456789"), 0x26, 0x39, 0xf4, 0xcb),
        fatal: { items: [], error: { offset: 0, reason: "ChecksumMismatch" } },
        ...passedOver(skipped(0, 6, "ChecksumMismatch"), frame("123456789"))
      }]
    }
  ),
  "checked over silence, as Modbus RTU": ofBytes(
    ({ frameBytesMax, onBroken }) =>
      Checked.codec(
        Silence.codec({
          gapMs: 5,
          frameBytesMax: frameBytesMax === undefined ? undefined : frameBytesMax + 2,
          onBroken
        }),
        Checked.crc16Modbus
      ),
    { frames: shortBytes, tail: "frame" }
  ),
  json: {
    codec: ({ bytesMax, onBroken }) => Json.codec({ frameBytesMax: bytesMax, onBroken }),
    modes,
    frames: jsonValues,
    refused: [undefined, Number.NaN, 1n, () => {}],
    limit: { bytes: limitBytes, frame: (bytes) => "x".repeat(bytes - 2) },
    tail: "frame",
    isIdle: (bytes) => bytes.every((byte) => byte === 0x0a || byte === 0x0d || byte === 0x20 || byte === 0x09),
    broken: [{
      name: "what is no JSON",
      input: utf8("1\n{oops}\n2\n"),
      fatal: { items: [{ frame: 1 }], error: { offset: 2, reason: "Invalid" } },
      ...passedOver<unknown>({ frame: 1 }, skipped(2, 7, "Invalid"), { frame: 2 })
    }]
  } satisfies CodecLaws.Subject<unknown, unknown>,
  "json without newlines": {
    codec: ({ bytesMax, onBroken }) => Json.codec({ separator: "none", frameBytesMax: bytesMax, onBroken }),
    modes,
    frames: jsonValues,
    limit: { bytes: limitBytes, frame: (bytes) => "x".repeat(bytes - 2) },
    tail: "frame",
    isIdle: (bytes) => bytes.every((byte) => byte === 0x0a || byte === 0x0d || byte === 0x20 || byte === 0x09)
  } satisfies CodecLaws.Subject<unknown, unknown>,
  "a schema on json": {
    codec: ({ bytesMax, onBroken }) => Codec.schema(Json.codec({ frameBytesMax: bytesMax, onBroken }), Reading),
    modes,
    frames: Arbitrary.map(Arbitrary.schema(Schema.Literals([0, 1, -5, 1.5])), (celsius) => ({ celsius })),
    limit: { bytes: limitBytes + 20, frame: (bytes) => ({ celsius: 1, note: "x".repeat(bytes - 23) }) },
    tail: "frame",
    isIdle: (bytes) => bytes.every((byte) => byte === 0x0a || byte === 0x0d || byte === 0x20 || byte === 0x09),
    broken: [{
      name: "another shape",
      input: utf8("{\"celsius\":\"hot\"}\n{\"celsius\":2}\n"),
      fatal: { items: [], error: { offset: 0, reason: "Invalid" } },
      ...passedOver<typeof Reading.Type>(skipped(0, 18, "Invalid"), { frame: { celsius: 2 } })
    }]
  } satisfies CodecLaws.Subject<typeof Reading.Type>,
  "text on a framing": ofText((options) => Codec.text(summed(options)), {
    frames: Arbitrary.filter(text(), (frame) => utf8(frame).length <= limitBytes),
    broken: [{
      name: "text that is not UTF-8",
      input: Uint8Array.of(start, 0, 1, 0xff, 0xff, start, 0, 1, 65, 65),
      fatal: { items: [], error: { offset: 0, reason: "NotUtf8" } },
      ...passedOver<string>(skipped(0, 5, "NotUtf8"), { frame: "A" })
    }]
  }),
  "delimited by one that stands in another": delimited({ delimiter: ["b", "abc"] }, "abc"),
  "delimited by many": delimited({ delimiter: [";", ",", "abc", "bca", "\r\n"] }, "abc,;\r\n")
}
