import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber } from "effect"
import { Transport } from "effect-transport"
import { type Medium, Sim, SimError, World } from "effect-transport/sim"
import { bytes, connect, readAll, seeds, seen, text, waits } from "../support/simWorld.ts"

/** Two hosts with a cable between them. */
const cabled = (options?: Medium.CableOptions) =>
  Effect.gen(function*() {
    const { cable, host } = yield* World.World
    const [a, b] = [yield* host("a"), yield* host("b")]
    return { a, b, cable: yield* cable(a, "/dev/ttyUSB0", b, "/dev/ttyS1", options) }
  })

/** A program on each of them, the one that sends and the one that receives, with what the cable can do. */
const line = <A, B>(
  sender: (transport: Transport.Transport, cable: Medium.Cable) => Effect.Effect<A, unknown>,
  receiver: (transport: Transport.Transport, cable: Medium.Cable) => Effect.Effect<B, unknown>,
  options?: Medium.CableOptions & { readonly rates?: readonly [number, number] }
) =>
  Effect.gen(function*() {
    const { a, b, cable } = yield* cabled(options)
    const [one, other] = options?.rates ?? [115_200, 115_200]
    return yield* Effect.all([
      a.run(Effect.flatMap(connect(`serial:///dev/ttyUSB0?baudRate=${one}`), (transport) =>
        // The other device has to be open, or what is sent is lost.
        Effect.andThen(Effect.sleep(10), sender(transport, cable)))),
      b.run(Effect.flatMap(connect(`serial:///dev/ttyS1?baudRate=${other}`), (transport) => receiver(transport, cable)))
    ], { concurrency: 2 })
  })

const send = (what: string) => (transport: Transport.Transport) =>
  Effect.andThen(transport.write(bytes(what)), transport.close)

const sendTwice = (first: string, second: string) => (transport: Transport.Transport) =>
  Effect.andThen(Effect.andThen(transport.write(bytes(first)), Effect.sleep(100)), send(second)(transport))

const read = (count: number) => (transport: Transport.Transport) =>
  Effect.map(Transport.readExactly(transport, count), text)

