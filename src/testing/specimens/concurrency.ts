/**
 * Broken on purpose, for laws 27 to 31.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { TransportError } from "../../TransportError.ts"
import type { Specimen } from "../law.ts"
import { brokenSubject } from "../sound.ts"

export const concurrencySpecimens: ReadonlyArray<Specimen> = [
  {
    law: 27,
    fault: "a second pull takes the place of the first, which nobody wakes any more",
    subject: brokenSubject(() => {
      let heir: Deferred.Deferred<Batch, never> | undefined
      return {
        transport: (transport) => ({
          ...transport,
          reader: Effect.map(transport.reader, (reader) => ({
            ...reader,
            pull: reader.pull.pipe(
              Effect.flatMap((batch) => {
                if (heir === undefined) return Effect.succeed(batch)
                Deferred.doneUnsafe(heir, Effect.succeed(batch))
                heir = undefined
                return Effect.never
              }),
              Effect.catch((error) =>
                error._tag === "TransportError" && error.reason._tag === "Busy"
                  ? Deferred.await(heir = Deferred.makeUnsafe())
                  : Effect.fail(error)
              )
            )
          }))
        })
      }
    })
  },
  {
    law: 28,
    fault: "large writes that meet take turns, 64 KiB each",
    subject: brokenSubject(() => {
      let meeting = 0
      return {
        transport: (transport) => ({
          ...transport,
          write: (out) =>
            !(out instanceof Uint8Array) || out.length < large ? transport.write(out) : Effect.acquireUseRelease(
              Effect.sync(() => meeting++),
              () =>
                Effect.andThen(
                  Effect.yieldNow,
                  Effect.suspend(() => meeting > 1 ? inPieces(out, transport.write) : transport.write(out))
                ),
              () => Effect.sync(() => meeting--)
            )
        })
      }
    })
  },
  {
    law: 29,
    fault: "while a large write waits, new reads of the same end wait with it",
    alsoBreaks: { 59: "its peer reads while a large write of its own waits" },
    subject: brokenSubject(() => {
      const waiting = new Set<Deferred.Deferred<void>>()
      return {
        transport: (transport) => ({
          ...transport,
          write: (out) =>
            Effect.suspend(() => {
              if (!(out instanceof Uint8Array) || out.length < large) return transport.write(out)
              const done = Deferred.makeUnsafe<void>()
              waiting.add(done)
              return Effect.ensuring(
                transport.write(out),
                Effect.sync(() => {
                  waiting.delete(done)
                  Deferred.doneUnsafe(done, Effect.void)
                })
              )
            }),
          reader: Effect.map(transport.reader, (reader) => ({
            ...reader,
            forEach: undefined,
            pull: Effect.suspend(() =>
              Effect.andThen(Effect.forEach(waiting, (done) => Deferred.await(done), { discard: true }), reader.pull)
            )
          }))
        })
      }
    })
  },
  {
    law: 30,
    fault: "a write of 1 MiB and more goes out in pieces, and an end comes in between",
    alsoBreaks: {
      57: "its close comes while 1 MiB is under way",
      80: "its limit passes while more than 1 MiB is under way"
    },
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        write: (out) =>
          out instanceof Uint8Array && out.length >= 1_048_576 ? inPieces(out, transport.write) : transport.write(out)
      })
    })
  },
  {
    law: 31,
    fault: "no more than 16 that wait are remembered: a new one takes the place of the oldest",
    alsoBreaks: { 84: "its test lets 10,000 writes wait" },
    subject: brokenSubject(() => {
      const waiting: Array<object> = []
      return {
        transport: (transport) => ({
          ...transport,
          write: (out) =>
            Effect.suspend(() => {
              const waiter = {}
              waiting.push(waiter)
              if (waiting.length > 16) waiting.shift()
              return transport.write(out).pipe(
                Effect.andThen(Effect.suspend(() => waiting.includes(waiter) ? Effect.void : Effect.never)),
                Effect.ensuring(Effect.sync(() => {
                  const at = waiting.indexOf(waiter)
                  if (at >= 0) waiting.splice(at, 1)
                }))
              )
            })
        })
      }
    })
  }
]

type Batch = readonly [Uint8Array, ...Array<Uint8Array>]

const piece = 65_536

const large = 262_144

const inPieces = (
  out: Uint8Array,
  write: (out: Uint8Array) => Effect.Effect<void, TransportError>
): Effect.Effect<void, TransportError> =>
  Effect.forEach(
    Array.from({ length: Math.ceil(out.length / piece) }, (_, i) => out.subarray(i * piece, (i + 1) * piece)),
    write,
    { discard: true }
  )
