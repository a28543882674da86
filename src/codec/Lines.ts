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
import * as Data from "effect/Data"
import type { Codec, Decoder } from "../Codec.ts"
import * as Protocol from "../Protocol.ts"
import { InvalidOption, type TransportError } from "../TransportError.ts"

/**
 * How lines end and how long they may be.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
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
 * A line of the peer passed the limit. It fails at the limit: the end of that line may never come.
 *
 * @category errors
 * @since 0.1.0
 */
export class LineTooLong extends Data.TaggedError("LineTooLong")<{ readonly max: number }> {
  override get message(): string {
    return `the line is longer than ${this.max} bytes`
  }
}

/**
 * A line of the peer is not UTF-8.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidUtf8 extends Data.TaggedError("InvalidUtf8")<{}> {
  override get message(): string {
    return "the line is not UTF-8"
  }
}

/**
 * The input ended inside a line, and `tail` says that this is an error.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnterminatedLine extends Data.TaggedError("UnterminatedLine")<{ readonly bytes: number }> {
  override get message(): string {
    return `the input ended ${this.bytes} bytes into a line`
  }
}

/**
 * A line cannot be written: the peer would not read it as it is. Nothing was sent.
 *
 * **Details**
 *
 * `Newline`: it has an LF, or, where CRLF is written, a CR, or, where both are read, a CR at its end. `TooLong`: it has
 * more than `lineBytesMax` bytes. `NotUnicode`: it has half of a surrogate pair, which UTF-8 cannot say.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidLine extends Data.TaggedError("InvalidLine")<{
  readonly why: "Newline" | "TooLong" | "NotUnicode"
}> {
  override get message(): string {
    switch (this.why) {
      case "Newline":
        return "the line contains a newline"
      case "TooLong":
        return "the line is longer than the limit"
      case "NotUnicode":
        return "the line contains half of a surrogate pair"
    }
  }
}

/**
 * Why reading lines ends.
 *
 * @category errors
 * @since 0.1.0
 */
export type DecodeError = LineTooLong | InvalidUtf8 | UnterminatedLine

/**
 * Lines over a connection of bytes. An option that is wrong throws `InvalidOption`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const protocol = (
  options?: Options
): Protocol.FramedProtocol<string, string, DecodeError | InvalidLine | TransportError> =>
  Protocol.fromCodec(codec(options))

/**
 * The codec alone. An option that is wrong throws `InvalidOption`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const codec = (options?: Options): Codec<string, string, DecodeError, InvalidLine> => {
  const newline = oneOf("newline", ["any", "lf", "crlf"], options?.newline)
  const tail = oneOf("tail", ["line", "error"], options?.tail)
  const max = options?.lineBytesMax ?? 65_536
  if (!Number.isSafeInteger(max) || max < 1) {
    throw new InvalidOption({ field: "lineBytesMax", expected: "a positive integer", actual: max })
  }
  return {
    decoder: () => new LineDecoder(newline, max, tail),
    encode: (line, out) => {
      if (breaksLine(line, newline)) return new InvalidLine({ why: "Newline" })
      // Each character is at least one byte.
      if (line.length > max) return new InvalidLine({ why: "TooLong" })
      const bytes = encodeLine(line, newline === "crlf")
      const length = bytes.length - (newline === "crlf" ? 2 : 1)
      if (length > max) return new InvalidLine({ why: "TooLong" })
      if (length > line.length && /\p{Surrogate}/u.test(line)) return new InvalidLine({ why: "NotUnicode" })
      out.push(bytes)
      return undefined
    }
  }
}

const oneOf = <A extends string>(field: string, values: readonly [A, ...Array<A>], value: A | undefined): A => {
  if (value === undefined) return values[0]
  if (values.includes(value)) return value
  throw new InvalidOption({ field, expected: values.map((value) => JSON.stringify(value)).join(" or "), actual: value })
}

// ---------------------------------------------------------------------------------------------------------------------
// Encoding
// ---------------------------------------------------------------------------------------------------------------------

const LF = 10
const CR = 13

const breaksLine = (line: string, newline: "lf" | "crlf" | "any"): boolean =>
  line.includes("\n") || (newline === "crlf" ? line.includes("\r") : newline === "any" && line.endsWith("\r"))

const encoder = new TextEncoder()

/** Memory for short lines: to allocate for each would cost five times the encoding. No byte of it is used twice. */
const slabBytes = 4096
let slab = new Uint8Array(0)
let slabUsed = 0

