/**
 * Every consumer of this project as a subject for the laws of producers.
 */
import { Effect } from "effect"
import { Connection, Consumer, TestTransport } from "effect-transport"
import type { ProducerLaws } from "effect-transport/testing"

const buffered = (consumer: Consumer.Buffered<Uint8Array, "suspend">): ProducerLaws.Judged => ({
  ...consumer,
  consumer
})

const overTransport: ProducerLaws.Subject["make"] = ({ closeTimeout, ...marks }) =>
  Effect.gen(function*() {
    const [a, b] = yield* TestTransport.pair({ ...marks, readMark: 4096 })
    const consumer = yield* Consumer.fromConnection(a, { closeTimeout })
    return { ...consumer, consumer, take: Connection.take(b), lose: b.abort }
  })

/** What stands in front of a transport, with the transport: their ends are two things. */
const stacked = (
  consumer: Consumer.Buffered<Uint8Array, "suspend">,
  below: ProducerLaws.Judged
): ProducerLaws.Judged => ({
  consumer,
  take: below.take,
  lose: below.lose,
  close: Effect.andThen(consumer.close, below.close),
  halfClose: Effect.andThen(consumer.close, below.halfClose!),
  abort: Effect.andThen(consumer.abort, below.abort)
})

const fast = { bytesPerSecond: 1e12, burst: 1e12 }

export const flowSubjects: Readonly<Record<string, ProducerLaws.Subject>> = {
  "a buffer": {
    make: (options) => Effect.map(Consumer.make<Uint8Array>(options), buffered),
    capabilities: { marks: true }
  },
  "a transport": { make: overTransport, capabilities: { marks: false } },
  "a buffer in front of a transport": {
    make: (options) =>
      Effect.gen(function*() {
        const below = yield* overTransport({ closeTimeout: options.closeTimeout })
        return stacked(yield* Consumer.buffer(below.consumer, options), below)
      }),
    inFront: (below, options) => Consumer.buffer(below, options),
    capabilities: { marks: false }
  },
  "a rate limit in front of a transport": {
    make: (options) =>
      Effect.gen(function*() {
        const below = yield* overTransport({ closeTimeout: options.closeTimeout })
        return stacked(yield* Consumer.rateLimit(below.consumer, { ...fast, ...options }), below)
      }),
    inFront: (below, options) => Consumer.rateLimit(below, { ...fast, ...options }),
    capabilities: { marks: false }
  }
}
