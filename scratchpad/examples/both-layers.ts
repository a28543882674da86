/** The conversations of `conversations.ts` over real sockets and in a simulated world, side by side. */
import { Effect, Exit } from "effect"
import { NodeTransport } from "effect-transport/node"
import { Sim } from "effect-transport/sim"
import { randomUUID } from "node:crypto"
import { conversations } from "./conversations.ts"

const answerOf = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isSuccess(exit) ? JSON.stringify(exit.value) : String(exit.cause)

const main = Effect.gen(function*() {
  for (const endpoint of ["tcp://127.0.0.1:0", `unix:///tmp/effect-transport-${randomUUID()}.sock`]) {
    console.log(endpoint)
    for (const [name, conversation] of Object.entries(conversations(endpoint))) {
      const real = answerOf(yield* Effect.exit(Effect.provide(conversation, NodeTransport.layerNetwork)))
      const worlds = Array.from({ length: 10 }, (_, seed) => Sim.run(conversation, { seed, trace: "off" }))
      const simulated = new Set(worlds.map(({ exit }) => answerOf(exit)))
      console.log(`  ${name}\n    really     ${real}`)
      for (const answer of simulated) console.log(`    simulated  ${answer === real ? "the same" : answer}`)
    }
  }
})

await Effect.runPromise(main)
