/** The program of `rpc.test.ts`, unchanged, over what the system has. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { NodeTransport } from "effect-transport/node"
import { randomUUID } from "node:crypto"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { answers, exchange } from "../support/rpcProgram.ts"

describe("An RpcGroup with streaming results", () => {
  const endpoints = ["tcp://127.0.0.1:0", `unix://${join(tmpdir(), `effect-transport-${randomUUID()}.sock`)}`]
  it.live.each(endpoints)("runs over %s", (endpoint) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Effect.provide(exchange(endpoint), NodeTransport.layerNetwork), answers)
    }))
})
