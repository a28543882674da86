/**
 * A rate with bursts, as a plain machine: time is handed in.
 *
 * It fills steadily up to `burst` and gives what it holds. What is larger than `burst` goes when it is full, on credit,
 * and the next has to wait until that is paid back: so no size is too large, and the rate holds over time.
 */
export class TokenBucket {
  readonly #perMilli: number
  readonly #burst: number
  #level: number
  #atMillis: number | undefined = undefined

  constructor(perSecond: number, burst: number) {
    this.#perMilli = perSecond / 1000
    this.#burst = burst
    this.#level = burst
  }

  /** How long to wait before so much may go; 0 for at once. */
  waitMillis(size: number, nowMillis: number): number {
    this.#fill(nowMillis)
    const missing = Math.min(size, this.#burst) - this.#level
    return missing <= 0 ? 0 : Math.ceil(missing / this.#perMilli)
  }

  spend(size: number): void {
    this.#level -= size
  }

  #fill(nowMillis: number): void {
    // A clock that was set back adds nothing.
    const passed = Math.max(0, nowMillis - (this.#atMillis ?? nowMillis))
    this.#level = Math.min(this.#burst, this.#level + passed * this.#perMilli)
    this.#atMillis = nowMillis
  }
}
