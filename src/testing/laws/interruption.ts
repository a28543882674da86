/**
 * Laws 74 to 78: interruption.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as Connection from "../../Connection.ts"
import * as Transport from "../../Transport.ts"
import { TransportError } from "../../TransportError.ts"
import {
  type Bench,
  broken,
  check,
  checkBytes,
  checkPattern,
  checkReadFails,
  concat,
  failsWith,
  halfCloseable,
  pattern,
  pullOnce,
  randomOf,
  readOut,
  text
} from "../bench.ts"
import type { Law, LawBroken, Pair } from "../law.ts"

export const interruptionLaws: ReadonlyArray<Law> = [
  {
    number: 74,
    title: "an interrupted read loses nothing: the next one starts where it would have",
    test: Effect.fnUntraced(function*(bench) {
      const rounds = 1000
      const [a, b] = yield* bench.pair()
      const random = randomOf(74)
      const got: Array<Uint8Array> = []
      const keep = (chunks: ReadonlyArray<Uint8Array>) => Effect.sync(() => got.push(...chunks))
      const reads: ReadonlyArray<Effect.Effect<ReadonlyArray<Uint8Array>, TransportError | Cause.Done>> = [
        Effect.scoped(Effect.flatMap(a.reader, (reader) => reader.pull)),
        Effect.map(Transport.read(a, 1), Array.of<Uint8Array>),
        Effect.map(Transport.readExactly(a, 3), Array.of<Uint8Array>),
        Effect.map(Connection.take(a), Array.of<Uint8Array>)
      ]
      for (let round = 0; round < rounds; round++) {
        const write = bench.start(b.write(pattern(1, round)))
        const isFirst = random(2) === 0
        if (isFirst) yield* write
        // What a read returned it has returned, also when an interruption comes just then.
        const read = Effect.uninterruptibleMask((restore) => Effect.flatMap(restore(reads[round % 4]!), keep))
        const reading = yield* Effect.forkDetach(read, { startImmediately: random(2) === 0 })
        yield* turns(random(3))
        if (!isFirst) yield* write
        yield* turns(random(4))
        reading.interruptUnsafe()
        const exit = reading.pollUnsafe() ??
          (yield* bench.within("the interruption of a read", Fiber.await(reading)))
        if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) {
          return yield* broken(`a read in round ${round} came to ${exit}`)
        }
      }
      const rest = yield* bench.read(a, rounds - concat(got).length)
      yield* checkPattern("all that interrupted reads returned and left", concat([...got, rest]), rounds)
    })
  },
  {
    number: 75,
    title: "an interrupted write goes out whole, or not at all, or nothing goes out after it",
    test: Effect.fnUntraced(function*(bench) {
      const random = randomOf(75)

      // Of those that wait for room, some are interrupted, and more come after them.
      const clogged = yield* bench.clogged()
      const waiting = makeLog(bench, clogged.a)
      for (let i = 0; i < 24; i++) yield* waiting.start(sizes[i % sizes.length]!, i % 3 === 0)
      yield* bench.settle
      for (let i = 0; i < 12; i++) yield* waiting.interrupt(random(24))
      for (let i = 0; i < 6; i++) yield* waiting.start(sizes[i % sizes.length]!, i % 3 === 0)
      yield* bench.read(clogged.a, clogged.junkOfB)
      yield* waiting.check("writes that waited for room", clogged.b, { skip: clogged.junkOfA })

      // One that was begun, and cannot go on.
      for (const others of [0, 3]) {
        const [a, b] = yield* bench.pair()
        const begun = makeLog(bench, a)
        const stuck = yield* bench.stuckWrite(a, begun.next)
        begun.add(stuck.fiber)
        for (let i = 0; i < others; i++) yield* begun.start(1000, false)
        yield* bench.settle
        yield* begun.interrupt(begun.sent.length - 1 - others)
        yield* begun.start(1000, false)
        yield* begun.start(100_000, true)
        yield* begun.check("a write that was under way", b, {})
      }

      // While the peer reads, at any moment.
      const [c, d] = yield* bench.pair()
      const moving = makeLog(bench, c)
      const reading = yield* bench.start(readOut(d))
      for (let i = 0; i < 20; i++) {
        yield* moving.start(20_000 + random(60_000), i % 3 === 0)
        yield* turns(random(6))
        if (random(2) === 0) yield* moving.interrupt(i, true)
      }
      yield* moving.check("writes to a peer that reads", d, { reading })
    })
  },
  {
    number: 76,
    title: "neither an interrupted write nor the end of its owner's scope looks like a clean end to the peer",
    needs: ["reset"],
    test: Effect.fnUntraced(function*(bench) {
      // An interruption ends the write, and nothing else.
      const [a, b] = yield* bench.pair()
      const stuck = yield* bench.stuckWrite(a)
      yield* bench.within("the interruption of a write", Fiber.interrupt(stuck.fiber))
      const reading = yield* bench.start(readOut(b))
      yield* bench.settle
      const seen = reading.pollUnsafe()
      if (seen !== undefined && Exit.isSuccess(seen)) yield* checkNotEnded("an interrupted write", seen.value)
      yield* bench.within("the abort of both ends", Effect.andThen(a.abort, b.abort))

      // The owner ends between two writes of one message, of which the peer has the first half.
      for (const [how, exit] of exits) {
        const owned = yield* makeOwned(bench)
        for (const end of owned.pair) yield* bench.start(Effect.exit(end.write(pattern(50))))
        const readings = new Map(
          yield* Effect.forEach(
            owned.pair,
            (end) => Effect.map(bench.start(readOut(end)), (reading) => [end, reading] as const)
          )
        )
        yield* bench.settle
        const ended = yield* owned.end(exit)
        if (ended !== undefined) {
          const what = `half a message, and the owner's end by ${how}`
          const found = yield* bench.ended(what, readings.get(ended.peer)!)
          yield* checkBytes(what, found.bytes, pattern(50).subarray(0, found.bytes.length))
          yield* checkReadFails(what, found.how, "Reset")
        }
        yield* owned.finish
      }

      // The owner ends in the middle of a write, which was interrupted before or is under way.
      for (const [how, exit] of [...exits, ["success", Exit.void] as const]) {
        for (const isInterrupted of [true, false]) {
          const owned = yield* makeOwned(bench)
          const writes = new Map(
            yield* Effect.forEach(
              owned.pair,
              (end) => Effect.map(bench.stuckWrite(end), (write) => [end, write] as const)
            )
          )
          for (const { fiber } of isInterrupted ? writes.values() : []) {
            yield* bench.within("the interruption of a write", Fiber.interrupt(fiber))
          }
          const ended = yield* owned.end(exit)
          if (ended !== undefined) {
            const what = `a write that was ${
              isInterrupted ? "interrupted" : "under way"
            }, and the owner's end by ${how}`
            const found = yield* bench.within(what, readOut(ended.peer))
            const { before, bytes } = writes.get(ended.self)!
            if (how !== "success") yield* checkReadFails(what, found.how, "Reset")
            else if (found.how._tag === "End") {
              const whole = found.bytes.length === before + bytes
              yield* check(whole, () => `${what}: ${found.bytes.length - before} of its ${bytes} bytes and a clean end`)
            }
          }
          yield* owned.finish
        }
      }
    })
  },
  {
    number: 77,
    title: "an interrupted close releases everything all the same, as an abort does",
    test: Effect.fnUntraced(function*(bench) {
      for (const how of ["an interruption", "a time limit"] as const) {
        const before = yield* bench.held
        const { a, b, junkOfA } = yield* bench.clogged(patient)
        const write = yield* bench.startBlocked(Effect.exit(a.write(new Uint8Array(100_000))))
        const close = yield* bench.startBlocked(how === "an interruption" ? a.close : Effect.timeoutOption(a.close, 50))
        const other = yield* bench.startBlocked(Effect.exit(a.close))
        if (how === "an interruption") yield* bench.within("the interruption of a close", Fiber.interrupt(close))
        else yield* bench.ended("a close with a time limit", close, { millis: 50 })
        const closed = yield* bench.within(`closed, after ${how} of close,`, Effect.exit(a.closed))
        yield* check(Exit.isFailure(closed), `closed succeeded after ${how} of close`)
        yield* bench.ended("a write that had waited before the close", write)
        yield* bench.ended("another close that waited", other)
        yield* checkGone(bench, a, `after ${how} of close`, bench.subject.capabilities.halfClose)
        const seen = yield* bench.within("the peer's reading", readOut(b))
        if (bench.subject.capabilities.reset) {
          yield* checkReadFails(`what the peer found after ${how} of our close`, seen.how, "Reset")
        }
        yield* check(seen.bytes.length <= junkOfA, () => `the peer found ${seen.bytes.length} bytes, of ${junkOfA}`)
        yield* bench.within("the peer's abort", b.abort)
        yield* bench.heldAtMost(`the release of what both ends held, after ${how} of close`, before)
      }

      // All is flushed, and it waits for the peer's end.
      const before = yield* bench.held
      const [a, b] = yield* bench.pair(patient)
      const closing = yield* bench.start(Effect.andThen(a.write(text("bye")), a.close))
      yield* checkBytes("what was written before the close", yield* bench.readToEnd(b), text("bye"))
      yield* bench.settle
      yield* bench.within("the interruption of a close that had flushed", Fiber.interrupt(closing))
      yield* bench.within("closed", Effect.exit(a.closed))
      yield* checkGone(bench, a, "after the interruption of a close that had flushed", false)
      yield* bench.within("the peer's abort", b.abort)
      yield* bench.heldAtMost("the release of what both ends held", before)
    })
  },
  {
    number: 78,
    title:
      "the interruption of one who waits leaves the others and the transport as they are, and writes nothing later",
    test: Effect.fnUntraced(function*(bench) {
      // One of five, wherever it stands.
      for (const place of [0, 2, 4]) {
        const { a, b, junkOfA, junkOfB } = yield* bench.clogged()
        const log = makeLog(bench, a)
        for (let i = 0; i < 5; i++) yield* log.start(8192, i % 2 === 1)
        const others: Array<readonly [what: string, fiber: Fiber.Fiber<unknown>]> = []
        for (const [what, call] of [["a flush", a.flush], ["closed", a.closed]] as const) {
          for (let i = 0; i < 3; i++) others.push([`${what} that waited`, yield* bench.start(Effect.exit(call))])
        }
        yield* bench.settle
        yield* log.interrupt(place)
        for (const middle of [4, 1]) {
          for (const [what, fiber] of others.splice(middle, 1)) {
            yield* bench.within(`the interruption of ${what}`, Fiber.interrupt(fiber))
          }
        }
        yield* bench.settle
        // The other direction, meanwhile.
        yield* bench.read(a, junkOfB)
        yield* bench.start(b.write(text("pong")))
        yield* checkBytes("what the peer wrote meanwhile", yield* bench.read(a, 4), text("pong"))
        yield* log.check(`five that waited, of which number ${place + 1} was interrupted,`, b, { skip: junkOfA })
        for (const [what, fiber] of others) yield* bench.ended(what, fiber)
      }

      // Just when it is woken.
      const random = randomOf(78)
      const { a, b, junkOfA, junkOfB } = yield* bench.clogged({ highWaterMark: 4096, readMark: 4096 })
      yield* bench.read(b, junkOfA)
      yield* bench.read(a, junkOfB)
      const log = makeLog(bench, a)
      const pieces: Array<Uint8Array> = []
      for (let round = 0; round < 50; round++) {
        for (let i = 0; i < 3; i++) yield* log.start(500 + random(3000), random(3) === 0)
        yield* turns(random(3))
        const reading = yield* bench.start(pullOnce(b))
        yield* turns(random(3))
        yield* log.interrupt(log.sent.length - 1 - random(3), true)
        const pulled = yield* bench.ended("a read, with writes waiting,", reading)
        if (pulled._tag === "Chunks") pieces.push(...pulled.chunks)
      }
      yield* log.check("150 writes, of which 50 were interrupted as they were woken,", b, { pieces })
    })
  }
]

/** Longer than the kit waits for anything: limits that are not to be reached. */
const patient: Transport.TransportOptions = { closeTimeout: 60_000, linger: { duration: 60_000 } }

