/**
 * The active side of flow control: what writes to a consumer, and heeds it when it says pause, resume and stop.
 *
 * PEP 3153's producer, made of what a program has: a stream, an iterable, a generator, a connection, a queue, or a source
 * that calls back. A producer serves one consumer in its life. One that was made here begins when it is registered, never
 * writes while it is paused, unregisters when it has no more, and tells by `ended` how it went. A source that cannot be
 * paused is no `Producer`: only a consumer whose policy says what it loses takes it.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Pull from "effect/Pull"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Connection } from "./Connection.ts"
import * as Consumers from "./Consumer.ts"
import type { Consumer } from "./Consumer.ts"
import { Calling } from "./flow/calling.ts"
import { End, WriteFailed } from "./flow/ending.ts"
import { Generating, Wait } from "./flow/generating.ts"
import { driven, type Pulling } from "./flow/pulling.ts"
import { isCount } from "./internal/check.ts"
import * as TransportError from "./TransportError.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A source that writes to a consumer and cannot be paused.
 *
 * @category models
 * @since 0.1.0
 */
export interface Unpausable<out A> {
  /** No more, for good: the consumer takes nothing any longer. Called once, by the consumer, and never followed by more. */
  readonly stop: Effect.Effect<void>
  /** Called once by `register`, before any pause or resume: from now on the producer writes to this consumer. */
  readonly halfRegister: (consumer: Consumer<A, unknown>) => Effect.Effect<void, never, Scope.Scope>
}

/**
 * What writes to a consumer. It begins un-paused.
 *
 * @category models
 * @since 0.1.0
 */
export interface Producer<out A> extends Unpausable<A> {
  /** Write no more until `resume`. A write that is under way may end. */
  readonly pause: Effect.Effect<void>
  /** Follows a pause, and nothing else. */
  readonly resume: Effect.Effect<void>
}

/**
 * A producer that was made here: it tells how it went.
 *
 * @category models
 * @since 0.1.0
 */
export interface Finite<out A, out E> extends Producer<A>, Ending<E> {}

/**
 * A source that cannot be paused, and tells how it went.
 *
 * @category models
 * @since 0.1.0
 */
export interface FiniteUnpausable<out A, out E> extends Unpausable<A>, Ending<E> {}

/**
 * How a producer went.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ending<out E> {
  /**
   * Waits until it has unregistered. Succeeds when it had no more or was stopped; fails with what its source failed
   * with, or with `WriteFailed`. A failure that nobody waits for is logged.
   */
  readonly ended: Effect.Effect<void, E | WriteFailed>
}

/**
 * What a source that calls back is given.
 *
 * @category models
 * @since 0.1.0
 */
export interface Emitter<in A, in E> {
  /** Hands over an item. False: pause now, if you can. Afterwards, and after the end, nothing is taken. */
  readonly emit: (item: A) => boolean
  /** There is no more. What was emitted before is still written. */
  readonly end: () => void
  /** As `end`; the producer fails with it. */
  readonly fail: (error: E) => void
}

// ---------------------------------------------------------------------------------------------------------------------
// Errors
// ---------------------------------------------------------------------------------------------------------------------

export {
  /**
   * The consumer refused an item, and so the producer ended; `cause` has what its `write` failed with.
   *
   * @category errors
   * @since 0.1.0
   */
  WriteFailed
} from "./flow/ending.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Services
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The class of a service that is a producer.
 *
 * @category services
 * @since 0.1.0
 */
export interface ServiceClass<in out Self, in out Id extends string, in out A, in out E>
  extends Context.ServiceClass<Self, Id, Finite<A, E>>
{
  /** Provides what the effect makes. */
  readonly layer: <E2, R>(make: Effect.Effect<Finite<A, E>, E2, R>) => Layer.Layer<Self, E2, Exclude<R, Scope.Scope>>
}

