/** What the laws say of our transports on their way through a socket of Effect and back. */
import { Effect } from "effect"
import { EffectSocket, Endpoint, type Transport } from "effect-transport"
import type { TransportLaws } from "effect-transport/testing"
import { transportLaws } from "effect-transport/vitest"
import { subjects } from "../support/subjects.ts"

const throughSocket = (subject: TransportLaws.Subject): TransportLaws.Subject => {
  const isVirtual = subject.capabilities.virtualTime === true
  const through = (transport: Transport.Transport, options?: Transport.TransportOptions) =>
    EffectSocket.fromSocket(EffectSocket.toSocket(transport), Endpoint.format(transport.info.endpoint), {
      ...options,
      // No clock moves by itself, and memory has no need to linger.
      ...(isVirtual && { linger: { duration: 0 }, scopeExit: "now" }),
      // A socket does not tell it.
      info: transport.info
    })
  return {
    pair: (options) =>
      Effect.flatMap(subject.pair(options), ([a, b]) => Effect.all([through(a, options), through(b, options)])),
    resources: subject.resources,
    capabilities: subject.capabilities
  }
}

for (const name of ["memory", "lockstep", "tcp4", "unix"]) {
  transportLaws(`${name}, to a socket and back`, throughSocket(subjects[name]!))
}
