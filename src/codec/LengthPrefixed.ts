/**
 * Frames that say how long they are, by a number in a header: of one to eight bytes or a varint, in either byte order,
 * anywhere in the header, counting all of the frame or a part of it.
 *
 * **Example** (A length of two bytes)
 *
 * ```ts import.meta.vitest
 * import { Codec, LengthPrefixed } from "effect-transport"
 *
 * const codec = LengthPrefixed.codec({ width: 2 })
 *
 * const bytes = Uint8Array.of(0, 2, 10, 11, 0, 1, 12)
 * Codec.decodeAll(codec, [bytes]).frames.map((frame) => [...frame]) // => [[10, 11], [12]]
 *
 * const out: Array<Uint8Array> = []
 * codec.encode(Uint8Array.of(10, 11), out)
 * out.map((chunk) => [...chunk]) // => [[0, 2, 10, 11]]
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
import { type DecodeError, EncodeError, type EncodeReason, Malformed, TooLong } from "../FrameError.ts"
import { allocate, copiedBytesMax, pushFrame } from "../internal/chunk.ts"
import * as framer from "../internal/framer.ts"
import { count, oneOf } from "../options.ts"
import * as Protocol from "../Protocol.ts"
import { InvalidOption, type TransportError } from "../TransportError.ts"

/**
 * Where the length stands, and what it counts.
 *
 * **Details**
 *
 * The header is all up to the end of the length field. The bytes that follow it are as many as the length says, plus
 * `adjustment`. A frame is what follows the header, or, with `header: "keep"`, all of it.
 *
 * ```text
 * { width: 2 }, as Kafka has it with width 4
 *
 *   00 05  h e l l o                ->   h e l l o
 *   length
 *
 * { width: "varint" }, which is "delimited" to protobuf
 *
 *   AC 02  300 bytes                ->   300 bytes
 *   length
 *
 * { width: 2, adjustment: -2 }: the length counts itself
 *
 *   00 07  h e l l o                ->   h e l l o
 *   length
 *
 * { width: 4, offset: 1, header: "keep" }, as gRPC has it
 *
 *   00  00 00 00 05  h e l l o      ->   00 00 00 00 05 h e l l o
 *       length
 *
 * { width: 1, offset: 1, adjustment: 2, header: "keep" }: two bytes of checksum that are not counted
 *
 *   7E  05  h e l l o  2B F1        ->   7E 05 h e l l o 2B F1
 *       length
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends BrokenOption {
  /**
   * How many bytes the length has. `"varint"` is unsigned LEB128, as of protobuf and multiformats: seven bits to a byte,
   * the lowest first. A varint of more bytes than its number needs is read, as by all readers of protobuf, since some
   * writers fill up a place that they left open; more than ten bytes, or a number from 2^53 on, is malformed. What is
   * written is as short as can be.
   */
  readonly width: 1 | 2 | 3 | 4 | 8 | "varint"
  /** Which byte of the length comes first. Default `"big"`, the order of the network. A varint has no choice. */
  readonly endianness?: "big" | "little" | undefined
  /**
   * How many bytes of the header stand before the length. Default 0. Only with `header: "keep"`: who strips what stands
   * there could not write it.
   */
  readonly offset?: number | undefined
  /** What is added to the length to get the number of bytes that follow the header. Default 0. */
  readonly adjustment?: number | undefined
  /**
   * Whether the header is part of the frame. `"strip"`, the default: it is taken off, and written by the encoder.
   * `"keep"`: it stays on, and the encoder writes the frame as it is, if the length in it is right.
   */
  readonly header?: "strip" | "keep" | undefined
  /**
   * The longest frame in bytes, as it is handed out. Default 65536, as much as a connection reads ahead, so that a peer
   * that never ends its frame holds no more of our memory than one that we do not read. It is lower where the width cannot
   * say so much.
   */
  readonly frameBytesMax?: number | undefined
}

/**
 * The codec. An option that is wrong throws `InvalidOption`.
 *
 * **Details**
 *
 * A frame that is too long says where it ends: with `onBroken: "skip"` it is passed over, and none of it is kept.
 *
 * @category constructors
 * @since 0.1.0
 */
