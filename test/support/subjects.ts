/**
 * Every transport of this project as a subject for the laws.
 */
import { Context, Effect, Layer, Scope } from "effect"
import {
  Endpoint,
  type Listener,
  Network,
  Serial,
  SerialBinding,
  TestSerial,
  TestTransport,
  type Transport,
  type TransportError
} from "effect-transport"
import { NodeDuplex, NodeTransport } from "effect-transport/node"
import type { TransportLaws } from "effect-transport/testing"
import { AddressResolver, Dns } from "effect/net"
import { randomUUID } from "node:crypto"
import { closeSync, existsSync, openSync, readdirSync, renameSync, writeFileSync } from "node:fs"
import { devNull, tmpdir } from "node:os"
import { join } from "node:path"
import { blackHole } from "./blackHole.ts"
import { children } from "./children.ts"
import { exhaustion } from "./exhaustion.ts"
import { fifoPair, openPipe, takeFifo } from "./fifos.ts"
import { folder } from "./folder.ts"
import { bridgedPair } from "./ptyBridge.ts"
import { openPort, openPtys } from "./ptys.ts"

type NetworkService = Network.Network["Service"]

/** The network of this machine, with names that need no resolver. */
const machine: Layer.Layer<Network.Network> = NodeTransport.layerNetworkWith().pipe(
  Layer.provide(AddressResolver.layer()),
  Layer.provide(Dns.layerStatic({ hosts: { "two.example": ["127.0.0.1", "::1"] } })),
  Layer.orDie
)

const networkOf = (layer: Layer.Layer<Network.Network>): Effect.Effect<NetworkService, never, Scope.Scope> =>
  Effect.map(Layer.build(Layer.fresh(layer)), (context) => Context.get(context, Network.Network))

/** Both ends of a real connection: one that connects, one that is accepted. */
const pairOver = (endpoint: () => string): TransportLaws.Subject["pair"] => (options) =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const { connect, listen } = yield* networkOf(machine)
    const listening = yield* Scope.fork(scope)
    const listener = yield* Scope.provide(listen(endpoint(), options), listening)
    const [a, b] = yield* Effect.all([connect(listener.endpoint, options), listener.accept], { concurrency: 2 })
    yield* Scope.close(listening, yield* Effect.exit(Effect.void))
    return [a, b] as const
  })

/**
 * A program of others in between: what it is told goes to a Unix socket, and the other end of that is the peer. So both
 * ends are transports, and whatever either shows the other has gone through a real process.
 */
const pairThroughProgram: TransportLaws.Subject["pair"] = (options) =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const { connect, listen } = yield* networkOf(machine)
    const listening = yield* Scope.fork(scope)
    const path = unixPath()
    const listener = yield* Scope.provide(listen(`unix://${path}`, options), listening)
    const endpoint = {
      _tag: "exec",
      command: "socat",
      args: ["-b", "65536", "-t", "3600", "-,shut-close", `UNIX:${path}`]
    } as const
    const given: NodeTransport.NodeOptions = { ...options, child }
    const [a, b] = yield* Effect.all([connect(endpoint, given), listener.accept], { concurrency: 2 })
    yield* Scope.close(listening, yield* Effect.exit(Effect.void))
    return [a, b] as const
  })

const child: NodeTransport.ChildOptions = {
  stderr: "ignore",
  endTimeout: 100,
  killTimeout: 100,
  exitGrace: 50,
  exitStatus: "ignore"
}

/** Each listener has a network of its own. */
const listenerOver = (
  layer: Layer.Layer<Network.Network>,
  endpoint: () => string
): TransportLaws.ListenerSubject => {
  const networks = new WeakMap<Listener.Listener, NetworkService>()
  const listenOn = (network: NetworkService, at: string, options?: Transport.TransportOptions) =>
    Effect.tap(network.listen(at, options), (listener) => Effect.sync(() => networks.set(listener, network)))
  return {
    listen: (options) => Effect.flatMap(networkOf(layer), (network) => listenOn(network, endpoint(), options)),
    listenAgain: (listener) => listenOn(networks.get(listener)!, Endpoint.format(listener.endpoint)),
    connect: (listener, options) => networks.get(listener)!.connect(listener.endpoint, options)
  }
}

