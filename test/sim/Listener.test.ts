import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import { Connection, Network } from "effect-transport"
import { Sim, World } from "effect-transport/sim"

/** Four clients at once, each of which waits for the server to abort the connection. */
const rush = (connectionsMax: number) =>
  Effect.gen(function*() {
    const { host } = yield* World.World
    yield* host("server", {
      boot: Effect.gen(function*() {
        const { listen } = yield* Network.Network
        const listener = yield* listen("tcp://0.0.0.0:7000")
        return yield* listener.serve(({ abort }) => abort, { connectionsMax })
      })
    })
    yield* Effect.sleep("10 millis")
    const client = yield* host("client")
    const one = Effect.gen(function*() {
      const { connect } = yield* Network.Network
      const transport = yield* connect("tcp://server:7000")
      return yield* Effect.match(Connection.take(transport), {
        onFailure: (error) => Cause.isDone(error) ? "the end" : error.reason._tag,
        onSuccess: () => "bytes"
      })
    })
    return yield* Effect.forEach(Array.from({ length: 4 }), () => client.run(one), { concurrency: "unbounded" })
  })

describe("Listener.serve", () => {
  it("misses no connection and no free place, whoever gives way to whom", () => {
    for (const connectionsMax of [1, 1024]) {
      for (let seed = 0; seed < 300; seed++) {
        const { exit } = Sim.run(rush(connectionsMax), { seed, trace: "off" })
        assert.deepStrictEqual(
          exit,
          Exit.succeed(["Reset", "Reset", "Reset", "Reset"]),
          `seed ${seed}, ${connectionsMax} at once`
        )
      }
    }
  })
})
