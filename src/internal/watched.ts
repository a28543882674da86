/**
 * A value that others look at as it changes: whoever is slow sees the latest, and never the same twice in a row.
 */
export class Watched<A> {
  value: A
  readonly #waiting = new Set<() => void>()

  constructor(value: A) {
    this.value = value
  }

  set(value: A): void {
    if (value === this.value) return
    this.value = value
    const waiting = Array.from(this.#waiting)
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }

  /** Calls `wake` once, at the next change. */
  await(wake: () => void): void {
    this.#waiting.add(wake)
  }

  cancel(wake: () => void): void {
    this.#waiting.delete(wake)
  }
}
