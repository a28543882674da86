import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { laws } from "../../src/testing/laws/index.ts"
import { run } from "../support/programs.ts"

const example = join(import.meta.dirname, "../../scratchpad/examples/own-transport.ts")

describe("scratchpad/examples/own-transport.ts", () => {
  const judge = (...asked: ReadonlyArray<number>) =>
    Effect.gen(function*() {
      const program = yield* run(process.execPath, [
        "-C",
        "effect-transport-source",
        "--expose-gc",
        example,
        ...asked.map(String)
      ])
      return { status: yield* program.exited, lines: program.output().trimEnd().split("\n") }
    })

  it.live("is judged by each law, and keeps all that it has the means for", () =>
    Effect.gen(function*() {
      const { lines, status } = yield* judge()
      assert.deepStrictEqual(lines.filter((line) => line.startsWith("BROKEN")), [])
      assert.deepStrictEqual(
        lines.flatMap((line) => /^ +(?:ok|-) +law (\d+): /.exec(line)?.[1] ?? []).map(Number),
        laws.map((law) => law.number)
      )
      assert.strictEqual(status, 0)
    }), 600_000)
})
