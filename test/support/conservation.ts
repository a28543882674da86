/**
 * Bytes are conserved, whatever goes wrong: a world with drawn faults, and the check of what its programs saw.
 *
 * TCP, TLS, Unix sockets and named pipes are held to it. A serial line promises less, and has a rule of its own: see
 * `wrongOfCable`.
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

const sendSome = (transport: Transport.Transport, way: Way, bytesMax: number) =>
  Effect.gen(function*() {
    const writes = yield* Random.nextIntBetween(1, 5)
    for (let i = 0; i < writes; i++) {
      const length = yield* Random.nextIntBetween(1, (yield* Random.nextBoolean) ? 64 : bytesMax)
      const at = way.written
      way.written += length
      yield* transport.write(Uint8Array.from({ length }, (_, i) => byteAt(way.key, at + i)))
      if (yield* Random.nextBoolean) yield* Effect.sleep(yield* Random.nextIntBetween(1, 2000))
    }
  })

const send = (transport: Stream, way: Way) =>
  Effect.gen(function*() {
    yield* sendSome(transport, way, 8000)
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

const socket = { host: "b", path: "/run/app" }
const fifo = { host: "b", path: "/run/pipe" }
const devices = [{ host: "a", path: "/dev/a" }, { host: "b", path: "/dev/b" }] as const

/** What arrives at one end of a cable, as it is. */
interface Line {
  readonly way: Way
  readonly got: Array<number>
}

/**
 * Two clients with two connections each, over TCP, one over TLS and one over a Unix socket; a named pipe on one of them, and
 * a cable between both. What comes first on a connection tells the server which it is.
 */
