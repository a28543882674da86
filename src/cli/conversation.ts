/**
 * What the tool does with connections once they are open, and how a signal ends it.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Listener } from "../Listener.ts"
import type { Transport } from "../Transport.ts"
import type { TransportError } from "../TransportError.ts"
import { Shutdown } from "./shutdown.ts"

/**
 * Runs a conversation over these connections. A signal aborts them, the first when `drain` has passed since and the
 * second at once: it is `cut` then. Its own failure is its own to handle.
 */
export const converse = (
  conversation: Effect.Effect<void, TransportError>,
  connections: ReadonlyArray<Transport>,
  drain: Duration.Duration
): Effect.Effect<"ended" | "cut", TransportError, Shutdown> =>
  Effect.gen(function*() {
    const { asked, forced } = yield* Shutdown
    let isCut = false
    const cut = Effect.gen(function*() {
      yield* Effect.raceFirst(forced, Effect.andThen(asked, Effect.sleep(drain)))
      isCut = true
      // An abort also ends a close that is under way, which an interruption would wait for.
      yield* Effect.forEach(connections, ({ abort }) => abort, { discard: true })
    })
    return yield* conversation.pipe(
      Effect.raceFirst(cut),
      Effect.catch((error) => isCut ? Effect.void : Effect.fail(error)),
      Effect.map(() => isCut ? "cut" : "ended")
    )
  })

/** Beyond `drain` a listener waits for what the end of a conversation takes: a flush and a linger. */
const closing = Duration.seconds(10)

/**
 * Serves connections until a signal, then accepts no more and waits for those that are there. `handle` keeps the time of
 * its conversation by itself, and fails for nobody.
 */
export const serveUntilAsked = <T extends Transport, R>(
  listener: Listener<T>,
  handle: (connection: T) => Effect.Effect<void, never, R>,
  drain: Duration.Duration
): Effect.Effect<void, never, Exclude<R, Scope.Scope> | Shutdown> =>
  Effect.flatMap(Shutdown, ({ asked }) => {
    const serving = listener.serve(handle, { connectionsMax: 1024, drain: Duration.sum(drain, closing) })
    // It fails when somebody else closes the listener, and nobody else has it.
    return Effect.raceFirst(asked, Effect.orDie(serving))
  })
