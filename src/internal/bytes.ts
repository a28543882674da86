/**
 * Bytes in several pieces, and copies of them.
 */

/** The pieces in one: a copy, unless there is only one. */
export const concat = (pieces: ReadonlyArray<Uint8Array>): Uint8Array => {
  if (pieces.length === 1) return pieces[0]!
  const all = new Uint8Array(pieces.reduce((bytes, piece) => bytes + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.length
  }
  return all
}

/** Small copies share slabs of this size: one allocation for many, and one that is kept pins no more than that. */
const slabBytes = 8192
let slab = new Uint8Array(slabBytes)
let used = 0

/** A copy that belongs to whoever asks for it. */
export const ownCopy = (chunk: Uint8Array): Uint8Array => {
  const bytes = chunk.length
  if (bytes * 4 > slabBytes) return chunk.slice()
  // The length is asked for each time, since somebody may have transferred the buffer of his copy, and ours with it.
  if (used + bytes > slab.length) {
    slab = new Uint8Array(slabBytes)
    used = 0
  }
  const copy = slab.subarray(used, used + bytes)
  copy.set(chunk)
  // What views it as numbers of up to 8 bytes needs it aligned.
  used = (used + bytes + 7) & ~7
  return copy
}
