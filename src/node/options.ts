/**
 * What can be chosen for connections and listeners of this machine, and the check of it.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Net from "node:net"
import { connectTimeoutOf } from "../connectTimeout.ts"
import { durationOf, isCount } from "../internal/check.ts"
import * as Transport from "../Transport.ts"
import * as TransportError from "../TransportError.ts"
import * as Wire from "../Wire.ts"

/**
 * What can be chosen for a connection or listener of this machine, beside `TransportOptions`.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodeOptions extends Transport.TransportOptions {
  /** Send small segments at once (TCP_NODELAY). Default true: writes of one turn leave as one segment already. */
  readonly noDelay?: boolean | undefined
  /** Probe a silent TCP peer after so long, by the kernel; at least one second. Default off, as the kernel's. */
  readonly keepAlive?: Duration.Input | undefined
  /** How long `connect` may take, the lookup of the name included. Default 30 seconds. */
  readonly connectTimeout?: Duration.Input | undefined
  /** The local address to connect from. */
  readonly localAddress?: string | undefined
  /** How many connections may wait to be accepted, in the kernel and here. Default 128; what comes beyond is reset. */
  readonly backlog?: number | undefined
  /** Let several processes listen on one port (SO_REUSEPORT). Default false. */
  readonly reusePort?: boolean | undefined
  /** Whether a listener on an IPv6 address takes IPv6 alone. Default false: `[::]` is dual-stack. */
  readonly ipv6Only?: boolean | undefined
  /** Permissions of the file of a listening Unix socket, such as 0o600. Default: what the process mask leaves. */
  readonly mode?: number | undefined
  /** For programs (`exec:`). */
  readonly child?: ChildOptions | undefined
}

/**
 * How a program is started, what becomes of what it says beside its output, and how it is ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChildOptions {
  /** The folder that it runs in. Default ours. */
  readonly cwd?: string | undefined
  /** Variables of its environment beside ours; an undefined one is taken out. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /**
   * What becomes of its standard error, on which it never blocks because of us. `"inherit"` (default): it goes where ours
   * does, as with every program that is started from a shell. `"ignore"`: nowhere. `"keep"`: the last 64 KiB are kept. As
   * `"keep"`, `"log"` besides logs each line (cut after 4096 characters), and a function is called with each piece as it
   * comes; one that throws or rejects is called no more, and its failure is logged as an error.
   */
  readonly stderr?: "inherit" | "ignore" | "keep" | "log" | ((chunk: Uint8Array) => void) | undefined
  /** How long it may take to end once its input is closed, before SIGTERM. Default 2 seconds, as MCP's hosts do. */
  readonly endTimeout?: Duration.Input | undefined
  /** How long it may take to end after SIGTERM, before SIGKILL. Default 2 seconds. */
  readonly killTimeout?: Duration.Input | undefined
  /**
   * How long the end of its output and its exit wait for each other. Default 1 second: they come together, unless a program
   * closes its output early, or has left it to another that still runs.
   */
  readonly exitGrace?: Duration.Input | undefined
  /**
   * Whether a program that ends with a status other than 0, or by a signal, breaks the connection with `Disconnected`
   * (default), since its output may be only the half of it, or ends it as any other. All of its output comes first.
   */
  readonly exitStatus?: "fail" | "ignore" | undefined
}

/** `ChildOptions`, checked and complete. */
export interface ResolvedChildOptions {
  readonly cwd: string | undefined
  readonly env: Readonly<Record<string, string | undefined>> | undefined
  readonly stderr: NonNullable<ChildOptions["stderr"]>
  readonly endTimeout: Duration.Duration
  readonly killTimeout: Duration.Duration
  readonly exitGrace: Duration.Duration
  readonly exitStatus: "fail" | "ignore"
}

/** `NodeOptions`, checked and complete; those of the transport in a part of their own. */
export interface ResolvedNodeOptions {
  readonly transport: Wire.ResolvedOptions
  readonly noDelay: boolean
  readonly keepAlive: Duration.Duration | undefined
  readonly connectTimeout: Duration.Duration
  readonly localAddress: string | undefined
  readonly backlog: number
  readonly reusePort: boolean
  readonly ipv6Only: boolean
  readonly mode: number | undefined
  readonly child: ResolvedChildOptions
}

