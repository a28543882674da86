/**
 * Laws 32 to 38: bounds, marks, and pressure that passes on.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Connection from "../../Connection.ts"
import * as Transport from "../../Transport.ts"
import type * as TransportError from "../../TransportError.ts"
import { type Bench, broken, check, checkPattern, collect, failsWith, holdOf, pattern, pulledBy } from "../bench.ts"
import type { Law, LawBroken } from "../law.ts"
import { randomOf } from "../random.ts"

type Failure = LawBroken | TransportError.TransportError

export const backpressureLaws: ReadonlyArray<Law> = [
  {
    number: 32,
    title: "writers wait for a peer that does not read, and what is queued is bounded, summed over all of them",
    test: Effect.fnUntraced(function*(bench) {
      // 256 MiB at once. The system below may take a part of it.
      const [a, b] = yield* bench.pair()
      const large = new Uint8Array(1_048_576)
      const parts = Array.from({ length: 16 }, (_, i) => large.subarray(i * 65_536, (i + 1) * 65_536))
      let complete = 0
      for (let writer = 0; writer < 256; writer++) {
        const write = writer % 2 === 0 ? a.write(large) : a.writeAll(parts)
        yield* bench.start(Effect.andThen(write, Effect.sync(() => complete++)))
      }
      for (let look = 0; look < 4; look++) {
        yield* bench.settle
        yield* checkQueued("with 256 writes of 1 MiB to a peer that does not read", a, 65_536 + large.length)
      }
      yield* check(complete <= 128, () => `${complete} of 256 writes of 1 MiB completed, and the peer read nothing`)
      yield* Effect.andThen(a.abort, b.abort)

      // Small ones, behind all that the system takes.
      const [c, d] = yield* bench.pair({ highWaterMark: 16_384 })
      const largest = 16_384
      yield* bench.fill(c, largest)
      const halves = [new Uint8Array(4096), new Uint8Array(4096)]
      for (let writer = 0; writer < 256; writer++) {
        yield* bench.start(writer % 2 === 0 ? c.write(new Uint8Array(8192)) : c.writeAll(halves))
      }
      yield* bench.settle
      yield* checkQueued("with 256 writes of 8 KiB to a peer that does not read", c, 16_384 + largest)
      yield* Effect.andThen(c.abort, d.abort)
    })
  },
  {
    number: 33,
    title: "a writer that waits goes on once the peer reads: no wake-up is lost, however little is read at a time",
    lowered:
      "1,000 writes as in the catalogue, each of them waiting until the peer reads, unless the medium has large " +
      "buffers of its own: such a medium makes room for several writes at once, and only the first of them waits",
    test: Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair({ highWaterMark: 128, lowWaterMark: 32, readMark: 64 })
      const random = randomOf(33)
      let got = 0
      let sent = yield* bench.fill(a)
      // In proportion to what the medium holds, or it would take all 1,000 at once.
      const bytes = Math.max(160, sent >> 7)
      const round = Effect.gen(function*() {
        const chunk = pattern(bytes, sent)
        const cut = random(bytes)
        const write = cut % 2 === 0 ? a.write(chunk) : a.writeAll([chunk.subarray(0, cut), chunk.subarray(cut)])
        // First the writer waits, then the reader comes.
        const writing = yield* Effect.forkChild(write, { startImmediately: true })
        sent += bytes
        while (writing.pollUnsafe() === undefined && got < sent) {
          const read = yield* readSome(b, 1 + random(bytes))
          yield* checkPattern(`what arrived from byte ${got} on`, read, read.length, got)
          got += read.length
        }
        yield* Fiber.join(writing)
      })
      for (let first = 1; first <= 1000; first += 50) {
        const what = `writes ${first} to ${first + 49}, each of which waited until the peer read,`
        yield* bench.within(what, Effect.replicateEffect(round, 50, { discard: true }))
      }
      yield* Effect.andThen(a.abort, b.abort)
    })
  },
  {
    number: 34,
    title: "writers wait when more than the high mark is queued, and go on when it is the low mark or less",
    needs: ["buffers"],
    lowered:
      "no record of pause and resume calls, since there are none: the marks show in which writes wait and in what " +
      "is queued; downwards it is the property test alone that steps, since a peer cannot take single bytes on all media",
    test: Effect.fnUntraced(function*(bench) {
      yield* stepUp(bench)
      yield* walkMarks(bench, 200)
    })
  },
  {
    number: 35,
    title: "marks are checked before anything is opened, and marks of zero hold",
    needs: ["buffers"],
    lowered: "nothing about lowering the marks of a live transport, since they are fixed when it is opened",
    test: Effect.fnUntraced(function*(bench) {
      const before = yield* bench.held
      for (const marks of badMarks) {
        const what = `opening with ${showMarks(marks)}`
        yield* failsWith(what, bench.within(what, Effect.scoped(bench.pair(marks))), "InvalidOption")
        const after = yield* bench.held
        yield* check(after <= before, () => `${what} was refused, and left something open`)
      }
      for (const marks of goodMarks) {
        const [a, b] = yield* bench.pair(marks)
        const hold = holdOf(a.pausedWriting)
        yield* hold.take
        const high = marks.highWaterMark
        // One byte more than the mark, byte by byte; at a mark of zero this is the one that an empty queue takes.
        for (let i = 0; i <= high; i++) {
          yield* bench.within(`with ${showMarks(marks)}, write ${i + 1} of one byte`, a.write(pattern(1, i)))
        }
        const next = yield* bench.startBlocked(a.write(pattern(1, high + 1)))
        yield* bench.stillWaits(`with ${showMarks(marks)}, and ${high + 1} bytes queued, a write`, next)
        yield* hold.release
        yield* checkPattern(`with ${showMarks(marks)}, what arrived`, yield* bench.read(b, high + 2), high + 2)
        yield* bench.ended(`with ${showMarks(marks)}, the write that waited`, next)
        yield* Effect.andThen(a.abort, b.abort)
      }
    })
  },
  {
    number: 36,
    title: "whoever waits for room or for a flush fails promptly when the transport ends, by whatever route",
    needs: ["peerEnd"],
    test: (bench) => Effect.forEach(deaths, (death) => dieWaiting(bench, death), { discard: true })
  },
  {
    number: 37,
    title: "unread input is bounded too: when nobody reads, the peer's writes wait",
    test: Effect.fnUntraced(function*(bench) {
      const readMark = 65_536
      const [a, b] = yield* bench.pair()
      const bounded = (what: string) =>
        Effect.flatMap(
          a.buffered,
          ({ reading }) =>
            check(reading <= readMark + pieceBytes, () => `${what}, ${reading} bytes of input were held in memory`)
        )
      // `fill` breaks the law if the peer's writes never wait.
      const sent = yield* bench.fill(b)
      yield* bounded("with nobody reading")

      // Tiny reads put the rest back each time; so does a reader that only looks.
      const tiny = 100
      for (let i = 0; i < tiny; i++) {
        const byte = yield* bench.within("a read of one byte", readSome(a, 1))
        yield* checkPattern(`byte ${i} of what was held`, byte, 1, i)
        if (i % 25 === 0) yield* bench.settle
        yield* bounded(`after ${i + 1} reads of one byte`)
      }
      for (let i = 0; i < tiny; i++) {
        yield* Effect.scoped(Effect.gen(function*() {
          const reader = yield* a.reader
          const pulled = yield* bench.within("a read", pulledBy(reader.pull))
          if (i % 25 === 0) yield* bench.settle
          if (pulled._tag !== "Chunks") return yield* broken(`a read came to ${pulled._tag}`)
          yield* reader.unread(pulled.chunks)
          yield* bounded(`after ${i + 1} looks at what is there`)
        }))
      }
      yield* bench.receive("what was sent while nobody read", a, pattern(sent - tiny, tiny))
      yield* Effect.andThen(a.abort, b.abort)

      // A pause is not a way around it.
      const [c, d] = yield* bench.pair({ readMark: 4096 })
      const hold = holdOf(c.pausedReading)
      yield* hold.take
      const held = yield* bench.fill(d)
      const { reading } = yield* c.buffered
      yield* check(
        reading <= 4096 + pieceBytes,
        () => `with reading paused, ${reading} bytes of input were held in memory`
      )
      yield* hold.release
      yield* bench.receive("what was sent while reading was paused", c, pattern(held))
      yield* Effect.andThen(c.abort, d.abort)
    })
  },
  {
    number: 38,
    title: "layers pass pressure on: what is stacked on a transport waits with it, and holds one batch at the most",
    lowered:
      "no fake transport that pauses on command: the layers are stacked on the subject itself, and full is what " +
      "its peer does not read or what a pause of writing holds back",
    test: (bench) => Effect.forEach(ways, (way) => relay(bench, way), { discard: true })
  }
]

/** What one read of a medium may bring beyond the mark. */
const pieceBytes = 65_536

