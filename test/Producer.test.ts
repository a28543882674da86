import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, PubSub, Queue, Scope, Stream } from "effect"
import { Connection, Consumer, Producer, TestTransport, Transport, TransportError } from "effect-transport"
import { TestClock } from "effect/testing"
import { Stepper } from "./support/stepper.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

const settle = Effect.replicateEffect(Effect.yieldNow, 30, { discard: true })

const small = { highWaterMark: 2, lowWaterMark: 1 }

/** How an effect ends, in a word. */
const outcome = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<unknown, never, R> =>
  Effect.map(Effect.exit(effect), (exit) => {
    if (Exit.isSuccess(exit)) return "success"
    if (Cause.hasDies(exit.cause)) return `died: ${Cause.squash(exit.cause)}`
    const error = Cause.squash(exit.cause)
    return error instanceof TransportError.TransportError ? error.reason._tag : error
  })

/** A consumer that pauses when it is told to, and keeps what it is given. */
const makeByHand = <A>() => {
  const items: Array<A> = []
  const log: Array<string> = []
  let producer: Producer.Producer<A> | undefined
  const consumer: Consumer.Consumer<A, never> = {
    write: (item) => Effect.sync(() => void items.push(item)),
    register: (one) => Effect.suspend(() => (producer = one).halfRegister(consumer)),
    unregister: Effect.sync(() => void log.push("unregister")),
    state: Stream.make("flowing")
  }
  const tell = (signal: "pause" | "resume" | "stop") => Effect.suspend(() => producer![signal])
  return { consumer, items, log, pause: tell("pause"), resume: tell("resume"), stop: tell("stop") }
}

describe("the module Producer", () => {
  it("has these names", () => {
    assert.deepStrictEqual(Object.keys(Producer).toSorted(), [
      "Service",
      "Wait",
      "WriteFailed",
      "buffered",
      "fromAsyncIterable",
      "fromCallback",
      "fromConnection",
      "fromGenerator",
      "fromIterable",
      "fromPubSub",
      "fromQueue",
      "fromStream",
      "fromUnpausable",
      "merge",
      "runInto",
      "toStream",
      "wait"
    ])
  })
})

describe("Producer: what all have in common", () => {
  const numbers = () => Array.from({ length: 100 }, (_, i) => i)
  async function* generate() {
    yield* numbers()
  }
  const emitting = (emitter: Producer.Emitter<number, never>) => {
    let next = 0
    let isOpen = true
    const run = () => {
      while (isOpen && next < 100) isOpen = emitter.emit(next++)
      if (next === 100) emitter.end()
    }
    queueMicrotask(run)
    return {
      pause: () => {
        isOpen = false
      },
      resume: () => {
        isOpen = true
        run()
      },
      stop: () => {
        isOpen = false
      }
    }
  }
  const makers: Readonly<Record<string, Effect.Effect<Producer.Finite<number, unknown>, unknown, Scope.Scope>>> = {
    fromStream: Producer.fromStream(Stream.fromIterable(numbers())),
    fromIterable: Producer.fromIterable(new Set(numbers())),
    fromAsyncIterable: Producer.fromAsyncIterable({ [Symbol.asyncIterator]: generate }, (error) => error),
    "fromGenerator, sync": Producer.fromGenerator(() => numbers()[Symbol.iterator](), (error) => error),
    "fromGenerator, async": Producer.fromGenerator(generate, (error) => error),
    fromCallback: Producer.fromCallback(emitting),
    fromQueue: Effect.gen(function*() {
      const queue = yield* Queue.bounded<number, Cause.Done>(16)
      yield* Effect.forkScoped(Stream.runIntoQueue(Stream.fromIterable(numbers()), queue))
      return yield* Producer.fromQueue(queue)
    }),
    "merge, of one": Effect.flatMap(Producer.fromIterable(numbers()), (one) => Producer.merge([one]))
  }

  for (const [name, make] of Object.entries(makers)) {
    it.live(`${name} gives all items in order under pressure, then unregisters and has ended`, () =>
      Effect.scoped(Effect.gen(function*() {
        const consumer = yield* Consumer.make<number>(small)
        const producer = yield* make
        const running = yield* Effect.forkChild(Producer.runInto(producer, consumer))
        const seen: Array<number> = []
        while (seen.length < 100) {
          seen.push(yield* consumer.take)
          assert.isAtMost((yield* consumer.level).size, 3)
        }
        assert.deepStrictEqual(seen, numbers())
        yield* Fiber.join(running)
        yield* producer.ended
        // Its place is free.
        yield* consumer.register(yield* Producer.fromIterable([1]))
      })))

    it.live(`${name} writes nothing while it is paused, and all of it once it is resumed`, () =>
      Effect.scoped(Effect.gen(function*() {
        const { consumer, items, log, pause, resume } = makeByHand<number>()
        const producer = yield* make
        yield* consumer.register(producer)
        yield* pause
        const before = items.length
        yield* settle
        assert.strictEqual(items.length, before)
        yield* resume
        yield* producer.ended
        yield* settle
        assert.deepStrictEqual([items, log], [numbers(), ["unregister"]])
      })))

    it.live(`${name} that is stopped unregisters once, has ended, and writes no more`, () =>
      Effect.scoped(Effect.gen(function*() {
        const { consumer, items, log, pause, resume, stop } = makeByHand<number>()
        const producer = yield* make
        yield* consumer.register(producer)
        yield* pause
        const before = items.length
        yield* Effect.andThen(stop, stop)
        yield* producer.ended
        yield* resume
        yield* settle
        assert.strictEqual(items.length, before)
        assert.deepStrictEqual(log, ["unregister"])
      })))

    it.live(`${name} serves one consumer in its life, and none when it was stopped before`, () =>
      Effect.scoped(Effect.gen(function*() {
        const first = yield* Consumer.make<number>()
        const second = yield* Consumer.make<number>()
        const producer = yield* make
        yield* first.register(producer)
        assert.include(yield* outcome(second.register(producer)), "died: Error: a producer is registered once")
        const dead = yield* Consumer.make<number>()
        yield* dead.abort
        const other = yield* make
        yield* dead.register(other)
        yield* other.ended
      })))
  }
})

