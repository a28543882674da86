/**
 * The laws that every machine obeys, as tests for any machine and any test runner.
 *
 * Give a `Subject`, which makes the machine and has conversations with it, and run the tests that come back: plain functions
 * that throw `LawBroken` when their law does not hold. A machine that obeys them does the same over arrays, in the read
 * callback of a transport and as a protocol. `effect-transport/vitest` makes tests of them.
 */
import * as Machine from "../Machine.ts"
import {
  broken,
  bytewise,
  cutAt,
  isAlike,
  isSameBytes,
  places,
  randomPlaces,
  show,
  showBytes,
  showError
} from "./codecBench.ts"
import { LawBroken } from "./law.ts"
import { randomOf } from "./random.ts"

export {
  /**
   * A law was broken; `detail` says what was seen.
   *
   * @category errors
   * @since 0.1.0
   */
  LawBroken
} from "./law.ts"

/**
 * What happens to a machine, from its beginning on.
 *
 * @category models
 * @since 0.1.0
 */
export type Conversation<Command> = ReadonlyArray<Machine.Input<Command>>

/**
 * The machine that is judged.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subject<in out Command, in out Event, in out E> {
  /** Makes a machine for a new connection. */
  readonly machine: () => Machine.Machine<Command, Event, E>
  /** At least one, and the more of its protocol they have in them, errors too, the more is seen. */
  readonly conversations: readonly [Conversation<Command>, ...Array<Conversation<Command>>]
  /** Commands that a new machine refuses. */
  readonly refused?: ReadonlyArray<Command> | undefined
  /** Whether two events are the same. By default they are compared by what they are made of; bytes are, one by one. */
  readonly isSame?: ((one: Event, other: Event) => boolean) | undefined
}

/**
 * What a law needs of its subject: that there are commands to be refused, that time passes in a conversation.
 *
 * @category models
 * @since 0.1.0
 */
export type Need = "refusals" | "waits"

/**
 * One law held against one subject. `test` throws `LawBroken`; it leaves nothing behind, so it can be run again.
 *
 * @category models
 * @since 0.1.0
 */
export interface Case {
  readonly number: number
  readonly name: string
  /** What the subject lacks; then `test` is not to be run. */
  readonly missing: ReadonlyArray<Need>
  readonly test: () => void
}

/**
 * All laws, held against the subject.
 *
 * **Example** (Judging a machine)
 *
 * ```ts import.meta.vitest
 * import { Lines, Machine } from "effect-transport"
 * import { MachineLaws } from "effect-transport/testing"
 *
 * const text = (text: string) => Machine.bytes(new TextEncoder().encode(text))
 *
 * const laws = MachineLaws.make({
 *   // In place of it: a machine of yours.
 *   machine: () => Machine.fromCodec(Lines.codec()),
 *   conversations: [[text("one\ntw"), Machine.command("three"), text("o\n"), Machine.end]],
 *   refused: ["two\nlines"]
 * })
 *
 * const judge = (law: MachineLaws.Case): string => {
 *   if (law.missing.length > 0) return `${law.number} left out: ${law.missing}`
 *   law.test()
 *   return `${law.number} holds`
 * }
 *
 * laws.map(judge) // => ["1 holds", "2 holds", "3 holds", "4 holds", "5 left out: waits", "6 holds"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Command, Event, E>(subject: Subject<Command, Event, E>): ReadonlyArray<Case> => {
  const has: Readonly<Record<Need, boolean>> = {
    refusals: (subject.refused ?? []).length > 0,
    waits: subject.conversations.some((inputs) => inputs.some((input) => input._tag === "Wait" && input.ms > 0))
  }
  return machineLaws.map((law): Case => ({
    number: law.number,
    name: `law M${law.number}: ${law.title}`,
    missing: (law.needs ?? []).filter((need) => !has[need]),
    test: () => {
      try {
        law.test(new Bench(subject))
      } catch (cause) {
        if (cause instanceof LawBroken) throw cause
        throw new LawBroken({ detail: `it throws ${cause}`, cause })
      }
    }
  }))
}

/** A law with its test, which throws `LawBroken`. */
interface MachineLaw {
  readonly number: number
  readonly title: string
  readonly needs?: ReadonlyArray<Need> | undefined
  readonly test: <Command, Event, E>(bench: Bench<Command, Event, E>) => void
}

