/**
 * Laws 64 to 69: the abort.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Connection from "../../Connection.ts"
import { concat } from "../../internal/bytes.ts"
import * as Transport from "../../Transport.ts"
import type { TransportError } from "../../TransportError.ts"
import {
  type Bench,
  check,
  checkBytes,
  checkReadFails,
  failsWith,
  halfCloseable,
  junkByte,
  pattern,
  pullOnce,
  readOut,
  showPulled,
  text
} from "../bench.ts"
import type { Law, LawBroken } from "../law.ts"

export const abortLaws: ReadonlyArray<Law> = [
  {
    number: 64,
    title: "an abort drops the queue: what is written after it never arrives, and what was queued need not",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      // In the same turn as the writes before it, and with a write under way.
      for (const bytes of [10, 300_000]) {
        const [a, b] = yield* bench.pair()
        const reading = yield* bench.start(readOut(b))
        yield* bench.within(
          "an abort between two writes",
          Effect.gen(function*() {
            const before = yield* Effect.forkDetach(Effect.exit(a.write(pattern(bytes))), { startImmediately: true })
            yield* a.abort
            yield* Effect.exit(a.write(late(100)))
            yield* Effect.exit(a.writeAll([late(1), late(30_000)]))
            yield* Fiber.await(before)
          })
        )
        const writing = yield* bench.start(Effect.exit(a.write(late(100_000))))
        const { bytes: seen } = yield* bench.ended("the peer's reading", reading)
        yield* checkPrefix("what the peer saw of an abort between two writes", seen, pattern(bytes))
        yield* bench.ended("a write after the abort", writing)
      }

      // With writes that wait for room, each of which fails and says whether it was sent.
      const { a, b, junkOfA } = yield* bench.clogged()
      const waiting: Array<Fiber.Fiber<Exit.Exit<void, TransportError>>> = []
      for (let i = 0; i < 5; i++) waiting.push(yield* bench.start(Effect.exit(a.write(new Uint8Array(8192).fill(i)))))
      yield* bench.settle
      yield* bench.within("an abort of a clogged transport", a.abort)
      const queue = [new Uint8Array(junkOfA).fill(junkByte)]
      for (const [i, fiber] of waiting.entries()) {
        const exit = yield* bench.ended("a write that waited for room at an abort", fiber)
        if (!isNotSent(exit)) queue.push(new Uint8Array(8192).fill(i))
      }
      yield* bench.within("a write after an abort", Effect.exit(a.write(late(100))))
      const { bytes: seen } = yield* bench.within("the peer's reading", readOut(b))
      yield* checkPrefix("what the peer saw of the queue", seen, concat(queue))
      yield* bench.within("an abort", b.abort)
    })
  },
  {
    number: 65,
    title: "an abort never waits, whatever the transport is in the middle of, and overtakes a pending close",
    test: Effect.fnUntraced(function*(bench) {
      for (const [when, make] of states) {
        const before = yield* bench.held
        const state = yield* make(bench)
        if (state === undefined) continue
        const { a, b, pending = [] } = state
        const waiting = yield* abortUnder(bench, `an abort ${when}`, a, pending)
        const closed = yield* bench.within(`closed, after an abort ${when},`, Effect.exit(a.closed))
        if (state.isOver !== true) yield* checkFailed(`closed, after an abort ${when},`, closed)
        for (const [what, fiber] of waiting) {
          const waited = `${what} that waited at an abort ${when}`
          yield* checkFailed(waited, yield* bench.ended(waited, fiber))
        }
        yield* bench.within("a second abort", a.abort)
        yield* bench.within("the peer's abort", b.abort)
        yield* bench.heldAtMost(`the release of what both ends held, after an abort ${when}`, before)
      }
    })
  },
  {
    number: 66,
    title: "an abort wakes every pending operation with Closed",
    test: Effect.fnUntraced(function*(bench) {
      const scenes: ReadonlyArray<(transport: Transport.Transport) => Effect.Effect<Pending, LawBroken>> = [
        (a) =>
          Effect.succeed([
            ["a read", Transport.readExactly(a, 1)],
            ["a write", a.write(text("first"))],
            ["a second write", a.write(text("second"))],
            ["a large write", a.write(new Uint8Array(100_000))],
            ["a writeAll", a.writeAll([text("th"), text("ird")])],
            ["a flush", a.flush],
            ["closed", a.closed],
            ["a second closed", a.closed]
          ]),
        (a) =>
          Effect.succeed([
            ["a flush", a.flush],
            ["a close", a.close],
            ["a second close", a.close],
            ["closed", a.closed]
          ]),
        (a) =>
          Effect.map(halfCloseable(a), (a) => [
            ["a loop of reading", Connection.forEach(a, () => Effect.void)],
            ["a write", a.write(text("last"))],
            ["a half-close", a.halfClose],
            ["a second half-close", a.halfClose],
            ["closed", a.closed]
          ])
      ]
      const { halfClose } = bench.subject.capabilities
      for (const scene of halfClose ? scenes : scenes.slice(0, 2)) {
        const [a, b] = yield* bench.pair(patient)
        const stuck = yield* bench.stuckWrite(a)
        const fibers: Array<readonly [string, Fiber.Fiber<unknown, TransportError>]> = [[
          "the stuck write",
          stuck.fiber
        ]]
        for (const [what, call] of yield* scene(a)) fibers.push([what, yield* bench.start(call)])
        yield* bench.settle
        for (const [what, fiber] of yield* abortUnder(bench, "an abort", a, fibers)) {
          const waited = `${what} that waited at an abort`
          const { message, reason } = yield* failsWith(waited, bench.ended(waited, fiber), "Closed")
          yield* check(
            reason._tag === "Closed" && reason.by === "abort",
            () => `${waited} was told of another end: ${message}`
          )
        }
        yield* bench.within("an abort", b.abort)
      }
    })
  },
  {
    number: 67,
    title: "after an abort the peer finds an error or the end, never more data or silence; a reset where there is one",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      const { reset } = bench.subject.capabilities
      for (const [when, make] of states) {
        const state = yield* make(bench)
        if (state === undefined) continue
        const { a, b } = state
        if (state.isOver === true || state.isEnded === true) {
          yield* bench.within("the abort of both ends", Effect.andThen(a.abort, b.abort))
          continue
        }
        // Where there is nothing that it could read before the abort, it waits for it; else it comes later.
        const reading = state.isClogged === true ? undefined : yield* bench.startBlocked(readOut(b))
        yield* bench.within(`an abort ${when}`, a.abort)
        const what = `what the peer found after an abort ${when}`
        const { bytes, how } = yield* (reading === undefined
          ? bench.within(what, readOut(b))
          : bench.ended(what, reading))
        if (reset) yield* checkReadFails(what, how, "Reset")
        const junk = bytes.find((byte) => byte !== junkByte)
        yield* check(junk === undefined, () => `${what}: bytes that were never written before it`)
        for (let again = 1; again <= 3; again++) {
          const pulled = yield* bench.within(`read ${again} after that`, pullOnce(b))
          yield* check(
            pulled._tag !== "Chunks",
            () => `read ${again} after ${showPulled(how)}, which followed an abort ${when}: ${showPulled(pulled)}`
          )
        }
        yield* bench.within("an abort", b.abort)
      }
    })
  },
  {
    number: 68,
    title: "an abort works on every kind of transport, at both ends, and is quiet where the medium cannot show it",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      const why = Cause.fail("a reason of ours")
      for (const which of [0, 1] as const) {
        for (const [name, abort] of aborts(why)) {
          const pair = yield* bench.pair(patient)
          const [self, peer] = [pair[which], pair[1 - which]!]
          const reading = yield* bench.startBlocked(pullOnce(peer))
          yield* checkQuiet(bench, name, abort(self))
          const pulled = yield* bench.ended("the peer's read", reading)
          yield* check(
            pulled._tag === "End" || (pulled._tag === "Failed" && pulled.error.reason._tag === "Reset"),
            () => `the peer's read at an ${name}: ${showPulled(pulled)} in place of the end or Reset`
          )
          yield* failsWith("a write after it", bench.within("a write after it", self.write(text("late"))), "Closed")
          yield* checkReadFails("a read after it", yield* bench.within("a read after it", pullOnce(self)), "Closed")
          yield* checkFailed("closed", yield* bench.within("closed", Effect.exit(self.closed)))
          // Again, and at an end whose peer is gone.
          yield* checkQuiet(bench, `second ${name}`, abort(self))
          yield* checkQuiet(bench, `${name} after the peer's`, abort(peer))
          yield* bench.within("the peer's closed", Effect.exit(peer.closed))
        }
      }
      // Both at once.
      const [c, d] = yield* bench.pair(patient)
      const [ofC, ofD] = yield* bench.within(
        "both ends' abort",
        Effect.all([Effect.exit(c.abort), Effect.exit(d.abortWith(why))])
      )
      yield* check(Exit.isSuccess(ofC) && Exit.isSuccess(ofD), () => `both ends' abort at once: ${ofC} and ${ofD}`)
      yield* bench.within("closed of the one end", Effect.exit(c.closed))
      yield* bench.within("closed of the other", Effect.exit(d.closed))
    })
  },
  {
    number: 69,
    title: "an abort keeps its cause, masks no failure of whoever called it, and signals closed only after the call",
    test: Effect.fnUntraced(function*(bench) {
      // Everyone who waits, and everyone who comes later, is told of the first abort.
      const why = Cause.die({ why: "a reason of ours" })
      const [a, b] = yield* bench.pair(patient)
      yield* bench.stuckWrite(a)
      const told: Array<readonly [string, Fiber.Fiber<unknown, TransportError>]> = []
      for (
        const [what, call] of [
          ["a read that waited", Transport.readExactly(a, 1)],
          ["a write that waited", a.write(text("waiting"))],
          ["a flush that waited", a.flush],
          ["closed, which waited", a.closed]
        ] as const
      ) told.push([what, yield* bench.start(call)])
      yield* bench.settle
      yield* checkQuiet(bench, "abort with a cause", a.abortWith(why))
      yield* checkQuiet(bench, "abort with another cause", a.abortWith(Cause.fail("another reason")))
      yield* checkQuiet(bench, "abort without a cause", a.abort)
      told.push(["a later read", yield* bench.start(Transport.readExactly(a, 1))])
      told.push(["a later write", yield* bench.start(a.write(text("late")))])
      told.push(["a later closed", yield* bench.start(a.closed)])
      for (const [what, fiber] of told) yield* checkCause(bench, what, fiber, why)
      yield* bench.within("an abort", b.abort)

      // A scope that fails aborts with its cause. Both ends are in it, so that the other may find a reset first.
      const scope = yield* Scope.fork(yield* Effect.scope)
      const failure = Cause.fail("a failure of the owner")
      const owned = yield* Scope.provide(bench.pair(), scope)
      const ends = [yield* bench.start(pullOnce(owned[0])), yield* bench.start(pullOnce(owned[1]))]
      yield* bench.settle
      yield* bench.within("the end of a scope that failed", Scope.close(scope, Exit.failCause(failure)))
      const ways = [yield* bench.ended("a read", ends[0]!), yield* bench.ended("a read", ends[1]!)]
      const closed = ways.flatMap((way) =>
        way._tag === "Failed" && way.error.reason._tag === "Closed" ? [way.error] : []
      )
      yield* check(closed.length > 0, () => `the end of their scope: ${ways.map(showPulled)} in place of Closed`)
      for (const error of closed) {
        yield* check(error.cause === failure, () => `the end of their scope: its cause is not that of ${error}`)
      }

      // A handler that aborts and then fails ends with its own failure.
      for (const [name, abort] of aborts(why)) {
        for (const turns of [0, 1]) {
          const [c, d] = yield* bench.pair()
          const loop = yield* bench.startBlocked(
            Effect.exit(Connection.forEach(c, () =>
              Effect.gen(function*() {
                yield* abort(c)
                for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
                return yield* Effect.fail(handlerFailed)
              })))
          )
          yield* bench.start(Effect.exit(d.write(text("x"))))
          const exit = yield* bench.ended("the loop of a handler that aborts", loop)
          const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
          yield* check(
            error === handlerFailed,
            () => `a handler called ${name} and failed, and its loop came to ${exit} in place of that failure`
          )
          yield* bench.within("an abort", d.abort)
        }
      }

      // Nobody who waits runs inside of the call.
      for (const [name, abort] of aborts(why)) {
        const [e, f] = yield* bench.pair()
        let isInside = false
        let wasInside: string | undefined
        const watch = (what: string, call: Effect.Effect<unknown>) =>
          bench.start(Effect.onExit(call, () => Effect.sync(() => wasInside ??= isInside ? what : undefined)))
        const signalled = yield* watch("closed", Effect.exit(e.closed))
        yield* bench.settle
        const context = yield* Effect.context<never>()
        const calling = yield* Effect.sync(() => {
          isInside = true
          const fiber = Effect.runForkWith(context)(Effect.exit(abort(e)))
          isInside = false
          return fiber
        })
        yield* bench.ended(name, calling)
        yield* bench.ended("closed, which waited", signalled)
        yield* check(wasInside === undefined, () => `${wasInside} was signalled from inside of the call of ${name}`)
        yield* bench.within("an abort", f.abort)
      }
    })
  }
]

/** Longer than the kit waits for anything: limits that are not to be reached. */
const patient: Transport.TransportOptions = { closeTimeout: 60_000, linger: { duration: 60_000 } }