const encodeLine = (line: string, withCR: boolean): Uint8Array => {
  // UTF-8 has at most three bytes for a character of a string.
  const most = line.length * 3 + 2
  if (most > slabBytes) return encoder.encode(line + (withCR ? "\r\n" : "\n"))
  if (most > slab.length - slabUsed) {
    slab = new Uint8Array(slabBytes)
    slabUsed = 0
  }
  const from = slabUsed
  slabUsed += encoder.encodeInto(line, from === 0 ? slab : slab.subarray(from)).written
  if (withCR) slab[slabUsed++] = CR
  slab[slabUsed++] = LF
  return slab.subarray(from, slabUsed)
}

// ---------------------------------------------------------------------------------------------------------------------
// Decoding
// ---------------------------------------------------------------------------------------------------------------------

const textDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const decodeText = (bytes: Uint8Array): string | undefined => {
  try {
    return textDecoder.decode(bytes)
  } catch {
    return undefined
  }
}

/** How many bytes are looked at for each line that is asked for, so that few lines of much input cost little. */
const bytesPerLine = 64

/** A connection that waits keeps no more memory than this. */
const keptBytes = 1024

const nothing = new Uint8Array(0)

/**
 * Keeps the bytes of one unfinished line, at most `max` and a CR, in a buffer that doubles; and, when it was stopped
 * after some lines, the rest of that chunk.
 */
class LineDecoder implements Decoder<string, DecodeError> {
  readonly aliases = false
  readonly #newline: "lf" | "crlf" | "any"
  readonly #max: number
  readonly #tail: "line" | "error"

  #buffer: Uint8Array = nothing
  #from = 0
  #to = 0
  /** No newline that ends a line stands before this. */
  #searched = 0
  #error: DecodeError | undefined = undefined

  constructor(newline: "lf" | "crlf" | "any", max: number, tail: "line" | "error") {
    this.#newline = newline
    this.#max = max
    this.#tail = tail
  }

