/**
 * Effects that are run from callbacks.
 */
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"

/** How it ended, where that is known at once, or the fiber that goes on. What is an exit already needs no fiber at all. */
export const runOrExit = <A, E, R>(
  run: (effect: Effect.Effect<A, E, R>) => Fiber.Fiber<A, E>,
  effect: Effect.Effect<A, E, R>
): Exit.Exit<A, E> | Fiber.Fiber<A, E> => {
  if (Exit.isExit(effect)) return effect as Exit.Exit<A, E>
  const fiber = run(effect)
  return fiber.pollUnsafe() ?? fiber
}
