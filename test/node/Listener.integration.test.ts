import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Logger, Option, Scope } from "effect"
import * as Endpoint from "../../src/Endpoint.ts"
import { Network } from "../../src/Network.ts"
import * as NodeTransport from "../../src/node/NodeTransport.ts"
import * as Transport from "../../src/Transport.ts"
import type { TransportError } from "../../src/TransportError.ts"

const text = (string: string) => new TextEncoder().encode(string)

const reasonOf = <A, R>(effect: Effect.Effect<A, TransportError, R>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason._tag)

const resources = (name: RegExp) => process.getActiveResourcesInfo().filter((found) => name.test(found)).length
const sockets = () => resources(/^TCPSocketWrap$/)
const timers = () => resources(/^Timeout$/)

/** Runs the test with what was logged, in the network of this machine. */
const withLog = <A, E, R>(test: (logged: Array<string>) => Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const logged: Array<string> = []
    const logger = Logger.make<unknown, void>(({ message }) => {
      logged.push(String(Array.isArray(message) ? message[0] : message))
    })
    return test(logged).pipe(Effect.provide([Logger.layer([logger]), NodeTransport.layerNetwork]))
  })

describe("a scope that ends", () => {
  it.live("closes an interrupted connection in order, if its rule says so", () =>
    withLog(Effect.fnUntraced(function*() {
      const { connect, listen } = yield* Network
      const listener = yield* listen("tcp://127.0.0.1:0")
      const written = yield* Deferred.make<void>()
      const speaking = Effect.gen(function*() {
        const client = yield* connect(listener.endpoint, { onScopeExit: () => "close", highWaterMark: 32_000_000 })
        for (let i = 0; i < 1000; i++) yield* client.write(new Uint8Array(16_000))
        yield* Deferred.succeed(written, undefined)
        return yield* Effect.never
      })
      const fiber = yield* Effect.forkChild(Effect.scoped(speaking))
      const server = yield* listener.accept
      yield* Deferred.await(written)
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
      const all = yield* Transport.readUntilEnd(server)
      assert.strictEqual(all.length, 16_000_000)
      yield* server.close
      yield* Fiber.join(interrupting)
    })))
})

