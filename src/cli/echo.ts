/**
 * `echo listen:ENDPOINT`: gives every connection back what it sends, until its end.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Connection from "../Connection.ts"
import type { Network } from "../Network.ts"
import type { TransportError } from "../TransportError.ts"
import { converse, serveUntilAsked } from "./conversation.ts"
import { failure, Report } from "./report.ts"
import type { Shutdown } from "./shutdown.ts"
import * as Side from "./side.ts"

export interface Options {
  readonly a: Side.Side
  readonly drain: Duration.Duration
}

/** Serves until a signal. What it fails with has been said. */
export const echo = ({ a, drain }: Options): Effect.Effect<void, TransportError, Network | Report | Shutdown> =>
  Effect.scoped(Effect.gen(function*() {
    const report = yield* Report
    const listener = yield* Effect.tapError(Side.listen("A", a), (error) => report.say(failure(error)))
    let count = 0
    yield* serveUntilAsked(listener, (connection) => {
      const number = ++count
      const traffic = { aToB: 0, bToA: 0 }
      return converse(Connection.copy(connection, connection, { endOnDone: "close" }), [connection], drain).pipe(
        Effect.flatMap((outcome) =>
          outcome === "cut" ? report.say({ event: "cut", connection: number, ...traffic }) : Effect.void
        ),
        Effect.catch((error) => report.say(failure(error, { connection: number, ...traffic })))
      )
    }, drain)
  }))
