/**
 * The tools that laws are written with: one clock for virtual and real subjects, bounds on everything that waits, and
 * bytes whose place can be told.
 *
 * No law may fail a sound transport because the machine was slow: a wait for "nothing more happens" is only ever used to
 * show that something did NOT happen, so that a short wait weakens a law and never breaks it.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Connection from "../Connection.ts"
import { concat } from "../internal/bytes.ts"
import * as Transport from "../Transport.ts"
import * as TransportError from "../TransportError.ts"
import { type Clogged, LawBroken, type ListenerSubject, type Pair, type Subject } from "./law.ts"

type Failure = LawBroken | TransportError.TransportError

export interface Bench {
  readonly subject: Subject
  readonly pair: (
    options?: Transport.TransportOptions
  ) => Effect.Effect<Pair, TransportError.TransportError, Scope.Scope>
  readonly clogged: (options?: Transport.TransportOptions) => Effect.Effect<Clogged, Failure, Scope.Scope>
  /** Lets everything happen that can happen by itself. Use it only before a check that something did not happen. */
  readonly settle: Effect.Effect<void>
  /** The shortest wait, for looking again and again. */
  readonly moment: Effect.Effect<void>
  /** Lets this much time pass, on the clock that the subject runs by. */
  readonly elapse: (millis: number) => Effect.Effect<void>
  /** Runs it and breaks the law if it does not come to an end. `millis` of the subject's time may pass meanwhile. */
  readonly within: <A, E>(
    what: string,
    effect: Effect.Effect<A, E>,
    options?: { readonly millis?: number | undefined }
  ) => Effect.Effect<A, E | LawBroken>
  /** As `within`, for what lives on in the scope. */
  readonly opens: <A, E>(
    what: string,
    effect: Effect.Effect<A, E, Scope.Scope>,
    options?: { readonly millis?: number | undefined }
  ) => Effect.Effect<A, E | LawBroken, Scope.Scope>
  /** Runs it in the background. It is interrupted, without being waited for, when the law is over. */
  readonly start: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<Fiber.Fiber<A, E>, never, Scope.Scope>
  /** As `start`, once it has begun to wait. */
  readonly startBlocked: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<Fiber.Fiber<A, E>, never, Scope.Scope>
  /** What a fiber that was started came to; breaks the law if it does not come to an end, as `within`. */
  readonly ended: <A, E>(
    what: string,
    fiber: Fiber.Fiber<A, E>,
    options?: { readonly millis?: number | undefined }
  ) => Effect.Effect<A, E | LawBroken>
  /** Breaks the law if the fiber ended, after everything has settled. */
  readonly stillWaits: (what: string, fiber: Fiber.Fiber<unknown, unknown>) => Effect.Effect<void, LawBroken>
  /** Reads exactly so many bytes. */
  readonly read: (transport: Transport.Transport, bytes: number) => Effect.Effect<Uint8Array, Failure>
  /** Reads to the end. */
  readonly readToEnd: (transport: Transport.Transport) => Effect.Effect<Uint8Array, Failure>
  /**
   * Writes the pattern until nothing more is taken, and answers how many bytes were accepted. The write that waited is
   * withdrawn. Nobody may read meanwhile. `chunkBytes` says how large each write is, where the law depends on that: of small
   * ones little is queued at the end, and another process in between may yet take all of it.
   */
  readonly fill: (
    transport: Transport.Transport,
    chunkBytes?: number
  ) => Effect.Effect<number, Failure, Scope.Scope>
  /**
   * A write that is under way and stuck: begun, larger than what is taken while nobody reads. Larger and larger ones are
   * tried, and `before` bytes went out whole ahead of it. `chunkOf` makes what is written, of that size; junk if not
   * given. Nobody may read meanwhile.
   */
  readonly stuckWrite: (
    transport: Transport.Transport,
    chunkOf?: (bytes: number) => Uint8Array
  ) => Effect.Effect<StuckWrite, Failure, Scope.Scope>
  /** How many resources the subject holds now; 0 where it does not say. */
  readonly held: Effect.Effect<number>
  /** Waits until the subject holds no more than so many resources. */
  readonly heldAtMost: (what: string, count: number) => Effect.Effect<void, LawBroken>
  /** Reads exactly these bytes and compares them as they come, with a bound for each read: for what is large. */
  readonly receive: (
    what: string,
    transport: Transport.Transport,
    expected: Uint8Array
  ) => Effect.Effect<void, Failure>
  /**
   * Runs it again and again, a little apart, and breaks the law unless it soon fails with one of these reasons: for what
   * the medium cannot tell at once.
   */
  readonly failsSoon: (
    what: string,
    effect: Effect.Effect<unknown, Failure>,
    ...reasons: ReadonlyArray<TransportError.Reason["_tag"]>
  ) => Effect.Effect<TransportError.TransportError, LawBroken>
  /** Waits until the transport holds so much input, as far as it buffers input at all. */
  readonly arrived: (transport: Transport.Transport, bytes: number) => Effect.Effect<void, LawBroken>
}

