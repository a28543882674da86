/**
 * A scope of its own for what is opened in several steps.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/**
 * Opens in a scope of its own below the caller's: its releases keep their order also where the caller's run side by
 * side, and what failed to open leaves nothing behind.
 */
export const inOwnScope = <A, E, R>(
  open: Effect.Effect<A, E, R>
): Effect.Effect<A, E, Exclude<R, Scope.Scope> | Scope.Scope> =>
  Effect.uninterruptibleMask(Effect.fnUntraced(function*(restore) {
    const scope = yield* Scope.fork(yield* Effect.scope, "sequential")
    return yield* Effect.onError(
      restore(Scope.provide(open, scope)),
      (cause) => Scope.close(scope, Exit.failCause(cause))
    )
  }))
