/** Opens a serial port as somebody who has no rights to it, and says how that ended. */
import { Effect } from "effect"
import { Serial } from "effect-transport"
import { NodeSerial } from "effect-transport/node"

const [binding, path] = process.argv.slice(2) as ["posix" | "bindings", string]
const layer = binding === "posix" ? NodeSerial.layerPosix : NodeSerial.layerBindings

// The package is loaded with rights, since nobody may read where it is; root has rights to every device.
await import("serialport")
if (process.getuid!() === 0) process.setuid!(65_534)

const opening = Serial.open({ _tag: "serial", path, baudRate: 115_200 }).pipe(
  Effect.scoped,
  Effect.provide(layer),
  Effect.flip
)
await Effect.runPromise(Effect.map(opening, ({ reason }) => console.log(reason._tag)))
