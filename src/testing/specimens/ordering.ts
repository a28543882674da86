/**
 * Broken on purpose, for laws 24 to 26.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Specimen } from "../law.ts"
import { brokenSubject, overWire } from "../sound.ts"

export const orderingSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 24,
    fault: "a large write, sent by reference, overtakes the small one that was copied just before it",
    subject: brokenSubject({
      wire: (wire) =>
        overWire(wire, {
          write: (chunks, bytes) => {
            const [first, second, ...rest] = chunks
            const overtakes = second !== undefined && first!.length < 4096 && second.length > 16_384
            return wire.write(overtakes ? [second, first!, ...rest] : chunks, bytes)
          }
        })
    })
  },
  {
    law: 25,
    fault: "each batch gets a handler of its own, which nobody waits for",
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        reader: Effect.map(transport.reader, (reader) => ({
          ...reader,
          forEach: (f) =>
            Effect.suspend(() => {
              const handlers: Array<Fiber.Fiber<unknown, any>> = []
              const failed = Deferred.makeUnsafe<never, any>()
              const each = reader.forEach!((batch) =>
                Effect.map(
                  Effect.forkDetach(Effect.onError(f(batch), (cause) => Deferred.failCause(failed, cause)), {
                    startImmediately: true
                  }),
                  (handler) => {
                    handlers.push(handler)
                  }
                )
              )
              return Effect.andThen(
                Effect.raceFirst(each, Deferred.await(failed)),
                Effect.suspend(() => Fiber.joinAll(handlers))
              ).pipe(
                Effect.asVoid,
                Effect.ensuring(Effect.suspend(() => Fiber.interruptAll(handlers)))
              )
            })
        }))
      })
    })
  },
  {
    law: 26,
    fault: "closed comes with the peer's end, before that is read and while our direction is open",
    subject: brokenSubject(() => {
      const ended = Deferred.makeUnsafe<void>()
      return {
        port: (port) => ({
          ...port,
          end: () => {
            Deferred.doneUnsafe(ended, Effect.void)
            port.end()
          }
        }),
        transport: (transport) => ({
          ...transport,
          closed: Effect.raceFirst(transport.closed, Deferred.await(ended))
        })
      }
    })
  }
]
