/**
 * A null-modem cable: two serial devices, and a line for each direction that carries ten bits for each byte.
 *
 * Nothing here has an end: a device that nobody has open is silent, and what is sent to it is lost. The rates of both ends
 * are their own business, and where they differ, what arrives is garbage.
 */
import type { Port, Wire } from "../../internal/duplex.ts"
import { takeFrom } from "../../internal/pieces.ts"
import type { Engine } from "../engine/engine.ts"
import { Lane, type Owner } from "../engine/lanes.ts"
import type { Prng } from "../engine/prng.ts"
import type { HostFile } from "./hosts.ts"
import { NativeError, type SocketHost } from "./socket.ts"

/** What Linux keeps of what is to be sent, and of what has arrived. */
const serialBytes = 4096

/** A start bit, eight of data, a stop bit. */
const bitsPerByte = 10

/** The driver is told of input this often, unless bytes are slower. */
const pollNs = 1e6

/** One end of a cable. */
export class SerialDevice implements HostFile {
  readonly _tag = "serial"
  readonly host: SocketHost
  readonly path: string
  readonly out: SerialLine
  input!: SerialLine
  isPlugged = true
  /** Whoever has it open. */
  wire: SerialWire | undefined = undefined
  readonly #engine: Engine

  constructor(engine: Engine, network: Owner, host: SocketHost, path: string, hasFlowControl: boolean) {
    this.#engine = engine
    this.host = host
    this.path = path
    this.out = new SerialLine(engine, network, this, hasFlowControl)
  }

  static join(a: SerialDevice, b: SerialDevice): void {
    a.input = b.out
    a.out.receiver = b
    b.input = a.out
    b.out.receiver = a
  }

  /** `character` is how its bits are: two ends that have them otherwise read garbage, as with two rates. */
  open(owner: Owner, baudRate: number, character: string): SerialWire {
    const wire = this.wire = new SerialWire(this.#engine, this, owner, baudRate, character)
    this.tell("connect", `at ${baudRate}`)
    return wire
  }

  /** The programs of its host are gone. */
  abandon(): void {
    this.wire?.close()
  }

  /** It is pulled out of its host, as a USB adapter is: whoever has it open loses it. */
  unplug(): void {
    if (!this.isPlugged) return
    this.isPlugged = false
    this.wire?.lose()
  }

  plug(): void {
    this.isPlugged = true
  }

  tell(
    kind: "connect" | "write" | "send" | "deliver" | "read" | "close" | "lose" | "fault",
    note: string,
    from = 0,
    bytes?: Uint8Array
  ): void {
    this.#engine.recording.add(kind, this.host.name, {
      from,
      to: from + (bytes?.length ?? 0),
      bytes,
      note: `serial ${this.path}${note === "" ? "" : ` ${note}`}`
    })
  }
}

/** What one device sends, on its way to the other. */
export class SerialLine {
  readonly sender: SerialDevice
  receiver!: SerialDevice
  readonly #engine: Engine
  readonly #lane: Lane
  readonly #hasFlowControl: boolean
  readonly #prng: Prng
  #queue: Array<Uint8Array> = []
  #queued = 0
  #isSending = false
  #stalls = 0
  #sent = 0
  #garbles = 0
  #losses = 0
  #garbages = 0

  constructor(engine: Engine, network: Owner, sender: SerialDevice, hasFlowControl: boolean) {
    this.#engine = engine
    this.#lane = new Lane(network)
    this.sender = sender
    this.#hasFlowControl = hasFlowControl
    this.#prng = engine.stream(`serial:${sender.host.name}:${sender.path}`)
  }

  get room(): number {
    return serialBytes - this.#queued
  }

  /** All that was taken has left. */
  get isIdle(): boolean {
    return this.#queued === 0 && !this.#isSending
  }

