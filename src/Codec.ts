/**
 * The pure, synchronous translation between frames and bytes.
 *
 * A codec does no IO: it is tested with arrays, and `Protocol.fromCodec` runs it over a live connection. Chunk borders
 * mean nothing: however the same bytes are cut, a decoder makes the same frames of them, and the same error.
 *
 * A codec of one's own is a `Framing`, which says where one frame ends, and `fromFraming` does all the rest.
 *
 * **Example** (Writing a codec)
 *
 * ```ts import.meta.vitest
 * import { Codec, FrameError } from "effect-transport"
 *
 * // One byte that says how many bytes follow.
 * const codec = Codec.fromFraming({
 *   bytesMax: 256,
 *   finder: () => ({
 *     find: (bytes, from, _searched, found) => {
 *       const next = from + 1 + bytes[from]!
 *       if (next <= bytes.length) found.frame(from + 1, next, next)
 *       else found.more(1, next - from)
 *     }
 *   }),
 *   take: Codec.copyOf,
 *   encode: (frame: Uint8Array, out) => {
 *     if (frame.length > 255) return new FrameError.EncodeError({ reason: new FrameError.TooLong({ max: 255 }) })
 *     out.push(Uint8Array.of(frame.length), frame)
 *     return undefined
 *   }
 * })
 *
 * Codec.decodeAll(codec, [Uint8Array.of(2, 10), Uint8Array.of(11, 1, 12)]).frames.map((frame) => [...frame]) // => [[10, 11], [12]]
 * ```
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import {
  CutShort,
  DecodeError,
  type DecodeReason,
  EncodeError,
  type EncodeReason,
  Invalid,
  NotUtf8,
  Skipped,
  TooLong
} from "./FrameError.ts"
import * as framer from "./internal/framer.ts"
import { Framer, type Telling } from "./internal/framer.ts"
import { bytesOf, textOf } from "./internal/utf8.ts"
import { count, oneOf, positive } from "./options.ts"

/**
 * Bytes to frames, for one connection.
 *
 * **Details**
 *
 * The bytes handed in are borrowed for the call: what a decoder keeps, it copies. One that does not copy says so by
 * `aliases`, and then its frames, and what it keeps, share memory with the bytes, so that the caller may not use that
 * memory again.
 *
 * A decoder is at its start at every border between two frames: a new one that is given the bytes from there on makes the
 * same frames. What has to be remembered from frame to frame is a protocol.
 *
 * An error is final: the bytes from the frame at fault on are no frames of this codec, and every later call answers with
 * the same error. A decoder has to bound what it keeps, and to fail at the bound.
 *
 * @category models
 * @since 0.1.0
 */
export interface Decoder<out In, out DE> {
  /** Whether frames share memory with the bytes handed in. */
  readonly aliases: boolean
  /**
   * Takes bytes, or none to go on with those inside, and appends at most `max` whole frames to `out`. Answers with an
   * error, or with nothing; frames before the error are appended. Fewer than `max` frames: it can make no more of the
   * bytes that it has.
   */
  decode(bytes: Uint8Array | undefined, out: Array<In>, max: number): DE | undefined
  /** The input has ended: appends what frames are left, or answers with an error if the last one is cut short. */
  end(out: Array<In>): DE | undefined
  /**
   * Gives up the bytes that are not yet part of a frame handed out. They belong to the caller; to decode them again
   * changes nothing.
   */
  rest(): Uint8Array
  /**
   * Of a decoder to which it matters what came before: where it stands. A decoder that is made of it stands there, too,
   * without the bytes that `rest` would give up.
   */
  mark?(): unknown
  /**
   * Of a decoder for which time ends frames: appends those that have ended, and answers when it wants to be asked again,
   * in milliseconds of the clock it is given, or with nothing while no frame is begun.
   *
   * **Details**
   *
   * It is asked before and after each `decode`, and at the time that it named. An error that it meets is answered by the
   * next `decode`.
   */
  due?(nowMs: number, out: Array<In>): number | undefined
}

/**
 * Both directions: a decoder for each connection, and the encoder.
 *
 * @category models
 * @since 0.1.0
 */
export interface Codec<out In, in Out, out DE, out EE> {
  /** For a new connection, or to go on at a `mark` of another decoder of this codec. */
  readonly decoder: (mark?: unknown) => Decoder<In, DE>
  /**
   * Appends bytes to `out`, or refuses the frame and appends none. It refuses what its own decoder would not give back as
   * it was. The bytes belong to the caller; those of a large frame may be the frame's own.
   */
  readonly encode: (frame: Out, out: Array<Uint8Array>) => EE | undefined
}

