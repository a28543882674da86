/**
 * JSON values: one on a line (NDJSON, JSON Lines), or one right behind another.
 *
 * A frame is a value, of the type `unknown`: `Codec.schema` on top gives it another.
 *
 * **Example** (Values of a schema, one on a line)
 *
 * ```ts import.meta.vitest
 * import { Result, Schema } from "effect"
 * import { Codec, Json } from "effect-transport"
 *
 * const codec = Codec.schema(Json.codec(), Schema.Struct({ at: Schema.DateTimeUtcFromString }))
 *
 * const lines = new TextEncoder().encode("{\"at\":\"2026-11-23T00:00:00.000Z\"}\n")
 * const { frames } = Codec.decodeAll(codec, [lines])
 * frames.map(({ at }) => at.epochMilliseconds) // => [1795392000000]
 * Result.getOrThrow(Codec.encodeAll(codec, frames)) // => [lines]
 * ```
 *
 * **Example** (Values with nothing between them)
 *
 * ```ts import.meta.vitest
 * import { Codec, Json } from "effect-transport"
 *
 * const input = new TextEncoder().encode("{}{\"a\":\"}\"}[1, 2]\"b\"3 true")
 * Codec.decodeAll(Json.codec({ separator: "none" }), [input]).frames // => [{}, { a: "}" }, [1, 2], "b", 3, true]
 * ```
 */
import * as Result from "effect/Result"
import {
  type BrokenOption,
  type Finder,
  type Found,
  type FramingCodec,
  fromFraming,
  type OnBrokenOf,
  type Only
} from "../Codec.ts"
import { CutShort, type DecodeError, EncodeError, Invalid, NotUtf8, TooLong } from "../FrameError.ts"
import { textOf } from "../internal/utf8.ts"
import { count, oneOf } from "../options.ts"
import * as Protocol from "../Protocol.ts"
import type { TransportError } from "../TransportError.ts"

/**
 * What stands between values, and how long they may be.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends BrokenOption {
  /**
   * `"newline"`, the default: each value stands on a line of its own, which ends with LF or CR LF. `"none"`: a value ends
   * where its own signs say so, whether white space follows or not. A number, `true`, `false` and `null` end at what
   * follows them, so such a value is not there before the next one begins, or white space comes, or the end.
   */
  readonly separator?: "newline" | "none" | undefined
  /**
   * The longest value in bytes, with the white space inside of it; with `"newline"` that is the line from its first sign
   * on, without its end. Default 65536, as much as a connection reads ahead, so that a peer that never ends its value
   * holds no more of our memory than one that we do not read.
   */
  readonly frameBytesMax?: number | undefined
}

/**
 * The codec. An option that is wrong throws `InvalidOption`.
 *
 * **Details**
 *
 * White space before a value, and so a line of nothing else, is ignored. The last value needs no newline. What does not
 * parse is `Invalid`, with the `SyntaxError` as cause; a value that is not whole when the input ends is cut short.
 *
 * With `onBroken: "skip"`, reading goes on behind the broken value, as far as its brackets and quotes can be trusted; with
 * `"resync"`, behind the next newline, also with the separator `"none"`.
 *
 * The encoder writes what `JSON.stringify` makes of a value, and a newline, which with `"none"` stands behind numbers,
 * `true`, `false` and `null` only. It refuses what is no JSON: `undefined`, functions, symbols, cycles, `BigInt`, and
 * numbers that are not finite.
 *
 * **Gotchas**
 *
 * What is deeper in a value is not searched: properties that are `undefined` are left out there, numbers that are not
 * finite become `null`, and a `Date` becomes text. `Codec.schema` says what a value may hold.
 *
 * @category constructors
 * @since 0.1.0
 */
