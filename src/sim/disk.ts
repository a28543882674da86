/**
 * A host's disk: what its programs keep over a restart, as a `KeyValueStore` in memory. What is set is on it at once.
 */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as KeyValueStore from "effect/persistence/KeyValueStore"

export class Disk {
  #entries = new Map<string, string | Uint8Array>()

  readonly store: KeyValueStore.KeyValueStore = KeyValueStore.make({
    get: (key) =>
      Effect.sync(() => {
        const value = this.#entries.get(key)
        return value instanceof Uint8Array ? Base64.encode(value) : value
      }),
    getUint8Array: (key) =>
      Effect.sync(() => {
        const value = this.#entries.get(key)
        // A copy each way: memory is gone with a life, and what is on a disk is not.
        return typeof value === "string" ? encoder.encode(value) : value?.slice()
      }),
    set: (key, value) =>
      Effect.sync(() => void this.#entries.set(key, typeof value === "string" ? value : value.slice())),
    remove: (key) => Effect.sync(() => void this.#entries.delete(key)),
    clear: Effect.sync(() => this.lose()),
    size: Effect.sync(() => this.#entries.size),
    keys: Effect.sync(() => Array.from(this.#entries.keys()))
  })

  /** Nothing is left on it. */
  lose(): void {
    this.#entries.clear()
  }
}

const encoder = new TextEncoder()
