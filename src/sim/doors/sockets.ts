/**
 * The doors of TCP and of Unix sockets.
 */
import * as Effect from "effect/Effect"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Endpoint from "../../Endpoint.ts"
import * as Listener from "../../Listener.ts"
import type { HalfCloseableTransport, Info } from "../../Transport.ts"
import * as TransportError from "../../TransportError.ts"
import * as Wire from "../../Wire.ts"
import { type Acceptor, AttemptsFailed, type Connection, keyOf, type Place } from "../net/hosts.ts"
import { NativeError, type Socket } from "../net/socket.ts"
import { awaiting, type Door, failedAt, type Machine, openingReasonOf, standingReasonOf } from "./door.ts"

/** How many connections may wait to be accepted. */
export const backlogMax = 128

type SocketEndpoint = Endpoint.TcpEndpoint | Endpoint.TlsEndpoint | Endpoint.UnixEndpoint

/** TCP and Unix sockets, which are the same from here on. */
export const socketDoor: Door<Endpoint.TcpEndpoint | Endpoint.UnixEndpoint> = {
  connect: (machine, endpoint, options) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        restore(dial(machine, endpoint)),
        ({ client, info }) => transportOf(client, info as SocketInfo, options)
      )
    ),

  listen: (machine, endpoint, options) =>
    bind(machine, endpoint, (bound) =>
      Listener.make<Socket, HalfCloseableTransport>({
        ...bound,
        backlogMax,
        open: bound.open,
        accept: (socket) => transportOf(socket, bound.infoOf(socket) as SocketInfo, options),
        reject: (socket) => socket.reset()
      }))
}

type SocketInfo = Info & { readonly endpoint: Endpoint.TcpEndpoint }

const transportOf = (
  socket: Socket,
  info: SocketInfo,
  options: Wire.ResolvedOptions
): Effect.Effect<HalfCloseableTransport, never, Scope.Scope> =>
  Wire.toTransport((port) => socket.attach(port), { info, options, scopeExit: "clock", reasonOf: standingReasonOf })

/** A connection, as its client has it. */
interface Dialled {
  readonly client: Socket
  readonly info: Info
}

/** Connects, and leaves it to the caller to make a transport of it. */
export const dial = (
  machine: Machine,
  endpoint: SocketEndpoint
): Effect.Effect<Dialled, TransportError.TransportError> =>
  Effect.suspend(() => {
    const { host, hosts, nextId } = machine
    const fail = failedAt("open", endpoint)
    const place = placeOf(endpoint)
    const target = endpoint._tag === "unix" ? host : endpoint.host
    if (endpoint._tag === "unix") {
      const { path } = endpoint
      if (!endpoint.abstract) host.meet(path)
      if (!endpoint.abstract && host.denied.has(path)) return fail(new TransportError.PermissionDenied())
      if (!host.listening.has(keyOf(place))) {
        // An abstract name has no file that could be missing.
        return fail(
          endpoint.abstract || host.stale.has(keyOf(place)) || host.files.has(path)
            ? new TransportError.Refused()
            : new TransportError.NotFound({ what: path })
        )
      }
    }
    return awaiting<Dialled>((resume) => {
      let made: Connection | undefined
      const giveUp = hosts.connect(host, target, place, {
        done: (connection) => {
          made = connection
          const { client, clientPort, server } = connection
          resume(Effect.succeed({
            client,
            info: {
              id: nextId(),
              endpoint,
              local: addressOf(endpoint, host.address, clientPort),
              peer: addressOf(endpoint, hosts.byName.get(server.host.name)!.address, portOf(endpoint))
            }
          }))
        },
        failed: (error) => resume(fail(attemptsReasonOf(error, endpoint), error))
      })
      return () => {
        giveUp()
        made?.client.abandon()
      }
    })
  })

