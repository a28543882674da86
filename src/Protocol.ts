/**
 * What turns a connection of one kind into a connection of another, and knows nothing of IO.
 *
 * A protocol is attached to a live connection and owns it from then on: closing the upper connection closes the lower.
 * Where the lower can half-close, so can the upper. `fromCodec` makes a protocol of a codec, `fromMachine` one of a
 * machine, `make` one of anything else.
 *
 * **Example** (Attaching a protocol)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Connection, Lines, Protocol, TestTransport } from "effect-transport"
 *
 * const conversation = Effect.gen(function*() {
 *   const [here, there] = yield* TestTransport.pair()
 *   const client = yield* Protocol.attach(Lines.protocol(), here)
 *   const server = yield* Protocol.attach(Lines.protocol(), there)
 *   yield* client.write("hello")
 *   yield* server.write(`${yield* Connection.take(server)}, world`)
 *   return yield* Connection.take(client)
 * })
 *
 * await Effect.runPromise(Effect.scoped(conversation)) // => "hello, world"
 * ```
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import type { Codec, Decoder } from "./Codec.ts"
import { type Connection, type HalfCloseable, isHalfCloseable, type Reader } from "./Connection.ts"
import { underneath } from "./internal/underneath.ts"
import type { Machine } from "./Machine.ts"
import { attachMachine } from "./machine/driving.ts"
import { type Hold, setOnce, single } from "./once.ts"
import { readerBusy, refuseReading } from "./refusal.ts"
import { InvalidOption, type TransportError } from "./TransportError.ts"

/**
 * Turns a connection of one kind into a connection of another; half-close passes through. The upper owns the lower: its
 * close closes it, once.
 *
 * **Details**
 *
 * `attach` holds the reader of the lower connection until its scope ends; it fails with `Busy` if another holds it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Protocol<in out LIn, out LOut, in out UIn, in UOut, out E, out R = never> {
  readonly attach: {
    <LE>(
      lower: HalfCloseable<Connection<LIn, LOut, LE>>
    ): Effect.Effect<HalfCloseable<Connection<UIn, UOut, LE | E>>, LE | E, R | Scope.Scope>
    <LE>(lower: Connection<LIn, LOut, LE>): Effect.Effect<Connection<UIn, UOut, LE | E>, LE | E, R | Scope.Scope>
  }
}

/**
 * What a codec makes of a connection of bytes: it can change the codec, or look at the next bytes, without losing any.
 *
 * @category models
 * @since 0.1.0
 */
export interface Framed<in out In, in Out, out E> extends Connection<In, Out, E> {
  /**
   * From now on another codec, by the connection that this answers with. It reads on behind the last frame that was
   * pulled and not put back, also if the old codec failed there.
   *
   * **Details**
   *
   * Fails with `Busy` while a reader is held. The old connection goes on writing as before, to finish what was begun; its
   * reader answers `Busy` from now on. The new one half-closes where the old one could.
   */
  readonly swap: <In2, Out2, DE, EE>(
    codec: Codec<In2, Out2, DE, EE>
  ) => Effect.Effect<Framed<In2, Out2, E | DE | EE>, E>
  /**
   * A copy of the next `bytes` bytes behind the last frame that was pulled and not put back; fewer only at the end of
   * input. They stay for the next reader.
   *
   * **Details**
   *
   * Waits for them, and holds them and what came with them; it is a reader while it waits, so it fails with `Busy` while
   * one is held. Interrupted, it loses nothing.
   */
  readonly peek: (bytes: number) => Effect.Effect<Uint8Array, E>
}

/**
 * A protocol that a codec makes.
 *
 * @category models
 * @since 0.1.0
 */
export interface FramedProtocol<in out In, in Out, out E> {
  readonly attach: {
    <LE>(
      lower: HalfCloseable<Connection<Uint8Array, Uint8Array, LE>>
    ): Effect.Effect<HalfCloseable<Framed<In, Out, LE | E>>, LE | E, Scope.Scope>
    <LE>(
      lower: Connection<Uint8Array, Uint8Array, LE>
    ): Effect.Effect<Framed<In, Out, LE | E>, LE | E, Scope.Scope>
  }
}

/**
 * Puts a protocol on a connection. The upper connection can half-close exactly where the lower can.
 *
 * **Details**
 *
 * When the scope ends, the reader of the lower connection is free again, and what the protocol did not use is put back
 * in front of it, so that another protocol can take over. The connection stays open: its own scope decides its end.
 *
 * @category combinators
 * @since 0.1.0
 */
