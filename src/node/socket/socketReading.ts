/**
 * Input of a socket, pipe or terminal of Node, for a connection.
 *
 * It is not read as Node's documentation would have it. Input comes into a buffer that all of them share, and what is not used
 * up in the read callback is copied out of it. Where that cannot be, it is taken by overriding the public `push`, because
 * `data` events cost a tenth of the reading.
 */
import type * as Net from "node:net"
import { markAsUntransferable } from "node:worker_threads"
import type { Port } from "../../Wire.ts"
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

/** The reading of a socket is a property of it, so that what Node calls are functions that all sockets share. */
const readingOf = Symbol("effect-transport/SocketReading")

interface Read extends Net.Socket {
  readonly [readingOf]: SocketReading
}

export class SocketReading {
  protected readonly socket: Net.Socket
  protected readonly port: Port
  readonly #hasOwnBuffer: boolean
  #flowing = false

  /** Takes over a socket that is not read yet. Nothing is, before `resume`. */
  constructor(socket: Net.Socket, port: Port) {
    this.socket = socket
    this.port = port
    const read = socket as unknown as { [readingOf]: SocketReading; push: typeof SocketReading.push }
    read[readingOf] = this
    read.push = SocketReading.push
    this.#hasOwnBuffer = readInto(socket, SocketReading.buffers)
  }

  /** In place of the socket's own, which it calls at the end. */
  static push(this: Read, chunk: Uint8Array | null): boolean {
    const reading = this[readingOf]
    if (chunk === null) {
      const { push } = Object.getPrototypeOf(this)
      push.call(this, null)
      reading.port.end()
      return false
    }
    reading.port.data(chunk)
    // False stops reading; `_read` starts it again.
    return reading.#flowing
  }

  static buffers: ReadBuffers = {
    first: shared,
    read(bytes, buffer) {
      const reading = (this as Read)[readingOf]
      next = undefined
      next = reading.#onRead(bytes, buffer)
      return reading.#flowing
    },
    next: () => next
  }

  /**
   * Answers with another buffer, if the next read is to go there.
   *
   * Bulk that its reader keeps is read into buffers that are parted with, where it fills them: to copy it would cost
   * as much as to read it. What leaves room is copied: memory that nobody uses costs more, in collections, than the copy.
   */
  #onRead(bytes: number, buffer: Uint8Array): Uint8Array | undefined {
    const isOwn = buffer !== shared
    const chunk = bytes === readMax ? buffer : isOwn ? buffer.subarray(0, bytes) : sharedView(bytes)
    if (this.port.lend(chunk, isOwn)) {
      // Whoever was lent it gave it away: it is gone, and nothing may be read into it any more.
      return buffer.length === 0 ? shared : undefined
    }
    if (isOwn && bytes * 8 >= readMax * 7) {
      this.port.data(chunk)
      return newBuffer()
    }
    this.port.data(ownCopy(chunk))
    if (isOwn) return bytes * 4 >= readMax ? undefined : shared
    return bytes === readMax ? newBuffer() : undefined
  }

  /** From now on input comes. */
  resume(): void {
    this.#flowing = true
    if (!this.socket.destroyed) this.socket._read(0)
  }

  /** From now on none comes. */
  suspend(): void {
    this.#flowing = false
  }

  /** As `Wire.part`. */
  part(): void {
    if (this.#hasOwnBuffer) use(this.socket, newBuffer())
  }
}
