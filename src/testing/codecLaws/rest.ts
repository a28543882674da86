/**
 * Laws 10 to 13: what is inside a decoder, and where it stands.
 */
import {
  bytesOf,
  check,
  cutAt,
  isSameBytes,
  places,
  randomPlaces,
  Reading,
  showBytes,
  showError,
  showSteps,
  take
} from "../codecBench.ts"
import type { CodecLaw } from "../codecLaw.ts"
import { randomOf } from "../random.ts"

export const restLaws: ReadonlyArray<CodecLaw> = [
  {
    number: 10,
    title: "rest gives up exactly the bytes that are in no frame handed out; what comes then begins a frame",
    test: (bench) => {
      const isIdle = bench.subject.isIdle ?? (() => false)
      const next = bench.write("one more", [bench.frames(1)[0]])
      for (const { borders, bytes, items, name, steps } of bench.written()) {
        for (const place of places(bytes.length)) {
          for (const max of bench.isTimed ? [Infinity] : [0, 1, 2, Infinity]) {
            const reading = new Reading(bench.codec.decoder())
            for (const step of take(steps, place)) {
              if (step === "pause") reading.pause()
              else reading.decode(step, max)
            }
            const what = () => `${place} bytes of ${name}, ${showSteps(steps)}, with max ${max}`
            bench.checkItems(what, reading.items, items.slice(0, reading.items.length))
            const border = borders[reading.items.length - 1] ?? 0
            const rest = reading.decoder.rest()
            const begin = place - rest.length
            // What stands for nothing may be gone, and what stands for nothing behind a frame may be there.
            const between = bytes.subarray(Math.min(border, begin), Math.max(border, begin))
            check(
              isSameBytes(rest, bytes.subarray(begin, place)) && (between.length === 0 || isIdle(between)),
              () =>
                `${what()}, after ${reading.items.length} frames: the rest is ${showBytes(rest)}, where ${
                  showBytes(bytes.subarray(border, place))
                } is due`
            )
            const again = reading.decoder.rest()
            check(again.length === 0, () => `${what()}: a second rest is ${showBytes(again)}`)
            reading.items.length = 0
            reading.feed([next.bytes, "pause"])
            bench.checkItems(() => `${what()}, and ${showBytes(next.bytes)} after rest`, reading.items, next.items)
          }
        }
      }
      for (const { name, steps } of bench.inputs()) {
        const all = bytesOf(steps)
        for (const place of places(all.length)) {
          const reading = new Reading(bench.codec.decoder())
          reading.feed(take(steps, place))
          const rest = reading.decoder.rest()
          check(
            rest.length <= reading.fed && isSameBytes(rest, all.subarray(reading.fed - rest.length, reading.fed)),
            () =>
              `${reading.fed} bytes of ${name}, ${showSteps(steps)}: the rest, ${
                showBytes(rest)
              }, is not what came last`
          )
        }
      }
    }
  },
  {
    number: 11,
    title: "to decode the rest again changes nothing",
    test: (bench) => {
      const random = randomOf(11)
      for (const { name, steps } of bench.inputs()) {
        const whole = bench.make(steps)
        const { length } = bytesOf(steps)
        const ways = [...places(length, 40).map((place) => [place]), randomPlaces(random, length, 20)]
        for (const way of ways) {
          for (const max of [1, Infinity]) {
            const reading = new Reading(bench.codec.decoder())
            for (const step of cutAt(steps, way)) {
              if (!(step === "pause" ? reading.pause() : reading.decode(step, max))) break
              if (!reading.decode(reading.decoder.rest(), max)) break
            }
            bench.checkSame(
              () => `${name}, ${showSteps(steps)}, with rest taken and given back at ${way}, max ${max}`,
              reading.finish(),
              whole
            )
          }
        }
      }
    }
  },
  {
    number: 12,
    title: "what rest gave belongs to the caller: it stays as it is, and may be overwritten",
    test: (bench) => {
      for (const { name, steps } of bench.inputs()) {
        const all = bytesOf(steps)
        for (const place of places(all.length, 40)) {
          const what = () => `${name}, ${showSteps(steps)}: the rest after ${place} bytes`
          const reading = new Reading(bench.codec.decoder())
          if (!reading.feed(take(steps, place))) continue
          const rest = reading.decoder.rest()
          const then = rest.slice()
          reading.decode(then.slice())
          reading.decode(all.slice(place))
          check(isSameBytes(rest, then), () => `${what()} was ${showBytes(then)} and became ${showBytes(rest)}`)
          if (reading.decoder.aliases) continue
          const next = (isOverwritten: boolean) => {
            const other = new Reading(bench.codec.decoder())
            other.feed(take(steps, place))
            const given = other.decoder.rest()
            if (isOverwritten) given.fill(0x2e)
            other.decode(then.slice())
            other.decode(all.slice(place))
            return other.finish()
          }
          bench.checkSame(() => `${what()} was overwritten`, next(true), next(false))
        }
      }
    }
  },
  {
    number: 13,
    title:
      "a new decoder, made of a mark where there is one, makes of the rest and of what follows what the old one makes",
    test: (bench) => {
      for (const { name, steps } of bench.inputs()) {
        const all = bytesOf(steps)
        for (const place of places(all.length, 40)) {
          const old = new Reading(bench.codec.decoder())
          if (!old.feed(take(steps, place))) continue
          const isMarked = old.decoder.mark !== undefined
          // Without a mark, a decoder that is passing something over has a past.
          if (!isMarked && bench.onBroken !== "fatal") continue
          const mark = old.decoder.mark?.()
          const rest = old.decoder.rest()
          const next = new Reading(bench.codec.decoder(mark))
          next.nowMs = old.nowMs
          old.items.length = 0
          for (const reading of [old, next]) {
            if (reading.decode(rest.slice())) reading.decode(all.slice(place))
          }
          const [one, other] = [next.finish(), old.finish()]
          const what = () =>
            `${name}, ${showSteps(steps)}: a new decoder${isMarked ? " made of a mark" : ""} after ${place} bytes`
          bench.checkItems(what, one.items, other.items)
          // A new decoder cannot know how many bytes came before.
          if (isMarked) bench.checkSame(what, one, other)
          const isSameEnd = (one.error === undefined) === (other.error === undefined)
          check(isSameEnd, () => `${what()}: the error is ${showError(one.error)}, and not ${showError(other.error)}`)
        }
      }
    }
  }
]
