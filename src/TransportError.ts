/**
 * One error for every transport: `TransportError` says which operation failed, at which endpoint, and why.
 *
 * The `reason` is a small class for each situation, and the list is closed: a program can name every way in which a
 * connection ends. The native error, where there is one, stays in `cause`. The end of input is no error (`Cause.Done`).
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Option from "effect/Option"

/**
 * What was being done when it failed.
 *
 * @category models
 * @since 0.1.0
 */
export type Operation = "open" | "listen" | "accept" | "read" | "write" | "halfClose" | "close" | "upgrade" | "control"

/**
 * What became of the bytes of a write that did not succeed: `NotSent` promises that none of them left, so that the
 * write may be repeated; `Unknown` promises nothing.
 *
 * @category models
 * @since 0.1.0
 */
export type Delivery = "NotSent" | "Unknown"

/**
 * An option or argument is wrong. Raised before any effect: what it was given to is unharmed.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidOption extends Data.TaggedError("InvalidOption")<
  { readonly field: string; readonly expected: string; readonly actual: unknown }
> {
  override get message(): string {
    return `${this.field} must be ${this.expected}, and is ${print(this.actual)}`
  }
}

/**
 * No such path, device or program.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotFound extends Data.TaggedError("NotFound")<{ readonly what: string }> {
  override get message(): string {
    return `${this.what} does not exist`
  }
}

/**
 * The host name has no address.
 *
 * @category errors
 * @since 0.1.0
 */
export class NameNotFound extends Data.TaggedError("NameNotFound")<{ readonly host: string }> {
  override get message(): string {
    return `the host name ${this.host} has no address`
  }
}

/**
 * Nobody listens there, or the listener turned us away.
 *
 * @category errors
 * @since 0.1.0
 */
export class Refused extends Data.TaggedError("Refused")<{}> {
  override get message(): string {
    return "the connection was refused"
  }
}

/**
 * The network has no way there.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unreachable extends Data.TaggedError("Unreachable")<{}> {
  override get message(): string {
    return "the network has no way there"
  }
}

/**
 * The operating system does not allow it.
 *
 * @category errors
 * @since 0.1.0
 */
export class PermissionDenied extends Data.TaggedError("PermissionDenied")<{}> {
  override get message(): string {
    return "permission denied"
  }
}

/**
 * The address is taken, the device locked, or the reader leased to someone else.
 *
 * @category errors
 * @since 0.1.0
 */
export class Busy extends Data.TaggedError("Busy")<{ readonly what: "address" | "device" | "reader" | "consumer" }> {
  override get message(): string {
    return `the ${this.what} is in use`
  }
}

/**
 * A time limit passed; `phase` says which.
 *
 * @category errors
 * @since 0.1.0
 */
export class TimedOut extends Data.TaggedError("TimedOut")<
  { readonly phase: "lookup" | "connect" | "handshake" | "read" | "write" | "flush" | "idle" }
> {
  override get message(): string {
    return `the time limit for ${this.phase} passed`
  }
}

/**
 * The TLS peer was not accepted, or did not accept us.
 *
 * @category errors
 * @since 0.1.0
 */
export class TlsRejected extends Data.TaggedError("TlsRejected")<
  {
    readonly why:
      | "Untrusted"
      | "Expired"
      | "NameMismatch"
      | "PlaintextPeer"
      | "NoCommonProtocol"
      | "CertificateRequired"
      | "Other"
  }
> {
  override get message(): string {
    return `TLS was rejected (${this.why})`
  }
}

/**
 * A proxy on the way refused.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProxyRefused extends Data.TaggedError("ProxyRefused")<{ readonly status: string }> {
  override get message(): string {
    return `the proxy refused with ${this.status}`
  }
}

/**
 * Every address of a name failed; one error for each attempt, in the order in which they began.
 *
 * @category errors
 * @since 0.1.0
 */
export class AllAttemptsFailed
  extends Data.TaggedError("AllAttemptsFailed")<{ readonly attempts: NonEmptyReadonlyArray<TransportError> }>
{
  override get message(): string {
    return `every address failed (${this.attempts.map((attempt) => attempt.message).join("; ")})`
  }
}

/**
 * We ended it, and how.
 *
 * @category errors
 * @since 0.1.0
 */
export class Closed extends Data.TaggedError("Closed")<{ readonly by: "close" | "halfClose" | "abort" | "scope" }> {
  override get message(): string {
    return `it was ended here, by ${this.by}`
  }
}

/**
 * The peer or the medium broke it: reset, broken pipe, connection aborted. One class for every spelling (law 73).
 *
 * @category errors
 * @since 0.1.0
 */
export class Reset extends Data.TaggedError("Reset")<{}> {
  override get message(): string {
    return "the peer reset the connection"
  }
}

/**
 * The device is gone, or the process died.
 *
 * @category errors
 * @since 0.1.0
 */
export class Disconnected extends Data.TaggedError("Disconnected")<{ readonly detail: string }> {
  override get message(): string {
    return `disconnected (${this.detail})`
  }
}

