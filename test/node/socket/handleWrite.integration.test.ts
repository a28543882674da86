/** Writes past a socket's stream: the same bytes in the same order as through it, and the same errors. */
import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { once } from "node:events"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { write } from "../../../src/node/socket/handleWrite.ts"

type Pair = readonly [a: Net.Socket, b: Net.Socket]

const joined = async (
  server: Net.Server,
  arrival: "connection" | "secureConnection",
  connect: (port: number) => Net.Socket
): Promise<Pair> => {
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const arrived = once(server, arrival)
  const a = connect((server.address() as Net.AddressInfo).port)
  const [b] = await arrived as [Net.Socket]
  server.close()
  return [a, b]
}

const overTcp = () => joined(Net.createServer(), "connection", (port) => Net.connect(port, "127.0.0.1"))

/** By a key that both know: that needs no certificate. */
const overTls = () => {
  const [psk, identity, options] = [Buffer.alloc(16, 1), "us", { ciphers: "PSK", maxVersion: "TLSv1.2" } as const]
  return joined(
    Tls.createServer({ ...options, pskCallback: () => psk }),
    "secureConnection",
    (port) =>
      Tls.connect({
        ...options,
        port,
        host: "127.0.0.1",
        pskCallback: () => ({ psk, identity }),
        checkServerIdentity: () => undefined
      })
  )
}

const send = (socket: Net.Socket, chunks: ReadonlyArray<Uint8Array>) =>
  new Promise<"at once" | "later">((resolve, reject) => {
    const done = (when: "at once" | "later") => {
      socket.off("error", reject)
      resolve(when)
    }
    socket.on("error", reject)
    if (write(socket, chunks, { written: () => done("later") })) done("at once")
  })

/** How often the stream of the socket is asked to write from now on. */
const throughStream = (socket: Net.Socket) => {
  let times = 0
  const { write } = socket
  socket.write = function(this: Net.Socket, ...args: ReadonlyArray<unknown>) {
    times++
    return Reflect.apply(write, this, args)
  } as typeof write
  return () => times
}

/** Writes of one chunk and of several, to a peer that reads nothing until one of them has to wait. */
const exchange = async ([a, b]: Pair) => {
  const sent = createHash("sha256")
  const received = createHash("sha256")
  const seen = new Set<string>()
  a.on("data", (chunk: Buffer) => received.update(chunk))
  for (let i = 0; i < 200; i++) {
    const chunks = Array.from({ length: 1 + i % 3 }, (_, k) => new Uint8Array(1 + i * 500 + k).fill(i + k))
    for (const chunk of chunks) sent.update(chunk)
    const sending = send(b, chunks)
    if (b.writableLength > 0 || i === 150) a.resume()
    seen.add(await sending)
  }
  b.end()
  await once(a, "end")
  a.destroy()
  assert.strictEqual(received.digest("hex"), sent.digest("hex"))
  return seen
}

describe("a write to a handle", () => {
  it("goes past the stream, in this Node", async () => {
    const pair = await overTcp()
    // The first one of a process shows how.
    await send(pair[1], [new Uint8Array(0)])
    const times = throughStream(pair[1])
    const seen = await exchange(pair)
    assert.strictEqual(times(), 0)
    assert.isTrue(seen.has("at once"))
  })

  it("waits where the kernel has no room, and leaves what it was given alone until it has gone", async () => {
    const [a, b] = await overTcp()
    await send(b, [new Uint8Array(1)])
    a.pause()
    const big = new Uint8Array(32_000_000).fill(7)
    const sending = send(b, [big.subarray(0, 1), big.subarray(1)])
    let bytes = 0
    a.on("data", (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > 1) assert.strictEqual(chunk[chunk.length - 1], 7)
    })
    a.resume()
    assert.strictEqual(await sending, "later")
    b.end()
    await once(a, "end")
    assert.strictEqual(bytes, 1 + big.length)
    a.destroy()
  })

  it("goes through the stream, where the handle is none of the kernel's", async () => {
    const pair = await overTls()
    const times = throughStream(pair[1])
    await exchange(pair)
    assert.isAbove(times(), 0)
  })

  it("breaks the socket as Node's own does", async () => {
    for (const way of [send, (socket: Net.Socket, [chunk]: ReadonlyArray<Uint8Array>) => socket.write(chunk!)]) {
      const [a, b] = await overTcp()
      await send(b, [new Uint8Array(1)])
      const broken = once(b, "error").catch((error) => [error])
      a.resetAndDestroy()
      await once(a, "close")
      // With reading paused only a write can see it.
      b.pause()
      const trying = () => {
        if (b.destroyed) return
        Promise.resolve(way(b, [new Uint8Array(100_000)])).catch(() => {})
        setImmediate(trying)
      }
      trying()
      const [error] = await broken as [NodeJS.ErrnoException]
      assert.include(["EPIPE", "ECONNRESET"], error.code)
      assert.strictEqual(error.message, `${error.syscall} ${error.code}`)
      assert.isTrue(b.destroyed)
    }
  })
})
