/**
 * One direction of a connection: a FIFO of bytes with a bounded buffer at each end. Bytes are conserved: they can be cut,
 * joined and late, and what the receiver reads is a prefix of what the sender wrote.
 */
import { takeFrom } from "../../internal/pieces.ts"
import type { Engine } from "../engine/engine.ts"
import { Lane, type Owner } from "../engine/lanes.ts"
import { type Carried, type Path, Shape } from "./path.ts"
import { NativeError, type Socket } from "./socket.ts"

/** Something that is to happen where a place in the direction is reached: before the byte there goes on. */
interface Milestone {
  readonly at: number
  /** Also where no byte follows: behind the one before. */
  readonly isBehind: boolean
  readonly run: () => void
}

/** What arrives: bytes, or something in their order. */
interface Arrival {
  readonly piece: Uint8Array | undefined
  readonly from: number
  readonly run: (() => void) | undefined
}

export class Direction {
  readonly name: "c>s" | "s>c"
  readonly connection: number
  readonly sender: Socket
  readonly receiver: Socket
  readonly #engine: Engine
  readonly #network: Owner
  readonly #path: Path
  readonly #back: Path
  readonly shape = new Shape()
  readonly #forth: Carried
  readonly #acks: Carried

  // At the sender
  #sendBufferBytes: number
  #queue: Array<Uint8Array> = []
  #queued = 0
  #sent = 0
  #credit: number
  #isEndQueued = false
  #isEndSent = false
  #isOver = false
  #isReset = false
  #stalls = 0
  #milestones: Array<Milestone> = []
  #takeMilestones: Array<Milestone> = []
  #trickle: { bytes: number; readonly everyNs: number } | undefined = undefined
  #severed: { readonly onSend: () => void; isTold: boolean } | undefined = undefined
  /** How much later the end goes, or `Infinity` where it is lost. */
  finExtraNs: (() => number) | undefined = undefined
  /** Hears that something is sent. */
  onSend: (() => void) | undefined = undefined

  // On the way
  #clogs = 0
  #held: Array<Arrival> = []
  #gathering:
    | { readonly at: number; readonly windowNs: number; windows: number; onFirst: (at: number) => void }
    | undefined = undefined
  #isGathering = false

