/**
 * Laws 39 to 44: pause and resume.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import * as Connection from "../../Connection.ts"
import * as Transport from "../../Transport.ts"
import type * as TransportError from "../../TransportError.ts"
import {
  type Bench,
  byPulling,
  check,
  checkBytes,
  checkEnd,
  checkReadFails,
  collect,
  type Hold,
  holdOf,
  outcome,
  pattern,
  pullOnce,
  readOut,
  showPulled,
  text,
  untext
} from "../bench.ts"
import type { Law, LawBroken, Pair } from "../law.ts"
import { randomOf } from "../random.ts"

type Failure = LawBroken | TransportError.TransportError

export const pauseLaws: ReadonlyArray<Law> = [
  {
    number: 39,
    title: "once reading is paused, nothing is delivered until it is resumed",
    test: Effect.fnUntraced(function*(bench) {
      for (const { name, of } of pauses) {
        // A read that waits at the time.
        const [a, b] = yield* warmPair(bench)
        const hold = of(a)
        const waiting = yield* bench.startBlocked(pullOnce(a))
        yield* hold.take
        yield* bench.start(b.write(text("held")))
        yield* bench.stillWaits(`${name}: a read that waited at the pause`, waiting)
        yield* hold.release
        const first = yield* bench.ended(`${name}: the read that waited, once resumed,`, waiting)
        yield* check(first._tag === "Chunks", () => `${name}: the read that waited found ${showPulled(first)}`)
        yield* Effect.andThen(a.abort, b.abort)

        // A read of what had arrived before.
        const [c, d] = yield* warmPair(bench)
        yield* bench.start(d.write(text("early")))
        yield* bench.arrived(c, 5)
        const other = of(c)
        yield* other.take
        const late = yield* bench.startBlocked(pullOnce(c))
        yield* bench.stillWaits(`${name}: a read of what had arrived before the pause`, late)
        yield* other.release
        const second = yield* bench.ended(`${name}: the read of what had arrived, once resumed,`, late)
        yield* check(
          second._tag === "Chunks",
          () => `${name}: the read of what had arrived found ${showPulled(second)}`
        )
        yield* Effect.andThen(c.abort, d.abort)

        for (const by of ["forEach", "pull"] as const) {
          yield* pauseInHandler(bench, `${name}, in a handler by ${by}`, of, by)
        }
      }
    })
  },
  {
    number: 40,
    title: "resume delivers all that was held, in order and once",
    test: Effect.fnUntraced(function*(bench) {
      for (const by of ["forEach", "pull"] as const) {
        const [a, b] = yield* warmPair(bench)
        const random = randomOf(by === "pull" ? 40 : 41)
        const holds = pauses.map(({ of }) => of(a))
        const reader = yield* collect(bench, a, { by })
        const writers: Array<Fiber.Fiber<void, TransportError.TransportError>> = []
        const total = 1_048_576
        let sent = 0
        const send = (bytes: number) =>
          Effect.gen(function*() {
            writers.push(yield* bench.start(b.write(pattern(bytes, sent))))
            sent += bytes
            for (let turns = random(4); turns > 0; turns--) yield* Effect.yieldNow
          })
        for (let cycle = 1; cycle <= 100; cycle++) {
          const hold = holds[random(holds.length)]!
          // 1 MiB in all: some of it ahead of the pause, and two pieces, small or large, while it lasts.
          const due = Math.ceil(total * cycle / 100) - sent
          if (random(2) === 0) yield* send(1 + random(due >> 2))
          yield* hold.take
          yield* send(1 + random(due >> 1))
          yield* send(Math.ceil(total * cycle / 100) - sent)
          yield* hold.release
          if (random(3) === 0) yield* reader.has(`what had come by the end of cycle ${cycle}`, sent)
        }
        yield* reader.has("what had come after 100 cycles of pause and resume", total)
        for (const writer of writers) yield* bench.ended("a write of the peer", writer)
        yield* bench.settle
        yield* reader.has("what had come some time after the last cycle", total)
        yield* Effect.andThen(a.abort, b.abort)
      }
    })
  },
  {
    number: 41,
    title: "pause and resume may be repeated and toggled fast: nothing is read or sent twice, and holders count",
    test: Effect.fnUntraced(function*(bench) {
      yield* repeatPauses(bench)
      yield* togglePauses(bench)
    })
  },
  {
    number: 42,
    title: "a pause touches only the direction that it names",
    test: Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* warmPair(bench)
      const reading = holdOf(a.pausedReading)
      const writing = holdOf(a.pausedWriting)

      // Reading is paused while output is queued: it goes out, and more behind it.
      yield* writing.take
      const queued = yield* bench.start(a.write(text("queued")))
      yield* reading.take
      yield* bench.start(b.write(text("input")))
      const peer = yield* bench.startBlocked(Transport.readExactly(b, 6))
      yield* bench.stillWaits("the peer's read, while our writing is paused,", peer)
      yield* writing.release
      const output = yield* bench.ended("the peer's read of what was queued, while only our reading is paused,", peer)
      yield* checkBytes("what was queued", output, text("queued"))
      yield* bench.ended("the write, while only reading is paused,", queued)
      const more = yield* bench.start(Effect.andThen(a.write(pattern(200_000)), a.flush))
      yield* bench.receive("our output while our reading is paused", b, pattern(200_000))
      yield* bench.ended("a large write and a flush, while reading is paused,", more)
      const ours = yield* bench.startBlocked(Transport.readExactly(a, 5))
      yield* bench.stillWaits("our read, while reading is paused,", ours)
      yield* reading.release
      yield* checkBytes("the input that was held", yield* bench.ended("our read, once resumed,", ours), text("input"))

      // Writing is paused: input comes, and nothing of ours goes out.
      yield* writing.take
      const held = yield* bench.start(a.write(text("later")))
      const theirs = yield* bench.startBlocked(Transport.readExactly(b, 5))
      const input = yield* bench.start(b.write(pattern(200_000, 0, 2)))
      yield* bench.receive("our input while our writing is paused", a, pattern(200_000, 0, 2))
      yield* bench.ended("the peer's large write, while our writing is paused,", input)
      yield* bench.stillWaits("the peer's read, while our writing is paused,", theirs)
      yield* writing.release
      const later = yield* bench.ended("the peer's read, once our writing is resumed,", theirs)
      yield* checkBytes("the output that was held", later, text("later"))
      yield* bench.ended("the write that was held", held)

      // Both, by the pause that names both.
      yield* a.pause
      const out = yield* bench.start(a.write(text("out")))
      const incoming = yield* bench.start(b.write(text("in")))
      const ends = [
        { name: "our read", fiber: yield* bench.startBlocked(Transport.readExactly(a, 2)), bytes: text("in") },
        { name: "the peer's read", fiber: yield* bench.startBlocked(Transport.readExactly(b, 3)), bytes: text("out") }
      ]
      for (const { fiber, name } of ends) yield* bench.stillWaits(`${name}, while both directions are paused,`, fiber)
      yield* a.resume
      for (const { bytes, fiber, name } of ends) {
        yield* checkBytes(name, yield* bench.ended(`${name}, once both are resumed,`, fiber), bytes)
      }
      yield* bench.ended("our write", out)
      yield* bench.ended("the peer's write", incoming)
      yield* Effect.andThen(a.abort, b.abort)
    })
  },
  {
    number: 43,
    title: "no end is lost during a pause: it is reported on resume or on the next write at the latest",
    needs: ["peerEnd"],
    test: (bench) => Effect.forEach(pauses, (pause) => endDuring(bench, pause), { discard: true })
  },
  {
    number: 44,
    title: "a pause holds from before the first byte on, and a resume after the end does nothing",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      for (const pause of pauses) {
        const [a, b] = yield* bench.pair()
        const hold = pause.of(a)
        yield* hold.take
        const sending = yield* bench.start(b.write(text("first")))
        const reading = yield* bench.startBlocked(Transport.readExactly(a, 5))
        yield* bench.stillWaits(`${pause.name}: the first read, paused before it,`, reading)
        yield* hold.release
        const first = yield* bench.ended(`${pause.name}: the first read, once resumed,`, reading)
        yield* checkBytes(`${pause.name}: the first bytes`, first, text("first"))
        yield* bench.ended(`${pause.name}: the peer's write`, sending)
        yield* Effect.andThen(a.abort, b.abort)
        yield* resumeAfterEnd(bench, pause)
      }
    })
  }
]

/** The pauses that hold reading. */
interface Pause {
  readonly name: string
  readonly of: (transport: Transport.Transport) => Hold
}

