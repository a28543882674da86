import { assert, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Option, Schedule } from "effect"
import { Connection, Lines, Network, Protocol, Transport, TransportError } from "effect-transport"
import { NodeTransport } from "effect-transport/node"
import { createHash, randomBytes, randomUUID } from "node:crypto"
import { readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { folder } from "../support/folder.ts"
import { portOf, python, run } from "../support/programs.ts"
import { describeWith } from "../support/systemPrograms.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

const live = <A, E>(effect: Effect.Effect<A, E, Network.Network | import("effect").Scope.Scope>) =>
  Effect.scoped(Effect.provide(effect, NodeTransport.layerNetwork))

/** A network whose connections half-close, whatever their kind was at compile time. */
const connect = (endpoint: string, options?: NodeTransport.NodeOptions) =>
  Effect.flatMap(
    Network.Network,
    (network) =>
      Effect.map(network.connect(endpoint, options), (transport) => transport as Transport.HalfCloseableTransport)
  )

const listen = (endpoint: string, options?: NodeTransport.NodeOptions) =>
  Effect.flatMap(Network.Network, (network) => network.listen(endpoint, options))

const reasonOf = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<string> =>
  Effect.map(Effect.exit(effect), (exit) => {
    if (Exit.isSuccess(exit)) return "success"
    const error = Cause.squash(exit.cause)
    return error instanceof TransportError.TransportError
      ? error.reason._tag
      : Cause.isDone(error)
      ? "end"
      : String(error)
  })

/** Waits until something that others do is there: a file, a listener. Ends with the test's own time limit. */
const eventually = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.retry(effect, Schedule.spaced(20))

describeWith(["python3"], "a peer of Python's socket module", () => {
  it.live("gets a half-close as an end, and its late answer arrives whole", () =>
    live(Effect.gen(function*() {
      const peer = yield* python(`
server = listen(); peer, _ = server.accept()
data = read_all(peer); say("got", hashlib.sha256(data).hexdigest())
peer.sendall(b"x" * 3000000 + data); peer.close()
`)
      const client = yield* connect(`tcp://127.0.0.1:${yield* portOf(peer)}`)
      const sent = randomBytes(5_000_000)
      yield* client.write(sent)
      yield* client.halfClose
      yield* peer.printed(new RegExp(`got ${sha256(sent)}`))
      const answer = yield* Transport.readUntilEnd(client)
      assert.strictEqual(answer.length, 8_000_000)
      assert.strictEqual(sha256(answer.subarray(3_000_000)), sha256(sent))
      yield* client.closed
    })))

  it.live("sees a reset when we abort, and an end when we close", () =>
    live(Effect.gen(function*() {
      const peer = yield* python(`
server = listen()
for _ in range(2):
  peer, _ = server.accept(); say("accepted")
  try: say("read", read_all(peer))
  except ConnectionResetError: say("reset")
`)
      const port = yield* portOf(peer)
      const first = yield* connect(`tcp://127.0.0.1:${port}`)
      yield* peer.printed(/accepted/)
      yield* first.abort
      yield* peer.printed(/reset/)
      const second = yield* connect(`tcp://127.0.0.1:${port}`)
      yield* second.write(bytes("bye"))
      yield* second.close
      yield* peer.printed(/read b'bye'/)
    })))

  it.live("resets: what had arrived is read first, then Reset, and nothing hangs", () =>
    live(Effect.gen(function*() {
      const peer = yield* python(`
server = listen(); peer, _ = server.accept()
peer.sendall(b"last words"); sys.stdin.readline(); reset(peer); say("gone")
`)
      const client = yield* connect(`tcp://127.0.0.1:${yield* portOf(peer)}`)
      yield* eventually(
        Effect.flatMap(client.buffered, ({ reading }) => reading === 10 ? Effect.void : Effect.fail("not yet"))
      )
      peer.child.stdin!.write("\n")
      yield* peer.printed(/gone/)
      assert.strictEqual(text(yield* Transport.readExactly(client, 10)), "last words")
      assert.strictEqual(yield* reasonOf(Connection.take(client)), "Reset")
      assert.strictEqual(yield* reasonOf(client.write(bytes("x"))), "Reset")
      assert.strictEqual(yield* reasonOf(client.halfClose), "Reset")
      assert.strictEqual(yield* reasonOf(client.closed), "Reset")
      yield* client.close
    })))

  it.live("that never reads suspends the writer, bounds the memory, and cannot hold up a close for long", () =>
    live(Effect.gen(function*() {
      const peer = yield* python(`
server = listen(); peer, _ = server.accept(); say("accepted"); sys.stdin.readline()
try: read_all(peer); say("end")
except ConnectionResetError: say("reset")
`)
      const client = yield* connect(`tcp://127.0.0.1:${yield* portOf(peer)}`, { closeTimeout: "200 millis" })
      const writing = yield* Effect.forkChild(
        Effect.forever(client.write(new Uint8Array(65_536)), { disableYield: true })
      )
      yield* peer.printed(/accepted/)
      // Its kernel and ours are full when nothing has moved for a while.
      let before = -1
      yield* eventually(Effect.flatMap(client.buffered, ({ writing }) => {
        const isSame = writing === before && writing > 0
        before = writing
        return isSame ? Effect.void : Effect.fail("still moving")
      }))
      assert.isAtMost((yield* client.buffered).writing, 65_536 * 2)
      const error = yield* Effect.flip(client.close)
      assert.deepStrictEqual(error.reason, new TransportError.TimedOut({ phase: "flush" }))
      assert.strictEqual(yield* reasonOf(Fiber.join(writing)), "TimedOut")
      peer.child.stdin!.write("\n")
      yield* peer.printed(/reset/)
    })))

  it.live("gets our whole answer although we leave its input unread", () =>
    live(Effect.gen(function*() {
      // By a thread: whether the kernel takes all that we leave unread is the kernel's affair.
      const peer = yield* python(`
import threading
server = listen(); peer, _ = server.accept()
threading.Thread(target=peer.sendall, args=[b"u" * 300000]).start()
sys.stdin.readline(); data = read_all(peer); say("got", len(data), hashlib.sha256(data).hexdigest())
`)
      // More than by default: how much has come before the close, and when the peer reads, is the scheduler's affair.
      const client = yield* connect(`tcp://127.0.0.1:${yield* portOf(peer)}`, {
        linger: { duration: "20 seconds", bytesMax: 1_048_576 }
      })
      yield* eventually(
        Effect.flatMap(client.buffered, ({ reading }) => reading > 0 ? Effect.void : Effect.fail("not yet"))
      )
      const reply = randomBytes(200_000)
      yield* client.write(reply)
      // The peer begins to read when a close that does not care would be over, and most of the answer not there yet.
      const closing = yield* Effect.forkChild(client.close)
      yield* Effect.repeat(Effect.yieldNow, { times: 1000, until: () => closing.pollUnsafe() !== undefined })
      peer.child.stdin!.write("\n")
      yield* peer.printed(new RegExp(`got 200000 ${sha256(reply)}`))
      yield* Fiber.join(closing)
    })))

  it.live("connects to us over IPv6, to a dual-stack listener, with addresses that mirror its own", () =>
    live(Effect.gen(function*() {
      const listener = yield* listen("tcp://[::]:0")
      const port = listener.endpoint._tag === "tcp" ? listener.endpoint.port : 0
      assert.isAbove(port, 0)
      for (const [family, host] of [["AF_INET6", "::1"], ["AF_INET", "127.0.0.1"]] as const) {
        const peer = yield* python(`
peer = socket.socket(socket.${family}); peer.connect(("${host}", ${port}))
say("local", peer.getsockname()[1]); sys.stdin.readline()
`)
        const accepted = yield* listener.accept
        const local = Number((yield* peer.printed(/local (\d+)/))[1])
        const seen = Option.getOrThrow(accepted.info.peer)
        assert.strictEqual("port" in seen ? seen.port : 0, local)
        assert.include(String(seen), host === "::1" ? "[::1]" : "127.0.0.1")
      }
    })))

  it.live("keeps the path that it listens on, also while its backlog is full, and whatever its type of socket", () =>
    live(Effect.gen(function*() {
      const at = yield* folder
      for (const type of ["STREAM", "DGRAM"]) {
        const path = join(at, type)
        const owner = yield* python(`
owner = socket.socket(socket.AF_UNIX, socket.SOCK_${type}); owner.bind(${JSON.stringify(path)})
clients = []
if owner.type == socket.SOCK_STREAM:
  owner.listen(0)
  try:
    while True:
      clients.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
      clients[-1].setblocking(False)
      clients[-1].connect(${JSON.stringify(path)})
  except BlockingIOError: pass
say("ready")
sys.stdin.read()
`)
        yield* owner.printed(/ready/)
        const { ino } = statSync(path)
        const network = yield* Network.Network
        assert.strictEqual(yield* reasonOf(Effect.scoped(network.listen(`unix://${path}`))), "Busy")
        assert.strictEqual(statSync(path).ino, ino)
      }
    })))
})

describeWith(["socat"], "socat", () => {
  it.live("echoes 10 MB both ways at once, over TCP and Unix sockets, both roles", () =>
    live(Effect.gen(function*() {
      const path = join(yield* folder, "echo.sock")
      yield* run("socat", [`UNIX-LISTEN:${path}`, "EXEC:cat"])
      const client = yield* eventually(connect(`unix://${path}`))
      const sent = randomBytes(10_000_000)
      const receiving = yield* Effect.forkChild(Transport.readUntilEnd(client))
      yield* client.write(sent)
      yield* client.halfClose
      assert.strictEqual(sha256(yield* Fiber.join(receiving)), sha256(sent))

      const listener = yield* listen("tcp://127.0.0.1:0")
      const file = join(yield* folder, "sent")
      writeFileSync(file, sent)
      const port = listener.endpoint._tag === "tcp" ? listener.endpoint.port : 0
      const peer = yield* run("socat", [
        "-t",
        "10",
        `OPEN:${file},rdonly!!CREATE:${file}.back`,
        `TCP:127.0.0.1:${port}`
      ])
      const accepted = yield* listener.accept
      yield* Connection.copy(accepted, accepted, { endOnDone: "close" })
      yield* peer.exited
      assert.strictEqual(sha256(readFileSync(`${file}.back`)), sha256(sent))
    })), 60_000)

  it.live("talks to us over an abstract socket", () =>
    live(Effect.gen(function*() {
      const name = `effect-transport-${randomUUID()}`
      const listener = yield* listen(`unix:@${name}`)
      const peer = yield* run("socat", ["-t", "10", "-", `ABSTRACT-CONNECT:${name}`], "hello\n")
      const accepted = yield* listener.accept
      const lines = yield* Protocol.attach(Lines.protocol(), accepted)
      assert.strictEqual(yield* Connection.take(lines), "hello")
      yield* lines.write("hello yourself")
      yield* lines.close
      assert.strictEqual(yield* peer.exited, 0)
      assert.strictEqual(peer.output(), "hello yourself\n")
    })))
})

describeWith(["redis-server"], "redis-server", () => {
  it.live("answers the same program over TCP and over a Unix socket", () =>
    live(Effect.gen(function*() {
      const path = join(yield* folder, "redis.sock")
      const reserved = yield* Effect.scoped(listen("tcp://127.0.0.1:0"))
      const port = reserved.endpoint._tag === "tcp" ? reserved.endpoint.port : 0
      yield* run("redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--unixsocket", path, "--save", ""])
      const conversation = Effect.fnUntraced(function*(transport: Transport.HalfCloseableTransport) {
        const lines = yield* Protocol.attach(Lines.protocol({ newline: "crlf" }), transport)
        const ask = (command: string) => Effect.andThen(lines.write(command), Connection.take(lines))
        assert.strictEqual(yield* ask("PING"), "+PONG")
        assert.strictEqual(yield* ask("SET key value"), "+OK")
        assert.strictEqual(yield* ask("GET key"), "$5")
        assert.strictEqual(yield* Connection.take(lines), "value")
        // A pipeline in one write, answered in order.
        yield* lines.writeAll(Array.from({ length: 1000 }, () => "INCR counter"))
        let last = ""
        for (let i = 0; i < 1000; i++) last = yield* Connection.take(lines)
        yield* lines.close
        return last
      }, Effect.scoped)
      assert.strictEqual(yield* conversation(yield* eventually(connect(`tcp://127.0.0.1:${port}`))), ":1000")
      assert.strictEqual(yield* conversation(yield* eventually(connect(`unix://${path}`))), ":2000")
    })), 60_000)
})

