/**
 * Runs a program in a world that a seed decides: hosts, links, faults, time, and who goes first.
 *
 * The world is driven synchronously, by its own scheduler and clock. The same seed gives the same run, event for event:
 * in another process, on a slower machine, a year later.
 *
 * **Example** (A server and a client that know nothing of it)
 *
 * ```ts import.meta.vitest
 * import { Effect, Exit } from "effect"
 * import { Connection, Lines, Network, Protocol } from "effect-transport"
 * import { Sim, World } from "effect-transport/sim"
 *
 * const server = Effect.gen(function*() {
 *   const { listen } = yield* Network.Network
 *   const listener = yield* listen("tcp://0.0.0.0:7000")
 *   return yield* listener.serve((transport) =>
 *     Effect.gen(function*() {
 *       const lines = yield* Protocol.attach(Lines.protocol(), transport)
 *       yield* Connection.forEach(lines, (batch) => lines.writeAll(batch))
 *     })
 *   )
 * })
 *
 * const client = Effect.gen(function*() {
 *   const { connect } = yield* Network.Network
 *   const lines = yield* Protocol.attach(Lines.protocol(), yield* connect("tcp://server:7000"))
 *   yield* lines.write("hello")
 *   return yield* Connection.take(lines)
 * })
 *
 * const world = Effect.gen(function*() {
 *   const { host } = yield* World.World
 *   yield* host("server", { boot: server })
 *   return yield* (yield* host("client")).run(client)
 * })
 *
 * Sim.run(world, { seed: 42 }).exit // => Exit.succeed("hello")
 * ```
 */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { durationOf, isCount } from "../internal/check.ts"
import type { Event } from "./engine/recording.ts"
import * as Fault from "./Fault.ts"
import * as Interleave from "./Interleave.ts"
import * as SimError from "./SimError.ts"
import { Simulation } from "./simulation.ts"
import * as Trace from "./Trace.ts"
import type { HostServices, World } from "./World.ts"

/**
 * How a world is run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Decides all that is not decided otherwise: a non-negative integer. */
  readonly seed: number
  /** Who runs next where several could. Default `Interleave.portfolio()`. */
  readonly interleave?: Interleave.Interleave | undefined
  /**
   * How far it may go: `steps` of the scheduler (default 1 000 000), `virtual` time (default 1 hour), and real time
   * (`wall`, default 30 seconds), the only bound that the seed does not decide.
   */
  readonly budget?: {
    readonly steps?: number | undefined
    readonly virtual?: Duration.Input | undefined
    readonly wall?: Duration.Input | undefined
  } | undefined
  /**
   * What goes wrong. It is checked before anything runs, and a fault that never comes up fails the run with `Unfired`,
   * unless it is optional. Default nothing.
   */
  readonly faults?: Fault.Plan | undefined
  /** What is kept: `"events"` (the default) keeps all of them, `"digest"` their digest, `"off"` neither. */
  readonly trace?: "events" | "digest" | "off" | undefined
}

/**
 * What came of a run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report<out A, out E> {
  readonly seed: number
  /** The world's exit, or why it has none that counts. */
  readonly exit: Exit.Exit<A, E | SimError.SimError>
  /** 64 bits, as 16 hexadecimal digits, over all events and decisions. Empty without a trace. */
  readonly digest: string
  readonly events: ReadonlyArray<Event>
  readonly decisions: Interleave.Decisions
  /** The faults of the plan, in its order, and when each fired. */
  readonly faults: ReadonlyArray<Fault.Outcome>
  /** Tasks that the scheduler ran. */
  readonly steps: number
  readonly elapsed: Duration.Duration
  /** How often programs asked for what the world puts in the place of the real one, as `Date.now`. */
  readonly sources: Readonly<Record<string, number>>
}

/**
 * Runs a world to its end.
 *
 * **Details**
 *
 * The world's effect runs on a host of its own, `main`. When it ends, its scope is closed, and all hosts are stopped.
 * Nothing is thrown but for an option that is wrong; what goes wrong in the world is its `exit`.
 *
 * `Random`, `Clock`, `Console` and the loggers are the world's, and while it is driven, so are `Date`, `Math.random`,
 * `performance.now`, `process.hrtime`, `queueMicrotask` and the random numbers of `crypto`. Promises and timers of the
 * outside would come back at their own time, so a program that begins one ends the run with `Escaped`.
 *
 * @category running
 * @since 0.1.0
 */
