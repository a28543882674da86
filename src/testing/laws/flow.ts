/**
 * Laws 34, 35, 38 and 45 to 50: marks, pressure that passes on, and what a producer is told.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Consumer, State } from "../../Consumer.ts"
import type { Producer } from "../../Producer.ts"
import type { TransportError } from "../../TransportError.ts"
import { check } from "../bench.ts"
import { checkCalls, checkGrammar, checkSound, fails, type FlowBench, type Judged, type Law, told } from "../flow.ts"
import type { LawBroken } from "../law.ts"
import { randomOf } from "../random.ts"

export const flowLaws: ReadonlyArray<Law> = [
  {
    number: 34,
    title: "a producer is paused when more than the high mark is held, and resumed when it is the low mark or less",
    needs: ["marks"],
    test: (bench) => Effect.andThen(stepMarks(bench), walkMarks(bench, 300))
  },
  {
    number: 35,
    title: "marks are checked before anything is made, a mark of zero holds, and new marks are judged at once",
    needs: ["marks"],
    test: Effect.fnUntraced(function*(bench) {
      for (const [highWaterMark, lowWaterMark] of badMarks) {
        const what = `making a consumer with the marks ${highWaterMark} and ${lowWaterMark}`
        const making = Effect.scoped(bench.subject.make({ highWaterMark, lowWaterMark } as never))
        yield* fails(what, bench.within(what, making), "InvalidOption")
      }
      yield* zeroMark(bench)
      yield* quarterMark(bench)
      yield* newMarks(bench)
    })
  },
  {
    number: 38,
    title: "what stands between pauses its producer when it or the layer below is full, and resumes when both are free",
    needs: ["inFront"],
    test: Effect.fnUntraced(function*(bench) {
      for (const first of ["itself", "below"] as const) yield* bothFull(bench, first)
    })
  },
  {
    number: 45,
    title: "a consumer has one producer: a second changes nothing, and to unregister does not disconnect",
    test: Effect.fnUntraced(function*(bench) {
      yield* secondProducer(bench)
      yield* unregisterTwice(bench)
      yield* freePlace(bench)
    })
  },
  {
    number: 46,
    title: "a consumer that takes no more stops a producer that comes, and does not register it",
    test: Effect.fnUntraced(function*(bench) {
      const ends: ReadonlyArray<readonly [name: string, end: (judged: Judged) => Effect.Effect<unknown, unknown>]> = [
        ["aborted", ({ abort }) => abort],
        ["closed", ({ close }) => close],
        ["lost", ({ abort, lose }) => lose ?? abort]
      ]
      for (const [name, end] of ends) {
        const judged = yield* bench.make()
        yield* bench.start(readOn(judged))
        yield* told(`a consumer that is to be ${name}`, bench.within(`the end of one that is ${name}`, end(judged)))
        yield* bench.within(`"stopped", of one that was ${name},`, stopped(judged))
        for (const which of ["a producer", "another producer"]) {
          const recorder = bench.recorder()
          yield* bench.register(judged, recorder)
          yield* bench.settle
          yield* checkCalls(`${which} that came to a consumer that was ${name}`, recorder, "stop")
        }
      }
    })
  },
  {
    number: 47,
    title: "a producer starts un-paused, and a resume only ever balances a pause",
    test: Effect.fnUntraced(function*(bench) {
      const judged = yield* bench.make(smallMarks)
      const recorder = bench.recorder()
      yield* bench.register(judged, recorder)
      yield* bench.settle
      yield* checkCalls("registered with a consumer that is empty", recorder, "halfRegister")
      const random = randomOf(47)
      yield* bench.start(readOn(judged))
      for (let round = 0; round < 60; round++) {
        const writing = yield* bench.start(judged.consumer.write(new Uint8Array(1 + random(12_000))))
        for (let turns = random(20); turns > 0; turns--) yield* bench.moment
        yield* checkSound("a write", writing)
        yield* checkGrammar("under random writes and reads", recorder)
      }
      yield* bench.settle
      yield* judged.abort
      yield* bench.settle
      yield* checkGrammar("under random writes and reads, and an abort", recorder)
      yield* check(recorder.times("stop") === 1, "an abort did not stop the producer")
    })
  },
  {
    number: 48,
    title:
      "a producer that writes inside resume and is paused again is resumed again, and one that writes nothing, too",
    test: Effect.fnUntraced(function*(bench) {
      yield* overfillInResume(bench, 100)
      yield* nothingInResume(bench)
    })
  },
  {
    number: 49,
    title:
      "close and half-close stop the producer once, and wait until it has unregistered: meanwhile writes are taken",
    test: Effect.fnUntraced(function*(bench) {
      yield* endWithProducer(bench, "close")
      yield* endWithProducer(bench, "halfClose")
      yield* endWithoutUnregister(bench)
    })
  },
  {
    number: 50,
    title: "an abort or a loss stops the producer exactly once, and it is never resumed",
    test: Effect.fnUntraced(function*(bench) {
      for (const how of ["abort", "lose"] as const) {
        for (const when of ["flowing", "paused"] as const) yield* endOnce(bench, how, when)
      }
      yield* abortInResume(bench)
    })
  }
]

const smallMarks = { highWaterMark: 8192, lowWaterMark: 2048 }

/** Reads to the end, whatever that is. */
const readOn = ({ take }: Judged): Effect.Effect<unknown> => Effect.exit(Effect.forever(take))

