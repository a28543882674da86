/**
 * Serial ports by the bindings of `serialport` alone: those of Windows.
 *
 * On Linux and macOS `posix.ts` is better: here each read and write is a turn in the thread pool, and a flush discards both
 * directions.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Endpoint from "../../Endpoint.ts"
import type { Device } from "../../SerialBinding.ts"
import * as TransportError from "../../TransportError.ts"
import type { Port, Wire } from "../../Wire.ts"
import { ownCopy } from "../socket/ownCopy.ts"
import { call, drainOf, Drains, type Identity, linesOf, setBaudRateOf } from "./control.ts"
import {
  checkSupported,
  closeNative,
  loaded,
  nativeOptionsOf,
  type NativePort,
  onHangUp,
  openingReasonOf,
  pollForAll,
  standingReasonOf
} from "./native.ts"
import { once, openByPromise } from "./opening.ts"

/** Opens a device of this machine. */
export const openBindings = Effect.fnUntraced(function*(
  endpoint: Endpoint.SerialEndpoint
): Effect.fn.Return<Device, TransportError.TransportError, Scope.Scope> {
  const identity: Identity = { name: Endpoint.format(endpoint), path: endpoint.path }
  yield* checkSupported(endpoint, identity.name)
  const binding = yield* loaded(identity.name)
  const { close, native } = yield* openByPromise(
    () =>
      binding.open(nativeOptionsOf(endpoint, true)).then((native) => ({
        native,
        close: once(() => closeNative(native))
      })),
    (cause) => TransportError.make("open", identity.name, openingReasonOf(cause, endpoint.path), { cause }),
    ({ close }) => close()
  )
  const drains = new Drains(native)
  const device: Device = {
    wire: (port) => new BindingsWire(native, drains, port, close),
    reasonOf: (cause) => standingReasonOf(cause, identity.path),
    scopeExit: "wait",
    drain: drainOf(drains, identity),
    discard: (direction) =>
      direction === "both"
        ? call(identity, "flushing", () => native.flush())
        : Effect.fail(
          TransportError.make(
            "control",
            identity.name,
            new TransportError.Unsupported({ feature: `flushing the ${direction} alone` })
          )
        ),
    setBaudRate: setBaudRateOf(native, identity),
    ...linesOf(native, identity)
  }
  return device
})

/** One read brings no more than this. */
const readBytes = 65_536

class BindingsWire implements Wire {
  /** Nobody waits for an end of ours. */
  readonly lingers = false
  readonly #native: NativePort
  readonly #drains: Drains
  readonly #port: Port
  readonly #close: () => Promise<void>
  readonly #buffer = Buffer.allocUnsafeSlow(readBytes)
  #flowing = false
  #isReading = false
  #isOver = false
  /** What a read brought that was under way when it was told to suspend. */
  #held: Uint8Array | undefined = undefined

  constructor(native: NativePort, drains: Drains, port: Port, close: () => Promise<void>) {
    this.#native = native
    this.#drains = drains
    this.#port = port
    this.#close = close
    pollForAll(native)
    onHangUp(native, (cause) => this.#gone(cause))
  }

  /** One after another: the bindings take one piece, and one write, at a time. */
  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    const next = (i: number): void => {
      const chunk = chunks[i]
      if (this.#isOver) return
      if (chunk === undefined) return this.#port.drained()
      this.#native.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)).then(
        () => next(i + 1),
        (cause) => this.#gone(cause)
      )
    }
    next(0)
    return false
  }

  end(): void {
    this.#drains.ask((cause) => {
      if (cause === undefined) this.#port.finished()
      else this.#gone(cause)
    })
  }

  reset(): void {
    this.#isOver = true
    const flushed = () => this.#end()
    this.#native.flush().then(flushed, flushed)
  }

  release(): void {
    this.#isOver = true
    this.#end()
  }

  #end(): void {
    this.#close().then(() => this.#port.released())
  }

  resume(): void {
    this.#flowing = true
    this.#deliver()
    this.#read()
  }

  suspend(): void {
    this.#flowing = false
  }

  #gone(cause: unknown): void {
    if (!this.#isOver) this.#port.broken(cause)
  }

  #deliver(): void {
    const held = this.#held
    if (held === undefined || !this.#flowing) return
    this.#held = undefined
    this.#port.data(held)
  }

  /** Goes on while nobody wants input, until there is some: it is how an unplug is seen. */
  #read(): void {
    if (this.#isReading || this.#isOver || this.#held !== undefined) return
    this.#isReading = true
    this.#native.read(this.#buffer, 0, readBytes).then(
      ({ bytesRead }) => {
        this.#isReading = false
        if (this.#isOver) return
        this.#held = ownCopy(this.#buffer.subarray(0, bytesRead))
        this.#deliver()
        this.#read()
      },
      (cause) => this.#gone(cause)
    )
  }
}
