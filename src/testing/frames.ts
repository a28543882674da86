/**
 * Writes that can be told apart, for laws that interrupt them: each is a frame that says which one it is and how long, so
 * that what the peer read can be compared with what each write came to.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { concat } from "../internal/bytes.ts"
import * as Transport from "../Transport.ts"
import type { TransportError } from "../TransportError.ts"
import { type Bench, broken, check, readOut } from "./bench.ts"
import type { LawBroken } from "./law.ts"

interface Sent {
  readonly bytes: number
  /** What it came to; undefined while it is under way. */
  readonly exit: () => Exit.Exit<void, TransportError> | undefined
}

/** The writes of one transport, in order. */
export interface Log {
  readonly sent: ReadonlyArray<Sent>
  /** The next frame, for whoever writes it. */
  readonly next: (bytes: number) => Uint8Array
  /** That frame is written by this fiber. */
  readonly add: (fiber: Fiber.Fiber<void, TransportError>) => void
  /** Starts to write a frame, as one piece or several. */
  readonly start: (bytes: number, inParts: boolean) => Effect.Effect<void, never, Scope.Scope>
  /** Interrupts a write, which ends at once. Unless it may not even have begun, it says what became of its bytes. */
  readonly interrupt: (index: number, isRacing?: boolean) => Effect.Effect<void, LawBroken>
  /** Waits for all, closes, and compares what the peer reads with what the writes came to. */
  readonly check: (what: string, peer: Transport.Transport, seen: Seen) => Effect.Effect<void, LawBroken, Scope.Scope>
}

/** What was read before, and whether someone is reading the rest. */
interface Seen {
  readonly pieces?: ReadonlyArray<Uint8Array> | undefined
  /** How many bytes are there before the first frame. */
  readonly skip?: number | undefined
  readonly reading?: Fiber.Fiber<Effect.Success<ReturnType<typeof readOut>>> | undefined
}

export const makeLog = (bench: Bench, transport: Transport.Transport): Log => {
  const sent: Array<Sent> = []
  const fibers: Array<Fiber.Fiber<void, TransportError> | undefined> = []

  const next: Log["next"] = (bytes) => {
    const id = sent.length
    sent.push({ bytes, exit: () => fibers[id] === undefined ? Exit.void : fibers[id].pollUnsafe() })
    return frameOf(id, bytes)
  }

  const add: Log["add"] = (fiber) => {
    fibers[sent.length - 1] = fiber
  }

  const start: Log["start"] = (bytes, inParts) =>
    Effect.suspend(() => {
      const frame = next(bytes)
      const third = Math.ceil(bytes / 3)
      const write = inParts
        ? transport.writeAll([frame.subarray(0, third), frame.subarray(third, 2 * third), frame.subarray(2 * third)])
        : transport.write(frame)
      return Effect.map(bench.start(write), add)
    })

  const interrupt: Log["interrupt"] = (index, isRacing = false) =>
    Effect.gen(function*() {
      const fiber = fibers[index]!
      yield* bench.within("the interruption of a write", Fiber.interrupt(fiber))
      const exit = fiber.pollUnsafe()
      if (isRacing || exit === undefined || Exit.isSuccess(exit)) return
      yield* check(
        Transport.delivery(exit.cause)._tag === "Some",
        () => `an interrupted write does not say what became of its bytes: ${exit}`
      )
    })

  const checkAll: Log["check"] = (what, peer, { pieces = [], reading, skip = 0 }) =>
    Effect.gen(function*() {
      const peerReading = reading ?? (yield* bench.start(readOut(peer)))
      for (const fiber of fibers) {
        if (fiber !== undefined) yield* bench.ended(`${what}: one that was not interrupted`, yield* awaiting(fiber))
      }
      yield* start(100, false)
      const closing = yield* bench.start(Effect.exit(Effect.andThen(Fiber.await(fibers.at(-1)!), transport.close)))
      const found = yield* bench.ended(`${what}: the peer's reading`, peerReading)
      yield* bench.start(peer.close)
      yield* bench.ended(`${what}: the close`, closing)
      yield* checkFrames(what, concat([...pieces, found.bytes]).subarray(skip), found.how, sent)
    })

  const awaiting = (fiber: Fiber.Fiber<unknown, unknown>) => bench.start(Fiber.await(fiber))

  return { sent, next, add, start, interrupt, check: checkAll }
}

const headerBytes = 8

const frameOf = (id: number, bytes: number): Uint8Array => {
  const frame = new Uint8Array(bytes).fill(fillOf(id))
  const header = new DataView(frame.buffer)
  header.setUint32(0, id)
  header.setUint32(4, bytes)
  return frame
}

/** Not what the frame before it has, and never the zero that every header begins with. */
const fillOf = (id: number): number => 0x80 + (id % 0x40)

const checkFrames = (
  what: string,
  bytes: Uint8Array,
  how: { readonly _tag: "End" } | { readonly _tag: "Failed"; readonly error: TransportError },
  sent: ReadonlyArray<Sent>
): Effect.Effect<void, LawBroken> =>
  Effect.suspend(() => {
    const exits = sent.map(({ exit }) => exit())
    // A transport may give up the direction instead. Then the last frame can be torn, and the end is not clean.
    const isPoisoned = exits.some((exit) =>
      exit !== undefined && Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)
    )
    if (!isPoisoned && how._tag === "Failed") return broken(`${what}: the peer found ${how.error.message}`)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const arrived = new Set<number>()
    let last = -1
    for (let at = 0; at < bytes.length;) {
      const left = bytes.length - at
      const id = left < headerBytes ? undefined : view.getUint32(at)
      const size = id === undefined ? headerBytes : sent[id]?.bytes
      if (size === undefined || (id !== undefined && view.getUint32(at + 4) !== size)) {
        return broken(`${what}: frame ${last} is followed by something else than a frame`)
      }
      const end = Math.min(at + size, bytes.length)
      if (id !== undefined) {
        if (id <= last) return broken(`${what}: frame ${id} comes after frame ${last}`)
        for (let i = at + headerBytes; i < end; i++) {
          if (bytes[i] !== fillOf(id)) {
            return broken(`${what}: frame ${id} is torn after ${i - at} of its ${size} bytes, and more follows`)
          }
        }
        last = id
      }
      if (left < size) {
        if (isPoisoned && how._tag === "Failed") break
        return broken(`${what}: frame ${id} is torn after ${left} of its ${size} bytes, and a clean end follows`)
      }
      arrived.add(id!)
      at = end
    }
    for (const [id, exit] of exits.entries()) {
      const verdict = exit === undefined || Exit.isSuccess(exit) ? undefined : Transport.delivery(exit.cause)
      if (verdict?._tag === "Some" && verdict.value === "NotSent" && arrived.has(id)) {
        return broken(`${what}: frame ${id} was not sent, as its write said, and arrived`)
      }
      if (!isPoisoned && exit !== undefined && Exit.isSuccess(exit) && !arrived.has(id)) {
        return broken(`${what}: frame ${id} was written, and did not arrive`)
      }
    }
    return Effect.void
  })
