/**
 * SIGINT and SIGTERM: the first asks the tool to come to an end, the second to end at once.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"

/** Each waits for its signal. */
export class Shutdown extends Context.Service<Shutdown, {
  readonly asked: Effect.Effect<void>
  readonly forced: Effect.Effect<void>
}>()("effect-transport/cli/shutdown") {}

const signals = ["SIGINT", "SIGTERM"] as const

export const layer: Layer.Layer<Shutdown> = Layer.effect(
  Shutdown,
  Effect.gen(function*() {
    const asked = Latch.makeUnsafe()
    const forced = Latch.makeUnsafe()
    const onSignal = () => {
      if (!asked.openUnsafe()) forced.openUnsafe()
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => signals.forEach((signal) => process.on(signal, onSignal))),
      () => Effect.sync(() => signals.forEach((signal) => process.off(signal, onSignal)))
    )
    return { asked: asked.await, forced: forced.await }
  })
)
