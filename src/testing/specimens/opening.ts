/**
 * Broken on purpose, for laws 1 to 5.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Transport from "../../Transport.ts"
import { type Reason, Refused, TimedOut, TransportError } from "../../TransportError.ts"
import type { Specimen } from "../law.ts"
import { brokenSubject, soundSubject } from "../sound.ts"
import { listenerOf } from "../soundListener.ts"

const sound = soundSubject()

const at = (address: string, port: number) => Option.some(NetAddress.inetAddressFromNativeUnsafe(address, port))

/** What the open of the specimen for law 2 leaves behind. */
const timers: Array<string> = []

export const openingSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 1,
    fault: "the accepting end gives the address that the listener is bound to as its own",
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        info: transport.info.id === 1
          ? { ...transport.info, local: at("127.0.0.1", 50_000), peer: at("127.0.0.1", 7000) }
          : { ...transport.info, local: at("0.0.0.0", 7000), peer: at("127.0.0.1", 50_000) }
      })
    }, { capabilities: { ...sound.capabilities, addresses: true } })
  },
  {
    law: 2,
    fault: "an open that is refused leaves the timer of its time limit running",
    alsoBreaks: { 83: "it too looks for what opens that fail leave behind" },
    subject: soundSubject({
      failingOpens: [{
        name: "a port that nobody listens on",
        open: Effect.suspend(() => {
          timers.push("a time limit of 30 seconds")
          return Effect.fail(openFailure(new Refused()))
        }),
        reasons: ["Refused"]
      }],
      resources: Effect.map(sound.resources!, (held) => [...held, ...timers])
    })
  },
  {
    law: 3,
    fault: "the caller's scope owns a connection only once it is open, so that an interrupted open leaves one behind",
    subject: soundSubject({
      listener: listenerOf({
        connect: (connect) =>
          Effect.gen(function*() {
            const scope = yield* Scope.make()
            const opening = yield* Effect.forkDetach(Scope.provide(connect, scope))
            const transport = yield* Fiber.join(opening)
            yield* Effect.addFinalizer((exit) => Scope.close(scope, exit))
            return transport
          })
      })
    })
  },
  {
    law: 3,
    fault: "a time limit of zero is taken for none",
    subject: soundSubject({
      listener: {
        ...listenerOf(),
        blackHole: Effect.succeed((options) =>
          options?.connectTimeout
            ? Effect.timeoutOrElse(Effect.never, {
              duration: options.connectTimeout,
              orElse: () => Effect.fail(openFailure(new TimedOut({ phase: "connect" })))
            })
            : Effect.never
        )
      }
    })
  },
  {
    law: 4,
    fault: "what a client sent before it was accepted is lost",
    subject: soundSubject({
      listener: listenerOf({
        listener: (listener) =>
          Effect.succeed({
            ...listener,
            accept: Effect.tap(listener.accept, (server) =>
              Effect.flatMap(server.buffered, ({ reading }) =>
                reading === 0 ? Effect.void : Effect.exit(Transport.read(server, reading))))
          })
      })
    })
  },
  {
    law: 5,
    fault: "a connection is handed over when its first byte has come",
    subject: soundSubject({
      listener: listenerOf({
        listener: (listener) =>
          Effect.succeed({
            ...listener,
            accept: Effect.tap(listener.accept, firstByte),
            serve: (handler, options) =>
              listener.serve((server) => Effect.andThen(firstByte(server), handler(server)), options)
          })
      })
    })
  }
]

const openFailure = (reason: Reason) => new TransportError({ operation: "open", endpoint: "memory:nobody", reason })

const firstByte = (server: Transport.Transport): Effect.Effect<unknown> =>
  Effect.exit(Effect.scoped(Effect.flatMap(server.reader, (reader) => Effect.flatMap(reader.pull, reader.unread))))
