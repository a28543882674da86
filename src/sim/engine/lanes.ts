/**
 * Tasks that are ready to run. Those of one lane run in order; lanes compete, and a strategy says which is next.
 *
 * A fiber's dispatcher is a lane, as Effect's contract wants it, and so is each direction of a connection: bytes of one
 * direction are never reordered. A timer alone is a lane of its own.
 */
import type { Recorder } from "./strategies.ts"

export interface Task {
  /** Nothing where it was called off. */
  readonly run: (() => void) | undefined
  /** Lower numbers run first; equal ones in the order of their coming. */
  readonly priority: number
  /** The event that made it. */
  readonly cause: number
}

/** Whose tasks a lane has: they run, wait, or are dropped with it. */
export interface Owner {
  state: "running" | "paused" | "gone"
  /** Lanes with tasks, while it is paused. */
  readonly parked: Array<Lane>
}

export class Lane {
  readonly owner: Owner
  /** For strategies that rank lanes. */
  rank: number | undefined = undefined
  /** How often such a one has picked it. */
  turns = 0
  #tasks: Array<Task> = []
  #head = 0

  constructor(owner: Owner) {
    this.owner = owner
  }

  get size(): number {
    return this.#tasks.length - this.#head
  }

  add(task: Task): void {
    const tasks = this.#tasks
    let at = tasks.length
    while (at > this.#head && tasks[at - 1]!.priority > task.priority) at--
    if (at === tasks.length) tasks.push(task)
    else tasks.splice(at, 0, task)
  }

  take(): Task {
    // Mostly it is the only one, and what it lay in is used again.
    if (this.#tasks.length === 1) return this.#tasks.pop()!
    const task = this.#tasks[this.#head++]!
    if (this.#head === this.#tasks.length) this.drop()
    return task
  }

  takeAll(): Array<Task> {
    const all = this.#head === 0 ? this.#tasks : this.#tasks.slice(this.#head)
    this.#tasks = []
    this.#head = 0
    return all
  }

  /** What `takeAll` took goes in front again. */
  putBack(tasks: ReadonlyArray<Task>): void {
    const behind = this.takeAll()
    for (const task of tasks) this.add(task)
    for (const task of behind) this.add(task)
  }

  drop(): void {
    this.#tasks.length = 0
    this.#head = 0
  }
}

export class ReadyLanes {
  readonly #ready: Array<Lane> = []
  /** The lane of the latest task. */
  running: Lane | undefined = undefined
  /** What is left of it, where a lane is drained at once. */
  #batch: Array<Task> = []
  #batchAt = 0

  get isEmpty(): boolean {
    return this.#ready.length === 0 && this.#batchAt === this.#batch.length
  }

  add(lane: Lane, task: Task): void {
    const { owner } = lane
    if (owner.state === "gone") return
    if (lane.size === 0) (owner.state === "paused" ? owner.parked : this.#ready).push(lane)
    lane.add(task)
  }

  /** Its owner was paused, or is gone. */
  withdraw(owner: Owner): void {
    if (this.running?.owner === owner) this.#giveBack(this.running)
    for (let i = this.#ready.length - 1; i >= 0; i--) {
      const lane = this.#ready[i]!
      if (lane.owner !== owner) continue
      this.#ready.splice(i, 1)
      if (owner.state === "paused") owner.parked.unshift(lane)
      else lane.drop()
    }
    if (owner.state !== "gone") return
    for (const lane of owner.parked) lane.drop()
    owner.parked.length = 0
  }

  /** Its owner goes on. */
  readmit(owner: Owner): void {
    this.#ready.push(...owner.parked.splice(0))
  }

  /** The next task; there has to be one. */
  take(strategy: Recorder): Task {
    if (this.#batchAt < this.#batch.length) return this.#batch[this.#batchAt++]!
    const ready = this.#ready
    const at = ready.length === 1 ? 0 : strategy.pick(ready)
    const lane = this.running = ready[at]!
    for (let i = at + 1; i < ready.length; i++) ready[i - 1] = ready[i]!
    ready.pop()
    if (strategy.isBatched) {
      this.#batch = lane.takeAll()
      this.#batchAt = 1
      return this.#batch[0]!
    }
    const task = lane.take()
    // Behind the others, so that whoever picks the first each time is fair.
    if (lane.size > 0) ready.push(lane)
    return task
  }

  /** The rest of a batch goes back to the front of its lane. */
  #giveBack(lane: Lane): void {
    if (this.#batchAt === this.#batch.length) return
    const rest = this.#batch.slice(this.#batchAt)
    this.#batch = []
    this.#batchAt = 0
    if (lane.size === 0) this.#ready.unshift(lane)
    lane.putBack(rest)
  }
}
