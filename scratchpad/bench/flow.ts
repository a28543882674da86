/**
 * What an item costs from who writes it to who reads it: our consumer against Effect's bounded `Queue`, in one process,
 * in turns. `node -C effect-transport-source scratchpad/bench/flow.ts [rounds]`.
 *
 * Both have the same bound, two fibers each, and the same items. Times are medians of all rounds; the ratio is the median
 * of the ratios of each round, ours to theirs, so that below 1 ours is cheaper. The target is at most 2.
 */
import { Effect, Fiber, Queue, Stream } from "effect"
import { Consumer, Producer } from "effect-transport"

interface Case {
  readonly name: string
  readonly items: number
  readonly ours: (items: number) => Effect.Effect<number, unknown>
  readonly theirs: (items: number) => Effect.Effect<number, unknown>
}

const target = 2
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

const single = (bound: number): Case => ({
  name: `single items, bound ${bound}`,
  items: 300_000,
  ours: (items) =>
    Effect.scoped(Effect.gen(function*() {
      const consumer = yield* Consumer.make<number>({ highWaterMark: bound })
      return yield* through(items, consumer.write, 1, consumer.take)
    })),
  theirs: (items) =>
    Effect.gen(function*() {
      const queue = yield* Queue.bounded<number>(bound)
      return yield* through(items, (item) => Queue.offer(queue, item), 1, Queue.take(queue))
    })
})

const cases: ReadonlyArray<Case> = [
  single(1),
  single(16),
  single(1024),
  {
    name: "single items, read in batches, bound 1024",
    items: 600_000,
    ours: (items) =>
      Effect.scoped(Effect.gen(function*() {
        const consumer = yield* Consumer.make<number>({ highWaterMark: 1024 })
        return yield* through(items, consumer.write, 1, consumer.takeAll)
      })),
    theirs: (items) =>
      Effect.gen(function*() {
        const queue = yield* Queue.bounded<number>(1024)
        return yield* through(items, (item) => Queue.offer(queue, item), 1, Queue.takeAll(queue))
      })
  },
  {
    name: `batches of ${batch}, bound 1024`,
    items: 64 * 30_000,
    ours: (items) =>
      Effect.scoped(Effect.gen(function*() {
        const consumer = yield* Consumer.make<number>({ highWaterMark: 1024 })
        return yield* through(items, (from) => consumer.writeAll(numbers(from, batch)), batch, consumer.takeAll)
      })),
    theirs: (items) =>
      Effect.gen(function*() {
        const queue = yield* Queue.bounded<number>(1024)
        return yield* through(items, (from) => Queue.offerAll(queue, numbers(from, batch)), batch, Queue.takeAll(queue))
      })
  },
  {
    name: "a stream, registered as the producer",
    items: 600_000,
    ours: (items) =>
      Effect.scoped(Effect.gen(function*() {
        const consumer = yield* Consumer.make<number>({ highWaterMark: 1024 })
        yield* consumer.register(yield* Producer.fromStream(Stream.range(0, items - 1)))
        return yield* through(items, () => Effect.void, items, consumer.takeAll)
      })),
    theirs: (items) =>
      Effect.gen(function*() {
        const queue = yield* Queue.bounded<number>(1024)
        yield* Effect.forkChild(Stream.runForEach(Stream.range(0, items - 1), (item) => Queue.offer(queue, item)))
        return yield* through(items, () => Effect.void, items, Queue.takeAll(queue))
      })
  }
]

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

/** Nanoseconds an item. */
const run = async (items: number, program: (items: number) => Effect.Effect<number, unknown>): Promise<number> => {
  const before = process.hrtime.bigint()
  const sum = await Effect.runPromise(program(items))
  const nanos = Number(process.hrtime.bigint() - before)
  if (sum !== items * (items - 1) / 2) throw new Error(`the sum is ${sum}`)
  return nanos / items
}

const rounds = Number(process.argv[2] ?? 7)
let isReached = true
for (const { items, name, ours, theirs } of cases) {
  await run(items / 10, ours)
  await run(items / 10, theirs)
  const figures: Array<{ readonly ours: number; readonly theirs: number }> = []
  for (let round = 0; round < rounds; round++) {
    // In turns, and in turn of the turns.
    if (round % 2 === 0) figures.push({ ours: await run(items, ours), theirs: await run(items, theirs) })
    else {
      const after = await run(items, theirs)
      figures.push({ theirs: after, ours: await run(items, ours) })
    }
  }
  const ratios = figures.map((figure) => figure.ours / figure.theirs)
  const ratio = median(ratios)
  isReached &&= ratio <= target
  console.log(
    [
      name.padEnd(44),
      `ours ${median(figures.map((figure) => figure.ours)).toFixed(0).padStart(5)} ns`,
      `Queue ${median(figures.map((figure) => figure.theirs)).toFixed(0).padStart(5)} ns`,
      `ratio ${ratio.toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`
    ].join("  ")
  )
}
console.log(isReached ? `all at or below ${target}` : `not all at or below ${target}`)
process.exitCode = isReached ? 0 : 1