const pauses: ReadonlyArray<Pause> = [
  { name: "pause", of: ({ pause, resume }) => ({ take: pause, release: resume }) },
  { name: "pausedReading", of: ({ pausedReading }) => holdOf(pausedReading) }
]

/** A pair over which something has passed in both directions: only law 44 is about the first byte. */
const warmPair = (
  bench: Bench,
  options?: Transport.TransportOptions
): Effect.Effect<Pair, Failure, Scope.Scope> =>
  Effect.gen(function*() {
    const [a, b] = yield* bench.pair({ ...options, onScopeExit: () => "abort" })
    for (const [from, to] of [[a, b], [b, a]] as const) {
      const writing = yield* bench.start(from.write(text("warm")))
      yield* checkBytes("the first bytes", yield* bench.read(to, 4), text("warm"))
      yield* bench.ended("the first write", writing)
    }
    return [a, b]
  })

// ---------------------------------------------------------------------------------------------------------------------
// Law 39
// ---------------------------------------------------------------------------------------------------------------------

/** The handler of the first batch pauses; the peer goes on writing. */
const pauseInHandler = (
  bench: Bench,
  what: string,
  of: Pause["of"],
  by: "forEach" | "pull"
): Effect.Effect<void, Failure, Scope.Scope> =>
  Effect.gen(function*() {
    const [a, b] = yield* warmPair(bench)
    const hold = of(a)
    let seen = ""
    let held: string | undefined
    yield* bench.start(
      Connection.forEach(by === "pull" ? byPulling(a) : a, (batch) =>
        Effect.suspend(() => {
          for (const chunk of batch) seen += untext(chunk)
          if (held !== undefined) return Effect.void
          held = seen
          return hold.take
        }))
    )
    const words = ["one ", "two ", "three ", "four ", "five "]
    const writing = yield* bench.start(
      Effect.forEach(words, (word) => Effect.andThen(b.write(text(word)), bench.moment))
    )
    const isPaused = Effect.repeat(bench.moment, { until: () => held !== undefined })
    yield* bench.within(`${what}: the first batch`, isPaused)
    yield* bench.settle
    yield* check(seen === held, () => `${what}: "${seen}" was delivered, and the pause came at "${held}"`)
    yield* hold.release
    const all = words.join("")
    yield* bench.within(`${what}: the rest`, Effect.repeat(bench.moment, { until: () => seen.length >= all.length }))
    yield* check(seen === all, () => `${what}: "${seen}" was delivered in place of "${all}"`)
    yield* bench.ended(`${what}: the peer's writes`, writing)
    yield* Effect.andThen(a.abort, b.abort)
  })

