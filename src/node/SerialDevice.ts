/**
 * A serial device, known by what it is and not by its path: waited for, opened, and found again after a re-plug.
 *
 * A transport that died stays dead, as every transport does. So `connect` and `layer` give one connection;
 * `keepConnected` runs a conversation anew on each, and `make` keeps a driver for whoever has something to ask of it. They
 * open by the `Network` at hand and find by `SerialPorts`, so that the same program runs against a simulated device.
 * `Serial.portOf` has the modem lines and all else of the port whose transport they give.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Endpoint from "../Endpoint.ts"
import { Network } from "../Network.ts"
import * as Transport from "../Transport.ts"
import * as TransportError from "../TransportError.ts"
import * as Wire from "../Wire.ts"
import * as SerialPorts from "./SerialPorts.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * How the port is set, as in the endpoint of a serial port: what is not given has its default.
 *
 * @category models
 * @since 0.1.0
 */
export type Settings = Partial<Omit<Endpoint.SerialEndpoint, "_tag" | "path">>

/**
 * How a device is opened.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectOptions {
  readonly settings?: Settings | undefined
  readonly transport?: Transport.TransportOptions | undefined
  /**
   * When to try again where the device is there and does not open: `NotFound`, `PermissionDenied`, `Busy` and
   * `Disconnected`. Default every 100 milliseconds, 20 times: udev takes up to about two seconds after a plug to say who
   * may open the file. When it ends, the last error is the result.
   */
  readonly opening?: Schedule.Schedule<unknown, TransportError.TransportError> | undefined
}

/**
 * How a device is kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeepOptions extends ConnectOptions {
  /**
   * When to look for the device again after the connection was lost; its input is the error. Default half a second, so
   * that a device which dies of being opened is not opened all the time. It may be there by then or years later: waiting
   * for it takes no step of the schedule. When it ends, the last error is the result.
   */
  readonly schedule?: Schedule.Schedule<unknown, TransportError.TransportError> | undefined
}

/**
 * A driver whose device may come and go.
 *
 * @category models
 * @since 0.1.0
 */
export interface SerialDevice<out Driver, out E> {
  /**
   * Asks something of the driver there is, and waits for one where there is none. Where the connection is lost under
   * way, it fails with that loss at once and is not repeated: whether the device heard of it, nobody knows. Several may
   * ask at once, if the driver lets them.
   */
  readonly use: <A, E2, R>(
    ask: (driver: Driver) => Effect.Effect<A, E2, R>
  ) => Effect.Effect<A, E | E2 | TransportError.TransportError, R>
}

// ---------------------------------------------------------------------------------------------------------------------
// Constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Waits for the device and opens it.
 *
 * **Details**
 *
 * Waits without end for a port that fits; interrupted, it leaves nothing behind. Each try looks for it anew, so that a
 * device may change its path meanwhile. Wrong options and filters fail at once, before anything is waited for; a filter
 * that fits several ports fails when it does.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connect = Effect.fnUntraced(function*(
  filter: SerialPorts.PortFilter,
  options?: ConnectOptions
): Effect.fn.Return<
  Transport.Transport,
  TransportError.TransportError,
  SerialPorts.SerialPorts | Network | Scope.Scope
> {
  const endpointAt = yield* checkOptions(options)
  const network = yield* Network
  const attempt = Effect.flatMap(
    SerialPorts.wait(filter),
    ({ path }): Effect.Effect<Transport.Transport, TransportError.TransportError, Scope.Scope> =>
      network.connect(endpointAt(path), options?.transport)
  )
  return yield* Effect.retry(attempt, {
    while: ({ reason }) => mayPass.has(reason._tag),
    schedule: options?.opening ?? openingByDefault
  })
})

const openingByDefault = Schedule.upTo(Schedule.spaced("100 millis"), { times: 20 })

/** What a device that was just plugged in may fail with before it opens. */
const mayPass: ReadonlySet<TransportError.Reason["_tag"]> = new Set([
  "NotFound",
  "PermissionDenied",
  "Busy",
  "Disconnected"
])

const checkOptions = (
  options: ConnectOptions | undefined
): Effect.Effect<(path: string) => Endpoint.SerialEndpoint, TransportError.TransportError> =>
  Effect.gen(function*() {
    const wrong = { operation: "open", endpoint: "serial:" } as const
    const path = "any"
    // Decoding puts in what is not given.
    const given = { _tag: "serial", path, ...options?.settings } as Endpoint.SerialEndpoint
    const endpoint = yield* Effect.mapError(
      Endpoint.from(given),
      (reason) => TransportError.make(wrong.operation, wrong.endpoint, reason)
    )
    yield* Wire.resolveOptions(options?.transport, wrong)
    return (path) => ({ ...endpoint as Endpoint.SerialEndpoint, path })
  })

