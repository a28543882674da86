/**
 * The command-line tool as a user runs it: a process of its own, whose two outputs are kept apart.
 */
import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn, type StdioOptions } from "node:child_process"
import { once } from "node:events"
import * as Path from "node:path"

const main = Path.resolve(import.meta.dirname, "../../src/cli/main.ts")

const command: ReadonlyArray<string> = [process.execPath, "-C", "effect-transport-source", main]

/** What starts the tool in a shell. */
export const shellLine = (args: ReadonlyArray<string>): string =>
  [...command, ...args].map((word) => `'${word}'`).join(" ")

export interface Tool {
  readonly child: ChildProcess
  readonly stdout: () => Buffer
  readonly stderr: () => string
  /** Completes when stderr fits, with the match. Fails when the tool ends before. */
  readonly said: (pattern: RegExp) => Effect.Effect<RegExpMatchArray>
  /** Completes when stdout has this many bytes. */
  readonly printed: (bytes: number) => Effect.Effect<void>
  /** Completes with the exit status, when both outputs have ended too. */
  readonly exited: Effect.Effect<number | null>
}

/** Starts the tool, killed with the scope. */
export const tool = (...args: ReadonlyArray<string>): Effect.Effect<Tool, never, Scope.Scope> => toolWith("pipe", args)

export const toolWith = (
  stdio: StdioOptions,
  args: ReadonlyArray<string>
): Effect.Effect<Tool, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => spawn(command[0]!, [...command.slice(1), ...args], { stdio })),
      (child) =>
        Effect.promise(async () => {
          if (child.exitCode !== null || child.signalCode !== null) return
          const exit = once(child, "exit")
          child.kill("SIGKILL")
          await exit
        })
    ),
    (child): Tool => {
      const stdout: Array<Buffer> = []
      let stdoutBytes = 0
      let stderr = ""
      let isClosed = false
      const watching = new Set<() => void>()
      const look = () => watching.forEach((look) => look())
      child.stdout?.on("data", (chunk: Buffer) => {
        stdout.push(chunk)
        stdoutBytes += chunk.length
        look()
      })
      child.stderr?.on("data", (chunk: Buffer) => {
        stderr += chunk.toString("utf8")
        look()
      })
      child.stdin?.on("error", () => {})
      child.on("close", () => {
        isClosed = true
        look()
      })
      const until = <A>(what: string, find: () => A | undefined | null) =>
        Effect.callback<A>((resume) => {
          const look = () => {
            const found = find()
            if (found === null || found === undefined) {
              if (isClosed) resume(Effect.die(new Error(`the tool ended without ${what}; it said:\n${stderr}`)))
              else return
            } else resume(Effect.succeed(found))
            watching.delete(look)
          }
          watching.add(look)
          look()
          return Effect.sync(() => watching.delete(look))
        })
      return {
        child,
        stdout: () => Buffer.concat(stdout),
        stderr: () => stderr,
        said: (pattern) => until(`saying ${pattern}`, () => stderr.match(pattern)),
        printed: (bytes) => Effect.asVoid(until(`printing ${bytes} bytes`, () => stdoutBytes >= bytes || undefined)),
        exited: until("an end", () => isClosed ? [child.exitCode] as const : undefined).pipe(
          Effect.map(([status]) => status)
        )
      }
    }
  )

/** The port on which the tool says that it listens. */
export const portOf = (tool: Tool): Effect.Effect<number> =>
  Effect.map(tool.said(/listening.*tcp:\/\/127\.0\.0\.1:(\d+)["\n]/), ([, port]) => Number(port))

/** The objects that it said with `--json`. */
export const events = (tool: Tool): ReadonlyArray<Record<string, any>> =>
  tool.stderr().split("\n").slice(0, -1).map((line) => JSON.parse(line))
