import { assert, describe, it } from "@effect/vitest"
import * as Delimited from "../../src/codec/Delimited.ts"
import * as Silence from "../../src/codec/Silence.ts"
import * as Machine from "../../src/Machine.ts"
import * as MachineLaws from "../../src/testing/MachineLaws.ts"
import { machineLaws } from "../../src/vitest/machineLaws.ts"

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (text: string) => Machine.bytes(utf8(text))

type Greeter = Machine.Machine<string, string | Uint8Array, "Bad" | "Refused">

/** What can be changed about it, to break it. */
interface Faults {
  /** The line so far. */
  line: string
  sinceMs: number | undefined
}

/** Acknowledges each line, fails at "bad", and asks after a second without a line. */
const greeter = (change: (machine: Greeter, state: Faults) => Partial<Greeter> = () => ({})): Greeter => {
  const state: Faults = { line: "", sinceMs: undefined }
  const machine: Greeter = {
    receive: (bytes, out) => {
      for (const byte of bytes) {
        if (byte !== 10) {
          state.line += String.fromCharCode(byte)
          continue
        }
        if (state.line === "bad") return "Bad"
        out.event(state.line)
        out.bytes(utf8(`got ${state.line}\n`))
        state.line = ""
        state.sinceMs = undefined
      }
      return undefined
    },
    command: (command, out) => {
      if (command.includes("\n")) return "Refused"
      out.bytes(utf8(`${command}\n`))
      return undefined
    },
    end: (out) => {
      out.event(`end after ${state.line}`)
      return undefined
    },
    due: (nowMs, out) => {
      state.sinceMs ??= nowMs
      while (nowMs >= state.sinceMs + 1000) {
        state.sinceMs += 1000
        out.bytes(utf8("?\n"))
      }
      return state.sinceMs + 1000
    }
  }
  return { ...machine, ...change(machine, state) }
}

const subjectOf = (machine: () => Greeter): MachineLaws.Subject<string, string | Uint8Array, "Bad" | "Refused"> => ({
  machine,
  conversations: [
    [
      text("one\ntwo\nth"),
      Machine.command("hello"),
      Machine.wait(1500),
      text("ree\n"),
      Machine.wait(3000),
      Machine.end
    ],
    [text("one\nbad\ntwo\n")]
  ],
  refused: ["a\nb"]
})

machineLaws("a machine with timers and commands", subjectOf(greeter))

machineLaws("a codec as a machine", {
  machine: () => Machine.fromCodec(Delimited.codec({ delimiter: ";", frameBytesMax: 5, onBroken: "skip" })),
  conversations: [[text("a;bc"), Machine.command(utf8("x")), text(";1234567;d"), Machine.end]],
  refused: [utf8("a;b")]
})

machineLaws("a codec that time ends, as a machine", {
  machine: () => Machine.fromCodec(Silence.codec({ gapMs: 5 })),
  conversations: [[text("ab"), Machine.wait(4), text("c"), Machine.wait(20), text("d"), Machine.end]]
})

/** Machines that are broken on purpose, each with the laws that it breaks: first the one that is there to catch it. */
const specimens: ReadonlyArray<{
  readonly fault: string
  readonly breaks: ReadonlyArray<number>
  readonly machine: () => Greeter
}> = [
  {
    fault: "an event for each chunk",
    // Cut in two, they are lent.
    breaks: [1, 2],
    machine: () =>
      greeter(({ receive }) => ({
        receive: (bytes, out) => {
          out.event(`${bytes.length} bytes`)
          return receive(bytes, out)
        }
      }))
  },
  {
    fault: "a line whose end is in another chunk is lost",
    breaks: [1, 2],
    machine: () =>
      greeter(({ receive }, state) => ({
        receive: (bytes, out) => {
          const error = receive(bytes, out)
          state.line = ""
          return error
        }
      }))
  },
  {
    fault: "events are views of what was lent",
    breaks: [2],
    machine: () =>
      greeter(() => ({
        receive: (bytes, out) => {
          for (let i = 0; i < bytes.length; i++) out.event(bytes.subarray(i, i + 1))
          return undefined
        }
      }))
  },
  {
    fault: "all machines count together",
    breaks: [3],
    machine: (() => {
      let count = 0
      let fresh = 0
      return () => {
        const own = ++fresh
        let seen = 0
        return greeter(({ receive }) => ({
          receive: (bytes, out) => {
            if (own !== fresh && seen === 0) count++
            seen += bytes.length
            return count > 0 && own !== fresh ? "Bad" : receive(bytes, out)
          }
        }))
      }
    })()
  },
  {
    fault: "it counts how often it is told the time",
    // It is told before and after each piece of its input, too.
    breaks: [4, 1, 5],
    machine: () => {
      let told = 0
      return greeter(({ due }) => ({
        due: (nowMs, out) => {
          if (++told === 12) out.event("often")
          return due(nowMs, out)
        }
      }))
    }
  },
  {
    fault: "an event each time that the time is another",
    breaks: [5],
    machine: () => {
      let lastMs = 0
      return greeter(({ due }) => ({
        due: (nowMs, out) => {
          if (nowMs > lastMs) out.event("later")
          lastMs = nowMs
          return due(nowMs, out)
        }
      }))
    }
  },
  {
    fault: "a refused command is sent all the same",
    breaks: [6],
    machine: () =>
      greeter(({ command }) => ({
        command: (line, out) => {
          if (line.includes("\n")) out.bytes(utf8(line))
          return command(line, out)
        }
      }))
  },
  {
    fault: "what is to be refused is taken",
    breaks: [6],
    machine: () => greeter(() => ({ command: () => undefined }))
  }
]

describe("the laws of machines", () => {
  it("are numbered in order, and have a specimen each", () => {
    const numbers = MachineLaws.machineLaws.map((law) => law.number)
    assert.deepStrictEqual(numbers, numbers.map((_, i) => i + 1))
    assert.deepStrictEqual([...new Set(specimens.map(({ breaks }) => breaks[0]))].sort(), numbers)
  })

  for (const { breaks, fault, machine } of specimens) {
    it(`catch with ${breaks[0]}: ${fault}`, () => {
      const caught = MachineLaws.make(subjectOf(machine)).filter((law) => {
        try {
          law.test()
          return false
        } catch (error) {
          assert.instanceOf(error, MachineLaws.LawBroken)
          return true
        }
      })
      assert.deepStrictEqual(caught.map(({ number }) => number), breaks.toSorted())
    })
  }

  it("say what a machine throws", () => {
    const throwing = () =>
      greeter(() => ({
        end: () => {
          throw new Error("no end")
        }
      }))
    assert.throws(() => MachineLaws.make(subjectOf(throwing))[0]!.test(), MachineLaws.LawBroken, "no end")
  })
})
