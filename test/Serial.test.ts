import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import {
  Connection,
  type Endpoint,
  Network,
  Serial,
  SerialBinding,
  TestSerial,
  TestTransport,
  Transport,
  type TransportError
} from "effect-transport"
import { TestClock } from "effect/testing"

const text = (string: string) => new TextEncoder().encode(string)
const untext = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

const reason = <A, R>(effect: Effect.Effect<A, TransportError.TransportError, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason._tag)

const over = (cable: TestSerial.Cable) => Effect.provideService(SerialBinding.SerialBinding, cable.binding)

/** A cable, and how its ends are opened. */
const cabled = Effect.fnUntraced(function*(options?: TestSerial.CableOptions) {
  const cable = yield* TestSerial.makeCable("/dev/a", "/dev/b", options)
  const open = (endpoint: string, options?: Transport.TransportOptions) => over(cable)(Serial.open(endpoint, options))
  return { cable, open }
})

const both = Effect.gen(function*() {
  const { cable, open } = yield* cabled()
  return { cable, a: yield* open("serial:/dev/a"), b: yield* open("serial:/dev/b"), open }
})

const send = ({ transport }: Serial.SerialPort, what: string) =>
  Effect.andThen(transport.write(text(what)), transport.flush)

const receive = ({ transport }: Serial.SerialPort, count: number) =>
  Effect.map(Transport.readExactly(transport, count), untext)

describe("Serial.open", () => {
  it.effect("refuses what is wrong before the device is touched, and names each way to fail", () =>
    Effect.gen(function*() {
      const { cable, open } = yield* cabled()
      assert.strictEqual(yield* reason(open("serial:/dev/a?dataBits=9")), "InvalidOption")
      assert.strictEqual(yield* reason(open("serial:/dev/a", { highWaterMark: -1 })), "InvalidOption")
      assert.strictEqual(yield* reason(open("tcp://127.0.0.1:1")), "Unsupported")
      assert.strictEqual(yield* reason(open("serial:/dev/c")), "NotFound")
      yield* Effect.scoped(
        Effect.andThen(
          cable.a.deny,
          Effect.map(reason(open("serial:/dev/a")), (tag) => assert.strictEqual(tag, "PermissionDenied"))
        )
      )
      yield* open("serial:/dev/a")
      assert.strictEqual(yield* reason(open("serial:/dev/a")), "Busy")
    }))

  it.effect("gives the device back when its scope ends, and to nobody else's harm later", () =>
    Effect.gen(function*() {
      const { cable, open } = yield* cabled()
      yield* Effect.scoped(open("serial:/dev/a"))
      const first = yield* Scope.make()
      const lost = yield* Scope.provide(open("serial:/dev/a"), first)
      yield* cable.a.unplug
      assert.strictEqual(yield* reason(lost.transport.closed), "Disconnected")
      yield* cable.a.plug
      const second = yield* open("serial:/dev/a")
      yield* Scope.close(first, Exit.void)
      const peer = yield* open("serial:/dev/b")
      yield* send(second, "still")
      assert.strictEqual(yield* receive(peer, 5), "still")
    }))

  it.effect("is reached through a network of serial ports", () =>
    Effect.gen(function*() {
      const { cable, open } = yield* cabled()
      const peer = yield* open("serial:/dev/b")
      const network = Serial.layerNetwork.pipe(Layer.provide(TestSerial.layer(cable)))
      yield* Effect.gen(function*() {
        const transport = yield* Transport.Transport
        yield* transport.write(text("hi"))
        assert.isFalse(Transport.isHalfCloseable(transport))
      }).pipe(Effect.provide(Transport.layer("serial:/dev/a").pipe(Layer.provide(network))))
      assert.strictEqual(yield* receive(peer, 2), "hi")
      const { connect, listen } = yield* Effect.provide(Network.Network, network)
      assert.strictEqual(yield* reason(listen("serial:/dev/a")), "Unsupported")
      assert.strictEqual(yield* reason(connect("tcp://127.0.0.1:1")), "Unsupported")
    }))
})

