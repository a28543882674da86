/**
 * Programs of others as peers: each runs for the length of a scope and is ended by its own id.
 */
import { Effect, Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"

export interface Running {
  readonly child: ChildProcess
  /** All that it printed so far: its output, and then its errors. */
  readonly output: () => string
  /** Completes with the exit status. */
  readonly exited: Effect.Effect<number | null>
  /** Completes when what it printed on one of the two fits, with the match. */
  readonly printed: (pattern: RegExp) => Effect.Effect<RegExpMatchArray>
}

/** Starts a program, killed with the scope. */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  input?: string | Uint8Array
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] })),
      (child) =>
        Effect.promise(async () => {
          if (child.exitCode !== null || child.signalCode !== null) return
          const exit = once(child, "exit")
          child.kill("SIGKILL")
          await exit
        })
    ),
    (child): Running => {
      // Apart, since a piece of the one may come in the middle of a line of the other.
      const outputs = ["", ""]
      const watching = new Set<() => void>()
      for (const [i, stream] of [child.stdout, child.stderr].entries()) {
        stream.on("data", (chunk: Buffer) => {
          outputs[i] += chunk.toString("latin1")
          for (const look of watching) look()
        })
      }
      child.stdin.on("error", () => {})
      if (input !== undefined) child.stdin.end(input)
      return {
        child,
        output: () => outputs.join(""),
        exited: Effect.promise(async () => {
          if (child.exitCode === null && child.signalCode === null) await once(child, "close")
          return child.exitCode
        }),
        printed: (pattern) =>
          Effect.callback((resume) => {
            const look = () => {
              const match = outputs.map((output) => output.match(pattern)).find((match) => match !== null)
              if (match === undefined) return
              watching.delete(look)
              resume(Effect.succeed(match))
            }
            watching.add(look)
            look()
            return Effect.sync(() => watching.delete(look))
          })
      }
    }
  )

/** A Python program that prints `port N` once it listens, and what it sees, one line each. */
export const python = (program: string): Effect.Effect<Running, never, Scope.Scope> =>
  run("python3", ["-u", "-c", pythonPrelude + program])

/** The port that a Python peer printed. */
export const portOf = (running: Running): Effect.Effect<number> =>
  Effect.map(running.printed(/port (\d+)/), (match) => Number(match[1]))

const pythonPrelude = `
import socket, struct, sys, time, hashlib
def say(*words): print(*words, flush=True)
def listen():
  server = socket.socket(); server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
  server.bind(("127.0.0.1", 0)); server.listen(16); say("port", server.getsockname()[1])
  return server
def reset(peer):
  peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); peer.close()
def read_all(peer):
  data = b""
  while True:
    some = peer.recv(65536)
    if not some: return data
    data += some
`
