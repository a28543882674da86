import { Delimited, Fixed, Json, LengthPrefixed, Lines, Netstring } from "effect-transport"
import { describe, test } from "vitest"

describe("options of codecs", () => {
  test("have no others: one that is misspelt does not compile", () => {
    void [
      LengthPrefixed.codec({ width: 2, endianness: "little" }),
      // @ts-expect-error it is called endianness
      LengthPrefixed.codec({ width: 2, endian: "little" }),
      // @ts-expect-error it is called lineBytesMax
      Lines.codec({ onBroken: "skip", frameBytesMax: 3 }),
      // @ts-expect-error it is called frameBytesMax
      Delimited.codec({ delimiter: "x", bytesMax: 10 }),
      // @ts-expect-error the same
      Fixed.protocol({ bytes: 4, frameBytesMax: 3 }),
      // @ts-expect-error the same
      Json.protocol({ onBroken: "skip", max: 10 }),
      // @ts-expect-error the same
      Netstring.codec({ onBroken: "fatal", max: 10 })
    ]
  })
})
