import { assert, describe, it } from "vitest"
import { Duplex, EndOfInput, type Port } from "../../src/internal/duplex.ts"
import { Reaction } from "../../src/internal/reaction.ts"

const open = () => {
  let port: Port | undefined
  const duplex = new Duplex(
    (given) => {
      port = given
      return {
        lingers: false,
        write: () => true,
        end: () => {},
        reset: () => {},
        release: () => {},
        resume: () => {},
        suspend: () => {}
      }
    },
    { highWaterMark: 10, lowWaterMark: 5, readMark: 10, copyMax: 4, lingerBytesMax: 10, onPeerEnd: "keep" }
  )
  return { duplex, port: port! }
}

describe("Reaction", () => {
  it("does nothing more once it was stopped, though its end was on its way", () => {
    const { duplex, port } = open()
    const log: Array<string> = []
    const reaction = new Reaction<never, never>(
      duplex,
      {
        receive: () => void log.push("received"),
        command: () => undefined,
        end: () => void log.push("ended"),
        due: () => undefined
      },
      () => {},
      { now: () => 0, set: () => {} },
      ({ _tag }) => log.push(_tag)
    )
    reaction.start()
    port.data(new Uint8Array(1))
    reaction.stop()
    reaction.end(EndOfInput)
    port.data(new Uint8Array(1))
    assert.deepStrictEqual(log, ["received"])
  })
})
