/**
 * A null-modem cable in memory: two serial devices, each the other's peer, with no buffer of their own and no time. What one
 * end writes goes straight into the other's input, as far as it has room; the rest waits with the writer, as by flow
 * control. Nothing here has an end: to the other side a close is silence, and what is sent to an end that nobody has open
 * is lost.
 *
 * ```
 * this end drives   the other end sees
 * RTS               CTS
 * DTR               DSR, DCD
 * break             a NUL byte, when it is over
 * ```
 */
import type { Port, Wire } from "./duplex.ts"
import { takeFrom } from "./pieces.ts"

/** Two ends that are set otherwise read garbage. */
export interface CableSettings {
  baudRate: number
  /** Data bits, parity and stop bits. */
  readonly character: string
  /** The lines that are driven go down with a close. */
  readonly hangsUp: boolean
}

/** The device was taken away: the native error of this cable. */
export class CableGone extends Error {
  readonly code = "ENODEV"
}

interface Driven {
  readonly dtr: boolean
  readonly rts: boolean
  readonly break: boolean
}

interface Seen {
  readonly cts: boolean
  readonly dsr: boolean
  readonly dcd: boolean
}

const silent: Driven = { dtr: false, rts: false, break: false }

/** A NUL, as a receiver reads a break. */
const breakByte = 0

export class CableEnd {
  readonly path: string
  #peer!: CableEnd
  /** While it is open; its user is known by them. */
  settings: CableSettings | undefined = undefined
  isPlugged = true
  denials = 0
  #wire: CableWire | undefined = undefined
  #driven: Driven = silent
  /** What a test says that this end sees, whatever the other end drives. */
  #forced: Partial<Seen> = {}
  #stalls = 0
  #garbages = 0
  #garbles = 0
  #losses = 0
  #garbled = 0
  #drains: Array<() => void> = []

  constructor(path: string) {
    this.path = path
  }

  static join(a: CableEnd, b: CableEnd): void {
    a.#peer = b
    b.#peer = a
  }

  open(settings: CableSettings): void {
    this.settings = settings
    this.#driven = { dtr: true, rts: true, break: false }
  }

  attach(port: Port): Wire {
    return this.#wire = new CableWire(this, this.settings, port)
  }

