import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Logger, References, Scope, Stream } from "effect"
import { Connection, EffectSocket, Network, TestTransport, Transport, TransportError } from "effect-transport"
import { Socket, SocketServer } from "effect/socket"
import * as Stdio from "effect/Stdio"

const text = (text: string) => new TextEncoder().encode(text)
const decode = (chunks: ReadonlyArray<Uint8Array | string>) =>
  chunks.map((chunk) => typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk)).join("")

const reasonOf = (cause: unknown): string => (cause as TransportError.TransportError).reason._tag

/** How a pull ends: the code of a close, or the reason of the transport's error. */
const endOf = (pull: Socket.Reader["pull"]) =>
  Effect.map(Effect.flip(pull), ({ reason }) =>
    reason._tag === "SocketCloseError"
      ? reason.code
      : reason._tag === "SocketReadError"
      ? reasonOf(reason.cause)
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

  it.effect("sends what waits before its writer's scope ends, and refuses what comes later", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const socket = EffectSocket.toSocket(a)
      yield* socket.reader
      const scope = yield* Scope.make()
      const writer = yield* Scope.provide(socket.writer, scope)
      const large = yield* Effect.forkChild(writer.write(new Uint8Array(300_000)), { startImmediately: true })
      const behind = yield* Effect.forkChild(writer.write("behind"), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual([large.pollUnsafe(), behind.pollUnsafe()], [undefined, undefined])
      const late = yield* Effect.flip(writer.write("late"))
      assert(late.reason._tag === "SocketWriteError")
      assert.strictEqual(reasonOf(late.reason.cause), "Closed")
      const all = yield* Transport.readUntilEnd(b)
      assert.deepStrictEqual([all.length, decode([all.subarray(-6)])], [300_006, "behind"])
      yield* Fiber.join(large)
      yield* Fiber.join(behind)
    }))

  it.effect("fails the writes that wait by a CloseEvent, and a second one overtakes the first", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const socket = EffectSocket.toSocket(a)
      const { pull } = yield* socket.reader
      const writer = yield* socket.writer
      const begun = yield* Effect.forkChild(Effect.exit(writer.write(new Uint8Array(300_000))), {
        startImmediately: true
      })
      const waiting = yield* Effect.forkChild(Effect.flip(writer.write("waits")), { startImmediately: true })
      yield* writer.write(new Socket.CloseEvent())
      assert.strictEqual((yield* Fiber.join(waiting)).reason._tag, "SocketWriteError")
      assert.isUndefined(begun.pollUnsafe())
      yield* writer.write(new Socket.CloseEvent(4001, "now"))
      assert.isTrue(Exit.isFailure(yield* Fiber.join(begun)))
      // The first one said how it ends.
      assert.strictEqual(yield* endOf(pull), 1000)
      assert.strictEqual((yield* Effect.flip(Transport.readUntilEnd(b))).reason._tag, "Reset")
    }))

  it.effect("has one connection: once its reader is gone it is over, for another reader as for a writer", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const socket = EffectSocket.toSocket(a)
      const writer = yield* socket.writer
      yield* Effect.scoped(socket.reader)
      for (let again = 0; again < 2; again++) {
        const end = yield* Effect.scoped(Effect.flatMap(socket.reader, ({ pull }) => endOf(pull)))
        assert.strictEqual(end, 1006)
      }
      assert.strictEqual((yield* Effect.flip(writer.write("late"))).reason._tag, "SocketWriteError")
      assert.lengthOf(yield* Transport.readUntilEnd(b), 0)
    }))

  it.effect("refuses a second pull and an upgrade, and the first pull goes on", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const { pull, upgrade } = yield* EffectSocket.toSocket(a).reader
      const first = yield* Effect.forkChild(pull, { startImmediately: true })
      assert.strictEqual(yield* endOf(pull), "Busy")
      assert.strictEqual((yield* Effect.flip(upgrade())).reason._tag, "SocketUpgradeError")
      yield* b.write(text("first"))
      assert.strictEqual(decode(yield* Fiber.join(first)), "first")
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

  it.effect("dials again after the peer's end and after its reset, with what was written meanwhile", () =>
    Effect.gen(function*() {
      const { connect, listen } = yield* Network.Network
      const listener = yield* listen("memory:here")
      const socket = yield* EffectSocket.makeSocket(connect("memory:here"))
      const writer = yield* socket.writer
      const ends: Array<unknown> = []
      // As a program of Effect does it: the loop goes round with each end.
      yield* Effect.forkScoped(Effect.forever(Effect.scoped(Effect.flatMap(
        socket.reader,
        ({ pull }) => Effect.map(endOf(pull), (end) => ends.push(end))
      ))))
      for (const end of ["close", "abort", "close"] as const) {
        const peer = yield* listener.accept
        yield* writer.write(end)
        assert.strictEqual(decode([yield* Transport.readExactly(peer, 5)]), end)
        yield* peer[end]
      }
      yield* listener.accept
      assert.deepStrictEqual(ends, [1000, "Reset", 1000])
    }).pipe(Effect.provide(TestTransport.layerNetwork)))

  it.effect("leaves nothing of a dial that was interrupted half-way, and the next reader dials again", () =>
    Effect.gen(function*() {
      const { connect, listen } = yield* Network.Network
      const listener = yield* listen("memory:here")
      let isSlow = true
      const dial = Effect.tap(connect("memory:here"), () => isSlow ? Effect.never : Effect.void)
      const socket = yield* EffectSocket.makeSocket(dial)
      const writer = yield* socket.writer
      const writing = yield* Effect.forkChild(writer.write("for the next"), { startImmediately: true })
      const opening = yield* Effect.forkChild(Effect.scoped(socket.reader), { startImmediately: true })
      const first = yield* listener.accept
      yield* Fiber.interrupt(opening)
      assert.lengthOf(yield* Transport.readUntilEnd(first), 0)
      assert.isUndefined(writing.pollUnsafe())

      isSlow = false
      yield* socket.reader
      yield* Fiber.join(writing)
      const second = yield* listener.accept
      assert.strictEqual(decode([yield* Transport.readExactly(second, 12)]), "for the next")
    }).pipe(Effect.provide(TestTransport.layerNetwork)))

  it.effect("gives each reader a connection of its own, and writes go to the latest", () =>
    Effect.gen(function*() {
      const { connect, listen } = yield* Network.Network
      const listener = yield* listen("memory:here")
      const socket = yield* EffectSocket.makeSocket(connect("memory:here"))
      const writer = yield* socket.writer
      const older = yield* Scope.make()
      const first = yield* Scope.provide(socket.reader, older)
      const one = yield* listener.accept
      const second = yield* socket.reader
      const two = yield* listener.accept
      yield* Effect.all([one.write(text("one")), two.write(text("two"))])
      assert.deepStrictEqual([decode(yield* first.pull), decode(yield* second.pull)], ["one", "two"])
      yield* Scope.close(older, Exit.void)
      assert.strictEqual(yield* endOf(first.pull), 1006)
      yield* writer.write("latest")
      assert.strictEqual(decode([yield* Transport.readExactly(two, 6)]), "latest")
      assert.lengthOf(yield* Transport.readUntilEnd(one), 0)
    }).pipe(Effect.provide(TestTransport.layerNetwork)))

  it.effect("fails a write that waits for room when its reader's scope ends", () =>
    Effect.gen(function*() {
      const { connect, listen } = yield* Network.Network
      yield* listen("memory:here")
      const socket = yield* EffectSocket.makeSocket(connect("memory:here", { onScopeExit: () => "abort" }))
      const writer = yield* socket.writer
      const scope = yield* Scope.make()
      yield* Scope.provide(socket.reader, scope)
      const writing = yield* Effect.forkChild(Effect.flip(writer.write(new Uint8Array(1_000_000))), {
        startImmediately: true
      })
      yield* Scope.close(scope, Exit.void)
      const { reason } = yield* Fiber.join(writing)
      assert(reason._tag === "SocketWriteError")
      assert.strictEqual(reasonOf(reason.cause), "Closed")
    }).pipe(Effect.provide(TestTransport.layerNetwork)))

  it.effect("shows the peer a reset where a failure cuts a program short, before or behind its reader", () =>
    Effect.gen(function*() {
      const { connect, listen } = yield* Network.Network
      const scope = yield* Effect.scope
      const listener = yield* listen("memory:here")
      const dialling = yield* EffectSocket.makeSocket(connect("memory:here"))
      for (const isWriterFirst of [true, false]) {
        const [a, b] = yield* TestTransport.pair()
        const opened = [
          [EffectSocket.toSocket(a), Effect.succeed(b)],
          [dialling, Scope.provide(listener.accept, scope)]
        ] as const
        for (const [socket, accept] of opened) {
          let reading: Fiber.Fiber<TransportError.TransportError, Uint8Array> | undefined
          yield* Effect.flip(Effect.scoped(Effect.gen(function*() {
            if (isWriterFirst) yield* socket.writer
            yield* socket.reader
            if (!isWriterFirst) yield* socket.writer
            const peer = yield* accept
            reading = yield* Effect.forkIn(Effect.flip(Transport.readUntilEnd(peer)), scope, { startImmediately: true })
            return yield* Effect.fail("no")
          })))
          assert.strictEqual((yield* Fiber.join(reading!)).reason._tag, "Reset")
        }
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

  it.effect("lets go of a socket whose opening is interrupted half-way", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const ours = EffectSocket.toSocket(a)
      const slow = Socket.make({ reader: Effect.tap(ours.reader, () => Effect.never), writer: ours.writer })
      const opening = yield* Effect.forkChild(Effect.scoped(EffectSocket.fromSocket(slow, "memory:x")), {
        startImmediately: true
      })
      assert.strictEqual((yield* Effect.flip(Effect.scoped(a.reader))).reason._tag, "Busy")
      yield* Fiber.interrupt(opening)
      yield* Effect.scoped(a.reader)
      assert.lengthOf(yield* Transport.readUntilEnd(b), 0)
    }))

  it.effect("lets go of a socket that cannot be opened, with the error of that", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const ours = EffectSocket.toSocket(a)
      const refused = new Socket.SocketError({
        reason: new Socket.SocketOpenError({ kind: "Timeout", cause: new Error("too slow") })
      })
      const failing = Socket.make({ reader: Effect.tap(ours.reader, () => refused), writer: ours.writer })
      const error = yield* Effect.flip(Effect.scoped(EffectSocket.fromSocket(failing, "memory:x")))
      assert.deepStrictEqual(error.reason, new TransportError.TimedOut({ phase: "connect" }))
      assert.strictEqual(error.cause, refused)
      yield* Effect.scoped(a.reader)
      assert.lengthOf(yield* Transport.readUntilEnd(b), 0)
    }))

  it.effect("aborts at once a socket that takes for ever over what it is given, and lets go of it", () =>
    Effect.gen(function*() {
      let left = 0
      let interrupted = 0
      const leaving = Effect.addFinalizer(() => Effect.sync(() => left++))
      const stuck = Socket.make({
        reader: Effect.as(leaving, { pull: Effect.never, upgrade: Socket.SocketUpgradeError.unsupported }),
        writer: Effect.as(leaving, {
          write: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++)),
          writeAll: () => Effect.never
        })
      })
      const transport = yield* EffectSocket.fromSocket(stuck, "memory:x")
      const reading = yield* Effect.forkChild(Effect.flip(Transport.readExactly(transport, 1)), {
        startImmediately: true
      })
      const writing = yield* Effect.forkChild(Effect.flip(transport.write(new Uint8Array(100_000))), {
        startImmediately: true
      })
      yield* transport.abort
      assert.strictEqual((yield* Fiber.join(reading)).reason._tag, "Closed")
      assert.strictEqual((yield* Fiber.join(writing)).delivery, "Unknown")
      assert.strictEqual((yield* Effect.flip(transport.closed)).reason._tag, "Closed")
      assert.strictEqual(left, 2)
      // The write, and the CloseEvent of the abort.
      assert.strictEqual(interrupted, 2)
    }))

  it.effect("pulls no more than the read mark and a batch while nobody reads", () =>
    Effect.gen(function*() {
      let given = 0
      const endless = Socket.make({
        reader: Effect.succeed({
          pull: Effect.sync((): readonly [Uint8Array, Uint8Array] => {
            given += 20_000
            return [new Uint8Array(10_000), new Uint8Array(10_000)]
          }),
          upgrade: Socket.SocketUpgradeError.unsupported
        }),
        writer: Effect.succeed({ write: () => Effect.void, writeAll: () => Effect.void })
      })
      const transport = yield* EffectSocket.fromSocket(endless, "memory:x")
      for (let turn = 0; turn < 50; turn++) yield* Effect.yieldNow
      assert.isAtMost(given, 65_536 + 20_000)
      assert.isAtMost((yield* transport.buffered).reading, 65_536)
      yield* Transport.readExactly(transport, 200_000)
      assert.isAtLeast(given, 200_000)
      yield* transport.abort
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

  it.effect("that fail, die or are interrupted end their own connection alone", () =>
    Effect.gen(function*() {
      const { connect, listen } = yield* Network.Network
      const server = EffectSocket.toSocketServer(yield* listen("memory:handlers"))
      const ways: Readonly<Record<string, Effect.Effect<never, string>>> = {
        fails: Effect.fail("no"),
        dies: Effect.die("bug"),
        "is interrupted": Effect.interrupt
      }
      yield* Effect.forkScoped(Effect.provideService(
        server.run((socket) =>
          Effect.scoped(Effect.gen(function*() {
            const pull = yield* Socket.readerString(socket)
            const writer = yield* socket.writer
            for (;;) {
              const word = (yield* pull).join("")
              yield* ways[word] ?? writer.write(word)
            }
          }))
        ),
        References.MinimumLogLevel,
        "None"
      ))
      const bystander = yield* connect("memory:handlers")
      const ends: Array<string> = []
      for (const way of Object.keys(ways)) {
        const client = yield* connect("memory:handlers")
        yield* client.write(text(way))
        const end = yield* Effect.exit(Transport.readUntilEnd(client))
        ends.push(Exit.isSuccess(end) ? "end" : "reset")
        yield* bystander.write(text("still there"))
        assert.strictEqual(decode([yield* Transport.readExactly(bystander, 11)]), "still there")
      }
      // An interruption is how programs of Effect hang up.
      assert.deepStrictEqual(ends, ["reset", "reset", "end"])
    }).pipe(Effect.provide(TestTransport.layerNetwork)))

  it.effect("are interrupted with their server, which does not run again", () =>
    Effect.gen(function*() {
      const { connect, listen } = yield* Network.Network
      const server = EffectSocket.toSocketServer(yield* listen("memory:handlers"))
      const begun = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      const running = yield* Effect.forkChild(Effect.provideService(
        server.run(() =>
          Effect.andThen(Deferred.succeed(begun, undefined), Effect.never).pipe(
            Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
          )
        ),
        References.MinimumLogLevel,
        "None"
      ))
      const client = yield* connect("memory:handlers")
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(running)
      yield* Deferred.await(interrupted)
      assert.strictEqual((yield* Effect.flip(Transport.readUntilEnd(client))).reason._tag, "Reset")
      const { reason } = yield* Effect.flip(server.run(() => Effect.void))
      assert.strictEqual(reasonOf(reason.cause), "Closed")
      assert.strictEqual((yield* Effect.flip(connect("memory:handlers"))).reason._tag, "Refused")
    }).pipe(Effect.provide(TestTransport.layerNetwork)))
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
