/**
 * Bytes in pieces, as the buffers of a medium in memory have them.
 */

/** Takes so many bytes out of the front. */
export const takeFrom = (chunks: Array<Uint8Array>, bytes: number): Uint8Array => {
  const first = chunks[0]!
  if (first.length === bytes) return chunks.shift()!
  if (first.length > bytes) {
    chunks[0] = first.subarray(bytes)
    // A copy: the rest belongs to somebody else.
    return first.slice(0, bytes)
  }
  const piece = new Uint8Array(bytes)
  let at = 0
  while (at < bytes) {
    const chunk = chunks[0]!
    const part = Math.min(chunk.length, bytes - at)
    piece.set(part === chunk.length ? chunk : chunk.subarray(0, part), at)
    at += part
    if (part === chunk.length) chunks.shift()
    else chunks[0] = chunk.subarray(part)
  }
  return piece
}
