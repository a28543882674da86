import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { randomBytes } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { connect, type Peer, serve, sha256 } from "../support/cliPeers.ts"
import { events, portOf, shellLine, type Tool, tool } from "../support/cliTool.ts"
import { folder } from "../support/folder.ts"
import { run } from "../support/programs.ts"
import { describeWith } from "../support/systemPrograms.ts"

const live = <A, E>(name: string, test: () => Effect.Effect<A, E, Scope.Scope>) =>
  it.live(name, () => Effect.scoped(test()))

/** A relay from a free port to a server of ours. */
const relayTo = Effect.fnUntraced(function*(server: { readonly port: number }, ...options: ReadonlyArray<string>) {
  const relay = yield* tool("relay", ...options, "listen:tcp://127.0.0.1:0", `tcp://127.0.0.1:${server.port}`)
  return { relay, port: yield* portOf(relay) }
})

/** A client and, behind a relay, the server's end of its connection. */
const joined = Effect.fnUntraced(function*(...options: ReadonlyArray<string>) {
  const server = yield* serve()
  const { port, relay } = yield* relayTo(server, ...options)
  const client = yield* connect(port)
  return { relay, server, port, client, behind: yield* server.accept }
})

const endsWith = (tool: Tool, status: number) =>
  Effect.map(tool.exited, (exited) => assert.strictEqual(exited, status, tool.stderr()))

const signal = (tool: Tool, name: NodeJS.Signals) => Effect.sync(() => void tool.child.kill(name))

const isRefused = (port: number) =>
  Effect.scoped(Effect.catchDefect(Effect.as(connect(port), false), () => Effect.succeed(true)))

const megabytes = (count: number) => randomBytes(count * 1_048_576)

