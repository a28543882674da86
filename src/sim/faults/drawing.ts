/**
 * Faults that a seed decides. Each fault of a plan has a stream of its own, so that another bound on their number, or one
 * that is taken away, leaves the others as they were.
 */
import { Prng } from "../engine/prng.ts"
import type * as Fault from "../Fault.ts"

/** What there is to choose from. */
export interface Ground {
  readonly kinds: ReadonlyArray<Fault.Kind>
  readonly max: number
  readonly connections: number
  readonly bytes: number
  readonly hosts: ReadonlyArray<string>
  readonly tlsHosts: ReadonlyArray<string>
  readonly sockets: ReadonlyArray<Fault.OfHost>
  readonly fifos: ReadonlyArray<Fault.OfHost>
  readonly devices: ReadonlyArray<Fault.OfHost>
  readonly durationNs: number
}

export const draw = (ground: Ground, seed: number): Fault.Plan => {
  const count = Prng.of(seed, "plan").below(ground.max + 1)
  return Array.from({ length: count }, (_, i) => {
    const from = new Draw(ground, Prng.of(seed, `plan:${i}`))
    const kind = from.of(ground.kinds)
    return { ...draws[kind](from), _tag: kind, optional: true } as Fault.Fault
  })
}

class Draw {
  readonly #ground: Ground
  readonly #prng: Prng

  constructor(ground: Ground, prng: Prng) {
    this.#ground = ground
    this.#prng = prng
  }

