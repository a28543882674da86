/**
 * The passive side of flow control: what items are written to, and what tells their producer to pause, resume and stop.
 *
 * A consumer has one producer at the most. It pauses it above its high mark and resumes it at its low mark or below, and
 * what becomes of an item for which there is no room is part of its type. `make` gives one that keeps what it is given
 * for a reader; the others pass it on: to a connection, a queue, a sink, or to several consumers. A producer that heeds
 * `pause` loses nothing under any policy.
 *
 * To close is to ask the producer to come to its end: `stop` is called once, and the close waits until it unregisters, at
 * most for the close timeout. Until then its writes are taken; what was accepted is flushed, and later writes are refused.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import type * as Pull from "effect/Pull"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type { Connection, HalfCloseable } from "./Connection.ts"
import { isHalfCloseable } from "./Connection.ts"
import { inFront } from "./flow/inFront.ts"
import { checkTimeout, closedBy, observe, refusal, refuse, timedOut } from "./flow/intake.ts"
import { type Full, makeReservoir } from "./flow/reservoir.ts"
import { makeThrough, stopAfter } from "./flow/through.ts"
import { type Level as LevelModel, setStack, stacksOf } from "./internal/levels.ts"
import { TokenBucket } from "./internal/tokenBucket.ts"
import { underneath } from "./internal/underneath.ts"
import type { Producer, Unpausable } from "./Producer.ts"
import type * as TransportError from "./TransportError.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Whether a consumer welcomes items, asks for a pause, or takes no more.
 *
 * @category models
 * @since 0.1.0
 */
export type State = "flowing" | "paused" | "stopped"

/**
 * What items are written to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Consumer<in A, out E> {
  /** Takes the item. What it does when there is no room is the consumer's policy. */
  readonly write: (item: A) => Effect.Effect<void, E>
  /**
   * Makes it the producer of this consumer, until `unregister` or the end of the scope.
   *
   * **Details**
   *
   * At most one: a second fails with `Busy` and changes nothing for the first. `halfRegister` is run once, before any
   * `pause` or `resume`; a consumer that is full by then pauses the producer next. Pause and resume strictly alternate.
   * A consumer that takes no more runs `stop` instead and does not register it. Interrupted, nothing is registered.
   */
  readonly register: (producer: Producer<A>) => Effect.Effect<void, E | TransportError.TransportError, Scope.Scope>
  /** The producer has no more. Repeating it is harmless, and it does not end the consumer. */
  readonly unregister: Effect.Effect<void>
  /** The state now, and each change. Whoever is slow sees the latest. Ends after `"stopped"`. */
  readonly state: Stream.Stream<State>
}

/**
 * What becomes of an item for which there is no room: the writer waits (`suspend`), the write fails with `Full`
 * (`fail`), the item is dropped (`dropNewest`), the oldest items make room (`dropOldest`), or the oldest of those that a
 * later one with the same key supersedes, and only then the oldest of all (`latest`).
 *
 * @category models
 * @since 0.1.0
 */
export type Policy = "suspend" | "fail" | "dropNewest" | "dropOldest" | "latest"

/**
 * What a write to a consumer with this policy can fail with.
 *
 * @category models
 * @since 0.1.0
 */
export type WriteError<P extends Policy> =
  | TransportError.TransportError
  | (P extends "fail" ? Full : never)

/**
 * Two sizes: above the high one a producer is paused, at or below the low one it is resumed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Marks {
  /** 0 pauses on any item. */
  readonly highWaterMark: number
  /** Default a quarter of the high mark, so that a producer wakes to room for more than one. */
  readonly lowWaterMark?: number | undefined
}

/**
 * Bounds and rules of a consumer that keeps what it is given.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<in A> {
  /**
   * Default for bytes 65536, as for a transport; for other items 16, which is what Effect's own streams buffer; with a
   * `measure` 65536 of what it measures.
   */
  readonly highWaterMark?: number | undefined
  /** Default a quarter of the high mark, so that a producer wakes to room for more than one. */
  readonly lowWaterMark?: number | undefined
  /**
   * How large an item is: a non-negative integer, of which 0 counts as 1. Default its bytes for a `Uint8Array`, 1 for
   * anything else. Run once or twice for each item.
   */
  readonly measure?: ((item: A) => number) | undefined
  /** How long `close` may wait, for the producer and for the reader, before it aborts. Default 5 seconds. */
  readonly closeTimeout?: Duration.Input | undefined
  /** Names it in errors and levels. Default `"consumer"`. */
  readonly name?: string | undefined
}

