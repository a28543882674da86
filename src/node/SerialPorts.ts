/**
 * The serial ports that are there, and the one that is meant: found by vendor, product and serial number, since its path
 * is another after each plug.
 *
 * `list` looks once and `watch` goes on looking; `find` and `wait` pick the one port that fits a filter, and never one of
 * two. Nothing here opens a port: `SerialDevice` does.
 */
import * as Arr from "effect/Array"
import * as Channel from "effect/Channel"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { durationOf } from "../internal/check.ts"
import * as TransportError from "../TransportError.ts"
import { fieldsOf, type PortInfo, usbId, usbIdPattern } from "./serial/portInfo.ts"
import { filesChanged, listPorts } from "./serial/portList.ts"

export { port, type PortFields, type PortInfo } from "./serial/portInfo.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Models
// ---------------------------------------------------------------------------------------------------------------------

const UsbId = Schema.String.check(Schema.isPattern(usbIdPattern))

/**
 * The schema of a filter.
 *
 * @category models
 * @since 0.1.0
 */
export const PortFilter = Schema.Struct({
  path: Schema.optional(Schema.NonEmptyString),
  manufacturer: Schema.optional(Schema.NonEmptyString),
  vendorId: Schema.optional(UsbId),
  productId: Schema.optional(UsbId),
  serialNumber: Schema.optional(Schema.NonEmptyString),
  pnpId: Schema.optional(Schema.NonEmptyString),
  locationId: Schema.optional(Schema.NonEmptyString)
}).annotate({ identifier: "PortFilter" })

/**
 * Which port is meant: each field that is given has to be the port's, and at least one is given.
 *
 * **Details**
 *
 * Ids are hex in any case, with or without `0x` and leading zeros. Everything else is compared as it is. Vendor, product
 * and serial number tell a device from all others. Of two without a serial number `locationId` tells which socket; of the
 * ports of one device `pnpId` tells which.
 *
 * @category models
 * @since 0.1.0
 */
export type PortFilter = typeof PortFilter.Type

/**
 * What became of a port between one look and the next. `Changed` is another device under the same path, or the same of
 * which more is known.
 *
 * @category models
 * @since 0.1.0
 */
export type PortChange =
  | { readonly _tag: "Added" | "Removed"; readonly port: PortInfo }
  | { readonly _tag: "Changed"; readonly port: PortInfo; readonly before: PortInfo }

// ---------------------------------------------------------------------------------------------------------------------
// Services
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The serial ports that are there.
 *
 * @category services
 * @since 0.1.0
 */
export class SerialPorts extends Context.Service<SerialPorts, {
  /** One look, in the order of their paths. No ports are an empty list. */
  readonly list: Effect.Effect<ReadonlyArray<PortInfo>, TransportError.TransportError>
  /**
   * The list now, and again each time it is another. Nothing is queued: who is slow sees the latest. Each stream looks by
   * itself, and only while it is pulled. A look that fails ends it.
   */
  readonly watch: Stream.Stream<ReadonlyArray<PortInfo>, TransportError.TransportError>
}>()("effect-transport/node/SerialPorts") {}

/**
 * How a list of ports is had.
 *
 * @category models
 * @since 0.1.0
 */
export interface MakeOptions {
  readonly list: Effect.Effect<ReadonlyArray<PortInfo>, TransportError.TransportError>
  /**
   * Begins to look out for changes. The effect that it gives completes when there may have been any since it last
   * completed, or since the beginning. Default: never, so that only the interval counts.
   */
  readonly watching?: Effect.Effect<Effect.Effect<void>, never, Scope.Scope> | undefined
  /**
   * How long until the next look where nothing was heard of. Default one second: a person who plugs a device in waits no
   * longer, and a look costs one or two milliseconds.
   */
  readonly interval?: Duration.Input | undefined
}

