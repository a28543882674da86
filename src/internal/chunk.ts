/**
 * Memory for what encoders write: one chunk for a short frame with all that stands around it, since a second chunk costs
 * more than the copy. Longer frames go out as they are, between chunks of their own.
 */

/** The longest frame that is copied. */
export const copiedBytesMax = 4096

/** To allocate for each short chunk would cost several times its encoding. */
const slabBytes = 8192
let slab = new Uint8Array(0)
let slabUsed = 0

/** So many bytes that nobody else has or will have; what they hold is to be written over. */
export const allocate = (bytes: number): Uint8Array => {
  if (bytes > slabBytes / 8) return new Uint8Array(bytes)
  if (bytes > slab.length - slabUsed) {
    slab = new Uint8Array(slabBytes)
    slabUsed = 0
  }
  const from = slabUsed
  slabUsed += bytes
  return new Uint8Array(slab.buffer, from, bytes)
}

/** Appends a frame with what stands before and behind it. */
export const pushFrame = (
  out: Array<Uint8Array>,
  frame: Uint8Array,
  before: Uint8Array = nothing,
  after: Uint8Array = nothing
): void => {
  if (frame.length <= copiedBytesMax) {
    const chunk = allocate(before.length + frame.length + after.length)
    chunk.set(before)
    chunk.set(frame, before.length)
    chunk.set(after, before.length + frame.length)
    out.push(chunk)
    return
  }
  if (before.length > 0) out.push(before)
  out.push(frame)
  if (after.length > 0) out.push(after)
}

const nothing = new Uint8Array(0)
