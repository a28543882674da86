/**
 * Laws 6 to 9: what a read gives, and when.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Connection from "../../Connection.ts"
import { concat } from "../../internal/bytes.ts"
import * as Transport from "../../Transport.ts"
import type { TransportError } from "../../TransportError.ts"
import {
  broken,
  check,
  checkBytes,
  checkEnd,
  checkPattern,
  isSame,
  pattern,
  pulledBy,
  pullOnce,
  showPulled,
  text
} from "../bench.ts"
import type { Law, LawBroken } from "../law.ts"
import { randomOf } from "../random.ts"

export const readingLaws: ReadonlyArray<Law> = [
  {
    number: 6,
    title: "a read brings at least one byte: nothing is never delivered",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair()
      const waiting = yield* bench.startBlocked(pullOnce(a))
      yield* bench.within("a write of nothing", b.write(nothing))
      yield* bench.within("a writeAll of nothing", b.writeAll([nothing, nothing]))
      yield* bench.stillWaits("a read, while the peer wrote nothing,", waiting)
      yield* bench.start(b.write(text("some")))
      const first = yield* bench.ended("a read, when there was something,", waiting)
      if (first._tag !== "Chunks") return yield* broken(`a read found ${showPulled(first)} in place of 4 bytes`)
      yield* checkNotEmpty("a read", first.chunks)

      // One at a time, so that each could come in a piece of its own: an input buffer of any of these sizes fills exactly.
      for (const bytes of [256, 512, 1024, 4096, 8192, 16_384, 32_768, 65_536]) {
        const sending = yield* bench.start(b.write(pattern(bytes)))
        for (let left = bytes; left > 0;) {
          const pulled = yield* bench.within(`reading ${bytes} bytes`, pullOnce(a))
          if (pulled._tag !== "Chunks") return yield* broken(`${bytes} bytes ended with ${showPulled(pulled)}`)
          left -= yield* checkNotEmpty(`a read of ${bytes} bytes`, pulled.chunks)
        }
        yield* bench.ended(`writing ${bytes} bytes`, sending)
      }

      // Traffic without order, nothing among it and nothing at its end.
      const random = randomOf(6)
      const sizes = Array.from({ length: 200 }, () => random(3) === 0 ? 0 : random(2000))
      const sending = yield* bench.start(Effect.andThen(
        Effect.forEach(
          sizes,
          (bytes, i) => i % 8 === 0 ? b.writeAll([nothing, pattern(bytes), nothing]) : b.write(pattern(bytes)),
          { discard: true }
        ),
        Effect.andThen(b.write(nothing), b.close)
      ))
      let sum = 0
      yield* bench.within(
        "reading to the end",
        Connection.forEach(a, (batch) =>
          Effect.map(checkNotEmpty("a batch", batch), (bytes) => {
            sum += bytes
          }))
      )
      const expected = sizes.reduce((all, bytes) => all + bytes, 0)
      yield* check(sum === expected, () => `${sum} bytes came in place of ${expected}`)
      yield* checkEnd("a read after all", yield* bench.within("a read after all", pullOnce(a)))
      yield* bench.within("our close", a.close)
      yield* bench.ended("the peer's writing and close", sending)
    })
  },
  {
    number: 7,
    title: "a limited read keeps to its limit and leaves the rest in its place; a limit that is none is refused",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair({ linger: { duration: 10 } })
      const refusesNoLimits = Effect.forEach([0, -1, 1.5, NaN, Infinity], (limit) => {
        const what = `read(${limit})`
        const reading = pulledBy(Transport.read(a, limit))
        return Effect.flatMap(bench.within(what, reading), (pulled) =>
          check(
            pulled._tag === "Failed" && pulled.error.reason._tag === "InvalidOption",
            () => `${what}: ${showPulled(pulled)} in place of InvalidOption`
          ))
      })
      let got = new Uint8Array()
      const readThree = Effect.gen(function*() {
        const pulled = yield* bench.within("read(3)", pulledBy(Transport.read(a, 3)))
        if (pulled._tag !== "Chunks") {
          return yield* broken(`read(3) found ${showPulled(pulled)} after ${got.length} bytes`)
        }
        const bytes = yield* checkNotEmpty("read(3)", pulled.chunks)
        yield* check(bytes <= 3, () => `read(3) gave ${bytes} bytes`)
        got = Uint8Array.of(...got, ...pulled.chunks[0])
      })

      // With nothing there to wait for, and with something there to lose.
      yield* refusesNoLimits
      const sending = yield* bench.startBlocked(Effect.andThen(
        b.write(text("01234")),
        Effect.andThen(bench.settle, b.write(text("56789")))
      ))
      yield* bench.arrived(a, 10)
      yield* refusesNoLimits
      yield* readThree
      // What comes meanwhile stands behind the rest.
      const more = yield* bench.start(Effect.andThen(Fiber.await(sending), b.write(text("abcdef"))))
      yield* bench.arrived(a, 16 - got.length)
      while (got.length < 16) yield* readThree
      yield* checkBytes("reads of 3 bytes", got, text("0123456789abcdef"))
      yield* bench.ended("the peer's writes", sending)
      yield* bench.ended("the peer's last write", more)

      // Put back in many pieces, when more has come meanwhile.
      const again = yield* bench.start(b.write(text("0123456789")))
      const lawScope = yield* Effect.scope
      let late: Fiber.Fiber<void, TransportError> | undefined
      yield* Effect.scoped(Effect.gen(function*() {
        const reader = yield* a.reader
        const pulled = yield* bench.within("a pull", pulledBy(reader.pull))
        if (pulled._tag !== "Chunks") return yield* broken(`a pull found ${showPulled(pulled)}`)
        const back = yield* checkNotEmpty("a pull", pulled.chunks)
        const writing = Effect.andThen(Fiber.await(again), b.write(text("abcdef")))
        late = yield* Scope.provide(bench.start(writing), lawScope)
        yield* bench.arrived(a, 16 - back)
        yield* reader.unread(pulled.chunks.flatMap((chunk) => Array.from(chunk, (_, i) => chunk.subarray(i, i + 1))))
      }))
      got = new Uint8Array()
      while (got.length < 16) yield* readThree
      yield* checkBytes("reads of 3 bytes of what was put back", got, text("0123456789abcdef"))
      yield* bench.ended("the peer's write", again)
      yield* bench.ended("the peer's last write", late!)

      yield* bench.within("the peer's close", Effect.exit(b.close), { millis: 20 })
      yield* refusesNoLimits
      const end = yield* bench.within("a limited read at the end", pulledBy(Transport.read(a, 3)))
      yield* checkEnd("a limited read at the end", end)
    })
  },
  {
    number: 8,
    title: "a read returns as soon as something is there, and the borders of chunks carry no meaning",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair()
      const reads = [Transport.read(a, 65_536), Effect.scoped(Effect.flatMap(a.reader, (reader) => reader.pull))]
      for (let round = 0; round < 10; round++) {
        for (const read of reads) {
          for (const first of ["read", "write"] as const) {
            const byte = Uint8Array.of(round)
            const early = first === "write" ? yield* bench.start(b.write(byte)) : undefined
            if (early !== undefined) yield* bench.arrived(a, 1)
            const reading = yield* bench.start(pulledBy(read))
            const sending = early ?? (yield* bench.start(b.write(byte)))
            const pulled = yield* bench.ended("a read, when there is one byte,", reading)
            if (pulled._tag !== "Chunks") return yield* broken(`one byte came as ${showPulled(pulled)}`)
            yield* checkBytes("one byte", pulled.chunks[0], byte)
            yield* bench.ended("the write of one byte", sending)
          }
        }
      }

      const length = 1_048_576
      const data = pattern(length)
      const random = randomOf(8)
      // Of every size alike: as many below 256 as above.
      const size = () => 1 + random(2 ** (1 + random(16)))
      const sending = yield* bench.start(Effect.gen(function*() {
        for (let at = 0; at < length;) {
          const bytes = size()
          yield* b.write(data.subarray(at, at + bytes))
          at += bytes
        }
        yield* b.close
      }))
      const all = new Uint8Array(length)
      let at = 0
      while (true) {
        const limit = size()
        const pulled = yield* bench.within(`a read of up to ${limit} bytes`, pulledBy(Transport.read(a, limit)))
        if (pulled._tag === "End") break
        if (pulled._tag === "Failed") return yield* Effect.fail(pulled.error)
        const bytes = yield* checkNotEmpty("a read", pulled.chunks)
        yield* check(bytes <= limit, () => `a read of up to ${limit} bytes gave ${bytes}`)
        yield* check(at + bytes <= length, () => `more than the ${length} bytes came that were sent`)
        all.set(pulled.chunks[0], at)
        at += bytes
      }
      yield* checkPattern("what was read in pieces", all.subarray(0, at), length)
      yield* bench.within("our close", a.close)
      yield* bench.ended("the peer's writing and close", sending)
    })
  },
  {
    number: 9,
    title: "a chunk that was delivered belongs to the receiver for good",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      const kept: Array<{ readonly chunk: Uint8Array; readonly asItWas: Uint8Array }> = []
      let bytes = 0
      const keep = (chunks: NonEmptyReadonlyArray<Uint8Array>) => {
        for (const chunk of chunks) {
          kept.push({ chunk, asItWas: chunk.slice() })
          bytes += chunk.length
        }
      }
      const checkKept = Effect.suspend(() => {
        const changed = kept.findIndex(({ asItWas, chunk }) => !isSame(chunk, asItWas))
        return check(changed < 0, () => `chunk ${changed} of ${kept.length} changed after it was delivered`)
      })
      const random = randomOf(9)
      const sizes = Array.from({ length: 40 }, (_, i) => i % 4 === 0 ? 16_385 + random(20_000) : 1 + random(3000))
      const total = sizes.reduce((sum, bytes) => sum + bytes, 0)
      // The writer's buffer is its own again when a write is complete, and it uses it for the next.
      const send = (peer: Transport.Transport) =>
        Effect.suspend(() => {
          const buffer = new Uint8Array(65_536)
          let at = 0
          return Effect.forEach(sizes, (size) =>
            Effect.suspend(() => {
              buffer.set(pattern(size, at))
              at += size
              return peer.write(buffer.subarray(0, size))
            }), { discard: true })
        })

      // Kept by reference across reads, interruptions, the end, and our own close.
      const [a, b] = yield* bench.pair({ linger: { duration: 10 } })
      const sending = yield* bench.start(send(b))
      while (bytes < total) {
        const reading = yield* bench.start(pullOnce(a))
        if (random(4) === 0) {
          yield* Fiber.interrupt(reading)
          const exit = reading.pollUnsafe()!
          if (Exit.isSuccess(exit) && exit.value._tag === "Chunks") keep(exit.value.chunks)
        } else {
          const pulled = yield* bench.ended(`a read after ${bytes} bytes`, reading)
          if (pulled._tag !== "Chunks") return yield* broken(`${showPulled(pulled)} after ${bytes} of ${total} bytes`)
          keep(pulled.chunks)
        }
      }
      yield* bench.ended("the peer's writing", sending)
      yield* checkPattern("what was read", concat(kept.map(({ chunk }) => chunk)), total)
      // Small ones, each in a piece of its own as far as the transport likes.
      for (let round = 0; round < 300; round++) {
        const sending = yield* bench.start(b.write(new Uint8Array(100).fill(round)))
        for (const enough = total + (round + 1) * 100; bytes < enough;) {
          const pulled = yield* bench.within(`a read after ${bytes} bytes`, pullOnce(a))
          if (pulled._tag !== "Chunks") return yield* broken(`${showPulled(pulled)} after ${bytes} bytes`)
          keep(pulled.chunks)
        }
        yield* bench.ended("the write of 100 bytes", sending)
      }
      yield* checkKept
      yield* bench.within("the peer's close", Effect.exit(b.close), { millis: 20 })
      yield* bench.within("our close", Effect.exit(a.close), { millis: 20 })
      yield* bench.settle
      yield* checkKept

      // The same where batches are handed over as they arrive.
      kept.length = bytes = 0
      const [c, d] = yield* bench.pair()
      const sendingAll = yield* bench.start(Effect.andThen(send(d), d.close))
      yield* bench.within("reading to the end", Connection.forEach(c, (batch) => Effect.sync(() => keep(batch))))
      yield* checkPattern("what was read by forEach", concat(kept.map(({ chunk }) => chunk)), total)
      yield* checkKept
      yield* bench.within("our close", c.close)
      yield* bench.ended("the peer's writing and close", sendingAll)

      // The receiver may write into its chunks: that changes no other, nothing unread, and nothing of the sender.
      const [e, f] = yield* bench.pair()
      const data = pattern(total)
      const sendingOne = yield* bench.start(Effect.andThen(f.write(data), f.close))
      const owned: Array<Uint8Array> = []
      for (let at = 0; at < total;) {
        const limit = 1 + random(20_000)
        const pulled = yield* bench.within("a limited read", pulledBy(Transport.read(e, limit)))
        if (pulled._tag !== "Chunks") return yield* broken(`${showPulled(pulled)} after ${at} of ${total} bytes`)
        for (const chunk of pulled.chunks) {
          yield* checkPattern("a read after chunks before it were overwritten", chunk, chunk.length, at)
          at += chunk.length
          chunk.fill(owned.length)
          owned.push(chunk)
        }
      }
      const shared = owned.findIndex((chunk, i) => chunk.some((byte) => byte !== (i & 0xff)))
      yield* check(shared < 0, () => `chunk ${shared} of ${owned.length} shares memory with another`)
      yield* bench.within("our close", e.close)
      yield* bench.ended("the peer's writing and close", sendingOne)
      yield* checkPattern("the sender's buffer, after the receiver wrote into what it got", data, total)
    })
  }
]

const nothing = new Uint8Array()

/** Breaks the law if a read gave nothing; answers with how much it gave. */
const checkNotEmpty = (what: string, chunks: ReadonlyArray<Uint8Array>): Effect.Effect<number, LawBroken> =>
  Effect.gen(function*() {
    yield* check(chunks.length > 0, `${what} gave no chunk at all`)
    let bytes = 0
    for (const [i, chunk] of chunks.entries()) {
      yield* check(chunk.length > 0, `${what} gave an empty chunk (${i + 1} of ${chunks.length})`)
      bytes += chunk.length
    }
    return bytes
  })
