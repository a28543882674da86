/**
 * A program that reads zeros from its standard input or writes them to its standard output: ours by `stdio:`, and with
 * `process.stdin` and `process.stdout` as their documentation shows. It tells whoever started it what that took.
 */
import { Effect } from "effect"
import { Connection, Network } from "effect-transport"
import { NodeTransport } from "effect-transport/node"
import { once } from "node:events"
import { hashing, options, ownUsage } from "./child.ts"

/** What it moves: so many messages, of which the first are not measured. */
export interface BetweenOptions {
  readonly service: string
  readonly bytes: number
  readonly isHashed: boolean
  readonly warming: number
  readonly messages: number
}

/** What that took, and the hash of what it read. */
export interface Passed {
  readonly seconds: number
  readonly cpuMicros: number
  readonly hash: string
}

const { bytes, isHashed, messages, service, warming } = options<BetweenOptions>()

const message = new Uint8Array(bytes)
const hash = hashing(isHashed)

let movedBytes = 0
let before: { readonly ms: number; readonly cpuMicros: number } | undefined

const moved = (bytesMore: number): void => {
  movedBytes += bytesMore
  if (before === undefined && movedBytes >= warming * bytes) {
    before = { ms: performance.now(), cpuMicros: ownUsage.cpu() }
  }
}

const take = (chunk: Uint8Array): void => {
  hash?.update(chunk)
  moved(chunk.length)
}

type Service = () => Promise<unknown>

const openOurs = Effect.flatMap(Network.Network, ({ connect }) => connect("stdio:"))

const inOfOurs: Service = () =>
  openOurs.pipe(
    Effect.flatMap((transport) =>
      Connection.forEach(transport, (batch) => {
        for (const chunk of batch) take(chunk)
        return Effect.void
      })
    ),
    Effect.scoped,
    Effect.provide(NodeTransport.layerNetwork),
    Effect.runPromise
  )

const inOfNode: Service = async () => {
  process.stdin.on("data", take)
  await once(process.stdin, "end")
}

const outOfOurs: Service = () =>
  Effect.gen(function*() {
    const transport = yield* openOurs
    let written = 0
    yield* Effect.whileLoop({
      while: () => written < messages,
      body: () => transport.write(message),
      step: () => {
        written++
        moved(bytes)
      }
    })
    yield* transport.flush
  }).pipe(Effect.scoped, Effect.provide(NodeTransport.layerNetwork), Effect.runPromise)

const outOfNode: Service = async () => {
  for (let written = 0; written < messages; written++) {
    if (!process.stdout.write(message)) await once(process.stdout, "drain")
    moved(bytes)
  }
}

const services: Readonly<Record<string, Service>> = {
  "in/ours": inOfOurs,
  "in/node": inOfNode,
  "out/ours": outOfOurs,
  "out/node": outOfNode
}

await services[service]!()
if (before === undefined || movedBytes !== messages * bytes) throw new Error("some of it is missing")
const passed: Passed = {
  seconds: (performance.now() - before.ms) / 1000,
  cpuMicros: ownUsage.cpu() - before.cpuMicros,
  hash: hash?.digest("hex") ?? ""
}
process.send!(passed, () => process.disconnect!())
