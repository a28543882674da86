/**
 * One side of a relay: an endpoint to connect to, or with `listen:` in front one to accept on.
 */
import * as Argument from "effect/cli/Argument"
import * as CliError from "effect/cli/CliError"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Endpoint from "../Endpoint.ts"
import type { Listener } from "../Listener.ts"
import { Network } from "../Network.ts"
import type { Transport } from "../Transport.ts"
import type { TransportError } from "../TransportError.ts"
import { type Letter, Report } from "./report.ts"

export interface Side {
  readonly listens: boolean
  readonly endpoint: Endpoint.Endpoint
}

const prefix = "listen:"

/** An argument that is a side. `must` says what it has to be, where not every side will do. */
export const argument = (
  name: string,
  description: string,
  must: "listen" | "any" = "any"
): Argument.Argument<Side> =>
  Argument.String(name).pipe(
    Argument.withDescription(description),
    Argument.withMetavar(must === "listen" ? "listen:ENDPOINT" : "[listen:]ENDPOINT"),
    Argument.mapEffect((text) => {
      const invalid = (expected: string) =>
        new CliError.InvalidValue({ option: name, value: text, expected, kind: "argument" })
      const listens = text.startsWith(prefix)
      if (must === "listen" && !listens) return Effect.fail(invalid(`${prefix} in front of an endpoint`))
      return Effect.mapBoth(Endpoint.parse(listens ? text.slice(prefix.length) : text), {
        onSuccess: (endpoint): Side => ({ listens, endpoint }),
        onFailure: ({ message }) => invalid(message)
      })
    })
  )

/** Where the connections of one side come from: each lives as long as the scope. */
export type Source = Effect.Effect<Transport, TransportError, Scope.Scope>

export const listen = Effect.fnUntraced(function*(
  letter: Letter,
  { endpoint }: Side
): Effect.fn.Return<Listener, TransportError, Network | Report | Scope.Scope> {
  const network = yield* Network
  const listener = yield* network.listen(endpoint)
  const report = yield* Report
  yield* report.say({ event: "listening", side: letter, endpoint: Endpoint.format(listener.endpoint) })
  return listener
})

/**
 * Starts to listen where the side says so; connects anew each time where it does not. A program that ends in order has been
 * closed before its scope, and what it did not want to read is no loss to warn of.
 */
export const open = (
  letter: Letter,
  side: Side
): Effect.Effect<Source, TransportError, Network | Report | Scope.Scope> =>
  side.listens
    ? Effect.map(listen(letter, side), ({ accept }) => accept)
    : Effect.map(Network, (network) =>
      network.connect(
        side.endpoint,
        side.endpoint._tag === "exec"
          ? { onScopeExit: () => "abort" }
          : undefined
      ))
