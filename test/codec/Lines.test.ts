import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Result, Schema } from "effect"
import * as Codec from "../../src/Codec.ts"
import * as Lines from "../../src/codec/Lines.ts"
import * as Connection from "../../src/Connection.ts"
import * as FrameError from "../../src/FrameError.ts"
import * as Protocol from "../../src/Protocol.ts"
import * as TestTransport from "../../src/TestTransport.ts"
import { InvalidOption } from "../../src/TransportError.ts"

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

const bytesOf = (input: string | Uint8Array): Uint8Array => typeof input === "string" ? utf8(input) : input

const join = (...chunks: ReadonlyArray<Uint8Array>): Uint8Array =>
  Uint8Array.from(chunks.flatMap((chunk) => [...chunk]))

type Options = Omit<Lines.Options, "onBroken">

interface Outcome {
  readonly lines: ReadonlyArray<string>
  readonly error?: FrameError.DecodeReason | undefined
}

/** Hands a chunk out in memory that is overwritten after the call: what a decoder keeps, it has to copy. */
const lend = <A>(chunk: Uint8Array, f: (chunk: Uint8Array) => A): A => {
  const lent = chunk.slice()
  const result = f(lent)
  lent.fill(0x58)
  return result
}

/** Reads as a connection does: at most `max` frames for each call, and, if it drains, until a call gives fewer. */
const run = (options: Options, chunks: ReadonlyArray<Uint8Array>, max = Infinity, drains = true): Outcome => {
  const decoder = Lines.codec(options).decoder()
  const lines: Array<string> = []
  for (const chunk of chunks) {
    let before = lines.length
    let error = lend(chunk, (lent) => decoder.decode(lent, lines, max))
    while (drains && error === undefined && lines.length - before === max) {
      before = lines.length
      error = decoder.decode(undefined, lines, max)
    }
    assert.isAtMost(lines.length - before, max)
    if (error !== undefined) {
      assert.strictEqual(decoder.decode(utf8("more\n"), lines, max), error)
      assert.strictEqual(decoder.end(lines), error)
      return { lines, error: error.reason }
    }
  }
  const error = decoder.end(lines)
  if (error === undefined) assert.lengthOf(decoder.rest(), 0)
  return { lines, error: error?.reason }
}

const bytewise = (bytes: Uint8Array) => Array.from(bytes, (byte) => Uint8Array.of(byte))

const cutAt = (bytes: Uint8Array, ...cuts: ReadonlyArray<number>) =>
  [...cuts, bytes.length].map((cut, i) => bytes.subarray(i === 0 ? 0 : cuts[i - 1], cut))

/** Every case, in every way in which its bytes can arrive: whole, bytewise, cut at every offset, in batches. */
const reads = (input: string | Uint8Array, expected: Outcome, options: Options = {}): void => {
  const bytes = bytesOf(input)
  const full: Outcome = { lines: expected.lines, error: expected.error }
  const check = (chunks: ReadonlyArray<Uint8Array>, max?: number) =>
    assert.deepStrictEqual(run(options, chunks, max), full)
  check([bytes])
  check(bytewise(bytes))
  for (let cut = 0; cut <= bytes.length; cut++) check(cutAt(bytes, cut))
  for (const max of [1, 2, 3]) {
    check([bytes], max)
    check(bytewise(bytes), max)
    for (let cut = 0; cut <= bytes.length; cut++) check(cutAt(bytes, cut), max)
  }
  assert.deepStrictEqual(decodeAll(options, [bytes]), full)
}

const decodeAll = (options: Options, chunks: ReadonlyArray<Uint8Array>): Outcome => {
  const { error, frames } = Codec.decodeAll(Lines.codec(options), chunks)
  return { lines: frames, error: error?.reason }
}

