import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import { PassThrough } from "node:stream"
import { type Message, StreamMessageReader, StreamMessageWriter } from "vscode-jsonrpc/node"
import * as Codec from "../../src/Codec.ts"
import * as ContentLength from "../../src/codec/ContentLength.ts"
import * as Connection from "../../src/Connection.ts"
import { CutShort, EncodeError, Malformed, Skipped, TooLong } from "../../src/FrameError.ts"
import * as Protocol from "../../src/Protocol.ts"
import * as TestTransport from "../../src/TestTransport.ts"
import { InvalidOption } from "../../src/TransportError.ts"
import { bytesOf, frames, reads, readsAndGoesOn, utf8 } from "../support/codecCases.ts"

const of = (options?: ContentLength.Options) => () => ContentLength.codec(options)

const skipping = (onBroken: "skip" | "resync", options?: ContentLength.Options) => () =>
  ContentLength.codec({ ...options, onBroken })

const expects = (expected: string) => new Malformed({ expected })

const after = { input: utf8("Content-Length: 1\r\n\r\nz"), frames: [utf8("z")] }

describe("ContentLength.codec decoding", () => {
  it("reads the example of the language server protocol", () => {
    const body = `{"jsonrpc":"2.0","id":1}`
    readsAndGoesOn(of(), utf8(`Content-Length: ${body.length}\r\n\r\n${body}`), [utf8(body)], after)
  })

  it("counts bytes and not characters", () => {
    readsAndGoesOn(of(), utf8("Content-Length: 5\r\n\r\né€"), [utf8("é€")], after)
  })

  it("reads names in any case, and headers in any order, with or without spaces around a value", () => {
    for (
      const headers of [
        "content-length:2",
        "CONTENT-LENGTH: \t2 ",
        "Content-Length: 0002",
        "Content-Length: 2\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8",
        "Content-Type: application/vscode-jsonrpc; charset=utf8\r\nContent-Length: 2",
        "Content-Type: a/b; charset=\"UTF-8\"\r\nContent-Length: 2",
        "Content-Type: a/b\r\nContent-Length: 2",
        "X-Other: \r\nContent-Length: 2\r\nX: a:b"
      ]
    ) {
      readsAndGoesOn(of(), utf8(`${headers}\r\n\r\nok`), [utf8("ok")], after)
    }
  })

  it("takes a body for bytes, whatever is in it", () => {
    const body = "Content-Length: 3\r\n\r\n\r\n"
    reads(of(), utf8(`Content-Length: ${body.length}\r\n\r\n${body}`), frames(body))
    reads(of(), utf8("Content-Length: 0\r\n\r\nContent-Length: 1\r\n\r\na"), frames("", "a"))
  })

  it("refuses a block without one right length", () => {
    const digits = "a Content-Length in at most 15 decimal digits"
    const cases: ReadonlyArray<readonly [string, string]> = [
      ["\r\n", "a Content-Length"],
      ["Content-Type: a/b\r\n\r\n", "a Content-Length"],
      ["Content-Length: 1\r\nContent-Length: 1\r\n\r\n", "one Content-Length"],
      ["Content-Length: 1\r\ncontent-length: 2\r\n", "one Content-Length"],
      ["Content-Length:\r\n", digits],
      ["Content-Length: -1\r\n", digits],
      ["Content-Length: +1\r\n", digits],
      ["Content-Length: 1.0\r\n", digits],
      ["Content-Length: 0x1\r\n", digits],
      ["Content-Length: 1 2\r\n", digits],
      ["Content-Length: 1, 1\r\n", digits],
      ["Content-Length: 1234567890123456\r\n", digits],
      ["Content-Length : 1\r\n", "a header"],
      ["Content-Length\r\n", "a header"],
      [": 1\r\n", "a header"],
      [" Content-Length: 1\r\n", "a header"],
      ["Content-Length: 1\n", "CR before LF"],
      ["\n", "CR before LF"],
      ["Content-Type: a/b; charset=utf-16\r\nContent-Length: 1\r\n\r\n", "charset=utf-8"]
    ]
    for (const [input, expected] of cases) {
      reads(of(), utf8(input), { frames: [], error: [0, expects(expected)] })
    }
  })

  it("says where the frame begins that is refused", () => {
    reads(of(), bytesOf(after.input, "\r\n"), { ...frames("z"), error: [22, expects("a Content-Length")] })
  })

  it("refuses an input that ends inside of a header or a body", () => {
    for (const cut of ["C", "Content-Length: 2", "Content-Length: 2\r\n\r", "Content-Length: 2\r\n\r\na"]) {
      reads(of(), bytesOf(after.input, cut), { ...frames("z"), error: [22, new CutShort({ bytes: cut.length })] })
    }
  })

  it("bounds the header", () => {
    const bounded = of({ headerBytesMax: 21, frameBytesMax: 9 })
    reads(bounded, utf8("Content-Length: 1\r\n\r\na"), frames("a"))
    const error = [0, expects("the end of a header of at most 21 bytes")] as const
    reads(bounded, utf8("Content-Length:  1\r\n\r\na"), { frames: [], error })
    reads(bounded, utf8("x".repeat(30)), { frames: [], error })
    const { error: byDefault } = Codec.decodeAll(ContentLength.codec(), [utf8("x".repeat(4097))])
    assert.strictEqual(
      byDefault?.message,
      "the frame at byte 0: malformed: the end of a header of at most 4096 bytes expected"
    )
    assert.strictEqual(ContentLength.codec().decoder().decode(utf8("x".repeat(4096)), [], 1), undefined)
  })

  it("bounds the body, at 16 MiB by default", () => {
    const input = utf8("Content-Length: 3\r\n\r\nabcContent-Length: 4\r\n\r\n")
    reads(of({ frameBytesMax: 3 }), input, { ...frames("abc"), error: [24, new TooLong({ max: 3 })] })
    const first = (bytes: number) =>
      ContentLength.codec().decoder().decode(utf8(`Content-Length: ${bytes}\r\n\r\n`), [], 1)?.reason
    assert.isUndefined(first(16_777_216))
    assert.deepStrictEqual(first(16_777_217), new TooLong({ max: 16_777_216 }))
  })

  it("passes over what was printed between frames", () => {
    for (const onBroken of ["skip", "resync"] as const) {
      for (
        const [stray, reason] of [
          ["server started\n", expects("CR before LF")],
          ["a line\r\n", expects("a header")],
          ["no newline ", expects("a header")],
          ["warn:", expects("a Content-Length")],
          ["\r\n", expects("a Content-Length")],
          ["C", expects("a Content-Length")],
          ["Content-", expects("a Content-Length")],
          ["Content-Length: many\r\n", expects("a Content-Length in at most 15 decimal digits")],
          ["Debug: a\n\nContent-\nb\n", expects("CR before LF")]
        ] as const
      ) {
        const bytes = utf8(stray).length
        reads(skipping(onBroken), bytesOf(after.input, stray, after.input), {
          frames: [utf8("z"), new Skipped({ offset: 22, bytes, reason }), utf8("z")]
        })
      }
    }
  })

  it("goes on in any case of letters, and says what was left when nothing came", () => {
    const reason = expects("CR before LF")
    reads(skipping("skip"), utf8("oh\ncontent-LENGTH: 1\r\n\r\na"), {
      frames: [new Skipped({ offset: 0, bytes: 3, reason }), utf8("a")]
    })
    reads(skipping("skip"), utf8("oh\nno\nCont"), { frames: [new Skipped({ offset: 0, bytes: 10, reason })] })
  })

  it("keeps next to nothing of what it passes over", () => {
    const decoder = ContentLength.codec({ onBroken: "resync" }).decoder()
    decoder.decode(utf8("noise\n".repeat(20_000)), [], 9)
    assert.isAtMost(decoder.rest().length, 1)
  })

  it("trusts the length of a body that is too long with skip, and not with resync", () => {
    const inner = "Content-Length: 1\r\n\r\nb"
    const input = utf8(`Content-Length: ${inner.length}\r\n\r\n${inner}Content-Length: 1\r\n\r\nc`)
    const reason = new TooLong({ max: 3 })
    reads(skipping("skip", { frameBytesMax: 3 }), input, {
      frames: [new Skipped({ offset: 0, bytes: 44, reason }), utf8("c")]
    })
    reads(skipping("resync", { frameBytesMax: 3 }), input, {
      frames: [new Skipped({ offset: 0, bytes: 22, reason }), utf8("b"), utf8("c")]
    })
  })

  it("trusts the length of a body in another charset", () => {
    const body = "Content-Length: 1\r\n\r\nb"
    const block = `Content-Length: ${body.length}\r\nContent-Type: a/b; charset=utf-16\r\n\r\n`
    const skipped = new Skipped({ offset: 0, bytes: block.length + body.length, reason: expects("charset=utf-8") })
    reads(skipping("skip"), bytesOf(block, body, after.input), { frames: [skipped, utf8("z")] })
  })

  it("trusts the length of a body that a codec on top refuses", () => {
    const codec = () =>
      Codec.schema(Codec.text(ContentLength.codec({ onBroken: "skip" })), Schema.fromJsonString(Schema.Number))
    const input = utf8("Content-Length: 1\r\n\r\n1Content-Length: 2\r\n\r\n{]Content-Length: 1\r\n\r\n3")
    const { error, frames } = Codec.decodeAll(codec(), [input])
    assert.deepStrictEqual([frames[0], frames[2], error], [1, 3, undefined])
    assert.deepInclude(frames[1], { _tag: "Skipped", offset: 22, bytes: 23 })
  })
})

