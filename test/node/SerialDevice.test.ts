import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Layer, Option, Schedule, SubscriptionRef } from "effect"
import {
  Connection,
  Endpoint,
  Lines,
  Network,
  Protocol,
  Serial,
  SerialBinding,
  TestSerial,
  Transport,
  TransportError,
  Wire
} from "effect-transport"
import { SerialDevice, SerialPorts } from "effect-transport/node"
import { TestClock } from "effect/testing"
import * as SerialBench from "../support/serialBench.ts"

const device = { vendorId: "0403", serialNumber: "A1" }
const at = (path: string) => SerialPorts.port({ path, ...device })
const other = SerialPorts.port({ path: "/dev/ttyACM0", vendorId: "2341" })

/** Answers each line with its own path and that line. */
const answering = (path: string): SerialBench.Device => (wire) =>
  Effect.scoped(Effect.gen(function*() {
    const lines = yield* Protocol.attach(Lines.protocol(), wire)
    yield* Connection.forEach(lines, (batch) => lines.writeAll(batch.map((line) => `${path} ${line}`)))
  }))

const plug = (bench: SerialBench.Bench, path: string) => bench.plug(at(path), answering(path))

const attached = Effect.flatMap(Transport.Transport, (transport) => Protocol.attach(Lines.protocol(), transport))

const ask = (question: string) =>
  Effect.gen(function*() {
    const lines = yield* attached
    yield* lines.write(question)
    return yield* Connection.take(lines)
  })

/** Lets every fiber take its turn, while the clock stands still. */
const settle = Effect.forEach(Array.from({ length: 50 }), () => Effect.yieldNow, { discard: true })

const denied = new TransportError.PermissionDenied()

it("SerialDevice has no other names", () => {
  assert.deepStrictEqual(Object.keys(SerialDevice).toSorted(), ["connect", "keepConnected", "layer", "make"])
})

