/**
 * Laws 20 to 25: input that is not sound, and the end of input.
 */
import type { DecodeReason } from "../../FrameError.ts"
import { isSkipped } from "../../FrameError.ts"
import { accountOf } from "../codecAccount.ts"
import type { CodecBench, Made } from "../codecBench.ts"
import {
  broken,
  bytesOf,
  bytewise,
  check,
  cutAt,
  places,
  randomPlaces,
  Reading,
  show,
  showBytes,
  showError,
  showSteps,
  type Steps,
  take
} from "../codecBench.ts"
import type { CodecLaw, Outcome, PassedOver } from "../codecLaw.ts"
import { randomOf } from "../random.ts"

export const errorLaws: ReadonlyArray<CodecLaw> = [
  {
    number: 20,
    title:
      "an error is final: whatever is asked for later, the answer is the same error and no frame, and no more is kept",
    test: (bench) => {
      for (const { name, steps } of bench.inputs()) {
        const reading = new Reading(bench.codec.decoder())
        reading.feed(steps)
        const { error } = reading.finish()
        if (error === undefined) continue
        const { decoder, items } = reading
        const { length } = items
        const sound = bench.written().map(({ bytes }) => bytes)
        const much = bytesOf(Array.from({ length: 1 + Math.ceil(reading.fed / sound[1]!.length) }, () => sound[1]!))
        const later: Array<readonly [string, () => unknown]> = [
          ["decode with sound bytes", () => decoder.decode(much, items, Infinity)],
          ["decode with undefined", () => decoder.decode(undefined, items, Infinity)],
          ["end", () => decoder.end(items)],
          ["decode after rest", () => {
            const { length } = decoder.rest()
            check(
              length <= reading.fed,
              () => `${name}, ${showSteps(steps)}: after the error, ${length} bytes are kept of ${reading.fed}`
            )
            return decoder.decode(sound[2], items, 1)
          }],
          ["end after rest", () => decoder.end(items)]
        ]
        for (const [asked, ask] of later) {
          const answer = ask()
          check(
            answer === error,
            () => `${name}, ${showSteps(steps)}, fails with ${showError(error)}; ${asked} answers ${showError(answer)}`
          )
          check(items.length === length, () => `${name}, ${showSteps(steps)}: after the error, ${asked} gives frames`)
        }
      }
    }
  },
  {
    number: 21,
    title: "an error says where the frame at fault begins, which is where the rest begins, and why",
    needs: ["fatal", "offsets"],
    test: (bench) => {
      for (const { name, steps } of bench.inputs()) {
        const random = randomOf(21)
        const { length } = bytesOf(steps)
        for (const pieces of [steps, bytewise(steps), cutAt(steps, randomPlaces(random, length, 4))]) {
          const reading = new Reading(bench.codec.decoder())
          reading.feed(pieces)
          const { error, items } = reading.finish()
          if (error === undefined) continue
          const what = () => `${name}, ${showSteps(pieces)}, fails with ${showError(error)}`
          const { offset, reason } = placeOf(error) ??
            broken(`${what()}, which has no offset, or no reason of the list`)
          const begins = reading.fed - reading.decoder.rest().length
          check(offset === begins, () => `${what()}; it says ${offset}, and the rest begins at ${begins}`)
          check(reason.length > 0, () => `${what()}, which gives no reason`)
          if (bench.isTimed) continue
          // What stands before it is whole frames, and nothing else.
          const before = bench.make([bytesOf(steps).subarray(0, offset)])
          bench.checkSame(() => `${what()}; what comes before it`, before, { items, error: undefined })
        }
      }
    }
  },
  {
    number: 22,
    title: "input that is broken makes the frames, and the error or what is passed over, that it should",
    needs: ["broken"],
    test: (bench) => {
      const random = randomOf(22)
      for (const sample of bench.subject.broken ?? []) {
        const expected = sample[bench.onBroken]
        if (expected === undefined) continue
        const { input, isOpen = false, name } = sample
        const ways = [
          [input],
          bytewise([input]),
          ...places(input.length).map((place) => cutAt([input], [place])),
          cutAt([input], randomPlaces(random, input.length, 8))
        ]
        for (const steps of ways) {
          const reading = new Reading(bench.codec.decoder())
          reading.feed(steps)
          const made = isOpen ? { items: reading.items, error: reading.error } : reading.finish()
          checkOutcome(bench, () => `${name}, ${showSteps(steps)}`, made, expected)
        }
      }
    }
  },
  {
    number: 23,
    title: "frames and what is passed over take each byte of the input, once and in order",
    test: (bench) => {
      const random = randomOf(23)
      for (const { name, steps } of bench.inputs()) {
        const { length } = bytesOf(steps)
        for (const pieces of [steps, bytewise(steps), cutAt(steps, randomPlaces(random, length, 4))]) {
          const fault = accountOf(new Reading(bench.codec.decoder()), bench.onBroken, pieces, bench.subject.isIdle)
          if (fault !== undefined) broken(`${name}, ${showSteps(pieces)}: ${fault}`)
        }
      }
    }
  },
  {
    number: 24,
    title: "after what was passed over, all good frames come out",
    needs: ["skipping", "broken"],
    test: (bench) => {
      const random = randomOf(24)
      for (const sample of bench.subject.broken ?? []) {
        const outcome = sample[bench.onBroken]
        const last = outcome?.items.at(-1)
        // Where the last of it is a frame, what was broken is over.
        if (last === undefined || "skipped" in last || outcome?.error !== undefined) continue
        const { bytes, items } = bench.written()[1]!
        for (const count of [1, 2, 5]) {
          const input: Steps = [sample.input, ...Array.from({ length: count }, () => bytes)]
          const all = bytesOf(input)
          for (const steps of [[all], bytewise([all]), cutAt([all], randomPlaces(random, all.length, 6))]) {
            const made = bench.make(steps)
            const due = Array.from({ length: count }, () => items).flat()
            const what = () => `good frames behind ${sample.name}, ${showSteps(steps)},`
            check(made.error === undefined, () => `${what()} end with ${showError(made.error)}`)
            bench.checkItems(what, made.items.slice(outcome!.items.length), due)
          }
        }
      }
    }
  },
  {
    number: 25,
    title: "input that ends behind a frame ends well; one that ends inside a frame does not pass unseen",
    test: (bench) => {
      const { isIdle = () => false, tail = "error" } = bench.subject
      bench.checkSame(() => "no input", bench.make([]), { items: [], error: undefined })
      for (const { borders, bytes, items, name, steps } of bench.written()) {
        for (let place = 0; place <= bytes.length; place++) {
          const count = borders.filter((border) => border <= place).length
          const border = borders[count - 1] ?? 0
          const begun = bytes.subarray(border, place)
          const reading = new Reading(bench.codec.decoder())
          reading.feed(take(steps, place))
          const what = () => `${place} bytes of ${name}, ${showSteps(steps)}, and the end`
          const { error } = reading.finish()
          bench.checkItems(what, reading.items.slice(0, count), items.slice(0, count))
          const more = reading.items.slice(count)
          const isQuiet = error === undefined && more.length === 0
          if (begun.length === 0) {
            check(isQuiet, () => `${what()}: behind a frame, ${showMore(more, error)} is made of nothing`)
          } else if (!isIdle(begun)) {
            check(!isQuiet, () => `${what()}: nobody is told of ${showBytes(begun)}`)
            const isTold = tail === "frame" || error !== undefined || more.some(isSkipped) ||
              bench.isSame(more[0], items[count])
            check(isTold, () => `${what()}: ${showBytes(begun)} is cut short, and read as ${showMore(more, error)}`)
          }
          if (error !== undefined) continue
          const { length } = reading.items
          check(reading.decoder.end(reading.items) === undefined, () => `${what()}: a second end fails`)
          check(reading.items.length === length, () => `${what()}: a second end gives frames`)
          const rest = reading.decoder.rest()
          check(rest.length === 0, () => `${what()}: after it, the rest is ${showBytes(rest)}`)
        }
      }
    }
  }
]

