import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Result, Schema } from "effect"
import * as Codec from "../../src/Codec.ts"
import * as Json from "../../src/codec/Json.ts"
import * as Connection from "../../src/Connection.ts"
import { CutShort, EncodeError, Invalid, NotUtf8, Skipped, TooLong } from "../../src/FrameError.ts"
import { Found } from "../../src/internal/framer.ts"
import * as Protocol from "../../src/Protocol.ts"
import * as TestTransport from "../../src/TestTransport.ts"
import { InvalidOption } from "../../src/TransportError.ts"
import { bytesOf, reads, utf8 } from "../support/codecCases.ts"

const of = (options?: Json.Options) => () => Json.codec(options)

const encode = (value: unknown, options?: Json.Options) =>
  Result.map(
    Codec.encodeAll(Json.codec(options), [value]),
    (chunks) => chunks.map((chunk) => new TextDecoder().decode(chunk))
  )

/** What JSON.parse says of a text. */
const unparsable = (text: string): Invalid => {
  const cause = Result.try({ try: () => JSON.parse(text), catch: (error) => error as SyntaxError })
  if (Result.isSuccess(cause)) return assert.fail(`${text} parses`)
  return new Invalid({ detail: cause.failure.message, cause: cause.failure })
}

const none = { separator: "none" } as const

describe("Json.codec decoding lines", () => {
  it("reads one value on each line", () => {
    reads(of(), utf8("{\"a\":1}\n[1, 2]\r\n\"é😀\"\n-1.5e3\ntrue\nnull\n"), {
      frames: [{ a: 1 }, [1, 2], "é😀", -1500, true, null]
    })
  })

  it("ignores lines of nothing else than white space, and white space around a value", () => {
    reads(of(), utf8("\n\r\n \t\n  1 \n\n\n2\n \n"), { frames: [1, 2] })
    const { error, frames } = Codec.decodeAll(Json.codec({ frameBytesMax: 4 }), [utf8("\n ".repeat(500)), utf8("1\n")])
    assert.deepStrictEqual([frames, error], [[1], undefined])
  })

  it("takes a last value without newline", () => {
    reads(of(), utf8("1\n23"), { frames: [1, 23] })
    reads(of(), utf8("1\n{\"a\":\"}\"}\r"), { frames: [1, { a: "}" }] })
  })

  it("refuses an input that ends inside of a value", () => {
    for (const cut of ["{", "{\"a\":1", "[[]", "\"a", "\"\\\"", "{\"a\":\"}"]) {
      reads(of(), utf8(`1\n${cut}`), { frames: [1], error: [2, new CutShort({ bytes: cut.length })] })
      reads(of(none), utf8(`1\n${cut}`), { frames: [1], error: [2, new CutShort({ bytes: cut.length })] })
    }
  })

  it("refuses what does not parse, with the error of the parser as cause", () => {
    for (const line of ["{]", "1 2", "{}{}", "tru", "01", "\uFEFF1", "{\"a\":1,}", "NaN", "'a'"]) {
      reads(of(), utf8(` 1\n ${line}\n2\n`), { frames: [1], error: [4, unparsable(line)] })
    }
    const { error } = Codec.decodeAll(Json.codec(), [utf8("nope\n")])
    assert.isTrue(error?.reason._tag === "Invalid" && error.reason.cause instanceof SyntaxError)
  })

  it("refuses what is not UTF-8", () => {
    reads(of(), bytesOf("1\n\"", [0xff], "\"\n"), { frames: [1], error: [2, new NotUtf8()] })
    reads(of(none), bytesOf("1 \"", [0xc3], "\""), { frames: [1], error: [2, new NotUtf8()] })
  })

  it("takes a line of exactly the limit, and fails at a longer one", () => {
    const error = [7, new TooLong({ max: 5 })] as const
    reads(of({ frameBytesMax: 5 }), utf8("\"abc\"\r\n\"abcd\"\n"), { frames: ["abc"], error })
    reads(of({ frameBytesMax: 5 }), utf8("\"abc\"\n\n\"abcd\""), { frames: ["abc"], error })
    reads(of({ frameBytesMax: 5 }), utf8("12345\r"), { frames: [12_345] })
    reads(of({ frameBytesMax: 5 }), utf8("1234\r6"), { frames: [], error: [0, new TooLong({ max: 5 })] })
  })

  it("goes on at the next line", () => {
    const input = utf8("1\n{]\n2\n\"abcdefghi\"\n3\n{")
    for (const onBroken of ["skip", "resync"] as const) {
      const skipped = [
        new Skipped({ offset: 2, bytes: 3, reason: unparsable("{]") }),
        new Skipped({ offset: 7, bytes: 12, reason: new TooLong({ max: 5 }) }),
        new Skipped({ offset: 21, bytes: 1, reason: new CutShort({ bytes: 1 }) })
      ]
      reads(() => Json.codec({ frameBytesMax: 5, onBroken }), input, {
        frames: [1, skipped[0], 2, skipped[1], 3, skipped[2]]
      })
    }
  })
})

