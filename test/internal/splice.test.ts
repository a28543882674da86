import { assert, describe, it } from "vitest"
import { closedBy, Duplex, EndOfInput, type Port } from "../../src/internal/duplex.ts"
import { type Outcome, Splice } from "../../src/internal/splice.ts"

/** A connection on a medium that does what the test says. */
const open = (isFast = true) => {
  const medium = { isFast, parted: 0, flows: false, written: [] as Array<Uint8Array>, port: undefined as never as Port }
  const duplex = new Duplex(
    (port) => {
      medium.port = port
      return {
        lingers: false,
        write: (chunks) => {
          medium.written.push(...chunks)
          return medium.isFast
        },
        end: () => {},
        reset: () => {},
        release: () => {},
        resume: () => {
          medium.flows = true
        },
        suspend: () => {
          medium.flows = false
        },
        part: () => {
          medium.parted++
        }
      }
    },
    { highWaterMark: 10, lowWaterMark: 5, readMark: 10, copyMax: 4, lingerBytesMax: 10, onPeerEnd: "keep" }
  )
  return { duplex, medium }
}

const bytes = (length: number, of = 1) => new Uint8Array(length).fill(of)

const spliced = (isFast = true) => {
  const from = open()
  const to = open(isFast)
  const outcomes: Array<Outcome> = []
  const splice = new Splice(from.duplex, to.duplex, (outcome) => outcomes.push(outcome))
  splice.start()
  return { from, to, outcomes, splice }
}

const lengths = (chunks: ReadonlyArray<Uint8Array>) => chunks.map((chunk) => chunk.length)

describe("Splice", () => {
  it("sends at once what it is lent, and copies no more than what is copied anyway", () => {
    const { from, to } = spliced()
    const chunk = bytes(9)
    assert.isTrue(from.medium.port.lend(chunk, true))
    assert.strictEqual(to.medium.written[0], chunk)
    assert.isTrue(from.medium.port.lend(bytes(3), false))
    assert.deepStrictEqual(lengths(to.medium.written), [9, 3])
    assert.isFalse(from.medium.port.lend(chunk, false))
    assert.isTrue(from.medium.flows)
  })

  it("keeps what the other side does not take at once, and no input comes before it is gone", () => {
    const { from, to } = spliced(false)
    assert.isTrue(from.medium.port.lend(bytes(9), true))
    assert.isFalse(from.medium.flows)
    to.medium.port.drained()
    assert.isTrue(from.medium.flows)
    assert.strictEqual(from.medium.parted, 0)
  })

  it("copies what waits and cannot be kept", () => {
    const { from, to } = spliced(false)
    assert.isTrue(from.medium.port.lend(bytes(9), true))
    to.medium.port.drained()
    to.duplex.write({ chunks: [bytes(9)], bytes: 9, position: 0, resume: () => {} })
    to.duplex.write({ chunks: [bytes(2)], bytes: 2, position: 0, resume: () => {} })
    const small = bytes(4, 7)
    assert.isTrue(from.medium.port.lend(small, false))
    small.fill(0)
    to.medium.isFast = true
    to.medium.port.drained()
    assert.deepStrictEqual(Array.from(to.medium.written.at(-1)!), [1, 1, 7, 7, 7, 7])
  })

  it("puts back a copy of what waited for room, and the wire has its memory again", () => {
    const { from, splice, to } = spliced(false)
    to.duplex.write({ chunks: [bytes(11)], bytes: 11, position: 0, resume: () => {} })
    const lent = bytes(3, 7)
    assert.isTrue(from.medium.port.lend(lent, true))
    splice.stop()
    lent.fill(0)
    assert.deepStrictEqual(from.duplex.poll(), [bytes(3, 7)])
    assert.strictEqual(from.medium.parted, 0)
    from.duplex.endReading()
    assert.isTrue(from.medium.flows)
  })

  it("makes the wire part with what is on its way, so that the next reader need not wait for it", () => {
    const { from, splice, to } = spliced(false)
    assert.isTrue(from.medium.port.lend(bytes(9), true))
    splice.stop()
    assert.strictEqual(from.medium.parted, 1)
    assert.isTrue(from.medium.flows)
    // Its end is no news to whoever reads now.
    const seen: Array<number> = []
    from.duplex.consume({
      batch: (chunks) => seen.push(chunks.length) < 0,
      borrow: () => true,
      borrowMax: 0,
      keeps: false,
      end: () => {}
    })
    from.medium.port.data(bytes(1))
    from.medium.port.data(bytes(1))
    to.medium.port.drained()
    assert.deepStrictEqual(seen, [1])
  })

  it("ends with the input, or with what broke either side", () => {
    const one = spliced()
    one.from.medium.port.end()
    assert.deepStrictEqual(one.outcomes, [undefined])

    const two = spliced()
    two.from.medium.port.broken("reset")
    assert.deepStrictEqual(two.outcomes.map((outcome) => outcome?.by), ["read"])

    const three = spliced(false)
    three.from.medium.port.lend(bytes(9), true)
    three.to.medium.port.broken("reset")
    assert.deepStrictEqual(three.outcomes.map((outcome) => [outcome?.by, outcome?.delivery]), [["write", "Unknown"]])
    assert.strictEqual(three.from.duplex.poll(), undefined)

    const four = spliced()
    four.to.duplex.abort(closedBy("abort"))
    four.from.medium.port.data(bytes(2))
    assert.deepStrictEqual(four.outcomes.map((outcome) => [outcome?.by, outcome?.delivery]), [["write", "NotSent"]])
    assert.deepStrictEqual(four.from.duplex.poll(), [bytes(2)])
    four.from.medium.port.end()
    assert.strictEqual(four.from.duplex.poll(), EndOfInput)
  })
})
