/** What becomes of hosts that end while they end, or while something on them is awaited. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Fiber } from "effect"
import { Connection, Network } from "effect-transport"
import { Fault, Interleave, Sim, SimError, World } from "effect-transport/sim"

/** A program whose end takes ten seconds. */
const slowToEnd = Effect.ensuring(Effect.never, Effect.sleep("10 seconds"))

const succeeds = <A, E>(world: Sim.Simulated<A, E>, expected: A, faults: Fault.Plan = [], then = () => {}) => {
  for (const [name, interleave] of [["production", Interleave.production], ["random", Interleave.random()]] as const) {
    for (let seed = 0; seed < 20; seed++) {
      const { exit } = Sim.run(world, { seed, interleave, faults })
      assert.deepStrictEqual(exit, Exit.succeed(expected), `${name}, seed ${seed}`)
      then()
    }
  }
}

describe("a host that is killed while it stops", () => {
  it("has stopped", () =>
    succeeds(
      Effect.gen(function*() {
        const { elapsed, host } = yield* World.World
        const server = yield* host("server")
        yield* server.fork(slowToEnd)
        yield* Effect.sleep("1 second")
        const stopping = yield* Effect.forkChild(server.stop)
        yield* Effect.sleep("1 second")
        yield* server.kill
        yield* Fiber.join(stopping)
        assert.isBelow(Duration.toSeconds(yield* elapsed), 3)
      }),
      undefined
    ))

  it("does so by faults, too", () =>
    succeeds(
      Effect.gen(function*() {
        const { host } = yield* World.World
        yield* (yield* host("server")).fork(slowToEnd)
        yield* Effect.sleep("5 seconds")
      }),
      undefined,
      [Fault.stop({ host: "server", when: "1 second" }), Fault.kill({ host: "server", when: "2 seconds" })]
    ))

  it("holds up no end of the world", () =>
    succeeds(
      Effect.gen(function*() {
        const { host } = yield* World.World
        yield* (yield* host("server")).fork(slowToEnd)
        yield* Effect.sleep("1 second")
      }),
      undefined,
      [Fault.kill({ host: "server", when: "2 seconds" })]
    ))

  it("lets go whoever interrupted what runs there", () =>
    succeeds(
      Effect.gen(function*() {
        const { host } = yield* World.World
        const server = yield* host("server")
        const waiting = yield* Effect.forkChild(Effect.timeoutOption(server.run(slowToEnd), "1 second"))
        yield* Effect.sleep("2 seconds")
        yield* server.kill
        yield* Fiber.await(waiting)
      }),
      undefined
    ))
})

describe("a host that is restarted by whoever waits for what runs there", () => {
  for (const end of ["kill", "powerOff", "stop"] as const) {
    it(`is there again after ${end}`, () =>
      succeeds(
        Effect.gen(function*() {
          const { host } = yield* World.World
          const listens = Effect.gen(function*() {
            yield* (yield* Network.Network).listen("tcp://0.0.0.0:80")
            return yield* Effect.never
          })
          const server = yield* host("server", { boot: listens })
          const restarting = yield* Effect.forkChild(
            Effect.matchCauseEffect(server.run(Effect.never), {
              onFailure: () => server.restart,
              onSuccess: () => Effect.void
            })
          )
          yield* Effect.sleep("1 second")
          yield* server[end]
          yield* Fiber.await(restarting)
          yield* Effect.sleep("1 second")
          const client = yield* host("client")
          return yield* client.run(Effect.gen(function*() {
            yield* (yield* Network.Network).connect("tcp://server:80")
            return "connected"
          }))
        }),
        "connected"
      ))
  }

  it("is ended by nobody who stopped its life before", () =>
    succeeds(
      Effect.gen(function*() {
        const { host } = yield* World.World
        const said: Array<string> = []
        const boot = Effect.acquireUseRelease(
          Effect.sync(() => said.push("begins")),
          () => Effect.never,
          () => Effect.andThen(Effect.sleep("10 seconds"), Effect.sync(() => said.push("ends")))
        )
        const server = yield* host("server", { boot })
        yield* Effect.sleep("1 second")
        // It stands still in the middle of this stop, is killed, and begins again.
        yield* Effect.forkChild(server.stop)
        yield* Effect.sleep("1 second")
        yield* server.kill
        yield* server.restart
        yield* Effect.sleep("1 second")
        const task = yield* server.fork(Effect.succeed("up"))
        said.push(yield* task.ended)
        yield* server.stop
        return said
      }),
      ["begins", "begins", "up", "ends"]
    ))
})

