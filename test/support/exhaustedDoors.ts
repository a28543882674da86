/**
 * Opens each endpoint that it is given where only so many descriptors are left, and then where there are enough: see
 * `shortage.integration.test.ts`. What came of each try it prints, one line each.
 */
import { Effect, References } from "effect"
import { Network, type TransportError } from "effect-transport"
import { NodeTransport } from "effect-transport/node"
import { closeSync, openSync, readdirSync } from "node:fs"

const held = () => readdirSync("/proc/self/fd").length

/** Opens the same file until this many descriptors are left, runs it, and closes them. */
const withFree = <A, E, R>(free: number, effect: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const fillers: Array<number> = []
      try {
        while (true) fillers.push(openSync("/dev/null", "r"))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EMFILE") throw error
      }
      for (const fd of fillers.splice(0, free)) closeSync(fd)
      return fillers
    }),
    () => effect,
    (fillers) => Effect.sync(() => fillers.forEach((fd) => closeSync(fd)))
  )

const outcome = <A, R>(effect: Effect.Effect<A, TransportError.TransportError, R>): Effect.Effect<string, never, R> =>
  Effect.match(effect, {
    onFailure: ({ cause, reason }) => `${reason._tag} ${(cause as NodeJS.ErrnoException).code}`,
    onSuccess: () => "opened"
  })

const [, , frees = "", ...endpoints] = process.argv

const main = Effect.gen(function*() {
  const network = yield* Network.Network
  for (const endpoint of endpoints) {
    const open = outcome(Effect.scoped(network.connect(endpoint)))
    // What is loaded or opened once for all is not to be counted.
    yield* open
    for (const free of frees.split(",")) {
      const before = held()
      const refused = yield* withFree(Number(free), open)
      console.log(`${endpoint} with ${free} left: ${refused}, ${held() - before} kept`)
    }
    console.log(`${endpoint} afterwards: ${yield* open}`)
  }
})

await Effect.runPromise(main.pipe(
  Effect.provide(NodeTransport.layerNetwork),
  Effect.provideService(References.MinimumLogLevel, "None")
))
