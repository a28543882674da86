import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, PubSub, Queue, Scope, Sink, Stream } from "effect"
import { Connection, Consumer, Producer, TestTransport, Transport, TransportError } from "effect-transport"
import { TestClock } from "effect/testing"
import { Stepper } from "./support/stepper.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** How an effect ends, in a word. */
const outcome = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<string, never, R> =>
  Effect.map(Effect.exit(effect), (exit) => {
    if (Exit.isSuccess(exit)) return "success"
    if (Cause.hasInterruptsOnly(exit.cause)) return "interrupted"
    const error = Cause.squash(exit.cause)
    if (!(error instanceof TransportError.TransportError)) return (error as { readonly _tag: string })._tag
    const { reason } = error
    return "by" in reason ? `${reason._tag} by ${reason.by}` : reason._tag
  })

const refusalOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.instanceOf(error, TransportError.TransportError)
    assert.instanceOf(error.reason, TransportError.InvalidOption)
    const { actual, expected, field } = error.reason
    assert.isAbove(expected.length, 0)
    return [field, actual]
  })

/** Lets everything happen that can happen by itself. */
const settle = Effect.replicateEffect(Effect.yieldNow, 30, { discard: true })

const recorder = () => {
  const calls: Array<string> = []
  const record = (call: string) => Effect.sync(() => calls.push(call)).pipe(Effect.asVoid)
  const producer: Producer.Producer<any> = {
    halfRegister: () => record("halfRegister"),
    pause: record("pause"),
    resume: record("resume"),
    stop: record("stop")
  }
  return { calls, producer }
}

const small = { highWaterMark: 2, lowWaterMark: 1 }

describe("the module Consumer", () => {
  it("has these names", () => {
    assert.deepStrictEqual(Object.keys(Consumer).toSorted(), [
      "Full",
      "Service",
      "broadcast",
      "buffer",
      "fromConnection",
      "fromPubSub",
      "fromQueue",
      "fromSink",
      "fromWrite",
      "levelChanges",
      "levels",
      "make",
      "mapInput",
      "rateLimit",
      "sink"
    ])
  })
})

describe("Consumer.make", () => {
  it.effect("refuses options that are wrong, and names field and value", () =>
    Effect.gen(function*() {
      const wrong: ReadonlyArray<readonly [options: unknown, field: string, actual: unknown]> = [
        [{ highWaterMark: -1 }, "highWaterMark", -1],
        [{ highWaterMark: 1.5 }, "highWaterMark", 1.5],
        [{ highWaterMark: "4" }, "highWaterMark", "4"],
        [{ lowWaterMark: 4 }, "highWaterMark", undefined],
        [{ highWaterMark: 4, lowWaterMark: 5 }, "lowWaterMark", 5],
        [{ highWaterMark: 4, lowWaterMark: NaN }, "lowWaterMark", NaN],
        [{ highWaterMark: 0, lowWaterMark: 1 }, "lowWaterMark", 1],
        [{ measure: 1 }, "measure", 1],
        [{ policy: "wait" }, "policy", "wait"],
        [{ policy: "latest" }, "key", undefined],
        [{ policy: "latest", key: "id" }, "key", "id"],
        [{ policy: "fail", key: String }, "key", String],
        [{ closeTimeout: -1 }, "closeTimeout", -1],
        [{ closeTimeout: "soon" }, "closeTimeout", "soon"],
        [{ name: 1 }, "name", 1],
        [null, "options", null],
        ["x", "options", "x"]
      ]
      for (const [options, field, actual] of wrong) {
        assert.deepStrictEqual(yield* refusalOf(Consumer.make(options as never)), [field, actual])
      }
    }))

  it.effect("has 64 KiB for bytes, 16 for other items, and 64 KiB of what a measure counts", () =>
    Effect.gen(function*() {
      const marks = <A>(consumer: Consumer.Buffered<A, "suspend">, item: A) =>
        Effect.andThen(
          consumer.write(item),
          Effect.map(consumer.level, ({ highWaterMark, lowWaterMark, size }) => [highWaterMark, lowWaterMark, size])
        )
      assert.deepStrictEqual(yield* marks(yield* Consumer.make<Uint8Array>(), bytes("abc")), [65_536, 16_384, 3])
      assert.deepStrictEqual(yield* marks(yield* Consumer.make<string>(), "abc"), [16, 4, 1])
      const measured = yield* Consumer.make<string>({ measure: (item) => item.length })
      assert.deepStrictEqual(yield* marks(measured, "abc"), [65_536, 16_384, 3])
      const given = yield* Consumer.make<string>({ highWaterMark: 9 })
      assert.deepStrictEqual(yield* marks(given, "abc"), [9, 2, 1])
    }))

  it.effect("fails a write whose measure is no size, and takes nothing of it", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<number>({ measure: (item) => item })
      assert.deepStrictEqual(yield* refusalOf(consumer.write(-1)), ["measure", -1])
      assert.deepStrictEqual(yield* refusalOf(consumer.writeAll([1, 0.5])), ["measure", 0.5])
      assert.deepStrictEqual(yield* refusalOf(consumer.writeAll("no" as never)), ["items", "no"])
      assert.strictEqual((yield* consumer.level).size, 0)
      const error = yield* Effect.flip(consumer.write(-1))
      assert.strictEqual(error.delivery, "NotSent")
    }))

  it.effect("does nothing when a write is built, and all of it when it is run, each time", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<string>()
      const write = consumer.write("a")
      assert.strictEqual((yield* consumer.level).length, 0)
      yield* write
      yield* write
      assert.deepStrictEqual(yield* consumer.takeAll, ["a", "a"])
    }))

  it.effect("wakes n fibers that wait, in order, and holds no more than the high mark and one", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<number>(small)
      const done: Array<number> = []
      for (let i = 0; i < 20; i++) {
        yield* Effect.forkChild(Effect.andThen(consumer.write(i), Effect.sync(() => done.push(i))))
      }
      yield* settle
      assert.deepStrictEqual(done, [0, 1, 2])
      const { size, waiting } = yield* consumer.level
      assert.deepStrictEqual([size, waiting], [3, 17])
      const seen: Array<number> = []
      while (seen.length < 20) {
        seen.push(yield* consumer.take)
        assert.isAtMost((yield* consumer.level).size, 3)
        yield* Effect.yieldNow
      }
      assert.deepStrictEqual([seen, done], [done, Array.from({ length: 20 }, (_, i) => i)])
    }))

  it.effect("an interrupted write that waits leaves nothing behind, and says so", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<string>(small)
      yield* consumer.writeAll(["a", "b", "c"])
      const waiting = yield* Effect.forkChild(consumer.write("d"), { startImmediately: true })
      const next = yield* Effect.forkChild(consumer.write("e"), { startImmediately: true })
      yield* Fiber.interrupt(waiting)
      const exit = yield* Fiber.await(waiting)
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(
        Exit.isFailure(exit) ? Transport.delivery(exit.cause) : undefined,
        yield* Effect.succeed(TransportError.delivery(Cause.fail(
          TransportError.make("write", "x", new TransportError.Reset(), { delivery: "NotSent" })
        )))
      )
      assert.deepStrictEqual(yield* consumer.takeAll, ["a", "b", "c"])
      yield* Fiber.join(next)
      assert.deepStrictEqual(yield* consumer.takeAll, ["e"])
    }))

  it.effect("says Closed to a writer that waits, by what ended it", () =>
    Effect.gen(function*() {
      const ends: ReadonlyArray<
        readonly [(consumer: Consumer.Buffered<string, "suspend">) => Effect.Effect<unknown, unknown>, string]
      > = [
        [(consumer) => consumer.abort, "Closed by abort"],
        [(consumer) => consumer.halfClose, "Closed by halfClose"],
        [(consumer) => Effect.forkChild(consumer.close, { startImmediately: true }), "Closed by close"]
      ]
      for (const [end, expected] of ends) {
        const consumer = yield* Consumer.make<string>(small)
        yield* consumer.writeAll(["a", "b", "c"])
        const waiting = yield* Effect.forkChild(outcome(consumer.write("d")), { startImmediately: true })
        yield* end(consumer)
        assert.strictEqual(yield* Fiber.join(waiting), expected)
        assert.strictEqual(yield* outcome(consumer.write("e")), expected)
      }
    }))

  it.effect("is aborted by its scope: writers, readers and its producer hear of it", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const full = yield* Scope.provide(Consumer.make<string>(small), scope)
      const empty = yield* Scope.provide(Consumer.make<string>(small), scope)
      yield* full.writeAll(["a", "b", "c"])
      const { calls, producer } = recorder()
      yield* full.register(producer)
      const writing = yield* Effect.forkChild(outcome(full.write("d")), { startImmediately: true })
      const reading = yield* Effect.forkChild(outcome(empty.take), { startImmediately: true })
      const closed = yield* Effect.forkChild(outcome(full.closed), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      const all = yield* Effect.forEach([writing, reading, closed], (fiber) => Fiber.join(fiber))
      assert.deepStrictEqual(all, ["Closed by scope", "Closed by scope", "Closed by scope"])
      assert.deepStrictEqual(calls, ["halfRegister", "pause", "stop"])
    }))
})

