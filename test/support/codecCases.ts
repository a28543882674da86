/**
 * Cases of codecs: every input is read in every way in which it can arrive. What comes out may not depend on it.
 */
import { assert } from "@effect/vitest"
import type * as Codec from "../../src/Codec.ts"
import * as FrameError from "../../src/FrameError.ts"

type AnyCodec<In> = Codec.Codec<In, never, unknown, unknown>

/** The codec that is judged, or what makes it. */
type Judged<In> = AnyCodec<In> | (() => AnyCodec<In>)

/** What a case leads to: frames, and what goes wrong after them, as an error or by where and why. */
export interface Outcome<In> {
  readonly frames: ReadonlyArray<In>
  readonly error?: unknown
}

const errorOf = (error: unknown): unknown =>
  Array.isArray(error) ? new FrameError.DecodeError({ offset: error[0], reason: error[1] }) : error

/** Frames of text, as bytes. */
export const frames = (...texts: ReadonlyArray<string>): Outcome<Uint8Array> => ({ frames: texts.map(utf8) })

/** Text, or numbers, as bytes; several of them joined. */
export const bytesOf = (...parts: ReadonlyArray<string | ReadonlyArray<number> | Uint8Array>): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => typeof part === "string" ? [...utf8(part)] : [...part]))

export const hex = (digits: string): Uint8Array => Uint8Array.from(Buffer.from(digits.replaceAll(/\s/g, ""), "hex"))

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

export const join = (...pieces: ReadonlyArray<Uint8Array>): Uint8Array => Uint8Array.from(Buffer.concat(pieces))

export const bytewise = (bytes: Uint8Array): Array<Uint8Array> => Array.from(bytes, (byte) => Uint8Array.of(byte))

export const cutAt = (bytes: Uint8Array, ...cuts: ReadonlyArray<number>): Array<Uint8Array> =>
  [...cuts, bytes.length].map((cut, i) => bytes.subarray(i === 0 ? 0 : cuts[i - 1], cut))

/** A sequence of bytes that is the same each time. */
export const noise = (length: number, seed = 1): Uint8Array => {
  let state = seed
  return Uint8Array.from({ length }, () => {
    state = Math.imul(state, 1_664_525) + 1_013_904_223 >>> 0
    return state >>> 24
  })
}

/** A chunk is handed out in memory that is overwritten after the call: what a decoder keeps, it has to copy. */
const lend = <A>(chunk: Uint8Array, f: (chunk: Uint8Array) => A): A => {
  const lent = chunk.slice()
  const result = f(lent)
  lent.fill(0x58)
  return result
}

/** Reads as a connection does: at most `max` frames for each call, until a call gives fewer. */
const run = <In>(codec: AnyCodec<In>, chunks: ReadonlyArray<Uint8Array>, max: number, gives: boolean): Outcome<In> => {
  let decoder = codec.decoder()
  const frames: Array<In> = []
  for (const chunk of chunks) {
    for (let bytes: Uint8Array | undefined = chunk;;) {
      const before = frames.length
      const error = bytes === undefined
        ? decoder.decode(bytes, frames, max)
        : lend(bytes, (lent) => decoder.decode(lent, frames, max))
      if (frames.length - before > max) assert.fail(`${frames.length - before} frames where ${max} were asked for`)
      if (error !== undefined) {
        const count = frames.length
        assert.strictEqual(decoder.decode(Uint8Array.of(1, 2, 3), frames, max), error)
        assert.strictEqual(decoder.end(frames), error)
        assert.lengthOf(frames, count)
        return { frames, error }
      }
      if (frames.length - before < max) break
      bytes = undefined
    }
    // To take back what the decoder keeps, and to hand it to the one that stands in its place, changes nothing.
    if (gives) {
      const next = codec.decoder(decoder.mark?.())
      const rest = decoder.rest()
      if (decoder.rest().length > 0) assert.fail("the rest was given up, and there is more")
      decoder = next
      const before = frames.length
      const error = lend(rest, (lent) => decoder.decode(lent, frames, 0))
      if (error !== undefined || frames.length > before) assert.fail("it decoded what it was not asked for")
    }
  }
  const error = decoder.end(frames)
  if (error === undefined && decoder.rest().length > 0) assert.fail("it ended, and there is a rest")
  return { frames, error }
}

/** The short way; where it says no, it is not decided. */
const isEqual = (actual: unknown, expected: unknown): boolean => {
  if (actual instanceof Uint8Array && expected instanceof Uint8Array) return Buffer.compare(actual, expected) === 0
  if (!(actual instanceof FrameError.Skipped && expected instanceof FrameError.Skipped)) return actual === expected
  const { bytes, offset, reason } = actual
  return bytes === expected.bytes && offset === expected.offset && reason._tag === expected.reason._tag
    && reason.message === expected.reason.message
}

