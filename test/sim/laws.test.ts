/**
 * The laws of transports in a world: as in production, and under interleavings that no machine shows.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { Network } from "effect-transport"
import { Interleave, Sim } from "effect-transport/sim"
import { TransportLaws } from "effect-transport/testing"

/** The world gives it to every program. */
const network = Effect.service(Network.Network) as unknown as Effect.Effect<Network.Network["Service"]>

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

/** What a run cannot judge, and why. */
const unjudged: Readonly<Record<number, string>> = {
  84: "nothing is collected before a synchronous run has ended"
}

const ways: ReadonlyArray<readonly [string, Interleave.Interleave, ReadonlyArray<number>]> = [
  ["as in production", Interleave.production, [0]],
  ["in other orders", Interleave.portfolio(), [1, 2, 3]]
]

for (const [name, subject] of Object.entries({ tcp })) {
  describe(`a simulated ${name} connection obeys`, () => {
    for (const law of TransportLaws.make(subject)) {
      const why = law.missing.length > 0 ? `needs ${law.missing.join(" and ")}` : unjudged[law.number]
      if (why !== undefined) {
        it.skip(`${law.name} (${why})`, () => {})
        continue
      }
      for (const [how, interleave, seeds] of ways) {
        it(`${law.name}, ${how}`, () => {
          for (const seed of seeds) {
            const { exit } = Sim.run(law.test, { seed, interleave, trace: "off", budget: { steps: 5_000_000 } })
            assert.isTrue(Exit.isSuccess(exit), `seed ${seed}: ${exit}`)
          }
        })
      }
    }
  })
}
