/**
 * Bytes on their way out: small ones copied into slabs, large ones by reference, in one order.
 *
 * A slab costs one allocation for many writes. When all that was taken out has left it serves the next connection, and a
 * connection with nothing queued holds none: new ones are needed only where many connections have to wait at a time.
 */

/**
 * Just below the largest segment of a loopback interface. A slab of 64 KiB would go out as one full segment and one of
 * 53 bytes, at three times the cost.
 */
const slabBytes = 49_152

/** Enough for what one connection has under way and what is queued behind it, by the default marks. */
const sparesMax = 4
const spares: Array<Uint8Array> = []

const takeSpare = (): Uint8Array => spares.pop() ?? new Uint8Array(slabBytes)

const giveSpare = (slab: Uint8Array): void => {
  if (spares.length < sparesMax) spares.push(slab)
}

/** Stands for a list that is begun with its first segment: one that grows from nothing takes room for seventeen. */
const none: Array<Uint8Array> = []

export class OutputQueue {
  #segments = none
  #slab: Uint8Array | undefined = undefined
  #used = 0
  /** From here on the slab is not yet in a segment. */
  #sealed = 0
  /** Full ones, and how many of them were taken out to their last byte. */
  #full: Array<Uint8Array> = []
  #fullTaken = 0

  /** A copy of so many bytes needs no further slab. */
  fits(bytes: number): boolean {
    return this.#used + bytes <= slabBytes
  }

  /** The bytes are the caller's again at once. */
  copy(chunk: Uint8Array): void {
    const end = this.#used + chunk.length
    if (end >= slabBytes) return this.#copyInPieces(chunk)
    const slab = this.#slab ??= takeSpare()
    slab.set(chunk, this.#used)
    this.#used = end
  }

  #copyInPieces(chunk: Uint8Array): void {
    let from = 0
    while (from < chunk.length) {
      const slab = this.#slab ??= takeSpare()
      const bytes = Math.min(chunk.length - from, slabBytes - this.#used)
      slab.set(bytes === chunk.length ? chunk : chunk.subarray(from, from + bytes), this.#used)
      this.#used += bytes
      from += bytes
      if (this.#used === slabBytes) this.#leaveSlab()
    }
  }

  /** The bytes must stay as they are until they have left. */
  refer(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.#seal()
    this.#add(chunk)
  }

  /** Everything queued, taken out. What was taken out before has left. */
  takeAll(): ReadonlyArray<Uint8Array> {
    this.#seal()
    this.#fullTaken = this.#full.length
    const segments = this.#segments
    this.#segments = none
    return segments
  }

  /** What was taken out has left: its slabs are free, but one that more was copied into meanwhile. */
  reuseSlabs(): void {
    if (this.#fullTaken > 0) {
      for (const slab of this.#full.splice(0, this.#fullTaken)) giveSpare(slab)
      this.#fullTaken = 0
    }
    if (this.#slab === undefined || this.#used !== this.#sealed || this.#segments.length > 0) return
    giveSpare(this.#slab)
    this.#startOver()
  }

  /** What was taken out may still be read from: its slabs are nobody's any more. */
  clear(): void {
    this.#segments = none
    this.#full = []
    this.#fullTaken = 0
    this.#startOver()
  }

  #leaveSlab(): void {
    this.#seal()
    this.#full.push(this.#slab!)
    this.#startOver()
  }

  #startOver(): void {
    this.#slab = undefined
    this.#used = this.#sealed = 0
  }

  #seal(): void {
    if (this.#used === this.#sealed) return
    this.#add(this.#slab!.subarray(this.#sealed, this.#used))
    this.#sealed = this.#used
  }

  #add(segment: Uint8Array): void {
    if (this.#segments.length === 0) this.#segments = [segment]
    else this.#segments.push(segment)
  }
}
