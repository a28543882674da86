/**
 * Worlds by name, for the digests of `npm run sim:digest` and for the tests of determinism.
 */
import { Array as Arr, Duration, Effect, Hash, HashMap, Queue, Random, Ref, Schedule } from "effect"
import { Connection, Lines, Network, Protocol } from "effect-transport"
import { Link, World } from "effect-transport/sim"

const server = Effect.gen(function*() {
  const { listen } = yield* Network.Network
  const listener = yield* listen("tcp://0.0.0.0:7000")
  return yield* listener.serve((transport) =>
    Effect.gen(function*() {
      const lines = yield* Protocol.attach(Lines.protocol(), transport)
      yield* Connection.forEach(lines, (batch) => lines.writeAll(batch.map((line) => line.toUpperCase())))
    })
  )
})

/** Asks the server some things, and begins again where the connection is lost. */
const client = Effect.fn("client")(function*(name: string, questions: number) {
  const { connect } = yield* Network.Network
  const answered = yield* Ref.make(0)
  const talk = Effect.scoped(Effect.gen(function*() {
    const lines = yield* Protocol.attach(Lines.protocol(), yield* connect("tcp://server:7000"))
    while ((yield* Ref.get(answered)) < questions) {
      const words = yield* Random.nextIntBetween(1, 200)
      yield* lines.write(`${name} ${"word ".repeat(words)}${Date.now()}`)
      yield* Connection.take(lines).pipe(Effect.timeout("2 seconds"))
      yield* Ref.update(answered, (count) => count + 1)
    }
  }))
  yield* Effect.retry(talk, Schedule.max([Schedule.spaced("100 millis"), Schedule.recurs(40)]))
  yield* Effect.log(`${name} is done`)
})

/** What becomes of the server, again and again. */
const trouble = (server: World.Host) =>
  Effect.gen(function*() {
    yield* Effect.sleep(Duration.millis(yield* Random.nextIntBetween(5, 120)))
    const kind = yield* Random.nextIntBetween(0, 4)
    if (kind === 0) yield* server.kill
    else if (kind === 1) yield* server.powerOff
    else if (kind === 2) yield* server.stop
    else yield* Effect.andThen(server.pause, Effect.andThen(Effect.sleep("150 millis"), server.resume))
    yield* Effect.sleep("50 millis")
    if (kind !== 3) yield* server.restart
  })

/** Clients, a server, links with latency and rate, and a server that ends in all ways. */
const network = Effect.gen(function*() {
  const { host, link, mark } = yield* World.World
  const machine = yield* host("server", { boot: server })
  const links: ReadonlyArray<Link.Options> = [
    { latency: { uniform: ["1 millis", "9 millis"] }, bytesPerSecond: 200_000, segmentBytes: 700 },
    { latency: { exponential: { mean: "5 millis" } }, receiveBufferBytes: 2048 },
    { latency: { longTail: { usual: ["1 millis", "2 millis"], worst: "300 millis", chance: 0.05 } } }
  ]
  const clients = yield* Effect.forEach(["a", "b", "c"], (name, i) =>
    Effect.gen(function*() {
      const one = yield* host(name)
      yield* link(one, machine, links[i]!)
      yield* one.driftClock(i * 100)
      return one
    }))
  const troubles = yield* Effect.forkChild(Effect.forEach(Arr.range(1, 4), () => trouble(machine), { discard: true }))
  const exits = yield* Effect.forEach(clients, (one) => Effect.exit(one.run(client(one.name, 5))), {
    concurrency: "unbounded"
  })
  yield* mark("clients are done")
  yield* Effect.exit(Effect.timeout(
    Effect.callback<void>((resume) => {
      troubles.addObserver(() => resume(Effect.void))
    }),
    "1 minute"
  ))
  return exits.map(({ _tag }) => _tag)
})

/** Fibers that compete for everything that fibers can compete for. */
const race = Effect.gen(function*() {
  const log: Array<string> = []
  const queue = yield* Queue.bounded<number>(2)
  const count = yield* Ref.make(0)
  const compete = (name: number) =>
    Effect.gen(function*() {
      for (let round = 0; round < 3; round++) {
        const seen = yield* Ref.get(count)
        yield* Effect.yieldNow
        yield* Ref.set(count, seen + 1)
        yield* Queue.offer(queue, name * 10 + round)
        yield* Effect.sleep("1 millis")
        log.push(`${name}.${round}`)
      }
    })
  const taker = Effect.forEach(Arr.range(1, 12), () => Effect.map(Queue.take(queue), (value) => log.push(`${value}`)))
  yield* Effect.all([...Arr.range(1, 4).map(compete), taker], { concurrency: "unbounded" })
  yield* Effect.log(log.join(" "), yield* Ref.get(count))
})

/** Hashed when this is loaded, and by their identity: what no world has in its hands. */
const keys = Array.from({ length: 20 }, (_, i) => () => i)
for (const key of keys) Hash.hash(key)

/** Planted: it is alike in one process, and another one in each other process. */
const planted = Effect.suspend(() =>
  Effect.log(Array.from(HashMap.values(HashMap.fromIterable(keys.map((key, i) => [key, i] as const)))).join(" "))
)

export type Name = "network" | "race" | "planted"

export const worlds: Readonly<Record<Name, Parameters<typeof import("effect-transport/sim").Sim.run>[0]>> = {
  network,
  race,
  planted
}
