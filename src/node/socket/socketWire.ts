/**
 * A stream socket of `node:net`, TCP or Unix, as the wire of a transport.
 *
 * Three things here are not how Node's documentation would have one do it. Input is read into a buffer that all sockets
 * share, and what is not used up in the read callback is copied out of it. Where that cannot be, it is taken by overriding
 * the public `push`, because `data` events cost a tenth of the reading. And output goes past the stream to the handle.
 */
import type * as Net from "node:net"
import { markAsUntransferable } from "node:worker_threads"
import type { Port, Wire } from "../../Wire.ts"
import { write as writeToHandle, type Writer } from "./handleWrite.ts"
import { type ReadBuffers, readInto, use } from "./ownBuffer.ts"
import { ownCopy } from "./ownCopy.ts"

/** The most that one read brings. */
const readMax = 65_536

/** One for all: a read and whoever uses it up are over before the next read begins. */
const shared = new Uint8Array(readMax)
// Whoever is lent it could otherwise give it away, by `postMessage` for one, and the kernel would write into it there.
markAsUntransferable(shared.buffer)

let view = shared

/** The first bytes of `shared`. Messages are often as long as the one before. */
const sharedView = (bytes: number): Uint8Array => view.length === bytes ? view : view = shared.subarray(0, bytes)

/** The kernel fills it, so zeros would be in vain. */
const newBuffer = (): Uint8Array => new Uint8Array(Buffer.allocUnsafeSlow(readMax).buffer)

/** What the next read goes to, where it is not the last one's: from the end of a read callback until Node asks for it. */
let next: Uint8Array | undefined

/** The wire of a socket is a property of it, so that its listeners are functions that all sockets share. */
const wireOf = Symbol("effect-transport/SocketWire")

interface Wired extends Net.Socket {
  readonly [wireOf]: SocketWire
}

export class SocketWire implements Wire, Writer {
  /** The kernel resets a connection that is let go with input unread, and the peer may lose what we sent. */
  readonly lingers = true
  readonly #socket: Net.Socket
  readonly #port: Port
  #flowing = false
  readonly #hasOwnBuffer: boolean

  /** Takes over a connected socket that is paused and half-open. */
  constructor(socket: Net.Socket, port: Port) {
    this.#socket = socket
    this.#port = port
    const wired = socket as unknown as { [wireOf]: SocketWire; push: typeof SocketWire.push }
    wired[wireOf] = this
    wired.push = SocketWire.push
    this.#hasOwnBuffer = readInto(socket, SocketWire.buffers)
    socket.on("finish", port.finished)
    socket.on("error", port.broken)
    socket.on("close", port.released)
    // Once, or the end of input would never be noticed.
    socket.resume()
  }

  /** In place of the socket's own, which it calls at the end. */
  static push(this: Wired, chunk: Uint8Array | null): boolean {
    const wire = this[wireOf]
    if (chunk === null) {
      const { push } = Object.getPrototypeOf(this)
      push.call(this, null)
      wire.#port.end()
      return false
    }
    wire.#port.data(chunk)
    // False stops reading; `_read` starts it again.
    return wire.#flowing
  }

  static buffers: ReadBuffers = {
    first: shared,
    read(bytes, buffer) {
      const wire = (this as Wired)[wireOf]
      next = undefined
      next = wire.#onRead(bytes, buffer)
      return wire.#flowing
    },
    next: () => next
  }

  /**
   * Answers with another buffer, if the next read is to go there.
   *
   * Bulk that its reader keeps is read into buffers that the wire parts with, where it fills them: to copy it would cost
   * as much as to read it. What leaves room is copied: memory that nobody uses costs more, in collections, than the copy.
   */
  #onRead(bytes: number, buffer: Uint8Array): Uint8Array | undefined {
    const isOwn = buffer !== shared
    const chunk = bytes === readMax ? buffer : isOwn ? buffer.subarray(0, bytes) : sharedView(bytes)
    if (this.#port.lend(chunk, isOwn)) {
      // Whoever was lent it gave it away: it is gone, and nothing may be read into it any more.
      return buffer.length === 0 ? shared : undefined
    }
    if (isOwn && bytes * 8 >= readMax * 7) {
      this.#port.data(chunk)
      return newBuffer()
    }
    this.#port.data(ownCopy(chunk))
    if (isOwn) return bytes * 4 >= readMax ? undefined : shared
    return bytes === readMax ? newBuffer() : undefined
  }

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    return writeToHandle(this.#socket, chunks, this)
  }

  written(): void {
    this.#port.drained()
  }

  end(): void {
    this.#socket.end()
  }

  reset(): void {
    const socket = this.#socket
    // Only TCP knows a reset. While the end of our direction is on its way libuv refuses one, and Node would lose the
    // handle over it; all that we sent is with the kernel then.
    const isEnding = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0
    if (socket.destroyed || isEnding || !isTcp(socket)) socket.destroy()
    else socket.resetAndDestroy()
  }

  release(): void {
    this.#socket.destroy()
  }

  resume(): void {
    this.#flowing = true
    if (!this.#socket.destroyed) this.#socket._read(0)
  }

  suspend(): void {
    this.#flowing = false
  }

  part(): void {
    if (this.#hasOwnBuffer) use(this.#socket, newBuffer())
  }
}

/** A Unix socket has no remote port. */
export const isTcp = (socket: Net.Socket): boolean => socket.localPort !== undefined
