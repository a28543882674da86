/**
 * Frames of bytes with a delimiter behind each, of one or several delimiters of any length.
 *
 * PEP 3153 calls such a frame a chunk, and this its ChunkProtocol: `protocol` makes a connection of chunks, as other
 * codecs do; `chunkProtocol` has the PEP's own style, a callback for what arrives and `writeChunk` for what goes out.
 *
 * **Example** (Answering chunks by callback)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Connection, Delimited, Protocol, TestTransport } from "effect-transport"
 *
 * const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
 *
 * const conversation = Effect.gen(function*() {
 *   const [here, there] = yield* TestTransport.pair()
 *   const seen: Array<string> = []
 *   const chunks = yield* Delimited.chunkProtocol(here, { delimiter: "--" }, (chunk) =>
 *     Effect.sync(() => seen.push(text(chunk))))
 *   yield* there.write(new TextEncoder().encode("a-b--c--"))
 *   yield* there.halfClose
 *   yield* chunks.ended
 *   yield* chunks.writeChunk(new TextEncoder().encode("bye"))
 *   return [...seen, text(yield* Connection.take(there))]
 * })
 *
 * await Effect.runPromise(Effect.scoped(conversation)) // => ["a-b", "c", "bye--"]
 * ```
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
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
import * as Connection from "../Connection.ts"
import { ContainsDelimiter, CutShort, type DecodeError, EncodeError, TooLong } from "../FrameError.ts"
import { concat } from "../internal/bytes.ts"
import { count, oneOf } from "../options.ts"
import * as Protocol from "../Protocol.ts"
import { InvalidOption, type TransportError } from "../TransportError.ts"

/**
 * What ends a frame, and how long frames may be.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends BrokenOption {
  /**
   * What stands behind each frame; text is taken as UTF-8. Each of several ends a frame, and the first of them is written.
   * Where two begin at the same place the longer one counts. The first may not be the beginning of another: the peer
   * could not tell which was written.
   */
  readonly delimiter: Delimiter | readonly [Delimiter, ...Array<Delimiter>]
  /**
   * The longest frame in bytes, without its delimiter. Default 65536, as much as a connection reads ahead, so that a peer
   * that never ends its frame holds no more of our memory than one that we do not read.
   */
  readonly frameBytesMax?: number | undefined
  /**
   * What becomes of bytes after the last delimiter when the input ends. `"error"`, the default, since they are a frame
   * cut short to everyone who writes the delimiter behind each frame; `"frame"` gives them as the last frame.
   */
  readonly tail?: "error" | "frame" | undefined
}

/**
 * One delimiter: at least one byte.
 *
 * @category models
 * @since 0.1.0
 */
export type Delimiter = Uint8Array | string

/**
 * The codec. An option that is wrong throws `InvalidOption`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const codec = <const O extends Options>(
  options: Only<O, Options>
): FramingCodec<Uint8Array, Uint8Array, OnBrokenOf<O>> => {
  const delimiters = delimitersOf(options.delimiter)
  const [written] = delimiters
  const max = count("frameBytesMax", 1, options.frameBytesMax ?? 65_536)
  const tail = oneOf("tail", ["error", "frame"], options.tail)
  const finder = new DelimiterFinder(delimiters, max, tail)
  return fromFraming({
    bytesMax: finder.bytesMax,
    finder: () => finder,
    take: copyOf,
    encode: (frame, out) => {
      if (frame.length > max) return new EncodeError({ reason: new TooLong({ max }) })
      const bytes = concat([frame, written])
      const found = search(delimiters, bytes, 0)
      if (found.start !== frame.length || found.undecided < frame.length) {
        return new EncodeError({ reason: new ContainsDelimiter() })
      }
      out.push(bytes)
      return undefined
    }
  }, options)
}

/**
 * Delimited frames over a connection of bytes. An option that is wrong throws `InvalidOption`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const protocol = <const O extends Options>(
  options: Only<O, Options>
): Protocol.FramedProtocol<
  Uint8Array | SkippedBy<OnBrokenOf<O>>,
  Uint8Array,
  DecodeError | EncodeError | TransportError
> => Protocol.fromCodec(codec(options))

/**
 * PEP 3153's ChunkProtocol, attached to a connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChunkProtocol<out E, out CE> {
  /** Writes one chunk and the delimiter behind it (the PEP's `write_chunk`). Waits as `write` of a connection does. */
  readonly writeChunk: (chunk: Uint8Array) => Effect.Effect<void, E>
  /**
   * Waits until nothing more will be received: completes at the end of input, when the last chunk has been handled, and
   * fails with what ended it before. Interrupted, it stops waiting, and chunks are received as before.
   */
  readonly ended: Effect.Effect<void, E | CE>
}

/**
 * Chunks by callback: `chunkReceived` is called with each, one after the other, and while one is handled the peer is held
 * back. An option that is wrong throws `InvalidOption`.
 *
 * **Details**
 *
 * Until the scope ends, this is the reader of the connection; it fails with `Busy` if another is. A failure of
 * `chunkReceived`, or a chunk that is broken, ends the receiving and is told by `ended`, and nowhere else. The end of the
 * scope interrupts the chunk that is being handled; the connection stays open for its own scope to end.
 *
 * @category constructors
 * @since 0.1.0
 */
