import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber } from "effect"
import { Sim, SimError, World } from "effect-transport/sim"
import { both, bytes, connect, listen, readAll, seeds, seen } from "../support/simWorld.ts"

const path = "unix:///run/app.sock"

/** Somebody who listens, and says hello to whoever comes. */
const greeter = (endpoint: string) =>
  Effect.flatMap(
    listen(endpoint),
    ({ serve }) => serve((transport) => Effect.andThen(transport.write(bytes("hello")), transport.close))
  )

const visit = (endpoint: string) =>
  seen(Effect.scoped(Effect.flatMap(connect(endpoint), (transport) => Effect.map(readAll(transport), String))))

describe("unix", () => {
  it("is a path of its host, and of no other", () => {
    seeds(
      Effect.gen(function*() {
        const { host } = yield* World.World
        const [one, other] = [yield* host("one", { boot: greeter(path) }), yield* host("other")]
        yield* Effect.sleep(10)
        return yield* both(one.run(visit(path)), other.run(visit(path)))
      }),
      ["hello,end", "NotFound"] as [string, string]
    )
  })

  it("a path and an abstract name of the same letters are two", () => {
    seeds(
      Effect.gen(function*() {
        const { host } = yield* World.World
        const machine = yield* host("machine", { boot: greeter("unix:@app") })
        yield* Effect.sleep(10)
        return yield* machine.run(both(visit("unix:@app"), visit("unix:app")))
      }),
      ["hello,end", "NotFound"] as [string, string]
    )
  })

  it("listening where somebody does is Busy, and free when that one is closed", () => {
    seeds(
      Effect.gen(function*() {
        const { host } = yield* World.World
        return yield* (yield* host("machine")).run(Effect.gen(function*() {
          const taken = yield* Effect.scoped(Effect.andThen(listen(path), seen(listen(path))))
          const gone = yield* visit(path)
          yield* listen(path)
          return [taken, gone]
        }))
      }),
      ["Busy", "NotFound"]
    )
  })

  it("an abort is an end to the peer, or a reset where input was unread", () => {
    seeds(
      Effect.gen(function*() {
        const { accept } = yield* listen(path)
        const ends = yield* Effect.forEach(["", "unread"], (unread) =>
          Effect.gen(function*() {
            const [client, server] = yield* both(connect(path, { readMark: 0 }), accept)
            yield* server.write(bytes(unread))
            yield* Effect.sleep(10)
            yield* client.abort
            return yield* readAll(server)
          }))
        return ends
      }),
      [["", "end"], ["", "Reset"]] as Array<ReadonlyArray<string>>
    )
  })

  it("takes as long as the way of the host to itself", () => {
    seeds(
      Effect.gen(function*() {
        const { host, link } = yield* World.World
        const machine = yield* host("machine", { boot: greeter(path) })
        yield* link(machine, machine, { latency: "3 millis" })
        yield* Effect.sleep(10)
        return yield* machine.run(Effect.gen(function*() {
          const before = yield* Clock.currentTimeMillis
          yield* visit(path)
          // There and back to connect, there again until it is accepted, and back with the greeting and the end.
          return (yield* Clock.currentTimeMillis) - before
        }))
      }),
      12,
      3
    )
  })
})

describe("faults of paths", () => {
  it("unix-stale-path: a listener that was killed leaves its file, which is Refused until somebody takes it over", () => {
    for (const end of ["kill", "powerOff"] as const) {
      seeds(
        Effect.gen(function*() {
          const { host } = yield* World.World
          const machine = yield* host("machine")
          yield* machine.fork(both(greeter(path), greeter("unix:@app")))
          yield* Effect.sleep(10)
          yield* machine[end]
          yield* machine.restart
          const [stale, abstract] = yield* machine.run(both(visit(path), visit("unix:@app")))
          yield* machine.fork(greeter(path))
          yield* Effect.sleep(10)
          return [stale, abstract, yield* machine.run(visit(path))]
        }),
        ["Refused", "Refused", "hello,end"]
      )
    }
  })

  it("unix-stale-path: made by hand it is the same, and only where nobody listens", () => {
    seeds(
      Effect.gen(function*() {
        const { host, leaveSocket } = yield* World.World
        const machine = yield* host("machine")
        yield* leaveSocket(machine, "/run/app.sock")
        const stale = yield* machine.run(visit(path))
        yield* machine.fork(greeter(path))
        yield* Effect.sleep(10)
        return [stale, yield* machine.run(visit(path))]
      }),
      ["Refused", "hello,end"]
    )
    const { exit } = Sim.run(
      Effect.gen(function*() {
        const { leaveSocket, main } = yield* World.World
        yield* listen(path)
        yield* leaveSocket(main, "/run/app.sock")
      }),
      { seed: 1 }
    )
    const wrong = { field: "path", expected: "a path that nobody listens on", actual: "/run/app.sock" }
    assert.deepStrictEqual(exit as Exit.Exit<unknown, unknown>, Exit.fail(new SimError.InvalidWorld(wrong)))
  })

  it("path-permission-denied: neither connecting nor listening, until it is over; what is open stays", () => {
    seeds(
      Effect.gen(function*() {
        const { deny, main } = yield* World.World
        const { accept } = yield* listen(path)
        const [client, server] = yield* both(connect(path), accept)
        const denied = yield* Effect.scoped(Effect.andThen(
          deny(main, "/run/app.sock"),
          both(visit(path), seen(listen(path)))
        ))
        yield* Effect.andThen(server.write(bytes("open")), server.close)
        const again = yield* Effect.forkChild(visit(path))
        const next = yield* accept
        yield* next.close
        return [...denied, String(yield* readAll(client)), yield* Fiber.join(again)]
      }),
      ["PermissionDenied", "PermissionDenied", "open,end", ",end"]
    )
  })
})
