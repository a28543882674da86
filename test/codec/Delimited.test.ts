import { assert, describe, it } from "@effect/vitest"
import { Codec, Delimited } from "effect-transport"
import { workOf } from "../../src/testing/work.ts"

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

describe("Delimited.codec", () => {
  it("searches no byte behind a frame, though a delimiter is nowhere in the input", () => {
    const input = utf8("frame,".repeat(2000))
    const codec = Delimited.codec({ delimiter: [",", ";", "--"] })
    const work = workOf(() => assert.lengthOf(Codec.decodeAll(codec, [input]).frames, 2000))
    assert.isAtMost(work, 4 * input.length)
  })
})
