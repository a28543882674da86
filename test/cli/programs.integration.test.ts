/** The relay and the echo between programs of others, which know nothing of us. */
import { assert, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { sha256 } from "../support/cliPeers.ts"
import { portOf, tool } from "../support/cliTool.ts"
import { folder as newFolder } from "../support/folder.ts"
import { run, type Running } from "../support/programs.ts"
import { describeWith } from "../support/systemPrograms.ts"

const bulk = randomBytes(16 * 1_048_576)
const otherBulk = randomBytes(16 * 1_048_576)

/** A folder with something large to send from each side. */
const folder = Effect.tap(newFolder, (path) =>
  Effect.sync(() => {
    writeFileSync(join(path, "up"), bulk)
    writeFileSync(join(path, "down"), otherBulk)
  }))

const live = <A, E>(name: string, test: (folder: string) => Effect.Effect<A, E, Scope.Scope>) =>
  it.live(name, () => Effect.scoped(Effect.flatMap(folder, test)))

/** A line of shell in a folder. */
const shell = (folder: string, line: string) => run("sh", ["-c", `cd '${folder}' && exec ${line}`])

const listeningPort = (running: Running) =>
  Effect.map(
    running.printed(/(?:listening on AF=2 127\.0\.0\.1:|Listening on localhost |ACCEPT 127\.0\.0\.1:)(\d+)\n/),
    ([, port]) => Number(port)
  )

const relayTo = Effect.fnUntraced(function*(port: number) {
  const relay = yield* tool("relay", "--once", "listen:tcp://127.0.0.1:0", `tcp://127.0.0.1:${port}`)
  return { relay, port: yield* portOf(relay) }
})

// Without `-t` socat gives the other direction half a second once one has ended.
const socatListening = (read: string, write: string) =>
  `socat -d -d -t 60 TCP4-LISTEN:0,bind=127.0.0.1 'OPEN:${read},rdonly!!CREATE:${write}'`
const connecting = {
  socat: (port: number, read: string, write: string) =>
    `socat -t 60 TCP4:127.0.0.1:${port} 'OPEN:${read},rdonly!!CREATE:${write}'`,
  nc: (port: number, read: string, write: string) => `nc -N 127.0.0.1 ${port} < ${read} > ${write}`
}

const digest = (file: string): string => sha256(readFileSync(file))

describeWith(["socat", "nc"], "relay between socat and netcat", () => {
  for (const client of ["socat", "nc"] as const) {
    live(`carries 16 MiB each way at once from ${client} to socat`, (folder) =>
      Effect.gen(function*() {
        const listening = yield* shell(folder, socatListening("down", "up-arrived"))
        const { port, relay } = yield* relayTo(yield* listeningPort(listening))
        const sending = yield* shell(folder, connecting[client](port, "up", "down-arrived"))
        const statuses = yield* Effect.all([relay.exited, listening.exited, sending.exited])
        assert.deepStrictEqual(statuses, [0, 0, 0], relay.stderr())
        assert.strictEqual(digest(join(folder, "up-arrived")), sha256(bulk))
        assert.strictEqual(digest(join(folder, "down-arrived")), sha256(otherBulk))
      }))
  }

  // One way only: a listening netcat hangs up at the peer's end, whatever it has left to send.
  live("carries 16 MiB to a listening nc", (folder) =>
    Effect.gen(function*() {
      const listening = yield* shell(folder, "nc -N -l -v 127.0.0.1 0 < /dev/null > up-arrived")
      const { port, relay } = yield* relayTo(yield* listeningPort(listening))
      const sending = yield* shell(folder, connecting.nc(port, "up", "down-arrived"))
      const statuses = yield* Effect.all([relay.exited, listening.exited, sending.exited])
      assert.deepStrictEqual(statuses, [0, 0, 0], relay.stderr())
      assert.strictEqual(digest(join(folder, "up-arrived")), sha256(bulk))
    }))

  live("brings back the answer of a server that waits for our end", (folder) =>
    Effect.gen(function*() {
      const listening = yield* shell(folder, "socat -d -d -t 60 TCP4-LISTEN:0,bind=127.0.0.1 SYSTEM:sha256sum")
      const { port, relay } = yield* relayTo(yield* listeningPort(listening))
      const asking = yield* shell(folder, `nc -N 127.0.0.1 ${port} < up`)
      yield* asking.printed(new RegExp(`^${sha256(bulk)}`))
      assert.strictEqual(yield* relay.exited, 0)
    }))

  live("brings back the answer of a client that waits for the server's end", (folder) =>
    Effect.gen(function*() {
      const listening = yield* shell(folder, "nc -N -l -v 127.0.0.1 0 < down")
      const { port, relay } = yield* relayTo(yield* listeningPort(listening))
      yield* shell(folder, `socat -t 60 TCP4:127.0.0.1:${port} SYSTEM:sha256sum`)
      yield* listening.printed(new RegExp(sha256(otherBulk)))
      assert.strictEqual(yield* relay.exited, 0)
    }))

  live("connects to both where both listen", (folder) =>
    Effect.gen(function*() {
      const [one, two] = [
        yield* shell(folder, socatListening("up", "down-arrived")),
        yield* shell(folder, socatListening("down", "up-arrived"))
      ]
      const ports = yield* Effect.all([listeningPort(one), listeningPort(two)])
      const [a, b] = ports.map((port) => `tcp://127.0.0.1:${port}`) as [string, string]
      const relay = yield* tool("relay", a, b)
      assert.deepStrictEqual(yield* Effect.all([relay.exited, one.exited, two.exited]), [0, 0, 0], relay.stderr())
      assert.strictEqual(digest(join(folder, "up-arrived")), sha256(bulk))
      assert.strictEqual(digest(join(folder, "down-arrived")), sha256(otherBulk))
    }))

  live("joins two that connect to it, one of them on a Unix socket", (folder) =>
    Effect.gen(function*() {
      const relay = yield* tool("relay", "--once", `listen:unix://${folder}/a.sock`, "listen:tcp://127.0.0.1:0")
      const port = yield* portOf(relay)
      const one = yield* shell(folder, "nc -N -U a.sock < up > down-arrived")
      const two = yield* shell(folder, connecting.socat(port, "down", "up-arrived"))
      assert.deepStrictEqual(yield* Effect.all([relay.exited, one.exited, two.exited]), [0, 0, 0], relay.stderr())
      assert.strictEqual(digest(join(folder, "up-arrived")), sha256(bulk))
      assert.strictEqual(digest(join(folder, "down-arrived")), sha256(otherBulk))
    }))
})

describeWith(["openssl"], "relay between openssl's client and server", () => {
  const server = Effect.fnUntraced(function*(folder: string, how: string) {
    execFileSync("openssl", [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost".split(" "),
      ..."-keyout key.pem -out cert.pem".split(" ")
    ], { cwd: folder, stdio: "ignore" })
    const running = yield* shell(folder, `openssl s_server -accept 127.0.0.1:0 -cert cert.pem -key key.pem ${how}`)
    return yield* listeningPort(running)
  })
  const client = (folder: string, port: number, redirections: string) =>
    shell(
      folder,
      `openssl s_client -connect 127.0.0.1:${port} -servername localhost -CAfile cert.pem -verify_return_error -quiet ` +
        `${redirections} 2> client-errors`
    )

  live("carries a file of 16 MiB", (folder) =>
    Effect.gen(function*() {
      const { port } = yield* relayTo(yield* server(folder, "-WWW"))
      writeFileSync(join(folder, "request"), "GET /down HTTP/1.0\r\n\r\n")
      const receiving = yield* client(folder, port, "< request > answer")
      yield* receiving.exited
      const answer = readFileSync(join(folder, "answer"))
      assert.strictEqual(sha256(answer.subarray(answer.indexOf("\r\n\r\n") + 4)), sha256(otherBulk))
    }))

  live("carries a conversation, and the end that the server makes of it", (folder) =>
    Effect.gen(function*() {
      const { port, relay } = yield* relayTo(yield* server(folder, "-rev"))
      const lines = Array.from({ length: 10_000 }, (_, i) => `line ${i}`)
      writeFileSync(join(folder, "lines"), `${lines.join("\n")}\nCLOSE\n`)
      const talking = yield* client(folder, port, "< lines > answer")
      yield* talking.exited
      assert.strictEqual(yield* relay.exited, 0, relay.stderr())
      const reversed = lines.map((line) => `${[...line].reverse().join("")}\n`).join("")
      assert.strictEqual(readFileSync(join(folder, "answer"), "latin1"), reversed)
    }))
})

describeWith(["socat", "nc"], "echo for socat and netcat", () => {
  live("gives back 16 MiB to each, and goes on until a signal", (folder) =>
    Effect.gen(function*() {
      const echo = yield* tool("echo", "listen:tcp://127.0.0.1:0")
      const port = yield* portOf(echo)
      const one = yield* shell(folder, connecting.nc(port, "up", "up-back"))
      const two = yield* shell(folder, connecting.socat(port, "down", "down-back"))
      assert.deepStrictEqual(yield* Effect.all([one.exited, two.exited]), [0, 0])
      assert.strictEqual(digest(join(folder, "up-back")), sha256(bulk))
      assert.strictEqual(digest(join(folder, "down-back")), sha256(otherBulk))
      echo.child.kill("SIGTERM")
      assert.strictEqual(yield* echo.exited, 0)
      assert.strictEqual(echo.stderr(), `listening tcp://127.0.0.1:${port}\n`)
      assert.strictEqual(echo.stdout().length, 0)
    }))
})