describe("Consumer: the policy at the bound", () => {
  it.effect("fail: the write fails with Full, which names the consumer and its mark", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<number>({ ...small, policy: "fail", name: "inbox" })
      yield* consumer.writeAll([1, 2, 3])
      const error = yield* Effect.flip(consumer.write(4))
      assert.instanceOf(error, Consumer.Full)
      assert.strictEqual(error.message, "inbox is full: it holds its high-water mark of 2")
      assert.strictEqual(yield* outcome(consumer.writeAll([4, 5])), "Full")
      assert.deepStrictEqual(yield* consumer.takeAll, [1, 2, 3])
    }))

  it.effect("those that drop never wait, hold their bound, and count what they dropped", () =>
    Effect.gen(function*() {
      const kept = { dropNewest: [0, 1, 2], dropOldest: [97, 98, 99], latest: [97, 98, 99] }
      const make = Effect.all([
        Consumer.make<number>({ ...small, policy: "dropNewest" }),
        Consumer.make<number>({ ...small, policy: "dropOldest" }),
        Consumer.make<number>({ ...small, policy: "latest", key: (item) => item % 10 })
      ])
      for (const consumer of yield* make) {
        for (let i = 0; i < 100; i++) yield* consumer.write(i)
        assert.strictEqual((yield* consumer.level).dropped, 97)
        assert.deepStrictEqual(yield* consumer.takeAll, kept[consumer.policy] as never)
      }
    }))

  it.effect("pauses its producer under every policy, so that one that heeds it loses nothing", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<number>({ ...small, policy: "dropOldest" })
      const { calls, producer } = recorder()
      yield* consumer.register(producer)
      yield* consumer.writeAll([1, 2, 3])
      assert.deepStrictEqual(calls, ["halfRegister", "pause"])
      assert.strictEqual((yield* consumer.level).dropped, 0)
    }))
})

