/**
 * Laws 14 to 18: what a write promises.
 */
import * as Effect from "effect/Effect"
import type * as Transport from "../../Transport.ts"
import type { Reason } from "../../TransportError.ts"
import {
  type Bench,
  broken,
  check,
  checkBytes,
  checkEnd,
  failsWith,
  halfCloseable,
  junkByte,
  pattern,
  pullOnce,
  showPulled,
  text
} from "../bench.ts"
import type { Law } from "../law.ts"
import { randomOf } from "../random.ts"

export const writingLaws: ReadonlyArray<Law> = [
  {
    number: 14,
    title: "a write is whole or fails, whatever its size",
    lowered:
      "in virtual time the largest write is 10 MB and not 60 MB, which are there to be more than a kernel buffers",
    test: Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair(quick)
      const largest = bench.subject.capabilities.virtualTime === true ? 10_000_000 : 60_000_000
      const data = large(16 + largest)
      for (const bytes of new Set([1, 10_000_000, largest])) {
        // A view into larger memory, as most are.
        const sent = data.subarray(16, 16 + bytes)
        const sending = yield* bench.start(a.write(sent))
        yield* bench.receive(`a write of ${bytes} bytes`, b, sent)
        yield* bench.ended(`a write of ${bytes} bytes`, sending)
      }

      const random = randomOf(14)
      const sizes = Array.from({ length: 5000 }, () => 1 + random(3))
      const tiny = pattern(sizes.reduce((sum, bytes) => sum + bytes, 0))
      let at = 0
      const sending = yield* bench.start(
        Effect.forEach(sizes, (bytes) => Effect.suspend(() => a.write(tiny.subarray(at, at += bytes))), {
          discard: true
        })
      )
      yield* bench.receive("5000 tiny writes", b, tiny)
      yield* bench.ended("5000 tiny writes", sending)

      // Many times what the marks let in.
      const [c, d] = yield* bench.pair({ highWaterMark: 10, lowWaterMark: 0, readMark: 100 })
      const sendingMore = yield* bench.start(Effect.andThen(c.write(pattern(100_000)), c.close))
      yield* bench.receive("a write that is larger than the marks", d, pattern(100_000))
      yield* bench.within("the reader's close", d.close)
      yield* bench.ended("a write that is larger than the marks, and a close,", sendingMore)
    })
  },
  {
    number: 15,
    title: "a write of nothing succeeds and sends nothing while the transport is open, and fails when it is not",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      const nothing = new Uint8Array()
      const [a, b] = yield* bench.pair(quick)
      const waiting = yield* bench.startBlocked(pullOnce(b))
      for (let time = 0; time < 3; time++) yield* bench.within("a write of nothing", a.write(nothing))
      yield* bench.stillWaits("the peer's read, when nothing was written,", waiting)
      const sending = yield* bench.start(Effect.andThen(a.write(text("yes")), a.write(nothing)))
      const pulled = yield* bench.ended("the peer's read", waiting)
      if (pulled._tag !== "Chunks") return yield* broken(`the peer found ${showPulled(pulled)} in place of 3 bytes`)
      yield* bench.ended("a write behind a write of nothing", sending)
      const last = yield* bench.start(Effect.andThen(a.write(nothing), Effect.andThen(a.write(text("no")), a.close)))
      const rest = yield* bench.readToEnd(b)
      yield* checkBytes(
        "what came",
        Uint8Array.of(...pulled.chunks.flatMap((chunk) => [...chunk]), ...rest),
        text("yesno")
      )
      yield* bench.within("the peer's close", b.close)
      yield* bench.ended("a close behind a write of nothing", last)
      yield* fails(bench, "a write of nothing after close", a.write(nothing), "Closed")

      const [c] = yield* bench.pair(quick)
      yield* bench.within("abort", c.abort)
      yield* fails(bench, "a write of nothing after abort", c.write(nothing), "Closed")

      if (bench.subject.capabilities.halfClose) {
        const [e] = yield* bench.pair(quick)
        yield* bench.within("half-close", (yield* halfCloseable(e)).halfClose)
        yield* fails(bench, "a write of nothing after half-close", e.write(nothing), "Closed")
      }

      const [g, h] = yield* bench.pair(quick)
      yield* bench.within("the peer's close", h.close, { millis: 20 })
      yield* bench.failsSoon("a write to a peer that is gone", g.write(text("y")), ...lost)
      yield* fails(bench, "a write of nothing to a peer that is gone", g.write(nothing), ...lost)
    })
  },
  {
    number: 16,
    title: "a buffer is the caller's again when its write is complete",
    test: Effect.fnUntraced(function*(bench) {
      // One buffer for all writes, overwritten as soon as each is complete.
      const buffer = new Uint8Array(300_000)
      let at = 0
      const writeNext = (transport: Transport.Transport, bytes: number) =>
        Effect.suspend(() => {
          buffer.set(pattern(bytes, at))
          at += bytes
          return Effect.map(transport.write(buffer.subarray(0, bytes)), () => {
            buffer.fill(0xaa, 0, bytes)
          })
        })

      // As many as are taken while nobody reads, or as it looks like. Small, so that they need not wait for their turn.
      const [a, b] = yield* bench.pair(quicker)
      let isEnough = false
      const writing = yield* bench.start(Effect.gen(function*() {
        for (let i = 0; !isEnough; i++) yield* writeNext(a, i % 4 === 3 ? 16_384 : 1000)
      }))
      for (let before = -1; before !== at && at < 67_108_864;) {
        before = at
        yield* bench.settle
      }
      isEnough = true
      yield* bench.receive("what was written while nobody read", b, pattern(at))
      yield* bench.ended("the writes", writing)

      at = 0
      const sizes = [1, 100, 1024, 1024, 16_384, 16_385, 1024, 65_536, 300_000, 1024]
      const clogged = yield* bench.clogged(quicker)
      const queued = yield* bench.startBlocked(
        Effect.forEach(sizes, (bytes) => writeNext(clogged.a, bytes), { discard: true })
      )
      yield* bench.receive("the junk", clogged.b, new Uint8Array(clogged.junkOfA).fill(junkByte))
      yield* bench.receive(
        "what was written behind a clog",
        clogged.b,
        pattern(sizes.reduce((sum, bytes) => sum + bytes))
      )
      yield* bench.ended("the writes behind a clog", queued)
    })
  },
  {
    number: 17,
    title: "a write after our half-close, close or abort fails as closed, sends nothing and leaves reading as it is",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      const refuses = Effect.fnUntraced(
        function*(transport: Transport.Transport, builtBefore: ReturnType<Transport.Transport["write"]>, by: string) {
          for (
            const [what, writing] of [
              ["a write that was built before", builtBefore],
              ["a write", transport.write(text("late"))],
              ["a large write", transport.write(new Uint8Array(100_000))],
              ["a writeAll", transport.writeAll([text("la"), text("te")])],
              ["a write, again,", transport.write(text("late"))]
            ] as const
          ) {
            const name = `${what} after ${by}`
            const error = yield* fails(bench, name, writing, "Closed")
            const reason = error.reason
            yield* check(
              reason._tag === "Closed" && reason.by === by,
              () => `${name} failed with ${error.message}: not by ${by}`
            )
            yield* check(
              error.operation === "write" && error.delivery === "NotSent",
              () => `${name} failed in ${error.operation} with delivery ${error.delivery} in place of write, NotSent`
            )
          }
        }
      )

      if (bench.subject.capabilities.halfClose) {
        const [a, b] = yield* bench.pair(quick)
        const late = a.write(text("late"))
        const half = yield* halfCloseable(a)
        const ending = yield* bench.start(Effect.andThen(a.write(text("before")), half.halfClose))
        yield* checkBytes("what the peer got", yield* bench.readToEnd(b), text("before"))
        yield* bench.ended("the half-close", ending)
        yield* refuses(a, late, "halfClose")
        // A read that waits is not disturbed, and all that comes is whole.
        const waiting = yield* bench.startBlocked(bench.receive("the peer's reply", a, pattern(100_000)))
        yield* refuses(a, late, "halfClose")
        yield* checkEnd("another read of the peer", yield* bench.within("another read of the peer", pullOnce(b)))
        const replying = yield* bench.start(Effect.andThen(b.write(pattern(100_000)), b.close))
        yield* bench.ended("reading the peer's reply", waiting)
        yield* checkEnd("a read after the reply", yield* bench.within("a read after the reply", pullOnce(a)))
        yield* bench.ended("the reply", replying)
      }

      for (const by of ["close", "abort"] as const) {
        const [a, b] = yield* bench.pair(quick)
        const late = a.write(text("late"))
        yield* bench.within(by, Effect.exit(a[by]), { millis: 20 })
        yield* refuses(a, late, by)
        const pulled = yield* bench.within("the peer's read", pullOnce(b))
        yield* check(pulled._tag !== "Chunks", () => `${showPulled(pulled)} came, which were written after ${by}`)
      }
    })
  },
  {
    number: 18,
    title: "when the peer is gone, writes soon fail, go on failing, and none hangs",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      for (const how of ["close", "abort"] as const) {
        for (const bytes of [1, 100_000]) {
          for (const isReading of [false, true]) {
            const [a, b] = yield* bench.pair(quick)
            if (isReading) yield* bench.startBlocked(pullOnce(a))
            yield* bench.within(`the peer's ${how}`, Effect.exit(b[how]), { millis: 20 })
            const what = `a write of ${bytes} bytes after the peer's ${how}`
            const { reason } = yield* bench.failsSoon(what, a.write(new Uint8Array(bytes)), ...lost)
            for (
              const again of [a.write(new Uint8Array(bytes)), a.writeAll([text("x"), text("y")]), a.write(text("z"))]
            ) {
              yield* fails(bench, `another write after ${what}`, again, reason._tag)
            }
          }
        }
      }

      const clogged = yield* bench.clogged(quicker)
      const blocked = yield* bench.startBlocked(clogged.a.write(new Uint8Array(1_048_576)))
      const second = yield* bench.startBlocked(clogged.a.write(text("y")))
      yield* bench.stillWaits("a write behind a clog", blocked)
      yield* bench.within("the peer's abort", clogged.b.abort)
      for (const [what, fiber] of [["the write", blocked], ["the second write", second]] as const) {
        yield* failsWith(what, bench.ended(`${what} that waited when the peer left`, fiber), ...lost)
      }
      yield* fails(bench, "a write after those", clogged.a.write(text("z")), ...lost)
    })
  }
]

const fails = (
  bench: Bench,
  what: string,
  writing: ReturnType<Transport.Transport["write"]>,
  ...reasons: ReadonlyArray<Reason["_tag"]>
) => bench.within(what, failsWith(what, writing, ...reasons))

/** How a connection is lost at the other end: sockets are reset, devices and processes go. */
const lost = ["Reset", "Disconnected"] as const

/** So that the end of a law does not take longer than the law. */
const quick = { linger: { duration: 10 } }

/** The same where the peer never reads; for laws that close nothing themselves. */
const quicker = { ...quick, closeTimeout: 10 }

/** A pattern of many megabytes, quickly: a block whose length is prime, again and again, with the place stamped in. */
const large = (bytes: number): Uint8Array => {
  const block = pattern(999_983)
  const out = new Uint8Array(bytes)
  for (let at = 0; at < bytes; at += block.length) out.set(block.subarray(0, bytes - at), at)
  const words = new DataView(out.buffer)
  for (let at = 0; at + 4 <= bytes; at += 4096) words.setUint32(at, at)
  return out
}
