import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Logger, Option, Pull, Scheduler, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Codec from "../src/Codec.ts"
import * as LengthPrefixed from "../src/codec/LengthPrefixed.ts"
import * as Lines from "../src/codec/Lines.ts"
import * as Connection from "../src/Connection.ts"
import * as FrameError from "../src/FrameError.ts"
import * as Protocol from "../src/Protocol.ts"
import * as TestTransport from "../src/TestTransport.ts"
import type * as Transport from "../src/Transport.ts"
import { Busy, Closed, InvalidOption, Reset, TransportError } from "../src/TransportError.ts"
import { Stepper } from "./support/stepper.ts"

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

const send = (transport: Transport.Transport, ...texts: ReadonlyArray<string>) =>
  Effect.forEach(texts, (text) => Effect.andThen(transport.write(utf8(text)), transport.flush), { discard: true })

/** One end with lines on it, and the raw other end. */
const linesPair = (options?: Omit<Lines.Options, "onBroken">) =>
  Effect.gen(function*() {
    const [a, b] = yield* TestTransport.pair()
    return [yield* Protocol.attach(Lines.protocol(options), a), b, a] as const
  })

const drained = <A, E>(pull: Pull.Pull<A, E>): Effect.Effect<ReadonlyArray<A | "end">, E> =>
  Effect.gen(function*() {
    const all: Array<A | "end"> = []
    while (all.at(-1) !== "end") all.push(yield* Pull.catchDone(pull, () => Effect.succeed("end" as const)))
    return all
  }) as Effect.Effect<ReadonlyArray<A | "end">, E>

const failureOf = <E>(exit: Exit.Exit<unknown, E>): E =>
  Option.getOrThrow(Cause.findErrorOption(Option.getOrThrow(Exit.getCause(exit))))

const reasonOf = <A, E>(self: Effect.Effect<A, E>): Effect.Effect<unknown> =>
  Effect.map(Effect.exit(self), (exit) => {
    const error = failureOf(exit)
    return error instanceof TransportError ? error.reason : error
  })

const busy = new Busy({ what: "reader" })

/** Each byte is a frame, and 0 is an error. */
const digits: Codec.Codec<number, number, "zero", "refused"> = {
  decoder: () => {
    let kept: ReadonlyArray<number> = []
    return {
      aliases: false,
      decode: (bytes, out, max) => {
        if (bytes !== undefined) kept = [...kept, ...bytes]
        for (let left = max; left > 0 && kept.length > 0; left--) {
          if (kept[0] === 0) return "zero"
          out.push(kept[0]!)
          kept = kept.slice(1)
        }
        return undefined
      },
      end: () => undefined,
      rest: () => {
        const rest = Uint8Array.from(kept)
        kept = []
        return rest
      }
    }
  },
  encode: (frame, out) => {
    if (frame === 0) return "refused"
    if (frame > 1) out.push(Uint8Array.of(frame))
    return undefined
  }
}

describe("Protocol.attach", () => {
  it.effect("turns bytes into frames and back", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.lockstepPair()
      const here = yield* Protocol.attach(Lines.protocol(), a)
      const there = yield* Protocol.attach(Lines.protocol(), b)
      yield* Effect.forkChild(here.writeAll(["one", "two"]))
      assert.strictEqual(yield* Connection.take(there), "one")
      assert.strictEqual(yield* Connection.take(there), "two")
    }))

  it.effect("holds the reader below until its scope ends", () =>
    Effect.gen(function*() {
      const [a] = yield* TestTransport.pair()
      yield* Effect.scoped(Effect.gen(function*() {
        yield* Protocol.attach(Lines.protocol(), a)
        assert.deepStrictEqual(yield* reasonOf(Connection.take(a)), busy)
        assert.deepStrictEqual(yield* reasonOf(Effect.scoped(Protocol.attach(Lines.protocol(), a))), busy)
      }))
      yield* Effect.scoped(a.reader)
    }))

  it.effect("gives half-close exactly where the lower connection has it", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair()
      yield* lines.write("last")
      yield* lines.halfClose
      assert.deepStrictEqual(yield* drained(Connection.take(yield* Protocol.attach(Lines.protocol(), peer))), [
        "last",
        "end"
      ])
      const [a] = yield* TestTransport.pair()
      const { halfClose: _, ...plain } = a
      const plainLines = yield* Protocol.attach(Lines.protocol(), plain)
      assert.isFalse(Connection.isHalfCloseable(plainLines))
    }))

  it.effect("passes close, abort and closed to the lower connection", () =>
    Effect.gen(function*() {
      const [closing, peer, lower] = yield* linesPair()
      yield* closing.write("bye")
      yield* closing.close
      yield* closing.close
      yield* closing.closed
      yield* lower.closed
      assert.strictEqual(text(yield* Connection.take(peer)), "bye\n")
      assert.deepStrictEqual(yield* reasonOf(closing.write("more")), new Closed({ by: "close" }))

      const [aborting] = yield* linesPair()
      yield* aborting.abort
      assert.deepStrictEqual(yield* reasonOf(aborting.closed), new Closed({ by: "abort" }))

      const [abortingWith, resetPeer] = yield* linesPair()
      const cause = Cause.fail("why")
      yield* abortingWith.abortWith(cause)
      const error = yield* Effect.flip(abortingWith.closed)
      assert.strictEqual((error as TransportError).cause, cause)
      assert.deepStrictEqual(yield* reasonOf(resetPeer.closed), new Reset())
    }))

  it.effect("leaves the connection open when its scope ends", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      yield* Effect.scoped(Protocol.attach(Lines.protocol(), a))
      yield* send(a, "still here")
      assert.strictEqual(text(yield* Connection.take(b)), "still here")
    }))
})

