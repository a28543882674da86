/**
 * Serial devices without hardware: pairs of pseudoterminals, joined by socat, and both ends of one as transports.
 */
import { Context, Effect, Layer, type Scope } from "effect"
import { Serial, SerialBinding, type Transport, type TransportError } from "effect-transport"
import { NodeSerial } from "effect-transport/node"
import { randomUUID } from "node:crypto"
import { readdirSync, readlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { run, type Running } from "./programs.ts"

export interface PtyPair {
  readonly a: string
  readonly b: string
  /** To kill it is to unplug both. */
  readonly socat: Running
}

/** Two devices at paths of their own, gone with the scope. socat keeps both open, so each can be opened again and again. */
export const ptyPair: Effect.Effect<PtyPair, never, Scope.Scope> = Effect.gen(function*() {
  const [a, b] = ["a", "b"].map((end) => join(tmpdir(), `effect-transport-${randomUUID()}-${end}`)) as [string, string]
  const socat = yield* run("socat", ["-d", "-d", `pty,raw,echo=0,link=${a}`, `pty,raw,echo=0,link=${b}`])
  yield* socat.printed(/starting data transfer loop/)
  // Killed by SIGKILL it would leave its links.
  yield* Effect.addFinalizer(() => Effect.andThen(Effect.sync(() => socat.child.kill()), socat.exited))
  return { a, b, socat }
})

/** Unplugs both ends of a pair. */
export const unplug = ({ socat }: PtyPair): Effect.Effect<void> =>
  Effect.andThen(Effect.sync(() => socat.child.kill()), Effect.asVoid(socat.exited))

/** Descriptors of terminals that this process has open. */
export const openPtys = (): ReadonlyArray<string> =>
  readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`)
      return target.startsWith("/dev/pts/") ? [target] : []
    } catch {
      // The descriptor of the listing itself.
      return []
    }
  })

const binding: Effect.Effect<SerialBinding.SerialBinding["Service"]> = Effect.scoped(
  Effect.map(Layer.build(NodeSerial.layerPosix), Context.get(SerialBinding.SerialBinding))
)

export const openPort = (
  path: string,
  options?: Transport.TransportOptions
): Effect.Effect<Serial.SerialPort, TransportError.TransportError, Scope.Scope> =>
  Effect.flatMap(binding, (binding) =>
    Effect.provideService(
      Serial.open({ _tag: "serial", path, baudRate: 115_200 }, options),
      SerialBinding.SerialBinding,
      binding
    ))

/** Both ends of a pair, open. */
export const portPair = (
  options?: Transport.TransportOptions
): Effect.Effect<
  { readonly a: Serial.SerialPort; readonly b: Serial.SerialPort; readonly pair: PtyPair },
  TransportError.TransportError,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const pair = yield* ptyPair
    return { pair, a: yield* openPort(pair.a, options), b: yield* openPort(pair.b, options) }
  })
