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
import { TlsSettings } from "./tls.ts"

/** Where a host can be listened on: a port, or a path. */
export type Place =
  | { readonly _tag: "tcp"; readonly port: number }
  | { readonly _tag: "unix"; readonly path: string; readonly abstract: boolean }

/** What takes the connections of one place. */
export interface Acceptor {
  /** False where there is no room: the connection is reset. */
  readonly offer: (socket: Socket) => boolean
  readonly remove: (socket: Socket) => void
  /** One could not be accepted, and waits on. */
  readonly failed: (error: NativeError) => void
}

/** What can go wrong while a connection opens. */
export interface Troubles {
  refused: {}
  blackhole: {}
  slowConnect: { readonly byNs: number }
  resetAfterAccept: {}
  acceptStall: { readonly forNs: number }
  acceptFails: { readonly forNs: number }
  backlogFull: { readonly forNs: number }
  noPorts: {}
  noDescriptors: {}
  noName: {}
  slowName: { readonly byNs: number }
  rotatedName: { readonly first: string }
}

/** Every address of a name failed. */
export class AttemptsFailed extends NativeError {
  readonly attempts: ReadonlyArray<NativeError>

  constructor(attempts: ReadonlyArray<NativeError>) {
    super(attempts[0]!.code, "every address failed")
    this.attempts = attempts
  }
}

/** A connection, with both of its ends. */
export interface Connection {
  /** In the order of opening in this world, from 0, also of those that never came to be; other attempts of one opening
   * count from 1 000 000. */
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

/** What becomes of an attempt to connect. */
interface Answer {
  readonly done: (connection: Connection) => void
  readonly failed: (error: NativeError) => void
}

/** Ports that are given out, as Linux does it. */
const ephemeralFirst = 32_768
const ephemeralLast = 60_999

/** A SYN that nobody answered is sent again after so many seconds in all, as Linux does it. */
const synRetriesS = [1, 3, 7, 15, 31, 63]

/** The head start of an address over the next (RFC 8305). */
const attemptDelayNs = 250e6

/** What a connection is numbered beyond, where another attempt of its opening has the number. */
const otherAttempts = 1_000_000

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
  /** Paths that its programs may not open, each with how often that was said. */
  readonly denied = new Map<string, number>()
  readonly #files = new Map<string, HostFile>()
  /** Paths that are there, or were asked for. */
  readonly #met = new Set<string>()
  /** What waits for a path to be met, for a file to be made, or for nobody to listen at a place. */
  readonly #awaiting = new Map<string, Array<() => void>>()
  readonly tls: TlsSettings
  /** How often its programs have listened. */
  listens = 0
  #nextPort = ephemeralFirst

  constructor(name: string, address: string, owner: Owner) {
    this.name = name
    this.address = address
    this.owner = owner
    this.tls = new TlsSettings([name, address, "localhost", "127.0.0.1", "::1"])
  }

  /** Named pipes and serial devices, by path. */
  get files(): ReadonlyMap<string, HostFile> {
    return this.#files
  }

  addFile(path: string, file: HostFile): void {
    this.#files.set(path, file)
    this.meet(path)
    this.#run(`file ${path}`)
  }

