/**
 * The network of this machine: TCP over IPv4 and IPv6, and Unix sockets by path and abstract name, on `node:net`.
 *
 * `layer` provides one connection; `layerNetwork` provides the `Network` on which programs connect and listen. A host
 * name is resolved by Effect's `AddressResolver` and its addresses are tried as RFC 8305 says.
 */
import * as NodeAddressResolver from "@effect/platform-node/NodeAddressResolver"
import * as NodeDns from "@effect/platform-node/NodeDns"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AddressResolver } from "effect/net/AddressResolver"
import type * as Scope from "effect/Scope"
import * as Endpoint from "../Endpoint.ts"
import type { Listener } from "../Listener.ts"
import { Network } from "../Network.ts"
import * as Transport from "../Transport.ts"
import * as TransportError from "../TransportError.ts"
import type { Door, Machine, SocketTransport } from "./door.ts"
import { type NodeOptions, resolveNodeOptions } from "./options.ts"
import { tcpDoor } from "./tcp.ts"
import { unixDoor } from "./unix.ts"

export type { NodeOptions } from "./options.ts"

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

/** The doors that there are, by kind of endpoint. */
const doors: { readonly [K in Endpoint.Kind]?: Door<Endpoint.Kinds[K]> } = { tcp: tcpDoor, unix: unixDoor }

/** An option that is undefined is one that was not given, and leaves the network's own in force. */
const definedIn = (given: NodeOptions | undefined): NodeOptions =>
  Object.fromEntries(Object.entries(given ?? {}).filter(([, value]) => value !== undefined))

const makeNetwork = (resolver: AddressResolver["Service"], defaults: NodeOptions | undefined): Network["Service"] => {
  let id = 0
  const machine: Machine = { resolver, nextId: () => ++id }

  const prepare = Effect.fnUntraced(function*(
    operation: "open" | "listen",
    input: Endpoint.Endpoint | string,
    given: NodeOptions | undefined
  ) {
    const endpoint = yield* Effect.mapError(
      Endpoint.from(input),
      (reason) => TransportError.make(operation, Endpoint.describe(input), reason)
    )
    const name = Endpoint.format(endpoint)
    const options = yield* resolveNodeOptions({ ...defaults, ...definedIn(given) }, { operation, endpoint: name })
    const door = doors[endpoint._tag] as Door<Endpoint.Endpoint> | undefined
    if (door === undefined) {
      const reason = new TransportError.Unsupported({ feature: `${endpoint._tag} over node:net` })
      return yield* TransportError.make(operation, name, reason)
    }
    return { door, endpoint, options }
  })

  const connect = (
    input: Endpoint.Endpoint | string,
    given?: NodeOptions
  ): Effect.Effect<SocketTransport, TransportError.TransportError, Scope.Scope> =>
    Effect.flatMap(
      prepare("open", input, given),
      ({ door, endpoint, options }) => door.connect(machine, endpoint, options)
    )

  const listen = (
    input: Endpoint.Endpoint | string,
    given?: NodeOptions
  ): Effect.Effect<Listener<SocketTransport>, TransportError.TransportError, Scope.Scope> =>
    Effect.flatMap(
      prepare("listen", input, given),
      ({ door, endpoint, options }) => door.listen(machine, endpoint, options)
    )

  // The types of both depend on the endpoint; what they promise is checked above at run time.
  return Network.of({ connect, listen } as unknown as Network["Service"])
}
