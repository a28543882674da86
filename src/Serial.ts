/**
 * A serial port with all that it has beside its bytes: modem lines, break, flushing, draining, and its rate.
 *
 * The bytes are a transport like any other, without half-close and without an end: to the other side a close is silence.
 * A program that needs nothing but bytes opens `serial:` through its `Network` and does not need this module; one that was
 * given its transport so has the rest by `portOf`. Everything here goes through `SerialBinding`, so what was tested over
 * `TestSerial` runs on a device.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as Endpoint from "./Endpoint.ts"
import { durationOf, isCount } from "./internal/check.ts"
import { deviceUnder } from "./internal/serialDevices.ts"
import { underneath } from "./internal/underneath.ts"
import { Network } from "./Network.ts"
import * as Bindings from "./SerialBinding.ts"
import { type Device, type Direction, type InputLines, type OutputLines, SerialBinding } from "./SerialBinding.ts"
import type { Transport, TransportOptions } from "./Transport.ts"
import * as TransportError from "./TransportError.ts"
import * as Wire from "./Wire.ts"

type Fallible<A> = Effect.Effect<A, TransportError.TransportError>

/**
 * A serial port that is open.
 *
 * **Details**
 *
 * What is done to the port fails with the operation `control`: `Unsupported` where the device has no such thing,
 * `Disconnected` when it is gone, `Closed` after the end of its transport. Any number of fibers may use it at once; lines
 * and break are set one after another. An interruption waits for a call of the operating system that is under way, except
 * in `drain`.
 *
 * @category models
 * @since 0.1.0
 */
export interface SerialPort {
  /** The bytes. Its end is the port's. */
  readonly transport: Transport
  /** The lines that the other end drives, as they are now. */
  readonly lines: Fallible<InputLines>
  /** Sets the lines that are given; the others, and a break that is held, stay as they are. */
  readonly setLines: (lines: Partial<OutputLines>) => Fallible<void>
  /**
   * The lines that the other end drives: first as they are, then whenever a look finds them changed. No platform tells by
   * itself, so they are looked at every `period` (default 100 milliseconds, from 1 millisecond to 1 minute): what comes and
   * goes between two looks is not seen. Nobody looks while nobody pulls, and nothing is queued. It fails at the end of the
   * port.
   */
  readonly changes: (
    options?: { readonly period?: Duration.Input | undefined }
  ) => Stream.Stream<InputLines, TransportError.TransportError>
  /** Holds the line low while the scope is open. Several holders count; the last one to go ends the break. */
  readonly holdBreak: Effect.Effect<void, TransportError.TransportError, Scope.Scope>
  /** Holds the line low for so long. Interrupted, it ends the break at once. */
  readonly sendBreak: (duration: Duration.Input) => Fallible<void>
  /**
   * Discards input that nobody has read, in the operating system and in the transport; output that the operating system
   * has taken and not sent; or both. What writers have queued in the transport goes out all the same: `transport.abort`
   * drops that too.
   */
  readonly flush: (direction: Direction) => Fallible<void>
  /**
   * Waits until all that was written before is on the line: through the transport, the operating system and the device.
   * Fails with `TimedOut` in `flush` after `within` (default 5 seconds, as long as a close may flush). A device that is told
   * to stop by flow control never gets there.
   */
  readonly drain: (options?: { readonly within?: Duration.Input | undefined }) => Fallible<void>
  /**
   * Changes the rate, after what was written before has gone out at the old one, as by `drain`. `info.endpoint` keeps the
   * rate of the open. Input that arrives in that very moment may be lost: the peer changes its rate, too.
   */
  readonly setBaudRate: (
    baudRate: number,
    options?: { readonly within?: Duration.Input | undefined }
  ) => Fallible<void>
}

