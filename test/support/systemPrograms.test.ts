import * as Fs from "node:fs"
import { assert, describe, it } from "vitest"
import { skippedLine } from "./reporter.ts"
import { installLine, isFound, programs, verdict } from "./systemPrograms.ts"

const withoutSocat = (program: string): boolean => program !== "socat"

describe("systemPrograms", () => {
  it("runs where every program is found", () => {
    assert.deepStrictEqual(verdict(["openssl"], { isFound: withoutSocat, isCi: true }), { _tag: "Run" })
  })

  it("skips where one is missing, and fails there with CI=true", () => {
    const reason = "socat not found"
    assert.deepStrictEqual(verdict(["socat", "openssl"], { isFound: withoutSocat, isCi: false }), {
      _tag: "Skip",
      reason
    })
    assert.deepStrictEqual(verdict(["socat", "openssl"], { isFound: withoutSocat, isCi: true }), {
      _tag: "Fail",
      reason
    })
  })

  it("looks for executables on the path", () => {
    assert.isTrue(isFound("node"))
    assert.isFalse(isFound("node", ""))
  })

  it("names what was skipped and the line that installs it", () => {
    assert.isUndefined(skippedLine(["tcp"]))
    assert.strictEqual(
      skippedLine(["tcp", "a [skipped: socat, python3 not found]", "b [skipped: socat not found]"]),
      `skipped: tests that need socat, python3; install all with: ${installLine}`
    )
  })

  it("has its packages installed by .ci/run", () => {
    const ci = Fs.readFileSync(new URL("../../.ci/run", import.meta.url), "utf8")
    for (const name of Object.values(programs)) assert.include(ci, name)
  })
})
