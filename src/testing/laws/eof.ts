/**
 * Laws 10 to 13: the end of input.
 */
import * as Effect from "effect/Effect"
import { check, checkEnd, checkPattern, checkReadFails, halfCloseable, pattern, pullOnce, text } from "../bench.ts"
import type { Law } from "../law.ts"

export const eofLaws: ReadonlyArray<Law> = [
  {
    number: 10,
    title: "the end of input is sticky and final",
    test: Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair()
      yield* bench.start(Effect.andThen(b.write(text("last")), b.close))
      yield* bench.readToEnd(a)
      for (let again = 1; again <= 3; again++) {
        yield* checkEnd(`read ${again} after the end`, yield* bench.within("a read after the end", pullOnce(a)))
      }
    })
  },
  {
    number: 11,
    title: "all that the peer sent before its end arrives before the end, however late it is read",
    test: Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair()
      const sending = yield* bench.start(Effect.andThen(b.write(pattern(1_048_576)), b.close))
      yield* bench.settle
      yield* checkPattern("what the peer sent", yield* bench.readToEnd(a), 1_048_576)
      // The peer's close may linger for our end.
      yield* bench.within("our close", a.close)
      yield* bench.ended("the peer's writing and close", sending)
    })
  },
  {
    number: 12,
    title: "an end of our own, by close or abort, is an error to reads and never the end of input",
    test: Effect.fnUntraced(function*(bench) {
      for (const how of ["close", "abort"] as const) {
        const [a] = yield* bench.pair({ linger: { duration: 10 } })
        const blocked = yield* bench.startBlocked(pullOnce(a))
        yield* bench.within(how, Effect.exit(a[how]), { millis: 20 })
        const woken = yield* bench.ended(`the read that waited at ${how}`, blocked)
        yield* checkReadFails(`the read that waited at ${how}`, woken, "Closed")
        yield* checkReadFails(`a read after ${how}`, yield* bench.within("a late read", pullOnce(a)), "Closed")
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
      const sending = yield* bench.start(Effect.andThen(a.write(pattern(1_048_576)), a.close))
      yield* checkPattern("what we sent after the peer's end", yield* bench.readToEnd(b), 1_048_576)
      yield* bench.ended("our writing and close", sending)

      const [c, d] = yield* bench.pair({ onPeerEnd: "close" })
      const closing = yield* halfCloseable(d)
      yield* bench.start(c.write(text("queued")))
      yield* bench.within("half-close", closing.halfClose)
      const answer = yield* bench.readToEnd(d)
      yield* check(answer.length === 6, "with onPeerEnd: close, what was queued was not flushed before our end")
    })
  }
]
