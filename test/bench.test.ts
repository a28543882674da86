import * as ChildProcess from "node:child_process"
import * as Path from "node:path"
import { promisify } from "node:util"
import { assert, describe, it } from "vitest"
import { nameOf, peerOf, select } from "../scratchpad/bench/cases.ts"

const bench = (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = process.env) =>
  promisify(ChildProcess.execFile)(process.execPath, [
    "-C",
    "effect-transport-source",
    Path.resolve(import.meta.dirname, "../scratchpad/bench/main.ts"),
    ...args
  ], { env })

describe("npm run bench", () => {
  it("has these cases and targets", () => {
    const cases = select(undefined).flatMap((scenario) =>
      scenario.cases.map((one) => [nameOf(scenario, one), peerOf(scenario, one), one.target])
    )
    assert.deepStrictEqual(cases, [
      ["ping-1/pull/rate", "node:net", 0.97],
      ["ping-1/forEach/rate", "node:net", 0.97],
      ["ping-1/machine/rate", "node:net", 0.97],
      ["ping-50/pull/cpu", "node:net", 0.9],
      ["ping-50/forEach/cpu", "node:net", 1],
      ["ping-50/machine/cpu", "node:net", 1.1],
      ["ping-50/forEach/rate", "node:net", 0.97],
      ["ping-50/pull/cpu", "Effect's NodeSocketServer", 1.15],
      ["ping-50/forEach/cpu", "Effect's NodeSocketServer", 1.3],
      ["bulk-receive/owned/cpu", "node:net, same heap", 1.15],
      ["bulk-receive/lent/cpu", "node:net, same heap", 2],
      ["bulk-send/write/cpu", "node:net", 1],
      ["bulk-echo/copy/rate", "node:net", 1],
      ["bulk-echo/forEach/rate", "node:net", 1],
      ["writes-100/one fiber/rate", "node:net", 12],
      ["writes-100/100 fibers/rate", "node:net", 7],
      ["writes-64k/write/rate", "node:net", 1],
      ["lines/batches/cpu", "readline over node:net", 2],
      ["lines/frames/cpu", "readline over node:net", undefined],
      ["lines/frames/cpu", "node:net, socket.write a line", 3.5],
      ["lines/machine/cpu", "node:net, socket.write a line", 6],
      ["lines/machine/cpu", "node:net, cork per chunk", 1.2],
      ["connect/forEach/cpu", "node:net", 0.9],
      ["idle/forEach/memory", "node:net", 0.8],
      ["many/1000/cpu", "ours at 10", 0.83],
      ["relay/copy/rate", "stream.pipeline", 1],
      ["relay/copy/cpu", "stream.pipeline", 1],
      ["relay/copy/rate", "socat", 0.8],
      ["relay/copy/cpu", "socat", 0.8],
      ["child-out/exec/rate", "node:child_process, same heap", 1],
      ["child-out/exec/cpu", "node:child_process, same heap", 1],
      ["child-into/exec/rate", "node:child_process, same heap", 1],
      ["child-into/exec/cpu", "node:child_process, same heap", 1],
      ["stdio-in/stdio/rate", "process.stdin, same heap", 1],
      ["stdio-in/stdio/cpu", "process.stdin, same heap", 1],
      ["stdio-out/stdio/rate", "process.stdout, same heap", 1],
      ["stdio-out/stdio/cpu", "process.stdout, same heap", 1],
      ["serial-ping/port/rate", "serialport", 1.5],
      ["serial-ping/port/cpu", "serialport", 1.5],
      ["serial-ping/bare/rate", "serialport", undefined],
      ["serial-bulk/port/rate", "serialport", 1.3],
      ["serial-bulk/port/cpu", "serialport", undefined],
      ["serial-bulk/bare/rate", "serialport", undefined],
      ["serial-bulk-out/port/rate", "serialport", 1.3],
      ["serial-bulk-out/port/cpu", "serialport", undefined],
      ["serial-bulk-out/bare/rate", "serialport", undefined],
      ["serial-bulk-in/port/rate", "serialport", 1.3],
      ["serial-bulk-in/port/cpu", "serialport", undefined],
      ["serial-bulk-in/bare/rate", "serialport", undefined],
      ["decode-lines/ours/rate", "Effect's decodeText and splitLines", 1.5],
      ["decode-lines/ours/rate", "readline", 3],
      ["decode-lines/ours/rate", "a plain loop over indexOf", 0.95],
      ["decode-prefixed/ours/rate", "it-length-prefixed", 3],
      ["flow-single-1/consumer/rate", "Effect's Queue", 0.5],
      ["flow-single-16/consumer/rate", "Effect's Queue", 0.5],
      ["flow-single-1024/consumer/rate", "Effect's Queue", 0.5],
      ["flow-batches/consumer/rate", "Effect's Queue", 0.5],
      ["flow-stream/consumer/rate", "Effect's Queue", 0.5],
      ["http/ours/rate", "plain node:http", 0.9],
      ["rpc/ours/rate", "Effect's NodeSocket", 1],
      ["sim-steps/world/rate", "50 000 a second", 1],
      ["sim-worlds/world/rate", "200 a second", 1],
      ["sim-day/world/rate", "86 400 a second", 1],
      ["sim-ping/digest/rate", "loopback TCP", 1.5],
      ["sim-ping/off/rate", "loopback TCP", 3],
      ["curve-64/4096/rate", "in pieces of 65536", undefined],
      ["curve-64/256/rate", "in pieces of 65536", undefined],
      ["curve-64/16/rate", "in pieces of 65536", undefined],
      ["curve-64/1/rate", "in pieces of 65536", undefined],
      ["curve-1024/4096/rate", "in pieces of 65536", undefined],
      ["curve-1024/256/rate", "in pieces of 65536", undefined],
      ["curve-1024/16/rate", "in pieces of 65536", undefined],
      ["curve-1024/1/rate", "in pieces of 65536", undefined],
      ["curve-16384/4096/rate", "in pieces of 65536", undefined],
      ["curve-16384/256/rate", "in pieces of 65536", undefined],
      ["curve-16384/16/rate", "in pieces of 65536", undefined],
      ["curve-16384/1/rate", "in pieces of 65536", undefined]
    ])
  })

  it("measures a case, and prints it as one line of JSON", async () => {
    const { stdout } = await bench(["ping-1/pull", "--json", "--rounds", "1", "--scale", "0.001"])
    const lines = stdout.split("\n")
    assert.deepStrictEqual(lines.slice(1), [""])
    const { ours, peer, ratio, target, theirs, unit, ...rest } = JSON.parse(lines[0]!)
    assert.deepStrictEqual([rest.case, peer, unit, target], ["ping-1/pull/rate", "node:net", "messages/s", 0.97])
    assert.isAbove(ours, 0)
    assert.isAbove(theirs, 0)
    // All three are rounded to four digits.
    assert.approximately(ratio, ours / theirs, ratio * 0.002)
    // As long as the harness itself would wait.
  }, 120_000)

  it("leaves out what a program is missing for, and says so", async () => {
    // Without a path there is none.
    const { stderr, stdout } = await bench(["serial-ping"], { PATH: "/nowhere" })
    assert.strictEqual(stdout, "")
    assert.include(stderr, "serial-ping is left out: it needs socat and python3")
  })

  it("lists its cases where the filter fits none", async () => {
    const failure = await bench(["no such case"]).then(() => undefined, (error) => error)
    assert.strictEqual(failure?.code, 2)
    assert.include(failure.stderr, "relay/copy/cpu against socat")
  })
})
