/**
 * A machine at work in the read callback of a connection: bytes go in where they arrive, also borrowed ones, and what the
 * machine sends is written before the callback returns. While that finds no room, no more input is taken.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import { type Consumer, type Duplex, EndOfInput, type Fault } from "./duplex.ts"

/** The half of a machine that reacts. */
export interface Reacting<Event, E> {
  readonly receive: (bytes: Uint8Array, out: Out<Event>) => E | undefined
  readonly end: (out: Out<Event>) => E | undefined
}

interface Out<Event> {
  readonly bytes: (bytes: Uint8Array) => void
  readonly event: (event: Event) => void
}

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
  readonly #machine: Reacting<Event, E>
  readonly #out: Out<Event>
  readonly #done: (outcome: Outcome<E>) => void
  #isDone = false
  /** What the machine sent and the connection did not take at once. */
  #unsent: Array<Uint8Array> = []
  #isWaiting = false
  #lent: ArrayBufferLike | undefined = undefined
  #isInside = false

  constructor(
    duplex: Duplex,
    machine: Reacting<Event, E>,
    onEvent: (event: Event) => void,
    done: (outcome: Outcome<E>) => void
  ) {
    this.#duplex = duplex
    this.#machine = machine
    this.#done = done
    this.#out = {
      bytes: (bytes) => {
        if (this.#unsent.length === 0 && duplex.writeNow(bytes)) return
        // What was lent must not wait: its memory is used again.
        this.#unsent.push(bytes.buffer === this.#lent ? new Uint8Array(bytes) : bytes)
      },
      event: onEvent
    }
  }

  start(): void {
    this.#duplex.consume(this)
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
      error = this.#machine.receive(chunk, this.#out)
    } catch (defect) {
      this.#finish({ _tag: "Threw", defect })
      return true
    }
    if (error === undefined) return this.#unsent.length === 0 || this.#send()
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
      error = this.#machine.end(this.#out)
    } catch (defect) {
      return this.#finish({ _tag: "Threw", defect })
    }
    this.#sendUnsent((fault, delivery) =>
      this.#finish(error === undefined ? endedBy(fault, delivery) : { _tag: "Failed", error })
    )
  }

  /** True when nothing waits for room, and more input may come. */
  #send(): boolean {
    this.#isWaiting = this.#isInside = true
    this.#sendUnsent((fault, delivery) => {
      this.#isWaiting = false
      if (fault !== undefined) this.#finish(endedBy(fault, delivery))
      else if (!this.#isInside) this.#duplex.consumed(this)
    })
    this.#isInside = false
    return !this.#isWaiting
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

const endedBy = (fault: Fault | undefined, delivery: Delivery): Outcome<never> =>
  fault === undefined ? { _tag: "Ended" } : { _tag: "Faulted", by: "write", fault, delivery }
