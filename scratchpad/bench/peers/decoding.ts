/**
 * Decoders alone, with no connection below them: ours, and those that one would use in their place. The input is the same
 * memory each time, cut into pieces; each piece's frames come out together, and are hashed where that is asked for.
 */
import { Effect, Stream } from "effect"
import { Codec, LengthPrefixed, Lines } from "effect-transport"
import * as LengthPrefixes from "it-length-prefixed"
import * as Readline from "node:readline"
import { Readable } from "node:stream"
import { answer, digestOf, hashing, options, ownUsage } from "../child.ts"
import { messages } from "../content.ts"
import type { AloneAnswers, SubjectOptions } from "../messages.ts"

const { bytes, chunkBytes, isHashed, service } = options<SubjectOptions>()

const sent = hashing(isHashed)
const received = hashing(isHashed)

/** How many frames are made; they come again and again. Of small pieces there are not too many. */
const madeFrames = Math.max(1, Math.floor(Math.min(4_194_304, chunkBytes * 65_536) / bytes))

/** Feeds pieces to a decoder, and answers with how many frames came out. */
type Decoding = (pieces: Iterable<Uint8Array>) => number | Promise<number>

/** What takes the frames: they are counted, and hashed with what was cut off them. */
const takeLines = (lines: ReadonlyArray<string>): number => {
  if (received !== undefined) { for (const line of lines) received.update(`${line}\n`) }
  return lines.length
}
const takeFrames = (frames: ReadonlyArray<Uint8Array>): number => {
  if (received !== undefined) { for (const frame of frames) received.update(frame) }
  return frames.length
}

const ours =
  <In>(codec: Codec.Codec<In, never, unknown, unknown>, take: (frames: ReadonlyArray<In>) => number): Decoding =>
  (pieces) => {
    const decoder = codec.decoder()
    let count = 0
    for (const piece of pieces) {
      const frames: Array<In> = []
      const error = decoder.decode(piece, frames, Infinity)
      if (error !== undefined) throw error
      count += take(frames)
    }
    return count
  }

const linesByEffect: Decoding = async (pieces) => {
  let count = 0
  const lines = Stream.fromIterable(pieces).pipe(Stream.rechunk(1), Stream.decodeText(), Stream.splitLines)
  await Effect.runPromise(Stream.runForEachArray(lines, (lines) =>
    Effect.sync(() => {
      count += takeLines(lines)
    })))
  return count
}

const linesByReadline: Decoding = (pieces) =>
  new Promise((done) => {
    let count = 0
    const lines = Readline.createInterface({ input: Readable.from(pieces, { objectMode: false }) })
    lines.on("line", (line) => {
      count += isHashed ? takeLines([line]) : 1
    })
    lines.on("close", () => done(count))
  })

/** The tightest that one writes by hand. */
const linesByLoop: Decoding = (pieces) => {
  const decoder = new TextDecoder()
  let rest = ""
  let count = 0
  for (const piece of pieces) {
    const text = rest + decoder.decode(piece, { stream: true })
    const lines: Array<string> = []
    let from = 0
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", from)) {
      lines.push(text.slice(from, end))
      from = end + 1
    }
    rest = text.slice(from)
    count += takeLines(lines)
  }
  return count
}

const prefixedByNpm: Decoding = (pieces) => {
  let count = 0
  for (const frame of LengthPrefixes.decode(pieces)) {
    // Its frames are lists of pieces; `subarray` is how one gets at the bytes.
    const bytes = frame.subarray()
    count += isHashed ? takeFrames([bytes]) : 1
  }
  return count
}

const prefixed = LengthPrefixed.codec({ width: "varint" })

const decodings: Readonly<Record<string, Decoding>> = {
  "lines/ours": ours(Lines.codec(), takeLines),
  "lines/effect": linesByEffect,
  "lines/readline": linesByReadline,
  "lines/loop": linesByLoop,
  "prefixed/ours": ours(prefixed, takeFrames),
  "prefixed/npm": prefixedByNpm
}

const inputOf = (frames: ReadonlyArray<Uint8Array>): Uint8Array => {
  if (service.startsWith("lines/")) return new Uint8Array(Buffer.concat(frames))
  const all: Array<Uint8Array> = []
  for (const frame of frames) prefixed.encode(frame, all)
  return new Uint8Array(Buffer.concat(all))
}

const run = async (operations: number): Promise<number> => {
  let seconds = 0
  const messageAt = messages(bytes, isHashed)
  for (let left = operations; left > 0;) {
    const count = Math.min(left, madeFrames)
    const frames = Array.from({ length: count }, (_, i) => messageAt(operations - left + i))
    for (const frame of frames) sent?.update(frame)
    const input = inputOf(frames)
    const pieces: Array<Uint8Array> = []
    for (let at = 0; at < input.length; at += chunkBytes) pieces.push(input.subarray(at, at + chunkBytes))
    // As often as it takes, so that the making of the pieces is not measured.
    const times = isHashed ? 1 : Math.max(1, Math.floor(left / count))
    for (let i = 0; i < times; i++) {
      const before = performance.now()
      const found = await decodings[service]!(pieces)
      seconds += (performance.now() - before) / 1000
      if (found !== count) throw new Error(`${service} found ${found} frames of ${count}`)
    }
    left -= count * times
  }
  return seconds
}

answer<AloneAnswers>({
  ...ownUsage,
  start: () => 0,
  run,
  digest: () => digestOf({ sent, received })
})
