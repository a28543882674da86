/**
 * What a program can learn from outside its world, in the hands of the world while it is driven: the time of day and
 * random numbers come from the world, and what would come back from outside later is an escape.
 *
 * Driving is synchronous, so nobody else meets these; they are given back before it returns. Nothing that is begun
 * meanwhile by another way, as through a function that was kept from before, can come back in the course of it.
 */
import * as Context from "effect/Context"
import * as Scheduler from "effect/Scheduler"

/** A clock of the world. */
export interface Clock {
  /** Since 1970. */
  readonly wallMillis: number
  readonly monotonicNanos: number
}

/** What the world puts in the place of the real ones. */
export interface Controls {
  /** That of the host whose program asks. */
  readonly clock: () => Clock
  /** When the world began, since 1970. */
  readonly startMillis: number
  /** From 0 up to 1. */
  readonly random: () => number
  /** Behind the task at hand. Nothing is learnt by it, so that it is counted, and no event. */
  readonly microtask: (source: string, run: () => void) => void
  /** Something was printed past Effect's own `Console`. */
  readonly onPrint: (parts: ReadonlyArray<unknown>) => void
  /** Something was asked for that the world decides. */
  readonly onUse: (source: string) => void
  /** Something was begun that would come back from outside. What it answers is thrown. */
  readonly onEscape: (source: string) => Error
}

type Undo = () => void

type Owner = Record<string, unknown>

interface Globals {
  Date: DateConstructor
  readonly Math: { random: () => number }
  readonly Promise: { readonly prototype: PromiseLike<unknown> }
  readonly console?: Record<string, unknown> | undefined
  readonly performance?: { readonly now: () => number; readonly timeOrigin: number } | undefined
  readonly process?: { readonly hrtime?: { readonly bigint: unknown } | undefined } | undefined
  readonly crypto?: { readonly subtle: unknown } | undefined
}

const globals = globalThis as unknown as Globals & Owner

/** Taken when this is loaded, so that a world that runs inside another keeps real time. */
const RealDate = globals.Date
const realThen = globals.Promise.prototype.then
const realPerformanceNow = globals.performance === undefined
  ? () => RealDate.now()
  : globals.performance.now.bind(globals.performance)

/** What fibers get that are begun with no scheduler of their own. */
const defaultScheduler = Context.get(Context.empty(), Scheduler.Scheduler)

/** Real time, for bounds. */
export const realMillis = (): number => realPerformanceNow()

/** Of global functions and classes: what they answer, or whom they tell, comes from outside. */
const globalEscapes = [
  "setTimeout",
  "setInterval",
  "setImmediate",
  "requestAnimationFrame",
  "requestIdleCallback",
  "fetch",
  "MessageChannel",
  "BroadcastChannel",
  "Worker",
  "SharedWorker",
  "WebSocket",
  "EventSource",
  "XMLHttpRequest"
]

/** The same of what global objects have. */
const memberEscapes: ReadonlyArray<readonly [object: string, names: ReadonlyArray<string>]> = [
  ["AbortSignal", ["timeout"]],
  ["Atomics", ["wait", "waitAsync"]],
  ["WebAssembly", ["compile", "compileStreaming", "instantiate", "instantiateStreaming"]],
  ["performance", ["mark", "measure", "eventLoopUtilization", "toJSON"]],
  ["process", [
    "availableMemory",
    "constrainedMemory",
    "cpuUsage",
    "memoryUsage",
    "resourceUsage",
    "threadCpuUsage"
  ]]
]

/** What was put in place. */
export interface Taken {
  readonly giveBack: () => void
  /** Runs what belongs outside, by the real ones. */
  readonly outside: <A>(run: () => A) => A
}

/** Puts the world's in place. */
export const take = (controls: Controls): Taken => {
  const taken: { giveBack: Undo; readonly outside: Taken["outside"] } = {
    giveBack: () => {},
    outside: (run) => {
      taken.giveBack()
      try {
        return run()
      } finally {
        taken.giveBack = put(controls, taken)
      }
    }
  }
  taken.giveBack = put(controls, taken)
  return taken
}

