/**
 * Web streams as transports, and transports as Web streams: a pair of `readable` and `writable`, shaped like the socket
 * that the `connect()` of WinterTC gives.
 *
 * Nothing here needs a platform beyond Web streams themselves. Backpressure goes through both ways: nothing is read from
 * below before somebody reads above, and a write above is done when the one below is.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import type { Reader } from "../Connection.ts"
import * as Endpoint from "../Endpoint.ts"
import { concat } from "../internal/bytes.ts"
import { realClock } from "../realClock.ts"
import * as Transports from "../Transport.ts"
import * as TransportError from "../TransportError.ts"
import * as Wire from "../Wire.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Where a socket stands, as text: `127.0.0.1:7000`, or a path. Absent where the medium has no addresses.
 *
 * @category models
 * @since 0.1.0
 */
export interface SocketInfo {
  readonly remoteAddress?: string
  readonly localAddress?: string
}

/**
 * A transport as Web streams.
 *
 * @category models
 * @since 0.1.0
 */
export interface WebStreams {
  /**
   * A stream of bytes (`type: "bytes"`), also for readers that bring their own buffer. It holds one batch of input at the
   * most: what came for a reader that had let go of the lock. `cancel()` lets go of reading: what still arrives is discarded, and the connection is closed once `writable` is.
   * `cancel(reason)` aborts the connection with that reason.
   */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>
  /**
   * One write is under way at a time, and done when the transport has taken it. `close` ends our direction where the
   * transport can half-close, and flushes where it cannot. `abort(reason)` aborts the connection, also while a write
   * waits, which then rejects with `Closed`, and those behind it with the reason. A write that fails aborts, too.
   */
  readonly writable: WritableStream<Uint8Array>
  /** A transport is open from the beginning, so it has resolved. */
  readonly opened: Promise<SocketInfo>
  /** The end of the connection, or of the scope. Rejects with the `TransportError` that ended it, if it broke. */
  readonly closed: Promise<void>
  /**
   * Closes the transport: what it has taken is flushed, a write that still waits fails, and reading ends. Rejects with a
   * `TransportError` where bytes were lost.
   */
  readonly close: () => Promise<void>
}

/**
 * How a transport over Web streams is made.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E extends Endpoint.Endpoint = Endpoint.MemoryEndpoint> extends Transports.TransportOptions {
  /**
   * What the streams stand for. It names the connection in errors, and its kind says whether there is a half-close.
   * Default `memory:web-streams`.
   */
  readonly endpoint?: E | undefined
}

