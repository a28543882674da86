/**
 * A world that runs: the engine with its hosts and their lives, and the services that the world's own effect is given.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Network } from "../Network.ts"
import { type Budget, Engine, type Stop } from "./engine/engine.ts"
import type { Owner } from "./engine/lanes.ts"
import type { Prng } from "./engine/prng.ts"
import { Recording } from "./engine/recording.ts"
import type { Strategy } from "./engine/strategies.ts"
import { HostClock, Life, Task } from "./life.ts"
import * as Link from "./Link.ts"
import { mediaOf } from "./media.ts"
import { type Host as NetHost, Hosts } from "./net/hosts.ts"
import type { LinkSettings } from "./net/settings.ts"
import { networkOf } from "./network.ts"
import { Fibers, LifeScheduler } from "./scheduler.ts"
import { Escaped, HostEnded, InvalidWorld } from "./SimError.ts"
import * as sources from "./sources.ts"
import * as World from "./World.ts"

/** A host with what is needed to begin it again. */
interface Machine {
  readonly net: NetHost
  readonly clock: HostClock
  life: Life
  isUp: boolean
  boot: ((life: Life) => void) | undefined
  handle: World.Host
}

/** The host that the world's own effect runs on. */
const mainName = "main"

export class Simulation {
  readonly engine: Engine
  readonly hosts: Hosts
  readonly fibers = new Fibers()
  /** How often each source of the outside was asked for. */
  readonly used = new Map<string, number>()
  escaped: Escaped | undefined = undefined
  /** What was still there at the end, by name. */
  readonly left: Array<string> = []
  readonly #machines = new Map<string, Machine>()
  readonly #handles = new WeakMap<World.Host, Machine>()
  readonly #main: Machine

  constructor(options: {
    readonly seed: number
    readonly budget: Budget
    readonly strategy: (prng: Prng) => Strategy
    readonly trace: "events" | "digest" | "off"
  }) {
    const recording = new Recording(options.trace)
    this.engine = new Engine({ ...options, recording, realMillis: sources.realMillis })
    const { engine, fibers } = this
    recording.context = {
      get nowNs() {
        return engine.nowNs
      },
      get fiber() {
        return fibers.current
      }
    }
    this.hosts = new Hosts(engine, { between: settled(Link.between), within: settled(Link.within) })
    this.#main = this.#machine(mainName)
  }

  /** Drives the world until its effect has ended and all hosts are stopped, or until it cannot. */
  run<A, E>(effect: Effect.Effect<A, E, any>): { readonly stop: Stop; readonly exit: Exit.Exit<A, E> | undefined } {
    const giveBack = sources.take(this.#controls)
    try {
      const { exit, stop } = this.#drive(Effect.scoped(effect), Context.make(World.World, this.#service()))
      if (stop._tag !== "Done") return { stop, exit }
      const ended = this.#drive(this.#interruptAll, Context.empty())
      // Whoever is about to end, ends.
      const settled = ended.stop._tag === "Done" ? this.engine.drive(() => this.engine.isSettled) : ended.stop
      if (settled._tag === "Done") {
        for (const machine of this.#machines.values()) this.#findLeft(machine)
      }
      for (const machine of this.#machines.values()) if (machine !== this.#main) this.#end(machine, "stop")
      return { stop: settled, exit }
    } finally {
      giveBack()
    }
  }

  /** Runs on the world's own host, until it has ended. */
  #drive<A, E, R>(
    effect: Effect.Effect<A, E, R>,
    context: Context.Context<R>
  ): { readonly stop: Stop; readonly exit: Exit.Exit<A, E> | undefined } {
    let exit: Exit.Exit<A, E> | undefined
    // Not on a fiber of its own: who waits here is outside.
    this.#main.life.start(effect, context).onEnd((ended) => {
      exit = ended as Exit.Exit<A, E>
    })
    return { stop: this.engine.drive(() => exit !== undefined), exit }
  }

