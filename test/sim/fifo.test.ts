import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber } from "effect"
import { Connection, Transport } from "effect-transport"
import { Sim, SimError, World } from "effect-transport/sim"
import { both, bytes, connect, readAll, seeds, seen, text, waits } from "../support/simWorld.ts"

/** A host with the pipes /a and /b. */
const piped = Effect.gen(function*() {
  const { fifo, host } = yield* World.World
  const machine = yield* host("machine")
  return { machine, a: yield* fifo(machine, "/a"), b: yield* fifo(machine, "/b") }
})

const large = 100_000

describe("fifo", () => {
  it("to open one end waits for the other, in both orders", () => {
    for (const [first, second] of [["read", "write"], ["write", "read"]] as const) {
      seeds(
        Effect.gen(function*() {
          const { machine } = yield* piped
          return yield* machine.run(Effect.gen(function*() {
            const opening = yield* Effect.forkScoped(connect(`fifo:?${first}=/a`))
            const waited = yield* waits(opening)
            yield* connect(`fifo:?${second}=/a`)
            yield* Fiber.join(opening)
            return waited
          }))
        }),
        true
      )
    }
  })

  it("an open that is interrupted leaves nothing: whoever comes later waits as well", () => {
    seeds(
      Effect.gen(function*() {
        const { machine } = yield* piped
        return yield* machine.run(Effect.gen(function*() {
          const gone = yield* Effect.forkScoped(connect("fifo:?read=/a"))
          yield* Effect.sleep(10)
          yield* Fiber.interrupt(gone)
          return yield* waits(yield* Effect.forkScoped(connect("fifo:?write=/a")))
        }))
      }),
      true
    )
  })

  it("an open of two pipes that is interrupted with one of them open closes that one", () => {
    seeds(
      Effect.gen(function*() {
        const { machine } = yield* piped
        return yield* machine.run(Effect.gen(function*() {
          const half = yield* Effect.forkScoped(connect("fifo:?read=/b&write=/a"))
          const reader = yield* connect("fifo:?read=/a")
          yield* Fiber.interrupt(half)
          return yield* readAll(reader)
        }))
      }),
      ["", "end"]
    )
  })

  it("an open with nobody at the other end is TimedOut in its time, 30 seconds by default, and leaves nothing", () => {
    for (const [connectTimeout, millis] of [[undefined, 30_000], ["2 seconds", 2000], [0, 0]] as const) {
      for (const ends of ["read=/a", "write=/a", "read=/b&write=/a"]) {
        seeds(
          Effect.gen(function*() {
            const { machine } = yield* piped
            return yield* machine.run(Effect.gen(function*() {
              const [took, how] = yield* Effect.timed(
                seen(connect(`fifo:?${ends}`, { connectTimeout } as Transport.TransportOptions))
              )
              const others = ["fifo:?read=/a", "fifo:?write=/a"].map((endpoint) =>
                Effect.flatMap(
                  Effect.forkScoped(connect(endpoint)),
                  (opening) => Effect.tap(waits(opening), Fiber.interrupt(opening))
                )
              )
              return [how, Duration.toMillis(took), yield* Effect.all(others)]
            }))
          }),
          ["TimedOut connect", millis, [true, true]],
          3
        )
      }
    }
  })

  it("an open that meets its limit at the moment in which the other end comes leaves no end open", () => {
    seeds(
      Effect.gen(function*() {
        const { machine } = yield* piped
        return yield* machine.run(Effect.gen(function*() {
          const limit = { connectTimeout: "1 second" } as Transport.TransportOptions
          const opening = yield* Effect.forkScoped(seen(Effect.scoped(connect("fifo:?read=/a", limit))))
          yield* Effect.sleep("1 second")
          const other = yield* Effect.forkScoped(seen(Effect.scoped(connect("fifo:?write=/a", limit))))
          yield* both(Fiber.await(opening), Fiber.await(other))
          return yield* waits(yield* Effect.forkScoped(connect("fifo:?write=/a")))
        }))
      }),
      true,
      50
    )
  })

  it("a limit that is none is refused by name", () => {
    seeds(
      Effect.flatMap(piped, ({ machine }) =>
        machine.run(Effect.map(
          Effect.flip(connect("fifo:?read=/a", { connectTimeout: "soon" } as Transport.TransportOptions)),
          ({ message }) => message
        ))),
      `open fifo:?read=/a: connectTimeout must be a finite duration, and is "soon"`,
      1
    )
  })

  it("whose reader goes away fails the writes, at once or while they wait, and is read to its own end", () => {
    for (const isWaiting of [true, false]) {
      seeds(
        Effect.gen(function*() {
          const { machine } = yield* piped
          return yield* machine.run(Effect.gen(function*() {
            const [transport, reader, writer] = yield* Effect.all(
              [connect("fifo:?read=/a&write=/b"), connect("fifo:?read=/b"), connect("fifo:?write=/a")],
              { concurrency: "unbounded" }
            )
            yield* reader.pause
            const write = seen(Effect.andThen(transport.write(new Uint8Array(large)), transport.flush))
            const waiting = isWaiting ? yield* Effect.forkScoped(write) : undefined
            yield* Effect.sleep(10)
            yield* reader.abort
            yield* Effect.sleep(10)
            const how = waiting === undefined ? yield* write : yield* Fiber.join(waiting)
            yield* Effect.forkScoped(Effect.andThen(writer.write(new Uint8Array(large).fill(65)), writer.close))
            const late = yield* seen(transport.write(bytes("late")))
            const [all, end] = yield* readAll(transport)
            return [how, late, all!.length, end, yield* seen(transport.closed)]
          }))
        }),
        ["Reset", "Reset", large, "end", "Reset"]
      )
    }
  })

  it("two programs that open two pipes crosswise talk, half-close and end", () => {
    const side = (endpoint: string, hello: string) =>
      Effect.gen(function*() {
        const transport = yield* connect(endpoint)
        assert.isTrue(Transport.isHalfCloseable(transport))
        yield* transport.write(bytes(hello))
        if (Transport.isHalfCloseable(transport)) yield* transport.halfClose
        return yield* readAll(transport)
      })
    seeds(
      Effect.gen(function*() {
        const { machine } = yield* piped
        return yield* machine.run(both(side("fifo:?read=/a&write=/b", "one"), side("fifo:?read=/b&write=/a", "two")))
      }),
      [["two", "end"], ["one", "end"]] as [ReadonlyArray<string>, ReadonlyArray<string>]
    )
  })

  it("what is only read cannot be written to, and what is only written ends at once", () => {
    seeds(
      Effect.gen(function*() {
        const { machine } = yield* piped
        return yield* machine.run(Effect.gen(function*() {
          const [reader, writer] = yield* both(connect("fifo:?read=/a"), connect("fifo:?write=/a"))
          const refused = yield* seen(reader.write(bytes("x")))
          const nothing = yield* seen(Connection.take(writer))
          yield* writer.write(bytes("still"))
          return [refused, nothing, text(yield* Connection.take(reader))]
        }))
      }),
      ["Closed", "end", "still"]
    )
  })

  it("holds 64 KiB, and then the writer waits", () => {
    seeds(
      Effect.gen(function*() {
        const { machine } = yield* piped
        return yield* machine.run(Effect.gen(function*() {
          const [reader, writer] = yield* both(connect("fifo:?read=/a"), connect("fifo:?write=/a"))
          yield* reader.pause
          yield* Effect.andThen(writer.write(new Uint8Array(65_536)), writer.flush)
          const more = yield* Effect.forkScoped(Effect.andThen(writer.write(new Uint8Array(1)), writer.flush))
          const waited = yield* waits(more)
          yield* reader.resume
          yield* Transport.readExactly(reader, 65_537)
          yield* Fiber.join(more)
          return waited
        }))
      }),
      true
    )
  })

  it("several writers share it: small writes stay in one piece, and the end is that of the last", () => {
    seeds(
      Effect.gen(function*() {
        const { machine } = yield* piped
        return yield* machine.run(Effect.gen(function*() {
          const [reader, ...writers] = yield* Effect.all(
            [connect("fifo:?read=/a"), connect("fifo:?write=/a"), connect("fifo:?write=/a")],
            { concurrency: "unbounded" }
          )
          const writing = yield* Effect.forkScoped(Effect.forEach(writers, (writer, i) =>
            Effect.gen(function*() {
              for (let line = 0; line < 40; line++) {
                yield* writer.write(new Uint8Array(3000).fill(65 + i))
                yield* writer.flush
              }
              yield* Effect.sleep(i * 1000)
              yield* writer.close
            }), { concurrency: 2 }))
          const [all, how] = yield* readAll(reader)
          yield* Fiber.join(writing)
          return [all!.length, how, (all!.match(/A+|B+/g) ?? []).every((run) => run.length % 3000 === 0)]
        }))
      }),
      [2 * 40 * 3000, "end", true],
      5
    )
  })

  it("what is in it stays for a later reader as long as somebody has it open to write", () => {
    seeds(
      Effect.gen(function*() {
        const { machine } = yield* piped
        return yield* machine.run(Effect.gen(function*() {
          const [reader, one, other] = yield* Effect.all(
            [connect("fifo:?read=/a"), connect("fifo:?write=/a"), connect("fifo:?write=/a")],
            { concurrency: "unbounded" }
          )
          yield* reader.pause
          yield* Effect.andThen(one.write(bytes("x".repeat(40))), one.flush)
          yield* Effect.andThen(reader.abort, one.close)
          const later = yield* connect("fifo:?read=/a")
          yield* Effect.andThen(other.write(bytes("y")), other.close)
          return yield* readAll(later)
        }))
      }),
      [`${"x".repeat(40)}y`, "end"]
    )
  })

  it("several readers share it: each byte goes to one", () => {
    seeds(
      Effect.gen(function*() {
        const { machine } = yield* piped
        return yield* machine.run(Effect.gen(function*() {
          const [writer, one, other] = yield* Effect.all(
            [connect("fifo:?write=/a"), connect("fifo:?read=/a"), connect("fifo:?read=/a")],
            { concurrency: "unbounded" }
          )
          yield* Effect.forkScoped(Effect.andThen(writer.write(new Uint8Array(large).fill(65)), writer.close))
          const [[a], [b]] = yield* both(readAll(one), readAll(other))
          return a!.length + b!.length
        }))
      }),
      large
    )
  })

  it("outlives its programs: after the host was killed it is there, and empty", () => {
    for (const end of ["kill", "powerOff"] as const) {
      seeds(
        Effect.gen(function*() {
          const { machine } = yield* piped
          yield* machine.fork(Effect.gen(function*() {
            const [, writer] = yield* both(connect("fifo:?read=/a", { readMark: 0 }), connect("fifo:?write=/a"))
            yield* writer.write(bytes("old"))
            return yield* Effect.never
          }))
          yield* Effect.sleep(100)
          yield* machine[end]
          yield* machine.restart
          return yield* machine.run(Effect.gen(function*() {
            const [reader, writer] = yield* both(connect("fifo:?read=/a"), connect("fifo:?write=/a"))
            yield* Effect.andThen(writer.write(bytes("new")), writer.close)
            return yield* readAll(reader)
          }))
        }),
        ["new", "end"]
      )
    }
  })

  it("what is not there is NotFound, on every other host as well", () => {
    seeds(
      Effect.gen(function*() {
        const { host } = yield* World.World
        yield* piped
        return yield* (yield* host("other")).run(seen(connect("fifo:?read=/a")))
      }),
      "NotFound"
    )
  })

  it("the digest covers what is in it, and is the same again", () => {
    const digestOf = (what: string) =>
      Sim.check(
        Effect.gen(function*() {
          const { machine } = yield* piped
          return yield* machine.run(Effect.gen(function*() {
            const [reader, writer] = yield* both(connect("fifo:?read=/a"), connect("fifo:?write=/a"))
            yield* Effect.andThen(writer.write(bytes(what)), writer.close)
            return (yield* readAll(reader))[1]
          }))
        }),
        { seed: 1 }
      )
    assert.deepStrictEqual(digestOf("one").exit, Exit.succeed("end"))
    assert.notStrictEqual(digestOf("one").digest, digestOf("two").digest)
  })

  it("a path that is taken or none is refused by name", () => {
    for (const path of ["/a", ""]) {
      const { exit } = Sim.run(
        Effect.gen(function*() {
          const { machine } = yield* piped
          return yield* (yield* World.World).fifo(machine, path)
        }),
        { seed: 1 }
      )
      const expected = path === "" ? "a path without NUL" : "a path that is free on machine"
      assert.deepStrictEqual(
        exit as Exit.Exit<unknown, unknown>,
        Exit.fail(new SimError.InvalidWorld({ field: "path", expected, actual: path }))
      )
    }
  })
})

