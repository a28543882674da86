/**
 * Laws 95 to 97: listeners.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Connection from "../../Connection.ts"
import * as Endpoint from "../../Endpoint.ts"
import type { Listener } from "../../Listener.ts"
import * as Transport from "../../Transport.ts"
import {
  abandoned,
  type Bench,
  broken,
  check,
  checkBytes,
  checkMirror,
  checkPattern,
  failsWith,
  listenerSubject,
  pattern,
  readOut,
  showPulled,
  text
} from "../bench.ts"
import type { Law } from "../law.ts"

export const serverLaws: ReadonlyArray<Law> = [
  {
    number: 95,
    title: "each accepted connection is a transport of its own, at the address that the listener says",
    needs: ["listener"],
    test: Effect.fnUntraced(function*(bench) {
      const { listen } = yield* listenerSubject(bench)
      const served = yield* listen(abandoned)
      const accepting = yield* listen(abandoned)
      yield* check(hasPort(served), "a listener that was given a free port does not say which one")

      const serversOf = new Map<Listener, Array<Transport.Transport>>([[served, []], [accepting, []]])
      const echoing = (listener: Listener) => (server: Transport.Transport) => {
        serversOf.get(listener)!.push(server)
        return Connection.copy(server, server)
      }
      yield* bench.start(served.serve(echoing(served)))
      for (let i = 0; i < 20; i++) {
        // All of them wait at once.
        yield* bench.start(Effect.scoped(Effect.flatMap(accepting.accept, echoing(accepting))))
      }
      yield* bench.settle

      for (const listener of [served, accepting]) {
        const clients = yield* connectMany(bench, listener, 20)
        // Each is answered while all the others are open.
        yield* Effect.forEach(clients, (client, i) => checkEcho(bench, `client ${i} of 20`, client, 1 + i), {
          concurrency: "unbounded"
        })
        yield* Effect.forEach(clients, (client, i) => checkEcho(bench, `client ${i} of 20, again,`, client, 101 + i), {
          concurrency: "unbounded"
        })
        const servers = serversOf.get(listener)!
        yield* check(
          new Set(servers).size === 20 && servers.length === 20,
          () => `${new Set(servers).size} transports were accepted for 20 clients`
        )
        if (bench.subject.capabilities.addresses === true) yield* checkAddresses(clients, servers)
        yield* Effect.forEach(clients, (client) => client.abort, { discard: true })
      }
    })
  },
  {
    number: 96,
    title: "a listener that closes wakes who waits, frees its address, and lets established connections live on",
    needs: ["listener"],
    test: Effect.fnUntraced(function*(bench) {
      const { connect, listen, listenAgain } = yield* listenerSubject(bench)
      const lawScope = yield* Effect.scope
      const scope = yield* Scope.fork(lawScope)
      const listener = yield* Scope.provide(listen(abandoned), scope)
      const [client, server] = yield* meet(bench, listener)

      const [first, second] = yield* Effect.all([
        bench.startBlocked(Effect.scoped(listener.accept)),
        bench.startBlocked(Effect.scoped(listener.accept))
      ])
      yield* bench.within("closing the listener", Scope.close(scope, Exit.void))
      for (const [which, fiber] of [["the first", first], ["the second", second]] as const) {
        const what = `${which} accept that waited when the listener closed`
        yield* failsWith(what, bench.ended(what, fiber), "Closed")
      }
      for (let again = 0; again < 2; again++) {
        const what = "an accept after the listener closed"
        yield* failsWith(what, bench.within(what, Effect.scoped(listener.accept)), "Closed")
      }
      const dialling = bench.within("connecting to a listener that has closed", Effect.scoped(connect(listener)))
      yield* failsWith("connecting to a listener that has closed", dialling, "Refused", "NotFound", "Unreachable")

      const reborn = yield* Scope.fork(lawScope)
      const next = yield* Scope.provide(bench.opens("listening again", listenAgain(listener)), reborn)
      yield* check(
        Endpoint.format(next.endpoint) === Endpoint.format(listener.endpoint),
        "a listener on the address of one that has closed is elsewhere"
      )
      const [early, successor] = yield* meet(bench, next)
      const late = yield* bench.opens("connecting", connect(next, abandoned))
      yield* bench.within("closing the next listener", Scope.close(reborn, Exit.void))
      const { how } = yield* bench.within("the end of a connection that nobody accepted", readOut(late))
      yield* check(
        how._tag === "End" || how.error.reason._tag === "Reset",
        () => `a connection that nobody accepted ended with ${showPulled(how)}`
      )

      for (const [what, one, other] of [["the first", client, server], ["the next", early, successor]] as const) {
        yield* bench.start(Connection.copy(other, other))
        yield* checkEcho(bench, `a connection of ${what} listener, after it closed,`, one, 1)
        yield* one.abort
      }
    })
  },
  {
    number: 97,
    title: "one bad connection harms no other, and a lack of descriptors neither spins nor ends the listener",
    needs: ["listener"],
    test: Effect.fnUntraced(function*(bench) {
      const { connect, exhaustion, listen } = yield* listenerSubject(bench)
      const listener = yield* listen(abandoned)
      const serving = yield* bench.start(
        listener.serve((server) =>
          Effect.flatMap(Transport.readExactly(server, 1), (first): Effect.Effect<void, unknown> => {
            if (first[0] === failing) return Effect.fail("the handler failed")
            if (first[0] === dying) throw new Error("the handler threw")
            return Effect.andThen(server.write(first), Connection.copy(server, server))
          })
        )
      )

      const good = yield* bench.opens("connecting", connect(listener, abandoned))
      yield* checkEcho(bench, "the good client", good, 1)
      const bad = Effect.fnUntraced(function*(i: number) {
        const client = yield* connect(listener, abandoned)
        if (i % 5 < 2) return yield* client.abort
        // What the handler reads first decides what it does.
        yield* client.write(new Uint8Array([[failing, dying, 1][i % 5 - 2]!]))
        if (i % 5 === 4) return yield* client.abort
        return yield* readOut(client)
      })
      const ruining = yield* bench.start(
        Effect.forEach(
          Array.from({ length: 50 }, (_, i) => i),
          (i) => Effect.catch(Effect.scoped(bad(i)), (error) => broken(`bad client ${i} of 50: ${error.message}`)),
          { concurrency: 5 }
        )
      )
      yield* checkEcho(bench, "the good client, among bad ones,", good, 2)
      yield* bench.ended("50 bad clients", ruining)
      yield* bench.settle
      yield* check(serving.pollUnsafe() === undefined, () => `the listener stopped to serve: ${serving.pollUnsafe()}`)
      yield* checkEcho(bench, "the good client, after 50 bad ones,", good, 3)
      const late = yield* bench.opens("connecting", connect(listener, abandoned))
      yield* checkEcho(bench, "a client after 50 bad ones", late, 4)

      if (exhaustion === undefined) return
      // A process of its own may take its time to start.
      const { busy, servedAfterwards, warnings } = yield* bench.opens("a lack of descriptors", exhaustion, {
        millis: 60_000
      })
      yield* check(warnings <= 20, () => `without descriptors, the listener gave ${warnings} warnings in one second`)
      yield* check(
        busy < 0.5,
        () => `without descriptors, the listener used ${Math.round(busy * 100)} % of a processor`
      )
      yield* check(servedAfterwards, "the listener served nobody after descriptors had run out once")
    })
  }
]

const failing = 0
const dying = 255

const connectMany = Effect.fnUntraced(function*(bench: Bench, listener: Listener, count: number) {
  const { connect } = yield* listenerSubject(bench)
  return yield* bench.opens(
    `connecting ${count} clients at once`,
    Effect.forEach(Array.from({ length: count }), () => connect(listener, abandoned), { concurrency: "unbounded" })
  )
})

/** A connection whose accepting end waited for it: the client's end, and the other. */
const meet = Effect.fnUntraced(function*(bench: Bench, listener: Listener) {
  const { connect } = yield* listenerSubject(bench)
  const accepting = yield* bench.startBlocked(Scope.provide(listener.accept, yield* Effect.scope))
  const client = yield* bench.opens("connecting", connect(listener, abandoned))
  const writing = yield* bench.start(client.write(text("?")))
  const server = yield* bench.ended("accepting", accepting)
  yield* checkBytes("what a client said", yield* bench.read(server, 1), text("?"))
  yield* bench.ended("a client's write", writing)
  return [client, server] as const
})

