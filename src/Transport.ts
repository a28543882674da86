/**
 * One live connection of bytes, whatever it is made of, and the service under which a program finds it.
 *
 * `fromWire` makes a transport of any medium: the medium says how bytes move, and everything else, from flow control to
 * the order of an end, is the same for all transports. What a transport promises is written down as laws, and
 * `effect-transport/testing` proves them.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import type * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import type { Connection, HalfCloseable, Reader } from "./Connection.ts"
import * as Connections from "./Connection.ts"
import * as Endpoint from "./Endpoint.ts"
import * as duplex from "./internal/duplex.ts"
import type { Machine, MachineOut } from "./Machine.ts"
import { Network } from "./Network.ts"
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
  /** Reading stops at this many bytes that nobody has pulled. Default 65536. */
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
  /** What the end of the owning scope does. Default: success closes, failure and interruption abort. */
  readonly onScopeExit?: ((exit: Exit.Exit<unknown, unknown>) => "close" | "abort") | undefined
}

/**
 * `TransportOptions`, checked and complete.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResolvedOptions {
  readonly highWaterMark: number
  readonly lowWaterMark: number
  readonly readMark: number
  readonly closeTimeout: Duration.Duration
  readonly lingerDuration: Duration.Duration
  readonly lingerBytesMax: number
  readonly onPeerEnd: "keep" | "close"
  readonly onScopeExit: (exit: Exit.Exit<unknown, unknown>) => "close" | "abort"
}

/**
 * A medium, for `fromWire`: eight things that a connection needs from what is below it.
 *
 * @category models
 * @since 0.1.0
 */
export type Wire = duplex.Wire

/**
 * What a medium reports to the connection above it.
 *
 * @category models
 * @since 0.1.0
 */
export type Port = duplex.Port

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
        ? Effect.scoped(Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(self.reader, (reader) =>
            Effect.flatMap(restore(reader.pull), (chunks) => {
              const first = chunks[0]
              const rest = first.length > bytesMax
                ? [first.subarray(bytesMax), ...chunks.slice(1)]
                : chunks.slice(1)
              return Effect.as(
                rest.length > 0 ? reader.unread(rest) : Effect.void,
                first.length > bytesMax ? first.subarray(0, bytesMax) : first
              )
            }))
        ))
        : invalid(self, "read", "bytesMax", "a positive integer", bytesMax)
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
        : invalid(self, "read", "bytes", "a non-negative integer", bytes)
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
      : invalid(self, "read", "bytesMax", "a non-negative integer", bytesMax)
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
      const limit = toDuration(duration)
      if (limit === undefined) return invalid(self, "write", "duration", "a duration", duration)
      let verdict: TransportError.Delivery = "NotSent"
      const timedOut = Effect.suspend(() =>
        fail(self, "write", new TransportError.TimedOut({ phase: "write" }), verdict)
      )
      if (Duration.isZero(limit)) return timedOut
      return self.write(out).pipe(
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
 * Holds the reader until the peer's end, then half-closes nothing: the caller decides. While more than the high-water
 * mark is queued, no more input is taken. An error of the machine ends it with that error.
 *
 * @category combinators
 * @since 0.1.0
 */
export const react = <Event, E>(
  self: Transport,
  machine: Machine<never, Event, E>,
  onEvent?: (event: Event) => void
): Effect.Effect<void, TransportError.TransportError | E> =>
  Connections.forEach(self, (batch) =>
    Effect.suspend(() => {
      const sent: Array<Uint8Array> = []
      const out: MachineOut<Event> = { bytes: (bytes) => sent.push(bytes), event: (event) => onEvent?.(event) }
      for (const chunk of batch) {
        const error = machine.receive(chunk, out)
        if (error !== undefined) return Effect.andThen(self.writeAll(sent), Effect.fail(error))
      }
      return sent.length > 0 ? self.writeAll(sent) : Effect.void
    })).pipe(
      Effect.andThen(Effect.suspend(() => {
        const sent: Array<Uint8Array> = []
        const error = machine.end({ bytes: (bytes) => sent.push(bytes), event: (event) => onEvent?.(event) })
        const writing = sent.length > 0 ? self.writeAll(sent) : Effect.void
        return error === undefined ? writing : Effect.andThen(writing, Effect.fail(error))
      }))
    )

// ---------------------------------------------------------------------------------------------------------------------
// Constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Checks options before anything is opened, and completes them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const resolveOptions = (
  options: TransportOptions | undefined,
  failure: { readonly operation: TransportError.Operation; readonly endpoint: string }
): Effect.Effect<ResolvedOptions, TransportError.TransportError> => {
  const refuse = (field: string, expected: string, actual: unknown) =>
    Effect.fail(
      new TransportError.TransportError({
        ...failure,
        reason: new TransportError.InvalidOption({ field, expected, actual })
      })
    )
  const highWaterMark = options?.highWaterMark ?? 65_536
  const lowWaterMark = options?.lowWaterMark ?? Math.floor(highWaterMark / 4)
  const readMark = options?.readMark ?? 65_536
  const lingerBytesMax = options?.linger?.bytesMax ?? 262_144
  for (
    const [field, bytes] of Object.entries({ highWaterMark, lowWaterMark, readMark, "linger.bytesMax": lingerBytesMax })
  ) {
    if (!isCount(bytes, 0)) return refuse(field, "a non-negative integer", bytes)
  }
  if (lowWaterMark > highWaterMark) {
    return refuse("lowWaterMark", `at most highWaterMark (${highWaterMark})`, lowWaterMark)
  }
  const closeTimeout = toDuration(options?.closeTimeout ?? "5 seconds")
  if (closeTimeout === undefined) return refuse("closeTimeout", "a duration", options?.closeTimeout)
  if (options?.linger !== undefined && (typeof options.linger !== "object" || options.linger === null)) {
    return refuse("linger", "an object", options.linger)
  }
  const lingerDuration = toDuration(options?.linger?.duration ?? "1 second")
  if (lingerDuration === undefined) return refuse("linger.duration", "a duration", options?.linger?.duration)
  const onPeerEnd = options?.onPeerEnd ?? "keep"
  if (onPeerEnd !== "keep" && onPeerEnd !== "close") return refuse("onPeerEnd", "\"keep\" or \"close\"", onPeerEnd)
  const onScopeExit = options?.onScopeExit ?? ((exit) => Exit.isSuccess(exit) ? "close" : "abort")
  if (typeof onScopeExit !== "function") return refuse("onScopeExit", "a function", onScopeExit)
  return Effect.succeed({
    highWaterMark,
    lowWaterMark,
    readMark,
    closeTimeout,
    lingerDuration,
    lingerBytesMax,
    onPeerEnd,
    onScopeExit
  })
}

