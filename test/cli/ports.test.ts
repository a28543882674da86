import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Stream, SubscriptionRef } from "effect"
import { TransportError } from "effect-transport"
import { SerialPorts } from "effect-transport/node"
import { changed, listed, ports } from "../../src/cli/ports.ts"
import { type Event, Report } from "../../src/cli/report.ts"
import { Shutdown } from "../../src/cli/shutdown.ts"

const adapter = SerialPorts.port({
  path: "/dev/ttyUSB10",
  vendorId: "0403",
  productId: "6001",
  serialNumber: "A50285BI",
  manufacturer: "FT\u001b[31mDI\nGmbH"
})
const uart = SerialPorts.port({ path: "/dev/ttyS0" })

/** Lets every fiber take its turn. */
const settle = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })

describe("ports", () => {
  it("is a table for people, whatever a device calls itself", () => {
    assert.deepStrictEqual(listed([uart, adapter], { json: false }), [
      "PATH           USB ID     SERIAL NUMBER  LOCATION  MANUFACTURER",
      "/dev/ttyS0",
      "/dev/ttyUSB10  0403:6001  A50285BI                 FT [31mDI GmbH"
    ])
    assert.deepStrictEqual(listed([], { json: false }), [])
  })

  it("is an object a line with --json", () => {
    assert.deepStrictEqual(listed([uart, adapter], { json: true }).map((line) => JSON.parse(line)), [
      { path: "/dev/ttyS0" },
      {
        path: "/dev/ttyUSB10",
        vendorId: "0403",
        productId: "6001",
        serialNumber: "A50285BI",
        manufacturer: "FT\u001b[31mDI\nGmbH"
      }
    ])
  })

  it.effect.each([
    {
      json: false,
      expected: [
        "added     /dev/ttyS0",
        "added     /dev/ttyUSB10  0403:6001  A50285BI  FT [31mDI GmbH",
        "removed   /dev/ttyS0"
      ]
    },
    {
      json: true,
      expected: [
        `{"event":"added","time":0,"path":"/dev/ttyS0"}`,
        `{"event":"added","time":0,${listed([adapter], { json: true })[0]!.slice(1)}`,
        `{"event":"removed","time":0,"path":"/dev/ttyS0"}`
      ]
    }
  ])("says what comes and goes with --watch, json $json", ({ expected, json }) =>
    Effect.gen(function*() {
      const there = yield* SubscriptionRef.make<ReadonlyArray<SerialPorts.PortInfo>>([uart])
      const seen = yield* changed({ json }).pipe(
        Stream.take(3),
        Stream.runCollect,
        Effect.provide(SerialPorts.layerTest(there)),
        Effect.forkChild
      )
      for (const ports of [[uart, adapter], [adapter]]) {
        yield* settle
        yield* SubscriptionRef.set(there, ports)
      }
      assert.deepStrictEqual(yield* Fiber.join(seen), expected)
    }))

  const run = (
    options: { readonly watch: boolean; readonly asked: Effect.Effect<void> },
    list: SerialPorts.SerialPorts["Service"]["list"]
  ) =>
    Effect.gen(function*() {
      const said: Array<Event> = []
      const exit = yield* ports({ json: false, watch: options.watch }).pipe(
        Effect.provide(Layer.mergeAll(
          Layer.succeed(Report, { say: (event) => Effect.sync(() => said.push(event)) }),
          Layer.succeed(Shutdown, { asked: options.asked, forced: Effect.never }),
          Layer.succeed(SerialPorts.SerialPorts, SerialPorts.make({ list }))
        )),
        Effect.exit
      )
      return { said, exit }
    })

  it.effect("says that there are none, and goes on until a signal where it watches", () =>
    Effect.gen(function*() {
      const none = [{ event: "warning", message: "no serial ports" }] as const
      const once = yield* run({ watch: false, asked: Effect.never }, Effect.succeed([]))
      assert.deepStrictEqual(once, { said: [...none], exit: Exit.void })
      const watching = yield* run({ watch: true, asked: Effect.yieldNow }, Effect.succeed([]))
      assert.deepStrictEqual(watching, { said: [...none], exit: Exit.void })
    }))

  it.effect("says what it fails with", () =>
    Effect.gen(function*() {
      const feature = "listing serial ports without the package serialport"
      const error = TransportError.make("control", "serial:*", new TransportError.Unsupported({ feature }))
      const { exit, said } = yield* run({ watch: false, asked: Effect.never }, Effect.fail(error))
      assert.deepStrictEqual(exit, Exit.fail(error))
      assert.deepStrictEqual(said.map((event) => "reason" in event && [event.endpoint, event.reason, event.message]), [
        ["serial:*", "Unsupported", `${feature} is not supported here`]
      ])
    }))
})