describe("relay", () => {
  live("listens first of all, and prints nothing but that where all is well", () =>
    Effect.gen(function*() {
      const { behind, client, port, relay } = yield* joined()
      assert.strictEqual(relay.stderr(), `listening tcp://127.0.0.1:${port}\n`)
      client.socket.end("ping")
      assert.strictEqual(yield* behind.ended, "end")
      behind.socket.end("pong")
      assert.strictEqual(yield* client.ended, "end")
      yield* signal(relay, "SIGTERM")
      yield* endsWith(relay, 0)
      assert.strictEqual(relay.stderr(), `listening tcp://127.0.0.1:${port}\n`)
      assert.strictEqual(relay.stdout().length, 0)
    }))

  live("carries 16 MiB each way at once", () =>
    Effect.gen(function*() {
      const { behind, client, relay } = yield* joined("--once")
      const [up, down] = [megabytes(16), megabytes(16)]
      client.socket.end(up)
      behind.socket.end(down)
      assert.deepStrictEqual(yield* Effect.all([client.ended, behind.ended]), ["end", "end"])
      assert.strictEqual(sha256(behind.received()), sha256(up))
      assert.strictEqual(sha256(client.received()), sha256(down))
      yield* endsWith(relay, 0)
    }))

  type Ends = { readonly client: Peer; readonly behind: Peer }
  const sides = [
    ["A", ({ behind, client }: Ends): readonly [Peer, Peer] => [client, behind]],
    ["B", ({ behind, client }: Ends): readonly [Peer, Peer] => [behind, client]]
  ] as const

  describe.each(sides)("from side %s", (_, order) => {
    live("an end goes through alone, and a late answer still comes", () =>
      Effect.gen(function*() {
        const ends = yield* joined("--once")
        const [first, second] = order(ends)
        first.socket.end("question")
        assert.strictEqual(yield* second.ended, "end")
        assert.strictEqual(second.received().toString(), "question")
        const answer = megabytes(4)
        yield* second.send("late ")
        yield* first.has(5)
        second.socket.end(answer)
        assert.strictEqual(yield* first.ended, "end")
        assert.strictEqual(sha256(first.received().subarray(5)), sha256(answer))
        yield* endsWith(ends.relay, 0)
      }))

    live("a reset goes through as a reset, and --once fails with it", () =>
      Effect.gen(function*() {
        const ends = yield* joined("--once")
        const [first, second] = order(ends)
        yield* first.send("half of")
        yield* second.has(7)
        first.socket.resetAndDestroy()
        assert.strictEqual(yield* second.ended, "reset")
        yield* endsWith(ends.relay, 1)
        assert.match(ends.relay.stderr(), /\neffect-transport: tcp:\/\/127\.0\.0\.1:\d+: Reset: .*\n$/)
      }))

    live(
      "a peer that does not read holds the other back, in bounded memory, and loses nothing",
      () =>
        Effect.gen(function*() {
          const ends = yield* joined("--once", "--progress", "--json")
          const [reading, writing] = order(ends)
          reading.socket.pause()
          const direction = reading === ends.client ? "bToA" : "aToB"
          const sent = megabytes(64)
          writing.socket.end(sent)
          // Two reports in a row with the same count: all that lies between is full.
          yield* ends.relay.said(new RegExp(`"${direction}":([1-9]\\d*),[^\\n]*\\n.*"${direction}":\\1,`))
          const stuck = events(ends.relay).at(-1)![direction]
          assert.isBelow(stuck, 32 * 1_048_576)
          assert.isAbove(writing.socket.writableLength, 0)
          const memory = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${ends.relay.child.pid}/status`, "latin1"))![1]
          assert.isBelow(Number(memory), 250_000)
          reading.socket.resume()
          assert.strictEqual(yield* reading.ended, "end")
          assert.strictEqual(sha256(reading.received()), sha256(sent))
          reading.socket.end()
          yield* endsWith(ends.relay, 0)
        })
    )
  })

  live("joins 200 connections at once, each with its own", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const { port, relay } = yield* relayTo(server)
      yield* Effect.forkScoped(Effect.forever(Effect.map(server.accept, ({ socket }) => socket.pipe(socket))))
      const clients = yield* Effect.forEach(Array.from({ length: 200 }), () => connect(port), { concurrency: 200 })
      yield* Effect.forEach(clients, (client) => client.send("hello"), { discard: true })
      yield* Effect.forEach(clients, (client) => client.has(5), { discard: true })
      assert.strictEqual(server.count(), 200)
      const sent = clients.map(() => randomBytes(50_000))
      clients.forEach((client, i) => client.socket.end(sent[i]!))
      yield* Effect.forEach(clients, (client) => client.ended, { discard: true })
      clients.forEach((client, i) => assert.strictEqual(sha256(client.received().subarray(5)), sha256(sent[i]!)))
      yield* signal(relay, "SIGINT")
      yield* endsWith(relay, 0)
      assert.strictEqual(relay.stderr().split("\n").length, 2)
    }))

  live("goes on when one connection fails, and says so in one line", () =>
    Effect.gen(function*() {
      const { behind, client, port, relay, server } = yield* joined()
      client.socket.resetAndDestroy()
      assert.strictEqual(yield* behind.ended, "reset")
      yield* relay.said(/\neffect-transport: connection 1: tcp:\/\/127\.0\.0\.1:\d+: Reset: [^\n]*\n$/)
      const next = yield* connect(port)
      yield* next.send("still there?")
      yield* (yield* server.accept).has(12)
      assert.lengthOf(relay.stderr().split("\n"), 3)
    }))

  live("resets who cannot be joined, and goes on", () =>
    Effect.gen(function*() {
      const refusing = yield* Effect.scoped(serve())
      const { port, relay } = yield* relayTo(refusing)
      for (const connection of [1, 2]) {
        assert.strictEqual(yield* (yield* connect(port)).ended, "reset")
        yield* relay.said(
          new RegExp(
            `connection ${connection}: tcp://127.0.0.1:${refusing.port}: Refused: the connection was refused\\n`
          )
        )
      }
      assert.lengthOf(relay.stderr().split("\n"), 4)
      yield* signal(relay, "SIGINT")
      yield* endsWith(relay, 0)
    }))

  live("with --once resets who cannot be joined, and fails with the reason", () =>
    Effect.gen(function*() {
      const refusing = yield* Effect.scoped(serve())
      const { port, relay } = yield* relayTo(refusing, "--once")
      assert.strictEqual(yield* (yield* connect(port)).ended, "reset")
      yield* endsWith(relay, 1)
      assert.include(relay.stderr(), `\neffect-transport: tcp://127.0.0.1:${refusing.port}: Refused: `)
    }))

  live("with --once takes nobody else", () =>
    Effect.gen(function*() {
      const { behind, client, port } = yield* joined("--once")
      yield* client.send("x")
      yield* behind.has(1)
      assert.isTrue(yield* isRefused(port))
    }))

  live("without listen: joins one pair and ends with it", () =>
    Effect.gen(function*() {
      const [a, b] = [yield* serve(), yield* serve()]
      const relay = yield* tool("relay", `tcp://127.0.0.1:${a.port}`, `tcp://127.0.0.1:${b.port}`)
      const [left, right] = yield* Effect.all([a.accept, b.accept])
      left.socket.end("from A")
      right.socket.end("from B")
      assert.deepStrictEqual(yield* Effect.all([left.ended, right.ended]), ["end", "end"])
      assert.deepStrictEqual([String(left.received()), String(right.received())], ["from B", "from A"])
      yield* endsWith(relay, 0)
      assert.strictEqual(relay.stderr(), "")
    }))

  live("with listen: on both sides joins the next of each, and says where both listen", () =>
    Effect.gen(function*() {
      const path = `${yield* folder}/b.sock`
      const relay = yield* tool("relay", "listen:tcp://127.0.0.1:0", `listen:unix://${path}`)
      const port = yield* portOf(relay)
      yield* relay.said(new RegExp(`^listening tcp://127.0.0.1:${port}\\nlistening unix://${path}\\n$`))
      for (const words of ["one", "two"]) {
        const right = yield* connect(path)
        const left = yield* connect(port)
        left.socket.end(words)
        assert.strictEqual(yield* right.ended, "end")
        assert.strictEqual(String(right.received()), words)
      }
    }))

  live("does not join somebody on B with a connection of A that broke while it waited", () =>
    Effect.gen(function*() {
      const path = `${yield* folder}/b.sock`
      const relay = yield* tool("relay", "listen:tcp://127.0.0.1:0", `listen:unix://${path}`)
      const port = yield* portOf(relay)
      const broken = yield* connect(port)
      broken.socket.resetAndDestroy()
      yield* relay.said(/connection 1: .*: Reset: /)
      const [left, right] = [yield* connect(port), yield* connect(path)]
      yield* left.send("mine")
      yield* right.has(4)
    }))

  live("with listen: on B alone joins A with the first on B, and ends with them", () =>
    Effect.gen(function*() {
      const a = yield* serve()
      const relay = yield* tool("relay", `tcp://127.0.0.1:${a.port}`, "listen:tcp://127.0.0.1:0")
      const right = yield* connect(yield* portOf(relay))
      const left = yield* a.accept
      right.socket.end("from B")
      left.socket.end("from A")
      assert.deepStrictEqual(yield* Effect.all([left.ended, right.ended]), ["end", "end"])
      assert.deepStrictEqual([String(left.received()), String(right.received())], ["from B", "from A"])
      yield* endsWith(relay, 0)
    }))
})

