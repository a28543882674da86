/** Effect's own HTTP, server and client, over connections of ours: neither knows of them. */
import { NodeHttpClient, NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Stream } from "effect"
import { Endpoint, type Listener, Network, TestTransport } from "effect-transport"
import { NodeDuplex, NodeTransport } from "effect-transport/node"
import { HttpClient, HttpClientRequest, HttpServerRequest, HttpServerResponse } from "effect/http"
import { randomUUID } from "node:crypto"
import * as Http from "node:http"
import * as Https from "node:https"
import { tmpdir } from "node:os"
import { join } from "node:path"

const exchanges = 100

const media = [
  ["a Unix socket", `unix://${join(tmpdir(), `effect-transport-${randomUUID()}.sock`)}`, NodeTransport.layerNetwork],
  ["TCP", "tcp://127.0.0.1:0", NodeTransport.layerNetwork],
  ["memory", "memory:http", TestTransport.layerNetwork]
] as const

const ended = (duplex: NodeDuplex.SocketDuplex): Effect.Effect<void> =>
  Effect.callback((resume) => {
    duplex.once("close", () => resume(Effect.void))
  })

/** Every connection is one of the server's. */
const serveHttp = (listener: Listener.Listener, server: Http.Server) =>
  listener.serve((transport) =>
    Effect.flatMap(NodeDuplex.toDuplex(transport), (duplex) => {
      server.emit("connection", duplex)
      return ended(duplex)
    })
  )

/** An agent whose connections come from the network at hand. */
const agentTo = (endpoint: string) =>
  Effect.gen(function*() {
    const { connect } = yield* Network.Network
    const run = Effect.runForkWith(yield* Effect.context<never>())
    const agent = yield* Effect.acquireRelease(
      Effect.sync(() => new Http.Agent({ keepAlive: true, maxSockets: 4 })),
      (agent) => Effect.sync(() => agent.destroy())
    )
    const createConnection = (_: unknown, done: (error: Error | null, duplex?: NodeDuplex.SocketDuplex) => void) => {
      const dialling = Effect.scoped(Effect.flatMap(
        Effect.flatMap(connect(endpoint as "unix:///…"), (transport) => NodeDuplex.toDuplex(transport)),
        (duplex) => {
          done(null, duplex)
          return ended(duplex)
        }
      ))
      run(Effect.catch(dialling, (error) => Effect.sync(() => done(error))))
    }
    return { http: Object.assign(agent, { createConnection }), https: new Https.Agent() }
  })

describe.each(media)("Effect's HttpServer and HttpClient over %s", (_, endpoint, network) => {
  it.live("exchange a hundred bodies, and interrupt the handler of a request that is given up", () =>
    Effect.gen(function*() {
      const hanging = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      const app = Effect.gen(function*() {
        const request = yield* HttpServerRequest.HttpServerRequest
        if (request.url !== "/hang") return HttpServerResponse.stream(request.stream)
        yield* Deferred.succeed(hanging, undefined)
        return yield* Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
      })
      // A handler of one's own begins uninterruptible.
      const handler = yield* NodeHttpServer.makeHandler(Effect.interruptible(app), { scope: yield* Effect.scope })
      const server = Http.createServer(handler)
      const { listen } = yield* Network.Network
      const listener = yield* listen(endpoint as "unix:///…")
      yield* Effect.forkScoped(serveHttp(listener, server))
      const agent = Layer.effect(NodeHttpClient.HttpAgent, agentTo(Endpoint.format(listener.endpoint)))
      const client = yield* Effect.provide(
        HttpClient.HttpClient,
        Layer.provide(NodeHttpClient.layerNodeHttpNoAgent, agent)
      )

      const bodies = Array.from({ length: exchanges }, (_, i) => `${i} `.repeat(i === 50 ? 100_000 : 10))
      const answers = yield* Effect.forEach(bodies, (body, i) =>
        Effect.flatMap(
          client.execute(HttpClientRequest.bodyStream(
            HttpClientRequest.post(`http://localhost/${i}`),
            Stream.make(new TextEncoder().encode(body))
          )),
          (response) => response.text
        ), { concurrency: 4 })
      assert.deepStrictEqual(answers, bodies)

      const asking = yield* Effect.forkChild(client.get("http://localhost/hang"))
      yield* Deferred.await(hanging)
      yield* Fiber.interrupt(asking)
      yield* Deferred.await(interrupted)
    }).pipe(Effect.scoped, Effect.provide(network)))
})
