import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Pull, Scheduler, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Codec from "../src/Codec.ts"
import * as Delimited from "../src/codec/Delimited.ts"
import * as Connection from "../src/Connection.ts"
import * as Machine from "../src/Machine.ts"
import * as Protocol from "../src/Protocol.ts"
import * as TestTransport from "../src/TestTransport.ts"
import * as Transport from "../src/Transport.ts"
import { Stepper } from "./support/stepper.ts"

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** Acknowledges each line, fails at "bad", and asks after a second without a line. */
const courteous = (): Machine.Machine<string, string, "Bad" | "Refused"> => {
  let line = ""
  let sinceMs: number | undefined
  return {
    receive: (bytes, out) => {
      for (const byte of bytes) {
        if (byte !== 10) {
          line += String.fromCharCode(byte)
          continue
        }
        if (line === "bad") return "Bad"
        out.event(line)
        out.bytes(utf8(`got ${line}\n`))
        line = ""
        sinceMs = undefined
      }
      return undefined
    },
    command: (command, out) => {
      if (command.includes("\n")) return "Refused"
      out.bytes(utf8(`${command}\n`))
      return undefined
    },
    end: (out) => {
      out.event(`end after "${line}"`)
      return undefined
    },
    due: (nowMs, out) => {
      sinceMs ??= nowMs
      if (nowMs >= sinceMs + 1000) {
        sinceMs = nowMs
        out.bytes(utf8("?\n"))
        out.event("asked")
      }
      return sinceMs + 1000
    }
  }
}

describe("Machine.run", () => {
  it("gives events and bytes in order, and when the machine is due", () => {
    const output = Machine.run(courteous(), [
      Machine.bytes(utf8("one\ntw")),
      Machine.command("hello"),
      Machine.wait(400),
      Machine.bytes(utf8("o\n")),
      Machine.wait(2500),
      Machine.end
    ])
    assert.deepStrictEqual(output.events, ["one", "two", "asked", "asked", "end after \"\""])
    assert.strictEqual(text(output.sent), "got one\nhello\ngot two\n?\n?\n")
    assert.strictEqual(output.dueMs, 3400)
    assert.isUndefined(output.error)
  })

  it("ends at an error, and not at a refused command", () => {
    const output = Machine.run(courteous(), [
      Machine.command("a\nb"),
      Machine.bytes(utf8("one\nbad\n")),
      Machine.bytes(utf8("two\n"))
    ])
    assert.deepStrictEqual([output.refused, output.error, output.events], [["Refused"], "Bad", ["one"]])
  })

  it("wakes the machine at each time that it names", () => {
    const times: Array<number> = []
    const machine: Machine.Machine<never, never, never> = {
      receive: () => undefined,
      command: () => undefined,
      end: () => undefined,
      due: (nowMs) => {
        times.push(nowMs)
        return nowMs + 3
      }
    }
    Machine.run(machine, [Machine.wait(7), Machine.wait(2)])
    assert.deepStrictEqual(times, [0, 3, 6, 9])
  })

  it("does not go on for ever with a machine that is due at once, again and again", () => {
    const machine = { ...courteous(), due: (nowMs: number) => nowMs }
    assert.throws(() => Machine.run(machine, [Machine.wait(1)]), "due again and again at 0 ms")
  })

  it("copies what the machine sends of what it was lent", () => {
    const echo = {
      ...courteous(),
      receive: (bytes: Uint8Array, out: Machine.MachineOut<string>) => void out.bytes(bytes)
    }
    const bytes = utf8("abc")
    const inputs = function*() {
      yield Machine.bytes(bytes)
      bytes.fill(0)
    }
    assert.strictEqual(text(Machine.run(echo, inputs()).sent), "abc")
  })
})

