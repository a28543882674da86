/** What the soak runs, as data. */
import { Exit } from "effect"
import { Sim } from "effect-transport/sim"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import { conservationHolds } from "../../test/support/conservation.ts"
import { build, digests, type Way } from "../../test/support/simDigest.ts"
import { patternOf, programOf } from "../../test/support/simPrograms.ts"
import { races } from "../../test/support/simRaces.ts"
import { worlds } from "../../test/support/simWorlds.ts"
import { conversations } from "../examples/conversations.ts"

/** Seeds that a part did not survive. */
export interface Failure {
  readonly seed: number
  readonly detail: string
}

export interface Part {
  readonly name: string
  /** What holds for each seed. */
  readonly about: string
  /** How many it takes to believe it. */
  readonly seeds: number
  /** Seeds from the first up to, and without, the last. Answers with the first that fails. */
  readonly run: (
    from: number,
    to: number,
    onProgress: (seed: number) => void
  ) => Failure | undefined | Promise<Failure | undefined>
}

/** A part that looks at one seed at a time: what it answers is what is wrong. */
const each = (name: string, about: string, seeds: number, wrong: (seed: number) => string | undefined): Part => ({
  name,
  about,
  seeds,
  run: (from, to, onProgress) => {
    for (let seed = from; seed < to; seed++) {
      const detail = wrong(seed)
      if (detail !== undefined) return { seed, detail }
      onProgress(seed + 1)
    }
    return undefined
  }
})

type World = Parameters<typeof Sim.run>[0]

const failureOf = (world: World, seed: number): string | undefined => {
  const { exit } = Sim.run(world, { seed, trace: "off" })
  return Exit.isSuccess(exit) ? undefined : String(exit.cause)
}

/** The first line in which two texts differ begins with the seed. */
const firstDifference = (expected: string, actual: string): Failure | undefined => {
  const [ours, theirs] = [expected.split("\n"), actual.split("\n")]
  const at = ours.findIndex((line, i) => line !== theirs[i])
  return at < 0 ? undefined : { seed: parseInt(ours[at]!, 10), detail: `${ours[at]}, and in the other ${theirs[at]}` }
}

/** Digests in processes of their own, each in another situation. */
const inProcesses: Part["run"] = async (from, to, onProgress) => {
  const args = ["--seeds", `${from}..${to - 1}`]
  const built = await build()
  const busy = ChildProcess.spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" })
  try {
    const expected = await digests(args)
    const ways: ReadonlyArray<Way> = [
      {},
      { built, node: ["--jitless"] },
      { env: { TZ: "Pacific/Chatham", LANG: "tr_TR.UTF-8", LC_ALL: "tr_TR.UTF-8" } },
      { node: ["--max-semi-space-size=1"] }
    ]
    for (const [i, way] of ways.entries()) {
      const failure = firstDifference(expected, await digests(args, way))
      if (failure !== undefined) return { ...failure, detail: `${JSON.stringify(way)}: ${failure.detail}` }
      onProgress(from + Math.ceil((to - from) * (i + 1) / ways.length))
    }
    return undefined
  } finally {
    busy.kill("SIGKILL")
    Fs.rmSync(built, { recursive: true, force: true })
  }
}

const converse = conversations("tcp://127.0.0.1:0")

export const parts: ReadonlyArray<Part> = [
  ...Object.entries(worlds).map(([name, { promise, world }]) =>
    each(name, promise, 5000, (seed) => failureOf(world, seed))
  ),
  each("conversations", "conversations end as they do over real sockets, whatever the seed", 1000, (seed) => {
    for (const [name, conversation] of Object.entries(converse)) {
      // Megabytes: now and then.
      if (name === "a duplex transfer" && seed % 50 !== 0) continue
      const failure = failureOf(conversation, seed)
      if (failure !== undefined) return `${name}: ${failure}`
      const answer = (of: number) => JSON.stringify(Sim.run(conversation, { seed: of, trace: "off" }).exit)
      if (seed % 10 === 0 && answer(seed) !== answer(0)) return `${name}: ${answer(seed)}, and not ${answer(0)}`
    }
    return undefined
  }),
  each("twice", "a world that runs twice has one digest", 2000, (seed) => {
    for (const [name, { world }] of Object.entries(worlds)) {
      const { digest } = Sim.run(world, { seed, trace: "digest" })
      if (Sim.run(world, { seed, trace: "digest" }).digest !== digest) return `${name} has another digest each time`
    }
    return undefined
  }),
  {
    name: "processes",
    about: "digests are the same in another process, without a compiler, elsewhere, with little memory, under load",
    seeds: 2000,
    run: inProcesses
  },
  each("conservation", "bytes are conserved whatever goes wrong", 10_000, conservationHolds),
  each("patterns", "programs end wherever their fibers give way", 10_000, (seed) => {
    const options = { seed, interleave: patternOf(seed), budget: { steps: 100_000 }, trace: "off" } as const
    const { exit } = Sim.run(programOf(seed), options)
    return Exit.isSuccess(exit) ? undefined : String(exit.cause)
  }),
  ...races.map(({ fixed, isBroken, name }) =>
    each(name, "the twin without the race never loses it", 5000, (seed) => {
      const report = Sim.run(fixed, { seed, trace: "off" })
      return isBroken(report) ? String(report.exit) : undefined
    })
  )
]
