import { describe } from "@effect/vitest"
import { Fault } from "effect-transport/sim"
import {
  both,
  close,
  faultTest,
  forever,
  halfClose,
  inTurn,
  pause,
  read,
  write,
  wrote
} from "../../support/faultTest.ts"

const connection = 0
const way = { connection, direction: "c>s" } as const
const sees = (client: ReadonlyArray<string>, server: ReadonlyArray<string>) => ({
  client: ["12 connected", ...client],
  server: ["13 accepted", ...server]
})
const says = both(inTurn(write(4), forever), read)

describe("faults of an end", () => {
  faultTest("finDelay", "lets the peer see the end later, and us nothing", {
    faults: [Fault.finDelay({ ...way, by: "1 second" })],
    client: inTurn(write(4), halfClose, read),
    server: inTurn(read, halfClose),
    sees: sees(["1014 end"], ["13 0..4", "1013 end"])
  })

  faultTest("finLost", "lets the peer wait for ever", {
    faults: [Fault.finLost(way)],
    client: inTurn(write(4), close),
    server: both(read, inTurn(pause("5 seconds"), write(1), pause("1 second"), write(1))),
    // Whoever closes lingers for a second; then bytes for it are answered with a reset.
    sees: sees(["1012 close: ok"], ["13 0..4", "5015 Reset", "6013 write: Reset NotSent"])
  })

  faultTest("cut", "ends the direction behind so many bytes", {
    faults: [Fault.cut({ ...way, at: 3, end: "fin" })],
    client: says,
    server: inTurn(read, forever),
    sees: sees(["13 Reset"], ["13 0..3", "13 end"])
  })

  faultTest("cut", "resets both where it ends by a reset", {
    faults: [Fault.cut({ ...way, at: 4, end: "rst" })],
    client: says,
    server: inTurn(read, forever),
    sees: sees(["13 Reset"], ["13 0..4", "13 Reset"])
  })

  faultTest("reset", "is seen by both", {
    faults: [Fault.reset({ connection, when: "1 second" })],
    client: says,
    sees: sees(["1001 Reset"], ["13 0..4", "1001 Reset"])
  })

  faultTest("reset", "leaves what had arrived to be read", {
    faults: [Fault.reset({ connection, when: "1 second" })],
    client: both(inTurn(write(100_000), forever), read),
    server: inTurn(pause("2 seconds"), read),
    sees: sees(["1001 Reset"], ["2013 0..65536", "2013 65536..100000", "2013 Reset"])
  })

  faultTest("reset", "takes what had arrived with it where that is lost", {
    faults: [Fault.reset({ connection, when: "1 second", unread: "lost" })],
    client: both(inTurn(write(100_000), forever), read),
    server: inTurn(pause("2 seconds"), read),
    // What its transport had taken from the system stays.
    sees: sees(["1001 Reset"], ["2013 0..65536", "2013 Reset"])
  })

  faultTest("resetMidWrite", "fails the write, and the peer has its first bytes", {
    faults: [Fault.resetMidWrite({ ...way, at: 10_000 })],
    client: inTurn(wrote(20_000), read),
    sees: sees(["12 wrote: Reset", "12 Reset"], ["13 0..10000", "13 Reset"])
  })

  faultTest("closeHang", "keeps a close waiting", {
    faults: [Fault.closeHang({ ...way, for: "2 seconds" })],
    client: inTurn(write(4), close),
    server: inTurn(read, halfClose),
    sees: sees(["2014 close: ok"], ["13 0..4", "2013 end"])
  })

  faultTest("closeHang", "fails a close where that is longer than it may take", {
    faults: [Fault.closeHang({ ...way, for: "20 seconds" })],
    client: inTurn(write(4), close),
    sees: sees(["5012 close: TimedOut flush"], ["13 0..4", "5013 Reset"])
  })

  faultTest("lateWriteError", "lets a write succeed that never arrives", {
    faults: [Fault.lateWriteError({ ...way, at: 2, after: "3 seconds" })],
    client: both(inTurn(wrote(4), pause("4 seconds"), wrote(4, 4)), read),
    sees: sees(["12 wrote: ok", "3012 Reset", "4012 wrote: Reset"], ["13 0..2"])
  })

  faultTest("idleDrop", "answers the next byte with a reset", {
    faults: [Fault.idleDrop({ connection, after: "1 second", answer: "rst" })],
    client: both(inTurn(write(4), pause("2 seconds"), write(4, 4), forever), read),
    sees: sees(["2013 Reset"], ["13 0..4"])
  })

  faultTest("idleDrop", "is silent until TCP gives up", {
    faults: [Fault.idleDrop({ connection, after: "1 second", answer: "silence" })],
    client: both(inTurn(write(4), pause("2 seconds"), write(4, 4), forever), read),
    until: "20 minutes",
    sees: sees(["926612 Reset"], ["13 0..4"])
  })

  faultTest("keepaliveExpiry", "breaks one side, and the other learns of it when it writes", {
    faults: [Fault.keepaliveExpiry({ connection, side: "client", when: "1 second" })],
    client: says,
    server: both(read, inTurn(pause("2 seconds"), write(4), forever)),
    sees: sees(["1000 Reset"], ["13 0..4", "2015 Reset"])
  })
})
