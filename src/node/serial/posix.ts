/**
 * Serial ports of POSIX: the bindings of `serialport` for speed, lines, drain and flush, and a terminal stream of Node on
 * the same device for the bytes.
 *
 * Through the bindings, a write that waits stops reading, and an unplug that nobody reads is not seen until it costs a
 * whole processor; through the stream neither happens. Three descriptors are open: one that has the lock, one of the
 * bindings, and one of the stream.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import * as Events from "node:events"
import * as Fs from "node:fs"
import * as Tty from "node:tty"
import { promisify } from "node:util"
import * as Endpoint from "../../Endpoint.ts"
import type { Device } from "../../SerialBinding.ts"
import * as TransportError from "../../TransportError.ts"
import type { Port, Wire } from "../../Wire.ts"
import { SocketWire } from "../socket/socketWire.ts"
import { call, drainOf, Drains, type Identity, linesOf, setBaudRateOf } from "./control.ts"
import {
  checkSupported,
  closeNative,
  loaded,
  nativeOptionsOf,
  type NativePort,
  notASerialPort,
  onHangUp,
  openingReasonOf,
  standingReasonOf
} from "./native.ts"
import { once, openByPromise } from "./opening.ts"

/** Opens a device of this machine. */
export const openPosix = Effect.fnUntraced(function*(
  endpoint: Endpoint.SerialEndpoint
): Effect.fn.Return<Device, TransportError.TransportError, Scope.Scope> {
  const { path } = endpoint
  const identity: Identity = { name: Endpoint.format(endpoint), path }
  yield* checkSupported(endpoint, identity.name)
  const binding = yield* loaded(identity.name)
  const fail = (reason: TransportError.Reason, cause?: unknown) =>
    TransportError.make("open", identity.name, reason, { cause })
  const failed = (cause: unknown) => fail(openingReasonOf(cause, path), cause)

  // First without changing anything: somebody else may have it, and must not notice.
  const guard = yield* openByPromise(() => openFd(path, deviceFlags).then(guardOf), failed, (guard) => guard.close())
  if (!Tty.isatty(guard.fd)) return yield* fail(notASerialPort(path))
  const lock = yield* lockBy(guard.fd)
  if (lock === "taken") return yield* fail(new TransportError.Busy({ what: "device" }))

  const control = yield* openByPromise(
    () => binding.open(nativeOptionsOf(endpoint, lock === "unknown")).then((native) => new Control(native)),
    failed,
    (control) => control.close()
  )
  const bytes = yield* openByPromise(
    () => openFd(path, deviceFlags).then((fd) => new Bytes(streamOn(fd))),
    failed,
    (bytes) => bytes.close()
  )
  return deviceOf(identity, guard, control, bytes)
})

const deviceOf = (identity: Identity, guard: Guard, control: Control, bytes: Bytes): Device => {
  const { native } = control
  const drains = new Drains(native)
  const close = () => bytes.close().then(() => control.close()).then(() => guard.close())
  return {
    wire: (port) => bytes.wire = new PosixWire(bytes.stream, control, drains, port, close),
    reasonOf: (cause) => standingReasonOf(cause, identity.path),
    scopeExit: "wait",
    drain: drainOf(drains, identity),
    discard: (direction) =>
      call(identity, `flushing ${direction}`, () => {
        if (direction === "output") bytes.wire?.rescue(takePending(native))
        else bytes.wire?.forget()
        if (direction !== "input") return native.flush()
        takePending(native)
        return Promise.resolve()
      }),
    setBaudRate: (baudRate) =>
      Effect.suspend(() => {
        // The bindings discard what has arrived.
        bytes.wire?.rescue(takePending(native))
        return setBaudRateOf(native, identity)(baudRate)
      }),
    ...linesOf(native, identity)
  }
}

const openFd = promisify<string, number, number>((path, flags, done) => Fs.open(path, flags, done))
const closeFd = promisify<number, void>((fd, done) => Fs.close(fd, (error) => done(error)))

/** It becomes nobody's controlling terminal, and does not wait for a carrier. */
const deviceFlags = Fs.constants.O_RDWR | Fs.constants.O_NOCTTY | Fs.constants.O_NONBLOCK

/**
 * Locks by the program of util-linux, whose lock belongs to the descriptor that it is given and stays with it. The bindings
 * lock after they have changed the settings, under the hands of whoever has the lock. Where there is no such program, they
 * have to do.
 */
const lockBy = (fd: number): Effect.Effect<"ours" | "taken" | "unknown"> =>
  Effect.callback((resume) => {
    const child = ChildProcess.spawn("flock", ["-n", "3"], { stdio: ["ignore", "ignore", "ignore", fd] })
    const ended = Events.once(child, "exit").then(
      ([status]) => resume(Effect.succeed(status === 0 ? "ours" : status === 1 ? "taken" : "unknown")),
      () => resume(Effect.succeed("unknown"))
    )
    // As long as it lives it may have the lock.
    return Effect.promise(() => {
      child.kill("SIGKILL")
      return ended
    })
  })

