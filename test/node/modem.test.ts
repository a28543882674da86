/** The driver of `scratchpad/examples/modem.ts`, over each medium that it is to run over, and against an unruly modem. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, type Scope } from "effect"
import { Network, Serial, TestSerial, TestTransport, Transport } from "effect-transport"
import { NodeTransport, SerialDevice, SerialPorts } from "effect-transport/node"
import { TestClock } from "effect/testing"
import { join } from "node:path"
import * as Modem from "../../scratchpad/examples/modem.ts"
import { run } from "../support/programs.ts"
import { portPair } from "../support/ptys.ts"
import * as SerialBench from "../support/serialBench.ts"
import { describeWith } from "../support/systemPrograms.ts"

type Ends = readonly [driver: Transport.Transport, modem: Transport.Transport]

const overTcp = Effect.gen(function*() {
  const { connect, listen } = yield* Network.Network
  const listener = yield* listen("tcp://127.0.0.1:0")
  return yield* Effect.all([connect(listener.endpoint), listener.accept], { concurrency: 2 })
}).pipe(Effect.provide(NodeTransport.layerNetwork))

const cable = Effect.map(
  Effect.provide(
    Effect.all([Serial.open("serial:///dev/driver"), Serial.open("serial:///dev/modem")]),
    TestSerial.layerCable("/dev/driver", "/dev/modem")
  ),
  ([driver, modem]) => [driver.transport, modem.transport] as const
)

const media: { readonly [name: string]: Effect.Effect<Ends, unknown, Scope.Scope> } = {
  memory: TestTransport.pair(),
  lockstep: TestTransport.lockstepPair(),
  tcp: overTcp,
  cable
}

const expected = { signal: 20, event: "RING", refused: "AT+NONSENSE was answered with ERROR" }

const conversing = (ends: Effect.Effect<Ends, unknown, Scope.Scope>) => () =>
  Effect.scoped(Effect.gen(function*() {
    const [driver, wire] = yield* ends
    yield* Effect.forkScoped(Modem.simulated(wire))
    assert.deepStrictEqual(yield* Effect.provideService(Modem.converse, Transport.Transport, driver), expected)
  }))

describe.for(Object.entries(media))("The modem driver over %s", ([, ends]) => {
  it.live("has its conversation", conversing(ends))
})

describeWith(["socat"], "The modem driver over pseudoterminals", () => {
  it.live("has its conversation", conversing(Effect.map(portPair(), ({ a, b }) => [a.transport, b.transport])))
})

const bytes = (text: string) => new TextEncoder().encode(text)

/** A driver, and the wire at whose other end the test plays the modem. */
const driven = Effect.gen(function*() {
  const [driver, wire] = yield* TestTransport.pair()
  const modem = yield* Effect.provideService(Modem.make, Transport.Transport, driver)
  const hear = (text: string) =>
    Effect.map(
      Transport.readExactly(wire, text.length),
      (heard) => assert.strictEqual(new TextDecoder().decode(heard), text)
    )
  const say = (...lines: ReadonlyArray<string>) => wire.write(bytes(lines.map((line) => `\r\n${line}\r\n`).join("")))
  return { modem, wire, hear, say }
})

/** Lets every fiber take its turn, while the clock stands still. */
const settle = Effect.forEach(Array.from({ length: 30 }), () => Effect.yieldNow, { discard: true })

