/** Two pairs joined to one line, by what moves bytes in memory that is lent. */
import { assert } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Connection, Transport } from "effect-transport"
import { randomBytes } from "node:crypto"

type Pair = readonly [Transport.HalfCloseableTransport, Transport.HalfCloseableTransport]

/** More than the kernel holds between two ends of any kind, and less than it holds between any. */
const [bulk, piece] = [32_000_000, 60_000]

/**
 * Copies bulk from `b` to `c` and interrupts that while `c` waits with memory that `b` has lent, again and again: what is read
 * next must not come into that memory.
 */
export const joinsThroughInterruptions = Effect.fnUntraced(function*([a, b]: Pair, [c, d]: Pair) {
  const sent = randomBytes(bulk)
  const writing = yield* Effect.forkChild(Effect.andThen(a.write(sent), a.halfClose))
  const received: Array<Uint8Array> = []
  for (let i = 0; i < 20; i++) {
    const copying = yield* Effect.forkChild(Connection.copy(b, c))
    while ((yield* c.buffered).writing === 0 && copying.pollUnsafe() === undefined) yield* Effect.yieldNow
    assert.isUndefined(copying.pollUnsafe(), "the kernel took all of it")
    yield* Fiber.interrupt(copying)
    received.push(yield* Transport.readExactly(d, piece))
  }
  const copying = yield* Effect.forkChild(Connection.copy(b, c, { endOnDone: "halfClose" }))
  received.push(yield* Transport.readUntilEnd(d, { bytesMax: bulk }))
  yield* Fiber.join(copying)
  yield* Fiber.join(writing)
  assert.isTrue(Buffer.concat(received).equals(sent), "what arrived is not what was sent")
})
