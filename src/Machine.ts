/**
 * A protocol with no IO: bytes and commands in, bytes and events out, time handed in.
 *
 * A machine is plain synchronous code, so it is tested with arrays (`run`) and works anywhere: inside the read callback of
 * a transport (`Transport.react`), or as a layer of a stack (`Protocol.fromMachine`). However its input is cut, and
 * wherever it runs, the same bytes make the same events, the same answers and the same error.
 *
 * **Example** (Testing a machine with arrays)
 *
 * ```ts import.meta.vitest
 * import { Machine } from "effect-transport"
 *
 * // It says "?" after a second without input, and ends the protocol at the second time.
 * const watchful = (): Machine.Machine<never, string, "Silent"> => {
 *   let heardMs: number | undefined
 *   let asked = 0
 *   return {
 *     receive: (bytes, out) => {
 *       heardMs = undefined
 *       asked = 0
 *       out.event(`${bytes.length} bytes`)
 *       return undefined
 *     },
 *     command: () => undefined,
 *     end: () => asked > 1 ? "Silent" : undefined,
 *     due: (nowMs, out) => {
 *       heardMs ??= nowMs
 *       if (nowMs >= heardMs + 1000) {
 *         heardMs = nowMs
 *         asked++
 *         out.bytes(new TextEncoder().encode("?"))
 *       }
 *       return heardMs + 1000
 *     }
 *   }
 * }
 *
 * const { error, events, sent } = Machine.run(watchful(), [
 *   Machine.wait(1500),
 *   Machine.bytes(Uint8Array.of(1, 2)),
 *   Machine.wait(2000),
 *   Machine.end
 * ])
 * new TextDecoder().decode(sent) // => "???"
 * events // => ["2 bytes"]
 * error // => "Silent"
 * ```
 */
import type { Codec } from "./Codec.ts"
import { concat } from "./internal/bytes.ts"
import { Driver } from "./internal/driver.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What a machine hands out while it runs.
 *
 * @category models
 * @since 0.1.0
 */
export interface MachineOut<in Event> {
  /** Bytes for the peer. They belong to the connection from now on; they may be some of those that were just received. */
  readonly bytes: (bytes: Uint8Array) => void
  readonly event: (event: Event) => void
}

/**
 * A whole protocol, for one connection. Each function answers with an error or with nothing: an error of `receive` or `end`
 * ends the protocol, and one of `command` refuses that command.
 *
 * @category models
 * @since 0.1.0
 */
export interface Machine<in Command, in out Event, out E> {
  /** Bytes of the peer. They are borrowed for the call. */
  readonly receive: (bytes: Uint8Array, out: MachineOut<Event>) => E | undefined
  /** Something that the user wants. Where it is refused, nothing may have been sent for it. */
  readonly command: (command: Command, out: MachineOut<Event>) => E | undefined
  /** The peer's input has ended. */
  readonly end: (out: MachineOut<Event>) => E | undefined
  /**
   * When it wants to be woken, in milliseconds of the clock it is given.
   *
   * **Details**
   *
   * It is told the time at the start, before and after each other call, and when it is due; it may be told more often.
   * What it began in a call it sees the time of behind that call. It is the only way in which a machine knows of time.
   */
  readonly due: (nowMs: number, out: MachineOut<Event>) => number | undefined
}

/**
 * What happens to a machine under `run`.
 *
 * @category models
 * @since 0.1.0
 */
export type Input<Command> =
  | { readonly _tag: "Bytes"; readonly bytes: Uint8Array }
  | { readonly _tag: "Command"; readonly command: Command }
  | { readonly _tag: "Wait"; readonly ms: number }
  | { readonly _tag: "End" }

/**
 * What a machine made of its input.
 *
 * @category models
 * @since 0.1.0
 */
export interface Output<out Event, out E> {
  readonly events: ReadonlyArray<Event>
  /** All bytes for the peer, in one. */
  readonly sent: Uint8Array
  /** What ended it. It has seen no input behind that. */
  readonly error: E | undefined
  /** Why commands were refused. */
  readonly refused: ReadonlyArray<E>
  /** When it wants to be woken. The clock began at 0. */
  readonly dueMs: number | undefined
}

