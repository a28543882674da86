/**
 * One end of simulated TLS 1.3: the wire of a transport, above the wire of a connection.
 *
 * A handshake of one round trip comes before anything else. Then what is written goes out in records, an end is a
 * close_notify with the end of the connection behind it, and an end without one is an input that was cut short.
 *
 * ```
 * state      means                                         leaves by
 * hello      a client waits for ServerHello and Finished,  the peer's -> open, or failed
 *            a server for ClientHello
 * finishing  a server has answered, and waits for Finished the peer's -> open, or failed
 * open       records of data go both ways                  an alert, the peer's end, or the wire's -> over
 * over       nothing is taken or told any more             (final)
 * ```
 */
import type { Port, Wire } from "../../internal/duplex.ts"
import type { TlsRejected } from "../../TransportError.ts"
import type { Engine } from "../engine/engine.ts"
import { Lane, type Owner } from "../engine/lanes.ts"
import type { Timer } from "../engine/timers.ts"
import {
  type Alert,
  alertRecord,
  type CertificateData,
  dataRecord,
  type Handshake,
  handshakeRecord,
  notTls,
  recordBytesMax,
  RecordReader,
  type ServerHello,
  type TlsRecord
} from "./records.ts"
import type { SocketHost } from "./socket.ts"

/** How long a handshake may take, as in Go's `http.Transport`. */
const handshakeTimeoutNs = 10e9

/** Why a connection has failed, in the words of the contract. */
export class TlsFault extends Error {
  readonly why: TlsRejected["why"] | "Truncated" | "TimedOut"

  constructor(why: TlsFault["why"], message: string) {
    super(message)
    this.why = why
  }
}

/** What can go wrong with TLS on a host, for a time. */
export type TlsTrouble = "stall" | "untrusted" | "expired" | "wrongName" | "ownProtocol" | "plain" | "silentEnd"

/** What TLS is like on one host: a certificate that everybody trusts, for these names, and what goes wrong. */
export class TlsSettings {
  certificate: CertificateData
  /** What it speaks, first choice first; with nothing, it does not negotiate. */
  alpn: ReadonlyArray<string> = []
  /** After so many records of data a connection sends an alert instead. */
  alertAfter = Infinity
  readonly #alerts: Array<number> = []
  /** How many want it so. */
  readonly #troubles = new Map<TlsTrouble, number>()
  /** Who is not answered. */
  readonly #stalled: Array<() => void> = []

  constructor(names: ReadonlyArray<string>) {
    this.certificate = { names, validFromMs: -dateMaxMs, validUntilMs: dateMaxMs, isTrusted: true }
  }

  has(trouble: TlsTrouble): boolean {
    return this.#troubles.has(trouble)
  }

