import { describe } from "@effect/vitest"
import { Fault } from "effect-transport/sim"
import { both, faultTest, forever, inTurn, read, write } from "../../support/faultTest.ts"

const way = { connection: 0, direction: "c>s" } as const

describe("faults of a flow", () => {
  faultTest("fragment", "bytes before and behind come in two pieces", {
    faults: [Fault.fragment({ ...way, at: 1 })],
    client: both(inTurn(write(4), forever), read),
    sees: { client: [], server: [] }
  })
})
