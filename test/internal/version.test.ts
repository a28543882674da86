import { assert, it } from "@effect/vitest"
import * as Fs from "node:fs"
import { version } from "../../src/internal/version.ts"

it("version is that of package.json", () => {
  const url = new URL("../../package.json", import.meta.url)
  assert.strictEqual(version, JSON.parse(Fs.readFileSync(url, "utf8")).version)
})
