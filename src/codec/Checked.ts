/**
 * A checksum behind each frame of another codec.
 *
 * It is written behind the frame, and compared and taken off where a frame is read. A frame whose checksum is wrong is
 * broken, and has the fate that the codec below gives to one: with `onBroken: "resync"`, reading goes on at the first
 * whole frame with a right checksum that begins behind the start of the wrong one, or, where a mark stands between
 * frames, behind the next mark. On a noisy line that is what one wants, since noise that changed a frame may have changed
 * its length.
 *
 * **Example** (What NMEA 0183 has)
 *
 * ```ts import.meta.vitest
 * import { Checked, Codec, Delimited, FrameError } from "effect-transport"
 *
 * const lines = Delimited.codec({ delimiter: "\r\n", frameBytesMax: 80, onBroken: "resync" })
 * const codec = Codec.text(Checked.codec(lines, Checked.nmea))
 *
 * const input = new TextEncoder().encode("$GPGLL,5057.970,N,00146.110,E,142451,A*27\r\n$GPXXX,no|se*00\r\n")
 * const show = (item: string | FrameError.Skipped) => FrameError.isSkipped(item) ? item.reason.message : item
 * Codec.decodeAll(codec, [input]).frames.map(show) // => ["$GPGLL,5057.970,N,00146.110,E,142451,A", "the checksum is 0x0, and 0x8 would be right"]
 * ```
 */
import {
  copyOf,
  type Finder,
  type Found,
  type FramingCodec,
  fromFraming,
  type OnBroken,
  type SkippedBy
} from "../Codec.ts"
import { ChecksumMismatch, type DecodeError, EncodeError, Malformed } from "../FrameError.ts"
import * as crc from "../internal/crc.ts"
import { oneOf } from "../options.ts"
import * as Protocol from "../Protocol.ts"
import { InvalidOption, type TransportError } from "../TransportError.ts"

/**
 * What is computed of a frame, and how it stands behind it. `checksum` makes one of a number in binary.
 *
 * @category models
 * @since 0.1.0
 */
export interface Checksum {
  /** How many bytes stand behind the frame. */
  readonly bytes: number
  /** Of a frame, which is borrowed for the call; or what is wrong with one that has none. */
  readonly of: (frame: Uint8Array) => number | Malformed
  /** Puts it into `bytes`, from `at` on, where there is room for it. */
  readonly write: (checksum: number, bytes: Uint8Array, at: number) => void
  /** The one that stands in `bytes` from `at` on; or what is wrong with what stands there. */
  readonly read: (bytes: Uint8Array, at: number) => number | Malformed
}

/**
 * In which order the bytes of a number stand: the lowest first, or the highest.
 *
 * @category models
 * @since 0.1.0
 */
export type Endian = "little" | "big"

// ---------------------------------------------------------------------------------------------------------------------
// Codecs
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The codec, on top of one of byte frames.
 *
 * **Details**
 *
 * The limit of the codec below counts the checksum too. A frame that has no room for a checksum is `Malformed`, and one
 * with a wrong checksum is a `ChecksumMismatch`.
 *
 * **Gotchas**
 *
 * A checksum in binary can have any byte. Over frames with a delimiter, which cannot, it is refused when it happens to
 * contain the delimiter: there, use one in digits, as `nmea` is, or stuffed frames.
 *
 * With `"resync"` and frames that say how long they are, noise may say so too: reading waits until that frame is there or
 * the input ends, and each byte of noise costs up to a checksum of the longest frame. The limit of the codec below
 * bounds both; set it no larger than the frames are.
 *
 * @category combinators
 * @since 0.1.0
 */
