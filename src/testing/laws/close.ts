/**
 * Laws 57 to 63: the graceful end.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Connection from "../../Connection.ts"
import * as Transport from "../../Transport.ts"
import type { TransportError } from "../../TransportError.ts"
import {
  type Bench,
  check,
  checkBytes,
  checkPattern,
  checkReadFails,
  failsWith,
  outcome,
  pattern,
  type Pulled,
  pullOnce,
  text
} from "../bench.ts"
import { has, type Law, type LawBroken } from "../law.ts"

export const closeLaws: ReadonlyArray<Law> = [
  {
    number: 57,
    title: "close delivers every byte that was accepted, and then the end, to a peer that reads",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      // 1 MiB of small writes behind all that the medium takes.
      const [a, b] = yield* bench.pair({ highWaterMark: 1_048_576, closeTimeout: patient })
      const accepted = yield* bench.fill(a)
      const closing = yield* bench.startBlocked(a.close)
      yield* checkPattern("what was accepted before the close", yield* bench.readToEnd(b), accepted)
      yield* bench.start(b.close)
      yield* bench.ended("the close", closing)

      // One write of 1 MiB that was begun.
      const [c, d] = yield* bench.pair({ closeTimeout: patient })
      const sending = yield* bench.startBlocked(c.write(pattern(1_048_576)))
      const ending = yield* bench.startBlocked(c.close)
      yield* checkPattern("the write that was under way at the close", yield* bench.readToEnd(d), 1_048_576)
      yield* bench.ended("the write that was under way at the close", sending)
      yield* bench.start(d.close)
      yield* bench.ended("the close behind a large write", ending)

      // A pause of writing holds nothing back from a close.
      const [e, f] = yield* bench.pair({ closeTimeout: patient })
      yield* e.pausedWriting
      const paused = yield* bench.startBlocked(e.write(text("held back")))
      const last = yield* bench.start(e.close)
      yield* checkBytes("what a pause had held back at the close", yield* bench.readToEnd(f), text("held back"))
      yield* bench.ended("the write during the pause", paused)
      yield* bench.start(f.close)
      yield* bench.ended("the close during a pause of writing", last)
    })
  },
  {
    number: 58,
    title: "close is complete only when all is flushed and nothing is held any more",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      const before = yield* bench.held
      const [a, b] = yield* bench.pair({
        highWaterMark: 262_144,
        closeTimeout: patient,
        linger: { duration: 10 }
      })
      const open = yield* bench.held
      const accepted = yield* bench.fill(a)
      const closing = yield* closeAndLook(bench, a)
      // A slow reader: half, and then the rest.
      yield* bench.settle
      yield* bench.read(b, accepted >> 1)
      yield* bench.settle
      const rest = yield* bench.readToEnd(b)
      yield* check(
        rest.length === accepted - (accepted >> 1),
        () => `${(accepted >> 1) + rest.length} of ${accepted} bytes arrived`
      )
      const look = yield* bench.ended("the close, with all read", closing, { millis: 20 })
      if (Exit.isFailure(look.exit)) return yield* look.exit
      yield* checkLetGo("the close", look, open)
      yield* bench.within("the peer's close", b.close, { millis: 20 })
      yield* bench.heldAtMost("the release of what both ends held", before)
    })
  },
  {
    number: 59,
    title: "input that nobody read does not cost the peer our output at close",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair({ closeTimeout: patient, linger: { duration: patient, bytesMax: 1_048_576 } })
      const unread = yield* bench.startBlocked(Effect.exit(b.write(pattern(300_000, 0, 2))))
      const answering = yield* bench.startBlocked(Effect.andThen(a.write(pattern(200_000)), a.close))
      yield* bench.settle
      yield* checkPattern("our output, with 300 kB of input unread", yield* bench.readToEnd(b), 200_000)
      yield* bench.start(b.close)
      yield* bench.ended("the write and the close, with input unread", answering)
      yield* bench.ended("the peer's write", unread)

      // The same in small, where all had arrived before we answered.
      const [c, d] = yield* bench.pair({ closeTimeout: patient, linger: { duration: patient } })
      const asking = yield* bench.start(Effect.exit(d.write(text("unread"))))
      yield* bench.arrived(c, 6)
      const closing = yield* bench.start(Effect.andThen(c.write(text("answer")), c.close))
      yield* checkBytes("our answer, with 6 bytes of input unread", yield* bench.readToEnd(d), text("answer"))
      yield* bench.start(d.close)
      yield* bench.ended("the close, with 6 bytes of input unread", closing)
      yield* bench.ended("the peer's write", asking)
    })
  },
  {
    number: 60,
    title: "close is bounded: a peer that never reads makes it an abort after the limit, and the result says so",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      const before = yield* bench.held
      const stuck = yield* bench.clogged({ closeTimeout: 50 })
      const [other, otherPeer] = yield* bench.pair({ closeTimeout: patient })
      yield* bench.fill(other)
      const open = yield* bench.held
      const longer = yield* bench.startBlocked(Effect.exit(other.close))
      const closing = yield* closeAndLook(bench, stuck.a)
      const look = yield* bench.ended("the close with a limit of 50 ms", closing, { millis: 50 })
      yield* check(longer.pollUnsafe() === undefined, "a close with a limit of 60 s was over before one of 50 ms")
      const error = yield* failsWith("a close that could not flush", look.exit, "TimedOut")
      yield* check(
        error.reason._tag === "TimedOut" && error.reason.phase === "flush",
        () => `the close that could not flush failed in the wrong phase: ${error.message}`
      )
      yield* checkLetGo("the close that could not flush", look, open)
      const came = yield* bench.within("our closed", outcome(stuck.a.closed))
      yield* check(came === "TimedOut", () => `closed came to ${came} after a close that could not flush`)
      const seen = yield* drain(bench, stuck.b)
      if (bench.subject.capabilities.reset) {
        yield* checkReadFails("what the peer saw of a close that could not flush", seen, "Reset")
      }
      for (const peer of [otherPeer, stuck.b]) yield* bench.within("the peer's abort", peer.abort)
      yield* bench.ended("the close whose peer aborted", longer)
      yield* bench.heldAtMost("the release of what the ends held", before)

      // All is flushed, and the peer does not end: the release is quiet, after a time …
      const [c, d] = yield* bench.pair({ linger: { duration: 10 } })
      const lingering = yield* bench.start(Effect.andThen(c.write(text("bye")), c.close))
      yield* checkBytes("what was written before the close", yield* bench.readToEnd(d), text("bye"))
      yield* bench.ended("the close for a peer that does not end", lingering, { millis: 20 })
      yield* bench.within("closed, after a close that succeeded", c.closed)

      // … or after so many bytes of a peer that goes on and on.
      const [e, f] = yield* bench.pair({ linger: { duration: patient, bytesMax: 65_536 } })
      const chunk = new Uint8Array(4096)
      const flooding = yield* bench.startBlocked(Effect.exit(Effect.forever(f.write(chunk))))
      yield* bench.within("the close for a peer that goes on writing", e.close)
      yield* bench.ended("the writing of a peer whose other end is gone", flooding)
    })
  },
  {
    number: 61,
    title: "a close that fails releases everything all the same, once, and all later calls find it Closed",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      for (const how of ["reset while it flushes", "reset before", "out of time"] as const) {
        const before = yield* bench.held
        const [a, b] = yield* bench.pair({ closeTimeout: how === "out of time" ? 20 : patient })
        yield* bench.fill(a)
        const gone = yield* bench.startBlocked(outcome(a.closed))
        if (how === "reset before") {
          yield* bench.within("the peer's abort", b.abort)
          yield* bench.ended("closed, after the peer's abort", gone)
        }
        const closing = yield* bench.startBlocked(a.close)
        if (how === "reset while it flushes") yield* bench.within("the peer's abort", b.abort)
        const reason = how === "out of time" ? "TimedOut" : "Reset"
        const what = `a close with output queued (${how})`
        yield* failsWith(what, bench.ended(what, closing, { millis: 20 }), reason)
        const came = yield* bench.ended(`closed, after a close that failed (${how})`, gone)
        yield* check(came === reason, () => `closed came to ${came} in place of ${reason} (${how})`)
        yield* bench.within("the peer's abort", b.abort)
        yield* bench.heldAtMost(`the release after a close that failed (${how})`, before)

        // Calls on the dead one find it Closed, and do nothing to one that came after it.
        const [c, d] = yield* bench.pair()
        const waiting = yield* bench.startBlocked(pullOnce(d))
        yield* checkDead(bench, a, how, reason)
        yield* bench.stillWaits("the read of another connection", waiting)
        const writing = yield* bench.start(c.write(text("x")))
        const pulled = yield* bench.ended("the read of another connection", waiting)
        yield* check(pulled._tag === "Chunks", () => `the read of another connection came to ${pulled._tag}`)
        yield* bench.ended("the write of another connection", writing)
        yield* Effect.andThen(c.abort, d.abort)
      }
    })
  },
  {
    number: 62,
    title: "close wakes pending reads with Closed, and no more input is delivered from then on",
    test: Effect.fnUntraced(function*(bench) {
      // While the close still flushes.
      const [a, b] = yield* bench.pair({ closeTimeout: patient })
      const reading = yield* bench.startBlocked(pullOnce(a))
      yield* bench.fill(a)
      const closing = yield* bench.startBlocked(Effect.exit(a.close))
      yield* checkReadFails("the read that waited at the close", yield* bench.ended("that read", reading), "Closed")
      yield* bench.start(Effect.exit(b.write(text("late"))))
      yield* bench.settle
      yield* checkReadFails("a read during the close", yield* bench.within("a read", pullOnce(a)), "Closed")
      // Where nothing tells of the peer's, our own ends the close.
      const [whose, other] = has(bench.subject, "peerEnd") ? ["peer's", b] as const : ["own", a] as const
      yield* bench.within(`the ${whose} abort`, other.abort)
      yield* bench.ended(`the close that met its ${whose} abort`, closing)

      // What had arrived and was not read.
      const [c, d] = yield* bench.pair({ linger: { duration: 10 } })
      yield* bench.start(Effect.exit(d.write(text("early"))))
      yield* bench.arrived(c, 5)
      yield* bench.within("the close", c.close, { millis: 20 })
      const late = yield* bench.within("a read", pullOnce(c))
      yield* checkReadFails("a read after the close, of what had arrived before it", late, "Closed")

      // A loop of reading, closed from outside and by its own handler.
      for (const whose of ["another fiber", "the handler itself"] as const) {
        const [e, f] = yield* bench.pair({ linger: { duration: 10 } })
        let batches = 0
        const begun = yield* Deferred.make<void>()
        const loop = yield* bench.start(Connection.forEach(e, () => {
          batches++
          return Effect.andThen(
            Deferred.succeed(begun, undefined),
            whose === "the handler itself" ? e.close : Effect.void
          )
        }))
        const first = yield* bench.start(f.write(text("first")))
        yield* bench.ended("the peer's first write", first, { millis: 20 })
        if (whose === "another fiber") {
          yield* bench.within("the handler", Deferred.await(begun))
          yield* bench.within("the close", e.close, { millis: 20 })
        }
        const before = whose === "another fiber" ? batches : 1
        yield* bench.start(Effect.exit(Effect.forEach(["second", "third"], (word) => f.write(text(word)))))
        const what = `a loop of reading, closed by ${whose}`
        yield* failsWith(what, bench.ended(what, loop, { millis: 20 }), "Closed")
        yield* bench.settle
        yield* check(batches === before, () => `${what}, was handed ${batches - before} more batches`)
      }
    })
  },
  {
    number: 63,
    title:
      "from the call to close on new writes fail; accepted ones are flushed; one that waits for room fails, unsent",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair({ closeTimeout: patient })
      let accepted = yield* bench.fill(a)
      // The medium may have taken a little more by now: what still waits when close is called is what counts.
      const waiting: Array<Fiber.Fiber<void, TransportError>> = []
      for (const bytes of [16_384, 40_000]) {
        for (let i = 0; i < 2; i++) {
          const fiber = yield* bench.startBlocked(a.write(pattern(bytes, accepted)))
          if (fiber.pollUnsafe() === undefined) {
            waiting.push(fiber)
            break
          }
          yield* bench.ended("a write", fiber)
          accepted += bytes
        }
      }
      let isLate = false
      const closing = yield* bench.startBlocked(Effect.suspend(() => {
        isLate = waiting.some((fiber) => fiber.pollUnsafe() !== undefined)
        return a.close
      }))
      for (const [i, fiber] of isLate ? [] : waiting.entries()) {
        const what = `write ${i + 1} that waited for room at the close`
        const error = yield* failsWith(what, bench.ended(what, fiber), "Closed")
        yield* check(error.delivery === "NotSent", () => `${what} failed with delivery ${error.delivery}`)
      }
      const late: ReadonlyArray<readonly [string, Effect.Effect<void, TransportError>]> = [
        ["a write", a.write(text("late"))],
        ["a large write", a.write(new Uint8Array(40_000))],
        ["an empty write", a.write(new Uint8Array(0))],
        ["a writeAll", a.writeAll([text("la"), text("te")])]
      ]
      for (const [name, write] of late) {
        const what = `${name} during the close`
        const error = yield* failsWith(what, bench.within(what, write), "Closed")
        yield* check(error.delivery === "NotSent", () => `${what} failed with delivery ${error.delivery}`)
      }
      const arrived = yield* bench.readToEnd(b)
      if (!isLate) yield* checkPattern("what was accepted before the close", arrived, accepted)
      yield* bench.start(b.close)
      yield* bench.ended("the close", closing)
    })
  }
]

/** Longer than the kit waits for anything: a limit that is not to be reached. */
const patient = 60_000

