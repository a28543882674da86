import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Option, Scope } from "effect"
import { Connection, Endpoint, Network, Transport, TransportError } from "effect-transport"
import { NodeTransport } from "effect-transport/node"
import { AddressResolver, Dns } from "effect/net"
import { TestClock } from "effect/testing"
import { chmodSync, existsSync, statSync, writeFileSync } from "node:fs"
import * as Net from "node:net"
import { join } from "node:path"
import { folder } from "../support/folder.ts"
import { run } from "../support/programs.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

const live = <A, E>(effect: Effect.Effect<A, E, Network.Network | Scope.Scope>) =>
  Effect.scoped(Effect.provide(effect, NodeTransport.layerNetwork))

const connect = (endpoint: string | Endpoint.Endpoint, options?: NodeTransport.NodeOptions) =>
  Effect.flatMap(
    Network.Network,
    (network) =>
      Effect.map(network.connect(endpoint, options), (transport) => transport as Transport.HalfCloseableTransport)
  )

const listen = (endpoint: string | Endpoint.Endpoint, options?: NodeTransport.NodeOptions) =>
  Effect.flatMap(Network.Network, (network) => network.listen(endpoint, options))

const errorOf = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<TransportError.TransportError, never, R> =>
  Effect.map(Effect.exit(effect), (exit) => {
    const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : "success"
    if (error instanceof TransportError.TransportError) return error
    throw new Error(`expected a TransportError, got ${String(error)}`)
  })

const reasonOf = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.map(errorOf(effect), ({ reason }) => reason._tag)

const portOf = ({ endpoint }: { readonly endpoint: Endpoint.Endpoint }) => endpoint._tag === "tcp" ? endpoint.port : 0

/** A port that nobody listens on. */
const freePort = Effect.scoped(Effect.map(listen("tcp://127.0.0.1:0"), portOf))

