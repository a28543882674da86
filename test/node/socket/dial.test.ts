import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Context, Duration, Effect, Exit, Fiber, Layer, Option, Scope } from "effect"
import { AddressResolver, Dns, NetAddress } from "effect/net"
import { TestClock } from "effect/testing"
import { dial, type DialOptions } from "../../../src/node/socket/dial.ts"
import {
  AllAttemptsFailed,
  NameNotFound,
  type Reason,
  Refused,
  Reset,
  TimedOut,
  TransportError
} from "../../../src/TransportError.ts"

const endpoint = { _tag: "tcp", host: "db.example", port: 7000 } as const

/** A resolver that knows one name. Dns keeps the order of the addresses. */
const resolverOf = (...addresses: ReadonlyArray<string>) =>
  Effect.provide(
    Effect.service(AddressResolver.AddressResolver),
    AddressResolver.layer().pipe(Layer.provide(Dns.layerStatic({ hosts: { [endpoint.host]: addresses } })))
  )

const nobody: AddressResolver.AddressResolver["Service"] = { resolve: () => Effect.die("asked the resolver") }

const refused = (name: string, reason: Reason = new Refused()) =>
  new TransportError({ operation: "open", endpoint: name, reason })

/** What an attempt does: after so many milliseconds (0: never), it connects, is refused, or dies. */
type Step = readonly [after: number, outcome?: "connects" | "refused" | "dies"]

/** A network that keeps a log of what was done when. A finalizer is logged where it ends, with the exit it saw. */
const makeWorld = (steps: { readonly [host: string]: Step }, closing: Duration.Input = 0) => {
  const log: Array<string> = []
  const note = (what: string) => Effect.map(Clock.currentTimeMillis, (now) => void log.push(`${now} ${what}`))
  const attempt = Effect.fnUntraced(function*(address: NetAddress.InetAddress) {
    const host = NetAddress.formatHost(address)
    yield* note(`start ${host}`)
    yield* Effect.addFinalizer((exit) =>
      Effect.andThen(
        Effect.when(Effect.sleep(closing), Effect.sync(() => !Duration.isZero(Duration.fromInputUnsafe(closing)))),
        note(`close ${host} ${Exit.isSuccess(exit) ? "success" : Exit.hasInterrupts(exit) ? "interrupt" : "failure"}`)
      )
    )
    const [after, outcome = "connects"] = steps[host] ?? [0]
    yield* after === 0 ? Effect.never : Effect.sleep(after)
    if (outcome === "refused") return yield* refused(host)
    if (outcome === "dies") return yield* Effect.die("bug")
    return host
  })
  return { log, attempt }
}

type World = ReturnType<typeof makeWorld>

/** Dials in a scope that stays open, for so long, and answers with the exit, if there is one by then. */
const dialFor = Effect.fnUntraced(function*(
  duration: Duration.Input,
  { attempt }: World,
  options: Partial<DialOptions<string, never>>
) {
  const scope = yield* Scope.make()
  const fiber = yield* dial({ endpoint, resolver: nobody, attempt, ...options }).pipe(
    Scope.provide(scope),
    Effect.forkChild({ startImmediately: true })
  )
  yield* TestClock.adjust(duration)
  return { scope, fiber, exit: fiber.pollUnsafe() }
})

const failureOf = (exit: Exit.Exit<unknown, TransportError> | undefined): TransportError =>
  Option.getOrThrow(Exit.findErrorOption(exit ?? Exit.die("still dialling")))