/**
 * All frames of a whole input, and the error that ended it, if one did.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decodeAll = <In, DE>(
  codec: Codec<In, never, DE, unknown>,
  chunks: Iterable<Uint8Array>
): { readonly frames: Array<In>; readonly error: DE | undefined } => {
  const decoder = codec.decoder()
  const frames: Array<In> = []
  for (const chunk of chunks) {
    const error = decoder.decode(chunk, frames, Infinity)
    if (error !== undefined) return { frames, error }
  }
  return { frames, error: decoder.end(frames) }
}

/**
 * The bytes of all frames, or why one of them was refused.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodeAll = <Out, EE>(
  codec: Codec<unknown, Out, unknown, EE>,
  frames: Iterable<Out>
): Result.Result<Array<Uint8Array>, EE> => {
  const bytes: Array<Uint8Array> = []
  for (const frame of frames) {
    const error = codec.encode(frame, bytes)
    if (error !== undefined) return Result.fail(error)
  }
  return Result.succeed(bytes)
}

/**
 * Reads with one codec and writes with another, for protocols whose two directions differ.
 *
 * @category constructors
 * @since 0.1.0
 */
export const pair = <In, Out, DE, EE>(
  reading: Codec<In, never, DE, unknown>,
  writing: Codec<unknown, Out, unknown, EE>
): Codec<In, Out, DE, EE> => ({ decoder: reading.decoder, encode: writing.encode })

// ---------------------------------------------------------------------------------------------------------------------
// Codecs of framings
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What becomes of a frame that is broken or too long.
 *
 * **Details**
 *
 * `"fatal"`, the default: reading ends with a `DecodeError`. Where one frame is broken, those behind it are seldom worth
 * more.
 *
 * `"skip"`: an item of the type `Skipped` stands in its place, and reading goes on behind it. That trusts the broken frame
 * to say where it ends; where it cannot, this is `"resync"`.
 *
 * `"resync"`: reading goes on at the first whole frame that begins behind the start of the broken one, and a `Skipped`
 * stands for what is between. That is what a noisy line needs. Where a mark stands between frames, the next frame is
 * behind the next mark.
 *
 * @category models
 * @since 0.1.0
 */
export type OnBroken = framer.OnBroken

/**
 * The option that every codec of a framing has.
 *
 * @category models
 * @since 0.1.0
 */
export interface BrokenOption {
  /** What becomes of a frame that is broken or too long. Default `"fatal"`. */
  readonly onBroken?: OnBroken | undefined
}

/**
 * Options that have no others than these: one that is misspelt does not compile.
 *
 * @category models
 * @since 0.1.0
 */
export type Only<O, Options> = O & { readonly [K in Exclude<keyof O, keyof Options>]: never }

/**
 * What the options say, as a type.
 *
 * @category models
 * @since 0.1.0
 */
export type OnBrokenOf<Options> = Options extends { readonly onBroken?: infer F }
  ? (undefined extends F ? "fatal" : never) | Extract<F, OnBroken>
  : "fatal"

/**
 * The item that stands for what was passed over, where that is allowed for.
 *
 * @category models
 * @since 0.1.0
 */
export type SkippedBy<F extends OnBroken> = [F] extends ["fatal"] ? never : Skipped

/**
 * Says where one frame ends. It answers through `found`, once for each call.
 *
 * @category models
 * @since 0.1.0
 */
export type Finder = framer.Finder<DecodeReason>

/**
 * What a look for a frame found.
 *
 * @category models
 * @since 0.1.0
 */
export type Found = framer.Found<DecodeReason>

/**
 * How frames lie in bytes, in both directions: what one writes to make a codec of one's own.
 *
 * **Details**
 *
 * `finder` makes a finder for each decoder, so that it may remember how far it came with a frame; one that remembers
 * nothing can be shared. A frame that is not whole when `bytesMax` bytes of it are there is too long.
 *
 * @category models
 * @since 0.1.0
 */
export interface Framing<out In, in Out> extends framer.Framing<In, DecodeReason> {
  /** As `Codec.encode`. */
  readonly encode: (frame: Out, out: Array<Uint8Array>) => EncodeError | undefined
}

/**
 * A codec of a framing. Other codecs can be put on top of it: `Checked`, `text`, `schema`.
 *
 * @category models
 * @since 0.1.0
 */
export interface FramingCodec<out In, in Out, out F extends OnBroken = "fatal">
  extends Codec<In | SkippedBy<F>, Out, DecodeError, EncodeError>
{
  readonly framing: Framing<In, Out>
  readonly onBroken: F
}

