/**
 * Which bytes of the input each item takes: what has been given up of the input is watched frame by frame.
 */
import type { OnBroken } from "../Codec.ts"
import { isSkipped } from "../FrameError.ts"
import { bytesOf, type Reading, show, type Steps } from "./codecBench.ts"

/** What is wrong with the account, if anything. Bytes that are idle need be in no item. */
export const accountOf = (
  reading: Reading,
  onBroken: OnBroken,
  steps: Steps,
  isIdle: (bytes: Uint8Array) => boolean = () => false
): string | undefined => {
  const { decoder, items } = reading
  const all = bytesOf(steps)
  const isNothing = (from: number, to: number) => from === to || from < to && isIdle(all.subarray(from, to))
  /** Up to here, the items before the next one took the input. */
  let border = 0
  let given = 0

  /** One call made these items, and has given up the input up to `to`. */
  const add = (from: number, to: number): string | undefined => {
    for (let i = from; i < items.length; i++) {
      const item = items[i]
      const isLast = i === items.length - 1
      if (!isSkipped(item)) {
        if (isLast && to <= border) return `item ${i + 1}, ${show(item)}, is made of no bytes`
        continue
      }
      const end = item.offset + item.bytes
      if (onBroken === "fatal") return `item ${i + 1}, ${show(item)}, where nothing may be passed over`
      if (!(item.bytes > 0)) return `item ${i + 1}, ${show(item)}, stands for nothing`
      const isBehindFrame = i > from && !isSkipped(items[i - 1])
      const isNext = isBehindFrame ? item.offset > border : isNothing(border, item.offset)
      if (!isNext) return `item ${i + 1}, ${show(item)}, where the item before it ends at ${border}`
      if (isLast ? !isNothing(end, to) : end > to) {
        return `item ${i + 1}, ${show(item)}, where the input was taken up to ${to}`
      }
      border = end
    }
    if (items.length > from) border = to
    return undefined
  }

  for (const step of steps) {
    const before = items.length
    if (step === "pause") {
      const isGood = reading.pause()
      if (!isGood) return undefined
      const rest = decoder.rest()
      const fault = add(before, given - rest.length)
      if (fault !== undefined) return fault
      if (!reading.decode(rest)) return undefined
      continue
    }
    given += step.length
    for (let bytes: Uint8Array = step;;) {
      const had = items.length
      const isGood = reading.decode(bytes, 1)
      const rest = decoder.rest()
      const fault = add(had, given - rest.length)
      if (fault !== undefined) return fault
      if (!isGood) return undefined
      bytes = rest
      if (items.length > had) continue
      if (!reading.decode(rest, 1)) return undefined
      break
    }
  }
  const had = items.length
  const { error } = reading.finish()
  if (error !== undefined) return undefined
  const rest = decoder.rest()
  if (rest.length > 0) return `at the end, ${rest.length} bytes are left`
  return add(had, given)
}
