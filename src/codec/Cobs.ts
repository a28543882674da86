/**
 * Frames of bytes by Consistent Overhead Byte Stuffing (Cheshire and Baker, 1999), with a zero behind each.
 *
 * No zero occurs inside a frame, so that a reader that comes in late, or lost its place, is in step again behind the next
 * one. Any bytes can be sent, for one byte more, and another one for each 254.
 *
 * **Example** (Any bytes, zeros between frames)
 *
 * ```ts import.meta.vitest
 * import { Result } from "effect"
 * import { Cobs, Codec } from "effect-transport"
 *
 * const codec = Cobs.codec()
 *
 * const bytes = Result.getOrThrow(Codec.encodeAll(codec, [Uint8Array.of(0x11, 0, 0x33), Uint8Array.of()]))
 * bytes.map((chunk) => [...chunk]) // => [[2, 0x11, 2, 0x33, 0], [1, 0]]
 * Codec.decodeAll(codec, bytes).frames.map((frame) => [...frame]) // => [[0x11, 0, 0x33], []]
 * ```
 */
import {
  type BrokenOption,
  type FramingCodec,
  fromFraming,
  type OnBrokenOf,
  type Only,
  type SkippedBy
} from "../Codec.ts"
import type { DecodeError, EncodeError } from "../FrameError.ts"
import { count } from "../options.ts"
import * as Protocol from "../Protocol.ts"
import type { TransportError } from "../TransportError.ts"
import * as stuffed from "./stuffed.ts"

/**
 * How long frames may be.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends BrokenOption {
  /**
   * The longest frame in bytes, as it is decoded. Default 65536, as much as a connection reads ahead, so that a peer that
   * never ends its frame holds little more of our memory than one that we do not read.
   */
  readonly frameBytesMax?: number | undefined
}

/**
 * The codec. An option that is wrong throws `InvalidOption`.
 *
 * **Details**
 *
 * An empty frame is written as a code and a zero, and read as an empty frame. Zeros with nothing between them are no
 * frames but padding, which peers write to bring the reader in step, and as much of it as they like.
 *
 * A frame is `Malformed` when a code in it points beyond its end. Bytes behind the last zero are a frame cut short.
 *
 * @category constructors
 * @since 0.1.0
 */
export const codec = <const O extends Options = {}>(
  options?: Only<O, Options>
): FramingCodec<Uint8Array, Uint8Array, OnBrokenOf<O>> =>
  fromFraming<Uint8Array, Uint8Array, O>(
    stuffed.framing(stuffing, count("frameBytesMax", 1, options?.frameBytesMax ?? 65_536)),
    options
  )

/**
 * Frames over a connection of bytes. An option that is wrong throws `InvalidOption`.
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

/** A code that no zero follows: so many bytes without a zero, and one. */
const full = 255

/** Below this, to move bytes one by one is faster than to call for it. */
const few = 32

/**
 * A code says where the next code is. The bytes between them are content, and the next code stands for a zero, unless
 * the code before it is full.
 */
const stuffing: stuffed.Stuffing = {
  mark: 0,
  // There are encoders that end with an empty group behind a full one.
  stuffedBytes: (length) => length + Math.floor(length / (full - 1)) + 1,
  expected: "a code that points into the frame",
  unstuff: (bytes, from, to) => {
    // The content is in its place behind the first code, until a full code leaves a gap.
    let gap = 0
    let at = from
    let code = bytes[at]!
    for (;;) {
      const next = at + code
      if (next > to) return undefined
      if (gap > 0) {
        if (code > few) bytes.copyWithin(at + 1 - gap, at + 1, next)
        else for (let i = at + 1; i < next; i++) bytes[i - gap] = bytes[i]!
      }
      if (next === to) return bytes.subarray(from + 1, to - gap)
      const isFull = code === full
      at = next
      code = bytes[at]!
      if (isFull) gap++
      else bytes[at - gap] = 0
    }
  },
  stuff: (frame) => {
    const length = frame.length
    const bytes = new Uint8Array(stuffing.stuffedBytes(length) + 1)
    let at = 0
    let from = 0
    let zero = -1
    for (;;) {
      if (zero < from) zero = indexOfZero(frame, from)
      const run = Math.min(zero - from, full - 1)
      bytes[at++] = run + 1
      if (run > few) bytes.set(frame.subarray(from, from + run), at)
      else for (let i = 0; i < run; i++) bytes[at + i] = frame[from + i]!
      at += run
      from += run
      if (from === length) return bytes.subarray(0, at + 1)
      // The code itself stands for the zero, unless it is full.
      if (run < full - 1) from++
    }
  }
}

/** Or the end, if there is none. */
const indexOfZero = (bytes: Uint8Array, from: number): number => {
  const near = Math.min(from + few, bytes.length)
  for (let i = from; i < near; i++) {
    if (bytes[i] === 0) return i
  }
  const zero = bytes.indexOf(0, near)
  return zero < 0 ? bytes.length : zero
}
