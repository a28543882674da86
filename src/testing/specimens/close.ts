/**
 * Broken on purpose, for laws 57 to 63.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Specimen } from "../law.ts"
import { brokenSubject, overWire } from "../sound.ts"

export const closeSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 57,
    fault: "close waits for the write that is under way, and drops what is queued behind it if that is much",
    subject: brokenSubject(() => {
      let isUnderWay = false
      let isDropping = false
      return {
        wire: (wire) =>
          overWire(wire, {
            write: (chunks, bytes) => {
              if (isDropping && bytes > 524_288) return true
              isUnderWay = !wire.write(chunks, bytes)
              return !isUnderWay
            }
          }),
        port: (port) => ({
          ...port,
          drained: () => {
            isUnderWay = false
            port.drained()
          }
        }),
        transport: (transport) => ({
          ...transport,
          close: Effect.suspend(() => {
            isDropping = isUnderWay
            return transport.close
          })
        })
      }
    })
  },
  {
    law: 58,
    fault: "close is complete as soon as all is flushed, before the medium is let go",
    subject: brokenSubject(() => {
      let isEnded = false
      return {
        wire: (wire) =>
          overWire(wire, {
            end: () => {
              isEnded = true
              wire.end()
            }
          }),
        port: (port) => ({
          ...port,
          released: () => void Effect.runFork(Effect.andThen(turns(200), Effect.sync(port.released)))
        }),
        transport: (transport) => ({
          ...transport,
          close: Effect.gen(function*() {
            const fiber = yield* Effect.forkDetach(transport.close, { startImmediately: true })
            yield* Effect.onInterrupt(
              Effect.repeat(Effect.yieldNow, { until: () => isEnded || fiber.pollUnsafe() !== undefined }),
              () => Fiber.interrupt(fiber)
            )
            yield* fiber.pollUnsafe() ?? Effect.void
          })
        })
      }
    })
  },
  {
    law: 59,
    fault: "close resets the connection if there is input that nobody read",
    alsoBreaks: { 11: "the peer of its test closes with input unread" },
    subject: brokenSubject(() => {
      let isClosing = false
      let isUnread = false
      return {
        port: (port) => ({
          ...port,
          data: (chunk) => {
            isUnread ||= isClosing
            port.data(chunk)
          }
        }),
        wire: (wire, port) =>
          overWire(wire, {
            end: () => {
              if (!isUnread) return wire.end()
              wire.reset()
              port.finished()
            }
          }),
        transport: (transport) => ({
          ...transport,
          close: Effect.flatMap(transport.buffered, ({ reading }) => {
            isClosing = true
            isUnread ||= reading > 0
            return transport.close
          })
        })
      }
    })
  },
  {
    law: 60,
    fault: "a close that runs out of time looks like a clean end to the peer",
    subject: brokenSubject(() => {
      let isOnlyClosing = false
      return {
        wire: (wire) =>
          overWire(wire, {
            reset: () => {
              if (!isOnlyClosing) return wire.reset()
              wire.release()
              wire.end()
            }
          }),
        transport: (transport) => {
          const otherwise = Effect.sync(() => {
            isOnlyClosing = false
          })
          return {
            ...transport,
            close: Effect.suspend(() => {
              isOnlyClosing = true
              return Effect.flatMap(
                Effect.forkDetach(transport.close, { startImmediately: true }),
                (fiber) =>
                  Effect.onInterrupt(Fiber.join(fiber), () => Effect.andThen(otherwise, Fiber.interrupt(fiber)))
              )
            }),
            abort: Effect.andThen(otherwise, transport.abort),
            abortWith: (cause) => Effect.andThen(otherwise, transport.abortWith(cause))
          }
        }
      }
    })
  },
  {
    law: 61,
    fault: "a close that is broken off by the peer keeps the handle",
    alsoBreaks: { 82: "its sequences abort one end while the other one closes" },
    subject: brokenSubject(() => {
      let isClosing = false
      let isKept = false
      return {
        port: (port) => ({
          ...port,
          broken: (cause) => {
            isKept = isClosing
            port.broken(cause)
          }
        }),
        wire: (wire) =>
          overWire(wire, {
            release: () => {
              if (!isKept) wire.release()
            }
          }),
        transport: (transport) => ({
          ...transport,
          close: Effect.suspend(() => {
            isClosing = true
            return transport.close
          })
        })
      }
    })
  },
  {
    law: 62,
    fault: "input that had arrived before the close is still delivered after it",
    alsoBreaks: { 12: "its test closes with input unread", 44: "its test closes with input unread, held by a pause" },
    subject: brokenSubject(() => {
      let last: Uint8Array | undefined
      let isKept = false
      return {
        port: (port) => ({
          ...port,
          data: (chunk) => {
            last = chunk
            port.data(chunk)
          }
        }),
        transport: (transport) => ({
          ...transport,
          close: Effect.flatMap(
            transport.buffered,
            ({ reading }) =>
              Effect.tap(transport.close, () =>
                Effect.sync(() => {
                  isKept ||= reading > 0
                }))
          ),
          reader: Effect.map(transport.reader, (reader) => ({
            ...reader,
            forEach: undefined,
            pull: Effect.suspend(() => {
              if (!isKept || last === undefined) return reader.pull
              isKept = false
              return Effect.succeed([last])
            })
          }))
        })
      }
    })
  },
  {
    law: 63,
    fault: "writes during a close say that they succeeded, and are dropped",
    alsoBreaks: { 82: "its sequences write during a close" },
    subject: brokenSubject({
      transport: (transport) => {
        let isClosing = false
        return {
          ...transport,
          close: Effect.suspend(() => {
            isClosing = true
            return Effect.onExit(transport.close, () =>
              Effect.sync(() => {
                isClosing = false
              }))
          }),
          write: (out) => Effect.suspend(() => isClosing ? Effect.void : transport.write(out))
        }
      }
    })
  }
]

const turns = (count: number) => Effect.repeat(Effect.yieldNow, { times: count })