describe("Consumer: reading", () => {
  it.effect("take and takeAll wait, and end with Done once it is closed and empty", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<string>()
      const taking = yield* Effect.forkChild(consumer.take, { startImmediately: true })
      yield* consumer.writeAll(["a", "b"])
      assert.strictEqual(yield* Fiber.join(taking), "a")
      yield* consumer.halfClose
      assert.deepStrictEqual(yield* consumer.takeAll, ["b"])
      assert.strictEqual(yield* outcome(consumer.take), "Done")
      assert.strictEqual(yield* outcome(consumer.takeAll), "Done")
      yield* consumer.closed
    }))

  it.effect("a second reader is Busy, and the first is unharmed", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<string>()
      const first = yield* Effect.forkChild(consumer.take, { startImmediately: true })
      assert.strictEqual(yield* outcome(consumer.take), "Busy")
      assert.strictEqual(yield* outcome(Stream.runDrain(consumer.stream)), "Busy")
      yield* consumer.write("a")
      assert.strictEqual(yield* Fiber.join(first), "a")
    }))

  it.effect("fails with what ended it, with its cause", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<string>()
      yield* consumer.write("lost")
      yield* consumer.abortWith(Cause.fail("why"))
      const error = yield* Effect.flip(consumer.take)
      assert.instanceOf(error, TransportError.TransportError)
      assert.deepStrictEqual(error.cause, Cause.fail("why"))
      assert.strictEqual(yield* outcome(consumer.closed), "Closed by abort")
    }))

  it.live("loses nothing, at whichever step a reader is interrupted", () =>
    Effect.gen(function*() {
      for (const how of ["take", "takeAll", "stream"] as const) {
        let interrupted = 0
        for (let steps = 0; steps < 60; steps++) {
          const consumer = yield* Consumer.make<string>()
          yield* consumer.writeAll(["1", "2", "3"])
          yield* consumer.halfClose
          let given = ""
          const give = (...items: ReadonlyArray<string>) => {
            given += items.join("")
            return Effect.void
          }
          const reading: Effect.Effect<unknown, unknown> = {
            take: Effect.flatMap(consumer.take, give),
            takeAll: Effect.flatMap(consumer.takeAll, (items) => give(...items)),
            stream: Stream.runForEachArray(consumer.stream, (items) => give(...items))
          }[how]
          const stepper = new Stepper()
          const fiber = Effect.runFork(reading, { scheduler: stepper })
          stepper.run(steps)
          fiber.interruptUnsafe()
          while (stepper.run(1)) { /* to its end */ }
          if (given === "") interrupted++
          const rest = yield* Stream.runCollect(consumer.stream)
          assert.strictEqual(given + rest.join(""), "123", `${how}, interrupted after ${steps} steps`)
        }
        assert.isAbove(interrupted, 0)
      }
    }))

  it.live("an item is in it or not, at whichever step a writer that waits is interrupted", () =>
    Effect.gen(function*() {
      const seen = new Set<string>()
      for (let steps = 0; steps < 60; steps++) {
        const consumer = yield* Consumer.make<string>({ highWaterMark: 0 })
        yield* consumer.write("a")
        const stepper = new Stepper()
        const fiber = Effect.runFork(consumer.write("b"), { scheduler: stepper })
        stepper.run(steps)
        if (steps % 2 === 0) assert.strictEqual(yield* consumer.take, "a")
        fiber.interruptUnsafe()
        while (stepper.run(1)) { /* to its end */ }
        const exit = fiber.pollUnsafe()!
        const { length, waiting } = yield* consumer.level
        assert.strictEqual(waiting, 0)
        const isIn = length - (steps % 2) === 1
        if (Exit.isSuccess(exit)) assert.isTrue(isIn)
        else if (!isIn) seen.add("withdrawn")
        seen.add(isIn ? "taken" : "not taken")
      }
      assert.deepStrictEqual(Array.from(seen).toSorted(), ["not taken", "taken", "withdrawn"])
    }))

  it.effect("streams its content both ways: into a sink, a queue and a stream", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<number>()
      const queue = yield* Queue.bounded<number, TransportError.TransportError | Cause.Done>(4)
      yield* Effect.forkChild(Stream.runIntoQueue(consumer.stream, queue))
      yield* Effect.forkChild(
        Effect.andThen(Stream.run(Stream.range(1, 100), Consumer.sink(consumer)), consumer.close)
      )
      assert.strictEqual(yield* Stream.run(Stream.fromQueue(queue), Sink.sum), 5050)
    }))
})

describe("Consumer: ending", () => {
  it.effect("close waits until all has been read; a second caller waits as well", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<string>()
      yield* consumer.write("a")
      const closing = yield* Effect.forkChild(Effect.all([consumer.close, consumer.close], { concurrency: 2 }))
      yield* settle
      assert.isUndefined(closing.pollUnsafe())
      assert.strictEqual(yield* consumer.take, "a")
      yield* Fiber.join(closing)
      yield* consumer.close
      yield* consumer.closed
    }))

  it.effect("close gives up after its timeout, and aborts", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<string>({ closeTimeout: "2 seconds" })
      yield* consumer.write("unread")
      const closing = yield* Effect.forkChild(outcome(consumer.close), { startImmediately: true })
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(closing), "TimedOut")
      assert.strictEqual(yield* outcome(consumer.take), "TimedOut")
      assert.strictEqual(yield* outcome(consumer.closed), "TimedOut")
    }))

  it.effect("an interrupted close aborts, and an interrupted half-close still ends the writing", () =>
    Effect.gen(function*() {
      const one = yield* Consumer.make<string>()
      yield* one.write("a")
      yield* Fiber.interrupt(yield* Effect.forkChild(one.close, { startImmediately: true }))
      assert.strictEqual(yield* outcome(one.take), "Closed by abort")

      const other = yield* Consumer.make<string>()
      yield* other.register(recorder().producer)
      yield* Fiber.interrupt(yield* Effect.forkChild(other.halfClose, { startImmediately: true }))
      yield* other.write("a")
      yield* other.unregister
      assert.strictEqual(yield* outcome(other.write("b")), "Closed by halfClose")
      assert.deepStrictEqual(yield* Stream.runCollect(other.stream), ["a"])
    }))
})