const stopped = ({ consumer }: Judged): Effect.Effect<void> => Stream.runDrain(consumer.state)

// ---------------------------------------------------------------------------------------------------------------------
// Laws 34 and 35
// ---------------------------------------------------------------------------------------------------------------------

const write = (bench: FlowBench, { consumer }: Judged, bytes: number): Effect.Effect<void, LawBroken> =>
  told("a write", bench.within(`a write of ${bytes} bytes`, consumer.write(new Uint8Array(bytes))))

const stepMarks = Effect.fnUntraced(function*(bench: FlowBench): Effect.fn.Return<void, LawBroken, Scope.Scope> {
  const judged = yield* bench.make({ highWaterMark: 4, lowWaterMark: 2 })
  const recorder = bench.recorder()
  yield* bench.register(judged, recorder)
  for (let size = 1; size <= 5; size++) {
    yield* write(bench, judged, 1)
    yield* bench.settle
    const isPaused = size > 4
    yield* check(recorder.isPaused() === isPaused, `with ${size} bytes held and a high mark of 4`)
  }
  const waiting = yield* bench.startBlocked(judged.consumer.write(new Uint8Array(1)))
  yield* bench.stillWaits("a write above the high mark", waiting)
  for (const size of [4, 3]) {
    yield* bench.drain(judged, 1)
    yield* bench.settle
    yield* check(recorder.isPaused(), `resumed with ${size} bytes held and a low mark of 2`)
    yield* bench.stillWaits(`the write that waits, with ${size} bytes held and a low mark of 2,`, waiting)
  }
  yield* bench.drain(judged, 1)
  yield* told("the write that waited", bench.ended("the write that waited, at the low mark,", waiting))
  yield* bench.settle
  yield* checkCalls("up to 5 and down to 2", recorder, "halfRegister", "pause", "resume")
})

/** Random sizes against a model: what is held is known, and so is what must have been told. */
const walkMarks = Effect.fnUntraced(function*(
  bench: FlowBench,
  steps: number
): Effect.fn.Return<void, LawBroken, Scope.Scope> {
  const random = randomOf(34)
  for (let [high, low] = [1, 0]; high < 40; high += 13, low = random(high)) {
    const judged = yield* bench.make({ highWaterMark: high, lowWaterMark: low })
    const recorder = bench.recorder()
    yield* bench.register(judged, recorder)
    const held: Array<number> = []
    let size = 0
    let isPaused = false
    for (let step = 0; step < steps; step++) {
      const bytes = 1 + random(high)
      if (!isPaused && random(3) > 0) {
        yield* write(bench, judged, bytes)
        held.push(bytes)
        size += bytes
      } else if (held.length > 0) {
        const taken = held.shift()!
        yield* bench.drain(judged, taken)
        size -= taken
      } else continue
      if (size > high) isPaused = true
      else if (size <= low) isPaused = false
      yield* bench.moment
      yield* check(
        recorder.isPaused() === isPaused,
        `with marks ${high} and ${low}, and ${size} bytes held: the producer is ${isPaused ? "not " : ""}paused`
      )
    }
    yield* checkGrammar(`with marks ${high} and ${low}`, recorder)
  }
})

