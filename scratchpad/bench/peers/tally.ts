/** Counts what a sink was sent, and answers how many acknowledgements that is worth. The same for every sink. */
import type { Hashing } from "../child.ts"

export const tally = (ackBytes: number, received: Hashing): (chunk: Uint8Array) => number => {
  let missing = ackBytes
  return (chunk) => {
    received?.update(chunk)
    missing -= chunk.length
    let acks = 0
    while (missing <= 0) {
      missing += ackBytes
      acks++
    }
    return acks
  }
}

/** So many acknowledgements. */
export const ack = (count: number): Uint8Array => new Uint8Array(count)
