/**
 * A named pipe of a host, as POSIX has it: a FIFO of bytes that any number of programs write to and read from.
 *
 * To open one end waits for the other. Several writers share it, and what is written in one piece of up to 4096 bytes
 * stays in one piece; of several readers each byte goes to one. The end of input is that nobody has it open for writing
 * any more; a write when nobody reads is a broken pipe. There is no reset: what was written before an end is read.
 */
import type { Port, Wire } from "../../internal/duplex.ts"
import { takeFrom } from "../../internal/pieces.ts"
import type { Engine } from "../engine/engine.ts"
import { Lane, type Owner } from "../engine/lanes.ts"
import type { HostFile } from "./hosts.ts"
import { NativeError, type SocketHost } from "./socket.ts"

/** What Linux keeps in a pipe. */
const pipeBytes = 65_536

/** What POSIX calls PIPE_BUF, as Linux has it. */
const atomicBytes = 4096

/** Until whoever waits at the other end runs: as long as the way of a host to itself takes. */
const wakeNs = 10_000

/** A program that opens one end, and waits for another that opens the other. */
interface Opening {
  readonly mode: "read" | "write"
  readonly owner: Owner
  /** Called once, later. */
  readonly done: () => void
  end: PipeReader | PipeWriter | undefined
}

export class Pipe implements HostFile {
  readonly _tag = "fifo"
  readonly host: SocketHost
  readonly path: string
  readonly #engine: Engine
  readonly #lane: Lane
  readonly #back: Lane
  #opening: Array<Opening> = []
  #readers: Array<PipeReader> = []
  #writers: Array<PipeWriter> = []
  /** Writers with something to write, in the order of their turns. */
  #waiting: Array<PipeWriter> = []
  #arrived: Array<Uint8Array> = []
  arrivedBytes = 0
  /** Room that is free, as writers know it. */
  #room = pipeBytes
  #written = 0
  #read = 0
  /** Nobody writes, and the readers know. */
  hasEnded = false
  readonly #awaitingReader: Array<() => void> = []
  readonly #awaitingWriter: Array<() => void> = []
  /** How often it was emptied: what was under way before is gone. */
  #emptied = 0

  constructor(engine: Engine, network: Owner, host: SocketHost, path: string) {
    this.#engine = engine
    this.host = host
    this.path = path
    this.#lane = new Lane(network)
    this.#back = new Lane(network)
  }

  /** Opens the end to read as soon as somebody opens the other. What it answers closes it, or gives up. */
  openReader(owner: Owner, done: (reader: PipeReader) => void): () => void {
    const opening: Opening = { mode: "read", owner, done: () => done(opening.end as PipeReader), end: undefined }
    return this.#open(opening, this.#writers)
  }

  /** As `openReader`, for the end to write. */
  openWriter(owner: Owner, done: (writer: PipeWriter) => void): () => void {
    const opening: Opening = { mode: "write", owner, done: () => done(opening.end as PipeWriter), end: undefined }
    return this.#open(opening, this.#readers)
  }