describe("Producer.fromStream", () => {
  it.effect("fails with what the stream fails with, after what came before", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<number>()
      const stream = Stream.concat(Stream.make(1, 2), Stream.fail("broken" as const))
      const producer = yield* Producer.fromStream(stream)
      assert.strictEqual(yield* Effect.flip(Producer.runInto(producer, consumer)), "broken")
      assert.deepStrictEqual(yield* consumer.takeAll, [1, 2])
      yield* consumer.write(3)
    }))

  it.effect("takes the services of the stream when it is made", () =>
    Effect.gen(function*() {
      class Base extends Context.Service<Base, number>()("effect-transport/test/Producer.test/Base") {}
      const stream = Stream.fromEffect(Effect.map(Base, (base) => base + 1))
      const producer = yield* Effect.provide(Producer.fromStream(stream), Layer.succeed(Base, 41))
      const consumer = yield* Consumer.make<number>()
      yield* Producer.runInto(producer, consumer)
      assert.strictEqual(yield* consumer.take, 42)
    }))

  it.effect("ends the stream when it is stopped, and releases what that holds", () =>
    Effect.gen(function*() {
      let released = 0
      const stream = Stream.ensuring(Stream.forever(Stream.make(1)), Effect.sync(() => released++))
      const consumer = yield* Consumer.make<number>()
      const producer = yield* Producer.fromStream(stream)
      yield* consumer.register(producer)
      yield* settle
      yield* consumer.abort
      yield* producer.ended
      assert.strictEqual(released, 1)
    }))
})

describe("Producer.fromIterable", () => {
  it.effect("reads nothing ahead while it is paused", () =>
    Effect.gen(function*() {
      let read = 0
      const items = {
        *[Symbol.iterator]() {
          for (;;) yield ++read
        }
      }
      const consumer = yield* Consumer.make<number>(small)
      yield* consumer.register(yield* Producer.fromIterable(items))
      yield* settle
      assert.strictEqual(read, 3)
      yield* consumer.takeAll
      yield* settle
      assert.strictEqual(read, 6)
    }))
})

