/**
 * One live connection of bytes, whatever it is made of, and the service under which a program finds it.
 *
 * What a transport promises is written down as laws, and `effect-transport/testing` proves them. How one makes a
 * transport of a medium of one's own is told in `Wire`.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import type * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import type { Connection, HalfCloseable, Reader } from "./Connection.ts"
import * as Connections from "./Connection.ts"
import * as Endpoint from "./Endpoint.ts"
import { concat } from "./internal/bytes.ts"
import { durationOf, isCount } from "./internal/check.ts"
import { type Outcome, Reaction } from "./internal/reaction.ts"
import { type Underneath, underneath } from "./internal/underneath.ts"
import { waitsOn } from "./internal/waiting.ts"
import type { Machine } from "./Machine.ts"
import { makeAlarm } from "./machine/alarm.ts"
import { drive } from "./machine/driving.ts"
import { Network } from "./Network.ts"
import { withReader } from "./once.ts"
import * as TransportError from "./TransportError.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What is known of a connection once it is open.
 *
 * @category models
 * @since 0.1.0
 */
export interface Info {
  /** Numbered per network, so that simulated runs agree. */
  readonly id: number
  readonly endpoint: Endpoint.Endpoint
  /** Absent where the medium has no addresses. */
  readonly local: Option.Option<NetAddress.SocketAddress>
  readonly peer: Option.Option<NetAddress.SocketAddress>
}

/**
 * A live, ordered, reliable, two-ended connection of bytes.
 *
 * **Details**
 *
 * Chunk borders carry no meaning. A chunk that was pulled belongs to the receiver for good. A write of up to 16 KiB is
 * copied and complete at once; a larger one is sent by reference and complete when the operating system took all of it,
 * so until then, and after one that failed or was interrupted, the caller leaves its buffer alone.
 *
 * @category models
 * @since 0.1.0
 */
export interface Transport extends Connection<Uint8Array, Uint8Array, TransportError.TransportError> {
  readonly info: Info
  /** Waits until everything written before is with the operating system. Fails with what ended the connection. */
  readonly flush: Effect.Effect<void, TransportError.TransportError>
  /** No input is delivered while the scope is open; several holders count. PEP 3153's `pause` holds both. */
  readonly pausedReading: Effect.Effect<void, never, Scope.Scope>
  /** Nothing is sent while the scope is open; writes are taken up to the marks. `close` overrides it. */
  readonly pausedWriting: Effect.Effect<void, never, Scope.Scope>
  /** Holds both directions, until `resume`. Repeating it is harmless. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  /** Bytes held in user space. Reading is bounded by the read mark, writing by the high-water mark plus one write. */
  readonly buffered: Effect.Effect<{ readonly reading: number; readonly writing: number }>
}

/**
 * A transport whose writing direction can end alone.
 *
 * @category models
 * @since 0.1.0
 */
export type HalfCloseableTransport = HalfCloseable<Transport>

/**
 * Bounds and rules of one transport. All sizes are bytes.
 *
 * @category models
 * @since 0.1.0
 */
export interface TransportOptions {
  /** Above this many queued bytes writers wait. Default 65536: enough to keep a fast link busy, little per connection. */
  readonly highWaterMark?: number | undefined
  /** At or below this many they go on. Default a quarter of the high mark, so that they wake to room for more than one. */
  readonly lowWaterMark?: number | undefined
  /** Reading stops at this many bytes that nobody has pulled, and goes on at half of it. Default 65536. */
  readonly readMark?: number | undefined
  /** How long `close` may flush before it aborts. Default 5 seconds. */
  readonly closeTimeout?: Duration.Input | undefined
  /**
   * How long, and for how many bytes, `close` then discards input before it lets go: to let go with input unread would
   * cost the peer the end of our output (RFC 9112, section 9.6). Default 1 second and 262144 bytes.
   */
  readonly linger?:
    | { readonly duration?: Duration.Input | undefined; readonly bytesMax?: number | undefined }
    | undefined
  /** Whether the peer's end leaves our direction open (default), or closes it once it is flushed. */
  readonly onPeerEnd?: "keep" | "close" | undefined
  /**
   * For TLS: whether input that ends without close_notify fails with `Truncated` (default), since anybody on the way could
   * have cut it short, or ends as any other. What has arrived is delivered first.
   */
  readonly truncation?: "fail" | "ignore" | undefined
  /** What the end of the owning scope does. Default: success closes, failure and interruption abort. */
  readonly onScopeExit?: ((exit: Exit.Exit<unknown, unknown>) => "close" | "abort") | undefined
}

