/**
 * Laws 51 to 56: the end of one direction.
 */
import * as Effect from "effect/Effect"
import * as Connection from "../../Connection.ts"
import * as Transport from "../../Transport.ts"
import {
  type Bench,
  check,
  checkBytes,
  checkEnd,
  checkPattern,
  checkReadFails,
  failsWith,
  halfCloseable,
  outcome,
  pattern,
  pullOnce,
  text
} from "../bench.ts"
import type { Law } from "../law.ts"

export const halfCloseLaws: ReadonlyArray<Law> = [
  {
    number: 51,
    title: "half-close flushes, then shows the peer our end; our reading goes on",
    needs: ["halfClose"],
    test: Effect.fnUntraced(function*(bench) {
      for (const turned of [false, true]) {
        const [one, other] = yield* bench.pair({ highWaterMark: 262_144 })
        const [a, b] = turned ? [other, one] : [one, other]
        const end = yield* halfCloseable(a)
        const closed = yield* bench.start(Effect.exit(a.closed))
        const reading = yield* bench.startBlocked(pullOnce(a))

        // More than the peer takes unread, in writes small enough to be complete before they have left.
        const sending = yield* bench.start(Effect.gen(function*() {
          for (let from = 0; from < 131_072; from += 16_384) yield* a.write(pattern(16_384, from))
          yield* end.halfClose
          return (yield* a.buffered).writing
        }))
        yield* bench.settle
        yield* checkPattern("what was written before the half-close", yield* bench.readToEnd(b), 131_072)
        const queued = yield* bench.ended("the half-close", sending)
        yield* check(queued === 0, () => `the half-close was complete with ${queued} bytes still queued`)

        yield* bench.stillWaits("the read that waited at the half-close", reading)
        const replying = yield* bench.start(b.write(text("y")))
        const pulled = yield* bench.ended("the read that waited at the half-close", reading)
        yield* check(
          pulled._tag === "Chunks" && pulled.chunks.length === 1 && pulled.chunks[0][0] === 0x79,
          () => `the read that waited at the half-close got ${pulled._tag} in place of the reply`
        )
        yield* bench.ended("the reply", replying)
        const more = yield* bench.start(b.write(text("more")))
        yield* checkBytes("a second reply", yield* bench.read(a, 4), text("more"))
        yield* bench.ended("the second reply", more)
        yield* bench.stillWaits("closed, with the peer's direction open", closed)

        yield* bench.start(b.close)
        yield* checkEnd("a read after the peer's end", yield* bench.within("the end of input", pullOnce(a)))
      }
    })
  },
  {
    number: 52,
    title: "a large reply after our half-close arrives whole",
    needs: ["halfClose"],
    test: Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair({ closeTimeout: 60_000 })
      const client = yield* halfCloseable(a)
      yield* bench.within("the half-close", client.halfClose)
      yield* checkEnd("the peer's read", yield* bench.within("the end of input", pullOnce(b)))

      // 10 MiB, with a rest before the last piece: a half-closed connection does not end by time.
      const piece = pattern(1_048_576)
      const replying = yield* bench.start(Effect.repeat(b.write(piece), { times: 8 }))
      for (let i = 1; i <= 9; i++) yield* bench.receive(`MiB ${i} of the reply`, a, piece)
      yield* bench.ended("the reply", replying)
      yield* bench.elapse(bench.subject.capabilities.virtualTime === true ? 3_600_000 : 20)
      const closing = yield* bench.start(Effect.andThen(b.write(piece), b.close))
      yield* bench.receive("the last MiB of the reply", a, piece)
      yield* checkEnd("the read behind the reply", yield* bench.within("the end of input", pullOnce(a)))
      yield* bench.ended("the end of the reply", closing)
    })
  },
  {
    number: 53,
    title: "half-close may be repeated, and does no harm after the peer's close or reset",
    needs: ["halfClose"],
    test: Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair()
      const client = yield* halfCloseable(a)
      const sending = yield* bench.start(a.write(pattern(262_144)))
      yield* bench.settle
      // The second and the third come while the first still flushes.
      const halfCloses = [
        yield* bench.startBlocked(client.halfClose),
        yield* bench.startBlocked(client.halfClose),
        yield* bench.startBlocked(client.halfClose)
      ]
      yield* checkPattern("what was written before the half-closes", yield* bench.readToEnd(b), 262_144)
      yield* bench.ended("the write", sending)
      for (const [i, fiber] of halfCloses.entries()) yield* bench.ended(`half-close ${i + 1} of three at once`, fiber)
      for (const again of [4, 5, 6]) yield* bench.within(`half-close ${again} in a row`, client.halfClose)
      yield* checkEnd("the peer's second read of our end", yield* bench.within("a read", pullOnce(b)))
      const replying = yield* bench.start(b.write(text("reply")))
      yield* checkBytes("the reply after six half-closes", yield* bench.read(a, 5), text("reply"))
      yield* bench.ended("the reply", replying)
      yield* bench.start(b.close)
      yield* checkEnd("our read after the peer's end", yield* bench.within("the end of input", pullOnce(a)))

      const ways = bench.subject.capabilities.reset ? ["close", "abort"] as const : ["close"] as const
      for (const how of ways) {
        for (const isSeen of [true, false]) {
          const [c, d] = yield* bench.pair()
          const client = yield* halfCloseable(c)
          yield* bench.start(d[how])
          if (isSeen) yield* bench.within("our read after the peer went", pullOnce(c))
          for (let again = 1; again <= 3; again++) {
            const came = yield* bench.within(`half-close ${again} after the peer's ${how}`, outcome(client.halfClose))
            yield* check(
              came === "success" || came === "Reset",
              () => `half-close ${again} after the peer's ${how} came to ${came} in place of success or Reset`
            )
          }
        }
      }
    })
  },
  {
    number: 54,
    title: "half-close after close fails as Closed; it never reopens anything, and never hangs",
    needs: ["halfClose"],
    test: Effect.fnUntraced(function*(bench) {
      for (const how of ["close", "half-close and close", "abort"] as const) {
        const [a, b] = yield* bench.pair({ linger: { duration: 10 } })
        const client = yield* halfCloseable(a)
        if (how === "half-close and close") yield* bench.within("the half-close before", client.halfClose)
        yield* bench.within(how, how === "abort" ? a.abort : a.close, { millis: 20 })
        for (const which of ["a half-close", "a second half-close"]) {
          const what = `${which} after ${how}`
          yield* failsWith(what, bench.within(what, client.halfClose), "Closed")
        }
        yield* checkReadFails(`a read after ${how}`, yield* bench.within("a late read", pullOnce(a)), "Closed")
        const late = `a write after ${how} and half-close`
        yield* failsWith(late, bench.within(late, a.write(text("late"))), "Closed")
        const seen = yield* bench.within("the peer's read", pullOnce(b))
        if (how !== "abort") yield* checkEnd(`the peer's read after ${how}`, seen)
      }

      // While the close still flushes: refused at once, and the close is not disturbed.
      const [a, b] = yield* bench.pair({ closeTimeout: 60_000 })
      const client = yield* halfCloseable(a)
      const accepted = yield* bench.fill(a)
      const before = yield* bench.startBlocked(outcome(client.halfClose))
      const closing = yield* bench.startBlocked(a.close)
      const what = "a half-close during close"
      yield* failsWith(what, bench.within(what, client.halfClose), "Closed")
      yield* checkPattern("what was written before the close", yield* bench.readToEnd(b), accepted)
      const came = yield* bench.ended("the half-close that waited at the close", before)
      yield* check(
        came === "success" || came === "Closed",
        () => `the half-close that waited at the close came to ${came}`
      )
      yield* bench.start(b.close)
      yield* bench.ended("the close", closing)
    })
  },
  {
    number: 55,
    title: "when both ends have half-closed and the input is read, all is released without another call",
    needs: ["halfClose"],
    test: Effect.fnUntraced(function*(bench) {
      for (const first of ["ours first", "the peer's first", "both at once"] as const) {
        for (const how of ["pulls", "forEach"] as const) {
          const before = yield* bench.held
          const [a, b] = yield* bench.pair()
          const client = yield* halfCloseable(a)
          const server = yield* halfCloseable(b)
          const tail = Effect.andThen(b.write(text("tail")), server.halfClose)
          if (first === "ours first") yield* bench.within("our half-close", client.halfClose)
          const ending = yield* bench.start(tail)
          yield* bench.settle
          if (first !== "ours first") yield* bench.within("our half-close", client.halfClose)
          // The end was there, and our input was not read: nothing of it may be lost.
          yield* bench.settle
          const unread = how === "pulls" ? yield* bench.readToEnd(a) : yield* readByForEach(bench, a)
          yield* checkBytes(`what was unread (${first}, by ${how})`, unread, text("tail"))
          yield* bench.ended("the peer's half-close", ending)
          yield* checkEnd("the peer's read", yield* bench.within("the end of input", pullOnce(b)))
          for (const [whose, end] of [["our", a], ["the peer's", b]] as const) {
            const what = `${whose} closed after both half-closed (${first}, read by ${how})`
            const came = yield* bench.within(what, outcome(end.closed))
            yield* check(came === "success", () => `${what} came to ${came}`)
          }
          yield* bench.heldAtMost(`the release of what both ends held (${first}, read by ${how})`, before)
        }
      }
    })
  },
  {
    number: 56,
    title: "a transport without half-close says so beforehand, and has nothing to call",
    needs: ["noHalfClose"],
    test: Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair()
      for (const [from, to] of [[a, b], [b, a]] as const) {
        yield* check(
          !Transport.isHalfCloseable(from),
          "the subject says that it cannot half-close, and a transport of it says that it can"
        )
        const writing = yield* bench.start(from.write(text("still works")))
        yield* checkBytes("what was written", yield* bench.read(to, 11), text("still works"))
        yield* bench.ended("the write", writing)
      }
    })
  }
]

/** Everything to the end, taken in the read callback. */
const readByForEach = (bench: Bench, from: Transport.Transport) =>
  Effect.suspend(() => {
    const all: Array<number> = []
    const reading = Connection.forEach(from, (chunks) =>
      Effect.sync(() => {
        for (const chunk of chunks) all.push(...chunk)
      }))
    return Effect.map(bench.within("the end of input, by forEach", reading), () => Uint8Array.from(all))
  })
