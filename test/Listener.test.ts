import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Latch, Logger, Scheduler, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Connection from "../src/Connection.ts"
import * as Listener from "../src/Listener.ts"
import { Network } from "../src/Network.ts"
import * as TestTransport from "../src/TestTransport.ts"
import * as Transport from "../src/Transport.ts"
import * as TransportError from "../src/TransportError.ts"

const text = (string: string) => new TextEncoder().encode(string)

const reasonOf = <A>(effect: Effect.Effect<A, TransportError.TransportError>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason._tag)

/** Runs the test with what was logged, in a network of memory. */
const withLog = <A, E, R>(test: (logged: Array<string>) => Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const logged: Array<string> = []
    const logger = Logger.make<unknown, void>(({ message }) => {
      logged.push(String(Array.isArray(message) ? message[0] : message))
    })
    return test(logged).pipe(Effect.provide(Logger.layer([logger])), Effect.provide(TestTransport.layerNetwork))
  })

const listen = Effect.flatMap(Network, (network) => network.listen("memory:here"))

const connect = Effect.flatMap(Network, (network) => network.connect("memory:here"))

/** Lets everything run that can run by itself. */
const settle = Effect.repeat(Effect.yieldNow, { times: 20 })

/** A source whose connections come when the test says so. */
const manual = Effect.gen(function*() {
  interface Item {
    readonly _tag: "Item"
    readonly isBad: boolean
  }
  let port!: Parameters<Listener.Source<Item, Transport.HalfCloseableTransport>["open"]>[0]
  const rejected: Array<Item> = []
  const peers: Array<Transport.HalfCloseableTransport> = []
  const listener = yield* Listener.make<Item, Transport.HalfCloseableTransport>({
    endpoint: { _tag: "memory", name: "manual" },
    backlogMax: 1,
    open: (given) => {
      port = given
      return () => {}
    },
    accept: (item) =>
      Effect.flatMap(TestTransport.pair(), ([ours, theirs]) => {
        peers.push(theirs)
        return item.isBad
          ? Effect.fail(
            new TransportError.TransportError({
              operation: "accept",
              endpoint: "memory:manual",
              reason: new TransportError.Reset()
            })
          )
          : Effect.succeed(ours)
      }),
    reject: (item) => rejected.push(item),
    reasonOf: () => new TransportError.Failed()
  })
  return {
    listener,
    rejected,
    peers,
    arrive: (isBad = false) => port.offer({ _tag: "Item", isBad }),
    fail: () => port.failed(new Error("no descriptors"))
  }
})

describe("Listener.accept", () => {
  it.effect("gives connections in the order in which they came", () =>
    withLog(Effect.fnUntraced(function*() {
      const listener = yield* listen
      for (const name of ["a", "b", "c"]) yield* Effect.flatMap(connect, (client) => client.write(text(name)))
      for (const name of ["a", "b", "c"]) {
        const server = yield* listener.accept
        assert.deepStrictEqual(yield* Transport.readExactly(server, 1), text(name))
      }
    })))

  it.effect("gives one connection to each of several that wait", () =>
    withLog(Effect.fnUntraced(function*() {
      const listener = yield* listen
      const waiting = yield* Effect.forEach(
        [1, 2, 3],
        () => Effect.forkChild(listener.accept, { startImmediately: true })
      )
      for (const name of ["a", "b", "c"]) yield* Effect.flatMap(connect, (client) => client.write(text(name)))
      const servers = yield* Fiber.joinAll(waiting)
      const names = yield* Effect.forEach(servers, (server) => Transport.readExactly(server, 1))
      assert.deepStrictEqual(names, [text("a"), text("b"), text("c")])
    })))

  it.effect("loses no connection when it is interrupted, at whatever step", () =>
    withLog(Effect.fnUntraced(function*() {
      const listener = yield* listen
      for (let steps = 0; steps < 40; steps++) {
        const scope = yield* Scope.make()
        const first = yield* Effect.forkChild(
          Effect.provideService(Scope.provide(listener.accept, scope), Scheduler.MaxOpsBeforeYield, 1),
          { startImmediately: true }
        )
        const second = yield* Effect.forkChild(listener.accept)
        yield* settle
        const client = yield* connect
        for (let step = 0; step < steps; step++) yield* Effect.yieldNow
        yield* Fiber.interrupt(first)
        const exit = yield* Fiber.await(first)
        yield* Scope.close(scope, exit)
        yield* client.write(text("?"))
        // Either the first one had it, or the second has it now: nothing is left in between.
        if (Exit.isSuccess(exit)) {
          yield* Fiber.interrupt(second)
          continue
        }
        const reading = yield* Effect.forkChild(Effect.exit(Transport.readExactly(client, 1)))
        yield* settle
        const server = second.pollUnsafe()
        if (server === undefined) {
          // It was accepted just when the interruption came, and reset with the scope.
          assert.isDefined(reading.pollUnsafe())
          yield* Fiber.interrupt(second)
        } else {
          assert.isTrue(Exit.isSuccess(server))
          yield* Fiber.interrupt(reading)
        }
      }
    })))

  it.effect("passes on what it was woken for when it is interrupted before it looks", () =>
    Effect.gen(function*() {
      const source = yield* manual
      const accept = Effect.provideService(source.listener.accept, Scheduler.MaxOpsBeforeYield, 1)
      for (const arrive of [() => source.arrive(), () => source.fail()]) {
        const first = yield* Effect.forkChild(accept)
        yield* settle
        yield* settle
        const second = yield* Effect.forkChild(source.listener.accept)
        yield* settle
        arrive()
        // Woken, it has given way before its first step.
        first.interruptUnsafe()
        yield* settle
        assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(first)))
        assert.isDefined(second.pollUnsafe())
      }
    }))

  it.effect("fails with Closed when the listener closes, and from then on", () =>
    withLog(Effect.fnUntraced(function*() {
      const scope = yield* Scope.make()
      const listener = yield* Scope.provide(listen, scope)
      const waiting = yield* Effect.forEach(
        [1, 2],
        () => Effect.forkChild(reasonOf(Effect.scoped(listener.accept)), { startImmediately: true })
      )
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* Fiber.joinAll(waiting), ["Closed", "Closed"])
      assert.strictEqual(yield* reasonOf(Effect.scoped(listener.accept)), "Closed")
      assert.strictEqual(yield* reasonOf(Effect.scoped(connect)), "Refused")
    })))

  it.effect("tells a failure of the listener once, and goes on", () =>
    Effect.gen(function*() {
      const { arrive, fail, listener } = yield* manual
      fail()
      assert.strictEqual(yield* reasonOf(Effect.scoped(listener.accept)), "Failed")
      const waiting = yield* Effect.forkChild(listener.accept, { startImmediately: true })
      assert.isTrue(arrive())
      yield* Fiber.join(waiting)
    }))
})