  // At the receiver
  #receiveBufferBytes: number
  #arrived: Array<Uint8Array> = []
  arrivedBytes = 0
  /** All that ever arrived, read or not. */
  #arrivedTo = 0
  #readMilestones: Array<Milestone> = []
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
    this.#network = options.network
    this.name = options.name
    this.connection = options.connection
    this.sender = options.sender
    this.receiver = options.receiver
    this.#path = options.path
    this.#back = options.back
    this.#forth = {
      lane: new Lane(options.network),
      arrivesNs: 0,
      shape: this.shape,
      onLost: () => this.sender.break(new NativeError("ECONNRESET", "what was sent is lost"))
    }
    this.#acks = { lane: new Lane(options.network), arrivesNs: 0 }
    const { receiveBufferBytes, sendBufferBytes } = options.path.settings
    this.#sendBufferBytes = sendBufferBytes
    this.#credit = this.#receiveBufferBytes = receiveBufferBytes
  }

  /** Before anything is sent. */
  setBuffer(side: "send" | "receive", bytes: number): void {
    if (side === "send") this.#sendBufferBytes = bytes
    else this.#credit = this.#receiveBufferBytes = bytes
  }

  // -------------------------------------------------------------------------------------------------------------------
  // The sender's side
  // -------------------------------------------------------------------------------------------------------------------

  /** How much more its system takes. */
  get room(): number {
    return Math.max(0, this.#sendBufferBytes - this.#queued)
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

  /** A reset, at once; what was not sent is lost, and where it says so, what the receiver has not read. */
  reset(isLossy = false): void {
    if (this.#isReset) return
    this.#isReset = true
    this.drop()
    this.#engine.recording.add("reset", this.sender.host.name, this.#told(this.#sent, this.#sent))
    this.carry(() => {
      if (isLossy) this.#forget()
      this.receiver.onReset()
    })
  }

  /** Something on the way answers with a reset. */
  refused(): void {
    this.#back.carry(0, this.#acks, () => this.sender.onReset())
  }

  /** Nothing goes out any more. */
  drop(): void {
    this.#isOver = true
    this.#queue = []
    this.#queued = 0
  }

  /** Carries something in the order of the bytes. */
  carry(run: () => void): void {
    this.#send(0, { piece: undefined, from: this.#sent, run })
  }

  #send(bytes: number, arrival: Arrival): void {
    this.onSend?.()
    const severed = this.#severed
    if (severed === undefined) {
      this.#path.carry(bytes, this.#forth, () => this.#arrive(arrival))
    } else if (!severed.isTold) {
      severed.isTold = true
      severed.onSend()
    }
  }

  /** Runs before the byte at this place is sent; `isBehind`: at once when the one before it was. */
  before(at: number, run: () => void, isBehind = false): void {
    insert(this.#milestones, { at, isBehind, run })
  }

  /** Runs before the sender's system takes the byte at this place. */
  beforeTaking(at: number, run: () => void): void {
    insert(this.#takeMilestones, { at, isBehind: false, run })
  }

  /** Runs before the receiver's program reads the byte at this place. */
  beforeReading(at: number, run: () => void): void {
    insert(this.#readMilestones, { at, isBehind: false, run })
  }

  /** How much may be taken before something is to happen, which happens when that is nothing. */
  get takeMax(): number {
    return untilNext(this.#takeMilestones, this.#sent + this.#queued)
  }

  get readMax(): number {
    return untilNext(this.#readMilestones, this.#read)
  }

  /** So many bytes, one at a time. */
  trickle(bytes: number, everyNs: number): void {
    this.#trickle = { bytes, everyNs }
  }

  untrickle(): void {
    this.#trickle = undefined
  }

  /** What is sent from now on never arrives; `onSend` runs at the first of it. */
  sever(onSend: () => void): void {
    this.#severed ??= { onSend, isTold: false }
  }

  /** The end comes after the bytes so far, and what the sender has beyond them is lost. */
  cut(by: "fin" | "rst"): void {
    if (this.#isOver) return
    const { receiver, sender } = this
    this.drop()
    this.#isEndSent = true
    this.#engine.recording.add(by === "fin" ? "fin" : "reset", sender.host.name, this.#told(this.#sent, this.#sent))
    this.carry(() => by === "fin" ? this.#onEnd() : receiver.onReset())
    this.refused()
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
    while (!this.#isOver && this.#stalls === 0) {
      const milestone = this.#milestones[0]
      if (
        milestone !== undefined && milestone.at <= this.#sent &&
        (this.#queued > 0 || (milestone.isBehind && this.#sent > 0))
      ) {
        this.#milestones.shift()
        milestone.run()
        continue
      }
      const bytes = Math.min(
        this.#queued,
        this.#credit,
        this.#path.settings.segmentBytes,
        this.#trickle === undefined ? Infinity : 1,
        milestone === undefined ? Infinity : Math.max(milestone.at - this.#sent, 1)
      )
      if (bytes <= 0) break
      this.#sendPiece(bytes)
    }
    if (this.#isOver) return
    if (this.#stalls === 0 && this.#queued === 0 && this.#isEndQueued && !this.#isEndSent) this.#sendEnd()
    this.sender.onRoom()
  }

  #sendPiece(bytes: number): void {
    const piece = takeFrom(this.#queue, bytes)
    const from = this.#sent
    this.#queued -= bytes
    this.#credit -= bytes
    this.#sent += bytes
    this.#tell("send", this.sender, from, piece)
    this.#send(bytes, { piece, from, run: undefined })
    const trickle = this.#trickle
    if (trickle === undefined) return
    if (--trickle.bytes === 0) this.#trickle = undefined
    this.stall()
    this.#engine.at(this.#engine.nowNs + trickle.everyNs, this.#network, () => this.unstall())
  }

  #sendEnd(): void {
    this.#isEndSent = true
    const extraNs = this.finExtraNs?.() ?? 0
    this.#engine.recording.add("fin", this.sender.host.name, this.#told(this.#sent, this.#sent))
    if (extraNs === Infinity) return
    this.shape.onceNs += extraNs
    this.carry(() => this.#onEnd())
  }

  // -------------------------------------------------------------------------------------------------------------------
  // On the way
  // -------------------------------------------------------------------------------------------------------------------

  /** Nothing arrives until as many calls of `unclog`. */
  clog(): void {
    this.#clogs++
  }

  unclog(): void {
    this.#clogs--
    this.#release()
  }

  /** From this byte on, so many times: what arrives within a window arrives at its end, in one piece. */
  gather(at: number, windowNs: number, windows: number, onFirst: (at: number) => void): void {
    this.#gathering = { at, windowNs, windows, onFirst }
  }

  ungather(): void {
    this.#gathering = undefined
  }

  #arrive(arrival: Arrival): void {
    const gathering = this.#gathering
    if (
      gathering !== undefined && !this.#isGathering && arrival.piece !== undefined &&
      arrival.from + arrival.piece.length > gathering.at
    ) {
      this.#isGathering = true
      gathering.onFirst(arrival.from)
      if (--gathering.windows === 0) this.#gathering = undefined
      this.#engine.at(this.#engine.nowNs + gathering.windowNs, this.#network, () => {
        this.#isGathering = false
        this.#held = joined(this.#held)
        this.#release()
      })
    }
    if (this.#clogs > 0 || this.#isGathering) this.#held.push(arrival)
    else this.#land(arrival)
  }

  #release(): void {
    while (this.#held.length > 0 && this.#clogs === 0 && !this.#isGathering) this.#land(this.#held.shift()!)
  }

  #land({ from, piece, run }: Arrival): void {
    if (piece === undefined) run!()
    else this.#onArrival(piece, from)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // The receiver's side
  // -------------------------------------------------------------------------------------------------------------------

  #onArrival(piece: Uint8Array, from: number): void {
    const { receiver } = this
    if (from !== this.#arrivedTo || from + piece.length > this.#sent) {
      this.#engine.violate(
        `connection ${this.connection} ${this.name}: ${from}..${from + piece.length} arrived after ` +
          `${this.#arrivedTo} of ${this.#sent} bytes`
      )
    }
    this.#arrivedTo = from + piece.length
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
    if (this.receiver.isDeaf || this.hasEnded) return
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
    if (this.#read > this.#arrivedTo) {
      this.#engine.violate(
        `connection ${this.connection} ${this.name}: ${this.#read} bytes were read of ` +
          `${this.#arrivedTo} that arrived`
      )
    }
    this.#unreturned += length
    // As TCP does, the window is told to have opened when it is half of all.
    if (this.#unreturned * 2 >= this.#receiveBufferBytes) {
      const returned = this.#unreturned
      this.#unreturned = 0
      this.#back.carry(0, this.#acks, () => {
        this.#credit += returned
        this.pump()
      })
    }
    return piece
  }

  /** What has arrived and was not read is lost. */
  #forget(): void {
    this.#arrived = []
    this.arrivedBytes = 0
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

/** In the order of their places; those that wait for no byte first. */
const insert = (milestones: Array<Milestone>, milestone: Milestone): void => {
  milestones.push(milestone)
  milestones.sort((a, b) => a.at - b.at || Number(b.isBehind) - Number(a.isBehind))
}

/** How far it is from here to the next one, when those here have run. */
const untilNext = (milestones: Array<Milestone>, here: number): number => {
  while (milestones.length > 0 && milestones[0]!.at <= here) milestones.shift()!.run()
  return milestones.length === 0 ? Infinity : milestones[0]!.at - here
}

/** The same, with neighbours of bytes in one piece. */
const joined = (arrivals: ReadonlyArray<Arrival>): Array<Arrival> => {
  const all: Array<Arrival> = []
  for (let at = 0; at < arrivals.length;) {
    const pieces: Array<Uint8Array> = []
    let bytes = 0
    const first = arrivals[at]!
    while (at < arrivals.length && arrivals[at]!.piece !== undefined) {
      const { piece } = arrivals[at++]!
      pieces.push(piece!)
      bytes += piece!.length
    }
    if (pieces.length > 0) all.push({ piece: takeFrom(pieces, bytes), from: first.from, run: undefined })
    else all.push(arrivals[at++]!)
  }
  return all
}
