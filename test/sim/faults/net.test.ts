import { describe } from "@effect/vitest"
import { Fault } from "effect-transport/sim"
import { both, faultTest, forever, inTurn, pause, read, write } from "../../support/faultTest.ts"

const groups = [["client"], ["server"]]
const when = "1 second"
const sees = (client: ReadonlyArray<string>, server: ReadonlyArray<string>) => ({
  client: ["12 connected", ...client],
  server: ["13 accepted", ...server]
})
/** Each says four bytes at 2 s, while they are apart. */
const both4 = both(read, inTurn(pause("2 seconds"), write(4), forever))

describe("faults of the net", () => {
  faultTest("partition", "keeps what is sent until TCP tries again after the heal", {
    faults: [Fault.partition({ groups, when, for: "2 seconds" })],
    client: both4,
    server: both4,
    // Sent at 2012, again 0.2, 0.6, 1.4 s later: at 3412, and at 3413 from the server.
    sees: sees(["3414 0..4"], ["3413 0..4"])
  })

  faultTest("partition", "of one way leaves the other", {
    faults: [Fault.partition({ groups, when, for: "2 seconds", isOneWay: true })],
    client: both4,
    server: both4,
    sees: sees(["2014 0..4"], ["3413 0..4"])
  })

  faultTest("partition", "that drops breaks a connection at whoever sends", {
    faults: [Fault.partition({ groups, when, for: "2 seconds", mode: "drop" })],
    client: both4,
    sees: sees(["2012 Reset"], [])
  })

  faultTest("partition", "that is slow delays what is sent", {
    faults: [Fault.partition({ groups, when, for: "2 seconds", mode: "slow", by: "300 millis" })],
    client: both4,
    server: both4,
    sees: sees(["2314 0..4"], ["2313 0..4"])
  })

  faultTest("flap", "lets through what TCP tries while it is up", {
    faults: [Fault.flap({ groups, when: "1900 millis", times: 2, down: "500 millis", up: "100 millis" })],
    client: both4,
    // Down 1900..2400 and 2500..3000. Sent at 2012, again at 2212, 2612, when it is down again, and 3412.
    sees: sees([], ["3413 0..4"])
  })

  faultTest("swizzleClog", "cuts some off, and joins them again", {
    faults: [Fault.swizzleClog({ hosts: ["server"], when, within: "4 seconds" })],
    client: inTurn(pause("20 seconds"), write(4), forever),
    sees: sees([], ["20013 0..4"])
  })

  faultTest("heal", "ends what lasts", {
    faults: [
      Fault.partition({ groups, when, for: "1 hour" }),
      Fault.bandwidth({ connection: 0, direction: "s>c", bytesPerSecond: 1 }),
      Fault.heal({ when: "3 seconds" })
    ],
    client: both4,
    server: both4,
    sees: sees(["3414 0..4"], ["3413 0..4"])
  })
})
