import { assert, describe, it } from "@effect/vitest"
import * as ChildProcess from "node:child_process"
import * as Path from "node:path"
import { parts } from "../../scratchpad/sim/parts.ts"

const soak = (...args: ReadonlyArray<string>) =>
  ChildProcess.spawnSync(process.execPath, [
    "-C",
    "effect-transport-source",
    Path.resolve(import.meta.dirname, "../../scratchpad/sim/soak.ts"),
    ...args
  ], { encoding: "utf8" })

describe("npm run sim:soak", () => {
  it("has parts that hold for a few seeds", { timeout: 60_000 }, async () => {
    // The tests of determinism make those processes.
    for (const part of parts.filter(({ name }) => name !== "processes")) {
      const seen: Array<number> = []
      assert.isUndefined(await part.run(1, 4, (seed) => seen.push(seed)), part.name)
      assert.deepStrictEqual(seen, [2, 3, 4])
    }
  })

  it("says what held, with status 0", () => {
    const { status, stdout } = soak("machine", "--seeds", "5", "--from", "3")
    assert.strictEqual(status, 0)
    assert.match(stdout, /^ {2}ok {4}machine: .*; seeds 3 to 7, .* s\n1 of 1 parts hold\n$/)
  })

  it("refuses with status 2 what makes no sense, and says what there is", () => {
    const { status, stderr } = soak("no such part")
    assert.strictEqual(status, 2)
    for (const { name } of parts) assert.include(stderr, `  ${name}: `)
    assert.match(soak("--seeds", "0").stderr, /--seeds must be an integer of at least 1, and is 0/)
  })
})
