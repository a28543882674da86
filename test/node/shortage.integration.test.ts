/**
 * What opens a transport where the process may have no more descriptors.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { closeSync, openSync } from "node:fs"
import * as Net from "node:net"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, describe } from "vitest"
import { dropFifos, takeFifo } from "../support/fifos.ts"
import { folder } from "../support/folder.ts"
import { run } from "../support/programs.ts"

const program = fileURLToPath(new URL("../support/exhaustedDoors.ts", import.meta.url))

const listening = (at: Net.ListenOptions) =>
  Effect.acquireRelease(
    Effect.callback<Net.Server>((resume) => {
      const server = Net.createServer((socket) => socket.resume().on("error", () => {}))
      server.listen(at, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )

/** A FIFO with somebody at the other end. */
const fifo = Effect.acquireRelease(
  Effect.sync(() => {
    const path = takeFifo()
    return { path, fd: openSync(path, "r+") }
  }),
  ({ fd }) => Effect.sync(() => closeSync(fd))
)

afterAll(dropFifos)

describe("where no descriptors are left", () => {
  it.live("says so, keeps none, and opens when there are some", () =>
    Effect.scoped(Effect.gen(function*() {
      const at = yield* folder
      const server = yield* listening({ host: "127.0.0.1", port: 0 })
      yield* listening({ path: join(at, "sock") })
      const [input, output] = [yield* fifo, yield* fifo]
      // With how many descriptors each takes: a program two pairs of sockets, and a pipe to be told of a failure by.
      const doors = [
        ["exec:cat", 6],
        [`tcp://127.0.0.1:${(server.address() as Net.AddressInfo).port}`, 1],
        [`unix://${at}/sock`, 1],
        [`fifo:?read=${input.path}&write=${output.path}`, 2]
      ] as const
      // With four or five left, Node itself keeps two of a program that it could not start.
      const frees = [0, 1, 2, 3]
      const running = yield* run("sh", [
        "-c",
        `ulimit -n 64; exec "$0" "$@"`,
        process.execPath,
        "-C",
        "effect-transport-source",
        program,
        frees.join(),
        ...doors.map(([endpoint]) => endpoint)
      ])
      assert.strictEqual(yield* running.exited, 0, running.output())
      const expected = doors.flatMap(([endpoint, needed]) => [
        ...frees.map((free) => `${endpoint} with ${free} left: ${free < needed ? "Failed EMFILE" : "opened"}, 0 kept`),
        `${endpoint} afterwards: opened`
      ])
      assert.deepStrictEqual(running.output().trim().split("\n"), expected)
    })))
})