describe("Protocol.attach handing over", () => {
  it.effect("puts a frame that is not complete back", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      yield* send(b, "one\n", "tw")
      yield* Effect.scoped(Effect.gen(function*() {
        const lines = yield* Protocol.attach(Lines.protocol(), a)
        assert.strictEqual(yield* Connection.take(lines), "one")
        assert.isTrue(Cause.isTimeoutError(yield* reasonOf(Effect.timeout(Connection.take(lines), 0))))
      }))
      yield* send(b, "o\n")
      const lines = yield* Protocol.attach(Lines.protocol(), a)
      assert.strictEqual(yield* Connection.take(lines), "two")
    }))

  it.effect("puts frames back that nobody took, at every border between two protocols", () =>
    Effect.gen(function*() {
      const input = "one\r\ntwo\n\nthree\nfour"
      for (let cut = 0; cut <= input.length; cut++) {
        for (let taken = 0; taken <= 4; taken++) {
          const [a, b] = yield* TestTransport.pair()
          yield* send(b, input.slice(0, cut))
          yield* Effect.forkChild(
            Effect.andThen(Effect.yieldNow, Effect.andThen(send(b, input.slice(cut)), b.halfClose))
          )
          const first = yield* Effect.scoped(Effect.gen(function*() {
            const lines = yield* Protocol.attach(Lines.protocol(), a)
            const read: Array<string> = []
            while (read.length < taken) read.push(yield* Connection.take(lines))
            return read
          }))
          const lines = yield* Protocol.attach(Lines.protocol(), a)
          const second = yield* drained(Connection.take(lines))
          assert.deepStrictEqual([...first, ...second], ["one", "two", "", "three", "four", "end"])
          assert.lengthOf(first, taken)
        }
      }
    }))

  it.effect("puts bytes back that the first protocol could not read", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      yield* b.write(Uint8Array.of(0x61, 10, 0xff, 7, 10, 9))
      const first = yield* Effect.scoped(
        Effect.flatMap(Protocol.attach(Lines.protocol(), a), (lines) => Connection.take(lines))
      )
      assert.strictEqual(first, "a")
      const bytes = yield* Protocol.attach(Protocol.fromCodec(digits), a)
      const reader = yield* bytes.reader
      assert.deepStrictEqual(yield* reader.pull, [0xff, 7, 10, 9])
    }))

  it.effect("puts nothing back after the end", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      yield* send(b, "one\ntwo")
      yield* b.halfClose
      const read = yield* Effect.scoped(
        Effect.flatMap(Protocol.attach(Lines.protocol(), a), (lines) => drained(Connection.take(lines)))
      )
      assert.deepStrictEqual(read, ["one", "two", "end"])
      assert.deepStrictEqual(yield* drained(Connection.take(a)), ["end"])
    }))

  it.effect("puts a tail back that was put back", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      yield* send(b, "one\ntwo")
      yield* b.halfClose
      yield* Effect.scoped(Effect.gen(function*() {
        const lines = yield* Protocol.attach(Lines.protocol(), a)
        assert.strictEqual(yield* Connection.take(lines), "one")
        const reader = yield* lines.reader
        yield* reader.unread(yield* reader.pull)
      }))
      assert.strictEqual(text(yield* Connection.take(a)), "two")
    }))

  it.effect("warns of frames whose bytes are gone", () =>
    Effect.gen(function*() {
      const [a, b] = yield* TestTransport.pair()
      const warnings: Array<unknown> = []
      const logger = Logger.make((entry) => warnings.push(entry.message))
      yield* Effect.scoped(Effect.gen(function*() {
        const lines = yield* Protocol.attach(Lines.protocol(), a)
        yield* putBackLate(lines, b)
        assert.match(String(yield* defectOf(lines.swap(digits))), /are gone/)
        assert.match(String(yield* defectOf(lines.peek(1))), /are gone/)
      })).pipe(Effect.provide(Logger.layer([logger])))
      assert.match(String(warnings), /1 frames put back/)
      assert.strictEqual(text(yield* Connection.take(a)), "two\nthree\n")
    }))
})

/** Pulls twice and puts back one frame of the first pull, and those of the second. */
const putBackLate = (lines: Connection.Connection<string, string, unknown>, peer: Transport.Transport) =>
  Effect.scoped(Effect.gen(function*() {
    const reader = yield* lines.reader
    yield* send(peer, "zero\none\n")
    const first = yield* reader.pull
    yield* send(peer, "two\nthree\n")
    const second = yield* reader.pull
    yield* reader.unread([...first.slice(1), ...second])
  }))

const defectOf = <A, E>(self: Effect.Effect<A, E>): Effect.Effect<unknown> =>
  Effect.map(Effect.exit(self), (exit) => Cause.squash(Option.getOrThrow(Exit.getCause(exit))))

