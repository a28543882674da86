import { transportLaws } from "effect-transport/vitest"
import { subjects } from "../support/subjects.ts"

// The real ones have files of their own: they take their time, and vitest can run files side by side.
for (const name of ["memory", "lockstep"]) transportLaws(name, subjects[name]!)
