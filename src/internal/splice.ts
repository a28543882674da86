/**
 * Input of one connection that goes straight into the output of another, in the read callback of the first. It holds one
 * batch at the most: while that waits for room, no more input is taken.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import { type Consumer, type Duplex, EndOfInput, type Fault, type Write } from "./duplex.ts"

/** Which side ended it, and by what; nothing when the input has ended. */
export type Outcome = { readonly by: "read" | "write"; readonly fault: Fault; readonly delivery?: Delivery } | undefined

type Delivery = "NotSent" | "Unknown"

export class Splice implements Consumer {
  /** What is copied anyway need not be copied twice. */
  readonly borrowMax: number
  readonly #from: Duplex
  readonly #to: Duplex
  readonly #done: (outcome: Outcome) => void
  #isDone = false
  #waiting: Write | undefined = undefined
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

  /** A batch of which nothing was sent goes back. */
  stop(): void {
    this.#isDone = true
    this.#from.endConsume(this)
    const write = this.#waiting
    if (write === undefined) return
    this.#waiting = undefined
    if (this.#to.cancelWrite(write) === "NotSent") this.#from.unread(write.chunks)
  }

  borrow(chunk: Uint8Array): boolean {
    if (!this.#to.writeNow(chunk)) return this.batch([chunk.slice()])
    this.#to.flushNow()
    return true
  }

  batch(chunks: NonEmptyReadonlyArray<Uint8Array>): boolean {
    const fault = this.#to.writeFault
    if (fault !== undefined) {
      this.#from.unread(chunks)
      this.#finish({ by: "write", fault, delivery: "NotSent" })
      return true
    }
    let bytes = 0
    for (const chunk of chunks) bytes += chunk.length
    const write: Write = {
      chunks,
      bytes,
      position: 0,
      resume: (fault, delivery) => {
        if (this.#waiting !== write) return
        this.#waiting = undefined
        if (fault !== undefined) {
          if (delivery === "NotSent") this.#from.unread(chunks)
          this.#finish({ by: "write", fault, delivery })
        } else if (!this.#isInside) this.#from.consumed()
      }
    }
    this.#waiting = write
    this.#isInside = true
    this.#to.write(write)
    this.#to.flushNow()
    this.#isInside = false
    return this.#waiting === undefined
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
