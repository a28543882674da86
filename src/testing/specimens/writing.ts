/**
 * Broken on purpose, for laws 14 to 18.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { TransportError } from "../../TransportError.ts"
import type { Specimen } from "../law.ts"
import { brokenSubject } from "../sound.ts"

export const writingSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 14,
    fault: "one call takes 8 MiB at the most, and nobody asks how much it took",
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        write: (out) => transport.write(out?.length > 8_388_608 ? out.subarray(0, 8_388_608) : out)
      })
    })
  },
  {
    law: 15,
    fault: "a write of nothing succeeds before anyone asks whether the peer is still there",
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        write: (out) =>
          Effect.catch(
            transport.write(out),
            (error) => out?.length === 0 && error.reason._tag === "Reset" ? Effect.void : Effect.fail(error)
          )
      })
    })
  },
  {
    law: 16,
    fault: "a small write is complete when it is queued, and is not copied",
    alsoBreaks: {
      34: "its test waits for a write that had to wait for room: here that is complete only when it is sent"
    },
    subject: brokenSubject({
      copyMax: 0,
      transport: (transport) => {
        const queuing = (bytes: number, writing: Effect.Effect<void, TransportError>) =>
          !(bytes <= 16_384) ? writing : Effect.gen(function*() {
            const before = (yield* transport.buffered).writing
            const fiber = yield* Effect.forkDetach(writing, { startImmediately: true })
            const isQueued = (yield* transport.buffered).writing > before
            return yield* isQueued && fiber.pollUnsafe() === undefined ? Effect.void : awaiting(fiber)
          })
        return {
          ...transport,
          write: (out) => queuing(out?.length, transport.write(out)),
          writeAll: (outs) =>
            Effect.suspend(() => {
              const chunks = Array.isArray(outs) ? Array.from(outs) : undefined
              return chunks === undefined
                ? transport.writeAll(outs)
                : queuing(chunks.reduce((bytes, out) => bytes + out?.length, 0), transport.writeAll(chunks))
            })
        }
      }
    })
  },
  {
    law: 17,
    fault: "a write after the half-close is refused, and destroys both directions",
    alsoBreaks: { 82: "its sequences write after a half-close" },
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        write: (out) =>
          Effect.tapError(
            transport.write(out),
            ({ reason }) => reason._tag === "Closed" && reason.by === "halfClose" ? transport.abort : Effect.void
          )
      })
    })
  },
  {
    law: 18,
    fault: "the loss of the peer fails two writes, and the next waits for a drain that never comes",
    alsoBreaks: { 82: "its sequences write on to a peer that is gone" },
    subject: brokenSubject({
      transport: (transport) => {
        let failed = 0
        return {
          ...transport,
          write: (out) =>
            Effect.suspend(() =>
              failed === 2 && out?.length > 0
                ? Effect.never
                : Effect.tapError(transport.write(out), ({ reason }) =>
                  Effect.sync(() => {
                    if (reason._tag === "Reset") failed++
                  }))
            )
        }
      }
    })
  }
]

/** As the fiber ends; interrupted, it interrupts the fiber and ends with its verdict. */
const awaiting = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<A, E> =>
  Effect.callback((resume) => {
    fiber.addObserver(resume)
    return Effect.flatMap(Effect.andThen(Fiber.interrupt(fiber), Fiber.await(fiber)), (exit) =>
      Exit.isFailure(exit) ? Effect.failCause(exit.cause as Cause.Cause<never>) : Effect.void)
  })
