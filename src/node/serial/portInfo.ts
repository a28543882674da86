/**
 * What is known of a serial port before it is opened.
 */
import * as Option from "effect/Option"

/**
 * A serial port of this machine. Of one that is on no bus that names its devices, only the path is known.
 *
 * @category models
 * @since 0.1.0
 */
export interface PortInfo {
  /** What one opens: `/dev/ttyUSB0`, `COM3`. A device that is plugged in again may get another. */
  readonly path: string
  readonly manufacturer: Option.Option<string>
  /** Of the USB vendor: four hex digits in lower case. */
  readonly vendorId: Option.Option<string>
  /** Of the vendor's product: four hex digits in lower case. */
  readonly productId: Option.Option<string>
  /** Many cheap adapters have none, or all the same. */
  readonly serialNumber: Option.Option<string>
  /** The operating system's own name for the device: on Linux that in `/dev/serial/by-id`, which udev makes. */
  readonly pnpId: Option.Option<string>
  /** The socket it is plugged into: on Linux the bus and the hub's ports, as `1-1.4`. */
  readonly locationId: Option.Option<string>
}

/** Everything but the path. */
const facts = ["manufacturer", "vendorId", "productId", "serialNumber", "pnpId", "locationId"] as const

/**
 * What may be said of a port, by its field.
 *
 * @category models
 * @since 0.1.0
 */
export type PortFields = { readonly path: string } & { readonly [K in (typeof facts)[number]]?: string | undefined }

/**
 * A port of what is known of it. Ids may be written in any of the usual ways: `0403`, `0x0403`, `403`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const port = ({ path, ...known }: PortFields): PortInfo => ({
  path,
  manufacturer: factOf(known.manufacturer),
  vendorId: Option.map(factOf(known.vendorId), usbId),
  productId: Option.map(factOf(known.productId), usbId),
  serialNumber: factOf(known.serialNumber),
  pnpId: factOf(known.pnpId),
  locationId: factOf(known.locationId)
})

/** What is known of a port, by field, without what is not. */
export const fieldsOf = (port: PortInfo): PortFields => ({
  path: port.path,
  ...Object.fromEntries(facts.flatMap((fact) => Option.toArray(port[fact]).map((value) => [fact, value])))
})

/** A device that has nothing to say says it with an empty string. */
const factOf = (value: string | undefined): Option.Option<string> => value ? Option.some(value) : Option.none()

/** A USB id as people write it. */
export const usbIdPattern = /^(0x)?[0-9a-f]{1,4}$/i

/** A USB id as `PortInfo` has it. What is none stays as it is. */
export const usbId = (text: string): string =>
  usbIdPattern.test(text) ? text.toLowerCase().replace(/^0x/, "").padStart(4, "0") : text
