/**
 * The network of this machine: TCP over IPv4 and IPv6, and Unix sockets by path and abstract name, on `node:net`.
 *
 * `layer` provides one connection; `layerNetwork` provides the `Network` on which programs connect and listen. A host
 * name is resolved by Effect's `AddressResolver` and its addresses are tried as RFC 8305 says.
 */
import * as NodeAddressResolver from "@effect/platform-node/NodeAddressResolver"
import * as NodeDns from "@effect/platform-node/NodeDns"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AddressResolver } from "effect/net/AddressResolver"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Endpoint from "../Endpoint.ts"
import * as Listener from "../Listener.ts"
import { Network } from "../Network.ts"
import * as Transport from "../Transport.ts"
import * as TransportError from "../TransportError.ts"
import { dial } from "./dial.ts"
import { reasonOf } from "./nativeError.ts"
import { bindServer, type BoundServer, connectSocket } from "./sockets.ts"
import { isTcp, SocketWire } from "./socketWire.ts"

/**
 * What can be chosen for a connection or listener of this machine, beside `TransportOptions`.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodeOptions extends Transport.TransportOptions {
  /** Send small segments at once (TCP_NODELAY). Default true: writes of one turn leave as one segment already. */
  readonly noDelay?: boolean | undefined
  /** Probe a silent TCP peer after so long, by the kernel. Default off, as the kernel's. */
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

/**
 * The network of this machine, with Node's resolver.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNetwork: Layer.Layer<Network> = Layer.suspend(() =>
  layerNetworkWith().pipe(Layer.provide(NodeAddressResolver.layer), Layer.provide(NodeDns.layer))
)

/**
 * The network of this machine with a resolver of one's own, and with options for all its connections; those given to
 * `connect` or `listen` win.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNetworkWith = (options?: NodeOptions): Layer.Layer<Network, never, AddressResolver> =>
  Layer.effect(Network, Effect.map(AddressResolver, (resolver) => makeNetwork(resolver, options)))

/**
 * One connection of this machine.
 *
 * **Details**
 *
 * The layer's scope decides the end: see `Transport.layer`. Two uses of one layer value in one program are one
 * connection; `Layer.fresh` makes two.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const E extends Endpoint.Endpoint | string>(
  endpoint: Endpoint.Check<E>,
  options?: NodeOptions
): Layer.Layer<Transport.Services<E>, TransportError.TransportError> =>
  Layer.provide(Transport.layer(endpoint, options), layerNetwork)

// ---------------------------------------------------------------------------------------------------------------------

type SocketTransport = Transport.HalfCloseableTransport

const makeNetwork = (resolver: AddressResolver["Service"], defaults: NodeOptions | undefined): Network["Service"] => {
  let id = 0

  const transportOf = (
    socket: Net.Socket,
    endpoint: Endpoint.TcpEndpoint | Endpoint.UnixEndpoint,
    options: Transport.ResolvedOptions,
    addresses: {
      readonly local: Option.Option<NetAddress.SocketAddress>
      readonly peer: Option.Option<NetAddress.SocketAddress>
    }
  ): Effect.Effect<SocketTransport, never, Scope.Scope> =>
    Transport.fromWire((port) => new SocketWire(socket, port), {
      info: { id: ++id, endpoint, ...addresses },
      options,
      scopeExit: "wait",
      reasonOf: (cause) => reasonOf(cause, { operation: "read", what: Endpoint.format(endpoint) })
    })

  const connect = Effect.fnUntraced(function*(input: Endpoint.Endpoint | string, given?: NodeOptions) {
    const { endpoint, name, options, resolved } = yield* prepare("open", input, { ...defaults, ...given })
    const failedAt = (what: string) => (cause: unknown) =>
      failure("open", what, reasonOf(cause, { operation: "open", what }), cause)
    switch (endpoint._tag) {
      case "tcp":
        return yield* dial({
          endpoint,
          resolver,
          connectTimeout: options.connectTimeout,
          attempt: (address) =>
            Effect.uninterruptibleMask((restore) =>
              Effect.flatMap(
                restore(connectSocket(
                  {
                    host: NetAddress.formatHost(address),
                    port: address.port,
                    noDelay: options.noDelay,
                    ...keepAliveOf(options),
                    ...(options.localAddress !== undefined && { localAddress: options.localAddress })
                  },
                  // By its address, so that the attempts on one name can be told apart.
                  failedAt(`tcp://${NetAddress.formatInet(address)}`)
                )),
                (socket) => transportOf(socket, endpoint, resolved, addressesOf(socket))
              )
            )
        })
      case "unix":
        return yield* Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(
            restore(withConnectTimeout(connectSocket({ path: nativePath(endpoint) }, failedAt(name)), name, options)),
            (socket) =>
              transportOf(socket, endpoint, resolved, {
                local: Option.none(),
                peer: Option.some(NetAddress.unixPathAddress(nativePath(endpoint)))
              })
          )
        )
      default:
        return yield* unsupported("open", endpoint)
    }
  })

  const listen = Effect.fnUntraced(function*(input: Endpoint.Endpoint | string, given?: NodeOptions) {
    const { endpoint, name, options, resolved } = yield* prepare("listen", input, { ...defaults, ...given })
    const failed = (cause: unknown) =>
      failure("listen", name, reasonOf(cause, { operation: "listen", what: name }), cause)
    const serverOptions = { noDelay: options.noDelay, ...keepAliveOf(options) }
    switch (endpoint._tag) {
      case "tcp": {
        const host = yield* hostToBind(resolver, endpoint, failed)
        const bound = yield* bindServer(serverOptions, {
          host,
          port: endpoint.port,
          backlog: options.backlog,
          reusePort: options.reusePort,
          ipv6Only: options.ipv6Only,
          exclusive: true
        }, failed)
        const port = (bound.server.address() as Net.AddressInfo).port
        const real = { ...endpoint, port }
        return yield* listenerOf(
          bound,
          real,
          options,
          (socket) => transportOf(socket, real, resolved, addressesOf(socket))
        )
      }
      case "unix": {
        const bound = yield* bindUnix(endpoint, serverOptions, options, failed)
        return yield* listenerOf(bound, endpoint, options, (socket) =>
          transportOf(socket, endpoint, resolved, {
            local: Option.some(NetAddress.unixPathAddress(nativePath(endpoint))),
            peer: Option.none()
          }))
      }
      default:
        return yield* unsupported("listen", endpoint)
    }
  })

  // The types of both depend on the endpoint; what they check is checked here at run time.
  return Network.of({ connect, listen } as unknown as Network["Service"])
}

/** The options of Node alone, checked and complete. */
interface SocketOptions {
  readonly noDelay: boolean
  readonly keepAlive: Duration.Duration | undefined
  readonly connectTimeout: Duration.Duration
  readonly localAddress: string | undefined
  readonly backlog: number
  readonly reusePort: boolean
  readonly ipv6Only: boolean
  readonly mode: number | undefined
}