// ---------------------------------------------------------------------------------------------------------------------
// A transport as Web streams
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The transport as Web streams, for as long as the scope lasts.
 *
 * **Details**
 *
 * It holds the reader: where somebody reads, it fails with `Busy`. The transport stays the caller's. The end of the scope
 * errors what is left of the streams with `Closed` by `scope`, and what has arrived and was not read stays with the
 * transport, but for what a read with `min`, or of elements of several bytes, had taken when it was cut off. Streams error
 * with the `TransportError` that a reader or writer of the transport would get.
 *
 * **Example** (Reading text from a transport)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { TestTransport, WebStreams } from "effect-transport"
 *
 * const program = Effect.gen(function*() {
 *   const [client, server] = yield* TestTransport.pair()
 *   const { readable } = yield* WebStreams.toWebStreams(server)
 *   yield* client.write(new TextEncoder().encode("hello"))
 *   yield* client.halfClose
 *   return yield* Effect.promise(() => new Response(readable).text())
 * })
 *
 * await Effect.runPromise(Effect.scoped(program)) // => "hello"
 * ```
 *
 * @category converting
 * @since 0.1.0
 */
export const toWebStreams = (
  transport: Transports.Transport
): Effect.Effect<WebStreams, TransportError.TransportError, Scope.Scope> =>
  Effect.gen(function*() {
    const reader = yield* transport.reader
    const context = yield* Effect.context<never>()
    const bridge = yield* Effect.acquireRelease(
      Effect.sync(() => new Bridge(transport, reader, context)),
      (bridge, exit) => bridge.end(exit)
    )
    return bridge.streams
  })

type Failure = TransportError.TransportError

class Bridge {
  readonly streams: WebStreams
  readonly #transport: Transports.Transport
  readonly #reader: Reader<Uint8Array, Failure>
  /** Runs what the streams ask for. */
  readonly #run: <A, E>(effect: Effect.Effect<A, E>, options?: Effect.RunOptions) => Promise<A>
  /** Interrupts what waits for the transport: with the scope, and reading also with a `cancel`. */
  readonly #scope = new AbortController()
  readonly #reading = new AbortController()
  readonly #ended = Deferred.makeUnsafe<void, Failure>()
  #input!: ReadableByteStreamController
  #output!: WritableStreamDefaultController
  #pulling: Promise<void> = Promise.resolve()
  /** The last of this is what the stream holds and nobody has read. */
  #held: Uint8Array = nothing
  #readable: "open" | "ended" | "cancelled" = "open"
  #writable: "open" | "ended" = "open"
  #closing = false

  constructor(
    transport: Transports.Transport,
    reader: Reader<Uint8Array, Failure>,
    context: Context.Context<never>
  ) {
    this.#transport = transport
    this.#reader = reader
    this.#run = Effect.runPromiseWith(context)
    const pull = this.#pull
    const closed = this.#run(Effect.raceFirst(transport.closed, Deferred.await(this.#ended)))
    // It also marks it as handled: nobody has to look at `closed`.
    closed.then(() => this.#onClosed(undefined), (error) => this.#onClosed(error))
    this.streams = {
      // No mark of its own: what nobody reads stays in the transport, which has one.
      readable: new ReadableStream({
        type: "bytes",
        start: (controller) => {
          this.#input = controller
        },
        pull: () => this.#pulling = this.#run(pull, { signal: this.#reading.signal }),
        cancel: (reason: unknown) => this.#cancel(reason)
      }, { highWaterMark: 0 }),
      writable: new WritableStream({
        start: (controller) => {
          this.#output = controller
          // Not `abort` of the sink, which waits for the write that is under way.
          controller.signal.addEventListener("abort", () => this.#abort(controller.signal.reason), { once: true })
        },
        write: (chunk) => this.#run(this.#write(chunk), { signal: this.#scope.signal }),
        close: () => this.#run(this.#finish, { signal: this.#scope.signal }).then(() => this.#finished())
      }, { highWaterMark: 1 }),
      opened: Promise.resolve(socketInfo(transport.info)),
      closed,
      close: () => {
        this.#closing = true
        return this.#run(transport.close)
      }
    }
  }

  // Reading

  get #pull(): Effect.Effect<void> {
    const read: Effect.Effect<void> = Effect.uninterruptibleMask((restore) =>
      Pull.matchEffect(restore(this.#reader.pull), {
        onSuccess: (chunks) => this.#hand(chunks) ?? restore(read),
        onDone: () => Effect.sync(() => this.#endInput()),
        onFailure: (cause) => Effect.sync(() => this.#failInput(cause))
      })
    )
    return read
  }

  /** What does not fit into the buffer that a reader brought stays with the transport. Nothing where nothing came. */
  #hand(chunks: ReadonlyArray<Uint8Array>): Effect.Effect<void> | undefined {
    const bytes = chunks.reduce((bytes, chunk) => bytes + chunk.length, 0)
    if (bytes === 0) return undefined
    if (this.#readable === "cancelled") return Effect.void
    if (this.#readable === "ended") return this.#reader.unread(chunks)
    const request = this.#input.byobRequest
    if (request === null || request.view === null) {
      // A copy, since the stream transfers it: a chunk may share its memory with others.
      const all = new Uint8Array(bytes)
      fill(all, chunks)
      this.#input.enqueue(all)
      this.#keep(chunks, bytes)
      return Effect.void
    }
    const { buffer, byteLength, byteOffset } = request.view
    const given = Math.min(bytes, byteLength)
    const rest = fill(new Uint8Array(buffer, byteOffset, byteLength), chunks)
    request.respond(given)
    this.#keep(chunks, given)
    return rest.length === 0 ? Effect.void : this.#reader.unread(rest)
  }

  /** Whoever asked let go of the stream before it came, or it is no whole element of his view. */
  #keep(chunks: ReadonlyArray<Uint8Array>, given: number): void {
    const held = this.#heldBytes
    this.#held = held === 0 ? nothing : concat(chunks).subarray(given - held, given)
  }

  get #heldBytes(): number {
    return this.#readable === "open" ? -this.#input.desiredSize! : 0
  }

  #endInput(): void {
    if (this.#readable !== "open") return
    this.#readable = "ended"
    this.#input.close()
    // Whoever brought a buffer is answered by this, and not by `close`.
    this.#input.byobRequest?.respond(0)
  }

  #failInput(cause: Cause.Cause<Failure>): void {
    if (Cause.hasInterruptsOnly(cause)) return
    if (this.#closing) return this.#endInput()
    this.#errorInput(Cause.squash(cause))
  }

  #errorInput(error: unknown): void {
    if (this.#readable !== "open") return
    this.#readable = "ended"
    this.#input.error(error)
  }

  #cancel(reason: unknown): Promise<void> {
    this.#readable = "cancelled"
    this.#reading.abort()
    if (reason !== undefined) return this.#abort(reason)
    if (this.#writable === "ended") return this.#run(this.#transport.close)
    const discard = Effect.ignore(Effect.forever(this.#reader.pull))
    // The read that is under way has to be over: there is one at a time.
    const begin = () => {
      this.#run(discard, { signal: this.#scope.signal }).catch(interrupted)
    }
    return this.#pulling.then(begin, begin)
  }

  // Writing

  #write(chunk: unknown): Effect.Effect<void, Failure> {
    return Effect.tapError(this.#transport.write(bytesOf(chunk) as Uint8Array), (error) =>
      // There is no writing any more: the peer must not take what it has for all.
      this.#transport.abortWith(Cause.fail(error)))
  }

  get #finish(): Effect.Effect<void, Failure> {
    const transport = this.#transport
    return Transports.isHalfCloseable(transport) ? transport.halfClose : transport.flush
  }

  /** Not bound to the scope: an interrupted close aborts, and it has limits of its own. */
  #finished(): Promise<void> | undefined {
    this.#writable = "ended"
    return this.#readable === "cancelled" ? this.#run(this.#transport.close) : undefined
  }

  #abort(reason: unknown): Promise<void> {
    return this.#run(this.#transport.abortWith(Cause.fail(reason)))
  }

  // Ending

  /** Whoever only writes learns it now; whoever reads does so behind what has arrived. */
  #onClosed(error: unknown): void {
    if (this.#writable === "ended") return
    this.#output.error(error ?? this.#closedBy("close"))
  }

  /** The scope is over. */
  end(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const error = this.#closedBy("scope", Exit.isFailure(exit) ? exit.cause : undefined)
      const held = this.#held.subarray(this.#held.length - this.#heldBytes)
      this.#errorInput(error)
      this.#output.error(error)
      Deferred.doneUnsafe(this.#ended, Exit.isSuccess(exit) ? Exit.void : Exit.fail(error))
      this.#reading.abort()
      this.#scope.abort()
      // What a pull may have in hand goes back, and that takes the lease. What the stream held came before it.
      return Effect.andThen(Effect.promise(() => this.#pulling.catch(interrupted)), this.#reader.unread([held]))
    })
  }

  #closedBy(by: "close" | "scope", cause?: unknown): Failure {
    const endpoint = Endpoint.format(this.#transport.info.endpoint)
    return TransportError.make("close", endpoint, new TransportError.Closed({ by }), { cause })
  }
}

const nothing = new Uint8Array(0)

/** Fills the target from its start, and answers with what is left. */
const fill = (target: Uint8Array, chunks: ReadonlyArray<Uint8Array>): ReadonlyArray<Uint8Array> => {
  let at = 0
  for (let i = 0; i < chunks.length; i++) {
    const chunk = chunks[i]!
    const room = target.length - at
    if (chunk.length > room) {
      target.set(chunk.subarray(0, room), at)
      return [chunk.subarray(room), ...chunks.slice(i + 1)]
    }
    target.set(chunk, at)
    at += chunk.length
  }
  return []
}

/** Anything else is left for a transport to refuse. */
const bytesOf = (chunk: unknown): unknown => {
  if (chunk instanceof Uint8Array) return chunk
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  return chunk instanceof ArrayBuffer ? new Uint8Array(chunk) : chunk
}

const socketInfo = (info: Transports.Info): SocketInfo => ({
  ...(Option.isSome(info.peer) && { remoteAddress: formatAddress(info.peer.value) }),
  ...(Option.isSome(info.local) && { localAddress: formatAddress(info.local.value) })
})

const formatAddress = (address: NetAddress.SocketAddress): string =>
  "path" in address ? address.path : NetAddress.formatInet(address)

/** Where only an interruption can reject. */
const interrupted = (): void => {}

// ---------------------------------------------------------------------------------------------------------------------
// Web streams as a transport
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A transport over a pair of Web streams, such as a `WebTransport` stream, a socket of `connect()`, or two ends of
 * `TransformStream`s. The streams are locked, and end with the transport.
 *
 * **Details**
 *
 * `readable` may give any buffer of bytes; `writable` is given `Uint8Array`s of its own, of up to 64 KiB, one at a time,
 * each when the one before is done. `halfClose` closes `writable`. `abort` aborts `writable` and cancels `readable`, both
 * with a `TransportError` as the reason. A stream that errors breaks the transport: with the reason of a `TransportError`,
 * with `Reset` for what says that the other end is gone, else with `Failed`. A stream that is locked fails with `Busy`.
 * Where `writable` errors while nobody writes, the next write meets it, and reading goes on until then.
 * `close` waits until `readable` has taken its cancel, for as long as `closeTimeout` and `linger` together.
 *
 * **Gotchas**
 *
 * Streams that end with an error drop what they hold, so bytes that were sent just before an abort may never arrive. At
 * most one chunk of `readable` is held beyond the read mark, however large it is.
 *
 * **Example** (Talking over two TransformStreams)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Transport, WebStreams } from "effect-transport"
 *
 * const there = new TransformStream<Uint8Array, Uint8Array>()
 * const back = new TransformStream<Uint8Array, Uint8Array>()
 *
 * const program = Effect.gen(function*() {
 *   const a = yield* WebStreams.fromWebStreams({ readable: back.readable, writable: there.writable })
 *   const b = yield* WebStreams.fromWebStreams({ readable: there.readable, writable: back.writable })
 *   yield* a.write(new TextEncoder().encode("hello"))
 *   return new TextDecoder().decode(yield* Transport.readExactly(b, 5))
 * })
 *
 * await Effect.runPromise(Effect.scoped(program)) // => "hello"
 * ```
 *
 * @category converting
 * @since 0.1.0
 */
