/**
 * A medium below a connection, and how a transport is made of it: what one needs to write a transport of one's own.
 *
 * The medium says how bytes move. Everything else, from flow control to the order of an end, from the reader's lease to
 * typed errors, is the same for all transports and stands here and in the machine below. What comes out is judged by the
 * laws of `effect-transport/testing`.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import type { Reader } from "./Connection.ts"
import * as Endpoint from "./Endpoint.ts"
import { durationOf, isCount } from "./internal/check.ts"
import * as duplex from "./internal/duplex.ts"
import { Over, type Underneath } from "./internal/underneath.ts"
import { waitsOn } from "./internal/waiting.ts"
import { type Hold, setOnce, single } from "./once.ts"
import { after, realClock } from "./realClock.ts"
import { runOrExit } from "./runOrExit.ts"
import type { Info, Of, Transport, TransportOptions } from "./Transport.ts"
import * as TransportError from "./TransportError.ts"

/**
 * `TransportOptions`, checked and complete.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResolvedOptions {
  readonly highWaterMark: number
  readonly lowWaterMark: number
  readonly readMark: number
  readonly closeTimeout: Duration.Duration
  readonly lingerDuration: Duration.Duration
  readonly lingerBytesMax: number
  readonly onPeerEnd: "keep" | "close"
  readonly truncation: "fail" | "ignore"
  readonly onScopeExit: (exit: Exit.Exit<unknown, unknown>) => "close" | "abort"
}

/**
 * A medium: what a connection needs from what is below it.
 *
 * @category models
 * @since 0.1.0
 */
export type Wire = duplex.Wire

/**
 * What a close at the end of a scope may wait for.
 *
 * @category models
 * @since 0.1.0
 */
export type ScopeExit = "wait" | "clock" | "now"

/**
 * What a medium reports to the connection above it.
 *
 * @category models
 * @since 0.1.0
 */
export type Port = duplex.Port

// ---------------------------------------------------------------------------------------------------------------------
// Constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Checks options before anything is opened, and completes them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const resolveOptions = (
  options: TransportOptions | undefined,
  failure: { readonly operation: TransportError.Operation; readonly endpoint: string }
): Effect.Effect<ResolvedOptions, TransportError.TransportError> => {
  const refuse = (field: string, expected: string, actual: unknown) =>
    Effect.fail(TransportError.invalidOption(failure.operation, failure.endpoint, { field, expected, actual }))
  const highWaterMark = options?.highWaterMark ?? 65_536
  const lowWaterMark = options?.lowWaterMark ?? Math.floor(highWaterMark / 4)
  const readMark = options?.readMark ?? 65_536
  const lingerBytesMax = options?.linger?.bytesMax ?? 262_144
  for (
    const [field, bytes] of Object.entries({ highWaterMark, lowWaterMark, readMark, "linger.bytesMax": lingerBytesMax })
  ) {
    if (!isCount(bytes, 0)) return refuse(field, "a non-negative integer", bytes)
  }
  if (lowWaterMark > highWaterMark) {
    return refuse("lowWaterMark", `at most highWaterMark (${highWaterMark})`, lowWaterMark)
  }
  const closeTimeout = durationOf(options?.closeTimeout ?? "5 seconds")
  if (closeTimeout === undefined) return refuse("closeTimeout", "a finite duration", options?.closeTimeout)
  if (options?.linger !== undefined && (typeof options.linger !== "object" || options.linger === null)) {
    return refuse("linger", "an object", options.linger)
  }
  const lingerDuration = durationOf(options?.linger?.duration ?? "1 second")
  if (lingerDuration === undefined) return refuse("linger.duration", "a finite duration", options?.linger?.duration)
  const onPeerEnd = options?.onPeerEnd ?? "keep"
  if (onPeerEnd !== "keep" && onPeerEnd !== "close") return refuse("onPeerEnd", "\"keep\" or \"close\"", onPeerEnd)
  const truncation = options?.truncation ?? "fail"
  if (truncation !== "fail" && truncation !== "ignore") {
    return refuse("truncation", "\"fail\" or \"ignore\"", truncation)
  }
  const onScopeExit = options?.onScopeExit ?? ((exit) => Exit.isSuccess(exit) ? "close" : "abort")
  if (typeof onScopeExit !== "function") return refuse("onScopeExit", "a function", onScopeExit)
  return Effect.succeed({
    highWaterMark,
    lowWaterMark,
    readMark,
    closeTimeout,
    lingerDuration,
    lingerBytesMax,
    onPeerEnd,
    truncation,
    onScopeExit
  })
}