describe("ContentLength.codec encoding", () => {
  it("writes one header", () => {
    const chunks = Result.getOrThrow(Codec.encodeAll(ContentLength.codec(), [utf8("é"), utf8("")]))
    assert.deepStrictEqual(chunks, [utf8("Content-Length: 2\r\n\r\né"), utf8("Content-Length: 0\r\n\r\n")])
  })

  it("writes a large body by reference", () => {
    const body = new Uint8Array(4097)
    const [header, sent] = Result.getOrThrow(Codec.encodeAll(ContentLength.codec(), [body]))
    assert.deepStrictEqual(header, utf8("Content-Length: 4097\r\n\r\n"))
    assert.strictEqual(sent, body)
  })

  it("refuses a body longer than the limit", () => {
    const encoded = Codec.encodeAll(ContentLength.codec({ frameBytesMax: 3 }), [utf8("abcd")])
    assert.deepStrictEqual(encoded, Result.fail(new EncodeError({ reason: new TooLong({ max: 3 }) })))
  })
})

describe("ContentLength.codec and vscode-jsonrpc", () => {
  const Json = Schema.fromJsonString(Schema.Unknown)
  const codec = Codec.schema(Codec.text(ContentLength.codec()), Json)
  const messages = [
    { jsonrpc: "2.0", id: 1, method: "initialize", params: { rootUri: "file:///é€😀" } },
    { jsonrpc: "2.0", method: "exit" },
    { jsonrpc: "2.0", id: 2, result: "x".repeat(10_000) }
  ]

  it.live("reads what it writes", () =>
    Effect.gen(function*() {
      const stream = new PassThrough()
      const writer = new StreamMessageWriter(stream)
      for (const message of messages) yield* Effect.promise(() => writer.write(message))
      stream.end()
      const chunks: ReadonlyArray<Uint8Array> = yield* Effect.promise(() => stream.toArray())
      assert.deepStrictEqual(Codec.decodeAll(codec, chunks), { frames: messages, error: undefined })
    }))

  it.live("writes what it reads", () =>
    Effect.gen(function*() {
      const stream = new PassThrough()
      const seen: Array<Message> = []
      const all = new Promise<void>((resolve) => {
        new StreamMessageReader(stream).listen((message) => {
          if (seen.push(message) === messages.length) resolve()
        })
      })
      for (const chunk of Result.getOrThrow(Codec.encodeAll(codec, messages))) stream.write(chunk)
      yield* Effect.promise(() => all)
      assert.deepStrictEqual(seen as ReadonlyArray<unknown>, messages)
    }))
})

