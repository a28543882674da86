/**
 * Laws 1 to 6: the same frames, however their bytes arrive.
 */
import {
  bytesOf,
  bytewise,
  check,
  cutAt,
  places,
  randomPlaces,
  Reading,
  show,
  showSteps,
  type Steps
} from "../codecBench.ts"
import type { CodecBench } from "../codecBench.ts"
import type { CodecLaw } from "../codecLaw.ts"
import { randomOf } from "../random.ts"

export const cuttingLaws: ReadonlyArray<CodecLaw> = [
  {
    number: 1,
    title: "what was written is read back as it was: a frame alone, and many in a row",
    test: (bench) => {
      const frames = bench.frames(100)
      for (const frame of frames) {
        const { items, steps } = bench.write("a frame", [frame])
        bench.checkSame(() => `${show(frame)}, written as ${showSteps(steps)}`, bench.make(steps), {
          items,
          error: undefined
        })
      }
      const { items, steps } = bench.write("all frames", frames)
      bench.checkSame(() => "a hundred frames in a row", bench.make(steps), { items, error: undefined })
    }
  },
  {
    number: 2,
    title: "byte by byte, input makes the same frames and the same error as whole",
    test: (bench) => {
      for (const { name, steps } of bench.inputs()) {
        bench.checkSame(
          () => `${name}, ${showSteps(steps)}, byte by byte`,
          bench.make(bytewise(steps)),
          bench.make(steps)
        )
      }
    }
  },
  {
    number: 3,
    title: "cut in two at any place, input makes the same frames and the same error as whole",
    test: (bench) => {
      for (const { name, steps } of bench.inputs()) {
        const whole = bench.make(steps)
        for (const place of places(bytesOf(steps).length)) {
          bench.checkSame(
            () => `${name}, ${showSteps(steps)}, cut at ${place}`,
            bench.make(cutAt(steps, [place])),
            whole
          )
        }
      }
    }
  },
  {
    number: 4,
    title: "in any pieces, some of them empty, input makes the same frames and the same error as whole",
    test: (bench) => {
      const random = randomOf(4)
      for (const { name, steps } of bench.inputs()) {
        const whole = bench.make(steps)
        const { length } = bytesOf(steps)
        for (let run = 0; run < 20; run++) {
          const pieces = cutAt(steps, randomPlaces(random, length, 2 + random(length)))
          bench.checkSame(() => `${name} in pieces, ${showSteps(pieces)}`, bench.make(pieces), whole)
        }
      }
    }
  },
  {
    number: 5,
    title: "what follows a frame changes nothing about the frames before it",
    test: (bench) => {
      const noise = bench.inputs()
      const [, sound] = bench.written()
      for (const border of [0, 2, sound!.borders.length]) {
        const before = bench.written()[1]!
        const items = before.items.slice(0, border)
        const start = stepsUpTo(bench, before.steps, before.borders, border)
        for (const { name, steps } of noise) {
          const all: Steps = bench.isTimed ? [...start, ...steps] : [bytesOf([...start, ...steps])]
          const reading = new Reading(bench.codec.decoder())
          reading.feed(all)
          const what = () => `${border} frames with ${name} behind them, ${showSteps(all)}`
          check(reading.items.length >= border, () => `${what()}: only ${reading.items.length} of them came`)
          bench.checkItems(what, reading.items.slice(0, border), items)
        }
      }
    }
  },
  {
    number: 6,
    title: "a frame comes out as soon as its last byte is there, or its time has passed, and not before",
    test: (bench) => {
      for (const { borders, bytes, items } of bench.written()) {
        const reading = new Reading(bench.codec.decoder())
        let from = 0
        for (const [i, border] of borders.entries()) {
          const what = () => `frame ${i + 1}, ${show(items[i])},`
          if (border - from > 1) reading.decode(bytes.subarray(from, border - 1))
          check(reading.items.length === i, () => `${what()} came out before its last byte was there`)
          reading.feed([bytes.subarray(Math.max(from, border - 1), border), "pause"])
          check(reading.items.length > i, () => `${what()} did not come out when its last byte was there`)
          bench.checkItems(() => "read as they came", reading.items, items.slice(0, i + 1))
          from = border
        }
      }
    }
  }
]

const stepsUpTo = (bench: CodecBench, steps: Steps, borders: ReadonlyArray<number>, count: number): Steps =>
  bench.isTimed ? steps.slice(0, 2 * count) : [bytesOf(steps).subarray(0, count === 0 ? 0 : borders[count - 1])]
