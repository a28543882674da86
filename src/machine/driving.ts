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
import * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import { type Connection, isHalfCloseable, type Reader } from "../Connection.ts"
import { Driver } from "../internal/driver.ts"
import type { Machine } from "../Machine.ts"
import { closedError, readerBusy } from "../refusal.ts"
import type { TransportError } from "../TransportError.ts"
import { type Alarm, makeAlarm } from "./alarm.ts"

/** Runs the machine until the peer's input ends. Each chunk's answer is sent before the next chunk is taken. */
export const drive = <Event, E, LE>(
  lower: Connection<Uint8Array, Uint8Array, LE>,
  machine: Machine<never, Event, E>,
  onEvent: (event: Event) => void
): Effect.Effect<void, E | LE | TransportError> =>
  Effect.scoped(Effect.flatMap(makeDriving(lower, machine, { onEvent }, 0), (driving) => driving.read(Effect.void)))

/** Who is told of what the machine does. */
interface Observer<in Event> {
  /** From inside the machine: nothing may be woken by it. */
  readonly onEvent: (event: Event) => void
  /** The machine has returned. */
  readonly onStep?: (() => void) | undefined
  /** There is no room for more events: a machine that is due waits. */
  readonly isFull?: (() => boolean) | undefined
}

/** The most events that wait to be pulled; and, with those of one chunk, all that there are. */
const eventsMax = 1024

/** How many bytes of answers may wait while more input is taken, and while the machine is woken. */
const answerBytesMax = 65_536

/** The connection above a machine. */
export const attachMachine = <Command, Event, E, LE>(
  lower: Connection<Uint8Array, Uint8Array, LE>,
  machine: Machine<Command, Event, E>
): Effect.Effect<Connection<Event, Command, LE | E | TransportError>, LE, Scope.Scope> =>
  Effect.gen(function*() {
    let events: Array<Event> = []
    let ended: Exit.Exit<void, E | LE | TransportError> | undefined
    let closedBy: "close" | "halfClose" | undefined
    let isDropped = false
    let lease: object | undefined
    let wakeReader: (() => void) | undefined
    let wakeDriving: (() => void) | undefined

    const isFull = () => events.length >= eventsMax
    const observer: Observer<Event> = {
      onEvent: (event) => {
        if (!isDropped) events.push(event)
      },
      onStep: () => {
        if (events.length > 0) wakeReader?.()
      },
      isFull
    }
    const driving = yield* makeDriving<Command, Event, E, LE>(lower, machine, observer, answerBytesMax)
    const full = Effect.callback<void>((resume) => {
      // It may have yielded since it was asked.
      if (!isFull()) return resume(Effect.void)
      wakeDriving = () => resume(Effect.void)
      return Effect.sync(() => {
        wakeDriving = undefined
      })
    })
    const room: Effect.Effect<void> = Effect.suspend(() => {
      wakeDriving = undefined
      return isFull() ? Effect.andThen(full, room) : Effect.void
    })
    const fiber = yield* Effect.forkScoped(driving.read(room), { startImmediately: true })
    const endReading = (exit: Exit.Exit<void, E | LE | TransportError>) => {
      ended ??= exit
      wakeReader?.()
    }
    fiber.addObserver(endReading)
    yield* Effect.addFinalizer(() => Effect.sync(() => endReading(Exit.fail(closedError(lower, "read", "scope")))))

    type Pulling = Pull.Pull<NonEmptyReadonlyArray<Event>, E | LE | TransportError>
    const readerOf = (own: object): Reader<Event, E | LE | TransportError> => {
      let pulled = 0
      // Events leave in one step, the last: an interruption before it finds them all here.
      const handOut = Effect.sync(() => {
        const batch = events as unknown as NonEmptyReadonlyArray<Event>
        events = []
        pulled += batch.length
        wakeDriving?.()
        driving.catchUp()
        return batch
      })
      const pull: Pulling = Effect.suspend((): Pulling => {
        if (lease !== own || wakeReader !== undefined) return readerBusy(lower)
        if (events.length > 0) return handOut
        if (ended === undefined) return Effect.andThen(parked, pull)
        return Exit.isSuccess(ended) ? Cause.done() : Effect.failCause(ended.cause)
      })
      const parked = Effect.callback<void, TransportError>((resume) => {
        // It may have yielded since they were asked for.
        if (wakeReader !== undefined) return resume(readerBusy(lower))
        if (events.length > 0 || ended !== undefined) return resume(Effect.void)
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
            if (!isDropped) events = [...items, ...events]
            return Effect.void
          })
      }
    }

    const commands = (all: ReadonlyArray<Command>) =>
      Effect.suspend(() => {
        if (driving.over !== undefined) return driving.over
        if (closedBy !== undefined) return Effect.fail(closedError(lower, "write", closedBy, "NotSent"))
        for (const command of all) {
          const error = driving.command(command)
          if (error !== undefined) return Effect.fail(error)
        }
        return driving.taken
      })
    // What the machine sent before comes before the end; a peer that does not take it is for `close` to deal with.
    const afterSending = <A, LE>(by: "close" | "halfClose", end: Effect.Effect<A, LE>) =>
      Effect.suspend(() => {
        if (closedBy !== "close") closedBy = by
        return Effect.andThen(Effect.exit(Effect.timeoutOption(driving.taken, "5 seconds")), end)
      })
    const ending = <A, LE>(end: Effect.Effect<A, LE>) =>
      Effect.suspend(() => {
        isDropped = true
        events = []
        wakeDriving?.()
        return end
      })
    const scope = yield* Effect.scope
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
      close: ending(Effect.onInterrupt(afterSending("close", lower.close), () => lower.abort)),
      abort: ending(lower.abort),
      abortWith: (cause) => ending(lower.abortWith(cause)),
      closed: lower.closed
    }
    if (!isHalfCloseable(lower)) return upper
    // In a fiber of its own: interrupted, the end still goes out.
    const halfClosing = Effect.forkIn(afterSending("halfClose", lower.halfClose), scope, { startImmediately: true })
    const isAttached = () => scope.state._tag === "Open"
    const halfClose = Effect.suspend(() => isAttached() ? Effect.flatMap(halfClosing, Fiber.join) : lower.halfClose)
    return { ...upper, halfClose }
  })

