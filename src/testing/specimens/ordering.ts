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
    alsoBreaks: {
      8: "its peer writes pieces of all sizes in a row",
      9: "its peer writes pieces of all sizes in a row"
    },
    subject: brokenSubject({
      wire: (wire) =>
        overWire(wire, {
          write: (chunks, bytes) => {
            const [first, second, ...rest] = chunks
            const overtakes = second !== undefined && first!.length < 4096 && second.length > 32_768 &&
              second.length < 65_536
            return wire.write(overtakes ? [second, first!, ...rest] : chunks, bytes)
          }
        })
    })
  },
  {
    law: 25,
    fault: "each batch gets a handler of its own, which nobody waits for",
    alsoBreaks: { 38: "one of its layers holds its peer back by the handler of forEach" },
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
              const all = Effect.flatMap(Effect.exit(each), (exit) => Effect.andThen(Fiber.joinAll(handlers), exit))
              return Effect.ensuring(
                Effect.raceFirst(all, Deferred.await(failed)),
                Effect.suspend(() => Fiber.interruptAll(handlers))
              )
            })
        }))
      })
    })
  },
  {
    law: 26,
    fault: "closed comes with the peer's end, before that is read and while our direction is open",
    alsoBreaks: { 82: "it takes closed for the end of everything, and looks then" },
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
