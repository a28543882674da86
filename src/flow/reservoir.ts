/**
 * Consumers that keep what they are given, until it is read.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { AnyOptions, Buffered, Level, Marks, Of, Policy, Shedding, WriteError } from "../Consumer.ts"
import { isCount } from "../internal/check.ts"
import { setStack } from "../internal/levels.ts"
import { BadSize, type Fault, type Marks as MarksModel, WaterBuffer, type Writer } from "../internal/waterBuffer.ts"
import * as TransportError from "../TransportError.ts"
import { checkTimeout, closedBy, errorOf, Intake, observe, refuse, timedOut } from "./intake.ts"

/** For the public: see `Consumer.Full`. */
export class Full extends Data.TaggedError("Full")<{ readonly name: string; readonly highWaterMark: number }> {
  override get message(): string {
    return `${this.name} is full: it holds its high-water mark of ${this.highWaterMark}`
  }
}

export class Reservoir<A> {
  readonly intake: Intake
  readonly buffer: WaterBuffer<A>
  readonly closeTimeout: Duration.Duration
  #isFinishing = false
  #ended: Array<() => void> = []
  /** What a reader was given and has not received, and whose it is. Without an owner it is the next reader's. */
  #held: Array<A> | undefined = undefined
  #owner: Fiber.Fiber<unknown, unknown> | undefined = undefined

