/**
 * Laws 19 to 23: several chunks as one write.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { concat } from "../../internal/bytes.ts"
import * as Transport from "../../Transport.ts"
import {
  abandoned,
  type Bench,
  broken,
  check,
  checkBytes,
  failsWith,
  isSame,
  makeBench,
  outcome,
  pattern,
  text
} from "../bench.ts"
import { has, type Law, type Subject } from "../law.ts"
import { randomOf } from "../random.ts"
import { backpressureLaws } from "./backpressure.ts"
import { writingLaws } from "./writing.ts"

/** No law about writing depends on how fast the machine is. */
const patient: Transport.TransportOptions = { ...abandoned, closeTimeout: "1 minute" }

const empty = new Uint8Array(0)

export const writevLaws: ReadonlyArray<Law> = [
  {
    number: 19,
    title: "a sequence is one write: unbroken, in order, also with other writers at work",
    test: Effect.fnUntraced(function*(bench) {
      const { a, b, junkOfA } = yield* bench.clogged(abandoned)
      const random = randomOf(19)
      const rounds = Array.from({ length: 25 }, (_, round) => round)
      const messages = [0, 1, 2].map((writer) =>
        rounds.map((round) => messageOf(writer, round, [0, random(200), random(3000), 20_000][random(12) % 4]!))
      )
      // The last writer joins what the others leave in parts, and nobody must be able to tell.
      const writers = yield* Effect.forEach(messages, (own, writer) =>
        bench.start(
          Effect.forEach(own, (parts) => writer === 2 ? a.write(concat(parts)) : a.writeAll(parts), { discard: true })
        ))
      yield* bench.settle
      yield* bench.read(b, junkOfA)
      const bytes = yield* bench.read(b, concat(messages.flat(2)).length)
      for (const writer of writers) yield* bench.ended("a writer", writer)

      const next = [0, 0, 0]
      let at = 0
      while (at < bytes.length) {
        const writer = bytes[at + 1]!
        const expected = messages[writer]?.[next[writer]!]
        if (expected === undefined) return yield* broken(`byte ${at} of the peer's input begins no message`)
        const whole = concat(expected)
        const seen = bytes.subarray(at, at + whole.length)
        if (!isSame(seen, whole)) {
          return yield* broken(`message ${next[writer]} of writer ${writer} was torn, or not in its turn`)
        }
        next[writer]!++
        at += whole.length
      }
    })
  },
  {
    number: 20,
    title: "an empty sequence and empty chunks are harmless, also right before close",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      const x = text("x")
      const large = pattern(20_000)
      const calls: ReadonlyArray<ReadonlyArray<ReadonlyArray<Uint8Array>>> = [
        [[]],
        [[empty]],
        [[empty, x, empty]],
        [[x, empty]],
        [[empty, empty, x]],
        [[empty, large, empty]],
        [[], [empty, x, empty], [], [x, empty], [empty, empty]]
      ]
      for (const sequences of calls) {
        const what = `a close behind ${JSON.stringify(sequences.map((each) => each.map((chunk) => chunk.length)))}`
        const [a, b] = yield* bench.pair(patient)
        const writing = yield* bench.start(
          Effect.andThen(Effect.forEach(sequences, (each) => a.writeAll(each), { discard: true }), a.close)
        )
        yield* checkBytes(what, yield* bench.readToEnd(b), concat(sequences.flat()))
        yield* bench.within("the peer's close", b.close)
        yield* bench.ended(what, writing)
      }

      const { a, b, junkOfA, junkOfB } = yield* bench.clogged(patient)
      yield* bench.read(a, junkOfB)
      const waiting = yield* bench.startBlocked(a.writeAll([empty, x, empty]))
      yield* bench.read(b, junkOfA)
      yield* checkBytes("a sequence that waited", yield* bench.read(b, 1), x)
      yield* bench.ended("a sequence that waited", waiting)
      const closing = yield* bench.start(a.close)
      yield* checkBytes("behind a sequence that waited", yield* bench.readToEnd(b), empty)
      yield* bench.within("the peer's close", b.close)
      yield* bench.ended("a close behind a sequence that waited", closing)
    })
  },
  {
    number: 21,
    title: "a sequence is read once, and checked as a whole before anything of it is taken",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      const good = text("good")
      const large = pattern(20_000)
      const bad: ReadonlyArray<readonly [what: string, sequence: unknown]> = [
        ["null in the middle", [good, null, good]],
        ["a string in the middle", [good, "bad", good]],
        ["a number in the middle", [good, 7, good]],
        ["an array of numbers in the middle", [good, [1, 2], good]],
        ["an ArrayBuffer in the middle", [good, new ArrayBuffer(2), good]],
        ["nothing behind large chunks", [large, large, undefined, good]],
        ["undefined at the end", [good, good, undefined]],
        ["no sequence", null],
        ["a number for a sequence", 7],
        ["a generator with null in the middle", generate([good, null, good])]
      ]
      const refuse = Effect.fnUntraced(function*(a: Transport.Transport, [what, sequence]: (typeof bad)[number]) {
        const error = yield* bench.within(
          `refusing ${what}`,
          failsWith(`writing ${what}`, a.writeAll(sequence as ReadonlyArray<Uint8Array>), "InvalidOption")
        )
        yield* check(
          error.delivery === "NotSent",
          `the refusal of ${what} says ${error.delivery} of what became of its bytes`
        )
      })
      const failing = function*() {
        yield good
        throw new Error("the sequence fails")
      }

      const [a, b] = yield* bench.pair(patient)
      for (const each of bad) yield* refuse(a, each)
      const failed = yield* bench.within("a sequence that fails", Effect.exit(a.writeAll(anything(failing()))))
      yield* check(Exit.isFailure(failed), "a sequence that failed in its middle was written")
      const end = yield* bench.start(a.writeAll([text("e"), text("nd")]))
      yield* checkBytes("what the peer sees of refused sequences", yield* bench.read(b, 3), text("end"))
      yield* bench.ended("a write after refused ones", end)

      const { a: full, b: peer, junkOfA } = yield* bench.clogged(abandoned)
      for (const each of bad.slice(0, 6)) yield* refuse(full, each)
      const behind = yield* bench.start(full.write(text("end")))
      yield* bench.read(peer, junkOfA)
      yield* checkBytes("what the peer sees behind a clog", yield* bench.read(peer, 3), text("end"))
      yield* bench.ended("a write after refused ones", behind)

      // A second look would find other chunks than the first, or none.
      const [c, d] = yield* bench.pair(patient)
      const chunks = [text("re"), text("ad "), large, text(" once")]
      const writing = yield* bench.start(c.writeAll(readableOnce(chunks)))
      yield* check(
        isSame(yield* bench.read(d, concat(chunks).length), concat(chunks)),
        "a sequence was read again, and what the second look found was written"
      )
      yield* bench.ended("a sequence that can be read once", writing)
      // No array, so it may be refused; but whole.
      const generating = yield* bench.start(Effect.tap(outcome(c.writeAll(generate(chunks))), () => c.close))
      const arrived = yield* bench.readToEnd(d)
      yield* bench.within("the peer's close", d.close)
      const result = yield* bench.ended("a generator and a close", generating)
      yield* check(
        result === "success" ? isSame(arrived, concat(chunks)) : result === "InvalidOption" && arrived.length === 0,
        `a generator: ${result}, and ${arrived.length} bytes of ${concat(chunks).length} arrived`
      )
    })
  },
  {
    number: 22,
    title: "a sequence larger than one system call takes is completed",
    test: Effect.fnUntraced(function*(bench) {
      // Small enough to be copied as a whole, too large for that, of a size that fills buffers, and larger than those.
      for (const [parts, each] of [[5000, 2], [5000, 20], [100, 6500], [3, 300_007]] as const) {
        const what = `${parts} parts of ${each} bytes`
        const [a, b] = yield* bench.pair(patient)
        const bytes = pattern(parts * each)
        const sequence = Array.from({ length: parts }, (_, part) => bytes.subarray(part * each, (part + 1) * each))
        const writing = yield* bench.start(Effect.andThen(a.writeAll(sequence), a.writeAll([text("en"), text("d")])))
        yield* bench.settle
        // A slow reader: a little at a time, with turns in between.
        const seen: Array<Uint8Array> = []
        for (let left = bytes.length; left > 0; left -= seen.at(-1)!.length) {
          seen.push(yield* bench.read(b, Math.min(left, 16_381)))
        }
        yield* check(isSame(concat(seen), bytes), `${what} arrived as other bytes`)
        yield* checkBytes(`the mark behind ${what}`, yield* bench.read(b, 3), text("end"))
        yield* bench.ended(what, writing)
      }
    })
  },
  {
    number: 23,
    title: "a sequence follows a single write in flow control and in what it says when closed or broken",
    lowered:
      "laws 14 and 33 are not held again: law 22 has the sequences of many and of large parts, and every second " +
      "write of law 33 is a sequence",
    test: (bench) => Effect.forEach(followed, (law) => follow(bench, law), { discard: true })
  }
]

