/**
 * Whole programs in worlds, for tests and the soak: each world fails, or dies of an assertion, where its programs do not do
 * what they promise.
 */
import { Cause, Data, Duration, Effect, Option, Pull, Ref, Schedule, type Scope } from "effect"
import { Connection, LengthPrefixed, Lines, type Machine, Network, Protocol, Transport } from "effect-transport"
import { Link, type Sim, World } from "effect-transport/sim"

type SimulatedWorld = Parameters<typeof Sim.run>[0]

class Broken extends Data.TaggedError("Broken")<{ readonly message: string }> {}

const expect = (holds: boolean, message: () => string): Effect.Effect<void, Broken> =>
  Effect.suspend(() => holds ? Effect.void : Effect.fail(new Broken({ message: message() })))

const serve = <E>(
  handler: (
    transport: Transport.HalfCloseableTransport
  ) => Effect.Effect<void, E, Network.Network | Scope.Scope>,
  port = 7000
) =>
  Effect.gen(function*() {
    const { listen } = yield* Network.Network
    const listener = yield* listen(`tcp://0.0.0.0:${port}`)
    return yield* listener.serve((transport) => handler(transport as Transport.HalfCloseableTransport))
  })

const connect = (endpoint: string) =>
  Effect.map(
    Effect.flatMap(Network.Network, (network) => network.connect(endpoint)),
    (transport) => transport as Transport.HalfCloseableTransport
  )

// ---------------------------------------------------------------------------------------------------------------------

/**
 * A client that connects again, to a server that is killed, stopped or loses power again and again. It says each number until it is
 * acknowledged; the server's log, which outlives it, has every number, in order, and none is acknowledged and lost.
 */
const reconnecting = Effect.gen(function*() {
  const { host, link } = yield* World.World
  const log: Array<number> = []
  const server = yield* host("server", {
    boot: serve((transport) =>
      Effect.gen(function*() {
        const lines = yield* Protocol.attach(Lines.protocol(), transport)
        yield* Connection.forEach(lines, (batch) =>
          Effect.forEach(batch, (line) => {
            const number = Number(line)
            // Said again, because the acknowledgement was lost.
            if (!log.includes(number)) log.push(number)
            return lines.write(line)
          }, { discard: true }))
      })
    )
  })
  const client = yield* host("client")
  yield* link(client, server, { latency: { uniform: ["1 millis", "20 millis"] } })
  const numbers = Array.from({ length: 20 }, (_, i) => i)
  const next = yield* Ref.make(0)
  const attempts = yield* Ref.make(0)
  const converse = Effect.scoped(Effect.gen(function*() {
    yield* Ref.update(attempts, (count) => count + 1)
    const lines = yield* Protocol.attach(Lines.protocol(), yield* connect("tcp://server:7000"))
    while ((yield* Ref.get(next)) < numbers.length) {
      const number = yield* Ref.get(next)
      yield* lines.write(String(number))
      const answer = yield* Effect.timeout(Connection.take(lines), "1 second")
      yield* Effect.orDie(expect(answer === String(number), () => `${number} was answered with ${answer}`))
      yield* Ref.set(next, number + 1)
      yield* Effect.sleep("50 millis")
    }
  })).pipe(
    Pull.catchDone(() => Effect.fail("the end" as const)),
    Effect.timeout("5 seconds"),
    Effect.retry(Schedule.jittered(Schedule.spaced("100 millis")))
  )
  const trouble = Effect.forEach(["kill", "stop", "powerOff", "kill"] as const, (end) =>
    Effect.gen(function*() {
      yield* Effect.sleep("230 millis")
      yield* server[end]
      yield* Effect.sleep("150 millis")
      yield* server.restart
    }), { discard: true })
  yield* Effect.all([client.run(converse), trouble], { concurrency: 2 })
  yield* expect(log.join() === numbers.join(), () => `the server has ${log.join()}`)
  const tried = yield* Ref.get(attempts)
  yield* expect(tried > 2, () => `the trouble was none: the client connected ${tried} times`)
})

/** Requests with numbers over a length-prefixed protocol; the server answers some too late. No answer goes to another request. */
const requests = Effect.gen(function*() {
  const { host } = yield* World.World
  const frames = LengthPrefixed.protocol({ width: 2 })
  yield* host("server", {
    boot: serve((transport) =>
      Effect.gen(function*() {
        const lower = yield* Protocol.attach(frames, transport)
        yield* Connection.forEach(lower, (batch) =>
          Effect.forEach(batch, (frame) =>
            Effect.andThen(Effect.sleep(frame[0]! % 3 === 0 ? "1 second" : "10 millis"), lower.write(frame)), {
            discard: true
          }))
      })
    )
  })
  const client = yield* host("client")
  yield* Effect.sleep("10 millis")
  const request = (number: number) =>
    Effect.scoped(Effect.gen(function*() {
      const lower = yield* Protocol.attach(frames, yield* connect("tcp://server:7000"))
      yield* lower.write(Uint8Array.of(number, 1, 2, 3))
      return (yield* Connection.take(lower))[0]
    })).pipe(Effect.timeoutOption(Duration.millis(500)))
  const answers = yield* client.run(
    Effect.forEach([1, 2, 3, 4, 5, 6], (number) => Effect.map(request(number), Option.getOrUndefined), {
      concurrency: 3
    })
  )
  yield* expect(answers.join() === "1,2,,4,5,", () => `answers: ${answers.join()}`)
})

