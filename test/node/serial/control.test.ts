import { assert, describe, it } from "@effect/vitest"
import { Drains } from "../../../src/node/serial/control.ts"
import type { NativePort } from "../../../src/node/serial/native.ts"

/** A port whose drains end when the test says so. */
const port = () => {
  const begun: Array<{ readonly end: () => void; readonly fail: (cause: unknown) => void }> = []
  const drain = () => new Promise<void>((end, fail) => void begun.push({ end, fail }))
  const drains = new Drains({ drain } as NativePort)
  const log: Array<string> = []
  const ask = (who: string) =>
    drains.ask((cause) => log.push(cause === undefined ? who : `${who}: ${(cause as Error).message}`))
  return { begun, ask, log }
}

/** Lets every promise that is settled be heard. */
const settle = () => new Promise((resolve) => setImmediate(resolve))

describe("Drains", () => {
  it("are one at a time for a port: who comes later waits for the next one, together with others", async () => {
    const { ask, begun, log } = port()
    ask("first")
    ask("second")
    ask("third")
    assert.strictEqual(begun.length, 1)
    begun[0]!.end()
    await settle()
    assert.deepStrictEqual(log, ["first"])
    assert.strictEqual(begun.length, 2)
    begun[1]!.end()
    await settle()
    assert.deepStrictEqual(log, ["first", "second", "third"])
    assert.strictEqual(begun.length, 2)
  })

  it("go on for the others when one is withdrawn, and are not begun for nobody", async () => {
    const { ask, begun, log } = port()
    const withdraw = ["first", "second", "third", "fourth"].map(ask)
    withdraw[0]!()
    withdraw[1]!()
    begun[0]!.end()
    await settle()
    assert.deepStrictEqual(log, [])
    // The drain that is under way is for the fourth, too.
    withdraw[2]!()
    const late = ask("fifth")
    begun[1]!.end()
    await settle()
    assert.deepStrictEqual(log, ["fourth"])
    late()
    ask("sixth")()
    begun[2]!.end()
    await settle()
    assert.strictEqual(begun.length, 3)
    assert.deepStrictEqual(log, ["fourth"])
  })

  it("tell all whom they are for how they failed, and the next one goes on", async () => {
    const { ask, begun, log } = port()
    ask("first")
    ask("second")
    begun[0]!.fail(new Error("gone"))
    await settle()
    begun[1]!.end()
    await settle()
    assert.deepStrictEqual(log, ["first: gone", "second"])
  })

  it("take half of the thread pool, and the next port's turn comes when one has ended", async () => {
    const ports = [port(), port(), port()]
    const places = Math.max(1, Math.floor((Number(process.env.UV_THREADPOOL_SIZE) || 4) / 2))
    while (ports.length <= places) ports.push(port())
    for (const { ask } of ports) ask("x")
    const withdrawn = port()
    withdrawn.ask("x")()
    const begun = () => ports.map((port) => port.begun.length)
    assert.deepStrictEqual(begun(), ports.map((_, i) => i < places ? 1 : 0))
    for (const { begun } of ports) {
      begun[0]!.end()
      await settle()
    }
    assert.deepStrictEqual(begun(), ports.map(() => 1))
    assert.deepStrictEqual(ports.map(({ log }) => log), ports.map(() => ["x"]))
    assert.strictEqual(withdrawn.begun.length, 0)
  })
})
