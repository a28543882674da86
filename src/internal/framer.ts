/**
 * The decoder of every codec that finds its frames by looking at bytes.
 *
 * A framing says where one frame ends; all the rest is here, once: bytes that are cut anywhere, what is kept and how
 * much, `max` and `rest`, where in the input a frame stands, and what becomes of one that is broken. Feeding is linear,
 * however small the pieces: a frame that is not whole is looked at again only with more bytes, and from where the last
 * look ended.
 */

/** Where one frame ends. It answers through `found`, once for each call. */
export interface Finder<Reason> {
  /**
   * Looks at the frame that begins at `from`, where there is at least one byte. `searched` of its bytes were looked at
   * before, when this answered `more`; with 0 it is another frame.
   */
  find(bytes: Uint8Array, from: number, searched: number, found: Found<Reason>): void
  /** The input ends here, and the frame at `from` is not whole. Without it, that is a frame cut short. */
  end?(bytes: Uint8Array, from: number, found: Found<Reason>): void
  /**
   * Looks for the end of a broken frame that cannot be told or is not trusted: `found.frame` says where the next one
   * begins, `found.more` how many bytes from `from` on can be dropped. There may be none. For frames with a mark between
   * them; where there is none, the next frame is tried for at each byte.
   */
  skip?(bytes: Uint8Array, from: number, found: Found<Reason>): void
  /** Of a finder that remembers something from one `skip` to the next: another one that stands where this one stands. */
  fork?(): Finder<Reason>
}

/** What a look found. */
export class Found<Reason> {
  verdict: "more" | "frame" | "blank" | "broken" = "more"
  start = 0
  end = 0
  next: number | undefined = undefined
  searched = 0
  need = 0
  #reason: Reason | (() => Reason) | undefined = undefined

  get reason(): Reason {
    return typeof this.#reason === "function" ? (this.#reason as () => Reason)() : this.#reason!
  }

  /** A whole frame: its content is `bytes[start..end)`, and the next one begins at `next`. */
  frame(start: number, end: number, next: number): void {
    this.verdict = "frame"
    this.start = start
    this.end = end
    this.next = next
  }

  /** No frame begins before `next`: what is between is nothing, as white space is. */
  blank(next: number): void {
    this.verdict = "blank"
    this.next = next
  }

  /**
   * It takes more bytes: `searched` need not be looked at again, and, where the length is known, there have to be `need`
   * of them before the next look.
   */
  more(searched: number, need = 0): void {
    this.verdict = "more"
    this.searched = searched
    this.need = need
  }

  /**
   * It is no frame. `next`, where that can be told, is where it ends; that may be behind the bytes that are there. Where
   * a frame is tried for at each byte, nobody asks why it is none, and a reason that is made by a function costs nothing.
   */
  broken(reason: Reason | (() => Reason), next?: number): void {
    this.verdict = "broken"
    this.#reason = reason
    this.next = next
  }
}

/** How frames lie in bytes, and what is made of one. */
export interface Framing<out In, Reason> {
  /** The most bytes of a frame that are kept while it is not whole. */
  readonly bytesMax: number
  readonly finder: () => Finder<Reason>
  /** What is made of the content of a frame, which is borrowed for the call; `found.broken` refuses it. */
  take(content: Uint8Array, found: Found<Reason>): In
  /**
   * A short way for many whole frames at once, tried where there may be many: appends at most `room` of them and answers
   * with where the first that it left begins; with `from` where it cannot tell.
   */
  takeMany?(bytes: Uint8Array, from: number, out: Array<In>, room: number): number
  /** So many milliseconds without input end a frame. */
  readonly gapMs?: number | undefined
}

/** What becomes of a frame that is broken. */
export type OnBroken = "fatal" | "skip" | "resync"

/** How what goes wrong is told. */
export interface Telling<In, Reason, Failure> {
  tooLong(max: number): Reason
  cutShort(bytes: number): Reason
  failure(offset: number, reason: Reason): Failure
  skipped(offset: number, bytes: number, reason: Reason): In
}

/** The content itself, as a frame that belongs to its receiver. */
export const copyOf = (content: Uint8Array): Uint8Array => {
  const copy = new Uint8Array(content.length)
  copy.set(content)
  return copy
}

/** Contents that are copied together: the more, the cheaper each, and the more memory is pinned by one that is kept. */
const runBytes = 8192

/** Where fewer bytes arrive there are seldom many frames. */
const manyBytes = 256

/** A decoder that waits between two frames keeps no more spare memory than this. */
const idleBytes = 1024

