/**
 * Laws 10 to 13: the end of input.
 */
import * as Effect from "effect/Effect"
import * as Connection from "../../Connection.ts"
import * as Transport from "../../Transport.ts"
import {
  type Bench,
  broken,
  check,
  checkBytes,
  checkEnd,
  checkPattern,
  checkReadFails,
  failsWith,
  halfCloseable,
  pattern,
  pulledBy,
  pullOnce,
  text
} from "../bench.ts"
import type { Law } from "../law.ts"

export const eofLaws: ReadonlyArray<Law> = [
  {
    number: 10,
    title: "the end of input is sticky and final",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      const { halfClose: canHalfClose } = bench.subject.capabilities
      const [a, b] = yield* bench.pair(quick)
      const sending = yield* bench.start(Effect.andThen(b.write(text("last")), b.close))
      yield* checkBytes("what came before the end", yield* bench.readToEnd(a), text("last"))
      const endsAgain = Effect.fnUntraced(function*(when: string) {
        for (let again = 1; again <= 3; again++) {
          const what = `read ${again} after the end${when}`
          yield* checkEnd(what, yield* bench.within(what, pullOnce(a)))
        }
      })
      yield* endsAgain("")
      const limited = yield* bench.within("a limited read after the end", pulledBy(Transport.read(a, 1)))
      yield* checkEnd("a limited read after the end", limited)
      yield* bench.within("forEach after the end", Connection.forEach(a, () => broken("forEach found a batch")))
      // By one lease, that stays.
      yield* Effect.scoped(Effect.flatMap(a.reader, (reader) =>
        Effect.repeat(
          Effect.flatMap(bench.within("a pull after the end", pulledBy(reader.pull)), (pulled) =>
            checkEnd("a pull after the end", pulled)),
          { times: 2 }
        )))
      yield* bench.ended("the peer's close", sending)
      yield* bench.settle
      yield* endsAgain(" and after all of the peer")
      if (!canHalfClose) return
      yield* bench.within("our half-close", Effect.exit((yield* halfCloseable(a)).halfClose))
      yield* bench.settle
      yield* endsAgain(" of both directions")

      const [c, d] = yield* bench.pair(quick)
      const waiting = yield* bench.startBlocked(pullOnce(c))
      yield* bench.within("the peer's half-close", (yield* halfCloseable(d)).halfClose)
      yield* checkEnd("the read that waited", yield* bench.ended("the read that waited for the end", waiting))
      yield* bench.within("the peer's abort", d.abort)
      yield* bench.settle
      yield* checkEnd("a read after the end and an abort", yield* bench.within("a late read", pullOnce(c)))
    })
  },
  {
    number: 11,
    title: "all that the peer sent before its end arrives before the end, however late it is read",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair()
      const sending = yield* bench.start(Effect.andThen(b.write(pattern(1_048_576)), b.close))
      yield* bench.settle
      yield* checkPattern("what the peer sent", yield* bench.readToEnd(a), 1_048_576)
      // The peer's close may linger for our end.
      yield* bench.within("our close", a.close)
      yield* bench.ended("the peer's writing and close", sending)
      if (bench.subject.capabilities.buffers === false) return

      // The peer is gone before the first read, and left something unread itself.
      const [c, d] = yield* bench.pair(quick)
      yield* bench.within("our write", c.write(text("never read")))
      yield* bench.within("the peer's write", d.write(pattern(10_000)))
      yield* bench.arrived(d, 10)
      yield* bench.within("the peer's close", d.close, { millis: 20 })
      yield* aWhile(bench)
      yield* checkPattern("what the peer sent, who is gone,", yield* bench.readToEnd(c), 10_000)
    })
  },
  {
    number: 12,
    title: "an end of our own, by close or abort, is an error to reads and never the end of input",
    test: Effect.fnUntraced(function*(bench) {
      for (const how of ["close", "abort"] as const) {
        const [a] = yield* bench.pair(quick)
        const blocked = yield* bench.startBlocked(pullOnce(a))
        yield* bench.within(how, Effect.exit(a[how]), { millis: 20 })
        const woken = yield* bench.ended(`the read that waited at ${how}`, blocked)
        yield* checkReadFails(`the read that waited at ${how}`, woken, "Closed")
        yield* check(
          woken._tag === "Failed" && woken.error.reason._tag === "Closed" && woken.error.reason.by === how,
          `the read that waited at ${how} failed as closed by something else`
        )
        yield* checkReadFails(`a read after ${how}`, yield* bench.within("a late read", pullOnce(a)), "Closed")

        const [c] = yield* bench.pair(quick)
        const looping = yield* bench.startBlocked(Connection.forEach(c, () => Effect.void))
        yield* bench.within(how, Effect.exit(c[how]), { millis: 20 })
        const loop = bench.ended(`the loop that waited at ${how}`, looping)
        yield* failsWith(`the loop that waited at ${how}`, loop, "Closed")

        // With input that nobody read, and the peer's end behind it.
        const [e, f] = yield* bench.pair(quick)
        yield* bench.startBlocked(Effect.exit(Effect.andThen(f.write(text("unread")), f.close)))
        yield* bench.arrived(e, 6)
        yield* bench.settle
        yield* bench.within(how, Effect.exit(e[how]), { millis: 20 })
        for (const again of ["a read", "a second read"]) {
          const what = `${again} after ${how}, with input and the peer's end unread,`
          yield* checkReadFails(what, yield* bench.within(what, pullOnce(e)), "Closed")
        }
      }
    })
  },
  {
    number: 13,
    title: "the peer's end leaves our direction open, unless the options say otherwise",
    needs: ["halfClose"],
    test: Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair()
      const client = yield* halfCloseable(b)
      yield* bench.within("half-close", client.halfClose)
      yield* checkEnd("a read", yield* bench.within("the end of input", pullOnce(a)))
      yield* aWhile(bench)
      const sending = yield* bench.start(Effect.andThen(a.write(pattern(1_048_576)), a.close))
      yield* checkPattern("what we sent after the peer's end", yield* bench.readToEnd(b), 1_048_576)
      yield* bench.ended("our writing and close", sending)

      const [c, d] = yield* bench.pair({ onPeerEnd: "close" })
      const closing = yield* halfCloseable(d)
      const queued = yield* bench.start(c.write(pattern(100_000)))
      yield* bench.within("half-close", closing.halfClose)
      yield* checkPattern("what was queued with onPeerEnd: close", yield* bench.readToEnd(d), 100_000)
      yield* bench.ended("the write that was queued", queued)
      const late = failsWith("a write after that end", c.write(text("late")), "Closed")
      yield* bench.within("a write after that end", late)
      yield* checkEnd("a read", yield* bench.within("a read after that end", pullOnce(c)))
      yield* bench.within("the end of both directions", c.closed)
    })
  }
]

/** A day, where it costs nothing. */
const aWhile = (bench: Bench): Effect.Effect<void> =>
  Effect.andThen(bench.settle, bench.elapse(bench.subject.capabilities.virtualTime === true ? 86_400_000 : 20))

/** So that the end of a law does not take longer than the law. */
const quick = { linger: { duration: 10 } }
