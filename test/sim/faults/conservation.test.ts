import { assert, describe, it } from "@effect/vitest"
import { Fault } from "effect-transport/sim"
import { conservationHolds, conserving } from "../../support/conservation.ts"

const seeds = 300

describe("a sweep of drawn plans", () => {
  it("conserves bytes in each run, and has each kind of fault fire", { timeout: 120_000 }, () => {
    const fired = new Map<Fault.Kind, number>()
    for (let seed = 0; seed < seeds; seed++) {
      const { faults, wrong } = conserving(seed)
      assert.isUndefined(wrong)
      for (const { fault, firedNs } of faults) {
        if (firedNs !== undefined) fired.set(fault._tag, (fired.get(fault._tag) ?? 0) + 1)
      }
    }
    const kinds = Object.keys(Fault.Fault.cases)
    assert.deepStrictEqual(kinds.filter((kind) => !fired.has(kind as Fault.Kind)), [])
  })

  it("is the same run again for the same seed", () => {
    for (let seed = 1000; seed < 1010; seed++) {
      assert.strictEqual(conserving(seed).digest, conserving(seed).digest)
      assert.isUndefined(conservationHolds(seed))
    }
  })
})
