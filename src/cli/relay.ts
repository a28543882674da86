/**
 * `relay A B`: joins two endpoints in both directions.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { Network } from "../Network.ts"
import type { Transport } from "../Transport.ts"
import type { TransportError } from "../TransportError.ts"
import { type Pair, serveUntilAsked } from "./conversation.ts"
import { failure, Report } from "./report.ts"
import { Shutdown } from "./shutdown.ts"
import * as Side from "./side.ts"
import * as Watch from "./watch.ts"

export interface Options {
  readonly a: Side.Side
  readonly b: Side.Side
  readonly once: boolean
  readonly progress: boolean
  readonly tap: boolean
  readonly json: boolean
  readonly drain: Duration.Duration
}

/** Whether it goes on to accept after the first connection. */
export const isMany = ({ a, once }: Pick<Options, "a" | "once">): boolean => a.listens && !once

/**
 * Joins A and B until both directions have ended; or each connection that A accepts with one of B, until a signal. What
 * it fails with has been said.
 */
export const relay = (options: Options): Effect.Effect<void, TransportError, Network | Report | Shutdown> =>
  Effect.scoped(Effect.flatMap(
    Watch.make(options),
    (watch) => isMany(options) ? joinEach(options, watch) : joinOne(options, watch)
  ))

/** Finds somebody on B for a connection of A. Where A breaks meanwhile it gives up, or B would get a dead one. */
const pairWith = (
  a: Transport,
  nextB: Side.Source
): Effect.Effect<Pair, TransportError, Scope.Scope> =>
  Effect.raceFirst(nextB, Effect.andThen(a.closed, Effect.never)).pipe(
    Effect.onError((cause) => a.abortWith(cause)),
    Effect.map((b) => ({ a, b }))
  )

/** Once a shutdown is asked for, nobody new is joined. */
const unlessAsked = <R>(opening: Effect.Effect<Pair, TransportError, R>) =>
  Effect.flatMap(
    Shutdown,
    ({ asked }) => Effect.raceFirst(Effect.asSome(opening), Effect.as(asked, Option.none<Pair>()))
  )

const joinOne = Effect.fnUntraced(function*({ a, b, drain }: Options, watch: Watch.Watch) {
  const scope = yield* Effect.scope
  // What listens, listens in this inner scope: there is one connection and no other.
  const opening = Effect.scoped(Effect.gen(function*() {
    const nextA = yield* Side.open("A", a)
    const nextB = yield* Side.open("B", b)
    return yield* Scope.provide(Effect.flatMap(nextA, (a) => pairWith(a, nextB)), scope)
  }))
  yield* watch.attend(unlessAsked(opening), drain)
})

const joinEach = Effect.fnUntraced(function*({ a, b, drain }: Options, watch: Watch.Watch) {
  const report = yield* Report
  const [listener, nextB] = yield* Effect.tapError(
    Effect.all([Side.listen("A", a), Side.open("B", b)]),
    (error) => report.say(failure(error))
  )
  yield* serveUntilAsked(
    listener,
    (a) => Effect.ignore(watch.attend(unlessAsked(pairWith(a, nextB)), drain)),
    drain
  )
})
