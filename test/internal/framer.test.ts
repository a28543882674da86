import { assert, describe, it } from "@effect/vitest"
import { copyOf, type Finder, type Found, Framer, type Framing, type OnBroken } from "../../src/internal/framer.ts"
import { bytewise, cutAt, utf8 } from "../support/codecCases.ts"

type Item = string | readonly [skipped: string, offset: number, bytes: number]

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

const telling = {
  tooLong: (max: number) => `longer than ${max}`,
  cutShort: (bytes: number) => `cut after ${bytes}`,
  failure: (offset: number, reason: string) => `${reason} at ${offset}`,
  skipped: (offset: number, bytes: number, reason: string): Item => [reason, offset, bytes]
}

/** A digit says how many bytes follow; a space is nothing; a question mark is broken, and `!` breaks what it begins. */
const digits: Finder<string> = {
  find: (bytes, from, _searched, found) => {
    const byte = bytes[from]!
    if (byte === 0x20) return found.blank(from + 1)
    if (byte < 0x30 || byte > 0x39) return found.broken("no digit")
    const next = from + 1 + byte - 0x30
    if (byte === 0x39) found.broken("nine", next)
    else if (next > bytes.length) found.more(1, next - from)
    else found.frame(from + 1, next, next)
  }
}

/** A frame ends with a dot; one with an `x` in it is broken. */
const dots: Finder<string> = {
  find: (bytes, from, searched, found) => {
    const dot = bytes.indexOf(0x2e, from + searched)
    if (dot < 0) found.more(bytes.length - from)
    else if (bytes.subarray(from, dot).includes(0x78)) found.broken("x", dot + 1)
    else found.frame(from, dot, dot + 1)
  },
  skip: (bytes, from, found) => {
    const dot = bytes.indexOf(0x2e, from)
    if (dot < 0) found.more(bytes.length - from)
    else found.frame(from, dot, dot + 1)
  }
}

const take = (content: Uint8Array, found: Found<string>): Item => {
  const item = text(content)
  if (item.includes("!")) found.broken("refused")
  return item
}

const framing = (
  finder: Finder<string>,
  more: Partial<Framing<Item, string>> = {}
): Framing<Item, string> => ({ bytesMax: 9, finder: () => finder, take, ...more })

const framer = (of: Framing<Item, string>, onBroken: OnBroken = "fatal", mark?: unknown) =>
  new Framer(of, onBroken, telling, mark)

/** Its frames are copies of their contents. */
const copier = (finder: Finder<string>, bytesMax = 9) =>
  new Framer({ bytesMax, finder: () => finder, take: copyOf }, "fatal", {
    ...telling,
    skipped: (): Uint8Array => assert.fail("nothing is to be skipped")
  })

/** What comes of a whole input; it is the same bytewise, cut at each place, and in steps. */
const decode = (input: string, of: Framing<Item, string>, onBroken: OnBroken = "fatal") => {
  const bytes = utf8(input)
  const run = (chunks: ReadonlyArray<Uint8Array>, max: number) => {
    const decoder = framer(of, onBroken)
    const items: Array<Item> = []
    let error: string | undefined
    for (const chunk of chunks) {
      let before = items.length
      error = decoder.decode(chunk.slice(), items, max)
      while (error === undefined && items.length - before === max) {
        before = items.length
        error = decoder.decode(undefined, items, max)
      }
      if (error !== undefined) break
    }
    error ??= decoder.end(items)
    return error === undefined ? items : [...items, error]
  }
  const whole = run([bytes], Infinity)
  for (const max of [1, 2, Infinity]) {
    assert.deepStrictEqual(run(bytewise(bytes), max), whole, `bytewise, max ${max}`)
    for (let cut = 0; cut <= bytes.length; cut++) {
      assert.deepStrictEqual(run(cutAt(bytes, cut), max), whole, `cut at ${cut}, max ${max}`)
    }
  }
  return whole
}

