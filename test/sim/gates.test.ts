/**
 * Gates: what is let in from outside by name, and what comes in without one.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber } from "effect"
import { Interleave, Sim, SimError, World } from "effect-transport/sim"

const failureOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined

const later = <A>(value: A, turns: number): Promise<A> =>
  new Promise((resolve) => {
    const turn = (left: number) => left === 0 ? resolve(value) : void setImmediate(() => turn(left - 1))
    turn(turns)
  })

const worldStart = Date.UTC(2000, 0, 1)

describe("Sim.gate", () => {
  it("lets something of outside in at once, with the real sources, and keeps its name", () => {
    const world = Effect.gen(function*() {
      const before = Date.now()
      const outside = yield* Sim.gate("time", () => Date.now())
      return [before === worldStart, outside > Date.UTC(2020, 0, 1), Date.now() === worldStart]
    })
    const { events, exit, sources } = Sim.run(world, { seed: 1 })
    assert.deepStrictEqual(exit, Exit.succeed([true, true, true]))
    assert.deepStrictEqual(
      events.filter(({ kind }) => kind === "gate").map(({ host, note }) => [host, note]),
      [["main", "time"]]
    )
    assert.deepStrictEqual(sources, { "Date.now": 2 })
  })

  it("mixes its value into nothing: the digest stays the same", () => {
    let value = 0
    const world = Effect.as(Sim.gate("counter", () => value++), "done")
    assert.deepStrictEqual(Sim.check(world, { seed: 1, times: 5 }).exit, Exit.succeed("done"))
    assert.strictEqual(value, 5)
  })

  it("dies of what is thrown, or fails with what `catch` makes of it", async () => {
    const thrown = () => {
      throw new Error("no")
    }
    const rejected = () => Promise.reject(new Error("no"))
    for (const outside of [thrown, rejected]) {
      const died = await Sim.runPromise(Effect.exit(Sim.gate("a", outside)), { seed: 1 })
      assert.isTrue(Exit.isSuccess(died.exit) && Exit.hasDies(died.exit.value))
      const failed = await Sim.runPromise(
        Effect.flip(Sim.gate("a", { try: outside, catch: (error) => `caught ${(error as Error).message}` })),
        { seed: 1 }
      )
      assert.deepStrictEqual(failed.exit, Exit.succeed("caught no"))
    }
  })

  it("ends a synchronous run by its name where it is a promise, and nobody hears of its failure", async () => {
    const unhandled: Array<unknown> = []
    const listener = (error: unknown) => unhandled.push(error)
    process.on("unhandledRejection", listener)
    const error = failureOf(Sim.run(Sim.gate("later", () => Promise.reject(new Error("no"))), { seed: 1 }).exit)
    await later(0, 5)
    process.off("unhandledRejection", listener)
    assert.instanceOf(error, SimError.Escaped)
    assert.strictEqual(
      error.message,
      "gate \"later\", a promise, leads out of the world, in fiber 1 on main, after event 1"
    )
    assert.deepStrictEqual(unhandled, [])
  })

  it.effect("is a defect outside of a world", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Sim.gate("a", () => 1))
      assert.strictEqual(String(failureOf(exit)), "Error: the gate \"a\" is outside of a world")
    }))
})

describe("Sim.runPromise", () => {
  /** Gates of several fibers beside a clock that ticks. */
  const several = Effect.gen(function*() {
    const { host } = yield* World.World
    const log: Array<string> = []
    const client = yield* host("client")
    const ticks = yield* client.fork(Effect.forever(Effect.andThen(
      Effect.sleep("1 second"),
      Effect.sync(() => log.push(`tick ${Date.now() - worldStart}`))
    )))
    void ticks
    yield* Effect.sleep("1500 millis")
    const passing = (name: string, turns: number) =>
      Effect.tap(Sim.gate(name, () => later(name, turns)), (value) => Effect.sync(() => log.push(value)))
    yield* Effect.all([passing("slow", 20), passing("quick", 1), passing("middle", 5)], { concurrency: "unbounded" })
    log.push(`now ${Date.now() - worldStart}`)
    yield* Effect.sleep("1 second")
    return log
  })

  it("stands still until its gates are settled, and lets them through in the order of their start", async () => {
    const reports = []
    for (const _ of [1, 2]) reports.push(await Sim.runPromise(several, { seed: 5, interleave: Interleave.production }))
    for (const { digest, events, exit } of reports) {
      const begun = events.filter(({ kind, note }) => kind === "gate" && !note.includes("answers"))
      const answered = events.filter(({ kind, note }) => kind === "gate" && note.includes("answers"))
      assert.lengthOf(begun, 3)
      assert.isTrue(events.filter(({ kind }) => kind === "gate").every(({ atNs }) => atNs === 1.5e9))
      assert.deepStrictEqual(answered.map(({ note }) => note), begun.map(({ note }) => `${note} answers`))
      assert.deepStrictEqual(answered.map(({ cause }) => cause), begun.map(({ seq }) => seq))
      assert.deepStrictEqual(
        exit,
        Exit.succeed(["tick 1000", ...begun.map(({ note }) => note), "now 1500", "tick 2000"])
      )
      assert.strictEqual(digest, reports[0]!.digest)
    }
  })

  it("runs nothing else meanwhile, also what is ready", async () => {
    const log: Array<string> = []
    const world = Effect.gen(function*() {
      yield* Effect.forkChild(Effect.sync(() => log.push("the other")))
      yield* Effect.flatMap(Sim.gate("a", () => later("the gate", 5)), (name) => Effect.sync(() => log.push(name)))
      yield* Effect.yieldNow
    })
    const { exit } = await Sim.runPromise(world, { seed: 1, interleave: Interleave.production })
    assert.deepStrictEqual([exit, log], [Exit.void, ["the gate", "the other"]])
  })

  it("gives the real globals back while it waits", async () => {
    const { now } = Date
    const { then } = Promise.prototype
    const running = Sim.runPromise(Sim.gate("a", () => later(0, 10)), { seed: 1 })
    await later(0, 1)
    assert.strictEqual(Date.now, now)
    assert.strictEqual(Promise.prototype.then, then)
    // Another world may run meanwhile.
    assert.deepStrictEqual(Sim.run(Effect.sleep("1 day"), { seed: 2, budget: { virtual: "2 days" } }).exit, Exit.void)
    assert.deepStrictEqual((await running).exit, Exit.succeed(0))
  })

  it("runs a world without gates as `run` does", async () => {
    const world = Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => Math.random()))
    assert.strictEqual((await Sim.runPromise(world, { seed: 9 })).digest, Sim.run(world, { seed: 9 }).digest)
  })

  it("ends by name a promise without a gate", async () => {
    const error = failureOf((await Sim.runPromise(Effect.promise(() => later(1, 1)), { seed: 1 })).exit)
    assert.instanceOf(error, SimError.Escaped)
  })

  it("ends by name where a fiber is resumed while it waits", async () => {
    const woken: Array<string> = []
    let wake = () => {}
    const world = Effect.gen(function*() {
      const { host } = yield* World.World
      const client = yield* host("client")
      yield* client.fork(Effect.andThen(
        Effect.callback<void>((resume) => {
          wake = () => resume(Effect.void)
        }),
        Effect.sync(() => woken.push("went on"))
      ))
      yield* Effect.sleep("1 second")
      // It would never end.
      return yield* Sim.gate("for ever", () => new Promise<never>(() => {}))
    })
    const running = Sim.runPromise(world, { seed: 1 })
    await later(0, 3)
    wake()
    const error = failureOf((await running).exit)
    assert.instanceOf(error, SimError.Escaped)
    assert.deepStrictEqual([error.source, error.host], ["what is not of this world", "client"])
    await later(0, 3)
    assert.deepStrictEqual(woken, [])
  })

  it("waits no longer than its budget of real time", async () => {
    const { exit } = await Sim.runPromise(Sim.gate("for ever", () => new Promise<never>(() => {})), {
      seed: 1,
      budget: { wall: "50 millis" }
    })
    const error = failureOf(exit)
    assert.instanceOf(error, SimError.OverBudget)
    assert.strictEqual(error.of, "wall")
  })

  it("loses an answer whose fiber was interrupted or whose host has ended", async () => {
    const world = Effect.gen(function*() {
      const { host } = yield* World.World
      const client = yield* host("client")
      const log: Array<string> = []
      const passing = (name: string) =>
        Effect.onInterrupt(
          Effect.andThen(Sim.gate(name, () => later(0, 2)), Effect.sync(() => log.push(name))),
          () => Effect.sync(() => log.push(`${name} was interrupted`))
        )
      const fiber = yield* Effect.forkChild(passing("a"), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      yield* client.fork(passing("b"))
      yield* Effect.sleep("1 second")
      const stopped = yield* Deferred.make<void>()
      yield* client.fork(Effect.andThen(Deferred.await(stopped), passing("c")))
      yield* Effect.sleep("1 second")
      yield* Deferred.succeed(stopped, undefined)
      yield* client.kill
      yield* Effect.sleep("1 second")
      return log
    })
    // The kill comes in the step in which the gate is reached.
    const { exit } = await Sim.runPromise(world, { seed: 1, interleave: Interleave.production })
    assert.deepStrictEqual(exit, Exit.succeed(["a was interrupted", "b"]))
  })

  it("tells a deadlock behind gates, which are not passed again for it", async () => {
    let passed = 0
    const world = Effect.gen(function*() {
      yield* Sim.gate("now", () => ++passed)
      yield* Sim.gate("later", () => later(++passed, 2))
      return yield* Effect.never
    })
    const error = failureOf((await Sim.runPromise(world, { seed: 1 })).exit)
    assert.instanceOf(error, SimError.Deadlock)
    assert.deepStrictEqual(error.fibers.map(({ on }) => on), ["nothing: it is Effect.never"])
    assert.strictEqual(passed, 2)
  })
})
