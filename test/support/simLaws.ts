/**
 * Laws held against what is simulated: each in a world of its own.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { Network } from "effect-transport"
import { Interleave, Sim, World } from "effect-transport/sim"

/** Why a law has nothing to look at. */
export const reasons = {
  noCount: "the world does not tell programs what is open",
  noReset: "the medium has no reset to show",
  noGarbage: "garbage is not collected inside one synchronous run",
  noListener: "nobody listens on it",
  noHalfClose: "it has no half-close",
  hasHalfClose: "it can half-close",
  noBuffers: "it holds no bytes",
  noMarks: "its marks are not those of its consumer",
  noInFront: "it stands in front of nothing"
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

/** A law as a test, of transports, of consumers or of anything else. */
interface Law {
  readonly number: number
  readonly name: string
  readonly missing: ReadonlyArray<string>
  readonly test: Effect.Effect<void, unknown>
}

type Reasons = Readonly<Record<number, string>>

const ways: ReadonlyArray<readonly [string, Interleave.Interleave, ReadonlyArray<number>]> = [
  ["as in production", Interleave.production, [0]],
  ["in other orders", Interleave.portfolio(), [1, 2, 3]]
]

const run = (law: Law, interleave: Interleave.Interleave, seed: number, steps: number) =>
  Sim.run(law.test, { seed, interleave, trace: "off", budget: { steps, virtual: "1 day" } })

/**
 * Tests of all laws, as in production and under interleavings that no machine shows. What the subject has no means for is
 * in `leftOut`, and what its medium cannot keep in `broken`, each with the reason; a law that is listed and holds after
 * all fails its test.
 */
export const judge = (
  name: string,
  laws: ReadonlyArray<Law>,
  { broken = {}, leftOut }: { readonly leftOut: Reasons; readonly broken?: Reasons }
): void => {
  describe(`${name} obeys`, () => {
    for (const law of laws) {
      if (leftOut[law.number] !== undefined) continue
      const why = broken[law.number]
      if (why !== undefined) {
        it(`all but ${law.name}: ${why}`, () => {
          const { exit } = run(law, Interleave.production, 0, 30_000)
          assert.isTrue(Exit.isFailure(exit), "it holds, and is not to be listed")
        })
        continue
      }
      for (const [how, interleave, seeds] of ways) {
        it(`${law.name}, ${how}`, () => {
          for (const seed of seeds) {
            const { exit } = run(law, interleave, seed, 5_000_000)
            assert.isTrue(Exit.isSuccess(exit), `seed ${seed}: ${exit}`)
          }
          // No time passes in a world, but some laws take a slow processor seconds.
        }, 120_000)
      }
    }

    it("all but what there are no means for", () => {
      const lacking = laws.filter(({ missing, number }) => missing.length > 0 || number === 84)
      assert.deepStrictEqual(lacking.map(({ number }) => number), Object.keys(leftOut).map(Number))
    })
  })
}
