/**
 * Broken on purpose, for laws 70 to 73.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Transport from "../../Transport.ts"
import * as TransportError from "../../TransportError.ts"
import type { Specimen } from "../law.ts"
import { brokenSubject } from "../sound.ts"

export const resetSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 70,
    fault: "a reset is told once, and the next read finds the end of input",
    subject: brokenSubject(() => {
      let isTold = false
      return {
        transport: (transport) =>
          withPull(
            transport,
            (pull) =>
              Effect.suspend(() =>
                isTold ? Cause.done() : Effect.tapError(pull, (error) =>
                  Effect.sync(() => {
                    isTold = isReset(error)
                  }))
              )
          )
      }
    })
  },
  {
    law: 71,
    fault: "a half-close that waits for a flush is never told of a reset",
    alsoBreaks: { 82: "its sequences reset what a half-close waits for" },
    subject: brokenSubject(() => {
      let isBroken = false
      return {
        port: (port) => ({
          ...port,
          broken: (cause) => {
            isBroken = true
            port.broken(cause)
          }
        }),
        transport: (transport) => ({
          ...transport,
          halfClose: Effect.suspend(() =>
            isBroken
              ? transport.halfClose
              : Effect.catch(transport.halfClose, (error) => isReset(error) ? Effect.never : Effect.fail(error))
          )
        })
      }
    })
  },
  {
    law: 72,
    fault: "a write that finds the reset throws away what nobody has read yet",
    alsoBreaks: { 59: "there a write finds that its peer let go, with the peer's answer unread" },
    subject: brokenSubject(() => {
      let isFound = false
      return {
        transport: (transport) => ({
          ...withPull(transport, (pull) => Effect.flatMap(pull, (chunks) => isFound ? pull : Effect.succeed(chunks))),
          write: (out) =>
            Effect.tapError(transport.write(out), (error) =>
              Effect.sync(() => {
                isFound = isReset(error)
              }))
        })
      }
    })
  },
  {
    law: 73,
    fault: "a write after a read that found the reset fails with an error that has no name",
    alsoBreaks: { 18: "it asks for the name of the same error", 82: "and so do its sequences" },
    subject: brokenSubject(() => {
      let isTold = false
      return {
        transport: (transport) => ({
          ...withPull(transport, (pull) =>
            Effect.tapError(pull, (error) =>
              Effect.sync(() => {
                isTold = isReset(error)
              }))),
          write: (out) =>
            Effect.mapError(transport.write(out), (error) =>
              isTold && isReset(error)
                ? new TransportError.TransportError({
                  operation: error.operation,
                  endpoint: error.endpoint,
                  reason: new TransportError.Failed(),
                  delivery: error.delivery,
                  cause: error.cause
                })
                : error)
        })
      }
    })
  }
]

type Pull = Effect.Success<Transport.Transport["reader"]>["pull"]

const withPull = (
  transport: Transport.HalfCloseableTransport,
  pull: (pull: Pull) => Pull
): Transport.HalfCloseableTransport => ({
  ...transport,
  reader: Effect.map(transport.reader, (reader) => ({ ...reader, forEach: undefined, pull: pull(reader.pull) }))
})

const isReset = (error: TransportError.TransportError | Cause.Done): boolean =>
  error._tag === "TransportError" && error.reason._tag === "Reset"
