/**
 * A program on descriptors that it was given: see `fd.integration.test.ts`. What it has to say it prints, one line each.
 */
import { Cause, Effect, Exit, Fiber, References } from "effect"
import { Connection, Network, Transport, type TransportError } from "effect-transport"
import { NodeTransport } from "effect-transport/node"
import { TransportLaws } from "effect-transport/testing"
import { closeSync, openSync, readdirSync, writeSync } from "node:fs"

const say = (line: string): Effect.Effect<void> => Effect.sync(() => writeSync(1, `${line}\n`))

const outcome = <A, R>(effect: Effect.Effect<A, TransportError.TransportError, R>): Effect.Effect<string, never, R> =>
  Effect.map(Effect.exit(effect), (exit) => {
    if (Exit.isSuccess(exit)) return "success"
    const error = Cause.squash(exit.cause) as TransportError.TransportError
    return `${error.reason._tag}: ${error.message}`
  })

const connect = (endpoint: string, options?: Transport.TransportOptions) =>
  Effect.map(
    Effect.flatMap(Network.Network, (network) => network.connect(endpoint, options)),
    (transport) => transport as Transport.HalfCloseableTransport
  )

/** Node's next turns: a descriptor is let go in one of them. */
const turns = Effect.forEach(
  Array.from({ length: 4 }),
  () => Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void))),
  { discard: true }
)

const isOpen = (fd: string) => readdirSync("/proc/self/fd").includes(fd)

const [, , name = "", ...args] = process.argv

const programs: Record<string, Effect.Effect<unknown, TransportError.TransportError, Network.Network>> = {
  /** Sends back all that comes. */
  echo: Effect.scoped(Effect.gen(function*() {
    const transport = yield* connect(args[0]!)
    yield* Connection.copy(transport, transport)
    yield* transport.close
    yield* say(`closed: ${yield* outcome(transport.closed)}`)
  })),
  /** Says whether one could connect, and which descriptors are left. */
  open: Effect.gen(function*() {
    for (const endpoint of args) yield* say(`${endpoint}: ${yield* outcome(Effect.scoped(connect(endpoint)))}`)
    yield* turns
    yield* say(`open: ${["30", "31"].filter(isOpen).join()}`)
  }),
  /** A second connection while there is one. */
  twice: Effect.scoped(Effect.gen(function*() {
    const first = yield* connect(args[0]!)
    for (const endpoint of args.slice(1)) yield* say(`${endpoint}: ${yield* outcome(Effect.scoped(connect(endpoint)))}`)
    yield* first.write(new TextEncoder().encode("still here"))
  })),
  /** Ends our direction, and reads on. */
  halfClose: Effect.scoped(Effect.gen(function*() {
    const transport = yield* connect(args[0]!)
    yield* transport.write(new TextEncoder().encode("question"))
    yield* transport.halfClose
    yield* say(`read ${new TextDecoder().decode(yield* Transport.readUntilEnd(transport))}`)
  })),
  /** Reads to the end by the second endpoint, after the first was refused. */
  afterwards: Effect.scoped(Effect.gen(function*() {
    yield* say(`${args[0]}: ${yield* outcome(Effect.scoped(connect(args[0]!)))}`)
    yield* turns
    yield* say(`open: ${["30", "31"].filter(isOpen).join()}`)
    yield* say(`read ${new TextDecoder().decode(yield* Transport.readUntilEnd(yield* connect(args[1]!)))}`)
  })),
  /** Somebody else closes a descriptor of the connection. */
  closedMeanwhile: Effect.gen(function*() {
    yield* Effect.scoped(Effect.gen(function*() {
      const transport = yield* connect(args[0]!, { readMark: 1 })
      if (args[2] !== undefined) yield* say(`read ${(yield* Transport.readExactly(transport, 1)).length}`)
      closeSync(Number(args[1]))
      if (args[2] === undefined) {
        yield* say(`write: ${yield* outcome(Effect.andThen(transport.write(new Uint8Array(1)), transport.flush))}`)
        yield* say(`again: ${yield* outcome(transport.write(new Uint8Array(1)))}`)
      }
      yield* say(`rest: ${yield* outcome(Transport.readUntilEnd(transport))}`)
      yield* say(`closed: ${yield* outcome(transport.closed)}`)
    }))
    yield* turns
    yield* say(`open: ${["30", "31"].filter(isOpen).join()}`)
  }),
  /** Somebody else closes the descriptor that a read waits on: nobody tells the reader, but it can be ended. */
  closedUnderRead: Effect.scoped(Effect.gen(function*() {
    for (const end of ["close", "abort"] as const) {
      const fd = end === "close" ? "30" : "31"
      const transport = yield* connect(`fd:${fd},`)
      const reading = yield* Effect.forkChild(outcome(Transport.readUntilEnd(transport)), { startImmediately: true })
      yield* turns
      closeSync(Number(fd))
      yield* turns
      yield* say(`${end}: ${yield* outcome(transport[end])}`)
      yield* say(yield* Fiber.join(reading))
      yield* Effect.exit(transport.closed)
    }
  })),
  /** Somebody else closes a descriptor of the connection, and the number is given to another file. */
  replaced: Effect.gen(function*() {
    yield* Effect.scoped(Effect.gen(function*() {
      yield* connect(args[0]!)
      closeSync(30)
      while (openSync(args[1]!, "r") < 30);
    }))
    yield* turns
    yield* say(`open: ${isOpen("30")}`)
  }),
  /** Reads on where the other descriptor takes no more. */
  refused: Effect.scoped(Effect.gen(function*() {
    const transport = yield* connect(args[0]!)
    yield* say(`write: ${yield* outcome(Effect.forever(transport.write(new Uint8Array(10_000))))}`)
    yield* say(`flush: ${yield* outcome(transport.flush)}`)
    yield* say(`half-close: ${yield* outcome(transport.halfClose)}`)
    yield* say(`read ${(yield* Transport.readUntilEnd(transport)).length}`)
    yield* say(`closed: ${yield* outcome(transport.closed)}`)
  })),
  /** Writes until it cannot. */
  flood: Effect.scoped(Effect.gen(function*() {
    const transport = yield* connect(args[0]!)
    yield* say(`write: ${yield* outcome(Effect.forever(transport.write(new Uint8Array(10_000))))}`)
  })),
  /** The laws, over pairs of sockets: those from the first number on, two by two. Those about leaks would use up too many. */
  laws: Effect.gen(function*() {
    let next = Number(args[0])
    const last = Number(args[1])
    const network = yield* Network.Network
    const subject: TransportLaws.Subject = {
      pair: (options) =>
        Effect.suspend(() => {
          if (next >= last) return Effect.die(new Error("no descriptors are left"))
          const [a, b] = [next, next + 1]
          next += 2
          return Effect.all([
            network.connect({ _tag: "fd", read: a, write: a }, options),
            network.connect({ _tag: "fd", read: b, write: b }, options)
          ])
        }),
      capabilities: { halfClose: true, reset: false }
    }
    let held = 0
    for (const law of TransportLaws.make(subject)) {
      if (law.missing.length > 0) continue
      const exit = yield* Effect.exit(law.test)
      if (Exit.isSuccess(exit)) held++
      else yield* say(`law ${law.number} BROKEN: ${Cause.pretty(exit.cause)}`)
    }
    yield* say(`${held} laws hold`)
  })
}

await Effect.runPromise(programs[name]!.pipe(
  Effect.provide(NodeTransport.layerNetwork),
  Effect.provideService(References.MinimumLogLevel, "None")
))