export const resolveNodeOptions = Effect.fnUntraced(function*(
  given: NodeOptions,
  failure: { readonly operation: TransportError.Operation; readonly endpoint: string }
) {
  const transport = yield* Wire.resolveOptions(given, failure)
  const refuse = (field: string, expected: string, actual: unknown) =>
    Effect.fail(TransportError.invalidOption(failure.operation, failure.endpoint, { field, expected, actual }))
  for (const field of ["noDelay", "reusePort", "ipv6Only"] as const) {
    const value = given[field]
    if (value !== undefined && typeof value !== "boolean") return yield* refuse(field, "a boolean", value)
  }
  const backlog = given.backlog ?? 128
  if (!isCount(backlog, 1)) return yield* refuse("backlog", "a positive integer", backlog)
  if (given.mode !== undefined && !(isCount(given.mode, 0) && given.mode <= 0o777)) {
    return yield* refuse("mode", "permissions from 0 to 0o777", given.mode)
  }
  if (given.localAddress !== undefined && Net.isIP(given.localAddress) === 0) {
    return yield* refuse("localAddress", "an IP address", given.localAddress)
  }
  const connectTimeout = yield* connectTimeoutOf(given.connectTimeout, failure)
  const keepAlive = given.keepAlive === undefined ? undefined : durationOf(given.keepAlive)
  if (given.keepAlive !== undefined && (keepAlive === undefined || Duration.toMillis(keepAlive) < 1000)) {
    return yield* refuse("keepAlive", "a duration of at least one second", given.keepAlive)
  }
  const resolved: ResolvedNodeOptions = {
    transport,
    noDelay: given.noDelay ?? true,
    keepAlive,
    connectTimeout,
    localAddress: given.localAddress,
    backlog,
    reusePort: given.reusePort ?? false,
    ipv6Only: given.ipv6Only ?? false,
    mode: given.mode,
    child: yield* resolveChildOptions(given.child ?? {}, refuse)
  }
  return resolved
})

const childDefaults = { endTimeout: "2 seconds", killTimeout: "2 seconds", exitGrace: "1 second" } as const

const stderrs: ReadonlyArray<unknown> = ["inherit", "ignore", "keep", "log"]

const resolveChildOptions = Effect.fnUntraced(function*(
  given: ChildOptions,
  refuse: (field: string, expected: string, actual: unknown) => Effect.Effect<never, TransportError.TransportError>
) {
  if (typeof given !== "object" || given === null) return yield* refuse("child", "an object", given)
  const { cwd, env, exitStatus = "fail", stderr = "inherit" } = given
  if (cwd !== undefined && !isWord(cwd)) return yield* refuse("child.cwd", "a path without NUL", cwd)
  if (env !== undefined && (typeof env !== "object" || env === null)) {
    return yield* refuse("child.env", "an object", env)
  }
  for (const [name, value] of Object.entries(env ?? {})) {
    if (!isWord(name) || name === "" || name.includes("=")) {
      return yield* refuse("child.env", "an object whose keys are names of variables", name)
    }
    if (value !== undefined && !isWord(value)) return yield* refuse(`child.env.${name}`, "a string without NUL", value)
  }
  if (!stderrs.includes(stderr) && typeof stderr !== "function") {
    return yield* refuse("child.stderr", `one of ${stderrs.join(", ")}, or a function`, stderr)
  }
  if (exitStatus !== "fail" && exitStatus !== "ignore") {
    return yield* refuse("child.exitStatus", "\"fail\" or \"ignore\"", exitStatus)
  }
  const durationFor = (field: keyof typeof childDefaults) => {
    const duration = durationOf(given[field] ?? childDefaults[field])
    return duration === undefined
      ? refuse(`child.${field}`, "a finite duration", given[field])
      : Effect.succeed(duration)
  }
  const endTimeout = yield* durationFor("endTimeout")
  const killTimeout = yield* durationFor("killTimeout")
  const exitGrace = yield* durationFor("exitGrace")
  return { cwd, env, stderr, endTimeout, killTimeout, exitGrace, exitStatus } satisfies ResolvedChildOptions
})

/** What reaches a program as it is. */
const isWord = (value: unknown): boolean => typeof value === "string" && !value.includes("\0")