/**
 * The bytes ended before the layer above was told of an end: TLS without close_notify, `readExactly` cut short.
 *
 * @category errors
 * @since 0.1.0
 */
export class Truncated extends Data.TaggedError("Truncated")<{ readonly missing: Option.Option<number> }> {
  override get message(): string {
    return Option.match(this.missing, {
      onNone: () => "the input was cut short",
      onSome: (bytes) => `the input ended ${bytes} bytes too early`
    })
  }
}

/**
 * This kind of connection, or this platform, cannot do it.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unsupported extends Data.TaggedError("Unsupported")<{ readonly feature: string }> {
  override get message(): string {
    return `${this.feature} is not supported here`
  }
}

/**
 * A limit that the caller set was passed: bytes lingering, a read that grew too long.
 *
 * @category errors
 * @since 0.1.0
 */
export class LimitExceeded extends Data.TaggedError("LimitExceeded")<{ readonly limit: string; readonly max: number }> {
  override get message(): string {
    return `${this.limit} passed its limit of ${this.max}`
  }
}

/**
 * Anything else; `cause` of the `TransportError` has the native error.
 *
 * @category errors
 * @since 0.1.0
 */
export class Failed extends Data.TaggedError("Failed")<{}> {
  override get message(): string {
    return "it failed"
  }
}

/**
 * Every situation that ends or refuses an operation. Closed: a new one is a change of design.
 *
 * @category models
 * @since 0.1.0
 */
export type Reason =
  | InvalidOption
  | NotFound
  | NameNotFound
  | Refused
  | Unreachable
  | PermissionDenied
  | Busy
  | TimedOut
  | TlsRejected
  | ProxyRefused
  | AllAttemptsFailed
  | Closed
  | Reset
  | Disconnected
  | Truncated
  | Unsupported
  | LimitExceeded
  | Failed

/**
 * The one error of a transport.
 *
 * **Details**
 *
 * `message` reads like a sentence: operation, endpoint, situation. `delivery` is there on a failed write.
 *
 * **Example** (Handling one situation)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { TransportError } from "effect-transport"
 *
 * const failing = Effect.fail(
 *   new TransportError.TransportError({
 *     operation: "read",
 *     endpoint: "tcp://127.0.0.1:7000",
 *     reason: new TransportError.Reset()
 *   })
 * )
 *
 * const handled = failing.pipe(
 *   Effect.catchReason("TransportError", "Reset", (_reason, error) => Effect.succeed(error.message))
 * )
 *
 * Effect.runSync(handled) // => "read tcp://127.0.0.1:7000: the peer reset the connection"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class TransportError extends Data.TaggedError("TransportError")<{
  readonly operation: Operation
  readonly endpoint: string
  readonly reason: Reason
  readonly delivery?: Delivery | undefined
  readonly cause?: unknown
}> {
  override get message(): string {
    const native = this.reason._tag === "Failed" && this.cause instanceof Error ? ` (${this.cause.message})` : ""
    return `${this.operation} ${this.endpoint}: ${this.reason.message}${native}`
  }
}

/**
 * The error of an operation at an endpoint, with what is known beside the reason.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  operation: Operation,
  endpoint: string,
  reason: Reason,
  beside?: { readonly delivery?: Delivery | undefined; readonly cause?: unknown }
): TransportError =>
  new TransportError({
    operation,
    endpoint,
    reason,
    ...(beside?.delivery !== undefined && { delivery: beside.delivery }),
    ...(beside?.cause !== undefined && { cause: beside.cause })
  })

/**
 * The refusal of an option or argument.
 *
 * @category constructors
 * @since 0.1.0
 */
export const invalidOption = (
  operation: Operation,
  endpoint: string,
  wrong: { readonly field: string; readonly expected: string; readonly actual: unknown },
  beside?: { readonly delivery?: Delivery | undefined }
): TransportError => make(operation, endpoint, new InvalidOption(wrong), beside)

/**
 * The annotation under which an interrupted write leaves its verdict: an interrupted fiber has no typed error to carry
 * it.
 *
 * @category services
 * @since 0.1.0
 */
export class DeliveryAnnotation extends Context.Service<DeliveryAnnotation, Delivery>()(
  "effect-transport/TransportError/DeliveryAnnotation"
) {}

/**
 * What became of the bytes of the write that ended with this cause: from the typed error, or from the annotation that
 * an interrupted write leaves. `None` when no write was under way.
 *
 * @category errors
 * @since 0.1.0
 */
export const delivery = (cause: Cause.Cause<unknown>): Option.Option<Delivery> => {
  for (const reason of cause.reasons) {
    if (Cause.isFailReason(reason) && reason.error instanceof TransportError && reason.error.delivery !== undefined) {
      return Option.some(reason.error.delivery)
    }
  }
  return Context.getOption(Cause.annotations(cause), DeliveryAnnotation)
}

const print = (value: unknown): string => {
  if (typeof value === "string") return JSON.stringify(value)
  if (typeof value === "object" && value !== null) return value.constructor?.name ?? "an object"
  return String(value)
}