export const attach: {
  <In, Out, E, LE>(
    protocol: FramedProtocol<In, Out, E>,
    lower: HalfCloseable<Connection<Uint8Array, Uint8Array, LE>>
  ): Effect.Effect<HalfCloseable<Framed<In, Out, LE | E>>, LE | E, Scope.Scope>
  <In, Out, E, LE>(
    protocol: FramedProtocol<In, Out, E>,
    lower: Connection<Uint8Array, Uint8Array, LE>
  ): Effect.Effect<Framed<In, Out, LE | E>, LE | E, Scope.Scope>
  <LIn, LOut, UIn, UOut, E, R, LE>(
    protocol: Protocol<LIn, LOut, UIn, UOut, E, R>,
    lower: HalfCloseable<Connection<LIn, LOut, LE>>
  ): Effect.Effect<HalfCloseable<Connection<UIn, UOut, LE | E>>, LE | E, R | Scope.Scope>
  <LIn, LOut, UIn, UOut, E, R, LE>(
    protocol: Protocol<LIn, LOut, UIn, UOut, E, R>,
    lower: Connection<LIn, LOut, LE>
  ): Effect.Effect<Connection<UIn, UOut, LE | E>, LE | E, R | Scope.Scope>
} = <LIn, LOut, UIn, UOut, E, R, LE>(
  protocol: Protocol<LIn, LOut, UIn, UOut, E, R>,
  lower: Connection<LIn, LOut, LE>
): Effect.Effect<any, LE | E, R | Scope.Scope> => protocol.attach(lower)

/**
 * A protocol of one function. It need not know of half-close: where the lower connection has one, the upper gets it,
 * unless the function made its own.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <LIn, LOut, UIn, UOut, E = never, R = never>(
  attach: <LE>(
    lower: Connection<LIn, LOut, LE>
  ) => Effect.Effect<Connection<UIn, UOut, LE | E>, LE | E, R | Scope.Scope>
): Protocol<LIn, LOut, UIn, UOut, E, R> => ({
  attach:
    (<LE>(lower: Connection<LIn, LOut, LE>) =>
      Effect.map(attach(lower), (upper) => withHalfCloseOf(lower, upper))) as Protocol<
        LIn,
        LOut,
        UIn,
        UOut,
        E,
        R
      >["attach"]
})

/**
 * A protocol of a codec: bytes below, frames above.
 *
 * **Details**
 *
 * A pull answers with all frames of what arrived, 1024 at the most; the rest is decoded by the next pull. While the next
 * frame is not complete it waits for the lower connection; interrupted there, it loses nothing. The end of input and an
 * error of the decoder are final; both come after the frames before them, and neither touches writing. A write is encoded
 * as a whole before any of it is sent, and is one write below.
 *
 * It holds what one pull below gave, the frames of one pull above, and what the decoder keeps; and it holds the bytes of
 * the last frames that were pulled until the next pull, so that frames that are put back can become bytes again for
 * `swap`, `peek` and the next protocol. A frame that was put back after a later pull cannot, nor can some of the frames
 * that one gap, or the end of input, ended together: `swap` and `peek` die of it, and the end of the scope drops it with
 * a warning.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromCodec = <In, Out, DE, EE>(
  codec: Codec<In, Out, DE, EE>
): FramedProtocol<In, Out, DE | EE | TransportError> => ({
  attach: (<LE>(lower: Connection<Uint8Array, Uint8Array, LE>) =>
    Effect.map(
      Effect.flatMap(lower.reader, (reader) =>
        Effect.acquireRelease(
          Effect.sync(() => new Attachment(lower, reader)),
          (attachment) => attachment.detach()
        )),
      (attachment) => attachment.framed(codec)
    )) as FramedProtocol<In, Out, DE | EE | TransportError>["attach"]
})

/**
 * A protocol of a machine: bytes below, events and commands above. `make` makes the machine for each connection.
 *
 * **Details**
 *
 * The machine runs whether or not somebody reads its events: it answers the peer, and is woken when it is due. Up to 1024
 * events, and those of one chunk more, wait to be pulled; then no more input is taken, and a machine that is due waits.
 * The end of input and an error of the machine are final, and come after the events before them; after an error, and
 * where it throws, the machine is not called again.
 *
 * A write gives the machine a command, and completes when the connection has taken what the machine sent. Interrupted, the
 * command has been given all the same, and what it sent goes out whole. A command that the machine refuses fails that
 * write alone; of `writeAll` those before it have been given. What writes wait for keeps nobody from reading; but while
 * more than 64 KiB of what the machine sent wait, no more input is taken, and a machine that is due waits.
 *
 * `close` and `halfClose` come after what was sent before, and wait 5 seconds for it; no writes are taken meanwhile. At
 * the end of the scope, input that the machine has not seen is put back, and what the connection has not taken is dropped
 * with a warning; whoever waits then, or asks later, is told that it is `Closed` by `scope`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromMachine = <Command, Event, E>(
  make: () => Machine<Command, Event, E>
): Protocol<Uint8Array, Uint8Array, Event, Command, E | TransportError> => ({
  attach:
    (<LE>(lower: Connection<Uint8Array, Uint8Array, LE>) =>
      Effect.suspend(() => attachMachine(lower, make()))) as Protocol<
        Uint8Array,
        Uint8Array,
        Event,
        Command,
        E | TransportError
      >["attach"]
})

// ---------------------------------------------------------------------------------------------------------------------

/** The most frames of one pull: enough to make each of them cheap, and a chunk of tiny frames stays a small array. */
const framesMax = 1024

