import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Fiber, Layer, Queue, Schedule, type Scope, SubscriptionRef } from "effect"
import { Endpoint, Serial, type SerialBinding, Transport, type TransportError } from "effect-transport"
import { NodeSerial, NodeTransport, SerialDevice, SerialPorts } from "effect-transport/node"
import { execFileSync } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Worker } from "node:worker_threads"
import { afterAll } from "vitest"
import { underneath } from "../../../src/internal/underneath.ts"
import { openingReasonOf, standingReasonOf } from "../../../src/node/serial/native.ts"
import { folder as newFolder } from "../../support/folder.ts"
import { run } from "../../support/programs.ts"
import { bridgedPair, endBridge } from "../../support/ptyBridge.ts"
import { openPort, openPtys, portPair, ptyPair, unplug } from "../../support/ptys.ts"
import { debianPython, describeWith } from "../../support/systemPrograms.ts"

afterAll(endBridge)

const live = <A, E>(name: string, test: Effect.Effect<A, E, Scope.Scope>) => it.live(name, () => Effect.scoped(test))

const text = (string: string) => new TextEncoder().encode(string)
const untext = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

/** Looks again each turn of the loop, as long as the test may take. */
const until = (isTrue: () => boolean): Effect.Effect<void> =>
  Effect.callback((resume) => {
    let next: NodeJS.Immediate | undefined
    const look = () => {
      if (isTrue()) resume(Effect.void)
      else next = setImmediate(look)
    }
    look()
    return Effect.sync(() => clearImmediate(next))
  })

const nothingIsOpen = until(() => openPtys().length === 0)

const failure = <A, R>(effect: Effect.Effect<A, TransportError.TransportError, R>) => Effect.flip(effect)

const reason = <A, R>(effect: Effect.Effect<A, TransportError.TransportError, R>) =>
  Effect.map(failure(effect), ({ reason }) => reason._tag)

const stty = (path: string) => execFileSync("stty", ["-a", "-F", path], { encoding: "utf8" })

const bridged = Effect.gen(function*() {
  const [a, b] = yield* bridgedPair
  return { a: yield* openPort(a), b: yield* openPort(b), paths: [a, b] as const }
})

const withBinding = (layer: Layer.Layer<SerialBinding.SerialBinding>) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provide(effect, layer)

/** Where this process looks for programs, until the scope ends. */
const withPath = (path: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { PATH } = process.env
      process.env.PATH = path
      return PATH
    }),
    (PATH) => Effect.sync(() => Object.assign(process.env, { PATH }))
  )

const bindings = [["posix", NodeSerial.layerPosix], ["bindings", NodeSerial.layerBindings]] as const

