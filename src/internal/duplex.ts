/**
 * A live connection of bytes as a plain state machine: what every transport is inside.
 *
 * It owns all that transports have in common: the queue of each direction and its bound, who waits and who is woken,
 * and the order in which a connection ends. The medium below it is a `Wire`; effects, time and error classes are above
 * it. Nothing here starts by itself: it moves when the wire reports, or when its owner calls.
 *
 * ```
 * life       means                                        leaves by
 * open       both directions live, or one is over         close -> closing, abort | broken | both ended -> ended
 * closing    no new writes; what is queued goes out       finished -> lingering, abort | broken -> ended
 * lingering  all is with the medium; input is discarded   peer's end | limit | broken | abort -> ended
 * ended      the wire was told to let go                  (final; `released` tells when it has)
 * ```
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import { OutputQueue } from "./outputQueue.ts"

/**
 * The medium under a connection. Each method is called by the machine alone, and never after `reset` or `release`. Where
 * `write` or `end` throws, the connection is broken with that.
 */
export interface Wire {
  /** Ends the peer's input late: what we sent could be lost if we let go while input of ours is unread. */
  readonly lingers: boolean
  /**
   * Takes the chunks, in order, as one write. True when all has left user space, and the memory is free again; else
   * `Port.drained` says so later, and the chunks stay untouched until then. One write is under way at a time.
   */
  readonly write: (chunks: ReadonlyArray<Uint8Array>, bytes: number) => boolean
  /** The end of our direction, after all that was written. `Port.finished` answers. */
  readonly end: () => void
  /** Lets go now, and shows the peer a reset where the medium can. `Port.released` answers, never from inside. */
  readonly reset: () => void
  /** Lets go quietly. `Port.released` answers, never from inside. */
  readonly release: () => void
  /** From now on input may come. */
  readonly resume: () => void
  /** From now on no input comes; the peer is held back by the medium. */
  readonly suspend: () => void
  /** Memory that was lent and kept stays with whoever has it. For wires that lend and can wait for it. */
  readonly part?: (() => void) | undefined
}

/**
 * What a wire reports, and never from inside `open`. Reports after `released` are ignored.
 */
export interface Port {
  /** How many bytes of input are welcome now; a wire that can cut its input gives no more. */
  readonly room: () => number
  /** Input. The chunk belongs to the connection from now on. */
  readonly data: (chunk: Uint8Array) => void
  /**
   * Offers input in memory that the wire wants to have back. True: it was taken, and the memory is the wire's again when
   * this returns, or, where `canKeep` and the wire has been told to `suspend`, when it is told to `resume`. False: nobody
   * here reads that way just now, and nothing was taken; what is given by `data` instead is a copy, or memory that the
   * wire parts with.
   */
  readonly lend: (chunk: Uint8Array, canKeep: boolean) => boolean
  /** The peer ended its direction. */
  readonly end: () => void
  /** What `write` did not take at once has left user space. */
  readonly drained: () => void
  /** `end` has reached the medium. */
  readonly finished: () => void
  /** The peer or the medium broke the connection. */
  readonly broken: (cause: unknown) => void
  /**
   * Our direction alone is broken: nobody takes what we write any more, while input goes on to an end of its own. That end
   * ends the connection, with this cause. May be called from inside `write`, which then answers false.
   */
  readonly refused: (cause: unknown) => void
  /** The medium is let go: no handle is left. */
  readonly released: () => void
}

/** Bounds and rules, all in bytes. */
export interface Settings {
  readonly highWaterMark: number
  readonly lowWaterMark: number
  /** Reading stops at this many bytes of input that nobody has pulled. 0: input is taken only for a waiting reader. */
  readonly readMark: number
  /** Writes up to this size are copied and complete at once; larger ones complete when the medium took them. */
  readonly copyMax: number
  readonly lingerBytesMax: number
  readonly onPeerEnd: "keep" | "close"
}

/** Why an operation did not succeed. */
export type Fault =
  | { readonly _tag: "Closed"; readonly by: "close" | "halfClose" | "abort" | "scope"; readonly cause: unknown }
  | { readonly _tag: "Broken"; readonly cause: unknown }
  | { readonly _tag: "FlushTimedOut" }