/**
 * A consumer that keeps what it is given, in order, until it is read.
 *
 * **Details**
 *
 * It never holds more than its high mark and one write; a write larger than the mark begins on an empty buffer. Empty
 * chunks of bytes are not kept. When its scope ends it is aborted, and whoever waits is answered with `Closed` by
 * `scope`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Buffered<in out A, out P extends Policy> extends Consumer<A, WriteError<P>> {
  readonly policy: P
  /**
   * Takes the item, or does what the policy says. With `suspend` it waits in line with other writers; interrupted there,
   * nothing of it is left; `close` and `abort` answer it with `Closed`.
   */
  readonly write: (item: A) => Effect.Effect<void, WriteError<P>>
  /** As one write: contiguous, all of them or none. */
  readonly writeAll: (items: ReadonlyArray<A>) => Effect.Effect<void, WriteError<P>>
  /**
   * The oldest item. Waits for one; `Cause.Done` once it is closed and empty. One reader waits at a time: another fails
   * with `Busy`. Interrupted, it loses nothing.
   */
  readonly take: Pull.Pull<A, TransportError.TransportError>
  /** All items that are there, at least one. As `take` otherwise. */
  readonly takeAll: Pull.Pull<NonEmptyReadonlyArray<A>, TransportError.TransportError>
  /** The content, until it is closed and empty. What the stream has pulled is its own. */
  readonly stream: Stream.Stream<A, TransportError.TransportError>
  /**
   * No more writes; what is there can still be read. Stops the producer, and waits until it has unregistered: until then
   * writes are taken. It aborts with `TimedOut` after `closeTimeout`. Interrupted, the end still comes.
   */
  readonly halfClose: Effect.Effect<void, TransportError.TransportError>
  /** As `halfClose`, and waits until all has been read, within the same limit. Interrupted, it aborts. */
  readonly close: Effect.Effect<void, TransportError.TransportError>
  /** Drops what is there and ends now. Never waits; stops the producer, and wakes whoever waits with `Closed`. */
  readonly abort: Effect.Effect<void>
  /** As `abort`; whoever waits sees the cause. */
  readonly abortWith: (cause: Cause.Cause<unknown>) => Effect.Effect<void>
  /** Waits for the end. Succeeds if all was read, else fails with what ended it. */
  readonly closed: Effect.Effect<void, TransportError.TransportError>
  /** New marks, judged at once. Fails with `InvalidOption`, and the old ones stay. */
  readonly setMarks: (marks: Marks) => Effect.Effect<void, TransportError.TransportError>
  /** Size, marks, and what was dropped, now. */
  readonly level: Effect.Effect<Level>
}

/**
 * A consumer whose bound is no backpressure: it says what becomes of what has no room, and so takes producers that
 * cannot be paused, too.
 *
 * @category models
 * @since 0.1.0
 */
export interface Shedding<in out A, out P extends Exclude<Policy, "suspend">> extends Buffered<A, P> {
  readonly register: (producer: Unpausable<A>) => Effect.Effect<void, WriteError<P>, Scope.Scope>
}

/**
 * What `make` gives for a policy.
 *
 * @category models
 * @since 0.1.0
 */
export type Of<A, P extends Policy> = P extends "suspend" ? Buffered<A, P> : Shedding<A, Exclude<P, "suspend">>

/**
 * A connection as a consumer of what is written to it. Ending it ends the connection, once the producer is done.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connected<in A, out E> extends Consumer<A, E | TransportError.TransportError> {
  /** As one write, where the connection takes it as one. */
  readonly writeAll: (items: ReadonlyArray<A>) => Effect.Effect<void, E | TransportError.TransportError>
  /**
   * Stops the producer, waits until it has unregistered, and closes the connection. Until then writes are taken. After
   * `closeTimeout` it aborts and fails with `TimedOut`. Interrupted, it aborts.
   */
  readonly close: Effect.Effect<void, E | TransportError.TransportError>
  /** Aborts the connection, and stops the producer. */
  readonly abort: Effect.Effect<void>
}

