import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { blackHole } from "../support/blackHole.ts"
import { serve } from "../support/cliPeers.ts"
import { tool } from "../support/cliTool.ts"
import { folder } from "../support/folder.ts"

const run = (...args: ReadonlyArray<string>) =>
  Effect.scoped(Effect.gen(function*() {
    const running = yield* tool(...args)
    const status = yield* running.exited
    return { status, stdout: running.stdout().toString(), stderr: running.stderr() }
  }))

describe("effect-transport", () => {
  it.live.each([
    { args: ["--help"], shows: ["relay", "echo", "cat", "ports", "Exit status"] },
    { args: ["relay", "--help"], shows: ["--once", "--progress", "--tap", "--json", "--drain", "closed "] },
    { args: ["echo", "--help"], shows: ["--drain", "listen:ENDPOINT"] },
    { args: ["cat", "--help"], shows: ["--connect-timeout", "terminal"] },
    { args: ["ports", "--help"], shows: ["--json", "--watch", "vendorId", "added"] }
  ])("$args goes to stdout with examples", ({ args, shows }) =>
    Effect.gen(function*() {
      const { status, stderr, stdout } = yield* run(...args)
      assert.deepStrictEqual([status, stderr], [0, ""])
      for (const text of shows) assert.include(stdout, text)
      const [, examples] = stdout.split("EXAMPLES\n")
      assert.isAtLeast(examples!.split("\n").filter((line) => /^ {2}[^#]*effect-transport \w/.test(line)).length, 2)
    }))

  it.live("without arguments shows its help on stderr and fails", () =>
    Effect.gen(function*() {
      const { status, stderr, stdout } = yield* run()
      assert.deepStrictEqual([status, stdout], [2, ""])
      assert.include(stderr, "EXAMPLES")
    }))

  const a = "listen:tcp://127.0.0.1:0"
  it.live.each([
    { args: ["bogus"], names: /"bogus"/ },
    { args: ["relay", "--tpa", a, a], names: /--tpa/ },
    { args: ["relay", a], names: /argument: B/ },
    { args: ["relay", a, a, "more"], names: /"more"/ },
    { args: ["relay", a, "tpc://127.0.0.1:1"], names: /<B>: "tpc:.*scheme must be one of tcp/ },
    { args: ["relay", "listen:tcp://127.0.0.1:http", a], names: /<A>.*port must be an integer from 0 to 65535/ },
    { args: ["relay", "--drain", "soon", a, a], names: /--drain: "soon"/ },
    { args: ["relay", "--drain", "-1", a, a], names: /--drain: "-1".*0 or more/ },
    { args: ["echo", "tcp://127.0.0.1:7000"], names: /<A>: "tcp:.*listen: in front/ },
    { args: ["cat"], names: /argument: ENDPOINT/ },
    { args: ["cat", "tcp://nowhere"], names: /<ENDPOINT>.*port/ },
    { args: ["ports", "/dev/ttyUSB0"], names: /"\/dev\/ttyUSB0"/ },
    { args: ["ports", "--wach"], names: /--wach/ }
  ])("$args is refused by name, with an example", ({ args, names }) =>
    Effect.gen(function*() {
      const { status, stderr, stdout } = yield* run(...args)
      assert.deepStrictEqual([status, stdout], [2, ""])
      const [first, ...more] = stderr.split("\n")
      assert.match(first!, /^effect-transport: /)
      assert.match(first!, names)
      assert.match(more.join("\n"), /^for example: .*effect-transport (relay|echo|cat|ports)/m)
    }))
})

describe("an endpoint that cannot be had", () => {
  /** Nobody listens there. */
  const port = 1

  it.live("fails in one line with its reason: refused, missing, taken, unsupported", () =>
    Effect.scoped(Effect.gen(function*() {
      const taken = yield* serve()
      const path = `unix://${yield* folder}/no.sock`
      const cases = [
        [["cat", `tcp://127.0.0.1:${port}`], `tcp://127.0.0.1:${port}: Refused`],
        [["relay", `tcp://127.0.0.1:${port}`, "listen:tcp://127.0.0.1:0"], `tcp://127.0.0.1:${port}: Refused`],
        [["relay", path, path], `${path}: NotFound`],
        [["echo", `listen:tcp://127.0.0.1:${taken.port}`], `tcp://127.0.0.1:${taken.port}: Busy`],
        [["relay", `listen:tcp://127.0.0.1:${taken.port}`, path], `tcp://127.0.0.1:${taken.port}: Busy`],
        [["cat", "serial:///dev/null"], "serial:///dev/null?baudRate=9600: Unsupported"]
      ] as const
      for (const [args, line] of cases) {
        const { status, stderr, stdout } = yield* run(...args)
        assert.deepStrictEqual([status, stdout], [1, ""])
        const failures = stderr.split("\n").filter((line) => !/^(listening .*)?$/.test(line))
        assert.lengthOf(failures, 1)
        assert.include(failures[0]!, `effect-transport: ${line}: `)
      }
    })))

  it.live("fails within --connect-timeout where nobody answers", () =>
    Effect.scoped(Effect.gen(function*() {
      const port = yield* blackHole("127.0.0.1")
      const { status, stderr } = yield* run("cat", "--connect-timeout", "0.1", `tcp://127.0.0.1:${port}`)
      assert.strictEqual(status, 1)
      assert.match(stderr, /^effect-transport: tcp:.*: TimedOut: the time limit for connect passed\n$/)
    })))
})
