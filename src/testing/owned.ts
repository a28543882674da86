/**
 * A pair whose owner can be ended step by step, for laws about the end of a scope.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import type { Transport } from "../Transport.ts"
import type { TransportError } from "../TransportError.ts"
import type { Bench } from "./bench.ts"
import type { LawBroken, Pair } from "./law.ts"

export interface Owned {
  readonly pair: Pair
  /**
   * Ends the scope as far as the end of the first of its transports, so that the other can be looked at: one finalizer
   * after the other, as the scope would. Undefined where both end at once, and nothing can be told.
   */
  readonly end: (
    exit: Exit.Exit<unknown, unknown>
  ) => Effect.Effect<
    { readonly self: Transport; readonly peer: Transport } | undefined,
    LawBroken,
    Scope.Scope
  >
  /** Ends both, and the rest of the scope. */
  readonly finish: Effect.Effect<void>
}

export const makeOwned = (bench: Bench): Effect.Effect<Owned, TransportError, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const pair = yield* Scope.provide(bench.pair(), scope)
    const [a, b] = pair
    const { state } = scope
    const steps = state._tag !== "Open"
      ? []
      : state.finalizer !== undefined
      ? [state.finalizer]
      : Array.from(state.finalizers?.values() ?? [])

    const isShut = (transport: Transport) =>
      Effect.match(transport.write(new Uint8Array(0)), {
        onSuccess: () => false,
        onFailure: (error) => error.reason._tag === "Closed"
      })

    const end: Owned["end"] = (exit) =>
      Effect.gen(function*() {
        for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
          const ending = yield* bench.start(Effect.uninterruptible(silent(step(exit))))
          const shut = yield* bench.within(
            "a step to the end of a scope",
            Effect.gen(function*() {
              while (true) {
                const isOver = ending.pollUnsafe() !== undefined
                const [isA, isB] = [yield* isShut(a), yield* isShut(b)]
                if (isOver || isA || isB) return { isA, isB }
                yield* bench.moment
              }
            })
          )
          if (shut.isA && shut.isB) return undefined
          if (shut.isA) return { self: a, peer: b }
          if (shut.isB) return { self: b, peer: a }
        }
        return undefined
      })

    const finish = Effect.ignore(bench.within(
      "the end of a scope",
      Effect.gen(function*() {
        yield* Effect.andThen(a.abort, b.abort)
        for (let step = steps.pop(); step !== undefined; step = steps.pop()) yield* silent(step(Exit.interrupt()))
      })
    ))
    yield* Effect.addFinalizer(() => finish)
    return { pair, end, finish }
  })

/** That a scope which ended lost bytes is what is tested here. */
const silent = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, References.MinimumLogLevel, "None")
