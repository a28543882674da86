import * as Effect from "effect/Effect"
import * as TransportLaws from "../src/testing/TransportLaws.ts"
import { brokenSubject } from "../src/testing/sound.ts"
const subject = brokenSubject({ transport: ({ halfClose: _, ...t }) => t }, { capabilities: { halfClose: false, reset: true, virtualTime: true } })
for (const law of TransportLaws.make(subject)) {
  const r = law.missing.length ? "left out" : await Effect.runPromise(Effect.match(law.test, { onSuccess: () => "holds", onFailure: (e) => e.detail }))
  if (r !== "holds") console.log(law.number, r)
  else if (law.number === 56) console.log(56, r)
}
