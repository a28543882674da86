/**
 * Broken on purpose, for laws 64 to 69.
 */
import * as Effect from "effect/Effect"
import type { Specimen } from "../law.ts"
import { brokenSubject, overWire } from "../sound.ts"

export const abortSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 64,
    fault: "an abort takes effect at the end of the turn, and what is written until then is sent",
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        abort: Effect.sync(() => queueMicrotask(() => Effect.runSync(transport.abort))),
        abortWith: (cause) => Effect.sync(() => queueMicrotask(() => Effect.runSync(transport.abortWith(cause))))
      })
    })
  },
  {
    law: 65,
    fault: "an abort during a close waits for the close",
    subject: brokenSubject(() => {
      let closing: Effect.Effect<void> | undefined
      return {
        transport: (transport) => ({
          ...transport,
          close: Effect.suspend(() => {
            closing = Effect.ignore(transport.close)
            return transport.close
          }),
          abort: Effect.suspend(() =>
            closing === undefined ? transport.abort : Effect.andThen(closing, transport.abort)
          )
        })
      }
    })
  },
  {
    law: 66,
    fault: "an abort forgets whoever waits for a flush",
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        flush: Effect.catch(
          transport.flush,
          (error) => error.reason._tag === "Closed" && error.reason.by === "abort" ? Effect.never : Effect.fail(error)
        )
      })
    })
  },
  {
    law: 67,
    fault: "an abort during a close shows the peer a clean end",
    subject: brokenSubject(() => {
      let isClosing = false
      let isAborted = false
      return {
        wire: (wire) =>
          overWire(wire, {
            reset: () => {
              if (!isClosing || !isAborted) return wire.reset()
              wire.release()
              wire.end()
            }
          }),
        transport: (transport) => ({
          ...transport,
          close: Effect.suspend(() => {
            isClosing = true
            return transport.close
          }),
          abort: Effect.suspend(() => {
            isAborted = true
            return transport.abort
          })
        })
      }
    })
  },
  {
    law: 68,
    fault: "an abort with a cause dies where the medium cannot show a reset",
    alsoBreaks: { 69: "it is the law of the abort with a cause" },
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        abortWith: (cause) =>
          Effect.andThen(transport.abortWith(cause), Effect.die(new Error("this type of handle cannot be reset")))
      })
    }, { capabilities: { halfClose: true, reset: false, virtualTime: true } })
  },
  {
    law: 69,
    fault: "an abort drops the cause that it was given",
    subject: brokenSubject({ transport: (transport) => ({ ...transport, abortWith: () => transport.abort }) })
  }
]

/** Present wherever JavaScript runs, and in no type library that this floor may see. */
declare const queueMicrotask: (run: () => void) => void
