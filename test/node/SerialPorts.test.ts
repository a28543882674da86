import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Latch, Option, Stream, SubscriptionRef } from "effect"
import { TransportError } from "effect-transport"
import { SerialPorts } from "effect-transport/node"
import { TestClock } from "effect/testing"

const { port } = SerialPorts

const ftdi = port({ path: "/dev/ttyUSB0", vendorId: "0403", productId: "6001", serialNumber: "A1", locationId: "1-1" })
const twin = port({ path: "/dev/ttyUSB1", vendorId: "0403", productId: "6001", locationId: "1-2" })
const uno = port({ path: "/dev/ttyACM0", vendorId: "2341", productId: "0043", manufacturer: "Arduino" })
const uart = port({ path: "/dev/ttyS0" })

const pathsOf = (ports: ReadonlyArray<SerialPorts.PortInfo>) => ports.map(({ path }) => path)

/** Ports that a test sets, with a signal that it gives by itself. */
const fake = (options?: { readonly onList?: () => void }) => {
  const changed = Latch.makeUnsafe()
  const state = { ports: [] as ReadonlyArray<SerialPorts.PortInfo>, looks: 0, watching: 0 }
  const service = SerialPorts.make({
    list: Effect.sync(() => {
      state.looks++
      const { ports } = state
      options?.onList?.()
      return ports
    }),
    watching: Effect.as(
      Effect.acquireRelease(Effect.sync(() => state.watching++), () => Effect.sync(() => state.watching--)),
      Effect.asVoid(Effect.andThen(changed.await, changed.close))
    )
  })
  return { service, state, signal: changed.open }
}

const collect = (service: SerialPorts.SerialPorts["Service"], count: number) =>
  service.watch.pipe(Stream.map(pathsOf), Stream.take(count), Stream.runCollect)

/** Lets every fiber take its turn. */
const settle = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })

it("SerialPorts has no other names", () => {
  assert.deepStrictEqual(Object.keys(SerialPorts).toSorted(), [
    "PortFilter",
    "SerialPorts",
    "changes",
    "find",
    "layer",
    "layerTest",
    "make",
    "port",
    "wait"
  ])
})

describe("SerialPorts.port", () => {
  it("writes ids in one way and leaves out what is empty", () => {
    const made = port({ path: "COM3", vendorId: "0X403", productId: "A4a7", serialNumber: "", manufacturer: undefined })
    assert.deepStrictEqual(made, {
      path: "COM3",
      manufacturer: Option.none(),
      vendorId: Option.some("0403"),
      productId: Option.some("a4a7"),
      serialNumber: Option.none(),
      pnpId: Option.none(),
      locationId: Option.none()
    })
  })
})

describe("SerialPorts.make", () => {
  it.effect("lists by path, and numbers in it as numbers", () =>
    Effect.gen(function*() {
      const { service, state } = fake()
      state.ports = ["/dev/ttyUSB10", "/dev/ttyUSB9", "/dev/ttyACM0"].map((path) => port({ path }))
      assert.deepStrictEqual(pathsOf(yield* service.list), ["/dev/ttyACM0", "/dev/ttyUSB9", "/dev/ttyUSB10"])
    }))

  it("refuses an interval that is none", () => {
    for (const interval of [0, -1, Infinity, Number.NaN]) {
      assert.throws(() => SerialPorts.make({ list: Effect.succeed([]), interval }), /interval must be a finite time/)
    }
  })
})

