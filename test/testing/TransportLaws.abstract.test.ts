import { transportLaws } from "effect-transport/vitest"
import { subjects } from "../support/subjects.ts"

transportLaws("abstract", subjects.abstract!)
