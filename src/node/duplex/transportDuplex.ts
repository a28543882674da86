/**
 * A transport as a `Duplex` of Node, with the further members of a `net.Socket` that libraries ask for.
 *
 * Node's streams decide when to read and to write, and this carries it out: input is pushed until Node wants no more, a
 * write completes when the transport has taken it, `final` half-closes, and `destroy` closes or aborts.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Pull from "effect/Pull"
import type * as Net from "node:net"
import { Duplex } from "node:stream"
import type { Reader } from "../../Connection.ts"
import { underneath } from "../../internal/underneath.ts"
import { runOrExit } from "../../runOrExit.ts"
import { isHalfCloseable, type Transport } from "../../Transport.ts"
import type { TransportError } from "../../TransportError.ts"

type Done = (error?: Error | null) => void

/** What stands behind it, and how it is to be. */
export interface Parts {
  readonly transport: Transport
  /** Held for as long as the duplex lives. */
  readonly reader: Reader<Uint8Array, TransportError>
  readonly context: Context.Context<never>
  readonly allowHalfOpen: boolean
  readonly writableHighWaterMark: number
}

export class TransportDuplex extends Duplex {
  /** As those of a socket that is connected. */
  readonly connecting = false
  readonly pending = false
  bytesRead = 0
  bytesWritten = 0
  timeout: number | undefined = undefined
  readonly #parts: Parts
  readonly #run: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  #reading: Fiber.Fiber<void, TransportError> | undefined = undefined
  /** Node has asked for input since the last chunk. */
  #isWanted = false
  #wanted: (() => void) | undefined = undefined
  /** What ended the input, while what came before it is still unread. */
  #failure: TransportError | undefined = undefined
  /** The end of both directions at once, where the transport has no other. */
  #isClosing = false
  #hasLingered = false
  #abortCause: Cause.Cause<unknown> | undefined = undefined
  /** Since the last look: whether anything moved, and whether it was told that nothing did. */
  #activity: "some" | "none" | "told" = "none"
  /** Looks every so often whether nothing moved. */
  #idling: { readonly milliseconds: number; readonly looking: Fiber.Fiber<void> } | undefined = undefined

