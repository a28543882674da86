/**
 * Connections that have arrived and that nobody has accepted yet: a bounded queue with its waiters and its takers.
 *
 * As in the reading of a connection, a wake-up carries nothing: whoever is woken polls, so that an interruption at that
 * moment cannot lose a connection. A taker is given connections as they come, with nobody woken in between.
 */

/** Why there is nothing to accept. A class, since an item may be any object. */
export class Refusal {
  readonly isStopped: boolean
  readonly cause: unknown

  constructor(isStopped: boolean, cause: unknown) {
    this.isStopped = isStopped
    this.cause = cause
  }
}

/** Is given what no waiter fetches. */
export interface Taker<Item> {
  readonly hasRoom: () => boolean
  readonly take: (item: Item) => void
  /** It is a taker no more. */
  readonly refused: (refusal: Refusal) => void
}

export class Backlog<Item extends object> {
  readonly #max: number
  #waiting: Array<Item> = []
  #wakes: Array<() => void> = []
  #takers: Array<Taker<Item>> = []
  #isGiving = false
  #failure: Refusal | undefined = undefined
  #stopped = false

  constructor(max: number) {
    this.#max = max
  }

  get isStopped(): boolean {
    return this.#stopped
  }

  /** False when the queue is full or closed: the connection is to be reset. */
  offer(item: Item): boolean {
    if (
      this.#stopped ||
      (this.#waiting.length >= this.#max && this.#wakes.length === 0 && this.#takerWithRoom === undefined)
    ) return false
    this.#waiting.push(item)
    this.#tell()
    return true
  }

  /** A connection that went away before it was accepted. */
  remove(item: Item): void {
    const at = this.#waiting.indexOf(item)
    if (at >= 0) this.#waiting.splice(at, 1)
  }

  /** The medium could not accept: told to one waiter or taker, or to the next that comes. The queue lives on. */
  fail(cause: unknown): void {
    this.#failure = new Refusal(false, cause)
    this.#tell()
  }

  /** No more connections; answers with those that were never accepted. */
  stop(): ReadonlyArray<Item> {
    this.#stopped = true
    const left = this.#waiting.splice(0)
    for (const wake of this.#wakes.splice(0)) wake()
    for (const taker of this.#takers.splice(0)) taker.refused(new Refusal(true, undefined))
    return left
  }

  poll(): Item | Refusal | undefined {
    const item = this.#waiting.shift()
    if (item !== undefined) return item
    if (this.#stopped) return new Refusal(true, undefined)
    const failure = this.#failure
    this.#failure = undefined
    return failure
  }

  /** Called at once where a connection has come since whoever waits has polled. */
  await(wake: () => void): void {
    if (this.#waiting.length > 0 || this.#failure !== undefined || this.#stopped) wake()
    else this.#wakes.push(wake)
  }

  cancel(wake: () => void): void {
    const at = this.#wakes.indexOf(wake)
    if (at >= 0) this.#wakes.splice(at, 1)
    // It was woken and will not poll: another one shall.
    else if (this.#waiting.length > 0 || this.#failure !== undefined) this.#tell()
  }

  /** From now on the taker is given what comes, what is here already first. */
  join(taker: Taker<Item>): void {
    this.#takers.push(taker)
    this.give()
  }

  leave(taker: Taker<Item>): void {
    this.#takers = this.#takers.filter((other) => other !== taker)
  }

  /** Gives to takers what is here, as far as they have room: to be called when one has room again. */
  give(): void {
    // A taker may bring forth the next connection itself: that one is not to be taken within the first.
    if (this.#isGiving) return
    this.#isGiving = true
    try {
      for (let taker = this.#takerWithRoom; taker !== undefined; taker = this.#takerWithRoom) {
        const next = this.poll()
        if (next === undefined) return
        if (!(next instanceof Refusal)) taker.take(next)
        else {
          this.leave(taker)
          taker.refused(next)
        }
      }
    } finally {
      this.#isGiving = false
    }
  }

  #tell(): void {
    const wake = this.#wakes.shift()
    if (wake !== undefined) wake()
    else this.give()
  }

  get #takerWithRoom(): Taker<Item> | undefined {
    return this.#takers.find((taker) => taker.hasRoom())
  }
}
