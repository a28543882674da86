import { assert, it } from "@effect/vitest"
import { Effect, Fiber, type Scope } from "effect"
import { Transport } from "effect-transport"
import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { chmodSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { sha256 } from "../support/cliPeers.ts"
import { portOf, shellLine, tool } from "../support/cliTool.ts"
import { run } from "../support/programs.ts"
import { openPort, ptyPair, unplug } from "../support/ptys.ts"
import { describeWith } from "../support/systemPrograms.ts"

const live = <A, E>(name: string, test: Effect.Effect<A, E, Scope.Scope>) => it.live(name, () => Effect.scoped(test))

const text = (string: string) => new TextEncoder().encode(string)

/** A client, once it is connected. */
const client = (port: number) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const socket = connect(port, "127.0.0.1")
      socket.on("error", () => {})
      await once(socket, "connect")
      return socket
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** A connection that is refused is reset. */
const closed = (socket: Socket) =>
  Effect.callback<void>((resume) => {
    if (socket.closed) return resume(Effect.void)
    socket.once("close", () => resume(Effect.void))
    socket.resume()
  })

const received = (socket: Socket, bytes: number) =>
  Effect.callback<string>((resume) => {
    let all = ""
    socket.on("data", (chunk: Buffer) => {
      all += chunk.toString("latin1")
      if (all.length >= bytes) resume(Effect.succeed(all))
    })
  })

describeWith(["socat"], "serial ports on the command line", () => {
  live(
    "relay serves a port to one client after another, and refuses a second one meanwhile",
    Effect.gen(function*() {
      const pair = yield* ptyPair
      const { transport: device } = yield* openPort(pair.b)
      const relay = yield* tool("relay", "listen:tcp://127.0.0.1:0", `serial://${pair.a}?baudRate=9600`)
      const port = yield* portOf(relay)
      const bytes = randomBytes(300_000)

      for (const round of [1, 2]) {
        const first = yield* client(port)
        const there = yield* Effect.forkChild(Transport.readExactly(device, bytes.length))
        first.write(bytes)
        assert.strictEqual(sha256(Buffer.from(yield* Fiber.join(there))), sha256(bytes))
        yield* device.write(text(`answer ${round}`))
        assert.strictEqual(yield* received(first, 8), `answer ${round}`)
        assert.include(execFileSync("stty", ["-a", "-F", pair.a], { encoding: "utf8" }), "speed 9600 baud")

        const second = yield* client(port)
        const refused = yield* Effect.forkChild(closed(second), { startImmediately: true })
        yield* relay.said(new RegExp(`(in use[^]*){${round}}`))
        yield* Fiber.join(refused)

        // The end of the client gives the port back.
        first.end("bye")
        assert.strictEqual(String(Buffer.from(yield* Transport.readExactly(device, 3))), "bye")
        yield* closed(first)
      }
      relay.child.kill("SIGINT")
      assert.strictEqual(yield* relay.exited, 0, relay.stderr())
    })
  )

  live(
    "relay says what became of a port that is unplugged",
    Effect.gen(function*() {
      const pair = yield* ptyPair
      const relay = yield* tool("relay", "--once", "listen:tcp://127.0.0.1:0", `serial://${pair.a}`)
      const socket = yield* client(yield* portOf(relay))
      const device = yield* openPort(pair.b)
      socket.write("x")
      yield* Transport.readExactly(device.transport, 1)
      yield* unplug(pair)
      assert.strictEqual(yield* relay.exited, 1)
      assert.include(relay.stderr(), `${pair.a} is gone`)
    })
  )

  live(
    "cat sends stdin to a port, and prints what comes after its end until a signal",
    Effect.gen(function*() {
      const pair = yield* ptyPair
      const { transport: device } = yield* openPort(pair.b)
      const cat = yield* tool("cat", `serial://${pair.a}?baudRate=115200`)
      cat.child.stdin!.end("AT\r")
      assert.strictEqual(String(Buffer.from(yield* Transport.readExactly(device, 3))), "AT\r")
      yield* device.write(text("OK\r\n"))
      yield* cat.printed(4)
      assert.strictEqual(String(cat.stdout()), "OK\r\n")
      cat.child.kill("SIGINT")
      assert.strictEqual(yield* cat.exited, 1)
    })
  )

  live(
    "a port that its user may not open is refused",
    Effect.gen(function*() {
      const pair = yield* ptyPair
      chmodSync(pair.a, 0)
      // The superuser may open everything.
      const asNobody = process.getuid?.() === 0 ? "setpriv --reuid=65534 --regid=65534 --clear-groups " : ""
      const cat = yield* run("sh", ["-c", `${asNobody}${shellLine(["cat", `serial://${pair.a}`])}`])
      assert.strictEqual(yield* cat.exited, 1)
      assert.include(cat.output(), `serial://${pair.a}?baudRate=9600: PermissionDenied: permission denied`)
    })
  )

  live(
    "what is no port, or badly said, is one line",
    Effect.gen(function*() {
      const missing = yield* tool("cat", "serial:///dev/nowhere")
      assert.strictEqual(yield* missing.exited, 1)
      assert.include(missing.stderr(), "/dev/nowhere does not exist")
      const wrong = yield* tool("cat", "serial:///dev/ttyS0?dataBits=9")
      assert.strictEqual(yield* wrong.exited, 2)
      assert.include(wrong.stderr(), "endpoint.dataBits must be 5, 6, 7 or 8")
    })
  )
})