describe("Consumer: its producer", () => {
  it.effect("what a pause that fails fails with is logged, and the next signals come", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<string>(small)
      const { calls, producer } = recorder()
      yield* consumer.register({ ...producer, pause: Effect.die("broken") })
      yield* consumer.writeAll(["a", "b", "c"])
      yield* consumer.takeAll
      assert.deepStrictEqual(calls, ["halfRegister", "resume"])
    }))

  it.effect("a halfRegister that dies frees the place", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<string>(small)
      const { calls, producer } = recorder()
      yield* Effect.exit(consumer.register({ ...producer, halfRegister: () => Effect.die("broken") }))
      yield* consumer.register(producer)
      assert.deepStrictEqual(calls, ["halfRegister"])
    }))

  it.effect("a call that still runs at the end of its scope is interrupted", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<string>(small)
      const { calls, producer } = recorder()
      const pause = Effect.onInterrupt(Effect.never, () => Effect.sync(() => void calls.push("interrupted")))
      yield* Effect.scoped(
        Effect.andThen(consumer.register({ ...producer, pause }), consumer.writeAll(["a", "b", "c"]))
      )
      assert.deepStrictEqual(calls, ["halfRegister", "interrupted"])
    }))

  it.effect("no pause comes while halfRegister still runs, and it comes then", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<string>(small)
      const { calls, producer } = recorder()
      yield* consumer.register({
        ...producer,
        halfRegister: () =>
          Effect.gen(function*() {
            yield* Effect.orDie(consumer.writeAll(["a", "b", "c"]))
            yield* settle
            calls.push("halfRegister")
          })
      })
      assert.deepStrictEqual(calls, ["halfRegister", "pause"])
    }))

  it.effect("the state is what it was told, ends when it stops, and skips nothing that lasts", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<string>(small)
      const states = yield* Effect.forkChild(Stream.runCollect(consumer.state), { startImmediately: true })
      yield* settle
      yield* consumer.writeAll(["a", "b", "c"])
      yield* settle
      yield* consumer.takeAll
      yield* settle
      yield* consumer.abort
      assert.deepStrictEqual(yield* Fiber.join(states), ["flowing", "paused", "flowing", "stopped"])
      assert.deepStrictEqual(yield* Stream.runCollect(consumer.state), ["stopped"])
    }))

  it.effect("is stopped by an abort in the middle of its registration, once that is done", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.make<number>()
      const { calls, producer } = recorder()
      const go = yield* Deferred.make<void>()
      const f = yield* Effect.forkScoped(consumer.register({ ...producer, halfRegister: () => Deferred.await(go) }))
      yield* settle
      yield* consumer.abort
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.join(f)
      yield* settle
      assert.deepStrictEqual(calls, ["stop"])
    }))

  it.live("an interrupted registration leaves the place free, at whichever step", () =>
    Effect.gen(function*() {
      for (let steps = 0; steps < 40; steps++) {
        const consumer = yield* Consumer.make<number>()
        const { producer } = recorder()
        const stepper = new Stepper()
        const fiber = Effect.runFork(Effect.scoped(Effect.andThen(consumer.register(producer), Effect.never)), {
          scheduler: stepper
        })
        stepper.run(steps)
        fiber.interruptUnsafe()
        while (stepper.run(1)) { /* to its end */ }
        yield* Effect.scoped(consumer.register(producer))
      }
    }))
})

describe("Consumer.Service", () => {
  it.effect("is provided by its layer, and lives as long as it", () =>
    Effect.gen(function*() {
      class Log extends Consumer.Service<Log, string>()("test/Log") {}
      let made: Consumer.Buffered<string, "suspend"> | undefined
      const layer = Log.layer(Effect.tap(Consumer.make<string>(), (consumer) => Effect.sync(() => made = consumer)))
      yield* Effect.provide(Effect.flatMap(Log, (log) => log.write("a")), layer)
      assert.strictEqual(yield* outcome(made!.write("b")), "Closed by scope")
    }))
})

describe("Consumer.fromConnection", () => {
  it.effect("writes to a transport, pauses while a write waits, and resumes when none does", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair({ highWaterMark: 4, readMark: 4 })
      const consumer = yield* Consumer.fromConnection(a)
      const { calls, producer } = recorder()
      yield* consumer.register(producer)
      const writing = yield* Effect.forkChild(
        Effect.forEach(["abcde", "fghij", "klmno", "pqrst"], (item) => consumer.write(bytes(item)))
      )
      yield* settle
      assert.deepStrictEqual(calls, ["halfRegister", "pause"])
      assert.strictEqual(text(yield* Transport.readExactly(b, 20)), "abcdefghijklmnopqrst")
      yield* Fiber.join(writing)
      yield* settle
      assert.deepStrictEqual(calls, ["halfRegister", "pause", "resume"])
      yield* consumer.writeAll([bytes("u"), bytes("v")])
      const closing = yield* Effect.forkChild(consumer.close, { startImmediately: true })
      yield* consumer.unregister
      yield* Fiber.join(closing)
      assert.strictEqual(text(yield* Transport.readUntilEnd(b)), "uv")
      assert.deepStrictEqual(calls, ["halfRegister", "pause", "resume", "stop"])
    }))

  it.effect("half-closes where the connection can, and reading goes on", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const consumer = yield* Consumer.fromConnection(a)
      yield* consumer.write(bytes("x"))
      yield* consumer.halfClose
      assert.strictEqual(yield* outcome(consumer.write(bytes("y"))), "Closed by halfClose")
      assert.strictEqual(text(yield* Transport.readUntilEnd(b)), "x")
      yield* b.write(bytes("answer"))
      assert.strictEqual(text(yield* Connection.take(a)), "answer")
    }))

  it.effect("stops its producer when the connection is reset, and does not resume it first", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair({ highWaterMark: 4, readMark: 4 })
      const consumer = yield* Consumer.fromConnection(a)
      const { calls, producer } = recorder()
      yield* consumer.register(producer)
      const writing = yield* Effect.forkChild(outcome(Effect.forever(consumer.write(bytes("abcdef")))))
      yield* settle
      yield* b.abort
      yield* settle
      assert.strictEqual(yield* Fiber.join(writing), "Reset")
      assert.deepStrictEqual(calls, ["halfRegister", "pause", "stop"])
      assert.deepStrictEqual(yield* Stream.runCollect(consumer.state), ["stopped"])
    }))

  it.effect("refuses a close timeout that is none", () =>
    Effect.gen(function*() {
      const [a] = yield* TestTransport.pair()
      const making = Consumer.fromConnection(a, { closeTimeout: Infinity })
      assert.deepStrictEqual(yield* refusalOf(making), ["closeTimeout", Infinity])
    }))
})

