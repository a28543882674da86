/**
 * A bounded buffer between who writes and who reads, with water marks and a policy at the bound, as a plain machine.
 *
 * It is full once it holds more than its high mark, and flows again at its low mark or below: `onPressure` tells each
 * turn, strictly alternating. It never holds more than its high mark and one write.
 *
 * ```
 * life     means                                       leaves by
 * open     writes are taken                            end -> ending, abort -> ended
 * ending   no new writes; what is there can be taken   drained -> ended, abort -> ended
 * ended    nothing is left                             (final)
 * ```
 */
import { Fifo, Latest, type Store } from "./store.ts"

/** What becomes of an item for which there is no room. */
export type Policy = "suspend" | "fail" | "dropNewest" | "dropOldest" | "latest"

export interface Marks {
  readonly highWaterMark: number
  readonly lowWaterMark: number
}

export interface Settings<A> {
  /** Undefined: decided by the first item, 64 KiB for bytes, 16 for anything else. */
  readonly marks: Marks | undefined
  readonly policy: Policy
  readonly keyOf: ((item: A) => unknown) | undefined
  /** Undefined: the bytes of a `Uint8Array`, 1 for anything else. */
  readonly measure: ((item: A) => number) | undefined
  /** Runs it later in this turn, so that a reader that waits finds a batch and not one item. */
  readonly schedule: (run: () => void) => void
  readonly onPressure: (isFull: boolean) => void
  readonly onEnd: () => void
}

/** Why the buffer takes no more, or has no more. */
export interface Fault {
  readonly by: "close" | "halfClose" | "abort" | "scope" | "timeout"
  readonly cause: unknown
}

/** A write that waits for room. `resume` is called once, without a fault when it was taken. */
export interface Writer<A> {
  readonly items: ReadonlyArray<A>
  readonly sizes: ReadonlyArray<number>
  readonly resume: (fault: Fault | undefined) => void
}

/** A size that is none: the measure has given something else than a non-negative integer. */
export class BadSize {
  readonly size: unknown

  constructor(size: unknown) {
    this.size = size
  }
}

export type Answer = "taken" | "wait" | "full" | "shut" | BadSize

const byteMarks: Marks = { highWaterMark: 65_536, lowWaterMark: 16_384 }
const itemMarks: Marks = { highWaterMark: 16, lowWaterMark: 4 }

export class WaterBuffer<A> {
  readonly policy: Policy
  highWaterMark: number
  lowWaterMark: number
  isFull = false
  /** Items that the policy has given up. */
  dropped = 0
  life: "open" | "ending" | "ended" = "open"
  /** What later calls are answered with; a clean end has one for writes only. */
  fault: Fault | undefined = undefined
  isAborted = false

  readonly #store: Store<A>
  readonly #measure: ((item: A) => number) | undefined
  readonly #settings: Settings<A>
  #isUndecided: boolean
  #told = false
  #line: Array<Writer<A>> = []
  #wake: (() => void) | undefined = undefined
  #wakeScheduled = false
  #ready: Array<() => void> = []
  #settling = false

  constructor(settings: Settings<A>) {
    const marks = settings.marks ?? byteMarks
    this.policy = settings.policy
    this.highWaterMark = marks.highWaterMark
    this.lowWaterMark = marks.lowWaterMark
    this.#isUndecided = settings.marks === undefined && settings.measure === undefined
    this.#measure = settings.measure
    this.#settings = settings
    this.#store = settings.keyOf === undefined ? new Fifo() : new Latest(settings.keyOf)
  }

  /** What it holds, by its measure. */
  get size(): number {
    return this.#store.size
  }

  get length(): number {
    return this.#store.length
  }