describe("Machine.fromCodec", () => {
  const codec = Delimited.codec({ delimiter: ";", frameBytesMax: 5, onBroken: "skip" })

  it("makes events of frames and bytes of commands", () => {
    const chunks = [utf8("a;b"), utf8("c;1234567;d")]
    const output = Machine.run(Machine.fromCodec(codec), [
      ...chunks.map(Machine.bytes),
      Machine.command(utf8("x")),
      Machine.command(utf8("y;")),
      Machine.end
    ])
    assert.deepStrictEqual(output.events, Codec.decodeAll(codec, chunks).frames)
    assert.strictEqual(text(output.sent), "x;")
    assert.lengthOf(output.refused, 1)
  })

  it("is due when its decoder is", () => {
    const gaps = Codec.fromFraming({
      bytesMax: 10,
      finder: () => ({
        find: (bytes, from, _searched, found) => found.more(bytes.length - from),
        end: (bytes, from, found) => found.frame(from, bytes.length, bytes.length)
      }),
      take: Codec.copyOf,
      gapMs: 5,
      encode: () => undefined
    })
    const output = Machine.run(Machine.fromCodec(gaps), [
      Machine.bytes(utf8("ab")),
      Machine.wait(4),
      Machine.bytes(utf8("c")),
      Machine.wait(5),
      Machine.bytes(utf8("d")),
      Machine.end
    ])
    assert.deepStrictEqual(output.events.map(text), ["abc", "d"])
  })
})

/** What a run shows. */
interface Seen {
  readonly events: ReadonlyArray<string>
  readonly sent: string
  readonly error: string | undefined
}

const overArrays = (chunks: ReadonlyArray<Uint8Array>): Seen => {
  const { error, events, sent } = Machine.run(courteous(), [...chunks.map(Machine.bytes), Machine.end])
  return { events, sent: text(sent), error }
}

/** The other end sends the chunks, ends, and reads all. */
const peerOf = (peer: Transport.HalfCloseableTransport, chunks: ReadonlyArray<Uint8Array>) =>
  Effect.gen(function*() {
    for (const chunk of chunks) yield* Effect.andThen(peer.write(chunk), peer.flush)
    yield* peer.halfClose
    return text(yield* Transport.readUntilEnd(peer, { bytesMax: 100_000 }))
  })

type Way = (chunks: ReadonlyArray<Uint8Array>) => Effect.Effect<Seen, unknown>

const react = (wrap: (transport: Transport.Transport) => Transport.Transport): Way => (chunks) =>
  Effect.scoped(Effect.gen(function*() {
    const [own, peer] = yield* TestTransport.pair()
    const events: Array<string> = []
    const talking = yield* Effect.forkChild(peerOf(peer, chunks))
    const reacting = Transport.react(wrap(own), courteous(), (event) => events.push(event))
    const error = yield* Effect.matchEffect(reacting, {
      onSuccess: () => Effect.succeed(undefined),
      onFailure: (error) => Effect.succeed(String(error))
    })
    yield* own.halfClose
    return { events, sent: yield* Fiber.join(talking), error }
  }))

const asProtocol: Way = (chunks) =>
  Effect.scoped(Effect.gen(function*() {
    const [own, peer] = yield* TestTransport.pair()
    const upper = yield* Protocol.attach(Protocol.fromMachine(courteous), own)
    const talking = yield* Effect.forkChild(peerOf(peer, chunks))
    const events: Array<string> = []
    const error = yield* Pull.matchEffect(
      Effect.forever(Effect.map(Connection.take(upper), (event) => events.push(event))),
      {
        onSuccess: () => Effect.succeed(undefined),
        onFailure: (cause) => Effect.succeed(String(cause.reasons.map((reason) => "error" in reason && reason.error))),
        onDone: () => Effect.succeed(undefined)
      }
    )
    yield* upper.halfClose
    return { events, sent: yield* Fiber.join(talking), error }
  }))

