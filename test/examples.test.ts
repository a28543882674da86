/**
 * Runs and type-checks the examples of README.md and of the JSDoc in `src`: fences marked `ts import.meta.vitest`.
 * A statement followed by `// => value` must equal that value.
 */
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { afterAll, assert, describe, it } from "vitest"
import { parseAst } from "vitest/node"

const root = Path.resolve(import.meta.dirname, "..")
const folder = Fs.realpathSync(Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-transport-examples-")))

const sources = Fs.readdirSync(Path.join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => Path.join("src", file))

interface Example {
  readonly name: string
  readonly file: string
}

interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

const assertions = (node: unknown, code: string): ReadonlyArray<Edit> => {
  if (Array.isArray(node)) return node.flatMap((child) => assertions(child, code))
  if (typeof node !== "object" || node === null) return []
  const { end, expression, type } = node as { type?: string; end?: number; expression?: Edit }
  if (type === "ExpressionStatement" && expression !== undefined) {
    const expected = /^[ \t;]*\/\/ => (.+)/.exec(code.slice(end))?.[1]
    if (expected !== undefined) {
      const actual = code.slice(expression.start, expression.end)
      return [{ start: expression.start, end: expression.end, text: `assertEqual(${actual}, ${expected})` }]
    }
  }
  return Object.values(node).flatMap((child) => assertions(child, code))
}

const withAssertions = (name: string, code: string): string => {
  const edits = assertions(parseAst(code, { lang: "ts" }, name), code)
  const written = code.match(/\/\/ => /g)?.length ?? 0
  if (edits.length !== written) throw new Error(`${name}: \`// => value\` stands after something not an expression`)
  return edits.toReversed().reduce((text, edit) => text.slice(0, edit.start) + edit.text + text.slice(edit.end), code)
}

// A fence starts at its own line in the file it came from, so that an error names the right line.
const examplesOf = (file: string): ReadonlyArray<Example> => {
  const text = Fs.readFileSync(Path.join(root, file), "utf8")
  return [...text.matchAll(/^([ \t]*(?:\* ?)?)```ts import\.meta\.vitest[^\n]*\n([\s\S]*?)^[ \t]*(?:\* ?)?```/gm)].map(
    (match) => {
      const line = text.slice(0, match.index).split("\n").length
      const code = match[2]!.replace(/^[ \t]*\* ?/gm, (prefix) => match[1]!.includes("*") ? "" : prefix)
      const name = `${file}:${line}`
      const target = Path.join(folder, `${file.replaceAll(/[\\/]/g, "-")}-${line}.ts`)
      const head = `import { deepStrictEqual as assertEqual } from "node:assert"`
      Fs.writeFileSync(target, head + "\n".repeat(line) + withAssertions(name, code))
      return { name, file: target }
    }
  )
}

describe("examples", () => {
  Fs.mkdirSync(Path.join(folder, "node_modules"))
  for (const name of ["effect", "@effect", "@types", "vitest"]) {
    Fs.symlinkSync(Path.join(root, "node_modules", name), Path.join(folder, "node_modules", name))
  }
  Fs.symlinkSync(root, Path.join(folder, "node_modules", "effect-transport"))
  Fs.writeFileSync(Path.join(folder, "package.json"), JSON.stringify({ type: "module" }))
  Fs.writeFileSync(
    Path.join(folder, "tsconfig.json"),
    JSON.stringify({
      extends: Path.join(root, "tsconfig.json"),
      compilerOptions: { noUnusedLocals: false },
      include: ["*.ts"]
    })
  )
  afterAll(() => Fs.rmSync(folder, { recursive: true, force: true }))

  const examples = ["README.md", ...sources].flatMap(examplesOf)

  it("exist", () => assert.isNotEmpty(examples))

  it("type-check", () => {
    const tsc = ChildProcess.spawnSync(process.execPath, [Path.join(root, "node_modules/typescript/bin/tsc")], {
      cwd: folder,
      encoding: "utf8"
    })
    assert.strictEqual(tsc.status, 0, tsc.stdout)
  })

  for (const example of examples) {
    it(example.name, () => import(/* @vite-ignore */ example.file))
  }
})
