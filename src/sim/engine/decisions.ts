/**
 * Decisions as bytes: mostly half a byte for a pick, and one for a preemption.
 *
 * ```
 * batched   1 byte    0 or 1
 * picks     number    how many runs of zeros that end in a pick, and each as
 *           1 byte    zeros before it (high 4 bits) and the pick less 1 (low 4 bits); 15 for: 15 or more
 *           number    what there is beyond 15 zeros, where it said so
 *           number    what there is beyond 15 of the pick, where it said so
 * preempted number    how many, and each as
 *           number    operations since the one behind the last
 * check     4 bytes   a hash of all before
 * ```
 *
 * A number is its bits, 7 a byte from the lowest on, with the highest bit set in all but the last.
 */
import { hashBytes } from "./digest.ts"
import type { Decisions } from "./strategies.ts"

const wide = 15

export const pack = ({ isBatched, picks, preemptions }: Decisions): Uint8Array => {
  const bytes: Array<number> = [isBatched ? 1 : 0]
  const number = (value: number) => {
    let rest = value
    for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push(rest % 128 + 128)
    bytes.push(rest)
  }
  number(picks.filter((pick) => pick !== 0).length)
  let zeros = 0
  for (const pick of picks) {
    if (pick === 0) {
      zeros++
      continue
    }
    bytes.push(Math.min(zeros, wide) << 4 | Math.min(pick - 1, wide))
    if (zeros >= wide) number(zeros - wide)
    if (pick - 1 >= wide) number(pick - 1 - wide)
    zeros = 0
  }
  number(preemptions.length)
  let from = 0
  for (const operation of preemptions) {
    number(operation - from)
    from = operation + 1
  }
  const packed = new Uint8Array(bytes.length + 4)
  packed.set(bytes)
  new DataView(packed.buffer).setUint32(bytes.length, hashBytes(packed.subarray(0, bytes.length)))
  return packed
}

/** Nothing for bytes that `pack` did not make. */
export const unpack = (packed: Uint8Array): Decisions | undefined => {
  const end = packed.length - 4
  if (end < 3) return undefined
  const check = new DataView(packed.buffer, packed.byteOffset).getUint32(end)
  if (check !== hashBytes(packed.subarray(0, end))) return undefined
  let at = 1
  const number = () => {
    let value = 0
    let weight = 1
    for (; at < end && packed[at]! > 127; weight *= 128) value += (packed[at++]! - 128) * weight
    return at < end ? value + packed[at++]! * weight : 0
  }
  const picks: Array<number> = []
  for (let left = number(); left > 0 && at < end; left--) {
    const both = packed[at++]!
    let zeros = both >> 4
    if (zeros === wide) zeros += number()
    for (; zeros > 0; zeros--) picks.push(0)
    const pick = both & 15
    picks.push(1 + pick + (pick === wide ? number() : 0))
  }
  const preemptions: Array<number> = []
  let from = 0
  for (let left = number(); left > 0 && at < end; left--) {
    const operation = from + number()
    preemptions.push(operation)
    from = operation + 1
  }
  return { isBatched: packed[0] === 1, picks, preemptions }
}
