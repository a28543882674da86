import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Logger, Scheduler, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Listener from "../src/Listener.ts"
import { Network } from "../src/Network.ts"
import * as TestTransport from "../src/TestTransport.ts"
import * as Transport from "../src/Transport.ts"
import * as TransportError from "../src/TransportError.ts"
import { Stepper } from "./support/stepper.ts"

const text = (string: string) => new TextEncoder().encode(string)

const reasonOf = <A, R>(effect: Effect.Effect<A, TransportError.TransportError, R>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason._tag)

/** Runs the test with what was logged, in a network of memory. */
const withLog = <A, E, R>(test: (logged: Array<string>) => Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const logged: Array<string> = []
    const logger = Logger.make<unknown, void>(({ message }) => {
      logged.push(String(Array.isArray(message) ? message[0] : message))
    })
    return test(logged).pipe(Effect.provide([Logger.layer([logger]), TestTransport.layerNetwork]))
  })

const listen = Effect.flatMap(Network, (network) => network.listen("memory:here"))

const connect = Effect.flatMap(Network, (network) => network.connect("memory:here"))

/** Lets everything run that can run by itself. */
const settle = Effect.repeat(Effect.yieldNow, { times: 20 })

interface Item {
  readonly isBad: boolean
}

/** A source whose connections come when the test says so. They are those of the network of memory. */
const manual = Effect.gen(function*() {
  const network = yield* Network
  const behind = yield* network.listen("memory:behind")
  const peers: Array<Transport.HalfCloseableTransport> = []
  let port!: Parameters<Listener.Source<Item, Transport.HalfCloseableTransport>["open"]>[0]
  const listener = yield* Listener.make<Item, Transport.HalfCloseableTransport>({
    endpoint: { _tag: "memory", name: "manual" },
    backlogMax: 1,
    open: (given) => {
      port = given
      return () => {}
    },
    accept: (item) => item.isBad ? Effect.andThen(behind.accept, lost) : behind.accept,
    reject: () => {},
    reasonOf: () => new TransportError.Failed()
  })
  return {
    listener,
    peers,
    arrive: (isBad = false) =>
      Effect.map(network.connect("memory:behind"), (peer) => {
        peers.push(peer)
        return port.offer({ isBad })
      }),
    fail: Effect.sync(() => port.failed(new Error("no descriptors")))
  }
})