const checkQueued = (what: string, transport: Transport.Transport, bound: number): Effect.Effect<void, LawBroken> =>
  Effect.flatMap(
    transport.buffered,
    ({ writing }) => check(writing <= bound, () => `${what}, ${writing} bytes were queued, which is over ${bound}`)
  )

/** A read with a limit, from an input that has more to come. */
const readSome = (transport: Transport.Transport, bytesMax: number): Effect.Effect<Uint8Array, Failure> =>
  Pull.catchDone(Transport.read(transport, bytesMax), () => broken("the end came while bytes were still due"))

// ---------------------------------------------------------------------------------------------------------------------
// Law 34
// ---------------------------------------------------------------------------------------------------------------------

/** Queued bytes stay queued while writing is paused, so each step up can be seen. */
const stepUp = (bench: Bench): Effect.Effect<void, Failure, Scope.Scope> =>
  Effect.gen(function*() {
    const [a, b] = yield* bench.pair({ highWaterMark: 4, lowWaterMark: 2 })
    const hold = holdOf(a.pausedWriting)
    const queued = (what: string, bytes: number) =>
      Effect.flatMap(
        a.buffered,
        ({ writing }) => check(writing === bytes, () => `${what}: ${writing} bytes queued in place of ${bytes}`)
      )
    let sent = 0
    const take = (bytes: number) => pattern(bytes, (sent += bytes) - bytes)

    yield* hold.take
    for (const [bytes, size] of [[3, 3], [1, 4], [1, 5]] as const) {
      const what = `a write of ${bytes} that makes ${size}, at marks of 4 and 2`
      yield* bench.within(what, a.write(take(bytes)))
      yield* queued(what, size)
    }
    const sixth = yield* bench.startBlocked(a.write(take(1)))
    yield* bench.stillWaits("a write with 5 bytes queued, at marks of 4 and 2,", sixth)
    yield* queued("while a write waits", 5)
    yield* hold.release
    yield* checkPattern("what was held back", yield* bench.read(b, sent), sent)
    yield* bench.ended("the write that waited", sixth)

    // Larger than the high mark: it starts on an empty queue, and on no other.
    yield* hold.take
    yield* bench.within("a write of 1 byte, with nothing queued,", a.write(take(1)))
    const large = yield* bench.startBlocked(a.write(take(9)))
    yield* bench.stillWaits("a write of 9 bytes with 1 byte queued, at a high mark of 4,", large)
    yield* hold.release
    yield* checkPattern("what was held back behind it", yield* bench.read(b, 10), 10, sent - 10)
    yield* bench.ended("the write of 9 bytes", large)
    yield* hold.take
    yield* bench.within("a write of 9 bytes, with nothing queued, at a high mark of 4,", a.write(take(9)))
    yield* queued("with a write over the mark", 9)
    yield* hold.release
    yield* checkPattern("the write over the mark", yield* bench.read(b, 9), 9, sent - 9)
    yield* Effect.andThen(a.abort, b.abort)
  })

