/**
 * Producers that pull from a source.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import type { Consumer } from "../Consumer.ts"
import { Gate } from "../internal/gate.ts"
import type { Finite } from "../Producer.ts"
import * as TransportError from "../TransportError.ts"
import { End, WriteFailed } from "./ending.ts"

export type Pulling<A, E> = Pull.Pull<NonEmptyReadonlyArray<A>, E>

export interface Source<A, E> {
  readonly pull: Pulling<A, E>
  /** Takes back what was pulled and not written. Where there is none it is lost. */
  readonly unread?: ((items: ReadonlyArray<A>) => Effect.Effect<void>) | undefined
  /** May the source go on after this refusal of an item? It is told, and says so by not failing. */
  readonly refused?: ((error: unknown) => Effect.Effect<void, E>) | undefined
}

/** One fiber that pulls and writes, from `halfRegister` on until the source has no more. */
export const driven = <A, E>(
  open: (consumer: Consumer<A, unknown>) => Effect.Effect<Source<A, E>, E, Scope.Scope>
): Finite<A, E> => {
  const gate = new Gate()
  const ending = new End<E>()
  let running: Fiber.Fiber<void> | undefined
  let isStopped = false
  return {
    pause: Effect.sync(() => gate.close()),
    resume: Effect.sync(() => gate.open()),
    stop: Effect.sync(() => {
      isStopped = true
      if (!ending.isBegun) ending.done(Exit.void)
      running?.interruptUnsafe()
    }),
    ended: ending.ended,
    halfRegister: (consumer) =>
      Effect.suspend(() => {
        ending.begin()
        if (isStopped) return consumer.unregister
        const run = Effect.scopedWith((scope) =>
          Effect.flatMap(
            Scope.provide(open(consumer), scope),
            (source) => Effect.andThen(registered, pump(source, consumer, gate))
          )
        ).pipe(
          Effect.onExit((exit) => Effect.andThen(consumer.unregister, ending.finish(exit))),
          Effect.exit,
          Effect.asVoid
        )
        return Effect.map(Effect.forkScoped(run, { startImmediately: true }), (fiber) => {
          running = fiber
          if (isStopped) fiber.interruptUnsafe()
        })
      })
  }
}

/** Time for `register` to end: what is written before that cannot be answered with a pause. */
const registered = Effect.andThen(Effect.yieldNow, Effect.yieldNow)

const pump = <A, E>(
  source: Source<A, E>,
  consumer: Consumer<A, unknown>,
  gate: Gate
): Effect.Effect<void, E | WriteFailed> => {
  let items: ReadonlyArray<A> = []
  let at = 0
  let isWriting = false
  const opened = Effect.callback<void>((resume) => {
    if (gate.isOpen) return resume(Effect.void)
    gate.await(() => resume(Effect.void))
    return Effect.sync(() => gate.cancel())
  })
  const { refused, unread } = source
  const onRefused = (error: unknown): Effect.Effect<void, unknown> => {
    // The source has heard of it: this item is done with.
    isWriting = false
    at++
    return refused!(error)
  }
  const writeOne = (): Effect.Effect<void, unknown> => {
    if (!gate.isOpen) return opened
    isWriting = true
    const writing = consumer.write(items[at]!)
    return refused === undefined ? writing : Effect.catch(writing, onRefused)
  }
  const writeAll = Effect.whileLoop({
    while: () => at < items.length,
    body: writeOne,
    step: () => {
      if (isWriting) at++
      isWriting = false
    }
  })
  const next = Effect.suspend(() => gate.isOpen ? source.pull : Effect.andThen(opened, source.pull))
  const round = Effect.flatMap(next, (pulled) => {
    items = pulled
    at = 0
    return writeAll
  })
  return Effect.forever(round, { disableYield: true }).pipe(
    Effect.onExit((exit) => {
      if (unread === undefined || at >= items.length) return Effect.void
      // One that was on its way when it was interrupted may have arrived.
      const wasBegun = isWriting && Exit.isFailure(exit) &&
        Option.contains(TransportError.delivery(exit.cause), "Unknown")
      return unread(items.slice(wasBegun ? at + 1 : at))
    }),
    Effect.catch((error): Effect.Effect<void, E | WriteFailed> => {
      if (isWriting) return Effect.fail(new WriteFailed({ cause: error }))
      return Cause.isDone(error) ? Effect.void : Effect.fail(error as E)
    })
  )
}
