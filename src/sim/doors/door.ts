/**
 * What a door of a simulated host is: how one kind of endpoint is connected to and listened on.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Endpoint from "../../Endpoint.ts"
import type { Listener } from "../../Listener.ts"
import type { Transport } from "../../Transport.ts"
import * as TransportError from "../../TransportError.ts"
import type * as Wire from "../../Wire.ts"
import type { Host, Hosts } from "../net/hosts.ts"
import { NativeError } from "../net/socket.ts"
import { TlsFault } from "../net/tls.ts"

/** The network that a door belongs to, as one host has it. */
export interface Machine {
  readonly hosts: Hosts
  readonly host: Host
  readonly nextId: () => number
}

/** What can be chosen for a connection of a simulated host. */
export interface ResolvedOptions extends Wire.ResolvedOptions {
  /** How long to wait for the other end of a pipe. Others wait for as long as the host does. */
  readonly connectTimeout: Duration.Duration
}

/** One kind of endpoint. Options and endpoint have been checked. */
export interface Door<E extends Endpoint.Endpoint> {
  readonly connect: (
    machine: Machine,
    endpoint: E,
    options: ResolvedOptions
  ) => Effect.Effect<Transport, TransportError.TransportError, Scope.Scope>
  readonly listen: (
    machine: Machine,
    endpoint: E,
    options: ResolvedOptions
  ) => Effect.Effect<Listener, TransportError.TransportError, Scope.Scope>
}

/** Where nobody can listen. */
export const noListening = (
  _: Machine,
  endpoint: Endpoint.Endpoint
): Effect.Effect<never, TransportError.TransportError> =>
  failedAt("listen", endpoint)(new TransportError.Unsupported({ feature: `listening on ${endpoint._tag}` }))

export const failedAt =
  (operation: "open" | "listen", endpoint: Endpoint.Endpoint) =>
  (reason: TransportError.Reason, cause?: unknown): Effect.Effect<never, TransportError.TransportError> =>
    Effect.fail(TransportError.make(operation, Endpoint.format(endpoint), reason, { cause }))

/** What `begin` opens by callbacks. What came just when its waiter was interrupted is closed again by what it answers. */
export const awaiting = <A>(
  begin: (resume: (opened: Effect.Effect<A, TransportError.TransportError>) => void) => () => void
): Effect.Effect<A, TransportError.TransportError> =>
  Effect.callback((resume) => {
    const giveUp = begin(resume)
    return Effect.sync(giveUp)
  })

/** What an error means while something is opened. */
export const openingReasonOf = (cause: unknown, what: string): TransportError.Reason => {
  if (cause instanceof TlsFault) return tlsReasonOf(cause)
  switch (cause instanceof NativeError ? cause.code : undefined) {
    case "ECONNREFUSED":
      return new TransportError.Refused()
    case "ENOENT":
      return new TransportError.NotFound({ what })
    case "EACCES":
      return new TransportError.PermissionDenied()
    case "EADDRINUSE":
      return new TransportError.Busy({ what: "address" })
    case "ETIMEDOUT":
      return new TransportError.TimedOut({ phase: "connect" })
    case "EHOSTUNREACH":
      return new TransportError.Unreachable()
    case "ECONNRESET":
    case "EPIPE":
      return new TransportError.Reset()
    default:
      return new TransportError.Failed()
  }
}

/** What it means on a connection that stood: whatever the medium calls it, it was broken. */
export const standingReasonOf = (cause: unknown): TransportError.Reason => {
  if (cause instanceof TlsFault) return tlsReasonOf(cause)
  return cause instanceof NativeError && cause.code === "ENODEV"
    ? new TransportError.Disconnected({ detail: cause.detail })
    : new TransportError.Reset()
}

const tlsReasonOf = ({ why }: TlsFault): TransportError.Reason => {
  switch (why) {
    case "Truncated":
      return new TransportError.Truncated({ missing: Option.none() })
    case "TimedOut":
      return new TransportError.TimedOut({ phase: "handshake" })
    default:
      return new TransportError.TlsRejected({ why })
  }
}
