/**
 * What each kind of fault is made of, by family. Whole numbers and names alone, so that a plan can be printed, sent and
 * shrunk; times are nanoseconds of the world.
 *
 * A new family is a record of its own here, a line in `Fault.Fault`, and its effects in `kinds.ts`.
 */
import * as Schema from "effect/Schema"

const count = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))
const positive = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }))
/** 100 days, as far as a world may go. */
const nanosMax = 8.64e15
const nanos = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: nanosMax }))

/** A host that can end: the world's own effect runs on `main`. */
const host = Schema.String.check(
  Schema.makeFilter((name: string) => name !== "" && name !== "main" ? true : "Expected a host other than main")
)
const hosts = Schema.Array(Schema.NonEmptyString).check(Schema.isMinLength(1))
const groups = Schema.Array(hosts).check(Schema.isMinLength(2))
const disk = Schema.Literals(["kept", "lost"])

/** A time since the world began, or a mark of the world's, the n-th time (from 1) that it is seen. */
export const When = Schema.TaggedUnion({
  at: { ns: nanos },
  mark: { name: Schema.NonEmptyString, nth: positive }
})

/** One that is optional may go unfired. */
const optional = Schema.optionalKey(Schema.Boolean)
const opening = { connection: count, optional }
const way = { connection: count, direction: Schema.Literals(["c>s", "s>c"]), optional }
const place = { ...way, at: count }
const onHost = { host, when: When, optional }

export const connect = {
  refused: opening,
  blackhole: opening,
  slowConnect: { ...opening, byNs: nanos },
  resetAfterAccept: opening,
  acceptStall: { ...opening, forNs: nanos },
  acceptFails: { ...opening, forNs: nanos },
  backlogFull: { ...opening, forNs: nanos },
  addressInUse: { host: Schema.NonEmptyString, listen: count, optional },
  noPorts: opening,
  noDescriptors: opening,
  noName: opening,
  slowName: { ...opening, byNs: nanos },
  rotatedName: { ...opening, first: Schema.NonEmptyString }
} as const

export const flow = {
  delay: { ...place, byNs: nanos },
  jitter: { ...place, upToNs: nanos },
  bandwidth: { ...place, bytesPerSecond: positive },
  coalesce: { ...place, windowNs: nanos, windows: positive },
  stall: { ...place, forNs: nanos, by: Schema.Literals(["sender", "receiver"]) },
  clog: { ...way, when: When, forNs: nanos },
  trickle: { ...place, bytes: positive, everyNs: nanos },
  fragment: { ...way, at: positive },
  shortWrite: { ...way, at: positive, forNs: nanos },
  shortRead: { ...place, bytesMax: positive },
  slowReader: { ...place, bytesPerSecond: positive },
  buffer: { ...way, side: Schema.Literals(["send", "receive"]), bytes: positive }
} as const

export const end = {
  finDelay: { ...way, byNs: nanos },
  finLost: way,
  cut: { ...way, at: positive, end: Schema.Literals(["fin", "rst"]) },
  reset: { ...opening, when: When, unread: disk },
  resetMidWrite: { ...way, at: positive },
  closeHang: { ...way, forNs: nanos },
  lateWriteError: { ...place, afterNs: nanos },
  idleDrop: { ...opening, afterNs: nanos, answer: Schema.Literals(["silence", "rst"]) },
  keepaliveExpiry: { ...opening, side: Schema.Literals(["client", "server"]), when: When }
} as const

export const ofHosts = {
  stop: onHost,
  kill: onHost,
  powerOff: onHost,
  restart: { ...onHost, by: Schema.Literals(["stop", "kill", "powerOff"]), downNs: nanos, disk },
  pause: { ...onHost, forNs: nanos },
  clockJump: {
    host: Schema.NonEmptyString,
    when: When,
    byNs: Schema.Int.check(Schema.isBetween({ minimum: -nanosMax, maximum: nanosMax })),
    optional
  },
  clockDrift: {
    host: Schema.NonEmptyString,
    when: When,
    ppm: Schema.Int.check(Schema.isBetween({ minimum: -900_000, maximum: 10_000_000 })),
    optional
  },
  slowCpu: { ...onHost, forNs: nanos, stepNs: nanos }
} as const

/** A host that goes on: its name may be that of `main`. */
const onAnyHost = { host: Schema.NonEmptyString, when: When, optional }
const lasting = { ...onAnyHost, forNs: nanos }

export const tls = {
  tlsHandshakeStall: lasting,
  tlsUntrusted: lasting,
  tlsExpired: lasting,
  tlsWrongName: lasting,
  tlsAlpnMismatch: lasting,
  tlsPlaintextPeer: lasting,
  tlsMissingCloseNotify: lasting,
  tlsAlert: { ...lasting, records: count }
} as const

const onPath = { ...onAnyHost, path: Schema.NonEmptyString }

export const path = {
  unixStalePath: onPath,
  pathPermissionDenied: { ...onPath, forNs: nanos },
  fifoReaderGone: onPath,
  fifoWriterGone: onPath
} as const

export const serial = {
  serialGarble: { ...onPath, bytes: positive },
  serialOverrun: { ...onPath, bytes: positive },
  serialBreak: { ...onPath, forNs: nanos },
  serialGarbage: { ...onPath, forNs: nanos },
  serialStall: { ...onPath, forNs: nanos },
  serialUnplug: { ...onPath, forNs: nanos },
  serialPlug: onPath
} as const

export const net = {
  partition: {
    groups,
    isOneWay: Schema.Boolean,
    mode: Schema.Literals(["queue", "drop", "slow"]),
    when: When,
    forNs: nanos,
    /** What each piece takes longer where the mode is `slow`. */
    byNs: nanos,
    optional
  },
  flap: { groups, when: When, times: positive, downNs: nanos, upNs: nanos, optional },
  swizzleClog: { hosts, when: When, withinNs: nanos, optional },
  heal: { when: When, optional }
} as const