describeWith(["socat"], "a serial port on a pseudoterminal", () => {
  live(
    "carries every byte value both ways",
    Effect.gen(function*() {
      const { a, b } = yield* portPair()
      const all = Uint8Array.from({ length: 256 }, (_, i) => i)
      for (const [from, to] of [[a, b], [b, a]] as const) {
        yield* from.transport.write(all)
        assert.deepStrictEqual(yield* Transport.readExactly(to.transport, 256), all)
      }
    })
  )

  live(
    "is opened through the network, and has no half-close",
    Effect.gen(function*() {
      const pair = yield* ptyPair
      const other = yield* openPort(pair.b)
      const got = yield* Effect.gen(function*() {
        const transport = yield* Transport.Transport
        assert.isFalse(Transport.isHalfCloseable(transport))
        assert.strictEqual(Endpoint.format(transport.info.endpoint), `serial://${pair.a}?baudRate=19200`)
        yield* transport.write(text("hello"))
        return untext(yield* Transport.readExactly(other.transport, 5))
      }).pipe(Effect.provide(NodeTransport.layer(`serial://${pair.a}?baudRate=19200`)))
      assert.strictEqual(got, "hello")
      assert.deepStrictEqual(openPtys().length, 3)
      const noTime = NodeTransport.layer(`serial://${pair.a}`, { connectTimeout: 0 })
      assert.strictEqual(yield* reason(Effect.scoped(Layer.build(noTime))), "TimedOut")
    })
  )

  for (const [name, layer] of bindings) {
    for (const when of ["reading", "paused", "writing"] as const) {
      live(
        `is Disconnected when it is unplugged, ${when} (${name})`,
        Effect.gen(function*() {
          const pair = yield* ptyPair
          const { transport } = yield* Serial.open({ _tag: "serial", path: pair.a, baudRate: 9600 })
          const reading = when === "reading"
            ? yield* Effect.forkChild(Effect.flip(Transport.read(transport, 1)))
            : undefined
          if (when === "paused") {
            yield* transport.pause
            const peer = yield* Serial.open({ _tag: "serial", path: pair.b, baudRate: 9600 })
            yield* peer.transport.write(text("unread"))
            // With something unread nothing more is asked of the operating system.
            yield* Effect.repeat(Effect.andThen(Effect.yieldNow, transport.buffered), {
              until: ({ reading }) => reading > 0 || name === "bindings"
            })
          }
          const writing = when === "writing"
            ? yield* Effect.forkChild(Effect.flip(transport.write(new Uint8Array(1_000_000))))
            : undefined
          const before = process.cpuUsage()
          yield* unplug(pair)
          const error = yield* Effect.timeout(failure(transport.closed), "1 second")
          const { system, user } = process.cpuUsage(before)
          assert.strictEqual(error.reason._tag, "Disconnected")
          assert.include(error.message, `${pair.a} is gone`)
          assert.isBelow((system + user) / 1000, 50)
          if (reading !== undefined) {
            const ended = yield* Fiber.join(reading)
            assert.strictEqual(Cause.isDone(ended) ? "the end" : ended.reason._tag, "Disconnected")
          }
          if (writing !== undefined) {
            const ended = yield* Fiber.join(writing)
            assert.deepStrictEqual([ended.reason._tag, ended.delivery], ["Disconnected", "Unknown"])
          }
          assert.strictEqual(yield* reason(transport.write(text("late"))), "Disconnected")
          yield* nothingIsOpen
        }).pipe(withBinding(layer))
      )
    }
  }

  for (const [name, layer] of bindings) {
    live(
      `goes on in a process where nothing else happens (${name})`,
      Effect.gen(function*() {
        const pair = yield* ptyPair
        const program = fileURLToPath(new URL("../../support/serialEcho.ts", import.meta.url))
        const echo = yield* run(process.execPath, ["-C", "effect-transport-source", program, name, pair.a])
        yield* echo.printed(/open/)
        const { transport } = yield* openPort(pair.b)
        for (let i = 0; i < 20; i++) {
          yield* transport.write(text(`ping ${i}`))
          assert.strictEqual(untext(yield* Transport.readExactly(transport, `ping ${i}`.length)), `ping ${i}`)
        }
        yield* unplug(pair)
        assert.strictEqual(yield* echo.exited, 0, echo.output())
        assert.include(echo.output(), "Disconnected")
      })
    )

    live(
      `carries much in both directions at once (${name})`,
      Effect.gen(function*() {
        const pair = yield* ptyPair
        const open = (path: string) => Serial.open({ _tag: "serial", path, baudRate: 115_200 })
        const ends = [yield* open(pair.a), yield* open(pair.b)]
        const bytes = randomBytes(2_000_000)
        const digests = yield* Effect.forEach(ends, ({ transport }) =>
          Effect.map(
            Effect.all([Transport.readExactly(transport, bytes.length), transport.write(bytes)], { concurrency: 2 }),
            ([read]) => sha256(read)
          ), { concurrency: 2 })
        assert.deepStrictEqual(digests, [sha256(bytes), sha256(bytes)])
      }).pipe(withBinding(layer))
    )
  }

  live(
    "is opened again after it was closed, and after an unplug at the same path",
    Effect.gen(function*() {
      const pair = yield* ptyPair
      for (let i = 0; i < 3; i++) yield* Effect.scoped(openPort(pair.a))
      yield* Effect.scoped(Effect.gen(function*() {
        const { transport } = yield* openPort(pair.a)
        yield* unplug(pair)
        yield* failure(transport.closed)
      }))
      assert.strictEqual(yield* reason(openPort(pair.a)), "NotFound")
    })
  )

  live(
    "leaves no descriptor behind, however often it is opened",
    Effect.gen(function*() {
      const pair = yield* ptyPair
      for (let i = 0; i < 200; i++) {
        yield* Effect.scoped(openPort(pair.a, { onScopeExit: () => i % 2 === 0 ? "close" : "abort" }))
        assert.deepStrictEqual(openPtys(), [])
      }
    })
  )

  for (const [name, layer] of bindings) {
    live(
      `is not kept in memory when it is closed (${name})`,
      Effect.gen(function*() {
        const pair = yield* ptyPair
        const collected = new Set<number>()
        const registry = new FinalizationRegistry<number>((i) => collected.add(i))
        for (let i = 0; i < 8; i++) {
          yield* Effect.scoped(
            Effect.map(
              Serial.open({ _tag: "serial", path: pair.a, baudRate: 9600 }),
              ({ transport }) => registry.register(underneath(transport)!.duplex, i)
            )
          )
        }
        // The last one may still be on a stack.
        yield* until(() => {
          globalThis.gc!()
          return collected.size >= 7
        })
      }).pipe(withBinding(layer))
    )
  }

  live(
    "leaves nothing behind where an open is interrupted, at whatever step",
    Effect.gen(function*() {
      const pair = yield* ptyPair
      for (let turns = 0; turns < 60; turns++) {
        const opening = yield* Effect.forkChild(Effect.scoped(Effect.andThen(openPort(pair.a), Effect.never)))
        for (let turn = 0; turn < turns; turn++) {
          yield* Effect.callback<void>((r) => void setImmediate(() => r(Effect.void)))
        }
        yield* Fiber.interrupt(opening)
        yield* nothingIsOpen
      }
      // Nobody has the lock.
      yield* openPort(pair.a)
    })
  )

  for (
    const [name, wait] of [
      ["read", ({ transport }) => Transport.readExactly(transport, 1)],
      ["write", ({ transport }) => transport.write(new Uint8Array(1_000_000))],
      [
        "drain",
        (port) => Effect.andThen(Effect.forkChild(port.transport.write(new Uint8Array(1_000_000))), port.drain())
      ]
    ] as ReadonlyArray<readonly [string, (port: Serial.SerialPort) => Effect.Effect<unknown, unknown>]>
  ) {
    live(
      `leaves nothing behind where a ${name} is interrupted`,
      Effect.gen(function*() {
        const pair = yield* ptyPair
        const begun = yield* Deferred.make<void>()
        const waiting = yield* Effect.forkChild(
          Effect.scoped(
            Effect.flatMap(openPort(pair.a), (port) => Effect.andThen(Deferred.succeed(begun, undefined), wait(port)))
          )
        )
        yield* Deferred.await(begun)
        yield* Effect.yieldNow
        yield* Fiber.interrupt(waiting)
        yield* nothingIsOpen
        yield* openPort(pair.a)
      })
    )
  }

  live(
    "refuses a second open without disturbing the first",
    Effect.gen(function*() {
      const { a, b, pair } = yield* portPair()
      const before = stty(pair.a)
      assert.include(before, "speed 115200 baud")
      yield* b.transport.write(text("unread"))
      const other = openPort(pair.a)
      const another = Serial.open(`serial://${pair.a}?baudRate=300&stopBits=2&rtscts=true`)
      assert.strictEqual(yield* reason(other), "Busy")
      assert.strictEqual(yield* reason(withBinding(NodeSerial.layer)(another)), "Busy")
      assert.strictEqual(stty(pair.a), before)
      assert.strictEqual(untext(yield* Transport.readExactly(a.transport, 6)), "unread")
    })
  )

  live(
    "leaves nothing behind where an open is interrupted while it waits for the lock",
    Effect.gen(function*() {
      const pair = yield* ptyPair
      const folder = yield* newFolder
      // In the place of the real one, and it never says whether the lock is ours.
      const started = join(folder, "started")
      writeFileSync(
        join(folder, "flock"),
        `#!/bin/sh\necho $$ > ${started}.new; mv ${started}.new ${started}\nexec sleep 600\n`
      )
      chmodSync(join(folder, "flock"), 0o700)
      yield* withPath(`${folder}:${process.env.PATH}`)
      const opening = yield* Effect.forkChild(Effect.scoped(openPort(pair.a)))
      yield* until(() => existsSync(started))
      assert.strictEqual(openPtys().length, 1)
      yield* Fiber.interrupt(opening)
      assert.deepStrictEqual(openPtys(), [])
      assert.throws(() => process.kill(Number(readFileSync(started, "utf8")), 0), /ESRCH/)
    })
  )

  live(
    "is locked by the bindings where there is no flock",
    Effect.gen(function*() {
      const pair = yield* ptyPair
      yield* withPath("/nowhere")
      const { transport } = yield* openPort(pair.a)
      const other = yield* openPort(pair.b)
      assert.strictEqual(yield* reason(openPort(pair.a)), "Busy")
      yield* transport.write(text("hello"))
      assert.strictEqual(untext(yield* Transport.readExactly(other.transport, 5)), "hello")
    })
  )

  live(
    "changes its rate while it is open",
    Effect.gen(function*() {
      const { a, b, pair } = yield* portPair()
      yield* a.transport.write(text("before"))
      // A pseudoterminal says that all is on the line when the other side has yet to take it.
      assert.strictEqual(untext(yield* Transport.readExactly(b.transport, 6)), "before")
      yield* a.setBaudRate(19_200)
      assert.include(stty(pair.a), "speed 19200 baud")
      // A rate that is in no table.
      yield* a.setBaudRate(250_000)
      yield* a.transport.write(text("after"))
      assert.strictEqual(untext(yield* Transport.readExactly(b.transport, 5)), "after")
      assert.strictEqual(yield* reason(a.setBaudRate(-1)), "InvalidOption")
      assert.strictEqual(yield* reason(a.setBaudRate(2 ** 40)), "Unsupported")
    })
  )

  live(
    "sets what its endpoint says",
    Effect.gen(function*() {
      const pair = yield* ptyPair
      yield* withBinding(NodeSerial.layer)(
        Serial.open(`serial://${pair.a}?baudRate=4800&stopBits=2&rtscts=true&xon=true&xoff=true&hupcl=false`)
      )
      const settings = stty(pair.a)
      for (
        const setting of ["speed 4800 baud", " cstopb", " crtscts", " ixon", " ixoff", "-hupcl", "-icanon", "-echo "]
      ) {
        assert.include(settings, setting)
      }
    })
  )

  live(
    "is opened by a string with every option",
    Effect.gen(function*() {
      const pair = yield* ptyPair
      const options = "baudRate=115200&dataBits=8&parity=even&stopBits=1&rtscts=true&xon=true"
      const { transport } = yield* withBinding(NodeSerial.layer)(Serial.open(`serial://${pair.a}?${options}`))
      assert.include(transport.info.endpoint, { dataBits: 8, parity: "even", stopBits: 1, rtscts: true, xon: true })
      for (const setting of ["speed 115200 baud", " cs8", "-cstopb", " crtscts", " ixon"]) {
        assert.include(stty(pair.a), setting)
      }
    })
  )

  live(
    "is free again as soon as an open was interrupted, at whatever step",
    Effect.gen(function*() {
      const pair = yield* ptyPair
      for (let turns = 0; turns < 40; turns++) {
        const opening = yield* Effect.forkChild(Effect.scoped(Effect.andThen(openPort(pair.a), Effect.never)))
        for (let turn = 0; turn < turns; turn++) {
          yield* Effect.callback<void>((r) => void setImmediate(() => r(Effect.void)))
        }
        yield* Fiber.interrupt(opening)
        yield* Effect.scoped(openPort(pair.a))
      }
    })
  )

  live(
    "is found again after an unplug that nobody reads or writes to see",
    Effect.gen(function*() {
      const [first, second] = [yield* ptyPair, yield* ptyPair]
      const portAt = (path: string) => SerialPorts.port({ path, vendorId: "0403" })
      const ports = yield* SubscriptionRef.make<ReadonlyArray<SerialPorts.PortInfo>>([portAt(first.a)])
      const seen = yield* Queue.unbounded<string>()
      const conversation = Effect.gen(function*() {
        const { info } = yield* Transport.Transport
        yield* Queue.offer(seen, Endpoint.format(info.endpoint))
        return yield* Effect.never
      })
      yield* Effect.forkScoped(
        SerialDevice.keepConnected({ vendorId: "0403" }, { schedule: Schedule.spaced(1) })(conversation).pipe(
          Effect.provide([NodeTransport.layerNetwork, SerialPorts.layerTest(ports)])
        )
      )
      assert.include(yield* Queue.take(seen), first.a)
      yield* unplug(first)
      yield* SubscriptionRef.set(ports, [portAt(second.a)])
      assert.include(yield* Queue.take(seen), second.a)
    })
  )

  live(
    "says by name that a pseudoterminal has no lines",
    Effect.gen(function*() {
      const { a } = yield* portPair()
      for (const effect of [a.lines, a.setLines({ rts: false }), Effect.scoped(a.holdBreak)]) {
        assert.include((yield* failure(effect)).message, "a modem line of")
        assert.strictEqual(yield* reason(effect), "Unsupported")
      }
    })
  )

  live(
    "a close sends all before it is complete, and an abort drops what has not gone",
    Effect.gen(function*() {
      const { a, b } = yield* portPair()
      const bytes = randomBytes(1_000_000)
      const reading = yield* Effect.forkChild(Transport.readExactly(b.transport, bytes.length))
      yield* a.transport.write(bytes)
      yield* a.transport.close
      assert.strictEqual(sha256(yield* Fiber.join(reading)), sha256(bytes))
      assert.strictEqual(yield* reason(a.drain()), "Closed")

      const other = yield* portPair()
      yield* Effect.forkChild(other.a.transport.write(bytes))
      yield* Effect.yieldNow
      yield* other.a.transport.abort
      assert.strictEqual(yield* reason(other.a.transport.closed), "Closed")
    })
  )
})

