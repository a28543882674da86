/**
 * Real time, for what has to come to an end though nobody moves the clock at hand, as in a test.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

export const realClock: Clock.Clock = Context.get(Context.empty(), Clock.Clock)

/** What timers can count to, in milliseconds. */
const timerMax = 2 ** 31 - 1

/**
 * Calls `run` when that time has passed, unless what it answers is called before: as a fiber that sleeps would, for much
 * less where the time is the real one.
 */
export const after = (
  clock: Clock.Clock,
  duration: Duration.Duration,
  context: Context.Context<never>,
  run: () => void
): () => void => {
  const millis = Duration.toMillis(duration)
  if (clock === realClock && millis <= timerMax) {
    const timer = setTimeout(run, millis)
    return () => clearTimeout(timer)
  }
  const sleeping = Effect.runForkWith(context)(Effect.andThen(clock.sleep(duration), Effect.sync(run)))
  return () => sleeping.interruptUnsafe()
}

/** Present wherever JavaScript runs, and in no type library that this floor may see. */
declare const setTimeout: (run: () => void, millis: number) => object
declare const clearTimeout: (timer: object) => void
