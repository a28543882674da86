/**
 * Frames of one length, with nothing between them.
 *
 * **Example** (Records of four bytes)
 *
 * ```ts import.meta.vitest
 * import { Codec, Fixed } from "effect-transport"
 *
 * const codec = Fixed.codec({ frameBytes: 4 })
 *
 * const { error, frames } = Codec.decodeAll(codec, [Uint8Array.of(1, 2), Uint8Array.of(3, 4, 5, 6)])
 * frames.map((frame) => [...frame]) // => [[1, 2, 3, 4]]
 * error?.message // => "the frame at byte 4: cut short after 2 bytes"
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
import { type DecodeError, EncodeError, WrongLength } from "../FrameError.ts"
import { pushFrame } from "../internal/chunk.ts"
import { count, oneOf } from "../options.ts"
import * as Protocol from "../Protocol.ts"
import type { TransportError } from "../TransportError.ts"

/**
 * How long a frame is.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends BrokenOption {
  /** The length of each frame in bytes, and so the limit of what is kept. */
  readonly frameBytes: number
  /**
   * What becomes of the bytes behind the last whole frame when the input ends. `"error"`, the default: they are a frame
   * cut short. `"frame"` gives them as the last frame, which is shorter than the others, as a file cut into blocks ends;
   * the encoder does not write such a one.
   */
  readonly tail?: "error" | "frame" | undefined
}

/**
 * The codec. An option that is wrong throws `InvalidOption`.
 *
 * **Details**
 *
 * All bytes are right here, so `onBroken` matters only to a frame that is cut short, and to what a codec on top refuses.
 *
 * @category constructors
 * @since 0.1.0
 */
export const codec = <const O extends Options>(
  options: Only<O, Options>
): FramingCodec<Uint8Array, Uint8Array, OnBrokenOf<O>> => {
  const bytes = count("frameBytes", 1, options.frameBytes)
  const tail = oneOf("tail", ["error", "frame"], options.tail)
  const finder: Finder = {
    find: (input, from, _searched, found) => {
      const next = from + bytes
      if (next <= input.length) found.frame(from, next, next)
      else found.more(0, bytes)
    },
    ...(tail === "frame" ? { end } : {})
  }
  return fromFraming({
    bytesMax: bytes,
    finder: () => finder,
    take: copyOf,
    encode: (frame, out) => {
      if (frame.length !== bytes) {
        return new EncodeError({ reason: new WrongLength({ expected: bytes, actual: frame.length }) })
      }
      pushFrame(out, frame)
      return undefined
    }
  }, options)
}

/**
 * Frames of one length over a connection of bytes. An option that is wrong throws `InvalidOption`.
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

const end = (input: Uint8Array, from: number, found: Found): void => found.frame(from, input.length, input.length)
