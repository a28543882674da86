/**
 * What a law is, what it is held against, and what is needed to show that a law notices: the models of the kit.
 */
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Listener } from "../Listener.ts"
import type { Transport, TransportOptions } from "../Transport.ts"
import type { Reason, TransportError } from "../TransportError.ts"
import type { Bench } from "./bench.ts"

/**
 * A law was broken; `detail` says what was seen.
 *
 * @category errors
 * @since 0.1.0
 */
export class LawBroken extends Data.TaggedError("LawBroken")<{
  readonly detail: string
  /** What was thrown, where that broke the law. */
  readonly cause?: unknown
}> {
  override get message(): string {
    return this.detail
  }
}

/**
 * The two ends of one connection.
 *
 * @category models
 * @since 0.1.0
 */
export type Pair = readonly [a: Transport, b: Transport]

/**
 * A pair whose writes on both ends are blocked: nobody has read, and nothing more is taken. `junkOfA` bytes that `a`
 * wrote (all 0xEE) come out of `b` before anything else, and the other way round.
 *
 * @category models
 * @since 0.1.0
 */
export interface Clogged {
  readonly a: Transport
  readonly b: Transport
  readonly junkOfA: number
  readonly junkOfB: number
}

/**
 * What a transport can do. A law that needs what is not there is left out, and the list of laws says so.
 *
 * @category models
 * @since 0.1.0
 */
export interface Capabilities {
  /** One direction can end alone. */
  readonly halfClose: boolean
  /** The peer can tell an abort from an end. */
  readonly reset: boolean
  /**
   * The peer sees our end, of one direction or of all. Default true; on a serial line a close is silence to the other
   * side, and laws that read to the end are left out.
   */
  readonly peerEnd?: boolean | undefined
  /** `info` has addresses that mirror the peer's. Default false. */
  readonly addresses?: boolean | undefined
  /** It runs by Effect's `Clock` alone, so that the laws run under `TestClock`. Default false: real time. */
  readonly virtualTime?: boolean | undefined
  /** A write can complete before the peer reads. Default true; a lockstep pair cannot. */
  readonly buffers?: boolean | undefined
  /**
   * Another process passes the bytes on, which may stand still for any time and then go on by itself. Default false. Where it
   * is true, pairs are clogged by writes of 1 MiB, which has to be more than such a process takes.
   */
  readonly relayed?: boolean | undefined
}

/**
 * An open that has to fail.
 *
 * @category models
 * @since 0.1.0
 */
export interface FailingOpen {
  readonly name: string
  readonly open: Effect.Effect<unknown, TransportError, Scope.Scope>
  /** The reasons that are right. */
  readonly reasons: ReadonlyArray<Reason["_tag"]>
}

/**
 * What a law about listeners needs.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListenerSubject {
  /** Listens at an address of its own; on port 0, where there are ports. */
  readonly listen: (options?: TransportOptions) => Effect.Effect<Listener, TransportError, Scope.Scope>
  /** Listens again where this listener listened. */
  readonly listenAgain: (listener: Listener) => Effect.Effect<Listener, TransportError, Scope.Scope>
  /** Connects to the listener, or fails as connecting to a closed one does. */
  readonly connect: (
    listener: Listener,
    options?: TransportOptions
  ) => Effect.Effect<Transport, TransportError, Scope.Scope>
  /**
   * Makes a place where nobody answers and nobody refuses, and answers with what opens a connection to it: that never
   * completes until it is interrupted, or fails when its `connectTimeout` (milliseconds) passes. Leave it out where an
   * open cannot hang.
   */
  readonly blackHole?:
    | Effect.Effect<
      (
        options?: { readonly connectTimeout?: number | undefined }
      ) => Effect.Effect<unknown, TransportError, Scope.Scope>,
      TransportError,
      Scope.Scope
    >
    | undefined
  /**
   * Takes all descriptors from a listener that serves, in a process or a world of its own, while more connections come;
   * leaves it so for one second, and gives them back.
   */
  readonly exhaustion?: Effect.Effect<Exhaustion, TransportError, Scope.Scope> | undefined
}

/**
 * How a listener took the lack of descriptors.
 *
 * @category models
 * @since 0.1.0
 */
export interface Exhaustion {
  /** How many times it told of it in that second. 0 where the platform keeps it to itself. */
  readonly warnings: number
  /** The share of a processor that it used in that second, from 0 to 1. */
  readonly busy: number
  /** Whether a connection that came afterwards was served. */
  readonly servedAfterwards: boolean
}

/**
 * The transport that is judged.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subject {
  /** Makes a connected pair. Both ends live in the scope. The options go to both. */
  readonly pair: (options?: TransportOptions) => Effect.Effect<Pair, TransportError, Scope.Scope>
  /** Makes a pair that is clogged; without it the kit clogs a pair itself. */
  readonly clogged?: ((options?: TransportOptions) => Effect.Effect<Clogged, TransportError, Scope.Scope>) | undefined
  readonly failingOpens?: ReadonlyArray<FailingOpen> | undefined
  readonly listener?: ListenerSubject | undefined
  /** What is held now: one line for each handle, timer or listener. Laws compare it before and after. */
  readonly resources?: Effect.Effect<ReadonlyArray<string>> | undefined
  readonly capabilities: Capabilities
}

/**
 * What a law needs of its subject.
 *
 * @category models
 * @since 0.1.0
 */
export type Need =
  | "halfClose"
  | "noHalfClose"
  | "reset"
  | "peerEnd"
  | "addresses"
  | "buffers"
  | "failingOpens"
  | "listener"
  | "resources"

/** Whether the subject has what a law needs. */
export const has = (subject: Subject, need: Need): boolean => {
  switch (need) {
    case "halfClose":
    case "reset":
      return subject.capabilities[need]
    case "noHalfClose":
      return !subject.capabilities.halfClose
    case "peerEnd":
      return subject.capabilities.peerEnd !== false
    case "addresses":
      return subject.capabilities.addresses === true
    case "buffers":
      return subject.capabilities.buffers !== false
    default:
      return subject[need] !== undefined
  }
}

/**
 * A law with its test.
 *
 * @category models
 * @since 0.1.0
 */
export interface Law {
  /** As in the catalogue of laws. */
  readonly number: number
  readonly title: string
  readonly needs?: ReadonlyArray<Need> | undefined
  /** Where the test counts lower than the catalogue: what, and why. */
  readonly lowered?: string | undefined
  readonly test: (bench: Bench) => Effect.Effect<void, LawBroken | TransportError, Scope.Scope>
}

/**
 * A transport that is broken on purpose, so that one law has something to catch.
 *
 * @category models
 * @since 0.1.0
 */
export interface Specimen {
  /** The law that catches it. */
  readonly law: number
  /** What it does wrong. */
  readonly fault: string
  /** The other laws that it cannot help breaking, each with the reason. */
  readonly alsoBreaks?: Readonly<Record<number, string>> | undefined
  readonly subject: Subject
}
