/**
 * The door of `stdio:`, the descriptors 0 and 1 of this process as one connection.
 *
 * `process.stdin` and `process.stdout` are not in it: they hide errors and ends, and know nothing of backpressure.
 */
import type * as Endpoint from "../../Endpoint.ts"
import { type Door, noListening } from "../door.ts"
import { connectDescriptors } from "./descriptors.ts"

export const stdioDoor: Door<Endpoint.StdioEndpoint> = {
  connect: (machine, endpoint, options) => connectDescriptors(machine, endpoint, { read: 0, write: 1 }, options),
  listen: noListening
}
