import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll } from "vitest"
import { run } from "../../support/programs.ts"
import { ptyPair } from "../../support/ptys.ts"
import { describeWith } from "../../support/systemPrograms.ts"

const program = fileURLToPath(new URL("../../support/serialLines.ts", import.meta.url))
const source = fileURLToPath(new URL("../../support/serialLines.c", import.meta.url))

describeWith(["socat", "gcc"], "the lines of a serial port", () => {
  const folder = mkdtempSync(join(tmpdir(), "effect-transport-lines-"))
  const library = join(folder, "lines.so")

  beforeAll(() => {
    execFileSync("gcc", ["-shared", "-fPIC", "-Wall", "-o", library, source, "-ldl"])
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  /** What the program saw that ran with these lines below it. */
  const seenBy = Effect.fnUntraced(function*(what: string, variables: Readonly<Record<string, string>>) {
    const pair = yield* ptyPair
    const log = join(folder, `${what}.log`)
    writeFileSync(log, "")
    const running = yield* run("env", [
      `LD_PRELOAD=${library}`,
      `SERIAL_LOG=${log}`,
      ...Object.entries(variables).map(([name, value]) => `${name}=${value}`),
      process.execPath,
      "-C",
      "effect-transport-source",
      program,
      pair.a,
      what
    ])
    assert.strictEqual(yield* running.exited, 0, running.output())
    return JSON.parse(running.output())
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
