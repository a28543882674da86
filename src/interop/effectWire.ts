/**
 * A socket of Effect as the wire of a transport.
 *
 * What it adds to the socket: it stops pulling where nobody wants more, keeps the rest of a batch that came too late,
 * tells the end of input from a break, and copies what it writes, since a socket may go on referring to what it was given
 * after its write has succeeded.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import type { Port, Wire } from "../Wire.ts"

/** A socket that is connected, and the scopes that hold its two sides. */
export interface Connected {
  readonly reader: Socket.Reader
  readonly readerScope: Scope.Closeable
  readonly writer: Socket.Writer
  readonly writerScope: Scope.Closeable
  readonly context: Context.Context<never>
}

/**
 * How an abort is written: above 1000, so that sockets drop what they have, and in the range that a WebSocket leaves to
 * programs, since it refuses to send 1006.
 */
const abortCode = 4000

/** What is taken of the input of a socket that failed to write: sockets bound what they have by less. */
const lastBytesMax = 1_048_576

const utf8 = new TextEncoder()

/** WebSockets bring text, too. */
export const bytesOf = (chunk: Uint8Array | string): Uint8Array =>
  typeof chunk === "string" ? utf8.encode(chunk) : chunk

export class EffectWire implements Wire {
  /** A socket may reset the connection where it is let go with input unread, as Node's does. */
  readonly lingers = true
  readonly #connected: Connected
  readonly #port: Port
  readonly #run: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>

  // Reading
  #flowing = false
  #isPulling = false
  #pulling: Fiber.Fiber<void, Socket.SocketError> | undefined
  /** What one pull brought and nobody has taken. No other is begun before it is gone. */
  #arrived: Array<Uint8Array> = []
  #delivering = false
  /** How the input ended; `#arrived` comes before it. */
  #end: Cause.Cause<Socket.SocketError> | undefined
  #endTold = false

  /** A write failed. Nothing is pulled any more but what is at hand. */
  #broken: Cause.Cause<Socket.SocketError> | undefined
  #writing: Fiber.Fiber<void, Socket.SocketError> | undefined
  #isLetGo = false

  constructor(connected: Connected, port: Port) {
    this.#connected = connected
    this.#port = port
    this.#run = Effect.runForkWith(connected.context)
  }

