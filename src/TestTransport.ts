/**
 * Transports for tests: in memory, without a clock, under the same laws as the real ones.
 *
 * `pair` has bounded buffers as a socket has; `lockstepPair` has none at all, so that a write completes only when the
 * peer has pulled all of it, which flushes out bugs that buffers hide; `layerNetwork` is a whole network of memory
 * endpoints; `layerScript` is a peer that follows a script. No finalizer here waits: a scope that ends flushes what fits
 * and aborts with a warning if that was not all. An explicit `close` waits, by the `Clock` at hand.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Endpoint from "./Endpoint.ts"
import { concat } from "./internal/bytes.ts"
import { MemoryWire } from "./internal/memory.ts"
import * as Listener from "./Listener.ts"
import { Network } from "./Network.ts"
import * as Transport from "./Transport.ts"
import * as TransportError from "./TransportError.ts"
import * as Wire from "./Wire.ts"

/**
 * Two connected transports, each with bounded buffers: `readMark` bytes of input and the marks of writing.
 *
 * @category constructors
 * @since 0.1.0
 */
export const pair = (
  options?: Transport.TransportOptions
): Effect.Effect<
  readonly [a: Transport.HalfCloseableTransport, b: Transport.HalfCloseableTransport],
  TransportError.TransportError,
  Scope.Scope
> => Effect.flatMap(resolve(options, "memory:pair"), (resolved) => connectPair("pair", resolved, undefined))

/**
 * Two connected transports with no buffer at all: a write completes when the peer has pulled the last byte of it, and
 * nothing is read ahead.
 *
 * @category constructors
 * @since 0.1.0
 */
export const lockstepPair = (
  options?: Omit<Transport.TransportOptions, "highWaterMark" | "lowWaterMark" | "readMark">
): Effect.Effect<
  readonly [a: Transport.HalfCloseableTransport, b: Transport.HalfCloseableTransport],
  TransportError.TransportError,
  Scope.Scope
> =>
  Effect.flatMap(
    resolve({ ...options, highWaterMark: 0, lowWaterMark: 0, readMark: 0 }, "memory:lockstep"),
    (resolved) => connectPair("lockstep", resolved, 0)
  )

/**
 * A network of memory endpoints (`memory:name`), closed to the outside. A name nobody listens on is `Refused`, one that
 * is taken is `Busy`, and other kinds of endpoint are `Unsupported`. Each layer built is a network of its own.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNetwork: Layer.Layer<Network> = Layer.effect(Network, Effect.sync(() => makeNetwork()))

/**
 * One step of a scripted peer.
 *
 * @category models
 * @since 0.1.0
 */
export type Step =
  | { readonly _tag: "expect"; readonly bytes: Uint8Array }
  | { readonly _tag: "expectEnd" }
  | { readonly _tag: "send"; readonly bytes: Uint8Array }
  | { readonly _tag: "wait"; readonly millis: number }
  | { readonly _tag: "halfClose" }
  | { readonly _tag: "reset" }
  | { readonly _tag: "oneOf"; readonly scripts: ReadonlyArray<ReadonlyArray<Step>> }

/**
 * The program under test did not do what the script expects, or left it unfinished. A defect: it fails the test whatever
 * the program catches.
 *
 * @category errors
 * @since 0.1.0
 */
export class ScriptFailed extends Data.TaggedError("ScriptFailed")<{
  /** Which step, counted from 1; inside an alternative, of that alternative. */
  readonly step: number
  readonly expected: string
  readonly actual: string
}> {
  override get message(): string {
    return `step ${this.step} of the script expected ${this.expected}, and got ${this.actual}`
  }
}

/**
 * The peer expects exactly these bytes next, however they are cut.
 *
 * @category constructors
 * @since 0.1.0
 */
export const expect = (bytes: Uint8Array | string): Step => ({ _tag: "expect", bytes: toBytes(bytes) })

/**
 * The peer expects our end, and no byte before it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const expectEnd: Step = { _tag: "expectEnd" }

/**
 * The peer sends these bytes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const send = (bytes: Uint8Array | string): Step => ({ _tag: "send", bytes: toBytes(bytes) })

/**
 * The peer does nothing for so many milliseconds of the `Clock` at hand.
 *
 * @category constructors
 * @since 0.1.0
 */
export const wait = (millis: number): Step => ({ _tag: "wait", millis })

