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

/** Nothing for text that is not Unicode. */
export const bytesOf = (text: string): Uint8Array | undefined => {
  const bytes = encoder.encode(text)
  return bytes.length === text.length || isUnicode(text) ? bytes : undefined
}

/** Half of a surrogate pair is none: UTF-8 cannot say it. */
export const isUnicode = (text: string): boolean => !/\p{Surrogate}/u.test(text)

/** Answers with how many bytes it wrote; there has to be room. */
export const encodeInto = (text: string, bytes: Uint8Array): number => encoder.encodeInto(text, bytes).written
