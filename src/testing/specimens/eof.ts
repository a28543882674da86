/**
 * Broken on purpose, for laws 10 to 13.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Specimen } from "../law.ts"
import { brokenSubject } from "../sound.ts"

export const eofSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 10,
    fault: "the end is told three times; then it is forgotten, and a read waits for ever",
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
                cause.reasons.some((reason) => Cause.isFailReason(reason) && Cause.isDone(reason.error)) && ++ends > 3
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
    fault: "what is still unread two hours after the peer's close is thrown away",
    subject: brokenSubject({
      transport: (transport, peer) => ({
        ...transport,
        close: Effect.andThen(stamp(transport), transport.close),
        reader: Effect.map(transport.reader, (reader) => ({
          ...reader,
          forEach: undefined,
          pull: Effect.flatMap(isLongSince(peer), (isLate) => isLate ? Effect.forever(reader.pull) : reader.pull)
        }))
      })
    })
  },
  {
    law: 12,
    fault: "reads after our own end find the end of input, if the peer's had come before",
    subject: brokenSubject(() => {
      let peerEnded = false
      return {
        port: (port) => ({
          ...port,
          end: () => {
            peerEnded = true
            port.end()
          }
        }),
        transport: (transport) => ({
          ...transport,
          reader: Effect.map(transport.reader, (reader) => ({
            ...reader,
            forEach: undefined,
            pull: Effect.catch(
              reader.pull,
              (error) =>
                peerEnded && error._tag === "TransportError" && error.reason._tag === "Closed"
                  ? Cause.done()
                  : Effect.fail(error)
            )
          }))
        })
      }
    })
  },
  {
    law: 13,
    fault: "two hours after the peer's end our direction is closed too",
    subject: brokenSubject({
      transport: (transport, peer) => ({
        ...transport,
        halfClose: Effect.andThen(stamp(transport), transport.halfClose),
        write: (out) =>
          Effect.flatMap(
            isLongSince(peer),
            (isLate) =>
              isLate ? Effect.andThen(Effect.ignore(transport.close), transport.write(out)) : transport.write(out)
          )
      })
    })
  }
]

/** When an end was asked for, by the transport that it was asked of. */
const endedAt = new WeakMap<object, number>()

const stamp = (transport: object): Effect.Effect<void> =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    if (!endedAt.has(transport)) endedAt.set(transport, now)
  })

const isLongSince = (transport: object): Effect.Effect<boolean> =>
  Effect.map(Clock.currentTimeMillis, (now) => now - (endedAt.get(transport) ?? now) > 7_200_000)