describe("SerialDevice.connect", () => {
  it.effect("waits for the device, and opens it as it was told to", () =>
    Effect.gen(function*() {
      const bench = yield* SerialBench.make
      const asking = yield* ask("id").pipe(
        Effect.provide(SerialDevice.layer(device, { settings: { baudRate: 115200 } })),
        Effect.scoped,
        Effect.provide(bench.layer),
        Effect.forkChild
      )
      yield* bench.plug(other)
      yield* settle
      assert.deepStrictEqual(bench.tried, [])
      yield* plug(bench, "/dev/ttyUSB7")
      assert.strictEqual(yield* Fiber.join(asking), "/dev/ttyUSB7 id")
      assert.deepStrictEqual(bench.tried, ["serial:///dev/ttyUSB7?baudRate=115200"])
      assert.strictEqual(bench.open(), 0)
    }))

  it.effect("waits with the default settings of an endpoint", () =>
    Effect.gen(function*() {
      const bench = yield* SerialBench.make
      yield* plug(bench, "/dev/ttyUSB0")
      yield* Effect.scoped(SerialDevice.connect(device)).pipe(Effect.provide(bench.layer))
      assert.deepStrictEqual(bench.tried, [Endpoint.format(Endpoint.parseUnsafe("serial:///dev/ttyUSB0"))])
    }))

  it.effect.each([denied, new TransportError.Busy({ what: "device" })])(
    "tries again where it does not open yet: $_tag",
    (reason) =>
      Effect.gen(function*() {
        const bench = yield* SerialBench.make
        bench.refusals.set("/dev/ttyUSB0", reason)
        yield* plug(bench, "/dev/ttyUSB0")
        const opening = yield* Effect.scoped(SerialDevice.connect(device)).pipe(
          Effect.provide(bench.layer),
          Effect.forkChild
        )
        yield* TestClock.adjust("1900 millis")
        assert.strictEqual(bench.tried.length, 20)
        bench.refusals.clear()
        yield* TestClock.adjust("100 millis")
        assert.isTrue(Exit.isSuccess(yield* Fiber.await(opening)))
      })
  )

  it.effect("gives up with the last error after two seconds, or when the schedule of the user ends", () =>
    Effect.gen(function*() {
      const bench = yield* SerialBench.make
      bench.refusals.set("/dev/ttyUSB0", denied)
      yield* plug(bench, "/dev/ttyUSB0")
      const open = (options?: SerialDevice.ConnectOptions) =>
        Effect.scoped(SerialDevice.connect(device, options)).pipe(Effect.provide(bench.layer), Effect.flip)
      assert.strictEqual((yield* open({ opening: Schedule.recurs(2) })).reason, denied)
      assert.strictEqual(bench.tried.splice(0).length, 3)
      const opening = yield* Effect.forkChild(open())
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(opening)).reason, denied)
      assert.strictEqual(bench.tried.length, 21)
    }))

  it.effect("looks again where it went before it opened, and finds it under another path", () =>
    Effect.gen(function*() {
      const bench = yield* SerialBench.make
      bench.refusals.set("/dev/ttyUSB0", denied)
      yield* plug(bench, "/dev/ttyUSB0")
      const opening = yield* Effect.scoped(SerialDevice.connect(device)).pipe(
        Effect.provide(bench.layer),
        Effect.forkChild
      )
      yield* TestClock.adjust("500 millis")
      yield* bench.unplug("/dev/ttyUSB0")
      const tries = bench.tried.length
      // To wait for it takes none of the tries.
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(bench.tried.length, tries)
      yield* plug(bench, "/dev/ttyUSB1")
      yield* Fiber.join(opening)
      assert.strictEqual(bench.tried.at(-1), "serial:///dev/ttyUSB1?baudRate=9600")
    }))

  it.effect("does not try again what will not pass", () =>
    Effect.gen(function*() {
      const bench = yield* SerialBench.make
      const reason = new TransportError.Unsupported({ feature: "a file as a serial port" })
      bench.refusals.set("/dev/ttyUSB0", reason)
      yield* plug(bench, "/dev/ttyUSB0")
      const error = yield* Effect.scoped(SerialDevice.connect(device)).pipe(Effect.provide(bench.layer), Effect.flip)
      assert.strictEqual(error.reason, reason)
    }))

  it.effect("opens none of two alike", () =>
    Effect.gen(function*() {
      const bench = yield* SerialBench.make
      yield* plug(bench, "/dev/ttyUSB0")
      yield* plug(bench, "/dev/ttyUSB1")
      const error = yield* Effect.scoped(SerialDevice.connect(device)).pipe(Effect.provide(bench.layer), Effect.flip)
      assert.include(error.message, "it fits /dev/ttyUSB0, /dev/ttyUSB1")
      assert.deepStrictEqual(bench.tried, [])
    }))

  it.effect.each<readonly [options: object, message: RegExp]>([
    [{ settings: { baudRate: -1 } }, /baudRate must be an integer above 0, and is -1/],
    [{ settings: { bauds: 9600 } }, /endpoint\.bauds must be absent/],
    [{ transport: { highWaterMark: -1 } }, /highWaterMark must be/]
  ])("refuses %j before it waits", ([options, message]) =>
    Effect.gen(function*() {
      const bench = yield* SerialBench.make
      const error = yield* Effect.scoped(SerialDevice.connect(device, options as SerialDevice.ConnectOptions)).pipe(
        Effect.provide(bench.layer),
        Effect.flip
      )
      assert.match(error.message, message)
    }))

  it.effect("leaves nothing behind when it is interrupted, while it waits and between two tries", () =>
    Effect.gen(function*() {
      const bench = yield* SerialBench.make
      bench.refusals.set("/dev/ttyUSB0", denied)
      const opening = Effect.scoped(SerialDevice.connect(device)).pipe(Effect.provide(bench.layer))
      const waiting = yield* Effect.forkChild(opening)
      yield* settle
      yield* Fiber.interrupt(waiting)
      yield* plug(bench, "/dev/ttyUSB0")
      yield* settle
      assert.strictEqual(bench.tried.length, 0)
      const trying = yield* Effect.forkChild(opening)
      yield* TestClock.adjust("150 millis")
      yield* Fiber.interrupt(trying)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(bench.tried.length, 2)
      assert.strictEqual(bench.open(), 0)
    }))
})