const isEqualError = (actual: unknown, expected: unknown): boolean =>
  actual === expected || actual instanceof FrameError.DecodeError && expected instanceof FrameError.DecodeError
    && actual.reason._tag === expected.reason._tag && actual.message === expected.message

/** The input gives these frames and this error: whole, byte by byte, cut at each offset, some frames at a time. */
export const reads = <In>(judged: Judged<In>, input: Uint8Array, expected: Outcome<In>): void => {
  const codec = typeof judged === "function" ? judged() : judged
  const outcome: Outcome<In> = { frames: expected.frames, error: errorOf(expected.error) }
  const check = (chunks: ReadonlyArray<Uint8Array>, max: number) => {
    for (const gives of [false, true]) {
      const actual = run(codec, chunks, max, gives)
      const { frames } = actual
      const isSame = frames.length === outcome.frames.length &&
        frames.every((frame, i) => isEqual(frame, outcome.frames[i]))
      // The long way, where there is something to show.
      if (!isSame || !isEqualError(actual.error, outcome.error)) assert.deepStrictEqual(actual, outcome)
    }
  }
  const step = Math.max(1, Math.floor(input.length / 60))
  for (const max of [Infinity, 1, 2]) {
    check([input], max)
    check(bytewise(input), max)
    for (let cut = 0; cut <= input.length; cut += step) check(cutAt(input, cut), max)
  }
}

/** The same, also with more input behind it, which gives frames of its own. */
export const readsAndGoesOn = <In>(
  codec: Judged<In>,
  input: Uint8Array,
  frames: ReadonlyArray<In>,
  more: { readonly input: Uint8Array; readonly frames: ReadonlyArray<In> }
): void => {
  reads(codec, input, { frames })
  reads(codec, join(input, more.input), { frames: [...frames, ...more.frames] })
}

/** The bytes of one frame, in one piece. */
export const encoded = <Out>(codec: Codec.Codec<unknown, Out, unknown, unknown>, frame: Out): Uint8Array => {
  const out: Array<Uint8Array> = []
  assert.isUndefined(codec.encode(frame, out))
  return join(...out)
}

/** Refuses the frame, and writes nothing. */
export const refuses = <Out>(codec: Codec.Codec<unknown, Out, unknown, unknown>, frame: Out, error: unknown): void => {
  const out: Array<Uint8Array> = []
  assert.deepStrictEqual(codec.encode(frame, out), error)
  assert.lengthOf(out, 0)
}

/** How many bytes are searched, copied or moved by calls of typed arrays while `f` runs. */
export const touched = (f: () => void): number => {
  const prototype = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array
  const { copyWithin, indexOf, set } = prototype
  let bytes = 0
  prototype.indexOf = function(this: Uint8Array, value, from = 0) {
    const found = indexOf.call(this, value, from)
    bytes += (found < 0 ? this.length : found + 1) - from
    return found
  }
  prototype.copyWithin = function(this: Uint8Array, target, start, end = this.length) {
    bytes += end - start
    return copyWithin.call(this, target, start, end) as never
  }
  prototype.set = function(this: Uint8Array, source, offset) {
    bytes += source.length
    set.call(this, source, offset)
  }
  try {
    f()
  } finally {
    Object.assign(prototype, { copyWithin, indexOf, set })
  }
  return bytes
}

/** The rule of stuffed frames itself, without regard to speed or to how the bytes arrive. */
export const stuffedModel = (
  input: Uint8Array,
  options: {
    readonly mark: number
    readonly max: number
    readonly stuffedMax: number
    readonly expected: string
    readonly onBroken: "fatal" | "skip" | "resync"
    readonly unstuff: (bytes: ReadonlyArray<number>) => ReadonlyArray<number> | undefined
  }
): Outcome<Uint8Array | FrameError.Skipped> => {
  const { max } = options
  const frames: Array<Uint8Array | FrameError.Skipped> = []
  for (let offset = 0; offset < input.length;) {
    const mark = input.indexOf(options.mark, offset)
    const content = [...input.subarray(offset, mark < 0 ? input.length : mark)]
    const next = offset + content.length + 1
    const frame = content.length > options.stuffedMax || mark < 0 ? undefined : options.unstuff(content)
    if (content.length > 0) {
      if (frame !== undefined && frame.length <= max) frames.push(Uint8Array.from(frame))
      else {
        const reason = content.length > options.stuffedMax || frame !== undefined
          ? new FrameError.TooLong({ max })
          : mark < 0
          ? new FrameError.CutShort({ bytes: content.length })
          : new FrameError.Malformed({ expected: options.expected })
        if (options.onBroken === "fatal") return { frames, error: new FrameError.DecodeError({ offset, reason }) }
        frames.push(new FrameError.Skipped({ offset, bytes: Math.min(next, input.length) - offset, reason }))
      }
    }
    offset = next
  }
  return { frames }
}
