/** Sends back what comes through a serial port, in a process where nothing else happens, and says how that ended. */
import { Effect } from "effect"
import { Connection, Serial } from "effect-transport"
import { NodeSerial } from "effect-transport/node"

const [binding, path] = process.argv.slice(2) as ["posix" | "bindings", string]
const layer = binding === "posix" ? NodeSerial.layerPosix : NodeSerial.layerBindings

const echoing = Effect.gen(function*() {
  const { transport } = yield* Serial.open({ _tag: "serial", path, baudRate: 115_200 })
  console.log("open")
  yield* Connection.forEach(transport, (batch) => transport.writeAll(batch))
}).pipe(Effect.scoped, Effect.provide(layer), Effect.flip)

await Effect.runPromise(Effect.map(echoing, ({ reason }) => console.log(reason._tag)))
