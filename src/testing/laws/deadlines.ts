/**
 * Laws 79 to 81: limits of time on one operation.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Connection from "../../Connection.ts"
import { concat } from "../../internal/bytes.ts"
import * as Transport from "../../Transport.ts"
import { TransportError } from "../../TransportError.ts"
import {
  abandoned,
  type Bench,
  check,
  checkBytes,
  checkEnd,
  failsWith,
  halfCloseable,
  junkByte,
  pattern,
  pullOnce,
  text
} from "../bench.ts"
import type { Law, LawBroken, Pair } from "../law.ts"

export const deadlineLaws: ReadonlyArray<Law> = [
  {
    number: 79,
    title: "a limit on a read disturbs no write, and a limit on a write no read",
    test: Effect.fnUntraced(function*(bench) {
      // Reads that run out of time, beside a write that is under way.
      const [a, b] = yield* bench.pair(abandoned)
      const stuck = yield* bench.stuckWrite(a)
      for (const [name, read] of reads) yield* runsOut(bench, `${name} beside a write`, read(a))
      const sent = new Uint8Array(stuck.before + stuck.bytes).fill(junkByte)
      yield* bench.receive("what was written beside reads that ran out of time", b, sent)
      yield* bench.ended("the write beside reads that ran out of time", stuck.fiber)
      yield* pass(bench, "after reads that ran out of time", a, b)

      // Writes that run out of time, beside a read that waits.
      const [c, d] = yield* bench.pair(abandoned)
      const accepted = yield* bench.fill(c)
      const reading = yield* bench.startBlocked(Transport.readExactly(c, 1000))
      const tried: Array<Tried> = []
      for (const [i, [name, write]] of writes.entries()) {
        const out = new Uint8Array(20_000).fill(0xa0 + i)
        tried.push({ out, verdict: yield* tryInTime(bench, `${name} beside a read`, write(c, out), 10) })
      }
      yield* bench.stillWaits("the read beside writes that ran out of time", reading)
      const answer = pattern(1000, 0, 2)
      const answering = yield* bench.start(d.write(answer))
      const got = yield* bench.ended("the read beside writes that ran out of time", reading)
      yield* checkBytes("what was read beside writes that ran out of time", got, answer)
      yield* bench.ended("the answer", answering)
      yield* pass(bench, "after writes that ran out of time", d, c)
      yield* checkTried(bench, "writes beside a read", [c, d], accepted, tried)
    })
  },
  {
    number: 80,
    title: "a limit that has passed fails at once and moves nothing; one in the future ends what waits, as a time-out",
    test: Effect.fnUntraced(function*(bench) {
      // Passed before the operation begins.
      const [a, b] = yield* bench.pair(abandoned)
      for (const bytes of [1, 1000, 100_000]) {
        const what = `a write of ${bytes} bytes with a limit of zero`
        const write = Transport.writeWithin(a, new Uint8Array(bytes).fill(0xdd), 0)
        yield* checkTimedOut(what, yield* failsWith(what, bench.within(what, write), "TimedOut"), "write")
        yield* runsOut(bench, "a read with a limit of zero", pullOnce(a), 0)
      }
      yield* pass(bench, "after limits of zero", a, b)
      yield* pass(bench, "after limits of zero", b, a)

      // With input at hand a limit of zero may find it or not, and loses none.
      const early = yield* bench.start(b.write(pattern(100)))
      yield* bench.arrived(a, 100)
      const found: Array<Uint8Array> = []
      for (let i = 0; i < 20; i++) {
        const read = Effect.timeoutOption(Transport.read(a, 2), 0)
        const some = yield* bench.within("a read with a limit of zero", Effect.exit(read))
        if (Exit.isSuccess(some) && Option.isSome(some.value)) found.push(some.value.value)
        else yield* check(Exit.isSuccess(some), () => `a read with a limit of zero came to ${some}`)
      }
      const missing = 100 - concat(found).length
      yield* checkBytes(
        "what reads with a limit of zero found, and the rest",
        concat([...found, yield* bench.read(a, missing)]),
        pattern(100)
      )
      yield* bench.ended("writing to reads with a limit of zero", early)

      // For a close too zero is a limit, and not the lack of one.
      const stuck = yield* bench.clogged({ ...abandoned, closeTimeout: 0 })
      const close = "a close with a limit of zero and output queued"
      yield* checkTimedOut(close, yield* failsWith(close, bench.within(close, stuck.a.close), "TimedOut"), "flush")

      // A read and a write that both wait: one not begun, and one that is, where the medium has not taken it all.
      for (const begun of [false, true]) {
        const [c, d] = yield* bench.pair(abandoned)
        const accepted = begun ? 0 : yield* bench.fill(c)
        const out = new Uint8Array(begun ? 1_048_576 : 40_000).fill(0xaa)
        const what = begun ? "a write under way with a limit" : "a write that waits for room with a limit"
        const reading = yield* bench.start(Effect.exit(Effect.timeout(Transport.readExactly(c, 1), 100)))
        const writing = yield* bench.start(Effect.exit(Transport.writeWithin(c, out, 100)))
        if (bench.subject.capabilities.virtualTime === true) {
          yield* bench.elapse(99)
          yield* bench.stillWaits("a read with a limit that has not passed", reading)
          yield* bench.stillWaits(what, writing)
        }
        yield* checkRanOut("a read with a limit", yield* bench.ended("a read with a limit", reading, { millis: 100 }))
        const exit = yield* bench.ended(what, writing, { millis: 100 })
        const verdict = yield* Exit.isSuccess(exit)
          ? Effect.succeed("Sent" as const)
          : Effect.map(failsWith(what, exit, "TimedOut"), ({ delivery }) => delivery)
        yield* checkTried(bench, what, [c, d], accepted, [{ out, verdict }])
      }
    })
  },
  {
    number: 81,
    title: "after a limit has passed the connection works on, and no byte is missing",
    test: Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair(abandoned)
      for (let round = 0; round < 3; round++) {
        for (const [name, read] of reads) {
          yield* runsOut(bench, name, read(a))
          yield* pass(bench, `after ${name} that ran out of time`, b, a)
        }
      }

      // A read that had some of what it wanted.
      for (const [i, [name, read]] of gathering.entries()) {
        const bytes = pattern(50_000, i)
        const first = yield* bench.start(b.write(bytes.subarray(0, 30_000)))
        yield* bench.arrived(a, 30_000)
        yield* runsOut(bench, `${name} that had a part of it`, read(a))
        const rest = yield* bench.start(b.write(bytes.subarray(30_000)))
        const what = `what was read after ${name} that ran out of time`
        yield* checkBytes(what, yield* bench.read(a, 50_000), bytes)
        for (const fiber of [first, rest]) yield* bench.ended("the peer's write", fiber)
      }

      // A handler keeps what it was given, and the next reader has the rest.
      const seen: Array<Uint8Array> = []
      const part = yield* bench.start(b.write(text("part")))
      const handling = Connection.forEach(a, (batch) => Effect.sync(() => seen.push(...batch)))
      yield* runsOut(bench, "a forEach that had a part of it", handling)
      const rest = yield* bench.start(b.write(text("rest")))
      const left = yield* bench.read(a, 8 - concat(seen).length)
      yield* checkBytes(
        "what a forEach that ran out of time and the next reader got",
        concat([...seen, left]),
        text("partrest")
      )
      for (const fiber of [part, rest]) yield* bench.ended("the peer's write", fiber)
      yield* runsOut(bench, "closed", a.closed)

      // Writes and flushes, and then the end, which goes out although nobody waits for it any more.
      const accepted = yield* bench.fill(a)
      const tried: Array<Tried> = []
      for (const [i, [name, write]] of writes.entries()) {
        const out = new Uint8Array(20_000).fill(0xa0 + i)
        tried.push({ out, verdict: yield* tryInTime(bench, name, write(a, out), 10) })
        yield* tryInTime(bench, "a flush", a.flush, 10)
      }
      yield* checkTried(bench, "writes with a limit", [a, b], accepted, tried)
      yield* pass(bench, "after all these limits", b, a)
      if (!bench.subject.capabilities.halfClose) return
      const queued = yield* bench.fill(a)
      yield* tryInTime(bench, "a half-close", (yield* halfCloseable(a)).halfClose, 10)
      yield* bench.receive("what was queued before a half-close that ran out of time", b, pattern(queued))
      yield* checkEnd("the peer's read behind it", yield* bench.within("the end of input", pullOnce(b)))
      yield* pass(bench, "after a half-close that ran out of time", b, a)
    })
  }
]

/** Each way to read. None of them wants to put anything back while there is nothing. */
const reads: ReadonlyArray<readonly [name: string, read: (a: Transport.Transport) => Effect.Effect<unknown, unknown>]> =
  [
    ["a read", (a) => Transport.read(a, 100)],
    ["a readExactly", (a) => Transport.readExactly(a, 5)],
    ["a take", (a) => Connection.take(a)],
    ["a pull", (a) => Effect.scoped(Effect.flatMap(a.reader, (reader) => reader.pull))],
    ["a forEach", (a) => Connection.forEach(a, () => Effect.void)]
  ]

