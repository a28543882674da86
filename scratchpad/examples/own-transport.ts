/**
 * A transport of one's own, and its proof.
 *
 * The medium is odd: a `MessagePort`, as a web page has to its worker. It keeps messages whole and in order, has no
 * flow control at all, and cannot tell an end from an abort. `PortWire` adds what is missing in eight methods; the rest,
 * from half-close to time limits, comes with `Wire.toTransport`. Then the laws judge it, in real time, a line for each.
 *
 * `node --expose-gc own-transport.ts 39 72` judges by these laws only.
 */
import { Effect, Option, type Scope } from "effect"
import { type Transport, Wire } from "effect-transport"
import { TransportLaws } from "effect-transport/testing"
import { MessageChannel, type MessagePort } from "node:worker_threads"

/** What goes over the port: bytes, leave to send so many more, and how it all ends. */
type Message = Uint8Array | { readonly welcome: number } | "end" | "reset"

class PortWire implements Wire.Wire {
  /** What was posted before a close still arrives, so nothing is lost by letting go early. */
  readonly lingers = false
  readonly #medium: MessagePort
  readonly #port: Wire.Port

  // Reading
  #flowing = false
  /** What the peer may still send: without leave nothing would hold it back. */
  #leave = 0
  /** What arrived on such a leave while nobody wanted it any more. */
  #arrived: Array<Uint8Array> = []
  #ended = false

  // Writing
  #waiting: Array<Uint8Array> = []
  #welcome = 0

  #isLetGo = false
  #peerIsGone = false

  constructor(medium: MessagePort, port: Wire.Port) {
    this.#medium = medium
    this.#port = port
    medium.on("message", (message: Message) => this.#onMessage(message))
    medium.on("close", () => this.#onClose())
  }

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    this.#waiting = Array.from(chunks)
    if (this.#peerIsGone) this.#port.broken(new Error("the other end is closed"))
    return !this.#peerIsGone && this.#send()
  }

  end(): void {
    this.#post("end")
    this.#port.finished()
  }

  reset(): void {
    this.#post("reset")
    this.release()
  }

  release(): void {
    this.#isLetGo = true
    this.#waiting = []
    this.#arrived = []
    if (this.#peerIsGone) queueMicrotask(this.#port.released)
    else this.#medium.close()
  }

  resume(): void {
    this.#flowing = true
    this.#deliver()
  }

  suspend(): void {
    this.#flowing = false
  }

  #post(message: Message): void {
    this.#medium.postMessage(message, message instanceof Uint8Array ? [message.buffer as ArrayBuffer] : [])
  }

  #onMessage(message: Message): void {
    if (message === "reset") {
      // What came before it comes first.
      for (const chunk of this.#arrived.splice(0)) this.#port.data(chunk)
      this.#port.broken(new Error("the other end was aborted"))
    } else if (message === "end") {
      this.#ended = true
      this.#deliver()
    } else if (message instanceof Uint8Array) {
      this.#leave -= message.length
      this.#arrived.push(message)
      this.#deliver()
    } else {
      this.#welcome += message.welcome
      if (this.#waiting.length > 0 && this.#send()) this.#port.drained()
    }
  }

  /** It closes with either end; at the other end behind the last message. */
  #onClose(): void {
    if (this.#isLetGo) return this.#port.released()
    this.#peerIsGone = true
    if (!this.#ended || this.#waiting.length > 0) this.#port.broken(new Error("the other end is closed"))
  }

  /** True when nothing is left to send. */
  #send(): boolean {
    while (this.#waiting.length > 0 && this.#welcome > 0) {
      const chunk = this.#waiting[0]!
      // The port would send along all of the memory that the chunk is a part of.
      const piece = chunk.slice(0, this.#welcome)
      this.#welcome -= piece.length
      if (piece.length < chunk.length) this.#waiting[0] = chunk.subarray(piece.length)
      else this.#waiting.shift()
      this.#post(piece)
    }
    return this.#waiting.length === 0
  }

  #deliver(): void {
    while (this.#flowing && this.#arrived.length > 0) this.#port.data(this.#arrived.shift()!)
    if (this.#arrived.length > 0) return
    if (this.#ended) return this.#port.end()
    const welcome = this.#port.room() - this.#leave
    if (!this.#flowing || welcome <= 0) return
    this.#leave += welcome
    this.#post({ welcome })
  }
}

const pair: TransportLaws.Subject["pair"] = (options) =>
  Effect.gen(function*() {
    const resolved = yield* Wire.resolveOptions(options, { operation: "open", endpoint: "memory:port" })
    const { port1, port2 } = new MessageChannel()
    const endOf = (id: number, medium: MessagePort): Effect.Effect<Transport.Transport, never, Scope.Scope> =>
      Wire.toTransport((port) => new PortWire(medium, port), {
        info: { id, endpoint: { _tag: "memory", name: "port" }, local: Option.none(), peer: Option.none() },
        options: resolved,
        scopeExit: "wait"
      })
    return [yield* endOf(1, port1), yield* endOf(2, port2)] as const
  })

const laws = TransportLaws.make({
  pair,
  resources: Effect.sync(() => process.getActiveResourcesInfo().filter((name) => name === "MessagePort")),
  capabilities: { halfClose: true, reset: true }
})

const asked = process.argv.slice(2).map(Number)

const main = Effect.gen(function*() {
  let holds = 0
  let broken = 0
  for (const law of laws) {
    if (asked.length > 0 && !asked.includes(law.number)) continue
    if (law.missing.length > 0) {
      console.log(`   -  ${law.name} (left out: ${law.missing.join(", ")})`)
      continue
    }
    const failure = yield* Effect.match(law.test, { onFailure: ({ detail }) => detail, onSuccess: () => undefined })
    console.log(failure === undefined ? `  ok  ${law.name}` : `BROKEN ${law.name}: ${failure}`)
    if (failure === undefined) holds++
    else broken++
  }
  console.log(`${holds} laws hold, ${broken} are broken`)
  process.exitCode = broken === 0 ? 0 : 1
})

await Effect.runPromise(main)
