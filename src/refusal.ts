/**
 * How a layer refuses what was asked of it: with the error of a transport, which names the endpoint below all layers.
 */
import * as Effect from "effect/Effect"
import * as Endpoint from "./Endpoint.ts"
import type { Info } from "./Transport.ts"
import { Busy, type Reason, TransportError } from "./TransportError.ts"

export const refuseReading = (lower: object, reason: Reason): Effect.Effect<never, TransportError> =>
  Effect.fail(new TransportError({ operation: "read", endpoint: endpointOf(lower), reason }))

export const readerBusy = (lower: object): Effect.Effect<never, TransportError> =>
  refuseReading(lower, new Busy({ what: "reader" }))

const endpointOf = (lower: object): string => {
  const info = "info" in lower ? lower.info as Info : undefined
  return info === undefined ? "connection" : Endpoint.format(info.endpoint)
}
