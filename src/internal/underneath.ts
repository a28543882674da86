/**
 * Finds the machine under a transport, for what has to run in the read callback itself.
 *
 * It is a property that no copy of the transport has: whoever wraps one in an object of his own, to look on or to change
 * something, is never bypassed.
 */
import type { Duplex, Fault } from "./duplex.ts"

export interface Underneath<out E> {
  readonly duplex: Duplex
  /** The typed error of a fault. */
  readonly errorOf: (operation: "read" | "write", fault: Fault, delivery?: "NotSent" | "Unknown") => E
}

const key = Symbol("effect-transport/Underneath")

/** Of a transport whose errors are of type `E`. */
export const setUnderneath = <E>(transport: object, underneath: Underneath<E>): void => {
  // Not enumerable, and so not copied.
  Object.defineProperty(transport, key, { value: underneath })
}

/** The caller knows the type of the errors: it is that of every effect of the transport. */
export const underneath = <E>(transport: object): Underneath<E> | undefined =>
  (transport as { readonly [key]?: Underneath<E> })[key]
