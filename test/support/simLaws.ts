/**
 * The laws of transports, held against simulated ones: each in a world of its own, with the interleaving of production.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { Network } from "effect-transport"
import { Interleave, Sim, World } from "effect-transport/sim"
import { TransportLaws } from "effect-transport/testing"

/** Why a law has nothing to look at. */
export const reasons = {
  noCount: "the world does not tell programs what is open",
  noReset: "the medium has no reset to show",
  noGarbage: "garbage is not collected inside one synchronous run",
  noListener: "nobody listens on it",
  noHalfClose: "it has no half-close",
  hasHalfClose: "it can half-close"
} as const

/** The world that a subject is made in. What a law runs needs nothing, and its world has both. */
export const world = Effect.service(World.World) as unknown as Effect.Effect<World.World["Service"]>
export const network = Effect.service(Network.Network) as unknown as Effect.Effect<Network.Network["Service"]>

/** A number of its own for each call in a world. */
export const nextNumber: Effect.Effect<number> = Effect.map(world, (service) => {
  const number = (numbers.get(service) ?? 0) + 1
  numbers.set(service, number)
  return number
})
const numbers = new WeakMap<World.World["Service"], number>()

/**
 * Tests of all laws. What the subject has no means for is in `leftOut`, and what its medium cannot keep in `broken`, each
 * with the reason; a law that is listed and holds after all fails its test.
 */
export const judge = (
  name: string,
  subject: TransportLaws.Subject,
  lists: { readonly leftOut: Readonly<Record<number, string>>; readonly broken: Readonly<Record<number, string>> }
): void => {
  describe(name, () => {
    const cases = TransportLaws.make(subject)
    const run = (law: TransportLaws.Case, steps: number) =>
      Sim.run(law.test, {
        seed: law.number,
        interleave: Interleave.production,
        trace: "digest",
        budget: { steps, virtual: "1 day" }
      })

    for (const law of cases) {
      const { broken, leftOut } = lists
      if (law.missing.length > 0 || leftOut[law.number] !== undefined) continue
      if (broken[law.number] === undefined) {
        it(law.name, () => {
          const { exit } = run(law, 5_000_000)
          assert.isTrue(Exit.isSuccess(exit), String(exit))
        })
      } else {
        it(`cannot keep ${law.name}: ${broken[law.number]}`, () => {
          assert.isTrue(Exit.isFailure(run(law, 30_000).exit), "it holds, and is not to be listed")
        })
      }
    }

    it("leaves out what it has no means for, and nothing else", () => {
      const lacking = cases.filter(({ missing, number }) => missing.length > 0 || number === 84)
      assert.deepStrictEqual(lacking.map(({ number }) => number), Object.keys(lists.leftOut).map(Number))
    })
  })
}
