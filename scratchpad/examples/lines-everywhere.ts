/**
 * One line protocol over every transport there is.
 *
 * `converse` is the whole program, client and server, and it is the same function for every row of the table: it does
 * not know what the connection is made of. The client sends a file of lines; half-way the server acknowledges with a
 * checksum and half-closes, and the rest still arrives; at the end, when the server has verified the whole, the client
 * aborts. Every cell of the table is what one end saw of the other.
 */
import { SingleBar } from "cli-progress"
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Pull, type Scope } from "effect"
import {
  type Connection,
  EffectSocket,
  Endpoint,
  Lines,
  Network,
  Protocol,
  Serial,
  TestSerial,
  TestTransport,
  Transport,
  WebStreams
} from "effect-transport"
import { NodeDuplex, NodeTransport } from "effect-transport/node"
import { execFileSync, spawnSync } from "node:child_process"
import { createHash, randomUUID } from "node:crypto"
import { constants, mkdtempSync, openSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { ptyPair } from "../../test/support/ptys.ts"

const lineBytes = 128
const batchLines = 1024
const batches = 512
const fileBytes = lineBytes * batchLines * batches // 64 MiB

/** Lines that differ, made fast: a counter in front of filler. */
const batchOf = (batch: number): ReadonlyArray<string> =>
  Array.from(
    { length: batchLines },
    (_, i) => String(batch * batchLines + i).padStart(lineBytes - 1, "the quick brown fox ")
  )

class Checksum {
  readonly #hash = createHash("sha256")
  lines = 0
  bytes = 0
  add(lines: ReadonlyArray<string>): void {
    if (lines.length === 0) return
    const text = lines.join("\n") + "\n"
    this.#hash.update(text)
    this.lines += lines.length
    this.bytes += text.length
  }
  get hex(): string {
    return this.#hash.copy().digest("hex")
  }
}

type LineConnection =
  | Connection.Connection<string, string, unknown>
  | Connection.HalfCloseable<Connection.Connection<string, string, unknown>>

/** What one end of the conversation saw of the other. */
interface Seen {
  readonly bytes: number
  readonly lines: number
  readonly verified: boolean
  readonly halfClose: string
  readonly abort: string
}

const converse = (
  client: Transport.Transport,
  server: Transport.Transport,
  progress: (bytes: number) => void
) =>
  Effect.scoped(Effect.gen(function*() {
    const allVerified = yield* Deferred.make<void>()
    const serving = yield* Effect.forkChild(
      serve(
        yield* Protocol.attach(Lines.protocol(), server),
        Deferred.succeed(allVerified, undefined),
        progress,
        Transport.isHalfCloseable(server)
      )
    )
    const halfClose = yield* send(
      yield* Protocol.attach(Lines.protocol(), client),
      Effect.raceFirst(Deferred.await(allVerified), Fiber.join(serving)),
      Transport.isHalfCloseable(client)
    )
    yield* client.abort
    const seen = yield* Fiber.join(serving)
    return { ...seen, halfClose } satisfies Seen
  }))

/** Sends the file, and says what it saw of the server's half-close. */
const send = Effect.fnUntraced(function*(
  lines: LineConnection,
  allVerified: Effect.Effect<unknown, unknown>,
  seesEnds: boolean
) {
  const sent = new Checksum()
  const sendBatches = Effect.fnUntraced(function*(from: number, to: number) {
    for (let batch = from; batch < to; batch++) {
      const some = batchOf(batch)
      sent.add(some)
      yield* lines.writeAll(some)
    }
    yield* lines.write(`checksum ${sent.hex}`)
  })
  yield* sendBatches(0, batches / 2)
  const reader = yield* lines.reader
  const [answer] = yield* reader.pull
  const halfClose = answer === `verified ${sent.hex}` ? yield* endOf(reader.pull, seesEnds) : `the answer ${answer}`
  yield* sendBatches(batches / 2, batches)
  yield* allVerified
  return halfClose
}, Effect.scoped)

/** Receives and verifies the file, half-closing in the middle, and says what it saw of the client's abort. */
const serve = Effect.fnUntraced(
  function*(
    lines: LineConnection,
    whenVerified: Effect.Effect<unknown>,
    progress: (bytes: number) => void,
    seesEnds: boolean
  ) {
    const received = new Checksum()
    const reader = yield* lines.reader
    let verified = true
    const receive = Effect.gen(function*() {
      while (true) {
        const batch = yield* reader.pull
        const last = batch.findIndex((line) => line.startsWith("checksum "))
        received.add(last < 0 ? batch : batch.slice(0, last))
        progress(received.bytes)
        if (last < 0) continue
        verified &&= batch[last] === `checksum ${received.hex}`
        return yield* reader.unread(batch.slice(last + 1))
      }
    })
    yield* receive
    yield* lines.write(verified ? `verified ${received.hex}` : "wrong")
    if ("halfClose" in lines) yield* lines.halfClose
    yield* receive
    yield* whenVerified
    const abort = yield* endOf(reader.pull, seesEnds)
    return { bytes: received.bytes, lines: received.lines, verified, abort }
  },
  Effect.scoped
)

/** What the next read finds, in one word. A serial line shows no end: its reader would wait for ever. */
const endOf = (pull: Pull.Pull<unknown, unknown>, seesEnds: boolean): Effect.Effect<string> =>
  !seesEnds ? Effect.succeed("none") : Effect.map(Effect.exit(pull), (exit) => {
    if (Exit.isSuccess(exit)) return "more lines"
    const error = Cause.squash(exit.cause)
    if (Cause.isDone(error)) return "end"
    return (error as { readonly reason?: { readonly _tag: string } }).reason?._tag.toLowerCase() ?? String(error)
  })

// ---------------------------------------------------------------------------------------------------------------------
// The transports
// ---------------------------------------------------------------------------------------------------------------------

/** Both ends of a connection over whatever network is provided. */
const overNetwork = (endpoint: string) =>
  Effect.gen(function*() {
    const network = yield* Network.Network
    const listener = yield* network.listen(endpoint)
    const ends = yield* Effect.all([network.connect(listener.endpoint), listener.accept], { concurrency: 2 })
    return ends as unknown as readonly [Transport.HalfCloseableTransport, Transport.HalfCloseableTransport]
  })

type Ends = readonly [Transport.HalfCloseableTransport, Transport.HalfCloseableTransport]

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-transport-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

/** Two named pipes, one for each direction. Once they are open nobody needs the names. */
const pipes = Effect.map(folder, (folder) => {
  const [there, back] = [join(folder, "there"), join(folder, "back")] as const
  execFileSync("sh", ["-c", `mkfifo "$@"`, "sh", there, back])
  return [there, back] as const
})

/** Both ends of two named pipes, crosswise. */
const overPipes = Effect.gen(function*() {
  const [there, back] = yield* pipes
  const { connect } = yield* Network.Network
  const ends = yield* Effect.all([
    connect({ _tag: "fifo", read: back, write: there }),
    connect({ _tag: "fifo", read: there, write: back })
  ], { concurrency: 2 })
  return ends as Ends
})

/** Both ends of two pipes that are open already, as programs hand them to each other. */
const overDescriptors = Effect.gen(function*() {
  const { O_NONBLOCK, O_RDONLY, O_WRONLY } = constants
  const [there, back] = (yield* pipes).map((path) => ({
    read: openSync(path, O_NONBLOCK | O_RDONLY),
    write: openSync(path, O_WRONLY)
  })) as [Pipe, Pipe]
  const { connect } = yield* Network.Network
  return [
    yield* connect({ _tag: "fd", read: back.read, write: there.write }),
    yield* connect({ _tag: "fd", read: there.read, write: back.write })
  ] as Ends
})

interface Pipe {
  readonly read: number
  readonly write: number
}

/** The tool as a program that we talk to, and at its other end we ourselves again. */
const overProgram = Effect.gen(function*() {
  const { connect, listen } = yield* Network.Network
  const listener = yield* listen(`unix://${join(yield* folder, "socket")}`)
  const tool = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url))
  const relay = ["relay", "--drain", "0", "stdio:", Endpoint.format(listener.endpoint)]
  // Nothing but the table is to be seen.
  const args = ["-c", `exec "$0" "$@" 2>/dev/null`, process.execPath, "-C", "effect-transport-source", tool, ...relay]
  const ends = yield* Effect.all(
    [connect({ _tag: "exec", command: "sh", args }), listener.accept],
    { concurrency: 2 }
  )
  return ends as unknown as Ends
})

