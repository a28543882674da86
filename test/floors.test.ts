/** Which folder may import which: design.md, section 3, as a table. */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "vitest"

const src = Path.resolve(import.meta.dirname, "../src")

const below = ["internal", "contract", "codec", "protocol", "interop", "TestTransport"] as const
type Room = (typeof below)[number] | "node" | "sim" | "testing" | "vitest" | "cli" | "roof"

const floors: Record<Room, ReadonlyArray<Room>> = {
  internal: ["internal"],
  contract: ["internal", "contract"],
  TestTransport: ["internal", "contract"],
  codec: ["internal", "contract", "codec"],
  protocol: ["internal", "contract", "codec", "protocol"],
  interop: ["internal", "contract", "codec", "protocol", "interop"],
  node: [...below, "node"],
  sim: [...below, "sim"],
  testing: [...below, "testing"],
  vitest: [...below, "node", "sim", "testing", "vitest"],
  cli: [...below, "node", "sim", "testing", "vitest", "cli"],
  roof: below
}

const platform = /^(node:|@effect\/platform-node($|\/))/
const packages: Record<Room, RegExp | undefined> = {
  internal: undefined,
  contract: undefined,
  TestTransport: undefined,
  codec: undefined,
  protocol: undefined,
  interop: undefined,
  node: new RegExp(`${platform.source}|^(serialport|ws)$`),
  sim: undefined,
  testing: undefined,
  vitest: new RegExp(`${platform.source}|^(@effect/)?vitest($|/)`),
  cli: platform,
  roof: undefined
}

/** What the ground may use of Effect at run time: data, no runtime and no clock. */
const dataModules =
  /^effect\/(Array|Duration|Equal|Function|Hash|Number|Option|Order|Predicate|Record|Result|String|Tuple)$/

/** The room of a file, given by its path below `src`. */
const roomOf = (file: string): Room | undefined => {
  const [first = "", ...rest] = file.split("/")
  // What consumers and producers, and machines over connections, are made of: contracts import it.
  if (rest.length > 0 && (first === "flow" || first === "machine")) return "contract"
  if (rest.length > 0) return first in floors && /^[a-z]/.test(first) ? first as Room : undefined
  if (first === "index.ts") return "roof"
  return first === "TestTransport.ts" ? "TestTransport" : "contract"
}

interface Import {
  readonly specifier: string
  readonly isType: boolean
}