describe("a host that ends while it opens a connection", () => {
  for (const [end, again] of [["kill", false], ["kill", true], ["powerOff", false], ["powerOff", true]] as const) {
    for (const after of [500, 1500]) {
      it(`has none: ${end}${again ? ", begun again" : ""}, after ${after} us`, () =>
        succeeds(
          Effect.gen(function*() {
            const { host } = yield* World.World
            let accepted = 0
            yield* host("server", {
              boot: Effect.gen(function*() {
                const { serve } = yield* (yield* Network.Network).listen("tcp://0.0.0.0:80")
                return yield* serve(() => Effect.sync(() => accepted++))
              })
            })
            const client = yield* host("client")
            yield* Effect.sleep("1 second")
            yield* client.fork(Effect.flatMap(Network.Network, ({ connect }) => connect("tcp://server:80")))
            yield* Effect.sleep(Duration.micros(BigInt(after)))
            yield* client[end]
            if (again) yield* client.restart
            yield* Effect.sleep("1 second")
            return accepted
          }),
          0
        ))
    }
  }
})

describe("a slow host", () => {
  const slow = [Fault.slowCpu({ host: "server", when: 0, for: "1 hour", step: "10 millis" })]

  for (const end of ["stop", "the end of the world"] as const) {
    it(`runs its finalizers at ${end}, and leaves nothing`, () => {
      let ended = 0
      succeeds(
        Effect.gen(function*() {
          ended = 0
          const { host } = yield* World.World
          const server = yield* host("server", {
            boot: Effect.gen(function*() {
              const { serve } = yield* (yield* Network.Network).listen("tcp://0.0.0.0:80")
              return yield* serve(() => Effect.never)
            })
          })
          // Busy whenever one looks.
          yield* server.fork(Effect.ensuring(Effect.forever(Effect.sleep("3 millis")), Effect.sync(() => ended++)))
          const client = yield* host("client")
          yield* client.run(Effect.andThen(
            Effect.sleep("1 second"),
            Effect.andThen(
              Effect.flatMap(Network.Network, ({ connect }) => connect("tcp://server:80")),
              Effect.sleep("1 second")
            )
          ))
          if (end === "stop") {
            yield* server.stop
            assert.strictEqual(ended, 1)
          }
        }),
        undefined,
        slow,
        () => assert.strictEqual(ended, 1)
      )
    })
  }
})

describe("a host that cannot boot", () => {
  for (const [what, boot] of [["fails", Effect.fail("no")], ["dies", Effect.die("no")]] as const) {
    it(`is a defect of the world where its boot ${what}`, () => {
      const { exit } = Sim.run(
        Effect.gen(function*() {
          yield* (yield* World.World).host("server", { boot })
          yield* Effect.sleep("1 second")
        }),
        { seed: 1 }
      )
      assert.deepStrictEqual(exit, Exit.die("no"))
    })
  }

  it("is none where it is ended while it boots", () =>
    succeeds(
      Effect.gen(function*() {
        const server = yield* (yield* World.World).host("server", { boot: Effect.never })
        yield* Effect.sleep("1 second")
        yield* server.restart
        yield* Effect.sleep("1 second")
        yield* server.kill
      }),
      undefined
    ))
})

describe("a line with a rate, after a partition", () => {
  it("is free for others until TCP tries again, and keeps the order of each", () =>
    succeeds(
      Effect.gen(function*() {
        const { cut, host, link } = yield* World.World
        const said: Array<string> = []
        const server = yield* host("server", {
          boot: Effect.gen(function*() {
            const { serve } = yield* (yield* Network.Network).listen("tcp://0.0.0.0:80")
            return yield* serve((transport) =>
              Connection.forEach(transport, (bytes) =>
                Effect.map(Clock.currentTimeMillis, (now) => {
                  said.push(`${Math.floor((now - Date.UTC(2000, 0, 1)) / 1000)}: ${bytes.join(" ")}`)
                }))
            )
          })
        })
        const client = yield* host("client")
        yield* link(client, server, { bytesPerSecond: 1_000_000 })
        yield* Effect.sleep("1 second")
        const connect = Effect.flatMap(Network.Network, ({ connect }) => connect("tcp://server:80"))
        yield* client.run(Effect.gen(function*() {
          const first = yield* connect
          // Sent at 1 s, and tried at 1.2, 1.6, 2.4, 4, 7.2 and 13.6 s.
          yield* Effect.scoped(Effect.gen(function*() {
            yield* cut(client, server)
            yield* first.write(Uint8Array.of(1))
            yield* Effect.sleep("7 seconds")
          }))
          yield* first.write(Uint8Array.of(2))
          const second = yield* connect
          yield* second.write(Uint8Array.of(3))
          yield* Effect.sleep("10 seconds")
        }))
        return said
      }),
      ["8: 3", "13: 1", "13: 2"]
    ))
})

