import { transportLaws } from "effect-transport/vitest"
import { subjects } from "../support/subjects.ts"
import { describeWith } from "../support/systemPrograms.ts"

describeWith(["socat"], "through a program", () => {
  // A thousand programs are started in one of them.
  transportLaws("exec", subjects.exec!, { timeoutMillis: 240_000 })
})