class Bench<Command, Event, E> {
  readonly subject: Subject<Command, Event, E>

  constructor(subject: Subject<Command, Event, E>) {
    this.subject = subject
  }

  run(inputs: Iterable<Machine.Input<Command>>): Machine.Output<Event, E> {
    return Machine.run(this.subject.machine(), inputs)
  }

  /** Compares with what the conversation leads to by itself. */
  checkSame(what: () => string, output: Machine.Output<Event, E>, expected: Machine.Output<Event, E>): void {
    const isSame = this.subject.isSame ?? isAlike
    const differs = expected.events.findIndex((event, i) =>
      i >= output.events.length || !isSame(output.events[i]!, event)
    )
    if (differs >= 0) {
      const event = differs < output.events.length ? show(output.events[differs]) : "none"
      return broken(`${what()}: event ${differs + 1} is ${event}, and not ${show(expected.events[differs])}`)
    }
    if (output.events.length > expected.events.length) {
      return broken(`${what()}: one more event, ${show(output.events[expected.events.length])}`)
    }
    if (!isSameBytes(output.sent, expected.sent)) {
      return broken(`${what()}: it sends ${showBytes(output.sent)}, and not ${showBytes(expected.sent)}`)
    }
    const errors = [output, expected].map(({ error, refused }) => [error, ...refused].map(showError).join(", "))
    if (errors[0] !== errors[1]) return broken(`${what()}: the errors are ${errors[0]}, and not ${errors[1]}`)
    if (output.dueMs !== expected.dueMs && output.error === undefined) {
      broken(`${what()}: it is due at ${output.dueMs}, and not at ${expected.dueMs}`)
    }
  }

  /** Each conversation, with what it leads to. */
  forEach(f: (inputs: Conversation<Command>, expected: Machine.Output<Event, E>, name: string) => void): void {
    this.subject.conversations.forEach((inputs, i) => f(inputs, this.run(inputs), `conversation ${i + 1}`))
  }
}

/** The bytes of each input cut by `cut`, everything else as it is. */
const cutBy = <Command>(
  inputs: Conversation<Command>,
  cut: (bytes: Uint8Array, index: number) => ReadonlyArray<Uint8Array>
): Conversation<Command> =>
  inputs.flatMap((input, i): Conversation<Command> =>
    input._tag === "Bytes" ? cut(input.bytes, i).map(Machine.bytes) : [input]
  )

/** Pieces of bytes; there are no pauses among them. */
const piecesOf = (bytes: Uint8Array, at: ReadonlyArray<number>) => cutAt([bytes], at) as ReadonlyArray<Uint8Array>