// ---------------------------------------------------------------------------------------------------------------------
// Running over arrays
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Bytes of the peer.
 *
 * @category input
 * @since 0.1.0
 */
export const bytes = (bytes: Uint8Array): Input<never> => ({ _tag: "Bytes", bytes })

/**
 * A command of the user.
 *
 * @category input
 * @since 0.1.0
 */
export const command = <Command>(command: Command): Input<Command> => ({ _tag: "Command", command })

/**
 * So many milliseconds pass. The machine is woken each time that it is due.
 *
 * @category input
 * @since 0.1.0
 */
export const wait = (ms: number): Input<never> => ({ _tag: "Wait", ms })

/**
 * The peer's input ends.
 *
 * @category input
 * @since 0.1.0
 */
export const end: Input<never> = { _tag: "End" }

/**
 * Runs a machine over an array, in no time and with no IO.
 *
 * **Details**
 *
 * A machine that is due again at once, a thousand times in a row, is a defect, and throws.
 *
 * @category running
 * @since 0.1.0
 */
export const run = <Command, Event, E>(
  machine: Machine<Command, Event, E>,
  inputs: Iterable<Input<Command>>
): Output<Event, E> => {
  const events: Array<Event> = []
  const sent: Array<Uint8Array> = []
  const refused: Array<E> = []
  let nowMs = 0
  const out: MachineOut<Event> = {
    bytes: (bytes) => sent.push(new Uint8Array(bytes)),
    event: (event) => events.push(event)
  }
  const driver = new Driver(machine, out, () => nowMs)
  const step = (input: Input<Command>): E | undefined => {
    switch (input._tag) {
      case "Bytes":
        return driver.receive(input.bytes)
      case "Command": {
        const error = driver.command(input.command)
        if (error !== undefined) refused.push(error)
        return undefined
      }
      case "End":
        return driver.end()
      case "Wait": {
        const untilMs = nowMs + input.ms
        let inARow = 0
        while (driver.dueMs !== undefined && driver.dueMs <= untilMs) {
          inARow = driver.dueMs > nowMs ? 0 : inARow + 1
          if (inARow > 1000) throw new Error(`the machine is due again and again at ${nowMs} ms`)
          nowMs = Math.max(nowMs, driver.dueMs)
          driver.tick()
        }
        nowMs = untilMs
        return undefined
      }
    }
  }
  driver.tick()
  let error: E | undefined
  for (const input of inputs) {
    error = step(input)
    if (error !== undefined) break
  }
  return { events, sent: concat(sent), error, refused, dueMs: driver.dueMs }
}

// ---------------------------------------------------------------------------------------------------------------------
// Constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A machine of a codec, for one connection: its events are the frames of the peer, and each command is a frame to send.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromCodec = <In, Out, DE, EE>(codec: Codec<In, Out, DE, EE>): Machine<Out, In, DE | EE> => {
  const decoder = codec.decoder()
  const frames: Array<In> = []
  const handOut = (out: MachineOut<In>): void => {
    if (frames.length > 0) { for (const frame of frames.splice(0)) out.event(frame) }
  }
  return {
    receive: (bytes, out) => {
      // The frames of one that aliases would share the memory that is lent.
      const error = decoder.decode(decoder.aliases ? new Uint8Array(bytes) : bytes, frames, Infinity)
      handOut(out)
      return error
    },
    command: (frame, out) => {
      const bytes: Array<Uint8Array> = []
      const error = codec.encode(frame, bytes)
      for (const chunk of bytes) out.bytes(chunk)
      return error
    },
    end: (out) => {
      const error = decoder.end(frames)
      handOut(out)
      return error
    },
    due: (nowMs, out) => {
      const dueMs = decoder.due?.(nowMs, frames)
      handOut(out)
      return dueMs
    }
  }
}