// ---------------------------------------------------------------------------------------------------------------------
// Law 41
// ---------------------------------------------------------------------------------------------------------------------

/** `pause` and `resume` are one holder however often they are called; each scope of `pausedReading` is one more. */
const repeatPauses = (bench: Bench): Effect.Effect<void, Failure, Scope.Scope> =>
  Effect.gen(function*() {
    const [a, b] = yield* warmPair(bench)
    const reader = yield* collect(bench, a)
    let sent = 0
    const send = Effect.suspend(() => bench.start(b.write(pattern(1, sent++))))
    const flows = (when: string) => Effect.andThen(send, Effect.suspend(() => reader.has(`what came ${when}`, sent)))
    const holds = (when: string) =>
      Effect.gen(function*() {
        const before = reader.bytes()
        yield* send
        yield* bench.settle
        yield* check(reader.bytes() === before, `a byte was delivered ${when}`)
      })

    yield* Effect.andThen(a.resume, a.resume)
    yield* flows("after two resumes of what was not paused")
    yield* a.pause
    yield* holds("after a pause, with more resumes than pauses before it")
    yield* Effect.andThen(a.pause, a.pause)
    yield* holds("after three pauses")
    yield* a.resume
    yield* flows("after three pauses and one resume")
    yield* Effect.andThen(a.resume, a.resume)
    yield* flows("after three pauses and three resumes")
    yield* a.pause
    yield* holds("after three pauses, three resumes and a pause")
    yield* a.resume
    yield* flows("after that was resumed")

    const one = holdOf(a.pausedReading)
    const other = holdOf(a.pausedReading)
    yield* Effect.andThen(one.take, other.take)
    yield* holds("with two holders of a pause of reading")
    yield* Effect.andThen(a.resume, a.resume)
    yield* holds("with two holders, and resumes that none of them called")
    yield* one.release
    yield* holds("with one holder left of two")
    yield* a.pause
    yield* other.release
    yield* holds("paused, with no other holder left")
    yield* one.take
    yield* a.resume
    yield* holds("resumed, with another holder")
    yield* one.release
    yield* flows("after the last holder had let go")
    yield* Effect.andThen(a.abort, b.abort)
  })

