/**
 * Frames of bytes as the Serial Line Internet Protocol has them (RFC 1055): the byte END behind each, and an escape where
 * END stands inside.
 *
 * **Example** (An END inside a frame is escaped)
 *
 * ```ts import.meta.vitest
 * import { Result } from "effect"
 * import { Codec, Slip } from "effect-transport"
 *
 * const codec = Slip.codec()
 *
 * const bytes = Result.getOrThrow(Codec.encodeAll(codec, [Uint8Array.of(1, 0xc0, 2)]))
 * bytes.map((chunk) => [...chunk]) // => [[0xc0, 1, 0xdb, 0xdc, 2, 0xc0]]
 * Codec.decodeAll(codec, bytes).frames.map((frame) => [...frame]) // => [[1, 0xc0, 2]]
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
import { type DecodeError, type EncodeError, Malformed } from "../FrameError.ts"
import { count, oneOf } from "../options.ts"
import * as Protocol from "../Protocol.ts"
import type { TransportError } from "../TransportError.ts"
import * as stuffed from "./stuffed.ts"

/**
 * Where ENDs are written, and how long frames may be.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends BrokenOption {
  /**
   * Where END is written. `"around"`, the default, writes one in front of each frame too, as RFC 1055 advises: it ends
   * what noise the peer takes for the beginning of the frame. `"behind"` leaves it out, for peers that take two ENDs for
   * an empty frame.
   */
  readonly ends?: "around" | "behind" | undefined
  /**
   * The longest frame in bytes, as it is decoded. Default 65536, as much as a connection reads ahead, so that a peer that
   * never ends its frame holds no more than twice that of our memory. RFC 1055 itself has packets of 1006 bytes.
   */
  readonly frameBytesMax?: number | undefined
}

/**
 * The codec. An option that is wrong throws `InvalidOption`.
 *
 * **Details**
 *
 * ENDs with nothing between them are no frames: an empty frame is not read, and so it is refused where it is written.
 * Bytes behind the last END are a frame cut short.
 *
 * A frame is `Malformed` when something else than the two escaped bytes follows an escape. RFC 1055 suggests to leave
 * such a byte in the packet, since what is above will have a checksum; here that would make two encodings of one frame,
 * and hide what noise did.
 *
 * @category constructors
 * @since 0.1.0
 */
export const codec = <const O extends Options = {}>(
  options?: Only<O, Options>
): FramingCodec<Uint8Array, Uint8Array, OnBrokenOf<O>> => {
  const ends = oneOf("ends", ["around", "behind"], options?.ends)
  const max = count("frameBytesMax", 1, options?.frameBytesMax ?? 65_536)
  return fromFraming<Uint8Array, Uint8Array, O>(stuffed.framing(stuffing(ends), max), options)
}

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

const END = 0xc0
const ESC = 0xdb
const ESC_END = 0xdc
const ESC_ESC = 0xdd

const stuffing = (ends: "around" | "behind"): stuffed.Stuffing => ({
  mark: END,
  stuffedBytes: (length) => 2 * length,
  expected: "0xdc or 0xdd behind an escape",
  unstuff: (bytes, from, to) => {
    const frame = bytes.subarray(from, to)
    let at = frame.indexOf(ESC)
    if (at < 0) return frame
    let length = at
    while (at < frame.length) {
      let byte = frame[at++]!
      if (byte === ESC) {
        byte = frame[at++]!
        if (byte === ESC_END) byte = END
        else if (byte === ESC_ESC) byte = ESC
        else return undefined
      }
      frame[length++] = byte
    }
    return frame.subarray(0, length)
  },
  stuff: (frame) => {
    if (frame.length === 0) return new Malformed({ expected: "at least one byte" })
    let escapes = 0
    for (let i = 0; i < frame.length; i++) {
      if (frame[i] === END || frame[i] === ESC) escapes++
    }
    let at = ends === "around" ? 1 : 0
    const bytes = new Uint8Array(at + frame.length + escapes + 1)
    bytes[0] = bytes[bytes.length - 1] = END
    if (escapes === 0) {
      bytes.set(frame, at)
      return bytes
    }
    for (let i = 0; i < frame.length; i++) {
      const byte = frame[i]!
      const isEscaped = byte === END || byte === ESC
      if (isEscaped) bytes[at++] = ESC
      bytes[at++] = !isEscaped ? byte : byte === END ? ESC_END : ESC_ESC
    }
    return bytes
  }
})
