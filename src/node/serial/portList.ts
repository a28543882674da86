/**
 * The serial ports of this machine, and a way to be woken when there may be others.
 *
 * On Linux they are read from sysfs, elsewhere they come from the package `serialport`. That package would ask `udevadm`,
 * which stock images lack, for what sysfs says as well; and it lists UARTs that were never built in.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as TransportError from "../../TransportError.ts"
import { reasonOf } from "../nativeError.ts"
import { port, type PortFields, type PortInfo } from "./portInfo.ts"

/** What errors call the ports of this machine. */
const everyPort = "serial:*"

type Listing<A> = Effect.Effect<A, TransportError.TransportError>

const failed = (cause: unknown): TransportError.TransportError =>
  TransportError.make("control", everyPort, reasonOf(cause, { operation: "control", what: pathOf(cause) }), { cause })

const pathOf = (cause: unknown): string =>
  Predicate.hasProperty(cause, "path") && typeof cause.path === "string" ? cause.path : "a file of a serial port"

const unsupported = (feature: string, cause?: unknown): TransportError.TransportError =>
  TransportError.make("control", everyPort, new TransportError.Unsupported({ feature }), { cause })

const hasCode = (cause: unknown, codes: ReadonlyArray<string>): boolean =>
  Predicate.hasProperty(cause, "code") && codes.includes(String(cause.code))

/** The ports of this machine. */
export const listPorts: Listing<ReadonlyArray<PortInfo>> = Effect.suspend(() =>
  process.platform === "linux"
    ? listSysfs({ sys: "/sys", dev: "/dev" })
    : listByPackage(() => import("serialport"))
)

// ---------------------------------------------------------------------------------------------------------------------
// sysfs
// ---------------------------------------------------------------------------------------------------------------------

/** Where the file systems of the kernel are. */
export interface Roots {
  readonly sys: string
  readonly dev: string
}

/** The ports that the kernel knows of, and that have a file to open. */
export const listSysfs = (roots: Roots): Listing<ReadonlyArray<PortInfo>> =>
  Effect.gen(function*() {
    const folder = Path.join(roots.sys, "class/tty")
    const names = yield* Effect.tryPromise({
      try: () => Fs.promises.readdir(folder),
      catch: (cause) =>
        hasCode(cause, ["ENOENT"]) ? unsupported(`listing serial ports without ${folder}`, cause) : failed(cause)
    })
    const aliases = yield* aliasesIn(roots)
    const ports = yield* Effect.forEach(
      names.filter((name) => !isTerminal.test(name)),
      (name) => portOf(roots, name, aliases),
      { concurrency: 8 }
    )
    return Arr.getSomes(ports)
  })

/** The screens of this machine: there are dozens, and no look at them finds a port. */
const isTerminal = /^(tty\d*|console|ptmx)$/

/** The names that udev gives to ports, by the file name of the port. */
const aliasesIn = ({ dev }: Roots): Listing<ReadonlyMap<string, string>> => {
  const folder = Path.join(dev, "serial/by-id")
  return Effect.gen(function*() {
    const names = yield* whileThere(() => Fs.promises.readdir(folder))
    const links = yield* Effect.forEach(
      Option.getOrElse(names, () => []),
      (name) =>
        Effect.map(
          whileThere(() => Fs.promises.readlink(Path.join(folder, name))),
          Option.map((target) => [Path.basename(target), name] as const)
        )
    )
    return new Map(Arr.getSomes(links))
  })
}

const portOf = Effect.fnUntraced(function*(
  { dev, sys }: Roots,
  name: string,
  aliases: ReadonlyMap<string, string>
): Effect.fn.Return<Option.Option<PortInfo>, TransportError.TransportError> {
  const folder = Path.join(sys, "class/tty", name)
  const path = Path.join(dev, name)
  // Without a device it is a console or one half of a pty.
  const device = yield* whileThere(() => Fs.promises.realpath(Path.join(folder, "device")))
  if (Option.isNone(device)) return Option.none()
  // A UART that was looked for and not found.
  if (Option.contains(yield* textOf(Path.join(folder, "type")), "0")) return Option.none()
  // In a container it may be there without its file, and after a plug it is, for a moment.
  if (Option.isNone(yield* whileThere(() => Fs.promises.access(path)))) return Option.none()
  const usb = yield* usbOf(device.value)
  return Option.some(port({ path, pnpId: aliases.get(name), ...usb }))
})

