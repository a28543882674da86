/**
 * A bench for drivers of serial devices: what is plugged in, who may open it, and the device at the other end, in memory.
 */
import { Context, Effect, Layer, Scope, SubscriptionRef } from "effect"
import { Endpoint, Network, TestTransport, type Transport, TransportError } from "effect-transport"
import { SerialPorts } from "effect-transport/node"

/** The device's end of a conversation. It ends when the device is unplugged or the port is closed. */
export type Device = (wire: Transport.Transport) => Effect.Effect<void, unknown>

export interface Bench {
  readonly layer: Layer.Layer<SerialPorts.SerialPorts | Network.Network>
  readonly ports: SubscriptionRef.SubscriptionRef<ReadonlyArray<SerialPorts.PortInfo>>
  readonly plug: (port: SerialPorts.PortInfo, device?: Device) => Effect.Effect<void>
  /** Resets what is open on it. */
  readonly unplug: (path: string) => Effect.Effect<void>
  /** What opening a path fails with; until it is set to nothing. */
  readonly refusals: Map<string, TransportError.Reason>
  /** Every try to open, as an endpoint. */
  readonly tried: Array<string>
  /** How many connections are open. */
  readonly open: () => number
}

const silent: Device = () => Effect.never

export const make: Effect.Effect<Bench, never, Scope.Scope> = Effect.gen(function*() {
  const scope = yield* Effect.scope
  const memory = Context.get(yield* Layer.build(TestTransport.layerNetwork), Network.Network)
  const ports = yield* SubscriptionRef.make<ReadonlyArray<SerialPorts.PortInfo>>([])
  const devices = new Map<string, Device>()
  const wires = new Map<string, Transport.Transport>()
  const refusals = new Map<string, TransportError.Reason>()
  const tried: Array<string> = []

  const connect = (endpoint: Endpoint.SerialEndpoint, options?: Transport.TransportOptions) =>
    Effect.gen(function*() {
      const { path } = endpoint
      const name = Endpoint.format(endpoint)
      tried.push(name)
      const device = devices.get(path)
      const reason = device === undefined ? new TransportError.NotFound({ what: path }) : refusals.get(path)
      if (device === undefined || reason !== undefined) return yield* TransportError.make("open", name, reason!)
      // Not a pair: each end is to have a scope of its own.
      const listener = yield* Scope.provide(memory.listen(`memory:${tried.length}`), scope)
      const ours = yield* memory.connect(`memory:${tried.length}`, options)
      const wire = yield* Scope.provide(listener.accept, scope)
      yield* Effect.acquireRelease(
        Effect.sync(() => wires.set(path, wire)),
        () => Effect.sync(() => wires.get(path) === wire && wires.delete(path))
      )
      yield* Effect.forkIn(Effect.ignore(device(wire)), scope)
      return ours
    })

  return {
    layer: Layer.merge(
      SerialPorts.layerTest(ports),
      Layer.succeed(
        Network.Network,
        { connect, listen: () => Effect.die("no listener on a bench") } as unknown as Network.Network["Service"]
      )
    ),
    ports,
    plug: (port, device = silent) =>
      Effect.suspend(() => {
        devices.set(port.path, device)
        return SubscriptionRef.update(ports, (ports) => [...ports, port])
      }),
    unplug: (path) =>
      Effect.suspend(() => {
        devices.delete(path)
        return Effect.andThen(
          SubscriptionRef.update(ports, (ports) => ports.filter((port) => port.path !== path)),
          wires.get(path)?.abort ?? Effect.void
        )
      }),
    refusals,
    tried,
    open: () => wires.size
  }
})