/** The same with more input behind it, which begins a line of its own. */
const readsAndGoesOn = (input: string | Uint8Array, lines: ReadonlyArray<string>, options: Options = {}) => {
  reads(input, { lines }, options)
  const after = options.newline === "crlf" ? "after\r\nmore" : "after\nmore"
  reads(join(bytesOf(input), utf8(after)), { lines: [...lines, "after", "more"] }, options)
}

describe("Lines.codec decoding", () => {
  it("reads LF and CRLF by default", () => {
    readsAndGoesOn("", [])
    readsAndGoesOn("\n", [""])
    readsAndGoesOn("a\n\r\n\nb\r\n", ["a", "", "", "b"])
    readsAndGoesOn("one\ntwo\r\nthree\n", ["one", "two", "three"])
  })

  it("takes one CR for part of the newline, and any other for text", () => {
    readsAndGoesOn("a\rb\r\r\n\rc\n", ["a\rb\r", "\rc"])
  })

  it("keeps the CR with newline lf", () => {
    readsAndGoesOn("a\r\nb\n\r\n", ["a\r", "b", "\r"], { newline: "lf" })
  })

  it("keeps a lone LF or CR with newline crlf", () => {
    readsAndGoesOn("a\nb\r\n\n\r\n\r\r\n\r\n", ["a\nb", "\n", "\r", ""], { newline: "crlf" })
  })

  it("puts characters together that were cut", () => {
    readsAndGoesOn("é\n€uro\n😀😀\r\n\uFEFFmark\n", ["é", "€uro", "😀😀", "\uFEFFmark"])
    readsAndGoesOn("é\n€uro\r\n😀\r\n", ["é\n€uro", "😀"], { newline: "crlf" })
  })

  it("gives a tail without newline as the last line", () => {
    reads("a\nb", { lines: ["a", "b"] })
    reads("a\nb\r", { lines: ["a", "b\r"] })
    reads("a\r\nb\n", { lines: ["a", "b\n"] }, { newline: "crlf" })
    reads("é", { lines: ["é"] })
  })

  it("refuses a tail without newline where tail is error", () => {
    const options = { tail: "error" } as const
    reads("a\nb\n", { lines: ["a", "b"] }, options)
    assert.deepStrictEqual(decodeAll(options, [utf8("a\nbcd")]), {
      lines: ["a"],
      error: new FrameError.CutShort({ bytes: 3 })
    })
    assert.deepStrictEqual(decodeAll(options, bytewise(utf8("a\nbcd"))), decodeAll(options, [utf8("a\nbcd")]))
  })

  it("fails at bytes that are not UTF-8, after the lines before them", () => {
    const error = new FrameError.NotUtf8()
    for (const bad of [[0xff], [0xc3], [0xe2, 0x82], [0xed, 0xa0, 0x80], [0xc0, 0xaf], [0xf5, 0x80, 0x80, 0x80]]) {
      reads(join(utf8("a\né\n"), Uint8Array.from(bad), utf8("\nb\nc")), { lines: ["a", "é"], error })
      reads(join(utf8("a\r\n"), Uint8Array.from(bad), utf8("\r\nb")), { lines: ["a"], error }, { newline: "crlf" })
    }
    assert.deepStrictEqual(decodeAll({}, [utf8("a\n"), Uint8Array.of(0xc3)]), { lines: ["a"], error })
  })

  it("takes a line of exactly the limit, counted in bytes without the newline", () => {
    readsAndGoesOn("123456\n12345\r\n123456\r\nééé\n", ["123456", "12345", "123456", "ééé"], { lineBytesMax: 6 })
    readsAndGoesOn("123456\r\n12345\n\r\n", ["123456", "12345\n"], { lineBytesMax: 6, newline: "crlf" })
    reads("a\n123456", { lines: ["a", "123456"] }, { lineBytesMax: 6 })
  })

  it("fails at a longer one, after the lines before it", () => {
    const error = new FrameError.TooLong({ max: 6 })
    for (const long of ["1234567", "123456\r", "1234567\r", "ééé1", "é€é"]) {
      reads(`ok\né\n${long}x\nb\n`, { lines: ["ok", "é"], error }, { lineBytesMax: 6 })
      reads(`ok\n${long}\ra\n\r\r\n`, { lines: ["ok"], error }, { lineBytesMax: 6 })
    }
    reads("ok\n1234567\nb\n", { lines: ["ok"], error }, { lineBytesMax: 6 })
    reads("123456\r\n", { lines: [], error }, { lineBytesMax: 6, newline: "lf" })
    reads("ab\r\n12345\n6\r\n", { lines: ["ab"], error }, { lineBytesMax: 6, newline: "crlf" })
    assert.deepStrictEqual(decodeAll({ lineBytesMax: 6 }, [utf8("a\n123456\r")]), { lines: ["a"], error })
  })

  it("fails at the limit and not at the newline", () => {
    const decoder = Lines.codec({ lineBytesMax: 4 }).decoder()
    const lines: Array<string> = []
    for (const byte of utf8("1234")) assert.isUndefined(decoder.decode(Uint8Array.of(byte), lines, 1))
    assert.deepStrictEqual(decoder.decode(utf8("5"), lines, 1)?.reason, new FrameError.TooLong({ max: 4 }))
  })

  it("has a limit of 64 KiB by default", () => {
    const line = "x".repeat(65_536)
    assert.deepStrictEqual(run({}, [utf8(`${line}\n${line}\r\n`)]).lines, [line, line])
    assert.deepStrictEqual(run({}, [utf8(line), utf8("x")]).error, new FrameError.TooLong({ max: 65_536 }))
  })

  it("gives no more than max lines and keeps the rest", () => {
    const decoder = Lines.codec().decoder()
    const lines: Array<string> = []
    decoder.decode(utf8("1\n2\n3\n4\n5"), lines, 2)
    assert.deepStrictEqual(lines, ["1", "2"])
    decoder.decode(utf8("\n6\n"), lines, 1)
    assert.deepStrictEqual(lines, ["1", "2", "3"])
    assert.deepStrictEqual(decoder.rest(), utf8("4\n5\n6\n"))
    assert.lengthOf(decoder.rest(), 0)
    decoder.decode(utf8("7\n"), lines, 9)
    assert.deepStrictEqual(lines, ["1", "2", "3", "7"])
  })

  it("keeps the rest of many chunks, and no newline of it is overlooked", () => {
    const decoder = Lines.codec().decoder()
    const lines: Array<string> = []
    const long = "x".repeat(100)
    decoder.decode(utf8("1\n\n\n"), lines, 1)
    decoder.decode(utf8(`4\n${long}\n`), lines, 1)
    decoder.decode(utf8(""), lines, 1)
    assert.deepStrictEqual(lines, ["1", "", ""])
    decoder.decode(undefined, lines, 9)
    assert.deepStrictEqual(lines, ["1", "", "", "4", long])
  })

  it("gives what it was not asked for at the end", () => {
    const decoder = Lines.codec().decoder()
    const lines: Array<string> = []
    decoder.decode(utf8("1\n2\n3"), lines, 1)
    assert.isUndefined(decoder.end(lines))
    assert.deepStrictEqual(lines, ["1", "2", "3"])
  })

  it("decodes what rest gave up as if nothing had happened", () => {
    const bytes = utf8("one\r\ntwo\n\nthré\nfour")
    for (let cut = 0; cut <= bytes.length; cut++) {
      const decoder = Lines.codec().decoder()
      const lines: Array<string> = []
      decoder.decode(bytes.subarray(0, cut), lines, 2)
      decoder.decode(decoder.rest(), lines, 2)
      decoder.decode(decoder.rest(), lines, 0)
      decoder.decode(bytes.subarray(cut), lines, Infinity)
      decoder.end(lines)
      assert.deepStrictEqual(lines, ["one", "two", "", "thré", "four"])
    }
  })

  it("leaves what rest gave up alone", () => {
    const decoder = Lines.codec().decoder()
    decoder.decode(utf8("one"), [], 9)
    const rest = decoder.rest()
    decoder.decode(utf8("two"), [], 9)
    assert.strictEqual(new TextDecoder().decode(rest), "one")
  })

  it("does not keep the memory of a long line", () => {
    const decoder = Lines.codec().decoder()
    decoder.decode(utf8("x".repeat(30_000)), [], 9)
    decoder.decode(utf8("\nshort"), [], 9)
    assert.isAtMost(decoder.rest().buffer.byteLength, 1024)
  })

  it("gives up the bytes from the line at fault on", () => {
    for (const chunks of [[utf8("a\n12345\nb\n")], bytewise(utf8("a\n12345"))]) {
      const decoder = Lines.codec({ lineBytesMax: 4 }).decoder()
      for (const chunk of chunks) decoder.decode(chunk, [], 9)
      assert.strictEqual(new TextDecoder().decode(decoder.rest()).slice(0, 5), "12345")
    }
  })

  const piece = Arbitrary.schema(
    Schema.Literals(["\n", "\r", "\r\n", "a", "é", "€", "😀", "x".repeat(70), "\n\n", "\u{FEFF}"])
  )
  const input = Arbitrary.map(Arbitrary.array(piece, { maxLength: 30 }), (pieces) => utf8(pieces.join("")))
  const noise = Arbitrary.schema(Schema.Literals([10, 13, 65, 0x80, 0xc3, 0xa9, 0xff]))
  const noisyInput = Arbitrary.map(Arbitrary.array(noise, { maxLength: 30 }), (bytes) => Uint8Array.from(bytes))
  const cuts = Arbitrary.array(Arbitrary.schema(Schema.Literals(Array.from({ length: 30 }, (_, i) => i))))
  const newline = Arbitrary.schema(Schema.Literals(["any", "lf", "crlf"]))
  const few = Arbitrary.schema(Schema.Literals([1, 2, 3, 7, 1_000_000]))
  const lineBytesMax = Arbitrary.schema(Schema.Literals([1, 2, 3, 5, 8, 65_536]))

  const sorted = (bytes: Uint8Array, cuts: ReadonlyArray<number>) =>
    cuts.filter((cut) => cut <= bytes.length).sort((a, b) => a - b)

  it.prop(
    "reads the same lines however text is cut",
    { bytes: input, cuts, newline, lineBytesMax, few, drains: Schema.Boolean },
    ({ bytes, cuts, drains, few, lineBytesMax, newline }) => {
      const options = { newline, lineBytesMax }
      assert.deepStrictEqual(run(options, cutAt(bytes, ...sorted(bytes, cuts)), few, drains), model(options, bytes))
    },
    { arbitrary: { runs: 500 } }
  )

  it.prop(
    "reads the same lines however noise is cut",
    { bytes: noisyInput, cuts, newline, lineBytesMax, few, drains: Schema.Boolean },
    ({ bytes, cuts, drains, few, lineBytesMax, newline }) => {
      const options = { newline, lineBytesMax }
      assert.deepStrictEqual(run(options, cutAt(bytes, ...sorted(bytes, cuts)), few, drains), model(options, bytes))
    },
    { arbitrary: { runs: 500 } }
  )

  it("looks at each byte of a line a bounded number of times, however it is cut", () => {
    const input = utf8(`${"x".repeat(4000)}\n`)
    for (const bytes of [1, 7, 1000]) {
      const chunks = Array.from(
        { length: Math.ceil(input.length / bytes) },
        (_, i) => input.subarray(i * bytes, (i + 1) * bytes)
      )
      assert.isBelow(touched(() => run({}, chunks)), 8 * input.length)
    }
  })

  it("looks at each byte of many lines a bounded number of times, however many are asked for", () => {
    const noise = join(utf8("short line\n".repeat(500)), Uint8Array.of(0xff, 10))
    const text = utf8("short line\r\nétroit\n".repeat(250))
    for (const [input, max] of [1, 16, 1024, Infinity].flatMap((max) => [[noise, max], [text, max]] as const)) {
      assert.isBelow(touched(() => run({}, [input], max)), 12 * input.length)
      assert.isBelow(touched(() => run({}, bytewise(input), max)), 12 * input.length)
    }
  })
})

