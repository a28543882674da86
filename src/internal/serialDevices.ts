/**
 * Finds the device under the transport of a serial port.
 *
 * As with `underneath`, no copy of the transport has one: whoever wraps it, to look on or to change something, is never
 * bypassed.
 */

const devices = new WeakMap<object, object>()

/** To be said once, when the transport is made. */
export const setDeviceUnder = (transport: object, device: object): void => void devices.set(transport, device)

/** The caller knows the type of the devices: there is one for all serial ports. */
export const deviceUnder = <Device extends object>(transport: object): Device | undefined =>
  devices.get(transport) as Device | undefined