/**
 * How full one level of a stack of consumers is.
 *
 * @category models
 * @since 0.1.0
 */
export interface Level extends LevelModel {}

// ---------------------------------------------------------------------------------------------------------------------
// Errors
// ---------------------------------------------------------------------------------------------------------------------

export {
  /**
   * There was no room, and the policy is `fail`. Nothing of the write was taken.
   *
   * @category errors
   * @since 0.1.0
   */
  Full
} from "./flow/reservoir.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Services
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The class of a service that is a consumer.
 *
 * @category services
 * @since 0.1.0
 */
export interface ServiceClass<in out Self, in out Id extends string, in out A, in out E>
  extends Context.ServiceClass<Self, Id, Consumer<A, E>>
{
  /** Provides what the effect makes; it lives as long as the layer. */
  readonly layer: <E2, R>(make: Effect.Effect<Consumer<A, E>, E2, R>) => Layer.Layer<Self, E2, Exclude<R, Scope.Scope>>
}

/**
 * A consumer as a service: where a program writes to, named by its type.
 *
 * **Example** (Writing to whatever takes the log lines)
 *
 * ```ts import.meta.vitest
 * import { Effect, Stream } from "effect"
 * import { Consumer } from "effect-transport"
 *
 * class Log extends Consumer.Service<Log, string>()("app/Log") {}
 *
 * const program = Effect.gen(function*() {
 *   const log = yield* Log
 *   yield* log.write("started")
 * })
 *
 * const main = Effect.gen(function*() {
 *   const lines = yield* Consumer.make<string>()
 *   yield* program.pipe(Effect.provide(Log.layer(Effect.succeed(lines))))
 *   yield* lines.halfClose
 *   return yield* Stream.runCollect(lines.stream)
 * })
 *
 * await Effect.runPromise(Effect.scoped(main)) // => ["started"]
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Service = <Self, A, E = TransportError.TransportError>() =>
<const Id extends string>(
  id: Id
): ServiceClass<Self, Id, A, E> =>
  Object.assign(Context.Service<Self, Consumer<A, E>>()(id), {
    layer<E2, R>(this: Context.Key<Self, Consumer<A, E>>, make: Effect.Effect<Consumer<A, E>, E2, R>) {
      return Layer.effect(this, make)
    }
  })

// ---------------------------------------------------------------------------------------------------------------------
// Constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A consumer that keeps what it is given, in a buffer between two marks, until it is read.
 *
 * **Details**
 *
 * Wrong options fail with `InvalidOption` before anything is made. With policy `latest`, `key` says which items
 * supersede each other.
 *
 * **Example** (Keeping the latest price of each stock)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Consumer } from "effect-transport"
 *
 * const program = Effect.gen(function*() {
 *   const prices = yield* Consumer.make<readonly [stock: string, price: number]>({
 *     policy: "latest",
 *     key: ([stock]) => stock,
 *     highWaterMark: 1
 *   })
 *   yield* prices.write(["A", 10])
 *   yield* prices.write(["B", 20])
 *   yield* prices.write(["A", 11])
 *   return yield* prices.takeAll
 * })
 *
 * await Effect.runPromise(Effect.scoped(program)) // => [["B", 20], ["A", 11]]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  <A>(
    options?: Options<A> & { readonly policy?: "suspend" | undefined }
  ): Effect.Effect<Buffered<A, "suspend">, TransportError.TransportError, Scope.Scope>
  <A>(
    options: Options<A> & { readonly policy: "fail" }
  ): Effect.Effect<Shedding<A, "fail">, TransportError.TransportError, Scope.Scope>
  <A>(
    options: Options<A> & { readonly policy: "dropNewest" }
  ): Effect.Effect<Shedding<A, "dropNewest">, TransportError.TransportError, Scope.Scope>
  <A>(
    options: Options<A> & { readonly policy: "dropOldest" }
  ): Effect.Effect<Shedding<A, "dropOldest">, TransportError.TransportError, Scope.Scope>
  <A>(
    options: Options<A> & { readonly policy: "latest"; readonly key: (item: A) => unknown }
  ): Effect.Effect<Shedding<A, "latest">, TransportError.TransportError, Scope.Scope>
} = (options?: AnyOptions<any>): Effect.Effect<any, TransportError.TransportError, Scope.Scope> =>
  Effect.map(makeReservoir(options), (reservoir) => reservoir.consumer())

/**
 * What `make` takes, for who passes it on.
 *
 * @category models
 * @since 0.1.0
 */
