/**
 * What a program could learn from outside: the world's, or the end of the run by name.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Deferred, Effect, Exit, Fiber, Metric, Random } from "effect"
import { Sim, SimError, World } from "effect-transport/sim"

const failureOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined

// What the compiler's library does not have yet.
const atomics = Atomics as unknown as { readonly waitAsync: (...args: ReadonlyArray<unknown>) => unknown }

const start = Date.UTC(2000, 0, 1)

describe("Sources that the world decides", () => {
  it("are the world's, and counted, with an event each", () => {
    const world = Effect.gen(function*() {
      yield* Effect.sleep("90 seconds")
      return {
        now: Date.now(),
        date: new Date().getTime(),
        text: Date(),
        given: new Date(7).getTime(),
        utc: Date.UTC(1970, 0, 2),
        isDate: new Date() instanceof Date,
        performance: performance.now(),
        origin: performance.timeOrigin,
        hrtime: process.hrtime(),
        since: process.hrtime([90, 0]),
        bigint: process.hrtime.bigint(),
        uptime: process.uptime(),
        effect: Effect.runSync(Clock.monotonicTimeNanos)
      }
    })
    const { events, exit, sources } = Sim.run(world, { seed: 1 })
    assert.deepStrictEqual(
      exit,
      Exit.succeed({
        now: start + 90_000,
        date: start + 90_000,
        text: new Date(start + 90_000).toString(),
        given: 7,
        utc: 86_400_000,
        isDate: true,
        performance: 90_000,
        origin: start,
        hrtime: [90, 0],
        since: [0, 0],
        bigint: 90_000_000_000n,
        uptime: 90,
        effect: 90_000_000_000n
      })
    )
    assert.deepStrictEqual(sources, {
      "Date.now": 1,
      "Date": 3,
      "performance.now": 1,
      "process.hrtime": 4,
      "process.uptime": 1
    })
    assert.lengthOf(events.filter(({ kind }) => kind === "source"), 10)
  })

  it("are the same random numbers for the same seed", () => {
    const world = Effect.sync(() => [
      Math.random(),
      crypto.randomUUID(),
      Array.from(crypto.getRandomValues(new Uint16Array(3)))
    ])
    const of = (seed: number) => Exit.getSuccess(Sim.run(world, { seed }).exit)
    assert.deepStrictEqual(of(1), of(1))
    assert.notDeepEqual(of(1), of(2))
  })

  it("show the clock of the host whose program asks, with its drift and its jumps", () => {
    const world = Effect.gen(function*() {
      const { host } = yield* World.World
      const fast = yield* host("fast")
      yield* fast.driftClock(100_000)
      yield* fast.jumpClock("1 hour")
      yield* Effect.sleep("100 seconds")
      const read = Effect.callback<ReadonlyArray<number>>((resume) => {
        const times = [Date.now() - start, performance.now()]
        queueMicrotask(() => resume(Effect.succeed([...times, Date.now() - start])))
      })
      return [yield* read, yield* fast.run(read)]
    })
    assert.deepStrictEqual(
      Sim.run(world, { seed: 1 }).exit,
      Exit.succeed([[100_000, 100_000, 100_000], [3_710_000, 110_000, 3_710_000]])
    )
  })

  it("run microtasks behind the task at hand, in order", () => {
    const world = Effect.callback<ReadonlyArray<number>>((resume) => {
      const log: Array<number> = []
      process.nextTick((word: number) => log.push(word), 1)
      queueMicrotask(() => {
        log.push(2)
        queueMicrotask(() => resume(Effect.succeed(log)))
      })
      log.push(0)
    })
    const { exit, sources } = Sim.run(world, { seed: 1 })
    assert.deepStrictEqual(exit, Exit.succeed([0, 1, 2]))
    assert.deepStrictEqual(sources, { "process.nextTick": 1, "queueMicrotask": 2 })
  })

  it("end the run with what a microtask throws", () => {
    const world = Effect.callback<never>(() =>
      queueMicrotask(() => {
        throw new Error("nobody catches this")
      })
    )
    assert.strictEqual(String(failureOf(Sim.run(world, { seed: 1 }).exit)), "Error: nobody catches this")
  })

  it("keep what is printed past Effect, and print it", () => {
    const printed: Array<unknown> = []
    const real = console
    // eslint-disable-next-line no-global-assign
    globalThis.console = {
      ...real,
      log: (...parts: ReadonlyArray<unknown>) => printed.push([parts, Date.now() > start])
    }
    try {
      const { events, sources } = Sim.run(Effect.sync(() => console.log("a", { b: 1 })), { seed: 1 })
      assert.deepStrictEqual(events.map(({ kind, note }) => [kind, note]), [["print", `a { b: 1 }`]])
      assert.deepStrictEqual(sources, { console: 1 })
    } finally {
      globalThis.console = real
    }
    // By a real clock, which is past the world's.
    assert.deepStrictEqual(printed, [[["a", { b: 1 }], true]])
  })
})

describe("Sources that lead out of the world", () => {
  const escapes: Readonly<Record<string, () => unknown>> = {
    "setTimeout": () => setTimeout(() => {}, 0),
    "setInterval": () => setInterval(() => {}, 1000),
    "setImmediate": () => setImmediate(() => {}),
    "fetch": () => fetch("http://127.0.0.1:1"),
    "MessageChannel": () => new MessageChannel(),
    "BroadcastChannel": () => new BroadcastChannel("a"),
    "WebSocket": () => new WebSocket("ws://127.0.0.1:1"),
    "AbortSignal.timeout": () => AbortSignal.timeout(1000),
    "Atomics.wait": () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1),
    "Atomics.waitAsync": () => atomics.waitAsync(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1),
    "WebAssembly.compile": () => WebAssembly.compile(new Uint8Array()),
    "crypto.subtle.digest": () => crypto.subtle.digest("SHA-256", new Uint8Array()),
    "performance.mark": () => performance.mark("a"),
    "process.memoryUsage": () => process.memoryUsage(),
    "Promise.prototype.then": () => Promise.reject(new Error("nobody hears this")).then(() => {})
  }

  it.each(Object.entries(escapes))("end the run by name: %s", (source, begin) => {
    const program = Effect.gen(function*() {
      yield* Effect.sleep("1 second")
      // Who catches it has not undone it.
      yield* Effect.ignore(Effect.try(begin))
      return yield* Effect.never
    })
    const world = Effect.gen(function*() {
      const { host } = yield* World.World
      return yield* (yield* host("client")).run(program)
    })
    const error = failureOf(Sim.run(world, { seed: 1 }).exit)
    assert.instanceOf(error, SimError.Escaped)
    assert.deepStrictEqual([error.source, error.host], [source, "client"])
    assert.isAbove(error.fiber, 0)
    assert.include(error.message, `${source} leads out of the world, in fiber ${error.fiber} on client`)
  })

  it("end the run by name: a fiber with a scheduler of outside", () => {
    for (const begun of [Effect.yieldNow, Effect.void]) {
      const error = failureOf(Sim.run(Effect.sync(() => Effect.runFork(begun)), { seed: 1 }).exit)
      assert.instanceOf(error, SimError.Escaped)
      const who = "a fiber with Effect's own scheduler, as Effect.runFork begins it,"
      assert.strictEqual(error.message, `${who} leads out of the world, after event 0`)
    }
  })

  it("are none of these", () => {
    const world = Effect.sync(() => {
      clearTimeout(undefined)
      structuredClone({ a: [1] })
      new AbortController().abort()
      void new Promise<void>((resolve) => resolve())
      return Effect.runSync(Effect.flatMap(Random.next, () => Effect.succeed(1)))
    })
    assert.deepStrictEqual(Sim.run(world, { seed: 1 }).exit, Exit.succeed(1))
  })
})

describe("What comes from outside after the end", () => {
  it("does nothing", async () => {
    let resolve: (value: number) => void = () => {}
    const promise = new Promise<number>((resolveIt) => {
      resolve = resolveIt
    })
    // Taken before the run, so that nobody sees it begin.
    const { then } = Promise.prototype
    const log: Array<number> = []
    const world = Effect.gen(function*() {
      const got = yield* Deferred.make<number>()
      yield* Effect.forkChild(Effect.tap(
        Effect.callback<number>((resume) => {
          void then.call(promise, (value) => resume(Effect.succeed(value as number)))
        }),
        (value) => Effect.sync(() => log.push(value))
      ))
      yield* Effect.yieldNow
      yield* Effect.sync(() => setTimeout(() => log.push(0), 0))
      return yield* Deferred.await(got)
    })
    const unhandled: Array<unknown> = []
    const listener = (error: unknown) => unhandled.push(error)
    process.on("unhandledRejection", listener)
    try {
      const { exit } = Sim.run(world, { seed: 3 })
      assert.instanceOf(failureOf(exit), SimError.Escaped)
      resolve(1)
      for (let turn = 0; turn < 5; turn++) await new Promise((resume) => setImmediate(resume))
    } finally {
      process.off("unhandledRejection", listener)
    }
    assert.deepStrictEqual([log, unhandled], [[], []])
  })
})

describe("A world inside of another test", () => {
  const globals = () => [
    Date,
    Date.now,
    Math.random,
    performance.now,
    performance.timeOrigin,
    process.hrtime,
    process.hrtime.bigint,
    process.nextTick,
    process.memoryUsage,
    crypto.getRandomValues,
    crypto.randomUUID,
    crypto.subtle,
    queueMicrotask,
    setTimeout,
    setInterval,
    setImmediate,
    fetch,
    console,
    MessageChannel,
    AbortSignal.timeout,
    atomics.waitAsync,
    Promise.prototype.then
  ]

  const worlds: Readonly<Record<string, Effect.Effect<unknown, unknown, World.World>>> = {
    "ends": Effect.sleep("1 day"),
    "fails": Effect.fail("no"),
    "throws": Effect.sync(() => {
      throw new Error("no")
    }),
    "escapes": Effect.promise(() => Promise.resolve(1)),
    "is stuck": Effect.never,
    "prints": Effect.andThen(Effect.log("seen by no console"), Effect.sync(() => Math.random()))
  }

  it.effect.each(Object.keys(worlds))(
    "leaves its clock, random numbers, console and globals as they are where it %s",
    (name) =>
      Effect.gen(function*() {
        const { TestClock, TestConsole } = yield* Effect.promise(() => import("effect/testing"))
        const before = globals()
        yield* TestClock.adjust("5 seconds")
        const sleeper = yield* Effect.forkChild(Effect.as(Effect.sleep("1 minute"), "woken"))
        yield* Effect.yieldNow
        const random = yield* Effect.withSpan(
          Random.withSeed(
            Effect.gen(function*() {
              const first = yield* Random.next
              Sim.run(worlds[name]!, { seed: 1, budget: { virtual: "2 days" } })
              return [first, yield* Random.next]
            }),
            "x"
          ),
          "outer"
        )
        const expected = yield* Random.withSeed(Effect.all([Random.next, Random.next]), "x")
        assert.deepStrictEqual(random, expected)
        assert.strictEqual(yield* Effect.clockWith((clock) => clock.currentTimeMillis), 5000)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* Fiber.join(sleeper), "woken")
        assert.deepStrictEqual(yield* TestConsole.logLines, [])
        const after = globals()
        for (const [i, one] of before.entries()) assert.strictEqual(after[i], one)
        assert.isAbove(Date.now(), Date.UTC(2020))
      })
  )
})

describe("Metrics", () => {
  it("begin anew with each life of a host, as with each process", () => {
    const counter = Metric.counter("asked")
    const ask = Effect.andThen(Metric.update(counter, 1), Effect.map(Metric.value(counter), ({ count }) => count))
    const world = Effect.gen(function*() {
      const { host } = yield* World.World
      const [one, other] = [yield* host("one"), yield* host("other")]
      const counts = [yield* one.run(ask), yield* one.run(ask), yield* other.run(ask)]
      yield* one.restart
      return [...counts, yield* one.run(ask)]
    })
    for (let run = 0; run < 2; run++) {
      assert.deepStrictEqual(Sim.run(world, { seed: 1 }).exit, Exit.succeed([1, 2, 1, 1]))
    }
  })
})
