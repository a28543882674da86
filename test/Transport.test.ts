import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  ManagedRuntime,
  Option,
  pipe,
  Scheduler,
  Scope
} from "effect"
import { Connection, type Machine, Network, TestTransport, Transport, TransportError, Wire } from "effect-transport"
import { TestClock } from "effect/testing"
import { Stepper } from "./support/stepper.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

const errorOf = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<TransportError.TransportError> =>
  Effect.map(Effect.exit(effect), (exit) => {
    if (Exit.isSuccess(exit)) throw new Error("it succeeded")
    const error = Cause.squash(exit.cause)
    if (error instanceof TransportError.TransportError) return error
    throw error
  })

/** Begins so many operations later, since a stepper stops at every third. */
const later = <A, E, R>(operations: number, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  operations === 0 ? effect : Effect.andThen(Effect.void, later(operations - 1, effect))

describe("a pull", () => {
  it.effect("loses nothing, at whichever step it is interrupted", () =>
    Effect.gen(function*() {
      let interrupted = 0
      for (let steps = 0; steps < 20; steps++) {
        const [a, b] = yield* TestTransport.pair()
        const stepper = new Stepper()
        const reader = yield* b.reader
        const pulling = Effect.runFork(
          Effect.provideService(later(steps % 3, reader.pull), Scheduler.Scheduler, stepper)
        )
        yield* a.write(bytes("one"))
        yield* a.flush
        stepper.run(steps)
        pulling.interruptUnsafe()
        stepper.run(Infinity)
        const exit = pulling.pollUnsafe()!
        yield* a.write(bytes("two"))
        let read = Exit.isSuccess(exit) ? exit.value.map(text).join("") : ""
        if (read === "") interrupted++
        while (read.length < 6) read += (yield* reader.pull).map(text).join("")
        assert.strictEqual(read, "onetwo")
      }
      assert.isAbove(interrupted, 0)
    }))

  it.effect("that was interrupted leaves its bytes to a forEach, at whichever step it was", () =>
    Effect.gen(function*() {
      for (let steps = 0; steps < 20; steps++) {
        const [a, b] = yield* TestTransport.pair()
        const stepper = new Stepper()
        const reader = yield* b.reader
        const pulling = Effect.runFork(
          Effect.provideService(later(steps % 3, reader.pull), Scheduler.Scheduler, stepper)
        )
        yield* a.write(bytes("one"))
        yield* a.flush
        stepper.run(steps)
        pulling.interruptUnsafe()
        stepper.run(Infinity)
        const exit = pulling.pollUnsafe()!
        yield* a.write(bytes("two"))
        yield* a.halfClose
        let read = Exit.isSuccess(exit) ? exit.value.map(text).join("") : ""
        yield* reader.forEach!((batch) => Effect.sync(() => void (read += batch.map(text).join(""))))
        assert.strictEqual(read, "onetwo")
      }
    }))

  it.effect("at the same time as another is refused or comes first, whichever step that one is at", () =>
    Effect.gen(function*() {
      let refused = 0
      for (let steps = 0; steps < 10; steps++) {
        const [a, b] = yield* TestTransport.pair()
        const stepper = new Stepper()
        const reader = yield* b.reader
        yield* a.write(bytes("one"))
        yield* a.flush
        const first = Effect.runFork(Effect.provideService(reader.pull, Scheduler.Scheduler, stepper))
        stepper.run(steps)
        const second = yield* Effect.exit(reader.pull.pipe(Effect.timeoutOption(0)))
        if (Exit.isFailure(second)) refused++
        yield* a.write(bytes("two"))
        yield* a.flush
        stepper.run(Infinity)
        let read = Exit.isSuccess(second) && Option.isSome(second.value) ? second.value.value.map(text).join("") : ""
        read += (yield* Fiber.join(first)).map(text).join("")
        if (read.length < 6) read += (yield* reader.pull).map(text).join("")
        assert.strictEqual(read, "onetwo")
      }
      assert.isAbove(refused, 0)
    }))

  it.effect("that was interrupted leaves its bytes to the next reader, however long its fiber takes to end", () =>
    Effect.gen(function*() {
      for (let steps = 0; steps < 30; steps++) {
        const [a, b] = yield* TestTransport.pair()
        yield* a.write(bytes("x"))
        yield* a.flush
        const stepper = new Stepper()
        const ending = Effect.onInterrupt(Connection.take(b), () => Effect.never)
        const taking = Effect.runFork(Effect.provideService(ending, Scheduler.Scheduler, stepper))
        stepper.run(steps)
        taking.interruptUnsafe()
        stepper.run(100)
        const reading = yield* Effect.forkChild(Effect.exit(Connection.take(b)), { startImmediately: true })
        const exit = reading.pollUnsafe()
        if (exit !== undefined && Exit.isSuccess(exit)) assert.isTrue(Exit.isSuccess(exit.value), `${steps} steps`)
      }
    }))
})

describe("Transport.read", () => {
  it.effect("gives what is there, up to the limit, and leaves the rest", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      yield* a.write(bytes("0123456789"))
      assert.strictEqual(text(yield* Transport.read(b, 3)), "012")
      assert.strictEqual(text(yield* pipe(b, Transport.read(4))), "3456")
      assert.strictEqual(text(yield* Transport.read(b, 100)), "789")
    }))
})