// ---------------------------------------------------------------------------------------------------------------------
// Services
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What stands in `R` for `Transport`. The two services are told apart by name: were they the shapes themselves,
 * providing the one would count as providing the other.
 *
 * @category services
 * @since 0.1.0
 */
export interface TransportService {
  readonly _: "effect-transport/Transport"
}

/**
 * What stands in `R` for `HalfCloseableTransport`.
 *
 * @category services
 * @since 0.1.0
 */
export interface HalfCloseableTransportService {
  readonly _: "effect-transport/Transport/HalfCloseable"
}

/**
 * The connection that this program talks over.
 *
 * @category services
 * @since 0.1.0
 */
export const Transport: Context.Service<TransportService, Transport> = Context.Service<TransportService, Transport>(
  "effect-transport/Transport"
)

/**
 * The same connection, where its kind can half-close: a program that asks for it does not compile over a serial port.
 *
 * @category services
 * @since 0.1.0
 */
export const HalfCloseableTransport: Context.Service<HalfCloseableTransportService, HalfCloseableTransport> = Context
  .Service<HalfCloseableTransportService, HalfCloseableTransport>("effect-transport/Transport/HalfCloseable")

/**
 * The transport that an endpoint gives: one that can half-close, where its kind can.
 *
 * @category models
 * @since 0.1.0
 */
export type Of<E> = [Endpoint.KindOf<E>] extends [Endpoint.HalfCloseKind] ? HalfCloseableTransport : Transport

/**
 * The services that an endpoint gives.
 *
 * @category services
 * @since 0.1.0
 */
export type Services<E> = [Endpoint.KindOf<E>] extends [Endpoint.HalfCloseKind]
  ? TransportService | HalfCloseableTransportService
  : TransportService

/**
 * Connects to the endpoint over the `Network` at hand and provides the connection.
 *
 * **Details**
 *
 * The layer's scope decides the end: it closes when the program succeeds and aborts when it fails or is interrupted
 * (`onScopeExit` changes the rule). A `ManagedRuntime` disposes with success, and a layer used in several places is one
 * connection that ends with its last user: use `Layer.fresh` for two, and `orAbort` around a conversation whose failure
 * is caught before the layer's scope sees it.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const E extends Endpoint.Endpoint | string>(
  endpoint: Endpoint.Check<E>,
  options?: TransportOptions
): Layer.Layer<Services<E>, TransportError.TransportError, Network> =>
  layerFrom(Effect.flatMap(Network, (network) => network.connect(endpoint, options))) as Layer.Layer<
    Services<E>,
    TransportError.TransportError,
    Network
  >

/**
 * Provides an open connection under the services that it can serve.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFrom = <T extends Transport, E, R>(
  connect: Effect.Effect<T, E, R>
): Layer.Layer<
  T extends HalfCloseableTransport ? TransportService | HalfCloseableTransportService : TransportService,
  E,
  Exclude<R, Scope.Scope>
> =>
  Layer.effectContext(Effect.map(connect, (transport) => {
    const context = Context.make(Transport, transport)
    return isHalfCloseable(transport) ? Context.add(context, HalfCloseableTransport, transport) : context
  })) as Layer.Layer<any, E, Exclude<R, Scope.Scope>>

// ---------------------------------------------------------------------------------------------------------------------
// Guards
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Whether this transport can half-close: the refinement for an endpoint that is known only at run time.
 *
 * @category guards
 * @since 0.1.0
 */
export const isHalfCloseable = (self: Transport): self is HalfCloseableTransport => Connections.isHalfCloseable(self)

// ---------------------------------------------------------------------------------------------------------------------
// Combinators
// ---------------------------------------------------------------------------------------------------------------------

/**
 * At most `bytesMax` bytes, and at least one: whatever is there, as soon as something is there. The rest stays for the
 * next reader.
 *
 * @category combinators
 * @since 0.1.0
 */
export const read: {
  (bytesMax: number): (self: Transport) => Pull.Pull<Uint8Array, TransportError.TransportError>
  (self: Transport, bytesMax: number): Pull.Pull<Uint8Array, TransportError.TransportError>
} = dual(
  2,
  (self: Transport, bytesMax: number): Pull.Pull<Uint8Array, TransportError.TransportError> =>
    Effect.suspend(() =>
      isCount(bytesMax, 1)
        ? withReader(self, (reader) =>
          Effect.flatMap(reader.pull, (chunks) => {
            const first = chunks[0]
            const rest = first.length > bytesMax
              ? [first.subarray(bytesMax), ...chunks.slice(1)]
              : chunks.slice(1)
            return Effect.as(
              rest.length > 0 ? reader.unread(rest) : Effect.void,
              first.length > bytesMax ? first.subarray(0, bytesMax) : first
            )
          }))
        : refuse(self, "read", "bytesMax", "a positive integer", bytesMax)
    )
)