describe("Framer", () => {
  it("makes the same frames of bytes that are cut anywhere", () => {
    assert.deepStrictEqual(decode("1a03bcd2ef", framing(digits)), ["a", "", "bcd", "ef"])
    assert.deepStrictEqual(decode("a..bcd.ef.", framing(dots)), ["a", "", "bcd", "ef"])
  })

  it("passes over what is nothing, however much it is, and counts it", () => {
    const blanks = " ".repeat(20)
    assert.deepStrictEqual(decode(`${blanks}1a${blanks}1b${blanks}`, framing(digits)), ["a", "b"])
    assert.deepStrictEqual(decode(`${blanks}1a  ?`, framing(digits)), ["a", "no digit at 24"])
    assert.deepStrictEqual(decode("? ?  1a", framing(digits), "resync"), [["no digit", 0, 5], "a"])
  })

  it("gives no more than max frames, and goes on without bytes", () => {
    const decoder = framer(framing(digits))
    const items: Array<Item> = []
    decoder.decode(utf8("1a1b1c"), items, 0)
    assert.deepStrictEqual(items, [])
    decoder.decode(undefined, items, 2)
    assert.deepStrictEqual(items, ["a", "b"])
    decoder.decode(utf8("1d"), items, 1)
    assert.deepStrictEqual(items, ["a", "b", "c"])
    decoder.decode(new Uint8Array(0), items, 9)
    assert.deepStrictEqual(items, ["a", "b", "c", "d"])
  })

  it("gives no more than max copies", () => {
    const decoder = copier(dots)
    const frames: Array<Uint8Array> = []
    for (const max of [1, 2, 1]) {
      const before = frames.length
      decoder.decode(utf8(before === 0 ? "a.b.c.d.e" : ""), frames, max)
      assert.lengthOf(frames, before + max)
    }
    assert.deepStrictEqual(frames.map(text), ["a", "b", "c", "d"])
    assert.deepStrictEqual(text(decoder.rest()), "e")
  })

  it("copies frames, together where they are small, and one alone where it is large", () => {
    const decoder = copier(dots, 99_999)
    const frames: Array<Uint8Array> = []
    const bytes = utf8(`${"abc.".repeat(5000)}${"d".repeat(20_000)}.e.`)
    decoder.decode(bytes, frames, Infinity)
    bytes.fill(0)
    assert.lengthOf(frames, 5002)
    assert.strictEqual(frames.slice(0, 5000).every((frame) => text(frame) === "abc"), true)
    assert.deepStrictEqual(frames.slice(5000).map((frame) => [frame.length, frame.buffer.byteLength]), [
      [20_000, 20_000],
      [1, 1]
    ])
    assert.isAtMost(Math.max(...frames.slice(0, 5000).map((frame) => frame.buffer.byteLength)), 8192)
  })

  it("gives up its rest, which leads to the same when it is decoded again, also by another decoder", () => {
    for (const cut of [0, 1, 2, 3, 4, 5, 6, 7, 8]) {
      const bytes = utf8("1a 2bc1?")
      let decoder = framer(framing(digits))
      const items: Array<Item> = []
      decoder.decode(bytes.subarray(0, cut), items, 1)
      const rest = decoder.rest()
      assert.lengthOf(decoder.rest(), 0)
      decoder = framer(framing(digits), "fatal", decoder.mark())
      assert.isUndefined(decoder.decode(rest, items, Infinity))
      decoder.decode(bytes.subarray(cut), items, Infinity)
      assert.deepStrictEqual(items, ["a", "bc", "?"])
      assert.strictEqual(decoder.decode(utf8("?"), items, 1), "no digit at 8")
    }
  })

  it("asks a finder for another that stands where it stands", () => {
    let forks = 0
    const find: Finder<string>["find"] = (_bytes, _from, _searched, found) => {
      forks++
      found.more(1)
    }
    const finder: Finder<string> = { ...digits, fork: () => ({ ...digits, fork: () => ({ find }) }) }
    const decoder = framer(framing(finder), "skip")
    decoder.decode(utf8("9abc"), [], 1)
    framer(framing(finder), "skip", decoder.mark()).decode(utf8("defghi1"), [], 9)
    assert.strictEqual(forks, 1)
  })

  it("tells a finder how much it has seen, and asks it no sooner than it wants", () => {
    const asked: Array<readonly [available: number, searched: number]> = []
    const finder: Finder<string> = {
      find: (bytes, from, searched, found) => {
        asked.push([bytes.length - from, searched])
        if (bytes.length - from < 6) found.more(2, 6)
        else found.frame(from, from + 6, from + 6)
      }
    }
    const decoder = framer(framing(finder))
    const items: Array<Item> = []
    for (const byte of bytewise(utf8("abcdefg"))) decoder.decode(byte, items, 1)
    assert.deepStrictEqual(asked, [[1, 0], [6, 2], [1, 0]])
    decoder.decode(decoder.rest(), items, 1)
    assert.deepStrictEqual(asked.slice(3), [[1, 0]])
  })

  it("looks at a long frame in small pieces a bounded number of times", () => {
    let looked = 0
    const finder: Finder<string> = {
      find: (bytes, from, searched, found) => {
        looked += bytes.length - from - searched
        dots.find(bytes, from, searched, found)
      }
    }
    const decoder = framer(framing(finder, { bytesMax: 5000 }))
    for (const byte of bytewise(utf8(`${"a".repeat(4000)}.`))) decoder.decode(byte, [], 1)
    assert.strictEqual(looked, 4001)
  })

  it("keeps no more than the limit of a frame, and little when it waits", () => {
    const decoder = framer(framing(dots, { bytesMax: 5000 }))
    for (let i = 0; i < 4999; i++) decoder.decode(utf8("a"), [], 1)
    decoder.decode(utf8(".b"), [], 1)
    assert.isAtMost(decoder.rest().buffer.byteLength, 1024)
    for (let i = 0; i < 4999; i++) decoder.decode(utf8("a"), [], 1)
    assert.isAtMost(decoder.rest().buffer.byteLength, 5000)
  })

  it("takes a frame of exactly the limit, and fails at the limit of one that is not whole there", () => {
    assert.deepStrictEqual(decode("12345678.a.", framing(dots)), ["12345678", "a"])
    assert.deepStrictEqual(decode("a.123456789.", framing(dots)), ["a", "longer than 9 at 2"])
    assert.deepStrictEqual(decode("a.123456789", framing(dots)), ["a", "longer than 9 at 2"])
    assert.deepStrictEqual(decode("1a5", framing(digits, { bytesMax: 5 })), ["a", "longer than 5 at 2"])
    assert.deepStrictEqual(decode("1a512345", framing(digits, { bytesMax: 5 })), ["a", "longer than 5 at 2"])
    assert.deepStrictEqual(decode("1a4123", framing(digits, { bytesMax: 5 })), ["a", "cut after 4 at 2"])
  })

  it("takes many frames in the short way while it leads on, and then one by one", () => {
    const seen: Array<readonly [from: number, room: number]> = []
    const of = framing(digits, {
      takeMany: (bytes, from, out, room) => {
        seen.push([from, room])
        if (text(bytes.subarray(from, from + 4)) !== "1a1b") return from
        out.push("many", "more")
        return from + 4
      }
    })
    const decoder = framer(of)
    const items: Array<Item> = []
    decoder.decode(utf8("1z1a1b1c1a1b"), items, 9)
    assert.deepStrictEqual(items, ["z", "many", "more", "c", "a", "b"])
    assert.deepStrictEqual(seen, [[2, 8], [6, 6]])
  })
})