/** Operations with their names. */
type Pending = ReadonlyArray<readonly [what: string, call: Effect.Effect<unknown, TransportError>]>

interface State {
  readonly a: Transport.Transport
  readonly b: Transport.Transport
  /** What waits for a flush that an abort makes impossible. */
  readonly pending?: ReadonlyArray<readonly [what: string, fiber: Fiber.Fiber<Exit.Exit<unknown, unknown>>]> | undefined
  /** The peer has not read what was sent, all of it junk, and nothing more is taken until it does. */
  readonly isClogged?: boolean | undefined
  /** The peer has been shown the end already. */
  readonly isEnded?: boolean | undefined
  /** The connection may have ended in peace before. */
  readonly isOver?: boolean | undefined
}

/** What an abort of `a` can find. Undefined where the subject has no such state. */
const states: ReadonlyArray<
  readonly [
    when: string,
    make: (bench: Bench) => Effect.Effect<State | undefined, LawBroken | TransportError, Scope.Scope>
  ]
> = [
  [
    "of a new connection",
    Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair(patient)
      return { a, b }
    })
  ],
  [
    "with input unread",
    Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair(patient)
      yield* bench.start(Effect.exit(b.write(pattern(1000))))
      yield* bench.arrived(a, 1000)
      return { a, b }
    })
  ],
  [
    "while a handler runs",
    Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair(patient)
      yield* bench.start(Connection.forEach(a, () => Effect.never))
      yield* bench.start(Effect.exit(b.write(text("x"))))
      yield* bench.settle
      return { a, b }
    })
  ],
  [
    "while paused",
    Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair(patient)
      yield* a.pause
      const flush = yield* bench.start(Effect.exit(Effect.andThen(a.write(junk(1000)), a.flush)))
      yield* bench.settle
      return { a, b, pending: [["a flush", flush]] }
    })
  ],
  [
    "while both directions are held",
    Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair(patient)
      yield* a.pausedReading
      yield* a.pausedWriting
      const flush = yield* bench.start(Effect.exit(Effect.andThen(a.write(junk(1000)), a.flush)))
      yield* bench.settle
      return { a, b, pending: [["a flush", flush]] }
    })
  ],
  [
    "while clogged",
    Effect.fnUntraced(function*(bench) {
      const { a, b } = yield* bench.clogged(patient)
      const write = yield* bench.startBlocked(Effect.exit(a.write(junk(100_000))))
      return { a, b, pending: [["a write", write]], isClogged: true }
    })
  ],
  [
    "while a close waits",
    Effect.fnUntraced(function*(bench) {
      const { a, b } = yield* bench.clogged(patient)
      const write = yield* bench.startBlocked(Effect.exit(a.write(junk(1))))
      const close = yield* bench.startBlocked(Effect.exit(a.close))
      return { a, b, pending: [["a write", write], ["a close", close]], isClogged: true }
    })
  ],
  [
    "while a close waits and all is paused",
    Effect.fnUntraced(function*(bench) {
      const { a, b } = yield* bench.clogged(patient)
      yield* a.pause
      const close = yield* bench.startBlocked(Effect.exit(a.close))
      return { a, b, pending: [["a close", close]], isClogged: true }
    })
  ],
  [
    "while a half-close waits",
    Effect.fnUntraced(function*(bench) {
      if (!bench.subject.capabilities.halfClose) return undefined
      const { a, b } = yield* bench.clogged(patient)
      const halfClose = yield* bench.startBlocked(Effect.exit((yield* halfCloseable(a)).halfClose))
      return { a, b, pending: [["a half-close", halfClose]], isClogged: true }
    })
  ],
  [
    "after a half-close",
    Effect.fnUntraced(function*(bench) {
      if (!bench.subject.capabilities.halfClose) return undefined
      const [a, b] = yield* bench.pair(patient)
      yield* bench.within("a half-close", (yield* halfCloseable(a)).halfClose)
      return { a, b, isEnded: true }
    })
  ],
  [
    "after the peer's end",
    Effect.fnUntraced(function*(bench) {
      if (!bench.subject.capabilities.halfClose) return undefined
      const [a, b] = yield* bench.pair(patient)
      yield* bench.within("the peer's half-close", (yield* halfCloseable(b)).halfClose)
      yield* bench.readToEnd(a)
      return { a, b }
    })
  ],
  [
    "after a close that the peer did not answer",
    Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair(patient)
      yield* bench.startBlocked(Effect.exit(a.close))
      return { a, b, isOver: true }
    })
  ]
]

