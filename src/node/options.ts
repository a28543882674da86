/**
 * What can be chosen for connections and listeners of this machine, and the check of it.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Net from "node:net"
import { durationOf, isCount } from "../internal/check.ts"
import * as Transport from "../Transport.ts"
import * as TransportError from "../TransportError.ts"
import * as Wire from "../Wire.ts"

/**
 * What can be chosen for a connection or listener of this machine, beside `TransportOptions`.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodeOptions extends Transport.TransportOptions {
  /** Send small segments at once (TCP_NODELAY). Default true: writes of one turn leave as one segment already. */
  readonly noDelay?: boolean | undefined
  /** Probe a silent TCP peer after so long, by the kernel; at least one second. Default off, as the kernel's. */
  readonly keepAlive?: Duration.Input | undefined
  /** How long `connect` may take, the lookup of the name included. Default 30 seconds. */
  readonly connectTimeout?: Duration.Input | undefined
  /** The local address to connect from. */
  readonly localAddress?: string | undefined
  /** How many connections may wait to be accepted, in the kernel and here. Default 128; what comes beyond is reset. */
  readonly backlog?: number | undefined
  /** Let several processes listen on one port (SO_REUSEPORT). Default false. */
  readonly reusePort?: boolean | undefined
  /** Whether a listener on an IPv6 address takes IPv6 alone. Default false: `[::]` is dual-stack. */
  readonly ipv6Only?: boolean | undefined
  /** Permissions of the file of a listening Unix socket, such as 0o600. Default: what the process mask leaves. */
  readonly mode?: number | undefined
}

/** `NodeOptions`, checked and complete; those of the transport in a part of their own. */
export interface ResolvedNodeOptions {
  readonly transport: Wire.ResolvedOptions
  readonly noDelay: boolean
  readonly keepAlive: Duration.Duration | undefined
  readonly connectTimeout: Duration.Duration
  readonly localAddress: string | undefined
  readonly backlog: number
  readonly reusePort: boolean
  readonly ipv6Only: boolean
  readonly mode: number | undefined
}

export const resolveNodeOptions = Effect.fnUntraced(function*(
  given: NodeOptions,
  failure: { readonly operation: TransportError.Operation; readonly endpoint: string }
) {
  const transport = yield* Wire.resolveOptions(given, failure)
  const refuse = (field: string, expected: string, actual: unknown) =>
    Effect.fail(TransportError.invalidOption(failure.operation, failure.endpoint, { field, expected, actual }))
  for (const field of ["noDelay", "reusePort", "ipv6Only"] as const) {
    const value = given[field]
    if (value !== undefined && typeof value !== "boolean") return yield* refuse(field, "a boolean", value)
  }
  const backlog = given.backlog ?? 128
  if (!isCount(backlog, 1)) return yield* refuse("backlog", "a positive integer", backlog)
  if (given.mode !== undefined && !(isCount(given.mode, 0) && given.mode <= 0o777)) {
    return yield* refuse("mode", "permissions from 0 to 0o777", given.mode)
  }
  if (given.localAddress !== undefined && Net.isIP(given.localAddress) === 0) {
    return yield* refuse("localAddress", "an IP address", given.localAddress)
  }
  const connectTimeout = durationOf(given.connectTimeout ?? "30 seconds")
  if (connectTimeout === undefined) return yield* refuse("connectTimeout", "a finite duration", given.connectTimeout)
  const keepAlive = given.keepAlive === undefined ? undefined : durationOf(given.keepAlive)
  if (given.keepAlive !== undefined && (keepAlive === undefined || Duration.toMillis(keepAlive) < 1000)) {
    return yield* refuse("keepAlive", "a duration of at least one second", given.keepAlive)
  }
  const resolved: ResolvedNodeOptions = {
    transport,
    noDelay: given.noDelay ?? true,
    keepAlive,
    connectTimeout,
    localAddress: given.localAddress,
    backlog,
    reusePort: given.reusePort ?? false,
    ipv6Only: given.ipv6Only ?? false,
    mode: given.mode
  }
  return resolved
})
