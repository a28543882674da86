/**
 * The door of TCP, over IPv4 and IPv6.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Net from "node:net"
import * as Endpoint from "../../Endpoint.ts"
import { inOwnScope } from "../../ownScope.ts"
import type { Info } from "../../Transport.ts"
import { type Door, failedAt, listenerOf, type Machine, transportOf } from "../door.ts"
import type { ResolvedNodeOptions } from "../options.ts"
import { dial } from "./dial.ts"
import { bindServer, connectSocket } from "./sockets.ts"

export const tcpDoor: Door<Endpoint.TcpEndpoint> = {
  connect: (machine, endpoint, options) =>
    dial({
      endpoint,
      resolver: machine.resolver,
      connectTimeout: options.connectTimeout,
      attempt: (address) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(
            restore(connectSocket(
              {
                host: NetAddress.formatHost(address),
                port: address.port,
                ...(options.localAddress !== undefined && { localAddress: options.localAddress }),
                ...socketOptions(options)
              },
              // By its address, so that the attempts on one name can be told apart.
              failedAt("open", `tcp://${NetAddress.formatInet(address)}`)
            )),
            (socket) => transportOf(socket, new TcpInfo(machine.nextId(), endpoint, socket), options)
          )
        )
    }),

  listen: Effect.fnUntraced(function*(machine, endpoint, options) {
    const failed = failedAt("listen", Endpoint.format(endpoint))
    const bound = yield* inOwnScope(bindServer(socketOptions(options), {
      host: yield* Effect.mapError(hostToBind(machine, endpoint), failed),
      port: endpoint.port,
      backlog: options.backlog,
      reusePort: options.reusePort,
      ipv6Only: options.ipv6Only,
      exclusive: true
    }, failed))
    const { address, port } = bound.server.address() as Net.AddressInfo
    const real = { ...endpoint, port }
    // On a wildcard address each connection has one of its own.
    const local = Net.isIP(address) !== 0 && !isWildcard(address) ? addressOf(address, port) : undefined
    return yield* listenerOf(
      bound,
      real,
      options,
      (socket) => transportOf(socket, new TcpInfo(machine.nextId(), real, socket, local), options)
    )
  })
}

const socketOptions = (options: ResolvedNodeOptions) => ({
  noDelay: options.noDelay,
  ...(options.keepAlive !== undefined &&
    { keepAlive: true, keepAliveInitialDelay: Duration.toMillis(options.keepAlive) })
})

const hostToBind = ({ resolver }: Machine, { host, port }: Endpoint.TcpEndpoint) =>
  Net.isIP(host) !== 0
    ? Effect.succeed(host)
    : Effect.map(resolver.resolve({ host, port }), ([address]) => NetAddress.formatHost(address))

/** The addresses are asked for now, since a socket that is gone has none, and made when somebody wants to know them. */
class TcpInfo implements Info {
  readonly id: number
  readonly endpoint: Endpoint.TcpEndpoint
  readonly #local: Option.Option<NetAddress.SocketAddress> | undefined
  readonly #localAddress: string | undefined
  readonly #localPort: number | undefined
  readonly #remoteAddress: string | undefined
  readonly #remotePort: number | undefined

  constructor(
    id: number,
    endpoint: Endpoint.TcpEndpoint,
    socket: Net.Socket,
    local?: Option.Option<NetAddress.SocketAddress>
  ) {
    this.id = id
    this.endpoint = endpoint
    this.#local = local
    this.#localAddress = local === undefined ? socket.localAddress : undefined
    this.#localPort = local === undefined ? socket.localPort : undefined
    this.#remoteAddress = socket.remoteAddress
    this.#remotePort = socket.remotePort
  }

  get local(): Option.Option<NetAddress.SocketAddress> {
    return this.#local ?? addressOf(this.#localAddress, this.#localPort)
  }

  get peer(): Option.Option<NetAddress.SocketAddress> {
    return addressOf(this.#remoteAddress, this.#remotePort)
  }
}

const isWildcard = (address: string): boolean => address === "0.0.0.0" || address === "::"

/** Node has none once the peer has reset the connection. */
const addressOf = (host: string | undefined, port: number | undefined): Option.Option<NetAddress.SocketAddress> =>
  host === undefined || port === undefined
    ? Option.none()
    : Option.some(NetAddress.toCanonical(NetAddress.inetAddressFromNativeUnsafe(host.replace(/%.*/, ""), port)))
