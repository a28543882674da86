/**
 * Sound transports of memory whose parts can be replaced: what every specimen is made of.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { MemoryWire } from "../internal/memory.ts"
import * as Transport from "../Transport.ts"
import type * as TransportError from "../TransportError.ts"
import * as Wire from "../Wire.ts"
import type { Subject } from "./law.ts"

/**
 * The parts of a pair that a specimen can replace.
 */
export interface Parts {
  /** Stands between the connection and its medium, at both ends. `port` reports to the connection. */
  readonly wire?: ((wire: Wire.Wire, port: Wire.Port) => Wire.Wire) | undefined
  /** Stands between the medium and the connection: what the medium reports to. */
  readonly port?: ((port: Wire.Port) => Wire.Port) | undefined
  /** Replaces the finished transport, at both ends. `peer` is the other end, sound. */
  readonly transport?:
    | ((
      transport: Transport.HalfCloseableTransport,
      peer: Transport.HalfCloseableTransport
    ) => Transport.Transport)
    | undefined
  /** Changes the options that were asked for. */
  readonly options?: ((options: Wire.ResolvedOptions) => Wire.ResolvedOptions) | undefined
  /** The largest write that is copied. */
  readonly copyMax?: number | undefined
  /** Names the situation behind a native error. */
  readonly reasonOf?: ((cause: unknown) => TransportError.Reason) | undefined
}

/** What is held now, for the laws about leaks. */
const held = new Set<object>()

/** A sound pair of memory with these parts replaced; `parts` is asked once for each end, so it may keep state. */
export const pairOf = (parts: () => Parts = () => ({})): Subject["pair"] => (given) =>
  Effect.gen(function*() {
    const options = yield* Wire.resolveOptions(given, { operation: "open", endpoint: "memory:sound" })
    const a = yield* endOf(1, options, parts())
    const b = yield* endOf(2, options, parts())
    MemoryWire.join(a.wire, b.wire)
    return [a.finish(b.transport), b.finish(a.transport)] as const
  })

interface End {
  readonly wire: MemoryWire
  readonly transport: Transport.HalfCloseableTransport
  readonly finish: (peer: Transport.HalfCloseableTransport) => Transport.Transport
}

const endOf = (
  id: number,
  options: Wire.ResolvedOptions,
  parts: Parts
): Effect.Effect<End, never, Scope.Scope> =>
  Effect.suspend(() => {
    let memory!: MemoryWire
    return Effect.map(
      Wire.toTransport((port) => {
        const token = { id }
        held.add(token)
        const counting: Wire.Port = {
          ...port,
          released: () => {
            held.delete(token)
            port.released()
          }
        }
        memory = new MemoryWire(parts.port?.(counting) ?? counting)
        return parts.wire?.(memory, counting) ?? memory
      }, {
        info: { id, endpoint: { _tag: "memory", name: "sound" }, local: Option.none(), peer: Option.none() },
        options: parts.options?.(options) ?? options,
        scopeExit: "now",
        copyMax: parts.copyMax,
        reasonOf: parts.reasonOf
      }),
      (transport) => ({
        wire: memory,
        transport,
        finish: (peer) => parts.transport?.(transport, peer) ?? transport
      })
    )
  })

/** A sound subject of memory, some of it replaced. */
export const soundSubject = (replaced?: Partial<Subject>): Subject => ({
  pair: pairOf(),
  resources: Effect.sync(() => Array.from(held, () => "an open end")),
  capabilities: { halfClose: true, reset: true, virtualTime: true },
  ...replaced
})

/** A subject whose transports are broken in one of their parts. */
export const brokenSubject = (parts: Parts | (() => Parts), replaced?: Partial<Subject>): Subject =>
  soundSubject({ pair: pairOf(typeof parts === "function" ? parts : () => parts), ...replaced })

/** The wire with some of its methods replaced. */
export const overWire = (wire: Wire.Wire, replaced: Partial<Wire.Wire>): Wire.Wire => ({
  lingers: wire.lingers,
  write: (chunks, bytes) => wire.write(chunks, bytes),
  end: () => wire.end(),
  reset: () => wire.reset(),
  release: () => wire.release(),
  resume: () => wire.resume(),
  suspend: () => wire.suspend(),
  ...replaced
})
