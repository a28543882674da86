/** One `RpcGroup` with a streaming result, its server and its client: they know of no medium. */
import { Effect, Layer, Schema, Stream } from "effect"
import { EffectSocket, Endpoint, Network } from "effect-transport"
import { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import { SocketServer } from "effect/socket"

class Numbers extends RpcGroup.make(
  Rpc.make("Double", { payload: { number: Schema.Number }, success: Schema.Number }),
  Rpc.make("Count", { payload: { to: Schema.Number }, success: Schema.Number, stream: true })
) {}

const handlers = Numbers.toLayer({
  Double: ({ number }) => Effect.succeed(number * 2),
  // Each number takes a second of the clock at hand, but for the first.
  Count: ({ to }) =>
    Stream.range(1, to).pipe(Stream.tap((number) => number === 1 ? Effect.void : Effect.sleep("1 second")))
})

const handled = Layer.provide(RpcServer.layer(Numbers), handlers)

const server = handled.pipe(
  Layer.provide(RpcServer.layerProtocolSocketServer),
  Layer.provide(RpcSerialization.layerNdjson)
)

/** Serves at the endpoint until interrupted. */
export const serve = (endpoint: string) => Layer.launch(Layer.provide(server, EffectSocket.layerSocketServer(endpoint)))

/** Serves the one at the other end of the endpoint, `stdio:` for one, until that hangs up. */
export const serveOne = (endpoint: string) =>
  handled.pipe(
    Layer.provide(RpcServer.layerProtocolStdio),
    Layer.provide(RpcSerialization.layerNdjson),
    Layer.provide(EffectSocket.layerStdio(endpoint)),
    Layer.launch
  )

/** Calls all at the endpoint, side by side; one stream is cut short. */
export const call = (endpoint: string) =>
  Effect.gen(function*() {
    const client = yield* RpcClient.make(Numbers)
    return yield* Effect.all({
      doubled: Effect.forEach([1, 2, 3], (number) => client.Double({ number }), { concurrency: "unbounded" }),
      counted: Stream.runCollect(client.Count({ to: 4 })),
      cut: Stream.runCollect(Stream.take(client.Count({ to: 1_000_000 }), 2))
    }, { concurrency: "unbounded" })
  }).pipe(
    Effect.scoped,
    Effect.provide(
      RpcClient.layerProtocolSocket().pipe(
        Layer.provide(RpcSerialization.layerNdjson),
        Layer.provide(EffectSocket.layerSocket(endpoint))
      )
    )
  )

/** What `call` answers. It takes three seconds. */
export const answers = { doubled: [2, 4, 6], counted: [1, 2, 3, 4], cut: [1, 2] }

/** Both in one program, at an endpoint whose port may be 0. */
export const exchange = (endpoint: string) =>
  Effect.scoped(Effect.gen(function*() {
    const { listen } = yield* Network.Network
    const listener = yield* listen(endpoint)
    const served = Layer.succeed(SocketServer.SocketServer, EffectSocket.toSocketServer(listener))
    yield* Layer.build(Layer.provide(server, served))
    return yield* call(Endpoint.format(listener.endpoint))
  }))
