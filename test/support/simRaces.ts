/**
 * Programs with a race in them, each beside a twin without it: what a search through interleavings has to find, and
 * what it must not cry wolf about.
 *
 * The races hide in production, where a fiber goes on until it waits and whoever is woken goes first. They know nothing
 * of the world that they run in; only `worldOf` does.
 */
import { Deferred, Effect, Exit, Fiber, Latch, Ref, Semaphore } from "effect"
import type { Scope } from "effect"
import { Connection, Lines, Network, Protocol } from "effect-transport"
import type { Transport } from "effect-transport"
import { type Sim, World } from "effect-transport/sim"

type Program<A> = Effect.Effect<A, unknown, Network.Network | Scope.Scope>
type Simulated = Effect.Effect<unknown, unknown, World.World | Network.Network | Scope.Scope>

export interface Race {
  readonly name: string
  readonly broken: Simulated
  readonly fixed: Simulated
  /** Whether the race was lost in this run. */
  readonly isBroken: (report: Sim.Report<unknown, unknown>) => boolean
}

// ---------------------------------------------------------------------------------------------------------------------
// What the programs have in common
// ---------------------------------------------------------------------------------------------------------------------

const endpoint = "tcp://server:7000"

const open = Effect.flatMap(Network.Network, ({ connect }) => connect(endpoint))

const openLines = Effect.flatMap(open, (transport) => Protocol.attach(Lines.protocol(), transport))

const serve = <E, R>(handler: (transport: Transport.HalfCloseableTransport) => Effect.Effect<unknown, E, R>) =>
  Effect.gen(function*() {
    const { listen } = yield* Network.Network
    const listener = yield* listen("tcp://0.0.0.0:7000")
    return yield* listener.serve(handler)
  })

/** Answers each line of each connection. */
const serveLines = <E, R>(answer: (line: string) => Effect.Effect<string, E, R>) =>
  serve((transport) =>
    Effect.gen(function*() {
      const lines = yield* Protocol.attach(Lines.protocol(), transport)
      yield* Connection.forEach(lines, (batch) =>
        Effect.forEach(batch, (line) => Effect.flatMap(answer(line), lines.write), { discard: true }))
    })
  )

const ask = (line: string) =>
  Effect.gen(function*() {
    const lines = yield* openLines
    yield* lines.write(line)
    return yield* Connection.take(lines)
  })

/** A server, and clients that begin at one time; it gives what they give. */
const worldOf = <A>(server: Program<unknown>, ...clients: ReadonlyArray<Program<A>>): Simulated =>
  Effect.gen(function*() {
    const { host } = yield* World.World
    yield* host("server", { boot: server })
    const hosts = yield* Effect.forEach(clients, (_, i) => host(`client-${i + 1}`))
    yield* Effect.sleep("10 millis")
    return yield* Effect.forEach(clients, (client, i) => hosts[i]!.run(client), { concurrency: "unbounded" })
  })

const succeedsWith = (expected: (value: any) => boolean) => ({ exit }: Sim.Report<unknown, unknown>): boolean =>
  !(Exit.isSuccess(exit) && expected(exit.value))

// ---------------------------------------------------------------------------------------------------------------------
// The races
// ---------------------------------------------------------------------------------------------------------------------

/** Three clients pay ten each. */
const lostUpdate = (pay: (balance: Ref.Ref<number>, amount: number) => Effect.Effect<number>) =>
  worldOf(
    Effect.gen(function*() {
      const balance = yield* Ref.make(0)
      return yield* serveLines((line) => Effect.map(pay(balance, Number(line)), String))
    }),
    ask("10"),
    ask("10"),
    ask("10")
  )

/** A reply is put where the one who asked finds it, and the place is cleared for the next. */
const wakerFirst = (isCleared: boolean) =>
  worldOf(
    serveLines(Effect.succeed),
    Effect.gen(function*() {
      const lines = yield* openLines
      const place = { reply: "", arrived: Deferred.makeUnsafe<string>() }
      yield* Effect.forkScoped(Effect.gen(function*() {
        place.reply = yield* Connection.take(lines)
        yield* Deferred.succeed(place.arrived, place.reply)
        place.reply = ""
      }))
      yield* lines.write("hello")
      const reply = yield* Deferred.await(place.arrived)
      return isCleared ? place.reply : reply
    })
  )

