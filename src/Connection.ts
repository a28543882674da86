/**
 * A live, ordered, two-ended connection of messages of any type: the shape of every layer of a stack.
 *
 * A transport is a connection of bytes; a protocol turns one connection into another. The combinators here need no more
 * than this shape, so they work at every height. Reading is a lease: one reader at a time, and an interrupted one frees
 * the side at once and loses nothing that it had not pulled.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { Splice } from "./internal/splice.ts"
import { type Underneath, underneath } from "./internal/underneath.ts"
import { withReader } from "./once.ts"
import { delivery } from "./TransportError.ts"

/**
 * A lease on the reading side. While one is held, asking for another fails with `Busy`; releasing it frees the side at
 * once.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reader<in out In, out E> {
  /**
   * The next items, at least one. `Cause.Done` is the end, and it is sticky. Waits for input; an interrupted pull loses
   * nothing; a second pull at the same time fails with `Busy`; `close` and `abort` wake it with `Closed`.
   */
  readonly pull: Pull.Pull<NonEmptyReadonlyArray<In>, E>
  /** Puts items back in front: the next reader sees them first. Bound: what this lease has pulled; more is a defect. */
  readonly unread: (items: ReadonlyArray<In>) => Effect.Effect<void>
  /**
   * Runs `f` on each batch where it arrives, with no parked fiber, until the end. `Connection.forEach` uses it, and
   * pulls in a loop where a connection has none.
   */
  readonly forEach?:
    | (<E2, R2>(
      f: (batch: NonEmptyReadonlyArray<In>) => Effect.Effect<void, E2, R2>
    ) => Effect.Effect<void, E | E2, R2>)
    | undefined
}

/**
 * A live, ordered, two-ended connection. A transport is a `Connection<Uint8Array, Uint8Array, TransportError>`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connection<in out In, in Out, out E> {
  /** Takes the lease on reading, or fails with `Busy`. The lease ends with the scope. */
  readonly reader: Effect.Effect<Reader<In, E>, E, Scope.Scope>
  /**
   * Waits for room, then takes the item whole. Work happens when run, never when built. Writes of several fibers queue
   * in order. Interrupted while it waits for room, nothing is sent; later, the item still goes out whole.
   */
  readonly write: (out: Out) => Effect.Effect<void, E>
  /** As one write: contiguous, checked as a whole before anything is taken (PEP 3153's write_sequence). */
  readonly writeAll: (outs: ReadonlyArray<Out>) => Effect.Effect<void, E>
  /**
   * No more writes; flush; end; release. Completes when that is done; bounded by `closeTimeout`, after which it aborts
   * and fails with `TimedOut`. Interrupted, it aborts. Repeating it is harmless.
   */
  readonly close: Effect.Effect<void, E>
  /** Drops what is queued and ends now. Never waits; wakes whoever does with `Closed` by `abort`. */
  readonly abort: Effect.Effect<void>
  /** As `abort`; whoever waits sees the cause. */
  readonly abortWith: (cause: Cause.Cause<unknown>) => Effect.Effect<void>
  /** Waits for the end. Succeeds if both directions ended cleanly, else fails with what ended it. */
  readonly closed: Effect.Effect<void, E>
}

/**
 * A connection whose writing direction can end alone: `halfClose` flushes, shows the peer our end, and reading goes on.
 * Interrupted, the end still goes out. Repeating it is harmless; after `close` or `abort` it fails with `Closed`.
 *
 * @category models
 * @since 0.1.0
 */
export type HalfCloseable<C extends Connection<any, any, any>> = C & {
  readonly halfClose: C extends Connection<any, any, infer E> ? Effect.Effect<void, E> : never
}

/**
 * Whether the writing direction of this connection can end alone.
 *
 * @category guards
 * @since 0.1.0
 */
export const isHalfCloseable = <C extends Connection<any, any, any>>(self: C): self is HalfCloseable<C> =>
  "halfClose" in self && Effect.isEffect(self.halfClose)

/**
 * One item; the rest stays for the next reader, so that n takes in a row see every item.
 *
 * @category combinators
 * @since 0.1.0
 */
export const take = <In, Out, E>(self: Connection<In, Out, E>): Pull.Pull<In, E> =>
  withReader(
    self,
    (reader) =>
      Effect.flatMap(reader.pull, (items) =>
        items.length === 1 ? Effect.succeed(items[0]) : Effect.as(reader.unread(items.slice(1)), items[0]))
  )

/**
 * Everything that arrives, until the end. Holds the reader while it runs.
 *
 * **Gotchas**
 *
 * What the stream has pulled is its own: `Stream.take(1)` drops the rest of a batch. Use `batchMax: 1` or `take` where
 * the tail matters.
 *
 * @category converting
 * @since 0.1.0
 */
