/**
 * Laws 1 to 5: the opening of a connection.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Transport from "../../Transport.ts"
import { TransportError } from "../../TransportError.ts"
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
  text,
  untext
} from "../bench.ts"
import type { FailingOpen, Law } from "../law.ts"

export const openingLaws: ReadonlyArray<Law> = [
  {
    number: 1,
    title: "an open transport is usable both ways at once, and its addresses mirror the peer's",
    test: Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair(abandoned)
      if (bench.subject.capabilities.addresses === true) yield* checkMirror("a pair", a, b)
      const bytes = 100_000
      const writing = yield* bench.start(Effect.all([
        a.write(pattern(bytes, 0, 1)),
        b.write(pattern(bytes, 0, 2))
      ], { concurrency: 2 }))
      const [ofB, ofA] = yield* bench.within(
        "reading at both ends at once",
        Effect.all([Transport.readExactly(a, bytes), Transport.readExactly(b, bytes)], { concurrency: 2 })
      )
      yield* checkPattern("what one end read", ofB, bytes, 0, 2)
      yield* checkPattern("what the other end read", ofA, bytes, 0, 1)
      yield* bench.ended("writing at both ends at once", writing)
    })
  },
  {
    number: 2,
    title: "an open that fails is one typed error, and leaves nothing behind",
    needs: ["failingOpens"],
    test: Effect.fnUntraced(function*(bench) {
      for (const failing of bench.subject.failingOpens ?? []) {
        // The second time shows that the first one left nothing in the way.
        for (const time of ["first", "second"]) {
          const what = `an open that fails (${failing.name}), the ${time} time`
          const before = yield* bench.held
          yield* checkFailure(what, failing, yield* bench.within(what, Effect.exit(Effect.scoped(failing.open))))
          yield* bench.heldAtMost(`${what}: the release of what it held`, before)
        }
      }
    })
  },
  {
    number: 3,
    title: "an open that is interrupted or timed out stops and frees all; one that was cancelled before never dials",
    needs: ["listener"],
    test: Effect.fnUntraced(function*(bench) {
      yield* checkBlackHole(bench)

      const { connect, listen } = yield* listenerSubject(bench)
      const listener = yield* listen()
      let accepted = 0
      // One after another: a connection that nobody gives up is noticed, since the next ones are not accepted.
      yield* bench.start(Effect.forever(Effect.scoped(Effect.flatMap(listener.accept, (server) => {
        accepted++
        return readOut(server)
      }))))
      yield* bench.settle
      const before = yield* bench.held

      void connect(listener)
      const gate = yield* Deferred.make<void>()
      const cancelled = yield* bench.startBlocked(
        Effect.uninterruptibleMask((restore) =>
          Effect.andThen(Deferred.await(gate), restore(Effect.scoped(connect(listener))))
        )
      )
      cancelled.interruptUnsafe()
      yield* Deferred.succeed(gate, undefined)
      const exit = yield* bench.within("an open that was cancelled before it began", Fiber.await(cancelled))
      yield* check(
        Exit.hasInterrupts(exit),
        () => `an open that was cancelled before it began came to ${exit} in place of an interruption`
      )
      yield* bench.settle
      yield* check(accepted === 0, "an open that was not run, or was cancelled before it began, dialled")

      const speaking = Effect.scoped(
        Effect.flatMap(connect(listener, abandoned), (client) => Effect.andThen(client.write(text("x")), Effect.never))
      )
      for (let steps = 0; steps < 20; steps++) {
        const opening = yield* bench.start(speaking)
        for (let step = 0; step < steps; step++) yield* Effect.yieldNow
        yield* bench.within("the interruption of an open", Fiber.interrupt(opening))
      }
      yield* bench.heldAtMost("the end of connections whose open was interrupted", before)
      const last = yield* bench.start(speaking)
      const count = accepted
      yield* bench.within(
        "accepting, after connections whose open was interrupted",
        Effect.repeat(bench.moment, { until: () => accepted > count })
      )
      yield* Fiber.interrupt(last)
    })
  },
  {
    number: 4,
    title: "bytes, and the end, that arrive before the first read are kept",
    needs: ["peerEnd"],
    test: Effect.fnUntraced(function*(bench) {
      const [a, b] = yield* bench.pair(abandoned)
      const early = yield* bench.start(b.write(text("early")))
      yield* bench.settle
      yield* checkBytes("bytes that arrived before the first read", yield* bench.read(a, 5), text("early"))
      yield* bench.ended("writing them", early)

      const [c, d] = yield* bench.pair()
      yield* checkKept(bench, "bytes that arrived, with the end, before the first read", d, Effect.succeed(c))

      const subject = bench.subject.listener
      if (subject === undefined) return
      const listener = yield* subject.listen()
      const client = yield* bench.opens("connecting", subject.connect(listener))
      yield* checkKept(bench, "bytes that arrived before the connection was accepted", client, listener.accept)
    })
  },
  {
    number: 5,
    title: "a connection is handed over once, before anything else of it is seen",
    needs: ["listener"],
    test: Effect.fnUntraced(function*(bench) {
      const { connect, listen } = yield* listenerSubject(bench)
      const listener = yield* listen()
      const handed: Array<Transport.Transport> = []
      const said: Array<string> = []
      yield* bench.start(listener.serve((server) =>
        Effect.gen(function*() {
          handed.push(server)
          // Before a byte has come: the client may wait for it.
          yield* Effect.exit(server.write(text("welcome")))
          const { bytes } = yield* readOut(server)
          if (bytes.length > 0) said.push(untext(bytes))
        })
      ))

      const silent = yield* bench.opens("connecting", connect(listener))
      const greeting = yield* bench.read(silent, 7)
      yield* checkBytes("the greeting of a client that had sent nothing", greeting, text("welcome"))

      // They send, end or reset as soon as they are there.
      const rounds = 5
      for (let round = 0; round < rounds; round++) {
        const sending = Effect.gen(function*() {
          const client = yield* connect(listener)
          yield* client.write(text(`client ${round}`))
          yield* Transport.readExactly(client, 7)
          yield* client.close
        })
        const resetting = Effect.flatMap(connect(listener), (client) => client.abort)
        yield* bench.within(
          "clients that send, end or reset at once",
          Effect.forEach([sending, connect(listener), resetting], Effect.scoped, { concurrency: 3, discard: true })
        )
      }
      yield* bench.within(
        "the handing over of connections whose clients had sent something",
        Effect.repeat(bench.moment, { until: () => said.length >= rounds })
      )
      yield* bench.settle
      yield* check(
        new Set(handed).size === handed.length && handed.length <= 1 + 3 * rounds,
        () => `${handed.length} connections were handed over where ${1 + 3 * rounds} came, or one of them twice`
      )
      const expected = Array.from({ length: rounds }, (_, round) => `client ${round}`)
      yield* check(said.sort().join() === expected.join(), () => `the handlers heard ${said.join()}`)
    })
  }
]

/** What an open that has to fail came to: one typed error, for one of the right reasons. */
const checkFailure = (what: string, failing: FailingOpen, exit: Exit.Exit<unknown, unknown>) => {
  if (Exit.isSuccess(exit)) return broken(`${what} succeeded`)
  const [reason, ...others] = exit.cause.reasons
  const error = reason !== undefined && Cause.isFailReason(reason) ? reason.error : undefined
  return check(
    others.length === 0 && error instanceof TransportError && failing.reasons.includes(error.reason._tag) &&
      (error.operation === "open" || error.operation === "listen"),
    () => `${what} ended with ${Cause.pretty(exit.cause)} in place of one ${failing.reasons.join(" or ")}`
  )
}

