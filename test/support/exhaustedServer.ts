/**
 * A listener that serves, in a process of its own: see `exhaustion.ts`, which takes its descriptors. It says its port,
 * and answers each line with how the next second was.
 */
import { Effect, Logger } from "effect"
import { Network, Transport } from "effect-transport"
import { NodeTransport } from "effect-transport/node"
import { createInterface } from "node:readline"

let warnings = 0
const logger = Logger.make(() => {
  warnings++
})

const main = Effect.gen(function*() {
  const { listen } = yield* Network.Network
  const listener = yield* listen("tcp://127.0.0.1:0")
  console.log(listener.endpoint._tag === "tcp" ? listener.endpoint.port : 0)
  createInterface(process.stdin).on("line", () => {
    const before = { warnings, cpu: process.cpuUsage(), time: performance.now() }
    setTimeout(() => {
      const { system, user } = process.cpuUsage(before.cpu)
      const busy = (user + system) / 1000 / (performance.now() - before.time)
      console.log(JSON.stringify({ warnings: warnings - before.warnings, busy }))
    }, 1000)
  })
  return yield* listener.serve((transport) =>
    Effect.gen(function*() {
      yield* transport.write(yield* Transport.readExactly(transport, 1))
      yield* Transport.readUntilEnd(transport)
    })
  )
})

await Effect.runPromise(
  Effect.scoped(main).pipe(Effect.provide([NodeTransport.layerNetwork, Logger.layer([logger])]))
)