describe("The modem driver", () => {
  it.effect("sends one command at a time", () =>
    Effect.gen(function*() {
      const { hear, modem, say, wire } = yield* driven
      const asking = yield* Effect.forkChild(Effect.all([modem.command("ATI"), modem.command("AT+GMR")], {
        concurrency: 2
      }))
      yield* hear("ATI\r\n")
      yield* settle
      assert.strictEqual((yield* wire.buffered).reading, 0)
      yield* say("Acme", "Modem 7", "OK")
      yield* hear("AT+GMR\r\n")
      yield* say("1.0", "OK")
      assert.deepStrictEqual(yield* Fiber.join(asking), [["Acme", "Modem 7"], ["1.0"]])
    }))

  it.effect.each(["ERROR", "+CME ERROR: 10", "NO CARRIER"])(
    "fails by name with %s, and goes on",
    (result) =>
      Effect.gen(function*() {
        const { hear, modem, say } = yield* driven
        const asking = yield* Effect.forkChild(Effect.flip(modem.command("ATD1")))
        yield* hear("ATD1\r\n")
        yield* say(result)
        assert.deepStrictEqual(yield* Fiber.join(asking), new Modem.CommandFailed({ command: "ATD1", result }))
        const next = yield* Effect.forkChild(modem.command("AT"))
        yield* hear("AT\r\n")
        yield* say("OK")
        assert.deepStrictEqual(yield* Fiber.join(next), [])
      })
  )

  it.effect("keeps what nobody asked for apart, the last 16 of it", () =>
    Effect.gen(function*() {
      const { hear, modem, say } = yield* driven
      const asking = yield* Effect.forkChild(modem.signal)
      yield* hear("AT+CSQ\r\n")
      yield* say("RING", "+CSQ: 7,99", "RING", "OK")
      assert.strictEqual(yield* Fiber.join(asking), 7)
      yield* say(...Array.from({ length: 20 }, (_, i) => `+CMTI: ${i}`))
      yield* settle
      assert.strictEqual(yield* modem.event, "+CMTI: 4")
    }))

  it.effect("does not take the answer of an interrupted command for that of the next", () =>
    Effect.gen(function*() {
      const { hear, modem, say, wire } = yield* driven
      const first = yield* Effect.forkChild(modem.command("AT+ONE"))
      yield* hear("AT+ONE\r\n")
      const second = yield* Effect.forkChild(modem.command("AT+TWO"))
      const third = yield* Effect.forkChild(modem.command("AT+THREE"))
      yield* settle
      yield* Fiber.interrupt(first)
      yield* Fiber.interrupt(second)
      yield* settle
      assert.strictEqual((yield* wire.buffered).reading, 0)
      yield* say("one", "OK")
      // The second had not begun, and was never sent.
      yield* hear("AT+THREE\r\n")
      yield* say("three", "OK")
      assert.deepStrictEqual(yield* Fiber.join(third), ["three"])
    }))

  it.effect("gives up after five seconds, and ends the connection", () =>
    Effect.gen(function*() {
      const { modem, wire } = yield* driven
      const asking = yield* Effect.forkChild(Effect.flip(modem.command("AT+SILENCE")))
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* Fiber.join(asking), new Modem.NoAnswer({ command: "AT+SILENCE" }))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(wire.closed)))
    }))

  it.effect("wakes whoever waits when the line is lost", () =>
    Effect.gen(function*() {
      const { hear, modem, wire } = yield* driven
      const waiting = yield* Effect.forkChild(
        Effect.all([Effect.flip(modem.command("AT")), Effect.flip(modem.event)], { concurrency: 2 })
      )
      yield* hear("AT\r\n")
      yield* wire.abort
      for (const error of yield* Fiber.join(waiting)) assert.include(String(error), "TransportError")
    }))
})

describe("The modem driver on a device that is plugged in again", () => {
  it.effect("has its conversation with the modem under its new path", () =>
    Effect.gen(function*() {
      const bench = yield* SerialBench.make
      const ids = { vendorId: "2c7c", productId: "0125" }
      const conversing = yield* Modem.converse.pipe(
        SerialDevice.keepConnected(ids),
        Effect.provide(bench.layer),
        Effect.forkChild
      )
      yield* bench.plug(SerialPorts.port({ path: "/dev/ttyUSB2", ...ids }))
      yield* settle
      assert.deepStrictEqual(bench.tried.length, 1)
      // It went in the midst of the first command.
      yield* bench.unplug("/dev/ttyUSB2")
      yield* bench.plug(SerialPorts.port({ path: "/dev/ttyUSB5", ...ids }), Modem.simulated)
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(yield* Fiber.join(conversing), expected)
      assert.deepStrictEqual(bench.tried.map((name) => name.slice(0, 23)), [
        "serial:///dev/ttyUSB2?b",
        "serial:///dev/ttyUSB5?b"
      ])
    }))
})

describe("scratchpad/examples/modem-over.ts", () => {
  it.live("runs by itself", () =>
    Effect.scoped(Effect.gen(function*() {
      const example = join(import.meta.dirname, "../../scratchpad/examples/modem-over.ts")
      const program = yield* run(process.execPath, ["-C", "effect-transport-source", example])
      assert.strictEqual(yield* program.exited, 0, program.output())
      assert.deepStrictEqual(program.output().split("\n"), [
        `memory      ${JSON.stringify(expected)}`,
        `cable       ${JSON.stringify(expected)}`,
        `TCP         ${JSON.stringify(expected)}`,
        ""
      ])
    })))
})