  /** How many writes wait for room. */
  get waiting(): number {
    return this.#line.length
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Writing
  // -------------------------------------------------------------------------------------------------------------------

  /** Takes the item, or says why not. After `wait` the caller comes again with `await`. */
  offer(item: A): Answer {
    if (this.life !== "open") return "shut"
    const size = this.#sizeOf(item)
    if (size instanceof BadSize) return size
    if (size === 0) return "taken"
    // The common case makes nothing, not even an array.
    const hasRoom = this.policy === "suspend" ? this.#line.length === 0 && this.#admits(size) : this.#fits(size)
    if (!hasRoom) {
      const answer = this.#makeRoom(size, [item])
      if (answer !== "taken") return answer === "dropped" ? "taken" : answer
    }
    this.#store.push(item, size)
    this.#added()
    return "taken"
  }

  /** As one item: all of them, or none. */
  offerAll(items: ReadonlyArray<A>): Answer {
    if (this.life !== "open") return "shut"
    const sizes = this.sizesOf(items)
    if (sizes instanceof BadSize) return sizes
    const size = sum(sizes)
    if (size === 0) return "taken"
    const answer = this.#makeRoom(size, items)
    if (answer !== "taken") return answer === "dropped" ? "taken" : answer
    this.#push(items, sizes)
    this.#added()
    return "taken"
  }

  /** In line for room, as one item. The caller was told to wait; since then there may have come room, or the end. */
  await(writer: Writer<A>): void {
    const { fault } = this
    if (fault !== undefined) this.#ready.push(() => writer.resume(fault))
    else {
      this.#line.push(writer)
      this.#admit()
    }
    this.#after()
  }

  /** Nobody waits for this write any longer. False when it was taken, or refused, before. */
  withdraw(writer: Writer<A>): boolean {
    const at = this.#line.indexOf(writer)
    if (at < 0) return false
    this.#line.splice(at, 1)
    // The one behind it may fit where this one did not.
    this.#admit()
    this.#after()
    return true
  }

  /** Judged anew at once: lower marks may make it full, higher ones may let writers in. */
  setMarks(marks: Marks): void {
    this.#isUndecided = false
    this.highWaterMark = marks.highWaterMark
    this.lowWaterMark = marks.lowWaterMark
    this.#level()
    this.#admit()
    this.#after()
  }

  #sizeOf(item: A): number | BadSize {
    if (this.#measure !== undefined) {
      const size: unknown = this.#measure(item)
      // At least 1, so that the number of items is bounded, too.
      return Number.isSafeInteger(size) && size as number >= 0 ? Math.max(1, size as number) : new BadSize(size)
    }
    const isBytes = item instanceof Uint8Array
    if (this.#isUndecided) this.#decide(isBytes ? byteMarks : itemMarks)
    return isBytes ? item.length : 1
  }

  #decide(marks: Marks): void {
    this.#isUndecided = false
    this.highWaterMark = marks.highWaterMark
    this.lowWaterMark = marks.lowWaterMark
  }

  /** How large they are, one by one. */
  sizesOf(items: ReadonlyArray<A>): ReadonlyArray<number> | BadSize {
    const sizes: Array<number> = []
    for (const item of items) {
      const size = this.#sizeOf(item)
      if (size instanceof BadSize) return size
      sizes.push(size)
    }
    return sizes
  }

  #makeRoom(size: number, items: ReadonlyArray<A>): "taken" | "wait" | "full" | "dropped" {
    switch (this.policy) {
      case "suspend":
        // Nobody overtakes those who wait.
        return this.#line.length === 0 && this.#admits(size) ? "taken" : "wait"
      case "fail":
        return this.#fits(size) ? "taken" : "full"
      case "dropNewest":
        if (this.#fits(size)) return "taken"
        this.dropped += items.length
        return "dropped"
      case "dropOldest":
      case "latest":
        if (!this.#fits(size)) this.#store.expect(items)
        while (!this.#fits(size)) {
          this.#store.evict()
          this.dropped++
        }
        return "taken"
    }
  }

  /** There is room. What is larger than the mark begins on an empty buffer. */
  #fits(size: number): boolean {
    return this.#store.length === 0 || (this.#store.size <= this.highWaterMark && size <= this.highWaterMark)
  }

