/**
 * The door of serial devices. A device has one user at a time.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Endpoint from "../../Endpoint.ts"
import * as TransportError from "../../TransportError.ts"
import * as Wire from "../../Wire.ts"
import { SerialDevice } from "../net/serial.ts"
import { type Door, failedAt, noListening, standingReasonOf } from "./door.ts"

export const serialDoor: Door<Endpoint.SerialEndpoint> = {
  connect: (machine, endpoint, options) => {
    const fail = failedAt("open", endpoint)
    const { host, nextId } = machine
    // In one piece: a device that was opened is a transport's, or nobody's.
    return Effect.uninterruptible(Effect.suspend(() => {
      const { baudRate, dataBits = 8, parity = "none", path, stopBits = 1 } = endpoint
      const device = host.files.get(path)
      if (device === undefined || (device instanceof SerialDevice && !device.isPlugged)) {
        return fail(new TransportError.NotFound({ what: path }))
      }
      if (host.denied.has(path)) return fail(new TransportError.PermissionDenied())
      if (!(device instanceof SerialDevice)) {
        return fail(new TransportError.Unsupported({ feature: `${path}, which is no serial device,` }))
      }
      if (device.wire !== undefined) return fail(new TransportError.Busy({ what: "device" }))
      return Wire.toTransport(
        (port) => device.open(host.owner, baudRate, `${dataBits} ${parity} ${stopBits}`).attach(port),
        {
          info: { id: nextId(), endpoint, local: Option.none(), peer: Option.none() },
          options,
          scopeExit: "clock",
          reasonOf: standingReasonOf
        }
      )
    }))
  },

  listen: noListening
}