/** Where an error says that the frame at fault begins, and why it is one. */
const placeOf = (error: unknown): { readonly offset: number; readonly reason: string } | undefined => {
  const { offset, reason } = error as { readonly offset?: unknown; readonly reason?: { readonly _tag?: unknown } }
  if (typeof offset !== "number" || typeof reason !== "object" || typeof reason?._tag !== "string") return undefined
  return reasons.has(reason._tag) ? { offset, reason: reason._tag } : undefined
}

const reasons: ReadonlySet<string> = new Set<DecodeReason["_tag"]>([
  "TooLong",
  "CutShort",
  "Malformed",
  "ChecksumMismatch",
  "NotUtf8",
  "Invalid"
])

const checkOutcome = (bench: CodecBench, what: () => string, made: Made, expected: Outcome<unknown>): void => {
  for (const [i, due] of expected.items.entries()) {
    const item = made.items[i]
    const isDue = "skipped" in due
      ? isSkipped(item) && item.offset === due.skipped.offset && item.bytes === due.skipped.bytes &&
        item.reason._tag === due.skipped.reason
      : !isSkipped(item) && bench.isSame(item, due.frame)
    const shown = "skipped" in due ? showPassedOver(due.skipped) : show(due.frame)
    check(
      isDue,
      () => `${what()}: item ${i + 1} is ${i < made.items.length ? show(item) : "missing"}, and not ${shown}`
    )
  }
  const more = made.items.slice(expected.items.length)
  check(more.length === 0, () => `${what()}: ${showMore(more, undefined)} is made in addition`)
  check(
    (made.error === undefined) === (expected.error === undefined),
    () => `${what()}: the error is ${showError(made.error)}, and not ${expected.error?.reason ?? "none"}`
  )
  const place = placeOf(made.error ?? {})
  if (expected.error === undefined || place === undefined) return
  const { offset, reason } = expected.error
  check(
    place.offset === offset && place.reason === reason,
    () => `${what()}: the error is ${place.reason} at ${place.offset}, and not ${reason} at ${offset}`
  )
}

const showPassedOver = ({ bytes, offset, reason }: PassedOver): string =>
  `${bytes} skipped bytes from ${offset} on, for ${reason}`

const showMore = (items: ReadonlyArray<unknown>, error: unknown): string =>
  [...items.map(show), ...(error === undefined ? [] : [showError(error)])].join(", ")
