/**
 * Transports as `Duplex` streams of Node, and the other way round: what Node and its libraries do with a socket, such as
 * `http`, `http2`, `tls` or a database client, they do over any transport of ours, and a stream that a library hands out
 * becomes a transport with all that its laws promise.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type { Duplex } from "node:stream"
import * as Endpoint from "../Endpoint.ts"
import { durationOf, isCount } from "../internal/check.ts"
import type { Of, Transport, TransportOptions } from "../Transport.ts"
import * as TransportError from "../TransportError.ts"
import * as Wire from "../Wire.ts"
import { DuplexWire } from "./duplex/duplexWire.ts"
import { TransportDuplex } from "./duplex/transportDuplex.ts"
import { reasonOf } from "./nativeError.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A `Duplex` with what libraries ask of a socket besides.
 *
 * **Details**
 *
 * `setNoDelay`, `setKeepAlive`, `ref` and `unref` are there and do nothing: the transport has its own settings. Addresses
 * are those of the transport, and undefined where it has none.
 *
 * @category models
 * @since 0.1.0
 */
export interface SocketDuplex extends Duplex {
  readonly connecting: boolean
  readonly pending: boolean
  readonly bytesRead: number
  readonly bytesWritten: number
  readonly localAddress: string | undefined
  readonly localPort: number | undefined
  readonly localFamily: string | undefined
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  readonly remoteFamily: string | undefined
  readonly readyState: "opening" | "open" | "readOnly" | "writeOnly" | "closed"
  /** Ends our direction, and lets go when all of it is out. */
  readonly destroySoon: () => void
  /** As `destroy`, and the peer sees a reset where the transport has one. */
  readonly resetAndDestroy: () => this
  /** Emits `timeout` when nothing was read or written for at least so long, and less than twice that; 0: never. */
  readonly setTimeout: (milliseconds: number, onTimeout?: () => void) => this
  readonly setNoDelay: (noDelay?: boolean) => this
  readonly setKeepAlive: (keepAlive?: boolean, initialDelay?: number) => this
  readonly ref: () => this
  readonly unref: () => this
  readonly address: () => object
}

/**
 * How a `Duplex` over a transport behaves.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToDuplexOptions {
  /**
   * Whether the peer's end leaves our direction open. Default true, as for every `Duplex`; give false to clients that
   * count on what `net.connect` does, and end only when the peer has.
   */
  readonly allowHalfOpen?: boolean | undefined
  /** From this many bytes on, `write` says false. Default 16384: the transport below has its own room. */
  readonly writableHighWaterMark?: number | undefined
  /** How long the end of the scope waits for output that the transport has not taken. Default 5 seconds. */
  readonly closeTimeout?: TransportOptions["closeTimeout"]
}

/**
 * How a transport over a `Duplex` behaves.
 *
 * @category models
 * @since 0.1.0
 */
export interface FromDuplexOptions<E extends Endpoint.Endpoint = Endpoint.MemoryEndpoint> extends TransportOptions {
  /**
   * What it is called, and by its kind whether it can half-close. Default `memory:duplex`, which can; for a stream whose
   * `end` ends both directions give a kind that cannot, such as a serial one.
   */
  readonly endpoint?: E | undefined
}