describe("Producer: ended", () => {
  it.effect("fails with WriteFailed, and runInto with the consumer's own error", () =>
    Effect.gen(function*() {
      const make = Producer.fromIterable([1, 2, 3])
      const consumer = yield* Consumer.make<number>({ highWaterMark: 0, policy: "fail" })
      const refused = yield* make
      // A producer that heeds the pause is never refused: this one is not told.
      const deaf = { ...refused, pause: Effect.void }
      yield* consumer.register(deaf)
      yield* settle
      const error = yield* Effect.flip(refused.ended)
      assert.instanceOf(error, Producer.WriteFailed)
      assert.instanceOf(error.cause, Consumer.Full)
      const again = yield* make
      const own = yield* Effect.flip(Producer.runInto({ ...again, pause: Effect.void }, consumer))
      assert.instanceOf(own, Consumer.Full)
    }))

  it.effect("of what throws is a defect, and the place is free all the same", () =>
    Effect.gen(function*() {
      const throwing = {
        *[Symbol.iterator]() {
          yield 1
          throw new Error("broken")
        }
      }
      const consumer = yield* Consumer.make<number>()
      const producer = yield* Producer.fromIterable(throwing)
      yield* consumer.register(producer)
      assert.strictEqual(yield* outcome(producer.ended), "died: Error: broken")
      yield* consumer.register(yield* Producer.fromIterable([2]))
    }))

  it.effect("a consumer that ends stops a producer that waits for it; runInto fails, since not all was written", () =>
    Effect.gen(function*() {
      for (const end of ["abort", "halfClose"] as const) {
        // What is larger than the mark waits for room, without a pause.
        const consumer = yield* Consumer.make<number>({ ...small, measure: (item) => item })
        const producer = yield* Producer.fromIterable([1, 9])
        const running = yield* Effect.forkChild(outcome(Producer.runInto(producer, consumer)))
        yield* settle
        assert.strictEqual((yield* consumer.level).waiting, 1)
        yield* consumer[end]
        assert.strictEqual(yield* Fiber.join(running), "Closed")
        yield* producer.ended
      }
    }))

  it.effect("comes to one whose scope ends, and to one whose runInto is interrupted", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<number>()
      const one = yield* Producer.fromStream(Stream.never)
      yield* Effect.scoped(consumer.register(one))
      yield* one.ended
      const other = yield* Producer.fromStream(Stream.never)
      const running = yield* Effect.forkChild(Producer.runInto(other, consumer), { startImmediately: true })
      yield* Fiber.interrupt(running)
      yield* other.ended
      yield* consumer.register(yield* Producer.fromIterable([1]))
    }))

  it.effect("that was stopped before it is registered writes nothing, and leaves the place free", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<number>()
      const producer = yield* Producer.fromIterable([1, 2, 3])
      yield* producer.stop
      yield* consumer.register(producer)
      yield* settle
      assert.strictEqual((yield* consumer.level).length, 0)
      yield* consumer.register(yield* Producer.fromIterable([1]))
    }))

  it.effect("loses nothing to a consumer that sheds, also at its registration", () =>
    Effect.gen(function*() {
      for (const policy of ["dropNewest", "dropOldest", "fail"] as const) {
        const consumer = yield* Consumer.make<number>({ ...small, policy: policy as "fail" })
        const producer = yield* Producer.fromIterable([1, 2, 3, 4, 5, 6, 7, 8])
        yield* consumer.register(producer)
        yield* settle
        assert.deepStrictEqual([(yield* consumer.level).dropped, (yield* consumer.level).length], [0, 3])
      }
    }))
})

describe("Producer.fromGenerator: the three objections of PEP 3153", () => {
  it.effect("no item yet: it waits, where nothing else waits with it, and needs no sentinel", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<string>()
      const news = yield* Queue.unbounded<string>()
      const producer = yield* Producer.fromGenerator(function*() {
        for (;;) {
          const item = yield* Producer.wait(Queue.take(news))
          if (item === "end") return
          yield item.toUpperCase()
          yield* Producer.wait(Effect.sleep("1 hours"))
        }
      }, (error) => error)
      yield* consumer.register(producer)
      // It has nothing yet, and the consumer takes from others meanwhile.
      yield* consumer.write("other")
      assert.strictEqual(yield* consumer.take, "other")
      yield* Queue.offer(news, "a")
      assert.strictEqual(yield* consumer.take, "A")
      yield* Queue.offerAll(news, ["b", "end"])
      yield* settle
      assert.strictEqual((yield* consumer.level).length, 0)
      yield* TestClock.adjust("1 hours")
      assert.strictEqual(yield* consumer.take, "B")
      yield* TestClock.adjust("1 hours")
      yield* producer.ended
    }))

  it.effect("state after an error: what it catches costs it nothing, neither a refusal nor an effect that failed", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<string>({ highWaterMark: 0, policy: "fail" })
      const log: Array<string> = []
      const producer = yield* Producer.fromGenerator(function*() {
        let count = 0
        for (let i = 0; i < 3; i++) {
          try {
            yield `item ${++count}`
            log.push("taken")
          } catch (error) {
            log.push(error instanceof Consumer.Full ? "refused" : "?")
          }
        }
        try {
          yield* Producer.wait(Effect.fail("no luck"))
        } catch (error) {
          log.push(`${error} after ${++count}`)
        }
      }, (error) => error)
      // It is not told of pauses, so that it is refused.
      const deaf = { ...producer, pause: Effect.void }
      yield* consumer.register(deaf)
      yield* producer.ended
      assert.deepStrictEqual(log, ["taken", "refused", "refused", "no luck after 4"])
      assert.deepStrictEqual(yield* consumer.takeAll, ["item 1"])
    }))

  it.effect("what it does not catch ends it, typed", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<number>()
      const refused = yield* Consumer.make<number>({ measure: (item) => item })
      const onError = (error: unknown) => ({ _tag: "Mine", error }) as const
      const throwing = yield* Producer.fromGenerator(function*() {
        yield 1
        throw "broken"
      }, onError)
      assert.deepStrictEqual(yield* Effect.flip(Producer.runInto(throwing, consumer)), {
        _tag: "Mine",
        error: "broken"
      })
      const waiting = yield* Producer.fromGenerator(function*() {
        yield* Producer.wait(Effect.fail("no"))
        yield 1
      }, onError)
      assert.deepStrictEqual(yield* Effect.flip(Producer.runInto(waiting, consumer)), { _tag: "Mine", error: "no" })
      const negative = yield* Producer.fromGenerator(async function*() {
        yield -1
      }, onError)
      yield* refused.register(negative)
      const error = yield* Effect.flip(negative.ended)
      assert.strictEqual(error._tag, "Mine")
    }))

  it.effect("knows its consumer: it may ask how full that is", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<string>({ highWaterMark: 100, name: "mine" })
      const producer = yield* Producer.fromGenerator(function*(consumer) {
        for (let i = 0; i < 3; i++) {
          const [level] = yield* Producer.wait(Consumer.levels(consumer))
          yield `${level?.name} holds ${level?.length}`
        }
      }, (error) => error)
      yield* consumer.register(producer)
      yield* producer.ended
      assert.deepStrictEqual(yield* consumer.takeAll, ["mine holds 0", "mine holds 1", "mine holds 2"])
    }))

  it.live("runs its finally when it is stopped, also where an async step never ends", () =>
    Effect.scoped(Effect.gen(function*() {
      const log: Array<string> = []
      const sync = yield* Producer.fromGenerator(function*() {
        try {
          for (;;) yield* Producer.wait(Effect.never)
        } finally {
          log.push("sync")
        }
      }, (error) => error)
      const async = yield* Producer.fromGenerator(async function*() {
        try {
          for (;;) yield 1
        } finally {
          log.push("async")
        }
      }, (error) => error)
      const hanging = yield* Producer.fromGenerator(async function*() {
        await new Promise(() => {})
        yield 1
      }, (error) => error)
      for (const producer of [sync, async, hanging]) {
        const consumer = yield* Consumer.make<number>(small)
        yield* consumer.register(producer)
        yield* settle
        yield* consumer.abort
        yield* producer.ended
      }
      assert.deepStrictEqual(log, ["sync", "async"])
    })))
})

