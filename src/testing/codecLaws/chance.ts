/**
 * Laws 32 and 33: input by chance, and frames that time ends.
 */
import { check, Reading, show } from "../codecBench.ts"
import { makeFuzz } from "../codecFuzz.ts"
import type { CodecLaw } from "../codecLaw.ts"

export const chanceLaws: ReadonlyArray<CodecLaw> = [
  {
    number: 32,
    title:
      "whatever the bytes are, it throws nothing, comes to an end, keeps to its limit, and makes the same however cut",
    lowered: "twenty thousand bytes of one seed; `npm run fuzz` reads as many as one likes",
    test: ({ onBroken, subject }) => {
      const fuzz = makeFuzz({ ...subject, modes: [onBroken] })
      for (let seed = 0, bytes = 0; bytes < 20_000; seed++) bytes += fuzz.run(seed)
    }
  },
  {
    number: 33,
    title: "time ends a frame when its time has passed since the last byte, and not before",
    needs: ["time"],
    test: (bench) => {
      for (const { bytes, items, name } of [bench.write("one frame", bench.frames(20).slice(-1)), ...bench.written()]) {
        if (items.length > 1 || bytes.length < 2) continue
        const { decoder, ...reading } = new Reading(bench.codec.decoder())
        const out: Array<unknown> = reading.items
        const ask = (nowMs: number) => decoder.due!(nowMs, out)
        check(ask(5) === undefined, () => `${name}: it waits for a time, and no frame has begun`)
        decoder.decode(bytes.subarray(0, 1), out, Infinity)
        const first = ask(1000)
        check(first !== undefined && first > 1000, () => `${name}: begun at 1000 ms, it is to be asked at ${first}`)
        const still = ask(first! - 1)
        check(out.length === 0 && still === first, () => `${name}: at ${first! - 1} ms, it is to be asked at ${still}`)
        decoder.decode(bytes.subarray(1), out, Infinity)
        const second = ask(first! - 1)
        check(
          second !== undefined && second > first!,
          () => `${name}: with its last byte at ${first! - 1} ms it is to be asked at ${second}, as if nothing had come`
        )
        ask(first!)
        check(out.length === 0, () => `${name}: ${show(out[0])} ends before its time`)
        const third = ask(second!)
        bench.checkItems(() => `${name}, at its time`, out, items)
        check(third === undefined, () => `${name}: all frames have ended, and it is to be asked at ${third}`)
        check(ask(second! + 1000) === undefined && out.length === items.length, () => `${name}: it ends twice`)
      }
    }
  }
]