// ---------------------------------------------------------------------------------------------------------------------
// Converting
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The transport as a `Duplex` of Node. It takes the transport over, and holds its reader until the scope ends.
 *
 * **Details**
 *
 * Backpressure goes both ways: while nobody reads, the peer is held back, and a write completes when the transport has
 * taken it. The peer's end is `end`, and `end()` half-closes; a transport that cannot half-close is closed by it. What
 * breaks the connection is an `error` with the `code` that a socket would have, and with the `TransportError` as `cause`;
 * it comes when all that arrived before has been read, or on the next write.
 *
 * `destroy()` closes: what the transport has taken still goes out. With an error, or while it holds output that the
 * transport has not taken, it aborts, and `resetAndDestroy` always does. The `AbortError` with which `for await` leaves a
 * stream behind its last chunk counts as none. `close` is emitted when the transport is let go.
 * The end of the scope does the same by itself: with success it ends the stream, waits for its output, and closes; else it
 * aborts. It fails with `Busy` where somebody reads the transport.
 *
 * **Example** (HTTP over a transport)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { TestTransport } from "effect-transport"
 * import { NodeDuplex } from "effect-transport/node"
 * import * as Http from "node:http"
 *
 * const program = Effect.gen(function*() {
 *   const [a, b] = yield* TestTransport.pair()
 *   const client = yield* NodeDuplex.toDuplex(a)
 *   const server = yield* NodeDuplex.toDuplex(b)
 *   Http.createServer((_, response) => response.end("hello")).emit("connection", server)
 *   return yield* Effect.callback<number | undefined>((resume) => {
 *     Http.get({ createConnection: () => client }, (response) => resume(Effect.succeed(response.statusCode)))
 *   })
 * })
 *
 * await Effect.runPromise(Effect.scoped(program)) // => 200
 * ```
 *
 * @category converting
 * @since 0.1.0
 */
export const toDuplex = (
  transport: Transport,
  options?: ToDuplexOptions
): Effect.Effect<SocketDuplex, TransportError.TransportError, Scope.Scope> =>
  Effect.suspend(() => {
    const endpoint = Endpoint.format(transport.info.endpoint)
    const refuse = (field: string, expected: string, actual: unknown) =>
      Effect.fail(TransportError.invalidOption("open", endpoint, { field, expected, actual }))
    const { allowHalfOpen = true, closeTimeout = "5 seconds", writableHighWaterMark = 16_384 } = options ?? {}
    if (typeof allowHalfOpen !== "boolean") return refuse("allowHalfOpen", "a boolean", allowHalfOpen)
    if (!isCount(writableHighWaterMark, 0)) {
      return refuse("writableHighWaterMark", "a non-negative integer", writableHighWaterMark)
    }
    const limit = durationOf(closeTimeout)
    if (limit === undefined) return refuse("closeTimeout", "a finite duration", closeTimeout)
    return Effect.flatMap(
      Effect.all([transport.reader, Effect.context<never>()]),
      ([reader, context]) =>
        Effect.acquireRelease(
          Effect.sync(() => new TransportDuplex({ transport, reader, context, allowHalfOpen, writableHighWaterMark })),
          (duplex, exit) => duplex.endAtScopeExit(exit, limit)
        )
    )
  })

/**
 * A `Duplex` as a transport of ours. It takes the stream over, and the end of the scope lets it go.
 *
 * **Details**
 *
 * The stream has to be of bytes (no `objectMode`, no `setEncoding`), open both ways and read by nobody else, else it fails
 * with `InvalidOption`. `close` ends the stream and destroys it; `abort` destroys it with an error, or resets it where it
 * is a TCP socket or one of `toDuplex`: what that shows the peer is up to the stream. An `error` of the stream breaks the
 * transport, with the reason that its `code` stands for or the one of the `TransportError` that caused it; a stream that
 * closes without an end counts as `Reset`. What is written is copied, unless the stream is known to be done with it when
 * its write calls back. A stream that never emits `close` (`emitClose: false`, or a `destroy` that does not call back) is
 * never let go: whoever closes waits for it.
 *
 * **Example** (The lines of a stream)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Transport } from "effect-transport"
 * import { NodeDuplex } from "effect-transport/node"
 * import { PassThrough } from "node:stream"
 *
 * const program = Effect.gen(function*() {
 *   const transport = yield* NodeDuplex.fromDuplex(new PassThrough())
 *   yield* transport.write(new TextEncoder().encode("echo"))
 *   return new TextDecoder().decode(yield* Transport.readExactly(transport, 4))
 * })
 *
 * await Effect.runPromise(Effect.scoped(program)) // => "echo"
 * ```
 *
 * @category converting
 * @since 0.1.0
 */
export const fromDuplex = <const E extends Endpoint.Endpoint = Endpoint.MemoryEndpoint>(
  duplex: Duplex,
  options?: FromDuplexOptions<E>
): Effect.Effect<Of<E>, TransportError.TransportError, Scope.Scope> =>
  Effect.suspend(() => {
    const endpoint = options?.endpoint ?? { _tag: "memory" as const, name: "duplex" }
    const name = Endpoint.format(endpoint)
    const wrong = whatIsWrongWith(duplex)
    if (wrong !== undefined) {
      return Effect.fail(
        TransportError.invalidOption("open", name, { field: "duplex", expected: wrong, actual: duplex })
      )
    }
    return Effect.flatMap(
      Wire.resolveOptions(options, { operation: "open", endpoint: name }),
      (options) =>
        Wire.toTransport((port) => new DuplexWire(duplex, name, port), {
          info: { id: ++lastId, endpoint, local: Option.none(), peer: Option.none() },
          options,
          scopeExit: "wait",
          reasonOf: (cause) => reasonBehind(cause, name)
        }) as Effect.Effect<Of<E>, never, Scope.Scope>
    )
  })

let lastId = 0

const whatIsWrongWith = (duplex: Duplex): string | undefined => {
  if (typeof duplex?.write !== "function" || typeof duplex.read !== "function") return "a Duplex"
  // Those of older copies of `readable-stream` say nothing of an encoding.
  if (duplex.readableObjectMode || duplex.writableObjectMode || (duplex.readableEncoding ?? null) !== null) {
    return "a stream of bytes"
  }
  if (!duplex.readable || !duplex.writable) return "open both ways"
  if (duplex.listenerCount("data") + duplex.listenerCount("readable") > 0) return "read by nobody else"
  return undefined
}

/** A stream over a transport of ours knows it better than its error's code does. */
const reasonBehind = (cause: unknown, what: string): TransportError.Reason => {
  if (cause === undefined) return new TransportError.Reset()
  for (let error: unknown = cause; error instanceof Error; error = error.cause) {
    if (error instanceof TransportError.TransportError) return error.reason
  }
  // A socket may be given while it connects.
  const isOpening = Predicate.hasProperty(cause, "syscall") && cause.syscall === "connect"
  return reasonOf(cause, { operation: isOpening ? "open" : "read", what })
}
