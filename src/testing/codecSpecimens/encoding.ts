/**
 * Broken on purpose, for laws 14 to 19.
 */
import * as Delimited from "../../codec/Delimited.ts"
import { concat } from "../../internal/bytes.ts"
import type { CodecSpecimen } from "../codecLaw.ts"
import { because, brokenDecoder, brokenEncoder, brokenSubject, soundCodec } from "../codecSound.ts"

const LF = 10

export const encodingSpecimens: ReadonlyArray<CodecSpecimen> = [
  {
    law: 14,
    fault: "nobody looks whether there is a delimiter in a frame",
    subject: brokenEncoder((sound, frame, out) => {
      const error = sound.encode(frame.map((byte) => byte === LF ? 0 : byte), [])
      if (error === undefined) out.push(concat([frame, Uint8Array.of(LF)]))
      return error
    })
  },
  {
    law: 15,
    fault: "of a frame with a delimiter in it, what comes before is written, and then it is refused",
    subject: brokenEncoder((sound, frame, out) => {
      const error = sound.encode(frame, out)
      if (error !== undefined && frame.includes(LF)) out.push(frame.slice(0, frame.indexOf(LF)))
      return error
    })
  },
  {
    law: 16,
    fault: "frames are written into one block of memory, which is begun again when it is used up",
    alsoBreaks: because("it writes many frames before it reads them", 1, 6, 10, 25),
    subject: brokenSubject((settings) => {
      const { decoder, encode } = soundCodec(settings)
      const block = new Uint8Array(64)
      let used = 0
      return {
        decoder,
        encode: (frame, out) => {
          const pieces: Array<Uint8Array> = []
          const error = encode(frame, pieces)
          const bytes = concat(pieces)
          if (error !== undefined || bytes.length > 32) {
            out.push(...pieces)
            return error
          }
          if (used + bytes.length > block.length) used = 0
          block.set(bytes, used)
          out.push(block.subarray(used, used + bytes.length))
          used += bytes.length
          return undefined
        }
      }
    })
  },
  {
    law: 16,
    fault: "all frames have one and the same delimiter behind them, which whoever has the bytes can overwrite",
    subject: brokenSubject((settings) => {
      const { decoder, encode } = soundCodec(settings)
      const delimiter = Uint8Array.of(LF)
      return {
        decoder,
        encode: (frame, out) => {
          const error = encode(frame, [])
          if (error === undefined) out.push(frame.slice(), delimiter)
          return error
        }
      }
    })
  },
  {
    law: 17,
    fault: "where frames are read, the limit counts the delimiter",
    subject: brokenSubject((settings) => ({
      decoder: soundCodec({ ...settings, bytesMax: settings.bytesMax! - 1 }).decoder,
      encode: soundCodec(settings).encode
    }))
  },
  {
    law: 18,
    fault: "where frames are written, there is no limit",
    subject: brokenSubject((settings) => ({
      decoder: soundCodec(settings).decoder,
      encode: Delimited.codec({ delimiter: "\n", frameBytesMax: 1_000_000 }).encode
    }))
  },
  {
    law: 18,
    fault: "a frame that is too long is found where it has to be kept; one that came in one piece passes",
    alsoBreaks: {
      ...because("it compares long frames, cut in different ways", 2, 3, 4, 7, 8, 9, 11, 22, 26, 27, 28, 29, 30, 32),
      ...because("two decoders that stand at different places take turns", 21)
    },
    subject: brokenDecoder((decoder, settings) => {
      const roomy = soundCodec({ ...settings, bytesMax: 1_000_000 }).decoder()
      let isFirst = true
      return {
        decode: (bytes, out, max) => {
          if (isFirst && bytes?.at(-1) === LF) {
            isFirst = false
            const { length } = out
            const error = roomy.decode(bytes, out, max)
            if (out.length - length < max) return error
            return decoder.decode(roomy.rest(), out, 0)
          }
          isFirst &&= bytes === undefined
          return decoder.decode(bytes, out, max)
        }
      }
    }, { modes: ["fatal"] })
  },
  {
    law: 19,
    fault: "a frame that is too long is kept up to its end",
    alsoBreaks: because("it looks at what is kept too", 32),
    subject: brokenDecoder((_, settings) => {
      const roomy = soundCodec({ ...settings, bytesMax: 1_000_000 }).decoder()
      const tooLong = new Error("too long")
      let error: unknown
      const call = (out: Array<unknown>, ask: (items: Array<unknown>) => unknown) => {
        if (error !== undefined) return error
        const made: Array<unknown> = []
        error = ask(made)
        const long = made.findIndex((item) => (item as Uint8Array).length > settings.bytesMax!)
        if (long >= 0) error = tooLong
        out.push(...long < 0 ? made : made.slice(0, long))
        return error
      }
      return {
        decode: (bytes, out, max) => call(out, (items) => roomy.decode(bytes, items, max)),
        end: (out) => call(out, (items) => roomy.end(items)),
        rest: () => roomy.rest(),
        mark: undefined as never
      }
    }, { modes: ["fatal"], hasOffsets: false })
  }
]