const makeDriving = <Command, Event, E, LE>(
  lower: Connection<Uint8Array, Uint8Array, LE>,
  machine: Machine<Command, Event, E>,
  observer: Observer<Event>,
  answerBytesMax: number
): Effect.Effect<Driving<Command, Event, E, LE>, LE, Scope.Scope> =>
  Effect.gen(function*() {
    const reader = yield* lower.reader
    const alarm = yield* makeAlarm
    const driving = yield* Effect.acquireRelease(
      Effect.sync(() => new Driving<Command, Event, E, LE>(lower, reader, machine, observer, answerBytesMax)),
      (driving) => driving.stop()
    )
    yield* Effect.forkScoped(driving.send, { startImmediately: true })
    driving.start(alarm.ringing(() => driving.ring()))
    return driving
  })

class Driving<Command, Event, E, LE> {
  /** What ended the machine before the input's end: it runs no more. */
  over: Exit.Exit<never, E | LE | TransportError> | undefined = undefined
  readonly #lower: Connection<Uint8Array, Uint8Array, LE>
  readonly #reader: Reader<Uint8Array, LE>
  readonly #machine: Machine<Command, Event, E>
  readonly #observer: Observer<Event>
  readonly #answerBytesMax: number
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
  /** It was due while there was no room. */
  #isLate = false
  #wakeSender: (() => void) | undefined = undefined
  #waiters: Array<{ readonly bytes: number; readonly resume: () => void }> = []
  /** What broke it from the side: a write that failed, a machine that threw, the end of the scope. */
  readonly #broken = Deferred.makeUnsafe<never, LE | TransportError>()

  constructor(
    lower: Connection<Uint8Array, Uint8Array, LE>,
    reader: Reader<Uint8Array, LE>,
    machine: Machine<Command, Event, E>,
    observer: Observer<Event>,
    answerBytesMax: number
  ) {
    this.#lower = lower
    this.#reader = reader
    this.#machine = machine
    this.#observer = observer
    this.#answerBytesMax = answerBytesMax
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

  /** The machine is due. It waits where there is no room for what it may say. */
  ring(): void {
    if (this.over !== undefined) return
    this.#isLate = this.#answerBytes > this.#answerBytesMax || this.#observer.isFull?.() === true
    if (this.#isLate) return
    try {
      this.#driver!.tick()
    } catch (defect) {
      this.#break(Exit.die(defect))
    }
    this.#stepped()
  }

  /** There may be room again. */
  catchUp(): void {
    if (this.#isLate) this.ring()
  }

  command(command: Command): E | undefined {
    this.#isCommand = true
    try {
      return this.#driver!.command(command)
    } catch (defect) {
      this.#break(Exit.die(defect))
      throw defect
    } finally {
      this.#isCommand = false
      this.#stepped()
    }
  }

  #break(exit: Exit.Exit<never, LE | TransportError>): void {
    this.over ??= exit
    Deferred.doneUnsafe(this.#broken, exit)
    this.#wake()
  }

  /** Those who are woken run at once, so they are woken when the machine has returned. */
  #stepped(): void {
    if (this.over === undefined) this.#alarm!.set(this.#driver!.dueMs)
    if (this.#outbox.length > 0) this.#wakeSender?.()
    this.#observer.onStep?.()
  }

  /**
   * Feeds the machine until the input ends. It waits while more than `answerBytesMax` bytes of its answers are not taken,
   * and for `room` before each chunk.
   */
  read(room: Effect.Effect<void>): Effect.Effect<void, E | LE | TransportError> {
    const settled = Effect.suspend(() => this.#answerBytes > this.#answerBytesMax ? this.taken : Effect.void)
    const next = Effect.suspend((): Pull.Pull<void, E | LE | TransportError> => {
      if (this.over !== undefined) return this.over
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

  #step(run: () => E | undefined): Effect.Effect<void, E | LE | TransportError> {
    return Effect.suspend(() => {
      let error: E | undefined
      try {
        error = run()
      } catch (defect) {
        this.#break(Exit.die(defect))
      }
      if (error !== undefined) this.over ??= Exit.fail(error)
      this.#stepped()
      if (error === undefined) return this.over ?? Effect.void
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
          this.catchUp()
          return Effect.void
        },
        onFailure: (cause) => {
          this.#break(Exit.failCause(cause))
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
  get taken(): Effect.Effect<void, LE | TransportError> {
    return Effect.suspend(() => {
      const bytes = this.#sentBytes
      return Effect.callback<void, LE | TransportError>((resume) => {
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
    const lost = Deferred.isDoneUnsafe(this.#broken) ? 0 : this.#sentBytes - this.#takenBytes
    this.#break(Exit.fail(closedError(this.#lower, "write", "scope", lost > 0 ? "Unknown" : "NotSent")))
    return Effect.andThen(
      chunks.length > 0 ? this.#reader.unread(chunks) : Effect.void,
      lost > 0 ? Effect.logWarning(`a machine was taken off with ${lost} bytes unsent`) : Effect.void
    )
  }
}
