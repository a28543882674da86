/**
 * Bridges to Effect's own sockets: what asks for a `Socket`, a `SocketServer` or a `Stdio` (RPC, for one) runs over any
 * transport unchanged, and what is a `Socket` becomes a transport.
 *
 * A socket of Effect dials when its reader is acquired, and the scope of the reader owns the connection. Each end is an
 * error there: `SocketCloseError` with code 1000 is the peer's end, with 1006 our own. What broke a connection is a
 * `SocketReadError` or `SocketWriteError` whose `cause` is the `TransportError`.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as PlatformError from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Connection from "../Connection.ts"
import * as Endpoint from "../Endpoint.ts"
import type { Listener } from "../Listener.ts"
import { Network } from "../Network.ts"
import type * as Transport from "../Transport.ts"
import * as TransportError from "../TransportError.ts"
import * as Wire from "../Wire.ts"
import { bytesOf, type Connected, EffectWire } from "./effectWire.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Socket
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A socket over an open connection.
 *
 * **Details**
 *
 * The end of the reader's scope ends the connection: by success, an interruption or a `SocketError` it begins to close,
 * since this is how Effect's programs hang up; any other failure aborts. It waits for nothing: the scope that owns the
 * transport does. Afterwards writes fail, and so do the pulls of another reader, as there is nothing to dial again
 * (`makeSocket` can).
 *
 * The end of a writer's scope begins to half-close, where the transport can, behind the writes that wait; where it would
 * abort as the reader's does, it aborts, so that nobody takes what was written for all. Writes complete as those of the
 * transport.
 * A `CloseEvent` of code 1000 or less begins to close, any other aborts; pulls then fail with its code. There is no
 * upgrade to TLS. While somebody else holds the transport's reader, to acquire this one fails with a `SocketOpenError`
 * and harms nobody.
 *
 * **Example** (Handing a transport to a program that asks for a socket)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { EffectSocket, TestTransport } from "effect-transport"
 * import { Socket } from "effect/socket"
 *
 * const program = Effect.gen(function*() {
 *   const socket = yield* Socket.Socket
 *   const pull = yield* Socket.readerString(socket)
 *   const writer = yield* socket.writer
 *   yield* writer.write("hello")
 *   return yield* pull
 * })
 *
 * const script = [TestTransport.expect("hello"), TestTransport.send("welcome")]
 *
 * await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
 *   const transport = yield* TestTransport.connectScript(script)
 *   return yield* Effect.provideService(Effect.scoped(program), Socket.Socket, EffectSocket.toSocket(transport))
 * }))) // => ["welcome"]
 * ```
 *
 * @category converting
 * @since 0.1.0
 */
export const toSocket = (transport: Transport.Transport): Socket.Socket => {
  const line = new Line(transport)
  return Socket.make({
    reader: Effect.uninterruptible(
      Effect.tap(
        line.reader,
        () => Effect.flatMap(Effect.scope, (scope) => Scope.addFinalizerExit(scope, (exit) => line.hangUp(exit)))
      )
    ),
    writer: Effect.acquireRelease(Effect.succeed(line), (line, exit) => line.endOutput(exit))
  })
}

