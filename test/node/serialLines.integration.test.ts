import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { afterAll, beforeAll } from "vitest"
import { run } from "../support/programs.ts"
import { ptyPair } from "../support/ptys.ts"
import { describeWith } from "../support/systemPrograms.ts"

const support = resolve(import.meta.dirname, "../support")

describeWith(["socat", "gcc"], "the lines of a serial port", () => {
  const folder = mkdtempSync(join(tmpdir(), "effect-transport-lines-"))
  const library = join(folder, "lines.so")

  beforeAll(() => {
    execFileSync("gcc", ["-shared", "-fPIC", "-Wall", "-o", library, join(support, "serialLines.c"), "-ldl"])
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  /** What the program saw that ran with these lines below it. */
  const seenBy = Effect.fnUntraced(function*(what: string, variables: Readonly<Record<string, string>>) {
    const pair = yield* ptyPair
    const log = join(folder, `${what}.log`)
    writeFileSync(log, "")
    const program = yield* run("env", [
      `LD_PRELOAD=${library}`,
      `SERIAL_LOG=${log}`,
      ...Object.entries(variables).map(([name, value]) => `${name}=${value}`),
      process.execPath,
      "-C",
      "effect-transport-source",
      join(support, "serialLines.ts"),
      pair.a,
      what
    ])
    assert.strictEqual(yield* program.exited, 0, program.output())
    return JSON.parse(program.output())
  })

  it.live("are set, merged with the last state, read and watched; a break ends, also when interrupted", () =>
    Effect.scoped(Effect.gen(function*() {
      const { broke, changed, seen } = yield* seenBy("lines", {})
      assert.deepStrictEqual(seen, [{ cts: true, dsr: true, dcd: true }, { cts: false, dsr: true, dcd: true }])
      // RTS is still down when DTR goes.
      assert.deepStrictEqual(changed, [{ cts: false, dsr: true, dcd: true }, { cts: false, dsr: false, dcd: false }])
      const once = ["break", "dtr 1 rts 1", "no break", "dtr 1 rts 1"]
      assert.deepStrictEqual(broke, [...once, ...once])
    })))

  it.live("a drain that is stuck takes one thread, is bounded, and ends with an abort", () =>
    Effect.scoped(Effect.gen(function*() {
      const seen = yield* seenBy("stuck", { SERIAL_STUCK: "1" })
      assert.deepStrictEqual(seen, {
        drains: ["TimedOut", "TimedOut", "TimedOut"],
        begun: 1,
        waited: "Closed",
        log: ["drain", "drained"]
      })
    })))
})
