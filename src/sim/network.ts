/**
 * The network as one host of a world has it.
 */
import * as Effect from "effect/Effect"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Endpoint from "../Endpoint.ts"
import * as Listener from "../Listener.ts"
import type { Network } from "../Network.ts"
import type { HalfCloseableTransport, Info, TransportOptions } from "../Transport.ts"
import * as TransportError from "../TransportError.ts"
import * as Wire from "../Wire.ts"
import { type Acceptor, AttemptsFailed, type Connection, type Host, type Hosts, type Place } from "./net/hosts.ts"
import { NativeError, type Socket } from "./net/socket.ts"

type SimTransport = HalfCloseableTransport

/** How many connections may wait to be accepted. */
const backlogMax = 128

const reasonOf = (cause: unknown): TransportError.Reason => {
  switch (cause instanceof NativeError ? cause.code : undefined) {
    case "ECONNREFUSED":
      return new TransportError.Refused()
    case "ENOENT":
      return new TransportError.NotFound({ what: "socket" })
    case "EADDRINUSE":
      return new TransportError.Busy({ what: "address" })
    case "ETIMEDOUT":
      return new TransportError.TimedOut({ phase: "connect" })
    case "EHOSTUNREACH":
      return new TransportError.Unreachable()
    default:
      return new TransportError.Failed()
  }
}

export const networkOf = (hosts: Hosts, host: Host): Network["Service"] => {
  let id = 0
  const nextId = () => ++id
  const addressOn = (name: string) => hosts.byName.get(name)!.address

  const prepare = Effect.fnUntraced(function*(
    operation: "open" | "listen",
    input: Endpoint.Endpoint | string,
    options: TransportOptions | undefined
  ) {
    const endpoint = yield* Effect.mapError(
      Endpoint.from(input),
      (reason) => TransportError.make(operation, Endpoint.describe(input), reason)
    )
    const name = Endpoint.format(endpoint)
    const resolved = yield* Wire.resolveOptions(options, { operation, endpoint: name })
    const fail = (reason: TransportError.Reason, cause?: unknown) =>
      Effect.fail(TransportError.make(operation, name, reason, { cause }))
    if (endpoint._tag !== "tcp" && endpoint._tag !== "unix") {
      return yield* fail(new TransportError.Unsupported({ feature: `${endpoint._tag} in a simulated network` }))
    }
    return { endpoint, resolved, fail }
  })

  const transportOf = (socket: Socket, info: Info, options: Wire.ResolvedOptions) =>
    Wire.toTransport((port) => socket.attach(port), {
      info: info as Info & { readonly endpoint: Endpoint.TcpEndpoint },
      options,
      scopeExit: "clock",
      // Whatever the medium calls it, a connection that stood was broken.
      reasonOf: () => new TransportError.Reset()
    }) as Effect.Effect<SimTransport, never, Effect.Services<ReturnType<typeof Wire.toTransport>>>

  const connect = Effect.fnUntraced(function*(input: Endpoint.Endpoint | string, options?: TransportOptions) {
    const { endpoint, fail, resolved } = yield* prepare("open", input, options)
    const target = endpoint._tag === "unix" ? host : endpoint.host
    const failed = (error: NativeError) => {
      if (error.code === "ENOTFOUND" && endpoint._tag === "tcp") {
        return fail(new TransportError.NameNotFound({ host: endpoint.host }), error)
      }
      if (!(error instanceof AttemptsFailed)) return fail(reasonOf(error), error)
      const attempts = error.attempts.map((attempt) =>
        TransportError.make("open", Endpoint.format(endpoint), reasonOf(attempt), { cause: attempt })
      )
      return fail(
        new TransportError.AllAttemptsFailed({ attempts: attempts as [TransportError.TransportError] }),
        error
      )
    }
    const place = placeOf(endpoint)
    if (endpoint._tag === "unix" && !host.listening.has(`unix:${endpoint.path}`)) {
      return yield* fail(
        host.stale.has(`unix:${endpoint.path}`)
          ? new TransportError.Refused()
          : new TransportError.NotFound({ what: endpoint.path })
      )
    }
    return yield* Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        restore(Effect.callback<Connection, TransportError.TransportError>((resume) => {
          const giveUp = hosts.connect(host, target, place, {
            done: (connection) => resume(Effect.succeed(connection)),
            failed: (error) => resume(failed(error))
          })
          return Effect.sync(giveUp)
        })),
        (connection) =>
          transportOf(connection.client, {
            id: nextId(),
            endpoint,
            local: addressOf(endpoint, host.address, connection.clientPort),
            peer: addressOf(
              endpoint,
              addressOn(connection.server.host.name),
              endpoint._tag === "tcp" ? endpoint.port : 0
            )
          }, resolved)
      )
    )
  })

  const listen = Effect.fnUntraced(function*(input: Endpoint.Endpoint | string, options?: TransportOptions) {
    const { endpoint: asked, fail, resolved } = yield* prepare("listen", input, options)
    if (asked._tag === "tcp") {
      const target = hosts.find(host, asked.host)
      if (target === undefined) return yield* fail(new TransportError.NameNotFound({ host: asked.host }))
      if (target.host !== host) {
        const expected = "an address of this host"
        return yield* fail(new TransportError.InvalidOption({ field: "host", expected, actual: asked.host }))
      }
    }
    // In one piece: what was bound is a listener's, or nobody's.
    return yield* Effect.uninterruptible(Effect.suspend(() => {
      const port = asked._tag === "tcp" && asked.port === 0 ? host.takePort() : undefined
      const endpoint = asked._tag === "tcp" && port !== undefined ? { ...asked, port } : asked
      let acceptor: Acceptor | undefined
      const stop = hosts.listen(host, placeOf(endpoint), {
        offer: (socket) => acceptor!.offer(socket),
        remove: (socket) => acceptor!.remove(socket),
        failed: (error) => acceptor!.failed(error)
      })
      if (stop instanceof NativeError) return fail(reasonOf(stop), stop)
      return Listener.make<Socket, SimTransport>({
        endpoint,
        backlogMax,
        open: ({ failed, offer, remove }) => {
          acceptor = { failed, offer, remove }
          return () => {
            stop()
            if (port !== undefined) host.usedPorts.delete(port)
          }
        },
        accept: (socket) => {
          const connection = hosts.connections.get(socket.out.connection)!
          return transportOf(socket, {
            id: nextId(),
            endpoint,
            local: addressOf(endpoint, host.address, endpoint._tag === "tcp" ? endpoint.port : 0),
            peer: addressOf(
              endpoint,
              addressOn(connection.client.host.name),
              connection.clientPort
            )
          }, resolved)
        },
        reject: (socket) => socket.reset(),
        reasonOf
      })
    }))
  })

  return { connect, listen } as unknown as Network["Service"]
}

const placeOf = (endpoint: Endpoint.TcpEndpoint | Endpoint.UnixEndpoint): Place =>
  endpoint._tag === "tcp" ? { _tag: "tcp", port: endpoint.port } : { _tag: "unix", path: endpoint.path }

const addressOf = (
  endpoint: Endpoint.TcpEndpoint | Endpoint.UnixEndpoint,
  address: string,
  port: number
): Option.Option<NetAddress.SocketAddress> =>
  endpoint._tag === "tcp" && address !== ""
    ? Option.some(NetAddress.inetAddressFromNativeUnsafe(address, port))
    : Option.none()