/**
 * A socket that dials with `connect` whenever its reader is acquired, so that a program can connect again.
 *
 * **Details**
 *
 * The connection is acquired in the reader's scope, and its own rules say how it ends and what that waits for; a scope
 * that ends by an interruption or with a `SocketError` counts as one that succeeded. All else is as with `toSocket`, but
 * writes made while there is no connection wait for the next one, as Effect's own do: before the program has written
 * anything to it. Each reader has a connection of its own, and writes go to that of the latest.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeSocket = <R>(
  connect: Effect.Effect<Transport.Transport, TransportError.TransportError, R>
): Effect.Effect<Socket.Socket, never, Exclude<R, Scope.Scope>> =>
  Effect.contextWith((context: Context.Context<Exclude<R, Scope.Scope>>) =>
    Effect.sync(() => {
      const connected = Latch.makeUnsafe(false)
      let current: Line | undefined
      const whenConnected = (write: (line: Line) => Effect.Effect<void, Socket.SocketError>) => {
        const attempt: Effect.Effect<void, Socket.SocketError> = Effect.suspend(() =>
          // It may be gone again when the one who waits has his turn.
          current === undefined ? Effect.andThen(connected.await, attempt) : write(current)
        )
        return attempt
      }
      const writer: Socket.Writer = {
        write: (chunk) => whenConnected((line) => line.write(chunk)),
        writeAll: (chunks) => whenConnected((line) => line.writeAll(chunks))
      }
      // The reader's scope comes before the one that made the socket.
      const dialled = Effect.updateContext(
        connect,
        (own: Context.Context<Scope.Scope>) => Context.merge(context, own) as Context.Context<R>
      )
      return Socket.make({
        reader: Effect.gen(function*() {
          const owner = yield* Effect.acquireRelease(Scope.make(), (owner, exit) => Scope.close(owner, endOf(exit)))
          const line = new Line(yield* Effect.mapError(Scope.provide(dialled, owner), openError))
          const reader = yield* line.reader
          yield* Effect.acquireRelease(
            Effect.sync(() => {
              current = line
              connected.openUnsafe()
            }),
            () =>
              Effect.sync(() => {
                line.ended ??= closeError(1006)
                if (current !== line) return
                current = undefined
                connected.closeUnsafe()
              })
          )
          return reader
        }),
        writer: Effect.acquireRelease(
          Effect.succeed(writer),
          (_, exit) => Effect.suspend(() => current?.endOutput(exit) ?? Effect.void)
        )
      })
    })
  )

/**
 * Provides a socket that connects to the endpoint over the `Network` at hand whenever its reader is acquired.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSocket = <const E extends Endpoint.Endpoint | string>(
  endpoint: Endpoint.Check<E>,
  options?: Transport.TransportOptions
): Layer.Layer<Socket.Socket, never, Network> =>
  Layer.effect(
    Socket.Socket,
    makeSocket(Effect.flatMap(
      Network,
      (network): Dialled => network.connect(endpoint as Endpoint.Endpoint | string, options)
    ))
  )

type Dialled = Effect.Effect<Transport.Transport, TransportError.TransportError, Scope.Scope>

/** One connection, as a socket shows it. */
class Line implements Socket.Writer {
  readonly #transport: Transport.Transport
  /** How it was ended here, where the error of the transport cannot say it. */
  ended: Socket.SocketError | undefined

  constructor(transport: Transport.Transport) {
    this.#transport = transport
  }

  /** The lease. It ends nothing. */
  get reader(): Effect.Effect<Socket.Reader, Socket.SocketError, Scope.Scope> {
    return Effect.map(Effect.mapError(this.#transport.reader, openError), (reader) => ({
      pull: Effect.mapError(reader.pull, (error) => this.#readError(error)),
      upgrade: Socket.SocketUpgradeError.unsupported
    }))
  }

  readonly write = (chunk: Uint8Array | string | Socket.CloseEvent): Effect.Effect<void, Socket.SocketError> =>
    Socket.isCloseEvent(chunk)
      ? this.#close(chunk)
      : Effect.mapError(this.#transport.write(bytesOf(chunk)), writeError)

  readonly writeAll = (chunks: ReadonlyArray<Uint8Array | string>): Effect.Effect<void, Socket.SocketError> =>
    Effect.mapError(this.#transport.writeAll(chunks.map(bytesOf)), writeError)

  /**
   * The end of a writer's scope. Begins to half-close, and does not wait for it: a finalizer must not wait for a peer that
   * reads nothing. What a failure has cut short must not look whole.
   */
  endOutput(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const transport: Transport.Transport = this.#transport
      const end = endOf(exit)
      if (Exit.isFailure(end)) return transport.abortWith(end.cause)
      if (!Connection.isHalfCloseable(transport)) return Effect.void
      // Where it fails the connection has ended, and the reader says why.
      return begin(Effect.ignore(transport.halfClose))
    })
  }

