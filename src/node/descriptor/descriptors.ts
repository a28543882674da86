/**
 * Connections on descriptors that this process has open: who has which, what each is good for, and how it ends.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Endpoint from "../../Endpoint.ts"
import { inOwnScope } from "../../ownScope.ts"
import * as TransportError from "../../TransportError.ts"
import * as Wire from "../../Wire.ts"
import { endWriting, type Machine, type SocketTransport } from "../door.ts"
import { codeOf, reasonOf } from "../nativeError.ts"
import type { ResolvedNodeOptions } from "../options.ts"
import { SocketWire } from "../socket/socketWire.ts"
import { divertPrints, guard } from "./guard.ts"
import {
  AbsentReading,
  AbsentWriting,
  describeKind,
  type DescriptorKind,
  HalvesWire,
  isSameSocket,
  isStandard,
  kindOf,
  openReading,
  openSocket,
  openWriting,
  undoReading
} from "./halves.ts"

/** What is read and what is written; at least one of the two, and they may be the same. */
export interface Descriptors {
  readonly read?: number | undefined
  readonly write?: number | undefined
}

/**
 * A connection on these descriptors, which are its own from then on. Standard output is guarded where it is one of them.
 */
export const connectDescriptors = (
  machine: Machine,
  endpoint: Endpoint.StdioEndpoint | Endpoint.FdEndpoint,
  { read, write }: Descriptors,
  options: ResolvedNodeOptions
): Effect.Effect<SocketTransport, TransportError.TransportError, Scope.Scope> => {
  const name = Endpoint.format(endpoint)
  // Nothing here waits. The guard outlives the connection: what is logged about its end is a print, too.
  return inOwnScope(Effect.uninterruptible(Effect.gen(function*() {
    const input = read === undefined ? undefined : yield* claim(read, name)
    const output = write === undefined ? undefined : write === read ? input : yield* claim(write, name)
    if (input !== undefined && input === output && !isDuplex(input)) {
      const feature = `both directions of one ${input.kind}`
      return yield* TransportError.make("open", name, new TransportError.Unsupported({ feature }))
    }
    const open = yield* openWire(input, output, name)
    if (read === 1 || write === 1) yield* guard
    const transport = yield* Wire.toTransport<typeof endpoint>(open, {
      info: { id: machine.nextId(), endpoint, local: Option.none(), peer: Option.none() },
      options: options.transport,
      scopeExit: "wait",
      reasonOf: (cause) => standingReasonOf(cause, name)
    })
    if (output === undefined) yield* endWriting(transport)
    return transport
  })))
}

// ---------------------------------------------------------------------------------------------------------------------
// Who has which
// ---------------------------------------------------------------------------------------------------------------------

/** A descriptor that a connection has. */
interface Claim {
  readonly fd: number
  readonly kind: DescriptorKind
  /** What was behind it at first. */
  readonly file: Fs.Stats
  /** The halves of its connection that have it. */
  halves: number
  /** The connection is to end it. */
  endsIt: boolean
  /** The scope of its connection is over, and the descriptor ended with it or is about to. */
  isSpent: boolean
}

const claims = new Map<number, Claim>()

const drop = (claim: Claim): void => {
  if (claims.get(claim.fd) === claim) claims.delete(claim.fd)
}

/** For one connection at a time: two readers would take each other's bytes. */
const claim = (fd: number, name: string): Effect.Effect<Claim, TransportError.TransportError, Scope.Scope> => {
  const what = `descriptor ${fd}`
  const failure = (reason: TransportError.Reason, cause?: unknown) =>
    TransportError.make("open", name, reason, { cause })
  return Effect.acquireRelease(
    Effect.gen(function*() {
      const other = claims.get(fd)
      if (other !== undefined) {
        return yield* failure(
          other.isSpent
            ? new TransportError.NotFound({ what: `${what}, which an earlier connection ended,` })
            : new TransportError.Busy({ what: "device" })
        )
      }
      const kind = yield* Effect.try({
        try: () => kindOf(fd),
        catch: (cause) => failure(new TransportError.NotFound({ what }), cause)
      })
      if (kind === undefined) {
        const feature = `a connection over ${what}, ${describeKind(fd)},`
        return yield* failure(new TransportError.Unsupported({ feature }))
      }
      const claim: Claim = { fd, kind, file: Fs.fstatSync(fd), halves: 0, endsIt: false, isSpent: false }
      claims.set(fd, claim)
      return claim
    }),
    (claim) =>
      Effect.sync(() => {
        // An abort does not wait for the end, and no new connection may stand on what is about to be closed.
        if (claim.endsIt) claim.isSpent = true
        else drop(claim)
      })
  )
}

