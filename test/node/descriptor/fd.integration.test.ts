import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, type Scope } from "effect"
import { Network, Transport } from "effect-transport"
import { NodeTransport } from "effect-transport/node"
import { createHash, randomBytes } from "node:crypto"
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs"
import { devNull } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll } from "vitest"
import { failureOf, held, holdsNoMoreThan, turn } from "../../support/descriptors.ts"
import { dropFifos, openPipe } from "../../support/fifos.ts"
import { folder } from "../../support/folder.ts"
import { run } from "../../support/programs.ts"
import { describeWith } from "../../support/systemPrograms.ts"

afterAll(dropFifos)

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

const connect = (endpoint: string, options?: Transport.TransportOptions) =>
  Effect.map(
    Effect.flatMap(Network.Network, (network) => network.connect(endpoint, options)),
    (transport) => transport as Transport.HalfCloseableTransport
  )

const test = (name: string, effect: () => Effect.Effect<void, unknown, Network.Network | Scope.Scope>) =>
  it.live(name, () => Effect.scoped(effect()).pipe(Effect.provide(NodeTransport.layerNetwork)))

const program = [
  process.execPath,
  "-C",
  "effect-transport-source",
  fileURLToPath(new URL("../../support/fdProgram.ts", import.meta.url))
]

/** Runs a script in which `"$@" NAME` is a program of `fdProgram.ts`. */
const shell = (script: string) => run("bash", ["-c", script, "bash", ...program])

/** As it, where Python makes the descriptors. `start` gives them to a program as they are. */
const python = (script: string) =>
  run("python3", [
    "-u",
    "-c",
    `import os, pty, resource, socket, subprocess, sys, termios
def say(*words): print(*words, flush=True)
def start(*words, fds): return subprocess.Popen(sys.argv[1:] + list(words), pass_fds=fds)
def at(number, it): os.dup2(it.fileno() if hasattr(it, "fileno") else it, number)
${script}`,
    ...program
  ])

describe("fd: pipes and files", () => {
  test("carries 8 MiB both ways over two pipes", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const sent = randomBytes(8_388_608)
      writeFileSync(join(path, "in"), sent)
      const running = yield* shell(`cat ${path}/in | { "$@" echo fd:3,4 3<&0 4>&1 >&2 | cat > ${path}/out; }`)
      assert.strictEqual(yield* running.exited, 0)
      assert.include(running.output(), "closed: success")
      assert.strictEqual(sha256(readFileSync(join(path, "out"))), sha256(sent))
    }))

  test("reads and writes files", () =>
    Effect.gen(function*() {
      const path = yield* folder
      writeFileSync(join(path, "in"), "from a file")
      const running = yield* shell(`"$@" echo fd:3,4 3< ${path}/in 4> ${path}/out`)
      assert.strictEqual(yield* running.exited, 0)
      assert.strictEqual(readFileSync(join(path, "out"), "utf8"), "from a file")
    }))

  test("one way: what is only read cannot be written to, and what is only written ends at once", () =>
    Effect.gen(function*() {
      const { reading, writing } = openPipe()
      const reader = yield* connect(`fd:${reading},`)
      const writer = yield* connect(`fd:,${writing}`)
      assert.strictEqual((yield* failureOf(reader.write(new Uint8Array(1)))).reason._tag, "Closed")
      assert.strictEqual((yield* Transport.readUntilEnd(writer)).length, 0)
      yield* writer.write(new TextEncoder().encode("still"))
      yield* writer.close
      assert.strictEqual(text(yield* Transport.readUntilEnd(reader)), "still")
      yield* reader.closed
    }))

  test("by a reader that goes away is a Reset", () =>
    Effect.gen(function*() {
      const running = yield* shell(`{ "$@" flood fd:,3 3>&1 >&2; } | head -c 10 > ${devNull}`)
      yield* running.printed(/write: Reset: write fd:,3: the peer reset the connection/)
    }))
})

