import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, References, Scope } from "effect"
import { Connection, Network, TestTransport, Transport, TransportError, WebStreams } from "effect-transport"
import { NodeTransport } from "effect-transport/node"
import { createHash } from "node:crypto"
import * as Net from "node:net"
import { Duplex } from "node:stream"
import { gunzipSync } from "node:zlib"

const text = (string: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(string)
const string = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes)
const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

/** Bytes in which no two places look the same for long. */
const pattern = (length: number): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(length)
  for (let i = 0, x = 1; i < length; i++) {
    x = Math.imul(x, 1_664_525) + 1_013_904_223 | 0
    bytes[i] = x >>> 24
  }
  return bytes
}

const promised = <A>(run: () => Promise<A>): Effect.Effect<A> => Effect.promise(run)
const never = new Promise<never>(() => {})
/** What a promise rejects with. */
const rejected = (run: () => Promise<unknown>): Effect.Effect<unknown> =>
  Effect.promise(() => run().then(() => "no rejection", (cause: unknown) => cause))
const tagOf = (error: unknown): string => (error as TransportError.TransportError).reason._tag

/** A scope that ends with output lost says so, and here it is lost on purpose. */
const quietly = Effect.provideService(References.MinimumLogLevel, "None")

/** Long enough for whatever goes on by promises alone. */
const turns = Effect.forEach(Array.from({ length: 50 }), () => Effect.yieldNow, { discard: true })

const pairOfStreams = Effect.gen(function*() {
  const [client, server] = yield* TestTransport.pair()
  return { client, server, streams: yield* WebStreams.toWebStreams(server) }
})

