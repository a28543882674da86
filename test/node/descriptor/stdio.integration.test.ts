import { afterAll, assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, type Scope } from "effect"
import { Network, Transport, TransportError } from "effect-transport"
import { NodeTransport } from "effect-transport/node"
import { createHash, randomBytes } from "node:crypto"
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { dropFifos, fifoPair } from "../../support/fifos.ts"
import { folder } from "../../support/folder.ts"
import { joinsThroughInterruptions } from "../../support/joining.ts"
import { run, type Running } from "../../support/programs.ts"
import { describeWith } from "../../support/systemPrograms.ts"

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

const command = [
  process.execPath,
  "-C",
  "effect-transport-source",
  fileURLToPath(new URL("../../support/stdioProgram.ts", import.meta.url))
]

/** Runs a script in which `"$@" NAME` is a program of `stdioProgram.ts`, and `$D` a folder. */
const shell = (script: string): Effect.Effect<Running & { readonly folder: string }, never, Scope.Scope> =>
  Effect.gen(function*() {
    const path = yield* folder
    return { ...yield* run("sh", ["-c", `D=${path}; ${script}`, "sh", ...command]), folder: path }
  })

/** As `shell`, with 8 MiB in `$D/in`, to its end; answers with them, with what was printed, and with `$D/out`. */
const through = (script: string) =>
  Effect.gen(function*() {
    const sent = randomBytes(8_388_608)
    const running = yield* shell(`read go; ${script}`)
    writeFileSync(join(running.folder, "in"), sent)
    running.child.stdin!.end("\n")
    const status = yield* running.exited
    return { sent, status, output: running.output(), came: readFileSync(join(running.folder, "out")) }
  })

/** Runs a script to its end: its status and what it printed, lines of both outputs. */
const printed = (script: string, input?: string) =>
  Effect.gen(function*() {
    const running = yield* shell(script)
    running.child.stdin!.end(input)
    const status = yield* running.exited
    return { status, output: running.output() }
  })

const scoped = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Effect.scoped(effect)

describe("stdio: as one connection", () => {
  const cases: ReadonlyArray<readonly [descriptors: string, script: string, before?: string]> = [
    ["pipes", `cat $D/in | "$@" echo | cat > $D/out`],
    ["pipes, where it ends by itself", `cat $D/in | "$@" echo bare | cat > $D/out`],
    ["files", `"$@" echo < $D/in > $D/out`],
    ["a file that is appended to", `printf before > $D/out; "$@" echo < $D/in >> $D/out`, "before"],
    ["FIFOs", `mkfifo $D/a $D/b; cat $D/in > $D/a & cat $D/b > $D/out & "$@" echo < $D/a > $D/b; wait`],
    ["a file and a pipe", `"$@" echo < $D/in | cat > $D/out`],
    ["a pipe and a file", `cat $D/in | "$@" echo > $D/out`]
  ]

  for (const [descriptors, script, before = ""] of cases) {
    it.live(`carries 8 MiB both ways over ${descriptors}`, () =>
      scoped(Effect.gen(function*() {
        const { came, output, sent, status } = yield* through(script)
        assert.strictEqual(came.subarray(0, before.length).toString(), before)
        assert.strictEqual(sha256(came.subarray(before.length)), sha256(sent))
        assert.include(output, "closed: success")
        assert.strictEqual(status, 0)
      })))
  }

  it.live("carries more chunks in one write than one system call takes", () =>
    scoped(Effect.gen(function*() {
      const { came, output } = yield* through(`"$@" chunks < /dev/null > $D/out`)
      assert.include(output, `sum ${sha256(came)}`)
      assert.strictEqual(came.length, 23_890)
    })))

  it.live("ends at once, and in peace, on the null device, and where it was started without descriptors", () =>
    scoped(Effect.gen(function*() {
      for (const script of [`"$@" echo < /dev/null > /dev/null`, `"$@" echo <&- >&-`]) {
        assert.deepStrictEqual(yield* printed(script), { status: 0, output: "closed: success\n" })
      }
    })))

  it.live("shows the end of output while input goes on", () =>
    scoped(Effect.gen(function*() {
      const running = yield* shell(`"$@" halfClose | { cat; echo "| the reader saw the end" >&2; }`)
      yield* running.printed(/question/)
      yield* running.printed(/the reader saw the end/)
      running.child.stdin!.end("late")
      yield* running.printed(/read late/)
      yield* running.printed(/closed: success/)
      assert.strictEqual(yield* running.exited, 0)
    })))

  it.live("leaves nothing in the place of the output that it ended", () =>
    scoped(Effect.gen(function*() {
      const { output } = yield* printed(`"$@" reuse | cat > $D/out; wc -c < $D/out`)
      assert.include(output, "opened above 2, holds 0 bytes")
      assert.include(output, "a stray print\n")
      assert.include(output, "again: Busy")
      assert.match(output, /^0$/m)
    })))

  it.live("leaves sockets that others share open", () =>
    scoped(Effect.gen(function*() {
      const { output, status } = yield* printed(`"$@" leave; echo more`, "abc")
      assert.include(output, "more")
      assert.include(output, "abc")
      assert.strictEqual(status, 0)
    })))

  for (const ending of ["leave", "abort"]) {
    it.live(`lets the process end while input could still come (${ending})`, () =>
      scoped(Effect.gen(function*() {
        const running = yield* shell(`"$@" ${ending} bare`)
        running.child.stdin!.write("abc")
        assert.strictEqual(yield* running.exited, 0)
        assert.include(running.output(), "closed")
        assert.include(running.output(), "abc")
      })))
  }
})

