/**
 * Ours, in each of its styles of reading and writing. The socket options of the other peers are its defaults: no delay,
 * half-open, a backlog of 128.
 */
import { Effect, Pull } from "effect"
import { Connection, Lines, type Machine, Network, Protocol, Transport } from "effect-transport"
import { NodeTransport } from "effect-transport/node"
import { answer, digestOf, hashing, options, ownUsage } from "../child.ts"
import { messages } from "../content.ts"
import type { SubjectAnswers, SubjectOptions } from "../messages.ts"
import { ack, tally } from "./tally.ts"

const { ackBytes, bytes, isHashed, service, target } = options<SubjectOptions>()

const sent = hashing(isHashed)
const received = hashing(isHashed)

type Service = (transport: Transport.Transport) => Effect.Effect<void, unknown, Network.Network>

type ByteMachine = Machine.Machine<never, never, never>

const machineOf = (receive: ByteMachine["receive"]): ByteMachine => ({
  receive,
  command: () => undefined,
  end: () => undefined,
  due: () => undefined
})

// ---------------------------------------------------------------------------------------------------------------------
// Echo
// ---------------------------------------------------------------------------------------------------------------------

const echoByPull: Service = (transport) =>
  Effect.scoped(Effect.gen(function*() {
    const { pull } = yield* transport.reader
    return yield* Effect.forever(Effect.flatMap(pull, transport.writeAll), { disableYield: true })
  })).pipe(Pull.catchDone(() => Effect.void))

const echoByForEach: Service = (transport) => Connection.forEach(transport, (batch) => transport.writeAll(batch))

const echoByCopy: Service = (transport) => Connection.copy(transport, transport)

const echoByMachine: Service = (transport) =>
  Transport.react(
    transport,
    machineOf((chunk, out) => {
      out.bytes(chunk)
      return undefined
    })
  )

// ---------------------------------------------------------------------------------------------------------------------
// Sink
// ---------------------------------------------------------------------------------------------------------------------

const sinkOwned: Service = (transport) => {
  const take = tally(ackBytes, received)
  return Connection.forEach(transport, (batch) => {
    let acks = 0
    for (const chunk of batch) acks += take(chunk)
    return acks > 0 ? transport.write(ack(acks)) : Effect.void
  })
}

const sinkLent: Service = (transport) => {
  const take = tally(ackBytes, received)
  return Transport.react(
    transport,
    machineOf((chunk, out) => {
      const acks = take(chunk)
      if (acks > 0) out.bytes(ack(acks))
      return undefined
    })
  )
}

// ---------------------------------------------------------------------------------------------------------------------
// Source
// ---------------------------------------------------------------------------------------------------------------------

const source = (writers: number): Service => (transport) => {
  const messageAt = messages(bytes, isHashed)
  let index = 0
  const writeSome = (count: number) => {
    let written = 0
    return Effect.whileLoop({
      while: () => written < count,
      body: () => {
        const message = messageAt(index++)
        sent?.update(message)
        return transport.write(message)
      },
      step: () => {
        written++
      }
    })
  }
  return Effect.gen(function*() {
    while (true) {
      const request = yield* Transport.readExactly(transport, 4)
      const count = Buffer.from(request).readUInt32BE()
      yield* writers === 1
        ? writeSome(count)
        : Effect.forEach(Array.from({ length: writers }), () => writeSome(count / writers), {
          concurrency: "unbounded",
          discard: true
        })
    }
  })
}

// ---------------------------------------------------------------------------------------------------------------------
// Lines: each is answered with itself
// ---------------------------------------------------------------------------------------------------------------------

const linesByFrame: Service = (transport) =>
  Effect.scoped(Effect.gen(function*() {
    const lines = yield* Protocol.attach(Lines.protocol(), transport)
    return yield* Connection.forEach(lines, (batch) => Effect.forEach(batch, lines.write, { discard: true }))
  }))

const linesByBatch: Service = (transport) =>
  Effect.scoped(Effect.gen(function*() {
    const lines = yield* Protocol.attach(Lines.protocol(), transport)
    return yield* Connection.forEach(lines, (batch) => lines.writeAll(batch))
  }))

const lineFeed = 0x0a

const linesByMachine: Service = (transport) => {
  // Of our own: what a machine is given is lent.
  let rest = new Uint8Array(0)
  return Transport.react(
    transport,
    machineOf((chunk, out) => {
      const all = rest.length === 0 ? chunk : joined(rest, chunk)
      let from = 0
      for (let end = all.indexOf(lineFeed); end >= 0; end = all.indexOf(lineFeed, from)) {
        out.bytes(all.subarray(from, end + 1))
        from = end + 1
      }
      rest = all.slice(from)
      return undefined
    })
  )
}

const joined = (head: Uint8Array, tail: Uint8Array): Uint8Array => {
  const all = new Uint8Array(head.length + tail.length)
  all.set(head)
  all.set(tail, head.length)
  return all
}

// ---------------------------------------------------------------------------------------------------------------------

const relay: Service = (transport) =>
  Effect.scoped(Effect.gen(function*() {
    const { connect } = yield* Network.Network
    const onward = yield* connect(`tcp://127.0.0.1:${target}`)
    yield* Connection.copyBidirectional(transport, onward)
  }))

const services: Readonly<Record<string, Service>> = {
  "echo/pull": echoByPull,
  "echo/forEach": echoByForEach,
  "echo/copy": echoByCopy,
  "echo/machine": echoByMachine,
  "sink/owned": sinkOwned,
  "sink/lent": sinkLent,
  source: source(1),
  "source/100 fibers": source(100),
  "lines/frames": linesByFrame,
  "lines/batches": linesByBatch,
  "lines/machine": linesByMachine,
  relay
}

const serve = (ready: (port: number) => void) =>
  Effect.scoped(Effect.gen(function*() {
    const { listen } = yield* Network.Network
    const listener = yield* listen("tcp://127.0.0.1:0")
    if (listener.endpoint._tag === "tcp") ready(listener.endpoint.port)
    return yield* listener.serve(services[service]!, { connectionsMax: 20_000 })
  })).pipe(Effect.provide(NodeTransport.layerNetwork))

answer<SubjectAnswers>({
  ...ownUsage,
  start: () => new Promise((ready) => void Effect.runPromise(serve(ready))),
  digest: () => digestOf({ sent, received })
})