describe("Serial.portOf", () => {
  it.effect("has the port of a transport, the same one for all who ask", () =>
    Effect.gen(function*() {
      const { cable, open } = yield* cabled()
      const peer = yield* open("serial:/dev/b")
      const network = Serial.layerNetwork.pipe(Layer.provide(TestSerial.layer(cable)))
      yield* Effect.gen(function*() {
        const transport = yield* Transport.Transport
        const port = yield* Serial.portOf(transport)
        assert.strictEqual(port.transport, transport)
        yield* port.setLines({ rts: false })
        // Whoever asks later adds to what was set before.
        const again = yield* Serial.portOf(transport)
        yield* again.setLines({ dtr: false })
        assert.deepStrictEqual(yield* peer.lines, { cts: false, dsr: false, dcd: false })
        yield* transport.close
        assert.strictEqual(yield* reason(port.setLines({ dtr: true })), "Closed")
      }).pipe(Effect.provide(Transport.layer("serial:/dev/a").pipe(Layer.provide(network))))
      assert.strictEqual(yield* Serial.portOf(peer.transport), peer)
    }))

  it.effect("is Unsupported for any other transport, and for one that wraps a port's", () =>
    Effect.gen(function*() {
      const { open } = yield* cabled()
      const [memory] = yield* TestTransport.pair()
      const { transport } = yield* open("serial:/dev/a")
      for (const other of [memory, { ...transport }]) {
        assert.strictEqual(yield* reason(Serial.portOf(other)), "Unsupported")
      }
      const { message } = yield* Effect.flip(Serial.portOf(memory))
      assert.include(message, "a serial port under this transport is not supported")
    }))
})

/** A binding whose devices are told their lines one by one, as the test lets them. */
const slowly = (binding: SerialBinding.SerialBinding["Service"]) => {
  const told: Array<string> = []
  const gates: Array<Deferred.Deferred<void>> = []
  const open = (endpoint: Endpoint.SerialEndpoint) =>
    Effect.map(binding.open(endpoint), (device): SerialBinding.Device => ({
      ...device,
      setLines: (lines) =>
        Effect.gen(function*() {
          const { break: brk, dtr, rts } = lines
          told.push([dtr ? "dtr" : "", rts ? "rts" : "", brk ? "break" : ""].join(" ").trim())
          const gate = Deferred.makeUnsafe<void>()
          gates.push(gate)
          yield* Deferred.await(gate)
          yield* device.setLines(lines)
        })
    }))
  return { told, binding: { open }, next: Effect.suspend(() => Deferred.succeed(gates.shift()!, undefined)) }
}

