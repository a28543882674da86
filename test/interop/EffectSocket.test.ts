import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Logger, Scope, Stream } from "effect"
import { Connection, EffectSocket, Network, TestTransport, Transport } from "effect-transport"
import { Socket, SocketServer } from "effect/socket"
import * as Stdio from "effect/Stdio"

const text = (text: string) => new TextEncoder().encode(text)
const decode = (chunks: ReadonlyArray<Uint8Array | string>) =>
  chunks.map((chunk) => typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk)).join("")

/** How a pull ends: the code of a close, or the reason of the transport's error. */
const endOf = (pull: Socket.Reader["pull"]) =>
  Effect.map(Effect.flip(pull), ({ reason }) =>
    reason._tag === "SocketCloseError"
      ? reason.code
      : reason._tag === "SocketReadError"
      ? (reason.cause as { readonly reason: { readonly _tag: string } }).reason._tag
      : reason._tag)

describe("EffectSocket.toSocket", () => {
  it.effect("tells the peer's end, its abort, and our own end apart", () =>
    Effect.gen(function*() {
      const ends: Array<unknown> = []
      for (const end of ["halfClose", "abort", "own"] as const) {
        const [a, b] = yield* TestTransport.pair()
        const scope = yield* Scope.make()
        const { pull } = yield* Scope.provide(EffectSocket.toSocket(a).reader, scope)
        const pulling = yield* Effect.forkChild(endOf(pull), { startImmediately: true })
        yield* end === "own" ? Scope.close(scope, Exit.void) : b[end]
        ends.push(yield* Fiber.join(pulling))
      }
      assert.deepStrictEqual(ends, [1000, "Reset", 1006])
    }))

  it.effect("hangs up by success, interruption and a socket's error, and aborts by any other failure", () =>
    Effect.gen(function*() {
      const exits: ReadonlyArray<Exit.Exit<void, unknown>> = [
        Exit.void,
        Exit.interrupt(),
        Exit.fail(new Socket.SocketError({ reason: new Socket.SocketCloseError({ code: 1000 }) })),
        Exit.fail("something else")
      ]
      const seen = yield* Effect.forEach(exits, (exit) =>
        Effect.gen(function*() {
          const [a, b] = yield* TestTransport.pair()
          const scope = yield* Scope.make()
          yield* Scope.provide(EffectSocket.toSocket(a).reader, scope)
          yield* Scope.close(scope, exit)
          return Exit.isSuccess(yield* Effect.exit(Transport.readUntilEnd(b))) ? "end" : "reset"
        }))
      assert.deepStrictEqual(seen, ["end", "end", "end", "reset"])
    }))

  it.effect("half-closes with the writer's scope, and never waits for a peer that does not read", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const socket = EffectSocket.toSocket(a)
      const { pull } = yield* socket.reader
      yield* Effect.scoped(Effect.gen(function*() {
        const writer = yield* socket.writer
        yield* Effect.forkScoped(writer.writeAll([new Uint8Array(200_000), "end"]), { startImmediately: true })
      }))
      yield* b.write(text("still there"))
      assert.strictEqual(decode(yield* pull), "still there")
      assert.isAtLeast((yield* Transport.readUntilEnd(b)).length, 200_000)
    }))

  it.effect("closes by a CloseEvent of 1000, aborts by others, and pulls say its code", () =>
    Effect.gen(function*() {
      const seen = yield* Effect.forEach([1000, 1009], (code) =>
        Effect.gen(function*() {
          const [a, b] = yield* TestTransport.pair()
          const socket = EffectSocket.toSocket(a)
          const { pull } = yield* socket.reader
          const writer = yield* socket.writer
          yield* writer.write("last")
          yield* writer.write(new Socket.CloseEvent(code, "why"))
          const end = yield* endOf(pull)
          const peer = yield* Effect.exit(Transport.readUntilEnd(b))
          return [end, Exit.isSuccess(peer) ? decode([peer.value]) : "reset"]
        }))
      assert.deepStrictEqual(seen, [[1000, "last"], [1009, "reset"]])
    }))

  it.effect("harms nobody who reads already", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const first = yield* a.reader
      const error = yield* Effect.flip(Effect.scoped(EffectSocket.toSocket(a).reader))
      assert.strictEqual(error.reason._tag, "SocketOpenError")
      yield* b.write(text("x"))
      assert.strictEqual(decode(yield* Effect.orDie(first.pull)), "x")
    }))
})

describe("EffectSocket.makeSocket", () => {
  it.effect("dials for each reader, keeps writes until then, and leaves no connection behind", () =>
    Effect.gen(function*() {
      const { connect, listen } = yield* Network.Network
      const scope = yield* Effect.scope
      const listener = yield* listen("memory:here")
      const socket = yield* EffectSocket.makeSocket(connect("memory:here"))
      const writer = yield* socket.writer
      for (const word of ["one", "two"]) {
        const writing = yield* Effect.forkChild(writer.write(word), { startImmediately: true })
        assert.isUndefined(writing.pollUnsafe())
        const peer = yield* Effect.scoped(Effect.gen(function*() {
          yield* socket.reader
          // Of the listener's scope: it outlives the reader's.
          const peer = yield* Scope.provide(listener.accept, scope)
          yield* Fiber.join(writing)
          assert.strictEqual(decode([yield* Transport.readExactly(peer, 3)]), word)
          return peer
        }))
        assert.lengthOf(yield* Transport.readUntilEnd(peer), 0)
      }
    }).pipe(Effect.provide(TestTransport.layerNetwork)))

  it.effect("fails to open with the transport's error", () =>
    Effect.gen(function*() {
      const socket = yield* Socket.Socket
      const { reason } = yield* Effect.flip(Effect.scoped(socket.reader))
      assert.strictEqual(reason._tag, "SocketOpenError")
      const back = yield* Effect.flip(EffectSocket.fromSocket(socket, "memory:nobody"))
      assert.strictEqual(back.reason._tag, "Refused")
    }).pipe(Effect.provide(Layer.provide(EffectSocket.layerSocket("memory:nobody"), TestTransport.layerNetwork))))
})

