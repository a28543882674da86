// Holds our transports against the laws, outside of any test runner:
// `node -C effect-transport-source --expose-gc scratchpad/conformance.ts tcp4,unix 10 11`
import { Effect } from "effect"
import { TransportLaws } from "effect-transport/testing"
import { subjects } from "../test/support/subjects.ts"

const [names = Object.keys(subjects).join(","), ...asked] = process.argv.slice(2)

const main = Effect.gen(function*() {
  for (const name of names.split(",")) {
    for (const law of TransportLaws.make(subjects[name]!)) {
      if (asked.length > 0 && !asked.includes(String(law.number))) continue
      if (law.missing.length > 0) {
        console.log(`${name}  ${law.name}: left out (${law.missing.join(", ")})`)
        continue
      }
      const before = performance.now()
      const failure = yield* Effect.match(law.test, { onSuccess: () => undefined, onFailure: (error) => error.detail })
      const millis = Math.round(performance.now() - before)
      if (failure !== undefined) process.exitCode = 1
      console.log(`${name}  ${law.name}: ${failure === undefined ? "holds" : `BROKEN ${failure}`} (${millis} ms)`)
    }
  }
})

await Effect.runPromise(main)
