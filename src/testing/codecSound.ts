/**
 * Sound codecs whose parts can be replaced: what every specimen is made of.
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { type Codec, copyOf, type Decoder, type Framing, fromFraming } from "../Codec.ts"
import * as Delimited from "../codec/Delimited.ts"
import { type DecodeReason, EncodeError, TooLong } from "../FrameError.ts"
import type { AnySubject, BrokenInput, Settings, Subject } from "./codecLaw.ts"

export type BytesDecoder = Decoder<unknown, unknown>
export type BytesCodec = Codec<unknown, Uint8Array, unknown, unknown>

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

const newline = 10

/** Short runs of these bytes. */
const someOf = (letters: ReadonlyArray<number>): Arbitrary.Arbitrary<Uint8Array> =>
  Arbitrary.map(
    Arbitrary.array(Arbitrary.schema(Schema.Literals(letters)), { maxLength: 12 }),
    (some) => Uint8Array.from(some)
  )

const long = "123456789012345678901"

const skipped = (offset: number, bytes: number, reason: DecodeReason["_tag"]) => ({
  skipped: { offset, bytes, reason }
})

const samples: ReadonlyArray<BrokenInput<Uint8Array>> = [
  {
    name: "a frame that is too long",
    input: utf8(`ok\n${long}\nb\n`),
    fatal: { items: [{ frame: utf8("ok") }], error: { offset: 3, reason: "TooLong" } },
    skip: { items: [{ frame: utf8("ok") }, skipped(3, 22, "TooLong"), { frame: utf8("b") }] },
    resync: { items: [{ frame: utf8("ok") }, skipped(3, 22, "TooLong"), { frame: utf8("b") }] }
  },
  {
    name: "a frame that is cut short",
    input: utf8("a\nbc"),
    fatal: { items: [{ frame: utf8("a") }], error: { offset: 2, reason: "CutShort" } },
    skip: { items: [{ frame: utf8("a") }, skipped(2, 2, "CutShort")] },
    resync: { items: [{ frame: utf8("a") }, skipped(2, 2, "CutShort")] }
  }
]

/** Frames of bytes with a newline behind each. */
export const soundCodec = ({ bytesMax, onBroken }: Settings): BytesCodec => {
  const { decoder, encode } = Delimited.codec({ delimiter: "\n", frameBytesMax: bytesMax, onBroken })
  return { decoder, encode }
}

const soundSubject: Subject<Uint8Array> = {
  codec: ({ bytesMax, onBroken }) => Delimited.codec({ delimiter: "\n", frameBytesMax: bytesMax, onBroken }),
  modes: ["fatal", "skip"],
  frames: someOf([0, 1, 97, 98, 255]),
  nasty: someOf([newline, 0, 97]),
  refused: [utf8("\n"), utf8("a\nb")],
  limit: { bytes: 20, frame: (bytes) => new Uint8Array(bytes).fill(97), overhead: 1 },
  broken: samples
}

/** A subject whose codec is another, of the same frames. */
export const brokenSubject = (
  codec: (settings: Settings) => BytesCodec,
  replaced: Partial<Subject<Uint8Array>> = {}
): AnySubject =>
  ({
    ...soundSubject,
    ...replaced,
    codec
    // What the laws hand to it, they have from it.
  }) as unknown as AnySubject

/** The decoder, some of it replaced. */
export const overDecoder = (decoder: BytesDecoder, replaced: Partial<BytesDecoder>): BytesDecoder => ({
  aliases: decoder.aliases,
  decode: (bytes, out, max) => decoder.decode(bytes, out, max),
  end: (out) => decoder.end(out),
  rest: () => decoder.rest(),
  ...(decoder.mark === undefined ? {} : { mark: () => decoder.mark!() }),
  ...(decoder.due === undefined ? {} : { due: (nowMs, out) => decoder.due!(nowMs, out) }),
  ...replaced
})

/** A subject whose decoders are broken in one of their parts; `change` may keep state for the decoder that it is given. */
export const brokenDecoder = (
  change: (decoder: BytesDecoder, settings: Settings) => Partial<BytesDecoder>,
  replaced: Partial<Subject<Uint8Array>> = {}
): AnySubject =>
  brokenSubject((settings) => {
    const { decoder, encode } = soundCodec(settings)
    const over = (inner: BytesDecoder): BytesDecoder => overDecoder(inner, change(inner, settings))
    return { decoder: (mark) => over(decoder(mark)), encode }
  }, replaced)

/** Replaces what a decoder makes: `change` is given the items of one call, and its error, and answers with both. */
export const changing = (
  decoder: BytesDecoder,
  change: (
    items: ReadonlyArray<unknown>,
    error: unknown
  ) => { readonly items?: ReadonlyArray<unknown>; readonly error?: unknown }
): Partial<BytesDecoder> => {
  const call = (out: Array<unknown>, ask: (items: Array<unknown>) => unknown) => {
    const made: Array<unknown> = []
    const answer = ask(made)
    const { error = answer, items = made } = change(made, answer)
    out.push(...items)
    return error
  }
  return {
    decode: (bytes, out, max) => call(out, (items) => decoder.decode(bytes, items, max)),
    end: (out) => call(out, (items) => decoder.end(items))
  }
}

/** A subject whose encoder is another. */
export const brokenEncoder = (
  encode: (sound: BytesCodec, frame: Uint8Array, out: Array<Uint8Array>, settings: Settings) => unknown,
  replaced: Partial<Subject<Uint8Array>> = {}
): AnySubject =>
  brokenSubject((settings) => {
    const sound = soundCodec(settings)
    return { decoder: sound.decoder, encode: (frame, out) => encode(sound, frame, out, settings) }
  }, replaced)

/** Frames that are ended by time alone. */
const silence = ({ bytesMax = 64, onBroken }: Settings): BytesCodec => {
  const framing: Framing<Uint8Array, Uint8Array> = {
    bytesMax: bytesMax + 1,
    gapMs: 20,
    finder: () => ({
      find: (bytes, from, _searched, found) => found.more(bytes.length - from),
      end: (bytes, from, found) => found.frame(from, bytes.length, bytes.length),
      // What is too long ends as a frame does.
      skip: (bytes, from, found) => found.more(bytes.length - from)
    }),
    take: copyOf,
    encode: (frame, out) => {
      if (frame.length > bytesMax) return new EncodeError({ reason: new TooLong({ max: bytesMax }) })
      out.push(copyOf(frame))
      return undefined
    }
  }
  return fromFraming(framing, { onBroken })
}

/** A subject whose frames are ended by time alone, with decoders that are broken in one of their parts. */
export const brokenSilence = (change: (decoder: BytesDecoder) => Partial<BytesDecoder>): AnySubject =>
  brokenSubject((settings) => {
    const { decoder, encode } = silence(settings)
    return {
      decoder: (mark) => {
        const sound = decoder(mark)
        return overDecoder(sound, change(sound))
      },
      encode
    }
  }, {
    modes: ["fatal", "skip"],
    frames: Arbitrary.filter(someOf([0, 1, 97, 98, 255]), (frame) => frame.length > 0),
    nasty: undefined,
    refused: undefined,
    broken: undefined,
    tail: "frame"
  })

/** The subjects that nothing is wrong with. */
export const soundSubjects: Readonly<Record<string, AnySubject>> = {
  delimited: brokenDecoder(() => ({})),
  silence: brokenSilence(() => ({}))
}

/** The same reason for several laws. */
export const because = (reason: string, ...laws: ReadonlyArray<number>): Readonly<Record<number, string>> =>
  Object.fromEntries(laws.map((law) => [law, reason]))
