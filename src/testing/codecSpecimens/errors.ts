/**
 * Broken on purpose, for laws 20 to 25.
 */
import { DecodeError, isSkipped, Malformed, Skipped } from "../../FrameError.ts"
import type { CodecSpecimen } from "../codecLaw.ts"
import { because, brokenDecoder, changing, soundCodec } from "../codecSound.ts"

export const errorSpecimens: ReadonlyArray<CodecSpecimen> = [
  {
    law: 20,
    fault: "what is asked for after an error is read by a new decoder",
    alsoBreaks: because("the rest that it looks at is that of the new decoder", 21),
    subject: brokenDecoder((decoder, settings) => {
      let current = decoder
      const call = (error: unknown) => {
        if (error !== undefined) current = soundCodec(settings).decoder()
        return error
      }
      return {
        decode: (bytes, out, max) => call(current.decode(bytes, out, max)),
        end: (out) => call(current.end(out)),
        rest: () => current.rest()
      }
    })
  },
  {
    law: 21,
    fault: "an error says where the second byte of the frame at fault is",
    alsoBreaks: because("it knows where the error is", 22),
    subject: brokenDecoder((decoder) => {
      let known: unknown
      return changing(decoder, (_, error) => {
        if (error instanceof DecodeError) known ??= new DecodeError({ ...error, offset: error.offset + 1 })
        return { error: known }
      })
    })
  },
  {
    law: 22,
    fault: "a frame that is cut short is said to be malformed",
    subject: brokenDecoder((decoder) => {
      let known: unknown
      const reason = new Malformed({ expected: "a newline" })
      return changing(decoder, (items, error) => {
        if (error instanceof DecodeError) {
          known ??= error.reason._tag === "CutShort" ? new DecodeError({ offset: error.offset, reason }) : error
        }
        const isCut = (item: unknown) => isSkipped(item) && item.reason._tag === "CutShort"
        return {
          items: items.map((item) => isCut(item) ? new Skipped({ ...item as Skipped, reason }) : item),
          error: known
        }
      })
    })
  },
  {
    law: 23,
    fault: "of more than thirty bytes that are passed over, the last is not counted",
    alsoBreaks: because("it keeps the account too", 32),
    subject: brokenDecoder((decoder) =>
      changing(decoder, (items) => ({
        items: items.map((item) =>
          isSkipped(item) && item.bytes > 30 ? new Skipped({ ...item, bytes: item.bytes - 1 }) : item
        )
      }))
    )
  },
  {
    law: 24,
    fault: "the fourth frame behind what was passed over is lost",
    alsoBreaks: {
      ...because("a decoder that is asked for few frames has to give one more", 8),
      ...because("a mark does not say how many frames it is behind", 13, 32),
      ...because("the bytes of that frame are in no item", 23)
    },
    subject: brokenDecoder((decoder) => {
      let behind = Infinity
      return changing(decoder, (items) => ({
        items: items.filter((item) => {
          behind = isSkipped(item) ? 0 : behind + 1
          return behind !== 4
        })
      }))
    })
  },
  {
    law: 25,
    fault: "what is left at the end is dropped",
    alsoBreaks: {
      ...because("there are frames among it that were not asked for, or an error", 7, 29),
      ...because("it knows what an end inside a frame is", 22)
    },
    subject: brokenDecoder((decoder) => {
      let error: unknown
      return {
        decode: (bytes, out, max) => error = decoder.decode(bytes, out, max),
        end: (out) => {
          if (error !== undefined) return error
          decoder.decode(undefined, out, Infinity)
          decoder.rest()
          return undefined
        }
      }
    })
  }
]
