/**
 * The laws of transports and consumers in a world: as in production, and under interleavings that no machine shows.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Random } from "effect"
import { Connection, Lines, Network, Protocol, TestTransport } from "effect-transport"
import { Sim } from "effect-transport/sim"
import { ProducerLaws, TransportLaws } from "effect-transport/testing"
import { flowSubjects } from "../support/flowSubjects.ts"
import { judge, network, reasons } from "../support/simLaws.ts"

const over = (
  endpoint: () => string,
  capabilities: TransportLaws.Capabilities,
  failingOpens: TransportLaws.Subject["failingOpens"]
): TransportLaws.Subject => ({
  pair: (options) =>
    Effect.gen(function*() {
      const { connect, listen } = yield* network
      const listener = yield* listen(endpoint(), options)
      const [a, b] = yield* Effect.all([connect(listener.endpoint, options), listener.accept], { concurrency: 2 })
      return [a, b] as const
    }),
  listener: {
    listen: (options) => Effect.flatMap(network, ({ listen }) => listen(endpoint(), options)),
    listenAgain: (listener) => Effect.flatMap(network, ({ listen }) => listen(listener.endpoint)),
    connect: (listener, options) => Effect.flatMap(network, ({ connect }) => connect(listener.endpoint, options))
  },
  failingOpens,
  capabilities
})

const failing = (
  name: string,
  open: (network: Network.Network["Service"]) => TransportLaws.FailingOpen["open"],
  ...reasons: TransportLaws.FailingOpen["reasons"]
): TransportLaws.FailingOpen => ({ name, open: Effect.flatMap(network, open), reasons })

const tcp = over(() => "tcp://127.0.0.1:0", { halfClose: true, reset: true, addresses: true }, [
  failing("a port that nobody listens on", ({ connect }) => connect("tcp://127.0.0.1:9"), "Refused"),
  failing("a name that is unknown", ({ connect }) => connect("tcp://nowhere.example:9"), "NameNotFound"),
  failing(
    "listening where somebody does",
    ({ listen }) => Effect.flatMap(listen("tcp://127.0.0.1:9"), () => listen("tcp://127.0.0.1:9")),
    "Busy"
  ),
  failing("listening at an address of another", ({ listen }) => listen("tcp://192.0.2.1:9"), "InvalidOption"),
  failing("an endpoint of a kind that is not there", ({ connect }) => connect("memory:here"), "Unsupported"),
  failing("an endpoint that is none", ({ connect }) => connect("tcp://" as string), "InvalidOption")
])

let sockets = 0
const unix = over(() => `unix:///run/${++sockets}.sock`, { halfClose: true, reset: false }, [
  failing("a path that is not there", ({ connect }) => connect("unix:///run/none.sock"), "NotFound"),
  failing(
    "listening where somebody does",
    ({ listen }) => Effect.flatMap(listen("unix:///run/busy.sock"), () => listen("unix:///run/busy.sock")),
    "Busy"
  ),
  failing("a path that is too long", ({ connect }) => connect(`unix:///${"a".repeat(200)}`), "InvalidOption")
])

const { hasHalfClose, noBuffers, noCount, noGarbage, noInFront, noListener, noMarks, noReset } = reasons

judge("a simulated connection of TCP", TransportLaws.make(tcp), {
  leftOut: { 56: hasHalfClose, 83: noCount, 84: noGarbage }
})
judge("a simulated connection of a Unix socket", TransportLaws.make(unix), {
  leftOut: { 56: hasHalfClose, 70: noReset, 72: noReset, 76: noReset, 83: noCount, 84: noGarbage }
})

// What needs no network runs in a world as well, and there its interleavings can be chosen.
const inMemory = { halfClose: true, reset: true }
const ofMemory = {
  2: noListener,
  3: noListener,
  5: noListener,
  56: hasHalfClose,
  83: noCount,
  84: noGarbage,
  95: noListener,
  96: noListener,
  97: noListener
}
judge("a connection of memory in a world", TransportLaws.make({ pair: TestTransport.pair, capabilities: inMemory }), {
  leftOut: ofMemory
})
judge(
  "a lockstep pair in a world",
  TransportLaws.make({ pair: TestTransport.lockstepPair, capabilities: { ...inMemory, buffers: false } }),
  { leftOut: { ...ofMemory, 34: noBuffers, 35: noBuffers, 72: noBuffers } }
)
const noneOfItsOwn = { 34: noMarks, 35: noMarks }
const flowLeftOut: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  "a buffer": { 38: noInFront },
  "a transport": { ...noneOfItsOwn, 38: noInFront },
  "a buffer in front of a transport": noneOfItsOwn,
  "a rate limit in front of a transport": noneOfItsOwn
}
for (const [name, { capabilities, ...subject }] of Object.entries(flowSubjects)) {
  judge(
    `${name} in a world`,
    ProducerLaws.make({ ...subject, capabilities: { ...capabilities, virtualTime: false } }),
    { leftOut: flowLeftOut[name]! }
  )
}

describe("Connection.take of frames", () => {
  /** Reads that are interrupted anywhere, and what they and the last one return. */
  const interrupted = Effect.scoped(Effect.gen(function*() {
    const [here, there] = yield* TestTransport.pair()
    const lines = yield* Protocol.attach(Lines.protocol(), here)
    const taken: Array<string> = []
    const expected = Array.from({ length: 60 }, (_, i) => `line ${i}`)
    for (let i = 0; i < 60; i += 3) {
      const taking = yield* Effect.forkChild(
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(restore(Connection.take(lines)), (line) => Effect.sync(() => taken.push(line)))
        )
      )
      yield* there.write(new TextEncoder().encode(expected.slice(i, i + 3).join("\n") + "\n"))
      for (let turns = yield* Random.nextIntBetween(0, 6); turns > 0; turns--) yield* Effect.yieldNow
      yield* Fiber.interrupt(taking)
    }
    yield* there.halfClose
    yield* Connection.forEach(lines, (batch) => Effect.sync(() => taken.push(...batch)))
    return [taken, expected] as const
  }))

  it("loses none, wherever it is interrupted", () => {
    for (let seed = 0; seed < 200; seed++) {
      const { exit } = Sim.run(interrupted, { seed })
      assert.isTrue(Exit.isSuccess(exit), `seed ${seed}: ${exit}`)
      if (Exit.isSuccess(exit)) assert.deepStrictEqual(exit.value[0], exit.value[1], `seed ${seed}`)
    }
  })
})