export type AnyOptions<A> = Options<A> & {
  readonly policy?: Policy | undefined
  readonly key?: ((item: A) => unknown) | undefined
}

/**
 * A consumer of whatever a function writes. It is paused while a write waits.
 *
 * **Details**
 *
 * Writes of several fibers go to the function as they come. It holds nothing itself, and stops at the end of the scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromWrite = <A, E, R>(
  write: (item: A) => Effect.Effect<unknown, E, R>,
  options?: { readonly name?: string | undefined }
): Effect.Effect<Consumer<A, E | TransportError.TransportError>, never, R | Scope.Scope> =>
  Effect.contextWith((context: Context.Context<R | Scope.Scope>) =>
    Effect.map(
      makeThrough<A, E>(options?.name ?? "consumer", (item) => Effect.provideContext(write(item), context)),
      (through) => through.consumer([])
    )
  )

/**
 * A connection, and so a transport, as a consumer of what is written to it.
 *
 * **Details**
 *
 * It holds nothing itself: the marks are those of the connection, and the producer is paused while a write waits for it.
 * When the connection ends, however that comes, the producer is stopped. Of the connection's own `close` the producer
 * learns by the end; the `close` here waits for it, and so does `halfClose` where the connection has one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromConnection: {
  <In, Out, E>(
    connection: HalfCloseable<Connection<In, Out, E>>,
    options?: ConnectionOptions
  ): Effect.Effect<HalfCloseableConnected<Out, E>, TransportError.TransportError, Scope.Scope>
  <In, Out, E>(
    connection: Connection<In, Out, E>,
    options?: ConnectionOptions
  ): Effect.Effect<Connected<Out, E>, TransportError.TransportError, Scope.Scope>
} = (connection: Connection<any, any, any>, options?: ConnectionOptions): Effect.Effect<
  any,
  TransportError.TransportError,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const name = options?.name ?? "connection"
    const closeTimeout = yield* checkTimeout(name, options?.closeTimeout)
    const through = yield* makeThrough<any, any>(name, connection.write)
    const { intake } = through
    yield* stopAfter(intake, Effect.exit(connection.closed))
    const endBy = (by: "close" | "halfClose", end: Effect.Effect<void, unknown>) => {
      const late = Effect.andThen(connection.abort, Effect.suspend(() => Effect.fail(intake.error("close", timedOut))))
      return Effect.suspend(() => {
        intake.finish()
        return Effect.timeoutOrElse(intake.freed, { duration: closeTimeout, orElse: () => late })
      }).pipe(Effect.andThen(Effect.sync(() => intake.stop(closedBy(by)))), Effect.andThen(end))
    }
    const consumer = through.consumer([], () => {
      const duplex = underneath(connection)?.duplex
      return {
        size: duplex?.outputBytes ?? 0,
        highWaterMark: duplex?.settings.highWaterMark ?? 0,
        lowWaterMark: duplex?.settings.lowWaterMark ?? 0
      }
    })
    return Object.assign(consumer, {
      writeAll: (items: ReadonlyArray<unknown>) => through.run(() => connection.writeAll(items)),
      close: Effect.onInterrupt(endBy("close", connection.close), () => connection.abort),
      abort: Effect.andThen(Effect.sync(() => intake.stop(closedBy("abort"))), connection.abort),
      ...(isHalfCloseable(connection) && { halfClose: endBy("halfClose", connection.halfClose) })
    })
  })

/**
 * A connection as a consumer, whose writing direction can end alone.
 *
 * @category models
 * @since 0.1.0
 */
