import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Logger, Option, References, Result, type Scope } from "effect"
import { Connection, Endpoint, Network, TestTransport, Transport, type TransportError } from "effect-transport"
import { NodeChildProcess, NodeTransport } from "effect-transport/node"
import { randomBytes } from "node:crypto"
import { chmodSync, existsSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setImmediate as nextTurn } from "node:timers/promises"
import { children } from "../support/children.ts"
import { folder } from "../support/folder.ts"
import { leavesNothing } from "../support/residue.ts"
import { describeWith } from "../support/systemPrograms.ts"

const { open } = NodeChildProcess

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

const program = (command: string, ...args: ReadonlyArray<string>): Endpoint.ExecEndpoint => ({
  _tag: "exec",
  command,
  args
})

const sh = (script: string) => program("sh", "-c", script)

/** Nobody is to be hurried: what is waited for comes by itself. */
const patient = { exitGrace: "1 minute", endTimeout: "1 minute", killTimeout: "1 minute" } as const

const soon = { exitGrace: 50, endTimeout: 50, killTimeout: 50 } as const

const opened = (endpoint: Endpoint.ExecEndpoint, child: NodeTransport.ChildOptions = patient, options = {}) =>
  open(endpoint, { ...options, child })

const readAll = (transport: Transport.Transport) => Effect.map(Transport.readUntilEnd(transport), text)

const readText = (transport: Transport.Transport, length: number) =>
  Effect.map(Transport.readExactly(transport, length), text)

const exited = (code: number): NodeChildProcess.ExitStatus => ({ _tag: "Exited", code })
const killed = (signal: NodeJS.Signals): NodeChildProcess.ExitStatus => ({ _tag: "Killed", signal })

const live = <A, E>(name: string, test: Effect.Effect<A, E, Scope.Scope>) =>
  it.live(name, () => Effect.provideService(Effect.scoped(test), References.MinimumLogLevel, "None"))

const failureOf = <A, R>(effect: Effect.Effect<A, TransportError.TransportError, R>) =>
  Effect.map(Effect.flip(effect as Effect.Effect<never, TransportError.TransportError, R>), ({ reason }) => reason)

describe("exec: as a connection", () => {
  live(
    "carries 8 MiB both ways at once",
    Effect.gen(function*() {
      const { exit, transport } = yield* opened(program("cat"))
      const sent = randomBytes(8_388_608)
      const sending = yield* Effect.forkChild(Effect.andThen(transport.write(sent), transport.halfClose))
      const came = yield* Transport.readUntilEnd(transport)
      yield* Fiber.join(sending)
      assert.isTrue(sent.equals(came))
      assert.deepStrictEqual(yield* exit, exited(0))
      yield* transport.closed
    })
  )

  live(
    "gives the arguments as they are, and the folder and variables that it is told to",
    Effect.gen(function*() {
      const args = ["", "two words", "$HOME", "*", "'\"\\"]
      const printed = yield* opened(program("printf", "%s|", ...args))
      assert.strictEqual(yield* readAll(printed.transport), args.map((arg) => `${arg}|`).join(""))
      const { transport } = yield* opened(sh(`pwd; echo "$ET_A, ${"${ET_B-none}"}"`), {
        cwd: "/",
        env: { ET_A: "a b", ET_B: undefined }
      })
      assert.strictEqual(yield* readAll(transport), "/\na b, none\n")
    })
  )

  live(
    "gives arguments as they are through its string as well, and a program whose name needs quotes",
    Effect.gen(function*() {
      const path = yield* folder
      const command = join(path, `a "b" 'c' $d \\ #\n`)
      writeFileSync(command, `#!/bin/sh\nfor arg; do printf '%s\\0' "$arg"; done`, { mode: 0o755 })
      const args = [
        "",
        " ",
        "\n",
        "\t",
        "-",
        "--",
        "'",
        "''",
        "\"",
        "\\",
        "\\\\",
        "a\\",
        "\\'",
        "$(id)",
        "`id`",
        "~",
        "a;b",
        "%s",
        "ü",
        "😀"
      ]
      for (const given of [[], [""], ["", ""], args, args.toReversed(), [args.join("")], [args.join(" ")]]) {
        const endpoint = Endpoint.format(program(command, ...given)) as `exec:${string}`
        const { exit, transport } = yield* open(endpoint, { child: patient })
        assert.strictEqual(yield* readAll(transport), given.map((arg) => `${arg}\0`).join(""))
        assert.deepStrictEqual(yield* exit, exited(0))
      }
    })
  )

  live(
    "is opened by its string over a network, and known by its transport",
    Effect.gen(function*() {
      const { connect } = yield* Network.Network
      const transport = yield* connect(`exec:sh -c 'read line; echo "got $line"; exit 0'`)
      const child = Option.getOrThrow(NodeChildProcess.of(transport))
      assert.isAbove(child.pid, 0)
      yield* transport.write(bytes("it\n"))
      assert.strictEqual(yield* readAll(transport), "got it\n")
      assert.deepStrictEqual(yield* child.exit, exited(0))
      const [other] = yield* TestTransport.pair()
      assert.isTrue(Option.isNone(NodeChildProcess.of(other)))
    }).pipe(Effect.provide(NodeTransport.layerNetwork))
  )
})

