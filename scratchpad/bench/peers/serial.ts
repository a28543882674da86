/**
 * A serial port: ours, and the Duplex of the package `serialport` as its documentation shows it. The port is one end of a
 * pair of pseudoterminals made by socat. At the other end is a small Python program, the same for both. A third has nothing
 * but the calls of the kernel, and shows how much faster than theirs anybody could be.
 *
 * Ours is loaded only where it is measured, so that theirs has the heap of a process without Effect.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { answer, cpuOf, hashing, options, ownUsage } from "../child.ts"
import { messages } from "../content.ts"
import type { AloneAnswers, SubjectOptions } from "../messages.ts"

const { bytes, isHashed, service } = options<SubjectOptions>()
const [what, whose] = service.split("/") as [Kind, keyof typeof opened]

// ---------------------------------------------------------------------------------------------------------------------
// The device
// ---------------------------------------------------------------------------------------------------------------------

/** With `through` there is none: the process under test has both ends. */
type Kind = "echo" | "sink" | "source" | "through"

/**
 * Sinks and sources are told first how many bytes there will be, in 8 bytes. What is hashed is printed after them. A sink
 * answers at the end alone: an answer that comes while a write of `serialport` waits can stop both its directions for good.
 */
const devices: { readonly [K in Exclude<Kind, "through">]: string } = {
  echo: `
while True: os.write(fd, os.read(fd, 65536))`,
  sink: `
while True:
  missing = asked()
  while missing > 0:
    data = os.read(fd, min(65536, missing))
    if hashed: total.update(data)
    missing -= len(data)
  if hashed: print(total.hexdigest(), flush=True)
  os.write(fd, b"!")`,
  source: `
data = bytes(i * 7 % 251 for i in range(65536))
while True:
  missing = asked()
  while missing > 0:
    sent = os.write(fd, data[:missing])
    if hashed: total.update(data[:sent])
    missing -= sent
  if hashed: print(total.hexdigest(), flush=True)`
}

const deviceAt = (kind: keyof typeof devices, path: string): ReadonlyArray<string> => [
  "-u",
  "-c",
  `
import hashlib, os
fd = os.open(${JSON.stringify(path)}, os.O_RDWR | os.O_NOCTTY)
hashed, total = ${isHashed ? "True" : "False"}, hashlib.sha256()
def asked():
  head = b""
  while len(head) < 8: head += os.read(fd, 8 - len(head))
  return int.from_bytes(head, "big")
print("ready", flush=True)
${devices[kind]}`
]

// ---------------------------------------------------------------------------------------------------------------------
// The programs around it
// ---------------------------------------------------------------------------------------------------------------------

const running: Array<ChildProcess> = []
process.on("exit", () => {
  for (const child of running) child.kill()
})
process.on("SIGTERM", () => process.exit())

/** The cores of the process under test and of the load, where there are two. */
const [testCore, loadCore] = ["0", "1"]

/** Starts a program, and waits until it says so much on one of its outputs. */
const begin = async (command: string, args: ReadonlyArray<string>, isReady: RegExp, core = loadCore) => {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] })
  await once(child, "spawn")
  running.push(child)
  spawnSync("taskset", ["-cp", core, String(child.pid)])
  const said = [child.stdout, child.stderr].map((output) => {
    const seen = { text: "" }
    output.setEncoding("utf8").on("data", (text: string) => seen.text += text)
    return seen
  })
  while (!said.some(({ text }) => isReady.test(text))) {
    await Promise.race([once(child.stdout, "data"), once(child.stderr, "data")])
  }
  return { child, printed: () => said[0]!.text.trim().split("\n") }
}

/** The path of the port at whose other end the device is. */
const plug = async () => {
  const [near, far] = ["near", "far"].map((end) => join(tmpdir(), `effect-transport-bench-${process.pid}-${end}`))
  const ends = [near, far].map((path) => `pty,raw,echo=0,link=${path}`)
  await begin("socat", ["-d", "-d", ...ends], /starting data transfer loop/)
  const device = what === "through" ? undefined : await begin("python3", deviceAt(what, far!), /ready/)
  return { near: near!, far: far!, device }
}

