/**
 * Who runs next, where several could: how a world chooses among interleavings.
 */
import type { Prng } from "./engine/prng.ts"
import {
  type Decisions,
  pct as pctOf,
  production as productionOf,
  random as randomOf,
  replay as replayOf,
  type Strategy
} from "./engine/strategies.ts"

export type { Decisions } from "./engine/strategies.ts"

/**
 * A way of choosing.
 *
 * @category models
 * @since 0.1.0
 */
export interface Interleave {
  readonly name: string
  readonly make: (prng: Prng) => Strategy
}

/**
 * As in production: first come, first served, in the batches of Effect's own scheduler. The seed decides nothing.
 *
 * @category constructors
 * @since 0.1.0
 */
export const production: Interleave = { name: "production", make: () => productionOf }

/**
 * Any that is ready, each as likely; and before each operation of a fiber, with the given probability, another. The
 * default is 0.1. Effect wakes most waiters inside whoever wakes them, so that without giving way the waker would always
 * go last.
 *
 * @category constructors
 * @since 0.1.0
 */
export const random = (probability = 0.1): Interleave => ({
  name: `random(${probability})`,
  make: (prng) => randomOf(prng, probability)
})

/**
 * Probabilistic concurrency testing: a fixed order of rank among all, and `depth` places (default 3) among the first
 * `operations` (default 1000) at which the one that runs falls behind. Finds bugs that need few and exact changes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const pct = (depth = 3, operations = 1000): Interleave => ({
  name: `pct(${depth})`,
  make: (prng) => pctOf(prng, depth, operations)
})

/**
 * Decides again what was decided in another run.
 *
 * @category constructors
 * @since 0.1.0
 */
export const replay = (decisions: Decisions): Interleave => ({ name: "replay", make: () => replayOf(decisions) })

/**
 * The seed picks one of several. The default, since no single one finds every bug.
 *
 * @category constructors
 * @since 0.1.0
 */
export const portfolio = (
  of: readonly [Interleave, ...Array<Interleave>] = [random(0), random(0.02), random(0.1), random(0.5), pct()]
): Interleave => ({
  name: "portfolio",
  make: (prng) => of[prng.below(of.length)]!.make(prng)
})
