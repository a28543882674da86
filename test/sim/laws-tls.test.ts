import { Effect, Scope } from "effect"
import { TransportLaws } from "effect-transport/testing"
import { judge, network, reasons } from "../support/simLaws.ts"

const endpoint = "tls://127.0.0.1:0"

const pair: TransportLaws.Subject["pair"] = (options) =>
  Effect.gen(function*() {
    const { connect, listen } = yield* network
    const listening = yield* Scope.fork(yield* Effect.scope)
    const listener = yield* Scope.provide(listen(endpoint, options), listening)
    const ends = yield* Effect.all([connect(listener.endpoint, options), listener.accept], { concurrency: 2 })
    yield* Scope.close(listening, yield* Effect.exit(Effect.void))
    return ends
  })

judge(
  "TLS",
  TransportLaws.make({
    pair,
    listener: {
      listen: (options) => Effect.flatMap(network, ({ listen }) => listen(endpoint, options)),
      listenAgain: (listener) => Effect.flatMap(network, ({ listen }) => listen(listener.endpoint)),
      connect: (listener, options) => Effect.flatMap(network, ({ connect }) => connect(listener.endpoint, options))
    },
    failingOpens: [
      {
        name: "a port that nobody listens on",
        open: Effect.flatMap(network, ({ connect }) => connect("tls://127.0.0.1:1")),
        reasons: ["Refused"]
      },
      {
        name: "a host that is not there",
        open: Effect.flatMap(network, ({ connect }) => connect("tls://nowhere.example:443")),
        reasons: ["NameNotFound"]
      },
      {
        name: "a server that speaks no TLS",
        open: Effect.gen(function*() {
          const { connect, listen } = yield* network
          const listener = yield* listen("tcp://127.0.0.1:0")
          const { endpoint } = listener
          yield* Effect.forkScoped(Effect.flatMap(listener.accept, ({ write }) => write(new Uint8Array(100))))
          return yield* connect({ _tag: "tls", host: "127.0.0.1", port: endpoint._tag === "tcp" ? endpoint.port : 0 })
        }),
        reasons: ["TlsRejected"]
      }
    ],
    capabilities: { halfClose: true, reset: true, addresses: true }
  }),
  { leftOut: { 56: reasons.hasHalfClose, 83: reasons.noCount, 84: reasons.noGarbage } }
)
