/**
 * A port of this machine where nobody answers and nobody refuses: a listening socket that is full, of a thread that never
 * accepts. Linux drops what asks for more.
 */
import { Effect, type Scope } from "effect"
import * as Net from "node:net"
import { Worker } from "node:worker_threads"

const sleeper = `
  const { parentPort, workerData } = require("node:worker_threads")
  const server = require("node:net").createServer()
  server.listen({ host: workerData, port: 0, backlog: 1 }, () => {
    parentPort.postMessage(server.address().port)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  })
`

/** Holds for a backlog of 1, and some more than it can be on any system. */
const placesMin = 2
const fillers = 8

/** Answers with the port. */
export const blackHole = (host: string): Effect.Effect<number, never, Scope.Scope> =>
  Effect.gen(function*() {
    const worker = yield* Effect.acquireRelease(
      Effect.sync(() => new Worker(sleeper, { eval: true, workerData: host })),
      (worker) => Effect.promise(() => worker.terminate())
    )
    const port = yield* Effect.callback<number>((resume) => {
      worker.once("message", (port: number) => resume(Effect.succeed(port)))
      worker.once("error", (error) => resume(Effect.die(error)))
    })
    const sockets = yield* Effect.acquireRelease(
      Effect.sync(() => Array.from({ length: fillers }, () => Net.connect({ host, port }).on("error", () => {}))),
      (sockets) => Effect.sync(() => sockets.forEach((socket) => socket.destroy()))
    )
    // A handshake of one machine is done when `connect` returns: whoever fits is in, once the first ones say so.
    yield* Effect.callback<void>((resume) => {
      let connected = 0
      for (const socket of sockets) {
        socket.on("connect", () => {
          if (++connected === placesMin) resume(Effect.void)
        })
      }
    })
    return port
  })
