/**
 * Broken on purpose, for law 98.
 */
import { text } from "../bench.ts"
import type { Specimen } from "../law.ts"
import { brokenSubject } from "../sound.ts"

export const badInputSpecimens: ReadonlyArray<Specimen> = [
  {
    law: 98,
    fault: "a string is taken for bytes",
    subject: brokenSubject({
      transport: (transport) => ({
        ...transport,
        write: (out) => transport.write(typeof out === "string" ? text(out) : out)
      })
    })
  }
]
