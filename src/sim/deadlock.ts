/**
 * Who waits on what, when nothing can happen any more.
 *
 * A run keeps no notes of it, since that would cost all runs. The same world runs once more, decides the same, and is
 * watched: each step of each fiber passes a `Tracer`, and the last one before a fiber parked says what it waits on. What
 * Effect's own waits look like is learnt from Effect, by parking a fiber in each of them.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import type * as Scheduler from "effect/Scheduler"
import * as Semaphore from "effect/Semaphore"
import * as Tracer from "effect/Tracer"
import { wordsOf } from "../internal/waiting.ts"
import type { LiveFiber } from "./scheduler.ts"
import { Deadlock, type Waiting } from "./SimError.ts"
import type { Simulation } from "./simulation.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** As Effect has them; where it has them no more, less can be told. */
interface Step {
  readonly "~effect/Effect/identifier"?: string | undefined
  /** Of one that waits for a callback. */
  readonly register?: unknown
}

/** The last step of a fiber. */
interface Last {
  readonly step: Tracer.EffectPrimitive<unknown> & Step
  /** Fibers whose end it waits for. */
  readonly targets: Array<AnyFiber>
}

/** Sees every step of the fibers that have its tracer. */
class Watch {
  readonly #last = new WeakMap<AnyFiber, Last>()
  #current: Last | undefined = undefined

  readonly tracer: Tracer.Tracer = Tracer.make({
    span: (options) => nativeTracer.span(options),
    context: (step, fiber) => {
      const outer = this.#current
      const last = this.#current = { step, targets: [] }
      this.#last.set(fiber, last)
      try {
        return step["~effect/Effect/evaluate"](fiber)
      } finally {
        this.#current = outer
      }
    }
  })

  /** Runs, and sees meanwhile who waits for the end of whom. */
  during<A>(run: () => A): A {
    // What all fibers have in common.
    const prototype = Object.getPrototypeOf(park(Effect.void, nativeTracer)) as {
      addObserver: AnyFiber["addObserver"]
    }
    const { addObserver } = prototype
    const see = (fiber: AnyFiber) => this.#current?.targets.push(fiber)
    prototype.addObserver = function(this: AnyFiber, listener: Parameters<AnyFiber["addObserver"]>[0]) {
      see(this)
      return addObserver.call(this, listener)
    }
    try {
      return run()
    } finally {
      prototype.addObserver = addObserver
    }
  }

  last(fiber: AnyFiber): Last | undefined {
    return this.#last.get(fiber)
  }
}

const nativeTracer = Context.get(Context.empty(), Tracer.Tracer)

/** Runs each fiber to where it parks, and none that is forked. */
const parking: Scheduler.Scheduler = {
  executionMode: "sync",
  shouldYield: () => false,
  makeDispatcher: () => ({ scheduleTask: () => {}, flush: () => {} })
}

const park = (effect: Effect.Effect<unknown, unknown>, tracer: Tracer.Tracer): AnyFiber =>
  Effect.runForkWith(Context.make(Tracer.Tracer, tracer))(effect, { scheduler: parking })

/**
 * The report. `again` runs the same world once more with the tracer; nothing where that cannot be.
 */
export const reportOf = (stuck: Simulation, again: (tracer: Tracer.Tracer) => Simulation): Deadlock => {
  const watch = new Watch()
  const second = watch.during(() => again(watch.tracer))
  const isSame = second.engine.steps === stuck.engine.steps && second.engine.nowNs === stuck.engine.nowNs
  const fibers = second.fibers.live
  const numbers = new Map(fibers.map(({ fiber, number }) => [fiber, number]))
  return new Deadlock({
    fibers: isSame
      ? fibers.map((live) => waitingOf(live, watch.last(live.fiber), numbers))
      : stuck.fibers.live.map(({ fiber, host, number }) => ({
        host,
        fiber: number,
        on: "what cannot be told: the world did something else when it ran again",
        in: namesOf(fiber)
      })),
    sockets: socketsOf(stuck)
  })
}

const waitingOf = (
  { fiber, host, number, state }: LiveFiber,
  last: Last | undefined,
  numbers: ReadonlyMap<AnyFiber, number>
): Waiting => {
  const on = last === undefined ? "what cannot be told: it has a tracer of its own" : onOf(last, numbers)
  return { host, fiber: number, on: state === "paused" ? `${on}, and its host is paused` : on, in: namesOf(fiber) }
}

