import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { Connection, Network } from "effect-transport"
import { Interleave, Sim, World } from "effect-transport/sim"

describe("Listener.serve", () => {
  it("serves all who come, one or two at a time, whoever gives way where", () => {
    for (const connectionsMax of [1, 2]) {
      const world = Effect.gen(function*() {
        const { host } = yield* World.World
        yield* host("server", {
          boot: Effect.gen(function*() {
            const { listen } = yield* Network.Network
            const listener = yield* listen("tcp://0.0.0.0:7000")
            return yield* listener.serve((transport) => transport.write(Uint8Array.of(1)), { connectionsMax })
          })
        })
        const client = yield* host("client")
        const one = Effect.gen(function*() {
          const { connect } = yield* Network.Network
          return (yield* Connection.take(yield* connect("tcp://server:7000"))).length
        })
        return yield* Effect.all(Array.from({ length: 4 }, () => client.run(one)), { concurrency: "unbounded" })
      })
      for (const interleave of [Interleave.random(0.1), Interleave.random(0.5), Interleave.ranked()]) {
        for (let seed = 0; seed < 100; seed++) {
          assert.deepStrictEqual(Sim.run(world, { seed, interleave, trace: "off" }).exit, Exit.succeed([1, 1, 1, 1]))
        }
      }
    }
  })
})
