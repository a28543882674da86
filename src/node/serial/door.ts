/**
 * The door of serial ports. What opens them is of `serial/`; a port has one user at a time.
 */
import * as Effect from "effect/Effect"
import { withinConnectTimeout } from "../../connectTimeout.ts"
import type * as Endpoint from "../../Endpoint.ts"
import { inOwnScope } from "../../ownScope.ts"
import { connect } from "../../SerialBinding.ts"
import { type Door, noListening } from "../door.ts"

export const serialDoor: Door<Endpoint.SerialEndpoint> = {
  connect: ({ nextId, serial }, endpoint, options) =>
    Effect.map(
      inOwnScope(
        withinConnectTimeout(connect(serial, { nextId, endpoint, options: options.transport }), endpoint, options)
      ),
      ({ transport }) => transport
    ),

  listen: noListening
}