/**
 * A producer as a service: where a program's items come from, named by its type.
 *
 * **Example** (Reading whatever gives the numbers)
 *
 * ```ts import.meta.vitest
 * import { Effect, Stream } from "effect"
 * import { Producer } from "effect-transport"
 *
 * class Numbers extends Producer.Service<Numbers, number>()("app/Numbers") {}
 *
 * const program = Effect.flatMap(Numbers, (numbers) => Stream.runCollect(Producer.toStream(numbers)))
 *
 * const main = program.pipe(Effect.provide(Numbers.layer(Producer.fromIterable([1, 2, 3]))))
 *
 * await Effect.runPromise(main) // => [1, 2, 3]
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Service = <Self, A, E = never>() =>
<const Id extends string>(
  id: Id
): ServiceClass<Self, Id, A, E> =>
  Object.assign(Context.Service<Self, Finite<A, E>>()(id), {
    layer<E2, R>(this: Context.Key<Self, Finite<A, E>>, make: Effect.Effect<Finite<A, E>, E2, R>) {
      return Layer.effect(this, make)
    }
  })

// ---------------------------------------------------------------------------------------------------------------------
// Constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A producer of what a stream emits. The stream runs from `halfRegister` on; its services are taken now.
 *
 * **Details**
 *
 * While it is paused nothing is pulled, and of a batch that was pulled before, the rest waits. What it held when it was
 * stopped is lost.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromStream = <A, E, R>(stream: Stream.Stream<A, E, R>): Effect.Effect<Finite<A, E>, never, R> =>
  Effect.contextWith((context: Context.Context<R>) =>
    Effect.sync(() =>
      driven<A, E>(() => Effect.map(Stream.toPull(Stream.provideContext(stream, context)), (pull) => ({ pull })))
    )
  )

/**
 * A producer of the items of an iterable, read as they are needed. What the iterable throws is a defect.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromIterable = <A>(iterable: Iterable<A>): Effect.Effect<Finite<A, never>> =>
  Effect.sync(() =>
    driven<A, never>(() =>
      Effect.map(
        Effect.acquireRelease(
          Effect.sync(() => iterable[Symbol.iterator]()),
          (iterator) => Effect.sync(() => iterator.return?.())
        ),
        (iterator) => ({
          pull: Effect.suspend(() => {
            const next = iterator.next()
            return next.done === true ? Cause.done() : Effect.succeed([next.value] as const)
          })
        })
      )
    )
  )

/**
 * A producer of the items of an async iterable, read as they are needed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromAsyncIterable = <A, E>(
  iterable: AsyncIterable<A>,
  onError: (error: unknown) => E
): Effect.Effect<Finite<A, E>> => fromStream(Stream.fromAsyncIterable(iterable, onError))

export {
  /**
   * What a generator yields to wait for an effect; made by `wait`.
   *
   * @category models
   * @since 0.1.0
   */
  Wait
} from "./flow/generating.ts"

/**
 * Waits in a generator, and answers with the effect's result: for when there is no item yet. A failure is thrown in the
 * generator, which may catch it and go on.
 *
 * @category constructors
 * @since 0.1.0
 */
export function* wait<A, E>(effect: Effect.Effect<A, E>): Generator<Wait, A, any> {
  return yield new Wait(effect)
}