/** Numbers that come in are summed, and the sum is said when asked for; after two seconds of silence it says so. */
const adder = (): Machine.Machine<never, string, "Nonsense"> => {
  let sum = 0
  let heardMs: number | undefined
  return {
    receive: (bytes, out) => {
      heardMs = undefined
      for (const byte of bytes) {
        if (byte === 255) return "Nonsense"
        if (byte === 0) out.bytes(Uint8Array.of(sum & 127))
        sum += byte
      }
      return undefined
    },
    command: () => undefined,
    end: (out) => {
      out.event(`the sum is ${sum}`)
      return undefined
    },
    due: (nowMs, out) => {
      heardMs ??= nowMs
      if (nowMs < heardMs + 2000) return heardMs + 2000
      heardMs = nowMs
      out.event("silence")
      return heardMs + 2000
    }
  }
}

const machine = Effect.gen(function*() {
  const { host } = yield* World.World
  const events: Array<string> = []
  yield* host("server", {
    boot: serve((transport) => Transport.react(transport, adder(), (event) => void events.push(event)))
  })
  const client = yield* host("client")
  yield* Effect.sleep("10 millis")
  const sums = yield* client.run(Effect.gen(function*() {
    const transport = yield* connect("tcp://server:7000")
    yield* transport.write(Uint8Array.of(1, 2, 3, 0))
    const first = yield* Transport.readExactly(transport, 1)
    yield* Effect.sleep("3 seconds")
    yield* transport.writeAll([Uint8Array.of(4), Uint8Array.of(5, 0)])
    const second = yield* Transport.readExactly(transport, 1)
    yield* transport.halfClose
    const rest = yield* Transport.readUntilEnd(transport)
    return [first[0], second[0], rest.length]
  }))
  yield* expect(sums.join() === "6,15,0", () => `sums: ${sums.join()}`)
  yield* expect(events.join() === "silence,the sum is 15", () => `events: ${events.join()}`)
  const broken = yield* client.run(Effect.gen(function*() {
    const transport = yield* connect("tcp://server:7000")
    yield* transport.write(Uint8Array.of(1, 255))
    return yield* Effect.match(Connection.take(transport), {
      onFailure: (error) => Cause.isDone(error) ? "the end" : error.reason._tag,
      onSuccess: () => "bytes"
    })
  }))
  yield* expect(broken === "Reset", () => `nonsense was answered with ${broken}`)
})

/** Two hosts talk through a third, over slow and narrow links: what arrives is what was sent, and each end passes on. */
const relay = Effect.gen(function*() {
  const { host, link } = yield* World.World
  const server = yield* host("server", { boot: serve((transport) => Connection.copy(transport, transport)) })
  const between = yield* host("relay", {
    boot: serve(
      (transport) =>
        Effect.flatMap(connect("tcp://server:7000"), (onward) => Connection.copyBidirectional(transport, onward)),
      8000
    )
  })
  const client = yield* host("client")
  const narrow: Link.Options = {
    bytesPerSecond: 100_000,
    segmentBytes: 700,
    receiveBufferBytes: 3000,
    sendBufferBytes: 900
  }
  yield* link(client, between, narrow)
  yield* link(between, server, { ...narrow, bytesPerSecond: 50_000, latency: { uniform: ["1 millis", "9 millis"] } })
  yield* Effect.sleep("10 millis")
  const bytes = 20_000
  const one = (seed: number) =>
    Effect.gen(function*() {
      const transport = yield* connect("tcp://relay:8000")
      const sent = Uint8Array.from({ length: bytes }, (_, i) => (i * seed) >> 3)
      const writing = Effect.andThen(
        Effect.forEach(Array.from({ length: 20 }, (_, i) => i), (i) =>
          transport.write(sent.subarray(i * bytes / 20, (i + 1) * bytes / 20)), { discard: true }),
        transport.halfClose
      )
      const [, received] = yield* Effect.all([writing, Transport.readUntilEnd(transport)], { concurrency: 2 })
      yield* expect(received.join() === sent.join(), () =>
        `${received.length} bytes of ${bytes} came back right`)
    })
  yield* Effect.all([client.run(one(7)), client.run(one(11))], { concurrency: 2 })
})

export const worlds: Readonly<Record<string, { readonly world: SimulatedWorld; readonly promise: string }>> = {
  reconnecting: {
    world: reconnecting,
    promise: "a client that connects again loses nothing, while its server is killed and restarted again and again"
  },
  requests: { world: requests, promise: "requests with a time limit get their own answers, or none" },
  machine: { world: machine, promise: "a machine in the read callback answers, tells, and is woken when it is due" },
  relay: { world: relay, promise: "a relay between two hosts passes on all bytes and both ends" }
}
