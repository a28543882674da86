/**
 * Programs that are not Node packages, and tests that need them.
 *
 * Such tests run where the program is found. Elsewhere they are listed as skipped, with the line that installs them
 * all; with `CI=true` a missing program is a failure.
 */
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "vitest"

/** Each program with its Debian package, or packages. A module of Python goes by the name of its package. */
export const programs = {
  socat: "socat",
  openssl: "openssl",
  "redis-server": "redis-server",
  python3: "python3",
  "python3-serial": "python3-serial",
  gcc: "gcc libc6-dev",
  nc: "netcat-openbsd",
  mosquitto: "mosquitto"
} as const

export type Program = keyof typeof programs

export const installLine = `apt-get install -y ${Object.values(programs).join(" ")}`

const isExecutable = (file: string): boolean => {
  try {
    Fs.accessSync(file, Fs.constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The one that Debian's modules belong to, which is not always the first on the path. */
export const debianPython = "/usr/bin/python3"

/** How those are found that are no programs on the path. */
const probes: { readonly [name: string]: () => boolean } = {
  "python3-serial": () => ChildProcess.spawnSync(debianPython, ["-c", "import serial"]).status === 0
}

export const isFound = (program: string, path = process.env.PATH ?? ""): boolean =>
  probes[program]?.() ??
    path.split(Path.delimiter).some((folder) => folder !== "" && isExecutable(Path.join(folder, program)))

export type Verdict =
  | { readonly _tag: "Run" }
  | { readonly _tag: "Skip" | "Fail"; readonly reason: string }

export const verdict = (
  needed: ReadonlyArray<Program>,
  options: { readonly isFound: (program: Program) => boolean; readonly isCi: boolean }
): Verdict => {
  const missing = needed.filter((program) => !options.isFound(program))
  return missing.length === 0
    ? { _tag: "Run" }
    : { _tag: options.isCi ? "Fail" : "Skip", reason: `${missing.join(", ")} not found` }
}

/** Like `describe`, for tests that need these programs. */
export const describeWith = (needed: ReadonlyArray<Program>, name: string, tests: () => void): void => {
  const decision = verdict(needed, { isFound, isCi: process.env.CI === "true" })
  switch (decision._tag) {
    case "Run":
      return void describe(name, tests)
    case "Skip":
      return void describe(`${name} [skipped: ${decision.reason}]`, { skip: true }, tests)
    case "Fail":
      return void describe(name, () => {
        it("finds the programs it needs", () => assert.fail(`${decision.reason}; install all with: ${installLine}`))
      })
  }
}
