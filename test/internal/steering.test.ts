import { assert, describe, it } from "vitest"
import { Steering } from "../../src/internal/steering.ts"

const make = (isSync = true) => {
  const calls: Array<string> = []
  const steering = new Steering((signal) => {
    calls.push(signal)
    return isSync
  })
  return { calls, steering }
}

describe("Steering", () => {
  it("tells nothing before it begins, and then what is wanted by then", () => {
    for (const wanted of [[true], [true, false], []]) {
      const { calls, steering } = make()
      for (const isPaused of wanted) steering.want(isPaused)
      assert.deepStrictEqual(calls, [])
      steering.begin()
      assert.deepStrictEqual(calls, wanted.at(-1) === true ? ["pause"] : [])
    }
  })

  it("alternates, and repeats nothing", () => {
    const { calls, steering } = make()
    steering.begin()
    for (const isPaused of [false, true, true, false, false, true]) steering.want(isPaused)
    assert.deepStrictEqual(calls, ["pause", "resume", "pause"])
  })

  it("stops once, last, and only after it has begun", () => {
    const { calls, steering } = make()
    steering.want(true)
    steering.stop()
    assert.deepStrictEqual(calls, [])
    steering.begin()
    steering.stop()
    steering.want(false)
    assert.deepStrictEqual(calls, ["stop"])
  })

  it("tells a pause from inside the resume that brought it about", () => {
    const calls: Array<string> = []
    const steering: Steering = new Steering((signal) => {
      calls.push(`${signal} {`)
      if (signal === "resume") steering.want(true)
      calls.push("}")
      return true
    })
    steering.begin()
    steering.want(true)
    steering.want(false)
    assert.deepStrictEqual(calls, ["pause {", "}", "resume {", "pause {", "}", "}"])
  })

  it("has one call of a kind under way at a time", () => {
    const { calls, steering } = make(false)
    steering.begin()
    steering.want(true)
    steering.want(false)
    assert.deepStrictEqual(calls, ["pause", "resume"])
    steering.want(true)
    assert.deepStrictEqual(calls, ["pause", "resume"])
    steering.done("pause")
    assert.deepStrictEqual(calls, ["pause", "resume", "pause"])
  })

  it("makes up for a turn that it could not tell", () => {
    const { calls, steering } = make(false)
    steering.begin()
    steering.want(true)
    steering.want(false)
    steering.want(true)
    steering.want(false)
    assert.deepStrictEqual(calls, ["pause", "resume"])
    steering.done("pause")
    steering.done("resume")
    assert.deepStrictEqual(calls, ["pause", "resume", "pause", "resume"])
  })

  it("tells nothing after its end", () => {
    const { calls, steering } = make()
    steering.begin()
    steering.end()
    steering.want(true)
    steering.stop()
    assert.deepStrictEqual(calls, [])
  })
})
