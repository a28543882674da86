/**
 * What the processes of a benchmark say to each other. The one that measures asks, over the channel that Node opens to
 * a child; the others answer, one question at a time.
 */

/** What the process under test is to be; each program of `peers` has its own services. */
export interface SubjectOptions {
  readonly service: string
  /** The size of a message, where the service makes messages itself. */
  readonly bytes: number
  /** A sink answers with one byte each time it has received so many. */
  readonly ackBytes: number
  /** Where a relay connects to, on 127.0.0.1. */
  readonly target: number
  /** Whether what passes is hashed: only in the verification, since hashing costs more than moving. */
  readonly isHashed: boolean
  /** Whether the modules of ours are loaded though they are not used, so that the heap is the same. */
  readonly isHeapAlike: boolean
  /** Where it works alone: the size of the pieces in which its input comes. */
  readonly chunkBytes: number
}

/**
 * What the load generator does with the process under test.
 *
 * - `echo`: sends messages and waits until as many bytes have come back, `window` messages in flight on each connection
 * - `send`: sends messages and waits for the acknowledgements of a sink
 * - `receive`: asks for a number of messages and waits until all of their bytes are there
 * - `relay`: sends messages on one connection and waits until they arrive on another
 * - `connect`: connects, exchanges one message and closes, `window` connections at a time
 * - `hold`: connects, exchanges one message and stays
 *
 * With `alone` there is no load: the process under test does it all itself.
 */
export interface LoadOptions {
  readonly kind: "echo" | "send" | "receive" | "relay" | "connect" | "hold" | "alone"
  readonly bytes: number
  readonly connections: number
  readonly window: number
  /** With `alone`: the size of the pieces in which the input comes. */
  readonly chunkBytes?: number
}

export interface LoadSettings extends LoadOptions {
  readonly ackBytes: number
  readonly isHashed: boolean
}

/** What a process under test can be asked for. */
export interface SubjectAnswers {
  /** Begins to listen: the port. */
  readonly start: number
  /** Microseconds of user and system time so far. */
  readonly cpu: number
  /** Resident bytes after two collections. */
  readonly memory: number
  readonly digest: Digest
}

/** What a process that works alone can be asked for: `run` as the load generator. */
export type AloneAnswers = SubjectAnswers & Pick<LoadAnswers, "run">

/** What the load generator can be asked for. */
export interface LoadAnswers {
  /** The port on which it waits for a relay, or 0. */
  readonly start: number
  /** Connects to the port that is given. */
  readonly open: void
  /** Does the number of operations that is given: the seconds that it took. */
  readonly run: number
  readonly digest: Digest
}

/** SHA-256 of all that went out and of all that came in; empty where nothing was hashed. */
export interface Digest {
  readonly sent: string
  readonly received: string
}

export interface Question {
  readonly question: PropertyKey
  readonly argument: number
}

export interface Answer {
  readonly value: unknown
}

/** The same on every socket that is compared: the defaults of ours. */
export const socketOptions = { noDelay: true, allowHalfOpen: true } as const

/** How many connections may wait to be accepted, for every server: the default of ours. */
export const backlog = 128