const hangingOn = (host: string): TransportLaws.ListenerSubject["blackHole"] =>
  Effect.gen(function*() {
    const { connect } = yield* networkOf(machine)
    const port = yield* blackHole(host)
    return (options?: NodeTransport.NodeOptions) => connect({ _tag: "tcp", host, port }, options)
  })

/** Handles of this process that keep it alive, without those of the test runner. */
const handles: Effect.Effect<ReadonlyArray<string>> = Effect.sync(() =>
  process.getActiveResourcesInfo().filter((name) => /TCP|Pipe|Connect|Shutdown|Write/.test(name))
)

/** Those, and every descriptor of this process. */
const held: Effect.Effect<ReadonlyArray<string>> = Effect.map(
  handles,
  (
    handles
  ) => [...handles, ...(existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").map(() => "descriptor") : [])]
)

const unixPath = () => join(tmpdir(), `effect-transport-${randomUUID()}.sock`)
const abstractName = () => `unix:@effect-transport-${randomUUID()}`

// ---------------------------------------------------------------------------------------------------------------------
// Opens that fail
// ---------------------------------------------------------------------------------------------------------------------

const failing = (
  layer: Layer.Layer<Network.Network>,
  name: string,
  open: (network: NetworkService) => TransportLaws.FailingOpen["open"],
  ...reasons: TransportLaws.FailingOpen["reasons"]
): TransportLaws.FailingOpen => ({ name, open: Effect.flatMap(networkOf(layer), open), reasons })

const busy = (layer: Layer.Layer<Network.Network>, endpoint: () => string): TransportLaws.FailingOpen =>
  failing(
    layer,
    "listening where somebody does",
    ({ listen }) => Effect.flatMap(listen(endpoint()), (listener) => listen(Endpoint.format(listener.endpoint))),
    "Busy"
  )

const noTime: NodeTransport.NodeOptions = { connectTimeout: 0 }
const littleTime: NodeTransport.NodeOptions = { connectTimeout: 30 }

const failingTcp = (host: string, foreign: string): ReadonlyArray<TransportLaws.FailingOpen> => [
  // Below those that the system gives out: one of these would now and then be joined to itself.
  failing(machine, "a port that nobody listens on", ({ connect }) => connect(`tcp://${host}:1`), "Refused"),
  failing(
    machine,
    "a host name without an address",
    ({ connect }) => connect("tcp://nowhere.example:1"),
    "NameNotFound"
  ),
  failing(
    machine,
    "a host name with two useless addresses",
    ({ connect }) => connect("tcp://two.example:1"),
    "AllAttemptsFailed"
  ),
  failing(machine, "no time to connect", ({ connect }) => connect(`tcp://${host}:1`, noTime), "TimedOut"),
  failing(
    machine,
    "listening at an address of another machine",
    ({ listen }) => listen(`tcp://${foreign}:0`),
    "InvalidOption"
  ),
  failing(
    machine,
    "an endpoint of a kind that is not there",
    ({ connect }) => connect("memory:nobody"),
    "Unsupported"
  ),
  failing(machine, "an endpoint that is none", ({ connect }) => connect("tcp://" as string), "InvalidOption"),
  busy(machine, () => `tcp://${host}:0`)
]

const failingUnix: ReadonlyArray<TransportLaws.FailingOpen> = [
  failing(machine, "a path that is not there", ({ connect }) => connect(`unix://${unixPath()}`), "NotFound"),
  failing(machine, "a file that is no socket", ({ connect }) =>
    withFolder((folder) => {
      writeFileSync(join(folder, "file"), "")
      return connect(`unix://${folder}/file`)
    }), "Refused"),
  failing(machine, "a socket whose listener has died", ({ connect, listen }) =>
    withFolder((folder) =>
      Effect.andThen(
        // Moved out of the way, so that it is not removed with its listener.
        Effect.scoped(
          Effect.tap(listen(`unix://${folder}/a`), () => Effect.sync(() => renameSync(`${folder}/a`, `${folder}/b`)))
        ),
        connect(`unix://${folder}/b`)
      )
    ), "Refused"),
  failing(machine, "listening where a file is", ({ listen }) =>
    withFolder((folder) => {
      writeFileSync(join(folder, "file"), "")
      return listen(`unix://${folder}/file`)
    }), "Busy"),
  failing(
    machine,
    "listening in a folder that is not there",
    ({ listen }) => listen(`unix://${unixPath()}/socket`),
    "NotFound"
  ),
  failing(machine, "a path that is too long", ({ connect }) => connect(`unix:///${"a".repeat(200)}`), "InvalidOption"),
  busy(machine, () => `unix://${unixPath()}`)
]

const failingExec: ReadonlyArray<TransportLaws.FailingOpen> = [
  failing(machine, "a program that is not there", ({ connect }) => connect("exec:no-such-program"), "NotFound"),
  failing(machine, "a file that may not be executed", ({ connect }) => connect("exec:/etc/passwd"), "PermissionDenied"),
  failing(machine, "a folder that is not there", ({ connect }) => connect("exec:cat", inNoFolder), "NotFound"),
  failing(machine, "listening", ({ listen }) => listen("exec:cat"), "Unsupported"),
  failing(machine, "an endpoint that is none", ({ connect }) => connect("exec:" as string), "InvalidOption")
]

const inNoFolder: NodeTransport.NodeOptions = { child: { cwd: "/no/such/folder" } }

const failingMemory: ReadonlyArray<TransportLaws.FailingOpen> = [
  failing(
    TestTransport.layerNetwork,
    "a name that nobody listens on",
    ({ connect }) => connect("memory:nobody"),
    "Refused"
  ),
  failing(
    TestTransport.layerNetwork,
    "an endpoint of a kind that is not there",
    ({ connect }) => connect("tcp://127.0.0.1:1"),
    "Unsupported"
  ),
  busy(TestTransport.layerNetwork, () => "memory:here")
]

const withFolder = <A, E, R>(use: (folder: string) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Scope.Scope> =>
  Effect.flatMap(folder, use)

// ---------------------------------------------------------------------------------------------------------------------

const tcp = (
  host: string,
  foreign: string,
  exhaustion?: TransportLaws.ListenerSubject["exhaustion"]
): TransportLaws.Subject => {
  const endpoint = () => `tcp://${host}:0`
  return {
    pair: pairOver(endpoint),
    listener: {
      ...listenerOver(machine, endpoint),
      blackHole: hangingOn(host.replace(/[[\]]/g, "")),
      // In another process, so once is enough.
      exhaustion
    },
    failingOpens: failingTcp(host, foreign),
    resources: handles,
    capabilities: { halfClose: true, reset: true, addresses: true }
  }
}

const unix = (endpoint: () => string, failingOpens: TransportLaws.Subject["failingOpens"]): TransportLaws.Subject => ({
  pair: pairOver(endpoint),
  listener: listenerOver(machine, endpoint),
  failingOpens,
  resources: handles,
  capabilities: { halfClose: true, reset: false }
})

/** Both ends as streams of Node, and those as transports again. */
const throughDuplex = ({ capabilities, pair, resources }: TransportLaws.Subject): TransportLaws.Subject => ({
  pair: (options) =>
    Effect.gen(function*() {
      const through = (end: Transport.Transport) =>
        Effect.flatMap(
          NodeDuplex.toDuplex(end),
          (duplex) => NodeDuplex.fromDuplex(duplex, { ...options, endpoint: { _tag: "memory", name: "through" } })
        )
      // What is to follow the peer's end is for the outer ones to do.
      const [a, b] = yield* pair({ ...options, onPeerEnd: "keep" })
      return [yield* through(a), yield* through(b)] as const
    }),
  resources,
  // Streams of Node move by real time, and a stream has no addresses to tell.
  capabilities: { halfClose: capabilities.halfClose, reset: capabilities.reset }
})

/** Two pipes, crosswise. Once both ends are open nobody needs their names. */
const fifoDoorPair: TransportLaws.Subject["pair"] = (options) =>
  Effect.gen(function*() {
    const { connect } = yield* networkOf(machine)
    const [there, back] = [takeFifo(), takeFifo()]
    return yield* Effect.all([
      connect({ _tag: "fifo", read: back, write: there }, options),
      connect({ _tag: "fifo", read: there, write: back }, options)
    ], { concurrency: 2 })
  })

const fdPair: TransportLaws.Subject["pair"] = (options) =>
  Effect.gen(function*() {
    const { connect } = yield* networkOf(machine)
    const [there, back] = [openPipe(), openPipe()]
    const end = (read: number, write: number) =>
      // An open that fails leaves them to us.
      Effect.onError(connect({ _tag: "fd", read, write }, options), () =>
        Effect.sync(() => {
          closeSync(read)
          closeSync(write)
        }))
    return yield* Effect.all([end(back.reading, there.writing), end(there.reading, back.writing)], {
      mode: "result"
    }).pipe(Effect.flatMap(([a, b]) => Effect.all([Effect.fromResult(a), Effect.fromResult(b)])))
  })

const openHere = (path: string, flags: string | number): Effect.Effect<number, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => openSync(path, flags)),
    (fd) => Effect.sync(() => closeSync(fd))
  )

const withPipe = <A, E, R>(use: (path: string) => Effect.Effect<A, E, R>) => Effect.suspend(() => use(takeFifo()))

const failingFifo: ReadonlyArray<TransportLaws.FailingOpen> = [
  failing(
    machine,
    "a path that is not there",
    ({ connect }) => withPipe((path) => connect({ _tag: "fifo", read: path, write: unixPath() })),
    "NotFound"
  ),
  failing(machine, "a file that is no pipe", ({ connect }) =>
    withFolder((folder) => {
      writeFileSync(join(folder, "file"), "")
      return connect(`fifo:?write=${folder}/file`)
    }), "InvalidOption"),
  failing(
    machine,
    "a pipe that nobody writes to",
    ({ connect }) => withPipe((path) => connect(`fifo:?read=${path}`, littleTime)),
    "TimedOut"
  ),
  failing(
    machine,
    "a pipe that nobody reads",
    ({ connect }) => withPipe((path) => connect(`fifo:?write=${path}`, littleTime)),
    "TimedOut"
  ),
  failing(machine, "no time to connect", ({ connect }) => connect("fifo:?read=/nowhere", noTime), "TimedOut"),
  failing(machine, "listening", ({ listen }) => listen("fifo:?read=/nowhere"), "Unsupported")
]

const failingFd: ReadonlyArray<TransportLaws.FailingOpen> = [
  failing(machine, "a descriptor that is not open", ({ connect }) => connect("fd:1000000"), "NotFound"),
  failing(
    machine,
    "a folder",
    ({ connect }) => Effect.flatMap(openHere("/", "r"), (fd) => connect({ _tag: "fd", read: fd })),
    "Unsupported"
  ),
  failing(
    machine,
    "a descriptor that cannot be written to",
    ({ connect }) => Effect.flatMap(openHere(devNull, "r"), (fd) => connect(`fd:,${fd}`)),
    "Unsupported"
  ),
  failing(machine, "a descriptor that another connection has", ({ connect }) =>
    Effect.suspend(() => {
      const { reading, writing } = openPipe()
      return Effect.andThen(connect(`fd:${reading},${writing}`), connect(`fd:,${writing}`))
    }), "Busy"),
  failing(machine, "listening", ({ listen }) => listen("fd:3"), "Unsupported")
]

/** A serial line has no end to show, neither of one direction nor of all. */
const serial = { halfClose: false, reset: false, peerEnd: false }

const failingSerial = (
  name: string,
  reason: TransportLaws.FailingOpen["reasons"][number],
  open: () => Effect.Effect<unknown, TransportError.TransportError, SerialBinding.SerialBinding | Scope.Scope>
): TransportLaws.FailingOpen => ({
  name,
  open: Effect.flatMap(
    TestSerial.makeCable("/dev/a", "/dev/b"),
    ({ binding }) => Effect.provideService(open(), SerialBinding.SerialBinding, binding)
  ),
  reasons: [reason]
})

const virtual = { halfClose: true, reset: true, virtualTime: true }

const memory: TransportLaws.Subject = {
  pair: TestTransport.pair,
  listener: listenerOver(TestTransport.layerNetwork, () => "memory:here"),
  failingOpens: failingMemory,
  capabilities: virtual
}

const tcp4 = tcp("127.0.0.1", "192.0.2.1", exhaustion)

export const subjects: Readonly<Record<string, TransportLaws.Subject>> = {
  memory,
  lockstep: { pair: TestTransport.lockstepPair, capabilities: { ...virtual, buffers: false } },
  tcp4,
  tcp6: tcp("[::1]", "[2001:db8::1]"),
  unix: unix(() => `unix://${unixPath()}`, failingUnix),
  abstract: unix(abstractName, [
    failing(machine, "a name that nobody listens on", ({ connect }) => connect(abstractName()), "Refused"),
    busy(machine, abstractName)
  ]),
  // What `stdio:` is made of, on descriptors that do not belong to the test runner.
  stdio: {
    pair: fifoPair,
    failingOpens: [
      failing(machine, "listening", ({ listen }) => listen("stdio:"), "Unsupported"),
      failing(machine, "an endpoint that is none", ({ connect }) => connect("stdio://" as string), "InvalidOption")
    ],
    resources: handles,
    // A pipe has no reset to show, and no addresses.
    capabilities: { halfClose: true, reset: false }
  },
  fifo: {
    pair: fifoDoorPair,
    failingOpens: failingFifo,
    resources: held,
    capabilities: { halfClose: true, reset: false }
  },
  // As a shell gives them to a program; see `fdProgram.ts` for sockets.
  fd: {
    pair: fdPair,
    failingOpens: failingFd,
    resources: held,
    capabilities: { halfClose: true, reset: false }
  },
  serialMemory: {
    pair: (options) => Effect.map(TestSerial.pair(options), ([a, b]) => [a.transport, b.transport] as const),
    failingOpens: [
      failingSerial("a path that is not there", "NotFound", () => Serial.open("serial:/dev/nowhere")),
      failingSerial(
        "a device that is in use",
        "Busy",
        () => Effect.andThen(Serial.open("serial:/dev/a"), Serial.open("serial:/dev/a"))
      ),
      failingSerial("no serial port", "Unsupported", () => Serial.open("tcp://127.0.0.1:1")),
      failingSerial("settings that are none", "InvalidOption", () => Serial.open("serial:/dev/a?dataBits=9"))
    ],
    capabilities: { ...serial, virtualTime: true }
  },
  serialPty: {
    pair: (options) =>
      Effect.flatMap(bridgedPair, ([a, b]) =>
        Effect.map(
          Effect.all([openPort(a, options), openPort(b, options)]),
          ([a, b]) => [a.transport, b.transport] as const
        )),
    failingOpens: [
      { name: "a path that is not there", open: openPort("/dev/nowhere"), reasons: ["NotFound"] },
      { name: "a folder", open: openPort(tmpdir()), reasons: ["Unsupported"] },
      { name: "a device that is none", open: openPort("/dev/null"), reasons: ["Unsupported"] },
      {
        name: "a device that is in use",
        open: Effect.flatMap(bridgedPair, ([a]) => Effect.andThen(openPort(a), openPort(a))),
        reasons: ["Busy"]
      },
      failing(machine, "listening", ({ listen }) => listen("serial:///dev/null"), "Unsupported")
    ],
    resources: Effect.sync(openPtys),
    capabilities: { ...serial, relayed: true }
  },
  exec: {
    pair: pairThroughProgram,
    failingOpens: failingExec,
    resources: Effect.map(handles, (handles) => [...handles, ...children()]),
    // A pipe has no reset to show, and no addresses.
    capabilities: { halfClose: true, reset: false, relayed: true }
  },
  duplexMemory: throughDuplex(memory),
  duplexTcp: throughDuplex(tcp4)
}
