/**
 * What many openings and endings leave behind: handles, timers and descriptors of the process, and listeners on the
 * streams that were given.
 */
import { Effect } from "effect"
import type { EventEmitter } from "node:events"
import { readdirSync } from "node:fs"
import { assert } from "vitest"

/** How much of each kind the process holds now. */
const held = (): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  const count = (kind: string, by: number) => counts.set(kind, (counts.get(kind) ?? 0) + by)
  for (const kind of process.getActiveResourcesInfo()) {
    // A turn of the loop, such as this one.
    if (kind !== "Immediate") count(kind, 1)
  }
  if (process.platform === "linux") count("descriptor", readdirSync("/proc/self/fd").length)
  return counts
}

const listeners = (stream: EventEmitter): number =>
  stream.eventNames().reduce((sum, name) => sum + stream.listenerCount(name), 0)

/** Streams that a cycle gave away, each with the listeners that it had. */
export class Given {
  readonly #counts = new Map<EventEmitter, number>()

  add<S extends EventEmitter>(stream: S): S {
    this.#counts.set(stream, listeners(stream))
    return stream
  }

  get withMore(): number {
    return Array.from(this.#counts).filter(([stream, count]) => listeners(stream) > count).length
  }
}

const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

/** Runs the cycle so often, and waits until nothing is left of it. Where something stays, it names it. */
export const leavesNothing = <E, R>(
  times: number,
  cycle: (i: number, given: Given) => Effect.Effect<unknown, E, R>
): Effect.Effect<void, E, R> =>
  Effect.gen(function*() {
    const given = new Given()
    // What the first one brings for good, as a module or a resolver does.
    yield* cycle(0, given)
    yield* turn
    const before = held()
    yield* Effect.forEach(Array.from({ length: times }, (_, i) => i), (i) => cycle(i, given), {
      concurrency: 10,
      discard: true
    })
    const more = () => Array.from(held()).filter(([kind, count]) => count > (before.get(kind) ?? 0))
    const deadline = performance.now() + patienceMillis
    while ((more().length > 0 || given.withMore > 0) && performance.now() < deadline) yield* turn
    assert.deepStrictEqual(more(), [])
    assert.strictEqual(given.withMore, 0, "streams with listeners left behind")
  })

/** Only waited out where something is left behind. */
const patienceMillis = 10_000
