/**
 * Laws 74 to 78: interruption.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Connection from "../../Connection.ts"
import { concat } from "../../internal/bytes.ts"
import * as Transport from "../../Transport.ts"
import type { TransportError } from "../../TransportError.ts"
import {
  type Bench,
  broken,
  check,
  checkBytes,
  checkPattern,
  checkReadFails,
  failsWith,
  halfCloseable,
  pattern,
  pullOnce,
  readOut,
  text
} from "../bench.ts"
import { makeLog } from "../frames.ts"
import type { Law, LawBroken } from "../law.ts"
import { makeOwned } from "../owned.ts"
import { randomOf } from "../random.ts"

export const interruptionLaws: ReadonlyArray<Law> = [
  {
    number: 74,
    title: "an interrupted read loses nothing: the next one starts where it would have",
    test: Effect.fnUntraced(function*(bench) {
      const rounds = 1000
      const [a, b] = yield* bench.pair()
      const random = randomOf(74)
      const got: Array<Uint8Array> = []
      const keep = (chunks: ReadonlyArray<Uint8Array>) => Effect.sync(() => got.push(...chunks))
      // What a read returned it has returned, also when an interruption comes just then.
      const kept = <E>(read: Effect.Effect<ReadonlyArray<Uint8Array>, E>) =>
        Effect.uninterruptibleMask((restore) => Effect.flatMap(restore(read), keep))
      const reads = [
        // Before the lease is given up, which takes steps of its own.
        Effect.scoped(Effect.flatMap(a.reader, (reader) => kept(reader.pull))),
        kept(Effect.map(Transport.read(a, 1), Array.of<Uint8Array>)),
        kept(Effect.map(Transport.readExactly(a, 3), Array.of<Uint8Array>)),
        kept(Effect.map(Connection.take(a), Array.of<Uint8Array>))
      ]
      for (let round = 0; round < rounds; round++) {
        const write = bench.start(b.write(pattern(1, round)))
        const isFirst = random(2) === 0
        if (isFirst) yield* write
        const reading = yield* Effect.forkDetach(reads[round % 4]!, { startImmediately: random(2) === 0 })
        yield* turns(random(3))
        if (!isFirst) yield* write
        yield* turns(random(4))
        reading.interruptUnsafe()
        const exit = reading.pollUnsafe() ??
          (yield* bench.within("the interruption of a read", Fiber.await(reading)))
        if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) {
          return yield* broken(`a read in round ${round} came to ${exit}`)
        }
      }
      const rest = yield* bench.read(a, rounds - concat(got).length)
      yield* checkPattern("all that interrupted reads returned and left", concat([...got, rest]), rounds)
    })
  },
  {
    number: 75,
    title: "an interrupted write goes out whole, or not at all, or nothing goes out after it",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      const random = randomOf(75)

      // Of those that wait for room, some are interrupted, and more come after them.
      const clogged = yield* bench.clogged()
      const waiting = makeLog(bench, clogged.a)
      for (let i = 0; i < 24; i++) yield* waiting.start(sizes[i % sizes.length]!, i % 3 === 0)
      yield* bench.settle
      for (let i = 0; i < 12; i++) yield* waiting.interrupt(random(24))
      for (let i = 0; i < 6; i++) yield* waiting.start(sizes[i % sizes.length]!, i % 3 === 0)
      yield* bench.read(clogged.a, clogged.junkOfB)
      yield* waiting.check("writes that waited for room", clogged.b, { skip: clogged.junkOfA })

      // One that was begun, and cannot go on.
      for (const others of [0, 3]) {
        const [a, b] = yield* bench.pair()
        const begun = makeLog(bench, a)
        const stuck = yield* bench.stuckWrite(a, begun.next)
        begun.add(stuck.fiber)
        for (let i = 0; i < others; i++) yield* begun.start(1000, false)
        yield* bench.settle
        yield* begun.interrupt(begun.sent.length - 1 - others)
        yield* begun.start(1000, false)
        yield* begun.start(100_000, true)
        yield* begun.check("a write that was under way", b, {})
      }

      // While the peer reads, at any moment.
      const [c, d] = yield* bench.pair()
      const moving = makeLog(bench, c)
      const reading = yield* bench.start(readOut(d))
      for (let i = 0; i < 20; i++) {
        yield* moving.start(20_000 + random(60_000), i % 3 === 0)
        yield* turns(random(6))
        if (random(2) === 0) yield* moving.interrupt(i, true)
      }
      yield* moving.check("writes to a peer that reads", d, { reading })
    })
  },
  {
    number: 76,
    title: "neither an interrupted write nor the end of its owner's scope looks like a clean end to the peer",
    needs: ["reset"],
    test: Effect.fnUntraced(function*(bench) {
      // An interruption ends the write, and nothing else.
      const [a, b] = yield* bench.pair()
      const stuck = yield* bench.stuckWrite(a)
      yield* bench.within("the interruption of a write", Fiber.interrupt(stuck.fiber))
      const reading = yield* bench.start(readOut(b))
      yield* bench.settle
      const seen = reading.pollUnsafe()
      if (seen !== undefined && Exit.isSuccess(seen)) yield* checkNotEnded("an interrupted write", seen.value)
      yield* bench.within("the abort of both ends", Effect.andThen(a.abort, b.abort))

      // The owner ends between two writes of one message, of which the peer has the first half.
      for (const [how, exit] of exits) {
        const owned = yield* makeOwned(bench)
        for (const end of owned.pair) yield* bench.start(Effect.exit(end.write(pattern(50))))
        const readings = new Map(
          yield* Effect.forEach(
            owned.pair,
            (end) => Effect.map(bench.start(readOut(end)), (reading) => [end, reading] as const)
          )
        )
        yield* bench.settle
        const ended = yield* owned.end(exit)
        if (ended !== undefined) {
          const what = `half a message, and the owner's end by ${how}`
          const found = yield* bench.ended(what, readings.get(ended.peer)!)
          yield* checkBytes(what, found.bytes, pattern(50).subarray(0, found.bytes.length))
          yield* checkReadFails(what, found.how, "Reset")
        }
        yield* owned.finish
      }

      // The owner ends in the middle of a write, which was interrupted before or is under way.
      for (const [how, exit] of [...exits, ["success", Exit.void] as const]) {
        for (const isInterrupted of [true, false]) {
          const owned = yield* makeOwned(bench)
          const writes = new Map(
            yield* Effect.forEach(
              owned.pair,
              (end) => Effect.map(bench.stuckWrite(end), (write) => [end, write] as const)
            )
          )
          for (const { fiber } of isInterrupted ? writes.values() : []) {
            yield* bench.within("the interruption of a write", Fiber.interrupt(fiber))
          }
          const ended = yield* owned.end(exit)
          if (ended !== undefined) {
            const what = `a write that was ${
              isInterrupted ? "interrupted" : "under way"
            }, and the owner's end by ${how}`
            const found = yield* bench.within(what, readOut(ended.peer))
            const { before, bytes } = writes.get(ended.self)!
            if (how !== "success") yield* checkReadFails(what, found.how, "Reset")
            else if (found.how._tag === "End") {
              const sent = found.bytes.length - before
              yield* check(sent === 0 || sent === bytes, () => `${what}: ${sent} of its ${bytes} bytes and a clean end`)
            }
          }
          yield* owned.finish
        }
      }
    })
  },
  {
    number: 77,
    title: "an interrupted close releases everything all the same, as an abort does",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      for (const how of ["an interruption", "a time limit"] as const) {
        const before = yield* bench.held
        const { a, b } = yield* bench.clogged(patient)
        const write = yield* bench.startBlocked(Effect.exit(a.write(new Uint8Array(100_000))))
        const close = yield* bench.startBlocked(how === "an interruption" ? a.close : Effect.timeoutOption(a.close, 50))
        const other = yield* bench.startBlocked(Effect.exit(a.close))
        if (how === "an interruption") yield* bench.within("the interruption of a close", Fiber.interrupt(close))
        else yield* bench.ended("a close with a time limit", close, { millis: 50 })
        const closed = yield* bench.within(`closed, after ${how} of close,`, Effect.exit(a.closed))
        yield* check(Exit.isFailure(closed), `closed succeeded after ${how} of close`)
        yield* bench.ended("a write that had waited before the close", write)
        yield* bench.ended("another close that waited", other)
        yield* checkGone(bench, a, `after ${how} of close`, bench.subject.capabilities.halfClose)
        const seen = yield* bench.within("the peer's reading", readOut(b))
        if (bench.subject.capabilities.reset) {
          yield* checkReadFails(`what the peer found after ${how} of our close`, seen.how, "Reset")
        }
        yield* bench.within("the peer's abort", b.abort)
        yield* bench.heldAtMost(`the release of what both ends held, after ${how} of close`, before)
      }

      // All is flushed, and it waits for the peer's end.
      const before = yield* bench.held
      const [a, b] = yield* bench.pair(patient)
      const closing = yield* bench.start(Effect.andThen(a.write(text("bye")), a.close))
      yield* checkBytes("what was written before the close", yield* bench.readToEnd(b), text("bye"))
      yield* bench.settle
      yield* bench.within("the interruption of a close that had flushed", Fiber.interrupt(closing))
      yield* bench.within("closed", Effect.exit(a.closed))
      yield* checkGone(bench, a, "after the interruption of a close that had flushed", false)
      yield* bench.within("the peer's abort", b.abort)
      yield* bench.heldAtMost("the release of what both ends held", before)
    })
  },
  {
    number: 78,
    title:
      "the interruption of one who waits leaves the others and the transport as they are, and writes nothing later",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      // One of five, wherever it stands.
      for (const place of [0, 2, 4]) {
        const { a, b, junkOfA, junkOfB } = yield* bench.clogged()
        const log = makeLog(bench, a)
        for (let i = 0; i < 5; i++) yield* log.start(8192, i % 2 === 1)
        const others: Array<readonly [what: string, fiber: Fiber.Fiber<unknown>]> = []
        for (const [what, call] of [["a flush", a.flush], ["closed", a.closed]] as const) {
          for (let i = 0; i < 3; i++) others.push([`${what} that waited`, yield* bench.start(Effect.exit(call))])
        }
        yield* bench.settle
        yield* log.interrupt(place)
        for (const middle of [4, 1]) {
          for (const [what, fiber] of others.splice(middle, 1)) {
            yield* bench.within(`the interruption of ${what}`, Fiber.interrupt(fiber))
          }
        }
        yield* bench.settle
        // The other direction, meanwhile.
        yield* bench.read(a, junkOfB)
        yield* bench.start(b.write(text("pong")))
        yield* checkBytes("what the peer wrote meanwhile", yield* bench.read(a, 4), text("pong"))
        yield* log.check(`five that waited, of which number ${place + 1} was interrupted,`, b, { skip: junkOfA })
        for (const [what, fiber] of others) yield* bench.ended(what, fiber)
      }

      // Just when it is woken.
      const random = randomOf(78)
      const { a, b, junkOfA, junkOfB } = yield* bench.clogged({ highWaterMark: 4096, readMark: 4096 })
      yield* bench.read(b, junkOfA)
      yield* bench.read(a, junkOfB)
      const log = makeLog(bench, a)
      const pieces: Array<Uint8Array> = []
      for (let round = 0; round < 50; round++) {
        for (let i = 0; i < 3; i++) yield* log.start(500 + random(3000), random(3) === 0)
        yield* turns(random(3))
        const reading = yield* bench.start(pullOnce(b))
        yield* turns(random(3))
        yield* log.interrupt(log.sent.length - 1 - random(3), true)
        const pulled = yield* bench.ended("a read, with writes waiting,", reading)
        if (pulled._tag === "Chunks") pieces.push(...pulled.chunks)
      }
      yield* log.check("150 writes, of which 50 were interrupted as they were woken,", b, { pieces })
    })
  }
]

/** Longer than the kit waits for anything: limits that are not to be reached. */
const patient: Transport.TransportOptions = { closeTimeout: 60_000, linger: { duration: 60_000 } }

