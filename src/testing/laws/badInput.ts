/**
 * Law 98: what is wrong is refused before anything happens.
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Transport from "../../Transport.ts"
import type { TransportError } from "../../TransportError.ts"
import {
  abandoned,
  type Bench,
  check,
  checkBytes,
  checkPattern,
  checkReadFails,
  failsWith,
  pattern,
  pulledBy,
  text
} from "../bench.ts"
import type { Law } from "../law.ts"

export const badInputLaws: ReadonlyArray<Law> = [
  {
    number: 98,
    title: "a wrong type or option is refused before any effect, and leaves the transport usable",
    test: Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair(abandoned)
      // A refused read must leave it, and what is written later must come behind nothing.
      const sending = yield* bench.start(b.write(pattern(1000, 0, 2)))
      yield* bench.arrived(a, 1000)

      for (const [name, wrong] of wrongChunks) {
        yield* checkWriteRefused(bench, `a write of ${name}`, a.write(wrong))
        yield* checkWriteRefused(bench, `a writeAll with a part that is ${name}`, a.writeAll([text("x"), wrong]))
        yield* checkWriteRefused(bench, `a writeWithin of ${name}`, Transport.writeWithin(a, wrong, "1 second"))
      }
      for (const [name, wrong] of [...wrongChunks, ["bytes", text("bytes are no parts")]] as const) {
        yield* checkWriteRefused(bench, `a writeAll of ${name}`, a.writeAll(wrong as never))
      }
      for (const wrong of wrongDurations) {
        const writing = Transport.writeWithin(a, text("x"), wrong)
        yield* failsWith(`a writeWithin ${wrong}`, bench.within(`a writeWithin ${wrong}`, writing), "InvalidOption")
      }
      for (const wrong of [0, ...wrongSizes]) {
        const what = `a read of ${String(wrong)} bytes`
        const pulled = yield* bench.within(what, pulledBy(Transport.read(a, wrong as number)))
        yield* checkReadFails(what, pulled, "InvalidOption")
      }
      for (const wrong of wrongSizes) {
        const exactly = Transport.readExactly(a, wrong as number)
        yield* failsWith(`a readExactly of ${wrong}`, bench.within("a readExactly", exactly), "InvalidOption")
        const untilEnd = Transport.readUntilEnd(a, { bytesMax: wrong as number })
        yield* failsWith(`a readUntilEnd of ${wrong}`, bench.within("a readUntilEnd", untilEnd), "InvalidOption")
      }

      yield* checkPattern("what lay there when reads were refused", yield* bench.read(a, 1000), 1000, 0, 2)
      yield* bench.ended("the peer's write", sending)
      const writing = yield* bench.start(a.write(pattern(1000)))
      yield* checkPattern("what was written after writes were refused", yield* bench.read(b, 1000), 1000)
      yield* bench.ended("the write", writing)

      yield* checkOptions(bench)
      yield* checkListener(bench)
    })
  }
]

const wrongChunks = [
  ["null", null],
  ["undefined", undefined],
  ["a number", 1],
  ["a string", "text"],
  ["an object", {}],
  ["an object like bytes", { length: 1, 0: 120 }],
  ["an ArrayBuffer", new ArrayBuffer(2)],
  ["a DataView", new DataView(new ArrayBuffer(2))],
  ["an array of 16-bit numbers", new Uint16Array(2)],
  ["an array of numbers", [1, 2]]
] as unknown as ReadonlyArray<readonly [name: string, chunk: Uint8Array]>

const wrongSizes: ReadonlyArray<unknown> = [-1, 1.5, NaN, Infinity, "3"]

const wrongDurations = [-1, "soon", "-1 second", true] as ReadonlyArray<number>

/** Nothing of it was sent, and the error says so. */
const checkWriteRefused = Effect.fnUntraced(function*(
  bench: Bench,
  what: string,
  writing: Effect.Effect<void, TransportError>
) {
  const error = yield* failsWith(what, bench.within(what, writing), "InvalidOption")
  yield* check(error.delivery !== "Unknown", `${what} was refused and does not know whether it was sent`)
})

const checkOptions = Effect.fnUntraced(function*(bench: Bench) {
  const wrongOptions: Array<{ readonly [K in keyof Transport.TransportOptions]: unknown }> = [
    ...wrongDurations.flatMap((wrong) => [{ closeTimeout: wrong }, { linger: { duration: wrong } }]),
    ...wrongSizes.map((wrong) => ({ linger: { bytesMax: wrong } })),
    { linger: 5 },
    { onPeerEnd: "maybe" },
    { onScopeExit: "close" }
  ]
  if (bench.subject.capabilities.buffers !== false) {
    wrongOptions.push(
      ...wrongSizes.flatMap((wrong) => [{ highWaterMark: wrong }, { lowWaterMark: wrong }, { readMark: wrong }]),
      { highWaterMark: 10, lowWaterMark: 11 }
    )
  }
  const before = yield* bench.held
  for (const wrong of wrongOptions) {
    const what = `an open with the options ${JSON.stringify(wrong)}`
    const opening = Effect.scoped(bench.pair(wrong as Transport.TransportOptions))
    yield* failsWith(what, bench.within(what, opening), "InvalidOption")
  }
  yield* bench.heldAtMost("the release of opens that were refused", before)
})

/** What a listener refuses costs it no connection. */
const checkListener = Effect.fnUntraced(function*(bench: Bench) {
  const subject = bench.subject.listener
  if (subject === undefined) return
  const scope = yield* Effect.scope
  const listener = yield* subject.listen(abandoned)
  const accepting = yield* bench.start(Scope.provide(listener.accept, scope))
  for (const wrong of [0, -1, 1.5, NaN, "3"]) {
    const serving = listener.serve(() => Effect.void, { connectionsMax: wrong as number })
    const what = `serving at most ${wrong} connections`
    yield* failsWith(what, bench.within(what, serving), "InvalidOption")
  }
  for (const wrong of wrongDurations) {
    const what = `serving with a drain of ${wrong}`
    yield* failsWith(what, bench.within(what, listener.serve(() => Effect.void, { drain: wrong })), "InvalidOption")
  }
  const wrong = { onPeerEnd: "maybe" } as unknown as Transport.TransportOptions
  const connecting = bench.within("connecting with a wrong option", Effect.scoped(subject.connect(listener, wrong)))
  yield* failsWith("connecting with a wrong option", connecting, "InvalidOption")
  yield* bench.stillWaits("an accept, though connecting was refused,", accepting)

  const client = yield* bench.opens("connecting", subject.connect(listener, abandoned))
  const writing = yield* bench.start(client.write(text("x")))
  const server = yield* bench.ended("accepting, after options were refused", accepting)
  yield* checkBytes("what a client said, after options were refused", yield* bench.read(server, 1), text("x"))
  yield* bench.ended("the client's write", writing)
})