/** As much as a connection reads ahead. */
const logMin = 65_536

const withHalfCloseOf = <C extends Connection<any, any, any>>(lower: Connection<any, any, any>, upper: C): C =>
  isHalfCloseable(lower) && !isHalfCloseable(upper) ? { ...upper, halfClose: lower.halfClose } : upper

/** What a decoder makes of the input's end. */
const done = Cause.done()

/** A lower connection with its reader, the bytes that it gave and no decoder has, and the lease above. */
class Attachment<LE> {
  readonly lower: Connection<Uint8Array, Uint8Array, LE>
  readonly reader: Reader<Uint8Array, LE>
  /** The codec in use; the readers of those before it are busy for good. */
  decoding: Decoding<any, any> | undefined = undefined
  lease: object | undefined = undefined
  chunks: Array<Uint8Array> = []
  /** The lower connection has answered with its end. */
  hasEnded = false

  constructor(lower: Connection<Uint8Array, Uint8Array, LE>, reader: Reader<Uint8Array, LE>) {
    this.lower = lower
    this.reader = reader
  }

  /** One pull below. What it brings is kept in the same step, so that no interruption can come between. */
  fill<A, E>(next: () => Effect.Effect<A, E>): Effect.Effect<A, E | LE> {
    return Effect.matchCauseEffect(this.reader.pull, {
      onSuccess: (chunks) => {
        this.keep(chunks)
        return next()
      },
      onFailure: (cause): Effect.Effect<A, E | LE> => {
        if (!Pull.isDoneCause(cause)) return Effect.failCause(cause as Cause.Cause<LE>)
        this.hasEnded = true
        return next()
      }
    })
  }

  keep(chunks: ReadonlyArray<Uint8Array>): void {
    for (const chunk of chunks) this.chunks.push(chunk)
  }

  framed<In, Out, DE, EE>(codec: Codec<In, Out, DE, EE>): Framed<In, Out, LE | DE | EE | TransportError> {
    const { lower } = this
    const decoding = this.decoding = new Decoding<In, DE>(this, codec)
    const duplex = underneath(lower)?.duplex
    const send = (bytes: ReadonlyArray<Uint8Array>, error: EE | undefined): Effect.Effect<void, LE | EE> => {
      if (error !== undefined) return Effect.fail(error)
      if (bytes.length !== 1) return lower.writeAll(bytes)
      return duplex?.writeNow(bytes[0]!) === true ? Effect.void : lower.write(bytes[0]!)
    }
    const sendOne = (frame: Out) => {
      const bytes: Array<Uint8Array> = []
      return send(bytes, codec.encode(frame, bytes))
    }
    const sendAll = (frames: ReadonlyArray<Out>) => {
      const bytes: Array<Uint8Array> = []
      for (const frame of frames) {
        const error = codec.encode(frame, bytes)
        if (error !== undefined) return send([], error)
      }
      return send(bytes, undefined)
    }
    const ending = <A, E>(end: Effect.Effect<A, E>) =>
      Effect.suspend(() => {
        this.decoding!.drop()
        return end
      })
    const upper = withHalfCloseOf<Framed<In, Out, LE | DE | EE | TransportError>>(lower, {
      reader: Effect.map(this.leased(decoding), (lease) => this.readerOf(decoding, lease)),
      write: (frame) => Effect.suspend(() => sendOne(frame)),
      writeAll: (frames) => Effect.suspend(() => sendAll(frames)),
      close: ending(lower.close),
      abort: ending(lower.abort),
      abortWith: (cause) => ending(lower.abortWith(cause)),
      closed: lower.closed,
      swap: (codec) =>
        Effect.scoped(Effect.map(this.leased(decoding), () => {
          decoding.rewind()
          return this.framed(codec)
        })),
      peek: (bytes) =>
        Number.isSafeInteger(bytes) && bytes >= 0
          ? Effect.scoped(Effect.flatMap(this.leased(decoding), () => {
            decoding.rewind()
            return this.peek(bytes)
          }))
          : refuseReading(
            this.lower,
            new InvalidOption({ field: "bytes", expected: "a non-negative integer", actual: bytes })
          )
    })
    setOnce(upper, single(() => this.hold(decoding)))
    return upper
  }

