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
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type * as Tracer from "effect/Tracer"
import { durationOf, isCount } from "../internal/check.ts"
import { differenceOf } from "./checking.ts"
import { reportOf as deadlockOf } from "./deadlock.ts"
import type { Budget, Stop } from "./engine/engine.ts"
import type { Event } from "./engine/recording.ts"
import * as Fault from "./Fault.ts"
import { type Outcome, passing } from "./gates.ts"
import * as Interleave from "./Interleave.ts"
import * as SimError from "./SimError.ts"
import { Simulation } from "./simulation.ts"
import { exitText } from "./texts.ts"
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
   * How far it may go: `steps`, which are tasks and microtasks (default 1 000 000), `virtual` time (default 1 hour, at
   * most 100 days), and real time (`wall`, default 30 seconds, at most 100 days; looked at every 64 steps), the only bound
   * that the seed does not decide.
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
  /** How many events there were, also where none was kept. */
  readonly eventCount: number
  readonly decisions: Interleave.Decisions
  /** The faults of the plan, in its order, and when each fired. */
  readonly faults: ReadonlyArray<Fault.Outcome>
  /** Tasks and microtasks that ran. */
  readonly steps: number
  readonly elapsed: Duration.Duration
  /** How often programs asked for what the world puts in the place of the real one, as `Date.now`. */
  readonly sources: Readonly<Record<string, number>>
}

/**
 * A world: what `run` runs.
 *
 * @category models
 * @since 0.1.0
 */
export type Simulated<A, E> = Effect.Effect<A, E, World | HostServices | Scope.Scope>

/**
 * Runs a world to its end.
 *
 * **Details**
 *
 * The world's effect runs on a host of its own, `main`. When it has ended and its scope is closed, what runs on other
 * hosts is interrupted, host by host, and finalizers run. What is there after that, when all that was due has run, is
 * left behind: ends of connections, addresses that are listened on, fibers (detached ones, too) and timers, on `main` and
 * on each host that is up and not paused. A world that succeeds and leaves something fails with `Leaked`. What a host had
 * when it was stopped, killed or lost power does not count: its system has taken it. Then all hosts are stopped.
 *
 * Nothing is thrown but for an option that is wrong; what goes wrong in the world is its `exit`.
 *
 * The budgets stop a fiber that spins, since Effect makes it give way every 2048 operations, and microtasks without end.
 * What never gives way, a `while (true)` in plain code, nobody can stop.
 *
 * What a program could learn from outside is the world's while it is driven, or ends the run:
 *
 * | what a program uses | what it gets |
 * | --- | --- |
 * | `Clock`, `Random`, `Console`, the loggers, the scheduler | the world's |
 * | `Date`, `performance.now`, `process.hrtime`, `process.uptime` | the clock of the host that it runs on |
 * | `Math.random`, `crypto.getRandomValues`, `crypto.randomUUID` | random numbers of the seed |
 * | `queueMicrotask`, `process.nextTick` | runs behind the task at hand; what it throws ends the run as a defect |
 * | `console` | prints, and is part of the trace |
 * | promises (`then`, and what is built on it), timers, `fetch`, `crypto.subtle`, `MessageChannel`, `BroadcastChannel`, `Worker`, `WebSocket`, `EventSource`, `AbortSignal.timeout`, `Atomics.wait` and `waitAsync`, compiling `WebAssembly` | `Escaped`, by that name |
 * | `performance.mark`, `measure` and `eventLoopUtilization`, `process.memoryUsage`, `cpuUsage`, `resourceUsage` and the like | `Escaped`, by that name |
 * | `Effect.runFork` and `Effect.runPromise` with no scheduler of one's own | `Escaped`; `Effect.runSync` stays inside |
 * | a fiber that is resumed from outside | `Escaped` while the run goes on, and nothing when it has ended |
 *
 * What the world puts in place is counted in `sources`, and each use is an event, but for microtasks, by which nothing
 * is learnt.
 *
 * **Gotchas**
 *
 * Functions that were taken from these globals before the run, Node's modules, files, the environment, and variables of
 * a module that live on from run to run are not seen. The world is driven in one go, so that nothing asynchronous of
 * those can come back in it: it ends as a `Deadlock` of whoever waits. What they answer at once is found by `check`, where
 * two runs see it differ. The time zone and the locale are those of the machine: what is printed by them differs from
 * machine to machine. Objects that were hashed by identity before the run keep their hash, so that a `HashMap` with such
 * keys has another order in another process. Effect's own numbers of fibers go on from run to run: who prints a `Cause` with
 * an interruption as JSON prints them.
 *
 * An Effect `Queue` belongs to the fiber that made it, and so to its host: it stands still, or is gone, with that one.
 *
 * A world differs from real sockets where it is simpler. Bytes that are lost on the way are late and nothing else: no
 * window shrinks for it. A port is free again at once. `noDelay` and its like do not exist, and neither do records of
 * TLS that hide their content. Nothing is collected as garbage before the run has ended (law 84). All other laws of
 * transports hold in it over TCP, TLS, Unix sockets and named pipes, as far as these have what a law is about; a serial
 * cable keeps those that need no end of input. `scratchpad/examples/conversations.ts` is one program that comes out the
 * same on both.
 *
 * @category running
 * @since 0.1.0
 */