/** Laws of a single write that hold of a sequence as well. */
const followed: ReadonlyArray<Law> = [...backpressureLaws, ...writingLaws].filter(({ number }) =>
  [15, 16, 17, 18, 32, 34, 35, 36].includes(number)
)

/** Holds the law against the subject with each `write` made by `writeAll`; not where it is broken by `write` as well. */
const follow = Effect.fnUntraced(function*(bench: Bench, law: Law) {
  const { subject } = bench
  if ((law.needs ?? []).some((need) => !has(subject, need))) return
  const exit = yield* Effect.exit(Effect.scoped(law.test(makeBench(withSequences(subject)))))
  if (Exit.isSuccess(exit)) return
  const alone = yield* Effect.exit(Effect.scoped(law.test(bench)))
  if (Exit.isSuccess(alone)) {
    const error = Cause.squash(exit.cause)
    return yield* broken(`law ${law.number} with writeAll: ${error instanceof Error ? error.message : error}`)
  }
})

/** The subject, each write of which is a `writeAll` of some parts. */
const withSequences = (subject: Subject): Subject => {
  const replace = (transport: Transport.Transport): Transport.Transport => ({
    ...transport,
    write: (out) => Effect.suspend(() => transport.writeAll(partsOf(out)))
  })
  const { clogged } = subject
  return {
    ...subject,
    pair: (options) => Effect.map(subject.pair(options), ([a, b]) => [replace(a), replace(b)]),
    clogged: clogged &&
      ((options) => Effect.map(clogged(options), ({ a, b, ...junk }) => ({ a: replace(a), b: replace(b), ...junk })))
  }
}