describe("stdio: that breaks", () => {
  it.live("by a reader that goes away is a Reset, and the program ends as it likes", () =>
    scoped(Effect.gen(function*() {
      const { output } = yield* printed(`{ "$@" flood < /dev/null; echo "status $?" >&2; } | head -c 10 > /dev/null`)
      assert.include(output, "write: Reset: write stdio:: the peer reset the connection\n")
      assert.include(output, "closed: Reset: close stdio:: the peer reset the connection\n")
      assert.include(output, "status 7")
      assert.notInclude(output, "node:")
    })))

  it.live("by a device that is full, or a file at its limit, keeps the native error", () =>
    scoped(Effect.gen(function*() {
      const full = yield* printed(`"$@" flood < /dev/null > /dev/full`)
      assert.match(full.output, /write: Failed: write stdio:: it failed \(ENOSPC/)
      assert.strictEqual(full.status, 7)
      // A limit that is no multiple of a write: one write is cut short, and what is left of it is not lost in silence.
      const { output } = yield* printed(
        `trap '' XFSZ; (ulimit -f 9; "$@" flood < /dev/null > $D/out); wc -c < $D/out`
      )
      assert.match(output, /write: Failed: write stdio:: it failed \(EFBIG/)
      assert.match(output, /^(4608|9216)$/m)
      const last = yield* printed(`trap '' XFSZ; ulimit -f 9; "$@" chunks < /dev/null > $D/out`)
      assert.notInclude(last.output, "sum")
      assert.strictEqual(last.status, 1)
    })))

  const bad: ReadonlyArray<readonly [what: string, script: string, expected: string]> = [
    [
      "a folder",
      `"$@" open < /`,
      "open: Unsupported: open stdio:: a connection over descriptor 0, a folder, is not supported here"
    ],
    [
      "a descriptor that the program has closed",
      `"$@" missing`,
      "open: NotFound: open stdio:: descriptor 0 does not exist"
    ],
    ["an input that somebody reads", `"$@" taken`, "open: Busy: open stdio:: the device is in use"]
  ]
  for (const [what, script, expected] of bad) {
    it.live(`is not opened on ${what}`, () =>
      scoped(Effect.gen(function*() {
        const running = yield* shell(script)
        yield* running.printed(new RegExp(expected))
        running.child.stdin!.end()
        assert.strictEqual(yield* running.exited, 0)
      })))
  }

  it.live("is refused to a second one, and the first is unharmed", () =>
    scoped(Effect.gen(function*() {
      const piped = yield* printed(`"$@" twice | cat`, "abc")
      assert.include(piped.output, "second: Busy: open stdio:: the device is in use")
      assert.include(piped.output, "abc")
      assert.match(piped.output, /third: NotFound: .* descriptor 0, which an earlier connection ended, does not exist/)
      const files = yield* printed(`printf abc > $D/in; "$@" twice < $D/in > $D/out; cat $D/out`)
      assert.include(files.output, "second: Busy")
      assert.include(files.output, "third: success")
      assert.include(files.output, "abcthird")
    })))

  it.live("is not opened anew on what an abort is about to close", () =>
    scoped(Effect.gen(function*() {
      for (const [fd, script] of [[0, `"$@" again > /dev/null`], [1, `"$@" again < /dev/null | cat`]]) {
        const { output } = yield* printed(String(script))
        assert.include(output, `again: NotFound: open stdio:: descriptor ${fd}`)
      }
    })))

  it.live("cannot be listened on", () =>
    Effect.gen(function*() {
      const { listen } = yield* Network.Network
      const exit = yield* Effect.exit(Effect.scoped(listen("stdio:")))
      const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.instanceOf(error, TransportError.TransportError)
      assert.strictEqual(error.message, "listen stdio:: listening on stdio is not supported here")
    }).pipe(Effect.provide(NodeTransport.layerNetwork)))
})

describe("stdio: at the end of the program", () => {
  const ways: ReadonlyArray<readonly [way: string, program: string, status: number]> = [
    ["that returns", "produce", 0],
    ["that returns and has nothing left to do", "produce bare", 0],
    ["that exits after the scope", "exit", 3]
  ]
  for (const [way, program, status] of ways) {
    it.live(`loses nothing of a program ${way}, however slow its reader`, () =>
      scoped(Effect.gen(function*() {
        const running = yield* shell(
          `mkfifo $D/go; { "$@" ${program} < /dev/null; echo "status $?" >&2; } | { read go < $D/go; sha256sum; }`
        )
        const [, sum] = yield* running.printed(/sum (\w+)/)
        writeFileSync(join(running.folder, "go"), "\n")
        yield* running.printed(new RegExp(`^${sum} `, "m"))
        yield* running.printed(new RegExp(`status ${status}`))
      })))
  }

  it.live("has written all of a file", () =>
    scoped(Effect.gen(function*() {
      const { came, output } = yield* through(`"$@" produce < /dev/null > $D/out`)
      assert.include(output, `sum ${sha256(came)}`)
    })))
})

describe("the guard of standard output", () => {
  const ways = ["console.log", "process.stdout.write", "Effect.log", "Console.log", "Stdio", "Terminal"]
  for (const [where, pipe] of [["a pipe", "| cat > $D/out"], ["a file", "> $D/out"]]) {
    it.live(`sends every print to standard error, over ${where}`, () =>
      scoped(Effect.gen(function*() {
        const { came, output, status } = yield* through(`"$@" prints < /dev/null ${pipe}`)
        assert.strictEqual(came.toString(), "protocol")
        for (const when of ["before", "during", "after"]) {
          for (const way of ways) assert.include(output, `${when}: ${way}`)
        }
        assert.strictEqual(status, 0)
      })))
  }

  for (const [where, pipe] of [["a pipe", "| cat > $D/out"], ["a file", "> $D/out"]]) {
    it.live(`comes with a connection, over ${where}`, () =>
      scoped(Effect.gen(function*() {
        const { came, output } = yield* through(`"$@" ownGuard < /dev/null ${pipe}`)
        assert.strictEqual(came.toString(), "protocol")
        for (const way of ways) assert.include(output, `during: ${way}`)
      })))
  }

  it.live("counts its holders, and gives standard output back with the last", () =>
    scoped(Effect.gen(function*() {
      const { came, output } = yield* through(`"$@" guards < /dev/null > $D/out`)
      assert.strictEqual(came.toString(), "out 1\nout 2\n")
      assert.strictEqual(output, "err 1\nerr 2\nerr 3\n")
    })))

  it.live("keeps what is said at the end, where the connection has ended standard output", () =>
    scoped(Effect.gen(function*() {
      const { came, output } = yield* through(`{ "$@" fail < /dev/null; echo "status $?" >&2; } | cat > $D/out`)
      assert.strictEqual(came.toString(), "")
      assert.include(output, "the bug")
      assert.include(output, "status 1")
    })))

  it.live("keeps prints that wait for standard error off standard output when it ends", () =>
    scoped(Effect.gen(function*() {
      const { came, output } = yield* through(`{ "$@" slowPrints bare < /dev/null > $D/out; } 2>&1 | wc -c`)
      assert.strictEqual(came.length, 0)
      assert.include(output, "2000004")
    })))

  it.live("survives prints that standard error does not take", () =>
    scoped(Effect.gen(function*() {
      const { came, status } = yield* through(`"$@" guards < /dev/null > $D/out 2> /dev/full`)
      assert.strictEqual(came.toString(), "out 1\nout 2\n")
      assert.strictEqual(status, 0)
    })))
})

/** Starts the program on descriptors that Python makes; `say` prints. */
const python = (name: string, program: string) =>
  run("python3", [
    "-u",
    "-c",
    `import os, pty, socket, subprocess, sys, termios
def say(*words): print(*words, flush=True)
def start(fd): return subprocess.Popen(sys.argv[1:], stdin=fd, stdout=fd, start_new_session=True)
${program}`,
    ...command,
    ...name.split(" ")
  ])

describeWith(["python3"], "stdio: on pipes that others share", () => {
  it.live("leaves them as they were", () =>
    scoped(Effect.gen(function*() {
      const { output, status } = yield* printed(
        `cat | { "$@" leave; python3 -c 'import os; print("blocking", os.get_blocking(0), os.get_blocking(1))'; } | cat`,
        "abc"
      )
      assert.include(output, "blocking True True")
      assert.include(output, "abc")
      assert.strictEqual(status, 0)
    })))
})

describeWith(["python3"], "stdio: on a terminal", () => {
  for (const name of ["echo", "echo bare"]) {
    it.live(`ends with the end that is typed, and leaves the terminal as it was (${name})`, () =>
      scoped(Effect.gen(function*() {
        const running = yield* python(
          name,
          `
master, slave = pty.openpty(); before = termios.tcgetattr(slave); program = start(slave)
os.write(master, b"hello\\n"); out = b""
while b"hello\\r\\nhello\\r\\n" not in out: out += os.read(master, 1000)
say("echoed"); os.write(master, b"\\x04"); say("status", program.wait())
say("same", termios.tcgetattr(slave) == before, os.get_blocking(slave))
`
        )
        assert.strictEqual(yield* running.exited, 0)
        assert.include(running.output(), "status 0\n")
        assert.include(running.output(), "closed: success\n")
        assert.include(running.output(), "same True True\n")
      })))
  }

  it.live("that is stopped holds up nothing but its writer", () =>
    scoped(Effect.gen(function*() {
      const running = yield* python(
        "stopped",
        `master, slave = pty.openpty(); say("status", start(slave).wait())`
      )
      yield* running.printed(/alive/)
      yield* running.printed(/status 0/)
    })))

  it.live("that goes away ends the input, and is a disconnection to writes", () =>
    scoped(Effect.gen(function*() {
      const running = yield* python(
        "flood",
        `
master, slave = pty.openpty(); program = start(slave); os.close(slave)
os.read(master, 1000); os.close(master); say("status", program.wait())
`
      )
      yield* running.printed(/write: Disconnected: write stdio:: disconnected \(the terminal or device is gone\)/)
      yield* running.printed(/status 7/)
    })))
})

describeWith(["python3"], "stdio: on one socket", () => {
  const tcp = `server = socket.socket(); server.bind(("127.0.0.1", 0)); server.listen()
peer = socket.create_connection(server.getsockname()); ours, _ = server.accept()`
  const unix = `peer, ours = socket.socketpair()`
  for (const [kind, make] of [["TCP", tcp], ["Unix", unix]] as const) {
    it.live(`shows our end while its input goes on (${kind})`, () =>
      scoped(Effect.gen(function*() {
        const running = yield* python(
          "halfClose",
          `
${make}
program = start(ours); ours.close()
data = b""
while True:
  some = peer.recv(1000)
  if not some: break
  data += some
say("got", data); peer.sendall(b"late"); peer.shutdown(socket.SHUT_WR); say("status", program.wait())
`
        )
        yield* running.printed(/got b'question'/)
        yield* running.printed(/read late/)
        yield* running.printed(/closed: success/)
        yield* running.printed(/status 0/)
      })))
  }

  it.live("lets go of both descriptors, so that there is no second one", () =>
    scoped(Effect.gen(function*() {
      const running = yield* python(
        "twice",
        `
${unix}
program = start(ours); ours.close(); peer.sendall(b"abc"); say("got", peer.recv(10)); peer.shutdown(socket.SHUT_WR)
say("then", peer.recv(10)); say("status", program.wait())
`
      )
      yield* running.printed(/second: Busy/)
      yield* running.printed(/third: NotFound/)
      yield* running.printed(/got b'abc'/)
      yield* running.printed(/then b''/)
      yield* running.printed(/status 0/)
    })))

  it.live("needs a stream: datagrams are unsupported", () =>
    scoped(Effect.gen(function*() {
      const running = yield* python(
        "open",
        `say("status", start(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).wait())`
      )
      yield* running.printed(/open: Unsupported: open stdio:: a connection over datagrams is not supported here/)
      yield* running.printed(/status 0/)
    })))

  it.live("shows a reset when we abort, where the socket can", () =>
    scoped(Effect.gen(function*() {
      const running = yield* python(
        "abort bare",
        `
${tcp}
program = start(ours); ours.close(); peer.sendall(b"abc")
try:
  # The reset may overtake the answer.
  while peer.recv(3): pass
  say("end")
except ConnectionResetError: say("reset")
say("status", program.wait())
`
      )
      yield* running.printed(/status 0/)
      assert.match(running.output(), /^reset$/m)
    })))
})

describeWith(["socat"], "stdio: behind a server that starts programs", () => {
  it.live("serves a client of ours", () =>
    scoped(
      Effect.gen(function*() {
        const path = join(yield* folder, "socket")
        const server = yield* run("socat", [
          "-d",
          "-d",
          `UNIX-LISTEN:${path}`,
          `EXEC:${command.map((word) => word.replace(/([:,!'"\\ ])/g, "\\$1")).join(" ")} echo`
        ])
        yield* server.printed(/listening/)
        const { connect } = yield* Network.Network
        const client = (yield* connect(`unix://${path}`)) as Transport.HalfCloseableTransport
        const sent = randomBytes(3_000_000)
        const writing = yield* Effect.forkChild(Effect.andThen(client.write(sent), client.halfClose))
        const came = yield* Transport.readUntilEnd(client)
        yield* Fiber.join(writing)
        assert.strictEqual(sha256(came), sha256(sent))
      }).pipe(Effect.provide(NodeTransport.layerNetwork))
    ))
})

describe("halves of a connection", () => {
  afterAll(dropFifos)

  it.live("that are joined to others leave them the memory with which they wait, where the joining is interrupted", () =>
    scoped(Effect.gen(function*() {
      yield* joinsThroughInterruptions(yield* fifoPair(), yield* fifoPair())
    })))

  it.live("keep no descriptor when they are over", () =>
    scoped(Effect.gen(function*() {
      const free = () => {
        const fd = openSync("/dev/null", "r")
        closeSync(fd)
        return fd
      }
      // The first of all leaves what Node keeps for itself.
      yield* Effect.scoped(fifoPair())
      const before = free()
      for (const end of ["close", "abort"] as const) {
        const [a, b] = yield* fifoPair()
        yield* Effect.all([a[end], b[end]], { concurrency: 2 })
        yield* Effect.all([Effect.exit(a.closed), Effect.exit(b.closed)])
        assert.strictEqual(free(), before)
      }
    })))
})
