/**
 * What a producer is told by its consumer, and when: the order of `pause`, `resume` and `stop` as a plain machine.
 *
 * Nothing is told before `begin`; then pause and resume strictly alternate, beginning with a pause, and `stop` is the
 * last, once. A call that is told while the other kind still runs does not wait for it: who writes inside `resume` hears
 * of the pause at once. A call of a kind that still runs from an earlier turn waits until that is done, so that at most
 * one of each is under way. A turn that could not be told is made up for: who has stopped at a pause that was not told
 * is not forgotten.
 */

export type Signal = "pause" | "resume" | "stop"

export class Steering {
  /** Tells it, and answers whether that was done at once; if not, `done` says when. */
  readonly #tell: (signal: Signal) => boolean
  #isWanted = false
  #isTold = false
  #isMissed = false
  #isHeld = true
  #isEnded = false
  #stop: "no" | "wanted" | "told" = "no"
  readonly #running = { pause: false, resume: false }

  constructor(tell: (signal: Signal) => boolean) {
    this.#tell = tell
  }

  /** The producer knows its consumer: from now on it is told. */
  begin(): void {
    this.#isHeld = false
    this.#go()
  }

  want(isPaused: boolean): void {
    if (isPaused === this.#isWanted) return
    this.#isWanted = isPaused
    if (isPaused === this.#isTold && !this.#isHeld) this.#isMissed = true
    this.#go()
  }

  stop(): void {
    if (this.#stop !== "no") return
    this.#stop = "wanted"
    this.#go()
  }

  /** A call that was not done at once is done. */
  done(signal: "pause" | "resume"): void {
    this.#running[signal] = false
    this.#go()
  }

  /** It is told nothing more. */
  end(): void {
    this.#isEnded = true
  }

  #go(): void {
    while (!this.#isHeld && !this.#isEnded && this.#stop !== "told") {
      if (this.#stop === "wanted") {
        this.#stop = "told"
        this.#tell("stop")
        return
      }
      if (this.#isWanted === this.#isTold && !this.#isMissed) return
      const signal = this.#isTold ? "resume" : "pause"
      if (this.#running[signal]) return
      // Before the call, which may come back here.
      this.#isTold = !this.#isTold
      this.#isMissed = false
      this.#running[signal] = true
      if (this.#tell(signal)) this.#running[signal] = false
    }
  }
}
