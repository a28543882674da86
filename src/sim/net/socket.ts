/**
 * One end of a simulated connection, as the system below a program has it: the wire of a transport.
 *
 * What a program sees at its end, and when, is what Linux shows Node: input that has arrived is read before a reset is
 * seen, nothing is seen while nobody reads, and bytes for an end that is closed are answered with a reset.
 */
import type { Port, Wire } from "../../internal/duplex.ts"
import type { Engine } from "../engine/engine.ts"
import { Lane, type Owner } from "../engine/lanes.ts"
import type { Timer } from "../engine/timers.ts"
import type { Direction } from "./direction.ts"

/** An error as Node has it. */
export class NativeError extends Error {
  readonly code: string
  readonly detail: string

  constructor(code: string, detail: string) {
    super(`${code}: ${detail}`)
    this.code = code
    this.detail = detail
  }
}

/** The host that a socket is on. */
export interface SocketHost {
  readonly name: string
  /** Without power. */
  readonly isOff: boolean
}

export class Socket implements Wire {
  readonly host: SocketHost
  readonly owner: Owner
  readonly lingers = true
  /** Bytes for it are answered with a reset. */
  isClosed = false
  /** It was given to a program: connected, or accepted. */
  isGiven = false
  /** Only TCP shows a peer that its connection was aborted; on a Unix socket that is an end. */
  hasReset = true
  out!: Direction
  input!: Direction
  /** Called when nothing is left of it. */
  onGone: (() => void) | undefined = undefined
  /** No read brings more. */
  readMax = Infinity
  /** How fast its program reads at the most. */
  readBytesPerSecond = Infinity
  /** How long its system takes for its end. */
  endExtraNs: (() => number) | undefined = undefined
  #mayReadNs = 0
  /** What reads on when it is not too early any more. */
  #reading: Timer | undefined = undefined
  /** What ends our direction, where that takes its time. */
  #finishing: Timer | undefined = undefined
  #shorts = 0
  readonly #engine: Engine
  readonly #lane: Lane
  #port: Port | undefined = undefined
  #isFlowing = false
  #isDelivering = false
  #hasToldEnd = false
  #broken: NativeError | undefined = undefined
  #hasToldBroken = false
  #pending: Array<Uint8Array> = []
  #isEndPending = false
  /** Room that comes meanwhile is seen. */
  #isTaking = false

  constructor(engine: Engine, host: SocketHost, owner: Owner) {
    this.#engine = engine
    this.host = host
    this.owner = owner
    this.#lane = new Lane(owner)
  }

  /** From now on it is a transport's. */
  attach(port: Port): this {
    this.#port = port
    this.isGiven = true
    return this
  }

