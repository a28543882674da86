/**
 * Broken on purpose, for laws 6 to 9.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import type { Reader } from "../../Connection.ts"
import type { TransportError } from "../../TransportError.ts"
import type { Specimen } from "../law.ts"
import { brokenSubject, type Parts } from "../sound.ts"

export const readingSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 6,
    fault: "input that fills a buffer of 4096 bytes exactly is followed by an empty chunk, the read that found no more",
    subject: brokenSubject(reading((reader) => ({
      ...reader,
      pull: Effect.map(
        reader.pull,
        (chunks) => chunks.some((chunk) => chunk.length === 4096) ? [...chunks, new Uint8Array()] : chunks
      )
    })))
  },
  {
    law: 7,
    fault: "many chunks are put back eight at a time, each eight in front of the eight before",
    subject: brokenSubject(reading((reader) => ({
      ...reader,
      unread: (chunks) => {
        const inEights: Array<Uint8Array> = []
        for (let i = 0; i < chunks.length; i += 8) inEights.unshift(...chunks.slice(i, i + 8))
        return reader.unread(inEights)
      }
    })))
  },
  {
    law: 8,
    fault: "after thirty reads of a single byte the next one waits for a second, to make fewer reads of more",
    alsoBreaks: {
      34: "its test takes the queue apart byte by byte",
      84: "a hundred of its reads get a single byte"
    },
    subject: brokenSubject(() => {
      let inARow = 0
      return reading((reader) => ({
        ...reader,
        pull: Effect.suspend(() => inARow < 30 ? reader.pull : pullTwo(reader)).pipe(
          Effect.tap((chunks) =>
            Effect.sync(() => {
              inARow = chunks.length === 1 && chunks[0].length === 1 ? inARow + 1 : 0
            })
          )
        )
      }))
    })
  },
  {
    law: 9,
    fault: "small input is cut from one block of memory, which is begun again when it is used up",
    subject: brokenSubject(() => ({
      port: (port) => {
        const block = new Uint8Array(16_384)
        let used = 0
        return {
          ...port,
          data: (chunk) => {
            if (chunk.length > 1024) return port.data(chunk)
            if (used + chunk.length > block.length) used = 0
            const piece = block.subarray(used, used + chunk.length)
            piece.set(chunk)
            used += chunk.length
            port.data(piece)
          }
        }
      }
    }))
  }
]

/** Replaces what a lease is, and with it every way to read. */
function reading(
  change: (reader: Reader<Uint8Array, TransportError>) => Reader<Uint8Array, TransportError>
): Parts {
  return {
    transport: (transport) => ({
      ...transport,
      reader: Effect.map(transport.reader, (reader) => change({ ...reader, forEach: undefined }))
    })
  }
}

type Chunks = NonEmptyReadonlyArray<Uint8Array>

/** At least two bytes, unless no more can come. */
const pullTwo = (reader: Reader<Uint8Array, TransportError>): Pull.Pull<Chunks, TransportError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(reader.pull), (chunks) =>
      chunks.length > 1 || chunks[0].length > 1
        ? Effect.succeed(chunks)
        : Effect.matchCauseEffect(restore(reader.pull), {
          onSuccess: (more): Pull.Pull<Chunks, TransportError> => Effect.succeed([...chunks, ...more] as const),
          onFailure: (cause) =>
            Cause.hasInterrupts(cause)
              ? Effect.andThen(reader.unread(chunks), Effect.failCause(cause))
              : Effect.succeed(chunks)
        }))
  )