  /** It is so until what this answers is called, once. */
  begin(trouble: TlsTrouble): () => void {
    this.#troubles.set(trouble, (this.#troubles.get(trouble) ?? 0) + 1)
    return () => {
      const left = this.#troubles.get(trouble)! - 1
      if (left > 0) this.#troubles.set(trouble, left)
      else {
        this.#troubles.delete(trouble)
        if (trouble === "stall") { for (const answer of this.#stalled.splice(0)) answer() }
      }
    }
  }

  /** The same; of several the fewest records count. */
  beginAlerts(records: number): () => void {
    this.#alerts.push(records)
    this.alertAfter = Math.min(...this.#alerts)
    return () => {
      this.#alerts.splice(this.#alerts.indexOf(records), 1)
      this.alertAfter = Math.min(...this.#alerts)
    }
  }

  /** Runs when handshakes are answered again. */
  onAnswering(run: () => void): void {
    this.#stalled.push(run)
  }

  /** What clients are shown. */
  get shown(): CertificateData {
    let { certificate } = this
    if (this.has("untrusted")) certificate = { ...certificate, isTrusted: false }
    if (this.has("expired")) certificate = { ...certificate, validUntilMs: -dateMaxMs }
    if (this.has("wrongName")) certificate = { ...certificate, names: ["another.invalid"] }
    return certificate
  }

  /** What it says that it speaks. */
  get spoken(): ReadonlyArray<string> {
    return this.has("ownProtocol") ? ["its-own"] : this.alpn
  }
}

/** What a `Date` can hold. */
export const dateMaxMs = 8.64e15

/** What is told once, when the handshake is over. */
interface Outcome {
  readonly opened: () => void
  readonly failed: (cause: unknown) => void
}

export class TlsWire implements Wire {
  readonly lingers = true
  /** What was agreed on. */
  protocol: string | undefined = undefined
  readonly #engine: Engine
  readonly #host: SocketHost
  readonly #settings: TlsSettings
  readonly #lane: Lane
  readonly #lower: Wire
  readonly #timer: Timer
  readonly #outcome: Outcome
  readonly #client: { readonly serverName: string; readonly wallMillis: () => number } | undefined
  readonly #records = new RecordReader()
  #state: "hello" | "finishing" | "open" | "over" = "hello"
  #port: Port | undefined = undefined
  #truncation: "fail" | "ignore" = "fail"

  // Sending
  #out: Array<Uint8Array> = []
  #isLowerBusy = false
  #isWriting = false
  #isEnding = false
  #isLowerEnded = false
  #isLowerLetGo = false
  #sentRecords = 0

  // Receiving
  #isFlowing = false
  #isLowerFlowing = true
  #isDelivering = false
  /** Data that the transport has no room for yet. */
  #held: Array<Uint8Array> = []
  /** What comes behind what is held. */
  #hasEnded = false
  #hasToldEnd = false
  #broken: { readonly cause: unknown } | undefined = undefined
  #hasToldBroken = false

  constructor(options: {
    readonly engine: Engine
    readonly host: SocketHost
    readonly owner: Owner
    readonly settings: TlsSettings
    /** As a client, for which name and by which clock; else as a server. */
    readonly client: { readonly serverName: string; readonly wallMillis: () => number } | undefined
    readonly lower: (port: Port) => Wire
    readonly outcome: Outcome
  }) {
    this.#engine = options.engine
    this.#host = options.host
    this.#settings = options.settings
    this.#client = options.client
    this.#outcome = options.outcome
    this.#lane = new Lane(options.owner)
    this.#lower = options.lower({
      // A record is needed whole, so there is always room for the rest of one.
      room: () => recordBytesMax,
      data: (chunk) => this.#onData(chunk),
      lend: () => false,
      end: () => this.#onLowerEnd(),
      drained: () => this.#onDrained(),
      finished: () => this.#port?.finished(),
      broken: (cause) => this.#onLowerBroken(cause),
      refused: (cause) => this.#onLowerBroken(cause),
      released: () => this.#port?.released()
    })
    this.#timer = this.#engine.at(
      this.#engine.nowNs + handshakeTimeoutNs,
      options.owner,
      () => {
        this.#letGo("reset")
        this.#failOpen(new TlsFault("TimedOut", "the handshake took too long"))
      },
      this.#lane
    )
    this.#lower.resume()
    if (this.#client !== undefined) {
      const { serverName } = this.#client
      this.#send(handshakeRecord({ _tag: "ClientHello", serverName, alpn: this.#settings.spoken }))
    }
  }

  /** From now on it is a transport's. The handshake is over. */
  attach(port: Port, truncation: "fail" | "ignore"): this {
    this.#port = port
    this.#truncation = truncation
    return this
  }

  // -------------------------------------------------------------------------------------------------------------------
  // The transport's side
  // -------------------------------------------------------------------------------------------------------------------

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    if (this.#broken !== undefined) {
      this.#tellBroken()
      return false
    }
    this.#isWriting = true
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length; at += recordBytesMax) {
        if (this.#sentRecords >= this.#settings.alertAfter) {
          this.#pump()
          this.#giveUp("internal_error", new TlsFault("Other", "an internal error was sent to the peer"))
          return false
        }
        this.#sentRecords++
        this.#out.push(dataRecord(chunk.subarray(at, at + recordBytesMax)))
      }
    }
    this.#pump()
    this.#isWriting = this.#isLowerBusy
    return !this.#isWriting
  }

  end(): void {
    this.#isEnding = true
    if (!this.#settings.has("silentEnd")) this.#out.push(alertRecord("close_notify"))
    this.#pump()
  }

  reset(): void {
    this.#stop()
    this.#letGo("reset")
  }

  release(): void {
    this.#stop()
    this.#letGo("release")
  }

  resume(): void {
    this.#isFlowing = true
    if (this.#hasNews) this.#engine.post(this.#lane, () => this.#deliver())
    else this.#steer(true)
  }

  suspend(): void {
    this.#isFlowing = false
    this.#steer(false)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Sending
  // -------------------------------------------------------------------------------------------------------------------

  #send(record: Uint8Array): void {
    this.#out.push(record)
    this.#pump()
  }

  #pump(): void {
    while (this.#out.length > 0 && !this.#isLowerBusy && !this.#isLowerLetGo) {
      const records = this.#out
      this.#out = []
      let bytes = 0
      for (const record of records) bytes += record.length
      this.#isLowerBusy = !this.#lower.write(records, bytes)
    }
    if (this.#isLowerBusy || !this.#isEnding || this.#isLowerEnded || this.#isLowerLetGo) return
    this.#isLowerEnded = true
    this.#lower.end()
  }

  #onDrained(): void {
    this.#isLowerBusy = false
    this.#pump()
    if (this.#isLowerBusy || !this.#isWriting) return
    this.#isWriting = false
    this.#port?.drained()
  }

  #letGo(how: "reset" | "release"): void {
    if (this.#isLowerLetGo) return
    this.#isLowerLetGo = true
    this.#lower[how]()
  }

  /** Tells the peer, where there is room for that, and ends it. */
  #giveUp(alert: Alert, cause: TlsFault): void {
    this.#tell(`sends ${alert}`)
    this.#send(alertRecord(alert))
    this.#letGo("release")
    if (this.#state === "open") this.#break(cause)
    else this.#failOpen(cause)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Receiving
  // -------------------------------------------------------------------------------------------------------------------

  #onData(chunk: Uint8Array): void {
    this.#records.add(chunk)
    while (this.#isListening) {
      const record = this.#records.next()
      if (record === undefined) break
      if (record !== notTls) this.#onRecord(record)
      else if (this.#client !== undefined && this.#state === "hello") {
        this.#letGo("reset")
        this.#failOpen(new TlsFault("PlaintextPeer", "the peer does not speak TLS"))
      } else this.#giveUp("unexpected_message", new TlsFault("PlaintextPeer", "what came is no record of TLS"))
    }
    this.#deliver()
  }

  /** What comes behind an end is ignored. */
  get #isListening(): boolean {
    return this.#state !== "over" && !this.#hasEnded && this.#broken === undefined
  }

  #onRecord(record: TlsRecord): void {
    if (record.type === "alert") return this.#onAlert(record.alert)
    if (record.type === "handshake") return this.#onHandshake(record.message)
    if (this.#state !== "open") {
      return this.#giveUp("unexpected_message", new TlsFault("Other", "data came before the handshake was over"))
    }
    if (record.bytes.length > 0) this.#held.push(record.bytes)
  }

  #onAlert(alert: Alert): void {
    if (this.#state !== "open") {
      this.#letGo("release")
      const why = alert === "no_application_protocol" ? "NoCommonProtocol" : "Other"
      return this.#failOpen(new TlsFault(why, `the peer sent the alert ${alert}`))
    }
    if (alert === "close_notify") this.#hasEnded = true
    else this.#break(new TlsFault("Other", `the peer sent the alert ${alert}`))
  }

  #onHandshake(message: Handshake): void {
    const { _tag } = message
    if (_tag === "ClientHello" && this.#client === undefined && this.#state === "hello") {
      const answer = () => this.#answer(message.alpn)
      if (this.#settings.has("plain")) {
        this.#send(plainAnswer)
        this.#letGo("release")
        return this.#failOpen(new TlsFault("Other", "it was answered in the clear"))
      }
      if (!this.#settings.has("stall")) return answer()
      this.#tell("stalls the handshake")
      this.#settings.onAnswering(() => this.#engine.post(this.#lane, answer))
      return undefined
    }
    if (_tag === "ServerHello" && this.#client !== undefined && this.#state === "hello") {
      const rejected = rejection(message, this.#client)
      if (rejected !== undefined) return this.#giveUp(rejected.alert, rejected.fault)
      this.protocol = message.alpn
      this.#state = "finishing"
      return undefined
    }
    if (_tag === "Finished" && this.#state === "finishing") {
      if (this.#client !== undefined) this.#send(handshakeRecord({ _tag: "Finished" }))
      this.#state = "open"
      this.#engine.cancel(this.#timer)
      this.#tell("is open")
      // What comes next is the transport's, which says when.
      this.#steer(false)
      return this.#outcome.opened()
    }
    return this.#giveUp("unexpected_message", new TlsFault("Other", `${_tag} came out of turn`))
  }

  #answer(offered: ReadonlyArray<string>): void {
    if (this.#state !== "hello") return
    const { shown, spoken } = this.#settings
    const protocol = spoken.find((name) => offered.includes(name))
    if (spoken.length > 0 && offered.length > 0 && protocol === undefined) {
      return this.#giveUp("no_application_protocol", new TlsFault("NoCommonProtocol", "no protocol is common to both"))
    }
    this.protocol = protocol
    this.#state = "finishing"
    this.#send(handshakeRecord({ _tag: "ServerHello", certificate: shown, alpn: protocol }))
    this.#send(handshakeRecord({ _tag: "Finished" }))
  }

  get #hasNews(): boolean {
    return this.#held.length > 0 || this.#broken !== undefined || (this.#hasEnded && !this.#hasToldEnd)
  }

  #deliver(): void {
    const port = this.#port
    if (port === undefined || this.#isDelivering || this.#state === "over") return
    this.#isDelivering = true
    while (this.#isFlowing && this.#held.length > 0) {
      const room = port.room()
      if (room === 0) break
      const record = this.#held[0]!
      if (record.length <= room) this.#held.shift()
      else this.#held[0] = record.subarray(room)
      port.data(record.length <= room ? record : record.slice(0, room))
    }
    this.#isDelivering = false
    if (!this.#isFlowing || this.#held.length > 0) return
    if (this.#broken !== undefined) this.#tellBroken()
    else if (!this.#hasEnded) this.#steer(true)
    else if (!this.#hasToldEnd) {
      this.#hasToldEnd = true
      port.end()
    }
  }

  #steer(isFlowing: boolean): void {
    if (this.#isLowerFlowing === isFlowing || this.#isLowerLetGo) return
    this.#isLowerFlowing = isFlowing
    if (isFlowing) this.#lower.resume()
    else this.#lower.suspend()
  }

  #onLowerEnd(): void {
    if (!this.#isListening) return
    if (this.#state !== "open") {
      this.#letGo("release")
      return this.#failOpen(new TlsFault("Other", "the connection ended during the handshake"))
    }
    if (this.#truncation === "ignore" && this.#records.bytes === 0) this.#hasEnded = true
    else this.#break(new TlsFault("Truncated", "the connection ended without close_notify"))
    this.#deliver()
  }

  #onLowerBroken(cause: unknown): void {
    if (this.#state === "over") return
    if (this.#state === "open") return this.#break(cause)
    this.#letGo("release")
    this.#failOpen(cause)
  }

  /** What has arrived is read first, as long as nobody waits to write. */
  #break(cause: unknown): void {
    this.#broken ??= { cause }
    if (this.#isWriting || this.#hasToldEnd) this.#tellBroken()
    else this.#deliver()
  }

  #tellBroken(): void {
    if (this.#hasToldBroken) return
    this.#hasToldBroken = true
    this.#port?.broken(this.#broken!.cause)
  }

  // -------------------------------------------------------------------------------------------------------------------

  #failOpen(cause: unknown): void {
    if (this.#state === "over" || this.#state === "open") return
    this.#tell(cause instanceof TlsFault ? `is rejected: ${cause.message}` : "is broken")
    this.#stop()
    this.#outcome.failed(cause)
  }

  #stop(): void {
    this.#state = "over"
    this.#isFlowing = false
    this.#held = []
    this.#engine.cancel(this.#timer)
  }

  #tell(note: string): void {
    this.#engine.recording.add("wait", this.#host.name, { note: `tls ${note}` })
  }
}

/** What a web server says to those who came by the wrong door. */
const plainAnswer = new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n")

/** Why a client does not want this server. */
const rejection = (
  { certificate }: ServerHello,
  client: { readonly serverName: string; readonly wallMillis: () => number }
): { readonly alert: Alert; readonly fault: TlsFault } | undefined => {
  const { isTrusted, names, validFromMs, validUntilMs } = certificate
  const now = client.wallMillis()
  if (!isTrusted) return { alert: "unknown_ca", fault: new TlsFault("Untrusted", "the certificate is not trusted") }
  if (now < validFromMs || now >= validUntilMs) {
    return { alert: "certificate_expired", fault: new TlsFault("Expired", "the certificate is not valid now") }
  }
  if (!names.some((name) => isFor(name.toLowerCase(), client.serverName.toLowerCase()))) {
    const fault = new TlsFault("NameMismatch", `the certificate is for ${names.join(", ")}`)
    return { alert: "bad_certificate", fault }
  }
  return undefined
}

/** `*.` stands for one label (RFC 6125). */
const isFor = (name: string, host: string): boolean =>
  name === host || (name.startsWith("*.") && host.indexOf(".") > 0 && name.slice(1) === host.slice(host.indexOf(".")))
