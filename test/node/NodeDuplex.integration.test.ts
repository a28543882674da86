import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, References, type Scope } from "effect"
import { Network, TestTransport, Transport, TransportError } from "effect-transport"
import { NodeDuplex, NodeTransport } from "effect-transport/node"
import { TestClock } from "effect/testing"
import { Redis } from "ioredis"
import * as Http from "node:http"
import * as Http2 from "node:http2"
import * as Net from "node:net"
import { join } from "node:path"
import * as Stream from "node:stream"
import { Duplex, PassThrough } from "node:stream"
import { duplexes, event, media, netSockets } from "../support/duplexes.ts"
import { folder as newFolder } from "../support/folder.ts"
import { run } from "../support/programs.ts"
import { describeWith } from "../support/systemPrograms.ts"

const exchanges = 100

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** Nobody at the other end is to be waited for. */
const brief: Transport.TransportOptions = { closeTimeout: 10, linger: { duration: 10 } }

/** A scope that ends with output lost says so, and here it is lost on purpose. */
const quietly = Effect.provideService(References.MinimumLogLevel, "None")

const textOf = (stream: AsyncIterable<Buffer | string>): Effect.Effect<string> =>
  Effect.promise(async () => {
    let text = ""
    for await (const chunk of stream) text += String(chunk)
    return text
  })

describe.each(media)("NodeDuplex.toDuplex over %s", (_, ends) => {
  it.live("carries node:http: a hundred exchanges on one connection, one cancelled, one aborted", () =>
    Effect.gen(function*() {
      const arrived: Array<string> = []
      const server = Http.createServer((request, response) => {
        arrived.push(request.url!)
        if (request.url === "/hang") return
        request.pipe(response)
      })
      const connection = Effect.gen(function*() {
        const [a, b] = yield* duplexes(ends)
        const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
        let made = 0
        const createConnection = () => {
          made++
          return a
        }
        Object.assign(agent, { createConnection })
        server.emit("connection", b)
        return { a, agent, b, made: () => made }
      })
      const ask = (agent: Http.Agent, path: string, body: string) =>
        Effect.callback<Http.IncomingMessage, Error>((resume) => {
          const request = Http.request({ agent, method: "POST", path }, (response) => resume(Effect.succeed(response)))
          request.on("error", (error) => resume(Effect.fail(error)))
          request.end(body)
          return Effect.sync(() => request.destroy())
        })

      const first = yield* connection
      for (let i = 0; i < exchanges; i++) {
        const body = `${i} `.repeat(i === 50 ? 100_000 : 10)
        assert.strictEqual(yield* textOf(yield* ask(first.agent, `/${i}`, body)), body)
      }
      assert.strictEqual(first.made(), 1)
      assert.lengthOf(arrived, exchanges)

      // Cancelled: the request is interrupted, and with it the connection ends at both ends.
      const cancelled = yield* connection
      const ended = event(cancelled.b, "close")
      const seen = event(server, "request")
      const asking = yield* Effect.forkChild(ask(cancelled.agent, "/hang", "x"))
      yield* seen

      asking.interruptUnsafe()
      yield* ended
      assert.isTrue(cancelled.a.destroyed)

      // Aborted by the server: the client's request fails.
      const aborted = yield* connection
      const hanging = event(server, "request")
      const failing = yield* Effect.forkChild(Effect.exit(ask(aborted.agent, "/hang", "x")))
      yield* hanging
      aborted.b.resetAndDestroy()
      const exit = yield* Effect.promise(() => new Promise<Exit.Exit<any, any>>((done) => failing.addObserver(done)))
      assert.isTrue(Exit.isSuccess(exit) && Exit.isFailure(exit.value))
    }))

  it.live("carries node:http2: a hundred streams on one session, one cancelled, then an abort", () =>
    Effect.gen(function*() {
      const [a, b] = yield* duplexes(ends)
      const server = Http2.createServer()
      const cancelled: Array<string> = []
      server.on("stream", (stream: Http2.ServerHttp2Stream, headers) => {
        stream.on("error", () => {})
        if (headers[":path"] === "/hang") return stream.on("close", () => cancelled.push(String(stream.rstCode)))
        stream.respond({ ":status": 200 })
        return stream.pipe(stream)
      })
      server.on("sessionError", () => {})
      server.emit("connection", b)
      const session = Http2.connect("http://localhost", { createConnection: () => a })
      session.on("error", () => {})
      const ask = (path: string, body: string) =>
        Effect.suspend(() => {
          const stream = session.request({ ":method": "POST", ":path": path })
          stream.end(body)
          return textOf(stream)
        })
      const texts = Array.from({ length: exchanges }, (_, i) => `${i} `.repeat(i === 50 ? 10_000 : 10))
      const answers = yield* Effect.forEach(texts, (text, i) => ask(`/${i}`, text), { concurrency: 10 })
      assert.deepStrictEqual(answers, texts)

      const begun = event(server, "stream")
      const stream = session.request({ ":method": "POST", ":path": "/hang" })
      stream.on("error", () => {})
      yield* begun
      const over = event(stream, "close")
      stream.close(Http2.constants.NGHTTP2_CANCEL)
      yield* over
      assert.strictEqual(yield* ask("/after", "after"), "after")
      assert.deepStrictEqual(cancelled, [String(Http2.constants.NGHTTP2_CANCEL)])

      const ended = event(session, "close")
      b.resetAndDestroy()
      yield* ended
      assert.isTrue(session.destroyed)
    }))

  it.live("reports a break as a native error with the TransportError as its cause", () =>
    Effect.gen(function*() {
      const [a, b] = yield* ends
      const duplex = yield* NodeDuplex.toDuplex(a)
      const failed = event(duplex, "error")
      const ended = event(duplex, "end")
      const closed = event(duplex, "close")
      yield* b.abort
      const expected = a.info.endpoint._tag === "unix" ? "end" : "ECONNRESET"
      if (expected === "end") {
        duplex.resume()
        yield* ended
        duplex.destroy()
      } else {
        const error = (yield* failed) as NodeJS.ErrnoException
        assert.strictEqual(error.code, expected)
        assert.instanceOf(error.cause, TransportError.TransportError)
      }
      yield* closed
    }))
})

