/**
 * The native bindings of the package `serialport`, which is loaded when the first port is opened: what is used of them,
 * and what their errors mean. They say most of them in words alone.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { isMainThread } from "node:worker_threads"
import * as Endpoint from "../../Endpoint.ts"
import * as TransportError from "../../TransportError.ts"
import { reasonOf } from "../nativeError.ts"

/** How a port is opened. */
export interface NativeOptions {
  readonly path: string
  readonly baudRate: number
  readonly dataBits: number
  readonly parity: string
  readonly stopBits: number
  readonly rtscts: boolean
  readonly xon: boolean
  readonly xoff: boolean
  readonly hupcl: boolean
  readonly lock: boolean
}

export interface NativeBinding {
  readonly open: (options: NativeOptions) => Promise<NativePort>
}

interface NativeLines {
  readonly cts: boolean
  readonly dsr: boolean
  readonly dcd: boolean
  readonly lowLatency?: boolean
}

/** An open port. Each promise is a call in the thread pool, which nothing takes back. */
export interface NativePort {
  readonly isOpen: boolean
  /** On POSIX, where it is open. */
  readonly fd?: number | null
  /** On POSIX: tells when the descriptor can be read or written, or is hung up. */
  readonly poller?: {
    readonly on: (event: "readable" | "writable" | "disconnect", listener: (error: unknown) => void) => unknown
    readonly poll: (events: number) => void
    readonly removeAllListeners: () => unknown
  }
  readonly close: () => Promise<void>
  readonly read: (buffer: Buffer, offset: number, length: number) => Promise<{ readonly bytesRead: number }>
  readonly write: (buffer: Buffer) => Promise<void>
  readonly update: (options: { readonly baudRate: number }) => Promise<void>
  readonly set: (
    options: { readonly dtr: boolean; readonly rts: boolean; readonly brk: boolean; readonly lowLatency: boolean }
  ) => Promise<void>
  readonly get: () => Promise<NativeLines>
  readonly flush: () => Promise<void>
  readonly drain: () => Promise<void>
}

type Poller = NonNullable<NativePort["poller"]>

/** What the poller of POSIX can be asked for. */
const [readable, writable, disconnect] = [0b001, 0b010, 0b100]

/**
 * A callback in a turn of its own. From Node 26.4 on, nothing that the poller of version 13 resolves goes on by itself: the
 * promises wait until something else calls back.
 */
const inOwnTurn = (run: () => void): void => void setImmediate(run)

/** Tells once when the device is gone, also while nobody reads or writes. */
export const onHangUp = ({ poller }: NativePort, run: (cause: unknown) => void): void => {
  poller?.on("disconnect", (error) => {
    // The error is null where the end came alone. A close cancels it.
    if (!(Predicate.hasProperty(error, "canceled") && error.canceled === true)) inOwnTurn(() => run(error))
  })
  poller?.poll(disconnect)
}

/**
 * Reads, writes and the end of the device share one poller, and each that begins to wait would have it forget the others: a
 * read and a write that wait at once stop both for good. From now on it is asked for all that is waited for, and no more.
 */
export const pollForAll = ({ poller }: NativePort): void => {
  if (poller === undefined) return
  const ask = poller.poll.bind(poller)
  let wanted = disconnect
  const poll: Poller["poll"] = (events) => ask(wanted |= events)
  Object.assign(poller, { poll })
  const heard = (event: number) => (error: unknown) => {
    // It ends with an error, and may not be asked again.
    if (error !== null) return
    ask(wanted &= ~event)
    inOwnTurn(() => {})
  }
  poller.on("readable", heard(readable))
  poller.on("writable", heard(writable))
}

/** The bindings never free a poller, and with it would be kept whatever listens to it. */
export const closeNative = (native: NativePort): Promise<void> => {
  const { poller } = native
  return native.close().then(() => void poller?.removeAllListeners())
}

/** The bindings, or an error that says what to install where there are none. */
export const loaded = (name: string): Effect.Effect<NativeBinding, TransportError.TransportError> => {
  const unsupported = (why: string, cause?: unknown) =>
    TransportError.make("open", name, new TransportError.Unsupported({ feature: `a serial port ${why}` }), { cause })
  // Their poller waits on the loop of the main thread: from another it says nothing, or ends the process.
  if (!isMainThread) return Effect.fail(unsupported("in a worker thread"))
  return Effect.map(
    Effect.tryPromise({
      try: () => import("serialport"),
      catch: (cause) =>
        unsupported(
          Predicate.hasProperty(cause, "code") && cause.code === "ERR_MODULE_NOT_FOUND"
            ? "without the package serialport (npm install serialport)"
            : "whose package does not load",
          cause
        )
    }),
    // The bindings' own types cannot be imported from a module.
    ({ SerialPort }) => SerialPort.binding as unknown as NativeBinding
  )
}

