/**
 * Who runs next, where several could: how a world chooses among interleavings.
 *
 * What is ready is in lanes: each fiber has one, each direction of a connection, each timer. Tasks of one lane run in
 * order, as Effect's scheduler promises; lanes compete. That alone would show little, since Effect lets a fiber go on
 * until it waits, and runs most fibers that it wakes inside whoever wakes them. So a fiber can also be made to give way
 * before an operation, and all places are possible at which Effect itself gives way after 2048 of them.
 */
import * as Base64Url from "effect/encoding/Base64Url"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { getCurrentVersion } from "effect/Version"
import { isCount } from "../internal/check.ts"
import { version } from "../internal/version.ts"
import { pack, unpack } from "./engine/decisions.ts"
import type { Prng } from "./engine/prng.ts"
import * as strategies from "./engine/strategies.ts"
import { InvalidToken, InvalidWorld } from "./SimError.ts"

/**
 * A way of choosing.
 *
 * @category models
 * @since 0.1.0
 */
export interface Interleave {
  readonly name: string
  readonly make: (prng: Prng) => strategies.Strategy
}

/**
 * As in production: first come, first served, in the batches of Effect's own scheduler. The seed decides nothing.
 *
 * @category constructors
 * @since 0.1.0
 */
export const production: Interleave = { name: "production", make: () => strategies.production }

/**
 * Any lane that is ready, each as likely; and before each operation of a fiber, with this probability (default 0.1),
 * another.
 *
 * @category constructors
 * @since 0.1.0
 */
export const random = (probability = 0.1): Interleave => {
  const odds = oddsOf(probability)
  return { name: `random(${probability})`, make: (prng) => strategies.random(prng, odds) }
}

/**
 * Lanes have random ranks, and the highest that is ready runs; before each operation of a fiber, with this probability
 * (default 0.3), it gets another rank, any or the last.
 *
 * **Details**
 *
 * A fiber that is woken inside one of a higher rank gives way at once. Whoever ranks low can be late by long: `"any"`
 * keeps it there, and `"last"` brings in the others one by one. A lane that was picked 64 times falls behind all others,
 * so that a fiber which yields until another has done something does not wait for ever.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ranked = (probability = 0.3, to: "any" | "last" = "any"): Interleave => {
  const odds = oddsOf(probability)
  return {
    name: `ranked(${probability}, ${to})`,
    make: (prng) => strategies.ranked(prng, strategies.oftenBy(prng, odds), to)
  }
}

/**
 * Probabilistic concurrency testing (Burckhardt and others, 2010): as `ranked` to the last, and with few changes. It finds
 * what needs one fiber to be late by very long.
 *
 * **Details**
 *
 * The paper draws `depth` places among all operations of a run. Their number is not known beforehand, so there are
 * `depth` places (default 3) among the first 16 operations, as many among the next 16, the next 32, and so on: the
 * later half of a run has about as many, whatever its length.
 *
 * @category constructors
 * @since 0.1.0
 */
export const pct = (depth = 3): Interleave => {
  if (!isCount(depth, 0) || depth > 1000) {
    throw new InvalidWorld({ field: "depth", expected: "an integer from 0 to 1000", actual: depth })
  }
  return {
    name: `pct(${depth})`,
    make: (prng) => strategies.ranked(prng, strategies.perDoubling(prng, depth), "last")
  }
}

/**
 * Decides again what was decided in another run. With the same world and seed, that gives the same run.
 *
 * **Details**
 *
 * Where the list is shorter than the run, the lane that has waited longest goes, and nobody gives way. In a world that has
 * changed since, the list leads elsewhere, but always to a run that the world could have: a pick counts modulo the number
 * of lanes, and what would give way at an operation that is not reached does not.
 *
 * @category constructors
 * @since 0.1.0
 */
export const replay = (decisions: Decisions): Interleave => ({
  name: "replay",
  make: () => strategies.replay(decisions)
})

