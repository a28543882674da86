/**
 * One life of a host's programs, from a boot to an end: its fibers, and the services that they are given.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"
import * as Tracer from "effect/Tracer"
import { waitsOn } from "../internal/waiting.ts"
import { Network } from "../Network.ts"
import type { Engine } from "./engine/engine.ts"
import { Lane, type Owner } from "./engine/lanes.ts"
import { CurrentGate, type Gates } from "./gates.ts"
import type { Host } from "./net/hosts.ts"
import { HostEnded } from "./SimError.ts"
import { causeText, textOf } from "./texts.ts"
import type { HostServices } from "./World.ts"

/** A host's clock: what it shows, and how fast it goes. */
export class HostClock {
  /** Added to the time of day. */
  offsetMillis = 0
  readonly #engine: Engine
  /** 1 for a clock that is right. */
  #rate = 1
  #sinceNs = 0
  #nanosThen = 0

  constructor(engine: Engine) {
    this.#engine = engine
  }

  set rate(rate: number) {
    this.#nanosThen = this.monotonicNanos
    this.#sinceNs = this.#engine.nowNs
    this.#rate = rate
  }

  get monotonicNanos(): number {
    return this.#nanosThen + Math.round((this.#engine.nowNs - this.#sinceNs) * this.#rate)
  }

  get wallMillis(): number {
    return startMillis + this.monotonicNanos / 1e6 + this.offsetMillis
  }

  /** How long the world takes for so much of this clock. */
  worldNanos(nanos: number): number {
    return nanos / this.#rate
  }
}

/** 2000-01-01T00:00:00Z: when all worlds begin. */
export const startMillis = 946_684_800_000

/** An effect that runs on a host. */
export class Task<A, E> {
  #exit: Exit.Exit<A, E | HostEnded> | undefined = undefined
  #waiters: Array<() => void> = []
  readonly host: string

  constructor(host: string) {
    this.host = host
  }

  /** One that has ended. */
  static ended<A, E>(host: string, exit: Exit.Exit<A, E | HostEnded>): Task<A, E> {
    const task = new Task<A, E>(host)
    task.end(exit)
    return task
  }

  /** For those who are not of the world. */
  onEnd(listener: (exit: Exit.Exit<A, E | HostEnded>) => void): void {
    this.#waiters.push(() => listener(this.#exit!))
  }