  /** By this user: somebody else may have opened it since. */
  close(settings: CableSettings | undefined): void {
    if (settings === undefined || this.settings !== settings) return
    const { hangsUp } = settings
    this.#wire?.leave()
    this.#wire = undefined
    this.settings = undefined
    this.setDriven(hangsUp ? silent : { ...this.#driven, break: false })
    this.#wakeDrains()
    // What the other end was sending to this one is lost from now on.
    this.#peer.#wire?.pump()
  }

  unplug(): void {
    if (!this.isPlugged) return
    this.isPlugged = false
    const wire = this.#wire
    this.close(this.settings)
    this.setDriven(silent)
    wire?.port.broken(new CableGone(`${this.path} is gone`))
  }

  /** Runs once nothing is left to send. */
  onDrained(run: () => void): () => void {
    if (this.#wire === undefined || this.#wire.isIdle) {
      run()
      return () => {}
    }
    this.#drains.push(run)
    return () => {
      this.#drains = this.#drains.filter((other) => other !== run)
    }
  }

  #wakeDrains(): void {
    for (const run of this.#drains.splice(0)) run()
  }

  discardOutput(): void {
    this.#wire?.drop()
  }

  // Lines

  get seen(): Seen {
    const { dtr, rts } = this.#peer.#driven
    return { cts: rts, dsr: dtr, dcd: dtr, ...this.#forced }
  }

  force(lines: Partial<Seen>): void {
    this.#forced = { ...this.#forced, ...lines }
  }

  setDriven(driven: Driven): void {
    const wasBreak = this.#driven.break
    this.#driven = driven
    if (!wasBreak || driven.break) return
    this.#peer.#wire?.receive(Uint8Array.of(breakByte))
    this.#wire?.pump()
  }

  // What this end sends

  get isStopped(): boolean {
    return this.#stalls > 0 || this.#driven.break
  }

  /** How much the other end takes now; nothing where nobody has it open. */
  get room(): number | undefined {
    return this.#peer.#wire?.room
  }

  onSent(): void {
    this.#wakeDrains()
  }

  send(piece: Uint8Array): void {
    const lost = Math.min(this.#losses, piece.length)
    this.#losses -= lost
    const rest = piece.subarray(lost)
    const isGarbage = this.#garbages > 0 || !this.#agrees()
    const wrong = isGarbage ? rest.length : Math.min(this.#garbles, rest.length)
    if (!isGarbage) this.#garbles -= wrong
    // Never the byte that was sent, and the same in each run.
    for (let i = 0; i < wrong; i++) rest[i]! ^= 1 + this.#garbled++ % 255
    if (rest.length > 0) this.#peer.#wire?.receive(rest)
  }

  #agrees(): boolean {
    const [mine, others] = [this.settings, this.#peer.settings]
    return mine === undefined || others === undefined ||
      (mine.baudRate === others.baudRate && mine.character === others.character)
  }

  stall(): void {
    this.#stalls++
  }

  unstall(): void {
    this.#stalls--
    this.#wire?.pump()
  }

  garbage(): void {
    this.#garbages++
  }

  ungarbage(): void {
    this.#garbages--
  }

  garble(bytes: number): void {
    this.#garbles += bytes
  }

  lose(bytes: number): void {
    this.#losses += bytes
  }

  /** Whoever sends to this one goes on. */
  welcome(): void {
    this.#peer.#wire?.pump()
  }
}

class CableWire implements Wire {
  /** Nobody waits for an end of ours. */
  readonly lingers = false
  readonly port: Port
  readonly #end: CableEnd
  readonly #settings: CableSettings | undefined
  #pending: Array<Uint8Array> = []
  #pendingBytes = 0
  #flowing = false
  #gone = false
  #sending = false

  constructor(end: CableEnd, settings: CableSettings | undefined, port: Port) {
    this.#end = end
    this.#settings = settings
    this.port = port
  }

  get isIdle(): boolean {
    return this.#pendingBytes === 0
  }

  get room(): number {
    return this.#flowing ? this.port.room() : 0
  }

  write(chunks: ReadonlyArray<Uint8Array>, bytes: number): boolean {
    this.#pending = chunks.filter((chunk) => chunk.length > 0)
    this.#pendingBytes = bytes
    return this.#send()
  }

  end(): void {
    this.port.finished()
  }

  reset(): void {
    this.release()
  }

  release(): void {
    this.#end.close(this.#settings)
    // Also where the end was closed before, as by an unplug.
    this.leave()
    queueMicrotask(() => this.port.released())
  }

  leave(): void {
    this.#gone = true
    this.#flowing = false
    this.#pending = []
    this.#pendingBytes = 0
  }

  resume(): void {
    this.#flowing = true
    this.#end.welcome()
  }

  suspend(): void {
    this.#flowing = false
  }

  receive(piece: Uint8Array): void {
    this.port.data(piece)
  }

  /** What waits to be sent counts as sent. */
  drop(): void {
    if (this.#pendingBytes === 0) return
    this.#pending = []
    this.#pendingBytes = 0
    this.#end.onSent()
    this.port.drained()
  }

  /** Goes on with a write that had to wait. */
  pump(): void {
    if (this.#sending || this.#gone || this.#pendingBytes === 0) return
    if (this.#send()) {
      this.#end.onSent()
      this.port.drained()
    }
  }

  /** True when nothing is left to send. Whoever is woken by it may ask for more: the loop that is running sees to it. */
  #send(): boolean {
    this.#sending = true
    while (this.#pendingBytes > 0 && !this.#end.isStopped) {
      const bytes = Math.min(this.#end.room ?? this.#pendingBytes, this.#pendingBytes)
      if (bytes === 0) break
      this.#pendingBytes -= bytes
      // A copy: the writer may use its memory again.
      this.#end.send(takeFrom(this.#pending, bytes).slice())
    }
    this.#sending = false
    return this.#pendingBytes === 0
  }
}

/** Present wherever JavaScript runs, and in no type library that this floor may see. */
declare const queueMicrotask: (run: () => void) => void
