/**
 * What a program can learn from outside its world, in the hands of the world while it is driven: the time of day and
 * random numbers come from the world, and what would come back from outside later is an escape.
 *
 * Driving is synchronous, so nobody else meets these; they are given back before it returns.
 */

/** What the world puts in the place of the real ones. */
export interface Controls {
  /** Milliseconds since 1970. */
  readonly wallMillis: () => number
  readonly monotonicNanos: () => number
  /** From 0 up to 1. */
  readonly random: () => number
  /** Behind the task at hand. */
  readonly microtask: (run: () => void) => void
  /** Something was asked for that the world decides. */
  readonly onUse: (source: string) => void
  /** Something was begun that would come back from outside. What it answers is thrown. */
  readonly onEscape: (source: string) => Error
}

type Undo = () => void

interface Globals {
  Date: DateConstructor
  readonly Math: { random: () => number }
  readonly Promise: { readonly prototype: { then: unknown } }
  readonly performance?: { now: () => number } | undefined
  readonly process?: { hrtime: unknown; nextTick: unknown } | undefined
  readonly crypto?: { getRandomValues: unknown; randomUUID: unknown } | undefined
}

const globals = globalThis as unknown as Globals & Record<string, unknown>

/** Taken when this is loaded, so that a world that runs inside another keeps real time. */
const RealDate = globals.Date
const realPerformanceNow = globals.performance === undefined
  ? () => RealDate.now()
  : globals.performance.now.bind(globals.performance)

/** Real time, for bounds. */
export const realMillis = (): number => realPerformanceNow()

/** Puts the world's in place; what it answers puts the real ones back. */
export const take = (controls: Controls): Undo => {
  const undo: Array<Undo> = []
  const replace = <K extends string>(target: object | undefined, name: K, value: unknown) => {
    if (target === undefined) return
    const owner = target as Record<string, unknown>
    const descriptor = Object.getOwnPropertyDescriptor(target, name)
    const inherited = owner[name]
    if (inherited === undefined) return
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
  const escape = (source: string) => () => {
    throw controls.onEscape(source)
  }

  const now = () => Math.floor(controls.wallMillis())
  const SimDate = function(this: unknown, ...parts: ReadonlyArray<unknown>) {
    if (new.target === undefined) return used("Date", () => new RealDate(now()).toString())
    const given = parts.length === 0 ? [used("Date", now)] : parts
    return Reflect.construct(RealDate, given, new.target === (SimDate as unknown) ? RealDate : new.target)
  }
  Object.setPrototypeOf(SimDate, RealDate)
  SimDate.prototype = RealDate.prototype
  Object.defineProperty(SimDate, "now", { value: () => used("Date.now", now) })
  replace(globals, "Date", SimDate)

  replace(globals.Math, "random", () => used("Math.random", controls.random))
  replace(globals.performance, "now", () => used("performance.now", () => controls.monotonicNanos() / 1e6))
  const hrtime = (previous?: readonly [number, number]) =>
    used("process.hrtime", () => {
      const nanos = controls.monotonicNanos() - (previous === undefined ? 0 : previous[0] * 1e9 + previous[1])
      return [Math.floor(nanos / 1e9), nanos % 1e9]
    })
  hrtime.bigint = () => used("process.hrtime", () => BigInt(controls.monotonicNanos()))
  replace(globals.process, "hrtime", hrtime)

  const fill = (bytes: Uint8Array) => {
    for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(controls.random() * 256)
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

  replace(globals, "queueMicrotask", controls.microtask)
  replace(
    globals.process,
    "nextTick",
    (run: (...args: ReadonlyArray<unknown>) => void, ...args: ReadonlyArray<unknown>) =>
      controls.microtask(() => run(...args))
  )
  for (const source of ["setTimeout", "setInterval", "setImmediate", "fetch"]) {
    replace(globals, source, escape(source))
  }
  replace(globals.Promise.prototype, "then", escape("Promise.prototype.then"))
  return () => {
    for (const one of undo.reverse()) one()
  }
}