describe("connecting", () => {
  it.live("to nobody is refused, and the message is a sentence", () =>
    live(Effect.gen(function*() {
      const error = yield* errorOf(connect("tcp://127.0.0.1:1"))
      assert.strictEqual(error.reason._tag, "Refused")
      assert.strictEqual(error.message, "open tcp://127.0.0.1:1: the connection was refused")
      assert.instanceOf(error.cause, Error)
    })))

  it.live("to a path that is not there says which", () =>
    live(Effect.gen(function*() {
      const error = yield* errorOf(connect("unix:///nowhere/at/all.sock"))
      assert.strictEqual(error.reason._tag, "NotFound")
      assert.include(error.message, "/nowhere/at/all.sock")
      assert.strictEqual(yield* reasonOf(connect("unix:@effect-transport-nobody")), "Refused")
    })))

  it.live("to a network without a way there is unreachable", () =>
    live(Effect.gen(function*() {
      // A multicast address has no TCP.
      assert.strictEqual(yield* reasonOf(connect("tcp://224.0.0.1:9", { connectTimeout: "2 seconds" })), "Unreachable")
    })))

  it.live("to a kind that has no door here is unsupported", () =>
    live(Effect.gen(function*() {
      assert.strictEqual(yield* reasonOf(connect("memory:x")), "Unsupported")
      assert.strictEqual(yield* reasonOf(connect("tls://127.0.0.1:443")), "Unsupported")
      assert.strictEqual(yield* reasonOf(listen("memory:x")), "Unsupported")
    })))

  it.live("with no time at all never dials", () =>
    live(Effect.gen(function*() {
      const listener = yield* listen("tcp://127.0.0.1:0")
      const error = yield* errorOf(connect(listener.endpoint, { connectTimeout: 0 }))
      assert.deepStrictEqual(error.reason, new TransportError.TimedOut({ phase: "connect" }))
      const path = join(yield* folder, "x.sock")
      yield* listen(`unix://${path}`)
      assert.strictEqual(yield* reasonOf(connect(`unix://${path}`, { connectTimeout: 0 })), "TimedOut")
    })))

  it.live("goes by the network's options where those given are undefined", () => {
    const never = NodeTransport.layerNetworkWith({ connectTimeout: 0 }).pipe(
      Layer.provide(AddressResolver.layer()),
      Layer.provide(Dns.layerStatic({ hosts: {} }))
    )
    return connect("tcp://127.0.0.1:1", { connectTimeout: undefined }).pipe(
      reasonOf,
      Effect.map((reason) => assert.strictEqual(reason, "TimedOut")),
      Effect.scoped,
      Effect.provide(never)
    )
  })

  it.live("from a local address", () =>
    live(Effect.gen(function*() {
      const listener = yield* listen("tcp://127.0.0.1:0")
      const client = yield* connect(listener.endpoint, { localAddress: "127.0.0.9" })
      const accepted = yield* listener.accept
      assert.include(String(Option.getOrThrow(client.info.local)), "127.0.0.9:")
      assert.include(String(Option.getOrThrow(accepted.info.peer)), "127.0.0.9:")
      assert.strictEqual(
        String(Option.getOrThrow(client.info.local)),
        String(Option.getOrThrow(accepted.info.peer))
      )
    })))

  const named = (zone: Dns.StaticZone) => (effect: Effect.Effect<void, unknown, Network.Network | Scope.Scope>) =>
    Effect.scoped(Effect.provide(
      effect,
      NodeTransport.layerNetworkWith().pipe(
        Layer.provide(AddressResolver.layer()),
        Layer.provide(Dns.layerStatic(zone))
      )
    ))

  it.live("to a name tries all its addresses", () =>
    Effect.gen(function*() {
      const port = yield* Effect.scoped(Effect.provide(freePort, NodeTransport.layerNetwork))
      yield* named({ hosts: { "both.test": ["::1", "127.0.0.1"] } })(
        Effect.gen(function*() {
          const listener = yield* listen(`tcp://127.0.0.1:${port}`)
          const client = yield* connect(`tcp://both.test:${port}`)
          assert.include(String(Option.getOrThrow(client.info.peer)), "127.0.0.1")
          yield* listener.accept
        })
      )
      yield* named({ hosts: { "both.test": ["::1", "127.0.0.1"] } })(
        Effect.gen(function*() {
          const { reason } = yield* errorOf(connect(`tcp://both.test:${port}`))
          assert.strictEqual(reason._tag, "AllAttemptsFailed")
          if (reason._tag === "AllAttemptsFailed") {
            assert.deepStrictEqual(reason.attempts.map((attempt) => attempt.endpoint), [
              `tcp://[::1]:${port}`,
              `tcp://127.0.0.1:${port}`
            ])
          }
          assert.strictEqual(yield* reasonOf(connect(`tcp://nobody.test:${port}`)), "NameNotFound")
        })
      )
    }))
})

describe("bad input", () => {
  it.live("is refused before anything is opened, with what was wrong", () =>
    live(Effect.gen(function*() {
      const wrong: ReadonlyArray<readonly [string, NodeTransport.NodeOptions]> = [
        ["noDelay", { noDelay: 1 as unknown as boolean }],
        ["reusePort", { reusePort: "yes" as unknown as boolean }],
        ["ipv6Only", { ipv6Only: null as unknown as boolean }],
        ["keepAlive", { keepAlive: -1 }],
        ["keepAlive", { keepAlive: 10 }],
        ["connectTimeout", { connectTimeout: -1 }],
        ["connectTimeout", { connectTimeout: "soon" as unknown as number }],
        ["localAddress", { localAddress: "nowhere" }],
        ["backlog", { backlog: 0 }],
        ["backlog", { backlog: 1.5 }],
        ["mode", { mode: 0o1000 }],
        ["highWaterMark", { highWaterMark: -1 }]
      ]
      for (const [field, options] of wrong) {
        for (const open of [connect("tcp://127.0.0.1:0", options), listen("tcp://127.0.0.1:0", options)]) {
          const { reason } = yield* errorOf<unknown, unknown, Network.Network | Scope.Scope>(open)
          assert.strictEqual(reason._tag === "InvalidOption" && reason.field, field)
        }
      }
      for (const endpoint of ["tcp://127.0.0.1", "tcp://:1", "nonsense", "", "tcp://127.0.0.1:99999"]) {
        assert.strictEqual(yield* reasonOf(connect(endpoint)), "InvalidOption")
      }
      for (const endpoint of [null, 7, {}, { _tag: "tcp" }, { _tag: "tcp", host: "x", port: "1" }]) {
        assert.strictEqual(yield* reasonOf(connect(endpoint as unknown as Endpoint.Endpoint)), "InvalidOption")
      }
    })))
})