describe("Producer.fromCallback", () => {
  const source = (emitNow: ReadonlyArray<number> = []) => {
    const log: Array<string> = []
    let emitter: Producer.Emitter<number, string> | undefined
    const subscribe = (one: Producer.Emitter<number, string>) => {
      emitter = one
      for (const item of emitNow) one.emit(item)
      return {
        pause: () => void log.push("pause"),
        resume: () => void log.push("resume"),
        stop: () => void log.push("stop")
      }
    }
    return { emitter: () => emitter!, log, subscribe }
  }

  it.effect("pauses and resumes the source with the consumer, strictly in turn", () =>
    Effect.gen(function*() {
      const { emitter, log, subscribe } = source()
      const consumer = yield* Consumer.make<number>(small)
      yield* consumer.register(yield* Producer.fromCallback(subscribe))
      assert.deepStrictEqual([1, 2, 3].map((item) => emitter().emit(item)), [true, true, false])
      assert.deepStrictEqual(log, ["pause"])
      yield* consumer.takeAll
      assert.deepStrictEqual(log, ["pause", "resume"])
      assert.isTrue(emitter().emit(4))
    }))

  it.effect("keeps in order what comes after a pause, up to its bound, and gives up a source beyond it", () =>
    Effect.gen(function*() {
      const { emitter, log, subscribe } = source()
      const consumer = yield* Consumer.make<number>(small)
      const producer = yield* Producer.fromCallback(subscribe, { overshootMax: 2 })
      yield* consumer.register(producer)
      for (const item of [1, 2, 3, 4, 5]) emitter().emit(item)
      assert.deepStrictEqual(yield* consumer.takeAll, [1, 2, 3])
      assert.deepStrictEqual(yield* consumer.takeAll, [4, 5])
      assert.deepStrictEqual(log, ["pause", "resume"])
      for (const item of [6, 7, 8, 9, 10]) emitter().emit(item)
      assert.isFalse(emitter().emit(11))
      assert.strictEqual(yield* outcome(producer.ended), "LimitExceeded")
      assert.isFalse(emitter().emit(12))
      assert.deepStrictEqual(log, ["pause", "resume", "pause", "stop"])
      assert.deepStrictEqual(yield* consumer.takeAll, [6, 7, 8])
    }))

  it.effect("waits with the items for a write that waits, without a pause of the consumer", () =>
    Effect.gen(function*() {
      const { emitter, log, subscribe } = source()
      const open = yield* Deferred.make<void>()
      const items: Array<number> = []
      const byHand = makeByHand<number>().consumer
      const consumer = {
        ...byHand,
        write: (item: number) => Effect.andThen(Deferred.await(open), Effect.sync(() => void items.push(item)))
      }
      const producer = yield* Producer.fromCallback(subscribe)
      yield* producer.halfRegister(consumer)
      assert.deepStrictEqual([emitter().emit(1), emitter().emit(2)], [false, false])
      assert.deepStrictEqual(log, ["pause"])
      yield* Deferred.succeed(open, undefined)
      yield* settle
      assert.deepStrictEqual([items, log], [[1, 2], ["pause", "resume"]])
    }))

  it.effect("writes what was emitted before the end, and fails with what it is failed with", () =>
    Effect.gen(function*() {
      for (const how of ["end", "fail"] as const) {
        const { emitter, log, subscribe } = source([1, 2, 3, 4])
        const consumer = yield* Consumer.make<number>(small)
        const producer = yield* Producer.fromCallback(subscribe)
        yield* consumer.register(producer)
        if (how === "end") emitter().end()
        else emitter().fail("broken")
        emitter().emit(5)
        emitter().end()
        const seen = [...yield* consumer.takeAll, ...yield* consumer.takeAll]
        assert.deepStrictEqual(seen, [1, 2, 3, 4])
        assert.strictEqual(yield* outcome(producer.ended), how === "end" ? "success" : "broken")
        assert.strictEqual(log.at(-1), "stop")
        assert.strictEqual(log.filter((call) => call === "stop").length, 1)
      }
    }))

  it.effect("stops the source once, also one that ends before it can be told", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const handle = { pause: () => {}, resume: () => {}, stop: () => void log.push("stop") }
      const producer = yield* Producer.fromCallback<number>((emitter) => {
        emitter.end()
        return handle
      })
      const consumer = yield* Consumer.make<number>()
      yield* consumer.register(producer)
      yield* producer.ended
      yield* producer.stop
      assert.deepStrictEqual(log, ["stop"])
    }))

  it.effect("refuses a bound that is none", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Producer.fromCallback(source().subscribe, { overshootMax: -1 }))
      assert.deepStrictEqual(
        error.reason,
        new TransportError.InvalidOption({ field: "overshootMax", expected: "a non-negative integer", actual: -1 })
      )
    }))

  it.effect("that throws when it is stopped has ended all the same, and leaves the place free", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<number>()
      const producer = yield* Producer.fromCallback<number>(() => ({
        pause() {},
        resume() {},
        stop() {
          throw new Error("no")
        }
      }))
      yield* consumer.register(producer)
      const f = yield* Effect.forkScoped(Effect.exit(producer.ended))
      yield* settle
      yield* Effect.exit(producer.stop)
      yield* settle
      assert.isDefined(f.pollUnsafe())
      yield* consumer.register(yield* Producer.fromIterable([1]))
    }))

  it.effect("that throws when it is subscribed to has ended with that, and leaves the place free", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<number>()
      const producer = yield* Producer.fromCallback<number>(() => {
        throw new Error("no")
      })
      const ended = yield* Effect.forkChild(outcome(producer.ended), { startImmediately: true })
      yield* consumer.register(producer)
      assert.strictEqual(yield* Fiber.join(ended), "died: Error: no")
      yield* consumer.register(yield* Producer.fromIterable([1]))
    }))

  it.effect("that throws when it is paused fails, and the source does not see it", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<number>({ highWaterMark: 0 })
      let emit!: Producer.Emitter<number, never>
      let stops = 0
      const producer = yield* Producer.fromCallback<number>((e) => {
        emit = e
        return {
          pause() {
            throw new Error("no")
          },
          resume() {},
          stop() {
            stops++
          }
        }
      })
      yield* consumer.register(producer)
      const f = yield* Effect.forkScoped(outcome(producer.ended))
      yield* settle
      assert.deepStrictEqual([0, 1, 2].map((item) => emit.emit(item)), [false, false, false])
      yield* settle
      assert.strictEqual(yield* Fiber.join(f), "died: Error: no")
      assert.strictEqual(stops, 1)
    }))

  it.effect("that was stopped before it is registered leaves the place free", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<number>()
      const producer = yield* Producer.fromCallback<number>(() => ({ pause() {}, resume() {}, stop() {} }))
      yield* producer.stop
      yield* consumer.register(producer)
      yield* consumer.register(yield* Producer.fromIterable([1]))
    }))

  it.effect("has one write under way at a time, also when the source emits inside it", () =>
    Effect.gen(function*() {
      let emit!: Producer.Emitter<number, never>
      const log: Array<string> = []
      const consumer = yield* Consumer.fromWrite((item: number) =>
        Effect.gen(function*() {
          log.push(`begin ${item}`)
          if (item === 1) emit.emit(2)
          yield* Effect.yieldNow
          log.push(`end ${item}`)
        })
      )
      const producer = yield* Producer.fromCallback<number>((e) => {
        emit = e
        return { pause() {}, resume() {}, stop() {} }
      })
      yield* consumer.register(producer)
      emit.emit(1)
      yield* settle
      assert.deepStrictEqual(log, ["begin 1", "end 1", "begin 2", "end 2"])
    }))
})

