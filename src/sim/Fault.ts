/**
 * What can go wrong in a world: faults as data, addressed by meaning, and plans of them.
 *
 * A fault says where it is due: the number of a connection (from 0, in the order in which the openings of the world
 * begin, refused ones too), a direction (`"c>s"` from who opened it, `"s>c"` to it) and a byte offset; a host, or a path
 * of one; groups of hosts; a time since the world began; or a mark (`World.mark`). It fires when that comes up, once. One
 * that never comes up fails the run with `Unfired`, unless it is `optional`. Where its time has come before its host, path
 * or connection is there, it fires as soon as that is.
 *
 * Bytes are conserved: whatever fires, a receiver reads a prefix of what was sent, in order, and bytes are lost only
 * where a side sees a reset, or a direction never ends. A serial line promises less: its faults lose and change bytes, and
 * nobody is told. "Reset" below is the reason of a `TransportError`; a side that "sees nothing" waits.
 *
 * | kind | who opens, sends, or is there | the other side | as the kernel does |
 * | --- | --- | --- | --- |
 * | `refused` | `Refused` after a round trip | nothing | RST for the SYN |
 * | `blackhole` | `TimedOut` (`connect`) after 127 s | nothing | SYNs are sent again for 127 s |
 * | `slowConnect` | is connected so much later | accepts so much later | the SYN is late |
 * | `resetAfterAccept` | is connected, then Reset | accepts, then Reset | RST right behind the handshake |
 * | `acceptStall` | is connected at once, may write | accepts so much later, then sees all bytes | the queue of accepted ones waits |
 * | `acceptFails` | is connected at once | `accept` fails (`Failed`, cause `EMFILE`); accepts so much later | no descriptor; it stays in the queue |
 * | `backlogFull` | is connected at the first try after that time: 1, 3, 7, 15, 31 or 63 s, else `TimedOut` | accepts then | a full queue drops SYNs |
 * | `addressInUse` | the host's n-th `listen` (from 0) fails with `Busy` | who connects there is `Refused` | EADDRINUSE |
 * | `noPorts` | `Failed`, cause `EADDRNOTAVAIL`, at once | nothing | all ephemeral ports are taken |
 * | `noDescriptors` | `Failed`, cause `EMFILE`, at once | nothing | the table of descriptors is full |
 * | `noName` | `NameNotFound` at once | nothing | the resolver answers NXDOMAIN |
 * | `slowName` | is connected so much later | accepts so much later | the resolver is slow |
 * | `rotatedName` | tries `first`, and the right one when that fails, or 250 ms later; whichever is first counts | accepts that much later, or never where `first` listens | several addresses, a wrong one first |
 * | `delay` | nothing | bytes from there on come so much later | packets on a slow way, once |
 * | `jitter` | nothing | each piece from there on is late by up to so much, in order | a busy way |
 * | `bandwidth` | a full buffer, where it writes more | bytes from there on come at this rate | a thin way |
 * | `coalesce` | nothing | what comes within a window comes at its end in one piece | interrupt coalescing, GRO |
 * | `stall` | a full buffer, where it writes more | no byte from there on, nor the end, for so long | nothing is sent; by the `receiver`, a window of zero |
 * | `clog` | a full buffer, where it writes more | nothing arrives for so long, then all, in order | a queue on the way that stands |
 * | `trickle` | a full buffer, where it writes more | that many bytes come one by one | segments of one byte |
 * | `fragment` | nothing | the bytes before and behind come in two pieces | two segments |
 * | `shortWrite` | a large write takes so much longer | the bytes behind come in another piece, so much later | `write` takes a part, the socket is writable later |
 * | `shortRead` | nothing | no read from there on has more bytes | `read` gives a part |
 * | `slowReader` | a full buffer, where it writes more | reads from there on at this rate, ten times a second | the window follows the reader |
 * | `buffer` | writes wait at fewer (or more) bytes | less (or more) is on its way at once | SO_SNDBUF, SO_RCVBUF |
 * | `finDelay` | has ended | the end comes so much later | the FIN is late |
 * | `finLost` | has ended | never sees the end; Reset if it writes after the sender is gone | the FIN is lost, for good |
 * | `cut` | Reset | that many bytes, then the end (`fin`) or Reset (`rst`) | a middlebox ends it |
 * | `reset` | Reset | Reset; with `unread: "lost"`, both without what was still with their systems | RST to both ends, behind what is on its way |
 * | `resetMidWrite` | Reset, in the write that has this byte | the bytes before, then Reset | RST while `write` is under way |
 * | `closeHang` | its end takes so much longer; `close` fails with `TimedOut` (`flush`) where that is more than its limit | the end so much later, or Reset | unsent data at close |
 * | `lateWriteError` | the write succeeds; Reset so much later | nothing from that byte on | retransmissions run out |
 * | `idleDrop` | after so long without a byte, its next one is lost: Reset after a round trip (`rst`), or after 924.6 s (`silence`) | nothing | a middlebox forgets the connection |
 * | `keepaliveExpiry` | its side: Reset | nothing; Reset if it writes | ETIMEDOUT by keepalive |
 * | `stop` | finalizers run; its programs end | peers see the end, or Reset where input was unread | SIGTERM |
 * | `kill` | no finalizer runs | as with `stop` | SIGKILL; the system closes |
 * | `powerOff` | no finalizer runs | nothing | no packet any more |
 * | `restart` | ends `by` one of the three, boots again after `downNs`, with its disk or an empty one | as the end says; connects again later | reboot |
 * | `pause` | stands still; its timers are late | nothing; writes are taken until buffers are full | SIGSTOP, SIGCONT |
 * | `clockJump` | its time of day jumps; timers stay | nothing | settimeofday |
 * | `clockDrift` | its clock and timers go faster by so many millionths | nothing | a bad crystal |
 * | `slowCpu` | each task of its programs takes so much time | answers late | a busy machine |
 * | `tlsHandshakeStall` | a server: hands out nothing; all is well where it lasts less than 10 s | a client: `TimedOut` (`handshake`) after 10 s | no ClientHello is answered |
 * | `tlsUntrusted` | a server: hands out nothing | a client: `TlsRejected` (`Untrusted`) | an issuer that is unknown |
 * | `tlsExpired` | a server: hands out nothing | a client: `TlsRejected` (`Expired`) | a certificate past its time |
 * | `tlsWrongName` | a server: hands out nothing | a client: `TlsRejected` (`NameMismatch`) | a certificate of another host |
 * | `tlsAlpnMismatch` | a client: `TlsRejected` (`NoCommonProtocol`); a server: hands out nothing | the same, where it names protocols; else nothing | no protocol is common to both |
 * | `tlsPlaintextPeer` | a server: hands out nothing | a client: `TlsRejected` (`PlaintextPeer`) | another service at that port |
 * | `tlsMissingCloseNotify` | has ended | all that was sent, then `Truncated`; the end where that is ignored | the end of TCP alone |
 * | `tlsAlert` | `TlsRejected` (`Other`) at the write | what was sent before, then `TlsRejected` (`Other`) | the alert internal_error |
 * | `unixStalePath` | who listens takes it over | who connects is `Refused` | a file without a listener |
 * | `pathPermissionDenied` | `PermissionDenied`, to connect and to listen | nothing | EACCES |
 * | `fifoReaderGone` | writes: Reset, at once where it waits for room, else at the next | reads: `Disconnected` | EPIPE |
 * | `fifoWriterGone` | writes: `Disconnected`; what the pipe had no room for is lost | reads all that was written, then the end | the last writer died |
 * | `serialGarble` | nothing | that many bytes are others | parity and framing errors |
 * | `serialOverrun` | nothing | that many bytes are missing | an overrun of the UART |
 * | `serialBreak` | a full buffer, where it writes more | a NUL after so long, then what was sent since | BREAK |
 * | `serialGarbage` | nothing | all bytes are others | rates that differ |
 * | `serialStall` | a full buffer, where it writes more | nothing for so long, then all | RTS, XOFF |
 * | `serialUnplug` | `Disconnected`; a later open `NotFound` until it is plugged in | nothing; what is sent to it is lost | an adapter is pulled out |
 * | `serialPlug` | can be opened again | nothing | it is put in again |
 * | `partition` | `queue`: nothing; `slow`: nothing; `drop`: Reset when it sends | `queue`: bytes come after the heal, when TCP tries again; `slow`: so much later; `drop`: nothing | packets are dropped; `drop`: until TCP gives up |
 * | `flap` | nothing | bytes come late, when TCP tries again while the way is up | a bad plug |
 * | `swizzleClog` | nothing | some of the hosts are cut off one by one, and joined again in another order | packets are dropped |
 * | `heal` | whatever lasts ends: partitions, flaps, clogs, stalls, jitter, rates, pauses, slowness, and what TLS, paths and devices have for a time | the same | |
 *
 * Some names mean the same here, and are one kind: a burst is one window of `coalesce`, a zero window a `stall` by the
 * receiver, a clock's offset a jump at the start.
 *
 * **Example** (A header cut in two, and a server that is killed at a mark)
 *
 * ```ts import.meta.vitest
 * import { Fault } from "effect-transport/sim"
 *
 * const plan = [
 *   Fault.fragment({ connection: 0, direction: "c>s", at: 1 }),
 *   Fault.restart({ host: "server", when: { mark: "commit", nth: 3 }, by: "kill", down: "2 seconds" })
 * ]
 *
 * plan.map(Fault.name) // => ["fragment (connection 0 c>s at 1)", "restart (server at mark commit 3)"]
 * ```
 */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import { isCount } from "../internal/check.ts"
