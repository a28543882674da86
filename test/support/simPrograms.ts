/**
 * Programs that a seed makes up, of what Effect has for fibers to meet; each writes down what it does, and ends. And a way
 * to run them on Effect's own scheduler, in a time of their own.
 */
import { Clock, Deferred, Duration, Effect, Exit, Fiber, Latch, PubSub, Queue, Scheduler, Semaphore } from "effect"
import type { Interleave } from "effect-transport/sim"
import { Prng } from "../../src/sim/engine/prng.ts"
import type { Strategy } from "../../src/sim/engine/strategies.ts"

/** The same program each time that it is run. */
export const programOf = (seed: number): Effect.Effect<ReadonlyArray<string>> =>
  Effect.suspend(() => {
    const prng = Prng.of(seed, "program")
    const log: Array<string> = []
    const among = <A>(...of: ReadonlyArray<A>): A => of[prng.below(of.length)]!
    return Effect.gen(function*() {
      const queue = yield* Queue.bounded<number>(2)
      const pubsub = yield* PubSub.bounded<number>(2)
      const lock = Semaphore.makeUnsafe(2)
      const latch = Latch.makeUnsafe()
      const deferreds = Array.from({ length: 3 }, () => Deferred.makeUnsafe<number>())
      const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
      const say = (text: string) => Effect.sync(() => void log.push(text))

      const step = (name: string, depth: number): Effect.Effect<unknown> => {
        const deferred = among(...deferreds)
        const millis = among(1, 2, 3, 5, 5, 5)
        const other = prng.below(8)
        const inner = () => steps(`${name}'`, depth + 1)
        switch (prng.below(depth < 2 ? 21 : 14)) {
          case 0:
            return Effect.yieldNow
          case 1:
            return Effect.yieldNowWith(among(-1, 0, 1, 2))
          case 2:
          case 3:
            return Effect.sleep(millis)
          case 4:
          case 5:
            return Queue.offer(queue, other)
          case 6:
            return Effect.flatMap(Queue.take(queue), (n) => say(`${name} took ${n}`))
          case 7:
            return PubSub.publish(pubsub, other)
          case 8:
            return Effect.scoped(Effect.gen(function*() {
              const subscription = yield* PubSub.subscribe(pubsub)
              yield* say(`${name} heard ${yield* PubSub.take(subscription)}`)
            }))
          case 9:
            return Deferred.succeed(deferred, other)
          case 10:
            return Effect.flatMap(Deferred.await(deferred), (n) => say(`${name} awaited ${n}`))
          case 11:
            return Effect.forEach(Array.from({ length: 12 }), () => Effect.sync(() => other))
          case 12:
            return among(latch.open, latch.await, latch.close)
          case 13:
            return Effect.suspend(() => {
              const fiber = fibers[other]
              return fiber === undefined ? Effect.void : among(Fiber.interrupt, Fiber.await)(fiber)
            })
          case 14:
          case 15:
            return lock.withPermit(inner())
          case 16:
          case 17:
            return Effect.forkChild(inner(), { startImmediately: among(true, false) }).pipe(
              Effect.map((fiber) => fibers.push(fiber)),
              Effect.andThen(among(Effect.void, Effect.yieldNowWith(-1), Effect.yieldNowWith(1)))
            )
          case 18:
            return Effect.all([inner(), inner()], { concurrency: "unbounded" })
          case 19:
            return Effect.timeoutOption(inner(), millis)
          default:
            return Effect.onInterrupt(
              Effect.uninterruptible(Effect.sleep(millis)),
              () => say(`${name} was interrupted`)
            )
        }
      }

      const steps = (name: string, depth: number): Effect.Effect<void> =>
        Effect.forEach(
          Array.from({ length: 1 + prng.below(6) }, (_, i) => step(`${name}.${i}`, depth)),
          (one, i) => Effect.andThen(one, say(`${name}.${i}`)),
          { discard: true }
        ).pipe(Effect.ensuring(say(`${name} ended`)))

      const programs = Array.from({ length: 2 + prng.below(4) }, (_, i) => steps(String.fromCharCode(97 + i), 0))
      const opsMax = among(3, 7, 20, 2048)
      for (const program of programs) {
        fibers.push(
          yield* Effect.forkChild(Effect.provideService(program, Scheduler.MaxOpsBeforeYield, opsMax))
        )
      }
      yield* Effect.sleep("1 minute")
      // What waits for what never comes.
      yield* Fiber.interruptAll(fibers)
      yield* say("all ended")
      return log
    })
  })

/** Gives way in bursts; every fourth whenever it may. No program may stand still under any. */
export const patternOf = (seed: number): Interleave.Interleave => ({
  name: `pattern ${seed}`,
  make: () => {
    const prng = Prng.of(seed, "pattern")
    const [burst, gap] = [1 + prng.below(40), seed % 4 === 0 ? 0 : prng.below(40)]
    const pick: Strategy["pick"] = seed % 3 === 0 ? () => 0 : (lanes) => prng.below(lanes.length)
    return {
      isBatched: seed % 5 === 0,
      pick,
      preemptionFrom: (operation) => operation % (burst + gap) < burst ? operation : operation + prng.below(gap + 1),
      ...(seed % 2 === 0 ? { defers: () => prng.chance(0.5) } : {})
    }
  }
})

/** Runs on Effect's `MixedScheduler` and Node's `setImmediate`; when nothing is left to do, the next timers are due. */
export const runAsInProduction = <A, E>(effect: Effect.Effect<A, E>): Promise<Exit.Exit<A, E>> => {
  interface Timer {
    readonly at: number
    readonly run: () => void
  }
  let now = 0
  let timers: Array<Timer> = []
  let pending = 0
  const advance = () => {
    while (pending === 0 && timers.length > 0) {
      now = Math.min(...timers.map(({ at }) => at))
      const due = timers.filter(({ at }) => at === now)
      for (const timer of due) {
        // One may have cancelled the next.
        if (!timers.includes(timer)) continue
        timers = timers.filter((one) => one !== timer)
        timer.run()
      }
    }
  }
  const scheduler = new Scheduler.MixedScheduler("async", (run) => {
    pending++
    const handle = setImmediate(() => {
      pending--
      run()
      advance()
    })
    return () => {
      pending--
      clearImmediate(handle)
    }
  })
  const clock: Clock.Clock = {
    currentTimeMillisUnsafe: () => now,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanosUnsafe: () => BigInt(now) * 1_000_000n,
    currentTimeNanos: Effect.sync(() => BigInt(now) * 1_000_000n),
    monotonicTimeNanosUnsafe: () => BigInt(now) * 1_000_000n,
    monotonicTimeNanos: Effect.sync(() => BigInt(now) * 1_000_000n),
    sleep: (duration) => {
      const millis = Duration.toMillis(duration)
      if (millis <= 0) return Effect.yieldNow
      return Effect.callback<void>((resume) => {
        const timer = { at: now + millis, run: () => resume(Effect.void) }
        timers.push(timer)
        return Effect.sync(() => {
          timers = timers.filter((one) => one !== timer)
        })
      })
    }
  }
  return new Promise((resolve) => {
    const fiber = Effect.runFork(Effect.provideService(effect, Clock.Clock, clock), { scheduler })
    fiber.addObserver(resolve)
    advance()
  })
}
