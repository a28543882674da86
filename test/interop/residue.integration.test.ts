import { describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, References, Scope } from "effect"
import { EffectSocket, Endpoint, Network, Transport, type TransportError, WebStreams } from "effect-transport"
import { NodeDuplex, NodeTransport } from "effect-transport/node"
import { Socket, SocketServer } from "effect/socket"
import * as Net from "node:net"
import { event } from "../support/duplexes.ts"
import { type Given, leavesNothing } from "../support/residue.ts"

const cycles = 200

/** Nobody is to be waited for. */
const brief: Transport.TransportOptions = { linger: { duration: 10 } }

/** What was made by a bridge, in what all of them have. */
interface Bridged {
  readonly close: Effect.Effect<unknown, unknown>
  readonly abort: Effect.Effect<unknown, unknown>
  /** Reads until it ends, in whichever way. */
  readonly over: Effect.Effect<unknown, unknown>
}

type Open = (given: Given) => Effect.Effect<
  readonly [bridged: Bridged, peer: Transport.Transport],
  TransportError.TransportError | Socket.SocketError | SocketServer.SocketServerError,
  Scope.Scope | Network.Network
>

/** A listener of its own for each, so that whoever is interrupted takes no other's connection. */
const listening = Effect.flatMap(Network.Network, ({ listen }) => listen("tcp://127.0.0.1:0", brief))

const pair = Effect.gen(function*() {
  const { connect } = yield* Network.Network
  const listener = yield* listening
  return yield* Effect.all([connect(listener.endpoint, brief), listener.accept], { concurrency: 2 })
})

const bridgedTransport = (transport: Transport.Transport): Bridged => ({
  close: transport.close,
  abort: transport.abort,
  over: Transport.readUntilEnd(transport)
})

const bridgedSocket = Effect.fnUntraced(function*(socket: Socket.Socket) {
  const scope = yield* Effect.scope
  const { pull } = yield* socket.reader
  const writer = yield* socket.writer
  const write = (code: number) => writer.write(new Socket.CloseEvent(code))
  return { close: write(1000), abort: write(1009), over: Scope.provide(Effect.forever(pull), scope) } satisfies Bridged
})

const toDuplex: Open = () =>
  Effect.gen(function*() {
    const [a, peer] = yield* pair
    const duplex = yield* NodeDuplex.toDuplex(a, { allowHalfOpen: false })
    duplex.on("error", () => {})
    duplex.resume()
    const closed = event(duplex, "close")
    const bridged: Bridged = {
      close: Effect.suspend(() => {
        duplex.destroySoon()
        return closed
      }),
      abort: Effect.suspend(() => {
        duplex.resetAndDestroy()
        return closed
      }),
      over: closed
    }
    return [bridged, peer]
  })

const fromDuplex: Open = (given) =>
  Effect.gen(function*() {
    const { endpoint, accept } = yield* listening
    const socket = given.add(Net.connect({ port: "port" in endpoint ? endpoint.port : 0, host: "127.0.0.1" }))
    yield* Effect.addFinalizer(() => Effect.sync(() => socket.destroy()))
    const connected = event(socket, "connect")
    const peer = yield* accept
    yield* connected
    return [bridgedTransport(yield* NodeDuplex.fromDuplex(socket, brief)), peer]
  })

const layerSocket: Open = () =>
  Effect.gen(function*() {
    const listener = yield* listening
    const context = yield* Layer.build(EffectSocket.layerSocket(Endpoint.format(listener.endpoint), brief))
    const bridged = bridgedSocket(yield* Effect.provide(Socket.Socket, context))
    return yield* Effect.all([bridged, listener.accept], { concurrency: 2 })
  })

