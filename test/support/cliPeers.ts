/**
 * Peers of the command-line tool that do what other programs cannot be told to: reset, stop reading, answer late.
 */
import { Effect, type Scope } from "effect"
import { createHash } from "node:crypto"
import * as Net from "node:net"

/** One end of a connection: half-open, and it reads unless it is paused. */
export interface Peer {
  readonly socket: Net.Socket
  readonly received: () => Buffer
  /** Completes when that much has arrived. */
  readonly has: (bytes: number) => Effect.Effect<void>
  /** Completes when the other end has ended its direction, or the connection broke. */
  readonly ended: Effect.Effect<"end" | "reset">
  /** Completes when the bytes have left this process. */
  readonly send: (bytes: Uint8Array | string) => Effect.Effect<void>
}

const peerOf = (socket: Net.Socket): Peer => {
  const chunks: Array<Buffer> = []
  let bytes = 0
  let end: "end" | "reset" | undefined
  const watching = new Set<() => void>()
  const look = () => watching.forEach((look) => look())
  const ending = (how: "end" | "reset") => () => {
    end ??= how
    look()
  }
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk)
    bytes += chunk.length
    look()
  })
  socket.on("end", ending("end"))
  socket.on("error", ending("reset"))
  const until = <A>(find: () => A | undefined) =>
    Effect.callback<A>((resume) => {
      const look = () => {
        const found = find()
        if (found === undefined) return
        watching.delete(look)
        resume(Effect.succeed(found))
      }
      watching.add(look)
      look()
      return Effect.sync(() => watching.delete(look))
    })
  return {
    socket,
    received: () => Buffer.concat(chunks),
    has: (wanted) => Effect.asVoid(until(() => bytes >= wanted || undefined)),
    ended: until(() => end),
    send: (bytes) => Effect.callback((resume) => void socket.write(bytes, () => resume(Effect.void)))
  }
}

/** Connects to a port or a path. */
export const connect = (to: number | string): Effect.Effect<Peer, never, Scope.Scope> =>
  Effect.flatMap(
    Effect.acquireRelease(
      Effect.sync(() =>
        Net.connect({
          allowHalfOpen: true,
          ...(typeof to === "number" ? { host: "127.0.0.1", port: to } : { path: to })
        })
      ),
      (socket) => Effect.sync(() => socket.destroy())
    ),
    (socket) =>
      Effect.callback<Peer>((resume) => {
        const peer = peerOf(socket)
        socket.once("connect", () => resume(Effect.succeed(peer)))
        socket.once("error", (error) => resume(Effect.die(error)))
      })
  )

export interface Server {
  readonly port: number
  readonly accept: Effect.Effect<Peer>
  /** How many have been accepted or wait to be. */
  readonly count: () => number
}

/** Listens on a free port. `isPaused`: what is accepted does not read until it is told to. */
export const serve = (options?: { readonly isPaused?: boolean }): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.gen(function*() {
    const arrived: Array<Peer> = []
    const waiting: Array<(peer: Peer) => void> = []
    let count = 0
    const sockets = new Set<Net.Socket>()
    const server = yield* Effect.acquireRelease(
      Effect.sync(() => Net.createServer({ allowHalfOpen: true })),
      (server) =>
        Effect.sync(() => {
          server.close()
          for (const socket of sockets) socket.destroy()
        })
    )
    server.on("connection", (socket) => {
      count++
      sockets.add(socket)
      const peer = peerOf(socket)
      if (options?.isPaused === true) socket.pause()
      const next = waiting.shift()
      if (next === undefined) arrived.push(peer)
      else next(peer)
    })
    yield* Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
    return {
      port: (server.address() as Net.AddressInfo).port,
      count: () => count,
      accept: Effect.callback((resume) => {
        const peer = arrived.shift()
        if (peer !== undefined) return resume(Effect.succeed(peer))
        waiting.push((peer) => resume(Effect.succeed(peer)))
      })
    }
  })

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")
