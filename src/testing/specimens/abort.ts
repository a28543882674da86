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
    alsoBreaks: { 82: "a call of its sequences right after an abort succeeds" },
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
    fault: "an abort during the close of a paused transport waits for the close",
    alsoBreaks: { 67: "its test aborts in the same states" },
    subject: brokenSubject(() => {
      let isPaused = false
      let isClosing = false
      return {
        transport: (transport) => ({
          ...transport,
          pause: Effect.suspend(() => {
            isPaused = true
            return transport.pause
          }),
          resume: Effect.suspend(() => {
            isPaused = false
            return transport.resume
          }),
          close: Effect.suspend(() => {
            isClosing = true
            return transport.close
          }),
          abort: Effect.suspend(() =>
            isPaused && isClosing
              ? Effect.andThen(Effect.ignore(transport.close), transport.abort)
              : transport.abort
          )
        })
      }
    })
  },
  {
    law: 66,
    fault: "of those who wait for a half-close, an abort wakes only the first",
    subject: brokenSubject(() => {
      let waiting = 0
      return {
        transport: (transport) => ({
          ...transport,
          halfClose: Effect.suspend(() => {
            const isFirst = waiting++ === 0
            return Effect.ensuring(
              Effect.catch(
                transport.halfClose,
                (error) =>
                  isFirst || error.reason._tag !== "Closed" || error.reason.by !== "abort"
                    ? Effect.fail(error)
                    : Effect.never
              ),
              Effect.sync(() => waiting--)
            )
          })
        })
      }
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
    alsoBreaks: { 69: "it is the law of the abort with a cause", 82: "its sequences abort with a cause" },
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
