/**
 * Worlds as tests of vitest.
 */
import { it as vitestIt, type TestAPI } from "vitest"
import * as Sim from "../sim/Sim.ts"

/**
 * Vitest's `it`, with `it.sim`: a test that runs a world with many seeds, and fails with the first that does.
 *
 * **Details**
 *
 * The message has the seed, the exit, the faults that fired, and the last events. One run in twenty is run twice and compared
 * (`checkEvery`). `timeout` is vitest's, in milliseconds; default one minute.
 *
 * **Example** (A test over a hundred seeds)
 *
 * ```ts
 * import { it } from "effect-transport/vitest"
 *
 * it.sim("the client survives a bad network", world, { seeds: 100, faults })
 * ```
 *
 * @category testing
 * @since 0.1.0
 */
export const it: TestAPI & { readonly sim: typeof sim } = new Proxy(
  vitestIt as TestAPI & { readonly sim: typeof sim },
  {
    // Vitest's own stays as it is.
    get: (target, key) => key === "sim" ? sim : Reflect.get(target, key)
  }
)

const sim = <A, E>(
  name: string,
  world: Sim.Simulated<A, E>,
  { timeout = 60_000, ...options }: Sim.SweepOptions & { readonly timeout?: number | undefined } = {}
): void =>
  vitestIt(name, { timeout }, () => {
    const { failed } = Sim.sweep(world, options)
    if (failed !== undefined) throw new Error(Sim.explain(failed))
  })
