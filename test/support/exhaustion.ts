/**
 * Takes the descriptors from a listener of ours in another process, and tells how it took that.
 */
import { Effect, Fiber, type Scope } from "effect"
import type { TransportLaws } from "effect-transport/testing"
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import * as Net from "node:net"
import { createInterface, type Interface } from "node:readline"
import { fileURLToPath } from "node:url"

/** Node itself needs about 25 of them. */
const descriptorsMax = 48
const clients = 64

/** For POSIX shells; a lack of descriptors has no other remedy than to wait for one. */
export const exhaustion: Effect.Effect<TransportLaws.Exhaustion, never, Scope.Scope> = Effect.gen(function*() {
  const child = yield* startServer
  const lines = createInterface(child.stdout)
  const port = Number(yield* nextLine(child, lines))
  const sockets = yield* Effect.acquireRelease(
    Effect.sync((): Array<Net.Socket> => []),
    (sockets) => Effect.sync(() => sockets.forEach((socket) => socket.destroy()))
  )
  const knock = Effect.callback<boolean>((resume) => {
    const socket = Net.connect({ host: "127.0.0.1", port }, () => socket.write("?"))
    sockets.push(socket)
    socket.once("data", () => resume(Effect.succeed(true)))
    socket.once("close", () => resume(Effect.succeed(false)))
    socket.on("error", () => {})
  })

  const served = yield* Effect.all(Array.from({ length: clients }, () => knock), { concurrency: "unbounded" })
  if (!served.includes(true) || !served.includes(false)) {
    return yield* Effect.die(new Error(`${served.filter((is) => is).length} of ${clients} clients were served`))
  }
  const measured = yield* Effect.forkChild(nextLine(child, lines), { startImmediately: true })
  child.stdin.write("measure\n")
  const knocking = yield* Effect.forkChild(Effect.forever(Effect.delay(knock, 50)))
  const { busy, warnings } = JSON.parse(yield* Fiber.join(measured)) as Omit<
    TransportLaws.Exhaustion,
    "servedAfterwards"
  >
  yield* Fiber.interrupt(knocking)

  for (const socket of sockets.splice(0)) socket.destroy()
  const servedAfterwards = yield* Effect.repeat(Effect.delay(knock, 10), { until: (is) => is, times: 500 })
  return { warnings, busy, servedAfterwards }
})

const startServer = Effect.acquireRelease(
  Effect.sync(() =>
    spawn("sh", [
      "-c",
      `ulimit -n ${descriptorsMax}; exec "$0" "$@"`,
      process.execPath,
      "-C",
      "effect-transport-source",
      fileURLToPath(new URL("exhaustedServer.ts", import.meta.url))
    ])
  ),
  (child) => Effect.sync(() => child.kill("SIGKILL"))
)

const nextLine = (child: ChildProcessWithoutNullStreams, lines: Interface): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const errors: Array<string> = []
    child.stderr.on("data", (bytes) => errors.push(String(bytes)))
    lines.once("line", (line) => resume(Effect.succeed(line)))
    child.once("exit", (code) => resume(Effect.die(new Error(`the server ended with ${code}: ${errors.join("")}`))))
  })