export const stream = <In, Out, E>(
  self: Connection<In, Out, E>,
  options?: { readonly batchMax?: number | undefined }
): Stream.Stream<In, E> => {
  const batchMax = options?.batchMax ?? Infinity
  return Stream.fromChannel(
    Channel.fromTransform((_, scope) =>
      Effect.map(
        Scope.provide(self.reader, scope),
        (reader) => batchMax === Infinity ? reader.pull : pullAtMost(reader, Math.max(1, Math.trunc(batchMax) || 1))
      )
    )
  )
}

/**
 * Writes what it receives, each batch as one `writeAll`, so that it suspends with the connection.
 *
 * **Details**
 *
 * At the end of its input it keeps the connection open; `endOnDone` makes it half-close or close instead. On a
 * connection that cannot half-close, `"halfClose"` closes.
 *
 * @category converting
 * @since 0.1.0
 */
export const sink = <In, Out, E>(
  self: Connection<In, Out, E>,
  options?: { readonly endOnDone?: "halfClose" | "close" | "keep" | undefined }
): Sink.Sink<void, Out, never, E> => {
  const writing = Sink.forEachArray((items: NonEmptyReadonlyArray<Out>) => self.writeAll(items))
  const endOnDone = options?.endOnDone ?? "keep"
  return endOnDone === "keep" ? writing : Sink.mapEffect(writing, () => endWriting(self, endOnDone))
}

/**
 * Runs `f` on each batch inside the read callback: no parked fiber, so the cheapest effectful way to read. In order,
 * never overlapping. While `f` runs, the peer is held back.
 *
 * **Details**
 *
 * Completes at the end of input. `close` and `abort` end it once `f` has ended. A failure of `f` ends it, and what has not been handed to `f` stays for the next
 * reader; an interruption interrupts `f`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const forEach: {
  <In, E2, R2>(
    f: (batch: NonEmptyReadonlyArray<In>) => Effect.Effect<void, E2, R2>
  ): <Out, E>(self: Connection<In, Out, E>) => Effect.Effect<void, E | E2, R2>
  <In, Out, E, E2, R2>(
    self: Connection<In, Out, E>,
    f: (batch: NonEmptyReadonlyArray<In>) => Effect.Effect<void, E2, R2>
  ): Effect.Effect<void, E | E2, R2>
} = dual(
  2,
  <In, Out, E, E2, R2>(
    self: Connection<In, Out, E>,
    f: (batch: NonEmptyReadonlyArray<In>) => Effect.Effect<void, E2, R2>
  ): Effect.Effect<void, E | E2, R2> =>
    Effect.scoped(
      Effect.flatMap(self.reader, (reader) =>
        reader.forEach !== undefined ? reader.forEach(f) : untilDone(Effect.flatMap(reader.pull, f)))
    )
)

/**
 * The connection as a channel: what the channel is given is written, what arrives comes out. The reader is held while
 * it runs; the end of the channel's input half-closes where the connection can. A write that fails aborts the connection,
 * and the channel's output fails with that.
 *
 * @category converting
 * @since 0.1.0
 */
export const channel = <In, Out, E>(
  self: Connection<In, Out, E>
): Channel.Channel<NonEmptyReadonlyArray<In>, E, void, NonEmptyReadonlyArray<Out>, never> =>
  Channel.fromTransform((upstream: Pull.Pull<NonEmptyReadonlyArray<Out>, never, unknown>, scope) =>
    Effect.gen(function*() {
      const reader = yield* Scope.provide(self.reader, scope)
      const writing = Effect.andThen(
        untilDone(Effect.flatMap(upstream, (items) => self.writeAll(items))),
        isHalfCloseable(self) ? self.halfClose as Effect.Effect<void, E> : Effect.void
      )
      // A writer that fails must not wait to be noticed until the peer says something.
      yield* Effect.forkIn(Effect.tapError(writing, (error) => self.abortWith(Cause.fail(error))), scope)
      return reader.pull
    })
  )

/**
 * Moves everything that arrives on `from` to `to`, until the end of `from`.
 *
 * **Details**
 *
 * At that end `to` stays open; `endOnDone` half-closes or closes it. It holds at most one batch: a slow `to` holds
 * `from` back. A batch that could not be sent at all (`NotSent`) goes back in front of `from`, also when interrupted; one
 * that was begun still goes out whole. Between two transports bytes go from read to write in the read callback, with no
 * fiber between, and where the medium can, in memory that is used again.
 *
 * @category combinators
 * @since 0.1.0
 */