/** What has the lock, as long as it is open. */
interface Guard {
  readonly fd: number
  readonly close: () => Promise<void>
}

const guardOf = (fd: number): Guard => ({ fd, close: once(() => closeFd(fd)) })

const ignore = (): void => {}

// ---------------------------------------------------------------------------------------------------------------------
// What the bindings have open
// ---------------------------------------------------------------------------------------------------------------------

/** One read of what is pending takes no more than this. */
const pieceBytes = 4096

/** A pseudoterminal may be written to as fast as it is read. */
const pendingMax = 1_048_576

class Control {
  readonly native: NativePort
  /** What has not been sent is not to be. */
  isAborted = false

  constructor(native: NativePort) {
    this.native = native
  }

  // After an abort a kernel that closes the device would otherwise wait until it is sent.
  readonly close = once(() =>
    (this.isAborted ? this.native.flush().catch(ignore) : Promise.resolve()).then(() => closeNative(this.native))
  )
}

/** Takes what has arrived and nobody has read, all of it within the turn, so that the stream reads nothing in between. */
const takePending = ({ fd }: NativePort): ReadonlyArray<Uint8Array> => {
  const pieces: Array<Uint8Array> = []
  if (fd === undefined || fd === null) return pieces
  for (let taken = 0; taken < pendingMax;) {
    const piece = new Uint8Array(pieceBytes)
    let bytes: number
    try {
      bytes = Fs.readSync(fd, piece)
    } catch (cause) {
      // There is no more, or the device is gone, which the stream will see.
      if (Predicate.hasProperty(cause, "code")) return pieces
      throw cause
    }
    if (bytes === 0) return pieces
    taken += bytes
    pieces.push(piece.subarray(0, bytes))
  }
  return pieces
}

// ---------------------------------------------------------------------------------------------------------------------
// The bytes
// ---------------------------------------------------------------------------------------------------------------------

class Bytes {
  readonly stream: Tty.ReadStream
  wire: PosixWire | undefined = undefined

  constructor(stream: Tty.ReadStream) {
    this.stream = stream
  }

  readonly close = once(() => {
    const closed = this.stream.closed ? Promise.resolve() : Events.once(this.stream, "close")
    this.stream.destroy()
    return closed
  })
}

/** Node opens the device once more by its name; the descriptor that it was given is of no use then. */
const streamOn = (fd: number): Tty.ReadStream => {
  const options: object = { readable: true, writable: true, allowHalfOpen: true }
  let stream: Tty.ReadStream
  try {
    stream = new Tty.ReadStream(fd, options)
  } catch (cause) {
    Fs.closeSync(fd)
    throw cause
  }
  const { _handle } = stream as unknown as { readonly _handle?: { readonly fd?: number } | null }
  if (_handle?.fd !== undefined && _handle.fd !== fd) Fs.closeSync(fd)
  // Until the wire listens, an error must not end the process.
  stream.on("error", ignore)
  stream.pause()
  return stream
}

class PosixWire implements Wire {
  /** Nobody waits for an end of ours. */
  readonly lingers = false
  readonly #stream: SocketWire
  readonly #control: Control
  readonly #drains: Drains
  readonly #port: Port
  readonly #close: () => Promise<void>
  #flowing = false
  #isOver = false
  /** Input that was read ahead of what would have discarded it. */
  #rescued: Array<Uint8Array> = []

  constructor(
    stream: Tty.ReadStream,
    control: Control,
    drains: Drains,
    port: Port,
    close: () => Promise<void>
  ) {
    this.#control = control
    this.#drains = drains
    this.#port = port
    this.#close = close
    const gone = (cause?: unknown) => {
      if (!this.#isOver) port.broken(cause)
    }
    this.#stream = new SocketWire(stream, {
      room: port.room,
      data: port.data,
      lend: port.lend,
      // A serial line has no end of input: the device was taken away.
      end: () => gone(),
      drained: port.drained,
      finished: ignore,
      broken: gone,
      refused: gone,
      released: () => gone()
    })
    // Also while nobody reads, when the stream would not see it.
    onHangUp(control.native, gone)
  }

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    return this.#stream.write(chunks)
  }

  /** All is with the kernel. It is at its end when all is on the line, too. */
  end(): void {
    this.#drains.ask((cause) => {
      if (cause === undefined) this.#port.finished()
      else this.#port.broken(cause)
    })
  }

  reset(): void {
    this.#control.isAborted = true
    this.release()
  }

  release(): void {
    this.#isOver = true
    this.#close().then(() => this.#port.released())
  }

  resume(): void {
    this.#flowing = true
    while (this.#flowing && this.#rescued.length > 0) this.#port.data(this.#rescued.shift()!)
    if (this.#flowing) this.#stream.resume()
  }

  suspend(): void {
    this.#flowing = false
    this.#stream.suspend()
  }

  part(): void {
    this.#stream.part()
  }

  rescue(chunks: ReadonlyArray<Uint8Array>): void {
    // All of it first: whoever is given a piece may end the connection.
    this.#rescued.push(...chunks)
    if (this.#flowing) this.resume()
  }

  forget(): void {
    this.#rescued = []
  }
}
