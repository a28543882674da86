/**
 * Every transport of this project as a subject for the laws.
 */
import { Effect, Layer, Scope } from "effect"
import { Network, TestTransport } from "effect-transport"
import { NodeTransport } from "effect-transport/node"
import type { TransportLaws } from "effect-transport/testing"
import { randomUUID } from "node:crypto"
import { tmpdir } from "node:os"
import { join } from "node:path"

const virtual = { halfClose: true, reset: true, virtualTime: true }

/** Both ends of a real connection: one that connects, one that is accepted. */
const pairOver =
  (endpoint: () => string, network: Layer.Layer<Network.Network>): TransportLaws.Subject["pair"] => (options) =>
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      const { connect, listen } = yield* Effect.provide(Network.Network, yield* Layer.buildWithScope(network, scope))
      const listening = yield* Scope.fork(scope)
      const listener = yield* Scope.provide(listen(endpoint(), options), listening)
      const [a, b] = yield* Effect.all([connect(listener.endpoint, options), listener.accept], { concurrency: 2 })
      yield* Scope.close(listening, yield* Effect.exit(Effect.void))
      return [a, b] as const
    })

/** Handles and timers of this process that keep it alive, without those of the test runner. */
const handles: Effect.Effect<ReadonlyArray<string>> = Effect.sync(() =>
  process.getActiveResourcesInfo().filter((name) => /TCP|Pipe|Connect|Shutdown|Write/.test(name))
)

const real = { halfClose: true, addresses: false }

export const subjects: Readonly<Record<string, TransportLaws.Subject>> = {
  memory: { pair: TestTransport.pair, capabilities: virtual },
  lockstep: { pair: TestTransport.lockstepPair, capabilities: { ...virtual, buffers: false } },
  tcp4: {
    pair: pairOver(() => "tcp://127.0.0.1:0", NodeTransport.layerNetwork),
    resources: handles,
    capabilities: { ...real, reset: true, addresses: true }
  },
  tcp6: {
    pair: pairOver(() => "tcp://[::1]:0", NodeTransport.layerNetwork),
    resources: handles,
    capabilities: { ...real, reset: true, addresses: true }
  },
  unix: {
    pair: pairOver(
      () => `unix://${join(tmpdir(), `effect-transport-${randomUUID()}.sock`)}`,
      NodeTransport.layerNetwork
    ),
    resources: handles,
    capabilities: { ...real, reset: false }
  },
  abstract: {
    pair: pairOver(() => `unix:@effect-transport-${randomUUID()}`, NodeTransport.layerNetwork),
    resources: handles,
    capabilities: { ...real, reset: false }
  }
}