/**
 * Makes a transport of a medium.
 *
 * **Details**
 *
 * `open` is given the port to report to and answers with the wire; from then on the wire belongs to the transport, and
 * the end of the scope lets it go. A kind that can half-close gets `halfClose`. `reasonOf` names the situation behind a
 * native error; without it every break is a `Reset`.
 *
 * `scopeExit` says what a close at the end of the scope may wait for: `"wait"` for the limits of the options, by real
 * time, since a finalizer must not wait on a clock that nobody moves; `"clock"` for the same by the `Clock` at hand, where
 * that moves by itself; `"now"` for nothing, so that what does not fit
 * into the medium at once is lost with a warning. `copyMax` (default 16384) is the largest write that is copied; 0 makes
 * every write wait until the medium has it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const toTransport = <const E extends Endpoint.Endpoint>(
  open: (port: Port) => Wire,
  config: {
    readonly info: Info & { readonly endpoint: E }
    readonly options: ResolvedOptions
    readonly scopeExit: ScopeExit
    readonly reasonOf?: ((cause: unknown) => TransportError.Reason) | undefined
    readonly copyMax?: number | undefined
  }
): Effect.Effect<Of<E>, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const { options } = config
        const core = new duplex.Duplex(open, {
          highWaterMark: options.highWaterMark,
          lowWaterMark: options.lowWaterMark,
          readMark: options.readMark,
          copyMax: config.copyMax ?? 16_384,
          lingerBytesMax: options.lingerBytesMax,
          onPeerEnd: options.onPeerEnd
        })
        return new Mouth(core, config.info, options, config.reasonOf ?? anyReset)
      }),
      (mouth, exit) => mouth.endAtScopeExit(exit, config.scopeExit)
    ),
    (mouth) => new WireTransport(mouth) as unknown as Of<E>
  )

// ---------------------------------------------------------------------------------------------------------------------
// The mouth: the machine's callbacks and faults as effects and typed errors
// ---------------------------------------------------------------------------------------------------------------------

type Fail = Effect.Effect<never, TransportError.TransportError>

type AnyFiber = Fiber.Fiber<any, any>

const anyReset = () => new TransportError.Reset()

/** Its effects are properties of its own, so that one who wraps it copies them. */
class WireTransport extends Over<TransportError.TransportError> implements Transport {
  readonly info: Info
  readonly reader: Transport["reader"]
  readonly write: Transport["write"]
  readonly writeAll: Transport["writeAll"]
  readonly flush: Transport["flush"]
  readonly close: Transport["close"]
  readonly abort: Transport["abort"]
  readonly abortWith: Transport["abortWith"]
  readonly closed: Transport["closed"]
  readonly pausedReading: Transport["pausedReading"]
  readonly pausedWriting: Transport["pausedWriting"]
  readonly pause: Transport["pause"]
  readonly resume: Transport["resume"]
  readonly buffered: Transport["buffered"]
  declare readonly halfClose?: Transport["close"]

  constructor(mouth: Mouth) {
    super(mouth)
    this.info = mouth.info
    this.reader = mouth.effect((mouth) => mouth.leased())
    this.write = (out) => new WriteOne(mouth, out) as unknown as Effect.Effect<void, TransportError.TransportError>
    this.writeAll = (outs) =>
      new WriteMany(mouth, outs) as unknown as Effect.Effect<void, TransportError.TransportError>
    this.flush = mouth.effect((mouth) => mouth.flush())
    this.close = mouth.effect((mouth) => mouth.close("close", undefined))
    this.abort = mouth.effect((mouth) => mouth.abort("abort", undefined))
    this.abortWith = (cause) => mouth.abort("abort", cause)
    this.closed = mouth.effect((mouth) => mouth.closed())
    this.pausedReading = mouth.effect((mouth) => mouth.pausedReading())
    this.pausedWriting = mouth.effect((mouth) => mouth.pausedWriting())
    this.pause = mouth.effect((mouth) => mouth.pause())
    this.resume = mouth.effect((mouth) => mouth.resume())
    this.buffered = mouth.effect(({ core }) => Effect.succeed({ reading: core.inputBytes, writing: core.outputBytes }))
    setOnce(this, single(() => mouth.hold()))
    if (Endpoint.isHalfCloseKind(mouth.info.endpoint._tag)) this.halfClose = mouth.effect((mouth) => mouth.halfClose())
  }
}