describe("lines", () => {
  it.effect("and breaks that are set at once come one after another, each with what the one before has set", () =>
    Effect.gen(function*() {
      const { binding, b } = yield* Effect.map(cabled(), ({ cable: { binding } }) => ({ binding, b: "serial:/dev/b" }))
      const { binding: slow, next, told } = slowly(binding)
      const port = yield* Effect.provideService(Serial.open("serial:/dev/a"), SerialBinding.SerialBinding, slow)
      const peer = yield* Effect.provideService(Serial.open(b), SerialBinding.SerialBinding, binding)
      const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })
      const rts = yield* fork(port.setLines({ rts: false }))
      const breaking = yield* fork(port.sendBreak("1 hour"))
      const waiting = yield* fork(port.setLines({ rts: true }))
      const dtr = yield* fork(port.setLines({ dtr: false }))
      assert.deepStrictEqual(told, ["dtr"])
      // It had not begun, and sets nothing.
      yield* Fiber.interrupt(waiting)
      yield* next
      yield* Fiber.join(rts)
      yield* Effect.yieldNow
      assert.deepStrictEqual(told, ["dtr", "dtr  break"])
      yield* next
      yield* Effect.repeat(Effect.yieldNow, { until: () => told.length === 3 })
      // Interrupted in the middle of a call, it waits for that, and the break for it.
      const ending = yield* fork(Fiber.interrupt(breaking))
      assert.deepStrictEqual(told, ["dtr", "dtr  break", "break"])
      yield* next
      yield* Fiber.join(dtr)
      yield* Effect.repeat(Effect.yieldNow, { until: () => told.length === 4 })
      assert.strictEqual(told[3], "")
      yield* next
      yield* Fiber.join(ending)
      assert.deepStrictEqual(yield* peer.lines, { cts: false, dsr: false, dcd: false })
    }))

  it.effect("are the other end's, and what is set is merged with the last state", () =>
    Effect.gen(function*() {
      const { a, b } = yield* both
      assert.deepStrictEqual(yield* a.lines, { cts: true, dsr: true, dcd: true })
      yield* b.setLines({ rts: false })
      assert.deepStrictEqual(yield* a.lines, { cts: false, dsr: true, dcd: true })
      yield* b.setLines({ dtr: false })
      assert.deepStrictEqual(yield* a.lines, { cts: false, dsr: false, dcd: false })
      yield* b.setLines({ rts: true })
      assert.deepStrictEqual(yield* a.lines, { cts: true, dsr: false, dcd: false })
      assert.strictEqual(yield* reason(b.setLines({ cts: true } as object)), "InvalidOption")
      assert.strictEqual(yield* reason(b.setLines({ rts: 1 as unknown as boolean })), "InvalidOption")
      assert.strictEqual(yield* reason(Effect.suspend(() => b.setLines(null as unknown as object))), "InvalidOption")
      yield* b.transport.close
      assert.deepStrictEqual(yield* a.lines, { cts: false, dsr: false, dcd: false })
      assert.strictEqual(yield* reason(b.lines), "Closed")
      assert.strictEqual(yield* reason(b.setLines({ rts: true })), "Closed")
    }))

  it.effect("stay up after a close without hupcl, and are forced by a test", () =>
    Effect.gen(function*() {
      const { cable, open } = yield* cabled()
      const a = yield* open("serial:/dev/a")
      yield* Effect.scoped(open("serial:/dev/b?hupcl=false"))
      assert.deepStrictEqual(yield* a.lines, { cts: true, dsr: true, dcd: true })
      yield* cable.a.see({ dcd: false })
      assert.deepStrictEqual(yield* a.lines, { cts: true, dsr: true, dcd: false })
    }))

  it.effect("are Unsupported where there are none", () =>
    Effect.gen(function*() {
      const { open } = yield* cabled({ hasLines: false })
      const a = yield* open("serial:/dev/a")
      for (const effect of [a.lines, a.setLines({ dtr: false }), a.sendBreak(1), Effect.scoped(a.holdBreak)]) {
        assert.strictEqual(yield* reason(effect), "Unsupported")
      }
    }))

  it.effect("changes begin with what is, come when a look finds one, and end with the port", () =>
    Effect.gen(function*() {
      const { a, b } = yield* both
      const seen: Array<boolean> = []
      const watching = yield* Effect.forkChild(
        Effect.flip(Stream.runForEach(a.changes(), ({ cts }) => Effect.sync(() => seen.push(cts)))),
        { startImmediately: true }
      )
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(seen, [true])
      yield* b.setLines({ rts: false })
      assert.deepStrictEqual(seen, [true])
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(seen, [true, false])
      yield* a.transport.close
      yield* TestClock.adjust("100 millis")
      assert.strictEqual((yield* Fiber.join(watching)).reason._tag, "Closed")
      for (const period of [0, "2 minutes", "soon"] as ReadonlyArray<number>) {
        assert.strictEqual(yield* reason(Stream.runDrain(b.changes({ period }))), "InvalidOption")
      }
    }))
})

describe("break", () => {
  it.effect("holds the line for so long, and is read as a NUL", () =>
    Effect.gen(function*() {
      const { a, b } = yield* both
      const sending = yield* Effect.forkChild(a.sendBreak("250 millis"), { startImmediately: true })
      yield* a.transport.write(text("after"))
      yield* TestClock.adjust("249 millis")
      assert.deepStrictEqual(yield* b.transport.buffered, { reading: 0, writing: 0 })
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(sending)
      assert.strictEqual(yield* receive(b, 6), "\0after")
      assert.strictEqual(yield* reason(a.sendBreak("for ever" as "1 day")), "InvalidOption")
    }))

  it.effect("ends when it is interrupted, and with its last holder", () =>
    Effect.gen(function*() {
      const { a, b } = yield* both
      const sending = yield* Effect.forkChild(a.sendBreak("1 hour"), { startImmediately: true })
      const held = yield* Scope.make()
      yield* Scope.provide(a.holdBreak, held)
      // The lines are set beside it, and leave it as it is.
      yield* a.setLines({ rts: false })
      yield* Fiber.interrupt(sending)
      yield* a.transport.write(text("x"))
      assert.strictEqual((yield* b.transport.buffered).reading, 0)
      yield* Scope.close(held, Exit.void)
      assert.strictEqual(yield* receive(b, 2), "\0x")
      assert.isFalse((yield* b.lines).cts)
    }))

  it.effect("needs no end on a port that has ended", () =>
    Effect.gen(function*() {
      const { a, cable } = yield* both
      const sending = yield* Effect.forkChild(Effect.exit(a.sendBreak("1 second")), { startImmediately: true })
      yield* cable.a.unplug
      yield* TestClock.adjust("1 second")
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(sending)))
    }))
})

