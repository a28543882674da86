/**
 * Laws 24 to 26: the order of bytes, of handlers and of events.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Connection from "../../Connection.ts"
import type * as Transport from "../../Transport.ts"
import type { TransportError } from "../../TransportError.ts"
import { abandoned, type Bench, check, outcome, pattern, pullOnce, text } from "../bench.ts"
import { type Law, LawBroken } from "../law.ts"
import { randomOf } from "../random.ts"

export const orderingLaws: ReadonlyArray<Law> = [
  {
    number: 24,
    title: "bytes keep their order in each direction, and the directions go on without each other",
    test: Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair(abandoned)
      const [ofA, ofB] = [pattern(1_048_576, 0, 3), pattern(1_048_576, 0, 5)]
      const writing = [
        yield* bench.start(writeInPieces(a, ofA, 24)),
        yield* bench.start(writeInPieces(b, ofB, 42))
      ]
      const reading = [
        yield* bench.start(bench.receive("what the one end sent", b, ofA)),
        yield* bench.start(bench.receive("what the other end sent", a, ofB))
      ]
      for (const fiber of reading) yield* bench.ended("reading 1 MiB while as much is written", fiber)
      for (const fiber of writing) yield* bench.ended("writing 1 MiB while as much is read", fiber)

      // Nobody reads the one direction until all of the other has passed.
      const some = [ofA.subarray(0, 262_144), ofB.subarray(0, 262_144)] as const
      const stuck = yield* bench.start(writeInPieces(a, some[0], 240))
      const passing = yield* bench.start(writeInPieces(b, some[1], 420))
      yield* bench.receive("what was sent beside a direction that nobody reads", a, some[1])
      yield* bench.ended("writing beside a direction that nobody reads", passing)
      yield* bench.receive("what nobody had read", b, some[0])
      yield* bench.ended("writing what nobody had read", stuck)
    })
  },
  {
    number: 25,
    title: "input is handled serially: a handler begins when the one before it is done",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      for (const how of ["forEach", "a loop that pulls"] as const) {
        const scope = yield* Effect.scope
        const [a, b] = yield* bench.pair(abandoned)
        const events: Array<string> = []
        let index = 0
        const handler = Effect.fnUntraced(function*(batch: NonEmptyReadonlyArray<Uint8Array>) {
          const mine = index++
          events.push(`begin ${Array.from(batch, (chunk) => Array.from(chunk))}`)
          // The next byte comes while this one is handled, and needs less time.
          yield* Scope.provide(bench.start(mine < handled - 1 ? b.write(new Uint8Array([mine + 1])) : b.close), scope)
          for (let turns = handled - mine; turns > 0; turns--) yield* bench.settle
          events.push(`end ${Array.from(batch, (chunk) => Array.from(chunk))}`)
        })
        const handling = yield* bench.start(how === "forEach" ? Connection.forEach(a, handler) : pullLoop(a, handler))
        yield* bench.start(b.write(new Uint8Array([0])))
        yield* bench.ended(how, handling)
        const expected = Array.from({ length: handled }, (_, i) => `begin ${i}, end ${i}`).join(", ")
        yield* check(events.join(", ") === expected, () => `${how}: ${events.join(", ")} in place of ${expected}`)
      }
    })
  },
  {
    number: 26,
    title: "events come in the order open, data, end of input, closed; closed comes once, and nothing after it",
    needs: ["peerEnd"],
    test: (bench) =>
      Effect.forEach(
        endings,
        (ending) => ending.name === "reset" && !bench.subject.capabilities.reset ? Effect.void : record(bench, ending),
        { discard: true }
      )
  }
]

/** How many handlers run, one after the other. */
const handled = 5

/** Writes the bytes in pieces of random sizes, by `write` and by `writeAll`. */
const writeInPieces = (transport: Transport.Transport, bytes: Uint8Array, seed: number) =>
  Effect.suspend(() => {
    const random = randomOf(seed)
    const pieces: Array<Uint8Array> = []
    for (let at = 0; at < bytes.length; at += pieces.at(-1)!.length) {
      pieces.push(bytes.subarray(at, at + 1 + random([16, 1024, 10_000, 100_000][random(9) % 4]!)))
    }
    return Effect.forEach(pieces, (piece, i) => {
      const cut = random(piece.length)
      return i % 3 === 0
        ? transport.writeAll([piece.subarray(0, cut), piece.subarray(cut)])
        : transport.write(piece)
    }, { discard: true })
  })

/** `Connection.forEach` without the short way that a transport may offer. */
const pullLoop = <E>(
  transport: Transport.Transport,
  f: (batch: NonEmptyReadonlyArray<Uint8Array>) => Effect.Effect<void, E>
): Effect.Effect<void, TransportError | E> =>
  Connection.forEach({
    ...transport,
    reader: Effect.map(transport.reader, ({ pull, unread }) => ({ pull, unread }))
  }, f)

