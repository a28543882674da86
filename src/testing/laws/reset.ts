/**
 * Laws 70 to 73: the peer's abort.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Connection from "../../Connection.ts"
import { concat } from "../../internal/bytes.ts"
import * as Transport from "../../Transport.ts"
import type { TransportError } from "../../TransportError.ts"
import {
  type Bench,
  check,
  checkPattern,
  checkReadFails,
  failsWith,
  halfCloseable,
  pattern,
  pullOnce,
  readOut,
  text
} from "../bench.ts"
import type { Law, LawBroken } from "../law.ts"
import { abortUnder } from "./abort.ts"

export const resetLaws: ReadonlyArray<Law> = [
  {
    number: 70,
    title: "the peer's abort fails every read with Reset, pending or later, and never ends the input",
    needs: ["reset"],
    test: Effect.fnUntraced(function*(bench) {
      const readings: ReadonlyArray<
        readonly [what: string, read: (transport: Transport.Transport) => Effect.Effect<unknown, TransportError>]
      > = [
        ["a read of one byte", Transport.readExactly(1)],
        ["a read to the end", Transport.readUntilEnd],
        ["a loop of reading", (transport) => Connection.forEach(transport, () => Effect.void)],
        ["a stream", (transport) => Stream.runDrain(Connection.stream(transport))]
      ]
      for (const isPending of [true, false]) {
        for (const [name, read] of readings) {
          const [a, b] = yield* bench.pair(patient)
          const what = isPending ? `${name} that waited at the peer's abort` : `${name} after the peer's abort`
          const pending = isPending ? yield* bench.startBlocked(read(a)) : undefined
          yield* bench.within("the peer's abort", b.abort)
          if (pending === undefined) yield* bench.settle
          yield* failsWith(
            what,
            pending === undefined ? bench.within(what, read(a)) : bench.ended(what, pending),
            "Reset"
          )
          for (let again = 1; again <= 3; again++) {
            const pulled = yield* bench.within("a read after it", pullOnce(a))
            yield* checkReadFails(`read ${again} after ${what}`, pulled, "Reset")
          }
          yield* failsWith("closed, after the peer's abort,", bench.within("closed", a.closed), "Reset")
        }
      }
      if (!bench.subject.capabilities.halfClose) return
      // Our own direction had ended in peace.
      const [a, b] = yield* bench.pair(patient)
      yield* bench.within("a half-close", (yield* halfCloseable(a)).halfClose)
      yield* bench.readToEnd(b)
      const pending = yield* bench.startBlocked(pullOnce(a))
      yield* bench.within("the peer's abort", b.abort)
      const what = "a read at the peer's abort, after our half-close"
      yield* checkReadFails(what, yield* bench.ended(what, pending), "Reset")
    })
  },
  {
    number: 71,
    title: "after the peer's abort every write, flush, half-close and close comes to an end, pending or later",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      const { halfClose } = bench.subject.capabilities
      // Each together with what would have to come before it.
      const scenes: Array<ReadonlyArray<Call>> = [
        [...writes, ["a flush", (transport) => transport.flush], ["closed", (transport) => transport.closed]],
        [["a close", (transport) => transport.close], ["a second close", (transport) => transport.close]]
      ]
      if (halfClose) scenes.push([...writes, halfCloseOf, ["a second half-close", halfCloseOf[1]]])
      for (const scene of scenes) {
        const [a, b] = yield* bench.pair(patient)
        const stuck = yield* bench.stuckWrite(a)
        const pending: Array<readonly [string, Fiber.Fiber<Exit.Exit<unknown, unknown>>]> = [
          ["the stuck write", yield* bench.start(Fiber.await(stuck.fiber))]
        ]
        for (const [what, call] of scene) pending.push([what, yield* bench.start(Effect.exit(call(a)))])
        yield* bench.settle
        for (const [what, fiber] of yield* abortUnder(bench, "the peer's abort", b, pending)) {
          const exit = yield* bench.ended(`${what} that waited at the peer's abort`, fiber)
          yield* check(Exit.isFailure(exit), `${what} that waited at the peer's abort, behind what was lost, succeeded`)
        }
        for (const [what, call] of [...writes, ...(halfClose ? [halfCloseOf] : []), ...others]) {
          yield* bench.within(`${what} after all that waited at the peer's abort`, Effect.exit(call(a)))
        }
      }

      // As the first call after it, and again.
      for (const [what, call] of [...writes, ...(halfClose ? [halfCloseOf] : []), ...others]) {
        for (const isNoticed of [false, true]) {
          const [a, b] = yield* bench.pair(patient)
          yield* bench.within("the peer's abort", b.abort)
          if (isNoticed) yield* bench.settle
          yield* bench.within(`${what}, the first call after the peer's abort,`, Effect.exit(call(a)))
          yield* bench.within(`${what}, the second call after the peer's abort,`, Effect.exit(call(a)))
          yield* bench.within("our own abort", a.abort)
        }
      }

      // A writer learns of it, and so does whoever waits for the end.
      const [a, b] = yield* bench.pair(patient)
      const closed = yield* bench.start(Effect.exit(a.closed))
      yield* bench.within("the peer's abort", b.abort)
      yield* bench.failsSoon("a write after the peer's abort", a.write(text("x")), "Reset")
      const exit = yield* bench.ended("closed, after a write has failed,", closed)
      yield* check(Exit.isFailure(exit), "closed succeeded after the peer's abort")
    })
  },
  {
    number: 72,
    title: "what had been received before the peer's abort is delivered first, and then Reset",
    needs: ["reset", "buffers"],
    test: Effect.fnUntraced(function*(bench) {
      for (const bytes of [5, 40_000]) {
        for (const how of ["a read", "a loop of reading", "a write that failed", "a pause", "an unread"] as const) {
          const [a, b] = yield* bench.pair()
          yield* bench.start(b.write(pattern(bytes)))
          yield* bench.arrived(a, bytes)
          const holding = yield* Scope.fork(yield* Effect.scope)
          if (how === "a pause") yield* Scope.provide(a.pausedReading, holding)
          if (how === "an unread") {
            yield* Effect.scoped(Effect.gen(function*() {
              const reader = yield* a.reader
              const chunks = yield* bench.within("a pull", Effect.orDie(reader.pull))
              yield* reader.unread(chunks)
            }))
          }
          yield* bench.within("the peer's abort", b.abort)
          yield* bench.settle
          if (how === "a write that failed") yield* bench.failsSoon("a write", a.write(text("x")), "Reset")
          yield* Scope.close(holding, Exit.void)
          const what = `${bytes} bytes received before a reset, after ${how}`
          const seen = yield* bench.within(what, how === "a loop of reading" ? readByLoop(a) : readOut(a))
          yield* checkPattern(what, seen.bytes, bytes)
          yield* checkReadFails(`what came after ${what}`, seen.how, "Reset")
        }
      }
    })
  },
  {
    number: 73,
    title: "the peer's abort is the same Reset to reads and writes, in whatever order they find it",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      const orders = [["read"], ["write"], ["read", "write"], ["write", "read"]] as const
      for (let run = 0; run < 100; run++) {
        const [a, b] = yield* bench.pair(patient)
        const order = orders[run % 4]!
        // Half of the reads wait for it.
        const pending = run % 8 < 4 ? yield* bench.start(pullOnce(a)) : undefined
        yield* bench.within("the peer's abort", b.abort)
        for (const [at, operation] of order.entries()) {
          const what = `${operation} in the order ${order.slice(0, at + 1).join(", ")}`
          if (operation === "read") {
            const pulled = yield* (pending === undefined ? bench.within(what, pullOnce(a)) : bench.ended(what, pending))
            yield* checkReset(bench, what, pulled)
            continue
          }
          yield* bench.failsSoon(what, a.write(run % 3 === 0 ? large : small), "Reset")
          yield* failsWith(`a flush after ${what}`, bench.within("a flush", a.flush), "Reset")
          yield* failsWith(`a writeAll after ${what}`, bench.within("a writeAll", a.writeAll([small, small])), "Reset")
          yield* failsWith(`closed after ${what}`, bench.within("closed", a.closed), "Reset")
        }
        yield* bench.within("an abort", a.abort)
      }
    })
  }
]

/** Longer than the kit waits for anything: limits that are not to be reached. */
const patient: Transport.TransportOptions = { closeTimeout: 60_000, linger: { duration: 60_000 } }

