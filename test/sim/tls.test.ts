import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, type Scope } from "effect"
import { Connection, Transport } from "effect-transport"
import { type Medium, Sim, World } from "effect-transport/sim"
import { bytes, connect, listen, readAll, seeds, seen, text, waits } from "../support/simWorld.ts"

type Program<A> = (transport: Transport.HalfCloseableTransport) => Effect.Effect<A, unknown, Scope.Scope>

/** A server and a client; `setUp` is done to the world in between. */
const talk = <A, B>(options: {
  readonly server?: Program<B>
  readonly client?: Program<A>
  readonly setUp?: (
    tls: Medium.Tls,
    hosts: { readonly server: World.Host; readonly client: World.Host }
  ) => Effect.Effect<unknown, unknown, Scope.Scope | World.World>
  readonly endpoint?: string
  readonly listening?: string
  readonly truncation?: "fail" | "ignore"
  readonly readMark?: number
}): Effect.Effect<{ readonly client: A | string; readonly server: B | string }, unknown, Scope.Scope | World.World> =>
  Effect.gen(function*() {
    const { host, tls } = yield* World.World
    const [server, client] = [yield* host("server"), yield* host("client")]
    yield* options.setUp?.(tls(server), { server, client }) ?? Effect.void
    const serving = yield* Effect.forkChild(server.run(Effect.gen(function*() {
      const { accept } = yield* listen(options.listening ?? "tls://0.0.0.0:443")
      const transport = (yield* accept) as Transport.HalfCloseableTransport
      return yield* options.server?.(transport) ?? (readAll(transport) as Effect.Effect<any>)
    })))
    yield* Effect.sleep(10)
    const told = yield* client.run(Effect.gen(function*() {
      const opened = yield* seen(connect(options.endpoint ?? "tls://server:443", options))
      if (typeof opened === "string") return opened
      return yield* options.client?.(opened as Transport.HalfCloseableTransport) ?? Effect.succeed("open")
    }))
    yield* Effect.sleep("1 minute")
    const ended = serving.pollUnsafe()
    if (ended === undefined) yield* Fiber.interrupt(serving)
    return { client: told, server: ended === undefined ? "nothing" : yield* ended }
  }) as Effect.Effect<any, unknown, Scope.Scope | World.World>

const send = (what: string): Program<void> => (transport) =>
  Effect.andThen(transport.write(bytes(what)), transport.close)

const refused = (why: string) => ({ client: why, server: "nothing" })

