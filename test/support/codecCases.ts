/** One case of a codec, in every way in which its bytes can arrive. */
import { isDeepStrictEqual } from "node:util"
import { assert } from "vitest"
import type { Codec, Decoder } from "../../src/Codec.ts"
import type { DecodeReason } from "../../src/FrameError.ts"
import { DecodeError } from "../../src/FrameError.ts"

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Text, or numbers, as bytes; several of them joined. */
export const bytesOf = (...parts: ReadonlyArray<string | ReadonlyArray<number> | Uint8Array>): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => typeof part === "string" ? [...utf8(part)] : [...part]))

export const cutAt = (bytes: Uint8Array, ...cuts: ReadonlyArray<number>): ReadonlyArray<Uint8Array> =>
  [...cuts, bytes.length].map((cut, i) => bytes.subarray(i === 0 ? 0 : cuts[i - 1], cut))

export const bytewise = (bytes: Uint8Array): ReadonlyArray<Uint8Array> =>
  Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))

/** What a case leads to: frames, and where and why it goes wrong after them. */
export interface Outcome<In> {
  readonly frames: ReadonlyArray<In>
  readonly error?: readonly [offset: number, reason: DecodeReason] | undefined
}

type Reader<In> = () => Codec<In, never, DecodeError, unknown>

/** Frames of text, as bytes. */
export const frames = (...texts: ReadonlyArray<string>): Outcome<Uint8Array> => ({ frames: texts.map(utf8) })

/** Hands a chunk out in memory that is overwritten after the call: what a decoder keeps, it has to copy. */
const lend = <A>(chunk: Uint8Array, f: (chunk: Uint8Array) => A): A => {
  const lent = chunk.slice()
  const result = f(lent)
  lent.fill(0x58)
  return result
}

/** Reads as a connection does: at most `max` frames for each call, until a call gives fewer. */
const run = <In>(codec: ReturnType<Reader<In>>, chunks: ReadonlyArray<Uint8Array>, max: number, moves: boolean) => {
  let decoder: Decoder<In, DecodeError> = codec.decoder()
  const frames: Array<In> = []
  let error: DecodeError | undefined
  for (const chunk of chunks) {
    let before = frames.length
    error = lend(chunk, (lent) => decoder.decode(lent, frames, max))
    while (error === undefined && frames.length - before === max) {
      before = frames.length
      error = decoder.decode(undefined, frames, max)
    }
    assert.isAtMost(frames.length - before, max)
    if (error !== undefined) break
    if (moves) {
      const rest = decoder.rest()
      assert.strictEqual(decoder.rest().length, 0)
      decoder = codec.decoder(decoder.mark?.())
      error = lend(rest, (lent) => decoder.decode(lent, frames, 0))
    }
  }
  const seen = frames.length
  if (error === undefined) error = decoder.end(frames)
  if (error === undefined) assert.strictEqual(decoder.rest().length, 0)
  else {
    const after = frames.length
    assert.strictEqual(decoder.decode(utf8("more"), frames, Infinity), error)
    assert.strictEqual(decoder.end(frames), error)
    assert.isAtLeast(after, seen)
    assert.strictEqual(frames.length, after)
  }
  return { frames, error }
}

/** How many frames are asked for at once, and whether another decoder goes on after each chunk. */
const ways = [[1, false], [2, true], [Infinity, false], [Infinity, true], [1, true]] as const

/** The case whole and bytewise, in all ways, and cut at each offset, in two of them. */
export const reads = <In>(make: Reader<In>, input: Uint8Array, expected: Outcome<In>): void => {
  const { error, frames } = expected
  const outcome = {
    frames,
    error: error === undefined ? undefined : new DecodeError({ offset: error[0], reason: error[1] })
  }
  const codec = make()
  const check = (chunks: ReadonlyArray<Uint8Array>, max: number, moves: boolean) => {
    const actual = run(codec, chunks, max, moves)
    // Many times faster than the assertion, which says what differs.
    if (isDeepStrictEqual(actual, outcome)) return
    const way = `cut ${chunks.map(({ length }) => length)}, max ${max}, moves ${moves}`
    assert.deepStrictEqual(actual, outcome, way)
    assert.fail(`it differs: ${way}`)
  }
  for (const [max, moves] of ways) {
    check([input], max, moves)
    check(bytewise(input), max, moves)
  }
  for (let cut = 0; cut <= input.length; cut++) {
    check(cutAt(input, cut), 1, true)
    check(cutAt(input, cut), Infinity, false)
  }
}

/** The same with another case behind it. */
export const readsAndGoesOn = <In>(
  make: Reader<In>,
  input: Uint8Array,
  frames: ReadonlyArray<In>,
  after: { readonly input: Uint8Array; readonly frames: ReadonlyArray<In> }
): void => {
  reads(make, input, { frames })
  reads(make, bytesOf(input, after.input), { frames: [...frames, ...after.frames] })
}