describe("fd: of which one is gone", () => {
  test("reads on to the end of its input where nobody reads its output", () =>
    Effect.gen(function*() {
      const path = yield* folder
      // What is read comes when what is written has broken, which the program says where it can be seen.
      const running = yield* shell(`cd ${path}; mkfifo in out
        { "$@" refused fd:30,31 30< in 31> out & } 2>&1 > said
        exec 9> in; head -c 10 out > first
        until grep -q half-close said; do sleep 0.01; done
        head -c 500000 /dev/zero >&9; exec 9>&-; wait; cat said`)
      assert.strictEqual(yield* running.exited, 0)
      assert.strictEqual(
        running.output(),
        ["write", "flush", "half-close"].map((what) =>
          `${what}: Reset: ${what === "half-close" ? "halfClose" : "write"} fd:30,31: the peer reset the connection\n`
        ).join("") + "read 500000\nclosed: Reset: close fd:30,31: the peer reset the connection\n"
      )
    }))

  const gone = "somebody else closed the descriptor"
  for (const out of ["file", "pipe"]) {
    test(`closed by others, is Disconnected to the next write, and read on where it has another (${out})`, () =>
      Effect.gen(function*() {
        const path = yield* folder
        writeFileSync(join(path, "in"), "in")
        const open = out === "pipe" ? "31> >(cat > /dev/null)" : `31> ${path}/out`
        const running = yield* shell(`"$@" closedMeanwhile fd:30,31 31 30< ${path}/in ${open}`)
        assert.strictEqual(yield* running.exited, 0)
        assert.strictEqual(
          running.output(),
          `write: Disconnected: write fd:30,31: disconnected (${gone})
again: Disconnected: write fd:30,31: disconnected (${gone})
rest: success
closed: Disconnected: close fd:30,31: disconnected (${gone})
open: 
`
        )
      }))
  }

  test("closed by others, is Disconnected to the reader of a file", () =>
    Effect.gen(function*() {
      const path = yield* folder
      writeFileSync(join(path, "in"), new Uint8Array(100_000))
      const running = yield* shell(`"$@" closedMeanwhile fd:30, 30 read 30< ${path}/in`)
      assert.strictEqual(yield* running.exited, 0)
      assert.strictEqual(
        running.output(),
        `read 1
rest: Disconnected: read fd:30,: disconnected (${gone})
closed: Disconnected: close fd:30,: disconnected (${gone})
open: 
`
      )
    }))
})

describe("fd: whose number is another's by the end", () => {
  test("leaves that one open, where it is a file", () =>
    Effect.gen(function*() {
      const path = yield* folder
      writeFileSync(join(path, "other"), "")
      const running = yield* shell(`"$@" replaced fd:,30 ${path}/other 30> ${path}/out`)
      assert.strictEqual(yield* running.exited, 0)
      assert.strictEqual(running.output(), "open: true\n")
    }))
})

describe("fd: that is not opened", () => {
  const cases: ReadonlyArray<readonly [what: string, redirection: string, endpoint: string, expected: string]> = [
    ["that is not there", "", "fd:1000", "NotFound: open fd:1000: descriptor 1000 does not exist"],
    [
      "of a folder",
      "30< /",
      "fd:30,",
      "Unsupported: open fd:30,: a connection over descriptor 30, a folder, is not supported here"
    ],
    [
      "that cannot be written to",
      "30< /dev/null",
      "fd:30",
      "Unsupported: open fd:30: writing to descriptor 30 is not supported here"
    ],
    [
      "that cannot be read",
      "30> /dev/null",
      "fd:30,",
      "Unsupported: open fd:30,: reading from descriptor 30 is not supported here"
    ],
    [
      "that can be read, to write alone",
      "30< $D/pipe-less",
      "fd:,30",
      "Unsupported: open fd:,30: writing to descriptor 30 is not supported here"
    ],
    [
      "of a pipe, twice in one endpoint",
      "30<> $D/pipe",
      "fd:30,30",
      "Unsupported: open fd:30: both directions of one pipe is not supported here"
    ],
    [
      "of a file, for both directions",
      "30<> $D/file",
      "fd:30",
      "Unsupported: open fd:30: both directions of one file is not supported here"
    ],
    [
      "of a pipe, for both directions",
      "30<> $D/pipe",
      "fd:30",
      "Unsupported: open fd:30: both directions of one pipe is not supported here"
    ]
  ]
  for (const [what, redirection, endpoint, expected] of cases) {
    test(`a descriptor ${what} is refused by name, and left open`, () =>
      Effect.gen(function*() {
        const running = yield* shell(
          `D=${yield* folder}; mkfifo $D/pipe; : > $D/pipe-less; "$@" open ${endpoint} ${redirection}`
        )
        assert.strictEqual(yield* running.exited, 0)
        assert.strictEqual(running.output(), `${endpoint}: ${expected}\nopen: ${redirection === "" ? "" : "30"}\n`)
      }))
  }

  test("is Busy while another connection has it, which is unharmed, and may be had again by number", () =>
    Effect.gen(function*() {
      const { reading, writing } = openPipe()
      const first = yield* connect(`fd:,${writing}`)
      for (const endpoint of [`fd:,${writing}`, `fd:${reading},${writing}`]) {
        const error = yield* failureOf(Effect.scoped(connect(endpoint)))
        assert.strictEqual(error.message, `open ${endpoint}: the device is in use`)
      }
      yield* first.write(new TextEncoder().encode("unharmed"))
      yield* first.close
      assert.strictEqual(
        (yield* failureOf(Effect.scoped(connect(`fd:,${writing}`)))).message,
        `open fd:,${writing}: descriptor ${writing} does not exist`
      )
      const reader = yield* connect(`fd:${reading},`)
      assert.strictEqual(text(yield* Transport.readUntilEnd(reader)), "unharmed")
      // The kernel gives the lowest number again.
      const again = openSync(devNull, "r+")
      yield* connect(`fd:${again}`)
    }))

  test("shares 0 and 1 with stdio:", () =>
    Effect.gen(function*() {
      const running = yield* shell(`"$@" twice stdio: fd:0, fd:,1 2>&1 < /dev/null | cat`)
      yield* running.exited
      // What the program says is a print by number, so it is on the same pipe.
      assert.include(running.output(), "fd:0,: Busy: open fd:0,: the device is in use")
      assert.include(running.output(), "fd:,1: Busy: open fd:,1: the device is in use")
    }))

  test("cannot be listened on", () =>
    Effect.gen(function*() {
      const { listen } = yield* Network.Network
      const error = yield* failureOf(Effect.scoped(listen("fd:3")))
      assert.strictEqual(error.message, "listen fd:3: listening on fd is not supported here")
    }))
})

