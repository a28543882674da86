/**
 * One direction of a connection: a FIFO of bytes with a bounded buffer at each end. Bytes are conserved: they can be cut,
 * joined and late, and what the receiver reads is a prefix of what the sender wrote.
 */
import type { Engine } from "../engine/engine.ts"
import { Lane, type Owner } from "../engine/lanes.ts"
import type { Carried, Path } from "./path.ts"
import { takeFrom } from "./pieces.ts"
import type { Socket } from "./socket.ts"

/** Something that is to happen where a place in the direction is reached. */
export interface Milestone {
  /** Before the byte at this place is sent. */
  readonly at: number
  readonly run: (direction: Direction) => void
}

export class Direction {
  readonly name: "c>s" | "s>c"
  readonly connection: number
  readonly sender: Socket
  readonly receiver: Socket
  readonly #engine: Engine
  readonly #path: Path
  readonly #back: Path
  readonly #forth: Carried
  readonly #acks: Carried

  // At the sender
  #queue: Array<Uint8Array> = []
  #queued = 0
  #sent = 0
  #credit: number
  #isEndQueued = false
  #isEndSent = false
  #isOver = false
  #stalls = 0
  #milestones: Array<Milestone> = []

  // At the receiver
  #arrived: Array<Uint8Array> = []
  arrivedBytes = 0
  #read = 0
  #unreturned = 0
  hasEnded = false

  constructor(options: {
    readonly engine: Engine
    readonly network: Owner
    readonly connection: number
    readonly name: "c>s" | "s>c"
    readonly sender: Socket
    readonly receiver: Socket
    readonly path: Path
    readonly back: Path
  }) {
    this.#engine = options.engine
    this.name = options.name
    this.connection = options.connection
    this.sender = options.sender
    this.receiver = options.receiver
    this.#path = options.path
    this.#back = options.back
    this.#forth = { lane: new Lane(options.network), arrivesNs: 0 }
    this.#acks = { lane: new Lane(options.network), arrivesNs: 0 }
    this.#credit = options.path.settings.receiveBufferBytes
  }

  // -------------------------------------------------------------------------------------------------------------------
  // The sender's side
  // -------------------------------------------------------------------------------------------------------------------

  /** How much more its system takes. */
  get room(): number {
    return Math.max(0, this.#path.settings.sendBufferBytes - this.#queued)
  }

  get queuedBytes(): number {
    return this.#queued
  }

  get sentBytes(): number {
    return this.#sent
  }

  get readBytes(): number {
    return this.#read
  }

  /** Takes bytes, which belong to it from now on; no more than there is room for. */
  take(chunk: Uint8Array): void {
    if (this.#isOver) return
    const from = this.#sent + this.#queued
    this.#queue.push(chunk)
    this.#queued += chunk.length
    this.#tell("write", this.sender, from, chunk)
    this.pump()
  }

  /** The end, behind all that was taken. */
  end(): void {
    if (this.#isEndQueued) return
    this.#isEndQueued = true
    this.pump()
  }

  /** A reset, at once; what was not sent is lost. */
  reset(): void {
    if (this.#isOver) return
    this.drop()
    this.#engine.recording.add("reset", this.sender.host.name, this.#told(this.#sent, this.#sent))
    this.carry(0, () => this.receiver.onReset())
  }

  /** Nothing goes out any more. */
  drop(): void {
    this.#isOver = true
    this.#queue = []
    this.#queued = 0
  }

  /** Carries something in the order of the bytes. */
  carry(bytes: number, run: () => void): void {
    this.#path.carry(bytes, this.#forth, run)
  }

  before(milestone: Milestone): void {
    this.#milestones.push(milestone)
    this.#milestones.sort((a, b) => a.at - b.at)
  }

  /** Nothing is sent until as many calls of `unstall`. */
  stall(): void {
    this.#stalls++
  }

  unstall(): void {
    this.#stalls--
    this.pump()
  }

  pump(): void {
    while (this.#queued > 0 && !this.#isOver && this.#stalls === 0) {
      const milestone = this.#milestones[0]
      if (milestone !== undefined && milestone.at <= this.#sent) {
        this.#milestones.shift()
        milestone.run(this)
        continue
      }
      const bytes = Math.min(
        this.#queued,
        this.#credit,
        this.#path.settings.segmentBytes,
        milestone === undefined ? Infinity : milestone.at - this.#sent
      )
      if (bytes <= 0) break
      const piece = takeFrom(this.#queue, bytes)
      const from = this.#sent
      this.#queued -= bytes
      this.#credit -= bytes
      this.#sent += bytes
      this.#tell("send", this.sender, from, piece)
      this.carry(bytes, () => this.#onArrival(piece, from))
    }
    if (this.#isOver || this.#stalls > 0) return
    if (this.#queued === 0 && this.#isEndQueued && !this.#isEndSent) {
      this.#isEndSent = true
      this.#engine.recording.add("fin", this.sender.host.name, this.#told(this.#sent, this.#sent))
      this.carry(0, () => this.#onEnd())
    }
    this.sender.onRoom()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // The receiver's side
  // -------------------------------------------------------------------------------------------------------------------

  #onArrival(piece: Uint8Array, from: number): void {
    const { receiver } = this
    if (receiver.isDeaf) return
    this.#tell("deliver", receiver, from, piece)
    if (receiver.isClosed) {
      // Nobody will read it: the sender has to know.
      receiver.refuse()
      return
    }
    this.#arrived.push(piece)
    this.arrivedBytes += piece.length
    receiver.onInput()
  }

  #onEnd(): void {
    if (this.receiver.isDeaf) return
    this.hasEnded = true
    this.receiver.onInput()
  }

  /** Some of what has arrived, for the receiver's program. */
  read(bytesMax: number): Uint8Array {
    const piece = takeFrom(this.#arrived, Math.min(bytesMax, this.arrivedBytes))
    const { length } = piece
    this.#tell("read", this.receiver, this.#read, piece)
    this.arrivedBytes -= length
    this.#read += length
    this.#unreturned += length
    // As TCP does, the window is told to have opened when it is half of all.
    if (this.#unreturned * 2 >= this.#path.settings.receiveBufferBytes) {
      const returned = this.#unreturned
      this.#unreturned = 0
      this.#back.carry(0, this.#acks, () => {
        this.#credit += returned
        this.pump()
      })
    }
    return piece
  }

  #tell(kind: "write" | "send" | "deliver" | "read", at: Socket, from: number, bytes: Uint8Array): void {
    const { recording } = this.#engine
    if (recording.isOff) recording.skip()
    else recording.add(kind, at.host.name, this.#told(from, from + bytes.length, bytes))
  }

  #told(from: number, to: number, bytes?: Uint8Array) {
    return { connection: this.connection, direction: this.name, from, to, bytes }
  }
}