/** Who uses a connection last closes it, and so does the reaper of idle ones: it is given back once. */
const doubleClose = (isMarkedFirst: boolean) =>
  worldOf(
    serveLines(Effect.succeed),
    Effect.gen(function*() {
      const transport = yield* open
      let isOpen = true
      let given = 0
      const giveBack = Effect.gen(function*() {
        if (!isOpen) return
        if (isMarkedFirst) isOpen = false
        yield* transport.flush
        isOpen = false
        given++
        yield* transport.close
      })
      const after20 = Effect.andThen(Effect.sleep("20 millis"), giveBack)
      yield* Effect.all([after20, after20], { concurrency: "unbounded" })
      return given
    })
  )

/** One fiber looks for input from time to time, and another closes. */
const readDuringClose = (isLocked: boolean) =>
  worldOf(
    serve((transport) =>
      Effect.andThen(
        Effect.repeat(Effect.andThen(Effect.sleep("3 millis"), transport.write(Uint8Array.of(1))), { times: 9 }),
        Effect.never
      )
    ),
    Effect.gen(function*() {
      const transport = yield* open
      const lock = Semaphore.makeUnsafe(1)
      const alone = isLocked ? lock.withPermit : <A, E, R>(effect: Effect.Effect<A, E, R>) => effect
      let isClosed = false
      const look = alone(Effect.gen(function*() {
        if (isClosed) return
        const { reading } = yield* transport.buffered
        if (reading > 0) yield* Connection.take(transport)
      }))
      const close = alone(Effect.suspend(() => {
        isClosed = true
        return transport.close
      }))
      const fiber = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 6 }), () => Effect.andThen(Effect.sleep("5 millis"), look))
      )
      yield* Effect.sleep("20 millis")
      yield* close
      yield* Fiber.join(fiber)
      return "read"
    })
  )

/** A heartbeat beside requests, and a half-close behind the last of these. */
const writeAfterHalfClose = (isLocked: boolean) =>
  worldOf(
    serveLines(Effect.succeed),
    Effect.gen(function*() {
      const lines = yield* openLines
      const lock = Semaphore.makeUnsafe(1)
      const alone = isLocked ? lock.withPermit : <A, E, R>(effect: Effect.Effect<A, E, R>) => effect
      let isDone = false
      const beat = alone(Effect.gen(function*() {
        if (isDone) return false
        yield* Effect.logTrace("alive")
        yield* lines.write("alive")
        return true
      }))
      const heart = yield* Effect.forkChild(
        Effect.repeat(Effect.andThen(Effect.sleep("10 millis"), beat), { while: (goesOn) => goesOn })
      )
      yield* Effect.sleep("30 millis")
      yield* alone(Effect.suspend(() => {
        isDone = true
        return lines.halfClose
      }))
      yield* Fiber.join(heart)
      return "alive"
    })
  )

/** Three users of one connection, which breaks: one of them is to connect again, for all. */
const reconnectStorm = (isMarkedFirst: boolean) => {
  let accepted = 0
  return worldOf(
    Effect.suspend(() => {
      accepted = 0
      return serve((transport) =>
        ++accepted === 1 ? Effect.andThen(Effect.sleep("20 millis"), transport.abort) : Effect.never
      )
    }),
    Effect.gen(function*() {
      const first = yield* open
      let again: Deferred.Deferred<Transport.Transport, unknown> | undefined
      const reconnect = Effect.gen(function*() {
        if (again !== undefined) return yield* Deferred.await(again)
        const mine = isMarkedFirst ? Deferred.makeUnsafe<Transport.Transport, unknown>() : yield* Deferred.make()
        again = mine as Deferred.Deferred<Transport.Transport, unknown>
        yield* Deferred.complete(again, open)
        return yield* Deferred.await(again)
      })
      const user = Effect.andThen(Effect.exit(first.closed), reconnect)
      yield* Effect.all([user, user, user], { concurrency: "unbounded" })
      yield* Effect.sleep("10 millis")
      return accepted
    })
  )
}

/** Two clients move money between two accounts, in opposite directions. */
const lockOrder = (isSorted: boolean) =>
  worldOf(
    Effect.gen(function*() {
      const locks = { a: Semaphore.makeUnsafe(1), b: Semaphore.makeUnsafe(1) }
      return yield* serveLines((line) => {
        const [from, to] = (isSorted ? "ab" : line) as unknown as ["a" | "b", "a" | "b"]
        return locks[from].withPermit(Effect.andThen(
          Effect.logTrace("debit"),
          locks[to].withPermit(Effect.succeed("moved"))
        ))
      })
    }),
    ask("ab"),
    ask("ba")
  )

