/**
 * A stream socket of `node:net`, TCP or Unix, as the wire of a transport.
 */
import type * as Net from "node:net"
import type { Port, Wire } from "../../Wire.ts"
import { write, type Writer } from "./handleWrite.ts"
import { SocketReading } from "./socketReading.ts"

export class SocketWire extends SocketReading implements Wire, Writer {
  /** The kernel resets a connection that is let go with input unread, and the peer may lose what we sent. */
  readonly lingers = true

  /** Takes over a connected socket that is paused and half-open. */
  constructor(socket: Net.Socket, port: Port) {
    super(socket, port)
    socket.on("finish", port.finished)
    socket.on("error", port.broken)
    socket.on("close", port.released)
    // Once, or the end of input would never be noticed.
    socket.resume()
  }

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    return write(this.socket, chunks, this)
  }

  written(): void {
    this.port.drained()
  }

  end(): void {
    this.socket.end()
  }

  reset(): void {
    const socket = this.socket
    // Only TCP knows a reset. While the end of our direction is on its way libuv refuses one, and Node would lose the
    // handle over it; all that we sent is with the kernel then.
    const isEnding = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0
    if (socket.destroyed || isEnding || !isTcp(socket)) socket.destroy()
    else socket.resetAndDestroy()
  }

  release(): void {
    this.socket.destroy()
  }
}

/** A Unix socket has no remote port. */
export const isTcp = (socket: Net.Socket): boolean => socket.localPort !== undefined
