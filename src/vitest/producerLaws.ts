/**
 * The laws of producers and consumers as tests of vitest.
 */
import * as Effect from "effect/Effect"
import { describe, it } from "vitest"
import * as ProducerLaws from "../testing/ProducerLaws.ts"

/**
 * Registers a test for each law, under one `describe`.
 *
 * **Details**
 *
 * Laws that need what the subject does not have are no tests; the title of the `describe` names them, with what they
 * need.
 *
 * **Example** (Proving a consumer)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Consumer } from "effect-transport"
 * import { producerLaws } from "effect-transport/vitest"
 *
 * producerLaws("a buffer", {
 *   make: (options) => Effect.map(Consumer.make<Uint8Array>(options), (consumer) => ({ ...consumer, consumer })),
 *   capabilities: { marks: true }
 * })
 * ```
 *
 * @category testing
 * @since 0.1.0
 */
export const producerLaws = (
  name: string,
  subject: ProducerLaws.Subject,
  options?: { readonly timeoutMillis?: number | undefined }
): void => {
  const cases = ProducerLaws.make(subject)
  const leftOut = cases.filter(({ missing }) => missing.length > 0)
    .map(({ missing, number }) => `${number} (${missing.join(", ")})`)
  describe(leftOut.length === 0 ? name : `${name}, without laws ${leftOut.join(", ")}`, () => {
    for (const law of cases) {
      if (law.missing.length > 0) continue
      it(law.name, { timeout: options?.timeoutMillis ?? 60_000 }, () => Effect.runPromise(law.test))
    }
  })
}