/** What the USB device has to say that a port belongs to: it is one of the folders around that of the port. */
const usbOf = (folder: string): Listing<Omit<PortFields, "path">> =>
  Effect.gen(function*() {
    for (let at = folder; at !== Path.dirname(at); at = Path.dirname(at)) {
      const vendorId = yield* textOf(Path.join(at, "idVendor"))
      if (Option.isNone(vendorId)) continue
      const [productId, serialNumber, manufacturer] = yield* Effect.forEach(
        ["idProduct", "serial", "manufacturer"],
        (file) => Effect.map(textOf(Path.join(at, file)), Option.getOrUndefined)
      )
      return { vendorId: vendorId.value, productId, serialNumber, manufacturer, locationId: Path.basename(at) }
    }
    return {}
  })

const textOf = (file: string): Listing<Option.Option<string>> =>
  Effect.map(whileThere(() => Fs.promises.readFile(file, "utf8")), Option.map((text) => text.trim()))

/** None where it is not there, or no longer: a device may go while one looks at it. */
const whileThere = <A>(look: () => Promise<A>): Listing<Option.Option<A>> =>
  Effect.tryPromise({ try: look, catch: (cause) => hasCode(cause, isGone) ? undefined : failed(cause) }).pipe(
    Effect.asSome,
    Effect.catch((error) => error === undefined ? Effect.succeedNone : Effect.fail(error))
  )

const isGone: ReadonlyArray<string> = ["ENOENT", "ENOTDIR", "ENODEV", "ENXIO", "EIO"]

// ---------------------------------------------------------------------------------------------------------------------
// The package
// ---------------------------------------------------------------------------------------------------------------------

/** What we need of the package `serialport`. */
export interface SerialPortPackage {
  readonly SerialPort: { readonly list: () => Promise<ReadonlyArray<PortFields>> }
}

/** The ports that the package finds. */
export const listByPackage = (load: () => Promise<SerialPortPackage>): Listing<ReadonlyArray<PortInfo>> =>
  Effect.gen(function*() {
    const { SerialPort } = yield* Effect.tryPromise({
      try: load,
      catch: (cause) => unsupported("listing serial ports without the package serialport", cause)
    })
    const ports = yield* Effect.tryPromise({ try: () => SerialPort.list(), catch: failed })
    return ports.map(port)
  })

// ---------------------------------------------------------------------------------------------------------------------
// Waking
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Looks on a folder for as long as the scope is open. What it gives waits until files may have come or gone since it last
 * completed, or since the beginning: however many did, that is one time. Where the folder cannot be looked on, never.
 */
export const filesChanged = (folder: string): Effect.Effect<Effect.Effect<void>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const changed = Latch.makeUnsafe()
    yield* Effect.acquireRelease(
      Effect.try({
        // `change` is said of each write to a port, too.
        try: () => Fs.watch(folder, (event) => void (event === "rename" && changed.openUnsafe())),
        catch: failed
      }).pipe(
        // Whoever asks also looks by the clock, so that all it loses is the time until then.
        Effect.tap((watcher) => Effect.sync(() => watcher.on("error", () => watcher.close()))),
        Effect.asSome,
        Effect.catch((error) => Effect.as(Effect.logDebug(`cannot look on ${folder}`, error), Option.none()))
      ),
      (watcher) => Effect.sync(() => Option.map(watcher, (watcher) => watcher.close()))
    )
    return Effect.asVoid(Effect.andThen(changed.await, changed.close))
  })