describe("Transport.readExactly", () => {
  it.effect("waits for the last byte", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const reading = yield* Effect.forkChild(Transport.readExactly(b, 6))
      yield* a.write(bytes("abc"))
      yield* Effect.yieldNow
      assert.isUndefined(reading.pollUnsafe())
      yield* a.write(bytes("defg"))
      assert.strictEqual(text(yield* Fiber.join(reading)), "abcdef")
      assert.strictEqual(text(yield* Connection.take(b)), "g")
    }))

  it.effect("says how many are missing, and puts back what had come", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      yield* a.write(bytes("abc"))
      yield* a.halfClose
      const error = yield* errorOf(Transport.readExactly(b, 5))
      assert.deepStrictEqual(error.reason, new TransportError.Truncated({ missing: Option.some(2) }))
      assert.strictEqual(text(yield* Transport.readUntilEnd(b)), "abc")
    }))

  it.effect("puts back what had come when it is interrupted", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const reading = yield* Effect.forkChild(Transport.readExactly(b, 5))
      yield* a.write(bytes("ab"))
      yield* a.flush
      yield* a.write(bytes("c"))
      yield* a.flush
      yield* Fiber.interrupt(reading)
      assert.strictEqual(text(yield* Transport.readExactly(b, 3)), "abc")
    }))

  it.effect("of nothing needs no input", () =>
    Effect.gen(function*() {
      const [, b] = yield* TestTransport.pair()
      assert.strictEqual((yield* Transport.readExactly(b, 0)).length, 0)
    }))
})

describe("Transport.readUntilEnd", () => {
  it.effect("fails past its limit and puts everything back", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      yield* a.write(bytes("0123456789"))
      yield* a.halfClose
      const error = yield* errorOf(Transport.readUntilEnd(b, { bytesMax: 9 }))
      assert.strictEqual(error.reason._tag, "LimitExceeded")
      assert.strictEqual(text(yield* Transport.readUntilEnd(b, { bytesMax: 10 })), "0123456789")
    }))
})

describe("Transport.writeWithin", () => {
  it.effect("says NotSent when it was still waiting for room", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.lockstepPair()
      yield* Effect.forkChild(a.write(bytes("first")))
      yield* Effect.yieldNow
      const second = yield* Effect.forkChild(errorOf(Transport.writeWithin(a, bytes("second"), "1 second")))
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(second.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(second)
      assert.deepStrictEqual(error.reason, new TransportError.TimedOut({ phase: "write" }))
      assert.strictEqual(error.delivery, "NotSent")
      assert.strictEqual(text(yield* Connection.take(b)), "first")
    }))

  it.effect("says Unknown when it was on its way, and it goes out whole", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.lockstepPair()
      const writing = yield* Effect.forkChild(errorOf(Transport.writeWithin(a, bytes("begun"), "1 second")))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(writing)).delivery, "Unknown")
      assert.strictEqual(text(yield* Connection.take(b)), "begun")
    }))

  it.effect("says Unknown when it ends without a verdict", () =>
    Effect.gen(function*() {
      const [a] = yield* TestTransport.pair()
      const slow = { ...a, write: (out: Uint8Array) => Effect.andThen(a.write(out), Effect.never) }
      const writing = yield* Effect.forkChild(errorOf(Transport.writeWithin(slow, bytes("x"), "1 second")))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(writing)).delivery, "Unknown")
    }))

  it.effect("of no time sends nothing", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      assert.strictEqual((yield* errorOf(Transport.writeWithin(a, bytes("x"), 0))).delivery, "NotSent")
      yield* a.close
      assert.strictEqual((yield* Transport.readUntilEnd(b)).length, 0)
    }))
})