/** Both ends of a connection in memory, each made something else of and back again. */
const through = <E>(bridge: (end: Transport.HalfCloseableTransport) => Effect.Effect<Ends[0], E, Scope.Scope>) =>
  Effect.flatMap(TestTransport.pair(), ([a, b]) => Effect.all([bridge(a), bridge(b)])) as Effect.Effect<
    Ends,
    E,
    Scope.Scope
  >

const isSocatFound = spawnSync("socat", ["-V"]).status === 0

/** Both ends of a serial line. */
const overSerial = Effect.fnUntraced(function*(a: string, b: string) {
  const { connect } = yield* Network.Network
  const open = (path: string) => connect({ _tag: "serial", path, baudRate: 115_200 })
  return [yield* open(a), yield* open(b)] as readonly [Transport.Transport, Transport.Transport]
})

const rows = [
  { name: "memory", abort: "reset", ends: Effect.provide(overNetwork("memory:demo"), TestTransport.layerNetwork) },
  { name: "lockstep", abort: "reset", ends: TestTransport.lockstepPair() },
  {
    name: "TCP, IPv4",
    abort: "reset",
    ends: Effect.provide(overNetwork("tcp://127.0.0.1:0"), NodeTransport.layerNetwork)
  },
  { name: "TCP, IPv6", abort: "reset", ends: Effect.provide(overNetwork("tcp://[::1]:0"), NodeTransport.layerNetwork) },
  {
    name: "Unix, path",
    abort: "end",
    ends: Effect.provide(overNetwork(`unix:///tmp/effect-transport-${randomUUID()}.sock`), NodeTransport.layerNetwork)
  },
  {
    name: "Unix, abstract",
    abort: "end",
    ends: Effect.provide(overNetwork(`unix:@effect-transport-${randomUUID()}`), NodeTransport.layerNetwork)
  },
  { name: "named pipes", abort: "end", ends: Effect.provide(overPipes, NodeTransport.layerNetwork) },
  { name: "descriptors", abort: "end", ends: Effect.provide(overDescriptors, NodeTransport.layerNetwork) },
  { name: "a program", abort: "end", ends: Effect.provide(overProgram, NodeTransport.layerNetwork) },
  {
    name: "Node Duplex",
    abort: "reset",
    ends: through((end) => Effect.flatMap(NodeDuplex.toDuplex(end), (duplex) => NodeDuplex.fromDuplex(duplex)))
  },
  {
    name: "Web streams",
    abort: "reset",
    ends: through((end) =>
      Effect.flatMap(WebStreams.toWebStreams(end), (streams) => WebStreams.fromWebStreams(streams))
    )
  },
  {
    name: "Effect Socket",
    abort: "reset",
    ends: through((end) => EffectSocket.fromSocket(EffectSocket.toSocket(end), "memory:socket"))
  },
  {
    name: "serial cable",
    abort: "none",
    ends: overSerial("/dev/a", "/dev/b").pipe(
      Effect.provide(Layer.provide(Serial.layerNetwork, TestSerial.layerCable("/dev/a", "/dev/b")))
    )
  },
  ...isSocatFound
    ? [{
      name: "pseudoterminals",
      abort: "none",
      ends: Effect.provide(Effect.flatMap(ptyPair, ({ a, b }) => overSerial(a, b)), NodeTransport.layerNetwork)
    }]
    : []
]