/**
 * A codec of a framing. An option that is wrong throws `InvalidOption`.
 *
 * **Details**
 *
 * Its decoder copies what it keeps, and keeps no more than `bytesMax` of a frame that is not whole. Feeding it is linear,
 * however small the pieces. An error says how many bytes of input came before the frame at fault.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromFraming = <In, Out, const O extends BrokenOption = {}>(
  framing: Framing<In, Out>,
  options?: O
): FramingCodec<In, Out, OnBrokenOf<O>> => {
  const onBroken = oneOf("onBroken", ["fatal", "skip", "resync"], options?.onBroken)
  count("bytesMax", 1, framing.bytesMax)
  if (framing.gapMs !== undefined) positive("gapMs", "a positive number of milliseconds", framing.gapMs)
  return {
    framing,
    onBroken: onBroken as OnBrokenOf<O>,
    decoder: (mark) =>
      new Framer<In | SkippedBy<OnBrokenOf<O>>, DecodeReason, DecodeError>(framing, onBroken, telling, mark),
    encode: framing.encode
  }
}

/** `skipped` is asked only where `onBroken` allows for it. */
const telling: Telling<any, DecodeReason, DecodeError> = {
  tooLong: (max) => new TooLong({ max }),
  cutShort: (bytes) => new CutShort({ bytes }),
  failure: (offset, reason) => new DecodeError({ offset, reason }),
  skipped: (offset, bytes, reason) => new Skipped({ offset, bytes, reason })
}

/**
 * What `take` is where a frame is its content: a copy, which belongs to the receiver of the frame.
 *
 * @category constructors
 * @since 0.1.0
 */
export const copyOf: (content: Uint8Array) => Uint8Array = framer.copyOf

/**
 * Another codec, whose frames are made of the frames of this one.
 *
 * **Details**
 *
 * What `decode` refuses is a broken frame, and has the fate of one; what `encode` refuses is not sent. Bytes that
 * `decode` is given are borrowed for the call.
 *
 * @category combinators
 * @since 0.1.0
 */
export const transform = <In, Out, F extends OnBroken, In2, Out2>(
  self: FramingCodec<In, Out, F>,
  both: {
    readonly decode: (frame: In) => Result.Result<In2, DecodeReason>
    readonly encode: (frame: Out2) => Result.Result<Out, EncodeReason>
  }
): FramingCodec<In2, Out2, F> => {
  const { framing } = self
  // The type of `self` bears out what its value says.
  return fromFraming<In2, Out2, { readonly onBroken: OnBroken }>({
    bytesMax: framing.bytesMax,
    finder: framing.finder,
    gapMs: framing.gapMs,
    take: (content, found) => {
      const isContent = framing.take as unknown === framer.copyOf
      const frame = isContent ? content as In : framing.take(content, found)
      if (found.verdict === "broken") return undefined as In2
      const result = both.decode(frame)
      if (Result.isSuccess(result)) return result.success
      found.broken(result.failure)
      return undefined as In2
    },
    encode: (frame, out) => {
      const result = both.encode(frame)
      return Result.isSuccess(result)
        ? framing.encode(result.success, out)
        : new EncodeError({ reason: result.failure })
    }
  }, { onBroken: self.onBroken }) as FramingCodec<In2, Out2, F>
}

/**
 * Text in frames of bytes, as UTF-8. A byte order mark is text like any other.
 *
 * @category combinators
 * @since 0.1.0
 */
export const text = <F extends OnBroken>(
  self: FramingCodec<Uint8Array, Uint8Array, F>
): FramingCodec<string, string, F> =>
  transform(self, {
    decode: (bytes) => Result.fromNullishOr(textOf(bytes), () => new NotUtf8()),
    encode: (text) => Result.fromNullishOr(bytesOf(text), () => new NotUtf8())
  })

/**
 * Values of a schema, in frames of what it encodes to.
 *
 * **Details**
 *
 * On JSON values (`Json`) that is any schema that encodes to JSON; on lines, or on `text`, it is
 * `Schema.fromJsonString` of one. The schema has to do without services and without asynchronous effects.
 *
 * **Example** (Typed messages, one on a line)
 *
 * ```ts import.meta.vitest
 * import { Schema } from "effect"
 * import { Codec, FrameError, Lines } from "effect-transport"
 *
 * const Reading = Schema.fromJsonString(Schema.Struct({ celsius: Schema.Number }))
 * const codec = Codec.schema(Lines.codec({ onBroken: "skip" }), Reading)
 *
 * const input = new TextEncoder().encode("{\"celsius\":21}\nnoise\n")
 * const show = (item: typeof Reading.Type | FrameError.Skipped) =>
 *   FrameError.isSkipped(item) ? `${item.bytes} bytes skipped` : item.celsius
 * Codec.decodeAll(codec, [input]).frames.map(show) // => [21, "6 bytes skipped"]
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const schema = <A, I, F extends OnBroken>(
  self: FramingCodec<unknown, I, F>,
  schema: Schema.Codec<A, I>
): FramingCodec<A, A, F> => {
  const decode = Schema.decodeUnknownResult(schema)
  const encode = Schema.encodeResult(schema)
  return transform(self, {
    decode: (frame) => Result.mapError(decode(frame), invalid),
    encode: (value: A) => Result.mapError(encode(value), invalid)
  })
}

const invalid = (cause: Schema.SchemaError): Invalid => new Invalid({ detail: cause.message, cause })