type Call = readonly [what: string, call: (transport: Transport.Transport) => Effect.Effect<unknown, unknown>]

const small = text("x")
const large = new Uint8Array(100_000)

const writes: ReadonlyArray<Call> = [
  ["a write", (transport) => transport.write(small)],
  ["a large write", (transport) => transport.write(large)],
  ["a writeAll", (transport) => transport.writeAll([small, large])]
]

const halfCloseOf: Call = [
  "a half-close",
  (transport) => Effect.flatMap(halfCloseable(transport), (transport) => transport.halfClose)
]

const others: ReadonlyArray<Call> = [
  ["an empty write", (transport) => transport.write(new Uint8Array(0))],
  ["a flush", (transport) => transport.flush],
  ["a close", (transport) => transport.close]
]

/** As `readOut`, by a loop that is handed its batches. */
const readByLoop: typeof readOut = (transport) =>
  Effect.suspend(() => {
    const chunks: Array<Uint8Array> = []
    return Connection.forEach(transport, (batch) => Effect.sync(() => chunks.push(...batch))).pipe(
      Effect.match({
        onSuccess: () => ({ bytes: concat(chunks), how: { _tag: "End" } as const }),
        onFailure: (error) => ({ bytes: concat(chunks), how: { _tag: "Failed", error } as const })
      })
    )
  })

/** Where the medium has no reset, the peer's abort may look like its end to whoever reads. */
const checkReset = (
  bench: Bench,
  what: string,
  pulled: Effect.Success<ReturnType<typeof pullOnce>>
): Effect.Effect<void, LawBroken> =>
  bench.subject.capabilities.reset || pulled._tag !== "End"
    ? checkReadFails(what, pulled, "Reset")
    : Effect.void