const put = (controls: Controls, { outside }: Pick<Taken, "outside">): Undo => {
  const undo: Array<Undo> = []
  const replace = (target: object | undefined, name: string, value: unknown) => {
    if (target === undefined) return
    const owner = target as Owner
    // Asked for by its name alone: some are loaded when they are first read.
    if (!(name in owner)) return
    const descriptor = Object.getOwnPropertyDescriptor(target, name)
    Object.defineProperty(target, name, { value, configurable: true, writable: true })
    undo.push(() => {
      if (descriptor === undefined) delete owner[name]
      else Object.defineProperty(target, name, descriptor)
    })
  }
  const used = <A>(source: string, answer: () => A) => {
    controls.onUse(source)
    return answer()
  }
  const escape = (source: string) =>
    function() {
      throw controls.onEscape(source)
    }
  takeTime(controls, replace, used)
  takeRandom(controls, replace, used)

  replace(globals, "queueMicrotask", (run: () => void) => controls.microtask("queueMicrotask", run))
  replace(
    globals.process,
    "nextTick",
    (run: (...args: ReadonlyArray<unknown>) => void, ...args: ReadonlyArray<unknown>) =>
      controls.microtask("process.nextTick", () => run(...args))
  )

  for (const source of globalEscapes) replace(globals, source, escape(source))
  for (const [object, names] of memberEscapes) {
    for (const name of names) replace(globals[object] as object | undefined, name, escape(`${object}.${name}`))
  }
  if (globals.crypto !== undefined) {
    const subtle = new Proxy({}, { get: (_, name) => escape(`crypto.subtle.${String(name)}`) })
    replace(globals.crypto, "subtle", subtle)
  }
  const nothing = () => {}
  replace(globals.Promise.prototype, "then", function(this: PromiseLike<unknown>) {
    // Nobody will hear how it ends.
    realThen.call(this, nothing, nothing)
    throw controls.onEscape("Promise.prototype.then")
  })

  // One that was begun by `Effect.runFork` inside a program, or one of outside that was woken from inside.
  const foreign = "a fiber with Effect's own scheduler, as Effect.runFork begins it,"
  replace(defaultScheduler, "shouldYield", () => {
    controls.onEscape(foreign)
    // It is asked before each step, so that one that throws would be asked for ever.
    return false
  })
  replace(defaultScheduler, "makeDispatcher", escape(foreign))

  const { console } = globals
  if (console !== undefined) {
    replace(
      globals,
      "console",
      new Proxy(console, {
        get: (target, name: string) => {
          const print = target[name]
          if (typeof print !== "function") return print
          return (...parts: ReadonlyArray<unknown>) => {
            controls.onPrint(name === "log" ? parts : [`${name}:`, ...parts])
            // It writes by what is taken here.
            return outside(() => print.apply(target, parts))
          }
        }
      })
    )
  }
  return () => {
    for (const one of undo.toReversed()) one()
  }
}

type Replace = (target: object | undefined, name: string, value: unknown) => void

type Used = <A>(source: string, answer: () => A) => A

const takeTime = ({ clock, startMillis }: Controls, replace: Replace, used: Used) => {
  const now = () => Math.floor(clock().wallMillis)
  const nanos = () => clock().monotonicNanos
  const SimDate = function Date(this: unknown, ...parts: ReadonlyArray<unknown>) {
    if (new.target === undefined) return used("Date", () => new RealDate(now()).toString())
    const given = parts.length === 0 ? [used("Date", now)] : parts
    return Reflect.construct(RealDate, given, new.target === (SimDate as unknown) ? RealDate : new.target)
  }
  Object.setPrototypeOf(SimDate, RealDate)
  Object.defineProperty(SimDate, "prototype", { value: RealDate.prototype, writable: false })
  Object.defineProperty(SimDate, "length", { value: 7, configurable: true })
  Object.defineProperty(SimDate, "now", { value: () => used("Date.now", now), configurable: true, writable: true })
  replace(globals, "Date", SimDate)

  replace(globals.performance, "now", () => used("performance.now", () => nanos() / 1e6))
  replace(globals.performance, "timeOrigin", startMillis)
  replace(globals.process, "uptime", () => used("process.uptime", () => nanos() / 1e9))
  const hrtime = (previous?: readonly [number, number]) =>
    used("process.hrtime", () => {
      const since = nanos() - (previous === undefined ? 0 : previous[0] * 1e9 + previous[1])
      return [Math.floor(since / 1e9), since % 1e9]
    })
  hrtime.bigint = () => used("process.hrtime", () => BigInt(nanos()))
  // Effect has kept the function, and asks it for its own.
  replace(globals.process?.hrtime, "bigint", hrtime.bigint)
  replace(globals.process, "hrtime", hrtime)
}

const takeRandom = ({ random }: Controls, replace: Replace, used: Used) => {
  replace(globals.Math, "random", () => used("Math.random", random))
  const fill = (bytes: Uint8Array) => {
    for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(random() * 256)
  }
  replace(globals.crypto, "getRandomValues", (array: ArrayBufferView) =>
    used("crypto.getRandomValues", () => {
      fill(new Uint8Array(array.buffer, array.byteOffset, array.byteLength))
      return array
    }))
  replace(globals.crypto, "randomUUID", () =>
    used("crypto.randomUUID", () => {
      const bytes = new Uint8Array(16)
      fill(bytes)
      bytes[6] = (bytes[6]! & 0x0f) | 0x40
      bytes[8] = (bytes[8]! & 0x3f) | 0x80
      const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
      return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-")
    }))
}