  /** Takes bytes, which belong to it from now on; no more than there is room for. */
  take(chunk: Uint8Array): void {
    this.sender.tell("write", "", this.#sent + this.#queued, chunk)
    this.#queue.push(chunk)
    this.#queued += chunk.length
    this.pump()
  }

  /** What has not left is not sent. */
  drop(): void {
    this.#queue = []
    this.#queued = 0
  }

  pump(): void {
    const wire = this.sender.wire
    if (this.#isSending || this.#stalls > 0 || this.#queued === 0 || wire === undefined) return
    const nsPerByte = bitsPerByte * 1e9 / wire.baudRate
    const bytesMax = Math.max(1, Math.floor(pollNs / nsPerByte))
    const room = this.#hasFlowControl ? this.receiver.wire?.room ?? Infinity : Infinity
    // The receiver says when it has room again.
    if (room === 0) return
    const piece = takeFrom(this.#queue, Math.min(bytesMax, this.#queued, room))
    this.#queued -= piece.length
    this.sender.tell("send", "", this.#sent, piece)
    this.#sent += piece.length
    const { baudRate, character } = wire
    this.#occupy(piece.length * nsPerByte, () => this.#onArrival(piece, baudRate, character))
    wire.onRoom()
  }

  #occupy(nanos: number, run: () => void): void {
    this.#isSending = true
    this.#engine.at(this.#engine.nowNs + nanos, this.#lane.owner, () => {
      this.#isSending = false
      run()
      this.pump()
      this.sender.wire?.onIdle()
    }, this.#lane)
  }

  #onArrival(sent: Uint8Array, baudRate: number, character: string): void {
    const { wire } = this.receiver
    if (wire === undefined) return this.receiver.tell("lose", `${sent.length} bytes: nobody has it open`)
    let piece = sent
    const isGarbage = wire.baudRate !== baudRate || wire.character !== character || this.#garbages > 0
    if (isGarbage || this.#garbles > 0) {
      // A copy: what was sent is in the trace.
      piece = piece.slice()
      const bytes = isGarbage ? piece.length : Math.min(this.#garbles, piece.length)
      // Never the byte that was sent, so that who asks for a garbled byte has one.
      for (let i = 0; i < bytes; i++) piece[i]! ^= 1 + this.#prng.below(255)
      this.#garbles = Math.max(0, this.#garbles - bytes)
    }
    if (this.#losses > 0) {
      const bytes = Math.min(this.#losses, piece.length)
      this.#losses -= bytes
      this.receiver.tell("lose", `${bytes} bytes: overrun`)
      piece = piece.subarray(bytes)
    }
    if (piece.length > wire.room) {
      this.receiver.tell("lose", `${piece.length - wire.room} bytes: overrun`)
      piece = piece.subarray(0, wire.room)
    }
    if (piece.length > 0) wire.onArrival(piece)
  }

  // Faults

  /** Changes so many bytes of those that come next: a parity or framing error that nobody checks. */
  garble(bytes: number): void {
    this.#garbles += bytes
  }

  /** Nothing that arrives is what was sent, as between two rates, until as many calls of `ungarbage`. */
  garbage(): void {
    this.#garbages++
  }

  ungarbage(): void {
    this.#garbages--
  }

  /** Loses so many bytes of those that come next. */
  lose(bytes: number): void {
    this.#losses += bytes
  }

  /** The line is held low for so long, which the receiver sees as a NUL. */
  sendBreak(nanos: number): void {
    this.sender.tell("fault", "sends a break")
    this.stall()
    const byte = Uint8Array.of(0)
    this.#engine.at(this.#engine.nowNs + nanos, this.#lane.owner, () => {
      const { wire } = this.receiver
      if (wire !== undefined && wire.room > 0) wire.onArrival(byte)
      this.unstall()
    }, this.#lane)
  }

  /** The receiver says stop, by RTS or XOFF: nothing is sent until as many calls of `unstall`. */
  stall(): void {
    this.#stalls++
  }

  unstall(): void {
    this.#stalls--
    this.pump()
  }
}

/** A device that a program has open. */
export class SerialWire implements Wire {
  /** Nobody waits for an end of ours. */
  readonly lingers = false
  readonly baudRate: number
  readonly character: string
  readonly #engine: Engine
  readonly #device: SerialDevice
  readonly #owner: Owner
  readonly #lane: Lane
  #port: Port | undefined = undefined
  #isFlowing = false
  #isDelivering = false
  #isOver = false
  #pending: Array<Uint8Array> = []
  #isTaking = false
  #isEnding = false
  #arrived: Array<Uint8Array> = []
  #arrivedBytes = 0
  #delivered = 0

  constructor(engine: Engine, device: SerialDevice, owner: Owner, baudRate: number, character: string) {
    this.#engine = engine
    this.#device = device
    this.#owner = owner
    this.#lane = new Lane(owner)
    this.baudRate = baudRate
    this.character = character
  }

  /** From now on it is a transport's. */
  attach(port: Port): this {
    this.#port = port
    return this
  }

  // The transport's side

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    if (this.#isOver) throw gone()
    for (const chunk of chunks) if (chunk.length > 0) this.#pending.push(chunk)
    this.#takePending()
    return this.#pending.length === 0
  }

  /** It is flushed when all of it has left: a device that is closed sends no more. */
  end(): void {
    if (this.#isOver || this.#device.out.isIdle) this.#port!.finished()
    else this.#isEnding = true
  }

  reset(): void {
    this.release()
  }

  release(): void {
    this.close()
    this.#post(() => this.#port?.released())
  }

  resume(): void {
    this.#isFlowing = true
    if (this.#arrivedBytes > 0) this.#post(() => this.#deliver())
  }

  suspend(): void {
    this.#isFlowing = false
  }

  // The device's side

  close(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#isFlowing = false
    this.#pending = []
    this.#device.out.drop()
    this.#device.wire = undefined
    this.#device.tell("close", "")
    // Held back by what was unread here, the other end's bytes are lost from now on.
    this.#device.input.pump()
  }

  /** The device is taken away. */
  lose(): void {
    this.close()
    this.#now(() => this.#port?.broken(gone()))
  }

  get room(): number {
    return serialBytes - this.#arrivedBytes
  }

  onArrival(piece: Uint8Array): void {
    this.#device.tell("deliver", "", this.#delivered, piece)
    this.#delivered += piece.length
    this.#arrived.push(piece)
    this.#arrivedBytes += piece.length
    if (this.#isFlowing) this.#now(() => this.#deliver())
  }

  onRoom(): void {
    if (this.#pending.length === 0 || this.#isTaking) return
    this.#takePending()
    if (this.#pending.length === 0) this.#post(() => this.#port?.drained())
  }

  onIdle(): void {
    if (!this.#isEnding || !this.#device.out.isIdle) return
    this.#isEnding = false
    this.#post(() => this.#port?.finished())
  }

  #takePending(): void {
    const { out } = this.#device
    const pending = this.#pending
    this.#isTaking = true
    while (pending.length > 0 && out.room > 0) {
      const { room } = out
      const chunk = pending[0]!
      if (chunk.length <= room) pending.shift()
      else pending[0] = chunk.subarray(room)
      // Copied: the writer may use its buffer again.
      out.take(chunk.slice(0, room))
    }
    this.#isTaking = false
  }

  #deliver(): void {
    const port = this.#port
    if (port === undefined || this.#isDelivering) return
    this.#isDelivering = true
    while (this.#isFlowing && this.#arrivedBytes > 0) {
      const room = Math.min(port.room(), this.#arrivedBytes)
      if (room === 0) break
      const piece = takeFrom(this.#arrived, room)
      this.#device.tell("read", "", this.#delivered - this.#arrivedBytes, piece)
      this.#arrivedBytes -= piece.length
      port.data(piece)
    }
    this.#isDelivering = false
    this.#device.input.pump()
  }

  /** In the read callback, unless the program stands still. */
  #now(run: () => void): void {
    if (this.#owner.state === "running") run()
    else this.#post(run)
  }

  #post(run: () => void): void {
    this.#engine.post(this.#lane, run)
  }
}

const gone = () => new NativeError("ENODEV", "the device is gone")