// Whole-line comments go first: their examples import what they like.
const importsOf = (source: string): ReadonlyArray<Import> => {
  const code = source.replace(/^\s*\/\*[\s\S]*?\*\//gm, "").replace(/^\s*\/\/.*$/gm, "")
  const statements = /^\s*(?:import|export)\s(type\s)?(?:[^"'`;]*?\sfrom\s)?\s*["']([^"']+)["']/gm
  const calls = /\bimport\(\s*["']([^"']+)["']/g
  return [
    ...[...code.matchAll(statements)].map((m) => ({ specifier: m[2]!, isType: m[1] !== undefined })),
    ...[...code.matchAll(calls)].map((m) => ({ specifier: m[1]!, isType: false }))
  ]
}

/** What is wrong with one import of one file, if anything. */
const judge = (file: string, { isType, specifier }: Import): string | undefined => {
  const room = roomOf(file)
  if (room === undefined) return `is in no room of design.md`
  if (specifier.startsWith(".")) {
    if (!specifier.endsWith(".ts")) return `imports "${specifier}", which does not end in .ts`
    const target = Path.posix.join(Path.posix.dirname(file), specifier)
    if (target.startsWith("../")) return `imports "${specifier}", outside src`
    const targetRoom = roomOf(target)
    return targetRoom !== undefined && floors[room].includes(targetRoom)
      ? undefined
      : `is ${room} and imports ${targetRoom ?? "an unknown room"}: ${target}`
  }
  if (specifier === "effect") return `imports the barrel "effect"`
  if (specifier.startsWith("effect/")) {
    return room !== "internal" || isType || dataModules.test(specifier)
      ? undefined
      : `is internal and imports ${specifier} at run time`
  }
  return packages[room]?.test(specifier) === true ? undefined : `is ${room} and imports ${specifier}`
}

const judgeSource = (file: string, source: string): ReadonlyArray<string> => {
  const found = importsOf(source).flatMap((imported) => judge(file, imported) ?? []).map((what) => `${file} ${what}`)
  if (file !== "index.ts") return found
  const other = source.replace(/\/\*[\s\S]*?\*\//g, "").split("\n")
    .filter((line) => line.trim() !== "" && !/^export \* as [A-Z]\w* from "\.\/.+\.ts"$/.test(line))
  return [...found, ...other.map((line) => `index.ts has more than \`export * as X from\` lines: ${line}`)]
}

describe("floors", () => {
  const files = Fs.readdirSync(src, { recursive: true, encoding: "utf8" })
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => file.endsWith(".ts"))

  it("imports only point down", () => {
    assert.isNotEmpty(files)
    const found = files.flatMap((file) => judgeSource(file, Fs.readFileSync(Path.join(src, file), "utf8")))
    assert.deepStrictEqual(found, [])
  })

  it.each([
    ["internal/ring.ts", `import * as Option from "effect/Option"`],
    ["internal/ring.ts", `import type * as Effect from "effect/Effect"`],
    ["internal/ring.ts", `import { x } from "./slab.ts"`],
    ["Transport.ts", `import type { Connection } from "./Connection.ts"`],
    ["Transport.ts", `/**\n * import { Effect } from "effect"\n */\nexport const x = 1`],
    ["TestTransport.ts", `import * as Transport from "./Transport.ts"`],
    ["codec/Lines.ts", `import * as Codec from "../Codec.ts"`],
    ["node/NodeTransport.ts", `import * as Net from "node:net"`],
    ["node/NodeTransport.ts", `import * as TestTransport from "../TestTransport.ts"`],
    ["vitest/index.ts", `import { it } from "@effect/vitest"\nimport * as Laws from "../testing/TransportLaws.ts"`],
    ["index.ts", `/** The roof. */\nexport * as Lines from "./codec/Lines.ts"\n`]
  ])("%s may hold %s", (file, source) => {
    assert.deepStrictEqual(judgeSource(file, source), [])
  })

  it.each([
    ["internal/ring.ts", `import * as Effect from "effect/Effect"`],
    ["internal/ring.ts", `import { type Effect } from "effect/Effect"`],
    ["internal/ring.ts", `import type { TransportError } from "../TransportError.ts"`],
    ["internal/ring.ts", `export const load = () => import("node:fs")`],
    ["Transport.ts", `import { Effect } from "effect"`],
    ["Transport.ts", `import {\n  Effect,\n  Stream\n} from "effect"`],
    ["Transport.ts", `import type * as Net from "node:net"`],
    ["Transport.ts", `import "node:process"`],
    ["Transport.ts", `import * as TestTransport from "./TestTransport.ts"`],
    ["Transport.ts", `import * as Lines from "./codec/Lines.ts"`],
    ["Transport.ts", `import * as Connection from "./Connection.js"`],
    ["Transport.ts", `import * as Connection from "./Connection"`],
    ["Transport.ts", `import * as X from "./index.ts"`],
    ["TestTransport.ts", `import * as Lines from "./codec/Lines.ts"`],
    ["codec/Lines.ts", `import * as JsonRpc from "../protocol/JsonRpc.ts"`],
    ["protocol/JsonRpc.ts", `export * from "../node/NodeTransport.ts"`],
    ["node/NodeTransport.ts", `import * as Laws from "../testing/TransportLaws.ts"`],
    ["node/NodeTransport.ts", `import { it } from "vitest"`],
    ["testing/TransportLaws.ts", `import * as NodeTransport from "../node/NodeTransport.ts"`],
    ["testing/TransportLaws.ts", `import * as assert from "node:assert"`],
    ["testing/TransportLaws.ts", `import * as Sim from "../sim/Sim.ts"`],
    ["sim/Sim.ts", `import * as NodeRuntime from "@effect/platform-node/NodeRuntime"`],
    ["vitest/index.ts", `import * as All from "../index.ts"`],
    ["utils/text.ts", `import * as Option from "effect/Option"`],
    ["index.ts", `export * as NodeTransport from "./node/NodeTransport.ts"\n`],
    ["index.ts", `export const x = 1\n`]
  ])("%s may not hold %s", (file, source) => {
    assert.lengthOf(judgeSource(file, source), 1)
  })
})
