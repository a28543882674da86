/** What is measured, as data: the loads, who is put under them, and which figures are held against which target. */
import type { LoadOptions } from "./messages.ts"

/** A program under test, in one of its services. */
export interface Variant {
  /** How the report names it. */
  readonly label: string
  readonly program:
    | "ours"
    | "node"
    | "effect"
    | "socat"
    | "decoding"
    | "flow"
    | "sim"
    | "bridges"
    | "children"
    | "standard"
    | "serial"
  readonly service: string
  readonly isHeapAlike?: boolean
  /** Where this variant has a load of its own. */
  readonly load?: Partial<LoadOptions>
  /** Where this variant is much slower than the others of its scenario. */
  readonly operations?: number
}

/**
 * `rate` counts operations, or bytes, per second; `cpu` the user and system time of the process under test for an
 * operation, or a gigabyte; `memory` the resident bytes for a connection.
 */
export type Figure = "rate" | "cpu" | "memory"

/** One line of the report. A ratio above 1 means that ours is better. */
export interface Case {
  readonly ours: string
  readonly theirs: string
  readonly figure: Figure
  /** Without one it is there to be looked at. */
  readonly target?: number | undefined
}

/** One load, all that is put under it in turn, and what is made of it. */
export interface Scenario {
  readonly name: string
  readonly title: string
  /** Programs that a machine may lack. Without them it is left out. */
  readonly needs?: ReadonlyArray<string>
  readonly load: LoadOptions
  /** How many operations are measured; a tenth of it goes before, for warmth. */
  readonly operations: number
  /** What one operation is; with `GB` figures are by bytes. */
  readonly per:
    | "message"
    | "request"
    | "call"
    | "write"
    | "line"
    | "frame"
    | "item"
    | "connection"
    | "step"
    | "world"
    | "sleep"
    | "GB"
  readonly variants: Readonly<Record<string, Variant>>
  readonly cases: ReadonlyArray<Case>
}

const ours = (service: string, label: string): Variant => ({ program: "ours", service, label })
const node = (service: string, label = "node:net"): Variant => ({ program: "node", service, label })
const decoding = (service: string, label: string): Variant => ({ program: "decoding", service, label })

/** Each process decodes by itself, and has what one read of a socket brings. */
const alone = (bytes: number): LoadOptions => ({ kind: "alone", bytes, connections: 0, window: 0, chunkBytes: 65_536 })

/** What passes items from fiber to fiber, in one process. */
const flow = (name: string, title: string, operations: number): Scenario => ({
  name: `flow-${name}`,
  title,
  load: { kind: "alone", bytes: 1, connections: 0, window: 0 },
  operations,
  per: "item",
  variants: {
    consumer: { program: "flow", service: `${name}/ours`, label: "a consumer" },
    queue: { program: "flow", service: `${name}/queue`, label: "Effect's Queue" }
  },
  // At most twice the cost.
  cases: [{ ours: "consumer", theirs: "queue", figure: "rate", target: 0.5 }]
})

/** What others do on top of a bridge of ours and of their own socket, with both ends in one process. */
const bridge = (
  name: string,
  title: string,
  per: Scenario["per"],
  bytes: number,
  labels: { readonly ours: string } & Readonly<Record<string, string>>,
  target: number
): Scenario => ({
  name,
  title,
  load: { kind: "alone", bytes, connections: 0, window: 0 },
  operations: 60_000,
  per,
  variants: Object.fromEntries(
    Object.entries(labels).map(([side, label]) => [side, { program: "bridges", service: `${name}/${side}`, label }])
  ),
  cases: Object.keys(labels).slice(1).map((theirs) => ({ ours: "ours", theirs, figure: "rate" as const, target }))
})

