/**
 * Conversations of a client and a server, each a whole program that answers with what both saw of each other.
 *
 * This file knows `effect` and `effect-transport` and nothing of what is below: the same programs run over real sockets
 * and in a simulated world (`both-layers.ts`), with the same answers.
 */
import { Cause, Deferred, Effect, Fiber, Option, Pull, Ref, Schedule } from "effect"
import { Connection, Lines, Network, Protocol, Transport, type TransportError } from "effect-transport"

type Ends = readonly [client: Transport.HalfCloseableTransport, server: Transport.HalfCloseableTransport]

/** What one end or the other saw, as plain data. */
export type Seen = Readonly<Record<string, unknown>>

export type Conversation = Effect.Effect<Seen, unknown, Network.Network>

/** Both ends of a connection to an endpoint. */
const between = (
  endpoint: string,
  converse: (...ends: Ends) => Effect.Effect<Seen, unknown>,
  options?: Transport.TransportOptions
): Conversation =>
  Effect.scoped(Effect.gen(function*() {
    const { connect, listen } = yield* Network.Network
    const listener = yield* listen(endpoint, options)
    const ends = yield* Effect.all([connect(listener.endpoint, options), listener.accept], { concurrency: 2 })
    return yield* converse(...(ends as unknown as Ends))
  }))

/** What the next read finds, in a word. */
const next = (transport: Transport.Transport): Effect.Effect<string> =>
  Effect.match(Connection.take(transport), {
    onFailure: (error) => Cause.isDone(error) ? "end" : error.reason._tag,
    onSuccess: (chunk) => text(chunk)
  })

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Numbers that look like chance, the same ones each time. */
const chance = (seed: number) => {
  let state = seed
  return (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor(state / 4_294_967_296 * below)
  }
}

/** A running sum that knows the order of what it has seen. */
class Checksum {
  bytes = 0
  #sum = 0
  add(chunk: Uint8Array): void {
    this.bytes += chunk.length
    for (let i = 0; i < chunk.length; i++) this.#sum = (Math.imul(this.#sum, 31) + chunk[i]!) >>> 0
  }
  get value(): string {
    return `${this.bytes} bytes, ${this.#sum.toString(16)}`
  }
}

const receiveAll = (transport: Transport.Transport): Effect.Effect<string, TransportError.TransportError> =>
  Effect.suspend(() => {
    const checksum = new Checksum()
    return Effect.map(
      Connection.forEach(transport, (batch) => Effect.sync(() => batch.forEach((chunk) => checksum.add(chunk)))),
      () => checksum.value
    )
  })

/** Writes pieces until one has to wait, and answers with how many were taken. The one that waits is interrupted. */
const fill = (transport: Transport.Transport, piece: (index: number) => Uint8Array) =>
  Effect.gen(function*() {
    let taken = 0
    let verdict: string | undefined
    while (verdict === undefined) {
      const fiber = yield* Effect.forkChild(transport.write(piece(taken)))
      const exit = yield* Effect.timeoutOption(Fiber.await(fiber), "100 millis")
      if (Option.isSome(exit)) {
        taken++
        continue
      }
      yield* Fiber.interrupt(fiber)
      const interrupted = yield* Fiber.await(fiber)
      verdict = interrupted._tag === "Success"
        ? "Sent"
        : Option.getOrElse(Transport.delivery(interrupted.cause), () => "no verdict")
    }
    return { taken, verdict }
  })

const pieceBytes = 8192
const numbered = (index: number) => new Uint8Array(pieceBytes).fill(index)

