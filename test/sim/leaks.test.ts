import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Option, Scope } from "effect"
import { Connection, Network } from "effect-transport"
import { Sim, SimError, World } from "effect-transport/sim"

const left = (world: Parameters<typeof Sim.run>[0], seed = 1): ReadonlyArray<string> => {
  const { exit } = Sim.run(world, { seed })
  if (Exit.isSuccess(exit)) return []
  const error = Option.getOrThrow(Cause.findErrorOption(exit.cause))
  assert.instanceOf(error, SimError.Leaked, String(error))
  return error.what
}

/** In a scope that nobody closes. */
const forever = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Scope.Scope>> =>
  Effect.flatMap(Scope.make(), (scope) => Scope.provide(effect, scope))

const listen = Effect.flatMap(Network.Network, ({ listen }) => listen("tcp://0.0.0.0:7000"))

const server = Effect.flatMap(listen, ({ serve }) => serve((transport) => Connection.take(transport)))

const on = (
  boot: Effect.Effect<unknown, unknown, Network.Network | Scope.Scope>,
  then: Effect.Effect<void> = Effect.void
) =>
  Effect.gen(function*() {
    const { host } = yield* World.World
    const handle = yield* host("server", { boot })
    yield* Effect.sleep("10 millis")
    yield* then
    return handle
  })

describe("Sim.run, at the end of a world", () => {
  it("finds nothing where all has ended, and lets end what is about to", () => {
    for (let seed = 0; seed < 20; seed++) {
      assert.deepStrictEqual(left(Effect.void, seed), [])
      assert.deepStrictEqual(left(Effect.forkChild(Effect.never), seed), [])
      assert.deepStrictEqual(left(Effect.forkDetach(Effect.repeat(Effect.yieldNow, { times: 5 })), seed), [])
      assert.deepStrictEqual(left(listen, seed), [])
      assert.deepStrictEqual(left(on(server), seed), [])
    }
  })

  it("names a fiber", () => {
    assert.deepStrictEqual(left(Effect.andThen(Effect.forkDetach(Effect.never), Effect.sleep(1))), ["fiber 2, on main"])
    assert.deepStrictEqual(left(on(Effect.forkDetach(Effect.never))), ["fiber 3, on server"])
  })

  it("names a timer", () => {
    assert.deepStrictEqual(left(Effect.andThen(Effect.forkDetach(Effect.sleep("1 hour")), Effect.sleep(1))), [
      "fiber 2, on main",
      "1 timer, on main"
    ])
  })

  it("names an address that is listened on", () => {
    assert.deepStrictEqual(left(forever(listen)), ["tcp:7000, listened on by main"])
    assert.deepStrictEqual(left(on(forever(listen))), ["tcp:7000, listened on by server"])
  })

  it("names an end of a connection", () => {
    const connect = Effect.flatMap(Network.Network, ({ connect }) => connect("tcp://server:7000"))
    assert.deepStrictEqual(left(Effect.andThen(on(server), forever(connect))), [
      "the client's end of connection 0 to tcp:7000, on main"
    ])
    const accept = Effect.flatMap(listen, ({ accept }) => Effect.andThen(forever(accept), Effect.never))
    assert.deepStrictEqual(left(Effect.andThen(on(accept), Effect.andThen(connect, Effect.sleep("1 second")))), [
      "the server's end of connection 0 to tcp:7000, on server"
    ])
  })

  it("does not count what the system took with a host that ended", () => {
    const leaky = Effect.andThen(forever(listen), Effect.forkDetach(Effect.sleep("1 day")))
    for (const by of ["stop", "kill", "powerOff"] as const) {
      assert.deepStrictEqual(left(Effect.flatMap(on(leaky), (host) => host[by])), [])
    }
    const again = Effect.flatMap(on(Effect.never), (host) => Effect.andThen(host.kill, host.restart))
    assert.deepStrictEqual(left(again), [])
    // Nor one that stands still, and cannot end anything.
    assert.deepStrictEqual(left(Effect.flatMap(on(server), ({ pause }) => pause)), [])
  })

  it("tells a failure of the world first", () => {
    const failing = Effect.andThen(Effect.forkDetach(Effect.never), Effect.fail("no"))
    assert.deepStrictEqual(Sim.run(failing, { seed: 1 }).exit, Exit.fail("no"))
  })

  it("closes a connection that came when nobody waited for it any more", () => {
    for (let seed = 0; seed < 300; seed++) {
      const impatient = Effect.flatMap(
        Network.Network,
        ({ connect }) => Effect.timeoutOption(connect("tcp://server:7000"), "2 millis")
      )
      const world = Effect.gen(function*() {
        yield* on(server)
        const { host } = yield* World.World
        yield* (yield* host("client")).run(impatient)
        yield* Effect.sleep("1 second")
      })
      assert.deepStrictEqual(left(world, seed), [], `seed ${seed}`)
    }
  })

  it("reports a finalizer that never ends", () => {
    const { exit } = Sim.run(on(Effect.onInterrupt(Effect.never, () => Effect.never)), { seed: 1 })
    const error = Option.getOrThrow(Exit.isFailure(exit) ? Cause.findErrorOption(exit.cause) : Option.none())
    assert.instanceOf(error, SimError.Deadlock)
  })

  it("finds no end of a connection that was asked for in an earlier life of its host", () => {
    for (const end of ["kill", "powerOff"] as const) {
      for (const seconds of [0.5, 1.5]) {
        const world = Effect.gen(function*() {
          const { host, link } = yield* World.World
          const [client, peer] = [yield* host("client"), yield* host("server", { boot: server })]
          yield* link(client, peer, { latency: "1 second" })
          yield* Effect.sleep("1 second")
          const connecting = Effect.flatMap(Network.Network, ({ connect }) => connect("tcp://server:7000"))
          yield* client.fork(Effect.andThen(connecting, Effect.never))
          yield* Effect.sleep(seconds * 1000)
          yield* client[end]
          yield* client.restart
          yield* Effect.sleep("10 seconds")
        })
        for (let seed = 0; seed < 5; seed++) assert.deepStrictEqual(left(world, seed), [], `${end}, ${seconds} s`)
      }
    }
  })
})
