/**
 * Simulated worlds, in one process: how many of its things a world does in a second, and what the same program takes over
 * loopback TCP. Where a figure is held against a fixed one, the other side of the case is a pace, which does nothing and
 * answers with the time that so much would have taken.
 */
import { Effect, Exit } from "effect"
import { Connection, Lines, Network, Protocol } from "effect-transport"
import { NodeTransport } from "effect-transport/node"
import { Sim, World } from "effect-transport/sim"
import { answer, hashing, options, ownUsage } from "../child.ts"
import { messages } from "../content.ts"
import { exchange } from "../exchange.ts"
import type { AloneAnswers, SubjectOptions } from "../messages.ts"

const { bytes, isHashed, service } = options<SubjectOptions>()
const [name = "", argument = ""] = service.split("/")

/** Does so many operations, and answers with the seconds that they took. */
type Doing = (operations: number) => number | Promise<number>

/** How much was done, and how much of it was right. */
const total = { sent: 0, received: 0 }
const check = (sent: number, received: number) => {
  total.sent += sent
  total.received += received
}

let seed = 0

const run = <A>(world: Parameters<typeof Sim.run<A, unknown>>[0], trace: Sim.Options["trace"] = "events") => {
  const budget = { steps: Number.MAX_SAFE_INTEGER, virtual: "100 days" } as const
  const report = Sim.run(world, { seed: seed++, budget, trace })
  if (Exit.isFailure(report.exit)) throw new Error(`seed ${report.seed}: ${report.exit}`)
  return { steps: report.steps, value: report.exit.value }
}

/** The seconds that it takes, with the part of them that counts. */
const timed = (doing: () => number): number => {
  const before = performance.now()
  const part = doing()
  return (performance.now() - before) / 1000 * part
}

// ---------------------------------------------------------------------------------------------------------------------

const server = Effect.gen(function*() {
  const { listen } = yield* Network.Network
  const { serve } = yield* listen("tcp://0.0.0.0:7000")
  return yield* serve((transport) =>
    Effect.gen(function*() {
      const lines = yield* Protocol.attach(Lines.protocol(), transport)
      yield* Connection.forEach(lines, (batch) => lines.writeAll(batch))
    })
  )
})

const client = (line: string) =>
  Effect.gen(function*() {
    const { connect } = yield* Network.Network
    const lines = yield* Protocol.attach(Lines.protocol(), yield* connect("tcp://server:7000"))
    yield* lines.write(line)
    return yield* Connection.take(lines)
  })

/** A server and three clients, each a host of its own, and a line there and back for each. */
const small = Effect.gen(function*() {
  const { host } = yield* World.World
  yield* host("server", { boot: server })
  yield* Effect.sleep("10 millis")
  const lines = yield* Effect.forEach(
    ["a", "b", "c"],
    (name) => Effect.flatMap(host(name), ({ run }) => run(client(name))),
    { concurrency: "unbounded" }
  )
  return lines.join("") === "abc" ? 1 : 0
})

const dayOf = (seconds: number) =>
  Effect.suspend(() => {
    let slept = 0
    return Effect.as(
      Effect.whileLoop({ while: () => slept < seconds, body: () => Effect.sleep("1 second"), step: () => slept++ }),
      seconds
    )
  })

const messageOf = messages(bytes, isHashed)

/** A ping-pong that sees to it that all comes back, in its order. */
const pingPong = (count: number) => {
  const sent = hashing(isHashed)
  const received = hashing(isHashed)
  const sentOf = (index: number) => {
    const message = messageOf(index)
    sent?.update(message)
    return message
  }
  return Effect.map(
    exchange(count, sentOf, (chunk) => void received?.update(chunk)),
    () => check(count, sent?.digest("hex") === received?.digest("hex") ? count : 0)
  )
}

/** As many worlds as it takes, so that the seed decides several times how they interleave. */
const pieces = (operations: number, size: number, doing: (piece: number) => void) => {
  for (let left = operations; left > 0; left -= size) doing(Math.min(left, size))
}

const doings: Readonly<Record<string, Doing>> = {
  pace: (operations) => {
    check(operations, operations)
    return operations / Number(argument)
  },
  steps: (operations) =>
    timed(() => {
      let steps = 0
      while (steps < operations) {
        steps += run(pingPong(1000)).steps
      }
      return operations / steps
    }),
  worlds: (operations) =>
    timed(() => {
      for (let i = 0; i < operations; i++) check(1, run(small).value)
      return 1
    }),
  day: (operations) =>
    timed(() => {
      pieces(operations, 86_400, (seconds) => check(seconds, run(dayOf(seconds)).value))
      return 1
    }),
  ping: (operations) =>
    timed(() => {
      pieces(operations, 5000, (count) => {
        run(pingPong(count), argument as Sim.Options["trace"])
      })
      return 1
    }),
  tcp: async (operations) => {
    const before = performance.now()
    await Effect.runPromise(Effect.provide(pingPong(operations), NodeTransport.layerNetwork))
    return (performance.now() - before) / 1000
  }
}

answer<AloneAnswers>({
  ...ownUsage,
  start: () => 0,
  run: doings[name]!,
  digest: () => ({ sent: `${total.sent}`, received: `${total.received}` })
})
