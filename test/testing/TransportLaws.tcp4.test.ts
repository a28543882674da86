import { transportLaws } from "effect-transport/vitest"
import { subjects } from "../support/subjects.ts"

transportLaws("tcp4", subjects.tcp4!)