export const machineLaws: ReadonlyArray<MachineLaw> = [
  {
    number: 1,
    title: "however the bytes are cut, it makes the same events, the same answers and the same error",
    test: (bench) => {
      const random = randomOf(1)
      bench.forEach((inputs, expected, name) => {
        const check = (how: string, pieces: typeof inputs) =>
          bench.checkSame(() => `${name}, ${how}`, bench.run(pieces), expected)
        check("byte by byte", cutBy(inputs, (bytes) => bytewise([bytes]) as ReadonlyArray<Uint8Array>))
        inputs.forEach((input, i) => {
          if (input._tag !== "Bytes") return
          for (const place of places(input.bytes.length)) {
            const cut = (bytes: Uint8Array, index: number) => index === i ? piecesOf(bytes, [place]) : [bytes]
            check(`input ${i + 1} cut at ${place}`, cutBy(inputs, cut))
          }
        })
        for (let run = 0; run < 20; run++) {
          const cut = (bytes: Uint8Array) => piecesOf(bytes, randomPlaces(random, bytes.length, 1 + random(8)))
          check("in pieces, some of them empty", cutBy(inputs, cut))
        }
      })
    }
  },
  {
    number: 2,
    title: "what it was lent may be overwritten when the call is over",
    test: (bench) => {
      bench.forEach((inputs, expected, name) => {
        for (const fill of [0, 0x58, 0xff]) {
          const lending = function*() {
            for (const input of cutBy(inputs, (bytes) => piecesOf(bytes, [Math.floor(bytes.length / 2)]))) {
              if (input._tag !== "Bytes") {
                yield input
                continue
              }
              const lent = input.bytes.slice()
              yield Machine.bytes(lent)
              lent.fill(fill)
            }
          }
          bench.checkSame(() => `${name}, overwritten with ${fill}`, bench.run(lending()), expected)
        }
      })
    }
  },
  {
    number: 3,
    title: "machines of one maker have nothing in common",
    test: (bench) => {
      bench.forEach((inputs, expected, name) => {
        const amongOthers = function*() {
          for (const input of inputs) {
            for (const others of bench.subject.conversations) bench.run(others)
            yield input
          }
        }
        bench.checkSame(() => `${name}, with others in between`, bench.run(amongOthers()), expected)
      })
    }
  },
  {
    number: 4,
    title: "told the time more often, it does the same",
    test: (bench) => {
      bench.forEach((inputs, expected, name) => {
        const told = inputs.flatMap((input) => [Machine.wait(0), input, Machine.wait(0)])
        const machine = bench.subject.machine()
        const again: typeof machine = {
          receive: (bytes, out) => machine.receive(bytes, out),
          command: (command, out) => machine.command(command, out),
          end: (out) => machine.end(out),
          due: (nowMs, out) => {
            machine.due(nowMs, out)
            return machine.due(nowMs, out)
          }
        }
        bench.checkSame(() => `${name}, told each time twice`, Machine.run(again, told), expected)
      })
    }
  },
  {
    number: 5,
    title: "told the time while it passes, it does the same",
    needs: ["waits"],
    test: (bench) => {
      bench.forEach((inputs, expected, name) => {
        for (const stepMs of [1, 7, 100]) {
          const machine = bench.subject.machine()
          const watched: typeof machine = {
            receive: (bytes, out) => machine.receive(bytes, out),
            command: (command, out) => machine.command(command, out),
            end: (out) => machine.end(out),
            due: (nowMs, out) => Math.min(machine.due(nowMs, out) ?? Infinity, nextAt(nowMs, stepMs))
          }
          const output = { ...Machine.run(watched, inputs), dueMs: expected.dueMs }
          bench.checkSame(() => `${name}, told each ${stepMs} milliseconds`, output, expected)
        }
      })
    }
  },
  {
    number: 6,
    title: "a refused command does nothing",
    needs: ["refusals"],
    test: (bench) => {
      for (const command of bench.subject.refused ?? []) {
        const what = () => `the command ${show(command)}`
        const { events, refused, sent } = bench.run([Machine.command(command)])
        if (refused.length !== 1) broken(`${what()} is not refused`)
        if (sent.length > 0) broken(`${what()} is refused, and sends ${showBytes(sent)}`)
        if (events.length > 0) broken(`${what()} is refused, and makes the event ${show(events[0])}`)
        bench.forEach((inputs, expected, name) => {
          const output = bench.run([Machine.command(command), ...inputs])
          bench.checkSame(() => `${name} behind ${what()}`, { ...output, refused: output.refused.slice(1) }, expected)
        })
      }
    }
  }
]

const nextAt = (nowMs: number, stepMs: number): number => (Math.floor(nowMs / stepMs) + 1) * stepMs
