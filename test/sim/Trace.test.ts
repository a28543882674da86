import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import { Connection, Network } from "effect-transport"
import { Sim, Trace, World } from "effect-transport/sim"

const conversations = Effect.gen(function*() {
  const { host, mark } = yield* World.World
  yield* host("server", {
    boot: Effect.gen(function*() {
      const { listen } = yield* Network.Network
      const { serve } = yield* listen("tcp://0.0.0.0:7000")
      return yield* serve((transport) => Connection.forEach(transport, (batch) => transport.writeAll(batch)))
    })
  })
  const client = yield* host("client")
  yield* Effect.sleep("1 millis")
  const converse = (bytes: number) =>
    Effect.gen(function*() {
      const { connect } = yield* Network.Network
      const transport = yield* connect("tcp://server:7000")
      yield* transport.write(new Uint8Array(bytes).fill(bytes))
      yield* Connection.take(transport)
      yield* Effect.logInfo("two\nlines, and a \\")
    })
  yield* Effect.all([client.run(converse(10)), client.run(converse(20))], { concurrency: 2 })
  yield* mark("done")
})

const { events } = Sim.run(conversations, { seed: 1 })

describe("Trace", () => {
  it("numbers events, connections and fibers from the start of each world", () => {
    assert.deepStrictEqual(events.map(({ seq }) => seq), Array.from(events.keys()))
    const connections = new Set(events.map(({ connection }) => connection))
    assert.deepStrictEqual([...connections].toSorted(), [-1, 0, 1])
    assert.isBelow(Math.max(...events.map(({ fiber }) => fiber)), 20)
    assert.deepStrictEqual(Sim.run(conversations, { seed: 1 }).events, events)
  })

  it("names as a cause what came before, and leads from what a waiting reader reads back to the write", () => {
    for (const event of events) assert.isBelow(event.cause, event.seq)
    for (const read of Trace.filter(events, { kind: "read", host: "client" })) {
      const kinds: Array<string> = []
      for (let at: Trace.Event | undefined = read; at !== undefined && at.kind !== "write"; at = events[at.cause]) {
        kinds.push(at.kind)
      }
      assert.deepStrictEqual(kinds, ["read", "deliver", "send"])
    }
  })

  it("is one line for each event, whatever was printed", () => {
    const lines = Trace.text(events).split("\n")
    assert.lengthOf(lines, events.length)
    const printed = Trace.filter(events, { kind: "print" })
    assert.lengthOf(printed, 2)
    for (const event of printed) assert.include(Trace.line(event), "two\\nlines, and a \\\\")
  })

  it("comes back from NDJSON as it was", () => {
    const text = Trace.ndjson(events)
    assert.lengthOf(text.split("\n"), events.length)
    assert.deepStrictEqual(Trace.fromNdjson(text), Result.succeed(events))
    assert.deepStrictEqual(Trace.fromNdjson(`${text}\n\n`), Result.succeed(events))
    assert.deepStrictEqual(Trace.fromNdjson(""), Result.succeed([]))
  })

  it("that is no trace is refused with its line", () => {
    const [first = ""] = Trace.ndjson(events).split("\n")
    const wrong: ReadonlyArray<readonly [string, string]> = [
      ["not JSON", "JSON"],
      [first.replace("\"seq\":0", "\"seq\":0.5"), "seq"],
      [first.replace(/"kind":"\w+"/, "\"kind\":\"rumour\""), "kind"],
      [first.replace(/,"note":"[^"]*"/, ""), "note"]
    ]
    for (const [line, named] of wrong) {
      const read = Trace.fromNdjson(`${first}\n${line}`)
      assert.isTrue(Result.isFailure(read), line)
      if (!Result.isFailure(read)) continue
      assert.strictEqual(read.failure._tag, "InvalidTrace")
      assert.strictEqual(read.failure.line, 2)
      assert.include(read.failure.message, named)
    }
  })

  it("has a schema of its events", () => {
    for (const event of events) assert.deepStrictEqual(Schema.decodeUnknownSync(Trace.Event)(event), event)
  })
})

describe("Trace.filter", () => {
  it("keeps what fits all that is given", () => {
    assert.deepStrictEqual(Trace.filter(events, {}), events)
    const ofOne = Trace.filter(events, { connection: 1 })
    assert.isNotEmpty(ofOne)
    assert.isBelow(ofOne.length, events.length)
    for (const { connection } of ofOne) assert.strictEqual(connection, 1)
    const sent = Trace.filter(ofOne, { host: "client", kind: "write", direction: "c>s" })
    assert.lengthOf(sent, 1)
    const answered = events.filter(({ host, connection, kind }) =>
      host === "server" && connection === 1 && kind === "write"
    )
    assert.deepStrictEqual(Trace.filter({ host: "server", connection: 1, kind: "write" })(events), answered)
    assert.lengthOf(answered, 1)
  })
})

describe("Trace.meanings", () => {
  it("tells of each kind what it means", () => {
    for (const { kind } of events) assert.match(Trace.meanings[kind], /^.{20,}[^.]$/s, kind)
  })
})
