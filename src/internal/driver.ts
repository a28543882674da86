/**
 * A machine and the clock it is told of: each step is told the time before, so that what is over ends first, and after,
 * so that what began is known.
 */

/** The machine, as `Machine.ts` has it. */
export interface Driven<in Command, in out Event, out E> {
  readonly receive: (bytes: Uint8Array, out: Out<Event>) => E | undefined
  readonly command: (command: Command, out: Out<Event>) => E | undefined
  readonly end: (out: Out<Event>) => E | undefined
  readonly due: (nowMs: number, out: Out<Event>) => number | undefined
}

export interface Out<in Event> {
  readonly bytes: (bytes: Uint8Array) => void
  readonly event: (event: Event) => void
}

export class Driver<Command, Event, E> {
  /** When the machine wants to be woken. */
  dueMs: number | undefined = undefined
  readonly #machine: Driven<Command, Event, E>
  readonly #out: Out<Event>
  readonly #now: () => number

  constructor(machine: Driven<Command, Event, E>, out: Out<Event>, now: () => number) {
    this.#machine = machine
    this.#out = out
    this.#now = now
  }

  /** It is told the time: at the start, and when it is due. */
  tick(): void {
    this.dueMs = this.#machine.due(this.#now(), this.#out)
  }

  receive(bytes: Uint8Array): E | undefined {
    const nowMs = this.#now()
    this.#machine.due(nowMs, this.#out)
    const error = this.#machine.receive(bytes, this.#out)
    return error === undefined ? this.#after(nowMs) : error
  }

  command(command: Command): E | undefined {
    const nowMs = this.#now()
    this.#machine.due(nowMs, this.#out)
    const error = this.#machine.command(command, this.#out)
    return error === undefined ? this.#after(nowMs) : error
  }

  end(): E | undefined {
    const nowMs = this.#now()
    this.#machine.due(nowMs, this.#out)
    const error = this.#machine.end(this.#out)
    return error === undefined ? this.#after(nowMs) : error
  }

  #after(nowMs: number): undefined {
    this.dueMs = this.#machine.due(nowMs, this.#out)
  }
}
