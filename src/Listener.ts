/**
 * What accepts connections: one at a time with `accept`, or all of them with `serve`.
 *
 * `serve` gives each connection a scope of its own, so that one that fails harms no other, bounds how many run at once,
 * and shuts down in phases. What waits to be accepted is bounded by the network's backlog; what comes beyond is reset.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Endpoint from "./Endpoint.ts"
import { Backlog, Refusal, type Taker } from "./internal/backlog.ts"
import { durationOf, isCount } from "./internal/check.ts"
import { waitsOn } from "./internal/waiting.ts"
import type { Transport } from "./Transport.ts"
import * as TransportError from "./TransportError.ts"

/**
 * A bound address.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listener<out T extends Transport = Transport> {
  /** Where it listens, with the real port if port 0 was asked for. */
  readonly endpoint: Endpoint.Endpoint
  /**
   * Waits for the next connection, which lives as long as the scope. Interrupted, it loses none; several fibers may
   * wait. Fails with `Closed` once the listener is closed; any other failure (no descriptors left, for one) leaves the
   * listener as it was.
   */
  readonly accept: Effect.Effect<T, TransportError.TransportError, Scope.Scope>
  /**
   * Accepts for ever and runs the handler for each connection, in a scope of the connection's own: the handler's
   * success closes it, its failure or interruption aborts it.
   *
   * **Details**
   *
   * At most `connectionsMax` handlers run at once (default 1024); further connections wait in the backlog. A handler
   * that fails is logged and harms no other, and so is a connection that is lost while it is accepted. After a failure
   * of the listener itself it waits 100 milliseconds, so that a lack of descriptors does not spin. Interrupted, or when
   * the listener is closed, it closes the listener, gives the handlers `drain` to finish (default no time), then
   * interrupts those that are left and logs which connections were cut. A handler has finished when its connection is
   * closed.
   */
  readonly serve: <_, E, R>(
    handler: (transport: T) => Effect.Effect<_, E, R>,
    options?: { readonly connectionsMax?: number | undefined; readonly drain?: Duration.Input | undefined }
  ) => Effect.Effect<never, TransportError.TransportError, Exclude<R, Scope.Scope>>
}

/**
 * What a network gives to make a listener: `Item` is a connection that has arrived and is not yet a transport.
 *
 * @category models
 * @since 0.1.0
 */
export interface Source<Item extends object, T extends Transport> {
  readonly endpoint: Endpoint.Endpoint
  /** How many connections may wait to be accepted. */
  readonly backlogMax: number
  /** Starts to listen. What it answers stops: no more connections come, those accepted live on. */
  readonly open: (port: {
    /** A connection has arrived. False when it is to be reset: the backlog is full. */
    readonly offer: (item: Item) => boolean
    /** It went away before it was accepted. */
    readonly remove: (item: Item) => void
    /** A connection could not be accepted. */
    readonly failed: (cause: unknown) => void
  }) => () => void
  /**
   * Makes a transport of it. Not interruptible, and the next connection waits meanwhile, so a handshake belongs before
   * `offer`. Where it fails, nothing is left of the item.
   */
  readonly accept: (item: Item) => Effect.Effect<T, TransportError.TransportError, Scope.Scope>
  /** Gets rid of one that was never accepted. */
  readonly reject: (item: Item) => void
  readonly reasonOf: (cause: unknown) => TransportError.Reason
}

/**
 * Makes a listener that lives as long as the scope: how one writes a network of one's own.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Item extends object, T extends Transport>(
  source: Source<Item, T>
): Effect.Effect<Listener<T>, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const backlog = new Backlog<Item>(source.backlogMax)
        const close = source.open({
          offer: (item) => backlog.offer(item),
          remove: (item) => backlog.remove(item),
          failed: (cause) => backlog.fail(cause)
        })
        const stop = Effect.sync(() => {
          if (backlog.isStopped) return
          // First, so that the address is free when the waiters hear of it.
          close()
          for (const item of backlog.stop()) source.reject(item)
        })
        return { backlog, stop }
      }),
      ({ stop }) => stop
    ),
    ({ backlog, stop }): Listener<T> => {
      const next = nextOf(source, backlog)
      return {
        endpoint: source.endpoint,
        accept: Effect.uninterruptibleMask((restore) => Effect.flatMap(next(restore), source.accept)),
        serve: (handler, options) => serve(source, backlog, stop, handler, options)
      }
    }
  )

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** Takes the next connection that has arrived. To be run uninterruptibly: one that was taken has nobody else. */
type Next<Item> = (restore: Restore) => Effect.Effect<Item, TransportError.TransportError>

const nextOf = <Item extends object, T extends Transport>(
  source: Source<Item, T>,
  backlog: Backlog<Item>
): Next<Item> => {
  const parked = waitsOn(
    Effect.callback<void>((resume) => {
      const wake = () => resume(Effect.void)
      backlog.await(wake)
      return Effect.sync(() => backlog.cancel(wake))
    }),
    () => `a connection to ${Endpoint.format(source.endpoint)}`
  )
  return (restore) => {
    const poll: Effect.Effect<Item, TransportError.TransportError> = Effect.suspend(() => {
      const item = backlog.poll()
      if (item === undefined) return Effect.andThen(restore(parked), poll)
      return item instanceof Refusal ? Effect.fail(errorOf(source, item)) : Effect.succeed(item)
    })
    return poll
  }
}