describe("WebStreams.toWebStreams", () => {
  it.effect("is open from the beginning, and closed when both directions have ended", () =>
    Effect.gen(function*() {
      const { client, streams } = yield* pairOfStreams
      assert.deepStrictEqual(yield* promised(() => streams.opened), {})
      yield* client.halfClose
      assert.strictEqual(yield* promised(() => new Response(streams.readable).text()), "")
      yield* promised(() => streams.writable.close())
      assert.strictEqual((yield* Transport.readUntilEnd(client)).length, 0)
      yield* promised(() => streams.closed)
    }))

  it.effect("fails with Busy where somebody reads", () =>
    Effect.gen(function*() {
      const { server } = yield* pairOfStreams
      const error = yield* Effect.flip(WebStreams.toWebStreams(server))
      assert.strictEqual(error.reason._tag, "Busy")
    }))

  it.effect("fills the buffers of a reader that brings its own, and loses nothing between them", () =>
    Effect.gen(function*() {
      const { client, streams } = yield* pairOfStreams
      const reader = streams.readable.getReader({ mode: "byob" })
      yield* client.write(text("hello world"))
      yield* client.halfClose
      const read = (bytes: number) => promised(() => reader.read(new Uint8Array(bytes)))
      assert.strictEqual(string((yield* read(4)).value), "hell")
      assert.strictEqual(string((yield* read(4)).value), "o wo")
      assert.strictEqual(string((yield* read(4)).value), "rld")
      const end = yield* read(4)
      assert.isTrue(end.done)
      assert.strictEqual(end.value?.length, 0)
    }))

  it.effect("reads nothing before somebody reads the stream", () =>
    Effect.gen(function*() {
      const { client, server, streams } = yield* pairOfStreams
      yield* client.write(pattern(10_000))
      yield* Effect.yieldNow
      assert.strictEqual((yield* server.buffered).reading, 10_000)
      const reader = streams.readable.getReader()
      yield* promised(() => reader.read())
      assert.strictEqual((yield* server.buffered).reading, 0)
    }))

  it.effect("holds a writer back while the peer does not read", () =>
    Effect.gen(function*() {
      const { client, streams } = yield* pairOfStreams
      const writer = streams.writable.getWriter()
      let taken = 0
      const writing = yield* Effect.forkScoped(Effect.forever(
        Effect.andThen(
          promised(() => writer.write(new Uint8Array(10_000))),
          Effect.sync(() => {
            taken += 10_000
          })
        )
      ))
      for (let turn = 0; turn < 200; turn++) yield* Effect.yieldNow
      assert.isAtMost(taken, 140_000)
      assert.strictEqual(writer.desiredSize, 0)
      const before = taken
      yield* Transport.readExactly(client, 100_000)
      for (let turn = 0; turn < 200; turn++) yield* Effect.yieldNow
      assert.isAbove(taken, before)
      yield* Fiber.interrupt(writing)
      yield* promised(() => writer.abort())
    }))

  it.effect("aborts with the reason of writable.abort, also while a write waits", () =>
    Effect.gen(function*() {
      const { client, server, streams } = yield* pairOfStreams
      const writer = streams.writable.getWriter()
      const writing = yield* Effect.forkChild(rejected(() => writer.write(new Uint8Array(1_000_000))))
      yield* Effect.yieldNow
      const why = new Error("enough")
      yield* promised(() => writer.abort(why))
      assert.strictEqual(tagOf(yield* Fiber.join(writing)), "Closed")
      assert.strictEqual(tagOf(yield* Effect.flip(server.closed)), "Closed")
      assert.strictEqual(tagOf(yield* Effect.flip(client.closed)), "Reset")
      assert.strictEqual(tagOf(yield* rejected(() => streams.closed)), "Closed")
    }))

  it.effect("aborts with the reason of readable.cancel", () =>
    Effect.gen(function*() {
      const { client, streams } = yield* pairOfStreams
      yield* promised(() => streams.readable.cancel("no more"))
      assert.strictEqual(tagOf(yield* Effect.flip(client.closed)), "Reset")
      assert.strictEqual(tagOf(yield* rejected(() => streams.closed)), "Closed")
    }))

  it.effect("discards what arrives after a cancel without a reason, and writing goes on", () =>
    Effect.gen(function*() {
      const { client, streams } = yield* pairOfStreams
      const reader = streams.readable.getReader()
      const reading = yield* Effect.forkChild(promised(() => reader.read()))
      yield* Effect.yieldNow
      yield* promised(() => reader.cancel())
      assert.isTrue((yield* Fiber.join(reading)).done)
      yield* client.write(new Uint8Array(1_000_000))
      const writer = streams.writable.getWriter()
      yield* promised(() => writer.write(text("still here")))
      assert.strictEqual(string(yield* Transport.readExactly(client, 10)), "still here")
      yield* client.halfClose
      yield* promised(() => writer.close())
      yield* promised(() => streams.closed)
    }))

  it.effect("shows the peer's abort to both streams, behind what had arrived", () =>
    Effect.gen(function*() {
      const { client, streams } = yield* pairOfStreams
      yield* client.write(text("last words"))
      yield* Effect.yieldNow
      yield* client.abort
      const reader = streams.readable.getReader()
      assert.strictEqual(string((yield* promised(() => reader.read())).value), "last words")
      assert.strictEqual(tagOf(yield* rejected(() => reader.read())), "Reset")
      assert.strictEqual(tagOf(yield* rejected(() => streams.writable.getWriter().closed)), "Reset")
      assert.strictEqual(tagOf(yield* rejected(() => streams.closed)), "Reset")
    }))

  it.effect("refuses a chunk that is no bytes, and aborts", () =>
    Effect.gen(function*() {
      const { client, streams } = yield* pairOfStreams
      const writer = streams.writable.getWriter()
      const error = yield* rejected(() => writer.write("text" as unknown as Uint8Array))
      assert.strictEqual(tagOf(error), "InvalidOption")
      assert.strictEqual(tagOf(yield* Effect.flip(client.closed)), "Reset")
    }))

  it.effect("flushes what was taken and ends reading by close", () =>
    Effect.gen(function*() {
      const { client, streams } = yield* pairOfStreams
      const reader = streams.readable.getReader()
      const reading = yield* Effect.forkChild(promised(() => reader.read()))
      yield* promised(() => streams.writable.getWriter().write(text("bye")))
      yield* client.halfClose
      yield* promised(() => streams.close())
      assert.isTrue((yield* Fiber.join(reading)).done)
      assert.strictEqual(string(yield* Transport.readUntilEnd(client)), "bye")
      yield* promised(() => streams.closed)
    }))

  it.effect("refuses a second reader, writer and bridge, and the first ones go on", () =>
    Effect.gen(function*() {
      const { client, server, streams } = yield* pairOfStreams
      const reader = streams.readable.getReader()
      const writer = streams.writable.getWriter()
      assert.throws(() => streams.readable.getReader(), TypeError)
      assert.throws(() => streams.writable.getWriter(), TypeError)
      assert.strictEqual((yield* Effect.flip(WebStreams.toWebStreams(server))).reason._tag, "Busy")
      yield* client.write(text("one"))
      assert.strictEqual(string((yield* promised(() => reader.read())).value), "one")
      yield* promised(() => writer.write(text("two")))
      assert.strictEqual(string(yield* Transport.readExactly(client, 3)), "two")
    }))

  it.effect("fills views of any type and place, and gives no element before it is whole", () =>
    Effect.gen(function*() {
      const { client, streams } = yield* pairOfStreams
      const reader = streams.readable.getReader({ mode: "byob" })
      yield* client.write(new Uint8Array([1, 0, 2, 0, 3]))
      const pairs = (yield* promised(() => reader.read(new Uint16Array(4)))).value!
      assert.deepStrictEqual(Array.from(pairs), [1, 2])
      const third = yield* Effect.forkChild(promised(() => reader.read(new Uint16Array(new ArrayBuffer(6), 2, 1))))
      yield* turns
      assert.isUndefined(third.pollUnsafe())
      yield* client.write(new Uint8Array([0, 4, 5, 6, 7, 8, 9, 10]))
      const { value } = yield* Fiber.join(third)
      assert.deepStrictEqual([Array.from(value!), value!.byteOffset, value!.buffer.byteLength], [[3], 2, 6])
      const view = (yield* promised(() => reader.read(new DataView(new ArrayBuffer(8), 4, 2)))).value!
      assert.deepStrictEqual([view.getUint8(0), view.getUint8(1), view.byteOffset], [4, 5, 4])
      const all = yield* promised(() => reader.read(new Uint8Array(5), { min: 5 }))
      assert.deepStrictEqual(Array.from(all.value!), [6, 7, 8, 9, 10])
    }))

  it.effect("errors the reader whose last element stays a part, and writing goes on", () =>
    Effect.gen(function*() {
      const { client, streams } = yield* pairOfStreams
      const reader = streams.readable.getReader({ mode: "byob" })
      const reading = yield* Effect.forkChild(rejected(() => reader.read(new Uint16Array(1))))
      yield* client.write(new Uint8Array([1]))
      yield* client.halfClose
      assert.instanceOf(yield* Fiber.join(reading), TypeError)
      const writer = streams.writable.getWriter()
      yield* promised(() => writer.write(text("odd")))
      yield* promised(() => writer.close())
      assert.strictEqual(string(yield* Transport.readUntilEnd(client)), "odd")
      yield* promised(() => streams.closed)
    }))

  it.effect("answers the one who waits with a buffer of his own when he cancels, and discards from then on", () =>
    Effect.gen(function*() {
      const { client, streams } = yield* pairOfStreams
      const reader = streams.readable.getReader({ mode: "byob" })
      const reading = yield* Effect.forkChild(promised(() => reader.read(new Uint8Array(8))))
      yield* turns
      // What arrives in the turn of the cancel is not his any more either.
      const cancelling = yield* Effect.forkChild(promised(() => reader.cancel()), { startImmediately: true })
      yield* client.write(text("unwanted"))
      assert.isTrue((yield* Fiber.join(reading)).done)
      yield* Fiber.join(cancelling)
      yield* client.write(new Uint8Array(1_000_000))
      yield* promised(() => streams.writable.getWriter().close())
      yield* promised(() => streams.closed)
    }))

  it.effect("keeps for the next reader what arrives after one has let go of the lock", () =>
    Effect.gen(function*() {
      const { client, streams } = yield* pairOfStreams
      const first = streams.readable.getReader()
      const reading = yield* Effect.forkChild(rejected(() => first.read()))
      yield* turns
      first.releaseLock()
      assert.instanceOf(yield* Fiber.join(reading), TypeError)
      yield* client.write(text("hello"))
      yield* turns
      const second = streams.readable.getReader()
      assert.strictEqual(string((yield* promised(() => second.read())).value), "hello")
    }))

  it.effect("gives back to the transport what a stream held that nobody read", () =>
    Effect.gen(function*() {
      const [client, server] = yield* TestTransport.pair()
      const scope = yield* Scope.make()
      const streams = yield* Scope.provide(WebStreams.toWebStreams(server), scope)
      const abandoned = streams.readable.getReader()
      const reading = yield* Effect.forkChild(rejected(() => abandoned.read()))
      yield* turns
      abandoned.releaseLock()
      yield* Fiber.join(reading)
      yield* client.writeAll([text("hel"), text("lo ")])
      yield* turns
      const reader = streams.readable.getReader({ mode: "byob" })
      assert.strictEqual(string((yield* promised(() => reader.read(new Uint8Array(2)))).value), "he")
      yield* client.write(text("world"))
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(string(yield* Transport.readExactly(server, 9)), "llo world")
    }))

  it.effect("gives back what was no whole element", () =>
    Effect.gen(function*() {
      const [client, server] = yield* TestTransport.pair()
      yield* Effect.scoped(Effect.gen(function*() {
        const streams = yield* WebStreams.toWebStreams(server)
        const reader = streams.readable.getReader({ mode: "byob" })
        yield* client.write(text("12345"))
        const { value } = yield* promised(() => reader.read(new Uint16Array(4)))
        assert.strictEqual(value?.byteLength, 4)
      }))
      yield* client.write(text("6"))
      assert.strictEqual(string(yield* Transport.readExactly(server, 2)), "56")
    }))

  it.effect("rejects the write under way with its own end, and queued ones with the reason of the abort", () =>
    Effect.gen(function*() {
      const { client, server, streams } = yield* pairOfStreams
      const writer = streams.writable.getWriter()
      assert.strictEqual(writer.desiredSize, 1)
      const outcomes = yield* Effect.forkChild(
        promised(() =>
          Promise.allSettled([
            writer.write(text("taken")),
            writer.write(new Uint8Array(1_000_000)),
            writer.write(text("queued")),
            writer.write(text("queued, too")),
            writer.closed
          ])
        )
      )
      yield* turns
      assert.isAtMost(writer.desiredSize!, 0)
      const why = new Error("enough")
      yield* promised(() => writer.abort(why))
      const reasons = (yield* Fiber.join(outcomes)).map((outcome) =>
        outcome.status === "fulfilled" ? "done" : outcome.reason === why ? "why" : tagOf(outcome.reason)
      )
      assert.deepStrictEqual(reasons, ["done", "Closed", "why", "why", "why"])
      const error = yield* Effect.flip(server.closed)
      assert.strictEqual(Cause.squash(error.cause as Cause.Cause<unknown>), why)
      assert.strictEqual((yield* Effect.flip(Transport.readUntilEnd(client))).reason._tag, "Reset")
      assert.isNull(writer.desiredSize)
    }))

  it.effect("is ready for a writer again when the peer has read", () =>
    Effect.gen(function*() {
      const { client, streams } = yield* pairOfStreams
      const writer = streams.writable.getWriter()
      yield* promised(() => writer.ready)
      const writing = yield* Effect.forkChild(promised(() => writer.write(new Uint8Array(200_000))))
      const ready = yield* Effect.forkChild(promised(() => writer.ready))
      yield* turns
      assert.isUndefined(ready.pollUnsafe())
      yield* Transport.readExactly(client, 200_000)
      yield* Fiber.join(writing)
      yield* Fiber.join(ready)
      assert.strictEqual(writer.desiredSize, 1)
    }))

  it.effect("may be closed twice, and after an abort or the peer's reset", () =>
    Effect.gen(function*() {
      const quiet = yield* pairOfStreams
      yield* quiet.client.halfClose
      yield* promised(() => Promise.all([quiet.streams.close(), quiet.streams.close()]))
      yield* promised(() => quiet.streams.close())
      yield* promised(() => quiet.streams.closed)

      for (const end of ["own", "peer"] as const) {
        const { client, streams } = yield* pairOfStreams
        if (end === "peer") yield* client.abort
        else yield* promised(() => streams.writable.abort("no more"))
        yield* promised(() => streams.close())
        assert.strictEqual(tagOf(yield* rejected(() => streams.closed)), end === "peer" ? "Reset" : "Closed")
        yield* promised(() => streams.opened)
        // Nobody is left to be told of an abort or a cancel.
        yield* promised(() => streams.writable.abort("late").catch(() => undefined))
        yield* promised(() => streams.readable.cancel("late").catch(() => undefined))
      }
    }))

  it.effect("says that bytes were lost where a close finds them so", () =>
    Effect.gen(function*() {
      const { client, streams } = yield* pairOfStreams
      const writing = yield* Effect.forkChild(
        rejected(() => streams.writable.getWriter().write(new Uint8Array(1_000_000)))
      )
      yield* turns
      yield* client.abort
      assert.strictEqual(tagOf(yield* Fiber.join(writing)), "Reset")
      assert.strictEqual(tagOf(yield* rejected(() => streams.close())), "Reset")
    }))

  it.effect("ends with its scope, and leaves the transport and what was not read", () =>
    Effect.gen(function*() {
      const [client, server] = yield* TestTransport.pair()
      const scope = yield* Scope.make()
      const streams = yield* Scope.provide(WebStreams.toWebStreams(server), scope)
      const reader = streams.readable.getReader()
      const reading = yield* Effect.forkChild(rejected(() => reader.read()))
      yield* Effect.yieldNow
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(tagOf(yield* Fiber.join(reading)), "Closed")
      assert.strictEqual(tagOf(yield* rejected(() => streams.writable.getWriter().write(text("late")))), "Closed")
      yield* promised(() => streams.closed)
      yield* client.write(text("hello"))
      assert.strictEqual(string(yield* Transport.readExactly(server, 5)), "hello")
    }))
})

