/**
 * Broken on purpose, for law 82.
 */
import * as Effect from "effect/Effect"
import type { Specimen } from "../law.ts"
import { brokenSubject } from "../sound.ts"

export const idempotenceSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 82,
    fault: "a close while a half-close waits is taken for a repetition of it, and lets go of nothing",
    alsoBreaks: { 54: "its test closes while a half-close waits" },
    subject: brokenSubject(() => {
      let waiting = 0
      return {
        transport: (transport) => ({
          ...transport,
          halfClose: Effect.acquireUseRelease(
            Effect.sync(() => waiting++),
            () => transport.halfClose,
            () => Effect.sync(() => waiting--)
          ),
          close: Effect.suspend(() => waiting > 0 ? transport.halfClose : transport.close)
        })
      }
    })
  }
]
