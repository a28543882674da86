/**
 * Laws 83 to 85: nothing is left of what is over.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Connection from "../../Connection.ts"
import * as Transport from "../../Transport.ts"
import type { TransportError } from "../../TransportError.ts"
import {
  abandoned,
  type Bench,
  broken,
  check,
  checkBytes,
  failsWith,
  halfCloseable,
  outcome,
  pattern,
  pulledBy,
  pullOnce,
  readOut,
  text
} from "../bench.ts"
import { has, type Law, type LawBroken, type Pair } from "../law.ts"

export const leakLaws: ReadonlyArray<Law> = [
  {
    number: 83,
    title: "no kind of end, and no open that fails, leaves a handle, a timer or a listener behind, however often",
    needs: ["resources"],
    test: Effect.fnUntraced(function*(bench) {
      const before = yield* bench.held
      for (const [name, live] of lives) {
        const cycle = (i: number) => Effect.scoped(live(bench, i))
        yield* Effect.forEach(Array.from({ length: 200 }, (_, i) => i), cycle, { concurrency: 10, discard: true })
        yield* bench.heldAtMost(`the release of what 200 connections held that ended by ${name}`, before)
      }
      for (const { name, open, reasons } of bench.subject.failingOpens ?? []) {
        const what = `an open that has to fail (${name})`
        const cycle = bench.within(what, failsWith(what, Effect.scoped(open), ...reasons))
        yield* Effect.forEach(Array.from({ length: 200 }), () => cycle, { concurrency: 10, discard: true })
        yield* bench.heldAtMost(`the release of what 200 opens held that failed (${name})`, before)
      }
    })
  },
  {
    number: 84,
    title:
      "an operation that is over leaves nothing behind, and the handler of a connection that is over can be collected",
    test: Effect.fnUntraced(function*(bench) {
      const { gc } = globalThis as { readonly gc?: (() => void) | undefined }
      if (gc === undefined) {
        return yield* broken("it needs a garbage collection on demand: run node with --expose-gc")
      }
      const warnings = yield* watchWarnings

      const [a, b] = yield* bench.pair(abandoned)
      const before = yield* bench.held
      const residue: Array<Residue> = [
        { what: "reads that waited", most: few, refs: yield* Effect.scoped(waitingReads(bench, a, b)) },
        { what: "writes that waited", most: few, refs: yield* Effect.scoped(waitingWrites(bench, a, b)) }
      ]
      yield* pass(bench, "after 10,000 reads and 10,000 writes that waited", a, b)
      yield* bench.heldAtMost("what the transport held before 10,000 reads and writes waited", before)
      const ends: Array<Transport.Transport> = []
      for (const ending of endings) {
        const pair = yield* bench.pair(brief)
        const refs = yield* Effect.scoped(finished(bench, pair, ending))
        ends.push(...pair)
        residue.push({ what: `of those who worked with a transport that ended by ${ending}`, most: 0, refs })
      }
      yield* collect(bench, gc, residue)
      // The transports themselves were still there.
      yield* Effect.forEach(ends, (end) => bench.within("a late abort", end.abort))
      // Nothing is left of a transport itself, when its scope is over.
      yield* collect(bench, gc, [{ what: "of the transports whose scope is over", most: 0, refs: yield* gone(bench) }])
      yield* check(warnings.length === 0, () => `there were warnings: ${warnings.join(", ")}`)
    })
  },
  {
    number: 85,
    title: "a late call on a transport that is over cannot hit the one that came after it",
    test: Effect.fnUntraced(function*(bench) {
      for (let round = 0; round < 3; round++) {
        for (const ending of endings) {
          const scope = yield* Scope.fork(yield* Effect.scope)
          const dead = yield* Scope.provide(bench.pair(brief), scope)
          const readers = yield* Effect.forEach(dead, (end) => Scope.provide(end.reader, scope))
          yield* end(bench, dead, ending)

          // The new one is likely to get the numbers that the old one had.
          const [c, d] = yield* bench.pair(abandoned)
          const waiting = [yield* bench.start(pullOnce(c)), yield* bench.start(pullOnce(d))] as const
          const closed = yield* bench.start(outcome(c.closed))
          yield* bench.settle
          for (const [i, end] of dead.entries()) {
            for (const [name, late] of lateCalls(end, readers[i]!)) {
              yield* bench.within(`a late ${name} after ${ending}`, Effect.exit(late), { millis: 20 })
            }
          }
          yield* bench.within("the late end of its scope", Scope.close(scope, Exit.void), { millis: 20 })
          const what = `a new connection, after late calls on one that ended by ${ending}`
          yield* bench.stillWaits(`${what}: a read`, waiting[0])
          yield* bench.stillWaits(`${what}: the peer's read`, waiting[1])
          yield* bench.stillWaits(`${what}: closed`, closed)
          for (const [from, reading] of [[c, waiting[1]], [d, waiting[0]]] as const) {
            const writing = yield* bench.start(from.write(text("x")))
            const pulled = yield* bench.ended(`${what}: a read`, reading)
            yield* check(pulled._tag === "Chunks", () => `${what}: a read came to ${pulled._tag}`)
            yield* bench.ended(`${what}: a write`, writing)
          }
          yield* pass(bench, `over ${what}`, c, d)
        }
      }
    })
  }
]

// ---------------------------------------------------------------------------------------------------------------------
// Ends
// ---------------------------------------------------------------------------------------------------------------------

/** Limits that may be reached: nobody is to be waited for. */
const brief: Transport.TransportOptions = { linger: { duration: 10 } }

