/**
 * The pure, synchronous translation between frames and bytes.
 *
 * A codec does no IO: it is tested with arrays, and `Protocol.fromCodec` runs it over a live connection. Chunk borders
 * mean nothing: however the same bytes are cut, a decoder makes the same frames of them, and the same error.
 */
import * as Result from "effect/Result"

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
}

/**
 * Both directions: a decoder for each connection, and the encoder.
 *
 * @category models
 * @since 0.1.0
 */
export interface Codec<out In, in Out, out DE, out EE> {
  readonly decoder: () => Decoder<In, DE>
  /**
   * Appends bytes to `out`, or refuses the frame and appends none. It refuses what its own decoder would not give back as
   * it was. The bytes belong to the caller.
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