/** All conversations, over an endpoint. */
export const conversations = (endpoint: string): Readonly<Record<string, Conversation>> => ({
  "half-close": between(endpoint, (client, server) =>
    Effect.gen(function*() {
      const serving = yield* Effect.forkChild(Effect.gen(function*() {
        const asked = yield* Transport.readUntilEnd(server)
        yield* server.write(bytes(`you said ${text(asked)}`))
        yield* server.close
        return text(asked)
      }))
      yield* client.write(bytes("one, "))
      yield* client.write(bytes("two"))
      yield* client.halfClose
      const writing = yield* Effect.flip(client.write(bytes("three")))
      const answer = text(yield* Transport.readUntilEnd(client))
      return { asked: yield* Fiber.join(serving), answer, writing: writing.reason._tag, next: yield* next(client) }
    })),

  end: between(endpoint, (client, server) =>
    Effect.gen(function*() {
      yield* server.write(bytes("bye"))
      const closing = yield* Effect.forkChild(server.close)
      const seen = [text(yield* Transport.readExactly(client, 3)), yield* next(client), yield* next(client)]
      yield* client.close
      yield* Fiber.join(closing)
      return { seen, client: yield* Effect.exit(client.closed), server: yield* Effect.exit(server.closed) }
    })),

  reset: between(endpoint, (client, server) =>
    Effect.gen(function*() {
      yield* server.write(bytes("last words"))
      const words = text(yield* Transport.readExactly(client, 10))
      yield* server.abort
      return { words, next: yield* next(client), again: yield* next(client), server: yield* next(server) }
    })),

  backpressure: between(endpoint, (client, server) =>
    Effect.gen(function*() {
      const sent = new Checksum()
      const { taken, verdict } = yield* fill(client, numbered)
      for (let i = 0; i < taken; i++) sent.add(numbered(i))
      const receiving = yield* Effect.forkChild(receiveAll(server))
      yield* client.halfClose
      return { verdict, arrived: (yield* Fiber.join(receiving)) === sent.value }
    })),

  "a read that is interrupted": between(endpoint, (client, server) =>
    Effect.gen(function*() {
      const waited = yield* Effect.timeoutOption(Connection.take(client), "20 millis")
      yield* server.write(bytes("after"))
      const read = text(yield* Transport.readExactly(client, 5))
      yield* Effect.all([client.close, server.close], { concurrency: 2 })
      return { waited: Option.isSome(waited), read }
    })),

  "a duplex transfer": between(endpoint, (client, server) =>
    Effect.gen(function*() {
      const send = Effect.fnUntraced(function*(transport: Transport.HalfCloseableTransport, seed: number) {
        const random = chance(seed)
        const sent = new Checksum()
        while (sent.bytes < 2_000_000) {
          const chunk = new Uint8Array(random(random(2) === 0 ? 100 : 60_000)).map(() => random(256))
          sent.add(chunk)
          yield* transport.write(chunk)
        }
        yield* transport.halfClose
        return sent.value
      })
      const [up, down, upSeen, downSeen] = yield* Effect.all(
        [send(client, 1), send(server, 2), receiveAll(server), receiveAll(client)],
        { concurrency: "unbounded" }
      )
      return { up, down, upIsRight: up === upSeen, downIsRight: down === downSeen }
    })),

  "a client that connects again": Effect.gen(function*() {
    const { connect, listen } = yield* Network.Network
    // An address that is free, and that nobody listens on.
    const address = yield* Effect.scoped(Effect.map(listen(endpoint), (listener) => listener.endpoint))
    const first = yield* Effect.flip(Effect.scoped(connect(address)))
    const isServing = yield* Deferred.make<void>()
    const conversations = yield* Ref.make(0)
    const server = Effect.scoped(Effect.gen(function*() {
      const listener = yield* listen(address)
      yield* Deferred.succeed(isServing, undefined)
      return yield* listener.serve((transport) =>
        Effect.gen(function*() {
          const lines = yield* Protocol.attach(Lines.protocol(), transport)
          const line = yield* Connection.take(lines)
          // Two of three conversations break off.
          if ((yield* Ref.updateAndGet(conversations, (count) => count + 1)) % 3 !== 0) return yield* transport.abort
          yield* lines.write(`heard ${line}`)
        })
      )
    }))
    const attempts = yield* Ref.make(0)
    const ask = (question: string) =>
      Effect.scoped(Effect.gen(function*() {
        yield* Ref.update(attempts, (count) => count + 1)
        const lines = yield* Protocol.attach(Lines.protocol(), yield* connect(address))
        yield* lines.write(question)
        return yield* Connection.take(lines)
      })).pipe(
        Pull.catchDone(() => Effect.fail("end" as const)),
        Effect.retry(Schedule.spaced("10 millis"))
      )
    const serving = yield* Effect.forkChild(Effect.delay(server, "30 millis"))
    const answers = [yield* ask("one"), yield* ask("two")]
    const before = yield* Ref.get(attempts)
    yield* Fiber.interrupt(serving)
    return {
      first: first.reason._tag,
      answers,
      conversations: yield* Ref.get(conversations),
      // Some attempts found nobody: how many, is a matter of time.
      triedMore: before > 6
    }
  })
})