describe("Producer.fromUnpausable", () => {
  const sensor = () => {
    let emitter: Producer.Emitter<number, never> | undefined
    let stops = 0
    return {
      emit: (item: number) => emitter!.emit(item),
      end: () => emitter!.end(),
      stops: () => stops,
      make: Producer.fromUnpausable<number>((one) => {
        emitter = one
        return () => void stops++
      })
    }
  }

  it.effect("writes on while the consumer is full, which sheds by its policy", () =>
    Effect.gen(function*() {
      const { emit, make, stops } = sensor()
      const consumer = yield* Consumer.make<number>({ ...small, policy: "dropOldest" })
      const producer = yield* make
      yield* consumer.register(producer)
      for (let i = 0; i < 100; i++) assert.isTrue(emit(i))
      assert.deepStrictEqual(yield* consumer.takeAll, [97, 98, 99])
      yield* consumer.abort
      yield* producer.ended
      assert.strictEqual(stops(), 1)
    }))

  it.effect("ends with Full where the policy is to fail", () =>
    Effect.gen(function*() {
      const { emit, make, stops } = sensor()
      const consumer = yield* Consumer.make<number>({ ...small, policy: "fail" })
      const producer = yield* make
      yield* consumer.register(producer)
      for (let i = 0; i < 4; i++) emit(i)
      const error = yield* Effect.flip(producer.ended)
      assert.instanceOf(error instanceof Producer.WriteFailed && error.cause, Consumer.Full)
      assert.strictEqual(stops(), 1)
    }))

  it.effect("becomes a producer that can be paused, by a buffer that loses what its policy says", () =>
    Effect.gen(function*() {
      const { emit, end, make, stops } = sensor()
      const consumer = yield* Consumer.make<number>(small)
      const producer = yield* Producer.buffered(yield* make, { policy: "dropNewest", highWaterMark: 1 })
      yield* consumer.register(producer)
      for (let i = 0; i < 100; i++) {
        emit(i)
        yield* settle
      }
      end()
      const seen = yield* Effect.forkChild(Stream.runCollect(Stream.take(consumer.stream, 5)))
      yield* producer.ended
      // Two and one there, one and one here.
      assert.deepStrictEqual(yield* Fiber.join(seen), [0, 1, 2, 3, 4])
      assert.strictEqual(stops(), 1)
    }))

  it.effect("refuses wrong options before anything is made", () =>
    Effect.gen(function*() {
      const { make } = sensor()
      const source = yield* make
      const error = yield* Effect.flip(Producer.buffered(source, { policy: "dropNewest", highWaterMark: -1 }))
      assert.strictEqual(error.reason._tag, "InvalidOption")
    }))

  it.effect("keeps the latest by key, also while the consumer holds it back", () =>
    Effect.gen(function*() {
      let emit!: Producer.Emitter<number, never>
      const source = yield* Producer.fromUnpausable<number>((e) => {
        emit = e
        return () => {}
      })
      const producer = yield* Producer.buffered(source, { policy: "latest", key: () => "k", highWaterMark: 2 })
      const consumer = yield* Consumer.make<number>({ highWaterMark: 0 })
      yield* consumer.register(producer)
      for (let i = 0; i < 4; i++) emit.emit(i)
      yield* settle
      for (let i = 4; i < 100; i++) emit.emit(i)
      yield* settle
      const seen: Array<number> = []
      for (let i = 0; i < 20; i++) {
        if ((yield* consumer.level).length > 0) seen.push(yield* consumer.take)
        yield* settle
      }
      assert.isAtMost(seen.length, 5, seen.join())
    }))
})