describe("a write", () => {
  it.effect("of what is no Uint8Array is refused, and says what it should be", () =>
    Effect.gen(function*() {
      const [a] = yield* TestTransport.pair()
      const wrong = "text" as unknown as Uint8Array
      for (
        const [write, field, expected] of [
          [a.write(wrong), "out", "a Uint8Array"],
          [a.writeAll([bytes("good"), wrong]), "outs[1]", "a Uint8Array"],
          [a.writeAll(wrong as unknown as ReadonlyArray<Uint8Array>), "outs", "an array of Uint8Array"]
        ] as const
      ) {
        const error = yield* errorOf(write)
        assert.strictEqual(error.delivery, "NotSent")
        assert.strictEqual(error.reason._tag, "InvalidOption")
        if (error.reason._tag !== "InvalidOption") continue
        assert.deepStrictEqual([error.reason.field, error.reason.expected], [field, expected])
      }
    }))

  it.effect("of nothing waits for nothing", () =>
    Effect.gen(function*() {
      const [a] = yield* TestTransport.lockstepPair()
      yield* Effect.forkChild(a.write(bytes("begun")), { startImmediately: true })
      const empty = yield* Effect.forkChild(
        Effect.all([a.write(bytes("")), a.writeAll([]), a.writeAll([bytes("")])]),
        { startImmediately: true }
      )
      assert.isTrue(Exit.isSuccess(empty.pollUnsafe() ?? Exit.interrupt()))
    }))

  it.effect("that fails was not interrupted besides", () =>
    Effect.gen(function*() {
      const [a] = yield* TestTransport.lockstepPair()
      const fibers = yield* Effect.forEach(
        [a.write(bytes("begun")), a.write(bytes("waiting")), a.flush],
        (effect) => Effect.forkChild(effect, { startImmediately: true })
      )
      yield* a.abort
      for (const exit of yield* Fiber.awaitAll(fibers)) {
        assert.isTrue(Exit.hasFails(exit))
        assert.isFalse(Exit.hasInterrupts(exit))
      }
    }))
})

describe("a reader that has been woken and has not run yet", () => {
  /** `b` has read all that keeps a large write of `a` from being complete, so that what follows it runs in that turn. */
  const inTheTurnOf = (b: Transport.Transport) =>
    Effect.gen(function*() {
      let read = 0
      yield* Effect.scoped(Effect.flatMap(b.reader, ({ pull }) =>
        Effect.whileLoop({
          while: () => read < 200_000,
          body: () => pull,
          step: (chunks) => {
            for (const chunk of chunks) read += chunk.length
          }
        })))
    })

  it.effect("is the one who waits all the same", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const reader = yield* b.reader
      const first = yield* Effect.forkChild(reader.pull, { startImmediately: true })
      const second = yield* Effect.forkChild(
        Effect.gen(function*() {
          yield* b.write(new Uint8Array(200_000))
          yield* a.write(new Uint8Array(20_000))
          return [yield* errorOf(reader.pull), yield* errorOf(reader.pull)].map(({ reason }) => reason._tag)
        }),
        { startImmediately: true }
      )
      yield* inTheTurnOf(a)
      assert.deepStrictEqual(yield* Fiber.join(second), ["Busy", "Busy"])
      assert.strictEqual((yield* Fiber.join(first)).reduce((bytes, chunk) => bytes + chunk.length, 0), 20_000)
    }))

  it.effect("leaves the input to the next one if it is interrupted, however long it still takes to end", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const gate = yield* Deferred.make<void>()
      const first = yield* Effect.forkChild(
        Effect.onExit(Effect.scoped(Effect.flatMap(b.reader, ({ pull }) => pull)), () => Deferred.await(gate)),
        { startImmediately: true }
      )
      yield* Effect.forkChild(
        Effect.gen(function*() {
          yield* b.write(new Uint8Array(200_000))
          yield* a.write(new Uint8Array(20_000))
          first.interruptUnsafe()
        }),
        { startImmediately: true }
      )
      yield* inTheTurnOf(a)
      assert.strictEqual((yield* b.buffered).reading, 20_000)
      assert.strictEqual((yield* Transport.readExactly(b, 20_000)).length, 20_000)
      assert.isUndefined(first.pollUnsafe())
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.await(first)
    }))
})

describe("a reader", () => {
  it.effect("whose lease has ended is refused, also while nobody has another", () =>
    Effect.gen(function*() {
      const [, b] = yield* TestTransport.pair()
      const old = yield* Effect.scoped(b.reader)
      for (const isHeld of [false, true]) {
        if (isHeld) yield* b.reader
        for (const reading of [Effect.asVoid(old.pull), old.forEach!(() => Effect.void)]) {
          assert.strictEqual((yield* errorOf(Effect.timeout(reading, 0))).reason._tag, "Busy")
        }
      }
    }))

  it.effect("does one thing at a time, whichever it is", () =>
    Effect.gen(function*() {
      const [, b] = yield* TestTransport.pair()
      const reader = yield* b.reader
      const ways = [Effect.asVoid(reader.pull), reader.forEach!(() => Effect.void)]
      for (const first of ways) {
        const fiber = yield* Effect.forkChild(first, { startImmediately: true })
        for (const second of ways) {
          assert.strictEqual((yield* errorOf(Effect.timeout(second, 0))).reason._tag, "Busy")
        }
        yield* Fiber.interrupt(fiber)
      }
    }))

  it.effect("puts back what it was given, however it was, and no more", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      yield* a.write(bytes("one"))
      yield* a.halfClose
      yield* Effect.scoped(Effect.gen(function*() {
        const reader = yield* b.reader
        assert.isTrue(Exit.hasDies(yield* Effect.exit(reader.unread([bytes("o")]))))
        yield* reader.pull
        yield* reader.unread([bytes("one")])
        assert.isTrue(Exit.hasDies(yield* Effect.exit(reader.unread([bytes("o")]))))
      }))
      yield* Effect.scoped(Effect.gen(function*() {
        const reader = yield* b.reader
        yield* reader.forEach!(() => Effect.void)
        yield* reader.unread([bytes("one")])
      }))
      assert.strictEqual(text(yield* Transport.readUntilEnd(b)), "one")
    }))
})

