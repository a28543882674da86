/**
 * Values as text that is the same in every run: what is printed in a world, and what runs are compared by.
 */
import type * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"

/** An exit as text, without what is numbered on from run to run. */
export const exitText = (exit: Exit.Exit<unknown, unknown> | undefined): string => {
  if (exit === undefined) return "that never came"
  return Exit.isSuccess(exit) ? textOf(exit.value) : causeText(exit.cause)
}

/** A cause as text, without stacks, which differ with who called. */
export const causeText = (cause: Cause.Cause<unknown>): string =>
  cause.reasons.map((reason) =>
    reason._tag === "Fail"
      ? `Fail(${textOf(reason.error)})`
      : reason._tag === "Die"
      ? `Die(${textOf(reason.defect)})`
      : "Interrupt"
  ).join(" and ")

/** Plain data in full; of anything else the name of its class, since it may hold what belongs to one run. */
export const textOf = (value: unknown, above: ReadonlyArray<unknown> = []): string => {
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
