/**
 * Generators as sources.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Pulling, Source } from "./pulling.ts"

/** For the public: see `Producer.Wait`. */
export class Wait {
  readonly effect: Effect.Effect<unknown, unknown>

  constructor(effect: Effect.Effect<unknown, unknown>) {
    this.effect = effect
  }
}

type Stepped = IteratorResult<unknown, unknown>

/** A generator as a source: it is told what became of what it yielded. */
export class Generating<A, E> implements Source<A, E> {
  readonly #generator: Iterator<unknown, unknown, any> | AsyncIterator<unknown, unknown, any>
  readonly #onError: (error: unknown) => E
  /** What it yielded in answer to a refusal. */
  #ahead: Stepped | undefined = undefined
  /** An async step is under way, which nothing can break off. */
  #isUnderWay = false

  constructor(
    generator: Iterator<unknown, unknown, any> | AsyncIterator<unknown, unknown, any>,
    onError: (error: unknown) => E
  ) {
    this.#generator = generator
    this.#onError = onError
  }

  readonly pull: Pulling<A, E> = Effect.suspend(() => {
    const ahead = this.#ahead
    this.#ahead = undefined
    return Effect.flatMap(
      ahead === undefined ? this.#go(() => this.#generator.next()) : Effect.succeed(ahead),
      (stepped) => stepped.done === true ? Cause.done() : Effect.succeed([stepped.value as A] as const)
    )
  })

  refused(error: unknown): Effect.Effect<void, E> {
    return Effect.map(this.#go(() => this.#throw(error)), (stepped) => {
      this.#ahead = stepped
    })
  }

  /** Runs its `finally`. One that stands in an async step cannot hear of it before that is done: it is not waited for. */
  readonly end: Effect.Effect<void> = Effect.suspend(() => {
    const isUnderWay = this.#isUnderWay
    const ending = Effect.exit(this.#step(() => this.#generator.return?.() ?? { done: true, value: undefined }))
    const log = Effect.flatMap(
      ending,
      (exit) => Exit.isFailure(exit) ? Effect.logWarning("a generator failed to end", exit.cause) : Effect.void
    )
    return isUnderWay ? Effect.asVoid(Effect.forkDetach(log, { startImmediately: true })) : log
  })

  #throw(error: unknown): Stepped | Promise<Stepped> {
    const generator = this.#generator
    if (generator.throw === undefined) throw error
    return generator.throw(error)
  }

  /** On to the next item: what it waits for is run on the way. */
  #go(step: () => Stepped | Promise<Stepped>): Effect.Effect<Stepped, E> {
    return Effect.flatMap(this.#step(step), (stepped) => {
      if (stepped.done === true || !(stepped.value instanceof Wait)) return Effect.succeed(stepped)
      return Effect.matchEffect(stepped.value.effect, {
        onFailure: (error) => this.#go(() => this.#throw(error)),
        onSuccess: (answer) => this.#go(() => this.#generator.next(answer))
      })
    })
  }

  #step(step: () => Stepped | Promise<Stepped>): Effect.Effect<Stepped, E> {
    return Effect.suspend((): Effect.Effect<Stepped, E> => {
      let stepped: Stepped | Promise<Stepped>
      try {
        stepped = step()
      } catch (error) {
        return Effect.fail(this.#onError(error))
      }
      if (!("then" in stepped)) return Effect.succeed(stepped)
      const promise = stepped
      this.#isUnderWay = true
      return Effect.callback((resume) => {
        const settle = (result: Effect.Effect<Stepped, E>) => {
          this.#isUnderWay = false
          resume(result)
        }
        promise.then((value) => settle(Effect.succeed(value)), (error) => settle(Effect.fail(this.#onError(error))))
      })
    })
  }
}