describe("Protocol.fromCodec reading", () => {
  it.effect("pulls all frames of what arrived", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair()
      const reader = yield* lines.reader
      yield* send(peer, "one\ntw", "o\nthree\nfo")
      assert.deepStrictEqual(yield* reader.pull, ["one", "two", "three"])
      const pulling = yield* Effect.forkChild(reader.pull)
      yield* send(peer, "u")
      yield* send(peer, "r\n")
      assert.deepStrictEqual(yield* Fiber.join(pulling), ["four"])
    }))

  it.effect("pulls no more than 1024 frames at once, and loses none", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair()
      const all = Array.from({ length: 5000 }, (_, i) => `${i}`)
      yield* Effect.forkChild(Effect.andThen(send(peer, `${all.join("\n")}\n`), peer.halfClose))
      const reader = yield* lines.reader
      const batches = (yield* drained(reader.pull)).filter((batch) => batch !== "end")
      assert.deepStrictEqual(batches.flat(), all)
      assert.isAtMost(Math.max(...batches.map((batch) => batch.length)), 1024)
    }))

  it.effect("pulls no more at once when all is there already", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair()
      yield* send(peer, "x\n".repeat(3000))
      yield* peer.halfClose
      yield* lines.peek(10_000)
      const batches = (yield* drained((yield* lines.reader).pull)).filter((batch) => batch !== "end")
      assert.deepStrictEqual(batches.map((batch) => batch.length), [1024, 1024, 952])
    }))

  it.effect("keeps the order of chunks where it stops", () =>
    Effect.gen(function*() {
      const { lower, push } = stubConnection()
      const lines = yield* Protocol.attach(Lines.protocol(), lower)
      push(`${"x\n".repeat(1024)}a`)
      push("b\nc")
      push("d\n")
      const reader = yield* lines.reader
      assert.lengthOf(yield* reader.pull, 1024)
      assert.deepStrictEqual(yield* reader.pull, ["ab", "cd"])
    }))

  it.effect("feeds a decoder each byte once, and once more what begins a frame", () =>
    Effect.gen(function*() {
      const { lower, push } = stubConnection()
      let fed = 0
      const codec = Lines.codec()
      const counting: typeof codec = {
        ...codec,
        decoder: () => {
          const decoder = codec.decoder()
          return {
            aliases: false,
            decode: (bytes, out, max) => {
              fed += bytes?.length ?? 0
              return decoder.decode(bytes, out, max)
            },
            end: (out) => decoder.end(out),
            rest: () => decoder.rest()
          }
        }
      }
      const lines = yield* Protocol.attach(Protocol.fromCodec(counting), lower)
      const reader = yield* lines.reader
      push(`${"x\n".repeat(10_000)}abc`)
      for (let left = 10_000; left > 0;) left -= (yield* reader.pull).length
      for (const letter of "defghijklm\n") push(letter)
      assert.deepStrictEqual(yield* reader.pull, ["abcdefghijklm"])
      assert.strictEqual(fed, 20_000 + 3 + 3 + 11)
    }))

  it.effect("leases its reader", () =>
    Effect.gen(function*() {
      const [lines] = yield* linesPair()
      yield* Effect.scoped(Effect.gen(function*() {
        yield* lines.reader
        const error = yield* Effect.flip(Effect.scoped(lines.reader))
        assert.strictEqual(error.message, "read memory:pair: the reader is in use")
      }))
      yield* lines.reader
    }))

  it.effect("names no endpoint where the lower connection has none", () =>
    Effect.gen(function*() {
      const [lower] = yield* TestTransport.pair()
      const { info: _, ...plain } = lower
      const lines = yield* Protocol.attach(Lines.protocol(), plain)
      yield* lines.reader
      const error = yield* Effect.flip(Effect.scoped(lines.reader))
      assert.strictEqual(error.message, "read connection: the reader is in use")
    }))

  it.effect("is busy for a reader whose lease has ended", () =>
    Effect.gen(function*() {
      const [lines] = yield* linesPair()
      const reader = yield* Effect.scoped(lines.reader)
      assert.deepStrictEqual(yield* reasonOf(reader.pull), busy)
      assert.deepStrictEqual(yield* reasonOf(reader.forEach!(() => Effect.void)), busy)
    }))

  it.effect("is busy for a second pull at the same time", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair()
      const reader = yield* lines.reader
      const first = yield* Effect.forkChild(reader.pull, { startImmediately: true })
      assert.deepStrictEqual(yield* reasonOf(reader.pull), busy)
      yield* send(peer, "one\n")
      assert.deepStrictEqual(yield* Fiber.join(first), ["one"])
    }))

  it.effect("gives frames again that were put back", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair()
      yield* send(peer, "one\ntwo\nthree\n")
      yield* Effect.scoped(Effect.gen(function*() {
        const reader = yield* lines.reader
        const frames = yield* reader.pull
        yield* reader.unread(frames.slice(1))
        assert.deepStrictEqual(yield* reader.pull, ["two", "three"])
        yield* reader.unread(["two", "three"])
        assert.match(String(yield* defectOf(reader.unread(["zero", "one"]))), /more than this lease has pulled/)
      }))
      assert.strictEqual(yield* Connection.take(lines), "two")
      assert.strictEqual(yield* Connection.take(lines), "three")
      yield* putBackLate(lines, peer)
      const reader = yield* lines.reader
      assert.deepStrictEqual(yield* reader.pull, ["one", "two", "three"])
    }))

  it.effect("ends once and for all", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair()
      yield* send(peer, "one\ntwo")
      yield* peer.halfClose
      const reader = yield* lines.reader
      assert.deepStrictEqual((yield* drained(reader.pull)).flat(), ["one", "two", "end"])
      assert.deepStrictEqual(yield* drained(reader.pull), ["end"])
      yield* lines.write("we still write")
      assert.strictEqual(text(yield* Connection.take(peer)), "we still write\n")
    }))

  it.effect("fails once and for all after the frames before the error, and goes on writing", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair({ lineBytesMax: 5 })
      yield* send(peer, "one\ntwo\nthree and more\nfour\n")
      const reader = yield* lines.reader
      assert.deepStrictEqual(yield* reader.pull, ["one", "two"])
      const error = new FrameError.DecodeError({ offset: 8, reason: new FrameError.TooLong({ max: 5 }) })
      assert.deepStrictEqual(yield* reasonOf(reader.pull), error)
      yield* send(peer, "five\n")
      assert.deepStrictEqual(yield* reasonOf(reader.pull), error)
      yield* lines.write("we")
      assert.strictEqual(text(yield* Connection.take(peer)), "we\n")
    }))

  it.effect("fails where the input ends inside a frame", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair({ tail: "error" })
      yield* send(peer, "one\ntwo")
      yield* peer.halfClose
      const error = new FrameError.DecodeError({ offset: 4, reason: new FrameError.CutShort({ bytes: 3 }) })
      assert.strictEqual(yield* Connection.take(lines), "one")
      assert.deepStrictEqual(yield* reasonOf(Connection.take(lines)), error)
      assert.deepStrictEqual(yield* reasonOf(Connection.take(lines)), error)
    }))

  it.effect("fails with what broke the connection, after the frames before it", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair()
      const reader = yield* lines.reader
      yield* send(peer, "one\ntw")
      assert.deepStrictEqual(yield* reader.pull, ["one"])
      yield* peer.abort
      assert.deepStrictEqual(yield* reasonOf(reader.pull), new Reset())
    }))

  it.effect("answers with the end that we made, and drops what was not read", () =>
    Effect.gen(function*() {
      for (const how of ["close", "abort"] as const) {
        const [lines, peer] = yield* linesPair()
        yield* send(peer, "one\ntwo\nthree\nfo")
        assert.strictEqual(yield* Connection.take(lines), "one")
        const reader = yield* lines.reader
        const [two] = yield* reader.pull
        yield* lines[how]
        yield* reader.unread([two])
        assert.deepStrictEqual(yield* reasonOf(reader.pull), new Closed({ by: how }))
      }
    }))

  it.effect("wakes a waiting pull when the connection is closed", () =>
    Effect.gen(function*() {
      const [lines] = yield* linesPair()
      const reader = yield* lines.reader
      const pulling = yield* Effect.forkChild(reader.pull, { startImmediately: true })
      yield* lines.close
      assert.deepStrictEqual(yield* reasonOf(Fiber.join(pulling)), new Closed({ by: "close" }))
    }))

  it.effect("loses nothing when a pull is interrupted while it waits", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair()
      const reader = yield* lines.reader
      const read: Array<string> = []
      for (const piece of ["o", "ne\ntw", "o", "\nthr"]) {
        const pulling = yield* Effect.forkChild(reader.pull, { startImmediately: true })
        yield* Fiber.interrupt(pulling)
        const exit = yield* Fiber.await(pulling)
        if (Exit.isSuccess(exit)) read.push(...exit.value)
        yield* send(peer, piece)
      }
      yield* peer.halfClose
      read.push(...(yield* drained(reader.pull)).flat())
      assert.deepStrictEqual(read, ["one", "two", "thr", "end"])
    }))

  it("loses nothing when a pull is interrupted after any step", () => {
    for (let steps = 0, isOver = false; !isOver; steps++) {
      const { lower, push } = stubConnection()
      const lines = attachSync(Lines.protocol(), lower)
      const reader = Effect.runSync(Effect.provideService(lines.reader, Scope.Scope, Scope.makeUnsafe()))
      const stepper = new Stepper()
      const fiber = Effect.runFork(Effect.provideService(reader.pull, Scheduler.Scheduler, stepper))
      push("o")
      isOver = !stepper.run(steps)
      push("ne\ntwo\n")
      if (!isOver) stepper.run(steps % 7)
      fiber.interruptUnsafe()
      stepper.run(Infinity)
      const exit = fiber.pollUnsafe()!
      push("three\n")
      const read: Array<string> = Exit.isSuccess(exit) ? [...exit.value] : []
      while (read.at(-1) !== "three") read.push(...Effect.runSync(reader.pull))
      assert.deepStrictEqual(read, ["one", "two", "three"])
      assert.isBelow(steps, 100)
    }
  })

  it.effect("streams", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair()
      yield* send(peer, "one\ntwo\nthree")
      yield* peer.halfClose
      assert.deepStrictEqual(yield* Stream.runCollect(Connection.stream(lines)), ["one", "two", "three"])
    }))
})

