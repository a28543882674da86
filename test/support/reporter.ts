/**
 * Ends a run with one line about tests skipped for want of a program. With `TEST_COUNTS` set it also writes
 * "N passed, N failed" to that file.
 */
import * as Fs from "node:fs"
import type { Reporter, SerializedError, TestModule } from "vitest/node"
import { installLine } from "./systemPrograms.ts"

export const skippedLine = (suiteNames: Iterable<string>): string | undefined => {
  const missing = new Set<string>()
  for (const name of suiteNames) {
    const reason = /\[skipped: (.+) not found\]$/.exec(name)?.[1]
    for (const program of reason?.split(", ") ?? []) missing.add(program)
  }
  return missing.size === 0
    ? undefined
    : `skipped: tests that need ${[...missing].join(", ")}; install all with: ${installLine}`
}

// A file or a suite that breaks outside its tests fails once, and so does an error that belongs to no test.
const counts = (modules: ReadonlyArray<TestModule>, errors: ReadonlyArray<SerializedError>): string => {
  let passed = 0
  let failed = errors.length
  for (const module of modules) {
    const failedBefore = failed
    passed += [...module.children.allTests("passed")].length
    failed += [...module.children.allTests("failed")].length
    if (!module.ok() && failed === failedBefore) failed++
  }
  return `${passed} passed, ${failed} failed`
}

export default class implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>, errors: ReadonlyArray<SerializedError>): void {
    const suites = modules.flatMap((module) => [...module.children.allSuites()])
    const line = skippedLine(suites.map((suite) => suite.name))
    if (line !== undefined) process.stdout.write(`${line}\n`)
    if (process.env.TEST_COUNTS !== undefined) {
      Fs.writeFileSync(process.env.TEST_COUNTS, `${counts(modules, errors)}\n`)
    }
  }
}