export const codec = <const O extends Options = {}>(
  options?: Only<O, Options>
): FramingCodec<unknown, unknown, OnBrokenOf<O>> => {
  const max = count("frameBytesMax", 1, options?.frameBytesMax ?? 65_536)
  const separator = oneOf("separator", ["newline", "none"], options?.separator)
  const isLines = separator === "newline"
  const isTrusting = options?.onBroken === "skip"
  return fromFraming({
    // A line may end with two bytes, and what is behind a value has to be seen.
    bytesMax: max + 2,
    finder: (): Finder => isLines ? new LineFinder(max) : new ValueFinder(max, isTrusting),
    take,
    encode: (value, out) => {
      const text = stringify(value)
      if (Result.isFailure(text)) return new EncodeError({ reason: text.failure })
      const last = text.success.charCodeAt(text.success.length - 1)
      const isClosed = !isLines && (last === closeBrace || last === closeBracket || last === quote)
      const bytes = encoder.encode(isClosed ? text.success : text.success + "\n")
      if (bytes.length - (isClosed ? 0 : 1) > max) return new EncodeError({ reason: new TooLong({ max }) })
      out.push(bytes)
      return undefined
    }
  }, options)
}

/**
 * JSON values over a connection of bytes. An option that is wrong throws `InvalidOption`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const protocol = <const O extends Options = {}>(
  options?: Only<O, Options>
): Protocol.FramedProtocol<unknown, unknown, DecodeError | EncodeError | TransportError> =>
  Protocol.fromCodec(codec(options))

const take = (content: Uint8Array, found: Found): unknown => {
  const text = textOf(content)
  if (text === undefined) {
    found.broken(() => new NotUtf8())
    return undefined
  }
  try {
    return JSON.parse(text)
  } catch (cause) {
    found.broken(invalid(cause))
    return undefined
  }
}

const stringify = (value: unknown): Result.Result<string, Invalid> => {
  if (typeof value === "number" && !Number.isFinite(value)) {
    return Result.fail(new Invalid({ detail: `${value} is no JSON` }))
  }
  try {
    const text: string | undefined = JSON.stringify(value)
    return text === undefined
      ? Result.fail(new Invalid({ detail: `${typeof value} is no JSON` }))
      : Result.succeed(text)
  } catch (cause) {
    return Result.fail(invalid(cause))
  }
}

const invalid = (cause: unknown): Invalid =>
  new Invalid({ detail: cause instanceof Error ? cause.message : String(cause), cause })

const LF = 10
const CR = 13
const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d

const encoder = new TextEncoder()

const isSpace = (byte: number): boolean => byte === 0x20 || byte === LF || byte === CR || byte === 9

/** Where white space ends. */
const contentFrom = (bytes: Uint8Array, from: number): number => {
  while (from < bytes.length && isSpace(bytes[from]!)) from++
  return from
}

/** Behind the next newline. No byte of a value in one line is a newline, so that one is always between two values. */
const skipLine = (bytes: Uint8Array, from: number, found: Found): void => {
  const newline = bytes.indexOf(LF, from)
  if (newline < 0) found.more(bytes.length - from)
  else found.frame(from, newline, newline + 1)
}

class LineFinder implements Finder {
  readonly #max: number
  readonly skip = skipLine

  constructor(max: number) {
    this.#max = max
  }

  find(bytes: Uint8Array, from: number, searched: number, found: Found): void {
    if (searched === 0) {
      const content = contentFrom(bytes, from)
      if (content > from) return found.blank(content)
    }
    const to = bytes.length
    const newline = bytes.indexOf(LF, from + searched)
    const isWhole = newline >= 0
    const end = isWhole ? newline : to
    const content = bytes[end - 1] === CR ? end - 1 : end
    if (content - from > this.#max) found.broken(() => new TooLong({ max: this.#max }))
    else if (isWhole) found.frame(from, content, newline + 1)
    else found.more(to - from)
  }

  end(bytes: Uint8Array, from: number, found: Found): void {
    const to = bytes.length
    const scan = new Scan()
    if (scan.run(bytes, from) < 0 && scan.isOpen) found.broken(() => new CutShort({ bytes: to - from }))
    else found.frame(from, bytes[to - 1] === CR ? to - 1 : to, to)
  }
}

class ValueFinder implements Finder {
  readonly #max: number
  readonly #isTrusting: boolean
  readonly #scan: Scan