/**
 * Makes a transport of a medium: how one writes a transport of one's own.
 *
 * **Details**
 *
 * `open` is given the port to report to and answers with the wire; from then on the wire belongs to the transport, and
 * the end of the scope lets it go. A kind that can half-close gets `halfClose`. `reasonOf` names the situation behind a
 * native error; without it every break is a `Reset`.
 *
 * `scopeExit` says what a close at the end of the scope may wait for: `"wait"` for the limits of the options, by real
 * time, since a finalizer must not wait on a clock that nobody moves; `"now"` for nothing, so that what does not fit
 * into the medium at once is lost with a warning. `copyMax` (default 16384) is the largest write that is copied; 0 makes
 * every write wait until the medium has it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromWire = <const E extends Endpoint.Endpoint>(
  open: (port: Port) => Wire,
  config: {
    readonly info: Info & { readonly endpoint: E }
    readonly options: ResolvedOptions
    readonly scopeExit: "wait" | "now"
    readonly reasonOf?: ((cause: unknown) => TransportError.Reason) | undefined
    readonly copyMax?: number | undefined
  }
): Effect.Effect<Of<E>, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const { options } = config
        const core = new duplex.Duplex(open, {
          highWaterMark: options.highWaterMark,
          lowWaterMark: options.lowWaterMark,
          readMark: options.readMark,
          copyMax: config.copyMax ?? 16_384,
          lingerBytesMax: options.lingerBytesMax,
          onPeerEnd: options.onPeerEnd
        })
        return new Mouth(core, config.info, options, config.reasonOf ?? (() => new TransportError.Reset()))
      }),
      (mouth, exit) =>
        config.options.onScopeExit(exit) === "abort"
          ? mouth.abort("scope", Exit.isFailure(exit) ? exit.cause : undefined)
          : mouth.closeAtScopeExit(config.scopeExit)
    ),
    (mouth) => {
      const transport = mouth.transport()
      return (Endpoint.isHalfCloseKind(config.info.endpoint._tag)
        ? { ...transport, halfClose: mouth.halfClose }
        : transport) as Of<E>
    }
  )

// ---------------------------------------------------------------------------------------------------------------------
// The mouth: the machine's callbacks and faults as effects and typed errors
// ---------------------------------------------------------------------------------------------------------------------

type Fail = Effect.Effect<never, TransportError.TransportError>

interface Answer {
  readonly input: NonEmptyReadonlyArray<Uint8Array>
  readonly fiber: Fiber.Fiber<unknown, unknown>
}

class Mouth {
  readonly core: duplex.Duplex
  readonly info: Info
  readonly options: ResolvedOptions
  readonly reasonOf: (cause: unknown) => TransportError.Reason
  /** The lease that is held. A reader is valid while it is this one. */
  lease: object | undefined = undefined
  /** What a pull found and has not yet received. */
  #answer: Answer | undefined = undefined
  #paused = false

  constructor(
    core: duplex.Duplex,
    info: Info,
    options: ResolvedOptions,
    reasonOf: (cause: unknown) => TransportError.Reason
  ) {
    this.core = core
    this.info = info
    this.options = options
    this.reasonOf = reasonOf
  }

  transport(): Transport {
    const { core } = this
    return {
      info: this.info,
      reader: Effect.acquireRelease(
        Effect.suspend(() => {
          if (this.lease !== undefined) return this.busy()
          const lease = this.lease = {}
          return Effect.succeed({ lease, reader: this.reader(lease) })
        }),
        ({ lease }) =>
          Effect.sync(() => {
            if (this.lease !== lease) return
            this.lease = undefined
            core.endReading()
          })
      ).pipe(Effect.map(({ reader }) => reader)),
      write: (out) => new WriteOne(this, out) as unknown as Effect.Effect<void, TransportError.TransportError>,
      writeAll: (outs) => Effect.suspend(() => this.writeMany(outs)),
      flush: Effect.suspend(() => this.flush()),
      close: this.close("close", undefined),
      abort: this.abort("abort", undefined),
      abortWith: (cause) => this.abort("abort", cause),
      closed: Effect.callback((resume) => {
        const done = (fault: duplex.Fault | undefined) => resume(fault ? this.fail("close", fault) : Effect.void)
        core.awaitReleased(done)
        return Effect.sync(() => core.cancelReleased(done))
      }),
      pausedReading: Effect.acquireRelease(
        Effect.sync(() => core.holdReading()),
        () => Effect.sync(() => core.unholdReading())
      ),
      pausedWriting: Effect.acquireRelease(
        Effect.sync(() => core.holdWriting()),
        () => Effect.sync(() => core.unholdWriting())
      ),
      pause: Effect.sync(() => {
        if (this.#paused) return
        this.#paused = true
        core.holdReading()
        core.holdWriting()
      }),
      resume: Effect.sync(() => {
        if (!this.#paused) return
        this.#paused = false
        core.unholdReading()
        core.unholdWriting()
      }),
      buffered: Effect.sync(() => ({ reading: core.inputBytes, writing: core.outputBytes }))
    }
  }

  // Reading

  reader(lease: object): Reader<Uint8Array, TransportError.TransportError> {
    const { core } = this
    // What this lease has pulled and not put back.
    let pulled = 0
    type Pulling = Pull.Pull<NonEmptyReadonlyArray<Uint8Array>, TransportError.TransportError>
    const pull: Pulling = Effect.withFiber((fiber): Pulling => {
      if (this.lease !== lease || core.isAwaited || !this.takeBack(fiber)) return this.busy()
      const input = core.poll()
      if (input === undefined) return parked
      if (input === duplex.EndOfInput) return Cause.done()
      if ("_tag" in input) return this.fail("read", input)
      const answer: Answer = this.#answer = { input, fiber }
      // The last step, in which the bytes change hands: interrupted before it, they are still here.
      return Effect.sync(() => {
        if (this.#answer === answer) this.#answer = undefined
        for (const chunk of input) pulled += chunk.length
        return input
      })
    })
    const parked = Effect.callback<NonEmptyReadonlyArray<Uint8Array>, TransportError.TransportError | Cause.Done>(
      (resume) => {
        const wake = () => resume(pull)
        core.awaitInput(wake)
        return Effect.sync(() => core.cancelInput(wake))
      }
    )
    return {
      pull,
      unread: (chunks) =>
        Effect.suspend(() => {
          let bytes = 0
          for (const chunk of chunks) bytes += chunk.length
          if (bytes > pulled) return Effect.die(new Error("Reader.unread: more than this lease has pulled"))
          pulled -= bytes
          core.unread(chunks)
          return Effect.void
        }),
      forEach: (f) =>
        Effect.withFiber((fiber) =>
          this.lease !== lease || core.isAwaited || !this.takeBack(fiber)
            ? this.busy()
            : this.forEach((batch) => {
              for (const chunk of batch) pulled += chunk.length
              return f(batch)
            })
        )
    }
  }

  /**
   * Puts back what an interrupted pull was answered with and never received. False when the pull that it belongs to is
   * still under way, in another fiber.
   */
  takeBack(fiber: Fiber.Fiber<unknown, unknown> | undefined): boolean {
    const answer = this.#answer
    if (answer === undefined) return true
    if (fiber !== undefined && answer.fiber !== fiber && answer.fiber.pollUnsafe() === undefined) return false
    this.#answer = undefined
    this.core.unread(answer.input)
    return true
  }

  forEach<E, R>(
    f: (batch: NonEmptyReadonlyArray<Uint8Array>) => Effect.Effect<void, E, R>
  ): Effect.Effect<void, TransportError.TransportError | E, R> {
    const { core } = this
    return Effect.contextWith((context: Context.Context<R>) =>
      Effect.callback<void, TransportError.TransportError | E>((resume) => {
        const run = Effect.runForkWith(context)
        let running: Fiber.Fiber<void, E> | undefined
        const finish = (exit: Effect.Effect<void, TransportError.TransportError | E>) => {
          core.endConsume(consumer)
          resume(exit)
        }
        const consumer: duplex.Consumer = {
          batch: (chunks) => {
            const fiber = run(f(chunks))
            const exit = fiber.pollUnsafe()
            if (exit !== undefined) {
              if (Exit.isFailure(exit)) finish(exit)
              return true
            }
            running = fiber
            fiber.addObserver((exit) => {
              running = undefined
              if (Exit.isFailure(exit)) finish(exit)
              else core.consumed()
            })
            return false
          },
          end: (end) => resume(end === duplex.EndOfInput ? Effect.void : this.fail("read", end))
        }
        core.consume(consumer)
        return Effect.suspend(() => {
          core.endConsume(consumer)
          return running === undefined ? Effect.void : interruptAndAwait(running)
        })
      })
    )
  }

  // Writing

  writeOne(out: Uint8Array): Effect.Effect<void, TransportError.TransportError> {
    if (!(out instanceof Uint8Array)) return this.refuseChunk("out", out)
    return this.enqueue([out], out.length)
  }

  writeMany(outs: ReadonlyArray<Uint8Array>): Effect.Effect<void, TransportError.TransportError> {
    if (typeof outs !== "object" || outs === null || !(Symbol.iterator in outs)) return this.refuseChunk("outs", outs)
    // Read once, and checked as a whole before anything is taken.
    const chunks = Array.from(outs)
    let bytes = 0
    for (let i = 0; i < chunks.length; i++) {
      if (!(chunks[i] instanceof Uint8Array)) return this.refuseChunk(`outs[${i}]`, chunks[i])
      bytes += chunks[i]!.length
    }
    return this.enqueue(chunks, bytes)
  }

  enqueue(chunks: ReadonlyArray<Uint8Array>, bytes: number): Effect.Effect<void, TransportError.TransportError> {
    const fault = this.core.writeFault
    if (fault !== undefined) return this.fail("write", fault, "NotSent")
    if (bytes === 0) return Effect.void
    return this.waiting("write", chunks, bytes, (write) => this.core.write(write))
  }

  flush(): Effect.Effect<void, TransportError.TransportError> {
    const fault = this.core.fault
    if (fault !== undefined) return this.fail("write", fault)
    return this.waiting("write", [], 0, (write) => this.core.flush(write))
  }

  waiting(
    operation: TransportError.Operation,
    chunks: ReadonlyArray<Uint8Array>,
    bytes: number,
    begin: (write: duplex.Write) => void
  ): Effect.Effect<void, TransportError.TransportError> {
    return Effect.callback((resume) => {
      const write: duplex.Write = {
        chunks,
        bytes,
        position: 0,
        resume: (fault, delivery) => resume(fault ? this.fail(operation, fault, delivery) : Effect.void)
      }
      begin(write)
      return Effect.suspend(() => interruptedWrite[this.core.cancelWrite(write)])
    })
  }

  // Ending

  get halfClose(): Effect.Effect<void, TransportError.TransportError> {
    const { core } = this
    return Effect.callback((resume) => {
      const fault = core.writeFault
      if (fault !== undefined && !(fault._tag === "Closed" && fault.by === "halfClose")) {
        return resume(this.fail("halfClose", fault))
      }
      const done = (fault: duplex.Fault | undefined) => resume(fault ? this.fail("halfClose", fault) : Effect.void)
      core.halfClose(done)
      return Effect.sync(() => core.cancelHalfClose(done))
    })
  }

  abort(by: "abort" | "scope", cause: Cause.Cause<unknown> | undefined): Effect.Effect<void> {
    return Effect.sync(() => this.core.abort(duplex.closedBy(by, cause)))
  }

  close(by: "close" | "scope", cause: unknown): Effect.Effect<void, TransportError.TransportError> {
    const { core, options } = this
    const closing = Effect.suspend(() => {
      core.close(by, cause)
      return core.life === "closing"
        ? Effect.timeoutOrElse(this.flushed, { duration: options.closeTimeout, orElse: () => this.abandon })
        : this.flushed
    })
    const lingering = Effect.suspend(() =>
      core.life === "lingering"
        ? Effect.timeoutOrElse(this.released, {
          duration: options.lingerDuration,
          orElse: () => {
            core.letGo()
            return this.released
          }
        })
        : this.released
    )
    return Effect.onInterrupt(
      Effect.andThen(closing, lingering),
      () => Effect.sync(() => core.abort(duplex.closedBy(by === "scope" ? "scope" : "abort", cause)))
    )
  }

  /** A finalizer cannot fail: what a close lost is logged, and `closed` fails with it. */
  closeAtScopeExit(scopeExit: "wait" | "now"): Effect.Effect<void> {
    const { core } = this
    const closing = scopeExit === "wait"
      ? Effect.provideService(interruptibleFromNow(this.close("scope", undefined)), Clock.Clock, realClock)
      : Effect.suspend(() => {
        core.close("scope", undefined)
        // One turn: what has just been delivered is not counted yet, if this runs inside the delivery.
        return Effect.andThen(
          core.life === "ended" ? Effect.void : Effect.yieldNow,
          Effect.suspend(() => core.life === "ended" ? this.flushed : this.abandon)
        )
      })
    return Effect.catch(
      closing,
      (error) => Effect.logWarning(`a scope ended with ${core.lostBytes} bytes of output lost: ${error.message}`)
    )
  }

  get flushed(): Effect.Effect<void, TransportError.TransportError> {
    const { core } = this
    return Effect.callback((resume) => {
      const done = (fault: duplex.Fault | undefined) => resume(fault ? this.fail("close", fault) : Effect.void)
      core.awaitFlushed(done)
      return Effect.sync(() => core.cancelFlushed(done))
    })
  }

  get released(): Effect.Effect<void> {
    const { core } = this
    return Effect.callback((resume) => {
      const done = () => resume(Effect.void)
      core.awaitReleased(done)
      return Effect.sync(() => core.cancelReleased(done))
    })
  }

  /** What could not be flushed in time is dropped. */
  get abandon(): Fail {
    return Effect.suspend(() => {
      this.core.abort({ _tag: "FlushTimedOut" })
      return Effect.andThen(this.released, this.fail("close", { _tag: "FlushTimedOut" }))
    })
  }

  // Errors

  busy(): Fail {
    return fail(this, "read", new TransportError.Busy({ what: "reader" }))
  }

  refuseChunk(field: string, actual: unknown): Fail {
    return invalid(
      this,
      "write",
      field,
      field === "outs" ? "an array of Uint8Array" : "a Uint8Array",
      actual,
      "NotSent"
    )
  }

  fail(operation: TransportError.Operation, fault: duplex.Fault, delivery?: TransportError.Delivery): Fail {
    switch (fault._tag) {
      case "Closed":
        return fail(this, operation, new TransportError.Closed({ by: fault.by }), delivery, fault.cause)
      case "FlushTimedOut":
        return fail(this, operation, new TransportError.TimedOut({ phase: "flush" }), delivery)
      case "Broken":
        return fail(this, operation, this.reasonOf(fault.cause), delivery, fault.cause)
    }
  }
}

/** One write, made without a closure: a write is the hottest effect there is. */
const WriteOne = function(this: { mouth: Mouth; out: Uint8Array }, mouth: Mouth, out: Uint8Array) {
  this.mouth = mouth
  this.out = out
} as unknown as { new(mouth: Mouth, out: Uint8Array): object; prototype: object }
WriteOne.prototype = Effectable.Prototype<
  Effect.Effect<void, TransportError.TransportError> & { readonly mouth: Mouth; readonly out: Uint8Array }
>({
  label: "Transport.write",
  evaluate() {
    return this.out instanceof Uint8Array && this.mouth.core.writeNow(this.out)
      ? Effect.void
      : this.mouth.writeOne(this.out)
  }
})

/** Why an interrupted write's cause has a second interruption: it is the one that carries the verdict. */
const interruptedWrite = {
  NotSent: Effect.failCause(
    Cause.annotate(Cause.interrupt(), Context.make(TransportError.DeliveryAnnotation, "NotSent"))
  ),
  Unknown: Effect.failCause(
    Cause.annotate(Cause.interrupt(), Context.make(TransportError.DeliveryAnnotation, "Unknown"))
  )
}

const realClock = Context.get(Context.empty(), Clock.Clock)

/** Of two interruptions the one that ended the scope does not count: `onScopeExit` may have answered it with a close. */
const interruptibleFromNow = <A, E>(closing: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.matchCauseEffect(Effect.interruptible(Effect.void), {
    onFailure: () => closing,
    onSuccess: () => Effect.interruptible(closing)
  })

const interruptAndAwait = (fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<void> =>
  Effect.callback((resume) => {
    fiber.addObserver(() => resume(Effect.void))
    fiber.interruptUnsafe()
  })

/**
 * Pulls until `bytes` bytes are there, or until the end. Unless `onFull` or `onEnd` succeeds, what was pulled goes back.
 */
const gather = (
  self: Transport,
  bytes: number,
  onFull: (all: Uint8Array, reader: Reader<Uint8Array, TransportError.TransportError>) => Gathered,
  onEnd: (all: Uint8Array) => Gathered
): Gathered =>
  Effect.scoped(Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(self.reader, (reader) => {
      const chunks: Array<Uint8Array> = []
      let have = 0
      const step: Gathered = Effect.suspend(() =>
        have >= bytes ? onFull(join(chunks, have), reader) : Pull.matchEffect(restore(reader.pull), {
          onSuccess: (more) => {
            for (const chunk of more) {
              chunks.push(chunk)
              have += chunk.length
            }
            return step
          },
          onDone: () => onEnd(join(chunks, have)),
          onFailure: Effect.failCause
        })
      )
      return Effect.onExit(step, (exit) => Exit.isFailure(exit) ? reader.unread(chunks) : Effect.void)
    })
  ))

type Gathered = Effect.Effect<Uint8Array, TransportError.TransportError>

const join = (chunks: ReadonlyArray<Uint8Array>, bytes: number): Uint8Array => {
  if (chunks.length === 1) return chunks[0]!
  const all = new Uint8Array(bytes)
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.length
  }
  return all
}

const isCount = (value: unknown, min: number): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= min

const toDuration = (input: unknown): Duration.Duration | undefined => {
  const duration = Option.getOrUndefined(Duration.fromInput(input as Duration.Input))
  return duration !== undefined && Duration.isFinite(duration) && !Duration.isNegative(duration) ? duration : undefined
}

const fail = (
  self: { readonly info: Info },
  operation: TransportError.Operation,
  reason: TransportError.Reason,
  delivery?: TransportError.Delivery,
  cause?: unknown
): Fail => Effect.fail(TransportError.make(operation, Endpoint.format(self.info.endpoint), reason, { delivery, cause }))

const invalid = (
  self: { readonly info: Info },
  operation: TransportError.Operation,
  field: string,
  expected: string,
  actual: unknown,
  delivery?: TransportError.Delivery
): Fail => fail(self, operation, new TransportError.InvalidOption({ field, expected, actual }), delivery)
