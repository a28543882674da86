/**
 * What the laws of codecs are made with: frames and input, ways to cut it, and a decoder that is asked as a connection asks
 * it.
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Formatter from "effect/Formatter"
import * as Result from "effect/Result"
import type { Codec, Decoder, OnBroken } from "../Codec.ts"
import { DecodeError, isSkipped } from "../FrameError.ts"
import { concat } from "../internal/bytes.ts"
import type { AnySubject } from "./codecLaw.ts"
import { LawBroken } from "./law.ts"
import { randomOf } from "./random.ts"

/** Input in pieces; where time ends frames, with pauses between them. */
export type Steps = ReadonlyArray<Uint8Array | "pause">

/** Frames as they are written. */
interface Written {
  readonly name: string
  /** What they are read as. */
  readonly items: ReadonlyArray<unknown>
  readonly steps: Steps
  readonly bytes: Uint8Array
  /** How many bytes the frames take up to the end of each. */
  readonly borders: ReadonlyArray<number>
}

/** Any input, sound or not. */
interface Input {
  readonly name: string
  readonly steps: Steps
}

/** What a decoder made. `error` is undefined where there is none. */
export interface Made {
  readonly items: ReadonlyArray<unknown>
  readonly error: unknown
}

type AnyCodec = Codec<unknown, unknown, unknown, unknown>

/** Everything that a law needs, for one subject in one of its modes. */
export interface CodecBench {
  readonly subject: AnySubject
  readonly onBroken: OnBroken
  readonly codec: AnyCodec
  /** The codec with another limit. */
  readonly codecOf: (bytesMax: number) => AnyCodec
  /** Whether time ends frames. */
  readonly isTimed: boolean
  /** Frames that can be written, each time the same ones, newly made. */
  readonly frames: (count: number) => ReadonlyArray<unknown>
  readonly readAs: (frame: unknown) => unknown
  readonly isSame: (one: unknown, other: unknown) => boolean
  /** The bytes of one frame; the law is broken where it is refused. */
  readonly encode: (frame: unknown, codec?: AnyCodec) => Uint8Array
  readonly write: (name: string, frames: ReadonlyArray<unknown>) => Written
  /** Short runs of short frames: their bytes can be cut everywhere. */
  readonly written: () => ReadonlyArray<Written>
  /** Those, some cut short, what the subject says is broken, and noise. */
  readonly inputs: () => ReadonlyArray<Input>
  /** What a new decoder makes of it, and of its end. */
  readonly make: (steps: Steps) => Made
  /** Breaks the law unless both made the same. */
  readonly checkSame: (what: () => string, made: Made, expected: Made) => void
  /** Breaks the law unless these are the items, one by one. */
  readonly checkItems: (what: () => string, items: ReadonlyArray<unknown>, expected: ReadonlyArray<unknown>) => void
}

export const broken = (detail: string): never => {
  throw new LawBroken({ detail })
}

export const check = (isGood: boolean, detail: () => string): void => {
  if (!isGood) broken(detail())
}

