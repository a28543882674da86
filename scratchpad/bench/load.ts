/**
 * The load generator: plain `node:net`, the same for whatever is tested, and as cheap as that allows, since on two
 * cores it is often the bound.
 */
import { createHash } from "node:crypto"
import { once } from "node:events"
import * as Net from "node:net"
import { answer, type Answering, digestOf, hashing, options } from "./child.ts"
import { messages } from "./content.ts"
import { type LoadAnswers, type LoadSettings, socketOptions } from "./messages.ts"

const settings = options<LoadSettings>()
const { bytes, connections, isHashed, kind, window } = settings

const host = "127.0.0.1"
const messageAt = messages(bytes, isHashed)

/** All sockets read into it: each callback is done with it when it returns. */
const input = Buffer.allocUnsafe(bytes < 4096 ? 16_384 : 262_144)

/** As much as a client has in flight; it is not changed, so all of them send it. */
const batch = Buffer.concat(Array.from({ length: window }, () => messages(bytes, false)(0)))

/** How many connections are opened at a time: fewer than may wait to be accepted. */
const openAtOnce = 16

/** False once the work is done: then the process under test may go first. */
let isWorking = true

const timed = (run: (operations: number) => Promise<void>) => async (operations: number): Promise<number> => {
  isWorking = true
  const before = performance.now()
  await run(operations)
  const seconds = (performance.now() - before) / 1000
  isWorking = false
  return seconds
}

const connect = async (
  port: number,
  onBytes: (bytes: Buffer) => void,
  localAddress?: string
): Promise<Net.Socket> => {
  // Room for many writes, so that sending does not wait a turn for each. The types leave this option out.
  const room: object = { writableHighWaterMark: 1_048_576 }
  const socket = Net.connect({
    port,
    host,
    ...room,
    ...socketOptions,
    ...(localAddress !== undefined && { localAddress }),
    onread: {
      buffer: input,
      callback: (length) => {
        onBytes(input.subarray(0, length))
        return true
      }
    }
  })
  socket.on("end", () => {
    if (isWorking && !socket.writableEnded) throw new Error("the process under test ended a connection")
  })
  await once(socket, "connect")
  return socket
}

/** Writes so many messages, and waits for room where the socket asks for it. */
const writeMessages = async (socket: Net.Socket, first: number, count: number, sent: (message: Buffer) => void) => {
  for (let i = first; i < first + count; i++) {
    const message = messageAt(i)
    sent(message)
    if (!socket.write(message)) await once(socket, "drain")
  }
}

/** A client of an echo: it sends messages, and is told how many more have come back. */
class EchoClient {
  readonly sent = hashing(isHashed)
  readonly received = hashing(isHashed)
  onReplies: (count: number) => void = () => {}
  #socket: Net.Socket | undefined
  #rest = 0
  #index = 0

  async open(port: number, localAddress?: string): Promise<void> {
    this.#socket = await connect(port, (chunk) => this.#take(chunk), localAddress)
    // Until then it may still wait to be accepted.
    const replied = new Promise<void>((resolve) => this.onReplies = () => resolve())
    this.send(1)
    await replied
  }

  send(count: number): void {
    this.#socket!.write(isHashed ? this.#numbered(count) : count === window ? batch : batch.subarray(0, count * bytes))
  }

  async close(): Promise<void> {
    const socket = this.#socket!
    socket.end()
    await once(socket, "close")
  }