/** The peer's end, told apart from a fault and from bytes. */
export const EndOfInput = Symbol("EndOfInput")

/** What a reader finds: bytes, the end, or why there are none. */
export type Input = NonEmptyReadonlyArray<Uint8Array> | typeof EndOfInput | Fault

/** A write, a flush or an end that waits. `resume` is called once, without a fault when it did complete. */
export interface Write {
  readonly chunks: ReadonlyArray<Uint8Array>
  readonly bytes: number
  readonly resume: (fault: Fault | undefined, delivery: "NotSent" | "Unknown") => void
  /** Where its last byte stands in our output; set when it is taken into the queue. */
  position: number
}

/**
 * Runs in the read callback. `batch` and `borrow` answer whether it can take more at once; if not, `Duplex.consumed` says
 * when.
 */
export interface Consumer {
  readonly batch: (chunks: NonEmptyReadonlyArray<Uint8Array>) => boolean
  /** A chunk of up to `borrowMax` bytes may come without a copy, and is the wire's again when this returns. */
  readonly borrow: (chunk: Uint8Array, canKeep: boolean) => boolean
  readonly borrowMax: number
  /** It can keep a chunk of any size until it takes more, where the wire can leave it that long. */
  readonly keeps: boolean
  readonly end: (end: typeof EndOfInput | Fault) => void
}

/** Asked of memory with no reader mark: the piece that one waiting reader gets. */
const pieceBytes = 65_536

type Resume = (fault: Fault | undefined) => void

export class Duplex {
  readonly settings: Settings
  readonly #wire: Wire

  life: "open" | "closing" | "lingering" | "ended" = "open"
  released = false
  /** What `closed` fails with; a clean end leaves none. */
  fault: Fault | undefined = undefined
  /** Output that went down with the connection. */
  lostBytes = 0
  /** What our own end answers to reads and writes. */
  #shut: Fault | undefined = undefined

  // Reading
  #input: Array<Uint8Array> = []
  #inputBytes = 0
  /** What the reader was given and may still put back: it takes room, or each `unread` would let in as much again. */
  #inHand = 0
  #inputEnd: typeof EndOfInput | Fault | undefined = undefined
  #endDelivered = false
  #wake: ((input?: Input) => void) | undefined = undefined
  #isWoken = false
  #consumer: Consumer | undefined = undefined
  #consumerBusy = false
  /** It is busy with memory of the wire: no input may come before it is done. */
  #lentTo: Consumer | undefined = undefined
  #readHolds = 0
  #flowing = false
  #lingered = 0

  // Writing
  readonly #output = new OutputQueue()
  /** Queued and in flight. */
  #outputBytes = 0
  #inFlight = 0
  #accepted = 0
  #taken = 0
  #full = false
  #line: Array<Write> = []
  #begun: Array<Write> = []
  #writeHolds = 0
  #ending = false
  #endedBy: "halfClose" | "close" = "halfClose"
  #endSent = false
  /** It broke before all that was accepted was with the medium. */
  #lost = false
  /** What broke our direction alone, while the other lives. */
  #refusal: Extract<Fault, { _tag: "Broken" }> | undefined = undefined
  #finished = false
  #flushScheduled = false
  #inCallback = false

  // Waiting for an end
  #finishWaiters: Array<Resume> = []
  #flushedWaiters: Array<Resume> = []
  #releasedWaiters: Array<Resume> = []

  #ready: Array<() => void> = []
  #settling = false

