/**
 * Copies of what was read.
 */
import { markAsUntransferable } from "node:worker_threads"

/** Small copies share slabs of this size: one allocation for many, and one that is kept pins no more than that. */
const slabBytes = 8192

/** Somebody who gave away the buffer of his copy, by `postMessage` for one, would take all others with it. */
const newSlab = (): Uint8Array => {
  const slab = new Uint8Array(slabBytes)
  markAsUntransferable(slab.buffer)
  return slab
}

let slab = newSlab()
let used = 0

/** A copy that belongs to whoever asks for it. */
export const ownCopy = (chunk: Uint8Array): Uint8Array => {
  const bytes = chunk.length
  if (bytes * 4 > slabBytes) return new Uint8Array(chunk)
  if (used + bytes > slabBytes) {
    slab = newSlab()
    used = 0
  }
  const copy = slab.subarray(used, used + bytes)
  copy.set(chunk)
  // What views it as numbers of up to 8 bytes needs it aligned.
  used = (used + bytes + 7) & ~7
  return copy
}
