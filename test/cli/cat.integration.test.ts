import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { randomBytes } from "node:crypto"
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { connect, serve, sha256 } from "../support/cliPeers.ts"
import { portOf, shellLine, tool, toolWith } from "../support/cliTool.ts"
import { folder } from "../support/folder.ts"
import { run } from "../support/programs.ts"
import { describeWith } from "../support/systemPrograms.ts"

const live = <A, E>(name: string, test: () => Effect.Effect<A, E, Scope.Scope>) =>
  it.live(name, () => Effect.scoped(test()))

const descriptor = (path: string, flags: string) =>
  Effect.acquireRelease(Effect.sync(() => openSync(path, flags)), (fd) => Effect.sync(() => closeSync(fd)))

/** The tool on pipes, and the peer that it connected to. */
const connected = Effect.gen(function*() {
  const server = yield* serve()
  const cat = yield* tool("cat", `tcp://127.0.0.1:${server.port}`)
  return { cat, peer: yield* server.accept }
})

describe("cat", () => {
  live(
    "ends our direction at the end of stdin, and prints the late answer and nothing else",
    () =>
      Effect.gen(function*() {
        const { cat, peer } = yield* connected
        const [question, answer] = [randomBytes(4_000_000), randomBytes(4_000_000)]
        cat.child.stdin!.end(question)
        assert.strictEqual(yield* peer.ended, "end")
        assert.strictEqual(sha256(peer.received()), sha256(question))
        peer.socket.end(answer)
        assert.strictEqual(yield* cat.exited, 0, cat.stderr())
        assert.strictEqual(sha256(cat.stdout()), sha256(answer))
        assert.strictEqual(cat.stderr(), "")
      })
  )

  live("ends stdout at the peer's end, and still sends a late request", () =>
    Effect.gen(function*() {
      const { cat, peer } = yield* connected
      peer.socket.end("greeting")
      yield* Effect.callback<void>((resume) => void cat.child.stdout!.once("end", () => resume(Effect.void)))
      assert.strictEqual(String(cat.stdout()), "greeting")
      cat.child.stdin!.end("late request")
      assert.strictEqual(yield* peer.ended, "end")
      assert.strictEqual(String(peer.received()), "late request")
      assert.strictEqual(yield* cat.exited, 0, cat.stderr())
    }))

  live("sends a file and receives one", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const [up, down] = [randomBytes(8_000_000), randomBytes(8_000_000)]
      writeFileSync(join(path, "up"), up)
      const server = yield* serve()
      const files = [yield* descriptor(join(path, "up"), "r"), yield* descriptor(join(path, "down"), "w")] as const
      const cat = yield* toolWith([...files, "pipe"], ["cat", `tcp://127.0.0.1:${server.port}`])
      const peer = yield* server.accept
      peer.socket.end(down)
      assert.strictEqual(yield* peer.ended, "end")
      assert.strictEqual(yield* cat.exited, 0, cat.stderr())
      assert.strictEqual(sha256(peer.received()), sha256(up))
      assert.strictEqual(sha256(readFileSync(join(path, "down"))), sha256(down))
    }))

  live("fails with the reason at a reset, after what came before it", () =>
    Effect.gen(function*() {
      const { cat, peer } = yield* connected
      yield* peer.send("half of")
      yield* cat.printed(7)
      peer.socket.resetAndDestroy()
      assert.strictEqual(yield* cat.exited, 1)
      assert.match(cat.stderr(), /^effect-transport: tcp:\/\/127\.0\.0\.1:\d+: Reset: [^\n]*\n$/)
      assert.strictEqual(String(cat.stdout()), "half of")
    }))

  live("fails at a signal, and resets the peer", () =>
    Effect.gen(function*() {
      const { cat, peer } = yield* connected
      yield* peer.send("half of")
      yield* cat.printed(7)
      cat.child.kill("SIGINT")
      assert.strictEqual(yield* peer.ended, "reset")
      assert.strictEqual(yield* cat.exited, 1)
      assert.match(cat.stderr(), /^effect-transport: tcp:\/\/127\.0\.0\.1:\d+: Closed: [^\n]*\n$/)
    }))

  live("fails when nobody reads stdout any more, and resets the peer", () =>
    Effect.gen(function*() {
      const { cat, peer } = yield* connected
      cat.child.stdout!.destroy()
      peer.socket.write(randomBytes(1_000_000))
      assert.strictEqual(yield* peer.ended, "reset")
      assert.strictEqual(yield* cat.exited, 1)
      assert.match(cat.stderr(), /^effect-transport: stdio:: Reset: [^\n]*\n$/)
    }))

  live("with listen: accepts one connection and no other", () =>
    Effect.gen(function*() {
      const cat = yield* tool("cat", "listen:tcp://127.0.0.1:0")
      const port = yield* portOf(cat)
      const peer = yield* connect(port)
      yield* peer.send("hello")
      yield* cat.printed(5)
      assert.isTrue(
        yield* Effect.scoped(Effect.catchDefect(Effect.as(connect(port), false), () => Effect.succeed(true)))
      )
      cat.child.stdin!.end("bye")
      peer.socket.end()
      assert.strictEqual(yield* peer.ended, "end")
      assert.strictEqual(String(peer.received()), "bye")
      assert.strictEqual(yield* cat.exited, 0, cat.stderr())
    }))
})

describeWith(["socat"], "cat at a terminal", () => {
  live("ends with the peer, although the terminal is still there", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const path = join(yield* folder, "run")
      writeFileSync(path, `#!/bin/sh\n${shellLine(["cat", `tcp://127.0.0.1:${server.port}`])}\necho "status $?"\n`, {
        mode: 0o755
      })
      const terminal = yield* run("socat", ["-t", "60", "STDIO", `EXEC:${path},pty,rawer`])
      const peer = yield* server.accept
      terminal.child.stdin!.write("typed")
      yield* peer.has(5)
      peer.socket.end("good bye\n")
      yield* terminal.printed(/good bye\s+status 0/)
    }))
})

describeWith(["socat", "nc"], "cat with programs of others", () => {
  live("talks to a socat that answers after our end, and to a netcat that connects", () =>
    Effect.gen(function*() {
      const question = randomBytes(1_000_000)
      const socat = yield* run("socat", "-d -d -t 60 TCP4-LISTEN:0,bind=127.0.0.1 SYSTEM:sha256sum".split(" "))
      const [, port] = yield* socat.printed(/listening on AF=2 127\.0\.0\.1:(\d+)\n/)
      const asking = yield* tool("cat", `tcp://127.0.0.1:${port}`)
      asking.child.stdin!.end(question)
      assert.strictEqual(yield* asking.exited, 0, asking.stderr())
      assert.strictEqual(String(asking.stdout()), `${sha256(question)}  -\n`)

      const receiving = yield* tool("cat", "listen:tcp://127.0.0.1:0")
      receiving.child.stdin!.end("thanks")
      const nc = yield* run("nc", ["-N", "127.0.0.1", String(yield* portOf(receiving))], question)
      yield* nc.printed(/^thanks$/)
      assert.strictEqual(yield* receiving.exited, 0, receiving.stderr())
      assert.strictEqual(sha256(receiving.stdout()), sha256(question))
    }))
})