describe("SerialPorts.watch", () => {
  it.effect("begins with the list, also an empty one, and goes on when a change is signalled", () =>
    Effect.gen(function*() {
      const { service, signal, state } = fake()
      const seen = yield* Effect.forkChild(collect(service, 3))
      yield* settle
      state.ports = [ftdi]
      yield* signal
      yield* settle
      state.ports = [ftdi, uno]
      yield* signal
      assert.deepStrictEqual(yield* Fiber.join(seen), [[], ["/dev/ttyUSB0"], ["/dev/ttyACM0", "/dev/ttyUSB0"]])
      assert.strictEqual(state.watching, 0)
    }))

  it.effect("sees a change that comes while the list is read", () =>
    Effect.gen(function*() {
      const looked: Array<() => void> = []
      const { service, signal, state } = fake({ onList: () => looked.shift()?.() })
      // The list that is being read is the old one; the clock stands still, so that no poll can help.
      looked.push(() => {
        state.ports = [ftdi]
        Effect.runSync(signal)
      })
      assert.deepStrictEqual(yield* collect(service, 2), [[], ["/dev/ttyUSB0"]])
    }))

  it.effect("makes one look of many signals, and shows who is slow the latest", () =>
    Effect.gen(function*() {
      const { service, signal, state } = fake()
      const isSlow = yield* Deferred.make<void>()
      const seen = yield* service.watch.pipe(
        Stream.map(pathsOf),
        Stream.tap(() => Deferred.await(isSlow)),
        Stream.take(2),
        Stream.runCollect,
        Effect.forkChild
      )
      yield* settle
      for (const ports of [[ftdi], [ftdi, twin], [uno]]) {
        state.ports = ports
        yield* signal
        yield* settle
      }
      assert.strictEqual(state.looks, 1)
      yield* Deferred.succeed(isSlow, undefined)
      assert.deepStrictEqual(yield* Fiber.join(seen), [[], ["/dev/ttyACM0"]])
      assert.strictEqual(state.looks, 2)
    }))

  it.effect("looks every interval where nothing is signalled, and says the same list once", () =>
    Effect.gen(function*() {
      const { service, state } = fake()
      const seen = yield* Effect.forkChild(collect(service, 2))
      yield* settle
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(state.looks, 4)
      state.ports = [uno]
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(seen), [[], ["/dev/ttyACM0"]])
    }))

  it.effect("ends with a look that fails", () =>
    Effect.gen(function*() {
      const error = TransportError.make("control", "serial:*", new TransportError.PermissionDenied())
      const service = SerialPorts.make({ list: Effect.fail(error) })
      assert.deepStrictEqual(yield* Effect.exit(Stream.runHead(service.watch)), Exit.fail(error))
    }))
})

const on = (...ports: ReadonlyArray<SerialPorts.PortInfo>) =>
  Effect.provideService(SerialPorts.SerialPorts, SerialPorts.make({ list: Effect.succeed(ports) }))

describe("SerialPorts.find", () => {
  it.effect.each<readonly [filter: SerialPorts.PortFilter, path: string]>([
    [{ serialNumber: "A1" }, "/dev/ttyUSB0"],
    [{ vendorId: "0x0403", productId: "6001", locationId: "1-2" }, "/dev/ttyUSB1"],
    [{ vendorId: "2341" }, "/dev/ttyACM0"],
    [{ vendorId: "2341", productId: "43", serialNumber: undefined }, "/dev/ttyACM0"],
    [{ manufacturer: "Arduino" }, "/dev/ttyACM0"],
    [{ path: "/dev/ttyS0" }, "/dev/ttyS0"]
  ])("finds by %j", ([filter, path]) =>
    Effect.gen(function*() {
      const found = yield* SerialPorts.find(filter).pipe(on(ftdi, twin, uno, uart))
      assert.strictEqual(found.path, path)
    }))

  it.effect("fails with NotFound where none fits in every field", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(SerialPorts.find({ vendorId: "0403", serialNumber: "a1" }).pipe(on(ftdi, twin)))
      assert.strictEqual(
        error.message,
        "open serial:?vendorId=0403&serialNumber=a1: a port that fits does not exist"
      )
    }))

  it.effect("takes none of several, and names them", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(SerialPorts.find({ vendorId: "0403" }).pipe(on(ftdi, twin, uno)))
      assert.strictEqual(error.reason._tag, "InvalidOption")
      assert.include(error.message, "fits a single port (it fits /dev/ttyUSB0, /dev/ttyUSB1)")
    }))

  it.effect.each<readonly [filter: unknown, message: RegExp]>([
    [{}, /filter must be an object with at least one of path, .*, and is "one with no field"/],
    [{ vendorId: undefined }, /filter must be an object with at least one/],
    [undefined, /filter must be an object .*, and is undefined/],
    [{ vendorId: "04030" }, /filter\.vendorId must be a USB id .*, and is "04030"/],
    [{ productId: "" }, /filter\.productId must be a USB id .*, and is ""/],
    [{ vendorId: "FTDI" }, /filter\.vendorId must be a USB id .*, and is "FTDI"/],
    [{ vendorId: 0x0403 }, /filter\.vendorId must be a USB id .*, and is 1027/],
    [{ path: "" }, /filter\.path must be a text that is not empty/],
    [{ serial: "A1" }, /filter\.serial must be absent \(a filter has path, .*locationId\), and is "A1"/]
  ])("refuses %j before it looks", ([filter, message]) =>
    Effect.gen(function*() {
      const ports = SerialPorts.make({ list: Effect.die("looked") })
      for (const pick of [SerialPorts.find, SerialPorts.wait]) {
        const error = yield* pick(filter as SerialPorts.PortFilter).pipe(
          Effect.provideService(SerialPorts.SerialPorts, ports),
          Effect.flip
        )
        assert.match(error.message, message)
      }
    }))
})