describe("Producer.fromConnection", () => {
  it.effect("relays what a transport receives, and holds the peer back while it is paused", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair({ highWaterMark: 4, readMark: 4 })
      const { consumer, items, pause, resume } = makeByHand<Uint8Array>()
      const producer = yield* Producer.fromConnection(b)
      yield* consumer.register(producer)
      yield* pause
      const writing = yield* Effect.forkChild(Effect.forEach("abcdefgh", (item) => a.write(bytes(item.repeat(4)))))
      yield* settle
      assert.isUndefined(writing.pollUnsafe())
      assert.isAtMost(items.length, 1)
      yield* resume
      yield* Fiber.join(writing)
      yield* a.halfClose
      yield* producer.ended
      assert.strictEqual(items.map(text).join(""), Array.from("abcdefgh", (item) => item.repeat(4)).join(""))
    }))

  it.effect("puts back what it had pulled and not written when it is stopped, and frees the reader", () =>
    Effect.gen(function*() {
      for (const steps of [0, 1, 2]) {
        const [a, b] = yield* TestTransport.pair()
        const consumer = yield* Consumer.make<Uint8Array>({ highWaterMark: 0 })
        const producer = yield* Producer.fromConnection(b)
        yield* consumer.register(producer)
        for (const item of ["one", "two", "three"]) yield* Effect.andThen(a.write(bytes(item)), a.flush)
        yield* settle
        let seen = ""
        for (let i = 0; i < steps; i++) {
          seen += text(yield* consumer.take)
          yield* settle
        }
        yield* producer.stop
        yield* producer.ended
        if ((yield* consumer.level).length > 0) seen += text(yield* consumer.take)
        yield* a.halfClose
        seen += text(yield* Transport.readUntilEnd(b))
        assert.strictEqual(seen, "onetwothree")
      }
    }))

  it.effect("fails with Busy where another reads, and with what ends the connection", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const consumer = yield* Consumer.make<Uint8Array>()
      yield* Effect.scoped(Effect.gen(function*() {
        yield* b.reader
        const busy = yield* Producer.fromConnection(b)
        assert.strictEqual(yield* outcome(Producer.runInto(busy, consumer)), "Busy")
      }))
      const reset = yield* Producer.fromConnection(b)
      yield* a.abort
      assert.strictEqual(yield* outcome(Producer.runInto(reset, consumer)), "Reset")
    }))

  it.effect("with a transport as the consumer is a relay, from end to end", () =>
    Effect.gen(function*() {
      const [client, a] = yield* TestTransport.pair({ highWaterMark: 16, readMark: 16 })
      const [b, server] = yield* TestTransport.pair({ highWaterMark: 16, readMark: 16 })
      const consumer = yield* Consumer.fromConnection(b)
      const relaying = yield* Effect.forkChild(
        Effect.andThen(Producer.runInto(yield* Producer.fromConnection(a), consumer), consumer.halfClose)
      )
      const sending = yield* Effect.forkChild(
        Effect.andThen(
          Effect.forEach(Array.from({ length: 100 }), () => client.write(bytes("0123456789"))),
          client.halfClose
        )
      )
      assert.strictEqual((yield* Transport.readUntilEnd(server)).length, 1000)
      yield* Effect.all([Fiber.join(relaying), Fiber.join(sending)])
    }))

  it.live("loses and doubles nothing, at whichever step it is stopped", () =>
    Effect.gen(function*() {
      for (let steps = 0; steps < 80; steps++) {
        yield* Effect.scoped(Effect.gen(function*() {
          const [a, b] = yield* TestTransport.pair()
          yield* a.write(new Uint8Array([1]))
          yield* a.flush
          yield* a.write(new Uint8Array([2]))
          yield* a.flush
          yield* a.halfClose
          const consumer = yield* Consumer.make<Uint8Array>()
          const producer = yield* Producer.fromConnection(b)
          const stepper = new Stepper()
          const fiber = Effect.runFork(Effect.scoped(Effect.andThen(consumer.register(producer), producer.ended)), {
            scheduler: stepper
          })
          stepper.run(steps)
          fiber.interruptUnsafe()
          while (stepper.run(1)) { /* to its end */ }
          yield* settle
          while (stepper.run(1)) { /* to its end */ }
          yield* consumer.halfClose
          const got = (yield* Stream.runCollect(consumer.stream)).map((x) => Array.from(x).join("")).join("")
          const rest = Array.from(yield* Transport.readUntilEnd(b)).join("")
          assert.deepStrictEqual([steps, got + rest], [steps, "12"])
        }))
      }
    }))
})

