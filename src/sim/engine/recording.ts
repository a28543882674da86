/**
 * What happened: typed events in order, each with the one that led to it, and a digest over all of them.
 */
import { Digest, hashBytes, high } from "./digest.ts"

/** What an event is about. A new kind goes to the end: the digest knows them by number. */
export const kinds = [
  "host",
  "link",
  "listen",
  "connect",
  "accept",
  "refuse",
  "write",
  "send",
  "deliver",
  "read",
  "fin",
  "reset",
  "close",
  "wait",
  "fault",
  "mark",
  "print",
  "source",
  "record",
  "lose",
  "gate"
] as const

export type Kind = (typeof kinds)[number]

const kindNumbers = Object.fromEntries(kinds.map((kind, i) => [kind, i])) as Record<Kind, number>

export interface Event {
  /** Counted from 0. */
  readonly seq: number
  readonly atNs: number
  readonly kind: Kind
  readonly host: string
  /** Of the fiber that did it, counted from 1 in this world; 0 where none did. */
  readonly fiber: number
  /** Of the connection, counted from 0; -1 where it is about none. */
  readonly connection: number
  /** Which way bytes go: from the client to the server, or back. */
  readonly direction: "c>s" | "s>c" | undefined
  /** The bytes, as places in their direction: the first, and the one behind the last. */
  readonly from: number
  readonly to: number
  /** Of these bytes. */
  readonly hash: number
  /** The event that led to it; -1 where none did. */
  readonly cause: number
  readonly note: string
}

/** What is told about an event; the rest is known. */
export interface Told {
  readonly connection?: number | undefined
  readonly direction?: "c>s" | "s>c" | undefined
  readonly from?: number | undefined
  readonly to?: number | undefined
  readonly bytes?: Uint8Array | undefined
  readonly note?: string | undefined
}

export class Recording {
  readonly events: Array<Event> = []
  readonly digest: Digest | undefined
  readonly #keeps: boolean
  /** What the digest was after each event, shortened to 32 bits. */
  readonly #history: Array<number> = []
  /** The event that led to what happens now. */
  cause = -1
  count = 0
  /** The time, and the fiber that runs, for those who know. */
  context: { readonly nowNs: number; readonly fiber: number } = { nowNs: 0, fiber: 0 }
  #watchers: Array<(event: Event) => void> = []
  readonly #hosts = new Map<string, number>()
  #hashed: Uint8Array | undefined = undefined
  #hash = 0

  constructor(level: "events" | "digest" | "off") {
    this.#keeps = level === "events"
    this.digest = level === "off" ? undefined : new Digest()
  }

  get history(): ReadonlyArray<number> {
    return this.#history
  }

  /** From now on it hears of each event. */
  watch(watcher: (event: Event) => void): void {
    this.#watchers.push(watcher)
  }

  /** Nobody wants to know: `skip` is all that an event needs. */
  get isOff(): boolean {
    return this.digest === undefined && this.#watchers.length === 0
  }

  /** An event that nobody hears of. */
  skip(): void {
    this.cause = this.count++
  }

  /** What comes of this event is caused by it, until another task runs. */
  add(kind: Kind, host: string, told: Told): void {
    if (this.isOff) return this.skip()
    const { digest } = this
    const seq = this.count++
    const cause = this.cause
    this.cause = seq
    const { fiber, nowNs } = this.context
    const { bytes, connection = -1, direction, from = 0, note = "", to = 0 } = told
    const hash = bytes === undefined || digest === undefined ? 0 : this.#hashOf(bytes)
    if (digest !== undefined) {
      digest.pair(kindNumbers[kind] | (note.length << 8), fiber)
      digest.number(nowNs)
      digest.pair(this.#numberOf(host), cause)
      if (connection >= 0 || bytes !== undefined) {
        digest.pair(connection, direction === undefined ? 0 : direction === "c>s" ? 1 : 2)
        digest.pair(from | 0, to | 0)
        digest.pair(hash, high(to))
      }
      if (note !== "") digest.text(note)
      this.#history.push(digest.word)
    }
    if (!this.#keeps && this.#watchers.length === 0) return
    const event: Event = {
      seq,
      atNs: nowNs,
      kind,
      host,
      fiber,
      connection,
      direction,
      from,
      to,
      hash,
      cause,
      note
    }
    if (this.#keeps) this.events.push(event)
    for (const watcher of this.#watchers) watcher(event)
  }

  /** What is written is mostly sent next, and what is delivered read: the same bytes, which nobody changes between. */
  #hashOf(bytes: Uint8Array): number {
    if (bytes !== this.#hashed) {
      this.#hash = hashBytes(bytes)
      this.#hashed = bytes
    }
    return this.#hash
  }

  /** A name goes into the digest as text once, and then as its number. */
  #numberOf(host: string): number {
    let number = this.#hosts.get(host)
    if (number === undefined) {
      this.#hosts.set(host, number = this.#hosts.size)
      this.digest?.text(host)
    }
    return number
  }
}
