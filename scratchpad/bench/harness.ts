/**
 * Runs the variants of a scenario in turn, round by round, each time in fresh processes, and holds their figures against
 * each other within a round: what the machine does meanwhile hits both.
 */
import { Effect } from "effect"
import { type Case, type Figure, nameOf, peerOf, type Scenario } from "./cases.ts"
import type { AloneAnswers, LoadAnswers, LoadSettings, SubjectAnswers, SubjectOptions } from "./messages.ts"
import { BenchError, type Program, start } from "./program.ts"

/** What one run of one variant shows. */
export type Figures = { readonly [F in Figure]: number }

/** What became of a case: `ours` and `theirs` are medians of all rounds, `ratio` the median of the ratios of each. */
export interface Result {
  readonly case: string
  readonly peer: string
  readonly ours: number
  readonly theirs: number
  readonly unit: string
  readonly ratio: number
  readonly target: number | undefined
  /** Nothing where there is no target. */
  readonly isReached: boolean | undefined
  /** The lowest and the highest ratio of a round. */
  readonly spread: readonly [number, number]
  readonly rounds: number
  readonly rate: Compared
  readonly cpu: Compared
}

interface Compared {
  readonly ours: number
  readonly theirs: number
  readonly unit: string
}

export interface Plan {
  readonly rounds: number
  /** A factor to all numbers of operations. */
  readonly scale: number
  /** Called after each run. */
  readonly onRun: (what: string) => void
}

/** Verifies each variant, measures all rounds, and answers with a result for each case. */
export const runScenario = (
  scenario: Scenario,
  plan: Plan
): Effect.Effect<ReadonlyArray<Result>, BenchError> =>
  Effect.gen(function*() {
    const keys = variantsOf(scenario)
    const operationsOf = (key: string) =>
      roundedTo(1000, (scenario.variants[key]!.operations ?? scenario.operations) * plan.scale)
    for (const key of keys) {
      yield* run(scenario, key, roundedTo(1000, operationsOf(key) / 10), true)
      plan.onRun(`${scenario.name}/${key}, verification`)
    }
    const rounds: Array<Readonly<Record<string, Figures>>> = []
    for (let round = 0; round < plan.rounds; round++) {
      const figures: Record<string, Figures> = {}
      for (const key of round % 2 === 0 ? keys : keys.toReversed()) {
        figures[key] = yield* run(scenario, key, operationsOf(key), false)
        plan.onRun(`${scenario.name}/${key}, round ${round + 1}`)
      }
      rounds.push(figures)
    }
    return scenario.cases.map((one) => resultOf(scenario, one, rounds))
  })

/** The variants that the cases need. */
export const variantsOf = ({ cases }: Scenario): ReadonlyArray<string> =>
  Array.from(new Set(cases.flatMap(({ ours, theirs }) => [ours, theirs])))

// A tenth of it warms, and a hundred fibers share that.
const roundedTo = (step: number, count: number): number => Math.max(1, Math.round(count / step)) * step

const testCore = 0
const loadCore = 1

