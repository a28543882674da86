/**
 * What holds a producer: open or not, with the one who waits for it.
 */
export class Gate {
  isOpen = true
  #wake: (() => void) | undefined = undefined

  close(): void {
    this.isOpen = false
  }

  open(): void {
    this.isOpen = true
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  /** Calls `wake` once, when it opens. */
  await(wake: () => void): void {
    this.#wake = wake
  }

  cancel(): void {
    this.#wake = undefined
  }
}
