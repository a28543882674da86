/**
 * A machine at work on a connection, by the effects that every connection has.
 *
 * One fiber reads and one writes, so that a write that waits keeps nobody from reading. What the machine sends leaves in
 * the order in which it was sent, whoever was the cause.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import { type Alarm, makeAlarm } from "./alarm.ts"
import { type Connection, isHalfCloseable, type Reader } from "./Connection.ts"
import { Driver } from "./internal/driver.ts"
import type { Machine } from "./Machine.ts"
import { readerBusy } from "./refusal.ts"
import type { TransportError } from "./TransportError.ts"

/** Runs the machine until the peer's input ends. Each chunk's answer is sent before the next chunk is taken. */
export const drive = <Event, E, LE>(
  lower: Connection<Uint8Array, Uint8Array, LE>,
  machine: Machine<never, Event, E>,
  onEvent: (event: Event) => void
): Effect.Effect<void, E | LE> =>
  Effect.scoped(Effect.flatMap(makeDriving(lower, machine, { onEvent }), (driving) => driving.read(0, Effect.void)))

/** Who is told of what the machine does. */
interface Observer<in Event> {
  /** From inside the machine: nothing may be woken by it. */
  readonly onEvent: (event: Event) => void
  /** The machine has returned. */
  readonly onStep?: (() => void) | undefined
}

/** The most events that wait to be pulled; and, with those of one chunk, all that there are. */
const eventsMax = 1024

/** How many bytes of answers may wait while more input is taken. */
const answerBytesMax = 65_536

/** The connection above a machine. */
export const attachMachine = <Command, Event, E, LE>(
  lower: Connection<Uint8Array, Uint8Array, LE>,
  machine: Machine<Command, Event, E>
): Effect.Effect<Connection<Event, Command, LE | E | TransportError>, LE, Scope.Scope> =>
  Effect.gen(function*() {
    let events: Array<Event> = []
    let ended: Exit.Exit<void, E | LE> | undefined
    let lease: object | undefined
    let wakeReader: (() => void) | undefined
    let wakeDriving: (() => void) | undefined

    const driving = yield* makeDriving<Command, Event, E, LE>(lower, machine, {
      onEvent: (event) => events.push(event),
      onStep: () => {
        if (events.length > 0) wakeReader?.()
      }
    })
    const full = Effect.callback<void>((resume) => {
      wakeDriving = () => resume(Effect.void)
      return Effect.sync(() => {
        wakeDriving = undefined
      })
    })
    const room: Effect.Effect<void> = Effect.suspend(() => {
      wakeDriving = undefined
      return events.length < eventsMax ? Effect.void : Effect.andThen(full, room)
    })
    const fiber = yield* Effect.forkScoped(driving.read(answerBytesMax, room), { startImmediately: true })
    fiber.addObserver((exit) => {
      ended = exit
      wakeReader?.()
    })

    type Pulling = Pull.Pull<NonEmptyReadonlyArray<Event>, E | LE | TransportError>
    const readerOf = (own: object): Reader<Event, E | LE | TransportError> => {
      let pulled = 0
      // Events leave in one step, the last: an interruption before it finds them all here.
      const handOut = Effect.sync(() => {
        const batch = events as unknown as NonEmptyReadonlyArray<Event>
        events = []
        pulled += batch.length
        wakeDriving?.()
        return batch
      })
      const pull: Pulling = Effect.suspend((): Pulling => {
        if (lease !== own || wakeReader !== undefined) return readerBusy(lower)
        if (events.length > 0) return handOut
        if (ended === undefined) return Effect.andThen(parked, pull)
        return Exit.isSuccess(ended) ? Cause.done() : Effect.failCause(ended.cause)
      })
      const parked = Effect.callback<void>((resume) => {
        wakeReader = () => {
          wakeReader = undefined
          resume(Effect.void)
        }
        return Effect.sync(() => {
          wakeReader = undefined
        })
      })
      return {
        pull,
        unread: (items) =>
          Effect.suspend(() => {
            if (items.length > pulled) return Effect.die(new Error("Reader.unread: more than this lease has pulled"))
            pulled -= items.length
            events = [...items, ...events]
            return Effect.void
          })
      }
    }

    const commands = (all: ReadonlyArray<Command>) =>
      Effect.suspend(() => {
        if (ended !== undefined && Exit.isFailure(ended)) return Effect.failCause(ended.cause)
        for (const command of all) {
          const error = driving.command(command)
          if (error !== undefined) return Effect.fail(error)
        }
        return driving.taken
      })
    // What the machine sent before comes before the end; a peer that does not take it is for `close` to deal with.
    const afterSending = <A, LE>(end: Effect.Effect<A, LE>) =>
      Effect.andThen(Effect.exit(Effect.timeoutOption(driving.taken, "5 seconds")), end)
    const upper: Connection<Event, Command, LE | E | TransportError> = {
      reader: Effect.acquireRelease(
        Effect.suspend(() => lease === undefined ? Effect.succeed(readerOf(lease = {})) : readerBusy(lower)),
        () =>
          Effect.sync(() => {
            lease = undefined
          })
      ),
      write: (command) => commands([command]),
      writeAll: commands,
      close: afterSending(lower.close),
      abort: lower.abort,
      abortWith: lower.abortWith,
      closed: lower.closed
    }
    return isHalfCloseable(lower) ? { ...upper, halfClose: afterSending(lower.halfClose) } : upper
  })