  /** The end of the reader's scope. */
  hangUp(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.ended ??= closeError(1006)
      const end = endOf(exit)
      return Exit.isSuccess(end) ? this.#beginClose : this.#transport.abortWith(end.cause)
    })
  }

  #close(event: Socket.CloseEvent): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.ended ??= closeError(event.code, event.reason)
      return event.code > 1000 ? this.#transport.abortWith(Cause.fail(this.ended)) : this.#beginClose
    })
  }

  get #beginClose(): Effect.Effect<void> {
    return begin(
      Effect.catch(
        this.#transport.close,
        (error) =>
          error.reason._tag === "Closed"
            ? Effect.void
            : Effect.logWarning(`a socket was closed: ${error.message}`, error)
      )
    )
  }

  #readError(error: TransportError.TransportError | Cause.Done): Socket.SocketError {
    if (Cause.isDone(error)) return closeError(1000)
    const { _tag } = error.reason
    // Behind the end of its scope a reader has no lease any more.
    if (_tag === "Closed" || (_tag === "Busy" && this.ended !== undefined)) return this.ended ?? closeError(1006)
    return new Socket.SocketError({ reason: new Socket.SocketReadError({ cause: error }) })
  }
}

const begin = (effect: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.asVoid(Effect.forkDetach(effect, { startImmediately: true }))

/** How Effect's programs end a conversation that went well: by success, by interruption, or with the socket's own end. */
const endOf = (exit: Exit.Exit<unknown, unknown>): Exit.Exit<void, unknown> =>
  Exit.isSuccess(exit) ||
    exit.cause.reasons.every((reason) =>
      Cause.isInterruptReason(reason) || (Cause.isFailReason(reason) && Socket.isSocketError(reason.error))
    )
    ? Exit.void
    : Exit.failCause(exit.cause)

const closeError = (code: number, closeReason?: string): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketCloseError({ code, closeReason }) })

const writeError = (cause: TransportError.TransportError): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketWriteError({ cause }) })

const openError = (cause: TransportError.TransportError): Socket.SocketError =>
  new Socket.SocketError({
    reason: new Socket.SocketOpenError({ kind: cause.reason._tag === "TimedOut" ? "Timeout" : "Unknown", cause })
  })

// ---------------------------------------------------------------------------------------------------------------------
// Transport
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What `fromSocket` may be told.
 *
 * @category models
 * @since 0.1.0
 */
export interface FromSocketOptions extends Transport.TransportOptions {
  /** What a socket does not tell. Default: number 1, and no addresses. */
  readonly info?: Partial<Omit<Transport.Info, "endpoint">> | undefined
  /** What a close at the end of the scope may wait for, and by which clock. Default `"wait"`. */
  readonly scopeExit?: Wire.ScopeExit | undefined
}

/**
 * Opens a socket of Effect and makes a transport of it.
 *
 * **Details**
 *
 * It acquires the socket's reader, and thereby dials. The endpoint only names the connection in errors and logs, and its
 * kind says whether it can half-close, which ends the scope of the socket's writer. What is written is copied, since a
 * socket may go on referring to it. `abort` writes a `CloseEvent` of code 4000 and lets go. The bound of reading is the
 * read mark plus one batch of the socket.
 *
 * Code 1000 is the end of input. A socket made of one of our transports gives back that transport's reason; with others
 * a code of Node is looked at, and an end with another close code is a `Reset`. `cause` has the socket's error.
 *
 * **Gotchas**
 *
 * It cannot be better than its socket. Effect's own over TCP (4.1) shows no reset, ends our direction with the peer's
 * unless it was made with `allowHalfOpen`, and succeeds with a write that the system has not taken; one over a WebSocket
 * takes whatever it is given, and cannot half-close.
 *
 * @category converting
 * @since 0.1.0
 */
export const fromSocket = <const E extends Endpoint.Endpoint | string>(
  socket: Socket.Socket,
  endpoint: Endpoint.Check<E>,
  options?: FromSocketOptions
): Effect.Effect<Transport.Of<E>, TransportError.TransportError, Scope.Scope> =>
  Effect.gen(function*() {
    const named = yield* Effect.mapError(
      Endpoint.from(endpoint as Endpoint.Endpoint | string),
      (reason) => TransportError.make("open", Endpoint.describe(endpoint), reason)
    )
    const name = Endpoint.format(named)
    const resolved = yield* Wire.resolveOptions(options, { operation: "open", endpoint: name })
    return yield* Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(acquireBoth(socket, name, restore), (connected) =>
        Wire.toTransport((port) =>
          new EffectWire(connected, port), {
          info: {
            id: options?.info?.id ?? 1,
            endpoint: named,
            local: options?.info?.local ?? Option.none(),
            peer: options?.info?.peer ?? Option.none()
          },
          options: resolved,
          scopeExit: options?.scopeExit ?? "wait",
          reasonOf
        }))
    )
  }) as Effect.Effect<Transport.Of<E>, TransportError.TransportError, Scope.Scope>