  /** There is room for who can wait: once it was full, not before it has come down to the low mark. */
  #admits(size: number): boolean {
    return this.#store.length === 0 || (!this.isFull && size <= this.highWaterMark)
  }

  #push(items: ReadonlyArray<A>, sizes: ReadonlyArray<number>): void {
    for (let i = 0; i < items.length; i++) if (sizes[i]! > 0) this.#store.push(items[i]!, sizes[i]!)
  }

  /** After items were added: the common case is one comparison. */
  #added(): void {
    if (this.#wake !== undefined) this.#wakeSoon()
    if (this.#store.size > this.highWaterMark) this.isFull = true
    else if (this.#store.size <= this.lowWaterMark) this.isFull = false
    if (this.isFull !== this.#told) this.#after()
  }

  #level(): void {
    if (this.#store.size > this.highWaterMark) this.isFull = true
    else if (this.#store.size <= this.lowWaterMark) this.isFull = false
  }

  #admit(): void {
    while (this.#line.length > 0 && this.life === "open") {
      const writer = this.#line[0]!
      if (!this.#admits(sum(writer.sizes))) return
      this.#line.shift()
      this.#push(writer.items, writer.sizes)
      this.#level()
      this.#ready.push(() => writer.resume(undefined))
      if (this.#wake !== undefined) this.#wakeSoon()
    }
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Reading
  // -------------------------------------------------------------------------------------------------------------------

  /** Whether a reader need not wait: there is something, or never will be. */
  get isReadable(): boolean {
    return this.#store.length > 0 || this.life === "ended"
  }

  /** The oldest item. There is one. */
  take(): A {
    const item = this.#store.shift()
    this.#taken()
    return item
  }

  /** All items. There is one at the least. */
  takeAll(): Array<A> {
    const items = this.#store.takeAll()
    this.#taken()
    return items
  }

  /** Calls `wake` once, when there is something to find. One reader waits at a time. */
  awaitItems(wake: () => void): void {
    this.#wake = wake
  }

  get isAwaited(): boolean {
    return this.#wake !== undefined
  }

  cancelItems(wake: () => void): void {
    if (this.#wake === wake) this.#wake = undefined
  }

  #taken(): void {
    if (this.isFull && this.#store.size <= this.lowWaterMark) this.isFull = false
    if (this.#line.length > 0) this.#admit()
    if (this.life === "ending" && this.#store.length === 0) this.#finish()
    if (this.isFull !== this.#told || this.#ready.length > 0) this.#after()
  }

  #wakeSoon(): void {
    if (this.#wakeScheduled) return
    this.#wakeScheduled = true
    this.#settings.schedule(() => {
      this.#wakeScheduled = false
      const wake = this.#wake
      if (wake === undefined || !this.isReadable) return
      this.#wake = undefined
      wake()
    })
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Ending
  // -------------------------------------------------------------------------------------------------------------------

  /** open -> ending. Writes that wait are refused; what is there can still be taken. */
  end(fault: Fault): void {
    if (this.life !== "open") return
    this.life = "ending"
    this.fault = fault
    this.#failLine(fault)
    if (this.#store.length === 0) this.#finish()
    this.#after()
  }

  /** any -> ended. What is there is dropped. */
  abort(fault: Fault): void {
    if (this.life === "ended") return
    this.fault = fault
    this.isAborted = true
    this.#store.clear()
    this.#finish()
    // After the end was told: a producer that waits here is stopped, and not refused.
    this.#ready.push(() => this.#failLine(fault))
    this.#after()
  }

  #finish(): void {
    this.life = "ended"
    if (this.#wake !== undefined) this.#wakeSoon()
    this.#ready.push(this.#settings.onEnd)
  }

  #failLine(fault: Fault): void {
    for (const writer of this.#line.splice(0)) this.#ready.push(() => writer.resume(fault))
  }

  // -------------------------------------------------------------------------------------------------------------------

  /**
   * Tells the pressure first, and at once, also from inside a turn: who fills the buffer when it is told to go on has to
   * hear that it is full before its next item. Then wakes who waits, one after another.
   */
  #after(): void {
    if (this.life !== "ended" && this.isFull !== this.#told) {
      // Before the call, which may come back here.
      this.#told = this.isFull
      this.#settings.onPressure(this.isFull)
    }
    if (this.#settling || this.#ready.length === 0) return
    this.#settling = true
    try {
      for (let next = this.#ready.shift(); next !== undefined; next = this.#ready.shift()) next()
    } finally {
      this.#settling = false
    }
  }
}

const sum = (sizes: ReadonlyArray<number>): number => {
  let all = 0
  for (const size of sizes) all += size
  return all
}