  write(chunks: ReadonlyArray<Uint8Array>, bytes: number): boolean {
    const fiber = this.#run(this.#connected.writer.write(copyOf(chunks, bytes)))
    const done = (exit: Exit.Exit<void, Socket.SocketError>): boolean => {
      this.#writing = undefined
      if (this.#isLetGo) return false
      if (Exit.isSuccess(exit)) return true
      this.#broken = exit.cause
      // It may be this very pull that led here, and then goes on until it has delivered what it has.
      if (this.#isPulling) this.#pulling?.interruptUnsafe()
      else this.#break(exit.cause)
      return false
    }
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return done(exit)
    this.#writing = fiber
    fiber.addObserver((exit) => done(exit) && this.#port.drained())
    return false
  }

  end(): void {
    const ending = this.#run(Scope.close(this.#connected.writerScope, Exit.void))
    ending.addObserver(() => this.#port.finished())
  }

  reset(): void {
    // Not waited for: it may have to wait itself, and to let go is enough.
    const aborting = this.#run(Effect.ignore(this.#connected.writer.write(new Socket.CloseEvent(abortCode, "aborted"))))
    this.#letGo(aborting)
  }

  release(): void {
    this.#letGo(undefined)
  }

  resume(): void {
    this.#flowing = true
    this.#deliver()
    this.#pull()
  }

  suspend(): void {
    this.#flowing = false
  }

  #letGo(aborting: Fiber.Fiber<void> | undefined): void {
    this.#isLetGo = true
    this.#flowing = false
    this.#arrived = []
    const { readerScope, writerScope } = this.#connected
    const closing = this.#run(
      // The reader's first: it owns the connection, and the writer's would still show an end.
      Effect.andThen(Scope.close(readerScope, Exit.void), Scope.close(writerScope, Exit.void)).pipe(
        Effect.catchCause((cause) => Effect.logWarning("a socket of Effect was let go and failed", cause))
      )
    )
    this.#pulling?.interruptUnsafe()
    this.#writing?.interruptUnsafe()
    closing.addObserver(() => {
      aborting?.interruptUnsafe()
      queueMicrotask(() => this.#port.released())
    })
  }

  #wantsMore(): boolean {
    return this.#flowing && this.#arrived.length === 0 && this.#end === undefined &&
      this.#broken === undefined && !this.#isLetGo
  }

  /** One fiber for as long as input is wanted. */
  #pull(): void {
    if (this.#isPulling || !this.#wantsMore()) return
    this.#isPulling = true
    const fiber = this.#run(Effect.whileLoop({
      while: () => this.#wantsMore(),
      body: () => this.#connected.reader.pull,
      step: (chunks) => this.#onInput(chunks)
    }))
    this.#pulling = fiber
    if (this.#broken !== undefined) fiber.interruptUnsafe()
    fiber.addObserver((exit) => {
      this.#isPulling = false
      this.#pulling = undefined
      if (this.#isLetGo) return
      if (this.#broken !== undefined) return this.#break(this.#broken)
      if (Exit.isSuccess(exit)) return this.#pull()
      this.#end = exit.cause
      this.#deliver()
    })
  }

  /** What came before a break comes first: all that the socket has at hand, and no more than so much. */
  #break(cause: Cause.Cause<Socket.SocketError>): void {
    let bytes = 0
    const take = (chunk: Uint8Array) => {
      bytes += chunk.length
      this.#port.data(chunk)
    }
    for (const chunk of this.#arrived.splice(0)) take(chunk)
    while (this.#end === undefined && bytes < lastBytesMax && !this.#isLetGo) {
      const pulling = this.#run(this.#connected.reader.pull)
      const exit = pulling.pollUnsafe()
      if (exit === undefined) {
        pulling.interruptUnsafe()
        break
      }
      if (Exit.isSuccess(exit)) { for (const chunk of exit.value) take(bytesOf(chunk)) }
      else this.#end = exit.cause
    }
    if (this.#isLetGo) return
    if (this.#end !== undefined && isCleanEnd(Cause.squash(this.#end))) this.#port.end()
    this.#port.broken(Cause.squash(cause))
  }

  #onInput(chunks: ReadonlyArray<Uint8Array | string>): void {
    for (const chunk of chunks) {
      const bytes = bytesOf(chunk)
      if (bytes.length > 0) this.#arrived.push(bytes)
    }
    this.#deliver()
  }

  #deliver(): void {
    // Whoever is woken by a delivery may ask for the next one: the loop that is running sees to it.
    if (this.#delivering || this.#isLetGo) return
    this.#delivering = true
    while (this.#flowing && this.#arrived.length > 0) {
      const room = this.#port.room()
      if (room <= 0) break
      const chunk = this.#arrived[0]!
      if (chunk.length > room) this.#arrived[0] = chunk.subarray(room)
      else this.#arrived.shift()
      this.#port.data(chunk.length > room ? chunk.subarray(0, room) : chunk)
    }
    this.#delivering = false
    if (this.#end === undefined || this.#arrived.length > 0 || this.#endTold || this.#isLetGo) return
    this.#endTold = true
    const error = Cause.squash(this.#end)
    if (isCleanEnd(error)) this.#port.end()
    else this.#port.broken(error)
  }
}

/** In one piece and memory of its own. `slice` would not do: that of a `Buffer` copies nothing. */
const copyOf = (chunks: ReadonlyArray<Uint8Array>, bytes: number): Uint8Array => {
  const copy = new Uint8Array(bytes)
  let at = 0
  for (const chunk of chunks) {
    copy.set(chunk, at)
    at += chunk.length
  }
  return copy
}

/** Every end of a socket is an error; this one is that of a peer that had no more to say. */
const isCleanEnd = (error: unknown): boolean =>
  Socket.isSocketError(error) && error.reason._tag === "SocketCloseError" && error.reason.code === 1000

/** Present wherever JavaScript runs, and in no type library that this floor may see. */
declare const queueMicrotask: (run: () => void) => void
