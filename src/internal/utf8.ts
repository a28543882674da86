/**
 * Text as UTF-8, without replacement characters: what is not text is told, and nothing is changed on the way.
 */

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

/** Nothing for what is not UTF-8. A byte order mark is text like any other. */
export const textOf = (bytes: Uint8Array): string | undefined => {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

/** Nothing for half of a surrogate pair, which UTF-8 cannot say. */
export const bytesOf = (text: string): Uint8Array | undefined => {
  const bytes = encoder.encode(text)
  return bytes.length > text.length && /\p{Surrogate}/u.test(text) ? undefined : bytes
}

export const encodeInto = (text: string, bytes: Uint8Array): number => encoder.encodeInto(text, bytes).written
