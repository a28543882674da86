/**
 * What happened in a world, as text and as data.
 *
 * Events are numbered per world, from 0, and so are connections; fibers from 1 in the order in which they first ran.
 * Nothing in a trace depends on what ran before in the same process.
 *
 * **Example** (Looking at one connection, and keeping a trace)
 *
 * ```ts import.meta.vitest
 * import { Effect, Result } from "effect"
 * import { Network } from "effect-transport"
 * import { Sim, Trace } from "effect-transport/sim"
 *
 * const refused = Effect.gen(function*() {
 *   const { connect } = yield* Network.Network
 *   yield* Effect.exit(connect("tcp://localhost:7000"))
 * })
 *
 * const { events } = Sim.run(refused, { seed: 42 })
 * events.map(({ kind }) => kind) // => ["connect", "refuse"]
 * Trace.line(events[1]!) // => "0.020000 ms #1 refuse  main connection 0 tcp:7000 ECONNREFUSED (by #0)"
 * Trace.filter(events, { kind: "connect" }).length // => 1
 * Trace.fromNdjson(Trace.ndjson(events)) // => Result.succeed(events)
 * ```
 */
import { dual } from "effect/Function"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { type Event as Recorded, type Kind, kinds } from "./engine/recording.ts"
import { InvalidTrace } from "./SimError.ts"

export type { Kind } from "./engine/recording.ts"

/**
 * Something that happened.
 *
 * **Details**
 *
 * `from` and `to` are places in the bytes of one direction, counted from 0; `hash` is that of the bytes between them, and
 * 0 where there are none. `cause` is the event that led to this one: the write of what is sent, the send of what is
 * delivered, the delivery of what is read where a reader waits for it, else what let the reader go on.
 *
 * @category models
 * @since 0.1.0
 */
export type Event = Recorded

const fields = {
  seq: Schema.Int,
  atNs: Schema.Int,
  kind: Schema.Literals(kinds),
  host: Schema.String,
  fiber: Schema.Int,
  connection: Schema.Int,
  direction: Schema.UndefinedOr(Schema.Literals(["c>s", "s>c"])),
  from: Schema.Int,
  to: Schema.Int,
  hash: Schema.Int,
  cause: Schema.Int,
  note: Schema.String
}

/**
 * The same, as data that is read back.
 *
 * @category models
 * @since 0.1.0
 */
export const Event: Schema.Codec<Event> = Schema.Struct(fields)

/**
 * What each kind of event means. The host is the one at which it happens; where a kind is about the world as a whole, it
 * is empty.
 *
 * @category constants
 * @since 0.1.0
 */
export const meanings: Readonly<Record<Kind, string>> = {
  host:
    "the host booted, was stopped, killed, paused or resumed, lost power, or had its clock changed; the note says what",
  link: "a link was made, cut, or made whole; the note says which",
  listen: "a program listens at the place in the note",
  connect: "a program asks for a connection to the place in the note",
  accept: "the listener's system has the whole connection, and gives it to the program",
  refuse: "a connection could not be opened; the note has the place and the code",
  write: "the sender's system took bytes from the program",
  send: "bytes left the sender's system",
  deliver: "bytes arrived at the receiver's system",
  read: "the program at the receiver was given bytes",
  fin: "the end of this direction left the sender, behind all bytes before its place",
  reset: "a reset left the sender; what it had not sent is lost",
  close: "this end of the connection is gone from its host",
  wait: "a fiber waits; the note says on what",
  fault: "a fault of the plan came up; the note says which",
  mark: "`World.mark` wrote the note",
  print: "a program printed or logged the note",
  source: "a program asked for what the world puts in the place of the real one; the note says for what",
  record: "a record of TLS went by; the note says which",
  lose: "bytes were lost, as a serial line loses them; the note says why",
  gate: "a gate let something through, or has its answer; the note has its name"
}

/**
 * Those events that fit all that is given.
 *
 * @category combinators
 * @since 0.1.0
 */
export const filter: {
  (which: Which): (events: ReadonlyArray<Event>) => ReadonlyArray<Event>
  (events: ReadonlyArray<Event>, which: Which): ReadonlyArray<Event>
} = dual(
  2,
  (events: ReadonlyArray<Event>, { connection, direction, host, kind }: Which): ReadonlyArray<Event> =>
    events.filter((event) =>
      (connection === undefined || event.connection === connection) &&
      (direction === undefined || event.direction === direction) &&
      (host === undefined || event.host === host) &&
      (kind === undefined || event.kind === kind)
    )
)

/**
 * Which events are looked for.
 *
 * @category models
 * @since 0.1.0
 */
export interface Which {
  readonly connection?: number | undefined
  readonly direction?: "c>s" | "s>c" | undefined
  readonly host?: string | undefined
  readonly kind?: Kind | undefined
}

/**
 * One event as a line: when, which, where, who, what, and what led to it.
 *
 * @category converting
 * @since 0.1.0
 */
export const line = (event: Event): string => {
  const { atNs, cause, connection, direction, fiber, from, hash, host, kind, note, seq, to } = event
  const parts = [
    `${(atNs / 1e6).toFixed(6)} ms`,
    `#${seq}`,
    kind.padEnd(7),
    host,
    ...(fiber > 0 ? [`fiber ${fiber}`] : []),
    ...(connection >= 0 ? [`connection ${connection}`] : []),
    ...(direction !== undefined ? [direction] : []),
    ...(to > from ? [`${from}..${to} ${hash.toString(16).padStart(8, "0")}`] : []),
    // In one line, whatever was printed.
    ...(note !== "" ? [note.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r")] : []),
    ...(cause >= 0 ? [`(by #${cause})`] : [])
  ]
  return parts.join(" ")
}

/**
 * All events as text, a line each.
 *
 * @category converting
 * @since 0.1.0
 */
export const text = (events: ReadonlyArray<Event>): string => events.map(line).join("\n")

/**
 * All events as JSON, a line each.
 *
 * @category encoding
 * @since 0.1.0
 */
export const ndjson = (events: ReadonlyArray<Event>): string => events.map((event) => JSON.stringify(event)).join("\n")

/**
 * What `ndjson` wrote. Empty lines are passed over; what is wrong fails with its line.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromNdjson = (text: string): Result.Result<ReadonlyArray<Event>, InvalidTrace> => {
  const events: Array<Event> = []
  for (const [i, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue
    const decoded = decode(line)
    if (Result.isFailure(decoded)) {
      return Result.fail(new InvalidTrace({ line: i + 1, detail: decoded.failure.message }))
    }
    const { direction, ...rest } = decoded.success
    // JSON has no word for nothing.
    events.push({ ...rest, direction })
  }
  return Result.succeed(events)
}

const decode = Schema.decodeUnknownResult(
  Schema.fromJsonString(
    Schema.Struct({ ...fields, direction: Schema.optional(fields.direction) })
  )
)