export const fromWebStreams = <const E extends Endpoint.Endpoint = Endpoint.MemoryEndpoint>(
  streams: {
    readonly readable: ReadableStream<ArrayBuffer | ArrayBufferView>
    readonly writable: WritableStream<Uint8Array<ArrayBuffer>>
  },
  options?: Options<E>
): Effect.Effect<Transports.Of<E>, TransportError.TransportError, Scope.Scope> =>
  Effect.gen(function*() {
    const endpoint = options?.endpoint ?? ({ _tag: "memory", name: "web-streams" } as Endpoint.Endpoint as E)
    const name = Endpoint.format(endpoint)
    const resolved = yield* Wire.resolveOptions(options, { operation: "open", endpoint: name })
    if (streams.readable.locked || streams.writable.locked) {
      return yield* Effect.fail(TransportError.make("open", name, new TransportError.Busy({ what: "device" })))
    }
    const run = Effect.runForkWith(yield* Effect.context<never>())
    const limit = Duration.sum(resolved.closeTimeout, resolved.lingerDuration)
    /** By real time, since the end of a scope must not wait on a clock that nobody moves. */
    const settled = (promise: Promise<void>, then: () => void) => {
      const waiting = Effect.timeoutOption(Effect.promise(() => promise.catch(seenElsewhere)), limit)
      run(Effect.andThen(Effect.provideService(waiting, Clock.Clock, realClock), Effect.sync(then)))
    }
    return yield* Wire.toTransport((port) => new StreamsWire(streams, port, name, settled), {
      info: { id: 1, endpoint, local: Option.none(), peer: Option.none() },
      options: resolved,
      scopeExit: "wait",
      reasonOf
    })
  })