class Mouth implements Underneath<TransportError.TransportError> {
  readonly core: duplex.Duplex
  readonly info: Info
  readonly options: ResolvedOptions
  readonly reasonOf: (cause: unknown) => TransportError.Reason
  /** The lease that is held. A reader is valid while it is this one. */
  lease: object | undefined = undefined
  /** What a pull found and has not yet received, and whose pull that is. */
  #answer: NonEmptyReadonlyArray<Uint8Array> | undefined = undefined
  #answered: Fiber.Fiber<unknown, unknown> | undefined = undefined
  #paused = false

  constructor(
    core: duplex.Duplex,
    info: Info,
    options: ResolvedOptions,
    reasonOf: (cause: unknown) => TransportError.Reason
  ) {
    this.core = core
    this.info = info
    this.options = options
    this.reasonOf = reasonOf
  }

  get duplex(): duplex.Duplex {
    return this.core
  }

  /** An effect of this mouth. What it does is made when it is run: a connection that waits has a dozen that never are. */
  effect<A, E, R>(run: (mouth: Mouth) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return new MouthEffect(this, run) as unknown as Effect.Effect<A, E, R>
  }

  /** Says of an effect what it waits on. */
  waits<E extends object>(what: string, effect: E): E {
    return waitsOn(effect, () => `${what} ${Endpoint.format(this.info.endpoint)} (transport ${this.info.id})`)
  }

  closed(): Effect.Effect<void, TransportError.TransportError> {
    const { core } = this
    return this.waits(
      "the end of",
      Effect.callback((resume) => {
        const done = (fault: duplex.Fault | undefined) => resume(fault ? this.fail("close", fault) : Effect.void)
        core.awaitReleased(done)
        return Effect.sync(() => core.cancelReleased(done))
      })
    )
  }

  pausedReading(): Effect.Effect<void, never, Scope.Scope> {
    const { core } = this
    return Effect.acquireRelease(Effect.sync(() => core.holdReading()), () => Effect.sync(() => core.unholdReading()))
  }

  pausedWriting(): Effect.Effect<void, never, Scope.Scope> {
    const { core } = this
    return Effect.acquireRelease(Effect.sync(() => core.holdWriting()), () => Effect.sync(() => core.unholdWriting()))
  }

  pause(): Effect.Effect<void> {
    if (!this.#paused) {
      this.#paused = true
      this.core.holdReading()
      this.core.holdWriting()
    }
    return Effect.void
  }

  resume(): Effect.Effect<void> {
    if (this.#paused) {
      this.#paused = false
      this.core.unholdReading()
      this.core.unholdWriting()
    }
    return Effect.void
  }

  // Reading

  leased(): Effect.Effect<
    Reader<Uint8Array, TransportError.TransportError>,
    TransportError.TransportError,
    Scope.Scope
  > {
    return Effect.acquireRelease(
      Effect.suspend(() => this.lease === undefined ? Effect.succeed(this.reader(this.lease = {})) : this.busy()),
      () =>
        Effect.withFiber((fiber) => {
          this.lease = undefined
          // What an interruption kept from this fiber is the next reader's, however long this one still takes to end.
          this.takeBack(fiber)
          this.core.endReading()
          return Effect.void
        })
    )
  }

  /** A lease for a single read. */
  hold(): Hold<Uint8Array, TransportError.TransportError> | Fail {
    if (this.lease !== undefined) return this.busy()
    const held: Array<Uint8Array> = []
    return {
      reader: this.reader(this.lease = {}, held),
      end: (isRead) => {
        this.lease = undefined
        this.takeBack(Fiber.getCurrent()!)
        if (!isRead) this.core.unread(held)
        this.core.endReading()
      }
    }
  }

