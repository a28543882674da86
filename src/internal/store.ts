/**
 * What lies in a bounded buffer, in the order of its arrival, each item with its size.
 *
 * Sizes are measured once, when an item comes: what is taken away is what was added, whatever became of the item since.
 */

export interface Store<A> {
  readonly length: number
  readonly size: number
  readonly push: (item: A, size: number) => void
  /** The oldest. The store must not be empty. */
  readonly shift: () => A
  /** All, and the store is empty. */
  readonly takeAll: () => Array<A>
  /** These come next: what they supersede can be spared. */
  readonly expect: (items: ReadonlyArray<A>) => void
  /** Takes out the item that can be spared best. The store must not be empty. */
  readonly evict: () => void
  readonly clear: () => void
}

/** So many places that were taken from the front are worth a copy of the rest. */
const compactAt = 1024

/** First in, first out; the oldest is spared first. */
export class Fifo<A> implements Store<A> {
  size = 0
  #items: Array<A | undefined> = []
  #sizes: Array<number> = []
  #head = 0

  get length(): number {
    return this.#items.length - this.#head
  }

  push(item: A, size: number): void {
    this.#items.push(item)
    this.#sizes.push(size)
    this.size += size
  }

  shift(): A {
    const head = this.#head++
    const item = this.#items[head] as A
    this.size -= this.#sizes[head]!
    if (this.#head === this.#items.length) this.clear()
    else {
      // What has been given away is not held here any longer.
      this.#items[head] = undefined
      if (this.#head >= compactAt && this.#head * 2 >= this.#items.length) {
        this.#items.splice(0, this.#head)
        this.#sizes.splice(0, this.#head)
        this.#head = 0
      }
    }
    return item
  }

  takeAll(): Array<A> {
    const items = (this.#head === 0 ? this.#items : this.#items.slice(this.#head)) as Array<A>
    this.#items = []
    this.clear()
    return items
  }

  expect(): void {}

  evict(): void {
    this.shift()
  }

  clear(): void {
    this.#items.length =
      this.#sizes.length =
      this.#head =
      this.size =
        0
  }
}

interface Entry<A> {
  readonly item: A
  readonly size: number
  readonly key: unknown
}

/** An item that a later one with the same key has superseded is spared first, then the oldest. */
export class Latest<A> implements Store<A> {
  size = 0
  readonly #keyOf: (item: A) => unknown
  /** By number of arrival. */
  readonly #entries = new Map<number, Entry<A>>()
  readonly #latest = new Map<unknown, number>()
  readonly #superseded = new Set<number>()
  #next = 0

  constructor(keyOf: (item: A) => unknown) {
    this.#keyOf = keyOf
  }

  get length(): number {
    return this.#entries.size
  }

  push(item: A, size: number): void {
    const number = this.#next++
    const key = this.#keyOf(item)
    this.#supersede(key)
    this.#latest.set(key, number)
    this.#entries.set(number, { item, size, key })
    this.size += size
  }

  expect(items: ReadonlyArray<A>): void {
    for (const item of items) this.#supersede(this.#keyOf(item))
  }

  shift(): A {
    return this.#remove(first(this.#entries.keys()))
  }

  takeAll(): Array<A> {
    const items = Array.from(this.#entries.values(), ({ item }) => item)
    this.clear()
    return items
  }

  evict(): void {
    this.#remove(first(this.#superseded.size > 0 ? this.#superseded : this.#entries.keys()))
  }

  clear(): void {
    this.#entries.clear()
    this.#latest.clear()
    this.#superseded.clear()
    this.size = 0
  }

  #supersede(key: unknown): void {
    const before = this.#latest.get(key)
    if (before !== undefined) this.#superseded.add(before)
  }

  #remove(number: number): A {
    const entry = this.#entries.get(number)!
    this.#entries.delete(number)
    this.#superseded.delete(number)
    if (this.#latest.get(entry.key) === number) this.#latest.delete(entry.key)
    this.size -= entry.size
    return entry.item
  }
}

const first = (numbers: Iterable<number>): number => {
  for (const number of numbers) return number
  throw new Error("nothing to spare")
}
