// Prints the matrix of laws and specimens: `npm run laws -- [law ...]` examines the specimens of those laws only.
import { Effect } from "effect"
import { laws } from "../src/testing/laws/index.ts"
import { examine, isGood, judge, type Judgement, unproven } from "../src/testing/matrix.ts"
import { specimens } from "../src/testing/specimens/index.ts"

const marks: Record<Judgement, string> = {
  caught: "X",
  holds: ".",
  excused: "x",
  "left out": " ",
  missed: "M",
  unexpected: "U",
  "stale excuse": "S"
}

const asked = process.argv.slice(2).map(Number)

const main = Effect.gen(function*() {
  const chosen = specimens.filter((specimen) => asked.length === 0 || asked.includes(specimen.law))
  const numbers = laws.map((law) => String(law.number).padStart(3))
  console.log("X caught by its law   . holds   x also broken, with a reason   M missed   U unexpected   S stale excuse")
  for (const row of [0, 1, 2]) console.log("     " + numbers.map((number) => number[row]).join(""))
  let bad = 0
  for (const specimen of chosen) {
    const verdicts = yield* examine(specimen)
    const judged = verdicts.map((verdict) => ({ verdict, judgement: judge(specimen, verdict) }))
    console.log(
      `${String(specimen.law).padStart(4)} ${
        judged.map(({ judgement }) => marks[judgement]).join("")
      }  ${specimen.fault}`
    )
    for (const { judgement, verdict } of judged) {
      if (verdict.law === specimen.law || judgement === "excused") {
        const reason = specimen.alsoBreaks?.[verdict.law]
        console.log(
          `       ${verdict.law} ${judgement}: ${verdict.broken ?? "not noticed"}${reason ? ` (${reason})` : ""}`
        )
      } else if (!isGood(judgement)) console.log(`     ! ${verdict.law} ${judgement}: ${verdict.broken}`)
      if (!isGood(judgement)) bad++
    }
  }
  const without = asked.length === 0 ? unproven(laws, specimens) : []
  if (without.length > 0) console.log(`without a specimen: ${without.join(", ")}`)
  console.log(`${laws.length} laws, ${chosen.length} specimens, ${bad + without.length} to mend`)
  process.exitCode = bad + without.length > 0 ? 1 : 0
})

await Effect.runPromise(main)
