/**
 * Law 82: ends that are repeated and mixed.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { concat } from "../../internal/bytes.ts"
import * as Transport from "../../Transport.ts"
import type { TransportError } from "../../TransportError.ts"
import { type Bench, check, checkBytes, outcome, pattern, pullOnce } from "../bench.ts"
import type { Law } from "../law.ts"
import { randomOf } from "../random.ts"

export const idempotenceLaws: ReadonlyArray<Law> = [
  {
    number: 82,
    title:
      "ends, pauses and writes may repeat and mix in any order: late calls are quiet, and an end stays what it was",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      for (let seed = 1; seed <= 60; seed++) yield* Effect.scoped(play(bench, seed))
    })
  }
]

/** What a sequence is made of; the first letters do no harm that a later one could not undo. */
const gentle = ["write", "flush", "pause", "resume", "halfClose", "close"] as const
const letters = [...gentle, "write", "writeAll", "abort", "abortWith", "scope"] as const
type Letter = (typeof letters)[number]

/** One end of the connection, and what the model knows of it. */
interface End {
  readonly name: string
  readonly transport: Transport.Transport
  readonly received: Array<Uint8Array>
  /** How its input came to an end. */
  readonly loop: Fiber.Fiber<string>
  /** Two who wait for `closed`. */
  readonly closed: ReadonlyArray<Fiber.Fiber<string>>
  /** The calls that were made, in order. */
  readonly made: Array<Letter>
  /** How many bytes it tried to write. */
  tried: number
}

/** A call under way. */
interface Call {
  readonly letter: Letter
  readonly end: End
  readonly bytes: number
  /** Whether our direction was to end before the call. */
  readonly isLate: boolean
  readonly fiber: Fiber.Fiber<string>
}

/** Plays one sequence on both ends of one connection, and holds what comes of it against the model. */
const play = Effect.fnUntraced(function*(bench: Bench, seed: number) {
  const random = randomOf(seed)
  const isGentle = seed % 3 === 0
  const alphabet: ReadonlyArray<Letter> = isGentle ? gentle : letters
  const scope = yield* Scope.fork(yield* Effect.scope)
  const pair = yield* Scope.provide(bench.pair(patient), scope)
  const a = yield* watch(bench, "a", pair[0])
  const b = yield* watch(bench, "b", pair[1])
  const calls: Array<Call> = []
  const story: Array<string> = []

  const make = Effect.fnUntraced(function*(end: End, letter: Letter, bytes: number) {
    story.push(`${end.name}.${letter}`)
    const isLate = end.made.some(isEnding)
    const fiber = yield* bench.start(outcome(call(end, letter, bytes, scope)))
    calls.push({ letter, end, bytes, isLate, fiber })
    for (const one of letter === "scope" ? [a, b] : [end]) one.made.push(letter)
    end.tried += bytes
    for (let turns = [0, 0, 1, 4][random(4)]!; turns > 0; turns--) yield* Effect.yieldNow
  })
  if (random(2) === 0) {
    // Output that waits, for whatever follows.
    yield* make(b, "pause", 0)
    yield* make(a, "write", 150_000)
  }
  for (let step = 0; step < 12; step++) {
    const end = random(2) === 0 ? a : b
    const letter = alphabet[random(alphabet.length)]!
    if (letter === "halfClose" && !Transport.isHalfCloseable(end.transport)) continue
    yield* make(end, letter, letter.startsWith("write") ? [1, 200, 5_000, 70_000][random(4)]! : 0)
  }

  const what = `sequence ${seed} (${story.join(", ")})`
  const ended = <A>(whose: string, fiber: Fiber.Fiber<A>) => bench.ended(`${what}: ${whose}`, fiber)
  yield* bench.within(`${what}: resume`, Effect.andThen(a.transport.resume, b.transport.resume))
  if (isGentle) {
    // Nothing was to be lost, in the direction of an end that reads to the end. One close is enough.
    const didClose = b.made.includes("close")
    for (const end of [a, b]) {
      if (!end.made.includes("close")) {
        const fiber = yield* bench.start(outcome(end.transport.close))
        calls.push({ letter: "close", end, bytes: 0, isLate: true, fiber })
      }
      if (end === b || didClose) continue
      const how = yield* ended("b's reading", b.loop)
      yield* check(how === "the end", `${what}: b's reading came to ${how} in place of the end`)
      let accepted = 0
      for (const { bytes, end, fiber } of calls) {
        if (end === a && bytes > 0 && (yield* ended("a's write", fiber)) === "success") accepted += bytes
      }
      yield* checkBytes(`${what}: what b got`, concat(b.received), pattern(accepted))
    }
    const closed = yield* ended("a's closed", a.closed[0]!)
    yield* check(didClose || closed === "success", `${what}: a's closed came to ${closed}`)
  } else {
    yield* bench.within(`${what}: abort`, Effect.andThen(a.transport.abort, b.transport.abort))
  }

  for (const { end, fiber, isLate, letter } of calls) {
    const came = yield* ended(`${end.name}'s ${letter}`, fiber)
    const other = end === a ? b : a
    yield* check(
      isAllowed(letter, came, end, other, isLate, isGentle),
      `${what}: ${end.name}'s ${letter} came to ${came}`
    )
  }
  for (const end of [a, b]) {
    const other = end === a ? b : a
    const loop = yield* ended(`${end.name}'s reading`, end.loop)
    const got = concat(end.received)
    yield* check(got.length <= other.tried, `${what}: ${end.name} got ${got.length} bytes of ${other.tried}`)
    yield* checkBytes(`${what}: what ${end.name} got`, got, pattern(got.length))
    yield* checkAfterwards(bench, what, end, loop, random)
  }
})

