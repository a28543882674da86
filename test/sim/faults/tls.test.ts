import { describe } from "@effect/vitest"
import { Effect } from "effect"
import { Fault, World } from "effect-transport/sim"
import { both, close, faultTest, forever, halfClose, inTurn, pause, write, wrote } from "../../support/faultTest.ts"

const host = "server"
const over = "tls"
/** It is over before the client tries again. */
const lasting = { host, when: 0, for: "500 millis" } as const
const hello = inTurn(write(4), forever)
/** The first try fails, the second finds all well. */
const rejected = (why: string) => ({ client: [`14 ${why}`, "1018 connected", "1020 0..4"], server: ["1019 accepted"] })

describe("faults of TLS", () => {
  faultTest("tlsHandshakeStall", "lets the client give up after 10 s, and the server hands out nothing", {
    over,
    faults: [Fault.tlsHandshakeStall({ host, when: 0, for: "1 minute" })],
    sees: { client: ["10012 TimedOut handshake"], server: [] }
  })

  faultTest("tlsHandshakeStall", "that is over in time is a handshake that takes longer", {
    over,
    faults: [Fault.tlsHandshakeStall({ host, when: 0, for: "5 seconds" })],
    server: hello,
    sees: { client: ["5001 connected", "5003 0..4"], server: ["5002 accepted"] }
  })

  faultTest("tlsHandshakeStall", "ends by a heal", {
    over,
    faults: [Fault.tlsHandshakeStall({ host, when: 0, for: "1 minute" }), Fault.heal({ when: "2 seconds" })],
    server: hello,
    sees: { client: ["2001 connected", "2003 0..4"], server: ["2002 accepted"] }
  })

  faultTest("tlsUntrusted", "is a certificate of nobody's that is known", {
    over,
    tries: 2,
    faults: [Fault.tlsUntrusted(lasting)],
    server: hello,
    sees: rejected("TlsRejected Untrusted")
  })

  faultTest("tlsExpired", "is a certificate past its time", {
    over,
    tries: 2,
    faults: [Fault.tlsExpired(lasting)],
    server: hello,
    sees: rejected("TlsRejected Expired")
  })

  faultTest("tlsWrongName", "is a certificate for another", {
    over,
    tries: 2,
    faults: [Fault.tlsWrongName(lasting)],
    server: hello,
    sees: rejected("TlsRejected NameMismatch")
  })

  faultTest("tlsUntrusted", "is nothing to a connection that stands", {
    over,
    faults: [Fault.tlsUntrusted({ host, when: "100 millis", for: "1 minute" })],
    server: inTurn(pause("1 second"), hello),
    sees: { client: ["14 connected", "1016 0..4"], server: ["15 accepted"] }
  })

  faultTest("tlsAlpnMismatch", "leaves no protocol that both speak", {
    over,
    tries: 2,
    setUp: ({ client, server }) =>
      Effect.flatMap(World.World, ({ tls }) => Effect.andThen(tls(client).alpn(["h2"]), tls(server).alpn(["h2"]))),
    faults: [Fault.tlsAlpnMismatch(lasting)],
    server: hello,
    sees: rejected("TlsRejected NoCommonProtocol")
  })

  faultTest("tlsAlpnMismatch", "of the client's host is the same", {
    over,
    setUp: ({ server }) => Effect.flatMap(World.World, ({ tls }) => tls(server).alpn(["h2"])),
    faults: [Fault.tlsAlpnMismatch({ ...lasting, host: "client" })],
    sees: { client: ["14 TlsRejected NoCommonProtocol"], server: [] }
  })

  faultTest("tlsAlpnMismatch", "is nothing where a side names no protocol", {
    over,
    faults: [Fault.tlsAlpnMismatch(lasting)],
    server: hello,
    sees: { client: ["14 connected", "16 0..4"], server: ["15 accepted"] }
  })

  faultTest("tlsPlaintextPeer", "answers the client in the clear", {
    over,
    tries: 2,
    faults: [Fault.tlsPlaintextPeer(lasting)],
    server: hello,
    sees: rejected("TlsRejected PlaintextPeer")
  })

  faultTest("tlsMissingCloseNotify", "cuts off what the host ends, after all that was sent", {
    over,
    faults: [Fault.tlsMissingCloseNotify({ ...lasting, for: "1 minute" })],
    server: inTurn(write(4), close),
    sees: { client: ["14 connected", "16 0..4", "16 Truncated"], server: ["15 accepted", "17 close: ok"] }
  })

  faultTest("tlsMissingCloseNotify", "leaves what its peer ends", {
    over,
    faults: [Fault.tlsMissingCloseNotify({ ...lasting, for: "1 minute" })],
    client: both(inTurn(write(4), halfClose), forever),
    sees: { client: ["14 connected"], server: ["15 accepted", "15 0..4", "15 end"] }
  })

  faultTest("tlsAlert", "comes in the place of the record after so many", {
    over,
    faults: [Fault.tlsAlert({ ...lasting, for: "1 minute", records: 2 })],
    server: inTurn(wrote(2), pause(100), wrote(2, 2), pause(100), wrote(2, 4), pause(100), wrote(2, 6)),
    sees: {
      client: ["14 connected", "16 0..2", "116 2..4", "216 TlsRejected Other"],
      server: ["15 accepted", "15 wrote: ok", "115 wrote: ok", "215 wrote: ok", "315 wrote: TlsRejected Other"]
    }
  })

  faultTest("tlsAlert", "of two, the one with fewer records counts as long as it lasts", {
    over,
    faults: [
      Fault.tlsAlert({ ...lasting, for: "1 minute", records: 1 }),
      Fault.tlsAlert({ ...lasting, for: "5 millis", records: 0 })
    ],
    server: inTurn(wrote(2), pause(100), wrote(2, 2), forever),
    sees: {
      client: ["14 connected", "16 0..2", "116 TlsRejected Other"],
      server: ["15 accepted", "15 wrote: ok", "115 wrote: ok"]
    }
  })

  faultTest("tlsAlert", "comes at a mark", {
    over,
    faults: [Fault.tlsAlert({ host, when: { mark: "now" }, for: "1 minute", records: 0 })],
    server: inTurn(wrote(2), pause("2 seconds"), wrote(2, 2), forever),
    meanwhile: () => Effect.flatMap(World.World, ({ mark }) => Effect.andThen(Effect.sleep("1 second"), mark("now"))),
    sees: {
      client: ["14 connected", "16 0..2", "2016 TlsRejected Other"],
      server: ["15 accepted", "15 wrote: ok", "2015 wrote: ok"]
    }
  })
})