export const nativeOptionsOf = (endpoint: Endpoint.SerialEndpoint, lock: boolean): NativeOptions => ({
  path: endpoint.path,
  baudRate: endpoint.baudRate,
  dataBits: endpoint.dataBits ?? 8,
  parity: endpoint.parity ?? "none",
  stopBits: endpoint.stopBits ?? 1,
  rtscts: endpoint.rtscts ?? false,
  xon: endpoint.xon ?? false,
  xoff: endpoint.xoff ?? false,
  hupcl: endpoint.hupcl ?? true,
  lock
})

/** The bindings take a signed number of 32 bits. */
export const baudRateMax = 2_147_483_647

/** Refuses what this platform has not, before the device is touched. */
export const checkSupported = (
  { baudRate, parity, stopBits }: Endpoint.SerialEndpoint,
  name: string
): Effect.Effect<void, TransportError.TransportError> => {
  const unsupported = (feature: string) =>
    Effect.fail(TransportError.make("open", name, new TransportError.Unsupported({ feature })))
  if (baudRate > baudRateMax) return unsupported(`a rate of ${baudRate} baud`)
  if (process.platform === "win32") return Effect.void
  if (parity === "mark" || parity === "space") return unsupported(`${parity} parity`)
  return stopBits === 1.5 ? unsupported("one and a half stop bits") : Effect.void
}

export const notASerialPort = (path: string): TransportError.Reason =>
  new TransportError.Unsupported({ feature: `${path}, which is no serial port,` })

/** What an error means while the port at this path is opened. */
export const openingReasonOf = (cause: unknown, path: string): TransportError.Reason => {
  const code = codeOf(cause)
  if (code === "EISDIR" || code === "ENOTTY" || code === "EINVAL") return notASerialPort(path)
  if (code !== undefined) return reasonOf(cause, { operation: "open", what: path })
  const text = textOf(cause)
  if (/No such (file|device)|File not found/i.test(text)) return new TransportError.NotFound({ what: path })
  // Windows says so of a port that another program has open.
  if (/Cannot lock port|resource busy|Access denied/i.test(text)) return new TransportError.Busy({ what: "device" })
  if (/Permission denied/i.test(text)) return new TransportError.PermissionDenied()
  if (/\|\| while|not supported on your platform/i.test(text)) {
    return new TransportError.Unsupported({ feature: "this baud rate" })
  }
  if (/Inappropriate ioctl|Is a directory/i.test(text)) return notASerialPort(path)
  if (/Input\/output error/i.test(text)) return gone(path)
  return new TransportError.Failed()
}

/** What an error means on a port that is open. `feature` is what was asked of it, if not to carry bytes. */
export const standingReasonOf = (cause: unknown, path: string, feature?: string): TransportError.Reason => {
  const text = textOf(cause)
  if (feature !== undefined && /Inappropriate ioctl|not supported|Invalid argument|\|\| while/i.test(text)) {
    return new TransportError.Unsupported({ feature: `${feature} of ${path}` })
  }
  return cause === undefined || cause === null || isGone(cause, text)
    ? gone(path)
    : reasonOf(cause, { operation: "control", what: path })
}

const goneCodes: ReadonlySet<unknown> = new Set(["EIO", "ENXIO", "ENODEV", "EBADF", "EPIPE"])

const isGone = (cause: unknown, text: string): boolean =>
  goneCodes.has(codeOf(cause)) || (Predicate.hasProperty(cause, "disconnect") && cause.disconnect === true) ||
  /Input\/output error|No such device|Bad file descriptor|Port is not open|Operation aborted|Access denied/i.test(text)

const gone = (path: string): TransportError.Reason => new TransportError.Disconnected({ detail: `${path} is gone` })

const codeOf = (cause: unknown): string | undefined =>
  Predicate.hasProperty(cause, "code") && typeof cause.code === "string" ? cause.code : undefined

const textOf = (cause: unknown): string => cause instanceof Error ? cause.message : ""