describe("Consumer: joining with Effect", () => {
  it.effect("fromQueue pauses while an offer waits, and stops with the queue", () =>
    Effect.gen(function*() {
      const queue = yield* Queue.bounded<number>(1)
      const consumer = yield* Consumer.fromQueue(queue)
      const { calls, producer } = recorder()
      yield* consumer.register(producer)
      yield* Effect.forkChild(Effect.forEach([1, 2, 3], consumer.write))
      yield* settle
      assert.deepStrictEqual(calls, ["halfRegister", "pause"])
      assert.deepStrictEqual([yield* Queue.take(queue), yield* Queue.take(queue), yield* Queue.take(queue)], [1, 2, 3])
      yield* settle
      yield* Queue.shutdown(queue)
      assert.strictEqual(yield* outcome(consumer.write(4)), "Closed by close")
      assert.deepStrictEqual(calls, ["halfRegister", "pause", "resume", "stop"])
    }))

  it.effect("fromPubSub publishes to all subscribers, and stops with the PubSub", () =>
    Effect.gen(function*() {
      const pubsub = yield* PubSub.bounded<number>(2)
      const one = yield* PubSub.subscribe(pubsub)
      const other = yield* PubSub.subscribe(pubsub)
      const consumer = yield* Consumer.fromPubSub(pubsub)
      yield* consumer.write(1)
      assert.deepStrictEqual([yield* PubSub.take(one), yield* PubSub.take(other)], [1, 1])
      yield* PubSub.shutdown(pubsub)
      assert.strictEqual(yield* outcome(consumer.write(2)), "Closed by close")
    }))

  it.effect("fromSink gives the sink what is written, and its result after the close", () =>
    Effect.gen(function*() {
      const consumer = yield* Consumer.fromSink(Sink.sum, { highWaterMark: 2 })
      for (let i = 1; i <= 10; i++) yield* consumer.write(i)
      yield* consumer.close
      assert.strictEqual(yield* consumer.result, 55)
    }))

  it.effect("fromSink is aborted by a sink that has enough, and by one that fails", () =>
    Effect.gen(function*() {
      const enough = yield* Consumer.fromSink(Sink.take<number>(2))
      yield* enough.writeAll([1, 2, 3])
      assert.deepStrictEqual(yield* enough.result, [1, 2])
      assert.strictEqual(yield* outcome(enough.write(4)), "Closed by abort")
      const failing = yield* Consumer.fromSink(
        Sink.forEach((item: number) => Effect.fail(`broken by ${item}` as const))
      )
      yield* failing.write(1)
      assert.strictEqual(yield* Effect.flip(failing.result), "broken by 1")
      const error = yield* Effect.flip(failing.write(2))
      assert.deepStrictEqual(error.cause, Cause.fail("broken by 1"))
    }))

  it.effect("fromWrite pauses while the function waits, with the services at hand", () =>
    Effect.gen(function*() {
      const open = yield* Deferred.make<void>()
      const seen: Array<number> = []
      const consumer = yield* Consumer.fromWrite((item: number) =>
        Effect.andThen(Deferred.await(open), Effect.sync(() => seen.push(item)))
      )
      const { calls, producer } = recorder()
      yield* consumer.register(producer)
      yield* Effect.forkChild(consumer.write(1))
      yield* settle
      assert.deepStrictEqual(calls, ["halfRegister", "pause"])
      yield* Deferred.succeed(open, undefined)
      yield* settle
      assert.deepStrictEqual([calls, seen], [["halfRegister", "pause", "resume"], [1]])
    }))

  it.live("fromWrite is not held for ever by a write that is interrupted, at whichever step", () =>
    Effect.gen(function*() {
      for (let steps = 0; steps < 100; steps++) {
        const consumer = yield* Consumer.fromWrite(() => Effect.yieldNow)
        const stepper = new Stepper()
        const shift = steps % 5
        let eff: Effect.Effect<void, unknown> = consumer.write(1)
        for (let i = 0; i < shift; i++) {
          const e = eff
          eff = Effect.suspend(() => e)
        }
        const fiber = Effect.runFork(eff, { scheduler: stepper })
        stepper.run(Math.floor(steps / 5))
        fiber.interruptUnsafe()
        while (stepper.run(1)) { /* to its end */ }
        yield* settle
        const [level] = yield* Consumer.levels(consumer)
        assert.deepStrictEqual([steps, level!.waiting, level!.state], [steps, 0, "flowing"])
      }
    }))

  it.effect("fromQueue and fromPubSub stop with what they write to, also where nobody writes", () =>
    Effect.gen(function*() {
      const queue = yield* Queue.bounded<number>(1)
      const pubsub = yield* PubSub.bounded<number>(1)
      for (
        const [make, shutdown] of [
          [Consumer.fromQueue(queue), Queue.shutdown(queue)],
          [Consumer.fromPubSub(pubsub), PubSub.shutdown(pubsub)]
        ] as const
      ) {
        const { calls, producer } = recorder()
        yield* (yield* make).register(producer)
        yield* shutdown
        yield* settle
        assert.deepStrictEqual(calls, ["halfRegister", "stop"])
      }
    }))

  it.effect("serve consumers that are instances of a class", () =>
    Effect.gen(function*() {
      class C {
        items: Array<number> = []
        write(item: number) {
          return Effect.sync(() => void this.items.push(item))
        }
        register(p: Producer.Producer<number>) {
          return p.halfRegister(this)
        }
        unregister = Effect.void
        state = Stream.make("flowing" as const)
      }
      const c = new C()
      yield* Stream.run(Stream.make(1, 2), Consumer.sink(c))
      const upper = yield* Consumer.buffer(c)
      yield* upper.write(3)
      yield* upper.close
      yield* Producer.runInto(yield* Producer.merge([yield* Producer.fromIterable([4])]), c)
      assert.deepStrictEqual(c.items, [1, 2, 3, 4])
    }))
})

