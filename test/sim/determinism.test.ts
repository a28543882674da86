/**
 * The same seed, the same run: in one process, in others, and in worse ones.
 */
import { Exit } from "effect"
import { Interleave, Sim } from "effect-transport/sim"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { worlds } from "../../scratchpad/sim/worlds.ts"
import { build, digests } from "../support/simDigest.ts"

/**
 * What these seeds gave when this was written. A change of them is a change for all who kept a seed: note it in
 * CHANGELOG.md, and take the new ones from `npm run -s sim:digest -- --seeds 1..20`.
 */
const golden = `
1 96550f8ef8ffd90d 192 208
2 78edc640f24e6f71 278 199
3 4d71d9a7d0095fe6 751 194
4 e95c25e4cbe8c608 163 183
5 ce72371ee5c3e293 746 186
6 125d5c88ce508b0a 162 192
7 7da2f8ebb12f8f71 326 197
8 5c9a55d35bfb654d 977 224
9 19dec8c01db04c6c 196 207
10 63643e261b577427 708 190
11 7f7f4f351b558f76 850 224
12 52ed9014bddf0888 898 227
13 49dac6466228a802 274 179
14 c3e6be58e08d4d02 125 194
15 e719fd1c044eb998 127 183
16 c1b4b61118c5b178 649 192
17 ad15e0a4d4a06b98 703 186
18 25bb5862f07b00c4 360 190
19 da1d68357dd4eec8 745 198
20 43612fd639408a65 353 209
`

describe("In another process", () => {
  const args = ["--seeds", "1..40"]
  let built = ""
  let expected = ""
  beforeAll(async () => {
    ;[built, expected] = await Promise.all([build(), digests(args)])
  })
  afterAll(() => Fs.rmSync(built, { recursive: true, force: true }))

  it("there is a line for each seed, and each line is another", () => {
    const lines = expected.trimEnd().split("\n")
    assert.deepStrictEqual(lines.map((line) => line.split(" ")[0]), Array.from({ length: 40 }, (_, i) => `${i + 1}`))
    assert.strictEqual(new Set(lines.map((line) => line.split(" ")[1])).size, 40)
    for (const line of lines) assert.match(line, /^\d+ [0-9a-f]{16} \d+ \d+$/)
  })

  it.each([
    ["once more", {}],
    ["in another time zone and language", {
      env: { TZ: "Pacific/Chatham", LANG: "tr_TR.UTF-8", LC_ALL: "tr_TR.UTF-8" }
    }],
    ["with little memory for what is new", { node: ["--max-semi-space-size=1"] }],
    ["with another seed of V8's own hashes", { node: ["--random-seed=7", "--hash-seed=7"] }]
  ])("all digests are the same: %s", async (_, way) => {
    assert.strictEqual(await digests(args, way), expected)
  })

  it("all digests are the same: without a compiler, from JavaScript", async () => {
    assert.strictEqual(await digests(args, { built, node: ["--jitless"] }), expected)
  })

  it("all digests are the same: while others use the processors", async () => {
    const busy = [1, 2].map(() => ChildProcess.spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" }))
    try {
      assert.strictEqual(await digests(args), expected)
    } finally {
      for (const one of busy) one.kill("SIGKILL")
    }
  })

  it("what no world has in its hands is found: functions that were hashed before", async () => {
    const [first, second] = await Promise.all([1, 2].map(() => digests(["--world", "planted", "--seeds", "1"])))
    assert.notStrictEqual(first, second)
  })

  it("arguments that are wrong are refused", async () => {
    const messages = await Promise.all(
      [["--seeds", "7..x"], ["--seeds", "7..6"], ["--world", "none"]].map((args) =>
        digests(args).then(() => "", (error: unknown) => String((error as { readonly stderr: string }).stderr).trim())
      )
    )
    assert.deepStrictEqual(messages, [
      "--seeds must be as 7 or 1..2000, and is 7..x",
      "--seeds must go upwards, and is 7..6",
      "--world must be one of network, race, planted, and is none"
    ])
  })

  it("twenty seeds give what they gave when this was written", () => {
    assert.strictEqual(expected.split("\n").slice(0, 20).join("\n"), golden.trim())
  })
})

describe("In the same process", () => {
  it("a seed gives the same once more, and after fifty others", () => {
    const seeds = [1, 2, 3, 4, 5, 6]
    const run = (seed: number) => Sim.run(worlds.network, { seed })
    const first = seeds.map(run)
    const second = seeds.map(run)
    for (let seed = 100; seed < 150; seed++) run(seed)
    const third = seeds.map(run)
    for (const [i, { decisions, digest, eventCount, events, steps }] of first.entries()) {
      for (const again of [second[i]!, third[i]!]) {
        assert.deepStrictEqual(
          [again.digest, again.eventCount, again.steps, again.decisions],
          [digest, eventCount, steps, decisions]
        )
        assert.deepStrictEqual(again.events, events)
      }
    }
  })

  it("the digest does not depend on what is kept", () => {
    for (let seed = 0; seed < 10; seed++) {
      const [kept, digest, off] = (["events", "digest", "off"] as const).map((trace) =>
        Sim.run(worlds.network, { seed, trace })
      )
      assert.strictEqual(digest!.digest, kept!.digest)
      assert.deepStrictEqual([digest!.events, off!.events, off!.digest], [[], [], ""])
      assert.deepStrictEqual([digest!.eventCount, digest!.steps], [kept!.eventCount, kept!.steps])
      assert.deepStrictEqual([off!.eventCount, off!.steps], [kept!.eventCount, kept!.steps])
    }
  })

  it("other seeds give other schedules: at least 190 of 200", () => {
    const reports = Array.from({ length: 200 }, (_, seed) => Sim.run(worlds.race, { seed }))
    const schedules = new Set(reports.map(({ decisions }) => JSON.stringify(decisions)))
    assert.isAtLeast(schedules.size, 190)
    assert.isAtLeast(new Set(reports.map(({ digest }) => digest)).size, 190)
    assert.isTrue(reports.every(({ exit }) => Exit.isSuccess(exit)))
  })

  it("without a seed in it, all schedules are one", () => {
    const schedules = new Set(
      Array.from(
        { length: 20 },
        (_, seed) => JSON.stringify(Sim.run(worlds.race, { seed, interleave: Interleave.production }).decisions)
      )
    )
    assert.strictEqual(schedules.size, 1)
  })
})
