/**
 * Opens a serial port in a worker thread, and tells what came of it.
 */
import { Effect } from "effect"
import { Serial } from "effect-transport"
import { NodeSerial } from "effect-transport/node"
import { parentPort } from "node:worker_threads"

const error = await Effect.runPromise(
  Effect.flip(Effect.scoped(Serial.open("serial:///dev/null"))).pipe(Effect.provide(NodeSerial.layer))
)
parentPort?.postMessage(error.message)
