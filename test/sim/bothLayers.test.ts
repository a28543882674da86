/** One program file over real sockets and in worlds: table C1 of the acceptance checks. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { NodeTransport } from "effect-transport/node"
import { Sim } from "effect-transport/sim"
import { randomUUID } from "node:crypto"
import { conversations } from "../../scratchpad/examples/conversations.ts"

/** How many seeds; few where one takes long. */
const seedsOf = (name: string) => name === "a duplex transfer" ? 3 : 30

describe.for([
  ["tcp", "tcp://127.0.0.1:0"],
  ["unix", `unix:///tmp/effect-transport-${randomUUID()}.sock`]
])("Conversations over %s", ([, endpoint]) => {
  for (const [name, conversation] of Object.entries(conversations(endpoint!))) {
    it.live(`come out the same in a world: ${name}`, () =>
      Effect.gen(function*() {
        const real = yield* Effect.provide(conversation, NodeTransport.layerNetwork)
        for (let seed = 0; seed < seedsOf(name); seed++) {
          const { exit } = Sim.run(conversation, { seed, trace: "off" })
          assert.deepStrictEqual(exit, Exit.succeed(real), `seed ${seed}`)
        }
      }))
  }
})
