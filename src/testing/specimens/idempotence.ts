/**
 * Broken on purpose, for law 82.
 */
import * as Effect from "effect/Effect"
import type { Specimen } from "../law.ts"
import { brokenSubject } from "../sound.ts"

export const idempotenceSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 82,
    fault: "a close of what was aborted fails, since it is closed already",
    subject: brokenSubject(() => {
      let first: "close" | "abort" | undefined
      return {
        transport: (transport) => ({
          ...transport,
          abort: Effect.suspend(() => {
            first ??= "abort"
            return transport.abort
          }),
          close: Effect.suspend(() => {
            first ??= "close"
            // The refusal of a write says it.
            return first === "close" ? transport.close : transport.write(new Uint8Array(1))
          })
        })
      }
    })
  }
]
