/**
 * A world that runs: the engine with its hosts and their lives, and the services that the world's own effect is given.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Disk } from "./disk.ts"
import { type Budget, Engine, type Stop } from "./engine/engine.ts"
import type { Owner } from "./engine/lanes.ts"
import type { Prng } from "./engine/prng.ts"
import { Recording } from "./engine/recording.ts"
import type { Strategy } from "./engine/strategies.ts"
import type * as Fault from "./Fault.ts"
import { type HostControl, Injector } from "./faults/injector.ts"
import { HostClock, Life, Task } from "./life.ts"
import * as Link from "./Link.ts"
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
  readonly disk: Disk
  life: Life
  isUp: boolean
  isPaused: boolean
  /** How long each task of its programs takes. */
  stepNs: number
  boot: ((life: Life) => void) | undefined
  handle: World.Host
}

/** The host that the world's own effect runs on. */
const mainName = "main"

export class Simulation {
  readonly engine: Engine
  readonly hosts: Hosts
  readonly fibers = new Fibers()
  readonly faults: Injector
  /** How often each source of the outside was asked for. */
  readonly used = new Map<string, number>()
  escaped: Escaped | undefined = undefined
  readonly #machines = new Map<string, Machine>()
  readonly #handles = new WeakMap<World.Host, Machine>()
  readonly #main: Machine

  constructor(options: {
    readonly seed: number
    readonly budget: Budget
    readonly strategy: (prng: Prng) => Strategy
    readonly trace: "events" | "digest" | "off"
    readonly faults: Fault.Plan
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
    this.faults = new Injector(engine, this.hosts, options.faults)
    this.faults.begin()
    this.#main = this.#machine(mainName)
  }

  /** Drives the world until its effect has ended, or cannot. */
  run<A, E>(effect: Effect.Effect<A, E, any>): { readonly stop: Stop; readonly exit: Exit.Exit<A, E> | undefined } {
    let exit: Exit.Exit<A, E> | undefined
    const whole = Effect.ensuring(Effect.scoped(effect), this.#stopAll)
    const task: Task<A, E> = this.#main.life.start(whole, Context.make(World.World, this.#service()))
    // Not on a fiber of its own: who waits here is outside.
    task.onEnd((ended) => {
      exit = ended as Exit.Exit<A, E>
    })
    const giveBack = sources.take(this.#controls)
    try {
      return { stop: this.engine.drive(() => exit !== undefined), exit }
    } finally {
      giveBack()
    }
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
    const disk = new Disk()
    const machine: Machine = {
      net,
      clock,
      disk,
      life: this.#life(net, clock, disk, owner),
      isUp: true,
      isPaused: false,
      stepNs: 0,
      boot: undefined,
      handle: undefined as unknown as World.Host
    }
    machine.handle = this.#handle(machine)
    this.#machines.set(name, machine)
    this.#handles.set(machine.handle, machine)
    this.faults.onHost(this.#control(machine))
    return machine
  }

  #life(net: NetHost, clock: HostClock, disk: Disk, owner: Owner): Life {
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
      store: disk.store,
      fiberNow: () => fibers.current
    })
  }

  #tell(machine: Machine, note: string): void {
    this.engine.recording.add("host", machine.net.name, { note })
  }

