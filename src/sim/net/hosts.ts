/**
 * The hosts of a world and what lies between them: names and addresses, ports and paths, who listens, and the making of
 * connections.
 */
import type { Engine } from "../engine/engine.ts"
import { Lane, type Owner } from "../engine/lanes.ts"
import { Direction } from "./direction.ts"
import { Path } from "./path.ts"
import type { LinkSettings } from "./settings.ts"
import { NativeError, Socket } from "./socket.ts"
import { ownTls, type TlsSettings } from "./tls.ts"

/** Where a host can be listened on: a port, or a path. */
export type Place =
  | { readonly _tag: "tcp"; readonly port: number }
  | { readonly _tag: "unix"; readonly path: string; readonly abstract: boolean }

/** What takes the connections of one place. */
export interface Acceptor {
  /** False where there is no room: the connection is reset. */
  readonly offer: (socket: Socket) => boolean
  readonly remove: (socket: Socket) => void
}

/** A connection, with both of its ends. */
export interface Connection {
  /** Counted from 0 in this world. */
  readonly id: number
  readonly client: Socket
  readonly server: Socket
  readonly place: string
  readonly clientPort: number
}

/** What a path of a host leads to, beside sockets. */
export interface HostFile {
  readonly _tag: "fifo" | "serial"
  /** The programs that had it open are gone. */
  readonly abandon: () => void
}

/** Ports that are given out, as Linux does it. */
const ephemeralFirst = 32_768
const ephemeralLast = 60_999

/** An open to where nobody answers is given up after so long: Linux sends seven, the last waits 64 s. */
const connectTimeoutNs = 127e9

export class Host {
  readonly name: string
  readonly address: string
  /** Whose tasks its programs are; another one after a restart. */
  owner: Owner
  isOff = false
  readonly sockets = new Set<Socket>()
  readonly listening = new Map<string, Acceptor>()
  /** Paths of sockets that nobody listens on any more. */
  readonly stale = new Set<string>()
  readonly usedPorts = new Set<number>()
  /** Named pipes and serial devices, by path. */
  readonly files = new Map<string, HostFile>()
  /** Paths that its programs may not open, each with how often that was said. */
  readonly denied = new Map<string, number>()
  readonly tls: TlsSettings
  #nextPort = ephemeralFirst

  constructor(name: string, address: string, owner: Owner) {
    this.name = name
    this.address = address
    this.owner = owner
    this.tls = ownTls([name, address, "localhost", "127.0.0.1", "::1"])
  }

  /** A free port, or nothing when all are taken. */
  takePort(): number | undefined {
    for (let tried = ephemeralFirst; tried <= ephemeralLast; tried++) {
      const port = this.#nextPort
      this.#nextPort = port === ephemeralLast ? ephemeralFirst : port + 1
      if (this.usedPorts.has(port) || this.listening.has(`tcp:${port}`)) continue
      this.usedPorts.add(port)
      return port
    }
    return undefined
  }
}

export class Hosts {
  readonly engine: Engine
  /** What happens on the way runs whatever becomes of hosts. */
  readonly owner: Owner = { state: "running", parked: [] }
  readonly byName = new Map<string, Host>()
  readonly byAddress = new Map<string, Host>()
  readonly connections: Array<Connection> = []
  readonly #paths = new Map<string, Path>()
  readonly #defaults: { readonly between: LinkSettings; readonly within: LinkSettings }
  readonly #settings = new Map<string, LinkSettings>()
  readonly onConnection: Array<(connection: Connection) => void> = []

  constructor(engine: Engine, defaults: { readonly between: LinkSettings; readonly within: LinkSettings }) {
    this.engine = engine
    this.#defaults = defaults
  }

  add(name: string, owner: Owner): Host {
    const count = this.byName.size + 1
    const host = new Host(name, `10.0.${count >> 8}.${count & 255}`, owner)
    this.byName.set(name, host)
    this.byAddress.set(host.address, host)
    return host
  }