  constructor(open: (port: Port) => Wire, settings: Settings) {
    this.settings = settings
    this.#wire = open({
      room: () => this.#room(),
      data: (chunk) => this.#onData(chunk),
      lend: (chunk, canKeep) => this.#onLend(chunk, canKeep),
      end: () => this.#onEnd(),
      drained: () => this.#onDrained(),
      finished: () => this.#onFinished(),
      broken: (cause) => this.#onBroken(cause),
      refused: (cause) => this.#onRefused(cause),
      released: () => this.#onReleased()
    })
    this.#steer()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Reading
  // -------------------------------------------------------------------------------------------------------------------

  get inputBytes(): number {
    return this.#inputBytes
  }

  /** Somebody reads: input is awaited, or goes to a consumer. */
  get isAwaited(): boolean {
    return this.#wake !== undefined || this.#consumer !== undefined
  }

  /** What there is to read, taken out; nothing if one has to wait. */
  poll(): Input | undefined {
    // The common case of a reader that waits for each message.
    if (this.#input.length === 0 && this.#inHand === 0 && !this.#isReadable()) return undefined
    const bytes = this.#inputBytes
    const input = this.#take()
    this.#inHand = bytes - this.#inputBytes
    if (input === undefined) return undefined
    this.#steer()
    this.#letGoWhenBothEnded()
    return input
  }

  /**
   * Calls `wake` once, with the input, or without when `poll` is worth a new try. Its receiver has to see to it that no
   * bytes are lost, were somebody interrupted just then.
   */
  awaitInput(wake: (input?: Input) => void): void {
    this.#wake = wake
    this.#steer()
  }

  cancelInput(wake: (input?: Input) => void): void {
    if (this.#wake !== wake) return
    this.#wake = undefined
    this.#steer()
  }

  unread(chunks: ReadonlyArray<Uint8Array>): void {
    if (this.#shut !== undefined) return
    const back = chunks.filter((chunk) => chunk.length > 0)
    let bytes = 0
    for (const chunk of back) bytes += chunk.length
    this.#input = back.concat(this.#input)
    this.#inputBytes += bytes
    this.#inHand = Math.max(0, this.#inHand - bytes)
    this.#deliver()
    this.#steer()
    this.#settle()
  }

  /** Drops what has arrived and nobody has pulled. */
  discardInput(): void {
    this.#input = []
    this.#inputBytes = 0
    this.#steer()
    this.#letGoWhenBothEnded()
    this.#settle()
  }

  /** The reader is done: nothing will be put back. */
  endReading(): void {
    this.#inHand = 0
    this.#steer()
  }

  /** From now on batches go to `consumer`, in the read callback. */
  consume(consumer: Consumer): void {
    this.#consumer = consumer
    this.#consumerBusy = false
    this.#deliver()
    this.#steer()
    this.#letGoWhenBothEnded()
    this.#settle()
  }

  /** This consumer has finished its batch. */
  consumed(consumer: Consumer): void {
    if (this.#lentTo === consumer) this.#lentTo = undefined
    if (this.#consumer !== consumer) return
    this.#consumerBusy = false
    this.#deliver()
    this.#steer()
    this.#letGoWhenBothEnded()
    this.#settle()
  }

  /**
   * No more batches for this consumer; what has not been delivered stays. Where it is not done with what it was lent, the
   * wire parts with that.
   */
  endConsume(consumer: Consumer, isDone = true): void {
    if (this.#lentTo === consumer) {
      this.#lentTo = undefined
      if (!isDone && this.life !== "ended") this.#wire.part?.()
    }
    if (this.#consumer !== consumer) return
    this.#consumer = undefined
    this.#steer()
  }

  holdReading(): void {
    this.#readHolds++
    this.#steer()
  }

  unholdReading(): void {
    this.#readHolds--
    this.#deliver()
    this.#steer()
    this.#letGoWhenBothEnded()
    this.#settle()
  }

  #take(): Input | undefined {
    if (this.#shut !== undefined) return this.#endDelivered ? EndOfInput : this.#shut
    if (this.#readHolds > 0) return undefined
    if (this.#input.length > 0) {
      const input = this.#input
      this.#input = []
      this.#inputBytes = 0
      return input as unknown as NonEmptyReadonlyArray<Uint8Array>
    }
    if (this.#inputEnd === EndOfInput) this.#endDelivered = true
    return this.#inputEnd
  }

  #isReadable(): boolean {
    return this.#shut !== undefined ||
      (this.#readHolds === 0 && (this.#input.length > 0 || this.#inputEnd !== undefined))
  }

  #deliver(): void {
    const wake = this.#wake
    if (wake !== undefined && !this.#isWoken && this.#isReadable()) {
      this.#isWoken = true
      // It waits until then: whoever pulls meanwhile is the second one, and it may still be interrupted.
      this.#ready.push(() => {
        this.#isWoken = false
        if (this.#wake !== wake) return
        this.#wake = undefined
        wake()
      })
    }
    while (this.#consumer !== undefined && !this.#consumerBusy) {
      const consumer = this.#consumer
      const input = this.#take()
      if (input === undefined) return
      if (Array.isArray(input)) {
        this.#consumerBusy = true
        if (consumer.batch(input as NonEmptyReadonlyArray<Uint8Array>) && this.#consumer === consumer) {
          this.#consumerBusy = false
        }
      } else {
        this.#consumer = undefined
        this.#ready.push(() => consumer.end(input as typeof EndOfInput | Fault))
      }
    }
  }

  #steer(): void {
    // The common case, with no more than has to be looked at: it flows, and there is room.
    if (
      this.#flowing && this.life === "open" && this.#inputEnd === undefined && this.#readHolds === 0 &&
      this.#lentTo === undefined &&
      this.#inputBytes + this.#inHand < this.settings.readMark
    ) return
    const flowing = this.#room() > 0
    if (flowing === this.#flowing) return
    this.#flowing = flowing
    if (flowing) this.#wire.resume()
    else this.#wire.suspend()
  }

  /** How much input is welcome. After our own end all of it, since it is thrown away. */
  #room(): number {
    if (this.life === "ended" || this.#inputEnd !== undefined || this.#lentTo !== undefined) return 0
    if (this.life !== "open") return pieceBytes
    if (this.#readHolds > 0) return 0
    const { readMark } = this.settings
    const room = readMark - this.#inputBytes - this.#inHand
    // Once full, it stays closed until half is free: whoever reads byte by byte would get his input in as small pieces.
    if (room > 0 && (this.#flowing || room * 2 >= readMark)) return room
    const awaited = this.#wake !== undefined || (this.#consumer !== undefined && !this.#consumerBusy)
    return awaited && this.#inputBytes === 0 ? pieceBytes : 0
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Writing
  // -------------------------------------------------------------------------------------------------------------------

  get outputBytes(): number {
    return this.#outputBytes
  }

  /** Why a write would be refused now. */
  get writeFault(): Fault | undefined {
    return this.#shut ?? this.outputFault ?? (this.#ending ? closedBy(this.#endedBy) : undefined)
  }

  /** What broke our direction, alone or with all of the connection, or ended it by force. */
  get outputFault(): Fault | undefined {
    return this.fault ?? this.#refusal
  }

  /** The short way of a small write: taken, copied and complete, or not taken at all. */
  writeNow(chunk: Uint8Array): boolean {
    const bytes = chunk.length
    if (!this.#takesNow(bytes)) return false
    if (bytes > 0) {
      this.#output.copy(chunk)
      this.#account(bytes)
      this.#flushSoon()
    }
    return true
  }

  /**
   * The short way of a large write on an empty queue: begun, or not taken at all. True when the medium has all of it; else
   * a `flush` completes when it has. It is none where every write is to wait.
   */
  writeThrough(chunks: ReadonlyArray<Uint8Array>, bytes: number): boolean | undefined {
    if (
      bytes <= this.settings.copyMax || this.settings.copyMax === 0 || this.#outputBytes > 0 || this.#line.length > 0 ||
      this.#writeHolds > 0 ||
      this.life !== "open" || this.#ending
    ) return undefined
    for (let i = 0; i < chunks.length; i++) this.#output.refer(chunks[i]!)
    this.#account(bytes)
    this.flushNow()
    return this.#outputBytes === 0 && this.life === "open" && this.#refusal === undefined
  }

  /** As `writeNow`, of several chunks as one write. */
  writeAllNow(chunks: ReadonlyArray<Uint8Array>, bytes: number): boolean {
    if (!this.#takesNow(bytes)) return false
    if (bytes > 0) {
      for (let i = 0; i < chunks.length; i++) this.#output.copy(chunks[i]!)
      this.#account(bytes)
      this.#flushSoon()
    }
    return true
  }

  #takesNow(bytes: number): boolean {
    if (!this.#isOpenTo(bytes)) return false
    if (this.#output.fits(bytes) || this.#inFlight > 0 || this.#writeHolds > 0) return true
    // The slab is full: it leaves, and while the medium takes it at once, it can be filled again.
    this.flushNow()
    return this.#isOpenTo(bytes)
  }

  #isOpenTo(bytes: number): boolean {
    return bytes <= this.settings.copyMax && this.life === "open" && !this.#ending && this.#line.length === 0 &&
      this.#hasRoom(bytes)
  }

  /** Takes the write, or keeps it until there is room. The caller has asked `writeFault`. */
  write(write: Write): void {
    // What is queued for the end of the turn may be gone at once.
    if (!this.#hasRoom(write.bytes)) this.#flush()
    // It may have ended in that very flush, and has nobody then who would ever wake this one.
    const fault = this.writeFault
    if (fault !== undefined) this.#ready.push(() => write.resume(fault, "NotSent"))
    else if (this.#line.length > 0 || !this.#hasRoom(write.bytes)) this.#line.push(write)
    else {
      this.#enqueue(write)
      if (write.bytes > this.settings.copyMax) this.#flush()
    }
    this.#settle()
  }

  /** Withdraws a write that waits for room. False for one that was begun: it goes out whole, and its `resume` is called. */
  withdraw(write: Write): boolean {
    const waiting = this.#line.indexOf(write)
    if (waiting < 0) return false
    this.#line.splice(waiting, 1)
    // The one behind it may fit where this one did not.
    this.#admit()
    this.#settle()
    return true
  }

  /** Whoever waits for this write waits no longer. */
  cancelWrite(write: Write): "NotSent" | "Unknown" {
    if (this.withdraw(write)) return "NotSent"
    const begun = this.#begun.indexOf(write)
    if (begun >= 0) this.#begun.splice(begun, 1)
    return "Unknown"
  }

  /** Completes when everything accepted so far has left user space. */
  flush(write: Write): void {
    write.position = this.#accepted
    this.#begun.push(write)
    this.#flush()
    this.#wakeTaken()
    // Its caller may have looked at the connection some steps ago: nobody would ever wake one that comes after the end.
    if (this.life === "ended" || this.#refusal !== undefined) this.#failBegun(this.outputFault ?? closedBy("close"))
    this.#settle()
  }

  /** Sends what is queued now, and not at the end of the turn. */
  flushNow(): void {
    this.#flush()
    this.#settle()
  }

  holdWriting(): void {
    this.#writeHolds++
  }

  unholdWriting(): void {
    this.#writeHolds--
    this.#flush()
    this.#settle()
  }

  #hasRoom(bytes: number): boolean {
    return this.#outputBytes === 0 || (!this.#full && bytes <= this.settings.highWaterMark)
  }

  #enqueue(write: Write): void {
    const copied = write.bytes <= this.settings.copyMax
    for (const chunk of write.chunks) {
      if (copied) this.#output.copy(chunk)
      else this.#output.refer(chunk)
    }
    this.#account(write.bytes)
    write.position = copied ? 0 : this.#accepted
    if (copied) {
      this.#flushSoon()
      this.#ready.push(() => write.resume(undefined, "Unknown"))
    } else this.#begun.push(write)
  }

  #account(bytes: number): void {
    this.#accepted += bytes
    this.#outputBytes += bytes
    if (this.#outputBytes > this.settings.highWaterMark) this.#full = true
  }

  /** One flush for all writes of a turn; at the end of the read callback where one is running. */
  #flushSoon(): void {
    if (this.#flushScheduled || this.#inFlight > 0) return
    this.#flushScheduled = true
    if (this.#inCallback) return
    queueMicrotask(() => {
      this.#flushScheduled = false
      this.#flush()
      this.#settle()
    })
  }

  #flush(): void {
    while (this.#inFlight === 0 && this.life !== "ended" && (this.#writeHolds === 0 || this.life !== "open")) {
      const chunks = this.#output.takeAll()
      if (chunks.length === 0) break
      const bytes = this.#inFlight = this.#outputBytes
      let isTaken: boolean
      try {
        isTaken = this.#wire.write(chunks, bytes)
      } catch (cause) {
        return this.#onBroken(cause)
      }
      // The connection may have ended within the write.
      if (this.#inFlight === 0) return
      if (!isTaken) return
      this.#took()
    }
    this.#endWhenDrained()
  }

  /** What was in flight has left user space: whoever waited for that, or for room, goes on. */
  #took(): void {
    this.#output.reuseSlabs()
    this.#outputBytes -= this.#inFlight
    this.#taken += this.#inFlight
    this.#inFlight = 0
    this.#wakeTaken()
    if (this.#outputBytes <= this.settings.lowWaterMark) this.#full = false
    this.#admit()
  }

  #wakeTaken(): void {
    while (this.#begun.length > 0 && this.#begun[0]!.position <= this.#taken) {
      const write = this.#begun.shift()!
      this.#ready.push(() => write.resume(undefined, "Unknown"))
    }
  }

  #admit(): void {
    while (this.#line.length > 0 && this.life === "open" && this.#hasRoom(this.#line[0]!.bytes)) {
      this.#enqueue(this.#line.shift()!)
    }
  }

  /** Whoever waits for our output to move will wait no longer, and what it held is dropped. */
  #failAll(fault: Fault): void {
    this.#failLine(fault)
    this.#wakeAll(this.#finishWaiters, fault)
    this.#wakeAll(this.#flushedWaiters, fault)
    this.lostBytes += this.#outputBytes
    this.#failBegun(fault)
    this.#output.clear()
    this.#outputBytes = this.#inFlight = 0
  }

  #failBegun(fault: Fault): void {
    for (const write of this.#begun.splice(0)) this.#ready.push(() => write.resume(fault, "Unknown"))
  }

  #failLine(fault: Fault): void {
    for (const write of this.#line.splice(0)) this.#ready.push(() => write.resume(fault, "NotSent"))
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Ending
  // -------------------------------------------------------------------------------------------------------------------

  /** Ends our direction after what is queued and waiting. The caller has asked `writeFault`, or is a second one. */
  halfClose(resume: Resume): void {
    this.#finishWaiters.push(resume)
    this.#endOutput("halfClose")
    if (this.#finished) this.#wakeAll(this.#finishWaiters, undefined)
    this.#settle()
  }

  cancelHalfClose(resume: Resume): void {
    this.#finishWaiters = this.#finishWaiters.filter((waiter) => waiter !== resume)
  }

  /** open -> closing. A pause of writing no longer counts; writes that wait for room are refused. */
  close(by: "close" | "scope", cause: unknown): void {
    this.#silence(closedBy(by, cause))
    if (this.life === "open") {
      this.life = "closing"
      // What is lent must not hide the peer's end from us.
      if (this.#lentTo !== undefined) {
        this.#lentTo = undefined
        this.#wire.part?.()
      }
      // A wire may answer `end` at once, and has then led on by itself.
      if (this.#refusal !== undefined) this.#onBroken(this.#refusal.cause)
      else if (this.#finished) this.#linger()
      else this.#endOutput("close")
      this.#steer()
    }
    this.#settle()
  }

  /** any -> ended, with a reset. */
  abort(fault: Fault): void {
    const isFirst = this.life !== "ended"
    if (isFirst) {
      this.life = "ended"
      this.fault = fault
      // It overtakes a close; a close that ran out of time is still what ended it for later calls.
      if (fault._tag === "Closed") this.#shut = undefined
      this.#flowing = false
      this.#failAll(fault)
    }
    this.#silence(fault)
    // Last, since the other end of a wire in memory learns it at once, and may abort in turn.
    if (isFirst) this.#wire.reset()
    this.#settle()
  }

  /** lingering -> ended, when whoever closes has waited long enough. */
  letGo(): void {
    if (this.life === "ended") return
    this.life = "ended"
    this.#flowing = false
    this.#wire.release()
    this.#wakeReleased()
    this.#settle()
  }

  /** Completes when all that was written is with the medium, our end included. The caller has called `close`. */
  awaitFlushed(resume: Resume): void {
    this.#flushedWaiters.push(resume)
    if (this.life === "lingering" || this.life === "ended") {
      // To close what ended before is no failure, unless bytes that were accepted went down with it.
      this.#wakeAll(this.#flushedWaiters, this.#lost ? this.fault : undefined)
    }
    this.#settle()
  }

  cancelFlushed(resume: Resume): void {
    this.#flushedWaiters = this.#flushedWaiters.filter((waiter) => waiter !== resume)
  }

  /** Completes when nothing is left of the connection, with what ended it. */
  awaitReleased(resume: Resume): void {
    this.#releasedWaiters.push(resume)
    this.#wakeReleased()
    this.#settle()
  }

  cancelReleased(resume: Resume): void {
    this.#releasedWaiters = this.#releasedWaiters.filter((waiter) => waiter !== resume)
  }

  /** From now on reads and writes are answered with `shut`, unless the reader has seen the end or all ended in peace. */
  #silence(shut: Fault): void {
    if (this.#shut !== undefined || (this.life === "ended" && this.fault === undefined)) return
    this.#shut = shut
    this.#failLine(shut)
    this.#input = []
    this.#inputBytes = 0
    this.#deliver()
  }

  #wakeAll(waiters: Array<Resume>, fault: Fault | undefined): void {
    for (const resume of waiters.splice(0)) this.#ready.push(() => resume(fault))
  }

  #endOutput(by: "halfClose" | "close"): void {
    if (!this.#ending) this.#endedBy = by
    this.#ending = true
    this.#flush()
  }

  #endWhenDrained(): void {
    if (!this.#ending || this.#endSent || this.#outputBytes > 0 || this.life === "ended") {
      return
    }
    this.#endSent = true
    try {
      this.#wire.end()
    } catch (cause) {
      this.#onBroken(cause)
    }
  }

  /** closing -> lingering. */
  #linger(): void {
    this.life = "lingering"
    this.#wakeAll(this.#flushedWaiters, undefined)
    if (this.#inputEnd !== undefined || !this.#wire.lingers) this.letGo()
  }

  /** open -> ended, by both ends in peace. What was received must have been read: letting go may not lose it. */
  #letGoWhenBothEnded(): void {
    if (this.life !== "open" || !this.#finished || this.#inputEnd === undefined || this.#input.length > 0) return
    this.letGo()
  }

  #wakeReleased(): void {
    if (this.life !== "ended" || !this.released) return
    this.#wakeAll(this.#releasedWaiters, this.fault)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Port: what the wire reports
  // -------------------------------------------------------------------------------------------------------------------

  #onData(chunk: Uint8Array): void {
    if (this.#isUnwanted(chunk)) return
    const nested = this.#inCallback
    this.#inCallback = true
    const wake = this.#wake
    const consumer = this.#consumer
    const isNext = this.#input.length === 0 && this.#readHolds === 0 && this.#ready.length === 0 && !this.#settling
    // The two common cases, on the shortest way: somebody waits for it, and nothing comes before.
    if (isNext && wake !== undefined) {
      this.#wake = undefined
      this.#inHand = chunk.length
      this.#settling = true
      try {
        wake([chunk])
      } finally {
        this.#settling = false
      }
    } else if (isNext && consumer !== undefined && !this.#consumerBusy) {
      this.#consumerBusy = true
      this.#goOn(consumer, consumer.batch([chunk]))
    } else {
      this.#input.push(chunk)
      this.#inputBytes += chunk.length
      this.#deliver()
    }
    this.#leaveCallback(nested)
  }

  /** A consumer has been given a chunk. It may have put some of it back, or ended the connection, or be one no more. */
  #goOn(consumer: Consumer, isDone: boolean): void {
    if (!isDone || this.#consumer !== consumer) return
    this.#consumerBusy = false
    if (this.#isReadable()) this.#deliver()
  }

  #onLend(chunk: Uint8Array, canKeep: boolean): boolean {
    if (this.#isUnwanted(chunk)) return true
    const consumer = this.#consumer
    if (
      consumer === undefined || (chunk.length > consumer.borrowMax && !(canKeep && consumer.keeps)) ||
      this.#consumerBusy || this.#input.length > 0 || this.#readHolds > 0
    ) return false
    const nested = this.#inCallback
    this.#inCallback = true
    this.#consumerBusy = true
    this.#lentTo = consumer
    const isDone = consumer.borrow(chunk, canKeep)
    if (isDone || !canKeep || !consumer.keeps) this.#lentTo = undefined
    this.#goOn(consumer, isDone)
    this.#leaveCallback(nested)
    return true
  }

  /** Nobody will read it. While we linger it is counted: it ends with a bound. */
  #isUnwanted(chunk: Uint8Array): boolean {
    if (this.life === "ended" || chunk.length === 0) return true
    if (this.#shut === undefined) return false
    if (this.life === "lingering") {
      this.#lingered += chunk.length
      if (this.#lingered >= this.settings.lingerBytesMax) this.letGo()
    }
    return true
  }

  #leaveCallback(nested: boolean): void {
    this.#settle()
    this.#inCallback = nested
    // Writes made by whoever was woken here need no turn of their own.
    if (!nested && this.#flushScheduled) {
      this.#flushScheduled = false
      this.#flush()
    }
    this.#steer()
    this.#settle()
  }

  #onEnd(): void {
    if (this.life === "ended" || this.#inputEnd !== undefined) return
    this.#inputEnd = EndOfInput
    this.#flowing = false
    if (this.life === "lingering") return this.letGo()
    if (this.#refusal !== undefined) return this.#onBroken(this.#refusal.cause)
    this.#deliver()
    if (this.settings.onPeerEnd === "close" && this.life === "open") this.#endOutput("close")
    this.#letGoWhenBothEnded()
    this.#settle()
  }

  #onDrained(): void {
    if (this.life === "ended" || this.#inFlight === 0) return
    this.#took()
    this.#flush()
    this.#settle()
  }

  #onFinished(): void {
    if (this.life === "ended" || this.#finished) return
    this.#finished = true
    this.#wakeAll(this.#finishWaiters, undefined)
    if (this.life === "closing") this.#linger()
    else this.#letGoWhenBothEnded()
    this.#settle()
  }

  #onBroken(cause: unknown): void {
    if (this.life === "ended") return
    // All is with the medium: an error now would say that something was lost, and nothing was.
    if (this.life === "lingering") return this.letGo()
    const fault: Fault = this.fault = { _tag: "Broken", cause }
    this.life = "ended"
    this.#flowing = false
    this.#loseOutput(fault)
    this.#inputEnd ??= fault
    this.#deliver()
    this.#wire.release()
    this.#settle()
  }

  #onRefused(cause: unknown): void {
    // After our end all is with the medium, as in `#onBroken`.
    if (this.life === "ended" || this.#finished || this.#refusal !== undefined) return
    // Nothing is left to read, or nobody who would.
    if (this.life !== "open" || this.#inputEnd !== undefined) return this.#onBroken(cause)
    const fault: Fault = { _tag: "Broken", cause }
    this.#loseOutput(fault)
    this.#refusal = fault
    // As after an end that was sent, there is nothing more to take and nothing to send.
    this.#ending = this.#endSent = true
    this.#settle()
  }

  #loseOutput(fault: Fault): void {
    if (this.#refusal === undefined) this.#lost = this.#outputBytes > 0 || (this.#ending && !this.#finished)
    this.#failAll(fault)
  }

  #onReleased(): void {
    if (this.released) return
    this.released = true
    const endedInPeace = this.#finished && this.#inputEnd === EndOfInput
    if (this.life !== "ended" && !endedInPeace) this.#onBroken(undefined)
    this.#wakeReleased()
    this.#settle()
  }

  // -------------------------------------------------------------------------------------------------------------------

  /** The only place that wakes anyone, so that order has one owner and nobody runs in the middle of a transition. */
  #settle(): void {
    if (this.#settling || this.#ready.length === 0) return
    this.#settling = true
    try {
      for (let next = this.#ready.shift(); next !== undefined; next = this.#ready.shift()) next()
    } finally {
      this.#settling = false
    }
  }
}

export const closedBy = (by: "close" | "halfClose" | "abort" | "scope", cause?: unknown): Fault => ({
  _tag: "Closed",
  by,
  cause
})

/** Present wherever JavaScript runs, and in no type library that this floor may see. */
declare const queueMicrotask: (run: () => void) => void
