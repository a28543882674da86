import { assert, describe, it } from "vitest"
import { Watched } from "../../src/internal/watched.ts"

describe("Watched", () => {
  it("wakes all who wait at a change, once, and none for what is the same", () => {
    const watched = new Watched(1)
    const log: Array<string> = []
    const gone = () => log.push("gone")
    watched.await(() => log.push("one"))
    watched.await(() => log.push("other"))
    watched.await(gone)
    watched.cancel(gone)
    watched.set(1)
    assert.deepStrictEqual(log, [])
    watched.set(2)
    watched.set(3)
    assert.deepStrictEqual(log, ["one", "other"])
  })
})