const layerSocketServer: Open = () =>
  Effect.gen(function*() {
    const { connect } = yield* Network.Network
    const context = yield* Layer.build(EffectSocket.layerSocketServer("tcp://127.0.0.1:0", brief))
    const server = yield* Effect.provide(SocketServer.SocketServer, context)
    const run = Effect.runForkWith(yield* Effect.context<never>())
    const served = Effect.callback<Bridged>((resume) => {
      const running = run(server.run((socket) =>
        Effect.scoped(Effect.flatMap(bridgedSocket(socket), (bridged) => {
          resume(Effect.succeed(bridged))
          return Effect.ignore(bridged.over)
        }))
      ))
      return Fiber.interrupt(running)
    })
    const port = "port" in server.address ? server.address.port : 0
    return yield* Effect.all([served, connect(`tcp://127.0.0.1:${port}`, brief)], { concurrency: 2 })
  })

const fromSocket: Open = () =>
  Effect.gen(function*() {
    const [a, peer] = yield* pair
    const transport = yield* EffectSocket.fromSocket(
      EffectSocket.toSocket(a),
      a.info.endpoint as Endpoint.TcpEndpoint,
      brief
    )
    return [bridgedTransport(transport), peer]
  })

const bridgedStreams = ({ close, readable, writable }: WebStreams.WebStreams): Bridged => ({
  close: Effect.promise(() => close().catch(() => {})),
  abort: Effect.promise(() => writable.abort("no more").catch(() => {})),
  over: Effect.tryPromise(async () => {
    for await (const _ of readable);
  })
})

const toWebStreams: Open = () =>
  Effect.gen(function*() {
    const [a, peer] = yield* pair
    return [bridgedStreams(yield* WebStreams.toWebStreams(a)), peer]
  })

const fromWebStreams: Open = () =>
  Effect.gen(function*() {
    const [a, peer] = yield* pair
    const streams = yield* WebStreams.toWebStreams(a)
    return [bridgedTransport(yield* WebStreams.fromWebStreams(streams, brief)), peer]
  })

const endings: Readonly<Record<string, (open: Open, i: number, given: Given) => ReturnType<typeof used>>> = {
  close: (open, _, given) => used(open, given, ([bridged]) => bridged.close),
  abort: (open, _, given) => used(open, given, ([bridged]) => bridged.abort),
  "the peer's end": (open, _, given) =>
    used(open, given, ([bridged, peer]) => Effect.andThen(peer.close, bridged.over)),
  "the peer's reset": (open, _, given) =>
    used(open, given, ([bridged, peer]) => Effect.andThen(peer.abort, bridged.over)),
  "an interruption in the middle": (open, i, given) =>
    Effect.gen(function*() {
      const using = yield* Effect.forkChild(used(open, given, ([bridged]) => bridged.over), { startImmediately: true })
      for (let turn = 0; turn < i % 20; turn++) yield* Effect.yieldNow
      yield* Fiber.interrupt(using)
    }),
  "a failure of its scope": (open, _, given) => used(open, given, () => Effect.fail("no more"))
}

/** A connection in a scope of its own. What it comes to is not what is judged here. */
const used = (
  open: Open,
  given: Given,
  end: (ends: readonly [Bridged, Transport.Transport]) => Effect.Effect<unknown, unknown>
): Effect.Effect<void, never, Network.Network> =>
  Effect.asVoid(Effect.exit(Effect.scoped(Effect.flatMap(open(given), end))))

const bridges: ReadonlyArray<readonly [string, Open]> = [
  ["NodeDuplex.toDuplex", toDuplex],
  ["NodeDuplex.fromDuplex", fromDuplex],
  ["EffectSocket.layerSocket", layerSocket],
  ["EffectSocket.layerSocketServer", layerSocketServer],
  ["EffectSocket.fromSocket", fromSocket],
  ["WebStreams.toWebStreams", toWebStreams],
  ["WebStreams.fromWebStreams", fromWebStreams]
]

describe.each(bridges)("%s, two hundred times", { concurrent: false }, (_, open) => {
  for (const [name, end] of Object.entries(endings)) {
    it.live(`leaves nothing behind by ${name}`, () =>
      leavesNothing(cycles, (i, given) => end(open, i, given)).pipe(
        Effect.provide(NodeTransport.layerNetwork),
        // Connections are cut on purpose.
        Effect.provideService(References.MinimumLogLevel, "None")
      ))
  }
})
