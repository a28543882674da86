/**
 * Broken on purpose, for laws 51 to 56.
 */
import * as Effect from "effect/Effect"
import { Closed, TransportError } from "../../TransportError.ts"
import type { Specimen } from "../law.ts"
import { brokenSubject, overWire } from "../sound.ts"

export const halfCloseSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 51,
    fault: "half-close is complete while what was written before is still queued",
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        halfClose: Effect.gen(function*() {
          const fiber = yield* Effect.forkDetach(transport.halfClose, { startImmediately: true })
          for (let turn = 0; turn < 5 && fiber.pollUnsafe() === undefined; turn++) yield* Effect.yieldNow
          yield* fiber.pollUnsafe() ?? Effect.void
        })
      })
    })
  },
  {
    law: 52,
    fault: "after half-close no more than 2 MiB of input are let in",
    subject: brokenSubject(() => {
      let isEnded = false
      let bytes = 0
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
          data: (chunk) => {
            if (isEnded) bytes += chunk.length
            if (bytes <= 2_097_152) port.data(chunk)
          }
        })
      }
    })
  },
  {
    law: 53,
    fault: "a second half-close is refused",
    subject: brokenSubject({
      transport: (transport) => {
        let calls = 0
        return {
          ...transport,
          halfClose: Effect.suspend(() => {
            if (calls++ === 0) return transport.halfClose
            return Effect.fail(
              new TransportError({
                operation: "halfClose",
                endpoint: "memory:sound",
                reason: new Closed({ by: "halfClose" })
              })
            )
          })
        }
      }
    })
  },
  {
    law: 54,
    fault: "half-close after close says that it succeeded",
    subject: brokenSubject({
      transport: (transport) => {
        let isClosed = false
        let isFirst = true
        return {
          ...transport,
          close: Effect.suspend(() => {
            const succeeds = isFirst
            isFirst = false
            return Effect.andThen(
              transport.close,
              Effect.sync(() => {
                isClosed = succeeds
              })
            )
          }),
          halfClose: Effect.suspend(() => isClosed ? Effect.void : transport.halfClose)
        }
      }
    })
  },
  {
    law: 55,
    fault: "half-closed from both ends, it is kept until somebody ends it",
    alsoBreaks: { 83: "one of its cycles ends by half-close at both ends, and waits for the release" },
    subject: brokenSubject(() => {
      let isHalfClosed = false
      let isEnded = false
      let letGo: (() => void) | undefined
      const ended = Effect.sync(() => {
        isEnded = true
        letGo?.()
      })
      return {
        wire: (wire) =>
          overWire(wire, {
            release: () => {
              if (isHalfClosed && !isEnded) letGo = () => wire.release()
              else wire.release()
            }
          }),
        transport: (transport) => ({
          ...transport,
          halfClose: Effect.suspend(() => {
            isHalfClosed = true
            return transport.halfClose
          }),
          close: Effect.andThen(ended, transport.close),
          abort: Effect.andThen(ended, transport.abort),
          abortWith: (cause) => Effect.andThen(ended, transport.abortWith(cause))
        })
      }
    })
  },
  {
    law: 56,
    fault: "it cannot half-close, and has a halfClose all the same, which closes",
    alsoBreaks: { 82: "its sequences call every halfClose that there is" },
    subject: brokenSubject({ transport: (transport) => ({ ...transport, halfClose: transport.close }) }, {
      capabilities: { halfClose: false, reset: true, virtualTime: true }
    })
  }
]
