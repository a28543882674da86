/**
 * The door of Unix sockets, by path and by abstract name.
 */
import * as Effect from "effect/Effect"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import { withinConnectTimeout } from "../../connectTimeout.ts"
import * as Endpoint from "../../Endpoint.ts"
import { inOwnScope } from "../../ownScope.ts"
import * as TransportError from "../../TransportError.ts"
import { type Door, failedAt, listenerOf, transportOf } from "../door.ts"
import type { ResolvedNodeOptions } from "../options.ts"
import { bindServer, type BoundServer, connectSocket } from "./sockets.ts"

export const unixDoor: Door<Endpoint.UnixEndpoint> = {
  connect: (machine, endpoint, options) =>
    inOwnScope(Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        restore(
          withinConnectTimeout(
            connectSocket({ path: nativePath(endpoint) }, failedAt("open", Endpoint.format(endpoint))),
            endpoint,
            options
          )
        ),
        (socket) =>
          transportOf(
            socket,
            { id: machine.nextId(), endpoint, local: Option.none(), peer: Option.some(addressOf(endpoint)) },
            options
          )
      )
    )),

  listen: (machine, endpoint, options) =>
    Effect.flatMap(
      inOwnScope(bind(endpoint, options)),
      (bound) =>
        listenerOf(bound, endpoint, options, (socket) =>
          transportOf(
            socket,
            { id: machine.nextId(), endpoint, local: Option.some(addressOf(endpoint)), peer: Option.none() },
            options
          ))
    )
}

const nativePath = ({ abstract, path }: Endpoint.UnixEndpoint): string => abstract ? `\0${path}` : path

const addressOf = (endpoint: Endpoint.UnixEndpoint) => NetAddress.unixPathAddress(nativePath(endpoint))

/**
 * The file of a listener that died is in the way of a new one: where nobody answers behind it, it is removed and binding
 * is tried once more.
 */
const bind = (
  endpoint: Endpoint.UnixEndpoint,
  options: ResolvedNodeOptions
): Effect.Effect<BoundServer, TransportError.TransportError, Scope.Scope> => {
  const path = nativePath(endpoint)
  const failed = failedAt("listen", Endpoint.format(endpoint))
  const binding = bindServer({}, { path, backlog: options.backlog }, failed)
  if (endpoint.abstract) return binding
  const isStale = Effect.match(Effect.scoped(connectSocket({ path }, failed)), {
    // `Refused` says too little: so is a client of a listener whose backlog is full, or of a socket of another type.
    onFailure: ({ cause }) => Predicate.hasProperty(cause, "code") && cause.code === "ECONNREFUSED",
    onSuccess: () => false
  })
  return binding.pipe(
    Effect.catchReason(
      "TransportError",
      "Busy",
      (_, busy) =>
        Effect.flatMap(
          isStale,
          (stale) => stale ? Effect.andThen(attempt(() => removeSocket(path), failed), binding) : Effect.fail(busy)
        )
    ),
    Effect.tap(() =>
      options.mode === undefined ? Effect.void : attempt(() => Fs.chmodSync(path, options.mode!), failed)
    )
  )
}

/** Never a file of another kind. */
const removeSocket = (path: string): void => {
  if (Fs.lstatSync(path).isSocket()) Fs.unlinkSync(path)
}

const attempt = (run: () => void, failed: (cause: unknown) => TransportError.TransportError) =>
  Effect.try({ try: run, catch: failed })
