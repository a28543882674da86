import { Effect, type Scope, type Stream } from "effect"
import { type Connection, Consumer, Producer, TestTransport, type TransportError } from "effect-transport"
import { describe, expectTypeOf, test } from "vitest"

type Error = TransportError.TransportError

describe("backpressure", () => {
  test("is not what a bound is called for a source that cannot be paused", () => {
    void Effect.gen(function*() {
      const sensor = yield* Producer.fromUnpausable<number>(() => () => {})
      const suspending = yield* Consumer.make<number>({ policy: "suspend" })
      // @ts-expect-error nothing would hold this source back
      yield* suspending.register(sensor)
      const byDefault = yield* Consumer.make<number>()
      // @ts-expect-error as above
      yield* byDefault.register(sensor)
      // @ts-expect-error a transport sheds nothing
      yield* (yield* Consumer.fromConnection((yield* TestTransport.pair())[0])).register(sensor)
      // @ts-expect-error a buffer in between that suspends is none, either
      yield* Producer.buffered(sensor, { policy: "suspend" })
      // @ts-expect-error nor one that says nothing
      yield* Producer.buffered(sensor, {})

      const dropping = yield* Consumer.make<number>({ policy: "dropOldest" })
      yield* dropping.register(sensor)
      yield* suspending.register(yield* Producer.buffered(sensor, { policy: "dropNewest" }))
      yield* suspending.register(yield* Producer.buffered(sensor, { policy: "latest", key: (item) => item }))
      // @ts-expect-error which items supersede each other?
      yield* Producer.buffered(sensor, { policy: "latest" })
    })
  })

  test("a source that can be paused goes with every policy", () => {
    void Effect.gen(function*() {
      const handle = { pause: () => {}, resume: () => {}, stop: () => {} }
      const source = yield* Producer.fromCallback<number>(() => handle)
      yield* (yield* Consumer.make<number>()).register(source)
      yield* (yield* Consumer.make<number>({ policy: "fail" })).register(source)
      // @ts-expect-error it does not say how it is paused
      yield* Producer.fromCallback<number>(() => ({ stop: () => {} }))
    })
  })
})

describe("the policy at the bound", () => {
  test("is part of the type, with what a write can fail with", () => {
    expectTypeOf(Consumer.make<number>()).toEqualTypeOf<
      Effect.Effect<Consumer.Buffered<number, "suspend">, Error, Scope.Scope>
    >()
    expectTypeOf(Consumer.make<number>({ policy: "fail" })).toEqualTypeOf<
      Effect.Effect<Consumer.Shedding<number, "fail">, Error, Scope.Scope>
    >()
    expectTypeOf<Consumer.Shedding<number, "fail">["write"]>().returns.toEqualTypeOf<
      Effect.Effect<void, Error | Consumer.Full>
    >()
    expectTypeOf<Consumer.Shedding<number, "dropNewest">["write"]>().returns.toEqualTypeOf<Effect.Effect<void, Error>>()
    expectTypeOf<Consumer.Buffered<number, "suspend">["write"]>().returns.toEqualTypeOf<Effect.Effect<void, Error>>()
    // @ts-expect-error no such policy
    void Consumer.make<number>({ policy: "wait" })
    // @ts-expect-error which items supersede each other?
    void Consumer.make<number>({ policy: "latest" })
  })

  test("each is a consumer", () => {
    expectTypeOf<Consumer.Buffered<number, "suspend">>().toExtend<Consumer.Consumer<number, Error>>()
    expectTypeOf<Consumer.Shedding<number, "fail">>().toExtend<Consumer.Consumer<number, Error | Consumer.Full>>()
    expectTypeOf<Consumer.Connected<number, never>>().toExtend<Consumer.Consumer<number, Error>>()
  })
})

describe("variance", () => {
  test("a consumer of more is one of less, and a producer of less one of more", () => {
    expectTypeOf<Consumer.Consumer<unknown, never>>().toExtend<Consumer.Consumer<number, Error>>()
    expectTypeOf<Consumer.Consumer<number, Error>>().not.toExtend<Consumer.Consumer<unknown, Error>>()
    expectTypeOf<Producer.Producer<number>>().toExtend<Producer.Producer<unknown>>()
    expectTypeOf<Producer.Producer<unknown>>().not.toExtend<Producer.Producer<number>>()
  })

  test("a producer of other items is not registered", () => {
    void Effect.gen(function*() {
      const consumer = yield* Consumer.make<string>()
      // @ts-expect-error it writes numbers
      yield* consumer.register(yield* Producer.fromIterable([1]))
    })
  })
})

describe("half-close", () => {
  test("follows the connection", () => {
    void Effect.gen(function*() {
      const [a] = yield* TestTransport.pair()
      yield* (yield* Consumer.fromConnection(a)).halfClose
      const rest: Connection.Connection<Uint8Array, Uint8Array, Error> = a
      // @ts-expect-error this one cannot
      void (yield* Consumer.fromConnection(rest)).halfClose
    })
  })
})

describe("generators", () => {
  test("what they wait for is no item", () => {
    const producer = Producer.fromGenerator(function*(consumer) {
      expectTypeOf(consumer.state).toEqualTypeOf<Stream.Stream<Consumer.State>>()
      const answer = yield* Producer.wait(Effect.succeed("x"))
      expectTypeOf(answer).toEqualTypeOf<string>()
      yield answer.length
    }, () => "failed" as const)
    expectTypeOf(producer).toEqualTypeOf<Effect.Effect<Producer.Finite<number, "failed">>>()
  })
})

describe("services", () => {
  class Log extends Consumer.Service<Log, string>()("test/Log") {}
  class Input extends Producer.Service<Input, number>()("test/Input") {}

  test("stand in R by their own name", () => {
    const program = Effect.flatMap(Log, (log) => log.write("a"))
    expectTypeOf(program).toEqualTypeOf<Effect.Effect<void, Error, Log>>()
    const provided = Effect.provide(program, Log.layer(Consumer.make<string>()))
    expectTypeOf(provided).toEqualTypeOf<Effect.Effect<void, Error>>()
    const input = Effect.flatMap(Input, (input) => input.ended)
    expectTypeOf(input).toEqualTypeOf<Effect.Effect<void, Producer.WriteFailed, Input>>()
    // @ts-expect-error it takes strings
    void Log.layer(Consumer.make<number>())
  })
})