  /** What is left of its programs and connections goes as it says. */
  #end(machine: Machine, by: HostEnded["by"]): void {
    if (!machine.isUp) return
    machine.isUp = machine.isPaused = false
    this.#tell(machine, by)
    machine.life.discard(by)
    if (by === "powerOff") this.hosts.silence(machine.net)
    else this.hosts.abandon(machine.net)
  }

  #stop(machine: Machine): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!machine.isUp) return Effect.void
      // What stands still cannot end in order.
      const ending = machine.isPaused ? Effect.void : machine.life.interruptAll
      return Effect.andThen(ending, Effect.sync(() => this.#end(machine, "stop")))
    })
  }

  get #stopAll(): Effect.Effect<void> {
    return Effect.forEach(
      Array.from(this.#machines.values()).filter((machine) => machine !== this.#main),
      (machine) => this.#stop(machine),
      { discard: true }
    )
  }

  #begin(machine: Machine, disk: "kept" | "lost"): void {
    if (disk === "lost") machine.disk.lose()
    const owner: Owner = { state: "running", parked: [] }
    machine.net.owner = owner
    machine.net.isOff = false
    machine.life = this.#life(machine.net, machine.clock, machine.disk, owner)
    this.engine.slow(owner, machine.stepNs)
    machine.isUp = true
    this.#tell(machine, "boot")
    machine.boot?.(machine.life)
  }

  #pause(machine: Machine): void {
    if (!machine.isUp || machine.isPaused) return
    machine.isPaused = true
    this.#tell(machine, "pause")
    this.engine.pause(machine.life.owner)
  }

  #resume(machine: Machine): void {
    if (!machine.isUp || !machine.isPaused) return
    machine.isPaused = false
    this.#tell(machine, "resume")
    this.engine.unpause(machine.life.owner)
  }

  #jumpClock(machine: Machine, byMs: number): void {
    machine.clock.offsetMillis += byMs
    this.#tell(machine, `clock jumps by ${byMs} ms`)
  }

  #driftClock(machine: Machine, ppm: number): void {
    machine.clock.rate = 1 + ppm / 1e6
    this.#tell(machine, `clock drifts by ${ppm} ppm`)
  }

  /** What faults do to it. */
  #control(machine: Machine): HostControl {
    const { engine } = this
    const stop = (then: () => void) =>
      void this.#main.life.start(Effect.andThen(this.#stop(machine), Effect.sync(then)), Context.empty())
    return {
      name: machine.net.name,
      stop: () => stop(() => {}),
      kill: () => this.#end(machine, "kill"),
      powerOff: () => this.#end(machine, "powerOff"),
      restart: (by, downNs, disk) => {
        const begin = () => {
          if (!machine.isUp) this.#begin(machine, disk)
        }
        const beginLater = () => void engine.at(engine.nowNs + downNs, this.hosts.owner, begin)
        if (by === "stop") return stop(beginLater)
        this.#end(machine, by)
        beginLater()
      },
      pause: () => this.#pause(machine),
      resume: () => this.#resume(machine),
      jumpClock: (byNs) => this.#jumpClock(machine, byNs / 1e6),
      driftClock: (ppm) => this.#driftClock(machine, ppm),
      slow: (stepNs) => {
        machine.stepNs = stepNs
        engine.slow(machine.life.owner, stepNs)
      }
    }
  }

  #handle(machine: Machine): World.Host {
    const { name } = machine.net
    const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.contextWith((context: Context.Context<Exclude<R, World.HostServices>>) =>
        Effect.sync((): Task<A, E> => {
          if (machine.isUp) {
            return machine.life.start(Effect.scoped(effect), context as Context.Context<any>) as Task<A, E>
          }
          return Task.ended<A, E>(Exit.fail(new HostEnded({ host: name, by: "stop" })))
        })
      )
    const restartWith: World.Host["restartWith"] = ({ disk }) =>
      Effect.andThen(this.#stop(machine), Effect.sync(() => this.#begin(machine, disk)))
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
      pause: Effect.sync(() => this.#pause(machine)),
      resume: Effect.sync(() => this.#resume(machine)),
      restart: restartWith({ disk: "kept" }),
      restartWith,
      jumpClock: (by) => Effect.sync(() => this.#jumpClock(machine, Duration.toMillis(Duration.fromInputUnsafe(by)))),
      driftClock: (ppm) => Effect.sync(() => this.#driftClock(machine, ppm))
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
      mark: (name) =>
        Effect.sync(() => {
          engine.recording.add("mark", "", { note: name })
          this.faults.onMark(name)
        }),
      elapsed: Effect.sync(() => Duration.nanos(BigInt(engine.nowNs)))
    }
  }
}

const settled = (options: Link.Options): LinkSettings => {
  const settings = Link.settleUnsafe(options)
  if (settings instanceof InvalidWorld) throw settings
  return settings
}
