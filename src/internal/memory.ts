/**
 * A medium of memory: two wires, each the other's peer, with no buffer of their own. What one end writes goes straight
 * into the other's input, as far as it has room; the rest waits with the writer.
 */
import type { Port, Wire } from "./duplex.ts"

/** How an end was lost, as the native error of memory. */
class MemoryReset extends Error {
  readonly code = "ECONNRESET"
}

export class MemoryWire implements Wire {
  /** What has arrived is kept by the other end, so nothing is lost by letting go early. */
  readonly lingers = false
  readonly #port: Port
  #peer: MemoryWire | undefined = undefined
  #pending: Array<Uint8Array> = []
  #endPending = false
  #flowing = false
  #inputEnded = false
  #gone = false
  /** Whoever is woken by a delivery may ask for the next one: the loop that is running sees to it. */
  #delivering = false

  constructor(port: Port) {
    this.#port = port
  }

  static join(a: MemoryWire, b: MemoryWire): void {
    a.#peer = b
    b.#peer = a
    if (a.#gone && !a.#endPending) b.#port.broken(new MemoryReset("the peer left before it was accepted"))
    a.#pump()
    b.#pump()
  }

  /** Nobody will ever be at the other end. */
  reject(): void {
    this.#port.broken(new MemoryReset("nobody accepted the connection"))
  }

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    if (this.#peer !== undefined && this.#peer.#gone) {
      this.#port.broken(new MemoryReset("the peer is gone"))
      return false
    }
    this.#pending = Array.from(chunks)
    return this.#deliver()
  }

  end(): void {
    this.#endPending = true
    this.#pump()
    this.#port.finished()
  }

  reset(): void {
    this.#endPending = false
    this.#leave()
    const peer = this.#peer
    if (peer !== undefined && !peer.#gone) peer.#port.broken(new MemoryReset("the peer reset the connection"))
  }

  release(): void {
    this.#leave()
    const peer = this.#peer
    // Whoever is in the middle of a write to us learns it now, others at their next write.
    if (peer !== undefined && peer.#pending.length > 0) peer.#port.broken(new MemoryReset("the peer is gone"))
  }

  resume(): void {
    this.#flowing = true
    if (this.#peer !== undefined) this.#peer.#pump()
  }

  suspend(): void {
    this.#flowing = false
  }

  #leave(): void {
    this.#gone = true
    this.#pending = []
    queueMicrotask(() => this.#port.released())
  }

  /** Goes on with a write that had to wait, and with the end behind it. */
  #pump(): void {
    if (this.#delivering) return
    const waited = this.#pending.length > 0
    if (waited && this.#deliver()) this.#port.drained()
    const peer = this.#peer
    if (this.#endPending && this.#pending.length === 0 && peer !== undefined && !peer.#inputEnded) {
      peer.#inputEnded = true
      if (!peer.#gone) peer.#port.end()
    }
  }

  /** True when nothing is left to deliver. */
  #deliver(): boolean {
    const peer = this.#peer
    if (peer === undefined) return this.#pending.length === 0
    this.#delivering = true
    while (this.#pending.length > 0 && peer.#flowing) {
      const room = peer.#port.room()
      if (room === 0) break
      peer.#port.data(this.#piece(room))
    }
    this.#delivering = false
    return this.#pending.length === 0
  }

  /** Takes at most `bytesMax` bytes, copied: the writer may use its buffer again, and a piece belongs to its receiver. */
  #piece(bytesMax: number): Uint8Array {
    const pending = this.#pending
    let bytes = 0
    let whole = 0
    while (whole < pending.length && bytes + pending[whole]!.length <= bytesMax) bytes += pending[whole++]!.length
    const cut = whole < pending.length ? bytesMax - bytes : 0
    const piece = new Uint8Array(bytes + cut)
    let at = 0
    for (let i = 0; i < whole; i++) {
      piece.set(pending[i]!, at)
      at += pending[i]!.length
    }
    if (cut > 0) {
      piece.set(pending[whole]!.subarray(0, cut), at)
      pending[whole] = pending[whole]!.subarray(cut)
    }
    pending.splice(0, whole)
    return piece
  }
}

/** Present wherever JavaScript runs, and in no type library that this floor may see. */
declare const queueMicrotask: (run: () => void) => void