/** Every pair of streams that is to behave alike, and that which says how. */
const alike: ReadonlyArray<readonly [string, Effect.Effect<readonly [Duplex, Duplex], unknown, Scope.Scope>]> = [
  ["node:net itself", netSockets],
  ...media.map(([name, ends]) => [`a transport over ${name}`, duplexes(ends)] as const)
]

/** What a callback is given. */
const calledBack = (call: (done: (error?: NodeJS.ErrnoException | null) => void) => void): Effect.Effect<string> => {
  const called = new Promise<string>((resolve) => call((error) => resolve(error?.code ?? error?.name ?? "done")))
  return Effect.promise(() => called)
}

/** What happens to a stream, to its end. */
const history = (stream: Duplex): Effect.Effect<ReadonlyArray<string>> => {
  const seen: Array<string> = []
  stream.on("end", () => seen.push("end"))
  stream.on("finish", () => seen.push("finish"))
  stream.on("error", (error: NodeJS.ErrnoException) => seen.push(error.code ?? error.message))
  return Effect.as(event(stream, "close"), seen)
}

describe.each(alike)("A stream over %s", (name, pair) => {
  it.live("refuses what is written behind its end, or when it is destroyed, by the codes of Node", () =>
    Effect.gen(function*() {
      const [ended] = yield* pair
      const over = history(ended)
      ended.end("last")
      const late = calledBack((done) => ended.write("late", done))
      assert.strictEqual(yield* late, "ERR_STREAM_WRITE_AFTER_END")
      assert.include(yield* over, "ERR_STREAM_WRITE_AFTER_END")

      const [destroyed, peer] = yield* pair
      peer.on("error", () => {})
      const quiet = history(destroyed)
      destroyed.destroy()
      const codes = Effect.all([
        calledBack((done) => destroyed.write("late", done)),
        calledBack((done) => destroyed.end("late", done)),
        calledBack((done) => Stream.finished(destroyed, done))
      ], { concurrency: 3 })
      assert.deepStrictEqual(yield* codes, [
        "ERR_STREAM_DESTROYED",
        "ERR_STREAM_DESTROYED",
        "ERR_STREAM_PREMATURE_CLOSE"
      ])
      assert.deepStrictEqual(yield* quiet, [])
    }))

  it.live("ends once, however often it is ended, and is finished with both directions", () =>
    Effect.gen(function*() {
      const [a, b] = yield* pair
      const bothFinished = Effect.all([
        calledBack((done) => Stream.finished(a, done)),
        calledBack((done) => Stream.finished(b, done))
      ])
      const read = textOf(b.iterator({ destroyOnReturn: false }))
      const calls = Effect.all([calledBack((done) => a.end("once", done)), calledBack((done) => a.end(done))])
      assert.deepStrictEqual(yield* calls, ["done", "done"])
      assert.strictEqual(yield* read, "once")
      const over = history(a)
      a.resume()
      b.end()
      assert.deepStrictEqual(yield* bothFinished, ["done", "done"])
      assert.deepStrictEqual(yield* over, ["end"])
    }))

  it.live("hands over what came before its end when it is resumed behind it", () =>
    Effect.gen(function*() {
      const [a, b] = yield* pair
      a.pause()
      const seen: Array<string> = []
      a.on("data", (chunk) => seen.push(String(chunk)))
      a.on("end", () => seen.push("end"))
      const ended = event(a, "end")
      yield* calledBack((done) => b.end("before", done))
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      assert.deepStrictEqual(seen, [])
      a.resume()
      yield* ended
      assert.deepStrictEqual(seen, ["before", "end"])
    }))

  it.live("decodes characters that come in pieces, and shows the piece that is left at the end", () =>
    Effect.gen(function*() {
      const [a, b] = yield* pair
      a.setEncoding("utf8")
      const read = textOf(a)
      for (const byte of Buffer.from("h\u00e9\u20ac\u{1f600}\u00e9").subarray(0, -1)) {
        yield* calledBack((done) => b.write(Buffer.of(byte), done))
      }
      b.end()
      assert.strictEqual(yield* read, "h\u00e9\u20ac\u{1f600}\ufffd")
    }))

  it.live("gives as much as is asked for, and again what is put back", () =>
    Effect.gen(function*() {
      const [a, b] = yield* pair
      const readable = event(a, "readable")
      b.end("abcdef")
      yield* readable
      assert.strictEqual(String(a.read(2)), "ab")
      a.unshift(Buffer.from("AB"))
      assert.strictEqual(yield* textOf(a), "ABcdef")
    }))

  it.live("answers an iterator to its end, and the peer has all of the answer", () =>
    Effect.gen(function*() {
      const [a, b] = yield* pair
      const ended = history(a)
      const answer = textOf(a)
      const answering = Effect.promise(async () => {
        for await (const chunk of b) b.write(chunk)
      })
      for (let i = 0; i < 10; i++) yield* calledBack((done) => a.write(`${i}`, done))
      a.end()
      yield* answering
      assert.strictEqual(yield* answer, "0123456789")
      assert.deepStrictEqual(yield* ended, ["finish", "end"])
    }))

  it.live("is destroyed by an iterator that is left early, and goes on where that is not wanted", () =>
    Effect.gen(function*() {
      const [a, b] = yield* pair
      b.on("error", () => {})
      b.write("first")
      for (const destroyOnReturn of [false, true]) {
        const leaving = Effect.promise(async () => {
          for await (const chunk of a.iterator({ destroyOnReturn })) return String(chunk)
          return "nothing"
        })
        assert.strictEqual(yield* leaving, destroyOnReturn ? "second" : "first")
        assert.strictEqual(a.destroyed, destroyOnReturn)
        b.write("second")
      }
    }).pipe(quietly))

  it.live("is piped to itself, both ends done", () =>
    Effect.gen(function*() {
      const [a, b] = yield* pair
      const echoing = calledBack((done) => Stream.pipeline(b, b, done))
      const over = calledBack((done) => Stream.finished(a, done))
      const read = textOf(a)
      a.end("echo".repeat(100_000))
      assert.strictEqual(yield* read, "echo".repeat(100_000))
      assert.deepStrictEqual([yield* echoing, yield* over], ["done", "done"])
    }))

  it.live("goes down with a pipeline whose source fails, or whose destination goes away", () =>
    Effect.gen(function*() {
      const [into, peer] = yield* pair
      peer.on("error", () => {}).resume()
      const mine = Object.assign(new Error("mine"), { code: "MINE" })
      const source = Stream.Readable.from((async function*() {
        yield "some"
        throw mine
      })())
      assert.strictEqual(yield* calledBack((done) => Stream.pipeline(source, into, done)), "MINE")
      assert.isTrue(into.destroyed)

      const [from, other] = yield* pair
      other.on("error", () => {}).write("some")
      const destination = new PassThrough()
      const piping = calledBack((done) => Stream.pipeline(from, destination, done))
      yield* event(destination, "readable")
      destination.destroy()
      assert.strictEqual(yield* piping, "ERR_STREAM_PREMATURE_CLOSE")
      assert.isTrue(from.destroyed)
    }))

  it.live("fails the write that is under way when it is destroyed, and emits an error only where it was given one", () =>
    Effect.gen(function*() {
      for (const mine of [undefined, Object.assign(new Error("mine"), { code: "MINE" })]) {
        const [a, b] = yield* pair
        b.on("error", () => {})
        const over = history(a)
        const written = calledBack((done) => a.write(Buffer.alloc(20_000_000), done))
        const queued = calledBack((done) => a.write("queued", done))
        a.destroy(mine)
        a.destroy(new Error("too late"))
        assert.notStrictEqual(yield* written, "done")
        assert.notStrictEqual(yield* queued, "done")
        assert.deepStrictEqual(yield* over, mine === undefined ? [] : ["MINE"])
      }
    }))

  // A Unix socket knows no reset.
  it.live.skipIf(name.includes("Unix"))(
    "tells whoever waits of the peer's reset by ECONNRESET",
    () =>
      Effect.gen(function*() {
        const waits: ReadonlyArray<(stream: Duplex, done: (error?: NodeJS.ErrnoException | null) => void) => unknown> =
          [
            (stream, done) => Stream.finished(stream.resume(), done),
            (stream, done) => stream.iterator().next().then(() => done(), done),
            (stream, done) => Stream.pipeline(stream, new PassThrough(), done),
            (stream, done) => stream.on("error", done).end(Buffer.alloc(20_000_000))
          ]
        for (const wait of waits) {
          const [a, b] = yield* pair
          b.on("error", () => {})
          const told = calledBack((done) => wait(a, done))
          ;(b as Net.Socket).resetAndDestroy()
          assert.strictEqual(yield* told, "ECONNRESET")
        }
      }).pipe(quietly)
  )
})

