/**
 * The heart of a world: tasks that are ready, time that jumps to the next timer when none is, and the trace of it all.
 *
 * It is driven from outside, synchronously, and nothing moves otherwise. It knows no effects and no sockets.
 */
import { Lane, type Owner, ReadyLanes } from "./lanes.ts"
import { Prng } from "./prng.ts"
import type { Recording } from "./recording.ts"
import { Recorder, type Strategy } from "./strategies.ts"
import { type Timer, Timers } from "./timers.ts"

/** How far a run may go. */
export interface Budget {
  readonly steps: number
  /** Milliseconds of the world. */
  readonly virtual: number
  /** Real milliseconds: the only bound that a seed does not decide, there so that nothing hangs. */
  readonly wall: number
}

/** Why the driving stopped. */
export type Stop =
  | { readonly _tag: "Done" }
  | { readonly _tag: "Stuck" }
  | { readonly _tag: "OverBudget"; readonly of: "steps" | "virtual" | "wall" }
  | { readonly _tag: "Halted" }
  | { readonly _tag: "Held" }

export class Engine {
  readonly seed: number
  readonly recording: Recording
  readonly strategy: Recorder
  readonly budget: Budget
  nowNs = 0
  /** Tasks and microtasks that have run. */
  steps = 0
  isDriving = false
  /** Set by whoever saw what must end the run. */
  isHalted = false
  /** Set by whoever waits for what is outside: nothing moves until it is unset. */
  isHeld = false
  readonly #realMillis: () => number
  readonly #ready = new ReadyLanes()
  readonly #timers = new Timers()
  readonly #microtasks: Array<() => void> = []
  #microtaskAt = 0
  #wallEnd: number | undefined = undefined
  #order = 0
  readonly #streams = new Map<string, Prng>()
  /** How many hold each that is paused. */
  readonly #holds = new Map<Owner, number>()
  readonly #slow = new Map<Owner, { readonly stepNs: number; freeNs: number; waits: Timer | undefined }>()
  readonly #always: Owner = { state: "running", parked: [] }
  /** What must never be, and was. */
  violation: string | undefined = undefined

  constructor(options: {
    readonly seed: number
    readonly budget: Budget
    readonly strategy: (prng: Prng) => Strategy
    readonly recording: Recording
    readonly realMillis: () => number
  }) {
    this.seed = options.seed
    this.recording = options.recording
    this.budget = options.budget
    this.#realMillis = options.realMillis
    const { digest } = options.recording
    this.strategy = new Recorder(options.strategy(this.stream("schedule")), (index, of) => {
      digest?.pair(of, index)
    })
  }

  /** Random numbers of this name, the same ones to all who ask. */
  stream(name: string): Prng {
    let stream = this.#streams.get(name)
    if (stream === undefined) this.#streams.set(name, stream = Prng.of(this.seed, name))
    return stream
  }

  /** Runs behind what the lane has, now. */
  post(lane: Lane, run: () => void, priority = 0): void {
    this.#ready.add(lane, { run, priority, cause: this.recording.cause })
  }

  /** Something is wrong with the simulation itself: nothing that comes of it counts. */
  violate(what: string): void {
    this.violation ??= what
    this.isHalted = true
  }

  /** Runs at that time, behind what the lane has then. */
  at(atNs: number, owner: Owner, run: () => void, lane?: Lane): Timer {
    const timer: Timer = {
      atNs: Math.max(this.nowNs, Math.ceil(atNs)),
      order: this.#order++,
      run,
      lane: lane ?? new Lane(owner),
      priority: 0,
      cause: this.recording.cause,
      isPending: true
    }
    this.#timers.add(timer)
    return timer
  }

  cancel(timer: Timer): void {
    this.#timers.cancel(timer)
  }

  /** Runs when the task at hand has ended, before any other. */
  microtask(run: () => void): void {
    this.#microtasks.push(run)
  }

  /** Nothing of this owner runs until as many calls of `unpause`. */
  pause(owner: Owner): void {
    if (owner.state === "gone") return
    this.#holds.set(owner, (this.#holds.get(owner) ?? 0) + 1)
    if (owner.state === "paused") return
    owner.state = "paused"
    this.#ready.withdraw(owner)
  }