import { draw } from "./faults/drawing.ts"
import { connect, end, flow, net, ofHosts, path, serial, tls, type When as WhenSchema } from "./faults/fields.ts"
import { InvalidWorld } from "./SimError.ts"

/**
 * All kinds of fault.
 *
 * @category models
 * @since 0.1.0
 */
export const Fault = Schema.TaggedUnion({ ...connect, ...flow, ...end, ...ofHosts, ...tls, ...path, ...serial, ...net })

/**
 * Something that goes wrong, as data.
 *
 * @category models
 * @since 0.1.0
 */
export type Fault = typeof Fault.Type

/**
 * The name of a kind.
 *
 * @category models
 * @since 0.1.0
 */
export type Kind = Fault["_tag"]

/**
 * Faults that a run is to have.
 *
 * @category models
 * @since 0.1.0
 */
export const Plan = Schema.Array(Fault)

/**
 * Faults that a run is to have.
 *
 * @category models
 * @since 0.1.0
 */
export type Plan = typeof Plan.Type

/**
 * The kinds of each family.
 *
 * @category models
 * @since 0.1.0
 */
export const families = {
  connect: Object.keys(connect) as ReadonlyArray<keyof typeof connect>,
  flow: Object.keys(flow) as ReadonlyArray<keyof typeof flow>,
  end: Object.keys(end) as ReadonlyArray<keyof typeof end>,
  host: Object.keys(ofHosts) as ReadonlyArray<keyof typeof ofHosts>,
  tls: Object.keys(tls) as ReadonlyArray<keyof typeof tls>,
  path: Object.keys(path) as ReadonlyArray<keyof typeof path>,
  serial: Object.keys(serial) as ReadonlyArray<keyof typeof serial>,
  net: Object.keys(net) as ReadonlyArray<keyof typeof net>
} as const