/**
 * Writes, reads and pauses at random. What is queued grows by our writes alone, so that what is seen just before and just
 * after each write tells whether it had to wait and when it may have gone on.
 */
const walkMarks = (bench: Bench, writes: number): Effect.Effect<void, Failure, Scope.Scope> =>
  Effect.gen(function*() {
    const [high, low] = [4, 2]
    const [a, b] = yield* bench.pair({ highWaterMark: high, lowWaterMark: low, readMark: 1 })
    const hold = holdOf(a.pausedWriting)
    const random = randomOf(34)
    const size = Effect.map(a.buffered, ({ writing }) => writing)
    let isHeld = false
    let sent = 0
    let got = 0
    /** Whether more than the high mark was queued and not yet the low mark: none of both where it cannot be told. */
    let isFull: boolean | undefined = false
    let waiter:
      | { readonly bytes: number; readonly fiber: Fiber.Fiber<number, TransportError.TransportError> }
      | undefined

    const wrote = (bytes: number, before: number, after: number) =>
      Effect.suspend(() => {
        sent += bytes
        const limit = bytes > high ? 0 : before
        isFull = after > high ? true : before + bytes > high && after > low ? undefined : false
        return check(
          after <= limit + bytes,
          () => `a write of ${bytes} bytes went on with ${after - bytes} bytes queued, at marks of ${high} and ${low}`
        )
      })

    const write = Effect.gen(function*() {
      const bytes = 1 + random(random(6) === 0 ? 9 : 4)
      const before = yield* size
      if (before <= low) isFull = false
      const writing = Effect.andThen(a.write(pattern(bytes, sent)), size)
      if (before === 0 || (isFull === false && bytes <= high)) {
        const what = `a write of ${bytes} bytes with ${before} queued, at marks of ${high} and ${low},`
        yield* wrote(bytes, before, yield* bench.within(what, writing))
      } else {
        waiter = { bytes, fiber: yield* bench.start(writing) }
        yield* Effect.yieldNow
      }
    })

    const look = Effect.gen(function*() {
      const now = yield* size
      if (waiter === undefined) return
      const { bytes, fiber } = waiter
      const mayGoOn = now === 0 || (now <= low && bytes <= high)
      if (fiber.pollUnsafe() === undefined && !mayGoOn) return
      waiter = undefined
      const what =
        `a write of ${bytes} bytes, which waited, with ${now} left in the queue, at marks of ${high} and ${low},`
      yield* wrote(bytes, isFull === true ? low : Infinity, yield* bench.ended(what, fiber))
    })

    for (let i = 0; i < writes;) {
      yield* look
      const readable = sent + (waiter?.bytes ?? 0) - got
      if (random(6) === 0 || (isHeld && waiter !== undefined)) {
        yield* isHeld ? hold.release : hold.take
        isHeld = !isHeld
      } else if (waiter === undefined && (isHeld || readable === 0 || random(2) === 0)) {
        yield* write
        i++
      } else if (!isHeld && readable > 0) {
        const read = yield* bench.within("a read", readSome(b, 1 + random(3)))
        yield* checkPattern(`what arrived from byte ${got} on`, read, read.length, got)
        got += read.length
      }
    }
    yield* Effect.andThen(a.abort, b.abort)
  })

