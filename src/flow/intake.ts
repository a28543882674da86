/**
 * What all consumers have in common: the place of the producer, what that is told, the state, and the errors.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Consumer, State } from "../Consumer.ts"
import { durationOf } from "../internal/check.ts"
import { type Signal, Steering } from "../internal/steering.ts"
import { Watched } from "../internal/watched.ts"
import type { Fault } from "../internal/waterBuffer.ts"
import type { Producer, Unpausable } from "../Producer.ts"
import * as TransportError from "../TransportError.ts"

export const closedBy = (by: Fault["by"], cause?: unknown): Fault => ({ by, cause })
export const timedOut = closedBy("timeout")

export const errorOf = (
  name: string,
  operation: TransportError.Operation,
  fault: Fault,
  delivery?: TransportError.Delivery
): TransportError.TransportError =>
  TransportError.make(
    operation,
    name,
    fault.by === "timeout"
      ? new TransportError.TimedOut({ phase: "flush" })
      : new TransportError.Closed({ by: fault.by }),
    { delivery, cause: fault.cause }
  )

export const refusal = (name: string) => errorOf(name, "write", closedBy("close"), "NotSent")

export const refuse = (name: string, field: string, expected: string, actual: unknown) =>
  Effect.fail(TransportError.invalidOption("control", name, { field, expected, actual }))

export const checkTimeout = (name: string, input: Duration.Input | undefined) => {
  const duration = durationOf(input ?? "5 seconds")
  return duration === undefined ? refuse(name, "closeTimeout", "a finite duration", input) : Effect.succeed(duration)
}

/** The value of all of them now, and whenever one changes; ends when all have stopped. */
export const observe = <A>(states: ReadonlyArray<Watched<State>>, look: () => A): Stream.Stream<A> =>
  Stream.fromPull(Effect.sync(() => {
    let seen: ReadonlyArray<State> | undefined
    const next: Pull.Pull<NonEmptyReadonlyArray<A>> = Effect.suspend(() => {
      const before = seen
      const now = states.map(({ value }) => value)
      if (before === undefined || now.some((state, i) => state !== before[i])) {
        seen = now
        return Effect.succeed([look()])
      }
      if (now.every((state) => state === "stopped")) return Cause.done()
      return Effect.andThen(changed, next)
    })
    const changed = Effect.callback<void>((resume) => {
      const wake = () => {
        leave()
        resume(Effect.void)
      }
      const leave = () => states.forEach((state) => state.cancel(wake))
      states.forEach((state) => state.await(wake))
      // It may have changed between the look and here.
      if (states.some(({ value }, i) => value !== seen![i])) wake()
      return Effect.sync(leave)
    })
    return next
  }))

/** The place of the producer, what it is told, and the state: the same for every consumer. */
export class Intake {
  readonly name: string
  readonly state = new Watched<State>("flowing")
  /** Why it takes no more. */
  fault: Fault | undefined = undefined
  #isFinishing = false
  #registered: Steering | undefined = undefined
  /** How many reasons there are to pause. */
  #holds = 0
  #freed: Array<() => void> = []

  constructor(name: string) {
    this.name = name
  }

  /** One reason to pause, which holds or does not. */
  holder(): (holds: boolean) => void {
    let isHeld = false
    return (holds) => {
      if (holds === isHeld) return
      isHeld = holds
      this.#holds += holds ? 1 : -1
      if (this.fault !== undefined) return
      const isPaused = this.#holds > 0
      // Before anyone is told, who may come back here.
      this.state.set(isPaused ? "paused" : "flowing")
      this.#registered?.want(isPaused)
    }
  }

  /** The producer shall come to its end: who comes later is not registered. */
  finish(): void {
    this.#isFinishing = true
    this.#registered?.stop()
  }

  /** It takes no more. */
  stop(fault: Fault): void {
    if (this.fault !== undefined) return
    this.fault = fault
    const registered = this.#registered
    this.state.set("stopped")
    registered?.stop()
    this.#free(registered)
  }

  /** Calls it once there is no producer. */
  whenFree(run: () => void): void {
    if (this.#registered === undefined) run()
    else this.#freed.push(run)
  }

  cancelFree(run: () => void): void {
    this.#freed = this.#freed.filter((waiting) => waiting !== run)
  }

  /** Waits until there is no producer. */
  get freed(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const run = () => resume(Effect.void)
      this.whenFree(run)
      return Effect.sync(() => this.cancelFree(run))
    })
  }

  readonly unregister: Effect.Effect<void> = Effect.sync(() => this.#leave(this.#registered))

  register<A>(
    consumer: Consumer<A, unknown>,
    producer: Unpausable<A>
  ): Effect.Effect<void, TransportError.TransportError, Scope.Scope> {
    return Effect.flatMap(
      // In one step with its release, so that an interruption cannot leave the place taken.
      Effect.acquireRelease(
        Effect.contextWith((context: Context.Context<Scope.Scope>) => this.#claim(producer, context)),
        (claim) => Effect.sync(() => claim?.release())
      ),
      (claim) =>
        claim === undefined
          ? producer.stop
          : Effect.onExit(producer.halfRegister(consumer), (exit) =>
            Effect.sync(() => {
              if (Exit.isSuccess(exit)) claim.steering.begin()
              else this.#leave(claim.steering)
            }))
    )
  }

  #claim(producer: Unpausable<any>, context: Context.Context<never>): Effect.Effect<
    { readonly steering: Steering; readonly release: () => void } | undefined,
    TransportError.TransportError
  > {
    if (this.#registered !== undefined) {
      return Effect.fail(TransportError.make("control", this.name, new TransportError.Busy({ what: "consumer" })))
    }
    if (this.fault !== undefined || this.#isFinishing) return Effect.succeed(undefined)
    const running = new Set<Fiber.Fiber<void>>()
    const run = Effect.runForkWith(context)
    const told: { readonly [S in Signal]: Effect.Effect<void> } = {
      pause: "pause" in producer ? (producer as Producer<any>).pause : Effect.void,
      resume: "resume" in producer ? (producer as Producer<any>).resume : Effect.void,
      stop: producer.stop
    }
    const steering: Steering = new Steering((signal) => {
      const fiber = run(Effect.catchCause(told[signal], (cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.void
          : Effect.logWarning(`${this.name}: the ${signal} of its producer failed`, cause)))
      if (fiber.pollUnsafe() !== undefined) return true
      if (signal !== "stop") {
        running.add(fiber)
        fiber.addObserver(() => {
          running.delete(fiber)
          steering.done(signal)
        })
      }
      return false
    })
    this.#registered = steering
    if (this.#holds > 0) steering.want(true)
    const release = () => {
      this.#leave(steering)
      const current = Fiber.getCurrent()
      for (const fiber of running) if (fiber !== current) fiber.interruptUnsafe()
    }
    return Effect.succeed({ steering, release })
  }

  #leave(steering: Steering | undefined): void {
    if (steering === undefined || this.#registered !== steering) return
    steering.end()
    this.#free(steering)
  }

  /** Whom its `stop` has not reached, since its `halfRegister` still runs, hears of it yet. */
  #free(steering: Steering | undefined): void {
    if (steering === undefined || this.#registered !== steering) return
    this.#registered = undefined
    for (const run of this.#freed.splice(0)) run()
  }

  error(operation: TransportError.Operation, fault: Fault, delivery?: TransportError.Delivery) {
    return errorOf(this.name, operation, fault, delivery)
  }
}
