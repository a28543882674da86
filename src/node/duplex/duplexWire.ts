/**
 * Any `Duplex` of Node as the wire of a transport, by its public members alone.
 */
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import * as TransportError from "../../TransportError.ts"
import type { Port, Wire } from "../../Wire.ts"
import { isTcp } from "../socket/socketWire.ts"
import { TransportDuplex } from "./transportDuplex.ts"

export class DuplexWire implements Wire {
  /** What is behind it may reset a connection that is let go with input unread. */
  readonly lingers = true
  readonly #duplex: Duplex
  readonly #port: Port
  readonly #endpoint: string
  /** It does not touch what it was given to write once it called back. A `PassThrough` hands that memory on. */
  readonly #givesBack: boolean

  /** Takes over a duplex that is open both ways. */
  constructor(duplex: Duplex, endpoint: string, port: Port) {
    this.#duplex = duplex
    this.#port = port
    this.#endpoint = endpoint
    this.#givesBack = duplex instanceof TransportDuplex || duplex instanceof Net.Socket
    // Whether our direction ends with the peer's is for the transport to decide.
    duplex.allowHalfOpen = true
    // First, or a listener for data would make it flow.
    duplex.pause()
    const listeners = {
      data: port.data,
      end: port.end,
      finish: port.finished,
      error: (cause: unknown) => {
        this.#salvage()
        port.broken(cause)
      },
      close: () => {
        this.#salvage()
        // It is over, and whoever gave it may keep it.
        for (const [name, listener] of Object.entries(listeners)) duplex.off(name, listener)
        port.released()
      }
    }
    for (const [name, listener] of Object.entries(listeners)) duplex.on(name, listener)
  }

  /** What had arrived before it broke. A stream that is destroyed emits it no more, and still has it. */
  #salvage(): void {
    const duplex = this.#duplex
    duplex.off("data", this.#port.data)
    for (let chunk = duplex.read(); chunk !== null; chunk = duplex.read()) this.#port.data(chunk)
  }

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    const duplex = this.#duplex
    const outs = this.#givesBack ? chunks : [Buffer.concat(chunks)]
    let isTaken = false
    // Not `drain`, which comes only where the high-water mark was reached.
    const written = (error: Error | null | undefined) => {
      if (error == null && !isTaken) this.#port.drained()
    }
    duplex.cork()
    outs.forEach((chunk, i) => duplex.write(chunk, i === outs.length - 1 ? written : undefined))
    duplex.uncork()
    // Nothing is left here and nothing went wrong: what is below took it at once.
    isTaken = duplex.writableLength === 0 && duplex.errored === null
    return isTaken
  }

  end(): void {
    this.#duplex.end()
  }

  reset(): void {
    const duplex = this.#duplex
    if (duplex instanceof TransportDuplex) duplex.resetAndDestroy()
    else if (duplex instanceof Net.Socket && canReset(duplex)) duplex.resetAndDestroy()
    // Without an error most streams would show the peer an ordinary end.
    else duplex.destroy(TransportError.make("close", this.#endpoint, new TransportError.Closed({ by: "abort" })))
  }

  release(): void {
    if (this.#duplex instanceof TransportDuplex) this.#duplex.letGo()
    else this.#duplex.destroy()
  }

  resume(): void {
    this.#duplex.resume()
  }

  suspend(): void {
    this.#duplex.pause()
  }
}

/** As for the sockets that we opened: only TCP knows a reset, and not while the end of our direction is on its way. */
const canReset = (socket: Net.Socket): boolean =>
  !socket.destroyed && isTcp(socket) &&
  !(socket.writableEnded && !socket.writableFinished && socket.writableLength === 0)
