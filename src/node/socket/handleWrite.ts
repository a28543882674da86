/**
 * Writes to the handle of a socket, past its stream. The stream would queue, count, copy and defer for each write, which
 * costs a small one more than its system call, and the connection above has done all of it.
 *
 * The members that this needs are no public ones. The first write of a process goes through the stream, and shows whether
 * they are as they are needed; where a Node has them otherwise, all writes go through the stream.
 */
import type * as Net from "node:net"
import { getSystemErrorName } from "node:util"

/** Who is told. */
export interface Writer {
  /** What `write` did not take at once has left user space. Not called where the socket breaks: it emits that. */
  readonly written: () => void
}

/**
 * Writes the chunks in order. True when the kernel took all at once; else they stay untouched until `writer.written`. The
 * write before it must be over.
 */
export const write = (socket: Net.Socket, chunks: ReadonlyArray<Uint8Array>, writer: Writer): boolean => {
  const handle = (socket as unknown as { readonly _handle?: Handle | null })._handle
  // Its end is on the way.
  if (handle == null) return false
  if (makesRequest === undefined) return writeAndLearn(socket, handle, chunks, writer)
  if (!makesRequest || !isOfLibuv(handle)) return writeToStream(socket, chunks, writer)
  const result = chunks.length === 1 ? handle.writeBuffer(null, chunks[0]!) : handle.writev(null, chunks, true)
  if (result === 0) return true
  if (typeof result === "number") socket.destroy(writeError(result))
  else {
    result.oncomplete = completed
    result.socket = socket
    result.chunks = chunks
    result.writer = writer
  }
  return false
}

interface Handle {
  /** With a status, or, where it has to wait, the request that it makes for that. */
  readonly writeBuffer: (request: null, chunk: Uint8Array) => number | Request
  readonly writev: (request: null, chunks: ReadonlyArray<Uint8Array>, areAllBytes: true) => number | Request
}

interface Request {
  oncomplete?: typeof completed
  socket?: Net.Socket
  /** So that the memory lives as long as it is read from. */
  chunks?: ReadonlyArray<Uint8Array>
  writer?: Writer
}

/** Others, such as that of TLS, may complete within the call. */
const isOfLibuv = ({ constructor }: Handle): boolean => {
  const known = kinds.get(constructor)
  if (known !== undefined) return known
  const is = constructor.name === "TCP" || constructor.name === "Pipe" || constructor.name === "TTY"
  kinds.set(constructor, is)
  return is
}

/** To ask for a name takes twice as long as this. There are a handful of classes of handles. */
const kinds = new Map<Function, boolean>()

/** Whether handles make their requests. Those of older Nodes must be given one, of a class that has no public name. */
let makesRequest: boolean | undefined

function completed(this: Required<Request>, status: number): void {
  if (this.socket.destroyed) return
  if (status < 0) this.socket.destroy(writeError(status))
  else this.writer.written()
}

const writeToStream = (socket: Net.Socket, chunks: ReadonlyArray<Uint8Array>, writer: Writer): boolean => {
  let isTaken = false
  // Not `drain`, which comes only where the high-water mark was reached.
  const written = (error: Error | null | undefined) => {
    if (error == null && !isTaken) writer.written()
  }
  socket.cork()
  chunks.forEach((chunk, i) => socket.write(chunk, i === chunks.length - 1 ? written : undefined))
  socket.uncork()
  // Nothing is left here and nothing went wrong: the kernel took it at once.
  return isTaken = socket.writableLength === 0 && socket.errored === null
}

const writeAndLearn = (
  socket: Net.Socket,
  handle: { writeBuffer?: Handle["writeBuffer"] },
  chunks: ReadonlyArray<Uint8Array>,
  writer: Writer
): boolean => {
  const { writeBuffer } = handle
  if (writeBuffer !== undefined) {
    handle.writeBuffer = (request, chunk) => {
      makesRequest = request === null
      return writeBuffer.call(handle, request, chunk)
    }
  }
  try {
    return writeToStream(socket, chunks, writer)
  } finally {
    delete handle.writeBuffer
  }
}

/** As Node has it. */
const writeError = (errno: number): Error => {
  const code = getSystemErrorName(errno)
  return Object.assign(new Error(`write ${code}`), { errno, code, syscall: "write" })
}