/** Whoever reads a pipe or a file that they write themselves has nobody to talk to. */
const isDuplex = ({ fd, kind }: Claim): boolean =>
  kind === "socket" || kind === "terminal" || (kind === "file" && Fs.fstatSync(fd).isCharacterDevice())

// ---------------------------------------------------------------------------------------------------------------------
// What becomes of them
// ---------------------------------------------------------------------------------------------------------------------

type OpenWire = (port: Wire.Port) => Wire.Wire

const openWire = (
  input: Claim | undefined,
  output: Claim | undefined,
  name: string
): Effect.Effect<OpenWire, TransportError.TransportError> =>
  Effect.try({
    try: () => {
      const open = input !== undefined && output !== undefined && isSameSocket(input.fd, output.fd)
        ? openBoth(input, output)
        : openHalves(input, output)
      for (const claim of [input, output]) if (claim !== undefined) take(claim)
      return open
    },
    catch: (cause) => TransportError.make("open", name, openingReasonOf(cause, name), { cause })
  })

const openBoth = (input: Claim, output: Claim): OpenWire => {
  input.halves++
  if (output !== input) output.halves++
  // Both at once, and not before all is over: to close one of the two would not end the socket.
  const socket = openSocket(input.fd, { readable: true, writable: true }, (isLeftOpen) => {
    letGo(input)(isLeftOpen)
    if (output !== input) letGo(output)(true)
  })
  return (port) => new SocketWire(socket, port)
}

const openHalves = (input: Claim | undefined, output: Claim | undefined): OpenWire => {
  if (input !== undefined) input.halves++
  if (output !== undefined) output.halves++
  const reading = input === undefined ? new AbsentReading() : openReading(input.fd, input.kind, letGo(input))
  try {
    const writing = output === undefined ? new AbsentWriting() : openWriting(output.fd, output.kind, letGo(output))
    return (port) => new HalvesWire(reading, writing, port)
  } catch (cause) {
    undoReading(reading)
    throw cause
  }
}

/** From now on the descriptor ends with the connection. Nobody waits for the end of a file or a terminal of the shell's. */
const take = (claim: Claim): void => {
  claim.endsIt = !isStandard(claim.fd) || claim.kind === "pipe" || claim.kind === "socket"
  // For good: there will be no output that prints could go back to.
  if (claim.endsIt && claim.fd === 1) divertPrints()
}

const letGo = (claim: Claim) => (isLeftOpen: boolean): void => {
  if (--claim.halves > 0 || !claim.endsIt) return
  if (isStandard(claim.fd)) return vacate(claim.fd)
  if (isLeftOpen) close(claim)
  drop(claim)
}

/**
 * Closes a descriptor of 0 to 2, so that the end is seen. The null device takes its place: the number would be given to
 * the next file or socket, and whoever prints or reads by number would meet that one.
 */
const vacate = (fd: number): void => {
  try {
    Fs.closeSync(fd)
    while (Fs.openSync(Os.devNull, "r+") < fd);
  } catch (cause) {
    // Somebody closed it before us, and it is not ours to fill; or there is no null device.
    if (codeOf(cause) === undefined) throw cause
  }
}

const close = ({ fd, file }: Claim): void => {
  try {
    const { dev, ino } = Fs.fstatSync(fd)
    // Else somebody closed it before us, and the number is another's by now.
    if (dev === file.dev && ino === file.ino) Fs.closeSync(fd)
  } catch (cause) {
    // Somebody closed it before us.
    if (codeOf(cause) !== "EBADF") throw cause
  }
}

const openingReasonOf = (cause: unknown, name: string): TransportError.Reason => {
  switch (codeOf(cause)) {
    // Somebody reads `process.stdin`, or `process.stdout` has prints left.
    case "EEXIST":
      return new TransportError.Busy({ what: "device" })
    case "ERR_INVALID_FD_TYPE":
      return new TransportError.Unsupported({ feature: "a connection over datagrams" })
    default:
      return reasonOf(cause, { operation: "open", what: name })
  }
}

const standingReasonOf = (cause: unknown, name: string): TransportError.Reason => {
  switch (codeOf(cause)) {
    case "EIO":
      return new TransportError.Disconnected({ detail: "the terminal or device is gone" })
    case "EBADF":
      return new TransportError.Disconnected({ detail: "somebody else closed the descriptor" })
    default:
      return reasonOf(cause, { operation: "read", what: name })
  }
}
