/**
 * The laws of transports as tests of vitest.
 */
import * as Effect from "effect/Effect"
import { describe, it } from "vitest"
import * as TransportLaws from "../testing/TransportLaws.ts"
import { titleOf } from "./title.ts"

/**
 * Registers a test for each law, under one `describe`.
 *
 * **Details**
 *
 * Laws that need what the subject does not have are no tests; the title of the `describe` names them, with what they
 * need. Each test has 60 seconds: a law that is broken may take its time to show it. The law about garbage (84) needs
 * `execArgv: ["--expose-gc"]` in vitest's configuration.
 *
 * The tests run one after another, also where vitest's `sequence.concurrent` is set: some compare what is held before and
 * after. Several subjects run side by side when each has a file of its own.
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
  describe(titleOf(name, cases), { concurrent: false }, () => {
    for (const law of cases) {
      if (law.missing.length > 0) continue
      it(law.name, { timeout: options?.timeoutMillis ?? 60_000 }, () => Effect.runPromise(law.test))
    }
  })
}
