/**
 * A ping-pong with both ends in one program. It knows a `Network` and nothing below, so that it is the same over loopback
 * TCP and in a simulated world.
 */
import { Effect } from "effect"
import { Connection, Network } from "effect-transport"

/** Sends so many messages, each when the one before has come back, and tells of what came. */
export const exchange = (
  messages: number,
  messageOf: (index: number) => Uint8Array,
  onChunk: (chunk: Uint8Array) => void
) =>
  Effect.scoped(Effect.gen(function*() {
    const { connect, listen } = yield* Network.Network
    const listener = yield* listen("tcp://127.0.0.1:0")
    yield* Effect.forkChild(
      listener.serve((transport) => Connection.forEach(transport, (batch) => transport.writeAll(batch)))
    )
    const transport = yield* connect(listener.endpoint)
    const reader = yield* transport.reader
    for (let i = 0; i < messages; i++) {
      const message = messageOf(i)
      yield* transport.write(message)
      for (let left = message.length; left > 0;) {
        for (const chunk of yield* reader.pull) {
          left -= chunk.length
          onChunk(chunk)
        }
      }
    }
  }))