describe("Producer: joining with Effect", () => {
  it.effect("fromQueue ends with the queue, and fails with it", () =>
    Effect.gen(function*() {
      const queue = yield* Queue.bounded<number, "broken">(4)
      const consumer = yield* Consumer.make<number>()
      const producer = yield* Producer.fromQueue(queue)
      yield* Queue.offerAll(queue, [1, 2])
      const running = yield* Effect.forkChild(Effect.flip(Producer.runInto(producer, consumer)))
      yield* settle
      yield* Queue.fail(queue, "broken")
      assert.strictEqual(yield* Fiber.join(running), "broken")
      assert.deepStrictEqual(yield* consumer.takeAll, [1, 2])
    }))

  it.effect("fromPubSub subscribes when it is registered, and only until it is stopped", () =>
    Effect.gen(function*() {
      const pubsub = yield* PubSub.bounded<number>(4)
      const consumer = yield* Consumer.make<number>()
      const producer = yield* Producer.fromPubSub(pubsub)
      yield* PubSub.publish(pubsub, 0)
      yield* consumer.register(producer)
      yield* settle
      yield* PubSub.publishAll(pubsub, [1, 2])
      yield* settle
      assert.deepStrictEqual(yield* consumer.takeAll, [1, 2])
      yield* producer.stop
      yield* producer.ended
      yield* PubSub.publish(pubsub, 3)
      assert.strictEqual((yield* consumer.level).length, 0)
    }))

  it.effect("toStream is what it writes, bounded, and fails as it fails", () =>
    Effect.gen(function*() {
      let made = 0
      const source = Stream.map(Stream.rechunk(Stream.range(0, 49), 1), (item) => {
        made++
        return item
      })
      const items = Producer.toStream(yield* Producer.fromStream(source), small)
      const seen = yield* Stream.runCollect(
        Stream.tap(items, (item) => Effect.andThen(settle, Effect.sync(() => assert.isAtMost(made - item, 8))))
      )
      assert.strictEqual(seen.length, 50)
      const failing = Producer.toStream(
        yield* Producer.fromStream(Stream.concat(Stream.make(1), Stream.fail("broken" as const)))
      )
      const kept: Array<number> = []
      const error = yield* Effect.flip(Stream.runForEach(failing, (item) => Effect.sync(() => kept.push(item))))
      assert.deepStrictEqual([error, kept], ["broken", [1]])
    }))

  it.effect("toStream of a producer of somebody else's ends when that unregisters, and stops it when it ends early", () =>
    Effect.gen(function*() {
      const make = (log: Array<string>): Producer.Producer<number> => ({
        pause: Effect.void,
        resume: Effect.void,
        stop: Effect.sync(() => void log.push("stop")),
        halfRegister: (consumer) =>
          Effect.andThen(Effect.exit(Effect.forEach([1, 2], consumer.write)), Effect.asVoid(consumer.unregister))
      })
      const log: Array<string> = []
      assert.deepStrictEqual(yield* Stream.runCollect(Producer.toStream(make(log))), [1, 2])
      assert.deepStrictEqual(log, [])
      const endless = yield* Producer.fromStream(Stream.forever(Stream.make(1)))
      assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(Producer.toStream(endless), 3)), [1, 1, 1])
      yield* endless.ended
    }))

  it.effect("serves producers that are instances of a class", () =>
    Effect.gen(function*() {
      class P implements Producer.Finite<number, never> {
        one = Effect.runSync(Producer.fromIterable([1, 2]))
        get pause() {
          return this.one.pause
        }
        get resume() {
          return this.one.resume
        }
        get stop() {
          return this.one.stop
        }
        get ended() {
          return this.one.ended
        }
        halfRegister(consumer: Consumer.Consumer<number, unknown>) {
          return this.one.halfRegister(consumer)
        }
      }
      const consumer = yield* Consumer.make<number>()
      yield* Producer.runInto(new P(), consumer)
      assert.deepStrictEqual(yield* consumer.takeAll, [1, 2])
      assert.deepStrictEqual(yield* Stream.runCollect(Producer.toStream(new P(), { highWaterMark: 0 })), [1, 2])
    }))
})

