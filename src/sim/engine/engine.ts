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
  readonly virtualNs: number
  /** Real time: the only bound that a seed does not decide, there so that nothing hangs. */
  readonly wallMs: number
}

/** Why the driving stopped. */
export type Stop =
  | { readonly _tag: "Done" }
  | { readonly _tag: "Stuck" }
  | { readonly _tag: "OverBudget"; readonly of: "steps" | "virtual" | "wall" }
  | { readonly _tag: "Halted" }

export class Engine {
  readonly seed: number
  readonly recording: Recording
  readonly strategy: Recorder
  nowNs = 0
  /** Tasks that have run. */
  steps = 0
  isDriving = false
  /** Set by whoever saw what must end the run. */
  isHalted = false
  readonly #budget: Budget
  readonly #realMillis: () => number
  readonly #ready = new ReadyLanes()
  readonly #timers = new Timers()
  #microtasks: Array<() => void> = []
  #order = 0
  readonly #streams = new Map<string, Prng>()
  /** How many hold each that is paused. */
  readonly #holds = new Map<Owner, number>()
  readonly #slow = new Map<Owner, { readonly stepNs: number; freeNs: number }>()
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
    this.#budget = options.budget
    this.#realMillis = options.realMillis
    const { digest } = options.recording
    this.strategy = new Recorder(options.strategy(this.stream("schedule")), (index, of) => {
      digest?.int(of)
      digest?.int(index)
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
    this.#ready.add(lane, { run: this.#timed(lane, run), priority, cause: this.recording.cause })
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
      cause: this.recording.cause
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
    else this.#slow.set(owner, { stepNs, freeNs: this.nowNs })
  }

  isSlow(owner: Owner): boolean {
    return this.#slow.has(owner)
  }

  #timed(lane: Lane, run: () => void): () => void {
    if (this.#slow.size === 0) return run
    const { owner } = lane
    return () => {
      run()
      const slow = this.#slow.get(owner)
      if (slow === undefined || owner.state === "gone") return
      slow.freeNs = Math.max(slow.freeNs, this.nowNs) + slow.stepNs
      this.pause(owner)
      this.at(slow.freeNs, this.#always, () => this.unpause(owner))
    }
  }

  /** Nothing of this owner will run any more. */
  discard(owner: Owner): void {
    owner.state = "gone"
    this.#ready.withdraw(owner)
  }

  /** Nothing is to be done before time goes on. */
  get isSettled(): boolean {
    return this.#ready.isEmpty && !(this.#timers.peek() !== undefined && this.#timers.peek()!.atNs <= this.nowNs)
  }

  get timersLeft(): number {
    return this.#timers.size
  }

  drive(isDone: () => boolean): Stop {
    const { steps: stepsMax, virtualNs, wallMs } = this.#budget
    const wallEnd = this.#realMillis() + wallMs
    const { recording, strategy } = this
    const ready = this.#ready
    this.isDriving = true
    try {
      this.#runMicrotasks()
      while (true) {
        if (this.isHalted) return { _tag: "Halted" }
        if (isDone()) return { _tag: "Done" }
        if (ready.isEmpty) {
          const next = this.#timers.peek()
          if (next === undefined) return { _tag: "Stuck" }
          if (next.atNs > virtualNs) return { _tag: "OverBudget", of: "virtual" }
          this.#advance(next.atNs)
          continue
        }
        if (this.steps >= stepsMax) return { _tag: "OverBudget", of: "steps" }
        if ((++this.steps & 1023) === 0 && this.#realMillis() > wallEnd) return { _tag: "OverBudget", of: "wall" }
        const task = ready.take(strategy)
        recording.cause = task.cause
        task.run()
        if (this.#microtasks.length > 0) this.#runMicrotasks()
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
      this.#ready.add(due.lane, { run: this.#timed(due.lane, due.run!), priority: 0, cause: due.cause })
      due = this.#timers.peek()
    }
  }

  #runMicrotasks(): void {
    for (let i = 0; i < this.#microtasks.length; i++) this.#microtasks[i]!()
    this.#microtasks = []
  }
}