describe("Transport.delivery", () => {
  it.effect("reads the verdict of an interrupted write off its cause", () =>
    Effect.gen(function*() {
      const [a] = yield* TestTransport.lockstepPair()
      const begun = yield* Effect.forkChild(a.write(bytes("begun")))
      yield* Effect.yieldNow
      const waiting = yield* Effect.forkChild(a.write(bytes("waiting")))
      yield* Effect.yieldNow
      for (const [fiber, verdict] of [[waiting, "NotSent"], [begun, "Unknown"]] as const) {
        yield* Fiber.interrupt(fiber)
        const exit = fiber.pollUnsafe()!
        assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
        if (Exit.isFailure(exit)) assert.deepStrictEqual(Transport.delivery(exit.cause), Option.some(verdict))
      }
    }))

  it.effect("is Unknown when the one who receives the bytes interrupts their writer", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.lockstepPair()
      const writing: { fiber?: Fiber.Fiber<void, TransportError.TransportError> } = {}
      const reading = yield* Effect.forkChild(
        Effect.tap(Connection.take(b), () => Effect.sync(() => writing.fiber?.interruptUnsafe())),
        { startImmediately: true }
      )
      writing.fiber = yield* Effect.forkChild(a.write(bytes("x")))
      const exit = yield* Fiber.await(writing.fiber)
      assert.strictEqual(text(yield* Fiber.join(reading)), "x")
      assert.isTrue(Exit.isFailure(exit))
      if (Exit.isFailure(exit)) assert.deepStrictEqual(Transport.delivery(exit.cause), Option.some("Unknown"))
    }))

  it.effect("is Unknown at whichever step a large write is interrupted, once it has begun", () =>
    Effect.gen(function*() {
      let begun = 0
      for (let steps = 0; steps < 15; steps++) {
        const [a, b] = yield* TestTransport.pair()
        const stepper = new Stepper()
        const writing = Effect.runFork(
          Effect.provideService(later(steps % 3, a.write(new Uint8Array(100_000))), Scheduler.Scheduler, stepper)
        )
        stepper.run(steps)
        writing.interruptUnsafe()
        stepper.run(Infinity)
        const exit = yield* Fiber.await(writing)
        const isBegun = (yield* a.buffered).writing + (yield* b.buffered).reading > 0
        if (isBegun) begun++
        if (Exit.isFailure(exit) && isBegun) {
          assert.deepStrictEqual(Transport.delivery(exit.cause), Option.some("Unknown"), `${steps} steps`)
        }
        yield* a.abort
      }
      assert.isAbove(begun, 0)
      assert.isBelow(begun, 15)
    }))

  it.effect("is none when no write was under way", () =>
    Effect.gen(function*() {
      const [a] = yield* TestTransport.lockstepPair()
      yield* Effect.forkChild(a.write(bytes("begun")), { startImmediately: true })
      const flushing = yield* Effect.forkChild(a.flush, { startImmediately: true })
      yield* Fiber.interrupt(flushing)
      const interrupted = yield* Fiber.await(flushing)
      assert.isTrue(Exit.isFailure(interrupted) && Option.isNone(Transport.delivery(interrupted.cause)))
      const exit = yield* Effect.exit(Effect.fail("other"))
      if (Exit.isFailure(exit)) assert.isTrue(Option.isNone(Transport.delivery(exit.cause)))
    }))
})

// ---------------------------------------------------------------------------------------------------------------------

/** A server of memory that says how its one connection ended, and a layer for the client's end of it. */
const observed = Effect.gen(function*() {
  const context = yield* Layer.build(TestTransport.layerNetwork)
  const network = yield* Effect.provide(Network.Network, context)
  const listener = yield* network.listen("memory:server")
  const ended = yield* Deferred.make<string>()
  yield* Effect.forkScoped(Effect.forever(Effect.scoped(Effect.gen(function*() {
    const transport = yield* listener.accept
    const exit = yield* Effect.exit(Connection.forEach(transport, () => Effect.void))
    yield* Deferred.succeed(ended, Exit.isSuccess(exit) ? "end" : "reset")
  }))))
  const layer = Transport.layer("memory:server").pipe(Layer.provide(Layer.succeedContext(context)))
  return { ended: Deferred.await(ended), layer }
})

