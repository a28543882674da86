/**
 * A machine at work in the read callback of a connection: bytes go in where they arrive, also borrowed ones, and what the
 * machine sends is written before the callback returns. While that finds no room, no more input is taken, and a machine
 * that is due waits.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import { type Driven, Driver } from "./driver.ts"
import { type Consumer, type Duplex, EndOfInput, type Fault } from "./duplex.ts"

/** How it came to its end. */
export type Outcome<E> =
  | { readonly _tag: "Ended" }
  | { readonly _tag: "Failed"; readonly error: E }
  | { readonly _tag: "Threw"; readonly defect: unknown }
  | { readonly _tag: "Faulted"; readonly by: "read" | "write"; readonly fault: Fault; readonly delivery?: Delivery }

/** What became of the write that failed. */
type Delivery = "NotSent" | "Unknown" | undefined

export class Reaction<Event, E> implements Consumer {
  readonly borrowMax = Infinity
  readonly keeps = false
  readonly #duplex: Duplex
  readonly #driver: Driver<never, Event, E>
  readonly #alarm: Alarm
  readonly #done: (outcome: Outcome<E>) => void
  #isDone = false
  /** What the machine sent and the connection did not take at once. */
  #unsent: Array<Uint8Array> = []
  /** How many writes wait for room. */
  #waiting = 0
  /** No more input came because of that. */
  #hasStopped = false
  #lent: ArrayBufferLike | undefined = undefined
  /** It was due while something waited. */
  #isLate = false

  constructor(
    duplex: Duplex,
    machine: Driven<never, Event, E>,
    onEvent: (event: Event) => void,
    alarm: Alarm,
    done: (outcome: Outcome<E>) => void
  ) {
    this.#duplex = duplex
    this.#alarm = alarm
    this.#done = done
    const out = {
      bytes: (bytes: Uint8Array) => {
        if (this.#unsent.length === 0 && duplex.writeNow(bytes)) return
        // What was lent must not wait: its memory is used again.
        this.#unsent.push(bytes.buffer === this.#lent ? new Uint8Array(bytes) : bytes)
      },
      event: onEvent
    }
    this.#driver = new Driver(machine, out, alarm.now)
  }

  start(): void {
    this.tick()
    if (!this.#isDone) this.#duplex.consume(this)
  }

  /** The time has come that the machine named. */
  tick(): void {
    if (this.#isDone) return
    this.#isLate = this.#waiting > 0
    if (this.#isLate) return
    try {
      this.#driver.tick()
    } catch (defect) {
      return this.#finish({ _tag: "Threw", defect })
    }
    this.#alarm.set(this.#driver.dueMs)
    if (this.#unsent.length > 0) this.#send()
  }

  /** No more input for the machine. What it sent goes out all the same. */
  stop(): void {
    this.#isDone = true
    this.#duplex.endConsume(this)
  }

  batch(chunks: NonEmptyReadonlyArray<Uint8Array>): boolean {
    for (let i = 0; i < chunks.length; i++) {
      const goesOn = this.#receive(chunks[i]!)
      if (goesOn && !this.#isDone) continue
      // The machine has not seen them: they are for later, or for the next reader.
      if (i + 1 < chunks.length) this.#duplex.unread(chunks.slice(i + 1))
      return goesOn
    }
    return true
  }

  borrow(chunk: Uint8Array): boolean {
    this.#lent = chunk.buffer
    const goesOn = this.#receive(chunk)
    this.#lent = undefined
    return goesOn
  }

  #receive(chunk: Uint8Array): boolean {
    let error: E | undefined
    try {
      error = this.#driver.receive(chunk)
    } catch (defect) {
      this.#finish({ _tag: "Threw", defect })
      return true
    }
    if (this.#driver.dueMs !== undefined) this.#alarm.set(this.#driver.dueMs)
    if (error === undefined) {
      if (this.#unsent.length > 0) this.#send()
      this.#hasStopped = this.#waiting > 0
      return !this.#hasStopped
    }
    // The error is what counts, also where the last words before it cannot be sent.
    this.#finish({ _tag: "Failed", error })
    this.#sendUnsent(() => {})
    return true
  }

  end(end: typeof EndOfInput | Fault): void {
    if (this.#isDone) return
    if (end !== EndOfInput) return this.#finish({ _tag: "Faulted", by: "read", fault: end })
    let error: E | undefined
    try {
      error = this.#driver.end()
    } catch (defect) {
      return this.#finish({ _tag: "Threw", defect })
    }
    this.#sendUnsent((fault, delivery) =>
      this.#finish(error === undefined ? endedBy(fault, delivery) : { _tag: "Failed", error })
    )
  }

  #send(): void {
    this.#waiting++
    this.#sendUnsent((fault, delivery) => {
      this.#waiting--
      if (fault !== undefined) return this.#finish(endedBy(fault, delivery))
      if (this.#isLate) this.tick()
      if (this.#waiting > 0 || !this.#hasStopped) return
      this.#hasStopped = false
      this.#duplex.consumed(this)
    })
  }

  #sendUnsent(resume: (fault: Fault | undefined, delivery: Delivery) => void): void {
    const chunks = this.#unsent
    this.#unsent = []
    const fault = chunks.length > 0 ? this.#duplex.writeFault : undefined
    if (chunks.length === 0 || fault !== undefined) return resume(fault, "NotSent")
    let bytes = 0
    for (const chunk of chunks) bytes += chunk.length
    this.#duplex.write({ chunks, bytes, position: 0, resume })
  }

  #finish(outcome: Outcome<E>): void {
    if (this.#isDone) return
    this.stop()
    this.#done(outcome)
  }
}

/** What wakes the machine: by `tick`, when the time comes that was set last, or before. */
export interface Alarm {
  readonly now: () => number
  readonly set: (dueMs: number | undefined) => void
}

const endedBy = (fault: Fault | undefined, delivery: Delivery): Outcome<never> =>
  fault === undefined ? { _tag: "Ended" } : { _tag: "Faulted", by: "write", fault, delivery }