describe("Json.codec decoding without separator", () => {
  it("reads values that follow each other directly", () => {
    reads(of(none), utf8("{}{}[]\"a\"1 2"), { frames: [{}, {}, [], "a", 1, 2] })
    reads(of(none), utf8("1{\"a\":[1,{}]}true\"b\"null[[]]-5"), {
      frames: [1, { a: [1, {}] }, true, "b", null, [[]], -5]
    })
  })

  it("reads values over several lines, with any white space between them", () => {
    reads(of(none), utf8(" \n{\n  \"a\": [\n 1 ]\n}\r\n\t\t[\n]\n"), { frames: [{ a: [1] }, []] })
  })

  it("takes no sign inside of a string for structure", () => {
    const values = ["}", "{[", "\\", "\"", "\\\"", "a\\", "\\\\\"]", { "}\"": "{" }, ["\\", "]"]]
    reads(of(none), utf8(values.map((value) => JSON.stringify(value)).join("")), { frames: values })
  })

  it("does not end a number or a word before something follows", () => {
    const decoder = Json.codec(none).decoder()
    const values: Array<unknown> = []
    for (const part of ["1", "2", "3"]) decoder.decode(utf8(part), values, 9)
    assert.deepStrictEqual(values, [])
    decoder.decode(utf8("\n"), values, 9)
    assert.deepStrictEqual(values, [123])
    decoder.decode(utf8("tr"), values, 9)
    decoder.decode(utf8("ue"), values, 9)
    decoder.end(values)
    assert.deepStrictEqual(values, [123, true])
  })

  it("ends a string or a bracket at once", () => {
    for (const text of ["{}", "[1]", "\"a\""]) {
      const values: Array<unknown> = []
      Json.codec(none).decoder().decode(utf8(text), values, 9)
      assert.lengthOf(values, 1)
    }
  })

  it("refuses what is no value", () => {
    for (
      const [input, broken] of [["1 } 2", "}"], ["1 , 2", ","], ["1 :", ":"], ["1 truefalse ", "truefalse"]] as const
    ) {
      reads(of(none), utf8(input), { frames: [1], error: [2, unparsable(broken)] })
    }
    reads(of(none), utf8("{}[}{}"), { frames: [{}], error: [2, unparsable("[}")] })
  })

  it("takes a value of exactly the limit, and fails at a longer one", () => {
    const options = { ...none, frameBytesMax: 5 }
    const error = (offset: number) => [offset, new TooLong({ max: 5 })] as const
    reads(of(options), utf8("\"abc\"[1,2]12345 123456 "), { frames: ["abc", [1, 2], 12_345], error: error(16) })
    reads(of(options), utf8("{} [1,23]{}"), { frames: [{}], error: error(3) })
    reads(of(options), utf8("[[[[[["), { frames: [], error: error(0) })
    reads(of(options), utf8("12345"), { frames: [12_345] })
  })

  it("goes on behind a broken value with skip, though it is too long to be kept", () => {
    const options = { ...none, frameBytesMax: 8, onBroken: "skip" } as const
    const long = "[\"}]\\\"\",[1,2,3],{\"a\":\"long\"}]"
    const input = utf8(`1{]{"a":2}${long}"b"1234567890,3`)
    const reason = new TooLong({ max: 8 })
    const skipped = [
      new Skipped({ offset: 1, bytes: 2, reason: unparsable("{]") }),
      new Skipped({ offset: 10, bytes: long.length, reason }),
      new Skipped({ offset: 13 + long.length, bytes: 10, reason }),
      new Skipped({ offset: 23 + long.length, bytes: 1, reason: unparsable(",") })
    ]
    reads(() => Json.codec(options), input, {
      frames: [1, skipped[0], { a: 2 }, skipped[1], "b", skipped[2], skipped[3], 3]
    })
  })

  it("goes on behind the next newline with resync", () => {
    const options = { ...none, frameBytesMax: 8, onBroken: "resync" } as const
    const input = utf8("1{]2 3\n4[1,2,3,4,5\n5]\"6")
    const skipped = [
      new Skipped({ offset: 1, bytes: 6, reason: unparsable("{]") }),
      new Skipped({ offset: 8, bytes: 11, reason: new TooLong({ max: 8 }) }),
      new Skipped({ offset: 20, bytes: 3, reason: unparsable("]") })
    ]
    reads(() => Json.codec(options), input, { frames: [1, skipped[0], 4, skipped[1], 5, skipped[2]] })
  })

  it("looks at each byte a bounded number of times, in pieces of any size", () => {
    const bytes = utf8(JSON.stringify([Array.from({ length: 300 }, (_, i) => `${i}\\`)]))
    let to = 0
    let read = 0
    const counted = new Proxy(bytes, {
      get: (target, key) => {
        if (key === "length") return to
        read++
        return Reflect.get(target, key)
      }
    })
    const finder = Json.codec(none).framing.finder()
    const found: Codec.Found = new Found()
    let searched = 0
    for (to = 1; to <= bytes.length; to++) {
      finder.find(counted, 0, searched, found)
      searched = found.searched
    }
    assert.strictEqual(found.verdict, "frame")
    assert.isBelow(read, 2 * bytes.length)
  })

  it("goes on with another decoder inside of a value that it passes over", () => {
    const options = { ...none, frameBytesMax: 8, onBroken: "skip" } as const
    const codec = Json.codec(options)
    const decoder = codec.decoder()
    const items: Array<unknown> = []
    decoder.decode(utf8("[\"a\",\"\\"), items, 9)
    decoder.decode(utf8("\"bc\\"), items, 9)
    assert.lengthOf(decoder.rest(), 0)
    const other = codec.decoder(decoder.mark!())
    other.decode(utf8("\"]\"]{}"), items, 9)
    assert.deepStrictEqual(items, [new Skipped({ offset: 0, bytes: 15, reason: new TooLong({ max: 8 }) }), {}])
  })
})