describe("serial", () => {
  it("carries bytes both ways between two hosts", () => {
    seeds(
      line(
        (transport) => Effect.andThen(transport.write(bytes("ping")), read(4)(transport)),
        (transport) =>
          Effect.tap(read(4)(transport), () => Effect.andThen(transport.write(bytes("pong")), transport.flush))
      ),
      ["pong", "ping"]
    )
  })

  it("takes ten bits for each byte, at the rate of the endpoint", () => {
    for (const [rate, millis] of [[9600, 1000], [19_200, 500], [960_000, 10]] as const) {
      seeds(
        line(
          (transport) => Effect.andThen(transport.write(new Uint8Array(960)), transport.close),
          (transport) =>
            Effect.gen(function*() {
              yield* Transport.readExactly(transport, 960)
              return Math.round((yield* Clock.currentTimeMillis) - 946_684_800_000 - 10)
            }),
          { rates: [rate, rate] }
        ),
        [undefined, millis] as [void, number],
        3
      )
    }
  })

  it("tells no end: a close at one end is silence at the other", () => {
    seeds(line(send("bye"), readAll), [undefined, ["bye", "silence"]] as [void, ReadonlyArray<string>])
  })

  it("close is complete when all has left", () => {
    seeds(
      line(
        (transport) =>
          Effect.gen(function*() {
            yield* transport.write(new Uint8Array(960))
            const before = yield* Clock.currentTimeMillis
            yield* transport.close
            return (yield* Clock.currentTimeMillis) - before
          }),
        () => Effect.sleep("2 seconds"),
        { rates: [9600, 9600] }
      ),
      [1000, undefined] as [number, void]
    )
  })

  it("cannot half-close", () => {
    seeds(
      line((transport) => Effect.succeed(Transport.isHalfCloseable(transport)), () => Effect.void),
      [false, undefined] as [boolean, void],
      1
    )
  })

  it("holds the sender back where nobody reads", () => {
    seeds(
      line(
        (transport) =>
          Effect.gen(function*() {
            const writing = yield* Effect.forkChild(
              Effect.andThen(transport.write(new Uint8Array(100_000).fill(65)), transport.flush)
            )
            const waited = yield* waits(writing, 60_000)
            yield* Fiber.join(writing)
            yield* transport.close
            return waited
          }),
        (transport) =>
          Effect.gen(function*() {
            yield* transport.pause
            yield* Effect.sleep("100 seconds")
            yield* transport.resume
            return (yield* Transport.readExactly(transport, 100_000)).length
          })
      ),
      [true, 100_000],
      3
    )
  })

  it("loses what comes then without flow control", () => {
    seeds(
      line(
        (transport) => Effect.andThen(transport.write(new Uint8Array(20_000).fill(65)), transport.close),
        (transport) =>
          Effect.gen(function*() {
            yield* transport.pause
            yield* Effect.sleep("100 seconds")
            yield* transport.resume
            return (yield* readAll(transport))[0]!.length
          }),
        { hasFlowControl: false }
      ),
      [undefined, 4096] as [void, number],
      3
    )
  })

  it("loses what is sent to a device that nobody has open", () => {
    seeds(
      Effect.gen(function*() {
        const { a, b } = yield* cabled()
        yield* a.run(Effect.flatMap(connect("serial:///dev/ttyUSB0"), send("lost")))
        const reading = yield* Effect.forkChild(b.run(Effect.flatMap(connect("serial:///dev/ttyS1"), readAll)))
        yield* Effect.sleep("1 second")
        yield* a.run(Effect.flatMap(connect("serial:///dev/ttyUSB0"), send("seen")))
        return yield* Fiber.join(reading)
      }),
      ["seen", "silence"]
    )
  })

  it("a device has one user, and is free again when that one is gone, by close and by kill", () => {
    seeds(
      Effect.gen(function*() {
        const { a } = yield* cabled()
        const open = connect("serial:///dev/ttyUSB0")
        const first = yield* a.run(Effect.andThen(open, seen(open)))
        yield* a.fork(Effect.andThen(open, Effect.never))
        yield* Effect.sleep(10)
        const second = yield* a.run(seen(open))
        yield* a.kill
        yield* a.restart
        return [first, second, yield* a.run(Effect.as(open, "free"))]
      }),
      ["Busy", "Busy", "free"]
    )
  })

  it("refuses what is no device: NotFound, Unsupported; and a device is no pipe: InvalidOption", () => {
    seeds(
      Effect.gen(function*() {
        const { a } = yield* cabled()
        const { fifo } = yield* World.World
        yield* fifo(a, "/pipe")
        return yield* a.run(Effect.all([
          seen(connect("serial:///dev/ttyS1")),
          seen(connect("serial:///pipe")),
          seen(connect("fifo:?read=/dev/ttyUSB0"))
        ]))
      }),
      ["NotFound", "Unsupported", "InvalidOption"],
      1
    )
  })

  it("a cable to a path that is taken is refused by name", () => {
    const { exit } = Sim.run(
      Effect.gen(function*() {
        const { cable } = yield* World.World
        const { a, b } = yield* cabled()
        return yield* cable(b, "/dev/other", a, "/dev/ttyUSB0")
      }),
      { seed: 1 }
    )
    const wrong = { field: "pathOfB", expected: "a path that is free on a", actual: "/dev/ttyUSB0" }
    assert.deepStrictEqual(exit as Exit.Exit<unknown, unknown>, Exit.fail(new SimError.InvalidWorld(wrong)))
  })
})