/**
 * A group of kinds.
 *
 * @category models
 * @since 0.1.0
 */
export type Family = keyof typeof families

/**
 * A time since the world began, or a mark (`World.mark`) the n-th time that it is seen (default 1, the first).
 *
 * @category models
 * @since 0.1.0
 */
export type When = Duration.Input | { readonly mark: string; readonly nth?: number | undefined }

/**
 * The opening of a connection, or a connection as a whole.
 *
 * @category models
 * @since 0.1.0
 */
export interface Opening {
  /** In the order in which openings begin, from 0. */
  readonly connection: number
  /** It may go unfired. Default false. */
  readonly optional?: boolean | undefined
}

/**
 * One direction of a connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Way extends Opening {
  /** From who opened it (the client, `"c>s"`), or to it (`"s>c"`). */
  readonly direction: "c>s" | "s>c"
}

/**
 * A byte in one direction of a connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Place extends Way {
  /** It fires before this byte. Default 0, the first. */
  readonly at?: number | undefined
}

/**
 * A host, at a time.
 *
 * @category models
 * @since 0.1.0
 */
export interface OnHost {
  /** Its name. That of the world's own host, `main`, is refused where the host is to end or to stand still. */
  readonly host: string
  readonly when: When
  readonly optional?: boolean | undefined
}

/**
 * A path of a host, at a time.
 *
 * @category models
 * @since 0.1.0
 */
export interface OnPath extends OnHost {
  /** Of a Unix socket, a named pipe or a serial device. One that is never made, and no socket asked for there, never comes up. */
  readonly path: string
}

/**
 * Where a path is.
 *
 * @category models
 * @since 0.1.0
 */
export interface OfHost {
  readonly host: string
  readonly path: string
}

/**
 * What has come of a fault in a run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Outcome {
  readonly fault: Fault
  /** As `name` has it; where a plan has several of one name, with their number. */
  readonly name: string
  /** Nanoseconds since the world began; nothing for one that never came up. */
  readonly firedNs: number | undefined
}

// ---------------------------------------------------------------------------------------------------------------------
// Converting
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What a fault is called: its kind, and where it is due.
 *
 * @category converting
 * @since 0.1.0
 */
export const name = (fault: Fault): string => {
  const parts: Array<string> = []
  if ("connection" in fault) parts.push(`connection ${fault.connection}`)
  if ("direction" in fault) parts.push(fault.direction)
  if ("at" in fault) parts.push(`at ${fault.at}`)
  if ("side" in fault) parts.push(fault.side)
  if ("host" in fault) parts.push(fault.host)
  if ("path" in fault) parts.push(fault.path)
  if ("listen" in fault) parts.push(`listen ${fault.listen}`)
  if ("groups" in fault) parts.push(fault.groups.map((group) => group.join(",")).join(" | "))
  if ("hosts" in fault) parts.push(fault.hosts.join(","))
  if ("when" in fault) {
    parts.push(
      fault.when._tag === "at" ? `at ${fault.when.ns / 1e6} ms` : `at mark ${fault.when.name} ${fault.when.nth}`
    )
  }
  return `${fault._tag} (${parts.join(" ")})`
}

/**
 * Checks a plan that came from somewhere, as `Sim.run` does. The failure names the field: `faults[2].forNs`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const check = (plan: unknown): Result.Result<Plan, InvalidWorld> =>
  Result.mapError(decode(plan), (issue) => {
    const { message, path = [] } = SchemaIssue.makeFormatterStandardSchemaV1()(issue).issues[0]!
    const keys = path.map((part) => typeof part === "object" ? part.key : part)
    const actual = keys.reduce((at: unknown, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], plan)
    const tag = (actual as { readonly _tag?: unknown } | null | undefined)?._tag
    const isUnknownKind = keys.length === 1 && !(typeof tag === "string" && tag in Fault.cases)
    return new InvalidWorld({
      field: "faults" + keys.map((key) => typeof key === "number" ? `[${key}]` : `.${String(key)}`).join("") +
        (isUnknownKind ? "._tag" : ""),
      expected: isUnknownKind ? "a kind of fault" : message.replace(/^Expected /, ""),
      actual: isUnknownKind ? tag : actual
    })
  })

const decode = SchemaParser.decodeUnknownResult(Plan, { onExcessProperty: "error" })

// ---------------------------------------------------------------------------------------------------------------------
// Constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The opening is refused.
 *
 * @category constructors
 * @since 0.1.0
 */
export const refused = (options: Opening): Fault => ({
  _tag: "refused",
  ...openingOf(options)
})

/**
 * Nobody answers the opening.
 *
 * @category constructors
 * @since 0.1.0
 */