describe("Producer.merge", () => {
  it.effect("gives the items of all, each in order, and pauses all", () =>
    Effect.gen(function*() {
      const { consumer, items, log, pause, resume } = makeByHand<string>()
      const parts = yield* Effect.forEach(["a", "b", "c"], (name) =>
        Producer.fromStream(Stream.rechunk(Stream.map(Stream.range(1, 20), (i) => `${name}${i}`), 1)))
      const producer = yield* Producer.merge(parts)
      yield* consumer.register(producer)
      yield* pause
      const before = items.length
      yield* settle
      assert.strictEqual(items.length, before)
      yield* resume
      yield* producer.ended
      for (const name of ["a", "b", "c"]) {
        const own = items.filter((item) =>
          item.startsWith(name)
        )
        assert.deepStrictEqual(own, Array.from({ length: 20 }, (_, i) => `${name}${i + 1}`))
      }
      assert.deepStrictEqual(log, ["unregister"])
    }))

  it.effect("fails with the first that fails, and stops the others", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<number>()
      const failing = yield* Producer.fromStream(Stream.concat(Stream.make(1), Stream.fail("broken" as const)))
      const endless = yield* Producer.fromStream(Stream.never)
      const producer = yield* Producer.merge<number, "broken">([failing, endless])
      yield* consumer.register(producer)
      assert.strictEqual(yield* Effect.flip(producer.ended), "broken")
      yield* endless.ended
    }))

  it.effect("has ended at once where there are none, or when it is stopped before", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<number>()
      yield* Producer.runInto(yield* Producer.merge<number, never>([]), consumer)
      const stopped = yield* Producer.merge([yield* Producer.fromStream(Stream.never)])
      yield* stopped.stop
      yield* stopped.ended
    }))

  it.effect("stops those that have begun when the halfRegister of another dies", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<number>({ highWaterMark: 0 })
      const first = yield* Producer.fromIterable([1, 2, 3, 4])
      const second: Producer.Finite<number, never> = {
        ...(yield* Producer.fromIterable([9])),
        halfRegister: () => Effect.die("no")
      }
      const merged = yield* Producer.merge([first, second])
      assert.isTrue(Exit.isFailure(yield* Effect.exit(consumer.register(merged))))
      yield* settle
      const f = yield* Effect.forkScoped(first.ended)
      yield* settle
      assert.isDefined(f.pollUnsafe())
      assert.strictEqual((yield* consumer.level).length, 0)
    }))
})

describe("Producer.Service", () => {
  it.effect("is provided by its layer", () =>
    Effect.gen(function*() {
      class Input extends Producer.Service<Input, Uint8Array, TransportError.TransportError>()("test/Input") {}
      const [a, b] = yield* TestTransport.pair()
      yield* Effect.andThen(a.write(bytes("hello")), a.halfClose)
      const program = Effect.flatMap(Input, (input) => Stream.mkString(Stream.decodeText(Producer.toStream(input))))
      const heard = yield* Effect.provide(program, Input.layer(Producer.fromConnection(b)))
      assert.strictEqual(heard, "hello")
      assert.strictEqual(yield* outcome(Connection.take(b)), yield* outcome(Cause.done()))
    }))
})
