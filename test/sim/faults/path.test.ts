import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { Fault, Sim } from "effect-transport/sim"
import { faultTest, forever, inTurn, pause, read, write, wrote } from "../../support/faultTest.ts"
import { connect, listen, seen } from "../../support/simWorld.ts"

const at = { host: "server", path: "/run/app" } as const
const hello = inTurn(write(4), forever)

describe("faults of paths", () => {
  faultTest("unixStalePath", "refuses who connects, until somebody listens", {
    over: "unix",
    tries: 3,
    serverAfter: "1500 millis",
    faults: [Fault.unixStalePath({ ...at, when: 0 })],
    server: hello,
    sees: { client: ["10 Refused", "1010 Refused", "2010.02 connected", "2010.04 0..4"], server: ["2010.03 accepted"] }
  })

  faultTest("unixStalePath", "is nothing to who listens first", {
    over: "unix",
    faults: [Fault.unixStalePath({ ...at, when: 0, optional: true })],
    server: hello,
    sees: { client: ["10.02 connected", "10.04 0..4"], server: ["10.03 accepted"] }
  })

  it("unixStalePath: where somebody listens, it is left when that one stops", () => {
    const world = Effect.gen(function*() {
      yield* Effect.scoped(Effect.andThen(listen("unix:///run/app"), Effect.sleep("1 second")))
      return yield* seen(connect("unix:///run/app"))
    })
    const fault = Fault.unixStalePath({ host: "main", path: "/run/app", when: "500 millis" })
    const { exit, faults } = Sim.run(world, { seed: 1, faults: [fault] })
    assert.deepStrictEqual(exit as Exit.Exit<unknown, unknown>, Exit.succeed("Refused"))
    assert.strictEqual(faults[0]!.firedNs!, 1e9)
    assert.deepStrictEqual(
      Sim.run(world, { seed: 1 }).exit as Exit.Exit<unknown, unknown>,
      Exit.succeed("NotFound")
    )
  })

  faultTest("pathPermissionDenied", "refuses who connects, for so long", {
    over: "unix",
    tries: 3,
    faults: [Fault.pathPermissionDenied({ ...at, when: "5 millis", for: "1500 millis" })],
    server: hello,
    sees: {
      client: ["10 PermissionDenied", "1010 PermissionDenied", "2010.02 connected", "2010.04 0..4"],
      server: ["2010.03 accepted"]
    }
  })

  faultTest("pathPermissionDenied", "leaves what is open", {
    over: "unix",
    faults: [Fault.pathPermissionDenied({ ...at, when: "1 second", for: "1 minute" })],
    server: inTurn(pause("2 seconds"), hello),
    sees: { client: ["10.02 connected", "2010.04 0..4"], server: ["10.03 accepted"] }
  })

  faultTest("pathPermissionDenied", "is for a named pipe as well", {
    over: "fifo",
    tries: 2,
    faults: [Fault.pathPermissionDenied({ ...at, when: "5 millis", for: "500 millis" })],
    client: hello,
    sees: { client: ["10 PermissionDenied", "1010 connected"], server: ["1010 opened", "1010.01 0..4"] }
  })

  faultTest("pathPermissionDenied", "is for a device as well", {
    over: "serial",
    tries: 2,
    faults: [Fault.pathPermissionDenied({ host: "client", path: "/dev/client", when: "5 millis", for: "500 millis" })],
    client: hello,
    server: inTurn(forever),
    sees: { client: ["10 PermissionDenied", "1010 connected"], server: ["1 opened"] }
  })

  faultTest("fifoReaderGone", "is a broken pipe to a writer that waits for room", {
    over: "fifo",
    faults: [Fault.fifoReaderGone({ ...at, when: "1 second" })],
    client: inTurn(wrote(400_000), wrote(1)),
    server: (transport, log) =>
      Effect.andThen(
        transport.pause,
        Effect.andThen(Effect.sleep("2 seconds"), Effect.andThen(transport.resume, read(transport, log)))
      ),
    sees: {
      client: ["10 connected", "1000.01 wrote: Reset", "1000.01 wrote: Reset"],
      server: ["10 opened", "2010 Disconnected"]
    }
  })

  faultTest("fifoReaderGone", "waits for somebody who reads, and one who writes later learns it by its next write", {
    over: "fifo",
    faults: [Fault.fifoReaderGone({ ...at, when: 0 })],
    client: inTurn(pause("1 second"), wrote(4), pause("1 second"), wrote(4, 4)),
    sees: { client: ["10 connected", "1010 wrote: ok", "2010 wrote: Reset"], server: ["10 opened", "10 Disconnected"] }
  })

  faultTest("fifoWriterGone", "is an end to who reads, after all that was written", {
    over: "fifo",
    faults: [Fault.fifoWriterGone({ ...at, when: "1 second" })],
    client: inTurn(wrote(4), pause("2 seconds"), wrote(4, 4)),
    sees: {
      client: ["10 connected", "10 wrote: ok", "2010 wrote: Disconnected"],
      server: ["10 opened", "10.01 0..4", "1000.01 end"]
    }
  })
})
