/**
 * The network of this machine: TCP over IPv4 and IPv6, Unix sockets by path and abstract name, named pipes, descriptors
 * that are open already, serial ports, this program's own standard input and output, and programs that are started to be
 * talked to.
 *
 * `layer` provides one connection; `layerNetwork` provides the `Network` on which programs connect and listen. A host
 * name is resolved by Effect's `AddressResolver` and its addresses are tried as RFC 8305 says.
 */
import * as NodeAddressResolver from "@effect/platform-node/NodeAddressResolver"
import * as NodeDns from "@effect/platform-node/NodeDns"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AddressResolver } from "effect/net/AddressResolver"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Endpoint from "../Endpoint.ts"
import type { Listener } from "../Listener.ts"
import { Network } from "../Network.ts"
import { SerialBinding } from "../SerialBinding.ts"
import * as Transport from "../Transport.ts"
import * as TransportError from "../TransportError.ts"
import { fdDoor } from "./descriptor/fd.ts"
import { fifoDoor } from "./descriptor/fifo.ts"
import { guard } from "./descriptor/guard.ts"
import { stdioDoor } from "./descriptor/stdio.ts"
import type { Door, Machine } from "./door.ts"
import { layer as platformSerial } from "./NodeSerial.ts"
import { type NodeOptions, resolveNodeOptions } from "./options.ts"
import { execDoor } from "./program/exec.ts"
import { serialDoor } from "./serial/door.ts"
import { tcpDoor } from "./socket/tcp.ts"
import { unixDoor } from "./socket/unix.ts"

export type { ChildOptions, NodeOptions } from "./options.ts"

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
 * `connect` or `listen` win. Serial ports are reached by the `SerialBinding` at hand, where there is one when the layer is
 * built, and by `NodeSerial.layer` otherwise.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNetworkWith = (options?: NodeOptions): Layer.Layer<Network, never, AddressResolver> =>
  Layer.effect(
    Network,
    Effect.zipWith(
      AddressResolver,
      serialBinding,
      (resolver, serial) => makeNetwork({ resolver, serial }, options)
    )
  )