// ---------------------------------------------------------------------------------------------------------------------
// Law 35
// ---------------------------------------------------------------------------------------------------------------------

type Marks = Pick<Transport.TransportOptions, "highWaterMark" | "lowWaterMark" | "readMark">

const badMarks: ReadonlyArray<Marks> = [
  { highWaterMark: -1 },
  { highWaterMark: 1.5 },
  { highWaterMark: NaN },
  { highWaterMark: Infinity },
  { highWaterMark: "64" as unknown as number },
  { lowWaterMark: -1 },
  { lowWaterMark: 0.5 },
  { highWaterMark: 4, lowWaterMark: 5 },
  { highWaterMark: 0, lowWaterMark: 1 },
  { lowWaterMark: 1_048_576 },
  { readMark: -1 },
  { readMark: NaN }
]

const goodMarks: ReadonlyArray<Marks & { readonly highWaterMark: number }> = [
  { highWaterMark: 0 },
  { highWaterMark: 0, lowWaterMark: 0 },
  { highWaterMark: 1 },
  { highWaterMark: 4, lowWaterMark: 0 },
  { highWaterMark: 4, lowWaterMark: 4 }
]

const showMarks = (marks: Marks): string =>
  Object.entries(marks).map(([name, value]) => `${name} ${typeof value === "string" ? `"${value}"` : value}`).join(", ")

