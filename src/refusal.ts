/**
 * How a layer refuses what was asked of it: with the error of a transport, which names the endpoint below all layers.
 */
import * as Effect from "effect/Effect"
import * as Endpoint from "./Endpoint.ts"
import type { Info } from "./Transport.ts"
import { Busy, Closed, type Delivery, make, type Operation, type Reason, TransportError } from "./TransportError.ts"

export const refuseReading = (lower: object, reason: Reason): Effect.Effect<never, TransportError> =>
  Effect.fail(new TransportError({ operation: "read", endpoint: endpointOf(lower), reason }))

export const readerBusy = (lower: object): Effect.Effect<never, TransportError> =>
  refuseReading(lower, new Busy({ what: "reader" }))

/** Of what was asked of a layer that is closed, or no longer there. */
export const closedError = (
  lower: object,
  operation: Operation,
  by: Closed["by"],
  delivery?: Delivery
): TransportError => make(operation, endpointOf(lower), new Closed({ by }), { delivery })

const endpointOf = (lower: object): string => {
  const info = "info" in lower ? lower.info as Info : undefined
  return info === undefined ? "connection" : Endpoint.format(info.endpoint)
}
