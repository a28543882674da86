/**
 * What can be wrong with a frame: errors of decoders, which name the place in the input, errors of encoders, and the item
 * that stands for what a decoder passed over.
 *
 * The `reason` is a small class for each situation, and the list is closed.
 */
import * as Data from "effect/Data"

// ---------------------------------------------------------------------------------------------------------------------
// Reasons
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The frame is longer than the limit. Found at the limit, or where the frame says how long it is: its end may never come.
 *
 * @category reasons
 * @since 0.1.0
 */
export class TooLong extends Data.TaggedError("TooLong")<{
  /** The limit, in bytes. */
  readonly max: number
}> {
  override get message(): string {
    return `longer than ${this.max} bytes`
  }
}

/**
 * The input ended inside a frame, `bytes` bytes into it.
 *
 * @category reasons
 * @since 0.1.0
 */
export class CutShort extends Data.TaggedError("CutShort")<{ readonly bytes: number }> {
  override get message(): string {
    return `cut short after ${this.bytes} bytes`
  }
}

/**
 * The bytes are no frame of this kind: `expected` says what should have stood there.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Malformed extends Data.TaggedError("Malformed")<{ readonly expected: string }> {
  override get message(): string {
    return `malformed: ${this.expected} expected`
  }
}

/**
 * The checksum is not that of the bytes.
 *
 * @category reasons
 * @since 0.1.0
 */
export class ChecksumMismatch extends Data.TaggedError("ChecksumMismatch")<{
  /** Of the bytes that came. */
  readonly computed: number
  /** What came with them. */
  readonly received: number
}> {
  override get message(): string {
    return `the checksum is 0x${this.received.toString(16)}, and 0x${this.computed.toString(16)} would be right`
  }
}

/**
 * Text that is not UTF-8, or, where it is written, that has half of a surrogate pair, which UTF-8 cannot say.
 *
 * @category reasons
 * @since 0.1.0
 */
export class NotUtf8 extends Data.TaggedError("NotUtf8")<{}> {
  override get message(): string {
    return "not UTF-8"
  }
}

/**
 * The frame is whole, and its content is not what it should be: JSON that does not parse, a value that its schema
 * refuses.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Invalid extends Data.TaggedError("Invalid")<{ readonly detail: string; readonly cause?: unknown }> {
  override get message(): string {
    return this.detail
  }
}

/**
 * The frame contains what ends a frame, so that the peer would read two, or another one.
 *
 * @category reasons
 * @since 0.1.0
 */
export class ContainsDelimiter extends Data.TaggedError("ContainsDelimiter")<{}> {
  override get message(): string {
    return "it contains a delimiter"
  }
}

/**
 * The frame has not the one length that all frames have here.
 *
 * @category reasons
 * @since 0.1.0
 */
export class WrongLength extends Data.TaggedError("WrongLength")<{
  readonly expected: number
  readonly actual: number
}> {
  override get message(): string {
    return `${this.actual} bytes where ${this.expected} are due`
  }
}

/**
 * Why a frame could not be read.
 *
 * @category reasons
 * @since 0.1.0
 */
export type DecodeReason = TooLong | CutShort | Malformed | ChecksumMismatch | NotUtf8 | Invalid

/**
 * Why a frame cannot be written.
 *
 * @category reasons
 * @since 0.1.0
 */
export type EncodeReason = TooLong | WrongLength | ContainsDelimiter | Malformed | NotUtf8 | Invalid

// ---------------------------------------------------------------------------------------------------------------------
// Errors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Reading ends at this frame: what comes from `offset` on is no frame of this codec.
 *
 * @category errors
 * @since 0.1.0
 */
export class DecodeError extends Data.TaggedError("DecodeError")<{
  /** Where the frame begins: how many bytes of input came before it. */
  readonly offset: number
  readonly reason: DecodeReason
}> {
  override get message(): string {
    return `the frame at byte ${this.offset}: ${this.reason.message}`
  }
}

/**
 * The frame cannot be written: the peer would not read it as it is. Nothing was sent.
 *
 * @category errors
 * @since 0.1.0
 */
export class EncodeError extends Data.TaggedError("EncodeError")<{ readonly reason: EncodeReason }> {
  override get message(): string {
    return `the frame cannot be written: ${this.reason.message}`
  }
}

/**
 * Input that was passed over, in place of the frame that it should have been: an item among the frames.
 *
 * @category models
 * @since 0.1.0
 */
export class Skipped extends Data.TaggedClass("Skipped")<{
  /** Where it begins: how many bytes of input came before it. */
  readonly offset: number
  /** How many bytes were passed over. */
  readonly bytes: number
  /** What was wrong with the frame that begins there. */
  readonly reason: DecodeReason
}> {}

/**
 * Whether an item is input that was passed over.
 *
 * @category guards
 * @since 0.1.0
 */
export const isSkipped = (item: unknown): item is Skipped => item instanceof Skipped