  /** A lease for a single read. */
  hold<In, DE>(
    decoding: Decoding<In, DE>
  ): Hold<In, LE | DE | TransportError> | Effect.Effect<never, TransportError> {
    if (this.lease !== undefined || this.decoding !== decoding) return this.busy()
    const held: Array<In> = []
    return {
      reader: this.readerOf(decoding, this.lease = {}, held),
      end: (isRead) => {
        this.lease = undefined
        if (!isRead && held.length > 0) decoding.unread(held)
      }
    }
  }

  leased(decoding: Decoding<any, any>): Effect.Effect<object, TransportError, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.suspend(() =>
        this.lease === undefined && this.decoding === decoding ? Effect.succeed(this.lease = {}) : this.busy()
      ),
      () =>
        Effect.sync(() => {
          this.lease = undefined
        })
    )
  }

  /** What is pulled and not put back is noted in `held`. */
  readerOf<In, DE>(decoding: Decoding<In, DE>, lease: object, held?: Array<In>): Reader<In, LE | DE | TransportError> {
    // What this lease has pulled and not put back.
    let pulled = 0
    const handOut = Effect.sync(() => {
      const frames = decoding.handOut()
      pulled += frames.length
      if (held !== undefined) { for (const frame of frames) held.push(frame) }
      return frames
    })
    type Pulling = Pull.Pull<NonEmptyReadonlyArray<In>, LE | DE | TransportError>
    // Frames leave in one step, the last: an interruption before it finds them all here.
    const found = (): Pulling => decoding.frames.length > 0 ? handOut : decoding.end!
    const next = (): Pulling => {
      if (this.lease !== lease) return this.busy()
      // To wait is to wait below, where a second pull fails with `Busy`.
      return decoding.advance() ? found() : more
    }
    const nextInTime = (): Pulling =>
      Effect.clockWith((clock) => {
        if (this.lease !== lease) return this.busy()
        const nowMs = clock.currentTimeMillisUnsafe()
        const dueMs = decoding.advanceAt(nowMs)
        if (decoding.frames.length > 0 || decoding.end !== undefined) return found()
        if (dueMs === undefined) return moreInTime
        // What comes is kept in the step in which it comes, also where the time is up in the same one.
        return Effect.flatMap(Effect.timeoutOption(filling, dueMs - nowMs), nextInTime)
      })
    const isTimed = decoding.decoder.due !== undefined
    const pull = Effect.suspend(isTimed ? nextInTime : next)
    const more = this.fill(next)
    const moreInTime = this.fill(nextInTime)
    const filling = this.fill(() => Effect.void)
    // In the callback below nobody waits for time.
    const forEachBelow = isTimed ? undefined : this.reader.forEach
    return {
      pull,
      unread: (frames) =>
        Effect.suspend(() => {
          if (frames.length > pulled) return Effect.die(new Error("Reader.unread: more than this lease has pulled"))
          pulled -= frames.length
          held?.splice(held.length - frames.length)
          decoding.unread(frames)
          return Effect.void
        }),
      forEach: forEachBelow && (<E2, R2>(f: (batch: NonEmptyReadonlyArray<In>) => Effect.Effect<void, E2, R2>) => {
        const all = (): Effect.Effect<void, LE | DE | TransportError | E2, R2> => {
          if (this.lease !== lease) return this.busy()
          if (!decoding.advance()) return Effect.void
          if (decoding.frames.length > 0) return Effect.andThen(Effect.flatMap(handOut, f), Effect.suspend(all))
          return decoding.end === done ? Effect.void : decoding.end as Effect.Effect<never, DE>
        }
        const allOf = (chunks: ReadonlyArray<Uint8Array>) => {
          this.keep(chunks)
          return all()
        }
        const allOfEnd = () => {
          this.hasEnded = true
          return all()
        }
        return Effect.suspend(all).pipe(
          Effect.andThen(forEachBelow(allOf)),
          Effect.andThen(Effect.suspend(allOfEnd))
        )
      })
    }
  }

  peek(bytes: number): Effect.Effect<Uint8Array, LE> {
    let counted = 0
    let have = 0
    const step: Effect.Effect<Uint8Array, LE> = Effect.suspend(() => {
      while (counted < this.chunks.length) have += this.chunks[counted++]!.length
      return have < bytes && !this.hasEnded
        ? more
        : Effect.sync(() => firstBytes(this.chunks, Math.min(bytes, have)))
    })
    const more = this.fill(() => step)
    return step
  }

  /** Gives the bytes that no frame was made of back to the lower connection. */
  detach(): Effect.Effect<void> {
    const lost = this.decoding!.giveUp()
    const chunks = this.chunks
    this.chunks = []
    return Effect.andThen(
      chunks.length > 0 ? this.reader.unread(chunks) : Effect.void,
      lost > 0
        ? Effect.logWarning(`a protocol was taken off with ${lost} frames put back that cannot become bytes again`)
        : Effect.void
    )
  }

  busy(): Effect.Effect<never, TransportError> {
    return readerBusy(this.lower)
  }
}