const badMarks: ReadonlyArray<readonly [high: unknown, low: unknown]> = [
  [-1, undefined],
  [1.5, undefined],
  [NaN, undefined],
  [Infinity, undefined],
  ["4", undefined],
  [4, -1],
  [4, 0.5],
  [4, "2"],
  [4, 5],
  [0, 1]
]

const zeroMark = Effect.fnUntraced(function*(bench: FlowBench): Effect.fn.Return<void, LawBroken, Scope.Scope> {
  const judged = yield* bench.make({ highWaterMark: 0 })
  const recorder = bench.recorder()
  yield* bench.register(judged, recorder)
  for (let round = 0; round < 3; round++) {
    yield* write(bench, judged, 1)
    yield* bench.settle
    yield* check(recorder.isPaused(), "with a high mark of 0, one byte does not pause")
    yield* bench.drain(judged, 1)
    yield* bench.settle
    yield* check(!recorder.isPaused(), "with a high mark of 0, nothing held does not resume")
  }
})

const quarterMark = Effect.fnUntraced(function*(bench: FlowBench): Effect.fn.Return<void, LawBroken, Scope.Scope> {
  const judged = yield* bench.make({ highWaterMark: 8 })
  const recorder = bench.recorder()
  yield* bench.register(judged, recorder)
  for (let i = 0; i < 9; i++) yield* write(bench, judged, 1)
  yield* bench.drain(judged, 6)
  yield* bench.settle
  yield* check(recorder.isPaused(), "with a high mark of 8 and no low one, resumed with 3 bytes held")
  yield* bench.drain(judged, 1)
  yield* bench.settle
  yield* check(!recorder.isPaused(), "with a high mark of 8 and no low one, not resumed with 2 bytes held")
})

const newMarks = Effect.fnUntraced(function*(bench: FlowBench): Effect.fn.Return<void, LawBroken, Scope.Scope> {
  const judged = yield* bench.make({ highWaterMark: 8, lowWaterMark: 2 })
  const { setMarks } = judged
  if (setMarks === undefined) return
  const recorder = bench.recorder()
  yield* bench.register(judged, recorder)
  yield* write(bench, judged, 4)
  for (const [highWaterMark, lowWaterMark] of badMarks) {
    const what = `setting the marks ${highWaterMark} and ${lowWaterMark}`
    yield* fails(what, bench.within(what, setMarks({ highWaterMark, lowWaterMark } as never)), "InvalidOption")
  }
  const set = (highWaterMark: number, lowWaterMark: number) =>
    Effect.andThen(told("setting marks", setMarks({ highWaterMark, lowWaterMark })), bench.settle)
  yield* set(4, 1)
  yield* checkCalls("4 bytes held, and the marks lowered to 4 and 1", recorder, "halfRegister")
  yield* set(3, 1)
  yield* checkCalls("4 bytes held, and the marks lowered to 3 and 1", recorder, "halfRegister", "pause")
  yield* set(8, 3)
  yield* check(recorder.isPaused(), "4 bytes held, and the marks raised to 8 and 3: resumed")
  const waiting = yield* bench.startBlocked(judged.consumer.write(new Uint8Array(1)))
  yield* set(8, 4)
  yield* checkCalls("and raised to 8 and 4", recorder, "halfRegister", "pause", "resume")
  yield* told("a write that waited", bench.ended("a write that waited, once the marks are raised,", waiting))
})

// ---------------------------------------------------------------------------------------------------------------------
// Law 38
// ---------------------------------------------------------------------------------------------------------------------

/** A consumer that pauses and resumes on command, and whose writes wait while `isOpen` is closed. */
const makeBelow = () => {
  let producer: Producer<Uint8Array> | undefined
  const isOpen = Latch.makeUnsafe(true)
  const consumer: Consumer<Uint8Array, TransportError> = {
    write: () => isOpen.await,
    register: (one) =>
      Effect.suspend(() => {
        producer = one
        return one.halfRegister(consumer)
      }),
    unregister: Effect.void,
    state: Stream.make<[State]>("flowing")
  }
  return {
    consumer,
    isOpen,
    pause: Effect.suspend(() => producer!.pause),
    resume: Effect.suspend(() => producer!.resume)
  }
}