export const run = <A, E>(world: Simulated<A, E>, options: Options): Report<A, E> =>
  reportOf<A, E>(complete(world, options))

/**
 * Runs a world whose gates may be promises. Where one is, the world stands still: its time does not go on and nothing
 * else of it runs, until the promise is settled. Meanwhile all globals are the real ones.
 *
 * **Details**
 *
 * Where several gates wait, they are let through in the order in which they began. What a gate answers is not the
 * seed's: the run is the same again as far as the answers are. A fiber of the world that is resumed by anything else
 * ends the run with `Escaped`, and so does, here too, a promise without a gate. `budget.wall` bounds the waiting.
 *
 * @category running
 * @since 0.1.0
 */
export const runPromise = <A, E>(world: Simulated<A, E>, options: Options): Promise<Report<A, E>> => {
  const simulation = simulationOf(options, { canWait: true })
  simulation.start(world)
  const proceed: Effect.Effect<Report<A, E>> = Effect.suspend(() => {
    const stop = simulation.proceed()
    if (stop._tag !== "Held") return Effect.succeed(reportOf<A, E>({ world, options, simulation, stop }))
    const settled = Effect.forEach(
      simulation.gates.takeAwaited(),
      ({ answer, promise }) => Effect.map(settle(promise!), answer),
      { discard: true }
    )
    const halted = Effect.callback<void>((resume) => {
      simulation.onHalt = () => resume(Effect.void)
    })
    return Effect.raceFirst(settled, halted).pipe(
      Effect.timeoutOption(simulation.engine.wallLeftMillis),
      Effect.flatMap(Option.match({
        onSome: () => proceed,
        onNone: () =>
          Effect.sync(() => reportOf<A, E>({ world, options, simulation, stop: { _tag: "OverBudget", of: "wall" } }))
      }))
    )
  })
  return Effect.runPromise(proceed)
}

const settle = (promise: PromiseLike<unknown>): Effect.Effect<Outcome> =>
  Effect.callback((resume) => {
    promise.then(
      (value) => resume(Effect.succeed({ _tag: "Value", value })),
      (error: unknown) => resume(Effect.succeed({ _tag: "Error", error }))
    )
  })

/**
 * Lets something of outside into the world, by name: `run` is called with the real sources in place. In `runPromise` it
 * may answer with a promise; in `run` and `check` such a gate ends the run with `Escaped`, by its name.
 *
 * **When to use**
 *
 * Around a service of a program, by whoever makes the world, as a layer. The program itself asks for the service, and
 * imports nothing of this.
 *
 * **Details**
 *
 * Where it throws or rejects, the effect dies of it; given as `try` and `catch`, it fails with what `catch` makes of it.
 * It is not interruptible in the sense that it is waited for in any case. Each use is an event, with the name and without
 * the value. Run outside of a world, it is a defect.
 *
 * **Example** (Real hashes in a world)
 *
 * ```ts import.meta.vitest
 * import { Context, Effect, Exit, Layer } from "effect"
 * import { Sim, World } from "effect-transport/sim"
 *
 * // The program and its service.
 * class Hashes extends Context.Service<Hashes, {
 *   readonly first: (text: string) => Effect.Effect<number>
 * }>()("app/Hashes") {}
 *
 * const program = Effect.flatMap(Hashes, ({ first }) => first("hello"))
 *
 * // The world gives it the real one, through a gate.
 * const hashes = Layer.succeed(Hashes, {
 *   first: (text) =>
 *     Sim.gate("sha-256", async () => {
 *       const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))
 *       return new Uint8Array(digest)[0]!
 *     })
 * })
 *
 * const world = Effect.gen(function*() {
 *   const { host } = yield* World.World
 *   return yield* (yield* host("client")).run(Effect.provide(program, hashes))
 * })
 *
 * const report = await Sim.runPromise(world, { seed: 1 })
 * report.exit // => Exit.succeed(0x2c)
 * report.events.filter(({ kind }) => kind === "gate").map(({ note }) => note) // => ["sha-256", "sha-256 answers"]
 * ```
 *
 * @category gates
 * @since 0.1.0
 */
