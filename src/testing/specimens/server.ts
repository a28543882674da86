/**
 * Broken on purpose, for laws 95 to 97.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Listener from "../../Listener.ts"
import type * as Transport from "../../Transport.ts"
import type { TransportError } from "../../TransportError.ts"
import type { Specimen } from "../law.ts"
import { soundSubject } from "../sound.ts"
import { listenerOf } from "../soundListener.ts"

export const serverSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 95,
    fault: "of several who wait to accept only the last is remembered, and what the others are given is lost",
    subject: soundSubject({
      listener: listenerOf({
        listener: (listener) =>
          Effect.sync(() => {
            let last: object | undefined
            const accept = Effect.suspend(() => {
              const waiter = last = {}
              return Effect.flatMap(
                listener.accept,
                (server) => waiter === last ? Effect.succeed(server) : Effect.never
              )
            })
            return { ...listener, accept }
          })
      })
    })
  },
  {
    law: 95,
    fault: "a listener on a free port says that it is on port 0",
    subject: soundSubject({
      listener: listenerOf({
        listener: (listener) => Effect.succeed({ ...listener, endpoint: { _tag: "tcp", host: "127.0.0.1", port: 0 } })
      })
    })
  },
  {
    law: 96,
    fault: "a listener that closes takes the connections with it that it accepted",
    subject: soundSubject({
      listener: listenerOf({
        listener: (listener) =>
          Effect.gen(function*() {
            const accepted: Array<Transport.Transport> = []
            yield* Effect.addFinalizer(() => Effect.forEach(accepted, (server) => server.abort))
            return {
              ...listener,
              accept: Effect.tap(listener.accept, (server) => Effect.sync(() => accepted.push(server)))
            }
          })
      })
    })
  },
  {
    law: 97,
    fault: "a handler that fails ends the serving, and all other handlers with it",
    subject: soundSubject({
      listener: listenerOf({
        listener: (listener) => Effect.succeed({ ...listener, serve: fragileServe(listener) })
      })
    })
  },
  {
    law: 97,
    fault: "a listener without descriptors tries again at once, again and again",
    subject: soundSubject({
      listener: listenerOf({
        listener: (listener) => Effect.succeed({ ...listener, serve: restlessServe(listener) })
      })
    })
  }
]

const fragileServe = (listener: Listener.Listener): Listener.Listener["serve"] => (handler, options) =>
  Effect.flatMap(Deferred.make<never, TransportError>(), (failed) =>
    Effect.raceFirst(
      listener.serve(
        (server) => Effect.tapCause(handler(server), (cause) => Deferred.failCause(failed, cause as never)),
        options
      ),
      Deferred.await(failed)
    ))

const restlessServe = (listener: Listener.Listener): Listener.Listener["serve"] => (handler, options) =>
  Effect.clockWith((clock) =>
    Effect.provideService(
      listener.serve(handler, options),
      Clock.Clock,
      Object.assign(Object.create(clock), { sleep: () => Effect.yieldNow })
    )
  )