describe.each<{ readonly name: string; readonly way: Way }>([
  { name: "over arrays", way: (chunks) => Effect.sync(() => overArrays(chunks)) },
  { name: "in the read callback", way: react((transport) => transport) },
  { name: "by batch", way: react((transport) => ({ ...transport })) },
  { name: "as a protocol", way: asProtocol }
])("a machine $name", ({ way }) => {
  it.effect("makes the same of the same bytes, cut at every place", () =>
    Effect.gen(function*() {
      for (const input of ["one\ntwo\n\nthr", "one\nbad\ntwo\n"]) {
        const bytes = utf8(input)
        const whole = overArrays([bytes])
        for (let cut = 0; cut <= bytes.length; cut++) {
          assert.deepStrictEqual(yield* way([bytes.subarray(0, cut), bytes.subarray(cut)]), whole)
        }
        assert.deepStrictEqual(yield* way(Array.from(bytes, (byte) => Uint8Array.of(byte))), whole)
      }
    }))
})

describe.each([
  {
    name: "Transport.react in the read callback",
    start: (own: Transport.Transport, events: Array<string>) =>
      Effect.forkScoped(Transport.react(own, courteous(), (event) => events.push(event)), { startImmediately: true })
  },
  {
    name: "Transport.react by batch",
    start: (own: Transport.Transport, events: Array<string>) =>
      Effect.forkScoped(Transport.react({ ...own }, courteous(), (event) => events.push(event)), {
        startImmediately: true
      })
  },
  {
    name: "Protocol.fromMachine",
    start: (own: Transport.Transport, events: Array<string>) =>
      Effect.flatMap(
        Protocol.attach(Protocol.fromMachine(courteous), own),
        (upper) =>
          Effect.forkScoped(
            Connection.forEach(upper, (batch) => Effect.sync(() => events.push(...batch))),
            { startImmediately: true }
          )
      )
  }
])("$name", ({ start }) => {
  it.effect("wakes a machine when it is due, and not before", () =>
    Effect.gen(function*() {
      const [own, peer] = yield* TestTransport.pair()
      const events: Array<string> = []
      yield* start(own, events)
      const reader = yield* peer.reader
      const heard = Effect.map(reader.pull, (chunks) => chunks.map(text).join(""))
      yield* TestClock.adjust(999)
      assert.deepStrictEqual(events, [])
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* heard, "?\n")
      yield* TestClock.adjust(500)
      yield* peer.write(utf8("x\n"))
      assert.strictEqual(yield* heard, "got x\n")
      // The input put it off.
      yield* TestClock.adjust(999)
      assert.deepStrictEqual(events, ["asked", "x"])
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* heard, "?\n")
      yield* TestClock.adjust(2000)
      assert.deepStrictEqual(events, ["asked", "x", "asked", "asked", "asked"])
    }))
})