/** How a close ended, and what there was at that moment. */
interface Look {
  readonly exit: Exit.Exit<void, TransportError>
  readonly queued: number
  readonly held: number
  readonly isClosed: boolean
}

/** Starts a close. That the transport is closed then is known after some turns: no time has to pass for it. */
const closeAndLook = (
  bench: Bench,
  transport: Transport.Transport
): Effect.Effect<Fiber.Fiber<Look>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const closed = yield* bench.startBlocked(Effect.exit(transport.closed))
    return yield* bench.startBlocked(Effect.gen(function*() {
      const exit = yield* Effect.exit(transport.close)
      const { writing } = yield* transport.buffered
      for (let turn = 0; turn < 100 && closed.pollUnsafe() === undefined; turn++) yield* Effect.yieldNow
      return { exit, queued: writing, held: yield* bench.held, isClosed: closed.pollUnsafe() !== undefined }
    }))
  })

const checkLetGo = (what: string, look: Look, open: number): Effect.Effect<void, LawBroken> =>
  Effect.gen(function*() {
    yield* check(look.queued === 0, () => `${what} was complete with ${look.queued} bytes still queued`)
    yield* check(look.isClosed, `${what} was complete before the transport was closed`)
    yield* check(open === 0 || look.held < open, `${what} was complete before its resources were let go`)
  })

