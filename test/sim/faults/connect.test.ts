import { describe } from "@effect/vitest"
import { Fault } from "effect-transport/sim"
import { both, faultTest, forever, inTurn, read, write } from "../../support/faultTest.ts"

const connection = 0
/** A client that says four bytes at once, and stays. */
const speaks = { client: both(inTurn(write(4), forever), read) }

describe("faults of an opening", () => {
  faultTest("refused", "is known after a round trip, and nobody else hears of it", {
    faults: [Fault.refused({ connection })],
    sees: { client: ["12 Refused"], server: [] }
  })

  faultTest("blackhole", "is given up after 127 seconds", {
    faults: [Fault.blackhole({ connection })],
    until: "3 minutes",
    sees: { client: ["127010 TimedOut connect"], server: [] }
  })

  faultTest("slowConnect", "delays both sides", {
    faults: [Fault.slowConnect({ connection, by: "50 millis" })],
    sees: { client: ["62 connected"], server: ["63 accepted"] }
  })

  faultTest("resetAfterAccept", "lets both have a connection that is reset", {
    faults: [Fault.resetAfterAccept({ connection })],
    sees: { client: ["12 connected", "14 Reset"], server: ["13 accepted", "14 Reset"] }
  })

  faultTest("acceptStall", "keeps what the client writes until the server accepts", {
    faults: [Fault.acceptStall({ connection, for: "1 second" })],
    ...speaks,
    sees: { client: ["12 connected"], server: ["1013 accepted", "1013 0..4"] }
  })

  faultTest("acceptFails", "fails one accept, and the connection comes with the next", {
    faults: [Fault.acceptFails({ connection, for: "1 second" })],
    ...speaks,
    sees: { client: ["12 connected"], server: ["13 accept: Failed EMFILE", "1013 accepted", "1013 0..4"] }
  })

  faultTest("backlogFull", "lets the next SYN in, of those that are sent after 1, 3, 7... seconds", {
    faults: [Fault.backlogFull({ connection, for: "2 seconds" })],
    sees: { client: ["3012 connected"], server: ["3013 accepted"] }
  })

  faultTest("addressInUse", "refuses the listener, and so the client", {
    faults: [Fault.addressInUse({ host: "server" })],
    sees: { client: ["12 Refused"], server: ["0 listen: Busy"] }
  })

  faultTest("noPorts", "fails the client at once", {
    faults: [Fault.noPorts({ connection })],
    sees: { client: ["10 Failed EADDRNOTAVAIL"], server: [] }
  })

  faultTest("noDescriptors", "fails the client at once", {
    faults: [Fault.noDescriptors({ connection })],
    sees: { client: ["10 Failed EMFILE"], server: [] }
  })

  faultTest("noName", "fails the client at once", {
    faults: [Fault.noName({ connection })],
    sees: { client: ["10 NameNotFound"], server: [] }
  })

  faultTest("slowName", "delays both sides", {
    faults: [Fault.slowName({ connection, by: "200 millis" })],
    sees: { client: ["212 connected"], server: ["213 accepted"] }
  })

  faultTest("rotatedName", "tries the next address at once where the first refuses", {
    faults: [Fault.rotatedName({ connection, first: "other" })],
    sees: { client: ["14 connected"], server: ["15 accepted"] }
  })

  faultTest("rotatedName", "tries the next address after 250 ms where nobody answers at the first", {
    faults: [Fault.rotatedName({ connection, first: "10.9.9.9" })],
    sees: { client: ["262 connected"], server: ["263 accepted"] }
  })

  faultTest("rotatedName", "fails with what each address said", {
    faults: [
      Fault.rotatedName({ connection, first: "other" }),
      Fault.addressInUse({ host: "server" })
    ],
    sees: { client: ["14 AllAttemptsFailed"], server: ["0 listen: Busy"] }
  })
})