/** Completes when so many bytes wait at the device to be read. */
const waitsInKernel = (path: string, bytes: number) =>
  Effect.scoped(Effect.gen(function*() {
    const program = yield* run("python3", [
      "-c",
      `
import fcntl, os, struct, termios, time
fd = os.open(${JSON.stringify(path)}, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
while struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0] < ${bytes}: time.sleep(0.001)`
    ])
    assert.strictEqual(yield* program.exited, 0, program.output())
  }))

describeWith(["python3", "socat"], "a serial port whose directions are apart", () => {
  live(
    "goes on reading while a write waits",
    Effect.gen(function*() {
      const { a, b } = yield* bridged
      yield* b.transport.pause
      const writing = yield* Effect.forkChild(a.transport.write(new Uint8Array(1_000_000)))
      yield* b.transport.resume
      const held = yield* Effect.scoped(Effect.gen(function*() {
        yield* b.transport.pausedReading
        yield* b.transport.write(text("while it waits"))
        return untext(yield* Transport.readExactly(a.transport, 14))
      }))
      assert.strictEqual(held, "while it waits")
      assert.isUndefined(writing.pollUnsafe())
      yield* Transport.readExactly(b.transport, 1_000_000)
      yield* Fiber.join(writing)
    })
  )

  live(
    "small writes keep their order and lose nothing where the device is full",
    Effect.gen(function*() {
      const { a, b } = yield* bridged
      const bytes = randomBytes(1_000_000)
      yield* Effect.scoped(Effect.gen(function*() {
        yield* b.transport.pausedReading
        yield* Effect.forkChild(
          Effect.gen(function*() {
            // Of lengths that a buffer of the kernel has no whole number of.
            for (let at = 0; at < bytes.length; at += 3001) yield* a.transport.write(bytes.subarray(at, at + 3001))
          }),
          { startImmediately: true }
        )
        yield* Effect.repeat(Effect.andThen(Effect.yieldNow, a.transport.buffered), {
          until: ({ writing }) => writing > 32_768
        })
      }))
      assert.strictEqual(sha256(yield* Transport.readExactly(b.transport, bytes.length)), sha256(bytes))
    })
  )

  live(
    "a close in the midst of a write sends all of it",
    Effect.gen(function*() {
      const { a, b } = yield* bridged
      const bytes = randomBytes(1_000_000)
      const [writing, closing] = yield* Effect.scoped(Effect.gen(function*() {
        yield* b.transport.pausedReading
        const writing = yield* Effect.forkChild(a.transport.write(bytes), { startImmediately: true })
        const closing = yield* Effect.forkChild(a.transport.close, { startImmediately: true })
        assert.strictEqual(yield* reason(a.transport.write(text("late"))), "Closed")
        assert.isUndefined(writing.pollUnsafe())
        assert.isUndefined(closing.pollUnsafe())
        return [writing, closing]
      }))
      assert.strictEqual(sha256(yield* Transport.readExactly(b.transport, bytes.length)), sha256(bytes))
      yield* Fiber.join(writing!)
      yield* Fiber.join(closing!)
    })
  )

  live(
    "drains within a bound, and goes on after it",
    Effect.gen(function*() {
      const { a, b } = yield* bridged
      yield* Effect.scoped(Effect.gen(function*() {
        yield* b.transport.pausedReading
        yield* Effect.forkChild(a.transport.write(new Uint8Array(1_000_000)), { startImmediately: true })
        assert.strictEqual(yield* reason(a.drain({ within: 20 })), "TimedOut")
        assert.strictEqual(yield* reason(a.setBaudRate(9600, { within: 20 })), "TimedOut")
      }))
      yield* Effect.forkChild(Transport.readExactly(b.transport, 1_000_000))
      yield* a.drain()
    })
  )

  live(
    "input is dropped by a flush of input, and by no other",
    Effect.gen(function*() {
      const [pathA, pathB] = yield* bridgedPair
      const a = yield* openPort(pathA, { readMark: 4 })
      const b = yield* openPort(pathB)
      const fill = Effect.gen(function*() {
        yield* b.transport.write(text("more than the mark"))
        yield* Effect.repeat(Effect.andThen(Effect.yieldNow, a.transport.buffered), {
          until: ({ reading }) => reading > 4
        })
        // Nothing more is read, so this stays in the kernel.
        yield* b.transport.write(text(" and the rest"))
        yield* waitsInKernel(pathA, 13)
      })
      yield* fill
      yield* a.flush("output")
      assert.strictEqual(untext(yield* Transport.readExactly(a.transport, 31)), "more than the mark and the rest")
      yield* fill
      yield* a.flush("input")
      yield* b.transport.write(text("four"))
      assert.strictEqual(untext(yield* Transport.readExactly(a.transport, 4)), "four")
      yield* a.flush("both")
      assert.strictEqual(yield* reason(a.flush("all" as "both")), "InvalidOption")
    })
  )
})

