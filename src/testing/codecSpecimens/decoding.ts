/**
 * Broken on purpose, for laws 1 to 13.
 */
import { isSkipped } from "../../FrameError.ts"
import type { CodecSpecimen } from "../codecLaw.ts"
import { because, brokenDecoder, changing, soundCodec } from "../codecSound.ts"

const nothing = new Uint8Array(0)

const LF = 10

export const decodingSpecimens: ReadonlyArray<CodecSpecimen> = [
  {
    law: 1,
    fault: "the fiftieth frame of a connection loses its first byte",
    alsoBreaks: because("it reads as many frames in a row, and goes on at marks between them", 32),
    subject: brokenDecoder((decoder) => {
      let count = 0
      return changing(decoder, (items) => ({
        items: items.map((item) => ++count === 50 && item instanceof Uint8Array ? item.subarray(1) : item)
      }))
    })
  },
  {
    law: 2,
    fault: "a frame that comes in more than eight pieces loses those",
    alsoBreaks: because(
      "it reads byte by byte too, or in many pieces",
      4,
      7,
      9,
      11,
      17,
      18,
      21,
      22,
      23,
      24,
      26,
      27,
      28,
      32
    ),
    subject: brokenDecoder((decoder) => {
      let pieces = 0
      return {
        decode: (bytes, out, max) => {
          const had = out.length
          const error = decoder.decode(bytes, out, max)
          if (bytes !== undefined) pieces = out.length > had ? 0 : pieces + 1
          if (pieces < 8 || error !== undefined) return error
          decoder.rest()
          pieces = 0
          return undefined
        }
      }
    })
  },
  {
    law: 3,
    fault: "a delimiter at the beginning of a piece is taken for the second half of one",
    alsoBreaks: because(
      "it cuts before a delimiter too",
      2,
      4,
      6,
      7,
      8,
      9,
      11,
      17,
      21,
      22,
      23,
      24,
      26,
      27,
      28,
      29,
      30,
      32
    ),
    subject: brokenDecoder((decoder) => {
      let isFirst = true
      return {
        decode: (bytes, out, max) => {
          const isSecond = bytes !== undefined && bytes[0] === LF && !isFirst
          if (bytes !== undefined) isFirst = false
          return decoder.decode(isSecond ? bytes.subarray(1) : bytes, out, max)
        }
      }
    })
  },
  {
    law: 4,
    fault: "a piece of no bytes between others is taken for a delimiter",
    alsoBreaks: because(
      "it hands in pieces of no bytes too",
      3,
      7,
      8,
      9,
      10,
      11,
      17,
      21,
      22,
      23,
      26,
      27,
      28,
      29,
      30,
      32
    ),
    subject: brokenDecoder((decoder) => {
      let isEmpty = false
      return {
        decode: (bytes, out, max) => {
          const isBetween = isEmpty && bytes !== undefined && bytes.length > 0
          isEmpty = bytes?.length === 0
          if (isBetween) decoder.decode(Uint8Array.of(LF), out, max)
          return decoder.decode(bytes, out, max)
        }
      }
    })
  },
  {
    law: 5,
    fault: "the frames that came in one piece with a broken one are lost",
    alsoBreaks: because(
      "it compares input that is broken, cut in different ways",
      2,
      3,
      4,
      7,
      8,
      9,
      11,
      21,
      22,
      26,
      27,
      28,
      29,
      30,
      32
    ),
    subject: brokenDecoder((decoder) =>
      changing(decoder, (items, error) => error === undefined ? { items } : { items: [] })
    )
  },
  {
    law: 6,
    fault: "a frame comes out with the next one, or at the end",
    alsoBreaks: because("it counts the frames that came out", 5, 7, 8, 10, 13, 14, 20, 21, 22, 23, 29, 32),
    subject: brokenDecoder((decoder) => {
      let held: ReadonlyArray<unknown> = []
      const holding = changing(decoder, (items) => {
        const all = [...held, ...items]
        held = all.slice(-1)
        return { items: all.slice(0, -1) }
      })
      return {
        ...holding,
        end: (out) => {
          out.push(...held)
          held = []
          return decoder.end(out)
        }
      }
    })
  },
  {
    law: 7,
    fault: "max is taken for how many more frames there may be than there are",
    subject: brokenDecoder((decoder) => ({ decode: (bytes, out, max) => decoder.decode(bytes, out, out.length + max) }))
  },
  {
    law: 8,
    fault: "decode(undefined) does nothing",
    alsoBreaks: because("it asks for few frames at a time too", 32),
    subject: brokenDecoder((decoder) => {
      let error: unknown
      return {
        decode: (bytes, out, max) => {
          if (bytes !== undefined) error = decoder.decode(bytes, out, max)
          return error
        }
      }
    })
  },
  {
    law: 9,
    fault: "it makes no more than two frames at a time",
    alsoBreaks: because("it counts on getting all frames of a piece", 5, 8, 19, 32),
    subject: brokenDecoder((decoder) => ({
      decode: (bytes, out, max) => decoder.decode(bytes, out, Math.min(2, max))
    }))
  },
  {
    law: 10,
    fault: "rest leaves the last byte behind",
    alsoBreaks: {
      ...because("it takes the rest and gives it back", 11, 23, 32),
      ...because("it compares the rest with where the error is", 21)
    },
    subject: brokenDecoder((decoder) => ({
      rest: () => {
        const rest = decoder.rest()
        return rest.subarray(0, Math.max(0, rest.length - 1))
      }
    }))
  },
  {
    law: 11,
    fault: "what comes after rest is taken for the next piece: its first byte, if it is a delimiter, is not seen",
    alsoBreaks: because("it takes the rest and gives it back too", 23, 32),
    subject: brokenDecoder((decoder) => {
      let isAfter = false
      return {
        decode: (bytes, out, max) => {
          const isUnseen = isAfter && bytes !== undefined && bytes[0] === LF
          if (bytes !== undefined) isAfter = false
          return decoder.decode(isUnseen ? bytes.subarray(1) : bytes, out, max)
        },
        rest: () => {
          isAfter = true
          return decoder.rest()
        }
      }
    })
  },
  {
    law: 12,
    fault: "rest is given in memory into which the next piece is copied",
    alsoBreaks: because("it hands the rest to two decoders", 13),
    subject: brokenDecoder((decoder) => {
      let given = nothing
      return {
        decode: (bytes, out, max) => {
          if (bytes !== undefined) given.set(bytes.subarray(0, given.length))
          return decoder.decode(bytes?.slice(), out, max)
        },
        rest: () => given = decoder.rest().slice()
      }
    })
  },
  {
    law: 13,
    fault: "a mark stands where nothing has been read yet",
    alsoBreaks: because("it goes on at marks too", 32),
    subject: brokenDecoder((_, settings) => ({ mark: () => soundCodec(settings).decoder().mark!() }))
  },
  {
    law: 13,
    fault: "the second frame and every other one after it is given in capitals, by a decoder without marks",
    alsoBreaks: because("it reads several frames", 1, 5, 6, 10, 14, 17, 22, 24, 25),
    subject: brokenDecoder((decoder) => {
      let count = 0
      const capital = (byte: number) => byte >= 97 && byte < 123 ? byte - 32 : byte
      return {
        ...changing(decoder, (items) => ({
          items: items.map((item) => isSkipped(item) || ++count % 2 > 0 ? item : (item as Uint8Array).map(capital))
        })),
        mark: undefined as never
      }
    })
  }
]