/** What a client sends comes back to it, and nothing else. `seed` tells its bytes from those of others. */
const checkEcho = (bench: Bench, what: string, client: Transport.Transport, seed: number) =>
  Effect.gen(function*() {
    const writing = yield* bench.start(client.write(pattern(1000, 0, seed)))
    yield* checkPattern(`${what} and its echo`, yield* bench.read(client, 1000), 1000, 0, seed)
    yield* bench.ended(`${what} and its write`, writing)
  }).pipe(
    Effect.catchTag("TransportError", (error) => broken(`${what} had no echo: ${error.message}`))
  )

const hasPort = ({ endpoint }: Listener): boolean => endpoint._tag !== "tcp" || endpoint.port > 0

/** Each client is mirrored by one server of its own. */
const checkAddresses = Effect.fnUntraced(function*(
  clients: ReadonlyArray<Transport.Transport>,
  servers: ReadonlyArray<Transport.Transport>
) {
  const byPeer = new Map(servers.map((server) => [String(Option.getOrUndefined(server.info.peer)), server]))
  for (const client of clients) {
    const local = String(Option.getOrUndefined(client.info.local))
    const server = byPeer.get(local)
    if (server === undefined) {
      return yield* broken(`a client is at ${local}, and no accepted connection comes from there`)
    }
    yield* checkMirror("an accepted connection", client, server)
  }
  return undefined
})