describe("Framer at the end", () => {
  it("refuses a frame that is cut short", () => {
    assert.deepStrictEqual(decode("1a2b", framing(digits)), ["a", "cut after 2 at 2"])
  })

  it("gives what was not asked for", () => {
    const decoder = framer(framing(digits))
    const items: Array<Item> = []
    decoder.decode(utf8("1a1b"), items, 1)
    assert.isUndefined(decoder.end(items))
    assert.deepStrictEqual(items, ["a", "b"])
    assert.lengthOf(decoder.rest(), 0)
  })

  it("leaves the last frame to the finder where it says", () => {
    const end: Finder<string>["end"] = (bytes, from, found) => {
      if (bytes[from] === 0x78) found.broken("x")
      else if (bytes[from] === 0x20) found.blank(bytes.length)
      else found.frame(from, bytes.length, bytes.length)
    }
    assert.deepStrictEqual(decode("a.bc", framing({ ...dots, end })), ["a", "bc"])
    assert.deepStrictEqual(decode("a.  ", framing({ ...dots, end })), ["a"])
    assert.deepStrictEqual(decode("a.xc", framing({ ...dots, end })), ["a", "x at 2"])
    assert.deepStrictEqual(decode("a.xc", framing({ ...dots, end }), "skip"), ["a", ["x", 2, 2]])
  })

  it("says what was passed over up to there", () => {
    assert.deepStrictEqual(decode("1a9bc", framing(digits), "skip"), ["a", ["nine", 2, 3]])
    assert.deepStrictEqual(decode("1a???", framing(digits), "resync"), ["a", ["no digit", 2, 3]])
    assert.deepStrictEqual(decode("1a?4b", framing(digits), "resync"), ["a", ["no digit", 2, 3]])
    assert.deepStrictEqual(decode("a.0123456789", framing(dots), "skip"), ["a", ["longer than 9", 2, 10]])
  })
})

