/**
 * A timer of Effect's clock that plain code sets, again and again.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"

export interface Alarm {
  readonly now: () => number
  /** Rings at that time, unless it rings before. Nothing sets nothing. */
  readonly set: (dueMs: number | undefined) => void
}

/** Silent when the scope ends. `ring` is called in a fiber of its own, and never from inside `set`. */
export const makeAlarm: Effect.Effect<
  { readonly ringing: (ring: () => void) => Alarm },
  never,
  Scope.Scope
> = Effect.contextWith((context) =>
  Effect.clockWith((clock) => {
    const run = Effect.runForkWith(context)
    let sleeping: Fiber.Fiber<void> | undefined
    let atMs = Infinity
    let isOver = false
    const stop = () => {
      atMs = Infinity
      sleeping?.interruptUnsafe()
      sleeping = undefined
    }
    const alarm = {
      ringing: (ring: () => void): Alarm => ({
        now: () => clock.currentTimeMillisUnsafe(),
        set: (dueMs) => {
          if (isOver || dueMs === undefined || dueMs >= atMs) return
          stop()
          atMs = dueMs
          const ms = dueMs - clock.currentTimeMillisUnsafe()
          sleeping = run(Effect.andThen(
            // A sleep of no time may be over at once.
            ms > 0 ? Effect.sleep(ms) : Effect.yieldNow,
            Effect.sync(() => {
              atMs = Infinity
              sleeping = undefined
              ring()
            })
          ))
        }
      })
    }
    return Effect.acquireRelease(Effect.succeed(alarm), () =>
      Effect.sync(() => {
        isOver = true
        stop()
      }))
  })
)
