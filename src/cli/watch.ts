/**
 * Attends to the connections of a relay: counts them, says what becomes of them, and looks on where asked to.
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Connection from "../Connection.ts"
import * as Endpoint from "../Endpoint.ts"
import { isHalfCloseable, type Transport } from "../Transport.ts"
import type { TransportError } from "../TransportError.ts"
import { converse, join, type Pair, untilOneEnds } from "./conversation.ts"
import { type Direction, failure, Report, type Traffic } from "./report.ts"
import type { Shutdown } from "./shutdown.ts"
import * as Stderr from "./stderr.ts"

export interface Watch {
  /**
   * Opens a pair, or none where it is too late for one, and joins it until it has ended. Fails with what it has said.
   */
  readonly attend: <R>(
    open: Effect.Effect<Option.Option<Pair>, TransportError, R>,
    drain: Duration.Duration
  ) => Effect.Effect<void, TransportError, R | Shutdown>
}

/** Reports progress, where asked to, until the scope ends. */
export const make = Effect.fnUntraced(function*(
  { json, progress, tap }: { readonly json: boolean; readonly progress: boolean; readonly tap: boolean }
): Effect.fn.Return<Watch, never, Report | Scope.Scope> {
  const report = yield* Report
  const began = yield* Clock.currentTimeMillis
  const elapsed = Effect.map(Clock.currentTimeMillis, (now) => (now - began) / 1000)
  const total: Traffic = { aToB: 0, bToA: 0 }
  let count = 0
  let open = 0

  /** The same connection, with what is read from it counted and shown. */
  const observed = (connection: number, transport: Transport, direction: Direction, traffic: Traffic): Transport =>
    Connection.tap(transport, {
      onRead: (chunks) =>
        Effect.forEach(chunks, (bytes) => {
          const offset = traffic[direction]
          traffic[direction] += bytes.length
          total[direction] += bytes.length
          return tap
            ? Effect.flatMap(elapsed, (seconds) =>
              report.say({ event: "data", connection, direction, seconds, offset, bytes }))
            : Effect.void
        }, { discard: true })
    })

  const isObserved = json || progress || tap
  const attend: Watch["attend"] = Effect.fnUntraced(function*(opening, drain) {
    const connection = ++count
    const traffic: Traffic = { aToB: 0, bToA: 0 }
    const attending = Effect.gen(function*() {
      const pair = yield* opening
      if (Option.isNone(pair)) return
      const { a, b } = pair.value
      open++
      yield* Effect.addFinalizer(() => Effect.sync(() => open--))
      yield* report.say({ event: "connected", connection, a: nameOf(a), b: nameOf(b) })
      const look = ({ a, b }: Pair): Pair => ({
        a: observed(connection, a, "aToB", traffic),
        b: observed(connection, b, "bToA", traffic)
      })
      const joined = join(pair.value, isObserved ? look : undefined, untilNoneIsLeft)
      const outcome = yield* converse(joined, [a, b], drain)
      yield* report.say({ event: outcome === "cut" ? "cut" : "closed", connection, ...traffic })
    })
    yield* Effect.tapError(
      Effect.scoped(attending),
      (error) => report.say(failure(error, { connection, ...traffic }))
    )
  })

  if (progress) {
    const say = (since: number, before: Traffic) =>
      Effect.map(elapsed, (seconds) => {
        const perSecond = (direction: Direction) => rate(total[direction] - before[direction], seconds - since)
        const aToBPerSecond = perSecond("aToB")
        const bToAPerSecond = perSecond("bToA")
        return { event: "progress", seconds, open, ...total, aToBPerSecond, bToAPerSecond } as const
      }).pipe(Effect.tap(report.say))
    // Last, so that it is what remains to be seen.
    yield* Effect.addFinalizer(() => say(0, { aToB: 0, bToA: 0 }))
    const interval = !json && Stderr.canDraw() ? 200 : 1000
    let [since, before] = [0, { ...total }]
    yield* Effect.forkScoped(Effect.forever(Effect.gen(function*() {
      yield* Effect.sleep(interval)
      const { seconds } = yield* say(since, before)
      since = seconds
      before = { ...total }
    })))
  }
  return { attend }
})

/** A side that cannot be told of an end tells of none: the other side's end is the end of both. */
const untilNoneIsLeft = (a: Transport, b: Transport): Effect.Effect<void, TransportError> =>
  isHalfCloseable(a) && isHalfCloseable(b)
    ? Connection.copyBidirectional(a, b)
    : untilOneEnds(a, b, Connection.copy(a, b))

/** What somebody who looks for this connection would look for: an accepted one is told by its peer. */
const nameOf = ({ info }: Transport): string =>
  Option.match(info.peer, { onNone: () => Endpoint.format(info.endpoint), onSome: String })

const rate = (bytes: number, seconds: number): number => seconds > 0 ? Math.round(bytes / seconds) : 0