describe("SerialDevice.keepConnected", () => {
  it.effect("begins again after a re-plug under another path, as long as it takes", () =>
    Effect.gen(function*() {
      const bench = yield* SerialBench.make
      const answers: Array<string> = []
      const conversation = Effect.gen(function*() {
        const lines = yield* attached
        yield* lines.write("hello")
        answers.push(yield* Connection.take(lines))
        if (answers.length < 3) yield* Connection.take(lines)
        return "done"
      })
      const conversing = yield* conversation.pipe(
        SerialDevice.keepConnected(device),
        Effect.provide(bench.layer),
        Effect.forkChild
      )
      for (const path of ["/dev/ttyUSB0", "/dev/ttyUSB1"]) {
        yield* plug(bench, path)
        yield* settle
        assert.strictEqual(bench.open(), 1)
        yield* bench.unplug(path)
        yield* TestClock.adjust("1 day")
      }
      yield* plug(bench, "/dev/ttyUSB0")
      assert.strictEqual(yield* Fiber.join(conversing), "done")
      assert.deepStrictEqual(answers, ["/dev/ttyUSB0 hello", "/dev/ttyUSB1 hello", "/dev/ttyUSB0 hello"])
      assert.strictEqual(bench.open(), 0)
    }))

  it.effect("interrupts a conversation that does not look at the connection that was lost, and ends its scope", () =>
    Effect.gen(function*() {
      const bench = yield* SerialBench.make
      const log: Array<string> = []
      const conversing = yield* Effect.acquireRelease(
        Effect.sync(() => log.push("begin")),
        (_, exit) => Effect.sync(() => log.push(Exit.isSuccess(exit) ? "success" : Cause.pretty(exit.cause)))
      ).pipe(
        Effect.andThen(Effect.never),
        SerialDevice.keepConnected(device),
        Effect.provide(bench.layer),
        Effect.forkChild
      )
      yield* plug(bench, "/dev/ttyUSB0")
      yield* settle
      yield* bench.unplug("/dev/ttyUSB0")
      yield* plug(bench, "/dev/ttyUSB1")
      yield* TestClock.adjust("500 millis")
      yield* settle
      assert.strictEqual(log.length, 3)
      assert.deepStrictEqual([log[0], log[2]], ["begin", "begin"])
      assert.include(log[1], "the peer reset the connection")
      yield* Fiber.interrupt(conversing)
      assert.strictEqual(bench.open(), 0)
    }))

  it.effect("begins again where the medium says that the device is gone", () =>
    Effect.gen(function*() {
      const bench = yield* SerialBench.make
      const ports: Array<Wire.Port> = []
      /** A port that hears and says nothing, and whose device can be pulled out. */
      const connect = (endpoint: Endpoint.SerialEndpoint) =>
        Effect.flatMap(
          Wire.resolveOptions(undefined, { operation: "open", endpoint: endpoint.path }),
          (options) =>
            Wire.toTransport((port) => {
              ports.push(port)
              const letGo = () => queueMicrotask(port.released)
              return {
                lingers: false,
                write: () => true,
                end: () => queueMicrotask(port.finished),
                reset: letGo,
                release: letGo,
                resume: () => {},
                suspend: () => {}
              }
            }, {
              info: { id: 1, endpoint, local: Option.none(), peer: Option.none() },
              options,
              scopeExit: "now",
              reasonOf: () => new TransportError.Disconnected({ detail: "unplugged" })
            })
        )
      const network = { connect } as unknown as Network.Network["Service"]
      yield* bench.plug(at("/dev/ttyUSB0"))
      const conversing = yield* Effect.flatMap(Transport.Transport, Connection.take).pipe(
        SerialDevice.keepConnected(device, { schedule: Schedule.recurs(1) }),
        Effect.provideService(Network.Network, network),
        Effect.provide(bench.layer),
        Effect.exit,
        Effect.forkChild
      )
      for (const count of [1, 2]) {
        yield* settle
        assert.strictEqual(ports.length, count)
        ports[count - 1]!.broken(new Error("EIO"))
      }
      const exit = yield* Fiber.join(conversing)
      const message = "serial:///dev/ttyUSB0?baudRate=9600: disconnected (unplugged)"
      assert.isTrue(Exit.isFailure(exit) && (Cause.squash(exit.cause) as Error).message.includes(message))
    }))

  it.effect("asks its schedule, with the loss, and ends with the loss when that ends", () =>
    Effect.gen(function*() {
      const bench = yield* SerialBench.make
      const inputs: Array<string> = []
      let count = 0
      // Each connection resets at once.
      yield* bench.plug(at("/dev/ttyUSB0"), (wire) => wire.abort)
      const error = yield* Effect.andThen(Effect.sync(() => count++), Effect.never).pipe(
        SerialDevice.keepConnected(device, {
          schedule: Schedule.recurs(3).pipe(
            Schedule.setInputType<TransportError.TransportError>(),
            Schedule.tap(({ input }) => Effect.sync(() => inputs.push(input.reason._tag)))
          )
        }),
        Effect.provide(bench.layer),
        Effect.flip
      )
      assert.strictEqual(error.reason._tag, "Reset")
      assert.strictEqual(count, 4)
      assert.deepStrictEqual(inputs, ["Reset", "Reset", "Reset"])
    }))

  it.effect("is no second try for an error of the conversation, of another connection, or a defect", () =>
    Effect.gen(function*() {
      const bench = yield* SerialBench.make
      yield* plug(bench, "/dev/ttyUSB0")
      const elsewhere = TransportError.make("read", "tcp://127.0.0.1:7000", new TransportError.Reset())
      const keep = <A, E, R>(conversation: Effect.Effect<A, E, R>) =>
        conversation.pipe(SerialDevice.keepConnected(device), Effect.provide(bench.layer), Effect.exit)
      assert.deepStrictEqual(yield* keep(Effect.fail("wrong answer")), Exit.fail("wrong answer"))
      assert.deepStrictEqual(yield* keep(Effect.fail(elsewhere)), Exit.fail(elsewhere))
      assert.deepStrictEqual(yield* keep(Effect.die("bug")), Exit.die("bug"))
      assert.strictEqual(bench.tried.length, 3)
      assert.strictEqual(bench.open(), 0)
    }))

  it.effect("is no second try for a loss that a bug came with", () =>
    Effect.gen(function*() {
      const bench = yield* SerialBench.make
      yield* plug(bench, "/dev/ttyUSB0")
      const conversing = yield* Effect.addFinalizer(() => Effect.die("bug")).pipe(
        Effect.andThen(Effect.never),
        SerialDevice.keepConnected(device),
        Effect.provide(bench.layer),
        Effect.exit,
        Effect.forkChild
      )
      yield* settle
      yield* bench.unplug("/dev/ttyUSB0")
      const exit = yield* Fiber.join(conversing)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
    }))

  it.effect("closes in order after a success, also where the conversation closed by itself", () =>
    Effect.gen(function*() {
      const bench = yield* SerialBench.make
      const ends: Array<string> = []
      yield* bench.plug(at("/dev/ttyUSB0"), (wire) =>
        Effect.matchEffect(Transport.readUntilEnd(wire), {
          onFailure: ({ reason }) => Effect.sync(() => ends.push(reason._tag)),
          onSuccess: () => Effect.sync(() => ends.push("end"))
        }))
      for (const conversation of [Effect.void, Effect.flatMap(Transport.Transport, ({ abort }) => abort)]) {
        yield* conversation.pipe(SerialDevice.keepConnected(device), Effect.provide(bench.layer))
        yield* settle
      }
      assert.deepStrictEqual(ends, ["end", "Reset"])
    }))
})

