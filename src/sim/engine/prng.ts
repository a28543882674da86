/**
 * Numbers that a seed decides: sfc32 by Chris Doty-Humphrey, 32 bits at a time and integers only, so that every engine
 * computes the same.
 *
 * A stream has a name. What is drawn from one leaves all others as they are: a fault that is taken away changes no other.
 */
export class Prng {
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(a: number, b: number, c: number) {
    this.#a = a | 0
    this.#b = b | 0
    this.#c = c | 0
    for (let i = 0; i < 12; i++) this.next()
  }

  /** The stream of this name. */
  static of(seed: number, name: string): Prng {
    const low = seed >>> 0
    const high = Math.floor(seed / 4_294_967_296) >>> 0
    return new Prng(hashText(name, low), hashText(name, high ^ 0x9e3779b9), low ^ Math.imul(high, 0x85ebca6b))
  }

  /** From 0 up to 2^32. */
  next(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (this.#c << 21) | (this.#c >>> 11)
    this.#c = (this.#c + sum) | 0
    return sum >>> 0
  }

  /** From 0 up to `bound`, which is at most 2^32. */
  below(bound: number): number {
    return Math.floor(this.next() / 4_294_967_296 * bound)
  }

  /** From 0 up to 1, with 53 bits. */
  fraction(): number {
    return ((this.next() >>> 5) * 67_108_864 + (this.next() >>> 6)) / 9_007_199_254_740_992
  }

  chance(probability: number): boolean {
    return this.next() < probability * 4_294_967_296
  }
}

/** FNV-1a over the text's code units, with the finalizer of MurmurHash3. */
const hashText = (text: string, start: number): number => {
  let hash = 0x811c9dc5 ^ start
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