const format = (cells: ReadonlyArray<string>): string =>
  cells.map((cell, i) => i === 0 || i > 3 ? cell.padEnd(i === 0 ? 16 : 12) : cell.padStart(i === 3 ? 8 : 12) + "  ")
    .join("")

const main = Effect.gen(function*() {
  const table = [format(["transport", "bytes", "lines", "MB/s", "half-close", "abort", "checksum"])]
  for (const row of rows) {
    const bar = new SingleBar({
      format: `${row.name.padEnd(16)}{bar} {percentage}% {value}/{total} MiB`,
      hideCursor: true,
      clearOnComplete: true,
      noTTYOutput: false
    })
    bar.start(fileBytes / 1_048_576, 0)
    const started = performance.now()
    const exit = yield* Effect.exit(Effect.scoped(
      Effect.flatMap(
        row.ends,
        ([client, server]) => converse(client, server, (bytes) => bar.update(Math.round(bytes / 1_048_576)))
      )
    ))
    const seconds = (performance.now() - started) / 1000
    bar.stop()
    if (Exit.isFailure(exit)) {
      process.exitCode = 1
      table.push(`${row.name.padEnd(16)}${Cause.pretty(exit.cause)}`)
      continue
    }
    const seen = exit.value
    const isRight = seen.bytes === fileBytes && seen.lines === batchLines * batches && seen.verified &&
      seen.halfClose === (row.abort === "none" ? "none" : "end") && seen.abort === row.abort
    if (!isRight) process.exitCode = 1
    table.push(
      format([
        row.name,
        String(seen.bytes),
        String(seen.lines),
        (seen.bytes / 1_000_000 / seconds).toFixed(0),
        seen.halfClose,
        seen.abort,
        seen.verified ? "right" : "WRONG"
      ]) + (isRight ? "" : `  expected ${fileBytes} bytes, ${batchLines * batches} lines, end, ${row.abort}`)
    )
  }
  console.log(table.join("\n"))
})

await Effect.runPromise(main)