export type HalfCloseableConnected<A, E> = Connected<A, E> & {
  /** As `close`, for our direction alone: reading goes on. Interrupted, nothing has ended yet. */
  readonly halfClose: Effect.Effect<void, E | TransportError.TransportError>
}

/**
 * Rules of a consumer over a connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectionOptions {
  /** How long `close` may wait for the producer before it aborts. Default 5 seconds. */
  readonly closeTimeout?: Duration.Input | undefined
  /** Names it in errors and levels. Default `"connection"`. */
  readonly name?: string | undefined
}

/**
 * A queue of Effect's as a consumer. It is paused while an `offer` waits, and stops when the queue is done.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromQueue = <A, E>(
  queue: Queue.Enqueue<A, E>,
  options?: { readonly name?: string | undefined }
): Effect.Effect<Consumer<A, TransportError.TransportError>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const name = options?.name ?? "queue"
    const through = yield* makeThrough<A, TransportError.TransportError>(name, (item) =>
      Effect.flatMap(Queue.offer(queue, item), (isTaken) =>
        isTaken || queue.state._tag === "Open" ? Effect.void : Effect.fail(refusal(name))))
    // Of any queue it is told only here.
    const done = Effect.exit(Queue.await(queue as unknown as Queue.Dequeue<A, E>))
    yield* stopAfter(through.intake, done)
    return through.consumer([])
  })

/**
 * A `PubSub` as a consumer. It is paused while a `publish` waits, and stops when the `PubSub` is shut down.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromPubSub = <A>(
  pubsub: PubSub.PubSub<A>,
  options?: { readonly name?: string | undefined }
): Effect.Effect<Consumer<A, TransportError.TransportError>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const name = options?.name ?? "pubsub"
    const through = yield* makeThrough<A, TransportError.TransportError>(name, (item) =>
      Effect.flatMap(PubSub.publish(pubsub, item), (isTaken) =>
        isTaken || !PubSub.isShutdownUnsafe(pubsub) ? Effect.void : Effect.fail(refusal(name))))
    yield* stopAfter(through.intake, PubSub.awaitShutdown(pubsub))
    return through.consumer([])
  })

/**
 * A sink as a consumer: what is written waits in a buffer until the sink takes it, and `result` is what the sink makes
 * of all of it once the consumer is closed.
 *
 * **Details**
 *
 * A sink that has enough, or fails, aborts the consumer; `result` says which.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromSink = <B, A, L, E, R>(
  sink: Sink.Sink<B, A, L, E, R>,
  options?: Options<A>
): Effect.Effect<
  Buffered<A, "suspend"> & { readonly result: Effect.Effect<B, E | TransportError.TransportError> },
  TransportError.TransportError,
  R | Scope.Scope
> =>
  Effect.gen(function*() {
    const consumer = yield* make<A>(options)
    const running = yield* Effect.forkScoped(
      Effect.onExit(Stream.run(consumer.stream, sink), (exit) =>
        Exit.isFailure(exit) ? consumer.abortWith(exit.cause) : consumer.abort)
    )
    return Object.assign(consumer, { result: Fiber.join(running) })
  })

// ---------------------------------------------------------------------------------------------------------------------
// Combinators
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A sink that writes what it receives, one by one. It does not register: it waits where a write waits.
 *
 * @category converting
 * @since 0.1.0
 */
export const sink = <A, E>(self: Consumer<A, E>): Sink.Sink<void, A, never, E> =>
  Sink.forEach((item) => self.write(item))

/**
 * A consumer of what `f` turns into what this one takes. It is as full as this one, and is no level of its own.
 *
 * @category combinators
 * @since 0.1.0
 */
export const mapInput: {
  <A, B>(f: (item: B) => A): <E>(self: Consumer<A, E>) => Consumer<B, E>
  <A, E, B>(self: Consumer<A, E>, f: (item: B) => A): Consumer<B, E>
} = dual(2, <A, E, B>(self: Consumer<A, E>, f: (item: B) => A): Consumer<B, E> => {
  const mapped: Consumer<B, E> = {
    write: (item) => Effect.suspend(() => self.write(f(item))),
    register: (producer) =>
      self.register({
        pause: producer.pause,
        resume: producer.resume,
        stop: producer.stop,
        halfRegister: () => producer.halfRegister(mapped)
      }),
    unregister: self.unregister,
    state: self.state
  }
  const [stack] = stacksOf(self)
  if (stack !== undefined) setStack(mapped, stack)
  return mapped
})