const bothFull = Effect.fnUntraced(function*(
  bench: FlowBench,
  first: "itself" | "below"
): Effect.fn.Return<void, LawBroken, Scope.Scope> {
  const below = makeBelow()
  const making = bench.subject.inFront!(below.consumer, { highWaterMark: 4, lowWaterMark: 0 })
  const consumer = yield* told("making a consumer", bench.opens("making a consumer in front of another", making))
  const judged: Judged = { consumer, take: Effect.never, close: Effect.void, abort: Effect.void }
  const recorder = bench.recorder()
  yield* bench.register(judged, recorder)
  const fill = Effect.forEach([1, 2, 3, 4, 5, 6, 7], () => bench.start(consumer.write(new Uint8Array(1))))
  const isPausedWhen = (when: string) =>
    Effect.andThen(
      bench.settle,
      Effect.suspend(() => checkCalls(`${first} is full first; ${when}`, recorder, "halfRegister", "pause"))
    )
  if (first === "itself") {
    // What it holds does not get on, though the one below has not said so.
    yield* below.isOpen.close
    yield* fill
    yield* isPausedWhen("its own high mark is passed")
    yield* below.pause
    yield* isPausedWhen("and then the one below is full")
  } else {
    yield* below.pause
    yield* isPausedWhen("the one below is full")
    yield* below.isOpen.close
    yield* fill
    yield* isPausedWhen("and then its own high mark is passed")
  }
  yield* below.resume
  yield* isPausedWhen("and then the one below is free, and it is full itself")
  yield* below.pause
  yield* isPausedWhen("and then the one below is full again")
  yield* below.isOpen.open
  yield* isPausedWhen("and then its write below is done, and the one below is still full")
  yield* below.resume
  yield* bench.settle
  yield* checkCalls(`${first} is full first; and then both are free`, recorder, "halfRegister", "pause", "resume")
})

// ---------------------------------------------------------------------------------------------------------------------
// Law 45
// ---------------------------------------------------------------------------------------------------------------------

const secondProducer = Effect.fnUntraced(function*(bench: FlowBench): Effect.fn.Return<void, LawBroken, Scope.Scope> {
  const judged = yield* bench.make(smallMarks)
  const first = bench.recorder()
  const second = bench.recorder()
  yield* bench.register(judged, first)
  for (let times = 0; times < 2; times++) {
    const registering = Effect.scoped(judged.consumer.register(second.producer))
    const error = yield* fails("a second producer", bench.within("a second producer", registering), "Busy")
    yield* check("what" in error.reason && error.reason.what === "consumer", "what is busy is not the consumer")
  }
  const bytes = yield* bench.overfill(judged, first)
  yield* bench.start(bench.drain(judged, bytes))
  yield* bench.settle
  yield* checkCalls("the first of two producers", first, "halfRegister", "pause", "resume")
  yield* checkCalls("the second of two producers", second)
})

const unregisterTwice = Effect.fnUntraced(function*(bench: FlowBench): Effect.fn.Return<void, LawBroken, Scope.Scope> {
  const judged = yield* bench.make(smallMarks)
  const first = bench.recorder()
  yield* judged.consumer.unregister
  yield* bench.register(judged, first)
  yield* Effect.andThen(judged.consumer.unregister, judged.consumer.unregister)
  const writing = yield* bench.start(judged.consumer.write(new Uint8Array(5)))
  yield* bench.drain(judged, 5)
  yield* told("a write", bench.ended("a write to a consumer whose producer has unregistered", writing))
  const next = bench.recorder()
  yield* bench.register(judged, next)
  const bytes = yield* bench.overfill(judged, next)
  yield* bench.start(bench.drain(judged, bytes))
  yield* bench.settle
  yield* checkCalls("one that has unregistered", first, "halfRegister")
  yield* checkCalls("the next one", next, "halfRegister", "pause", "resume")
})