export const makeCodecBench = (subject: AnySubject, onBroken: OnBroken): CodecBench => {
  const codec: AnyCodec = subject.codec({ onBroken, bytesMax: subject.limit?.bytes })
  const isTimed = codec.decoder().due !== undefined
  const readAs = subject.readAs ?? ((frame: unknown) => frame)
  const isSameFrame = subject.isSame ?? isAlike
  const isSame = (one: unknown, other: unknown) =>
    isSkipped(one) || isSkipped(other) ? isSameSkipped(one, other) : isSameFrame(one, other)

  const frames = (count: number) => sample(subject.frames, count, "frames")

  const encode: CodecBench["encode"] = (frame, asked = codec) => {
    const out: Array<Uint8Array> = []
    const error = asked.encode(frame, out)
    return error === undefined ? concat(out) : broken(`${show(frame)} is refused: ${showError(error)}`)
  }

  const write: CodecBench["write"] = (name, frames) => {
    const pieces = frames.map((frame) => encode(frame))
    let at = 0
    return {
      name,
      items: frames.map(readAs),
      steps: isTimed ? pieces.flatMap((piece) => [piece, "pause" as const]) : [concat(pieces)],
      bytes: concat(pieces),
      borders: pieces.map((piece) => at += piece.length)
    }
  }

  const written: CodecBench["written"] = () => {
    const bytes = (frame: unknown) => encode(frame).length
    const all = frames(80)
    const isShort = all.map(bytes).map((bytes) => bytes <= 24)
    const short = all.filter((_, i) => isShort[i])
    const few = short.length >= 12 ? short : all.toSorted((one, other) => bytes(one) - bytes(other)).slice(0, 12)
    return [
      write("one frame", few.slice(0, 1)),
      write("five frames", few.slice(1, 6)),
      write("six frames", few.slice(6, 12))
    ]
  }

  const inputs: CodecBench["inputs"] = () => {
    const sound = written()
    const random = randomOf(1)
    const makes = { isTimed, pool: sound.map(({ bytes }) => bytes) }
    const cut = sound.slice(1).map(({ bytes, name, steps }) => ({
      name: `${name}, cut short`,
      steps: take(steps, bytes.length - 1 - random(Math.min(3, bytes.length)))
    }))
    const samples = (subject.broken ?? []).map(({ input, name }) => ({ name, steps: [input.slice()] }))
    const noise = Array.from({ length: 8 }, (_, i) => ({ name: `noise ${i + 1}`, steps: noiseOf(random, makes, 60) }))
    return [...sound, ...cut, ...samples, ...noise]
  }

  const make: CodecBench["make"] = (steps) => {
    const reading = new Reading(codec.decoder())
    reading.feed(steps)
    return reading.finish()
  }

  const checkItems: CodecBench["checkItems"] = (what, items, expected) => {
    const differs = expected.findIndex((item, i) => i >= items.length || !isSame(items[i], item))
    const at = differs >= 0 ? differs : items.length > expected.length ? expected.length : undefined
    if (at === undefined) return
    const seen = at < items.length ? show(items[at]) : "nothing"
    const right = at < expected.length ? show(expected[at]) : "nothing"
    broken(`${what()}: item ${at + 1} is ${seen}, where ${right} is due`)
  }

  const checkSame: CodecBench["checkSame"] = (what, made, expected) => {
    checkItems(what, made.items, expected.items)
    check(
      showError(made.error) === showError(expected.error),
      () => `${what()}: the error is ${showError(made.error)}, where ${showError(expected.error)} is due`
    )
  }

  return {
    subject,
    onBroken,
    codec,
    codecOf: (bytesMax) => subject.codec({ onBroken, bytesMax }),
    isTimed,
    frames,
    readAs,
    isSame,
    encode,
    write,
    written,
    inputs,
    make,
    checkItems,
    checkSame
  }
}

/** Always the same values, newly made. */
export const sample = (arbitrary: Arbitrary.Arbitrary<unknown>, count: number, what: string) =>
  Result.getOrElse(
    Effect.runSync(Effect.result(Arbitrary.sampleEffect(arbitrary, { count, size: 10, seed: 1, maxDiscards: 10_000 }))),
    ({ discards, generated }) =>
      broken(`of ${count} ${what}, ${generated} could be made, and ${discards} were discarded`)
  )

// ---------------------------------------------------------------------------------------------------------------------
// Decoders
// ---------------------------------------------------------------------------------------------------------------------

/** One decoder, asked as a connection asks it, with a clock of its own. */
export class Reading {
  readonly decoder: Decoder<unknown, unknown>
  readonly items: Array<unknown> = []
  error: unknown = undefined
  /** How many bytes it was given. */
  fed = 0
  nowMs = 1000

  constructor(decoder: Decoder<unknown, unknown>) {
    this.decoder = decoder
  }

