import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber } from "effect"
import { Connection, Network, TestTransport, Transport } from "effect-transport"
import { TestClock } from "effect/testing"

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

const say = (what: string) =>
  Effect.flatMap(Transport.HalfCloseableTransport, (transport) => transport.write(bytes(what)))
const hear = (count: number) =>
  Effect.flatMap(Transport.Transport, (transport) => Effect.map(Transport.readExactly(transport, count), text))
const endOurs = Effect.flatMap(Transport.HalfCloseableTransport, (transport) => transport.halfClose)

const { expect, expectEnd, halfClose, oneOf, reset, send, wait } = TestTransport

const run = <A, E>(
  script: ReadonlyArray<TestTransport.Step>,
  program: Effect.Effect<A, E, Transport.TransportService | Transport.HalfCloseableTransportService>
) => Effect.exit(Effect.provide(program, TestTransport.layerScript(script)))

const failureOf = <A, E>(exit: Exit.Exit<A, E>): string => {
  if (Exit.isSuccess(exit)) return "success"
  const error = Cause.squash(exit.cause)
  return error instanceof Error ? error.message : String(error)
}

describe("TestTransport.layerScript", () => {
  it.effect("plays expect, send and ends", () =>
    Effect.gen(function*() {
      const exit = yield* run(
        [expect("hello"), send("wel"), send("come"), halfClose, expectEnd],
        Effect.gen(function*() {
          yield* say("hel")
          yield* say("lo")
          const answer = yield* hear(7)
          yield* endOurs
          return answer
        })
      )
      assert.deepStrictEqual(exit, Exit.succeed("welcome"))
    }))

  it.effect("fails the test when something else arrives, whatever the program catches", () =>
    Effect.gen(function*() {
      const exit = yield* run([expect("hello")], Effect.ignore(Effect.andThen(say("help!"), hear(1))))
      assert.include(failureOf(exit), "step 1 of the script expected \"hello\", and got \"help!\"")
    }))

  it.effect("fails the test when it is not finished", () =>
    Effect.gen(function*() {
      const exit = yield* run([expect("hello"), send("x"), expect("more")], Effect.andThen(say("hello"), hear(1)))
      assert.include(failureOf(exit), "step 3 of the script expected \"more\", and got the end")
      const silent = yield* run([wait(1000), send("x")], Effect.void)
      assert.include(failureOf(silent), "step 1 of the script")
    }))

  it.effect("fails the test when bytes arrive after the last step", () =>
    Effect.gen(function*() {
      assert.include(
        failureOf(yield* run([expect("a")], say("ab"))),
        "step 2 of the script expected nothing more, and got \"b\""
      )
    }))

  it.effect("takes the end of the program for the end of input", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* run([expect("bye"), expectEnd], say("bye")), Exit.void)
    }))

  it.effect("follows the script alone, whatever the options of the program", () =>
    Effect.gen(function*() {
      const script = [expect("q"), expectEnd, send("answer"), halfClose]
      const asking = Effect.andThen(Effect.andThen(say("q"), endOurs), hear(6))
      const exit = yield* Effect.exit(
        Effect.provide(asking, TestTransport.layerScript(script, { onPeerEnd: "close" }))
      )
      assert.deepStrictEqual(exit, Exit.succeed("answer"))
    }))

  it.effect("waits by the clock of the test", () =>
    Effect.gen(function*() {
      const running = yield* Effect.forkChild(run([wait(1000), send("late")], hear(4)))
      yield* TestClock.adjust(999)
      assert.isUndefined(running.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* Fiber.join(running), Exit.succeed("late"))
    }))

  it.effect("resets", () =>
    Effect.gen(function*() {
      const exit = yield* run([expect("x"), reset], Effect.flip(Effect.andThen(say("x"), hear(1))))
      assert.strictEqual(Exit.isSuccess(exit) && exit.value.reason._tag, "Reset")
    }))

  it.effect("follows the alternative that fits", () =>
    Effect.gen(function*() {
      const script = [oneOf([expect("ping"), send("pong")], [expect("pin"), send("dull")], [expectEnd, send("gone")])]
      assert.deepStrictEqual(yield* run(script, Effect.andThen(say("ping"), hear(4))), Exit.succeed("pong"))
      assert.deepStrictEqual(
        yield* run(script, Effect.andThen(Effect.andThen(say("pin"), endOurs), hear(4))),
        Exit.succeed("dull")
      )
      assert.deepStrictEqual(yield* run(script, Effect.andThen(endOurs, hear(4))), Exit.succeed("gone"))
      assert.include(
        failureOf(yield* run(script, say("pop"))),
        "expected one of \"ping\", \"pin\", the end, and got \"pop\""
      )
    }))

  it.effect("refuses a script that makes no sense, before anything else", () =>
    Effect.gen(function*() {
      for (const script of [[reset, send("x")], [oneOf([send("x")])], [wait(-1)]]) {
        const exit = yield* run(script, Effect.void)
        assert.include(failureOf(exit), "script[0] must be")
      }
    }))
})

describe("TestTransport.lockstepPair", () => {
  it.effect("completes a write when the peer has pulled the last byte", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.lockstepPair()
      const writing = yield* Effect.forkChild(a.write(bytes("x")))
      for (let turn = 0; turn < 50; turn++) yield* Effect.yieldNow
      assert.isUndefined(writing.pollUnsafe())
      assert.deepStrictEqual(yield* b.buffered, { reading: 0, writing: 0 })
      assert.strictEqual(text(yield* Connection.take(b)), "x")
      yield* Fiber.join(writing)
    }))
})

describe("TestTransport.layerNetwork", () => {
  const inNetwork = <A, E, R>(effect: Effect.Effect<A, E, R | Network.Network>) =>
    Effect.scoped(Effect.provide(effect, TestTransport.layerNetwork))

  const reasonOf = <A, E extends { readonly reason: { readonly _tag: string } }, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.map(Effect.flip(effect), (error) => error.reason._tag)

  it.effect("refuses, is busy, and does not know other kinds", () =>
    inNetwork(Effect.gen(function*() {
      const network = yield* Network.Network
      assert.strictEqual(yield* reasonOf(network.connect("memory:nobody")), "Refused")
      yield* network.listen("memory:taken")
      assert.strictEqual(yield* reasonOf(network.listen("memory:taken")), "Busy")
      assert.strictEqual(yield* reasonOf(network.connect("tcp://127.0.0.1:1")), "Unsupported")
      assert.strictEqual(yield* reasonOf(network.connect("nonsense" as string)), "InvalidOption")
    })))

  it.effect("keeps what a client wrote before it was accepted", () =>
    inNetwork(Effect.gen(function*() {
      const network = yield* Network.Network
      const listener = yield* network.listen("memory:server")
      const client = yield* network.connect("memory:server")
      yield* client.write(bytes("early"))
      const server = yield* listener.accept
      assert.strictEqual(text(yield* Connection.take(server)), "early")
    })))
})