/** A lower connection whose pull hands out in one step, as `Reader` promises. */
const stubConnection = () => {
  let chunks: Array<Uint8Array> = []
  let wake = () => {}
  const take = Effect.sync(() => {
    const taken = chunks
    chunks = []
    return taken as [Uint8Array, ...Array<Uint8Array>]
  })
  const pull: Effect.Effect<[Uint8Array, ...Array<Uint8Array>]> = Effect.suspend(() =>
    chunks.length > 0 ? take : Effect.callback((resume) => {
      wake = () => resume(pull)
    })
  )
  const written: Array<ReadonlyArray<string>> = []
  const unread: Array<string> = []
  const lower: Connection.Connection<Uint8Array, Uint8Array, never> = {
    reader: Effect.succeed({
      pull,
      unread: (chunks) => Effect.sync(() => unread.push(...chunks.map(text))),
      forEach: (f) => Effect.forever(Effect.flatMap(pull, f))
    }),
    write: (out) => Effect.sync(() => written.push([text(out)])),
    writeAll: (outs) => Effect.sync(() => written.push(outs.map(text))),
    close: Effect.void,
    abort: Effect.void,
    abortWith: () => Effect.void,
    closed: Effect.never
  }
  const push = (text: string) => {
    chunks.push(utf8(text))
    wake()
  }
  return { lower, push, written, unread }
}

const attachSync = <In, Out, E, LE>(
  protocol: Protocol.FramedProtocol<In, Out, E>,
  lower: Connection.Connection<Uint8Array, Uint8Array, LE>
) => Effect.runSync(Effect.provideService(Protocol.attach(protocol, lower), Scope.Scope, Scope.makeUnsafe()))

