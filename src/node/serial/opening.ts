/**
 * Opening by calls that nothing takes back.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { realClock } from "../../realClock.ts"

/**
 * Acquires what `begin` opens. Interrupted, it lets go of that as soon as it is open; the interruption waits for it, but
 * not longer than a second: a driver that hangs is not to hang its caller.
 */
export const openByPromise = <A, E>(
  begin: () => Promise<A>,
  failed: (cause: unknown) => E,
  /** By `once`. */
  close: (opened: A) => Promise<void>
): Effect.Effect<A, E, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      const opening = begin()
      const letGo = Effect.promise(() => opening.then(close, ignore))
      return Effect.flatMap(
        Effect.onExit(
          restore(Effect.tryPromise({ try: () => opening, catch: failed })),
          (exit) => Exit.isFailure(exit) ? withinSecond(letGo) : Effect.void
        ),
        (opened) => Effect.as(Effect.addFinalizer(() => Effect.promise(() => close(opened))), opened)
      )
    })
  )

/** By real time, since a test may hold the clock at hand still. */
const withinSecond = (effect: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.asVoid(Effect.timeoutOption(Effect.interruptible(effect), "1 second")).pipe(
    Effect.provideService(Clock.Clock, realClock)
  )

/** The first call counts, and all are answered alike. What was to be let go and cannot is gone. */
export const once = (close: () => Promise<unknown>): () => Promise<void> => {
  let closing: Promise<void> | undefined
  return () => closing ??= close().then(ignore, ignore)
}

const ignore = (): void => {}