/**
 * Decoding as a plain machine. It can go back: a new decoder that is fed `log` makes the frames handed out, `handed` of
 * them, then those in `frames`, and then whatever the bytes in `chunks` of the attachment make.
 */
class Decoding<In, DE> {
  readonly attachment: Attachment<any>
  readonly codec: Codec<In, never, DE, unknown>
  decoder: Decoder<In, DE>
  /** The bytes that were decoded since `origin`, and, where time ends frames, the times that the decoder was told. */
  log: Array<Uint8Array | number> = []
  logBytes = 0
  /** Of input that is passed over, which has no end, the log holds no more. It grows with the frame that is kept. */
  logMax = logMin
  /** Where the decoder stood when the log began. */
  origin: unknown = undefined
  /** Below zero when frames came back whose bytes are gone. */
  handed = 0
  frames: Array<In> = []
  /** Comes after `frames`, and stays. */
  end: Pull.Pull<never, DE> | undefined = undefined
  /** It stopped at `framesMax`: there may be whole frames inside the decoder. */
  isStopped = false
  isDropped = false
  /** Where time ends frames: when the last bytes came. */
  arrivedMs = 0
  hasFed = false

  constructor(attachment: Attachment<any>, codec: Codec<In, never, DE, unknown>) {
    this.attachment = attachment
    this.codec = codec
    this.decoder = codec.decoder()
  }

  /** Decodes until there is something to hand out. False when that takes more input. */
  advance(): boolean {
    const { attachment, frames } = this
    if (frames.length > 0 || this.end !== undefined) return true
    if (this.isStopped) this.step(undefined)
    if (frames.length === 0 && this.end === undefined && (this.handed !== 0 || this.logBytes > this.logMax)) {
      this.forget()
    }
    let fed = 0
    while (frames.length < framesMax && this.end === undefined && fed < attachment.chunks.length) {
      const chunk = attachment.chunks[fed++]!
      this.log.push(chunk)
      this.logBytes += chunk.length
      this.step(chunk)
    }
    attachment.chunks.splice(0, fed)
    this.hasFed = fed > 0
    if (attachment.hasEnded && this.end === undefined && !this.isStopped) {
      const error = this.decoder.end(frames)
      this.end = error === undefined ? done : Effect.fail(error)
    }
    return frames.length > 0 || this.end !== undefined
  }

