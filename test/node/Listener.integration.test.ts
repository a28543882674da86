import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Logger } from "effect"
import { Network } from "../../src/Network.ts"
import * as NodeTransport from "../../src/node/NodeTransport.ts"
import * as Transport from "../../src/Transport.ts"

const text = (string: string) => new TextEncoder().encode(string)

/** Runs the test with what was logged, in the network of this machine. */
const withLog = <A, E, R>(test: (logged: Array<string>) => Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const logged: Array<string> = []
    const logger = Logger.make<unknown, void>(({ message }) => {
      logged.push(String(Array.isArray(message) ? message[0] : message))
    })
    return test(logged).pipe(Effect.provide(Logger.layer([logger])), Effect.provide(NodeTransport.layerNetwork))
  })

describe("a scope that ends", () => {
  it.live("closes an interrupted connection in order, if its rule says so", () =>
    withLog(Effect.fnUntraced(function*() {
      const { connect, listen } = yield* Network
      const listener = yield* listen("tcp://127.0.0.1:0")
      const written = yield* Deferred.make<void>()
      const speaking = Effect.gen(function*() {
        const client = yield* connect(listener.endpoint, { onScopeExit: () => "close", highWaterMark: 32_000_000 })
        for (let i = 0; i < 1000; i++) yield* client.write(new Uint8Array(16_000))
        yield* Deferred.succeed(written, undefined)
        return yield* Effect.never
      })
      const fiber = yield* Effect.forkChild(Effect.scoped(speaking))
      const server = yield* listener.accept
      yield* Deferred.await(written)
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
      const all = yield* Transport.readUntilEnd(server)
      assert.strictEqual(all.length, 16_000_000)
      yield* server.close
      yield* Fiber.join(interrupting)
    })))
})
