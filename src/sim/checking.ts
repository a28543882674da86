/**
 * Where two runs of one seed differ.
 */
import type { Event } from "./engine/recording.ts"
import { Diverged } from "./SimError.ts"
import type { Simulation } from "./simulation.ts"
import { exitText } from "./texts.ts"
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
