/**
 * Serial ports for tests: a null-modem cable in memory, with modem lines and with faults that a test makes happen.
 *
 * Both ends are opened by `Serial.open` over the binding of the cable, so the test talks to the program under test as a
 * device would. There is no time in it: bytes arrive at once, whatever the rate, and a receiver that does not read holds
 * the sender back. As on a real line, nothing tells an end, and where the two ends are set otherwise what arrives is
 * garbage. No finalizer here waits: see `TestTransport`.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Endpoint from "./Endpoint.ts"
import { CableEnd, CableGone } from "./internal/serialCable.ts"
import { count } from "./options.ts"
import * as Serial from "./Serial.ts"
import { type Device, type InputLines, SerialBinding } from "./SerialBinding.ts"
import type { TransportOptions } from "./Transport.ts"
import * as TransportError from "./TransportError.ts"

/**
 * One end of a cable, and the faults of what it sends. The names are those of the simulation's serial devices.
 *
 * @category models
 * @since 0.1.0
 */
export interface CableDevice {
  readonly path: string
  /** The next bytes that arrive from here are others, as after parity or framing errors. */
  readonly garble: (bytes: number) => Effect.Effect<void>
  /** The next bytes from here are lost, as by an overrun. */
  readonly lose: (bytes: number) => Effect.Effect<void>
  /** While the scope is open, all that arrives from here is garbage. */
  readonly garbage: Effect.Effect<void, never, Scope.Scope>
  /** While the scope is open nothing is sent from here: writes wait, as when the other end says stop. */
  readonly stall: Effect.Effect<void, never, Scope.Scope>
  /** Whoever has it open sees `Disconnected`, and a later open `NotFound`. To the other end it is silence. */
  readonly unplug: Effect.Effect<void>
  /** It is there again, to be opened. */
  readonly plug: Effect.Effect<void>
  /** While the scope is open, an open fails with `PermissionDenied`. */
  readonly deny: Effect.Effect<void, never, Scope.Scope>
  /** From now on this end sees these lines so, whatever the other end drives. */
  readonly see: (lines: Partial<InputLines>) => Effect.Effect<void>
}

/**
 * A null-modem cable: RTS of one end is CTS of the other, DTR is DSR and DCD. A break is read as a NUL byte.
 *
 * @category models
 * @since 0.1.0
 */
export interface Cable {
  readonly a: CableDevice
  readonly b: CableDevice
  /** Opens the two ends of this cable by their paths. */
  readonly binding: SerialBinding["Service"]
}

/**
 * What can be chosen for a cable.
 *
 * @category models
 * @since 0.1.0
 */
export interface CableOptions {
  /** Whether there are modem lines and breaks (the default); without them they are `Unsupported`, as on a pseudoterminal. */
  readonly hasLines?: boolean | undefined
}

/**
 * A new cable between two devices with these paths.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeCable = (a: string, b: string, options?: CableOptions): Effect.Effect<Cable> =>
  Effect.sync(() => {
    const ends = [new CableEnd(a), new CableEnd(b)] as const
    CableEnd.join(...ends)
    const hasLines = options?.hasLines ?? true
    return {
      a: deviceOf(ends[0]),
      b: deviceOf(ends[1]),
      binding: { open: (endpoint) => open(ends.find(({ path }) => path === endpoint.path), endpoint, hasLines) }
    }
  })

/**
 * Opens the ends of these cables.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (...cables: ReadonlyArray<Cable>): Layer.Layer<SerialBinding> =>
  Layer.succeed(SerialBinding, {
    open: (endpoint) => {
      const cable = cables.find(({ a, b }) => a.path === endpoint.path || b.path === endpoint.path)
      return cable === undefined ? open(undefined, endpoint, false) : cable.binding.open(endpoint)
    }
  })

/**
 * Opens the ends of a cable of its own.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerCable = (a: string, b: string, options?: CableOptions): Layer.Layer<SerialBinding> =>
  Layer.unwrap(Effect.map(makeCable(a, b, options), (cable) => layer(cable)))

/**
 * Both ends of a new cable, open at 115200 baud.
 *
 * @category constructors
 * @since 0.1.0
 */
export const pair = (
  options?: TransportOptions
): Effect.Effect<
  readonly [a: Serial.SerialPort, b: Serial.SerialPort],
  TransportError.TransportError,
  Scope.Scope
> =>
  Effect.flatMap(makeCable("a", "b"), (cable) =>
    Effect.all([
      Serial.open("serial:a?baudRate=115200", options),
      Serial.open("serial:b?baudRate=115200", options)
    ]).pipe(Effect.provideService(SerialBinding, cable.binding)))

const held = (take: () => void, release: () => void): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.sync(take), () => Effect.sync(release))

const deviceOf = (end: CableEnd): CableDevice => ({
  path: end.path,
  garble: (bytes) => Effect.sync(() => end.garble(count("bytes", 0, bytes))),
  lose: (bytes) => Effect.sync(() => end.lose(count("bytes", 0, bytes))),
  garbage: held(() => end.garbage(), () => end.ungarbage()),
  stall: held(() => end.stall(), () => end.unstall()),
  unplug: Effect.sync(() => end.unplug()),
  plug: Effect.sync(() => {
    end.isPlugged = true
  }),
  deny: held(() => end.denials++, () => end.denials--),
  see: (lines) => Effect.sync(() => end.force(lines))
})

/** Nobody is at the other end of a path that is not a cable's. */
const open = (
  end: CableEnd | undefined,
  endpoint: Endpoint.SerialEndpoint,
  hasLines: boolean
): Effect.Effect<Device, TransportError.TransportError, Scope.Scope> => {
  const name = Endpoint.format(endpoint)
  const fail = (reason: TransportError.Reason) => Effect.fail(TransportError.make("open", name, reason))
  const opening = Effect.suspend(() => {
    if (end === undefined || !end.isPlugged) return fail(new TransportError.NotFound({ what: endpoint.path }))
    if (end.denials > 0) return fail(new TransportError.PermissionDenied())
    if (end.settings !== undefined) return fail(new TransportError.Busy({ what: "device" }))
    const { baudRate, dataBits = 8, hupcl = true, parity = "none", stopBits = 1 } = endpoint
    const settings = { baudRate, character: `${dataBits} ${parity} ${stopBits}`, hangsUp: hupcl }
    end.open(settings)
    return Effect.succeed({ end, settings })
  })
  const lined = <A>(run: () => A): Effect.Effect<A, TransportError.TransportError> =>
    Effect.suspend(() =>
      hasLines
        ? Effect.sync(run)
        : Effect.fail(
          TransportError.make(
            "control",
            name,
            new TransportError.Unsupported({ feature: `a modem line of ${endpoint.path}` })
          )
        )
    )
  const opened = Effect.acquireRelease(opening, ({ end, settings }) => Effect.sync(() => end.close(settings)))
  return Effect.map(opened, ({ end, settings }): Device => ({
    wire: (port) => end.attach(port),
    reasonOf: (cause) =>
      cause instanceof CableGone
        ? new TransportError.Disconnected({ detail: cause.message })
        : new TransportError.Reset(),
    scopeExit: "now",
    drain: Effect.callback((resume) => {
      const cancel = end.onDrained(() => resume(Effect.void))
      return Effect.sync(cancel)
    }),
    discard: (direction) => Effect.sync(() => direction === "input" ? undefined : end.discardOutput()),
    setBaudRate: (baudRate) =>
      Effect.sync(() => {
        settings.baudRate = baudRate
      }),
    lines: lined(() => end.seen),
    setLines: (lines) => lined(() => end.setDriven(lines))
  }))
}