export const blackhole = (options: Opening): Fault => ({
  _tag: "blackhole",
  ...openingOf(options)
})

/**
 * The opening arrives late.
 *
 * @category constructors
 * @since 0.1.0
 */
export const slowConnect = (options: Opening & { readonly by: Duration.Input }): Fault => ({
  _tag: "slowConnect",
  ...openingOf(options),
  byNs: nanosOf(options.by)
})

/**
 * The connection is reset as soon as it is accepted.
 *
 * @category constructors
 * @since 0.1.0
 */
export const resetAfterAccept = (options: Opening): Fault => ({
  _tag: "resetAfterAccept",
  ...openingOf(options)
})

/**
 * The connection waits so long to be accepted.
 *
 * @category constructors
 * @since 0.1.0
 */
export const acceptStall = (options: Opening & { readonly for: Duration.Input }): Fault => ({
  _tag: "acceptStall",
  ...openingOf(options),
  forNs: nanosOf(options.for)
})

/**
 * `accept` fails for want of a descriptor, and the connection waits so long for the next try.
 *
 * @category constructors
 * @since 0.1.0
 */
export const acceptFails = (options: Opening & { readonly for: Duration.Input }): Fault => ({
  _tag: "acceptFails",
  ...openingOf(options),
  forNs: nanosOf(options.for)
})

/**
 * The queue of the listener is full for so long, and drops the opening.
 *
 * @category constructors
 * @since 0.1.0
 */
export const backlogFull = (options: Opening & { readonly for: Duration.Input }): Fault => ({
  _tag: "backlogFull",
  ...openingOf(options),
  forNs: nanosOf(options.for)
})

/**
 * A host's n-th `listen` (default 0, the first) finds the address taken.
 *
 * @category constructors
 * @since 0.1.0
 */
export const addressInUse = (
  options: { readonly host: string; readonly listen?: number | undefined; readonly optional?: boolean | undefined }
): Fault => ({ _tag: "addressInUse", host: options.host, listen: options.listen ?? 0, ...optionalOf(options) })

/**
 * Who opens has no port left.
 *
 * @category constructors
 * @since 0.1.0
 */
export const noPorts = (options: Opening): Fault => ({
  _tag: "noPorts",
  ...openingOf(options)
})

/**
 * Who opens has no descriptor left.
 *
 * @category constructors
 * @since 0.1.0
 */
export const noDescriptors = (options: Opening): Fault => ({
  _tag: "noDescriptors",
  ...openingOf(options)
})

/**
 * The name has no address.
 *
 * @category constructors
 * @since 0.1.0
 */
export const noName = (options: Opening): Fault => ({
  _tag: "noName",
  ...openingOf(options)
})

/**
 * The address of the name comes late.
 *
 * @category constructors
 * @since 0.1.0
 */
export const slowName = (options: Opening & { readonly by: Duration.Input }): Fault => ({
  _tag: "slowName",
  ...openingOf(options),
  byNs: nanosOf(options.by)
})

/**
 * The name leads to another address first: of a host by its name, or one that nobody has.
 *
 * @category constructors
 * @since 0.1.0
 */
export const rotatedName = (options: Opening & { readonly first: string }): Fault => ({
  _tag: "rotatedName",
  ...openingOf(options),
  first: options.first
})

/**
 * What follows arrives later, once.
 *
 * @category constructors
 * @since 0.1.0
 */
export const delay = (options: Place & { readonly by: Duration.Input }): Fault => ({
  _tag: "delay",
  ...placeOf(options),
  byNs: nanosOf(options.by)
})

/**
 * Each piece that follows arrives later by up to so much, as a stream of random numbers of the fault's own has it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const jitter = (options: Place & { readonly upTo: Duration.Input }): Fault => ({
  _tag: "jitter",
  ...placeOf(options),
  upToNs: nanosOf(options.upTo)
})

/**
 * What follows goes at this rate.
 *
 * @category constructors
 * @since 0.1.0
 */
export const bandwidth = (options: Place & { readonly bytesPerSecond: number }): Fault => ({
  _tag: "bandwidth",
  ...placeOf(options),
  bytesPerSecond: options.bytesPerSecond
})

/**
 * What arrives within a window arrives at its end, in one piece; so many windows (default for ever).
 *
 * @category constructors
 * @since 0.1.0
 */
export const coalesce = (
  options: Place & { readonly window: Duration.Input; readonly windows?: number | undefined }
): Fault => ({
  _tag: "coalesce",
  ...placeOf(options),
  windowNs: nanosOf(options.window),
  windows: options.windows ?? Number.MAX_SAFE_INTEGER
})

/**
 * What arrives within one window arrives at its end, in one piece: `coalesce` once.
 *
 * @category constructors
 * @since 0.1.0
 */
export const burst = (options: Place & { readonly window: Duration.Input }): Fault =>
  coalesce({ ...options, windows: 1 })

/**
 * Nothing more is sent for so long.
 *
 * @category constructors
 * @since 0.1.0
 */
export const stall = (options: Place & { readonly for: Duration.Input }): Fault => ({
  _tag: "stall",
  ...placeOf(options),
  forNs: nanosOf(options.for),
  by: "sender"
})

/**
 * The receiver has no room for so long: a `stall` by the receiver.
 *
 * @category constructors
 * @since 0.1.0
 */