const makeDriving = <Command, Event, E, LE>(
  lower: Connection<Uint8Array, Uint8Array, LE>,
  machine: Machine<Command, Event, E>,
  observer: Observer<Event>
): Effect.Effect<Driving<Command, Event, E, LE>, LE, Scope.Scope> =>
  Effect.gen(function*() {
    const reader = yield* lower.reader
    const alarm = yield* makeAlarm
    const driving = yield* Effect.acquireRelease(
      Effect.sync(() => new Driving<Command, Event, E, LE>(lower, reader, machine, observer)),
      (driving) => driving.stop()
    )
    yield* Effect.forkScoped(driving.send, { startImmediately: true })
    driving.start(alarm.ringing(() => driving.ring()))
    return driving
  })

class Driving<Command, Event, E, LE> {
  readonly #lower: Connection<Uint8Array, Uint8Array, LE>
  readonly #reader: Reader<Uint8Array, LE>
  readonly #machine: Machine<Command, Event, E>
  readonly #observer: Observer<Event>
  #driver: Driver<Command, Event, E> | undefined = undefined
  #alarm: Alarm | undefined = undefined
  /** What was read and the machine has not seen. */
  #chunks: Array<Uint8Array> = []
  #hasEnded = false
  /** What was sent and the connection has not taken. */
  #outbox: Array<Uint8Array> = []
  // Counted from the beginning.
  #sentBytes = 0
  #takenBytes = 0
  /** Of what is not taken: what was not sent for a command. */
  #answerBytes = 0
  #isCommand = false
  #wakeSender: (() => void) | undefined = undefined
  #waiters: Array<{ readonly bytes: number; readonly resume: () => void }> = []
  /** What broke it from the side: a write that failed, a machine that threw when it was woken. */
  readonly #broken = Deferred.makeUnsafe<never, LE>()

  constructor(
    lower: Connection<Uint8Array, Uint8Array, LE>,
    reader: Reader<Uint8Array, LE>,
    machine: Machine<Command, Event, E>,
    observer: Observer<Event>
  ) {
    this.#lower = lower
    this.#reader = reader
    this.#machine = machine
    this.#observer = observer
  }