/**
 * The peer ends its direction.
 *
 * @category constructors
 * @since 0.1.0
 */
export const halfClose: Step = { _tag: "halfClose" }

/**
 * The peer resets the connection. Nothing can follow.
 *
 * @category constructors
 * @since 0.1.0
 */
export const reset: Step = { _tag: "reset" }

/**
 * The peer follows the first of these scripts whose beginning fits what arrives. Each begins with `expect` or
 * `expectEnd`; one that is a beginning of another comes after it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const oneOf = (...scripts: ReadonlyArray<ReadonlyArray<Step>>): Step => ({ _tag: "oneOf", scripts })

/**
 * Provides a connection whose peer follows a script.
 *
 * **Details**
 *
 * The program must carry the script to its end: when the layer's scope ends and the script is not finished, or when
 * something else arrives than the script expects, the scope dies with `ScriptFailed`, which names the step. Bytes that
 * arrive after the last step fail it too.
 *
 * **Example** (Testing a client against a scripted server)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Lines, Connection, Protocol, TestTransport, Transport } from "effect-transport"
 *
 * const greet = Effect.gen(function*() {
 *   const transport = yield* Transport.Transport
 *   const lines = yield* Protocol.attach(Lines.protocol(), transport)
 *   yield* lines.write("hello")
 *   return yield* Connection.take(lines)
 * })
 *
 * const script = [TestTransport.expect("hello\n"), TestTransport.send("wel"), TestTransport.send("come\n")]
 *
 * await Effect.runPromise(greet.pipe(
 *   Effect.scoped,
 *   Effect.provide(TestTransport.layerScript(script))
 * )) // => "welcome"
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerScript = (
  script: ReadonlyArray<Step>,
  options?: Transport.TransportOptions
): Layer.Layer<
  Transport.TransportService | Transport.HalfCloseableTransportService,
  TransportError.TransportError
> => Transport.layerFrom(connectScript(script, options))

/**
 * A connection whose peer follows a script: what `layerScript` provides.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connectScript = (
  script: ReadonlyArray<Step>,
  options?: Transport.TransportOptions
): Effect.Effect<Transport.HalfCloseableTransport, TransportError.TransportError, Scope.Scope> =>
  Effect.gen(function*() {
    const resolved = yield* resolve(options, "memory:script")
    const peerOptions = yield* resolve(undefined, "memory:script")
    yield* checkScript(script)
    const player: Player = { step: script[0], number: 1, fiber: undefined }
    // The order of their release: our end closes, as the script may expect; the script is judged; the peer is let go.
    const peerScope = yield* Scope.fork(yield* Effect.scope)
    // The options are the program's: a peer that followed them too could end what the script has yet to send.
    const [peer, wireOfPeer] = yield* Scope.provide(end("script", 2, peerOptions, undefined), peerScope)
    yield* Effect.addFinalizer((exit) => finishScript(player, exit))
    const [transport, wire] = yield* end("script", 1, resolved, undefined)
    MemoryWire.join(wire, wireOfPeer)
    player.fiber = yield* Effect.forkDetach(play(player, script, peer))
    return transport
  })

// ---------------------------------------------------------------------------------------------------------------------
// Pairs and networks
// ---------------------------------------------------------------------------------------------------------------------

type MemoryTransport = Transport.HalfCloseableTransport

const resolve = (options: Transport.TransportOptions | undefined, endpoint: string) =>
  Wire.resolveOptions(options, { operation: "open", endpoint })

/** `wire` is handed out by `open`, so that the two ends can be joined when both are there. */
const end = (
  name: string,
  id: number,
  options: Wire.ResolvedOptions,
  copyMax: number | undefined
): Effect.Effect<readonly [MemoryTransport, MemoryWire], never, Scope.Scope> =>
  Effect.suspend(() => {
    let wire!: MemoryWire
    return Effect.map(
      Wire.toTransport((port) => wire = new MemoryWire(port), {
        info: { id, endpoint: { _tag: "memory", name }, local: Option.none(), peer: Option.none() },
        options,
        scopeExit: "now",
        copyMax
      }),
      (transport) => [transport, wire] as const
    )
  })

const connectPair = (name: string, options: Wire.ResolvedOptions, copyMax: number | undefined) =>
  Effect.gen(function*() {
    const [a, wireOfA] = yield* end(name, 1, options, copyMax)
    const [b, wireOfB] = yield* end(name, 2, options, copyMax)
    MemoryWire.join(wireOfA, wireOfB)
    return [a, b] as const
  })