  constructor(parts: Parts) {
    super({
      allowHalfOpen: parts.allowHalfOpen,
      // The buffer is the transport's. With a mark of its own, this one would also go on asking while something is unread,
      // and could not tell when an error may follow.
      readableHighWaterMark: 1,
      writableHighWaterMark: parts.writableHighWaterMark
    })
    this.#parts = parts
    this.#run = Effect.runForkWith(parts.context)
    // As a socket does: what ends the connection is seen also where nobody reads yet.
    this.read(0)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Reading
  // -------------------------------------------------------------------------------------------------------------------

  override _read(): void {
    this.#isWanted = true
    if (this.#reading === undefined) return this.#startReading()
    if (this.#failure !== undefined) return this.#failSoon()
    const wanted = this.#wanted
    this.#wanted = undefined
    wanted?.()
  }

  #startReading(): void {
    const { reader } = this.#parts
    const reading = this.#reading = this.#run(
      reader.forEach?.((batch) => this.#take(batch)) ?? Pull.catchDone(
        Effect.forever(Effect.flatMap(reader.pull, (batch) => this.#take(batch))),
        () => Effect.void
      )
    )
    reading.addObserver((exit) => {
      if (this.destroyed) return
      if (Exit.isSuccess(exit)) return void this.push(null)
      const error = Cause.findErrorOption(exit.cause)
      // A listener threw. With a socket that would end the program, too.
      if (Option.isNone(error)) {
        this.resetAndDestroy(exit.cause)
        return queueMicrotask(() => {
          throw Cause.squash(exit.cause)
        })
      }
      if (this.#isClosing && error.value.reason._tag === "Closed") return void this.push(null)
      this.#failure = error.value
      if (this.readableLength === 0 || this.#isWanted) this.#failSoon()
    })
  }

  /** Completes when Node wants more: until then the reader asks for nothing, and the transport holds the peer back. */
  #take(batch: NonEmptyReadonlyArray<Uint8Array>): Effect.Effect<void> {
    this.#activity = "some"
    let wantsMore = true
    for (let i = 0; i < batch.length && !this.destroyed; i++) {
      const chunk = batch[i]!
      this.bytesRead += chunk.length
      this.#isWanted = false
      // Not copied: a Buffer of the same memory.
      wantsMore = this.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)) || this.#isWanted
    }
    return wantsMore ? Effect.void : this.#untilWanted
  }

  readonly #untilWanted: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.#isWanted) return resume(Effect.void)
    const wanted = this.#wanted = () => resume(Effect.void)
    return Effect.sync(() => {
      if (this.#wanted === wanted) this.#wanted = undefined
    })
  })

  /** Not at once: where this is inside `_read`, Node hands out the last of its buffer right after it. */
  #failSoon(): void {
    queueMicrotask(() => this.destroy(nativeErrorOf(this.#failure!)))
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Writing
  // -------------------------------------------------------------------------------------------------------------------

  override _write(chunk: Uint8Array, _: BufferEncoding, done: Done): void {
    this.bytesWritten += chunk.length
    this.#activity = "some"
    this.#finish(this.#parts.transport.write(chunk), done)
  }

  override _writev(items: Array<{ readonly chunk: Uint8Array }>, done: Done): void {
    const chunks = items.map(({ chunk }) => chunk)
    for (const chunk of chunks) this.bytesWritten += chunk.length
    this.#activity = "some"
    this.#finish(this.#parts.transport.writeAll(chunks), done)
  }

  override _final(done: Done): void {
    const { transport } = this.#parts
    if (isHalfCloseable(transport)) return this.#finish(transport.halfClose, done)
    this.#isClosing = true
    this.#finish(onRealClock(transport.close), done)
  }

  #finish(effect: Effect.Effect<void, TransportError>, done: Done): void {
    const finished = runOrExit(this.#run, effect)
    if (Exit.isExit(finished)) done(nativeErrorIn(finished))
    else finished.addObserver((exit) => done(nativeErrorIn(exit)))
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Ending
  // -------------------------------------------------------------------------------------------------------------------

  override _destroy(error: Error | null, done: Done): void {
    const { transport } = this.#parts
    this.#idling?.looking.interruptUnsafe()
    this.#reading?.interruptUnsafe()
    const cause = error !== null && !this.#isReadToItsEnd(error)
      ? Cause.fail(error)
      // Without an error it is a quiet end, unless that would pass off a part of the output as the whole.
      : this.#abortCause ??
        (this.writableLength > 0 ? Cause.fail(new Error("destroyed with output unsent")) : undefined)
    if (cause === undefined) {
      // Whoever overtook it with an abort knows that it failed.
      this.#finish(onRealClock(transport.close), (error) => done(this.#abortCause === undefined ? error : null))
      const core = this.#hasLingered ? underneath(transport)?.duplex : undefined
      if (core?.life === "lingering") core.letGo()
      return
    }
    const aborting = this.#run(Effect.andThen(transport.abortWith(cause), Effect.exit(transport.closed)))
    aborting.addObserver(() => done(error))
  }

  /** So Node's own iterators end a stream that is still open for writing. The peer is to have what was written. */
  #isReadToItsEnd(error: Error): boolean {
    return this.readableEnded && error.name === "AbortError" && error.cause === undefined
  }

  /** With success the output goes out first, within a time; `close` says that nothing is left. Errors were emitted. */
  endAtScopeExit(exit: Exit.Exit<unknown, unknown>, limit: Duration.Duration): Effect.Effect<void> {
    const closed = Effect.callback<void>((resume) => {
      if (this.closed) return resume(Effect.void)
      const done = () => resume(Effect.void)
      this.once("close", done)
      return Effect.sync(() => this.off("close", done))
    })
    return Effect.suspend(() => {
      // Whoever listened may be gone by now, and an error that nobody hears would end the program.
      this.on("error", ignore)
      if (Exit.isFailure(exit)) {
        this.resetAndDestroy(exit.cause)
        return closed
      }
      if (this.writableLength === 0) {
        this.destroy()
        return closed
      }
      this.destroySoon()
      const late = Effect.suspend(() => {
        this.resetAndDestroy()
        return closed
      })
      return onRealClock(Effect.timeoutOrElse(Effect.interruptible(closed), { duration: limit, orElse: () => late }))
    })
  }

  /** As `destroy`, and the peer sees a reset where the transport has one. */
  resetAndDestroy(cause: Cause.Cause<unknown> = Cause.interrupt()): this {
    this.#abortCause ??= cause
    // A quiet end that is under way is overtaken, as a close is by an abort.
    if (this.destroyed) this.#run(this.#parts.transport.abortWith(cause))
    return this.destroy()
  }

  /** As `destroy`, by one who has waited for the peer's end for as long as is right. */
  letGo(): void {
    this.#hasLingered = true
    this.destroy()
  }

  /** Ends our direction, and lets go when all of it is out. */
  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once("finish", () => this.destroy())
  }

  // -------------------------------------------------------------------------------------------------------------------
  // What libraries ask of a socket
  // -------------------------------------------------------------------------------------------------------------------

  /** `timeout` is emitted, and nothing else happens, when nothing was read or written for so long. 0: never. */
  setTimeout(milliseconds: number, onTimeout?: () => void): this {
    this.timeout = milliseconds
    if (onTimeout !== undefined) {
      if (milliseconds === 0) this.off("timeout", onTimeout)
      else this.once("timeout", onTimeout)
    }
    if (milliseconds > 0 && !this.destroyed) this.#watch(milliseconds)
    return this
  }

  /**
   * One look in each such time: to begin anew with each chunk would cost more than the chunk. HTTP sets a time and takes it
   * back with each request, so that the looks of a time that was taken back go on where it is set again before the next.
   */
  #watch(milliseconds: number): void {
    if (this.#idling?.milliseconds === milliseconds) {
      this.#activity = "some"
      return
    }
    this.#idling?.looking.interruptUnsafe()
    this.#activity = "none"
    const looking = this.#run(Effect.whileLoop({
      while: () => this.timeout === milliseconds,
      body: () => Effect.sleep(milliseconds),
      step: () => this.#look(milliseconds)
    }))
    this.#idling = { milliseconds, looking }
  }

  #look(milliseconds: number): void {
    if (this.timeout !== milliseconds) {
      this.#idling = undefined
      return
    }
    // Not in this fiber: what a listener throws is not ours to keep.
    if (this.#activity === "none") queueMicrotask(() => this.emit("timeout"))
    this.#activity = this.#activity === "some" ? "none" : "told"
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  address(): Net.AddressInfo | {} {
    return addressOf(this.#parts.transport.info.local) ?? {}
  }

  get readyState(): Net.SocketReadyState {
    if (this.readable && this.writable) return "open"
    return this.readable ? "readOnly" : this.writable ? "writeOnly" : "closed"
  }

  get localAddress(): string | undefined {
    return addressOf(this.#parts.transport.info.local)?.address
  }

  get localPort(): number | undefined {
    return addressOf(this.#parts.transport.info.local)?.port
  }

  get localFamily(): string | undefined {
    return addressOf(this.#parts.transport.info.local)?.family
  }

  get remoteAddress(): string | undefined {
    return addressOf(this.#parts.transport.info.peer)?.address
  }

  get remotePort(): number | undefined {
    return addressOf(this.#parts.transport.info.peer)?.port
  }

  get remoteFamily(): string | undefined {
    return addressOf(this.#parts.transport.info.peer)?.family
  }
}

const ignore = () => {}

/** A release must not wait on a clock that nobody moves. */
const onRealClock: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E> = Effect.provideService(
  Clock.Clock,
  Context.get(Context.empty(), Clock.Clock)
)

// ---------------------------------------------------------------------------------------------------------------------

const addressOf = (
  address: Option.Option<NetAddress.SocketAddress>
): (Net.AddressInfo & { readonly port: number }) | undefined => {
  const known = Option.getOrUndefined(address)
  return known !== undefined && "port" in known
    ? {
      address: NetAddress.formatIp(known.address),
      port: known.port,
      family: known.address._tag === "Ipv4Address" ? "IPv4" : "IPv6"
    }
    : undefined
}

/** What libraries know it by; the error as it was is its cause. */
const nativeErrorOf = (error: TransportError): Error =>
  Object.assign(new Error(error.message, { cause: error }), {
    code: Predicate.hasProperty(error.cause, "code") ? error.cause.code : codes[error.reason._tag] ?? "EIO"
  })

const codes: { readonly [K in TransportError["reason"]["_tag"]]?: string } = {
  Closed: "ECONNABORTED",
  Disconnected: "ECONNRESET",
  Reset: "ECONNRESET",
  TimedOut: "ETIMEDOUT",
  Truncated: "ECONNRESET"
}

const nativeErrorIn = (exit: Exit.Exit<void, TransportError>): Error | null => {
  if (Exit.isSuccess(exit)) return null
  const error = Cause.findErrorOption(exit.cause)
  return Option.isSome(error) ? nativeErrorOf(error.value) : new Error("interrupted", { cause: exit.cause })
}
