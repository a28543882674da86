import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Option } from "effect"
import { Sim, SimError } from "effect-transport/sim"

const stoppedBy = (world: Parameters<typeof Sim.run>[0], budget: NonNullable<Sim.Options["budget"]>): string => {
  const before = performance.now()
  const { exit } = Sim.run(world, { seed: 1, trace: "off", budget })
  assert.isBelow(performance.now() - before, 5_000)
  const error = Option.getOrThrow(Exit.isFailure(exit) ? Cause.findErrorOption(exit.cause) : Option.none())
  assert.instanceOf(error, SimError.OverBudget)
  return error.message
}

const spinning = Effect.forever(Effect.sync(() => {}), { disableYield: true })

/** Each asks for the next, and no task ever ends. */
const microtasks = Effect.callback<void>(() => {
  const next = () => queueMicrotask(next)
  next()
})

const ticking = Effect.forever(Effect.sleep("1 second"))

describe("Sim.run", () => {
  it("stops at its budget of steps", () => {
    for (const world of [spinning, microtasks, ticking, Effect.forever(Effect.yieldNow)]) {
      assert.strictEqual(stoppedBy(world, { steps: 1000 }), "the world did not end within 1000 steps")
    }
  })

  it("stops at its budget of virtual time", () => {
    assert.strictEqual(
      stoppedBy(ticking, { virtual: "1 minute" }),
      "the world did not end within 60000 ms of virtual time"
    )
  })

  it("stops at its budget of real time", () => {
    for (const world of [spinning, microtasks, ticking, Effect.forever(Effect.yieldNow)]) {
      const budget = { wall: "20 millis", steps: Number.MAX_SAFE_INTEGER, virtual: "100 days" } as const
      assert.strictEqual(stoppedBy(world, budget), "the world did not end within 20 ms of real time")
    }
  })

  it("stops what spins in a finalizer, too", () => {
    const world = Effect.addFinalizer(() => spinning)
    assert.strictEqual(stoppedBy(world, { steps: 1000 }), "the world did not end within 1000 steps")
  })
})