describe("exec: that ends", () => {
  const endings: ReadonlyArray<readonly [script: string, status: NodeChildProcess.ExitStatus, detail: string]> = [
    ["exit 3", exited(3), "the program ended with status 3"],
    ["kill -9 $$", killed("SIGKILL"), "the program was ended by SIGKILL"]
  ]
  for (const [script, status, detail] of endings) {
    live(
      `is Disconnected after all of its output, or an end (${script})`,
      Effect.gen(function*() {
        const failing = yield* opened(sh(`head -c 1000000 /dev/zero; ${script}`), patient, { readMark: 100 })
        yield* Transport.readExactly(failing.transport, 1_000_000)
        const reason = yield* failureOf(readAll(failing.transport))
        assert.deepInclude(reason, { _tag: "Disconnected", detail })
        assert.deepStrictEqual(yield* failing.exit, status)
        assert.deepInclude(yield* failureOf(failing.transport.closed), { _tag: "Disconnected", detail })
        const ignoring = yield* opened(sh(`echo out; ${script}`), { ...patient, exitStatus: "ignore" })
        assert.strictEqual(yield* readAll(ignoring.transport), "out\n")
        assert.deepStrictEqual(yield* ignoring.exit, status)
        yield* ignoring.transport.close
        yield* ignoring.transport.closed
      })
    )
  }

  live(
    "before it has read its input fails the writes, a waiting one too, and is read to its end first",
    Effect.gen(function*() {
      const { exit, transport } = yield* opened(sh("read line; echo \"got $line\"; exit 0"))
      const writing = yield* Effect.forkChild(Effect.exit(transport.write(bytes(`it\n${"x".repeat(4_000_000)}`))))
      assert.strictEqual(yield* readAll(transport), "got it\n")
      const written = yield* Fiber.join(writing)
      assert.strictEqual(written._tag === "Failure" && Cause.squash(written.cause) instanceof Error, true)
      assert.strictEqual((yield* failureOf(transport.write(bytes("more"))))._tag, "Reset")
      assert.deepStrictEqual(yield* exit, exited(0))
    })
  )

  live(
    "fails the first write after it, and is closed in peace",
    Effect.gen(function*() {
      const one = yield* opened(program("true"))
      yield* one.exit
      const failing = Effect.forever(Effect.andThen(one.transport.write(bytes("x")), one.transport.flush))
      assert.strictEqual((yield* failureOf(failing))._tag, "Reset")
      const other = yield* opened(program("true"))
      assert.strictEqual(yield* readAll(other.transport), "")
      yield* other.transport.close
      yield* other.transport.closed
    })
  )

  live(
    "by closing its input fails the writes, and is read for as long as it speaks",
    Effect.gen(function*() {
      const cwd = yield* folder
      const { exit, transport } = yield* opened(
        sh("exec <&-; echo closed; until [ -e go ]; do sleep 0.01; done; head -c 1000000 /dev/zero; echo last"),
        { ...patient, cwd, exitGrace: 0 },
        { readMark: 100 }
      )
      assert.strictEqual(yield* readText(transport, 7), "closed\n")
      const refused = yield* Effect.flip(Effect.andThen(transport.write(bytes("x")), transport.flush))
      assert.strictEqual(refused.reason._tag, "Reset")
      for (const length of [1, 100_000]) {
        const { delivery, reason } = yield* Effect.flip(transport.write(new Uint8Array(length)))
        assert.deepStrictEqual([reason._tag, delivery], ["Reset", "NotSent"])
      }
      assert.strictEqual((yield* failureOf(transport.halfClose))._tag, "Reset")
      writeFileSync(join(cwd, "go"), "")
      const came = yield* readAll(transport)
      assert.deepStrictEqual([came.length, came.slice(-5)], [1_000_005, "last\n"])
      assert.deepStrictEqual(yield* exit, exited(0))
      assert.strictEqual((yield* failureOf(transport.closed))._tag, "Reset")
    })
  )

  live(
    "by closing its input, and then with a status, says the status",
    Effect.gen(function*() {
      const cwd = yield* folder
      const { transport } = yield* opened(
        sh("exec <&-; echo closed; until [ -e go ]; do sleep 0.01; done; exit 3"),
        { ...patient, cwd }
      )
      yield* readText(transport, 7)
      yield* Effect.flip(Effect.andThen(transport.write(bytes("x")), transport.flush))
      const waiting = yield* Effect.forkChild(failureOf(transport.closed), { startImmediately: true })
      writeFileSync(join(cwd, "go"), "")
      const detail = "the program ended with status 3"
      assert.deepInclude(yield* failureOf(readAll(transport)), { _tag: "Disconnected", detail })
      assert.deepInclude(yield* Fiber.join(waiting), { _tag: "Disconnected", detail })
      assert.deepInclude(yield* failureOf(transport.write(bytes("x"))), { _tag: "Disconnected", detail })
    })
  )

  live(
    "by closing its input is closed, aborted and left like any other",
    Effect.gen(function*() {
      const refused = Effect.gen(function*() {
        const child = yield* opened(sh("exec <&-; echo closed; exec sleep 1000"), { ...patient, endTimeout: 0 })
        yield* readText(child.transport, 7)
        yield* Effect.flip(Effect.andThen(child.transport.write(bytes("x")), child.transport.flush))
        return child
      })
      const one = yield* refused
      const reading = yield* Effect.forkChild(failureOf(readAll(one.transport)), { startImmediately: true })
      assert.strictEqual((yield* failureOf(one.transport.close))._tag, "Reset")
      assert.strictEqual((yield* Fiber.join(reading))._tag, "Closed")
      assert.deepStrictEqual(yield* one.exit, killed("SIGTERM"))
      const other = yield* refused
      yield* other.transport.abort
      assert.strictEqual((yield* failureOf(other.transport.closed))._tag, "Closed")
      const { exit } = yield* Effect.scoped(refused)
      assert.deepStrictEqual(yield* exit, killed("SIGTERM"))
    })
  )

  live(
    "by closing its output is an end of input, and can still be written to",
    Effect.gen(function*() {
      const { exit, outputEnded, stderr, transport } = yield* opened(sh("exec >&-; wc -c >&2"), {
        ...patient,
        exitGrace: 50,
        stderr: "keep"
      })
      assert.strictEqual(yield* readAll(transport), "")
      yield* outputEnded
      yield* transport.write(bytes("12345"))
      yield* transport.halfClose
      assert.deepStrictEqual(yield* exit, exited(0))
      yield* transport.closed
      assert.strictEqual(text(yield* stderr).trim(), "5")
    })
  )

  live(
    "loses no output that comes after the exit",
    Effect.gen(function*() {
      // Another process waits for the end of the input, which comes when the program has exited.
      const { exit, transport } = yield* opened(sh("exec 3<&0; (cat <&3; echo late) & echo early"))
      assert.deepStrictEqual(yield* exit, exited(0))
      assert.strictEqual(yield* readAll(transport), "early\nlate\n")
    })
  )

  live(
    "loses no output that came while nobody could look, for longer than it waits",
    Effect.gen(function*() {
      const path = yield* folder
      const { exit, transport } = yield* opened(
        sh(`cd ${path}; (until [ -e go ]; do sleep 0.01; done; printf late; touch gone) & printf early`),
        { ...patient, exitGrace: 500 }
      )
      assert.deepStrictEqual(yield* exit, exited(0))
      yield* Effect.yieldNow
      // As a program does that is busy, or was stopped for a while.
      writeFileSync(join(path, "go"), "")
      const cell = new Int32Array(new SharedArrayBuffer(4))
      while (!existsSync(join(path, "gone"))) Atomics.wait(cell, 0, 0, 10)
      Atomics.wait(cell, 0, 0, 600)
      assert.strictEqual(yield* readAll(transport), "earlylate")
    })
  )

  describe("while its output is on its way elsewhere", () => {
    /** Of what the script prints by `cat bytes` two pieces are taken, of which one is stuck, and the rest is in the kernel. */
    const stuck = Effect.fnUntraced(function*(script: string) {
      const cwd = yield* folder
      const sent = randomBytes(170_000)
      writeFileSync(join(cwd, "bytes"), sent)
      const child = yield* opened(sh(script), { ...patient, cwd })
      const [near, far] = yield* TestTransport.pair()
      const copying = yield* Effect.forkChild(Connection.copy(child.transport, near, { endOnDone: "halfClose" }))
      return { ...child, copying, cwd, far, sent }
    })
    const turns = Effect.repeat(Effect.promise(() => nextTurn()), { times: 5 })

    live(
      "leaves that alone by its exit",
      Effect.gen(function*() {
        const { copying, exit, far, sent } = yield* stuck("cat bytes")
        assert.deepStrictEqual(yield* exit, exited(0))
        yield* turns
        assert.isTrue(sent.equals(yield* Transport.readUntilEnd(far)))
        yield* Fiber.join(copying)
      })
    )

    live(
      "leaves that alone by closing its input",
      Effect.gen(function*() {
        const { copying, cwd, far, sent, transport } = yield* stuck("exec <&-; cat bytes; touch gone; exec sleep 1000")
        while (!existsSync(join(cwd, "gone"))) yield* turns
        const writing = yield* Effect.forkChild(Effect.exit(transport.write(bytes("x"))))
        yield* turns
        assert.isTrue(sent.equals(yield* Transport.readExactly(far, sent.length)))
        yield* transport.abort
        yield* Fiber.join(writing)
        yield* Fiber.interrupt(copying)
      })
    )
  })

  live(
    "does not wait for another that holds its output",
    Effect.gen(function*() {
      const { exit, outputEnded, transport } = yield* opened(sh("sleep 1000 & echo $!"), {
        ...soon,
        stderr: "keep"
      })
      const pid = Number(yield* readAll(transport))
      yield* Effect.addFinalizer(() => Effect.sync(() => process.kill(pid)))
      assert.deepStrictEqual(yield* exit, exited(0))
      yield* outputEnded
      yield* transport.close
      yield* transport.closed
    })
  )
})

