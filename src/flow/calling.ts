/**
 * Producers of what a source gives by calling back.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Consumer } from "../Consumer.ts"
import type { Emitter, Finite } from "../Producer.ts"
import * as TransportError from "../TransportError.ts"
import { End, WriteFailed } from "./ending.ts"

interface Handle {
  readonly pause: () => void
  readonly resume: () => void
  readonly stop: () => void
}

/** Writes what is emitted, one after another; what comes too early waits in a bounded line. */
export class Calling<A, E> {
  readonly #subscribe: (emitter: Emitter<A, E>) => Handle
  readonly #overshootMax: number
  readonly #ending = new End<E | TransportError.TransportError>()
  #handle: Handle | undefined = undefined
  #consumer: Consumer<A, unknown> | undefined = undefined
  #run: <B, E2>(effect: Effect.Effect<B, E2>) => Fiber.Fiber<B, E2> = Effect.runFork
  #pending: Array<A> = []
  #writing: Fiber.Fiber<unknown, unknown> | undefined = undefined
  #isPaused = false
  /** A write has begun and not come back here: what is emitted inside it is the next. */
  #isBeginning = false
  /** Whether the source was told to pause. */
  #isBlocked = false
  /** It has said that there is no more. */
  #last: Exit.Exit<void, E | WriteFailed | TransportError.TransportError> | undefined = undefined
  #isOver = false

  constructor(subscribe: (emitter: Emitter<A, E>) => Handle, overshootMax: number) {
    this.#subscribe = subscribe
    this.#overshootMax = overshootMax
  }

  producer(): Finite<A, E | TransportError.TransportError> {
    return {
      pause: Effect.sync(() => {
        this.#isPaused = true
        this.#steer()
      }),
      resume: Effect.sync(() => {
        this.#isPaused = false
        this.#goOn()
      }),
      stop: Effect.sync(() => this.#finish(Exit.void)),
      ended: this.#ending.ended,
      halfRegister: (consumer) =>
        Effect.andThen(
          Effect.addFinalizer(() => Effect.sync(() => this.#finish(Exit.void))),
          Effect.contextWith((context: Context.Context<never>) => {
            this.#ending.begin()
            if (this.#isOver) return consumer.unregister
            this.#consumer = consumer
            this.#run = Effect.runForkWith(context)
            this.#begin()
            return Effect.void
          })
        )
    }
  }

  #begin(): void {
    try {
      this.#handle = this.#subscribe({
        emit: (item) => this.#emit(item),
        end: () => this.#end(Exit.void),
        fail: (error) => this.#end(Exit.fail(error))
      })
    } catch (error) {
      return this.#finish(Exit.die(error))
    }
    // It may have emitted from inside, and even ended.
    if (!this.#isOver) return this.#goOn()
    const told = this.#tell("stop")
    if (Exit.isFailure(told)) this.#run(Effect.logWarning("a source failed to stop", told.cause))
  }

  #emit(item: A): boolean {
    if (this.#isOver || this.#last !== undefined) return false
    if (this.#isReady && !this.#isBeginning) this.#write(item)
    else if (this.#pending.length < this.#overshootMax) this.#pending.push(item)
    else {
      this.#finish(Exit.fail(
        TransportError.make(
          "write",
          "producer",
          new TransportError.LimitExceeded({ limit: "overshootMax", max: this.#overshootMax })
        )
      ))
    }
    this.#goOn()
    return !this.#isOver && this.#isReady
  }

  get #isReady(): boolean {
    return !this.#isPaused && this.#writing === undefined && this.#pending.length === 0
  }

  #write(item: A): void {
    this.#isBeginning = true
    const fiber = this.#run(this.#consumer!.write(item))
    this.#isBeginning = false
    this.#writing = fiber
    const done = (exit: Exit.Exit<unknown, unknown>) => {
      this.#writing = undefined
      if (Exit.isFailure(exit)) {
        this.#finish(Exit.failCause(Cause.map(exit.cause, (error) => new WriteFailed({ cause: error }))))
      }
    }
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return done(exit)
    fiber.addObserver((exit) => {
      done(exit)
      this.#goOn()
    })
  }

  #goOn(): void {
    if (this.#isBeginning) return this.#steer()
    while (!this.#isOver && !this.#isPaused && this.#writing === undefined && this.#pending.length > 0) {
      this.#write(this.#pending.shift()!)
    }
    if (this.#last !== undefined && this.#isReady) this.#finish(this.#last)
    this.#steer()
  }

  /** Tells the source, and only at a turn. */
  #steer(): void {
    if (this.#isOver || this.#handle === undefined || this.#isBlocked === !this.#isReady) return
    this.#isBlocked = !this.#isBlocked
    const told = this.#tell(this.#isBlocked ? "pause" : "resume")
    if (Exit.isFailure(told)) this.#finish(told)
  }

  /** A source that throws has failed: nobody else here could answer for it. */
  #tell(signal: keyof Handle): Exit.Exit<void> {
    try {
      this.#handle?.[signal]()
      return Exit.void
    } catch (error) {
      return Exit.die(error)
    }
  }

  #end(exit: Exit.Exit<void, E>): void {
    if (this.#isOver || this.#last !== undefined) return
    this.#last = exit
    this.#goOn()
  }

  #finish(exit: Exit.Exit<void, E | WriteFailed | TransportError.TransportError>): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#pending = []
    this.#writing?.interruptUnsafe()
    const told = this.#tell("stop")
    const leave = this.#consumer === undefined ? Effect.void : this.#consumer.unregister
    this.#run(Effect.andThen(leave, this.#ending.finish(Exit.isSuccess(exit) ? told : exit)))
  }
}