const partsOf = (out: Uint8Array): ReadonlyArray<Uint8Array> => {
  if (out.length < 3) return out.length === 0 ? [] : [out]
  const third = Math.floor(out.length / 3)
  return [out.subarray(0, third), out.subarray(third, 2 * third), out.subarray(2 * third)]
}

/** A message in parts: who wrote it and when, a body that no other has, and an end. Some parts are empty. */
const messageOf = (writer: number, round: number, body: number): ReadonlyArray<Uint8Array> => [
  new Uint8Array([0xa5, writer, round]),
  pattern(body, round * 7919, writer),
  empty,
  new Uint8Array([0x5a, body >>> 8, body])
]

/** What no array of chunks is, where one is expected. */
const anything = (sequence: unknown): ReadonlyArray<Uint8Array> => sequence as ReadonlyArray<Uint8Array>

const generate = (chunks: ReadonlyArray<unknown>): ReadonlyArray<Uint8Array> =>
  anything((function*() {
    yield* chunks
  })())

/** An array whose elements are others when they are read again. */
const readableOnce = (chunks: ReadonlyArray<Uint8Array>): ReadonlyArray<Uint8Array> => {
  const seen = new Set<number>()
  const sequence: Array<Uint8Array> = []
  chunks.forEach((chunk, i) =>
    Object.defineProperty(sequence, i, {
      get: () => {
        if (seen.has(i)) return new Uint8Array(chunk.length).fill(0x3f)
        seen.add(i)
        return chunk
      }
    })
  )
  return sequence
}
