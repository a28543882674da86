/**
 * Laws 14 to 16: what an encoder writes, and what it refuses.
 */
import { concat } from "../../internal/bytes.ts"
import type { CodecBench } from "../codecBench.ts"
import { bytesOf, check, isSameBytes, Reading, sample, show, showBytes, showSteps, type Steps } from "../codecBench.ts"
import type { CodecLaw } from "../codecLaw.ts"

export const encodingLaws: ReadonlyArray<CodecLaw> = [
  {
    number: 14,
    title: "a frame that would not be read back as it was is refused",
    needs: ["refusals"],
    test: (bench) => {
      const { codec, subject } = bench
      for (const frame of subject.refused ?? []) {
        const out: Array<Uint8Array> = []
        const isRefused = codec.encode(frame, out) !== undefined
        check(isRefused, () => `${show(frame)} is not refused: it is written as ${showBytes(concat(out))}`)
      }
      const accepted = nastyOf(bench).filter((frame) => codec.encode(frame, []) === undefined)
      for (const [i, frame] of accepted.entries()) {
        const other = accepted[i + 1] ?? bench.frames(1)[0]
        const bytes = bench.encode(frame)
        const what = () => `${show(frame)}, written as ${showBytes(bytes)}`
        const items = [frame, other].map(bench.readAs)
        bench.checkSame(what, bench.make([bytes, "pause"]), { items: items.slice(0, 1), error: undefined })
        const reading = new Reading(codec.decoder())
        reading.feed([bytes, "pause"])
        bench.checkItems(() => `${what()}, before the end`, reading.items, items.slice(0, 1))
        const more: Steps = bench.isTimed
          ? [bytes, "pause", bench.encode(other), "pause"]
          : [bytesOf([bytes, bench.encode(other)])]
        bench.checkSame(
          () => `${what()}, with ${show(other)} behind it, ${showSteps(more)},`,
          bench.make(more),
          { items, error: undefined }
        )
      }
    }
  },
  {
    number: 15,
    title: "a frame that is refused appends nothing, and leaves what is there",
    needs: ["refusals"],
    test: (bench) => {
      const { codec, subject } = bench
      for (const frame of [...subject.refused ?? [], ...nastyOf(bench)]) {
        const there = [Uint8Array.of(1, 2, 3), Uint8Array.of()]
        const out = there.slice()
        if (codec.encode(frame, out) === undefined) continue
        check(out.length <= 2, () => `${show(frame)} is refused, and ${showBytes(concat(out.slice(2)))} was appended`)
        const isThere = out.length === 2 && out[0] === there[0] && out[1] === there[1]
        check(
          isThere && isSameBytes(out[0]!, Uint8Array.of(1, 2, 3)),
          () => `${show(frame)} is refused, and what was there is ${out.map(showBytes).join(" ")}`
        )
      }
    }
  },
  {
    number: 16,
    title: "bytes that were written belong to the caller, and the frame stays as it is",
    test: (bench) => {
      const { codec } = bench
      const count = 40
      const frames = bench.frames(count)
      const before = bench.frames(count)
      const chunks = frames.map((frame) => {
        const out: Array<Uint8Array> = []
        codec.encode(frame, out)
        return { out, copy: concat(out).slice() }
      })
      for (const [i, { copy, out }] of chunks.entries()) {
        check(
          isSameBytes(concat(out), copy),
          () =>
            `what was written for frame ${i + 1} was ${showBytes(copy)}, and is ${showBytes(concat(out))} after others`
        )
        check(
          bench.isSame(bench.readAs(frames[i]), bench.readAs(before[i])),
          () => `${show(before[i])} became ${show(frames[i])} when it was written`
        )
      }
      for (const { out } of chunks) for (const chunk of out) chunk.fill(0x2e)
      for (const [i, frame] of bench.frames(count).entries()) {
        const out: Array<Uint8Array> = []
        codec.encode(frame, out)
        check(
          isSameBytes(concat(out), chunks[i]!.copy),
          () =>
            `${show(frame)} is written as ${showBytes(chunks[i]!.copy)}, and, when that was overwritten, as ${
              showBytes(concat(out))
            }`
        )
      }
    }
  }
]

const nastyOf = (bench: CodecBench): ReadonlyArray<unknown> =>
  bench.subject.nasty === undefined ? [] : sample(bench.subject.nasty, 200, "nasty frames")