const freePlace = Effect.fnUntraced(function*(bench: FlowBench): Effect.fn.Return<void, LawBroken, Scope.Scope> {
  const judged = yield* bench.make(smallMarks)
  // At the end of its scope.
  const first = bench.recorder()
  const scope = yield* Scope.make()
  yield* told("registering", Scope.provide(judged.consumer.register(first.producer), scope))
  yield* Scope.close(scope, Exit.void)
  // By an interruption in the middle of it.
  const never = bench.recorder({ halfRegister: Effect.never })
  const registering = yield* bench.startBlocked(Effect.scoped(judged.consumer.register(never.producer)))
  yield* bench.stillWaits("registering one whose halfRegister waits", registering)
  registering.interruptUnsafe()
  yield* bench.settle
  // On a consumer that is full.
  const filling = bench.recorder()
  const other = yield* Scope.make()
  yield* told("registering", Scope.provide(judged.consumer.register(filling.producer), other))
  yield* bench.overfill(judged, filling)
  yield* Scope.close(other, Exit.void)
  const last = bench.recorder()
  yield* bench.register(judged, last)
  yield* bench.settle
  yield* checkCalls("one whose scope has ended", first, "halfRegister")
  yield* checkCalls("one that was interrupted while it was registered", never, "halfRegister")
  yield* checkCalls("one that came to a full consumer", last, "halfRegister", "pause")
})

// ---------------------------------------------------------------------------------------------------------------------
// Law 48
// ---------------------------------------------------------------------------------------------------------------------

const overfillInResume = Effect.fnUntraced(function*(
  bench: FlowBench,
  rounds: number
): Effect.fn.Return<void, LawBroken, Scope.Scope> {
  const judged = yield* bench.make(smallMarks)
  let written = 0
  const overfill: Effect.Effect<void> = Effect.suspend(() => {
    // As a producer of old does: it writes until it hears of the pause, which has to reach it in here.
    if (recorder.isPaused() || written > 64 * 1024 * 1024) return Effect.void
    written += 4096
    return Effect.andThen(
      Effect.exit(judged.consumer.write(new Uint8Array(4096))),
      Effect.andThen(bench.moment, overfill)
    )
  })
  const recorder = bench.recorder({ resume: overfill })
  yield* bench.register(judged, recorder)
  yield* bench.start(overfill)
  let read = 0
  for (let round = 1; round <= rounds; round++) {
    const isPaused = Effect.repeat(bench.moment, { until: () => recorder.isPaused() })
    yield* bench.within(`pause ${round} of a producer that overfills in its resume`, isPaused)
    const before = recorder.times("resume")
    const reading = Effect.gen(function*() {
      while (recorder.times("resume") === before) {
        read += (yield* told("reading", judged.take)).length
        yield* bench.moment
      }
    })
    yield* bench.within(`resume ${round} of a producer that overfills in its resume`, reading)
  }
  yield* check(read <= written, "more was read than was written")
  yield* checkGrammar("a producer that overfills in its resume", recorder)
})

const nothingInResume = Effect.fnUntraced(function*(bench: FlowBench): Effect.fn.Return<void, LawBroken, Scope.Scope> {
  const judged = yield* bench.make(smallMarks)
  const empty = Effect.asVoid(Effect.exit(judged.consumer.write(new Uint8Array(0))))
  const recorder = bench.recorder({ resume: empty })
  yield* bench.register(judged, recorder)
  for (let round = 1; round <= 10; round++) {
    const bytes = yield* bench.overfill(judged, recorder)
    yield* bench.drain(judged, bytes)
    const isResumed = Effect.repeat(bench.moment, { until: () => !recorder.isPaused() })
    yield* bench.within(`resume ${round} of a producer that writes nothing in it`, isResumed)
  }
  yield* checkGrammar("a producer that writes nothing in its resume", recorder)
})

// ---------------------------------------------------------------------------------------------------------------------
// Law 49
// ---------------------------------------------------------------------------------------------------------------------