const written = (duplex: Duplex, bytes: number) => duplex.write(new Uint8Array(bytes))

describe("NodeDuplex.toDuplex", () => {
  it.live("holds a writer back while the peer does not read, and the peer while nobody reads", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const duplex = yield* NodeDuplex.toDuplex(a)
      let writes = 0
      while (written(duplex, 16_000) && writes < 1000) writes++
      assert.isBelow(writes, 20)
      const drained = event(duplex, "drain")
      yield* Transport.readExactly(b, 16_000 * (writes + 1))
      yield* drained

      const sending = yield* Effect.forkChild(b.write(new Uint8Array(1_000_000)))
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      assert.isUndefined(sending.pollUnsafe())
      assert.isBelow(duplex.readableLength, 200_000)
      duplex.destroy()
    }).pipe(quietly))

  it.live("leaves our direction open at the peer's end, unless told not to", () =>
    Effect.gen(function*() {
      for (const allowHalfOpen of [true, false]) {
        const [a, b] = yield* TestTransport.pair()
        const duplex = yield* NodeDuplex.toDuplex(a, { allowHalfOpen })
        const ended = event(duplex, "end")
        duplex.resume()
        yield* b.halfClose
        yield* ended
        if (allowHalfOpen) {
          duplex.end("late")
          assert.strictEqual(new TextDecoder().decode(yield* Transport.readUntilEnd(b)), "late")
        } else assert.lengthOf(yield* Transport.readUntilEnd(b), 0)
        yield* b.closed
      }
    }))

  it.live("destroy with an error aborts, without one it closes behind what was taken", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const quiet = yield* NodeDuplex.toDuplex(a)
      quiet.write("taken")
      quiet.destroy()
      assert.strictEqual(new TextDecoder().decode(yield* Transport.readUntilEnd(b)), "taken")

      const [c, d] = yield* TestTransport.pair()
      const loud = yield* NodeDuplex.toDuplex(c)
      const failed = event(loud, "error")
      const mine = new Error("mine")
      loud.destroy(mine)
      assert.strictEqual(yield* failed, mine)
      const error = yield* Effect.flip(Transport.readUntilEnd(d))
      assert.strictEqual(error.reason._tag, "Reset")
    }))

  it.live("resetAndDestroy overtakes a destroy that still waits for the peer to read", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const duplex = yield* NodeDuplex.toDuplex(a)
      // More than the peer takes unread, and no more than the transport then holds.
      for (let i = 0; i < 10; i++) written(duplex, 10_000)
      assert.strictEqual(duplex.writableLength, 0)
      const closed = event(duplex, "close")
      duplex.destroy()
      assert.isAbove((yield* a.buffered).writing, 0)
      duplex.resetAndDestroy()
      yield* closed
      assert.strictEqual((yield* Effect.flip(Transport.readUntilEnd(b))).reason._tag, "Reset")
    }))

  it.live("the end of the scope closes behind the output, and a failure of it aborts", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const reading = yield* Effect.forkChild(Effect.exit(Transport.readUntilEnd(b)))
      yield* Effect.scoped(Effect.map(NodeDuplex.toDuplex(a), (duplex) => written(duplex, 300_000)))
      const exit = yield* Effect.promise(() =>
        new Promise<Exit.Exit<Exit.Exit<Uint8Array, unknown>>>((done) => reading.addObserver(done))
      )
      assert.isTrue(Exit.isSuccess(exit) && Exit.isSuccess(exit.value) && exit.value.value.length === 300_000)

      const [c, d] = yield* TestTransport.pair()
      yield* Effect.exit(Effect.scoped(Effect.andThen(NodeDuplex.toDuplex(c), Effect.fail("no"))))
      assert.strictEqual((yield* Effect.flip(Transport.readUntilEnd(d))).reason._tag, "Reset")
    }))

  it.effect("emits timeout once when nothing moved for so long, also where the time was taken back and set again", () =>
    Effect.gen(function*() {
      const [duplex] = yield* duplexes(TestTransport.pair())
      let timeouts = 0
      duplex.on("timeout", () => timeouts++)
      const after = (milliseconds: number) =>
        Effect.andThen(
          TestClock.adjust(milliseconds),
          Effect.promise(async () => {
            const seen = timeouts
            timeouts = 0
            return seen
          })
        )

      duplex.setTimeout(1000)
      assert.strictEqual(yield* after(999), 0)
      assert.strictEqual(yield* after(1), 1)
      assert.strictEqual(yield* after(5000), 0)

      duplex.setTimeout(0)
      assert.strictEqual(yield* after(5000), 0)

      // Taken back and set again before it was looked for: the earlier time does not count.
      duplex.setTimeout(1000)
      assert.strictEqual(yield* after(900), 0)
      duplex.setTimeout(0).setTimeout(1000)
      assert.strictEqual(yield* after(999), 0)
      assert.strictEqual(yield* after(1000), 1)

      duplex.setTimeout(300)
      assert.strictEqual(yield* after(299), 0)
      assert.strictEqual(yield* after(1), 1)

      duplex.setTimeout(1000)
      duplex.write("something")
      assert.strictEqual(yield* after(1000), 0)
      assert.strictEqual(yield* after(1000), 1)
    }))

  it.live("is refused a second time, and the first one goes on", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const duplex = yield* NodeDuplex.toDuplex(a)
      assert.strictEqual((yield* Effect.flip(NodeDuplex.toDuplex(a))).reason._tag, "Busy")
      yield* b.write(new TextEncoder().encode("to the first"))
      yield* b.halfClose
      assert.strictEqual(yield* textOf(duplex.iterator({ destroyOnReturn: false })), "to the first")
      duplex.end("from the first")
      assert.strictEqual(text(yield* Transport.readUntilEnd(b)), "from the first")
    }))

  it.live("says of a transport that is over how it ended", () =>
    Effect.gen(function*() {
      for (const [end, code] of [["peer", "ECONNRESET"], ["own", "ECONNABORTED"]] as const) {
        const [a, b] = yield* TestTransport.pair()
        yield* end === "peer" ? b.abort : a.abort
        const duplex = yield* NodeDuplex.toDuplex(a)
        const error = (yield* event(duplex, "error")) as NodeJS.ErrnoException
        assert.strictEqual(error.code, code)
        assert.instanceOf(error.cause, TransportError.TransportError)
        assert.strictEqual(yield* calledBack((done) => duplex.write("late", done)), "ERR_STREAM_DESTROYED")
      }

      // A reset that no native error stands behind.
      const [c] = Stream.duplexPair()
      const duplex = yield* NodeDuplex.toDuplex(yield* NodeDuplex.fromDuplex(c))
      c.destroy()
      assert.strictEqual(((yield* event(duplex, "error")) as NodeJS.ErrnoException).code, "ECONNRESET")
    }))

  it.live("is waited for by its scope until the peer breaks it, and nobody has to hear of that", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const ending = yield* Effect.forkChild(
        Effect.scoped(Effect.map(NodeDuplex.toDuplex(a), (duplex) => written(duplex, 1_000_000))),
        { startImmediately: true }
      )
      assert.isUndefined(ending.pollUnsafe())
      yield* b.abort
      yield* Fiber.join(ending)
      assert.strictEqual((yield* Effect.flip(a.closed)).reason._tag, "Reset")
    }).pipe(quietly))

  it.live("is aborted by the interruption of its scope, with a write under way and nobody to hear of it", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const written: Array<Effect.Effect<string>> = []
      const using = yield* Effect.forkChild(
        Effect.scoped(Effect.gen(function*() {
          const duplex = yield* NodeDuplex.toDuplex(a)
          written.push(calledBack((done) => duplex.write(new Uint8Array(1_000_000), done)))
          return yield* Effect.never
        })),
        { startImmediately: true }
      )
      yield* Fiber.interrupt(using)
      assert.strictEqual(yield* written[0]!, "ECONNABORTED")
      assert.strictEqual((yield* Effect.flip(a.closed)).reason._tag, "Closed")
      assert.strictEqual((yield* Effect.flip(Transport.readUntilEnd(b))).reason._tag, "Reset")
    }))

  it.live("refuses a transport that somebody reads, and options that are wrong", () =>
    Effect.gen(function*() {
      const [a] = yield* TestTransport.pair()
      const wrong = yield* Effect.flip(NodeDuplex.toDuplex(a, { writableHighWaterMark: -1 }))
      assert.strictEqual(wrong.reason._tag, "InvalidOption")
      yield* NodeDuplex.toDuplex(a)
      const second = yield* Effect.flip(NodeDuplex.toDuplex(a))
      assert.strictEqual(second.reason._tag, "Busy")
    }))
})

