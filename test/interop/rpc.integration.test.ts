/** The program of `rpc.test.ts`, unchanged, over what the system has. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { EffectSocket } from "effect-transport"
import { NodeDuplex, NodeTransport } from "effect-transport/node"
import { Socket } from "effect/socket"
import { spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Duplex } from "node:stream"
import { fileURLToPath } from "node:url"
import { event } from "../support/duplexes.ts"
import { answers, callOver, exchange } from "../support/rpcProgram.ts"

describe("An RpcGroup with streaming results", () => {
  const endpoints = ["tcp://127.0.0.1:0", `unix://${join(tmpdir(), `effect-transport-${randomUUID()}.sock`)}`]
  it.live.each(endpoints)("runs over %s", (endpoint) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Effect.provide(exchange(endpoint), NodeTransport.layerNetwork), answers)
    }))

  it.live("runs over the standard input and output of a child process, which ends with its input", () =>
    Effect.gen(function*() {
      const program = fileURLToPath(new URL("../support/rpcStdioServer.ts", import.meta.url))
      const child = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn(process.execPath, ["-C", "effect-transport-source", program], { stdio: ["pipe", "pipe", "inherit"] })
        ),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const exited = event(child, "exit")
      // Its types know of Web streams alone.
      const pipes = Duplex.from({ readable: child.stdout, writable: child.stdin } as never)
      const transport = yield* NodeDuplex.fromDuplex(pipes)
      const socket = Layer.succeed(Socket.Socket, EffectSocket.toSocket(transport))
      assert.deepStrictEqual(yield* callOver(socket), answers)
      assert.strictEqual(yield* exited, 0)
    }))
})