const endings = ["close", "abort", "the peer's close", "the peer's abort"] as const

/** Ends the connection, and waits until it is over at both ends. */
const end = Effect.fnUntraced(function*(bench: Bench, [a, b]: Pair, ending: (typeof endings)[number]) {
  const [first, second] = ending.startsWith("the peer's") ? [b, a] : [a, b]
  const isAbort = ending.endsWith("abort")
  const one = yield* bench.start(Effect.exit(isAbort ? first.abort : first.close))
  if (isAbort) yield* bench.start(Effect.exit(second.abort))
  else yield* bench.start(Effect.exit(second.close))
  yield* bench.ended(ending, one, { millis: 20 })
  for (const each of [a, b]) yield* bench.within(`closed, after ${ending},`, Effect.exit(each.closed), { millis: 20 })
})

/** What a connection can live through, each in a scope of its own. */
const lives: ReadonlyArray<
  readonly [
    name: string,
    live: (bench: Bench, i: number) => Effect.Effect<void, LawBroken | TransportError, Scope.Scope>
  ]
> = [
  [
    "close",
    Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* used(bench)
      yield* bench.within("close at both ends", Effect.all([a.close, b.close], { concurrency: 2 }), { millis: 20 })
    })
  ],
  [
    "abort",
    Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* used(bench)
      yield* a.abort
      if (has(bench.subject, "peerEnd")) yield* bench.within("the peer's reading", readOut(b))
    })
  ],
  [
    "the peer's close",
    Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* used(bench)
      const closing = yield* bench.start(b.close)
      if (has(bench.subject, "peerEnd")) yield* bench.readToEnd(a)
      yield* bench.within("our close", a.close, { millis: 20 })
      yield* bench.ended("the peer's close", closing)
    })
  ],
  [
    "the peer's abort",
    Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* used(bench)
      yield* b.abort
      if (has(bench.subject, "peerEnd")) yield* bench.within("reading", readOut(a))
    })
  ],
  [
    "half-close at both ends",
    Effect.fnUntraced(function*(bench) {
      const pair = yield* used(bench)
      if (!bench.subject.capabilities.halfClose) return
      for (const each of pair) {
        yield* bench.start((yield* halfCloseable(each)).halfClose)
        yield* bench.start(Effect.exit(readOut(each)))
      }
      for (const each of pair) yield* bench.within("closed, after half-close at both ends,", each.closed)
    })
  ],
  ["the end of its scope", (bench) => Effect.asVoid(used(bench))],
  [
    "a failure",
    (bench) => Effect.ignore(Effect.scoped(Effect.andThen(used(bench), Effect.fail("a failure of its owner"))))
  ],
  [
    "an interruption",
    Effect.fnUntraced(function*(bench) {
      const working = yield* bench.start(
        Effect.scoped(Effect.flatMap(used(bench), ([a]) => Transport.readExactly(a, 1)))
      )
      for (let turn = 0; turn < 5; turn++) yield* Effect.yieldNow
      yield* bench.within("an interruption", Fiber.interrupt(working), { millis: 20 })
    })
  ],
  [
    "an interruption while it was opened",
    Effect.fnUntraced(function*(bench, i) {
      const opening = yield* bench.start(Effect.scoped(bench.pair(brief)))
      for (let turn = 0; turn < i % 8; turn++) yield* Effect.yieldNow
      yield* bench.within("an interruption", Fiber.interrupt(opening), { millis: 20 })
    })
  ]
]