/** How many connections of memory may wait to be accepted. */
const backlogMax = 128

const makeNetwork = (): Network["Service"] => {
  /** What takes the client's end of a new connection, by name. */
  const listening = new Map<string, (wire: MemoryWire) => boolean>()
  let id = 0

  const prepare = Effect.fnUntraced(function*(
    operation: "open" | "listen",
    input: Endpoint.Endpoint | string,
    options: Transport.TransportOptions | undefined
  ) {
    const endpoint = yield* Effect.mapError(
      Endpoint.from(input),
      (reason) => TransportError.make(operation, Endpoint.describe(input), reason)
    )
    const name = Endpoint.format(endpoint)
    const fail = (reason: TransportError.Reason) => Effect.fail(TransportError.make(operation, name, reason))
    if (endpoint._tag !== "memory") {
      return yield* fail(new TransportError.Unsupported({ feature: `${endpoint._tag} in a network of memory` }))
    }
    const resolved = yield* Wire.resolveOptions(options, { operation, endpoint: name })
    return { endpoint, resolved, fail }
  })

  const connect = Effect.fnUntraced(function*(
    input: Endpoint.Endpoint | string,
    options?: Transport.TransportOptions
  ) {
    const { endpoint, fail, resolved } = yield* prepare("open", input, options)
    const offer = listening.get(endpoint.name)
    if (offer === undefined) return yield* fail(new TransportError.Refused())
    const [transport, wire] = yield* end(endpoint.name, ++id, resolved, undefined)
    if (!offer(wire)) wire.reject()
    return transport
  })

  const listen = Effect.fnUntraced(function*(
    input: Endpoint.Endpoint | string,
    options?: Transport.TransportOptions
  ) {
    const { endpoint, fail, resolved } = yield* prepare("listen", input, options)
    if (listening.has(endpoint.name)) return yield* fail(new TransportError.Busy({ what: "address" }))
    return yield* Listener.make<MemoryWire, MemoryTransport>({
      endpoint,
      backlogMax,
      open: ({ offer }) => {
        listening.set(endpoint.name, offer)
        return () => listening.delete(endpoint.name)
      },
      accept: (client) =>
        Effect.map(end(endpoint.name, ++id, resolved, undefined), ([transport, wire]) => {
          MemoryWire.join(client, wire)
          return transport
        }),
      reject: (wire) => wire.reject(),
      reasonOf: () => new TransportError.Failed()
    })
  })

  return Network.of({ connect, listen } as unknown as Network["Service"])
}

// ---------------------------------------------------------------------------------------------------------------------
// Scripts
// ---------------------------------------------------------------------------------------------------------------------

const toBytes = (bytes: Uint8Array | string): Uint8Array =>
  typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes

/** Where the script is. */
interface Player {
  step: Step | undefined
  number: number
  fiber: Fiber.Fiber<void, ScriptFailed> | undefined
}

const checkScript = (script: ReadonlyArray<Step>): Effect.Effect<void, TransportError.TransportError> => {
  const refuse = (field: string, expected: string, actual: unknown) =>
    Effect.fail(
      TransportError.make("open", "memory:script", new TransportError.InvalidOption({ field, expected, actual }))
    )
  for (let i = 0; i < script.length; i++) {
    const step = script[i]!
    const field = `script[${i}]`
    if (step._tag === "reset" && i < script.length - 1) return refuse(field, "the last step", "reset")
    if (step._tag === "wait" && !(step.millis >= 0 && step.millis < Infinity)) {
      return refuse(field, "a wait of zero or more milliseconds", step.millis)
    }
    if (step._tag !== "oneOf") continue
    for (const alternative of step.scripts) {
      const first = alternative[0]?._tag
      if (first !== "expect" && first !== "expectEnd") {
        return refuse(field, "alternatives that begin with expect or expectEnd", first)
      }
    }
  }
  return Effect.forEach(
    script.filter((step) => step._tag === "oneOf").flatMap((step) => step.scripts),
    checkScript,
    { discard: true }
  )
}