describe("relay at a signal", () => {
  live("ends at once where nobody is connected", () =>
    Effect.gen(function*() {
      for (const options of [[], ["--once"]]) {
        const { relay } = yield* relayTo({ port: 1 }, ...options)
        yield* signal(relay, "SIGINT")
        yield* endsWith(relay, 0)
      }
    }))

  describe.each([[[]], [["--once"]]])("%j", (options) => {
    live("accepts no more, and lets what runs come to its end", () =>
      Effect.gen(function*() {
        const { behind, client, port, relay } = yield* joined(...options)
        yield* client.send("before")
        yield* behind.has(6)
        yield* signal(relay, "SIGTERM")
        // The address is free when it has heard the signal.
        yield* Effect.repeat(isRefused(port), { until: (refused) => refused })
        client.socket.end(" after")
        assert.strictEqual(yield* behind.ended, "end")
        assert.strictEqual(String(behind.received()), "before after")
        behind.socket.end("answer")
        assert.strictEqual(yield* client.ended, "end")
        assert.strictEqual(String(client.received()), "answer")
        yield* endsWith(relay, 0)
        // But for what the looking at the port was, if that came in time to be a connection.
        const said = relay.stderr().split("\n").filter((line) => line !== "" && !/connection ([2-9]|\d\d)/.test(line))
        assert.lengthOf(said, 1, relay.stderr())
      }))

    live("cuts what is left when --drain has passed: both see a reset", () =>
      Effect.gen(function*() {
        const { behind, client, relay } = yield* joined("--drain", "0.05", ...options)
        yield* client.send("x")
        yield* behind.has(1)
        yield* signal(relay, "SIGINT")
        assert.deepStrictEqual(yield* Effect.all([client.ended, behind.ended]), ["reset", "reset"])
        yield* endsWith(relay, 0)
        assert.match(relay.stderr(), /\neffect-transport: (connection 1: )?cut short at shutdown\n$/)
      }))

    live("cuts at once at the second, whatever is under way", () =>
      Effect.gen(function*() {
        const { behind, client, relay } = yield* joined("--drain", "3600", "--progress", "--json", ...options)
        client.socket.pause()
        behind.socket.end(megabytes(32))
        yield* relay.said(/"bToA":([1-9]\d*),[^\n]*\n.*"bToA":\1,/)
        yield* signal(relay, "SIGINT")
        yield* signal(relay, "SIGTERM")
        yield* endsWith(relay, 0)
        client.socket.resume()
        assert.strictEqual(yield* client.ended, "reset")
      }))
  })
})