describeWith(["python3"], "fd: on one socket", () => {
  test("carries 4 MiB both ways", () =>
    Effect.gen(function*() {
      const running = yield* python(`
import hashlib, threading
a, b = socket.socketpair(); at(30, b); program = start("echo", "fd:30", fds=[30]); os.close(30); b.close()
sent = os.urandom(4194304)
def send(): a.sendall(sent); a.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
came = b""
while some := a.recv(65536): came += some
say("same", hashlib.sha256(came).digest() == hashlib.sha256(sent).digest(), program.wait())
`)
      assert.strictEqual(yield* running.exited, 0)
      assert.include(running.output(), "same True 0\n")
      assert.include(running.output(), "closed: success\n")
    }))

  test("shows our end while its input goes on", () =>
    Effect.gen(function*() {
      const running = yield* python(`
a, b = socket.socketpair(); at(30, b); program = start("halfClose", "fd:30", fds=[30]); os.close(30); b.close()
came = b""
while some := a.recv(65536): came += some
say("came", came.decode()); a.sendall(b"answer"); a.close(); program.wait()
`)
      yield* running.exited
      assert.include(running.output(), "came question\n")
      assert.include(running.output(), "read answer\n")
    }))

  test("closes it at the end, also where it has two numbers", () =>
    Effect.gen(function*() {
      const running = yield* python(`
a, b = socket.socketpair(); at(30, b); at(31, b); start("open", "fd:30,31", fds=[30, 31]).wait()
`)
      yield* running.exited
      assert.include(running.output(), "fd:30,31: success\nopen: \n")
    }))

  it.live("obeys the laws", () =>
    Effect.scoped(Effect.gen(function*() {
      const pairs = 1500
      const running = yield* python(`
resource.setrlimit(resource.RLIMIT_NOFILE, (100 + ${2 * pairs}, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
numbers = range(50, 50 + ${2 * pairs})
for number in numbers[::2]:
  for i, end in enumerate(socket.socketpair()): at(number + i, end); end.close()
os.execv(sys.argv[1], [sys.argv[1], "--expose-gc"] + sys.argv[2:] + ["laws", str(numbers.start), str(numbers.stop)])
`)
      assert.strictEqual(yield* running.exited, 0)
      assert.match(running.output(), /^\d\d laws hold\n$/)
    })), 300_000)

  test("closed by others under a read, can be closed and aborted all the same", () =>
    Effect.gen(function*() {
      const running = yield* python(`
for number in 30, 31: a, b = os.pipe(); at(number, a)
start("closedUnderRead", fds=[30, 31]).wait()
`)
      yield* running.exited
      assert.strictEqual(
        running.output(),
        "close: success\nClosed: read fd:30,: it was ended here, by close\n" +
          "abort: success\nClosed: read fd:31,: it was ended here, by abort\n"
      )
    }))

  for (const [first, made] of [["pipe", "os.pipe()"], ["socket", "[it.detach() for it in socket.socketpair()]"]]) {
    test(`as the second of two, refused, leaves the first as it was (${first})`, () =>
      Effect.gen(function*() {
        const running = yield* python(`
a, b = ${made}; at(30, a); os.close(a); at(31, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
os.write(b, b"here"); os.close(b); start("afterwards", "fd:30,31", "fd:30,", fds=[30, 31]).wait()
`)
        yield* running.exited
        assert.strictEqual(
          running.output(),
          `fd:30,31: Unsupported: open fd:30,31: a connection over datagrams is not supported here
open: 30,31
read here
`
        )
      }))
  }

  for (const [name, made] of [["eventpoll", "(poll := select.epoll()).fileno()"], ["eventfd", "os.eventfd(0)"]]) {
    test(`is Unsupported by its name where it carries no bytes (${name})`, () =>
      Effect.gen(function*() {
        const running = yield* python(`
import select
a = ${made}; at(30, a); start("open", "fd:30", fds=[30]).wait()
`)
        yield* running.exited
        assert.strictEqual(
          running.output(),
          `fd:30: Unsupported: open fd:30: a connection over descriptor 30, ${name}, is not supported here\nopen: 30\n`
        )
      }))
  }

  test("needs a stream: datagrams are unsupported", () =>
    Effect.gen(function*() {
      const running = yield* python(`
a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); at(30, a); start("open", "fd:30", fds=[30]).wait()
`)
      yield* running.exited
      assert.include(
        running.output(),
        "fd:30: Unsupported: open fd:30: a connection over datagrams is not supported here"
      )
      assert.include(running.output(), "open: 30\n")
    }))
})

