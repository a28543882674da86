/**
 * Descriptors of this process as the halves of a connection, one to read and one to write, and the wire of two halves. A
 * half may be absent.
 *
 * A descriptor may be a pipe, a socket, a terminal, a file or a device. Node's own streams move the bytes of the first
 * three; files and devices go through its thread pool, since no operating system can wait for them.
 */
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Tty from "node:tty"
import type { Port, Wire } from "../../Wire.ts"
import { write as writeToHandle, type Writer } from "../socket/handleWrite.ts"
import { SocketReading } from "../socket/socketReading.ts"

/** What is read from. `attach` comes first and once; without it `close` lets go all the same, and reports nothing. */
export interface ReadingHalf {
  /** As `Wire.lingers`. What is left in a file or typed at a terminal is for whoever comes next: nobody writes it to us. */
  readonly lingers: boolean
  /** `port` is told of input and its end, `released` when nothing is left of this half. Neither from inside. */
  readonly attach: (port: Port, released: () => void) => void
  readonly resume: () => void
  readonly suspend: () => void
  /** As `Wire.part`. */
  readonly part?: (() => void) | undefined
  /** Lets go, now and quietly. */
  readonly close: () => void
}

/** What is written to. */
export interface WritingHalf {
  readonly attach: (port: Port, released: () => void) => void
  /** As `Wire.write`. */
  readonly write: (chunks: ReadonlyArray<Uint8Array>, bytes: number) => boolean
  /** Shows whoever reads the end, where there is such a thing. */
  readonly end: () => void
  readonly close: () => void
}

/** The wire of a connection that reads from one half and writes to the other. */
export class HalvesWire implements Wire {
  readonly lingers: boolean
  readonly #reading: ReadingHalf
  readonly #writing: WritingHalf

  constructor(reading: ReadingHalf, writing: WritingHalf, port: Port) {
    this.lingers = reading.lingers
    this.#reading = reading
    this.#writing = writing
    let left = 2
    const released = () => {
      if (--left === 0) port.released()
    }
    reading.attach(port, released)
    // Where somebody else writes to us than reads from us, the one may be there without the other.
    writing.attach(reading instanceof AbsentReading ? port : { ...port, broken: port.refused }, released)
  }

  write(chunks: ReadonlyArray<Uint8Array>, bytes: number): boolean {
    return this.#writing.write(chunks, bytes)
  }

  end(): void {
    this.#writing.end()
  }

  reset(): void {
    this.release()
  }

  release(): void {
    this.#reading.close()
    this.#writing.close()
  }

  resume(): void {
    this.#reading.resume()
  }

  suspend(): void {
    this.#reading.suspend()
  }

  part(): void {
    this.#reading.part?.()
  }
}

/** In place of what is not there to read: its input ends at once. */
export class AbsentReading implements ReadingHalf {
  readonly lingers = false
  #port: Port | undefined = undefined
  #released: () => void = () => {}

  attach(port: Port, released: () => void): void {
    this.#port = port
    this.#released = released
  }