export const zeroWindow = (options: Place & { readonly for: Duration.Input }): Fault => ({
  _tag: "stall",
  ...placeOf(options),
  forNs: nanosOf(options.for),
  by: "receiver"
})

/**
 * What was sent stands still on its way, for so long.
 *
 * @category constructors
 * @since 0.1.0
 */
export const clog = (options: Way & { readonly when: When; readonly for: Duration.Input }): Fault => ({
  _tag: "clog",
  ...wayOf(options),
  when: whenOf(options.when),
  forNs: nanosOf(options.for)
})

/**
 * So many bytes go one by one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const trickle = (options: Place & { readonly bytes: number; readonly every: Duration.Input }): Fault => ({
  _tag: "trickle",
  ...placeOf(options),
  bytes: options.bytes,
  everyNs: nanosOf(options.every)
})

/**
 * No read has both the byte before and the byte at this place.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fragment = (options: Way & { readonly at: number }): Fault => ({
  _tag: "fragment",
  ...wayOf(options),
  at: options.at
})

/**
 * The system takes what is before this byte, and the rest of the write so much later.
 *
 * @category constructors
 * @since 0.1.0
 */
export const shortWrite = (options: Way & { readonly at: number; readonly for: Duration.Input }): Fault => ({
  _tag: "shortWrite",
  ...wayOf(options),
  at: options.at,
  forNs: nanosOf(options.for)
})

/**
 * No read has more bytes, from this place on.
 *
 * @category constructors
 * @since 0.1.0
 */
export const shortRead = (options: Place & { readonly bytesMax: number }): Fault => ({
  _tag: "shortRead",
  ...placeOf(options),
  bytesMax: options.bytesMax
})

/**
 * The receiver reads at this rate, from this place on.
 *
 * @category constructors
 * @since 0.1.0
 */
export const slowReader = (options: Place & { readonly bytesPerSecond: number }): Fault => ({
  _tag: "slowReader",
  ...placeOf(options),
  bytesPerSecond: options.bytesPerSecond
})

/**
 * One side's buffer has this size.
 *
 * @category constructors
 * @since 0.1.0
 */
export const buffer = (options: Way & { readonly side: "send" | "receive"; readonly bytes: number }): Fault => ({
  _tag: "buffer",
  ...wayOf(options),
  side: options.side,
  bytes: options.bytes
})

/**
 * The end comes late.
 *
 * @category constructors
 * @since 0.1.0
 */
export const finDelay = (options: Way & { readonly by: Duration.Input }): Fault => ({
  _tag: "finDelay",
  ...wayOf(options),
  byNs: nanosOf(options.by)
})

/**
 * The end never comes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const finLost = (options: Way): Fault => ({
  _tag: "finLost",
  ...wayOf(options)
})

/**
 * The direction ends behind so many bytes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const cut = (options: Way & { readonly at: number; readonly end: "fin" | "rst" }): Fault => ({
  _tag: "cut",
  ...wayOf(options),
  at: options.at,
  end: options.end
})

/**
 * Both ends are reset. What their systems have for them is kept, as on Linux, or lost.
 *
 * @category constructors
 * @since 0.1.0
 */
export const reset = (
  options: Opening & { readonly when: When; readonly unread?: "kept" | "lost" | undefined }
): Fault => ({
  _tag: "reset",
  ...openingOf(options),
  when: whenOf(options.when),
  unread: options.unread ?? "kept"
})

/**
 * The connection is reset within the write that has this byte.
 *
 * @category constructors
 * @since 0.1.0
 */
export const resetMidWrite = (options: Way & { readonly at: number }): Fault => ({
  _tag: "resetMidWrite",
  ...wayOf(options),
  at: options.at
})

/**
 * The sender's end takes so much longer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const closeHang = (options: Way & { readonly for: Duration.Input }): Fault => ({
  _tag: "closeHang",
  ...wayOf(options),
  forNs: nanosOf(options.for)
})

/**
 * What is written from this byte on is taken, never arrives, and so much later the sender learns of it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const lateWriteError = (options: Place & { readonly after: Duration.Input }): Fault => ({
  _tag: "lateWriteError",
  ...placeOf(options),
  afterNs: nanosOf(options.after)
})

/**
 * After so long without traffic, what is sent is lost.
 *
 * @category constructors
 * @since 0.1.0
 */
export const idleDrop = (
  options: Opening & { readonly after: Duration.Input; readonly answer: "silence" | "rst" }
): Fault => ({
  _tag: "idleDrop",
  ...openingOf(options),
  afterNs: nanosOf(options.after),
  answer: options.answer
})

/**
 * One side believes the other gone.
 *
 * @category constructors
 * @since 0.1.0
 */
export const keepaliveExpiry = (
  options: Opening & { readonly side: "client" | "server"; readonly when: When }
): Fault => ({
  _tag: "keepaliveExpiry",
  ...openingOf(options),
  side: options.side,
  when: whenOf(options.when)
})

/**
 * The host ends in order.
 *
 * @category constructors
 * @since 0.1.0
 */
export const stop = (options: OnHost): Fault => ({
  _tag: "stop",
  ...onHostOf(options)
})

/**
 * The host's programs are killed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const kill = (options: OnHost): Fault => ({
  _tag: "kill",
  ...onHostOf(options)
})

/**
 * The host is without power.
 *
 * @category constructors
 * @since 0.1.0
 */
