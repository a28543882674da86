import { assert, describe, it } from "@effect/vitest"
import { Exit } from "effect"
import { Sim } from "effect-transport/sim"
import { worlds } from "../support/simWorlds.ts"

describe("Programs in a world", () => {
  for (const { promise, world } of Object.values(worlds)) {
    it(promise, { timeout: 120_000 }, () => {
      for (let seed = 0; seed < 100; seed++) {
        const { exit } = Sim.run(world, { seed, trace: "off" })
        assert.isTrue(Exit.isSuccess(exit), `seed ${seed}: ${Exit.isFailure(exit) ? exit.cause : ""}`)
      }
    })
  }
})