/** An open that nobody answers waits, and is freed by an interruption and by each of its time limits. */
const checkBlackHole = Effect.fnUntraced(function*(bench: Bench) {
  const makeHole = bench.subject.listener?.blackHole
  if (makeHole === undefined) return
  const open = yield* makeHole
  const before = yield* bench.held

  const hanging = yield* bench.startBlocked(Effect.scoped(open()))
  yield* bench.stillWaits("an open that nobody answers", hanging)
  yield* bench.within("the interruption of an open that nobody answers", Fiber.interrupt(hanging))
  yield* bench.heldAtMost("the release of an open that was interrupted", before)

  const limited = Effect.timeoutOption(Effect.scoped(open()), 20)
  const outcome = yield* bench.within("an open with a limit of its caller", limited, { millis: 20 })
  yield* check(Option.isNone(outcome), "an open that nobody answers succeeded")
  yield* bench.heldAtMost("the release of an open whose caller had a limit", before)

  for (const connectTimeout of [0, 20]) {
    const what = `an open that nobody answers, with a connectTimeout of ${connectTimeout},`
    const opening = failsWith(what, Effect.scoped(open({ connectTimeout })), "TimedOut")
    yield* bench.within(what, opening, { millis: connectTimeout })
    yield* bench.heldAtMost(`the release of ${what}`, before)
  }
})

/** The receiver is asked for when all that the sender will say has arrived. */
const checkKept = Effect.fnUntraced(function*(
  bench: Bench,
  what: string,
  sender: Transport.Transport,
  receiver: Effect.Effect<Transport.Transport, TransportError, Scope.Scope>
) {
  const sending = yield* bench.start(Effect.andThen(sender.write(pattern(1000)), sender.close))
  yield* bench.settle
  yield* bench.settle
  const transport = yield* bench.opens("accepting", receiver)
  yield* checkPattern(what, yield* bench.readToEnd(transport), 1000)
  yield* bench.within("our close", transport.close)
  yield* bench.ended("the sender's writing and close", sending)
})