  constructor(
    options: CheckedOptions<A>,
    dispatcher: Scheduler.SchedulerDispatcher
  ) {
    this.intake = new Intake(options.name)
    this.closeTimeout = options.closeTimeout
    const hold = this.intake.holder()
    this.buffer = new WaterBuffer<A>({
      ...options,
      schedule: (run) => dispatcher.scheduleTask(run, 0),
      onPressure: hold,
      onEnd: () => {
        this.intake.stop(this.buffer.fault!)
        for (const wake of this.#ended.splice(0)) wake()
      }
    })
  }

  // Writing

  writeSlow(item: A, answer: Exclude<Answer, "taken">): Effect.Effect<void, WriteError<Policy>> {
    return answer === "wait" ? this.wait([item]) : this.refused(answer)
  }

  writeAll(items: ReadonlyArray<A>): Effect.Effect<void, WriteError<Policy>> {
    if (!Array.isArray(items)) return this.refusedItem("items", "an array", items)
    const answer = this.buffer.offerAll(items)
    return answer === "taken" ? Effect.void : answer === "wait" ? this.wait(items) : this.refused(answer)
  }

  refused(answer: Exclude<Answer, "taken" | "wait">): Effect.Effect<never, WriteError<Policy>> {
    const { name } = this.intake
    if (answer === "shut") return Effect.fail(errorOf(name, "write", this.buffer.fault!, "NotSent"))
    if (answer === "full") return Effect.fail(new Full({ name, highWaterMark: this.buffer.highWaterMark }))
    return this.refusedItem("measure", "a non-negative integer for each item", answer.size)
  }

  refusedItem(field: string, expected: string, actual: unknown) {
    return Effect.fail(
      TransportError.invalidOption("write", this.intake.name, { field, expected, actual }, { delivery: "NotSent" })
    )
  }

  wait(items: ReadonlyArray<A>): Effect.Effect<void, WriteError<Policy>> {
    const { buffer, intake } = this
    const sizes = buffer.sizesOf(items)
    if (sizes instanceof BadSize) return this.refused(sizes)
    let writer: Writer<A> | undefined
    const waiting = Effect.callback<void, TransportError.TransportError>((resume) => {
      writer = {
        items,
        sizes,
        resume: (fault) => resume(fault ? Effect.fail(intake.error("write", fault, "NotSent")) : Effect.void)
      }
      buffer.await(writer)
    })
    // Around it and not its cleanup, which nobody runs for what completes at once and is interrupted just then.
    return Effect.onExitPrimitive(waiting, (exit) => {
      if (Exit.isSuccess(exit) || !Cause.hasInterrupts(exit.cause)) return undefined
      return writer === undefined || buffer.withdraw(writer) ? interrupted.NotSent : interrupted.Unknown
    })
  }

  // Reading

  poll(all: boolean, again: Effect.Effect<any, any, any>): Effect.Effect<any, any, any> {
    const { buffer } = this
    const fiber = Fiber.getCurrent()!
    const left = this.#held
    if (left === undefined ? buffer.isAwaited : this.#owner !== undefined && !isOver(this.#owner, fiber)) {
      return this.busy
    }
    if (left === undefined) {
      if (!buffer.isReadable) return this.parked(again)
      if (buffer.length === 0) {
        return buffer.isAborted ? Effect.fail(this.intake.error("read", buffer.fault!)) : Cause.done()
      }
    }
    // Before the buffer is touched, which may wake a writer who reads as well.
    this.#owner = fiber
    this.#held = noItems
    this.#held = left ?? (all ? buffer.takeAll() : [buffer.take()])
    return all ? this.receivedAll : this.receivedOne
  }

  /** The last step, in which items change hands: interrupted before it, they are still here. */
  readonly receivedAll = Effect.sync(() => {
    const items = this.#held!
    this.#held = this.#owner = undefined
    return items
  })

  readonly receivedOne = Effect.sync(() => {
    const items = this.#held!
    this.#held = items.length === 1 ? undefined : items.slice(1)
    this.#owner = undefined
    return items[0]
  })

  readonly busy = Effect.suspend(() =>
    Effect.fail(TransportError.make("read", this.intake.name, new TransportError.Busy({ what: "reader" })))
  )

  parked(again: Effect.Effect<any, any, any>): Effect.Effect<any, any, any> {
    const { buffer } = this
    return Effect.callback((resume) => {
      if (buffer.isAwaited || buffer.isReadable) return resume(again)
      const wake = () => resume(again)
      buffer.awaitItems(wake)
      return Effect.sync(() => buffer.cancelItems(wake))
    })
  }

  // Ending

  /** Stops the producer, and ends the writing once it is gone. */
  finish(by: "close" | "halfClose"): void {
    if (this.#isFinishing) return
    this.#isFinishing = true
    this.intake.finish()
    this.intake.whenFree(() => {
      this.intake.stop(closedBy(by))
      this.buffer.end(closedBy(by))
    })
  }

  abort(by: "abort" | "scope", cause: unknown): Effect.Effect<void> {
    return Effect.sync(() => this.abortNow(closedBy(by, cause)))
  }

  /** Ends what still passes on what was taken. */
  onAbort: () => void = () => {}

  abortNow(fault: Fault): void {
    this.buffer.abort(fault)
    this.onAbort()
  }

  get halfClose(): Effect.Effect<void, TransportError.TransportError> {
    return this.within(Effect.suspend(() => {
      this.finish("halfClose")
      return Effect.andThen(this.intake.freed, Effect.suspend(() => this.failure("halfClose")))
    }))
  }

  get close(): Effect.Effect<void, TransportError.TransportError> {
    const closing = Effect.suspend(() => {
      this.finish("close")
      return this.closed
    })
    return Effect.onInterrupt(this.within(closing), () => this.abort("abort", undefined))
  }

  within(
    ending: Effect.Effect<void, TransportError.TransportError>
  ): Effect.Effect<void, TransportError.TransportError> {
    return Effect.timeoutOrElse(ending, {
      duration: this.closeTimeout,
      orElse: () =>
        Effect.suspend(() => {
          this.abortNow(timedOut)
          return Effect.fail(this.intake.error("close", timedOut))
        })
    })
  }

  get closed(): Effect.Effect<void, TransportError.TransportError> {
    const { buffer } = this
    const ended = Effect.callback<void>((resume) => {
      if (buffer.life === "ended") return resume(Effect.void)
      const wake = () => resume(Effect.void)
      this.#ended.push(wake)
      return Effect.sync(() => {
        this.#ended = this.#ended.filter((waiting) => waiting !== wake)
      })
    })
    return Effect.andThen(ended, Effect.suspend(() => this.failure("close")))
  }

  failure(operation: TransportError.Operation): Effect.Effect<void, TransportError.TransportError> {
    return this.buffer.isAborted ? Effect.fail(this.intake.error(operation, this.buffer.fault!)) : Effect.void
  }

  setMarks(marks: Marks): Effect.Effect<void, TransportError.TransportError> {
    return Effect.map(checkMarks(this.intake.name, marks, undefined), (checked) => {
      if (checked !== undefined) this.buffer.setMarks(checked)
    })
  }

  level(): Level {
    const { buffer, intake } = this
    return {
      name: intake.name,
      state: intake.state.value,
      size: buffer.size,
      length: buffer.length,
      waiting: buffer.waiting,
      dropped: buffer.dropped,
      highWaterMark: buffer.highWaterMark,
      lowWaterMark: buffer.lowWaterMark
    }
  }

  /** The caller knows the policy. */
  consumer<P extends Policy>(below: ReadonlyArray<object> = []): Of<A, P> {
    const { buffer, intake } = this
    const takeAll = new Take(this, true) as unknown as Buffered<A, P>["takeAll"]
    const consumer: Shedding<A, Exclude<P, "suspend">> = {
      policy: buffer.policy as Exclude<P, "suspend">,
      write: (item) => new Write(this, item) as unknown as Effect.Effect<void, WriteError<Exclude<P, "suspend">>>,
      writeAll: (items) =>
        Effect.suspend(() => this.writeAll(items)) as Effect.Effect<void, WriteError<Exclude<P, "suspend">>>,
      register: (producer) => intake.register(consumer, producer),
      unregister: intake.unregister,
      state: observe([intake.state], () => intake.state.value),
      take: new Take(this, false) as unknown as Buffered<A, P>["take"],
      takeAll,
      stream: Stream.fromPull(Effect.succeed(takeAll)),
      halfClose: this.halfClose,
      close: this.close,
      abort: this.abort("abort", undefined),
      abortWith: (cause) => this.abort("abort", cause),
      closed: this.closed,
      setMarks: (marks) => Effect.suspend(() => this.setMarks(marks)),
      level: Effect.sync(() => this.level())
    }
    setStack(consumer, { state: intake.state, level: () => this.level(), below, sheds: buffer.policy !== "suspend" })
    return consumer as unknown as Of<A, P>
  }
}

type Answer = ReturnType<WaterBuffer<unknown>["offer"]>

const noItems: Array<never> = []

const isOver = (owner: Fiber.Fiber<unknown, unknown>, current: Fiber.Fiber<unknown, unknown>): boolean =>
  owner === current || owner.pollUnsafe() !== undefined

/** Why an interrupted write's cause has a second interruption: it is the one that carries the verdict. */
const interruptedWith = (verdict: TransportError.Delivery) =>
  Effect.failCause(Cause.annotate(Cause.interrupt(), Context.make(TransportError.DeliveryAnnotation, verdict)))
const interrupted = { NotSent: interruptedWith("NotSent"), Unknown: interruptedWith("Unknown") }

/**
 * `Effect.void`, as part of the step that is under way: between two steps an interruption may come, and hide from the
 * writer that the item was taken.
 */
const nothingAtOnce = (fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<void> =>
  (Effect.void as unknown as Evaluated)["~effect/Effect/evaluate"](fiber)

interface Evaluated {
  readonly "~effect/Effect/evaluate": (fiber: Fiber.Fiber<unknown, unknown>) => Effect.Effect<void>
}

/** The hottest effects there are: made without a closure, and compiled into one piece. */
interface Write<A> extends Effect.Effect<any, any, any> {
  readonly reservoir: Reservoir<A>
  readonly item: A
}

const Write = function(this: { reservoir: Reservoir<any>; item: any }, reservoir: Reservoir<any>, item: any) {
  this.reservoir = reservoir
  this.item = item
} as unknown as { new<A>(reservoir: Reservoir<A>, item: A): object; prototype: object }
Write.prototype = Effectable.Prototype<Write<any>>({
  label: "Consumer.write",
  evaluate(fiber) {
    const answer = this.reservoir.buffer.offer(this.item)
    return answer === "taken" ? nothingAtOnce(fiber) : this.reservoir.writeSlow(this.item, answer)
  }
})

interface Take extends Effect.Effect<any, any, any> {
  readonly reservoir: Reservoir<any>
  readonly all: boolean
}

const Take = function(this: { reservoir: Reservoir<any>; all: boolean }, reservoir: Reservoir<any>, all: boolean) {
  this.reservoir = reservoir
  this.all = all
} as unknown as { new(reservoir: Reservoir<any>, all: boolean): object; prototype: object }
Take.prototype = Effectable.Prototype<Take>({
  label: "Consumer.take",
  evaluate() {
    return this.reservoir.poll(this.all, this)
  }
})

// ---------------------------------------------------------------------------------------------------------------------
// Options
// ---------------------------------------------------------------------------------------------------------------------

interface CheckedOptions<A> {
  readonly marks: MarksModel | undefined
  readonly policy: Policy
  readonly keyOf: ((item: A) => unknown) | undefined
  readonly measure: ((item: A) => number) | undefined
  readonly closeTimeout: Duration.Duration
  readonly name: string
}

const policies: ReadonlyArray<Policy> = ["suspend", "fail", "dropNewest", "dropOldest", "latest"]

const checkMarks = (
  name: string,
  marks: { readonly highWaterMark?: number | undefined; readonly lowWaterMark?: number | undefined },
  highByDefault: number | undefined
): Effect.Effect<MarksModel | undefined, TransportError.TransportError> => {
  const highWaterMark = marks.highWaterMark ?? highByDefault
  if (highWaterMark === undefined) {
    return marks.lowWaterMark === undefined
      ? Effect.succeed(undefined)
      : refuse(name, "highWaterMark", "a mark, where there is a lowWaterMark", undefined)
  }
  const lowWaterMark = marks.lowWaterMark ?? Math.floor(highWaterMark / 4)
  if (!isCount(highWaterMark, 0)) return refuse(name, "highWaterMark", "a non-negative integer", highWaterMark)
  if (!isCount(lowWaterMark, 0)) return refuse(name, "lowWaterMark", "a non-negative integer", lowWaterMark)
  if (lowWaterMark > highWaterMark) {
    return refuse(name, "lowWaterMark", `at most highWaterMark (${highWaterMark})`, lowWaterMark)
  }
  return Effect.succeed({ highWaterMark, lowWaterMark })
}

const checkOptions = <A>(
  options: AnyOptions<A> | undefined
): Effect.Effect<CheckedOptions<A>, TransportError.TransportError> =>
  Effect.gen(function*() {
    if (options !== undefined && (typeof options !== "object" || options === null)) {
      return yield* refuse("consumer", "options", "an object", options)
    }
    const name = options?.name ?? "consumer"
    if (typeof name !== "string") return yield* refuse("consumer", "name", "a string", name)
    const policy = options?.policy ?? "suspend"
    if (!policies.includes(policy)) return yield* refuse(name, "policy", `one of ${policies.join(", ")}`, policy)
    const { key, measure } = options ?? {}
    if ((policy === "latest") !== (key !== undefined) || (key !== undefined && typeof key !== "function")) {
      return yield* refuse(name, "key", "a function with policy latest, and nothing otherwise", key)
    }
    if (measure !== undefined && typeof measure !== "function") {
      return yield* refuse(name, "measure", "a function", measure)
    }
    const marks = yield* checkMarks(name, options ?? {}, measure === undefined ? undefined : 65_536)
    const closeTimeout = yield* checkTimeout(name, options?.closeTimeout)
    return { name, policy, keyOf: key, measure, marks, closeTimeout }
  })

export const makeReservoir = <A>(
  options: AnyOptions<A> | undefined
): Effect.Effect<Reservoir<A>, TransportError.TransportError, Scope.Scope> =>
  Effect.flatMap(checkOptions(options), (checked) =>
    Effect.withFiber((fiber) =>
      Effect.acquireRelease(
        Effect.sync(() => new Reservoir<A>(checked, fiber.currentDispatcher)),
        (reservoir, exit) => reservoir.abort("scope", Exit.isFailure(exit) ? exit.cause : undefined)
      )
    ))