  end(exit: Exit.Exit<A, E | HostEnded>): void {
    if (this.#exit !== undefined) return
    this.#exit = exit
    for (const wake of this.#waiters.splice(0)) wake()
  }

  // Asked inside the callback: between two operations of whoever waits, it may end.
  readonly ended: Effect.Effect<A, E | HostEnded> = waitsOn(
    Effect.callback<A, E | HostEnded>((resume) => {
      if (this.#exit !== undefined) return resume(this.#exit)
      const wake = () => resume(this.#exit!)
      this.#waiters.push(wake)
      return Effect.sync(() => {
        this.#waiters = this.#waiters.filter((one) => one !== wake)
      })
    }),
    () => `the end of what runs on ${this.host}`
  )
}

export class Life {
  readonly owner: Owner
  readonly context: Context.Context<HostServices>
  readonly #engine: Engine
  readonly #host: Host
  readonly #lane: Lane
  readonly #running = new Map<Task<any, any>, Fiber.Fiber<unknown, unknown> | undefined>()

  constructor(options: {
    readonly engine: Engine
    readonly host: Host
    readonly owner: Owner
    readonly clock: HostClock
    readonly scheduler: Scheduler.Scheduler
    readonly network: Network["Service"]
    readonly store: KeyValueStore.KeyValueStore
    /** What fibers are numbered by here. */
    readonly fiberNow: () => number
    readonly gates: Gates
    readonly tracer: Tracer.Tracer | undefined
  }) {
    const { clock, engine, fiberNow, host, owner } = options
    this.owner = owner
    this.#engine = engine
    this.#host = host
    this.#lane = new Lane(owner)
    const print = (...parts: ReadonlyArray<unknown>) =>
      engine.recording.add("print", host.name, { note: printed(parts) })
    const context = Context.empty().pipe(
      Context.add(Scheduler.Scheduler, options.scheduler),
      Context.add(Clock.Clock, clockOf(engine, clock, owner)),
      Context.add(Random.Random, randomOf(engine, host.name)),
      Context.add(Console.Console, consoleOf(print)),
      Context.add(Logger.CurrentLoggers, new Set([loggerOf(print, fiberNow)])),
      // As all that a process counts, they begin anew with it.
      Context.add(Metric.MetricRegistry, new Map()),
      Context.add(CurrentGate, (name, run, resume) => options.gates.pass(name, host.name, run, resume)),
      Context.add(Network, options.network),
      Context.add(KeyValueStore.KeyValueStore, options.store)
    )
    this.context = options.tracer === undefined ? context : Context.add(context, Tracer.Tracer, options.tracer)
  }

  /** Begins in a task of this life. */
  start<A, E, R>(effect: Effect.Effect<A, E, R>, context: Context.Context<R>): Task<A, E> {
    const task = new Task<A, E>(this.#host.name)
    this.#running.set(task, undefined)
    this.#engine.post(this.#lane, () => {
      if (!this.#running.has(task)) return
      const all = Context.merge(context, this.context) as Context.Context<R>
      const fiber = Effect.runForkWith(all)(effect)
      this.#running.set(task, fiber)
      fiber.addObserver((exit) => {
        this.#running.delete(task)
        task.end(exit)
      })
    })
    return task
  }

  interrupt(task: Task<any, any>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const fiber = this.#running.get(task)
      if (fiber !== undefined) {
        fiber.interruptUnsafe()
        // Not for the fiber, which stands still for ever where its host is killed meanwhile.
        return Effect.asVoid(Effect.exit(task.ended))
      }
      // It has ended, or not begun, and never will.
      if (this.#running.delete(task)) task.end(Exit.failCause(Cause.interrupt()))
      return Effect.void
    })
  }

  /** Interrupts what runs, and waits for its finalizers. */
  get interruptAll(): Effect.Effect<void> {
    return Effect.suspend(() =>
      Effect.forEach(Array.from(this.#running.keys()), (task) => this.interrupt(task), {
        concurrency: "unbounded",
        discard: true
      })
    )
  }

  /** Nothing of it runs any more. What it answers tells those who wait for what ran, who go on at once. */
  discard(by: HostEnded["by"]): () => void {
    this.#engine.discard(this.owner)
    const left = Array.from(this.#running.keys())
    this.#running.clear()
    return () => {
      for (const task of left) task.end(Exit.fail(new HostEnded({ host: this.#host.name, by })))
    }
  }
}

const clockOf = (engine: Engine, clock: HostClock, owner: Owner): Clock.Clock => {
  const monotonic = () => BigInt(clock.monotonicNanos)
  const wall = () => BigInt(Math.floor(clock.wallMillis * 1000)) * 1000n
  return {
    currentTimeMillisUnsafe: () => Math.floor(clock.wallMillis),
    currentTimeMillis: Effect.sync(() => Math.floor(clock.wallMillis)),
    currentTimeNanosUnsafe: wall,
    currentTimeNanos: Effect.sync(wall),
    monotonicTimeNanosUnsafe: monotonic,
    monotonicTimeNanos: Effect.sync(monotonic),
    sleep: (duration) => {
      const nanos = Duration.toMillis(duration) * 1e6
      if (nanos <= 0) return Effect.yieldNow
      if (nanos === Infinity) return Effect.never
      return waitsOn(
        Effect.callback((resume) => {
          const timer = engine.at(engine.nowNs + clock.worldNanos(nanos), owner, () => resume(Effect.void))
          return Effect.sync(() => engine.cancel(timer))
        }),
        "its clock"
      )
    }
  }
}

const randomOf = (engine: Engine, host: string): typeof Random.Random.Service => {
  const stream = engine.stream(`random:${host}`)
  return {
    nextDoubleUnsafe: () => stream.fraction(),
    nextIntUnsafe: () => (stream.below(2 ** 22) - 2 ** 21) * 2 ** 32 + stream.next()
  }
}

/** What is printed is part of what happened. */
const consoleOf = (print: (...parts: ReadonlyArray<unknown>) => void): Console.Console => {
  const nothing = () => {}
  return {
    assert: (condition, ...parts) => condition ? undefined : print("assertion failed:", ...parts),
    clear: nothing,
    count: nothing,
    countReset: nothing,
    debug: print,
    dir: print,
    dirxml: print,
    error: print,
    group: print,
    groupCollapsed: print,
    groupEnd: nothing,
    info: print,
    log: print,
    table: print,
    time: nothing,
    timeEnd: nothing,
    timeLog: nothing,
    trace: print,
    warn: print
  }
}

const loggerOf = (print: (...parts: ReadonlyArray<unknown>) => void, fiberNow: () => number) =>
  Logger.make<unknown, void>(({ cause, logLevel, message }) => {
    const parts = Array.isArray(message) ? message : [message]
    const causes = cause.reasons.length > 0 ? [causeText(cause)] : []
    print(`${logLevel.toUpperCase()} (#${fiberNow()}):`, ...parts, ...causes)
  })

/** As one text. */
export const printed = (parts: ReadonlyArray<unknown>): string =>
  parts.map((part) => typeof part === "string" ? part : textOf(part)).join(" ")
