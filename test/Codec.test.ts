import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as Codec from "../src/Codec.ts"
import * as FrameError from "../src/FrameError.ts"
import { InvalidOption } from "../src/TransportError.ts"
import { reads, utf8 } from "./support/codecCases.ts"

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

describe("Codec.fromFraming", () => {
  /** Digits up to a full stop; blanks between frames are blanks. */
  let asked = 0
  const words = (onBroken: "fatal" | "skip" | "resync", bytesMax = 8) =>
    Codec.fromFraming<Uint8Array, Uint8Array, { onBroken: Codec.OnBroken }>({
      bytesMax,
      finder: () => ({
        find: (bytes, from, searched, found) => {
          let at = from
          while (bytes[at] === 0x20) at++
          if (at > from) return found.blank(at)
          const end = bytes.indexOf(0x2e, from + searched)
          if (end < 0) return found.more(bytes.length - from)
          for (let at = from; at < end; at++) {
            if (bytes[at]! > 0x39) return found.broken(() => new FrameError.Invalid({ detail: `asked ${++asked}` }))
          }
          found.frame(from, end, end + 1)
        }
      }),
      take: Codec.copyOf,
      encode: (frame, out) => void out.push(frame)
    }, { onBroken })

  const read = (codec: Codec.FramingCodec<Uint8Array, Uint8Array, Codec.OnBroken>, text: string) => {
    asked = 0
    const { error, frames } = Codec.decodeAll(codec, [utf8(text)])
    return { error, frames: frames.map((item) => FrameError.isSkipped(item) ? item : new TextDecoder().decode(item)) }
  }

  it("drops blanks between frames, however much there is", () => {
    for (const onBroken of ["fatal", "skip", "resync"] as const) {
      const bytes = utf8(`${" ".repeat(20)}1.${" ".repeat(20)}2.3.   `)
      const frames = [utf8("1"), utf8("2"), utf8("3")]
      reads(words(onBroken), bytes, { frames })
      const decoder = words(onBroken).decoder()
      decoder.decode(bytes.subarray(0, 10), [], 9)
      assert.lengthOf(decoder.rest(), 0)
    }
  })

  it("counts blanks for where a frame at fault begins", () => {
    const reason = new FrameError.TooLong({ max: 8 })
    reads(words("fatal"), utf8("  1.  123456789"), {
      frames: [utf8("1")],
      error: new FrameError.DecodeError({ offset: 6, reason })
    })
    assert.deepStrictEqual(read(words("skip", 20), " 1. xx 2.3.").frames, [
      "1",
      new FrameError.Skipped({ offset: 4, bytes: 3, reason: new FrameError.Invalid({ detail: "asked 1" }) }),
      "2",
      "3"
    ])
  })

  it("asks why a frame is none only where it is told", () => {
    read(words("resync", 20), "1.xxxxxx2.xx3.")
    assert.strictEqual(asked, 2)
  })

  it("throws for a gap that is none", () => {
    const { framing } = words("fatal")
    for (const gapMs of [0, -1, NaN, Infinity]) {
      assert.throws(() => Codec.fromFraming({ ...framing, gapMs }), InvalidOption, "gapMs must be")
    }
  })
})