/** Copied and not, and more than the default mark. */
const sizes = [100, 16_384, 20_000, 100_000]

const turns = (count: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    let turn = 0
    return Effect.whileLoop({ while: () => turn < count, body: () => Effect.yieldNow, step: () => turn++ })
  })

// ---------------------------------------------------------------------------------------------------------------------
// Writes that can be told apart
// ---------------------------------------------------------------------------------------------------------------------

interface Sent {
  readonly bytes: number
  /** What it came to; undefined while it is under way. */
  readonly exit: () => Exit.Exit<void, TransportError> | undefined
}

/** Writes of one transport, each a frame that says which one it is and how long. */
interface Log {
  readonly sent: ReadonlyArray<Sent>
  /** The next frame, for whoever writes it. */
  readonly next: (bytes: number) => Uint8Array
  /** That frame is written by this fiber. */
  readonly add: (fiber: Fiber.Fiber<void, TransportError>) => void
  /** Starts to write a frame, as one piece or several. */
  readonly start: (bytes: number, inParts: boolean) => Effect.Effect<void, never, Scope.Scope>
  /** Interrupts a write, which ends at once. Unless it may not even have begun, it says what became of its bytes. */
  readonly interrupt: (index: number, isRacing?: boolean) => Effect.Effect<void, LawBroken>
  /** Waits for all, closes, and compares what the peer reads with what the writes came to. */
  readonly check: (what: string, peer: Transport.Transport, seen: Seen) => Effect.Effect<void, LawBroken, Scope.Scope>
}

