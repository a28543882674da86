/**
 * Netstrings, as D. J. Bernstein defined them in 1997: the length in decimal digits, a colon, the bytes, a comma.
 *
 * ```text
 * 5:hello,0:,
 * ```
 *
 * The length has no leading zeros, and white space stands nowhere.
 *
 * **Example** (Reading netstrings)
 *
 * ```ts import.meta.vitest
 * import { Codec, Netstring } from "effect-transport"
 *
 * const codec = Codec.text(Netstring.codec())
 *
 * Codec.decodeAll(codec, [new TextEncoder().encode("5:hello,0:,")]).frames // => ["hello", ""]
 *
 * const { error } = Codec.decodeAll(codec, [new TextEncoder().encode("5:hello,3:abcd,")])
 * error?.message // => "the frame at byte 8: malformed: a comma behind 3 bytes expected"
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
 * How long frames may be.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends BrokenOption {
  /**
   * The longest frame in bytes, without what stands around it. Default 65536, as much as a connection reads ahead, so that
   * a peer that never ends its frame holds no more of our memory than one that we do not read.
   */
  readonly frameBytesMax?: number | undefined
}

/**
 * The codec. An option that is wrong throws `InvalidOption`.
 *
 * **Details**
 *
 * With `onBroken: "skip"` a netstring that is too long is passed over up to its end. One without its comma has told a
 * wrong length: there, as at bytes that are no length, reading goes on at the first whole netstring.
 *
 * @category constructors
 * @since 0.1.0
 */
export const codec = <const O extends Options = {}>(
  options?: Only<O, Options>
): FramingCodec<Uint8Array, Uint8Array, OnBrokenOf<O>> => {
  const max = count("frameBytesMax", 1, options?.frameBytesMax ?? 65_536)
  const finder: Finder = { find: (bytes, from, _searched, found) => find(bytes, from, max, found) }
  return fromFraming({
    bytesMax: digitsMax + max + 2,
    finder: () => finder,
    take: copyOf,
    encode: (frame, out) => {
      if (frame.length > max) return new EncodeError({ reason: new TooLong({ max }) })
      pushFrame(out, frame, encoder.encode(`${frame.length}:`), Uint8Array.of(comma))
      return undefined
    }
  }, options)
}

/**
 * Netstrings over a connection of bytes. An option that is wrong throws `InvalidOption`.
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

const zero = 0x30
const colon = 0x3a
const comma = 0x2c

/** Numbers of so many digits are exact. A length that is too long is read this far, since it says where the frame ends. */
const digitsMax = 15

const find = (bytes: Uint8Array, from: number, max: number, found: Found): void => {
  const to = bytes.length
  let at = from
  let length = 0
  for (; at < to && isDigit(bytes[at]!); at++) {
    if (at > from && length === 0) return found.broken(() => new Malformed({ expected: "a colon behind the length 0" }))
    if (at - from === digitsMax) return found.broken(() => new TooLong({ max }))
    length = length * 10 + bytes[at]! - zero
  }
  if (at === to) return found.more(0)
  if (at === from) return found.broken(() => new Malformed({ expected: "a length in decimal digits" }))
  if (bytes[at] !== colon) return found.broken(() => new Malformed({ expected: "a colon behind the length" }))
  const start = at + 1
  const end = start + length
  if (length > max) found.broken(() => new TooLong({ max }), end + 1)
  else if (end >= to) found.more(0, end + 1 - from)
  else if (bytes[end] !== comma) found.broken(() => new Malformed({ expected: `a comma behind ${length} bytes` }))
  else found.frame(start, end, end + 1)
}

const isDigit = (byte: number): boolean => byte >= zero && byte <= zero + 9
