/**
 * The network as one host of a world has it.
 */
import * as Effect from "effect/Effect"
import { connectTimeoutOf } from "../connectTimeout.ts"
import * as Endpoint from "../Endpoint.ts"
import { Network } from "../Network.ts"
import type { TransportOptions } from "../Transport.ts"
import * as TransportError from "../TransportError.ts"
import * as Wire from "../Wire.ts"
import type { Door, Machine, ResolvedOptions } from "./doors/door.ts"
import { fifoDoor } from "./doors/fifo.ts"
import { serialDoor } from "./doors/serial.ts"
import { socketDoor } from "./doors/sockets.ts"
import { tlsDoor } from "./doors/tls.ts"
import type { Host, Hosts } from "./net/hosts.ts"

/** What programs may give to the network of a real machine, as far as a simulated one knows it. */
interface HostOptions extends TransportOptions {
  readonly connectTimeout?: unknown
}

/** The doors that there are, by kind of endpoint. */
const doors: { readonly [K in Endpoint.Kind]?: Door<Endpoint.Kinds[K]> } = {
  tcp: socketDoor,
  tls: tlsDoor,
  unix: socketDoor,
  fifo: fifoDoor,
  serial: serialDoor
}

export const networkOf = (hosts: Hosts, host: Host): Network["Service"] => {
  let id = 0
  const machine: Machine = { hosts, host, nextId: () => ++id }

  const prepare = Effect.fnUntraced(function*(
    operation: "open" | "listen",
    input: Endpoint.Endpoint | string,
    given: HostOptions | undefined
  ) {
    const endpoint = yield* Effect.mapError(
      Endpoint.from(input),
      (reason) => TransportError.make(operation, Endpoint.describe(input), reason)
    )
    const name = Endpoint.format(endpoint)
    const failure = { operation, endpoint: name } as const
    const options: ResolvedOptions = {
      ...yield* Wire.resolveOptions(given, failure),
      connectTimeout: yield* connectTimeoutOf(given?.connectTimeout, failure)
    }
    const door = doors[endpoint._tag] as Door<Endpoint.Endpoint> | undefined
    if (door === undefined) {
      const reason = new TransportError.Unsupported({ feature: `${endpoint._tag} in a simulated network` })
      return yield* TransportError.make(operation, name, reason)
    }
    return { door, endpoint, options }
  })

  const connect = (input: Endpoint.Endpoint | string, given?: TransportOptions) =>
    Effect.flatMap(
      prepare("open", input, given),
      ({ door, endpoint, options }) => door.connect(machine, endpoint, options)
    )

  const listen = (input: Endpoint.Endpoint | string, given?: TransportOptions) =>
    Effect.flatMap(
      prepare("listen", input, given),
      ({ door, endpoint, options }) => door.listen(machine, endpoint, options)
    )

  // The types of both depend on the endpoint; what they promise is checked above at run time.
  return Network.of({ connect, listen } as unknown as Network["Service"])
}