const nothing = new Uint8Array(0)

/** Input that is being passed over. */
interface Skipping<Reason> {
  readonly reason: Reason
  /** Where it begins. */
  readonly offset: number
  /**
   * Where the next frame begins: at an offset that is known; where the finder says (`"search"`); or at the first byte at
   * which there is one (`"try"`).
   */
  readonly until: number | "search" | "try"
}

/** Where a decoder stands. */
interface Mark<Reason> {
  readonly offset: number
  readonly skipping?: Skipping<Reason> | undefined
  readonly finder?: Finder<Reason> | undefined
  /** Nothing where the time when the last of it came is not known yet. */
  readonly arrivedMs?: number | undefined
}

export class Framer<In, Reason, Failure> {
  readonly aliases = false
  readonly #framing: Framing<In, Reason>
  readonly #onBroken: OnBroken
  readonly #telling: Telling<In, Reason, Failure>
  readonly #finder: Finder<Reason>
  readonly #found = new Found<Reason>()

  // What is kept: the frame that is not whole, and, where `max` stopped it, the rest of that chunk.
  #buffer: Uint8Array = nothing
  #from = 0
  #to = 0
  /** How many bytes of input came before `#from`. */
  #offset: number
  #searched = 0
  #need = 0
  #skipping: Skipping<Reason> | undefined
  #error: Failure | undefined = undefined
  /** There may be whole frames in what is kept. */
  #isStopped = false
  #hasArrived: boolean
  #arrivedMs: number
  /** Only where time ends frames. */
  declare due?: (nowMs: number, out: Array<In>) => number | undefined

  constructor(
    framing: Framing<In, Reason>,
    onBroken: OnBroken,
    telling: Telling<In, Reason, Failure>,
    mark: unknown = 0
  ) {
    this.#framing = framing
    this.#onBroken = onBroken
    this.#telling = telling
    const { arrivedMs, finder, offset, skipping }: Mark<Reason> = typeof mark === "number"
      ? { offset: mark }
      : mark as Mark<Reason>
    this.#finder = finder?.fork?.() ?? framing.finder()
    this.#offset = offset
    this.#skipping = skipping
    this.#hasArrived = arrivedMs === undefined
    this.#arrivedMs = arrivedMs ?? 0
    if (framing.gapMs !== undefined) this.due = (nowMs, out) => this.#due(nowMs, out)
  }