/**
 * The service, of a way to list ports. Throws `InvalidOption` where `interval` is no finite time above zero.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = ({ interval = "1 second", list, watching }: MakeOptions): SerialPorts["Service"] => {
  const pause = durationOf(interval)
  if (pause === undefined || Duration.isZero(pause)) {
    throw new TransportError.InvalidOption({
      field: "interval",
      expected: "a finite time above zero",
      actual: interval
    })
  }
  const sorted = Effect.map(list, (ports) => ports.toSorted((a, b) => inOrder.compare(a.path, b.path)))
  return SerialPorts.of({
    list: sorted,
    watch: Stream.fromChannel(Channel.fromTransform((_, scope) =>
      // Before the first look, so that nothing is missed between the two.
      Effect.map(Scope.provide(watching ?? Effect.succeed(Effect.never), scope), (changed) => {
        let last: ReadonlyArray<PortInfo> | undefined
        return Effect.gen(function*() {
          while (true) {
            if (last !== undefined) yield* Effect.timeoutOption(changed, pause)
            const ports = yield* sorted
            if (last !== undefined && Equal.equals(ports, last)) continue
            last = ports
            return Arr.of(ports)
          }
        })
      })
    ))
  })
}

/** `ttyUSB10` after `ttyUSB9`, whatever the language of the machine. */
const inOrder = new Intl.Collator("en", { numeric: true })

// ---------------------------------------------------------------------------------------------------------------------
// Layers
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The ports of this machine.
 *
 * **Details**
 *
 * On Linux they are read from `/sys` and `/dev`, with no package and no other program; elsewhere by the package
 * `serialport`, and where that is missing a look fails with `Unsupported`. `watch` looks when a file comes or goes in
 * `/dev`, and once a second in any case. Listed is what there is, also what one may not open; ptys are not listed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<SerialPorts> = Layer.sync(
  SerialPorts,
  () => make({ list: listPorts, watching: filesChanged("/dev") })
)

/**
 * Ports that are there because a test says so: to plug and to unplug is to set the value.
 *
 * **Example** (Plugging a device in)
 *
 * ```ts import.meta.vitest
 * import { Effect, Fiber, SubscriptionRef } from "effect"
 * import { SerialPorts } from "effect-transport/node"
 *
 * const program = Effect.gen(function*() {
 *   const ports = yield* SubscriptionRef.make<ReadonlyArray<SerialPorts.PortInfo>>([])
 *   const waiting = yield* SerialPorts.wait({ vendorId: "0x0403", serialNumber: "A1" }).pipe(
 *     Effect.provide(SerialPorts.layerTest(ports)),
 *     Effect.forkChild
 *   )
 *   const device = SerialPorts.port({ path: "/dev/ttyUSB3", vendorId: "0403", serialNumber: "A1" })
 *   yield* SubscriptionRef.set(ports, [device])
 *   return (yield* Fiber.join(waiting)).path
 * })
 *
 * await Effect.runPromise(program) // => "/dev/ttyUSB3"
 * ```
 *
 * @category testing
 * @since 0.1.0
 */
export const layerTest = (
  ports: SubscriptionRef.SubscriptionRef<ReadonlyArray<PortInfo>>
): Layer.Layer<SerialPorts> =>
  Layer.succeed(SerialPorts, {
    list: SubscriptionRef.get(ports),
    watch: Stream.changes(SubscriptionRef.changes(ports))
  })

// ---------------------------------------------------------------------------------------------------------------------
// Combinators
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The port that is meant.
 *
 * **Details**
 *
 * Fails with `NotFound` where there is none, and with `InvalidOption` for a filter that is malformed, names nothing, or
 * fits several ports: it names them.
 *
 * @category combinators
 * @since 0.1.0
 */
export const find = Effect.fnUntraced(function*(
  filter: PortFilter
): Effect.fn.Return<PortInfo, TransportError.TransportError, SerialPorts> {
  const wanted = yield* check(filter)
  const { list } = yield* SerialPorts
  return yield* orNotFound(wanted, yield* pick(wanted, yield* list))
})

/**
 * The port that is meant, as soon as it is there.
 *
 * **Details**
 *
 * Waits without end; interrupted, it leaves nothing behind. A port that comes while the list is read is not missed. Fails
 * as `find` does, but for `NotFound`: that is what it waits out.
 *
 * @category combinators
 * @since 0.1.0
 */
export const wait = Effect.fnUntraced(function*(
  filter: PortFilter
): Effect.fn.Return<PortInfo, TransportError.TransportError, SerialPorts> {
  const wanted = yield* check(filter)
  const { watch } = yield* SerialPorts
  const found = yield* watch.pipe(
    Stream.mapEffect((ports) => pick(wanted, ports)),
    Stream.filter(Option.isSome),
    Stream.runHead
  )
  return yield* orNotFound(wanted, Option.flatten(found))
})