export const run = <A, E>(
  world: Effect.Effect<A, E, World | HostServices | Scope.Scope>,
  options: Options
): Report<A, E> => {
  const budget = budgetOf(options)
  const { seed } = options
  if (!isCount(seed, 0)) {
    throw new SimError.InvalidWorld({ field: "seed", expected: "a non-negative integer", actual: seed })
  }
  const plan = Result.getOrThrow(Fault.check(options.faults ?? []))
  const simulation = new Simulation({
    seed,
    budget,
    strategy: (options.interleave ?? Interleave.portfolio()).make,
    trace: options.trace ?? "events",
    faults: plan
  })
  const { exit, stop } = simulation.run(world)
  const { engine, escaped, faults, used } = simulation
  const { recording } = engine
  const violated = engine.violation === undefined ? undefined : new SimError.Violated({ what: engine.violation })
  const failure = violated ?? escaped ?? (stop._tag === "OverBudget"
    ? new SimError.OverBudget({
      of: stop.of,
      max: { steps: budget.steps, virtual: budget.virtualNs / 1e6, wall: budget.wallMs }[stop.of]
    })
    : stop._tag === "Stuck"
    ? deadlockOf(simulation)
    : undefined)
  const unfired = faults.outcomes.filter(({ fault, firedNs }) => firedNs === undefined && fault.optional !== true)
  const isDone = failure === undefined && Exit.isSuccess(exit!)
  return {
    seed,
    exit: failure !== undefined
      ? Exit.fail(failure)
      : isDone && unfired.length > 0
      ? Exit.fail(new SimError.Unfired({ faults: unfired.map(({ name }) => name) }))
      : exit!,
    faults: faults.outcomes,
    digest: recording.digest?.hex ?? "",
    events: recording.events,
    decisions: {
      picks: engine.strategy.picks,
      preemptions: engine.strategy.preemptions,
      isBatched: engine.strategy.isBatched
    },
    steps: engine.steps,
    elapsed: Duration.nanos(BigInt(engine.nowNs)),
    sources: Object.fromEntries(used)
  }
}

/**
 * Runs a world twice with one seed. Where the runs differ, the exit is `Diverged`, with the first event that does.
 *
 * @category running
 * @since 0.1.0
 */
export const check = <A, E>(
  world: Effect.Effect<A, E, World | HostServices | Scope.Scope>,
  options: Options
): Report<A, E> => {
  const first = run(world, { ...options, trace: "events" })
  const second = run(world, { ...options, trace: "events" })
  if (first.digest === second.digest) return first
  const seq = first.events.findIndex((event, i) => {
    const other = second.events[i]
    return other === undefined || Trace.line(event) !== Trace.line(other)
  })
  const at = seq < 0 ? first.events.length : seq
  const lineOf = (event: Event | undefined) => event === undefined ? "(nothing more)" : Trace.line(event)
  return {
    ...first,
    exit: Exit.fail(
      new SimError.Diverged({ seq: at, first: lineOf(first.events[at]), second: lineOf(second.events[at]) })
    )
  }
}

const budgetOf = ({ budget }: Options) => {
  const steps = budget?.steps ?? 1_000_000
  if (!isCount(steps, 1)) {
    throw new SimError.InvalidWorld({ field: "budget.steps", expected: "a positive integer", actual: steps })
  }
  const millisOf = (field: "virtual" | "wall", given: Duration.Input) => {
    const duration = durationOf(given)
    // Nanoseconds are counted in numbers that are exact up to there.
    if (duration === undefined || Duration.toDays(duration) > 100) {
      const expected = "a duration of at most 100 days"
      throw new SimError.InvalidWorld({ field: `budget.${field}`, expected, actual: given })
    }
    return Duration.toMillis(duration)
  }
  return {
    steps,
    virtualNs: millisOf("virtual", budget?.virtual ?? "1 hour") * 1e6,
    wallMs: millisOf("wall", budget?.wall ?? "30 seconds")
  }
}

const deadlockOf = ({ engine, fibers, hosts }: Simulation): SimError.Deadlock => {
  const { events } = engine.recording
  return new SimError.Deadlock({
    fibers: fibers.live.map(({ host, number }) => {
      const last = events.findLast((event) => event.fiber === number)
      return { host, fiber: number, on: last === undefined ? "something" : `what came after "${Trace.line(last)}"` }
    }),
    sockets: Array.from(hosts.connections.values()).flatMap(({ client, id, place, server }) =>
      [client, server].filter((socket) => !socket.isClosed).map((socket) =>
        `connection ${id} to ${place}, on ${socket.host.name}: ${socket.out.queuedBytes} bytes to send, ` +
        `${socket.input.arrivedBytes} unread`
      )
    )
  })
}
