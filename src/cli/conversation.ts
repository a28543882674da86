/**
 * What the tool does with connections once they are open, and how a signal ends it.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Connection from "../Connection.ts"
import * as Endpoint from "../Endpoint.ts"
import type { Listener } from "../Listener.ts"
import * as NodeChildProcess from "../node/NodeChildProcess.ts"
import { describeStatus } from "../node/program.ts"
import type { Transport } from "../Transport.ts"
import * as TransportErrors from "../TransportError.ts"
import type { TransportError } from "../TransportError.ts"
import { Shutdown } from "./shutdown.ts"

/** The two ends of what the tool joins. */
export interface Pair {
  readonly a: Transport
  readonly b: Transport
}

/**
 * Joins two connections in both directions until both have ended.
 *
 * Where one of them is a program, its exit is the end of both, as in a pipeline of a shell: nobody is left for what the
 * other might still send, and what is written to a program that has closed its input is lost. Its output comes first. A
 * status other than 0 is a failure then.
 */
export const join = (
  { a, b }: Pair,
  look: (pair: Pair) => Pair = identity,
  others: (a: Transport, b: Transport) => Effect.Effect<void, TransportError> = Connection.copyBidirectional
): Effect.Effect<void, TransportError> => {
  const [ofA, ofB] = [NodeChildProcess.of(a), NodeChildProcess.of(b)]
  const looked = look({ a, b })
  if (Option.isSome(ofA) && Option.isNone(ofB)) return untilExit(ofA.value, looked.a, looked.b)
  if (Option.isSome(ofB) && Option.isNone(ofA)) return untilExit(ofB.value, looked.b, looked.a)
  return others(looked.a, looked.b)
}

const untilExit = (child: NodeChildProcess.ChildProcess, program: Transport, other: Transport) => {
  const name = Endpoint.format(program.info.endpoint)
  const toProgram = Connection.copy(other, program, { endOnDone: "halfClose" }).pipe(
    Effect.catch((error) => error.endpoint === name ? Effect.void : Effect.fail(error))
  )
  return Effect.raceFirst(
    Effect.andThen(Connection.copy(program, other), child.exit),
    Effect.andThen(toProgram, Effect.never)
  ).pipe(
    Effect.onError((cause) => Effect.andThen(other.abortWith(cause), program.abortWith(cause))),
    Effect.tap(() => Effect.all([other.close, Effect.ignore(program.close)], { concurrency: 2, discard: true })),
    Effect.flatMap((status) =>
      status._tag === "Exited" && status.code === 0
        ? Effect.void
        : Effect.fail(
          TransportErrors.make("read", name, new TransportErrors.Disconnected({ detail: describeStatus(status) }))
        )
    )
  )
}

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

/** Joins both ways until `remote` has ended, or `sending` has: then both are closed, and what was taken is still sent. */
export const untilOneEnds = (
  local: Transport,
  remote: Transport,
  sending: Effect.Effect<void, TransportError>
): Effect.Effect<void, TransportError> =>
  Effect.raceFirst(Connection.copy(remote, local), sending).pipe(
    Effect.onError((cause) => Effect.andThen(local.abortWith(cause), remote.abortWith(cause))),
    Effect.andThen(Effect.all([remote.close, local.close], { discard: true }))
  )

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
