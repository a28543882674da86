/**
 * Laws 27 to 31: several fibers at one transport.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Connection from "../../Connection.ts"
import { concat } from "../../internal/bytes.ts"
import * as Transport from "../../Transport.ts"
import type { TransportError } from "../../TransportError.ts"
import {
  abandoned,
  type Bench,
  broken,
  check,
  checkBytes,
  checkReadFails,
  failsWith,
  halfCloseable,
  isSame,
  outcome,
  pattern,
  type Pulled,
  pulledBy,
  pullOnce,
  showPulled,
  text
} from "../bench.ts"
import type { Clogged, Law } from "../law.ts"
import { randomOf } from "../random.ts"

export const concurrencyLaws: ReadonlyArray<Law> = [
  {
    number: 27,
    title: "a second reader is refused at once; the first is unharmed, and no byte is lost or doubled",
    test: Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair(abandoned)
      const refuse = (what: string, effect: Effect.Effect<unknown, TransportError>) =>
        bench.within(what, failsWith(what, effect, "Busy"))

      const first = yield* bench.startBlocked(pullOnce(a))
      yield* refuse("a second lease while the first one waits", Effect.scoped(a.reader))
      yield* refuse("readExactly while another waits", Transport.readExactly(a, 1))
      yield* refuse("forEach while another waits", Connection.forEach(a, () => Effect.void))
      yield* checkReadFails("a second pull", yield* bench.within("a second pull", pullOnce(a)), "Busy")
      const sending = yield* bench.start(Effect.andThen(b.write(text("one")), b.write(text("two"))))
      const got = yield* chunksOf("the first of two readers", yield* bench.ended("the first of two readers", first))
      const rest = yield* bench.read(a, 6 - got.length)
      yield* checkBytes("what two readers got", concat([got, rest]), text("onetwo"))
      yield* bench.ended("writing to two readers", sending)

      yield* Effect.scoped(Effect.gen(function*() {
        const reader = yield* a.reader
        yield* refuse("a second lease while one is held", Effect.scoped(a.reader))
        const waiting = yield* bench.startBlocked(pulledBy(reader.pull))
        for (const what of ["a second pull of one lease", "a third pull of one lease"]) {
          yield* checkReadFails(what, yield* bench.within(what, pulledBy(reader.pull)), "Busy")
        }
        if (reader.forEach !== undefined) {
          yield* refuse("forEach beside a pull of the same lease", reader.forEach(() => Effect.void))
        }
        const sending = yield* bench.start(Effect.andThen(b.write(text("one")), b.write(text("two"))))
        const got = [yield* chunksOf("the first of two pulls", yield* bench.ended("the first of two pulls", waiting))]
        for (let left = 6 - got[0]!.length; left > 0; left -= got.at(-1)!.length) {
          got.push(yield* chunksOf("a later pull", yield* bench.within("a later pull", pulledBy(reader.pull))))
        }
        yield* checkBytes("what two pulls got", concat(got), text("onetwo"))
        yield* bench.ended("writing to two pulls", sending)

        if (reader.forEach !== undefined) {
          const seen: Array<Uint8Array> = []
          const each = yield* bench.startBlocked(reader.forEach((batch) => Effect.sync(() => seen.push(...batch))))
          const what = "a pull beside a forEach of the same lease"
          yield* checkReadFails(what, yield* bench.within(what, pulledBy(reader.pull)), "Busy")
          yield* bench.within("writing to a forEach", b.write(text("three")))
          yield* Fiber.interrupt(each)
          const sending = yield* bench.start(b.write(text("four")))
          while (concat(seen).length < 9) {
            seen.push(yield* chunksOf("a pull after a forEach", yield* bench.within("a pull", pulledBy(reader.pull))))
          }
          yield* checkBytes("what a forEach and a pull got", concat(seen), text("threefour"))
          yield* bench.ended("writing after a forEach", sending)
        }
      }))

      // Many at once: one waits and the others are told.
      const many = yield* Effect.forEach(Array.from({ length: 10 }), () => bench.start(pullOnce(a)))
      yield* bench.settle
      const all = yield* bench.start(b.write(text("all")))
      const readers = yield* Effect.forEach(many, (reader, i) => bench.ended(`reader ${i} of 10`, reader))
      const winners = readers.filter(({ _tag }) => _tag === "Chunks")
      yield* check(winners.length === 1, `of ten readers at once ${winners.length} got the input in place of one`)
      for (const reader of readers) {
        if (reader._tag !== "Chunks") yield* checkReadFails("one of ten readers at once", reader, "Busy")
      }
      const one = yield* chunksOf("the one of ten readers", winners[0]!)
      const others = yield* bench.read(a, 3 - one.length)
      yield* checkBytes("what ten readers got", concat([one, others]), text("all"))
      yield* bench.ended("writing to ten readers", all)

      // One that is interrupted frees the side at once.
      const gone = yield* bench.startBlocked(pullOnce(a))
      yield* bench.within("interrupting a read", Fiber.interrupt(gone))
      const next = yield* bench.startBlocked(pullOnce(a))
      const last = yield* bench.start(b.write(text("x")))
      const x = yield* chunksOf("a reader after an interrupted one", yield* bench.ended("the next reader", next))
      yield* checkBytes("what the next reader got", x, text("x"))
      yield* bench.ended("writing to the next reader", last)
    })
  },
  {
    number: 28,
    title: "several writers are queued: in order, each write unbroken",
    test: Effect.fnUntraced(function*(bench) {
      const { a, b, junkOfA } = yield* bench.clogged(abandoned)
      const outs = [0x41, 0x42].map((letter) => new Uint8Array(300_000).fill(letter))
      // The last two would fit where those before them do not.
      const writers = yield* Effect.forEach([
        a.write(outs[0]!),
        a.writeAll([outs[1]!.subarray(0, 10), outs[1]!.subarray(10)]),
        a.write(text("smal")),
        a.writeAll([text("l"), text("est")])
      ], (writing) => bench.start(writing))
      yield* bench.settle
      yield* bench.read(b, junkOfA)
      const bytes = yield* bench.read(b, 600_008)
      for (const [i, writer] of writers.entries()) yield* bench.ended(`writer ${i}`, writer)
      let borders = 0
      for (let i = 1; i < 600_000; i++) if (bytes[i] !== bytes[i - 1]) borders++
      yield* check(
        isSame(bytes, concat([...outs, text("smallest")])),
        `two large writes and two small ones came with ${borders} borders, or not in their order`
      )
    })
  },
  {
    number: 29,
    title: "a write that waits holds up no read, a read no write; and a storm of calls leaves all usable",
    test: Effect.fnUntraced(function*(bench) {
      const { a, b, junkOfA, junkOfB } = yield* bench.clogged(abandoned)
      yield* bench.read(a, junkOfB)
      const large = pattern(300_000)
      const blocked = yield* bench.startBlocked(a.write(large))
      for (let i = 0; i < 10; i++) yield* pass(bench, `ping ${i} beside a write that waits`, b, a)
      yield* bench.read(b, junkOfA)
      yield* bench.receive("what had waited", b, large)
      yield* bench.ended("a write that waited", blocked)

      const reading = yield* bench.startBlocked(pullOnce(a))
      for (let i = 0; i < 10; i++) yield* pass(bench, `ping ${i} beside a read that waits`, a, b)
      yield* bench.stillWaits("a read of nothing", reading)
      const waking = yield* bench.start(b.write(text("x")))
      yield* chunksOf("a read that waited", yield* bench.ended("a read that waited", reading))
      yield* bench.ended("writing to a read that waited", waking)

      yield* storm(bench)
    })
  },
  {
    number: 30,
    title: "an end that meets a write comes after it or is refused, and never cuts it",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      for (const how of bench.subject.capabilities.halfClose ? ["halfClose", "close"] as const : ["close"] as const) {
        for (const state of ["waits", "has begun"] as const) yield* endBesideWrite(bench, how, state)
      }
    })
  },
  {
    number: 31,
    title: "every fiber that waits for room is woken when there is room",
    test: Effect.fnUntraced(function*(bench) {
      const { a, b, junkOfA } = yield* bench.clogged(abandoned)
      const outs = Array.from({ length: 20 }, (_, i) => new Uint8Array(i % 2 === 0 ? 500 + i : 20_000 + i).fill(i))
      const writers = yield* Effect.forEach(outs, (out) => bench.start(a.write(out)))
      const flushers = yield* Effect.forEach(Array.from({ length: 5 }), () => bench.start(a.flush))
      yield* bench.settle
      yield* bench.read(b, junkOfA)
      yield* bench.receive("what twenty had waited to write", b, concat(outs))
      for (const [i, writer] of writers.entries()) yield* bench.ended(`waiting writer ${i} of 20`, writer)
      for (const [i, flusher] of flushers.entries()) yield* bench.ended(`waiting flush ${i} of 5`, flusher)
    })
  }
]

/** The bytes of a pull that has to find some. */
const chunksOf = (what: string, pulled: Pulled) =>
  pulled._tag === "Chunks"
    ? Effect.succeed(concat(pulled.chunks))
    : broken(`${what}: ${showPulled(pulled)} in place of bytes`)