/**
 * Each port that comes or goes; first those that are there.
 *
 * @category combinators
 * @since 0.1.0
 */
export const changes: Stream.Stream<PortChange, TransportError.TransportError, SerialPorts> = Stream.unwrap(
  Effect.map(SerialPorts, ({ watch }) =>
    Stream.mapAccum(
      watch,
      (): ReadonlyArray<PortInfo> => [],
      (before, now) => [now, changesBetween(before, now)]
    ))
)

const changesBetween = (before: ReadonlyArray<PortInfo>, now: ReadonlyArray<PortInfo>): ReadonlyArray<PortChange> => {
  const find = (ports: ReadonlyArray<PortInfo>, { path }: PortInfo) => ports.find((port) => port.path === path)
  return [
    ...before.flatMap((port): ReadonlyArray<PortChange> =>
      find(now, port) === undefined ? [{ _tag: "Removed", port }] : []
    ),
    ...now.flatMap((port): ReadonlyArray<PortChange> => {
      const old = find(before, port)
      if (old === undefined) return [{ _tag: "Added", port }]
      return Equal.equals(old, port) ? [] : [{ _tag: "Changed", port, before: old }]
    })
  ]
}

// ---------------------------------------------------------------------------------------------------------------------
// Filters
// ---------------------------------------------------------------------------------------------------------------------

/** A filter that has been checked. */
interface Wanted {
  readonly filter: PortFilter
  /** What errors call the port. */
  readonly name: string
}

const firstPath = SchemaIssue.makeFormatterStandardSchemaV1()

const fields = Object.keys(PortFilter.fields).join(", ")

const expectedOf = (field: string | undefined): string => {
  if (field === undefined) return `an object with at least one of ${fields}`
  if (field === "vendorId" || field === "productId") return "a USB id of up to four hex digits, as 0403 or 0x0403"
  return Object.hasOwn(PortFilter.fields, field) ? "a text that is not empty" : `absent (a filter has ${fields})`
}

const check = (input: PortFilter): Effect.Effect<Wanted, TransportError.TransportError> => {
  const refuse = (field: string | undefined, actual: unknown) =>
    Effect.fail(TransportError.invalidOption("open", "serial:?", {
      field: field === undefined ? "filter" : `filter.${field}`,
      expected: expectedOf(field),
      actual
    }))
  // A misspelt field would let every device pass.
  const decoded = Schema.decodeUnknownResult(PortFilter, { onExcessProperty: "error" })(input)
  if (Result.isFailure(decoded)) {
    const field = firstPath(decoded.failure.issue).issues[0]?.path?.[0]
    return field === undefined
      ? refuse(undefined, input)
      : refuse(String(field), (input as Record<PropertyKey, unknown>)[field as PropertyKey])
  }
  const given = Object.entries(decoded.success).filter(([, value]) => value !== undefined)
  return given.length === 0
    ? refuse(undefined, "one with no field")
    : Effect.succeed({
      filter: decoded.success,
      name: `serial:?${given.map(([field, value]) => `${field}=${value}`).join("&")}`
    })
}

const fits = (filter: PortFilter, port: PortInfo): boolean => {
  const known: Readonly<Record<string, string | undefined>> = fieldsOf(port)
  return Object.entries(filter).every(([field, value]) =>
    value === undefined || known[field] === (field === "vendorId" || field === "productId" ? usbId(value) : value)
  )
}

/** The one port that fits, if any. Of several none is the right one. */
const pick = (
  { filter, name }: Wanted,
  ports: ReadonlyArray<PortInfo>
): Effect.Effect<Option.Option<PortInfo>, TransportError.TransportError> => {
  const [first, ...others] = ports.filter((port) => fits(filter, port))
  if (first === undefined) return Effect.succeedNone
  if (others.length === 0) return Effect.succeedSome(first)
  return Effect.fail(TransportError.invalidOption("open", name, {
    field: "filter",
    expected: `one that fits a single port (it fits ${[first, ...others].map(({ path }) => path).join(", ")})`,
    actual: name
  }))
}

const orNotFound = (
  { name }: Wanted,
  found: Option.Option<PortInfo>
): Effect.Effect<PortInfo, TransportError.TransportError> =>
  Option.isSome(found)
    ? Effect.succeed(found.value)
    : Effect.fail(TransportError.make("open", name, new TransportError.NotFound({ what: "a port that fits" })))
