import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { randomBytes } from "node:crypto"
import { afterAll } from "vitest"
import { serve, sha256 } from "../support/cliPeers.ts"
import { shellLine, tool } from "../support/cliTool.ts"
import { dropFifos, takeFifo } from "../support/fifos.ts"
import { run } from "../support/programs.ts"

afterAll(dropFifos)

const live = <A, E>(name: string, test: () => Effect.Effect<A, E, Scope.Scope>) =>
  it.live(name, () => Effect.scoped(test()))

const ping = Effect.fnUntraced(function*(script: (port: number) => string) {
  const server = yield* serve()
  const running = yield* run("bash", ["-c", script(server.port)])
  const peer = yield* server.accept
  assert.strictEqual(yield* peer.ended, "end")
  peer.socket.end(`${peer.received()} and pong`)
  assert.strictEqual(yield* running.exited, 0, running.output())
  return running.output()
})

describe("pipes of the tool", () => {
  live("cat talks to a program over two FIFOs", () =>
    Effect.gen(function*() {
      const [there, back] = [takeFifo(), takeFifo()]
      const peer = yield* run("sh", ["-c", `cat < ${there} > ${back}`])
      const cat = yield* tool("cat", `fifo:?read=${back}&write=${there}`)
      const sent = randomBytes(4_000_000)
      cat.child.stdin!.end(sent)
      assert.strictEqual(yield* cat.exited, 0, cat.stderr())
      assert.strictEqual(sha256(cat.stdout()), sha256(sent))
      assert.strictEqual(cat.stderr(), "")
      assert.strictEqual(yield* peer.exited, 0)
    }))

  live("cat reads one FIFO, and writes one", () =>
    Effect.gen(function*() {
      const path = takeFifo()
      const reader = yield* tool("cat", `fifo:?read=${path}`)
      const writer = yield* tool("cat", `fifo:?write=${path}`)
      reader.child.stdin!.end()
      writer.child.stdin!.end("one way")
      assert.strictEqual(yield* writer.exited, 0, writer.stderr())
      assert.strictEqual(yield* reader.exited, 0, reader.stderr())
      assert.strictEqual(String(reader.stdout()), "one way")
    }))

  live("cat talks over a socket that the shell has opened", () =>
    Effect.gen(function*() {
      const output = yield* ping((port) => `printf ping | ${shellLine(["cat", "fd:3"])} 3<>/dev/tcp/127.0.0.1/${port}`)
      assert.strictEqual(output, "ping and pong")
    }))

  live("relay joins FIFOs to a socket", () =>
    Effect.gen(function*() {
      const [there, back] = [takeFifo(), takeFifo()]
      const output = yield* ping((port) =>
        `${
          shellLine(["relay", `fifo:?read=${there}&write=${back}`, `tcp://127.0.0.1:${port}`])
        } & printf ping > ${there}; cat ${back}; wait $!`
      )
      assert.strictEqual(output, "ping and pong")
    }))

  live("relay joins descriptors to a socket", () =>
    Effect.gen(function*() {
      const output = yield* ping((port) =>
        `printf ping | { ${shellLine(["relay", "fd:3,4", `tcp://127.0.0.1:${port}`])} 3<&0 4>&1 >&2; } | cat`
      )
      assert.strictEqual(output, "ping and pong")
    }))

  live("what cannot be opened is one line, and status 1", () =>
    Effect.gen(function*() {
      const path = takeFifo()
      const cases: ReadonlyArray<readonly [args: ReadonlyArray<string>, expected: RegExp]> = [
        [["cat", "fifo:?read=/nowhere/a"], /fifo:\?read=\/nowhere\/a: NotFound/],
        [["cat", "--connect-timeout", "0.1", `fifo:?write=${path}`], /fifo:\?write=.*: TimedOut/],
        [["relay", "fd:1000", "stdio:"], /fd:1000: NotFound/],
        [["relay", "listen:fd:3", "stdio:"], /fd:3: Unsupported/]
      ]
      for (const [args, expected] of cases) {
        const failing = yield* tool(...args)
        assert.strictEqual(yield* failing.exited, 1)
        assert.match(failing.stderr(), expected)
        assert.strictEqual(failing.stderr().trimEnd().split("\n").length, 1)
      }
    }))
})