/**
 * Exactly `bytes` bytes in one piece.
 *
 * **Details**
 *
 * Where the input ends too early it fails with `Truncated`, which says how many are missing. Then, and when it is
 * interrupted, what had arrived goes back in front of the input. It holds `bytes` bytes at the most.
 *
 * @category combinators
 * @since 0.1.0
 */
export const readExactly: {
  (bytes: number): (self: Transport) => Effect.Effect<Uint8Array, TransportError.TransportError>
  (self: Transport, bytes: number): Effect.Effect<Uint8Array, TransportError.TransportError>
} = dual(
  2,
  (self: Transport, bytes: number): Effect.Effect<Uint8Array, TransportError.TransportError> =>
    Effect.suspend(() =>
      isCount(bytes, 0)
        ? gather(
          self,
          bytes,
          (all, reader) =>
            all.length === bytes
              ? Effect.succeed(all)
              : Effect.as(reader.unread([all.subarray(bytes)]), all.subarray(0, bytes)),
          (all) => fail(self, "read", new TransportError.Truncated({ missing: Option.some(bytes - all.length) }))
        )
        : refuse(self, "read", "bytes", "a non-negative integer", bytes)
    )
)

/**
 * Everything until the peer's end, in one piece.
 *
 * **Details**
 *
 * More than `bytesMax` bytes (default 16 MiB) fail with `LimitExceeded`. Then, and when it is interrupted, what had
 * arrived goes back in front of the input.
 *
 * @category combinators
 * @since 0.1.0
 */
export const readUntilEnd = (
  self: Transport,
  options?: { readonly bytesMax?: number | undefined }
): Effect.Effect<Uint8Array, TransportError.TransportError> => {
  const bytesMax = options?.bytesMax ?? 16_777_216
  return Effect.suspend(() =>
    isCount(bytesMax, 0)
      ? gather(
        self,
        bytesMax + 1,
        () => fail(self, "read", new TransportError.LimitExceeded({ limit: "readUntilEnd", max: bytesMax })),
        Effect.succeed
      )
      : refuse(self, "read", "bytesMax", "a non-negative integer", bytesMax)
  )
}

/**
 * A write that has to be done within a time.
 *
 * **Details**
 *
 * Fails with `TimedOut` in phase `write`; its `delivery` says whether the bytes may be written again: `NotSent`, or
 * `Unknown` when they were on their way, in which case they still go out whole.
 *
 * @category combinators
 * @since 0.1.0
 */
export const writeWithin: {
  (out: Uint8Array, duration: Duration.Input): (self: Transport) => Effect.Effect<void, TransportError.TransportError>
  (self: Transport, out: Uint8Array, duration: Duration.Input): Effect.Effect<void, TransportError.TransportError>
} = dual(
  3,
  (self: Transport, out: Uint8Array, duration: Duration.Input): Effect.Effect<void, TransportError.TransportError> =>
    Effect.suspend(() => {
      const limit = durationOf(duration)
      if (limit === undefined) return refuse(self, "write", "duration", "a finite duration", duration)
      let verdict: TransportError.Delivery = "NotSent"
      const timedOut = Effect.suspend(() =>
        fail(self, "write", new TransportError.TimedOut({ phase: "write" }), verdict)
      )
      if (Duration.isZero(limit)) return timedOut
      return Effect.suspend(() => {
        // Until it says better: interrupted in its last step it is done, and leaves no verdict.
        verdict = "Unknown"
        return self.write(out)
      }).pipe(
        Effect.onExit((exit) =>
          Effect.sync(() => {
            if (Exit.isFailure(exit)) verdict = Option.getOrElse(delivery(exit.cause), () => verdict)
          })
        ),
        Effect.timeoutOrElse({ duration: limit, orElse: () => timedOut })
      )
    })
)

/**
 * What became of the bytes of the write that ended with this cause: `NotSent`, `Unknown`, or none when no write was
 * under way. An interrupted fiber has no typed error, so the verdict rides on its cause.
 *
 * @category combinators
 * @since 0.1.0
 */
export const delivery: (cause: Cause.Cause<unknown>) => Option.Option<TransportError.Delivery> = TransportError.delivery

