/**
 * A world that runs: the engine with its hosts and their lives, and the services that the world's own effect is given.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Tracer from "effect/Tracer"
import { Network } from "../Network.ts"
import { type Budget, Engine, type Stop } from "./engine/engine.ts"
import type { Owner } from "./engine/lanes.ts"
import type { Prng } from "./engine/prng.ts"
import { Recording } from "./engine/recording.ts"
import type { Strategy } from "./engine/strategies.ts"
import { type Answer, Gates } from "./gates.ts"
import { HostClock, Life, printed, startMillis, Task } from "./life.ts"
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
  /** What was thrown where nobody could catch it, as in a microtask. */
  uncaught: { readonly error: unknown } | undefined = undefined
  readonly gates: Gates
  /** Of the world's own effect. */
  exit: Exit.Exit<unknown, unknown> | undefined = undefined
  /** Called when there is no sense in waiting for what is outside. */
  onHalt: (() => void) | undefined = undefined
  #taken: sources.Taken | undefined = undefined
  /** That of a microtask, which no fiber runs. */
  #microtaskClock: HostClock | undefined = undefined
  readonly #tracer: Tracer.Tracer | undefined
  readonly #machines = new Map<string, Machine>()
  readonly #handles = new WeakMap<World.Host, Machine>()
  readonly #main: Machine

  constructor(options: {
    readonly seed: number
    readonly budget: Budget
    readonly strategy: (prng: Prng) => Strategy
    readonly trace: "events" | "digest" | "off"
    /** Its gates may be promises. */
    readonly canWait?: boolean | undefined
    /** What its gates answer, known from an earlier run. */
    readonly answers?: ReadonlyArray<Answer> | undefined
    readonly tracer?: Tracer.Tracer | undefined
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
    this.#tracer = options.tracer
    this.gates = new Gates({
      engine,
      canWait: options.canWait === true,
      known: options.answers,
      outside: (run) => this.#taken === undefined ? run() : this.#taken.outside(run),
      onEscape: (source, host) => void this.#escape(source, host, fibers.current)
    })
    this.hosts = new Hosts(engine, { between: settled(Link.between), within: settled(Link.within) })
    this.#main = this.#machine(mainName)
  }

  /** Puts the world's effect on its host. */
  start(effect: Effect.Effect<any, any, any>): void {
    const whole = Effect.ensuring(Effect.scoped(effect), this.#stopAll)
    const task = this.#main.life.start(whole, Context.make(World.World, this.#service()))
    // Not on a fiber of its own: who waits here is outside.
    task.onEnd((exit) => {
      this.exit = exit
    })
  }

  /** Drives the world until its effect has ended, or cannot, or waits for what is outside. */
  proceed(): Stop {
    const taken = this.#taken = sources.take(this.#controls)
    try {
      return this.engine.drive(() => this.exit !== undefined)
    } finally {
      this.#taken = undefined
      taken.giveBack()
    }
  }

  get #controls(): sources.Controls {
    const { engine, fibers } = this
    const stream = engine.stream("Math.random")
    const clockNow = () => this.#microtaskClock ?? (fibers.scheduler?.clock as HostClock) ?? this.#main.clock
    const count = (source: string) => this.used.set(source, (this.used.get(source) ?? 0) + 1)
    return {
      clock: clockNow,
      startMillis,
      random: () => stream.fraction(),
      microtask: (source, run) => {
        count(source)
        const clock = clockNow()
        engine.microtask(() => {
          this.#microtaskClock = clock
          try {
            run()
          } catch (error) {
            // As in a process, which ends of it.
            this.uncaught ??= { error }
            engine.isHalted = true
          }
          this.#microtaskClock = undefined
        })
      },
      onPrint: (parts) => {
        count("console")
        engine.recording.add("print", fibers.scheduler?.host ?? "", { note: printed(parts) })
      },
      onUse: (source) => {
        count(source)
        engine.recording.add("source", fibers.scheduler?.host ?? "", { note: source })
      },
      onEscape: (source) => this.#escape(source, "", fibers.current)
    }
  }

  #escape(source: string, host: string, fiber: number): Escaped {
    const where = host !== "" ? host : this.fibers.scheduler?.host ?? "?"
    const escaped = new Escaped({ source, host: where, fiber, seq: this.engine.recording.count })
    this.escaped ??= escaped
    this.engine.isHalted = true
    this.onHalt?.()
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
        clock,
        onForeign: (host, fiber) => this.#escape("what is not of this world", host, fiber)
      }),
      network: networkOf(this.hosts, net),
      fiberNow: () => fibers.current,
      gates: this.gates,
      tracer: this.#tracer
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
    if (by === "powerOff") this.hosts.silence(machine.net)
    else this.hosts.abandon(machine.net)
  }

  #stop(machine: Machine): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!machine.isUp) return Effect.void
      // What stands still cannot end in order.
      const ending = machine.life.owner.state === "paused" ? Effect.void : machine.life.interruptAll
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
          return Task.ended<A, E>(name, Exit.fail(new HostEnded({ host: name, by: "stop" })))
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

const settled = (options: Link.Options): LinkSettings => {
  const settings = Link.settleUnsafe(options)
  if (settings instanceof InvalidWorld) throw settings
  return settings
}