/** 1,000 times in one tick, with input and output held back on both sides of it. */
const togglePauses = (bench: Bench): Effect.Effect<void, Failure, Scope.Scope> =>
  Effect.gen(function*() {
    const [a, b] = yield* warmPair(bench)
    const toggles: ReadonlyArray<readonly [string, Effect.Effect<void>]> = [
      ["resume and pause", Effect.andThen(a.resume, a.pause)],
      ["pausedReading", Effect.scoped(a.pausedReading)],
      ["pausedWriting", Effect.scoped(a.pausedWriting)]
    ]
    const ours = yield* collect(bench, a)
    const theirs = yield* collect(bench, b, { seed: 2 })
    const bytes = 100_000
    let sent = 0
    for (const [name, toggle] of toggles) {
      yield* a.pause
      const writers = [
        yield* bench.start(b.write(pattern(bytes, sent))),
        yield* bench.start(a.write(pattern(bytes, sent, 2)))
      ]
      sent += bytes
      yield* bench.settle
      yield* Effect.replicateEffect(toggle, 1000, { discard: true }).pipe(
        Effect.provideService(Scheduler.PreventSchedulerYield, true)
      )
      // The last of them was a pause.
      const before = ours.bytes()
      yield* bench.settle
      yield* check(ours.bytes() === before, `bytes were delivered after 1,000 toggles of ${name} that ended in a pause`)
      yield* a.resume
      yield* Effect.replicateEffect(toggle, 1000, { discard: true }).pipe(
        Effect.andThen(a.resume),
        Effect.provideService(Scheduler.PreventSchedulerYield, true)
      )
      yield* ours.has(`what came through 2,000 toggles of ${name}`, sent)
      yield* theirs.has(`what the peer was sent through 2,000 toggles of ${name}`, sent)
      for (const writer of writers) yield* bench.ended(`a write through 2,000 toggles of ${name}`, writer)
    }
    yield* bench.settle
    yield* ours.has("what had come some time after the toggles", sent)
    yield* theirs.has("what the peer had been sent some time after the toggles", sent)
    yield* Effect.andThen(a.abort, b.abort)
  })

// ---------------------------------------------------------------------------------------------------------------------
// Law 43
// ---------------------------------------------------------------------------------------------------------------------

const endDuring = (bench: Bench, pause: Pause): Effect.Effect<void, Failure, Scope.Scope> =>
  Effect.gen(function*() {
    const options = { linger: { duration: 10 } }
    const during = (what: string) => `${what}, during ${pause.name}`

    // The peer's end, behind bytes and alone, with a reader that waits and with none.
    for (const last of ["last", ""]) {
      for (const isWaiting of [true, false]) {
        const [a, b] = yield* warmPair(bench, options)
        const hold = pause.of(a)
        const early = isWaiting ? yield* bench.startBlocked(readOut(a)) : undefined
        yield* hold.take
        const ending = yield* bench.start(Effect.andThen(b.write(text(last)), b.close))
        yield* bench.settle
        yield* hold.release
        const what = during(`the peer's ${last === "" ? "" : "last bytes and "}end`)
        const { bytes, how } = yield* bench.ended(what, early ?? (yield* bench.start(readOut(a))))
        yield* checkBytes(what, bytes, text(last))
        yield* checkEnd(what, how)
        yield* bench.within("our close", a.close, { millis: 20 })
        yield* bench.ended("the peer's close", ending, { millis: 20 })
        const closed = yield* outcome(bench.within("closed", a.closed))
        yield* check(closed === "success", () => `${what}: closed came to ${closed}`)
      }
    }

    if (bench.subject.capabilities.reset) {
      const [a, b] = yield* warmPair(bench)
      const hold = pause.of(a)
      yield* hold.take
      yield* bench.start(Effect.exit(b.write(text("x"))))
      yield* bench.settle
      yield* bench.within("the peer's abort", b.abort)
      yield* bench.settle
      yield* hold.release
      const what = during("the peer's reset")
      const { bytes, how } = yield* bench.within(what, readOut(a))
      yield* check(bytes.length === 0 || untext(bytes) === "x", () => `${what}: "${untext(bytes)}" in place of "x"`)
      yield* checkReadFails(what, how, "Reset")
      const closed = yield* outcome(bench.within(`${what}: closed`, a.closed))
      yield* check(closed === "Reset", () => `${what}: closed came to ${closed}`)
    }

    // Nobody reads, so that a write has to notice. One that is paused too may do so on resume.
    const [c, d] = yield* warmPair(bench, options)
    const hold = pause.of(c)
    yield* hold.take
    yield* bench.within("the peer's close", d.close, { millis: 20 })
    yield* bench.start(Effect.exit(c.write(text("to whom?"))))
    yield* bench.settle
    if (pause.name === "pause") yield* hold.release
    yield* bench.failsSoon(during("a write after the peer's close"), c.write(text("who?")), "Reset", "Disconnected")
    yield* c.abort

    // Our own end does not wait for the pause to end.
    for (const ending of ["close", "abort"] as const) {
      const [e, f] = yield* warmPair(bench, options)
      const hold = pause.of(e)
      const waiting = yield* bench.startBlocked(pullOnce(e))
      yield* hold.take
      yield* bench.within(during(ending), Effect.exit(e[ending]), { millis: 20 })
      const what = during(`a read that waited at ${ending}`)
      yield* checkReadFails(what, yield* bench.ended(what, waiting), "Closed")
      const late = during(`a read after ${ending}`)
      yield* checkReadFails(late, yield* bench.within(late, pullOnce(e)), "Closed")
      yield* f.abort
    }
  })

