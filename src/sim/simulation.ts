/**
 * A world that runs: the engine with its hosts and their lives, and the services that the world's own effect is given.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import { Disk } from "./disk.ts"
import { type Budget, Engine, type Stop } from "./engine/engine.ts"
import type { Owner } from "./engine/lanes.ts"
import type { Prng } from "./engine/prng.ts"
import { Recording } from "./engine/recording.ts"
import type { Strategy } from "./engine/strategies.ts"
import type * as Fault from "./Fault.ts"
import { type HostControl, Injector } from "./faults/injector.ts"
import { type Answer, Gates } from "./gates.ts"
import { HostClock, Life, printed, startMillis, Task } from "./life.ts"
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
  /** What was still there at the end, by name. */
  readonly left: Array<string> = []
  /** What was thrown where nobody could catch it, as in a microtask. */
  uncaught: { readonly error: unknown } | undefined = undefined
  readonly gates: Gates
  /** Of the world's own effect. */
  exit: Exit.Exit<unknown, unknown> | undefined = undefined
  /** Called when there is no sense in waiting for what is outside. */
  onHalt: (() => void) | undefined = undefined
  /** The world's effect runs; what runs on other hosts is interrupted; whoever is about to end, ends. */
  #phase: "running" | "ending" | "settling" = "running"
  #hasInterrupted = false
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
    readonly faults: Fault.Plan
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
    this.faults = new Injector(engine, this.hosts, options.faults)
    this.faults.begin()
    this.#main = this.#machine(mainName)
  }

  /** Puts the world's effect on its host. */
  start(effect: Effect.Effect<any, any, any>): void {
    // Not on a fiber of its own: who waits here is outside.
    this.#main.life.start(Effect.scoped(effect), Context.make(World.World, this.#service())).onEnd((exit) => {
      this.exit = exit
    })
  }

  /** Drives the world until its effect has ended and all hosts are stopped, or until it cannot, or waits for what is outside. */
  proceed(): Stop {
    const taken = this.#taken = sources.take(this.#controls)
    try {
      while (true) {
        const stop = this.engine.drive(() => this.#isPhaseOver)
        if (stop._tag !== "Done") return stop
        if (this.#phase === "running") {
          this.#phase = "ending"
          this.#main.life.start(this.#interruptAll, Context.empty()).onEnd(() => {
            this.#hasInterrupted = true
          })
        } else if (this.#phase === "ending") {
          this.#phase = "settling"
          // What slow hosts have still to do is due, too.
          for (const machine of this.#machines.values()) this.engine.hurry(machine.life.owner)
        } else {
          for (const machine of this.#machines.values()) this.#findLeft(machine)
          for (const machine of this.#machines.values()) if (machine !== this.#main) this.#end(machine, "stop")
          return stop
        }
      }
    } finally {
      this.#taken = undefined
      taken.giveBack()
    }
  }

  get #isPhaseOver(): boolean {
    switch (this.#phase) {
      case "running":
        return this.exit !== undefined
      case "ending":
        return this.#hasInterrupted
      case "settling":
        return this.engine.isSettled
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
        clock,
        onForeign: (host, fiber) => this.#escape("what is not of this world", host, fiber)
      }),
      network: networkOf(this.hosts, net),
      store: disk.store,
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
    machine.isUp = machine.isPaused = false
    this.#tell(machine, by)
    const tell = machine.life.discard(by)
    if (by === "powerOff") this.hosts.silence(machine.net)
    else this.hosts.abandon(machine.net)
    // Last: whoever waits may begin it again.
    tell()
  }

  #stop(machine: Machine): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!machine.isUp) return Effect.void
      const { life } = machine
      const ending = canEnd(machine) ? life.interruptAll : Effect.void
      return Effect.andThen(
        ending,
        Effect.sync(() => {
          // Somebody else may have ended it meanwhile, and begun it again.
          if (machine.life === life) this.#end(machine, "stop")
        })
      )
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
    for (const { client, id, place, server } of this.hosts.connections.values()) {
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

  #begin(machine: Machine, disk: "kept" | "lost"): void {
    if (machine.isUp) return
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

  #onBooted(exit: Exit.Exit<unknown, unknown>): void {
    const died = Exit.isFailure(exit) ? exit.cause.reasons.find(Cause.isDieReason) : undefined
    if (died === undefined) return
    this.uncaught ??= { error: died.defect }
    this.engine.isHalted = true
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
        const beginLater = () =>
          void engine.at(engine.nowNs + downNs, this.hosts.owner, () => this.#begin(machine, disk))
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
          return Task.ended<A, E>(name, Exit.fail(new HostEnded({ host: name, by: "stop" })))
        })
      )
    const unlessMain = (effect: Effect.Effect<void>): Effect.Effect<void> =>
      name === mainName
        ? Effect.die(new InvalidWorld({ field: "host", expected: "another than the world's own", actual: name }))
        : effect
    const restartWith: World.Host["restartWith"] = ({ disk }) =>
      unlessMain(Effect.andThen(this.#stop(machine), Effect.sync(() => this.#begin(machine, disk))))
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
      stop: unlessMain(this.#stop(machine)),
      kill: unlessMain(Effect.sync(() => this.#end(machine, "kill"))),
      powerOff: unlessMain(Effect.sync(() => this.#end(machine, "powerOff"))),
      pause: unlessMain(Effect.sync(() => this.#pause(machine))),
      resume: Effect.sync(() => this.#resume(machine)),
      restart: restartWith({ disk: "kept" }),
      restartWith,
      jumpClock: (by) =>
        Effect.suspend(() => {
          const byMs = Option.map(Duration.fromInput(by), Duration.toMillis)
          if (Option.isSome(byMs) && Number.isFinite(byMs.value)) {
            return Effect.sync(() => this.#jumpClock(machine, byMs.value))
          }
          return Effect.fail(new InvalidWorld({ field: "by", expected: "a finite duration", actual: by }))
        }),
      driftClock: (ppm) =>
        ppm > -1e6 && ppm < Infinity
          ? Effect.sync(() => this.#driftClock(machine, ppm))
          : Effect.fail(new InvalidWorld({ field: "ppm", expected: "a number above -1000000", actual: ppm }))
    }
  }

  // -------------------------------------------------------------------------------------------------------------------
  // The world's controls
  // -------------------------------------------------------------------------------------------------------------------

  #service(): World.World["Service"] {
    const { engine, hosts } = this
    const foreign = (host: World.Host) =>
      new InvalidWorld({ field: "host", expected: "a host of this world", actual: host.name })
    const machineOf = (host: World.Host) => {
      const machine = this.#handles.get(host)
      if (machine === undefined) throw foreign(host)
      return machine
    }
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
            machine.boot = (life) =>
              life.start(Effect.scoped(Effect.orDie(boot)), context as Context.Context<any>)
                .onEnd((exit) => this.#onBooted(exit))
            machine.boot(machine.life)
          }
          return Effect.succeed(machine.handle)
        })
      )
    return {
      host: host as World.World["Service"]["host"],
      main: this.#main.handle,
      ...mediaOf(hosts, (handle) => machineOf(handle).net),
      link: (a, b, options) => {
        const stranger = [a, b].find((host) => !this.#handles.has(host))
        return Effect.map(
          stranger === undefined ? Link.settle(options) : Effect.fail(foreign(stranger)),
          (settings) => {
            const [one, other] = [machineOf(a).net, machineOf(b).net]
            hosts.setLink(one, other, settings)
            hosts.setLink(other, one, settings)
            engine.recording.add("link", "", { note: `${a.name} and ${b.name}` })
          }
        )
      },
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

/** Whether its programs can end in order: not where they stand still. A slow one takes its time. */
const canEnd = ({ isPaused, isUp }: Machine): boolean => isUp && !isPaused

const settled = (options: Link.Options): LinkSettings => {
  const settings = Link.settleUnsafe(options)
  if (settings instanceof InvalidWorld) throw settings
  return settings
}
