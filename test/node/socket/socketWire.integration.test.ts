/** How the wire of a socket reads: into whose memory, and what it leaves to whom. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Connection, type Endpoint, type Machine, Network, Transport } from "effect-transport"
import { NodeTransport } from "effect-transport/node"
import { createHash } from "node:crypto"
import * as Net from "node:net"
import { readInto } from "../../../src/node/socket/ownBuffer.ts"
import { joinsThroughInterruptions } from "../../support/joining.ts"

/** The end that connected and the one that was accepted. */
const pair = () =>
  Effect.gen(function*() {
    const network = yield* Network.Network
    const listener = yield* network.listen("tcp://127.0.0.1:0")
    return yield* Effect.all([
      network.connect(listener.endpoint as Endpoint.TcpEndpoint),
      listener.accept
    ], { concurrency: 2 })
  })

/** Shows the memory that it is given. */
const looking = (seen: Array<Uint8Array>): Machine.Machine<never, never, never> => ({
  receive: (bytes, out) => {
    seen.push(bytes)
    out.bytes(Uint8Array.of(bytes.length))
    return undefined
  },
  command: () => undefined,
  end: () => undefined,
  due: () => undefined
})

describe("a socket", () => {
  it.live("lends a machine the same memory each time, at either end", () =>
    Effect.gen(function*() {
      const ends = yield* pair()
      for (const [a, b] of [ends, [ends[1], ends[0]]] as const) {
        const seen: Array<Uint8Array> = []
        const reacting = yield* Effect.forkChild(Transport.react(b, looking(seen)))
        for (let i = 1; i <= 3; i++) {
          yield* a.write(new Uint8Array(i))
          assert.deepStrictEqual(Array.from(yield* Transport.readExactly(a, 1)), [i])
        }
        assert.strictEqual(new Set(seen.map((chunk) => chunk.buffer)).size, 1)
        assert.throws(() => structuredClone(seen[0]!.buffer, { transfer: [seen[0]!.buffer] }))
        yield* Fiber.interrupt(reacting)
      }
    }).pipe(Effect.scoped, Effect.provide(NodeTransport.layerNetwork)))

  it.live("gives a reader memory that nothing else is ever written to, little or much, at either end", () =>
    Effect.gen(function*() {
      const ends = yield* pair()
      for (const [a, b] of [ends, [ends[1], ends[0]]] as const) {
        const sent = createHash("sha256")
        const writing = yield* Effect.forkChild(Effect.gen(function*() {
          // Bulk, then little, then bulk again: the wire changes its way of reading each time.
          for (let i = 0; i < 200; i++) {
            const chunk = new Uint8Array(i % 80 < 40 ? 200_000 : 1 + i * 7).fill(i)
            sent.update(chunk)
            yield* a.write(chunk)
            yield* a.flush
          }
          yield* a.halfClose
        }))
        const kept: Array<Uint8Array> = []
        yield* Connection.forEach(b, (batch) => Effect.sync(() => kept.push(...batch)))
        yield* Fiber.join(writing)
        const received = createHash("sha256")
        for (const chunk of kept) received.update(chunk)
        assert.strictEqual(received.digest("hex"), sent.digest("hex"))
        // What is kept pins a few times its own size at the most, or the slab that the little ones share.
        const memory = new Set(kept.map((chunk) => chunk.buffer))
        const pinned = Array.from(memory).reduce((bytes, buffer) => bytes + buffer.byteLength, 0)
        const bytes = kept.reduce((bytes, chunk) => bytes + chunk.length, 0)
        assert.isBelow(pinned, bytes * 2)
      }
    }).pipe(Effect.scoped, Effect.provide(NodeTransport.layerNetwork)))

  it.live("that is joined to another one carries bulk, and loses none of it where the joining is interrupted", () =>
    Effect.gen(function*() {
      const [a, b] = yield* pair()
      const [c, d] = yield* pair()
      const total = 8_000_000
      const sent = createHash("sha256")
      const writing = yield* Effect.forkChild(Effect.gen(function*() {
        for (let i = 0; i < total / 100_000; i++) {
          const chunk = new Uint8Array(100_000).fill(i)
          sent.update(chunk)
          yield* a.write(chunk)
        }
        yield* a.halfClose
      }))
      const received = createHash("sha256")
      let bytes = 0
      const reading = yield* Effect.forkChild(Connection.forEach(d, (batch) =>
        Effect.sync(() => {
          for (const chunk of batch) {
            bytes += chunk.length
            received.update(chunk)
          }
        })))
      // Interrupted a hundred times, in the middle of whatever it does.
      for (let i = 0; i < 100; i++) {
        const copying = yield* Effect.forkChild(Connection.copy(b, c))
        const target = bytes + total / 200
        while (bytes < target && copying.pollUnsafe() === undefined) yield* Effect.yieldNow
        yield* Fiber.interrupt(copying)
      }
      yield* Connection.copy(b, c, { endOnDone: "halfClose" })
      yield* Fiber.join(writing)
      yield* Fiber.join(reading)
      assert.strictEqual(bytes, total)
      assert.strictEqual(received.digest("hex"), sent.digest("hex"))
    }).pipe(Effect.scoped, Effect.provide(NodeTransport.layerNetwork)))

  it.live("that is joined to another one leaves it the memory with which it waits, where the joining is interrupted", () =>
    Effect.gen(function*() {
      yield* joinsThroughInterruptions(yield* pair(), yield* pair())
    }).pipe(Effect.scoped, Effect.provide(NodeTransport.layerNetwork)))

  it.live("sends what a machine answers with as it was, also where it waits and is a view of what was lent", () =>
    Effect.gen(function*() {
      const [a, b] = yield* pair()
      const echo: Machine.Machine<never, never, never> = {
        receive: ({ buffer, byteLength, byteOffset }, out) => {
          out.bytes(Buffer.from(buffer, byteOffset, byteLength))
          return undefined
        },
        command: () => undefined,
        end: () => undefined,
        due: () => undefined
      }
      const reacting = yield* Effect.forkChild(Transport.react(b, echo))
      const words = Uint32Array.from({ length: 2_000_000 }, (_, i) => i)
      const sent = new Uint8Array(words.buffer)
      const writing = yield* Effect.forkChild(Effect.andThen(a.write(sent), a.halfClose))
      // Nobody reads until the answers have to wait.
      while ((yield* b.buffered).writing === 0) yield* Effect.yieldNow
      const answer = yield* Transport.readExactly(a, sent.length)
      assert.strictEqual(Buffer.compare(answer, sent), 0)
      yield* Fiber.join(writing)
      yield* Fiber.join(reacting)
    }).pipe(Effect.scoped, Effect.provide(NodeTransport.layerNetwork)))

  it.live("goes on where a machine has given away the memory that it was lent", () =>
    Effect.gen(function*() {
      const [a, b] = yield* pair()
      const half = 400_000
      const writing = yield* Effect.forkChild(a.write(new Uint8Array(2 * half)))
      // Read in bulk, so that the wire reads into memory of this socket's own.
      let bytes = (yield* Transport.readExactly(b, half)).length
      const reacting = yield* Effect.forkChild(Transport.react(b, {
        receive: (chunk) => {
          bytes += chunk.length
          // What is shared by all cannot be given away.
          if (chunk.length > 20_000) Effect.runSync(Effect.ignore(Effect.try(() => give(chunk))))
          return undefined
        },
        command: () => undefined,
        end: () => undefined,
        due: () => undefined
      }))
      yield* Fiber.join(writing)
      yield* a.halfClose
      yield* Fiber.join(reacting)
      assert.strictEqual(bytes, 2 * half)
    }).pipe(Effect.scoped, Effect.provide(NodeTransport.layerNetwork)))

  it.live("is read the public way where this Node has no other", () =>
    Effect.gen(function*() {
      // The members that a socket of another Node might lack.
      const buffers = { first: new Uint8Array(1), next: () => undefined, read: () => true }
      assert.isFalse(readInto(new Net.Socket(), buffers))
      const handle = Object.getPrototypeOf(yield* aHandle) as { useUserBuffer: unknown }
      const { useUserBuffer } = handle
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          handle.useUserBuffer = undefined
        }),
        () =>
          Effect.sync(() => {
            handle.useUserBuffer = useUserBuffer
          })
      )
      const [a, b] = yield* pair()
      const seen: Array<Uint8Array> = []
      const reacting = yield* Effect.forkChild(Transport.react(b, looking(seen)))
      for (let i = 1; i <= 2; i++) {
        yield* a.write(new Uint8Array(i))
        assert.deepStrictEqual(Array.from(yield* Transport.readExactly(a, 1)), [i])
      }
      assert.strictEqual(new Set(seen.map((chunk) => chunk.buffer)).size, 2)
      yield* a.halfClose
      yield* Fiber.join(reacting)
    }).pipe(Effect.scoped, Effect.provide(NodeTransport.layerNetwork)))
})

/** The handle of a live socket of Node. */
const aHandle = Effect.callback<object>((resume) => {
  const server = Net.createServer((socket) => {
    resume(Effect.succeed((socket as unknown as { readonly _handle: object })._handle))
    socket.destroy()
    server.close()
  }).listen(0, "127.0.0.1", () => {
    Net.connect((server.address() as Net.AddressInfo).port, "127.0.0.1").on("error", () => {}).resume()
  })
})

const give = ({ buffer }: Uint8Array): unknown => structuredClone(buffer, { transfer: [buffer] })
