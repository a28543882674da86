/**
 * Bodies of bytes behind a block of headers with their length, as the language server protocol (LSP) and the debug adapter
 * protocol (DAP) have them.
 *
 * ```text
 * Content-Length: 17\r\n
 * \r\n
 * {"method":"exit"}
 * ```
 *
 * What is in a body is left to a codec on top.
 *
 * **Example** (Messages of a schema)
 *
 * ```ts import.meta.vitest
 * import { Result, Schema } from "effect"
 * import { Codec, ContentLength } from "effect-transport"
 *
 * const Message = Schema.fromJsonString(Schema.Struct({ method: Schema.String }))
 * const codec = Codec.schema(Codec.text(ContentLength.codec()), Message)
 *
 * const chunks = Result.getOrThrow(Codec.encodeAll(codec, [{ method: "exit" }]))
 * chunks.map((chunk) => new TextDecoder().decode(chunk)) // => ["Content-Length: 17\r\n\r\n{\"method\":\"exit\"}"]
 * Codec.decodeAll(codec, chunks).frames // => [{ method: "exit" }]
 * ```
 */
import {
  type BrokenOption,
  copyOf,
  type Finder,
  type Found,
  type FramingCodec,
  fromFraming,
  type OnBrokenOf,
  type Only,
  type SkippedBy
} from "../Codec.ts"
import { type DecodeError, EncodeError, Malformed, TooLong } from "../FrameError.ts"
import { pushFrame } from "../internal/chunk.ts"
import { count } from "../options.ts"
import * as Protocol from "../Protocol.ts"
import type { TransportError } from "../TransportError.ts"

/**
 * How long frames and their headers may be.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends BrokenOption {
  /**
   * The longest body in bytes. Default 16777216, since an editor sends a whole source file in one body, with every
   * newline and quote escaped, and a server its answer for a whole workspace; files of more than a few megabytes are not
   * sent to language servers. The peer is mostly a child process, which could use up memory without our help.
   */
  readonly frameBytesMax?: number | undefined
  /**
   * The longest block of headers in bytes, with the empty line. Default 4096: the two headers that there are take less
   * than 100. It has to have room for the header that is written in front of the longest body.
   */
  readonly headerBytesMax?: number | undefined
}