describe("WebStreams.fromWebStreams", () => {
  const silent = () => new WritableStream<Uint8Array>()
  const streamOf = (...chunks: ReadonlyArray<unknown>) =>
    new ReadableStream({
      start: (controller) => {
        for (const chunk of chunks) controller.enqueue(chunk)
        controller.close()
      }
    })
  const open = (readable: ReadableStream<any>, writable: WritableStream<Uint8Array> = silent()) =>
    WebStreams.fromWebStreams({ readable, writable })

  it.effect("fails with Busy where a stream is locked", () =>
    Effect.gen(function*() {
      const readable = new ReadableStream()
      readable.getReader()
      assert.strictEqual((yield* Effect.flip(open(readable))).reason._tag, "Busy")
    }))

  it.effect("refuses options that are wrong before it touches the streams", () =>
    Effect.gen(function*() {
      const streams = { readable: new ReadableStream<Uint8Array>(), writable: silent() }
      const error = yield* Effect.flip(WebStreams.fromWebStreams(streams, { readMark: -1 }))
      assert.strictEqual(error.reason._tag, "InvalidOption")
      assert.isFalse(streams.readable.locked)
    }))

  it.live("names what a stream errored with, and keeps it as the cause", () =>
    Effect.gen(function*() {
      const why = new Error("boom")
      const failing = yield* open(new ReadableStream({ start: (controller) => controller.error(why) }))
      const error = yield* Effect.flip(Transport.readUntilEnd(failing))
      assert.strictEqual(error.reason._tag, "Failed")
      assert.strictEqual(error.cause, why)
      const gone = yield* open(
        new ReadableStream({ start: (controller) => controller.error(new DOMException("", "AbortError")) })
      )
      assert.strictEqual((yield* Effect.flip(Transport.readUntilEnd(gone))).reason._tag, "Reset")
    }))

  it.live("breaks on a chunk that is no bytes, and takes any buffer that is", () =>
    Effect.gen(function*() {
      const words = new Uint16Array([0x6968]).buffer
      const bytes = yield* open(streamOf(text("oh "), words, new DataView(words)))
      assert.strictEqual(string(yield* Transport.readUntilEnd(bytes)), "oh hihi")
      const strings = yield* open(streamOf("text"))
      assert.strictEqual((yield* Effect.flip(Transport.readUntilEnd(strings))).reason._tag, "Failed")
    }))

  it.live("tells both streams why, when it is aborted, also while a sink takes for ever", () =>
    Effect.gen(function*() {
      const reasons: Array<string> = []
      const transport = yield* open(
        new ReadableStream({ cancel: (reason) => void reasons.push(tagOf(reason)) }),
        new WritableStream({
          start: ({ signal }) => signal.addEventListener("abort", () => reasons.push(tagOf(signal.reason))),
          write: () => never
        })
      )
      yield* transport.write(text("hello"))
      yield* Effect.yieldNow
      yield* transport.abort
      assert.strictEqual((yield* Effect.flip(transport.closed)).reason._tag, "Closed")
      assert.sameMembers(reasons, ["Closed", "Closed"])
    }))

  it.live("closes in bounded time, while a source takes for ever over its cancel", () =>
    Effect.gen(function*() {
      const transport = yield* WebStreams.fromWebStreams(
        { readable: new ReadableStream<Uint8Array>({ cancel: () => never }), writable: silent() },
        { closeTimeout: 10, linger: { duration: 10 } }
      )
      yield* transport.close
      yield* transport.closed
    }))

  it.live("loses what an aborted TransformStream holds, since streams that error drop it", () =>
    Effect.gen(function*() {
      const there = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({}, {}, { highWaterMark: 4 })
      const back = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>()
      const a = yield* open(back.readable, there.writable)
      yield* a.write(text("last words"))
      yield* a.flush
      yield* a.abort
      // The abort goes through the streams by promises.
      yield* Effect.yieldNow
      const b = yield* open(there.readable, back.writable)
      assert.strictEqual(tagOf(yield* Effect.flip(Transport.read(b, 100))), "Reset")
    }))

  it.live("reads no more than the read mark and a chunk, while nobody pulls", () =>
    Effect.gen(function*() {
      let given = 0
      const endless = new ReadableStream({
        pull: (controller) => {
          given += 10_000
          controller.enqueue(new Uint8Array(10_000))
        }
      }, { highWaterMark: 0 })
      const transport = yield* open(endless)
      for (let turn = 0; turn < 200; turn++) yield* Effect.yieldNow
      assert.isAtMost(given, 80_000)
      assert.isAtMost((yield* transport.buffered).reading, 65_536)
      yield* transport.abort
    }))

  it.live("touches neither stream where one of them is locked", () =>
    Effect.gen(function*() {
      let pulls = 0
      const readable = new ReadableStream<Uint8Array>({ pull: () => void pulls++ }, { highWaterMark: 0 })
      const writable = silent()
      const writer = writable.getWriter()
      const error = yield* Effect.flip(open(readable, writable))
      assert.strictEqual(error.reason._tag, "Busy")
      yield* turns
      assert.isFalse(readable.locked)
      assert.strictEqual(pulls, 0)
      yield* promised(() => writer.write(text("mine")))

      const given = new ReadableStream<Uint8Array>()
      const reader = given.getReader()
      const other = silent()
      assert.strictEqual((yield* Effect.flip(open(given, other))).reason._tag, "Busy")
      assert.isFalse(other.locked)
      yield* promised(() => Promise.all([reader.cancel(), other.close()]))
    }))

  it.live("cancels a source that is asked for more, once, and answers whoever reads", () =>
    Effect.gen(function*() {
      for (const end of ["abort", "close"] as const) {
        const cancels: Array<unknown> = []
        let ask!: () => void
        const asked = new Promise<void>((resolve) => {
          ask = resolve
        })
        const readable = new ReadableStream<Uint8Array>({
          pull: () => {
            ask()
            return never
          },
          cancel: (reason) => void cancels.push(reason === undefined ? undefined : tagOf(reason))
        }, { highWaterMark: 0 })
        const transport = yield* WebStreams.fromWebStreams({ readable, writable: silent() }, {
          linger: { duration: 10 }
        })
        const reading = yield* Effect.forkChild(Effect.flip(Transport.read(transport, 1)), { startImmediately: true })
        yield* promised(() => asked)
        if (end === "close") yield* Effect.forkChild(transport.close, { startImmediately: true })
        else yield* transport.abort
        assert.strictEqual(tagOf(yield* Fiber.join(reading)), "Closed")
        yield* Effect.exit(transport.closed)
        assert.deepStrictEqual(cancels, [end === "close" ? undefined : "Closed"])
      }
    }))

  it.live("bounds what a sink that takes nothing is offered, and fails what waits by an abort", () =>
    Effect.gen(function*() {
      const offered: Array<number> = []
      const transport = yield* open(
        new ReadableStream(),
        new WritableStream({
          write: (chunk) => {
            offered.push(chunk.length)
            return never
          }
        })
      )
      const large = yield* Effect.forkChild(Effect.flip(transport.write(new Uint8Array(200_000))), {
        startImmediately: true
      })
      const waiting = yield* Effect.forkChild(Effect.flip(transport.write(new Uint8Array(1))), {
        startImmediately: true
      })
      yield* turns
      assert.deepStrictEqual(offered, [65_536])
      assert.strictEqual((yield* transport.buffered).writing, 200_000)
      yield* transport.abort
      const failed = [yield* Fiber.join(large), yield* Fiber.join(waiting)]
      assert.deepStrictEqual(failed.map(({ delivery, reason }) => [reason._tag, delivery]), [
        ["Closed", "Unknown"],
        ["Closed", "NotSent"]
      ])
    }))

  it.live("keeps the reason of a TransportError, and has an error of the sink as the cause", () =>
    Effect.gen(function*() {
      const timedOut = new TransportError.TransportError({
        operation: "read",
        endpoint: "memory:x",
        reason: new TransportError.TimedOut({ phase: "idle" })
      })
      const typed = yield* open(new ReadableStream({ start: (controller) => controller.error(timedOut) }))
      const error = yield* Effect.flip(Transport.readUntilEnd(typed))
      assert.strictEqual(error.reason, timedOut.reason)
      assert.strictEqual(error.cause, timedOut)

      const full = Object.assign(new Error("full"), { code: "ENOSPC" })
      const failing = yield* open(
        new ReadableStream(),
        new WritableStream({
          write: () => {
            throw full
          }
        })
      )
      yield* failing.write(text("lost"))
      const lost = yield* Effect.flip(failing.flush)
      assert.deepStrictEqual([lost.reason._tag, lost.cause], ["Failed", full])
      assert.strictEqual((yield* Effect.flip(failing.closed)).cause, full)

      const unclosable = yield* open(
        new ReadableStream(),
        new WritableStream({
          close: () => {
            throw full
          }
        })
      )
      const unended = yield* Effect.flip(unclosable.halfClose)
      assert.deepStrictEqual([unended.reason._tag, unended.cause], ["Failed", full])
    }).pipe(quietly))

  it.live("meets a writable that errored while nobody wrote with the next write, and reads until then", () =>
    Effect.gen(function*() {
      let output!: WritableStreamDefaultController
      let input!: ReadableStreamDefaultController
      const transport = yield* open(
        new ReadableStream({
          start: (controller) => {
            input = controller
          }
        }),
        new WritableStream({
          start: (controller) => {
            output = controller
          }
        })
      )
      const why = new Error("stopped")
      output.error(why)
      input.enqueue(text("still"))
      assert.strictEqual(string(yield* Transport.readExactly(transport, 5)), "still")
      yield* transport.write(text("lost"))
      const error = yield* Effect.flip(transport.flush)
      assert.deepStrictEqual([error.reason._tag, error.cause], ["Failed", why])
    }).pipe(quietly))

  it.live("fails typed over streams that have ended before", () =>
    Effect.gen(function*() {
      const writable = silent()
      yield* promised(() => writable.close())
      const transport = yield* open(streamOf(text("all")), writable)
      assert.strictEqual(string(yield* Transport.readUntilEnd(transport)), "all")
      yield* transport.write(text("late"))
      assert.strictEqual((yield* Effect.flip(transport.flush)).reason._tag, "Failed")

      const gone = new DOMException("gone", "AbortError")
      const aborted = silent()
      yield* promised(() => aborted.abort(gone))
      const broken = yield* open(new ReadableStream(), aborted)
      const error = yield* Effect.flip(broken.halfClose)
      assert.deepStrictEqual([error.reason._tag, error.cause], ["Reset", gone])
    }).pipe(quietly))

  it.live("closes in bounded time, while a sink takes for ever over its write or its close", () =>
    Effect.gen(function*() {
      for (const sink of [{ write: () => never }, { close: () => never }]) {
        const transport = yield* WebStreams.fromWebStreams(
          { readable: new ReadableStream<Uint8Array>(), writable: new WritableStream(sink) },
          { closeTimeout: 10 }
        )
        yield* transport.write(text("x"))
        const error = yield* Effect.flip(transport.close)
        assert.deepStrictEqual(error.reason, new TransportError.TimedOut({ phase: "flush" }))
      }
    }))

  it.live("has no half-close where the endpoint has none", () =>
    Effect.gen(function*() {
      const transport = yield* WebStreams.fromWebStreams(
        { readable: new ReadableStream<Uint8Array>(), writable: silent() },
        { endpoint: { _tag: "serial", path: "/dev/ttyS0", baudRate: 9600 } }
      )
      assert.isFalse(Connection.isHalfCloseable(transport))
      yield* transport.abort
    }))
})