interface Ending {
  readonly name: string
  /** Whether the loop that reads sees the end of input. */
  readonly endsInput?: boolean
  /** What `closed` answers. */
  readonly closed: (outcome: string) => boolean
  readonly run: (ends: {
    readonly bench: Bench
    readonly a: Transport.Transport
    readonly b: Transport.Transport
    readonly scope: Scope.Closeable
    /** The loop that reads from `a`; its handler fails at a byte of 0xFF. */
    readonly loop: Fiber.Fiber<void, unknown>
    readonly closed: Fiber.Fiber<string>
  }) => Effect.Effect<void, LawBroken | TransportError, Scope.Scope>
}

const endings: ReadonlyArray<Ending> = [
  {
    name: "close",
    closed: (outcome) => outcome === "success",
    run: ({ a, bench }) => bench.within("close", a.close, { millis: 20 })
  },
  {
    name: "abort",
    closed: (outcome) => outcome === "Closed",
    run: ({ a, bench }) => bench.within("abort", a.abort)
  },
  {
    name: "the peer's close",
    endsInput: true,
    closed: (outcome) => outcome === "success",
    run: Effect.fnUntraced(function*({ a, b, bench, closed, loop }) {
      yield* bench.start(b.close)
      yield* Effect.mapError(
        bench.ended("the loop that reads, at the peer's close", loop),
        (error) => error instanceof LawBroken ? error : new LawBroken({ detail: `the peer's close: ${error}` })
      )
      yield* bench.stillWaits("closed, with our direction open", closed)
      yield* bench.within("our close", a.close, { millis: 20 })
    })
  },
  {
    name: "reset",
    closed: (outcome) => outcome === "Reset",
    run: ({ b, bench }) => bench.within("the peer's abort", b.abort)
  },
  {
    name: "a handler that fails",
    // The scope ends both ends, and either may be the first.
    closed: (outcome) => outcome !== "success",
    run: Effect.fnUntraced(function*({ b, bench, loop, scope }) {
      yield* bench.start(b.write(new Uint8Array([0xff])))
      const exit = yield* bench.within("a loop whose handler fails", Fiber.await(loop))
      yield* bench.within("the end of a scope that failed", Scope.close(scope, exit), { millis: 20 })
    })
  }
]

/** Records what happens at one end of a connection that ends in this way, and checks the record. */
const record = Effect.fnUntraced(function*(bench: Bench, ending: Ending) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const [a, b] = yield* Scope.provide(bench.pair({ closeTimeout: "1 minute", linger: { duration: 10 } }), scope)
  const events = ["open"]
  const all = yield* Deferred.make<void>()
  let bytes = 0
  const closed = yield* bench.start(Effect.tap(outcome(a.closed), () => Effect.sync(() => events.push("closed"))))
  const alsoClosed = yield* bench.start(outcome(a.closed))
  const loop = yield* bench.start(
    pullLoop(a, (batch) =>
      Effect.suspend(() => {
        if (events.at(-1) !== "data") events.push("data")
        for (const chunk of batch) bytes += chunk.length
        if (bytes >= 40_000) Deferred.doneUnsafe(all, Effect.void)
        return batch.at(-1)!.includes(0xff) ? Effect.fail("the handler failed") : Effect.void
      })).pipe(Effect.andThen(Effect.sync(() => {
        events.push("end of input")
      })))
  )
  yield* bench.start(b.write(new Uint8Array(40_000)))
  yield* bench.within(`the data before ${ending.name}`, Deferred.await(all))
  yield* ending.run({ bench, a, b, scope, loop, closed })

  const first = yield* bench.ended(`closed, after ${ending.name},`, closed)
  yield* check(ending.closed(first), `closed, after ${ending.name}: ${first}`)
  // Whatever is tried now is no event.
  yield* bench.start(outcome(b.write(text("late"))))
  yield* bench.start(outcome(b.close))
  const late = yield* bench.within("a read after closed", pullOnce(a))
  yield* check(late._tag !== "Chunks", `after ${ending.name} there was data behind closed`)
  yield* bench.within("a late close", outcome(a.close))
  yield* bench.within("a late abort", a.abort)
  yield* bench.settle
  for (
    const other of [
      yield* bench.ended("closed, for a second that waits", alsoClosed),
      yield* bench.within("closed, asked again", outcome(a.closed))
    ]
  ) yield* check(other === first, `closed, after ${ending.name}: ${first}, and then ${other}`)
  const expected = ["open", "data", ...(ending.endsInput ? ["end of input"] : []), "closed"].join(", ")
  yield* check(
    events.join(", ") === expected,
    () => `${ending.name}: the events were ${events.join(", ")} in place of ${expected}`
  )
})
