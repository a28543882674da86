/**
 * What is to happen later: a heap by time, and by the order of its making where times are equal.
 */
import type { Lane, Owner, Task } from "./lanes.ts"

/** Once its time has come it is a task of its lane. */
export interface Timer extends Task {
  /** Nanoseconds of the world. */
  readonly atNs: number
  readonly order: number
  /** What runs then; nothing once it was cancelled, or is due. */
  run: (() => void) | undefined
  /** Where it queues when its time has come. */
  readonly lane: Lane
  /** Its time has not come. */
  isPending: boolean
}

export class Timers {
  readonly #heap: Array<Timer> = []
  #cancelled = 0

  add(timer: Timer): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(timer)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(timer, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = timer
  }

  cancel(timer: Timer): void {
    if (timer.run === undefined) return
    timer.run = undefined
    if (!timer.isPending) return
    this.#cancelled++
    // Cancelled ones go when their time comes; where they are most of the heap, at once.
    if (this.#cancelled > 64 && this.#cancelled * 2 > this.#heap.length) this.#compact()
  }

  /** The earliest that still stands, and whose owner is there. */
  peek(): Timer | undefined {
    const heap = this.#heap
    while (heap.length > 0) {
      const first = heap[0]!
      if (first.run === undefined) this.#cancelled--
      else if (first.lane.owner.state !== "gone") return first
      first.run = undefined
      this.#removeFirst()
    }
    return undefined
  }

  /** Takes out what `peek` answered. */
  take(): Timer | undefined {
    const first = this.peek()
    if (first === undefined) return undefined
    first.isPending = false
    this.#removeFirst()
    return first
  }

  countOf(owner: Owner): number {
    return this.#heap.filter(({ lane, run }) => run !== undefined && lane.owner === owner).length
  }

  /** None of this owner's will run. */
  drop(owner: Owner): void {
    for (const timer of this.#heap) if (timer.lane.owner === owner) timer.run = undefined
    this.#compact()
  }

  #removeFirst(): void {
    const heap = this.#heap
    const last = heap.pop()!
    const { length } = heap
    if (length === 0) return
    let at = 0
    while (true) {
      let child = 2 * at + 1
      if (child >= length) break
      if (child + 1 < length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
  }

  #compact(): void {
    const standing = this.#heap.filter((timer) => timer.run !== undefined)
    this.#heap.length = 0
    this.#cancelled = 0
    for (const timer of standing) this.add(timer)
  }
}

const isBefore = (a: Timer, b: Timer): boolean => a.atNs < b.atNs || (a.atNs === b.atNs && a.order < b.order)
