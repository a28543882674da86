/**
 * `npm run sim:digest` as a process of its own, from the sources or from JavaScript that was built of them.
 */
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { promisify } from "node:util"

const root = Path.resolve(import.meta.dirname, "../..")
const execFile = promisify(ChildProcess.execFile)

export interface Way {
  /** Options of Node itself. */
  readonly node?: ReadonlyArray<string> | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  /** A folder that `build` made; the sources without it. */
  readonly built?: string | undefined
}

/** What it prints. */
export const digests = async (args: ReadonlyArray<string>, { built = root, env, node = [] }: Way = {}) => {
  const script = Path.join(built, `scratchpad/sim/digest.${built === root ? "ts" : "js"}`)
  const options = { cwd: built, env: { ...process.env, ...env }, maxBuffer: 2 ** 28 }
  const { stdout } = await execFile(
    process.execPath,
    ["-C", "effect-transport-source", ...node, script, ...args],
    options
  )
  return stdout
}

/** Builds it, for a Node that cannot strip types. */
export const build = async (): Promise<string> => {
  const folder = Fs.realpathSync(Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-transport-sim-")))
  const config = Path.join(folder, "tsconfig.json")
  Fs.writeFileSync(
    config,
    JSON.stringify({
      extends: Path.join(root, "tsconfig.json"),
      compilerOptions: {
        noEmit: false,
        rootDir: root,
        outDir: folder,
        typeRoots: [Path.join(root, "node_modules/@types")]
      },
      include: [],
      files: [Path.join(root, "scratchpad/sim/digest.ts")]
    })
  )
  await execFile(process.execPath, [Path.join(root, "node_modules/typescript/bin/tsc"), "-p", config])
  Fs.writeFileSync(
    Path.join(folder, "package.json"),
    JSON.stringify({
      name: "effect-transport",
      type: "module",
      exports: { ".": "./src/index.js", "./sim": "./src/sim/index.js" }
    })
  )
  Fs.symlinkSync(Path.join(root, "node_modules"), Path.join(folder, "node_modules"))
  return folder
}
