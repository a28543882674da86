/** Programs as endpoints of the tool. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { randomBytes, randomUUID } from "node:crypto"
import { readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect, sha256 } from "../support/cliPeers.ts"
import { events, tool } from "../support/cliTool.ts"

const live = <A, E>(name: string, test: Effect.Effect<A, E, Scope.Scope>) => it.live(name, () => Effect.scoped(test))

/** Runs the tool with this input to its end. */
const through = Effect.fnUntraced(function*(input: string | Uint8Array, ...args: ReadonlyArray<string>) {
  const running = yield* tool(...args)
  running.child.stdin!.end(input)
  const status = yield* running.exited
  return { status, stdout: running.stdout().toString(), stderr: running.stderr() }
})

const socketPath = Effect.acquireRelease(
  Effect.sync(() => join(tmpdir(), `effect-transport-${randomUUID()}.sock`)),
  (path) => Effect.sync(() => rmSync(path, { force: true }))
)

/** The tool as an inetd: a program for each connection to a socket. */
const serving = Effect.fnUntraced(function*(program: string, ...flags: ReadonlyArray<string>) {
  const path = yield* socketPath
  const relay = yield* tool("relay", ...flags, `listen:unix://${path}`, program)
  yield* relay.said(/listening/)
  return { relay, path }
})

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe("cat with a program", () => {
  for (const command of [["cat"], ["relay", "stdio:"]]) {
    live(
      `${command[0]} gives it the input, and its end, and prints what it says`,
      Effect.gen(function*() {
        const came = yield* through("b\na\n", ...command, "exec:sort")
        assert.deepStrictEqual(came, { status: 0, stdout: "a\nb\n", stderr: "" })
      })
    )
  }

  live(
    "prints all of its output, shows its standard error, and fails with it",
    Effect.gen(function*() {
      const came = yield* through("", "cat", "exec:sh -c 'head -c 3000000 /dev/zero; echo oops >&2; exit 3'")
      assert.strictEqual(came.stdout.length, 3_000_000)
      assert.include(came.stderr, "oops\n")
      assert.match(came.stderr, /^effect-transport: exec:sh .*: Disconnected: .*status 3\)$/m)
      assert.strictEqual(came.status, 1)
    })
  )

  live(
    "ends with it, also where it does not want its input",
    Effect.gen(function*() {
      const ignored = yield* through(randomBytes(1_000_000), "cat", "exec:sh -c 'read line; echo done'")
      assert.deepStrictEqual(ignored, { status: 0, stdout: "done\n", stderr: "" })
      const running = yield* tool("cat", "exec:echo hello")
      // Its input stays open.
      assert.strictEqual(yield* running.exited, 0)
      assert.strictEqual(running.stdout().toString(), "hello\n")
    })
  )

  live(
    "says what is wrong with it",
    Effect.gen(function*() {
      const missing = yield* through("", "cat", "exec:no-such-program")
      assert.strictEqual(missing.status, 1)
      assert.match(missing.stderr, /^effect-transport: .*NotFound: no-such-program does not exist\n$/)
      const unquoted = yield* through("", "cat", "exec:sh 'x")
      assert.strictEqual(unquoted.status, 2)
      assert.include(unquoted.stderr, "closed by the quote it opens at character 9")
    })
  )

  live(
    "leaves none behind at a signal",
    Effect.gen(function*() {
      const running = yield* tool("cat", `exec:sh -c 'trap "" TERM; printf "%08d" $$; exec sleep 1000'`)
      yield* running.printed(8)
      const pid = Number(running.stdout().toString())
      assert.isTrue(isAlive(pid))
      running.child.kill("SIGTERM")
      assert.strictEqual(yield* running.exited, 1)
      assert.isFalse(isAlive(pid))
    })
  )
})

describe("relay with a program", () => {
  live(
    "starts one for each connection, and joins them",
    Effect.gen(function*() {
      const { path, relay } = yield* serving("exec:cat")
      const sent = randomBytes(1_000_000)
      const peers = yield* Effect.all([connect(path), connect(path), connect(path)])
      yield* Effect.forEach(peers, (peer) =>
        Effect.gen(function*() {
          yield* peer.send(sent)
          peer.socket.end()
          assert.strictEqual(yield* peer.ended, "end")
          assert.strictEqual(sha256(peer.received()), sha256(sent))
        }), { concurrency: "unbounded" })
      relay.child.kill("SIGTERM")
      assert.strictEqual(yield* relay.exited, 0)
    })
  )

  live(
    "closes the connection with the exit, after all output, and goes on where it failed",
    Effect.gen(function*() {
      const { path, relay } = yield* serving("exec:sh -c 'head -c 1000000 /dev/zero; exit 4'", "--json")
      for (const connection of [1, 2]) {
        const peer = yield* connect(path)
        assert.strictEqual(yield* peer.ended, "end")
        assert.strictEqual(peer.received().length, 1_000_000)
        yield* relay.said(new RegExp(`"failed".*"connection":${connection},.*"bToA":1000000`))
      }
      relay.child.kill("SIGTERM")
      assert.strictEqual(yield* relay.exited, 0)
      assert.strictEqual(events(relay).filter(({ reason }) => reason === "Disconnected").length, 2)
    })
  )

  live(
    "ends the program with its connection",
    Effect.gen(function*() {
      const { path, relay } = yield* serving(`exec:sh -c 'printf "%08d" $$; cat; exit 0'`)
      const peer = yield* connect(path)
      yield* peer.has(8)
      const pid = Number(peer.received().toString())
      peer.socket.destroy()
      relay.child.kill("SIGTERM")
      assert.strictEqual(yield* relay.exited, 0)
      assert.isFalse(isAlive(pid))
    })
  )

  live(
    "joins two of them",
    Effect.gen(function*() {
      const relay = yield* tool(
        "relay",
        "exec:sh -c 'echo question; read answer; echo \"got $answer\" >&2'",
        "exec:cat"
      )
      assert.strictEqual(yield* relay.exited, 0)
      assert.include(relay.stderr(), "got question\n")
    })
  )
})

describe("relay of two programs", () => {
  const joined = (a: string, b: string) => through("", "relay", `exec:${a}`, `exec:${b}`)

  live(
    "is a pipeline: the output of each is the input of the other, and both end by themselves",
    Effect.gen(function*() {
      const path = yield* socketPath
      // The second takes its time over what the first left, and has nobody to tell.
      const slow = yield* joined("printf 'b\\na\\n'", `sh -c 'sort > ${path}; sleep 4; echo done >> ${path}'`)
      assert.deepStrictEqual(slow, { status: 0, stdout: "", stderr: "" })
      assert.strictEqual(readFileSync(path, "utf8"), "a\nb\ndone\n")
    })
  )

  live(
    "ends a program whose reader is gone",
    Effect.gen(function*() {
      const cut = yield* joined("sh -c 'exec yes 2>/dev/null'", "head -n 1")
      assert.deepStrictEqual(cut, { status: 0, stdout: "", stderr: "" })
      assert.deepStrictEqual(yield* joined("printf hi", "cat"), { status: 0, stdout: "", stderr: "" })
    })
  )

  live(
    "fails with a program that does",
    Effect.gen(function*() {
      for (const came of [yield* joined("sh -c 'exit 3'", "cat"), yield* joined("cat", "sh -c 'exit 3'")]) {
        assert.strictEqual(came.status, 1)
        assert.match(came.stderr, /^effect-transport: exec:sh .*: Disconnected: .*status 3\)\n$/)
      }
    })
  )
})
