import { describe } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { Fault, Interleave, World } from "effect-transport/sim"
import { both, faultTest, forever, inTurn, pause, read, write } from "../../support/faultTest.ts"

const host = "server"
const when = "1 second"
const sees = (client: ReadonlyArray<string>, server: ReadonlyArray<string>) => ({
  client: ["12 connected", ...client],
  server: ["13 accepted", ...server]
})
/** A server that says four bytes when it has read four. */
const answers = both(inTurn(write(4), forever), read)

describe("faults of hosts", () => {
  faultTest("stop", "runs finalizers, and the peer sees an end or a reset", {
    faults: [Fault.stop({ host, when })],
    client: answers,
    server: inTurn(read),
    sees: sees(["1001 Reset"], ["13 0..4", "1000 finalizer"])
  })

  faultTest("kill", "runs no finalizer, and the peer sees an end", {
    faults: [Fault.kill({ host, when })],
    client: answers,
    sees: sees(["1001 end"], ["13 0..4"])
  })

  faultTest("kill", "comes at a mark, the n-th time that it is seen", {
    faults: [Fault.kill({ host, when: { mark: "commit", nth: 2 } })],
    client: answers,
    meanwhile: () =>
      Effect.flatMap(World.World, ({ mark }) =>
        Effect.gen(function*() {
          yield* Effect.sleep("2 seconds")
          yield* mark("commit")
          yield* Effect.sleep("1 second")
          yield* mark("commit")
        })),
    sees: sees(["3011 end"], ["13 0..4"])
  })

  faultTest("powerOff", "tells nobody", {
    faults: [Fault.powerOff({ host, when })],
    client: both(answers, inTurn(pause("2 seconds"), write(4, 4), forever)),
    sees: sees([], ["13 0..4"])
  })

  faultTest("restart", "boots again after so long", {
    faults: [Fault.restart({ host, when, by: "powerOff", down: "500 millis" })],
    client: both(answers, inTurn(pause("2 seconds"), write(4, 4), forever)),
    // The new life knows nothing of the connection.
    sees: sees(["2014 Reset"], ["13 0..4"])
  })

  faultTest("pause", "lets what arrives wait", {
    faults: [Fault.pause({ host, when, for: "3 seconds" })],
    client: both(read, inTurn(write(4), pause("2 seconds"), write(4, 4), forever)),
    sees: sees([], ["13 0..4", "4000 4..8"])
  })

  faultTest("clockJump", "moves the time of day of one host alone, and no timer", {
    faults: [Fault.clockJump({ host, when, by: "-1 hour" })],
    client: (_transport, log) =>
      inTurn(pause(2000), () => Effect.flatMap(wallMillis, (ms) => log(`${ms}`)))(_transport, log),
    server: (_transport, log) =>
      inTurn(pause(2000), () => Effect.flatMap(wallMillis, (ms) => log(`${ms}`)))(_transport, log),
    sees: sees(["2012 2012"], ["2013 -3597987"])
  })

  faultTest("clockJump", "is an offset where it comes at the start", {
    faults: [Fault.clockOffset({ host, by: "1 minute" })],
    server: (transport, log) => inTurn(() => Effect.flatMap(wallMillis, (ms) => log(`${ms}`)), read)(transport, log),
    sees: sees([], ["13 60013"])
  })

  faultTest("clockDrift", "lets timers of one host alone go faster", {
    faults: [Fault.clockDrift({ host, when: 0, ppm: 1_000_000 })],
    // Twice as fast: a second of the server's is half of one.
    server: inTurn(pause("1 second"), write(4), forever),
    sees: { client: ["12 connected", "514 0..4"], server: ["26 accepted"] }
  })

  faultTest("slowCpu", "takes time for each task", {
    faults: [Fault.slowCpu({ host, when, for: "1 minute", step: "20 millis" })],
    client: both(read, inTurn(pause("2 seconds"), write(4), pause(1), write(4, 4), forever)),
    server: both(read, forever),
    // How many tasks there are depends on who gives way.
    interleavings: [Interleave.production],
    // The second piece waits until the task of the first is done.
    sees: sees([], ["2013 0..4", "2033 4..8"])
  })
})

const wallMillis = Effect.map(Clock.currentTimeMillis, (ms) => ms - Date.UTC(2000, 0, 1))