/** Of a name with several addresses, all that failed. */
const attemptsReasonOf = (error: NativeError, endpoint: SocketEndpoint): TransportError.Reason => {
  if (error.code === "ENOTFOUND" && endpoint._tag !== "unix") {
    return new TransportError.NameNotFound({ host: endpoint.host })
  }
  if (!(error instanceof AttemptsFailed)) return openingReasonOf(error, "the host")
  const [first, ...others] = error.attempts.map((attempt) =>
    TransportError.make("open", Endpoint.format(endpoint), openingReasonOf(attempt, "the host"), { cause: attempt })
  )
  return new TransportError.AllAttemptsFailed({ attempts: [first!, ...others] })
}

/** A place that is bound: most of what a listener is made of. */
interface Bound {
  readonly endpoint: Endpoint.Endpoint
  /** Starts to listen; what it answers stops. */
  readonly open: (acceptor: Acceptor) => () => void
  readonly infoOf: (socket: Socket) => Info
  readonly reasonOf: (cause: unknown) => TransportError.Reason
}

/** Binds an address. In one piece with what `make` makes of it: what was bound is a listener's, or nobody's. */
export const bind = <A>(
  machine: Machine,
  asked: SocketEndpoint,
  make: (bound: Bound) => Effect.Effect<A, TransportError.TransportError, Scope.Scope>
): Effect.Effect<A, TransportError.TransportError, Scope.Scope> =>
  Effect.uninterruptible(Effect.suspend(() => {
    const { host, hosts, nextId } = machine
    const fail = failedAt("listen", asked)
    if (asked._tag !== "unix") {
      const target = hosts.find(host, asked.host)
      if (target === undefined) return fail(new TransportError.NameNotFound({ host: asked.host }))
      if (target.host !== host) {
        const expected = "an address of this host"
        return fail(new TransportError.InvalidOption({ field: "host", expected, actual: asked.host }))
      }
    } else if (!asked.abstract) {
      host.meet(asked.path)
      if (host.denied.has(asked.path)) return fail(new TransportError.PermissionDenied())
      if (host.files.has(asked.path)) return fail(new TransportError.Busy({ what: "address" }))
    }
    let endpoint = asked
    if (asked._tag !== "unix" && asked.port === 0) {
      const port = host.takePort()
      if (port === undefined) return fail(new TransportError.Busy({ what: "address" }))
      // From here on it is taken for as long as somebody listens there.
      host.usedPorts.delete(port)
      endpoint = { ...asked, port }
    }
    let acceptor: Acceptor | undefined
    const stop = hosts.listen(host, placeOf(endpoint), {
      offer: (socket) => acceptor!.offer(socket),
      remove: (socket) => acceptor!.remove(socket),
      failed: (error) => acceptor!.failed(error)
    })
    if (stop instanceof NativeError) return fail(openingReasonOf(stop, "the address"), stop)
    return make({
      endpoint,
      open: (given) => {
        acceptor = given
        return stop
      },
      infoOf: (socket) => {
        const { client, clientPort } = hosts.connections.get(socket.out.connection)!
        return {
          id: nextId(),
          endpoint,
          local: addressOf(endpoint, host.address, portOf(endpoint)),
          peer: addressOf(endpoint, hosts.byName.get(client.host.name)!.address, clientPort)
        }
      },
      reasonOf: (cause) => openingReasonOf(cause, "the address")
    })
  }))

const portOf = (endpoint: SocketEndpoint): number => endpoint._tag === "unix" ? 0 : endpoint.port

const placeOf = (endpoint: SocketEndpoint): Place =>
  endpoint._tag === "unix"
    ? { _tag: "unix", path: endpoint.path, abstract: endpoint.abstract }
    : { _tag: "tcp", port: endpoint.port }

const addressOf = (endpoint: SocketEndpoint, address: string, port: number): Option.Option<NetAddress.SocketAddress> =>
  endpoint._tag !== "unix" && address !== ""
    ? Option.some(NetAddress.inetAddressFromNativeUnsafe(address, port))
    : Option.none()
