import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Option } from "effect"
import { Connection, Network } from "effect-transport"
import { Fault, Sim, SimError, World } from "effect-transport/sim"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Engine } from "../../../src/sim/engine/engine.ts"
import { Recording } from "../../../src/sim/engine/recording.ts"
import { production } from "../../../src/sim/engine/strategies.ts"
import { Direction } from "../../../src/sim/net/direction.ts"
import type { Path as NetPath } from "../../../src/sim/net/path.ts"
import type { Socket } from "../../../src/sim/net/socket.ts"

const errorOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Option.getOrThrow(Exit.isFailure(exit) ? Cause.findErrorOption(exit.cause) : Option.none())

const kinds = Object.keys(Fault.Fault.cases) as ReadonlyArray<Fault.Kind>

/** Two clients that each send so many pieces to a server, one in 100 ms. */
const world = Effect.gen(function*() {
  const { host, mark } = yield* World.World
  const { listen } = yield* Network.Network
  yield* host("idle")
  yield* Effect.forkScoped(
    Effect.flatMap(
      listen("tcp://0.0.0.0:7000"),
      ({ serve }) => serve((transport) => Connection.forEach(transport, () => Effect.void))
    )
  )
  for (const name of ["a", "b"]) {
    const client = yield* host(name)
    yield* Effect.sleep("1 second")
    yield* client.run(Effect.gen(function*() {
      const { connect } = yield* Network.Network
      const transport = yield* connect("tcp://main:7000")
      for (let i = 0; i < 10; i++) {
        yield* transport.write(Uint8Array.of(i))
        yield* Effect.sleep(100)
      }
    }))
    yield* mark("done")
  }
})