/** Python's `serial`, at the other end of a pair. */
const pythonOn = (path: string, program: string) =>
  run(debianPython, [
    "-u",
    "-c",
    `
import hashlib, serial, sys
port = serial.Serial(${JSON.stringify(path)}, 115200, exclusive=True)
def read(count):
  data = b""
  while len(data) < count: data += port.read(min(65536, count - len(data)))
  return data
print("ready", flush=True)
${program}`
  ])

describeWith(["socat", "python3-serial"], "a serial port and Python's serial", () => {
  live(
    "exchange megabytes, 8 bits clean",
    Effect.gen(function*() {
      const pair = yield* ptyPair
      const { transport } = yield* openPort(pair.a)
      const bytes = Buffer.concat([Uint8Array.from({ length: 256 }, (_, i) => i), randomBytes(3_000_000)])
      const peer = yield* pythonOn(
        pair.b,
        `data = read(${bytes.length}); print("got", hashlib.sha256(data).hexdigest(), flush=True)
port.write(data[::-1]); port.flush(); sys.stdin.read()`
      )
      yield* peer.printed(/ready/)
      yield* transport.write(bytes)
      const [, digest] = yield* peer.printed(/got (\w+)/)
      assert.strictEqual(digest, sha256(bytes))
      const back = yield* Transport.readExactly(transport, bytes.length)
      assert.strictEqual(sha256(back), sha256(bytes.toReversed()))
    })
  )

  live(
    "respect each other's lock, and do not disturb",
    Effect.gen(function*() {
      const pair = yield* ptyPair
      const peer = yield* pythonOn(pair.a, "sys.stdin.read()")
      yield* peer.printed(/ready/)
      const before = stty(pair.a)
      assert.strictEqual(
        yield* reason(withBinding(NodeSerial.layer)(Serial.open(`serial://${pair.a}?baudRate=300`))),
        "Busy"
      )
      assert.strictEqual(stty(pair.a), before)
      yield* openPort(pair.b)
      const late = yield* pythonOn(pair.b, "")
      assert.notStrictEqual(yield* late.exited, 0)
      assert.include(late.output(), "Could not exclusively lock port")
    })
  )
})