describeWith(["python3"], "exec: with python3", () => {
  live(
    "gets what is said after the end of the input",
    Effect.gen(function*() {
      const { transport } = yield* opened(program("python3", "-c", "import sys; print(len(sys.stdin.read()))"))
      yield* transport.writeAll([bytes("a".repeat(100_000)), bytes("b")])
      yield* transport.halfClose
      assert.strictEqual(yield* readAll(transport), "100001\n")
    })
  )
})

describe("exec: that is ended", () => {
  live(
    "by close ends by itself where the end of its input is enough",
    Effect.gen(function*() {
      const { exit, transport } = yield* opened(sh("cat >/dev/null; head -c 1000000 /dev/zero; exit 5"))
      yield* transport.write(bytes("x"))
      yield* transport.close
      yield* transport.closed
      assert.deepStrictEqual(yield* exit, exited(5))
    })
  )

  const linger = { linger: { duration: 0 } }

  live(
    "by close gets SIGTERM, and SIGKILL where that is not enough",
    Effect.gen(function*() {
      const one = yield* opened(program("sleep", "1000"), { ...patient, endTimeout: 50 }, linger)
      yield* one.transport.close
      assert.deepStrictEqual(yield* one.exit, killed("SIGTERM"))
      const deaf = yield* opened(sh("trap '' TERM; echo ready; exec sleep 1000"), soon, linger)
      yield* readText(deaf.transport, 6)
      yield* deaf.transport.close
      assert.deepStrictEqual(yield* deaf.exit, killed("SIGKILL"))
    })
  )

  live(
    "by abort gets SIGTERM at once, and SIGKILL where that is not enough",
    Effect.gen(function*() {
      const polite = yield* opened(sh("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done"))
      yield* readText(polite.transport, 6)
      yield* polite.transport.abort
      assert.deepStrictEqual(yield* polite.exit, exited(7))
      const deaf = yield* opened(sh("trap '' TERM; echo ready; exec sleep 1000"), { ...patient, killTimeout: 50 })
      yield* readText(deaf.transport, 6)
      yield* deaf.transport.abort
      assert.deepStrictEqual(yield* deaf.exit, killed("SIGKILL"))
    })
  )

  live(
    "by a signal of ours is Disconnected",
    Effect.gen(function*() {
      const { exit, kill, transport } = yield* opened(program("sleep", "1000"))
      assert.strictEqual((yield* failureOf(kill("SIGNONE" as NodeJS.Signals)))._tag, "InvalidOption")
      yield* kill("SIGUSR1")
      assert.strictEqual((yield* failureOf(readAll(transport)))._tag, "Disconnected")
      assert.deepStrictEqual(yield* exit, killed("SIGUSR1"))
      yield* kill()
    })
  )

  const before = children()

  live(
    "by its scope is gone when that is over, however it ended",
    Effect.gen(function*() {
      const deaf = sh("trap '' TERM; echo ready; exec sleep 1000")
      for (const end of [Effect.void, Effect.fail("no"), Effect.interrupt]) {
        const using = Effect.gen(function*() {
          const { transport } = yield* opened(deaf, soon, linger)
          yield* readText(transport, 6)
          yield* end
        })
        yield* Effect.exit(Effect.scoped(using))
        assert.deepStrictEqual(children(), before)
      }
    })
  )

  live(
    "while it is opened is not left behind",
    Effect.gen(function*() {
      for (let steps = 0; steps < 30; steps++) {
        const opening = yield* Effect.forkChild(
          Effect.scoped(Effect.andThen(opened(program("sleep", "1000")), Effect.never)),
          { startImmediately: steps % 2 === 0 }
        )
        for (let i = 0; i < steps / 2; i++) yield* Effect.yieldNow
        yield* Fiber.interrupt(opening)
      }
      assert.deepStrictEqual(children(), before)
    })
  )

  const descriptors = "/proc/self/fd"

  const held = () =>
    [
      ...process.getActiveResourcesInfo().filter((name) => /Pipe|Process/.test(name)),
      ...(existsSync(descriptors) ? [`${readdirSync(descriptors).length} descriptors`] : []),
      ...children()
    ].toSorted()

  // The test runner has some, which come and go.
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length

  it.live(
    "leaves nothing, 200 times by every ending",
    () =>
      Effect.gen(function*() {
        const stderr = { ...patient, stderr: "keep" } as const
        const endings: ReadonlyArray<Effect.Effect<unknown, unknown, Scope.Scope>> = [
          Effect.flatMap(opened(program("cat"), stderr), ({ transport }) => transport.close),
          Effect.flatMap(opened(program("cat"), stderr), ({ transport }) => transport.abort),
          Effect.flatMap(opened(program("true"), stderr), ({ transport }) => readAll(transport)),
          Effect.flatMap(opened(program("false"), stderr), ({ transport }) => readAll(transport)),
          Effect.flatMap(opened(program("cat"), stderr), ({ kill }) => kill("SIGKILL")),
          Effect.andThen(opened(program("cat"), stderr), Effect.interrupt),
          opened(program("no-such-program"), stderr)
        ]
        const cycle = Effect.forEach(endings, (ending) => Effect.exit(Effect.scoped(ending)), {
          concurrency: "unbounded"
        })
        // One turn of Node, in which it closes what was destroyed.
        const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
        const settled = Effect.andThen(turn, turn)
        yield* Effect.andThen(cycle, settled)
        const atFirst = held()
        const timersAtFirst = timers()
        for (let i = 0; i < 200; i += endings.length) yield* cycle
        yield* settled
        assert.deepStrictEqual(held(), atFirst)
        assert.isAtMost(timers(), timersAtFirst + 1)
      }).pipe(Effect.provideService(References.MinimumLogLevel, "None")),
    60_000
  )
})

