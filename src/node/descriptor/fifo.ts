/**
 * The door of named pipes. To open one end waits for somebody at the other, as the operating system has it, but without
 * a thread that waits: the ends are opened non-blocking, and then looked at again and again until somebody is there.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import { withinConnectTimeout } from "../../connectTimeout.ts"
import * as Endpoint from "../../Endpoint.ts"
import { inOwnScope } from "../../ownScope.ts"
import * as TransportError from "../../TransportError.ts"
import * as Wire from "../../Wire.ts"
import { type Door, endWriting, noListening } from "../door.ts"
import { codeOf, reasonOf } from "../nativeError.ts"
import {
  AbsentReading,
  AbsentWriting,
  HalvesWire,
  openReading,
  openWriting,
  type ReadingHalf,
  type WritingHalf
} from "./halves.ts"

export const fifoDoor: Door<Endpoint.FifoEndpoint> = {
  connect: (machine, endpoint, options) =>
    inOwnScope(Effect.uninterruptibleMask((restore) =>
      Effect.gen(function*() {
        const { reading, writing } = yield* restore(withinConnectTimeout(openEnds(endpoint), endpoint, options))
        const transport = yield* Wire.toTransport(
          (port) => new HalvesWire(reading ?? new AbsentReading(), writing ?? new AbsentWriting(), port),
          {
            info: { id: machine.nextId(), endpoint, local: Option.none(), peer: Option.none() },
            options: options.transport,
            scopeExit: "wait",
            reasonOf: (cause) => reasonOf(cause, { operation: "read", what: Endpoint.format(endpoint) })
          }
        )
        if (writing === undefined) yield* endWriting(transport)
        return transport
      })
    )),

  listen: noListening
}

/** The ends that are open so far. */
interface Ends {
  reading: FifoReading | undefined
  writing: WritingHalf | undefined
}

/** How long to wait before somebody is looked for again, in milliseconds: it doubles from the one to the other. */
const pauseMin = 1
const pauseMax = 16

const openEnds = Effect.fnUntraced(function*(
  endpoint: Endpoint.FifoEndpoint
): Effect.fn.Return<Ends, TransportError.TransportError, Scope.Scope> {
  const ends = yield* Effect.acquireRelease(
    Effect.sync((): Ends => ({ reading: undefined, writing: undefined })),
    ({ reading, writing }) =>
      Effect.sync(() => {
        reading?.close()
        writing?.close()
      })
  )
  const look = Effect.try({ try: () => lookAround(endpoint, ends), catch: failedToOpen(endpoint) })
  let pause = pauseMin
  while (!(yield* look)) {
    yield* Effect.sleep(pause)
    pause = Math.min(pause * 2, pauseMax)
  }
  return ends
})

/** Opens what can be opened now. True when all ends are open, and somebody is at the other end of each. */
const lookAround = ({ read, write }: Endpoint.FifoEndpoint, ends: Ends): boolean => {
  // First, since it never has to wait: two programs that open two pipes crosswise find each other.
  if (read !== undefined) {
    // Whoever comes now comes to what is at that path now.
    if (ends.reading !== undefined && !ends.reading.hasWriter() && !ends.reading.isAt(read)) {
      ends.reading.close()
      ends.reading = undefined
    }
    ends.reading ??= new FifoReading(openFifo("read", read))
  }
  if (write !== undefined) ends.writing ??= openWriter(write)
  return (read === undefined || ends.reading!.hasWriter()) && (write === undefined || ends.writing !== undefined)
}

const openWriter = (path: string): WritingHalf | undefined => {
  try {
    return guarded(openFifo("write", path), (fd) => openWriting(fd, "pipe", () => {}))
  } catch (cause) {
    // Nobody reads it.
    if (codeOf(cause) === "ENXIO") return undefined
    throw cause
  }
}

/** Never opens anything else, since that may do something: a tape rewinds, and a socket says that nobody is there. */
const openFifo = (mode: "read" | "write", path: string): number => {
  const check = (stats: Fs.Stats) => {
    if (stats.isFIFO()) return
    throw new TransportError.InvalidOption({ field: `endpoint.${mode}`, expected: "the path of a pipe", actual: path })
  }
  check(Fs.statSync(path))
  const { O_NONBLOCK, O_RDONLY, O_WRONLY } = Fs.constants
  return guarded(Fs.openSync(path, O_NONBLOCK | (mode === "read" ? O_RDONLY : O_WRONLY)), (fd) => {
    check(Fs.fstatSync(fd))
    return fd
  })
}

