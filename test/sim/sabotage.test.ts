/**
 * Everything that could make two runs of one seed differ, one at a time: in the world's hands by its name where a program
 * asks the global, and found where it kept the original from before.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, HashMap } from "effect"
import { Connection, Lines, Network, Protocol } from "effect-transport"
import { Interleave, Sim, SimError, World } from "effect-transport/sim"

/** A client that tells a server what it got to know, and later does something else because of it. */
const worldOf = (know: Effect.Effect<number | string>) =>
  Effect.gen(function*() {
    const { host } = yield* World.World
    yield* host("server", {
      boot: Effect.gen(function*() {
        const { listen } = yield* Network.Network
        const listener = yield* listen("tcp://0.0.0.0:7000")
        return yield* listener.serve((transport) =>
          Effect.gen(function*() {
            const lines = yield* Protocol.attach(Lines.protocol(), transport)
            yield* Connection.forEach(lines, (batch) => lines.writeAll(batch))
          })
        )
      })
    })
    yield* Effect.sleep("10 millis")
    return yield* (yield* host("client")).run(Effect.gen(function*() {
      const { connect } = yield* Network.Network
      const lines = yield* Protocol.attach(Lines.protocol(), yield* connect("tcp://server:7000"))
      yield* Effect.sleep("1 second")
      yield* lines.write(`${yield* know}`)
      return yield* Connection.take(lines)
    }))
  })

const failureOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined

// Kept before any run.
const { now } = Date
const { random } = Math
const { then } = Promise.prototype
const kept = {
  setTimeout,
  digest: crypto.subtle.digest.bind(crypto.subtle),
  hrtime: process.hrtime.bigint,
  randomUUID: crypto.randomUUID.bind(crypto)
}

const orderOfFunctions = () => {
  const functions = Array.from({ length: 20 }, (_, i) => [() => i, i] as const)
  return Array.from(HashMap.values(HashMap.fromIterable(functions))).join(" ")
}

let counter = 0

describe("Through the global", () => {
  const controlled: Readonly<Record<string, () => number | string>> = {
    "Date.now": () => Date.now(),
    "Date": () => new Date().toISOString(),
    "Math.random": () => Math.random(),
    "performance.now": () => performance.now(),
    "process.hrtime": () => `${process.hrtime.bigint()}`,
    "crypto.randomUUID": () => crypto.randomUUID()
  }

  it.each(Object.entries(controlled))("%s is the world's, and seen by its name", (source, know) => {
    const { events, exit, sources } = Sim.check(worldOf(Effect.sync(know)), { seed: 1, times: 3, between: 3 })
    assert.isTrue(Exit.isSuccess(exit), String(exit))
    assert.strictEqual(sources[source], 1)
    assert.lengthOf(
      events.filter(({ host, kind, note }) => kind === "source" && note === source && host === "client"),
      1
    )
  })

  it("a HashMap of functions has an order of the seed's", () => {
    const { exit, sources } = Sim.check(worldOf(Effect.sync(orderOfFunctions)), { seed: 1, times: 3, between: 3 })
    assert.isTrue(Exit.isSuccess(exit), String(exit))
    assert.isAtLeast(sources["Math.random"]!, 20)
    const orders = [1, 2, 3].map((seed) =>
      Exit.getSuccess(Sim.run(worldOf(Effect.sync(orderOfFunctions)), { seed }).exit)
    )
    assert.notDeepEqual(orders[0], orders[1])
  })

  const escapes: Readonly<Record<string, Effect.Effect<number | string>>> = {
    "setTimeout": Effect.callback((resume) => void setTimeout(() => resume(Effect.succeed(1)), 0)),
    "Promise.prototype.then": Effect.promise(() => Promise.resolve(1)),
    "crypto.subtle.digest": Effect.promise(async () => `${await crypto.subtle.digest("SHA-256", new Uint8Array(1))}`)
  }

  it.each(Object.entries(escapes))("%s ends the run by its name, and says after which event", (source, know) => {
    const report = Sim.check(worldOf(know), { seed: 1 })
    const error = failureOf(report.exit)
    assert.instanceOf(error, SimError.Escaped)
    assert.deepStrictEqual([error.source, error.host], [source, "client"])
    // Up to there it is the run that it would be without.
    const without = Sim.run(worldOf(Effect.succeed(1)), { seed: 1 })
    assert.strictEqual(without.events[error.seq]!.kind, "write")
    assert.deepStrictEqual(report.events.slice(0, error.seq), without.events.slice(0, error.seq))
  })
})