export const codec = <F extends OnBroken>(
  self: FramingCodec<Uint8Array, Uint8Array, F>,
  checksum: Checksum
): FramingCodec<Uint8Array, Uint8Array, F> => {
  const { framing, onBroken } = self
  const { takeMany } = framing
  const isContent = framing.take === copyOf
  // The type of `self` bears out what its value says.
  return fromFraming<Uint8Array, Uint8Array, { readonly onBroken: OnBroken }>({
    bytesMax: framing.bytesMax,
    gapMs: framing.gapMs,
    // Where frames are content, it is the content that is checked, and it can be copied together with others.
    finder: isContent ? () => new CheckedFinder(framing.finder(), checksum) : framing.finder,
    take: isContent ? copyOf : (content, found) => {
      const frame = framing.take(content, found)
      if (found.verdict === "broken") return frame
      const wrong = wrongIn(checksum, frame, 0, frame.length)
      if (wrong === undefined) return frame.subarray(0, frame.length - checksum.bytes)
      found.broken(wrong)
      return frame
    },
    ...takeMany === undefined ? undefined : {
      takeMany: (bytes, from, out, room) => {
        const before = out.length
        const next = takeMany.call(framing, bytes, from, out, room)
        for (let i = before; i < out.length; i++) {
          const frame = out[i]!
          if (wrongIn(checksum, frame, 0, frame.length) !== undefined) {
            // Where it begins cannot be told.
            out.length = before
            return from
          }
          out[i] = frame.subarray(0, frame.length - checksum.bytes)
        }
        return next
      }
    },
    encode: (frame, out) => {
      const value = checksum.of(frame)
      if (typeof value !== "number") return new EncodeError({ reason: value })
      const bytes = new Uint8Array(frame.length + checksum.bytes)
      bytes.set(frame)
      checksum.write(value, bytes, frame.length)
      return framing.encode(bytes, out)
    }
  }, { onBroken }) as FramingCodec<Uint8Array, Uint8Array, F>
}

/**
 * The frames of a codec of byte frames, each with a checksum, over a connection of bytes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const protocol = <F extends OnBroken>(
  self: FramingCodec<Uint8Array, Uint8Array, F>,
  checksum: Checksum
): Protocol.FramedProtocol<Uint8Array | SkippedBy<F>, Uint8Array, DecodeError | EncodeError | TransportError> =>
  Protocol.fromCodec(codec(self, checksum))

/** What is wrong with the frame `bytes[from..to)` and the checksum at its end, if anything. */
const wrongIn = (
  checksum: Checksum,
  bytes: Uint8Array,
  from: number,
  to: number
): (() => ChecksumMismatch | Malformed) | undefined => {
  const end = to - checksum.bytes
  if (end < from) return () => new Malformed({ expected: `a checksum of ${checksum.bytes} bytes` })
  const received = checksum.read(bytes, end)
  if (typeof received !== "number") return () => received
  const computed = checksum.of(bytes.subarray(from, end))
  if (typeof computed !== "number") return () => computed
  return computed === received ? undefined : () => new ChecksumMismatch({ computed, received })
}

class CheckedFinder implements Finder {
  readonly #finder: Finder
  readonly #checksum: Checksum
  readonly end?: NonNullable<Finder["end"]>
  readonly skip?: NonNullable<Finder["skip"]>
  readonly fork?: NonNullable<Finder["fork"]>

  constructor(finder: Finder, checksum: Checksum) {
    this.#finder = finder
    this.#checksum = checksum
    if (finder.end !== undefined) {
      this.end = (bytes, from, found) => {
        finder.end!(bytes, from, found)
        this.#check(bytes, found)
      }
    }
    if (finder.skip !== undefined) this.skip = (bytes, from, found) => finder.skip!(bytes, from, found)
    if (finder.fork !== undefined) this.fork = () => new CheckedFinder(finder.fork!(), checksum)
  }

  find(bytes: Uint8Array, from: number, searched: number, found: Found): void {
    this.#finder.find(bytes, from, searched, found)
    this.#check(bytes, found)
  }