/** What was read before, and whether someone is reading the rest. */
interface Seen {
  readonly pieces?: ReadonlyArray<Uint8Array> | undefined
  /** How many bytes are there before the first frame. */
  readonly skip?: number | undefined
  readonly reading?: Fiber.Fiber<Effect.Success<ReturnType<typeof readOut>>> | undefined
}

const makeLog = (bench: Bench, transport: Transport.Transport): Log => {
  const sent: Array<Sent> = []
  const fibers: Array<Fiber.Fiber<void, TransportError> | undefined> = []

  const next: Log["next"] = (bytes) => {
    const id = sent.length
    sent.push({ bytes, exit: () => fibers[id] === undefined ? Exit.void : fibers[id].pollUnsafe() })
    return frameOf(id, bytes)
  }

  const add: Log["add"] = (fiber) => {
    fibers[sent.length - 1] = fiber
  }

  const start: Log["start"] = (bytes, inParts) =>
    Effect.suspend(() => {
      const frame = next(bytes)
      const third = Math.ceil(bytes / 3)
      const write = inParts
        ? transport.writeAll([frame.subarray(0, third), frame.subarray(third, 2 * third), frame.subarray(2 * third)])
        : transport.write(frame)
      return Effect.map(bench.start(write), add)
    })

  const interrupt: Log["interrupt"] = (index, isRacing = false) =>
    Effect.gen(function*() {
      const fiber = fibers[index]!
      yield* bench.within("the interruption of a write", Fiber.interrupt(fiber))
      const exit = fiber.pollUnsafe()
      if (isRacing || exit === undefined || Exit.isSuccess(exit)) return
      yield* check(
        Transport.delivery(exit.cause)._tag === "Some",
        () => `an interrupted write does not say what became of its bytes: ${exit}`
      )
    })

  const checkAll: Log["check"] = (what, peer, { pieces = [], reading, skip = 0 }) =>
    Effect.gen(function*() {
      const peerReading = reading ?? (yield* bench.start(readOut(peer)))
      for (const fiber of fibers) {
        if (fiber !== undefined) yield* bench.ended(`${what}: one that was not interrupted`, yield* awaiting(fiber))
      }
      yield* start(100, false)
      const closing = yield* bench.start(Effect.exit(Effect.andThen(Fiber.await(fibers.at(-1)!), transport.close)))
      const found = yield* bench.ended(`${what}: the peer's reading`, peerReading)
      yield* bench.start(peer.close)
      yield* bench.ended(`${what}: the close`, closing)
      yield* checkFrames(what, concat([...pieces, found.bytes]).subarray(skip), found.how, sent)
    })

  const awaiting = (fiber: Fiber.Fiber<unknown, unknown>) => bench.start(Fiber.await(fiber))

  return { sent, next, add, start, interrupt, check: checkAll }
}

