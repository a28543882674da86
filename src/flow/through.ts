/**
 * Consumers that hold nothing, and pass on what they are given.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import type { Consumer, Level } from "../Consumer.ts"
import { setStack } from "../internal/levels.ts"
import * as TransportError from "../TransportError.ts"
import { closedBy, Intake, observe } from "./intake.ts"

/** Passes each item on as it comes. A write that has not returned by the end of the turn is one that waits. */
class Through<A, E> {
  readonly intake: Intake
  readonly #write: (item: A) => Effect.Effect<void, E>
  readonly #dispatcher: Scheduler.SchedulerDispatcher
  readonly #hold: (holds: boolean) => void
  #pending = 0
  #isLooking = false

  constructor(
    name: string,
    write: (item: A) => Effect.Effect<unknown, E>,
    dispatcher: Scheduler.SchedulerDispatcher
  ) {
    this.intake = new Intake(name)
    this.#write = write as (item: A) => Effect.Effect<void, E>
    this.#dispatcher = dispatcher
    this.#hold = this.intake.holder()
  }

  run(write: () => Effect.Effect<void, E>): Effect.Effect<void, E | TransportError.TransportError> {
    return Effect.suspend(() => {
      const { fault } = this.intake
      if (fault !== undefined) return Effect.fail(this.intake.error("write", fault, "NotSent"))
      let isBegun = false
      const writing = Effect.suspend(() => {
        isBegun = true
        this.#pending++
        this.#look()
        return write()
      })
      return Effect.onExitPrimitive(writing, (exit) => {
        if (!isBegun) return undefined
        this.#pending--
        if (Exit.isFailure(exit)) {
          if (isFatal(exit.cause)) this.intake.stop(closedBy("close", exit.cause))
          // It may be the first to hear of the end: nobody is resumed for that.
          this.#look()
        } else if (this.#pending === 0) this.#hold(false)
        return undefined
      })
    })
  }

  #look(): void {
    if (this.#isLooking) return
    this.#isLooking = true
    this.#dispatcher.scheduleTask(() => {
      this.#isLooking = false
      this.#hold(this.#pending > 0)
    }, 0)
  }

  consumer(
    below: ReadonlyArray<object>,
    held: () => Pick<Level, "size" | "highWaterMark" | "lowWaterMark"> = () => nothing
  ): Consumer<A, E | TransportError.TransportError> {
    const { intake } = this
    const { name, state } = intake
    const consumer: Consumer<A, E | TransportError.TransportError> = {
      write: (item) => this.run(() => this.#write(item)),
      register: (producer) => intake.register(consumer, producer),
      unregister: intake.unregister,
      state: observe([state], () => state.value)
    }
    setStack(consumer, {
      state,
      below,
      level: () => ({
        name,
        state: state.value,
        length: 0,
        waiting: this.#pending,
        dropped: 0,
        ...held()
      })
    })
    return consumer
  }
}

const nothing = { size: 0, highWaterMark: 0, lowWaterMark: 0 }

export const makeThrough = <A, E>(
  name: string,
  write: (item: A) => Effect.Effect<unknown, E>
): Effect.Effect<Through<A, E>, never, Scope.Scope> =>
  Effect.withFiber((fiber) =>
    Effect.acquireRelease(
      Effect.sync(() => new Through<A, E>(name, write, fiber.currentDispatcher)),
      ({ intake }) => Effect.sync(() => intake.stop(closedBy("scope")))
    )
  )

/** It takes no more once this has come. */
export const stopAfter = (intake: Intake, ended: Effect.Effect<unknown>) =>
  Effect.forkScoped(
    Effect.andThen(ended, Effect.sync(() => intake.stop(closedBy("close")))),
    { startImmediately: true }
  )

/** Whether what was below will take no more. */
const isFatal = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) =>
    Cause.isFailReason(reason) && reason.error instanceof TransportError.TransportError &&
    ["Closed", "Reset", "Disconnected", "Failed"].includes(reason.error.reason._tag)
  )