  constructor(max: number, isTrusting: boolean, scan = new Scan()) {
    this.#max = max
    this.#isTrusting = isTrusting
    this.#scan = scan
  }

  find(bytes: Uint8Array, from: number, searched: number, found: Found): void {
    if (searched === 0) {
      const content = contentFrom(bytes, from)
      if (content > from) return found.blank(content)
      this.#scan.reset()
    }
    const end = this.#scan.run(bytes, from)
    const length = (end < 0 ? bytes.length : end) - from
    if (length > this.#max) found.broken(() => new TooLong({ max: this.#max }), end < 0 ? undefined : end)
    else if (end < 0) found.more(length)
    else found.frame(from, end, end)
  }

  end(bytes: Uint8Array, from: number, found: Found): void {
    if (this.#scan.isOpen) found.broken(() => new CutShort({ bytes: bytes.length - from }))
    else found.frame(from, bytes.length, bytes.length)
  }

  /** A value that is trusted is read to its end, and not kept: it goes on from where `find` came. */
  skip(bytes: Uint8Array, from: number, found: Found): void {
    if (!this.#isTrusting) return skipLine(bytes, from, found)
    const end = this.#scan.run(bytes, from)
    if (end >= 0) found.frame(from, from, end)
    else {
      found.more(bytes.length - from)
      this.#scan.dropped()
    }
  }

  fork(): ValueFinder {
    return new ValueFinder(this.#max, this.#isTrusting, this.#scan.copy())
  }
}

/** Reads on to the end of a value by its brackets, quotes and escapes, and nothing else. */
class Scan {
  /** How many bytes, counted from the beginning of the value or from what was dropped of it, are read. */
  #read = 0
  #isBegun = false
  #depth = 0
  #isInText = false
  #isEscaped = false

  reset(): void {
    this.#read = this.#depth = 0
    this.#isBegun = this.#isInText = this.#isEscaped = false
  }

  copy(): Scan {
    const copy = new Scan()
    copy.#read = this.#read
    copy.#isBegun = this.#isBegun
    copy.#depth = this.#depth
    copy.#isInText = this.#isInText
    copy.#isEscaped = this.#isEscaped
    return copy
  }

  /** Whether a bracket or a quote has to come yet. */
  get isOpen(): boolean {
    return this.#depth > 0 || this.#isInText
  }

  /** All bytes that were read are gone. */
  dropped(): void {
    this.#read = 0
  }

  /** Where the value ends that begins at `from`; negative where it goes on. */
  run(bytes: Uint8Array, from: number): number {
    const to = bytes.length
    let at = from + this.#read
    let depth = this.#depth
    let isInText = this.#isInText
    let isEscaped = this.#isEscaped
    let end = -1
    for (; at < to && end < 0; at++) {
      const byte = bytes[at]!
      if (isInText) {
        if (isEscaped) isEscaped = false
        else if (byte === backslash) isEscaped = true
        else if (byte === quote) {
          isInText = false
          if (depth === 0) end = at + 1
        }
        continue
      }
      const isFirst = !this.#isBegun
      this.#isBegun = true
      if (depth === 0 && !isFirst) {
        // A number or a word.
        if (isSpace(byte) || isSign(byte)) end = at
      } else if (byte === quote) isInText = true
      else if (byte === openBrace || byte === openBracket) depth++
      else if (byte === closeBrace || byte === closeBracket) {
        if (--depth <= 0) end = at + 1
      } else if (isFirst && isSign(byte)) end = at + 1
    }
    this.#read = at - from
    this.#depth = depth
    this.#isInText = isInText
    this.#isEscaped = isEscaped
    return end
  }
}

const isSign = (byte: number): boolean =>
  byte === quote || byte === comma || byte === colon || byte === openBrace || byte === closeBrace ||
  byte === openBracket || byte === closeBracket
