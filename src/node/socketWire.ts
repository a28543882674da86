/**
 * A stream socket of `node:net`, TCP or Unix, as the wire of a transport.
 *
 * Two things here are not how Node's documentation would have one do it. Input is taken by overriding the public `push`,
 * because `data` events cost a tenth of the reading; and the socket's own high-water mark is next to nothing, because
 * its `drain` comes only where that mark was reached, and a waiter would otherwise wait for ever.
 */
import type * as Net from "node:net"
import type { Port, Wire } from "../Wire.ts"

export class SocketWire implements Wire {
  /** The kernel resets a connection that is let go with input unread, and the peer may lose what we sent. */
  readonly lingers = true
  readonly #socket: Net.Socket
  #flowing = false
  #writing = false

  /** Takes over a connected socket that is paused and half-open. */
  constructor(socket: Net.Socket, port: Port) {
    this.#socket = socket
    const push = socket.push
    socket.push = (chunk: Uint8Array | null) => {
      if (chunk === null) {
        push.call(socket, null)
        port.end()
        return false
      }
      port.data(chunk)
      // False stops reading; `_read` starts it again.
      return this.#flowing
    }
    socket.on("drain", () => {
      if (!this.#writing || socket.writableLength > 0) return
      this.#writing = false
      port.drained()
    })
    socket.on("finish", port.finished)
    socket.on("error", port.broken)
    socket.on("close", port.released)
    // Once, or the end of input would never be noticed.
    socket.resume()
  }

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    const socket = this.#socket
    if (chunks.length === 1) socket.write(chunks[0]!)
    else {
      socket.cork()
      for (const chunk of chunks) socket.write(chunk)
      socket.uncork()
    }
    // Nothing is left here and nothing went wrong: the kernel took it at once.
    this.#writing = socket.writableLength > 0 || socket.errored !== null
    return !this.#writing
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
}

/** A Unix socket has no remote port. */
export const isTcp = (socket: Net.Socket): boolean => socket.localPort !== undefined
