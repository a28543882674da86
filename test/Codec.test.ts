import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as Codec from "../src/Codec.ts"

/** One frame for each byte but 0, which is refused in both directions; 255 at the end is a frame cut short. */
const digits: Codec.Codec<number, number, "zero", "refused"> = {
  decoder: () => {
    let kept: Array<number> = []
    let cut = false
    return {
      aliases: false,
      decode: (bytes, out, max) => {
        kept = bytes === undefined ? kept : [...kept, ...bytes]
        const frames = kept.slice(0, max)
        kept = kept.slice(max)
        for (const frame of frames) {
          if (frame === 0) return "zero"
          cut = frame === 255
          if (!cut) out.push(frame)
        }
        return undefined
      },
      end: (out) => {
        if (cut) out.push(-1)
        return undefined
      },
      rest: () => Uint8Array.from(kept.splice(0))
    }
  },
  encode: (frame, out) => {
    if (frame === 0) return "refused"
    out.push(Uint8Array.of(frame))
    return undefined
  }
}

describe("Codec.decodeAll", () => {
  it("gives every frame, that of the end included", () => {
    const decoded = Codec.decodeAll(digits, [Uint8Array.of(1, 2), Uint8Array.of(), Uint8Array.of(3, 255)])
    assert.deepStrictEqual(decoded, { frames: [1, 2, 3, -1], error: undefined })
  })

  it("gives the frames before an error, and the error", () => {
    const decoded = Codec.decodeAll(digits, [Uint8Array.of(1, 2, 0, 3), Uint8Array.of(4)])
    assert.deepStrictEqual(decoded, { frames: [1, 2], error: "zero" })
  })
})

describe("Codec.encodeAll", () => {
  it("gives the bytes of all frames", () => {
    assert.deepStrictEqual(Codec.encodeAll(digits, [1, 2]), Result.succeed([Uint8Array.of(1), Uint8Array.of(2)]))
  })

  it("gives nothing if one frame is refused", () => {
    assert.deepStrictEqual(Codec.encodeAll(digits, [1, 0, 2]), Result.fail("refused" as const))
  })
})
