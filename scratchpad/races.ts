// Prints how many of 1 000 seeds find each planted race, by strategy: the table at `Interleave.portfolio`. Another number
// of seeds is the first argument, and a part of a race's name the second.
import { Interleave, Sim } from "effect-transport/sim"
import { races } from "../test/support/simRaces.ts"

const seeds = Number(process.argv[2] ?? 1000)
const chosen = races.filter(({ name }) => name.includes(process.argv[3] ?? ""))

const strategies = [
  Interleave.production,
  Interleave.random(0),
  Interleave.random(0.02),
  Interleave.random(0.1),
  Interleave.random(0.5),
  Interleave.ranked(0.1, "last"),
  Interleave.ranked(0.3, "last"),
  Interleave.ranked(0.3),
  Interleave.pct(),
  Interleave.portfolio()
]

const row = (...cells: ReadonlyArray<string | number>) => console.log(`| ${cells.join(" | ")} |`)
row("of 1 000 seeds", ...chosen.map(({ name }) => name))
row("---", ...chosen.map(() => "--:"))
const firsts: Array<number> = []
for (const interleave of strategies) {
  const found = chosen.map(({ broken, isBroken }) => {
    let count = 0
    let first = -1
    for (let seed = 0; seed < seeds; seed++) {
      if (!isBroken(Sim.run(broken, { seed, interleave, trace: "off" }))) continue
      count++
      if (first < 0) first = seed
    }
    firsts.push(first)
    return Math.round(count / seeds * 1000)
  })
  row(interleave.name, ...found)
}
row("first seed of the last", ...firsts.slice(-chosen.length))
