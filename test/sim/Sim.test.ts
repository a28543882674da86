import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Fiber, Layer, Option, Random } from "effect"
import { Connection, Lines, Network, Protocol } from "effect-transport"
import { Interleave, Sim, Trace, World } from "effect-transport/sim"

const errorOf = <E>(exit: Exit.Exit<unknown, E>): E =>
  Option.getOrThrow(Exit.isFailure(exit) ? Cause.findErrorOption(exit.cause) : Option.none())

const echoServer = Effect.gen(function*() {
  const { listen } = yield* Network.Network
  const listener = yield* listen("tcp://0.0.0.0:7000")
  return yield* listener.serve((transport) =>
    Effect.gen(function*() {
      const lines = yield* Protocol.attach(Lines.protocol(), transport)
      yield* Connection.forEach(lines, (batch) => lines.writeAll(batch))
    })
  )
})

const exchange = (line: string) =>
  Effect.gen(function*() {
    const { connect } = yield* Network.Network
    const lines = yield* Protocol.attach(Lines.protocol(), yield* connect("tcp://server:7000"))
    yield* lines.write(line)
    return yield* Connection.take(lines)
  })

/** Three clients at once, each with a number of its own. */
const crowd = Effect.gen(function*() {
  const { host } = yield* World.World
  yield* host("server", { boot: echoServer })
  yield* Effect.sleep("10 millis")
  return yield* Effect.forEach(["a", "b", "c"], (name) =>
    Effect.gen(function*() {
      const client = yield* host(name)
      return yield* client.run(Effect.flatMap(Random.nextInt, (number) => exchange(`${name} ${number}`)))
    }), { concurrency: "unbounded" })
})

describe("Sim.run", () => {
  it("gives the same run for the same seed, event for event, and others for others", () => {
    const runs = Array.from({ length: 50 }, (_, seed) => Sim.run(crowd, { seed }))
    for (const first of runs) {
      assert.isTrue(Exit.isSuccess(first.exit), String(first.exit))
      const second = Sim.run(crowd, { seed: first.seed })
      assert.strictEqual(second.digest, first.digest)
      assert.deepStrictEqual(second.events, first.events)
    }
    assert.isAtLeast(new Set(runs.map(({ digest }) => digest)).size, 49)
  })

  it("decides again what it decided before", () => {
    for (let seed = 0; seed < 20; seed++) {
      const first = Sim.run(crowd, { seed })
      const again = Sim.run(crowd, { seed, interleave: Interleave.replay(first.decisions) })
      assert.strictEqual(Trace.text(again.events), Trace.text(first.events))
    }
  })

  it("ends with what the world ends with, also with a failure", () => {
    assert.deepStrictEqual(Sim.run(Effect.fail("no"), { seed: 1 }).exit, Exit.fail("no"))
  })

  it("takes no time for time", () => {
    const report = Sim.run(Effect.forEach(Array.from({ length: 59 }), () => Effect.sleep("1 minute")), { seed: 1 })
    assert.isTrue(Exit.isSuccess(report.exit))
    assert.strictEqual(Duration.toMinutes(report.elapsed), 59)
  })

  it("reports a deadlock, and who waits", () => {
    const report = Sim.run(
      Effect.flatMap(
        Effect.flatMap(Network.Network, ({ listen }) => listen("tcp://0.0.0.0:1")),
        ({ accept }) => accept
      ),
      { seed: 1 }
    )
    const error = errorOf(report.exit) as { readonly _tag: string; readonly fibers: ReadonlyArray<unknown> }
    assert.strictEqual(error._tag, "Deadlock")
    assert.lengthOf(error.fibers, 1)
  })

  it("stops at the budgets of steps and of virtual time", () => {
    const endless = Effect.forever(Effect.sleep("1 second"))
    for (const [budget, of] of [[{ steps: 100 }, "steps"], [{ virtual: "1 minute" }, "virtual"]] as const) {
      const error = errorOf(Sim.run(endless, { seed: 1, budget }).exit) as {
        readonly _tag: string
        readonly of: string
      }
      assert.strictEqual(error._tag, "OverBudget")
      assert.strictEqual(error.of, of)
    }
  })

  it("fails by name what leads out of the world", () => {
    const escapes: ReadonlyArray<readonly [string, Effect.Effect<unknown>]> = [
      ["Promise.prototype.then", Effect.promise(() => Promise.resolve(1))],
      ["setTimeout", Effect.callback<void>((resume) => void setTimeout(() => resume(Effect.void), 0))],
      ["crypto.subtle.digest", Effect.promise(() => crypto.subtle.digest("SHA-256", new Uint8Array(1)))]
    ]
    for (const [source, effect] of escapes) {
      const error = errorOf(Sim.run(effect, { seed: 1 }).exit) as { readonly _tag: string; readonly source: string }
      assert.strictEqual(error._tag, "Escaped")
      assert.strictEqual(error.source, source)
    }
  })

  it("gives layers a network as any other", () => {
    const layered = Effect.provide(Effect.sync(() => 1), Layer.effectDiscard(Effect.service(Network.Network)))
    assert.deepStrictEqual(Sim.run(layered, { seed: 1 }).exit, Exit.succeed(1))
  })

  it("prints no stacks, which differ with who called", () => {
    const failing = Effect.logWarning("it failed", Cause.fail(new Error("boom")))
    const notes = Sim.run(failing, { seed: 1 }).events.filter(({ kind }) => kind === "print").map(({ note }) => note)
    assert.deepStrictEqual(notes, ["WARN (#1): it failed Fail(Error: boom)"])
  })

  it("refuses options that are none, by their names", () => {
    const run = (options: unknown) => () => Sim.run(Effect.void, options as Sim.Options)
    assert.throws(run(undefined), /options must be an object with a seed/)
    assert.throws(run({ seed: 1, interleave: "random" }), /interleave must be one of Interleave, and is "random"/)
    assert.throws(run({ seed: 1, trace: "all" }), /trace must be "events", "digest" or "off", and is "all"/)
  })

  it("refuses a seed that is none", () => {
    assert.throws(() => Sim.run(Effect.void, { seed: -1 }), /seed must be a non-negative integer, and is -1/)
  })
})

