/** One RPC program, unchanged, over memory under a clock of its own and in simulated worlds. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { TestTransport } from "effect-transport"
import { Sim, World } from "effect-transport/sim"
import { TestClock } from "effect/testing"
import { answers, call, exchange, serve } from "../support/rpcProgram.ts"

describe("An RpcGroup with streaming results", () => {
  it.effect("runs over memory, by the clock of the test", () =>
    Effect.gen(function*() {
      const exchanging = yield* Effect.forkChild(Effect.provide(exchange("memory:rpc"), TestTransport.layerNetwork))
      // Messages take turns and no time.
      const settle = Effect.repeat(Effect.yieldNow, { times: 200 })
      for (let seconds = 0; seconds < 3; seconds++) {
        yield* settle
        assert.isUndefined(exchanging.pollUnsafe(), `after ${seconds} seconds`)
        yield* TestClock.adjust("1 second")
      }
      yield* settle
      assert.deepStrictEqual(exchanging.pollUnsafe(), Exit.succeed(answers))
    }))

  it("runs in a simulated world, for every seed", () => {
    const world = Effect.gen(function*() {
      const { host } = yield* World.World
      yield* host("server", { boot: serve("tcp://0.0.0.0:7000") })
      return yield* (yield* host("client")).run(call("tcp://server:7000"))
    })
    for (let seed = 0; seed < 20; seed++) {
      const { exit } = Sim.run(world, { seed })
      assert.deepStrictEqual(exit, Exit.succeed(answers), `seed ${seed}`)
    }
  })
})