/**
 * Opens a serial port.
 *
 * **Details**
 *
 * The scope decides its end, as that of every transport: see `Transport.layer`. A close flushes, drains for what is left
 * of `closeTimeout`, and lets go; an abort discards what has not been sent. The kernel may take its time to close a UART
 * that cannot send (30 seconds on Linux); the scope waits for it. Fails as `SerialBinding` says, and with `InvalidOption`
 * for an endpoint or option that is wrong, before the device is touched.
 *
 * **Example** (Talking to a device over a cable in memory)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Serial, TestSerial, Transport } from "effect-transport"
 *
 * const program = Effect.gen(function*() {
 *   const port = yield* Serial.open("serial:///dev/ttyUSB0?baudRate=115200")
 *   yield* port.setLines({ rts: false })
 *   yield* port.transport.write(new TextEncoder().encode("hi"))
 *
 *   const device = yield* Serial.open("serial:///dev/device?baudRate=115200")
 *   const { cts } = yield* device.lines
 *   const bytes = yield* Transport.readExactly(device.transport, 2)
 *   return { cts, text: new TextDecoder().decode(bytes) }
 * })
 *
 * await Effect.runPromise(program.pipe(
 *   Effect.scoped,
 *   Effect.provide(TestSerial.layerCable("/dev/ttyUSB0", "/dev/device"))
 * )) // => { cts: false, text: "hi" }
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const open = (
  endpoint: Endpoint.SerialEndpoint | string,
  options?: TransportOptions
): Effect.Effect<SerialPort, TransportError.TransportError, SerialBinding | Scope.Scope> =>
  Effect.flatMap(
    SerialBinding,
    (binding) => Effect.flatMap(connect(binding, () => 1, endpoint, options), ({ transport }) => portOf(transport))
  )

/**
 * The port whose bytes this transport carries: for programs that are given their transport, by a `Network`, by
 * `Transport.layer` or by `SerialDevice`, and want its lines as well.
 *
 * **Details**
 *
 * There is one port for a transport, whoever asks and how often: lines that were set, and breaks that are held, are the
 * same for all. Fails with `Unsupported` for any other transport; one that wraps the transport of a port is another.
 *
 * **Example** (Raising and dropping DTR of a device that is waited for)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Serial, Transport } from "effect-transport"
 * import { NodeTransport, SerialDevice, SerialPorts } from "effect-transport/node"
 *
 * const conversation = Effect.gen(function*() {
 *   const port = yield* Serial.portOf(yield* Transport.Transport)
 *   yield* port.setLines({ dtr: false })
 *   yield* Effect.sleep("100 millis")
 *   yield* port.setLines({ dtr: true })
 *   return yield* Transport.readExactly(port.transport, 16)
 * })
 *
 * conversation.pipe(
 *   SerialDevice.keepConnected({ vendorId: "2341" }),
 *   Effect.provide([NodeTransport.layerNetwork, SerialPorts.layer])
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const portOf = (transport: Transport): Effect.Effect<SerialPort, TransportError.TransportError> =>
  Effect.suspend(() => {
    const device = deviceUnder<Device>(transport)
    if (device === undefined) {
      const reason = new TransportError.Unsupported({ feature: "a serial port under this transport" })
      return Effect.fail(TransportError.make("control", Endpoint.format(transport.info.endpoint), reason))
    }
    let port = ports.get(transport)
    if (port === undefined) ports.set(transport, port = makePort(device, transport))
    return Effect.succeed(port)
  })

const ports = new WeakMap<Transport, SerialPort>()

/**
 * A network of serial ports alone: other kinds of endpoint are `Unsupported`, and so is listening. For programs that open
 * a `Transport.layer("serial:…")` and are tested over `TestSerial`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNetwork: Layer.Layer<Network, never, SerialBinding> = Layer.effect(
  Network,
  Effect.map(SerialBinding, (binding) => {
    let id = 0
    const nextId = () => ++id
    return Network.of(
      {
        connect: (endpoint: Endpoint.Endpoint | string, options?: TransportOptions) =>
          Effect.map(connect(binding, nextId, endpoint, options), ({ transport }) => transport),
        listen: (endpoint: Endpoint.Endpoint | string) =>
          Effect.fail(
            TransportError.make(
              "listen",
              typeof endpoint === "string" ? endpoint : Endpoint.format(endpoint),
              new TransportError.Unsupported({ feature: "listening in a network of serial ports" })
            )
          )
      } as unknown as Network["Service"]
    )
  })
)

const connect = Effect.fnUntraced(function*(
  binding: SerialBinding["Service"],
  nextId: () => number,
  input: Endpoint.Endpoint | string,
  given: TransportOptions | undefined
) {
  const endpoint = yield* Effect.mapError(
    Endpoint.from(input),
    (reason) => TransportError.make("open", Endpoint.describe(input), reason)
  )
  const name = Endpoint.format(endpoint)
  if (endpoint._tag !== "serial") {
    const reason = new TransportError.Unsupported({ feature: `${endpoint._tag} as a serial port` })
    return yield* TransportError.make("open", name, reason)
  }
  const options = yield* Wire.resolveOptions(given, { operation: "open", endpoint: name })
  return yield* Bindings.connect(binding, { nextId, endpoint, options })
})

/** The longest and the shortest time between two looks at the lines, in milliseconds. */
const [periodMin, periodMax] = [1, 60_000]

