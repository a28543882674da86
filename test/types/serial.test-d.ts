import type { Effect, Layer, Scope } from "effect"
import type { Network, Transport, TransportError } from "effect-transport"
import { SerialDevice, SerialPorts } from "effect-transport/node"
import { describe, expectTypeOf, it } from "vitest"

type Device = SerialPorts.SerialPorts | Network.Network

declare const conversation: Effect.Effect<1, "wrong", Transport.TransportService | Scope.Scope | "more">
declare const halfClosing: Effect.Effect<void, never, Transport.HalfCloseableTransportService>

describe("SerialDevice", () => {
  it("gives a transport that cannot half-close", () => {
    expectTypeOf(SerialDevice.connect({ vendorId: "0403" })).toEqualTypeOf<
      Effect.Effect<Transport.Transport, TransportError.TransportError, Device | Scope.Scope>
    >()
    expectTypeOf(SerialDevice.layer({ vendorId: "0403" })).toEqualTypeOf<
      Layer.Layer<Transport.TransportService, TransportError.TransportError, Device>
    >()
  })

  it("provides the transport and the scope of a conversation, and nothing else", () => {
    const kept = SerialDevice.keepConnected({ vendorId: "0403" })
    expectTypeOf(kept(conversation)).toEqualTypeOf<
      Effect.Effect<1, "wrong" | TransportError.TransportError, Device | "more">
    >()
    expectTypeOf(kept(halfClosing)).toEqualTypeOf<
      Effect.Effect<void, TransportError.TransportError, Device | Transport.HalfCloseableTransportService>
    >()
  })

  it("takes the settings of an endpoint, and fields of a port", () => {
    void SerialDevice.connect({ vendorId: "0403" }, { settings: { baudRate: 115_200 } })
    // @ts-expect-error: a path is what is looked for
    void SerialDevice.connect({ vendorId: "0403" }, { settings: { path: "/dev/ttyUSB0" } })
    // @ts-expect-error: `serialNumber`
    void SerialDevice.connect({ serial: "A1" })
  })
})
