/**
 * What tests of worlds have in common.
 */
import { assert } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Option, type Scope } from "effect"
import { Connection, Network, Transport, TransportError } from "effect-transport"
import { Sim, World } from "effect-transport/sim"

export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Runs it with several seeds, under the interleavings of the portfolio, and wants the same from all. */
export const seeds = <A, E>(
  world: Effect.Effect<A, E, World.World | Network.Network | Scope.Scope>,
  expected: unknown,
  count = 10
): void => {
  for (let seed = 0; seed < count; seed++) {
    const { exit } = Sim.run(world, { seed })
    assert.deepStrictEqual(exit as Exit.Exit<unknown, unknown>, Exit.succeed(expected), `seed ${seed}: ${exit}`)
  }
}

export const connect = (endpoint: string, options?: Transport.TransportOptions) =>
  Effect.flatMap(Network.Network, (network) => network.connect(endpoint, options))

export const listen = (endpoint: string, options?: Transport.TransportOptions) =>
  Effect.flatMap(Network.Network, (network) => network.listen(endpoint, options))

/** The reason of a failure in a word, or what it succeeded with. */
export const seen = <A, R>(
  effect: Effect.Effect<A, TransportError.TransportError | Cause.Done, R>
): Effect.Effect<A | string, never, R> =>
  Effect.map(Effect.exit(effect), (exit) => {
    if (Exit.isSuccess(exit)) return exit.value
    const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
    if (error instanceof TransportError.TransportError) {
      const { reason } = error
      return reason._tag === "TlsRejected"
        ? `TlsRejected ${reason.why}`
        : reason._tag === "TimedOut"
        ? `TimedOut ${reason.phase}`
        : reason._tag
    }
    return error !== undefined && Cause.isDone(error) ? "end" : `died: ${Cause.pretty(exit.cause)}`
  })

/** All that comes, and how it ends; "silence" where nothing has come for a minute. */
export const readAll = (transport: Transport.Transport): Effect.Effect<ReadonlyArray<string>> =>
  Effect.gen(function*() {
    let all = ""
    while (true) {
      const next = yield* Effect.timeoutOption(seen(Connection.take(transport)), "1 minute")
      if (Option.isNone(next)) return [all, "silence"]
      if (typeof next.value === "string") return [all, next.value]
      all += text(next.value)
    }
  })

/** Runs both at once. */
export const both = <A, E, R, B, E2, R2>(a: Effect.Effect<A, E, R>, b: Effect.Effect<B, E2, R2>) =>
  Effect.all([a, b], { concurrency: 2 })

/** What has not ended after so long. */
export const waits = <A, E>(fiber: Fiber.Fiber<A, E>, millis = 1000): Effect.Effect<boolean> =>
  Effect.andThen(Effect.sleep(millis), Effect.sync(() => fiber.pollUnsafe() === undefined))