describe("a host's clock", () => {
  it("is refused what no clock does", () => {
    for (const ppm of [NaN, Infinity, -1e6, -2e6]) {
      const world = Effect.gen(function*() {
        const server = yield* (yield* World.World).host("server")
        yield* server.driftClock(ppm)
        yield* server.run(Effect.sleep("1 second"))
      })
      assert.deepStrictEqual(
        Sim.run(world, { seed: 1 }).exit,
        Exit.fail(new SimError.InvalidWorld({ field: "ppm", expected: "a number above -1000000", actual: ppm }))
      )
    }
    const jumps = Effect.flatMap(World.World, ({ main }) => main.jumpClock("Infinity"))
    assert.deepStrictEqual(
      Sim.run(jumps, { seed: 1 }).exit,
      Exit.fail(new SimError.InvalidWorld({ field: "by", expected: "a finite duration", actual: "Infinity" }))
    )
  })
})

describe("the host of the world's own effect", () => {
  it("is ended and paused by nobody", () => {
    const world = Effect.flatMap(World.World, ({ main }) =>
      Effect.forEach(
        [main.stop, main.kill, main.powerOff, main.pause, main.restart],
        (act) => Effect.map(Effect.exit(act), (exit) => String(exit))
      ))
    const { exit } = Sim.run(world, { seed: 1 })
    assert.isTrue(Exit.isSuccess(exit), String(exit))
    for (const refused of Exit.isSuccess(exit) ? exit.value : []) {
      assert.match(refused, /host must be another than the world's own, and is "main"/)
    }
  })
})

describe("a host of another world", () => {
  it("is refused by its name", () => {
    let stranger: World.Host | undefined
    Sim.run(
      Effect.flatMap(World.World, ({ host }) => Effect.map(host("far"), (host) => void (stranger = host))),
      { seed: 1 }
    )
    const linking = Effect.gen(function*() {
      const { host, link } = yield* World.World
      yield* link(yield* host("near"), stranger!, {})
    })
    assert.match(String(Sim.run(linking, { seed: 1 }).exit), /Fail\(.*host must be a host of this world, and is "far"/)
    const cutting = Effect.scoped(Effect.flatMap(World.World, ({ cut, main }) => cut(main, stranger!)))
    assert.match(String(Sim.run(cutting, { seed: 1 }).exit), /host must be a host of this world, and is "far"/)
  })
})

describe("a port that a listener was given", () => {
  it("is free when it listens no more, also where its host was killed or the listening failed", () => {
    const listen = Effect.flatMap(Network.Network, ({ listen }) => listen("tcp://0.0.0.0:0"))
    const portOf = Effect.map(listen, ({ endpoint }) => endpoint._tag === "tcp" ? endpoint.port : 0)
    const world = Effect.gen(function*() {
      const { host } = yield* World.World
      const server = yield* host("server")
      const first = yield* server.run(Effect.exit(portOf))
      yield* server.fork(Effect.andThen(listen, Effect.never))
      yield* Effect.sleep(1)
      yield* server.kill
      yield* server.restart
      // Every port there is, each of them once, and no more than those.
      const all = Effect.forEach(Array.from({ length: 28_232 }), () => portOf)
      const [ports, more] = yield* server.run(Effect.all([all, Effect.flip(listen)]))
      return [Exit.isFailure(first), new Set(ports).size, more.reason._tag] as const
    })
    const faults = [Fault.addressInUse({ host: "server", listen: 0 })]
    assert.deepStrictEqual(Sim.run(world, { seed: 1, faults, trace: "off" }).exit, Exit.succeed([true, 28_232, "Busy"]))
  })
})
