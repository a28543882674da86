/**
 * What Cobs and Slip have in common: a mark of one byte behind each frame, and frames that are stuffed so that the mark
 * does not occur in them. Marks with nothing between them are padding.
 */
import { copyOf, type Finder, type Found, type Framing } from "../Codec.ts"
import { EncodeError, type EncodeReason, Malformed, TooLong } from "../FrameError.ts"

/** How bytes are stuffed. */
export interface Stuffing {
  readonly mark: number
  /** The most bytes that a frame of `length` bytes takes, without the mark. */
  readonly stuffedBytes: (length: number) => number
  /**
   * Undoes it, in the memory of `bytes[from..to)`, which belongs to the frame: there is at least one byte, and no mark.
   * Nothing for bytes that are malformed.
   */
  readonly unstuff: (bytes: Uint8Array, from: number, to: number) => Uint8Array | undefined
  /** What should have stood in bytes that are malformed. */
  readonly expected: string
  /** The whole bytes of a frame, with its mark; or why there are none. */
  readonly stuff: (frame: Uint8Array) => Uint8Array | EncodeReason
}

/** Stuffed frames of at most `max` bytes. */
export const framing = (stuffing: Stuffing, max: number): Framing<Uint8Array, Uint8Array> => {
  const { expected, mark, unstuff } = stuffing
  const stuffedMax = stuffing.stuffedBytes(max)
  const finder = new MarkFinder(mark, stuffedMax, max)
  return {
    bytesMax: stuffedMax + 1,
    finder: () => finder,
    take: (content, found) => {
      const frame = unstuff(copyOf(content), 0, content.length)
      if (frame === undefined) found.broken(new Malformed({ expected }))
      else if (frame.length > max) found.broken(new TooLong({ max }))
      return frame!
    },
    takeMany: (bytes, from, out, room) => {
      const ends: Array<number> = []
      let to = from
      while (ends.length < room && to - from < runBytes) {
        const end = bytes.indexOf(mark, to)
        if (end < 0) break
        ends.push(end)
        to = end + 1
      }
      if (to === from) return from
      const copy = copyOf(bytes.subarray(from, to))
      let next = from
      for (const end of ends) {
        if (next < end) {
          const frame = unstuff(copy, next - from, end - from)
          if (frame === undefined || frame.length > max) break
          out.push(frame)
        }
        next = end + 1
      }
      return next
    },
    encode: (frame, out) => {
      const stuffed = frame.length > max ? new TooLong({ max }) : stuffing.stuff(frame)
      if (!(stuffed instanceof Uint8Array)) return new EncodeError({ reason: stuffed })
      out.push(stuffed)
      return undefined
    }
  }
}

/** Frames that are copied together: the more, the cheaper each, and the more memory is pinned by one that is kept. */
const runBytes = 8192

class MarkFinder implements Finder {
  readonly #mark: number
  readonly #stuffedMax: number
  readonly #max: number

  constructor(mark: number, stuffedMax: number, max: number) {
    this.#mark = mark
    this.#stuffedMax = stuffedMax
    this.#max = max
  }

  find(bytes: Uint8Array, from: number, searched: number, found: Found): void {
    if (bytes[from] === this.#mark) {
      let next = from + 1
      while (next < bytes.length && bytes[next] === this.#mark) next++
      return found.blank(next)
    }
    const end = bytes.indexOf(this.#mark, from + searched)
    const length = (end < 0 ? bytes.length : end) - from
    if (length > this.#stuffedMax) found.broken(new TooLong({ max: this.#max }))
    else if (end < 0) found.more(length)
    else found.frame(from, end, end + 1)
  }

  skip(bytes: Uint8Array, from: number, found: Found): void {
    const mark = bytes.indexOf(this.#mark, from)
    if (mark < 0) found.more(bytes.length - from)
    else found.frame(from, mark, mark + 1)
  }
}