/** Of all that the device has seen: it tells after each portion. */
const deviceDigest = async ({ child, printed }: Awaited<ReturnType<typeof begin>>): Promise<string> => {
  while (printed().length < 1 + portions) await once(child.stdout, "data")
  return printed()[portions]!
}

// ---------------------------------------------------------------------------------------------------------------------
// The two
// ---------------------------------------------------------------------------------------------------------------------

const sent = hashing(isHashed)
const received = hashing(isHashed)
const messageOf = messages(bytes, isHashed)
let index = 0
let portions = 0

const nextMessage = (): Buffer => {
  const message = messageOf(index++)
  sent?.update(message)
  return message
}

/** Tells a sink or a source how many bytes there will be. */
const request = (count: number): Buffer => {
  const asking = Buffer.alloc(8)
  asking.writeBigUInt64BE(BigInt(count))
  return asking
}

type Doing = (operations: number) => Promise<void>

/**
 * From Node 26.4 on version 13 of the bindings goes on after a wait only when something else happens in the process, which
 * here is never (serialport/bindings-cpp#239). This is that something, and costs less than a microsecond.
 */
const endTurns = ({ port }: { readonly port?: unknown }): void => {
  const { poller } = port as { readonly poller: NodeJS.EventEmitter }
  for (const event of ["readable", "writable"]) poller.on(event, () => setImmediate(() => {}))
}

const openTheirs = async (path: string) => {
  const { SerialPort } = await import("serialport")
  const port = new SerialPort({ path, baudRate })
  await once(port, "open")
  endTurns(port)
  return port
}

const theirs = async (near: string, far: string): Promise<Doing> => {
  const port = await openTheirs(near)
  let missing = 0
  let onAll = () => {}
  const reading = what === "through" ? await openTheirs(far) : port
  reading.on("data", (chunk: Buffer) => {
    received?.update(chunk)
    missing -= chunk.length
    if (missing === 0) onAll()
  })
  const arrival = (count: number) =>
    new Promise<void>((resolve) => {
      missing = count
      onAll = resolve
    })
  const doing: { readonly [K in Kind]: Doing } = {
    echo: (operations) =>
      new Promise((resolve) => {
        const next = () => {
          if (operations-- === 0) return resolve()
          missing = bytes
          port.write(nextMessage())
        }
        onAll = next
        next()
      }),
    sink: async (operations) => {
      const all = arrival(1)
      port.write(request(operations * bytes))
      for (let i = 0; i < operations; i++) {
        if (!port.write(nextMessage())) await once(port, "drain")
      }
      await all
    },
    through: async (operations) => {
      const all = arrival(operations * bytes)
      for (let i = 0; i < operations; i++) {
        if (!port.write(nextMessage())) await once(port, "drain")
      }
      await all
    },
    source: (operations) => {
      const all = arrival(operations * bytes)
      port.write(request(operations * bytes))
      return all
    }
  }
  return doing[what]
}

const ours = async (near: string, far: string): Promise<Doing> => {
  const { Effect, Fiber, Scope } = await import("effect")
  const { Network } = await import("effect-transport")
  const { NodeTransport } = await import("effect-transport/node")
  const { reader, transport } = await Effect.gen(function*() {
    const network = yield* Network.Network
    const openOurs = (path: string) => network.connect({ _tag: "serial", path, baudRate })
    const transport = yield* openOurs(near)
    const { reader } = what === "through" ? yield* openOurs(far) : transport
    return { transport, reader: yield* reader }
  }).pipe(
    Effect.provide(NodeTransport.layerNetwork),
    Effect.provideService(Scope.Scope, Scope.makeUnsafe()),
    Effect.runPromise
  )
  const read = Effect.fnUntraced(function*(count: number) {
    for (let missing = count; missing > 0;) {
      for (const chunk of yield* reader.pull) {
        received?.update(chunk)
        missing -= chunk.length
      }
    }
  })
  const doing: { readonly [K in Kind]: (operations: number) => ReturnType<typeof read> } = {
    echo: Effect.fnUntraced(function*(operations) {
      for (let i = 0; i < operations; i++) {
        yield* transport.write(nextMessage())
        yield* read(bytes)
      }
    }),
    sink: Effect.fnUntraced(function*(operations) {
      yield* transport.write(request(operations * bytes))
      for (let i = 0; i < operations; i++) yield* transport.write(nextMessage())
      yield* read(1)
    }),
    through: Effect.fnUntraced(function*(operations) {
      const reading = yield* Effect.forkChild(read(operations * bytes))
      for (let i = 0; i < operations; i++) yield* transport.write(nextMessage())
      yield* Fiber.join(reading)
    }),
    source: Effect.fnUntraced(function*(operations) {
      yield* transport.write(request(operations * bytes))
      yield* read(operations * bytes)
    })
  }
  return (operations) => Effect.runPromise(doing[what](operations))
}

