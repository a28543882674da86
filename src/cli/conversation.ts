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
import { describeStatus } from "../node/program/program.ts"
import { isHalfCloseable, type Transport } from "../Transport.ts"
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
 * status other than 0 is a failure then. Where both are, each is waited for.
 */
export const join = (
  { a, b }: Pair,
  look: (pair: Pair) => Pair = identity,
  others: (a: Transport, b: Transport) => Effect.Effect<void, TransportError> = Connection.copyBidirectional
): Effect.Effect<void, TransportError> => {
  const looked = look({ a, b })
  const [ofA, ofB] = [programOf(a, looked.a), programOf(b, looked.b)]
  if (ofA !== undefined && ofB !== undefined) return untilBothExit(ofA, ofB)
  if (ofA !== undefined) return untilExit(ofA, looked.b)
  if (ofB !== undefined) return untilExit(ofB, looked.a)
  return others(looked.a, looked.b)
}

/** A program, and the connection to it as it is looked at. */
interface Program {
  readonly exit: NodeChildProcess.ChildProcess["exit"]
  readonly transport: Transport
}

const programOf = (transport: Transport, looked: Transport): Program | undefined =>
  Option.getOrUndefined(Option.map(NodeChildProcess.of(transport), ({ exit }) => ({ exit, transport: looked })))

const untilExit = (program: Program, other: Transport) => {
  const toProgram = Connection.copy(other, program.transport, { endOnDone: "halfClose" }).pipe(
    Effect.catch((error) => error.operation === "read" ? Effect.fail(error) : Effect.void)
  )
  return Effect.raceFirst(
    Effect.andThen(Connection.copy(program.transport, other), program.exit),
    Effect.andThen(toProgram, Effect.never)
  ).pipe(
    orAbort(other, program.transport),
    Effect.tap(() =>
      Effect.all([other.close, Effect.ignore(program.transport.close)], { concurrency: 2, discard: true })
    ),
    Effect.flatMap((status) => succeeded(program, status))
  )
}

const untilBothExit = (a: Program, b: Program) =>
  Effect.all([follow(a, b), follow(b, a)], { concurrency: 2, discard: true }).pipe(
    orAbort(a.transport, b.transport),
    Effect.andThen(Effect.all([a, b].map(({ transport }) => Effect.ignore(transport.close)), { discard: true }))
  )

/** Where the other wants no more of it, a program is told to end, and how it does is not its fault. */
const follow = (program: Program, other: Program) =>
  Connection.copy(program.transport, other.transport).pipe(
    Effect.andThen(Effect.ignore(halfClose(other.transport))),
    Effect.andThen(program.exit),
    Effect.flatMap((status) => succeeded(program, status)),
    Effect.catchIf(
      (error) => error.operation === "write",
      () => Effect.andThen(Effect.ignore(program.transport.close), Effect.asVoid(program.exit))
    )
  )

const halfClose = (transport: Transport) => isHalfCloseable(transport) ? transport.halfClose : transport.flush

const orAbort = (...transports: ReadonlyArray<Transport>) => <A, E>(joined: Effect.Effect<A, E>) =>
  Effect.onError(
    joined,
    (cause) => Effect.forEach(transports, (transport) => transport.abortWith(cause), { discard: true })
  )

const succeeded = ({ transport }: Program, status: NodeChildProcess.ExitStatus) =>
  status._tag === "Exited" && status.code === 0 ? Effect.void : Effect.fail(
    TransportErrors.make(
      "read",
      Endpoint.format(transport.info.endpoint),
      new TransportErrors.Disconnected({ detail: describeStatus(status) })
    )
  )

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