  /** As `advance`, where time ends frames. Answers with when to ask again, if nothing else comes. */
  advanceAt(nowMs: number): number | undefined {
    if (this.frames.length > 0 || this.end !== undefined) return undefined
    this.tell(nowMs)
    if (this.frames.length > 0) return undefined
    const isFound = this.advance()
    if (this.end !== undefined) return undefined
    if (this.hasFed) this.arrivedMs = nowMs
    // Also behind frames: it is the time of what came behind them.
    const dueMs = this.tell(nowMs)
    if (isFound) return undefined
    // What went wrong then is told now.
    if (this.frames.length === 0) this.step(undefined)
    return dueMs
  }

  tell(nowMs: number): number | undefined {
    const { length } = this.log
    // Of many times without input the first, when the input came, and the last will do.
    if (typeof this.log[length - 1] === "number" && typeof this.log[length - 2] === "number") this.log.pop()
    this.log.push(nowMs)
    return this.decoder.due!(nowMs, this.frames)
  }

  step(chunk: Uint8Array | undefined): void {
    const error = this.decoder.decode(chunk, this.frames, framesMax - this.frames.length)
    this.isStopped = this.frames.length >= framesMax
    if (error !== undefined) this.end = Effect.fail(error)
  }

  /** All that was handed out is the receiver's. What the decoder keeps begins a new log. */
  forget(): void {
    const rest = this.decoder.rest()
    this.origin = this.decoder.mark?.()
    this.log = []
    this.logBytes = 0
    this.logMax = Math.max(logMin, 2 * rest.length)
    this.handed = 0
    if (rest.length === 0) return
    if (this.decoder.due === undefined) {
      this.attachment.chunks.unshift(rest)
      return
    }
    // It came before what comes now.
    this.log.push(rest)
    this.logBytes = rest.length
    this.step(rest)
    this.tell(this.arrivedMs)
  }

  handOut(): NonEmptyReadonlyArray<In> {
    const { frames } = this
    this.frames = []
    this.handed += frames.length
    return frames as unknown as NonEmptyReadonlyArray<In>
  }

  unread(frames: ReadonlyArray<In>): void {
    if (this.isDropped) return
    this.frames = [...frames, ...this.frames]
    this.handed -= frames.length
  }

  /** Makes bytes again of everything behind the last frame that was handed out. */
  rewind(): void {
    if (this.handed < 0) throw new Error("Framed: the bytes of frames put back after a later pull are gone")
    const { chunks, lost } = this.bytesBehind(this.handed)
    // They ended at one time, and the bytes between them are not known apart.
    if (lost > 0) throw new Error("Framed: some of the frames that one gap, or the end of input, ended were put back")
    this.attachment.chunks = chunks
    this.reset()
  }

  /** As `rewind`, for good. Answers with how many frames that were put back cannot become bytes again. */
  giveUp(): number {
    const { chunks, lost } = this.bytesBehind(Math.max(0, this.handed))
    const all = lost + Math.max(0, -this.handed)
    this.attachment.chunks = chunks
    this.reset()
    return all
  }

  bytesBehind(handed: number): { readonly chunks: Array<Uint8Array>; readonly lost: number } {
    if (this.end === done && this.frames.length === 0) return { chunks: [], lost: 0 }
    const entries = [...this.log, ...this.attachment.chunks]
    const decoder = this.codec.decoder(this.origin)
    const frames: Array<In> = []
    let fed = 0
    while (frames.length < handed && fed < entries.length) {
      const entry = entries[fed++]!
      if (typeof entry === "number") decoder.due!(entry, frames)
      else decoder.decode(entry, frames, handed - frames.length)
    }
    if (frames.length < handed) decoder.end(frames)
    const chunks = [decoder.rest(), ...entries.slice(fed)].filter((entry): entry is Uint8Array =>
      typeof entry !== "number" && entry.length > 0
    )
    const lost = frames.length - handed
    if (lost === 0) this.origin = decoder.mark?.()
    return { chunks, lost }
  }

  /** The connection is ended here: there is nothing more to read. */
  drop(): void {
    this.isDropped = true
    this.attachment.chunks = []
    this.reset()
  }

  reset(): void {
    this.decoder = this.codec.decoder(this.origin)
    this.log = []
    this.logBytes = 0
    this.handed = 0
    this.frames = []
    this.end = undefined
    this.isStopped = false
  }
}

const firstBytes = (chunks: ReadonlyArray<Uint8Array>, bytes: number): Uint8Array => {
  const first = new Uint8Array(bytes)
  let at = 0
  for (const chunk of chunks) {
    if (at === bytes) break
    const piece = chunk.subarray(0, bytes - at)
    first.set(piece, at)
    at += piece.length
  }
  return first
}
