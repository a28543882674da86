import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Latch, Result, Schema } from "effect"
import { Connection, Lines, Network, Protocol } from "effect-transport"
import { Interleave, Sim, Trace, World } from "effect-transport/sim"
import { Engine } from "../../src/sim/engine/engine.ts"
import { Lane, type Owner } from "../../src/sim/engine/lanes.ts"
import { Prng } from "../../src/sim/engine/prng.ts"
import { Recording } from "../../src/sim/engine/recording.ts"
import { perDoubling, production } from "../../src/sim/engine/strategies.ts"
import { patternOf, programOf, runAsInProduction } from "../support/simPrograms.ts"
import { races } from "../support/simRaces.ts"

const every = <A>(count: number, f: (i: number) => A): ReadonlyArray<A> => Array.from({ length: count }, (_, i) => f(i))

/** The first lane each time. */
const nothing = Interleave.replay({ picks: [], preemptions: [], isBatched: false })

const strategies = [
  Interleave.production,
  Interleave.random(0),
  Interleave.random(0.1),
  Interleave.random(1),
  Interleave.ranked(0.3, "last"),
  Interleave.ranked(0.3),
  Interleave.pct(),
  Interleave.portfolio()
]

describe("Interleave.production", () => {
  it("orders 50 programs as Effect's own scheduler does", async () => {
    const lengths: Array<number> = []
    for (let seed = 0; seed < 50; seed++) {
      const real = await runAsInProduction(programOf(seed))
      assert.isTrue(Exit.isSuccess(real), String(real))
      const simulated = Sim.run(programOf(seed), { seed, interleave: Interleave.production })
      assert.deepStrictEqual(simulated.exit, real, `program ${seed}`)
      if (Exit.isSuccess(real)) lengths.push(real.value.length)
    }
    // They do something.
    assert.isAbove(lengths.reduce((sum, length) => sum + length, 0), 1000)
  })

  it("decides nothing", () => {
    const { decisions } = Sim.run(programOf(1), { seed: 1, interleave: Interleave.production })
    assert.deepStrictEqual(decisions, { picks: [], preemptions: [], isBatched: true })
  })
})

describe("the other ways", () => {
  it("order programs otherwise, and each seed in a way of its own", () => {
    for (const interleave of strategies.slice(2)) {
      const digests = every(40, (seed) => Sim.run(programOf(3), { seed, interleave }).digest)
      assert.isAtLeast(new Set(digests).size, 30, interleave.name)
    }
  })

  it("give the same run for the same seed, ranks and all", () => {
    for (const interleave of strategies) {
      for (let seed = 0; seed < 5; seed++) {
        const [first, second] = every(2, () => Sim.run(programOf(seed), { seed, interleave }))
        assert.deepStrictEqual(second!.decisions, first!.decisions)
        assert.strictEqual(second!.digest, first!.digest)
      }
    }
  })

  it("let whoever wakes go on first, or later, and keep the tasks of one fiber in order", () => {
    const order = (seed: number, interleave: Interleave.Interleave) =>
      Sim.run(
        Effect.gen(function*() {
          const log: Array<string> = []
          const latch = Latch.makeUnsafe()
          const fibers = yield* Effect.forEach(["a", "b"], (name) =>
            Effect.forkChild(Effect.andThen(latch.await, Effect.sync(() => log.push(name)))))
          yield* Effect.sleep(1)
          yield* Effect.sync(() =>
            latch.openUnsafe()
          )
          yield* Effect.sync(() => log.push("waker"))
          yield* Fiber.joinAll(fibers)
          return log.join()
        }),
        { seed, interleave }
      ).exit
    for (const interleave of [...strategies.slice(2), Interleave.ranked(0)]) {
      const seen = new Set(every(200, (seed) => {
        const exit = order(seed, interleave)
        return Exit.isSuccess(exit) ? exit.value : String(exit)
      }))
      assert.isTrue(seen.has("waker,a,b") || seen.has("waker,b,a"), interleave.name)
      assert.isTrue(seen.has("a,b,waker") || seen.has("b,a,waker"), interleave.name)
    }
    assert.deepStrictEqual(order(1, Interleave.production), Exit.succeed("a,b,waker"))
  })

  it("end, wherever fibers give way", () => {
    for (const [seed, interleave] of every(500, patternOf).entries()) {
      const { exit } = Sim.run(programOf(seed), { seed, interleave, budget: { steps: 100_000 }, trace: "off" })
      assert.isTrue(Exit.isSuccess(exit), `${interleave.name}: ${exit}`)
    }
  })

  it("do not starve whom a fiber waits for by turning round", () => {
    const turning = Effect.gen(function*() {
      let isDone = false
      const turn = Effect.repeat(Effect.yieldNow, { until: () => isDone })
      const turners = yield* Effect.forEach(["a", "b", "c"], () => Effect.forkChild(turn))
      yield* Effect.forEach(every(20, (i) => i), () => Effect.yieldNow)
      isDone = true
      yield* Fiber.joinAll(turners)
    })
    for (const interleave of [...strategies, Interleave.ranked(0), Interleave.pct(0), nothing]) {
      for (let seed = 0; seed < 20; seed++) {
        const { exit } = Sim.run(turning, { seed, interleave, budget: { steps: 20_000 } })
        assert.isTrue(Exit.isSuccess(exit), `${interleave.name}, seed ${seed}: ${exit}`)
      }
    }
  })

  it("refuse probabilities and depths that are none", () => {
    for (const probability of [-0.1, 1.1, NaN]) {
      assert.throws(() => Interleave.random(probability), /probability must be a number from 0 to 1/)
      assert.throws(() => Interleave.ranked(probability), /probability must be a number from 0 to 1/)
    }
    for (const depth of [-1, 1.5, 1e9]) {
      assert.throws(() => Interleave.pct(depth), /depth must be an integer from 0 to 1000/)
    }
  })

  it("give way as often as they say", () => {
    for (const probability of [0.02, 0.1, 0.5]) {
      const strategy = Interleave.random(probability).make(Prng.of(1, "often"))
      let count = 0
      for (let next = strategy.preemptionFrom(0); next < 100_000; next = strategy.preemptionFrom(next + 1)) count++
      assert.closeTo(count / 100_000, probability, probability / 20)
    }
  })

  it("have as many changes in each doubling of a run", () => {
    const changes = perDoubling(Prng.of(1, "changes"), 3)
    const places: Array<number> = []
    for (let next = changes(0); next < 65_536; next = changes(next + 1)) places.push(next)
    const bits = places.map((place) => Math.max(4, Math.floor(Math.log2(Math.max(1, place))) + 1))
    for (let bit = 4; bit <= 16; bit++) {
      const found = bits.filter((one) => one === bit).length
      // Two may fall on one place.
      assert.isTrue(found >= 1 && found <= 3, `${found} below 2^${bit}`)
    }
  })
})

