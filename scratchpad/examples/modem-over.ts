/**
 * The driver of `modem.ts` over whatever there is: with a simulated modem at the other end, or with a real one.
 *
 *     modem-over.ts                                  simulated, over memory, a serial cable in memory, and TCP
 *     modem-over.ts --serial /tmp/a --modem /tmp/b   simulated, over two ports that are joined, as socat joins ptys
 *     modem-over.ts --serial /dev/ttyS0              the modem at a port
 *     modem-over.ts --usb 2c7c:0125                  the modem with these ids, whatever its path, also after a re-plug
 */
import { Effect, Layer, type Scope } from "effect"
import { Network, Serial, TestSerial, TestTransport, Transport } from "effect-transport"
import { NodeTransport, SerialDevice, SerialPorts } from "effect-transport/node"
import { parseArgs } from "node:util"
import { converse, simulated } from "./modem.ts"

type Ends = readonly [driver: Transport.Transport, modem: Transport.Transport]

/** Both ends of a connection of this machine. */
const overNetwork = (endpoint: string) =>
  Effect.gen(function*() {
    const { connect, listen } = yield* Network.Network
    const listener = yield* listen(endpoint)
    return yield* Effect.all([connect(listener.endpoint), listener.accept], { concurrency: 2 })
  }).pipe(Effect.provide(NodeTransport.layerNetwork))

const settings = { baudRate: 115_200 }
const serialAt = (path: string) => ({ _tag: "serial", path, ...settings }) as const

/** Both ends of a line between two serial ports. */
const overSerial = (driver: string, modem: string) =>
  Effect.gen(function*() {
    const { connect } = yield* Network.Network
    return yield* Effect.all([connect(serialAt(driver)), connect(serialAt(modem))])
  })

/** The same without hardware. */
const overCable = overSerial("/dev/driver", "/dev/modem").pipe(
  Effect.provide(Layer.provide(Serial.layerNetwork, TestSerial.layerCable("/dev/driver", "/dev/modem")))
)

const print = (name: string, seen: unknown) =>
  Effect.sync(() => console.log(`${name.padEnd(12)}${JSON.stringify(seen)}`))

const simulate = <E>(name: string, ends: Effect.Effect<Ends, E, Scope.Scope>) =>
  Effect.gen(function*() {
    const [driver, modem] = yield* ends
    yield* Effect.forkScoped(simulated(modem))
    yield* print(name, yield* Effect.provideService(converse, Transport.Transport, driver))
  }).pipe(Effect.scoped)

const { values: { modem, serial, usb } } = parseArgs({
  options: { modem: { type: "string" }, serial: { type: "string" }, usb: { type: "string" } }
})

const main = Effect.gen(function*() {
  if (serial !== undefined && modem !== undefined) {
    return yield* simulate("serial", Effect.provide(overSerial(serial, modem), NodeTransport.layerNetwork))
  }
  if (serial !== undefined) {
    return yield* print(serial, yield* Effect.provide(converse, NodeTransport.layer(serialAt(serial))))
  }
  if (usb !== undefined) {
    const [vendorId, productId] = usb.split(":")
    const kept = SerialDevice.keepConnected({ vendorId, productId }, { settings })(converse)
    const layer = Layer.merge(NodeTransport.layerNetwork, SerialPorts.layer)
    return yield* print(usb, yield* Effect.provide(kept, layer))
  }
  yield* simulate("memory", TestTransport.pair())
  yield* simulate("cable", overCable)
  yield* simulate("TCP", overNetwork("tcp://127.0.0.1:0"))
})

await Effect.runPromise(main)
