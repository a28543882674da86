/**
 * Bytes are conserved, whatever goes wrong: a world with drawn faults, and the check of what its programs saw.
 */
import { Cause, Effect, Exit, Random, Ref } from "effect"
import { Connection, Network, type Transport } from "effect-transport"
import { Fault, Sim, World } from "effect-transport/sim"

/** The byte at a place of a direction, unlike those of others. */
const byteAt = (key: number, at: number): number => (key * 37 + at * 7 + (at >> 8)) & 255

/** What the programs of one direction saw, and did. */
interface Way {
  readonly key: number
  /** Of writes that were begun: those that failed may have sent some. */
  written: number
  read: number
  /** The sender's end was taken by its system. */
  isEnded: boolean
  sawEnd: boolean
  wrong: string | undefined
}

const wayOf = (key: number): Way => ({
  key,
  written: 0,
  read: 0,
  isEnded: false,
  sawEnd: false,
  wrong: undefined
})

type Stream = Transport.HalfCloseableTransport

const send = (transport: Stream, way: Way) =>
  Effect.gen(function*() {
    const writes = yield* Random.nextIntBetween(1, 5)
    for (let i = 0; i < writes; i++) {
      const length = yield* Random.nextIntBetween(1, (yield* Random.nextBoolean) ? 64 : 8000)
      const at = way.written
      way.written += length
      yield* transport.write(Uint8Array.from({ length }, (_, i) => byteAt(way.key, at + i)))
      if (yield* Random.nextBoolean) yield* Effect.sleep(yield* Random.nextIntBetween(1, 2000))
    }
    yield* transport.halfClose
    way.isEnded = true
  })

const got = (way: Way, chunk: Uint8Array) => {
  for (let i = 0; i < chunk.length; i++) {
    if (chunk[i] !== byteAt(way.key, way.read + i)) way.wrong ??= `byte ${way.read + i} is another`
  }
  way.read += chunk.length
}

const receive = (transport: Stream, way: Way) =>
  Effect.gen(function*() {
    while (true) {
      const exit = yield* Effect.exit(Connection.take(transport))
      if (Exit.isFailure(exit)) {
        way.sawEnd = Cause.hasFails(exit.cause) && Cause.isDone(Cause.squash(exit.cause))
        return
      }
      got(way, exit.value)
    }
  })

/** Both directions at once, to their ends. */
const talk = (transport: Stream, out: Way, input: Way) =>
  Effect.all([Effect.ignore(send(transport, out)), receive(transport, input)], { concurrency: "unbounded" })

const network = Network.Network as unknown as Effect.Effect<Network.Network["Service"], never, Network.Network>

const clients = ["a", "b"]

/** Two clients with two connections each. What comes first on one tells the server which it is. */
const world = Effect.gen(function*() {
  const { host } = yield* World.World
  const ways: Array<{ readonly name: string; readonly connection: number; readonly way: Way }> = []
  const forth = new Map<number, Way>()
  const back = new Map<number, Way>()
  yield* host("server", {
    boot: Effect.gen(function*() {
      const listener = yield* (yield* network).listen("tcp://0.0.0.0:7000")
      return yield* listener.serve((transport) =>
        Effect.gen(function*() {
          const first = yield* Connection.take(transport)
          const key = first[0]!
          const input = forth.get(key)!
          got(input, first.subarray(1))
          yield* talk(transport as Stream, back.get(key)!, input)
        })
      )
    }).pipe(Effect.ignore)
  })
  yield* host("idle")
  const opened = yield* Ref.make(0)
  const connection = (key: number) =>
    Effect.gen(function*() {
      const number = yield* Ref.getAndUpdate(opened, (n) => n + 1)
      const transport = (yield* (yield* network).connect("tcp://server:7000")) as Stream
      const [out, input] = [wayOf(key), wayOf(key + 100)]
      forth.set(key, out)
      back.set(key, input)
      ways.push({ name: "c>s", connection: number, way: out }, { name: "s>c", connection: number, way: input })
      yield* transport.write(Uint8Array.of(key))
      yield* talk(transport, out, input)
    }).pipe(Effect.scoped, Effect.ignore)
  for (const [i, name] of clients.entries()) {
    const client = yield* host(name)
    yield* client.fork(Effect.gen(function*() {
      yield* Effect.sleep(5)
      yield* connection(2 * i + 1)
      yield* Effect.sleep(yield* Random.nextIntBetween(1, 3000))
      yield* connection(2 * i + 2)
    }))
  }
  // Longer than TCP tries.
  yield* Effect.sleep("50 minutes")
  return ways.slice()
})

/** What the faults of this check are drawn from: the world works for about ten seconds. */
const planOf = Fault.plan({
  hosts: ["server", ...clients, "idle"],
  connections: 4,
  bytes: 20_000,
  duration: "8 seconds"
})

/** What can end a direction without a word to its reader, or to its writer. */
const silencing = new Set<Fault.Kind>([
  "blackhole",
  "cut",
  "finLost",
  "idleDrop",
  "keepaliveExpiry",
  "kill",
  "lateWriteError",
  "partition",
  "powerOff",
  "reset",
  "resetAfterAccept",
  "resetMidWrite",
  "restart",
  "stop"
])

/** A run with faults, and what is wrong with it; nothing where all that was read is a prefix of what was written. */
export const conserving = (
  seed: number
): { readonly wrong: string | undefined; readonly faults: ReadonlyArray<Fault.Outcome>; readonly digest: string } => {
  const { digest, exit, faults } = Sim.run(world, { seed, faults: planOf(seed), trace: "digest" })
  const told = (wrong: string | undefined) => ({
    wrong: wrong === undefined ? undefined : `seed ${seed}: ${wrong}`,
    faults,
    digest
  })
  if (Exit.isFailure(exit)) return told(String(Cause.squash(exit.cause)))
  const fired = faults.filter(({ firedNs }) => firedNs !== undefined).map(({ fault }) => fault)
  const isSilenced = fired.some(({ _tag }) => silencing.has(_tag))
  for (const { connection, name, way } of exit.value) {
    const where = `connection ${connection} ${name}: `
    if (way.wrong !== undefined) return told(where + way.wrong)
    if (way.read > way.written) return told(`${where}${way.read} bytes were read of ${way.written}`)
    // An end in order says that all is there, but for who cut it.
    const isCut = fired.some((fault) => fault._tag === "cut" && fault.end === "fin")
    if (way.sawEnd && way.isEnded && way.read < way.written && !isCut) {
      return told(`${where}the end came after ${way.read} of ${way.written} bytes`)
    }
    if (way.isEnded && !way.sawEnd && !isSilenced) {
      return told(`${where}the end never came, after ${way.read} of ${way.written} bytes`)
    }
  }
  return told(undefined)
}

/** What is wrong with this seed, if anything. */
export const conservationHolds = (seed: number): string | undefined => conserving(seed).wrong
