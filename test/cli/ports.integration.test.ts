/** `ports` as a process. Which ports there are is the machine's affair. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { SerialPorts } from "effect-transport/node"
import { listed } from "../../src/cli/ports.ts"
import { tool } from "../support/cliTool.ts"

const said = (there: ReadonlyArray<unknown>, json: boolean): RegExp =>
  there.length > 0
    ? /^$/
    : json
    ? /^\{"event":"warning",.*"no serial ports"\}\n$/
    : /^effect-transport: no serial ports\n$/

describe("effect-transport ports", () => {
  it.live.each([false, true])(
    "prints what is there, or says that nothing is, json %s",
    (json) =>
      Effect.scoped(Effect.gen(function*() {
        const { list } = yield* SerialPorts.SerialPorts
        const there = yield* list
        const running = yield* tool("ports", ...(json ? ["--json"] : []))
        assert.strictEqual(yield* running.exited, 0, running.stderr())
        assert.strictEqual(running.stdout().toString(), listed(there, { json }).map((line) => `${line}\n`).join(""))
        assert.match(running.stderr(), said(there, json))
      })).pipe(Effect.provide(SerialPorts.layer))
  )

  it.live.each(["SIGINT", "SIGTERM"] as const)(
    "watches until %s, which is no failure",
    (signal) =>
      Effect.scoped(Effect.gen(function*() {
        const { list } = yield* SerialPorts.SerialPorts
        const there = yield* list
        const running = yield* tool("ports", "--watch", "--json")
        // One line or the other comes when it is up.
        yield* there.length > 0 ? running.printed(1) : running.said(/no serial ports/)
        running.child.kill(signal)
        assert.strictEqual(yield* running.exited, 0, running.stderr())
        const lines = running.stdout().toString().split("\n").slice(0, -1).map((line) => JSON.parse(line))
        assert.deepStrictEqual(lines.map(({ event }) => event), lines.map(() => "added"))
        assert.isAtMost(lines.length, there.length)
      })).pipe(Effect.provide(SerialPorts.layer))
  )

  it.live("ends with whoever read it", () =>
    Effect.scoped(Effect.gen(function*() {
      const running = yield* tool("ports")
      running.child.stdout!.destroy()
      assert.strictEqual(yield* running.exited, 0, running.stderr())
    })))
})