describe("the lines of a device that is waited for", () => {
  it.effect("are those of each of its connections, and begin anew after a re-plug", () =>
    Effect.gen(function*() {
      const cable = yield* TestSerial.makeCable("/dev/ttyUSB0", "/dev/far")
      const far = yield* Effect.provideService(
        Serial.open("serial:/dev/far"),
        SerialBinding.SerialBinding,
        cable.binding
      )
      const ports = yield* SubscriptionRef.make<ReadonlyArray<SerialPorts.PortInfo>>([at("/dev/ttyUSB0")])
      const kept: Array<Serial.SerialPort> = []
      const lowering = Effect.gen(function*() {
        const port = yield* Serial.portOf(yield* Transport.Transport)
        kept.push(port)
        yield* port.setLines({ rts: false })
        return yield* Effect.never
      })
      yield* Effect.forkChild(
        lowering.pipe(
          SerialDevice.keepConnected(device),
          Effect.provide([
            Layer.provide(Serial.layerNetwork, TestSerial.layer(cable)),
            SerialPorts.layerTest(ports)
          ])
        )
      )
      yield* settle
      assert.deepStrictEqual(yield* far.lines, { cts: false, dsr: true, dcd: true })
      yield* kept[0]!.setLines({ dtr: false })
      yield* cable.a.unplug
      yield* SubscriptionRef.set(ports, [])
      yield* settle
      yield* cable.a.plug
      yield* SubscriptionRef.set(ports, [at("/dev/ttyUSB0")])
      yield* TestClock.adjust("500 millis")
      yield* settle
      assert.strictEqual(kept.length, 2)
      assert.deepStrictEqual(yield* far.lines, { cts: false, dsr: true, dcd: true })
      // The lost port is no way to the new one.
      assert.strictEqual((yield* Effect.flip(kept[0]!.setLines({ dtr: false }))).reason._tag, "Closed")
      assert.isTrue((yield* far.lines).dsr)
    }))
})

