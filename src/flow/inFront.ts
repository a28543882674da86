/**
 * A buffer that stands in front of a consumer, and is its producer.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import type { Buffered, Consumer, Options } from "../Consumer.ts"
import { Watched } from "../internal/watched.ts"
import type * as TransportError from "../TransportError.ts"
import { closedBy } from "./intake.ts"
import { makeReservoir } from "./reservoir.ts"

/** A buffer in front of `self`, which `step` moves one item from. */
export const inFront = <A, E>(
  self: Consumer<A, E>,
  options: Options<A> | undefined,
  step: (
    take: Pull.Pull<A, TransportError.TransportError>,
    write: (item: A) => Effect.Effect<void, E>
  ) => Pull.Pull<void, E | TransportError.TransportError>
): Effect.Effect<Buffered<A, "suspend">, E | TransportError.TransportError, Scope.Scope> =>
  Effect.gen(function*() {
    const reservoir = yield* makeReservoir<A>({ ...options, policy: "suspend" })
    const upper = reservoir.consumer<"suspend">([self])
    const hold = reservoir.intake.holder()
    const isOpen = new Watched(true)
    const opened = Effect.callback<void>((resume) => {
      const wake = () => resume(Effect.void)
      if (isOpen.value) return wake()
      isOpen.await(wake)
      return Effect.sync(() => isOpen.cancel(wake))
    })
    const steer = (open: boolean) =>
      Effect.sync(() => {
        isOpen.set(open)
        hold(!open)
      })
    const take = Effect.suspend(() => isOpen.value ? upper.take : Effect.andThen(opened, upper.take))
    // It may have been paused since the item was taken.
    const write = (item: A): Effect.Effect<void, E> =>
      Effect.suspend(() => isOpen.value ? self.write(item) : Effect.andThen(opened, write(item)))
    const pumped = yield* Deferred.make<void>()
    const pump = Effect.forever(step(take, write), { disableYield: true }).pipe(
      Effect.onExit((exit) => {
        // Its own end is that of the content; any other is one that the writers have to hear of.
        const isDone = Exit.isFailure(exit) && exit.cause.reasons.every(isDoneReason)
        if (!isDone && Exit.isFailure(exit)) reservoir.abortNow(closedBy("abort", exit.cause))
        return Effect.andThen(self.unregister, Deferred.succeed(pumped, undefined))
      })
    )
    yield* self.register({
      pause: steer(false),
      resume: steer(true),
      stop: Effect.sync(() => reservoir.abortNow(closedBy("abort"))),
      halfRegister: () =>
        Effect.map(Effect.forkScoped(pump, { startImmediately: true }), (fiber) => {
          reservoir.onAbort = () => fiber.interruptUnsafe()
        })
    })
    const close = Effect.onInterrupt(
      reservoir.within(Effect.suspend(() => {
        reservoir.finish("close")
        return Effect.andThen(
          Effect.andThen(reservoir.closed, Deferred.await(pumped)),
          Effect.suspend(() => reservoir.failure("close"))
        )
      })),
      () => upper.abort
    )
    return Object.assign(upper, { close })
  })

const isDoneReason = (reason: Cause.Reason<unknown>): boolean =>
  Cause.isFailReason(reason) && Cause.isDone(reason.error)
