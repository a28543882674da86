/**
 * Where two runs of one seed differ.
 */
import * as Exit from "effect/Exit"
import type { Event } from "./engine/recording.ts"
import { Diverged } from "./SimError.ts"
import type { Simulation } from "./simulation.ts"
import * as Trace from "./Trace.ts"

/** The first difference; nothing where they are alike. */
export const differenceOf = (first: Simulation, second: Simulation, run: number): Diverged | undefined => {
  const [one, other] = [first.engine, second.engine]
  const diverged = (seq: number, a: string, b: string) => new Diverged({ run, seq, first: a, second: b })
  const seq = firstDifference(one.recording.history, other.recording.history)
  if (seq !== undefined) {
    const lines = [one, other].map(({ recording }) => lineOf(recording.events[seq], seq < recording.count))
    if (lines[0] !== lines[1]) return diverged(seq, lines[0]!, lines[1]!)
    const decided = decisionOf(first, second)
    return decided === undefined
      ? diverged(seq, lines[0]!, lines[1]!)
      : diverged(seq, `${lines[0]}, behind ${decided[0]}`, `${lines[1]}, behind ${decided[1]}`)
  }
  const end = one.recording.count
  const decided = decisionOf(first, second)
  if (decided !== undefined) return diverged(end, ...decided)
  for (
    const [what, a, b] of [
      ["steps", one.steps, other.steps],
      ["nanoseconds", one.nowNs, other.nowNs]
    ] as const
  ) {
    if (a !== b) return diverged(end, `${a} ${what}`, `${b} ${what}`)
  }
  const [a, b] = [exitText(first.exit), exitText(second.exit)]
  return a === b ? undefined : diverged(end, `the exit ${a}`, `the exit ${b}`)
}

const firstDifference = (a: ArrayLike<number>, b: ArrayLike<number>): number | undefined => {
  const length = Math.max(a.length, b.length)
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i
  return undefined
}

const lineOf = (event: Event | undefined, wasThere: boolean): string =>
  event !== undefined ? Trace.line(event) : wasThere ? "an event that was not kept" : "nothing more"

const decisionOf = (first: Simulation, second: Simulation): readonly [string, string] | undefined => {
  for (const what of ["picks", "preemptions"] as const) {
    const [a, b] = [first.engine.strategy.decisions[what], second.engine.strategy.decisions[what]]
    const at = firstDifference(a, b)
    if (at === undefined) continue
    const name = what === "picks" ? "lane" : "operation"
    return [a, b].map((decided) =>
      decided[at] === undefined ? "no further decision" : `decision ${at} for ${name} ${decided[at]}`
    ) as [string, string]
  }
  return undefined
}

/** An exit as text, without what is numbered on from run to run. */
const exitText = (exit: Exit.Exit<unknown, unknown> | undefined): string => {
  if (exit === undefined) return "that never came"
  if (Exit.isSuccess(exit)) return textOf(exit.value, [])
  const reasons = exit.cause.reasons.map((reason) =>
    reason._tag === "Fail"
      ? `Fail(${textOf(reason.error, [])})`
      : reason._tag === "Die"
      ? `Die(${textOf(reason.defect, [])})`
      : "Interrupt"
  )
  return reasons.join(" and ")
}

/** Plain data in full; of anything else the name of its class, since it may hold what belongs to one run. */
const textOf = (value: unknown, above: ReadonlyArray<unknown>): string => {
  if (typeof value === "string") return JSON.stringify(value)
  if (typeof value === "function") return "a function"
  if (typeof value !== "object" || value === null) return String(value)
  if (above.includes(value)) return "itself"
  const within = [...above, value]
  const list = (values: Iterable<unknown>) => Array.from(values, (one) => textOf(one, within)).join(", ")
  if (Array.isArray(value) || value instanceof Set) return `[${list(value)}]`
  if (value instanceof Map) return `[${list(value)}]`
  if (value instanceof Uint8Array) return `bytes ${value.join(" ")}`
  if (value instanceof Error) return `${value.name}: ${value.message}`
  if (value instanceof Date) return `${value.getTime()}`
  if (Exit.isExit(value)) return exitText(value)
  const prototype = Object.getPrototypeOf(value) as object | null
  const name = prototype === null || prototype === Object.prototype ? "" : prototype.constructor.name
  // Such as Option and Result have their parts as properties; what has a life of its own has other things there.
  if (name !== "" && !("_tag" in value)) return name
  const parts = Object.entries(value).map(([key, part]) => `${key}: ${textOf(part, within)}`)
  return `${name}{ ${parts.join(", ")} }`
}