  of<A>(all: ReadonlyArray<A>): A {
    return all[this.#prng.below(all.length)]!
  }

  /** Up to the bound, small ones more often: each order of magnitude is as likely. */
  upTo(bound: number): number {
    return Math.floor(this.#prng.fraction() * bound / 2 ** this.#prng.below(12))
  }

  get ns(): number {
    return this.upTo(this.#ground.durationNs)
  }

  /** Times are spread evenly. */
  get when() {
    return { _tag: "at", ns: Math.floor(this.#prng.fraction() * this.#ground.durationNs) } as const
  }

  get isSo(): boolean {
    return this.#prng.chance(0.5)
  }

  get opening() {
    return { connection: this.#prng.below(this.#ground.connections) }
  }

  get way() {
    return { ...this.opening, direction: this.of(["c>s", "s>c"] as const) }
  }

  get place() {
    return { ...this.way, at: this.upTo(this.#ground.bytes) }
  }

  /** A place that is not the first. */
  get cut() {
    return { ...this.way, at: 1 + this.upTo(this.#ground.bytes) }
  }

  get bytes(): number {
    return 1 + this.upTo(this.#ground.bytes)
  }

  get host(): string {
    return this.of(this.#ground.hosts)
  }

  get hosts(): ReadonlyArray<string> {
    return this.#ground.hosts
  }

  get onHost() {
    return { host: this.host, when: this.when }
  }

  get tls() {
    return { host: this.of(this.#ground.tlsHosts), when: this.when, forNs: this.ns }
  }

  get socket() {
    return { ...this.of(this.#ground.sockets), when: this.when }
  }

  get fifo() {
    return { ...this.of(this.#ground.fifos), when: this.when }
  }

  get device() {
    return { ...this.of(this.#ground.devices), when: this.when }
  }

  get file() {
    const { devices, fifos, sockets } = this.#ground
    return { ...this.of([...sockets, ...fifos, ...devices]), when: this.when }
  }

  /** Two groups, none of them empty. */
  get groups(): ReadonlyArray<ReadonlyArray<string>> {
    const { hosts } = this
    const first = this.#prng.below(hosts.length)
    const isIn = hosts.map((_, i) => i === first || (i !== (first + 1) % hosts.length && this.isSo))
    return [hosts.filter((_, i) => isIn[i]), hosts.filter((_, i) => !isIn[i])]
  }
}

type Drawn<K extends Fault.Kind> = Omit<Extract<Fault.Fault, { readonly _tag: K }>, "_tag" | "optional">

const disks = ["kept", "lost"] as const

const draws: { readonly [K in Fault.Kind]: (from: Draw) => Drawn<K> } = {
  refused: (from) => from.opening,
  blackhole: (from) => from.opening,
  slowConnect: (from) => ({ ...from.opening, byNs: from.ns }),
  resetAfterAccept: (from) => from.opening,
  acceptStall: (from) => ({ ...from.opening, forNs: from.ns }),
  acceptFails: (from) => ({ ...from.opening, forNs: from.ns }),
  backlogFull: (from) => ({ ...from.opening, forNs: from.ns }),
  addressInUse: (from) => ({ host: from.host, listen: from.upTo(3) }),
  noPorts: (from) => from.opening,
  noDescriptors: (from) => from.opening,
  noName: (from) => from.opening,
  slowName: (from) => ({ ...from.opening, byNs: from.ns }),
  rotatedName: (from) => ({ ...from.opening, first: from.of(["10.255.255.255", ...from.hosts]) }),

  delay: (from) => ({ ...from.place, byNs: from.ns }),
  jitter: (from) => ({ ...from.place, upToNs: from.ns }),
  bandwidth: (from) => ({ ...from.place, bytesPerSecond: 100 * from.bytes }),
  coalesce: (from) => ({ ...from.place, windowNs: from.ns, windows: 1 + from.upTo(8) }),
  stall: (from) => ({ ...from.place, forNs: from.ns, by: from.of(["sender", "receiver"] as const) }),
  clog: (from) => ({ ...from.way, when: from.when, forNs: from.ns }),
  trickle: (from) => ({ ...from.place, bytes: 1 + from.upTo(64), everyNs: from.upTo(100e6) }),
  fragment: (from) => from.cut,
  shortWrite: (from) => ({ ...from.cut, forNs: from.ns }),
  shortRead: (from) => ({ ...from.place, bytesMax: from.bytes }),
  slowReader: (from) => ({ ...from.place, bytesPerSecond: 100 * from.bytes }),
  buffer: (from) => ({ ...from.way, side: from.of(["send", "receive"] as const), bytes: from.bytes }),

  finDelay: (from) => ({ ...from.way, byNs: from.ns }),
  finLost: (from) => from.way,
  cut: (from) => ({ ...from.cut, end: from.of(["fin", "rst"] as const) }),
  reset: (from) => ({ ...from.opening, when: from.when, unread: from.of(disks) }),
  resetMidWrite: (from) => from.cut,
  closeHang: (from) => ({ ...from.way, forNs: from.ns }),
  lateWriteError: (from) => ({ ...from.place, afterNs: from.ns }),
  idleDrop: (from) => ({ ...from.opening, afterNs: from.ns, answer: from.of(["silence", "rst"] as const) }),
  keepaliveExpiry: (from) => ({ ...from.opening, side: from.of(["client", "server"] as const), when: from.when }),

  stop: (from) => from.onHost,
  kill: (from) => from.onHost,
  powerOff: (from) => from.onHost,
  restart: (from) => ({
    ...from.onHost,
    by: from.of(["stop", "kill", "powerOff"] as const),
    downNs: from.ns,
    disk: from.of(disks)
  }),
  pause: (from) => ({ ...from.onHost, forNs: from.ns }),
  clockJump: (from) => ({ ...from.onHost, byNs: from.isSo ? from.ns : -from.ns }),
  clockDrift: (from) => ({ ...from.onHost, ppm: from.upTo(1000) - from.upTo(1000) }),
  slowCpu: (from) => ({ ...from.onHost, forNs: from.ns, stepNs: from.upTo(10e6) }),

  tlsHandshakeStall: (from) => from.tls,
  tlsUntrusted: (from) => from.tls,
  tlsExpired: (from) => from.tls,
  tlsWrongName: (from) => from.tls,
  tlsAlpnMismatch: (from) => from.tls,
  tlsPlaintextPeer: (from) => from.tls,
  tlsMissingCloseNotify: (from) => from.tls,
  tlsAlert: (from) => ({ ...from.tls, records: from.upTo(8) }),

  unixStalePath: (from) => from.socket,
  pathPermissionDenied: (from) => ({ ...from.file, forNs: from.ns }),
  fifoReaderGone: (from) => from.fifo,
  fifoWriterGone: (from) => from.fifo,

  serialGarble: (from) => ({ ...from.device, bytes: from.bytes }),
  serialOverrun: (from) => ({ ...from.device, bytes: from.bytes }),
  serialBreak: (from) => ({ ...from.device, forNs: from.ns }),
  serialGarbage: (from) => ({ ...from.device, forNs: from.ns }),
  serialStall: (from) => ({ ...from.device, forNs: from.ns }),
  serialUnplug: (from) => ({ ...from.device, forNs: from.ns }),
  serialPlug: (from) => from.device,

  partition: (from) => {
    const mode = from.of(["queue", "drop", "slow"] as const)
    return { groups: from.groups, isOneWay: from.isSo, mode, when: from.when, forNs: from.ns, byNs: from.ns }
  },
  flap: (from) => ({ groups: from.groups, when: from.when, times: 1 + from.upTo(8), downNs: from.ns, upNs: from.ns }),
  swizzleClog: (from) => ({ hosts: from.hosts, when: from.when, withinNs: from.ns }),
  heal: (from) => ({ when: from.when })
}