const headerBytes = 8

const frameOf = (id: number, bytes: number): Uint8Array => {
  const frame = new Uint8Array(bytes).fill(fillOf(id))
  const header = new DataView(frame.buffer)
  header.setUint32(0, id)
  header.setUint32(4, bytes)
  return frame
}

/** Never a byte of a header of ours, nor of its neighbours. */
const fillOf = (id: number): number => 0x80 + (id % 0x40)

const checkFrames = (
  what: string,
  bytes: Uint8Array,
  how: { readonly _tag: "End" } | { readonly _tag: "Failed"; readonly error: TransportError },
  sent: ReadonlyArray<Sent>
): Effect.Effect<void, LawBroken> =>
  Effect.suspend(() => {
    const exits = sent.map(({ exit }) => exit())
    // A transport may give up the direction instead. Then the last frame can be torn, and the end is not clean.
    const isPoisoned = exits.some((exit) =>
      exit !== undefined && Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)
    )
    if (!isPoisoned && how._tag === "Failed") return broken(`${what}: the peer found ${how.error.message}`)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const arrived = new Set<number>()
    let last = -1
    for (let at = 0; at < bytes.length;) {
      const left = bytes.length - at
      const id = left < headerBytes ? undefined : view.getUint32(at)
      const size = id === undefined ? headerBytes : sent[id]?.bytes
      if (size === undefined || (id !== undefined && view.getUint32(at + 4) !== size)) {
        return broken(`${what}: frame ${last} is followed by something else than a frame`)
      }
      const end = Math.min(at + size, bytes.length)
      if (id !== undefined) {
        if (id <= last) return broken(`${what}: frame ${id} comes after frame ${last}`)
        for (let i = at + headerBytes; i < end; i++) {
          if (bytes[i] !== fillOf(id)) {
            return broken(`${what}: frame ${id} is torn after ${i - at} of its ${size} bytes, and more follows`)
          }
        }
        last = id
      }
      if (left < size) {
        if (isPoisoned && how._tag === "Failed") break
        return broken(`${what}: frame ${id} is torn after ${left} of its ${size} bytes, and a clean end follows`)
      }
      arrived.add(id!)
      at = end
    }
    for (const [id, exit] of exits.entries()) {
      const verdict = exit === undefined || Exit.isSuccess(exit) ? undefined : Transport.delivery(exit.cause)
      if (verdict?._tag === "Some" && verdict.value === "NotSent" && arrived.has(id)) {
        return broken(`${what}: frame ${id} was not sent, as its write said, and arrived`)
      }
      if (!isPoisoned && exit !== undefined && Exit.isSuccess(exit) && !arrived.has(id)) {
        return broken(`${what}: frame ${id} was written, and did not arrive`)
      }
    }
    return Effect.void
  })