  #open(opening: Opening, others: ReadonlyArray<PipeReader | PipeWriter>): () => void {
    const partners = this.#opening.filter(({ mode }) => mode !== opening.mode)
    this.#opening.push(opening)
    if (others.length === 0 && partners.length === 0) this.#tell("wait", `to ${opening.mode}`)
    else for (const each of [...partners, opening]) this.#admit(each)
    return () => {
      this.#opening = this.#opening.filter((other) => other !== opening)
      opening.end?.close()
    }
  }

  #admit(opening: Opening): void {
    const { mode, owner } = opening
    this.#opening = this.#opening.filter((other) => other !== opening)
    this.#tell("connect", `to ${mode}`)
    if (mode === "read") this.#readers.push(opening.end = new PipeReader(this.#engine, this, owner))
    else {
      this.hasEnded = false
      this.#writers.push(opening.end = new PipeWriter(this.#engine, this, owner))
    }
    this.#engine.post(new Lane(owner), opening.done)
    const awaiting = mode === "read" ? this.#awaitingReader : this.#awaitingWriter
    for (const run of awaiting.splice(0)) run()
  }

  /** The programs of its host are gone. What nobody has open is empty. */
  abandon(): void {
    this.#opening = []
    this.#readers = []
    this.#writers = []
    this.#waiting = []
    this.#empty()
  }

  /** Whoever reads is gone, though the host lives on. */
  loseReaders(): void {
    for (const reader of Array.from(this.#readers)) reader.lose()
  }

  /** The same for whoever writes. */
  loseWriters(): void {
    for (const writer of Array.from(this.#writers)) writer.lose()
  }

  /** Runs as soon as somebody reads. */
  whenRead(run: () => void): void {
    if (this.#readers.length > 0) run()
    else this.#awaitingReader.push(run)
  }

  /** Runs as soon as somebody writes. */
  whenWritten(run: () => void): void {
    if (this.#writers.length > 0) run()
    else this.#awaitingWriter.push(run)
  }

  // Writing

  get hasReaders(): boolean {
    return this.#readers.length > 0
  }

  /** This writer has something to write. */
  await(writer: PipeWriter): void {
    if (!this.#waiting.includes(writer)) this.#waiting.push(writer)
    this.#fill()
  }

  #fill(): void {
    // Once round is enough: whoever cannot go on waits for room.
    for (let turns = this.#waiting.length; turns > 0 && this.#room > 0; turns--) {
      const writer = this.#waiting.shift()!
      while (writer.hasPending && this.#room > 0 && (!writer.isAtomic || writer.pendingBytes <= this.#room)) {
        const piece = writer.take(this.#room)
        this.#room -= piece.length
        this.#tell("write", "", this.#written, piece)
        this.#written += piece.length
        this.#later(this.#lane, () => this.#onArrival(piece))
      }
      if (writer.hasPending) this.#waiting.push(writer)
    }
  }

  #onArrival(piece: Uint8Array): void {
    this.#tell("deliver", "", this.#read + this.arrivedBytes, piece)
    this.#arrived.push(piece)
    this.arrivedBytes += piece.length
    this.#wakeReaders()
  }

  #wakeReaders(): void {
    for (const reader of Array.from(this.#readers)) reader.onInput()
  }

  closeWriter(writer: PipeWriter): void {
    this.#writers = this.#writers.filter((other) => other !== writer)
    this.#waiting = this.#waiting.filter((other) => other !== writer)
    this.#tell("close", "to write")
    if (this.#writers.length > 0) return
    if (this.#readers.length === 0) return this.#empty()
    this.#later(this.#lane, () => {
      if (this.#writers.length > 0) return
      this.hasEnded = true
      this.#tell("fin", "")
      this.#wakeReaders()
    })
  }

  // Reading

  read(bytesMax: number): Uint8Array {
    const piece = takeFrom(this.#arrived, Math.min(bytesMax, this.arrivedBytes))
    const { length } = piece
    this.#tell("read", "", this.#read, piece)
    this.arrivedBytes -= length
    this.#read += length
    this.#later(this.#back, () => {
      this.#room += length
      this.#fill()
    })
    return piece
  }

  closeReader(reader: PipeReader): void {
    this.#readers = this.#readers.filter((other) => other !== reader)
    this.#tell("close", "to read")
    if (this.#readers.length > 0) return
    if (this.#writers.length === 0) return this.#empty()
    // Whoever waits for room will never have it; who does not write learns it when it does.
    this.#later(this.#back, () => {
      if (this.#readers.length > 0) return
      for (const writer of this.#waiting.splice(0)) writer.onBroken()
    })
  }

  #empty(): void {
    this.#emptied++
    this.#arrived = []
    this.arrivedBytes = 0
    this.#room = pipeBytes
    this.#read = this.#written
    this.hasEnded = false
  }

  #later(lane: Lane, run: () => void): void {
    const emptied = this.#emptied
    const runUnlessEmptied = () => {
      if (this.#emptied === emptied) run()
    }
    this.#engine.at(this.#engine.nowNs + wakeNs, lane.owner, runUnlessEmptied, lane)
  }

  #tell(
    kind: "wait" | "connect" | "write" | "deliver" | "read" | "fin" | "close",
    note: string,
    from = 0,
    bytes?: Uint8Array
  ): void {
    this.#engine.recording.add(kind, this.host.name, {
      from,
      to: from + (bytes?.length ?? 0),
      bytes,
      note: `fifo ${this.path}${note === "" ? "" : ` ${note}`}`
    })
  }
}

/** One that reads. */
export class PipeReader {
  readonly #pipe: Pipe
  readonly #engine: Engine
  readonly #owner: Owner
  readonly #lane: Lane
  #port: Port | undefined = undefined
  #isFlowing = false
  #isDelivering = false
  #isOver = false
  /** Taken from a program, which may not have it yet. */
  #isLost = false

  constructor(engine: Engine, pipe: Pipe, owner: Owner) {
    this.#engine = engine
    this.#pipe = pipe
    this.#owner = owner
    this.#lane = new Lane(owner)
  }

  attach(port: Port): void {
    this.#port = port
    if (this.#isLost) this.#engine.post(this.#lane, () => port.broken(takenAway()))
  }

  resume(): void {
    this.#isFlowing = true
    if (this.#hasNews) this.#engine.post(this.#lane, () => this.#deliver())
  }

  suspend(): void {
    this.#isFlowing = false
  }

  close(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#isFlowing = false
    this.#pipe.closeReader(this)
  }

  /** It is taken from the program that has it. */
  lose(): void {
    this.close()
    this.#isLost = true
    this.#now(() => this.#port?.broken(takenAway()))
  }

  onInput(): void {
    if (this.#isFlowing) this.#now(() => this.#deliver())
  }

  get #hasNews(): boolean {
    return this.#pipe.arrivedBytes > 0 || this.#pipe.hasEnded
  }

  #deliver(): void {
    const port = this.#port
    const pipe = this.#pipe
    if (port === undefined || this.#isDelivering) return
    this.#isDelivering = true
    while (this.#isFlowing && pipe.arrivedBytes > 0) {
      const room = port.room()
      if (room === 0) break
      port.data(pipe.read(room))
    }
    this.#isDelivering = false
    if (this.#isFlowing && pipe.arrivedBytes === 0 && pipe.hasEnded) {
      // The program reads no more, so a writer that comes later is not its.
      this.close()
      port.end()
    }
  }

  #now(run: () => void): void {
    if (this.#owner.state === "running") run()
    else this.#engine.post(this.#lane, run)
  }
}

/** One that writes. */
export class PipeWriter {
  readonly #pipe: Pipe
  readonly #engine: Engine
  readonly #lane: Lane
  #port: Port | undefined = undefined
  #pending: Array<Uint8Array> = []
  pendingBytes = 0
  /** What it writes is to stay in one piece. */
  isAtomic = false
  #isOver = false
  /** Taken from a program, which may not have it yet. */
  #isLost = false
  #isWriting = false

  constructor(engine: Engine, pipe: Pipe, owner: Owner) {
    this.#engine = engine
    this.#pipe = pipe
    this.#lane = new Lane(owner)
  }

  attach(port: Port): void {
    this.#port = port
    if (this.#isLost) this.#engine.post(this.#lane, () => port.broken(takenAway()))
  }

  get hasPending(): boolean {
    return this.pendingBytes > 0
  }

  write(chunks: ReadonlyArray<Uint8Array>, bytes: number): boolean {
    if (!this.#pipe.hasReaders) {
      this.#port!.refused(new NativeError("EPIPE", "nobody reads the pipe"))
      return false
    }
    this.#pending = chunks.filter((chunk) => chunk.length > 0)
    this.pendingBytes = bytes
    this.isAtomic = bytes <= atomicBytes
    this.#isWriting = true
    this.#pipe.await(this)
    this.#isWriting = false
    return !this.hasPending
  }

  /** Some of it, for the pipe. */
  take(bytesMax: number): Uint8Array {
    const chunk = this.#pending[0]!
    const piece = chunk.slice(0, bytesMax)
    if (piece.length === chunk.length) this.#pending.shift()
    else this.#pending[0] = chunk.subarray(piece.length)
    this.pendingBytes -= piece.length
    if (!this.hasPending && !this.#isWriting) this.#engine.post(this.#lane, () => this.#port?.drained())
    return piece
  }

  onBroken(): void {
    const broken = new NativeError("EPIPE", "nobody reads the pipe any more")
    this.#engine.post(this.#lane, () => this.#port?.refused(broken))
  }

  /** It is taken from the program that has it. */
  lose(): void {
    this.close()
    this.#isLost = true
    this.#engine.post(this.#lane, () => this.#port?.broken(takenAway()))
  }

  close(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#pending = []
    this.pendingBytes = 0
    this.#pipe.closeWriter(this)
  }
}

const takenAway = () => new NativeError("ENODEV", "the pipe was taken away")

/** The wire of a pipe to read, a pipe to write, or both. */
export class PipesWire implements Wire {
  readonly lingers: boolean
  readonly #engine: Engine
  readonly #lane: Lane
  readonly #reader: PipeReader | undefined
  readonly #writer: PipeWriter | undefined
  readonly #port: Port

  constructor(
    engine: Engine,
    owner: Owner,
    ends: { readonly reader: PipeReader | undefined; readonly writer: PipeWriter | undefined },
    port: Port
  ) {
    this.#engine = engine
    this.#lane = new Lane(owner)
    this.#reader = ends.reader
    this.#writer = ends.writer
    this.#port = port
    this.lingers = ends.reader !== undefined
    ends.reader?.attach(port)
    // What is only written has no input that could go on.
    ends.writer?.attach(ends.reader === undefined ? { ...port, refused: port.broken } : port)
  }

  write(chunks: ReadonlyArray<Uint8Array>, bytes: number): boolean {
    if (this.#writer === undefined) throw new NativeError("EBADF", "there is no pipe to write to")
    return this.#writer.write(chunks, bytes)
  }

  end(): void {
    this.#writer?.close()
    this.#port.finished()
  }

  reset(): void {
    this.release()
  }

  release(): void {
    this.#reader?.close()
    this.#writer?.close()
    this.#engine.post(this.#lane, () => this.#port.released())
  }

  resume(): void {
    if (this.#reader !== undefined) this.#reader.resume()
    else this.#engine.post(this.#lane, () => this.#port.end())
  }

  suspend(): void {
    this.#reader?.suspend()
  }
}