describe("relay shows", () => {
  live("with --json one object a line", () =>
    Effect.gen(function*() {
      const { behind, client, port, relay, server } = yield* joined("--json", "--tap")
      yield* client.send("ping")
      yield* behind.has(4)
      behind.socket.end("pong!")
      yield* client.has(5)
      client.socket.end()
      yield* relay.said(/"closed"/)
      const second = yield* connect(port)
      yield* second.send("abc")
      yield* (yield* server.accept).has(3)
      second.socket.resetAndDestroy()
      yield* relay.said(/"failed".*\n/)
      const endpoint = `tcp://127.0.0.1:${port}`
      const b = `127.0.0.1:${server.port}`
      const found = events(relay).map(({ seconds, time, ...event }) => {
        assert.isAbove(time, 1_700_000_000_000)
        assert.strictEqual(event.event === "data", typeof seconds === "number" && seconds >= 0)
        if (event.event === "connected") {
          assert.match(event.a, /^127\.0\.0\.1:\d+$/)
          delete event.a
        }
        return event
      })
      const failed = { operation: "read", endpoint, reason: "Reset", message: "the peer reset the connection" }
      assert.deepStrictEqual(found, [
        { event: "listening", side: "A", endpoint },
        { event: "connected", connection: 1, b },
        { event: "data", connection: 1, direction: "aToB", offset: 0, bytes: "70696e67" },
        { event: "data", connection: 1, direction: "bToA", offset: 0, bytes: "706f6e6721" },
        { event: "closed", connection: 1, aToB: 4, bToA: 5 },
        { event: "connected", connection: 2, b },
        { event: "data", connection: 2, direction: "aToB", offset: 0, bytes: "616263" },
        { event: "failed", ...failed, connection: 2, aToB: 3, bToA: 0 }
      ])
    }))

  live("with --tap what passes, with direction, time and offset", () =>
    Effect.gen(function*() {
      const { behind, client, relay } = yield* joined("--once", "--tap")
      yield* client.send("0123456789abcdef\n\xff")
      yield* behind.has(19)
      yield* behind.send("ok")
      yield* client.has(2)
      client.socket.end("!")
      behind.socket.end()
      yield* endsWith(relay, 0)
      const rows = relay.stderr().trimEnd().split("\n").slice(1).map((row) => row.replace(/ \d+\.\d{6} /, " TIME "))
      assert.deepStrictEqual(rows, [
        "-> TIME  00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|",
        "-> TIME  00000010  0a c3 bf                                          |...|",
        "<- TIME  00000000  6f 6b                                             |ok|",
        "-> TIME  00000013  21                                                |!|"
      ])
    }))

  live("with --progress bytes, rate and time of each direction", () =>
    Effect.gen(function*() {
      const { behind, client, relay } = yield* joined("--once", "--progress")
      client.socket.end(megabytes(3))
      behind.socket.end("x")
      yield* endsWith(relay, 0)
      const last = relay.stderr().trimEnd().split("\n").at(-1)!
      assert.match(
        last,
        /^\d\d:\d\d:\d\d {2}A -> B 3\.0 MiB, \d+(\.\d)? [KM]?i?B\/s {2}B -> A 1 B, \d+(\.\d)? K?i?B\/s {2}0 open$/
      )
    }))

  live("and goes on when nobody reads that any more", () =>
    Effect.gen(function*() {
      const { behind, client, relay } = yield* joined("--once", "--tap")
      relay.child.stderr!.destroy()
      yield* client.send("one")
      yield* behind.has(3)
      client.socket.end("two")
      assert.strictEqual(yield* behind.ended, "end")
      behind.socket.end()
      yield* endsWith(relay, 0)
    }))
})

describeWith(["socat"], "relay at a terminal shows", () => {
  /** A line of progress that is drawn over the one before. */
  const drawn = (rest: string) => new RegExp(`\\r\u001b\\[K\\d\\d:${rest}`)

  live("progress on one line, drawn again and again", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const path = join(yield* folder, "run")
      const words = ["relay", "--once", "--progress", "listen:tcp://127.0.0.1:0", `tcp://127.0.0.1:${server.port}`]
      writeFileSync(path, `#!/bin/sh\n${shellLine(words)}\necho "status $?"\n`, { mode: 0o755 })
      const terminal = yield* run("socat", ["-u", `EXEC:${path},pty,rawer,stderr`, "-"])
      const [, port] = yield* terminal.printed(/^listening tcp:\/\/127\.0\.0\.1:(\d+)\r?\n/)
      const client = yield* connect(Number(port))
      yield* terminal.printed(drawn("[^\\r\\n]* 1 open$"))
      client.socket.end("four")
      const behind = yield* server.accept
      behind.socket.end()
      // Below the last one, not over it.
      yield* terminal.printed(drawn("[^\\r\\n]*A -> B 4 B[^\\r\\n]* 0 open\\r?\\nstatus 0"))
    }))
})