  start(alarm: Alarm): void {
    const out = {
      bytes: (bytes: Uint8Array) => {
        if (bytes.length === 0) return
        this.#outbox.push(bytes)
        this.#sentBytes += bytes.length
        if (!this.#isCommand) this.#answerBytes += bytes.length
      },
      event: this.#observer.onEvent
    }
    this.#alarm = alarm
    this.#driver = new Driver(this.#machine, out, alarm.now)
    this.ring()
  }

  ring(): void {
    try {
      this.#driver!.tick()
    } catch (defect) {
      Deferred.doneUnsafe(this.#broken, Exit.die(defect))
    }
    this.#stepped()
  }

  command(command: Command): E | undefined {
    this.#isCommand = true
    try {
      return this.#driver!.command(command)
    } finally {
      this.#isCommand = false
      this.#stepped()
    }
  }

  /** Those who are woken run at once, so they are woken when the machine has returned. */
  #stepped(): void {
    this.#alarm!.set(this.#driver!.dueMs)
    if (this.#outbox.length > 0) this.#wakeSender?.()
    this.#observer.onStep?.()
  }

  /**
   * Feeds the machine until the input ends. It waits while more than `answerBytesMax` bytes of its answers are not taken,
   * and for `room` before each chunk.
   */
  read(answerBytesMax: number, room: Effect.Effect<void>): Effect.Effect<void, E | LE> {
    const settled = Effect.suspend(() => this.#answerBytes > answerBytesMax ? this.taken : Effect.void)
    const next = Effect.suspend((): Pull.Pull<void, E | LE> => {
      const chunk = this.#chunks.shift()
      if (chunk !== undefined) return this.#step(() => this.#driver!.receive(chunk))
      return this.#hasEnded ? Cause.done() : this.#fill
    })
    const loop = Effect.forever(Effect.andThen(Effect.andThen(settled, room), next), { disableYield: true })
    const all = Effect.andThen(
      Pull.catchDone(loop, () => Effect.void),
      Effect.andThen(this.#step(() => this.#driver!.end()), this.taken)
    )
    return Effect.raceFirst(all, Deferred.await(this.#broken))
  }

  #step(run: () => E | undefined): Effect.Effect<void, E> {
    return Effect.suspend(() => {
      const error = run()
      this.#stepped()
      if (error === undefined) return Effect.void
      // The machine's error is what counts, also where its last words cannot be sent.
      return Effect.andThen(Effect.exit(this.taken), Effect.fail(error))
    })
  }

  /** One pull below. What it brings is kept in the same step, so that no interruption can come between. */
  get #fill(): Effect.Effect<void, LE> {
    return Pull.matchEffect(this.#reader.pull, {
      onSuccess: (chunks) => {
        for (const chunk of chunks) this.#chunks.push(chunk)
        return Effect.void
      },
      onDone: () => {
        this.#hasEnded = true
        return Effect.void
      },
      onFailure: (cause) => Effect.failCause(cause)
    })
  }

  /** Sends what the machine sent, for ever. */
  get send(): Effect.Effect<never> {
    const waiting = Effect.callback<void>((resume) => {
      if (this.#outbox.length > 0) return resume(Effect.void)
      this.#wakeSender = () => {
        this.#wakeSender = undefined
        resume(Effect.void)
      }
      return Effect.sync(() => {
        this.#wakeSender = undefined
      })
    })
    const sending = Effect.suspend(() => {
      const chunks = this.#outbox
      // One write at a time: all answers that are not taken are in it.
      const answerBytes = this.#answerBytes
      this.#outbox = []
      return Effect.matchCauseEffect(this.#lower.writeAll(chunks), {
        onSuccess: () => {
          for (const chunk of chunks) this.#takenBytes += chunk.length
          this.#answerBytes -= answerBytes
          this.#wake()
          return Effect.void
        },
        onFailure: (cause) => {
          Deferred.doneUnsafe(this.#broken, Exit.failCause(cause))
          this.#wake()
          return Effect.never
        }
      })
    })
    return Effect.forever(Effect.andThen(waiting, sending), { disableYield: true })
  }

  #wake(): void {
    const isBroken = Deferred.isDoneUnsafe(this.#broken)
    const waiters = this.#waiters
    this.#waiters = waiters.filter(({ bytes }) => !isBroken && bytes > this.#takenBytes)
    for (const { bytes, resume } of waiters) {
      if (isBroken || bytes <= this.#takenBytes) resume()
    }
  }

  /** Waits until the connection has taken what was sent before. */
  get taken(): Effect.Effect<void, LE> {
    return Effect.suspend(() => {
      const bytes = this.#sentBytes
      return Effect.callback<void, LE>((resume) => {
        const settle = () => resume(Deferred.isDoneUnsafe(this.#broken) ? Deferred.await(this.#broken) : Effect.void)
        if (bytes <= this.#takenBytes || Deferred.isDoneUnsafe(this.#broken)) return settle()
        const waiter = { bytes, resume: settle }
        this.#waiters.push(waiter)
        return Effect.sync(() => {
          this.#waiters = this.#waiters.filter((one) => one !== waiter)
        })
      })
    })
  }

  stop(): Effect.Effect<void> {
    const chunks = this.#chunks
    this.#chunks = []
    const lost = this.#sentBytes - this.#takenBytes
    return Effect.andThen(
      chunks.length > 0 ? this.#reader.unread(chunks) : Effect.void,
      lost > 0 && !Deferred.isDoneUnsafe(this.#broken)
        ? Effect.logWarning(`a machine was taken off with ${lost} bytes unsent`)
        : Effect.void
    )
  }
}
