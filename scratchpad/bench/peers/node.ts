/**
 * Plain `node:net`, the way its documentation shows: a `data` handler, `write` with `pause` until `drain`, and
 * `stream.pipeline` for the relay.
 */
import { once } from "node:events"
import * as Net from "node:net"
import * as Readline from "node:readline"
import { pipeline } from "node:stream"
import { answer, digestOf, hashing, options, ownUsage } from "../child.ts"
import { messages } from "../content.ts"
import { backlog, socketOptions, type SubjectAnswers, type SubjectOptions } from "../messages.ts"
import { ack, tally } from "./tally.ts"

const { ackBytes, bytes, isHashed, isHeapAlike, service, target } = options<SubjectOptions>()

const host = "127.0.0.1"
const sent = hashing(isHashed)
const received = hashing(isHashed)

type Service = (socket: Net.Socket) => void

const echo: Service = (socket) => {
  socket.on("data", (chunk) => {
    if (!socket.write(chunk)) socket.pause()
  })
  socket.on("drain", () => socket.resume())
  socket.on("end", () => socket.end())
}

const sink: Service = (socket) => {
  const take = tally(ackBytes, received)
  socket.on("data", (chunk: Buffer) => {
    const acks = take(chunk)
    if (acks > 0) socket.write(ack(acks))
  })
  socket.on("end", () => socket.end())
}

const source: Service = (socket) => {
  const messageAt = messages(bytes, isHashed)
  let index = 0
  let missing = 0
  const write = () => {
    while (missing > 0) {
      missing--
      const message = messageAt(index++)
      sent?.update(message)
      if (!socket.write(message)) return
    }
  }
  socket.on("data", (request: Buffer) => {
    missing = request.readUInt32BE()
    write()
  })
  socket.on("drain", write)
  socket.on("end", () => socket.end())
}

/** Answers each line with itself. */
const lines = (answerAll: (socket: Net.Socket, lines: ReadonlyArray<string>) => boolean): Service => (socket) => {
  let rest = ""
  socket.setEncoding("utf8")
  socket.on("data", (text: string) => {
    const found = (rest + text).split("\n")
    rest = found.pop()!
    if (!answerAll(socket, found)) socket.pause()
  })
  socket.on("drain", () => socket.resume())
  socket.on("end", () => socket.end())
}

const writeEach = (socket: Net.Socket, lines: ReadonlyArray<string>): boolean => {
  let hasRoom = true
  for (const line of lines) hasRoom = socket.write(`${line}\n`)
  return hasRoom
}

const writeCorked = (socket: Net.Socket, lines: ReadonlyArray<string>): boolean => {
  socket.cork()
  const hasRoom = writeEach(socket, lines)
  socket.uncork()
  return hasRoom
}

/** As the documentation of `readline` shows, over a socket. */
const linesByReadline: Service = (socket) => {
  const lines = Readline.createInterface({ input: socket })
  lines.on("line", (line) => socket.write(`${line}\n`))
  lines.on("close", () => socket.end())
}

const relay: Service = (socket) => {
  const onward = Net.connect({ port: target, host, ...socketOptions })
  const done = (error: Error | null | undefined) => {
    if (error != null) throw error
  }
  pipeline(socket, onward, done)
  pipeline(onward, socket, done)
}

const services: Readonly<Record<string, Service>> = {
  echo,
  sink,
  source,
  "lines/write": lines(writeEach),
  "lines/cork": lines(writeCorked),
  "lines/readline": linesByReadline,
  relay
}

const server = Net.createServer(socketOptions, services[service]!)

answer<SubjectAnswers>({
  ...ownUsage,
  start: async () => {
    if (isHeapAlike) await Promise.all([import("effect"), import("effect-transport"), import("effect-transport/node")])
    await once(server.listen({ host, port: 0, backlog }), "listening")
    return (server.address() as Net.AddressInfo).port
  },
  digest: () => digestOf({ sent, received })
})
