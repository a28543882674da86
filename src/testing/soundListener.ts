/**
 * Sound listeners of memory whose parts can be replaced: what the specimens of the laws about listeners are made of.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Listener from "../Listener.ts"
import { Network } from "../Network.ts"
import * as TestTransport from "../TestTransport.ts"
import type * as Transport from "../Transport.ts"
import { Failed } from "../TransportError.ts"
import type { ListenerSubject } from "./law.ts"

/**
 * The parts of a listener that a specimen can replace.
 */
export interface ListenerParts {
  /** Replaces the finished listener, in its scope. */
  readonly listener?: ((listener: MemoryListener) => Effect.Effect<Listener.Listener, never, Scope.Scope>) | undefined
  /** Replaces the effect that connects to it. */
  readonly connect?: ((connect: Connecting) => Connecting) | undefined
}

type MemoryListener = Listener.Listener<Transport.HalfCloseableTransport>

type Connecting = ReturnType<ListenerSubject["connect"]>

/** A sound listener of memory with these parts replaced. Each has a network of its own. */
export const listenerOf = (parts: ListenerParts = {}): ListenerSubject => {
  const networks = new WeakMap<Listener.Listener, Network["Service"]>()
  const finish = parts.listener ?? Effect.succeed

  const listenOn = (network: Network["Service"], options?: Transport.TransportOptions) =>
    network.listen("memory:sound", options).pipe(
      Effect.flatMap(finish),
      Effect.tap((listener) => Effect.sync(() => networks.set(listener, network)))
    )

  return {
    listen: (options) => Effect.flatMap(network, (network) => listenOn(network, options)),
    listenAgain: (listener) => listenOn(networks.get(listener)!),
    connect: (listener, options) => {
      const connecting = networks.get(listener)!.connect("memory:sound", options)
      return parts.connect?.(connecting) ?? connecting
    },
    exhaustion: exhaust(finish)
  }
}

const network = Effect.map(
  Layer.build(Layer.fresh(TestTransport.layerNetwork)),
  (context) => Context.get(context, Network)
)

/** A listening socket without descriptors stays readable: it fails again and again, until there are some. */
const exhaust = (finish: (listener: MemoryListener) => Effect.Effect<Listener.Listener, never, Scope.Scope>) =>
  Effect.gen(function*() {
    interface Item {
      readonly served: () => void
    }
    let port!: Parameters<Listener.Source<Item, Transport.HalfCloseableTransport>["open"]>[0]
    const listener = yield* Listener.make<Item, Transport.HalfCloseableTransport>({
      endpoint: { _tag: "memory", name: "short" },
      backlogMax: 1,
      open: (given) => {
        port = given
        return () => {}
      },
      accept: (item) =>
        Effect.map(Effect.orDie(TestTransport.pair()), ([server]) => {
          item.served()
          return server
        }),
      reject: () => {},
      reasonOf: () => new Failed()
    })
    let warnings = 0
    const logger = Logger.make(() => {
      warnings++
    })
    const finished = yield* finish(listener)
    yield* finished.serve(() => Effect.void).pipe(
      Effect.provideService(Logger.CurrentLoggers, new Set([logger])),
      Effect.provideService(References.MinimumLogLevel, "All"),
      Effect.forkScoped
    )
    yield* Effect.yieldNow
    for (let turn = 0; turn < 100; turn++) {
      port.failed(new Error("no descriptors"))
      yield* TestClock.adjust(10)
    }
    const during = warnings
    let servedAfterwards = false
    port.offer({ served: () => servedAfterwards = true })
    yield* TestClock.adjust(1000)
    return { warnings: during, busy: 0, servedAfterwards }
  })
