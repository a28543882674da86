/**
 * The door of named pipes. Both ends that an endpoint asks for are opened at once, so that two programs that open the same
 * two pipes crosswise find each other.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { withinConnectTimeout } from "../../connectTimeout.ts"
import * as Endpoint from "../../Endpoint.ts"
import type { HalfCloseableTransport } from "../../Transport.ts"
import * as TransportError from "../../TransportError.ts"
import * as Wire from "../../Wire.ts"
import { Pipe, type PipeReader, PipesWire, type PipeWriter } from "../net/pipe.ts"
import { NativeError } from "../net/socket.ts"
import { type Door, failedAt, type Machine, noListening, openingReasonOf, standingReasonOf } from "./door.ts"

interface Ends {
  reader: PipeReader | undefined
  writer: PipeWriter | undefined
  /** Closes what is open, and gives up what is not. */
  readonly letGo: Array<() => void>
}

export const fifoDoor: Door<Endpoint.FifoEndpoint> = {
  connect: (machine, endpoint, options) =>
    Effect.uninterruptibleMask((restore) => {
      const ends: Ends = { reader: undefined, writer: undefined, letGo: [] }
      // Around the limit, since what opens just when that has passed has nobody else who would close it.
      const opening = Effect.onError(
        restore(withinConnectTimeout(open(machine, endpoint, ends), endpoint, options)),
        () => Effect.sync(() => ends.letGo.forEach((run) => run()))
      )
      return Effect.flatMap(opening, () => {
        const { engine } = machine.hosts
        const { owner } = machine.host
        const making: Effect.Effect<HalfCloseableTransport, never, Scope.Scope> = Wire.toTransport(
          (port) => new PipesWire(engine, owner, ends, port),
          {
            info: { id: machine.nextId(), endpoint, local: Option.none(), peer: Option.none() },
            options,
            scopeExit: "clock",
            reasonOf: standingReasonOf
          }
        )
        // What is only read has an end of its own from the beginning: a write fails, and reading goes on.
        return ends.writer !== undefined
          ? making
          : Effect.tap(making, (transport) => Effect.ignore(transport.halfClose))
      })
    }),

  listen: noListening
}

const open = (
  machine: Machine,
  endpoint: Endpoint.FifoEndpoint,
  ends: Ends
): Effect.Effect<void, TransportError.TransportError> => {
  const fail = failedAt("open", endpoint)
  const { owner } = machine.host
  return Effect.suspend(() => {
    const pipes: { read?: Pipe; write?: Pipe } = {}
    for (const mode of ["read", "write"] as const) {
      const path = endpoint[mode]
      if (path === undefined) continue
      const pipe = pipeAt(machine, path)
      if (pipe instanceof NativeError) return fail(openingReasonOf(pipe, path), pipe)
      if (pipe === undefined) {
        return fail(
          new TransportError.InvalidOption({ field: `endpoint.${mode}`, expected: "the path of a pipe", actual: path })
        )
      }
      pipes[mode] = pipe
    }
    return Effect.callback<void>((resume) => {
      const done = () => {
        if (
          (pipes.read === undefined) === (ends.reader === undefined) &&
          (pipes.write === undefined) === (ends.writer === undefined)
        ) resume(Effect.void)
      }
      const closeReader = pipes.read?.openReader(owner, (reader) => {
        ends.reader = reader
        done()
      })
      const closeWriter = pipes.write?.openWriter(owner, (writer) => {
        ends.writer = writer
        done()
      })
      for (const close of [closeReader, closeWriter]) if (close !== undefined) ends.letGo.push(close)
    })
  })
}

/** Nothing, where it is something else. */
const pipeAt = ({ host }: Machine, path: string): Pipe | NativeError | undefined => {
  const file = host.files.get(path)
  if (file === undefined) return new NativeError("ENOENT", "there is no such pipe")
  if (host.denied.has(path)) return new NativeError("EACCES", "permission denied")
  return file instanceof Pipe ? file : undefined
}