describe("Host", () => {
  /** A connection of a client to a server, which waits for its end. */
  const watched = (act: (server: World.Host) => Effect.Effect<void>) =>
    Effect.gen(function*() {
      const { host } = yield* World.World
      const log: Array<string> = []
      const server = yield* host("server", {
        boot: Effect.gen(function*() {
          const { listen } = yield* Network.Network
          const listener = yield* listen("tcp://0.0.0.0:7000")
          yield* Effect.addFinalizer(() => Effect.sync(() => log.push("finalizer")))
          const transport = yield* listener.accept
          return yield* Effect.andThen(Connection.take(transport), Effect.never)
        })
      })
      const client = yield* host("client")
      yield* Effect.sleep("10 millis")
      const ending = client.run(Effect.gen(function*() {
        const { connect } = yield* Network.Network
        const transport = yield* connect("tcp://server:7000")
        yield* transport.write(Uint8Array.of(1))
        const seen = yield* Effect.exit(Connection.take(transport)).pipe(Effect.timeoutOption("10 seconds"))
        return Option.match(seen, {
          onNone: () => "silence",
          onSome: (exit) =>
            Exit.isSuccess(exit) ? "bytes" : String(Cause.squash(exit.cause)).includes("reset") ? "a reset" : "the end"
        })
      }))
      const task = yield* Effect.forkChild(ending)
      yield* Effect.sleep("50 millis")
      yield* act(server)
      log.push(`the peer saw ${yield* Fiber.join(task)}`)
      return log
    })

  const seen = (act: (server: World.Host) => Effect.Effect<void>) => Sim.run(watched(act), { seed: 7 }).exit

  it("that stops runs its finalizers, and its peers see an end or a reset", () => {
    assert.deepStrictEqual(seen((server) => server.stop), Exit.succeed(["finalizer", "the peer saw a reset"]))
  })

  it("that is killed runs none, and its peers see an end", () => {
    assert.deepStrictEqual(seen((server) => server.kill), Exit.succeed(["the peer saw the end"]))
  })

  it("that loses power is silent", () => {
    assert.deepStrictEqual(seen((server) => server.powerOff), Exit.succeed(["the peer saw silence"]))
  })

  it("that is paused keeps its connections", () => {
    assert.deepStrictEqual(seen((server) => server.pause), Exit.succeed(["the peer saw silence"]))
  })
})