/** The descriptor is closed where it cannot be used. */
const guarded = <A>(fd: number, use: (fd: number) => A): A => {
  try {
    return use(fd)
  } catch (cause) {
    Fs.closeSync(fd)
    throw cause
  }
}

const failedToOpen = (endpoint: Endpoint.FifoEndpoint) => (cause: unknown): TransportError.TransportError => {
  const name = Endpoint.format(endpoint)
  if (cause instanceof TransportError.InvalidOption) return TransportError.make("open", name, cause)
  const what = Predicate.hasProperty(cause, "path") ? String(cause.path) : name
  return TransportError.make("open", name, reasonOf(cause, { operation: "open", what }), { cause })
}

/**
 * The end of a pipe that is read, open before there is anybody who writes.
 *
 * To read such a pipe is to read its end, as if all writers had left. Linux tells the two apart where one waits for input
 * instead, so a writer that came and left without a byte is an end there. Elsewhere it goes unnoticed.
 */
class FifoReading implements ReadingHalf {
  readonly lingers: boolean
  readonly #fd: number
  readonly #half: ReadingHalf
  /** What came before it was asked for: one read and one look at most, and an end. */
  #early: Array<(port: Wire.Port) => void> = []
  #port: Wire.Port | undefined = undefined
  #released: (() => void) | undefined = undefined
  #isReleased = false
  #isClosed = false
  #isFlowing = false

  constructor(fd: number) {
    this.#fd = fd
    this.#half = guarded(fd, () => openReading(fd, "pipe", () => {}))
    this.lingers = this.#half.lingers
    const unused = () => {}
    this.#half.attach(
      {
        room: () => 0,
        data: (chunk) => this.#report((port) => port.data(chunk)),
        lend: () => false,
        end: () => this.#report((port) => port.end()),
        drained: unused,
        finished: unused,
        broken: (cause) => this.#report((port) => port.broken(cause)),
        refused: unused,
        released: unused
      },
      () => {
        this.#isReleased = true
        this.#settle()
      }
    )
    if (process.platform === "linux") this.#half.resume()
  }

  /** Whether somebody writes, or has written. */
  hasWriter(): boolean {
    if (this.#early.length > 0) return true
    const buffer = new Uint8Array(probeBytes)
    try {
      const bytes = Fs.readSync(this.#fd, buffer)
      if (bytes > 0) this.#report((port) => port.data(buffer.slice(0, bytes)))
      return bytes > 0
    } catch (cause) {
      // There is nothing to read, and somebody who may write.
      if (codeOf(cause) === "EAGAIN") return true
      throw cause
    }
  }

  /** Whether the path still leads to it. */
  isAt(path: string): boolean {
    const [here, there] = [Fs.fstatSync(this.#fd), Fs.statSync(path)]
    return here.dev === there.dev && here.ino === there.ino
  }

  attach(port: Wire.Port, released: () => void): void {
    this.#port = port
    this.#released = released
  }

  resume(): void {
    this.#isFlowing = true
    if (this.#early.length === 0) this.#half.resume()
    else queueMicrotask(() => this.#deliver())
  }

  suspend(): void {
    this.#isFlowing = false
    this.#half.suspend()
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#half.close()
    queueMicrotask(() => this.#settle())
  }

  #report(report: (port: Wire.Port) => void): void {
    if (this.#port !== undefined && this.#isFlowing && this.#early.length === 0) return report(this.#port)
    this.#early.push(report)
    this.#half.suspend()
  }

  #deliver(): void {
    while (this.#isFlowing && this.#early.length > 0) this.#early.shift()!(this.#port!)
    if (this.#isFlowing) this.#half.resume()
    this.#settle()
  }

  /** What came before is told first: that nothing is left would otherwise look like a break. */
  #settle(): void {
    const released = this.#released
    if (!this.#isReleased || released === undefined || (this.#early.length > 0 && !this.#isClosed)) return
    this.#released = undefined
    released()
  }
}

/** To look for a writer may bring input. */
const probeBytes = 4096