/** Both ways to abort. */
const aborts = (
  cause: Cause.Cause<unknown>
): ReadonlyArray<readonly [name: string, abort: (transport: Transport.Transport) => Effect.Effect<void>]> => [
  ["abort", (transport) => transport.abort],
  ["abortWith", (transport) => transport.abortWith(cause)]
]

/** Aborts, and answers which of these still waited at that moment: a medium may have taken a little more by then. */
export const abortUnder = <F extends Fiber.Fiber<unknown, unknown>>(
  bench: Bench,
  what: string,
  transport: Transport.Transport,
  fibers: ReadonlyArray<readonly [what: string, fiber: F]>
): Effect.Effect<ReadonlyArray<readonly [what: string, fiber: F]>, LawBroken> =>
  bench.within(
    what,
    Effect.suspend(() => {
      const waiting = fibers.filter(([, fiber]) => fiber.pollUnsafe() === undefined)
      return Effect.as(transport.abort, waiting)
    })
  )

const handlerFailed = { _tag: "HandlerFailed" } as const

const junk = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(junkByte)

/** What is written too late. */
const late = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(0xdd)

const isNotSent = (exit: Exit.Exit<unknown, unknown>): boolean => {
  const verdict = Exit.isFailure(exit) ? Transport.delivery(exit.cause) : undefined
  return verdict?._tag === "Some" && verdict.value === "NotSent"
}

const checkPrefix = (what: string, bytes: Uint8Array, whole: Uint8Array): Effect.Effect<void, LawBroken> =>
  Effect.andThen(
    check(bytes.length <= whole.length, () => `${what}: ${bytes.length} bytes in place of at most ${whole.length}`),
    checkBytes(what, bytes, whole.subarray(0, bytes.length))
  )

const checkFailed = (what: string, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void, LawBroken> =>
  check(Exit.isFailure(exit), `${what} succeeded`)

const checkQuiet = (bench: Bench, name: string, abort: Effect.Effect<void>): Effect.Effect<void, LawBroken> =>
  Effect.flatMap(
    bench.within(name, Effect.exit(abort)),
    (exit) => check(Exit.isSuccess(exit), () => `an ${name} was not quiet: ${exit}`)
  )

const checkCause = (
  bench: Bench,
  what: string,
  fiber: Fiber.Fiber<unknown, TransportError>,
  cause: Cause.Cause<unknown>
): Effect.Effect<void, LawBroken> =>
  Effect.flatMap(
    failsWith(what, bench.ended(what, fiber), "Closed"),
    (error) => check(error.cause === cause, () => `${what} was not told why: the cause of ${error} is ${error.cause}`)
  )