describe("Framer and broken frames", () => {
  it("ends at one by default, and every later call says the same", () => {
    assert.deepStrictEqual(decode("1a?1b", framing(digits)), ["a", "no digit at 2"])
    assert.deepStrictEqual(decode("1a2!b1b", framing(digits)), ["a", "refused at 2"])
    const decoder = framer(framing(digits))
    const items: Array<Item> = []
    assert.strictEqual(decoder.decode(utf8("1a?1b"), items, 9), "no digit at 2")
    assert.strictEqual(decoder.decode(utf8("1c"), items, 9), "no digit at 2")
    assert.strictEqual(decoder.end(items), "no digit at 2")
    assert.deepStrictEqual(items, ["a"])
    assert.strictEqual(text(decoder.rest()).slice(0, 3), "?1b")
  })

  it("passes over one up to the end that it says, with skip, though more of it is to come", () => {
    assert.deepStrictEqual(decode("1a91b1c1d1e?1z", framing(digits), "skip"), [
      "a",
      ["nine", 2, 10],
      "z"
    ])
    assert.deepStrictEqual(decode("1a2!b1b", framing(digits), "skip"), ["a", ["refused", 2, 3], "b"])
  })

  it("keeps nothing of what it passes over", () => {
    const finder: Finder<string> = { find: (_bytes, from, _searched, found) => found.broken("far", from + 1_000_000) }
    const decoder = framer(framing(finder), "skip")
    decoder.decode(new Uint8Array(65_536), [], 9)
    assert.lengthOf(decoder.rest(), 0)
  })

  it("tries at each byte with resync, or where no end is known", () => {
    assert.deepStrictEqual(decode("1a91b1c", framing(digits), "resync"), ["a", ["nine", 2, 1], "b", "c"])
    assert.deepStrictEqual(decode("1a2!b1b", framing(digits), "resync"), ["a", ["refused", 2, 3], "b"])
    for (const onBroken of ["skip", "resync"] as const) {
      assert.deepStrictEqual(decode("1a??1b?1c", framing(digits), onBroken), [
        "a",
        ["no digit", 2, 2],
        "b",
        ["no digit", 6, 1],
        "c"
      ])
    }
  })

  it("makes a reason only for what is told", () => {
    let made = 0
    const lazy: Finder<string> = {
      find: (bytes, from, searched, found) => {
        digits.find(bytes, from, searched, found)
        if (found.verdict === "broken") found.broken(() => `reason ${++made}`)
      }
    }
    assert.deepStrictEqual(decode("1a", framing(lazy), "resync"), ["a"])
    const decoder = framer(framing(lazy), "resync")
    const items: Array<Item> = []
    decoder.decode(utf8("?????1a??1b"), items, 9)
    assert.deepStrictEqual(items, [["reason 1", 0, 5], "a", ["reason 2", 7, 2], "b"])
    assert.strictEqual(framer(framing(lazy)).decode(utf8("?"), items, 9), "reason 3 at 0")
  })

  it("goes on behind the mark of a finder that has one", () => {
    for (const onBroken of ["skip", "resync"] as const) {
      assert.deepStrictEqual(decode("a.bx.c.1!.d.0123456789ab.e.", framing(dots), onBroken), [
        "a",
        ["x", 2, 3],
        "c",
        ["refused", 7, 3],
        "d",
        ["longer than 9", 12, 13],
        "e"
      ])
    }
  })

  it("trusts the end of a broken frame before a search, with skip only", () => {
    const finder: Finder<string> = {
      ...dots,
      find: (bytes, from, searched, found) =>
        bytes[from] === 0x39 ? found.broken("nine", from + 5) : dots.find(bytes, from, searched, found)
    }
    assert.deepStrictEqual(decode("a.9.b.cd.e.", framing(finder), "skip"), ["a", ["nine", 2, 5], "d", "e"])
    assert.deepStrictEqual(decode("a.9.b.cd.e.", framing(finder), "resync"), ["a", ["nine", 2, 2], "b", "cd", "e"])
  })

  it("counts what it passed over as an item", () => {
    const decoder = framer(framing(digits), "resync")
    const items: Array<Item> = []
    decoder.decode(utf8("??1a1b"), items, 1)
    assert.deepStrictEqual(items, [["no digit", 0, 2]])
    decoder.decode(undefined, items, 1)
    assert.deepStrictEqual(items, [["no digit", 0, 2], "a"])
    assert.strictEqual(text(decoder.rest()), "1b")
  })

  it("goes on by another decoder in the middle of what it passes over", () => {
    for (const [of, onBroken] of [[digits, "skip"], [dots, "resync"]] as const) {
      const decoder = framer(framing(of), onBroken)
      const items: Array<Item> = []
      decoder.decode(utf8(of === digits ? "9abc" : "0123456789"), items, 9)
      assert.lengthOf(decoder.rest(), 0)
      const other = framer(framing(of), onBroken, decoder.mark())
      other.decode(utf8(of === digits ? "defghi1z" : "ab.z."), items, 9)
      assert.deepStrictEqual(items, [of === digits ? ["nine", 0, 10] : ["longer than 9", 0, 13], "z"])
    }
  })
})