describe("ContentLength.codec options", () => {
  it("are checked at once", () => {
    for (const wrong of [0, -1, 1.5, Infinity]) {
      assert.throws(() => ContentLength.codec({ frameBytesMax: wrong }), InvalidOption, "frameBytesMax must be")
      assert.throws(() => ContentLength.protocol({ headerBytesMax: wrong }), InvalidOption, "headerBytesMax must be")
    }
  })

  it("leave room for each header that is written", () => {
    const make = (headerBytesMax: number) => ContentLength.codec({ headerBytesMax, frameBytesMax: 10 })
    assert.throws(() => make(21), InvalidOption, "headerBytesMax must be an integer from 22 on")
    const body = utf8("0123456789")
    const out: Array<Uint8Array> = []
    assert.isUndefined(make(22).encode(body, out))
    assert.deepStrictEqual(Codec.decodeAll(make(22), out), { frames: [body], error: undefined })
  })
})

describe("ContentLength.protocol", () => {
  it.effect("carries bodies over a transport", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const here = yield* Protocol.attach(ContentLength.protocol(), a)
      const there = yield* Protocol.attach(ContentLength.protocol(), b)
      yield* here.writeAll(["one", "", "three"].map(utf8))
      for (const text of ["one", "", "three"]) assert.deepStrictEqual(yield* Connection.take(there), utf8(text))
    }))
})