// ---------------------------------------------------------------------------------------------------------------------
// Pairs with an owner
// ---------------------------------------------------------------------------------------------------------------------

const exits: ReadonlyArray<readonly [how: string, exit: Exit.Exit<void, unknown>]> = [
  ["failure", Exit.fail("a failure of the owner")],
  ["interruption", Exit.interrupt()]
]

interface Owned {
  readonly pair: Pair
  /**
   * Ends the scope as far as the end of the first of its transports, so that the other can be looked at: one finalizer
   * after the other, as the scope would. Undefined where both end at once, and nothing can be told.
   */
  readonly end: (
    exit: Exit.Exit<unknown, unknown>
  ) => Effect.Effect<
    { readonly self: Transport.Transport; readonly peer: Transport.Transport } | undefined,
    LawBroken,
    Scope.Scope
  >
  /** Ends both, and the rest of the scope. */
  readonly finish: Effect.Effect<void>
}

const makeOwned = (bench: Bench): Effect.Effect<Owned, TransportError, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const pair = yield* Scope.provide(bench.pair(), scope)
    const [a, b] = pair
    const { state } = scope
    const steps = state._tag !== "Open"
      ? []
      : state.finalizer !== undefined
      ? [state.finalizer]
      : Array.from(state.finalizers?.values() ?? [])

    const isShut = (transport: Transport.Transport) =>
      Effect.match(transport.write(new Uint8Array(0)), {
        onSuccess: () => false,
        onFailure: (error) => error.reason._tag === "Closed"
      })

    const end: Owned["end"] = (exit) =>
      Effect.gen(function*() {
        for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
          const ending = yield* bench.start(Effect.uninterruptible(silent(step(exit))))
          const shut = yield* bench.within(
            "a step to the end of a scope",
            Effect.gen(function*() {
              while (true) {
                const isOver = ending.pollUnsafe() !== undefined
                const [isA, isB] = [yield* isShut(a), yield* isShut(b)]
                if (isOver || isA || isB) return { isA, isB }
                yield* bench.moment
              }
            })
          )
          if (shut.isA && shut.isB) return undefined
          if (shut.isA) return { self: a, peer: b }
          if (shut.isB) return { self: b, peer: a }
        }
        return undefined
      })

    const finish = Effect.gen(function*() {
      yield* Effect.andThen(a.abort, b.abort)
      for (let step = steps.pop(); step !== undefined; step = steps.pop()) yield* silent(step(Exit.interrupt()))
    })
    yield* Effect.addFinalizer(() => finish)
    return { pair, end, finish }
  })