/** Those that gather what comes in pieces. */
const gathering: typeof reads = [
  ["a readExactly", (a) => Transport.readExactly(a, 50_000)],
  ["a readUntilEnd", (a) => Transport.readUntilEnd(a)]
]

const writes: ReadonlyArray<
  readonly [name: string, write: (a: Transport.Transport, out: Uint8Array) => Effect.Effect<void, TransportError>]
> = [
  ["a write", (a, out) => a.write(out)],
  ["a writeAll", (a, out) => a.writeAll([out.subarray(0, 5000), out.subarray(5000)])],
  ["a writeWithin", (a, out) => Transport.writeWithin(a, out, 5)]
]

/** Breaks the law unless the limit passes first, and is recognisable as what ended it. */
const runsOut = (
  bench: Bench,
  what: string,
  effect: Effect.Effect<unknown, unknown>,
  millis = 10
): Effect.Effect<void, LawBroken> =>
  Effect.flatMap(
    bench.within(`${what} with a limit`, Effect.exit(Effect.timeout(effect, millis)), { millis }),
    (exit) => checkRanOut(`${what} with a limit`, exit)
  )

const checkRanOut = (what: string, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void, LawBroken> =>
  check(
    Exit.isFailure(exit) && Cause.isTimeoutError(Cause.squash(exit.cause)),
    () => `${what} came to ${exit} in place of a time-out`
  )

const checkTimedOut = (
  what: string,
  error: TransportError,
  phase: "write" | "flush"
): Effect.Effect<void, LawBroken> =>
  check(
    error.reason._tag === "TimedOut" && error.reason.phase === phase &&
      (phase === "flush" || error.delivery === "NotSent"),
    () => `${what} says: ${error.message}, delivery ${error.delivery}`
  )

/** What a write came to. */
type Verdict = "Sent" | "NotSent" | "Unknown" | undefined

interface Tried {
  readonly out: Uint8Array
  readonly verdict: Verdict
}

/** Runs it with a limit; it may be done in time all the same. */
const tryInTime = (
  bench: Bench,
  what: string,
  effect: Effect.Effect<void, TransportError>,
  millis: number
): Effect.Effect<Verdict, LawBroken> =>
  Effect.gen(function*() {
    let verdict: Verdict
    const watched = Effect.onExit(effect, (exit) =>
      Effect.sync(() => {
        verdict = Exit.isSuccess(exit) ? "Sent" : Option.getOrUndefined(Transport.delivery(exit.cause))
      }))
    const exit = yield* bench.within(
      `${what} with a limit`,
      Effect.exit(Effect.timeout(watched, millis)),
      { millis }
    )
    const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
    if (error instanceof TransportError && error.reason._tag === "TimedOut") return error.delivery
    if (error !== undefined) yield* checkRanOut(`${what} with a limit`, exit)
    return verdict
  })

/**
 * Breaks the law unless the peer gets the pattern that was accepted before the writes, and then each of them as its
 * verdict says: whole, or not at all.
 */
const checkTried = Effect.fnUntraced(function*(
  bench: Bench,
  what: string,
  [a, b]: Pair,
  accepted: number,
  tried: ReadonlyArray<Tried>
) {
  const mark = text("behind")
  const marking = yield* bench.start(a.write(mark))
  yield* bench.receive(`what was accepted before ${what}`, b, pattern(accepted))
  for (const { out, verdict } of tried) {
    if (verdict !== "NotSent") yield* bench.receive(`the bytes of ${what} (${verdict})`, b, out)
  }
  yield* checkBytes(`what was written behind ${what}`, yield* bench.read(b, mark.length), mark)
  yield* bench.ended(`the write behind ${what}`, marking)
})

/** A kilobyte from one end to the other. */
const pass = Effect.fnUntraced(function*(
  bench: Bench,
  when: string,
  from: Transport.Transport,
  to: Transport.Transport
) {
  const writing = yield* bench.start(from.write(pattern(1024)))
  yield* checkBytes(`a kilobyte ${when}`, yield* bench.read(to, 1024), pattern(1024))
  yield* bench.ended(`the write of a kilobyte ${when}`, writing)
})