const world = Effect.gen(function*() {
  const { cable, fifo: makeFifo, host } = yield* World.World
  const ways: Array<{ readonly name: string; readonly way: Way }> = []
  const lines: Array<Line> = []
  const forth = new Map<number, Way>()
  const back = new Map<number, Way>()
  const serve = (endpoint: string) =>
    Effect.gen(function*() {
      const listener = yield* (yield* network).listen(endpoint)
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
  yield* host("server", {
    boot: Effect.all([serve("tcp://0.0.0.0:7000"), serve("tls://0.0.0.0:7001")], { concurrency: 2 })
  })
  yield* host("idle")
  const opened = yield* Ref.make(0)
  const connection = (key: number, endpoint = "tcp://server:7000") =>
    Effect.gen(function*() {
      const number = yield* Ref.getAndUpdate(opened, (n) => n + 1)
      const transport = (yield* (yield* network).connect(endpoint)) as Stream
      const [out, input] = [wayOf(key), wayOf(key + 100)]
      forth.set(key, out)
      back.set(key, input)
      const name = `${endpoint}, opened as number ${number}`
      ways.push({ name: `${name}, c>s`, way: out }, { name: `${name}, s>c`, way: input })
      yield* transport.write(Uint8Array.of(key))
      yield* talk(transport, out, input)
    }).pipe(Effect.scoped, Effect.ignore)
  const pipe = wayOf(50)
  ways.push({ name: "the named pipe", way: pipe })
  const reading = Effect.flatMap(
    Effect.flatMap(network, ({ connect }) => connect(`fifo:?read=${fifo.path}`)),
    (transport) => receive(transport as Stream, pipe)
  ).pipe(Effect.scoped, Effect.ignore)
  const writing = Effect.flatMap(
    Effect.flatMap(network, ({ connect }) => connect(`fifo:?write=${fifo.path}`)),
    (transport) =>
      Effect.gen(function*() {
        yield* sendSome(transport, pipe, 8000)
        yield* Effect.sleep("4 seconds")
        yield* send(transport as Stream, pipe)
      })
  ).pipe(Effect.scoped, Effect.ignore)
  const device = (path: string, out: Way, input: Line) =>
    Effect.gen(function*() {
      const transport = yield* (yield* network).connect(`serial://${path}?baudRate=115200`)
      const sending = Effect.andThen(Effect.sleep(100), sendSome(transport, out, 200))
      yield* Effect.all([
        Effect.ignore(sending),
        Effect.ignore(Connection.forEach(transport, (chunks) =>
          Effect.sync(() =>
            void input.got.push(...chunks.flatMap((chunk) => Array.from(chunk)))
          )))
      ], { concurrency: 2 })
    }).pipe(Effect.scoped, Effect.ignore)
  const machines: Array<World.Host> = []
  for (const [i, name] of clients.entries()) {
    const client = yield* host(name)
    machines.push(client)
    yield* client.fork(Effect.gen(function*() {
      yield* Effect.sleep(5)
      yield* connection(2 * i + 1)
      yield* Effect.sleep(yield* Random.nextIntBetween(1, 3000))
      yield* connection(2 * i + 2)
    }))
  }
  const [a, b] = machines as [World.Host, World.Host]
  yield* makeFifo(b, fifo.path)
  yield* cable(a, devices[0].path, b, devices[1].path)
  const [there, hither] = [wayOf(60), wayOf(61)].map((way): Line => ({ way, got: [] })) as [Line, Line]
  lines.push(there, hither)
  yield* a.fork(device(devices[0].path, there.way, hither))
  yield* b.fork(device(devices[1].path, hither.way, there))
  yield* b.fork(serve(`unix://${socket.path}`))
  yield* b.fork(reading)
  yield* b.fork(writing)
  yield* a.fork(Effect.andThen(Effect.sleep(10), connection(11, "tls://server:7001")))
  yield* b.fork(Effect.andThen(Effect.sleep(10), connection(12, `unix://${socket.path}`)))
  // Longer than TCP tries.
  yield* Effect.sleep("50 minutes")
  return { ways: ways.slice(), lines }
})

/** What the faults of this check are drawn from: the world works for about ten seconds. */
const planOf = Fault.plan({
  hosts: ["server", ...clients, "idle"],
  tlsHosts: ["server", "a"],
  sockets: [socket],
  fifos: [fifo],
  devices,
  connections: 6,
  bytes: 20_000,
  duration: "8 seconds"
})

/** What can end a direction without a word to its reader, or to its writer. */
const silencing = new Set<Fault.Kind>([
  "blackhole",
  "cut",
  "fifoReaderGone",
  "fifoWriterGone",
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
  "stop",
  "tlsAlert",
  "tlsMissingCloseNotify"
])

/** What changes bytes of a serial line, or adds some. */
const garbling = new Set<Fault.Kind>(["serialBreak", "serialGarbage", "serialGarble"])

/** What a serial line bears without losing a byte. */
const bearable = new Set<Fault.Kind>([
  ...Object.values(Fault.families.connect),
  ...Object.values(Fault.families.flow),
  ...Object.values(Fault.families.end),
  ...Object.values(Fault.families.tls),
  ...Object.values(Fault.families.net),
  "serialStall",
  "unixStalePath",
  "fifoReaderGone",
  "fifoWriterGone"
])

/**
 * A serial line may lose bytes, and has no end: what is read is some of what was sent, in order; where bytes are garbled, no
 * more than that and a NUL for each break; and where nothing has happened to it or to its hosts, all.
 */
const wrongOfCable = ({ got, way }: Line, fired: Fault.Plan): string | undefined => {
  const breaks = fired.filter(({ _tag }) => _tag === "serialBreak").length
  if (got.length > way.written + breaks) return `${got.length} bytes were read of ${way.written}`
  if (fired.some(({ _tag }) => garbling.has(_tag))) return undefined
  let at = 0
  for (const byte of got) {
    while (at < way.written && byteAt(way.key, at) !== byte) at++
    if (at++ === way.written) return "what was read is not what was sent"
  }
  const isSpared = fired.every(({ _tag }) => bearable.has(_tag))
  return isSpared && got.length < way.written ? `${got.length} bytes were read of ${way.written}` : undefined
}

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
  if (fired.length === 0) {
    const { lines, ways } = exit.value
    const idle = ways.filter(({ way }) => !way.isEnded || !way.sawEnd)
    if (ways.length !== 13 || idle.length > 0 || lines.some(({ got }) => got.length === 0)) {
      return told("nothing went wrong, and not all have spoken")
    }
  }
  for (const [i, line] of exit.value.lines.entries()) {
    const wrong = wrongOfCable(line, fired)
    if (wrong !== undefined) return told(`from ${devices[i]!.path}: ${wrong}`)
  }
  for (const { name, way } of exit.value.ways) {
    const where = `${name}: `
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
