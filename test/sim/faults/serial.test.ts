import { describe } from "@effect/vitest"
import { Effect } from "effect"
import { Connection } from "effect-transport"
import { Fault } from "effect-transport/sim"
import { both, faultTest, forever, inTurn, pause, read, type Side, write, wrote } from "../../support/faultTest.ts"

const over = "serial"
const at = { host: "client", path: "/dev/client" } as const
/** Tells eight bytes by their places, and those that are not what was sent there. */
const eight: Side = (transport, log) =>
  Effect.gen(function*() {
    let told = ""
    for (let at = 0; at < 8;) {
      for (const byte of yield* Connection.take(transport)) told += byte === at++ ? `${byte}` : "x"
      if (at % 4 === 0) yield* log(told)
    }
  }).pipe(Effect.ignore)
/** Four bytes once the fault has come, and four a second later. */
const client = inTurn(pause("1 second"), write(4), pause("1 second"), write(4, 4), forever)
const early = { ...at, when: "500 millis" } as const
const sees = (server: ReadonlyArray<string>, client: ReadonlyArray<string> = []) => ({
  client: ["10 connected", ...client],
  server: ["1 opened", ...server]
})

describe("faults of serial cables", () => {
  faultTest("serialGarble", "changes so many bytes, and the sender sees nothing", {
    over,
    faults: [Fault.serialGarble({ ...early, bytes: 2 })],
    client,
    server: eight,
    sees: sees(["1014.166668 xx23", "2014.166668 xx234567"])
  })

  faultTest("serialOverrun", "loses so many bytes, and the sender sees nothing", {
    over,
    faults: [Fault.serialOverrun({ ...early, bytes: 4 })],
    client: inTurn(pause("1 second"), write(4), write(4), forever),
    // Four bytes later, at 960 bytes a second.
    sees: sees(["1015.208335 0..1", "1016.250002 1..2", "1017.291669 2..3", "1018.333336 3..4"])
  })

  faultTest("serialBreak", "is a NUL, with nothing sent meanwhile", {
    over,
    faults: [Fault.serialBreak({ ...early, for: "800 millis" })],
    client: inTurn(pause("1 second"), write(1, 1), forever),
    sees: sees(["1300 0..1", "1301.041667 1..2"])
  })

  faultTest("serialGarbage", "changes all bytes for so long", {
    over,
    faults: [Fault.serialGarbage({ ...early, for: "1 second" })],
    client,
    server: eight,
    sees: sees(["1014.166668 xxxx", "2014.166668 xxxx4567"])
  })

  faultTest("serialStall", "keeps what is sent for so long", {
    over,
    faults: [Fault.serialStall({ ...early, for: "3 seconds" })],
    client,
    server: eight,
    sees: sees(["3504.166668 0123", "3508.333336 01234567"])
  })

  faultTest("serialStall", "lets a writer wait where 4096 bytes are queued, until a heal", {
    over,
    faults: [Fault.serialStall({ ...early, for: "1 hour" }), Fault.heal({ when: "3 seconds" })],
    client: inTurn(pause("1 second"), wrote(4096), wrote(60_000), wrote(1), forever),
    server: inTurn(forever),
    until: "2 minutes",
    // 59 999 bytes have left and one is leaving when the last of the second write is queued.
    sees: sees([], ["1010 wrote: ok", "65498.978333 wrote: ok", "65498.978333 wrote: ok"])
  })

  faultTest("serialUnplug", "takes the device from its program, and the other end sees nothing", {
    over,
    faults: [Fault.serialUnplug({ ...early, for: "1 hour" })],
    client: both(read, inTurn(pause("1 second"), wrote(4))),
    server: both(read, inTurn(pause("1 second"), wrote(4), forever)),
    sees: sees(["1001 wrote: ok"], ["500 Disconnected", "1010 wrote: Disconnected"])
  })

  faultTest("serialUnplug", "is over after so long", {
    over,
    tries: 4,
    faults: [Fault.serialUnplug({ ...at, when: 0, for: "1500 millis" })],
    client: inTurn(write(1), forever),
    sees: { client: ["10 NotFound", "1010 NotFound", "2010 connected"], server: ["1 opened", "2011.041667 0..1"] }
  })

  faultTest("serialPlug", "lets it be opened again", {
    over,
    tries: 4,
    faults: [Fault.serialUnplug({ ...at, when: 0, for: "1 hour" }), Fault.serialPlug({ ...at, when: "500 millis" })],
    client: inTurn(write(1), forever),
    sees: { client: ["10 NotFound", "1010 connected"], server: ["1 opened", "1011.041667 0..1"] }
  })
})
