/**
 * What a simulation itself has to say: why a world did not come to its end, or is not to be trusted.
 */
import * as Data from "effect/Data"

/**
 * A fiber that waits.
 *
 * @category models
 * @since 0.1.0
 */
export interface Waiting {
  readonly host: string
  /** Counted from 1 in the order in which the fibers of a world first ran. */
  readonly fiber: number
  /** What it waits on, as far as that can be told. */
  readonly on: string
  /** The names of the `Effect.fn` and spans that it is in, from the innermost on; empty where there are none. */
  readonly in: string
}

/**
 * Nothing can happen any more, and the world has not ended.
 *
 * @category errors
 * @since 0.1.0
 */
export class Deadlock extends Data.TaggedError("Deadlock")<{
  readonly fibers: ReadonlyArray<Waiting>
  /** Open connections: what is queued and unread at each end. */
  readonly sockets: ReadonlyArray<string>
}> {
  override get message(): string {
    const fibers = this.fibers.map(({ fiber, host, in: names, on }) =>
      `  fiber ${fiber} on ${host} waits on ${on}${names === "" ? "" : `, in ${names}`}`
    )
    return ["nothing can happen any more", ...fibers, ...this.sockets.map((socket) => `  ${socket}`)].join("\n")
  }
}

/**
 * The world did not end within its budget.
 *
 * @category errors
 * @since 0.1.0
 */
export class OverBudget extends Data.TaggedError("OverBudget")<{
  readonly of: "steps" | "virtual" | "wall"
  readonly max: number
}> {
  override get message(): string {
    const unit = this.of === "steps" ? " steps" : this.of === "virtual" ? " ms of virtual time" : " ms of real time"
    return `the world did not end within ${this.max}${unit}`
  }
}

/**
 * A program began something that comes back from outside its world, or was resumed from there.
 *
 * @category errors
 * @since 0.1.0
 */
export class Escaped extends Data.TaggedError("Escaped")<{
  /** What was called, as `setTimeout`. */
  readonly source: string
  /** Of the fiber that did it; `?` where it was none of the world's. */
  readonly host: string
  /** 0 where it was none of the world's. */
  readonly fiber: number
  /** How many events came before. */
  readonly seq: number
}> {
  override get message(): string {
    const where = this.fiber === 0 ? "" : `, in fiber ${this.fiber} on ${this.host}`
    return `${this.source} leads out of the world${where}, after event ${this.seq}`
  }
}

/**
 * Faults of the plan that never came up.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unfired extends Data.TaggedError("Unfired")<{ readonly faults: ReadonlyArray<string> }> {
  override get message(): string {
    return `of the plan never came up: ${this.faults.join("; ")}`
  }
}

/**
 * Bytes of a connection did not stay a prefix of what was sent: a mistake in the simulation, whatever the fault.
 *
 * @category errors
 * @since 0.1.0
 */
export class Violated extends Data.TaggedError("Violated")<{ readonly what: string }> {
  override get message(): string {
    return `the simulation broke its own rules: ${this.what}`
  }
}

/**
 * Two runs with one seed differ.
 *
 * @category errors
 * @since 0.1.0
 */
export class Diverged extends Data.TaggedError("Diverged")<{
  /** Which run was unlike the first, counted from 1. */
  readonly run: number
  /** The first event that differs, counted from 0. Where all events are alike, their number. */
  readonly seq: number
  readonly first: string
  readonly second: string
}> {
  override get message(): string {
    return `run ${this.run} differs from the first at event ${this.seq}:\n  ${this.first}\n  ${this.second}`
  }
}

/**
 * What is still there when the world has ended and all that ran in it was interrupted; `Sim.run` says what counts.
 *
 * @category errors
 * @since 0.1.0
 */
export class Leaked extends Data.TaggedError("Leaked")<{ readonly what: ReadonlyArray<string> }> {
  override get message(): string {
    return `the world ended and left ${this.what.join("; ")}`
  }
}

/**
 * What is wrong with a name, a link or an option.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidWorld extends Data.TaggedError("InvalidWorld")<{
  readonly field: string
  readonly expected: string
  readonly actual: unknown
}> {
  override get message(): string {
    return `${this.field} must be ${this.expected}, and is ${
      typeof this.actual === "number" ? this.actual : JSON.stringify(this.actual)
    }`
  }
}

/**
 * A trace that cannot be read.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidTrace extends Data.TaggedError("InvalidTrace")<{
  /** Counted from 1. */
  readonly line: number
  readonly detail: string
}> {
  override get message(): string {
    return `line ${this.line} of the trace is no event: ${this.detail}`
  }
}

/**
 * A text that is no decisions, or none that hold here.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidToken extends Data.TaggedError("InvalidToken")<{
  /** What is wrong: its form, the version of one of these packages, or the decisions themselves. */
  readonly part: "form" | "effect-transport" | "effect" | "decisions"
  readonly expected: string
  readonly actual: string
}> {
  override get message(): string {
    return this.part === "effect-transport" || this.part === "effect"
      ? `the token is of ${this.part} ${this.actual} and holds for that alone; this is ${this.expected}`
      : `the ${this.part} of the token must be ${this.expected}, and is ${JSON.stringify(this.actual)}`
  }
}

/**
 * A host ended while something ran on it.
 *
 * @category errors
 * @since 0.1.0
 */
export class HostEnded extends Data.TaggedError("HostEnded")<{
  readonly host: string
  readonly by: "stop" | "kill" | "powerOff"
}> {
  override get message(): string {
    return `${this.host} ended by ${this.by}`
  }
}

/**
 * Why a run did not end as its world did.
 *
 * @category models
 * @since 0.1.0
 */
export type SimError = Deadlock | OverBudget | Escaped | Unfired | Violated | Diverged | Leaked | InvalidWorld