/**
 * The codec. An option that is wrong throws `InvalidOption`.
 *
 * **Details**
 *
 * Each line of the block ends with CR LF. Names of headers are read in any case, and the order of headers is free. There
 * has to be one `Content-Length`, in decimal digits. A `charset` in a `Content-Type` has to be UTF-8 (`utf8` to some).
 * Other headers are of no account. Only `Content-Length` is written.
 *
 * Programs that print to the same output put text between frames. With `onBroken: "skip"` or `"resync"` it is passed
 * over: reading goes on at the next `Content-Length:`, wherever in a line it stands. `"skip"` also trusts the length of a
 * body that is too long, or that a codec on top refuses; `"resync"` looks for the next header inside of it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const codec = <const O extends Options = {}>(
  options?: Only<O, Options>
): FramingCodec<Uint8Array, Uint8Array, OnBrokenOf<O>> => {
  const max = count("frameBytesMax", 1, options?.frameBytesMax ?? 16_777_216)
  const headerBytesMax = count("headerBytesMax", headerOf(max).length, options?.headerBytesMax ?? 4096)
  return fromFraming({
    bytesMax: headerBytesMax + max,
    finder: () => new HeaderFinder(max, headerBytesMax),
    take: copyOf,
    encode: (frame, out) => {
      if (frame.length > max) return new EncodeError({ reason: new TooLong({ max }) })
      pushFrame(out, frame, headerOf(frame.length))
      return undefined
    }
  }, options)
}

/**
 * Bodies with headers over a connection of bytes. An option that is wrong throws `InvalidOption`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const protocol = <const O extends Options = {}>(
  options?: Only<O, Options>
): Protocol.FramedProtocol<
  Uint8Array | SkippedBy<OnBrokenOf<O>>,
  Uint8Array,
  DecodeError | EncodeError | TransportError
> => Protocol.fromCodec(codec(options))

const encoder = new TextEncoder()

const headerOf = (length: number): Uint8Array => encoder.encode(`Content-Length: ${length}\r\n\r\n`)

const LF = 10
const CR = 13

class HeaderFinder implements Finder {
  readonly #max: number
  readonly #headerBytesMax: number

  // What was read of the frame so far. All counts are from its beginning.
  #line = 0
  #length: number | undefined = undefined
  #bodyAt = 0
  #refusal: Malformed | undefined = undefined

  constructor(max: number, headerBytesMax: number) {
    this.#max = max
    this.#headerBytesMax = headerBytesMax
  }

  find(bytes: Uint8Array, from: number, searched: number, found: Found): void {
    if (searched === 0) {
      this.#line = this.#bodyAt = 0
      this.#length = this.#refusal = undefined
    }
    const to = bytes.length
    for (let at = from + searched; this.#bodyAt === 0;) {
      const newline = bytes.indexOf(LF, at)
      if ((newline < 0 ? to : newline + 1) - from > this.#headerBytesMax) return found.broken(this.#headerTooLong())
      if (newline < 0) return found.more(to - from)
      at = newline + 1
      const error = this.#takeLine(bytes, from + this.#line, newline)
      this.#line = at - from
      if (error !== undefined) return found.broken(error)
    }
    const start = from + this.#bodyAt
    const end = start + this.#length!
    if (this.#refusal !== undefined) found.broken(this.#refusal, end)
    else if (this.#length! > this.#max) found.broken(() => new TooLong({ max: this.#max }), end)
    else if (end > to) found.more(this.#bodyAt, end - from)
    else found.frame(start, end, end)
  }

  /** Reading goes on at a `Content-Length:` behind the start of the broken frame, so one byte before it is kept. */
  skip(bytes: Uint8Array, from: number, found: Found): void {
    const to = bytes.length
    let at = from + 1
    for (; at < to; at++) {
      let i = 0
      while (i < mark.length && at + i < to && lowerCase(bytes[at + i]!) === mark[i]) i++
      if (i === mark.length) return found.frame(from, from, at)
      if (at + i === to) break
    }
    found.more(Math.max(0, Math.min(at, to) - 1 - from))
  }

  #headerTooLong(): Malformed {
    return new Malformed({ expected: `the end of a header of at most ${this.#headerBytesMax} bytes` })
  }

  #takeLine(bytes: Uint8Array, from: number, newline: number): Malformed | undefined {
    if (newline === from || bytes[newline - 1] !== CR) return new Malformed({ expected: "CR before LF" })
    if (newline - 1 === from) {
      if (this.#length === undefined) return new Malformed({ expected: "a Content-Length" })
      this.#bodyAt = this.#line + 2
      return undefined
    }
    const line = latin1.decode(bytes.subarray(from, newline - 1))
    const colon = line.indexOf(":")
    const name = line.slice(0, Math.max(0, colon)).toLowerCase()
    const value = line.slice(colon + 1)
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) return new Malformed({ expected: "a header" })
    if (name === "content-length") {
      const digits = /^[ \t]*(\d{1,15})[ \t]*$/.exec(value)?.[1]
      if (digits === undefined) return new Malformed({ expected: "a Content-Length in at most 15 decimal digits" })
      if (this.#length !== undefined) return new Malformed({ expected: "one Content-Length" })
      this.#length = Number(digits)
    }
    if (name === "content-type") {
      const charset = /;[ \t]*charset=["']?([^\s;"']*)/i.exec(value)?.[1]
      const isUtf8 = charset === undefined || /^utf-?8$/i.test(charset)
      if (!isUtf8) this.#refusal = new Malformed({ expected: "charset=utf-8" })
    }
    return undefined
  }
}

const latin1 = new TextDecoder("latin1")

const mark = encoder.encode("content-length:")

const lowerCase = (byte: number): number => byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