describe("planted races", () => {
  for (const { broken, fixed, isBroken, name } of races) {
    it(`of ${name}: found within 500 seeds, hidden in production, and none in the twin without`, () => {
      assert.isFalse(isBroken(Sim.run(broken, { seed: 0, interleave: Interleave.production })))
      const found = every(500, (seed) => seed).find((seed) => isBroken(Sim.run(broken, { seed, trace: "off" })))
      assert.isDefined(found, "not found")
      // What found it once finds it again.
      const { decisions } = Sim.run(broken, { seed: found!, trace: "off" })
      assert.isTrue(isBroken(Sim.run(broken, { seed: found!, interleave: Interleave.replay(decisions) })))
      for (let seed = 0; seed < 300; seed++) {
        const report = Sim.run(fixed, { seed, trace: "off" })
        assert.isFalse(isBroken(report), `seed ${seed}: ${report.exit}`)
      }
    })
  }
})

describe("Interleave.replay", () => {
  const worlds = [programOf(2), programOf(5), ...races.map(({ broken }) => broken)]

  it("gives the same trace, also from a token", () => {
    for (const world of worlds) {
      for (let seed = 0; seed < 6; seed++) {
        const first = Sim.run(world, { seed })
        const token = Interleave.encode(first.decisions)
        const decoded = Result.getOrThrow(Interleave.decode(token))
        assert.deepStrictEqual(decoded, first.decisions)
        const again = Sim.run(world, { seed, interleave: Interleave.replay(decoded) })
        assert.strictEqual(Trace.text(again.events), Trace.text(first.events))
        assert.strictEqual(again.digest, first.digest)
        assert.deepStrictEqual(again.decisions, first.decisions)
      }
    }
  })

  it("goes on where a list is too short, or is of another world", () => {
    for (let seed = 0; seed < 20; seed++) {
      const { decisions } = Sim.run(programOf(seed), { seed })
      const short = { ...decisions, picks: decisions.picks.slice(0, 5), preemptions: decisions.preemptions.slice(0, 5) }
      for (const list of [short, decisions, { picks: [9, 9, 9], preemptions: [1e9], isBatched: true }]) {
        const { exit } = Sim.run(programOf(seed + 1), { seed, interleave: Interleave.replay(list) })
        assert.isTrue(Exit.isSuccess(exit), String(exit))
      }
    }
  })
})

