import { transportLaws } from "effect-transport/vitest"
import { webSubjects } from "../support/webSubjects.ts"

transportLaws("webMemory", webSubjects.webMemory!)
