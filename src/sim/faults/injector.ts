/**
 * Has the faults of a plan come up: it knows what they wait for, and writes down which fired.
 */
import type { Engine } from "../engine/engine.ts"
import type { Prng } from "../engine/prng.ts"
import * as Fault from "../Fault.ts"
import type { Connection, Hosts } from "../net/hosts.ts"
import { effects } from "./kinds.ts"

/** What a fault does to a host. What ends it does nothing to one that has ended. */
export interface HostControl {
  readonly name: string
  readonly stop: () => void
  readonly kill: () => void
  readonly powerOff: () => void
  readonly restart: (by: "stop" | "kill" | "powerOff", downNs: number, disk: "kept" | "lost") => void
  readonly pause: () => void
  readonly resume: () => void
  readonly jumpClock: (byNs: number) => void
  readonly driftClock: (ppm: number) => void
  /** Each of its tasks takes so long. */
  readonly slow: (stepNs: number) => void
}

/** A fault that waits. */
export interface Armed<F extends Fault.Fault = Fault.Fault> {
  readonly fault: F
  /** Unlike that of any other of the plan. */
  readonly name: string
  /** Its own random numbers. */
  readonly stream: Prng
  /** When it fired; nothing as long as it has not. */
  firedNs: number | undefined
}

type When = Extract<Fault.Fault, { readonly when: unknown }>["when"]

export class Injector {
  readonly engine: Engine
  readonly hosts: Hosts
  readonly #armed: Array<Armed> = []
  readonly #controls = new Map<string, HostControl>()
  readonly #awaitedHosts: Array<{ readonly name: string; readonly run: (host: HostControl) => void }> = []
  readonly #awaitedMarks: Array<{ readonly name: string; readonly nth: number; readonly run: () => void }> = []
  readonly #marks = new Map<string, number>()
  readonly #awaitedConnections = new Map<number, Array<(connection: Connection) => void>>()
  readonly #lasting = new Set<(isHealed: boolean) => void>()

  constructor(engine: Engine, hosts: Hosts, plan: Fault.Plan) {
    this.engine = engine
    this.hosts = hosts
    const names = new Map<string, number>()
    for (const fault of plan) {
      const name = Fault.name(fault)
      const count = (names.get(name) ?? 0) + 1
      names.set(name, count)
      const unique = count === 1 ? name : `${name} #${count}`
      this.#armed.push({ fault, name: unique, stream: engine.stream(`fault:${unique}`), firedNs: undefined })
    }
    if (plan.length === 0) return
    hosts.onConnection.push((connection) => {
      for (const run of this.#awaitedConnections.get(connection.id) ?? []) run(connection)
    })
    hosts.trouble = (connection, kind) => {
      const armed = this.#armed.find(({ fault, firedNs }) =>
        firedNs === undefined && fault._tag === kind && fault.connection === connection
      )
      if (armed === undefined) return undefined
      this.fire(armed, { connection })
      return armed.fault as never
    }
    hosts.isAddressTaken = (host, listen) => {
      const armed = this.#armed.find(({ fault, firedNs }) =>
        firedNs === undefined && fault._tag === "addressInUse" && fault.host === host && fault.listen === listen
      )
      if (armed === undefined) return false
      this.fire(armed, { host })
      return true
    }
  }

  /** Begins to wait. */
  begin(): void {
    for (const armed of this.#armed) {
      const effect = effects[armed.fault._tag] as (armed: Armed, injector: Injector) => void
      effect(armed, this)
    }
  }

  get outcomes(): ReadonlyArray<Fault.Outcome> {
    return this.#armed.map(({ fault, firedNs, name }) => ({ fault, name, firedNs }))
  }

  /** Its time has come: it is written down, and what it does is caused by it. */
  fire(
    armed: Armed,
    where: {
      readonly host?: string
      readonly connection?: number
      readonly direction?: "c>s" | "s>c"
      readonly at?: number
    }
  ): void {
    armed.firedNs ??= this.engine.nowNs
    const { at, host = "", ...rest } = where
    this.engine.recording.add("fault", host, { ...rest, from: at, to: at, note: armed.name })
  }

  // -------------------------------------------------------------------------------------------------------------------
  // What can be waited for
  // -------------------------------------------------------------------------------------------------------------------

  when(when: When, run: () => void): void {
    if (when._tag === "mark") this.#awaitedMarks.push({ name: when.name, nth: when.nth, run })
    else if (when.ns <= this.engine.nowNs) run()
    else this.engine.at(when.ns, this.hosts.owner, run)
  }

  onMark(name: string): void {
    const count = (this.#marks.get(name) ?? 0) + 1
    this.#marks.set(name, count)
    for (const awaited of this.#awaitedMarks) if (awaited.name === name && awaited.nth === count) awaited.run()
  }

  /** Runs now for a host that is there, or when it is made. */
  withHost(name: string, run: (host: HostControl) => void): void {
    const control = this.#controls.get(name)
    if (control !== undefined) run(control)
    else this.#awaitedHosts.push({ name, run })
  }

  onHost(control: HostControl): void {
    this.#controls.set(control.name, control)
    for (const awaited of this.#awaitedHosts) if (awaited.name === control.name) awaited.run(control)
  }

  /** Runs when all of them are there. */
  withHosts(names: ReadonlyArray<string>, run: () => void): void {
    const [first, ...rest] = names
    if (first === undefined) run()
    else this.withHost(first, () => this.withHosts(rest, run))
  }

  get hostNames(): ReadonlyArray<string> {
    return Array.from(this.#controls.keys())
  }

  /** Runs now for a connection that lives, or when it comes to be; never for one that has ended. */
  withConnection(number: number, run: (connection: Connection) => void): void {
    const connection = this.hosts.connections.get(number)
    if (connection === undefined) {
      const awaited = this.#awaitedConnections.get(number)
      if (awaited === undefined) this.#awaitedConnections.set(number, [run])
      else awaited.push(run)
    } else if (!connection.client.isClosed || !connection.server.isClosed) run(connection)
  }

  /** Undoes what was done after so long, or when all is healed. */
  lasting(forNs: number, undo: (isHealed: boolean) => void): void {
    const once = (isHealed: boolean) => {
      if (this.#lasting.delete(once)) undo(isHealed)
    }
    this.#lasting.add(once)
    if (forNs < Infinity) this.engine.at(this.engine.nowNs + forNs, this.hosts.owner, () => once(false))
  }

  heal(): void {
    // The latest first: what waits behind an older one is free of it then.
    for (const undo of Array.from(this.#lasting).reverse()) undo(true)
  }
}