/** Bulk between a program and others that share its core: ours by that scheme, and what Node has for it. */
const piped = (
  name: string,
  title: string,
  program: "children" | "standard",
  scheme: string,
  node: string
): Scenario => {
  const direction = name.slice(name.indexOf("-") + 1)
  return {
    name,
    title,
    load: { kind: "alone", bytes: 65_536, connections: 0, window: 0 },
    operations: 200_000,
    per: "GB",
    variants: {
      [scheme]: { program, service: `${direction}/ours`, label: `${scheme}:` },
      node: { program, service: `${direction}/node`, label: `${node}, same heap` }
    },
    cases: [
      { ours: scheme, theirs: "node", figure: "rate", target: 1 },
      { ours: scheme, theirs: "node", figure: "cpu", target: 1 }
    ]
  }
}

/** What goes through a serial port to a device, or from it, or there and back. */
const serial = (
  name: string,
  title: string,
  service: "echo" | "sink" | "source" | "through",
  { bytes, operations, per, cases }: Pick<Scenario, "operations" | "per"> & {
    readonly bytes: number
    readonly cases: ReadonlyArray<Pick<Case, "figure" | "target">>
  }
): Scenario => ({
  name: `serial-${name}`,
  title,
  needs: ["socat", "python3"],
  load: { kind: "alone", bytes, connections: 0, window: 0 },
  operations,
  per,
  variants: {
    port: { program: "serial", service: `${service}/ours`, label: "serial:" },
    npm: { program: "serial", service: `${service}/theirs`, label: "serialport" },
    bare: { program: "serial", service: `${service}/bare`, label: "read and write" }
  },
  cases: [
    ...cases.map((one) => ({ ours: "port", theirs: "npm", ...one })),
    // What nobody can exceed.
    { ours: "bare", theirs: "npm", figure: "rate" }
  ]
})

const sim = (service: string, label: string): Variant => ({ program: "sim", service, label })

/** What a world does in a second, against a fixed figure. */
const paced = (name: string, title: string, per: Scenario["per"], operations: number, pace: number): Scenario => ({
  name: `sim-${name}`,
  title,
  load: { kind: "alone", bytes: 64, connections: 0, window: 0 },
  operations,
  per,
  variants: {
    world: sim(name, "a world"),
    pace: sim(`pace/${pace}`, `${String(pace).replace(/(?=...$)/, " ").trim()} a second`)
  },
  cases: [{ ours: "world", theirs: "pace", figure: "rate", target: 1 }]
})

/** From what one read brings down to single bytes. */
const chunkSizes = [65_536, 4096, 256, 16, 1]
const frameSizes = [64, 1024, 16_384]