/** A few bytes from here to there. */
const pass = Effect.fnUntraced(function*(
  bench: Bench,
  what: string,
  from: Transport.Transport,
  to: Transport.Transport
) {
  const writing = yield* bench.start(from.write(text(what)))
  yield* checkBytes(what, yield* bench.read(to, text(what).length), text(what))
  yield* bench.ended(what, writing)
})

/** A hundred calls at once, of all kinds and at both ends; then both directions are read up to a mark and used. */
const storm = Effect.fnUntraced(function*(bench: Bench) {
  const [a, b] = yield* bench.pair(abandoned)
  const random = randomOf(29)
  const calls: Array<Fiber.Fiber<unknown, TransportError>> = []
  const pulls: Array<Fiber.Fiber<Pulled>> = []
  const briefly = (pause: Transport.Transport["pausedReading"]) => Effect.scoped(Effect.andThen(pause, Effect.yieldNow))
  for (let i = 0; i < 100; i++) {
    const end = i % 2 === 0 ? a : b
    const kinds: ReadonlyArray<Effect.Effect<unknown, TransportError>> = [
      end.write(new Uint8Array(1 + random(3000))),
      end.write(new Uint8Array(30_000)),
      end.writeAll([new Uint8Array(random(300)), new Uint8Array(20_000), new Uint8Array(1)]),
      end.flush,
      briefly(end.pausedReading),
      briefly(end.pausedWriting),
      Effect.andThen(end.pause, Effect.andThen(Effect.yieldNow, end.resume))
    ]
    const call = kinds[(i >> 1) % 10]
    if (call !== undefined) calls.push(yield* bench.start(call))
    else pulls.push(yield* bench.start(pullOnce(end)))
  }
  yield* bench.settle
  for (const pull of pulls) {
    yield* bench.within("interrupting a read of the storm", Fiber.interrupt(pull))
    const exit = pull.pollUnsafe()
    if (exit?._tag === "Success" && exit.value._tag !== "Chunks") {
      yield* checkReadFails("a read of the storm", exit.value, "Busy")
    }
  }
  const mark = pattern(64, 0, 200)
  const marked = yield* Effect.forEach([a, b], (end) => bench.start(readUpTo(end, mark)))
  for (const call of calls) yield* bench.ended("a call of the storm", call)
  const marks = yield* Effect.forEach([a, b], (end) => bench.start(end.write(mark)))
  for (const fiber of marked) yield* bench.ended("reading up to a mark behind the storm", fiber)
  for (const fiber of marks) yield* bench.ended("writing a mark behind the storm", fiber)
  const round = pattern(100_000)
  for (const [from, to] of [[a, b], [b, a]] as const) {
    const writing = yield* bench.start(from.write(round))
    yield* bench.receive("a round trip after the storm", to, round)
    yield* bench.ended("a round trip after the storm", writing)
  }
})