describe("Json.codec encoding", () => {
  it("writes a newline behind each value", () => {
    for (
      const [value, text] of [[{ a: [1] }, "{\"a\":[1]}"], ["a\nb", "\"a\\nb\""], [1, "1"], [null, "null"]] as const
    ) {
      assert.deepStrictEqual(encode(value), Result.succeed([`${text}\n`]))
    }
  })

  it("writes it only behind numbers and words without separator", () => {
    const written = [[{}, "{}"], [[1], "[1]"], ["1", "\"1\""], [1, "1\n"], [true, "true\n"], [null, "null\n"]] as const
    for (const [value, text] of written) assert.deepStrictEqual(encode(value, none), Result.succeed([text]))
  })

  it("refuses what is no JSON", () => {
    const cycle: Record<string, unknown> = {}
    cycle.cycle = cycle
    const values: ReadonlyArray<readonly [unknown, RegExp]> = [
      [undefined, /^undefined is no JSON$/],
      [() => 1, /^function is no JSON$/],
      [Symbol("a"), /^symbol is no JSON$/],
      [Number.NaN, /^NaN is no JSON$/],
      [-Infinity, /^-Infinity is no JSON$/],
      [{ toJSON: () => undefined }, /^object is no JSON$/],
      [cycle, /circular/],
      [1n, /BigInt/],
      [{ a: 1n }, /BigInt/]
    ]
    for (const [value, detail] of values) {
      const out: Array<Uint8Array> = []
      const error = Json.codec().encode(value, out)
      assert.match(error?.reason.message ?? "", detail)
      assert.strictEqual(error?.reason._tag, "Invalid")
      assert.lengthOf(out, 0)
    }
    const thrown = Json.codec().encode(cycle, [])?.reason
    assert.isTrue(thrown?._tag === "Invalid" && thrown.cause instanceof TypeError)
  })

  it("refuses a value longer than the limit, counted in bytes", () => {
    const refused = Result.fail(new EncodeError({ reason: new TooLong({ max: 4 }) }))
    for (const separator of ["newline", "none"] as const) {
      const options = { separator, frameBytesMax: 4 }
      assert.deepStrictEqual(encode("abc", options), refused)
      assert.deepStrictEqual(encode("é1", options), refused)
      assert.deepStrictEqual(encode(12_345, options), refused)
      assert.isTrue(Result.isSuccess(encode("é", options)))
      assert.isTrue(Result.isSuccess(encode(1234, options)))
    }
  })

  const leaves = [0, -1, 1.5, 1e300, true, false, null, "", "a\nb", "\\\"", "é😀", "\uD83D", "}{][,:"]
  const leaf = Arbitrary.map(Arbitrary.schema(Schema.Literals(leaves.map((_, i) => i))), (i) => leaves[i])
  const list = Arbitrary.array(leaf, { maxLength: 4 })
  const values = Arbitrary.array(
    Arbitrary.map(list, (list) => list.length === 1 ? list[0] : list.length === 2 ? list : { [`${list[0]}`]: list }),
    { maxLength: 6 }
  )

  it.prop(
    "is read back as it was, whatever stands between values",
    { values, separator: Arbitrary.schema(Schema.Literals(["newline", "none"])) },
    ({ separator, values }) => {
      const codec = Json.codec({ separator })
      const bytes = bytesOf(...Result.getOrThrow(Codec.encodeAll(codec, values)))
      for (const size of [1, 7, 1000]) {
        const chunks = Array.from(
          { length: Math.ceil(bytes.length / size) },
          (_, i) => bytes.subarray(i * size, (i + 1) * size)
        )
        assert.deepStrictEqual(Codec.decodeAll(codec, chunks), { frames: values, error: undefined })
      }
    }
  )
})