export const powerOff = (options: OnHost): Fault => ({
  _tag: "powerOff",
  ...onHostOf(options)
})

/**
 * The host ends, and boots again after so long (default at once), with its disk (default kept) or an empty one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const restart = (
  options: OnHost & {
    readonly by: "stop" | "kill" | "powerOff"
    readonly down?: Duration.Input | undefined
    readonly disk?: "kept" | "lost" | undefined
  }
): Fault => ({
  _tag: "restart",
  ...onHostOf(options),
  by: options.by,
  downNs: nanosOf(options.down ?? 0),
  disk: options.disk ?? "kept"
})

/**
 * The host stands still for so long.
 *
 * @category constructors
 * @since 0.1.0
 */
export const pause = (options: OnHost & { readonly for: Duration.Input }): Fault => ({
  _tag: "pause",
  ...onHostOf(options),
  forNs: nanosOf(options.for)
})

/**
 * The host's time of day jumps; less than 0 is back.
 *
 * @category constructors
 * @since 0.1.0
 */
export const clockJump = (options: OnHost & { readonly by: Duration.Input }): Fault => ({
  _tag: "clockJump",
  ...onHostOf(options),
  byNs: nanosOf(options.by)
})

/**
 * The host's time of day is off from the start: `clockJump` then.
 *
 * @category constructors
 * @since 0.1.0
 */
export const clockOffset = (options: Omit<OnHost, "when"> & { readonly by: Duration.Input }): Fault =>
  clockJump({ ...options, when: 0 })

/**
 * The host's clock goes faster by so many millionths; less than 0 is slower.
 *
 * @category constructors
 * @since 0.1.0
 */
export const clockDrift = (options: OnHost & { readonly ppm: number }): Fault => ({
  _tag: "clockDrift",
  ...onHostOf(options),
  ppm: options.ppm
})

/**
 * Each task of the host's programs takes so much time, for so long.
 *
 * @category constructors
 * @since 0.1.0
 */
export const slowCpu = (options: OnHost & { readonly for: Duration.Input; readonly step: Duration.Input }): Fault => ({
  _tag: "slowCpu",
  ...onHostOf(options),
  forNs: nanosOf(options.for),
  stepNs: nanosOf(options.step)
})

/**
 * For so long the host, as a server, answers no handshake.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tlsHandshakeStall = (options: OnHost & { readonly for: Duration.Input }): Fault => ({
  _tag: "tlsHandshakeStall",
  ...onHostOf(options),
  forNs: nanosOf(options.for)
})

/**
 * For so long no client knows who issued the certificate that the host shows.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tlsUntrusted = (options: OnHost & { readonly for: Duration.Input }): Fault => ({
  _tag: "tlsUntrusted",
  ...onHostOf(options),
  forNs: nanosOf(options.for)
})

/**
 * For so long the certificate that the host shows has expired, by any clock.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tlsExpired = (options: OnHost & { readonly for: Duration.Input }): Fault => ({
  _tag: "tlsExpired",
  ...onHostOf(options),
  forNs: nanosOf(options.for)
})

/**
 * For so long the certificate that the host shows is for another one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tlsWrongName = (options: OnHost & { readonly for: Duration.Input }): Fault => ({
  _tag: "tlsWrongName",
  ...onHostOf(options),
  forNs: nanosOf(options.for)
})

/**
 * For so long the host speaks a protocol of its own, as client and as server. It is nothing to peers that name none by ALPN.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tlsAlpnMismatch = (options: OnHost & { readonly for: Duration.Input }): Fault => ({
  _tag: "tlsAlpnMismatch",
  ...onHostOf(options),
  forNs: nanosOf(options.for)
})

/**
 * For so long the host, as a server, answers clients in the clear.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tlsPlaintextPeer = (options: OnHost & { readonly for: Duration.Input }): Fault => ({
  _tag: "tlsPlaintextPeer",
  ...onHostOf(options),
  forNs: nanosOf(options.for)
})

/**
 * For so long what the host ends has no close_notify.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tlsMissingCloseNotify = (options: OnHost & { readonly for: Duration.Input }): Fault => ({
  _tag: "tlsMissingCloseNotify",
  ...onHostOf(options),
  forNs: nanosOf(options.for)
})

/**
 * For so long a connection of the host that has sent so many records of data sends an alert instead of the next. Where
 * several of these last at once, the fewest records count.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tlsAlert = (options: OnHost & { readonly records: number; readonly for: Duration.Input }): Fault => ({
  _tag: "tlsAlert",
  ...onHostOf(options),
  forNs: nanosOf(options.for),
  records: options.records
})

/**
 * The file of a Unix socket is left by a listener that has died: at that time, or when whoever listens there then stops.
 *
 * @category constructors
 * @since 0.1.0
 */
export const unixStalePath = (options: OnPath): Fault => ({
  _tag: "unixStalePath",
  ...onPathOf(options)
})

/**
 * For so long programs of the host may not open the path: a socket, a named pipe or a device. What is open stays.
 *
 * @category constructors
 * @since 0.1.0
 */
export const pathPermissionDenied = (options: OnPath & { readonly for: Duration.Input }): Fault => ({
  _tag: "pathPermissionDenied",
  ...onPathOf(options),
  forNs: nanosOf(options.for)
})

