import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { Connection, Network } from "effect-transport"
import { Interleave, Sim, World } from "effect-transport/sim"

describe("Listener.serve", () => {
  it("serves all who come, one or many at a time, whoever gives way where", () => {
    for (const connectionsMax of [1, 10]) {
      const world = Effect.gen(function*() {
        const { host } = yield* World.World
        let served = 0
        yield* host("server", {
          boot: Effect.gen(function*() {
            const { listen } = yield* Network.Network
            const listener = yield* listen("tcp://0.0.0.0:7000")
            return yield* listener.serve((transport) => {
              served++
              return transport.abort
            }, { connectionsMax })
          })
        })
        const client = yield* host("client")
        const one = Effect.gen(function*() {
          const { connect } = yield* Network.Network
          yield* Effect.exit(Connection.take(yield* connect("tcp://server:7000")))
        })
        yield* Effect.all([client.run(one), client.run(one), client.run(one)], { concurrency: "unbounded" })
        return served
      })
      for (
        const interleave of [
          Interleave.random(0.1),
          Interleave.random(0.5),
          Interleave.ranked(0.1, "last"),
          Interleave.pct()
        ]
      ) {
        for (let seed = 0; seed < 100; seed++) {
          const { exit } = Sim.run(world, { seed, interleave, trace: "off" })
          assert.deepStrictEqual(exit, Exit.succeed(3), `${interleave.name}, seed ${seed}, ${connectionsMax} at most`)
        }
      }
    }
  })
})