  /** What is pulled and not put back is noted in `held`. */
  reader(lease: object, held?: Array<Uint8Array>): Reader<Uint8Array, TransportError.TransportError> {
    const { core } = this
    // What this lease has pulled and not put back.
    let pulled = 0
    type Pulling = Pull.Pull<NonEmptyReadonlyArray<Uint8Array>, TransportError.TransportError>
    let resume: (pulling: Pulling) => void
    let pulling: Fiber.Fiber<unknown, unknown>
    // All are made once and not for each pull: a pull is the hottest effect there is, next to a write.
    const pull: Pulling = this.waits(
      "input from",
      Effect.callback((resumeWith) => {
        const fiber = Fiber.getCurrent()!
        if (this.lease !== lease || core.isAwaited || !this.takeBack(fiber)) return resumeWith(this.busy())
        pulling = fiber
        const input = core.poll()
        if (input !== undefined) return resumeWith(answerOf(input))
        resume = resumeWith
        core.awaitInput(wake)
        return leave
      })
    )
    const wake = (input = core.poll()) => resume(input === undefined ? pull : answerOf(input))
    const leave = Effect.sync(() => core.cancelInput(wake))
    const answerOf = (input: duplex.Input): Pulling => {
      if (Array.isArray(input)) {
        this.#answer = input as unknown as NonEmptyReadonlyArray<Uint8Array>
        this.#answered = pulling
        return received
      }
      return input === duplex.EndOfInput ? Cause.done() : this.fail("read", input as duplex.Fault)
    }
    // The last step, in which the bytes change hands: interrupted before it, they are still here.
    const received = Effect.sync(() => {
      const input = this.#answer!
      this.#answer = this.#answered = undefined
      for (let i = 0; i < input.length; i++) {
        pulled += input[i]!.length
        held?.push(input[i]!)
      }
      return input
    })
    return {
      pull,
      unread: (chunks) =>
        Effect.suspend(() => {
          let bytes = 0
          for (const chunk of chunks) bytes += chunk.length
          if (bytes > pulled) return Effect.die(new Error("Reader.unread: more than this lease has pulled"))
          pulled -= bytes
          if (held !== undefined) dropLast(held, bytes)
          core.unread(chunks)
          return Effect.void
        }),
      forEach: (f) =>
        Effect.withFiber((fiber) =>
          this.lease !== lease || core.isAwaited || !this.takeBack(fiber)
            ? this.busy()
            : this.forEach((batch) => {
              for (const chunk of batch) pulled += chunk.length
              return f(batch)
            })
        )
    }
  }

