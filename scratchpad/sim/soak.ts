/**
 * What is slow to prove in full: `npm run sim:soak -- [part ...] [--from 0] [--seeds 1000]`.
 *
 * Each part runs a world, or several, with many seeds, and stops at the first that fails. Without `--seeds` it runs as many
 * as the part is for. The status is 1 where a part failed, and 2 where the command makes no sense; each failure comes with the
 * command that repeats it alone.
 */
import CliProgress from "cli-progress"
import { parseArgs } from "node:util"
import { parts } from "./parts.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { from: { type: "string", default: "0" }, seeds: { type: "string" } }
})

const countOf = (field: string, given: string, min: number): number => {
  const count = Number(given)
  if (!Number.isSafeInteger(count) || count < min) {
    console.error(`--${field} must be an integer of at least ${min}, and is ${given}`)
    process.exit(2)
  }
  return count
}

const from = countOf("from", values.from, 0)
const asked = values.seeds === undefined ? undefined : countOf("seeds", values.seeds, 1)
const chosen = parts.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
const unknown = positionals.filter((name) => !parts.some((part) => part.name === name))
if (unknown.length > 0) {
  console.error(`no part is called ${unknown.join(", ")}; there are`)
  for (const { about, name, seeds } of parts) console.error(`  ${name}: ${about} (${seeds} seeds)`)
  process.exit(2)
}

const progress = new CliProgress.SingleBar({
  stream: process.stderr,
  format: "{bar} {value}/{total}  {part}",
  clearOnComplete: true,
  noTTYOutput: true,
  notTTYSchedule: 10_000,
  hideCursor: true
})

let failed = 0
for (const part of chosen) {
  const to = from + (asked ?? part.seeds)
  const before = performance.now()
  progress.start(to - from, 0, { part: part.name })
  const failure = await part.run(from, to, (seed) => progress.update(seed - from))
  progress.stop()
  const seconds = ((performance.now() - before) / 1000).toFixed(1)
  if (failure === undefined) {
    console.log(`  ok    ${part.name}: ${part.about}; seeds ${from} to ${to - 1}, ${seconds} s`)
  } else {
    failed++
    console.log(`FAILED  ${part.name}, seed ${failure.seed}: ${failure.detail}`)
    console.log(`        npm run sim:soak -- ${part.name} --from ${failure.seed} --seeds 1`)
  }
}
console.log(`${chosen.length - failed} of ${chosen.length} parts hold`)
process.exitCode = failed === 0 ? 0 : 1
