/**
 * The laws of machines as tests of vitest.
 */
import { describe, it } from "vitest"
import * as MachineLaws from "../testing/MachineLaws.ts"
import { titleOf } from "./title.ts"

/**
 * Registers a test for each law, under one `describe`.
 *
 * **Details**
 *
 * Laws that need what the subject does not have are no tests; the title of the `describe` names them, with what they need.
 *
 * @category testing
 * @since 0.1.0
 */
export const machineLaws = <Command, Event, E>(name: string, subject: MachineLaws.Subject<Command, Event, E>): void => {
  const cases = MachineLaws.make(subject)
  describe(titleOf(name, cases), () => {
    for (const law of cases) if (law.missing.length === 0) it(law.name, () => law.test())
  })
}
