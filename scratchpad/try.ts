import { Effect } from "effect"
import { Serial, Transport } from "effect-transport"
import { NodeSerial, NodeTransport } from "effect-transport/node"
import { readdirSync, readlinkSync } from "node:fs"
const fds = () =>
  readdirSync("/proc/self/fd").map((f) => {
    try {
      return readlinkSync("/proc/self/fd/" + f)
    } catch {
      return ""
    }
  }).filter((l) => /pts/.test(l))
const [A, B] = process.argv.slice(2)
const program = Effect.gen(function*() {
  const a = yield* Serial.open(`serial://${A}?baudRate=115200`)
  const b = yield* Serial.open(`serial://${B}?baudRate=115200`)
  console.log(fds())
  yield* a.transport.write(new TextEncoder().encode("ping"))
  console.log(String(Buffer.from(yield* Transport.readExactly(b.transport, 4))))
  const t0 = performance.now()
  const big = new Uint8Array(20_000_000).map((_, i) => i)
  const [, got] = yield* Effect.all([a.transport.write(big), Transport.readExactly(b.transport, big.length)], {
    concurrency: 2
  })
  console.log("MB/s", 20 / ((performance.now() - t0) / 1000), Buffer.compare(Buffer.from(got), Buffer.from(big)))
  console.log(yield* Effect.flip(a.lines))
  console.log(yield* Effect.flip(Effect.scoped(Serial.open(`serial://${A}?baudRate=9600`))))
  yield* a.setBaudRate(250000)
  yield* a.drain()
  yield* a.flush("both")
  yield* a.flush("output")
  yield* b.transport.write(new TextEncoder().encode("junk"))
  yield* b.transport.flush
  yield* Effect.sleep(20)
  yield* a.flush("input")
  yield* b.transport.write(new TextEncoder().encode("good"))
  console.log(String(Buffer.from(yield* Transport.readExactly(a.transport, 4))))
}).pipe(Effect.scoped, Effect.provide(process.argv[4] === "b" ? NodeSerial.layerBindings : NodeSerial.layer))
await Effect.runPromise(program)
console.log("left", fds())
