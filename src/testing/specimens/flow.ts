/**
 * Consumers that break one of the laws of producers each.
 */
import * as Effect from "effect/Effect"
import * as Consumer from "../../Consumer.ts"
import type { Producer } from "../../Producer.ts"
import type { Judged, JudgedOptions, Specimen, Subject } from "../flow.ts"

export const flowSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 34,
    fault: "it pauses when the high mark is reached",
    alsoBreaks: { 35: "it fills a consumer up to its high mark" },
    subject: {
      make: ({ highWaterMark: high = 65_536, lowWaterMark: low = Math.floor(high / 4), ...options }) =>
        Number.isSafeInteger(high) && low < high
          ? makeSound({ ...options, highWaterMark: high - 1, lowWaterMark: low })
          : makeSound({ ...options, highWaterMark: high, lowWaterMark: low }),
      capabilities: { marks: true }
    }
  },
  {
    law: 34,
    fault: "it resumes only below the low mark",
    alsoBreaks: { 35: "it drains a consumer down to its low mark" },
    subject: {
      make: ({ highWaterMark: high = 65_536, lowWaterMark: low = Math.floor(high / 4), ...options }) =>
        makeSound({ ...options, highWaterMark: high, lowWaterMark: low > 0 ? low - 1 : low }),
      capabilities: { marks: true }
    }
  },
  {
    law: 35,
    fault: "marks that are wrong are put right in silence",
    subject: {
      make: ({ highWaterMark, lowWaterMark, ...options }) => {
        const isMark = (mark: unknown): mark is number => Number.isSafeInteger(mark) && mark as number >= 0
        const high = isMark(highWaterMark) ? highWaterMark : 65_536
        const low = isMark(lowWaterMark) ? Math.min(lowWaterMark, high) : undefined
        return makeSound({ ...options, highWaterMark: high, lowWaterMark: low })
      },
      capabilities: { marks: true }
    }
  },
  {
    law: 35,
    fault: "lower marks are judged when the next item comes",
    subject: changed((judged) => {
      let next: Consumer.Marks | undefined
      return {
        ...judged,
        setMarks: (marks) =>
          // It checks them at once, and heeds only those that are higher.
          marks.highWaterMark >= 4 ? judged.setMarks!(marks) : Effect.sync(() => {
            next = marks
          }),
        consumer: {
          ...judged.consumer,
          write: (item) => Effect.andThen(judged.consumer.write(item), next ? judged.setMarks!(next) : Effect.void)
        }
      }
    })
  },
  {
    law: 38,
    fault: "it keeps one flag for both: either of the two resumes its producer",
    subject: { make: makeSound, inFront: withOneFlag, capabilities: { marks: true } }
  },
  {
    law: 45,
    fault: "a second producer takes the place of the first",
    alsoBreaks: { 49: "one that comes while it closes does so, too" },
    subject: changed((judged) => ({
      ...judged,
      consumer: {
        ...judged.consumer,
        register: (producer) => Effect.andThen(judged.consumer.unregister, judged.consumer.register(producer))
      }
    }))
  },
  {
    law: 45,
    fault: "a second producer is refused, and the first is unregistered",
    alsoBreaks: { 49: "one that comes while it closes does so, too" },
    subject: changed((judged) => ({
      ...judged,
      consumer: {
        ...judged.consumer,
        register: (producer) => Effect.onError(judged.consumer.register(producer), () => judged.consumer.unregister)
      }
    }))
  },
  {
    law: 46,
    fault: "a producer that comes after the end is told nothing",
    subject: changed((judged) => {
      let isDead = false
      const dies = Effect.sync(() => {
        isDead = true
      })
      return {
        ...judged,
        close: Effect.andThen(judged.close, dies),
        abort: Effect.andThen(judged.abort, dies),
        consumer: {
          ...judged.consumer,
          register: (producer) => Effect.suspend(() => isDead ? Effect.void : judged.consumer.register(producer))
        }
      }
    })
  },
  {
    law: 47,
    fault: "every third resume comes twice",
    alsoBreaks: { 34: "it walks up and down long enough", 48: "it resumes often" },
    subject: told((producer) => {
      let resumes = 0
      const again = Effect.suspend(() => ++resumes % 3 === 0 ? producer.resume : Effect.void)
      return { ...producer, resume: Effect.andThen(producer.resume, again) }
    })
  },
  {
    law: 48,
    fault: "a pause that comes while its resume runs is forgotten",
    subject: told((producer) => {
      let isResuming = false
      let isForgotten = false
      return {
        ...producer,
        pause: Effect.suspend(() => {
          isForgotten = isResuming
          return isForgotten ? Effect.void : producer.pause
        }),
        resume: Effect.suspend(() => {
          if (isForgotten) return Effect.void
          isResuming = true
          return Effect.ensuring(
            producer.resume,
            Effect.sync(() => {
              isResuming = false
            })
          )
        })
      }
    })
  },
  {
    law: 49,
    fault: "close does not wait for its producer",
    subject: changed((judged) => ({ ...judged, close: Effect.andThen(judged.consumer.unregister, judged.close) }))
  },
  {
    law: 49,
    fault: "half-close does not wait for its producer",
    subject: changed((judged) => ({
      ...judged,
      halfClose: Effect.andThen(judged.consumer.unregister, judged.halfClose!)
    }))
  },
  {
    law: 50,
    fault: "an abort stops its producer twice",
    alsoBreaks: { 47: "it ends with an abort" },
    subject: remembering((judged, producer) => ({
      ...judged,
      abort: Effect.andThen(judged.abort, Effect.suspend(() => producer()?.stop ?? Effect.void))
    }))
  },
  {
    law: 50,
    fault: "an abort resumes a producer that is paused, before it stops it",
    subject: told((producer) => {
      let isPaused = false
      const set = (paused: boolean) => Effect.sync(() => isPaused = paused)
      return {
        halfRegister: producer.halfRegister,
        pause: Effect.andThen(set(true), producer.pause),
        resume: Effect.andThen(set(false), producer.resume),
        stop: Effect.suspend(() => isPaused ? Effect.andThen(producer.resume, producer.stop) : producer.stop)
      }
    })
  }
]