/**
 * Keeps a driver on the device: made anew for each connection, for as long as the scope is open.
 *
 * **When to use**
 *
 * Use it for a service that outlives its device, with users that come and go. `keepConnected` is for a program that is
 * one conversation.
 *
 * **Details**
 *
 * `driver` is run in a scope of its own for each connection, which ends when that is lost. Where it fails otherwise than
 * by the loss, or the schedule ends, no more connections are made, and every `use` fails with that error. When the scope
 * ends, whoever waits fails with `Closed` by `scope`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Driver, E, R>(
  filter: SerialPorts.PortFilter,
  driver: Effect.Effect<Driver, E, R>,
  options?: KeepOptions
): Effect.Effect<
  SerialDevice<Driver, E>,
  never,
  SerialPorts.SerialPorts | Network | Scope.Scope | Exclude<Exclude<R, Transport.TransportService>, Scope.Scope>
> =>
  Effect.gen(function*() {
    interface Present {
      readonly driver: Driver
      readonly transport: Transport.Transport
    }
    let present = Deferred.makeUnsafe<Present, E | TransportError.TransportError>()

    const keeping = Effect.gen(function*() {
      const transport = yield* Transport.Transport
      const made = yield* driver
      yield* Effect.addFinalizer(() => Effect.sync(() => present = Deferred.makeUnsafe()))
      yield* Deferred.succeed(present, { driver: made, transport })
      return yield* Effect.never
    }).pipe(
      keepConnected(filter, options),
      Effect.onExit((exit) => Deferred.failCause(present, causeOf(exit)))
    )
    // Its failure is told to whoever asks.
    yield* Effect.forkScoped(Effect.ignoreCause(keeping))
    return {
      use: (ask) =>
        Effect.flatMap(
          Effect.suspend(() => Deferred.await(present)),
          ({ driver, transport }) => Effect.raceFirst(ask(driver), Effect.andThen(transport.closed, Effect.never))
        )
    }
  })

/** Who waits is not the one that is interrupted. */
const causeOf = <E>(exit: Exit.Exit<unknown, E>): Cause.Cause<E | TransportError.TransportError> =>
  Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)
    ? exit.cause
    : Cause.fail(TransportError.make("open", "serial:", new TransportError.Closed({ by: "scope" })))

// ---------------------------------------------------------------------------------------------------------------------
// Layers
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Provides one connection to the device, as `connect` makes it: the layer is built when it is open.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  filter: SerialPorts.PortFilter,
  options?: ConnectOptions
): Layer.Layer<Transport.TransportService, TransportError.TransportError, SerialPorts.SerialPorts | Network> =>
  Transport.layerFrom(connect(filter, options))

// ---------------------------------------------------------------------------------------------------------------------
// Combinators
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Provides the device to a conversation, and begins the conversation again with a new connection when the device was
 * unplugged and is there again.
 *
 * **Details**
 *
 * Lost is a connection that ends with `Disconnected` or `Reset`, whether the conversation fails with it or is in the
 * midst of something else: then it is interrupted. Its scope ends with the connection. It begins from its beginning, and
 * nothing is sent again by itself. Any other outcome is the result: a success, an error of its own, an error of another
 * connection.
 *
 * **Example** (A reading from a device that may be unplugged)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Connection, Lines, Protocol, Transport } from "effect-transport"
 * import { NodeTransport, SerialDevice, SerialPorts } from "effect-transport/node"
 *
 * const readings = Effect.gen(function*() {
 *   const lines = yield* Protocol.attach(Lines.protocol(), yield* Transport.Transport)
 *   yield* Connection.forEach(lines, (batch) => Effect.log(...batch))
 * })
 *
 * readings.pipe(
 *   SerialDevice.keepConnected({ vendorId: "0403", serialNumber: "A50285BI" }, { settings: { baudRate: 115200 } }),
 *   Effect.provide([NodeTransport.layerNetwork, SerialPorts.layer])
 * )
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const keepConnected = (filter: SerialPorts.PortFilter, options?: KeepOptions) =>
<A, E, R>(
  conversation: Effect.Effect<A, E, R>
): Effect.Effect<
  A,
  E | TransportError.TransportError,
  SerialPorts.SerialPorts | Network | Exclude<Exclude<R, Transport.TransportService>, Scope.Scope>
> => {
  const once = Effect.suspend(() => {
    let opened: Transport.Transport | undefined
    const conversing = Effect.gen(function*() {
      const transport = opened = yield* connect(filter, options)
      const lost = Effect.catch(
        transport.closed,
        (error) => isLoss(transport, error) ? Effect.fail(error) : Effect.void
      )
      return yield* Effect.raceFirst(
        Effect.provideService(conversation, Transport.Transport, transport),
        Effect.andThen(lost, Effect.never)
      )
    })
    return Effect.flatMap(Effect.exit(Effect.scoped(conversing)), (exit) => {
      const loss = opened === undefined || Exit.isSuccess(exit) ? undefined : lossIn(opened, exit.cause)
      return loss === undefined ? Effect.succeed(exit) : Effect.fail(loss)
    })
  })
  // What is no loss is a success up to here: the schedule has nothing to do with it.
  return Effect.flatten(Effect.retry(once, options?.schedule ?? Schedule.spaced("500 millis")))
}

const lossIn = (
  transport: Transport.Transport,
  cause: Cause.Cause<unknown>
): TransportError.TransportError | undefined => {
  if (Cause.hasDies(cause)) return undefined
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  return error instanceof TransportError.TransportError && isLoss(transport, error) ? error : undefined
}

/** A conversation may hold other connections, which are its own affair. */
const isLoss = (transport: Transport.Transport, { endpoint, reason }: TransportError.TransportError): boolean =>
  (reason._tag === "Disconnected" || reason._tag === "Reset") && endpoint === Endpoint.format(transport.info.endpoint)
