/**
 * A running hash of 64 bits, in integers that every engine computes alike. Two runs with the same digest at the same
 * event have done the same until then.
 */
export class Digest {
  #a = 0x243f6a88
  #b = 0x85a308d3

  /** Two words. No two pairs lead from one state to the same next one. */
  pair(one: number, other: number): void {
    this.#a = Math.imul(this.#a ^ one, 0xcc9e2d51)
    this.#a = ((this.#a << 15) | (this.#a >>> 17)) + this.#b | 0
    this.#b = Math.imul(this.#b ^ this.#a ^ other, 0x1b873593)
    this.#b = (this.#b << 13) | (this.#b >>> 19)
  }

  /** A number of up to 2^53. */
  number(value: number): void {
    this.pair(value | 0, high(value))
  }

  text(value: string): void {
    const { length } = value
    for (let i = 0; i < length; i += 2) this.pair(value.charCodeAt(i), i + 1 < length ? value.charCodeAt(i + 1) : -1)
    this.pair(length, 0)
  }

  /** 32 bits of it. */
  get word(): number {
    return this.#a ^ this.#b
  }

  get hex(): string {
    return hex(this.#a) + hex(this.#b)
  }
}

/** A hash of bytes, of 32 bits: MurmurHash3 (x86, seed 0). */
export const hashBytes = (bytes: Uint8Array): number => {
  const { length } = bytes
  let hash = 0
  let at = 0
  for (; at + 4 <= length; at += 4) {
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    hash ^= scrambled(word)
    hash = Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64 | 0
  }
  let tail = 0
  for (let i = length - 1; i >= at; i--) tail = (tail << 8) | bytes[i]!
  if (at < length) hash ^= scrambled(tail)
  hash ^= length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

const scrambled = (word: number): number => {
  const mixed = Math.imul(word, 0xcc9e2d51)
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593)
}

/** What is above the low 32 bits of a number. */
export const high = (value: number): number => value < 4_294_967_296 ? 0 : Math.floor(value / 4_294_967_296)

const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, "0")