describe("Protocol.fromCodec forEach", () => {
  it.effect("hands every frame out, in order, until the end", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair()
      yield* send(peer, "zero\none\ntw")
      assert.strictEqual(yield* Connection.take(lines), "zero")
      const seen: Array<string> = []
      const reading = yield* Effect.forkChild(
        Connection.forEach(lines, (batch) => Effect.andThen(Effect.yieldNow, Effect.sync(() => seen.push(...batch)))),
        { startImmediately: true }
      )
      yield* send(peer, "o\nthree\n", "\n", "four")
      yield* peer.halfClose
      yield* Fiber.join(reading)
      assert.deepStrictEqual(seen, ["one", "two", "three", "", "four"])
      yield* Connection.forEach(lines, () => Effect.die("after the end"))
    }))

  it.effect("leaves what it has not handed out", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair()
      const failing = yield* Effect.forkChild(
        Connection.forEach(lines, (batch) => Effect.fail(`stopped at ${batch}`)),
        { startImmediately: true }
      )
      yield* send(peer, "one\ntw")
      assert.strictEqual(yield* Effect.flip(Fiber.join(failing)), "stopped at one")
      yield* send(peer, "o\n")
      assert.strictEqual(yield* Connection.take(lines), "two")
    }))

  it.effect("fails with the error of the decoder, after the frames before it", () =>
    Effect.gen(function*() {
      const { lower, push, unread } = stubConnection()
      const seen: Array<string> = []
      const error = new FrameError.DecodeError({ offset: 8, reason: new FrameError.TooLong({ max: 3 }) })
      yield* Effect.scoped(Effect.gen(function*() {
        const lines = yield* Protocol.attach(Lines.protocol({ lineBytesMax: 3 }), lower)
        const reading = yield* Effect.forkChild(
          Connection.forEach(lines, (batch) => Effect.sync(() => seen.push(...batch))),
          { startImmediately: true }
        )
        push("one\ntwo\nthree\n")
        assert.deepStrictEqual(yield* reasonOf(Fiber.join(reading)), error)
        assert.deepStrictEqual(seen, ["one", "two"])
        assert.deepStrictEqual(yield* reasonOf(Connection.forEach(lines, () => Effect.void)), error)
      }))
      assert.deepStrictEqual(unread, ["three\n"])
    }))

  it.effect("passes the error of the lower connection on", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair()
      const reading = yield* Effect.forkChild(Connection.forEach(lines, () => Effect.void), { startImmediately: true })
      yield* peer.abort
      assert.deepStrictEqual(yield* reasonOf(Fiber.join(reading)), new Reset())
    }))

  it.effect("pulls where the lower connection cannot do better", () =>
    Effect.gen(function*() {
      const { lower, push } = stubConnection()
      const lines = yield* Protocol.attach(Lines.protocol(), {
        ...lower,
        reader: Effect.map(lower.reader, ({ pull, unread }) => ({ pull, unread }))
      })
      const seen = yield* Deferred.make<ReadonlyArray<string>>()
      yield* Effect.forkChild(Connection.forEach(lines, (batch) => Deferred.succeed(seen, batch)))
      push("one\ntwo\n")
      assert.deepStrictEqual(yield* Deferred.await(seen), ["one", "two"])
    }))
})

describe("Protocol.fromCodec writing", () => {
  it.effect("is one write below", () =>
    Effect.gen(function*() {
      const { lower, written } = stubConnection()
      const lines = yield* Protocol.attach(Lines.protocol(), lower)
      yield* lines.write("one")
      yield* lines.writeAll(["two", "three"])
      yield* lines.writeAll([])
      assert.deepStrictEqual(written, [["one\n"], ["two\n", "three\n"], []])
    }))

  it.effect("sends nothing if one frame is refused", () =>
    Effect.gen(function*() {
      const { lower, written } = stubConnection()
      const lines = yield* Protocol.attach(Lines.protocol(), lower)
      const error = new FrameError.EncodeError({ reason: new FrameError.ContainsDelimiter() })
      assert.deepStrictEqual(yield* reasonOf(lines.write("a\nb")), error)
      assert.deepStrictEqual(yield* reasonOf(lines.writeAll(["one", "a\nb", "two"])), error)
      assert.deepStrictEqual(written, [])
    }))

  it.effect("encodes when it is run, each time", () =>
    Effect.gen(function*() {
      const { lower, written } = stubConnection()
      const frames = ["one"]
      const lines = yield* Protocol.attach(Lines.protocol(), lower)
      const writing = lines.writeAll(frames)
      frames.push("two")
      assert.deepStrictEqual(written, [])
      yield* writing
      yield* writing
      assert.deepStrictEqual(written, [["one\n", "two\n"], ["one\n", "two\n"]])
    }))
})

