/**
 * What a law of codecs is, what it is held against, and what is needed to show that a law notices.
 */
import type * as Arbitrary from "effect/Arbitrary"
import type { Codec, OnBroken } from "../Codec.ts"
import type { DecodeReason, Skipped } from "../FrameError.ts"
import type { CodecBench } from "./codecBench.ts"

/**
 * How a codec is to be made.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  /** What becomes of a frame that is broken or too long: one of the `modes` of the subject. */
  readonly onBroken: OnBroken
  /** The longest frame: that of the subject's `limit`, or, where a law needs longer ones, more; else undefined. */
  readonly bytesMax: number | undefined
}

/**
 * Input that was passed over, as `Skipped` says it: where it begins, how many bytes, and the tag of the reason.
 *
 * @category models
 * @since 0.1.0
 */
export interface PassedOver {
  readonly offset: number
  readonly bytes: number
  readonly reason: DecodeReason["_tag"]
}

/**
 * What is made of input that is not sound: items, and the error that ends them. An error without `offset` is compared by
 * its reason alone.
 *
 * @category models
 * @since 0.1.0
 */
export interface Outcome<out In> {
  readonly items: ReadonlyArray<{ readonly frame: In } | { readonly skipped: PassedOver }>
  readonly error?: { readonly offset: number; readonly reason: DecodeReason["_tag"] } | undefined
}

/**
 * Input in which a frame is broken or too long, and what is made of it in each of the modes. After the input comes its
 * end, unless `isOpen`.
 *
 * @category models
 * @since 0.1.0
 */
export interface BrokenInput<out In> {
  readonly name: string
  readonly input: Uint8Array
  /** Whether the input is looked at without an end behind it. Default false. */
  readonly isOpen?: boolean | undefined
  readonly fatal?: Outcome<In> | undefined
  readonly skip?: Outcome<In> | undefined
  readonly resync?: Outcome<In> | undefined
}

/**
 * The codec that is judged.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subject<in out In, in out Out = In> {
  /** Makes the codec. What it has no use for in the settings, it need not look at. */
  readonly codec: (settings: Settings) => Codec<In | Skipped, Out, unknown, unknown>
  /** Every law is held against the codec in each of these modes. Default: `"fatal"` alone. */
  readonly modes?: readonly [OnBroken, ...Array<OnBroken>] | undefined
  /** Frames that can all be written. A law looks at the shortest of them most closely, and they should have every shape. */
  readonly frames: Arbitrary.Arbitrary<Out>
  /** Frames of which some cannot be written: those with delimiters in them, half a surrogate pair, what no JSON says. */
  readonly nasty?: Arbitrary.Arbitrary<Out> | undefined
  /** Frames that have to be refused. */
  readonly refused?: ReadonlyArray<Out> | undefined
  /** What a frame that was written is read as. Default: itself. */
  readonly readAs?: ((frame: Out) => In) | undefined
  /** Whether two frames are the same. By default they are compared by what they are made of; bytes are, one by one. */
  readonly isSame?: ((one: In, other: In) => boolean) | undefined
  /** Where frames have a limit. */
  readonly limit?: Limit<Out> | undefined
  /** What is not sound, and what is made of it: with the limit of the subject. */
  readonly broken?: ReadonlyArray<BrokenInput<In>> | undefined
  /**
   * What becomes of input that ends inside a frame. `"error"`, the default: that is an error, or, where it is skipped, what
   * is passed over. `"frame"`: a last frame, or an error.
   */
  readonly tail?: "error" | "frame" | undefined
  /** Whether these bytes, behind a frame, stand for nothing: marks that may be repeated. By default no bytes do. */
  readonly isIdle?: ((bytes: Uint8Array) => boolean) | undefined
  /** Whether errors say where in the input the frame at fault begins, by `offset`. Default true. */
  readonly hasOffsets?: boolean | undefined
}

/**
 * How long frames may be.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limit<out Out> {
  /** The longest frame that the subject's codec is made with: small, so that much can be tried. */
  readonly bytes: number
  /** A frame of this many bytes, as the limit counts them, that can be written where the limit allows for it. */
  readonly frame: (bytes: number) => Out
  /** The most that a frame takes in addition: header, delimiter, escapes. Default 16. */
  readonly overhead?: number | undefined
}

/**
 * What a law needs of its subject: that it has a limit, has input that is broken, has frames to be refused, that its errors
 * say where, that it can end with an error or go on behind one, that time ends its frames, that it does not share memory
 * with its input.
 *
 * @category models
 * @since 0.1.0
 */
export type Need = "limit" | "broken" | "refusals" | "offsets" | "fatal" | "skipping" | "time" | "copies"

/** Whether the subject has what a law needs. */
export const has = (subject: AnySubject, need: Need): boolean => {
  switch (need) {
    case "limit":
    case "broken":
      return subject[need] !== undefined
    case "refusals":
      return subject.nasty !== undefined || subject.refused !== undefined
    case "offsets":
      return subject.hasOffsets !== false
    case "fatal":
      return modesOf(subject).includes("fatal")
    case "skipping":
      return modesOf(subject).some((mode) => mode !== "fatal")
    case "time":
      return decoderOf(subject).due !== undefined
    case "copies":
      return !decoderOf(subject).aliases
  }
}

/** Whether a law that needs this looks at a codec in that mode. */
export const isFor = (needs: ReadonlyArray<Need>, mode: OnBroken): boolean =>
  !needs.includes(mode === "fatal" ? "skipping" : "fatal")

/** The modes of a subject. */
export const modesOf = (subject: AnySubject): readonly [OnBroken, ...Array<OnBroken>] => subject.modes ?? ["fatal"]

const decoderOf = (subject: AnySubject) =>
  subject.codec({ onBroken: modesOf(subject)[0], bytesMax: subject.limit?.bytes }).decoder()

/** A subject whose frames a law knows nothing of. */
export type AnySubject = Subject<unknown, unknown>

/**
 * A law with its test.
 *
 * @category models
 * @since 0.1.0
 */
export interface CodecLaw {
  readonly number: number
  readonly title: string
  readonly needs?: ReadonlyArray<Need> | undefined
  /** Where the test counts lower than the title: what, and why. */
  readonly lowered?: string | undefined
  /** Throws `LawBroken`. */
  readonly test: (bench: CodecBench) => void
}

/**
 * A codec that is broken on purpose, so that one law has something to catch.
 *
 * @category models
 * @since 0.1.0
 */
export interface CodecSpecimen {
  /** The law that catches it. */
  readonly law: number
  /** What it does wrong. */
  readonly fault: string
  /** The other laws that it cannot help breaking, each with the reason. */
  readonly alsoBreaks?: Readonly<Record<number, string>> | undefined
  readonly subject: AnySubject
}