describe("Json.codec with a schema on top", () => {
  const Reading = Schema.Struct({ celsius: Schema.NumberFromString })

  it("reads and writes what the schema says", () => {
    const codec = Codec.schema(Json.codec(), Reading)
    assert.deepStrictEqual(
      Result.getOrThrow(Codec.encodeAll(codec, [{ celsius: 21 }])),
      [utf8("{\"celsius\":\"21\"}\n")]
    )
    reads(() => codec, utf8("{\"celsius\":\"21\"}\n\n{\"celsius\":\"-1\"}"), {
      frames: [{ celsius: 21 }, { celsius: -1 }]
    })
  })

  it("has broken frames for values that the schema refuses, and for what does not parse", () => {
    const codec = Codec.schema(Json.codec({ onBroken: "skip" }), Reading)
    const { error, frames } = Codec.decodeAll(codec, [utf8("{\"celsius\":1}\nnoise\n{\"celsius\":\"2\"}\n")])
    assert.deepStrictEqual([frames[2], frames.length, error], [{ celsius: 2 }, 3, undefined])
    assert.deepInclude(frames[0], { offset: 0, bytes: 14 })
    assert.deepInclude(frames[1], { offset: 14, bytes: 6 })
  })
})

describe("Json.codec options", () => {
  it("are checked at once", () => {
    for (const frameBytesMax of [0, -1, 1.5, Infinity]) {
      assert.throws(() => Json.codec({ frameBytesMax }), InvalidOption, "frameBytesMax must be a positive integer")
    }
    assert.throws(() => Json.protocol({ separator: "comma" as "none" }), InvalidOption, "separator must be")
  })
})

describe("Json.protocol", () => {
  it.effect("carries values over a transport", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const here = yield* Protocol.attach(Json.protocol(), a)
      const there = yield* Protocol.attach(Json.protocol(none), b)
      yield* here.writeAll([1, { a: "\n" }])
      assert.deepStrictEqual(yield* Connection.take(there), 1)
      assert.deepStrictEqual(yield* Connection.take(there), { a: "\n" })
    }))
})
