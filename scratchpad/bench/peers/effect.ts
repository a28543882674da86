/** Effect's `NodeSocketServer`, the way the documentation of `Socket` shows. */
import { NodeSocketServer } from "@effect/platform-node"
import { Effect } from "effect"
import type { Socket } from "effect/socket"
import { answer, digestOf, options, ownUsage } from "../child.ts"
import { backlog, socketOptions, type SubjectAnswers, type SubjectOptions } from "../messages.ts"

const { service } = options<SubjectOptions>()

const echo = (socket: Socket.Socket) =>
  Effect.scoped(Effect.gen(function*() {
    const { pull } = yield* socket.reader
    const writer = yield* socket.writer
    while (true) yield* writer.writeAll(yield* pull)
  }))

const services: Readonly<Record<string, typeof echo>> = { echo }

const serve = (ready: (port: number) => void) =>
  Effect.scoped(Effect.gen(function*() {
    const server = yield* NodeSocketServer.make({ ...socketOptions, host: "127.0.0.1", port: 0, backlog })
    if (server.address._tag === "InetAddressV4") ready(server.address.port)
    return yield* server.run(services[service]!)
  }))

answer<SubjectAnswers>({
  ...ownUsage,
  start: () => new Promise((ready) => void Effect.runPromise(serve(ready))),
  digest: () => digestOf({})
})