  get #controls(): sources.Controls {
    const { engine } = this
    const { clock } = this.#main
    const stream = engine.stream("Math.random")
    return {
      wallMillis: () => clock.wallMillis,
      monotonicNanos: () => clock.monotonicNanos,
      random: () => stream.fraction(),
      microtask: (run) => engine.microtask(run),
      onUse: (source) => {
        this.used.set(source, (this.used.get(source) ?? 0) + 1)
        engine.recording.add("source", "", { note: source })
      },
      onEscape: (source) => this.#escape(source, "", this.fibers.current)
    }
  }

  #escape(source: string, host: string, fiber: number): Escaped {
    const where = host !== "" ? host : this.fibers.live.find(({ number }) => number === fiber)?.host ?? "?"
    const escaped = new Escaped({ source, host: where, fiber, seq: this.engine.recording.count })
    this.escaped ??= escaped
    this.engine.isHalted = true
    return escaped
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Hosts
  // -------------------------------------------------------------------------------------------------------------------

  #machine(name: string): Machine {
    const owner: Owner = { state: "running", parked: [] }
    const net = this.hosts.add(name, owner)
    const clock = new HostClock(this.engine)
    const machine: Machine = {
      net,
      clock,
      life: this.#life(net, clock, owner),
      isUp: true,
      boot: undefined,
      handle: undefined as unknown as World.Host
    }
    machine.handle = this.#handle(machine)
    this.#machines.set(name, machine)
    this.#handles.set(machine.handle, machine)
    return machine
  }

  #life(net: NetHost, clock: HostClock, owner: Owner): Life {
    const { engine, fibers } = this
    return new Life({
      engine,
      host: net,
      owner,
      clock,
      scheduler: new LifeScheduler({
        engine,
        fibers,
        owner,
        host: net.name,
        onForeign: (host, fiber) => this.#escape("what is not of this world", host, fiber)
      }),
      network: networkOf(this.hosts, net),
      fiberNow: () => fibers.current
    })
  }

  #tell(machine: Machine, note: string): void {
    this.engine.recording.add("host", machine.net.name, { note })
  }

  /** What is left of its programs and connections goes as it says. */
  #end(machine: Machine, by: HostEnded["by"]): void {
    if (!machine.isUp) return
    machine.isUp = false
    this.#tell(machine, by)
    machine.life.discard(by)
    this.fibers.forget(machine.net.name)
    if (by === "powerOff") this.hosts.silence(machine.net)
    else this.hosts.abandon(machine.net)
  }

  #stop(machine: Machine): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!machine.isUp) return Effect.void
      const ending = canEnd(machine) ? machine.life.interruptAll : Effect.void
      return Effect.andThen(ending, Effect.sync(() => this.#end(machine, "stop")))
    })
  }

  /** All that runs on hosts that are up. What stands still cannot end in order. */
  get #interruptAll(): Effect.Effect<void> {
    return Effect.forEach(
      Array.from(this.#machines.values()).filter((machine) => machine !== this.#main && canEnd(machine)),
      (machine) => machine.life.interruptAll,
      { discard: true }
    )
  }

  /** What a host still has though all that ran on it was told to end. */
  #findLeft(machine: Machine): void {
    if (!canEnd(machine)) return
    const { life, net } = machine
    for (const where of net.listening.keys()) this.left.push(`${where}, listened on by ${net.name}`)
    for (const { client, id, place, server } of this.hosts.connections) {
      for (const socket of [client, server]) {
        // One that nobody has yet is no program's.
        if (socket.host === net && !socket.isClosed && socket.isGiven) {
          this.left.push(
            `the ${socket === client ? "client" : "server"}'s end of connection ${id} to ${place}, on ${net.name}`
          )
        }
      }
    }
    for (const { host, number } of this.fibers.live) {
      if (host === net.name) this.left.push(`fiber ${number}, on ${host}`)
    }
    const timers = this.engine.timersOf(life.owner)
    if (timers > 0) this.left.push(`${timers} ${timers === 1 ? "timer" : "timers"}, on ${net.name}`)
  }

  #begin(machine: Machine): void {
    const owner: Owner = { state: "running", parked: [] }
    machine.net.owner = owner
    machine.net.isOff = false
    machine.life = this.#life(machine.net, machine.clock, owner)
    machine.isUp = true
    this.#tell(machine, "boot")
    machine.boot?.(machine.life)
  }

  #handle(machine: Machine): World.Host {
    const { engine } = this
    const { name } = machine.net
    const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.contextWith((context: Context.Context<Exclude<R, Network>>) =>
        Effect.sync((): Task<A, E> => {
          if (machine.isUp) {
            return machine.life.start(Effect.scoped(effect), context as Context.Context<any>) as Task<A, E>
          }
          return Task.ended<A, E>(Exit.fail(new HostEnded({ host: name, by: "stop" })))
        })
      )
    return {
      name,
      address: machine.net.address,
      fork: fork as World.Host["fork"],
      run:
        ((effect: Effect.Effect<any, any, any>) =>
          Effect.uninterruptibleMask((restore) =>
            Effect.flatMap(fork(effect), (task) =>
              Effect.onInterrupt(
                restore(task.ended),
                () => machine.life.interrupt(task)
              ))
          )) as World.Host["run"],
      stop: this.#stop(machine),
      kill: Effect.sync(() => this.#end(machine, "kill")),
      powerOff: Effect.sync(() => this.#end(machine, "powerOff")),
      pause: Effect.sync(() => {
        if (!machine.isUp || machine.life.owner.state !== "running") return
        this.#tell(machine, "pause")
        engine.pause(machine.life.owner)
      }),
      resume: Effect.sync(() => {
        if (!machine.isUp || machine.life.owner.state !== "paused") return
        this.#tell(machine, "resume")
        engine.unpause(machine.life.owner)
      }),
      restart: Effect.andThen(this.#stop(machine), Effect.sync(() => this.#begin(machine))),
      jumpClock: (by) =>
        Effect.sync(() => {
          machine.clock.offsetMillis += Duration.toMillis(Duration.fromInputUnsafe(by))
          this.#tell(machine, `clock jumps by ${Duration.toMillis(Duration.fromInputUnsafe(by))} ms`)
        }),
      driftClock: (ppm) =>
        Effect.sync(() => {
          machine.clock.rate = 1 + ppm / 1e6
          this.#tell(machine, `clock drifts by ${ppm} ppm`)
        })
    }
  }

  // -------------------------------------------------------------------------------------------------------------------
  // The world's controls
  // -------------------------------------------------------------------------------------------------------------------

  #service(): World.World["Service"] {
    const { engine, hosts } = this
    const machineOf = (host: World.Host) => this.#handles.get(host)!
    const host = <E, R>(name: string, options?: World.HostOptions<E, R>) =>
      Effect.contextWith((context: Context.Context<R>) =>
        Effect.suspend(() => {
          if (!/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(name) || this.#machines.has(name)) {
            const expected = "a name of a host that is not there yet, of letters, digits, dots and hyphens"
            return Effect.fail(new InvalidWorld({ field: "name", expected, actual: name }))
          }
          const machine = this.#machine(name)
          const boot = options?.boot
          if (boot !== undefined) {
            // A server that cannot start is a mistake in the world, and not a fault of it.
            machine.boot = (life) => life.start(Effect.scoped(Effect.orDie(boot)), context as Context.Context<any>)
            machine.boot(machine.life)
          }
          return Effect.succeed(machine.handle)
        })
      )
    return {
      host: host as World.World["Service"]["host"],
      main: this.#main.handle,
      ...mediaOf(hosts, (handle) => machineOf(handle).net),
      link: (a, b, options) =>
        Effect.map(Link.settle(options), (settings) => {
          const [one, other] = [machineOf(a).net, machineOf(b).net]
          hosts.setLink(one, other, settings)
          hosts.setLink(other, one, settings)
          engine.recording.add("link", "", { note: `${a.name} and ${b.name}` })
        }),
      cut: (from, to) =>
        Effect.asVoid(Effect.acquireRelease(
          Effect.sync(() => {
            const path = hosts.path(machineOf(from).net, machineOf(to).net)
            engine.recording.add("link", "", { note: `${path.name} is cut` })
            path.block()
            return path
          }),
          (path) =>
            Effect.sync(() => {
              engine.recording.add("link", "", { note: `${path.name} is whole` })
              path.unblock()
            })
        )),
      mark: (name) => Effect.sync(() => engine.recording.add("mark", "", { note: name })),
      elapsed: Effect.sync(() => Duration.nanos(BigInt(engine.nowNs)))
    }
  }
}

/** Whether its programs can end in order: not where they stand still. */
const canEnd = ({ isUp, life }: Machine): boolean => isUp && life.owner.state === "running"

const settled = (options: Link.Options): LinkSettings => {
  const settings = Link.settleUnsafe(options)
  if (settings instanceof InvalidWorld) throw settings
  return settings
}