  resume(): void {
    queueMicrotask(() => this.#port?.end())
  }

  suspend(): void {}

  close(): void {
    queueMicrotask(this.#released)
  }
}

/** In place of what is not there to write: whoever makes a connection of it ends that direction first. */
export class AbsentWriting implements WritingHalf {
  #port: Port | undefined = undefined
  #released: () => void = () => {}

  attach(port: Port, released: () => void): void {
    this.#port = port
    this.#released = released
  }

  write(): boolean {
    throw new Error("there is nothing to write to")
  }

  end(): void {
    this.#port?.finished()
  }

  close(): void {
    queueMicrotask(this.#released)
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Descriptors
// ---------------------------------------------------------------------------------------------------------------------

/** What is behind a descriptor. `file` has devices too, such as the null device. */
export type DescriptorKind = "pipe" | "socket" | "terminal" | "file"

/** Nothing for what `describeKind` describes; throws where nothing is open. */
export const kindOf = (fd: number): DescriptorKind | undefined => {
  const stats = Fs.fstatSync(fd)
  if (stats.isFIFO()) return "pipe"
  if (stats.isSocket()) return "socket"
  if (Tty.isatty(fd)) return "terminal"
  return stats.isFile() || stats.isCharacterDevice() || stats.isBlockDevice() ? "file" : undefined
}

/** What cannot be read and written as a stream of bytes, in words. */
export const describeKind = (fd: number): string => {
  if (Fs.fstatSync(fd).isDirectory()) return "a folder"
  try {
    // Such as anon_inode:[eventpoll], where it says it.
    return Fs.readlinkSync(`/proc/self/fd/${fd}`).replace(/^anon_inode:\[?(.*?)\]?$/, "$1")
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause
    return "what is no stream of bytes"
  }
}

/** Whether two descriptors are one socket, as a server that starts programs for its clients hands it to them. */
export const isSameSocket = (fd: number, other: number): boolean => {
  const [one, two] = [Fs.fstatSync(fd), Fs.fstatSync(other)]
  return one.isSocket() && one.dev === two.dev && one.ino === two.ino
}

/** Runs when a half has ended with its descriptor, which Node may have closed; then the number may be another's at once. */
export type LetGo = (isLeftOpen: boolean) => void

/** The descriptor as a half to read. It throws where Node cannot have it. */
export const openReading = (fd: number, kind: DescriptorKind, letGo: LetGo): ReadingHalf =>
  kind === "file"
    ? new FileReading(fd, letGo)
    : kind === "terminal"
    ? new StreamReading(notingEnd(fd, new Tty.ReadStream(fd, readOnly), letGo), fd, false)
    : new StreamReading(openSocket(fd, readOnly, letGo), fd, true)

/**
 * Undoes `openReading` of a half that was never attached: its descriptor stays open, and may be opened again. Where Node has
 * only one way to part with it, which is to close it, the handle stays with Node instead, unused, until the process ends.
 */
export const undoReading = (half: ReadingHalf): void => {
  if (half instanceof StreamReading) half.forsake()
  else half.close()
}

/** The descriptor as a half to write; as `openReading`. */
export const openWriting = (fd: number, kind: DescriptorKind, letGo: LetGo): WritingHalf =>
  kind === "file"
    ? new FileWriting(fd, letGo)
    : new StreamWriting(
      kind === "terminal" ? notingEnd(fd, openTerminal(fd), letGo) : openSocket(fd, writeOnly, letGo)
    )

const readOnly = { readable: true, writable: false }
const writeOnly = { readable: false, writable: true }

/** A pipe or socket that is open already, half-open and not read yet. */
export const openSocket = (
  fd: number,
  access: { readonly readable: boolean; readonly writable: boolean },
  letGo: LetGo
): Net.Socket => {
  const options: Net.SocketConstructorOpts & { readonly manualStart: true } = {
    fd,
    ...access,
    allowHalfOpen: true,
    // An option that the types leave out. As for Node's own stdin: what came before the wire is there would be lost.
    manualStart: true
  }
  const socket = new Net.Socket(options)
  const destroy = socket._destroy
  socket._destroy = (error, callback) => {
    // It is a state of what is behind the descriptor, and other programs that share it do not expect to be turned away.
    setBlocking(socket, true)
    destroy.call(socket, error, callback)
    letGo(isStandard(fd))
  }
  return socket
}

const openTerminal = (fd: number): Net.Socket => {
  const terminal = new Tty.WriteStream(fd)
  // Node makes it blocking, and a terminal that is stopped (Ctrl-S) would stop all of the program.
  setBlocking(terminal, false)
  return terminal
}

/** Node has no public way to it; where this one is missing, terminals block and pipes are left as they are. */
const setBlocking = (socket: Net.Socket, isBlocking: boolean): void => {
  handleOf(socket)?.setBlocking?.(isBlocking)
}

/** libuv opens a terminal anew, where it can, and leaves the descriptor that it was given. */
const notingEnd = (fd: number, terminal: Net.Socket, letGo: LetGo): Net.Socket => {
  const isLeftOpen = isStandard(fd) || isOpenedAnew(terminal, fd)
  return terminal.once("close", () => letGo(isLeftOpen))
}

const isOpenedAnew = (stream: Net.Socket, fd: number): boolean => (handleOf(stream)?.fd ?? fd) !== fd

/** 0 to 2 are there for as long as the process is: neither Node nor libuv closes them. */
export const isStandard = (fd: number): boolean => fd <= 2

const handleOf = (socket: Net.Socket) =>
  (socket as unknown as {
    readonly _handle?: {
      readonly fd?: number
      readonly setBlocking?: (isBlocking: boolean) => unknown
    } | null
  })._handle

// ---------------------------------------------------------------------------------------------------------------------
// Pipes, sockets and terminals
// ---------------------------------------------------------------------------------------------------------------------

class StreamReading implements ReadingHalf {
  readonly lingers: boolean
  readonly #stream: Net.Socket
  readonly #fd: number
  #reading: SocketReading | undefined = undefined

  constructor(stream: Net.Socket, fd: number, lingers: boolean) {
    this.lingers = lingers
    this.#stream = stream
    this.#fd = fd
  }

  attach(port: Port, released: () => void): void {
    const stream = this.#stream
    const end = () => {
      port.end()
      stream.destroy()
    }
    this.#reading = new SocketReading(stream, { ...port, end })
    stream.on("error", port.broken)
    stream.on("close", released)
  }

  resume(): void {
    this.#reading?.resume()
  }

  suspend(): void {
    this.#reading?.suspend()
  }

  part(): void {
    this.#reading?.part()
  }

  close(): void {
    this.#stream.destroy()
  }

  /** See `undoReading`. */
  forsake(): void {
    const stream = this.#stream
    if (isStandard(this.#fd) || isOpenedAnew(stream, this.#fd)) return this.close()
    setBlocking(stream, true)
    stream.unref()
  }
}

export class StreamWriting implements WritingHalf, Writer {
  readonly #stream: Net.Socket
  #port: Port | undefined = undefined
  #isEnded = false

  constructor(stream: Net.Socket) {
    this.#stream = stream
  }

  attach(port: Port, released: () => void): void {
    const stream = this.#stream
    this.#port = port
    stream.on("error", port.broken)
    stream.on("close", () => {
      if (this.#isEnded) port.finished()
      released()
    })
  }

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    return writeToHandle(this.#stream, chunks, this)
  }

  written(): void {
    this.#port?.drained()
  }

  /** The kernel has it all, and the end is that nobody has it open; a shutdown would end a socket for others, too. */
  end(): void {
    this.#isEnded = true
    this.#stream.destroy()
  }

  close(): void {
    this.#stream.destroy()
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Files and devices
// ---------------------------------------------------------------------------------------------------------------------

/** One read of a file takes no more than this: a chunk is to be worth its way, and to be bounded. */
const pieceBytes = 65_536

/** One call at a time. The thread pool gives none back, so a half that is let go meanwhile is released after it. */
class PoolCalls {
  readonly #letGo: LetGo
  #released: (() => void) | undefined = undefined
  #isClosed = false
  #isCalling = false

  constructor(letGo: LetGo) {
    this.#letGo = letGo
  }

  attach(released: () => void): void {
    this.#released = released
  }

  get isFree(): boolean {
    return !this.#isCalling && !this.#isClosed
  }

  begin(): void {
    this.#isCalling = true
  }

  /** The call is back. False when nobody wants its result any more. */
  end(): boolean {
    this.#isCalling = false
    if (this.#isClosed) this.#release()
    return !this.#isClosed
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    if (!this.#isCalling) queueMicrotask(() => this.#release())
  }

  #release(): void {
    this.#letGo(true)
    this.#released?.()
  }
}

class FileReading implements ReadingHalf {
  readonly lingers = false
  readonly #fd: number
  readonly #calls: PoolCalls
  #port: Port | undefined = undefined
  #flowing = false

  constructor(fd: number, letGo: LetGo) {
    this.#fd = fd
    this.#calls = new PoolCalls(letGo)
  }

  attach(port: Port, released: () => void): void {
    this.#port = port
    this.#calls.attach(released)
  }

  resume(): void {
    this.#flowing = true
    this.#read()
  }

  suspend(): void {
    this.#flowing = false
  }

  close(): void {
    this.#calls.close()
  }

  #read(): void {
    const port = this.#port
    if (port === undefined || !this.#flowing || !this.#calls.isFree) return
    // Never empty: to read nothing would look like the end.
    const buffer = new Uint8Array(Math.max(1, Math.min(port.room(), pieceBytes)))
    this.#calls.begin()
    Fs.read(this.#fd, buffer, 0, buffer.length, null, (error, bytes) => {
      if (!this.#calls.end()) return
      if (error) return port.broken(error)
      if (bytes === 0) return port.end()
      // The last piece of a file is not to pin the room for a whole one.
      port.data(bytes === buffer.length ? buffer : buffer.slice(0, bytes))
      this.#read()
    })
  }
}

class FileWriting implements WritingHalf {
  readonly #fd: number
  readonly #calls: PoolCalls
  #port: Port | undefined = undefined

  constructor(fd: number, letGo: LetGo) {
    this.#fd = fd
    this.#calls = new PoolCalls(letGo)
  }

  attach(port: Port, released: () => void): void {
    this.#port = port
    this.#calls.attach(released)
  }

  write(chunks: ReadonlyArray<Uint8Array>, bytes: number): boolean {
    this.#calls.begin()
    Fs.writev(this.#fd, chunks, (error, written) => {
      if (!this.#calls.end()) return
      if (error) return this.#port?.broken(error)
      if (written === bytes) return this.#port?.drained()
      // The device is full, or the file has reached its limit: to go on says which.
      this.write(after(chunks, written), bytes - written)
    })
    return false
  }

  end(): void {
    this.#port?.finished()
  }

  close(): void {
    this.#calls.close()
  }
}

/** The chunks without their first bytes. */
const after = (chunks: ReadonlyArray<Uint8Array>, bytes: number): ReadonlyArray<Uint8Array> => {
  const rest: Array<Uint8Array> = []
  let skip = bytes
  for (const chunk of chunks) {
    if (skip < chunk.length) rest.push(chunk.subarray(skip))
    skip = Math.max(0, skip - chunk.length)
  }
  return rest
}
