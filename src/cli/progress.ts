/**
 * How far a relay has come, as numbers and as a line.
 */

/** All connections together: how many are open, and bytes, also per second since the last report (at the end: overall). */
export interface Progress {
  readonly seconds: number
  readonly open: number
  readonly aToB: number
  readonly bToA: number
  readonly aToBPerSecond: number
  readonly bToAPerSecond: number
}

const units = ["B", "KiB", "MiB", "GiB", "TiB"]

const size = (bytes: number): string => {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

const clock = (seconds: number): string => {
  const two = (part: number) => String(Math.floor(part)).padStart(2, "0")
  return `${two(seconds / 3600)}:${two(seconds / 60 % 60)}:${two(seconds % 60)}`
}

export const line = ({ aToB, aToBPerSecond, bToA, bToAPerSecond, open, seconds }: Progress): string =>
  `${clock(seconds)}  A -> B ${size(aToB)}, ${size(aToBPerSecond)}/s  ` +
  `B -> A ${size(bToA)}, ${size(bToAPerSecond)}/s  ${open} open`