/**
 * A producer of what a generator yields, sync or async, which knows its consumer.
 *
 * **Details**
 *
 * PEP 3153 has three objections to generators as producers. That one with no item yet has no way to say so: it waits,
 * with `yield* Producer.wait(effect)`, or by `await`, and nothing else waits with it. That one which raises loses its
 * state: an item that the consumer refuses, and an effect that fails, are thrown where it stands, and if it catches them
 * it goes on with all that it has. That only its consumer knows it, and not the other way round: it is given its
 * consumer, and may ask for its state or its levels.
 *
 * What it does not catch ends it, and `onError` makes the failure of it. When it is stopped, its `finally` is run.
 *
 * **Example** (Trying an item again)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Consumer, Producer } from "effect-transport"
 *
 * const program = Effect.gen(function*() {
 *   const taken: Array<string> = []
 *   let isUp = false
 *   const consumer = yield* Consumer.fromWrite((item: string) =>
 *     Effect.suspend(() => isUp ? Effect.sync(() => taken.push(item)) : Effect.fail("down")))
 *   const producer = yield* Producer.fromGenerator(function*() {
 *     for (const item of ["a", "b"]) {
 *       for (let isTaken = false; !isTaken;) {
 *         try {
 *           yield item
 *           isTaken = true
 *         } catch {
 *           yield* Producer.wait(Effect.sync(() => isUp = true))
 *         }
 *       }
 *     }
 *   }, (error) => error)
 *   yield* Producer.runInto(producer, consumer)
 *   return taken
 * })
 *
 * await Effect.runPromise(Effect.scoped(program)) // => ["a", "b"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromGenerator = <A, E>(
  generate: (
    consumer: Consumer<never, unknown>
  ) => Iterator<A, unknown, any> | AsyncIterator<A, unknown, any>,
  onError: (error: unknown) => E
): Effect.Effect<Finite<Exclude<A, Wait>, E>> =>
  Effect.sync(() =>
    driven<Exclude<A, Wait>, E>((consumer) =>
      Effect.map(
        Effect.acquireRelease(
          Effect.sync(() => new Generating<Exclude<A, Wait>, E>(generate(consumer), onError)),
          (generating) => generating.end
        ),
        (generating) => ({ pull: generating.pull, refused: (error) => generating.refused(error) })
      )
    )
  )

/**
 * A producer of what a connection receives: a transport is a producer of its input.
 *
 * **Details**
 *
 * It holds the reader's lease while it is registered; `ended` fails with `Busy` where another has it. While it is paused
 * the peer is held back. Nothing is lost when it stops: what was pulled and not taken goes back, and the next reader sees
 * it first.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromConnection = <In, Out, E>(connection: Connection<In, Out, E>): Effect.Effect<Finite<In, E>> =>
  Effect.sync(() => driven<In, E>(() => connection.reader))

/**
 * A producer of what is taken from a queue of Effect's, one at a time. It ends with the queue; an item that it holds when
 * it is stopped is lost.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromQueue = <A, E>(
  queue: Queue.Dequeue<A, E>
): Effect.Effect<Finite<A, Exclude<E, Cause.Done>>> =>
  Effect.sync(() =>
    driven<A, Exclude<E, Cause.Done>>(() =>
      Effect.succeed({
        pull: Effect.map(Queue.take(queue), (item) => [item] as const) as Pulling<A, Exclude<E, Cause.Done>>
      })
    )
  )

/**
 * A producer of what is published from now on. The subscription lives as long as the registration.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromPubSub = <A>(pubsub: PubSub.PubSub<A>): Effect.Effect<Finite<A, never>> =>
  Effect.sync(() =>
    driven<A, never>(() =>
      Effect.map(PubSub.subscribe(pubsub), (subscription) => ({
        pull: Effect.map(PubSub.take(subscription), (item) => [item] as const)
      }))
    )
  )

/**
 * A producer of what a source gives by calling back, which can be paused.
 *
 * **Details**
 *
 * `subscribe` is called by `halfRegister`; it begins to emit, and answers with what pauses, resumes and stops it, each of
 * which is called in turn: `pause` when the consumer says so, or when an item has to wait for it. What still comes after a
 * pause waits in order, at most `overshootMax` items (default 16): a source that goes on beyond that does not heed its
 * pause, is stopped, and `ended` fails with `LimitExceeded`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromCallback = <A, E = never>(
  subscribe: (emitter: Emitter<A, E>) => {
    readonly pause: () => void
    readonly resume: () => void
    readonly stop: () => void
  },
  options?: { readonly overshootMax?: number | undefined }
): Effect.Effect<Finite<A, E | TransportError.TransportError>, TransportError.TransportError> => {
  const overshootMax = options?.overshootMax ?? 16
  return isCount(overshootMax, 0)
    ? Effect.sync(() => new Calling<A, E>(subscribe, overshootMax).producer())
    : refuse("overshootMax", "a non-negative integer", overshootMax)
}

/**
 * A source that gives by calling back and cannot be paused: a clock, a sensor, a signal. `subscribe` answers with what
 * stops it.
 *
 * **When to use**
 *
 * Register it with a consumer that sheds (`fail`, `dropNewest`, `dropOldest`, `latest`), or make it a producer with
 * `buffered`. A consumer that suspends does not take it: its bound would be no backpressure.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromUnpausable = <A, E = never>(
  subscribe: (emitter: Emitter<A, E>) => () => void
): Effect.Effect<FiniteUnpausable<A, E | TransportError.TransportError>> =>
  Effect.sync(() => {
    const { ended, halfRegister, stop } = new Calling<A, E>((emitter) => {
      const stop = subscribe(emitter)
      return { pause: () => {}, resume: () => {}, stop }
      // Consumers that shed do not wait; one that does for all that is a consumer of somebody else's.
    }, 16).producer()
    return { ended, halfRegister, stop }
  })

// ---------------------------------------------------------------------------------------------------------------------
// Combinators
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Registers the producer, and waits until all has been written. Interrupted, it stops the producer. The consumer lives
 * on.
 *
 * **Details**
 *
 * Fails with what the source fails with, with what the consumer's `write` fails with, and with `Closed` when the consumer
 * stopped the producer before it had no more.
 *
 * **Example** (Sending a stream over a transport)
 *
 * ```ts import.meta.vitest
 * import { Effect, Stream } from "effect"
 * import { Connection, Consumer, Producer, TestTransport } from "effect-transport"
 *
 * const program = Effect.gen(function*() {
 *   const [a, b] = yield* TestTransport.pair()
 *   const consumer = yield* Consumer.fromConnection(a)
 *   const bytes = Stream.encodeText(Stream.make("hel", "lo"))
 *   yield* Producer.runInto(yield* Producer.fromStream(bytes), consumer)
 *   yield* consumer.close
 *   return yield* Stream.mkString(Stream.decodeText(Connection.stream(b)))
 * })
 *
 * await Effect.runPromise(Effect.scoped(program)) // => "hello"
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const runInto: {
  <A, E2>(
    consumer: Consumer<A, E2>
  ): <E>(self: Finite<A, E>) => Effect.Effect<void, E | E2 | TransportError.TransportError>
  <A, E, E2>(self: Finite<A, E>, consumer: Consumer<A, E2>): Effect.Effect<void, E | E2 | TransportError.TransportError>
} = dual(
  2,
  <A, E, E2>(
    self: Finite<A, E>,
    consumer: Consumer<A, E2>
  ): Effect.Effect<void, E | E2 | TransportError.TransportError> =>
    Effect.scoped(
      Effect.gen(function*() {
        // First, so that somebody waits for the end when it comes.
        const ended = yield* Effect.forkScoped(self.ended, { startImmediately: true })
        let isStopped = false
        const stop = Effect.suspend(() => {
          isStopped = true
          return self.stop
        })
        const registering = consumer.register({
          pause: self.pause,
          resume: self.resume,
          stop,
          halfRegister: (consumer) => self.halfRegister(consumer)
        })
        yield* Effect.onInterrupt(registering, () => self.stop)
        yield* Fiber.join(ended)
        if (isStopped) {
          return yield* TransportError.make("write", "consumer", new TransportError.Closed({ by: "close" }))
        }
      })
    ).pipe(
      Effect.catch((error): Effect.Effect<never, E | E2 | TransportError.TransportError> =>
        Effect.fail(error instanceof WriteFailed ? error.cause as E2 : error)
      )
    )
)

/**
 * What a producer writes, as a stream, until it unregisters or ends. The buffer between has the bounds of the options,
 * and its policy. A producer serves one consumer, so the stream runs once.
 *
 * @category converting
 * @since 0.1.0
 */
