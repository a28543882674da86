/**
 * Effect's own sockets over TCP, as transports by way of `EffectSocket.fromSocket`: both ends of one connection, opened so
 * that they can half-close, as they do not by themselves.
 *
 * The accepted one is made as `NodeSocketServer` makes it. That itself would not do: it lets go of its handle only once
 * all connections have ended, and laws count handles.
 */
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import { Effect } from "effect"
import { EffectSocket, Wire } from "effect-transport"
import type { TransportLaws } from "effect-transport/testing"
import * as Net from "node:net"

/** A listener for one connection, which it lets go of at the end of the scope where nobody did before. */
const accepting = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly accepted: Promise<Net.Socket>; readonly stop: () => void }>(
    (resume) => {
      const server = Net.createServer({ allowHalfOpen: true, pauseOnConnect: true })
      let isStopped = false
      let conn: Net.Socket | undefined
      const accepted = new Promise<Net.Socket>((accept) =>
        server.once("connection", (connection) => {
          server.close()
          if (isStopped) return connection.destroy()
          conn = connection
          connection.on("error", () => {})
          return accept(connection)
        })
      )
      const stop = () => {
        isStopped = true
        server.close()
        conn?.destroy()
      }
      server.listen(
        0,
        "127.0.0.1",
        () => resume(Effect.succeed({ port: (server.address() as Net.AddressInfo).port, accepted, stop }))
      )
    }
  ),
  ({ stop }) => Effect.sync(stop)
)

export const effectPair: TransportLaws.Subject["pair"] = (options) =>
  Effect.gen(function*() {
    // Before anything listens, so that a refusal leaves nothing.
    yield* Wire.resolveOptions(options, { operation: "open", endpoint: "tcp://127.0.0.1:0" })
    const { accepted, port } = yield* accepting
    const client = yield* NodeSocket.makeNet({ host: "127.0.0.1", port, allowHalfOpen: true })
    const endpoint = { _tag: "tcp", host: "127.0.0.1", port } as const
    const a = yield* EffectSocket.fromSocket(client, endpoint, { ...options, info: { id: 1 } })
    const server = yield* NodeSocket.fromDuplex(
      Effect.acquireRelease(
        Effect.promise(() => accepted),
        (conn) => Effect.sync(() => conn.closed ? undefined : conn.destroySoon())
      )
    )
    const b = yield* EffectSocket.fromSocket(server, endpoint, { ...options, info: { id: 2 } })
    return [a, b] as const
  })