/** A chunk that the streams are given is at most this long, so that none of them has to hold more at once. */
const pieceBytes = 65_536

class StreamsWire implements Wire.Wire {
  /** What is below the streams is not known, and may be a socket. */
  readonly lingers = true
  readonly #port: Wire.Port
  readonly #name: string
  /** Calls back when the promise has settled, or has had the time that a close may take. */
  readonly #settled: (promise: Promise<void>, then: () => void) => void
  readonly #reader: ReadableStreamDefaultReader<ArrayBuffer | ArrayBufferView>
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>
  #flowing = false
  #reading = false
  /** Of the last chunk, what there was no room for. */
  #rest: Uint8Array | undefined = undefined
  #finished = false
  /** What the writable errored with: who writes to it later, or ends it, is told of its state alone. */
  #errored: { readonly cause: unknown } | undefined = undefined

  constructor(
    streams: {
      readonly readable: ReadableStream<ArrayBuffer | ArrayBufferView>
      readonly writable: WritableStream<Uint8Array<ArrayBuffer>>
    },
    port: Wire.Port,
    name: string,
    settled: (promise: Promise<void>, then: () => void) => void
  ) {
    this.#settled = settled
    this.#port = port
    this.#name = name
    this.#reader = streams.readable.getReader()
    this.#writer = streams.writable.getWriter()
    // Each break is met by a read or a write.
    this.#reader.closed.catch(seenElsewhere)
    this.#writer.closed.catch((cause: unknown) => {
      this.#errored = { cause }
    })
    this.#writer.ready.catch(seenElsewhere)
  }

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    this.#writePieces(chunks, 0, 0)
    return false
  }

  end(): void {
    const finished = () => {
      this.#finished = true
      this.#port.finished()
    }
    this.#writer.close().then(finished, (cause) => {
      // Whoever reads has let go, in peace and with all that was sent.
      if (this.#errored !== undefined && this.#errored.cause === undefined) finished()
      else this.#broken(cause)
    })
  }

  reset(): void {
    const ended = TransportError.make("close", this.#name, new TransportError.Closed({ by: "abort" }))
    this.#drop(ended)
    // A sink may take for ever over the write that is under way, and nothing is ours any more.
    queueMicrotask(this.#port.released)
  }

  release(): void {
    if (this.#finished) this.#settled(this.#reader.cancel(), this.#port.released)
    else {
      this.#drop(TransportError.make("close", this.#name, new TransportError.Reset()))
      queueMicrotask(this.#port.released)
    }
  }

  resume(): void {
    this.#flowing = true
    this.#read()
  }

  suspend(): void {
    this.#flowing = false
  }

  #drop(reason: unknown): void {
    this.#rest = undefined
    this.#writer.abort(reason).catch(seenElsewhere)
    this.#reader.cancel(reason).catch(seenElsewhere)
  }

  /** From this chunk on, and from this byte of it. Copied: the streams may keep it for as long as they like. */
  #writePieces(chunks: ReadonlyArray<Uint8Array>, from: number, start: number): void {
    const parts: Array<Uint8Array> = []
    let bytes = 0
    let at = start
    let i = from
    for (; i < chunks.length && bytes < pieceBytes; at = 0, i++) {
      const part = chunks[i]!.subarray(at, at + pieceBytes - bytes)
      parts.push(part)
      bytes += part.length
      if (at + part.length < chunks[i]!.length) {
        at += part.length
        break
      }
    }
    const piece = new Uint8Array(bytes)
    fill(piece, parts)
    this.#writer.write(piece).then(
      () => i < chunks.length ? this.#writePieces(chunks, i, at) : this.#port.drained(),
      (cause) => this.#broken(cause)
    )
  }

  #broken(cause: unknown): void {
    this.#port.broken(this.#errored === undefined ? cause : this.#errored.cause)
  }

  /** One read is under way at a time. What it brings is handed over as far as it is welcome. */
  #read(): void {
    if (this.#reading) return
    this.#reading = true
    while (this.#flowing && this.#rest !== undefined) {
      const rest: Uint8Array = this.#rest
      const room = this.#port.room()
      if (room === 0) break
      this.#rest = rest.length > room ? rest.subarray(room) : undefined
      this.#port.data(rest.length > room ? rest.subarray(0, room) : rest)
    }
    if (!this.#flowing || this.#rest !== undefined) {
      this.#reading = false
      return
    }
    this.#reader.read().then(({ done, value }) => {
      this.#reading = false
      if (done) return this.#port.end()
      const chunk = bytesOf(value)
      if (!(chunk instanceof Uint8Array)) {
        return this.#port.broken(new TypeError("a stream of a transport gave what is no bytes"))
      }
      this.#rest = chunk
      this.#read()
    }, (cause) => {
      this.#reading = false
      this.#port.broken(cause)
    })
  }
}

/** A promise of the streams that rejects together with one that is looked at. */
const seenElsewhere = (): void => {}

const reasonOf = (cause: unknown): TransportError.Reason => {
  if (cause instanceof TransportError.TransportError) {
    // Whoever ended it was at the other end.
    return cause.reason._tag === "Closed" ? new TransportError.Reset() : cause.reason
  }
  const isGone = cause === undefined ||
    (Predicate.hasProperty(cause, "name") && cause.name === "AbortError") ||
    (Predicate.hasProperty(cause, "code") && goneCodes.has(cause.code))
  return isGone ? new TransportError.Reset() : new TransportError.Failed()
}

const goneCodes: ReadonlySet<unknown> = new Set([
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ERR_STREAM_PREMATURE_CLOSE"
])
