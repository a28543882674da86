/**
 * Laws 17 to 19: how long frames may be, and how much is kept.
 */
import { DecodeError, isSkipped } from "../../FrameError.ts"
import type { CodecBench } from "../codecBench.ts"
import { bytewise, check, cutAt, noiseOf, places, randomPlaces, Reading, show, showError } from "../codecBench.ts"
import type { CodecLaw, Limit } from "../codecLaw.ts"
import { randomOf } from "../random.ts"

export const limitLaws: ReadonlyArray<CodecLaw> = [
  {
    number: 17,
    title: "a frame as long as the limit is written, and read, however it is cut",
    needs: ["limit"],
    test: (bench) => {
      const { bytes, frame } = limitOf(bench)
      const { borders, items, steps } = bench.write("a frame at the limit", [frame(bytes), frame(bytes)])
      const whole = { items, error: undefined }
      bench.checkSame(() => `two frames of ${bytes} bytes, in one piece,`, bench.make(steps), whole)
      bench.checkSame(() => `two frames of ${bytes} bytes, byte by byte,`, bench.make(bytewise(steps)), whole)
      for (const place of places(borders[1]!)) {
        bench.checkSame(
          () => `two frames of ${bytes} bytes, cut at ${place},`,
          bench.make(cutAt(steps, [place])),
          whole
        )
      }
    }
  },
  {
    number: 18,
    title: "a frame longer than the limit is refused where it is written, and is too long where it is read",
    needs: ["limit"],
    test: (bench) => {
      const { bytes, frame } = limitOf(bench)
      for (const more of [1, 2, 3, bytes, 100 * bytes]) {
        const what = () => `a frame of ${bytes + more} bytes, where the limit is ${bytes},`
        const long = frame(bytes + more)
        check(bench.codec.encode(long, []) !== undefined, () => `${what()} is written`)
        const [piece] = bench.frames(1).map((frame) => bench.encode(frame))
        const wire = bench.encode(long, bench.codecOf(bytes + more))
        for (const input of [[wire], [piece!, "pause" as const, wire]]) {
          const { length } = input
          for (
            const steps of [input, cutAt(input, [wire.length >> 1]), length === 1 && more < 4 ? bytewise(input) : []]
          ) {
            if (steps.length === 0) continue
            const { error, items } = bench.make([...steps, "pause"])
            const before = length === 1 ? 0 : 1
            const faults = items.slice(before)
            if (bench.onBroken === "fatal") {
              check(faults.length === 0, () => `${what()} is read as ${show(faults[0])}`)
              check(error !== undefined, () => `${what()} is read without an error`)
              if (!(error instanceof DecodeError)) continue
              check(error.reason._tag === "TooLong", () => `${what()} is ${showError(error)} where it is read`)
            } else {
              const [first] = faults
              check(isSkipped(first), () => `${what()} is read as ${show(first)}`)
              if (!isSkipped(first)) continue
              check(first.reason._tag === "TooLong", () => `${what()} is read as ${show(first)}`)
            }
          }
        }
      }
    }
  },
  {
    number: 19,
    title: "a decoder that can make no more frames keeps no more than one frame, whatever its input",
    lowered: "what is kept is what rest gives up: memory that a decoder holds beside it is not seen",
    needs: ["limit"],
    test: (bench) => {
      const { bytes, frame, overhead = 16 } = limitOf(bench)
      const random = randomOf(19)
      const most = bytes + overhead
      const long = bench.encode(frame(20 * bytes), bench.codecOf(20 * bytes))
      const pool = bench.written().map(({ bytes }) => bytes)
      const noise = Array.from({ length: 20 }, () => noiseOf(random, { isTimed: bench.isTimed, pool }, 4 * most))
      for (const input of [[long], [long.subarray(0, long.length - 1)], [long, ...pool, long], ...noise]) {
        const length = input.reduce((sum, step) => step === "pause" ? sum : sum + step.length, 0)
        for (const steps of [input, bytewise(input), cutAt(input, randomPlaces(random, length, 10))]) {
          const reading = new Reading(bench.codec.decoder())
          for (const step of steps) {
            if (!(step === "pause" ? reading.pause() : reading.decode(step))) break
            const rest = reading.decoder.rest()
            check(
              rest.length <= most,
              () => `it keeps ${rest.length} bytes, where a frame has ${bytes} bytes at the most and takes ${most}`
            )
            if (!reading.decode(rest)) break
          }
        }
      }
    }
  }
]

const limitOf = (bench: CodecBench): Limit<unknown> => bench.subject.limit!