  /** From one host to another. */
  path(from: Host, to: Host): Path {
    const name = `${from.name}>${to.name}`
    let path = this.#paths.get(name)
    if (path === undefined) {
      const { between, within } = this.#defaults
      path = new Path(this.engine, this.owner, name, this.#settings.get(name) ?? (from === to ? within : between))
      this.#paths.set(name, path)
    }
    return path
  }

  get paths(): Iterable<Path> {
    return this.#paths.values()
  }

  setLink(from: Host, to: Host, settings: LinkSettings): void {
    this.path(from, to).settings = settings
  }

  /** The host of a name or an address, as seen from one of them; nothing for a name that is unknown. */
  find(from: Host, name: string): { readonly host: Host | undefined } | undefined {
    if (isOwn(name)) return { host: from }
    const host = this.byName.get(name) ?? this.byAddress.get(name)
    // An address that nobody has leads nowhere.
    return host !== undefined || isAddress(name) ? { host } : undefined
  }

  /**
   * Connects. `done` or `failed` is called once, later, in a task of the owner's; what it answers gives the attempt up.
   */
  connect(
    from: Host,
    to: Host | undefined,
    place: Place,
    answer: {
      readonly done: (connection: Connection) => void
      readonly failed: (error: NativeError) => void
    }
  ): () => void {
    const { engine } = this
    const { owner } = from
    const where = keyOf(place)
    const lane = new Lane(owner)
    let isOver = false
    const once = (run: () => void) => {
      if (isOver) return
      isOver = true
      engine.cancel(timeout)
      run()
    }
    const fail = (code: string, message: string) => {
      engine.recording.add("refuse", from.name, { note: `${where} ${code}` })
      once(() => engine.post(lane, () => answer.failed(new NativeError(code, message))))
    }
    const timeout = engine.at(engine.nowNs + connectTimeoutNs, owner, () => fail("ETIMEDOUT", "nobody answers"), lane)
    const clientPort = place._tag === "tcp" ? from.takePort() : 0
    engine.recording.add("connect", from.name, { note: `${where} on ${to?.name ?? "nobody"}` })
    if (clientPort === undefined) {
      fail("EADDRNOTAVAIL", "no port is free")
      return () => {}
    }
    const giveUp = () => {
      from.usedPorts.delete(clientPort)
    }
    if (to === undefined) return () => once(giveUp)
    const forth = this.path(from, to)
    const back = this.path(to, from)
    const carried = { lane: new Lane(this.owner), arrivesNs: 0 }
    forth.carry(0, carried, () => {
      if (to.isOff) return
      const acceptor = to.listening.get(where)
      if (acceptor === undefined) {
        back.carry(0, carried, () => {
          giveUp()
          fail("ECONNREFUSED", "nobody listens there")
        })
        return
      }
      const connection = this.#join(from, to, where, clientPort)
      back.carry(0, carried, () => {
        if (from.isOff) return
        if (isOver) {
          connection.client.abandon()
          return
        }
        connection.client.out.carry(0, () => {
          if (to.isOff || connection.server.isClosed) return
          engine.recording.add("accept", to.name, { connection: connection.id, note: where })
          if (!acceptor.offer(connection.server)) connection.server.reset()
        })
        once(() => {
          connection.client.isGiven = true
          answer.done(connection)
        })
      })
    })
    return () => once(giveUp)
  }

  #join(from: Host, to: Host, place: string, clientPort: number): Connection {
    const { engine } = this
    const id = this.connections.length
    const client = new Socket(engine, from, from.owner)
    const server = new Socket(engine, to, to.owner)
    client.hasReset = server.hasReset = place.startsWith("tcp:")
    const shared = { engine, network: this.owner, connection: id }
    const forth = this.path(from, to)
    const back = this.path(to, from)
    client.out = server.input = new Direction({
      ...shared,
      name: "c>s",
      sender: client,
      receiver: server,
      path: forth,
      back
    })
    server.out = client.input = new Direction({
      ...shared,
      name: "s>c",
      sender: server,
      receiver: client,
      path: back,
      back: forth
    })
    const connection: Connection = { id, client, server, place, clientPort }
    this.connections.push(connection)
    from.sockets.add(client)
    to.sockets.add(server)
    client.onGone = () => {
      from.sockets.delete(client)
      from.usedPorts.delete(clientPort)
    }
    server.onGone = () => to.sockets.delete(server)
    for (const told of this.onConnection) told(connection)
    return connection
  }

  /** The error where it cannot be listened on; else what stops it. */
  listen(host: Host, place: Place, acceptor: Acceptor): NativeError | (() => void) {
    const where = keyOf(place)
    if (host.listening.has(where)) return new NativeError("EADDRINUSE", "somebody listens there")
    host.stale.delete(where)
    host.listening.set(where, acceptor)
    this.engine.recording.add("listen", host.name, { note: where })
    return () => host.listening.delete(where)
  }

  /** What becomes of a host's connections and places when its program dies. */
  abandon(host: Host): void {
    this.#leaveFiles(host)
    for (const socket of Array.from(host.sockets)) socket.abandon()
  }

  /** The same, when its power is cut: nobody hears of it. */
  silence(host: Host): void {
    host.isOff = true
    this.#leaveFiles(host)
    for (const socket of Array.from(host.sockets)) socket.silence()
  }

  /** What is in the file system stays there. */
  #leaveFiles(host: Host): void {
    for (const where of host.listening.keys()) if (where.startsWith("unix:/")) host.stale.add(where)
    host.listening.clear()
    for (const file of host.files.values()) file.abandon()
  }
}

/** How a place is called among those of its host. */
export const keyOf = (place: Place): string =>
  place._tag === "tcp" ? `tcp:${place.port}` : `unix:${place.abstract ? "@" : "/"}${place.path}`

const isOwn = (name: string): boolean =>
  name === "localhost" || name.startsWith("127.") || name === "0.0.0.0" || name === "::1" || name === "::"

const isAddress = (name: string): boolean => name.includes(":") || /^\d+\.\d+\.\d+\.\d+$/.test(name)
