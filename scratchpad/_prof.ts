import { Effect } from "effect"
import { TransportLaws } from "effect-transport/testing"
import { subjects } from "../test/support/subjects.ts"
for (const n of [14, 14, 14, 8, 8, 8, 9, 9, 9, 6, 6,6, 16,16, 16]) {
  const law = TransportLaws.make(subjects["memory"]!).find((l) => l.number === n)!
  const t = performance.now()
  await Effect.runPromise(law.test)
  console.log(n, performance.now() - t)
}
