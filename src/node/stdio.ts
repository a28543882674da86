/**
 * The door of `stdio:`, the descriptors 0 and 1 of this process as one connection, and the guard that keeps everything
 * else off them.
 *
 * `process.stdin` and `process.stdout` are not in it: they hide errors and ends, and know nothing of backpressure.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Endpoint from "../Endpoint.ts"
import * as TransportError from "../TransportError.ts"
import * as Wire from "../Wire.ts"
import type { Door } from "./door.ts"
import {
  type DescriptorKind,
  HalvesWire,
  isSameSocket,
  kindOf,
  openReading,
  openSocket,
  openWriting
} from "./halves.ts"
import { reasonOf } from "./nativeError.ts"
import { inOwnScope } from "./sockets.ts"
import { SocketWire } from "./socketWire.ts"

export const stdioDoor: Door<Endpoint.StdioEndpoint> = {
  connect: (machine, endpoint, options) => {
    const name = Endpoint.format(endpoint)
    // Nothing here waits. The guard outlives the connection: what is logged about its end is a print, too.
    return inOwnScope(Effect.uninterruptible(
      claim(name).pipe(
        Effect.andThen(openWire(name)),
        Effect.tap(guard),
        Effect.flatMap((open) =>
          Wire.toTransport(open, {
            info: { id: machine.nextId(), endpoint, local: Option.none(), peer: Option.none() },
            options: options.transport,
            scopeExit: "wait",
            reasonOf: (cause) => standingReasonOf(cause, name)
          })
        )
      )
    ))
  },

  listen: (_, endpoint) =>
    Effect.fail(
      TransportError.make(
        "listen",
        Endpoint.format(endpoint),
        new TransportError.Unsupported({ feature: "listening on stdio" })
      )
    )
}

// ---------------------------------------------------------------------------------------------------------------------
// The descriptors
// ---------------------------------------------------------------------------------------------------------------------

type StdioDescriptor = 0 | 1

let isClaimed = false

/** One connection at a time: two readers would take each other's bytes. */
const claim = (name: string): Effect.Effect<void, TransportError.TransportError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      if (isClaimed) return Effect.fail(TransportError.make("open", name, new TransportError.Busy({ what: "device" })))
      isClaimed = true
      return Effect.void
    }),
    () =>
      Effect.sync(() => {
        isClaimed = false
      })
  )

/** Pipes and sockets end with the connection, since whoever is behind them waits for that; nobody waits for a file. */
const endsWithConnection: { readonly [K in DescriptorKind]: boolean } = {
  pipe: true,
  socket: true,
  terminal: false,
  file: false
}

const openWire = Effect.fnUntraced(function*(name: string) {
  const input = yield* usable(0, name)
  const output = yield* usable(1, name)
  const open = yield* Effect.try({
    try: (): (port: Wire.Port) => Wire.Wire => {
      if (isSameSocket(0, 1)) {
        const socket = openSocket(0, { readable: true, writable: true })
        // Both at once, and not before all is over: to close one of the two would not end the socket.
        socket.once("close", () => {
          vacate(0)
          vacate(1)
        })
        return (port) => new SocketWire(socket, port)
      }
      const reading = openReading(0, input, () => endsWithConnection[input] && vacate(0))
      try {
        const writing = openWriting(1, output, () => endsWithConnection[output] && vacate(1))
        return (port) => new HalvesWire(reading, writing, port)
      } catch (cause) {
        reading.close()
        throw cause
      }
    },
    catch: (cause) => TransportError.make("open", name, openingReasonOf(cause, name), { cause })
  })
  // Now and for good, since an abort does not wait for the end: neither may a new connection stand on what is about to
  // be closed, nor is there an output then that prints could go back to.
  if (endsWithConnection[input]) spent.add(0)
  if (endsWithConnection[output]) {
    spent.add(1)
    divertPrints()
  }
  return open
})

/** What is behind the descriptor, if a connection can stand on it. */
const usable = (fd: StdioDescriptor, name: string): Effect.Effect<DescriptorKind, TransportError.TransportError> =>
  Effect.suspend(() => {
    const what = `descriptor ${fd}`
    if (spent.has(fd)) {
      const reason = new TransportError.NotFound({ what: `${what}, which an earlier connection ended,` })
      return Effect.fail(TransportError.make("open", name, reason))
    }
    return Effect.try({
      try: () => kindOf(fd),
      catch: (cause) => TransportError.make("open", name, new TransportError.NotFound({ what }), { cause })
    }).pipe(Effect.flatMap((kind) =>
      kind === undefined
        ? Effect.fail(
          TransportError.make("open", name, new TransportError.Unsupported({ feature: `this kind of ${what}` }))
        )
        : Effect.succeed(kind)
    ))
  })

/** Those that end with the connection that they were given to. */
const spent = new Set<StdioDescriptor>()

/**
 * Closes a descriptor, which libuv does not do for 0 to 2, so that the end is seen. The null device takes its place: the
 * number would be given to the next file or socket, and whoever prints or reads by number would meet that one.
 */
const vacate = (fd: StdioDescriptor): void => {
  try {
    Fs.closeSync(fd)
    while (Fs.openSync(Os.devNull, "r+") < fd);
  } catch (cause) {
    // Somebody closed it before us, and it is not ours to fill; or there is no null device.
    if (!Predicate.hasProperty(cause, "code")) throw cause
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

const standingReasonOf = (cause: unknown, name: string): TransportError.Reason =>
  codeOf(cause) === "EIO"
    ? new TransportError.Disconnected({ detail: "the terminal or device is gone" })
    : reasonOf(cause, { operation: "read", what: name })

const codeOf = (cause: unknown): unknown => Predicate.hasProperty(cause, "code") ? cause.code : undefined

// ---------------------------------------------------------------------------------------------------------------------
// The guard
// ---------------------------------------------------------------------------------------------------------------------

/** While the scope is open, what is printed to standard output goes to standard error. Holders count. */
export const guard: Effect.Effect<void, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => divertPrints()),
  () => Effect.sync(() => restorePrints())
)

let holders = 0
let restore: (() => void) | undefined = undefined

/**
 * Below `write`, so that all of the stream above it stays as it was: its backpressure, its callbacks, and whoever has a
 * reference to it, as the console has.
 */
const divertPrints = (): void => {
  if (holders++ > 0 || restore !== undefined) return
  const { stderr, stdout } = process
  const { _write, _writev } = stdout
  Object.assign(stdout, {
    _write: (chunk: Uint8Array | string, encoding: BufferEncoding, callback: () => void) => {
      stderr.write(chunk, encoding, (error) => {
        // A print that standard error does not take is lost, as one of the console is: it must cost nothing else.
        if (error != null && stderr.listenerCount("error") === 0) stderr.once("error", () => {})
        callback()
      })
    },
    _writev: undefined
  })
  restore = () => {
    Object.assign(stdout, { _write, _writev })
  }
}

const restorePrints = (): void => {
  holders--
  // Prints that still wait for standard error must not come out behind the protocol.
  if (process.stdout.writableLength === 0) giveBack()
  else process.stdout.write("", giveBack)
}

const giveBack = (): void => {
  if (holders > 0) return
  restore?.()
  restore = undefined
}
