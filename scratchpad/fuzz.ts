// Reads random input with every codec of the ledger: `npm run fuzz -- [--bytes 1e8] [--seed n] [--only subject] [--case n]`.
//
// Each case is one stream of input, sound input with faults or noise, read whole and in another way: cut anyhow, few frames
// at a time, with rests taken and given back. Nothing may be thrown, both ways have to make the same, each byte has to be
// in one item, and what is kept may not pass the limit. A case that fails is printed with the command that runs it alone.
import CliProgress from "cli-progress"
import { randomInt } from "node:crypto"
import { parseArgs } from "node:util"
import { fuzzSeed, makeFuzz } from "../src/testing/codecFuzz.ts"
import { codecSubjects } from "../test/support/codecSubjects.ts"

const { values } = parseArgs({
  options: {
    bytes: { type: "string", default: "1e8" },
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
    only: { type: "string" },
    case: { type: "string" }
  }
})
const bytesMax = Number(values.bytes)
const seed = Number(values.seed)
const onlyCase = values.case === undefined ? undefined : Number(values.case)
const names = Object.keys(codecSubjects).filter((name) => values.only === undefined || name === values.only)

const refuse = (...lines: ReadonlyArray<string>): never => {
  for (const line of lines) console.error(line)
  process.exit(2)
}
if (!(bytesMax > 0 && Number.isFinite(bytesMax))) refuse(`--bytes must be a positive number, and is ${values.bytes}`)
if (!Number.isSafeInteger(seed)) refuse(`--seed must be an integer, and is ${values.seed}`)
if (onlyCase !== undefined && !(Number.isSafeInteger(onlyCase) && onlyCase >= 0)) {
  refuse(`--case must be a count, and is ${values.case}`)
}
if (names.length === 0) {
  refuse(
    `no subject is called ${JSON.stringify(values.only)}; there are`,
    ...Object.keys(codecSubjects).map((n) => `  ${n}`)
  )
}
if (onlyCase !== undefined && names.length > 1) refuse("--case needs --only")

const subjects = names.map((name) => ({ name, fuzz: makeFuzz(codecSubjects[name]!) }))

/** What is held: after a collection, where there is one to ask for. */
const heap = (): number => {
  globalThis.gc?.()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** So much more than at the beginning may be held: decoders are let go of, so that it does not grow with the bytes. */
const growthMax = 32 * 2 ** 20

const reproduce = (name: string, index: number): string =>
  `npm run fuzz -- --seed ${seed} --only ${JSON.stringify(name)} --case ${index}`

const runCase = ({ fuzz, name }: (typeof subjects)[number], index: number): number => {
  try {
    return fuzz.run(fuzzSeed(seed, name, index))
  } catch (error) {
    progress.stop()
    console.error(`${name}: ${error instanceof Error ? error.message : error}\n\n  ${reproduce(name, index)}\n`)
    if (error instanceof Error && error.cause !== undefined) console.error(error.cause)
    process.exit(1)
  }
}

const progress = new CliProgress.SingleBar({
  stream: process.stderr,
  format: "{bar} {percentage} %  {eta_formatted} left  {what}",
  clearOnComplete: true,
  noTTYOutput: true,
  notTTYSchedule: 10_000,
  hideCursor: true
})

if (onlyCase !== undefined) {
  runCase(subjects[0]!, onlyCase)
  console.log(`case ${onlyCase} of seed ${seed} is read well`)
} else {
  console.log(`seed ${seed}, ${bytesMax} bytes, ${subjects.length} subjects`)
  progress.start(bytesMax, 0, { what: "" })
  let bytes = 0
  let cases = 0
  let sampled = 0
  let before: number | undefined
  for (let index = 0; bytes < bytesMax; index++) {
    for (const subject of subjects) {
      bytes += runCase(subject, index)
      cases++
      if (bytes - sampled > 4_000_000) {
        sampled = bytes
        const held = heap()
        // The first ones warm up.
        if (globalThis.gc !== undefined && bytes > 12_000_000) {
          before ??= held
          if (held - before > growthMax) {
            progress.stop()
            console.error(`${held - before} bytes more are held than before; npm run fuzz -- --seed ${seed}`)
            process.exit(1)
          }
        }
      }
    }
    if (index % 50 === 0) progress.update(Math.min(bytes, bytesMax), { what: `${cases} cases` })
  }
  progress.stop()
  console.log(`${bytes} bytes in ${cases} cases, and nothing wrong`)
}