describe("NodeDuplex.fromDuplex", () => {
  it.live("does not lend its buffers to a stream that hands them on", () =>
    Effect.gen(function*() {
      const transport = yield* NodeDuplex.fromDuplex(new PassThrough({ highWaterMark: 1_000_000 }))
      const out = new Uint8Array(40_000).fill(1)
      yield* transport.write(out)
      yield* transport.flush
      out.fill(2)
      for (let i = 0; i < 10; i++) {
        yield* transport.write(new Uint8Array(1000).fill(3))
        yield* transport.flush
      }
      const input = yield* Transport.readExactly(transport, 50_000)
      assert.isTrue(input.subarray(0, 40_000).every((byte) => byte === 1))
      assert.isTrue(input.subarray(40_000).every((byte) => byte === 3))
    }))

  it.live("delivers what a stream still had when it broke, and then why", () =>
    Effect.gen(function*() {
      const stream = new PassThrough()
      const transport = yield* NodeDuplex.fromDuplex(stream, { readMark: 0 })
      stream.push("last")
      stream.destroy(Object.assign(new Error("gone"), { code: "ECONNRESET" }))
      assert.lengthOf(yield* Transport.readExactly(transport, 4), 4)
      const error = yield* Effect.flip(Transport.readExactly(transport, 1))
      assert.strictEqual(error.reason._tag, "Reset")
    }))

  it.live("refuses a stream that is over, that is not of bytes, or that somebody reads", () =>
    Effect.gen(function*() {
      const over = new PassThrough()
      over.end()
      const read = new PassThrough()
      read.on("data", () => {})
      for (const stream of [over, read, new PassThrough({ objectMode: true }), new PassThrough().setEncoding("utf8")]) {
        const error = yield* Effect.flip(NodeDuplex.fromDuplex(stream))
        assert.strictEqual(error.reason._tag, "InvalidOption")
      }
    }))

  it.live("refuses what is no stream, and one that is destroyed, that broke, or that it has already", () =>
    Effect.gen(function*() {
      const broken = new PassThrough()
      broken.on("error", () => {})
      const [taken, other] = Stream.duplexPair()
      const first = yield* NodeDuplex.fromDuplex(taken, brief)
      const refused = [
        undefined,
        {},
        new PassThrough({ readableObjectMode: true }),
        new PassThrough({ writableObjectMode: true }),
        new PassThrough().destroy(),
        broken.destroy(new Error("broken")),
        taken
      ]
      const expected = yield* Effect.forEach(
        refused,
        (stream) =>
          Effect.map(Effect.flip(NodeDuplex.fromDuplex(stream as Duplex)), ({ reason }) => {
            assert(reason._tag === "InvalidOption")
            return reason.expected
          })
      )
      assert.deepStrictEqual(expected, [
        "a Duplex",
        "a Duplex",
        "a stream of bytes",
        "a stream of bytes",
        "open both ways",
        "open both ways",
        "read by nobody else"
      ])
      other.resume().write("x")
      assert.strictEqual(text(yield* Transport.readExactly(first, 1)), "x")
    }))

  it.live("begins with what the stream holds, its end included, and leaves our direction open", () =>
    Effect.gen(function*() {
      const [a, b] = Stream.duplexPair({ allowHalfOpen: false })
      b.write("held ")
      b.end("back")
      yield* event(a, "readable")
      a.unshift("once ")
      const transport = yield* NodeDuplex.fromDuplex(a)
      assert.strictEqual(text(yield* Transport.readUntilEnd(transport)), "once held back")
      // Left to itself, the stream would have ended its own direction by then.
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      const answer = yield* Effect.forkChild(textOf(b), { startImmediately: true })
      yield* transport.write(new TextEncoder().encode("answer"))
      yield* transport.halfClose
      assert.strictEqual(yield* Fiber.join(answer), "answer")
      yield* transport.closed
    }))

  it.live("hears errors that nobody else listens to, also those that come when it has let go", () =>
    Effect.gen(function*() {
      const native = Object.assign(new Error("broken pipe"), { code: "EPIPE" })
      const failing = yield* NodeDuplex.fromDuplex(
        new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done(native) })
      )
      const writing = yield* Effect.flip(failing.write(new Uint8Array(100_000)))
      for (const error of [writing, yield* Effect.flip(failing.closed)]) {
        assert.deepStrictEqual([error.reason._tag, error.cause], ["Reset", native])
      }

      const late = new Duplex({
        read: () => {},
        write: (_chunk, _encoding, done) => done(),
        destroy: (_, done) => setImmediate(() => done(native))
      })
      const transport = yield* NodeDuplex.fromDuplex(late, brief)
      yield* transport.close
      yield* transport.closed
      assert.strictEqual(late.errored, native)
      assert.deepStrictEqual(late.eventNames().filter((name) => late.listenerCount(name) > 0), [])
    }).pipe(quietly))

  it.live("takes a stream that somebody else destroys for a reset, and one that emits a bare error for failed", () =>
    Effect.gen(function*() {
      const [a] = Stream.duplexPair()
      const transport = yield* NodeDuplex.fromDuplex(a)
      const reading = yield* Effect.forkChild(Effect.flip(Transport.readUntilEnd(transport)), {
        startImmediately: true
      })
      a.destroy()
      assert.strictEqual((yield* Fiber.join(reading)).reason._tag, "Reset")

      const [b] = Stream.duplexPair({ autoDestroy: false })
      const bare = yield* NodeDuplex.fromDuplex(b)
      const why = new Error("bare")
      b.emit("error", why)
      const error = yield* Effect.flip(bare.closed)
      assert.deepStrictEqual([error.reason._tag, error.cause, b.destroyed], ["Failed", why, true])
    }))

  it.live("closes in bounded time while the stream takes for ever over a write or its end", () =>
    Effect.gen(function*() {
      const read = () => {}
      const write = (_chunk: Buffer, _encoding: BufferEncoding, done: () => void) => done()
      for (const stuck of [new Duplex({ read, write: () => {} }), new Duplex({ read, write, final: () => {} })]) {
        const transport = yield* NodeDuplex.fromDuplex(stuck, { closeTimeout: 10 })
        yield* transport.write(new Uint8Array(1))
        const error = yield* Effect.flip(transport.close)
        assert.deepStrictEqual(error.reason, new TransportError.TimedOut({ phase: "flush" }))
        assert.isTrue(stuck.destroyed)
      }
    }).pipe(quietly))

  it.live("fails the writes of a stream that takes none, when it is aborted, and bounds what waits there", () =>
    Effect.gen(function*() {
      let offered = 0
      const stuck = new Duplex({
        read: () => {},
        writableHighWaterMark: 1,
        write: (chunk: Buffer) => void (offered += chunk.length)
      })
      const transport = yield* NodeDuplex.fromDuplex(stuck)
      const begun = yield* Effect.forkChild(Effect.flip(transport.write(new Uint8Array(200_000))), {
        startImmediately: true
      })
      const waiting = yield* Effect.forkChild(Effect.flip(transport.write(new Uint8Array(1))), {
        startImmediately: true
      })
      assert.deepStrictEqual([offered, stuck.writableLength], [200_000, 200_000])
      yield* transport.abort
      const failed = [yield* Fiber.join(begun), yield* Fiber.join(waiting)]
      assert.deepStrictEqual(failed.map(({ delivery, reason }) => [reason._tag, delivery]), [
        ["Closed", "Unknown"],
        ["Closed", "NotSent"]
      ])
      assert.isTrue(stuck.destroyed)
    }))

  it.live("takes a socket that is still connecting, and says that it was refused", () =>
    Effect.gen(function*() {
      const { listen } = yield* Network.Network
      const gone = yield* Effect.scoped(Effect.map(listen("tcp://127.0.0.1:0"), ({ endpoint }) => endpoint))
      const refused = yield* NodeDuplex.fromDuplex(Net.connect("port" in gone ? gone.port : 0, "127.0.0.1"))
      assert.strictEqual((yield* Effect.flip(Transport.readUntilEnd(refused))).reason._tag, "Refused")

      const listener = yield* listen("tcp://127.0.0.1:0")
      const port = "port" in listener.endpoint ? listener.endpoint.port : 0
      const transport = yield* NodeDuplex.fromDuplex(Net.connect(port, "127.0.0.1"))
      yield* transport.write(new TextEncoder().encode("early"))
      const peer = yield* listener.accept
      assert.strictEqual(text(yield* Transport.readExactly(peer, 5)), "early")
    }).pipe(Effect.provide(NodeTransport.layerNetwork)))

  it.live("takes a stream that says nothing of an encoding, as those of readable-stream 3", () =>
    Effect.gen(function*() {
      const old = Object.defineProperty(new PassThrough(), "readableEncoding", { value: undefined })
      const transport = yield* NodeDuplex.fromDuplex(old)
      yield* transport.write(new TextEncoder().encode("echo"))
      yield* transport.halfClose
      assert.strictEqual(text(yield* Transport.readUntilEnd(transport)), "echo")
      yield* transport.closed
    }))
})