export const copy = <A, Out, E, In, E2>(
  from: Connection<A, Out, E>,
  to: Connection<In, A, E2>,
  options?: { readonly endOnDone?: "halfClose" | "close" | "keep" | undefined }
): Effect.Effect<void, E | E2> => {
  const endOnDone = options?.endOnDone ?? "keep"
  const moving = Effect.suspend(() => {
    const source = underneath<E>(from)
    const target = underneath<E2>(to)
    return source !== undefined && target !== undefined ? splice(from, source, target) : copyByBatch(from, to)
  })
  return endOnDone === "keep" ? moving : Effect.andThen(moving, endWriting(to, endOnDone))
}

/** In the read callback of one transport, into the output of the other. Holding the reader keeps everybody else out. */
const splice = <A, Out, E, E2>(
  from: Connection<A, Out, E>,
  source: Underneath<E>,
  target: Underneath<E2>
): Effect.Effect<void, E | E2> =>
  Effect.scoped(Effect.andThen(
    from.reader,
    Effect.callback<void, E | E2>((resume) => {
      const splicing = new Splice(source.duplex, target.duplex, (outcome) =>
        resume(
          outcome === undefined ? Effect.void : Effect.suspend(() =>
            Effect.fail<E | E2>(
              outcome.by === "read"
                ? source.errorOf("read", outcome.fault)
                : target.errorOf("write", outcome.fault, outcome.delivery)
            )
          )
        ))
      splicing.start()
      return Effect.sync(() => splicing.stop())
    })
  ))

const copyByBatch = <A, Out, E, In, E2>(
  from: Connection<A, Out, E>,
  to: Connection<In, A, E2>
): Effect.Effect<void, E | E2> =>
  Effect.scoped(
    Effect.flatMap(from.reader, (reader) => {
      const move = Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(
          restore(reader.pull),
          (items) => {
            let isBegun = false
            const writing = Effect.suspend(() => {
              isBegun = true
              return to.writeAll(items)
            })
            return Effect.onExit(
              restore(writing),
              (exit) => Exit.isFailure(exit) && (!isBegun || isNotSent(exit.cause)) ? reader.unread(items) : Effect.void
            )
          }
        )
      )
      return untilDone(move)
    })
  )

/**
 * Joins two connections: everything that arrives on one is written to the other, in both directions at once.
 *
 * **Details**
 *
 * Completes when both directions have ended. The end of one side half-closes the other, where it can; where it cannot,
 * the other is closed once both have ended. A failure of either side aborts both with its cause, and so does an
 * interruption.
 *
 * @category combinators
 * @since 0.1.0
 */
export const copyBidirectional = <A, B, E, E2>(
  left: Connection<A, B, E>,
  right: Connection<B, A, E2>
): Effect.Effect<void, E | E2> =>
  Effect.onExit(
    Effect.all([
      Effect.andThen(copy(left, right), halfCloseWhereItCan(right)),
      Effect.andThen(copy(right, left), halfCloseWhereItCan(left))
    ], { concurrency: 2, discard: true }),
    (exit): Effect.Effect<void, E | E2> =>
      Exit.isFailure(exit)
        ? Effect.andThen(left.abortWith(exit.cause), right.abortWith(exit.cause))
        : Effect.all([left.close, right.close], { concurrency: 2, discard: true })
  )

/**
 * Joins two one-way halves into one connection: it reads from the one and writes to the other.
 *
 * **Details**
 *
 * `close` and `halfClose` of the joined connection end the writing half as `close` does; `close` ends both. `abort` aborts
 * both. `close` and `closed` wait for both halves, also when one fails.
 *
 * @category constructors
 * @since 0.1.0
 */
export const staple = <In, Out, E, E2, Ignored>(halves: {
  readonly reading: Connection<In, never, E>
  readonly writing: Connection<Ignored, Out, E2>
}): HalfCloseable<Connection<In, Out, E | E2>> => {
  const { reading, writing } = halves
  const abort = Effect.andThen(writing.abort, reading.abort)
  return {
    reader: reading.reader,
    write: writing.write,
    writeAll: writing.writeAll,
    halfClose: writing.close,
    close: bothOf(writing.close, reading.close),
    abort,
    abortWith: (cause) => Effect.andThen(writing.abortWith(cause), reading.abortWith(cause)),
    closed: bothOf(reading.closed, writing.closed)
  }
}

/**
 * Who looks on at a connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Observer<C extends Connection<any, any, any>> {
  readonly onRead?: ((items: ReadonlyArray<ItemIn<C>>) => Effect.Effect<void>) | undefined
  readonly onWrite?: ((items: ReadonlyArray<ItemOut<C>>) => Effect.Effect<void>) | undefined
}

type ItemIn<C> = C extends Connection<infer In, any, any> ? In : never
type ItemOut<C> = C extends Connection<any, infer Out, any> ? Out : never

/**
 * Shows what passes: `onRead` sees each batch as it is pulled, `onWrite` what is about to be written. Neither changes
 * anything; each runs in the fiber that reads or writes, so a slow one slows that direction. A pull that is interrupted
 * while `onRead` runs puts its batch back, and `onRead` sees it again.
 *
 * @category combinators
 * @since 0.1.0
 */
