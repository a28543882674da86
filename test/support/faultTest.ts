/**
 * A scene of two hosts with a fault, and what each side sees of it, by value and time. The registry test reads from the
 * calls of `faultTest` which kinds have one.
 */
import { assert, it } from "@effect/vitest"
import { Cause, Clock, Duration, Effect, Exit, Option, type Scope } from "effect"
import { Connection, Network, type Transport, type TransportError } from "effect-transport"
import { Fault, Interleave, type Link, Sim, World } from "effect-transport/sim"

/** What one side does, and where it writes what it sees. */
export type Side = (
  transport: Transport.HalfCloseableTransport,
  log: (line: string) => Effect.Effect<void>
) => Effect.Effect<unknown, TransportError.TransportError, Scope.Scope>

interface Scene {
  readonly faults: ReadonlyArray<Fault.Fault>
  readonly client?: Side
  readonly server?: Side
  readonly link?: Link.Options
  /** Does something in the world meanwhile. */
  readonly meanwhile?: (hosts: { readonly client: World.Host; readonly server: World.Host }) => Effect.Effect<
    void,
    never,
    World.World | Scope.Scope
  >
  /** What they are joined by; over `unix` and `fifo` both are programs of the server's host. Default `tcp`. */
  readonly over?: keyof typeof media
  /** Where the client connects. Default as the medium has it. */
  readonly to?: string
  /** What is done before anybody runs. */
  readonly setUp?: (hosts: { readonly client: World.Host; readonly server: World.Host }) => Effect.Effect<
    void,
    never,
    World.World | Scope.Scope
  >
  /** How much later the server comes. Default as soon as it can. */
  readonly serverAfter?: Duration.Input
  /** How often the client tries to connect, each second. Default once. */
  readonly tries?: number
  /** How long the world is watched. Default 30 seconds. */
  readonly until?: Duration.Input
  /** Default as in production, and four others. */
  readonly interleavings?: ReadonlyArray<Interleave.Interleave>
  readonly sees: Seen | ((seed: number) => Seen)
}

interface Seen {
  readonly client: ReadonlyArray<string>
  readonly server: ReadonlyArray<string>
}

/** Where the server listens, or what it opens; and where the client connects. */
const media = {
  tcp: { listen: "tcp://0.0.0.0:7000", to: "tcp://server:7000" },
  tls: { listen: "tls://0.0.0.0:7000", to: "tls://server:7000" },
  unix: { listen: "unix:///run/app", to: "unix:///run/app" },
  fifo: { open: "fifo:?read=/run/app", to: "fifo:?write=/run/app" },
  serial: { open: "serial:///dev/server?baudRate=9600", to: "serial:///dev/client?baudRate=9600" }
} as const

const reasonOf = (exit: Exit.Exit<unknown, TransportError.TransportError>): string => {
  if (Exit.isSuccess(exit)) return "ok"
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  if (error === undefined) return "interrupted"
  const { reason } = error
  if (reason._tag === "TimedOut") return `TimedOut ${reason.phase}`
  if (reason._tag === "TlsRejected") return `TlsRejected ${reason.why}`
  const cause = error.cause as { readonly code?: string } | undefined
  return reason._tag === "Failed" ? `Failed ${cause?.code}` : reason._tag
}

// ---------------------------------------------------------------------------------------------------------------------
// What a side can do
// ---------------------------------------------------------------------------------------------------------------------

const bytesFrom = (at: number, length: number) => Uint8Array.from({ length }, (_, i) => (at + i) & 255)

/** Reads to the end, and tells the bytes of each chunk by their places; other bytes than were sent by their value. */
export const read: Side = (transport, log) =>
  Effect.gen(function*() {
    let at = 0
    while (true) {
      const exit = yield* Effect.exit(Connection.take(transport))
      if (Exit.isFailure(exit)) {
        const isDone = Option.isNone(Cause.findErrorOption(exit.cause)) ||
          Cause.isDone(Option.getOrThrow(Cause.findErrorOption(exit.cause)))
        return yield* log(isDone ? "end" : reasonOf(exit as Exit.Exit<unknown, TransportError.TransportError>))
      }
      const chunk = exit.value
      const isAsSent = chunk.every((byte, i) => byte === ((at + i) & 255))
      yield* log(isAsSent ? `${at}..${at + chunk.length}` : `other bytes: ${chunk.join()}`)
      at += chunk.length
    }
  })

/** Writes so many bytes, from this place on, and tells where that fails. */
export const write = (length: number, at = 0): Side => (transport, log) =>
  Effect.matchEffect(transport.write(bytesFrom(at, length)), {
    onFailure: (error) => log(`write: ${error.reason._tag} ${error.delivery}`),
    onSuccess: () => Effect.void
  })

/** The same, and tells when it is done. */
export const wrote = (length: number, at = 0): Side => (transport, log) =>
  Effect.flatMap(Effect.exit(transport.write(bytesFrom(at, length))), (exit) => log(`wrote: ${reasonOf(exit)}`))

export const halfClose: Side = (transport, log) =>
  Effect.matchEffect(transport.halfClose, {
    onFailure: (error) => log(`halfClose: ${error.reason._tag}`),
    onSuccess: () => Effect.void
  })