describe("SerialDevice.make", () => {
  class Meter extends Context.Service<Meter, {
    readonly read: (what: string) => Effect.Effect<string, unknown>
  }>()("effect-transport/test/node/SerialDevice.test/Meter") {}

  const driver = Effect.gen(function*() {
    const lines = yield* attached
    return { read: (what: string) => Effect.andThen(lines.write(what), Connection.take(lines)) }
  })

  const layer = (options?: SerialDevice.KeepOptions) =>
    Layer.effect(
      Meter,
      Effect.map(SerialDevice.make(device, driver, options), ({ use }) => ({
        read: (what: string) => use((driver) => driver.read(what))
      }))
    )

  it.effect("is a service that outlives its device", () =>
    Effect.gen(function*() {
      const bench = yield* SerialBench.make
      yield* Effect.gen(function*() {
        const { read } = yield* Meter
        // Before there is any device.
        const first = yield* Effect.forkChild(read("volts"))
        yield* settle
        yield* plug(bench, "/dev/ttyUSB0")
        assert.strictEqual(yield* Fiber.join(first), "/dev/ttyUSB0 volts")
        assert.strictEqual(yield* read("amperes"), "/dev/ttyUSB0 amperes")
        yield* bench.unplug("/dev/ttyUSB0")
        const second = yield* Effect.forkChild(Effect.andThen(settle, read("volts")))
        yield* TestClock.adjust("1 minute")
        assert.isUndefined(second.pollUnsafe())
        yield* plug(bench, "/dev/ttyUSB1")
        assert.strictEqual(yield* Fiber.join(second), "/dev/ttyUSB1 volts")
      }).pipe(Effect.provide(Layer.provide(layer(), bench.layer)))
      assert.strictEqual(bench.open(), 0)
    }))

  it.effect("fails what is under way with the loss, and does not repeat it", () =>
    Effect.gen(function*() {
      const bench = yield* SerialBench.make
      const heard: Array<string> = []
      yield* bench.plug(at("/dev/ttyUSB0"), (wire) =>
        Effect.flatMap(Transport.readExactly(wire, 6), (bytes) =>
          Effect.andThen(
            Effect.sync(() =>
              heard.push(new TextDecoder().decode(bytes))
            ),
            Effect.never
          )))
      yield* Effect.gen(function*() {
        const { read } = yield* Meter
        const asking = yield* Effect.forkChild(Effect.flip(read("volts")))
        yield* settle
        assert.deepStrictEqual(heard, ["volts\n"])
        yield* bench.unplug("/dev/ttyUSB0")
        assert.propertyVal(
          (yield* Fiber.join(asking) as Effect.Effect<TransportError.TransportError>).reason,
          "_tag",
          "Reset"
        )
        yield* plug(bench, "/dev/ttyUSB1")
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(heard, ["volts\n"])
      }).pipe(Effect.provide(Layer.provide(layer(), bench.layer)))
    }))

  it.effect("fails a use that does not look at the connection that was lost", () =>
    Effect.gen(function*() {
      const bench = yield* SerialBench.make
      yield* plug(bench, "/dev/ttyUSB0")
      yield* Effect.gen(function*() {
        const { use } = yield* SerialDevice.make(device, driver)
        const asking = yield* Effect.forkChild(Effect.flip(use(() => Effect.never)))
        yield* settle
        yield* bench.unplug("/dev/ttyUSB0")
        const error = yield* Fiber.join(asking)
        assert.include(String(error), "TransportError")
      }).pipe(Effect.scoped, Effect.provide(bench.layer))
    }))

  it.effect("tells everybody why there will be no more connections", () =>
    Effect.gen(function*() {
      const bench = yield* SerialBench.make
      bench.refusals.set("/dev/ttyUSB0", denied)
      yield* plug(bench, "/dev/ttyUSB0")
      yield* Effect.gen(function*() {
        const { use } = yield* SerialDevice.make(device, driver, { opening: Schedule.recurs(1) })
        for (let i = 0; i < 2; i++) {
          const error = yield* Effect.flip(use(() => Effect.void))
          assert.propertyVal(error, "reason", denied)
        }
      }).pipe(Effect.scoped, Effect.provide(bench.layer))
    }))

  it.effect("wakes who waits with Closed when its scope ends", () =>
    Effect.gen(function*() {
      const bench = yield* SerialBench.make
      const waiting = yield* Effect.gen(function*() {
        const { use } = yield* SerialDevice.make(device, driver)
        const waiting = yield* Effect.forkDetach(Effect.flip(use(() => Effect.void)))
        yield* settle
        return waiting
      }).pipe(Effect.scoped, Effect.provide(bench.layer))
      const error = yield* Fiber.join(waiting)
      assert.deepStrictEqual(
        (error as TransportError.TransportError).reason,
        new TransportError.Closed({ by: "scope" })
      )
    }))
})