/**
 * A buffer in front of a consumer, and that consumer's producer: its own producer is paused when either of the two is
 * full, and resumed when both are free.
 *
 * **Details**
 *
 * `close` waits until the consumer below has taken all, and unregisters there; it does not end it. When the one below
 * stops, this one is aborted. An item that the one below refuses aborts it, too.
 *
 * @category combinators
 * @since 0.1.0
 */
export const buffer: {
  <A>(options?: Options<A>): <E>(self: Consumer<A, E>) => Effect.Effect<
    Buffered<A, "suspend">,
    E | TransportError.TransportError,
    Scope.Scope
  >
  <A, E>(
    self: Consumer<A, E>,
    options?: Options<A>
  ): Effect.Effect<Buffered<A, "suspend">, E | TransportError.TransportError, Scope.Scope>
} = dual(
  (args) => isConsumer(args[0]),
  <A, E>(self: Consumer<A, E>, options?: Options<A>) =>
    inFront(self, options, (take, write) => Effect.flatMap(take, write))
)

/**
 * How fast items may pass.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rate {
  /** By the measure: bytes of a `Uint8Array`, items otherwise, unless a measure is given. */
  readonly bytesPerSecond: number
  /** So much may pass at once after a rest. Default what passes in a second. */
  readonly burst?: number | undefined
}

