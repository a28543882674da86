import { Effect } from "effect"
import { TransportLaws } from "effect-transport/testing"
import { judge, network, nextNumber, reasons, world } from "../support/simLaws.ts"

const pair: TransportLaws.Subject["pair"] = (options) =>
  Effect.gen(function*() {
    const { fifo, main } = yield* world
    const { connect } = yield* network
    const number = yield* nextNumber
    const [one, other] = [`/run/${number}a`, `/run/${number}b`]
    yield* Effect.orDie(fifo(main, one))
    yield* Effect.orDie(fifo(main, other))
    return yield* Effect.all([
      connect({ _tag: "fifo", read: one, write: other }, options),
      connect({ _tag: "fifo", read: other, write: one }, options)
    ], { concurrency: 2 })
  })

judge(
  "named pipes",
  TransportLaws.make({
    pair,
    failingOpens: [
      {
        name: "a pipe that is not there",
        open: Effect.flatMap(network, ({ connect }) => connect("fifo:?read=/nowhere")),
        reasons: ["NotFound"]
      },
      {
        name: "listening",
        open: Effect.flatMap(network, ({ listen }) => listen("fifo:?read=/nowhere")),
        reasons: ["Unsupported"]
      }
    ],
    // A pipe has no reset to show, and no addresses.
    capabilities: { halfClose: true, reset: false }
  }),
  {
    leftOut: {
      3: reasons.noListener,
      5: reasons.noListener,
      56: reasons.hasHalfClose,
      70: reasons.noReset,
      72: reasons.noReset,
      76: reasons.noReset,
      83: reasons.noCount,
      84: reasons.noGarbage,
      95: reasons.noListener,
      96: reasons.noListener,
      97: reasons.noListener
    }
  }
)