  /** Something is made at a path, or a program asks for a socket there. */
  meet(path: string): void {
    if (this.#met.has(path)) return
    this.#met.add(path)
    this.#run(`met ${path}`)
  }

  /** Runs as soon as a path is met. */
  whenMet(path: string, run: () => void): void {
    if (this.#met.has(path)) run()
    else this.#await(`met ${path}`, run)
  }

  /** Runs as soon as there is a pipe or a device at a path. */
  whenFile(path: string, run: (file: HostFile) => void): void {
    const file = this.#files.get(path)
    if (file !== undefined) run(file)
    else this.#await(`file ${path}`, () => run(this.#files.get(path)!))
  }

  /** Runs as soon as nobody listens on a path. */
  whenFree(path: string, run: () => void): void {
    const where = keyOf({ _tag: "unix", path, abstract: false })
    if (this.listening.has(where)) this.#await(`free ${where}`, run)
    else run()
  }

  /** Leaves the file of a socket that nobody listens on. */
  leaveSocket(path: string): void {
    this.stale.add(keyOf({ _tag: "unix", path, abstract: false }))
    this.meet(path)
  }

  /** Its programs may not open it, until what this answers is called, once. */
  deny(path: string): () => void {
    this.denied.set(path, (this.denied.get(path) ?? 0) + 1)
    return () => {
      const left = this.denied.get(path)! - 1
      if (left === 0) this.denied.delete(path)
      else this.denied.set(path, left)
    }
  }

  /** Nobody listens there any more. */
  unlisten(where: string): void {
    if (this.listening.delete(where)) this.#run(`free ${where}`)
  }

  #await(what: string, run: () => void): void {
    const awaiting = this.#awaiting.get(what)
    if (awaiting === undefined) this.#awaiting.set(what, [run])
    else awaiting.push(run)
  }

  #run(what: string): void {
    const awaiting = this.#awaiting.get(what)
    if (awaiting === undefined) return
    this.#awaiting.delete(what)
    for (const run of awaiting) run()
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
  /** By number, in the order in which they came to be. */
  readonly connections = new Map<number, Connection>()
  readonly #paths = new Map<string, Path>()
  readonly #defaults: { readonly between: LinkSettings; readonly within: LinkSettings }
  readonly onConnection: Array<(connection: Connection) => void> = []
  /** What goes wrong with an opening: it counts as met when it is asked for. */
  trouble: <K extends keyof Troubles>(connection: number, kind: K) => Troubles[K] | undefined = () => undefined
  /** Whether this listening, counted from 0 on its host, finds the address taken. */
  isAddressTaken: (host: string, listen: number) => boolean = () => false
  #opened = 0

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
      path = new Path(this.engine, this.owner, name, from === to ? within : between)
      this.#paths.set(name, path)
    }
    return path
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
   * Connects to a host, or to whatever a name leads to. `done` or `failed` is called once, later, in a task of the owner's;
   * what it answers gives the attempt up.
   */
  connect(from: Host, target: Host | string, place: Place, answer: Answer): () => void {
    const { engine } = this
    const { owner } = from
    const id = this.#opened++
    const where = keyOf(place)
    const lane = new Lane(owner)
    const begun: Array<() => void> = []
    const failures: Array<NativeError> = []
    let isOver = false
    const over = (run: () => void) => {
      if (isOver) return
      isOver = true
      engine.cancel(timeout)
      for (const giveUp of begun) giveUp()
      run()
    }
    const failed = (error: NativeError) =>
      over(() => {
        engine.recording.add("refuse", from.name, { connection: id, note: `${where} ${error.code}` })
        engine.post(lane, () => answer.failed(error))
      })
    const timeout = engine.at(
      engine.nowNs + connectTimeoutNs,
      owner,
      () => failed(new NativeError("ETIMEDOUT", "nobody answers")),
      lane
    )
    const attempt = (to: Host | undefined, onFailed: () => void) => {
      if (isOver) return
      begun.push(this.#attempt(from, to, place, id, {
        done: (connection) => {
          if (isOver) connection.client.abandon()
          else over(() => answer.done(connection))
        },
        failed: (error) => {
          failures.push(error)
          onFailed()
        }
      }))
    }
    const dial = (addresses: ReadonlyArray<Host | undefined>, index = 0) => {
      const isLast = index === addresses.length - 1
      let isNextBegun = isLast
      const next = () => {
        if (isNextBegun || isOver) return
        isNextBegun = true
        dial(addresses, index + 1)
      }
      if (!isLast) engine.at(engine.nowNs + attemptDelayNs, owner, next, lane)
      attempt(addresses[index], () => {
        if (failures.length === addresses.length) {
          failed(failures.length === 1 ? failures[0]! : new AttemptsFailed(failures))
        } else next()
      })
    }
    const note = `${where} on ${typeof target === "string" ? target : target.name}`
    engine.recording.add("connect", from.name, { connection: id, note })
    if (typeof target === "string") this.#lookUp(from, target, id, lane, { found: dial, failed })
    else dial([target])
    return () => over(() => {})
  }

  #lookUp(
    from: Host,
    name: string,
    id: number,
    lane: Lane,
    answer: {
      readonly found: (addresses: ReadonlyArray<Host | undefined>) => void
      readonly failed: (error: NativeError) => void
    }
  ): void {
    const found = () => {
      const target = this.trouble(id, "noName") === undefined ? this.find(from, name) : undefined
      if (target === undefined) {
        answer.failed(new NativeError("ENOTFOUND", `${name} has no address`))
        return
      }
      const rotated = this.trouble(id, "rotatedName")
      answer.found(
        rotated === undefined ? [target.host] : [this.find(from, rotated.first)?.host, target.host]
      )
    }
    const slow = this.trouble(id, "slowName")
    if (slow === undefined) found()
    else this.engine.at(this.engine.nowNs + slow.byNs, from.owner, found, lane)
  }

  /** Tries one address. What it answers gives it up. */
  #attempt(from: Host, to: Host | undefined, place: Place, id: number, answer: Answer): () => void {
    const { engine } = this
    // Who opens: its host may end and be another's before an answer comes.
    const { owner } = from
    const where = keyOf(place)
    if (this.trouble(id, "noDescriptors") !== undefined) {
      answer.failed(new NativeError("EMFILE", "no descriptor is free"))
      return () => {}
    }
    const clientPort = place._tag !== "tcp"
      ? 0
      : this.trouble(id, "noPorts") === undefined
      ? from.takePort()
      : undefined
    if (clientPort === undefined) {
      answer.failed(new NativeError("EADDRNOTAVAIL", "no port is free"))
      return () => {}
    }
    const freePort = () => void from.usedPorts.delete(clientPort)
    if (to === undefined) return freePort
    const forth = this.path(from, to)
    const back = this.path(to, from)
    const carried = { lane: new Lane(this.owner), arrivesNs: 0 }
    let isJoined = false
    const arrived = () => {
      if (to.isOff || this.trouble(id, "blackhole") !== undefined) return
      // Its system answers what it has no socket for with a reset: nobody hears of that.
      if (owner.state === "gone") return freePort()
      const acceptor = this.trouble(id, "refused") === undefined ? to.listening.get(where) : undefined
      if (acceptor === undefined) {
        back.carry(0, carried, () => {
          freePort()
          answer.failed(new NativeError("ECONNREFUSED", "nobody listens there"))
        })
        return
      }
      const connection = this.#join(from, owner, to, where, clientPort, id)
      isJoined = true
      back.carry(0, carried, () => {
        if (owner.state === "gone") {
          connection.client.silence()
          connection.server.silence()
          return
        }
        connection.client.out.carry(() => this.#offer(connection, acceptor))
        connection.client.isGiven = true
        answer.done(connection)
      })
    }
    const send = () => {
      if (owner.state !== "gone") forth.carry(0, carried, arrived)
    }
    const slow = this.trouble(id, "slowConnect")
    const full = this.trouble(id, "backlogFull")
    const retryS = full === undefined ? 0 : synRetriesS.find((s) => s * 1e9 >= full.forNs) ?? Infinity
    const lateNs = (slow?.byNs ?? 0) + retryS * 1e9
    if (lateNs === 0) send()
    else if (lateNs < Infinity) engine.at(engine.nowNs + lateNs, this.owner, send, carried.lane)
    // One that came to be frees its port when it goes.
    return () => {
      if (!isJoined) freePort()
    }
  }

  /** It stands, and waits to be accepted. */
  #offer(connection: Connection, acceptor: Acceptor): void {
    const { client, id, place, server } = connection
    const { engine } = this
    const offer = () => {
      if (server.isDeaf || server.isClosed) return
      engine.recording.add("accept", server.host.name, { connection: id, note: place })
      if (!acceptor.offer(server)) server.reset()
      if (this.trouble(id, "resetAfterAccept") === undefined) return
      client.out.reset()
      server.out.reset()
    }
    const fails = this.trouble(id, "acceptFails")
    if (fails !== undefined) acceptor.failed(new NativeError("EMFILE", "no descriptor is free"))
    const lateNs = (this.trouble(id, "acceptStall")?.forNs ?? 0) + (fails?.forNs ?? 0)
    if (lateNs === 0) offer()
    else engine.at(engine.nowNs + lateNs, this.owner, offer)
  }

  #join(from: Host, owner: Owner, to: Host, place: string, clientPort: number, opening: number): Connection {
    const { engine } = this
    const id = this.connections.has(opening) ? otherAttempts + opening : opening
    const client = new Socket(engine, from, owner)
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
    this.connections.set(id, connection)
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
    if (this.isAddressTaken(host.name, host.listens++) || host.listening.has(where)) {
      return new NativeError("EADDRINUSE", "somebody listens there")
    }
    host.stale.delete(where)
    host.listening.set(where, acceptor)
    this.engine.recording.add("listen", host.name, { note: where })
    return () => host.unlisten(where)
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
    for (const where of Array.from(host.listening.keys())) host.unlisten(where)
    for (const file of host.files.values()) file.abandon()
  }
}

/** How a place is called among those of its host. */
export const keyOf = (place: Place): string =>
  place._tag === "tcp" ? `tcp:${place.port}` : `unix:${place.abstract ? "@" : "/"}${place.path}`

const isOwn = (name: string): boolean =>
  name === "localhost" || name.startsWith("127.") || name === "0.0.0.0" || name === "::1" || name === "::"

const isAddress = (name: string): boolean => name.includes(":") || /^\d+\.\d+\.\d+\.\d+$/.test(name)
