/**
 * What lies between two hosts: how long bytes take, how many go a second, and what each end keeps of them.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { durationOf, isCount } from "../internal/check.ts"
import type { Latency as Settled, LinkSettings } from "./net/settings.ts"
import { InvalidWorld } from "./SimError.ts"

/**
 * How long bytes take from one end to the other.
 *
 * @category models
 * @since 0.1.0
 */
export type Latency =
  /** Always the same. */
  | Duration.Input
  /** From the first to the second, each as likely. */
  | { readonly uniform: readonly [min: Duration.Input, max: Duration.Input] }
  /** At least `min` (default none) and `mean` in the middle. */
  | { readonly exponential: { readonly mean: Duration.Input; readonly min?: Duration.Input | undefined } }
  /** Mostly `usual`, and with a probability of `chance` (default 0.001) anything up to `worst`. */
  | {
    readonly longTail: {
      readonly usual: readonly [min: Duration.Input, max: Duration.Input]
      readonly worst: Duration.Input
      readonly chance?: number | undefined
    }
  }

/**
 * A link, the same in both directions.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default 1 millisecond. What is late delays what is behind it: a connection keeps its order. */
  readonly latency?: Latency | undefined
  /** Default without a limit. Connections of a link share it. */
  readonly bytesPerSecond?: number | undefined
  /** The most that travels in one piece. Default 65536. */
  readonly segmentBytes?: number | undefined
  /** What the sender's system takes of what cannot be sent yet, at least 1. Default 65536. */
  readonly sendBufferBytes?: number | undefined
  /** What may be on its way or unread at the receiver's system. Default 65536. */
  readonly receiveBufferBytes?: number | undefined
}

/**
 * The link between two hosts where none was made.
 *
 * @category constants
 * @since 0.1.0
 */
export const between: Options = { latency: Duration.millis(1) }

/**
 * The way of a host to itself.
 *
 * @category constants
 * @since 0.1.0
 */
export const within: Options = { latency: Duration.micros(10n) }

/** Checks it, and completes it. */
export const settle = (options: Options): Effect.Effect<LinkSettings, InvalidWorld> =>
  Effect.suspend(() => {
    const settled = settleUnsafe(options)
    return settled instanceof InvalidWorld ? Effect.fail(settled) : Effect.succeed(settled)
  })

export const settleUnsafe = (options: Options): LinkSettings | InvalidWorld => {
  const { bytesPerSecond, receiveBufferBytes = 65_536, segmentBytes = 65_536, sendBufferBytes = 65_536 } = options
  const latency = latencyOf(options.latency ?? between.latency!)
  if (latency === undefined) {
    return new InvalidWorld({ field: "latency", expected: "finite durations in order", actual: options.latency })
  }
  if (bytesPerSecond !== undefined && !(bytesPerSecond > 0 && bytesPerSecond < Infinity)) {
    return new InvalidWorld({ field: "bytesPerSecond", expected: "a number above 0", actual: bytesPerSecond })
  }
  for (
    const [field, bytes, min] of [
      ["segmentBytes", segmentBytes, 1],
      ["sendBufferBytes", sendBufferBytes, 1],
      ["receiveBufferBytes", receiveBufferBytes, 1]
    ] as const
  ) {
    if (!isCount(bytes, min)) {
      return new InvalidWorld({ field, expected: `an integer of at least ${min}`, actual: bytes })
    }
  }
  return { latency, bytesPerSecond, segmentBytes, sendBufferBytes, receiveBufferBytes }
}

const latencyOf = (latency: Latency): Settled | undefined => {
  const nanosOf = (input: Duration.Input) => {
    const duration = durationOf(input)
    return duration === undefined ? NaN : Math.round(Duration.toMillis(duration) * 1e6)
  }
  if (typeof latency === "object" && "uniform" in latency) {
    const [minNanos, maxNanos] = [nanosOf(latency.uniform[0]), nanosOf(latency.uniform[1])]
    return minNanos <= maxNanos ? { _tag: "uniform", minNanos, maxNanos } : undefined
  }
  if (typeof latency === "object" && "exponential" in latency) {
    const { mean, min = 0 } = latency.exponential
    const [minNanos, meanNanos] = [nanosOf(min), nanosOf(mean)]
    return minNanos <= meanNanos ? { _tag: "exponential", minNanos, meanNanos } : undefined
  }
  if (typeof latency === "object" && "longTail" in latency) {
    const { chance: tailProbability = 0.001, usual, worst } = latency.longTail
    const [minNanos, maxNanos, tailNanos] = [nanosOf(usual[0]), nanosOf(usual[1]), nanosOf(worst)]
    return minNanos <= maxNanos && maxNanos <= tailNanos && tailProbability >= 0 && tailProbability <= 1
      ? { _tag: "longTail", minNanos, maxNanos, tailNanos, tailProbability }
      : undefined
  }
  const nanos = nanosOf(latency as Duration.Input)
  return nanos >= 0 ? { _tag: "fixed", nanos } : undefined
}