describe("the scope rule", () => {
  const program = Effect.flatMap(Transport.Transport, (transport) => transport.write(bytes("hello")))

  it.effect("success closes", () =>
    Effect.gen(function*() {
      const { ended, layer } = yield* observed
      yield* Effect.provide(program, layer)
      assert.strictEqual(yield* ended, "end")
    }))

  it.effect("failure, defect and interruption abort", () =>
    Effect.gen(function*() {
      for (const end of [Effect.fail("failure"), Effect.die("defect"), Effect.interrupt]) {
        const { ended, layer } = yield* observed
        yield* Effect.exit(Effect.provide(Effect.andThen(program, end), layer))
        assert.strictEqual(yield* ended, "reset")
      }
    }))

  it.effect("whoever still holds on to the connection is told that it was the scope, and why", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const [, b] = yield* Scope.provide(TestTransport.pair(), scope)
      const waiting = yield* Effect.forkChild(errorOf(Connection.take(b)), { startImmediately: true })
      yield* Scope.close(scope, Exit.fail("failure"))
      for (const error of [yield* Fiber.join(waiting), yield* errorOf(b.write(bytes("late")))]) {
        assert.deepStrictEqual(error.reason, new TransportError.Closed({ by: "scope" }))
        assert.deepStrictEqual(error.cause, Cause.fail("failure"))
      }
    }))

  it.effect("onScopeExit changes the rule", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const [a, b] = yield* Scope.provide(TestTransport.pair({ onScopeExit: () => "close" }), scope)
      const watching = yield* Effect.forkChild(Transport.readUntilEnd(b))
      yield* a.close
      assert.strictEqual((yield* Fiber.join(watching)).length, 0)
      yield* Scope.close(scope, Exit.fail("failure"))
      yield* b.closed
    }))

  it.effect("a rule that throws is a defect, and nothing is left of the connection", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const [a] = yield* Scope.provide(
        TestTransport.pair({
          onScopeExit: () => {
            throw new Error("thrown")
          }
        }),
        scope
      )
      const exit = yield* Effect.exit(Scope.close(scope, Exit.void))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      const closed = yield* Effect.forkChild(errorOf(a.closed))
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      assert.isDefined(closed.pollUnsafe())
    }))

  it.effect("an earlier explicit close wins", () =>
    Effect.gen(function*() {
      const { ended, layer } = yield* observed
      yield* Effect.exit(Effect.provide(
        Effect.gen(function*() {
          const transport = yield* Transport.Transport
          yield* transport.close
          return yield* Effect.fail("later")
        }),
        layer
      ))
      assert.strictEqual(yield* ended, "end")
    }))

  it.effect("a failure caught inside needs orAbort", () =>
    Effect.gen(function*() {
      const without = yield* observed
      yield* Effect.provide(Effect.exit(Effect.andThen(program, Effect.fail("caught"))), without.layer)
      assert.strictEqual(yield* without.ended, "end")

      const withIt = yield* observed
      yield* Effect.provide(
        Effect.exit(Transport.orAbort(Effect.andThen(program, Effect.fail("caught")))),
        withIt.layer
      )
      assert.strictEqual(yield* withIt.ended, "reset")
    }))

  it.effect("orAbort tells why to whoever waits for the end", () =>
    Effect.gen(function*() {
      const { layer } = yield* observed
      const error = yield* Effect.provide(
        Effect.flatMap(Transport.Transport, (transport) =>
          Effect.andThen(
            Effect.exit(Transport.orAbort(Effect.fail("caught"))),
            errorOf(transport.closed)
          )),
        layer
      )
      assert.deepStrictEqual(error.cause, Cause.fail("caught"))
    }))

  it.effect("a ManagedRuntime disposes with success, whatever its programs did", () =>
    Effect.gen(function*() {
      const { ended, layer } = yield* observed
      const runtime = ManagedRuntime.make(layer)
      yield* Effect.promise(() => runtime.runPromiseExit(Effect.andThen(program, Effect.fail("failure"))))
      yield* Effect.promise(() => runtime.dispose())
      assert.strictEqual(yield* ended, "end")
    }))

  it.effect("one layer value used in two places is one connection, and Layer.fresh makes two", () =>
    Effect.gen(function*() {
      const ids = Effect.gen(function*() {
        return (yield* Transport.Transport).info.id
      })
      const { layer } = yield* observed
      const one = Layer.effectDiscard(ids).pipe(Layer.provideMerge(layer))
      const shared = yield* Effect.scoped(Effect.gen(function*() {
        const memo = yield* Layer.makeMemoMap
        const scope = yield* Effect.scope
        const first = yield* Layer.buildWithMemoMap(one, memo, scope)
        const second = yield* Layer.buildWithMemoMap(layer, memo, scope)
        const third = yield* Layer.buildWithMemoMap(Layer.fresh(layer), memo, scope)
        const idIn = (context: typeof second) => Effect.provide(ids, context)
        return [yield* idIn(first), yield* idIn(second), yield* idIn(third)]
      }))
      assert.strictEqual(shared[0], shared[1])
      assert.notStrictEqual(shared[0], shared[2])
    }))

  it.effect("what a close at the end of a scope lost is a warning, and closed fails with it", () =>
    Effect.gen(function*() {
      const logged: Array<string> = []
      const logger = Logger.make<unknown, void>(({ message }) => void logged.push(String(message)))
      const network = yield* Effect.provide(Network.Network, yield* Layer.build(TestTransport.layerNetwork))
      const listener = yield* network.listen("memory:deaf")
      const scope = yield* Scope.make()
      const a = yield* Scope.provide(network.connect("memory:deaf"), scope)
      yield* listener.accept
      yield* Effect.forkChild(a.write(new Uint8Array(1_000_000)))
      yield* Effect.yieldNow
      yield* Effect.provide(Scope.close(scope, Exit.void), Logger.layer([logger]))
      assert.isTrue(logged.some((line) => line.includes("bytes of output lost")), logged.join())
      assert.strictEqual((yield* errorOf(a.closed)).reason._tag, "TimedOut")
    }))

  it.effect("what the peer's reset lost is a warning too, with how much it was", () =>
    Effect.gen(function*() {
      const logged: Array<string> = []
      const logger = Logger.make<unknown, void>(({ message }) => void logged.push(String(message)))
      const scope = yield* Scope.make()
      const [c] = yield* Effect.provide(
        Effect.scoped(Effect.gen(function*() {
          const pair = yield* TestTransport.lockstepPair()
          yield* Effect.forkIn(pair[0].write(bytes("lost")), scope, { startImmediately: true })
          yield* pair[1].abort
          return pair
        })),
        Logger.layer([logger])
      )
      assert.strictEqual((yield* errorOf(c.closed)).reason._tag, "Reset")
      assert.deepStrictEqual(
        logged.map((line) => line.slice(0, line.indexOf(":"))),
        ["a scope ended with 4 bytes of output lost"]
      )
    }))
})