const prepare = Effect.fnUntraced(function*(
  operation: "open" | "listen",
  input: Endpoint.Endpoint | string,
  given: NodeOptions
) {
  const endpoint = yield* Effect.mapError(Endpoint.from(input), (reason) => failure(operation, describe(input), reason))
  const name = Endpoint.format(endpoint)
  const resolved = yield* Transport.resolveOptions(given, { operation, endpoint: name })
  const refuse = (field: string, expected: string, actual: unknown) =>
    Effect.fail(failure(operation, name, new TransportError.InvalidOption({ field, expected, actual })))
  for (const field of ["noDelay", "reusePort", "ipv6Only"] as const) {
    const value = given[field]
    if (value !== undefined && typeof value !== "boolean") return yield* refuse(field, "a boolean", value)
  }
  const backlog = given.backlog ?? 128
  if (!Number.isSafeInteger(backlog) || backlog < 1) return yield* refuse("backlog", "a positive integer", backlog)
  if (given.mode !== undefined && !(Number.isSafeInteger(given.mode) && given.mode >= 0 && given.mode <= 0o777)) {
    return yield* refuse("mode", "permissions from 0 to 0o777", given.mode)
  }
  if (given.localAddress !== undefined && Net.isIP(given.localAddress) === 0) {
    return yield* refuse("localAddress", "an IP address", given.localAddress)
  }
  const connectTimeout = Option.getOrUndefined(Duration.fromInput(given.connectTimeout ?? "30 seconds"))
  if (connectTimeout === undefined || Duration.isNegative(connectTimeout)) {
    return yield* refuse("connectTimeout", "a duration", given.connectTimeout)
  }
  const keepAlive = given.keepAlive === undefined
    ? undefined
    : Option.getOrUndefined(Duration.fromInput(given.keepAlive))
  if (given.keepAlive !== undefined && (keepAlive === undefined || Duration.toMillis(keepAlive) < 1000)) {
    return yield* refuse("keepAlive", "a duration of at least one second", given.keepAlive)
  }
  const options: SocketOptions = {
    noDelay: given.noDelay ?? true,
    keepAlive,
    connectTimeout,
    localAddress: given.localAddress,
    backlog,
    reusePort: given.reusePort ?? false,
    ipv6Only: given.ipv6Only ?? false,
    mode: given.mode
  }
  return { endpoint, name, options, resolved }
})

const describe = (input: unknown): string => typeof input === "string" ? input : "an endpoint object"

const keepAliveOf = (options: SocketOptions) =>
  options.keepAlive === undefined
    ? {}
    : { keepAlive: true, keepAliveInitialDelay: Duration.toMillis(options.keepAlive) }

