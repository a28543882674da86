/**
 * What one does to a world from inside: its hosts and links, time, and marks.
 *
 * The programs under test know nothing of it: they see a `Network` and Effect's own services. Only the effect that sets
 * the world up does.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as KeyValueStore from "effect/persistence/KeyValueStore"
import type * as Scope from "effect/Scope"
import type { Network } from "../Network.ts"
import type * as Link from "./Link.ts"
import type * as Medium from "./Medium.ts"
import type { HostEnded, InvalidWorld } from "./SimError.ts"

/**
 * What programs on a host are given: its `Network`, and its disk as a `KeyValueStore`.
 *
 * @category models
 * @since 0.1.0
 */
export type HostServices = Network | KeyValueStore.KeyValueStore

/**
 * Something that runs on a host.
 *
 * @category models
 * @since 0.1.0
 */
export interface Task<out A, out E> {
  /** Waits for its end. Interrupted, it stops waiting, and the task goes on. */
  readonly ended: Effect.Effect<A, E | HostEnded>
}

/**
 * A machine with an address of its own. Its programs have a `Network`, a disk, a clock and random numbers of
 * their own.
 *
 * @category models
 * @since 0.1.0
 */
export interface Host {
  readonly name: string
  /** An IPv4 address; the name leads to it, too. */
  readonly address: string
  /** Runs on this host, and waits. Interrupted, it interrupts what runs there. */
  readonly run: <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | HostEnded, Exclude<R, HostServices | Scope.Scope>>
  /** Runs on this host, and does not wait. */
  readonly fork: <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<Task<A, E>, never, Exclude<R, HostServices | Scope.Scope>>
  /** Interrupts what runs there and waits for it: finalizers run. Connections that are left end as those of a process. */
  readonly stop: Effect.Effect<void>
  /** As SIGKILL: no finalizer runs; the system ends its connections, and peers see an end, or a reset. */
  readonly kill: Effect.Effect<void>
  /** No finalizer runs, and no peer hears of it. */
  readonly powerOff: Effect.Effect<void>
  /** As SIGSTOP: nothing there runs until `resume`; its system goes on to receive. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  /** Boots again after an end, or ends it by `stop` before. What it boots is what `boot` says; its disk is as it was. */
  readonly restart: Effect.Effect<void>
  /** The same, with its disk as it was, or empty. */
  readonly restartWith: (options: { readonly disk: "kept" | "lost" }) => Effect.Effect<void>
  /** Moves its time of day; timers stay as they are. */
  readonly jumpClock: (by: Duration.Input) => Effect.Effect<void, InvalidWorld>
  /** From now on its clock goes faster by so many millionths; less than 0 is slower, and above -1000000. */
  readonly driftClock: (ppm: number) => Effect.Effect<void, InvalidWorld>
}

/**
 * How a host is made.
 *
 * @category models
 * @since 0.1.0
 */
export interface HostOptions<E = never, R = never> {
  /** Runs when the host starts, and at each restart. Its failure is a defect of the world, and ends the run. */
  readonly boot?: Effect.Effect<unknown, E, R> | undefined
}

/**
 * The controls of the world at hand.
 *
 * @category services
 * @since 0.1.0
 */
export class World extends Context.Service<World, {
  /** A new host. Names are like those of machines: letters, digits, dots and hyphens. */
  readonly host: <E = never, R = never>(
    name: string,
    options?: HostOptions<E, R>
  ) => Effect.Effect<Host, InvalidWorld, Exclude<R, HostServices | Scope.Scope>>
  /** What lies between two hosts, in both directions; without it, `Link.between`. */
  readonly link: (a: Host, b: Host, link: Link.Options) => Effect.Effect<void, InvalidWorld>
  /** Nothing gets from one to the other until the scope ends. */
  readonly cut: (from: Host, to: Host) => Effect.Effect<void, never, Scope.Scope>
  /** The host that the world's own effect runs on. To end or to pause it is a defect. */
  readonly main: Host
  /** Makes a named pipe at a path of a host. */
  readonly fifo: (host: Host, path: string) => Effect.Effect<Medium.Fifo, InvalidWorld>
  /** Joins two new serial devices, of two hosts or of one. */
  readonly cable: (
    a: Host,
    pathOfA: string,
    b: Host,
    pathOfB: string,
    options?: Medium.CableOptions
  ) => Effect.Effect<Medium.Cable, InvalidWorld>
  /** What TLS is like on a host. It stays so over restarts. */
  readonly tls: (host: Host) => Medium.Tls
  /** Programs of a host may not open this path, be it a socket, a pipe or a device: `PermissionDenied`. */
  readonly deny: (host: Host, path: string) => Effect.Effect<void, never, Scope.Scope>
  /**
   * Leaves the file of a Unix socket whose listener has died: connecting is `Refused`, and who listens there takes it over.
   */
  readonly leaveSocket: (host: Host, path: string) => Effect.Effect<void, InvalidWorld>
  /** Writes a mark into the trace. Faults that wait for it fire within. */
  readonly mark: (name: string) => Effect.Effect<void>
  /** How long this world has gone on. */
  readonly elapsed: Effect.Effect<Duration.Duration>
}>()("effect-transport/sim/World") {}
