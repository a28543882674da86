import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { once, openByPromise } from "../../../src/node/serial/opening.ts"

/** Something that is opened when the test says so, and counts how often it is let go. */
const opening = () => {
  let settle: Parameters<ConstructorParameters<typeof Promise<"opened">>[0]>
  const promise = new Promise<"opened">((...both) => settle = both)
  const closed: Array<string> = []
  const close = (opened: string) => {
    closed.push(opened)
    return Promise.resolve()
  }
  const effect = openByPromise(() => promise, (cause) => ({ cause }), close)
  return { effect, closed, resolve: () => settle[0]("opened"), reject: (cause: unknown) => settle[1](cause) }
}

describe("openByPromise", () => {
  it.live("is let go with its scope, once", () =>
    Effect.gen(function*() {
      const { closed, effect, resolve } = opening()
      resolve()
      const scope = yield* Scope.make()
      assert.strictEqual(yield* Scope.provide(effect, scope), "opened")
      assert.deepStrictEqual(closed, [])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(closed, ["opened"])
    }))

  it.live("lets go of what opens after the interruption, which waits for it", () =>
    Effect.gen(function*() {
      const { closed, effect, resolve } = opening()
      const waiting = yield* Effect.forkChild(Effect.scoped(effect), { startImmediately: true })
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(waiting), { startImmediately: true })
      yield* Effect.promise(() => Promise.resolve())
      assert.isUndefined(interrupting.pollUnsafe())
      assert.deepStrictEqual(closed, [])
      resolve()
      yield* Fiber.join(interrupting)
      assert.deepStrictEqual(closed, ["opened"])
    }))

  it.live("has nothing to let go where it fails, before or after the interruption", () =>
    Effect.gen(function*() {
      const failing = opening()
      failing.reject("no such device")
      assert.deepStrictEqual(yield* Effect.flip(Effect.scoped(failing.effect)), { cause: "no such device" })
      const late = opening()
      const waiting = yield* Effect.forkChild(Effect.scoped(late.effect), { startImmediately: true })
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(waiting), { startImmediately: true })
      late.reject("no such device")
      yield* Fiber.join(interrupting)
      assert.deepStrictEqual([failing.closed, late.closed], [[], []])
    }))

  it.live("is waited for no longer than a second where a driver hangs, and let go whenever it opens", () =>
    Effect.gen(function*() {
      const { closed, effect, resolve } = opening()
      const waiting = yield* Effect.forkChild(Effect.scoped(effect), { startImmediately: true })
      yield* Fiber.interrupt(waiting)
      assert.deepStrictEqual(closed, [])
      resolve()
      yield* Effect.promise(() => Promise.resolve())
      assert.deepStrictEqual(closed, ["opened"])
    }))
})

describe("once", () => {
  it.live("closes once, and does not fail", () =>
    Effect.promise(async () => {
      let closes = 0
      const close = once(() => {
        closes++
        return Promise.reject(new Error("gone"))
      })
      await Promise.all([close(), close()])
      await close()
      assert.strictEqual(closes, 1)
    }))
})