  #check(bytes: Uint8Array, found: Found): void {
    if (found.verdict !== "frame") return
    const wrong = wrongIn(this.#checksum, bytes, found.start, found.end)
    if (wrong === undefined) found.end -= this.#checksum.bytes
    else found.broken(wrong, found.next)
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Checksums
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A checksum of one's own: a number in binary. An option that is wrong throws `InvalidOption`.
 *
 * **Example** (One byte, the sum of all others)
 *
 * ```ts import.meta.vitest
 * import { Checked, Codec, Cobs } from "effect-transport"
 *
 * const sum = Checked.checksum({ bytes: 1, of: (frame) => frame.reduce((sum, byte) => sum + byte, 0) })
 * const codec = Checked.codec(Cobs.codec(), sum)
 *
 * const bytes: Array<Uint8Array> = []
 * codec.encode(Uint8Array.of(200, 100), bytes)
 * bytes.map((chunk) => [...chunk]) // => [[4, 200, 100, 44, 0]]
 * Codec.decodeAll(codec, bytes).frames.map((frame) => [...frame]) // => [[200, 100]]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const checksum = (options: {
  /** How many bytes it has. */
  readonly bytes: 1 | 2 | 3 | 4
  /** Default `"little"`. */
  readonly endian?: Endian | undefined
  /** Of a frame, which is borrowed for the call. Of the number, the lowest bytes count. */
  readonly of: (frame: Uint8Array) => number
}): Checksum => {
  const { bytes: length, of } = options
  if (![1, 2, 3, 4].includes(length)) throw new InvalidOption({ field: "bytes", expected: "1 to 4", actual: length })
  const isLittle = oneOf("endian", ["little", "big"], options.endian) === "little"
  const mask = 0xffffffff >>> 32 - 8 * length
  return {
    bytes: length,
    of: (frame) => (of(frame) & mask) >>> 0,
    write: (checksum, bytes, at) => {
      for (let i = 0; i < length; i++) bytes[at + i] = checksum >>> 8 * (isLittle ? i : length - 1 - i)
    },
    read: (bytes, at) => {
      let checksum = 0
      for (let i = 0; i < length; i++) checksum = checksum << 8 | bytes[at + (isLittle ? length - 1 - i : i)]!
      return checksum >>> 0
    }
  }
}

/**
 * CRC-16/MODBUS, the lower byte first, as Modbus RTU has it.
 *
 * @category constants
 * @since 0.1.0
 */
export const crc16Modbus: Checksum = checksum({ bytes: 2, of: crc.crc16Modbus })

/**
 * CRC-32/ISO-HDLC, the one of Ethernet, zip and gzip. They have the lowest byte first, which is the default; PNG has the
 * highest first.
 *
 * @category constructors
 * @since 0.1.0
 */
export const crc32 = (options?: { readonly endian?: Endian | undefined }): Checksum =>
  checksum({ bytes: 4, endian: options?.endian, of: crc.crc32 })

/**
 * The longitudinal redundancy check of Modbus ASCII: one byte that makes the sum of all zero. One of 256 noises passes it.
 *
 * @category constants
 * @since 0.1.0
 */
export const lrc: Checksum = checksum({
  bytes: 1,
  of: (frame) => {
    let sum = 0
    for (let i = 0; i < frame.length; i++) sum += frame[i]!
    return -sum
  }
})

/**
 * What NMEA 0183 has: a `*` and two hex digits, the exclusive or of all bytes between `$`, or `!`, and `*`.
 *
 * **Details**
 *
 * It goes over `Delimited` with `"\r\n"`. A frame is the sentence from its `$` or `!` up to the `*`, and one that begins
 * otherwise, or has a `*` inside, is `Malformed`, in both directions; so is a sentence without checksum, as very old
 * devices send them. Digits are written as capitals and read as either.
 *
 * @category constants
 * @since 0.1.0
 */
export const nmea: Checksum = {
  bytes: 3,
  of: (frame) => {
    if (frame[0] !== DOLLAR && frame[0] !== BANG) return new Malformed({ expected: "$ or !" })
    let xor = 0
    for (let i = 1; i < frame.length; i++) {
      if (frame[i] === STAR) return new Malformed({ expected: "* in front of the checksum only" })
      xor ^= frame[i]!
    }
    return xor
  },
  write: (checksum, bytes, at) => {
    bytes[at] = STAR
    bytes[at + 1] = digits.charCodeAt(checksum >>> 4)
    bytes[at + 2] = digits.charCodeAt(checksum & 15)
  },
  read: (bytes, at) => {
    const high = digitOf(bytes[at + 1]!)
    const low = digitOf(bytes[at + 2]!)
    return bytes[at] === STAR && high >= 0 && low >= 0
      ? high << 4 | low
      : new Malformed({ expected: "* and two hex digits" })
  }
}

const BANG = 0x21
const DOLLAR = 0x24
const STAR = 0x2a

const digits = "0123456789ABCDEF"

const digitOf = (byte: number): number => digits.indexOf(String.fromCharCode(byte).toUpperCase())
