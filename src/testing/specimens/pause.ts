/**
 * Broken on purpose, for laws 39 to 44.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { holdOf } from "../bench.ts"
import type { Specimen } from "../law.ts"
import { brokenSubject } from "../sound.ts"

export const pauseSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 39,
    fault: "a pause that the handler itself takes holds from the batch after the next one on",
    subject: brokenSubject({
      transport: (transport) => {
        let isHandling = false
        let due: Array<Effect.Effect<void>> = []
        /** Until the next batch has been handled, if one is being handled now. */
        const postpone = (take: Effect.Effect<void>) =>
          Effect.suspend(() => {
            if (!isHandling) return take
            due.push(take)
            return Effect.void
          })
        const withdraw = (take: Effect.Effect<void>) =>
          Effect.sync(() => {
            due = due.filter((other) => other !== take)
          })
        return {
          ...transport,
          reader: Effect.map(transport.reader, (reader) => ({
            ...reader,
            forEach: (f) =>
              reader.forEach!((batch) =>
                Effect.suspend(() => {
                  const takes = due
                  due = []
                  isHandling = true
                  const done = Effect.sync(() => {
                    isHandling = false
                  })
                  return Effect.andThen(Effect.ensuring(f(batch), done), Effect.all(takes, { discard: true }))
                })
              )
          })),
          pause: postpone(transport.pause),
          resume: Effect.andThen(withdraw(transport.pause), transport.resume),
          pausedReading: Effect.asVoid(Effect.acquireRelease(
            Effect.suspend(() => {
              const hold = holdOf(transport.pausedReading)
              return Effect.as(postpone(hold.take), hold)
            }),
            (hold) => Effect.andThen(withdraw(hold.take), hold.release)
          ))
        }
      }
    })
  },
  {
    law: 40,
    fault: "what a read finds during a pause is kept, and delivered behind what comes after it",
    alsoBreaks: { 41: "it holds several pieces during one pause, too" },
    subject: brokenSubject({
      transport: (transport) => {
        const kept: Array<Uint8Array> = []
        const open = Latch.makeUnsafe(true)
        const writing = holdOf(transport.pausedWriting)
        let holders = 0
        let isPaused = false
        const take = Effect.sync(() => {
          if (holders++ === 0) open.closeUnsafe()
        })
        const release = Effect.sync(() => {
          if (--holders === 0) open.openUnsafe()
        })
        const resumed = Effect.raceFirst(open.await, Effect.exit(transport.closed))
        return {
          ...transport,
          reader: Effect.map(transport.reader, (reader) => {
            const pull: typeof reader.pull = Effect.gen(function*() {
              if (!open.isOpen()) yield* resumed
              const { reading } = yield* transport.buffered
              if (kept.length > 0 && reading === 0) {
                const [first, ...rest] = kept.splice(0)
                return [first!, ...rest]
              }
              const chunks = yield* reader.pull
              if (open.isOpen()) return chunks
              kept.push(...chunks)
              return yield* pull
            })
            return { ...reader, forEach: undefined, pull }
          }),
          pausedReading: Effect.acquireRelease(take, () => release),
          pause: Effect.suspend(() => {
            if (isPaused) return Effect.void
            isPaused = true
            return Effect.andThen(take, writing.take)
          }),
          resume: Effect.suspend(() => {
            if (!isPaused) return Effect.void
            isPaused = false
            return Effect.andThen(release, writing.release)
          })
        }
      }
    })
  },
  {
    law: 41,
    fault: "a resume of what is not paused is counted, and the next pause does nothing",
    subject: brokenSubject({
      transport: (transport) => {
        let isPaused = false
        let resumes = 0
        return {
          ...transport,
          pause: Effect.suspend(() => {
            if (isPaused) return Effect.void
            if (resumes > 0) {
              resumes--
              return Effect.void
            }
            isPaused = true
            return transport.pause
          }),
          resume: Effect.suspend(() => {
            if (!isPaused) resumes++
            isPaused = false
            return transport.resume
          })
        }
      }
    })
  },
  {
    law: 42,
    fault: "a pause of writing stops reading, too",
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        pausedWriting: Effect.andThen(transport.pausedWriting, transport.pausedReading)
      })
    })
  },
  {
    law: 43,
    fault: "the end of input is forgotten if it comes while reading is paused",
    subject: brokenSubject(() => {
      let holders = 0
      let isPaused = false
      return {
        port: (port) => ({
          ...port,
          end: () => {
            if (holders === 0 && !isPaused) port.end()
          }
        }),
        transport: (transport) => ({
          ...transport,
          pausedReading: Effect.andThen(
            Effect.acquireRelease(Effect.sync(() => holders++), () => Effect.sync(() => holders--)),
            transport.pausedReading
          ),
          pause: Effect.andThen(Effect.sync(() => isPaused = true), transport.pause),
          resume: Effect.andThen(Effect.sync(() => isPaused = false), transport.resume)
        })
      }
    })
  },
  {
    law: 44,
    fault: "a resume after the end takes up reading again, and the read waits for ever",
    alsoBreaks: { 82: "its random calls resume after an end, and then it reads" },
    subject: brokenSubject({
      transport: (transport) => {
        let isEnded = false
        let isReading = false
        const ended = Effect.sync(() => {
          isEnded = true
        })
        const takeUp = Effect.sync(() => {
          isReading ||= isEnded
        })
        return {
          ...transport,
          reader: Effect.map(transport.reader, (reader) => ({
            ...reader,
            pull: Effect.suspend(() => isReading ? Effect.never : reader.pull)
          })),
          close: Effect.andThen(ended, transport.close),
          abort: Effect.andThen(ended, transport.abort),
          abortWith: (cause) => Effect.andThen(ended, transport.abortWith(cause)),
          resume: Effect.andThen(takeUp, transport.resume),
          pausedReading: Effect.andThen(Effect.addFinalizer(() => takeUp), transport.pausedReading)
        }
      }
    })
  }
]