describe("Framed.swap", () => {
  it.effect("reads on with another codec behind the last frame that was taken", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair()
      yield* peer.write(Uint8Array.of(0x68, 0x69, 10, 7, 10, 0xff, 8))
      assert.strictEqual(yield* Connection.take(lines), "hi")
      const bytes = yield* lines.swap(digits)
      const reader = yield* bytes.reader
      assert.deepStrictEqual(yield* reader.pull, [7, 10, 0xff, 8])
      yield* peer.write(Uint8Array.of(9))
      assert.deepStrictEqual(yield* reader.pull, [9])
    }))

  it.effect("reads on where the old codec failed", () =>
    Effect.gen(function*() {
      const [bytes, peer] = yield* Effect.gen(function*() {
        const [a, b] = yield* TestTransport.pair()
        return [yield* Protocol.attach(Protocol.fromCodec(digits), a), b] as const
      })
      yield* peer.write(Uint8Array.of(5, 0, 10, 0x61, 10))
      assert.strictEqual(yield* Connection.take(bytes), 5)
      assert.strictEqual(yield* reasonOf(Connection.take(bytes)), "zero")
      const lines = yield* bytes.swap(Lines.codec())
      assert.strictEqual(yield* Connection.take(lines), "\0")
      assert.strictEqual(yield* Connection.take(lines), "a")
    }))

  it.effect("loses nothing wherever the bytes are cut", () =>
    Effect.gen(function*() {
      const input = "one\r\ntwo\r\n\nthree\n"
      for (let cut = 0; cut <= input.length; cut++) {
        for (let taken = 0; taken <= 4; taken++) {
          const [lines, peer] = yield* linesPair()
          yield* send(peer, input.slice(0, cut))
          yield* Effect.forkChild(Effect.andThen(send(peer, input.slice(cut)), peer.halfClose))
          const read: Array<string> = []
          while (read.length < taken) read.push(yield* Connection.take(lines))
          const swapped = yield* lines.swap(Lines.codec({ newline: "lf" }))
          const rest = yield* drained(Connection.take(swapped))
          assert.deepStrictEqual(rest, ["one\r", "two\r", "", "three", "end"].slice(taken))
        }
      }
    }))

  it.effect("leaves the old connection writing, and its reader busy", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair()
      const bytes = yield* lines.swap(digits)
      yield* bytes.write(65)
      yield* lines.write("old")
      yield* bytes.writeAll([66, 67])
      yield* peer.flush
      const seen = yield* Effect.forkChild(Connection.forEach(peer, () => Effect.void), { startImmediately: true })
      assert.deepStrictEqual(yield* reasonOf(Connection.take(lines)), busy)
      assert.deepStrictEqual(yield* reasonOf(lines.swap(digits)), busy)
      assert.deepStrictEqual(yield* reasonOf(lines.peek(1)), busy)
      assert.strictEqual(yield* reasonOf(bytes.write(0)), "refused")
      yield* lines.close
      assert.deepStrictEqual(yield* reasonOf(Connection.take(bytes)), new Closed({ by: "close" }))
      yield* Fiber.join(seen)
    }))

  it.effect("is busy while a reader is held", () =>
    Effect.gen(function*() {
      const [lines] = yield* linesPair()
      yield* Effect.scoped(Effect.gen(function*() {
        yield* lines.reader
        assert.deepStrictEqual(yield* reasonOf(lines.swap(digits)), busy)
        assert.deepStrictEqual(yield* reasonOf(lines.peek(1)), busy)
      }))
      yield* lines.swap(digits)
    }))

  it.effect("keeps half-close", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair()
      const bytes = yield* lines.swap(digits)
      assert.isTrue(Connection.isHalfCloseable(bytes))
      if (Connection.isHalfCloseable(bytes)) yield* bytes.halfClose
      assert.deepStrictEqual(yield* drained(Connection.take(peer)), ["end"])
    }))
})

describe("Framed.peek", () => {
  it.effect("shows the next bytes and leaves them", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair()
      yield* send(peer, "one\ntwo\nthree\n")
      assert.strictEqual(yield* Connection.take(lines), "one")
      assert.strictEqual(text(yield* lines.peek(5)), "two\nt")
      assert.strictEqual(text(yield* lines.peek(0)), "")
      const shown = yield* lines.peek(2)
      assert.strictEqual(text(shown), "tw")
      shown.fill(0)
      assert.strictEqual(yield* Connection.take(lines), "two")
      assert.strictEqual(yield* Connection.take(lines), "three")
    }))

  it.effect("waits for as many as it was asked for", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair()
      const peeking = yield* Effect.forkChild(lines.peek(6), { startImmediately: true })
      yield* send(peer, "on", "e\n", "two")
      assert.strictEqual(text(yield* Fiber.join(peeking)), "one\ntw")
      yield* send(peer, "\n")
      assert.strictEqual(yield* Connection.take(lines), "one")
      assert.strictEqual(yield* Connection.take(lines), "two")
    }))

  it.effect("loses nothing when it is interrupted", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair()
      const peeking = yield* Effect.forkChild(lines.peek(100), { startImmediately: true })
      yield* send(peer, "one\ntw")
      yield* Fiber.interrupt(peeking)
      yield* send(peer, "o\n")
      assert.strictEqual(yield* Connection.take(lines), "one")
      assert.strictEqual(yield* Connection.take(lines), "two")
    }))

  it.effect("shows fewer at the end of input", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair()
      yield* send(peer, "one\ntwo")
      yield* peer.halfClose
      assert.strictEqual(yield* Connection.take(lines), "one")
      assert.strictEqual(text(yield* lines.peek(100)), "two")
      assert.deepStrictEqual(yield* drained(Connection.take(lines)), ["two", "end"])
      assert.strictEqual(text(yield* lines.peek(100)), "")
      assert.deepStrictEqual(yield* drained(Connection.take(lines)), ["end"])
    }))

  it.effect("is no remedy for an error", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair({ lineBytesMax: 3 })
      yield* send(peer, "three\n")
      const error = new FrameError.DecodeError({ offset: 0, reason: new FrameError.TooLong({ max: 3 }) })
      assert.deepStrictEqual(yield* reasonOf(Connection.take(lines)), error)
      assert.strictEqual(text(yield* lines.peek(2)), "th")
      assert.deepStrictEqual(yield* reasonOf(Connection.take(lines)), error)
    }))

  it.effect("fails with what broke the connection", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair()
      const peeking = yield* Effect.forkChild(lines.peek(1), { startImmediately: true })
      yield* peer.abort
      assert.deepStrictEqual(yield* reasonOf(Fiber.join(peeking)), new Reset())
    }))

  it.effect("refuses what is no count", () =>
    Effect.gen(function*() {
      const [lines] = yield* linesPair()
      for (const bytes of [-1, 1.5, Number.NaN, Infinity]) {
        assert.instanceOf(yield* reasonOf(lines.peek(bytes)), InvalidOption)
      }
    }))
})

