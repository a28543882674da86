/**
 * Prints a line for each seed of a world: the seed, its digest, its steps, its events. Two runs of this agree to the last
 * byte, on any machine, or something is not in the world's hands.
 *
 *     npm run -s sim:digest -- [--seeds 1..2000] [--world network] [--trace]
 *
 * With `--trace` the events follow each line, for a `diff`. Progress is on standard error, where that is a terminal.
 */
import { Exit } from "effect"
import { Sim, Trace } from "effect-transport/sim"
import { parseArgs } from "node:util"
import { type Name, worlds } from "./worlds.ts"

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1..2000" },
    world: { type: "string", default: "network" },
    trace: { type: "boolean", default: false }
  }
})

const refuse = (message: string): never => {
  console.error(message)
  process.exit(2)
}

const range = /^(\d+)(?:\.\.(\d+))?$/.exec(values.seeds) ??
  refuse(`--seeds must be as 7 or 1..2000, and is ${values.seeds}`)
const first = Number(range[1])
const last = Number(range[2] ?? range[1])
if (!(first <= last && Number.isSafeInteger(last))) refuse(`--seeds must go upwards, and is ${values.seeds}`)
const world = Object.hasOwn(worlds, values.world)
  ? worlds[values.world as Name]
  : refuse(`--world must be one of ${Object.keys(worlds).join(", ")}, and is ${values.world}`)

const began = performance.now()
let failed = 0
for (let seed = first; seed <= last; seed++) {
  const { digest, eventCount, events, exit, steps } = Sim.run(world, {
    seed,
    trace: values.trace ? "events" : "digest"
  })
  process.stdout.write(`${seed} ${digest} ${steps} ${eventCount}\n`)
  if (values.trace) process.stdout.write(`${Trace.text(events)}\n`)
  if (Exit.isFailure(exit)) {
    failed++
    console.error(`seed ${seed}: ${exit.cause.toString()}`)
  }
  if (process.stderr.isTTY && (seed - first) % 20 === 19) {
    process.stderr.write(`\r${seed - first + 1} of ${last - first + 1}`)
  }
}
const seconds = (performance.now() - began) / 1000
if (process.stderr.isTTY) process.stderr.write("\r")
console.error(`${last - first + 1} seeds in ${seconds.toFixed(1)} s`)
process.exitCode = failed === 0 ? 0 : 1
