/**
 * Random input of any amount, held against what is true of every decoder whatever it is given.
 *
 * One case is one stream of input, made of a seed alone, so that a case that fails can be run again by itself.
 */
import { accountOf } from "./codecAccount.ts"
import {
  bytesOf,
  check,
  type CodecBench,
  cutAt,
  makeCodecBench,
  noiseOf,
  type NoiseSource,
  Reading,
  showSteps,
  type Steps
} from "./codecBench.ts"
import { type AnySubject, modesOf } from "./codecLaw.ts"
import { randomOf } from "./random.ts"

/** Random input for one subject. */
export interface Fuzz {
  /** Runs one case, and answers with how many bytes were read; throws `LawBroken`. */
  readonly run: (seed: number) => number
}

/** The seed of one case, of that of all of them. */
export const fuzzSeed = (seed: number, name: string, index: number): number => {
  let hash = seed ^ 0x9e3779b9
  for (const part of `${name} ${index}`) hash = Math.imul(hash ^ part.codePointAt(0)!, 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b)
  return (hash ^ (hash >>> 13)) >>> 0
}

export const makeFuzz = (subject: AnySubject): Fuzz => {
  const benches = modesOf(subject).map((mode) => makeCodecBench(subject, mode))
  const [first] = benches
  const written = first!.frames(200).map((frame) => first!.encode(frame))
  const { limit } = subject
  const pool = limit === undefined ? written : [...written, first!.encode(limit.frame(limit.bytes))]
  if (limit !== undefined) {
    for (const bytes of [limit.bytes + 1, 3 * limit.bytes]) {
      pool.push(first!.encode(limit.frame(bytes), first!.codecOf(bytes)))
    }
  }
  const source: NoiseSource = { isTimed: first!.isTimed, pool }
  return {
    run: (seed) => {
      const random = randomOf(seed)
      const bench = benches[random(benches.length)]!
      const bytes = 1 + random(2 ** (4 + random(9)))
      const steps = noiseOf(random, source, bytes)
      readTwice(bench, random, steps)
      return bytesOf(steps).length
    }
  }
}

const readTwice = (bench: CodecBench, random: (below: number) => number, steps: Steps): void => {
  const { length } = bytesOf(steps)
  const one = whole(bench, steps)
  const pieces = cutAnyhow(random, steps, length)
  const what = () => `onBroken ${bench.onBroken}, ${showSteps(steps)}`
  // Nobody makes more frames than there are bytes, but for one at the end.
  check(one.items.length <= length + 1, () => `${what()}: ${one.items.length} frames of ${length} bytes`)
  switch (random(4)) {
    case 0: {
      const reading = new Reading(bench.codec.decoder())
      const fault = accountOf(reading, bench.onBroken, pieces, bench.subject.isIdle)
      check(fault === undefined, () => `${what()}, cut anyhow: ${fault}`)
      bench.checkSame(() => `${what()}, taken one by one`, { items: reading.items, error: reading.error }, one)
      break
    }
    default:
      bench.checkSame(() => `${what()}, cut anyhow`, anyhow(bench, random, pieces, what), one)
  }
}

const whole = (bench: CodecBench, steps: Steps) => {
  const reading = new Reading(bench.codec.decoder())
  reading.feed(steps)
  return reading.finish()
}

const cutAnyhow = (random: (below: number) => number, steps: Steps, length: number): Steps => {
  const places: Array<number> = []
  const most = 2 ** random(10)
  for (let at = random(most); at <= length; at += random(most)) {
    places.push(at)
    if (random(16) === 0) at += 1
    else if (most === 1) at += 1
  }
  return cutAt(steps, places)
}

/** Few frames at a time, bytes that are overwritten afterwards, rests that are taken and given back, new decoders that go on. */
const anyhow = (
  bench: CodecBench,
  random: (below: number) => number,
  steps: Steps,
  what: () => string
) => {
  let reading = new Reading(bench.codec.decoder())
  const { limit } = bench.subject
  const most = limit === undefined ? Infinity : limit.bytes + (limit.overhead ?? 16)
  const { aliases } = reading.decoder
  for (const step of steps) {
    if (step === "pause") {
      if (!reading.pause()) break
      continue
    }
    const lent = aliases ? step : step.slice()
    const max = random(4) === 0 ? 1 + random(3) : Infinity
    let had = reading.items.length
    let isGood = reading.decode(lent, max)
    if (!aliases) lent.fill(random(256))
    while (isGood && reading.items.length - had >= max) {
      had = reading.items.length
      isGood = reading.decode(undefined, max)
    }
    if (!isGood) break
    if (random(4) > 0) continue
    const isMarked = random(2) === 0 && reading.decoder.mark !== undefined
    const next = isMarked ? bench.codec.decoder(reading.decoder.mark!()) : undefined
    const rest = reading.decoder.rest()
    check(
      rest.length <= most,
      () => `${what()}: ${rest.length} bytes are kept, where a frame takes ${most} at the most`
    )
    if (next !== undefined) {
      const { items, nowMs } = reading
      reading = new Reading(next)
      reading.items.push(...items)
      reading.nowMs = nowMs
    }
    if (!reading.decode(rest)) break
  }
  return reading.finish()
}
