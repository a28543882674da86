/**
 * Broken on purpose, for laws 14 to 18.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Specimen } from "../law.ts"
import { brokenSubject } from "../sound.ts"

export const writingSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 14,
    fault: "one call takes 8 MiB at the most, and nobody asks how much it took",
    subject: brokenSubject({
      transport: (transport) => ({ ...transport, write: (out) => transport.write(out.subarray(0, 8_388_608)) })
    })
  },
  {
    law: 15,
    fault: "a write of nothing succeeds before anyone asks whether the transport is open",
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        write: (out) => out.length === 0 ? Effect.void : transport.write(out)
      })
    })
  },
  {
    law: 16,
    fault: "a small write is complete when it is queued, and is not copied",
    subject: brokenSubject({
      copyMax: 0,
      transport: (transport) => ({
        ...transport,
        write: (out) =>
          !(out?.length <= 16_384) ? transport.write(out) : Effect.gen(function*() {
            const before = (yield* transport.buffered).writing
            const fiber = yield* Effect.forkDetach(transport.write(out), { startImmediately: true })
            const isQueued = (yield* transport.buffered).writing > before
            return yield* isQueued && fiber.pollUnsafe() === undefined
              ? Effect.void
              : Effect.onInterrupt(Fiber.join(fiber), () => Fiber.interrupt(fiber))
          })
      })
    })
  },
  {
    law: 17,
    fault: "a write after the half-close is refused, and destroys both directions",
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        write: (out) =>
          Effect.tapError(
            transport.write(out),
            ({ reason }) => reason._tag === "Closed" && reason.by === "halfClose" ? transport.abort : Effect.void
          )
      })
    })
  },
  {
    law: 18,
    fault: "the loss of the peer fails one write, and the next waits for a drain that never comes",
    subject: brokenSubject({
      transport: (transport) => {
        let failed = false
        return {
          ...transport,
          write: (out) =>
            Effect.suspend(() =>
              failed && out.length > 0
                ? Effect.never
                : Effect.tapError(transport.write(out), ({ reason }) =>
                  Effect.sync(() => {
                    failed = reason._tag === "Reset"
                  }))
            )
        }
      }
    })
  }
]
