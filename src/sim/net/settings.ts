/** What a link is like, complete and in whole numbers. */
export type Latency =
  | { readonly _tag: "fixed"; readonly nanos: number }
  | { readonly _tag: "uniform"; readonly minNanos: number; readonly maxNanos: number }
  | { readonly _tag: "exponential"; readonly minNanos: number; readonly meanNanos: number }
  | {
    readonly _tag: "longTail"
    readonly minNanos: number
    readonly maxNanos: number
    readonly tailNanos: number
    readonly tailProbability: number
  }

export interface LinkSettings {
  readonly latency: Latency
  /** The most that is added to it. */
  readonly jitterNanos: number
  /** Nothing for a line without a limit. */
  readonly bytesPerSecond: number | undefined
  /** The most that travels in one piece. */
  readonly segmentBytes: number
  /** What each end's system keeps of what is to be sent. */
  readonly sendBufferBytes: number
  /** What each end's system keeps of what has arrived. */
  readonly receiveBufferBytes: number
}
