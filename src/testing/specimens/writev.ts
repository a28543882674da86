/**
 * Broken on purpose, for laws 19 to 23.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Specimen } from "../law.ts"
import { brokenSubject, overWire } from "../sound.ts"

export const writevSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 19,
    fault: "a sequence is a loop of writes, and others get in between",
    alsoBreaks: {
      23: "its sequences would wait for room as a whole, and these wait part by part",
      28: "one of its writers gives a sequence",
      75: "some of its frames are sequences, and others come after them",
      78: "some of its waiters write sequences, and others come after them"
    },
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        writeAll: (outs) =>
          Effect.suspend(() => {
            const chunks = listed(outs)
            const isSound = chunks.every((chunk) => chunk instanceof Uint8Array)
            return isSound && chunks.some((chunk) => chunk.length > 0)
              ? Effect.forEach(chunks, transport.write, { discard: true })
              : transport.writeAll(chunks)
          })
      })
    })
  },
  {
    law: 20,
    fault: "an empty chunk at the end of a sequence stays in the queue, and the end waits behind it for ever",
    alsoBreaks: { 6: "its peer sends sequences that end so" },
    subject: brokenSubject(() => {
      let stuck = false
      return {
        wire: (wire) =>
          overWire(wire, {
            end: () => {
              if (!stuck) wire.end()
            }
          }),
        transport: (transport) => ({
          ...transport,
          writeAll: (outs) =>
            Effect.suspend(() => {
              const chunks = listed(outs)
              if (chunks.at(-1)?.length === 0) stuck = true
              return transport.writeAll(chunks)
            })
        })
      }
    })
  },
  {
    law: 21,
    fault: "a sequence is read once to check it and once more to write it",
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        writeAll: (outs) =>
          Effect.suspend(() => {
            const isSound = isIterable(outs) && Array.from(outs).every((out) => out instanceof Uint8Array)
            return transport.writeAll(isSound ? outs : [undefined as never])
          })
      })
    })
  },
  {
    law: 22,
    fault: "what goes beyond the 1024 parts of one system call is forgotten",
    subject: brokenSubject({
      wire: (wire) => overWire(wire, { write: (chunks, bytes) => wire.write(chunks.slice(0, 1024), bytes) })
    })
  },
  {
    law: 23,
    fault: "a sequence never waits for room: it is queued beyond the marks",
    alsoBreaks: {
      38: "what is stacked on it writes sequences, and waits for nothing"
    },
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        writeAll: (outs) =>
          Effect.map(
            Effect.forkDetach(transport.writeAll(outs), { startImmediately: true }),
            (writing) => writing.pollUnsafe() ?? Exit.void
          ).pipe(Effect.flatten)
      })
    })
  }
]

const isIterable = (outs: unknown): outs is Iterable<unknown> =>
  typeof outs === "object" && outs !== null && Symbol.iterator in outs

/** The sequence, read once; what is none becomes one that is refused. */
const listed = (outs: ReadonlyArray<Uint8Array>): ReadonlyArray<Uint8Array> =>
  isIterable(outs) ? Array.from(outs) : [undefined as never]