describe("Framer and time", () => {
  const gap = framing({ ...dots, end: (bytes, from, found) => found.frame(from, bytes.length, bytes.length) }, {
    gapMs: 10
  })

  it("has nothing to do with it where no gap ends frames", () => {
    assert.isUndefined(framer(framing(dots)).due)
  })

  it("ends a frame when nothing came for the gap", () => {
    const decoder = framer(gap)
    const items: Array<Item> = []
    assert.isUndefined(decoder.due!(0, items))
    decoder.decode(utf8("a.b"), items, 9)
    assert.strictEqual(decoder.due!(100, items), 110)
    assert.strictEqual(decoder.due!(105, items), 110)
    decoder.decode(utf8("c"), items, 9)
    assert.strictEqual(decoder.due!(109, items), 119)
    assert.strictEqual(decoder.due!(118, items), 119)
    assert.deepStrictEqual(items, ["a"])
    assert.isUndefined(decoder.due!(119, items))
    assert.deepStrictEqual(items, ["a", "bc"])
    assert.isUndefined(decoder.due!(500, items))
  })

  it("answers with what was wrong at the next call", () => {
    const decoder = framer(framing(dots, { gapMs: 10 }))
    decoder.decode(utf8("a"), [], 9)
    decoder.due!(0, [])
    assert.isUndefined(decoder.due!(10, []))
    assert.strictEqual(decoder.decode(utf8("b"), [], 9), "cut after 1 at 0")
  })
})

describe("Framer and a finder with a bug", () => {
  const answer = (find: Finder<string>["find"], more: Partial<Finder<string>> = {}): Finder<string> => ({
    find,
    ...more
  })

  it("lets out what the finder throws", () => {
    const finder = answer(() => {
      throw new RangeError("mine")
    })
    assert.throws(() => framer(framing(finder)).decode(utf8("a"), [], 1), RangeError, "mine")
  })

  it("throws at frames that cannot be", () => {
    const places = [[0, 0, 0], [0, 1, 9], [0, 3, 2], [2, 1, 2], [-1, 1, 2], [0, 1, -1], [0, 1, Number.NaN]] as const
    for (const [start, end, next] of places) {
      const finder = answer((_bytes, from, _searched, found) => found.frame(from + start, from + end, from + next))
      assert.throws(() => framer(framing(finder)).decode(utf8("abcd"), [], 1), `a finder answered with "frame"`)
      const copying = copier(finder)
      assert.throws(() => copying.decode(utf8("abcd"), [], 1), `a finder answered with "frame"`)
    }
  })

  it("throws at what would go on for ever", () => {
    for (const next of [0, -1]) {
      const broken = answer((_bytes, from, _searched, found) => found.broken("b", from + next))
      assert.throws(() => framer(framing(broken), "skip").decode(utf8("a"), [], 9), `answered with "broken"`)
      const blank = answer((_bytes, from, _searched, found) => found.blank(from + next))
      assert.throws(() => framer(framing(blank)).decode(utf8("a"), [], 9), `answered with "blank"`)
      const skip = answer((_bytes, _from, _searched, found) => found.broken("b"), {
        skip: (_bytes, from, found) => found.frame(from, from, from + next)
      })
      assert.throws(() => framer(framing(skip), "skip").decode(utf8("a"), [], 9), `answered with "frame"`)
    }
  })

  it("throws at answers that are not there yet", () => {
    const blank = answer((_bytes, from, _searched, found) => found.blank(from + 9))
    assert.throws(() => framer(framing(blank)).decode(utf8("a"), [], 9), `answered with "blank" at 9`)
    const skip = answer((_bytes, _from, _searched, found) => found.broken("b"), {
      skip: (_bytes, _from, found) => found.more(9)
    })
    assert.throws(() => framer(framing(skip), "skip").decode(utf8("a"), [], 9), `answered with "more" at 9`)
    const end = answer((_bytes, _from, _searched, found) => found.more(1), {
      end: (_bytes, _from, found) => found.more(1)
    })
    const decoder = framer(framing(end))
    decoder.decode(utf8("a"), [], 9)
    assert.throws(() => decoder.end([]), `answered with "more"`)
  })
})
