/**
 * How a producer ends.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** For the public: see `Producer.WriteFailed`. */
export class WriteFailed extends Data.TaggedError("WriteFailed")<{ readonly cause: unknown }> {
  override get message(): string {
    return `the consumer refused an item${this.cause instanceof Error ? `: ${this.cause.message}` : ""}`
  }
}

export class End<E> {
  isBegun = false
  #awaited = 0
  readonly #deferred = Deferred.makeUnsafe<void, E | WriteFailed>()

  readonly ended: Effect.Effect<void, E | WriteFailed> = Effect.suspend(() => {
    this.#awaited++
    return Effect.onInterrupt(Deferred.await(this.#deferred), () =>
      Effect.sync(() => {
        this.#awaited--
      }))
  })

  /** A producer serves one consumer in its life. */
  begin(): void {
    if (this.isBegun) throw new Error("a producer is registered once in its life")
    this.isBegun = true
  }

  done(exit: Exit.Exit<void, E | WriteFailed>): void {
    Deferred.doneUnsafe(this.#deferred, exit)
  }

  /** An interruption is how a producer is stopped. A failure that nobody waits for is logged. */
  finish(exit: Exit.Exit<unknown, E | WriteFailed>): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) {
        this.done(Exit.void)
        return Effect.void
      }
      this.done(Exit.failCause(exit.cause))
      return this.#awaited > 0 ? Effect.void : Effect.logWarning("a producer failed", exit.cause)
    })
  }
}