/** A connection over which something has passed, both ways. */
const used = Effect.fnUntraced(function*(bench: Bench) {
  const [a, b] = yield* bench.pair(brief)
  for (const [from, to] of [[a, b], [b, a]] as const) {
    const writing = yield* bench.start(from.write(text("hello")))
    yield* bench.read(to, 5)
    yield* bench.ended("a write", writing)
  }
  return [a, b] as const
})

/** Everything that can be called on a transport, and on a reader of it. */
const lateCalls = (
  transport: Transport.Transport,
  reader: Connection.Reader<Uint8Array, TransportError>
): ReadonlyArray<readonly [name: string, call: Effect.Effect<unknown, unknown>]> => [
  ["write", transport.write(text("late"))],
  ["writeAll", transport.writeAll([text("la"), text("te")])],
  ["flush", transport.flush],
  ["pull", pulledBy(reader.pull)],
  ["read", pullOnce(transport)],
  ["pause", transport.pause],
  ["resume", transport.resume],
  ["pause of reading", Effect.scoped(transport.pausedReading)],
  ["pause of writing", Effect.scoped(transport.pausedWriting)],
  ["half-close", Transport.isHalfCloseable(transport) ? transport.halfClose : Effect.void],
  ["close", transport.close],
  ["abort", transport.abort],
  ["abort with a cause", transport.abortWith(Cause.fail("late"))],
  ["second pause", transport.pause],
  ["second close", transport.close]
]

const pass = Effect.fnUntraced(function*(
  bench: Bench,
  when: string,
  from: Transport.Transport,
  to: Transport.Transport
) {
  const writing = yield* bench.start(from.write(pattern(1024)))
  yield* checkBytes(`a kilobyte ${when}`, yield* bench.read(to, 1024), pattern(1024))
  yield* bench.ended(`the write of a kilobyte ${when}`, writing)
})

// ---------------------------------------------------------------------------------------------------------------------
// Residue
// ---------------------------------------------------------------------------------------------------------------------

/** Of many operations the last few may still be in somebody's hands. */
const few = 10

const operations = 10_000

/** So many reads that wait, one after the other, ten to a lease; some get something and the others are interrupted. */
const waitingReads = Effect.fnUntraced(function*(bench: Bench, a: Transport.Transport, b: Transport.Transport) {
  const refs: Array<WeakRef<object>> = []
  for (let i = 0; i < operations; i += 10) {
    yield* Effect.scoped(Effect.gen(function*() {
      const reader = yield* a.reader
      for (let j = i; j < i + 10; j++) {
        const reading = yield* fork(pulledBy(reader.pull))
        // Whatever is left of a read that waited would wake its fiber.
        refs.push(new WeakRef(reading))
        if (j % 100 > 0) yield* Fiber.interrupt(reading)
        else {
          const writing = yield* bench.start(b.write(text("x")))
          yield* bench.ended("a read that waited", reading)
          yield* bench.ended("the write that it waited for", writing)
        }
      }
    }))
  }
  return refs
})