const errorOf = <Item extends object, T extends Transport>(
  source: Source<Item, T>,
  refusal: Refusal
): TransportError.TransportError =>
  refusal.isStopped
    ? TransportError.make("accept", Endpoint.format(source.endpoint), new TransportError.Closed({ by: "close" }))
    : TransportError.make("accept", Endpoint.format(source.endpoint), source.reasonOf(refusal.cause), refusal)

const serve = <Item extends object, T extends Transport, _, E, R>(
  source: Source<Item, T>,
  backlog: Backlog<Item>,
  stop: Effect.Effect<void>,
  handler: (transport: T) => Effect.Effect<_, E, R>,
  options: { readonly connectionsMax?: number | undefined; readonly drain?: Duration.Input | undefined } | undefined
): Effect.Effect<never, TransportError.TransportError, Exclude<R, Scope.Scope>> =>
  Effect.contextWith((context: Context.Context<Exclude<R, Scope.Scope>>) => {
    const { endpoint } = source
    const connectionsMax = options?.connectionsMax ?? 1024
    if (!isCount(connectionsMax, 1)) {
      return refuse(endpoint, "connectionsMax", "a positive integer", connectionsMax)
    }
    const drain = durationOf(options?.drain ?? 0)
    if (drain === undefined) {
      return refuse(endpoint, "drain", "a finite duration", options?.drain)
    }
    const fork = Effect.runForkWith(context)
    /** Handlers, with their connection once it is accepted. */
    const running = new Map<Fiber.Fiber<void>, { transport?: T }>()
    let free = connectionsMax

    const run = (transport: T, scope: Scope.Closeable) =>
      Effect.suspend(() => handler(transport)).pipe(
        Effect.interruptible,
        Scope.use(scope),
        Effect.matchCauseEffect({
          onFailure: (cause) =>
            Cause.hasInterruptsOnly(cause)
              ? Effect.void
              : Effect.logWarning(`the handler of ${nameOf(transport)} failed`, cause),
          onSuccess: () => Effect.void
        })
      )

    // It fails for this connection alone.
    const lost = (scope: Scope.Closeable, cause: Cause.Cause<TransportError.TransportError>) =>
      Effect.andThen(
        Scope.close(scope, Exit.failCause(cause)),
        Effect.logWarning(`${Endpoint.format(endpoint)}: a connection was lost`, cause)
      )

    // In the fiber of the handler, and in the callback of the medium: to wake one that accepts would cost as much again.
    const take = (item: Item) => {
      free--
      const accepted: { transport?: T } = {}
      const serving = Effect.suspend(() => {
        const scope = Scope.makeUnsafe()
        return Effect.matchCauseEffect(Scope.provide(source.accept(item), scope), {
          onFailure: (cause) => lost(scope, cause),
          onSuccess: (transport) => run(accepted.transport = transport, scope)
        })
      })
      // Uninterruptible, since one that is interrupted before it began would leave its connection open.
      const fiber = fork(serving, { uninterruptible: true })
      running.set(fiber, accepted)
      fiber.addObserver(() => {
        running.delete(fiber)
        free++
        backlog.give()
      })
    }

    const taking = waitsOn(
      Effect.callback<never, TransportError.TransportError>((resume) => {
        const taker: Taker<Item> = {
          hasRoom: () => free > 0,
          take,
          refused: (refusal) => resume(Effect.fail(errorOf(source, refusal)))
        }
        backlog.join(taker)
        return Effect.sync(() => backlog.leave(taker))
      }),
      () => free > 0 ? `a connection to ${Endpoint.format(endpoint)}` : `one of ${connectionsMax} handlers to end`
    )

    const shutDown = Effect.gen(function*() {
      yield* stop
      if (running.size > 0 && !Duration.isZero(drain)) {
        yield* Effect.timeoutOption(Fiber.awaitAll(Array.from(running.keys())), drain)
      }
      if (running.size === 0) return undefined
      const cut = Array.from(running.values(), ({ transport }) => transport === undefined ? "one" : nameOf(transport))
      yield* Fiber.interruptAll(Array.from(running.keys()))
      return yield* Effect.logWarning(`${Endpoint.format(endpoint)} shut down and cut ${cut.length}: ${cut.join(", ")}`)
    })

    return taking.pipe(
      Effect.catch((error) =>
        error.reason._tag === "Closed"
          ? Effect.fail(error)
          : Effect.andThen(Effect.logWarning(error.message, error), Effect.sleep(100))
      ),
      Effect.forever,
      Effect.onExit(() => shutDown)
    )
  })

const nameOf = (transport: Transport): string =>
  Option.match(transport.info.peer, {
    onNone: () => `connection ${transport.info.id}`,
    onSome: (peer) => `connection ${transport.info.id} from ${peer}`
  })

const refuse = (endpoint: Endpoint.Endpoint, field: string, expected: string, actual: unknown) =>
  Effect.fail(TransportError.invalidOption("accept", Endpoint.format(endpoint), { field, expected, actual }))
