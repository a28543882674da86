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
1 a764fc66e52fb8ec 177 208
2 3d96aaf14f2b182d 284 198
3 8a4e5bec0273cfb5 703 194
4 bbdb413695aabb12 149 183
5 d1a12f4e73a3a8e2 719 186
6 b2d984991ba5a755 150 193
7 05eb8870359741aa 292 193
8 f33c20e7b0cf9277 915 224
9 40b9e1d74f5611fc 180 207
10 4a854436bca5872c 660 190
11 eb2c94495931a4e5 797 224
12 eb84d72e75c2d604 842 227
13 5c12896935d64f1f 266 180
14 c8e655dd8e1176ed 125 195
15 8883c65e620a67c0 118 184
16 1c17694839763a9b 626 192
17 ddbb8f94f4e3d612 625 187
18 52afac704494c4a4 306 189
19 ac2bdc5e95aa2c4e 731 199
20 beec373cd5abde50 329 210
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
