/**
 * A lease for a single read: it is taken and given up in the very steps in which reading begins and ends.
 *
 * A lease of a scope takes steps of its own to be given up, and an interruption that comes in one of them finds what was
 * read on its way to somebody who will not have it. Here all that was read goes back unless the read succeeds, and
 * nothing lies between its last step and its caller.
 *
 * As with what is underneath, no copy of a connection has it: whoever wraps one is never bypassed.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Connection, Reader } from "./Connection.ts"

/** Reads, and puts back what was pulled unless that succeeds. Fails as `reader` does where somebody reads. */
export type Once<In, E> = <A, E2>(use: (reader: Reader<In, E>) => Effect.Effect<A, E2>) => Effect.Effect<A, E | E2>

/** Lets a class give private members to what it has not made. */
class Given {
  constructor(object: object) {
    return object
  }
}

/** A private member, since no copy has those; and not a `WeakMap`, which costs every collection something for each entry. */
class WithOnce extends Given {
  readonly #once: Once<any, any>

  constructor(connection: object, once: Once<any, any>) {
    super(connection)
    this.#once = once
  }

  static of(connection: object): Once<any, any> | undefined {
    return #once in connection ? connection.#once : undefined
  }
}

export const setOnce = <In, E>(connection: Connection<In, never, E>, once: Once<In, E>): void => {
  new WithOnce(connection, once)
}

/** What a single read has while it lasts. */
export interface Hold<In, E> {
  readonly reader: Reader<In, E>
  /** Ends the lease; where the read came to nothing, all that it pulled goes back. */
  readonly end: (isRead: boolean) => void
}

/**
 * Of a connection whose lease can be taken and given up at once. `begin` answers with an error where it cannot be taken.
 *
 * The lease ends in the step that hands the value over, and that is the last one: an interruption comes before it and
 * finds all in place, or is the caller's affair.
 */
export const single =
  <In, E>(begin: () => Hold<In, E> | Effect.Effect<never, E>): Once<In, E> =>
  <A, E2>(use: (reader: Reader<In, E>) => Effect.Effect<A, E2>) =>
    Effect.uninterruptibleMask((restore): Effect.Effect<A, E | E2> => {
      const hold = begin()
      if (Effect.isEffect(hold)) return hold
      const reading = Effect.flatMap(use(hold.reader), (value) =>
        Effect.sync(() => {
          hold.end(true)
          return value
        }))
      return Effect.catchCause(restore(reading), (cause) => {
        hold.end(false)
        return Effect.failCause(cause)
      })
    })

/** Where the connection has no way of its own, by the reader that everybody gets. */
export const withReader = <In, Out, E, A, E2>(
  self: Connection<In, Out, E>,
  use: (reader: Reader<In, E>) => Effect.Effect<A, E2>
): Effect.Effect<A, E | E2> => (WithOnce.of(self) as Once<In, E> | undefined)?.(use) ?? byScope(self, use)

const byScope = <In, Out, E, A, E2>(
  self: Connection<In, Out, E>,
  use: (reader: Reader<In, E>) => Effect.Effect<A, E2>
): Effect.Effect<A, E | E2> =>
  Effect.scoped(Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(self.reader, (reader) => {
      const held: Array<In> = []
      const pull = Effect.map(restore(reader.pull), (items) => {
        held.push(...items)
        return items
      })
      return Effect.onExit(
        use({ ...reader, pull }),
        (exit) => Exit.isFailure(exit) ? reader.unread(held) : Effect.void
      )
    })
  ))