/**
 * Whoever reads the named pipe is gone; where nobody does, as soon as somebody does.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fifoReaderGone = (options: OnPath): Fault => ({
  _tag: "fifoReaderGone",
  ...onPathOf(options)
})

/**
 * Whoever writes to the named pipe is gone; where nobody does, as soon as somebody does.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fifoWriterGone = (options: OnPath): Fault => ({
  _tag: "fifoWriterGone",
  ...onPathOf(options)
})

/**
 * The next bytes that arrive from the device are others.
 *
 * @category constructors
 * @since 0.1.0
 */
export const serialGarble = (options: OnPath & { readonly bytes: number }): Fault => ({
  _tag: "serialGarble",
  ...onPathOf(options),
  bytes: options.bytes
})

/**
 * The next bytes from the device are lost at the other end.
 *
 * @category constructors
 * @since 0.1.0
 */
export const serialOverrun = (options: OnPath & { readonly bytes: number }): Fault => ({
  _tag: "serialOverrun",
  ...onPathOf(options),
  bytes: options.bytes
})

/**
 * The device holds the line low for so long.
 *
 * @category constructors
 * @since 0.1.0
 */
export const serialBreak = (options: OnPath & { readonly for: Duration.Input }): Fault => ({
  _tag: "serialBreak",
  ...onPathOf(options),
  forNs: nanosOf(options.for)
})

/**
 * For so long all that arrives from the device is garbage, as where the rates differ.
 *
 * @category constructors
 * @since 0.1.0
 */
export const serialGarbage = (options: OnPath & { readonly for: Duration.Input }): Fault => ({
  _tag: "serialGarbage",
  ...onPathOf(options),
  forNs: nanosOf(options.for)
})

/**
 * For so long the other end says stop to the device, by RTS or XOFF.
 *
 * @category constructors
 * @since 0.1.0
 */
export const serialStall = (options: OnPath & { readonly for: Duration.Input }): Fault => ({
  _tag: "serialStall",
  ...onPathOf(options),
  forNs: nanosOf(options.for)
})

/**
 * The device is pulled out of its host, and plugged in again after so long.
 *
 * @category constructors
 * @since 0.1.0
 */
export const serialUnplug = (options: OnPath & { readonly for: Duration.Input }): Fault => ({
  _tag: "serialUnplug",
  ...onPathOf(options),
  forNs: nanosOf(options.for)
})

/**
 * The device is plugged in; nothing where it is.
 *
 * @category constructors
 * @since 0.1.0
 */
export const serialPlug = (options: OnPath): Fault => ({
  _tag: "serialPlug",
  ...onPathOf(options)
})

/**
 * Groups of hosts are apart for so long; `isOneWay` (default false): only from the first group to the others.
 *
 * **Details**
 *
 * `mode` is `"queue"` (the default: what is sent arrives after the heal, when TCP tries again), `"drop"` (what is sent is
 * lost, and a connection that loses something breaks at its sender), or `"slow"` (each piece takes longer, `by`).
 *
 * @category constructors
 * @since 0.1.0
 */
export const partition = (
  options: {
    readonly groups: ReadonlyArray<ReadonlyArray<string>>
    readonly when: When
    readonly for: Duration.Input
    readonly isOneWay?: boolean | undefined
    readonly mode?: "queue" | "drop" | "slow" | undefined
    readonly by?: Duration.Input | undefined
    readonly optional?: boolean | undefined
  }
): Fault => ({
  _tag: "partition",
  groups: options.groups,
  isOneWay: options.isOneWay ?? false,
  mode: options.mode ?? "queue",
  when: whenOf(options.when),
  forNs: nanosOf(options.for),
  byNs: nanosOf(options.by ?? 0),
  ...optionalOf(options)
})

/**
 * The way between groups of hosts goes down and up, so many times.
 *
 * @category constructors
 * @since 0.1.0
 */
export const flap = (
  options: {
    readonly groups: ReadonlyArray<ReadonlyArray<string>>
    readonly when: When
    readonly times: number
    readonly down: Duration.Input
    readonly up: Duration.Input
    readonly optional?: boolean | undefined
  }
): Fault => ({
  _tag: "flap",
  groups: options.groups,
  when: whenOf(options.when),
  times: options.times,
  downNs: nanosOf(options.down),
  upNs: nanosOf(options.up),
  ...optionalOf(options)
})

/**
 * Some of the hosts, as a stream of random numbers of the fault's own has it, are cut off one by one, and joined again in
 * another order, within so long: what FoundationDB found to find the most.
 *
 * @category constructors
 * @since 0.1.0
 */
export const swizzleClog = (
  options: {
    readonly hosts: ReadonlyArray<string>
    readonly when: When
    readonly within: Duration.Input
    readonly optional?: boolean | undefined
  }
): Fault => ({
  _tag: "swizzleClog",
  hosts: options.hosts,
  when: whenOf(options.when),
  withinNs: nanosOf(options.within),
  ...optionalOf(options)
})