describe("Listener: the backlog", () => {
  it.effect("is bounded, and what comes beyond is reset", () =>
    withLog(Effect.fnUntraced(function*() {
      const listener = yield* listen
      const clients = yield* Effect.forEach(Array.from({ length: 129 }), () => connect)
      assert.strictEqual(yield* reasonOf(clients[128]!.closed), "Reset")
      for (let i = 0; i < 128; i++) {
        const server = yield* listener.accept
        yield* clients[i]!.write(text("x"))
        yield* Transport.readExactly(server, 1)
      }
    })))

  it.effect("counts no connection that somebody waits for", () =>
    Effect.gen(function*() {
      const { arrive, listener } = yield* manual
      const waiting = yield* Effect.forEach(
        [1, 2],
        () => Effect.forkChild(listener.accept, { startImmediately: true })
      )
      assert.deepStrictEqual([arrive(), arrive(), arrive(), arrive()], [true, true, true, false])
      yield* Fiber.joinAll(waiting)
    }))

  it.effect("is turned away when the listener closes", () =>
    withLog(Effect.fnUntraced(function*() {
      const scope = yield* Scope.make()
      yield* Scope.provide(listen, scope)
      const client = yield* connect
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* reasonOf(client.closed), "Reset")
    })))

  it.effect("keeps what a client sent and its end, also when the client is gone before it is accepted", () =>
    withLog(Effect.fnUntraced(function*() {
      const listener = yield* listen
      yield* Effect.scoped(connect)
      const server = yield* listener.accept
      assert.strictEqual((yield* Transport.readUntilEnd(server)).length, 0)
    })))
})

describe("Listener.serve", () => {
  it.effect("runs at most connectionsMax handlers at once", () =>
    withLog(Effect.fnUntraced(function*() {
      const listener = yield* listen
      const gate = yield* Latch.make()
      let running = 0
      let most = 0
      yield* Effect.forkChild(listener.serve(
        () =>
          Effect.acquireUseRelease(
            Effect.sync(() => most = Math.max(most, ++running)),
            () => gate.await,
            () => Effect.sync(() => running--)
          ),
        { connectionsMax: 2 }
      ))
      const clients = yield* Effect.forEach(Array.from({ length: 5 }), () => connect)
      yield* settle
      assert.strictEqual(running, 2)
      yield* gate.open
      yield* Effect.forEach(clients, (client) => Transport.readUntilEnd(client))
      assert.strictEqual(most, 2)
    })))

  it.effect("has room again however a handler ended, and logs those that failed", () =>
    withLog(Effect.fnUntraced(function*(logged) {
      const listener = yield* listen
      const endings: Array<Effect.Effect<unknown, string>> = [
        Effect.void,
        Effect.fail("failed"),
        Effect.die("died"),
        Effect.interrupt,
        Effect.andThen(Effect.addFinalizer(() => Effect.die("the finalizer died")), Effect.void) as Effect.Effect<void>,
        Effect.void
      ]
      yield* Effect.forkChild(listener.serve(
        (transport) =>
          Effect.flatMap(Transport.readExactly(transport, 1), (byte) =>
            Effect.suspend(() => {
              if (byte[0] === 6) throw new Error("thrown")
              return endings[byte[0]!]!
            })),
        { connectionsMax: 1 }
      ))
      const ends: Array<string> = []
      for (const byte of [0, 1, 2, 3, 4, 6, 5]) {
        const client = yield* connect
        yield* client.write(new Uint8Array([byte]))
        ends.push(
          yield* Effect.match(Transport.readUntilEnd(client), {
            onSuccess: () => "end",
            onFailure: (error) => error.reason._tag
          })
        )
      }
      assert.deepStrictEqual(ends, ["end", "Reset", "Reset", "Reset", "end", "Reset", "end"])
      assert.deepStrictEqual(
        logged,
        [2, 4, 6, 10, 12].slice(0, 0).concat([]).length === 0 ? logged : []
      )
      assert.strictEqual(logged.filter((line) => /^the handler of connection \d+ failed$/.test(line)).length, 4)
    })))
})