/** One waits for a line where none has come. */
const lostWakeUp = (isMarkedFirst: boolean) =>
  worldOf(
    serveLines(Effect.succeed),
    Effect.gen(function*() {
      const lines = yield* openLines
      const arrived: Array<string> = []
      let waiting: Latch.Latch | undefined
      const next = Effect.gen(function*() {
        if (isMarkedFirst) waiting = Latch.makeUnsafe()
        if (arrived.length > 0) return arrived.shift()!
        waiting ??= yield* Latch.make()
        yield* waiting.await
        return arrived.shift()!
      })
      yield* Effect.forkScoped(Effect.gen(function*() {
        arrived.push(yield* Connection.take(lines))
        if (waiting !== undefined) yield* waiting.open
      }))
      yield* lines.write("hello")
      // Looks when the answer comes, and not before.
      yield* Effect.sleep("2 millis")
      return yield* next
    })
  )

/** Lines go round in a ring, to a reader that keeps up, or does not. */
const overrun = (waits: boolean) =>
  worldOf(
    serve((transport) =>
      Effect.gen(function*() {
        const lines = yield* Protocol.attach(Lines.protocol(), transport)
        yield* lines.writeAll(Array.from({ length: 24 }, (_, i) => String(i)))
        return yield* Effect.never
      })
    ),
    Effect.gen(function*() {
      const lines = yield* openLines
      const ring = Array.from({ length: 6 }, () => "")
      const filled = Semaphore.makeUnsafe(24)
      const free = Semaphore.makeUnsafe(ring.length)
      yield* filled.take(24)
      yield* Effect.forkScoped(Effect.forEach(Array.from({ length: 24 }), (_, i) =>
        Effect.gen(function*() {
          const line = yield* Connection.take(lines)
          if (waits) yield* free.take(1)
          ring[i % ring.length] = line
          yield* filled.release(1)
          yield* Effect.yieldNow
        })))
      return yield* Effect.forEach(Array.from({ length: 24 }), (_, i) =>
        Effect.gen(function*() {
          yield* filled.take(1)
          const line = ring[i % ring.length]!
          if (waits) yield* free.release(1)
          return line
        }))
    })
  )

export const races: ReadonlyArray<Race> = [
  {
    name: "lost update",
    broken: lostUpdate((balance, amount) =>
      Effect.gen(function*() {
        const after = (yield* Ref.get(balance)) + amount
        yield* Ref.set(balance, after)
        return after
      })
    ),
    fixed: lostUpdate((balance, amount) => Ref.updateAndGet(balance, (before) => before + amount)),
    isBroken: succeedsWith((balances) => Math.max(...balances.map(Number)) === 30)
  },
  {
    name: "waker first",
    broken: wakerFirst(true),
    fixed: wakerFirst(false),
    isBroken: succeedsWith(([reply]) => reply === "hello")
  },
  {
    name: "double close",
    broken: doubleClose(false),
    fixed: doubleClose(true),
    isBroken: succeedsWith(([given]) => given === 1)
  },
  {
    name: "read during close",
    broken: readDuringClose(false),
    fixed: readDuringClose(true),
    isBroken: succeedsWith(([what]) => what === "read")
  },
  {
    name: "write after half-close",
    broken: writeAfterHalfClose(false),
    fixed: writeAfterHalfClose(true),
    isBroken: succeedsWith(([what]) => what === "alive")
  },
  {
    name: "reconnect storm",
    broken: reconnectStorm(false),
    fixed: reconnectStorm(true),
    isBroken: succeedsWith(([accepted]) => accepted === 2)
  },
  {
    name: "lock order",
    broken: lockOrder(false),
    fixed: lockOrder(true),
    isBroken: succeedsWith(() => true)
  },
  {
    name: "lost wake-up",
    broken: lostWakeUp(false),
    fixed: lostWakeUp(true),
    isBroken: succeedsWith(([line]) => line === "hello")
  },
  {
    name: "overrun",
    broken: overrun(false),
    fixed: overrun(true),
    isBroken: succeedsWith(([lines]) => lines.every((line: string, i: number) => line === String(i)))
  }
]
