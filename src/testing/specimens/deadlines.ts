/**
 * Broken on purpose, for laws 79 to 81.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { Specimen } from "../law.ts"
import { brokenSubject } from "../sound.ts"

export const deadlineSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 79,
    fault: "a read that runs out of time pauses the transport, and what resumes it resumes reading alone",
    alsoBreaks: {
      80: "it lets a read and a write run out of time together, and writes on",
      81: "it writes after reads that ran out of time"
    },
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        reader: Effect.map(transport.reader, (reader) => ({
          ...reader,
          forEach: undefined,
          pull: Effect.clockWith((clock) => {
            const begun = clock.currentTimeMillisUnsafe()
            return Effect.onInterrupt(reader.pull, () =>
              clock.currentTimeMillisUnsafe() > begun
                ? Scope.provide(transport.pausedWriting, Scope.makeUnsafe())
                : Effect.void)
          })
        }))
      })
    })
  },
  {
    law: 80,
    fault: "a limit of zero for a close is taken for no limit",
    subject: brokenSubject({
      options: (options) =>
        Duration.isZero(options.closeTimeout) ? { ...options, closeTimeout: Duration.hours(1) } : options
    })
  },
  {
    law: 81,
    fault: "what a read had gathered is thrown away when its time runs out",
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        reader: Effect.map(transport.reader, (reader) => {
          let begun = 0
          return {
            ...reader,
            forEach: undefined,
            pull: Effect.clockWith((clock) => {
              begun = clock.currentTimeMillisUnsafe()
              return reader.pull
            }),
            unread: (chunks) =>
              Effect.clockWith((clock) => clock.currentTimeMillisUnsafe() > begun ? Effect.void : reader.unread(chunks))
          }
        })
      })
    })
  }
]
