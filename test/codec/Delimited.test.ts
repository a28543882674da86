import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit } from "effect"
import { Codec, Connection, Delimited, FrameError, TestTransport } from "effect-transport"
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

describe("Delimited.chunkProtocol", () => {
  const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

  it.effect("hands over one chunk after the other, and ends with the input while writing goes on", () =>
    Effect.gen(function*() {
      const [here, there] = yield* TestTransport.pair()
      const log: Array<string> = []
      const gate = yield* Deferred.make<void>()
      const chunks = yield* Delimited.chunkProtocol(
        here,
        { delimiter: "--" },
        (chunk) =>
          Effect.sync(() => log.push(`begin ${textOf(chunk)}`)).pipe(
            Effect.andThen(Deferred.await(gate)),
            Effect.andThen(Effect.sync(() => log.push(`end ${textOf(chunk)}`)))
          )
      )
      yield* there.write(utf8("a--b--"))
      yield* there.halfClose
      yield* Effect.yieldNow
      assert.deepStrictEqual(log, ["begin a"])
      yield* Deferred.succeed(gate, undefined)
      yield* chunks.ended
      assert.deepStrictEqual(log, ["begin a", "end a", "begin b", "end b"])
      yield* chunks.writeChunk(utf8("late"))
      assert.strictEqual(textOf(yield* Connection.take(there)), "late--")
    }))

  it.effect("refuses a chunk that holds the delimiter, and sends nothing of it", () =>
    Effect.gen(function*() {
      const [here, there] = yield* TestTransport.pair()
      const chunks = yield* Delimited.chunkProtocol(here, { delimiter: "\n" }, () => Effect.void)
      const error = yield* Effect.flip(chunks.writeChunk(utf8("a\nb")))
      assert.strictEqual(error._tag === "EncodeError" ? error.reason._tag : error._tag, "ContainsDelimiter")
      yield* chunks.writeChunk(utf8("c"))
      assert.strictEqual(textOf(yield* Connection.take(there)), "c\n")
    }))

  it.effect("tells a failure of the callback by ended, and leaves what it was not given to the next reader", () =>
    Effect.gen(function*() {
      const [here, there] = yield* TestTransport.pair()
      yield* Effect.scoped(Effect.gen(function*() {
        const chunks = yield* Delimited.chunkProtocol(
          here,
          { delimiter: "\n" },
          (chunk) => Effect.fail(`refused ${textOf(chunk)}`)
        )
        yield* there.write(utf8("a\n"))
        assert.deepStrictEqual(yield* Effect.exit(chunks.ended), Exit.fail("refused a"))
      }))
      yield* there.write(utf8("b\n"))
      assert.strictEqual(textOf(yield* Connection.take(here)), "b\n")
    }))

  it.effect("calls back with broken frames where they are skipped", () =>
    Effect.gen(function*() {
      const [here, there] = yield* TestTransport.pair()
      const seen: Array<string> = []
      const chunks = yield* Delimited.chunkProtocol(here, {
        delimiter: "\n",
        frameBytesMax: 2,
        onBroken: "skip"
      }, (chunk) => Effect.sync(() => seen.push(FrameError.isSkipped(chunk) ? chunk.reason._tag : textOf(chunk))))
      yield* there.write(utf8("ab\nabc\nc\n"))
      yield* there.halfClose
      yield* chunks.ended
      assert.deepStrictEqual(seen, ["ab", "TooLong", "c"])
    }))
})