describe("Interleave.encode", () => {
  it("keeps any decisions, and is short", () => {
    const prng = Prng.of(1, "tokens")
    for (let i = 0; i < 200; i++) {
      const preemptions = every(prng.below(50), () => prng.below(2 ** 31) * (i % 2 === 0 ? 1 : 2 ** 20))
      const decisions = {
        picks: [...every(prng.below(100), () => prng.below(i % 3 === 0 ? 1000 : 3) * prng.below(2)), 1],
        preemptions: Array.from(new Set(preemptions)).sort((a, b) => a - b),
        isBatched: i % 2 === 0
      }
      assert.deepStrictEqual(Result.getOrThrow(Interleave.decode(Interleave.encode(decisions))), decisions)
    }
    const { decisions } = Sim.run(programOf(2), { seed: 2, interleave: Interleave.random(0.1) })
    assert.isBelow(
      Interleave.encode(decisions).length,
      60 + decisions.picks.length + 1.5 * decisions.preemptions.length
    )
  })

  it("is refused by name when it is damaged, is none, or is of other versions", () => {
    const token = Interleave.encode({ picks: [0, 1, 2], preemptions: [3, 40], isBatched: false })
    const [form, ours, effect, payload] = token.split(":") as [string, string, string, string]
    const refusal = (text: string) => Result.getOrThrow(Result.flip(Interleave.decode(text)))
    for (let at = 0; at < payload.length; at++) {
      const other = payload[at] === "A" ? "B" : "A"
      const damaged = [form, ours, effect, payload.slice(0, at) + other + payload.slice(at + 1)].join(":")
      assert.strictEqual(refusal(damaged).part, "decisions", damaged)
      assert.strictEqual(refusal([form, ours, effect, payload.slice(0, at)].join(":")).part, "decisions")
    }
    assert.strictEqual(refusal("").part, "form")
    assert.strictEqual(refusal("interleave2:0:0:AAAA").part, "form")
    assert.strictEqual(
      refusal([form, ours, "4.0.9", payload].join(":")).message,
      `the token is of effect 4.0.9 and holds for that alone; this is ${effect}`
    )
    assert.strictEqual(refusal([form, "9.9.9", effect, payload].join(":")).part, "effect-transport")
  })

  it("is beside a schema, for decisions as data", () => {
    const { decisions } = Sim.run(programOf(2), { seed: 2 })
    const json = JSON.stringify(Schema.encodeSync(Interleave.Decisions)(decisions))
    assert.deepStrictEqual(Schema.decodeUnknownSync(Interleave.Decisions)(JSON.parse(json)), decisions)
    for (const wrong of [{ picks: [-1] }, { preemptions: [2, 1] }, { preemptions: [0.5] }, { isBatched: 1 }]) {
      assert.throws(() => Schema.decodeUnknownSync(Interleave.Decisions)({ ...decisions, ...wrong }))
    }
  })
})