const lost = Effect.fail(
  new TransportError.TransportError({
    operation: "accept",
    endpoint: "memory:manual",
    reason: new TransportError.Reset()
  })
)

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
          Effect.provideService(Scope.provide(listener.accept, scope), Scheduler.MaxOpsBeforeYield, 3),
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

  it.effect("takes a connection only together with making a transport of it, at whichever step it is interrupted", () =>
    Effect.gen(function*() {
      for (let steps = 0; steps < 20; steps++) {
        let accepted = 0
        let arrive!: () => void
        const listener = yield* Listener.make<Item, Transport.Transport>({
          endpoint: { _tag: "memory", name: "manual" },
          backlogMax: 1,
          open: ({ offer }) => {
            arrive = () => offer({ isBad: false })
            return () => {}
          },
          accept: () => Effect.sync(() => ({ number: ++accepted }) as never),
          reject: () => {},
          reasonOf: () => new TransportError.Failed()
        })
        const stepper = new Stepper()
        const accepting = Effect.runFork(
          Effect.provideService(Effect.scoped(listener.accept), Scheduler.Scheduler, stepper)
        )
        if (steps % 2 === 0) stepper.run(10)
        arrive()
        stepper.run(steps >> 1)
        accepting.interruptUnsafe()
        stepper.run(Infinity)
        const next = yield* Effect.forkChild(listener.accept, { startImmediately: true })
        assert.strictEqual(accepted, 1, `${steps} steps`)
        yield* Fiber.interrupt(next)
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

  it.effect("fails with Closed when the address is free already", () =>
    withLog(Effect.fnUntraced(function*() {
      const scope = yield* Scope.make()
      const listener = yield* Scope.provide(listen, scope)
      const waiting = yield* Effect.forkChild(
        Effect.andThen(reasonOf(Effect.scoped(listener.accept)), Effect.exit(listen)),
        { startImmediately: true }
      )
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(waiting)))
    })))

  it.effect("tells a failure of the listener once, and goes on", () =>
    withLog(Effect.fnUntraced(function*() {
      const { arrive, fail, listener } = yield* manual
      yield* fail
      assert.strictEqual(yield* reasonOf(Effect.scoped(listener.accept)), "Failed")
      const waiting = yield* Effect.forkChild(listener.accept, { startImmediately: true })
      assert.isTrue(yield* arrive())
      yield* Fiber.join(waiting)
    })))
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
    withLog(Effect.fnUntraced(function*() {
      const { arrive, listener } = yield* manual
      const waiting = yield* Effect.forEach(
        [1, 2],
        () => Effect.forkChild(listener.accept, { startImmediately: true })
      )
      const taken = yield* Effect.forEach([1, 2, 3, 4], () => arrive())
      assert.deepStrictEqual(taken, [true, true, true, false])
      yield* Fiber.joinAll(waiting)
    })))

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

describe("Listener: a client that aborted before it was accepted", () => {
  it.effect("is one that was reset, also where it had ended before", () =>
    withLog(Effect.fnUntraced(function*() {
      const listener = yield* listen
      for (const hasEnded of [false, true]) {
        const client = yield* connect
        if (hasEnded) yield* client.halfClose
        yield* client.abort
        const server = yield* listener.accept
        assert.strictEqual(yield* reasonOf(Transport.readUntilEnd(server)), "Reset")
      }
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

  it.effect("runs 1024 handlers at once where nothing else is said", () =>
    withLog(Effect.fnUntraced(function*() {
      const listener = yield* listen
      let running = 0
      yield* Effect.forkChild(listener.serve(() =>
        Effect.suspend(() => {
          running++
          return Effect.never
        })
      ))
      for (let i = 0; i < 1030; i++) yield* Effect.andThen(connect, Effect.yieldNow)
      yield* settle
      assert.strictEqual(running, 1024)
    })))

  it.effect("has room again however a handler ended, and logs those that failed", () =>
    withLog(Effect.fnUntraced(function*(logged) {
      const listener = yield* listen
      const endings: Array<Effect.Effect<unknown, string, Scope.Scope>> = [
        Effect.void,
        Effect.fail("failed"),
        Effect.die("died"),
        Effect.interrupt,
        Effect.addFinalizer(() => Effect.die("the finalizer died")),
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
      assert.strictEqual(logged.filter((line) => /^the handler of connection \d+ failed$/.test(line)).length, 4)
    })))

  it.effect("takes a handler that throws when it is called for one that died", () =>
    withLog(Effect.fnUntraced(function*(logged) {
      const listener = yield* listen
      let called = 0
      yield* Effect.forkChild(listener.serve(
        (transport) => {
          if (++called === 1) throw new Error("thrown")
          return transport.write(text("x"))
        },
        { connectionsMax: 1 }
      ))
      assert.strictEqual(yield* reasonOf(Effect.flatMap(connect, (client) => Transport.readUntilEnd(client))), "Reset")
      assert.strictEqual((yield* Effect.flatMap(connect, (client) => Transport.readUntilEnd(client))).length, 1)
      assert.strictEqual(logged.length, 1)
    })))

  it.effect("harms no connection by another one that fails", () =>
    withLog(Effect.fnUntraced(function*(logged) {
      const listener = yield* listen
      yield* Effect.forkChild(listener.serve((transport) =>
        Effect.flatMap(
          Transport.readExactly(transport, 1),
          (byte): Effect.Effect<void, unknown> => byte[0] === 1 ? transport.write(byte) : Effect.fail("bad")
        )
      ))
      const good = yield* connect
      const bad = yield* connect
      yield* bad.write(new Uint8Array([0]))
      assert.strictEqual(yield* reasonOf(Transport.readUntilEnd(bad)), "Reset")
      yield* good.write(new Uint8Array([1]))
      assert.deepStrictEqual(yield* Transport.readUntilEnd(good), new Uint8Array([1]))
      assert.strictEqual(logged.length, 1)
      assert.match(logged[0]!, /^the handler of connection \d+ failed$/)
    })))

  it.effect("goes on at once after a connection that was lost while it was accepted", () =>
    withLog(Effect.fnUntraced(function*(logged) {
      const { arrive, listener, peers } = yield* manual
      yield* Effect.forkChild(listener.serve((transport) => transport.write(text("x")), { connectionsMax: 1 }))
      for (const isBad of [true, true, false]) {
        yield* settle
        assert.isTrue(yield* arrive(isBad))
      }
      yield* settle
      assert.strictEqual(peers.length, 3)
      assert.strictEqual((yield* Transport.readUntilEnd(peers[2]!)).length, 1)
      assert.strictEqual(yield* reasonOf(Transport.readUntilEnd(peers[0]!)), "Reset")
      assert.deepStrictEqual(logged, ["memory:manual: a connection was lost", "memory:manual: a connection was lost"])
    })))

  it.effect("waits a little after a failure of the listener, and survives it", () =>
    withLog(Effect.fnUntraced(function*(logged) {
      const { arrive, fail, listener, peers } = yield* manual
      yield* Effect.forkChild(listener.serve((transport) => transport.write(text("x")), { connectionsMax: 1 }))
      yield* settle
      for (let times = 0; times < 3; times++) yield* fail
      yield* settle
      yield* arrive()
      const reading = yield* Effect.forkChild(Transport.readUntilEnd(peers[0]!))
      yield* TestClock.adjust(99)
      yield* settle
      assert.isUndefined(reading.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* Fiber.join(reading), text("x"))
      yield* TestClock.adjust(10_000)
      assert.deepStrictEqual(
        logged,
        Array.from({ length: 2 }, () => "accept memory:manual: it failed (no descriptors)")
      )
    })))

  it.effect("closes the listener when it is interrupted, and lets handlers finish before it cuts them", () =>
    withLog(Effect.fnUntraced(function*(logged) {
      const listener = yield* listen
      const serving = yield* Effect.forkChild(
        listener.serve(
          (transport) => Effect.flatMap(Transport.readExactly(transport, 1), (byte) => Effect.sleep(byte[0]! * 1000)),
          {
            drain: "5 seconds"
          }
        ),
        { startImmediately: true }
      )
      const quick = yield* connect
      const slow = yield* connect
      yield* quick.write(new Uint8Array([3]))
      yield* slow.write(new Uint8Array([8]))
      yield* settle
      const stopping = yield* Effect.forkChild(Fiber.interrupt(serving), { startImmediately: true })
      assert.strictEqual(yield* reasonOf(Effect.scoped(connect)), "Refused")
      yield* TestClock.adjust(3000)
      assert.strictEqual((yield* Transport.readUntilEnd(quick)).length, 0)
      yield* TestClock.adjust(1999)
      assert.isUndefined(stopping.pollUnsafe())
      assert.deepStrictEqual(logged, [])
      yield* TestClock.adjust(1)
      yield* Fiber.join(stopping)
      assert.strictEqual(yield* reasonOf(Transport.readUntilEnd(slow)), "Reset")
      assert.strictEqual(logged.length, 1)
      assert.match(logged[0]!, /^memory:here shut down and cut 1: connection \d+$/)
    })))

  it.effect("ends its drain as soon as the last handler has finished, and logs nothing then", () =>
    withLog(Effect.fnUntraced(function*(logged) {
      const listener = yield* listen
      const serving = yield* Effect.forkChild(listener.serve(() => Effect.sleep(1000), { drain: "1 hour" }))
      yield* connect
      yield* settle
      const stopping = yield* Effect.forkChild(Fiber.interrupt(serving), { startImmediately: true })
      yield* TestClock.adjust(1000)
      yield* Fiber.join(stopping)
      assert.deepStrictEqual(logged, [])
    })))

  it.effect("serves a connection as soon as it is there, and cuts it at once without a drain", () =>
    withLog(Effect.fnUntraced(function*(logged) {
      const listener = yield* listen
      let begun = 0
      const serving = yield* Effect.forkChild(
        listener.serve(() => Effect.andThen(Effect.sync(() => begun++), Effect.never)),
        { startImmediately: true }
      )
      const client = yield* connect
      assert.strictEqual(begun, 1)
      yield* Fiber.interrupt(serving)
      assert.strictEqual(yield* reasonOf(Transport.readUntilEnd(client)), "Reset")
      assert.match(logged[0]!, /^memory:here shut down and cut 1: connection \d+$/)
    })))

  it.effect("closes its listener once, and not whoever listens there next", () =>
    withLog(Effect.fnUntraced(function*() {
      const scope = yield* Scope.make()
      const listener = yield* Scope.provide(listen, scope)
      const serving = yield* Effect.forkChild(listener.serve(() => Effect.void), { startImmediately: true })
      yield* Fiber.interrupt(serving)
      const next = yield* listen
      yield* Scope.close(scope, Exit.void)
      yield* connect
      yield* next.accept
    })))

  it.effect("can be interrupted while every place is taken", () =>
    withLog(Effect.fnUntraced(function*(logged) {
      const listener = yield* listen
      const serving = yield* Effect.forkChild(listener.serve(() => Effect.never, { connectionsMax: 1 }))
      yield* connect
      yield* settle
      yield* Fiber.interrupt(serving)
      assert.strictEqual(logged.length, 1)
    })))

  it.effect("leaves no connection with nobody, at whichever step it is interrupted", () =>
    Effect.gen(function*() {
      let accepted = 0
      for (let steps = 0; steps < 60; steps++) {
        const ends: Array<string> = []
        let arrive!: () => boolean
        const [client] = yield* TestTransport.pair()
        const scope = yield* Scope.make()
        const listener = yield* Scope.provide(
          Listener.make<Item, Transport.Transport>({
            endpoint: { _tag: "memory", name: "manual" },
            backlogMax: 1,
            open: ({ offer }) => {
              arrive = () => offer({ isBad: false })
              return () => {}
            },
            accept: () => Effect.as(Effect.addFinalizer(() => Effect.sync(() => ends.push("closed"))), client),
            reject: () => void ends.push("rejected"),
            reasonOf: () => new TransportError.Failed()
          }),
          scope
        )
        const stepper = new Stepper()
        const serving = Effect.runFork(Effect.provideService(
          listener.serve(() => Effect.never),
          Scheduler.Scheduler,
          stepper
        ))
        arrive()
        stepper.run(steps)
        serving.interruptUnsafe()
        stepper.run(Infinity)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(ends.length, 1, `${steps} steps`)
        if (ends[0] === "closed") accepted++
      }
      assert.isAbove(accepted, 0)
      assert.isBelow(accepted, 60)
    }))

  it.effect("ends with Closed when the listener is closed, and cuts its handlers", () =>
    withLog(Effect.fnUntraced(function*(logged) {
      const scope = yield* Scope.make()
      const listener = yield* Scope.provide(listen, scope)
      const serving = yield* Effect.forkChild(reasonOf(listener.serve(() => Effect.never)))
      const client = yield* connect
      yield* settle
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* Fiber.join(serving), "Closed")
      assert.strictEqual(yield* reasonOf(client.closed), "Reset")
      assert.strictEqual(logged.length, 1)
    })))

  it.effect("refuses options that are wrong, and leaves the listener as it was", () =>
    withLog(Effect.fnUntraced(function*() {
      const listener = yield* listen
      for (const connectionsMax of [0, -1, 1.5, NaN, Infinity, "1" as never]) {
        assert.strictEqual(yield* reasonOf(listener.serve(() => Effect.void, { connectionsMax })), "InvalidOption")
      }
      for (const drain of [-1, "soon" as never]) {
        assert.strictEqual(yield* reasonOf(listener.serve(() => Effect.void, { drain })), "InvalidOption")
      }
      yield* connect
      yield* listener.accept
    })))
})