describe("faults of pipes", () => {
  it("fifo-reader-gone: a write that waits sees Reset, one that comes later too, and the reader Disconnected", () => {
    seeds(
      Effect.gen(function*() {
        const { a, machine } = yield* piped
        return yield* machine.run(Effect.gen(function*() {
          const [reader, writer] = yield* both(connect("fifo:?read=/a"), connect("fifo:?write=/a"))
          const reading = yield* Effect.forkScoped(Effect.andThen(Effect.sleep(50), readAll(reader)))
          const [idleReader, idle] = yield* both(connect("fifo:?read=/b"), connect("fifo:?write=/b"))
          yield* idleReader.pause
          yield* idleReader.abort
          yield* reader.pause
          const writing = yield* Effect.forkScoped(
            seen(Effect.andThen(writer.write(new Uint8Array(300_000)), writer.flush))
          )
          yield* Effect.sleep(10)
          yield* a.loseReaders
          yield* reader.resume
          const [, how] = yield* Fiber.join(reading)
          return [
            yield* Fiber.join(writing),
            yield* seen(writer.write(bytes("late"))),
            how,
            yield* seen(Effect.andThen(idle.write(bytes("x")), idle.flush))
          ]
        }))
      }),
      ["Reset", "Reset", "Disconnected", "Reset"]
    )
  })

  it("path-permission-denied: opening fails until it is allowed again, and what is open stays", () => {
    seeds(
      Effect.gen(function*() {
        const { machine } = yield* piped
        const { deny } = yield* World.World
        const [reader, writer] = yield* Effect.gen(function*() {
          const { main, fifo } = yield* World.World
          yield* fifo(main, "/main")
          return yield* both(connect("fifo:?read=/main"), connect("fifo:?write=/main"))
        })
        const { main } = yield* World.World
        const denied = yield* Effect.scoped(Effect.andThen(
          Effect.andThen(deny(machine, "/a"), deny(main, "/main")),
          both(machine.run(seen(connect("fifo:?read=/a"))), seen(connect("fifo:?read=/main")))
        ))
        yield* Effect.andThen(writer.write(bytes("open")), writer.close)
        return [
          ...denied,
          (yield* readAll(reader)).join(),
          yield* machine.run(Effect.map(both(connect("fifo:?read=/a"), connect("fifo:?write=/a")), () => "allowed"))
        ]
      }),
      ["PermissionDenied", "PermissionDenied", "open,end", "allowed"]
    )
  })
})
