/**
 * A program that was started, with what is known of its end: the one place where callbacks of `node:child_process` live.
 *
 * It is signalled by its own id alone, and only until Node has reaped it, so that no other process can be meant.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as ChildProcess from "node:child_process"
import type * as Net from "node:net"
import type { ExecEndpoint } from "../../Endpoint.ts"
import type { ResolvedChildOptions } from "../options.ts"
import { Grace } from "./grace.ts"

/**
 * How a program ended.
 *
 * @category models
 * @since 0.1.0
 */
export type ExitStatus =
  | { readonly _tag: "Exited"; readonly code: number }
  | { readonly _tag: "Killed"; readonly signal: NodeJS.Signals }

/** What the reader is told when a program ended otherwise than with status 0. */
export class ProgramFailed extends Error {
  constructor(status: ExitStatus) {
    super(describeStatus(status))
  }
}

export const describeStatus = (status: ExitStatus): string =>
  status._tag === "Exited"
    ? `the program ended with status ${status.code}`
    : `the program was ended by ${status.signal}`

export const isSuccess = (status: ExitStatus): boolean => status._tag === "Exited" && status.code === 0

/** Of what a program wrote to its standard error, this much is kept: what people look at when it failed. */
const stderrBytes = 65_536

/** Who listens to a program's standard error. */
export interface StderrListener {
  readonly data: (chunk: Uint8Array) => void
  readonly end: () => void
}

/** How long the kernel may take to end what was killed. What it may not end, such as `sudo`, is given up then. */
const reapMs = 2000

export class Program {
  readonly pid: number
  readonly stdin: Net.Socket
  readonly stdout: Net.Socket
  readonly options: ResolvedChildOptions
  status: ExitStatus | undefined = undefined
  readonly exited = Deferred.makeUnsafe<ExitStatus>()
  readonly outputEnded = Deferred.makeUnsafe<void>()
  readonly #gone = Deferred.makeUnsafe<void>()
  readonly #child: ChildProcess.ChildProcess
  readonly #onGone: Array<() => void> = []
  readonly #stderr: Array<Uint8Array> = []
  #stderrBytes = 0
  #timer: NodeJS.Timeout | undefined = undefined
  #isLetGo = false
  #early: Uint8Array | null | undefined = undefined
  #isStderrClosed = false

  constructor(child: ChildProcess.ChildProcess, options: ResolvedChildOptions, onStderr: StderrListener) {
    this.#child = child
    this.pid = child.pid!
    this.options = options
    this.stdin = child.stdin as Net.Socket
    this.stdout = child.stdout as Net.Socket
    // Node reads at once; what comes before the transport is there, one chunk or the end, is kept for it.
    this.stdout.push = (chunk: Uint8Array | null) => {
      this.#early = chunk
      return false
    }
    // At the exit Node has it flow, to flush what nobody reads. When it is read is for its reader to say, who may still be
    // at work on the memory that the next read would go to.
    this.stdout.resume = () => this.stdout
    // A signal that may not be sent is one: see `reapMs`.
    child.on("error", ignore)
    child.once("exit", (code, signal) => {
      this.status = signal === null ? { _tag: "Exited", code: code! } : { _tag: "Killed", signal }
      Deferred.doneUnsafe(this.exited, Exit.succeed(this.status))
      this.#end()
    })
    child.stderr?.on("error", ignore)
    child.stderr?.on("data", (chunk: Uint8Array) => {
      this.#keep(chunk)
      onStderr.data(chunk)
    })
    child.stderr?.once("close", () => {
      this.#isStderrClosed = true
      onStderr.end()
    })
  }

  /** To be called when somebody reads its output. */
  giveEarly(): void {
    const early = this.#early
    if (early !== undefined) queueMicrotask(() => this.stdout.push(early))
  }

  /** The last of what it wrote to its standard error. */
  stderr(): Uint8Array {
    const all = Buffer.concat(this.#stderr)
    return new Uint8Array(all.subarray(Math.max(0, all.length - stderrBytes)))
  }

  /** Calls back when it has exited, or has been given up. */
  onGone(run: () => void): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#onGone.push(run)
    else queueMicrotask(run)
  }

  /** To be called when it is gone. Calls back when nobody writes to its standard error any more. */
  onStderrClosed(run: () => void): void {
    const { stderr } = this.#child
    if (stderr === null || this.#isStderrClosed) return void queueMicrotask(run)
    const grace = new Grace(this.options.exitGrace, () => stderr.destroy())
    grace.start()
    stderr.on("data", () => this.#isLetGo || grace.start())
    stderr.once("close", () => {
      grace.stop()
      run()
    })
  }

  /** Nobody listens to it any more. */
  letGo(): void {
    this.#isLetGo = true
  }

  /** Its input has been closed: it is given time to end by itself, and then told to. */
  stop(): void {
    this.#after(Duration.toMillis(this.options.endTimeout), () => this.terminate())
  }

  terminate(): void {
    if (this.status !== undefined) return
    this.#child.kill("SIGTERM")
    this.#after(Duration.toMillis(this.options.killTimeout), () => {
      this.#child.kill("SIGKILL")
      this.#after(reapMs, () => {
        this.#child.unref()
        this.#end()
      })
    })
  }

  /** Throws where there is no such signal. */
  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Completes when it is gone; what nobody has told to end is told. */
  get gone(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#timer === undefined) this.terminate()
      return Deferred.await(this.#gone)
    })
  }

  #after(milliseconds: number, run: () => void): void {
    clearTimeout(this.#timer)
    if (this.status === undefined) this.#timer = setTimeout(run, milliseconds)
  }

  #end(): void {
    clearTimeout(this.#timer)
    Deferred.doneUnsafe(this.#gone, Exit.void)
    for (const run of this.#onGone.splice(0)) run()
  }

  #keep(chunk: Uint8Array): void {
    this.#stderr.push(chunk)
    this.#stderrBytes += chunk.length
    while (this.#stderrBytes - this.#stderr[0]!.length >= stderrBytes) {
      this.#stderrBytes -= this.#stderr.shift()!.length
    }
  }
}

/**
 * Starts a program. Where it cannot be, `failed` is called with the native error, and nothing is left.
 */
export const start = (
  { args, command }: ExecEndpoint,
  options: ResolvedChildOptions,
  onStderr: StderrListener,
  failed: (cause: unknown) => void
): Program | undefined => {
  const stderr = options.stderr === "inherit" || options.stderr === "ignore" ? options.stderr : "pipe"
  let child: ChildProcess.ChildProcess
  try {
    child = ChildProcess.spawn(command, args, {
      stdio: ["pipe", "pipe", stderr],
      ...(options.cwd !== undefined && { cwd: options.cwd }),
      ...(options.env !== undefined && { env: { ...process.env, ...options.env } })
    })
  } catch (cause) {
    failed(cause)
    return undefined
  }
  if (child.pid !== undefined) return new Program(child, options, onStderr)
  child.once("error", (cause) => {
    for (const stream of child.stdio ?? []) stream?.destroy()
    failed(cause)
  })
  return undefined
}

const ignore = () => {}
