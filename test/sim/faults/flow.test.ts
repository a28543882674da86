import { describe } from "@effect/vitest"
import { Fault } from "effect-transport/sim"
import { Prng } from "../../../src/sim/engine/prng.ts"
import { both, faultTest, forever, inTurn, pause, read, write, wrote } from "../../support/faultTest.ts"

const way = { connection: 0, direction: "c>s" } as const
/** What stands before all that follows: the client is connected at 12 ms, and accepted at 13 ms. */
const open = { client: ["12 connected"], server: ["13 accepted"] }
const sees = (client: ReadonlyArray<string>, server: ReadonlyArray<string>) => ({
  client: [...open.client, ...client],
  server: [...open.server, ...server]
})
/** A client that says four bytes at 100 ms, four more a second later, and stays. */
const twice = both(inTurn(pause(88), write(4), pause("1 second"), write(4, 4), forever), read)

describe("faults of a flow", () => {
  faultTest("delay", "is of what follows, once", {
    faults: [Fault.delay({ ...way, at: 2, by: "50 millis" })],
    client: twice,
    sees: sees([], ["101 0..2", "151 2..4", "1101 4..8"])
  })

  faultTest("jitter", "is of each piece that follows, as its own random numbers have it", {
    faults: [Fault.jitter({ ...way, at: 4, upTo: "20 millis" })],
    client: twice,
    sees: (seed) => {
      const lateNs = Math.floor(Prng.of(seed, "fault:jitter (connection 0 c>s at 4)").fraction() * 20e6)
      return sees([], ["101 0..4", `${(1101e6 + lateNs) / 1e6} 4..8`])
    }
  })

  faultTest("bandwidth", "is of what follows", {
    faults: [Fault.bandwidth({ ...way, at: 4, bytesPerSecond: 100 })],
    client: twice,
    sees: sees([], ["101 0..4", "1141 4..8"])
  })

  faultTest("coalesce", "gives what comes within a window in one piece, at its end", {
    faults: [Fault.coalesce({ ...way, window: "30 millis" })],
    client: inTurn(write(4), pause(10), write(4, 4), pause(1000), write(4, 8), forever),
    sees: sees([], ["43 0..8", "1053 8..12"])
  })

  faultTest("coalesce", "is a burst where there is one window", {
    faults: [Fault.burst({ ...way, window: "30 millis" })],
    client: inTurn(write(4), pause(10), write(4, 4), pause(1000), write(4, 8), forever),
    sees: sees([], ["43 0..8", "1023 8..12"])
  })

  faultTest("stall", "holds what follows at the sender, whose buffer fills", {
    faults: [Fault.stall({ ...way, at: 2, for: "100 millis" })],
    client: inTurn(wrote(80_000), forever),
    sees: sees(["112 wrote: ok"], ["13 0..2", "113 2..65536", "115 65536..80000"])
  })

  faultTest("stall", "is a window of zero where the receiver does it", {
    faults: [Fault.zeroWindow({ ...way, at: 2, for: "100 millis" })],
    client: twice,
    sees: sees([], ["101 0..2", "201 2..4", "1101 4..8"])
  })

  faultTest("clog", "holds what is on its way, and lets it go in order", {
    faults: [Fault.clog({ ...way, when: "50 millis", for: "2 seconds" })],
    client: twice,
    sees: sees([], ["2050 0..4", "2050 4..8"])
  })

  faultTest("trickle", "gives so many bytes one by one", {
    faults: [Fault.trickle({ ...way, bytes: 2, every: "10 millis" })],
    client: twice,
    sees: sees([], ["101 0..1", "111 1..2", "121 2..4", "1101 4..8"])
  })

  faultTest("fragment", "gives the bytes before and behind in two pieces", {
    faults: [Fault.fragment({ ...way, at: 1 })],
    client: twice,
    sees: sees([], ["101 0..1", "101 1..4", "1101 4..8"])
  })

  faultTest("shortWrite", "lets a large write wait for its rest", {
    faults: [Fault.shortWrite({ ...way, at: 20_000, for: "40 millis" })],
    client: inTurn(wrote(30_000), forever),
    sees: sees(["52 wrote: ok"], ["13 0..20000", "53 20000..30000"])
  })

  faultTest("shortRead", "gives no more at once", {
    faults: [Fault.shortRead({ ...way, at: 2, bytesMax: 3 })],
    client: inTurn(write(9), forever),
    sees: sees([], ["13 0..2", "13 2..5", "13 5..8", "13 8..9"])
  })

  faultTest("slowReader", "reads at its rate, and in the end the sender waits", {
    faults: [
      Fault.slowReader({ ...way, bytesPerSecond: 40 }),
      Fault.buffer({ ...way, side: "send", bytes: 4 }),
      Fault.buffer({ ...way, side: "receive", bytes: 4 })
    ],
    client: inTurn(wrote(20_000), forever),
    until: "400 millis",
    sees: sees([], ["13 0..4", "113 4..8", "213 8..12", "313 12..16"])
  })

  faultTest("buffer", "bounds what is on its way, and what the sender's system takes", {
    faults: [
      Fault.buffer({ ...way, side: "send", bytes: 10_000 }),
      Fault.buffer({ ...way, side: "receive", bytes: 10_000 })
    ],
    client: inTurn(wrote(20_000), wrote(20_000, 20_000), forever),
    // The second write is with the system when half of it is on its way: acknowledgements take a round trip.
    sees: sees(["12 wrote: ok", "16 wrote: ok"], [
      "13 0..10000",
      "15 10000..20000",
      "17 20000..30000",
      "19 30000..40000"
    ])
  })
})