describe("close", () => {
  it.effect("waits for the peer, and gives up at its time limit", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair({ closeTimeout: "5 seconds" })
      yield* Effect.forkChild(a.write(new Uint8Array(1_000_000)))
      yield* Effect.yieldNow
      const closing = yield* Effect.forkChild(errorOf(a.close))
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(closing)
      assert.deepStrictEqual(error.reason, new TransportError.TimedOut({ phase: "flush" }))
      assert.strictEqual((yield* errorOf(Transport.readUntilEnd(b))).reason._tag, "Reset")
    }))
})

describe("abortWith", () => {
  it.effect("keeps its cause when the other end aborts in turn", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      yield* Effect.forkChild(Effect.onError(Connection.take(b), () => a.abortWith(Cause.fail("second"))), {
        startImmediately: true
      })
      const first = Cause.fail("first")
      yield* a.abortWith(first)
      assert.strictEqual((yield* errorOf(Connection.take(a))).cause, first)
      assert.strictEqual((yield* errorOf(a.closed)).cause, first)
    }))

  it.effect("tells the cause to whoever waits", () =>
    Effect.gen(function*() {
      const [a] = yield* TestTransport.pair()
      const waiting = yield* Effect.forkChild(errorOf(Connection.take(a)))
      yield* Effect.yieldNow
      const cause = Cause.fail("the reason")
      yield* a.abortWith(cause)
      const error = yield* Fiber.join(waiting)
      assert.deepStrictEqual(error.reason, new TransportError.Closed({ by: "abort" }))
      assert.strictEqual(error.cause, cause)
      assert.strictEqual((yield* errorOf(a.closed)).cause, cause)
    }))
})

describe("a wire", () => {
  const wired = (wire: Partial<Wire.Wire>, reasonOf?: () => TransportError.Reason) =>
    Effect.gen(function*() {
      const options = yield* Wire.resolveOptions(undefined, { operation: "open", endpoint: "memory:wire" })
      const ports: Array<Wire.Port> = []
      const calls: Array<string> = []
      const released = (how: string) => () => {
        calls.push(how)
        queueMicrotask(() => ports[0]!.released())
      }
      const info = {
        id: 1,
        endpoint: { _tag: "memory", name: "wire" },
        local: Option.none(),
        peer: Option.none()
      } as const
      const transport = yield* Wire.toTransport((port) => {
        ports.push(port)
        return {
          lingers: false,
          write: () => true,
          end: () => port.finished(),
          reset: released("reset"),
          release: released("release"),
          resume: () => {},
          suspend: () => {},
          ...wire
        }
      }, { info, options, scopeExit: "now", reasonOf })
      return { transport, port: ports[0]!, calls }
    })

  it.effect("that ends at once is let go once", () =>
    Effect.gen(function*() {
      const { calls, transport } = yield* wired({})
      yield* transport.close
      assert.deepStrictEqual(calls, ["release"])
    }))

  it.effect("that throws has broken the connection", () =>
    Effect.gen(function*() {
      for (const method of ["write", "end"] as const) {
        const native = new Error("thrown")
        const { calls, transport } = yield* wired({
          [method]: () => {
            throw native
          }
        })
        yield* transport.write(bytes("x"))
        const error = yield* errorOf(Effect.andThen(transport.flush, transport.close))
        assert.strictEqual(error.reason._tag, "Reset")
        assert.strictEqual(error.cause, native)
        assert.deepStrictEqual(calls, ["release"])
      }
    }))

  it.effect("whose reasons throw fails those who wait, and not its reporter", () =>
    Effect.gen(function*() {
      const { port, transport } = yield* wired({}, () => {
        throw new Error("thrown")
      })
      const waiting = yield* Effect.forkChild(Effect.exit(transport.closed), { startImmediately: true })
      yield* Effect.forkChild(Effect.exit(Connection.take(transport)), { startImmediately: true })
      port.broken(new Error("native"))
      const exit = yield* Fiber.join(waiting)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
    }))
})

