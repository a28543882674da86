/** The program of `rpc.test.ts`, unchanged, over what the system has. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Endpoint } from "effect-transport"
import { NodeTransport } from "effect-transport/node"
import { randomUUID } from "node:crypto"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { children } from "../support/children.ts"
import { answers, call, exchange } from "../support/rpcProgram.ts"

describe("An RpcGroup with streaming results", () => {
  const endpoints = ["tcp://127.0.0.1:0", `unix://${join(tmpdir(), `effect-transport-${randomUUID()}.sock`)}`]
  it.live.each(endpoints)("runs over %s", (endpoint) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Effect.provide(exchange(endpoint), NodeTransport.layerNetwork), answers)
    }))

  it.live("runs over the standard input and output of a child process, and leaves none", () =>
    Effect.gen(function*() {
      const server = fileURLToPath(new URL("../support/rpcStdioServer.ts", import.meta.url))
      const endpoint = Endpoint.format({
        _tag: "exec",
        command: process.execPath,
        args: ["-C", "effect-transport-source", server]
      })
      assert.deepStrictEqual(yield* Effect.provide(call(endpoint), NodeTransport.layerNetwork), answers)
      assert.deepStrictEqual(children(), [])
    }))
})
