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
1 ef68a73b15e31550 99 204
2 d37e78569648354f 128 194
3 da719208323875bd 1186 190
4 00ead648b13a41bb 81 179
5 0f29bfc5e803abfe 1075 182
6 fda48750d3d37f4f 83 188
7 5f585d3cb738a2f4 138 192
8 bddb27a9d1038aac 1513 221
9 b07059ed7d55330c 102 202
10 cc617753e96f9d3f 1100 186
11 783eb70d0f769794 106 219
12 0afd55a62547ec3e 1518 223
13 02959bdb75d517bd 104 176
14 35092136dfdea558 84 190
15 cca769ae1f72ae4b 79 179
16 1194b76c4431d8b9 1146 188
17 4124bcb165fd2a93 80 182
18 6f7b2fcc4dc53f50 118 185
19 46c62a38ef5ea743 352 194
20 28135fc560f1cfae 157 205
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
