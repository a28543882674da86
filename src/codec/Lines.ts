/**
 * Lines of text: UTF-8, ended by LF or CRLF, no longer than a limit.
 *
 * It reads lines however their bytes are cut, gives a last line that has no newline, and fails at the limit, before the
 * end of the line has come. It writes nothing that a reader with the same options would not give back as it was, so a
 * line can never become two. A byte order mark is text like any other.
 *
 * **Example** (Talking in lines)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Connection, Lines, Protocol, TestTransport } from "effect-transport"
 *
 * const conversation = Effect.gen(function*() {
 *   const [here, there] = yield* TestTransport.pair()
 *   const lines = yield* Protocol.attach(Lines.protocol(), here)
 *   yield* there.write(new TextEncoder().encode("hello\r\nwor"))
 *   yield* there.write(new TextEncoder().encode("ld\n"))
 *   return [yield* Connection.take(lines), yield* Connection.take(lines)]
 * })
 *
 * await Effect.runPromise(Effect.scoped(conversation)) // => ["hello", "world"]
 * ```
 */
import {
  type BrokenOption,
  type Finder,
  type Found,
  type Framing,
  type FramingCodec,
  fromFraming,
  type OnBrokenOf,
  type Only,
  type SkippedBy
} from "../Codec.ts"
import { ContainsDelimiter, CutShort, type DecodeError, EncodeError, NotUtf8, TooLong } from "../FrameError.ts"
import { encodeInto, isUnicode, textOf } from "../internal/utf8.ts"
import { count, oneOf } from "../options.ts"
import * as Protocol from "../Protocol.ts"
import type { TransportError } from "../TransportError.ts"

/**
 * How lines end and how long they may be.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends BrokenOption {
  /**
   * What ends a line. `"any"`, the default, reads LF and CRLF and writes LF, so that it understands every peer and is
   * understood by nearly every one. `"lf"` keeps a CR before the LF as text, `"crlf"` keeps an LF without a CR.
   */
  readonly newline?: "lf" | "crlf" | "any" | undefined
  /**
   * The longest line in bytes, without its newline. Default 65536, as much as a connection reads ahead, so that a peer
   * that never ends its line holds no more of our memory than one that we do not read. Where one line is a whole
   * message, as in JSON protocols, it has to be larger.
   */
  readonly lineBytesMax?: number | undefined
  /**
   * What becomes of text after the last newline when the input ends. `"line"`, the default, gives it as the last line,
   * since many programs do not end their last line. Where a line cut short would do harm, `"error"` refuses it.
   */
  readonly tail?: "line" | "error" | undefined
}

/**
 * The codec. An option that is wrong throws `InvalidOption`.
 *
 * **Details**
 *
 * A line cannot be written with `ContainsDelimiter` where it has an LF, or, where CRLF is written, a CR, or, where both
 * are read, a CR at its end.
 *
 * @category constructors
 * @since 0.1.0
 */
export const codec = <const O extends Options = {}>(
  options?: Only<O, Options>
): FramingCodec<string, string, OnBrokenOf<O>> => {
  const newline = oneOf("newline", ["any", "lf", "crlf"], options?.newline)
  const tail = oneOf("tail", ["line", "error"], options?.tail)
  const max = count("lineBytesMax", 1, options?.lineBytesMax ?? 65_536)
  return fromFraming(new LineFraming(newline, max, tail), options)
}