/** How many turns of the scheduler a virtual subject is given: it needs a turn for each step, never time. */
const turnsMax = 20_000
const settleTurns = 30
/** For how many turns, or milliseconds, nothing leaves a write that is stuck. */
const quietMoments = 60
/** What a real subject is given, in milliseconds. Generous: it is only waited out when a law is broken. */
const patienceMillis = 10_000

export const makeBench = (subject: Subject): Bench => {
  const isVirtual = subject.capabilities.virtualTime === true

  const turns = (max: number, isDone: () => boolean): Effect.Effect<void> =>
    Effect.suspend(() => {
      let turn = 0
      return Effect.whileLoop({ while: () => turn < max && !isDone(), body: () => Effect.yieldNow, step: () => turn++ })
    })

  const settle = isVirtual
    ? turns(settleTurns, () => false)
    : Effect.repeat(Effect.sleep(5), { times: 3 }).pipe(Effect.asVoid)

  const elapse = (millis: number) => isVirtual ? TestClock.adjust(millis) : Effect.sleep(millis)

  const start = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.acquireRelease(
      // Laws count on the order of what they start, also where a scheduler interrupts fibers anywhere.
      Effect.provideService(Effect.forkDetach(effect), Scheduler.PreventSchedulerYield, true),
      (fiber) => Effect.sync(() => fiber.interruptUnsafe())
    )

  const ended: Bench["ended"] = (what, fiber, options) =>
    Effect.gen(function*() {
      const millis = options?.millis ?? 0
      const isDone = () => fiber.pollUnsafe() !== undefined
      if (isVirtual) {
        // A law that lets time pass gives every timer its turn in between.
        yield* turns(millis > 0 ? settleTurns : turnsMax, isDone)
        if (millis > 0 && !isDone()) yield* TestClock.adjust(millis)
        yield* turns(turnsMax, isDone)
      } else yield* Effect.timeoutOption(Fiber.await(fiber), millis + patienceMillis)
      const exit = fiber.pollUnsafe()
      if (exit !== undefined) return yield* exit
      fiber.interruptUnsafe()
      return yield* broken(`${what} did not come to an end`)
    })

  const within: Bench["within"] = (what, effect, options) =>
    Effect.scoped(Effect.flatMap(start(effect), (fiber) => ended(what, fiber, options)))

  const opens: Bench["opens"] = (what, effect, options) =>
    Effect.flatMap(Effect.scope, (scope) => within(what, Scope.provide(effect, scope), options))

  const startBlocked: Bench["startBlocked"] = (effect) => Effect.tap(start(effect), () => settle)

  const stillWaits = (what: string, fiber: Fiber.Fiber<unknown, unknown>) =>
    Effect.andThen(
      settle,
      Effect.suspend(() => check(fiber.pollUnsafe() === undefined, () => `${what} did not wait: ${fiber.pollUnsafe()}`))
    )

  const read: Bench["read"] = (transport, bytes) =>
    within(`reading ${bytes} bytes`, Transport.readExactly(transport, bytes))

  const readToEnd: Bench["readToEnd"] = (transport) =>
    within("reading to the end", Transport.readUntilEnd(transport, { bytesMax: 256 * 1024 * 1024 }))

  const receive: Bench["receive"] = (what, transport, expected) =>
    Effect.scoped(Effect.gen(function*() {
      const reader = yield* transport.reader
      for (let at = 0; at < expected.length;) {
        const pulled = yield* within(`${what}, from byte ${at} on,`, pulledBy(reader.pull))
        if (pulled._tag !== "Chunks") return yield* broken(`${what}: ${showPulled(pulled)} after ${at} bytes`)
        for (const [i, chunk] of pulled.chunks.entries()) {
          const wanted = expected.subarray(at, at + chunk.length)
          const given = chunk.subarray(0, wanted.length)
          if (!isSame(given, wanted)) {
            const wrong = given.findIndex((byte, i) => byte !== wanted[i])
            return yield* broken(`${what}: byte ${at + wrong} of ${expected.length} is wrong`)
          }
          at += wanted.length
          if (at < expected.length) continue
          const rest = [chunk.subarray(wanted.length), ...pulled.chunks.slice(i + 1)].filter((chunk) =>
            chunk.length > 0
          )
          if (rest.length > 0) yield* reader.unread(rest)
          break
        }
      }
    }))

  const moment = isVirtual ? Effect.yieldNow : Effect.sleep(1)

  const failsSoon: Bench["failsSoon"] = (what, effect, ...reasons) =>
    within(
      `${what}, until it fails,`,
      failsWith(what, Effect.forever(Effect.andThen(effect, moment), { disableYield: true }), ...reasons)
    )

  const arrived: Bench["arrived"] = (transport, bytes) => {
    if (subject.capabilities.buffers === false) return settle
    const enough = Effect.map(transport.buffered, ({ reading }) => reading >= bytes)
    return within(
      `the arrival of ${bytes} bytes`,
      Effect.repeat(Effect.andThen(moment, enough), { until: (is) => is })
    )
  }

  const held = Effect.map(subject.resources ?? Effect.succeed([]), (lines) => lines.length)

  const heldAtMost: Bench["heldAtMost"] = (what, count) => {
    const isBack = Effect.map(held, (now) => now <= count)
    return within(
      what,
      Effect.repeat(Effect.andThen(moment, isBack), { until: (is) => is })
    )
  }

  /** Whether a write waits for good; a real one is taken to be stuck when nothing has left it for a while. */
  const isStuck = (transport: Transport.Transport, fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<boolean> =>
    Effect.gen(function*() {
      // Most writes need no more than to be run.
      yield* turns(10, () => fiber.pollUnsafe() !== undefined)
      for (let quiet = 0, before = -1; fiber.pollUnsafe() === undefined && quiet < quietMoments; quiet++) {
        yield* moment
        const { writing } = yield* transport.buffered
        if (writing !== before) quiet = 0
        before = writing
      }
      return fiber.pollUnsafe() === undefined
    })

  // Small writes fill a kernel to the brim. What passes bytes on in a process of its own may take more when it gets a turn, so
  // there what is left of the last write has to be more than that.
  const clogBytes = subject.capabilities.relayed === true ? 1_048_576 : 16_384

  const clogOne = (
    transport: Transport.Transport,
    chunkAt: (from: number) => Uint8Array
  ): Effect.Effect<number, Failure, Scope.Scope> =>
    Effect.gen(function*() {
      let junk = 0
      while (true) {
        const chunk = chunkAt(junk)
        const fiber = yield* start(transport.write(chunk))
        if (yield* isStuck(transport, fiber)) {
          yield* within("the interruption of a write", Fiber.interrupt(fiber))
          const exit = fiber.pollUnsafe()!
          const verdict = Exit.isFailure(exit) ? Transport.delivery(exit.cause) : undefined
          return verdict?._tag === "Some" && verdict.value === "NotSent" ? junk : junk + chunk.length
        }
        yield* Fiber.join(fiber)
        junk += chunk.length
        if (junk > 256 * 1024 * 1024) return yield* broken("a pair that nobody reads took 256 MiB and was not blocked")
      }
    })

  const stuckWrite: Bench["stuckWrite"] = (transport, chunkOf = junkOf) =>
    Effect.gen(function*() {
      // Through another process a smaller one is only on its way, however long that process gets no turn.
      const least = isVirtual ? 262_144 : 1_048_576
      for (let before = 0, bytes = least; bytes <= 128 * 1024 * 1024; before += bytes, bytes *= 2) {
        const fiber = yield* start(transport.write(chunkOf(bytes)))
        if (yield* isStuck(transport, fiber)) return { fiber, before, bytes }
        yield* Fiber.join(fiber)
      }
      return yield* broken("a peer that does not read was sent 256 MiB and no write waited")
    })

  const clogged: Bench["clogged"] = (options) =>
    subject.clogged?.(options) ?? Effect.gen(function*() {
      const [a, b] = yield* subject.pair(options)
      const junk = junkOf(clogBytes)
      return { a, b, junkOfA: yield* clogOne(a, () => junk), junkOfB: yield* clogOne(b, () => junk) }
    })

  return {
    subject,
    pair: subject.pair,
    clogged,
    settle,
    moment,
    elapse,
    within,
    opens,
    start,
    startBlocked,
    ended,
    stillWaits,
    read,
    readToEnd,
    receive,
    failsSoon,
    stuckWrite,
    fill: (transport, chunkBytes = clogBytes) => clogOne(transport, (from) => pattern(chunkBytes, from)),
    held,
    heldAtMost,
    arrived
  }
}

/** A write that waits while nobody reads, and how much went before it. */
interface StuckWrite {
  readonly fiber: Fiber.Fiber<void, TransportError.TransportError>
  readonly before: number
  readonly bytes: number
}

/** What the subject has for laws about listeners; only for laws that need it. */
export const listenerSubject = ({ subject }: Bench): Effect.Effect<ListenerSubject, LawBroken> =>
  subject.listener === undefined ? broken("the subject has no listener") : Effect.succeed(subject.listener)

/** Breaks the law unless each end has two addresses, and they are the other's. */
export const checkMirror = (
  what: string,
  a: Transport.Transport,
  b: Transport.Transport
): Effect.Effect<void, LawBroken> =>
  Effect.forEach([[a, b], [b, a]] as const, ([one, other]) => {
    const local = Option.map(one.info.local, String)
    const peer = Option.map(other.info.peer, String)
    return check(
      Option.isSome(local) && Option.isSome(peer) && local.value === peer.value,
      () => `${what}: one end is at ${Option.getOrUndefined(local)}, and its peer says ${Option.getOrUndefined(peer)}`
    )
  }, { discard: true })

/** Options of a pair whose end is no part of the law: what is left in it when the law is over is dropped. */
export const abandoned: Transport.TransportOptions = { onScopeExit: () => "abort" }

/** What a clogged pair is filled with. */
export const junkByte = 0xee

const junkOf = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(junkByte)

/** Ends the law as broken. */
export const broken = (detail: string): Effect.Effect<never, LawBroken> => Effect.fail(new LawBroken({ detail }))

/** Breaks the law unless the condition holds. */
export const check = (condition: boolean, detail: string | (() => string)): Effect.Effect<void, LawBroken> =>
  condition ? Effect.void : Effect.suspend(() => broken(typeof detail === "string" ? detail : detail()))

/** `bytes` bytes of a pattern that differs at every place, beginning at place `from` of stream `seed`. */
export const pattern = (bytes: number, from = 0, seed = 1): Uint8Array => {
  const out = new Uint8Array(bytes)
  for (let i = 0; i < bytes; i++) {
    const place = from + i
    out[i] = (Math.imul(place ^ (place >>> 8) ^ (place >>> 16), 0x9e3779b1) >>> 24) + seed
  }
  return out
}

/** Breaks the law unless these are the bytes of the pattern from that place on. */
export const checkPattern = (
  what: string,
  bytes: Uint8Array,
  length: number,
  from = 0,
  seed = 1
): Effect.Effect<void, LawBroken> =>
  Effect.suspend(() => {
    if (bytes.length !== length) return broken(`${what}: ${bytes.length} bytes in place of ${length}`)
    const expected = pattern(length, from, seed)
    for (let i = 0; i < length; i++) {
      if (bytes[i] !== expected[i]) return broken(`${what}: byte ${i} of ${length} is wrong`)
    }
    return Effect.void
  })

/** Breaks the law unless the bytes are these. */
export const checkBytes = (what: string, bytes: Uint8Array, expected: Uint8Array): Effect.Effect<void, LawBroken> =>
  check(isSame(bytes, expected), () => `${what}: got ${show(bytes)} in place of ${show(expected)}`)

export const text = (string: string): Uint8Array => new TextEncoder().encode(string)

export const untext = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** How a pull ended: with items, the end, or an error. */
export type Pulled =
  | { readonly _tag: "Chunks"; readonly chunks: NonEmptyReadonlyArray<Uint8Array> }
  | { readonly _tag: "End" }
  | { readonly _tag: "Failed"; readonly error: TransportError.TransportError }

/** One pull with a lease of its own, and how it ended. Nothing is put back. */
export const pullOnce = (transport: Transport.Transport): Effect.Effect<Pulled> =>
  pulledBy(Effect.scoped(Effect.flatMap(transport.reader, (reader) => reader.pull)))

/** How a pull ended, of one chunk or several. */
export const pulledBy = (
  pull: Pull.Pull<NonEmptyReadonlyArray<Uint8Array> | Uint8Array, TransportError.TransportError>
): Effect.Effect<Pulled> =>
  pull.pipe(
    Pull.matchEffect({
      onSuccess: (pulled): Effect.Effect<Pulled> =>
        Effect.succeed({ _tag: "Chunks", chunks: pulled instanceof Uint8Array ? [pulled] : pulled }),
      onDone: (): Effect.Effect<Pulled> => Effect.succeed({ _tag: "End" }),
      onFailure: (cause): Effect.Effect<Pulled> => {
        const error = Cause.squash(cause)
        return error instanceof TransportError.TransportError
          ? Effect.succeed({ _tag: "Failed", error })
          : Effect.failCause(cause as Cause.Cause<never>)
      }
    })
  )

/** A loop of reading in the background, and what it was given. */
export interface Collector {
  /** How many bytes have come so far. */
  readonly bytes: () => number
  /** Waits until so many bytes have come, and breaks the law unless they were the pattern's and no more. */
  readonly has: (what: string, bytes: number) => Effect.Effect<void, LawBroken>
  readonly loop: Fiber.Fiber<void, Failure>
}

/**
 * Reads whatever comes, and compares it with the pattern from its first byte on. `by` says how it reads: in the way that
 * the transport prefers, or by pulling.
 */
export const collect = (
  bench: Bench,
  transport: Transport.Transport,
  options?: { readonly by?: "forEach" | "pull" | undefined; readonly seed?: number | undefined }
): Effect.Effect<Collector, never, Scope.Scope> =>
  Effect.gen(function*() {
    let bytes = 0
    let wrong: number | undefined
    const reading = options?.by === "forEach" ? transport : byPulling(transport)
    const loop = yield* bench.start(Connection.forEach(reading, (batch) =>
      Effect.sync(() => {
        for (const chunk of batch) {
          if (wrong === undefined && !isSame(chunk, pattern(chunk.length, bytes, options?.seed))) wrong = bytes
          bytes += chunk.length
        }
      })))
    const has: Collector["has"] = (what, wanted) =>
      Effect.gen(function*() {
        const isThere = () => bytes >= wanted || wrong !== undefined || loop.pollUnsafe() !== undefined
        yield* Effect.mapError(
          bench.within(what, Effect.repeat(bench.moment, { until: isThere })),
          () => new LawBroken({ detail: `${what}: ${bytes} bytes came in place of ${wanted}, and no more` })
        )
        yield* check(wrong === undefined, () => `${what}: wrong bytes from byte ${wrong} on`)
        yield* check(bytes === wanted, () => `${what}: ${bytes} bytes in place of ${wanted}`)
      })
    return { bytes: () => bytes, has, loop }
  })

/** The same transport without the short way that its reader may offer. */
export const byPulling = (transport: Transport.Transport): Transport.Transport => ({
  ...transport,
  reader: Effect.map(transport.reader, ({ pull, unread }) => ({ pull, unread }))
})

/** One holder of a pause that lasts as long as a scope. Take and release it in turns. */
export interface Hold {
  readonly take: Effect.Effect<void>
  readonly release: Effect.Effect<void>
}

export const holdOf = (paused: Effect.Effect<void, never, Scope.Scope>): Hold => {
  let scope = Scope.makeUnsafe()
  return {
    take: Effect.suspend(() => Scope.provide(paused, scope = Scope.makeUnsafe())),
    release: Effect.suspend(() => Scope.close(scope, Exit.void))
  }
}

/** All that comes until something other than bytes does, and what that was. */
export const readOut = (
  transport: Transport.Transport
): Effect.Effect<{ readonly bytes: Uint8Array; readonly how: Exclude<Pulled, { readonly _tag: "Chunks" }> }> =>
  Effect.gen(function*() {
    const chunks: Array<Uint8Array> = []
    while (true) {
      const how = yield* pullOnce(transport)
      if (how._tag === "Chunks") chunks.push(...how.chunks)
      else return { bytes: concat(chunks), how }
    }
  })

/** Breaks the law unless a read finds the end. */
export const checkEnd = (what: string, pulled: Pulled): Effect.Effect<void, LawBroken> =>
  check(pulled._tag === "End", () => `${what}: ${showPulled(pulled)} in place of the end`)

/** Breaks the law unless a read fails with one of these reasons. */
export const checkReadFails = (
  what: string,
  pulled: Pulled,
  ...reasons: ReadonlyArray<TransportError.Reason["_tag"]>
): Effect.Effect<void, LawBroken> =>
  check(
    pulled._tag === "Failed" && reasons.includes(pulled.error.reason._tag),
    () => `${what}: ${showPulled(pulled)} in place of ${reasons.join(" or ")}`
  )

/** Runs it and breaks the law unless it fails with one of these reasons; answers with the error. */
export const failsWith = <A>(
  what: string,
  effect: Effect.Effect<A, Failure>,
  ...reasons: ReadonlyArray<TransportError.Reason["_tag"]>
): Effect.Effect<TransportError.TransportError, LawBroken> =>
  Effect.matchEffect(effect, {
    onSuccess: () => broken(`${what} succeeded in place of ${reasons.join(" or ")}`),
    onFailure: (error) =>
      error._tag === "LawBroken"
        ? Effect.fail(error)
        : reasons.includes(error.reason._tag)
        ? Effect.succeed(error)
        : broken(`${what} failed with ${error.reason._tag} in place of ${reasons.join(" or ")} (${error.message})`)
  })

/** Runs it and answers how it ended, whatever that was. */
export const outcome = <A>(effect: Effect.Effect<A, Failure>): Effect.Effect<string> =>
  Effect.map(Effect.exit(effect), (exit) => {
    if (Exit.isSuccess(exit)) return "success"
    const error = Cause.squash(exit.cause)
    return error instanceof TransportError.TransportError ? error.reason._tag : String(error)
  })

/** The transport with its half-close; only for laws that need it. */
export const halfCloseable = (
  transport: Transport.Transport
): Effect.Effect<Transport.HalfCloseableTransport, LawBroken> =>
  Transport.isHalfCloseable(transport)
    ? Effect.succeed(transport)
    : broken("the subject says that it can half-close, and a transport of it has no halfClose")

const show = (bytes: Uint8Array): string =>
  bytes.length > 32 ? `${bytes.length} bytes` : JSON.stringify(new TextDecoder("latin1").decode(bytes))

/** Whether the bytes are the same. Four at a time where both lie on such a border, as large pieces do. */
export const isSame = (bytes: Uint8Array, others: Uint8Array): boolean => {
  if (bytes.length !== others.length) return false
  let i = 0
  if (bytes.byteOffset % 4 === 0 && others.byteOffset % 4 === 0) {
    const words = wordsOf(bytes)
    const otherWords = wordsOf(others)
    let word = 0
    while (word < words.length && words[word] === otherWords[word]) word++
    i = word * 4
  }
  while (i < bytes.length && bytes[i] === others[i]) i++
  return i === bytes.length
}

const wordsOf = (bytes: Uint8Array): Int32Array => new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2)

export const showPulled = (pulled: Pulled): string =>
  pulled._tag === "Chunks"
    ? `${pulled.chunks.reduce((bytes, chunk) => bytes + chunk.length, 0)} bytes`
    : pulled._tag === "End"
    ? "the end"
    : `${pulled.error.reason._tag} (${pulled.error.message})`