/** Acquires both sides. Where it fails or is interrupted, nothing is left of them. */
const acquireBoth = (
  socket: Socket.Socket,
  name: string,
  restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
): Effect.Effect<Connected, TransportError.TransportError> =>
  Effect.contextWith((context: Context.Context<never>) =>
    Effect.suspend(() => {
      const readerScope = Scope.makeUnsafe()
      const writerScope = Scope.makeUnsafe()
      const opening = Effect.gen(function*() {
        const reader = yield* restore(Scope.provide(socket.reader, readerScope))
        const writer = yield* Scope.provide(socket.writer, writerScope)
        return { reader, readerScope, writer, writerScope, context }
      })
      return opening.pipe(
        Effect.onError((cause) =>
          Effect.andThen(Scope.close(readerScope, Exit.failCause(cause)), Scope.close(writerScope, Exit.void))
        ),
        Effect.mapError((cause) => TransportError.make("open", name, reasonOf(cause), { cause }))
      )
    })
  )

const reasonOf = (error: unknown): TransportError.Reason => {
  if (!Socket.isSocketError(error)) return new TransportError.Failed()
  const { reason } = error
  if (reason._tag === "SocketCloseError") return new TransportError.Reset()
  if (reason._tag === "SocketUpgradeError") return new TransportError.Unsupported({ feature: "an upgrade to TLS" })
  const { cause } = reason
  if (cause instanceof TransportError.TransportError) return cause.reason
  if (reason._tag === "SocketOpenError" && reason.kind === "Timeout") {
    return new TransportError.TimedOut({ phase: "connect" })
  }
  switch (Predicate.hasProperty(cause, "code") ? cause.code : undefined) {
    case "ECONNRESET":
    case "EPIPE":
    case "ECONNABORTED":
    case "ERR_STREAM_PREMATURE_CLOSE":
      return new TransportError.Reset()
    case "ECONNREFUSED":
      return new TransportError.Refused()
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return new TransportError.Unreachable()
    case "ETIMEDOUT":
      return new TransportError.TimedOut({ phase: "connect" })
    case "EACCES":
    case "EPERM":
      return new TransportError.PermissionDenied()
    case "ENOENT":
      return new TransportError.NotFound({ what: "what the socket connects to" })
    default:
      return new TransportError.Failed()
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// SocketServer
// ---------------------------------------------------------------------------------------------------------------------

/**
 * How `toSocketServer` serves.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServeOptions {
  /** How many handlers may run at once. Default 1024; more connections wait in the backlog. */
  readonly connectionsMax?: number | undefined
  /** How long handlers may go on once `run` is interrupted. Default no time. */
  readonly drain?: Duration.Input | undefined
}

/**
 * A socket server over a listener.
 *
 * **Details**
 *
 * `run` is the listener's `serve`: each connection has a scope, handlers are bounded and drained, and one that fails is
 * logged and harms no other; to fail with the `SocketCloseError` of an end is to succeed. It runs once: when it ends, the listener is closed, where Effect's own goes on listening.
 * The address of a listener that has none, as that of memory, is its endpoint in place of a path.
 *
 * @category converting
 * @since 0.1.0
 */
export const toSocketServer = (listener: Listener, options?: ServeOptions): SocketServer.SocketServer["Service"] =>
  SocketServer.SocketServer.of({
    address: addressOf(listener.endpoint),
    run: <R, E, _>(handler: (socket: Socket.Socket) => Effect.Effect<_, E, R>) =>
      Effect.mapError(
        listener.serve(
          (transport) => Effect.catchIf(handler(toSocket(transport)), isEnd, () => Effect.void),
          options
        ),
        (cause) => new SocketServer.SocketServerError({ reason: new SocketServer.SocketServerUnknownError({ cause }) })
      ) as Effect.Effect<never, SocketServer.SocketServerError, R>
  })

/** Every end of a socket is an error, also a good one. */
const isEnd = (error: unknown): boolean => Socket.isSocketError(error) && error.reason._tag === "SocketCloseError"

/**
 * Listens at the endpoint over the `Network` at hand and provides the socket server.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSocketServer = <const E extends Endpoint.Endpoint | string>(
  endpoint: Endpoint.Check<E>,
  options?: Transport.TransportOptions & ServeOptions
): Layer.Layer<SocketServer.SocketServer, SocketServer.SocketServerError, Network> =>
  Layer.effect(
    SocketServer.SocketServer,
    Effect.mapBoth(
      Effect.flatMap(
        Network,
        (network): Effect.Effect<Listener, TransportError.TransportError, Scope.Scope> =>
          network.listen(endpoint as Endpoint.Endpoint | string, options)
      ),
      {
        onSuccess: (listener) => toSocketServer(listener, options),
        onFailure: (cause) =>
          new SocketServer.SocketServerError({ reason: new SocketServer.SocketServerOpenError({ cause }) })
      }
    )
  )

const addressOf = (endpoint: Endpoint.Endpoint): NetAddress.SocketAddress => {
  if (endpoint._tag === "unix") return NetAddress.unixPathAddress(`${endpoint.abstract ? "\0" : ""}${endpoint.path}`)
  const inPlace = () => NetAddress.unixPathAddress(Endpoint.format(endpoint))
  return endpoint._tag === "tcp" || endpoint._tag === "tls"
    ? Result.getOrElse(NetAddress.inetAddressFromHostString(endpoint.host, endpoint.port), inPlace)
    : inPlace()
}

// ---------------------------------------------------------------------------------------------------------------------
// Stdio
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What a transport cannot give to `toStdio`.
 *
 * @category models
 * @since 0.1.0
 */
export interface StdioOptions {
  /** Default none. */
  readonly args?: ReadonlyArray<string> | undefined
  /** Where the error output goes. Default nowhere. */
  readonly stderr?: Stdio.Stdio["stderr"] | undefined
}

/**
 * Standard input and output over a transport.
 *
 * **Details**
 *
 * `stdin` holds the reader while it runs and ends with the peer's end. `stdout` suspends with the connection and keeps
 * it open at its end; with `endOnDone` it half-closes, or closes where the transport cannot. Neither is a terminal.
 * Failures are `PlatformError` with the `TransportError` as `cause`.
 *
 * @category converting
 * @since 0.1.0
 */
export const toStdio = (transport: Transport.Transport, options?: StdioOptions): Stdio.Stdio =>
  Stdio.make({
    args: Effect.succeed(options?.args ?? []),
    stdin: Stream.mapError(Connection.stream(transport), platformError("stdin")),
    stdout: (ending) =>
      Sink.mapInput(
        Sink.mapError(
          Connection.sink(transport, { endOnDone: ending?.endOnDone === true ? "halfClose" : "keep" }),
          platformError("stdout")
        ),
        bytesOf
      ),
    stderr: options?.stderr ?? (() => Sink.drain)
  })

/**
 * Connects to the endpoint over the `Network` at hand and provides it as standard input and output.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStdio = <const E extends Endpoint.Endpoint | string>(
  endpoint: Endpoint.Check<E>,
  options?: Transport.TransportOptions & StdioOptions
): Layer.Layer<Stdio.Stdio, TransportError.TransportError, Network> =>
  Layer.effect(
    Stdio.Stdio,
    Effect.map(
      Effect.flatMap(
        Network,
        (network): Dialled => network.connect(endpoint as Endpoint.Endpoint | string, options)
      ),
      (transport) => toStdio(transport, options)
    )
  )

const platformError = (method: string) => (cause: TransportError.TransportError): PlatformError.PlatformError =>
  PlatformError.systemError({ module: "Stdio", method, _tag: "Unknown", description: cause.message, cause })
