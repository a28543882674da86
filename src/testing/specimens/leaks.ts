/**
 * Broken on purpose, for laws 83 to 85.
 */
import * as Effect from "effect/Effect"
import type * as Transport from "../../Transport.ts"
import type { Specimen } from "../law.ts"
import { brokenSubject, pairOf, soundSubject } from "../sound.ts"

/** Timers that were started and not stopped. */
const timers = new Set<object>()

/** Descriptors, whose numbers are given out again: always the smallest that is free. */
const descriptors: Array<Transport.Transport | undefined> = []

export const leakSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 83,
    fault: "an open that is interrupted while it waits forgets the timer of its limit",
    subject: brokenSubject({}, {
      pair: (options) =>
        Effect.gen(function*() {
          const timer = {}
          timers.add(timer)
          yield* Effect.yieldNow
          timers.delete(timer)
          return yield* pairOf()(options)
        }),
      resources: Effect.map(soundSubject().resources!, (lines) => [...lines, ...Array.from(timers, () => "a timer")])
    })
  },
  {
    law: 84,
    fault: "each read that waits adds a listener, which only data removes",
    subject: brokenSubject({
      transport: (transport) => {
        const listeners = new Set<() => void>()
        return {
          ...transport,
          reader: Effect.map(transport.reader, (reader) => ({
            ...reader,
            pull: Effect.withFiber((fiber) => {
              const listener = () => fiber.id
              listeners.add(listener)
              return Effect.tap(reader.pull, () => Effect.sync(() => listeners.delete(listener)))
            })
          }))
        }
      }
    })
  },
  {
    law: 85,
    fault: "an abort goes to the number of its descriptor, whoever has that by now",
    alsoBreaks: { 61: "it aborts what is dead beside a connection that came after it" },
    subject: brokenSubject(() => {
      let number = -1
      return {
        port: (port) => ({
          ...port,
          released: () => {
            descriptors[number] = undefined
            port.released()
          }
        }),
        transport: (transport) => {
          const free = descriptors.indexOf(undefined)
          number = free < 0 ? descriptors.length : free
          descriptors[number] = transport
          return {
            ...transport,
            abort: Effect.suspend(() => (descriptors[number] ?? transport).abort)
          }
        }
      }
    })
  }
]
