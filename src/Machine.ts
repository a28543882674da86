/**
 * A protocol with no IO: bytes and commands in, bytes and events out, time handed in.
 *
 * A machine is plain synchronous code, so it is tested with arrays and runs anywhere: alone, inside the read callback of
 * a transport (`Transport.react`), or as a layer of a stack.
 */

/**
 * What a machine hands out while it runs.
 *
 * @category models
 * @since 0.1.0
 */
export interface MachineOut<in Event> {
  /** Bytes for the peer. They belong to the connection from now on; they may be some of those that were just received. */
  readonly bytes: (bytes: Uint8Array) => void
  readonly event: (event: Event) => void
}

/**
 * A whole protocol. Each function answers with an error, which ends the protocol, or with nothing.
 *
 * @category models
 * @since 0.1.0
 */
export interface Machine<in Command, in out Event, out E> {
  /** Bytes of the peer. They are borrowed for the call. */
  readonly receive: (bytes: Uint8Array, out: MachineOut<Event>) => E | undefined
  readonly command: (command: Command, out: MachineOut<Event>) => E | undefined
  /** The peer's input has ended. */
  readonly end: (out: MachineOut<Event>) => E | undefined
  /** When it wants to be woken, in milliseconds of the clock it is given. */
  readonly due: (nowMs: number, out: MachineOut<Event>) => number | undefined
}
