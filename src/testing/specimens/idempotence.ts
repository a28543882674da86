/**
 * Broken on purpose, for law 82.
 */
import * as Effect from "effect/Effect"
import type { Specimen } from "../law.ts"
import { brokenSubject } from "../sound.ts"

export const idempotenceSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 82,
    fault: "a pause of a transport that was aborted dies: its handle is gone",
    subject: brokenSubject(() => {
      let isGone = false
      return {
        transport: (transport) => ({
          ...transport,
          abort: Effect.suspend(() => {
            isGone = true
            return transport.abort
          }),
          pause: Effect.suspend(() => isGone ? Effect.die(new Error("the handle is gone")) : transport.pause)
        })
      }
    })
  }
]