export const codec = <const O extends Options>(
  options: Only<O, Options>
): FramingCodec<Uint8Array, Uint8Array, OnBrokenOf<O>> => {
  const layout = layoutOf(options)
  const { adjustment, frameBytesMax: max, header } = layout
  const finder = new LengthFinder(layout)

  const encodeKept = (frame: Uint8Array, out: Array<Uint8Array>): EncodeError | undefined => {
    if (frame.length > max) return refuse(new TooLong({ max }))
    const found: Found = new framer.Found()
    if (frame.length > 0) finder.find(frame, 0, 0, found)
    if (found.verdict !== "frame" || found.next !== frame.length) {
      return refuse(new Malformed({ expected: "a header with the length of the frame" }))
    }
    pushFrame(out, frame)
    return undefined
  }

  const encodeStripped = (frame: Uint8Array, out: Array<Uint8Array>): EncodeError | undefined => {
    if (frame.length > max) return refuse(new TooLong({ max }))
    const length = frame.length - adjustment
    if (length < 0) return refuse(new Malformed({ expected: `a frame of at least ${adjustment} bytes` }))
    const headerBytes = finder.bytesOf(length)
    const isCopied = frame.length <= copiedBytesMax
    const chunk = allocate(isCopied ? headerBytes + frame.length : headerBytes)
    finder.write(length, chunk)
    if (isCopied) chunk.set(frame, headerBytes)
    out.push(chunk)
    if (!isCopied) out.push(frame)
    return undefined
  }

  return fromFraming({
    bytesMax: finder.bytesMax,
    finder: () => finder,
    take: copyOf,
    takeMany: (bytes, from, out, room) => finder.takeMany(bytes, from, out, room),
    encode: header === "keep" ? encodeKept : encodeStripped
  }, options)
}

const refuse = (reason: EncodeReason): EncodeError => new EncodeError({ reason })

/**
 * Frames with their length before them over a connection of bytes. An option that is wrong throws `InvalidOption`.
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

type Layout = { readonly [K in Exclude<keyof Options, "onBroken">]-?: Exclude<Options[K], undefined> }

const layoutOf = (options: Options): Layout => {
  const width = oneOf<Options["width"]>("width", ["varint", 1, 2, 3, 4, 8], options.width ?? null)
  const endianness = oneOf("endianness", ["big", "little"], options.endianness)
  const header = oneOf("header", ["strip", "keep"], options.header)
  const offset = count("offset", 0, options.offset ?? 0)
  if (header === "strip" && offset > 0) {
    throw new InvalidOption({ field: "offset", expected: "0, unless header is \"keep\",", actual: offset })
  }
  const lengthMax = width === "varint" || width === 8 ? Number.MAX_SAFE_INTEGER : 2 ** (8 * width) - 1
  const adjustment = count("adjustment", -lengthMax, options.adjustment ?? 0)
  const keptBytes = header === "strip" ? 0 : offset + (width === "varint" ? 1 : width)
  const bytesMax = count("frameBytesMax", Math.max(1, keptBytes), options.frameBytesMax ?? 65_536)
  const frameBytesMax = Math.min(bytesMax, keptBytes + lengthMax + adjustment)
  return { width, endianness, header, offset, adjustment, frameBytesMax }
}

/** Frames that are copied together: the more, the cheaper each, and the more memory is pinned by one that is kept. */
const runBytes = 8192

/** A varint of 64 bits has no more bytes. */
const varintBytesMax = 10

class LengthFinder implements Finder {
  readonly bytesMax: number
  /** Of a varint, 0. */
  readonly #width: number
  readonly #isLittle: boolean
  readonly #offset: number
  readonly #adjustment: number
  readonly #isKept: boolean
  readonly #max: number