describe("tls", () => {
  it("carries bytes both ways, half-closes and ends", () => {
    seeds(
      talk({
        client: (transport) =>
          Effect.andThen(Effect.andThen(transport.write(bytes("ping")), transport.halfClose), readAll(transport)),
        server: (transport) =>
          Effect.tap(readAll(transport), () => Effect.andThen(transport.write(bytes("pong")), transport.close))
      }),
      { client: ["pong", "end"], server: ["ping", "end"] }
    )
  })

  it("carries what is larger than a record", () => {
    seeds(
      talk({
        client: (transport) => Effect.andThen(transport.write(new Uint8Array(1_000_000).fill(65)), transport.close),
        server: (transport) => Effect.map(readAll(transport), ([all, how]) => [all === "A".repeat(1_000_000), how])
      }),
      { client: undefined, server: [true, "end"] },
      3
    )
  })

  it("takes one round trip more than TCP, in records of the real kinds", () => {
    const { events } = Sim.run(talk({ client: send("x") }), { seed: 1, trace: "events" })
    const sent = events.filter(({ kind }) => kind === "send")
    // ClientHello; ServerHello and Finished; Finished; data; close_notify.
    assert.deepStrictEqual(sent.map(({ direction }) => direction).slice(0, 4), ["c>s", "s>c", "s>c", "c>s"])
    assert.deepStrictEqual(sent.map(({ atNs }) => Math.round(atNs / 1e6) - 10).slice(0, 4), [2, 3, 3, 4])
    // A header of 5 bytes, and what is inside.
    const [, , , finished, data, notify] = sent.map(({ from, to }) => to - from)
    assert.deepStrictEqual([finished, data, notify], [5 + 19, 5 + 1, 5 + 2])
  })

  it("has the addresses of the TCP below", () => {
    seeds(
      Effect.map(
        talk({
          client: ({ info }) => Effect.succeed([String(info.local), String(info.peer)]),
          server: ({ info }) => Effect.succeed([String(info.peer), String(info.local)])
        }),
        ({ client, server }) => String(client) === String(server)
      ),
      true
    )
  })

  it("an abort is a reset", () => {
    seeds(
      talk({ client: (transport) => Effect.andThen(Effect.sleep(100), transport.abort) }),
      { client: undefined, server: ["", "Reset"] }
    )
  })

  it("a host that is killed cuts the input short, and not where that is ignored", () => {
    for (const truncation of ["fail", "ignore"] as const) {
      seeds(
        Effect.gen(function*() {
          const { host } = yield* World.World
          const machine = yield* host("server", {
            boot: Effect.flatMap(
              listen("tls://0.0.0.0:443"),
              ({ accept }) =>
                Effect.flatMap(
                  accept,
                  (transport) => Effect.andThen(transport.write(bytes("half of it")), Effect.never)
                )
            )
          })
          yield* Effect.sleep(10)
          const transport = yield* connect("tls://server:443", { truncation })
          yield* Effect.sleep(100)
          yield* machine.kill
          return yield* readAll(transport)
        }),
        ["half of it", truncation === "fail" ? "Truncated" : "end"]
      )
    }
  })

  it("what comes in one piece with the handshake is not lost", () => {
    seeds(
      talk({
        server: (transport) => Effect.andThen(transport.write(bytes("greeting")), transport.close),
        client: (transport) => Effect.andThen(Effect.sleep("1 second"), readAll(transport))
      }),
      { client: ["greeting", "end"], server: undefined }
    )
  })

  it("a connection that was interrupted in its handshake is gone", () => {
    seeds(
      Effect.gen(function*() {
        const { host, tls } = yield* World.World
        const server = yield* host("server")
        yield* tls(server).stallHandshakes
        const accepting = yield* Effect.forkChild(
          server.run(Effect.flatMap(listen("tls://0.0.0.0:443"), ({ accept }) => Effect.asVoid(accept)))
        )
        yield* Effect.sleep(10)
        const opening = yield* Effect.forkScoped(connect("tls://server:443"))
        const waited = yield* waits(opening)
        yield* Fiber.interrupt(opening)
        yield* Effect.sleep(100)
        const still = accepting.pollUnsafe() === undefined
        yield* Fiber.interrupt(accepting)
        return [waited, still]
      }),
      [true, true]
    )
  })

  it("a client that speaks no TLS harms no other", () => {
    seeds(
      Effect.gen(function*() {
        const { host } = yield* World.World
        yield* host("server", {
          boot: Effect.flatMap(
            listen("tls://0.0.0.0:443"),
            ({ serve }) => serve((transport) => Connection.copy(transport, transport, { endOnDone: "close" }))
          )
        })
        yield* Effect.sleep(10)
        const plain = yield* connect("tcp://server:443")
        yield* plain.write(bytes("GET / HTTP/1.1\r\n"))
        const [, how] = yield* readAll(plain)
        const transport = yield* connect("tls://server:443")
        yield* transport.write(bytes("hello"))
        return [how === "end" || how === "Reset", text(yield* Transport.readExactly(transport, 5))]
      }),
      [true, "hello"]
    )
  })

  it("a name of the certificate may have a wildcard for one label", () => {
    const names = ["*.example"]
    const named = (endpoint: string) =>
      Effect.gen(function*() {
        const { host, tls } = yield* World.World
        const server = yield* host(endpoint)
        yield* tls(server).certificate({ names })
        yield* server.fork(Effect.flatMap(listen("tls://0.0.0.0:443"), ({ serve }) => serve(() => Effect.never)))
        yield* Effect.sleep(10)
        return yield* seen(Effect.as(connect(`tls://${endpoint}:443`), "open"))
      })
    seeds(named("www.example"), "open", 2)
    seeds(named("a.b.example"), "TlsRejected NameMismatch", 2)
    seeds(named("example"), "TlsRejected NameMismatch", 2)
  })

  it("both speak what is the server's first choice of what both speak", () => {
    seeds(
      talk({
        setUp: (server, { client }) =>
          Effect.flatMap(
            World.World,
            ({ tls }) => Effect.andThen(server.alpn(["h2", "http/1.1"]), tls(client).alpn(["http/1.1", "h3"]))
          )
      }),
      { client: "open", server: ["", "end"] }
    )
  })
})

