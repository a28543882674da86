/**
 * The laws of transports as tests of vitest.
 */
import * as Effect from "effect/Effect"
import { describe, it } from "vitest"
import * as TransportLaws from "../testing/TransportLaws.ts"

/**
 * Registers a test for each law, under one `describe`.
 *
 * **Details**
 *
 * Laws that need what the subject does not have are named in the title of the `describe`, with what they need. The law
 * about garbage (84) needs `--expose-gc` in `execArgv` of vitest's configuration.
 *
 * **Example** (Proving a transport)
 *
 * ```ts
 * import { TestTransport } from "effect-transport"
 * import { transportLaws } from "effect-transport/vitest"
 *
 * transportLaws("memory", {
 *   pair: TestTransport.pair,
 *   capabilities: { halfClose: true, reset: true, virtualTime: true }
 * })
 * ```
 *
 * @category testing
 * @since 0.1.0
 */
export const transportLaws = (
  name: string,
  subject: TransportLaws.Subject,
  options?: { readonly timeoutMillis?: number | undefined }
): void => {
  const cases = TransportLaws.make(subject)
  const without = cases
    .filter((law) => law.missing.length > 0)
    .map((law) => `${law.number} (${law.missing.join(", ")})`)
  describe(without.length === 0 ? name : `${name}, without laws ${without.join(", ")}`, () => {
    for (const law of cases) {
      if (law.missing.length > 0) continue
      it(law.name, { timeout: options?.timeoutMillis ?? 60_000 }, () => Effect.runPromise(law.test))
    }
  })
}