describe("what a serial port cannot be", () => {
  live(
    "in a worker thread",
    Effect.gen(function*() {
      const worker = yield* Effect.acquireRelease(
        Effect.sync(() =>
          new Worker(new URL("../../support/serialWorker.ts", import.meta.url), {
            execArgv: ["-C", "effect-transport-source"]
          })
        ),
        (worker) => Effect.promise(() => worker.terminate())
      )
      const said = yield* Effect.callback<string>((resume) => {
        worker.once("message", (message: string) => resume(Effect.succeed(message)))
        worker.once("error", (cause) => resume(Effect.die(cause)))
      })
      assert.include(said, "a serial port in a worker thread is not supported here")
    })
  )

  const opened = (endpoint: string) => Effect.scoped(withBinding(NodeSerial.layer)(Serial.open(endpoint)))

  const noPort = (path: string) => ({ feature: `${path}, which is no serial port,` })

  for (
    const [what, endpoint, tag, fields] of [
      ["a path that is not there", "serial:///dev/nowhere", "NotFound", { what: "/dev/nowhere" }],
      ["a folder", "serial:///tmp", "Unsupported", noPort("/tmp")],
      ["the null device", "serial:///dev/null", "Unsupported", noPort("/dev/null")],
      ["a regular file", `serial://${import.meta.filename}`, "Unsupported", noPort(import.meta.filename)],
      ["a path through a file", `serial://${import.meta.filename}/port`, "NotFound", {
        what: `${import.meta.filename}/port`
      }],
      ["no rate", "serial:///dev/nowhere?baudRate=0", "InvalidOption", { field: "endpoint.baudRate" }],
      ["a negative rate", "serial:///dev/nowhere?baudRate=-1", "InvalidOption", { field: "endpoint.baudRate" }],
      ["a misspelt option", "serial:///dev/nowhere?baudrate=9600", "InvalidOption", { field: "endpoint.query" }],
      ["nine data bits", "serial:///dev/nowhere?dataBits=9", "InvalidOption", { field: "endpoint.dataBits" }],
      ["a made-up parity", "serial:///dev/nowhere?parity=most", "InvalidOption", { field: "endpoint.parity" }],
      ["no path", "serial:", "InvalidOption", { field: "endpoint.path" }],
      ["another kind of endpoint", "tcp://127.0.0.1:1", "Unsupported", { feature: "tcp as a serial port" }],
      // Said before the device is looked for.
      ["mark parity", "serial:///dev/nowhere?parity=mark", "Unsupported", { feature: "mark parity" }],
      ["space parity", "serial:///dev/nowhere?parity=space", "Unsupported", { feature: "space parity" }],
      ["one and a half stop bits", "serial:///dev/nowhere?stopBits=1.5", "Unsupported", {
        feature: "one and a half stop bits"
      }],
      ["a rate that no platform has", "serial:///dev/nowhere?baudRate=4294967296", "Unsupported", {
        feature: "a rate of 4294967296 baud"
      }]
    ] as const
  ) {
    live(
      what,
      Effect.map(failure(opened(endpoint)), ({ operation, reason }) => {
        assert.deepStrictEqual([operation, reason._tag], ["open", tag])
        assert.include(reason, fields)
      })
    )
  }
})