// ---------------------------------------------------------------------------------------------------------------------
// Law 36
// ---------------------------------------------------------------------------------------------------------------------

/** A way for a transport to end while others wait for it. */
interface Death {
  readonly name: string
  readonly reasons: ReadonlyArray<TransportError.Reason["_tag"]>
  /** Bytes that were accepted are flushed first, and so is who waits for that. */
  readonly flushes?: boolean
  readonly run: (ends: {
    readonly a: Transport.Transport
    readonly b: Transport.Transport
    readonly scope: Scope.Closeable
  }) => Effect.Effect<unknown, unknown>
}

const deaths: ReadonlyArray<Death> = [
  { name: "close", reasons: ["Closed"], flushes: true, run: ({ a }) => a.close },
  { name: "abort", reasons: ["Closed"], run: ({ a }) => a.abort },
  { name: "abortWith", reasons: ["Closed"], run: ({ a }) => a.abortWith(Cause.fail("why")) },
  { name: "the peer's reset", reasons: ["Reset", "Disconnected"], run: ({ b }) => b.abort },
  { name: "the peer's close", reasons: ["Reset", "Disconnected"], run: ({ b }) => b.close },
  {
    // Both ends live in it, so that either may be the first to go.
    name: "the end of the scope, by a failure,",
    reasons: ["Closed", "Reset", "Disconnected"],
    run: ({ scope }) => Scope.close(scope, Exit.fail("why"))
  }
]

/**
 * Each waiter tries again and again: a medium with buffers of its own may let one through before it has noticed the end.
 */
const dieWaiting = (bench: Bench, death: Death): Effect.Effect<void, Failure, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    // Nothing here is to be waited for: neither the flush of our close nor the linger of the peer's.
    const options: Transport.TransportOptions = {
      closeTimeout: patient,
      linger: { duration: 10 },
      onScopeExit: () => "abort"
    }
    const [a, b] = yield* Scope.provide(bench.pair(options), scope)
    yield* bench.fill(a)
    const waiters: Array<readonly [string, Effect.Effect<void, TransportError.TransportError>]> = [
      ["a write that waits for room", a.write(pattern(9000))],
      ["a writeAll that waits for room", a.writeAll([pattern(3000), pattern(6000)])]
    ]
    // One that was begun is flushed by a close.
    if (death.flushes !== true) {
      waiters.push(
        ["a large write that waits", a.write(pattern(1_048_576))],
        ["a flush that waits", a.flush],
        ["a second flush that waits", a.flush]
      )
    }
    const fibers: Array<Fiber.Fiber<never, TransportError.TransportError>> = []
    for (const [, waiter] of waiters) fibers.push(yield* bench.start(Effect.forever(waiter)))
    yield* bench.settle
    const dying = yield* bench.start(Effect.exit(death.run({ a, b, scope })))
    for (const [i, [name]] of waiters.entries()) {
      const what = `${name} at ${death.name}`
      yield* failsWith(what, bench.ended(what, fibers[i]!, { millis: 20 }), ...death.reasons)
    }
    yield* Effect.andThen(a.abort, b.abort)
    yield* bench.ended(death.name, dying)
    yield* Scope.close(scope, Exit.void)
  })

/** Longer than the kit waits for anything: a limit that is not to be reached. */
const patient = 60_000

// ---------------------------------------------------------------------------------------------------------------------
// Law 38
// ---------------------------------------------------------------------------------------------------------------------

