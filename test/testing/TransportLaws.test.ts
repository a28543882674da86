import { transportLaws } from "effect-transport/vitest"
import { subjects } from "../support/subjects.ts"

for (const [name, subject] of Object.entries(subjects)) transportLaws(name, subject)