/**
 * Whatever lasts ends now. What is due later still comes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const heal = (options: { readonly when: When; readonly optional?: boolean | undefined }): Fault => ({
  _tag: "heal",
  when: whenOf(options.when),
  ...optionalOf(options)
})

/**
 * What a drawn plan may have.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlanOptions {
  /** Default all. What needs hosts, paths or devices is left out where there are too few of them. */
  readonly families?: ReadonlyArray<Family> | undefined
  /** The most faults in a plan, each number as likely. Default 6. */
  readonly max?: number | undefined
  /** How many connections the world opens, about. Default 4. */
  readonly connections?: number | undefined
  /** How many bytes a direction has, about. Default 4096. */
  readonly bytes?: number | undefined
  /** Names of hosts that may go wrong. Default none. */
  readonly hosts?: ReadonlyArray<string> | undefined
  /** Names of hosts that speak TLS. Default none. */
  readonly tlsHosts?: ReadonlyArray<string> | undefined
  /** Unix sockets that programs listen on. Default none. */
  readonly sockets?: ReadonlyArray<OfHost> | undefined
  /** Named pipes. Default none. */
  readonly fifos?: ReadonlyArray<OfHost> | undefined
  /** Serial devices. Default none. */
  readonly devices?: ReadonlyArray<OfHost> | undefined
  /** How long the world works, about: no fault is due later, and none lasts longer. Default 10 seconds. */
  readonly duration?: Duration.Input | undefined
}

/**
 * Plans that a seed decides. All of their faults are optional.
 *
 * **Details**
 *
 * Each fault has random numbers of its own: with another `max`, the first ones are the same, and one that is taken away
 * changes no other, neither in the plan nor in what it draws in the run. An option that is wrong is thrown, as
 * `InvalidWorld`.
 *
 * **Example** (A sweep)
 *
 * ```ts import.meta.vitest
 * import { Effect, Exit } from "effect"
 * import { Fault, Sim } from "effect-transport/sim"
 *
 * const plan = Fault.plan({ families: ["flow", "end"], connections: 1, duration: "1 second" })
 *
 * const exits = Array.from({ length: 3 }, (_, seed) => Sim.run(Effect.succeed("ok"), { seed, faults: plan(seed) }).exit)
 * exits // => [Exit.succeed("ok"), Exit.succeed("ok"), Exit.succeed("ok")]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const plan = (options: PlanOptions = {}): (seed: number) => Plan => {
  const { bytes = 4096, connections = 4, devices = [], duration = "10 seconds", fifos = [], hosts = [], max = 6 } =
    options
  const { sockets = [], tlsHosts = [] } = options
  const durationNs = nanosOf(duration)
  const refuse = (field: string, expected: string, actual: unknown) => {
    throw new InvalidWorld({ field, expected, actual })
  }
  for (const [field, given] of Object.entries({ bytes, connections, max })) {
    if (!isCount(given, 1)) refuse(field, "a positive integer", given)
  }
  if (!(durationNs > 0 && durationNs <= 8.64e15)) refuse("duration", "a duration of at most 100 days", duration)
  const unknown = options.families?.find((family) => !Object.hasOwn(families, family))
  if (unknown !== undefined) refuse("families", `some of ${Object.keys(families).join(", ")}`, unknown)
  const main = hosts.find((host) => host === "" || host === "main")
  if (main !== undefined) refuse("hosts", "names of hosts other than main", main)
  const kinds = (options.families ?? Object.keys(families) as ReadonlyArray<Family>)
    .flatMap((family): ReadonlyArray<Kind> => families[family])
    .filter((kind) => {
      const [what, needed] = needsOf(kind)
      return { hosts, tlsHosts, sockets, fifos, devices, files: [...sockets, ...fifos, ...devices] }[what].length >=
        needed
    })
  if (kinds.length === 0) {
    const [what] = needsOf(families[options.families?.[0] ?? "host"][0]!)
    const field = what === "files" ? "sockets" : what
    refuse(field, "what these families need", options[field] ?? [])
  }
  return (seed) => draw({ kinds, max, connections, bytes, hosts, tlsHosts, sockets, fifos, devices, durationNs }, seed)
}

/** What a kind is drawn from, and how many of it. */
const needsOf = (kind: Kind): readonly ["hosts" | "tlsHosts" | "sockets" | "fifos" | "devices" | "files", number] => {
  const { fields } = Fault.cases[kind]
  if (kind in tls) return ["tlsHosts", 1]
  if (kind in serial) return ["devices", 1]
  if (kind in path) {
    return [kind === "unixStalePath" ? "sockets" : kind === "pathPermissionDenied" ? "files" : "fifos", 1]
  }
  return ["hosts", "groups" in fields ? 2 : "host" in fields || kind === "swizzleClog" ? 1 : 0]
}

// What is no duration becomes NaN, which `check` refuses by the name of its field.

const nanosOf = (input: Duration.Input): number =>
  Math.round(Option.match(Duration.fromInput(input), { onNone: () => NaN, onSome: Duration.toMillis }) * 1e6)

const whenOf = (when: When): typeof WhenSchema.Type =>
  typeof when === "object" && "mark" in when
    ? { _tag: "mark", name: when.mark, nth: when.nth ?? 1 }
    : { _tag: "at", ns: nanosOf(when) }

const optionalOf = ({ optional }: { readonly optional?: boolean | undefined }) =>
  optional === undefined ? {} : { optional }

const openingOf = (options: Opening) => ({ connection: options.connection, ...optionalOf(options) })

const wayOf = (options: Way) => ({ ...openingOf(options), direction: options.direction })

const placeOf = (options: Place) => ({ ...wayOf(options), at: options.at ?? 0 })

const onHostOf = (options: OnHost) => ({ host: options.host, when: whenOf(options.when), ...optionalOf(options) })

const onPathOf = (options: OnPath) => ({ ...onHostOf(options), path: options.path })