describe.each([
  { name: "in the read callback", way: (transport: Transport.Transport) => transport },
  { name: "by batch", way: (transport: Transport.Transport): Transport.Transport => ({ ...transport }) }
])("Transport.react, $name", ({ way }) => {
  /** Answers each byte with its double, and tells it as an event. */
  const doubling: Machine.Machine<never, number, "seven"> = {
    receive: (bytes, out) => {
      for (const byte of bytes) {
        if (byte === 7) return "seven"
        out.bytes(Uint8Array.of(byte * 2))
        out.event(byte)
      }
      return undefined
    },
    command: () => undefined,
    end: (out) => {
      out.bytes(Uint8Array.of(255))
      return undefined
    },
    due: () => undefined
  }

  it.effect("runs a machine where bytes arrive, until the peer's end", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const events: Array<number> = []
      const reacting = yield* Effect.forkChild(Transport.react(way(b), doubling, (event) => events.push(event)))
      yield* a.write(Uint8Array.of(1, 2))
      assert.deepStrictEqual(Array.from(yield* Transport.readExactly(a, 2)), [2, 4])
      yield* a.write(Uint8Array.of(3))
      yield* a.halfClose
      assert.deepStrictEqual(Array.from(yield* Transport.readExactly(a, 2)), [6, 255])
      yield* Fiber.join(reacting)
      assert.deepStrictEqual(events, [1, 2, 3])
    }))

  it.effect("ends with the machine's error, after what it had sent", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const reacting = yield* Effect.forkChild(Effect.flip(Transport.react(way(b), doubling)))
      yield* a.write(Uint8Array.of(1, 7, 2))
      assert.strictEqual(yield* Fiber.join(reacting), "seven")
      assert.deepStrictEqual(Array.from(yield* Transport.readExactly(a, 1)), [2])
    }))

  it.effect("ends with the machine's error also where nothing can be sent any more", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      yield* a.write(Uint8Array.of(7))
      yield* b.halfClose
      assert.strictEqual(yield* Effect.flip(Transport.react(way(b), doubling)), "seven")
    }))

  it.effect("leaves to the next reader what the machine has not seen", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      for (const byte of [1, 7, 2, 3]) yield* Effect.andThen(a.write(Uint8Array.of(byte)), a.flush)
      assert.strictEqual(yield* Effect.flip(Transport.react(way(b), doubling)), "seven")
      assert.deepStrictEqual(Array.from(yield* Transport.readExactly(b, 2)), [2, 3])
    }))

  it.effect("holds the reader, and frees it when it is interrupted", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const reacting = yield* Effect.forkChild(Transport.react(way(b), doubling), { startImmediately: true })
      assert.strictEqual((yield* errorOf(Connection.take(b))).reason._tag, "Busy")
      yield* Fiber.interrupt(reacting)
      yield* a.write(Uint8Array.of(9))
      assert.deepStrictEqual(Array.from(yield* Connection.take(b)), [9])
    }))

  it.effect("takes no more input than it can answer", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair({ highWaterMark: 1000, readMark: 100 })
      // A hundredfold answer, some of it copied and some by reference.
      const amplifying: Machine.Machine<never, number, "seven"> = {
        ...doubling,
        receive: (bytes, out) => {
          for (const byte of bytes) out.bytes(new Uint8Array(byte === 1 ? 100 : 20_000).fill(byte))
          return undefined
        },
        end: () => undefined
      }
      const reacting = yield* Effect.forkChild(Transport.react(way(b), amplifying))
      const asking = yield* Effect.forkChild(Effect.gen(function*() {
        for (let i = 0; i < 300; i++) yield* Effect.andThen(a.write(Uint8Array.of(1 + i % 2)), a.flush)
        yield* a.halfClose
      }))
      let held = 0
      let answered = 0
      while (answered < 150 * 20_100) {
        held = Math.max(held, (yield* b.buffered).writing)
        answered += (yield* Connection.take(a)).length
      }
      yield* Fiber.join(asking)
      yield* Fiber.join(reacting)
      assert.strictEqual(answered, 150 * 20_100)
      // The mark and the answer to one chunk, which is a hundred bytes at the most.
      assert.isAtMost(held, 1000 + 50 * 20_100)
    }))

  it.effect("ends when an event ends the connection", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      yield* a.write(Uint8Array.of(1))
      const error = yield* Effect.flip(Transport.react(way(b), doubling, () => Effect.runSync(b.abort)))
      if (error === "seven") throw new Error("the machine ended it")
      assert.strictEqual(error.reason._tag, "Closed")
    }))

  it.effect("says of an answer that was on its way that it may have gone out", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const answering = {
        ...doubling,
        receive: (_: Uint8Array, out: Machine.MachineOut<number>) => {
          out.bytes(new Uint8Array(200_000))
          return undefined
        }
      }
      const reacting = yield* Effect.forkChild(Effect.flip(Transport.react(way(b), answering)))
      yield* Effect.yieldNow
      yield* a.write(Uint8Array.of(1))
      yield* a.flush
      yield* a.abort
      const error = yield* Fiber.join(reacting)
      if (error === "seven") throw new Error("the machine ended it")
      assert.deepStrictEqual([error.reason._tag, error.delivery], ["Reset", "Unknown"])
    }))

  it.effect("dies of what the machine throws", () =>
    Effect.gen(function*() {
      for (const [first, part] of [[Uint8Array.of(1), "receive"], [undefined, "end"]] as const) {
        const [a, b] = yield* TestTransport.pair()
        const throwing = {
          ...doubling,
          [part]: () => {
            throw new Error("broken machine")
          }
        }
        if (first !== undefined) yield* a.write(first)
        yield* a.halfClose
        const exit = yield* Effect.exit(Transport.react(way(b), throwing))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
        assert.strictEqual((yield* Transport.readUntilEnd(b)).length, 0)
      }
    }))

  it.effect("ends with what ended the connection", () =>
    Effect.gen(function*() {
      for (
        const [end, reason, operation] of [
          [(a: Transport.Transport) => a.abort, "Reset", "read"],
          [(_: unknown, b: Transport.Transport) => b.close, "Closed", "read"],
          [
            (a: Transport.Transport, b: Transport.HalfCloseableTransport) =>
              Effect.andThen(b.halfClose, a.write(Uint8Array.of(1))),
            "Closed",
            "write"
          ]
        ] as const
      ) {
        const [a, b] = yield* TestTransport.pair()
        const reacting = yield* Effect.forkChild(Effect.flip(Transport.react(way(b), doubling)))
        yield* Effect.yieldNow
        yield* Effect.forkChild(end(a, b))
        const error = yield* Fiber.join(reacting)
        if (error === "seven") throw new Error("the machine ended it")
        assert.deepStrictEqual([error.reason._tag, error.operation], [reason, operation])
      }
    }))
})

