/**
 * Broken on purpose, for laws 32 to 38.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Queue from "effect/Queue"
import type { Reader } from "../../Connection.ts"
import type * as TransportError from "../../TransportError.ts"
import type { Specimen } from "../law.ts"
import { brokenSubject, pairOf, soundSubject } from "../sound.ts"

export const backpressureSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 32,
    fault: "a large write is copied at once, also while it waits for its turn",
    subject: brokenSubject(() => {
      let copied = 0
      return {
        transport: (transport) => ({
          ...transport,
          write: (out) => {
            const writing = transport.write(out)
            if (!(out instanceof Uint8Array) || out.length <= 16_384) return writing
            return Effect.suspend(() => {
              copied += out.length
              return Effect.ensuring(writing, Effect.sync(() => copied -= out.length))
            })
          },
          buffered: Effect.map(transport.buffered, ({ reading, writing }) => ({
            reading,
            writing: Math.max(writing, copied)
          }))
        })
      }
    })
  },
  {
    law: 33,
    fault: "waits are numbered by nine bits, and whoever waits as number 0 is not woken",
    subject: brokenSubject(() => {
      let number = 1
      return {
        port: (port) => ({
          ...port,
          drained: () => {
            number = (number + 1) % 512
            if (number !== 0) port.drained()
          }
        })
      }
    })
  },
  {
    law: 34,
    fault: "a writer that waits goes on below the low mark, and not at it",
    subject: brokenSubject({
      options: (options) => ({ ...options, lowWaterMark: Math.max(0, options.lowWaterMark - 1) })
    })
  },
  {
    law: 35,
    fault: "a low mark that is given alone is not held against the high mark that comes by default",
    subject: soundSubject({
      pair: (options) => {
        const low = options?.lowWaterMark
        if (options?.highWaterMark !== undefined || !Number.isSafeInteger(low)) return pairOf()(options)
        return pairOf()({ ...options, lowWaterMark: Math.min(low!, 65_536) })
      }
    })
  },
  {
    law: 36,
    fault: "whoever waits for a flush takes the place of who did before, and he is not told of an end",
    subject: brokenSubject({
      transport: (transport) => {
        let latest = 0
        return {
          ...transport,
          flush: Effect.suspend(() => {
            const mine = ++latest
            return Effect.catch(transport.flush, (error) => mine === latest ? Effect.fail(error) : Effect.never)
          })
        }
      }
    })
  },
  {
    law: 37,
    fault: "the read mark is counted in words of four bytes",
    subject: brokenSubject({ options: (options) => ({ ...options, readMark: options.readMark * 4 }) })
  },
  {
    law: 38,
    fault: "forEach reads on while its handler is busy, and keeps what it has read",
    alsoBreaks: {
      39: "what it has kept is delivered during a pause that the handler takes",
      62: "what it has kept is delivered after a close that the handler calls"
    },
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        reader: Effect.map(transport.reader, (reader) => ({ ...reader, forEach: readAhead(reader) }))
      })
    })
  }
]

/** Hands over one batch after the other, and pulls the next ones meanwhile. */
const readAhead = (
  reader: Reader<Uint8Array, TransportError.TransportError>
): NonNullable<Reader<Uint8Array, TransportError.TransportError>["forEach"]> =>
(f) =>
  Effect.scoped(Effect.gen(function*() {
    const ahead = yield* Queue.unbounded<
      NonEmptyReadonlyArray<Uint8Array>,
      TransportError.TransportError | Cause.Done
    >()
    yield* Effect.addFinalizer(() =>
      Effect.flatMap(Effect.orElseSucceed(Queue.clear(ahead), () => []), (batches) => reader.unread(batches.flat()))
    )
    yield* Effect.flatMap(reader.pull, (batch) => Queue.offer(ahead, batch)).pipe(
      Effect.forever({ disableYield: true }),
      Effect.onExit((exit) => Exit.isFailure(exit) ? Queue.failCause(ahead, exit.cause) : Effect.void),
      Effect.forkScoped({ startImmediately: true })
    )
    yield* Pull.catchDone(
      Effect.forever(Effect.flatMap(Queue.take(ahead), f), { disableYield: true }),
      () => Effect.void
    )
  }))
