import { assert, describe, it } from "@effect/vitest"
import * as Codec from "../../src/Codec.ts"
import { DecodeError, Skipped, TooLong } from "../../src/FrameError.ts"

/** Frames that only the end of input, or time, ends. */
const framing: Codec.Framing<Uint8Array, Uint8Array> = {
  bytesMax: 4,
  gapMs: 20,
  finder: () => ({
    find: (bytes, from, _searched, found) => found.more(bytes.length - from),
    end: (bytes, from, found) => found.frame(from, bytes.length, bytes.length),
    skip: (bytes, from, found) => found.more(bytes.length - from)
  }),
  take: Codec.copyOf,
  encode: () => undefined
}

const untilEnd = Codec.fromFraming(framing)
const inSkip = Codec.fromFraming(framing, { onBroken: "skip" })

describe("Framer", () => {
  it("lets a fork pass over as long as it would itself", () => {
    const decoder = inSkip.decoder()
    const frames: Array<Uint8Array | Skipped> = []
    decoder.decode(Uint8Array.of(1, 2, 3, 4, 5), frames, Infinity)
    assert.strictEqual(decoder.due!(1000, frames), 1020)
    const fork = decoder.fork!()
    assert.strictEqual(fork.due!(1001, frames), 1020)
    assert.deepStrictEqual(frames, [])
    assert.isUndefined(fork.due!(1020, frames))
    assert.deepStrictEqual(frames, [new Skipped({ offset: 0, bytes: 5, reason: new TooLong({ max: 4 }) })])
  })

  it("finds a frame too long at the end also where max stopped it from looking before", () => {
    const error = new DecodeError({ offset: 0, reason: new TooLong({ max: 4 }) })
    for (const max of [0, 1]) {
      const decoder = untilEnd.decoder()
      const frames: Array<Uint8Array> = []
      decoder.decode(Uint8Array.of(1, 2, 3, 4), frames, max)
      assert.deepStrictEqual(decoder.end(frames), error)
      assert.deepStrictEqual(frames, [])
    }
  })
})