describeWith(["redis-server"], "NodeDuplex.toDuplex under ioredis", () => {
  it.live("talks to a real server over a Unix socket and TCP: a hundred exchanges each, one cancelled, one aborted", () =>
    Effect.gen(function*() {
      const folder = yield* newFolder
      const { connect, listen } = yield* Network.Network
      // A port that was free a moment ago; redis takes no port 0.
      const free = yield* Effect.scoped(Effect.map(listen("tcp://127.0.0.1:0"), ({ endpoint }) => endpoint))
      const port = "port" in free ? free.port : 0
      const path = join(folder, "redis.sock")
      const options = { port: String(port), bind: "127.0.0.1", unixsocket: path, save: "", dir: folder }
      const server = yield* run(
        "redis-server",
        Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
      )
      yield* server.printed(/ready to accept connections at/)
      for (const endpoint of [`unix://${path}`, `tcp://127.0.0.1:${port}`]) {
        const client = Effect.gen(function*() {
          const duplex = yield* NodeDuplex.toDuplex(yield* connect(endpoint), { allowHalfOpen: false })
          class Connector {
            stream = duplex
            check = () => true
            connect = () => Promise.resolve(duplex)
            disconnect = () => duplex.end()
          }
          const redis = new Redis({
            Connector: Connector as never,
            lazyConnect: true,
            retryStrategy: () => null,
            maxRetriesPerRequest: 0
          })
          redis.on("error", () => {})
          yield* Effect.promise(() => redis.connect())
          return { duplex, redis }
        })
        const first = yield* client
        for (let i = 0; i < exchanges; i++) {
          const value = `${i} `.repeat(i === 50 ? 100_000 : 10)
          yield* Effect.promise(() => first.redis.set("key", value))
          assert.strictEqual(yield* Effect.promise(() => first.redis.get("key")), value)
        }
        const closed = event(first.duplex, "close")
        yield* Effect.promise(() => first.redis.quit())
        yield* closed

        // Cancelled: who waits gives up, and the connection goes with it. Aborted: the stream is broken below.
        for (const end of ["disconnect", "abort"] as const) {
          const { duplex, redis } = yield* client
          const failed = redis.blpop("nothing", 0).then(() => "answered", () => "failed")
          const closed = event(duplex, "close")
          if (end === "disconnect") redis.disconnect()
          else duplex.resetAndDestroy()
          assert.strictEqual(yield* Effect.promise(() => failed), "failed")
          yield* closed
        }
      }
    }).pipe(Effect.provide(NodeTransport.layerNetwork)))
})