/** A way to stack something on a transport that passes on what it reads. */
interface Way {
  readonly name: string
  readonly run: (
    from: Transport.Transport,
    to: Transport.Transport
  ) => Effect.Effect<void, TransportError.TransportError>
}

const ways: ReadonlyArray<Way> = [
  { name: "Connection.copy", run: (from, to) => Connection.copy(from, to) },
  { name: "Connection.forEach", run: (from, to) => Connection.forEach(from, (batch) => to.writeAll(batch)) },
  { name: "a stream into a sink", run: (from, to) => Stream.run(Connection.stream(from), Connection.sink(to)) }
]

/** a -> b, a layer that passes on what b reads to c, c -> d. */
const relay = (bench: Bench, way: Way): Effect.Effect<void, Failure, Scope.Scope> =>
  Effect.gen(function*() {
    const mark = 16_384
    const batchMax = mark + pieceBytes
    const marks = { highWaterMark: mark, readMark: mark }
    const [a, b] = yield* bench.pair(marks)
    const [c, d] = yield* bench.pair(marks)
    let read = 0
    let passed = 0
    const count = (chunks: ReadonlyArray<Uint8Array>) => chunks.reduce((bytes, chunk) => bytes + chunk.length, 0)
    const counting: Transport.Transport = {
      ...c,
      writeAll: (outs) => Effect.andThen(c.writeAll(outs), Effect.sync(() => passed += count(outs)))
    }
    yield* bench.start(way.run(
      Connection.tap(b, { onRead: (batch) => Effect.sync(() => read += count(batch)) }),
      counting
    ))
    const bounded = (what: string) =>
      Effect.gen(function*() {
        const { reading } = yield* b.buffered
        const { writing } = yield* c.buffered
        const sizes = { "below it": reading, "in the layer": read - passed, "above it": writing }
        for (const [where, bytes] of Object.entries(sizes)) {
          const bound = where === "above it" ? mark + batchMax : batchMax
          yield* check(bytes <= bound, () => `${way.name}, ${what}: ${bytes} bytes were held ${where}`)
        }
      })

    // Full at the far end: d does not read.
    const writer = yield* flood(bench, a)
    yield* writer.blocked(`${way.name}, with nobody reading at its far end`)
    yield* bounded("with nobody reading")

    // Full in two places. What is free in one only is full.
    const hold = holdOf(c.pausedWriting)
    yield* hold.take
    yield* hold.release
    yield* writer.blocked(`${way.name}, with a pause at its far end that was given back, and nobody reading`)
    yield* bounded("after a pause, with nobody reading")
    yield* hold.take
    const reader = yield* collect(bench, d)
    yield* writer.blocked(`${way.name}, with its far end read, and paused`)
    yield* bounded("paused, with a peer that reads")

    // Free in both.
    writer.stop()
    yield* hold.release
    const sent = yield* bench.ended(`${way.name}, the writer, with its far end read,`, writer.fiber)
    yield* reader.has(`${way.name}, what came out`, sent)
    yield* Effect.forEach([a, b, c, d], (transport) => transport.abort)
  })

/** Writes the pattern, 64 KiB at a time, until it is told to stop; answers how much. */
const flood = (bench: Bench, transport: Transport.Transport) =>
  Effect.gen(function*() {
    // Where there is an operating system below, it holds what it likes.
    const sentMax = bench.subject.capabilities.virtualTime === true ? 16_777_216 : 134_217_728
    let sent = 0
    let stopped = false
    const fiber = yield* bench.start(Effect.gen(function*() {
      while (!stopped && sent < sentMax) {
        yield* transport.write(pattern(65_536, sent))
        sent += 65_536
      }
      return sent
    }))
    const blocked = (what: string): Effect.Effect<void, LawBroken> =>
      Effect.gen(function*() {
        for (let before = -1, round = 0; round < 3; round++) {
          yield* bench.settle
          if (sent >= sentMax) return yield* broken(`${what}: ${sent} bytes were taken, and the writer did not wait`)
          if (sent !== before) round = 0
          before = sent
        }
      })
    return { fiber, blocked, stop: () => stopped = true }
  })