  // The transport's side

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    if (this.#broken !== undefined) {
      this.#tellBroken(new NativeError("EPIPE", "the peer is gone"))
      return false
    }
    for (const chunk of chunks) this.#pending.push(chunk)
    this.#takePending()
    return this.#pending.length === 0
  }

  end(): void {
    this.#isEndPending = true
    if (this.#pending.length > 0) return
    const extraNs = this.endExtraNs?.() ?? 0
    if (extraNs > 0) return this.#finishIn(extraNs)
    this.out.end()
    this.#port!.finished()
  }

  #finishIn(nanos: number): void {
    this.#finishing = this.#engine.at(this.#engine.nowNs + nanos, this.owner, () => this.#finish(), this.#lane)
  }

  #finish(): void {
    if (this.isClosed) return
    this.out.end()
    this.#port?.finished()
  }

  reset(): void {
    if (!this.hasReset) return this.release()
    this.out.reset()
    this.#leave()
  }

  release(): void {
    this.#pending = []
    // As Linux does: whoever closes with input unread resets, or the peer would believe that it was read.
    if (this.input.arrivedBytes > 0) this.out.reset()
    else this.out.end()
    this.#leave()
  }

  resume(): void {
    this.#isFlowing = true
    if (this.#hasNews) this.#post(() => this.#deliver())
  }

  suspend(): void {
    this.#isFlowing = false
  }

  // The network's side

  /** The program that had it is gone; its system ends the connection. */
  abandon(): void {
    if (!this.isClosed) this.release()
  }

  /** Without a word. */
  silence(): void {
    this.out.drop()
    this.#leave()
  }

  /** Bytes came for an end that is closed. */
  refuse(): void {
    this.out.reset()
  }

  onRoom(): void {
    if (this.#pending.length === 0 || this.#isTaking) return
    this.#takePending()
    if (this.#pending.length === 0) this.#post(() => this.#port?.drained())
  }

  onInput(): void {
    if (this.#isFlowing) this.#now(() => this.#deliver())
  }

  /** It hears nothing and says nothing. Its host knows nothing of it when it is on again, and resets. */
  get isDeaf(): boolean {
    return this.host.isOff
  }

  /** The system takes nothing of what is written until as many calls of `unshorten`. */
  shorten(): void {
    this.#shorts++
  }

  unshorten(): void {
    this.#shorts--
    this.onRoom()
  }

  onReset(): void {
    if (this.isDeaf || this.#broken !== undefined) return
    this.#broken = new NativeError("ECONNRESET", "the peer reset the connection")
    this.out.drop()
    if (this.isClosed) return
    const isWriting = this.#pending.length > 0
    this.#pending = []
    if (this.#isFlowing) this.#now(() => this.#deliver())
    else if (isWriting) this.#now(() => this.#tellBroken(this.#broken!))
  }

  /** The medium breaks at this end. */
  break(error: NativeError): void {
    if (this.isClosed || this.#broken !== undefined) return
    this.#broken = error
    this.out.drop()
    this.#pending = []
    this.#now(() => this.#tellBroken(error))
  }

  get #hasNews(): boolean {
    return this.input.arrivedBytes > 0 || (this.input.hasEnded && !this.#hasToldEnd) ||
      (this.#broken !== undefined && !this.#hasToldBroken)
  }

  #deliver(): void {
    const port = this.#port
    if (port === undefined || this.#isDelivering) return
    this.#isDelivering = true
    while (this.#isFlowing && !this.isClosed && this.input.arrivedBytes > 0) {
      const untilNext = this.input.readMax
      const room = Math.min(port.room(), this.readMax, untilNext)
      if (room === 0 || this.#isTooEarly()) break
      const piece = this.input.read(Math.min(room, this.#paceBytes))
      if (this.readBytesPerSecond < Infinity) {
        this.#mayReadNs = this.#engine.nowNs + Math.ceil(piece.length * 1e9 / this.readBytesPerSecond)
      }
      port.data(piece)
    }
    this.#isDelivering = false
    if (!this.#isFlowing || this.isClosed || this.input.arrivedBytes > 0) return
    if (this.#broken !== undefined) this.#tellBroken(this.#broken)
    else if (this.input.hasEnded && !this.#hasToldEnd) {
      this.#hasToldEnd = true
      port.end()
    }
  }

  /** A slow reader reads ten times a second. */
  get #paceBytes(): number {
    return Math.max(1, Math.ceil(this.readBytesPerSecond / 10))
  }

  #isTooEarly(): boolean {
    if (this.#mayReadNs <= this.#engine.nowNs) return false
    this.#reading ??= this.#engine.at(this.#mayReadNs, this.owner, () => {
      this.#reading = undefined
      this.#deliver()
    }, this.#lane)
    return true
  }

  #tellBroken(error: NativeError): void {
    // Where no program has it yet, it is told when one reads.
    if (this.#hasToldBroken || this.#port === undefined) return
    this.#hasToldBroken = true
    this.#port.broken(error)
  }

  #takePending(): void {
    const pending = this.#pending
    this.#isTaking = true
    while (pending.length > 0 && this.#shorts === 0 && this.out.room > 0) {
      const room = Math.min(this.out.takeMax, this.out.room)
      // What was to happen before the next byte has broken it, or holds it up.
      if (this.#pending !== pending || this.#shorts > 0) break
      const chunk = pending[0]!
      if (chunk.length <= room) pending.shift()
      else pending[0] = chunk.subarray(room)
      // Copied: the writer may use its buffer again.
      this.out.take(chunk.slice(0, room))
    }
    this.#isTaking = false
    if (this.#pending === pending && pending.length === 0 && this.#isEndPending) {
      const extraNs = this.endExtraNs?.() ?? 0
      if (extraNs === 0) {
        this.out.end()
        this.#post(() => this.#port?.finished())
      } else this.#finishIn(extraNs)
    }
  }

  #leave(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.#isFlowing = false
    this.#pending = []
    this.#engine.recording.add("close", this.host.name, { connection: this.out.connection })
    for (const timer of [this.#reading, this.#finishing]) if (timer !== undefined) this.#engine.cancel(timer)
    this.onGone?.()
    this.#post(() => this.#port?.released())
  }

  /** In the read callback, unless the program stands still, or everything takes it time. */
  #now(run: () => void): void {
    if (this.owner.state === "running" && !this.#engine.isSlow(this.owner)) run()
    else this.#post(run)
  }

  #post(run: () => void): void {
    this.#engine.post(this.#lane, run)
  }
}
