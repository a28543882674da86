/**
 * What Node's and Effect's own libraries do on top of our bridges, and the same on top of their own sockets: HTTP by
 * `node:http`, and calls of Effect's RPC. Both ends are in one process, connected over loopback TCP.
 */
import { NodeSocket, NodeSocketServer } from "@effect/platform-node"
import { Effect, Layer, Schema, Scope } from "effect"
import { EffectSocket, Network } from "effect-transport"
import { NodeDuplex, NodeTransport } from "effect-transport/node"
import { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import { type Socket, SocketServer } from "effect/socket"
import * as Http from "node:http"
import type * as Net from "node:net"
import type { Duplex } from "node:stream"
import { answer, options, ownUsage } from "../child.ts"
import { type AloneAnswers, backlog, socketOptions, type SubjectOptions } from "../messages.ts"

const { bytes, service } = options<SubjectOptions>()

const host = "127.0.0.1"
/** How many connections ask at a time with HTTP, and how many calls are under way on the one of RPC. */
const atOnce = 10

/** What came back, of what was asked for. */
const total = { sent: 0, received: 0 }

/** Asks so often, `atOnce` at a time. */
type Asking = (times: number) => Promise<void>
type Opening = Effect.Effect<Asking, unknown, Scope.Scope>

// ---------------------------------------------------------------------------------------------------------------------
// HTTP
// ---------------------------------------------------------------------------------------------------------------------

const body = Buffer.alloc(bytes, "x")

const server = Http.createServer((request, response) => {
  request.on("data", (chunk: Buffer) => response.write(chunk))
  request.on("end", () => response.end())
})

const askOver = (agent: Http.Agent, port: number): Asking => async (times) => {
  let left = times
  const ask = () =>
    new Promise<void>((resolve, reject) => {
      const headers = { "content-length": bytes }
      const request = Http.request({ agent, host, port, method: "POST", path: "/", headers }, (response) => {
        response.on("data", (chunk: Buffer) => total.received += chunk.length)
        response.on("end", resolve)
      })
      request.on("error", reject)
      total.sent += bytes
      request.end(body)
    })
  const work = async () => {
    while (left-- > 0) await ask()
  }
  await Promise.all(Array.from({ length: atOnce }, work))
}

const agentOptions: Http.AgentOptions = { keepAlive: true, maxSockets: atOnce }

const httpOverDuplex: Opening = Effect.gen(function*() {
  const { connect, listen } = yield* Network.Network
  const { endpoint, serve } = yield* listen(`tcp://${host}:0`)
  const context = yield* Effect.context<Scope.Scope>()
  yield* Effect.forkScoped(serve((transport) =>
    Effect.flatMap(NodeDuplex.toDuplex(transport), (duplex) => {
      server.emit("connection", duplex)
      return Effect.callback<void>((resume) => {
        duplex.once("close", () => resume(Effect.void))
      })
    })
  ))
  const agent = new Http.Agent(agentOptions)
  const createConnection = (_: unknown, done: (error: Error | null, stream?: Duplex) => void) => {
    Effect.runPromiseWith(context)(
      Effect.flatMap(connect(endpoint), (transport) => NodeDuplex.toDuplex(transport, { allowHalfOpen: false }))
    ).then((duplex) => done(null, duplex), done)
  }
  Object.assign(agent, { createConnection })
  return askOver(agent, "port" in endpoint ? endpoint.port : 0)
}).pipe(Effect.provide(NodeTransport.layerNetwork))

const httpOverNode: Opening = Effect.callback((resume) => {
  Object.assign(server, socketOptions)
  server.listen({ port: 0, host, backlog }, () => {
    resume(Effect.succeed(askOver(new Http.Agent(agentOptions), (server.address() as Net.AddressInfo).port)))
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// RPC
// ---------------------------------------------------------------------------------------------------------------------

class Numbers extends RpcGroup.make(
  Rpc.make("Double", { payload: { number: Schema.Number }, success: Schema.Number })
) {}

const serving = RpcServer.layer(Numbers).pipe(
  Layer.provide(Numbers.toLayer({ Double: ({ number }) => Effect.succeed(number * 2) })),
  Layer.provide(RpcServer.layerProtocolSocketServer),
  Layer.provide(RpcSerialization.layerNdjson)
)

/** Calls over what the two layers give. */
const calling = (
  sockets: Layer.Layer<SocketServer.SocketServer, unknown>,
  socketAt: (port: number) => Layer.Layer<Socket.Socket, unknown>
): Opening =>
  Effect.gen(function*() {
    const served = yield* Layer.build(Layer.provideMerge(serving, sockets))
    const { address } = yield* Effect.provide(SocketServer.SocketServer, served)
    const protocol = RpcClient.layerProtocolSocket().pipe(
      Layer.provide(RpcSerialization.layerNdjson),
      Layer.provide(socketAt("port" in address ? address.port : 0))
    )
    const client = yield* Effect.provide(RpcClient.make(Numbers), yield* Layer.build(protocol))
    const call = (number: number) =>
      Effect.map(client.Double({ number }), (doubled) => {
        total.sent += number
        total.received += doubled / 2
      })
    return (times) =>
      Effect.runPromise(
        Effect.forEach(Array.from({ length: times }, (_, i) => i), call, { concurrency: atOnce, discard: true })
      )
  })

const rpcOverOurs: Opening = calling(
  Layer.provide(EffectSocket.layerSocketServer(`tcp://${host}:0`), NodeTransport.layerNetwork),
  (port) => Layer.provide(EffectSocket.layerSocket(`tcp://${host}:${port}` as string), NodeTransport.layerNetwork)
)

const rpcOverEffect: Opening = calling(
  NodeSocketServer.layer({ ...socketOptions, port: 0, host, backlog }),
  (port) => NodeSocket.layerNet({ ...socketOptions, port, host })
)

// ---------------------------------------------------------------------------------------------------------------------

const openings: Readonly<Record<string, Opening>> = {
  "http/ours": httpOverDuplex,
  "http/node": httpOverNode,
  "rpc/ours": rpcOverOurs,
  "rpc/effect": rpcOverEffect
}

let asking: Asking | undefined

answer<AloneAnswers>({
  ...ownUsage,
  start: () => 0,
  run: async (operations) => {
    asking ??= await Effect.runPromise(Scope.provide(openings[service]!, Scope.makeUnsafe()))
    const before = performance.now()
    await asking(operations)
    return (performance.now() - before) / 1000
  },
  digest: () => ({ sent: `${total.sent}`, received: `${total.received}` })
})
