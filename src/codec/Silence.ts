/**
 * Frames of bytes that a gap on the line ends, as Modbus RTU has them.
 *
 * Nothing in the bytes says where a frame ends: it ends when so many milliseconds have gone by without one. The decoder
 * has no clock. `Protocol.fromCodec` tells it the time by Effect's `Clock`; who runs it alone hands the time in by `due`,
 * before and after each `decode`, and at the time that `due` answers.
 *
 * **Example** (Modbus RTU, and time handed in)
 *
 * ```ts import.meta.vitest
 * import { Checked, Silence } from "effect-transport"
 *
 * const codec = Checked.codec(Silence.codec({ gapMs: Silence.modbusGapMs(9600), frameBytesMax: 256 }), Checked.crc16Modbus)
 *
 * const decoder = codec.decoder()
 * const frames: Array<Uint8Array> = []
 * decoder.decode(Uint8Array.of(0x11, 0x03, 0x00, 0x6b), frames, Infinity)
 * decoder.due!(100, frames) // => 100 + 3.5 * 11 * 1000 / 9600
 * decoder.decode(Uint8Array.of(0x00, 0x03, 0x76, 0x87), frames, Infinity)
 * decoder.due!(103, frames)
 * frames.length // => 0
 *
 * decoder.due!(108, frames) // => undefined
 * frames.map((frame) => [...frame]) // => [[0x11, 0x03, 0x00, 0x6b, 0x00, 0x03]]
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
import { count, positive } from "../options.ts"
import * as Protocol from "../Protocol.ts"
import type { TransportError } from "../TransportError.ts"

/**
 * How long the gap is, and how long frames may be.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends BrokenOption {
  /**
   * So many milliseconds without a byte end a frame; a fraction is allowed for.
   *
   * What arrives here has been through buffers: a USB adapter holds bytes back for up to 16 ms, and a timer of the system
   * is about a millisecond late. With a gap below that, frames are torn; with one that is longer than the peer's, two
   * frames become one. Where the peer waits for an answer, a gap of 20 to 50 ms does no harm.
   */
  readonly gapMs: number
  /**
   * The longest frame in bytes. Default 65536, as much as a connection reads ahead, so that a line that is never silent
   * holds no more of our memory than a peer that we do not read. Modbus RTU has frames of at most 256 bytes.
   */
  readonly frameBytesMax?: number | undefined
}

/**
 * The codec. An option that is wrong throws `InvalidOption`.
 *
 * **Details**
 *
 * The end of the input ends the last frame too. What is broken or too long ends at the next gap.
 *
 * **Gotchas**
 *
 * It writes the frame and no silence: to leave a gap between two frames is up to who writes them. An empty frame cannot
 * be written.
 *
 * @category constructors
 * @since 0.1.0
 */
export const codec = <const O extends Options>(
  options: Only<O, Options>
): FramingCodec<Uint8Array, Uint8Array, OnBrokenOf<O>> => {
  const gapMs = positive("gapMs", "a positive number of milliseconds", options.gapMs)
  const max = count("frameBytesMax", 1, options.frameBytesMax ?? 65_536)
  const finder = new SilenceFinder(max)
  return fromFraming<Uint8Array, Uint8Array, O>({
    bytesMax: max + 1,
    gapMs,
    finder: () => finder,
    take: copyOf,
    encode: (frame, out) => {
      if (frame.length === 0) return new EncodeError({ reason: new Malformed({ expected: "at least one byte" }) })
      if (frame.length > max) return new EncodeError({ reason: new TooLong({ max }) })
      out.push(frame.length > copiedBytes ? frame : copyOf(frame))
      return undefined
    }
  }, options)
}

/**
 * Frames over a connection of bytes. An option that is wrong throws `InvalidOption`.
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
 * The gap that Modbus RTU has between frames: 3.5 characters of 11 bits each, and 1.75 ms on a line that is faster than
 * 19200 baud ("Modbus over Serial Line", section 2.5.1.1).
 *
 * @category constants
 * @since 0.1.0
 */
export const modbusGapMs = (baudRate: number): number =>
  positive("baudRate", "a positive number", baudRate) > 19_200 ? 1.75 : 3.5 * 11 * 1000 / baudRate

/** Larger frames are handed on as they are. */
const copiedBytes = 4096

/** All that there is belongs to the frame, until there is silence. */
class SilenceFinder implements Finder {
  readonly #max: number

  constructor(max: number) {
    this.#max = max
  }

  find(bytes: Uint8Array, from: number, _searched: number, found: Found): void {
    if (bytes.length - from > this.#max) found.broken(new TooLong({ max: this.#max }))
    else found.more(bytes.length - from)
  }

  end(bytes: Uint8Array, from: number, found: Found): void {
    found.frame(from, bytes.length, bytes.length)
  }

  skip(bytes: Uint8Array, from: number, found: Found): void {
    found.more(bytes.length - from)
  }
}