describe("Protocol.fromCodec, passing over what is broken", () => {
  const skipping = (lineBytesMax: number) =>
    Effect.gen(function*() {
      const [own, peer] = yield* TestTransport.pair()
      return { lines: yield* Protocol.attach(Lines.protocol({ lineBytesMax, onBroken: "skip" }), own), peer }
    })

  it.effect("gives an item in its place, and names the byte where it begins", () =>
    Effect.gen(function*() {
      const { lines, peer } = yield* skipping(4)
      yield* send(peer, "one\n12345", "6\ntwo\n")
      const seen = [yield* Connection.take(lines), yield* Connection.take(lines), yield* Connection.take(lines)]
      const skipped = new FrameError.Skipped({ offset: 4, bytes: 7, reason: new FrameError.TooLong({ max: 4 }) })
      assert.deepStrictEqual(seen, ["one", skipped, "two"])
    }))

  it.effect("goes on passing over after a look ahead and after an interruption", () =>
    Effect.gen(function*() {
      const { lines, peer } = yield* skipping(4)
      yield* send(peer, "one\n12345")
      assert.strictEqual(yield* Connection.take(lines), "one")
      const waiting = yield* Effect.forkChild(Connection.take(lines), { startImmediately: true })
      yield* send(peer, "67")
      yield* Fiber.interrupt(waiting)
      yield* send(peer, "89")
      yield* lines.peek(1)
      yield* send(peer, "0\ntwo\n")
      const skipped = new FrameError.Skipped({ offset: 4, bytes: 11, reason: new FrameError.TooLong({ max: 4 }) })
      assert.deepStrictEqual(yield* Connection.take(lines), skipped)
      assert.strictEqual(yield* Connection.take(lines), "two")
    }))

  it.effect("holds a bounded part of a line without end", () =>
    Effect.gen(function*() {
      const { lines, peer } = yield* skipping(100)
      const waiting = yield* Effect.forkChild(Connection.take(lines), { startImmediately: true })
      for (let i = 0; i < 100; i++) yield* send(peer, "x".repeat(10_000))
      yield* Fiber.interrupt(waiting)
      yield* peer.halfClose
      assert.isAtMost((yield* lines.peek(1_000_000)).length, 3 * 65_536)
      const reason = new FrameError.TooLong({ max: 100 })
      assert.deepStrictEqual(
        yield* Connection.take(lines),
        new FrameError.Skipped({ offset: 0, bytes: 1_000_000, reason })
      )
    }))
})

describe("Protocol.fromCodec, where time ends frames", () => {
  /** Five milliseconds without input end a frame of at most ten bytes. */
  const gaps = Codec.fromFraming({
    bytesMax: 11,
    finder: () => ({
      find: (bytes, from, _searched, found) => found.more(bytes.length - from),
      end: (bytes, from, found) => found.frame(from, bytes.length, bytes.length)
    }),
    take: Codec.copyOf,
    gapMs: 5,
    encode: (frame: Uint8Array, out) => void out.push(frame)
  })

  const gapped = Effect.gen(function*() {
    const [own, peer] = yield* TestTransport.pair()
    return { frames: yield* Protocol.attach(Protocol.fromCodec(gaps), own), peer }
  })

  it.effect("waits for the gap, and for no longer", () =>
    Effect.gen(function*() {
      const { frames, peer } = yield* gapped
      const reading = yield* Effect.forkChild(Effect.map(Connection.take(frames), text), { startImmediately: true })
      yield* send(peer, "ab")
      yield* TestClock.adjust(4)
      yield* send(peer, "c")
      yield* TestClock.adjust(4)
      assert.isUndefined(reading.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* Fiber.join(reading), "abc")
    }))

  it.effect("ends the frame at the end of input, and refuses a long one", () =>
    Effect.gen(function*() {
      const { frames, peer } = yield* gapped
      yield* send(peer, "ab")
      yield* peer.halfClose
      assert.deepStrictEqual((yield* drained(Connection.take(frames))).map((one) => one === "end" ? one : text(one)), [
        "ab",
        "end"
      ])
      const long = yield* gapped
      yield* send(long.peer, "0123456789x")
      const error = new FrameError.DecodeError({ offset: 0, reason: new FrameError.TooLong({ max: 11 }) })
      assert.deepStrictEqual(yield* reasonOf(Connection.take(long.frames)), error)
    }))

  it.effect("loses nothing when it is interrupted while it waits for the gap", () =>
    Effect.gen(function*() {
      const { frames, peer } = yield* gapped
      for (const piece of ["a", "b", "c"]) {
        const reading = yield* Effect.forkChild(Connection.take(frames), { startImmediately: true })
        yield* send(peer, piece)
        yield* Fiber.interrupt(reading)
      }
      const reading = yield* Effect.forkChild(Effect.map(Connection.take(frames), text), { startImmediately: true })
      yield* TestClock.adjust(5)
      assert.strictEqual(yield* Fiber.join(reading), "abc")
    }))

  it.effect("separates what came before a gap from what came behind it, though nobody read", () =>
    Effect.gen(function*() {
      const { frames, peer } = yield* gapped
      const reading = yield* Effect.forkChild(Connection.take(frames), { startImmediately: true })
      yield* send(peer, "ab")
      yield* Fiber.interrupt(reading)
      yield* TestClock.adjust(5)
      yield* send(peer, "cd")
      assert.strictEqual(text(yield* Connection.take(frames)), "ab")
      const later = yield* Effect.forkChild(Effect.map(Connection.take(frames), text), { startImmediately: true })
      yield* TestClock.adjust(5)
      assert.strictEqual(yield* Fiber.join(later), "cd")
    }))

  it.effect("makes bytes again of a frame that is put back", () =>
    Effect.gen(function*() {
      const { frames, peer } = yield* gapped
      yield* Effect.scoped(Effect.gen(function*() {
        const reader = yield* frames.reader
        const reading = yield* Effect.forkChild(reader.pull, { startImmediately: true })
        yield* send(peer, "ab")
        yield* TestClock.adjust(5)
        yield* reader.unread(yield* Fiber.join(reading))
      }))
      assert.strictEqual(text(yield* frames.peek(2)), "ab")
      const lines = yield* frames.swap(Lines.codec())
      yield* send(peer, "c\n")
      assert.strictEqual(yield* Connection.take(lines), "abc")
    }))

  /** Each frame ends with ";" or by the gap, and the gap ends each "!" alone. */
  const mixed = Codec.fromFraming({
    bytesMax: 11,
    finder: () => ({
      find: (bytes, from, _searched, found) => {
        const end = bytes.indexOf(59, from)
        if (end < 0) found.more(bytes.length - from)
        else found.frame(from, end, end + 1)
      },
      end: (bytes, from, found) => {
        const next = bytes[from] === 33 ? from + 1 : bytes.length
        found.frame(from, next, next)
      }
    }),
    take: Codec.copyOf,
    gapMs: 5,
    encode: (frame: Uint8Array, out) => void out.push(frame)
  })

  it.effect("counts the gap from when the bytes came, though frames were pulled since", () =>
    Effect.gen(function*() {
      const [own, peer] = yield* TestTransport.pair()
      const frames = yield* Protocol.attach(Protocol.fromCodec(mixed), own)
      yield* TestClock.adjust(10)
      yield* send(peer, "x;y")
      assert.strictEqual(text(yield* Connection.take(frames)), "x")
      yield* TestClock.adjust(5)
      yield* send(peer, "a;b")
      assert.strictEqual(text(yield* Connection.take(frames)), "y")
      assert.strictEqual(text(yield* Connection.take(frames)), "a")
      yield* TestClock.adjust(3)
      const reading = yield* Effect.forkChild(Effect.map(Connection.take(frames), text), { startImmediately: true })
      yield* TestClock.adjust(1)
      assert.isUndefined(reading.pollUnsafe())
      yield* TestClock.adjust(1)
      yield* send(peer, "c;")
      assert.strictEqual(yield* Fiber.join(reading), "b")
      assert.strictEqual(text(yield* Connection.take(frames)), "c")
    }))

  it.effect("gives the bytes behind back, and tells of frames that one gap ended and that were put back", () =>
    Effect.gen(function*() {
      const warnings: Array<unknown> = []
      const logger = Logger.make(({ message }) => void warnings.push(message))
      const [own, peer] = yield* TestTransport.pair()
      yield* Effect.scoped(Effect.gen(function*() {
        const frames = yield* Protocol.attach(Protocol.fromCodec(mixed), own)
        const reading = yield* Effect.forkChild(Effect.map(Connection.take(frames), text), { startImmediately: true })
        yield* send(peer, "!!x")
        yield* TestClock.adjust(5)
        assert.strictEqual(yield* Fiber.join(reading), "!")
      })).pipe(Effect.provide(Logger.layer([logger])))
      assert.match(String(warnings[0]), /2 frames put back/)
      yield* send(peer, "rest")
      assert.strictEqual(text(yield* Connection.take(own)), "rest")
    }))
})