describe("Protocol.fromMachine", () => {
  const attached = (options?: Transport.TransportOptions) =>
    Effect.gen(function*() {
      const [own, peer] = yield* TestTransport.pair(options)
      return { own, peer, upper: yield* Protocol.attach(Protocol.fromMachine(courteous), own) }
    })

  it.effect("gives commands to the machine, and refuses one alone", () =>
    Effect.gen(function*() {
      const { peer, upper } = yield* attached()
      yield* upper.write("hello")
      assert.strictEqual(yield* Effect.flip(upper.write("a\nb")), "Refused")
      yield* upper.writeAll(["one", "two"])
      yield* upper.halfClose
      assert.strictEqual(text(yield* Transport.readUntilEnd(peer, { bytesMax: 100 })), "hello\none\ntwo\n")
    }))

  it.effect("answers the peer though nobody reads, up to its bound", () =>
    Effect.gen(function*() {
      const { own, peer, upper } = yield* attached({ readMark: 100 })
      yield* peer.write(utf8("one\n"))
      assert.strictEqual(text(yield* Connection.take(peer)), "got one\n")
      const asking = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 3000 }), () => Effect.andThen(peer.write(utf8("x\n")), peer.flush)),
        { startImmediately: true }
      )
      const answers = yield* Effect.forkChild(
        Transport.readUntilEnd(peer, { bytesMax: 100_000 }),
        { startImmediately: true }
      )
      yield* Effect.repeat(Effect.yieldNow, { times: 2000 })
      // The bound, what one chunk brought more, and what is held below.
      assert.isAtMost((yield* own.buffered).reading, 100 + 65_536)
      const reader = yield* upper.reader
      const first = yield* reader.pull
      assert.isAtLeast(first.length, 1024)
      assert.isAtMost(first.length, 1024 + 100)
      const seen = [...first]
      while (seen.length < 3001) seen.push(...(yield* reader.pull))
      yield* Fiber.join(asking)
      yield* upper.close
      assert.lengthOf(text(yield* Fiber.join(answers)), 3000 * "got x\n".length)
    }))

  it.effect("reads on while a write waits", () =>
    Effect.gen(function*() {
      const { peer, upper } = yield* attached({ highWaterMark: 10, readMark: 10 })
      const writing = yield* Effect.forkChild(upper.write("x".repeat(100_000)), { startImmediately: true })
      yield* peer.write(utf8("one\n"))
      assert.strictEqual(yield* Connection.take(upper), "one")
      assert.isUndefined(writing.pollUnsafe())
      yield* upper.abort
      assert.strictEqual((yield* Fiber.await(writing))._tag, "Failure")
    }))

  it.effect("sends whole what an interrupted write has begun", () =>
    Effect.gen(function*() {
      const { peer, upper } = yield* attached({ highWaterMark: 10, readMark: 10 })
      const writing = yield* Effect.forkChild(upper.write("x".repeat(50_000)), { startImmediately: true })
      yield* Effect.yieldNow
      yield* Fiber.interrupt(writing)
      const reading = yield* Effect.forkChild(Transport.readUntilEnd(peer, { bytesMax: 100_000 }))
      yield* upper.write("y")
      yield* upper.close
      assert.strictEqual(text(yield* Fiber.join(reading)), `${"x".repeat(50_000)}\ny\n`)
    }))

  it.effect("refuses a second reader and a second pull, and an interrupted pull loses nothing", () =>
    Effect.gen(function*() {
      const { peer, upper } = yield* attached()
      yield* Effect.scoped(Effect.gen(function*() {
        const reader = yield* upper.reader
        assert.propertyVal(yield* Effect.flip(Connection.take(upper)), "_tag", "TransportError")
        const pulling = yield* Effect.forkChild(reader.pull, { startImmediately: true })
        assert.propertyVal(yield* Effect.flip(reader.pull), "_tag", "TransportError")
        yield* Fiber.interrupt(pulling)
        yield* peer.write(utf8("one\ntwo\n"))
        assert.deepStrictEqual(yield* reader.pull, ["one", "two"])
        yield* reader.unread(["two"])
      }))
      assert.strictEqual(yield* Connection.take(upper), "two")
    }))

  it.effect("fails reading and writing with the machine's error, after the events before it", () =>
    Effect.gen(function*() {
      const { peer, upper } = yield* attached()
      yield* peer.write(utf8("one\nbad\n"))
      assert.strictEqual(yield* Connection.take(upper), "one")
      assert.strictEqual(yield* Effect.flip(Connection.take(upper)), "Bad")
      assert.strictEqual(yield* Effect.flip(Connection.take(upper)), "Bad")
      assert.strictEqual(yield* Effect.flip(upper.write("hello")), "Bad")
    }))

  it.effect("gives back what the machine has not seen when it is taken off", () =>
    Effect.gen(function*() {
      const [own, peer] = yield* TestTransport.pair()
      const upTo: Machine.Machine<never, string, "enough"> = {
        receive: (bytes) => text(bytes) === "2" ? "enough" : undefined,
        command: () => undefined,
        end: () => undefined,
        due: () => undefined
      }
      for (const byte of ["1", "2", "3", "4"]) yield* Effect.andThen(peer.write(utf8(byte)), peer.flush)
      yield* Effect.scoped(Effect.gen(function*() {
        const upper = yield* Protocol.attach(Protocol.fromMachine(() => upTo), own)
        assert.strictEqual(yield* Effect.flip(Connection.take(upper)), "enough")
      }))
      assert.strictEqual(text(yield* Transport.readExactly(own, 2)), "34")
    }))

  it.effect("ends with a machine that throws when it is woken", () =>
    Effect.gen(function*() {
      const [own] = yield* TestTransport.pair()
      const failing: Machine.Machine<never, string, never> = {
        receive: () => undefined,
        command: () => undefined,
        end: () => undefined,
        due: (nowMs) => {
          if (nowMs >= 10) throw new Error("thrown")
          return 10
        }
      }
      const upper = yield* Protocol.attach(Protocol.fromMachine(() => failing), own)
      const reading = yield* Effect.forkChild(Effect.exit(Connection.take(upper)), { startImmediately: true })
      yield* TestClock.adjust(10)
      assert.match(String(yield* Fiber.join(reading)), /thrown/)
    }))

  /** Each chunk is an event, and "bad" is an error; each command is sent. */
  const plain: Machine.Machine<string, string, "Bad"> = {
    receive: (bytes, out) => {
      if (text(bytes) === "bad") return "Bad"
      out.event(text(bytes))
      return undefined
    },
    command: (command, out) => void out.bytes(utf8(command)),
    end: () => undefined,
    due: () => undefined
  }
  const attach = <Command, E>(machine: Machine.Machine<Command, string, E>, own: Transport.HalfCloseableTransport) =>
    Protocol.attach(Protocol.fromMachine(() => machine), own)
  const turns = Effect.repeat(Effect.yieldNow, { times: 20 })
  const failure = (exit: Exit.Exit<unknown, unknown> | undefined) =>
    exit !== undefined && Exit.isFailure(exit) ? String(Cause.squash(exit.cause)) : exit
  const forked = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.forkChild(Effect.exit(effect), { startImmediately: true })
  const outcome = <A, E>(fiber: Fiber.Fiber<Exit.Exit<A, E>>) => {
    const exit = fiber.pollUnsafe()
    return exit !== undefined && Exit.isSuccess(exit) ? failure(exit.value) : exit
  }

  it.effect("calls the machine no more after its error", () =>
    Effect.gen(function*() {
      const [own, peer] = yield* TestTransport.pair()
      let calls = 0
      const machine = { ...plain, due: (nowMs: number) => (calls++, nowMs + 10) }
      const upper = yield* attach(machine, own)
      yield* peer.write(utf8("bad"))
      assert.strictEqual(yield* Effect.flip(Connection.take(upper)), "Bad")
      const before = calls
      yield* TestClock.adjust(100)
      assert.strictEqual(yield* Effect.flip(upper.write("x")), "Bad")
      assert.strictEqual(calls, before)
    }))

  it.effect("calls the machine no more when the connection is gone", () =>
    Effect.gen(function*() {
      const [own] = yield* TestTransport.pair()
      let calls = 0
      const machine: typeof plain = {
        ...plain,
        due: (nowMs, out) => {
          calls++
          out.bytes(utf8("?"))
          return nowMs + 10
        }
      }
      yield* attach(machine, own)
      yield* own.abort
      yield* TestClock.adjust(20)
      const before = calls
      yield* TestClock.adjust(100)
      assert.strictEqual(calls, before)
    }))

  it.effect("does not wake a machine while what it sent, or its events, have no room", () =>
    Effect.gen(function*() {
      const ticking = (bytes: number, onTick: () => void): typeof plain => {
        let nextMs = 1
        return {
          ...plain,
          due: (nowMs, out) => {
            if (nowMs >= nextMs) {
              nextMs = nowMs + 1
              onTick()
              out.bytes(new Uint8Array(bytes))
              out.event("tick")
            }
            return nextMs
          }
        }
      }
      const [own, peer] = yield* TestTransport.pair({ highWaterMark: 10, readMark: 10 })
      let ticks = 0
      yield* attach(ticking(10_000, () => ticks++), own)
      yield* TestClock.adjust(100)
      assert.isAtLeast(ticks, 5)
      assert.isAtMost(ticks, 15)
      const before = ticks
      yield* Transport.readExactly(peer, 50_000)
      yield* turns
      yield* TestClock.adjust(2)
      assert.isAbove(ticks, before)

      const [own2] = yield* TestTransport.pair()
      let events = 0
      const upper = yield* attach(ticking(0, () => events++), own2)
      yield* TestClock.adjust(1100)
      assert.strictEqual(events, 1024)
      yield* Connection.take(upper)
      yield* TestClock.adjust(1)
      assert.isAbove(events, 1024)
    }))

  it.effect("wakes a machine that is due at once, and not after the scope", () =>
    Effect.gen(function*() {
      const [own] = yield* TestTransport.pair()
      const times: Array<number> = []
      const machine: typeof plain = {
        ...plain,
        due: (nowMs) => {
          times.push(nowMs)
          return times.length === 2 ? nowMs : nowMs + 10
        }
      }
      const scope = yield* Scope.make()
      const upper = yield* Scope.provide(attach(machine, own), scope)
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(times, [0, 10, 10])
      yield* Scope.close(scope, Exit.void)
      yield* Effect.exit(upper.write("x"))
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(times, [0, 10, 10])
    }))

  it.effect("wakes those who wait when the scope ends, and refuses what comes then", () =>
    Effect.gen(function*() {
      for (const isEnded of [false, true]) {
        const [own, peer] = yield* TestTransport.pair({ highWaterMark: 10, readMark: 10 })
        const scope = yield* Scope.make()
        const upper = yield* Scope.provide(attach(plain, own), scope)
        if (isEnded) yield* Effect.andThen(peer.halfClose, turns)
        const writing = yield* forked(upper.write("x".repeat(50_000)))
        const reading = yield* forked(Connection.take(upper))
        yield* turns
        yield* Scope.close(scope, Exit.void)
        yield* turns
        const late = yield* forked(upper.write("y"))
        assert.match(String(outcome(writing)), /^TransportError: write .* it was ended/)
        assert.match(String(outcome(late)), /^TransportError: write .* it was ended/)
        if (!isEnded) assert.match(String(outcome(reading)), /^TransportError: read .* it was ended/)
      }
    }))

  it.effect("aborts where close is interrupted, and takes no writes once it has begun", () =>
    Effect.gen(function*() {
      const [own] = yield* TestTransport.pair({ highWaterMark: 10, readMark: 10 })
      const upper = yield* attach(plain, own)
      yield* forked(upper.write("x".repeat(50_000)))
      const closing = yield* Effect.forkChild(upper.close, { startImmediately: true })
      yield* turns
      const late = yield* forked(upper.write("y"))
      assert.match(String(outcome(late)), /^TransportError: write .* it was ended/)
      yield* Fiber.interrupt(closing)
      assert.match(String(failure(yield* Effect.exit(own.closed))), /abort/)
    }))

  it.effect("half-closes behind what was sent, also where that is interrupted, and reads on", () =>
    Effect.gen(function*() {
      const [own, peer] = yield* TestTransport.pair({ highWaterMark: 10, readMark: 10 })
      const upper = yield* attach(plain, own)
      yield* forked(upper.write("x".repeat(50_000)))
      const ending = yield* Effect.forkChild(upper.halfClose, { startImmediately: true })
      yield* turns
      yield* Fiber.interrupt(ending)
      assert.match(String(failure(yield* Effect.exit(upper.write("y")))), /^TransportError: write .* it was ended/)
      assert.lengthOf(yield* Transport.readUntilEnd(peer), 50_000)
      yield* peer.write(utf8("one"))
      assert.strictEqual(yield* Connection.take(upper), "one")
    }))

  it.effect("gives no events after close, as a codec gives no frames", () =>
    Effect.gen(function*() {
      const [own, peer] = yield* TestTransport.pair()
      const upper = yield* attach(plain, own)
      yield* peer.write(utf8("one"))
      yield* turns
      yield* upper.close
      assert.match(String(failure(yield* Effect.exit(Connection.take(upper)))), /it was ended/)
    }))

  it.effect.each(["receive", "command", "end", "due"] as const)(
    "ends with a machine that throws in %s",
    (where) =>
      Effect.gen(function*() {
        const [own, peer] = yield* TestTransport.pair()
        const machine: typeof plain = {
          ...plain,
          [where]: () => {
            throw new Error("thrown")
          }
        }
        const upper = yield* attach(machine, own)
        const reading = yield* forked(Connection.take(upper))
        if (where === "receive") yield* peer.write(utf8("x"))
        if (where === "end") yield* peer.halfClose
        yield* turns
        assert.match(String(failure(yield* Effect.exit(upper.write("x")))), /thrown/)
        yield* turns
        assert.match(String(outcome(reading)), /thrown/)
      })
  )

  it.effect("sends what the machine sent before it threw", () =>
    Effect.gen(function*() {
      const [own, peer] = yield* TestTransport.pair()
      const machine: typeof plain = {
        ...plain,
        receive: (_bytes, out) => {
          out.bytes(utf8("bye"))
          throw new Error("thrown")
        }
      }
      yield* attach(machine, own)
      yield* peer.write(utf8("x"))
      assert.strictEqual(text(yield* Connection.take(peer)), "bye")
    }))

  it.effect("wakes a pull for an event that comes at whichever step of it", () =>
    Effect.gen(function*() {
      for (let steps = 0; steps < 10; steps++) {
        for (let before = 0; before < 3; before++) {
          const [own, peer] = yield* TestTransport.pair()
          const reader = yield* (yield* attach(plain, own)).reader
          const stepper = new Stepper()
          let pull = reader.pull
          for (let i = 0; i < before; i++) pull = Effect.andThen(Effect.void, pull)
          const pulling = Effect.runFork(Effect.provideService(pull, Scheduler.Scheduler, stepper))
          stepper.run(steps)
          yield* Effect.andThen(peer.write(utf8("one")), turns)
          stepper.run(Infinity)
          assert.deepStrictEqual(pulling.pollUnsafe(), Exit.succeed(["one"]))
        }
      }
    }))

  it.effect("goes on reading where its events leave at whichever step of it", () =>
    Effect.gen(function*() {
      const many: typeof plain = {
        ...plain,
        receive: (bytes, out) => {
          for (let i = 0; i < 1024; i++) out.event(text(bytes))
          return undefined
        }
      }
      for (let steps = 15; steps < 35; steps++) {
        const [own, peer] = yield* TestTransport.pair()
        const stepper = new Stepper()
        const attaching = Effect.runFork(
          Effect.provideService(Scope.provide(attach(many, own), yield* Scope.make()), Scheduler.Scheduler, stepper)
        )
        stepper.run(Infinity)
        const reader = yield* (yield* Fiber.join(attaching)).reader
        yield* peer.write(utf8("1"))
        yield* peer.flush
        stepper.run(steps)
        const first = yield* forked(reader.pull)
        stepper.run(Infinity)
        assert.lengthOf(
          Exit.getSuccess(yield* Fiber.join(first)).pipe((one) => one._tag === "Some" ? one.value : []),
          1024
        )
        yield* peer.write(utf8("2"))
        yield* peer.flush
        stepper.run(Infinity)
        yield* Effect.yieldNow
        stepper.run(Infinity)
        const second = yield* forked(reader.pull)
        assert.isDefined(second.pollUnsafe(), `after ${steps} steps`)
      }
    }))
})

describe("Transport.react", () => {
  it.effect("wakes nothing inside of the machine, and nothing after its end", () =>
    Effect.gen(function*() {
      const [own] = yield* TestTransport.pair()
      const times: Array<number> = []
      const machine: Machine.Machine<never, never, never> = {
        receive: () => undefined,
        command: () => undefined,
        end: () => undefined,
        due: (nowMs) => {
          times.push(nowMs)
          return times.length === 2 ? nowMs : nowMs + 10
        }
      }
      const reacting = yield* Effect.forkChild(Transport.react(own, machine), { startImmediately: true })
      yield* TestClock.adjust(10)
      yield* Fiber.interrupt(reacting)
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(times, [0, 10, 10])
    }))
})