describeWith(["socat"], "a serial port that belongs to somebody else", () => {
  for (const [name] of bindings) {
    live(
      `is PermissionDenied, and is not touched (${name})`,
      Effect.gen(function*() {
        const pair = yield* ptyPair
        const before = stty(pair.a)
        chmodSync(pair.a, 0)
        const program = fileURLToPath(new URL("../../support/serialDenied.ts", import.meta.url))
        const denied = yield* run(process.execPath, ["-C", "effect-transport-source", program, name, pair.a])
        assert.strictEqual(yield* denied.exited, 0, denied.output())
        assert.include(denied.output(), "PermissionDenied")
        chmodSync(pair.a, 0o600)
        assert.strictEqual(stty(pair.a), before)
      })
    )
  }
})

describe("errors of the bindings", () => {
  const path = "/dev/x"
  for (
    const [message, expected] of [
      ["Error: No such file or directory, cannot open /dev/x", "NotFound"],
      ["Error: Permission denied, cannot open /dev/x", "PermissionDenied"],
      ["Error: Device or resource busy, cannot open /dev/x", "Busy"],
      ["Error Resource temporarily unavailable Cannot lock port", "Busy"],
      ["Opening COM3: Access denied", "Busy"],
      ["Opening COM3: File not found", "NotFound"],
      ["Error: Inappropriate ioctl for device setting custom baud rate of 9600", "Unsupported"],
      ["Error: Is a directory, cannot open /dev/x", "Unsupported"],
      ["Error: Invalid argument || while setting custom baud rate of 7", "Unsupported"],
      ["Error: Input/output error, cannot open /dev/x", "Disconnected"],
      ["what nobody knows", "Failed"]
    ] as const
  ) {
    it(`opening: ${message}`, () => assert.strictEqual(openingReasonOf(new Error(message), path)._tag, expected))
  }

  it("on an open port", () => {
    const standing = (cause: unknown, feature?: string) => standingReasonOf(cause, path, feature)._tag
    assert.strictEqual(
      standing(new Error("Error: Inappropriate ioctl for device, cannot get"), "a line"),
      "Unsupported"
    )
    assert.strictEqual(standing(new Error("Error: Input/output error, cannot drain"), "draining"), "Disconnected")
    assert.strictEqual(standing(new Error("Port is not open")), "Disconnected")
    assert.strictEqual(standing(Object.assign(new Error(), { code: "EIO" })), "Disconnected")
    assert.strictEqual(standing(null), "Disconnected")
  })
})