/** Reads until the input ends with the mark. */
const readUpTo = (transport: Transport.Transport, mark: Uint8Array): Effect.Effect<void, TransportError> =>
  Effect.scoped(Effect.gen(function*() {
    const reader = yield* transport.reader
    let tail: Uint8Array = new Uint8Array(0)
    while (!isSame(tail, mark)) {
      const pulled = yield* pulledBy(reader.pull)
      if (pulled._tag === "Failed") return yield* pulled.error
      if (pulled._tag === "End") return yield* Effect.never
      tail = concat([tail, ...pulled.chunks]).slice(-mark.length)
    }
  }))

/** An end that is asked for while 1 MiB waits for room, or is on its way. */
const endBesideWrite = Effect.fnUntraced(function*(
  bench: Bench,
  how: "halfClose" | "close",
  state: "waits" | "has begun"
) {
  const what = `a ${how} while a write ${state}`
  const whole = pattern(1_048_576)
  const options: Transport.TransportOptions = { ...abandoned, closeTimeout: "1 minute" }
  const { a, b, junkOfA, junkOfB } = state === "waits"
    ? yield* bench.clogged(options)
    : yield* unclogged(bench, options)
  // Input that is unread when we let go could cost the peer what we sent.
  yield* bench.read(a, junkOfB)

  const writing = yield* bench.startBlocked(Effect.result(a.write(whole)))
  const end = how === "close" ? a.close : (yield* halfCloseable(a)).halfClose
  const ending = yield* bench.startBlocked(Effect.flatMap(
    outcome(end),
    // Whoever is refused tries again when the write is done.
    (result) => result === "Busy" ? Effect.andThen(Fiber.await(writing), outcome(end)) : Effect.succeed(result)
  ))
  yield* bench.read(b, junkOfA)
  const seen = yield* bench.readToEnd(b)
  yield* bench.start(outcome(b.close))
  const written = yield* bench.ended(`the write, in ${what},`, writing)
  const ended = yield* bench.ended(what, ending)
  yield* check(ended === "success", `${what}: ${ended}`)
  const told = Result.isSuccess(written) ? "success" : `${written.failure.reason._tag}, ${written.failure.delivery}`
  yield* check(
    told === "success" ? isSame(seen, whole) : how === "close" && told === "Closed, NotSent" && seen.length === 0,
    `${what}: ${seen.length} bytes of ${whole.length} arrived, and the writer was told: ${told}`
  )
})

const unclogged = (bench: Bench, options: Transport.TransportOptions) =>
  Effect.map(bench.pair(options), ([a, b]): Clogged => ({ a, b, junkOfA: 0, junkOfB: 0 }))
