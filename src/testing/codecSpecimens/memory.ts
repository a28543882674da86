/**
 * Broken on purpose, for laws 26 to 33.
 */
import { copyOf, fromFraming } from "../../Codec.ts"
import { TooLong } from "../../FrameError.ts"
import { isSameBytes } from "../codecBench.ts"
import type { CodecSpecimen } from "../codecLaw.ts"
import {
  because,
  brokenDecoder,
  brokenSilence,
  brokenSubject,
  type BytesDecoder,
  changing,
  overDecoder,
  soundCodec
} from "../codecSound.ts"

const LF = 10

export const memorySpecimens: ReadonlyArray<CodecSpecimen> = [
  {
    law: 26,
    fault: "delimiters are overwritten with a null, to end frames as in C",
    alsoBreaks: because("it hands the same bytes to two decoders", 7, 8, 9, 10, 11),
    subject: brokenDecoder((decoder) => ({
      decode: (bytes, out, max) => {
        const error = decoder.decode(bytes?.slice(), out, max)
        for (let i = 0; bytes !== undefined && i < bytes.length; i++) if (bytes[i] === LF) bytes[i] = 0
        return error
      }
    }))
  },
  {
    law: 27,
    fault: "what is left of a piece is not copied",
    alsoBreaks: {
      ...because("it overwrites the bytes that it lent too", 28, 32),
      ...because(
        "what is kept goes back and forth, so that the rest comes out wrong after an error, and each byte is copied often",
        21,
        31
      )
    },
    subject: brokenDecoder((decoder) => keeping(decoder, (bytes, from) => bytes.subarray(from)))
  },
  {
    law: 28,
    fault: "what is left of a piece is copied with slice, which copies nothing of a Buffer",
    alsoBreaks: because(
      "what is kept goes back and forth, so that the rest comes out wrong after an error, and each byte is copied often",
      21,
      31
    ),
    subject: brokenDecoder((decoder) => keeping(decoder, (bytes, from) => bytes.slice(from)))
  },
  {
    law: 28,
    fault: "of the memory under a piece, the first bytes are read",
    alsoBreaks: because("it hands in parts of larger memory too", 6, 7, 8, 9, 11, 32),
    subject: brokenDecoder((decoder) => ({
      decode: (bytes, out, max) =>
        decoder.decode(bytes === undefined ? undefined : new Uint8Array(bytes.buffer, 0, bytes.length), out, max)
    }))
  },
  {
    law: 29,
    fault: "two frames in a row that are the same are one array",
    subject: brokenDecoder((decoder) => {
      let last: unknown
      return changing(decoder, (items) => ({
        items: items.map((item) => {
          const isSame = item instanceof Uint8Array && last instanceof Uint8Array && isSameBytes(item, last)
          return last = isSame ? last : item
        })
      }))
    })
  },
  {
    law: 30,
    fault: "what is left of a piece is kept in one place for all decoders",
    alsoBreaks: {
      ...because("it reads with two decoders in turns too", 8, 13, 32),
      ...because("what is kept goes back and forth", 31)
    },
    subject: brokenSubject((settings) => {
      const { decoder, encode } = soundCodec(settings)
      let kept = new Uint8Array(0)
      return {
        decoder: (mark) => {
          const sound = decoder(mark)
          kept = new Uint8Array(0)
          return overDecoder(sound, {
            decode: (bytes, out, max) => {
              sound.decode(kept, out, 0)
              const error = sound.decode(bytes, out, max)
              kept = sound.rest().slice()
              return error
            },
            end: (out) => {
              sound.decode(kept, out, 0)
              kept = new Uint8Array(0)
              return sound.end(out)
            },
            rest: () => {
              const rest = kept
              kept = new Uint8Array(0)
              return rest.length > 0 ? rest : sound.rest()
            }
          })
        },
        encode
      }
    })
  },
  {
    law: 31,
    fault: "with each piece, a frame that is not whole is searched from its beginning",
    subject: brokenSubject(({ bytesMax = 64, onBroken }) =>
      fromFraming<Uint8Array, Uint8Array, { readonly onBroken: typeof onBroken }>({
        bytesMax: bytesMax + 1,
        finder: () => ({
          find: (bytes, from, _searched, found) => {
            const end = bytes.indexOf(LF, from)
            if (end < 0) found.more(0)
            else if (end - from > bytesMax) found.broken(new TooLong({ max: bytesMax + 1 }))
            else found.frame(from, end, end + 1)
          },
          skip: (bytes, from, found) => {
            const end = bytes.indexOf(LF, from)
            if (end < 0) found.more(bytes.length - from)
            else found.frame(from, end, end + 1)
          }
        }),
        take: copyOf,
        encode: (frame, out) => soundCodec({ bytesMax, onBroken }).encode(frame, out) as undefined
      }, { onBroken })
    )
  },
  {
    law: 31,
    fault: "with each piece, a frame that is not whole is copied",
    alsoBreaks: because("what is kept goes back and forth, and the rest comes out wrong after an error", 21),
    subject: brokenDecoder((decoder) => ({
      decode: (bytes, out, max) => {
        const error = decoder.decode(bytes, out, max)
        decoder.decode(decoder.rest().slice(), out, 0)
        return error
      }
    }))
  },
  {
    law: 32,
    fault: "it throws at a long piece with byte 200 in it",
    subject: brokenDecoder((decoder) => ({
      decode: (bytes, out, max) => {
        if (bytes !== undefined && bytes.length > 300 && bytes.includes(200)) throw new RangeError("byte 200")
        return decoder.decode(bytes, out, max)
      }
    }))
  },
  {
    law: 33,
    fault: "time runs from the first byte of a frame, and not from its last",
    subject: brokenSilence((decoder) => {
      let at: number | undefined
      return {
        due: (nowMs, out) => {
          const asked = decoder.due!(nowMs, out)
          if (asked === undefined || at === undefined) return at = asked
          if (nowMs < at) return at
          decoder.end(out)
          return at = undefined
        }
      }
    })
  }
]

/** A decoder that keeps what is left of a piece as `keep` says, where all of it is in that piece. */
function keeping(
  decoder: BytesDecoder,
  keep: (bytes: Uint8Array, from: number) => Uint8Array
): Partial<BytesDecoder> {
  let kept: Uint8Array | undefined
  const flush = () => {
    if (kept !== undefined) decoder.decode(kept, [], 0)
    kept = undefined
  }
  return {
    decode: (bytes, out, max) => {
      flush()
      const error = decoder.decode(bytes, out, max)
      const rest = decoder.rest()
      if (bytes === undefined || rest.length > bytes.length) decoder.decode(rest, out, 0)
      else kept = keep(bytes, bytes.length - rest.length)
      return error
    },
    end: (out) => {
      flush()
      return decoder.end(out)
    },
    rest: () => {
      flush()
      return decoder.rest()
    }
  }
}