describe("Through an original that was kept", () => {
  const uncontrolled: Readonly<Record<string, () => number | string>> = {
    "Date.now": () => now(),
    "Math.random": () => random(),
    "process.hrtime.bigint": () => `${kept.hrtime()}`,
    "crypto.randomUUID": () => kept.randomUUID(),
    "a HashMap of functions": () => {
      const controlled = Math.random
      Math.random = random
      try {
        return orderOfFunctions()
      } finally {
        Math.random = controlled
      }
    },
    "a counter of a module": () => ++counter
  }

  for (const trace of ["events", "digest"] as const) {
    it.each(Object.entries(uncontrolled))(
      `%s is found, at the first event that differs, with trace "${trace}"`,
      (_, know) => {
        const world = worldOf(Effect.sync(know))
        // A millisecond has to pass for some.
        const error = failureOf(Sim.check(world, { seed: 1, trace, times: 50, between: 2 }).exit)
        assert.instanceOf(error, SimError.Diverged)
        const { events } = Sim.run(world, { seed: 1 })
        assert.deepInclude(events[error.seq], { kind: "write", host: "client", direction: "c>s", from: 0 })
        if (trace === "digest") return assert.strictEqual(error.first, "an event that was not kept")
        for (const line of [error.first, error.second]) assert.match(line, / write {3}client .*c>s 0\.\./)
        assert.notStrictEqual(error.first, error.second)
      }
    )
  }

  const came = 1
  const settled = Promise.resolve()
  const never: Readonly<Record<string, Effect.Effect<number | string>>> = {
    "setTimeout": Effect.callback((resume) => void kept.setTimeout(() => resume(Effect.succeed(came)), 0)),
    "Promise.prototype.then": Effect.callback((resume) => {
      void then.call(Promise.resolve(came), () => resume(Effect.succeed(came)))
    }),
    "await": Effect.callback((resume) => {
      void (async () => {
        await settled
        resume(Effect.succeed(came))
      })()
    }),
    "crypto.subtle.digest": Effect.callback((resume) => {
      void then.call(kept.digest("SHA-256", new Uint8Array(1)), () => resume(Effect.succeed(came)))
    })
  }

  it.each(Object.entries(never))("%s never comes back: a deadlock shows what was waited for", (_, know) => {
    const error = failureOf(Sim.check(worldOf(know), { seed: 1 }).exit)
    assert.instanceOf(error, SimError.Deadlock)
    const waiting = error.fibers.find(({ host }) => host === "client")!
    assert.match(waiting.on, /^a callback: \(resume\) => /)
  })

  it.each(Object.entries(never))(
    "%s ends the run while gates are waited for, as it comes from outside",
    async (_, know) => {
      const world = Effect.gen(function*() {
        yield* Effect.forkChild(know)
        yield* Effect.yieldNow
        yield* Sim.gate("slow", () => new Promise((resolve) => setTimeout(resolve, 50)))
      })
      const error = failureOf((await Sim.runPromise(world, { seed: 1 })).exit)
      assert.instanceOf(error, SimError.Escaped)
      assert.strictEqual(error.source, "what is not of this world")
    }
  )
})

describe("What shows in no event", () => {
  it.each<readonly [string, Effect.Effect<unknown, unknown>, string, string]>([
    ["the exit", Effect.sync(() => ({ count: [++counter] })), "the exit {", "the exit {"],
    [
      "the failure",
      Effect.suspend(() => Effect.fail({ count: ++counter })),
      "the exit Fail({ count: ",
      "the exit Fail("
    ],
    ["time", Effect.suspend(() => Effect.sleep(Duration.millis(++counter))), "nanoseconds", "nanoseconds"],
    [
      "who was picked",
      Effect.suspend(() =>
        Effect.all(Array.from({ length: ++counter }, () => Effect.yieldNow), { concurrency: "unbounded" })
      ),
      "decision",
      "decision"
    ]
  ])("is found too: %s", (_, world, first, second) => {
    counter = 3
    const error = failureOf(Sim.check(world, { seed: 1, interleave: Interleave.random(0) }).exit)
    assert.instanceOf(error, SimError.Diverged)
    assert.include(error.first, first)
    assert.include(error.second, second)
    assert.notStrictEqual(error.first, error.second)
    assert.strictEqual(error.run, 2)
  })

  it("is no difference where it belongs to one run: numbers of fibers, functions, things with a life", () => {
    const world = Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(Effect.never)
      return [yield* Effect.exit(Effect.interrupt), fiber, () => 1, new Map([["a", new WeakMap()]])]
    })
    assert.isTrue(Exit.isSuccess(Sim.check(world, { seed: 1 }).exit))
  })
})

describe("Sim.check", () => {
  it("runs as often as it is told, and other seeds in between", () => {
    const seeds: Array<number> = []
    const world = Effect.sync(() => void seeds.push(Math.random()))
    Sim.check(world, { seed: 1, times: 3, between: 2 })
    const [one, two, three] = seeds
    assert.deepStrictEqual(seeds, [one, two, three, one, two, three, one])
    assert.strictEqual(new Set(seeds).size, 3)
  })

  it("refuses counts that are none", () => {
    assert.throws(
      () => Sim.check(Effect.void, { seed: 1, times: 1 }),
      /times must be an integer of at least 2, and is 1/
    )
    assert.throws(() => Sim.check(Effect.void, { seed: 1, between: -1 }), /between must be an integer of at least 0/)
  })
})
