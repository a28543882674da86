/**
 * Input of one connection that goes straight into the output of another, in the read callback of the first. It holds one
 * batch at the most: while that waits for room, no more input is taken.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import { type Consumer, type Duplex, EndOfInput, type Fault, type Write } from "./duplex.ts"

/** Which side ended it, and by what; nothing when the input has ended. */
export type Outcome = { readonly by: "read" | "write"; readonly fault: Fault; readonly delivery?: Delivery } | undefined

type Delivery = "NotSent" | "Unknown"

/** What is on its way; lent, it is in memory of the wire, which waits for it. */
interface Batch {
  readonly write: Write
  readonly isLent: boolean
}

export class Splice implements Consumer {
  /** What is copied anyway need not be copied twice. */
  readonly borrowMax: number
  readonly keeps = true
  readonly #from: Duplex
  readonly #to: Duplex
  readonly #done: (outcome: Outcome) => void
  #isDone = false
  #waiting: Batch | undefined = undefined
  #isInside = false

  constructor(from: Duplex, to: Duplex, done: (outcome: Outcome) => void) {
    this.#from = from
    this.#to = to
    this.#done = done
    this.borrowMax = to.settings.copyMax
  }

  start(): void {
    this.#from.consume(this)
  }

  /** A batch of which nothing was sent goes back. One that was begun goes out whole. */
  stop(): void {
    this.#isDone = true
    const batch = this.#waiting
    if (batch !== undefined && this.#to.withdraw(batch.write)) this.#putBack(batch)
    this.#from.endConsume(this, this.#waiting === undefined)
  }

  borrow(chunk: Uint8Array, canKeep: boolean): boolean {
    if (this.#to.writeNow(chunk)) {
      this.#to.flushNow()
      return true
    }
    return canKeep ? this.#send([chunk], true) : this.#send([new Uint8Array(chunk)], false)
  }

  batch(chunks: NonEmptyReadonlyArray<Uint8Array>): boolean {
    return this.#send(chunks, false)
  }

  /** True when it is done with the chunks. */
  #send(chunks: ReadonlyArray<Uint8Array>, isLent: boolean): boolean {
    let bytes = 0
    for (const chunk of chunks) bytes += chunk.length
    const batch: Batch = {
      isLent,
      write: {
        chunks,
        bytes,
        position: 0,
        resume: (fault, delivery) => {
          if (fault === undefined) return this.#passed()
          if (delivery === "NotSent") this.#putBack(batch)
          this.#finish({ by: "write", fault, delivery })
        }
      }
    }
    this.#waiting = batch
    this.#isInside = true
    const fault = this.#to.writeFault
    if (fault === undefined) {
      this.#to.write(batch.write)
      this.#to.flushNow()
    } else batch.write.resume(fault, "NotSent")
    this.#isInside = false
    return this.#waiting === undefined
  }

  #passed(): void {
    this.#waiting = undefined
    if (!this.#isInside) this.#from.consumed(this)
  }

  /** What was lent is not ours to give to anybody else. */
  #putBack({ isLent, write: { chunks } }: Batch): void {
    this.#waiting = undefined
    this.#from.unread(isLent ? chunks.map((chunk) => new Uint8Array(chunk)) : chunks)
  }

  end(end: typeof EndOfInput | Fault): void {
    this.#finish(end === EndOfInput ? undefined : { by: "read", fault: end })
  }

  #finish(outcome: Outcome): void {
    if (this.#isDone) return
    this.stop()
    this.#done(outcome)
  }
}
