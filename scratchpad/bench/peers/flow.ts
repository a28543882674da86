/**
 * What an item costs from who writes it to who reads it: our consumer, and Effect's bounded `Queue` of the same bound. Two
 * fibers, one that writes and one that reads; the sum of all items tells whether each came once.
 */
import { Effect, Fiber, Queue, Stream } from "effect"
import { Consumer, Producer } from "effect-transport"
import { answer, options, ownUsage } from "../child.ts"
import type { AloneAnswers, SubjectOptions } from "../messages.ts"

const [name, side] = options<SubjectOptions>().service.split("/") as [string, keyof Pair]

/** Passes so many items, the numbers from 0, and answers with their sum. */
type Passing = (items: number) => Effect.Effect<number, unknown>

interface Pair {
  readonly ours: Passing
  readonly queue: Passing
}

const batch = 64

const times = (count: number, body: () => Effect.Effect<unknown, unknown>): Effect.Effect<void, unknown> =>
  Effect.suspend(() => {
    let i = 0
    return Effect.whileLoop({ while: () => i < count, body, step: () => i++ })
  })

/** Writes in one fiber and reads in another, until all has come; answers with the sum. */
const through = (
  items: number,
  write: (from: number) => Effect.Effect<unknown, unknown>,
  size: number,
  read: Effect.Effect<number | ReadonlyArray<number>, unknown>
): Effect.Effect<number, unknown> =>
  Effect.gen(function*() {
    let next = 0
    const writing = yield* Effect.forkChild(times(items / size, () => {
      const at = next
      next += size
      return write(at)
    }))
    let sum = 0
    let got = 0
    yield* Effect.whileLoop({
      while: () => got < items,
      body: () => read,
      step: (value) => {
        if (typeof value === "number") {
          sum += value
          got++
        } else {
          for (const item of value) sum += item
          got += value.length
        }
      }
    })
    yield* Fiber.join(writing)
    return sum
  })

const numbers = (from: number, size: number) => Array.from({ length: size }, (_, i) => from + i)

const single = (bound: number): Pair => ({
  ours: (items) =>
    Effect.scoped(Effect.gen(function*() {
      const consumer = yield* Consumer.make<number>({ highWaterMark: bound })
      return yield* through(items, consumer.write, 1, consumer.take)
    })),
  queue: (items) =>
    Effect.gen(function*() {
      const queue = yield* Queue.bounded<number>(bound)
      return yield* through(items, (item) => Queue.offer(queue, item), 1, Queue.take(queue))
    })
})

const pairs: Readonly<Record<string, Pair>> = {
  "single-1": single(1),
  "single-16": single(16),
  "single-1024": single(1024),
  batches: {
    ours: (items) =>
      Effect.scoped(Effect.gen(function*() {
        const consumer = yield* Consumer.make<number>({ highWaterMark: 1024 })
        return yield* through(items, (from) => consumer.writeAll(numbers(from, batch)), batch, consumer.takeAll)
      })),
    queue: (items) =>
      Effect.gen(function*() {
        const queue = yield* Queue.bounded<number>(1024)
        return yield* through(items, (from) => Queue.offerAll(queue, numbers(from, batch)), batch, Queue.takeAll(queue))
      })
  },
  stream: {
    ours: (items) =>
      Effect.scoped(Effect.gen(function*() {
        const consumer = yield* Consumer.make<number>({ highWaterMark: 1024 })
        yield* consumer.register(yield* Producer.fromStream(Stream.range(0, items - 1)))
        return yield* through(items, () => Effect.void, items, consumer.takeAll)
      })),
    queue: (items) =>
      Effect.gen(function*() {
        const queue = yield* Queue.bounded<number>(1024)
        yield* Effect.forkChild(Stream.runForEach(Stream.range(0, items - 1), (item) => Queue.offer(queue, item)))
        return yield* through(items, () => Effect.void, items, Queue.takeAll(queue))
      })
  }
}

const passing = pairs[name]![side]
const digest = { sent: "", received: "" }

const run = async (items: number): Promise<number> => {
  const before = performance.now()
  const sum = await Effect.runPromise(passing(items))
  const seconds = (performance.now() - before) / 1000
  digest.sent = `${items * (items - 1) / 2}`
  digest.received = `${sum}`
  return seconds
}

answer<AloneAnswers>({ ...ownUsage, start: () => 0, run, digest: () => digest })
