/**
 * What tests of descriptors ask of this process.
 */
import { assert } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import type { TransportError } from "effect-transport"
import { readdirSync } from "node:fs"

export const failureOf = <A, R>(effect: Effect.Effect<A, TransportError.TransportError, R>) =>
  Effect.map(Effect.exit(effect), (exit) => {
    assert.isTrue(Exit.isFailure(exit))
    const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
    return error as TransportError.TransportError
  })

/** To wait for what the event loop brings. */
export const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

/** What this process holds. */
export const held = () =>
  readdirSync("/proc/self/fd").length +
  process.getActiveResourcesInfo().filter((name) => /Pipe|Write|TTY|FSReq/.test(name)).length

/** A program of an earlier test may still be on its way out, so it can only be less. */
export const holdsNoMoreThan = (before: number) =>
  Effect.gen(function*() {
    for (let turns = 0; turns < 1000 && held() > before; turns++) yield* turn
    assert.isAtMost(held(), before)
  })
