/**
 * The door of TLS: a handshake on a connection of TCP before anybody has it, at either end.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Endpoint from "../../Endpoint.ts"
import * as Listener from "../../Listener.ts"
import type { HalfCloseableTransport, Info } from "../../Transport.ts"
import type * as TransportError from "../../TransportError.ts"
import * as Wire from "../../Wire.ts"
import type { Socket } from "../net/socket.ts"
import { TlsWire } from "../net/tls.ts"
import { awaiting, type Door, failedAt, type Machine, openingReasonOf, standingReasonOf } from "./door.ts"
import { backlogMax, bind, dial } from "./sockets.ts"

export const tlsDoor: Door<Endpoint.TlsEndpoint> = {
  connect: (machine, endpoint, options) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function*() {
        const { client, info } = yield* restore(dial(machine, endpoint))
        const clock = yield* Clock.Clock
        const wire = yield* restore(greet(machine, endpoint, client, () => clock.currentTimeMillisUnsafe())).pipe(
          // Also where the interruption came before it began.
          Effect.onError(() => Effect.sync(() => client.abandon()))
        )
        return yield* transportOf(wire, info as TlsInfo, options)
      })
    ),

  listen: (machine, endpoint, options) =>
    bind(machine, endpoint, (bound) => {
      const infos = new WeakMap<TlsWire, Socket>()
      return Listener.make<TlsWire, HalfCloseableTransport>({
        ...bound,
        backlogMax,
        open: ({ failed, offer }) => {
          // Those in the middle of a handshake wait as well, and are bounded with the others.
          const greeting = new Set<TlsWire>()
          const stop = bound.open({
            offer: (socket) => {
              if (greeting.size >= backlogMax) return false
              const wire: TlsWire = serverOf(machine, socket, {
                opened: () => {
                  greeting.delete(wire)
                  if (!offer(wire)) wire.reset()
                },
                // The others are not to suffer for it, so nobody is told but the trace.
                failed: () => greeting.delete(wire)
              })
              infos.set(wire, socket)
              greeting.add(wire)
              return true
            },
            remove: () => {},
            failed
          })
          return () => {
            stop()
            for (const wire of greeting) wire.reset()
            greeting.clear()
          }
        },
        accept: (wire) => transportOf(wire, bound.infoOf(infos.get(wire)!) as TlsInfo, options),
        reject: (wire) => wire.reset()
      })
    })
}

type TlsInfo = Info & { readonly endpoint: Endpoint.TlsEndpoint }

const transportOf = (
  wire: TlsWire,
  info: TlsInfo,
  options: Wire.ResolvedOptions
): Effect.Effect<HalfCloseableTransport, never, Scope.Scope> =>
  Wire.toTransport((port) => wire.attach(port, options.truncation), {
    info,
    options,
    scopeExit: "clock",
    reasonOf: standingReasonOf
  })

/** The handshake of a client. */
const greet = (
  machine: Machine,
  endpoint: Endpoint.TlsEndpoint,
  socket: Socket,
  wallMillis: () => number
): Effect.Effect<TlsWire, TransportError.TransportError> => {
  const fail = failedAt("open", endpoint)
  return awaiting<TlsWire>((resume) => {
    const wire = new TlsWire({
      engine: machine.hosts.engine,
      host: machine.host,
      owner: machine.host.owner,
      settings: machine.host.tls,
      client: { serverName: endpoint.host, wallMillis },
      lower: (port) => socket.attach(port),
      outcome: {
        opened: () => resume(Effect.succeed(wire)),
        failed: (cause) => resume(fail(openingReasonOf(cause, endpoint.host), cause))
      }
    })
    return () => wire.reset()
  })
}

const serverOf = (
  machine: Machine,
  socket: Socket,
  outcome: { readonly opened: () => void; readonly failed: (cause: unknown) => void }
): TlsWire =>
  new TlsWire({
    engine: machine.hosts.engine,
    host: machine.host,
    owner: machine.host.owner,
    settings: machine.host.tls,
    client: undefined,
    lower: (port) => socket.attach(port),
    outcome
  })
