/** What the soak runs, as data. */
import { Exit } from "effect"
import { Sim } from "effect-transport/sim"
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
  })
]