describeWith(["openssl"], "openssl", () => {
  it.live(
    "has a TLS conversation through copyBidirectional, its close_notify and both ends included",
    () =>
      live(Effect.gen(function*() {
        const home = yield* folder
        const made = yield* run(
          "openssl",
          "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost".split(" ")
            .concat("-keyout", join(home, "key.pem"), "-out", join(home, "cert.pem"))
        )
        assert.strictEqual(yield* made.exited, 0)
        const reserved = yield* Effect.scoped(listen("tcp://127.0.0.1:0"))
        const serverPort = reserved.endpoint._tag === "tcp" ? reserved.endpoint.port : 0
        const server = yield* run(
          "openssl",
          `s_server -rev -naccept 1 -accept ${serverPort}`.split(" ")
            .concat("-cert", join(home, "cert.pem"), "-key", join(home, "key.pem"))
        )
        yield* server.printed(/ACCEPT/)

        const listener = yield* listen("tcp://127.0.0.1:0")
        const port = listener.endpoint._tag === "tcp" ? listener.endpoint.port : 0
        const joining = yield* Effect.forkChild(Effect.scoped(Effect.gen(function*() {
          const left = yield* listener.accept
          const right = yield* connect(`tcp://127.0.0.1:${serverPort}`)
          yield* Connection.copyBidirectional(left, right)
        })))
        const client = yield* run(
          "openssl",
          `s_client -quiet -no_ign_eof -verify_return_error -connect 127.0.0.1:${port}`.split(" ")
            .concat("-CAfile", join(home, "cert.pem"))
        )
        client.child.stdin!.write("straight\n")
        yield* client.printed(/thgiarts/)
        client.child.stdin!.end()
        yield* Fiber.join(joining)
      })),
    60_000
  )
})
