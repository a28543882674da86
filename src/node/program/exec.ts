/**
 * The door of programs: what is written goes to the standard input of one that is started for it, and what it says on its
 * standard output is read.
 *
 * Node gives a program sockets and not pipes. All the same it reads and writes them as such; what it cannot do is to open
 * them a second time by name (`/dev/stdin`, `/proc/self/fd/0`).
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Endpoint from "../../Endpoint.ts"
import { inOwnScope } from "../../ownScope.ts"
import type { HalfCloseableTransport, Transport } from "../../Transport.ts"
import * as TransportError from "../../TransportError.ts"
import * as Wire from "../../Wire.ts"
import { type Door, noListening } from "../door.ts"
import { codeOf, reasonOf } from "../nativeError.ts"
import type { ChildOptions, ResolvedNodeOptions } from "../options.ts"
import { ExecWire } from "./execWire.ts"
import { type Program, ProgramFailed, start, type StderrListener } from "./program.ts"

export const execDoor: Door<Endpoint.ExecEndpoint> = {
  connect: (machine, endpoint, options) => openProgram(machine.nextId, endpoint, options),

  listen: noListening
}

/** The program behind a transport of this door. */
export const programOf = (transport: Transport): Program | undefined => programs.get(transport)

const programs = new WeakMap<Transport, Program>()

/** To start a program takes no waiting, so there is no moment at which an interruption could leave one behind. */
export const openProgram = (
  nextId: () => number,
  endpoint: Endpoint.ExecEndpoint,
  options: ResolvedNodeOptions
): Effect.Effect<HalfCloseableTransport, TransportError.TransportError, Scope.Scope> => {
  const name = Endpoint.format(endpoint)
  return inOwnScope(Effect.uninterruptible(Effect.gen(function*() {
    const onStderr = yield* stderrListener(options.child.stderr, endpoint)
    // It outlives the transport: the scope ends when the program has, whichever way the transport let go of it.
    const program = yield* Effect.acquireRelease(startProgram(endpoint, options, name, onStderr), ({ gone }) => gone)
    const transport = yield* Wire.toTransport((port) => new ExecWire(program, port), {
      info: { id: nextId(), endpoint, local: Option.none(), peer: Option.none() },
      options: options.transport,
      scopeExit: "wait",
      reasonOf: (cause) =>
        cause instanceof ProgramFailed
          ? new TransportError.Disconnected({ detail: cause.message })
          : reasonOf(cause, { operation: "read", what: name })
    })
    programs.set(transport, program)
    return transport
  })))
}

const startProgram = (
  endpoint: Endpoint.ExecEndpoint,
  options: ResolvedNodeOptions,
  name: string,
  onStderr: StderrListener
): Effect.Effect<Program, TransportError.TransportError> =>
  Effect.callback((resume) => {
    const program = start(endpoint, options.child, onStderr, (cause) => {
      const reason = openingReasonOf(cause, endpoint, options.child.cwd, name)
      resume(Effect.fail(TransportError.make("open", name, reason, { cause })))
    })
    if (program !== undefined) resume(Effect.succeed(program))
  })

// ---------------------------------------------------------------------------------------------------------------------
// Standard error
// ---------------------------------------------------------------------------------------------------------------------

const lineMax = 4096

const stderrListener = (
  stderr: NonNullable<ChildOptions["stderr"]>,
  { command }: Endpoint.ExecEndpoint
): Effect.Effect<StderrListener> => {
  if (stderr !== "log" && typeof stderr !== "function") return Effect.succeed({ data: ignore, end: ignore })
  return Effect.map(Effect.context<never>(), (context) => {
    const run = Effect.runForkWith(context)
    if (typeof stderr === "function") return { data: unlessItFails(stderr, command, run), end: ignore }
    const decoder = new TextDecoder()
    let line = ""
    const log = (line: string) => {
      run(Effect.logInfo(`${command}: ${line.slice(0, lineMax)}`))
    }
    return {
      data: (chunk) => {
        const lines = (line + decoder.decode(chunk, { stream: true })).split("\n")
        line = lines.pop()!.slice(0, lineMax)
        lines.forEach(log)
      },
      end: () => {
        if (line !== "") log(line)
      }
    }
  })
}

/** It runs in a callback of Node, where what it throws would end the process, and an async one would do so by rejecting. */
const unlessItFails = (
  listener: (chunk: Uint8Array) => unknown,
  command: string,
  run: (logging: Effect.Effect<void>) => unknown
): (chunk: Uint8Array) => void => {
  let hasFailed = false
  const fail = (defect: unknown) => {
    if (hasFailed) return
    hasFailed = true
    run(
      Effect.logError(
        `${command}: the function for its standard error failed, and is called no more`,
        Cause.die(defect)
      )
    )
  }
  return (chunk) => {
    if (hasFailed) return
    try {
      const result = listener(chunk)
      if (Predicate.isPromiseLike(result)) result.then(undefined, fail)
    } catch (defect) {
      fail(defect)
    }
  }
}

const ignore = () => {}

// ---------------------------------------------------------------------------------------------------------------------
// Errors
// ---------------------------------------------------------------------------------------------------------------------

/** The operating system says the same of a program that is not there and of a folder. */
const openingReasonOf = (
  cause: unknown,
  { command }: Endpoint.ExecEndpoint,
  cwd: string | undefined,
  name: string
): TransportError.Reason => {
  switch (codeOf(cause)) {
    case "ENOENT":
    case "ENOTDIR": {
      if (cwd !== undefined && !isFolder(cwd)) return new TransportError.NotFound({ what: `the folder ${cwd}` })
      const isThere = command.includes("/") && Fs.existsSync(Path.resolve(cwd ?? "", command))
      return new TransportError.NotFound({ what: isThere ? `the interpreter of ${command}` : command })
    }
    case "ENOEXEC":
      return new TransportError.Unsupported({ feature: `the format of ${command}` })
    case "E2BIG":
      return new TransportError.InvalidOption({
        field: "endpoint.args",
        expected: "short enough for the operating system, with the environment",
        actual: name
      })
    // A shortage of this machine, where it would be a full listener of a socket.
    case "EAGAIN":
      return new TransportError.Failed()
    default:
      return reasonOf(cause, { operation: "open", what: command })
  }
}

const isFolder = (path: string): boolean => Fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