describe("Fault", () => {
  it("has a two-sided test of each kind, a row in its table, and a constructor", () => {
    const folder = import.meta.dirname
    const tests = Fs.readdirSync(folder).map((file) => Fs.readFileSync(Path.join(folder, file), "utf8")).join("\n")
    const tested = new Set([...tests.matchAll(/^\s*faultTest\("(\w+)"/gm)].map(([, kind]) => kind))
    const table = Fs.readFileSync(Path.join(folder, "../../../src/sim/Fault.ts"), "utf8")
    const constructors = new Set(Object.keys(Fault))
    const rows = new Set([...table.matchAll(/^ \* \| `(\w+)` \|/gm)].map(([, kind]) => kind))
    assert.deepStrictEqual(kinds.filter((kind) => !tested.has(kind)), [], "without a test")
    assert.deepStrictEqual(kinds.filter((kind) => !rows.has(kind)), [], "without a row")
    assert.deepStrictEqual(kinds.filter((kind) => !constructors.has(kind)), [], "without a constructor")
    assert.deepStrictEqual([...rows].filter((row) => !kinds.includes(row as Fault.Kind)), [], "rows of no kind")
    assert.sameMembers(Object.values(Fault.families).flat(), [...kinds])
  })

  it("is data: a plan survives JSON", () => {
    const plan = Fault.plan({ hosts: ["a", "b"], max: 40 })(3)
    assert.isAbove(plan.length, 5)
    const read = Fault.check(JSON.parse(JSON.stringify(plan)))
    assert.deepStrictEqual(read, Fault.check(plan))
  })

  it("is refused before anything runs, by the name of the field", () => {
    const way = { connection: 0, direction: "c>s" } as const
    const cases: ReadonlyArray<readonly [unknown, string]> = [
      [{ ...Fault.refused({ connection: -1 }) }, "faults[0].connection must be a value between 0"],
      [Fault.stall({ ...way, at: 1.5, for: 1 }), "faults[0].at must be an integer, and is 1.5"],
      [Fault.stall({ ...way, for: "soon" as never }), "faults[0].forNs must be an integer, and is NaN"],
      [{ _tag: "earthquake" }, "faults[0]._tag must be a kind of fault, and is \"earthquake\""],
      [
        { ...Fault.noName({ connection: 0 }), conection: 1 },
        "faults[0].conection must be no excess property, and is 1"
      ],
      [Fault.kill({ host: "main", when: 0 }), "faults[0].host must be a host other than main, and is \"main\""],
      [Fault.kill({ host: "a", when: { mark: "" } }), "faults[0].when.name must be"],
      [Fault.partition({ groups: [["a"]], when: 0, for: 1 }), "faults[0].groups must be"],
      [Fault.tlsAlert({ host: "a", when: 0, for: 1, records: -1 }), "faults[0].records must be"],
      [Fault.serialGarble({ host: "a", path: "/dev/a", when: 0, bytes: 0 }), "faults[0].bytes must be"],
      [Fault.serialPlug({ host: "a", path: "", when: 0 }), "faults[0].path must be"],
      [Fault.buffer({ ...way, side: "both" as never, bytes: 1 }), "faults[0].side must be"]
    ]
    for (const [fault, message] of cases) {
      let hasRun = false
      const run = () =>
        Sim.run(
          Effect.sync(() => {
            hasRun = true
          }),
          { seed: 1, faults: [fault as Fault.Fault] }
        )
      assert.throws(run, SimError.InvalidWorld)
      assert.throws(run, message)
      assert.isFalse(hasRun)
    }
  })

  it("that never comes up fails the run by its name, unless it is optional", () => {
    const never = [
      Fault.fragment({ connection: 7, direction: "c>s", at: 1 }),
      Fault.cut({ connection: 0, direction: "c>s", at: 11, end: "fin" }),
      Fault.kill({ host: "nobody", when: 0 }),
      Fault.heal({ when: { mark: "done", nth: 3 } }),
      Fault.partition({ groups: [["a"], ["nobody"]], when: 0, for: 1 }),
      Fault.tlsExpired({ host: "nobody", when: 0, for: 1 }),
      Fault.serialUnplug({ host: "a", path: "/dev/none", when: 0, for: 1 }),
      Fault.fifoReaderGone({ host: "a", path: "/none", when: 0 }),
      Fault.unixStalePath({ host: "a", path: "/none", when: 0 }),
      Fault.pathPermissionDenied({ host: "a", path: "/none", when: 0, for: 1 })
    ]
    const { exit, faults } = Sim.run(world, { seed: 1, faults: [...never, Fault.heal({ when: 0 })] })
    assert.deepStrictEqual(
      errorOf(exit),
      new SimError.Unfired({
        faults: [
          "fragment (connection 7 c>s at 1)",
          "cut (connection 0 c>s at 11)",
          "kill (nobody at 0 ms)",
          "heal (at mark done 3)",
          "partition (a | nobody at 0 ms)",
          "tlsExpired (nobody at 0 ms)",
          "serialUnplug (a /dev/none at 0 ms)",
          "fifoReaderGone (a /none at 0 ms)",
          "unixStalePath (a /none at 0 ms)",
          "pathPermissionDenied (a /none at 0 ms)"
        ]
      })
    )
    assert.deepStrictEqual(faults.map(({ firedNs }) => firedNs), [...never.map(() => undefined), 0])
    const optional = Sim.run(world, { seed: 1, faults: never.map((fault) => ({ ...fault, optional: true })) })
    assert.isTrue(Exit.isSuccess(optional.exit))
  })

  it("is in the trace, and is the cause of what it does", () => {
    const { events, exit } = Sim.run(world, {
      seed: 1,
      faults: [Fault.stall({ connection: 0, direction: "c>s", at: 3, for: "10 millis" })]
    })
    assert.isTrue(Exit.isSuccess(exit))
    const fault = events.find(({ kind }) => kind === "fault")!
    assert.deepInclude(fault, { connection: 0, direction: "c>s", from: 3, note: "stall (connection 0 c>s at 3)" })
    const sent = events.find(({ from, kind }) => kind === "send" && from === 3)!
    assert.deepInclude(sent, { cause: fault.seq, atNs: fault.atNs + 10e6 })
  })

  it("has its own name where a plan has it twice", () => {
    const twice = Fault.heal({ when: { mark: "done" } })
    const { events, faults } = Sim.run(world, { seed: 1, faults: [twice, twice] })
    // The mark is seen twice, and each fires once.
    assert.lengthOf(events.filter(({ kind }) => kind === "fault"), 2)
    assert.deepStrictEqual(faults.map(({ name }) => name), ["heal (at mark done 1)", "heal (at mark done 1) #2"])
  })
})

describe("Fault.plan", () => {
  const hosts = ["a", "b", "c"]
  const all = {
    hosts,
    tlsHosts: ["a"],
    sockets: [{ host: "a", path: "/a" }],
    fifos: [{ host: "b", path: "/b" }],
    devices: [{ host: "c", path: "/dev/c" }]
  }

  it("draws each fault from a stream of its own", () => {
    for (let seed = 0; seed < 50; seed++) {
      const plan = Fault.plan({ hosts, max: 6 })(seed)
      assert.deepStrictEqual(Fault.plan({ hosts, max: 6 })(seed), plan)
      // As many as both have are the same, whatever the bound.
      const more = Fault.plan({ hosts, max: 12 })(seed)
      const shared = Math.min(plan.length, more.length)
      assert.deepStrictEqual(more.slice(0, shared), plan.slice(0, shared))
    }
  })

  it("makes plans that are valid, of every kind, and of the families that were asked for", () => {
    const drawn = new Set<string>()
    for (let seed = 0; seed < 300; seed++) {
      const plan = Fault.plan(all)(seed)
      assert.strictEqual(Fault.check(plan)._tag, "Success", JSON.stringify(plan))
      for (const { _tag, optional } of plan) {
        drawn.add(_tag)
        assert.isTrue(optional)
      }
      for (const { _tag } of Fault.plan({ families: ["end"] })(seed)) assert.include(Fault.families.end, _tag)
    }
    assert.sameMembers([...drawn], [...kinds])
  })

  it("leaves out what needs TLS, paths or devices where there are none", () => {
    const { path, serial, tls } = Fault.families
    for (let seed = 0; seed < 100; seed++) {
      for (const { _tag } of Fault.plan({ hosts })(seed)) assert.notInclude([...tls, ...path, ...serial], _tag)
      const drawn = Fault.plan({ families: ["path"], fifos: all.fifos, max: 20 })(seed)
      for (const fault of drawn) {
        assert.deepInclude(fault, all.fifos[0]!)
        assert.notStrictEqual(fault._tag, "unixStalePath")
      }
    }
  })

  it("refuses options that are wrong", () => {
    const cases: ReadonlyArray<readonly [Fault.PlanOptions, string]> = [
      [{ max: 0 }, "max must be"],
      [{ duration: -1 }, "duration must be"],
      [{ families: ["weather" as never] }, "families must be"],
      [{ families: ["host"] }, "hosts must be"],
      [{ families: ["tls"], hosts }, "tlsHosts must be"],
      [{ families: ["path"], hosts }, "sockets must be"],
      [{ families: ["serial"], hosts }, "devices must be"],
      [{ hosts: ["main"] }, "hosts must be"]
    ]
    for (const [options, message] of cases) {
      assert.throws(() => Fault.plan(options), SimError.InvalidWorld)
      assert.throws(() => Fault.plan(options), message)
    }
  })

  it("leaves what other faults do as it was when one is taken away", () => {
    const jitter = Fault.jitter({ connection: 0, direction: "c>s", upTo: "50 millis" })
    const other = Fault.jitter({ connection: 1, direction: "c>s", upTo: "50 millis" })
    // It draws before the others do.
    const early = Fault.swizzleClog({ hosts: ["idle"], when: 0, within: 0 })
    for (let seed = 0; seed < 20; seed++) {
      const run = (faults: Fault.Plan) => Sim.run(world, { seed, faults })
      const all = run([other, jitter])
      const fewer = run([jitter])
      const arrivals = (report: typeof all) =>
        report.events.filter(({ connection, kind }) => connection === 0 && kind === "deliver").map(({ atNs }) => atNs)
      assert.lengthOf(arrivals(all), 10)
      assert.deepStrictEqual(arrivals(fewer), arrivals(all))
      assert.deepStrictEqual(arrivals(run([early, other, jitter])), arrivals(all))
      // Up to where the other one comes up, the runs are the same event for event.
      const until = all.events.findIndex(({ connection }) => connection === 1)
      assert.isAbove(until, 30)
      assert.deepStrictEqual(fewer.events.slice(0, until), all.events.slice(0, until))
    }
  })
})

describe("A host's disk", () => {
  const boots = (restart: (server: World.Host) => Effect.Effect<void>) =>
    Effect.gen(function*() {
      const { host } = yield* World.World
      const seen: Array<string | undefined> = []
      const server = yield* host("server", {
        boot: Effect.gen(function*() {
          const store = yield* KeyValueStore.KeyValueStore
          seen.push(yield* store.get("count"))
          yield* store.set("count", `${seen.length}`)
          return yield* Effect.never
        }).pipe(Effect.orDie)
      })
      yield* host("client", {
        boot: Effect.flatMap(KeyValueStore.KeyValueStore, (store) => store.set("count", "mine"))
      })
      yield* Effect.sleep("1 second")
      yield* restart(server)
      yield* Effect.sleep("9 seconds")
      return seen
    })

  it("is its own, and kept over a restart", () => {
    assert.deepStrictEqual(Sim.run(boots((server) => server.restart), { seed: 1 }).exit, Exit.succeed([undefined, "1"]))
  })

  it("is empty after a restart that loses it", () => {
    const lost = boots((server) => server.restartWith({ disk: "lost" }))
    assert.deepStrictEqual(Sim.run(lost, { seed: 1 }).exit, Exit.succeed([undefined, undefined]))
  })

  it("is kept or lost as a fault says", () => {
    for (const [disk, second] of [["kept", "1"], ["lost", undefined]] as const) {
      const faults = [Fault.restart({ host: "server", when: "5 seconds", by: "powerOff", down: "1 second", disk })]
      const { exit } = Sim.run(boots(() => Effect.void), { seed: 1, faults })
      assert.deepStrictEqual(exit, Exit.succeed([undefined, second]))
    }
  })
})

describe("The invariant", () => {
  /** A direction on a way that may give what it carries in another order, or twice. */
  const arriving = (order: (pieces: ReadonlyArray<() => void>) => ReadonlyArray<() => void>) => {
    const engine = new Engine({
      seed: 1,
      budget: { steps: 1, virtual: 1, wall: 1 },
      strategy: () => production,
      recording: new Recording("events"),
      realMillis: () => 0
    })
    const carried: Array<() => void> = []
    const settings = {
      latency: { _tag: "fixed", nanos: 1 },
      bytesPerSecond: undefined,
      segmentBytes: 2,
      sendBufferBytes: 100,
      receiveBufferBytes: 100
    }
    const path = { settings, carry: (_bytes: number, _carried: unknown, run: () => void) => void carried.push(run) }
    const socket = { host: { name: "a" }, onRoom: () => {}, onInput: () => {} }
    const direction = new Direction({
      engine,
      network: { state: "running", parked: [] },
      connection: 0,
      name: "c>s",
      sender: socket as unknown as Socket,
      receiver: socket as unknown as Socket,
      path: path as unknown as NetPath,
      back: path as unknown as NetPath
    })
    direction.take(Uint8Array.of(1, 2, 3, 4, 5, 6))
    for (const arrive of order(carried)) arrive()
    return engine.violation
  }

  it("holds where pieces arrive as they were sent", () => {
    assert.isUndefined(arriving((pieces) => pieces))
  })

  it("is violated by a piece that is missing, comes twice, or is overtaken", () => {
    assert.strictEqual(arriving(([a, , c]) => [a!, c!]), "connection 0 c>s: 4..6 arrived after 2 of 6 bytes")
    assert.strictEqual(arriving(([a]) => [a!, a!]), "connection 0 c>s: 0..2 arrived after 2 of 6 bytes")
    assert.strictEqual(arriving(([a, b]) => [b!, a!]), "connection 0 c>s: 2..4 arrived after 0 of 6 bytes")
  })
})