export const tap: {
  <C extends Connection<any, any, any>>(observer: Observer<C>): (self: C) => C
  <C extends Connection<any, any, any>>(self: C, observer: Observer<C>): C
} = dual(2, <In, Out, E, C extends Connection<In, Out, E>>(self: C, observer: Observer<Connection<In, Out, E>>): C => {
  const { onRead, onWrite } = observer
  return {
    ...self,
    reader: onRead === undefined ? self.reader : Effect.map(self.reader, (reader): Reader<In, E> => ({
      unread: reader.unread,
      pull: tapPull(reader, onRead),
      forEach: reader.forEach && ((f) => reader.forEach!((batch) => Effect.andThen(onRead(batch), f(batch))))
    })),
    write: onWrite === undefined
      ? self.write
      : (out: Out) => Effect.andThen(Effect.suspend(() => onWrite([out])), self.write(out)),
    writeAll: onWrite === undefined
      ? self.writeAll
      : (outs: ReadonlyArray<Out>) => Effect.andThen(Effect.suspend(() => onWrite(outs)), self.writeAll(outs))
  }
})

// ---------------------------------------------------------------------------------------------------------------------

/** Waits for both, and fails with the first failure in this order. */
const bothOf = <E, E2>(one: Effect.Effect<void, E>, other: Effect.Effect<void, E2>): Effect.Effect<void, E | E2> =>
  Effect.flatMap(
    Effect.all([Effect.exit(one), Effect.exit(other)], { concurrency: 2 }),
    ([first, second]): Exit.Exit<void, E | E2> => Exit.isFailure(first) ? first : second
  )

/** Runs `f` with the lease. `restore` marks what may be interrupted: between a pull and its `unread` nothing may. */
const pullAtMost = <In, E>(reader: Reader<In, E>, max: number): Pull.Pull<NonEmptyReadonlyArray<In>, E> =>
  pullThen(reader, (items) =>
    items.length <= max
      ? Effect.succeed(items)
      : Effect.as(reader.unread(items.slice(max)), items.slice(0, max) as unknown as NonEmptyReadonlyArray<In>))

/** Interrupted while the observer looks on, the batch goes back, since its caller will not have it. */
const tapPull = <In, E>(
  reader: Reader<In, E>,
  onRead: (items: ReadonlyArray<In>) => Effect.Effect<void>
): Pull.Pull<NonEmptyReadonlyArray<In>, E> =>
  pullThen(
    reader,
    (items, restore) => Effect.as(Effect.onInterrupt(restore(onRead(items)), () => reader.unread(items)), items)
  )

/** What a pull brings, worked on and handed over in the last step; interrupted before it, what is left of it goes back. */
const pullThen = <In, E>(
  reader: Reader<In, E>,
  f: (
    items: NonEmptyReadonlyArray<In>,
    restore: <A, E2, R>(effect: Effect.Effect<A, E2, R>) => Effect.Effect<A, E2, R>
  ) => Effect.Effect<NonEmptyReadonlyArray<In>>
): Pull.Pull<NonEmptyReadonlyArray<In>, E> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(reader.pull), (items) =>
      Effect.flatMap(f(items, restore), (kept) =>
        Effect.catchCause(
          restore(Effect.sync(() => kept)),
          (cause) => Effect.andThen(reader.unread(kept), Effect.failCause(cause))
        )))
  )

const untilDone = <A, E, R>(step: Effect.Effect<A, E, R>): Effect.Effect<void, Pull.ExcludeDone<E>, R> =>
  Pull.catchDone(Effect.forever(step, { disableYield: true }), () => Effect.void) as Effect.Effect<
    void,
    Pull.ExcludeDone<E>,
    R
  >

const isNotSent = (cause: Cause.Cause<unknown>): boolean => {
  const verdict = delivery(cause)
  return verdict._tag === "Some" && verdict.value === "NotSent"
}

const endWriting = <In, Out, E>(self: Connection<In, Out, E>, how: "halfClose" | "close"): Effect.Effect<void, E> =>
  how === "halfClose" && isHalfCloseable(self) ? self.halfClose as Effect.Effect<void, E> : self.close

const halfCloseWhereItCan = <In, Out, E>(self: Connection<In, Out, E>): Effect.Effect<void, E> =>
  isHalfCloseable(self) ? self.halfClose as Effect.Effect<void, E> : Effect.void
