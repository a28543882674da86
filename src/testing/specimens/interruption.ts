/**
 * Broken on purpose, for laws 74 to 78.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Transport from "../../Transport.ts"
import type * as Wire from "../../Wire.ts"
import type { Specimen } from "../law.ts"
import { brokenSubject, overWire } from "../sound.ts"

export const interruptionSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 74,
    fault: "a read that has its bytes can still be interrupted, and then they are gone",
    alsoBreaks: { 80: "a time limit interrupts a read" },
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        reader: Effect.map(transport.reader, (reader) => ({
          ...reader,
          forEach: undefined,
          pull: Effect.tap(reader.pull, () => Effect.yieldNow)
        }))
      })
    })
  },
  {
    law: 75,
    fault: "an interrupted write takes back what has not left yet",
    alsoBreaks: { 80: "a time limit interrupts a write that is under way" },
    subject: brokenSubject(() => {
      let sound: Wire.Wire
      let pieces: Array<Uint8Array> = []
      let isTorn = false
      /** True when no piece is left. */
      const feed = (): boolean => {
        while (pieces.length > 0) {
          if (isTorn) break
          const piece = pieces.shift()!
          if (!sound.write([piece], piece.length)) return false
        }
        pieces = []
        isTorn = false
        return true
      }
      return {
        wire: (wire) => {
          sound = wire
          return overWire(wire, {
            write: (chunks) => {
              pieces = chunks.flatMap((chunk) => {
                const cut: Array<Uint8Array> = []
                for (let at = 0; at < chunk.length; at += 16_384) cut.push(chunk.subarray(at, at + 16_384))
                return cut
              })
              return feed()
            }
          })
        },
        port: (port) => ({
          ...port,
          drained: () => {
            if (feed()) port.drained()
          }
        }),
        transport: (transport) => ({
          ...transport,
          write: (out) =>
            Effect.onExit(transport.write(out), (exit) =>
              Effect.sync(() => {
                if (isInterrupted(exit) && deliveryOf(exit) === "Unknown" && pieces.length > 0) isTorn = true
              }))
        })
      }
    })
  },
  {
    law: 76,
    fault: "a scope that is interrupted closes, as one that succeeds",
    subject: brokenSubject({
      options: (options) => ({
        ...options,
        onScopeExit: (exit) => isInterrupted(exit) ? "close" : options.onScopeExit(exit)
      })
    })
  },
  {
    law: 77,
    fault: "a close whose caller is interrupted goes on in the background",
    alsoBreaks: { 82: "its sequences interrupt a close" },
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        close: Effect.flatMap(Effect.forkDetach(transport.close), Fiber.join)
      })
    })
  },
  {
    law: 78,
    fault: "the interruption of a write that waits between others loses the wake-up of the one behind it",
    alsoBreaks: { 75: "its test interrupts writes that wait between others" },
    subject: brokenSubject(() => {
      const waiting: Array<object> = []
      const forgotten = new Set<object>()
      return {
        transport: (transport) => ({
          ...transport,
          write: (out) =>
            Effect.suspend(() => {
              const self = {}
              waiting.push(self)
              return transport.write(out).pipe(
                Effect.onExit((exit) =>
                  Effect.sync(() => {
                    const place = waiting.indexOf(self)
                    waiting.splice(place, 1)
                    const behind = waiting[place]
                    if (place > 0 && behind !== undefined && isInterrupted(exit) && deliveryOf(exit) === "NotSent") {
                      forgotten.add(behind)
                    }
                  })
                ),
                Effect.andThen(Effect.suspend(() => forgotten.has(self) ? Effect.never : Effect.void))
              )
            })
        })
      }
    })
  }
]

const isInterrupted = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)

const deliveryOf = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Transport.delivery(exit.cause)) : undefined