  /** False when it has failed. */
  decode(bytes: Uint8Array | undefined, max = Infinity): boolean {
    this.fed += bytes?.length ?? 0
    this.decoder.due?.(this.nowMs, this.items)
    this.error = this.decoder.decode(bytes, this.items, max)
    this.decoder.due?.(this.nowMs, this.items)
    return this.error === undefined
  }

  /** So much time passes that every frame that time can end has ended. */
  pause(): boolean {
    const { decoder } = this
    if (decoder.due === undefined) return this.error === undefined
    for (let asked = 0, at = decoder.due(this.nowMs, this.items); at !== undefined; asked++) {
      check(at > this.nowMs && asked < 1000, () => `at ${this.nowMs} ms it wants to be asked again at ${at} ms`)
      this.nowMs = at
      at = decoder.due(at, this.items)
    }
    return this.decode(undefined)
  }

  /** Hands copies in, in memory of their own. False when it has failed, and does not look at the rest. */
  feed(steps: Steps): boolean {
    return steps.every((step) => step === "pause" ? this.pause() : this.decode(step.slice()))
  }

  finish(): Made {
    if (this.error === undefined) this.error = this.decoder.end(this.items)
    return { items: this.items, error: this.error }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Bytes and cuts
// ---------------------------------------------------------------------------------------------------------------------

export const bytesOf = (steps: Steps): Uint8Array => concat(steps.filter((step) => step !== "pause"))

/** The first bytes of the input, with the pauses between them. */
export const take = (steps: Steps, bytes: number): Steps => {
  const taken: Array<Uint8Array | "pause"> = []
  for (const step of steps) {
    if (step === "pause") taken.push(step)
    else if (step.length < bytes) {
      taken.push(step)
      bytes -= step.length
    } else {
      taken.push(step.subarray(0, bytes))
      break
    }
  }
  return taken
}

/** The same input, cut at these places too; a place that is there twice gives an empty piece. */
export const cutAt = (steps: Steps, places: ReadonlyArray<number>): Steps => {
  const pieces: Array<Uint8Array | "pause"> = []
  let start = 0
  let next = 0
  for (const step of steps) {
    if (step === "pause") {
      pieces.push(step)
      continue
    }
    let from = 0
    for (; next < places.length && places[next]! <= start + step.length; next++) {
      pieces.push(step.subarray(from, places[next]! - start))
      from = places[next]! - start
    }
    pieces.push(step.subarray(from))
    start += step.length
  }
  return pieces
}

export const bytewise = (steps: Steps): Steps =>
  steps.flatMap((step): Steps => step === "pause" ? [step] : Array.from(step, (_, i) => step.subarray(i, i + 1)))

/** Places to cut at, in order, some of them twice. */
export const randomPlaces = (random: (below: number) => number, bytes: number, count: number): ReadonlyArray<number> =>
  Array.from({ length: count }, () => random(bytes + 1)).sort((one, other) => one - other)

/** Every place in input of this length; where there are more than `most`, some of them. */
export const places = (bytes: number, most = 200): ReadonlyArray<number> => {
  const step = Math.max(1, Math.ceil(bytes / most))
  return Array.from({ length: Math.floor(bytes / step) + 1 }, (_, i) => i * step)
}

/** What noise is made of. */
export interface NoiseSource {
  readonly isTimed: boolean
  /** Sound input. */
  readonly pool: ReadonlyArray<Uint8Array>
}

/** Noise of about so many bytes: sound input with faults, bytes of sound input in any order, any bytes, one byte over and over. */
export const noiseOf = (random: (below: number) => number, { isTimed, pool }: NoiseSource, bytes: number): Steps => {
  const any = () => {
    const piece = pool[random(pool.length)]!
    return piece.length === 0 || random(8) === 0 ? random(256) : piece[random(piece.length)]!
  }
  const kind = random(8)
  const steps: Array<Uint8Array | "pause"> = []
  for (let left = bytes; left > 0;) {
    const piece = kind === 0
      ? Uint8Array.from({ length: 1 + random(left) }, () => random(256))
      : kind === 1
      ? Uint8Array.from({ length: 1 + random(left) }, any)
      : kind === 2 && random(2) === 0
      ? new Uint8Array(1 + random(left)).fill(any())
      : random(3) === 0
      ? pool[random(pool.length)]!
      : mutated(random, pool[random(pool.length)]!, any)
    steps.push(piece)
    if (isTimed && random(2) === 0) steps.push("pause")
    left -= Math.max(1, piece.length)
  }
  return isTimed ? steps : [bytesOf(steps)]
}

const mutated = (random: (below: number) => number, piece: Uint8Array, any: () => number): Uint8Array => {
  const bytes = [...piece]
  for (let faults = 1 + random(3); faults > 0; faults--) {
    const at = random(bytes.length + 1)
    const some = random(1 + Math.min(8, bytes.length))
    switch (random(6)) {
      case 0:
        if (at < bytes.length) bytes[at]! ^= 1 << random(8)
        break
      case 1:
        if (at < bytes.length) bytes[at] = any()
        break
      case 2:
        bytes.splice(at, 0, any())
        break
      case 3:
        bytes.splice(at, 1 + some)
        break
      case 4:
        bytes.splice(at, 0, ...bytes.slice(at, at + some))
        break
      case 5:
        bytes.length = at
    }
  }
  return Uint8Array.from(bytes)
}

// ---------------------------------------------------------------------------------------------------------------------
// Comparing and showing
// ---------------------------------------------------------------------------------------------------------------------

/** Whether two values are made of the same. Unlike `Equal.equals`, it remembers nothing of what may be overwritten. */
export const isAlike = (one: unknown, other: unknown): boolean => {
  if (one === other || (one !== one && other !== other)) return true
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false
  if (ArrayBuffer.isView(one) || ArrayBuffer.isView(other)) {
    return one instanceof Uint8Array && other instanceof Uint8Array && isSameBytes(one, other)
  }
  if (Array.isArray(one) !== Array.isArray(other)) return false
  if (one instanceof Map || one instanceof Set) {
    return (other instanceof Map || other instanceof Set) && isAlike([...one], [...other])
  }
  const keys = Object.keys(one)
  return keys.length === Object.keys(other).length &&
    keys.every((key) =>
      Object.hasOwn(other, key) && isAlike(one[key as keyof typeof one], other[key as keyof typeof other])
    )
}

export const isSameBytes = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && one.every((byte, i) => byte === other[i])

const isSameSkipped = (one: unknown, other: unknown): boolean =>
  isSkipped(one) && isSkipped(other) && one.offset === other.offset && one.bytes === other.bytes &&
  showError(one.reason) === showError(other.reason)

/** As much of an error as has to be the same however the input is cut. */
export const showError = (error: unknown): string => {
  if (error === undefined) return "none"
  if (error instanceof DecodeError) return `${error.reason._tag} (${error.message})`
  return error instanceof Error ? `${error.name} (${error.message})` : Formatter.format(error)
}

export const show = (item: unknown): string => {
  if (item instanceof Uint8Array) return showBytes(item)
  if (isSkipped(item)) return `${item.bytes} skipped bytes from ${item.offset} on (${item.reason.message})`
  const shown = Formatter.format(item)
  return shown.length > 120 ? `${shown.slice(0, 120)}…` : shown
}

export const showBytes = (bytes: Uint8Array): string => {
  const hex = Array.from(bytes.subarray(0, 64), (byte) => byte.toString(16).padStart(2, "0")).join(" ")
  return `<${bytes.length > 64 ? `${hex} …, ${bytes.length} bytes` : hex}>`
}

export const showSteps = (steps: Steps): string =>
  steps.map((step) => step === "pause" ? step : showBytes(step)).join(" ")
