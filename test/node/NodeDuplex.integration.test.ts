import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { Network, TestTransport, Transport, TransportError } from "effect-transport"
import { NodeDuplex, NodeTransport } from "effect-transport/node"
import { TestClock } from "effect/testing"
import { Redis } from "ioredis"
import { mkdtempSync, rmSync } from "node:fs"
import * as Http from "node:http"
import * as Http2 from "node:http2"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Duplex, PassThrough } from "node:stream"
import { duplexes, event, media } from "../support/duplexes.ts"
import { run } from "../support/programs.ts"
import { describeWith } from "../support/systemPrograms.ts"

const exchanges = 100

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
    }))

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
})

describeWith(["redis-server"], "NodeDuplex.toDuplex under ioredis", () => {
  it.live("talks to a real server over a Unix socket and TCP: a hundred exchanges each, one cancelled, one aborted", () =>
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-transport-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
      )
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