describe("listening", () => {
  it.live("on port 0 reports the real port, and on a port that is taken is busy", () =>
    live(Effect.gen(function*() {
      const listener = yield* listen("tcp://127.0.0.1:0")
      assert.isAbove(portOf(listener), 0)
      const error = yield* errorOf(listen(listener.endpoint))
      assert.deepStrictEqual(error.reason, new TransportError.Busy({ what: "address" }))
      assert.strictEqual(error.operation, "listen")
    })))

  it.live("with reusePort several share one port", () =>
    live(Effect.gen(function*() {
      const listener = yield* listen("tcp://127.0.0.1:0", { reusePort: true })
      yield* listen(listener.endpoint, { reusePort: true })
    })))

  it.live("on IPv6 alone, or dual-stack by default", () =>
    live(Effect.gen(function*() {
      const dual = yield* listen("tcp://[::]:0")
      yield* connect(`tcp://127.0.0.1:${portOf(dual)}`)
      const alone = yield* listen("tcp://[::]:0", { ipv6Only: true })
      yield* connect(`tcp://[::1]:${portOf(alone)}`)
      assert.strictEqual(yield* reasonOf(connect(`tcp://127.0.0.1:${portOf(alone)}`)), "Refused")
    })))

  it.live("on a Unix path removes the file of a listener that died, and nothing else", () =>
    live(Effect.gen(function*() {
      const home = yield* folder
      const stale = join(home, "stale.sock")
      const dead = yield* run(process.execPath, [
        "-e",
        `require("net").createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, "SIGKILL"))`
      ])
      yield* dead.exited
      assert.isTrue(existsSync(stale))
      yield* Effect.scoped(Effect.gen(function*() {
        const listener = yield* listen(`unix://${stale}`)
        const client = yield* connect(`unix://${stale}`)
        const accepted = yield* listener.accept
        yield* client.write(bytes("alive"))
        assert.strictEqual(text(yield* Connection.take(accepted)), "alive")
        // One that is alive is not in the way: it is busy.
        assert.strictEqual(yield* reasonOf(listen(`unix://${stale}`)), "Busy")
      }))
      assert.isFalse(existsSync(stale))
      const file = join(home, "file")
      writeFileSync(file, "kept")
      assert.strictEqual(yield* reasonOf(listen(`unix://${file}`)), "Busy")
      assert.isTrue(existsSync(file))
    })))

  it.live("on a Unix path gives the file its permissions", () =>
    live(Effect.gen(function*() {
      const home = yield* folder
      const path = join(home, "mode.sock")
      yield* listen(`unix://${path}`, { mode: 0o600 })
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      chmodSync(path, 0o600)
    })))

  it.live("resets what comes beyond the backlog", () =>
    live(Effect.gen(function*() {
      const listener = yield* listen("tcp://127.0.0.1:0", { backlog: 2 })
      // A reset may come as early as the connect.
      const one = Effect.flatMap(connect(listener.endpoint), Connection.take)
      const ends = yield* Effect.forEach([1, 2, 3, 4], () => Effect.forkScoped(reasonOf(one)))
      const ended = () => ends.filter((end) => end.pollUnsafe() !== undefined)
      // Two wait in the backlog; the others are reset.
      while (ended().length < 2) yield* Effect.sleep(1)
      for (const end of ended()) assert.strictEqual(yield* Fiber.join(end), "Reset")
      yield* listener.accept
      yield* listener.accept
    })))
})