describeWith(["python3"], "fd: on a terminal", () => {
  test("ends with the end that is typed, and leaves the terminal as it was", () =>
    Effect.gen(function*() {
      const running = yield* python(`
master, slave = pty.openpty(); before = termios.tcgetattr(slave); at(30, slave); program = start("echo", "fd:30", fds=[30])
os.write(master, b"hello\\n"); out = b""
while b"hello\\r\\nhello\\r\\n" not in out: out += os.read(master, 1000)
os.write(master, b"\\x04"); say("status", program.wait())
say("same", termios.tcgetattr(slave) == before, os.get_blocking(slave))
`)
      assert.strictEqual(yield* running.exited, 0)
      assert.include(running.output(), "status 0\n")
      assert.include(running.output(), "closed: success\n")
      assert.include(running.output(), "same True True\n")
    }))

  test("closes its descriptor at the end", () =>
    Effect.gen(function*() {
      const running = yield* python(`
master, slave = pty.openpty(); at(30, slave); start("open", "fd:30", fds=[30]).wait()
`)
      yield* running.exited
      assert.include(running.output(), "fd:30: success\nopen: \n")
    }))
})

describe("fd: 200 times opened and ended", () => {
  type Ending = (reading: number, writing: number) => Effect.Effect<unknown, unknown, Network.Network | Scope.Scope>
  const both = (reading: number, writing: number) => Effect.all([connect(`fd:${reading},`), connect(`fd:,${writing}`)])
  const endings: Record<string, Ending> = {
    "a close": (r, w) => Effect.flatMap(both(r, w), ([a, b]) => Effect.andThen(b.close, a.close)),
    "an abort": (r, w) => Effect.flatMap(both(r, w), ([a, b]) => Effect.andThen(a.abort, b.abort)),
    "the scope": both,
    "a failure": (r, w) => Effect.flip(Effect.scoped(Effect.andThen(both(r, w), Effect.fail("the user's own")))),
    "an interruption": (r, w) =>
      Effect.gen(function*() {
        const reading = yield* Effect.forkChild(
          Effect.scoped(Effect.flatMap(both(r, w), ([a]) => Transport.readUntilEnd(a))),
          { startImmediately: true }
        )
        yield* Fiber.interrupt(reading)
      }),
    "a peer that goes away": (r, w) =>
      Effect.gen(function*() {
        const reader = yield* connect(`fd:${r},`)
        closeSync(w)
        yield* Transport.readUntilEnd(reader)
      }),
    "an open that fails": (r, w) =>
      Effect.gen(function*() {
        yield* Effect.flip(Effect.scoped(connect(`fd:${r},1000000`)))
        yield* Effect.flip(Effect.scoped(connect(`fd:${r},${r}`)))
        closeSync(r)
        closeSync(w)
      }),
    "a close, of a device": (r, w) =>
      Effect.gen(function*() {
        closeSync(r)
        closeSync(w)
        yield* (yield* connect(`fd:${openSync(devNull, "r+")}`)).close
      })
  }
  for (const [name, ending] of Object.entries(endings)) {
    test(`by ${name}, leaves nothing`, () =>
      Effect.gen(function*() {
        const once = Effect.suspend(() => {
          const { reading, writing } = openPipe()
          return Effect.scoped(ending(reading, writing))
        })
        yield* once
        yield* turn
        const before = held()
        for (let i = 0; i < 200; i++) yield* once
        yield* holdsNoMoreThan(before)
      }))
  }
})