describe("Consumer.mapInput", () => {
  it.effect("writes what the function makes, for a producer that is registered, too", () =>
    Effect.gen(function*() {
      const below = yield* Consumer.make<string>(small)
      const consumer = Consumer.mapInput(below, (item: number) => `<${item}>`)
      const { calls, producer } = recorder()
      let given: Consumer.Consumer<number, unknown> | undefined
      yield* consumer.register({
        ...producer,
        halfRegister: (consumer) => Effect.sync(() => given = consumer)
      })
      for (const item of [1, 2, 3]) yield* given!.write(item)
      assert.deepStrictEqual(calls, ["pause"])
      assert.deepStrictEqual(yield* below.takeAll, ["<1>", "<2>", "<3>"])
    }))
})

describe("Consumer.buffer", () => {
  it.effect("close waits until the one below has taken all, and leaves it open", () =>
    Effect.gen(function*() {
      const below = yield* Consumer.make<number>({ highWaterMark: 0 })
      const consumer = yield* Consumer.buffer(below, { highWaterMark: 8 })
      yield* consumer.writeAll([1, 2, 3])
      const closing = yield* Effect.forkChild(consumer.close, { startImmediately: true })
      assert.strictEqual(yield* below.take, 1)
      yield* settle
      assert.isUndefined(closing.pollUnsafe())
      assert.deepStrictEqual([yield* below.take, yield* below.take], [2, 3])
      yield* Fiber.join(closing)
      yield* below.write(4)
      yield* below.register(recorder().producer)
    }))

  it.effect("close waits for the last item, which is on its way", () =>
    Effect.gen(function*() {
      const open = yield* Deferred.make<void>()
      const below = yield* Consumer.fromWrite<number, never, never>(() => Deferred.await(open))
      const consumer = yield* Consumer.buffer(below)
      yield* consumer.write(1)
      yield* settle
      const closing = yield* Effect.forkChild(consumer.close, { startImmediately: true })
      yield* settle
      assert.isUndefined(closing.pollUnsafe())
      yield* Deferred.succeed(open, undefined)
      yield* Fiber.join(closing)
    }))

  it.effect("is aborted when the one below stops, or refuses an item", () =>
    Effect.gen(function*() {
      const below = yield* Consumer.make<number>()
      const consumer = yield* Consumer.buffer(below)
      yield* below.abort
      assert.strictEqual(yield* outcome(consumer.write(1)), "Closed by abort")

      const refusing = yield* Consumer.make<number>({ measure: (item) => item })
      const other = yield* Consumer.buffer(refusing)
      yield* other.write(-1)
      yield* settle
      const error = yield* Effect.flip(other.write(1))
      assert.strictEqual(Cause.squash(error.cause as Cause.Cause<Error>)?.constructor, TransportError.TransportError)
    }))

  it.effect("is Busy where the one below has a producer", () =>
    Effect.gen(function*() {
      const below = yield* Consumer.make<number>()
      yield* below.register(recorder().producer)
      assert.strictEqual(yield* outcome(Consumer.buffer(below)), "Busy")
    }))

  it.effect("what stands in front writes nothing while the one below wants a pause, also what it has in hand", () =>
    Effect.gen(function*() {
      for (const make of [Consumer.buffer<number>(), Consumer.rateLimit<number>({ bytesPerSecond: 1, burst: 1 })]) {
        const below = yield* Consumer.make<number>({ ...small, policy: "dropNewest" })
        const upper = yield* make(below)
        yield* upper.write(1)
        yield* settle
        yield* upper.write(2)
        yield* settle
        yield* below.write(7)
        if ((yield* below.level).length < 3) yield* below.write(8)
        assert.strictEqual((yield* below.level).length, 3)
        yield* upper.write(3)
        yield* TestClock.adjust("10 seconds")
        yield* settle
        assert.strictEqual((yield* below.level).dropped, 0)
      }
    }))

  it.effect("an abort frees the place below, also while that wants a pause", () =>
    Effect.gen(function*() {
      const below = yield* Consumer.make<number>({ highWaterMark: 0 })
      const upper = yield* Consumer.buffer(below)
      yield* upper.write(1)
      yield* settle
      yield* upper.write(2)
      yield* settle
      yield* upper.abort
      yield* settle
      const r = recorder()
      yield* below.register(r.producer)
    }))

  it.effect("an interrupted close frees the place below, and withdraws what is on its way", () =>
    Effect.gen(function*() {
      const below = yield* Consumer.make<number>({ highWaterMark: 0 })
      yield* below.write(0)
      const upper = yield* Consumer.buffer(below)
      yield* upper.write(1)
      yield* settle
      const f = yield* Effect.forkScoped(upper.close)
      yield* settle
      yield* Fiber.interrupt(f)
      yield* settle
      assert.strictEqual(yield* below.take, 0)
      yield* settle
      assert.deepStrictEqual((yield* below.level).length, 0)
      yield* below.register(recorder().producer)
    }))
})