function makeSound(options: JudgedOptions) {
  return Effect.map(
    Consumer.make<Uint8Array>(options),
    (consumer): Judged => ({ ...consumer, consumer })
  )
}

/** A sound consumer with something changed in it. */
function changed(change: (judged: Judged) => Judged): Subject {
  return { make: (options) => Effect.map(makeSound(options), change), capabilities: { marks: true } }
}

/** A sound consumer whose producers are told otherwise. */
function told(change: (producer: Producer<Uint8Array>) => Producer<Uint8Array>): Subject {
  return changed((judged) => ({
    ...judged,
    consumer: { ...judged.consumer, register: (producer) => judged.consumer.register(change(producer)) }
  }))
}

/** A sound consumer that knows who its producer was. */
function remembering(change: (judged: Judged, producer: () => Producer<Uint8Array> | undefined) => Judged): Subject {
  return changed((judged) => {
    let last: Producer<Uint8Array> | undefined
    const consumer: typeof judged.consumer = {
      ...judged.consumer,
      register: (producer) =>
        Effect.suspend(() => {
          last = producer
          return judged.consumer.register(producer)
        })
    }
    return change({ ...judged, consumer }, () => last)
  })
}

/** Twisted's membrane (twisted#5063): its flag is the last thing that was said, whoever said it. */
function withOneFlag(
  below: Parameters<NonNullable<Subject["inFront"]>>[0],
  options: JudgedOptions
): ReturnType<NonNullable<Subject["inFront"]>> {
  return Effect.gen(function*() {
    const upper = yield* Consumer.make<Uint8Array>(options)
    let producer: Producer<Uint8Array> | undefined
    let isPaused = false
    const say = (paused: boolean) =>
      Effect.suspend(() => {
        if (paused === isPaused || producer === undefined) return Effect.void
        isPaused = paused
        return paused ? producer.pause : producer.resume
      })
    const signals = { pause: say(true), resume: say(false), stop: Effect.void }
    yield* upper.register({ ...signals, halfRegister: () => Effect.void })
    const pump = Effect.forever(Effect.flatMap(upper.take, below.write))
    yield* below.register({ ...signals, halfRegister: () => Effect.asVoid(Effect.forkScoped(pump)) })
    return {
      ...upper,
      register: (one: Producer<Uint8Array>) =>
        Effect.suspend(() => {
          producer = one
          return one.halfRegister(upper)
        })
    }
  })
}
