/**
 * What a door of this machine is: how one kind of endpoint is connected to and listened on.
 */
import * as Effect from "effect/Effect"
import type { AddressResolver } from "effect/net/AddressResolver"
import type * as Scope from "effect/Scope"
import type * as Net from "node:net"
import * as Endpoint from "../Endpoint.ts"
import * as Listener from "../Listener.ts"
import type { SerialBinding } from "../SerialBinding.ts"
import type * as Transport from "../Transport.ts"
import * as TransportError from "../TransportError.ts"
import * as Wire from "../Wire.ts"
import { reasonOf } from "./nativeError.ts"
import type { ResolvedNodeOptions } from "./options.ts"
import type { BoundServer } from "./socket/sockets.ts"
import { isTcp, SocketWire } from "./socket/socketWire.ts"

/** The network that a door belongs to. */
export interface Machine {
  readonly resolver: AddressResolver["Service"]
  readonly nextId: () => number
  /** How serial ports are reached. */
  readonly serial: SerialBinding["Service"]
}

/** The transports of sockets. */
export type SocketTransport = Transport.HalfCloseableTransport

/** One kind of endpoint. Options and endpoint have been checked. */
export interface Door<E extends Endpoint.Endpoint> {
  readonly connect: (
    machine: Machine,
    endpoint: E,
    options: ResolvedNodeOptions
  ) => Effect.Effect<Transport.Of<E>, TransportError.TransportError, Scope.Scope>
  readonly listen: (
    machine: Machine,
    endpoint: E,
    options: ResolvedNodeOptions
  ) => Effect.Effect<Listener.Listener<Transport.Of<E>>, TransportError.TransportError, Scope.Scope>
}

/** For what there is nobody to come to. */
export const noListening = (
  _: Machine,
  endpoint: Endpoint.Endpoint
): Effect.Effect<never, TransportError.TransportError> =>
  Effect.fail(
    TransportError.make(
      "listen",
      Endpoint.format(endpoint),
      new TransportError.Unsupported({ feature: `listening on ${endpoint._tag}` })
    )
  )

/** What is only read has an end of its own from the beginning: a write fails, and reading goes on. */
export const endWriting = (transport: SocketTransport): Effect.Effect<void> => Effect.ignore(transport.halfClose)

/** The typed error of a native one. */
export const failedAt =
  (operation: TransportError.Operation, endpoint: string) => (cause: unknown): TransportError.TransportError =>
    TransportError.make(operation, endpoint, reasonOf(cause, { operation, what: endpoint }), { cause })

/** A transport of a connected socket. */
export const transportOf = (
  socket: Net.Socket,
  info: Transport.Info & { readonly endpoint: Endpoint.TcpEndpoint | Endpoint.UnixEndpoint },
  options: ResolvedNodeOptions
): Effect.Effect<SocketTransport, never, Scope.Scope> =>
  Wire.toTransport((port) => new SocketWire(socket, port), {
    info,
    options: options.transport,
    scopeExit: "wait",
    reasonOf: (cause) => reasonOf(cause, { operation: "read", what: Endpoint.format(info.endpoint) })
  })

/** A listener on a bound server. */
export const listenerOf = (
  bound: BoundServer,
  endpoint: Endpoint.Endpoint,
  options: ResolvedNodeOptions,
  accept: (socket: Net.Socket) => Effect.Effect<SocketTransport, never, Scope.Scope>
): Effect.Effect<Listener.Listener<SocketTransport>, never, Scope.Scope> =>
  Listener.make<Net.Socket, SocketTransport>({
    endpoint,
    backlogMax: options.backlog,
    open: ({ failed, offer, remove }) => {
      // One for all of them: it does nothing any more once they have been accepted.
      function onClose(this: Net.Socket): void {
        remove(this)
      }
      bound.arrivals = {
        arrived: (socket) => {
          if (offer(socket)) socket.on("close", onClose)
          else reject(socket)
        },
        failed
      }
      return () => bound.server.close()
    },
    accept,
    reject,
    reasonOf: (cause) => reasonOf(cause, { operation: "accept", what: Endpoint.format(endpoint) })
  })

const reject = (socket: Net.Socket): void => {
  if (isTcp(socket)) socket.resetAndDestroy()
  else socket.destroy()
}