const endWithProducer = Effect.fnUntraced(function*(
  bench: FlowBench,
  by: "close" | "halfClose"
): Effect.fn.Return<void, LawBroken, Scope.Scope> {
  const judged = yield* bench.make()
  const end = judged[by]
  if (end === undefined) return
  const recorder = bench.recorder()
  yield* bench.register(judged, recorder)
  yield* told("a write", bench.within("a write", judged.consumer.write(new Uint8Array([1, 2]))))
  const ending = yield* bench.startBlocked(end)
  yield* bench.stillWaits(`${by}, with a producer,`, ending)
  yield* checkCalls(`${by}, with a producer`, recorder, "halfRegister", "stop")
  const other = bench.recorder()
  yield* fails(
    `a producer that comes during ${by}`,
    bench.within("registering", Effect.scoped(judged.consumer.register(other.producer))),
    "Busy"
  )
  const late = bench.within(
    `a write during ${by}, before the producer has unregistered,`,
    judged.consumer.write(
      new Uint8Array([3])
    )
  )
  yield* told("a write", late)
  yield* bench.stillWaits(`${by}, after a write of the producer,`, ending)
  yield* judged.consumer.unregister
  const seen: Array<number> = []
  const reading = yield* bench.start(
    Effect.exit(Effect.forever(Effect.map(judged.take, (bytes) => {
      seen.push(...bytes)
    })))
  )
  yield* told(by, bench.ended(`${by}, once the producer has unregistered,`, ending))
  yield* bench.ended(`reading to the end, after ${by},`, reading)
  yield* check(seen.join() === "1,2,3", () => `after ${by} the far end has read ${seen.join()} in place of 1,2,3`)
  yield* fails(
    `a write after ${by}`,
    bench.within(`a write after ${by}`, judged.consumer.write(new Uint8Array(1))),
    "Closed"
  )
  yield* checkCalls(`after ${by}`, recorder, "halfRegister", "stop")
})

const endWithoutUnregister = Effect.fnUntraced(function*(
  bench: FlowBench
): Effect.fn.Return<void, LawBroken, Scope.Scope> {
  const judged = yield* bench.make({ closeTimeout: 100 })
  const recorder = bench.recorder()
  yield* bench.register(judged, recorder)
  const closing = yield* bench.startBlocked(judged.close)
  const closed = bench.ended("a close whose producer does not unregister", closing, { millis: 100 })
  yield* fails("a close whose producer does not unregister", closed, "TimedOut")
  yield* bench.settle
  yield* checkCalls("a producer that does not unregister", recorder, "halfRegister", "stop")
})

// ---------------------------------------------------------------------------------------------------------------------
// Law 50
// ---------------------------------------------------------------------------------------------------------------------

const endOnce = Effect.fnUntraced(function*(
  bench: FlowBench,
  how: "abort" | "lose",
  when: "flowing" | "paused"
): Effect.fn.Return<void, LawBroken, Scope.Scope> {
  const judged = yield* bench.make(smallMarks)
  const end = how === "abort" ? judged.abort : judged.lose
  if (end === undefined) return
  const recorder = bench.recorder()
  const what = `a producer that is ${when}, by ${how === "abort" ? "an abort" : "a loss"}`
  yield* bench.register(judged, recorder)
  if (when === "paused") yield* bench.overfill(judged, recorder)
  yield* bench.within(how, end)
  yield* bench.within(`"stopped", ${what},`, stopped(judged))
  yield* bench.start(readOn(judged))
  // All that could tell it again.
  yield* Effect.andThen(judged.abort, judged.abort)
  yield* bench.start(judged.close)
  yield* Effect.andThen(judged.consumer.unregister, judged.consumer.unregister)
  yield* bench.settle
  const pauses: ReadonlyArray<"pause"> = when === "paused" ? ["pause"] : []
  yield* checkCalls(what, recorder, "halfRegister", ...pauses, "stop")
  yield* fails("a write", bench.within("a write", judged.consumer.write(new Uint8Array(1))), "Closed", "Reset")
})

const abortInResume = Effect.fnUntraced(function*(bench: FlowBench): Effect.fn.Return<void, LawBroken, Scope.Scope> {
  const judged = yield* bench.make(smallMarks)
  const recorder = bench.recorder({ resume: judged.abort })
  yield* bench.register(judged, recorder)
  yield* bench.overfill(judged, recorder)
  yield* bench.start(readOn(judged))
  const isStopped = Effect.repeat(bench.moment, { until: () => recorder.times("stop") > 0 })
  yield* bench.within("the stop of a producer that aborts in its resume", isStopped)
  yield* bench.settle
  yield* checkCalls("one that aborts in its resume", recorder, "halfRegister", "pause", "resume", "stop")
})