describe("flush and drain", () => {
  it.effect("input that nobody has read is dropped, and output that waits", () =>
    Effect.gen(function*() {
      const { a, b, cable } = yield* both
      yield* send(a, "junk")
      yield* b.flush("output")
      assert.strictEqual((yield* b.transport.buffered).reading, 4)
      yield* b.flush("input")
      assert.strictEqual((yield* b.transport.buffered).reading, 0)
      yield* Effect.scoped(Effect.gen(function*() {
        yield* cable.a.stall
        yield* Effect.forkChild(send(a, "stale"), { startImmediately: true })
        yield* a.flush("output")
      }))
      yield* send(a, "good")
      assert.strictEqual(yield* receive(b, 4), "good")
      assert.strictEqual(yield* reason(a.flush("all" as "both")), "InvalidOption")
    }))

  it.effect("drains within a bound; a write that is stuck is waited for no longer", () =>
    Effect.gen(function*() {
      const { a, b, cable } = yield* both
      yield* a.drain()
      const stall = yield* Scope.make()
      yield* Scope.provide(cable.a.stall, stall)
      yield* a.transport.write(text("late"))
      const draining = yield* Effect.forkChild(Effect.exit(reason(a.drain())), { startImmediately: true })
      const setting = yield* Effect.forkChild(reason(a.setBaudRate(300)), { startImmediately: true })
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(draining.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(draining), Exit.succeed("TimedOut" as const))
      assert.strictEqual(yield* Fiber.join(setting), "TimedOut")
      const again = yield* Effect.forkChild(a.drain(), { startImmediately: true })
      yield* Scope.close(stall, Exit.void)
      yield* Fiber.join(again)
      // The rate is what it was.
      assert.strictEqual(yield* receive(b, 4), "late")
    }))

  it.effect("two drains wait for the same bytes, and one that is interrupted leaves the other", () =>
    Effect.gen(function*() {
      const { a, b, cable } = yield* both
      const stall = yield* Scope.make()
      yield* Scope.provide(cable.a.stall, stall)
      yield* a.transport.write(text("late"))
      const drains = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(a.drain(), { startImmediately: true }))
      yield* Fiber.interrupt(drains[1]!)
      assert.deepStrictEqual(drains.map((drain) => drain.pollUnsafe() === undefined), [true, false, true])
      yield* Scope.close(stall, Exit.void)
      yield* Fiber.join(drains[0]!)
      yield* Fiber.join(drains[2]!)
      assert.strictEqual(yield* receive(b, 4), "late")
    }))

  it.effect("two flushes at once drop what was there, and nothing that comes after them", () =>
    Effect.gen(function*() {
      const { a, b } = yield* both
      yield* send(a, "junk")
      yield* Effect.all([b.flush("input"), b.flush("both"), b.flush("output")], { concurrency: 3 })
      yield* send(a, "good")
      assert.strictEqual(yield* receive(b, 4), "good")
    }))

  it.effect("a close in the midst of a write sends all of it, and an abort tells both", () =>
    Effect.gen(function*() {
      for (const isAborted of [false, true]) {
        yield* Effect.scoped(Effect.gen(function*() {
          const { a, b, cable } = yield* both
          const stall = yield* Scope.make()
          yield* Scope.provide(cable.a.stall, stall)
          const bytes = Uint8Array.from({ length: 50_000 }, (_, i) => i % 251)
          const writing = yield* Effect.forkChild(Effect.exit(a.transport.write(bytes)), { startImmediately: true })
          const closing = yield* Effect.forkChild(Effect.exit(a.transport.close), { startImmediately: true })
          const draining = yield* Effect.forkChild(Effect.exit(a.drain()), { startImmediately: true })
          assert.isUndefined(writing.pollUnsafe())
          assert.isUndefined(closing.pollUnsafe())
          if (isAborted) yield* a.transport.abort
          yield* Scope.close(stall, Exit.void)
          const got = isAborted ? undefined : yield* Transport.readExactly(b.transport, bytes.length)
          const [written, closed, drained] = yield* Effect.all([writing, closing, draining].map((fiber) =>
            Fiber.join(fiber as Fiber.Fiber<Exit.Exit<void, TransportError.TransportError>>)
          ))
          if (!isAborted) {
            assert.deepStrictEqual(got, bytes)
          }
          assert.strictEqual(Exit.isSuccess(written!), !isAborted)
          assert.strictEqual(Exit.isSuccess(closed!), !isAborted)
          assert.include(String(drained), `it was ended here, by ${isAborted ? "abort" : "close"}`)
        }))
      }
    }))

  it.effect("a drain that waits is ended by an abort", () =>
    Effect.gen(function*() {
      const { a, cable } = yield* both
      yield* cable.a.stall
      yield* a.transport.write(text("never"))
      const draining = yield* Effect.forkChild(reason(a.drain()), { startImmediately: true })
      yield* a.transport.abort
      assert.strictEqual(yield* Fiber.join(draining), "Closed")
    }))
})