/** The rule itself, without regard to speed or to how the bytes arrive. */
const model = (options: Required<Pick<Options, "newline" | "lineBytesMax">>, bytes: Uint8Array): Outcome => {
  const lines: Array<string> = []
  const max = options.lineBytesMax!
  let from = 0
  for (let i = 0; i <= bytes.length; i++) {
    if (i < bytes.length && !(bytes[i] === 10 && (options.newline !== "crlf" || (i > from && bytes[i - 1] === 13)))) {
      continue
    }
    const isTail = i === bytes.length
    if (isTail && from === i) break
    const end = !isTail && options.newline !== "lf" && i > from && bytes[i - 1] === 13 ? i - 1 : i
    if (end - from > max) return { lines, error: new FrameError.TooLong({ max }) }
    try {
      lines.push(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.subarray(from, end)))
    } catch {
      return { lines, error: new FrameError.NotUtf8() }
    }
    from = i + 1
  }
  return { lines, error: undefined }
}

/** How many bytes are searched, copied or decoded while `f` runs. */
const touched = (f: () => void): number => {
  const prototype = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array
  const { indexOf, lastIndexOf, set } = prototype
  const { decode } = TextDecoder.prototype
  let bytes = 0
  prototype.indexOf = function(this: Uint8Array, value, from = 0) {
    const found = indexOf.call(this, value, from)
    bytes += (found < 0 ? this.length : found + 1) - from
    return found
  }
  prototype.lastIndexOf = function(this: Uint8Array, value, from = this.length - 1) {
    const found = lastIndexOf.call(this, value, from)
    bytes += from - found
    return found
  }
  prototype.set = function(this: Uint8Array, source, offset) {
    bytes += source.length
    set.call(this, source, offset)
  }
  TextDecoder.prototype.decode = function(input, options) {
    bytes += (input as Uint8Array).length
    return decode.call(this, input, options)
  }
  try {
    f()
  } finally {
    Object.assign(prototype, { indexOf, lastIndexOf, set })
    TextDecoder.prototype.decode = decode
  }
  return bytes
}