/**
 * A buffer in front of a consumer that passes on no more than a rate allows, by the `Clock` at hand.
 *
 * **Details**
 *
 * As `buffer` otherwise. An item larger than the burst passes when the burst is full, and is paid back before the next
 * one passes.
 *
 * **Example** (Sending at most 1000 bytes a second)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Consumer, TestTransport, Transport } from "effect-transport"
 *
 * const program = Effect.gen(function*() {
 *   const [a, b] = yield* TestTransport.pair()
 *   const fast = yield* Consumer.fromConnection(a)
 *   const slow = yield* Consumer.rateLimit(fast, { bytesPerSecond: 1000, burst: 100 })
 *   yield* slow.write(new Uint8Array(100))
 *   return (yield* Transport.readExactly(b, 100)).length
 * })
 *
 * await Effect.runPromise(Effect.scoped(program)) // => 100
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const rateLimit: {
  <A>(options: Rate & Options<A>): <E>(self: Consumer<A, E>) => Effect.Effect<
    Buffered<A, "suspend">,
    E | TransportError.TransportError,
    Scope.Scope
  >
  <A, E>(
    self: Consumer<A, E>,
    options: Rate & Options<A>
  ): Effect.Effect<Buffered<A, "suspend">, E | TransportError.TransportError, Scope.Scope>
} = dual(2, <A, E>(self: Consumer<A, E>, options: Rate & Options<A>) =>
  Effect.suspend(() => {
    if (typeof options !== "object" || options === null) return refuse("consumer", "options", "an object", options)
    const { bytesPerSecond } = options
    const burst = options.burst ?? bytesPerSecond
    for (const [field, value] of Object.entries({ bytesPerSecond, burst })) {
      if (!(typeof value === "number" && value > 0 && value < Infinity)) {
        return refuse(options.name ?? "consumer", field, "a positive number", value)
      }
    }
    const bucket = new TokenBucket(bytesPerSecond, burst)
    const sizeOf = options.measure ?? ((item: A) => item instanceof Uint8Array ? item.length : 1)
    const pass = (size: number): Effect.Effect<void> =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const wait = bucket.waitMillis(size, now)
        if (wait > 0) return Effect.andThen(Effect.sleep(wait), pass(size))
        bucket.spend(size)
        return Effect.void
      })
    return inFront(self, options, (take, write) =>
      Effect.flatMap(take, (item) =>
        Effect.andThen(pass(sizeOf(item)), write(item))))
  }))

/**
 * One consumer of several: each item goes to all of them. It is the producer of each.
 *
 * **Details**
 *
 * A write waits until all have taken the item. With `pressure` `"slowest"` (default) the producer is paused while any of
 * them is, so that the slowest decides; with `"own"` those that shed do not count, and each follows its own policy. One
 * that stops leaves; when the last has left, this one stops. What a member that lives refuses, the write fails with,
 * after the others have taken it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const broadcast = <A, E>(
  members: ReadonlyArray<Consumer<A, E>>,
  options?: { readonly pressure?: "slowest" | "own" | undefined; readonly name?: string | undefined }
): Effect.Effect<
  Consumer<A, E | TransportError.TransportError>,
  E | TransportError.TransportError,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const name = options?.name ?? "broadcast"
    const pressure = options?.pressure ?? "slowest"
    if (pressure !== "slowest" && pressure !== "own") {
      return yield* refuse(name, "pressure", "\"slowest\" or \"own\"", pressure)
    }
    if (!Array.isArray(members) || members.length === 0 || !members.every((member) => isConsumer(member))) {
      return yield* refuse(name, "members", "an array with at least one consumer", members)
    }
    const live = new Set<Consumer<A, E>>(members)
    const toAll = (item: A): Effect.Effect<void, E> =>
      Effect.flatMap(
        Effect.forEach(
          Array.from(live),
          (member) => Effect.map(Effect.exit(member.write(item)), (exit) => ({ exit, member })),
          { concurrency: "unbounded" }
        ),
        (written) => {
          for (const { exit, member } of written) if (Exit.isFailure(exit) && live.has(member)) return exit
          return Effect.void
        }
      )
    const through = yield* makeThrough<A, E>(name, toAll)
    const { intake } = through
    const join = (member: Consumer<A, E>) => {
      const counts = pressure === "slowest" || !sheds(member)
      const hold = counts ? intake.holder() : undefined
      return member.register({
        halfRegister: () => Effect.void,
        pause: Effect.sync(() => hold?.(true)),
        resume: Effect.sync(() => hold?.(false)),
        // It has no more of ours to wait for.
        stop: Effect.andThen(
          Effect.sync(() => {
            live.delete(member)
            hold?.(false)
            if (live.size === 0) intake.stop(closedBy("close"))
          }),
          Effect.suspend(() => member.unregister)
        )
      })
    }
    const joined: Array<Consumer<A, E>> = []
    yield* Effect.onError(
      Effect.forEach(Array.from(live), (member) => Effect.map(join(member), () => joined.push(member))),
      // All or none: where one is taken, the others are free again.
      () => Effect.forEach(joined, (member) => member.unregister, { discard: true })
    )
    return through.consumer(members)
  })

// ---------------------------------------------------------------------------------------------------------------------
// Looking on
// ---------------------------------------------------------------------------------------------------------------------

/**
 * How full a consumer is, and all that it writes to, from the top down. Empty for a consumer that is not made here. Where
 * a level holds nothing itself, its marks are 0; over a transport they are those of the transport.
 *
 * @category combinators
 * @since 0.1.0
 */
export const levels = <A, E>(self: Consumer<A, E>): Effect.Effect<ReadonlyArray<Level>> =>
  Effect.sync(() => stacksOf(self).map((stack) => stack.level()))

/**
 * The levels now, and again whenever one of them changes its state. Whoever is slow sees the latest. Ends when all have
 * stopped.
 *
 * @category combinators
 * @since 0.1.0
 */
export const levelChanges = <A, E>(self: Consumer<A, E>): Stream.Stream<ReadonlyArray<Level>> =>
  Stream.suspend(() => {
    const stacks = stacksOf(self)
    return observe(stacks.map(({ state }) => state), () => stacks.map((stack) => stack.level()))
  })

// ---------------------------------------------------------------------------------------------------------------------
// Private
// ---------------------------------------------------------------------------------------------------------------------

const sheds = (member: object): boolean =>
  "policy" in member ? member.policy !== "suspend" : stacksOf(member)[0]?.sheds === true

const isConsumer = (value: unknown): boolean =>
  typeof value === "object" && value !== null && "write" in value && "register" in value && "state" in value
