import { producerLaws } from "effect-transport/vitest"
import { flowSubjects } from "../support/flowSubjects.ts"

for (const [name, subject] of Object.entries(flowSubjects)) producerLaws(name, subject)