describe("Lines.codec encoding", () => {
  const encode = (line: string, options?: Options) =>
    Result.map(
      Codec.encodeAll(Lines.codec(options), [line]),
      (chunks) => chunks.map((chunk) => new TextDecoder().decode(chunk))
    )
  const refused = (reason: FrameError.EncodeReason) => Result.fail(new FrameError.EncodeError({ reason }))
  const breaksLine = refused(new FrameError.ContainsDelimiter())
  const tooLong = (max = 65_536) => refused(new FrameError.TooLong({ max }))

  it("ends a line with LF, or with CRLF where that is the newline", () => {
    assert.deepStrictEqual(encode("é€😀"), Result.succeed(["é€😀\n"]))
    assert.deepStrictEqual(encode("", { newline: "lf" }), Result.succeed(["\n"]))
    assert.deepStrictEqual(encode("abc", { newline: "crlf" }), Result.succeed(["abc\r\n"]))
  })

  it("refuses a line that would be read as another", () => {
    for (const newline of ["any", "lf", "crlf"] as const) {
      for (const line of ["a\nb", "\n", "a\r\nb", "a\n"]) {
        assert.deepStrictEqual(encode(line, { newline }), breaksLine)
      }
    }
    assert.deepStrictEqual(encode("a\r"), breaksLine)
    assert.deepStrictEqual(encode("a\rb", { newline: "crlf" }), breaksLine)
  })

  it("takes a CR that is text to the reader", () => {
    assert.deepStrictEqual(encode("a\rb"), Result.succeed(["a\rb\n"]))
    assert.deepStrictEqual(encode("a\r", { newline: "lf" }), Result.succeed(["a\r\n"]))
  })

  it("refuses a line longer than the limit, counted in bytes", () => {
    const options = { lineBytesMax: 6 }
    assert.deepStrictEqual(encode("123456", options), Result.succeed(["123456\n"]))
    assert.deepStrictEqual(encode("ééé", options), Result.succeed(["ééé\n"]))
    assert.deepStrictEqual(encode("1234567", options), tooLong(6))
    assert.deepStrictEqual(encode("éééé", options), tooLong(6))
    assert.deepStrictEqual(encode("x".repeat(65_537)), tooLong())
    assert.isTrue(Result.isSuccess(encode("x".repeat(65_536))))
  })

  it("refuses half of a surrogate pair", () => {
    assert.deepStrictEqual(encode("a\uD83D"), refused(new FrameError.NotUtf8()))
    assert.deepStrictEqual(encode("\uDE00\uD83D"), refused(new FrameError.NotUtf8()))
  })

  it("never gives the same memory twice", () => {
    const lines = Array.from({ length: 2000 }, (_, i) => `${i} é ${"x".repeat(i % 200)}`)
    const chunks = Result.getOrThrow(Codec.encodeAll(Lines.codec(), lines))
    assert.lengthOf(chunks, lines.length)
    assert.deepStrictEqual(chunks.map((chunk) => new TextDecoder().decode(chunk)), lines.map((line) => `${line}\n`))
  })

  const character = Arbitrary.schema(
    Schema.Literals(["\n", "\r", "a", "é", "€", "😀", "\uD83D", "\uFEFF", "z".repeat(9)])
  )
  const line = Arbitrary.map(Arbitrary.array(character, { maxLength: 12 }), (characters) => characters.join(""))
  const newline = Arbitrary.schema(Schema.Literals(["any", "lf", "crlf"]))

  it.prop("is read back as it was, or refused", { lines: Arbitrary.array(line), newline }, ({ lines, newline }) => {
    const codec = Lines.codec({ newline, lineBytesMax: 20 })
    const accepted = lines.filter((line) => Result.isSuccess(Codec.encodeAll(codec, [line])))
    const chunks = Result.getOrThrow(Codec.encodeAll(codec, accepted))
    assert.deepStrictEqual(Codec.decodeAll(codec, chunks), { frames: accepted, error: undefined })
  })
})

