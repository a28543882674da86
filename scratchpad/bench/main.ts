// Measures this package against its peers: `npm run bench -- [filter] [--json] [--rounds 5] [--scale 1]`.
// NOTES.md says what is measured and how to read it.
import { NodeRuntime } from "@effect/platform-node"
import CliProgress from "cli-progress"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { parseArgs } from "node:util"
import { nameOf, peerOf, scenarios, select } from "./cases.ts"
import { type Result, runScenario, variantsOf } from "./harness.ts"
import { isPinned } from "./program.ts"
import { curves, jsonLine, table } from "./report.ts"

const { positionals, values: { json, ...numbers } } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    rounds: { type: "string", default: "5" },
    scale: { type: "string", default: "1" }
  }
})
const filter = positionals.length > 0 ? positionals.join(" ") : undefined
const rounds = Number(numbers.rounds)
const scale = Number(numbers.scale)
const chosen = select(filter)

const refuse = (...lines: ReadonlyArray<string>) => {
  for (const line of lines) console.error(line)
  process.exit(2)
}
if (!(Number.isInteger(rounds) && rounds > 0)) refuse(`--rounds must be a positive integer, and is ${numbers.rounds}`)
if (!(Number.isFinite(scale) && scale > 0)) refuse(`--scale must be a positive number, and is ${numbers.scale}`)
if (chosen.length === 0) {
  refuse(
    `no case fits ${JSON.stringify(filter)}; there are`,
    ...scenarios.flatMap((scenario) =>
      scenario.cases.map((one) => {
        const style = scenario.variants[one.ours]!.label
        return `  ${nameOf(scenario, one)} against ${peerOf(scenario, one)}: ${scenario.title}, ${style}`
      })
    )
  )
}

const isFound = (program: string) => spawnSync("sh", ["-c", `command -v ${program}`]).status === 0
const able = chosen.filter(({ name, needs = [] }) => {
  const missing = needs.filter((program) => !isFound(program))
  if (missing.length > 0) console.error(`${name} is left out: it needs ${missing.join(" and ")}`)
  return missing.length === 0
})

const progress = new CliProgress.SingleBar({
  stream: process.stderr,
  format: "{bar} {value}/{total}  {what}",
  clearOnComplete: true,
  noTTYOutput: true,
  notTTYSchedule: 10_000,
  hideCursor: true
})

const measure = Effect.gen(function*() {
  const results: Array<Result> = []
  let failed = 0
  for (const scenario of able) {
    const running = runScenario(scenario, { rounds, scale, onRun: (what) => progress.increment({ what }) })
    yield* Effect.match(running, {
      onSuccess: (found) => {
        results.push(...found)
        if (json) { for (const result of found) console.log(jsonLine(result)) }
      },
      onFailure: ({ message }) => {
        failed += scenario.cases.length
        console.error(`\n${message}`)
      }
    })
  }
  return { failed, results }
})

const main = Effect.gen(function*() {
  if (!isPinned) console.error("no taskset, or a single core: processes have no core of their own")
  const runs = able.reduce((sum, scenario) => sum + variantsOf(scenario).length * (rounds + 1), 0)
  progress.start(runs, 0, { what: "" })
  const { failed, results } = yield* Effect.ensuring(measure, Effect.sync(() => progress.stop()))
  if (!json && results.length > 0) console.log([table(results), curves(results)].join("\n\n").trimEnd())
  if (failed > 0) console.error(`${failed} of ${results.length + failed} cases have no result`)
  process.exitCode = failed > 0 ? 1 : 0
})

NodeRuntime.runMain(main)
