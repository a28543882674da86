/** What is printed: a table for people, a line of JSON for programs. */
import { Array as Arr } from "effect"
import type { Result } from "./harness.ts"

/** Three or four digits, and no more than the measurement can bear. */
const figure = (value: number): string => Math.abs(value) >= 1000 ? String(Math.round(value)) : value.toPrecision(3)

const columns: ReadonlyArray<readonly [head: string, cell: (result: Result) => string]> = [
  ["case", (result) => result.case],
  ["peer", (result) => result.peer],
  ["ours", (result) => figure(result.ours)],
  ["theirs", (result) => figure(result.theirs)],
  ["unit", (result) => result.unit],
  ["ratio", (result) => result.ratio.toFixed(2)],
  ["spread", ({ spread: [low, high] }) => `${low.toFixed(2)}..${high.toFixed(2)}`],
  [
    "target",
    ({ isReached, target }) =>
      target === undefined ? "none" : `${target.toFixed(2)} ${isReached ? "reached" : "not reached"}`
  ],
  ["rate", ({ rate }) => `${figure(rate.ours)} : ${figure(rate.theirs)} ${rate.unit}`],
  ["CPU", ({ cpu }) => `${figure(cpu.ours)} : ${figure(cpu.theirs)} ${cpu.unit}`]
]

/** A row for each case; a ratio above 1 means that ours is better. */
export const table = (results: ReadonlyArray<Result>): string => {
  const rows = [columns.map(([head]) => head), ...results.map((result) => columns.map(([, cell]) => cell(result)))]
  const widths = columns.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)))
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd()).join("\n")
}

/**
 * The cost of small pieces, drawn: a group for each size of frames, a bar for each size of pieces. Fifteen
 * marks are ten times the rate.
 */
export const curves = (results: ReadonlyArray<Result>): string => {
  const points = results.flatMap((result) => {
    const [, frame, piece] = /^curve-(\d+)\/(\d+)\//.exec(result.case) ?? []
    return frame === undefined || piece === undefined ? [] : [{ frame, piece, result }]
  })
  const bar = (rate: number) => "#".repeat(Math.max(1, Math.round(15 * Math.log10(Math.max(1, rate)))))
  const row = (piece: string, rate: number) => `  ${piece.padStart(6)}  ${figure(rate).padStart(5)} MB/s  ${bar(rate)}`
  return Object.entries(Arr.groupBy(points, ({ frame }) => frame)).map(([frame, group]) =>
    [
      `frames of ${frame} bytes, in pieces of`,
      row("65536", group[0].result.theirs),
      ...group.map(({ piece, result }) => row(piece, result.ours))
    ].join("\n")
  ).join("\n")
}

const rounded = (value: number): number => Number(value.toPrecision(4))

/** One case as one line of JSON. */
export const jsonLine = (result: Result): string => {
  const { case: name, cpu, isReached, ours, peer, rate, ratio, rounds, spread, target, theirs, unit } = result
  const pair = (of: typeof rate) => ({ ours: rounded(of.ours), theirs: rounded(of.theirs), unit: of.unit })
  return JSON.stringify({
    case: name,
    peer,
    ours: rounded(ours),
    theirs: rounded(theirs),
    unit,
    ratio: rounded(ratio),
    target: target ?? null,
    reached: isReached ?? null,
    spread: spread.map(rounded),
    rounds,
    rate: pair(rate),
    cpu: pair(cpu)
  })
}
