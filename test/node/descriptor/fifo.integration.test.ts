import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, type Scope } from "effect"
import { Network, Transport } from "effect-transport"
import { NodeTransport } from "effect-transport/node"
import { createHash, randomBytes } from "node:crypto"
import { chmodSync, closeSync, constants, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { readFile } from "node:fs/promises"
import * as Net from "node:net"
import { join } from "node:path"
import { failureOf, held, holdsNoMoreThan, turn } from "../../support/descriptors.ts"
import { dropFifos, takeFifo } from "../../support/fifos.ts"
import { folder } from "../../support/folder.ts"
import { run } from "../../support/programs.ts"
import { describeWith } from "../../support/systemPrograms.ts"

afterAll(dropFifos)

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")
const bytes = (text: string) => new TextEncoder().encode(text)
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

const connect = (endpoint: string, options?: NodeTransport.NodeOptions) =>
  Effect.flatMap(Network.Network, (network) => network.connect(endpoint, options as Transport.TransportOptions))

const test = (name: string, effect: () => Effect.Effect<void, unknown, Network.Network | Scope.Scope>) =>
  it.live(name, () => Effect.scoped(effect()).pipe(Effect.provide(NodeTransport.layerNetwork)))

const shell = (script: string) => run("sh", ["-c", script])

/** Opened here, by hand. */
const openHere = (path: string, flags: number) =>
  Effect.acquireRelease(
    Effect.sync(() => openSync(path, flags | constants.O_NONBLOCK)),
    (fd) => Effect.sync(() => closeSync(fd))
  )

describe("fifo: with programs of others", () => {
  const peers: ReadonlyArray<readonly [program: string, script: (from: string, to: string) => string]> = [
    ["cat", (from, to) => `cat < ${from} > ${to}`],
    ["cat that opens them in the other order", (from, to) => `exec > ${to}; cat ${from}`],
    ["dd", (from, to) => `dd if=${from} of=${to} bs=65536 2> /dev/null`]
  ]
  const carries = (program: string, script: (from: string, to: string) => string) =>
    test(`carries 8 MiB both ways through ${program}`, () =>
      Effect.gen(function*() {
        const [there, back] = [takeFifo(), takeFifo()]
        const peer = yield* shell(script(there, back))
        const transport = yield* connect(`fifo:?read=${back}&write=${there}`)
        assert.isTrue(Transport.isHalfCloseable(transport))
        const sent = randomBytes(8_388_608)
        const sending = yield* Effect.forkScoped(
          Effect.andThen(transport.write(sent), (transport as Transport.HalfCloseableTransport).halfClose)
        )
        assert.strictEqual(sha256(yield* Transport.readUntilEnd(transport)), sha256(sent))
        yield* Fiber.join(sending)
        yield* transport.closed
        assert.strictEqual(yield* peer.exited, 0)
      }))
  for (const [program, script] of peers) carries(program, script)
  describeWith(["socat"], "socat", () => {
    carries("socat", (from, to) => `socat -u OPEN:${from},rdonly OPEN:${to},wronly`)
  })

  test("two that open two pipes crosswise talk, half-close and end", () =>
    Effect.gen(function*() {
      const [a, b] = [takeFifo(), takeFifo()]
      const side = (endpoint: string, hello: string) =>
        Effect.gen(function*() {
          const transport = yield* connect(endpoint)
          yield* transport.write(bytes(hello))
          yield* (transport as Transport.HalfCloseableTransport).halfClose
          return text(yield* Transport.readUntilEnd(transport))
        })
      assert.deepStrictEqual(
        yield* Effect.all([side(`fifo:?read=${a}&write=${b}`, "one"), side(`fifo:?read=${b}&write=${a}`, "two")], {
          concurrency: 2
        }),
        ["two", "one"]
      )
    }))
})

describe("fifo: one way", () => {
  test("what is only read cannot be written to, and what is only written ends at once", () =>
    Effect.gen(function*() {
      const path = takeFifo()
      const [reader, writer] = yield* Effect.all([connect(`fifo:?read=${path}`), connect(`fifo:?write=${path}`)], {
        concurrency: 2
      })
      const refused = yield* failureOf(reader.write(bytes("x")))
      assert.strictEqual(refused.reason._tag, "Closed")
      assert.strictEqual(refused.delivery, "NotSent")
      assert.strictEqual((yield* Transport.readUntilEnd(writer)).length, 0)
      yield* writer.write(bytes("still"))
      yield* writer.close
      assert.strictEqual(text(yield* Transport.readUntilEnd(reader)), "still")
      yield* reader.closed
    }))

  test("what came before the first read is kept, also from a writer that has left", () =>
    Effect.gen(function*() {
      const path = takeFifo()
      const peer = yield* shell(`printf early > ${path}`)
      const reader = yield* connect(`fifo:?read=${path}`)
      yield* peer.exited
      yield* turn
      assert.strictEqual(text(yield* Transport.readUntilEnd(reader)), "early")
    }))

  test("a writer that left before it wrote anything is an end", () =>
    Effect.gen(function*() {
      const path = takeFifo()
      const opening = yield* Effect.forkScoped(connect(`fifo:?read=${path}`))
      assert.strictEqual(yield* (yield* shell(`: > ${path}`)).exited, 0)
      assert.strictEqual((yield* Transport.readUntilEnd(yield* Fiber.join(opening))).length, 0)
    }))

  test("a writer that has nothing to say yet is there all the same, and its end comes with it", () =>
    Effect.gen(function*() {
      const path = takeFifo()
      const peer = yield* shell(`exec > ${path}; read go`)
      const reader = yield* connect(`fifo:?read=${path}`)
      peer.child.stdin!.end("\n")
      assert.strictEqual((yield* Transport.readUntilEnd(reader)).length, 0)
    }))
})

describe("fifo: that breaks", () => {
  test("in one direction, by a reader that goes away, is read on to the end of the other", () =>
    Effect.gen(function*() {
      const [a, b] = [takeFifo(), takeFifo()]
      const peer = yield* shell(
        `exec 3> ${a}; head -c 10 < ${b} > /dev/null; echo gone; read go; head -c 300000 /dev/zero >&3`
      )
      const transport = yield* connect(`fifo:?read=${a}&write=${b}`)
      yield* transport.write(new Uint8Array(10))
      yield* peer.printed(/gone/)
      const broken = yield* failureOf(Effect.forever(transport.write(new Uint8Array(10_000))))
      assert.strictEqual(broken.reason._tag, "Reset")
      peer.child.stdin!.end("\n")
      assert.strictEqual((yield* Transport.readUntilEnd(transport)).length, 300_000)
      assert.strictEqual((yield* failureOf(transport.closed)).reason._tag, "Reset")
      assert.strictEqual(yield* peer.exited, 0)
    }))

  test("by a reader that goes away is a Reset", () =>
    Effect.gen(function*() {
      const path = takeFifo()
      const peer = yield* shell(`head -c 10 < ${path} > /dev/null`)
      const writer = yield* connect(`fifo:?write=${path}`)
      yield* writer.write(new Uint8Array(10))
      assert.strictEqual(yield* peer.exited, 0)
      const broken = yield* failureOf(Effect.forever(writer.write(new Uint8Array(10_000))))
      assert.strictEqual(broken.reason._tag, "Reset")
      assert.strictEqual(
        (yield* failureOf(writer.closed)).message,
        `close fifo:?write=${path}: the peer reset the connection`
      )
    }))

  test("by a reader that goes away while a write waits is a Reset too", () =>
    Effect.gen(function*() {
      const path = takeFifo()
      const peer = yield* shell(`exec < ${path}; read line; echo got; exec sleep 60`)
      const writer = yield* connect(`fifo:?write=${path}`)
      yield* writer.write(bytes("line\n"))
      yield* peer.printed(/got/)
      const waiting = yield* Effect.forkScoped(failureOf(writer.write(new Uint8Array(1_048_576))))
      yield* turn
      peer.child.kill("SIGKILL")
      assert.strictEqual((yield* Fiber.join(waiting)).reason._tag, "Reset")
    }))
})

describe("fifo: with nobody at the other end", () => {
  for (const query of [["read"], ["write"], ["read", "write"]]) {
    test(`is TimedOut (${query.join(" and ")}), and leaves nothing`, () =>
      Effect.gen(function*() {
        const endpoint = `fifo:?${query.map((mode) => `${mode}=${takeFifo()}`).join("&")}`
        const before = held()
        const error = yield* failureOf(Effect.scoped(connect(endpoint, { connectTimeout: "50 millis" })))
        assert.strictEqual(error.message, `open ${endpoint}: the time limit for connect passed`)
        yield* holdsNoMoreThan(before)
      }))
  }

  test("can be interrupted with one of two ends open, which is closed then", () =>
    Effect.gen(function*() {
      const [a, b] = [takeFifo(), takeFifo()]
      const opening = yield* Effect.forkScoped(Effect.scoped(connect(`fifo:?read=${a}&write=${b}`)))
      // It is open to read: somebody who writes there can come.
      const peer = yield* shell(`trap '' PIPE; exec > ${a}; echo here >&2; read go; echo lost || echo gone >&2`)
      yield* peer.printed(/here/)
      yield* Fiber.interrupt(opening)
      peer.child.stdin!.end("\n")
      yield* peer.printed(/gone/)
    }))

  test("takes no thread of Node's pool, however many wait", () =>
    Effect.gen(function*() {
      const waiting = yield* Effect.forEach(
        Array.from({ length: 32 }),
        () => Effect.forkScoped(Effect.scoped(connect(`fifo:?read=${takeFifo()}&write=${takeFifo()}`)))
      )
      yield* Effect.promise(() => Promise.all(Array.from({ length: 8 }, () => readFile(import.meta.filename))))
      yield* Fiber.interruptAll(waiting)
    }))

  test("is not waited for with no time, and nothing is opened", () =>
    Effect.gen(function*() {
      const error = yield* failureOf(Effect.scoped(connect("fifo:?read=/nowhere", { connectTimeout: 0 })))
      assert.strictEqual(error.reason._tag, "TimedOut")
    }))
})

describe("fifo: whose path changes while it is waited for", () => {
  for (const mode of ["read", "write"]) {
    const change = (to: string, change: (path: string) => void, reason: string, message: (path: string) => string) =>
      test(`${to}: is ${reason} at once (${mode}), and leaves nothing`, () =>
        Effect.gen(function*() {
          const path = takeFifo()
          const before = held()
          const opening = yield* Effect.forkScoped(
            failureOf(Effect.scoped(connect(`fifo:?${mode}=${path}`, { connectTimeout: "10 minutes" }))),
            { startImmediately: true }
          )
          yield* Effect.andThen(turn, turn)
          change(path)
          const error = yield* Fiber.join(opening)
          assert.strictEqual(error.reason._tag, reason)
          assert.strictEqual(error.message, `open fifo:?${mode}=${path}: ${message(path)}`)
          yield* holdsNoMoreThan(before)
          rmSync(path, { force: true, recursive: true })
        }))
    change("is removed", (path) => rmSync(path), "NotFound", (path) => `${path} does not exist`)
    const makeFile = (path: string) => writeFileSync(path, "")
    for (const [what, make] of [["a file", makeFile], ["a folder", mkdirSync]] as const) {
      change(
        `becomes ${what}`,
        (path) => {
          rmSync(path)
          make(path)
        },
        "InvalidOption",
        (path) => `endpoint.${mode} must be the path of a pipe, and is "${path}"`
      )
    }
  }

  for (const [mode, other] of [["read", "write"], ["write", "read"]]) {
    test(`another pipe: is connected with whoever is there (${mode})`, () =>
      Effect.gen(function*() {
        const [path, next] = [takeFifo(), takeFifo()]
        const opening = yield* Effect.forkScoped(connect(`fifo:?${mode}=${path}`), { startImmediately: true })
        yield* Effect.andThen(turn, turn)
        renameSync(next, path)
        const there = yield* connect(`fifo:?${other}=${path}`)
        const here = yield* Fiber.join(opening)
        const [reader, writer] = mode === "read" ? [here, there] : [there, here]
        yield* Effect.andThen(writer!.write(bytes("found")), writer!.close)
        assert.strictEqual(text(yield* Transport.readUntilEnd(reader!)), "found")
      }))
  }

  test("with the other end open already: is what that leads to", () =>
    Effect.gen(function*() {
      const path = takeFifo()
      const [reader, writer] = yield* Effect.all([connect(`fifo:?read=${path}`), connect(`fifo:?write=${path}`)], {
        concurrency: 2
      })
      rmSync(path)
      yield* Effect.andThen(writer.write(bytes("still")), writer.close)
      assert.strictEqual(text(yield* Transport.readUntilEnd(reader)), "still")
    }))
})

describe("fifo: with several at one path", () => {
  test("of two that read, each byte goes to one, and both see the end", () =>
    Effect.gen(function*() {
      const path = takeFifo()
      const sent = randomBytes(1_000_000)
      const [writer, ...readers] = yield* Effect.all(
        [connect(`fifo:?write=${path}`), connect(`fifo:?read=${path}`), connect(`fifo:?read=${path}`)],
        { concurrency: 3 }
      )
      yield* Effect.forkScoped(Effect.andThen(writer!.write(sent), writer!.close))
      const came = yield* Effect.forEach(readers, (reader) => Transport.readUntilEnd(reader), { concurrency: 2 })
      const count = (all: Uint8Array) => {
        const counts = new Uint32Array(256)
        for (const byte of all) counts[byte]!++
        return counts
      }
      assert.deepStrictEqual(count(Buffer.concat(came)), count(sent))
    }))

  test("of two that write, what is small stays whole, and the end is that of the last", () =>
    Effect.gen(function*() {
      const path = takeFifo()
      const [reader, ...writers] = yield* Effect.all(
        [connect(`fifo:?read=${path}`), connect(`fifo:?write=${path}`), connect(`fifo:?write=${path}`)],
        { concurrency: 3 }
      )
      yield* Effect.forkScoped(Effect.forEach(writers, (writer, i) =>
        Effect.gen(function*() {
          for (let line = 0; line < 100; line++) {
            yield* Effect.andThen(writer.write(new Uint8Array(3000).fill(65 + i)), writer.flush)
          }
          yield* writer.close
        }), { concurrency: 2 }))
      const came = text(yield* Transport.readUntilEnd(reader!))
      assert.strictEqual(came.length, 2 * 100 * 3000)
      assert.deepStrictEqual(came.match(/A+|B+/g)!.filter((run) => run.length % 3000 !== 0), [])
    }))

  test("a writer that comes and leaves again is an end each time, and none is heard twice or by another", () =>
    Effect.gen(function*() {
      const path = takeFifo()
      for (const round of ["one", "two", "three", "", "five"]) {
        const peer = yield* shell(`printf '${round}' > ${path}`)
        const reader = yield* connect(`fifo:?read=${path}`)
        assert.strictEqual(text(yield* Transport.readUntilEnd(reader)), round)
        assert.strictEqual(yield* peer.exited, 0)
        yield* reader.close
      }
    }))

  test("writers that come and leave are one input, for as long as another has it open", () =>
    Effect.gen(function*() {
      const path = takeFifo()
      const peer = yield* shell(
        `exec 3> ${path}; for i in 1 2 3 4 5; do printf "$i" > ${path}; done; printf last >&3; exec 3>&-`
      )
      assert.strictEqual(text(yield* Transport.readUntilEnd(yield* connect(`fifo:?read=${path}`))), "12345last")
      assert.strictEqual(yield* peer.exited, 0)
    }))

  test("after its end a later writer is not heard, and finds nobody", () =>
    Effect.gen(function*() {
      const path = takeFifo()
      const peer = yield* shell(`printf one > ${path}`)
      const reader = yield* connect(`fifo:?read=${path}`)
      assert.strictEqual(text(yield* Transport.readUntilEnd(reader)), "one")
      yield* peer.exited
      const late = yield* failureOf(Effect.scoped(connect(`fifo:?write=${path}`, { connectTimeout: 20 })))
      assert.strictEqual(late.reason._tag, "TimedOut")
      assert.strictEqual((yield* Transport.readUntilEnd(reader)).length, 0)
    }))

  for (const [mode, other] of [["read", "write"], ["write", "read"]]) {
    test(`an open (${mode}) that is interrupted as the other end opens leaves the pipe to the next`, () =>
      Effect.gen(function*() {
        const path = takeFifo()
        const before = held()
        for (let steps = 0; steps < 40; steps++) {
          yield* Effect.scoped(Effect.gen(function*() {
            const gone = yield* Effect.forkChild(
              Effect.scoped(Effect.andThen(connect(`fifo:?${mode}=${path}`), turn)),
              {
                startImmediately: steps % 2 === 0
              }
            )
            const opening = yield* Effect.forkChild(connect(`fifo:?${other}=${path}`), {
              startImmediately: steps % 4 < 2
            })
            for (let i = 0; i < steps; i++) yield* steps % 3 === 0 ? Effect.yieldNow : turn
            yield* Fiber.interrupt(gone)
            const next = yield* Effect.forkChild(connect(`fifo:?${mode}=${path}`))
            const there = yield* Fiber.join(opening)
            if (mode === "read") {
              // Nobody but the next can have it: the one that is gone has read nothing.
              const here = yield* Fiber.join(next)
              yield* Effect.andThen(there.write(bytes("x")), there.close)
              assert.strictEqual(text(yield* Transport.readUntilEnd(here)), "x")
              return
            }
            // That one came and left may be all that it sees.
            const writing = yield* Effect.forkChild(
              Effect.flatMap(Fiber.join(next), (here) => Effect.andThen(here.write(bytes("x")), here.close))
            )
            assert.include(["", "x"], text(yield* Transport.readUntilEnd(there)))
            yield* there.close
            yield* Fiber.interruptAll([next, writing])
          }))
        }
        yield* holdsNoMoreThan(before)
      }))
  }
})

describe("fifo: that cannot be opened", () => {
  test("is refused at once, by name", () =>
    Effect.gen(function*() {
      const path = yield* folder
      writeFileSync(join(path, "file"), "")
      const server = Net.createServer().listen(join(path, "socket"))
      yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
      yield* Effect.callback<void>((resume) => void server.on("listening", () => resume(Effect.void)))
      const messages: ReadonlyArray<readonly [query: string, reason: string, message: string]> = [
        [`read=${path}/none`, "NotFound", `${path}/none does not exist`],
        [`write=${path}/none`, "NotFound", `${path}/none does not exist`],
        [`read=${takeFifo()}&write=${path}/none`, "NotFound", `${path}/none does not exist`],
        [`read=${path}/file/none`, "NotFound", `${path}/file/none does not exist`],
        [`read=${path}`, "InvalidOption", `endpoint.read must be the path of a pipe, and is "${path}"`],
        [`write=${path}/file`, "InvalidOption", `endpoint.write must be the path of a pipe, and is "${path}/file"`],
        [`write=${path}/socket`, "InvalidOption", `endpoint.write must be the path of a pipe, and is "${path}/socket"`],
        ["write=/dev/null", "InvalidOption", "endpoint.write must be the path of a pipe, and is \"/dev/null\""]
      ]
      const before = held()
      for (const [query, reason, message] of messages) {
        const error = yield* failureOf(Effect.scoped(connect(`fifo:?${query}`)))
        assert.strictEqual(error.reason._tag, reason)
        assert.strictEqual(error.message, `open fifo:?${query}: ${message}`)
      }
      yield* holdsNoMoreThan(before)
    }))

  it.live("without permission is PermissionDenied, to read or to write it, or to reach it", () =>
    Effect.scoped(Effect.gen(function*() {
      const path = yield* folder
      const [file, locked] = [takeFifo(), takeFifo()]
      // Root may open anything, so it is given up first, once all is loaded.
      const program = yield* run(process.execPath, [
        "-C",
        "effect-transport-source",
        "--input-type=module",
        "-e",
        `import { Effect } from "effect"
         import { Network } from "effect-transport"
         import { NodeTransport } from "effect-transport/node"
         import { chmodSync, renameSync } from "node:fs"
         renameSync("${locked}", "${path}/pipe")
         chmodSync("${file}", 0)
         chmodSync("${path}", 0)
         if (process.getuid() === 0) process.setuid(65534)
         const endpoints = ["?read=${file}", "?write=${file}", "?read=${path}/pipe", "?write=${path}/pipe"]
         Effect.runPromise(
           Effect.forEach(endpoints, (it) =>
             Effect.scoped(Effect.flatMap(Network.Network, ({ connect }) => connect("fifo:" + it))).pipe(
               Effect.flip,
               Effect.map((error) => console.log(error.reason._tag))
             )).pipe(Effect.provide(NodeTransport.layerNetwork))
         )`
      ])
      yield* program.exited
      chmodSync(path, 0o755)
      assert.strictEqual(program.output(), "PermissionDenied\n".repeat(4))
    })))

  test("cannot be listened on", () =>
    Effect.gen(function*() {
      const { listen } = yield* Network.Network
      const error = yield* failureOf(Effect.scoped(listen("fifo:?read=/a")))
      assert.strictEqual(error.message, "listen fifo:?read=/a: listening on fifo is not supported here")
    }))
})

describe("fifo: 200 times opened and ended", () => {
  const crosswise = (a: string, b: string, options?: NodeTransport.NodeOptions) =>
    Effect.all([connect(`fifo:?read=${a}&write=${b}`, options), connect(`fifo:?read=${b}&write=${a}`, options)], {
      concurrency: 2
    })

  type Ending = (a: string, b: string) => Effect.Effect<unknown, unknown, Network.Network | Scope.Scope>
  const endings: Record<string, Ending> = {
    "a close": (a, b) =>
      Effect.flatMap(crosswise(a, b), ([one, two]) => Effect.all([one.close, two.close], { concurrency: 2 })),
    "an abort": (a, b) => Effect.flatMap(crosswise(a, b), ([one]) => one.abort),
    "the scope": (a, b) => crosswise(a, b, { linger: { duration: 0 } }),
    "a failure": (a, b) => Effect.flip(Effect.scoped(Effect.andThen(crosswise(a, b), Effect.fail("the user's own")))),
    "a peer that goes away": (a, b) =>
      Effect.gen(function*() {
        const peer = openSync(a, constants.O_RDWR | constants.O_NONBLOCK)
        const transport = yield* connect(`fifo:?read=${a}`)
        closeSync(peer)
        yield* Transport.readUntilEnd(transport)
        yield* openHere(b, constants.O_RDONLY)
      }),
    "an interruption while it opens": (a, b) =>
      Effect.gen(function*() {
        const opening = yield* Effect.forkChild(Effect.scoped(connect(`fifo:?read=${a}&write=${b}`)), {
          startImmediately: true
        })
        yield* Fiber.interrupt(opening)
      }),
    "an open that fails": (a) => Effect.flip(Effect.scoped(connect(`fifo:?read=${a}&write=/nowhere`)))
  }
  for (const [name, ending] of Object.entries(endings)) {
    test(`by ${name}, leaves nothing`, () =>
      Effect.gen(function*() {
        const [a, b] = [takeFifo(), takeFifo()]
        yield* Effect.scoped(ending(a, b))
        yield* Effect.andThen(turn, turn)
        const before = held()
        for (let i = 0; i < 200; i++) yield* Effect.scoped(ending(a, b))
        yield* holdsNoMoreThan(before)
      }))
  }
})