const onOf = ({ step, targets }: Last, numbers: ReadonlyMap<AnyFiber, number>): string => {
  const said = wordsOf(step)
  if (said !== undefined) return said
  const text = textOf(step)
  if (step["~effect/Effect/identifier"] === "Yield") return "its turn"
  if (text === undefined) {
    return `what cannot be told, after ${step["~effect/Effect/identifier"] ?? "a step of its own"}`
  }
  const known = learnt().get(text)
  if (known === undefined) return `a callback: ${shortened(text)}`
  const left = new Set(targets.map((fiber) => numbers.get(fiber)).filter((number) => number !== undefined))
  return left.size === 0 ? known : `${known} (fiber ${Array.from(left).join(", ")})`
}

/** The code of what a fiber waits in; nothing where it does not wait for a callback. */
const textOf = (step: Step): string | undefined =>
  step["~effect/Effect/identifier"] === "Async" && typeof step.register === "function"
    ? Function.prototype.toString.call(step.register)
    : undefined

const shortened = (text: string): string => {
  const line = text.replace(/\s+/g, " ")
  return line.length <= 100 ? line : `${line.slice(0, 97)}...`
}

/** From inside to outside: what `Effect.fn` and spans call it. */
const namesOf = (fiber: AnyFiber): string => {
  const names: Array<string> = []
  for (let frame = fiber.cache.stackFrame; frame !== undefined && names.length < 5; frame = frame.parent) {
    const name = frame.name.replace(/ \(definition\)$/, "")
    if (name !== "" && name !== names.at(-1)) names.push(name)
  }
  return names.join(" < ")
}

const socketsOf = ({ hosts }: Simulation): ReadonlyArray<string> =>
  Array.from(hosts.connections.values()).flatMap(({ client, id, place, server }) =>
    [client, server].filter((socket) => !socket.isClosed).map((socket) =>
      `connection ${id} to ${place}, on ${socket.host.name}: ${socket.out.queuedBytes} bytes to send, ` +
      `${socket.input.arrivedBytes} unread${socket.input.hasEnded ? ", and the peer has ended" : ""}`
    )
  )

// ---------------------------------------------------------------------------------------------------------------------
// What Effect's own waits look like
// ---------------------------------------------------------------------------------------------------------------------

const parked: Effect.Effect<never> = Effect.never

/** Each parks the fiber that runs it. */
const waits: ReadonlyArray<readonly [words: string, effect: Effect.Effect<unknown, unknown>]> = [
  ["nothing: it is Effect.never", parked],
  ["a Deferred", Effect.suspend(() => Deferred.await(Deferred.makeUnsafe<void>()))],
  ["a Queue, for something to take", Effect.flatMap(Queue.unbounded<number>(), Queue.take)],
  ["a Queue, for room", Effect.flatMap(Queue.bounded<number>(1), (queue) => Queue.offerAll(queue, [1, 2]))],
  [
    "a Queue, for room",
    Effect.flatMap(Queue.bounded<number>(1), (queue) => Effect.andThen(Queue.offer(queue, 1), Queue.offer(queue, 2)))
  ],
  ["the end of a Queue", Effect.flatMap(Queue.unbounded<number>(), Queue.await)],
  [
    "a PubSub, for something to take",
    Effect.scoped(Effect.flatMap(
      Effect.flatMap(PubSub.unbounded<number>(), PubSub.subscribe),
      PubSub.take
    ))
  ],
  ["a Semaphore", Effect.suspend(() => Semaphore.makeUnsafe(0).take(1))],
  ["a Latch", Effect.suspend(() => Latch.makeUnsafe(false).await)],
  ["the end of another fiber", Effect.flatMap(Effect.forkChild(parked), Fiber.join)],
  ["the end of another fiber", Effect.flatMap(Effect.forkChild(parked), Fiber.await)],
  [
    "the end of other fibers",
    Effect.flatMap(Effect.forkChild(parked), (fiber) => Fiber.joinAll([fiber]))
  ],
  [
    "the end of other fibers",
    Effect.flatMap(Effect.forkChild(parked), (fiber) => Fiber.awaitAll([fiber]))
  ],
  ["what it runs concurrently", Effect.all([parked, parked], { concurrency: "unbounded" })],
  ["one of those it races", Effect.raceAll([parked, parked])],
  ["one of those it races", Effect.raceAllFirst([parked, parked])]
]

let known: ReadonlyMap<string, string> | undefined

/** Words by code. Where two kinds of wait have the same code, both are named. */
const learnt = (): ReadonlyMap<string, string> => {
  if (known !== undefined) return known
  const words = new Map<string, string>()
  const watch = new Watch()
  for (const [wait, effect] of waits) {
    const last = watch.last(park(effect, watch.tracer))
    const text = last === undefined ? undefined : textOf(last.step)
    if (text !== undefined) {
      const before = words.get(text)
      words.set(text, before === undefined || before === wait ? wait : `${before}, or ${wait}`)
    }
  }
  return known = words
}