export const toStream = <A, E = never>(
  self: Producer<A> | Finite<A, E>,
  options?: Consumers.Options<A>
): Stream.Stream<A, E | TransportError.TransportError> =>
  Stream.unwrap(Effect.gen(function*() {
    const buffer = yield* Consumers.make<A>(options)
    const ended = "ended" in self ? yield* Effect.forkScoped(self.ended, { startImmediately: true }) : undefined
    yield* buffer.register({
      pause: self.pause,
      resume: self.resume,
      stop: self.stop,
      halfRegister: () => self.halfRegister(endingWithProducer(buffer))
    })
    return ended === undefined
      ? buffer.stream
      : Stream.concat(buffer.stream, Stream.drain(Stream.fromEffect(outcomeOf(ended))))
  }))

/**
 * Makes a producer of a source that cannot be paused: a bounded buffer stands between, which loses what its policy says
 * while the consumer wants a pause.
 *
 * @category combinators
 * @since 0.1.0
 */
export const buffered = <A, E, P extends Exclude<Consumers.Policy, "suspend">>(
  self: FiniteUnpausable<A, E>,
  options:
    & Consumers.Options<A>
    & { readonly policy: P }
    & (P extends "latest" ? { readonly key: (item: A) => unknown }
      : unknown)
): Effect.Effect<Finite<A, E | TransportError.TransportError>, TransportError.TransportError> => {
  // The policy is checked, and to the buffer all that shed are alike.
  const make = Consumers.make as unknown as (
    options: Consumers.Options<A>
  ) => Effect.Effect<Consumers.Shedding<A, "dropNewest">, TransportError.TransportError, Scope.Scope>
  return Effect.as(
    // Made once to see whether it can be.
    Effect.scoped(make(options)),
    driven<A, E | TransportError.TransportError>(() =>
      Effect.gen(function*() {
        const buffer = yield* make(options)
        const ended = yield* Effect.forkScoped(self.ended, { startImmediately: true })
        yield* buffer.register({
          stop: self.stop,
          halfRegister: () => self.halfRegister(endingWithProducer(buffer))
        })
        yield* Effect.addFinalizer(() => self.stop)
        // One by one: what has been taken can be neither dropped nor superseded.
        const one = Effect.map(buffer.take, (item) => [item] as const)
        return { pull: Pull.catchDone(one, () => Effect.andThen(outcomeOf(ended), Cause.done())) }
      })
    )
  )
}

