/**
 * The laws that Effect's own socket over TCP (4.1) cannot keep, by way of `EffectSocket.fromSocket`, and no others: where
 * Effect mends one, its line here fails and is to be taken out. Its ends are opened with `allowHalfOpen`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { TransportLaws } from "effect-transport/testing"
import { effectPair } from "../support/effectSockets.ts"
import { subjects } from "../support/subjects.ts"

const noReset = "an abort is an end to the peer: the socket is destroyed, and never reset"

const broken: Readonly<Record<number, string>> = {
  26: noReset,
  43: noReset,
  60: noReset,
  67: noReset,
  70: noReset,
  72: noReset,
  73: noReset,
  76: noReset,
  77: noReset
}

describe("Effect's own sockets, as transports", { concurrent: false }, () => {
  const subject: TransportLaws.Subject = {
    pair: effectPair,
    resources: subjects.tcp4!.resources,
    capabilities: { halfClose: true, reset: true }
  }
  for (const law of TransportLaws.make(subject)) {
    if (law.missing.length > 0) continue
    const why = broken[law.number]
    it(
      why === undefined ? `keep ${law.name}` : `break ${law.name}: ${why}`,
      { timeout: 60_000 },
      () =>
        Effect.runPromise(
          Effect.map(Effect.exit(law.test), (exit) =>
            assert.strictEqual(Exit.isSuccess(exit), why === undefined, `law ${law.number}: ${exit}`))
        )
    )
  }
})