/** Copied and not, and more than the default mark. */
const sizes = [100, 16_384, 20_000, 100_000]

const turns = (count: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    let turn = 0
    return Effect.whileLoop({ while: () => turn < count, body: () => Effect.yieldNow, step: () => turn++ })
  })

/** How an owner can end that did not succeed. */
const exits: ReadonlyArray<readonly [how: string, exit: Exit.Exit<void, unknown>]> = [
  ["failure", Exit.fail("a failure of the owner")],
  ["interruption", Exit.interrupt()]
]

const checkNotEnded = (
  what: string,
  { bytes, how }: Effect.Success<ReturnType<typeof readOut>>
): Effect.Effect<void, LawBroken> =>
  check(how._tag !== "End", () => `${what}: the peer found ${bytes.length} bytes and a clean end`)

/** Every call finds a transport that ended here. */
const checkGone = (
  bench: Bench,
  transport: Transport.Transport,
  when: string,
  canHalfClose: boolean
): Effect.Effect<void, LawBroken> =>
  Effect.gen(function*() {
    yield* checkReadFails(`a read ${when}`, yield* bench.within("a read", pullOnce(transport)), "Closed")
    const calls: Array<readonly [string, Effect.Effect<unknown, TransportError | LawBroken>]> = [
      ["a write", transport.write(text("late"))],
      ["a large write", transport.write(new Uint8Array(100_000))],
      ["a writeAll", transport.writeAll([text("la"), text("te")])]
    ]
    if (canHalfClose) {
      calls.push(["a half-close", Effect.flatMap(halfCloseable(transport), ({ halfClose }) => halfClose)])
    }
    for (const [what, call] of calls) yield* failsWith(`${what} ${when}`, bench.within(what, call), "Closed")
    yield* bench.within(`a close ${when}`, Effect.exit(transport.close))
  })