/**
 * Lines over a connection of bytes. An option that is wrong throws `InvalidOption`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const protocol = <const O extends Options = {}>(
  options?: Only<O, Options>
): Protocol.FramedProtocol<
  string | SkippedBy<OnBrokenOf<O>>,
  string,
  DecodeError | EncodeError | TransportError
> => Protocol.fromCodec(codec(options))

type Newline = "any" | "lf" | "crlf"

const LF = 10
const CR = 13

class LineFraming implements Framing<string, string>, Finder {
  readonly bytesMax: number
  readonly #newline: Newline
  readonly #max: number
  readonly #tail: "line" | "error"

  constructor(newline: Newline, max: number, tail: "line" | "error") {
    this.#newline = newline
    this.#max = max
    this.#tail = tail
    this.bytesMax = max + (newline === "lf" ? 1 : 2)
  }

  // Decoding

  finder = (): Finder => this

  find(bytes: Uint8Array, from: number, searched: number, found: Found): void {
    const newline = this.#find(bytes, from + searched)
    if (newline >= 0) {
      const end = this.#newline !== "lf" && newline > from && bytes[newline - 1] === CR ? newline - 1 : newline
      if (end - from > this.#max) found.broken(this.#tooLong(), newline + 1)
      else found.frame(from, end, newline + 1)
      return
    }
    const bytesThere = bytes.length - from
    const isCR = this.#newline !== "lf" && bytes[bytes.length - 1] === CR
    if (bytesThere > this.#max + (isCR ? 1 : 0)) found.broken(this.#tooLong())
    else found.more(bytesThere)
  }

  end(bytes: Uint8Array, from: number, found: Found): void {
    const bytesThere = bytes.length - from
    if (this.#tail === "error") found.broken(new CutShort({ bytes: bytesThere }))
    else if (bytesThere > this.#max) found.broken(this.#tooLong())
    else found.frame(from, bytes.length, bytes.length)
  }

  skip(bytes: Uint8Array, from: number, found: Found): void {
    const newline = this.#find(bytes, from)
    // A CR may be half of the newline.
    if (newline < 0) found.more(bytes.length - from - (bytes[bytes.length - 1] === CR ? 1 : 0))
    else found.frame(from, newline, newline + 1)
  }

  take(content: Uint8Array, found: Found): string {
    const text = textOf(content)
    if (text === undefined) found.broken(new NotUtf8())
    return text!
  }

  /**
   * The text of many lines is decoded at once and split as a string. Nothing is taken where that cannot tell how many
   * bytes each line has, or where one may be at fault.
   */
  takeMany(bytes: Uint8Array, from: number, out: Array<string>, room: number): number {
    const isCRLF = this.#newline === "crlf"
    let last = bytes.lastIndexOf(LF, Math.min(bytes.length, from + room * bytesPerLine) - 1)
    while (isCRLF && last > from && bytes[last - 1] !== CR) last = bytes.lastIndexOf(LF, last - 1)
    if (last <= from) return from
    const end = isCRLF ? last - 1 : last
    const text = textOf(bytes.subarray(from, end))
    if (text === undefined) return from
    const lines = text.split(isCRLF ? "\r\n" : "\n", Math.min(room + 1, text.length + 1))
    const isAscii = text.length === end - from
    if (!isAscii && end - from > this.#max) return from
    let next = last + 1
    if (lines.length > room) {
      lines.pop()
      next = from
      for (const line of lines) {
        next = isAscii ? next + line.length + (isCRLF ? 2 : 1) : this.#find(bytes, next) + 1
      }
    }
    if (this.#newline === "any" && text.includes("\r")) {
      for (let i = 0; i < lines.length; i++) {
        if (lines[i]!.endsWith("\r")) lines[i] = lines[i]!.slice(0, -1)
      }
    }
    if (end - from > this.#max && lines.some((line) => line.length > this.#max)) return from
    // All in one call is a tenth faster, and each takes room on the stack.
    if (lines.length <= 8192) out.push(...lines)
    else for (const line of lines) out.push(line)
    return next
  }

  #find(bytes: Uint8Array, from: number): number {
    let newline = bytes.indexOf(LF, from)
    if (this.#newline === "crlf") {
      while (newline >= 0 && bytes[newline - 1] !== CR) newline = bytes.indexOf(LF, newline + 1)
    }
    return newline
  }

  #tooLong(): TooLong {
    return new TooLong({ max: this.#max })
  }

  // Encoding

  encode = (line: string, out: Array<Uint8Array>): EncodeError | undefined => {
    if (breaksLine(line, this.#newline)) return new EncodeError({ reason: new ContainsDelimiter() })
    // Each character is at least one byte.
    if (line.length > this.#max) return new EncodeError({ reason: this.#tooLong() })
    const bytes = encodeLine(line, this.#newline === "crlf")
    const length = bytes.length - (this.#newline === "crlf" ? 2 : 1)
    if (length > this.#max) return new EncodeError({ reason: this.#tooLong() })
    if (length > line.length && !isUnicode(line)) return new EncodeError({ reason: new NotUtf8() })
    out.push(bytes)
    return undefined
  }
}

/** How many bytes are looked at for each line that is asked for, so that few lines of much input cost little. */
const bytesPerLine = 64

const breaksLine = (line: string, newline: Newline): boolean =>
  line.includes("\n") || (newline === "crlf" ? line.includes("\r") : newline === "any" && line.endsWith("\r"))

/** Memory for short lines: to allocate for each would cost five times the encoding. No byte of it is used twice. */
const slabBytes = 4096
let slab = new Uint8Array(0)
let slabUsed = 0

const encodeLine = (line: string, withCR: boolean): Uint8Array => {
  // UTF-8 has at most three bytes for a character of a string.
  const most = line.length * 3 + 2
  if (most > slabBytes) {
    const bytes = new Uint8Array(most)
    return bytes.subarray(0, encodeAt(line, withCR, bytes, 0))
  }
  if (most > slab.length - slabUsed) {
    slab = new Uint8Array(slabBytes)
    slabUsed = 0
  }
  const from = slabUsed
  slabUsed = encodeAt(line, withCR, slab, from)
  return slab.subarray(from, slabUsed)
}

const encodeAt = (line: string, withCR: boolean, bytes: Uint8Array, from: number): number => {
  let at = from + encodeInto(line, from === 0 ? bytes : bytes.subarray(from))
  if (withCR) bytes[at++] = CR
  bytes[at++] = LF
  return at
}