/**
 * What the kernel and the programs around it leave to be had: nothing but `read`, `write` and `poll`, in a process of its
 * own, told how many operations to do.
 */
const bare = async (near: string, far: string): Promise<Doing> => {
  const { child, printed } = await begin("python3", ["-u", "-c", bareProgram(near, far)], /ready/, testCore)
  let done = 0
  alone.pid = child.pid!
  return async (operations) => {
    child.stdin.write(`${operations}\n`)
    done++
    while (printed().length < 1 + done) await once(child.stdout, "data")
    alone.digests = printed()[done]!.split(" ") as [string, string]
  }
}

/** What is known of that process. */
const alone: { pid?: number; digests?: readonly [sent: string, received: string] } = {}

const bareProgram = (near: string, far: string) => `
import hashlib, os, select, sys
hashed, into, outOf = ${isHashed ? "True" : "False"}, hashlib.sha256(), hashlib.sha256()
def opened(path): return os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
what, size = ${JSON.stringify(what)}, ${bytes}
out = opened(${JSON.stringify(near)})
back = opened(${JSON.stringify(far)}) if what == "through" else out
message = bytes(size)
def move(sending, missing):
  rest, poll = memoryview(message), select.poll()
  while sending > 0 or missing > 0:
    isStuck = True
    if sending > 0:
      try:
        sent = os.write(out, rest)
        sending -= sent
        if hashed: into.update(rest[:sent])
        isStuck = sent < len(rest)
        rest = rest[sent:] or memoryview(message)
      except BlockingIOError: pass
    if missing > 0:
      try:
        data = os.read(back, 65536)
        missing -= len(data)
        if hashed: outOf.update(data)
        isStuck = False
      except BlockingIOError: pass
    if isStuck and (sending > 0 or missing > 0):
      poll.register(out, select.POLLOUT if sending > 0 else 0)
      poll.register(back, (select.POLLIN if missing > 0 else 0) | (select.POLLOUT if back == out and sending > 0 else 0))
      poll.poll()
print("ready", flush=True)
for line in sys.stdin:
  count = int(line)
  if what == "sink" or what == "source": os.write(out, (count * size).to_bytes(8, "big"))
  if what == "echo":
    for _ in range(count): move(size, size)
  else: move(0 if what == "source" else count * size, 1 if what == "sink" else count * size)
  print(f"{into.hexdigest()} {outOf.hexdigest()}", flush=True)
`

const baudRate = 115_200
const opened = { ours, theirs, bare }

const plugged = plug()
const opening = plugged.then(({ far, near }) => opened[whose](near, far))

answer<AloneAnswers>({
  ...ownUsage,
  cpu: () => alone.pid === undefined ? ownUsage.cpu() : cpuOf(alone.pid),
  start: () => 0,
  run: async (operations) => {
    const work = await opening
    portions++
    const before = performance.now()
    await work(operations)
    return (performance.now() - before) / 1000
  },
  digest: async () => {
    if (!isHashed) return { sent: "", received: "" }
    const [here, there] = alone.digests ?? [sent!.copy().digest("hex"), received!.copy().digest("hex")]
    if (what === "echo" || what === "through") return { sent: here, received: there }
    const device = await deviceDigest((await plugged).device!)
    return what === "sink" ? { sent: here, received: device } : { sent: device, received: there }
  }
})
