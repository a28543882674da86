/**
 * What `serialLines.test.ts` runs with lines of its own below it: uses the lines of the port at the path that it is given,
 * and prints what it sees as JSON.
 */
import { Effect, Fiber, Stream } from "effect"
import { Serial } from "effect-transport"
import { NodeSerial } from "effect-transport/node"
import { readFileSync } from "node:fs"

const [path = "", what] = process.argv.slice(2)

const log = () => readFileSync(process.env.SERIAL_LOG!, "utf8").split("\n").slice(0, -1)

const said = (line: string) =>
  Effect.repeat(Effect.andThen(Effect.sleep(1), Effect.sync(log)), { until: (lines) => lines.includes(line) })

const lines = Effect.fnUntraced(function*(port: Serial.SerialPort) {
  const seen = [yield* port.lines]
  yield* port.setLines({ rts: false })
  seen.push(yield* port.lines)
  const changes = yield* Effect.forkChild(
    port.changes({ period: 1 }).pipe(
      Stream.tap(({ dsr }) => dsr ? port.setLines({ dtr: false }) : Effect.void),
      Stream.take(2),
      Stream.runCollect
    )
  )
  const changed = yield* Fiber.join(changes)
  yield* port.setLines({ dtr: true, rts: true })
  const before = log().length
  yield* port.sendBreak(1)
  const sending = yield* Effect.forkChild(port.sendBreak("1 hour"))
  yield* Effect.repeat(Effect.andThen(Effect.sleep(1), Effect.sync(log)), {
    until: (lines) => lines.filter((line) => line === "break").length === 2
  })
  yield* Fiber.interrupt(sending)
  return { seen, changed, broke: log().slice(before) }
})

const stuck = Effect.fnUntraced(function*(port: Serial.SerialPort) {
  const draining = port.drain({ within: 20 }).pipe(Effect.flip, Effect.map(({ reason }) => reason._tag))
  const drains = yield* Effect.all([draining, draining], { concurrency: 2 })
  drains.push(yield* draining)
  // The thread may begin it long after the waiting for it has ended.
  yield* said("drain")
  const begun = log().length
  const waiting = yield* Effect.forkChild(Effect.flip(port.drain()), { startImmediately: true })
  yield* port.transport.abort
  yield* Effect.exit(port.transport.closed)
  yield* said("drained")
  return { drains, begun, waited: (yield* Fiber.join(waiting)).reason._tag, log: log() }
})

const program = Effect.gen(function*() {
  const port = yield* Serial.open(`serial://${path}`)
  return yield* (what === "stuck" ? Effect.map(stuck(port), (seen): unknown => seen) : lines(port))
}).pipe(Effect.scoped, Effect.provide(NodeSerial.layerPosix))

console.log(JSON.stringify(await Effect.runPromise(program)))
