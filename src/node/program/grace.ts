/**
 * A time in which nothing comes. It is over when the event loop has looked for input once more: where the loop was late,
 * what came meanwhile is still unread, and a timer alone would be called before it.
 */
import * as Duration from "effect/Duration"

export class Grace {
  readonly #milliseconds: number
  readonly #over: () => void
  #timer: NodeJS.Timeout | undefined = undefined
  #lastLook: NodeJS.Immediate | undefined = undefined

  constructor(duration: Duration.Duration, over: () => void) {
    this.#milliseconds = Duration.toMillis(duration)
    this.#over = over
  }

  /** Begins, or begins anew. */
  start(): void {
    this.stop()
    this.#timer = setTimeout(() => {
      this.#lastLook = setImmediate(this.#over)
    }, this.#milliseconds)
  }

  stop(): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#lastLook)
  }
}
