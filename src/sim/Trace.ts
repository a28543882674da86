/**
 * What happened in a world, as text and as data.
 */
import type { Event } from "./engine/recording.ts"

export type { Event } from "./engine/recording.ts"

/**
 * One event as a line: when, which, where, who, what, and what led to it.
 *
 * @category converting
 * @since 0.1.0
 */
export const line = (event: Event): string => {
  const { atNs, cause, connection, direction, fiber, from, hash, host, kind, note, seq, to } = event
  const parts = [
    `${(atNs / 1e6).toFixed(6)} ms`,
    `#${seq}`,
    kind.padEnd(7),
    host,
    ...(fiber > 0 ? [`fiber ${fiber}`] : []),
    ...(connection >= 0 ? [`connection ${connection}`] : []),
    ...(direction !== undefined ? [direction] : []),
    ...(to > from ? [`${from}..${to} ${hash.toString(16).padStart(8, "0")}`] : []),
    ...(note !== "" ? [note] : []),
    ...(cause >= 0 ? [`(by #${cause})`] : [])
  ]
  return parts.join(" ")
}

/**
 * All events as text, a line each.
 *
 * @category converting
 * @since 0.1.0
 */
export const text = (events: ReadonlyArray<Event>): string => events.map(line).join("\n")

/**
 * All events as JSON, a line each.
 *
 * @category converting
 * @since 0.1.0
 */
export const ndjson = (events: ReadonlyArray<Event>): string => events.map((event) => JSON.stringify(event)).join("\n")