export const scenarios: ReadonlyArray<Scenario> = [
  {
    name: "ping-1",
    title: "64-byte ping-pong, 1 connection",
    load: { kind: "echo", bytes: 64, connections: 1, window: 1 },
    operations: 160_000,
    per: "message",
    variants: {
      pull: ours("echo/pull", "pull loop"),
      forEach: ours("echo/forEach", "forEach"),
      machine: ours("echo/machine", "a machine in the read callback"),
      node: node("echo")
    },
    cases: [
      { ours: "pull", theirs: "node", figure: "rate", target: 0.97 },
      { ours: "forEach", theirs: "node", figure: "rate", target: 0.97 },
      { ours: "machine", theirs: "node", figure: "rate", target: 0.97 }
    ]
  },
  {
    name: "ping-50",
    title: "64-byte ping-pong, 50 connections",
    load: { kind: "echo", bytes: 64, connections: 50, window: 1 },
    operations: 480_000,
    per: "message",
    variants: {
      pull: ours("echo/pull", "pull loop"),
      forEach: ours("echo/forEach", "forEach"),
      machine: ours("echo/machine", "a machine in the read callback"),
      node: node("echo"),
      effect: { program: "effect", service: "echo", label: "Effect's NodeSocketServer" }
    },
    cases: [
      { ours: "pull", theirs: "node", figure: "cpu", target: 0.9 },
      { ours: "forEach", theirs: "node", figure: "cpu", target: 1 },
      { ours: "machine", theirs: "node", figure: "cpu", target: 1.1 },
      { ours: "forEach", theirs: "node", figure: "rate", target: 0.97 },
      { ours: "pull", theirs: "effect", figure: "cpu", target: 1.15 },
      { ours: "forEach", theirs: "effect", figure: "cpu", target: 1.3 }
    ]
  },
  {
    name: "bulk-receive",
    title: "bulk receive",
    load: { kind: "send", bytes: 65_536, connections: 1, window: 1 },
    operations: 48_000,
    per: "GB",
    variants: {
      owned: ours("sink/owned", "chunks that the receiver owns"),
      lent: ours("sink/lent", "a lent buffer"),
      node: { ...node("sink", "node:net, same heap"), isHeapAlike: true }
    },
    cases: [
      { ours: "owned", theirs: "node", figure: "cpu", target: 1.15 },
      { ours: "lent", theirs: "node", figure: "cpu", target: 2 }
    ]
  },
  {
    name: "bulk-send",
    title: "bulk send, 256-KiB writes",
    load: { kind: "receive", bytes: 262_144, connections: 1, window: 1 },
    operations: 40_000,
    per: "GB",
    variants: { write: ours("source", "write"), node: node("source") },
    cases: [{ ours: "write", theirs: "node", figure: "cpu", target: 1 }]
  },
  {
    name: "bulk-echo",
    title: "bulk echo, 1 MiB in flight",
    load: { kind: "echo", bytes: 65_536, connections: 1, window: 16 },
    operations: 16_000,
    per: "GB",
    variants: {
      copy: ours("echo/copy", "copied to itself"),
      forEach: ours("echo/forEach", "forEach"),
      node: node("echo")
    },
    cases: [
      { ours: "copy", theirs: "node", figure: "rate", target: 1 },
      { ours: "forEach", theirs: "node", figure: "rate", target: 1 }
    ]
  },
  {
    name: "writes-100",
    title: "one million 100-byte writes",
    load: { kind: "receive", bytes: 100, connections: 1, window: 1 },
    operations: 1_000_000,
    per: "write",
    variants: {
      "one fiber": ours("source", "one write each"),
      "100 fibers": ours("source/100 fibers", "from 100 fibers at once"),
      node: node("source")
    },
    cases: [
      { ours: "one fiber", theirs: "node", figure: "rate", target: 12 },
      { ours: "100 fibers", theirs: "node", figure: "rate", target: 7 }
    ]
  },
  {
    name: "writes-64k",
    title: "64-KiB writes",
    load: { kind: "receive", bytes: 65_536, connections: 1, window: 1 },
    operations: 128_000,
    per: "write",
    variants: { write: ours("source", "write"), node: node("source") },
    cases: [{ ours: "write", theirs: "node", figure: "rate", target: 1 }]
  },
  {
    name: "lines",
    title: "pipelined lines of 32 bytes, 50 connections, 16 in flight",
    load: { kind: "echo", bytes: 32, connections: 50, window: 16 },
    operations: 1_600_000,
    per: "line",
    variants: {
      frames: ours("lines/frames", "frame by frame"),
      batches: ours("lines/batches", "what came together at once"),
      machine: ours("lines/machine", "a machine"),
      write: node("lines/write", "node:net, socket.write a line"),
      cork: node("lines/cork", "node:net, cork per chunk"),
      readline: node("lines/readline", "readline over node:net")
    },
    cases: [
      { ours: "batches", theirs: "readline", figure: "cpu", target: 2 },
      { ours: "frames", theirs: "readline", figure: "cpu" },
      { ours: "frames", theirs: "write", figure: "cpu", target: 3.5 },
      { ours: "machine", theirs: "write", figure: "cpu", target: 6 },
      { ours: "machine", theirs: "cork", figure: "cpu", target: 1.2 }
    ]
  },
  {
    name: "connect",
    title: "connect, one exchange, close",
    load: { kind: "connect", bytes: 64, connections: 1, window: 16 },
    operations: 20_000,
    per: "connection",
    variants: { forEach: ours("echo/forEach", "forEach"), node: node("echo") },
    cases: [{ ours: "forEach", theirs: "node", figure: "cpu", target: 0.9 }]
  },
  {
    name: "idle",
    title: "5 000 idle connections after one exchange",
    load: { kind: "hold", bytes: 64, connections: 1, window: 1 },
    operations: 5_000,
    per: "connection",
    variants: { forEach: ours("echo/forEach", "forEach"), node: node("echo") },
    cases: [{ ours: "forEach", theirs: "node", figure: "memory", target: 0.8 }]
  },
  {
    name: "many",
    title: "a message at 1 000 connections against one at 10",
    load: { kind: "echo", bytes: 64, connections: 1_000, window: 1 },
    // Enough that the making of the connections is forgotten: their memory has grown old.
    operations: 600_000,
    per: "message",
    variants: {
      "1000": ours("echo/forEach", "forEach at 1 000"),
      "10": { ...ours("echo/forEach", "ours at 10"), load: { connections: 10 } }
    },
    // The inverse of 1.2: a ratio above 1 means that more connections make a message cheaper.
    cases: [{ ours: "1000", theirs: "10", figure: "cpu", target: 0.83 }]
  },
  {
    name: "relay",
    title: "a relay between two sockets",
    load: { kind: "relay", bytes: 65_536, connections: 1, window: 1 },
    operations: 32_000,
    per: "GB",
    variants: {
      copy: ours("relay", "copyBidirectional"),
      pipeline: node("relay", "stream.pipeline"),
      socat: { program: "socat", service: "relay", label: "socat" }
    },
    cases: [
      { ours: "copy", theirs: "pipeline", figure: "rate", target: 1 },
      { ours: "copy", theirs: "pipeline", figure: "cpu", target: 1 },
      { ours: "copy", theirs: "socat", figure: "rate", target: 0.8 },
      { ours: "copy", theirs: "socat", figure: "cpu", target: 0.8 }
    ]
  },
  piped("child-out", "bulk out of a program", "children", "exec", "node:child_process"),
  piped("child-into", "bulk into a program, 64-KiB writes", "children", "exec", "node:child_process"),
  piped("stdio-in", "bulk from standard input", "standard", "stdio", "process.stdin"),
  piped("stdio-out", "bulk to standard output, 64-KiB writes", "standard", "stdio", "process.stdout"),
  serial("ping", "64-byte ping-pong with a serial device", "echo", {
    bytes: 64,
    operations: 60_000,
    per: "message",
    cases: [{ figure: "rate", target: 1.5 }, { figure: "cpu", target: 1.5 }]
  }),
  serial("bulk", "bulk from one serial port to another, 16-KiB writes, both ends in one process", "through", {
    bytes: 16_384,
    operations: 60_000,
    per: "GB",
    cases: [{ figure: "rate", target: 1.3 }, { figure: "cpu" }]
  }),
  serial("bulk-out", "bulk to a serial device, 16-KiB writes", "sink", {
    bytes: 16_384,
    operations: 60_000,
    per: "GB",
    cases: [{ figure: "rate", target: 1.3 }, { figure: "cpu" }]
  }),
  serial("bulk-in", "bulk from a serial device", "source", {
    bytes: 16_384,
    operations: 60_000,
    per: "GB",
    cases: [{ figure: "rate", target: 1.3 }, { figure: "cpu" }]
  }),
  {
    name: "decode-lines",
    title: "decoding lines of 80 bytes",
    load: alone(80),
    operations: 2_000_000,
    per: "line",
    variants: {
      ours: decoding("lines/ours", "a decoder"),
      effect: decoding("lines/effect", "Effect's decodeText and splitLines"),
      readline: decoding("lines/readline", "readline"),
      loop: decoding("lines/loop", "a plain loop over indexOf")
    },
    cases: [
      { ours: "ours", theirs: "effect", figure: "rate", target: 1.5 },
      { ours: "ours", theirs: "readline", figure: "rate", target: 3 },
      { ours: "ours", theirs: "loop", figure: "rate", target: 0.95 }
    ]
  },
  {
    name: "decode-prefixed",
    title: "decoding length-prefixed frames of 64 bytes",
    load: alone(64),
    operations: 1_000_000,
    per: "frame",
    variants: {
      ours: decoding("prefixed/ours", "a decoder"),
      npm: decoding("prefixed/npm", "it-length-prefixed")
    },
    cases: [{ ours: "ours", theirs: "npm", figure: "rate", target: 3 }]
  },
  flow("single-1", "an item from a writer to a reader, bound 1", 300_000),
  flow("single-16", "an item from a writer to a reader, bound 16", 600_000),
  flow("single-1024", "an item from a writer to a reader, bound 1024", 600_000),
  flow("batches", "an item in batches of 64, bound 1024", 1_920_000),
  flow("stream", "an item of a stream that is registered, bound 1024", 600_000),
  bridge("http", "a request of node:http and its answer, with a body of 1 KiB, on 10 connections", "request", 1024, {
    ours: "over toDuplex",
    node: "plain node:http"
  }, 0.9),
  bridge("rpc", "a call of Effect's RPC, 10 under way on one connection", "call", 64, {
    ours: "over EffectSocket",
    effect: "Effect's NodeSocket"
  }, 1),
  paced("steps", "scheduler steps of a ping-pong in a world", "step", 2_000_000, 50_000),
  paced("worlds", "small worlds: a server, three clients, a line there and back for each", "world", 2000, 200),
  paced("day", "an idle virtual day in under a second, by sleeps of one second", "sleep", 864_000, 86_400),
  {
    name: "sim-ping",
    title: "64-byte ping-pong, both ends in one process, in a world and over loopback TCP",
    load: { kind: "alone", bytes: 64, connections: 0, window: 0 },
    operations: 400_000,
    per: "message",
    variants: {
      digest: sim("ping/digest", "a world with its digest"),
      off: sim("ping/off", "a world without a trace"),
      tcp: sim("tcp", "loopback TCP")
    },
    cases: [
      { ours: "digest", theirs: "tcp", figure: "rate", target: 1.5 },
      { ours: "off", theirs: "tcp", figure: "rate", target: 3 }
    ]
  },
  ...frameSizes.map((bytes): Scenario => ({
    name: `curve-${bytes}`,
    title: `length-prefixed frames of ${bytes} bytes, in pieces`,
    load: alone(bytes),
    operations: 1e9 / bytes,
    per: "GB",
    variants: Object.fromEntries(
      chunkSizes.map((chunkBytes) => [
        `${chunkBytes}`,
        {
          ...decoding("prefixed/ours", `in pieces of ${chunkBytes}`),
          load: { chunkBytes },
          operations: Math.min(1e9, 8e6 * chunkBytes) / bytes
        }
      ])
    ),
    cases: chunkSizes.slice(1).map((chunkBytes) => ({
      ours: `${chunkBytes}`,
      theirs: `${chunkSizes[0]}`,
      figure: "rate" as const
    }))
  }))
]

/** What a filter looks in, and what the report and the JSON lines call a case. */
export const nameOf = (scenario: Scenario, { figure, ours }: Case): string => `${scenario.name}/${ours}/${figure}`

export const peerOf = (scenario: Scenario, { theirs }: Case): string => scenario.variants[theirs]!.label

/** The scenarios with those of their cases that the filter finds in the name or the peer. */
export const select = (filter: string | undefined): ReadonlyArray<Scenario> =>
  scenarios.map((scenario) => ({
    ...scenario,
    cases: scenario.cases.filter((one) =>
      filter === undefined ||
      `${nameOf(scenario, one)} ${peerOf(scenario, one)}`.toLowerCase().includes(filter.toLowerCase())
    )
  })).filter(({ cases }) => cases.length > 0)