// ---------------------------------------------------------------------------------------------------------------------
// Peers that are not ours
// ---------------------------------------------------------------------------------------------------------------------

const mib = 1_048_576

/** A server of `node:net`, and its port. */
const serve = (onSocket: (socket: Net.Socket) => void) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Net.Server>((resume) => {
        const server = Net.createServer({ allowHalfOpen: true }, onSocket)
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
    ),
    (server) => (server.address() as Net.AddressInfo).port
  )

describe("WebStreams and the platform", () => {
  it.live("is a transport over a socket of node:net through Duplex.toWeb, some MiB both ways", () =>
    Effect.gen(function*() {
      const port = yield* serve((socket) => void socket.pipe(socket))
      const socket = Net.connect({ port, host: "127.0.0.1", allowHalfOpen: true })
      const transport = yield* WebStreams.fromWebStreams(
        Duplex.toWeb(socket) as unknown as {
          readable: ReadableStream<Uint8Array>
          writable: WritableStream<Uint8Array>
        }
      )
      const sent = pattern(4 * mib)
      const writing = yield* Effect.forkChild(Effect.andThen(transport.write(sent), transport.halfClose))
      const received = yield* Transport.readUntilEnd(transport)
      yield* Fiber.join(writing)
      assert.strictEqual(digest(received), digest(sent))
      yield* transport.closed
    }))

  it.live("sees the reset of such a socket's peer as Reset", () =>
    Effect.gen(function*() {
      const port = yield* serve((socket) => void socket.once("data", () => socket.resetAndDestroy()))
      const socket = Net.connect({ port, host: "127.0.0.1", allowHalfOpen: true })
      const transport = yield* WebStreams.fromWebStreams(
        Duplex.toWeb(socket) as unknown as {
          readable: ReadableStream<Uint8Array>
          writable: WritableStream<Uint8Array>
        }
      )
      yield* transport.write(text("hello"))
      const error = yield* Effect.flip(Transport.readUntilEnd(transport))
      assert.strictEqual(error.reason._tag, "Reset")
    }))

  it.live("is piped through a CompressionStream and back to the peer", () =>
    Effect.gen(function*() {
      const { connect, listen } = yield* Network.Network
      const listener = yield* listen("tcp://127.0.0.1:0")
      const [client, server] = yield* Effect.all([connect(listener.endpoint), listener.accept], { concurrency: 2 })
      assert(Transport.isHalfCloseable(client))
      const { closed, opened, readable, writable } = yield* WebStreams.toWebStreams(server)
      assert.match((yield* promised(() => opened)).localAddress ?? "", /^127\.0\.0\.1:\d+$/)
      const piping = yield* Effect.forkChild(
        promised(() => readable.pipeThrough(new CompressionStream("gzip")).pipeTo(writable))
      )
      const sent = pattern(3 * mib)
      const writing = yield* Effect.forkChild(Effect.andThen(client.write(sent), client.halfClose))
      const packed = yield* Transport.readUntilEnd(client)
      yield* Fiber.join(writing)
      yield* Fiber.join(piping)
      assert.strictEqual(digest(gunzipSync(packed)), digest(sent))
      yield* promised(() => closed)
    }).pipe(Effect.provide(NodeTransport.layerNetwork)))

  it.live("is the body of a Response, and takes one", () =>
    Effect.gen(function*() {
      const { client, streams } = yield* pairOfStreams
      const sent = pattern(2 * mib)
      const writing = yield* Effect.forkChild(Effect.andThen(client.write(sent), client.halfClose))
      const received = yield* promised(() => new Response(streams.readable).arrayBuffer())
      yield* Fiber.join(writing)
      assert.strictEqual(digest(new Uint8Array(received)), digest(sent))
      const piping = yield* Effect.forkChild(promised(() => new Response(received).body!.pipeTo(streams.writable)))
      assert.strictEqual(digest(yield* Transport.readUntilEnd(client)), digest(sent))
      yield* Fiber.join(piping)
      yield* promised(() => streams.closed)
    }))
})