const addressesOf = (socket: Net.Socket) => ({
  local: addressOf(socket.localAddress, socket.localPort),
  peer: addressOf(socket.remoteAddress, socket.remotePort)
})

/** Node has none once the peer has reset the connection. */
const addressOf = (host: string | undefined, port: number | undefined): Option.Option<NetAddress.SocketAddress> =>
  host === undefined || port === undefined
    ? Option.none()
    : Option.some(NetAddress.toCanonical(NetAddress.inetAddressFromNativeUnsafe(host.replace(/%.*/, ""), port)))

const nativePath = (endpoint: Endpoint.UnixEndpoint): string => endpoint.abstract ? `\0${endpoint.path}` : endpoint.path

const hostToBind = (
  resolver: AddressResolver["Service"],
  endpoint: Endpoint.TcpEndpoint,
  failed: (cause: unknown) => TransportError.TransportError
): Effect.Effect<string, TransportError.TransportError> =>
  Net.isIP(endpoint.host) !== 0
    ? Effect.succeed(endpoint.host)
    : resolver.resolve({ host: endpoint.host, port: endpoint.port }).pipe(
      Effect.mapError(failed),
      Effect.map((addresses) => NetAddress.formatHost(addresses[0] as NetAddress.InetAddress))
    )

const withConnectTimeout = <A, R>(
  connecting: Effect.Effect<A, TransportError.TransportError, R>,
  name: string,
  options: SocketOptions
): Effect.Effect<A, TransportError.TransportError, R> => {
  const timedOut = Effect.suspend(() =>
    Effect.fail(failure("open", name, new TransportError.TimedOut({ phase: "connect" })))
  )
  return Duration.isZero(options.connectTimeout)
    ? timedOut
    : Effect.timeoutOrElse(connecting, { duration: options.connectTimeout, orElse: () => timedOut })
}

/**
 * Binds a Unix socket. The file of a listener that died is in the way: where nobody answers behind it, it is removed
 * and binding is tried once more.
 */
const bindUnix = (
  endpoint: Endpoint.UnixEndpoint,
  serverOptions: Net.ServerOpts,
  options: SocketOptions,
  failed: (cause: unknown) => TransportError.TransportError
): Effect.Effect<BoundServer, TransportError.TransportError, Scope.Scope> => {
  const path = nativePath(endpoint)
  const bind = bindServer(serverOptions, { path, backlog: options.backlog }, failed)
  const isStale = Effect.scoped(connectSocket({ path }, (cause) => failed(cause))).pipe(
    Effect.as(false),
    Effect.catch((error) => Effect.succeed(error.reason._tag === "Refused"))
  )
  const binding = endpoint.abstract ? bind : Effect.catch(bind, (error) =>
    error.reason._tag !== "Busy"
      ? Effect.fail(error)
      : Effect.flatMap(isStale, (stale) =>
        stale ? Effect.andThen(removeSocketFile(path, failed), bind) : Effect.fail(error)))
  return options.mode === undefined || endpoint.abstract
    ? binding
    : Effect.tap(binding, () => attempt(() => Fs.chmodSync(path, options.mode!), failed))
}

const removeSocketFile = (path: string, failed: (cause: unknown) => TransportError.TransportError) =>
  attempt(() => {
    // Never a file of another kind.
    if (Fs.lstatSync(path).isSocket()) Fs.unlinkSync(path)
  }, failed)

const attempt = (run: () => void, failed: (cause: unknown) => TransportError.TransportError) =>
  Effect.try({ try: run, catch: failed })

const listenerOf = (
  bound: BoundServer,
  endpoint: Endpoint.TcpEndpoint | Endpoint.UnixEndpoint,
  options: SocketOptions,
  accept: (socket: Net.Socket) => Effect.Effect<SocketTransport, TransportError.TransportError, Scope.Scope>
): Effect.Effect<Listener.Listener<SocketTransport>, never, Scope.Scope> =>
  Listener.make<Net.Socket, SocketTransport>({
    endpoint,
    backlogMax: options.backlog,
    open: ({ failed, offer, remove }) => {
      bound.arrivals = {
        arrived: (socket) => {
          if (!offer(socket)) return reject(socket)
          socket.once("close", () => remove(socket))
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

const unsupported = (operation: "open" | "listen", endpoint: Endpoint.Endpoint) =>
  Effect.fail(failure(
    operation,
    Endpoint.format(endpoint),
    new TransportError.Unsupported({ feature: `${endpoint._tag} over node:net` })
  ))

const failure = (
  operation: TransportError.Operation,
  endpoint: string,
  reason: TransportError.Reason,
  cause?: unknown
): TransportError.TransportError =>
  new TransportError.TransportError({ operation, endpoint, reason, ...(cause !== undefined && { cause }) })