/**
 * One producer of several: their items as they come, each producer's own in order. Pause, resume and stop go to all. It
 * ends when all have; when one fails, the others are stopped, and it fails with that.
 *
 * @category constructors
 * @since 0.1.0
 */
export const merge = <A, E>(producers: ReadonlyArray<Finite<A, E>>): Effect.Effect<Finite<A, E>> =>
  Effect.sync(() => {
    const tell = (signal: "pause" | "resume" | "stop") =>
      Effect.forEach(producers, (producer) => producer[signal], { discard: true })
    const ending = new End<E>()
    return {
      pause: tell("pause"),
      resume: tell("resume"),
      stop: Effect.suspend(() => {
        // Where it was never registered nobody else will say so.
        if (!ending.isBegun) ending.done(Exit.void)
        return tell("stop")
      }),
      ended: ending.ended,
      halfRegister: (consumer) =>
        Effect.gen(function*() {
          ending.begin()
          const part: Consumer<A, unknown> = {
            write: (item) => consumer.write(item),
            register: (producer) => consumer.register(producer),
            unregister: Effect.void,
            state: consumer.state
          }
          const all = Effect.forEach(producers, (producer) => producer.ended, {
            concurrency: "unbounded",
            discard: true
          })
          yield* Effect.forkScoped(
            Effect.onExit(
              Effect.onError(all, () => tell("stop")),
              (exit) => Effect.andThen(consumer.unregister, ending.finish(exit))
            ),
            { startImmediately: true }
          )
          const begun = Effect.forEach(producers, (producer) => producer.halfRegister(part), { discard: true })
          yield* Effect.onError(begun, () => tell("stop"))
        })
    }
  })

// ---------------------------------------------------------------------------------------------------------------------
// Private
// ---------------------------------------------------------------------------------------------------------------------

const refuse = (field: string, expected: string, actual: unknown) =>
  Effect.fail(TransportError.invalidOption("control", "producer", { field, expected, actual }))

/** The consumer, for a producer whose end is the end of all writing. */
const endingWithProducer = <A, P extends Consumers.Policy>(
  buffer: Consumers.Buffered<A, P>
): Consumer<A, unknown> => ({
  ...buffer,
  // Its own place is free by then, so this waits for nothing.
  unregister: Effect.andThen(buffer.unregister, Effect.ignore(buffer.halfClose))
})

/** How a producer went, for those who read what it wrote: that a buffer between refused an item is ours to tell. */
const outcomeOf = <E>(
  ended: Fiber.Fiber<void, E | WriteFailed>
): Effect.Effect<void, E | TransportError.TransportError> =>
  Effect.catch(Fiber.join(ended), (error) =>
    Effect.fail(
      error instanceof WriteFailed
        ? error.cause instanceof TransportError.TransportError
          ? error.cause
          : TransportError.make("write", "producer", new TransportError.Failed(), { cause: error.cause })
        : error as E
    ))
