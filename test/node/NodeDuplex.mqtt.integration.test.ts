import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { Network } from "effect-transport"
import { NodeDuplex, NodeTransport } from "effect-transport/node"
import { MqttClient } from "mqtt"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { event } from "../support/duplexes.ts"
import { folder as newFolder } from "../support/folder.ts"
import { run } from "../support/programs.ts"
import { describeWith } from "../support/systemPrograms.ts"

const exchanges = 100

/** The broker at a port and a path. */
const broker = Effect.gen(function*() {
  const folder = yield* newFolder
  const { listen } = yield* Network.Network
  // A port that was free a moment ago; mosquitto takes port 0 for a path.
  const free = yield* Effect.scoped(Effect.map(listen("tcp://127.0.0.1:0"), ({ endpoint }) => endpoint))
  const port = "port" in free ? free.port : 0
  const path = join(folder, "mqtt.sock")
  const settings = [`listener ${port} 127.0.0.1`, `listener 0 ${path}`, "allow_anonymous true", "persistence false"]
  // Started by root, it would become a user who may not enter the folder.
  if (process.getuid?.() === 0) settings.unshift("user root")
  writeFileSync(join(folder, "mosquitto.conf"), `${settings.join("\n")}\n`)
  const server = yield* run("mosquitto", ["-c", join(folder, "mosquitto.conf"), "-v"])
  yield* server.printed(/version \S+ running/)
  return [`unix://${path}`, `tcp://127.0.0.1:${port}`]
})

/** A client whose will is published where it goes without a word. */
const client = (endpoint: string, clientId: string) =>
  Effect.gen(function*() {
    const { connect } = yield* Network.Network
    const duplex = yield* NodeDuplex.toDuplex(yield* connect(endpoint), { allowHalfOpen: false })
    const mqtt = new MqttClient(() => duplex, {
      clientId,
      reconnectPeriod: 0,
      will: { topic: `wills/${clientId}`, payload: Buffer.from("gone"), qos: 1, retain: false }
    })
    mqtt.on("error", () => {})
    yield* event(mqtt, "connect")
    return { duplex, mqtt }
  })

/** The next message to that topic from now on. */
const message = (mqtt: MqttClient, topic: string): Effect.Effect<string> => {
  const next = new Promise<string>((resolve) => {
    const look = (at: string, payload: Buffer) => {
      if (at !== topic) return
      mqtt.off("message", look)
      resolve(payload.toString())
    }
    mqtt.on("message", look)
  })
  return Effect.promise(() => next)
}

describeWith(["mosquitto"], "NodeDuplex.toDuplex under mqtt", () => {
  it.live("talks to a real broker over a Unix socket and TCP: a hundred exchanges each, one cancelled, one aborted", () =>
    Effect.gen(function*() {
      for (const endpoint of yield* broker) {
        const first = yield* client(endpoint, "first")
        yield* Effect.promise(() => first.mqtt.subscribeAsync(["echo", "wills/#"], { qos: 1 }))
        for (let i = 0; i < exchanges; i++) {
          const body = `${i} `.repeat(i === 50 ? 100_000 : 10)
          const answer = message(first.mqtt, "echo")
          yield* Effect.promise(() => first.mqtt.publishAsync("echo", body, { qos: i % 2 === 0 ? 1 : 2 }))
          assert.strictEqual(yield* answer, body)
        }

        // Cancelled: a client hangs up in the middle of a message. Aborted: the stream is broken below it.
        for (const end of ["cancelled", "aborted"] as const) {
          const { duplex, mqtt } = yield* client(endpoint, end)
          const will = message(first.mqtt, `wills/${end}`)
          const closed = event(duplex, "close")
          const sent = mqtt.publishAsync("nowhere", Buffer.alloc(10_000_000), { qos: 1 }).then(
            () => "sent",
            () => "failed"
          )
          if (end === "cancelled") mqtt.end(true)
          else {
            duplex.resetAndDestroy()
            yield* closed
            mqtt.end(true)
          }
          yield* closed
          assert.strictEqual(yield* Effect.promise(() => sent), "failed")
          assert.strictEqual(yield* will, "gone")
        }

        // Who takes his leave has no will, and the broker closes.
        const last = yield* client(endpoint, "last")
        let wills = 0
        first.mqtt.on("message", (topic) => {
          if (topic === "wills/last") wills++
        })
        const left = event(last.duplex, "close")
        yield* Effect.promise(() => last.mqtt.endAsync())
        yield* left
        const answer = message(first.mqtt, "echo")
        yield* Effect.promise(() => first.mqtt.publishAsync("echo", "after", { qos: 1 }))
        assert.strictEqual(yield* answer, "after")
        assert.strictEqual(wills, 0)
        const closed = event(first.duplex, "close")
        yield* Effect.promise(() => first.mqtt.endAsync())
        yield* closed
      }
    }).pipe(Effect.provide(NodeTransport.layerNetwork)))
})