/**
 * The seed picks one of several, each as likely. The default of `Sim.run`, since no single one finds every bug.
 *
 * **Details**
 *
 * The usual ones are `random(0.02)`, `random(0.1)`, `ranked(0.1, "last")`, `ranked(0.3, "last")`, `ranked(0.3)` and
 * `pct()`. They were chosen by how many of 1 000 seeds find each race of `test/support/simRaces.ts`
 * (`node -C effect-transport-source scratchpad/races.ts` counts again); none of them shows in production:
 *
 * | found by, of 1 000 seeds | lost update | waker first | double close | read during close | write after half-close | reconnect storm | lock order | lost wake-up | overrun |
 * | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |
 * | production | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |
 * | random(0) | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |
 * | random(0.02) | 16 | 23 | 46 | 88 | 15 | 19 | 18 | 5 | 8 |
 * | random(0.1) | 28 | 74 | 227 | 270 | 41 | 97 | 67 | 24 | 0 |
 * | random(0.5) | 18 | 514 | 589 | 363 | 128 | 213 | 82 | 60 | 0 |
 * | ranked(0.1, last) | 23 | 111 | 324 | 327 | 91 | 58 | 94 | 38 | 0 |
 * | ranked(0.3, last) | 14 | 315 | 686 | 351 | 144 | 190 | 74 | 67 | 0 |
 * | ranked(0.3, any) | 15 | 634 | 239 | 207 | 75 | 126 | 36 | 23 | 437 |
 * | pct(3) | 7 | 230 | 98 | 87 | 22 | 13 | 47 | 6 | 232 |
 * | portfolio | 11 | 242 | 288 | 230 | 65 | 85 | 54 | 27 | 126 |
 *
 * @category constructors
 * @since 0.1.0
 */
export const portfolio = (
  of: readonly [Interleave, ...Array<Interleave>] = usual
): Interleave => ({
  name: "portfolio",
  make: (prng) => of[prng.below(of.length)]!.make(prng)
})

const oddsOf = (probability: number): Float64Array => {
  if (!(probability >= 0 && probability <= 1)) {
    throw new InvalidWorld({ field: "probability", expected: "a number from 0 to 1", actual: probability })
  }
  return strategies.oddsOfNone(probability)
}

const usual: readonly [Interleave, ...Array<Interleave>] = [
  random(0.02),
  random(0.1),
  ranked(0.1, "last"),
  ranked(0.3, "last"),
  ranked(0.3),
  pct()
]

// ---------------------------------------------------------------------------------------------------------------------
// Decisions
// ---------------------------------------------------------------------------------------------------------------------

/**
 * All that was decided about interleavings in a run, as `Sim.run` reports it.
 *
 * @category models
 * @since 0.1.0
 */
export type Decisions = strategies.Decisions

/**
 * Decisions as data, for those who keep or change them.
 *
 * @category models
 * @since 0.1.0
 */
export const Decisions: Schema.Codec<Decisions> = Schema.Struct({
  isBatched: Schema.Boolean,
  picks: Schema.Array(Schema.Natural),
  preemptions: Schema.Array(Schema.Natural).check(
    Schema.makeFilter((all) => all.every((one, i) => i === 0 || one > all[i - 1]!), {
      expected: "operations in order"
    })
  )
}).annotate({ identifier: "Decisions" })

/**
 * Decisions as a short text, with the versions that they hold for.
 *
 * **Example** (A run again, from a text)
 *
 * ```ts import.meta.vitest
 * import { Effect, Result } from "effect"
 * import { Interleave, Sim } from "effect-transport/sim"
 *
 * const world = Effect.all([Effect.sleep("1 second"), Effect.sleep("1 second")], { concurrency: 2 })
 * const { decisions, digest } = Sim.run(world, { seed: 7 })
 *
 * const token = Interleave.encode(decisions)
 * const interleave = Interleave.replay(Result.getOrThrow(Interleave.decode(token)))
 * Sim.run(world, { seed: 7, interleave }).digest === digest // => true
 * ```
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (decisions: Decisions): string =>
  [prefix, version, getCurrentVersion(), Base64Url.encode(pack(decisions))].join(":")

/**
 * The decisions of a text that `encode` made. Fails with `InvalidToken` where it is none, is damaged, or is of another
 * version of effect-transport or Effect: operations are counted otherwise there.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (token: string): Result.Result<Decisions, InvalidToken> => {
  const [first, ours, effect, payload, ...more] = token.trim().split(":")
  if (first !== prefix || payload === undefined || more.length > 0) {
    return Result.fail(new InvalidToken({ part: "form", expected: `${prefix}:…:…:…`, actual: token }))
  }
  for (
    const [part, expected, actual] of [
      ["effect-transport", version, ours!],
      ["effect", getCurrentVersion(), effect!]
    ] as const
  ) {
    if (actual !== expected) return Result.fail(new InvalidToken({ part, expected, actual }))
  }
  const bytes = Base64Url.decode(payload)
  const decisions = Result.isSuccess(bytes) ? unpack(bytes.success) : undefined
  return decisions !== undefined
    ? Result.succeed(decisions)
    : Result.fail(new InvalidToken({ part: "decisions", expected: "what encode made, whole", actual: payload }))
}

const prefix = "interleave1"
