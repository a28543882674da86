/**
 * Laws 26 to 31: whose memory is whose, and how much work there is.
 */
import { type Decoder, type Finder, type Framing, type FramingCodec, fromFraming, type OnBroken } from "../../Codec.ts"
import type { CodecBench } from "../codecBench.ts"
import {
  bytesOf,
  bytewise,
  check,
  cutAt,
  isSameBytes,
  randomPlaces,
  Reading,
  showBytes,
  showSteps,
  type Steps
} from "../codecBench.ts"
import type { CodecLaw } from "../codecLaw.ts"
import { randomOf } from "../random.ts"
import { workOf } from "../work.ts"

export const memoryLaws: ReadonlyArray<CodecLaw> = [
  {
    number: 26,
    title: "the bytes handed in are left as they are",
    test: (bench) =>
      inPieces(bench, 26, (what, step, decode) => {
        const then = step.slice()
        const isGood = decode(step)
        check(isSameBytes(step, then), () => `${what()}: ${showBytes(then)} became ${showBytes(step)}`)
        return isGood
      })
  },
  {
    number: 27,
    title: "the bytes handed in are borrowed for the call: afterwards they may be overwritten",
    needs: ["copies"],
    test: (bench) =>
      inPieces(bench, 27, (_, step, decode) => {
        const isGood = decode(step)
        step.fill(0x2e)
        return isGood
      })
  },
  {
    number: 28,
    title: "it is all the same whether bytes are a part of larger memory, or of a class whose slice copies nothing",
    test: (bench) => {
      const { aliases } = bench.codec.decoder()
      inPieces(bench, 28, (_, step, decode) => {
        const memory = new Uint8Array(step.length + 9).fill(0x2e)
        memory.set(step, 5)
        const isGood = decode(new SlicesAreParts(memory.buffer, 5, step.length))
        if (!aliases) memory.fill(0x2f)
        return isGood
      })
    }
  },
  {
    number: 29,
    title: "a frame belongs to its receiver: to overwrite it changes nothing about later ones",
    test: (bench) => {
      const random = randomOf(29)
      for (const { name, steps } of bench.inputs()) {
        const whole = bench.make(steps)
        for (const pieces of [steps, cutAt(steps, randomPlaces(random, bytesOf(steps).length, 6))]) {
          for (const max of [1, Infinity]) {
            const reading = new Reading(bench.codec.decoder())
            const kept: Array<unknown> = []
            const keep = () => {
              for (const item of reading.items.splice(0)) kept.push(takeOver(item))
            }
            for (const step of pieces) {
              const isGood = step === "pause" ? reading.pause() : reading.decode(step.slice(), max)
              keep()
              if (!isGood) break
            }
            const { error } = reading.finish()
            keep()
            bench.checkSame(
              () => `${name}, ${showSteps(pieces)}, with frames overwritten when they were read`,
              { items: kept, error },
              whole
            )
          }
        }
      }
    }
  },
  {
    number: 30,
    title: "decoders of one codec, and its encoder, do not influence each other",
    test: (bench) => {
      const random = randomOf(30)
      const inputs = bench.inputs()
      const runs = inputs.map(({ steps }) => ({
        reading: new Reading(bench.codec.decoder()),
        steps: [...cutAt(steps, randomPlaces(random, bytesOf(steps).length, 5))]
      }))
      const frames = bench.frames(20)
      for (let left = [...runs]; left.length > 0; left = left.filter(({ steps }) => steps.length > 0)) {
        const { reading, steps } = left[random(left.length)]!
        const step = steps.shift()!
        const isGood = step === "pause" ? reading.pause() : reading.decode(step.slice())
        if (!isGood) steps.length = 0
        bench.codec.encode(frames[random(frames.length)], [])
      }
      for (const [i, { reading }] of runs.entries()) {
        const { name, steps } = inputs[i]!
        const what = () => `${name}, ${showSteps(steps)}, read while others are read`
        bench.checkSame(what, reading.finish(), bench.make(steps))
      }
    }
  },
  {
    number: 31,
    title: "the work is in proportion to the bytes, however small the pieces and however few frames are asked for",
    lowered:
      "counted are the bytes that are searched or copied with the methods of Uint8Array, decoded as text, or shown " +
      "to the finder of a framing: of what a decoder of its own looks at one by one, nothing is seen",
    test: (bench) => {
      const { limit } = bench.subject
      const many = repeated(bench)
      // Byte by byte.
      checkWork("many frames, byte by byte", bytewise([many]), bench.codec)
      if (limit !== undefined) {
        const codec = bench.codecOf(longBytes)
        const long = bench.encode(limit.frame(longBytes), codec)
        checkWork(`a frame of ${longBytes} bytes, byte by byte`, bytewise([long]), codec)
        if (bench.onBroken !== "fatal") {
          checkWork(`a frame that is too long, byte by byte`, bytewise([long]), bench.codec)
        }
      }
      // One frame at a time.
      const work = workOf(() => {
        const reading = new Reading(bench.codec.decoder())
        for (let given: Uint8Array | undefined = many, had = 0;; given = undefined, had = reading.items.length) {
          if (!reading.decode(given, 1) || reading.items.length === had) break
        }
      })
      check(
        work <= many.length * workMax,
        () => `many frames, ${many.length} bytes, taken one by one: ${work} bytes were searched or copied`
      )
    }
  }
]

