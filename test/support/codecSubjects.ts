/**
 * Every codec of this project as a subject for the laws, and for `npm run fuzz`.
 *
 * A new codec takes a line or two: `ofBytes` and `ofText` make subjects of codecs whose frames are bytes or text, of what
 * makes the codec by its `onBroken` and `frameBytesMax`. What is special about it comes behind: frames that it cannot
 * write, what it makes of broken input, how much a frame takes besides its content.
 *
 * ```ts
 * netstring: ofBytes((options) => Netstring.codec(options)),
 * "length-prefixed, two bytes": ofBytes((options) => LengthPrefixed.codec({ header: 2, ...options })),
 * // All frames have one length, so there is no limit to try.
 * fixed: ofBytes(({ onBroken }) => Fixed.codec({ frameBytes: 4, onBroken }), {
 *   frames: Arbitrary.map(bytes, (frame) => filled(4, frame)),
 *   refused: [new Uint8Array(3), new Uint8Array(5)],
 *   limit: undefined
 * }),
 * cobs: ofBytes((options) => Cobs.codec(options), {
 *   broken: [{ name: "…", input: Uint8Array.of(9, 1, 0), fatal: { items: [], error: { offset: 0, reason: "Malformed" } } }]
 * }),
 * json: { codec: …, modes, frames: Arbitrary.schema(Schema.Json), nasty: Arbitrary.Constant(undefined) }
 * ```
 */
import { Arbitrary, Schema } from "effect"
import { Codec, Delimited, FrameError, Lines } from "effect-transport"
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

const lines = (options: Omit<Lines.Options, "lineBytesMax">, more: Partial<Subject<string>>) =>
  ofText(({ frameBytesMax, onBroken }) => {
    const all = { ...options, lineBytesMax: frameBytesMax, onBroken }
    return Lines.codec(all)
  }, { ...linesOfToday, tail: options.tail === "error" ? "error" : "frame", ...more })

/** Until `Lines` is a framing, it has one mode, and its errors do not say where. */
const linesOfToday: Partial<Subject<string>> = "framing" in Lines.codec() ? {} : { modes: ["fatal"], hasOffsets: false }

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

/** Frames that time ends. */
const silence = ({ frameBytesMax: max = 255, onBroken }: CodecOptions) =>
  Codec.fromFraming<Uint8Array, Uint8Array, { readonly onBroken: Codec.OnBroken }>({
    bytesMax: max + 1,
    gapMs: 5,
    finder: () => ({
      find: (bytes, from, _searched, found) => found.more(bytes.length - from),
      end: (bytes, from, found) => found.frame(from, bytes.length, bytes.length),
      // What is too long ends as a frame does.
      skip: (bytes, from, found) => found.more(bytes.length - from)
    }),
    take: Codec.copyOf,
    encode: (content, out) => {
      if (content.length > max) return new FrameError.EncodeError({ reason: new FrameError.TooLong({ max }) })
      if (content.length === 0) {
        return new FrameError.EncodeError({ reason: new FrameError.Malformed({ expected: "a byte" }) })
      }
      out.push(content.slice())
      return undefined
    }
  }, { onBroken })

// ---------------------------------------------------------------------------------------------------------------------

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
  "a framing that time ends": ofBytes(silence, {
    frames: Arbitrary.filter(bytes, (frame) => frame.length > 0 && frame.length <= limitBytes),
    refused: [new Uint8Array()],
    tail: "frame"
  }),
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