describe("faults of a cable", () => {
  it.effect("other rates, or another parity, make garbage until they agree", () =>
    Effect.gen(function*() {
      const { open } = yield* cabled()
      const a = yield* open("serial:/dev/a?baudRate=9600&parity=even")
      const b = yield* open("serial:/dev/b?baudRate=300&parity=even")
      yield* send(a, "hello")
      assert.notStrictEqual(yield* receive(b, 5), "hello")
      yield* b.setBaudRate(9600)
      yield* send(a, "hello")
      assert.strictEqual(yield* receive(b, 5), "hello")
      yield* b.transport.close
      yield* Effect.scoped(Effect.gen(function*() {
        const odd = yield* open("serial:/dev/b?parity=odd")
        yield* send(a, "hello")
        assert.notStrictEqual(yield* receive(odd, 5), "hello")
      }))
    }))

  it.effect("bytes are lost, garbled and garbage, as many as were asked for", () =>
    Effect.gen(function*() {
      const { a, b, cable } = yield* both
      yield* cable.a.lose(2)
      yield* cable.a.garble(1)
      yield* send(a, "abcd")
      const got = yield* receive(b, 2)
      assert.notStrictEqual(got[0], "c")
      assert.strictEqual(got[1], "d")
      yield* Effect.scoped(Effect.andThen(cable.a.garbage, send(a, "xyz")))
      assert.notInclude(yield* receive(b, 3), "y")
      yield* send(a, "xyz")
      assert.strictEqual(yield* receive(b, 3), "xyz")
    }))

  it.effect("an unplug is Disconnected here and silence there, and what is sent to nobody is lost", () =>
    Effect.gen(function*() {
      const { a, b, cable, open } = yield* both
      const reading = yield* Effect.forkChild(Effect.exit(Connection.take(a.transport)), { startImmediately: true })
      const listening = yield* Effect.forkChild(Connection.take(b.transport), { startImmediately: true })
      yield* cable.a.unplug
      assert.include(String(yield* Fiber.join(reading)), "/dev/a is gone")
      assert.strictEqual(yield* reason(a.transport.write(text("x"))), "Disconnected")
      assert.strictEqual(yield* reason(a.lines), "Disconnected")
      assert.strictEqual(yield* reason(open("serial:/dev/a")), "NotFound")
      yield* send(b, "lost")
      assert.isUndefined(listening.pollUnsafe())
      yield* cable.a.plug
      const again = yield* open("serial:/dev/a")
      yield* send(again, "back")
      assert.strictEqual(untext(yield* Fiber.join(listening)), "back")
      yield* send(b, "hello")
      assert.strictEqual(yield* receive(again, 5), "hello")
    }))

  it.effect("a stuck write does not stop reading, and a close of it is bounded", () =>
    Effect.gen(function*() {
      const { a, b, cable } = yield* both
      yield* cable.a.stall
      const writing = yield* Effect.forkChild(Effect.exit(a.transport.write(new Uint8Array(100_000))), {
        startImmediately: true
      })
      yield* send(b, "hello")
      assert.strictEqual(yield* receive(a, 5), "hello")
      const closing = yield* Effect.forkChild(reason(a.transport.close), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* Fiber.join(closing), "TimedOut")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(writing)))
    }))
})