/** So many writes that wait all at once; the first half of them is interrupted and the other goes out. */
const waitingWrites = Effect.fnUntraced(function*(bench: Bench, a: Transport.Transport, b: Transport.Transport) {
  const accepted = yield* bench.fill(a)
  const refs: Array<WeakRef<object>> = []
  const writing: Array<Fiber.Fiber<void, TransportError>> = []
  for (let i = 0; i < operations; i++) {
    const out = new Uint8Array(10)
    const fiber = yield* fork(a.write(out))
    refs.push(new WeakRef(fiber), new WeakRef(out))
    writing.push(fiber)
  }
  let sent = operations
  for (let i = 0; i < operations / 2; i++) {
    const exit = yield* Effect.andThen(Fiber.interrupt(writing[i]!), Fiber.await(writing[i]!))
    const verdict = Exit.isFailure(exit) ? Transport.delivery(exit.cause) : undefined
    if (verdict?._tag === "Some" && verdict.value === "NotSent") sent--
  }
  yield* bench.receive("what was accepted before 10,000 writes waited", b, pattern(accepted))
  yield* bench.receive("what was written by those who waited", b, new Uint8Array(sent * 10))
  for (let i = operations / 2; i < operations; i++) yield* bench.ended("a write that waited", writing[i]!)
  return refs
})

const fork = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkDetach(effect, { startImmediately: true })

/** Lets handlers and others work with the connection until it ends, and they with it. */
const finished = Effect.fnUntraced(function*(bench: Bench, pair: Pair, ending: (typeof endings)[number]) {
  const refs: Array<WeakRef<object>> = []
  const working: Array<Fiber.Fiber<string>> = []
  for (const each of pair) {
    const handler = () => Effect.sync(() => working.length)
    refs.push(new WeakRef(handler))
    working.push(
      yield* bench.start(outcome(Connection.forEach(each, handler))),
      yield* bench.start(outcome(each.closed)),
      yield* bench.start(outcome(Effect.andThen(each.write(text("hello")), each.flush)))
    )
  }
  for (const fiber of working) refs.push(new WeakRef(fiber))
  yield* bench.settle
  yield* end(bench, pair, ending)
  for (const fiber of working) yield* bench.ended(`one who worked with it, after ${ending},`, fiber)
  return refs
})

/** Transports that have ended in each way, and their scopes too. */
const gone = (bench: Bench) =>
  Effect.forEach(endings, (ending) =>
    Effect.scoped(Effect.gen(function*() {
      const pair = yield* bench.pair(brief)
      yield* end(bench, pair, ending)
      return pair.map((each) => new WeakRef(each))
    }))).pipe(Effect.map((refs) => refs.flat()))

interface Residue {
  readonly what: string
  /** How many may still be there. */
  readonly most: number
  readonly refs: ReadonlyArray<WeakRef<object>>
}

/** Collects garbage, and breaks the law unless what is left of them comes down to what may be left. */
const collect = Effect.fnUntraced(function*(bench: Bench, gc: () => void, residue: ReadonlyArray<Residue>) {
  const left = (refs: ReadonlyArray<WeakRef<object>>) =>
    refs.reduce((count, ref) => ref.deref() === undefined ? count : count + 1, 0)
  for (let round = 1;; round++) {
    // What was looked at in a turn is kept until the turn is over.
    yield* bench.settle
    gc()
    const held = residue.find(({ most, refs }) => left(refs) > most)
    if (held === undefined) return
    yield* check(round < 20, () => `${left(held.refs)} of ${held.refs.length} ${held.what} are still held`)
  }
})

/** The warnings of listeners that pile up, from now on; where the platform has such. */
const watchWarnings: Effect.Effect<ReadonlyArray<string>, never, Scope.Scope> = Effect.suspend(() => {
  const { process } = globalThis as {
    readonly process?: Record<"on" | "off", (event: string, listener: (warning: Error) => void) => void> | undefined
  }
  const warnings: Array<string> = []
  const listener = (warning: Error) => {
    if (warning.name === "MaxListenersExceededWarning") warnings.push(warning.message)
  }
  return Effect.as(
    Effect.acquireRelease(
      Effect.sync(() => process?.on("warning", listener)),
      () => Effect.sync(() => process?.off("warning", listener))
    ),
    warnings
  )
})
