/** A process of a benchmark, seen from the one that measures: started in a scope, asked, and ended with the scope. */
import { Data, Effect, type Scope } from "effect"
import * as ChildProcess from "node:child_process"
import * as Os from "node:os"
import * as Path from "node:path"
import type { Answer, Question } from "./messages.ts"

/** What makes a measurement worthless. */
export class BenchError extends Data.TaggedError("BenchError")<{ readonly message: string }> {}

/** Whether a process can have a core of its own; else the report says that it had none. */
export const isPinned: boolean = Os.availableParallelism() >= 2 &&
  ChildProcess.spawnSync("taskset", ["-c", "0,1", "true"]).status === 0

/** A process that answers these questions, one at a time. */
export interface Program<A> {
  readonly ask: <K extends keyof A>(question: K, argument?: number) => Effect.Effect<A[K], BenchError>
}

/** Starts a program of this folder on a core of its own. */
export const start = <A>(
  file: string,
  settings: object,
  core: number
): Effect.Effect<Program<A>, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => spawn(file, settings, core)),
      (child) =>
        Effect.callback<void>((resume) => {
          if (hasEnded(child)) return resume(Effect.void)
          child.once("exit", () => resume(Effect.void))
          child.kill()
        })
    ),
    (child): Program<A> => ({
      ask: <K extends keyof A>(question: K, argument = 0) =>
        Effect.callback<A[K], BenchError>((resume) => {
          const done = () => {
            child.off("message", answered)
            child.off("exit", ended)
          }
          const answered = ({ value }: Answer) => {
            done()
            resume(Effect.succeed(value as A[K]))
          }
          const failed = (what: string) => {
            done()
            resume(Effect.fail(new BenchError({ message: `${file} ${what} when asked for ${String(question)}` })))
          }
          const ended = () => failed(`ended with ${child.exitCode ?? child.signalCode}`)
          if (hasEnded(child)) return ended()
          child.on("message", answered)
          child.on("exit", ended)
          child.send({ question, argument } satisfies Question, (error) => {
            if (error !== null) failed(`was gone (${error.message})`)
          })
          return Effect.sync(done)
        })
    })
  )

const spawn = (file: string, settings: object, core: number): ChildProcess.ChildProcess => {
  const node = [
    process.execPath,
    "-C",
    "effect-transport-source",
    "--expose-gc",
    Path.join(import.meta.dirname, file),
    JSON.stringify(settings)
  ]
  const [command, ...args] = isPinned ? ["taskset", "-c", String(core), ...node] : node
  // What it logs must not come between the results.
  const child = ChildProcess.spawn(command!, args, { stdio: ["ignore", 2, 2, "ipc"] })
  // Told by `hasEnded`.
  child.on("error", () => {})
  return child
}

/** One that could not be started has no number, and never exits. */
const hasEnded = (child: ChildProcess.ChildProcess): boolean =>
  child.pid === undefined || child.exitCode !== null || child.signalCode !== null
