/**
 * The door of TCP, over IPv4 and IPv6.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Net from "node:net"
import * as Endpoint from "../Endpoint.ts"
import { dial } from "./dial.ts"
import { type Addresses, type Door, failedAt, listenerOf, type Machine, transportOf } from "./door.ts"
import type { ResolvedNodeOptions } from "./options.ts"
import { bindServer, connectSocket, inOwnScope } from "./sockets.ts"

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
            (socket) => transportOf(machine, socket, endpoint, addressesOf(socket), options)
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
      (socket) => transportOf(machine, socket, real, addressesOf(socket, local), options)
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

/** Asked for now, since a socket that is gone has none; made when somebody wants to know, which is seldom. */
const addressesOf = (socket: Net.Socket, local?: Option.Option<NetAddress.SocketAddress>): Addresses => {
  const { remoteAddress, remotePort } = socket
  const [localAddress, localPort] = local === undefined ? [socket.localAddress, socket.localPort] : []
  return {
    get local() {
      return local ?? addressOf(localAddress, localPort)
    },
    get peer() {
      return addressOf(remoteAddress, remotePort)
    }
  }
}

const isWildcard = (address: string): boolean => address === "0.0.0.0" || address === "::"

/** Node has none once the peer has reset the connection. */
const addressOf = (host: string | undefined, port: number | undefined): Option.Option<NetAddress.SocketAddress> =>
  host === undefined || port === undefined
    ? Option.none()
    : Option.some(NetAddress.toCanonical(NetAddress.inetAddressFromNativeUnsafe(host.replace(/%.*/, ""), port)))
