/**
 * Finds the machine under a transport, for what has to run in the read callback itself.
 *
 * No copy of the transport has it: whoever wraps one in an object of his own, to look on or to change
 * something, is never bypassed.
 */
import type { Duplex, Fault } from "./duplex.ts"

export interface Underneath<out E> {
  readonly duplex: Duplex
  /** The typed error of a fault. */
  readonly errorOf: (operation: "read" | "write" | "control", fault: Fault, delivery?: "NotSent" | "Unknown") => E
}

/** What a transport extends that has a machine underneath. */
export class Over<out E> {
  // Private, and so not copied.
  readonly #underneath: Underneath<E>

  constructor(underneath: Underneath<E>) {
    this.#underneath = underneath
  }

  static underneath<E>(transport: object): Underneath<E> | undefined {
    return #underneath in transport ? transport.#underneath as unknown as Underneath<E> : undefined
  }
}

/** The caller knows the type of the errors: it is that of every effect of the transport. */
export const underneath: <E>(transport: object) => Underneath<E> | undefined = Over.underneath