const makePort = (device: Device, transport: Transport): SerialPort => {
  const name = Endpoint.format(transport.info.endpoint)
  const under = underneath<TransportError.TransportError>(transport)!
  const { duplex } = under
  const refuse = (field: string, expected: string, actual: unknown) =>
    Effect.fail(TransportError.invalidOption("control", name, { field, expected, actual }))

  /** Not after the end of the transport, when the device may be somebody else's; and what met that end says so. */
  const live = <A>(control: Fallible<A>): Fallible<A> =>
    Effect.andThen(endedOr(Effect.void), Effect.catch(control, (error) => endedOr(Effect.fail(error))))

  const endedOr = <A>(otherwise: Fallible<A>): Fallible<A> =>
    Effect.suspend(() => {
      const fault = duplex.writeFault
      return fault === undefined ? otherwise : Effect.fail(under.errorOf("control", fault))
    })

  /** Fails when the transport has ended. */
  const ended = Effect.andThen(Effect.exit(transport.closed), endedOr(Effect.never))

  /** An abort ends it, too. */
  const drained = Effect.andThen(live(device.drain), endedOr(Effect.void))

  // Lines and break

  const one = Semaphore.makeUnsafe(1).withPermits(1)
  let output: OutputLines = { dtr: true, rts: true }
  let breaks = 0

  /** All at once, since a device is told all of them each time. What it refused is not remembered. */
  const setAll = (lines: OutputLines, holders: number): Fallible<void> =>
    Effect.uninterruptible(Effect.map(live(device.setLines({ ...lines, break: holders > 0 })), () => {
      output = lines
      breaks = holders
    }))

  const setLines: SerialPort["setLines"] = (lines) => {
    if (typeof lines !== "object" || lines === null) return refuse("lines", "an object of lines", lines)
    for (const [line, value] of Object.entries(lines)) {
      if (line !== "dtr" && line !== "rts") return refuse(`lines.${line}`, "absent (the lines are dtr and rts)", value)
      if (typeof value !== "boolean") return refuse(`lines.${line}`, "true or false", value)
    }
    return one(Effect.suspend(() => setAll({ ...output, ...lines }, breaks)))
  }

  const holdBreak = Effect.acquireRelease(
    one(Effect.suspend(() => setAll(output, breaks + 1))),
    () =>
      one(Effect.suspend(() => setAll(output, breaks - 1))).pipe(Effect.catch((error) => {
        breaks--
        // A port that has ended holds no line.
        return duplex.writeFault === undefined
          ? Effect.logWarning(`a break was not ended: ${error.message}`)
          : Effect.void
      }))
  )

  const lines = live(device.lines)

  const changes: SerialPort["changes"] = (options) =>
    Stream.fromPull(Effect.suspend(() => {
      const period = durationOf(options?.period ?? "100 millis")
      if (period === undefined || Duration.toMillis(period) < periodMin || Duration.toMillis(period) > periodMax) {
        return refuse("period", "from 1 millisecond to 1 minute", options?.period)
      }
      let last: InputLines | undefined
      const look: Pull.Pull<readonly [InputLines], TransportError.TransportError> = Effect.flatMap(lines, (now) => {
        if (last !== undefined && isSame(last, now)) return Effect.andThen(Effect.sleep(period), look)
        last = now
        return Effect.succeed([now] as const)
      })
      let isFirst = true
      return Effect.succeed(Effect.suspend(() => {
        if (!isFirst) return Effect.andThen(Effect.sleep(period), look)
        isFirst = false
        return look
      }))
    }))

  const sendBreak: SerialPort["sendBreak"] = (duration) => {
    const time = durationOf(duration)
    return time === undefined
      ? refuse("duration", "a finite duration", duration)
      : Effect.scoped(Effect.andThen(holdBreak, Effect.sleep(time)))
  }

  // Bytes

  const flush: SerialPort["flush"] = (direction) => {
    if (direction !== "input" && direction !== "output" && direction !== "both") {
      return refuse("direction", "\"input\", \"output\" or \"both\"", direction)
    }
    return Effect.uninterruptible(Effect.map(live(device.discard(direction)), () => {
      if (direction !== "output") duplex.discardInput()
    }))
  }

  const drain: SerialPort["drain"] = (options) => {
    const within = durationOf(options?.within ?? "5 seconds")
    return within === undefined
      ? refuse("within", "a finite duration", options?.within)
      : Effect.andThen(transport.flush, Effect.raceFirst(drained, ended)).pipe(Effect.timeoutOrElse({
        duration: within,
        orElse: () => Effect.fail(TransportError.make("control", name, new TransportError.TimedOut({ phase: "flush" })))
      }))
  }

  const setBaudRate: SerialPort["setBaudRate"] = (baudRate, options) =>
    isCount(baudRate, 1)
      ? Effect.andThen(drain(options), Effect.uninterruptible(live(device.setBaudRate(baudRate))))
      : refuse("baudRate", "an integer above 0", baudRate)

  return { transport, lines, setLines, changes, holdBreak, sendBreak, flush, drain, setBaudRate }
}

const isSame = (one: InputLines, other: InputLines): boolean =>
  one.cts === other.cts && one.dsr === other.dsr && one.dcd === other.dcd
