/**
 * The records of simulated TLS: the headers of the real ones, and what is inside in the clear. Nothing is encrypted, and a
 * certificate is what it says; what is true to life is the order of things, their borders and their sizes.
 */

/** As in RFC 8446, section 5.1. */
const recordTypes = { alert: 21, handshake: 22, data: 23 } as const

type RecordType = keyof typeof recordTypes

/** The most that one record carries. */
export const recordBytesMax = 16_384

const headerBytes = 5

/** Those that are used, with their numbers (RFC 8446, section 6). */
const alerts = {
  close_notify: 0,
  unexpected_message: 10,
  bad_certificate: 42,
  certificate_expired: 45,
  certificate_unknown: 46,
  unknown_ca: 48,
  internal_error: 80,
  no_application_protocol: 120
} as const

export type Alert = keyof typeof alerts

/** What a certificate says. Times are milliseconds since 1970. */
export interface CertificateData {
  readonly names: ReadonlyArray<string>
  readonly validFromMs: number
  readonly validUntilMs: number
  readonly isTrusted: boolean
}

interface ClientHello {
  readonly _tag: "ClientHello"
  readonly serverName: string
  readonly alpn: ReadonlyArray<string>
}

export interface ServerHello {
  readonly _tag: "ServerHello"
  readonly certificate: CertificateData
  readonly alpn: string | undefined
}

export type Handshake = ClientHello | ServerHello | { readonly _tag: "Finished" }

export type TlsRecord =
  | { readonly type: "handshake"; readonly message: Handshake }
  | { readonly type: "alert"; readonly alert: Alert }
  | { readonly type: "data"; readonly bytes: Uint8Array }

/** What came is no record of TLS. */
export const notTls = Symbol("notTls")

export const handshakeRecord = (message: Handshake): Uint8Array =>
  recordOf("handshake", utf8.encode(JSON.stringify(message)))

export const alertRecord = (alert: Alert): Uint8Array =>
  // A level, which nobody looks at any more, and the number.
  recordOf("alert", Uint8Array.of(alert === "close_notify" ? 1 : 2, alerts[alert]))

/** At most `recordBytesMax` of them. */
export const dataRecord = (bytes: Uint8Array): Uint8Array => recordOf("data", bytes)

const recordOf = (type: RecordType, payload: Uint8Array): Uint8Array => {
  const record = new Uint8Array(headerBytes + payload.length)
  record.set([recordTypes[type], 3, 3, payload.length >> 8, payload.length & 255])
  record.set(payload, headerBytes)
  return record
}

/** Finds the records in what arrives. */
export class RecordReader {
  #chunks: Array<Uint8Array> = []
  #bytes = 0

  add(chunk: Uint8Array): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The next record; nothing where it is not all there. */
  next(): TlsRecord | typeof notTls | undefined {
    if (this.#bytes === 0) return undefined
    const head = this.#peek(Math.min(headerBytes, this.#bytes))
    const type = typeOf(head[0]!)
    if (type === undefined || (head.length > 1 && head[1] !== 3)) return notTls
    if (head.length < headerBytes) return undefined
    const length = (head[3]! << 8) | head[4]!
    if (length > recordBytesMax) return notTls
    if (this.#bytes < headerBytes + length) return undefined
    const payload = this.#take(headerBytes + length).subarray(headerBytes)
    return type === "data" ? { type, bytes: payload } : type === "alert" ? alertOf(payload) : messageOf(payload)
  }

  /** All in one piece, so that records are views of it. */
  #peek(bytes: number): Uint8Array {
    const first = this.#chunks[0]!
    if (first.length >= bytes) return first.subarray(0, bytes)
    const whole = new Uint8Array(this.#bytes)
    let at = 0
    for (const chunk of this.#chunks) {
      whole.set(chunk, at)
      at += chunk.length
    }
    this.#chunks = [whole]
    return whole.subarray(0, bytes)
  }

  #take(bytes: number): Uint8Array {
    const piece = this.#peek(bytes)
    const first = this.#chunks[0]!
    if (first.length === bytes) this.#chunks.shift()
    else this.#chunks[0] = first.subarray(bytes)
    this.#bytes -= bytes
    // A copy: a record that is kept is not to pin all that came with it.
    return piece.slice()
  }
}

const typeOf = (byte: number): RecordType | undefined => {
  switch (byte) {
    case recordTypes.alert:
      return "alert"
    case recordTypes.handshake:
      return "handshake"
    case recordTypes.data:
      return "data"
    default:
      return undefined
  }
}

const alertOf = (payload: Uint8Array): TlsRecord | typeof notTls => {
  const found = Object.entries(alerts).find(([, number]) => number === payload[1])
  return found === undefined || payload.length !== 2 ? notTls : { type: "alert", alert: found[0] as Alert }
}

const messageOf = (payload: Uint8Array): TlsRecord | typeof notTls => {
  const message = parsed(text.decode(payload))
  return message === undefined ? notTls : { type: "handshake", message }
}

const parsed = (json: string): Handshake | undefined => {
  try {
    const message: unknown = JSON.parse(json)
    const isOurs = typeof message === "object" && message !== null && "_tag" in message &&
      (message._tag === "ClientHello" || message._tag === "ServerHello" || message._tag === "Finished")
    return isOurs ? message as Handshake : undefined
  } catch (cause) {
    // Whoever speaks real TLS here is no peer of this one.
    if (cause instanceof SyntaxError) return undefined
    throw cause
  }
}

const utf8 = new TextEncoder()
const text = new TextDecoder()