const run = (
  scenario: Scenario,
  key: string,
  operations: number,
  isHashed: boolean
): Effect.Effect<Figures, BenchError> => {
  const variant = scenario.variants[key]!
  const load = { ...scenario.load, ...variant.load }
  const warming = operations / 10
  const ackBytes = warming * load.bytes
  const name = `${scenario.name}/${key}`
  const subjectOf = (target: number) =>
    start<AloneAnswers>(
      `peers/${variant.program}.ts`,
      {
        service: variant.service,
        isHeapAlike: variant.isHeapAlike ?? false,
        bytes: load.bytes,
        ackBytes,
        target,
        isHashed,
        chunkBytes: load.chunkBytes ?? 0
      } satisfies SubjectOptions,
      testCore
    )
  const together = Effect.gen(function*() {
    const loader = yield* start<LoadAnswers>(
      "load.ts",
      { ...load, ackBytes, isHashed } satisfies LoadSettings,
      loadCore
    )
    const subject = yield* subjectOf(yield* loader.ask("start"))
    yield* loader.ask("open", yield* subject.ask("start"))
    return { loader, subject }
  })
  const alone = Effect.map(subjectOf(0), (subject) => ({ loader: subject, subject }))
  return Effect.gen(function*() {
    const { loader, subject }: {
      loader: Program<Pick<LoadAnswers, "run" | "digest">>
      subject: Program<SubjectAnswers>
    } = yield* load.kind === "alone" ? alone : together
    yield* loader.ask("run", warming)
    const memoryBefore = yield* memoryOf(scenario, subject)
    const cpuBefore = yield* subject.ask("cpu")
    const seconds = yield* loader.ask("run", operations)
    const cpuMicros = (yield* subject.ask("cpu")) - cpuBefore
    const memory = (yield* memoryOf(scenario, subject)) - memoryBefore
    if (isHashed) yield* verify(name, load.kind, loader, subject)
    const gigabytes = operations * load.bytes / 1e9
    return {
      rate: scenario.per === "GB" ? gigabytes * 1000 / seconds : operations / seconds,
      cpu: scenario.per === "GB" ? cpuMicros / 1e6 / gigabytes : cpuMicros / operations,
      memory: memory / operations / 1024
    }
  }).pipe(
    Effect.scoped,
    Effect.timeoutOrElse({
      duration: "120 seconds",
      orElse: () => Effect.fail(new BenchError({ message: `${name} did not end in time` }))
    })
  )
}

// Collections in between would make other figures better than they are.
const memoryOf = (scenario: Scenario, subject: Program<SubjectAnswers>): Effect.Effect<number, BenchError> =>
  scenario.cases.some(({ figure }) => figure === "memory") ? subject.ask("memory") : Effect.succeed(0)

/** Compares what left one end with what arrived at the other, which is the process under test or the load itself. */
const verify = (
  name: string,
  kind: LoadSettings["kind"],
  loader: Program<Pick<LoadAnswers, "digest">>,
  subject: Program<SubjectAnswers>
): Effect.Effect<void, BenchError> =>
  Effect.gen(function*() {
    const load = yield* loader.ask("digest")
    const test = yield* subject.ask("digest")
    const sent = kind === "receive" ? test.sent : load.sent
    const received = kind === "send" ? test.received : load.received
    if (sent === "" || sent !== received) {
      return yield* new BenchError({ message: `${name}: the bytes that arrived are not those that were sent` })
    }
  })

const resultOf = (
  scenario: Scenario,
  one: Case,
  rounds: ReadonlyArray<Readonly<Record<string, Figures>>>
): Result => {
  const compared = (figure: Figure): Compared => ({
    ours: median(rounds.map((figures) => figures[one.ours]![figure])),
    theirs: median(rounds.map((figures) => figures[one.theirs]![figure])),
    unit: unitOf(scenario, figure)
  })
  const ratios = rounds.map((figures) => {
    const ours = figures[one.ours]![one.figure]
    const theirs = figures[one.theirs]![one.figure]
    return one.figure === "rate" ? ours / theirs : theirs / ours
  })
  const ratio = median(ratios)
  return {
    case: nameOf(scenario, one),
    peer: peerOf(scenario, one),
    ...compared(one.figure),
    ratio,
    target: one.target,
    isReached: one.target === undefined ? undefined : ratio >= one.target,
    spread: [Math.min(...ratios), Math.max(...ratios)],
    rounds: rounds.length,
    rate: compared("rate"),
    cpu: compared("cpu")
  }
}

const unitOf = ({ per }: Scenario, figure: Figure): string =>
  figure === "memory"
    ? `KiB/${per}`
    : figure === "rate"
    ? per === "GB" ? "MB/s" : `${per}s/s`
    : per === "GB"
    ? "s/GB"
    : `µs/${per}`

const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