/** As Node's Buffer. */
class SlicesAreParts extends Uint8Array {
  override slice(start?: number, end?: number): Uint8Array<ArrayBuffer> {
    return this.subarray(start, end) as Uint8Array<ArrayBuffer>
  }
}

/** Hands a piece in, and answers with what `decode` says. */
type Lend = (what: () => string, piece: Uint8Array, decode: (bytes: Uint8Array) => boolean) => boolean

/** All inputs, whole and in pieces that are lent; compared with what comes when nobody meddles. */
const inPieces = (bench: CodecBench, seed: number, lend: Lend): void => {
  const random = randomOf(seed)
  for (const { name, steps } of bench.inputs()) {
    const whole = bench.make(steps)
    const { length } = bytesOf(steps)
    for (const pieces of [steps, bytewise(steps), cutAt(steps, randomPlaces(random, length, 6))]) {
      const what = () => `${name}, ${showSteps(pieces)}`
      const reading = new Reading(bench.codec.decoder())
      for (const step of pieces) {
        const isGood = step === "pause"
          ? reading.pause()
          : lend(what, step.slice(), (bytes) => reading.decode(bytes))
        if (!isGood) break
      }
      bench.checkSame(what, reading.finish(), whole)
    }
  }
}

/** A copy of the frame, which is overwritten where it is bytes. */
const takeOver = (item: unknown): unknown => {
  if (!(item instanceof Uint8Array)) return item
  const copy = item.slice()
  item.fill(0x2e)
  return copy
}

const longBytes = 4096

/** How often each byte may be searched or copied: many times what is needed, and far from what grows with the length. */
const workMax = 40

/** Some thousand bytes of frames. */
const repeated = (bench: CodecBench): Uint8Array => {
  const all = bytesOf(bench.frames(80).map((frame) => bench.encode(frame)))
  return bytesOf(Array.from({ length: Math.ceil(longBytes / all.length) }, () => all))
}

const checkWork = (what: string, steps: Steps, codec: AnyCodec): void => {
  const { length } = bytesOf(steps)
  const shown = { bytes: 0 }
  const reading = new Reading(countingDecoder(codec, shown))
  const work = workOf(() => {
    reading.feed(steps)
    reading.finish()
  })
  check(work <= length * workMax, () => `${what}: of ${length} bytes, ${work} were searched or copied`)
  check(shown.bytes <= length * workMax, () => `${what}: of ${length} bytes, the finder was shown ${shown.bytes}`)
}

type AnyCodec = CodecBench["codec"]

/** A decoder; where it is that of a framing, what its finder is shown is counted. */
const countingDecoder = (codec: AnyCodec, shown: { bytes: number }): Decoder<unknown, unknown> => {
  if (!("framing" in codec && "onBroken" in codec)) return codec.decoder()
  const { framing, onBroken } = codec as FramingCodec<unknown, unknown, OnBroken>
  const finder = (): Finder => {
    const self = framing.finder()
    return {
      find: (bytes, from, searched, found) => {
        shown.bytes += bytes.length - from - searched
        self.find(bytes, from, searched, found)
      },
      ...(self.end === undefined ? {} : { end: (bytes, from, found) => self.end!(bytes, from, found) }),
      ...(self.skip === undefined ? {} : {
        skip: (bytes, from, found) => {
          shown.bytes += bytes.length - from
          self.skip!(bytes, from, found)
        }
      })
    }
  }
  const counting: Framing<unknown, unknown> = Object.create(framing, { finder: { value: finder } })
  return fromFraming(counting, { onBroken }).decoder()
}
