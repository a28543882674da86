/**
 * What happened: typed events in order, each with the one that led to it, and a digest over all of them.
 */
import { Digest, hashBytes } from "./digest.ts"

/** What an event is about. A new kind goes to the end: the digest knows them by number. */
const kinds = [
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
  "gate"
] as const

export type Kind = (typeof kinds)[number]

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

  /** What comes of this event is caused by it, until another task runs. */
  add(kind: Kind, host: string, told: Told): void {
    const { digest } = this
    const seq = this.count++
    const cause = this.cause
    this.cause = seq
    if (digest === undefined && this.#watchers.length === 0) return
    const { fiber, nowNs } = this.context
    const { bytes, connection = -1, direction, from = 0, note = "", to = 0 } = told
    const hash = bytes === undefined || digest === undefined ? 0 : hashBytes(bytes)
    if (digest !== undefined) {
      digest.int(kinds.indexOf(kind))
      digest.number(nowNs)
      digest.text(host)
      digest.int(fiber)
      digest.int(cause)
      if (connection >= 0) {
        digest.int(connection)
        digest.int(direction === undefined ? 0 : direction === "c>s" ? 1 : 2)
        digest.number(from)
        digest.number(to)
        digest.int(hash)
      }
      digest.text(note)
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
}
