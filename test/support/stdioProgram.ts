/**
 * Programs that talk over their standard input and output: see `stdio.integration.test.ts`, which runs them on real
 * descriptors. What they have to say they write to descriptor 2 by its number, one line each.
 */
import { NodeRuntime, NodeStdio, NodeTerminal } from "@effect/platform-node"
import { Cause, Console, Effect, Exit, type Scope, Stdio, Stream, Terminal } from "effect"
import { Connection, Network, Transport, type TransportError } from "effect-transport"
import { NodeTransport } from "effect-transport/node"
import { createHash } from "node:crypto"
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const say = (line: string): Effect.Effect<void> => Effect.sync(() => writeSync(2, `${line}\n`))

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

/** Nobody is to be hurried: the tests decide when a reader goes on. */
const patient: NodeTransport.NodeOptions = { closeTimeout: "1 minute", linger: { duration: "1 minute" } }

/** Node's next turn. */
const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

type Failure = TransportError.TransportError

const connect = (options: NodeTransport.NodeOptions = patient) =>
  Effect.flatMap(Network.Network, (network) => network.connect("stdio:", options))

const outcome = <A, R>(effect: Effect.Effect<A, Failure, R>): Effect.Effect<string, never, R> =>
  Effect.map(Effect.exit(effect), (exit) => {
    if (Exit.isSuccess(exit)) return "success"
    const error = Cause.squash(exit.cause) as Failure
    return `${error.reason._tag}: ${error.message}`
  })

/** One megabyte pieces that differ, so that a missing one shows. */
const megabytes = (count: number) => Array.from({ length: count }, (_, i) => new Uint8Array(1_048_576).fill(65 + i))

const produce = Effect.fnUntraced(function*(count: number) {
  const transport = yield* connect()
  yield* say(`sum ${sha256(Buffer.concat(megabytes(count)))}`)
  for (const piece of megabytes(count)) {
    // In writes that are copied, and complete before the kernel has them.
    for (let at = 0; at < piece.length; at += 16_384) yield* transport.write(piece.subarray(at, at + 16_384))
  }
})

const print = (what: string) =>
  Effect.gen(function*() {
    console.log(`${what}: console.log`)
    process.stdout.write(`${what}: process.stdout.write\n`)
    yield* Effect.log(`${what}: Effect.log`)
    yield* Console.log(`${what}: Console.log`)
    yield* Stream.run(Stream.make(`${what}: Stdio\n`), (yield* Stdio.Stdio).stdout())
    yield* (yield* Terminal.Terminal).display(`${what}: Terminal\n`)
  }).pipe(Effect.provide([NodeStdio.layer, NodeTerminal.layer]), Effect.orDie)