const play = (player: Player, script: ReadonlyArray<Step>, peer: MemoryTransport): Effect.Effect<void, ScriptFailed> =>
  Effect.scoped(Effect.gen(function*() {
    const reader = yield* Effect.orDie(peer.reader)
    let arrived: Uint8Array = new Uint8Array(0)
    let ended = false

    const failed = (actual: string) =>
      new ScriptFailed({ step: player.number, expected: describe(player.step), actual })

    /** Waits for more input, or for the end. A connection that the program aborted counts as ended. */
    const more = Pull.matchEffect(reader.pull, {
      onSuccess: (chunks) =>
        Effect.sync(() => {
          arrived = concat([arrived, ...chunks])
        }),
      onDone: () => Effect.sync(() => ended = true),
      onFailure: () => Effect.sync(() => ended = true)
    })

    /** Whether the step fits what has arrived; undefined while that cannot be said. */
    const fits = (step: Step | undefined): boolean | undefined => {
      if (step?._tag === "expectEnd") return arrived.length > 0 ? false : ended ? true : undefined
      if (step?._tag !== "expect") return true
      const bytes = Math.min(step.bytes.length, arrived.length)
      for (let i = 0; i < bytes; i++) if (step.bytes[i] !== arrived[i]) return false
      return bytes === step.bytes.length ? true : ended ? false : undefined
    }

    const follow = (steps: ReadonlyArray<Step>): Effect.Effect<void, ScriptFailed | TransportError.TransportError> =>
      Effect.gen(function*() {
        for (let i = 0; i < steps.length; i++) {
          const step = player.step = steps[i]!
          player.number = i + 1
          switch (step._tag) {
            case "expect":
            case "expectEnd": {
              while (fits(step) === undefined) yield* more
              if (!fits(step)) return yield* failed(ended && arrived.length === 0 ? "the end" : quote(arrived))
              if (step._tag === "expect") arrived = arrived.slice(step.bytes.length)
              break
            }
            case "oneOf": {
              // An alternative is chosen when those before it can no longer fit.
              let chosen: ReadonlyArray<Step> | undefined
              while (chosen === undefined) {
                const open = step.scripts.filter((alternative) => fits(alternative[0]) !== false)
                if (open.length === 0) return yield* failed(quote(arrived))
                if (fits(open[0]![0])) chosen = open[0]
                else yield* more
              }
              yield* follow(chosen)
              break
            }
            case "send":
              yield* peer.write(step.bytes)
              break
            case "wait":
              yield* Effect.sleep(step.millis)
              break
            case "halfClose":
              yield* peer.halfClose
              break
            case "reset":
              yield* peer.abort
          }
        }
      })

    yield* Effect.mapError(follow(script), (error) => error._tag === "ScriptFailed" ? error : failed(error.message))
    player.step = undefined
    player.number = script.length + 1
    while (!ended && arrived.length === 0) yield* more
    if (arrived.length > 0) return yield* failed(quote(arrived))
    return undefined
  })).pipe(Effect.tapError(() => peer.abort))

const finishScript = (player: Player, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { fiber } = player
    // The program's end was never made.
    if (fiber === undefined) return
    // The peer is woken as bytes and ends move, so all that it can still do is to take its turn.
    for (let turn = 0; turn < 16 && fiber.pollUnsafe() === undefined; turn++) yield* Effect.yieldNow
    const finished = fiber.pollUnsafe()
    yield* Fiber.interrupt(fiber)
    if (finished !== undefined && Exit.isFailure(finished)) {
      return yield* Effect.failCause(Cause.die(Cause.squash(finished.cause)))
    }
    if (finished === undefined && player.step !== undefined && Exit.isSuccess(exit)) {
      return yield* Effect.die(
        new ScriptFailed({ step: player.number, expected: describe(player.step), actual: "the end of the program" })
      )
    }
  })

const describe = (step: Step | undefined): string => {
  if (step === undefined) return "nothing more"
  switch (step._tag) {
    case "expect":
      return quote(step.bytes)
    case "expectEnd":
      return "the end"
    case "oneOf":
      return `one of ${step.scripts.map((script) => describe(script[0])).join(", ")}`
    default:
      return `to get as far as ${step._tag}`
  }
}

const quote = (bytes: Uint8Array): string => {
  const shown = JSON.stringify(new TextDecoder("latin1").decode(bytes.subarray(0, 64)))
  return bytes.length > 64 ? `${shown} and ${bytes.length - 64} bytes more` : shown
}