// ---------------------------------------------------------------------------------------------------------------------
// Law 44
// ---------------------------------------------------------------------------------------------------------------------

const resumeAfterEnd = (bench: Bench, pause: Pause): Effect.Effect<void, Failure, Scope.Scope> =>
  Effect.gen(function*() {
    /** Neither an error nor a defect nor a wait. */
    const harmless = (what: string, effect: Effect.Effect<void>) =>
      Effect.gen(function*() {
        const came = yield* outcome(bench.within(what, effect))
        yield* check(came === "success", () => `${what} came to ${came}`)
      })
    const silent = (what: string, transport: Transport.Transport) =>
      Effect.gen(function*() {
        yield* checkReadFails(what, yield* bench.within(what, pullOnce(transport)), "Closed")
        const { reading } = yield* transport.buffered
        yield* check(reading === 0, () => `${what}: ${reading} bytes of input were held`)
      })

    for (const ending of ["close", "abort"] as const) {
      const [a, b] = yield* warmPair(bench, { linger: { duration: 10 } })
      const hold = pause.of(a)
      yield* bench.start(Effect.exit(b.write(text("held"))))
      yield* bench.arrived(a, 4)
      yield* hold.take
      yield* bench.start(Effect.exit(b.write(text("more"))))
      yield* bench.within(ending, Effect.exit(a[ending]), { millis: 20 })
      const what = `${pause.name}, resumed after ${ending}`
      yield* harmless(what, hold.release)
      yield* silent(`${what}: a read`, a)
      yield* harmless(`${what}, and paused again`, hold.take)
      yield* silent(`${what}, and paused again: a read`, a)
      yield* harmless(`${what}, and resumed again`, hold.release)
      yield* bench.settle
      yield* silent(`${what}, some time later: a read`, a)
      yield* b.abort
    }

    // In the middle of a close that has still much to flush.
    const [c, d] = yield* warmPair(bench, { closeTimeout: 60_000 })
    const hold = pause.of(c)
    yield* bench.fill(c)
    yield* hold.take
    const closing = yield* bench.startBlocked(Effect.exit(c.close))
    yield* harmless(`${pause.name}, resumed during a close`, hold.release)
    yield* bench.start(Effect.exit(d.write(text("late"))))
    yield* bench.settle
    yield* silent(`${pause.name}, resumed during a close: a read`, c)
    yield* Effect.andThen(c.abort, d.abort)
    yield* bench.ended("a close that was aborted", closing)

    // After the peer's end there is no more to read, whoever pauses.
    const [e, f] = yield* warmPair(bench, { linger: { duration: 10 } })
    yield* bench.within("the peer's close", f.close, { millis: 20 })
    for (const when of ["before any pause", "after a pause and a resume"]) {
      yield* checkEnd(`the end of input ${when}`, yield* bench.within(`the end of input ${when}`, pullOnce(e)))
      const after = pause.of(e)
      yield* harmless(`${pause.name} after the end of input`, after.take)
      yield* harmless(`${pause.name}, resumed after the end of input`, after.release)
    }
    yield* e.abort
  })