describe("exec: many at once", () => {
  const before = children()

  live(
    "a hundred that live together are each heard to the end, and none is left",
    Effect.gen(function*() {
      const script = "read line; echo \"got $line\"; cat >/dev/null; echo \"late $1\"; exit $1"
      const numbers = Array.from({ length: 100 }, (_, i) => i)
      const using = Effect.gen(function*() {
        const all = yield* Effect.forEach(numbers, (i) => opened(program("sh", "-c", script, "sh", String(i))))
        // Not before all are there: each of them has got a descriptor of every other, were it not closed in it.
        const seen = yield* Effect.forEach(all, ({ exit, outputEnded, transport }, i) =>
          Effect.gen(function*() {
            yield* transport.write(bytes(`${i}\n`))
            assert.strictEqual(yield* readText(transport, `got ${i}\n`.length), `got ${i}\n`)
            yield* transport.halfClose
            const rest = `late ${i}\n`
            assert.strictEqual(yield* readText(transport, rest.length), rest)
            const how = yield* Effect.exit(readAll(transport))
            assert.strictEqual(how._tag, i === 0 ? "Success" : "Failure")
            yield* outputEnded
            yield* Effect.exit(transport.closed)
            return yield* exit
          }), { concurrency: "unbounded" })
        assert.deepStrictEqual(seen, numbers.map(exited))
      })
      yield* Effect.scoped(using)
      assert.deepStrictEqual(children(), before)
    })
  )

  it.live("a storm of those that end at once leaves nothing, and no end of any is missed", () =>
    Effect.provideService(
      leavesNothing(200, (i) =>
        Effect.scoped(Effect.gen(function*() {
          const { exit, outputEnded, stderr, transport } = yield* opened(sh(`printf ${i} >&2; exit ${i % 2}`), {
            ...patient,
            stderr: "keep"
          })
          // What they are waited for by, and whether at all, must make no difference.
          const ends = [
            exit,
            outputEnded,
            Effect.exit(transport.close),
            Effect.exit(readAll(transport)),
            transport.abort
          ]
          yield* ends[i % ends.length]!
          if (i % 3 === 0) return
          const status = yield* exit
          assert.isTrue(status._tag === "Killed" || status.code === i % 2)
          yield* Effect.exit(transport.close)
          if (i % ends.length < 4) assert.strictEqual(text(yield* stderr), String(i))
        }))),
      References.MinimumLogLevel,
      "None"
    ), 60_000)

  live(
    "interrupted at any step between their start and their first bytes, are not left behind",
    Effect.gen(function*() {
      for (let steps = 0; steps < 60; steps++) {
        const using = yield* Effect.forkChild(
          Effect.scoped(Effect.gen(function*() {
            const { transport } = yield* opened(sh("trap '' TERM; exec cat"), soon)
            yield* transport.write(bytes("x".repeat(100_000)))
            yield* Transport.readExactly(transport, 200_000)
          })),
          { startImmediately: steps % 2 === 0 }
        )
        for (let i = 0; i < steps; i++) yield* steps % 3 === 0 ? Effect.promise(() => nextTurn()) : Effect.yieldNow
        yield* Fiber.interrupt(using)
      }
      assert.deepStrictEqual(children(), before)
    })
  )
})

