/**
 * What is below a serial port: how a device is opened, and what it can do beside carrying bytes.
 *
 * The service has one layer for each way to reach a device: `NodeSerial` for those of this machine, `TestSerial` for
 * cables in memory. A program does not call it: `Serial.open` makes a port of what it opens, with bounds, merged lines
 * and typed ends, and the endpoint `serial:` of a `Network` makes a transport.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { SerialEndpoint } from "./Endpoint.ts"
import { setDeviceUnder } from "./internal/serialDevices.ts"
import { inOwnScope } from "./ownScope.ts"
import type { Transport } from "./Transport.ts"
import type { Reason, TransportError } from "./TransportError.ts"
import * as Wire from "./Wire.ts"

/**
 * The modem lines that the other end drives: clear to send, data set ready, data carrier detect. True is asserted.
 *
 * @category models
 * @since 0.1.0
 */
export interface InputLines {
  readonly cts: boolean
  readonly dsr: boolean
  readonly dcd: boolean
}

/**
 * The modem lines that this end drives: data terminal ready, request to send. True is asserted, as both are when a port
 * is opened.
 *
 * @category models
 * @since 0.1.0
 */
export interface OutputLines {
  readonly dtr: boolean
  readonly rts: boolean
}

/**
 * Whose bytes are discarded: those that arrived and were not read, those that were written and not sent, or both.
 *
 * @category models
 * @since 0.1.0
 */
export type Direction = "input" | "output" | "both"

/**
 * A device that is open, and belongs to whoever opened it.
 *
 * **Details**
 *
 * Errors have the operation `control`, and the reason `Unsupported` for what the device has not: a pseudoterminal, and many
 * an adapter, has no lines. `wire` is called once; what it answers with lets the device go, at the latest with the scope
 * of the open. No effect here is bounded, and none is called after the wire has been let go.
 *
 * @category models
 * @since 0.1.0
 */
export interface Device {
  readonly wire: (port: Wire.Port) => Wire.Wire
  /** The reason behind what the wire reports as broken. */
  readonly reasonOf: (cause: unknown) => Reason
  /** What a close at the end of a scope may wait for. */
  readonly scopeExit: Wire.ScopeExit
  /** Waits until all that the operating system has taken is on the line. Interrupted, it only waits no longer. */
  readonly drain: Effect.Effect<void, TransportError>
  /** Discards what the operating system holds. */
  readonly discard: (direction: Direction) => Effect.Effect<void, TransportError>
  readonly setBaudRate: (baudRate: number) => Effect.Effect<void, TransportError>
  readonly lines: Effect.Effect<InputLines, TransportError>
  /** Sets all of them at once; while `break` is true the line is held low. */
  readonly setLines: (lines: OutputLines & { readonly break: boolean }) => Effect.Effect<void, TransportError>
}

/**
 * Opens serial devices.
 *
 * **Details**
 *
 * `open` fails with `NotFound`, `PermissionDenied`, `Busy` (another program has it open or locked, and is not disturbed),
 * or `Unsupported` (no serial port, or settings that the platform has not). Interrupted, nothing stays open.
 *
 * @category services
 * @since 0.1.0
 */
export class SerialBinding extends Context.Service<SerialBinding, {
  readonly open: (endpoint: SerialEndpoint) => Effect.Effect<Device, TransportError, Scope.Scope>
}>()("effect-transport/SerialBinding") {}

/**
 * Opens a device and makes a transport of it: for those who write a `Network`. `Serial.portOf` finds the port by it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connect = (
  binding: SerialBinding["Service"],
  connection: {
    /** As `Info.id`; asked for when the device is open. */
    readonly nextId: () => number
    readonly endpoint: SerialEndpoint
    readonly options: Wire.ResolvedOptions
  }
): Effect.Effect<{ readonly device: Device; readonly transport: Transport }, TransportError, Scope.Scope> =>
  inOwnScope(
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(restore(binding.open(connection.endpoint)), (device) =>
        Effect.map(
          Wire.toTransport(device.wire, {
            info: { id: connection.nextId(), endpoint: connection.endpoint, local: Option.none(), peer: Option.none() },
            options: connection.options,
            scopeExit: device.scopeExit,
            reasonOf: device.reasonOf
          }),
          (transport) => {
            setDeviceUnder(transport, device)
            return { device, transport }
          }
        ))
    )
  )