describe("a listener of this machine", () => {
  it.live("loses no connection to accepts that are interrupted", () =>
    withLog(Effect.fnUntraced(function*() {
      const { connect, listen } = yield* Network
      // Both ends are in one scope, which would close the one and wait for the other.
      const options: NodeTransport.NodeOptions = { onScopeExit: () => "abort" }
      const listener = yield* listen("tcp://127.0.0.1:0", options)
      const connecting = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 30 }), () => Effect.delay(connect(listener.endpoint, options), 1))
      )
      let accepted = 0
      while (accepted < 30) {
        if (Option.isSome(yield* Effect.timeoutOption(listener.accept, 2))) accepted++
      }
      yield* Fiber.join(connecting)
    })))

  it.live("resets what comes beyond its backlog, and what waits there when it closes", () =>
    withLog(Effect.fnUntraced(function*() {
      const { connect, listen } = yield* Network
      const scope = yield* Scope.make()
      const options: NodeTransport.NodeOptions = { backlog: 2 }
      const listener = yield* Scope.provide(listen("tcp://127.0.0.1:0", options), scope)
      // A reset may come before the client knows that it was connected.
      const ends = yield* Effect.forEach([1, 2, 3], () =>
        Effect.forkScoped(
          Effect.scoped(
            reasonOf(Effect.flatMap(connect(listener.endpoint), (client) => Transport.readUntilEnd(client)))
          ),
          { startImmediately: true }
        ))
      yield* Effect.repeat(Effect.sleep(1), { until: () => ends.filter((end) => end.pollUnsafe()).length === 1 })
      yield* Effect.sleep(10)
      assert.strictEqual(ends.filter((end) => end.pollUnsafe()).length, 1)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* Fiber.joinAll(ends), ["Reset", "Reset", "Reset"])
    })))

  it.live("serves any number of clients, a few at a time, and keeps none of their sockets", () =>
    withLog(Effect.fnUntraced(function*(logged) {
      const { connect, listen } = yield* Network
      const listener = yield* listen("tcp://127.0.0.1:0")
      let running = 0
      let most = 0
      yield* Effect.forkScoped(listener.serve((transport) =>
        Effect.gen(function*() {
          most = Math.max(most, ++running)
          const all = yield* Transport.readUntilEnd(transport)
          yield* transport.write(all)
          running--
        }), { connectionsMax: 3 }))
      const before = sockets()
      yield* Effect.forEach(
        Array.from({ length: 50 }, (_, i) => new Uint8Array([i])),
        (bytes) =>
          Effect.scoped(Effect.gen(function*() {
            const client = yield* connect(listener.endpoint)
            if (!Transport.isHalfCloseable(client)) return yield* Effect.die("TCP can half-close")
            yield* client.write(bytes)
            yield* client.halfClose
            assert.deepStrictEqual(yield* Transport.readUntilEnd(client), bytes)
          })),
        { concurrency: 10 }
      )
      assert.isAtMost(most, 3)
      yield* Effect.repeat(Effect.sleep(1), { until: () => sockets() <= before })
      assert.deepStrictEqual(logged, [])
    })))

  it.live("lets a handler finish its reply when it shuts down, and turns new clients away meanwhile", () =>
    withLog(Effect.fnUntraced(function*(logged) {
      const { connect, listen } = yield* Network
      const listener = yield* listen("tcp://127.0.0.1:0")
      const reply = new Uint8Array(8_000_000)
      const serving = yield* Effect.forkChild(
        listener.serve((transport) => Effect.andThen(Transport.readExactly(transport, 1), transport.write(reply)), {
          drain: "20 seconds"
        })
      )
      const client = yield* connect(listener.endpoint)
      yield* client.write(text("?"))
      // Its reply has begun, and is too large to be with the kernel.
      assert.strictEqual((yield* Transport.readExactly(client, 1)).length, 1)
      const stopping = yield* Effect.forkChild(Fiber.interrupt(serving), { startImmediately: true })
      assert.strictEqual(yield* reasonOf(Effect.scoped(connect(listener.endpoint))), "Refused")
      assert.strictEqual((yield* Transport.readUntilEnd(client)).length, reply.length - 1)
      yield* client.close
      yield* Fiber.join(stopping)
      assert.deepStrictEqual(logged, [])
    })))

  it.live("cuts a handler that does not finish, and names its client", () =>
    withLog(Effect.fnUntraced(function*(logged) {
      const { connect, listen } = yield* Network
      const listener = yield* listen("tcp://127.0.0.1:0")
      const began = yield* Deferred.make<void>()
      const serving = yield* Effect.forkChild(
        listener.serve(() => Effect.andThen(Deferred.succeed(began, undefined), Effect.never), { drain: 20 })
      )
      const client = yield* connect(listener.endpoint)
      yield* Deferred.await(began)
      yield* Fiber.interrupt(serving)
      assert.strictEqual(yield* reasonOf(Transport.readUntilEnd(client)), "Reset")
      assert.strictEqual(logged.length, 1)
      const local = Option.getOrThrow(client.info.local)
      assert.isTrue(logged[0]!.startsWith(`${Endpoint.format(listener.endpoint)} shut down and cut 1: connection`))
      assert.isTrue(logged[0]!.endsWith(`from ${local}`))
    })))

  it.live("leaves no timer of an open that failed", () =>
    withLog(Effect.fnUntraced(function*() {
      const { connect } = yield* Network
      const before = timers()
      assert.strictEqual(yield* reasonOf(Effect.scoped(connect("unix:///nowhere/at/all"))), "NotFound")
      assert.strictEqual(yield* reasonOf(Effect.scoped(connect("tcp://127.0.0.1:1"))), "Refused")
      assert.isAtMost(timers(), before)
    })))
})
