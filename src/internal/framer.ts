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
   * Looks for the end of a broken frame whose length is not known: `found.frame` says where the next one begins,
   * `found.more` how many bytes from `from` on can be dropped. For frames with a mark between them; where there is none,
   * the next frame is tried for at each byte.
   */
  skip?(bytes: Uint8Array, from: number, found: Found<Reason>): void
}

/** What a look found. */
export class Found<Reason> {
  verdict: "more" | "frame" | "broken" = "more"
  start = 0
  end = 0
  next: number | undefined = undefined
  searched = 0
  need = 0
  reason: Reason | undefined = undefined

  /** A whole frame: its content is `bytes[start..end)`, and the next one begins at `next`. */
  frame(start: number, end: number, next: number): void {
    this.verdict = "frame"
    this.start = start
    this.end = end
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

  /** It is no frame. `next`, where that can be told, is where it ends; that may be behind the bytes that are there. */
  broken(reason: Reason, next?: number): void {
    this.verdict = "broken"
    this.reason = reason
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
   * A short way for many whole frames at once: appends at most `room` of them and answers with where the first that it
   * left begins; with `from` where it cannot tell.
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

/** A decoder that waits keeps no more spare memory than this. */
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
  #hasArrived = false
  #arrivedMs = 0
  /** Only where time ends frames. */
  declare due?: (nowMs: number, out: Array<In>) => number | undefined

  constructor(
    framing: Framing<In, Reason>,
    onBroken: OnBroken,
    telling: Telling<In, Reason, Failure>,
    offset = 0,
    skipping?: Skipping<Reason>
  ) {
    this.#framing = framing
    this.#onBroken = onBroken
    this.#telling = telling
    this.#finder = framing.finder()
    this.#offset = offset
    this.#skipping = skipping
    if (framing.gapMs !== undefined) this.due = (nowMs, out) => this.#due(nowMs, out)
  }

  decode(bytes: Uint8Array | undefined, out: Array<In>, max: number): Failure | undefined {
    if (this.#error !== undefined) return this.#error
    const limit = out.length + max
    if (bytes === undefined || bytes.length === 0) {
      this.#scanKept(out, limit, false)
      return this.#error
    }
    this.#hasArrived = true
    let at = 0
    // Of the chunk, little more is copied than the end of the frame that was begun before.
    while (this.#from < this.#to && at < bytes.length && out.length < limit && this.#error === undefined) {
      const kept = this.#to - this.#from
      const start = this.#offset + kept - at
      const end = Math.min(bytes.length, at + (this.#need > kept ? this.#need - kept : Math.max(kept, 256)))
      this.#keep(bytes, at, end)
      this.#scanKept(out, limit, false)
      const reached = this.#offset - start
      if (reached < at) {
        at = end
        continue
      }
      // What is left stands in the chunk itself.
      at = reached
      this.#from = this.#to = 0
    }
    if (at < bytes.length) {
      if (this.#from === this.#to && this.#error === undefined) at = this.#scan(bytes, at, out, limit, false)
      this.#keep(bytes, at, bytes.length)
    }
    return this.#error
  }

  end(out: Array<In>): Failure | undefined {
    if (this.#error === undefined) this.#scanKept(out, Infinity, true)
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

  fork(): Framer<In, Reason, Failure> {
    const fork = new Framer(this.#framing, this.#onBroken, this.#telling, this.#offset, this.#skipping)
    // What is being passed over ends at its time.
    fork.#hasArrived = this.#hasArrived
    fork.#arrivedMs = this.#arrivedMs
    return fork
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
    this.#buffer.set(more === bytes.length ? bytes : bytes.subarray(from, to), this.#to)
    this.#to += more
  }

  #scanKept(out: Array<In>, limit: number, isEnd: boolean): void {
    this.#from = this.#scan(this.#buffer.subarray(0, this.#to), this.#from, out, limit, isEnd)
    if (this.#from < this.#to) return
    this.#from = this.#to = 0
    if (this.#buffer.length > idleBytes) this.#buffer = nothing
  }

  /** Takes frames from `from` on, and answers with where the first that it left begins. */
  #scan(bytes: Uint8Array, from: number, out: Array<In>, limit: number, isEnd: boolean): number {
    const to = bytes.length
    const framing = this.#framing
    const finder = this.#finder
    const found = this.#found
    const isCopy = framing.take as unknown === copyOf
    const base = this.#offset - from
    // Where the contents of frames begin and end that will be copied together.
    const run: Array<number> = []
    let isOneByOne = framing.takeMany === undefined
    while (out.length + run.length / 2 < limit && this.#error === undefined) {
      const skipping = this.#skipping
      if (skipping !== undefined && skipping.until !== "try") {
        from = this.#passOver(skipping.until, bytes, from, base)
        if (found.verdict === "more" && !isEnd) break
        if (found.verdict === "more") from = to
        out.push(this.#skipped(skipping, base + from))
        continue
      }
      if (from === to) break
      if (!isOneByOne && this.#searched === 0 && skipping === undefined) {
        const next = framing.takeMany!(bytes, from, out, limit - out.length)
        isOneByOne = next === from
        from = next
        continue
      }
      if (to - from < this.#need && !isEnd) break
      finder.find(bytes, from, this.#searched, found)
      if (found.verdict === "more") {
        // Before the end is looked at: `max` may have stopped an earlier look, and what is found must not depend on that.
        if (to - from >= framing.bytesMax || found.need > framing.bytesMax) {
          found.broken(this.#telling.tooLong(framing.bytesMax))
        } else if (!isEnd) {
          this.#searched = found.searched
          this.#need = found.need
          break
        } else if (finder.end === undefined) found.broken(this.#telling.cutShort(to - from))
        else finder.end(bytes, from, found)
      }
      this.#searched = this.#need = 0
      const next = found.next
      if (found.verdict === "frame") {
        if (!(next! > from && next! <= to)) throw new Error(`a finder answered with a frame that ends at ${next}`)
        if (isCopy && skipping === undefined) {
          if (run.length > 0 && found.end - run[0]! > runBytes) takeRun(bytes, run, out)
          run.push(found.start, found.end)
          from = next!
          continue
        }
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
          continue
        }
      }
      takeRun(bytes, run, out)
      if (this.#onBroken === "fatal") {
        this.#error = this.#telling.failure(base + from, found.reason!)
      } else if (skipping !== undefined) from++
      else {
        const isTrying = finder.skip === undefined && (this.#onBroken === "resync" || next === undefined)
        this.#skipping = {
          reason: found.reason!,
          offset: base + from,
          until: finder.skip !== undefined ? "search" : isTrying ? "try" : base + next!
        }
        if (isTrying) from++
      }
    }
    takeRun(bytes, run, out)
    if (isEnd && from === to && this.#skipping !== undefined) out.push(this.#skipped(this.#skipping, base + to))
    this.#offset = base + from
    return from
  }

  /** Where the next frame begins, or, where `found` says `more`, up to where bytes can be dropped. */
  #passOver(until: number | "search", bytes: Uint8Array, from: number, base: number): number {
    const found = this.#found
    if (until === "search") {
      this.#finder.skip!(bytes, from, found)
      return found.verdict === "more" ? from + found.searched : found.next!
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

const takeRun = (bytes: Uint8Array, run: Array<number>, out: Array<unknown>): void => {
  if (run.length === 0) return
  const start = run[0]!
  const copy = copyOf(bytes.subarray(start, run[run.length - 1]))
  if (run.length === 2) out.push(copy)
  else for (let i = 0; i < run.length; i += 2) out.push(copy.subarray(run[i]! - start, run[i + 1]! - start))
  run.length = 0
}
