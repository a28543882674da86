import { codecLaws } from "effect-transport/vitest"
import { codecSubjects } from "../support/codecSubjects.ts"

for (const [name, subject] of Object.entries(codecSubjects)) codecLaws(name, subject)