/** That a scope which ended lost bytes is what is tested here. */
const silent = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, References.MinimumLogLevel, "None")

// ---------------------------------------------------------------------------------------------------------------------

const checkNotEnded = (
  what: string,
  { bytes, how }: Effect.Success<ReturnType<typeof readOut>>
): Effect.Effect<void, LawBroken> =>
  check(how._tag !== "End", () => `${what}: the peer found ${bytes.length} bytes and a clean end`)

/** Every call finds a transport that ended here. */
const checkGone = (
  bench: Bench,
  transport: Transport.Transport,
  when: string,
  canHalfClose: boolean
): Effect.Effect<void, LawBroken> =>
  Effect.gen(function*() {
    yield* checkReadFails(`a read ${when}`, yield* bench.within("a read", pullOnce(transport)), "Closed")
    const calls: Array<readonly [string, Effect.Effect<unknown, TransportError | LawBroken>]> = [
      ["a write", transport.write(text("late"))],
      ["a large write", transport.write(new Uint8Array(100_000))],
      ["a writeAll", transport.writeAll([text("la"), text("te")])]
    ]
    if (canHalfClose) {
      calls.push(["a half-close", Effect.flatMap(halfCloseable(transport), ({ halfClose }) => halfClose)])
    }
    for (const [what, call] of calls) yield* failsWith(`${what} ${when}`, bench.within(what, call), "Closed")
    yield* bench.within(`a close ${when}`, Effect.exit(transport.close))
  })
