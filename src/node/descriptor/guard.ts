/**
 * The guard that keeps everything but a protocol off standard output.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** While the scope is open, what is printed to standard output goes to standard error. Holders count. */
export const guard: Effect.Effect<void, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => divertPrints()),
  () => Effect.sync(() => restorePrints())
)

let holders = 0
let restore: (() => void) | undefined = undefined

/**
 * Below `write`, so that all of the stream above it stays as it was: its backpressure, its callbacks, and whoever has a
 * reference to it, as the console has.
 */
export const divertPrints = (): void => {
  if (holders++ > 0 || restore !== undefined) return
  const { stderr, stdout } = process
  const { _write, _writev } = stdout
  Object.assign(stdout, {
    _write: (chunk: Uint8Array | string, encoding: BufferEncoding, callback: () => void) => {
      stderr.write(chunk, encoding, (error) => {
        // A print that standard error does not take is lost, as one of the console is: it must cost nothing else.
        if (error != null && stderr.listenerCount("error") === 0) stderr.once("error", () => {})
        callback()
      })
    },
    _writev: undefined
  })
  restore = () => {
    Object.assign(stdout, { _write, _writev })
  }
}

const restorePrints = (): void => {
  holders--
  // Prints that still wait for standard error must not come out behind the protocol.
  if (process.stdout.writableLength === 0) giveBack()
  else process.stdout.write("", giveBack)
}

const giveBack = (): void => {
  if (holders > 0) return
  restore?.()
  restore = undefined
}
