/**
 * Opening sockets of `node:net`, both ways, for TCP and Unix alike. The only place, with `socketWire.ts`, where
 * callbacks of Node live.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import type { TransportError } from "../../TransportError.ts"

/**
 * A connected socket: paused, half-open, and destroyed at the latest with the scope.
 *
 * Interrupted, the attempt is given up at once. The socket is owned by the scope from the start, so there is no moment
 * at which an interruption could find it with nobody.
 */
export const connectSocket = (
  options: Net.NetConnectOpts,
  failed: (cause: Error) => TransportError
): Effect.Effect<Net.Socket, TransportError, Scope.Scope> =>
  Effect.flatMap(
    Effect.acquireRelease(
      Effect.sync(() => {
        const socket = new Net.Socket({ allowHalfOpen: true })
        // Reading begins when the transport is there.
        socket.pause()
        return socket
      }),
      (socket) => Effect.sync(() => socket.destroy())
    ),
    (socket) =>
      Effect.callback<Net.Socket, TransportError>((resume) => {
        const done = () => {
          socket.off("connect", opened)
          socket.off("error", broken)
        }
        const opened = () => {
          done()
          // Between here and the transport's own listener an error must not end the process.
          socket.on("error", ignore)
          resume(Effect.succeed(socket))
        }
        const broken = (cause: Error) => {
          done()
          resume(Effect.fail(failed(cause)))
        }
        socket.on("connect", opened)
        socket.on("error", broken)
        try {
          socket.connect(options)
        } catch (cause) {
          // Node checks some options by throwing.
          broken(cause as Error)
        }
        return Effect.sync(() => {
          done()
          socket.on("error", ignore)
          // `destroy`, since `resetAndDestroy` would wait for the connection first.
          socket.destroy()
        })
      })
  )

/** What a listening socket reports. */
interface Arrivals {
  readonly arrived: (socket: Net.Socket) => void
  readonly failed: (cause: Error) => void
}

/** A bound server. What comes before `arrivals` is set finds nobody, and is ended. */
export interface BoundServer {
  readonly server: Net.Server
  arrivals: Arrivals | undefined
}

/** A listening server, closed at the latest with the scope. */
export const bindServer = (
  server: Net.ServerOpts,
  listen: Net.ListenOptions,
  failed: (cause: Error) => TransportError
): Effect.Effect<BoundServer, TransportError, Scope.Scope> =>
  Effect.flatMap(
    Effect.acquireRelease(
      Effect.sync((): BoundServer => {
        const bound: BoundServer = {
          server: Net.createServer({ ...server, allowHalfOpen: true, pauseOnConnect: true }),
          arrivals: undefined
        }
        bound.server.on("connection", (socket) => {
          socket.on("error", ignore)
          if (bound.arrivals === undefined) socket.destroy()
          else bound.arrivals.arrived(socket)
        })
        return bound
      }),
      ({ server }) => Effect.sync(() => server.close(ignore))
    ),
    (bound) =>
      Effect.callback<BoundServer, TransportError>((resume) => {
        const { server } = bound
        const refused = (cause: Error) => {
          server.off("listening", listening)
          resume(Effect.fail(failed(cause)))
        }
        const listening = () => {
          server.off("error", refused)
          server.on("error", (cause) => bound.arrivals?.failed(cause))
          resume(Effect.succeed(bound))
        }
        server.once("error", refused)
        server.once("listening", listening)
        try {
          server.listen(listen)
        } catch (cause) {
          server.off("error", refused)
          refused(cause as Error)
        }
        return Effect.sync(() => {
          server.off("listening", listening)
          server.close(ignore)
        })
      })
  )

const ignore = () => {}
