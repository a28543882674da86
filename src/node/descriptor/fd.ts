/**
 * The door of `fd:`, descriptors that this process was given or has opened.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Fs from "node:fs"
import * as Endpoint from "../../Endpoint.ts"
import * as TransportError from "../../TransportError.ts"
import { type Door, noListening } from "../door.ts"
import { connectDescriptors } from "./descriptors.ts"

export const fdDoor: Door<Endpoint.FdEndpoint> = {
  connect: (machine, endpoint, options) =>
    Effect.andThen(checkAccess(endpoint), connectDescriptors(machine, endpoint, endpoint, options)),
  listen: noListening
}

/** The bits of `fcntl`'s access mode, and what they allow. */
const accessModes = [["read"], ["write"], ["read", "write"], []] as const

/** Node would find out with the first byte. What is not open at all is for whoever opens it to say. */
const checkAccess = (endpoint: Endpoint.FdEndpoint): Effect.Effect<void, TransportError.TransportError> =>
  Effect.suspend(() => {
    for (const direction of ["read", "write"] as const) {
      const fd = endpoint[direction]
      if (fd === undefined || accessOf(fd).includes(direction)) continue
      const feature = direction === "read" ? `reading from descriptor ${fd}` : `writing to descriptor ${fd}`
      return Effect.fail(
        TransportError.make("open", Endpoint.format(endpoint), new TransportError.Unsupported({ feature }))
      )
    }
    return Effect.void
  })

/** Linux alone says it; elsewhere both are taken for allowed. */
const accessOf = (fd: number): ReadonlyArray<"read" | "write"> => {
  try {
    const [, flags = ""] = /^flags:\s*([0-7]+)/m.exec(Fs.readFileSync(`/proc/self/fdinfo/${fd}`, "latin1")) ?? []
    return accessModes[Number.parseInt(flags, 8) & 3] ?? []
  } catch (cause) {
    if (!Predicate.hasProperty(cause, "code")) throw cause
    return ["read", "write"]
  }
}
