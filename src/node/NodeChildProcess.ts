/**
 * What a program has beside its connection: an identity, a standard error, and an end in three parts. The connection is a
 * transport like any other (`exec:` endpoints of `NodeTransport`); here are the facts about the process behind it.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Endpoint from "../Endpoint.ts"
import type { HalfCloseableTransport, Transport } from "../Transport.ts"
import * as TransportError from "../TransportError.ts"
import { type NodeOptions, resolveNodeOptions } from "./options.ts"
import { openProgram, programOf } from "./program/exec.ts"
import type { ExitStatus } from "./program/program.ts"

export type { ChildOptions } from "./options.ts"
export type { ExitStatus } from "./program/program.ts"

/**
 * A program that was started, and the connection to it.
 *
 * **Details**
 *
 * Its end has three parts, which come in any order and can each be awaited: `exit`, the end of its output, and
 * `transport.closed`, when nothing is left of it here. Waiting for one of them can be interrupted and repeated.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChildProcess {
  readonly transport: HalfCloseableTransport
  readonly pid: number
  /** Waits for the exit. Only a program that we may not kill, and that does not end by itself, never exits. */
  readonly exit: Effect.Effect<ExitStatus>
  /**
   * Waits until its output has ended: it and all that inherited its output have closed it, or we gave it up. What came is
   * with the transport, whose reader may not have it yet.
   */
  readonly outputEnded: Effect.Effect<void>
  /** The last 64 KiB that it wrote to its standard error so far; empty where `stderr` is `"inherit"` or `"ignore"`. */
  readonly stderr: Effect.Effect<Uint8Array>
  /**
   * Sends it a signal, SIGTERM by default; nothing where it has exited. It goes to the program alone, and not to what that
   * has started. To end a program in order use `transport.close`.
   */
  readonly kill: (signal?: NodeJS.Signals) => Effect.Effect<void, TransportError.TransportError>
}

/**
 * Starts a program and connects to its standard input and output.
 *
 * **Details**
 *
 * `close` flushes, closes the program's input and throws away what it still says; where it has not ended within
 * `endTimeout` it gets SIGTERM, and SIGKILL `killTimeout` later. `abort` gives up both directions and sends SIGTERM at once,
 * and SIGKILL `killTimeout` later. The end of the scope does one of the two, and waits until the program has ended: none
 * survives its scope, and none is left as a zombie. Signals go to the program alone: what it has started sees the end of
 * its input and output, as in a shell.
 *
 * Before anything runs it fails with `NotFound` where the program, its interpreter or its folder is not there, with
 * `PermissionDenied` where it may not be executed, and with `Unsupported` where its format is none. On most systems the C
 * library hands a file of no known format to `/bin/sh`, which ends with a status of its own.
 *
 * The reader gets all output, also what comes after the exit. Then a program that exited with 0 is an end of input, and any
 * other is `Disconnected` with the status (`exitStatus`). Where something else has inherited the output, input ends when
 * the program has exited and nobody has written for `exitGrace`. A write to a program that has closed its input fails with
 * `Reset`, and so does each that follows; reading goes on to the end of its output, which then ends the connection.
 *
 * **Example** (Asking a program)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Transport } from "effect-transport"
 * import { NodeChildProcess } from "effect-transport/node"
 *
 * const program = Effect.gen(function*() {
 *   const { exit, transport } = yield* NodeChildProcess.open("exec:sort -r")
 *   yield* transport.write(new TextEncoder().encode("a\nb\n"))
 *   yield* transport.halfClose
 *   const sorted = new TextDecoder().decode(yield* Transport.readUntilEnd(transport))
 *   return [sorted, yield* exit]
 * })
 *
 * await Effect.runPromise(Effect.scoped(program)) // => ["b\na\n", { _tag: "Exited", code: 0 }]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const open = Effect.fnUntraced(function*(
  endpoint: Endpoint.ExecEndpoint | `exec:${string}`,
  options?: NodeOptions
): Effect.fn.Return<ChildProcess, TransportError.TransportError, Scope.Scope> {
  const failure = { operation: "open", endpoint: Endpoint.describe(endpoint) } as const
  const parsed = yield* Effect.mapError(
    Endpoint.from(endpoint),
    (reason) => TransportError.make("open", failure.endpoint, reason)
  )
  if (parsed._tag !== "exec") {
    return yield* Effect.fail(TransportError.invalidOption("open", failure.endpoint, {
      field: "endpoint._tag",
      expected: "exec",
      actual: parsed._tag
    }))
  }
  const resolved = yield* resolveNodeOptions(options ?? {}, { ...failure, endpoint: Endpoint.format(parsed) })
  const transport = yield* openProgram(() => ++lastId, parsed, resolved)
  return Option.getOrThrow(of(transport))
})

let lastId = 0

/**
 * The program behind a transport that `NodeTransport` or `open` made for an `exec:` endpoint; none for any other, and for
 * what was made of one, as `Connection.tap` does.
 *
 * @category guards
 * @since 0.1.0
 */
export const of = (transport: Transport): Option.Option<ChildProcess> =>
  Option.map(Option.fromUndefinedOr(programOf(transport)), (program) => ({
    transport: transport as HalfCloseableTransport,
    pid: program.pid,
    exit: Deferred.await(program.exited),
    outputEnded: Deferred.await(program.outputEnded),
    stderr: Effect.sync(() => program.stderr()),
    kill: (signal = "SIGTERM") =>
      Effect.try({
        try: () => program.kill(signal),
        catch: (cause) =>
          TransportError.make(
            "control",
            Endpoint.format(transport.info.endpoint),
            new TransportError.InvalidOption({ field: "signal", expected: "the name of a signal", actual: signal }),
            { cause }
          )
      })
  }))
