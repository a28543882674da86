/**
 * Transports over Web streams as subjects for the laws.
 */
import { Effect } from "effect"
import { TestTransport, type Transport, WebStreams } from "effect-transport"
import type { TransportLaws } from "effect-transport/testing"
import { subjects } from "./subjects.ts"

type Pair = TransportLaws.Subject["pair"]

/** Each end of another pair, to Web streams and back. */
const throughStreams = (pair: Pair): Pair => (options) =>
  Effect.gen(function*() {
    // The rule for the peer's end is that of the outer ones: it has output that the inner ones have not yet.
    const [a, b] = yield* pair({ ...options, onPeerEnd: "keep" })
    return [yield* thereAndBack(a, options), yield* thereAndBack(b, options)] as const
  })

const thereAndBack = (transport: Transport.Transport, options?: Transport.TransportOptions) =>
  Effect.flatMap(WebStreams.toWebStreams(transport), (streams) => WebStreams.fromWebStreams(streams, options))

/** Two streams of the platform, one for each direction, and nothing of ours below. */
const overTransformStreams: Pair = (options) => {
  const there = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>()
  const back = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>()
  return Effect.all([
    WebStreams.fromWebStreams({ readable: back.readable, writable: there.writable }, options),
    WebStreams.fromWebStreams({ readable: there.readable, writable: back.writable }, options)
  ])
}

export const webSubjects: Readonly<Record<string, TransportLaws.Subject>> = {
  webMemory: { pair: throughStreams(TestTransport.pair), capabilities: { halfClose: true, reset: true } },
  webTcp: {
    pair: throughStreams(subjects.tcp4!.pair),
    resources: subjects.tcp4!.resources,
    capabilities: { halfClose: true, reset: true }
  },
  webTransform: { pair: overTransformStreams, capabilities: { halfClose: true, reset: true } }
}