export const chunkProtocol = <LE, const O extends Options, CE = never, R = never>(
  lower: Connection.Connection<Uint8Array, Uint8Array, LE>,
  options: Only<O, Options>,
  chunkReceived: (chunk: Uint8Array | SkippedBy<OnBrokenOf<O>>) => Effect.Effect<unknown, CE, R>
): Effect.Effect<
  ChunkProtocol<LE | DecodeError | EncodeError | TransportError, CE>,
  LE | DecodeError | EncodeError | TransportError,
  R | Scope.Scope
> =>
  Effect.gen(function*() {
    const upper = yield* protocol(options).attach(lower)
    const receiving = yield* Effect.forkScoped(
      Connection.forEach(upper, (batch) => Effect.forEach(batch, chunkReceived, { discard: true })),
      { startImmediately: true }
    )
    return { writeChunk: (chunk) => upper.write(chunk), ended: Fiber.join(receiving) }
  })

type Delimiters = readonly [Uint8Array, ...Array<Uint8Array>]

const delimitersOf = (given: Options["delimiter"]): Delimiters => {
  const refuse = (expected: string) => new InvalidOption({ field: "delimiter", expected, actual: given })
  const list: ReadonlyArray<unknown> = Array.isArray(given) ? given : [given]
  const delimiters = list.map((delimiter) => {
    const bytes = typeof delimiter === "string" ? new TextEncoder().encode(delimiter) : delimiter
    if (!(bytes instanceof Uint8Array) || bytes.length === 0) throw refuse("bytes or text, at least one byte")
    return copyOf(bytes)
  })
  const [written, ...others] = delimiters
  if (written === undefined) throw refuse("at least one delimiter")
  if (others.some((other) => other.length > written.length && startsAt(other, 0, written))) {
    throw refuse("delimiters of which the first is not the beginning of another")
  }
  return [written, ...others]
}

class DelimiterFinder implements Finder {
  readonly bytesMax: number
  readonly #delimiters: Delimiters
  /** The common case: one delimiter of one byte. */
  readonly #byte: number | undefined
  readonly #max: number
  readonly #tail: "error" | "frame"

  constructor(delimiters: Delimiters, max: number, tail: "error" | "frame") {
    this.#delimiters = delimiters
    this.#byte = delimiters.length === 1 && delimiters[0].length === 1 ? delimiters[0][0] : undefined
    this.#max = max
    this.#tail = tail
    this.bytesMax = max + Math.max(...delimiters.map((delimiter) => delimiter.length))
  }

  find(bytes: Uint8Array, from: number, searched: number, found: Found): void {
    if (this.#byte !== undefined) {
      const start = bytes.indexOf(this.#byte, from + searched)
      if (start >= 0 && start - from <= this.#max) return found.frame(from, start, start + 1)
    }
    const { end, start, undecided } = search(this.#delimiters, bytes, from + searched)
    if (start >= 0 && undecided === Infinity) {
      if (start - from > this.#max) found.broken(new TooLong({ max: this.#max }), end)
      else found.frame(from, start, end)
    } else if (bytes.length - from < this.bytesMax) found.more(Math.min(undecided, bytes.length) - from)
    else found.broken(new TooLong({ max: this.#max }))
  }

  end(bytes: Uint8Array, from: number, found: Found): void {
    // A delimiter that could have become a longer one is one now.
    const { end, start } = search(this.#delimiters, bytes, from)
    const content = start < 0 ? bytes.length : start
    if (start < 0 && this.#tail === "error") found.broken(new CutShort({ bytes: bytes.length - from }))
    else if (content - from > this.#max) found.broken(new TooLong({ max: this.#max }))
    else found.frame(from, content, start < 0 ? bytes.length : end)
  }

  skip(bytes: Uint8Array, from: number, found: Found): void {
    const { end, start, undecided } = search(this.#delimiters, bytes, from)
    if (start >= 0 && undecided === Infinity) found.frame(from, start, end)
    else found.more(Math.min(undecided, bytes.length) - from)
  }
}

/** Where a delimiter was found. `start` is negative where there is none. */
interface Match {
  start: number
  end: number
  /** From here on more bytes decide: what begins here may become a delimiter that comes before the one that was found. */
  undecided: number
}

/** Read before the next search. */
const match: Match = { start: -1, end: -1, undecided: Infinity }

/** The first delimiter from `from` on. No byte behind it is looked at, so that many frames in one chunk stay cheap. */
const search = (delimiters: Delimiters, bytes: Uint8Array, from: number): Readonly<Match> => {
  match.start = match.end = -1
  match.undecided = Infinity
  for (let at = from; match.start < 0; at++) {
    at = indexOfFirst(delimiters, bytes, at)
    if (at < 0) break
    for (const delimiter of delimiters) {
      if (!startsAt(bytes, at, delimiter)) continue
      const end = at + delimiter.length
      if (end > bytes.length) match.undecided = Math.min(match.undecided, at)
      else if (end > match.end) {
        match.start = at
        match.end = end
      }
    }
  }
  return match
}

/** Where the first byte of a delimiter stands. */
const indexOfFirst = (delimiters: Delimiters, bytes: Uint8Array, from: number): number => {
  if (delimiters.length === 1) return bytes.indexOf(delimiters[0][0]!, from)
  for (let at = from; at < bytes.length; at++) {
    for (const delimiter of delimiters) if (bytes[at] === delimiter[0]) return at
  }
  return -1
}

/** Whether the bytes from `at` on begin with these, or end before they differ. */
const startsAt = (bytes: Uint8Array, at: number, start: Uint8Array): boolean => {
  const length = Math.min(start.length, bytes.length - at)
  for (let i = 0; i < length; i++) {
    if (bytes[at + i] !== start[i]) return false
  }
  return true
}
