/**
 * Connections that have arrived and that nobody has accepted yet: a bounded queue with its waiters.
 *
 * As in the reading of a connection, a wake-up carries nothing: whoever is woken polls, so that an interruption at that
 * moment cannot lose a connection.
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

export class Backlog<Item extends object> {
  readonly #max: number
  #waiting: Array<Item> = []
  #wakes: Array<() => void> = []
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
    if (this.#stopped || (this.#waiting.length >= this.#max && this.#wakes.length === 0)) return false
    this.#waiting.push(item)
    this.#wakes.shift()?.()
    return true
  }

  /** A connection that went away before it was accepted. */
  remove(item: Item): void {
    const at = this.#waiting.indexOf(item)
    if (at >= 0) this.#waiting.splice(at, 1)
  }

  /** The medium could not accept: told to one waiter, or to the next that comes. The queue lives on. */
  fail(cause: unknown): void {
    this.#failure = new Refusal(false, cause)
    this.#wakes.shift()?.()
  }

  /** No more connections; answers with those that were never accepted. */
  stop(): ReadonlyArray<Item> {
    this.#stopped = true
    const left = this.#waiting.splice(0)
    for (const wake of this.#wakes.splice(0)) wake()
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

  /** Called when a poll may bring something; at once, where it may by now: a fiber can give way after it has polled. */
  await(wake: () => void): void {
    if (this.#waiting.length > 0 || this.#failure !== undefined || this.#stopped) wake()
    else this.#wakes.push(wake)
  }

  cancel(wake: () => void): void {
    const at = this.#wakes.indexOf(wake)
    if (at >= 0) this.#wakes.splice(at, 1)
    // It was woken and will not poll: another one shall.
    else if (this.#waiting.length > 0 || this.#failure !== undefined) this.#wakes.shift()?.()
  }
}