  decode(bytes: Uint8Array | undefined, out: Array<In>, max: number): Failure | undefined {
    if (this.#error !== undefined) return this.#error
    const limit = out.length + max
    if (bytes === undefined || bytes.length === 0) {
      this.#scanKept(out, limit, false)
      this.#trim()
      return this.#error
    }
    this.#hasArrived = true
    // Small pieces of a frame whose length is known: nobody needs to look at them.
    if (bytes.length < this.#need - (this.#to - this.#from)) {
      this.#keep(bytes, 0, bytes.length)
      return undefined
    }
    if (this.#isStopped) this.#scanKept(out, limit, false)
    let at = 0
    // Of the chunk, little more is copied than the end of the frame that was begun before.
    while (this.#from < this.#to && at < bytes.length && out.length < limit && this.#error === undefined) {
      const kept = this.#to - this.#from
      const start = this.#offset + kept - at
      const end = Math.min(bytes.length, at + (this.#need > kept ? this.#need - kept : Math.max(kept, 256)))
      this.#keep(bytes, at, end)
      // One at a time, so that it stops where the chunk is reached: what is left stands there.
      do this.#scanKept(out, out.length + 1, false)
      while (this.#isStopped && out.length < limit && this.#offset < start + at)
      const reached = this.#offset - start
      if (reached < at) at = end
      else {
        at = reached
        this.#from = this.#to = 0
      }
    }
    if (at < bytes.length) {
      if (this.#from === this.#to && this.#error === undefined) at = this.#scan(bytes, at, out, limit, false)
      this.#keep(bytes, at, bytes.length)
    }
    this.#trim()
    return this.#error
  }

  end(out: Array<In>): Failure | undefined {
    if (this.#error === undefined) this.#scanKept(out, Infinity, true)
    this.#trim()
    return this.#error
  }

  rest(): Uint8Array {
    const rest = this.#buffer.subarray(this.#from, this.#to)
    this.#buffer = nothing
    this.#from =
      this.#to =
      this.#searched =
      this.#need =
        0
    return rest
  }

  mark(): unknown {
    // Asked for at every pull: mostly a number will do.
    if (this.#skipping === undefined) return this.#offset
    return {
      offset: this.#offset,
      skipping: this.#skipping,
      finder: this.#finder.fork?.(),
      arrivedMs: this.#hasArrived ? undefined : this.#arrivedMs
    } satisfies Mark<Reason>
  }

  #due(nowMs: number, out: Array<In>): number | undefined {
    if (this.#hasArrived) {
      this.#hasArrived = false
      this.#arrivedMs = nowMs
    }
    if (this.#from === this.#to && this.#skipping === undefined) return undefined
    const at = this.#arrivedMs + this.#framing.gapMs!
    if (nowMs < at) return at
    this.end(out)
    return undefined
  }

  #keep(bytes: Uint8Array, from: number, to: number): void {
    const more = to - from
    if (more === 0) return
    const kept = this.#to - this.#from
    if (this.#to + more > this.#buffer.length) {
      const room = Math.min(2 * this.#buffer.length, this.#framing.bytesMax)
      const buffer = new Uint8Array(Math.max(64, kept + more, kept === 0 ? 0 : room))
      buffer.set(this.#buffer.subarray(this.#from, this.#to))
      this.#buffer = buffer
      this.#from = 0
      this.#to = kept
    }
    if (more > 32) {
      this.#buffer.set(more === bytes.length ? bytes : bytes.subarray(from, to), this.#to)
      this.#to += more
    } else {
      // Cheaper than a call for so few.
      for (let i = from; i < to; i++) this.#buffer[this.#to++] = bytes[i]!
    }
  }

  #scanKept(out: Array<In>, limit: number, isEnd: boolean): void {
    this.#from = this.#scan(this.#buffer.subarray(0, this.#to), this.#from, out, limit, isEnd)
    if (this.#from === this.#to) this.#from = this.#to = 0
  }

  /** Gives up memory that is spare, once for each call: between two frames of one chunk it is soon needed again. */
  #trim(): void {
    const kept = this.#to - this.#from
    if (kept === 0) {
      if (this.#buffer.length > idleBytes) this.#buffer = nothing
    } else if (this.#buffer.length > 4 * idleBytes && this.#buffer.length > 8 * kept) {
      this.#buffer = copyOf(this.#buffer.subarray(this.#from, this.#to))
      this.#from = 0
      this.#to = kept
    }
  }

  /** Takes frames from `from` on, and answers with where the first that it left begins. */
  #scan(bytes: Uint8Array, from: number, out: Array<In>, limit: number, isEnd: boolean): number {
    const to = bytes.length
    const framing = this.#framing
    const finder = this.#finder
    const found = this.#found
    const isCopy = framing.take as unknown === copyOf
    const base = this.#offset - from
    let takeMany: "later" | "now" | "never" = framing.takeMany === undefined
      ? "never"
      : to - from >= manyBytes && this.#searched === 0 && this.#skipping === undefined
      ? "now"
      : "later"
    while (out.length < limit && this.#error === undefined) {
      const skipping = this.#skipping
      if (skipping !== undefined && skipping.until !== "try") {
        from = this.#passOver(skipping, bytes, from, base)
        if (found.verdict === "more" && !isEnd) break
        if (found.verdict === "more") from = to
        out.push(this.#skipped(skipping, base + from))
        continue
      }
      if (from === to) break
      if (takeMany === "now" && skipping === undefined) {
        const next = framing.takeMany!(bytes, from, out, limit - out.length)
        if (next === from) takeMany = "never"
        from = next
        continue
      }
      if (to - from < this.#need && !isEnd) break
      this.#need = 0
      if (isCopy && this.#searched === 0 && skipping === undefined) {
        from = this.#copyMany(bytes, from, out, limit)
        if (found.verdict === "frame") continue
      } else finder.find(bytes, from, this.#searched, found)
      if (found.verdict === "more") {
        // Before the end is looked at: `max` may have stopped an earlier look, and what is found must not depend on that.
        if (to - from >= framing.bytesMax || found.need > framing.bytesMax) {
          found.broken(() => this.#telling.tooLong(framing.bytesMax))
        } else if (!isEnd) {
          this.#searched = found.searched
          this.#need = found.need
          break
        } else {
          const bytesLeft = to - from
          if (finder.end === undefined) found.broken(() => this.#telling.cutShort(bytesLeft))
          else finder.end(bytes, from, found)
          if ((found.verdict as string) === "more") throw nonsense("more", "the end of the input")
        }
      }
      this.#searched = 0
      this.#check(from, to)
      const next = found.next
      if (found.verdict === "blank") {
        from = next!
        continue
      }
      if (found.verdict === "frame") {
        const item = framing.take(bytes.subarray(found.start, found.end), found)
        // `take` may have refused it.
        if ((found.verdict as string) === "frame") {
          if (skipping !== undefined) {
            out.push(this.#skipped(skipping, base + from))
            // No room for the frame: it is found again.
            if (out.length >= limit) break
          }
          out.push(item)
          from = next!
          if (takeMany === "later") takeMany = "now"
          continue
        }
      }
      if (this.#onBroken === "fatal") {
        this.#error = this.#telling.failure(base + from, found.reason)
      } else if (skipping !== undefined) from++
      else {
        const isTrusted = this.#onBroken === "skip" && next !== undefined
        const until = isTrusted ? base + next : finder.skip !== undefined ? "search" : "try"
        this.#skipping = { reason: found.reason, offset: base + from, until }
        if (until === "try") from++
      }
    }
    this.#isStopped = out.length >= limit
    if (isEnd && from === to && this.#skipping !== undefined) out.push(this.#skipped(this.#skipping, base + to))
    this.#offset = base + from
    return from
  }

  /**
   * The short way for frames that are their content: those that follow each other are copied together. What `found` says
   * at the end is of the frame at the place that this answers with; it says `frame` where there is none, or no room for
   * it.
   */
  #copyMany(bytes: Uint8Array, from: number, out: Array<In>, limit: number): number {
    const to = bytes.length
    const finder = this.#finder
    const found = this.#found
    // Where the contents of frames begin and end.
    const run: Array<number> = []
    let length = 0
    while (from < to && out.length + length / 2 < limit) {
      finder.find(bytes, from, 0, found)
      if (found.verdict !== "frame") break
      this.#check(from, to)
      if ((found.verdict as string) !== "frame") break
      const { end, start } = found
      if (length > 0 && end - run[0]! > runBytes) {
        copyRun(bytes, run, length, out)
        length = 0
      }
      run[length++] = start
      run[length++] = end
      from = found.next!
    }
    copyRun(bytes, run, length, out)
    return from
  }

  /** What a finder answers has to be possible, and a whole frame no longer than one in pieces could be. */
  #check(from: number, to: number): void {
    const { end, next, start, verdict } = this.#found
    const isPossible = verdict === "frame"
      ? from <= start && start <= end && end <= next! && next! > from && next! <= to
      : verdict === "blank"
      ? next! > from && next! <= to
      : next === undefined || next > from
    if (!isPossible) throw nonsense(verdict, next! - from)
    const max = this.#framing.bytesMax
    if (verdict === "frame" && next! - from > max) this.#found.broken(() => this.#telling.tooLong(max))
  }

  /** Where the next frame begins, or, where `found` says `more`, up to where bytes can be dropped. */
  #passOver({ offset, until }: Skipping<Reason>, bytes: Uint8Array, from: number, base: number): number {
    const found = this.#found
    if (typeof until === "string") {
      this.#finder.skip!(bytes, from, found)
      const isMore = found.verdict === "more"
      const reached = isMore ? from + found.searched : found.next!
      // A skip that leads nowhere would go on for ever.
      const isAhead = reached >= from && reached <= bytes.length && (isMore || base + reached > offset)
      if (!isAhead) throw nonsense(found.verdict, reached - from)
      return reached
    }
    if (until - base > bytes.length) {
      found.more(0)
      return bytes.length
    }
    found.frame(from, from, until - base)
    return until - base
  }

  #skipped({ offset, reason }: Skipping<Reason>, to: number): In {
    this.#skipping = undefined
    return this.#telling.skipped(offset, to - offset, reason)
  }
}

/** A finder that is not true to its contract is a bug in a codec. */
const nonsense = (verdict: string, at: number | string): Error =>
  new Error(`a finder answered with "${verdict}" at ${at}`)

const copyRun = (bytes: Uint8Array, run: ReadonlyArray<number>, length: number, out: Array<unknown>): void => {
  if (length === 0) return
  const start = run[0]!
  const copy = copyOf(bytes.subarray(start, run[length - 1]))
  if (length === 2) {
    out.push(copy)
    return
  }
  // A third faster than `subarray`, which has to ask for the class of its answer.
  const { buffer } = copy
  for (let i = 0; i < length; i += 2) out.push(new Uint8Array(buffer, run[i]! - start, run[i + 1]! - run[i]!))
}
