/**
 * What a deadlock says: who waits on what, and what lies in the sockets.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Latch, PubSub, Queue, Semaphore, Tracer } from "effect"
import { Connection, Network } from "effect-transport"
import { Interleave, Link, Sim, SimError, World } from "effect-transport/sim"

const deadlockOf = (
  world: Effect.Effect<unknown, unknown, World.World | Network.Network>,
  options: Partial<Sim.Options> = {}
) => {
  const { exit } = Sim.run(world, { seed: 1, interleave: Interleave.production, ...options })
  const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
  assert.instanceOf(error, SimError.Deadlock)
  return error
}

const text = (error: SimError.Deadlock) => error.message.split("\n")

describe("Deadlock", () => {
  it("names the connections and operations of transports, with what is queued and unread", () => {
    const server = Effect.gen(function*() {
      const { listen } = yield* Network.Network
      const listener = yield* listen("tcp://0.0.0.0:7000")
      const transport = yield* listener.accept
      yield* Connection.take(transport)
      yield* Effect.forkChild(transport.closed)
      // It waits for a second client, and reads no more from the first.
      return yield* listener.accept
    })
    const send = Effect.fn("send")(function*() {
      const { connect } = yield* Network.Network
      const transport = yield* connect("tcp://server:7000", { highWaterMark: 1000 })
      yield* Effect.forkChild(Connection.take(transport))
      yield* transport.write(new Uint8Array(40_000))
      yield* Effect.sleep("1 second")
      yield* transport.write(new Uint8Array(90_000))
    })
    const world = Effect.gen(function*() {
      const { host, link } = yield* World.World
      const machine = yield* host("server", { boot: server })
      const client = yield* host("client")
      yield* link(client, machine, {
        ...Link.between,
        segmentBytes: 10_000,
        sendBufferBytes: 20_000,
        receiveBufferBytes: 30_000
      })
      yield* Effect.sleep("10 millis")
      return yield* client.run(send())
    })
    assert.deepStrictEqual(text(deadlockOf(world)), [
      "nothing can happen any more",
      "  fiber 1 on main waits on the end of what runs on client",
      "  fiber 2 on server waits on a connection to tcp://0.0.0.0:7000",
      "  fiber 3 on client waits on a write to tcp://server:7000 (transport 1), in send",
      "  fiber 4 on client waits on input from tcp://server:7000 (transport 1), in send",
      "  fiber 5 on server waits on the end of tcp://0.0.0.0:7000 (transport 1)",
      "  connection 0 to tcp:7000, on client: 20000 bytes to send, 0 unread",
      "  connection 0 to tcp:7000, on server: 0 bytes to send, 30000 unread"
    ])
  })

  it("knows what Effect's own waits look like", () => {
    const wait = (effect: Effect.Effect<unknown, unknown>) => Effect.forkChild(effect, { startImmediately: true })
    const world = Effect.gen(function*() {
      yield* wait(Effect.flatMap(Deferred.make<void>(), Deferred.await))
      yield* wait(Effect.flatMap(Queue.unbounded<number>(), Queue.take))
      yield* wait(Effect.flatMap(Queue.bounded<number>(1), (queue) => Queue.offerAll(queue, [1, 2])))
      yield* wait(Effect.flatMap(Semaphore.make(1), (semaphore) => semaphore.take(2)))
      yield* wait(Effect.flatMap(Latch.make(false), (latch) => latch.await))
      yield* wait(
        Effect.scoped(Effect.flatMap(Effect.flatMap(PubSub.unbounded<number>(), PubSub.subscribe), PubSub.take))
      )
      const stubborn = yield* wait(Effect.uninterruptible(Effect.withSpan(Effect.never, "stubborn")))
      yield* wait(Fiber.join(stubborn))
      yield* wait(Fiber.interrupt(stubborn))
      yield* wait(Effect.all([Effect.never, Effect.never], { concurrency: "unbounded" }))
      yield* wait(Effect.race(Effect.never, Effect.never))
      yield* wait(Effect.callback(() => {
        "mine"
      }))
      return yield* Effect.never
    })
    const never = "nothing: it is Effect.never"
    assert.deepStrictEqual(
      deadlockOf(world).fibers.map(({ fiber, on }) => `${fiber} ${on}`),
      [
        `1 ${never}`,
        "2 a Deferred",
        "3 a Queue, for something to take",
        "4 a Queue, for room",
        "5 a Semaphore",
        "6 a Latch",
        "7 a PubSub, for something to take",
        `8 ${never}`,
        "9 the end of another fiber (fiber 8)",
        "10 the end of another fiber (fiber 8)",
        "11 what it runs concurrently (fiber 12, 13)",
        `12 ${never}`,
        `13 ${never}`,
        "14 one of those it races (fiber 15, 16)",
        `15 ${never}`,
        `16 ${never}`,
        "17 a callback: () => { \"mine\"; }"
      ]
    )
    assert.strictEqual(deadlockOf(world).fibers[7]!.in, "stubborn")
  })

  it("says which host is paused, and nothing of hosts that have ended", () => {
    const world = Effect.gen(function*() {
      const { host } = yield* World.World
      const [paused, killed] = [yield* host("paused"), yield* host("killed")]
      const ticking = Effect.forever(Effect.sleep("1 second"))
      yield* killed.fork(ticking)
      yield* Effect.sleep("500 millis")
      yield* killed.kill
      const task = yield* paused.fork(ticking)
      yield* Effect.sleep("1500 millis")
      yield* paused.pause
      return yield* task.ended
    })
    assert.deepStrictEqual(text(deadlockOf(world)), [
      "nothing can happen any more",
      "  fiber 1 on main waits on the end of what runs on paused",
      "  fiber 3 on paused waits on its clock, and its host is paused"
    ])
  })

  it("is the same in every interleaving, but for the numbers", () => {
    const world = Effect.gen(function*() {
      const mutex = yield* Semaphore.make(1)
      const other = yield* Semaphore.make(1)
      const both = (a: Semaphore.Semaphore, b: Semaphore.Semaphore) =>
        a.withPermits(1)(Effect.andThen(Effect.sleep("1 millis"), b.withPermits(1)(Effect.void)))
      yield* Effect.all([both(mutex, other), both(other, mutex)], { concurrency: "unbounded" })
    })
    for (let seed = 0; seed < 30; seed++) {
      const { fibers } = deadlockOf(world, { seed, interleave: Interleave.portfolio() })
      assert.deepStrictEqual(fibers.map(({ on }) => on.replace(/\(.*/, "")).sort(), [
        "a Semaphore",
        "a Semaphore",
        "what it runs concurrently "
      ])
    }
  })

  it("says that nothing can be told of a program that has a tracer of its own", () => {
    const tracer = Tracer.make({ span: () => assert.fail() })
    const world = Effect.withTracer(Effect.never, tracer)
    // The step that gave it the tracer was the last that could be seen.
    assert.match(deadlockOf(world).fibers[0]!.on, /^what cannot be told/)
  })

  it("says that nothing can be told where the world does something else when it runs again", () => {
    let runs = 0
    const world = Effect.suspend(() => runs++ === 0 ? Effect.never : Effect.sleep("1 second"))
    assert.deepStrictEqual(deadlockOf(world).fibers, [
      { host: "main", fiber: 1, on: "what cannot be told: the world did something else when it ran again", in: "" }
    ])
  })
})
