/** Transports as streams of Node, over each medium, and what tests wait for with them. */
import { Effect, type Scope } from "effect"
import { Network, TestTransport, type Transport, type TransportError } from "effect-transport"
import { NodeDuplex, NodeTransport } from "effect-transport/node"
import { randomUUID } from "node:crypto"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

export type Ends = Effect.Effect<
  readonly [client: Transport.Transport, server: Transport.Transport],
  TransportError.TransportError,
  Scope.Scope
>

const connected = (endpoint: () => string): Ends =>
  Effect.gen(function*() {
    const { connect, listen } = yield* Network.Network
    const listener = yield* listen(endpoint())
    return yield* Effect.all([connect(listener.endpoint), listener.accept], { concurrency: 2 })
  }).pipe(Effect.provide(NodeTransport.layerNetwork))

export const media: ReadonlyArray<readonly [string, Ends]> = [
  ["a Unix socket", connected(() => `unix://${join(tmpdir(), `effect-transport-${randomUUID()}.sock`)}`)],
  ["memory", TestTransport.pair()],
  ["TCP", connected(() => "tcp://127.0.0.1:0")]
]

export const duplexes = (ends: Ends) =>
  Effect.gen(function*() {
    const [a, b] = yield* ends
    return [yield* NodeDuplex.toDuplex(a), yield* NodeDuplex.toDuplex(b)] as const
  })

/** Both ends of a connection of `node:net`, to see what its users are used to. */
export const netSockets: Effect.Effect<readonly [Net.Socket, Net.Socket], never, Scope.Scope> = Effect.acquireRelease(
  Effect.callback((resume) => {
    const server = Net.createServer({ allowHalfOpen: true }, (b) => {
      server.close()
      // Its end may see the connection later than this one.
      if (a.connecting) a.once("connect", () => resume(Effect.succeed([a, b] as const)))
      else resume(Effect.succeed([a, b] as const))
    })
    let a: Net.Socket
    server.listen(0, "127.0.0.1", () => {
      a = Net.connect({ port: (server.address() as Net.AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true })
    })
  }),
  (sockets) => Effect.sync(() => sockets.forEach((socket) => socket.destroy()))
)

/** The next such event from now on, whenever one comes to wait for it. */
export const event = (
  emitter: { readonly once: (name: any, listener: (value: unknown) => void) => unknown },
  name: string
): Effect.Effect<unknown> => {
  const next = new Promise((resolve) => emitter.once(name, resolve))
  return Effect.promise(() => next)
}
