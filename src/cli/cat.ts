/**
 * `cat ENDPOINT`: the terminal, or whatever stands on descriptors 0 and 1, as one end of a connection.
 *
 * The end of our input half-closes the connection, and the peer's answer still comes. The peer's end ends our output; what
 * comes in after it is still sent, as `nc -N` does, because a peer may half-close and wait for a late request. But a
 * person at a terminal who sees the peer hang up has no late request, and would have to press Ctrl-D to get a prompt:
 * where descriptor 0 is a terminal the peer's end is the end of all.
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Tty from "node:tty"
import * as Connection from "../Connection.ts"
import * as Endpoint from "../Endpoint.ts"
import { Network } from "../Network.ts"
import type { Transport } from "../Transport.ts"
import * as TransportError from "../TransportError.ts"
import { join, untilOneEnds } from "./conversation.ts"
import { failure, Report } from "./report.ts"
import { Shutdown } from "./shutdown.ts"
import * as Side from "./side.ts"

/** A signal ends it at once, and as a failure: what came out so far may be less than the whole. */
export const cat = (side: Side.Side): Effect.Effect<void, TransportError.TransportError, Network | Report | Shutdown> =>
  Effect.gen(function*() {
    const report = yield* Report
    const { asked } = yield* Shutdown
    const interrupted = Effect.suspend(() =>
      Effect.fail(
        TransportError.make("read", Endpoint.format(side.endpoint), new TransportError.Closed({ by: "abort" }))
      )
    )
    yield* Effect.scoped(conversation(side)).pipe(
      Effect.raceFirst(Effect.andThen(asked, interrupted)),
      Effect.tapError((error) => report.say(failure(error)))
    )
  })

const conversation = Effect.fnUntraced(function*(side: Side.Side) {
  const scope = yield* Effect.scope
  const remote = yield* Effect.scoped(Effect.flatMap(Side.open("A", side), Scope.provide(scope)))
  const local: Transport = yield* Effect.flatMap(Network, (network) => network.connect("stdio:"))
  yield* Tty.isatty(0) ? untilPeerEnds(local, remote) : join({ a: local, b: remote })
})

const untilPeerEnds = (local: Transport, remote: Transport) =>
  untilOneEnds(
    local,
    remote,
    Effect.andThen(Connection.copy(local, remote, { endOnDone: "halfClose" }), Effect.never)
  )
