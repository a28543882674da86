/**
 * Broken on purpose, for laws 10 to 13.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { Specimen } from "../law.ts"
import { brokenSubject } from "../sound.ts"

export const eofSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 10,
    fault: "a second read after the end waits for ever",
    subject: brokenSubject({
      transport: (transport) => {
        let ends = 0
        return {
          ...transport,
          reader: Effect.map(transport.reader, (reader) => ({
            ...reader,
            forEach: undefined,
            pull: Effect.catchCause(
              reader.pull,
              (cause) =>
                cause.reasons.some((reason) => Cause.isFailReason(reason) && Cause.isDone(reason.error)) && ++ends > 1
                  ? Effect.never
                  : Effect.failCause(cause)
            )
          }))
        }
      }
    })
  },
  {
    law: 11,
    fault: "the end of input throws away what nobody has read yet",
    alsoBreaks: { 13: "its test ends with a close behind the last bytes" },
    subject: brokenSubject(() => {
      let ended = false
      return {
        port: (port) => ({
          ...port,
          end: () => {
            ended = true
            port.end()
          }
        }),
        transport: (transport) => ({
          ...transport,
          reader: Effect.map(transport.reader, (reader) => ({
            ...reader,
            forEach: undefined,
            pull: Effect.flatMap(reader.pull, (chunks) => ended ? reader.pull : Effect.succeed(chunks))
          }))
        })
      }
    })
  },
  {
    law: 12,
    fault: "reads after our own close find the end of input",
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        reader: Effect.map(transport.reader, (reader) => ({
          ...reader,
          forEach: undefined,
          pull: Effect.catch(
            reader.pull,
            (error) =>
              error._tag === "TransportError" && error.reason._tag === "Closed" ? Cause.done() : Effect.fail(error)
          )
        }))
      })
    })
  },
  {
    law: 13,
    fault: "the peer's end closes our direction, whatever the options say",
    subject: brokenSubject({ options: (options) => ({ ...options, onPeerEnd: "close" }) })
  }
]