/**
 * One connection of this machine.
 *
 * **Details**
 *
 * The layer's scope decides the end: see `Transport.layer`. Two uses of one layer value in one program are one
 * connection; `Layer.fresh` makes two.
 *
 * `stdio:` stands on the descriptors 0 and 1, one connection at a time: a second fails with `Busy`, and so does one whose
 * input somebody reads by `process.stdin`. Pipes and sockets end with their connection, and a later one fails with
 * `NotFound`; files and terminals stay open, and are left as they were found. A descriptor that was closed when the
 * program began is the null device, whose input ends at once.
 *
 * `fifo:` opens what is read first and then what is written, and is there when somebody is at the other end of each. No
 * thread waits for that: the pipes are opened non-blocking, and looked at every 16 milliseconds at the latest. With nobody
 * there it fails with `TimedOut` after `connectTimeout` (30 seconds); an interruption closes what was open so far. What is
 * not there is `NotFound`, what may not be opened `PermissionDenied`, and what is no pipe `InvalidOption`, all at once and
 * also when a path comes to that while it is waited for.
 * The end of input is that nobody has the pipe open for writing any more, and it is final: whoever opens it later is not
 * heard. That nobody reads any more is a `Reset`, told by the next write or the one that waits; where another pipe is read,
 * that goes on to its own end, which then ends the connection.
 *
 * `fd:` takes over descriptors that the process was started with or has opened. From then on they are the connection's,
 * which closes them when it ends, whatever they are; 0 to 2 end as with `stdio:`, and standard output is guarded where it
 * is one of them. An open that fails leaves them open. A number that is not open is `NotFound`, one that another connection
 * has is `Busy`, and one that cannot do what it is to do is `Unsupported`: a folder, a datagram socket, one that is open
 * for the other direction alone (where `/proc` tells; elsewhere its first use fails), or a pipe or a file for both
 * directions. Of two, the one that is read is still read to its end where the other takes no more, and that end ends the
 * connection. Leave the number alone while the connection has it: another stream of Node on the same one would take its
 * bytes, and whoever closes it makes `Disconnected` of the next write, and of the next read of a file; a read of a pipe
 * or socket may wait for ever then.
 *
 * `serial:` needs the package `serialport` and the main thread: see `NodeSerial`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const E extends Endpoint.Endpoint | string>(
  endpoint: Endpoint.Check<E>,
  options?: NodeOptions
): Layer.Layer<Transport.Services<E>, TransportError.TransportError> =>
  Layer.provide(Transport.layer(endpoint, options), layerNetwork)

/**
 * Keeps standard output for a protocol: what the program prints by any other way goes to standard error.
 *
 * **When to use**
 *
 * A connection to `stdio:` brings this guard by itself, for as long as its scope is open. Use the layer where something
 * may be printed before that: provide it around the whole program.
 *
 * **Details**
 *
 * `process.stdout` is diverted below its `write`, which covers the console, Effect's `Console` and default logger, and
 * the `Stdio` and `Terminal` of `@effect/platform-node`. Uses count: standard output is given back with the last one.
 * Where the connection has ended standard output itself, as it does with a pipe or a socket, prints stay with standard
 * error for good, so that what the program says at its end is not lost.
 *
 * **Gotchas**
 *
 * What writes to descriptor 1 by its number passes it by: `fs.writeSync(1, …)`, native code, and a child process that
 * inherits it. What `process.stdout` had taken and not yet written when the layer was built may go either way. Where
 * standard error is the same pipe (`2>&1`), prints end up there. A program that reports its failure after the layer has
 * ended, as `NodeRuntime.runMain` does, does so to standard output if that is a file or a terminal.
 *
 * **Example** (Speaking a protocol over standard input and output)
 *
 * ```ts
 * import { NodeRuntime } from "@effect/platform-node"
 * import { Console, Effect } from "effect"
 * import { Connection, Lines, Protocol, Transport } from "effect-transport"
 * import { NodeTransport } from "effect-transport/node"
 *
 * const serve = Effect.gen(function*() {
 *   const transport = yield* Transport.Transport
 *   const lines = yield* Protocol.attach(Lines.protocol(), transport)
 *   yield* Console.log("ready") // to standard error
 *   yield* Connection.forEach(lines, (batch) => lines.writeAll(batch))
 * }).pipe(Effect.scoped)
 *
 * serve.pipe(
 *   Effect.provide(NodeTransport.layer("stdio:")),
 *   Effect.provide(NodeTransport.layerStdioGuard),
 *   NodeRuntime.runMain
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStdioGuard: Layer.Layer<never> = Layer.effectDiscard(guard)

// ---------------------------------------------------------------------------------------------------------------------

/** The doors that there are, by kind of endpoint. */
const doors: { readonly [K in Endpoint.Kind]?: Door<Endpoint.Kinds[K]> } = {
  tcp: tcpDoor,
  unix: unixDoor,
  fifo: fifoDoor,
  fd: fdDoor,
  serial: serialDoor,
  stdio: stdioDoor,
  exec: execDoor
}

const serialBinding = Effect.flatMap(
  Effect.serviceOption(SerialBinding),
  Option.match({
    onNone: () => Effect.map(Effect.scoped(Layer.build(platformSerial)), Context.get(SerialBinding)),
    onSome: Effect.succeed
  })
)

/** An option that is undefined is one that was not given, and leaves the network's own in force. */
const definedIn = (given: NodeOptions | undefined): NodeOptions =>
  Object.fromEntries(Object.entries(given ?? {}).filter(([, value]) => value !== undefined))

const makeNetwork = (
  means: Pick<Machine, "resolver" | "serial">,
  defaults: NodeOptions | undefined
): Network["Service"] => {
  let id = 0
  const machine: Machine = { ...means, nextId: () => ++id }

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
  ): Effect.Effect<Transport.Transport, TransportError.TransportError, Scope.Scope> =>
    Effect.flatMap(
      prepare("open", input, given),
      ({ door, endpoint, options }) => door.connect(machine, endpoint, options)
    )

  const listen = (
    input: Endpoint.Endpoint | string,
    given?: NodeOptions
  ): Effect.Effect<Listener<Transport.Transport>, TransportError.TransportError, Scope.Scope> =>
    Effect.flatMap(
      prepare("listen", input, given),
      ({ door, endpoint, options }) => door.listen(machine, endpoint, options)
    )

  // The types of both depend on the endpoint; what they promise is checked above at run time.
  return Network.of({ connect, listen } as unknown as Network["Service"])
}