describe("exec: with another that has inherited", () => {
  live(
    "its output, which stays with the other: input ends all the same, and the other is not told to end",
    Effect.gen(function*() {
      const cwd = yield* folder
      // It writes on to where nobody reads any more, and says by a file that it was not killed.
      const script = "(trap '' PIPE; until [ -e go ]; do sleep 0.01; done; echo late; : > done) & echo $!"
      const { exit, transport } = yield* opened(sh(script), { ...soon, cwd, stderr: "ignore" })
      const pid = Number(yield* readAll(transport))
      assert.isAbove(pid, 0)
      assert.deepStrictEqual(yield* exit, exited(0))
      yield* transport.close
      yield* transport.closed
      writeFileSync(join(cwd, "go"), "")
      while (!existsSync(join(cwd, "done"))) yield* Effect.promise(() => nextTurn())
    })
  )

  live(
    "its input: what is written after its exit is refused by name, and the other is still heard",
    Effect.gen(function*() {
      const cwd = yield* folder
      const script = "exec 3<&0; (until [ -e go ]; do sleep 0.01; done; cat <&3; echo heard) & echo gone"
      const { exit, transport } = yield* opened(sh(script), { ...patient, cwd })
      assert.strictEqual(yield* readText(transport, 5), "gone\n")
      assert.deepStrictEqual(yield* exit, exited(0))
      const refused = yield* Effect.flip(Effect.andThen(transport.write(bytes("lost")), transport.flush))
      assert.strictEqual(refused.reason._tag, "Reset")
      writeFileSync(join(cwd, "go"), "")
      assert.strictEqual(yield* readAll(transport), "heard\n")
      assert.strictEqual((yield* failureOf(transport.closed))._tag, "Reset")
    })
  )
})