describe("dial", () => {
  it.effect("dials a literal address without asking the resolver", () =>
    Effect.gen(function*() {
      for (const host of ["127.0.0.1", "::1", "fe80::1%3"]) {
        const world = makeWorld({ [host]: [10] })
        const { exit } = yield* dialFor(10, world, { endpoint: { ...endpoint, host } })
        assert.deepStrictEqual(exit, Exit.succeed(host))
      }
    }))

  it.effect("asks the resolver for a named zone", () =>
    Effect.gen(function*() {
      const world = makeWorld({ "fe80::1%3": [10] })
      const resolver = AddressResolver.make(
        Dns.make({ lookup: () => Effect.succeed([]), resolve: () => Effect.succeed([]) }),
        { scopeId: () => Effect.succeedSome(3) }
      )
      const { exit } = yield* dialFor(10, world, { endpoint: { ...endpoint, host: "fe80::1%eth0" }, resolver })
      assert.deepStrictEqual(exit, Exit.succeed("fe80::1%3"))
    }))

  it.effect("gives each attempt a head start of 250 milliseconds", () =>
    Effect.gen(function*() {
      const world = makeWorld({})
      const resolver = yield* resolverOf("10.0.0.1", "10.0.0.2", "10.0.0.3")
      const { exit } = yield* dialFor("1 minute", world, { resolver })
      assert.isUndefined(exit)
      assert.deepStrictEqual(world.log, ["0 start 10.0.0.1", "250 start 10.0.0.2", "500 start 10.0.0.3"])
    }))

  it.effect("gives the head start that it is told to", () =>
    Effect.gen(function*() {
      const world = makeWorld({ "10.0.0.1": [1000, "refused"] })
      const resolver = yield* resolverOf("10.0.0.1", "10.0.0.2")
      yield* dialFor("999 millis", world, { resolver, attemptDelay: Duration.infinity })
      assert.deepStrictEqual(world.log, ["0 start 10.0.0.1"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(world.log.slice(1), ["1000 close 10.0.0.1 failure", "1000 start 10.0.0.2"])
    }))

  it.effect("alternates the families, IPv6 first, each in the resolver's order", () =>
    Effect.gen(function*() {
      const world = makeWorld({})
      const resolver = yield* resolverOf("10.0.0.1", "10.0.0.2", "::2", "10.0.0.3", "::1", "10.0.0.4")
      yield* dialFor("1 minute", world, { resolver })
      assert.deepStrictEqual(
        world.log.map((entry) => entry.split(" ")[2]),
        ["::2", "10.0.0.1", "::1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]
      )
    }))

  it.effect("starts the next attempt as soon as the latest has failed", () =>
    Effect.gen(function*() {
      const world = makeWorld({ "::1": [10, "refused"], "10.0.0.1": [5, "refused"], "::2": [5] })
      const resolver = yield* resolverOf("::1", "::2", "10.0.0.1")
      const { exit } = yield* dialFor(20, world, { resolver })
      assert.deepStrictEqual(exit, Exit.succeed("::2"))
      assert.deepStrictEqual(world.log, [
        "0 start ::1",
        "10 close ::1 failure",
        "10 start 10.0.0.1",
        "15 close 10.0.0.1 failure",
        "15 start ::2"
      ])
    }))

  it.effect("keeps the head start of the latest when an earlier attempt fails", () =>
    Effect.gen(function*() {
      const world = makeWorld({ "10.0.0.1": [300, "refused"] })
      const resolver = yield* resolverOf("10.0.0.1", "10.0.0.2", "10.0.0.3")
      yield* dialFor("1 minute", world, { resolver })
      assert.deepStrictEqual(world.log, [
        "0 start 10.0.0.1",
        "250 start 10.0.0.2",
        "300 close 10.0.0.1 failure",
        "500 start 10.0.0.3"
      ])
    }))

  it.effect("interrupts the losers and closes their scopes before it returns", () =>
    Effect.gen(function*() {
      const world = makeWorld({ "10.0.0.2": [300] }, "1 second")
      const resolver = yield* resolverOf("10.0.0.1", "10.0.0.2", "10.0.0.3")
      const { fiber, scope } = yield* dialFor(1549, world, { resolver })
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(fiber.pollUnsafe(), Exit.succeed("10.0.0.2"))
      assert.deepStrictEqual(world.log.slice(3).toSorted(), [
        "1550 close 10.0.0.1 interrupt",
        "1550 close 10.0.0.3 interrupt"
      ])
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(world.log.slice(5), ["2550 close 10.0.0.2 success"])
    }))

  it.effect("gives the winner the exit of the caller's scope", () =>
    Effect.gen(function*() {
      const world = makeWorld({ "10.0.0.1": [1] })
      const { scope } = yield* dialFor(1, world, { resolver: yield* resolverOf("10.0.0.1", "10.0.0.2") })
      assert.deepStrictEqual(world.log, ["0 start 10.0.0.1"])
      yield* Scope.close(scope, Exit.fail("conversation"))
      assert.deepStrictEqual(world.log.slice(1), ["1 close 10.0.0.1 failure"])
    }))

  it.effect("keeps one of two that connect at the same time", () =>
    Effect.gen(function*() {
      const world = makeWorld({ "10.0.0.1": [300], "10.0.0.2": [50] })
      const { exit } = yield* dialFor(300, world, { resolver: yield* resolverOf("10.0.0.1", "10.0.0.2") })
      assert.isTrue(exit !== undefined && Exit.isSuccess(exit))
      assert.lengthOf(world.log.filter((entry) => entry.startsWith("300 close")), 1)
    }))

  it.effect("fails with every error, in the order of the attempts", () =>
    Effect.gen(function*() {
      const world = makeWorld({
        "10.0.0.1": [900, "refused"],
        "10.0.0.2": [10, "refused"],
        "10.0.0.3": [10, "refused"]
      })
      const { exit } = yield* dialFor(900, world, { resolver: yield* resolverOf("10.0.0.1", "10.0.0.2", "10.0.0.3") })
      const error = failureOf(exit)
      assert.instanceOf(error.reason, AllAttemptsFailed)
      assert.deepStrictEqual(
        error.reason.attempts.map(({ endpoint }) => endpoint),
        ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
      )
      assert.strictEqual(
        error.message,
        "open tcp://db.example:7000: every address failed (open 10.0.0.1: the connection was refused; "
          + "open 10.0.0.2: the connection was refused; open 10.0.0.3: the connection was refused)"
      )
      assert.lengthOf(world.log.filter((entry) => entry.includes("close")), 3)
    }))

  it.effect("fails with the error itself where there is one address", () =>
    Effect.gen(function*() {
      const world = makeWorld({ "10.0.0.1": [10, "refused"] })
      const { exit } = yield* dialFor(10, world, { resolver: yield* resolverOf("10.0.0.1") })
      assert.deepInclude(failureOf(exit), { endpoint: "10.0.0.1", reason: new Refused() })
      assert.deepStrictEqual(world.log, ["0 start 10.0.0.1", "10 close 10.0.0.1 failure"])
    }))

  it.effect("fails with NameNotFound for a name without an address", () =>
    Effect.gen(function*() {
      const { exit } = yield* dialFor(0, makeWorld({}), { resolver: yield* resolverOf() })
      const error = failureOf(exit)
      assert.deepInclude(error, { operation: "open", endpoint: "tcp://db.example:7000" })
      assert.deepStrictEqual(error.reason, new NameNotFound({ host: "db.example" }))
      assert.instanceOf(error.cause, Dns.DnsError)
    }))

  it.effect("ends at once with a defect, and leaves nothing", () =>
    Effect.gen(function*() {
      const world = makeWorld({ "10.0.0.2": [10, "dies"] })
      const resolver = yield* resolverOf("10.0.0.1", "10.0.0.2", "10.0.0.3")
      const { exit } = yield* dialFor(260, world, { resolver })
      assert.deepStrictEqual(exit, Exit.die("bug"))
      assert.deepStrictEqual(world.log.slice(2).toSorted(), [
        "260 close 10.0.0.1 interrupt",
        "260 close 10.0.0.2 interrupt"
      ])
    }))

  it.effect("ends at once with a defect that comes with a failure", () =>
    Effect.gen(function*() {
      const cause = Cause.combine(Cause.fail(refused("10.0.0.1")), Cause.die("bug"))
      const resolver = yield* resolverOf("10.0.0.1", "10.0.0.2")
      const exit = yield* Effect.exit(dial({ endpoint, resolver, attempt: () => Effect.failCause(cause) }))
      assert.deepStrictEqual(exit, Exit.failCause(cause))
    }))

  it.effect("hands the services of its caller to the attempts", () =>
    Effect.gen(function*() {
      class Greeting
        extends Context.Service<Greeting, string>()("effect-transport/test/node/socket/dial.test/Greeting")
      {}
      const attempt = () => Effect.service(Greeting)
      const resolver = yield* resolverOf("10.0.0.1", "10.0.0.2")
      const greeting = dial({ endpoint, resolver, attempt }).pipe(Effect.provideService(Greeting, "hello"))
      assert.strictEqual(yield* greeting, "hello")
    }))
})

describe("dial, with a time limit", () => {
  it.effect("fails with TimedOut in connect, and leaves nothing", () =>
    Effect.gen(function*() {
      const world = makeWorld({})
      const resolver = yield* resolverOf("10.0.0.1", "10.0.0.2")
      const { exit, fiber } = yield* dialFor(999, world, { resolver, connectTimeout: "1 second" })
      assert.isUndefined(exit)
      yield* TestClock.adjust(1)
      const error = failureOf(fiber.pollUnsafe())
      assert.deepInclude(error, { operation: "open", endpoint: "tcp://db.example:7000" })
      assert.deepStrictEqual(error.reason, new TimedOut({ phase: "connect" }))
      assert.deepStrictEqual(world.log.slice(2).toSorted(), [
        "1000 close 10.0.0.1 interrupt",
        "1000 close 10.0.0.2 interrupt"
      ])
    }))

  it.effect("fails with TimedOut in lookup where the resolver is slow", () =>
    Effect.gen(function*() {
      const world = makeWorld({})
      const resolver = { resolve: () => Effect.never }
      const { exit } = yield* dialFor("1 second", world, { resolver, connectTimeout: "1 second" })
      assert.deepStrictEqual(failureOf(exit).reason, new TimedOut({ phase: "lookup" }))
      assert.deepStrictEqual(world.log, [])
    }))

  it.effect("neither looks up nor dials where the limit is zero", () =>
    Effect.gen(function*() {
      for (const host of [endpoint.host, "127.0.0.1"]) {
        const world = makeWorld({})
        const { exit } = yield* dialFor(0, world, { endpoint: { ...endpoint, host }, connectTimeout: 0 })
        assert.deepStrictEqual(failureOf(exit).reason, new TimedOut({ phase: "connect" }))
        assert.deepStrictEqual(world.log, [])
      }
    }))

  it.effect("ends the limit with the connection", () =>
    Effect.gen(function*() {
      const world = makeWorld({ "10.0.0.1": [999] })
      const resolver = yield* resolverOf("10.0.0.1")
      const { exit } = yield* dialFor("1 minute", world, { resolver, connectTimeout: "1 second" })
      assert.deepStrictEqual(exit, Exit.succeed("10.0.0.1"))
      assert.deepStrictEqual(world.log, ["0 start 10.0.0.1"])
    }))
})

describe("dial, interrupted", () => {
  it.effect("closes every attempt half-way, and starts no more", () =>
    Effect.gen(function*() {
      const world = makeWorld({})
      const resolver = yield* resolverOf("10.0.0.1", "10.0.0.2", "10.0.0.3")
      const { fiber } = yield* dialFor(300, world, { resolver })
      yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.hasInterrupts(fiber.pollUnsafe()!))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(world.log.slice(2).toSorted(), [
        "300 close 10.0.0.1 interrupt",
        "300 close 10.0.0.2 interrupt"
      ])
    }))

  it.effect("in the lookup, dials nothing", () =>
    Effect.gen(function*() {
      const world = makeWorld({})
      const { fiber } = yield* dialFor(0, world, { resolver: { resolve: () => Effect.never } })
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(world.log, [])
    }))

  // Each turn of the scheduler in which the interruption can arrive, around two attempts that connect in the same turn.
  for (const addresses of [["10.0.0.1"], ["10.0.0.1", "10.0.0.2"]]) {
    it.effect(`leaks nothing, whenever it arrives, of ${addresses.length}`, () =>
      Effect.gen(function*() {
        const resolver = yield* resolverOf(...addresses)
        const ends = new Set<string>()
        for (let turns = 0; turns < 30; turns++) {
          let open = 0
          const attempt = () =>
            Effect.gen(function*() {
              yield* Effect.yieldNow
              yield* Effect.acquireRelease(
                Effect.andThen(Effect.yieldNow, Effect.sync(() => ++open)),
                () => Effect.sync(() => --open)
              )
              yield* Effect.yieldNow
              return "connected"
            })
          const scope = yield* Scope.make()
          const fiber = yield* dial({ endpoint, resolver, attempt, attemptDelay: 0 }).pipe(
            Scope.provide(scope),
            Effect.forkChild({ startImmediately: true })
          )
          for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
          yield* Fiber.interrupt(fiber)
          const exit = fiber.pollUnsafe()!
          ends.add(exit._tag)
          assert.strictEqual(open, Exit.isSuccess(exit) ? 1 : 0, `${turns} turns, ${exit._tag}`)
          yield* Scope.close(scope, Exit.void)
          assert.strictEqual(open, 0)
        }
        assert.deepStrictEqual([...ends], ["Failure", "Success"])
      }))
  }

  it.effect("from within an attempt that connects, leaks nothing", () =>
    Effect.gen(function*() {
      const resolver = yield* resolverOf("10.0.0.1", "10.0.0.2")
      let open = 0
      const attempt = (): Effect.Effect<string, TransportError, Scope.Scope> =>
        Effect.as(
          Effect.acquireRelease(
            Effect.sync(() => {
              open++
              fiber.interruptUnsafe()
            }),
            () => Effect.sync(() => open--)
          ),
          "connected"
        )
      const scope = yield* Scope.make()
      const fiber: Fiber.Fiber<string, TransportError> = yield* Effect.forkChild(
        Scope.provide(dial({ endpoint, resolver, attempt }), scope)
      )
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.hasInterrupts(exit))
      assert.strictEqual(open, 0)
    }))

  it.effect("cannot be where the caller forbids it, and the losers are interrupted all the same", () =>
    Effect.gen(function*() {
      const world = makeWorld({ "10.0.0.2": [100] })
      const resolver = yield* resolverOf("10.0.0.1", "10.0.0.2")
      const fiber = yield* Effect.forkChild(
        Effect.uninterruptible(Effect.scoped(dial({ endpoint, resolver, attempt: world.attempt })))
      )
      yield* TestClock.adjust(300)
      fiber.interruptUnsafe()
      yield* TestClock.adjust(50)
      yield* Fiber.await(fiber)
      assert.deepStrictEqual(world.log.slice(2), ["350 close 10.0.0.1 interrupt", "350 close 10.0.0.2 success"])
    }))

  it.effect("by itself in an attempt, is interrupted", () =>
    Effect.gen(function*() {
      const resolver = yield* resolverOf("10.0.0.1", "10.0.0.2")
      const exit = yield* Effect.exit(dial({ endpoint, resolver, attempt: () => Effect.interrupt }))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
    }))
})

describe("dial, again", () => {
  it.effect("shares nothing between two runs of one effect", () =>
    Effect.gen(function*() {
      const resolver = yield* resolverOf("10.0.0.1", "10.0.0.2")
      const reasons = [new Refused(), new Refused(), new Reset(), new Reset()]
      const dialling = dial({
        endpoint,
        resolver,
        attempt: ({ address }) => Effect.suspend(() => Effect.fail(refused(String(address), reasons.shift())))
      })
      for (const expected of ["Refused", "Reset"]) {
        const { reason } = yield* Effect.flip(dialling)
        assert.instanceOf(reason, AllAttemptsFailed)
        assert.deepStrictEqual(reason.attempts.map(({ reason }) => reason._tag), [expected, expected])
      }
    }))
})
