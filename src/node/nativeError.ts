/**
 * Names the errors of Node, libuv and the resolver in our words: one reason for each situation, whatever the operating
 * system calls it. What no reason fits, and what is a shortage of this machine, is `Failed`; the caller keeps the native
 * error as the cause.
 */
import * as Dns from "effect/net/Dns"
import * as NetAddress from "effect/net/NetAddress"
import * as Predicate from "effect/Predicate"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import {
  Busy,
  Failed,
  InvalidOption,
  NameNotFound,
  NotFound,
  type Operation,
  PermissionDenied,
  type Reason,
  Refused,
  Reset,
  TimedOut,
  Unreachable,
  Unsupported
} from "../TransportError.ts"

/**
 * What was being done when the error came.
 *
 * @category models
 * @since 0.1.0
 */
export interface ErrorContext {
  readonly operation: Operation
  /** The path, or host and port, as a person would write it. */
  readonly what: string
  /** The name that was looked up, where there was one. */
  readonly host?: string | undefined
}

/**
 * The reason that a native error stands for.
 *
 * **Details**
 *
 * The same code can mean two things. While a connection is opened, `ETIMEDOUT` is a time limit and `EHOSTUNREACH` a
 * missing route; on a connection that stood, both say that the medium broke it, and they are `Reset` as every other
 * spelling of that is (law 73): `TimedOut` is for limits that somebody set. A resolver that could not ask
 * (`EAI_AGAIN`) is `TimedOut` in `lookup`, since it gave up without an answer: the name may well exist.
 *
 * @category converting
 * @since 0.1.0
 */
export const reasonOf = (error: unknown, context: ErrorContext): Reason => {
  if (error instanceof Dns.DnsError) return ofDns(error, context)
  if (error instanceof NetAddress.NetAddressError) return unresolved(error.message, error.input, context)
  const code = codeOf(error)
  if (code === undefined) return new Failed()
  const reasons = isOpening(context.operation) ? opening : standing
  const reason = reasons.get(code) ?? always.get(code)
  return reason === undefined ? new Failed() : reason(context, error)
}

type Reasons = ReadonlyMap<string, (context: ErrorContext, error: unknown) => Reason>

const byCode = (reasons: { readonly [code: string]: (context: ErrorContext, error: unknown) => Reason }): Reasons =>
  new Map(Object.entries(reasons))

const refused = () => new Refused()
const reset = () => new Reset()
const unreachable = () => new Unreachable()
const denied = () => new PermissionDenied()
const notFound = ({ what }: ErrorContext) => new NotFound({ what })
const nameNotFound = ({ host, what }: ErrorContext) => new NameNotFound({ host: host ?? what })
const lookupTimedOut = () => new TimedOut({ phase: "lookup" })

// Node leaves the address on the error: a path or an IP address, with a port that may be missing or -1.
const addressOf = (error: unknown): string | undefined => stringAt(error, "address")

const invalid = (expected: string) => ({ what }: ErrorContext, error: unknown): Reason => {
  const address = addressOf(error)
  const field = address === undefined ? "endpoint" : Net.isIP(address) === 0 ? "endpoint.path" : "endpoint.host"
  return new InvalidOption({ field, expected, actual: address ?? what })
}

const notOurs = (context: ErrorContext, error: unknown): Reason => {
  if (context.operation === "listen") return invalid("an address of this machine")(context, error)
  // A client that asks for a port or an address of its own binds before it connects.
  return stringAt(error, "syscall") === "bind"
    ? new InvalidOption({ field: "localAddress", expected: "an address of this machine", actual: addressOf(error) })
    : unreachable()
}

// libuv calls it EACCES when the folder of a socket to listen on is missing, to agree with Windows.
const deniedOrMissing = (context: ErrorContext, error: unknown): Reason => {
  const address = addressOf(error)
  if (context.operation !== "listen" || address === undefined || Net.isIP(address) !== 0) return denied()
  const folder = Path.dirname(address)
  return isMissing(folder) ? new NotFound({ what: folder }) : denied()
}

const isMissing = (path: string): boolean => {
  try {
    return Fs.statSync(path, { throwIfNoEntry: false }) === undefined
  } catch {
    return false
  }
}

/** What means the same at any time. */
const always: Reasons = byCode({
  ENOTFOUND: nameNotFound,
  ENODATA: nameNotFound,
  EAI_NONAME: nameNotFound,
  EAI_NODATA: nameNotFound,
  EAI_AGAIN: lookupTimedOut,
  EACCES: deniedOrMissing,
  EPERM: denied,
  EADDRINUSE: () => new Busy({ what: "address" }),
  EBUSY: () => new Busy({ what: "device" }),
  ENOENT: notFound,
  ENOTDIR: notFound,
  ENXIO: notFound,
  ENODEV: notFound,
  ECONNRESET: reset,
  EPIPE: reset,
  ECONNABORTED: reset,
  ECANCELED: reset,
  ENOTCONN: reset,
  ESHUTDOWN: reset,
  EOF: reset,
  ERR_STREAM_DESTROYED: reset,
  ERR_STREAM_PREMATURE_CLOSE: reset,
  ERR_SOCKET_CLOSED: reset,
  ERR_SOCKET_CLOSED_BEFORE_CONNECTION: reset
})

/** What it means while a connection or a listener is opened. */
const opening: Reasons = byCode({
  ECONNREFUSED: refused,
  // Nobody listens at this path: it is no socket, one of another type, or its listener has no room (Linux's EAGAIN).
  ENOTSOCK: refused,
  EPROTOTYPE: refused,
  EAGAIN: refused,
  ETIMEDOUT: () => new TimedOut({ phase: "connect" }),
  ENETUNREACH: unreachable,
  EHOSTUNREACH: unreachable,
  ENETDOWN: unreachable,
  EHOSTDOWN: unreachable,
  EADDRNOTAVAIL: notOurs,
  EAFNOSUPPORT: () => new Unsupported({ feature: "this family of addresses" }),
  EINVAL: invalid("an address that the operating system takes"),
  ENAMETOOLONG: invalid("short enough for the operating system")
})

/** What it means on a connection that stood. */
const standing: Reasons = byCode({
  ETIMEDOUT: reset,
  ENETRESET: reset,
  ENETUNREACH: reset,
  EHOSTUNREACH: reset,
  ENETDOWN: reset,
  EHOSTDOWN: reset
})

const ofDns = (error: Dns.DnsError, context: ErrorContext): Reason => {
  switch (error.reason) {
    case "NotFound":
      return new NameNotFound({ host: context.host ?? error.hostname })
    case "Timeout":
    case "Temporary":
      return lookupTimedOut()
    case "BadName":
      return unresolved("it is no valid host name", error.hostname, context)
    // `Unknown` is a code that Effect has no word for; we may have one.
    case "Unknown":
      return reasonOf(error.cause, { ...context, host: context.host ?? error.hostname })
    default:
      return new Failed()
  }
}

const unresolved = (detail: string, input: unknown, { host }: ErrorContext): Reason =>
  new InvalidOption({
    field: "endpoint.host",
    expected: `a host with an address to connect to (${detail})`,
    actual: host ?? input
  })

const isOpening = (operation: Operation): boolean => operation === "open" || operation === "listen"

/** The code of a native error. */
export const codeOf = (error: unknown): string | undefined => stringAt(error, "code")

const stringAt = (error: unknown, key: "code" | "syscall" | "address"): string | undefined =>
  Predicate.hasProperty(error, key) && typeof error[key] === "string" ? error[key] : undefined