  #numbered(count: number): Buffer {
    const numbered = Buffer.concat(Array.from({ length: count }, () => messageAt(this.#index++)))
    this.sent!.update(numbered)
    return numbered
  }

  #take(chunk: Buffer): void {
    this.received?.update(chunk)
    this.#rest += chunk.length
    if (this.#rest < bytes) return
    const count = Math.floor(this.#rest / bytes)
    this.#rest -= count * bytes
    this.onReplies(count)
  }
}

/** One digest of many connections, each in its own order. */
const digestOfAll = (clients: ReadonlyArray<EchoClient>) => {
  if (!isHashed) return { sent: "", received: "" }
  const all = { sent: createHash("sha256"), received: createHash("sha256") }
  for (const { received, sent } of clients) {
    const digest = digestOf({ received, sent })
    all.sent.update(digest.sent)
    all.received.update(digest.received)
  }
  return digestOf(all)
}

/** Runs `task` for each number below `count`, so many at a time. */
const inTurns = async (count: number, atOnce: number, task: (index: number) => Promise<void>): Promise<void> => {
  let next = 0
  const work = async () => {
    while (next < count) await task(next++)
  }
  await Promise.all(Array.from({ length: Math.min(count, atOnce) }, work))
}

const echo = (): Answering<LoadAnswers> => {
  const clients = Array.from({ length: connections }, () => new EchoClient())
  return {
    start: () => 0,
    open: (port) => inTurns(connections, openAtOnce, (i) => clients[i]!.open(port)),
    run: timed((operations) =>
      new Promise((resolve) => {
        let issued = 0
        let completed = 0
        const sendUpTo = (client: EchoClient, most: number) => {
          const count = Math.min(most, operations - issued)
          if (count === 0) return
          issued += count
          client.send(count)
        }
        for (const client of clients) {
          client.onReplies = (count) => {
            completed += count
            if (completed === operations) resolve()
            else sendUpTo(client, count)
          }
        }
        for (const client of clients) sendUpTo(client, window)
      })
    ),
    digest: () => digestOfAll(clients)
  }
}

const hold = (): Answering<LoadAnswers> => {
  const clients: Array<EchoClient> = []
  let port = 0
  return {
    start: () => 0,
    open: (given) => void (port = given),
    run: timed((operations) =>
      inTurns(operations, openAtOnce, () => {
        const client = new EchoClient()
        clients.push(client)
        return client.open(port)
      })
    ),
    digest: () => digestOfAll(clients)
  }
}

// A closed connection keeps its address and port for a minute, on the side that closed first: this one.
const addresses = 64

const connectAndClose = (): Answering<LoadAnswers> => {
  const clients: Array<EchoClient> = []
  let port = 0
  return {
    start: () => 0,
    open: (given) => void (port = given),
    run: timed((operations) =>
      inTurns(operations, window, async (i) => {
        const client = new EchoClient()
        if (isHashed) clients.push(client)
        await client.open(port, `127.0.0.${2 + i % addresses}`)
        await client.close()
      })
    ),
    digest: () => digestOfAll(clients)
  }
}

const send = (): Answering<LoadAnswers> => {
  const sent = hashing(isHashed)
  let socket: Net.Socket
  let index = 0
  let acks = 0
  let onAck = () => {}
  return {
    start: () => 0,
    open: async (port) => {
      socket = await connect(port, (chunk) => {
        acks += chunk.length
        onAck()
      })
    },
    run: timed(async (operations) => {
      const wanted = acks + operations * bytes / settings.ackBytes
      const acknowledged = new Promise<void>((resolve) =>
        onAck = () => {
          if (acks === wanted) resolve()
        }
      )
      await writeMessages(socket, index, operations, (message) => sent?.update(message))
      index += operations
      await acknowledged
    }),
    digest: () => digestOf({ sent })
  }
}

const receive = (): Answering<LoadAnswers> => {
  const received = hashing(isHashed)
  let socket: Net.Socket
  let missing = 0
  let onAll = () => {}
  return {
    start: () => 0,
    open: async (port) => {
      socket = await connect(port, (chunk) => {
        received?.update(chunk)
        missing -= chunk.length
        if (missing === 0) onAll()
      })
    },
    run: timed((operations) =>
      new Promise((resolve) => {
        missing = operations * bytes
        onAll = resolve
        const request = Buffer.alloc(4)
        request.writeUInt32BE(operations)
        socket.write(request)
      })
    ),
    digest: () => digestOf({ received })
  }
}

const relay = (): Answering<LoadAnswers> => {
  const sent = hashing(isHashed)
  const received = hashing(isHashed)
  let socket: Net.Socket
  let index = 0
  let missing = 0
  let onAll = () => {}
  const server = Net.createServer(socketOptions, (arrived) => {
    arrived.on("data", (chunk) => {
      received?.update(chunk)
      missing -= chunk.length
      if (missing === 0) onAll()
    })
  })
  return {
    start: async () => {
      await once(server.listen(0, host), "listening")
      return (server.address() as Net.AddressInfo).port
    },
    open: async (port) => {
      socket = await connect(port, () => {})
    },
    run: timed(async (operations) => {
      missing += operations * bytes
      const arrived = new Promise<void>((resolve) => onAll = resolve)
      await writeMessages(socket, index, operations, (message) => sent?.update(message))
      index += operations
      await arrived
    }),
    digest: () => digestOf({ sent, received })
  }
}

const kinds: { readonly [Kind in Exclude<LoadSettings["kind"], "alone">]: () => Answering<LoadAnswers> } = {
  echo,
  hold,
  connect: connectAndClose,
  send,
  receive,
  relay
}

if (kind === "alone") throw new Error("a process that works alone has no load")
answer<LoadAnswers>(kinds[kind]())
