/** One program file over real sockets and in worlds: table C1 of the acceptance checks. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { NodeTransport } from "effect-transport/node"
import { Sim } from "effect-transport/sim"
import { randomUUID } from "node:crypto"
import { conversations } from "../../scratchpad/examples/conversations.ts"

/** Where a world differs from real sockets, and why. */
const differences: Readonly<Record<string, { readonly simulated: object; readonly why: string }>> = {
  "unix, reset": {
    simulated: { next: "Reset", again: "Reset" },
    why:
      "an abort of a Unix socket shows as an end on Linux where nothing was unread; in a world it is a reset as in TCP"
  }
}

/** How many seeds; few where one takes long. */
const seedsOf = (name: string) => name === "a duplex transfer" ? 3 : 30

describe.for([
  ["tcp", "tcp://127.0.0.1:0"],
  ["unix", `unix:///tmp/effect-transport-${randomUUID()}.sock`]
])("Conversations over %s", ([kind, endpoint]) => {
  for (const [name, conversation] of Object.entries(conversations(endpoint!))) {
    it.live(`come out the same in a world: ${name}`, () =>
      Effect.gen(function*() {
        const real = yield* Effect.provide(conversation, NodeTransport.layerNetwork)
        const difference = differences[`${kind}, ${name}`]
        const expected = { ...real, ...difference?.simulated }
        if (difference !== undefined) assert.notDeepEqual(expected, real, "a difference that is listed, and is none")
        for (let seed = 0; seed < seedsOf(name); seed++) {
          const { exit } = Sim.run(conversation, { seed, trace: "off" })
          assert.deepStrictEqual(exit, Exit.succeed(expected), `seed ${seed}`)
        }
      }))
  }
})