export const gate: {
  <A>(name: string, run: () => A): Effect.Effect<Awaited<A>>
  <A, E>(
    name: string,
    options: { readonly try: () => A; readonly catch: (error: unknown) => E }
  ): Effect.Effect<Awaited<A>, E>
} = (
  name: string,
  run: (() => unknown) | { readonly try: () => unknown; readonly catch: (error: unknown) => unknown }
): Effect.Effect<never> =>
  typeof run === "function"
    ? passing<never, never>(name, run, Effect.die)
    : passing<never, unknown>(name, run.try, (error) =>
      Effect.suspend(() =>
        Effect.fail(run.catch(error))
      )) as Effect.Effect<never>

/**
 * How runs are compared.
 *
 * @category models
 * @since 0.1.0
 */
export interface CheckOptions extends Options {
  /** How often the seed is run: at least 2, which is the default. */
  readonly times?: number | undefined
  /** How many other seeds are run between two runs. Default 0; more finds what lives on from run to run. */
  readonly between?: number | undefined
}

/**
 * Runs a world several times with one seed. Where a run is unlike the first, in an event, a decision, or its exit, the
 * exit is `Diverged`, with the first difference.
 *
 * **Details**
 *
 * With `trace: "digest"` less memory is needed, and the difference is told by its place alone.
 *
 * @category running
 * @since 0.1.0
 */
export const check = <A, E>(world: Simulated<A, E>, options: CheckOptions): Report<A, E> => {
  const { between = 0, times = 2 } = options
  for (const [field, count, min] of [["times", times, 2], ["between", between, 0]] as const) {
    if (!isCount(count, min)) {
      throw new SimError.InvalidWorld({ field, expected: `an integer of at least ${min}`, actual: count })
    }
  }
  const traced: Options = { ...options, trace: options.trace === "digest" ? "digest" : "events" }
  const first = complete(world, traced)
  const report = reportOf<A, E>(first)
  for (let run = 2; run <= times; run++) {
    for (let i = 1; i <= between; i++) complete(world, { ...options, seed: options.seed + i, trace: "off" })
    const diverged = differenceOf(first.simulation, complete(world, traced).simulation, run)
    if (diverged !== undefined) return { ...report, exit: Exit.fail(diverged) }
  }
  return report
}

/**
 * Which seeds are run.
 *
 * @category models
 * @since 0.1.0
 */
export interface SweepOptions extends Omit<Options, "seed"> {
  /** How many, from 0 on; or which ones. Default 100. */
  readonly seeds?: number | ReadonlyArray<number> | undefined
  /** One run in so many is run twice, and compared. Default 20, which costs a twentieth; 0 compares none. */
  readonly checkEvery?: number | undefined
}

/**
 * What came of a sweep.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sweep<out A, out E> {
  /** How many seeds were run. */
  readonly runs: number
  /** The first run that failed, with its trace; without, where it did not fail again. */
  readonly failed: Report<A, E> | undefined
}

/**
 * Runs a world with many seeds, each in a world of its own, until one fails.
 *
 * **Example** (A sweep)
 *
 * ```ts import.meta.vitest
 * import { Effect, Exit, Random } from "effect"
 * import { Sim } from "effect-transport/sim"
 *
 * const unlucky = Effect.flatMap(
 *   Random.nextIntBetween(0, 30),
 *   (number) => number === 7 ? Effect.fail("seven") : Effect.void
 * )
 *
 * const { failed } = Sim.sweep(unlucky, { seeds: 1000 })
 * failed?.exit // => Exit.fail("seven")
 * // The seed is all that it takes to see it again.
 * Sim.run(unlucky, { seed: failed!.seed }).exit // => Exit.fail("seven")
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const sweep = <A, E>(world: Simulated<A, E>, options: SweepOptions = {}): Sweep<A, E> => {
  const { checkEvery = 20, seeds: asked = 100, ...rest } = options
  if (!isCount(checkEvery, 0)) {
    throw new SimError.InvalidWorld({ field: "checkEvery", expected: "a non-negative integer", actual: checkEvery })
  }
  if (typeof asked === "number" && !isCount(asked, 1)) {
    throw new SimError.InvalidWorld({ field: "seeds", expected: "a positive integer, or seeds", actual: asked })
  }
  const seeds = typeof asked === "number" ? Array.from({ length: asked }, (_, seed) => seed) : asked
  for (const [i, seed] of seeds.entries()) {
    const report = checkEvery > 0 && i % checkEvery === 0
      ? check(world, { ...rest, seed, trace: "digest" })
      : run(world, { ...rest, seed, trace: "off" })
    if (Exit.isSuccess(report.exit)) continue
    // Once more, for the trace. Where it succeeds now, it is not the seed that it failed by.
    const traced = check(world, { ...rest, seed, trace: "events" })
    return { runs: i + 1, failed: Exit.isFailure(traced.exit) ? traced : report }
  }
  return { runs: seeds.length, failed: undefined }
}

/**
 * A run as text for people: its seed, its exit, the faults that fired, and its last events.
 *
 * @category converting
 * @since 0.1.0
 */