describe("options", () => {
  it.effect("that are left out have their defaults", () =>
    Effect.gen(function*() {
      const { onScopeExit, ...resolved } = yield* Wire.resolveOptions(undefined, { operation: "open", endpoint: "x" })
      assert.deepStrictEqual(resolved, {
        highWaterMark: 65_536,
        lowWaterMark: 16_384,
        readMark: 65_536,
        closeTimeout: Duration.seconds(5),
        lingerDuration: Duration.seconds(1),
        lingerBytesMax: 262_144,
        onPeerEnd: "keep",
        truncation: "fail"
      })
      assert.deepStrictEqual(
        [Exit.void, Exit.fail("failure"), Exit.interrupt()].map(onScopeExit),
        ["close", "abort", "abort"]
      )
    }))

  it.effect("that are wrong are refused, with the field that is wrong", () =>
    Effect.gen(function*() {
      const wrong: ReadonlyArray<readonly [string, Transport.TransportOptions]> = [
        ["highWaterMark", { highWaterMark: -1 }],
        ["highWaterMark", { highWaterMark: 1.5 }],
        ["highWaterMark", { highWaterMark: NaN }],
        ["highWaterMark", { highWaterMark: "64" as unknown as number }],
        ["lowWaterMark", { highWaterMark: 4, lowWaterMark: 5 }],
        ["lowWaterMark", { highWaterMark: 0, lowWaterMark: 1 }],
        ["readMark", { readMark: -1 }],
        ["closeTimeout", { closeTimeout: -1 }],
        ["closeTimeout", { closeTimeout: "soon" as unknown as number }],
        ["linger.duration", { linger: { duration: -1 } }],
        ["linger.bytesMax", { linger: { bytesMax: -1 } }],
        ["truncation", { truncation: "maybe" as unknown as "fail" }],
        ["onPeerEnd", { onPeerEnd: "stay" as unknown as "keep" }],
        ["onScopeExit", { onScopeExit: "close" as unknown as () => "close" }]
      ]
      for (const [field, options] of wrong) {
        const { reason } = yield* errorOf(Effect.scoped(TestTransport.pair(options)))
        assert.strictEqual(reason._tag === "InvalidOption" && reason.field, field)
      }
    }))
})