describe("Consumer.rateLimit", () => {
  it.effect("passes a burst at once, and the rest by the rate", () =>
    Effect.gen(function*() {
      const below = yield* Consumer.make<Uint8Array>()
      const consumer = yield* Consumer.rateLimit(below, { bytesPerSecond: 100, burst: 50 })
      const passed = Effect.map(below.level, ({ size }) => size)
      for (let i = 0; i < 20; i++) yield* consumer.write(new Uint8Array(10))
      yield* settle
      assert.strictEqual(yield* passed, 50)
      yield* TestClock.adjust("99 millis")
      assert.strictEqual(yield* passed, 50)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* passed, 60)
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(yield* passed, 160)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* passed, 200)
      for (let i = 0; i < 20; i++) yield* consumer.write(new Uint8Array(10))
      yield* settle
      assert.strictEqual(yield* passed, 250)
    }))

  it.effect("holds its producer back, and lets it go on when there is room", () =>
    Effect.gen(function*() {
      const below = yield* Consumer.make<number>()
      const consumer = yield* Consumer.rateLimit(below, { bytesPerSecond: 1, burst: 1, ...small })
      const { calls, producer } = recorder()
      yield* consumer.register(producer)
      yield* Effect.forkChild(Effect.forEach([1, 2, 3, 4, 5], consumer.write))
      yield* settle
      // The first has passed, the second is on its way, and the others fill it again.
      assert.deepStrictEqual(calls, ["halfRegister", "pause", "resume", "pause"])
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(calls.length, 4)
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(calls.slice(4), ["resume"])
      assert.deepStrictEqual(yield* below.takeAll, [1, 2, 3])
    }))

  it.effect("refuses a rate or a burst that is none", () =>
    Effect.gen(function*() {
      const below = yield* Consumer.make<number>()
      for (const wrong of [0, -1, NaN, Infinity, "1"] as ReadonlyArray<number>) {
        const rate = Consumer.rateLimit(below, { bytesPerSecond: wrong })
        assert.deepStrictEqual(yield* refusalOf(rate), ["bytesPerSecond", wrong])
        const burst = Consumer.rateLimit(below, { bytesPerSecond: 1, burst: wrong })
        assert.deepStrictEqual(yield* refusalOf(burst), ["burst", wrong])
      }
    }))

  it.effect("refuses to be without options", () =>
    Effect.gen(function*() {
      const c = yield* Consumer.make<number>()
      const exit = yield* Effect.exit(Consumer.rateLimit(c, undefined as never))
      assert.isTrue(Exit.isFailure(exit) && !Exit.hasDies(exit))
    }))
})

describe("Consumer.broadcast", () => {
  it.effect("gives each item to all; the slowest decides", () =>
    Effect.gen(function*() {
      const fast = yield* Consumer.make<number>({ highWaterMark: 100 })
      const slow = yield* Consumer.make<number>(small)
      const shedding = yield* Consumer.make<number>({ ...small, policy: "dropOldest" })
      const consumer = yield* Consumer.broadcast<number, TransportError.TransportError>([fast, slow, shedding])
      const { calls, producer } = recorder()
      yield* consumer.register(producer)
      const writing = yield* Effect.forkChild(Effect.forEach([1, 2, 3, 4], consumer.write))
      yield* settle
      assert.deepStrictEqual(calls, ["halfRegister", "pause"])
      assert.isUndefined(writing.pollUnsafe())
      assert.deepStrictEqual(yield* slow.takeAll, [1, 2, 3])
      yield* Fiber.join(writing)
      // The one that sheds is full, and counts as well.
      assert.deepStrictEqual(calls, ["halfRegister", "pause"])
      yield* shedding.takeAll
      yield* settle
      assert.deepStrictEqual(calls, ["halfRegister", "pause", "resume"])
      assert.deepStrictEqual(yield* fast.takeAll, [1, 2, 3, 4])
    }))

  it.effect("or each follows its own policy", () =>
    Effect.gen(function*() {
      const fast = yield* Consumer.make<number>({ highWaterMark: 100 })
      const shedding = yield* Consumer.make<number>({ ...small, policy: "dropOldest" })
      const members = [fast, shedding]
      const consumer = yield* Consumer.broadcast<number, TransportError.TransportError>(members, { pressure: "own" })
      const { calls, producer } = recorder()
      yield* consumer.register(producer)
      for (const item of [1, 2, 3, 4, 5]) yield* consumer.write(item)
      assert.deepStrictEqual([calls, yield* shedding.takeAll], [["halfRegister"], [3, 4, 5]])
      assert.deepStrictEqual(yield* fast.takeAll, [1, 2, 3, 4, 5])
    }))

  it.effect("holds up no member that ends, and loses none of what it has", () =>
    Effect.gen(function*() {
      const one = yield* Consumer.make<number>(small)
      const other = yield* Consumer.make<number>(small)
      const consumer = yield* Consumer.broadcast([one, other])
      yield* consumer.write(1)
      yield* consumer.write(2)
      const ending = yield* Effect.forkChild(one.halfClose)
      yield* settle
      assert.isDefined(ending.pollUnsafe())
      yield* consumer.write(3)
      assert.deepStrictEqual(yield* Stream.runCollect(one.stream), [1, 2])
      assert.deepStrictEqual(yield* other.takeAll, [1, 2, 3])
    }))

  it.effect("goes on without one that stops, and stops with the last", () =>
    Effect.gen(function*() {
      const one = yield* Consumer.make<number>(small)
      const other = yield* Consumer.make<number>(small)
      const consumer = yield* Consumer.broadcast([one, other])
      const { calls, producer } = recorder()
      yield* consumer.register(producer)
      yield* one.writeAll([1, 2, 3])
      assert.deepStrictEqual(calls, ["halfRegister", "pause"])
      yield* one.abort
      assert.deepStrictEqual(calls, ["halfRegister", "pause", "resume"])
      yield* consumer.write(4)
      assert.deepStrictEqual(yield* other.takeAll, [4])
      yield* other.abort
      assert.strictEqual(yield* outcome(consumer.write(5)), "Closed by close")
      assert.deepStrictEqual(calls, ["halfRegister", "pause", "resume", "stop"])
    }))

  it.effect("a write that waits for one that stops is done when the others have taken the item", () =>
    Effect.gen(function*() {
      const slow = yield* Consumer.make<number>({ highWaterMark: 0 })
      const other = yield* Consumer.make<number>()
      const consumer = yield* Consumer.broadcast([slow, other])
      yield* consumer.write(1)
      const waiting = yield* Effect.forkChild(outcome(consumer.write(2)), { startImmediately: true })
      yield* settle
      yield* slow.abort
      assert.strictEqual(yield* Fiber.join(waiting), "success")
      assert.deepStrictEqual(yield* other.takeAll, [1, 2])
    }))

  it.effect("fails with what a member that lives refuses, after the others have taken it", () =>
    Effect.gen(function*() {
      const failing = yield* Consumer.make<number>({ highWaterMark: 0, policy: "fail" })
      const other = yield* Consumer.make<number>()
      const members: ReadonlyArray<Consumer.Consumer<number, Consumer.WriteError<"fail">>> = [failing, other]
      const consumer = yield* Consumer.broadcast(members)
      yield* consumer.write(1)
      assert.strictEqual(yield* outcome(consumer.write(2)), "Full")
      assert.deepStrictEqual(yield* other.takeAll, [1, 2])
    }))

  it.effect("refuses members and a pressure that are none", () =>
    Effect.gen(function*() {
      const one = yield* Consumer.make<number>()
      assert.deepStrictEqual(yield* refusalOf(Consumer.broadcast([])), ["members", []])
      assert.deepStrictEqual(yield* refusalOf(Consumer.broadcast([{} as never])), ["members", [{}]])
      const wrong = Consumer.broadcast([one], { pressure: "fastest" as never })
      assert.deepStrictEqual(yield* refusalOf(wrong), ["pressure", "fastest"])
    }))

  it.effect("registers with all or none", () =>
    Effect.gen(function*() {
      const one = yield* Consumer.make<number>()
      const two = yield* Consumer.make<number>()
      const r = recorder()
      yield* two.register(r.producer)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(Consumer.broadcast([one, two]))))
      yield* one.register(yield* Producer.fromIterable([1]))
    }))

  it.effect("one that sheds does so behind mapInput, too", () =>
    Effect.gen(function*() {
      const shed = yield* Consumer.make<number>({ highWaterMark: 0, policy: "dropNewest" })
      const b = yield* Consumer.broadcast([Consumer.mapInput(shed, (x: number) => x)], { pressure: "own" })
      yield* b.write(1)
      yield* settle
      assert.strictEqual((yield* Consumer.levels(b))[0]!.state, "flowing")
    }))
})