/** Whatever is called on a connection that is over is quiet, and changes nothing. */
const checkAfterwards = Effect.fnUntraced(function*(
  bench: Bench,
  what: string,
  end: End,
  loop: string,
  random: (below: number) => number
) {
  const closed = yield* bench.ended(`${what}: ${end.name}'s closed`, end.closed[0]!)
  if (end.made[0]?.startsWith("abort") === true) {
    yield* check(closed !== "success", `${what}: ${end.name} was aborted, and its closed succeeded`)
  }
  for (let i = 0; i < 6; i++) {
    const letter = letters[random(letters.length)]!
    if (letter === "scope") continue
    const late = `${what}, and when all was over ${end.name}.${letter}`
    const came = yield* bench.within(late, outcome(call(end, letter, 10)))
    const isQuiet = letter === "write" || letter === "writeAll"
      ? failures.includes(came)
      : letter === "halfClose" || letter === "flush"
      ? came === "success" || failures.includes(came)
      // That bytes were lost may be said again.
      : came === "success" || (letter === "close" && came !== "Closed" && came === closed)
    yield* check(isQuiet, `${late} came to ${came}`)
  }
  const again = `${what}, and when all was over`
  yield* end.transport.resume
  const pulled = yield* bench.within(`${again}: a read`, pullOnce(end.transport))
  yield* check(pulled._tag !== "Chunks", `${again}: a read got data after ${loop}`)
  for (const [i, fiber] of [end.closed[1]!, yield* bench.start(outcome(end.transport.closed))].entries()) {
    const other = yield* bench.ended(`${again}: closed`, fiber)
    const who = i === 0 ? "another who waited" : "one who asked later"
    yield* check(other === closed, `${what}: ${end.name}'s closed came to ${closed}, and for ${who} to ${other}`)
  }
})

const failures = ["Closed", "Reset", "TimedOut"]

/** What a call may come to, by what was called at both ends. */
const isAllowed = (
  letter: Letter,
  came: string,
  end: End,
  other: End,
  isLate: boolean,
  isGentle: boolean
): boolean => {
  const isWrite = letter === "write" || letter === "writeAll"
  switch (came) {
    case "success":
      return !(isWrite && isLate)
    case "Closed":
      return isWrite || letter === "flush" || letter === "halfClose" || (letter === "close" && !isGentle)
    case "Reset":
      // In a gentle sequence only a peer that has closed is gone, and in the end a is the first to close.
      return !quiet.includes(letter) && (!isGentle || other.made.includes("close") || other.name === "a")
    case "TimedOut":
      return !quiet.includes(letter) && end.made.includes("scope")
    default:
      return false
  }
}

/** What succeeds whatever has happened. */
const quiet: ReadonlyArray<Letter> = ["abort", "abortWith", "pause", "resume", "scope"]

/** What ends our direction at once. A scope lets go of one end after the other. */
const isEnding = (letter: Letter): boolean =>
  letter === "halfClose" || letter === "close" || letter === "abort" || letter === "abortWith"

const call = (
  { tried, transport }: End,
  letter: Letter,
  bytes: number,
  scope?: Scope.Closeable
): Effect.Effect<void, TransportError> => {
  switch (letter) {
    case "write":
      return transport.write(pattern(bytes, tried))
    case "writeAll": {
      const out = pattern(bytes, tried)
      return transport.writeAll([out.subarray(0, bytes >> 1), out.subarray(bytes >> 1)])
    }
    case "abortWith":
      return transport.abortWith(Cause.fail("a reason of ours"))
    case "halfClose":
      return Transport.isHalfCloseable(transport) ? transport.halfClose : Effect.void
    case "scope":
      return scope === undefined
        ? Effect.void
        : Scope.close(scope, tried % 2 === 0 ? Exit.void : Exit.fail("a failure"))
    default:
      return transport[letter]
  }
}

/** Reads until something other than bytes comes, and waits for the end. */
const watch = (
  bench: Bench,
  name: string,
  transport: Transport.Transport
): Effect.Effect<End, never, Scope.Scope> =>
  Effect.gen(function*() {
    const received: Array<Uint8Array> = []
    const reading: Effect.Effect<string> = Effect.flatMap(pullOnce(transport), (pulled) => {
      if (pulled._tag !== "Chunks") return Effect.succeed(pulled._tag === "End" ? "the end" : pulled.error.reason._tag)
      received.push(...pulled.chunks)
      return reading
    })
    const closed = [yield* bench.start(outcome(transport.closed)), yield* bench.start(outcome(transport.closed))]
    return { name, transport, received, loop: yield* bench.start(reading), closed, made: [], tried: 0 }
  })

/** Longer than the kit waits for anything: limits that are not to be reached. */
const patient: Transport.TransportOptions = { closeTimeout: 60_000, linger: { duration: 60_000 } }
