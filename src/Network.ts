/**
 * The seam at which real, scripted and simulated connections swap: the service that connects and listens.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Check, Endpoint } from "./Endpoint.ts"
import type { Listener } from "./Listener.ts"
import type { Of, TransportOptions } from "./Transport.ts"
import type { TransportError } from "./TransportError.ts"

/**
 * Connects to endpoints and listens on them.
 *
 * **Details**
 *
 * `connect` completes when the connection is open; interrupted, or when its scope ends first, the attempt is given up
 * and nothing is left of it. `listen` completes when the address is bound; its listener is closed with the scope. An
 * option or endpoint that is wrong is refused before anything is opened.
 *
 * @category services
 * @since 0.1.0
 */
export class Network extends Context.Service<Network, {
  readonly connect: <const E extends Endpoint | string>(
    endpoint: Check<E>,
    options?: TransportOptions
  ) => Effect.Effect<Of<E>, TransportError, Scope.Scope>
  readonly listen: <const E extends Endpoint | string>(
    endpoint: Check<E>,
    options?: TransportOptions
  ) => Effect.Effect<Listener<Of<E>>, TransportError, Scope.Scope>
}>()("effect-transport/Network") {}