export const explain = (
  report: Report<unknown, unknown>,
  options?: { readonly events?: number | undefined }
): string => {
  const { events, exit, faults, seed } = report
  const last = options?.events ?? 30
  const left = events.length - last
  return [
    `seed ${seed}: ${Exit.isSuccess(exit) ? exitText(exit) : String(Cause.squash(exit.cause))}`,
    ...faults.flatMap(({ firedNs, name }) =>
      firedNs === undefined ? [] : [`  fault at ${(firedNs / 1e6).toFixed(6)} ms: ${name}`]
    ),
    ...(left > 0 ? [`  after ${left} events:`] : []),
    ...events.slice(-last).map((event) => `  ${Trace.line(event)}`)
  ].join("\n")
}

// ---------------------------------------------------------------------------------------------------------------------
// Running
// ---------------------------------------------------------------------------------------------------------------------

/** A run that has ended. */
interface Run {
  readonly world: Simulated<unknown, unknown>
  readonly options: Options
  readonly simulation: Simulation
  readonly stop: Stop
}

type Extra = Pick<ConstructorParameters<typeof Simulation>[0], "answers" | "canWait" | "tracer">

const simulationOf = (options: Options, extra: Extra): Simulation => {
  const refuse = (field: string, expected: string, actual: unknown) =>
    new SimError.InvalidWorld({ field, expected, actual })
  if (typeof options !== "object" || options === null) throw refuse("options", "an object with a seed", options)
  const { interleave = Interleave.portfolio(), seed, trace = "events" } = options
  if (!isCount(seed, 0)) throw refuse("seed", "a non-negative integer", seed)
  if (typeof interleave.make !== "function") throw refuse("interleave", "one of Interleave", interleave)
  if (!["events", "digest", "off"].includes(trace)) throw refuse("trace", "\"events\", \"digest\" or \"off\"", trace)
  const faults = Result.getOrThrow(Fault.check(options.faults ?? []))
  return new Simulation({
    seed,
    budget: budgetOf(options),
    strategy: interleave.make,
    trace,
    faults,
    ...extra
  })
}

const complete = (world: Simulated<unknown, unknown>, options: Options): Run => {
  const simulation = simulationOf(options, {})
  simulation.start(world)
  const stop = simulation.proceed()
  return { world, options, simulation, stop }
}

/** The same once more, from what was answered by its gates. */
const again = ({ options, simulation: { gates }, world }: Run, tracer: Tracer.Tracer): Simulation => {
  const simulation = simulationOf({ ...options, trace: "off" }, { canWait: true, answers: gates.answers, tracer })
  simulation.start(world)
  while (simulation.proceed()._tag === "Held" && simulation.gates.answerKnown());
  return simulation
}

const reportOf = <A, E>(run: Run): Report<A, E> => {
  const { options: { seed }, simulation, stop } = run
  const { engine, escaped, faults, uncaught, used } = simulation
  const { recording } = engine
  const violated = engine.violation === undefined ? undefined : new SimError.Violated({ what: engine.violation })
  const failure = violated ?? escaped ?? (stop._tag === "OverBudget"
    ? new SimError.OverBudget({ of: stop.of, max: engine.budget[stop.of] })
    : stop._tag === "Stuck"
    ? deadlockOf(simulation, (tracer) => again(run, tracer))
    : simulation.left.length > 0 && simulation.exit !== undefined && Exit.isSuccess(simulation.exit)
    ? new SimError.Leaked({ what: simulation.left })
    : undefined)
  const unfired = faults.outcomes.filter(({ fault, firedNs }) => firedNs === undefined && fault.optional !== true)
  const exit = simulation.exit as Exit.Exit<A, E>
  return {
    seed,
    exit: failure !== undefined
      ? Exit.fail(failure)
      : uncaught !== undefined
      ? Exit.die(uncaught.error)
      : Exit.isSuccess(exit) && unfired.length > 0
      ? Exit.fail(new SimError.Unfired({ faults: unfired.map(({ name }) => name) }))
      : exit,
    faults: faults.outcomes,
    digest: recording.digest?.hex ?? "",
    events: recording.events,
    eventCount: recording.count,
    decisions: engine.strategy.decisions,
    steps: engine.steps,
    elapsed: Duration.nanos(BigInt(engine.nowNs)),
    sources: Object.fromEntries(used)
  }
}

const budgetOf = ({ budget }: Options): Budget => {
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
    virtual: millisOf("virtual", budget?.virtual ?? "1 hour"),
    wall: millisOf("wall", budget?.wall ?? "30 seconds")
  }
}