/**
 * Aborts the connection if the conversation fails or is interrupted, also where that is caught before the owning scope
 * sees it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const orAbort = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | TransportService> =>
  Effect.flatMap(
    Transport,
    (transport) => Effect.onExit(self, (exit) => Exit.isSuccess(exit) ? Effect.void : transport.abortWith(exit.cause))
  )

/**
 * Runs a machine inside the read callback, with no fiber for a message: bytes go in where they arrive, what the machine
 * sends leaves in the same turn, and events go to `onEvent`.
 *
 * **Details**
 *
 * Holds the reader until the peer's end, then half-closes nothing: the caller decides. The bytes that the machine is
 * given are lent for the call: their memory is used again for what arrives next. While what it sent does not fit below
 * the high-water mark, no more input is taken, so what is queued never exceeds the mark plus the answer to one chunk. An
 * error of the machine ends it with that error; what it had sent still goes out, and the chunks that it has not seen stay
 * for the next reader, also when interrupted. Where the machine or `onEvent` throws, it ends with that as a defect. A
 * machine that is due is woken by Effect's clock; while what it sent does not fit, that waits, too.
 *
 * @category combinators
 * @since 0.1.0
 */
export const react = <Event, E>(
  self: Transport,
  machine: Machine<never, Event, E>,
  onEvent?: (event: Event) => void
): Effect.Effect<void, TransportError.TransportError | E> =>
  Effect.suspend(() => {
    const under = underneath<TransportError.TransportError>(self)
    return under === undefined
      ? drive(self, machine, (event) => onEvent?.(event))
      : reactInside(self, under, machine, onEvent)
  })

/** In the read callback. Holding the reader keeps everybody else out. */
const reactInside = <Event, E>(
  self: Transport,
  under: Underneath<TransportError.TransportError>,
  machine: Machine<never, Event, E>,
  onEvent: ((event: Event) => void) | undefined
): Effect.Effect<void, TransportError.TransportError | E> => {
  const settled = (outcome: Outcome<E>): Reacting<E> => {
    switch (outcome._tag) {
      case "Ended":
        return Effect.void
      case "Failed":
        return Effect.fail(outcome.error)
      case "Threw":
        return Effect.die(outcome.defect)
      case "Faulted":
        return Effect.suspend(() => Effect.fail(under.errorOf(outcome.by, outcome.fault, outcome.delivery)))
    }
  }
  return Effect.scoped(Effect.flatMap(
    Effect.andThen(self.reader, makeAlarm),
    (alarm) => {
      const reacting = Effect.callback<void, TransportError.TransportError | E>((resume) => {
        const reaction = new Reaction<Event, E>(
          under.duplex,
          machine,
          (event) => onEvent?.(event),
          alarm.ringing(() => reaction.tick()),
          (outcome) => resume(settled(outcome))
        )
        reaction.start()
        return Effect.sync(() => reaction.stop())
      })
      return waitsOn(
        reacting,
        () => `input for a machine, from ${Endpoint.format(self.info.endpoint)} (transport ${self.info.id})`
      )
    }
  ))
}

type Reacting<E> = Effect.Effect<void, TransportError.TransportError | E>

/**
 * Pulls until `bytes` bytes are there, or until the end. Unless `onFull` or `onEnd` succeeds, what was pulled goes back,
 * as always with `withReader`.
 */
const gather = (
  self: Transport,
  bytes: number,
  onFull: (all: Uint8Array, reader: Reader<Uint8Array, TransportError.TransportError>) => Gathered,
  onEnd: (all: Uint8Array) => Gathered
): Gathered =>
  withReader(self, (reader) => {
    const chunks: Array<Uint8Array> = []
    let have = 0
    const step: Gathered = Effect.suspend(() =>
      have >= bytes ? onFull(concat(chunks), reader) : Pull.matchEffect(reader.pull, {
        onSuccess: (more) => {
          for (const chunk of more) {
            chunks.push(chunk)
            have += chunk.length
          }
          return step
        },
        onDone: () => onEnd(concat(chunks)),
        onFailure: Effect.failCause
      })
    )
    return step
  })

type Gathered = Effect.Effect<Uint8Array, TransportError.TransportError>

type Fail = Effect.Effect<never, TransportError.TransportError>

const fail = (
  self: Transport,
  operation: TransportError.Operation,
  reason: TransportError.Reason,
  delivery?: TransportError.Delivery
): Fail => Effect.fail(TransportError.make(operation, Endpoint.format(self.info.endpoint), reason, { delivery }))

const refuse = (
  self: Transport,
  operation: TransportError.Operation,
  field: string,
  expected: string,
  actual: unknown
): Fail =>
  Effect.fail(TransportError.invalidOption(operation, Endpoint.format(self.info.endpoint), { field, expected, actual }))
