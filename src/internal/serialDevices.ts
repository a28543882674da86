/**
 * Finds the device under the transport of a serial port.
 *
 * As with `underneath`, no copy of the transport has one: whoever wraps it, to look on or to change something, is never
 * bypassed.
 */
import type { Device } from "../SerialBinding.ts"
import type { Transport } from "../Transport.ts"

export const serialDevices = new WeakMap<Transport, Device>()
