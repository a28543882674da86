/**
 * Laws 7 to 9: how many frames are asked for.
 */
import { bytesOf, check, cutAt, randomPlaces, Reading, showSteps, type Steps } from "../codecBench.ts"
import type { CodecBench } from "../codecBench.ts"
import type { CodecLaw } from "../codecLaw.ts"
import { randomOf } from "../random.ts"

const nothing = new Uint8Array(0)

export const steppingLaws: ReadonlyArray<CodecLaw> = [
  {
    number: 7,
    title: "decode appends at most max frames, behind what is there, and loses none of the others",
    test: (bench) =>
      inAllSteps(bench, 7, (what, steps, max) => {
        const reading = new Reading(bench.codec.decoder())
        const before = ["one", "two", "three"]
        reading.items.push(...before)
        for (const step of steps) {
          if (step === "pause") {
            if (!reading.pause()) break
            continue
          }
          const had = reading.items.length
          const isGood = reading.decode(step, max)
          const made = reading.items.length - had
          check(made >= 0 && made <= max, () => `${what()}: asked for ${max} frames, it appended ${made}`)
          if (!isGood) break
        }
        const { error, items } = reading.finish()
        check(before.every((item, i) => items[i] === item), () => `${what()}: it changed what was there before`)
        return { items: items.slice(before.length), error }
      })
  },
  {
    number: 8,
    title: "decode(undefined) goes on with what is inside: a few frames at a time make the same as all at once",
    test: (bench) =>
      inAllSteps(bench, 8, (what, steps, max) => {
        const reading = new Reading(bench.codec.decoder())
        const whole = new Reading(bench.codec.decoder())
        for (const step of steps) {
          if (step === "pause") {
            reading.pause()
            whole.pause()
          } else {
            whole.decode(step)
            drain(reading, step, max)
          }
          check(
            reading.items.length === whole.items.length,
            () => `${what()}: taken ${max} at a time, ${reading.items.length} frames came of ${whole.items.length}`
          )
          if (reading.error !== undefined) break
        }
        return reading.finish()
      })
  },
  {
    number: 9,
    title: "fewer than max frames mean that no more can be made of what is there",
    test: (bench) =>
      inAllSteps(bench, 9, (what, steps) => {
        const reading = new Reading(bench.codec.decoder())
        for (const step of steps) {
          if (!(step === "pause" ? reading.pause() : reading.decode(step))) break
          const { length } = reading.items
          for (const [name, bytes] of [["undefined", undefined], ["no bytes", nothing]] as const) {
            reading.decode(bytes)
            check(
              reading.items.length === length,
              () => `${what()}: decode with ${name} made ${reading.items.length - length} more`
            )
            check(reading.error === undefined, () => `${what()}: decode with ${name} failed`)
          }
        }
        return reading.finish()
      })
  }
]

/** Asks for `max` frames until it gives fewer. */
const drain = (reading: Reading, bytes: Uint8Array, max: number): void => {
  let before = reading.items.length
  let given: Uint8Array | undefined = bytes
  while (reading.decode(given, max) && reading.items.length - before >= max) {
    before = reading.items.length
    given = undefined
  }
}

/** All inputs, whole and in pieces, for several `max`; compared with what comes when nothing is asked of them. */
const inAllSteps = (
  bench: CodecBench,
  seed: number,
  run: (
    what: () => string,
    steps: Steps,
    max: number
  ) => { readonly items: ReadonlyArray<unknown>; readonly error: unknown }
): void => {
  const random = randomOf(seed)
  for (const { name, steps } of bench.inputs()) {
    const whole = bench.make(steps)
    const { length } = bytesOf(steps)
    for (const max of [0, 1, 2, 3, 7].slice(seed === 7 ? 0 : 1)) {
      for (const pieces of [steps, cutAt(steps, randomPlaces(random, length, 1 + random(8)))]) {
        const what = () => `${name}, ${showSteps(pieces)}, with max ${max}`
        bench.checkSame(what, run(what, pieces, max), whole)
      }
    }
  }
}