describe("lanes", () => {
  const engineOf = (seed: number, interleave: Interleave.Interleave) =>
    new Engine({
      seed,
      budget: { steps: 10_000, virtual: 1e6, wall: 10_000 },
      strategy: interleave.make,
      recording: new Recording("digest"),
      realMillis: () => 0
    })
  const ownerOf = (): Owner => ({ state: "running", parked: [] })

  it("keep what is due at one instant in order, and come in any order themselves", () => {
    for (const interleave of strategies.slice(1)) {
      const seen = new Set<string>()
      for (let seed = 0; seed < 100; seed++) {
        const engine = engineOf(seed, interleave)
        const lanes = [new Lane(ownerOf()), new Lane(ownerOf())]
        const order: Array<string> = []
        for (const [i, lane] of lanes.entries()) {
          for (let n = 0; n < 2; n++) engine.at(5, lane.owner, () => order.push("ab"[i]! + n), lane)
        }
        engine.drive(() => false)
        assert.isBelow(order.indexOf("a0"), order.indexOf("a1"))
        assert.isBelow(order.indexOf("b0"), order.indexOf("b1"))
        seen.add(order[0]!)
      }
      assert.deepStrictEqual(Array.from(seen).sort(), ["a0", "b0"], interleave.name)
    }
  })

  it("of two connections: chunks due at one instant keep their order in each, and come in any order across", () => {
    const world = Effect.gen(function*() {
      const { host } = yield* World.World
      const log: Array<string> = []
      yield* host("server", {
        boot: Effect.gen(function*() {
          const { listen } = yield* Network.Network
          const listener = yield* listen("tcp://0.0.0.0:7000")
          return yield* listener.serve((transport) =>
            Effect.gen(function*() {
              const lines = yield* Protocol.attach(Lines.protocol(), transport)
              yield* Connection.forEach(lines, (batch) => Effect.sync(() => log.push(...batch)))
            })
          )
        })
      })
      const clients = yield* Effect.forEach(["a", "b"], (name) => host(name))
      yield* Effect.forEach(clients, (client) =>
        client.run(Effect.gen(function*() {
          const { connect } = yield* Network.Network
          const lines = yield* Protocol.attach(Lines.protocol(), yield* connect("tcp://server:7000"))
          for (let n = 0; n < 3; n++) yield* lines.write(client.name + n)
          yield* Effect.sleep("10 millis")
        })), { concurrency: "unbounded" })
      return log
    })
    const seen = new Set<string>()
    for (let seed = 0; seed < 100; seed++) {
      const { exit } = Sim.run(world, { seed })
      assert.isTrue(Exit.isSuccess(exit), String(exit))
      const log = Exit.isSuccess(exit) ? exit.value : []
      for (const name of ["a", "b"]) {
        assert.deepStrictEqual(log.filter((line) => line.startsWith(name)), every(3, (n) => name + n))
      }
      seen.add(log[0]!)
      if (log.join() !== [...log].sort().join() && log.join() !== [...log].sort().reverse().join()) seen.add("mixed")
    }
    assert.deepStrictEqual(Array.from(seen).sort(), ["a0", "b0", "mixed"])
  })

  it("stand still with their owner, also in the middle of a batch, and go on in order", () => {
    for (const interleave of [Interleave.production, Interleave.random(0)]) {
      const engine = engineOf(1, interleave)
      const [owner, other] = [ownerOf(), ownerOf()]
      const lane = new Lane(owner)
      const order: Array<number> = []
      engine.post(lane, () => {
        order.push(0)
        engine.post(lane, () => order.push(3))
        engine.pause(owner)
        // Behind those that wait already, by its priority before one of them.
        engine.post(lane, () => order.push(4), 1)
      })
      engine.post(lane, () => order.push(1))
      engine.post(lane, () => order.push(2))
      engine.post(lane, () => order.push(5), 2)
      engine.drive(() => false)
      assert.deepStrictEqual(order, [0], interleave.name)
      engine.post(new Lane(other), () => engine.unpause(owner))
      engine.drive(() => false)
      assert.deepStrictEqual(order, [0, 1, 2, 3, 4, 5], interleave.name)
    }
  })

  it("all come to run, where the first is picked each time and another is never empty", () => {
    const engine = engineOf(1, nothing)
    const [busy, other] = [new Lane(ownerOf()), new Lane(ownerOf())]
    let isDone = false
    const again = () => {
      if (!isDone) engine.post(busy, again)
    }
    for (let i = 0; i < 2; i++) engine.post(busy, again)
    engine.post(other, () => {
      isDone = true
    })
    assert.deepStrictEqual(engine.drive(() => isDone), { _tag: "Done" })
  })

  it("are dropped with their owner, also in the middle of a batch", () => {
    const engine = engineOf(1, { name: "production", make: () => production })
    const owner = ownerOf()
    const lane = new Lane(owner)
    const order: Array<number> = []
    engine.post(lane, () => {
      order.push(0)
      engine.discard(owner)
    })
    engine.post(lane, () => order.push(1))
    engine.drive(() => false)
    assert.deepStrictEqual(order, [0])
  })

  it("with timers of an owner that is gone do not hold the world up", () => {
    const engine = engineOf(1, nothing)
    const owner = ownerOf()
    const timer = engine.at(1e9, owner, () => {})
    engine.at(5, ownerOf(), () => engine.discard(owner))
    assert.deepStrictEqual(engine.drive(() => false), { _tag: "Stuck" })
    assert.strictEqual(engine.nowNs, 5)
    assert.strictEqual(engine.timersOf(owner), 0)
    engine.cancel(timer)
    assert.strictEqual(engine.timersOf(owner), 0)
    const waiting = Effect.gen(function*() {
      const { host } = yield* World.World
      const server = yield* host("server", { boot: Effect.sleep("1 day") })
      yield* Effect.sleep("1 second")
      yield* server.kill
      return yield* Effect.never
    })
    const { elapsed, exit } = Sim.run(waiting, { seed: 1 })
    assert.match(String(exit), /Deadlock/)
    assert.strictEqual(Duration.toSeconds(elapsed), 1)
  })

  it("count a timer once, also where it is cancelled after its time", () => {
    const engine = engineOf(1, nothing)
    const owner = ownerOf()
    const timer = engine.at(1, owner, () => {})
    engine.drive(() => false)
    engine.cancel(timer)
    assert.strictEqual(engine.timersOf(owner), 0)
  })
})
