import { transportLaws } from "effect-transport/vitest"
import { subjects } from "../support/subjects.ts"

for (const name of ["duplexMemory", "duplexTcp"]) transportLaws(name, subjects[name]!)
