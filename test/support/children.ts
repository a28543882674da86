/**
 * The processes that this one has started and not yet reaped.
 */
import { readdirSync, readFileSync } from "node:fs"

/** One line each, zombies included. Only Linux tells; elsewhere there are none. */
export const children = (of = process.pid): ReadonlyArray<string> => {
  if (process.platform !== "linux") return []
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    // The name, in parentheses, may have any character in it.
    const [, name, state, parent] = /\((.*)\) (\S) (\d+)/s.exec(statOf(pid)) ?? []
    return Number(parent) === of ? [`${name} (${state})`] : []
  })
}

const statOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8")
  } catch {
    // It ended meanwhile.
    return ""
  }
}
