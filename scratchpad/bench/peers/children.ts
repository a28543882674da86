/**
 * Bulk to and from programs that this process starts: ours, and `node:child_process` as its documentation shows. They move
 * zeros, so that the program costs as little as it can.
 */
import { Effect } from "effect"
import { Connection, Transport } from "effect-transport"
import { NodeChildProcess } from "effect-transport/node"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { finished } from "node:stream/promises"
import { answer, hashing, options, ownUsage } from "../child.ts"
import type { AloneAnswers, SubjectOptions } from "../messages.ts"
import { hashOfZeros, printed, printing, reading } from "../zeros.ts"

const { bytes, isHashed, service } = options<SubjectOptions>()

const message = new Uint8Array(bytes)

/** One for each run. */
const sent: Array<string> = []
const received: Array<string> = []

type Service = (operations: number) => Promise<unknown>

const outOfOurs: Service = (operations) =>
  Effect.gen(function*() {
    const [command, ...args] = printing(operations * bytes)
    const { transport } = yield* NodeChildProcess.open({ _tag: "exec", command, args })
    const hash = hashing(isHashed)
    let missing = operations * bytes
    yield* Connection.forEach(transport, (batch) => {
      for (const chunk of batch) {
        hash?.update(chunk)
        missing -= chunk.length
      }
      return Effect.void
    })
    if (missing !== 0) return yield* Effect.die("some of it is missing")
    received.push(hash?.digest("hex") ?? "")
  }).pipe(Effect.scoped, Effect.runPromise)

const outOfNode: Service = async (operations) => {
  const [command, ...args] = printing(operations * bytes)
  const { stdout } = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] })
  const hash = hashing(isHashed)
  let missing = operations * bytes
  stdout.on("data", (chunk: Buffer) => {
    hash?.update(chunk)
    missing -= chunk.length
  })
  await finished(stdout)
  if (missing !== 0) throw new Error("some of it is missing")
  received.push(hash?.digest("hex") ?? "")
}

const intoOurs: Service = (operations) =>
  Effect.gen(function*() {
    const [command, ...args] = reading(isHashed)
    const { transport } = yield* NodeChildProcess.open({ _tag: "exec", command, args })
    let written = 0
    yield* Effect.whileLoop({
      while: () => written < operations,
      body: () => transport.write(message),
      step: () => {
        written++
      }
    })
    yield* transport.halfClose
    received.push(printed(new TextDecoder().decode(yield* Transport.readUntilEnd(transport))))
  }).pipe(Effect.scoped, Effect.runPromise)

const intoNode: Service = async (operations) => {
  const [command, ...args] = reading(isHashed)
  const { stdin, stdout } = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] })
  let text = ""
  stdout.setEncoding("utf8").on("data", (piece: string) => {
    text += piece
  })
  for (let written = 0; written < operations; written++) {
    if (!stdin.write(message)) await once(stdin, "drain")
  }
  stdin.end()
  await finished(stdout)
  received.push(printed(text))
}

const services: Readonly<Record<string, Service>> = {
  "out/ours": outOfOurs,
  "out/node": outOfNode,
  "into/ours": intoOurs,
  "into/node": intoNode
}

answer<AloneAnswers>({
  ...ownUsage,
  start: () => 0,
  run: async (operations) => {
    const before = performance.now()
    await services[service]!(operations)
    const seconds = (performance.now() - before) / 1000
    if (isHashed) sent.push(hashOfZeros(operations, bytes))
    return seconds
  },
  digest: () => ({ sent: sent.join(), received: received.join() })
})
