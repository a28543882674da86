import { Effect } from "effect"
import { TransportLaws } from "effect-transport/testing"
import { judge, network, nextNumber, reasons, world } from "../support/simLaws.ts"

/** Fast, since the laws allow ten seconds for what takes a real cable minutes. */
const baudRate = 1_000_000_000

const pair: TransportLaws.Subject["pair"] = (options) =>
  Effect.gen(function*() {
    const { cable, main } = yield* world
    const { connect } = yield* network
    const number = yield* nextNumber
    const [one, other] = [`/dev/ttyA${number}`, `/dev/ttyB${number}`]
    yield* Effect.orDie(cable(main, one, main, other))
    return yield* Effect.all([
      connect({ _tag: "serial", path: one, baudRate }, options),
      connect({ _tag: "serial", path: other, baudRate }, options)
    ])
  })

/** These read to the end of input, or wait for the other end to be gone, and a cable tells neither. */
const needsEnd = [
  4,
  6,
  7,
  8,
  9,
  10,
  11,
  15,
  17,
  18,
  20,
  21,
  23,
  25,
  26,
  30,
  36,
  43,
  44,
  57,
  58,
  59,
  60,
  61,
  63,
  64,
  67,
  68,
  71,
  73,
  75,
  77,
  78,
  82
]

judge(
  "a serial cable",
  TransportLaws.make({
    pair,
    failingOpens: [
      {
        name: "a device that is not there",
        open: Effect.flatMap(network, ({ connect }) => connect("serial:///dev/nowhere")),
        reasons: ["NotFound"]
      },
      {
        name: "a device that is in use",
        open: Effect.gen(function*() {
          const { cable, main } = yield* world
          const { connect } = yield* network
          const path = `/dev/ttyC${yield* nextNumber}`
          yield* Effect.orDie(cable(main, path, main, `${path}x`))
          yield* connect({ _tag: "serial", path, baudRate })
          return yield* connect({ _tag: "serial", path, baudRate })
        }),
        reasons: ["Busy"]
      }
    ],
    capabilities: { halfClose: false, reset: false }
  }),
  {
    leftOut: {
      3: reasons.noListener,
      5: reasons.noListener,
      13: reasons.noHalfClose,
      51: reasons.noHalfClose,
      52: reasons.noHalfClose,
      53: reasons.noHalfClose,
      54: reasons.noHalfClose,
      55: reasons.noHalfClose,
      70: reasons.noReset,
      72: reasons.noReset,
      76: reasons.noReset,
      83: reasons.noCount,
      84: reasons.noGarbage,
      95: reasons.noListener,
      96: reasons.noListener,
      97: reasons.noListener
    },
    broken: Object.fromEntries(needsEnd.map((number) => [number, "a close at one end is silence at the other"]))
  }
)