describe("faults of TLS", () => {
  it("tls-handshake-stall: the client times out, the server hands out nothing; where it ends in time, all is well", () => {
    seeds(talk({ setUp: (tls) => tls.stallHandshakes }), refused("TimedOut handshake"))
    seeds(
      talk({
        setUp: (tls) =>
          Effect.forkScoped(Effect.scoped(Effect.andThen(tls.stallHandshakes, Effect.sleep("5 seconds")))),
        client: send("late")
      }),
      { client: undefined, server: ["late", "end"] }
    )
  })

  it("tls-untrusted: the client does not open, the server hands out nothing", () => {
    seeds(talk({ setUp: (tls) => tls.certificate({ isTrusted: false }) }), refused("TlsRejected Untrusted"))
  })

  it("tls-expired: by the client's clock, too late and too early", () => {
    const expired = refused("TlsRejected Expired")
    seeds(talk({ setUp: (tls) => tls.certificate({ validUntil: "5 millis" }) }), expired)
    seeds(talk({ setUp: (tls) => tls.certificate({ validFrom: "1 minute" }) }), expired)
    const valid = { validFrom: 0, validUntil: "1 minute" } as const
    seeds(talk({ setUp: (tls) => tls.certificate(valid), client: send("") }), {
      client: undefined,
      server: ["", "end"]
    })
    for (const by of [3_600_000, -3_600_000]) {
      seeds(
        talk({
          setUp: (tls, { client }) => Effect.andThen(tls.certificate(valid), client.jumpClock(by))
        }),
        expired
      )
    }
  })

  it("tls-wrong-name: also where the client goes by an address", () => {
    const wrong = refused("TlsRejected NameMismatch")
    seeds(talk({ setUp: (tls) => tls.certificate({ names: ["other"] }) }), wrong)
    seeds(
      Effect.gen(function*() {
        const { host, tls } = yield* World.World
        const server = yield* host("server")
        yield* tls(server).certificate({ names: ["server"] })
        yield* server.fork(Effect.flatMap(listen("tls://0.0.0.0:443"), ({ serve }) => serve(() => Effect.never)))
        yield* Effect.sleep(10)
        return [
          yield* seen(Effect.as(connect("tls://server:443"), "open")),
          yield* seen(Effect.as(connect(`tls://${server.address}:443`), "open"))
        ]
      }),
      ["open", "TlsRejected NameMismatch"]
    )
  })

  it("tls-alpn-mismatch: the client is told, the server hands out nothing", () => {
    seeds(
      talk({
        setUp: (server, { client }) =>
          Effect.flatMap(World.World, ({ tls }) => Effect.andThen(server.alpn(["h2"]), tls(client).alpn(["http/1.1"])))
      }),
      refused("TlsRejected NoCommonProtocol")
    )
  })

  it("tls-plaintext-peer: the client does not open, by the fault and by a server of TCP", () => {
    seeds(talk({ setUp: (tls) => tls.speakPlain }), refused("TlsRejected PlaintextPeer"))
    seeds(
      Effect.map(
        talk({ listening: "tcp://0.0.0.0:443", server: (transport) => transport.write(bytes("220 ready\r\n")) }),
        ({ client }) => client
      ),
      "TlsRejected PlaintextPeer"
    )
  })

  it("tls-missing-close-notify: the peer reads all, and then Truncated; or the end, where it does not care", () => {
    for (const truncation of ["fail", "ignore"] as const) {
      seeds(
        talk({ truncation, setUp: (tls) => tls.omitCloseNotify, server: send("all of it"), client: readAll }),
        { client: ["all of it", truncation === "fail" ? "Truncated" : "end"], server: undefined }
      )
    }
  })

  it("tls-alert: after so many records both ends are rejected, the peer after what was sent", () => {
    // Also to one that reads late, and two bytes at a time.
    for (const readMark of [65_536, 2]) {
      seeds(
        talk({
          readMark,
          setUp: (tls) => tls.alertAfter(2),
          server: (transport) =>
            Effect.gen(function*() {
              yield* Effect.forEach(["one ", "two "], (what) =>
                Effect.andThen(transport.write(bytes(what)), transport.flush))
              yield* Effect.sleep(100)
              return yield* seen(Effect.andThen(transport.write(bytes("three")), transport.flush))
            }),
          client: (transport) => Effect.andThen(Effect.sleep("1 second"), readAll(transport))
        }),
        { client: ["one two ", "TlsRejected Other"], server: "TlsRejected Other" }
      )
    }
  })

  it("a certificate or count that is none is refused by name", () => {
    const wrong = (fault: (tls: Medium.Tls) => Effect.Effect<void, unknown, Scope.Scope>) =>
      String(Sim.run(Effect.flatMap(World.World, ({ main, tls }) => fault(tls(main))), { seed: 1 }).exit)
    assert.include(wrong((tls) => tls.alertAfter(-1)), "records must be a non-negative integer, and is -1")
    assert.include(wrong((tls) => tls.certificate({ validFrom: -1 })), "validFrom must be a finite duration, and is -1")
  })
})