describe("Lines.codec options", () => {
  it("are checked at once", () => {
    for (const lineBytesMax of [0, -1, 1.5, Number.NaN, Infinity]) {
      assert.throws(() => Lines.codec({ lineBytesMax }), InvalidOption, "lineBytesMax must be a positive integer")
      assert.throws(() => Lines.protocol({ lineBytesMax }), InvalidOption)
    }
    assert.throws(() => Lines.codec({ newline: "cr" as "lf" }), `newline must be "any" or "lf" or "crlf", and is "cr"`)
    assert.throws(() => Lines.codec({ tail: "drop" as "line" }), InvalidOption)
  })
})

describe("Lines.protocol", () => {
  it.effect("carries lines over a transport", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const here = yield* Protocol.attach(Lines.protocol({ newline: "crlf" }), a)
      const there = yield* Protocol.attach(Lines.protocol(), b)
      yield* here.writeAll(["one", "two", "thrée"])
      assert.strictEqual(yield* Connection.take(there), "one")
      assert.strictEqual(yield* Connection.take(there), "two")
      assert.strictEqual(yield* Connection.take(there), "thrée")
      const error = yield* Effect.flip(here.write("a\nb"))
      assert.deepStrictEqual(error, new FrameError.EncodeError({ reason: new FrameError.ContainsDelimiter() }))
    }))
})