export const close: Side = (transport, log) =>
  Effect.flatMap(Effect.exit(transport.close), (exit) => log(`close: ${reasonOf(exit)}`))

export const pause = (duration: Duration.Input): Side => () => Effect.sleep(duration)

export const forever: Side = () => Effect.never

export const inTurn = (...sides: ReadonlyArray<Side>): Side => (transport, log) =>
  Effect.forEach(sides, (side) => side(transport, log), { discard: true })

export const both = (...sides: ReadonlyArray<Side>): Side => (transport, log) =>
  Effect.forEach(sides, (side) => side(transport, log), { discard: true, concurrency: "unbounded" })

// ---------------------------------------------------------------------------------------------------------------------
// The scene
// ---------------------------------------------------------------------------------------------------------------------

const loggerOf = (lines: Array<string>) => (line: string) =>
  Effect.map(Clock.monotonicTimeNanos, (nanos) => void lines.push(`${Number(nanos) / 1e6} ${line}`))

const network = Network.Network as unknown as Effect.Effect<Network.Network["Service"], never, Network.Network>

const sceneOf = (scene: Scene) =>
  Effect.gen(function*() {
    const { client, link, meanwhile, over = "tcp", server, setUp, tries = 1, until = "30 seconds" } = scene
    const medium = media[over]
    const world = yield* World.World
    const seen = { client: [] as Array<string>, server: [] as Array<string> }
    const serverLog = loggerOf(seen.server)
    const serving = Effect.gen(function*() {
      if ("open" in medium) {
        // The world makes it first.
        yield* Effect.sleep(1)
        const transport = yield* (yield* network).connect(medium.open)
        yield* serverLog("opened")
        return yield* (server ?? read)(transport as Transport.HalfCloseableTransport, serverLog)
      }
      if (scene.serverAfter !== undefined) yield* Effect.sleep(scene.serverAfter)
      const listener = yield* (yield* network).listen(medium.listen).pipe(
        Effect.tapError((error) => serverLog(`listen: ${error.reason._tag}`))
      )
      while (true) {
        const accepted = yield* Effect.exit(listener.accept)
        if (Exit.isSuccess(accepted)) {
          yield* serverLog("accepted")
          yield* Effect.forkScoped((server ?? read)(accepted.value, serverLog))
        } else {
          yield* serverLog(`accept: ${reasonOf(accepted)}`)
          if (reasonOf(accepted) === "interrupted") return
        }
      }
    })
    const serverHost = yield* world.host("server", {
      // That it cannot listen is what some faults are there for.
      boot: Effect.ignore(Effect.onExit(
        serving,
        (exit) => Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? serverLog("finalizer") : Effect.void
      ))
    })
    const clientHost = yield* world.host("client")
    yield* world.host("other")
    if (over === "fifo") yield* world.fifo(serverHost, "/run/app")
    if (over === "serial") yield* world.cable(clientHost, "/dev/client", serverHost, "/dev/server")
    if (setUp !== undefined) yield* setUp({ client: clientHost, server: serverHost })
    if (link !== undefined) yield* world.link(clientHost, serverHost, link)
    yield* Effect.sleep(10)
    const clientLog = loggerOf(seen.client)
    yield* (over === "unix" || over === "fifo" ? serverHost : clientHost).fork(Effect.gen(function*() {
      for (let left = tries; left > 0; left--) {
        const connected = yield* Effect.exit((yield* network).connect(scene.to ?? medium.to))
        if (Exit.isSuccess(connected)) {
          yield* clientLog("connected")
          return yield* (client ?? read)(connected.value as Transport.HalfCloseableTransport, clientLog)
        }
        yield* clientLog(reasonOf(connected as never))
        if (left > 1) yield* Effect.sleep("1 second")
      }
      return undefined
    }))
    if (meanwhile !== undefined) yield* Effect.forkScoped(meanwhile({ client: clientHost, server: serverHost }))
    yield* Effect.sleep(until)
    // What comes of the end of the world is none of the fault.
    return { client: seen.client.slice(), server: seen.server.slice() }
  })

/** A test of one kind, by what both ends see: alike in any order of those that could run at once. */
export const faultTest = (kind: Fault.Kind, name: string, scene: Scene): void => {
  it(`${kind}: ${name}`, () => {
    assert.include(scene.faults.map(({ _tag }) => _tag), kind)
    const interleavings = scene.interleavings ??
      [Interleave.production, ...Array.from({ length: 4 }, () => Interleave.portfolio())]
    interleavings.forEach((interleave, seed) => {
      const report = Sim.run(sceneOf(scene), { seed, interleave, faults: scene.faults, budget: { steps: 100_000 } })
      if (Exit.isFailure(report.exit)) throw Cause.squash(report.exit.cause)
      const sees = typeof scene.sees === "function" ? scene.sees(seed) : scene.sees
      assert.deepStrictEqual(report.exit.value, sees, `${interleave.name}, seed ${seed}`)
      for (const { firedNs, name } of report.faults) {
        const event = report.events.find(({ kind, note }) => kind === "fault" && note === name)
        assert.strictEqual(event?.atNs, firedNs, name)
      }
    })
  })
}
