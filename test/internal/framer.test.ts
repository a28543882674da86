import { assert, describe, it } from "@effect/vitest"
import * as Codec from "../../src/Codec.ts"
import { DecodeError, TooLong } from "../../src/FrameError.ts"

/** Frames that only the end of input, or time, ends. */
const untilEnd = Codec.fromFraming<Uint8Array, Uint8Array>({
  bytesMax: 4,
  finder: () => ({
    find: (bytes, from, _searched, found) => found.more(bytes.length - from),
    end: (bytes, from, found) => found.frame(from, bytes.length, bytes.length)
  }),
  take: Codec.copyOf,
  encode: () => undefined
})

describe("Framer", () => {
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