describe("EffectSocket.fromSocket", () => {
  it.effect("refuses a wrong option or endpoint before anything is dialled", () =>
    Effect.gen(function*() {
      const socket = Socket.make({ reader: Effect.die("dialled"), writer: Effect.die("acquired") })
      const reasons = [
        yield* Effect.flip(EffectSocket.fromSocket(socket, "tcp://" as string)),
        yield* Effect.flip(EffectSocket.fromSocket(socket, "memory:x", { highWaterMark: -1 }))
      ]
      assert.deepStrictEqual(reasons.map(({ reason }) => reason._tag), ["InvalidOption", "InvalidOption"])
    }))
})

describe("EffectSocket.toSocketServer", () => {
  it.effect("runs a handler for each connection, and says where it listens", () =>
    Effect.gen(function*() {
      const server = yield* SocketServer.SocketServer
      assert.strictEqual(String(server.address).includes("memory:echo"), true)
      yield* Effect.forkScoped(server.run((socket) =>
        Effect.scoped(Effect.gen(function*() {
          const { pull } = yield* socket.reader
          const writer = yield* socket.writer
          return yield* Effect.forever(Effect.flatMap(pull, writer.writeAll))
        })).pipe(Effect.catchReason("SocketError", "SocketCloseError", () => Effect.void))
      ))
      const { connect } = yield* Network.Network
      const client = yield* connect("memory:echo")
      yield* client.write(text("echo"))
      assert.strictEqual(decode([yield* Transport.readExactly(client, 4)]), "echo")
      yield* client.halfClose
      assert.lengthOf(yield* Transport.readUntilEnd(client), 0)
    }).pipe(
      Effect.provide(Layer.provideMerge(EffectSocket.layerSocketServer("memory:echo"), TestTransport.layerNetwork))
    ))
})

describe("EffectSocket.toSocketServer and its handlers", () => {
  /** What is logged while one client talks to a server with this handler. */
  const logged = (
    handler: (socket: Socket.Socket) => Effect.Effect<void, unknown>,
    talk: (client: Transport.HalfCloseableTransport) => Effect.Effect<void, unknown>
  ) =>
    Effect.gen(function*() {
      const messages: Array<string> = []
      const logger = Logger.make<unknown, void>(({ message }) => void messages.push(String(message)))
      const { connect, listen } = yield* Network.Network
      const server = EffectSocket.toSocketServer(yield* listen("memory:handlers"))
      const done = yield* Deferred.make<void>()
      yield* Effect.forkScoped(Effect.provide(
        server.run((socket) => Effect.ensuring(handler(socket), Deferred.succeed(done, undefined))),
        Logger.layer([logger])
      ))
      yield* talk(yield* connect("memory:handlers"))
      yield* Deferred.await(done)
      for (let turn = 0; turn < 20; turn++) yield* Effect.yieldNow
      return messages
    }).pipe(Effect.provide(TestTransport.layerNetwork))

  /** It ends as sockets of Effect do: by failing. */
  const echo = (socket: Socket.Socket) =>
    Effect.scoped(Effect.gen(function*() {
      const { pull } = yield* socket.reader
      const writer = yield* socket.writer
      return yield* Effect.forever(Effect.flatMap(pull, writer.writeAll))
    }))

  it.effect("take the end of the peer for no failure, and what they wrote last goes out", () =>
    Effect.gen(function*() {
      const sent = new Uint8Array(500_000).fill(7)
      const messages = yield* logged(echo, (client) =>
        Effect.gen(function*() {
          yield* Effect.forkChild(Effect.andThen(client.write(sent), client.halfClose))
          assert.deepStrictEqual(yield* Transport.readUntilEnd(client), sent)
        }))
      assert.deepStrictEqual(messages, [])
    }))

  it.effect("are logged where the connection broke, or they failed themselves", () =>
    Effect.gen(function*() {
      assert.lengthOf(yield* logged(echo, (client) => client.abort), 1)
      const failing = () => Effect.fail("no")
      assert.lengthOf(yield* logged(failing, (client) => Effect.exit(Transport.readUntilEnd(client))), 1)
    }))
})

describe("EffectSocket.toStdio", () => {
  it.effect("reads to the peer's end, and half-closes where it is asked to", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const stdio: Stdio.Stdio = EffectSocket.toStdio(a, { args: ["-v"] })
      yield* b.write(text("in"))
      yield* b.halfClose
      assert.strictEqual(decode(yield* Stream.runCollect(stdio.stdin)), "in")
      yield* Stream.run(Stream.make("o", text("u")), stdio.stdout())
      yield* Stream.run(Stream.make("t"), stdio.stdout({ endOnDone: true }))
      assert.strictEqual(decode(yield* Stream.runCollect(Connection.stream(b))), "out")
      assert.deepStrictEqual(yield* stdio.args, ["-v"])
    }))

  it.effect("fails with a PlatformError that has ours as its cause", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      yield* b.abort
      const error = yield* Effect.flip(Stream.runDrain(EffectSocket.toStdio(a).stdin))
      assert.strictEqual(error._tag, "PlatformError")
      assert.include(error.message, "reset")
    }))
})