describe("Protocol.fromCodec, where the end of input ends several frames", () => {
  it.effect("gives no bytes twice", () =>
    Effect.gen(function*() {
      const [own, peer] = yield* TestTransport.pair()
      const frames = yield* Protocol.attach(LengthPrefixed.protocol({ width: 1, onBroken: "resync" }), own)
      // The first says that it is longer than the input.
      yield* peer.write(Uint8Array.of(9, 1, 65, 1, 66))
      yield* peer.halfClose
      assert.isTrue(FrameError.isSkipped(yield* Connection.take(frames)))
      const peeked = yield* Effect.exit(frames.peek(5))
      assert.match(String(peeked), /were put back/)
      assert.deepStrictEqual(yield* Connection.take(frames), Uint8Array.of(65))
      assert.deepStrictEqual(yield* Connection.take(frames), Uint8Array.of(66))
      assert.deepStrictEqual(yield* frames.peek(5), new Uint8Array(0))
    }))
})

describe("Protocol.make", () => {
  /** Upper case on the way out, lower case on the way in; knows nothing of half-close. */
  const shouting = Protocol.make(<LE>(lower: Connection.Connection<string, string, LE>) =>
    Effect.map(lower.reader, (reader): Connection.Connection<string, string, LE> => ({
      reader: Effect.succeed({
        pull: Effect.map(reader.pull, ([first, ...rest]) => [first.toLowerCase(), ...rest.map((s) => s.toLowerCase())]),
        unread: reader.unread
      }),
      write: (out) => lower.write(out.toUpperCase()),
      writeAll: (outs) => lower.writeAll(outs.map((out) => out.toUpperCase())),
      close: lower.close,
      abort: lower.abort,
      abortWith: lower.abortWith,
      closed: lower.closed
    }))
  )

  it.effect("stacks on another protocol, and half-close passes through", () =>
    Effect.gen(function*() {
      const [lines, peer] = yield* linesPair()
      const upper = yield* Protocol.attach(shouting, lines)
      yield* upper.write("hello")
      yield* upper.halfClose
      const there = yield* Protocol.attach(shouting, yield* Protocol.attach(Lines.protocol(), peer))
      assert.deepStrictEqual(yield* drained(Connection.take(there)), ["hello", "end"])
    }))

  it.effect("leaves a connection without half-close without", () =>
    Effect.gen(function*() {
      const { lower } = stubConnection()
      const upper = yield* Protocol.attach(shouting, yield* Protocol.attach(Lines.protocol(), lower))
      assert.isFalse(Connection.isHalfCloseable(upper))
    }))

  it.effect("keeps a half-close of the protocol's own", () =>
    Effect.gen(function*() {
      const [lines] = yield* linesPair()
      const own = Effect.die("own")
      const protocol = Protocol.make(<LE>(lower: Connection.Connection<string, string, LE>) =>
        Effect.succeed({ ...lower, halfClose: own })
      )
      const upper = yield* Protocol.attach(protocol, lines)
      assert.strictEqual<unknown>(upper.halfClose, own)
    }))
})