describe("SerialPorts.wait", () => {
  it.effect("is there at once where the port is", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* SerialPorts.wait({ vendorId: "2341" }).pipe(on(uno))).path, "/dev/ttyACM0")
    }))

  it.effect("waits until the port comes, whatever else does, and lets go when interrupted", () =>
    Effect.gen(function*() {
      const { service, signal, state } = fake()
      const wait = SerialPorts.wait({ serialNumber: "A1" }).pipe(
        Effect.provideService(SerialPorts.SerialPorts, service)
      )
      const waiting = yield* Effect.forkChild(wait)
      const other = yield* Effect.forkChild(wait)
      yield* settle
      assert.strictEqual(state.watching, 2)
      yield* Fiber.interrupt(other)
      assert.strictEqual(state.watching, 1)
      state.ports = [uno]
      yield* signal
      yield* settle
      assert.isUndefined(waiting.pollUnsafe())
      state.ports = [uno, ftdi]
      yield* signal
      assert.strictEqual((yield* Fiber.join(waiting)).path, "/dev/ttyUSB0")
      assert.strictEqual(state.watching, 0)
    }))

  it.effect("fails when a second one that fits comes with the first", () =>
    Effect.gen(function*() {
      const ports = yield* SubscriptionRef.make<ReadonlyArray<SerialPorts.PortInfo>>([])
      const waiting = yield* SerialPorts.wait({ vendorId: "0403" }).pipe(
        Effect.provide(SerialPorts.layerTest(ports)),
        Effect.flip,
        Effect.forkChild
      )
      yield* settle
      yield* SubscriptionRef.set(ports, [ftdi, twin])
      assert.strictEqual((yield* Fiber.join(waiting)).reason._tag, "InvalidOption")
    }))
})

describe("SerialPorts.changes", () => {
  it.effect("adds what is there, then says what comes, goes and changes", () =>
    Effect.gen(function*() {
      const { service, signal, state } = fake()
      state.ports = [uart, ftdi]
      const seen: Array<string> = []
      yield* SerialPorts.changes.pipe(
        Stream.runForEach(({ _tag, port }) => Effect.sync(() => seen.push(`${_tag} ${port.path}`))),
        Effect.provideService(SerialPorts.SerialPorts, service),
        Effect.forkChild
      )
      yield* settle
      assert.deepStrictEqual(seen.splice(0), ["Added /dev/ttyS0", "Added /dev/ttyUSB0"])
      const other = port({ path: "/dev/ttyUSB0", vendorId: "1a86" })
      for (const ports of [[uart, other], [uart], [uart, twin]]) {
        state.ports = ports
        yield* signal
        yield* settle
      }
      assert.deepStrictEqual(seen, ["Changed /dev/ttyUSB0", "Removed /dev/ttyUSB0", "Added /dev/ttyUSB1"])
    }))
})
