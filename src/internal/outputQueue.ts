/**
 * Bytes on their way out: small ones copied into slabs, large ones by reference, in one order.
 *
 * A slab costs one allocation for many writes, and none at all while the medium takes everything at once: then one slab
 * serves every connection in turn, and a connection with nothing queued holds none.
 */

/**
 * Just below the largest segment of a loopback interface. A slab of 64 KiB would go out as one full segment and one of
 * 53 bytes, at three times the cost.
 */
const slabBytes = 49_152

let spare: Uint8Array | undefined = undefined

const takeSpare = (): Uint8Array => {
  const slab = spare ?? new Uint8Array(slabBytes)
  spare = undefined
  return slab
}

export class OutputQueue {
  #segments: Array<Uint8Array> = []
  #slab: Uint8Array | undefined = undefined
  #used = 0
  /** From here on the slab is not yet in a segment. */
  #sealed = 0

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
      if (this.#used === slabBytes) this.leaveSlab()
    }
  }

  /** The bytes must stay as they are until they have left. */
  refer(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.#seal()
    this.#segments.push(chunk)
  }

  /** Everything queued, taken out. */
  takeAll(): ReadonlyArray<Uint8Array> {
    this.#seal()
    const segments = this.#segments
    this.#segments = []
    return segments
  }

  /** What was taken out has left: the slab is free, unless more was copied into it meanwhile. */
  reuseSlab(): void {
    if (this.#segments.length > 0 || this.#used !== this.#sealed) return
    spare ??= this.#slab
    this.#slab = undefined
    this.#used = this.#sealed = 0
  }

  /** Somebody else still reads from the slab: the next copy begins another. */
  leaveSlab(): void {
    this.#seal()
    this.#slab = undefined
    this.#used = this.#sealed = 0
  }

  clear(): void {
    this.#segments = []
    this.#slab = undefined
    this.#used = this.#sealed = 0
  }

  #seal(): void {
    if (this.#used === this.#sealed) return
    this.#segments.push(this.#slab!.subarray(this.#sealed, this.#used))
    this.#sealed = this.#used
  }
}