describe("faults of serial cables", () => {
  it("serial-garble: so many bytes arrive as others, and the sender sees nothing", () => {
    seeds(
      line(
        (transport, { a }) => Effect.andThen(a.garble(2), seen(sendTwice("abcdef", "ghij")(transport))),
        (transport) =>
          Effect.map(Transport.readExactly(transport, 10), (got) => [
            text(got.subarray(2)),
            got[0] !== 97,
            got[1] !== 98
          ])
      ),
      [undefined, ["cdefghij", true, true]] as [undefined, Array<string | boolean>]
    )
  })

  it("serial-garble: the same seed garbles alike, another otherwise", () => {
    const garbled = (seed: number) =>
      Sim.run(
        line(
          (transport, { a }) => Effect.andThen(a.garble(6), send("abcdef")(transport)),
          (transport) => Effect.map(Transport.readExactly(transport, 6), (got) => Array.from(got).join())
        ),
        { seed }
      )
    assert.deepStrictEqual(garbled(1).exit, garbled(1).exit)
    assert.notDeepEqual(garbled(1).exit, garbled(2).exit)
  })

  it("serial-overrun: so many bytes never arrive, and the sender sees nothing", () => {
    seeds(
      line(
        (transport, { a }) => Effect.andThen(a.lose(2), seen(sendTwice("abcdef", "ghij")(transport))),
        readAll
      ),
      [undefined, ["cdefghij", "silence"]] as [undefined, ReadonlyArray<string>]
    )
  })

  it("serial-break: the other end reads a NUL, and nothing is sent meanwhile", () => {
    seeds(
      line(
        (transport, { a }) =>
          Effect.gen(function*() {
            yield* a.sendBreak("1 second")
            const before = yield* Clock.currentTimeMillis
            yield* send("after")(transport)
            return (yield* Clock.currentTimeMillis) - before >= 1000
          }),
        read(6)
      ),
      [true, "\0after"]
    )
  })

  it("serial-garbage: nothing arrives as it was sent, until it is over", () => {
    seeds(
      line(
        (transport, { a }) =>
          Effect.gen(function*() {
            yield* Effect.scoped(
              Effect.andThen(a.garbage, Effect.andThen(transport.write(bytes("aaaa")), Effect.sleep(100)))
            )
            yield* send("bbbb")(transport)
          }),
        (transport) => Effect.map(read(8)(transport), (got) => [got.slice(0, 4).includes("a"), got.slice(-4)])
      ),
      [undefined, [false, "bbbb"]] as [void, ReadonlyArray<string | boolean>]
    )
  })

  it("serial-garbage: two parities are garbage", () => {
    seeds(
      Effect.gen(function*() {
        const { a, b } = yield* cabled()
        return yield* Effect.all([
          a.run(
            Effect.flatMap(
              connect("serial:///dev/ttyUSB0?parity=even"),
              (transport) => Effect.andThen(Effect.sleep(10), send("aaaa")(transport))
            )
          ),
          b.run(Effect.flatMap(
            connect("serial:///dev/ttyS1"),
            (transport) => Effect.map(read(4)(transport), (got) => got.includes("a"))
          ))
        ], { concurrency: 2 })
      }),
      [undefined, false] as [void, boolean]
    )
  })

  it("serial-garbage: two rates are garbage, both ways", () => {
    seeds(
      line(
        (transport) =>
          Effect.andThen(transport.write(bytes("aaaa")), Effect.map(read(4)(transport), (got) => got.includes("b"))),
        (transport) =>
          Effect.andThen(
            Effect.map(read(4)(transport), (got) => got.includes("a")),
            (had) => Effect.as(send("bbbb")(transport), had)
          ),
        { rates: [9600, 19_200] }
      ),
      [false, false]
    )
  })

  it("serial-stall: a writer waits once 4096 bytes are queued, a reader for as long as it lasts", () => {
    seeds(
      line(
        (transport, { a }) =>
          Effect.gen(function*() {
            const waited = yield* Effect.scoped(Effect.gen(function*() {
              yield* a.stall
              const small = yield* Effect.forkChild(
                Effect.andThen(transport.write(new Uint8Array(4096)), transport.flush)
              )
              const first = yield* waits(small)
              const more = yield* Effect.forkChild(Effect.andThen(transport.write(new Uint8Array(1)), transport.flush))
              return [first, yield* waits(more, 10_000)]
            }))
            yield* transport.close
            return waited
          }),
        (transport) =>
          Effect.gen(function*() {
            const reading = yield* Effect.forkChild(Transport.readExactly(transport, 4097))
            const waited = yield* waits(reading, 10_000)
            yield* Fiber.join(reading)
            return waited
          })
      ),
      [[false, true], true] as [Array<boolean>, boolean]
    )
  })

  it("serial-unplug: its program sees Disconnected, a later open NotFound until it is plugged in, the other end silence", () => {
    seeds(
      line(
        (transport, { a }) =>
          Effect.gen(function*() {
            yield* transport.write(bytes("before"))
            yield* Effect.sleep(100)
            yield* a.unplug
            return [(yield* readAll(transport))[1], yield* seen(transport.write(bytes("late")))]
          }),
        (transport) => Effect.tap(readAll(transport), () => transport.write(bytes("to nobody")))
      ),
      [["Disconnected", "Disconnected"], ["before", "silence"]] as [Array<string>, ReadonlyArray<string>]
    )
    seeds(
      Effect.gen(function*() {
        const { a, cable } = yield* cabled()
        const open = a.run(seen(Effect.as(connect("serial:///dev/ttyUSB0"), "open")))
        yield* cable.a.unplug
        const gone = yield* open
        yield* cable.a.plug
        return [gone, yield* open]
      }),
      ["NotFound", "open"]
    )
  })

  it("path-permission-denied: a device cannot be opened until it is allowed", () => {
    seeds(
      Effect.gen(function*() {
        const { a } = yield* cabled()
        const { deny } = yield* World.World
        const open = a.run(seen(Effect.as(connect("serial:///dev/ttyUSB0"), "open")))
        return [yield* Effect.scoped(Effect.andThen(deny(a, "/dev/ttyUSB0"), open)), yield* open]
      }),
      ["PermissionDenied", "open"]
    )
  })

  it("a count or duration that is none is refused by name", () => {
    const wrong = <E>(fault: (device: Medium.Device) => Effect.Effect<void, E>) =>
      String(Sim.run(Effect.flatMap(cabled(), ({ cable }) => fault(cable.a)), { seed: 1 }).exit)
    assert.include(wrong((device) => device.garble(0)), "bytes must be a positive integer, and is 0")
    assert.include(wrong((device) => device.lose(1.5)), "bytes must be a positive integer, and is 1.5")
    assert.include(wrong((device) => device.sendBreak(-1)), "duration must be a finite duration, and is -1")
  })
})