  decode(bytes: Uint8Array | undefined, out: Array<string>, max: number): DecodeError | undefined {
    if (this.#error !== undefined) return this.#error
    const limit = out.length + max
    if (bytes === undefined || bytes.length === 0) {
      this.#takeKept(out, limit)
      return this.#error
    }
    let at = 0
    // Of the chunk, no more is copied than the end of the line that was begun before.
    while (this.#from < this.#to && at < bytes.length && out.length < limit && this.#error === undefined) {
      const end = bytes.indexOf(LF, at) + 1 || bytes.length
      this.#keep(bytes, at, end)
      at = end
      this.#takeKept(out, limit)
    }
    if (at === bytes.length) return this.#error
    if (this.#from < this.#to) {
      // Stopped, by `max` or by an error, while it still keeps something.
      this.#keep(bytes, at, bytes.length)
      return this.#error
    }
    const from = this.#take(bytes, at, at, out, limit)
    this.#searched = 0
    if (from < bytes.length) this.#keep(bytes, from, bytes.length)
    return this.#error
  }

  end(out: Array<string>): DecodeError | undefined {
    const error = this.decode(undefined, out, Infinity)
    if (error !== undefined || this.#from === this.#to) return error
    const bytes = this.#to - this.#from
    if (this.#tail === "error") return this.#error = new UnterminatedLine({ bytes })
    if (bytes > this.#max) return this.#error = new LineTooLong({ max: this.#max })
    const text = decodeText(this.#buffer.subarray(this.#from, this.#to))
    if (text === undefined) return this.#error = new InvalidUtf8()
    out.push(text)
    this.#clear()
    return undefined
  }

  rest(): Uint8Array {
    if (this.#from === this.#to) return nothing
    const rest = this.#buffer.subarray(this.#from, this.#to)
    this.#buffer = nothing
    this.#clear()
    return rest
  }

  #keep(bytes: Uint8Array, from: number, to: number): void {
    const more = to - from
    const kept = this.#to - this.#from
    if (this.#to + more > this.#buffer.length) {
      const buffer = new Uint8Array(Math.max(64, kept + more, kept === 0 ? 0 : this.#buffer.length * 2))
      buffer.set(this.#buffer.subarray(this.#from, this.#to))
      this.#searched -= this.#from
      this.#buffer = buffer
      this.#from = 0
      this.#to = kept
    }
    this.#buffer.set(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to), this.#to)
    this.#to += more
  }

  #takeKept(out: Array<string>, limit: number): void {
    const kept = this.#buffer.subarray(0, this.#to)
    this.#from = this.#take(kept, this.#from, this.#searched, out, limit)
    if (this.#from === this.#to) this.#clear()
  }

  #clear(): void {
    this.#from = this.#to = this.#searched = 0
    if (this.#buffer.length > keptBytes) this.#buffer = nothing
  }

  /** Takes lines from `from` to the end of `bytes`, and answers with the start of the first line that it left. */
  #take(bytes: Uint8Array, from: number, searched: number, out: Array<string>, limit: number): number {
    let isOneByOne = false
    while (out.length < limit) {
      const newline = this.#find(bytes, searched)
      if (newline < 0) {
        this.#searched = bytes.length
        const length = bytes.length - from
        const isCR = this.#newline !== "lf" && bytes[bytes.length - 1] === CR
        if (length > this.#max + (isCR ? 1 : 0)) this.#error = new LineTooLong({ max: this.#max })
        return from
      }
      const isLast = newline + 1 === bytes.length
      let next = isLast || isOneByOne ? from : this.#takeMany(bytes, from, newline, out, limit - out.length)
      if (next === from) {
        isOneByOne = true
        next = this.#takeOne(bytes, from, newline, out)
        if (next === from) break
      }
      from = searched = next
      if (isLast) break
    }
    this.#searched = from
    return from
  }

  #find(bytes: Uint8Array, from: number): number {
    let newline = bytes.indexOf(LF, from)
    if (this.#newline === "crlf") {
      while (newline >= 0 && bytes[newline - 1] !== CR) newline = bytes.indexOf(LF, newline + 1)
    }
    return newline
  }

  /** The line that ends at `newline`; nothing is taken if it is at fault. */
  #takeOne(bytes: Uint8Array, from: number, newline: number, out: Array<string>): number {
    const hasCR = this.#newline !== "lf" && bytes[newline - 1] === CR
    const end = hasCR ? newline - 1 : newline
    const text = end - from > this.#max ? undefined : decodeText(bytes.subarray(from, end))
    if (text === undefined) {
      this.#error = end - from > this.#max ? new LineTooLong({ max: this.#max }) : new InvalidUtf8()
      return from
    }
    out.push(text)
    return newline + 1
  }

  /**
   * The short way for many lines: their text is decoded at once and split as a string. Nothing is taken where that
   * cannot tell how many bytes each line has, or where one may be at fault.
   */
  #takeMany(bytes: Uint8Array, from: number, first: number, out: Array<string>, room: number): number {
    const isCRLF = this.#newline === "crlf"
    let last = bytes.lastIndexOf(LF, Math.max(first, Math.min(bytes.length, from + room * bytesPerLine) - 1))
    while (isCRLF && last > first && bytes[last - 1] !== CR) last = bytes.lastIndexOf(LF, last - 1)
    if (last === first) return from
    const end = isCRLF ? last - 1 : last
    const text = decodeText(bytes.subarray(from, end))
    if (text === undefined) return from
    const lines = text.split(isCRLF ? "\r\n" : "\n", Math.min(room + 1, text.length + 1))
    const isAscii = text.length === end - from
    const isMore = lines.length > room
    if (!isAscii && end - from > this.#max) return from
    let next = last + 1
    if (isMore) {
      lines.pop()
      next = from
      for (const line of lines) {
        next = isAscii ? next + line.length + (isCRLF ? 2 : 1) : this.#find(bytes, next) + 1
      }
    }
    const hasCR = this.#newline === "any" && text.includes("\r")
    if (hasCR) {
      for (let i = 0; i < lines.length; i++) {
        if (lines[i]!.endsWith("\r")) lines[i] = lines[i]!.slice(0, -1)
      }
    }
    if (end - from > this.#max && lines.some((line) => line.length > this.#max)) return from
    for (const line of lines) out.push(line)
    return next
  }
}