const programs: Record<string, Effect.Effect<unknown, Failure, Network.Network | Scope.Scope>> = {
  /** Sends back all that comes. */
  echo: Effect.gen(function*() {
    const transport = yield* connect()
    yield* Connection.copy(transport, transport)
    yield* transport.close
    yield* say(`closed: ${yield* outcome(transport.closed)}`)
  }),
  /** Ends its output, and only then reads. */
  halfClose: Effect.gen(function*() {
    const transport = yield* connect()
    yield* transport.write(bytes("question"))
    yield* transport.halfClose
    yield* say("half-closed")
    yield* say(`read ${text(yield* Transport.readUntilEnd(transport))}`)
    yield* say(`closed: ${yield* outcome(transport.closed)}`)
  }),
  /** Ends its output, and opens files afterwards. */
  reuse: Effect.gen(function*() {
    const transport = yield* connect()
    yield* transport.halfClose
    const folder = mkdtempSync(join(tmpdir(), "effect-transport-"))
    const opened = openSync(join(folder, "file"), "w")
    console.log("a stray print")
    writeSync(1, "by number")
    closeSync(opened)
    yield* say(`opened ${opened > 2 ? "above 2" : opened}, holds ${readFileSync(join(folder, "file")).length} bytes`)
    rmSync(folder, { recursive: true })
    yield* transport.close
    yield* say(`again: ${yield* outcome(Effect.scoped(connect()))}`)
  }),
  /** Writes until it cannot, and ends with a status of its own. */
  flood: Effect.gen(function*() {
    const transport = yield* connect()
    const writing = yield* outcome(Effect.forever(transport.write(new Uint8Array(10_000))))
    yield* say(`write: ${writing}`)
    yield* say(`closed: ${yield* outcome(transport.closed)}`)
    process.exitCode = 7
  }),
  produce: produce(8),
  /** As `produce`, and does not wait for the process to end by itself. */
  exit: Effect.andThen(Effect.scoped(produce(8)), Effect.sync(() => process.exit(3))),
  /** Fails in the middle of it. */
  fail: Effect.andThen(connect(), Effect.die(new Error("the bug"))),
  /** Ends while its input goes on, and leaves the process nothing to do. */
  leave: Effect.gen(function*() {
    const transport = yield* connect({ linger: { duration: 0 } })
    yield* transport.write(yield* Transport.readExactly(transport, 3))
    yield* transport.close
    yield* say("closed")
  }),
  abort: Effect.gen(function*() {
    const transport = yield* connect()
    yield* transport.write(yield* Transport.readExactly(transport, 3))
    yield* transport.flush
    yield* transport.abort
    yield* say(`closed: ${yield* outcome(transport.closed)}`)
  }),
  /** Connects again while the end of an aborted connection is still on its way. */
  again: Effect.gen(function*() {
    yield* Effect.scoped(Effect.flatMap(connect(), (it) => it.abort))
    yield* say(`again: ${yield* outcome(Effect.scoped(connect()))}`)
  }),
  /** Prints in every way, with a protocol at work. */
  prints: Effect.gen(function*() {
    yield* print("before")
    const scope = yield* connect()
    yield* print("during")
    yield* scope.write(bytes("protocol"))
    yield* scope.close
    yield* print("after")
  }).pipe(
    Effect.scoped,
    Effect.provide(NodeTransport.layerStdioGuard)
  ),
  /** Prints in every way, with no other guard than the connection's. */
  ownGuard: Effect.gen(function*() {
    const transport = yield* connect()
    yield* print("during")
    yield* transport.write(bytes("protocol"))
  }),
  /** Prints before and after a guard, and with two of them. */
  guards: Effect.gen(function*() {
    const guarded = (what: string) =>
      Effect.scoped(
        Effect.provide(Effect.sync(() => console.log(what)), NodeTransport.layerStdioGuard, { local: true })
      )
    console.log("out 1")
    yield* Effect.provide(
      Effect.gen(function*() {
        yield* guarded("err 1")
        console.log("err 2")
        yield* Effect.scoped(connect())
        console.log("err 3")
      }),
      NodeTransport.layerStdioGuard
    )
    // Standard output comes back when standard error has said that it does not take the prints.
    yield* turn
    console.log("out 2")
  }),
  /** Prints more than standard error takes at once, with the guard ending before it is printed. */
  slowPrints: Effect.provide(
    Effect.sync(() => {
      for (let i = 0; i < 4; i++) console.log("x".repeat(500_000))
    }),
    NodeTransport.layerStdioGuard
  ),
  /** A second connection while there is one, and another afterwards. */
  twice: Effect.gen(function*() {
    yield* Effect.scoped(Effect.gen(function*() {
      const first = yield* connect()
      yield* say(`second: ${yield* outcome(Effect.scoped(connect()))}`)
      yield* first.write(yield* Transport.readExactly(first, 3))
    }))
    yield* say(`third: ${yield* outcome(Effect.scoped(Effect.flatMap(connect(), (it) => it.write(bytes("third")))))}`)
  }),
  /** Somebody else reads standard input already. */
  taken: Effect.gen(function*() {
    process.stdin.resume()
    // Until Node has begun to wait for it.
    yield* Effect.andThen(turn, turn)
    yield* say(`open: ${yield* outcome(Effect.scoped(connect()))}`)
    process.stdin.destroy()
  }),
  /** Descriptors that are not open any more. */
  missing: Effect.gen(function*() {
    closeSync(0)
    yield* say(`open: ${yield* outcome(Effect.scoped(connect()))}`)
    yield* say(`again: ${yield* outcome(Effect.scoped(connect()))}`)
  }),
  /** Writes more than a stopped terminal takes, and sees that the rest of the program goes on. */
  stopped: Effect.gen(function*() {
    const transport = yield* connect()
    yield* Effect.forkChild(Effect.ignore(transport.write(new Uint8Array(1_048_576).fill(120))), {
      startImmediately: true
    })
    yield* turn
    yield* say("alive")
    yield* transport.abort
  }),
  /** Many chunks in one write, more than one system call takes. */
  chunks: Effect.gen(function*() {
    const transport = yield* connect()
    const all = Array.from({ length: 5000 }, (_, i) => bytes(`${i}\n`))
    yield* transport.writeAll(all)
    yield* say(`sum ${sha256(Buffer.concat(all))}`)
  }),
  open: Effect.gen(function*() {
    yield* say(`open: ${yield* outcome(Effect.scoped(connect()))}`)
  })
}

const name = process.argv[2] ?? "echo"
const program = Effect.scoped(programs[name]!).pipe(Effect.provide(NodeTransport.layerNetwork))

// Two ways to end: by the runtime of a program, which exits, and by having nothing left to do.
if (process.argv[3] === "bare") Effect.runPromise(program)
else NodeRuntime.runMain(program)