describe("a connection", () => {
  it.live("keeps the process's listeners constant over many blocked reads and writes", () =>
    live(Effect.gen(function*() {
      const listener = yield* listen("tcp://127.0.0.1:0")
      const client = yield* connect(listener.endpoint, { noDelay: false, keepAlive: "1 minute" })
      const server = yield* listener.accept
      for (let i = 0; i < 1000; i++) {
        const reading = yield* Effect.forkChild(Connection.take(server))
        yield* client.write(bytes("x"))
        assert.strictEqual(text(yield* Fiber.join(reading)), "x")
      }
    })))

  it.effect("is released by real time at the end of a scope under TestClock", () =>
    Effect.gen(function*() {
      // A peer that never ends: the release must not wait for a clock that nobody moves.
      const server = Net.createServer({ allowHalfOpen: true }, (socket) => socket.on("error", () => {}))
      const port = yield* Effect.callback<number>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as Net.AddressInfo).port)))
      })
      yield* live(Effect.gen(function*() {
        const client = yield* connect(`tcp://127.0.0.1:${port}`, { linger: { duration: 20 } })
        yield* client.write(bytes("x"))
      }))
      server.close()
      yield* TestClock.adjust(0)
    }))

  it.live("flushes at the end of a scope whose finalizers run side by side", () =>
    live(Effect.gen(function*() {
      const at = yield* folder
      for (const endpoint of ["tcp://127.0.0.1:0", `unix://${at}/parallel.sock`]) {
        const listener = yield* listen(endpoint)
        const scope = yield* Scope.make("parallel")
        const client = yield* Scope.provide(connect(listener.endpoint), scope)
        const server = yield* listener.accept
        yield* Effect.forkChild(client.write(new Uint8Array(2_000_000)))
        yield* Effect.sleep(20)
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        assert.strictEqual((yield* Transport.readUntilEnd(server)).length, 2_000_000)
        yield* server.close
        yield* Fiber.join(closing)
      }
    })))

  it.live("that cannot be opened leaves nothing in the scope", () =>
    live(Effect.gen(function*() {
      const at = yield* folder
      const taken = yield* listen("tcp://127.0.0.1:0")
      const scope = yield* Scope.make()
      const opens = [
        Effect.asVoid(connect(`unix://${at}/nobody.sock`)),
        Effect.asVoid(listen(taken.endpoint)),
        Effect.asVoid(listen(`unix://${at}/no/such`))
      ]
      for (const open of opens) {
        yield* errorOf(Scope.provide(open, scope))
        assert.strictEqual(scope.state._tag, "Empty")
      }
    })))

  it.live("is one of many interrupted opens that leave nothing behind", () =>
    live(Effect.gen(function*() {
      const listener = yield* listen("tcp://127.0.0.1:0")
      yield* Effect.forkChild(Effect.scoped(listener.serve(() => Effect.void, { connectionsMax: 1024 })))
      const count = () => process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")).length
      const before = count()
      for (let i = 0; i < 200; i++) {
        const opening = yield* Effect.forkChild(Effect.scoped(connect(listener.endpoint)))
        for (let turn = 0; turn < i % 7; turn++) yield* Effect.yieldNow
        yield* Fiber.interrupt(opening)
      }
      while (count() > before) yield* Effect.sleep(5)
    })))

  it.live("fails typed when its bytes run out early, or grow too many", () =>
    live(Effect.gen(function*() {
      const listener = yield* listen("tcp://127.0.0.1:0")
      const client = yield* connect(listener.endpoint)
      const server = yield* listener.accept
      yield* client.write(bytes("abc"))
      yield* client.halfClose
      assert.strictEqual(yield* reasonOf(Transport.readUntilEnd(server, { bytesMax: 2 })), "LimitExceeded")
      assert.strictEqual(yield* reasonOf(Transport.readExactly(server, 4)), "Truncated")
      assert.strictEqual(text(yield* Transport.readUntilEnd(server)), "abc")
    })))
})