  /**
   * Puts back what an interrupted pull was answered with and never received. False when the pull that it belongs to is
   * still under way, in another fiber.
   */
  takeBack(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    const answer = this.#answer
    if (answer === undefined) return true
    if (this.#answered !== fiber && this.#answered!.pollUnsafe() === undefined) return false
    this.#answer = this.#answered = undefined
    this.core.unread(answer)
    return true
  }

  forEach<E, R>(
    f: (batch: NonEmptyReadonlyArray<Uint8Array>) => Effect.Effect<void, E, R>
  ): Effect.Effect<void, TransportError.TransportError | E, R> {
    const { core } = this
    return Effect.contextWith((context: Context.Context<R>) => {
      const reading = Effect.callback<void, TransportError.TransportError | E>((resume) => {
        const run = Effect.runForkWith(context)
        let running: Fiber.Fiber<void, E> | undefined
        const finish = (exit: Effect.Effect<void, TransportError.TransportError | E>) => {
          core.endConsume(consumer)
          resume(exit)
        }
        const consumer: duplex.Consumer = {
          batch: (chunks) => {
            let handling: Effect.Effect<void, E, R>
            try {
              handling = f(chunks)
            } catch (defect) {
              finish(Effect.die(defect))
              return true
            }
            const handled = runOrExit(run, handling)
            if (Exit.isExit(handled)) {
              if (Exit.isFailure(handled)) finish(handled)
              return true
            }
            running = handled
            handled.addObserver((exit) => {
              running = undefined
              if (Exit.isFailure(exit)) finish(exit)
              else core.consumed(consumer)
            })
            return false
          },
          // What `f` is given is its own.
          borrow: () => true,
          borrowMax: 0,
          keeps: false,
          end: (end) => resume(end === duplex.EndOfInput ? Effect.void : this.fail("read", end))
        }
        core.consume(consumer)
        return Effect.suspend(() => {
          core.endConsume(consumer)
          return running === undefined ? Effect.void : interruptAndAwait(running)
        })
      })
      return this.waits("input from", reading)
    })
  }

  // Writing

  writeOne(out: Uint8Array, fiber: AnyFiber): Effect.Effect<void, TransportError.TransportError> {
    if (!(out instanceof Uint8Array)) return this.refuseChunk("out", out)
    return this.core.writeNow(out) ? Effect.void : this.enqueue([out], out.length, fiber)
  }

  writeMany(outs: ReadonlyArray<Uint8Array>, fiber: AnyFiber): Effect.Effect<void, TransportError.TransportError> {
    if (typeof outs !== "object" || outs === null || !(Symbol.iterator in outs)) return this.refuseChunk("outs", outs)
    if (Array.isArray(outs) && outs.length === 1) {
      const out: unknown = outs[0]
      return out instanceof Uint8Array ? this.writeOne(out, fiber) : this.refuseChunk("outs[0]", out)
    }
    // Read once, and checked as a whole before anything is taken.
    const chunks: Array<Uint8Array> = []
    let bytes = 0
    for (const out of outs) {
      if (!(out instanceof Uint8Array)) return this.refuseChunk(`outs[${chunks.length}]`, out)
      chunks.push(out)
      bytes += out.length
    }
    if (this.core.writeAllNow(chunks, bytes)) return Effect.void
    return this.enqueue(chunks, bytes, fiber)
  }

  /** To be evaluated at once: a large write on an empty queue begins here, and is mostly complete. */
  enqueue(
    chunks: ReadonlyArray<Uint8Array>,
    bytes: number,
    fiber: AnyFiber
  ): Effect.Effect<void, TransportError.TransportError> {
    const { core } = this
    const fault = core.writeFault
    if (fault !== undefined) return this.fail("write", fault, "NotSent")
    if (bytes === 0) return Effect.void
    const isTaken = core.writeThrough(chunks, bytes)
    if (isTaken === true) return Effect.void
    let write: duplex.Write | undefined
    const writing = Effect.callback<void, TransportError.TransportError>((resume) => {
      write = this.waiter(chunks, bytes, resume)
      if (isTaken === undefined) core.write(write)
      else core.flush(write)
    })
    // Around it and not its cleanup, which nobody runs for what completes at once and is interrupted just then.
    const waiting = Effect.onExitPrimitive(this.waits("a write to", writing), (exit) => {
      if (Exit.isSuccess(exit) || !Cause.hasInterrupts(exit.cause)) return undefined
      if (write !== undefined) return interruptedWrite[core.cancelWrite(write)]
      return interruptedWrite[isTaken === undefined ? "NotSent" : "Unknown"]
    })
    return isTaken === undefined ? waiting : standing(waiting, fiber)
  }

  flush(): Effect.Effect<void, TransportError.TransportError> {
    const { core } = this
    const fault = core.outputFault
    if (fault !== undefined) return this.fail("write", fault)
    const flushing = Effect.callback<void, TransportError.TransportError>((resume) => {
      const write = this.waiter([], 0, resume)
      core.flush(write)
      // Interrupted, it leaves no verdict: no write was under way.
      return Effect.sync(() => {
        core.cancelWrite(write)
      })
    })
    return this.waits("a flush to", flushing)
  }

  waiter(
    chunks: ReadonlyArray<Uint8Array>,
    bytes: number,
    resume: (effect: Effect.Effect<void, TransportError.TransportError>) => void
  ): duplex.Write {
    return {
      chunks,
      bytes,
      position: 0,
      resume: (fault, delivery) => resume(fault ? this.fail("write", fault, delivery) : Effect.void)
    }
  }

  // Ending

  halfClose(): Effect.Effect<void, TransportError.TransportError> {
    const { core } = this
    const ending = Effect.callback<void, TransportError.TransportError>((resume) => {
      const fault = core.writeFault
      if (fault !== undefined && !(fault._tag === "Closed" && fault.by === "halfClose")) {
        return resume(this.fail("halfClose", fault))
      }
      const done = (fault: duplex.Fault | undefined) => resume(fault ? this.fail("halfClose", fault) : Effect.void)
      core.halfClose(done)
      return Effect.sync(() => core.cancelHalfClose(done))
    })
    return this.waits("a half-close of", ending)
  }

  abort(by: "abort" | "scope", cause: Cause.Cause<unknown> | undefined): Effect.Effect<void> {
    return Effect.sync(() => this.core.abort(duplex.closedBy(by, cause)))
  }

  /**
   * Flushes within one limit, lingers within another, and waits for the release. Interrupted, it aborts. It is one wait
   * with a timer beside it: to race effects would cost a short connection as much as all the rest of it.
   */
  close(
    by: "close" | "scope",
    cause: unknown,
    clock?: Clock.Clock
  ): Effect.Effect<void, TransportError.TransportError> {
    const { core, options } = this
    return Effect.withFiber((fiber) => {
      const time = clock ?? Context.get(fiber.context, Clock.Clock)
      const closing = Effect.callback<void, TransportError.TransportError>((resume) => {
        let unlimit = () => {}
        const limit = (duration: Duration.Duration, late: () => void) => {
          unlimit = after(time, duration, fiber.context, late)
        }
        const flushed = (fault: duplex.Fault | undefined) => {
          unlimit()
          // What was aborted for being late is waited for all the same.
          if (fault !== undefined && fault._tag !== "FlushTimedOut") return resume(this.fail("close", fault))
          failure = fault
          core.awaitReleased(released)
          if (core.life === "lingering") limit(options.lingerDuration, () => core.letGo())
        }
        let failure: duplex.Fault | undefined
        const released = () => {
          unlimit()
          resume(failure === undefined ? Effect.void : this.fail("close", failure))
        }
        core.close(by, cause)
        core.awaitFlushed(flushed)
        if (core.life === "closing") limit(options.closeTimeout, () => core.abort({ _tag: "FlushTimedOut" }))
        return Effect.sync(() => {
          unlimit()
          core.cancelFlushed(flushed)
          core.cancelReleased(released)
          core.abort(duplex.closedBy(by === "scope" ? "scope" : "abort", cause))
        })
      })
      return this.waits("the close of", closing)
    })
  }

  /** A rule that throws says nothing, and nothing may be left of the connection all the same. */
  endAtScopeExit(exit: Exit.Exit<unknown, unknown>, scopeExit: ScopeExit): Effect.Effect<void> {
    const cause = Exit.isFailure(exit) ? exit.cause : undefined
    const ending = Effect.suspend(() =>
      this.options.onScopeExit(exit) === "abort" ? this.abort("scope", cause) : this.closeAtScopeExit(scopeExit)
    )
    return Effect.onError(ending, (defect) => this.abort("scope", defect))
  }

  /** A finalizer cannot fail: what a close lost is logged, and `closed` fails with it. */
  closeAtScopeExit(scopeExit: ScopeExit): Effect.Effect<void> {
    const { core } = this
    const closing = scopeExit !== "now"
      ? interruptibleFromNow(this.close("scope", undefined, scopeExit === "wait" ? realClock : undefined))
      : Effect.suspend(() => {
        core.close("scope", undefined)
        // One turn: what has just been delivered is not counted yet, if this runs inside the delivery.
        return Effect.andThen(
          core.life === "ended" ? Effect.void : Effect.yieldNow,
          Effect.suspend(() => core.life === "ended" ? this.flushed : this.abandon)
        )
      })
    return Effect.catch(
      closing,
      (error) => Effect.logWarning(`a scope ended with ${core.lostBytes} bytes of output lost: ${error.message}`)
    )
  }

  get flushed(): Effect.Effect<void, TransportError.TransportError> {
    const { core } = this
    return Effect.callback((resume) => {
      const done = (fault: duplex.Fault | undefined) => resume(fault ? this.fail("close", fault) : Effect.void)
      core.awaitFlushed(done)
      return Effect.sync(() => core.cancelFlushed(done))
    })
  }

  get released(): Effect.Effect<void> {
    const { core } = this
    return Effect.callback((resume) => {
      const done = () => resume(Effect.void)
      core.awaitReleased(done)
      return Effect.sync(() => core.cancelReleased(done))
    })
  }

  /** What could not be flushed in time is dropped. */
  get abandon(): Fail {
    return Effect.suspend(() => {
      this.core.abort({ _tag: "FlushTimedOut" })
      return Effect.andThen(this.released, this.fail("close", { _tag: "FlushTimedOut" }))
    })
  }

  // Errors

  busy(): Fail {
    return Effect.fail(this.error("read", new TransportError.Busy({ what: "reader" })))
  }

  refuseChunk(field: string, actual: unknown): Fail {
    const expected = field === "outs" ? "an array of Uint8Array" : "a Uint8Array"
    return Effect.fail(
      this.error("write", new TransportError.InvalidOption({ field, expected, actual }), { delivery: "NotSent" })
    )
  }

  fail(operation: TransportError.Operation, fault: duplex.Fault, delivery?: TransportError.Delivery): Fail {
    // In the fiber that fails: what `reasonOf` throws is a defect there, and nothing to whoever reports the break.
    return Effect.suspend(() => Effect.fail(this.errorOf(operation, fault, delivery)))
  }

  errorOf(
    operation: TransportError.Operation,
    fault: duplex.Fault,
    delivery?: TransportError.Delivery
  ): TransportError.TransportError {
    return this.error(operation, this.reasonFor(fault), {
      delivery,
      ...("cause" in fault && { cause: fault.cause })
    })
  }

  reasonFor(fault: duplex.Fault): TransportError.Reason {
    switch (fault._tag) {
      case "Closed":
        return new TransportError.Closed({ by: fault.by })
      case "FlushTimedOut":
        return new TransportError.TimedOut({ phase: "flush" })
      case "Broken":
        return this.reasonOf(fault.cause)
    }
  }

  error(
    operation: TransportError.Operation,
    reason: TransportError.Reason,
    beside?: { readonly delivery?: TransportError.Delivery | undefined; readonly cause?: unknown }
  ): TransportError.TransportError {
    return TransportError.make(operation, Endpoint.format(this.info.endpoint), reason, beside)
  }
}

/** An effect of a mouth and one thing more, made without a closure. */
const operation = <A>(
  label: string,
  evaluate: (this: Operation<A>, fiber: AnyFiber) => Effect.Effect<any, any, any>
): new(mouth: Mouth, out: A) => object => {
  const Operation = function(this: { mouth: Mouth; out: A }, mouth: Mouth, out: A) {
    this.mouth = mouth
    this.out = out
  } as unknown as { new(mouth: Mouth, out: A): object; prototype: object }
  Operation.prototype = Effectable.Prototype<Operation<A>>({ label, evaluate })
  return Operation
}

interface Operation<A> extends Effect.Effect<any, any, any> {
  readonly mouth: Mouth
  readonly out: A
}

const MouthEffect = operation<(mouth: Mouth) => Effect.Effect<any, any, any>>("Transport", function() {
  return this.out(this.mouth)
})

/** The hottest effect there is. What it does in the common case stands here, where it is compiled into one piece. */
const WriteOne = operation<Uint8Array>("Transport.write", function(fiber) {
  return this.out instanceof Uint8Array && this.mouth.core.writeNow(this.out)
    ? Effect.void
    : this.mouth.writeOne(this.out, fiber)
})

const WriteMany = operation<ReadonlyArray<Uint8Array>>("Transport.writeAll", function(fiber) {
  return this.mouth.writeMany(this.out, fiber)
})

/**
 * An effect with a frame around it, with that frame in place already. A fiber may be interrupted before the step that
 * would bring it there; what has begun by then would be interrupted with nobody to say so.
 */
const standing = <A, E, R>(framed: Effect.Effect<A, E, R>, fiber: AnyFiber): Effect.Effect<A, E, R> =>
  evaluateKey === undefined
    ? framed
    : (framed as unknown as Record<string, (fiber: AnyFiber) => Effect.Effect<A, E, R>>)[evaluateKey]!(fiber)

/** The name of the method that a fiber calls for a step. `Effectable.Prototype` puts there what it is given. */
const evaluateKey = (() => {
  const evaluate = () => Effect.void
  return Object.entries(Effectable.Prototype({ label: "probe", evaluate })).find(([, member]) => member === evaluate)
    ?.[0]
})()

/** Why an interrupted write's cause has a second interruption: it is the one that carries the verdict. */
const interruptedWrite = {
  NotSent: Effect.failCause(
    Cause.annotate(Cause.interrupt(), Context.make(TransportError.DeliveryAnnotation, "NotSent"))
  ),
  Unknown: Effect.failCause(
    Cause.annotate(Cause.interrupt(), Context.make(TransportError.DeliveryAnnotation, "Unknown"))
  )
}

/** Takes so many bytes off the end. */
const dropLast = (chunks: Array<Uint8Array>, bytes: number): void => {
  for (let left = bytes; left > 0;) {
    const last = chunks.pop()!
    if (last.length > left) chunks.push(last.subarray(0, last.length - left))
    left -= last.length
  }
}

/** Of two interruptions the one that ended the scope does not count: `onScopeExit` may have answered it with a close. */
const interruptibleFromNow = <A, E>(closing: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.matchCauseEffect(Effect.interruptible(Effect.void), {
    onFailure: () => closing,
    onSuccess: () => Effect.interruptible(closing)
  })

const interruptAndAwait = (fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<void> =>
  Effect.callback((resume) => {
    fiber.addObserver(() => resume(Effect.void))
    fiber.interruptUnsafe()
  })
