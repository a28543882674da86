// Prints the matrix of laws and specimens, a row for each transport that is broken on purpose, or, with
// `npm run laws -- codecs`, for each codec. `npm run laws -- 70 71` examines the specimens of these laws only; the status
// is 1 when something is to mend.
import { Effect } from "effect"
import { codecLaws } from "../src/testing/codecLaws/index.ts"
import { codecSpecimens } from "../src/testing/codecSpecimens/index.ts"
import { laws as transportLaws } from "../src/testing/laws/index.ts"
import { examine, examineCodec, isGood, judge, type Judgement, unproven, type Verdict } from "../src/testing/matrix.ts"
import { specimens as transportSpecimens } from "../src/testing/specimens/index.ts"

interface Row {
  readonly law: number
  readonly fault: string
  readonly alsoBreaks?: Readonly<Record<number, string>> | undefined
  readonly examine: Effect.Effect<ReadonlyArray<Verdict>>
}

const [first, ...others] = process.argv.slice(2)
const kind = first === "codecs" ? "codec" : "transport"
const numbers = kind === "codec" || first === undefined ? others : [first, ...others]

interface Column {
  readonly number: number
  readonly lowered?: string | undefined
}

const laws: ReadonlyArray<Column> = kind === "codec" ? codecLaws : transportLaws
const specimens: ReadonlyArray<Row> = kind === "codec"
  ? codecSpecimens.map((specimen) => ({ ...specimen, examine: Effect.sync(() => examineCodec(specimen)) }))
  : transportSpecimens.map((specimen) => ({ ...specimen, examine: examine(specimen) }))

const marks: Readonly<Record<Judgement, readonly [mark: string, meaning: string]>> = {
  caught: ["X", "broken, and this law is there to notice it"],
  excused: ["x", "broken as well; the specimen says why"],
  holds: ["·", "holds"],
  "left out": [" ", "left out: the specimen lacks what the law needs"],
  missed: ["M", "TO MEND: its own law did not notice"],
  unexpected: ["U", "TO MEND: broken, and the specimen does not say so"],
  "stale excuse": ["S", "TO MEND: holds, and the specimen says that it is broken"]
}

const asked = numbers.map(Number)
const unknown = asked.filter((number) => !laws.some((law) => law.number === number))
const chosen = specimens.filter(({ law }) => asked.length === 0 || asked.includes(law))

/** The numbers of the laws on top of each other, one column each, in groups of ten. */
const spaced = (cells: ReadonlyArray<string>): string => {
  const tens = laws.map((law) => Math.floor(law.number / 10))
  return cells.map((cell, i) => i > 0 && tens[i] !== tens[i - 1] ? ` ${cell}` : cell).join("")
}
const ten = (number: number): string => number < 10 ? " " : String(Math.floor(number / 10))
const head = [spaced(laws.map(({ number }) => ten(number))), spaced(laws.map(({ number }) => String(number % 10)))]
const printHead = () => head.forEach((line) => console.log(`${" ".repeat(6)}${line}`))

/** Says how far it is, where somebody looks on. */
const progress = (text: string) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}

const main = Effect.gen(function*() {
  if (unknown.length > 0) {
    console.error(`no law of the kit has number ${unknown.join(", ")}`)
    process.exitCode = 1
    return
  }
  console.log(`Each row is a ${kind} that is broken on purpose, each column a law that was held against it.\n`)
  for (const [mark, meaning] of Object.values(marks)) console.log(`  ${mark}  ${meaning}`)
  console.log()

  let wrong = 0
  for (const [i, specimen] of chosen.entries()) {
    if (i % 20 === 0) printHead()
    progress(`specimen ${i + 1} of ${chosen.length}, law ${specimen.law}: ${specimen.fault}`)
    const judged = (yield* specimen.examine).map((verdict) => ({ verdict, judgement: judge(specimen, verdict) }))
    progress("")
    console.log(
      `${String(specimen.law).padStart(4)}  ${
        spaced(judged.map(({ judgement }) => marks[judgement][0]))
      }  ${specimen.fault}`
    )
    for (const { judgement, verdict } of judged) {
      const seen = verdict.broken ?? (verdict.broken === null ? "it was left out" : "it holds")
      if (!isGood(judgement)) {
        wrong++
        console.log(`      ${marks[judgement][0]} ${verdict.law}: ${seen}`)
      } else if (asked.length > 0 && (judgement === "caught" || judgement === "excused")) {
        const reason = specimen.alsoBreaks?.[verdict.law]
        console.log(`      ${marks[judgement][0]} ${verdict.law}: ${seen}${reason === undefined ? "" : ` (${reason})`}`)
      }
    }
  }
  const without = asked.length === 0 ? unproven(laws, specimens) : []
  if (without.length > 0) console.log(`laws without a specimen: ${without.join(", ")}`)
  const lowered = laws.filter((law) => law.lowered !== undefined)
  if (asked.length === 0 && lowered.length > 0) {
    console.log("\nLaws whose tests count lower than the catalogue:")
    for (const law of lowered) console.log(`  ${String(law.number).padStart(2)}  ${law.lowered}`)
  }
  const toMend = wrong + without.length
  console.log(
    `\n${laws.length} laws, ${chosen.length} specimens examined, ${toMend === 0 ? "nothing" : toMend} to mend`
  )
  process.exitCode = toMend === 0 ? 0 : 1
})

await Effect.runPromise(main)
