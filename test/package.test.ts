import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"

const root = Path.resolve(import.meta.dirname, "..")
const manifest: { readonly name: string; readonly exports: Record<string, unknown> } = JSON.parse(
  Fs.readFileSync(Path.join(root, "package.json"), "utf8")
)
const publicPaths = Object.keys(manifest.exports).map((path) => Path.posix.join(manifest.name, path))
const modulePaths = publicPaths.filter((path) => !path.endsWith(".json"))

const consumer = Fs.realpathSync(Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-transport-consumer-")))
const write = (file: string, text: string): void => Fs.writeFileSync(Path.join(consumer, file), text)

// Not the environment of this run: npm's variables would point a nested npm at this project.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_|VITEST)/i.test(name)))

const run = (cwd: string, command: string, ...args: ReadonlyArray<string>) => {
  const { status, stdout, stderr } = ChildProcess.spawnSync(command, args, { cwd, env, encoding: "utf8" })
  return { status, stdout, output: `${stdout}${stderr}` }
}
const runNode = (...args: ReadonlyArray<string>) => run(consumer, process.execPath, ...args)

const ok = (result: ReturnType<typeof run>): string => {
  assert.strictEqual(result.status, 0, result.output)
  return result.stdout
}

describe("npm pack", () => {
  let files: ReadonlyArray<string> = []

  beforeAll(() => {
    ok(run(root, "npm", "pack", "--silent", "--pack-destination", consumer))
    const tarball = Fs.readdirSync(consumer).find((file) => file.endsWith(".tgz"))
    assert.isDefined(tarball)
    write("package.json", JSON.stringify({ name: "consumer", private: true, type: "module" }))
    // Peers are linked below, so that no network is needed: npm must not fetch them.
    ok(run(consumer, "npm", "install", "--offline", "--legacy-peer-deps", "--no-audit", "--no-fund", `./${tarball}`))
    for (const peer of ["effect", "@effect", "@types", "vitest"]) {
      Fs.symlinkSync(Path.join(root, "node_modules", peer), Path.join(consumer, "node_modules", peer))
    }
    const installed = Path.join(consumer, "node_modules", manifest.name)
    assert.isFalse(Fs.lstatSync(installed).isSymbolicLink())
    files = Fs.readdirSync(installed, { recursive: true, encoding: "utf8" })
  }, 60_000)

  afterAll(() => Fs.rmSync(consumer, { recursive: true, force: true }))

  it("carries the build, the sources and the papers, and no tests", () => {
    for (const file of ["dist/index.js", "dist/index.d.ts", "src/index.ts", "README.md", "LICENSE", "CHANGELOG.md"]) {
      assert.include(files, file)
    }
    assert.deepStrictEqual(files.filter((file) => /\.test|tsconfig|^(test|scratchpad|\.)/.test(file)), [])
  })

  it.each(publicPaths)("%s is imported by plain node", (path) => {
    const attributes = path.endsWith(".json") ? `, { with: { type: "json" } }` : ""
    const source = `const m = await import("${path}"${attributes}); console.log(Object.keys(m).length)`
    assert.isAbove(Number(ok(runNode("--input-type=module", "--eval", source))), 0)
  })

  it("says what a serial port needs where that is not installed", () => {
    const result = run(consumer, "npx", "--offline", "effect-transport", "cat", "serial:///dev/ttyS0")
    assert.strictEqual(result.status, 1)
    assert.include(
      result.output,
      "a serial port without the package serialport (npm install serialport) is not supported"
    )
  })

  it("installs the tool", () => {
    const help = ok(run(consumer, "npx", "--offline", "effect-transport", "--help"))
    assert.include(help, "effect-transport relay")
    assert.strictEqual(run(consumer, "npx", "--offline", "effect-transport", "bogus").status, 2)
  })

  it("type-checks under nodenext with strict", () => {
    write(
      "tsconfig.json",
      JSON.stringify({
        compilerOptions: {
          target: "ES2022",
          module: "nodenext",
          strict: true,
          exactOptionalPropertyTypes: true,
          noEmit: true,
          types: ["node"]
        },
        files: ["main.ts"]
      })
    )
    const imports = modulePaths.map((path, i) => `import * as m${i} from "${path}"`)
    write("main.ts", [...imports, `export const all = [${modulePaths.map((_, i) => `m${i}`).join(", ")}]`].join("\n"))
    ok(runNode(Path.join(root, "node_modules/typescript/bin/tsc")))
  })

  it("refuses every other path", () => {
    const internal = files.filter((file) => /^dist\/internal\/.*\.js$/.test(file)).map((file) => file.slice(5, -3))
    assert.isNotEmpty(internal)
    const paths = ["index", "dist/index.js", "src/index.ts", ...internal, ...internal.map((path) => `dist/${path}.js`)]
    const source = `for (const path of ${JSON.stringify(paths)}) {
      await import("${manifest.name}/" + path).then(
        () => { throw new Error(path + " is open") },
        (error) => { if (error.code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw error }
      )
    }`
    ok(runNode("--input-type=module", "--eval", source))
  })
})