/** Reads until something other than bytes comes. */
const drain = (bench: Bench, transport: Transport.Transport): Effect.Effect<Pulled, LawBroken> => {
  const read: Effect.Effect<Pulled> = Effect.flatMap(
    pullOnce(transport),
    (pulled) => pulled._tag === "Chunks" ? read : Effect.succeed(pulled)
  )
  return bench.within("the peer's reading", read)
}

/** All calls on a transport whose close has failed. */
const checkDead = (
  bench: Bench,
  transport: Transport.Transport,
  how: string,
  reason: string
): Effect.Effect<void, LawBroken | TransportError> =>
  Effect.gen(function*() {
    const again = (ending: "close" | "abort") =>
      Effect.gen(function*() {
        const came = yield* bench.within(`a second ${ending} after ${how}`, outcome(transport[ending]))
        yield* check(came === "success" || came === reason, () => `a second ${ending} after ${how} came to ${came}`)
      })
    for (const ending of ["close", "abort", "close"] as const) {
      const pulled = yield* bench.within("a late read", pullOnce(transport))
      yield* checkReadFails(`a read after a close that failed (${how})`, pulled, "Closed")
      const late: Array<readonly [string, Effect.Effect<void, TransportError>]> = [
        ["a write", transport.write(text("late"))],
        ["an empty write", transport.write(new Uint8Array(0))],
        ["a writeAll", transport.writeAll([text("la"), text("te")])]
      ]
      if (bench.subject.capabilities.halfClose && Transport.isHalfCloseable(transport)) {
        late.push(["a half-close", transport.halfClose])
      }
      for (const [name, call] of late) {
        const what = `${name} after a close that failed (${how})`
        yield* failsWith(what, bench.within(what, call), "Closed")
      }
      yield* again(ending)
    }
  })
