import { assert, describe } from "@effect/vitest"
import { Effect, Exit, Random } from "effect"
import { Network } from "effect-transport"
import { Fault, Link, Sim, SimError, World } from "effect-transport/sim"
import { it } from "effect-transport/vitest"

/** Fails for one seed in some. */
const unlucky = Effect.gen(function*() {
  const { mark } = yield* World.World
  yield* mark("begun")
  const number = yield* Random.nextIntBetween(0, 30)
  return number === 7 ? yield* Effect.fail("seven") : number
})

describe("Sim.sweep", () => {
  it("stops at the first seed that fails, and has its trace", () => {
    const { failed, runs } = Sim.sweep(unlucky, { seeds: 1000, checkEvery: 0 })
    assert.deepStrictEqual(failed?.exit, Exit.fail("seven"))
    assert.strictEqual(runs, failed!.seed + 1)
    assert.deepStrictEqual(failed!.events.map(({ note }) => note), ["begun"])
    for (let seed = 0; seed < failed!.seed; seed++) assert.isTrue(Exit.isSuccess(Sim.run(unlucky, { seed }).exit))
  })

  it("runs the seeds that it is given, and no others", () => {
    const { failed } = Sim.sweep(unlucky, { seeds: 1000 })
    assert.deepStrictEqual(Sim.sweep(unlucky, { seeds: [failed!.seed + 0] }).failed?.seed, failed!.seed)
    assert.deepStrictEqual(Sim.sweep(Effect.void, { seeds: [5, 6] }), { runs: 2, failed: undefined })
  })

  it("compares one run in so many with another one of its seed", () => {
    let count = 0
    const counting = Effect.suspend(() =>
      Effect.fail(`run ${++count}`).pipe(Effect.catchCause(() => Effect.succeed(count)))
    )
    assert.instanceOf(error(Sim.sweep(counting, { seeds: 1 }).failed?.exit), SimError.Diverged)
    assert.isUndefined(Sim.sweep(counting, { seeds: 50, checkEvery: 0 }).failed)
    let runs = 0
    Sim.sweep(Effect.sync(() => void runs++), { seeds: 40 })
    assert.strictEqual(runs, 42)
  })

  it("keeps a failure that does not come again", () => {
    let runs = 0
    const once = Effect.suspend(() => ++runs === 1 ? Effect.fail("once") : Effect.void)
    assert.deepStrictEqual(Sim.sweep(once, { seeds: 3, checkEvery: 0 }).failed?.exit, Exit.fail("once"))
  })

  it("refuses what is no number of seeds", () => {
    assert.throws(() => Sim.sweep(Effect.void, { seeds: 0 }), /seeds must be a positive integer, or seeds, and is 0/)
    assert.throws(() => Sim.sweep(Effect.void, { checkEvery: -1 }), /checkEvery must be a non-negative integer/)
  })
})

const error = (exit: Exit.Exit<unknown, unknown> | undefined): unknown =>
  exit !== undefined && Exit.isFailure(exit) && exit.cause.reasons[0]?._tag === "Fail"
    ? exit.cause.reasons[0].error
    : undefined

describe("Sim.explain", () => {
  const connecting = Effect.flatMap(Network.Network, ({ connect }) => connect("tcp://localhost:1"))

  it("tells the seed, the exit, the faults that fired, and the last events", () => {
    const report = Sim.run(connecting, { seed: 3, faults: [Fault.refused({ connection: 0 })] })
    const lines = Sim.explain(report, { events: 1 }).split("\n")
    assert.strictEqual(lines[0], "seed 3: TransportError: open tcp://localhost:1: the connection was refused")
    assert.match(lines[1]!, /^ {2}fault at 0\.010000 ms: refused \(connection 0\)$/)
    assert.strictEqual(lines[2], "  after 2 events:")
    assert.match(lines[3]!, /refuse .* ECONNREFUSED/)
    assert.lengthOf(lines, 4)
  })
})

describe("Link", () => {
  const arrival = (link: Link.Options) => (seed: number) => {
    const world = Effect.gen(function*() {
      const { host, link: join } = yield* World.World
      const [a, b] = [yield* host("a"), yield* host("b")]
      yield* join(a, b, link)
      yield* b.fork(Effect.gen(function*() {
        const { listen } = yield* Network.Network
        yield* (yield* listen("tcp://0.0.0.0:1")).accept
        return yield* Effect.never
      }))
      yield* Effect.sleep(1)
      yield* a.run(Effect.flatMap(Network.Network, ({ connect }) => connect("tcp://b:1")))
    })
    const accepted = Sim.run(world, { seed }).events.find(({ kind }) => kind === "accept")!
    return accepted.atNs / 1e6
  }

  it("has jitter on top of its latency, and no more than that", () => {
    const times = Array.from({ length: 50 }, (_, seed) => arrival({ latency: "10 millis", jitter: "3 millis" })(seed))
    assert.isAtLeast(Math.min(...times), 31)
    assert.isAtMost(Math.max(...times), 40)
    assert.isAbove(Math.max(...times) - Math.min(...times), 3)
    assert.strictEqual(arrival({ latency: "10 millis" })(1), 31)
  })
})

it.sim("runs a world with many seeds", Effect.sleep("1 day"), { seeds: 20, budget: { virtual: "2 days" } })
