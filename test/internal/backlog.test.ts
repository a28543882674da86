import { assert, describe, it } from "@effect/vitest"
import { Backlog, Refusal } from "../../src/internal/backlog.ts"

interface Item {
  readonly name: string
}

const refusal = (found: Item | Refusal | undefined): Refusal => {
  assert.instanceOf(found, Refusal)
  return found
}

describe("Backlog", () => {
  it("passes on what a waiter was woken for and did not fetch", () => {
    for (const why of ["item", "failure"] as const) {
      const backlog = new Backlog<Item>(1)
      const woken: Array<string> = []
      const first = () => woken.push("first")
      backlog.await(first)
      backlog.await(() => woken.push("second"))
      if (why === "item") backlog.offer({ name: "a" })
      else backlog.fail(new Error("no descriptors"))
      backlog.cancel(first)
      assert.deepStrictEqual(woken, ["first", "second"])
    }
  })

  it("wakes at once who comes to wait when something has come since it polled", () => {
    for (const why of ["item", "failure", "stop"] as const) {
      const backlog = new Backlog<Item>(1)
      const woken: Array<string> = []
      assert.isUndefined(backlog.poll())
      if (why === "item") backlog.offer({ name: "a" })
      else if (why === "failure") backlog.fail(new Error("no descriptors"))
      else backlog.stop()
      backlog.await(() => woken.push("late"))
      assert.deepStrictEqual(woken, ["late"], why)
    }
  })

  it("wakes nobody for a waiter that leaves with nothing to fetch", () => {
    const backlog = new Backlog<Item>(1)
    const woken: Array<string> = []
    const first = () => woken.push("first")
    backlog.await(first)
    backlog.await(() => woken.push("second"))
    backlog.cancel(first)
    assert.deepStrictEqual(woken, [])
    // Nor for one that had been woken for nothing.
    backlog.cancel(first)
    assert.deepStrictEqual(woken, [])
    backlog.offer({ name: "a" })
    assert.deepStrictEqual(woken, ["second"])
  })

  it("wakes a waiter at once for what came since it polled", () => {
    const after: ReadonlyArray<(backlog: Backlog<Item>) => void> = [
      (backlog) => backlog.offer({ name: "a" }),
      (backlog) => backlog.fail(new Error("no descriptors")),
      (backlog) => backlog.stop()
    ]
    for (const happens of after) {
      const backlog = new Backlog<Item>(1)
      assert.isUndefined(backlog.poll())
      happens(backlog)
      let woken = 0
      backlog.await(() => woken++)
      assert.strictEqual(woken, 1)
      assert.isDefined(backlog.poll())
    }
  })

  it("has room beyond its bound for whoever waits", () => {
    const backlog = new Backlog<Item>(1)
    for (let i = 0; i < 2; i++) backlog.await(() => {})
    const taken = ["a", "b", "c"].map((name) => backlog.offer({ name }))
    assert.deepStrictEqual(taken, [true, true, false])
  })

  it("gives connections before failures, and each failure once", () => {
    const backlog = new Backlog<Item>(1)
    const cause = new Error("no descriptors")
    backlog.fail(cause)
    backlog.offer({ name: "a" })
    assert.deepStrictEqual(backlog.poll(), { name: "a" })
    assert.strictEqual(refusal(backlog.poll()).cause, cause)
    assert.isUndefined(backlog.poll())
  })

  it("forgets a connection that went away", () => {
    const backlog = new Backlog<Item>(1)
    const item = { name: "a" }
    backlog.offer(item)
    assert.isFalse(backlog.offer({ name: "b" }))
    backlog.remove(item)
    assert.isTrue(backlog.offer({ name: "c" }))
    // It is not there any more: the other one stays.
    backlog.remove(item)
    assert.deepStrictEqual(backlog.poll(), { name: "c" })
  })

  it("takes nothing more once it is stopped, and gives back what was left", () => {
    const backlog = new Backlog<Item>(2)
    const woken: Array<string> = []
    backlog.offer({ name: "a" })
    backlog.offer({ name: "b" })
    backlog.poll()
    backlog.await(() => woken.push("waiter"))
    assert.deepStrictEqual(backlog.stop(), [{ name: "b" }])
    assert.deepStrictEqual(woken, ["waiter"])
    assert.isFalse(backlog.offer({ name: "c" }))
    backlog.fail(new Error("too late"))
    assert.isTrue(refusal(backlog.poll()).isStopped)
    assert.isTrue(refusal(backlog.poll()).isStopped)
  })

  it("takes items of any shape", () => {
    const backlog = new Backlog<object>(1)
    const item = { _tag: "Stopped", isStopped: true }
    backlog.offer(item)
    assert.strictEqual(backlog.poll(), item)
  })
})