  unpause(owner: Owner): void {
    if (owner.state !== "paused") return
    const left = this.#holds.get(owner)! - 1
    this.#holds.set(owner, left)
    if (left > 0) return
    owner.state = "running"
    this.#ready.readmit(owner)
  }

  /** From now on each task of this owner takes so much time; 0 for none. */
  slow(owner: Owner, stepNs: number): void {
    if (stepNs === 0) this.#slow.delete(owner)
    else this.#slow.set(owner, { stepNs, freeNs: this.nowNs, waits: undefined })
  }

  /** It is not slow any more, and does not wait for the end of its step. */
  hurry(owner: Owner): void {
    const waits = this.#slow.get(owner)?.waits
    this.#slow.delete(owner)
    if (waits === undefined) return
    this.cancel(waits)
    this.unpause(owner)
  }

  isSlow(owner: Owner): boolean {
    return this.#slow.has(owner)
  }

  /** What is slow has to wait after each of its steps. */
  #charge(owner: Owner): void {
    const slow = this.#slow.get(owner)
    if (slow === undefined || owner.state === "gone") return
    slow.freeNs = Math.max(slow.freeNs, this.nowNs) + slow.stepNs
    this.pause(owner)
    slow.waits = this.at(slow.freeNs, this.#always, () => {
      slow.waits = undefined
      this.unpause(owner)
    })
  }

  /** Nothing of this owner will run any more. */
  discard(owner: Owner): void {
    owner.state = "gone"
    this.#ready.withdraw(owner)
    this.#timers.drop(owner)
  }

  /** Nothing is to be done before time goes on. */
  get isSettled(): boolean {
    return this.#ready.isEmpty && !(this.#timers.peek() !== undefined && this.#timers.peek()!.atNs <= this.nowNs)
  }

  /** How many timers of this owner still stand. */
  timersOf(owner: Owner): number {
    return this.#timers.countOf(owner)
  }

  /** The lane of the task that runs, or ran last. */
  get running(): Lane | undefined {
    return this.#ready.running
  }

  /** Real time that is left of the budget once it was driven. */
  get wallLeftMillis(): number {
    return this.#wallEnd === undefined ? this.budget.wall : Math.max(0, this.#wallEnd - this.#realMillis())
  }

  drive(isDone: () => boolean): Stop {
    const { steps: stepsMax, virtual, wall } = this.budget
    const virtualNs = virtual * 1e6
    const wallEnd = this.#wallEnd ??= this.#realMillis() + wall
    const { recording, strategy } = this
    const ready = this.#ready
    this.isDriving = true
    try {
      while (true) {
        if (this.isHalted) return { _tag: "Halted" }
        const microtask = this.#takeMicrotask()
        if (microtask === undefined) {
          if (isDone()) return { _tag: "Done" }
          if (this.isHeld) return { _tag: "Held" }
          if (ready.isEmpty) {
            const next = this.#timers.peek()
            if (next === undefined) return { _tag: "Stuck" }
            if (next.atNs > virtualNs) return { _tag: "OverBudget", of: "virtual" }
            this.#advance(next.atNs)
            continue
          }
        }
        if (this.steps >= stepsMax) return { _tag: "OverBudget", of: "steps" }
        // Not each time: to ask costs more than a step.
        if ((++this.steps & 63) === 0 && this.#realMillis() > wallEnd) return { _tag: "OverBudget", of: "wall" }
        if (microtask !== undefined) {
          microtask()
          continue
        }
        const task = ready.take(strategy)
        recording.cause = task.cause
        task.run?.()
        if (this.#slow.size > 0) this.#charge(ready.running!.owner)
      }
    } finally {
      this.isDriving = false
    }
  }

  /** Time goes on, and all whose time has come compete. */
  #advance(toNs: number): void {
    this.nowNs = toNs
    let due = this.#timers.peek()
    while (due !== undefined && due.atNs <= toNs) {
      this.#timers.take()
      this.#ready.add(due.lane, due)
      due = this.#timers.peek()
    }
  }

  #takeMicrotask(): (() => void) | undefined {
    const microtasks = this.#microtasks
    if (microtasks.length === 0) return undefined
    if (microtasks.length === 1) {
      this.#microtaskAt = 0
      return microtasks.pop()
    }
    const first = microtasks[this.#microtaskAt++]!
    if (this.#microtaskAt === microtasks.length) {
      microtasks.length = 0
      this.#microtaskAt = 0
    }
    return first
  }
}