describe("Consumer.levels", () => {
  it.effect("shows a whole stack from the top down, each level once", () =>
    Effect.gen(function*() {
      const one = yield* Consumer.make<number>({ name: "one", ...small })
      const other = yield* Consumer.make<number>({ name: "other", highWaterMark: 8 })
      const all = yield* Consumer.broadcast([one, other], { name: "all" })
      const top = yield* Consumer.rateLimit(all, { name: "top", bytesPerSecond: 1, burst: 4, highWaterMark: 4 })
      const mapped = Consumer.mapInput(top, (item: string) => item.length)
      for (let i = 0; i < 5; i++) yield* mapped.write("x")
      yield* settle
      const levels = yield* Consumer.levels(mapped)
      assert.deepStrictEqual(
        levels.map(({ highWaterMark, name, size, state }) => [name, state, size, highWaterMark]),
        [["top", "paused", 2, 4], ["all", "paused", 0, 0], ["one", "paused", 3, 2], ["other", "flowing", 3, 8]]
      )
      assert.deepStrictEqual(yield* Consumer.levels({ ...top }), [])
    }))

  it.effect("shows the marks of a transport, and what that holds", () =>
    Effect.gen(function*() {
      const [a] = yield* TestTransport.pair({ highWaterMark: 8, readMark: 4 })
      const top = yield* Consumer.buffer(yield* Consumer.fromConnection(a), { highWaterMark: 4 })
      const writing = yield* Effect.forkChild(Effect.forEach("abcdef", (item) => top.write(bytes(item.repeat(4)))))
      yield* settle
      const levels = yield* Consumer.levels(top)
      assert.deepStrictEqual(
        levels.map((
          { highWaterMark, lowWaterMark, name, size, state, waiting }
        ) => [name, state, size, waiting, highWaterMark, lowWaterMark]),
        [["consumer", "paused", 8, 0, 4, 1], ["connection", "paused", 12, 1, 8, 2]]
      )
      yield* Fiber.join(writing)
    }))

  it.effect("levelChanges shows them again whenever one changes its state, and ends when all have stopped", () =>
    Effect.gen(function*() {
      const below = yield* Consumer.make<number>({ name: "below", ...small })
      const top = yield* Consumer.buffer(below, { name: "top" })
      const seen = yield* Effect.forkChild(
        Stream.runCollect(Stream.map(Consumer.levelChanges(top), (levels) => levels.map(({ state }) => state).join())),
        { startImmediately: true }
      )
      yield* settle
      yield* top.writeAll([1, 2, 3])
      yield* settle
      yield* below.takeAll
      yield* settle
      yield* top.close
      yield* settle
      yield* below.close
      assert.deepStrictEqual(yield* Fiber.join(seen), [
        "flowing,flowing",
        "flowing,paused",
        "paused,paused",
        "paused,flowing",
        "flowing,flowing",
        "stopped,flowing",
        "stopped,stopped"
      ])
    }))
})
