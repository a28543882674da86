/**
 * A driver for a modem with AT commands, a modem to try it on, and a conversation between the two.
 *
 * This file knows `effect` and `effect-transport` and nothing of what is below: the driver runs over memory in a test and
 * over a serial port in a cabinet (`modem-over.ts`).
 */
import { Data, Deferred, Effect, Fiber, Queue, type Scope, Semaphore } from "effect"
import { Connection, type FrameError, Lines, Protocol, Transport, type TransportError } from "effect-transport"

// ---------------------------------------------------------------------------------------------------------------------
// The driver
// ---------------------------------------------------------------------------------------------------------------------

/** The modem answered, and not with OK. */
export class CommandFailed extends Data.TaggedError("CommandFailed")<{
  readonly command: string
  readonly result: string
}> {
  override get message(): string {
    return `${this.command} was answered with ${this.result}`
  }
}

/** The modem did not answer in time. The connection is over: a late OK would pass for that of the next command. */
export class NoAnswer extends Data.TaggedError("NoAnswer")<{ readonly command: string }> {
  override get message(): string {
    return `${this.command} was not answered`
  }
}

/** The modem answered with what the driver does not understand. */
export class NotUnderstood extends Data.TaggedError("NotUnderstood")<{
  readonly command: string
  readonly lines: ReadonlyArray<string>
}> {}

/** The other end ended, where a medium can show that. */
export class HungUp extends Data.TaggedError("HungUp")<{}> {}

/** What ends a driver. */
export type Lost = TransportError.TransportError | FrameError.DecodeError | FrameError.EncodeError | HungUp

export interface Modem {
  /**
   * Sends one command and waits for its result; answers with the lines between. Commands of several fibers take turns.
   * Interrupted before its turn it is not sent; afterwards its turn ends with its result.
   */
  readonly command: (command: string) => Effect.Effect<ReadonlyArray<string>, CommandFailed | NoAnswer | Lost>
  /** How well the modem hears the network: from 0 to 31, and 99 where it does not know. */
  readonly signal: Effect.Effect<number, CommandFailed | NoAnswer | NotUnderstood | Lost>
  /** The next line that answers no command, as RING. The last 16 are kept. */
  readonly event: Effect.Effect<string, Lost>
}

const failures = /^(ERROR|NO CARRIER|BUSY|NO ANSWER|NO DIALTONE|\+CM[ES] ERROR: .*)$/
const unasked = /^(RING|\+CRING: .*|\+CMTI: .*)$/

/** The driver of the modem at the other end of the transport at hand. It lives as long as the scope. */
export const make: Effect.Effect<Modem, Lost, Transport.TransportService | Scope.Scope> = Effect.gen(function*() {
  const transport = yield* Transport.Transport
  const lines = yield* Protocol.attach(Lines.protocol({ newline: "crlf", tail: "error" }), transport)
  const scope = yield* Effect.scope
  const turn = Semaphore.makeUnsafe(1)
  const events = yield* Queue.sliding<string, Lost>(16)
  let asked: {
    readonly command: string
    readonly lines: Array<string>
    readonly result: Deferred.Deferred<ReadonlyArray<string>, CommandFailed>
  } | undefined

  const receive = (line: string): void => {
    // The modem may still send back what it is sent; that has a CR of its own at its end.
    if (line === "" || line.trimEnd() === asked?.command) return
    if (asked === undefined || unasked.test(line)) return void Queue.offerUnsafe(events, line)
    const { command, lines, result } = asked
    if (line === "OK") Deferred.doneUnsafe(result, Effect.succeed(lines))
    else if (failures.test(line)) Deferred.doneUnsafe(result, Effect.fail(new CommandFailed({ command, result: line })))
    else lines.push(line)
  }

  const reading = yield* Connection.forEach(lines, (batch) => Effect.sync(() => batch.forEach(receive))).pipe(
    Effect.andThen(Effect.fail(new HungUp())),
    Effect.tapCause((cause) => Queue.failCause(events, cause)),
    Effect.forkScoped
  )

  const ask = (command: string) =>
    Effect.gen(function*() {
      const result = Deferred.makeUnsafe<ReadonlyArray<string>, CommandFailed>()
      asked = { command, lines: [], result }
      yield* lines.write(command)
      return yield* Effect.raceFirst(Deferred.await(result), Fiber.join(reading))
    }).pipe(
      Effect.timeoutOrElse({
        duration: "5 seconds",
        orElse: () => Effect.andThen(transport.abort, Effect.fail(new NoAnswer({ command })))
      }),
      Effect.ensuring(Effect.sync(() => asked = undefined))
    )

  const command: Modem["command"] = (command) =>
    Effect.uninterruptibleMask((restore) =>
      restore(turn.take(1)).pipe(
        Effect.andThen(Effect.forkIn(Effect.ensuring(Effect.interruptible(ask(command)), turn.release(1)), scope)),
        Effect.flatMap((asking) => restore(Fiber.join(asking)))
      )
    )

  const signal = Effect.flatMap(command("AT+CSQ"), (lines) => {
    const level = lines.length === 1 ? /^\+CSQ: (\d+),\d+$/.exec(lines[0]!)?.[1] : undefined
    return level === undefined
      ? Effect.fail(new NotUnderstood({ command: "AT+CSQ", lines }))
      : Effect.succeed(Number(level))
  })

  return { command, signal, event: Queue.take(events) }
})

// ---------------------------------------------------------------------------------------------------------------------
// A modem
// ---------------------------------------------------------------------------------------------------------------------

/** A modem at the other end of a wire, with the manners of a real one: it sends back what it gets until told not to. */
export const simulated = (wire: Transport.Transport) =>
  Effect.gen(function*() {
    const lines = yield* Protocol.attach(Lines.protocol({ newline: "crlf" }), wire)
    let echoes = true
    const answersTo = (command: string): ReadonlyArray<string> => {
      switch (command) {
        case "AT":
          return ["OK"]
        case "ATE0":
          echoes = false
          return ["OK"]
        // A call comes in the midst of the answer.
        case "AT+CSQ":
          return ["+CSQ: 20,99", "RING", "OK"]
        case "AT+SILENCE":
          return []
        default:
          return ["ERROR"]
      }
    }
    yield* Connection.forEach(lines, (batch) =>
      Effect.forEach(batch, (command) => {
        const echo = echoes ? [command] : []
        return lines.writeAll([...echo, ...answersTo(command).flatMap((line) => ["", line])])
      }, { discard: true }))
  }).pipe(Effect.scoped)

// ---------------------------------------------------------------------------------------------------------------------
// A conversation
// ---------------------------------------------------------------------------------------------------------------------

/** What the two have to say to each other, as plain data. */
export const converse = Effect.gen(function*() {
  const modem = yield* make
  yield* modem.command("AT")
  yield* modem.command("ATE0")
  const signal = yield* modem.signal
  const event = yield* modem.event
  const refused = yield* Effect.flip(modem.command("AT+NONSENSE"))
  return { signal, event, refused: refused.message }
}).pipe(Effect.scoped)
