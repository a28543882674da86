/**
 * The laws of codecs as tests of vitest.
 */
import { describe, it } from "vitest"
import * as CodecLaws from "../testing/CodecLaws.ts"
import { titleOf } from "./title.ts"

/**
 * Registers a test for each law, under one `describe`.
 *
 * **Details**
 *
 * Laws that need what the subject does not have are no tests; the title of the `describe` names them, with what they need.
 *
 * **Example** (Proving a codec)
 *
 * ```ts
 * import { Arbitrary, Schema } from "effect"
 * import { Delimited } from "effect-transport"
 * import { codecLaws } from "effect-transport/vitest"
 *
 * codecLaws("delimited by a null byte", {
 *   codec: ({ bytesMax, onBroken }) => Delimited.codec({ delimiter: "\0", frameBytesMax: bytesMax, onBroken }),
 *   modes: ["fatal", "skip", "resync"],
 *   frames: Arbitrary.filter(Arbitrary.schema(Schema.Uint8Array), (frame) => !frame.includes(0)),
 *   nasty: Arbitrary.schema(Schema.Uint8Array),
 *   refused: [Uint8Array.of(1, 0, 2)],
 *   limit: { bytes: 20, frame: (bytes) => new Uint8Array(bytes).fill(1) }
 * })
 * ```
 *
 * @category testing
 * @since 0.1.0
 */
export const codecLaws = <In, Out>(name: string, subject: CodecLaws.Subject<In, Out>): void => {
  const cases = CodecLaws.make(subject)
  describe(titleOf(name, cases), () => {
    for (const law of cases) if (law.missing.length === 0) it(law.name, () => law.test())
  })
}