  constructor(layout: Layout) {
    this.#width = layout.width === "varint" ? 0 : layout.width
    this.#isLittle = layout.endianness === "little"
    this.#offset = layout.offset
    this.#adjustment = layout.adjustment
    this.#isKept = layout.header === "keep"
    this.#max = layout.frameBytesMax
    this.bytesMax = layout.offset + (this.#width || varintBytesMax) + layout.frameBytesMax
  }

  find(bytes: Uint8Array, from: number, _searched: number, found: Found): void {
    const to = bytes.length
    let at = from + this.#offset
    let length = 0
    if (this.#width === 0) {
      const last = at + varintBytesMax
      if (at >= to) return found.more(0, at + 1 - from)
      length = bytes[at++]!
      if (length >= 0x80) {
        length -= 0x80
        let byte = 0x80
        for (let unit = 128; byte >= 0x80; unit *= 128) {
          if (at >= to) return found.more(0, at + 1 - from)
          if (at === last) return found.broken(() => new Malformed({ expected: "a varint of at most 10 bytes" }))
          byte = bytes[at++]!
          length += (byte & 0x7f) * unit
        }
      }
    } else {
      const end = at + this.#width
      if (end > to) return found.more(0, end - from)
      length = this.#lengthAt(bytes, at)
      at = end
    }
    const next = at + length + this.#adjustment
    const start = this.#isKept ? from : at
    if (length > Number.MAX_SAFE_INTEGER) found.broken(() => new Malformed({ expected: "a length below 2^53" }))
    else if (next < at) found.broken(() => new Malformed({ expected: `a length of at least ${-this.#adjustment}` }))
    else if (next - start > this.#max) found.broken(() => new TooLong({ max: this.#max }), next)
    else if (next > to) found.more(0, next - from)
    else found.frame(start, next, next)
  }

  /** The short way for whole frames that follow each other: their bytes are copied together, and read again there. */
  takeMany(bytes: Uint8Array, from: number, out: Array<Uint8Array>, room: number): number {
    let to = from
    for (let frames = 0; frames < room; frames++) {
      const next = this.#nextOf(bytes, to)
      if (next < 0 || next - from > runBytes) break
      to = next
    }
    if (to === from) return from
    const run = copyOf(bytes.subarray(from, to))
    const { buffer } = run
    for (let at = 0; at < run.length;) {
      const next = this.#nextOf(run, at)
      const start = this.#isKept ? at : this.#contentOf(run, at)
      out.push(new Uint8Array(buffer, start, next - start))
      at = next
    }
    return to
  }

  /** Where the frame at `from` ends; negative where it is not whole, not right, or has a varint of more than two bytes. */
  #nextOf(bytes: Uint8Array, from: number): number {
    const to = bytes.length
    const length = from + this.#offset
    const at = this.#contentOf(bytes, from)
    if (at > to) return -1
    let next = at + this.#adjustment
    if (this.#width > 0) next += this.#lengthAt(bytes, length)
    else if (at === length + 1) next += bytes[length]!
    else if (bytes[length + 1]! < 0x80) next += (bytes[length]! & 0x7f) + bytes[length + 1]! * 128
    else return -1
    const start = this.#isKept ? from : at
    return next >= at && next <= to && next - start <= this.#max ? next : -1
  }

  /** Where the header at `from` ends; a varint has one byte or two here. */
  #contentOf(bytes: Uint8Array, from: number): number {
    const at = from + this.#offset
    return this.#width > 0 ? at + this.#width : bytes[at]! < 0x80 ? at + 1 : at + 2
  }

  /** A length of several bytes that are all there. */
  #lengthAt(bytes: Uint8Array, from: number): number {
    const to = from + this.#width
    let length = 0
    for (let i = 0; i < this.#width; i++) length = length * 256 + bytes[this.#isLittle ? to - 1 - i : from + i]!
    return length
  }

  /** How many bytes it takes to write this length. */
  bytesOf(length: number): number {
    if (this.#width > 0) return this.#width
    let bytes = 1
    for (let rest = length; rest >= 128; rest /= 128) bytes++
    return bytes
  }

  write(length: number, bytes: Uint8Array): void {
    let rest = length
    if (this.#width === 0) {
      let at = 0
      for (; rest >= 128; rest = Math.floor(rest / 128)) bytes[at++] = rest % 128 + 128
      bytes[at] = rest
      return
    }
    for (let i = 0; i < this.#width; i++) {
      bytes[this.#isLittle ? i : this.#width - 1 - i] = rest % 256
      rest = Math.floor(rest / 256)
    }
  }
}
