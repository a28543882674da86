import { Effect, Layer } from "effect"
import { type Connection, Endpoint, Network, type Protocol, Transport, type TransportError } from "effect-transport"
import { NodeTransport } from "effect-transport/node"
import { describe, expectTypeOf, test } from "vitest"

const bytes = new Uint8Array(1)

const half = Effect.gen(function*() {
  const transport = yield* Transport.HalfCloseableTransport
  yield* transport.write(bytes)
  yield* transport.halfClose
})

const plain = Effect.gen(function*() {
  const transport = yield* Transport.Transport
  yield* transport.write(bytes)
})

describe("half-close in the type of a layer", () => {
  test("a TCP layer serves a program that half-closes", () => {
    const run = half.pipe(Effect.provide(NodeTransport.layer("tcp://127.0.0.1:1")))
    expectTypeOf(run).toEqualTypeOf<Effect.Effect<void, TransportError.TransportError>>()
  })

  test("a serial layer does not", () => {
    const run = half.pipe(Effect.provide(NodeTransport.layer("serial:///dev/ttyUSB0?baudRate=9600")))
    expectTypeOf(run).toEqualTypeOf<
      Effect.Effect<void, TransportError.TransportError, Transport.HalfCloseableTransportService>
    >()
    // @ts-expect-error half-close does not exist on a serial port
    void (() => Effect.runPromise(run))
  })

  test("every layer serves a program that does not half-close", () => {
    const serial = plain.pipe(Effect.provide(NodeTransport.layer("serial:///dev/ttyUSB0")))
    expectTypeOf(serial).toEqualTypeOf<Effect.Effect<void, TransportError.TransportError>>()
    const dynamic: string = "tcp://127.0.0.1:1"
    const atRunTime = plain.pipe(Effect.provide(NodeTransport.layer(dynamic)))
    expectTypeOf(atRunTime).toEqualTypeOf<Effect.Effect<void, TransportError.TransportError>>()
  })

  test("a string known only at run time gives no half-close without the refinement", () => {
    const dynamic: string = "tcp://127.0.0.1:1"
    const run = half.pipe(Effect.provide(NodeTransport.layer(dynamic)))
    // @ts-expect-error the kind is not known
    void (() => Effect.runPromise(run))
    void Effect.gen(function*() {
      const transport = yield* Transport.Transport
      if (Transport.isHalfCloseable(transport)) yield* transport.halfClose
    })
  })

  test("the seam has the same types as the joined layer", () => {
    const joined = NodeTransport.layer("unix:///x")
    const seam = Transport.layer("unix:///x").pipe(Layer.provide(NodeTransport.layerNetwork))
    expectTypeOf(seam).toEqualTypeOf(joined)
  })
})

describe("half-close in the type of a connection", () => {
  test("follows the endpoint through connect and listen", () => {
    void Effect.gen(function*() {
      const network = yield* Network.Network
      const unix = yield* network.connect("unix:///x")
      yield* unix.halfClose
      const serial = yield* network.connect({ _tag: "serial", path: "/dev/x", baudRate: 9600 })
      // @ts-expect-error a serial port cannot half-close
      void serial.halfClose
      const tcp = yield* network.connect(`tcp://127.0.0.1:${1 + 1}`)
      yield* tcp.halfClose
      const listener = yield* network.listen("tcp://127.0.0.1:0")
      const accepted = yield* listener.accept
      yield* accepted.halfClose
      const upper = yield* network.connect("TCP://127.0.0.1:1")
      yield* upper.halfClose
    })
  })

  test("one reason is caught by its name", () => {
    void Effect.gen(function*() {
      const transport = yield* Transport.Transport
      yield* Effect.catchReason(transport.write(bytes), "TransportError", "Reset", () => Effect.void)
      // @ts-expect-error no such reason
      yield* Effect.catchReason(transport.write(bytes), "TransportError", "Rest", () => Effect.void)
    })
  })

  test("passes through a protocol", () => {
    const lines = {} as Protocol.Protocol<Uint8Array, Uint8Array, string, string, { readonly _tag: "LineTooLong" }>
    void Effect.gen(function*() {
      const connection = yield* lines.attach(yield* Transport.Transport)
      yield* connection.write("hello")
      const reader = yield* connection.reader
      const items = yield* reader.pull
      expectTypeOf(items[0]).toEqualTypeOf<string>()
      // @ts-expect-error the lower connection cannot half-close, as far as is known
      void connection.halfClose
      const halfCloseable = yield* lines.attach(yield* Transport.HalfCloseableTransport)
      yield* halfCloseable.halfClose
    })
  })
})

describe("endpoints in literals", () => {
  test("a misspelt scheme does not compile, and the error says so", () => {
    // @ts-expect-error unknown endpoint scheme
    void NodeTransport.layer("tpc://127.0.0.1:1")
    expectTypeOf<Endpoint.KindOf<"tpc://127.0.0.1:1">>().toEqualTypeOf<never>()
  })

  test("a field too many in a literal object does not compile", () => {
    // @ts-expect-error a TCP endpoint has no path
    void NodeTransport.layer({ _tag: "tcp", host: "127.0.0.1", port: 1, path: "/x" })
  })
})

describe("variance", () => {
  test("a transport is a connection of bytes", () => {
    expectTypeOf<Transport.Transport>().toExtend<
      Connection.Connection<Uint8Array, Uint8Array, TransportError.TransportError>
    >()
    expectTypeOf<Transport.HalfCloseableTransport>().toExtend<Transport.Transport>()
    expectTypeOf<Transport.Transport>().not.toExtend<Transport.HalfCloseableTransport>()
  })
})
