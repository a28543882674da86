/**
 * The standard input and output of a program as the wire of a transport.
 *
 * Three things happen when a program ends, in any order: its output ends, it exits, and writes to its input break. What
 * the transport is told is made of all three, so that each waits for the others, but never for longer than `exitGrace`:
 *
 * ```
 * seen                       then
 * output ended               wait for the exit, which says whether that was a good end
 * exited                     read on while somebody still writes: what it started may have inherited the output
 * a write broke              read on: to close its input is no end of its output
 * ```
 */
import * as Deferred from "effect/Deferred"
import * as Exit from "effect/Exit"
import type { Port, Wire } from "../../Wire.ts"
import { StreamWriting } from "../descriptor/halves.ts"
import { SocketWire } from "../socket/socketWire.ts"
import { Grace } from "./grace.ts"
import { isSuccess, type Program, ProgramFailed } from "./program.ts"

export class ExecWire implements Wire {
  readonly lingers = true
  readonly #program: Program
  readonly #port: Port
  readonly #reading: SocketWire
  readonly #writing: StreamWriting
  #isFlowing = false
  #isWriting = false
  #outputEnded = false
  /** The transport has been told how it ended, or has ended by itself. */
  #isOver = false
  readonly #released: () => void
  readonly #grace: Grace

  constructor(program: Program, port: Port) {
    this.#program = program
    this.#port = port
    this.#grace = new Grace(program.options.exitGrace, () => this.#tell())
    // Also where all of the program is gone the transport lets go first: until then its writes fail by name.
    let left = 5
    const released = () => {
      if (--left > 0) return
      this.#grace.stop()
      port.released()
    }
    this.#released = released
    this.#reading = new SocketWire(program.stdout, {
      ...port,
      data: (chunk) => {
        port.data(chunk)
        this.#waitForOutput()
      },
      lend: (chunk, canKeep) => {
        const isTaken = port.lend(chunk, canKeep)
        if (isTaken) this.#waitForOutput()
        return isTaken
      },
      end: () => this.#onOutputEnd(),
      released: () => {
        Deferred.doneUnsafe(program.outputEnded, Exit.void)
        released()
      }
    })
    program.giveEarly()
    this.#writing = new StreamWriting(program.stdin)
    this.#writing.attach({
      ...port,
      drained: () => this.#onDrained(),
      broken: (cause) => this.#onInputBroken(cause)
    }, released)
    program.onGone(() => {
      this.#onGone()
      program.onStderrClosed(released)
      released()
    })
  }

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    if (this.#program.status !== undefined) {
      queueMicrotask(() => this.#onInputBroken(brokenPipe()))
      return false
    }
    this.#isWriting = !this.#writing.write(chunks)
    return !this.#isWriting
  }

  end(): void {
    // The input of a program that is gone has ended with it.
    if (this.#program.status !== undefined) queueMicrotask(this.#port.finished)
    else this.#writing.end()
  }

  /** It is told at once, and not only by the end of its input. */
  reset(): void {
    this.#letGo()
    this.#reading.release()
    this.#program.terminate()
  }

  /** What it still says is thrown away, so that nothing keeps it from ending by itself. */
  release(): void {
    this.#letGo()
    if (this.#program.status !== undefined) return this.#reading.release()
    this.#reading.resume()
    this.#program.stop()
  }

  resume(): void {
    this.#isFlowing = true
    this.#reading.resume()
    this.#waitForOutput()
  }

  suspend(): void {
    this.#isFlowing = false
    if (this.#isOver) return
    this.#reading.suspend()
    // What it holds back is our doing, and no sign that nobody writes.
    if (!this.#outputEnded) this.#grace.stop()
  }

  part(): void {
    this.#reading.part()
  }

  #letGo(): void {
    this.#isOver = true
    this.#grace.stop()
    this.#writing.close()
    this.#program.letGo()
    queueMicrotask(this.#released)
  }

  #onDrained(): void {
    this.#isWriting = false
    this.#port.drained()
  }

  #onOutputEnd(): void {
    this.#outputEnded = true
    this.#reading.release()
    if (this.#isOver) return
    if (this.#program.status === undefined) this.#grace.start()
    else this.#tell()
  }

  #onGone(): void {
    this.#writing.close()
    // Node closes its end of the input with the exit, and says nothing of what was under way.
    if (this.#isWriting) this.#onInputBroken(brokenPipe())
    if (this.#isOver) this.#reading.release()
    else if (this.#outputEnded) this.#tell()
    else this.#waitForOutput()
  }

  #onInputBroken(cause: unknown): void {
    this.#isWriting = false
    this.#port.refused(cause)
  }

  /** Of a program that has exited: until nobody has written for so long. */
  #waitForOutput(): void {
    if (this.#program.status === undefined || this.#outputEnded || this.#isOver) return
    if (this.#isFlowing) this.#grace.start()
  }

  #tell(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#grace.stop()
    const { options, status } = this.#program
    if (status !== undefined && !this.#outputEnded) this.#reading.release()
    if (status !== undefined && !isSuccess(status) && options.exitStatus === "fail") {
      return this.#port.broken(new ProgramFailed(status))
    }
    this.#port.end()
  }
}

/** As the kernel would have said it, had we asked. */
const brokenPipe = (): Error => Object.assign(new Error("write EPIPE"), { code: "EPIPE" })
