/**
 * The serial ports of this machine, by the package `serialport` (version 13, an optional peer: `npm install serialport`).
 *
 * `NodeTransport` opens `serial:` endpoints by itself. The layers here are for `Serial.open`, and to choose how a port is
 * reached. Main thread only: the native bindings wait on the loop of the main thread, and in a worker they would be silent
 * or take the process down, so an open there fails with `Unsupported`, as it does where the package is missing.
 */
import * as Layer from "effect/Layer"
import { SerialBinding } from "../SerialBinding.ts"
import { openBindings } from "./serial/bindings.ts"
import { openPosix } from "./serial/posix.ts"

/**
 * Serial ports by the bindings for speed, lines, drain and flush, and with the bytes on a terminal stream of Node: for
 * Linux, macOS and other POSIX.
 *
 * **Details**
 *
 * Both directions go on when the other waits, and an unplug is seen within the turn, also while nobody reads (on macOS
 * when reading goes on). A port is locked by the program `flock` where there is one: a port that somebody else has locked
 * is `Busy`, and is not touched. To open a port discards what arrived before, and raises DTR and RTS.
 *
 * `flush("output")` and `setBaudRate` go by a call that discards input, too: what has arrived is read first, so that only
 * a byte that comes within that instant can be lost.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPosix: Layer.Layer<SerialBinding> = Layer.succeed(SerialBinding, { open: openPosix })

/**
 * Serial ports by the bindings alone: for Windows, and to compare.
 *
 * **Gotchas**
 *
 * `flush` knows `"both"` alone, and a port that is locked by
 * another program has its settings changed before it is refused as `Busy`, except on Windows.
 *
 * From Node 26.4 on, version 13 of `serialport` hands over what arrived on Windows only when something else happens in the
 * process (serialport/node-serialport#3148): use Node 24 there. On POSIX this is made up for.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerBindings: Layer.Layer<SerialBinding> = Layer.succeed(SerialBinding, { open: openBindings })

/**
 * Serial ports as this platform has them best: `layerBindings` on Windows, `layerPosix` elsewhere.
 *
 * **Example** (Resetting a board and reading its banner)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Connection, Lines, Protocol, Serial } from "effect-transport"
 * import { NodeSerial } from "effect-transport/node"
 *
 * const banner = Effect.gen(function*() {
 *   const port = yield* Serial.open("serial:///dev/ttyUSB0?baudRate=115200")
 *   yield* port.setLines({ dtr: false })
 *   yield* Effect.sleep("100 millis")
 *   yield* port.flush("input")
 *   yield* port.setLines({ dtr: true })
 *   const lines = yield* Protocol.attach(Lines.protocol(), port.transport)
 *   return yield* Connection.take(lines)
 * })
 *
 * banner.pipe(Effect.scoped, Effect.provide(NodeSerial.layer))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<SerialBinding> = Layer.suspend(() =>
  process.platform === "win32" ? layerBindings : layerPosix
)
