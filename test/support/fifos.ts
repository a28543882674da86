/**
 * Pairs of transports over two FIFOs, crosswise, both ends in this process.
 */
import { Effect, Option, type Scope } from "effect"
import { Transport, type TransportError, Wire } from "effect-transport"
import { execFileSync } from "node:child_process"
import { constants, mkdtempSync, openSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { HalvesWire, kindOf, openReading, openWriting } from "../../src/node/descriptor/halves.ts"
import { reasonOf } from "../../src/node/nativeError.ts"

/** Made many at a time, since each call is a program that starts. */
const spare: Array<string> = []

export const takeFifo = (): string => {
  if (spare.length === 0) {
    const folder = mkdtempSync(join(tmpdir(), "effect-transport-fifos-"))
    folders.push(folder)
    spare.push(...Array.from({ length: 500 }, (_, i) => join(folder, String(i))))
    execFileSync("sh", ["-c", `mkfifo "$@"`, "sh", ...spare])
  }
  return spare.pop()!
}

const folders: Array<string> = []

/** Removes what was made ahead; a test runner may not let a process end by itself, so its tests call it. */
export const dropFifos = (): void => {
  spare.length = 0
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
}
process.once("exit", dropFifos)

/** Both ends of a pipe: once both are open nobody needs its name, and a new one gets a pipe of its own. */
export const openPipe = () => {
  const path = takeFifo()
  const reading = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const writing = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  rmSync(path)
  return { reading, writing }
}

let id = 0

const endOf = (
  reading: number,
  writing: number,
  options: Wire.ResolvedOptions
): Effect.Effect<Transport.HalfCloseableTransport, never, Scope.Scope> =>
  Effect.suspend(() => {
    const input = openReading(reading, kindOf(reading)!, () => {})
    const output = openWriting(writing, kindOf(writing)!, () => {})
    return Wire.toTransport((port) => new HalvesWire(input, output, port), {
      info: { id: ++id, endpoint: { _tag: "stdio" }, local: Option.none(), peer: Option.none() },
      options,
      scopeExit: "wait",
      reasonOf: (cause) => reasonOf(cause, { operation: "read", what: "a FIFO" })
    })
  })

export const fifoPair = (
  given?: Transport.TransportOptions
): Effect.Effect<
  readonly [Transport.HalfCloseableTransport, Transport.HalfCloseableTransport],
  TransportError.TransportError,
  Scope.Scope
> =>
  Effect.uninterruptible(Effect.gen(function*() {
    const options = yield* Wire.resolveOptions(given, { operation: "open", endpoint: "stdio:" })
    const [there, back] = [openPipe(), openPipe()]
    return [
      yield* endOf(back.reading, there.writing, options),
      yield* endOf(there.reading, back.writing, options)
    ] as const
  }))