describe("exec: standard error", () => {
  const noisy = sh("head -c 1000000 /dev/zero | tr '\\0' 'e' >&2; printf last >&2; echo done")

  for (const stderr of ["ignore", "keep"] as const) {
    live(
      `never blocks the program (${stderr})`,
      Effect.gen(function*() {
        const child = yield* opened(noisy, { ...patient, stderr })
        assert.strictEqual(yield* readAll(child.transport), "done\n")
        yield* child.transport.close
        const kept = text(yield* child.stderr)
        assert.strictEqual(kept.length, stderr === "keep" ? 65_536 : 0)
        assert.isTrue(kept.endsWith(stderr === "keep" ? "elast" : ""))
      })
    )
  }

  live(
    "goes to a function piece by piece",
    Effect.gen(function*() {
      let came = 0
      const child = yield* opened(noisy, {
        ...patient,
        stderr: (chunk) => {
          came += chunk.length
        }
      })
      yield* readAll(child.transport)
      yield* child.transport.close
      assert.strictEqual(came, 1_000_004)
    })
  )

  const failing: Record<string, (chunk: Uint8Array) => void | Promise<void>> = {
    throws: () => {
      throw new Error("the user's own")
    },
    rejects: () => Promise.reject(new Error("the user's own"))
  }
  for (const [how, fail] of Object.entries(failing)) {
    live(
      `goes no more to a function that ${how}, which is logged once and harms nothing`,
      Effect.gen(function*() {
        const logged: Array<string> = []
        const logger = Logger.make<unknown, void>(({ cause, logLevel }) => {
          logged.push(`${logLevel} ${Cause.pretty(cause)}`)
        })
        yield* Effect.gen(function*() {
          let calls = 0
          const child = yield* opened(sh("printf one >&2; read line; printf two >&2; echo done"), {
            ...patient,
            stderr: (chunk) => {
              calls++
              return fail(chunk)
            }
          })
          while (logged.length === 0) yield* Effect.promise(() => nextTurn())
          yield* child.transport.write(bytes("go on\n"))
          assert.strictEqual(yield* readAll(child.transport), "done\n")
          yield* child.transport.close
          assert.strictEqual(text(yield* child.stderr), "onetwo")
          assert.strictEqual(calls, 1)
          assert.strictEqual(logged.length, 1)
          assert.match(logged[0]!, /^Error Error: the user's own/)
        }).pipe(Effect.provide(Logger.layer([logger])), Effect.provideService(References.MinimumLogLevel, "All"))
      })
    )
  }

  live(
    "goes to the log line by line, and the last one without its end",
    Effect.gen(function*() {
      const lines: Array<unknown> = []
      const logger = Logger.make<unknown, void>(({ message }) => {
        lines.push(Array.isArray(message) ? message[0] : message)
      })
      yield* Effect.gen(function*() {
        const script = `printf 'one\\ntw' >&2; printf 'o\\n%05000d\\nend' 1 >&2`
        const child = yield* opened(sh(script), { ...patient, stderr: "log" })
        yield* readAll(child.transport)
        yield* child.transport.close
      }).pipe(Effect.provide(Logger.layer([logger])), Effect.provideService(References.MinimumLogLevel, "All"))
      assert.deepStrictEqual(lines, ["sh: one", "sh: two", `sh: ${"0".repeat(4096)}`, "sh: end"])
    })
  )
})

describe("exec: that cannot be opened", () => {
  live(
    "says what is missing, what is not allowed, and what is too long",
    Effect.gen(function*() {
      const path = yield* folder
      const file = (name: string, content: string, mode: number) => {
        writeFileSync(join(path, name), content)
        chmodSync(join(path, name), mode)
      }
      file("plain", "echo", 0o644)
      file("interpreted", "#!/no/such/interpreter\n", 0o755)
      const cases: ReadonlyArray<readonly [Endpoint.ExecEndpoint, NodeTransport.ChildOptions, object]> = [
        [program("no-such-program"), {}, { _tag: "NotFound", what: "no-such-program" }],
        [program("./no-such"), { cwd: path }, { _tag: "NotFound", what: "./no-such" }],
        [program("cat"), { cwd: `${path}/no` }, { _tag: "NotFound", what: `the folder ${path}/no` }],
        [program("cat"), { cwd: `${path}/plain` }, { _tag: "NotFound", what: `the folder ${path}/plain` }],
        [program("./interpreted"), { cwd: path }, { _tag: "NotFound", what: "the interpreter of ./interpreted" }],
        [program("./plain/x"), { cwd: path }, { _tag: "NotFound", what: "./plain/x" }],
        [program("./plain"), { cwd: path }, { _tag: "PermissionDenied" }],
        [program(path), {}, { _tag: "PermissionDenied" }],
        [program("cat", "x".repeat(10_000_000)), {}, { _tag: "InvalidOption", field: "endpoint.args" }]
      ]
      for (const [endpoint, child, expected] of cases) {
        assert.deepInclude(yield* failureOf(opened(endpoint, child)), expected)
      }
    })
  )

  live(
    "runs or refuses what is executable and of no known format, and never hangs on it",
    Effect.gen(function*() {
      const path = yield* folder
      const file = (name: string, content: string) => {
        writeFileSync(join(path, name), content, { mode: 0o755 })
        return Effect.flatMap(
          opened(program(`./${name}`), { ...patient, cwd: path, stderr: "ignore" }),
          ({ transport }) => readAll(transport)
        )
      }
      // Most C libraries give such a file to a shell, which runs the one and not the other.
      const script = yield* Effect.result(file("script", "echo from a script\n"))
      if (Result.isSuccess(script)) assert.strictEqual(script.success, "from a script\n")
      else assert.strictEqual(script.failure.reason._tag, "Unsupported")
      const garbage = yield* failureOf(file("garbage", "\x7fELF\0\x01\x02 no program"))
      assert.include(["Disconnected", "Unsupported"], garbage._tag)
    })
  )

  live(
    "refuses wrong options by name, before anything is started",
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [child: unknown, field: string]> = [
        ["cwd", "child"],
        [{ cwd: 1 }, "child.cwd"],
        [{ cwd: "a\0" }, "child.cwd"],
        [{ env: "A=1" }, "child.env"],
        [{ env: { "A=B": "1" } }, "child.env"],
        [{ env: { "": "1" } }, "child.env"],
        [{ env: { A: 1 } }, "child.env.A"],
        [{ stderr: "pipe" }, "child.stderr"],
        [{ endTimeout: -1 }, "child.endTimeout"],
        [{ killTimeout: Infinity }, "child.killTimeout"],
        [{ exitGrace: "soon" }, "child.exitGrace"],
        [{ exitStatus: true }, "child.exitStatus"]
      ]
      for (const [child, field] of cases) {
        const reason = yield* failureOf(open("exec:cat", { child: child as NodeTransport.ChildOptions }))
        assert.deepInclude(reason, { _tag: "InvalidOption", field })
      }
      assert.deepInclude(yield* failureOf(open("tcp://a:1" as "exec:a")), { field: "endpoint._tag" })
      assert.deepInclude(yield* failureOf(open("exec:'")), { field: "endpoint.command" })
    })
  )
})

describe("NodeChildProcess", () => {
  it("has these names", () => {
    assert.deepStrictEqual(Object.keys(NodeChildProcess).toSorted(), ["of", "open"])
  })
})
