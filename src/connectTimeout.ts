/**
 * The time that connecting may take, where one waits for somebody at the other end.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Endpoint from "./Endpoint.ts"
import { durationOf } from "./internal/check.ts"
import * as TransportError from "./TransportError.ts"

/** The option `connectTimeout`, checked. By default as long as a person waits who thinks that it may still come. */
export const connectTimeoutOf = (
  given: unknown,
  failure: { readonly operation: TransportError.Operation; readonly endpoint: string }
): Effect.Effect<Duration.Duration, TransportError.TransportError> => {
  const connectTimeout = durationOf(given ?? "30 seconds")
  return connectTimeout === undefined
    ? Effect.fail(TransportError.invalidOption(failure.operation, failure.endpoint, {
      field: "connectTimeout",
      expected: "a finite duration",
      actual: given
    }))
    : Effect.succeed(connectTimeout)
}

/** What opens at once or later, within the time that connecting may take; with no time, not at all. */
export const withinConnectTimeout = <A, R>(
  opening: Effect.Effect<A, TransportError.TransportError, R>,
  endpoint: Endpoint.Endpoint,
  { connectTimeout }: { readonly connectTimeout: Duration.Duration }
): Effect.Effect<A, TransportError.TransportError, R> => {
  const timedOut = Effect.suspend(() =>
    Effect.fail(
      TransportError.make("open", Endpoint.format(endpoint), new TransportError.TimedOut({ phase: "connect" }))
    )
  )
  return Duration.isZero(connectTimeout)
    ? timedOut
    : Effect.timeoutOrElse(opening, { duration: connectTimeout, orElse: () => timedOut })
}
